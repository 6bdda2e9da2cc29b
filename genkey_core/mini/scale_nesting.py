"""Scenes of the scale world laid into one another, as a zoom meets them: the middle of a galaxy is a star system.

Drawn scenes of neighbouring kinds do not fit: the leaf on a drawn branch is not the leaf that its own scene shows. What
chapter 6 samples is a world in which they do, so the model is also trained on scenes whose middle is the next one, seen
from `p` times as far.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from genkey_core.checks import InputError, integer
from genkey_core.mini.scale_captions import CITY, NATURE

SMALLEST = 4  # pixels a side of a scene in another; fewer show nothing
_RIM = 1 / 12  # of the inner picture's side, over which it passes into the outer one
_INNER = {outer: inner for family in (NATURE, CITY[1:]) for outer, inner in pairwise(family)}


def inner_kind(kind: str) -> str | None:
    """The kind that the middle of a scene may show; None for the smallest of a family, and for the skyline.

    The skyline is seen from the side, the city from above.
    """
    return _INNER.get(kind)


def nested(outer: np.ndarray, inner: np.ndarray, p: int) -> np.ndarray:
    """`outer` uint8 [S S 3] with `inner` uint8 [S S 3] in its middle, S / p wide.

    Band by band, coarse ones passing over a wider rim than fine ones (Burt and Adelson 1983), so that no border shows.
    Raises InputError where the inner picture would be smaller than SMALLEST pixels or `p` does not divide S.
    """
    side = outer.shape[0] // integer(p, "p", low=2)
    if outer.shape[0] % p or side < SMALLEST or (outer.shape[0] - side) % 2:
        raise InputError(f"p: {p} leaves no whole picture of {SMALLEST} pixels in the middle of {outer.shape[0]}.")
    off = (outer.shape[0] - side) // 2
    small = cv2.resize(inner, (side, side), interpolation=cv2.INTER_AREA)
    spread = cv2.copyMakeBorder(small, off, off, off, off, cv2.BORDER_REFLECT).astype(np.float32)
    mask = np.zeros((*outer.shape[:2], 1), np.float32)
    rim = max(1, round(_RIM * side))
    mask[off + rim : off + side - rim, off + rim : off + side - rim] = 1
    n_bands = max(1, round(np.log2(side / 8)))
    sigmas = [0.5 * 2**k for k in range(n_bands + 1)]
    made, parts = np.zeros_like(spread), [outer.astype(np.float32), spread]
    for k, sigma in enumerate(sigmas):
        coarse = [cv2.GaussianBlur(part, (0, 0), 2 * sigma) for part in parts]
        bands = parts if k == n_bands else [part - low for part, low in zip(parts, coarse, strict=True)]
        weight = cv2.GaussianBlur(mask, (0, 0), sigma)[..., None]
        made += bands[0] + weight * (bands[1] - bands[0])
        parts = coarse
    return np.clip(made + 0.5, 0, 255).astype(np.uint8)
