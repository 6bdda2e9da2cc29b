"""Exposure between the two ends of a cut: what an automatic camera changed meanwhile, and its way across the transition.

A gain per channel (exposure and white balance), found on what stands still in both pictures. During a transition it is
passed over gradually, so that the join neither steps nor shows two brightnesses of one wall side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .tracks import reduced

_RANGE = 16, 239  # grey levels of pixels that are neither black nor burnt out
_AGREE = 0.04  # of log gain: pixels this close to the median say the same
_QUORUM = 0.5  # share of the usable pixels that must
_ENOUGH = 0.25  # share of all pixels that must be usable
_NOTHING = 0.006  # log gain below which no change is made: a grey level or two
_SIDE = 128  # pixels that are compared, along the long side
_MOST = 0.7  # log gain, a factor of two


@dataclass(frozen=True)
class Exposure:
    """`gain` [3]: the second picture over the first one, per channel."""

    gain: np.ndarray

    @property
    def is_one(self) -> bool:
        return bool(np.all(self.gain == 1.0))

    def applied(self, picture: np.ndarray, share: float) -> np.ndarray:
        """uint8 [H W 3] times gain ** share; share 1 takes the first picture to the second's exposure, -1 back."""
        if self.is_one or share == 0.0:
            return picture
        levels = np.arange(256)[:, None] * np.power(self.gain, share)
        return cv2.LUT(picture, np.uint8(np.rint(np.clip(levels, 0, 255)))[None])


def exposure(first: np.ndarray, second: np.ndarray) -> Exposure:
    """The gain from uint8 [h w 3] `first` to `second`, both reduced; one where they do not agree on any.

    Of the log ratios at equal places the median is taken, where half of the usable picture is close to it; things that
    moved are outliers. A change by less than half a percent, or by more than a factor of two, is left alone.
    """
    a, b = (cv2.GaussianBlur(reduced(p, _SIDE), (0, 0), 0.7).astype(np.float32) for p in (first, second))
    low, high = _RANGE
    usable = ((a > low) & (a < high) & (b > low) & (b < high)).all(axis=2)
    gain = np.ones(3)
    if usable.mean() < _ENOUGH:
        return Exposure(gain)
    ratios = np.log(b[usable] / a[usable])  # [N 3]
    middle = np.median(ratios, axis=0)
    agreeing = (np.abs(ratios - middle) < _AGREE).all(axis=1).mean()
    if agreeing >= _QUORUM and _NOTHING < np.abs(middle).max() < _MOST:
        gain = np.exp(middle.astype(np.float64))
    return Exposure(gain)
