"""Times of decoded frames: what the file says, made strictly increasing; and a variable rate made constant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_JUMP_BACK_S = 0.5  # a step back by more is a break in the file's clock, not a repeated frame
_ROUNDING_S = 0.0015
_JUMP_AHEAD_S = 3600.0  # the same for a step ahead


class FrameClock:
    """Seconds of frames that come in order of display.

    A missing time is the one before plus `step_s`. A frame whose time does not advance is not shown by players either:
    None. Where the file's clock breaks, by a jump back or by an hour ahead, the frames run on by `step_s`.
    """

    def __init__(self, step_s: float):
        self.step_s = step_s
        self._last_s: float | None = None
        self._shift_s = 0.0

    def advance(self, time_s: float | None) -> float | None:
        """The time of the next frame, which the file puts at `time_s` (None: it does not say)."""
        last_s = self._last_s
        if last_s is None:
            result_s = 0.0 if time_s is None else time_s
        elif time_s is None:
            result_s = last_s + self.step_s
        else:
            result_s = time_s + self._shift_s
            if not -_JUMP_BACK_S <= result_s - last_s <= _JUMP_AHEAD_S:
                self._shift_s += last_s + self.step_s - result_s
                result_s = last_s + self.step_s
            elif result_s <= last_s:
                return None
        self._last_s = result_s
        return result_s


def constant_rate(
    frames: Iterable[tuple[float, float, T]], *, fps: float, start_s: float, end_s: float | None
) -> Iterator[tuple[float, T]]:
    """Frames (time_s, end_s, frame) of any rate -> (time_s, frame) at `start_s` + i / fps.

    Each frame moves to the nearest tick; of several on one tick the last is shown, a tick without one repeats the
    frame before (before the first: that one). There are as many ticks as begin between start and end, at least one,
    where end is `end_s` or, where that is earlier, the end of the last frame (less the millisecond to which some files
    round their times). No more of `frames` is read than that needs.
    """
    limit = math.inf if end_s is None else _n_ticks(end_s - start_s, fps)
    tick, shown, last_end_s = 0, None, start_s
    for time_s, frame_end_s, frame in frames:
        arrives = min(limit, max(0, _nearest((time_s - start_s) * fps)))
        while shown is not None and tick < arrives:
            yield start_s + tick / fps, shown
            tick += 1
        if arrives == limit and shown is not None:
            return
        shown, last_end_s = frame, frame_end_s
    n_ticks = min(limit, _n_ticks(last_end_s - start_s, fps))
    while shown is not None and tick < n_ticks:
        yield start_s + tick / fps, shown
        tick += 1


def _n_ticks(duration_s: float, fps: float) -> int:
    return max(1, math.ceil((duration_s - _ROUNDING_S) * fps))


def _nearest(ticks: float) -> int:
    return math.floor(ticks + 0.5)
