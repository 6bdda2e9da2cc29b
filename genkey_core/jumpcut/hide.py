"""Hiding the cuts of a whole video in one pass: source frames in, result frames out, each cut's transition replaced.

Frames stream through: held are the few before the next cut, the few after it, a bounded bank of others as sources, and
reduced pictures of what was removed. A transition is made as soon as the frames after its cut are there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..checks import InputError, choice, integer
from . import transition as tr
from .engines import Around, Engines, between_for, makes_clips, recommended
from .sources import Bank, helpful
from .tracks import Tracker, Tracks
from .triage import Triage, triage
from .warp import AttentionWarp, WarpOptions

MODES = ("auto", "blended", "bridged", "inserted", "punch-in", "hard cut")


@dataclass(frozen=True)
class Treatment:
    """What is done at one cut."""

    mode: str = "auto"  # one of MODES; auto is what triage recommends, and never changes the number of frames
    engine: str = "draft"  # "draft", or a name in the engines handed in
    neighbourhood: int = tr.NEIGHBOURHOOD  # H: frames on each side that are replaced (blended, bridged)
    n_inserted: int = 0  # T: new frames (inserted)
    recursive: bool = True  # inserted: from the ends to the middle (4.2.3) rather than all at once
    n_sources: int = 2  # other frames of the clip that the draft engine draws on

    def checked(self, name: str, engines: Iterable[str] = ()) -> Treatment:
        """The same with every field in range; raises InputError that names the cut."""
        mode = choice(self.mode, f"{name}, mode", MODES)
        choice(self.engine, f"{name}, engine", ["draft", *engines])
        integer(self.neighbourhood, f"{name}, neighbourhood", low=1, high=30)
        integer(self.n_sources, f"{name}, sources", low=0, high=12)
        least = 1 if mode == "inserted" else 0
        integer(self.n_inserted, f"{name}, inserted frames", low=least, high=tr.MAX_INSERTED if least else 0)
        return self


@dataclass(frozen=True)
class Shown:
    """A frame of the result; they come in order, and without a gap."""

    image: np.ndarray  # uint8 [H W 3]
    source_index: int | None  # the frame it is or replaces, None where it is new
    made: bool = False


@dataclass(frozen=True)
class Working:
    """Progress within a cut."""

    cut: int  # from 0
    n_cuts: int
    done: int  # frames of the transition that are there
    total: int
    said: Any = None  # what an engine handed in says on the way


@dataclass(frozen=True)
class Hidden:
    """A finished cut, for the page: what was done, why, and its middle before and after."""

    cut: int
    mode: str  # one of MODES but auto
    engine: str  # "none" where no frame was made
    triage: Triage
    before: np.ndarray  # uint8 [H W 3], the last frame before the cut as it was
    middle: np.ndarray  # uint8 [H W 3], the frame in the middle of the transition
    note: str = ""  # what the engine says of it, for people


@dataclass
class _Cut:
    """A cut on its way: what is known of it so far."""

    number: int
    last: int  # m
    first: int  # n
    treatment: Treatment
    room: tuple[int, int]  # frames that it may replace on each side, at least 1
    before: deque = field(default_factory=deque)
    after: list = field(default_factory=list)
    tracker: Tracker | None = None
    n_shown: int = 0  # of `before`, frames that the cut before has shown: a piece of one frame belongs to two cuts

    def begin(self, before: deque, *, n_shown: int = 0) -> None:
        """The last frame before the cut is there."""
        self.before, self.n_shown = before, n_shown
        if self.first > self.last + 1:
            self.tracker = Tracker(before[-1][1])


def hide(
    frames: Iterable[np.ndarray],
    cuts: Sequence[tuple[int, int]],
    treatments: Treatment | Sequence[Treatment] = Treatment(),
    *,
    first: int = 0,
    stop: int | None = None,
    engines: Engines | None = None,
    options: WarpOptions | None = None,
) -> Iterator[Shown | Working | Hidden]:
    """The result's frames in order, with each cut's transition in place, progress within cuts and each cut's outcome.

    `frames`: uint8 [H W 3] of a constant rate, from the source's frame 0 on (`media.read_frames(..., fps=...)`). `cuts`:
    (m, n) pairs, the last kept frame before and the first after each, in order; the result begins at frame `first` and
    ends before frame `stop`. `treatments`: one for all cuts or one for each. `engines`: by name, as in
    engines.py. Closing the generator cancels; what was yielded stays. Raises InputError, before any frame is read, where the
    numbers are out of order, and where the source ends before a cut is reached.
    """
    engines = dict(engines or {})
    planned = plan(cuts, treatments, first=first, stop=stop, engines=engines)
    return _hidden(frames, deque(planned), first, stop, engines, options)


def plan(
    cuts: Sequence[tuple[int, int]],
    treatments: Treatment | Sequence[Treatment],
    *,
    first: int = 0,
    stop: int | None = None,
    engines: Iterable[str] = (),
) -> list[_Cut]:
    """Cuts with their treatment and room, everything checked. Two cuts share the frames between them evenly."""
    first = integer(first, "first frame", low=0)
    kinds = [treatments] * len(cuts) if isinstance(treatments, Treatment) else list(treatments)
    if len(kinds) != len(cuts):
        raise InputError(f"treatments: one for each of the {len(cuts)} cuts is needed, got {len(kinds)}.")
    pairs = [tuple(integer(x, f"cut {i}", low=0) for x in cut) for i, cut in enumerate(cuts, 1)]
    edges = [first, *(x for pair in pairs for x in pair)]
    for i, (m, n) in enumerate(pairs):
        if not (edges[2 * i] <= m < n) or (stop is not None and n >= stop):
            raise InputError(
                f"cut {i + 1}: frames {m} and {n} are out of order or outside of what is kept; correct them."
            )
    planned = []
    for i, ((m, n), kind) in enumerate(zip(pairs, kinds, strict=True)):
        length_before = m + 1 - edges[2 * i]
        end = pairs[i + 1][0] + 1 if i + 1 < len(pairs) else stop
        room = (length_before if i == 0 else length_before // 2 or 1, 10**9)
        if end is not None:
            room = (room[0], end - n if i + 1 == len(pairs) else max(1, (end - n) // 2))
        planned.append(_Cut(i, m, n, kind.checked(f"cut {i + 1}", engines), room))
    return planned


def _hidden(
    frames: Iterable[np.ndarray],
    waiting: deque[_Cut],
    first: int,
    stop: int | None,
    engines: Engines,
    options: WarpOptions | None,
) -> Iterator[Shown | Working | Hidden]:
    # Nothing but `waiting` may name the cuts: each holds the frames around it, and an hour has a thousand.
    show, bank, n_cuts = _Zoom(), Bank(), len(waiting)
    held: deque[tuple[int, np.ndarray]] = deque()  # kept frames that a coming cut may still replace
    index = -1
    for index, frame in enumerate(frames):
        if stop is not None and index >= stop:
            index -= 1
            break
        bank.add(index, frame)
        cut = waiting[0] if waiting else None
        if index < first:
            continue
        if cut is None:
            yield show(frame, index)
            continue
        if index <= cut.last:
            held.append((index, frame))
            reach = min(cut.room[0], cut.treatment.neighbourhood + 1)
            while held and held[0][0] <= cut.last - reach:
                yield show(held[0][1], held.popleft()[0])
            if index == cut.last:
                cut.begin(held)
                held = deque()
            continue
        if index <= cut.first and cut.tracker is not None:
            cut.tracker.add(frame)
        if index >= cut.first:
            cut.after.append((index, frame))
            if len(cut.after) >= min(cut.room[1], cut.treatment.neighbourhood + 1):
                yield from _finish(waiting.popleft(), n_cuts, show, bank, engines, options)
                if waiting and waiting[0].last == index:
                    waiting[0].begin(deque([(index, frame)]), n_shown=1)
    if waiting and waiting[0].after:  # the video ends within the neighbourhood of its last cut
        yield from _finish(waiting.popleft(), n_cuts, show, bank, engines, options)
    if waiting:
        raise InputError(
            f"the video ends at frame {index}, before its cut at frame {waiting[0].last}; remove that cut."
        )


def _finish(
    cut: _Cut, n_cuts: int, show: _Zoom, bank: Bank, engines: Engines, options: WarpOptions | None
) -> Iterator[Shown | Working | Hidden]:
    """Make the transition of one cut, whose frames are all there."""
    before, after = [f for _, f in cut.before], [f for _, f in cut.after]
    indices: list[int | None] = [i for i, _ in (*cut.before, *cut.after)]
    if cut.tracker is None:  # nothing was removed: one piece
        yield from (show(f, i) for f, i in list(zip([*before, *after], indices, strict=True))[cut.n_shown :])
        return
    tracks = cut.tracker.tracks()
    judged = triage(before[-1], after[0], tracks)
    wanted = cut.treatment.mode
    mode = recommended(judged, engines, cut.treatment.engine) if wanted == "auto" else wanted
    if mode in ("hard cut", "punch-in"):
        yield from (show(f, i) for i, f in list(cut.before)[cut.n_shown :])
        if mode == "punch-in":
            show.toggle()
        yield from (show(f, i) for i, f in cut.after)
        yield Hidden(cut.number, mode, "none", judged, before[-1], show(after[0], None).image)
        return
    name = cut.treatment.engine
    around = _around(cut, bank, tracks, options)
    between = around.draft if name == "draft" else between_for(engines, name, around)
    in_one_run = makes_clips(engines, name)
    if in_one_run and mode == "blended":
        mode = "bridged"
    middle = before[-1]
    if mode == "inserted":
        indices = [*indices[: len(before)], *[None] * cut.treatment.n_inserted, *indices[len(before) :]]
    shown: dict[int, tr.Step] = {}
    due = 0
    for step in _steps(
        mode, before, after, cut.treatment, between, recursive=cut.treatment.recursive and not in_one_run
    ):
        if not isinstance(step, tr.Step):
            yield Working(cut.number, n_cuts, len(shown), len(indices), step)
            continue
        shown[step.index] = step
        if step.index == (len(indices) - 1) // 2:
            middle = step.image
        yield Working(cut.number, n_cuts, len(shown), len(indices))
        while due in shown:
            if due >= cut.n_shown:
                yield show(shown[due].image, indices[due], shown[due].made)
            shown[due] = tr.Step(due, len(indices), np.empty(0))  # let go of the picture
            due += 1
    note = getattr(getattr(between, "__self__", between), "note", "")  # of the object whose method it may be
    yield Hidden(cut.number, mode, name, judged, before[-1], middle, note)


def _steps(
    mode: str,
    before: list[np.ndarray],
    after: list[np.ndarray],
    treatment: Treatment,
    between: tr.Between,
    *,
    recursive: bool,
) -> Iterator[tr.Step | Any]:
    """The transition's frames, counted from the first frame of `before`; what is not a Step is an engine's word."""
    if mode != "inserted":
        yield from (tr.blended if mode == "blended" else tr.bridged)(before, after, between)
        return
    n = treatment.n_inserted
    total = len(before) + n + len(after)
    for i, frame in enumerate(before):
        yield tr.Step(i, total, frame, made=False)
    for step in tr.inserted(before[-1], after[0], n, between, recursive=recursive):
        is_frame = isinstance(step, tr.Step)
        yield tr.Step(len(before) + step.index, total, step.image) if is_frame else step
    for i, frame in enumerate(after):
        yield tr.Step(len(before) + n + i, total, frame, made=False)


def _around(cut: _Cut, bank: Bank, tracks: Tracks, options: WarpOptions | None) -> Around:
    """What engines are told about this cut: its frames, the others that help most, and the draft engine for it."""
    frames = (*cut.before, *cut.after)
    ends = cut.before[-1][1], cut.after[0][1]
    held = bank.numbered(apart_from=[i for i, _ in frames])
    numbers = {id(frame): index for index, frame in held}
    chosen = helpful([frame for _, frame in held], *ends, n=cut.treatment.n_sources)
    draft = AttentionWarp(chosen, tracks=tracks, options=options).between
    return Around(cut.number, frames, tuple((numbers[id(frame)], frame) for frame in chosen), draft)


class _Zoom:
    """Shows frames, enlarged after every other punch-in."""

    def __init__(self) -> None:
        self._is_in = False

    def toggle(self) -> None:
        self._is_in = not self._is_in

    def __call__(self, image: np.ndarray, index: int | None, made: bool = False) -> Shown:
        return Shown(tr.punched_in(image) if self._is_in else image, index, made)
