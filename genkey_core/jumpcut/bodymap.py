"""Where the learned engine's body maps come from: a file that belongs to the video, or DensePose (thesis 4.2.1).

A body-map file is an `.npz` of plain arrays, one entry per frame of the video on its constant rate:

    iuv        uint8 [T h w 3]: part number 0..24 (0: nobody), 255 U, 255 V; h x w has the video's shape, any size
    landmarks  float [T L 3], optional: x, y as shares of width and height (0: left or upper edge), 1 where visible
    fps        optional: the rate of the maps, where it is not the video's

A source answers `bodies(frames)` for (number, picture) pairs with one `Body` each.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from .. import hub, runtime
from ..checks import InputError, number, shown
from ..cost import size_text
from . import keypoints

MAX_BYTES = 1_500_000_000  # of a file's arrays, unpacked: ten minutes of 128 x 128 at 25 frames/s
MAX_LANDMARKS = 1000
DENSEPOSE = "densepose"  # its name in hub.CHECKPOINTS
DETECT_SIDE = 720  # long side, pixels, that DensePose is shown
DETECT_S = {True: 0.3, False: 4.0}  # seconds a frame, on a GPU and on processors: estimates, it has not run here
_LEASE_S = 20.0  # for loading it on a lent GPU


@dataclass(frozen=True)
class Body:
    """The body map of one frame, at any size."""

    iuv: np.ndarray  # uint8 or float32 [h w 3], as `keypoints.body_map` takes it
    landmarks: np.ndarray | None = None  # float32 [L 3]: x and y as shares of the picture, 1 where visible

    def points(self, *, n: int, width: int, height: int) -> np.ndarray:  # -> [K + L 5]
        """Keypoints in pixels of a picture of that size, `n` cells a side (see keypoints.py)."""
        rows, columns = self.iuv.shape[:2]
        found = keypoints.extract(self.iuv, n=n)
        placed = keypoints.scaled(found, x=width / columns, y=height / rows)
        if self.landmarks is None:
            return placed
        marks = self.landmarks * (width, height, 1) - (0.5, 0.5, 0)
        return np.concatenate([placed, keypoints.landmark_points(marks)])

    def silhouette(self, *, width: int, height: int) -> np.ndarray:  # -> [height width] bool
        """Where the upper body is, on a picture of that size."""
        there = np.isin(self.iuv[..., 0], keypoints.PARTS).astype(np.uint8)
        return cv2.resize(there, (width, height), interpolation=cv2.INTER_NEAREST) > 0


class BodySource(Protocol):
    """Body maps by frame."""

    what: str  # for a recipe and for people

    def bodies(self, frames: Sequence[tuple[int, np.ndarray]]) -> Iterator[Body]:
        """One Body per (number, uint8 [H W 3]) pair, in order."""

    def seconds(self, n_frames: int) -> float:
        """How long so many take on this machine, about."""


class BodyFile:
    """The maps in an `.npz` file (above), for a video of `n_frames` frames at `fps`.

    Raises InputError where the file is none, is too large, does not cover the video, or breaks the format.
    """

    what = "body-map file"

    def __init__(self, path: str | os.PathLike, *, n_frames: int, fps: float):
        arrays = _read(Path(path))
        self.iuv, self.landmarks = arrays["iuv"], arrays.get("landmarks")
        self.rate = fps
        if "fps" in arrays:
            self.rate = number(float(arrays["fps"].reshape(-1)[0]), "body map, fps", low=0.1, high=1000)
        self._step = self.rate / fps
        covered = int((len(self.iuv) + 1) / self._step)  # one frame short is rounding
        if covered < n_frames:
            raise InputError(
                f"body map: {len(self.iuv)} maps at {self.rate:g} a second are too few for this video of {n_frames} "
                f"frames at {fps:.4g}; make it from this very video."
            )

    @property
    def n_landmarks(self) -> int:
        return 0 if self.landmarks is None else self.landmarks.shape[1]

    def bodies(self, frames: Sequence[tuple[int, np.ndarray]]) -> Iterator[Body]:
        """As `BodySource`; the nearest map in time."""
        for index, _ in frames:
            at = min(round(index * self._step), len(self.iuv) - 1)
            yield Body(self.iuv[at], None if self.landmarks is None else self.landmarks[at])

    def seconds(self, n_frames: int) -> float:
        return 0.0


def _read(path: Path) -> dict[str, np.ndarray]:
    """The file's arrays, refused by their headers where they would not fit: a small file can unpack to a huge one."""
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
        if total > MAX_BYTES:
            raise InputError(
                f"body map: {shown(path.name)} unpacks to {size_text(total)}, {size_text(MAX_BYTES)} are taken; "
                "smaller maps (128 pixels a side are enough) or a shorter video will do."
            )
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ("iuv", "landmarks", "fps") if name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"body map: {shown(path.name)} is not an .npz file of plain arrays.") from error
    return _checked(arrays, path.name)


