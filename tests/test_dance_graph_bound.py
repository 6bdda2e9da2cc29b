"""Parts of the keyframe graph's search: costs that are moved stay what they are, bounds stay below, memory stays small."""

import itertools

import numpy as np
import pytest
from test_dance_graph import brute_force, random_case

from genkey_core.dance import graph_bound
from genkey_core.dance.graph import best_dances
from genkey_core.dance.graph_bound import decide, guess, tightened
from genkey_core.dance.graph_model import UNIT, problem
from genkey_core.dance.graph_search import Search
from genkey_core.dance.patterns import parse_pattern


@pytest.fixture(params=range(6))
def search(request) -> Search:
    """A search over four motions that follow one another in any order, with three keyframes and their mirrors."""
    rng = np.random.default_rng(request.param)
    pattern = parse_pattern("-".join(rng.choice(list("ABCD"), 12)))
    motion = rng.uniform(15, 55, (6, 6))
    cost = np.rint(motion * UNIT).astype(np.int64)
    return Search(problem(pattern, cost, ()), 6, time_limit_s=100)


def costs_of(part, search) -> dict[tuple[int, ...], int]:
    """What every dance of a part costs by the part's own tables; those that break a constraint left out."""
    found = {}
    for places in itertools.product(*(range(len(nodes)) for nodes in part.nodes.values())):
        at = dict(zip(part.nodes, places, strict=True))
        total = part.base_cost + sum(int(part.single[x][i]) for x, i in at.items())
        total += sum(
            int(part.pairwise[x, y][at[x], at[y]]) for x, y in itertools.combinations(at, 2) if (x, y) in part.pairwise
        )
        nodes = part.decided | {x: int(part.nodes[x][i]) for x, i in at.items()}
        dance = tuple(nodes[x] for x in range(len(nodes)))
        if search.cost(dance) < search.hopeless:
            found[dance] = total
    return found


def some_part(search):
    """All dances but for the first base, which is decided: small enough to look at every one."""
    whole = search._whole()
    x = next(iter(whole.nodes))
    part = decide(whole, x, 0, search._beside, search.hopeless)
    y = next(iter(part.nodes))
    return decide(part, y, len(part.nodes[y]) // 2, search._beside, search.hopeless)


def test_moving_costs_changes_no_dances_cost_and_raises_the_bound(search):
    part = some_part(search)
    before = costs_of(part, search)
    assert before
    assert all(total == search.cost(dance) for dance, total in before.items())
    moved, foreseen = tightened(part, search.hopeless)
    after = costs_of(moved, search)
    assert after == before
    assert part.base_cost <= moved.base_cost <= min(before.values())
    assert min(int(costs.min()) for costs in moved.single.values()) == 0
    for x, bounds in foreseen.items():
        for i, node in enumerate(moved.nodes[x].tolist()):
            own = [total for dance, total in before.items() if dance[x] == node]
            assert bounds[i] <= min(own, default=search.hopeless)


def test_only_dances_below_the_ceiling_need_to_be_left(search):
    part = some_part(search)
    every = sorted(costs_of(part, search).values())
    ceiling = every[len(every) // 4] + 1
    left = tightened(part, ceiling)
    assert left is not None
    below = {dance: total for dance, total in costs_of(part, search).items() if total < ceiling}
    assert below.items() <= costs_of(left[0], search).items()
    assert len(costs_of(left[0], search)) < len(every)
    assert tightened(part, every[0] - search.hopeless // 2) is None


def test_a_guess_is_a_dance_of_the_part(search):
    part = some_part(search)
    dance = guess(part, search._beside)
    assert all(dance[x] == node for x, node in part.decided.items())
    assert all(dance[x] in nodes for x, nodes in part.nodes.items())


@pytest.mark.parametrize("seed", range(8))
def test_short_of_memory_the_search_goes_deep_first_and_finds_the_same(seed, monkeypatch):
    monkeypatch.setattr(graph_bound, "_MOST_BYTES", 0)
    pattern, motion, wishes = random_case(np.random.default_rng(80 + seed))
    every = brute_force(pattern, motion, wishes)
    if every:
        dance = next(best_dances(pattern, motion, wishes))
        assert dance.proven
        assert dance.cost == pytest.approx(every[0][0])


def test_the_deepest_branch_is_taken_when_memory_runs_short(search, monkeypatch):
    frontier, whole = graph_bound.Frontier(), search._whole()
    deep = decide(whole, next(iter(whole.nodes)), 0, search._beside, search.hopeless)
    for part in (whole, deep):
        frontier.add(graph_bound.Branch.of(*tightened(part, search.hopeless)))
    assert frontier.take(search.hopeless)[0].decided == {}  # the least bound
    monkeypatch.setattr(graph_bound, "_MOST_BYTES", 0)
    assert frontier.take(search.hopeless)[0].decided == deep.decided
