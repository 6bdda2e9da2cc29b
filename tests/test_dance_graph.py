"""The keyframe graph: optima equal brute force, constraints hold, conflicts are named (thesis section 7.2.3)."""

import itertools
import re

import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.dance.graph import ImpossibleDance, KeyframeGraph, Wishes, best_dances
from genkey_core.dance.patterns import PRESETS, Label, parse_pattern


def random_case(rng, *, mirror_symmetric=False):
    """A small pattern, motions in whole thousandths of a pixel, and wishes of every kind now and then."""
    half = int(rng.integers(2, 4))
    n = 2 * half
    motion = np.round(rng.uniform(5, 70, (n, n)), 3)
    if mirror_symmetric:
        swap = np.roll(np.arange(n), half)
        motion = np.round((motion + motion[np.ix_(swap, swap)]) / 2, 3)
    np.fill_diagonal(motion, 0)
    names = ["A", "A'", "B", "B'", "C", "C'"][: int(rng.integers(2, 7)) if half == 3 else 4]
    pattern = parse_pattern("-".join(rng.choice(names, int(rng.integers(1, 8)))))
    options = {"motion_low": float(rng.choice([0, 12, 25])), "motion_high": float(rng.choice([45, 60, 100]))}
    if rng.random() < 0.25:
        pairs = [tuple(map(int, rng.choice(n, 2, replace=False))) for _ in range(2)]
        options["pinned"] = {str(rng.choice(list(map(str, pattern.distinct)))): pairs}
    if rng.random() < 0.2:
        options["mirrored_ends"] = [str(rng.choice(list(map(str, pattern.distinct))))]
    if rng.random() < 0.2:
        options["never"] = [int(rng.integers(n))]
    return pattern, motion, Wishes.checked(pattern, n, **options)


