"""The keyframe graph as an assignment problem, and whether it has any solution, by OR-Tools CP-SAT (thesis Eqs. 7.4 to 7.9).

A label and its mirrored one are danced by a pair of keyframes and its mirror (Eq. 7.7), so what is to be chosen is one pair
per *base*, A for A and A'. A transition's cost depends on one end and one start alone, and repeated transitions cost what
one costs times their number; so there is one table [2K 2K] per two bases that follow each other.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .graph_wishes import Pair, Wish, mirrored
from .patterns import Label, Pattern

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

UNIT = 1000  # motion is counted in thousandths of a pixel, for the solver is exact in whole numbers

RULES = {
    "different": "different motions are danced by different pairs of keyframes (Eq. 7.7)",
    "copies": "different motions are not half-mirrored copies of each other (Eq. 7.8)",
    "neighbours": "neighbouring motions share neither the first nor the last keyframe (Eq. 7.9)",
    "onward": "no motion starts in the keyframe in which the one before it ended (Eq. 7.5)",
}


@dataclass(frozen=True)
class Problem:
    """Which pairs every base may be danced by, and what follows cost; costs are whole numbers of 1 / UNIT pixel."""

    bases: tuple[str, ...]
    nodes: tuple[np.ndarray, ...]  # per base: int [M 2], the pairs that its unprimed label may be danced by
    own_cost: tuple[np.ndarray, ...]  # per base: int [M], of the transitions from the base to itself or its mirror
    tables: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]  # bases x -> y: cost int [2K 2K], allowed bool [2K 2K]
    unlike: frozenset[tuple[int, int, bool]]  # bases x < y whose keyframes differ; with True, from the other's mirrors
    rules: frozenset[str]


def problem(pattern: Pattern, cost: np.ndarray, wishes: Iterable[Wish], rules: Iterable[str] = tuple(RULES)) -> Problem:
    """The assignment problem of `pattern` for transition costs int [2K 2K] in 1 / UNIT pixel."""
    rules, wishes = frozenset(rules), list(wishes)
    n = len(cost)
    mirror = mirrored(n)
    views = {False: np.arange(n), True: mirror}  # keyframes of a base's pair as its label shows them
    edges = np.logical_and.reduce([wish.edges for wish in wishes] or [np.ones((n, n), bool)])
    if "onward" in rules:
        edges = edges & ~np.eye(n, dtype=bool)
    bases = tuple(dict.fromkeys(label.base for label in pattern.labels))
    allowed = {base: ~np.eye(n, dtype=bool) for base in bases}
    for label in pattern.distinct:
        view = np.ix_(views[label.mirrored], views[label.mirrored])
        for wish in wishes:
            if wish.label in (None, label):
                allowed[label.base] &= wish.nodes[view]
    own = {base: np.zeros((n, n), np.int64) for base in bases}
    tables: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
    unlike = set()
    for (label, following), count in Counter(itertools.pairwise(pattern.labels)).items():
        view = np.ix_(views[label.mirrored], views[following.mirrored])  # [end, start]
        if label.base == following.base:
            own[label.base] += count * cost[view].T
            allowed[label.base] &= edges[view].T
            continue
        x, y = bases.index(label.base), bases.index(following.base)
        total, possible = tables.get((x, y), (np.zeros((n, n), np.int64), np.ones((n, n), bool)))
        tables[x, y] = (total + count * cost[view], possible & edges[view])
        unlike.add((min(x, y), max(x, y), label.mirrored != following.mirrored))
    nodes = tuple(np.argwhere(allowed[base]) for base in bases)
    own_cost = tuple(own[base][tuple(pairs.T)] for base, pairs in zip(bases, nodes, strict=True))
    return Problem(bases, nodes, own_cost, tables, frozenset(unlike if "neighbours" in rules else ()), rules)


def orbits(pairs: np.ndarray, n_keyframes: int) -> np.ndarray:
    """[M 2] -> int [M 3]: the two poses of a pair and whether one of them is mirrored; equal for a pair and its mirror."""
    half = n_keyframes // 2
    return np.column_stack([pairs % half, (pairs[:, 0] >= half) != (pairs[:, 1] >= half)])


def halved_copies(first: np.ndarray, second: np.ndarray, n_keyframes: int) -> np.ndarray:
    """Which pairs two different labels may not have: [M 2], [L 2] -> bool [M L].

    Equal or mirrored ones (Eq. 7.7) and those that share one keyframe, in any order, while the others are mirrored (Eq. 7.8):
    the same two poses once plain and once with one of them mirrored.
    """
    a, b = (orbits(pairs, n_keyframes) for pairs in (first, second))
    poses_a, poses_b = (np.sort(o[:, :2], axis=1) for o in (a, b))
    same_poses = (poses_a[:, None] == poses_b[None]).all(2)
    return (a[:, None] == b[None]).all(2) | (same_poses & (a[:, None, 2] != b[None, :, 2]))


def possible_pairs(
    task: Problem, n_keyframes: int, *, seed: int, workers: int, time_limit_s: float
) -> tuple[bool | None, list[int] | None]:
    """Whether any dance meets all constraints, by CP-SAT: (True, the node of every base), (False, None), or (None, None)
    where the time did not suffice to tell."""
    from ortools.sat.python import cp_model

    if any(len(pairs) == 0 for pairs in task.nodes):
        return False, None
    model, chosen, _ = constraints(task, n_keyframes)
    solver = cp_model.CpSolver()
    solver.parameters.random_seed = seed
    solver.parameters.num_workers = workers
    solver.parameters.max_time_in_seconds = time_limit_s
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return False, None
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None, None
    return True, [next(i for i, v in enumerate(literals) if solver.boolean_value(v)) for literals in chosen]


def constraints(
    task: Problem, n_keyframes: int
) -> tuple[cp_model.CpModel, list[list[cp_model.IntVar]], list[list[dict[int, cp_model.IntVar]]]]:
    """Eqs. 7.5 and 7.7 to 7.9 for CP-SAT: the model, a literal per base and node, and one per base, side and keyframe."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    chosen = [[model.new_bool_var("") for _ in pairs] for pairs in task.nodes]
    for literals in chosen:
        model.add_exactly_one(literals)
    sides = [[_side(model, task.nodes[x], literals, side) for side in (0, 1)] for x, literals in enumerate(chosen)]
    _no_copies(model, task, chosen, n_keyframes)
    mirror = mirrored(n_keyframes)
    for x, y, across in sorted(task.unlike):  # Eq. 7.9
        for side in (0, 1):
            for k, literal in sides[x][side].items():
                other = sides[y][side].get(int(mirror[k]) if across else k)
                if other is not None:
                    model.add_at_most_one([literal, other])
    for (x, y), (_, possible) in task.tables.items():  # Eq. 7.5
        for end, literal in sides[x][1].items():
            for start, other in sides[y][0].items():
                if not possible[end, start]:
                    model.add_at_most_one([literal, other])
    return model, chosen, sides


