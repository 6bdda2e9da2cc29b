"""What is left of a dance once some of its bases are decided, and the least that it can cost (thesis Eq. 7.6).

With a few bases decided the rest can be bounded far better than at the start: only pairs that can still beat the best dance
known are left of every base, and among these alone costs are moved anew from pairs of bases onto single ones, by sequential
tree-reweighted message passing (Kolmogorov 2006). All costs are whole numbers, so that moving and bounding are exact.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Beside = Callable[[int, int], np.ndarray]  # what two bases cost together, [M_x M_y], constraints included
_SWEEPS = 2  # of moving costs for a part, each way
_MOST_BYTES = 512 << 20  # of tables kept at a time; past it the deepest part goes on, which soon ends


@dataclass(frozen=True, eq=False)
class Part:
    """Partly decided dances: what is decided, and the pairs and costs that are left of the other bases."""

    decided: dict[int, int]  # base -> node
    base_cost: int  # of every dance in this part; a bound, for nothing below is less than 0
    nodes: dict[int, np.ndarray]  # undecided base -> int [m], which of its nodes are left, in the order of deciding
    single: dict[int, np.ndarray]  # what these cost by themselves, [m]
    pairwise: dict[
        tuple[int, int], np.ndarray
    ]  # and together, [m_x m_y], of bases that follow each other; both ways round

    @property
    def n_bytes(self) -> int:
        return sum(costs.nbytes for costs in self.pairwise.values()) // 2

    def narrowed(self, left: dict[int, np.ndarray]) -> Part:
        """With the places `left` of every undecided base alone."""
        nodes = {x: self.nodes[x][places] for x, places in left.items()}
        single = {x: self.single[x][places] for x, places in left.items()}
        pairwise = {}
        for x, y in itertools.combinations(left, 2):
            if (x, y) in self.pairwise:
                # Of a table and its transpose one lies row by row in memory; that one is cut.
                x, y = (x, y) if self.pairwise[x, y].flags.c_contiguous else (y, x)
                costs = self.pairwise[x, y]
                if costs.shape != (len(left[x]), len(left[y])):
                    costs = costs.take(left[x], 0).take(left[y], 1)
                pairwise[x, y], pairwise[y, x] = costs, costs.T
        return Part(self.decided, self.base_cost, nodes, single, pairwise)


def decide(part: Part, x: int, place: int, beside: Beside, ceiling: int) -> Part | None:
    """`part` with base `x` danced by the node at `place`; None where no dance of it costs less than `ceiling`."""
    node, cost, single, left = int(part.nodes[x][place]), part.base_cost + int(part.single[x][place]), {}, {}
    for y in part.nodes:
        if y != x:
            row = part.pairwise[x, y][place] if (x, y) in part.pairwise else beside(x, y)[node][part.nodes[y]]
            single[y] = part.single[y] + row
            least = int(single[y].min())
            single[y], cost = single[y] - least, cost + least
    if cost >= ceiling:
        return None
    for y, costs in single.items():
        left[y] = np.flatnonzero(costs < ceiling - cost)
    rest = {key: costs for key, costs in part.pairwise.items() if x not in key}
    return Part(part.decided | {x: node}, cost, part.nodes, single, rest).narrowed(left)


def tightened(part: Part, ceiling: int, *, sweeps: int = _SWEEPS) -> tuple[Part, dict[int, np.ndarray]] | None:
    """(`part` with costs moved so that more of them is every dance's, bounds per base and node left: int64 [m]).

    Nodes with which no dance costs less than `ceiling` are dropped; None where that leaves none of a base.
    """
    looked = _looked_ahead(part, ceiling)  # most parts end here, at a small share of the cost
    return looked and _looked_ahead(_moved(looked[0], sweeps), ceiling)


def _looked_ahead(part: Part, ceiling: int) -> tuple[Part, dict[int, np.ndarray]] | None:
    if part.base_cost >= ceiling:
        return None
    foreseen = {x: _foreseen(part, x) for x in part.nodes}
    left = {x: np.flatnonzero(bounds < ceiling) for x, bounds in foreseen.items()}
    if not all(len(places) for places in left.values()):
        return None
    return part.narrowed(left), {x: foreseen[x][places] for x, places in left.items()}


def _moved(part: Part, sweeps: int) -> Part:
    """Messages first, which leave the tables alone; then what they say is moved, once."""
    order = list(part.nodes)
    beside = {x: [y for y in order if (x, y) in part.pairwise] for x in order}
    told = {key: np.zeros(costs.shape[1], costs.dtype) for key, costs in part.pairwise.items()}  # from x to y: [m_y]
    for _, turn in itertools.product(range(sweeps), (1, -1)):
        for at, x in enumerate(order[::turn]):
            ahead = [y for y in order[::turn][at + 1 :] if y in beside[x]]
            total = part.single[x] + sum((told[y, x] for y in beside[x]), 0)
            share = total // max(len(ahead), len(beside[x]) - len(ahead), 1)
            for y in ahead:
                told[x, y] = (part.pairwise[x, y] + (share - told[y, x])[:, None]).min(0)
    single = {x: part.single[x] + sum((told[y, x] for y in beside[x]), 0) for x in order}
    pairwise = {}
    for x, y in itertools.combinations(order, 2):
        if y in beside[x]:
            x, y = (x, y) if part.pairwise[x, y].flags.c_contiguous else (y, x)
            costs = part.pairwise[x, y] - told[y, x][:, None]
            costs -= told[x, y]
            for base, axis in ((x, 1), (y, 0)):
                least = costs.min(axis, keepdims=True)
                costs -= least
                single[base] = single[base] + least.ravel()
            pairwise[x, y], pairwise[y, x] = costs, costs.T
    least = {x: int(costs.min()) for x, costs in single.items()}
    single = {x: costs - least[x] for x, costs in single.items()}
    return Part(part.decided, part.base_cost + sum(least.values()), part.nodes, single, pairwise)


def _foreseen(part: Part, x: int) -> np.ndarray:
    """What dances with each node of base `x` cost at least, int64 [m]."""
    total = part.base_cost + part.single[x].astype(np.int64)
    for y in part.nodes:
        if (y, x) in part.pairwise:
            total += (part.pairwise[y, x] + part.single[y][:, None]).min(0)
    return total


def guess(part: Part, beside: Beside) -> tuple[int, ...]:
    """A dance of this part as the node of every base: always the cheapest node, of the base with fewest left."""
    chosen, cost = dict(part.decided), {x: costs.astype(np.int64) for x, costs in part.single.items()}
    while cost:
        x = min(cost, key=lambda y: len(cost[y]))
        place = int(cost.pop(x).argmin())
        chosen[x] = int(part.nodes[x][place])
        for y in cost:
            row = part.pairwise[x, y][place] if (x, y) in part.pairwise else beside(x, y)[chosen[x]][part.nodes[y]]
            cost[y] = cost[y] + row
    return tuple(chosen[x] for x in range(len(chosen)))


@dataclass(eq=False)
class Branch:
    """A part whose base `x` is being decided: the places of its nodes and their bounds, the most promising first."""

    part: Part
    x: int
    places: np.ndarray
    bounds: np.ndarray
    tried: int = 0

    @classmethod
    def of(cls, part: Part, foreseen: dict[int, np.ndarray]) -> Branch:
        """On the base with fewest nodes left."""
        x = min(part.nodes, key=lambda y: len(part.nodes[y]))
        places = np.argsort(foreseen[x], kind="stable")
        return cls(part, x, places, foreseen[x][places])


class Frontier:
    """Branches that are not tried to their ends; `least` is a bound on all dances in them."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Branch]] = []
        self._count, self._bytes = itertools.count(), 0

    def add(self, branch: Branch) -> None:
        self._push(branch)
        self._bytes += branch.part.n_bytes

    def _push(self, branch: Branch) -> None:
        rank = (int(branch.bounds[branch.tried]), -len(branch.part.decided), next(self._count))
        heapq.heappush(self._heap, (*rank, branch))

    @property
    def least(self) -> int | None:
        """None where nothing is left."""
        return self._heap[0][0] if self._heap else None

    def take(self, ceiling: int) -> tuple[Part, int, int]:
        """The next part, base and place to try: the least bound, or the deepest where memory runs short."""
        if self._bytes > _MOST_BYTES:
            deepest = min(self._heap, key=lambda ranked: ranked[1::-1])
            self._heap.remove(deepest)
            heapq.heapify(self._heap)
            branch = deepest[-1]
        else:
            branch = heapq.heappop(self._heap)[-1]
        taken = branch.part, branch.x, int(branch.places[branch.tried])
        branch.tried += 1
        if branch.tried < len(branch.places) and branch.bounds[branch.tried] < ceiling:
            self._push(branch)
        else:
            self._bytes -= branch.part.n_bytes
        return taken