def _checked(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    if "iuv" not in arrays:
        raise InputError(f"body map: {shown(name)} holds no array named iuv.")
    iuv = arrays["iuv"]
    if iuv.ndim != 4 or iuv.shape[-1] != 3 or iuv.dtype != np.uint8 or not iuv.size:
        raise InputError(f"body map: iuv as uint8 [T h w 3] is needed, got {iuv.dtype} {list(iuv.shape)}.")
    if iuv[..., 0].max() > keypoints.DENSEPOSE_PARTS:
        raise InputError(
            f"body map: part numbers from 0 to {keypoints.DENSEPOSE_PARTS} are needed in iuv's first channel."
        )
    if "fps" in arrays and (arrays["fps"].size != 1 or arrays["fps"].dtype.kind not in "iuf"):
        raise InputError("body map: fps must be one number.")
    if "landmarks" in arrays:
        marks = arrays["landmarks"]
        if marks.ndim != 3 or len(marks) != len(iuv) or marks.shape[2] != 3 or marks.dtype.kind not in "iuf":
            raise InputError(
                f"body map: landmarks as numbers [{len(iuv)} L 3] are needed, got {marks.dtype} {list(marks.shape)}."
            )
        if marks.shape[1] > MAX_LANDMARKS:
            raise InputError(f"body map: at most {MAX_LANDMARKS} landmarks are taken, got {marks.shape[1]}.")
        seen = marks[marks[..., 2] > 0.5][:, :2].astype(np.float32)
        if seen.size and not (np.isfinite(seen).all() and np.abs(seen - 0.5).max() < 1.5):
            raise InputError(
                "body map: landmarks as shares of width and height, 0 to 1, are needed; these look like pixels."
            )
        arrays["landmarks"] = marks.astype(np.float32)
    return arrays


class DensePose:
    """Body maps by DensePose R50-FPN in TorchScript; without landmarks, which it does not find.

    `file` is a local copy, otherwise the published one is fetched at the first use. Raises InputError, before anything
    is fetched, where torchvision, whose operators the published one calls, is missing.
    """

    what = "DensePose R50-FPN"
    n_landmarks = 0

    def __init__(self, file: str | os.PathLike | None = None):
        import importlib.util

        if file is None and importlib.util.find_spec("torchvision") is None:
            raise InputError("DensePose: torchvision is needed to run it; pip install torchvision, or drop a body map.")
        self._file = None if file is None else Path(file)

    @property
    def download_bytes(self) -> int:
        """What has to be fetched before it can run."""
        here = self._file is not None or hub.cached(DENSEPOSE) is not None
        return 0 if here else hub.checkpoint(DENSEPOSE).size_bytes or 0

    def bodies(self, frames: Sequence[tuple[int, np.ndarray]]) -> Iterator[Body]:
        """As `BodySource`; pictures are shown to it at most DETECT_SIDE wide."""
        file = self._file or hub.fetch(DENSEPOSE) / hub.checkpoint(DENSEPOSE).files[0]
        for iuv in _detected(str(file), [_shown(image) for _, image in frames], runtime.best_device()):
            yield Body(iuv)

    def seconds(self, n_frames: int) -> float:
        return n_frames * DETECT_S[runtime.best_device() != "cpu"]


def _shown(image: np.ndarray) -> np.ndarray:
    scale = min(1.0, DETECT_SIDE / max(image.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image


def _lease(file: str, images: list[np.ndarray], device: str) -> float:
    return _LEASE_S + DETECT_S[True] * len(images)


@runtime.gpu(duration=_lease)
def _detected(file: str, images: list[np.ndarray], device: str) -> Iterator[np.ndarray]:
    """Body maps float32 [h w 3]; plain arrays in and out, since a lent GPU is another process."""
    if file not in _held:
        _held.clear()
        _held[file] = keypoints.load_densepose(file, device=device)
    for image in images:
        yield next(keypoints.detect(_held[file], image[None]))


_held: dict[str, object] = {}  # the model, for the next cut
