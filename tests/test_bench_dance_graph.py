"""The benchmark of the keyframe graph: its instances are what they are called, both solvers agree, verdicts follow figures."""

import numpy as np
import pytest

from benchmarks import dance_graph as bench
from genkey_core.dance.patterns import PRESETS, parse_pattern


@pytest.mark.parametrize("kind", bench.KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_instance_has_its_size_and_is_the_same_again(kind, seed):
    case, again = (bench.instance(kind, 6, 10, seed) for _ in range(2))
    assert len(case.pattern) == 32
    assert len({label.base for label in case.pattern.labels}) == 10
    assert case.pattern == again.pattern
    assert np.array_equal(case.motion, again.motion)
    swap = np.roll(np.arange(12), 6)
    assert np.array_equal(case.motion, case.motion[np.ix_(swap, swap)])  # a pair and its mirror move alike
    assert not case.motion.diagonal().any()


def test_printed_patterns_fill_the_song():
    for name in PRESETS:
        pattern = bench.printed(name, 12).pattern
        assert len(pattern) == 64
        assert pattern.labels[: len(parse_pattern(PRESETS[name]))] == parse_pattern(PRESETS[name]).labels


def test_cp_sat_comes_to_the_same_optimum():
    rng = np.random.default_rng(3)
    case = bench.Instance(parse_pattern("A-A'-B-C-A-B'-C"), bench.planted_motion(rng, 4))
    own, other = bench.solved(case, limit_s=20), bench.by_cp_sat(case, limit_s=20)
    assert own.proven
    assert other.proven
    assert own.cost == pytest.approx(other.cost, abs=1e-6)


def test_conflicts_are_named():
    processor_s, wall_s = bench.conflict(bench.instance("phrases", 6, 8, 0))
    assert processor_s > 0
    assert wall_s > 0


def test_verdicts_follow_the_figures():
    exact, near, far = (bench.Solved(100.0, bound, 0.5, 0.5) for bound in (100.0, 96.0, 90.0))
    slow = bench.Solved(100.0, 100.0, 1.5, 1.5)
    assert bench.verdict(6, "row", [exact], 2).startswith("- holds: row: 1 of 1")
    assert bench.verdict(6, "row", [exact, slow, near], 2).startswith("- missed: row: 1 of 3")
    assert bench.verdict(12, "row", [exact, near, slow], 20).startswith("- holds: row: 3 of 3")
    assert "worst gap 10.0 %" in bench.verdict(12, "row", [exact, near, far], 20)
    assert "| row | 2 of 4 | 3 of 4 | 3.5 / 10.0 % |" in bench.row("row", [exact, near, far, slow])


def test_a_solver_without_a_dance_is_written_as_that():
    none = bench.Solved(float("inf"), 0.0, 2.0, 2.0)
    assert none.gap == 1
    assert not none.proven
    assert "no dance, 2.0 s" in bench.compared("row", bench.Solved(1.0, 1.0, 0.1, 0.1), none)
