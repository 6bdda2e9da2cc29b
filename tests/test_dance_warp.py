"""Warping to the music: keyframes on their beats, no drift, visual rhythm (thesis section 7.2.4)."""

import itertools

import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.dance.warp import nearest_picture, render, visual_rhythm, warped


def random_beats(rng, length_s=60.0):
    """Beats of a song whose tempo drifts, with a human's unsteadiness."""
    tempo = rng.uniform(60, 180)
    steps = 60 / tempo * (1 + 0.03 * rng.standard_normal(400) + 0.1 * np.sin(np.arange(400) / 30))
    times = rng.uniform(0, 1) + np.concatenate([[0], np.cumsum(np.maximum(steps, 0.15))])
    return times[times < length_s]


@pytest.mark.parametrize("fps", [12, 24000 / 1001, 25, 30, 60])
@pytest.mark.parametrize("seed", range(8))
def test_keyframes_are_on_the_frame_nearest_to_their_beat_for_a_minute(seed, fps):
    rng = np.random.default_rng(seed)
    beats = random_beats(rng)
    path = rng.integers(0, 12, len(beats))
    plan = warped(path, beats, fps=fps, duration_s=60, strength=float(rng.uniform(0, 1)))
    assert len(plan) == round(60 * fps)
    for keyframe, time_s, frame in zip(path, beats, plan.beat_frames, strict=False):
        assert abs(frame / fps - time_s) <= 0.5 / fps + 1e-9
        assert (plan.start[frame], plan.position[frame]) == (keyframe, 0)
    assert len(plan.beat_frames) >= len(beats) - 1  # a beat in the last half frame has none


@pytest.mark.parametrize("seed", range(8))
def test_the_way_between_beats_is_of_the_right_pair_and_never_goes_back(seed):
    rng = np.random.default_rng(seed)
    beats = random_beats(rng, 20)
    path = rng.integers(0, 4, len(beats))  # equal neighbours occur
    plan = warped(path, beats, strength=float(rng.choice([0, 0.5, 1])))
    for i, (a, b) in enumerate(itertools.pairwise(plan.beat_frames)):
        assert (plan.start[a:b] == path[i]).all()
        assert (plan.end[a:b] == path[i + 1]).all()
        assert (np.diff(plan.position[a:b]) >= 0).all()
        if path[i] == path[i + 1]:
            assert (plan.position[a:b] == 0).all()
        elif b - a > 2:
            assert plan.position[b - 1] > 0.5
    assert plan.start[-1] == plan.end[-1] == path[-1]


def test_the_first_keyframe_waits_for_its_beat_and_the_last_stays():
    plan = warped([3, 5], [1.0, 1.5], fps=10, duration_s=3)
    assert plan.start[:10].tolist() == plan.end[:10].tolist() == [3] * 10
    assert plan.start[15:].tolist() == plan.end[15:].tolist() == [5] * 15
    assert (plan.position[:11] == 0).all()
    assert plan.pairs == [(3, 5)]


def test_motion_is_fastest_at_the_beat_and_the_same_on_both_sides():
    u = np.linspace(0, 1, 1001)
    for strength in (0.2, 0.5, 1.0):
        speed = np.diff(visual_rhythm(u, strength=strength)) * 1000
        assert speed[0] == pytest.approx(1 + strength, rel=1e-3)
        assert speed[-1] == pytest.approx(speed[0])
        assert speed.min() == pytest.approx(1 - strength, abs=1e-3)
        assert speed.argmin() in (499, 500)
    assert visual_rhythm(u, strength=0) == pytest.approx(u)
    assert visual_rhythm(np.array([0.0, 1.0]), strength=1).tolist() == [0, 1]


def test_a_stronger_rhythm_lingers_longer_between_beats():
    def lingering(strength):
        plan = warped([0, 1], [0, 2], fps=50, strength=strength)
        return int(((plan.position > 0.4) & (plan.position < 0.6)).sum())

    assert lingering(0) < lingering(0.5) < lingering(1)


def picture(value):
    return np.full((2, 2, 3), value, np.uint8)


def test_each_pair_is_rendered_once_and_read_at_the_warped_positions():
    keyframes = np.stack([picture(0), picture(150), picture(30)])
    asked = []

    def interpolate(start, end, n):
        asked.append((int(start[0, 0, 0]), int(end[0, 0, 0])))
        steps = np.linspace(0, 1, n + 2)[1:-1, None, None, None]
        return np.rint(start + steps * (end.astype(float) - start)).astype(np.uint8)

    path = [0, 1, 0, 1, 2, 2, 0, 1]
    plan = warped(path, np.arange(8) * 0.5 + 0.2, fps=25)
    frames = list(render(plan, keyframes, interpolate))
    assert len(frames) == len(plan)
    assert sorted(asked) == sorted((int(keyframes[a, 0, 0, 0]), int(keyframes[b, 0, 0, 0])) for a, b in plan.pairs)
    assert len(asked) == len(set(asked)) == 4
    for keyframe, frame in zip(path, plan.beat_frames, strict=True):
        assert np.array_equal(frames[frame], keyframes[keyframe])
    for frame, start, end, position in zip(frames, plan.start, plan.end, plan.position, strict=True):
        exact = keyframes[start].astype(float) + position * (keyframes[end].astype(float) - keyframes[start])
        assert abs(frame - exact).max() <= 150 / 15 / 2 + 1  # half a step of the clip


def test_clips_that_are_there_are_not_asked_for_again():
    plan = warped([0, 1], [0, 1], fps=10)
    keyframes = np.stack([picture(0), picture(90)])
    clips = {(0, 1): np.stack([picture(v) for v in (30, 60)])}

    def refuse(*_):
        raise AssertionError

    frames = list(render(plan, keyframes, refuse, in_betweens=2, clips=clips))
    assert {int(f[0, 0, 0]) for f in frames} == {0, 30, 60, 90}


def test_nearest_picture_has_the_keyframes_at_its_ends():
    assert [nearest_picture(p, 14) for p in (0, 0.03, 0.034, 0.5, 0.97, 1)] == [0, 0, 1, 8, 15, 15]


@pytest.mark.parametrize(
    ("path", "beats", "options", "said"),
    [
        ([0, 1, 2], [0, 1], {}, "beats: one for each of the 3 keyframes"),
        ([0, 1], [0.5, 0.51], {"fps": 25}, "beats 1 and 2 are 0.010 s apart"),
        ([0, 1], [1, 0.5], {}, "increase"),
        ([0, 1], [0, np.nan], {}, "increase"),
        ([], [], {}, "at least one keyframe"),
        ([0, 1], [5, 6], {"duration_s": 4}, "after the end"),
        ([0, 1], [0, 1], {"strength": 2}, "visual rhythm"),
        ([0, 1], [0, 1e6], {}, "at most 500,000"),
    ],
)
def test_what_cannot_be_danced_is_a_sentence(path, beats, options, said):
    with pytest.raises(InputError, match=said):
        warped(path, beats, **options)
