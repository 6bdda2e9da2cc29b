"""What a jump-cut job will do, known before the video is read again: pieces, cuts, and how each is hidden."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from .. import media
from .cutlist import CutList, Row, TimeMap, cut_list
from .edit import Piece, cut_frames, pieces_of, result_frames, times_of
from .hide import Treatment
from .settings import Choice, Settings
from .survey import Survey


@dataclass(frozen=True)
class Cut:
    """A place where two stretches of the source meet."""

    number: int  # from 0
    last: int  # source frame before it, m
    first: int  # source frame after it, n
    at_s: float  # in the result
    mode: str  # one of hide.MODES
    chosen: bool  # whether the user chose anything for this very cut
    engine: str = "draft"

    @property
    def key(self) -> tuple[int, int]:
        return self.last, self.first


@dataclass(frozen=True)
class Plan:
    """A checked job: what `make` will do, known before it starts."""

    survey: Survey
    settings: Settings
    cut_list: CutList
    pieces: tuple[Piece, ...]
    cuts: tuple[Cut, ...]
    treatments: tuple[Treatment, ...] = field(repr=False)
    size: tuple[int, int]  # width, height of the result

    @property
    def n_frames(self) -> int:
        return result_frames(self.pieces)

    @property
    def duration_s(self) -> float:
        return float(self.n_frames / self.survey.fps)

    @property
    def removed_s(self) -> float:
        return self.survey.duration_s - sum(b - a for a, b in self.cut_list.kept)

    @property
    def times(self) -> TimeMap:
        return times_of(self.pieces, self.survey.fps)

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that its cuts may ask for, without the draft, in order."""
        names = dict.fromkeys(t.engine for t in self.treatments if t.mode not in ("hard cut", "punch-in"))
        return tuple(name for name in names if name != "draft")


def plan(
    survey: Survey,
    rows: Iterable[Row],
    settings: Settings | None = None,
    *,
    choices: Iterable[Choice] = (),
    engines: Iterable[str] = (),
) -> Plan:
    """Check rows, settings and choices without reading the video; raises InputError that names what is wrong."""
    settings = (settings or Settings()).checked()
    chosen = [choice.checked(f"choice {i}") for i, choice in enumerate(choices, 1)]
    cuts = cut_list(rows, duration_s=survey.duration_s, padding_s=settings.padding_s)
    pieces = pieces_of(cuts, fps=survey.fps, n_frames=survey.n_frames)
    pairs = [(a.stop - 1, b.start) for a, b in itertools.pairwise(pieces)]
    own = [_choice_for(pair, chosen) for pair in pairs]
    engines = list(engines)
    treatments = tuple(settings.treatment(mine).checked(f"cut {i}", engines) for i, mine in enumerate(own, 1))
    pieces = tuple(replace(p, inserted=t.n_inserted) for p, t in zip(pieces, treatments, strict=False)) + pieces[-1:]
    at_s = [float(frame / survey.fps) for frame in cut_frames(pieces)]
    found = zip(pairs, at_s, treatments, own, strict=True)
    return Plan(
        survey=survey,
        settings=settings,
        cut_list=cuts,
        pieces=pieces,
        cuts=tuple(Cut(i, *pair, t, k.mode, mine is not None, k.engine) for i, (pair, t, k, mine) in enumerate(found)),
        treatments=treatments,
        size=media.output_size((survey.width, survey.height), max_side=settings.max_side),
    )


def _choice_for(pair: tuple[int, int], choices: Sequence[Choice]) -> Choice | None:
    """What was chosen for a cut: the latest choice whose frames overlap it, so that a moved boundary keeps it."""
    return next((c for c in reversed(choices) if c.last < pair[1] and pair[0] < c.first), None)
