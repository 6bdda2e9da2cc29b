"""An engine out of a model that makes clips: sampled once per pair, seeded per pair, exact at the ends, time resampled."""

import cv2
import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.inbetween import learned
from genkey_core.inbetween.engines import Needs, Progress
from genkey_core.inbetween.job import stream
from genkey_core.inbetween.learned import Learned, Shape, derived_seed, fitting_shape, pace
from genkey_core.inbetween.resample import FittedClip, tone_difference
from genkey_core.inbetween.settings import Settings
from genkey_core.timing import Gap, timeline

H, W = 48, 64


class Fading:
    """A native model that cross-fades in few, small frames, and remembers what it was asked."""

    name = "fading"

    def __init__(self, n_frames: int = 5):
        self.n_frames, self.asked = n_frames, []

    def native(self, start, end, *, n_frames, seed):
        n = n_frames or self.n_frames
        self.asked.append((int(start[0, 0, 0]), int(end[0, 0, 0]), n_frames, seed))
        for done in range(1, 4):
            yield Progress(done, 3)
        small = [cv2.resize(p, (W // 2, H // 2), interpolation=cv2.INTER_AREA).astype(float) for p in (start, end)]
        yield np.stack([((1 - s) * small[0] + s * small[1]).round() for s in np.linspace(0, 1, n)]).astype(np.uint8)

    def frame_counts(self):
        return range(2, 6)

    def needs(self, size, n_frames=None):
        return Needs(evaluations=3, evaluation_s=1e-9)


def flat(level: int) -> np.ndarray:
    return np.full((H, W, 3), level, np.uint8)


def played(engine: Learned, levels: list[int], **options) -> list:
    gaps = [Gap(0.5)] * (len(levels) if options.get("playback") == "loop" else len(levels) - 1)
    keys = [flat(v) for v in levels]
    return list(stream(keys.__getitem__, timeline(gaps, fps=8, **options), engine))


def means(items) -> list[float]:
    return [round(float(item[3].mean()), 1) for item in items if not isinstance(item, Progress)]


# --- one clip per pair --------------------------------------------------------------------------------------------


def test_frames_follow_the_positions_and_progress_comes_before_them():
    model = Fading()
    items = played(Learned(model, Settings()), [0, 80])
    assert means(items) == [0, 20, 40, 60, 80]
    assert [(p.done, p.total) for p in items if isinstance(p, Progress)] == [(1, 3), (2, 3), (3, 3)]
    assert isinstance(items[1], Progress)
    assert not isinstance(items[-1], Progress)


def test_the_way_back_plays_the_clip_backwards_and_samples_nothing_again():
    model = Fading()
    items = played(Learned(model, Settings(seed=5)), [0, 80, 160], playback="ping-pong")
    assert means(items) == [0, 20, 40, 60, 80, 100, 120, 140, 160, 140, 120, 100, 80, 60, 40, 20]
    assert len(model.asked) == 2


def test_a_loop_of_two_keyframes_samples_once():
    model = Fading()
    items = played(Learned(model, Settings()), [0, 80], playback="loop")
    assert means(items) == [0, 20, 40, 60, 80, 60, 40, 20]
    assert [a[:2] for a in model.asked] == [(0, 80)]


def test_each_pair_has_a_seed_of_its_own_which_follows_from_the_settings():
    first, second = Fading(), Fading()
    for model in (first, second):
        played(Learned(model, Settings(seed=5)), [0, 80, 160])
    assert first.asked == second.asked
    seeds = [a[3] for a in first.asked]
    assert seeds[0] == 5
    assert len({*seeds, *(derived_seed(6, n) for n in range(3))}) == 5


def test_a_gap_that_is_held_samples_nothing_but_keeps_its_number():
    keys = [flat(v) for v in (0, 80, 160)]
    held = timeline([Gap.checked(0.5, "hold"), Gap(0.5)], fps=8)
    model = Fading()
    list(stream(keys.__getitem__, held, Learned(model, Settings(seed=5))))
    assert [a[:2] for a in model.asked] == [(80, 160)]
    assert model.asked[0][3] == derived_seed(5, 1)


def test_clips_over_the_bound_are_sampled_again_from_the_same_seed(monkeypatch):
    monkeypatch.setattr(learned, "_KEPT_BYTES", 1)
    model = Fading()
    items = played(Learned(model, Settings()), [0, 80, 160], playback="ping-pong")
    assert means(items)[-3:] == [60, 40, 20]
    assert [a[:2] for a in model.asked] == [(0, 80), (80, 160), (0, 80)]
    assert model.asked[0] == model.asked[2]


def test_closing_the_frames_closes_the_model():
    closed = []

    class Closing(Fading):
        def native(self, *args, **kwargs):
            try:
                yield from super().native(*args, **kwargs)
            finally:
                closed.append(True)

    frames = Learned(Closing(), Settings()).between(flat(0), flat(80), np.array([0.5]))
    next(frames)
    frames.close()
    assert closed == [True]


def test_a_model_that_makes_no_clip_is_said_so():
    class Mute(Fading):
        def native(self, *args, **kwargs):
            yield Progress(1, 1)

    with pytest.raises(InputError, match="the model made no clip"):
        list(Learned(Mute(), Settings()).between(flat(0), flat(80), np.array([0.5])))


def test_several_segments_meet_at_keyframes_of_the_engines_own_making():
    model = Fading()
    engine = Learned(model, Settings(), shaper=lambda start, end, n: Shape(segments=2, n_frames=3))
    items = played(engine, [0, 80])
    assert means(items) == [0, 20, 40, 60, 80]
    assert [a[:3] for a in model.asked] == [(0, 80, None), (0, 40, 3), (40, 80, 3)]
    assert len({a[3] for a in model.asked}) == 3
    said = [p for p in items if isinstance(p, Progress)]
    assert [p.done for p in said] == list(range(1, 10))
    assert {p.total for p in said} == {9}


def test_little_motion_gets_fewer_frames_and_much_motion_several_clips(scene):
    shape = fitting_shape(range(14, 26))
    near, far = shape(scene(0), scene(0.05), 100), shape(scene(0), np.roll(scene(0), 96, axis=1), 300)
    assert near == Shape(1, 14)
    assert far.segments > 1
    assert shape(scene(0), scene(1), 3) == Shape(1, 14), (
        "no more frames than are shown, or than the model makes at least"
    )


def test_estimates_learn_from_the_pace_of_the_evaluations(monkeypatch):
    clock = iter(np.arange(0, 100, 0.5))
    monkeypatch.setattr(learned.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(learned, "_ratios", {})
    model = Fading()
    model.needs = lambda size, n_frames=None: Needs(evaluations=3, evaluation_s=0.25)
    engine = Learned(model, Settings())
    assert pace("fading") == 1.0
    played(engine, [0, 80])
    assert pace("fading") == pytest.approx(2.0)
    assert engine.needs((W, H)).evaluation_s == pytest.approx(0.5)


# --- reading a clip -----------------------------------------------------------------------------------------------


def texture(height: int, width: int, softness: float, seed: int) -> np.ndarray:
    grain = np.random.default_rng(seed).integers(0, 255, (height, width, 3)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(grain, (0, 0), softness), None, 30, 225, cv2.NORM_MINMAX)


@pytest.fixture(scope="module")
def scene():
    """The true picture at any time: a textured patch that crosses a textured backdrop."""
    height, width = 144, 192
    back, patch = texture(height, width, 2, 1), texture(48, 48, 1.5, 2)
    inside = np.ones(patch.shape[:2], np.float32)

    def truth(s: float) -> np.ndarray:
        move = np.float32([[1, 0, 20 + 70 * s], [0, 1, 45]])
        share = cv2.warpAffine(inside, move, (width, height))[..., None]
        return (back * (1 - share) + cv2.warpAffine(patch, move, (width, height)) * share).round().astype(np.uint8)

    return truth


def drifted(picture: np.ndarray, s: float, scale: int) -> np.ndarray:
    """What a model might give back: smaller, and off in tone by more at the start than at the end."""
    small = cv2.resize(picture, (picture.shape[1] // scale, picture.shape[0] // scale), interpolation=cv2.INTER_AREA)
    return np.clip(small * (0.92 + 0.05 * s) + np.array([6, -4, 3]) * (1 - 2 * s), 0, 255).round().astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / max(1e-9, float(np.mean((a.astype(float) - b) ** 2))))


@pytest.mark.parametrize("scale", [1, 3])
def test_tone_and_detail_of_the_keyframes_each_bring_the_frames_nearer_to_the_truth(scene, scale):
    clip = np.stack([drifted(scene(s), s, scale) for s in np.linspace(0, 1, 9)])
    start, end = scene(0), scene(1)
    positions = np.linspace(0, 1, 13)[1:-1]

    def error_db(**options) -> np.ndarray:
        fitted = FittedClip(clip, start, end, **options)
        return np.array([psnr(fitted.frame(s), scene(s)) for s in positions])

    plain = np.array(
        [
            psnr(cv2.resize(clip[round(8 * s)], (192, 144), interpolation=cv2.INTER_CUBIC), scene(s))
            for s in (0.25, 0.75)
        ]
    )
    toned, detailed = error_db(detail=False), error_db()
    assert toned.mean() > plain.mean() + 2
    assert detailed.mean() > toned.mean() + 0.5
    assert np.all(detailed > toned - 0.1)


def test_nothing_jumps_where_the_keyframes_take_over(scene):
    clip = np.stack([drifted(scene(s), s, 3) for s in np.linspace(0, 1, 9)])
    fitted = FittedClip(clip, scene(0), scene(1))
    assert psnr(fitted.frame(0), scene(0)) > 45
    assert psnr(fitted.frame(1), scene(1)) > 45
    assert np.array_equal(clip, np.stack([drifted(scene(s), s, 3) for s in np.linspace(0, 1, 9)])), "the clip is kept"


def test_a_frame_of_the_clip_is_taken_as_it_is_and_between_two_the_motion_is_followed(scene):
    clip = np.stack([scene(s) for s in np.linspace(0, 1, 9)])
    fitted = FittedClip(clip, scene(0), scene(1))
    for k in range(9):
        assert fitted.native(k / 8) is fitted.frames[k] or np.array_equal(fitted.native(k / 8), clip[k])
    middle, truth = fitted.native(3.5 / 8), scene(3.5 / 8)
    fade = clip[3:5].astype(float).mean(axis=0)
    assert psnr(middle, truth) > psnr(fade, truth) + 2


def test_a_clip_that_never_saw_the_end_keyframe_is_not_bent_towards_it(scene):
    clip = np.stack([scene(0)] * 4)
    other = 255 - scene(1)
    assert np.array_equal(FittedClip(clip, scene(0), other, lock_end=False).frame(1.0), scene(0))
    assert not np.array_equal(FittedClip(clip, scene(0), other).frame(1.0), scene(0))


def test_a_difference_in_tone_is_found_beside_a_thing_that_moved(scene):
    lighter = np.clip(scene(0).astype(int) + 12, 0, 255).astype(np.uint8)
    found = tone_difference(lighter, scene(0.8))
    assert np.median(found) == pytest.approx(12, abs=1.5)
    assert np.abs(found - 12).mean() < 4


@pytest.mark.parametrize("size", [(17, 33), (16, 16), (300, 20), (1, 1)])
def test_any_size_of_keyframes_takes_any_clip(size):
    start, end = (np.full((*size, 3), v, np.uint8) for v in (20, 200))
    clip = np.stack([np.full((16, 24, 3), v, np.uint8) for v in (20, 110, 200)])
    frame = FittedClip(clip, start, end).frame(0.5)
    assert frame.shape == (*size, 3)
    assert abs(frame.mean() - 110) < 2


@pytest.mark.parametrize("clip", [np.zeros((1, 4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8), None])
def test_what_is_no_clip_is_refused(clip):
    with pytest.raises(InputError, match=r"clip: uint8 \[T h w 3\] of at least 2 frames"):
        FittedClip(clip, flat(0), flat(9))
