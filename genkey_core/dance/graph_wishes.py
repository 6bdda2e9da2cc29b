"""What a dancer asks of the keyframe graph, as hard constraints with words of their own (thesis sections 7.2.3 and 7.3.4).

Every wish is one thing that could be left out: a mask of the keyframe pairs a label may be danced by, and one of the
transitions between pairs. So what conflicts can be found by leaving wishes out (`graph_conflict.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..checks import InputError, integer, number, shown
from .patterns import Label, Pattern, pattern_of

MOTION_LOW, MOTION_HIGH = 12.0, 60.0  # pixels at 1024x576 (section 7.3.4)

Pair = tuple[int, int]  # keyframes of the augmented set, from the first to the second


@dataclass(frozen=True)
class Wishes:
    """The user's constraints; keyframes are numbers in [0, 2K), of which those from K on are the mirrored ones."""

    motion_low: float = MOTION_LOW  # a motion is larger than this, pixels at 1024x576 (Eq. 7.4)
    motion_high: float = MOTION_HIGH  # motions and transitions are smaller than this (Eqs. 7.4 and 7.5)
    pinned: Mapping[Label, tuple[Pair, ...]] = field(default_factory=dict)  # the pairs a label may be danced by
    mirrored_ends: frozenset[Label] = frozenset()  # labels that end in the mirror of the pose they start in
    never: frozenset[int] = frozenset()  # keyframes that are not to be seen

    @classmethod
    def checked(
        cls,
        pattern: Pattern,
        n_keyframes: int,
        *,
        motion_low: object = MOTION_LOW,
        motion_high: object = MOTION_HIGH,
        pinned: Mapping[str | Label, Iterable[Sequence[int]]] | None = None,
        mirrored_ends: Iterable[str | Label] = (),
        never: Iterable[int] = (),
    ) -> Wishes:
        """Wishes from a page or a file; `n_keyframes` is 2K. Raises InputError that names the wish and what is off."""
        low = number(motion_low, "smallest motion", low=0, unit="pixels")
        high = number(motion_high, "largest motion", low=0, unit="pixels")
        if high <= low:
            raise InputError(f"largest motion: more than the smallest, {low:g} pixels, is needed, got {high:g}.")

        def keyframe(value: object, name: str) -> int:
            return integer(value, f"{name}: keyframe", low=0, high=n_keyframes - 1)

        pairs: dict[Label, tuple[Pair, ...]] = {}
        for written, wanted in (pinned or {}).items():
            label = _label(written, pattern)
            found = []
            for pair in wanted:
                if len(pair) != 2 or pair[0] == pair[1]:
                    raise InputError(f"{label}: two different keyframes are needed, got {shown(list(pair))}.")
                found.append((keyframe(pair[0], str(label)), keyframe(pair[1], str(label))))
            if found:
                pairs[label] = tuple(dict.fromkeys(found))
        ends = frozenset(_label(written, pattern) for written in mirrored_ends)
        return cls(low, high, pairs, ends, frozenset(keyframe(k, "never") for k in never))

    def single(self, motion: np.ndarray) -> list[Wish]:
        """One `Wish` for each thing asked, given the motion between keyframes, [2K 2K] in pixels."""
        n = len(motion)
        everything = np.ones((n, n), bool)
        found = [
            Wish(f"motions of more than {self.motion_low:g} pixels", motion > self.motion_low, everything),
            Wish(
                f"motions and transitions of less than {self.motion_high:g} pixels",
                motion < self.motion_high,
                motion < self.motion_high,
            ),
        ]
        for k in sorted(self.never):
            seen = everything.copy()
            seen[k, :] = seen[:, k] = False
            found.append(Wish(f"never keyframe {keyframe_name(k, n)}", seen, everything))
        for label in sorted(self.mirrored_ends):
            turned = np.eye(n, dtype=bool)[mirrored(n)]
            found.append(Wish(f"{label} ends in the mirror of its first keyframe", turned, everything, label))
        for label, pairs in sorted(self.pinned.items()):
            only = np.zeros((n, n), bool)
            only[tuple(np.array(pairs).T)] = True
            words = " or ".join(f"from keyframe {keyframe_name(u, n)} to {keyframe_name(v, n)}" for u, v in pairs)
            found.append(Wish(f"{label} goes {words}", only, everything, label))
        return found


@dataclass(frozen=True)
class Wish:
    """One wish: in words, and as what it leaves."""

    words: str
    nodes: np.ndarray  # bool [2K 2K], pairs that may be danced ...
    edges: np.ndarray  # bool [2K 2K], transitions that may be made, from an end to a start
    label: Label | None = None  # ... by this label, or by all


def mirrored(n_keyframes: int) -> np.ndarray:
    """The mirror of every keyframe of the augmented set, int [2K]: k and k + K are each other's."""
    return np.roll(np.arange(n_keyframes), n_keyframes // 2)


def keyframe_name(k: int, n_keyframes: int) -> str:
    """A keyframe as people count them: 1 to K, and with a prime the mirrored ones."""
    half = n_keyframes // 2
    return f"{k % half + 1}{chr(39) * (k >= half)}"


def _label(written: str | Label, pattern: Pattern) -> Label:
    label = pattern_of([written]).labels[0]
    if label not in pattern.labels:
        raise InputError(f"{label}: no such motion in the pattern {shown(str(pattern))}.")
    return label
