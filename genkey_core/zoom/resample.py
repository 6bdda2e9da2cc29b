"""Exact resampling at any scale and sub-pixel offset: separable windowed-sinc filters, applied as small matrix products.

Positions are in source pixels from the edge of the picture: pixel n covers [n, n + 1] and has its centre at n + 0.5. Output
j of an axis looks at `offset + (j + 0.5) * scale`. Below a scale of 1 the filter interpolates; above it, it widens with the
scale, so that nothing finer than the new pixels is left to flicker (Lanczos with three lobes, Duchon 1979; Turkowski 1990).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .planes import to_image, to_rgb

LOBES = 3
_BLOCK = 32  # outputs that share one stretch of source pixels: fewer wastes calls, more wastes products with zero
_SMALL_PRODUCT = 2**18  # multiplications below which BLAS starts no threads: waking them costs more than such a product
_PER_PIXEL = 4096  # entries of the kernel table; the nearest one is off by less than 0.05 of 255 grey levels
_STRIP = 1024  # rows that are made at a time of a large picture


def lanczos(x: np.ndarray) -> np.ndarray:
    """The kernel at distances `x` in units of its pixel: sinc(x) sinc(x / 3), zero from 3 on."""
    x = np.abs(x)
    return np.where(x < LOBES, np.sinc(x) * np.sinc(x / LOBES), 0.0)


_TABLE = lanczos(np.arange(LOBES * _PER_PIXEL + 2) / _PER_PIXEL).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Axis:
    """How the `n` outputs along one axis are made: block b of 32 from the source pixels at starts[b], by weights[b]."""

    n: int
    starts: np.ndarray  # [blocks] int
    weights: np.ndarray  # [blocks 32 taps] float32; rows add up to one

    @property
    def span(self) -> tuple[int, int]:
        """The first source pixel that is read, and the one after the last."""
        return int(self.starts[0]), int(self.starts[-1]) + self.weights.shape[2]


def axis(n: int, *, scale: float, offset: float, n_source: int) -> Axis:
    """The filters of `n` outputs at `offset + (j + 0.5) * scale`; beyond the picture its edge is repeated."""
    blocks = -(-n // _BLOCK)
    width = max(scale, 1.0)
    positions = np.clip(offset + (np.arange(blocks * _BLOCK) + 0.5) * scale, 0.0, n_source)
    positions = positions.reshape(blocks, _BLOCK)
    taps = min(int((_BLOCK - 1) * scale + 2 * LOBES * width) + 2, n_source)
    starts = np.clip(np.ceil(positions[:, 0] - LOBES * width - 0.5), 0, n_source - taps).astype(np.int64)
    first = ((starts[:, None] + 0.5 - positions) / width).astype(np.float32)  # [blocks 32], of the first tap
    distance = np.abs(first[..., None] + np.arange(taps, dtype=np.float32) / np.float32(width))
    index = np.minimum(distance * _PER_PIXEL + 0.5, len(_TABLE) - 1).astype(np.int32)
    weights = _TABLE[index]
    weights /= weights.sum(2, keepdims=True)
    return Axis(n, starts, weights)


def resample(planes: np.ndarray, rows: Axis, columns: Axis, out: np.ndarray, origin: tuple[int, int] = (0, 0)) -> None:
    """Resample float32 [C h w] into `out` float32 [C rows.n columns.n].

    `planes` may be a part of the picture that the axes are about: `origin` is the (row, column) of its first pixel.
    """
    left, right = columns.span
    source = planes[..., left - origin[1] : right - origin[1]]
    half = np.empty((*planes.shape[:-2], rows.n, right - left), np.float32)
    _along_columns(source, rows, half, origin[0])
    _along_columns(half.swapaxes(-1, -2), columns, out.swapaxes(-1, -2), left)


def _along_columns(source: np.ndarray, rows: Axis, out: np.ndarray, origin: int) -> None:
    """The filters of `rows` along the second-last axis of [C h w], in products that BLAS does without threads."""
    taps = rows.weights.shape[2]
    part = max(_SMALL_PRODUCT // (_BLOCK * taps) // 16, 1) * 16
    whole = source.shape[-1] // part * part
    for columns in (slice(0, whole), slice(whole, source.shape[-1])):
        wide = columns.stop - columns.start
        if not wide:
            continue
        some = min(part, wide)
        read, written = (
            a[..., columns].reshape(*a.shape[:-1], wide // some, some).swapaxes(-2, -3) for a in (source, out)
        )
        for b, start in enumerate(rows.starts - origin):
            low, high = b * _BLOCK, min((b + 1) * _BLOCK, rows.n)
            np.matmul(rows.weights[b, : high - low], read[..., start : start + taps, :], out=written[..., low:high, :])


def resized(
    image: np.ndarray, size: tuple[int, int], *, scale: float, offset: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """uint8 [H W 3] of `size` (W, H), at `offset` (x, y) and `scale`, both in pixels of `image`; made in strips of rows."""
    width, height = size
    columns = axis(width, scale=scale, offset=offset[0], n_source=image.shape[1])
    left, right = columns.span
    result = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP):
        strip = result[top : top + _STRIP]
        rows = axis(len(strip), scale=scale, offset=offset[1] + top * scale, n_source=image.shape[0])
        first, last = rows.span
        planes = np.empty((3, *strip.shape[:2]), np.float32)
        resample(to_rgb(image[first:last, left:right]), rows, columns, planes, (first, left))
        strip[:] = to_image(planes)
    return result


def halved(image: np.ndarray) -> np.ndarray:
    """uint8 [H W 3] at half the size, its first pixel over the first two of `image`; odd sides are rounded up."""
    height, width = image.shape[:2]
    return resized(image, (math.ceil(width / 2), math.ceil(height / 2)), scale=2.0)
