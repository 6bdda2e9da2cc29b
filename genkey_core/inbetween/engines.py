"""The engines that make in-betweens, behind one call: two keyframes and positions in, frames out.

An engine is an object with a `name`, and `between(start, end, positions)`, which yields one uint8 [H W 3] frame per
position, in order. It is never asked for the positions 0 and 1: those are the keyframes, and they stay untouched.
Engines that take their time before the first frame say in `Progress` records what they are doing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .. import runtime
from ..checks import InputError
from .draft import DraftPair

if TYPE_CHECKING:
    from .settings import Settings


@dataclass(frozen=True)
class Progress:
    """What an engine says between two frames: how far the gap at hand is, or what it is busy with."""

    done: int  # evaluations of the network made for this gap
    total: int  # evaluations this gap takes
    preview: np.ndarray | None = None  # uint8 [h w 3], a small picture of the clip as it is now foreseen
    note: str = ""  # such as "loading the model"
    lasting: bool = False  # whether the note belongs to the result too, such as a smaller memory mode


class Engine(Protocol):
    """Makes the frames between two keyframes."""

    name: str

    def between(self, start: np.ndarray, end: np.ndarray, positions: np.ndarray) -> Iterator[np.ndarray | Progress]:
        """One frame per position (0 < position < 1), in order. start, end: uint8 [H W 3]; positions: [T].

        Any number of Progress records may stand between the frames; closing the iterator cancels.
        """


class Draft:
    """Training-free motion interpolation at full resolution (`draft.py`); frames are made by all cores, in order."""

    name = "draft"

    def __init__(self, workers: int | None = None):
        self.workers = workers or runtime.cpu_count()

    def between(self, start: np.ndarray, end: np.ndarray, positions: np.ndarray) -> Iterator[np.ndarray]:
        """Frames at `positions`; at most two per worker exist at a time, so memory does not grow with their number."""
        if len(positions) == 0:
            return
        pair = DraftPair(start, end)
        waiting: deque = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                for position in positions:
                    waiting.append(pool.submit(pair.frame, float(position)))
                    if len(waiting) >= 2 * self.workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


ENGINES = {"draft": Draft}


def choose_engine(name: str, settings: Settings | None = None) -> Engine:
    """The engine of that name; "auto" is the best one that runs on this machine on a user's own images.

    Raises InputError where it cannot run here.
    """
    name = "draft" if name == "auto" else name
    if name not in ENGINES:
        raise InputError(f"engine: {name} cannot run here; choose one of auto, {', '.join(ENGINES)}.")
    return ENGINES[name]()
