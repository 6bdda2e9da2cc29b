"""Choreography patterns as people write them: A-A'-B-C-D-D (thesis sections 7.1 and 7.2.1).

Every letter is a motion that takes two beats; equal letters are equal motions, and a prime marks the motion's mirrored one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..checks import InputError, shown

MAX_SEGMENTS = 128
_PRIMES = "'’‘′`´"
# Two letters are one label where they stand alone, as AB does after Z; in AABB and A'BB' every letter is a label.
_NAME = rf"(?<![A-Za-z{_PRIMES}])[A-Za-z]{{2}}(?![{_PRIMES}]*[A-Za-z])|[A-Za-z]"
_TOKEN = re.compile(rf"\s*(?:(?P<mark>[-–—,;()]|[*x×]\s*\d+)|(?P<label>{_NAME})(?P<primes>[{_PRIMES}]*))")


@dataclass(frozen=True, order=True)
class Label:
    """One letter of a pattern: `base` A to Z or AA to ZZ, `mirrored` with its prime."""

    base: str
    mirrored: bool = False

    def __str__(self) -> str:
        return self.base + ("'" if self.mirrored else "")

    @property
    def partner(self) -> Label:
        """The same motion to the other side."""
        return Label(self.base, not self.mirrored)


@dataclass(frozen=True)
class Pattern:
    """A sequence of labels, one per segment."""

    labels: tuple[Label, ...]

    def __str__(self) -> str:
        return "-".join(map(str, self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def distinct(self) -> tuple[Label, ...]:
        """Every label once, in the order of its first appearance."""
        return tuple(dict.fromkeys(self.labels))

    @property
    def n_beats(self) -> int:
        return 2 * len(self.labels)

    def described(self) -> str:
        """A line for people: how long and how varied it is, and what is odd about it."""
        bases = {label.base for label in self.labels}
        pairs = sum(Label(base) in self.labels and Label(base, True) in self.labels for base in bases)
        text = f"{_count(len(self), 'segment')}, {_count(self.n_beats, 'beat')}, {len(self) / 2:g} bars of 4/4: "
        text += _count(len(bases), "motion") + (f", {pairs} also mirrored" if pairs else "") + "."
        alone = sorted(base for base in bases if Label(base) not in self.labels)
        if alone:
            text += f" {', '.join(alone)} occurs only mirrored, so its prime says nothing."
        return text

    def fitted(self, n_segments: int) -> Pattern:
        """The pattern cut or repeated from its beginning to `n_segments`."""
        if not 1 <= n_segments <= MAX_SEGMENTS:
            raise InputError(f"pattern: 1 to {MAX_SEGMENTS} segments are possible, got {n_segments}.")
        return Pattern(tuple(self.labels[i % len(self)] for i in range(n_segments)))


class PatternError(InputError):
    """A mistake in a typed pattern; `position` is where, in characters from the beginning."""

    def __init__(self, position: int, message: str):
        super().__init__(message)
        self.position = position


def parse_pattern(text: str) -> Pattern:
    """Read a typed pattern: letters with primes, joined by dashes, commas or spaces; `A*4` and `(A-A')*2` repeat.

    Raises PatternError (an InputError) with the place of the first mistake.
    """
    if not isinstance(text, str) or not text.strip(" \n\t-"):
        raise PatternError(0, "pattern: letters such as A-A'-B-C are needed, got nothing.")
    stack: list[list[list[Label]]] = [[]]  # groups within groups; each a list of units that can be repeated
    opened: list[int] = []
    place = 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        start = place + len(text[place:]) - len(text[place:].lstrip())
        if match is None:
            raise PatternError(
                start, f"pattern, character {start + 1}: {shown(text[start])} is no letter, dash or prime."
            )
        if match["label"]:
            stack[-1].append([_label(match, start)])
        elif match["mark"] == "(":
            stack.append([])
            opened.append(start)
        elif match["mark"] == ")":
            if not opened:
                raise PatternError(start, f"pattern, character {start + 1}: this bracket closes nothing.")
            opened.pop()
            group = stack.pop()
            stack[-1].append([label for unit in group for label in unit])
        elif match["mark"][0] in "*x×":
            _repeat(stack[-1], match["mark"], start)
        place = match.end()
        _check_length(sum(len(unit) for group in stack for unit in group), start)
    if opened:
        raise PatternError(opened[-1], f"pattern, character {opened[-1] + 1}: this bracket is never closed.")
    labels = tuple(label for unit in stack[0] for label in unit)
    if not labels:
        raise PatternError(0, "pattern: letters such as A-A'-B-C are needed, got none.")
    return Pattern(labels)


def pattern_of(labels: Iterable[str | Label]) -> Pattern:
    """A pattern from labels as written ("A'") or as `Label`s; raises InputError for anything else."""
    found = []
    for label in labels:
        if not isinstance(label, Label):
            parsed = parse_pattern(label)
            if len(parsed) != 1:
                raise InputError(f"pattern: one label at a time is needed, got {shown(label)}.")
            label = parsed.labels[0]
        found.append(label)
    _check_length(len(found), 0)
    if not found:
        raise InputError("pattern: at least one label is needed, got none.")
    return Pattern(tuple(found))


def _label(match: re.Match, start: int) -> Label:
    if len(match["primes"]) > 1:
        raise PatternError(
            start, f"pattern, character {start + 1}: one prime at most, the mirror of a mirror is the motion itself."
        )
    return Label(match["label"].upper(), bool(match["primes"]))


def _repeat(units: list[list[Label]], mark: str, start: int) -> None:
    times = int(mark[1:].strip()[:6])
    if not units:
        raise PatternError(start, f"pattern, character {start + 1}: there is nothing before it to repeat.")
    if not 1 <= times <= MAX_SEGMENTS:
        raise PatternError(start, f"pattern, character {start + 1}: 1 to {MAX_SEGMENTS} repeats, got {times}.")
    _check_length(len(units[-1]) * times, start)
    units[-1] = units[-1] * times


def _check_length(n: int, place: int) -> None:
    if n > MAX_SEGMENTS:
        raise PatternError(place, f"pattern: at most {MAX_SEGMENTS} segments, got {n} and more.")


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


# As printed in chapter 7, each with the song it was taken from where one is named.
PRESETS = {
    "Marmot (Fig. 1.5)": "A-A'-A-A'-A-A'-A-A'-B-B-B-B-B-B-B-B-C-C-C-C-D-D'-D",
    "Uptown Funk (Fig. 7.6a)": "A-A'-A-A'-A-A'-A-A'-B-B'-C-D-E-E'-E-E'",
    "Bumblebee (Fig. 7.6b)": ("A-B-A'-B'-C-D-C'-D'-A-B-A'-B'-C-D-C'-D'-E-F-G-G-G-G-H-H-H'-H'-G-G-G-G-H-H"),
    "Six segments (7.2.1)": "A-A'-B-C-D-D",
    "Seven segments (7.1)": "A-B-A-B-C-D-A",
}
