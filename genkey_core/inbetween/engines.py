"""The engines that make in-betweens, behind one call: two keyframes and positions in, frames out.

An engine is an object with a `name`, and `between(start, end, positions)`, which yields one uint8 [H W 3] frame per
position, in order. It is never asked for the positions 0 and 1: those are the keyframes, and they stay untouched.
Engines that take their time before the first frame say in `Progress` records what they are doing.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .. import runtime
from ..checks import InputError, shown
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


@dataclass(frozen=True)
class Needs:
    """What a learned engine needs for one clip; every number but that of the evaluations is an estimate."""

    evaluations: int  # of the network
    evaluation_s: float  # seconds for each
    around_s: float = 0.0  # seconds for encoding and decoding
    once_s: float = 0.0  # seconds for loading, the first time
    memory_bytes: int = 0  # main memory
    lease_s: float = 0.0  # seconds of GPU asked for, 0 for an engine that runs on the CPU
    download_bytes: int = 0  # what has to be fetched first
    memory_mode: str = ""
    notes: tuple[str, ...] = ()  # sentences for the cost line


class NativeModel(Protocol):
    """A generator of whole clips, at its own size and length; `learned.Learned` makes an engine of it.

    What cannot run here raises InputError when it is constructed, before anything is loaded or fetched.
    """

    name: str
    max_segments: int  # clips that a gap may be chained of (`duration.py`); 1 for a model whose faults would add up

    def native(
        self, start: np.ndarray, end: np.ndarray, *, n_frames: int | None, seed: int
    ) -> Iterator[Progress | np.ndarray]:
        """Progress records, and last one clip uint8 [T h w 3] from about `start` to about `end` (uint8 [H W 3])."""

    def frame_counts(self) -> Sequence[int]:
        """The numbers of frames it can make, rising."""

    def needs(self, size: tuple[int, int], n_frames: int | None = None) -> Needs:
        """What a clip between keyframes of `size` (W, H) needs here, of the usual number of frames if none is given."""


class Draft:
    """Training-free motion interpolation at full resolution (`draft.py`); frames are made by all cores, in order."""

    name = "draft"

    def __init__(self, workers: int | None = None):
        self.workers = workers or runtime.cpu_count()

    def between(self, start: np.ndarray, end: np.ndarray, positions: np.ndarray) -> Iterator[np.ndarray]:
        """Frames at `positions`; at most two per worker exist at a time, so memory does not grow with their number."""
        if len(positions) == 0:
            return
        yield from in_order(DraftPair(start, end).frame, positions, self.workers)


def in_order(
    frame: Callable[[float], np.ndarray], positions: Sequence[float], workers: int | None = None
) -> Iterator[np.ndarray]:
    """`frame(position)` of each position, in order, made by `workers` threads that run at most two frames each ahead."""
    workers = workers or runtime.cpu_count()
    waiting: deque = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for position in positions:
                waiting.append(pool.submit(frame, float(position)))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


# The native models by the names that settings know: module and class, constructed with the settings.
_NATIVE = {
    "mini": ("svd_engine", "Mini"),
    "full": ("svd_engine", "Full"),
    "wan": ("text_engine", "Wan"),
    "ltx": ("text_engine", "LTX"),
}


def choose_engine(name: str, settings: Settings | None = None) -> Engine:
    """The engine of that name, ready to run; nothing is loaded or fetched yet.

    "auto" is the best one for a user's own images on this machine: full where its weights are here and a GPU has room
    for it, otherwise draft. Raises InputError with the remedy where an engine cannot run here.
    """
    from .settings import Settings

    settings = settings or Settings()
    if name == "auto":
        from .svd_engine import full_is_ready

        name = "full" if full_is_ready() else "draft"
    if name == "draft":
        return Draft()
    from .learned import Learned, fitting_shape

    model = native_model(name, settings)
    return Learned(model, settings, shaper=fitting_shape(model.frame_counts(), model.max_segments))


def native_model(name: str, settings: Settings) -> NativeModel:
    """The model behind the engine `name`; raises InputError where it cannot run here."""
    if name not in _NATIVE:
        raise InputError(f"engine: one of auto, draft, {', '.join(_NATIVE)} is needed, got {shown(name)}.")
    module, kind = _NATIVE[name]
    return getattr(importlib.import_module(f".{module}", __package__), kind)(settings)
