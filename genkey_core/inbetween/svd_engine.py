"""The engines `mini` and `full`: Stable Video Diffusion with rotated temporal attention (thesis ch. 5) as native models.

`mini` is the small model that ships with this repository, in the same classes and the same folder layout as the Hub's;
it runs on the CPU and knows the little world it was trained on. `full` is the published 25-frame model on a GPU, with the
published backward weights carried over as a difference. Both are read once per process and shared: a clip is sampled
from beginning to end before the next one begins. torch is imported when sampling starts, so that the page opens without.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import hub, runtime
from ..checks import InputError, integer, shown
from . import svd_weights
from .duration import MAX_SEGMENTS
from .engines import Needs, Progress
from .sampling import PRESETS, SamplingOptions
from .settings import MEMORY, Settings

MINI_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "checkpoints" / "mini-svd"
MINI_DIFFERENCES = {"dual": "backward.safetensors", "no_rotation": "no-rotation.safetensors"}
MINI_PRESETS = {
    "quality": SamplingOptions(steps=25, recurrence=4),
    "fast": SamplingOptions(steps=12, recurrence=2),
}
FULL_FRAMES = 25
_PACKAGES = ("torch", "diffusers", "transformers")
_MINI_EVALUATION_S = 0.12  # of both directions, 8 frames of 64x64, on two cores
_FULL_EVALUATION_S = 3.0  # of both directions, 25 frames of 1024x576 in half precision, on an 80 GB card: an estimate
_SLOWER = {"40 GB": 1.0, "24 GB": 1.15, "16 GB": 1.4, "12 GB": 1.6}  # than with everything on the GPU: estimates
_FULL_AROUND_S = 15.0  # encoding and decoding one clip, and moving the weights
_LEASE_MARGIN = 1.3  # a lease that is too short is aborted and its quota lost; what is not used is given back


@dataclass(frozen=True)
class Request:
    """One clip to be sampled, in plain values: on ZeroGPU it is sent to another process."""

    folder: str  # of the model, in the Hub's layout
    difference: str | None  # file of the backward weights
    options: SamplingOptions
    n_frames: int
    seed: int
    memory: str = "auto"  # name of the memory mode
    device: str = "cpu"
    lease_s: float = 60.0  # the longest it may take on a GPU


class _StableVideoEngine:
    """What `mini` and `full` share."""

    name: str
    presets: dict[str, SamplingOptions]
    max_segments = MAX_SEGMENTS

    def __init__(self, settings: Settings):
        missing = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
        if missing:
            raise InputError(
                f"{self.name}: {', '.join(missing)} not installed here; install what requirements.txt lists, or choose "
                "the draft engine."
            )
        self.settings = settings

    @property
    def options(self) -> SamplingOptions:
        """How a clip is sampled, by the preset and the variant of the settings."""
        return replace(self.presets[self.settings.preset], variant=self.settings.variant)

    @property
    def two_sided(self) -> bool:
        """Whether the end keyframe has a say."""
        return self.options.two_sided

    def frame_counts(self) -> Sequence[int]:
        """From about half the number that the model was trained on, below which its clips fall apart, up to it."""
        most = self._native_frames()
        return range(max(2, most // 2 + 1), most + 1)

    def _share(self, n_frames: int | None) -> float:
        """The time of an evaluation over that of a clip of full length sampled from both sides."""
        length = (n_frames or self._native_frames()) / self._native_frames()
        return length * (1.0 if self.two_sided else 0.55)

    def _frames(self, n_frames: int | None) -> int:
        most = self._native_frames()
        return most if n_frames is None else integer(n_frames, "frames", low=2, high=most)

    def _native_frames(self) -> int:
        """The number of frames that the model was trained on, as its folder says."""
        folder = self._folder()
        if folder is None:
            return FULL_FRAMES
        try:
            return int(json.loads((folder / "unet" / "config.json").read_text())["num_frames"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.name}: {shown(folder.name)} is incomplete or damaged; delete it and fetch it again."
            ) from error

    def _folder(self) -> Path | None:
        """Where the model lies; None where it is not here yet."""
        raise NotImplementedError


class Mini(_StableVideoEngine):
    """The bundled small model, on the CPU: it takes no GPU and no quota, and gives the same clip on every machine.

    `folder` is another model of the same layout, with the differences of MINI_DIFFERENCES in it. Raises InputError where
    the model, or the difference that the variant needs, is not there.
    """

    name, presets = "mini", MINI_PRESETS
    max_segments = 1  # its clips hold all the motion of its world, and a chain repeats what the first one gets wrong

    def __init__(self, settings: Settings, folder: str | Path | None = None):
        super().__init__(settings)
        self.folder = Path(folder or MINI_FOLDER)
        if not (self.folder / "model_index.json").is_file():
            raise InputError(
                f"mini: its checkpoint {self.folder.name} is not in assets/checkpoints; get this repository with its "
                "assets, or train one (docs/mini.md), or choose the draft engine."
            )
        name = MINI_DIFFERENCES.get(settings.variant)
        self.difference = None if name is None else self.folder / name
        if self.difference is not None and not self.difference.is_file():
            raise InputError(
                f"mini: the variant {settings.variant} needs {name} beside the model, and it is not there; choose "
                "another variant, or the draft engine."
            )

    def native(
        self, start: np.ndarray, end: np.ndarray, *, n_frames: int | None, seed: int
    ) -> Iterator[Progress | np.ndarray]:
        """As `engines.NativeModel`; the clip has the model's own size, for the mini model about 64x64."""
        difference = None if self.difference is None else str(self.difference)
        yield from sample(Request(str(self.folder), difference, self.options, self._frames(n_frames), seed), start, end)

    def needs(self, size: tuple[int, int], n_frames: int | None = None) -> Needs:
        """As `engines.NativeModel`; the clip has one size whatever that of the keyframes."""
        return Needs(
            evaluations=self.options.evaluations,
            evaluation_s=_MINI_EVALUATION_S * self._share(n_frames),
            around_s=1.0,
            once_s=0.0 if _is_read(self.folder, half=False) else 6.0,
            memory_bytes=900_000_000,
            notes=("mini knows only the small world it was trained on; use draft for photographs.",),
        )

    def _folder(self) -> Path:
        return self.folder


