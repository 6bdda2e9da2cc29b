"""What a job will cost, said before it starts, and the limits that refuse it there rather than after minutes."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .checks import InputError, number


@dataclass(frozen=True)
class Cost:
    """The expected cost of one job on this machine; seconds are an estimate from measured speed."""

    frames: int
    seconds: float
    memory_bytes: int  # working memory at the peak
    disk_bytes: int  # all files of the result together
    gpu_quota_s: float = 0.0  # on ZeroGPU: the seconds taken from the visitor's quota
    engine: str = ""  # which engine makes the result
    memory_mode: str = ""  # how much speed a model on a GPU gives up for memory
    download_bytes: int = 0  # weights that have to be fetched first; the time for that is not counted
    notes: tuple[str, ...] = ()  # sentences for the user

    def sentence(self, *, on_zero_gpu: bool = False) -> str:
        """One line for the page."""
        parts = [
            f"{self.frames:,} frames",
            f"about {duration_text(self.seconds)} on this machine",
            f"{size_text(self.memory_bytes)} memory",
            f"{size_text(self.disk_bytes)} on disk",
        ]
        if self.memory_mode:
            parts.append(f"in the {self.memory_mode} memory mode")
        if self.download_bytes:
            parts.append(f"fetches {size_text(self.download_bytes)} first")
        if on_zero_gpu:
            quota = f"{self.gpu_quota_s:.0f} s" if self.gpu_quota_s else "nothing (this engine runs on the CPU)"
            parts.append(f"takes {quota} of your GPU quota")
        return " · ".join(parts)


@dataclass(frozen=True)
class Limits:
    """What one job may cost here; the owner of a machine sets them by environment variables."""

    max_frames: int = 20_000
    max_seconds: float = 6 * 3600.0
    max_memory_bytes: int | None = None
    max_disk_bytes: int | None = None

    @classmethod
    def from_environment(
        cls, *, free_memory_bytes: int | None = None, free_disk_bytes: int | None = None, shared_host: bool = False
    ) -> Limits:
        """Limits from GENKEY_MAX_FRAMES and GENKEY_MAX_SECONDS, else the defaults (stricter on a shared host).

        At most 80 % of the memory that is free now, and 90 % of the free disk, is given to one job.
        """
        return cls(
            max_frames=int(_from_environment("GENKEY_MAX_FRAMES", 5_000 if shared_host else 20_000)),
            max_seconds=_from_environment("GENKEY_MAX_SECONDS", 900 if shared_host else 6 * 3600),
            max_memory_bytes=None if free_memory_bytes is None else int(free_memory_bytes * 0.8),
            max_disk_bytes=None if free_disk_bytes is None else int(free_disk_bytes * 0.9),
        )

    def check(self, cost: Cost) -> None:
        """Raises InputError with the remedy where a cost is over a limit."""
        if cost.frames > self.max_frames:
            raise InputError(
                f"frames: this machine takes at most {self.max_frames:,} per job, got {cost.frames:,}; "
                "choose shorter gaps or fewer frames per second."
            )
        if cost.seconds > self.max_seconds:
            raise InputError(
                f"time: this job would take about {duration_text(cost.seconds)}, the limit here is "
                f"{duration_text(self.max_seconds)}; choose a smaller size, shorter gaps or fewer frames per second."
            )
        if self.max_memory_bytes is not None and cost.memory_bytes > self.max_memory_bytes:
            raise InputError(
                f"memory: this job needs about {size_text(cost.memory_bytes)}, {size_text(self.max_memory_bytes)} "
                "may be used here now; choose a smaller size."
            )
        if self.max_disk_bytes is not None and cost.disk_bytes > self.max_disk_bytes:
            raise InputError(
                f"disk: this job needs about {size_text(cost.disk_bytes)}, {size_text(self.max_disk_bytes)} may be "
                "used here now; switch off the PNG frames, or choose a smaller size or a shorter video."
            )


def duration_text(seconds: float) -> str:
    """A duration for reading: "0.8 s", "42 s", "3 min 20 s", "2 h 05 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size_text(n_bytes: float) -> str:
    """A size for reading, in decimal units: "850 kB", "12 MB", "1.4 GB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.1f} {unit}" if n_bytes < 10 * scale else f"{n_bytes / scale:.0f} {unit}"
    return f"{max(1, n_bytes / 1e3):.0f} kB"


def _from_environment(name: str, default: float) -> float:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{name}: a number is needed in the environment, got '{text[:40]}'.") from None
    return number(value, name, low=1)
