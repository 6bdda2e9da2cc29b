"""The keyframe graph: from motions between keyframes and a pattern to the best walk, proven (thesis section 7.2.3).

    wishes = Wishes.checked(pattern, 12, pinned={"A": [(0, 3)]})
    for dance in best_dances(pattern, motion, wishes, n_best=3):
        print(dance.path, dance.cost, dance.proven)

A node is an ordered pair of keyframes with a motion inside the range (Eq. 7.4), an edge a transition below its upper end
(Eq. 7.5). Every label gets a node; transitions shall cost least in sum (Eq. 7.6). Equal, mirrored and different labels
(Eq. 7.7), half-mirrored copies (Eq. 7.8), neighbours (Eq. 7.9) and the user's wishes are hard constraints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .. import runtime
from ..checks import InputError, integer, number
from .graph_conflict import ImpossibleDance, explained
from .graph_model import UNIT, Problem, danced_pair, possible_pairs, problem
from .graph_search import Search
from .graph_wishes import Pair, Wish, Wishes, keyframe_name
from .patterns import Label, Pattern

__all__ = ["Dance", "ImpossibleDance", "KeyframeGraph", "Wishes", "best_dances", "keyframe_name"]

MAX_BEST = 12
_DECIDE_S = 5.0  # for one question of the search for a conflict


@dataclass(frozen=True)
class Dance:
    """One assignment of labels to pairs of keyframes, and how good it is known to be."""

    pattern: Pattern
    pairs: dict[Label, Pair]  # every label of the pattern -> the keyframes it goes from and to
    cost: float  # sum of the transitions' motion, pixels at 1024x576 (Eq. 7.6)
    bound: float  # no dance allowed here costs less, pixels
    proven: bool  # cost equals bound: nothing better exists

    @property
    def path(self) -> np.ndarray:  # int [N], N = 2 * len(pattern)
        """The keyframe on every beat."""
        return np.array([k for label in self.pattern.labels for k in self.pairs[label]])

    @property
    def gap(self) -> float:
        """How much better another dance could be at most, as a share of the cost."""
        return (self.cost - self.bound) / self.cost if self.cost > 0 else 0.0


@dataclass(frozen=True)
class KeyframeGraph:
    """What the motion range leaves of all pairs and transitions, for showing it."""

    nodes: np.ndarray  # bool [2K 2K], Eq. 7.4
    edges: np.ndarray  # bool [2K 2K], from an end to a start, Eq. 7.5

    @classmethod
    def of(cls, motion: np.ndarray, *, motion_low: float, motion_high: float) -> KeyframeGraph:
        """The graph of `motion` [2K 2K] in pixels at 1024x576."""
        motion, other = checked_motion(motion), ~np.eye(len(motion), dtype=bool)
        return cls((motion > motion_low) & (motion < motion_high) & other, (motion < motion_high) & other)

    @property
    def n_nodes(self) -> int:
        return int(self.nodes.sum())


def best_dances(
    pattern: Pattern,
    motion: np.ndarray,
    wishes: Wishes | None = None,
    *,
    n_best: int = 1,
    apart: int | None = None,
    time_limit_s: float = 20.0,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Dance]:
    """The best dances, cheapest first, one at a time; `motion` float [2K 2K] is the motion from keyframe to keyframe.

    Each differs from all before it in at least `apart` motions (a quarter of them by default, so that there is something
    to see), where a motion that uses the same two poses in the same order to the other side counts as the same. Each is
    proven optimal among those, or carries the bound reached when `time_limit_s`, which holds for each, was over by `clock`.
    There may be fewer than `n_best`. Motion is counted in thousandths of a pixel. Equal input gives an equal first dance.
    Raises ImpossibleDance, an InputError, which names the wishes that conflict.
    """
    motion = checked_motion(motion)
    wishes = Wishes() if wishes is None else wishes
    n_best = integer(n_best, "solutions", low=1, high=MAX_BEST)
    time_limit_s = number(time_limit_s, "time limit", low=0.01, high=3600, unit="s")
    cost = np.rint(motion * UNIT).astype(np.int64)
    single = wishes.single(motion)
    task = problem(pattern, cost, single)
    apart = max(1, len(task.bases) // 4) if apart is None else apart
    apart = integer(apart, "motions that differ", low=1, high=len(task.bases))
    limits = {"n_best": n_best, "apart": apart, "time_limit_s": time_limit_s}
    return _dances(pattern, cost, single, task, **limits, seed=seed, clock=clock)


def checked_motion(motion: np.ndarray) -> np.ndarray:
    """`motion` as float64 [2K 2K]; raises InputError where it is not square, even, finite and >= 0."""
    motion = np.asarray(motion, np.float64)
    if motion.ndim != 2 or motion.shape[0] != motion.shape[1] or len(motion) % 2 or len(motion) < 2:
        raise InputError(f"motion: [2K 2K] between keyframes and their mirrors is needed, got {list(motion.shape)}.")
    if not (np.isfinite(motion).all() and motion.min() >= 0 and motion.max() < 1e6):
        raise InputError("motion: numbers of pixels from 0 on are needed.")
    return motion


def _dances(
    pattern: Pattern,
    cost: np.ndarray,
    single: list[Wish],
    task: Problem,
    *,
    n_best: int,
    apart: int,
    time_limit_s: float,
    seed: int,
    clock: Callable[[], float],
) -> Iterator[Dance]:
    n = len(cost)
    started = clock()
    solver = {"seed": seed, "workers": runtime.cpu_count()}
    possible = all(len(pairs) for pairs in task.nodes)
    search = Search(task, n, time_limit_s=time_limit_s, clock=clock) if possible else None
    known = search.dive() if search else None
    if known is None:
        if possible:
            possible, known = possible_pairs(task, n, **solver, time_limit_s=time_limit_s)
        if possible is None:
            raise InputError(
                f"pattern: in {time_limit_s:g} s neither a dance nor a proof that there is none was found."
            )
        if not possible:
            raise explained(
                pattern,
                cost,
                single,
                lambda some, rules: (
                    possible_pairs(problem(pattern, cost, some, rules), n, **solver, time_limit_s=_DECIDE_S)[0] is False
                ),
            )
    excluded: list[list[Pair]] = []
    left_s = max(0.0, time_limit_s - (clock() - started))
    for _ in range(n_best):
        found = search.optimum(excluded=excluded, apart=apart, time_limit_s=left_s, known=known)
        if found.nodes is None:
            return
        chosen = [tuple(own[i].tolist()) for own, i in zip(task.nodes, found.nodes, strict=True)]
        of_base = dict(zip(task.bases, chosen, strict=True))
        pairs = {label: danced_pair(label, of_base, n) for label in pattern.distinct}
        yield Dance(pattern, pairs, found.cost / UNIT, found.bound / UNIT, found.cost == found.bound)
        excluded.append(chosen)
        known, left_s = search.dive(excluded, apart), time_limit_s
