"""The draft engine of jump cuts keeps its ends, moves what moved, copies the background, and draws on other frames."""

import cv2
import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.jumpcut.exposure import exposure
from genkey_core.jumpcut.sources import Bank, helpful
from genkey_core.jumpcut.tracks import MAX_FOLLOWED, Tracker
from genkey_core.jumpcut.warp import AttentionWarp, WarpOptions, attention

SHAPE = (120, 160)


def texture(rng: np.random.Generator, shape: tuple[int, int] = SHAPE) -> np.ndarray:  # [H W 3]
    layers = [cv2.GaussianBlur(rng.normal(size=(*shape, 3)).astype(np.float32), (0, 0), s) * s for s in (1.5, 4, 10)]
    return np.uint8(np.clip(127 + 45 * sum(layers), 30, 225))


def speaker(rng: np.random.Generator):
    """A function of x that draws a textured head at x before a textured wall."""
    wall, skin = texture(rng), texture(rng, (60, 44))
    mask = np.zeros((60, 44), np.uint8)
    cv2.ellipse(mask, (22, 30), (20, 28), 0, 0, 360, 255, -1)

    def drawn(x: int) -> np.ndarray:
        frame = wall.copy()
        place = frame[40:100, x : x + 44]
        place[mask > 0] = skin[mask > 0]
        return frame

    return drawn


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


def one(engine: AttentionWarp, start: np.ndarray, end: np.ndarray, position: float) -> np.ndarray:
    (frame,) = engine.between(start, end, np.array([position]))
    return frame


def test_attention_is_a_softmax_over_the_sources(rng):
    scores = [rng.normal(size=(20, 30)).astype(np.float32) for _ in range(3)]
    weights = attention(scores)
    assert np.allclose(sum(weights), 1.0, atol=1e-5)
    level = [np.full((20, 30), s, np.float32) for s in (0.0, np.log(3.0))]
    assert [float(w.mean()) for w in attention(level)] == pytest.approx([0.25, 0.75], abs=1e-5)


def test_the_ends_come_back_bit_equal(rng):
    start, end = texture(rng), texture(rng)
    frames = list(AttentionWarp().between(start, end, np.array([0.0, 1.0])))
    assert np.array_equal(frames[0], start)
    assert np.array_equal(frames[1], end)


@pytest.mark.parametrize("t", [0.25, 0.5])
def test_a_head_moves_and_its_background_is_copied(rng, t):
    drawn = speaker(rng)
    start, middle, end = drawn(40), drawn(40 + round(20 * t)), drawn(60)
    frame = one(AttentionWarp(), start, end, t)
    dissolved = (1 - t) * start.astype(float) + t * end.astype(float)
    head = np.s_[40:100, 40:104]
    assert difference(frame[head], middle[head]) < 0.5 * difference(dissolved[head], middle[head])
    assert difference(frame[:30], start[:30]) < 1.0


def test_no_motion_changes_nothing_but_rounding(rng):
    picture = texture(rng)
    frame = one(AttentionWarp(options=WarpOptions(crispness=0.0)), picture, picture.copy(), 0.4)
    assert np.abs(frame.astype(int) - picture).max() <= 1


