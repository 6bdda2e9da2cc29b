"""Cuts that footage already has, found in its frames.

Between two frames of one shot the second is the first with things moved: warping by their flow explains it, and what is left
is about as much as between the neighbouring frames. A cut is left unexplained, and only there. So a fast gesture, which
lasts several frames, and a flash of one frame are no cuts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from ..media.reader import Frame
from .cutlist import Row

_WIDTH = 96  # pixels that the frames are compared at
_UNEXPLAINED = 3.0  # grey levels of mean error that a cut leaves at least
_TIMES_AROUND = 2.7  # and how many times what the frames around it leave; talking heads reach 2.4 without a cut
_AROUND = 3  # frames on either side


def shots(frames: Iterable[Frame]) -> Iterator[Row]:
    """A row of kind "shot" for every cut, at the time of the first frame after it; never to be removed.

    One pass, three frames behind; memory does not grow. Not found are dissolves and fades, a cut within three frames of
    another or of either end, and a jump cut to nearly the same picture, as of a speaker who has hardly moved.
    """
    waiting: deque[tuple[float, float]] = deque(maxlen=2 * _AROUND + 1)
    before = None
    for frame in frames:
        small = _small(frame.image)
        if before is not None:
            waiting.append((frame.time_s, unexplained(before, small)))
        before = small
        if len(waiting) == waiting.maxlen:
            time_s, left = waiting[_AROUND]
            around = max(left_near for i, (_, left_near) in enumerate(waiting) if i != _AROUND)
            if left >= _UNEXPLAINED and left >= _TIMES_AROUND * around:
                sure = float(np.clip(left / (_TIMES_AROUND * max(around, _UNEXPLAINED / 3)) - 0.5, 0.5, 1.0))
                yield Row(time_s, time_s, "shot", sure, remove=False)


def unexplained(before: np.ndarray, after: np.ndarray) -> float:
    """What of `after` is not `before` with things moved: uint8 [h w 3] x2 -> mean grey levels per pixel.

    The error left after warping by dense flow, a change of the whole picture's brightness taken off.
    """
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after)]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(grey[1], grey[0], None)
    y, x = np.mgrid[: grey[0].shape[0], : grey[0].shape[1]].astype(np.float32)
    warped = cv2.remap(before, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    error = after.astype(np.float32) - warped
    error -= np.median(error, axis=(0, 1))
    return float(np.abs(error).mean())


def _small(image: np.ndarray) -> np.ndarray:
    height = max(16, round(_WIDTH * image.shape[0] / image.shape[1]))
    return cv2.resize(image, (_WIDTH, height), interpolation=cv2.INTER_AREA)
