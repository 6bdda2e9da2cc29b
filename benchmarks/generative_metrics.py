"""FID, FVD, PSNR and LPIPS of made clips against true ones, through torchmetrics (thesis section 5.4.2).

Both Fréchet distances are torchmetrics' (Heusel et al. 2017): FID over the features of single frames, FVD (Unterthiner
et al. 2018) over the features of whole clips. The features are injected: any function from a batch of uint8 pictures
[N 3 H W], or clips [N T 3 H W], to [N D]. torchmetrics is optional: it is imported when a metric is first made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genkey_core.checks import InputError, choice, shown

if TYPE_CHECKING:
    from torch import Tensor

METRICS = ("fid", "fvd", "psnr", "lpips")
NEEDS = {
    "fid": "pip install torchmetrics torch-fidelity (or give --frame-features)",
    "fvd": "pip install torchmetrics, and --video-features",
    "psnr": "pip install torchmetrics",
    "lpips": "pip install torchmetrics torchvision",
}
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Features = Callable[["Tensor"], "Tensor"]


class Comparison:
    """Adds up clips and gives the metrics of all of them; one per engine."""

    def __init__(
        self,
        metrics: Sequence[str],
        *,
        frame_features: Features | None = None,
        video_features: Features | None = None,
        device: str = "cpu",
    ):
        """frame_features None is torchmetrics' own Inception v3; the video features have no usual weights to fetch.

        Raises InputError that says what to install or to give where a metric cannot be made here.
        """
        for name in metrics:
            choice(name, "metric", METRICS)
        if "fvd" in metrics and video_features is None:
            raise InputError(
                "fvd: features of videos are needed; give --video-features, or leave fvd out with --metrics."
            )
        self.device, self.n_clips, self.n_frames = device, 0, 0
        self._metrics = {}
        for name in METRICS:
            if name in metrics:
                self._metrics[name] = _made(name, {"fid": frame_features, "fvd": video_features}.get(name), device)

    def add(self, made: np.ndarray, truth: np.ndarray) -> None:
        """One clip, uint8 [T H W 3], T >= 3, whose first and last frames were given: frame metrics leave these out."""
        if made.shape != truth.shape or made.dtype != np.uint8 or made.ndim != 4 or len(made) < 3:
            raise InputError(f"clips: two uint8 [T H W 3] of one shape are needed, got {made.shape} and {truth.shape}.")
        ours, theirs = (self._tensor(clip) for clip in (made, truth))
        self.n_clips += 1
        self.n_frames += len(made) - 2
        for name, metric in self._metrics.items():
            if name == "fvd":
                metric.update(theirs[None], real=True)
                metric.update(ours[None], real=False)
            elif name == "fid":
                metric.update(theirs[1:-1], real=True)
                metric.update(ours[1:-1], real=False)
            elif name == "psnr":
                metric.update(ours[1:-1].float(), theirs[1:-1].float())
            else:
                metric.update(*(frames[1:-1].float() / 127.5 - 1 for frames in (ours, theirs)))

    def results(self) -> dict[str, float]:
        """The metrics over all clips; raises InputError for fewer than two, which have no spread."""
        if self.n_clips < 2:
            raise InputError(f"clips: at least 2 are needed for a comparison, got {self.n_clips}.")
        return {name: float(metric.compute()) for name, metric in self._metrics.items()}

    def _tensor(self, clip: np.ndarray) -> Tensor:  # uint8 [T H W 3] -> uint8 [T 3 H W]
        import torch

        return torch.as_tensor(np.ascontiguousarray(clip)).movedim(-1, -3).to(self.device)


def _made(name: str, features: Features | None, device: str):
    """torchmetrics' metric of that name; InputError says what is missing for it."""
    try:
        from torchmetrics.image import PeakSignalNoiseRatio
        from torchmetrics.image.fid import FrechetInceptionDistance
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
    except ImportError as error:
        raise InputError(f"{name}: torchmetrics is not installed; {NEEDS[name]}.") from error
    try:
        if name == "psnr":  # frame by frame, then the mean over frames
            return PeakSignalNoiseRatio(data_range=255.0, reduction="elementwise_mean", dim=(1, 2, 3)).to(device)
        if name == "lpips":
            return LearnedPerceptualImagePatchSimilarity(net_type="alex").to(device)
        if features is None:
            return FrechetInceptionDistance(feature=2048).to(device)
    except ModuleNotFoundError as error:
        raise InputError(f"{name}: a package for it is not installed; {NEEDS[name]}.") from error
    return _Frechet(features, FrechetInceptionDistance)


