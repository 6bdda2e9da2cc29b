"""The cut list: what rows and typed ranges become, times before and after the cut, and cuts that footage already has."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genkey_core import InputError
from genkey_core.jumpcut.cutlist import Row, TimeMap, cut_list, parse_ranges
from genkey_core.jumpcut.shots import shots
from genkey_core.media.reader import Frame


def removed(*rows: Row, duration_s: float = 10.0, **options) -> list[tuple[float, float]]:
    return [(round(a, 6), round(b, 6)) for a, b in cut_list(rows, duration_s=duration_s, **options).removed]


# --- ranges as they are typed --------------------------------------------------------------------------------------

TYPED = [
    ("remove 3.2 to 4.1 s", [(3.2, 4.1, True)]),
    ("3.2-4.1", [(3.2, 4.1, True)]),
    ("cut from 1:02.5 to 1:04", [(62.5, 64.0, True)]),
    ("Delete 3,2 s – 4,1 s.", [(3.2, 4.1, True)]),
    ("1:00:00 until 1:00:01", [(3600.0, 3601.0, True)]),
    ("keep 5 to 6; remove 7 to 8\n9 .. 9.5 seconds", [(5, 6, False), (7, 8, True), (9, 9.5, True)]),
    ("1 to 2, 3 to 4", [(1, 2, True), (3, 4, True)]),
    ("between 1 and 2", [(1, 2, True)]),
    (" \n ", []),
]


@pytest.mark.parametrize(("text", "wanted"), TYPED)
def test_ranges_are_read_as_people_type_them(text, wanted):
    assert [(r.start_s, r.end_s, r.remove) for r in parse_ranges(text)] == wanted
    assert {r.kind for r in parse_ranges(text)} <= {"range"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the first bit", "is the form"),
        ("3.2", "is the form"),
        ("4.1 to 3.2", "before its start"),
        ("3 to 3", "give it a length"),
        ("-1 to 3", "count from 0"),
        ("nan to inf", "is the form"),
        (7, "a text such as"),
        ("9" * 50 + " to 3", "is the form"),
    ],
)
def test_what_cannot_be_read_is_quoted(text, words):
    with pytest.raises(InputError, match=words):
        parse_ranges(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_a_sentence(text):
    try:
        rows = parse_ranges(text)
    except InputError as refusal:
        assert str(refusal)
    else:
        assert all(row.end_s > row.start_s for row in rows)


# --- rows that disagree --------------------------------------------------------------------------------------------


def test_pauses_keep_their_padding_only_towards_what_is_heard():
    pause, filler, other = Row(2, 3, "pause"), Row(3.02, 3.5, "filler"), Row(3.5, 4.2, "pause")
    assert removed(pause) == [(2.1, 2.9)]
    assert removed(filler) == [(3.02, 3.5)]
    assert removed(pause, filler, other) == [(2.1, 4.1)]
    assert removed(Row(0, 1, "pause"), Row(9, 10, "pause")) == [(0, 0.9), (9.1, 10)]
    assert removed(pause, Row(2.02, 2.99, "range")) == [(2.02, 2.99)]
    assert removed(Row(2, 2.15, "pause")) == []


def test_overlaps_are_one_and_what_is_kept_stays():
    assert removed(Row(1, 3, "range"), Row(2, 4, "range"), Row(3.5, 3.6, "range")) == [(1, 4)]
    assert removed(Row(1, 2, "range"), Row(2.05, 3, "range")) == [(1, 3)]
    assert removed(Row(1, 2, "range"), Row(2.2, 3, "range")) == [(1, 2), (2.2, 3)]
    assert removed(Row(1, 2, "filler", remove=False), Row(5, 5, "shot")) == []
    assert removed(Row(1, 4, "filler"), Row(2, 3, "range", remove=False)) == [(1, 2), (3, 4)]
    assert removed(Row(1, 4, "filler"), Row(2, 3, "pause", remove=False)) == [(1, 4)]


def test_past_the_end_is_cut_off_and_beyond_is_refused():
    assert removed(Row(9, 30, "range")) == [(9, 10)]
    with pytest.raises(InputError, match="row 2: it starts at 12 s, but the video ends at 10 s"):
        removed(Row(1, 2, "range"), Row(12, 13, "range"))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Row(3, 2, "range"), "row 1: it ends at 2 s, before its start at 3 s"),
        (Row(3, 3, "pause"), "give it a length"),
        (Row(math.nan, 2, "range"), "row 1, start: a finite number"),
        (Row(1, math.inf, "range"), "row 1, end: a finite number"),
        (Row(-1, 2, "range"), "row 1, start"),
        (Row(1, 2, "cough"), "row 1, kind"),
        (Row(1, 2, "pause", confidence=2), "confidence"),
        (Row(1, 2, "pause", remove="yes"), "remove"),
        (Row("1", 2, "pause"), "start: a number"),
    ],
)
def test_rows_are_checked(row, words):
    with pytest.raises(InputError, match=words):
        removed(row)


def test_removing_everything_and_too_many_rows_are_refused(monkeypatch):
    with pytest.raises(InputError, match="everything would be removed"):
        _ = cut_list([Row(0, 99, "range")], duration_s=10).kept
    monkeypatch.setattr("genkey_core.jumpcut.cutlist.MAX_ROWS", 50)
    with pytest.raises(InputError, match="at most 50 rows"):
        cut_list((Row(0, 1, "range") for _ in range(51)), duration_s=10)
    with pytest.raises(InputError, match="duration"):
        cut_list([], duration_s=math.nan)


TIMES = st.floats(0, 59.9, allow_nan=False)
ROWS = st.lists(
    st.builds(
        lambda a, n, kind, remove: Row(a, a + n, kind, remove=remove),
        TIMES,
        st.floats(0.01, 20),
        st.sampled_from(["pause", "filler", "repeat", "range"]),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(ROWS)
def test_removed_and_kept_share_the_source_between_them(rows):
    cuts = cut_list([*rows, Row(59.95, 60, "range", remove=False)], duration_s=60)
    edges = [t for pair in cuts.removed for t in pair]
    assert edges == sorted(edges)
    assert all(0 <= a < b <= 60 for a, b in cuts.removed)
    assert sum(b - a for a, b in (*cuts.removed, *cuts.kept)) == pytest.approx(60)
    gone = [row for row in rows if row.remove]
    for a, b in cuts.removed:  # nothing goes that no row reaches, but for flashes between two
        assert any(row.start_s <= a + 1e-9 and row.end_s > a for row in gone) or any(not r.remove for r in rows)
        assert b - a <= sum(row.end_s - row.start_s + 0.1 for row in gone) + 1e-9


# --- times ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(ROWS, st.lists(st.floats(0, 60), min_size=1, max_size=8))
def test_times_go_there_and_back(rows, times_s):
    times = cut_list([*rows, Row(59, 60, "range", remove=False)], duration_s=60).times
    assert 0 < times.duration_s <= 60 + 1e-6
    for source_s in times_s:
        result_s = times.to_result(source_s)
        assert -1e-9 <= result_s <= times.duration_s + 1e-9
        if any(a <= source_s < b for a, b in times.kept):
            assert times.to_source(result_s) == pytest.approx(source_s, abs=1e-6)
    there = times.to_result(np.sort(times_s))
    assert (np.diff(there) >= -1e-9).all()


def test_times_with_new_picture_in_between():
    times = TimeMap(((1.0, 2.0), (5.0, 6.0)), (0.5, 0.0))
    assert times.duration_s == 2.5
    assert [times.to_result(t) for t in (0, 1, 1.5, 3, 4.99, 5, 5.5, 9)] == [0, 0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.5]
    assert [times.to_source(t) for t in (0, 0.5, 1.0, 1.4, 1.5, 2.5, 9)] == [1, 1.5, 5, 5, 5, 6, 6]
    np.testing.assert_allclose(times.to_source(np.array([0.25, 1.75])), [1.25, 5.25])


# --- cuts that are there already -----------------------------------------------------------------------------------


def scene(seed: int, n_frames: int, *, shake: float = 0.0, hand: bool = False) -> list[np.ndarray]:
    """A textured picture, uint8 [T 90 160 3]; it sways, and in the middle a hand crosses it within five frames."""
    rng = np.random.default_rng(seed)
    back = cv2.GaussianBlur(rng.uniform(0, 255, (120, 190, 3)).astype(np.float32), (0, 0), 5)
    back = cv2.normalize(back, None, 20, 230, cv2.NORM_MINMAX).astype(np.uint8)
    frames = []
    for t in range(n_frames):
        x, y = (round(10 + shake * f) for f in (np.sin(t / 4), np.cos(t / 5)))
        frame = back[y : y + 90, x : x + 160].copy()
        if hand and 0 <= t - n_frames // 2 < 5:
            cv2.circle(frame, (20 + 30 * (t - n_frames // 2), 50), 18, (230, 180, 150), -1)
        frames.append(np.clip(frame + rng.normal(0, 2, frame.shape), 0, 255).astype(np.uint8))
    return frames


def timed(images: list[np.ndarray], fps: float = 25.0) -> list[Frame]:
    return [Frame(i / fps, image) for i, image in enumerate(images)]


def test_planted_cuts_are_found_to_the_frame_and_a_gesture_is_none():
    images = scene(1, 20, shake=3) + scene(2, 24, shake=3, hand=True) + scene(3, 15, shake=3)
    rows = list(shots(timed(images)))
    assert [round(row.start_s * 25) for row in rows] == [20, 44]
    assert all(row.kind == "shot" and not row.remove and row.start_s == row.end_s for row in rows)
    assert cut_list(rows, duration_s=len(images) / 25).removed == ()


def test_still_pictures_flashes_and_short_clips_have_no_cuts():
    still = scene(1, 1) * 12
    flash = [*still]
    flash[6] = np.full_like(still[0], 255)
    for images in (still, flash, scene(1, 3), []):
        assert list(shots(timed(images))) == []
