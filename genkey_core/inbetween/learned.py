"""An engine out of a model that makes whole clips: one clip per pair of keyframes, kept, and read at any position.

The model samples a clip once per pair, also where a loop or a way back asks for the pair again or the other way round
(then it is played backwards, as ping-pong means it). `resample.FittedClip` brings it to the times and the size that are
asked for and locks its ends to the keyframes.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from ..checks import InputError
from .duration import MAX_SEGMENTS, plan_pair
from .engines import NativeModel, Needs, Progress, in_order
from .resample import FittedClip

if TYPE_CHECKING:
    from .settings import Settings

_TEXT_LEASE = 1.5  # the text-guided models ask for a lease so much longer than they estimate
_KEPT_BYTES = 10**9  # of clips; what is dropped is sampled again from its own seed


@dataclass(frozen=True)
class Shape:
    """How long a clip is made: so many segments, joined at keyframes of the engine's own making, of so many frames."""

    segments: int = 1
    n_frames: int | None = None  # of each segment; None is the model's usual number


Shaper = Callable[[np.ndarray, np.ndarray, int], Shape]  # start, end, number of positions -> Shape


def fitting_shape(counts: Sequence[int], max_segments: int = MAX_SEGMENTS) -> Shaper:
    """Clips as long as the gap and the motion in it ask for, of numbers of frames in `counts` (`duration.py`)."""

    def shape(start: np.ndarray, end: np.ndarray, n_positions: int) -> Shape:
        planned = plan_pair(start, end, n_positions, counts, max_segments=max_segments)
        return Shape(planned.segments, planned.frames_per_segment)

    return shape


def usual_shape(start: np.ndarray, end: np.ndarray, n_positions: int) -> Shape:
    """One clip of the model's usual length, whatever is asked for."""
    return Shape()


class Learned:
    """An engine that samples a clip per pair of keyframes with `model` and shows it at the positions asked for.

    `shaper` says how long a clip each gap gets. Pairs are numbered in the order in which they first come; the first one
    samples with the very seed of the settings, the others with seeds derived from it and their number.
    """

    def __init__(self, model: NativeModel, settings: Settings, *, shaper: Shaper = usual_shape):
        self.model, self.settings, self.shaper = model, settings, shaper
        self.name = model.name
        self._numbers: dict[tuple[str, str], int] = {}  # of each pair in the direction in which it first came
        self._clips = _KeptClips()

    def needs(self, size: tuple[int, int], n_frames: int | None = None) -> Needs:
        """What a clip needs, its time corrected by how fast the model has run in this process."""
        needs = stated_needs(self.model, size, n_frames)
        return replace(needs, evaluation_s=needs.evaluation_s * pace(self.name))

    def between(self, start: np.ndarray, end: np.ndarray, positions: np.ndarray) -> Iterator[np.ndarray | Progress]:
        """Frames at `positions`, after Progress of the sampling; as `engines.Engine` has it."""
        key = (_digest(start), _digest(end))
        backwards = key not in self._numbers and key[::-1] in self._numbers
        if not backwards:
            self._numbers.setdefault(key, len(self._numbers))
        return self._between(start, end, positions, key, backwards)

    def _between(self, start, end, positions, key, backwards) -> Iterator[np.ndarray | Progress]:
        if len(positions) == 0:
            return
        if backwards:
            start, end, positions, key = end, start, 1 - positions, key[::-1]
        clip = self._clips.get(key)
        if clip is None:
            clip = yield from self._sampled(start, end, len(positions), self._numbers[key])
            self._clips.add(key, clip)
        fitted = FittedClip(clip, start, end, lock_end=getattr(self.model, "two_sided", True))
        yield from in_order(fitted.frame, positions)

    def _sampled(self, start, end, n_positions: int, number: int):
        """The clip of a pair, [T h w 3]; where it has several segments, a first clip gives the keyframes between them."""
        shape = self.shaper(start, end, n_positions)
        if shape.segments == 1:
            return (yield from self._native(start, end, shape.n_frames, number, (0, 1)))
        rounds = shape.segments + 1
        coarse = yield from self._native(start, end, None, number, (0, rounds))
        fitted = FittedClip(coarse, start, end)
        keyframes = [start, *(fitted.frame(k / shape.segments) for k in range(1, shape.segments)), end]
        parts = []
        for k in range(shape.segments):
            part = yield from self._native(*keyframes[k : k + 2], shape.n_frames, number, (k + 1, rounds))
            parts.append(part if k == 0 else part[1:])
        return np.concatenate(parts)

    def _native(self, start, end, n_frames, number: int, part: tuple[int, int]):
        """One clip of the model; its Progress counted as part i of n of the whole gap."""
        i, n = part
        stated = stated_needs(self.model, start.shape[1::-1], n_frames)
        clip, watch = None, _Watch(self.name, stated.evaluation_s)
        made = self.model.native(start, end, n_frames=n_frames, seed=derived_seed(self.settings.seed, number, i))
        for item in made:
            if isinstance(item, Progress):
                watch.see(item.done)
                yield replace(item, done=item.done + i * item.total, total=item.total * n)
            else:
                clip = item
        if clip is None:
            raise InputError(f"{self.name}: the model made no clip; try again, or choose the draft engine.")
        return clip