class _Frechet:
    """torchmetrics' Fréchet distance over injected features, made when the first of these show how many there are."""

    def __init__(self, features: Features, distance: type):
        self._features, self._distance, self._metric = features, distance, None

    def update(self, batch: Tensor, *, real: bool) -> None:
        import torch

        with torch.no_grad():
            found = self._features(batch)
        if found.ndim != 2 or len(found) != len(batch) or not found.isfinite().all():
            raise InputError(f"features: finite [{len(batch)} D] are needed, got {list(found.shape)}.")
        if self._metric is None:
            passed_on = torch.nn.Identity()
            passed_on.num_features = found.shape[1]
            self._metric = self._distance(feature=passed_on, normalize=True).to(found.device)
        self._metric.update(found.double(), real=real)

    def compute(self) -> Tensor:
        return self._metric.compute()


def torchscript_features(path: Path, *, device: str, options: str = "{}", clips: bool) -> Features:
    """Features from a TorchScript file, called with float32 in 0 to 255: pictures [N 3 H W], or clips [N 3 T H W].

    `options` is a JSON object of further arguments; the widespread I3D file of FVD wants
    {"rescale": true, "resize": true, "return_features": true}. Raises InputError for a file that cannot be read.
    """
    import torch

    try:
        arguments = json.loads(options)
    except json.JSONDecodeError as error:
        raise InputError(f"features: the options must be a JSON object, got {shown(options)}.") from error
    if not isinstance(arguments, dict):
        raise InputError(f"features: the options must be a JSON object, got {shown(options)}.")
    try:
        module = torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(f"features: {shown(path.name)} cannot be read as a TorchScript file.") from error

    def features(batch: Tensor) -> Tensor:
        ordered = batch.transpose(1, 2) if clips else batch
        try:
            return module(ordered.float(), **arguments)
        except (RuntimeError, TypeError) as error:
            raise InputError(f"features: {shown(path.name)} refused its input ({shown(str(error), 120)}).") from error

    return features


def videomae_features(folder: Path, *, device: str) -> Features:
    """Features of clips from a VideoMAE model (Tong et al. 2022) in `folder`: its tokens' mean, over evenly spaced frames.

    Distances over these are not comparable with published FVDs, which are over I3D's. Raises InputError for
    another folder.
    """
    import torch
    from torch.nn import functional
    from transformers import VideoMAEModel

    try:
        model = VideoMAEModel.from_pretrained(folder, local_files_only=True).eval().to(device)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"features: {shown(folder.name)} holds no VideoMAE model.") from error
    n_frames, size = model.config.num_frames, model.config.image_size
    mean, deviation = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in _IMAGENET)

    def features(batch: Tensor) -> Tensor:  # [N T 3 H W]
        chosen = np.linspace(0, batch.shape[1] - 1, n_frames).round().astype(int)
        frames = batch[:, chosen].flatten(0, 1).float() / 255
        frames = functional.interpolate(frames, (size, size), mode="bilinear", antialias=True)
        normed = ((frames - mean) / deviation).unflatten(0, (len(batch), n_frames))
        return model(normed).last_hidden_state.mean(1)

    return features


def video_features(path: Path, *, device: str, options: str = "{}") -> Features:
    """Features of clips from what the user gave: a TorchScript file, or the folder of a VideoMAE model."""
    if path.is_dir():
        return videomae_features(path, device=device)
    if not path.is_file():
        raise InputError(f"features: there is no file or folder {shown(path.name)}.")
    return torchscript_features(path, device=device, options=options, clips=True)