def is_allowed(pattern, pairs, motion, wishes, rules=("7.5", "7.7", "7.8", "7.9")):
    """Every constraint, as the thesis writes it, for one pair per distinct label."""
    n = len(motion)

    def m(k):
        return (k + n // 2) % n

    def half_mirrored(p, q):
        return any(p[i] == q[j] and p[1 - i] == m(q[1 - j]) for i in (0, 1) for j in (0, 1))

    for label, (u, v) in pairs.items():
        if u == v or not wishes.motion_low < motion[u, v] < wishes.motion_high or {u, v} & wishes.never:
            return False
        if label in wishes.mirrored_ends and v != m(u):
            return False
        if label in wishes.pinned and (u, v) not in wishes.pinned[label]:
            return False
    for (a, p), (b, q) in itertools.permutations(pairs.items(), 2):
        is_mirror = q == (m(p[0]), m(p[1]))
        if a.partner == b:
            if not is_mirror:
                return False
        elif ("7.7" in rules and (p == q or is_mirror)) or ("7.8" in rules and half_mirrored(p, q)):
            return False
    for a, b in itertools.pairwise(pattern.labels):
        p, q = pairs[a], pairs[b]
        if ("7.5" in rules and p[1] == q[0]) or not motion[p[1], q[0]] < wishes.motion_high:
            return False
        if "7.9" in rules and a not in (b, b.partner) and (p[0] == q[0] or p[1] == q[1]):
            return False
    return True


def brute_force(pattern, motion, wishes, **rules):
    """(cost, pairs) of every allowed dance, cheapest first, by trying all pairs for every label."""
    n = len(motion)
    nodes = [(u, v) for u in range(n) for v in range(n) if u != v]
    labels = pattern.distinct
    found = []

    def extend(pairs):
        if len(pairs) < len(labels):
            label = labels[len(pairs)]
            mirror = [tuple((k + n // 2) % n for k in pairs[label.partner])] if label.partner in pairs else None
            for node in mirror or nodes:  # Eq. 7.7 leaves one
                u, v = node
                if wishes.motion_low < motion[u, v] < wishes.motion_high:
                    extend({**pairs, label: node})
        elif is_allowed(pattern, pairs, motion, wishes, **rules):
            steps = itertools.pairwise(pattern.labels)
            found.append((sum(motion[pairs[a][1], pairs[b][0]] for a, b in steps), pairs))

    extend({})
    return sorted(found, key=lambda item: item[0])


def motions(pairs, n):
    """What a dance is told apart by: the two poses of every motion and whether one of them is mirrored."""
    half = n // 2
    return {label.base: (u % half, v % half, (u >= half) != (v >= half)) for label, (u, v) in pairs.items()}


@pytest.mark.parametrize("seed", range(30))
def test_the_optimum_equals_brute_force_on_ten_random_cases(seed):
    rng = np.random.default_rng(seed)
    for i in range(10):
        pattern, motion, wishes = random_case(rng, mirror_symmetric=i % 3 == 0)
        every = brute_force(pattern, motion, wishes)
        if not every:
            with pytest.raises(ImpossibleDance):
                next(best_dances(pattern, motion, wishes))
            continue
        dance = next(best_dances(pattern, motion, wishes))
        assert dance.proven
        assert dance.bound == dance.cost == pytest.approx(every[0][0], abs=1e-6), f"{pattern} {wishes}"
        assert is_allowed(pattern, dance.pairs, motion, wishes)
        path = dance.path
        assert sum(motion[path[2 * i + 1], path[2 * i + 2]] for i in range(len(pattern) - 1)) == pytest.approx(
            dance.cost, abs=1e-6
        )


@pytest.mark.parametrize("seed", range(6))
def test_the_next_best_dances_equal_brute_force(seed):
    rng = np.random.default_rng(100 + seed)
    for _ in range(5):
        pattern, motion, wishes = random_case(rng)
        every = brute_force(pattern, motion, wishes)
        if not every:
            continue
        apart = min(1 + seed % 2, len({label.base for label in pattern.labels}))
        shown = []
        for dance in best_dances(pattern, motion, wishes, n_best=4, apart=apart):
            fresh = [
                cost
                for cost, pairs in every
                if all(
                    sum(a != b for a, b in zip(motions(pairs, len(motion)).values(), old.values(), strict=True))
                    >= apart
                    for old in shown
                )
            ]
            assert dance.cost == pytest.approx(fresh[0], abs=1e-6)
            shown.append(motions(dance.pairs, len(motion)))
        if len(shown) < 4:  # there are no more that differ
            assert not any(
                all(
                    sum(a != b for a, b in zip(motions(pairs, len(motion)).values(), old.values(), strict=True))
                    >= apart
                    for old in shown
                )
                for _, pairs in every
            )


@pytest.mark.parametrize("name", PRESETS)
def test_patterns_of_the_thesis_are_danced_by_six_keyframes(name):
    pattern, motion = parse_pattern(PRESETS[name]), six_poses(3)
    wishes = Wishes()
    dance = next(best_dances(pattern, motion, wishes))
    assert dance.proven
    assert dance.gap == 0
    assert is_allowed(pattern, dance.pairs, motion, wishes)
    assert len(dance.path) == pattern.n_beats


def six_poses(seed, count=6):
    """Motions between `count` poses and their mirrors, as distances of points: nearly 12 to 70 pixels."""
    rng = np.random.default_rng(seed)
    poses = rng.normal(size=(count, 4))
    poses = np.concatenate([poses, poses * [-1, -1, 1, 1]])
    distance = np.linalg.norm(poses[:, None] - poses[None], axis=2)
    return np.round(36 * distance / np.median(distance[distance > 0]), 3)


def test_equal_input_gives_equal_dances():
    pattern = parse_pattern(PRESETS["Bumblebee (Fig. 7.6b)"])
    first, second = ([d.path.tolist() for d in best_dances(pattern, six_poses(1), n_best=3)] for _ in range(2))
    assert first == second
    assert len(first) == 3


def test_default_solutions_differ_to_the_eye():
    pattern = parse_pattern(PRESETS["Bumblebee (Fig. 7.6b)"])  # 8 motions: two must differ
    shown = [motions(d.pairs, 12) for d in best_dances(pattern, six_poses(2), n_best=4)]
    for a, b in itertools.combinations(shown, 2):
        assert sum(a[base] != b[base] for base in a) >= 2


def test_the_time_limit_leaves_a_dance_and_a_true_bound():
    rng = np.random.default_rng(5)
    pattern, motion = parse_pattern("-".join(rng.choice(list("ABCDEFG"), 24))), six_poses(5)
    ticks = itertools.count()
    hurried = next(best_dances(pattern, motion, time_limit_s=3, clock=lambda: float(next(ticks))))
    best = next(best_dances(pattern, motion, time_limit_s=300))
    assert best.proven
    assert not hurried.proven
    assert 0 < hurried.bound <= best.cost <= hurried.cost
    assert hurried.gap == pytest.approx(1 - hurried.bound / hurried.cost)
    assert is_allowed(pattern, hurried.pairs, motion, Wishes())


class TestConflicts:
    def refused(self, pattern, motion, **options):
        pattern = parse_pattern(pattern)
        with pytest.raises(ImpossibleDance) as caught:
            next(best_dances(pattern, motion, Wishes.checked(pattern, len(motion), **options)))
        return caught.value

    def test_more_motions_than_keyframes_give(self):
        error = self.refused("A-B-C-D-E", np.full((4, 4), 30.0))
        assert error.wishes == ()
        assert "5 different motions" in str(error)
        assert "pairs of keyframes for 4 at most" in str(error)

    def test_a_range_that_leaves_too_few_pairs(self):
        motion = six_poses(0)
        error = self.refused("A-B-C-D", motion, motion_low=1, motion_high=float(np.sort(motion[motion > 0])[5]))
        assert any("less than" in words for words in error.wishes)

    def test_pinned_pairs_that_clash_are_named_and_nothing_else(self):
        error = self.refused(
            "A-C-B-C", np.full((12, 12), 30.0), pinned={"A": [(0, 1)], "B": [(0, 1)], "C": [(4, 5)]}, never=[3]
        )
        assert sorted(error.wishes) == ["A goes from keyframe 1 to 2", "B goes from keyframe 1 to 2"]
        assert len(error.rules) == 1
        assert "7.7" in error.rules[0]

    def test_half_mirrored_copies(self):
        error = self.refused("A-C-B", np.full((12, 12), 30.0), pinned={"A": [(0, 1)], "B": [(7, 0)]})
        assert len(error.wishes) == 2
        assert "7.8" in error.rules[0]

    def test_neighbours_that_share_a_keyframe(self):
        error = self.refused("A-B", np.full((12, 12), 30.0), pinned={"A": [(0, 1)], "B": [(0, 2)]})
        assert len(error.wishes) == 2
        assert "7.9" in error.rules[0]

    def test_a_pinned_pair_outside_the_range(self):
        motion = np.full((12, 12), 30.0)
        motion[0, 1] = 80
        error = self.refused("A-B", motion, pinned={"A": [(0, 1)]})
        assert error.wishes == ("motions and transitions of less than 60 pixels", "A goes from keyframe 1 to 2")
        assert error.rules == ()

    def test_a_keyframe_never_shown_that_is_pinned_by_its_mirror(self):
        error = self.refused("A-A'-B", np.full((12, 12), 30.0), pinned={"A": [(0, 1)]}, never=[6])
        assert error.wishes == ("never keyframe 1'", "A goes from keyframe 1 to 2")

    def test_mirrored_ends_beside_their_own_mirror_would_stand_still(self):
        error = self.refused("A-A'", np.full((12, 12), 30.0), mirrored_ends=["A"])
        assert error.wishes == ("A ends in the mirror of its first keyframe",)
        assert "7.5" in error.rules[0]

    @pytest.mark.parametrize("seed", range(8))
    def test_what_is_named_conflicts_and_nothing_of_it_could_stay_out(self, seed):
        rng = np.random.default_rng(700 + seed)
        for _ in range(12):
            pattern, motion, wishes = random_case(rng)
            if brute_force(pattern, motion, wishes):
                continue
            with pytest.raises(ImpossibleDance) as caught:
                next(best_dances(pattern, motion, wishes))
            words = caught.value.wishes
            rules = [re.search(r"Eq. ([0-9.]+)", rule)[1] for rule in caught.value.rules]
            assert not brute_force(pattern, motion, only(wishes, motion, words), rules=rules)
            for word in words:
                rest = only(wishes, motion, [w for w in words if w != word])
                assert brute_force(pattern, motion, rest, rules=rules), f"{pattern}: {words} without {word}"
            for rule in rules:
                rest = [r for r in rules if r != rule]
                assert brute_force(pattern, motion, only(wishes, motion, words), rules=rest)


def only(wishes, motion, words):
    """`wishes` reduced to those named in `words`."""
    from genkey_core.dance.graph_wishes import keyframe_name

    return Wishes(
        motion_low=wishes.motion_low if any("more than" in w for w in words) else -1.0,
        motion_high=wishes.motion_high if any("less than" in w for w in words) else 1e9,
        pinned={label: p for label, p in wishes.pinned.items() if any(w.startswith(f"{label} goes") for w in words)},
        mirrored_ends=frozenset(x for x in wishes.mirrored_ends if any(w.startswith(f"{x} ends") for w in words)),
        never=frozenset(k for k in wishes.never if f"never keyframe {keyframe_name(k, len(motion))}" in words),
    )


def test_the_graph_holds_what_the_range_leaves():
    motion = np.array([[0, 10, 20, 30], [40, 0, 60, 70], [20, 30, 0, 5], [12, 13, 61, 0]], float)
    graph = KeyframeGraph.of(motion, motion_low=12, motion_high=60)
    assert {tuple(p) for p in np.argwhere(graph.nodes).tolist()} == {(0, 2), (0, 3), (1, 0), (2, 0), (2, 1), (3, 1)}
    assert graph.n_nodes == 6
    assert graph.edges[2, 3]
    assert not graph.edges.diagonal().any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"motion_low": 60, "motion_high": 12}, "largest motion"),
        ({"pinned": {"Z": [(0, 1)]}}, "Z: no such motion"),
        ({"pinned": {"A": [(0, 0)]}}, "two different keyframes"),
        ({"pinned": {"A": [(0, 12)]}}, "between 0 and 11"),
        ({"never": [-1]}, "never: keyframe"),
        ({"motion_low": "wide"}, "smallest motion"),
    ],
)
def test_wishes_that_make_no_sense_are_sentences(options, said):
    with pytest.raises(InputError, match=said):
        Wishes.checked(parse_pattern("A-B"), 12, **options)


@pytest.mark.parametrize("motion", [np.zeros((3, 3)), np.zeros((2, 4)), np.full((4, 4), np.nan), -np.ones((4, 4))])
def test_motion_of_the_wrong_kind_is_refused(motion):
    with pytest.raises(InputError, match="motion"):
        best_dances(parse_pattern("A"), motion)


def test_a_single_motion_needs_no_transition():
    dance = next(best_dances(parse_pattern("A"), six_poses(0)))
    assert (dance.cost, dance.proven, len(dance.path)) == (0.0, True, 2)
    assert set(dance.pairs) == {Label("A")}
