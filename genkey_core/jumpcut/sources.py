"""Other frames of the clip as sources of the attention warp (thesis 4.3.3): kept while streaming, chosen per cut.

Teeth that neither end of a cut shows are in some other frame. A `Bank` holds a bounded number of frames spread over what
has been read lately; `helpful` picks those that show best, somewhere in the picture, what the ends foresee.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .tracks import reduced

_MOST_BYTES = 192 * 2**20  # of held frames
_THUMB = 48  # long side in pixels that frames are compared at
_BACKDROP = 0.5  # share of a thumbnail that must look like the ends for the frame to be of the same scene
_ALIKE = 12.0  # grey levels


class Bank:
    """Frames spread evenly over the last stretch of a stream; memory is bounded whatever its length."""

    def __init__(self, *, capacity: int = 24, step: int = 3) -> None:
        self._capacity, self._step = capacity, step
        self._held: list[tuple[int, np.ndarray]] = []

    def add(self, index: int, frame: np.ndarray) -> None:
        """Offer frame `index`, uint8 [H W 3]; every `step`-th is held, the oldest go first."""
        if index % self._step == 0:
            self._held.append((index, frame))
            room = max(2, min(self._capacity, _MOST_BYTES // max(1, frame.nbytes)))
            del self._held[:-room]

    def frames(self, *, apart_from: Sequence[int] = ()) -> list[np.ndarray]:
        """The frames held, less those with the given numbers."""
        return [frame for _, frame in self.numbered(apart_from=apart_from)]

    def numbered(self, *, apart_from: Sequence[int] = ()) -> list[tuple[int, np.ndarray]]:
        """The same with their numbers."""
        return [(index, frame) for index, frame in self._held if index not in apart_from]


def helpful(frames: Sequence[np.ndarray], start: np.ndarray, end: np.ndarray, *, n: int) -> list[np.ndarray]:
    """At most `n` of `frames` that together come nearest to the middle of `start` and `end`, place by place.

    All uint8 [H W 3] of one size. Greedy: each next one is the frame that lowers most the sum over places of the best
    residual so far. Frames of another scene are left out.
    """
    first, last = _thumb(start), _thumb(end)
    middle = 0.5 * (first + last)
    residuals = []
    for frame in frames:
        apart = _distance(_thumb(frame), middle) if frame.shape == start.shape else None
        is_scene = apart is not None and (apart < _ALIKE).mean() >= _BACKDROP
        residuals.append(apart if is_scene else None)
    best, chosen = _distance(first, middle), []
    for _ in range(n):
        gains = [(float((best - np.minimum(best, r)).sum()), -i) for i, r in enumerate(residuals) if r is not None]
        gain, i = max(gains, default=(0.0, 0))
        if gain <= 0.0:
            break
        chosen.append(frames[-i])
        best, residuals[-i] = np.minimum(best, residuals[-i]), None
    return chosen


def _thumb(frame: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(reduced(frame, _THUMB), (0, 0), 0.8).astype(np.float32)


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:  # [h w]
    return np.abs(a - b).mean(axis=2)