def test_another_frame_shows_what_the_ends_do_not(rng):
    """A mouth shut in one end and wide open in the other: half open is in a third frame (thesis 4.3.3)."""
    face = texture(rng)

    def mouth(height: int) -> np.ndarray:
        frame = face.copy()
        cv2.ellipse(frame, (80, 60), (26, height), 0, 0, 360, (60, 20, 20), -1)
        frame[60 - height // 3 : 60 + height // 3, 62:98] = 235  # teeth
        return frame

    start, half, end = mouth(4), mouth(13), mouth(24)
    place = np.s_[30:90, 50:110]
    alone = one(AttentionWarp(), start, end, 0.5)
    helped = one(AttentionWarp([half], options=WarpOptions(others=1.0)), start, end, 0.5)
    assert difference(helped[place], half[place]) < 0.9 * difference(alone[place], half[place])


def test_exposure_passes_over_gradually(rng):
    picture = texture(rng)
    brighter = np.uint8(np.clip(picture * 1.12, 0, 255))
    assert exposure(picture, brighter).gain == pytest.approx(np.full(3, 1.12), abs=0.01)
    means = [one(AttentionWarp(), picture, brighter, t).mean() for t in (0.25, 0.5, 0.75)]
    wanted = [picture.mean() * 1.12**t for t in (0.25, 0.5, 0.75)]
    assert means == pytest.approx(wanted, abs=1.5)


def test_pictures_that_disagree_have_no_common_gain(rng):
    assert exposure(texture(rng), 255 - texture(rng)).is_one
    picture = texture(rng)
    assert exposure(picture, picture).applied(picture, 0.5) is picture


def test_frames_are_the_same_again(rng):
    drawn = speaker(rng)
    first, second = (one(AttentionWarp([drawn(46)]), drawn(40), drawn(56), 0.5) for _ in range(2))
    assert np.array_equal(first, second)


def test_odd_and_tiny_sizes(rng):
    for shape in ((1, 1), (9, 31), (33, 17)):
        start, end = (rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for _ in range(2))
        assert one(AttentionWarp([end.copy()]), start, end, 0.5).shape == (*shape, 3)


def test_sizes_that_differ_are_refused(rng):
    start = texture(rng)
    with pytest.raises(InputError, match="end"):
        one(AttentionWarp(), start, start[:-1], 0.5)
    with pytest.raises(InputError, match="source 1"):
        one(AttentionWarp([start[:-1].copy()]), start, start.copy(), 0.5)
    with pytest.raises(InputError, match="position"):
        one(AttentionWarp(), start, start.copy(), 1.5)


@pytest.mark.parametrize("bad", [{"working_side": 3}, {"others": 2.0}, {"crispness": float("nan")}])
def test_options_out_of_range_are_refused(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        WarpOptions(**bad)


# --- the frames that may help -------------------------------------------------------------------------------------


def test_the_most_helpful_frame_is_found(rng):
    drawn = speaker(rng)
    near, far, elsewhere = drawn(50), drawn(4), texture(rng)
    chosen = helpful([elsewhere, far, near], drawn(45), drawn(55), n=1)
    assert len(chosen) == 1
    assert chosen[0] is near
    assert all(f is not elsewhere for f in helpful([elsewhere, far, near], drawn(45), drawn(55), n=3))


def test_a_bank_is_bounded_and_forgets_the_oldest(rng):
    bank = Bank(capacity=4, step=2)
    frames = [np.full((2, 2, 3), i, np.uint8) for i in range(40)]
    for i, frame in enumerate(frames):
        bank.add(i, frame)
    assert [int(f[0, 0, 0]) for f in bank.frames()] == [32, 34, 36, 38]
    assert [int(f[0, 0, 0]) for f in bank.frames(apart_from=[36])] == [32, 34, 38]


# --- tracks -------------------------------------------------------------------------------------------------------


def stripes(shift: int) -> np.ndarray:  # [H W 3]
    """A pattern that repeats every 24 pixels, `shift` to the right."""
    x = np.arange(SHAPE[1]) - shift
    row = 127 + 60 * np.sin(2 * np.pi * x / 24) + 30 * np.sin(2 * np.pi * x / 12)
    picture = np.repeat(np.repeat(row[None, :, None], SHAPE[0], 0), 3, 2)
    return np.uint8(picture + 15 * np.sin(np.arange(SHAPE[0]) / 5)[:, None, None])


def test_points_are_followed_where_the_two_frames_alone_are_ambiguous():
    tracker = Tracker(stripes(0))
    for shift in range(2, 25, 2):
        tracker.add(stripes(shift))
    tracks = tracker.tracks()
    inner = np.s_[20:-20, 50:-50]
    assert tracks.followed == 12
    assert np.median(tracks.flows[0][inner][..., 0]) == pytest.approx(24, abs=1.5)
    assert np.median(tracks.flows[1][inner][..., 0]) == pytest.approx(-24, abs=1.5)


def test_tracks_serve_neighbours_of_their_ends(rng):
    drawn = speaker(rng)
    tracker = Tracker(drawn(40))
    for x in range(42, 61, 2):
        tracker.add(drawn(x))
    forward, backward = tracker.tracks().between(drawn(38), drawn(61))
    assert np.median(forward[60:80, 52:72, 0]) == pytest.approx(23, abs=1.5)
    assert np.median(backward[60:80, 76:94, 0]) == pytest.approx(-23, abs=1.5)
    assert np.abs(forward[:25]).mean() < 0.5


def test_what_is_too_long_is_matched_directly(rng):
    drawn = speaker(rng)
    tracker = Tracker(drawn(40))
    for _ in range(MAX_FOLLOWED):
        tracker.add(drawn(40))
    tracker.add(drawn(46))
    tracks = tracker.tracks()
    assert tracks.followed == 0
    assert np.median(tracks.flows[0][60:80, 52:72, 0]) == pytest.approx(6, abs=1)


def test_frames_of_another_size_cannot_be_followed(rng):
    tracker = Tracker(texture(rng))
    with pytest.raises(InputError, match="size"):
        tracker.add(texture(rng)[:-9])
