"""Duration-aware in-betweening: more never gives less, plans hold what they promise, planted motion is measured."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkey_core import InputError
from genkey_core.inbetween.duration import (
    MAX_SEGMENTS,
    REACH,
    Plan,
    measured_motion,
    native_frames,
    plan,
    plan_pair,
)

COUNTS = {"svd": (14, 25), "wan": tuple(range(5, 82, 4)), "mini": tuple(range(3, 9)), "one": (8,)}
counts = st.sampled_from(sorted(COUNTS.values()))
durations = st.floats(0, 600)
rates = st.floats(1, 60)
motions = st.floats(0, 4)


@given(durations, rates, motions, counts)
def test_a_plan_has_the_steps_that_are_asked_for_and_no_segment_too_many(duration_s, fps, motion, counts):
    made = plan(duration_s, fps, motion, counts)
    most = max(counts) - 1
    asked = min(motion / REACH * most, np.ceil(duration_s * fps))
    steps = made.native_frames - 1
    assert made.frames_per_segment in counts
    assert 1 <= made.segments <= MAX_SEGMENTS
    assert steps >= min(asked, MAX_SEGMENTS * most) - 1e-3
    if made.segments > 1:  # one segment fewer would not do
        assert (made.segments - 1) * most < asked
    fewer = [n for n in counts if n < made.frames_per_segment]
    if fewer:  # nor would the next shorter clip
        assert made.segments * (fewer[-1] - 1) < asked


@given(durations, rates, motions, counts, st.floats(0, 60), st.floats(0, 10), st.floats(0, 2))
def test_more_never_gives_less(duration_s, fps, motion, counts, longer_s, faster, farther):
    base = plan(duration_s, fps, motion, counts)
    for more in (
        plan(duration_s + longer_s, fps, motion, counts),
        plan(duration_s, fps + faster, motion, counts),
        plan(duration_s, fps, motion + farther, counts),
    ):
        assert more.native_frames >= base.native_frames
        assert more.segments >= base.segments


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_short_gaps_and_little_motion_are_cheaper_and_long_large_ones_are_chained(name):
    own = COUNTS[name]
    usual = Plan(1, max(own))
    assert plan(5, 24, REACH, own) == usual
    assert plan(1 / 24, 24, 2.0, own) == Plan(1, min(own))
    assert plan(60, 24, 0.0, own) == Plan(1, min(own))
    chained = plan(60, 24, 2 * REACH, own)
    assert chained == Plan(2, max(own))
    assert chained.native_frames == 2 * max(own) - 1
    assert chained.sampled_frames(max(own)) == 3 * max(own)
    assert usual.sampled_frames(max(own)) == max(own)
    assert plan(600, 60, 100.0, own).segments == MAX_SEGMENTS
    assert native_frames(60, 24, 2 * REACH, own) == max(own)


def test_known_plans_of_the_published_model():
    assert plan(2, 24, 0.1, (14, 25)) == Plan(1, 14)
    assert plan(2, 24, 0.3, (14, 25)) == Plan(1, 25)
    assert plan(0.5, 24, 0.3, (14, 25)) == Plan(1, 14)
    assert plan(1, 24, 1.0, (14, 25)) == Plan(1, 25)  # 24 frames shown need no more than 24 steps
    assert plan(4, 24, 0.37, (14, 25)) == Plan(2, 14)  # 26 steps: two short clips have them
    assert plan(4, 24, 1.0, (14, 25)) == Plan(3, 25)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"duration_s": -1}, "duration"),
        ({"fps": float("nan")}, "fps"),
        ({"motion": float("inf")}, "motion"),
        ({"motion": -0.1}, "motion"),
        ({"counts": ()}, "frames of the model"),
        ({"counts": (1, 8)}, "frames of the model"),
        ({"counts": (8.5,)}, "frames of the model"),
        ({"max_segments": 0}, "segments"),
        ({"reach": 0}, "reach"),
    ],
)
def test_wrong_values_are_named(wrong, word):
    with pytest.raises(InputError, match=word):
        plan(**{"duration_s": 1, "fps": 24, "motion": 0.2, "counts": (14, 25), **wrong})


# --- the measure --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    paint = np.random.default_rng(1).integers(0, 255, (160, 240, 3)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(paint, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def _with_square(scene: np.ndarray, x: int) -> np.ndarray:
    picture = (0.3 * scene + 60).astype(np.uint8)
    picture[60:100, x : x + 40] = 255 - scene[60:100, 20:60]
    return picture


def test_equal_pictures_hold_no_motion_and_other_sizes_are_refused(scene):
    assert measured_motion(scene, scene.copy()) == 0.0
    with pytest.raises(InputError, match="size of start"):
        measured_motion(scene, scene[:100])


def test_a_planted_pan_is_measured(scene):
    pan = measured_motion(scene[:, :200], scene[:, 12:212])
    assert pan == pytest.approx(12 / np.hypot(160, 200), rel=0.25)


def test_a_small_mover_before_a_still_backdrop_is_measured(scene):
    diagonal = np.hypot(*scene.shape[:2])
    start = _with_square(scene, 40)
    found = {px: measured_motion(start, _with_square(scene, 40 + px)) for px in (6, 12, 24)}
    for px, motion in found.items():
        assert 0.6 * px / diagonal < motion < 2 * px / diagonal
    assert all(found[a] < found[b] for a, b in itertools.pairwise(found))


def test_the_measure_hardly_depends_on_the_size_of_the_picture(scene):
    start, end = _with_square(scene, 40), _with_square(scene, 58)
    large = [cv2.resize(p, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC) for p in (start, end)]
    assert measured_motion(*large) == pytest.approx(measured_motion(start, end), rel=0.4)


def test_noise_alone_is_little_motion(scene, rng):
    noisy = np.clip(scene + rng.normal(0, 4, scene.shape), 0, 255).astype(np.uint8)
    assert measured_motion(scene, noisy) < 0.01


def test_a_pair_is_planned_by_what_is_shown_and_what_moves(scene):
    start, end = _with_square(scene, 20), _with_square(scene, 60)
    own = COUNTS["mini"]
    assert plan_pair(start, start, 100, own) == Plan(1, 3)
    assert plan_pair(start, end, 0, own) == Plan(1, 3)
    assert plan_pair(start, end, 100, own).native_frames >= plan_pair(start, end, 3, own).native_frames >= 3
