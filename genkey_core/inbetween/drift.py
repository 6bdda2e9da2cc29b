"""Colour drift: whether in-betweens keep the brightness and colour that their keyframes lead one to expect."""

from __future__ import annotations

import cv2
import numpy as np

_SIDE = 64  # frames are averaged down to this before they are compared; the mean colour does not change by it


def mean_lab(image: np.ndarray) -> np.ndarray:  # uint8 [H W 3] -> [3]
    """The mean colour of an image in CIE Lab (D65), L in [0, 100]."""
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return cv2.cvtColor(small, cv2.COLOR_RGB2LAB).reshape(-1, 3).mean(axis=0).astype(np.float64)


class DriftMeter:
    """Mean CIE76 delta E between each in-between's mean colour and the interpolated mean colours of its keyframes.

    For frame x at position p between keyframes a and b: || Lab(x) - ((1 - p) Lab(a) + p Lab(b)) ||, where Lab() is
    `mean_lab`. About 1 is just visible in direct comparison. Streaming: it keeps one number per frame at most.
    """

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0
        self._ends: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def add(self, image: np.ndarray, start: np.ndarray, end: np.ndarray, position: float, gap: tuple[int, int]) -> None:
        """Count one frame; the positions 0 and 1 are the keyframes and do not count."""
        if not 0 < position < 1:
            return
        if gap not in self._ends:
            self._ends = {gap: (mean_lab(start), mean_lab(end))}
        lab_a, lab_b = self._ends[gap]
        self._sum += float(np.linalg.norm(mean_lab(image) - ((1 - position) * lab_a + position * lab_b)))
        self._count += 1

    @property
    def mean(self) -> float | None:
        """The mean so far, or None where there was no in-between."""
        return self._sum / self._count if self._count else None
