"""Easing curves and timelines: planted values, and properties over random timelines (hypothesis)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genkey_core.checks import InputError
from genkey_core.timing import Easing, Gap, curve_points, timeline

UNIT = np.linspace(0, 1, 101)
TEXTS = ["linear", "ease-in", "ease-out", "ease-in-out", "cubic-bezier(0.1, 0.7, 1, 0.1)", "steps(4)", "hold"]

easings = st.one_of(
    st.sampled_from(TEXTS),
    st.builds("cubic-bezier({:.6f}, {:.6f}, {:.6f}, {:.6f})".format, *[st.floats(0, 1)] * 4),
    st.builds("steps({})".format, st.integers(1, 40)),
)
gaps = st.builds(Gap.checked, st.floats(0.2, 4), easings, st.one_of(st.just(0.0), st.floats(0, 2)))


@pytest.mark.parametrize("text", TEXTS)
def test_every_easing_starts_at_0_ends_at_1_and_survives_its_own_text(text):
    easing = Easing.parse(text)
    assert easing(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]
    again = Easing.parse(str(easing))
    assert again == easing
    assert np.array_equal(again(UNIT), easing(UNIT))


def test_bezier_agrees_with_the_curve_it_is_defined_by():
    x1, y1, x2, y2 = 0.25, 0.1, 0.25, 1.0  # the CSS keyword "ease"
    t = np.linspace(0, 1, 50)
    x = 3 * (1 - t) ** 2 * t * x1 + 3 * (1 - t) * t**2 * x2 + t**3
    y = 3 * (1 - t) ** 2 * t * y1 + 3 * (1 - t) * t**2 * y2 + t**3
    assert np.allclose(Easing.parse("cubic-bezier(0.25, 0.1, 0.25, 1)")(x), y, atol=1e-9)


def test_ease_in_is_slow_first_and_ease_out_is_its_mirror():
    ease_in, ease_out = Easing.parse("ease-in"), Easing.parse("ease-out")
    assert np.all(ease_in(UNIT[1:-1]) < UNIT[1:-1])
    assert np.allclose(ease_out(UNIT), 1 - ease_in(1 - UNIT), atol=1e-9)


def test_a_bezier_of_the_diagonal_is_linear_and_a_vertical_tangent_is_no_trouble():
    assert np.allclose(Easing.parse("cubic-bezier(0.3, 0.3, 0.7, 0.7)")(UNIT), UNIT, atol=1e-9)
    steep = Easing.parse("cubic-bezier(1, 0, 0, 1)")(UNIT)
    assert np.all(np.diff(steep) >= 0)
    assert steep[50] == pytest.approx(0.5, abs=1e-4)  # x(t) is flat there: doubles give no more


def test_steps_wait_and_jump_at_the_end_of_each_step():
    assert Easing.parse("steps(4)")(np.array([0, 0.24, 0.25, 0.5, 0.99, 1])).tolist() == [0, 0, 0.25, 0.5, 0.75, 1]
    assert set(Easing.parse("hold")(UNIT[:-1])) == {0.0}


@given(easing=easings)
@settings(max_examples=200, deadline=None)
def test_a_curve_inside_the_unit_box_never_leaves_it_or_turns_back(easing):
    position = Easing.parse(easing)(UNIT)
    assert np.all(np.isfinite(position))
    assert position.min() >= 0
    assert position.max() <= 1
    if not easing.startswith("cubic"):
        assert np.all(np.diff(position) >= 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bounce", "one of linear"),
        ("cubic-bezier(1.2, 0, 0.5, 1)", "x1"),
        ("cubic-bezier(0.2, 0, -0.1, 1)", "x2"),
        ("cubic-bezier(0.2, nan, 0.5, 1)", "finite"),
        ("cubic-bezier(0.2, 0.5, 1)", "4 numbers"),
        ("cubic-bezier(a, b, c, d)", "needs numbers"),
        ("steps(0)", "between 1"),
        ("steps(2.5)", "whole"),
        (None, "a text"),
        ("x" * 10_000, "one of linear"),
    ],
)
def test_a_wrong_easing_is_said_in_a_short_sentence(text, says):
    with pytest.raises(InputError, match=says) as error:
        Easing.parse(text)
    assert len(str(error.value)) < 300


def test_overshoot_is_known_and_stays_at_the_keyframes_on_the_timeline():
    easing = Easing.parse("cubic-bezier(0.3, -0.6, 0.7, 1.6)")
    assert easing.overshoots
    assert not Easing.parse("ease-in-out").overshoots
    line = timeline([Gap(1, easing)], fps=30)
    assert line.position.min() == 0.0
    assert line.position.max() == 1.0


def test_two_keyframes_one_second_apart():
    line = timeline([Gap(1.0)], fps=4)
    assert line.position.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert line.keyframe_frames.tolist() == [0, 4]


def test_holds_stand_before_the_motion_and_at_the_end():
    line = timeline([Gap(0.5, hold_s=0.3), Gap(0.2)], fps=10, end_hold_s=0.2)
    assert line.position[:4].tolist() == [0, 0, 0, 0]
    assert line.position[-3:].tolist() == [1, 1, 1]
    assert line.keyframe_frames.tolist() == [0, 8, 10]


def test_a_loop_ends_one_frame_before_its_first_keyframe_returns():
    line = timeline([Gap(0.5), Gap(0.5)], fps=10, playback="loop")
    assert len(line) == 10
    assert line.end[-1] == 0
    assert line.position[-1] == pytest.approx(0.8)


def test_ping_pong_comes_back_in_reverse_and_doubles_neither_end():
    once = timeline([Gap(0.4), Gap(0.3)], fps=10)
    there_and_back = timeline([Gap(0.4), Gap(0.3)], fps=10, playback="ping-pong")
    assert len(there_and_back) == 2 * len(once) - 2
    assert np.allclose(there_and_back.travelled[len(once) :], once.travelled[-2:0:-1])


@given(
    line=st.lists(gaps, min_size=1, max_size=24),
    fps=st.floats(5, 60),
    playback=st.sampled_from(["once", "loop", "ping-pong"]),
    end_hold=st.floats(0, 2),
)
@settings(max_examples=150, deadline=None)
def test_any_timeline_shows_every_keyframe_exactly_once_reached_and_never_drifts(line, fps, playback, end_hold):
    made = timeline(line, fps=fps, playback=playback, end_hold_s=end_hold)
    n = len(line) if playback == "loop" else len(line) + 1
    assert len(made.keyframe_frames) == n
    assert np.all((made.position >= 0) & (made.position <= 1))
    assert np.all((made.start >= 0) & (made.start < n) & (made.end >= 0) & (made.end < n))
    times = np.concatenate([[0.0], np.cumsum([g.hold_s + g.duration_s for g in line])])[:n]
    assert np.all(np.abs(made.keyframe_frames / fps - times) <= 0.5 / fps + 1e-6)  # half a frame, however many gaps
    for k, frame in enumerate(made.keyframe_frames):
        shown = made.end[frame] if made.position[frame] == 1 else made.start[frame]
        assert made.position[frame] in (0, 1)
        assert shown == k


@pytest.mark.parametrize("fps", [0, -1, 61, 1000, float("nan"), float("inf"), "24", None, True])
def test_a_wrong_fps_is_refused(fps):
    with pytest.raises(InputError, match="fps"):
        timeline([Gap(1.0)], fps=fps)


@pytest.mark.parametrize("duration", [float("nan"), -1, 0, 1e9, "1", None])
def test_a_wrong_duration_names_its_gap(duration):
    with pytest.raises(InputError, match="gap 3: duration"):
        Gap.checked(duration, name="gap 3")


def test_a_gap_shorter_than_a_frame_says_what_it_needs():
    with pytest.raises(InputError, match=r"gap 2: 0\.02 s is shorter than one frame at 10 fps; at least 0\.1 s"):
        timeline([Gap(1.0), Gap(0.02)], fps=10)


def test_no_gaps_and_unknown_playback_are_refused():
    with pytest.raises(InputError, match="at least 2"):
        timeline([], fps=24)
    with pytest.raises(InputError, match="playback"):
        timeline([Gap()], fps=24, playback="backwards")


def test_curve_points_begin_and_end_on_the_corners():
    points = curve_points(Easing.parse("ease-in"), 9)
    assert points[0] == (0.0, 0.0)
    assert points[-1] == (1.0, 1.0)
    assert len(points) == 9