def _side(model: cp_model.CpModel, pairs: np.ndarray, literals: list, side: int) -> dict[int, cp_model.IntVar]:
    """keyframe -> whether the chosen pair starts (side 0) or ends (side 1) in it."""
    found = {}
    for k in np.unique(pairs[:, side]).tolist():
        found[k] = model.new_bool_var("")
        model.add(sum(literals[i] for i in np.flatnonzero(pairs[:, side] == k)) == found[k])
    return found


def _no_copies(model: cp_model.CpModel, task: Problem, chosen: list[list], n_keyframes: int) -> None:
    """One base per pair and its mirror (Eq. 7.7); two poses are shown plain or half-mirrored, not both (Eq. 7.8)."""
    users: dict[tuple[int, int, int], list] = {}
    for pairs, literals in zip(task.nodes, chosen, strict=True):
        for orbit, literal in zip(orbits(pairs, n_keyframes).tolist(), literals, strict=True):
            users.setdefault(tuple(orbit), []).append(literal)
    halves: dict[tuple[int, int], cp_model.IntVar] = {}
    for (i, j, half), literals in sorted(users.items()):
        if "different" in task.rules:
            model.add_at_most_one(literals)
        if "copies" in task.rules and i != j:
            poses = (min(i, j), max(i, j))
            if poses not in halves:
                halves[poses] = model.new_bool_var("")
            for literal in literals:
                model.add_implication(literal, halves[poses] if half else ~halves[poses])


def danced_pair(label: Label, pairs: dict[str, Pair], n_keyframes: int) -> Pair:
    """The pair of keyframes that a label shows: its base's, mirrored for a primed label (Eq. 7.7)."""
    u, v = pairs[label.base]
    mirror = mirrored(n_keyframes)
    return (int(mirror[u]), int(mirror[v])) if label.mirrored else (u, v)