def derived_seed(seed: int, number: int, part: int = 0) -> int:
    """The seed of part `part` of pair `number`; that of the very first is `seed` itself."""
    if number == part == 0:
        return seed
    return int(np.random.SeedSequence([seed, number, part]).generate_state(1)[0])


class _KeptClips:
    """The newest clips, as many as fit the bound."""

    def __init__(self) -> None:
        self._clips: OrderedDict[tuple[str, str], np.ndarray] = OrderedDict()

    def get(self, key: tuple[str, str]) -> np.ndarray | None:
        if key in self._clips:
            self._clips.move_to_end(key)
        return self._clips.get(key)

    def add(self, key: tuple[str, str], clip: np.ndarray) -> None:
        self._clips[key] = clip
        while len(self._clips) > 1 and sum(c.nbytes for c in self._clips.values()) > _KEPT_BYTES:
            self._clips.popitem(last=False)


class _Watch:
    """Times the evaluations of one clip by its Progress records, for later estimates."""

    def __init__(self, name: str, stated_s: float):
        self._name, self._stated_s, self._seen = name, stated_s, None

    def see(self, done: int) -> None:
        now = time.perf_counter()
        if self._seen and done - 1 == self._seen[0] > 0 and self._stated_s > 0:  # the first one also warms up
            _learn(self._name, (now - self._seen[1]) / self._stated_s)
        self._seen = (done, now)


def stated_needs(model: NativeModel, size: tuple[int, int], n_frames: int | None = None) -> Needs:
    """What `model` says it needs for a clip; the text-guided models say it in seconds of GPU."""
    if hasattr(model, "needs"):
        return model.needs(size, n_frames)
    gpu_s, steps = model.gpu_seconds(*size, n_frames), model.preset.steps
    return Needs(
        evaluations=steps,
        evaluation_s=gpu_s / steps,
        memory_bytes=int(model.memory.ram_gb * 1e9),
        lease_s=gpu_s * _TEXT_LEASE,
        download_bytes=model.download_bytes(),
        memory_mode=model.memory.name,
    )


_ratios: dict[str, list[float]] = {}  # measured over stated time of the newest evaluations, by engine
_ratios_lock = threading.Lock()


def _learn(name: str, ratio: float) -> None:
    with _ratios_lock:
        _ratios[name] = [*_ratios.get(name, []), ratio][-50:]


def pace(name: str) -> float:
    """How much longer than stated an evaluation of the model has taken here, the median of the newest; 1 before any."""
    with _ratios_lock:
        return median(_ratios[name]) if _ratios.get(name) else 1.0


def _digest(picture: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(picture)).hexdigest() + str(picture.shape)
