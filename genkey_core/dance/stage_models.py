"""The models that set up a dance's stage where a user wants them: SAM 2 for the masks, FLUX or SDXL for the mirrors (7.2.2).

Making a `StageModels` checks what can be checked at no cost and loads nothing; torch and diffusers are imported when the first
model is read. Everything that goes to a process with a GPU and comes back is plain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import runtime
from . import weights
from .plates import Scene, Segmenter
from .settings import Settings

STEPS = 28  # of sampling, per picture
MOST_PIXELS = 1024 * 1024  # that a picture is painted at
_UNIT = 16
_LEASE_SLACK = 1.3
_FIT_BYTES = 500_000_000  # of adapters of rank 16 and their optimiser's state, in single precision
INSTEAD = "choose the draft's mirrors"
INSTEAD_OF_SAM = "take the masks from the background plate"


@dataclass(frozen=True)
class StageNeeds:
    """What the models add to the cost of a dance."""

    seconds: float = 0.0
    gpu_s: float = 0.0  # of a lease
    memory_bytes: int = 0
    disk_bytes: int = 0
    download_bytes: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Doing:
    """What a model is doing, in words, and a picture that it has just painted."""

    said: str
    image: np.ndarray | None = None  # uint8 [H W 3]


@dataclass(frozen=True)
class _Task:
    """All that the process with the GPU has to know, in plain values."""

    kind: str
    folders: tuple[str, ...]
    device: str
    half: bool  # half precision
    subject: str
    background: str
    epochs: int
    size: tuple[int, int]
    seed: int
    kept: str  # the folder that the fit is kept in
    gpu_s: float


def _lease_s(task: _Task, scene: Scene) -> float:
    return task.gpu_s * _LEASE_SLACK


@runtime.gpu(duration=_lease_s)
def _redrawn(task: _Task, scene: Scene) -> Iterator[Doing | Scene]:
    """Fit a painter to the keyframes and paint them and their mirrors; what is done, last the Scene of 2K pictures."""
    import torch

    from .mirror_full import RedrawOptions, redraw
    from .mirror_models import read_painter

    dtype = torch.bfloat16 if task.half else torch.float32
    painter = read_painter(task.kind, *task.folders, dtype=dtype, device=task.device)
    told = ("subject", "background", "epochs", "size", "seed")
    options = RedrawOptions(steps=STEPS, **{name: getattr(task, name) for name in told})
    for step in redraw(painter, scene, options=options, folder=task.kept):
        if step.stage == "fit":
            yield Doing(
                f"fitting {task.kind} to the keyframes, step {step.index} of {step.total}, loss {step.loss:.3f}"
            )
        else:
            yield Doing(f"painting keyframes and mirrors anew, {step.index} of {step.total}", step.picture)
    yield step.scene


class StageModels:
    """The models that `settings` ask for; see the module."""

    def __init__(
        self, settings: Settings, *, folders: Mapping[str, tuple[Path, ...]] | None = None, device: str | None = None
    ):
        """Check this machine. `folders` are local copies in the Hub's layout by the name of the choice (flux and sdxl: the
        model's and its ControlNet's; sam2: one), otherwise the published checkpoints are used. `device` is the best one here;
        a CPU paints only where it is asked for by name. Raises InputError."""
        self.settings = settings
        self._device = device or "cpu"
        self._parts = {}
        for name, instead in ((settings.masks, INSTEAD_OF_SAM), (settings.mirrors, INSTEAD)):
            if name in weights.SPECS:
                spec = weights.SPECS[name]
                if device is None:
                    self._device = runtime.best_device()
                    weights.check_machine(spec, self._device, instead=instead)
                given = (folders or {}).get(name)
                self._parts[name] = weights.parts_of(spec) if given is None else given

    def needs(self, n_keyframes: int, size: tuple[int, int]) -> StageNeeds:
        """What setting up `n_keyframes` of `size` (W, H) with the models needs here; raises InputError where weights are
        neither here nor to be had, or the lease would be longer than any."""
        seconds = memory = download = gpu_s = 0.0
        notes = []
        if "sam2" in self._parts:
            spec = weights.SPECS["sam2"]
            seconds += spec.load_s + 3.0 * n_keyframes
            memory += spec.ram_gb * 1e9
            download += weights.missing_bytes(self._parts["sam2"], instead=INSTEAD_OF_SAM)
        if (name := self.settings.mirrors) in self._parts:
            gpu_s = self._gpu_s(n_keyframes, size)
            seconds += gpu_s
            memory += weights.SPECS[name].ram_gb * 1e9
            download += weights.missing_bytes(self._parts[name], instead=INSTEAD)
            if runtime.on_zero_gpu():
                runtime.lease_seconds(gpu_s * _LEASE_SLACK)
            notes.append(
                f"{name} is fitted to the keyframes in {self.settings.epochs * n_keyframes} steps and paints all anew; its"
                " time is an estimate for an A100. The fit is kept for the next dance of these keyframes."
            )
        disk = _FIT_BYTES if gpu_s else 0
        return StageNeeds(seconds, gpu_s, int(memory), disk, int(download), tuple(notes))

    def segmenter(self) -> Iterator[str | Segmenter | None]:
        """What betters the draft's masks, or None: words, last it."""
        if "sam2" not in self._parts:
            yield None
            return
        from .sam import read_segmenter

        for item in weights.brought(self._parts["sam2"]):
            if isinstance(item, str):
                yield item
            else:
                device = "cpu" if runtime.on_zero_gpu() else self._device
                yield read_segmenter(item[0], device=device)

    def redrawn(self, scene: Scene, kept: Path) -> Iterator[Doing | Scene]:
        """The scene of K keyframes as one of 2K, painted anew; the fit is kept in the folder `kept`."""
        s = self.settings
        for item in weights.brought(self._parts[s.mirrors]):
            if isinstance(item, str):
                yield Doing(item)
            else:
                folders = item
        k, h, w = scene.images.shape[:3]
        task = _Task(
            kind=s.mirrors,
            folders=tuple(map(str, folders)),
            device=self._device,
            half=self._device != "cpu",
            subject=s.subject,
            background=s.background,
            epochs=s.epochs,
            size=painted_size(w, h),
            seed=s.seed,
            kept=str(kept),
            gpu_s=self._gpu_s(k, (w, h)),
        )
        yield Doing(f"loading {s.mirrors}")
        yield from _redrawn(task, scene)

    def _gpu_s(self, n: int, size: tuple[int, int]) -> float:
        spec, megapixels = weights.SPECS[self.settings.mirrors], math.prod(painted_size(*size)) / 1e6
        return spec.load_s + n * self.settings.epochs * spec.fit_s + 2 * n * STEPS * spec.paint_s * megapixels


def painted_size(width: int, height: int) -> tuple[int, int]:
    """(W, H) at which keyframes are painted: their own in multiples of 16, up to a megapixel."""
    scale = min(1.0, math.sqrt(MOST_PIXELS / (width * height)))
    return tuple(max(4, round(side * scale / _UNIT)) * _UNIT for side in (width, height))
