"""The draft in-betweener returns its keyframes exactly, keeps stills still, moves what moved and never flickers."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genkey_core.checks import InputError
from genkey_core.inbetween.draft import DraftOptions, DraftPair, colour_drift
from genkey_core.media import read_frames


def texture(rng: np.random.Generator, shape: tuple[int, int] = (96, 128)) -> np.ndarray:  # [H W 3]
    picture = cv2.GaussianBlur(rng.uniform(0, 255, (*shape, 3)).astype(np.float32), (0, 0), 2.5)
    return np.uint8(np.clip((picture - 127) * 5 + 127, 0, 255))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


def test_keyframes_come_back_bit_equal(rng):
    start, end = texture(rng), texture(rng)
    pair = DraftPair(start, end)
    assert np.array_equal(pair.frame(0.0), start)
    assert np.array_equal(pair.frame(1.0), end)


def test_a_returned_frame_is_the_callers_own(rng):
    start = texture(rng)
    pair = DraftPair(start, start.copy())
    pair.frame(0.0)[:] = 0
    pair.frame(0.5)[:] = 0
    assert np.array_equal(pair.frame(0.5), start)


def test_equal_keyframes_are_a_still(rng):
    picture = texture(rng)
    pair = DraftPair(picture, picture.copy())
    assert all(np.array_equal(pair.frame(t), picture) for t in (0.01, 0.3, 0.5, 0.99))


def test_frames_near_the_ends_reach_the_keyframes(rng):
    wide = texture(rng, (96, 160))
    start, end = wide[:, :128], wide[:, 20:148]
    pair = DraftPair(start, end)
    for t in (0.02, 0.005, 0.001):
        assert difference(pair.frame(t), start) < 0.5 + 250 * t
        assert difference(pair.frame(1 - t), end) < 0.5 + 250 * t


@pytest.mark.parametrize("position", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("shift", [4, 12, 24])
def test_a_shifted_picture_moves_by_the_share(rng, shift, position):
    wide = texture(rng, (96, 200))
    start, end = wide[:, 0:128], wide[:, shift : shift + 128]
    part = round(shift * position)
    frame, truth = DraftPair(start, end).frame(position), wide[:, part : part + 128]
    inner = np.s_[16:-16, 40:-40]
    dissolved = (1 - position) * start[inner] + position * end[inner]
    assert difference(frame[inner], truth[inner]) < 0.15 * difference(dissolved, truth[inner])


def test_a_thing_before_a_still_background_stands_halfway(rng):
    background = np.uint8(60 + texture(rng, (120, 160)) // 4)
    thing = texture(rng, (40, 40)) // 2 + 128
    start, middle, end = (background.copy() for _ in range(3))
    for picture, x in ((start, 40), (middle, 50), (end, 60)):
        picture[40:80, x : x + 40] = thing
    frame = DraftPair(start, end).frame(0.5)
    assert difference(frame, middle) < 0.4 * difference((start.astype(float) + end) / 2, middle)
    still = np.s_[:30, :]
    assert np.abs(frame[still].astype(int) - background[still]).max() <= 3


def test_a_pan_leaves_no_border(rng):
    wide = np.maximum(texture(rng, (120, 260)), 40)
    frames = [DraftPair(wide[:, :200], wide[:, 40:240]).frame(t) for t in (0.3, 0.5, 0.7)]
    assert min(int(f.max(axis=2).min()) for f in frames) >= 30


def test_pictures_that_share_nothing_pass_over_without_flicker(rng):
    start, end = texture(rng), 255 - texture(rng)
    positions = np.linspace(0, 1, 17)
    pair = DraftPair(start, end)
    frames = [pair.frame(float(t)) for t in positions]
    drift = colour_drift(frames, start, end, positions)
    assert drift.max() < 3
    assert np.abs(np.diff(drift)).max() < 1.5
    steps = [difference(a, b) for a, b in pairwise(frames)]
    assert max(steps) < 2.5 * np.median(steps)


def test_a_fade_interpolates_the_exposure(rng):
    picture = texture(rng)
    dark = np.uint8(picture * 0.6)
    pair = DraftPair(picture, dark)
    means = [pair.frame(t).mean() for t in (0.25, 0.5, 0.75)]
    expected = [picture.mean() * (1 - t) + dark.mean() * t for t in (0.25, 0.5, 0.75)]
    assert means == pytest.approx(expected, abs=2)


def test_threads_and_repetition_change_nothing(rng):
    pair = DraftPair(texture(rng), texture(rng))
    positions = [i / 12 for i in range(13)]
    alone = [pair.frame(t) for t in positions]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(pair.frame, positions))
    again = DraftPair(pair.start, pair.end).frame(positions[5])
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
    assert np.array_equal(again, alone[5])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_any_size_and_position_gives_a_frame_of_that_size(h, w, position, seed):
    start, end = np.random.default_rng(seed).integers(0, 256, size=(2, h, w, 3), dtype=np.uint8)
    frame = DraftPair(start, end).frame(position)
    assert frame.shape == (h, w, 3)
    assert frame.dtype == np.uint8


def test_flat_pictures_pass_evenly():
    start, end = np.full((50, 70, 3), 40, np.uint8), np.full((50, 70, 3), 200, np.uint8)
    frame = DraftPair(start, end).frame(0.25)
    assert np.abs(frame.astype(int) - 80).max() <= 1


def test_pictures_larger_than_the_working_size_keep_their_detail(rng):
    wide = texture(rng, (480, 1040))
    start, middle, end = wide[:, :1000], wide[:, 20:1020], wide[:, 40:1040]
    frame = DraftPair(start, end, DraftOptions(working_side=320)).frame(0.5)
    inner = np.s_[40:-40, 60:-60]
    assert difference(frame[inner], middle[inner]) < 4
    gradients = [np.abs(np.diff(p[inner].astype(int), axis=1)).mean() for p in (frame, middle)]
    assert gradients[0] > 0.93 * gradients[1]


def test_a_flow_function_replaces_the_search(rng):
    wide = texture(rng, (64, 120))
    asked = []

    def planted(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        asked.append(first.shape)
        sign = 1 if np.array_equal(first, wide[:, 10:110]) else -1
        return np.broadcast_to(np.float32([10 * sign, 0]), (64, 100, 2))

    frame = DraftPair(wide[:, :100], wide[:, 10:110], DraftOptions(flow=planted)).frame(0.5)
    assert asked == [(64, 100, 3)] * 2
    assert difference(frame[:, 20:-20], wide[:, 25:85]) < 3


def test_a_flow_function_of_the_wrong_shape_is_refused(rng):
    with pytest.raises(InputError, match="flow"):
        DraftPair(texture(rng), texture(rng), DraftOptions(flow=lambda a, b: np.zeros((3, 3, 2))))


@pytest.mark.parametrize("position", [-0.1, 1.1, float("nan"), "half"])
def test_position_outside_is_refused(rng, position):
    pair = DraftPair(texture(rng), texture(rng))
    with pytest.raises(InputError, match="position"):
        pair.frame(position)


@pytest.mark.parametrize(
    "end", [np.zeros((96, 127, 3), np.uint8), np.zeros((96, 128), np.uint8), np.zeros((96, 128, 3)), None]
)
def test_pictures_that_do_not_fit_are_refused(rng, end):
    with pytest.raises(InputError, match="end"):
        DraftPair(texture(rng), end)


@pytest.mark.parametrize("bad", [{"working_side": 3}, {"dissolve": 1.5}, {"crispness": float("nan")}])
def test_options_out_of_range_are_refused(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        DraftOptions(**bad)


def test_colour_drift_is_nothing_for_flat_lab_blends_and_grows_with_a_cast():
    start, end = np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), 100, np.uint8)
    cast = start.copy()
    cast[..., 0] += 30
    drift = colour_drift([start, cast], start, end, [0.3, 0.6])
    assert drift[0] == pytest.approx(0, abs=1e-6)
    assert 10 < drift[1] < 30


def test_colour_drift_needs_a_position_per_frame():
    black = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(InputError, match="positions"):
        colour_drift([black], black, black, [0.1, 0.2])


@pytest.mark.parametrize(("clip", "first"), [("cups", 45), ("bear_pan", 12), ("coffee", 43)])
def test_real_motion_is_met_better_than_by_a_dissolve(real_media, clip, first):
    frames = [f.image for f in islice(read_frames(real_media / "keyframes" / f"{clip}.mp4"), first, first + 5)]
    frame = DraftPair(frames[0], frames[4]).frame(0.5)
    dissolved = (frames[0].astype(float) + frames[4]) / 2
    assert difference(frame, frames[2]) < 0.9 * difference(dissolved, frames[2])
