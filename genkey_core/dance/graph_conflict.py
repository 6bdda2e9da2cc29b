"""Why a dance is impossible: a smallest set of wishes and rules that cannot be met together (thesis section 7.3.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from ..checks import InputError
from .graph_model import RULES, problem
from .graph_wishes import Wish
from .patterns import Pattern


class ImpossibleDance(InputError):
    """No assignment meets the wishes; `wishes` and `rules` are those that conflict, in words."""

    def __init__(self, message: str, wishes: tuple[str, ...], rules: tuple[str, ...]):
        super().__init__(message)
        self.wishes, self.rules = wishes, rules


def explained(
    pattern: Pattern,
    cost: np.ndarray,
    wishes: Sequence[Wish],
    impossible: Callable[[Sequence[Wish], Sequence[str]], bool],
) -> ImpossibleDance:
    """The error that names a minimal conflict: without any one of what it names, the rest could be danced.

    `impossible(wishes, rules)` proves that there is no dance under these; what it cannot decide counts as possible, so that
    what is named always does conflict. Rules are left out before wishes, and the motion range before pinned pairs.
    """
    kept_wishes, kept_rules = list(wishes), list(RULES)
    for rule in RULES:
        if impossible(kept_wishes, [r for r in kept_rules if r != rule]):
            kept_rules.remove(rule)
    for wish in wishes:
        without = [w for w in kept_wishes if w is not wish]
        if impossible(without, kept_rules):
            kept_wishes = without
    words = tuple(wish.words for wish in kept_wishes)
    rules = tuple(RULES[rule] for rule in kept_rules)
    if words:
        text = "pattern: these wishes cannot be met together: " + "; ".join(words) + "."
    else:
        text = f"pattern: {len(cost) // 2} keyframes and their mirrors cannot dance it, whatever else is wished."
    if rules:
        text += " For " + ", and ".join(rules) + "."
    return ImpossibleDance(text + _counted(pattern, cost, kept_wishes), words, rules)


def _counted(pattern: Pattern, cost: np.ndarray, wishes: list[Wish]) -> str:
    """How many motions the pattern has, and how many the wishes that conflict leave room for, where that is fewer."""
    task = problem(pattern, cost, wishes)
    empty = [base for base, pairs in zip(task.bases, task.nodes, strict=True) if len(pairs) == 0]
    everyone = [wish for wish in wishes if wish.label is None]
    left = np.logical_and.reduce([~np.eye(len(cost), dtype=bool), *(wish.nodes for wish in everyone)])
    room = motions_that_fit(left)
    if room < len(task.bases):
        return (
            f" The pattern has {len(task.bases)} different motions, and there are pairs of keyframes for {room} at most: "
            "take fewer letters, more keyframes or a wider motion range."
        )
    if empty and len(empty) < len(task.bases):
        return f" No pair of keyframes is left for {', '.join(empty)}."
    return ""


def motions_that_fit(nodes: np.ndarray) -> int:
    """How many different motions the pairs bool [2K 2K] allow at most under Eqs. 7.7 and 7.8, transitions aside."""
    half = len(nodes) // 2
    seen = {(u % half, v % half, (u >= half) != (v >= half)) for u, v in np.argwhere(nodes).tolist()}
    counts = Counter((min(i, j), max(i, j), crossed) for i, j, crossed in seen)
    return sum(max(counts[i, j, False], counts[i, j, True]) for i, j in {key[:2] for key in counts})
