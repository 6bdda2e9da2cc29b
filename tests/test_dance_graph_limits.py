"""The keyframe graph's search at the ends of its numbers and of its time."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from test_dance_graph import brute_force, random_case, six_poses

from genkey_core.dance.graph import ImpossibleDance, best_dances
from genkey_core.dance.patterns import parse_pattern


@pytest.mark.parametrize("seed", range(4))
def test_motions_too_large_for_32_bits_change_nothing(seed):
    rng = np.random.default_rng(50 + seed)
    pattern, motion, wishes = random_case(rng)
    wide = replace(wishes, motion_low=1e4 * wishes.motion_low, motion_high=1e4 * wishes.motion_high)
    every = brute_force(pattern, motion, wishes)
    if not every:
        with pytest.raises(ImpossibleDance):
            next(best_dances(pattern, 1e4 * motion, wide))
        return
    dance = next(best_dances(pattern, 1e4 * motion, wide))
    assert dance.proven
    assert dance.cost == pytest.approx(1e4 * every[0][0])


def test_a_search_reads_one_clock_alone():
    ticks = itertools.count()
    pattern = parse_pattern("-".join(np.random.default_rng(5).choice(list("ABCDEFG"), 24)))
    dance = next(best_dances(pattern, six_poses(5), time_limit_s=3, clock=lambda: float(next(ticks))))
    assert not dance.proven  # a second passes whenever the search asks
    assert next(ticks) < 20
