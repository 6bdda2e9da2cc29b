"""The text-guided engines: Wan and LTX-Video between two keyframes, with a prompt that says what happens.

`Wan(settings)` and `LTX(settings)` are native models of the in-between method: `native` yields Progress and, last, one clip
at the model's own size, frame 0 like the start, the last frame like the end. Making one checks what can be checked at no
cost (GPU, memory mode, packages) and loads nothing; torch and diffusers are imported when the first clip is made.
LTX-2, which diffusers knows as well, is not here: 19 billion weights and a soundtrack that in-betweening has no use for.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import hub, runtime
from ..checks import InputError
from .duration import MAX_SEGMENTS
from .engines import Needs, Progress
from .text_specs import (
    LTX_SPEC,
    NEUTRAL_PROMPT,
    SPECS,
    WAN_SPEC,
    TextMode,
    TextSpec,
    check_packages,
    choose_text_mode,
    smaller_text_mode,
    text_size,
)

if TYPE_CHECKING:
    from .settings import Settings
    from .text_pipeline import TextVideo

_LEASE_SLACK = 1.5  # a lease that is too short is spent for nothing; what is left of a long one comes back


@dataclass(frozen=True)
class _Clip:
    """All that the process with the GPU has to know, in plain values."""

    kind: str
    folder: str
    device: str
    memory: str  # the name of a mode
    prompt: str
    size: tuple[int, int]
    n_frames: int
    steps: int
    seed: int
    gpu_s: float  # estimated


def _lease_s(clip: _Clip, start: np.ndarray, end: np.ndarray) -> float:
    return clip.gpu_s * _LEASE_SLACK


@runtime.gpu(duration=_lease_s)
def _sample(clip: _Clip, start: np.ndarray, end: np.ndarray) -> Iterator[Progress | np.ndarray]:
    """One clip on the GPU; plain arrays in and out, and the model from `_held_model`, which a forked process inherits."""
    model = _held_model(clip)
    yield from model.clip(
        start,
        end,
        prompt=clip.prompt,
        size=clip.size,
        n_frames=clip.n_frames,
        steps=clip.steps,
        seed=clip.seed,
    )


_held: dict[tuple, TextVideo] = {}  # at most one: two such models fit into few machines
_holding = threading.Lock()


def _held_model(clip: _Clip) -> TextVideo:
    """The loaded model, shared by all jobs of this process; another one is dropped for it."""
    from .text_pipeline import load

    key = (clip.kind, clip.folder, clip.device, clip.memory)
    if (held := _held.get(key)) is not None:  # without the lock, which a forked process may inherit locked
        return held
    with _holding:
        if key not in _held:
            _held.clear()
            gc.collect()
            mode = next(mode for mode in SPECS[clip.kind].modes if mode.name == clip.memory)
            _held[key] = load(clip.folder, clip.kind, device=clip.device, memory=mode)
        return _held[key]


class _TextModel:
    """What both models share; see `Wan` and `LTX`."""

    spec: TextSpec
    max_segments = MAX_SEGMENTS

    def __init__(self, settings: Settings, *, folder: str | Path | None = None, device: str | None = None):
        """Check `settings` (prompt, preset, memory) and this machine; nothing is loaded or fetched.

        An empty prompt stands for a neutral one: one continuous shot that changes smoothly from the first picture to the
        last. `folder` is a local copy in the Hub's layout, otherwise the published checkpoint is used. `device` is the
        best one here; a CPU is taken only where it is asked for by name. Raises InputError.
        """
        settings = settings.checked()
        check_packages(("diffusers", "transformers", *self.spec.packages), self.spec.name)
        self.prompt = settings.prompt or NEUTRAL_PROMPT
        self.preset = self.spec.presets[settings.preset]
        self.device = runtime.best_device() if device is None else device
        self.memory: TextMode = (
            self.spec.modes[0] if device == "cpu" else choose_text_mode(self.spec, self.device, settings.memory)
        )
        self._wanted = settings.memory
        self._folder = None if folder is None else Path(folder)

    @property
    def name(self) -> str:
        return self.spec.name

    def frame_counts(self) -> tuple[int, ...]:
        """How many frames a clip can have."""
        return self.spec.frame_counts

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The size (W, H) at which keyframes of this size are worked on."""
        return text_size(self.spec, width, height, min(self.preset.pixels, self.memory.pixels or self.preset.pixels))

    def gpu_seconds(self, width: int, height: int, n_frames: int | None = None) -> float:
        """Estimated seconds on a GPU for one gap between keyframes of this size."""
        frames = self.spec.nearest_frames(n_frames)
        return self.spec.seconds(self.preset, self.memory, self.size(width, height), frames)

    def needs(self, size: tuple[int, int], n_frames: int | None = None) -> Needs:
        """What one clip between keyframes of `size` (W, H) needs here; all of its time is counted as that of the steps."""
        gpu_s, steps = self.gpu_seconds(*size, n_frames), self.preset.steps
        shrunk = (f"The weights are shrunk to {self.memory.bits} bits.",) if self.memory.bits < 16 else ()
        return Needs(
            evaluations=steps,
            evaluation_s=gpu_s / steps,
            memory_bytes=int(self.memory.ram_gb * 1e9),
            lease_s=gpu_s * _LEASE_SLACK,
            download_bytes=self.download_bytes(),
            memory_mode=self.memory.name,
            notes=shrunk,
        )

    def download_bytes(self) -> int:
        """About how much has to be fetched before the first clip; 0 where all is here. Asks no network."""
        if self._folder is not None or hub.cached(self.spec.checkpoint) is not None:
            return 0
        return hub.checkpoint(self.spec.checkpoint).size_bytes or 0

    def native(
        self, start: np.ndarray, end: np.ndarray, *, n_frames: int | None = None, seed: int
    ) -> Iterator[Progress | np.ndarray]:
        """Yield Progress and, last, one clip uint8 [T h w 3] from `start` to `end`, uint8 [H W 3] of one size.

        `n_frames` goes to the nearest number that the model makes. Closing it stops the download (which is resumed by the
        next call) or the model, at the end of its step. Where memory runs out in the mode "auto", the clip is begun anew
        in the next smaller one and a Progress says so. Raises InputError: DownloadError, svd.OutOfMemoryError that names
        a smaller mode, sampling.NotFiniteError, an incomplete folder, a black clip.
        """
        if start.shape != end.shape:
            raise InputError(f"{self.name}: both keyframes must have one size, got {start.shape} and {end.shape}.")
        frames = self.spec.nearest_frames(n_frames)
        folder = yield from self._fetched()
        while True:
            try:
                return (yield from self._clip(folder, start, end, frames, seed))
            except InputError as error:
                if (smaller := self._smaller_mode_after(error)) is None:
                    raise
            self.memory = smaller  # for the next clips, too
            note = f"memory ran out; going on in the {smaller.name} mode"
            yield Progress(0, self.preset.steps, note=note, lasting=True)

    def _clip(self, folder: Path, start: np.ndarray, end: np.ndarray, frames: int, seed: int):
        """One clip in the memory mode there is now."""
        height, width = start.shape[:2]
        clip = _Clip(
            kind=self.name,
            folder=str(folder),
            device=self.device,
            memory=self.memory.name,
            prompt=self.prompt,
            size=self.size(width, height),
            n_frames=frames,
            steps=self.preset.steps,
            seed=seed,
            gpu_s=self.gpu_seconds(width, height, frames),
        )
        yield Progress(0, self.preset.steps, note=f"loading {self.name}")
        if self.memory.bits == 16 or not runtime.on_zero_gpu():  # weights are shrunk where a GPU is
            _held_model(clip)
        yield from _sample(clip, start, end)

    def _smaller_mode_after(self, error: InputError) -> TextMode | None:
        """The mode to go on in after `error`: none unless memory ran out in a mode that nobody had asked for."""
        from .svd import OutOfMemoryError

        if not isinstance(error, OutOfMemoryError) or self._wanted != "auto":
            return None
        return smaller_text_mode(self.spec, self.memory, self.device)

    def _fetched(self):
        """Yield Progress while the checkpoint is fetched; returns its folder."""
        if self._folder is not None:
            return self._folder
        checkpoint, steps = self.spec.checkpoint, self.preset.steps
        if (folder := hub.cached(checkpoint)) is not None:
            return folder
        for percent, total in hub.fetching(checkpoint):
            yield Progress(0, steps, note=f"fetching {checkpoint}: {percent} % of {total / 1e9:.1f} GB")
        return hub.fetch(checkpoint)


class Wan(_TextModel):
    """Wan 2.1 FLF2V, 14 billion weights: the better motion, minutes per clip; 4k + 1 frames up to 81 at 16 fps."""

    spec = WAN_SPEC


class LTX(_TextModel):
    """LTX-Video 0.9.5, 2 billion weights: quick; 8k + 1 frames up to 161 at 25 fps."""

    spec = LTX_SPEC
