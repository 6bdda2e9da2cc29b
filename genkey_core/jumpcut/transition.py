"""Transitions that hide a cut, whatever engine makes their frames (thesis 4.2.3 and 4.2.4).

An engine is a callable `between(start, end, positions)` that yields one uint8 [H W 3] frame per position in order; what
else it yields (progress) is passed on. All here are generators: closing one cancels.

*blended* (4.2.4): of the H frames before and after the cut each is replaced by itself blended with the frame across the
cut, so the number of frames and the sound stay. The thesis's weights are those of the far frame before the cut and, from
1/2 to 1, those of the frame itself after it; its formula for the second half prints them the other way round, which
would put I_m, and not I_{n+H}, at the end of the neighbourhood.
*inserted* (4.2.3): T new frames at alpha_t = t / (T + 1), made from the ends to the middle.
*bridged*: the same frames as in blended are replaced by one run of in-betweens of I_{m-H} and I_{n+H}, for engines that
make whole clips at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ..checks import InputError, integer, number

Between = Callable[[np.ndarray, np.ndarray, np.ndarray], Iterable[Any]]

NEIGHBOURHOOD = 4  # H of the thesis
MAX_INSERTED = 60  # frames; all of a recursive run are held until its middle is made
PUNCH_IN = 0.08


@dataclass(frozen=True)
class Step:
    """A frame of a transition: its place, of how many, and whether it is as it was filmed."""

    index: int
    total: int
    image: np.ndarray  # uint8 [H W 3]
    made: bool = True


def blended(before: Sequence[np.ndarray], after: Sequence[np.ndarray], between: Between) -> Iterator[Step | Any]:
    """`before` is I_{m-H} .. I_m, `after` I_n .. I_{n+H'}; yields as many frames as came, in order (4.2.4).

    H and H' may differ, where another cut is near. The outermost frames, whose own weight is 1, come back untouched.
    Frames m and n are the same picture, half of each.
    """
    _check_sides(before, after)
    total, left, right = len(before) + len(after), len(before) - 1, len(after) - 1
    last, first = before[-1], after[0]
    middle = None
    for i, frame in enumerate(before):
        share = i / (2 * left) if left else 0.5
        image = frame
        if share > 0.0:
            image = yield from _one(between, frame, first, share)
        middle = image
        yield Step(i, total, image, made=share > 0.0)
    for j, frame in enumerate(after):
        own = 0.5 + j / (2 * right) if right else 0.5
        image = middle if j == 0 else frame
        if 0 < j < right:
            image = yield from _one(between, last, frame, own)
        yield Step(len(before) + j, total, image, made=own < 1.0)


def bridged(before: Sequence[np.ndarray], after: Sequence[np.ndarray], between: Between) -> Iterator[Step | Any]:
    """The same frames as `blended`, the inner ones replaced by in-betweens of the two outermost, in one run."""
    _check_sides(before, after)
    total = len(before) + len(after)
    yield Step(0, total, before[0], made=False)
    positions = np.arange(1, total - 1) / (total - 1)
    for made in _run(between, before[0], after[-1], positions):
        yield Step(made[0] + 1, total, made[1]) if isinstance(made, tuple) else made
    yield Step(total - 1, total, after[-1], made=False)


def inserted(
    start: np.ndarray, end: np.ndarray, n_frames: int, between: Between, *, recursive: bool = True
) -> Iterator[Step | Any]:
    """`n_frames` new frames between I_m and I_n, both uint8 [H W 3], at alpha_t = t / (T + 1) (4.2.3).

    Recursive, frames 1 and T are made first, then 2 and T - 1 with these as their ends, up to the middle one, which lies
    between two made neighbours; the steps come in that order. Otherwise all are asked for at once and come in order.
    """
    total = integer(n_frames, "inserted frames", low=1, high=MAX_INSERTED)
    if not recursive:
        for made in _run(between, start, end, np.arange(1, total + 1) / (total + 1)):
            yield Step(made[0], total, made[1]) if isinstance(made, tuple) else made
        return
    low, high = 0, total + 1  # frames that the ends stand for
    while high - low > 1:
        pair = sorted({low + 1, high - 1})
        positions = (np.array(pair) - low) / (high - low)
        images = []
        for made in _run(between, start, end, positions):
            if not isinstance(made, tuple):
                yield made
                continue
            images.append(made[1])
            yield Step(pair[made[0]] - 1, total, made[1])
        start, end = images[0], images[-1]
        low, high = low + 1, high - 1


def punched_in(frame: np.ndarray, share: float = PUNCH_IN) -> np.ndarray:  # uint8 [H W 3]
    """`frame` enlarged by `share` about a point a third from its top, where heads are; same size."""
    share = number(share, "punch-in", low=0.0, high=1.0)
    h, w = frame.shape[:2]
    scale = 1.0 + share
    shift = (1.0 - scale) * np.array([(w - 1) / 2, (h - 1) / 3])
    return cv2.warpAffine(
        frame, np.float64([[scale, 0, shift[0]], [0, scale, shift[1]]]), (w, h), flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


def _run(between: Between, start: np.ndarray, end: np.ndarray, positions: np.ndarray) -> Iterator[Any]:
    """What `between` yields; pictures as (number, picture). Raises InputError where it made another number of them."""
    n = 0
    for made in between(start, end, positions) if len(positions) else ():
        if isinstance(made, np.ndarray):
            if n < len(positions):
                yield n, made
            n += 1
        else:
            yield made
    if n != len(positions):
        raise InputError(f"engine: {len(positions)} frames were asked for, {n} came; choose another engine.")


def _one(between: Between, start: np.ndarray, end: np.ndarray, position: float) -> Iterator[Any]:
    """One frame, returned; progress is yielded."""
    image = None
    for made in _run(between, start, end, np.array([position])):
        if isinstance(made, tuple):
            image = made[1]
        else:
            yield made
    return image


def _check_sides(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> None:
    if not len(before) or not len(after):
        raise InputError(f"transition: a frame on each side of the cut is needed, got {len(before)} and {len(after)}.")