class Full(_StableVideoEngine):
    """The published 25-frame model on a GPU, with the published backward weights.

    Raises InputError where there is no GPU with room for it, where the variant has no published weights, and where
    the weights are not here and cannot be fetched.
    """

    name, presets = "full", PRESETS

    def __init__(self, settings: Settings):
        super().__init__(settings)
        if settings.variant == "no_rotation":
            raise InputError(
                "full: there are no published weights for the variant no_rotation; choose dual, no_finetuning, "
                "time_reversal or forward, or the mini engine."
            )
        self.device = runtime.best_device()
        self.mode = _memory_mode(settings.memory, self.device)
        svd_weights.check_fetchable(settings.variant)

    def native(
        self, start: np.ndarray, end: np.ndarray, *, n_frames: int | None, seed: int
    ) -> Iterator[Progress | np.ndarray]:
        """As `engines.NativeModel`; about as many pixels as 1024x576, in the keyframes' aspect to the next 64 pixels.

        Keyframes wider than 4:1 or taller than 1:4 are squeezed to that for the model, and its clip is stretched back.
        """
        from .svd_shelf import shelf

        total = self.options.evaluations
        for note in svd_weights.fetched(self.settings.variant):
            yield Progress(0, total, note=note)
        folder = self._folder()
        n_frames = self._frames(n_frames)
        if runtime.on_zero_gpu():  # before the lease, so that reading the files takes none of it; the lease is a fork
            yield Progress(0, total, note="loading the model")
            shelf(str(folder), half=True)
        difference = str(svd_weights.difference_file()) if self.settings.variant == "dual" else None
        memory, lease_s = self.settings.memory, self._lease_s(n_frames)
        request = Request(str(folder), difference, self.options, n_frames, seed, memory, self.device, lease_s)
        yield from sample_on_gpu(request, start, end)

    def needs(self, size: tuple[int, int], n_frames: int | None = None) -> Needs:
        """As `engines.NativeModel`; the clip has about one size whatever that of the keyframes."""
        return Needs(
            evaluations=self.options.evaluations,
            evaluation_s=self._evaluation_s(n_frames),
            around_s=_FULL_AROUND_S,
            once_s=0.0 if _is_read(self._folder(), half=True) else 30.0,
            memory_bytes=10**10,
            lease_s=self._lease_s(n_frames),
            download_bytes=svd_weights.download_bytes(self.settings.variant),
            memory_mode=self.mode,
        )

    def _evaluation_s(self, n_frames: int | None) -> float:
        return _FULL_EVALUATION_S * _SLOWER[self.mode] * self._share(n_frames)

    def _lease_s(self, n_frames: int | None) -> float:
        return _LEASE_MARGIN * (self.options.evaluations * self._evaluation_s(n_frames) + _FULL_AROUND_S)

    def _folder(self) -> Path | None:
        return hub.cached("svd-xt")


def full_is_ready() -> bool:
    """Whether `full` could start at once: its weights are here, and a GPU has room. Loads torch only where they are."""
    if hub.cached("svd-xt") is None or not svd_weights.difference_file().is_file():
        return False
    try:
        Full(Settings())
    except InputError:
        return False
    return True


def _memory_mode(wanted: str, device: str) -> str:
    """The name of the memory mode in which the full model will run: the one wanted, or the fastest that fits."""
    if device == "cpu":
        raise InputError("full: a GPU is needed, and this machine has none; choose the draft engine, or mini.")
    from .svd import MEMORY_MODES, memory_mode_for
    from .svd_shelf import mode_on

    if wanted == "auto":
        return (mode_on(device) or memory_mode_for(device)).name
    allowed = MEMORY[MEMORY.index(wanted) :]
    return next(mode.name for mode in MEMORY_MODES if mode.name in allowed)


def _is_read(folder: Path | None, *, half: bool) -> bool:
    """Whether the model in `folder` is in memory already; what could hold it is not imported for that."""
    shelf = sys.modules.get(f"{__package__}.svd_shelf")
    return shelf is not None and shelf.holds(str(folder), half=half)


def _gpu_seconds(request: Request, start: np.ndarray, end: np.ndarray) -> float:
    return math.ceil(request.lease_s)


def sample(request: Request, start: np.ndarray, end: np.ndarray) -> Iterator[Progress | np.ndarray]:
    """Sample one clip; Progress records and last the clip, uint8 [T h w 3]. Raises InputError."""
    from .svd_shelf import sampled

    yield from sampled(request, start, end)


sample_on_gpu = runtime.gpu(duration=_gpu_seconds)(sample)
