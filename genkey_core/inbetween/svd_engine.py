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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import hub, runtime
from ..checks import InputError, integer, shown
from .engines import Needs, Progress
from .sampling import PRESETS, SamplingOptions
from .settings import MEMORY, Settings
from .worker import streamed

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
        """Any number up to the one the model was trained on."""
        return range(2, self._native_frames() + 1)

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

    def needs(self) -> Needs:
        """As `engines.NativeModel`."""
        sides = 1.0 if self.two_sided else 0.55
        return Needs(
            evaluations=self.options.evaluations,
            evaluation_s=_MINI_EVALUATION_S * sides,
            gap_s=1.0,
            once_s=6.0,
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
        for checkpoint in self._absent():
            _can_be_fetched(hub.checkpoint(checkpoint))

    def native(
        self, start: np.ndarray, end: np.ndarray, *, n_frames: int | None, seed: int
    ) -> Iterator[Progress | np.ndarray]:
        """As `engines.NativeModel`; about 1024x576 pixels, in the keyframes' aspect between 1:4 and 4:1."""
        from .svd_shelf import shelf

        yield from self._fetched()
        folder = self._folder()
        n_frames = self._frames(n_frames)
        if runtime.on_zero_gpu():  # before the lease, so that reading the files takes none of it; the lease is a fork
            yield Progress(0, self.options.evaluations, note="loading the model")
            shelf(str(folder), half=True)
        difference = str(difference_file()) if self.settings.variant == "dual" else None
        lease_s = self._lease_s() * max(0.3, n_frames / FULL_FRAMES)
        request = Request(
            str(folder), difference, self.options, n_frames, seed, self.settings.memory, self.device, lease_s
        )
        yield from sample_on_gpu(request, start, end)

    def needs(self) -> Needs:
        """As `engines.NativeModel`."""
        absent = self._absent()
        size = sum(hub.checkpoint(name).size_bytes or 0 for name in absent if name == "svd-xt")
        size += _DIFFERENCE_BYTES if "svd-backward" in absent else 0
        return Needs(
            evaluations=self.options.evaluations,
            evaluation_s=self._evaluation_s(),
            gap_s=_FULL_AROUND_S,
            once_s=30.0,
            memory_bytes=10**10,
            lease_s=self._lease_s(),
            download_bytes=size,
            memory_mode=self.mode,
        )

    def _evaluation_s(self) -> float:
        return _FULL_EVALUATION_S * _SLOWER[self.mode] * (1.0 if self.two_sided else 0.55)

    def _lease_s(self) -> float:
        return _LEASE_MARGIN * (self.options.evaluations * self._evaluation_s() + _FULL_AROUND_S)

    def _folder(self) -> Path | None:
        return hub.cached("svd-xt")

    def _absent(self) -> list[str]:
        """The checkpoints that this variant needs and that are not here."""
        absent = [] if hub.cached("svd-xt") else ["svd-xt"]
        if self.settings.variant == "dual" and not difference_file().is_file():
            absent += ["svd-backward", "svd"]
        return absent

    def _fetched(self) -> Iterator[Progress]:
        """Bring what is absent; closing the generator stops the transfer, which is taken up again next time."""
        absent = self._absent()
        if not absent:
            return

        def work(say) -> None:
            def report(done: int, total: int, file: str) -> None:
                say(
                    Progress(
                        0, self.options.evaluations, note=f"fetching {file}: {done / 1e6:.0f} of {total / 1e6:.0f} MB"
                    )
                )

            if "svd-xt" in absent:
                hub.fetch("svd-xt", progress=report)
            if "svd-backward" in absent:
                from .delta import published_delta, save_delta

                save_delta(published_delta(progress=report), difference_file())

        yield from streamed(work)


_DIFFERENCE_BYTES = 200_000_000  # of the tensors fetched for it, from two files: an estimate


def difference_file() -> Path:
    """Where the published backward weights are kept as a difference, among the Hub's assets (HF_HOME/assets)."""
    from huggingface_hub import cached_assets_path, constants

    tuned, base = hub.checkpoint("svd-backward"), hub.checkpoint("svd")
    folder = cached_assets_path(
        "genkey_core", namespace=tuned.repo_id, subfolder=tuned.revision, assets_dir=constants.HF_ASSETS_CACHE
    )
    return folder / f"difference-to-{base.revision[:12]}.safetensors"


def full_is_ready() -> bool:
    """Whether `full` could start at once: its weights are here, and a GPU has room. Loads torch only where they are."""
    if hub.cached("svd-xt") is None or not difference_file().is_file():
        return False
    try:
        Full(Settings())
    except InputError:
        return False
    return True


def _can_be_fetched(entry: hub.Checkpoint) -> None:
    """Raise InputError where asking the Hub is forbidden, or would need an account that is not there."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise InputError(
            f"{entry.name}: its weights are not here, and HF_HUB_OFFLINE forbids fetching them; unset it, or choose the "
            "draft engine."
        )
    if entry.gated and not get_token():
        raise InputError(
            f"{entry.name}: its weights are given to accounts that accepted the licence at {entry.licence_url}; do so and "
            "set HF_TOKEN, or choose the draft engine."
        )


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


def _gpu_seconds(request: Request, start: np.ndarray, end: np.ndarray) -> float:
    return math.ceil(request.lease_s)


def sample(request: Request, start: np.ndarray, end: np.ndarray) -> Iterator[Progress | np.ndarray]:
    """Sample one clip; Progress records and last the clip, uint8 [T h w 3]. Raises InputError."""
    from .svd_shelf import sampled

    yield from sampled(request, start, end)


sample_on_gpu = runtime.gpu(duration=_gpu_seconds)(sample)
