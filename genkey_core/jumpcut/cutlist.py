"""The cut list: rows to keep or remove -> the stretches of the source that stay, and times before and after the cut.

Rows come from the analysis, from a transcript and from the user ("remove 3.2 to 4.1 s"). What was decided about rows that
disagree: removals that overlap or nearly touch are one; a range that the user wants *kept* protects what lies inside
it; the padding stands only towards what is heard, not between two removed rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..checks import InputError, boolean, choice, number, shown

KINDS = ("pause", "filler", "repeat", "range", "shot")  # a shot is a cut that the footage already has, and only a mark
MAX_ROWS = 20_000
MAX_DURATION_S = 24 * 3600.0
MAX_TEXT = 2000  # characters of a row

_TIME = r"(?:(?:(\d{1,2}):)?(\d{1,3}):)?(\d{1,6}(?:[.,]\d{1,6})?)"
_RANGE = re.compile(
    rf"(?:(remove|cut|delete|keep)\s+)?(?:from\s+|between\s+)?(-?){_TIME}\s*s?(?:ec(?:onds)?)?\s*"
    rf"(?:to|until|till|and|-|–|—|\.\.)\s*{_TIME}\s*s?(?:ec(?:onds)?)?\.?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Row:
    """One event of the source: what it is, where, how sure, and whether it is to go."""

    start_s: float
    end_s: float  # a shot's is its start
    kind: str  # one of KINDS
    confidence: float = 1.0  # 0 to 1
    remove: bool = True
    text: str = ""  # the words, where there are any

    def checked(self, name: str = "row") -> Row:
        """The same row with every field of the right type and range; raises InputError that names the row."""
        kind = choice(self.kind, f"{name}, kind", KINDS)
        start_s = number(self.start_s, f"{name}, start", low=0, high=MAX_DURATION_S, unit="s")
        end_s = number(self.end_s, f"{name}, end", low=0, high=MAX_DURATION_S, unit="s")
        if end_s < start_s:
            raise InputError(f"{name}: it ends at {end_s:g} s, before its start at {start_s:g} s; swap the two times.")
        if end_s == start_s and kind != "shot":
            raise InputError(f"{name}: it starts and ends at {start_s:g} s; give it a length.")
        if not isinstance(self.text, str) or len(self.text) > MAX_TEXT:
            raise InputError(f"{name}, text: at most {MAX_TEXT} characters are needed, got {shown(self.text)}.")
        confidence = number(self.confidence, f"{name}, confidence", low=0, high=1)
        return Row(start_s, end_s, kind, confidence, boolean(self.remove, f"{name}, remove"), self.text)


def parse_ranges(text: object) -> tuple[Row, ...]:
    """Ranges as people type them, one or several: "remove 3.2 to 4.1 s", "1:02.5 - 1:04; keep 70 to 72".

    Separated by new lines, semicolons, or commas followed by a space. Raises InputError that quotes what it could not
    read, and for a range that is reversed or empty.
    """
    if not isinstance(text, str) or len(text) > 100_000:
        raise InputError(f"ranges: a text such as 'remove 3.2 to 4.1 s' is needed, got {shown(text)}.")
    rows = []
    for part in filter(None, (p.strip() for p in re.split(r"[;\n]|,\s+", text))):
        read = _RANGE.fullmatch(part)
        if read is None:
            raise InputError(f"ranges: 'remove 3.2 to 4.1 s' is the form, got {shown(part)}.")
        verb, minus, *times = read.groups()
        if minus:
            raise InputError(f"ranges: times count from 0, got {shown(part)}.")
        start_s, end_s = _seconds(times[:3]), _seconds(times[3:])
        remove = (verb or "remove").lower() != "keep"
        rows.append(Row(start_s, end_s, "range", remove=remove).checked(f"range {shown(part)}"))
    return tuple(rows)


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds = parts
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds.replace(",", "."))


@dataclass(frozen=True)
class CutList:
    """Rows on a source of `duration_s`; make one with `cut_list`, which checks them."""

    rows: tuple[Row, ...]  # by start
    duration_s: float
    padding_s: float = 0.1  # of a pause, what stays at each end that meets sound
    shortest_piece_s: float = 0.1  # a kept piece between two removals that is shorter would only flash: it goes too

    @cached_property
    def removed(self) -> tuple[tuple[float, float], ...]:
        """What goes, as (start_s, end_s) in order, apart from each other."""
        removed = _padded(_clusters(self.rows, self.shortest_piece_s), self.padding_s, self.duration_s)
        for row in self.rows:
            if row.kind == "range" and not row.remove:
                removed = _without(removed, row.start_s, row.end_s)
        return tuple(removed)

    @cached_property
    def kept(self) -> tuple[tuple[float, float], ...]:
        """What stays, as (start_s, end_s) in order. Raises InputError where nothing would."""
        edges = [0.0, *(t for pair in self.removed for t in pair), self.duration_s]
        kept = tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a)
        if not kept:
            raise InputError("cut list: everything would be removed; set at least one row to keep.")
        return kept

    @property
    def times(self) -> TimeMap:
        return TimeMap(self.kept)


@dataclass(frozen=True)
class TimeMap:
    """Times in the source <-> times in the result, where `kept` stretches follow each other."""

    kept: tuple[tuple[float, float], ...]
    inserted_s: tuple[float, ...] = ()  # new picture after each of them; none where it is empty

    @property
    def duration_s(self) -> float:
        """The length of the result."""
        return float(self._ends[-1])

    def to_result(self, source_s: float | np.ndarray) -> float | np.ndarray:
        """Where a moment of the source is in the result; a removed one lies where the piece before it ends."""
        source, result = np.array(self.kept, np.float64).ravel(), np.stack([self._starts, self._ends], axis=1).ravel()
        at = np.asarray(source_s, np.float64)
        before = np.searchsorted(source, at, side="right") - 1  # the last edge at or before it
        removed = (before % 2 == 1) & (before >= 0) & (before < len(source) - 1)
        return _like(source_s, np.where(removed, result[before], np.interp(at, source, result)))

    def to_source(self, result_s: float | np.ndarray) -> float | np.ndarray:
        """What moment of the source a moment of the result shows; at a cut or in new picture, the first one after it."""
        at = np.clip(np.asarray(result_s, np.float64), 0.0, self.duration_s)
        source = np.array(self.kept, np.float64)
        piece = np.maximum(np.searchsorted(self._starts, at, side="right") - 1, 0)
        inside = source[piece, 0] + at - self._starts[piece]
        following = source[np.minimum(piece + 1, len(source) - 1), 0]
        new = (at >= self._ends[piece]) & (piece < len(source) - 1)
        return _like(result_s, np.where(new, following, np.minimum(inside, source[piece, 1])))

    @property
    def _starts(self) -> np.ndarray:
        lengths = np.array([b - a for a, b in self.kept]) + np.array(self.inserted_s or [0.0] * len(self.kept))
        return np.concatenate([[0.0], np.cumsum(lengths)[:-1]])

    @property
    def _ends(self) -> np.ndarray:
        return self._starts + np.array([b - a for a, b in self.kept])


def cut_list(
    rows: Iterable[Row], *, duration_s: float, padding_s: float = 0.1, shortest_piece_s: float = 0.1
) -> CutList:
    """The cut list of `rows` on a source of `duration_s`, every row checked.

    A row that reaches past the end is cut off there. Raises InputError, which names the row, for a reversed or empty
    row, one that starts after the end, NaN or infinity; and for more than MAX_ROWS.
    """
    duration_s = number(duration_s, "duration", low=0.001, high=MAX_DURATION_S, unit="s")
    checked = []
    for i, row in enumerate(rows, 1):
        if i > MAX_ROWS:
            raise InputError(f"cut list: at most {MAX_ROWS} rows are needed, got more.")
        row = row.checked(f"row {i}")
        if row.start_s >= duration_s:
            raise InputError(f"row {i}: it starts at {row.start_s:g} s, but the video ends at {duration_s:g} s.")
        checked.append(replace(row, end_s=min(row.end_s, duration_s)))
    return CutList(
        tuple(sorted(checked, key=lambda r: (r.start_s, r.end_s))),
        duration_s,
        number(padding_s, "padding", low=0, high=5, unit="s"),
        number(shortest_piece_s, "shortest piece", low=0, high=5, unit="s"),
    )


def _clusters(rows: Iterable[Row], touch_s: float) -> list[list[Row]]:
    """Removed rows, grouped where less than `touch_s` lies between them."""
    clusters: list[list[Row]] = []
    end_s = -np.inf
    for row in rows:
        if not row.remove or row.kind == "shot":
            continue
        if clusters and row.start_s - end_s < touch_s:
            clusters[-1].append(row)
        else:
            clusters.append([row])
            end_s = row.end_s
        end_s = max(end_s, row.end_s)
    return clusters


def _padded(clusters: Iterable[list[Row]], padding_s: float, duration_s: float) -> list[tuple[float, float]]:
    """One stretch per cluster, less the padding of pauses at its ends, but none at the ends of the source."""
    stretches = []
    for cluster in clusters:
        pads = [padding_s if row.kind == "pause" else 0.0 for row in cluster]
        pairs = list(zip(cluster, pads, strict=True))
        start_s = min(row.start_s + (pad if row.start_s > 0 else 0) for row, pad in pairs)
        end_s = max(row.end_s - (pad if row.end_s < duration_s else 0) for row, pad in pairs)
        if end_s > start_s:
            stretches.append((start_s, end_s))
    return stretches


def _without(stretches: Iterable[tuple[float, float]], start_s: float, end_s: float) -> list[tuple[float, float]]:
    """`stretches` less what lies between `start_s` and `end_s`."""
    left = []
    for a, b in stretches:
        left += [(x, y) for x, y in ((a, min(b, start_s)), (max(a, end_s), b)) if y > x]
    return left


def _like(given: float | np.ndarray, values: np.ndarray) -> float | np.ndarray:
    return values if isinstance(given, np.ndarray) else float(values)
