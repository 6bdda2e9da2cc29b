"""Proven optima of the keyframe graph by branch and bound (thesis Eq. 7.6).

Costs of pairs of bases are first moved onto single bases as far as that raises the sum of the least costs: sequential
tree-reweighted message passing (Kolmogorov 2006), which approaches the linear relaxation's bound. The first dance comes from
a beam of partial dances, improved two bases at a time. Then bases are decided one after the other, the part with the least
bound first, and what is left of each part is bounded anew (`graph_bound`); parts whose bound reaches the best dance found are
dropped, and when none is left that dance is optimal.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .graph_bound import Branch, Frontier, Part, decide, guess, tightened
from .graph_model import Problem, halved_copies, orbits
from .graph_wishes import Pair, mirrored

FORBIDDEN = 1 << 40  # more than all transitions of a dance together, also after costs were moved
_HOPELESS = FORBIDDEN // 2  # what costs as much breaks a constraint
_SWEEPS, _LEAST_GAIN = 30, 1e-4  # of moving costs, each way; it stops where a sweep raises the bound by less
_BEAM = 64  # partial dances kept per base in the first dive, which gives the dance to beat
_PARENTS, _CHILDREN = 256, 1024  # partial dances looked at together
_POLISHED = 4  # dances that are improved two bases at a time
_AT_FIRST = {"sweeps": 6}  # of moving costs once more with a dance to beat
_CLOSE = 1.03  # a dance that costs so many times the best one is worth improving
_SMALL, _SMALL_BASES = 1 << 24, 64  # where no dance costs as much 32 bits do, for what is forbidden adds up to 1 << 30


@dataclass(frozen=True)
class Found:
    """What a search came to: `nodes` per base (None where there is no dance), whole-number cost and bound."""

    nodes: tuple[int, ...] | None
    cost: int
    bound: int  # no dance costs less


@dataclass
class Partial:
    """Partial dances of one depth: nodes int [S d] of the first d bases in order, exact cost so far and bound [S]."""

    nodes: np.ndarray
    cost: np.ndarray
    bound: np.ndarray

    def kept(self, which: np.ndarray) -> Partial:
        return Partial(self.nodes[which], self.cost[which], self.bound[which])


class Search:
    """A problem prepared for searching, in a quarter of the time limit at most; `optimum` may be asked again with dances
    excluded."""

    def __init__(
        self, task: Problem, n_keyframes: int, *, time_limit_s: float, clock: Callable[[], float] = time.monotonic
    ):
        self.task, self.n, self.clock = task, n_keyframes, clock
        self.single = [cost.astype(np.int64) for cost in task.own_cost]
        self.pairwise: dict[tuple[int, int], np.ndarray] = {}
        for x, y in itertools.combinations(range(len(task.bases)), 2):
            self.pairwise[x, y] = self._pairwise(x, y)
            self.pairwise[y, x] = self.pairwise[x, y].T  # a view
        self.order = self._order()
        self.first = self._first_nodes()
        self._move_costs(clock() + time_limit_s / 4)
        self._settle()

    def dive(self, excluded: list[list[Pair]] = (), apart: int = 1) -> tuple[int, ...] | None:
        """A good dance, quickly, as the node of every base: the most promising partial dances alone are followed. None
        where all of them end, which proves nothing."""
        same, most_same, dances = self._likeness(excluded), len(self.order) - apart, self._root()
        for _ in self.order:
            dances = self._children(dances, self.hopeless, same, most_same)
            dances = dances.kept(np.argsort(dances.bound, kind="stable")[:_BEAM])
        if not len(dances.cost):
            return None
        starts = [self._complete(dances.kept(np.array([i])))[0] for i in range(min(_POLISHED, len(dances.cost)))]
        return min((self._polished(nodes, same, most_same) for nodes in starts), key=self.cost)

    def _polished(self, nodes: tuple[int, ...], same: list[list[np.ndarray]], most_same: int) -> tuple[int, ...]:
        """A dance improved two bases at a time, until no two of them can be danced better."""
        nodes = list(nodes)
        turns = list(itertools.combinations(self.order, 2))
        since = 0
        for x, y in itertools.cycle(turns):
            others = [z for z in self.order if z not in (x, y)]
            alone = [self.single[a] + sum((self._beside(z, a)[nodes[z]] for z in others), 0) for a in (x, y)]
            joint = alone[0][:, None] + alone[1][None] + self.pairwise[x, y]
            for likeness in same:
                alike = sum(int(likeness[z][nodes[z]]) for z in others)
                joint[alike + np.add.outer(likeness[x].astype(int), likeness[y].astype(int)) > most_same] = (
                    self.hopeless
                )
            i, j = np.unravel_index(joint.argmin(), joint.shape)
            better = joint[i, j] < joint[nodes[x], nodes[y]]
            if better:
                nodes[x], nodes[y] = int(i), int(j)
            since = 0 if better else since + 1
            if since == len(turns):
                break
        return tuple(nodes)

    def _beside(self, x: int, y: int) -> np.ndarray:
        """What two bases cost together, [M_x M_y], whichever comes first."""
        return self.pairwise[x, y] if (x, y) in self.pairwise else self.pairwise[y, x].T

    def optimum(
        self, *, excluded: list[list[Pair]], apart: int, time_limit_s: float, known: tuple[int, ...] | None = None
    ) -> Found:
        """The cheapest dance that differs from every one in `excluded` in at least `apart` bases (a pair's mirror counts
        as the pair itself); at the time limit the best one found, with the bound reached. `known` is an allowed dance.
        """
        deadline = self.clock() + time_limit_s
        same, most_same = self._likeness(excluded), len(self.order) - apart
        best, best_cost = (None, self.hopeless) if known is None else (tuple(known), self.cost(known))
        frontier, bound, part = Frontier(), self.base_cost, self._whole()
        while True:
            if part is not None and not part.nodes:
                best, best_cost = tuple(part.decided[x] for x in range(len(self.order))), part.base_cost
            elif part is not None and (more := tightened(part, best_cost, **({} if part.decided else _AT_FIRST))):
                part, foreseen = more
                dance = guess(part, self._beside)
                if self.cost(dance) < _CLOSE * best_cost and self._alike(dict(enumerate(dance)), same) <= most_same:
                    dance = self._polished(dance, same, most_same)
                    if self.cost(dance) < best_cost:
                        best, best_cost = dance, self.cost(dance)
                frontier.add(Branch.of(part, foreseen))
            least = best_cost if frontier.least is None else frontier.least
            bound = max(bound, min(best_cost, least))
            if bound >= best_cost or self.clock() > deadline:
                return Found(best, best_cost, bound)
            part, x, place = frontier.take(best_cost)
            part = decide(part, x, place, self._beside, best_cost)
            if part is not None and self._alike(part.decided, same) > most_same:
                part = None

    def _whole(self) -> Part:
        """All dances."""
        left = {x: np.arange(len(self.single[x])) for x in self.order}
        left[self.order[0]] = np.flatnonzero(self.first)
        tied = {(min(key), max(key)) for key in self.task.tables}
        pairwise = {key: self._beside(*key) for pair in tied for key in (pair, pair[::-1])}
        everything = {x: np.arange(len(self.single[x])) for x in self.order}
        return Part({}, self.base_cost, everything, dict(enumerate(self.single)), pairwise).narrowed(left)

    @staticmethod
    def _alike(decided: dict[int, int], same: list[list[np.ndarray]]) -> int:
        """In how many decided bases a dance is like one of those excluded, at most."""
        return max((sum(int(likeness[x][i]) for x, i in decided.items()) for likeness in same), default=0)

    def _root(self) -> Partial:
        return Partial(np.zeros((1, 0), int), np.array([self.base_cost]), np.array([self.base_cost]))

    def _likeness(self, excluded: list[list[Pair]]) -> list[list[np.ndarray]]:
        """Per excluded dance and base, which nodes are the same motion: bool [M]."""
        return [
            [
                (orbits(own, self.n) == orbits(np.array([pair]), self.n)).all(1)
                for own, pair in zip(self.task.nodes, pairs, strict=True)
            ]
            for pairs in excluded
        ]

    def cost(self, nodes) -> int:
        """The whole cost of a dance, given the node of every base."""
        total = self.base_cost + sum(int(single[i]) for single, i in zip(self.single, nodes, strict=True))
        return total + sum(int(costs[nodes[x], nodes[y]]) for (x, y), costs in self.pairwise.items())

    def _complete(self, dances: Partial) -> tuple[tuple[int, ...], int]:
        i = int(dances.cost.argmin())
        nodes = np.empty(len(self.order), int)
        nodes[self.order] = dances.nodes[i]
        return tuple(nodes.tolist()), int(dances.cost[i])

    def _children(self, parents: Partial, ceiling: int, same: list[list[np.ndarray]], most_same: int) -> Partial:
        """Every partial dance with one base more whose bound lies below `ceiling`."""
        depth = parents.nodes.shape[1]
        decided, x, rest = self.order[:depth], self.order[depth], self.order[depth + 1 :]
        sums = {y: np.broadcast_to(self.single[y], (len(parents.cost), len(self.single[y]))) for y in (x, *rest)}
        for i, z in enumerate(decided):
            for y in sums:
                sums[y] = sums[y] + self.pairwise[z, y][parents.nodes[:, i]]
        own = sums[x] if depth else np.where(self.first, sums[x], self.hopeless)
        least = {y: sums[y].min(1, initial=self.hopeless) for y in rest}
        whole = parents.cost + sum((costs.astype(np.int64) for costs in least.values()), 0)
        hopeful = whole[:, None] + own < ceiling
        for likeness in same:
            alike = sum((likeness[z][parents.nodes[:, i]].astype(int) for i, z in enumerate(decided)), 0)
            hopeful &= np.add.outer(np.broadcast_to(alike, len(parents.cost)), likeness[x].astype(int)) <= most_same
        parent, node = np.nonzero(hopeful)
        cost = parents.cost[parent] + own[parent, node]
        bound = cost.copy()
        slack = ceiling - whole - np.where(hopeful, own, self.hopeless).min(1, initial=self.hopeless)
        for i in range(0, len(parent), _CHILDREN):
            part = slice(i, i + _CHILDREN)
            rows = slice(parent[i], parent[part][-1] + 1)
            for y in rest:  # nodes that cost a parent its slack cannot save any of its children
                some = np.flatnonzero((sums[y][rows] < (least[y][rows] + slack[rows])[:, None]).any(0))
                left = sums[y][rows][:, some][parent[part] - parent[i]]
                left += self.pairwise[x, y][:, some][node[part]]
                bound[part] += left.min(1, initial=self.hopeless)
        below = np.flatnonzero(bound < ceiling)
        nodes = np.column_stack([parents.nodes[parent[below]], node[below]])
        return Partial(nodes, cost[below], bound[below])

    def _move_costs(self, deadline: float) -> None:
        """Move costs between pairs of bases and single ones, the sum for every dance unchanged, until single ones hold what
        they can and no pair costs less than nothing."""
        tied = {(min(key), max(key)) for key in self.task.tables}
        beside = {x: [y for y in self.order if (min(x, y), max(x, y)) in tied] for x in self.order}
        before = None
        for _ in range(_SWEEPS):
            for order in (self.order, self.order[::-1]):
                place = {x: i for i, x in enumerate(order)}
                for x in order:
                    for y in beside[x]:
                        self._gather(x, y)
                    ahead = [y for y in beside[x] if place[y] > place[x]]
                    share = self.single[x] // max(len(ahead), len(beside[x]) - len(ahead), 1)
                    for y in ahead:
                        self.pairwise[x, y] += share[:, None]
                        self.single[x] = self.single[x] - share
            bound = sum(int(c.min()) for c in self.single) + sum(int(self.pairwise[key].min()) for key in tied)
            if self.clock() > deadline or (before is not None and bound - before <= _LEAST_GAIN * abs(bound)):
                break
            before = bound
        for x, y in sorted(tied):
            self._gather(x, y)
            self._gather(y, x)

    def _settle(self) -> None:
        """Costs as the search reads them: nothing below 0, `base_cost` being every dance's; bases in their order; 32 bits
        where all dances cost less than `_SMALL`; `hopeless` where no dance goes."""
        least = [int(cost.min()) for cost in self.single]
        self.base_cost = sum(least)
        most = sum(int(cost.max()) for cost in self.task.own_cost)
        most += sum(int(cost[possible].max(initial=0)) for cost, possible in self.task.tables.values())
        small = max(most, most - self.base_cost) < _SMALL and len(self.order) <= _SMALL_BASES
        self.hopeless, kind = (_SMALL, np.int32) if small else (_HOPELESS, np.int64)
        self.single = [
            np.minimum(cost - low, self.hopeless).astype(kind) for cost, low in zip(self.single, least, strict=True)
        ]
        self.pairwise = {
            (x, y): np.minimum(self.pairwise[x, y], self.hopeless).astype(kind, order="C")
            for x, y in itertools.combinations(self.order, 2)
        }

    def _gather(self, x: int, y: int) -> None:
        """Move the least that each pair of base `x` costs together with base `y` onto `x` alone."""
        least = self.pairwise[x, y].min(1)
        self.pairwise[x, y] -= least[:, None]
        self.single[x] = self.single[x] + least

    def _pairwise(self, x: int, y: int) -> np.ndarray:
        """What two bases cost together, int64 [M_x M_y], FORBIDDEN where Eqs. 7.5 and 7.7 to 7.9 do not let them."""
        first, second = self.task.nodes[x], self.task.nodes[y]
        total = np.where(halved_copies(first, second, self.n), FORBIDDEN, 0)
        for across, seen in ((False, second), (True, mirrored(self.n)[second])):
            if (x, y, across) in self.task.unlike:
                total[(first[:, None] == seen[None]).any(2)] = FORBIDDEN
        if (x, y) in self.task.tables:
            cost, possible = self.task.tables[x, y]
            total += np.where(possible, cost, FORBIDDEN)[np.ix_(first[:, 1], second[:, 0])]
        if (y, x) in self.task.tables:
            cost, possible = self.task.tables[y, x]
            total += np.where(possible, cost, FORBIDDEN)[np.ix_(second[:, 1], first[:, 0])].T
        return np.minimum(total, FORBIDDEN)

    def _order(self) -> list[int]:
        """Bases in the order in which they are decided: always the one with most transitions to those before it."""
        count = len(self.task.bases)

        def ties(x: int, others) -> tuple[int, int]:
            tied = sum(((x, y) in self.task.tables) + ((y, x) in self.task.tables) for y in others)
            return tied, -len(self.task.nodes[x])

        order: list[int] = []
        while len(order) < count:
            left = [x for x in range(count) if x not in order]
            order.append(max(left, key=lambda x: (ties(x, order or left), ties(x, left))))
        return order

    def _first_nodes(self) -> np.ndarray:
        """Where mirroring the whole dance changes nothing, the first base needs no pair that starts mirrored: bool [M]."""
        mirror = mirrored(self.n)
        view = np.ix_(mirror, mirror)
        x = self.order[0]
        everything = np.ones(len(self.task.nodes[x]), bool)
        for cost, possible in self.task.tables.values():
            if not (np.array_equal(cost[view], cost) and np.array_equal(possible[view], possible)):
                return everything
        for pairs, cost in zip(self.task.nodes, self.task.own_cost, strict=True):
            plain, flipped = (
                dict(zip(map(tuple, p.tolist()), cost.tolist(), strict=True)) for p in (pairs, mirror[pairs])
            )
            if plain != flipped:
                return everything
        return self.task.nodes[x][:, 0] < self.n // 2
