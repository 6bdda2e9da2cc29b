"""The network of 4.2.2 at one cut: a square of the picture, sources encoded once, frames painted from keypoints."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .. import media, runtime
from ..checks import InputError
from . import keypoints
from .bodymap import Body

if TYPE_CHECKING:
    from .networks import Memory, Synthesis

HEAD_SHARE, HEAD_PLACE = 0.37, (0.5, 0.38)  # root of the head's area, and its middle, in the training's square
_HEAD = (23, 24)  # its DensePose parts
_LEAST_TOLERANCE, _TOLERANCE = 8.0, 1.6  # grey levels; and over the network's own error, by which the draft may differ
_MIN_SIDE = 32  # pixels of a crop


@dataclass(frozen=True)
class Crop:
    """A square of the picture, in pixels."""

    left: int
    top: int
    side: int

    def of(self, image: np.ndarray) -> np.ndarray:
        """The square of a picture [H W ...], a view."""
        return image[self.top : self.top + self.side, self.left : self.left + self.side]

    def small(self, image: np.ndarray, size: int) -> np.ndarray:  # uint8 [size size 3]
        """The square at size x size."""
        kind = cv2.INTER_AREA if self.side > size else cv2.INTER_CUBIC
        return cv2.resize(self.of(image), (size, size), interpolation=kind)

    def points(self, body: Body, image: np.ndarray, *, n: int, size: int) -> np.ndarray:  # [K + L 5]
        """The keypoints of a frame on the square at size x size, `n` cells a side."""
        height, width = image.shape[:2]
        points = body.points(n=n, width=width, height=height)
        points[:, : keypoints.Y + 1] -= (self.left, self.top)
        return keypoints.scaled(points, x=size / self.side, y=size / self.side)

    def covered(self, body: Body, image: np.ndarray, size: int) -> np.ndarray:  # bool [size size]
        """Where the upper body is on the square."""
        height, width = image.shape[:2]
        there = self.of(body.silhouette(width=width, height=height)).astype(np.uint8)
        return cv2.resize(there, (size, size), interpolation=cv2.INTER_NEAREST) > 0


def framed(bodies: Sequence[Body], *, width: int, height: int) -> Crop:
    """The square about head and shoulders that all these frames share, framed as in the training where there is room.

    Raises InputError where no head is in any of them.
    """
    areas, middles = [], []
    for body in bodies:
        rows, columns = np.nonzero(np.isin(body.iuv[..., 0], _HEAD))
        if len(rows):
            h, w = body.iuv.shape[:2]
            areas.append(len(rows) / (h * w) * width * height)
            middles.append(((columns.mean() + 0.5) / w * width, (rows.mean() + 0.5) / h * height))
    if not areas:
        raise InputError("body map: nobody's head is in it around this cut; choose the draft engine there.")
    most = min(width, height)
    side = int(np.clip(np.sqrt(np.median(areas)) / HEAD_SHARE, min(_MIN_SIDE, most), most))
    rooms = zip(np.median(middles, axis=0), HEAD_PLACE, (width, height), strict=True)
    left, top = (int(np.clip(round(at - share * side), 0, room - side)) for at, share, room in rooms)
    return Crop(left, top, side)


@dataclass
class Known:
    """What is known of a picture that may be an end or a source."""

    picture: weakref.ref
    points: np.ndarray  # [K + L 5] on the square
    covered: np.ndarray  # bool [S S], where the body is
    encoded: Memory | None = None
    given_back: np.ndarray | None = None  # float32 [S S 3], as the network paints it from its own keypoints


class Painter:
    """Paints between two ends: sources encoded once each, tone locked to the ends.

    `tolerance`: grey levels by which another picture may differ from a painted one before the painted one is more
    credible, from how far the network is off at the ends, where the truth is known.
    """

    def __init__(self, network: Synthesis, crop: Crop, ends: Sequence[Known], others: Sequence[Known], *, seed: int):
        import torch

        from .networks import Memory

        self.network, self.crop, self.ends = network, crop, ends
        self.size = network.config.size
        self.device = next(network.parameters()).device
        self.z = torch.randn(1, network.config.latent, generator=runtime.torch_generator(seed)).to(self.device)
        self.memory = Memory.joined([self._encoded(known) for known in (*ends, *others)])
        real = [crop.small(known.picture(), self.size).astype(np.float32) for known in ends]
        off = [a - self._given_back(known) for a, known in zip(real, ends, strict=True)]
        self.offsets = [cv2.GaussianBlur(each, (0, 0), self.size / 16) for each in off]
        left = zip(off, self.offsets, ends, strict=True)
        errors = np.concatenate([np.abs(each - tone)[known.covered].ravel() for each, tone, known in left])
        self.tolerance = max(_LEAST_TOLERANCE, _TOLERANCE * float(errors.mean() if errors.size else 255.0))

    def paint(self, points: np.ndarray, t: float) -> np.ndarray:  # float32 [S S 3]
        """The frame of these keypoints, in the tone of the ends."""
        return self._painted(points) + (1 - t) * self.offsets[0] + t * self.offsets[1]

    def place(self, points: np.ndarray) -> np.ndarray:  # float32 [S S] in [0, 1]
        """Where the body is by its keypoints and at both ends, inside its outline; its soft edge ends before the square does.

        Outlines are the draft's: a small network leaves a halo about them.
        """
        size = self.size
        now = keypoints.splat(points, n=self.network.config.cells, height=size, width=size)[..., 0] > 0
        now = np.uint8(now | (self.ends[0].covered & self.ends[1].covered))
        between, rim = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (n, n)) for n in (size // 14 | 1, size // 25 | 1))
        body = cv2.erode(cv2.morphologyEx(now, cv2.MORPH_CLOSE, between), rim).astype(np.float32)
        edge = np.clip((np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5) / (size / 16), 0, 1)
        return cv2.GaussianBlur(body, (0, 0), 1.5) * np.minimum.outer(edge, edge).astype(np.float32)

    def _painted(self, points: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            frame = self.network.generate(self.memory, self._grid(points), self.z)
        return media.to_uint8(frame[0]).astype(np.float32)

    def _given_back(self, known: Known) -> np.ndarray:
        if known.given_back is None:
            known.given_back = self._painted(known.points)
        return known.given_back

    def _encoded(self, known: Known) -> Memory:
        import torch

        if known.encoded is None:
            image = media.to_float(self.crop.small(known.picture(), self.size))[None, None].to(self.device)
            with torch.inference_mode():
                known.encoded = self.network.remember(image, self._grid(known.points)[:, None])
        return known.encoded

    def _grid(self, points: np.ndarray):  # [1 3 S S]
        import torch

        grid = keypoints.splat(points, n=self.network.config.cells, height=self.size, width=self.size)
        return torch.as_tensor(grid).movedim(-1, -3)[None].to(self.device)
