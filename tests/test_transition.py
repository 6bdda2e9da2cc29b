"""Transitions follow the thesis's weights and order with any engine, and a whole video is hidden in one pass."""

import weakref
from itertools import pairwise

import cv2
import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.jumpcut import transition as tr
from genkey_core.jumpcut.hide import Hidden, Shown, Treatment, Working, hide


def level(value: float) -> np.ndarray:  # [H W 3]
    return np.full((8, 10, 3), round(value), np.uint8)


class Mixer:
    """An engine that mixes grey levels, so that a frame's level says where it was made; notes what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, start, end, positions):
        self.asked.append((int(start[0, 0, 0]), int(end[0, 0, 0]), [round(float(p), 4) for p in positions]))
        yield "thinking"
        for p in positions:
            yield level((1 - p) * start[0, 0, 0] + p * end[0, 0, 0])


def levels(steps) -> list[int]:
    return [int(s.image[0, 0, 0]) for s in steps if hasattr(s, "image")]


# --- 4.2.4 --------------------------------------------------------------------------------------------------------


def test_blended_takes_the_weights_of_the_thesis():
    engine = Mixer()
    before, after = [level(v) for v in (10, 11, 12, 13, 14)], [level(v) for v in (90, 91, 92, 93, 94)]
    steps = [s for s in tr.blended(before, after, engine) if isinstance(s, tr.Step)]
    assert [s.index for s in steps] == list(range(10))
    assert [s.made for s in steps] == [False, *[True] * 8, False]
    assert engine.asked[:4] == [(11, 90, [0.125]), (12, 90, [0.25]), (13, 90, [0.375]), (14, 90, [0.5])]
    assert engine.asked[4:] == [(14, 91, [0.625]), (14, 92, [0.75]), (14, 93, [0.875])]
    assert steps[0].image is before[0]
    assert steps[-1].image is after[-1]
    assert np.array_equal(steps[4].image, steps[5].image)


@pytest.mark.parametrize(("left", "right"), [(1, 1), (1, 5), (3, 2)])
def test_blended_keeps_the_number_of_frames_with_little_room(left, right):
    steps = list(tr.blended([level(20)] * left, [level(80)] * right, Mixer()))
    assert len(levels(steps)) == left + right
    assert levels(steps) == sorted(levels(steps))


def test_progress_of_an_engine_is_passed_on():
    said = [s for s in tr.blended([level(0)] * 3, [level(9)] * 3, Mixer()) if not isinstance(s, tr.Step)]
    assert said == ["thinking"] * 3  # m and n are one picture


# --- 4.2.3 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 6])
@pytest.mark.parametrize("recursive", [True, False])
def test_inserted_frames_lie_evenly(n, recursive):
    steps = [s for s in tr.inserted(level(0), level(210), n, Mixer(), recursive=recursive) if isinstance(s, tr.Step)]
    by_place = sorted(steps, key=lambda s: s.index)
    wanted = [210 * t / (n + 1) for t in range(1, n + 1)]
    assert [s.index for s in by_place] == list(range(n))
    assert levels(by_place) == pytest.approx(wanted, abs=2)


def test_recursion_goes_from_the_ends_to_the_middle_and_uses_made_neighbours():
    engine = Mixer()
    steps = [s for s in tr.inserted(level(0), level(240), 5, engine) if isinstance(s, tr.Step)]
    assert [s.index for s in steps] == [0, 4, 1, 3, 2]
    assert engine.asked[0] == (0, 240, [0.1667, 0.8333])
    assert engine.asked[1] == (40, 200, [0.25, 0.75])
    assert engine.asked[2] == (80, 160, [0.5])


def test_bridged_asks_once_for_all():
    engine = Mixer()
    steps = list(tr.bridged([level(0)] * 3, [level(100)] * 3, engine))
    assert engine.asked == [(0, 100, [0.2, 0.4, 0.6, 0.8])]
    assert levels(steps) == [0, 20, 40, 60, 80, 100]


def test_an_engine_that_makes_too_few_frames_is_told():
    with pytest.raises(InputError, match="2 frames were asked for, 0 came"):
        list(tr.inserted(level(0), level(9), 2, lambda *_: []))
    with pytest.raises(InputError, match="inserted frames"):
        list(tr.inserted(level(0), level(9), 0, Mixer()))


def test_a_punch_in_enlarges_about_its_centre():
    picture = np.zeros((90, 120, 3), np.uint8)
    cv2.circle(picture, (60, 30), 20, (255, 255, 255), -1)
    inside = tr.punched_in(picture)
    assert inside.shape == picture.shape
    assert inside.mean() / picture.mean() == pytest.approx(1.08**2, rel=0.02)
    assert np.array_equal(tr.punched_in(picture, 0.0), picture)


# --- a whole video ------------------------------------------------------------------------------------------------


def video(n: int) -> list[np.ndarray]:
    return [level(v) for v in np.linspace(0, 250, n)]


def run(n, cuts, treatments, **options):
    out = list(hide(iter(video(n)), cuts, treatments, engines={"mixer": Mixer()}, **options))
    return [o for o in out if isinstance(o, Shown)], [o for o in out if isinstance(o, Hidden)], out


def blend(**options) -> Treatment:
    return Treatment("blended", "mixer", **options)


def test_kept_frames_come_in_order_and_only_the_neighbourhood_is_made():
    shown, done, out = run(60, [(19, 30), (44, 50)], blend(), first=2, stop=58)
    kept = [*range(2, 20), *range(30, 45), *range(50, 58)]
    assert [s.source_index for s in shown] == kept
    made = {s.source_index for s in shown if s.made}
    assert made == {16, 17, 18, 19, 30, 31, 32, 33, 41, 42, 43, 44, 50, 51, 52, 53}
    originals = video(60)
    assert all(np.array_equal(s.image, originals[s.source_index]) for s in shown if not s.made)
    assert [h.cut for h in done] == [0, 1]
    assert any(isinstance(o, Working) and o.said == "thinking" for o in out)


@pytest.mark.parametrize("length", [1, 2, 3, 6])
def test_short_pieces_between_cuts_are_shared(length):
    n = 20 + length - 1
    shown, done, _ = run(50, [(9, 20), (n, 35)], blend())
    assert [s.source_index for s in shown] == [*range(10), *range(20, n + 1), *range(35, 50)]
    assert len(done) == 2


def test_inserted_frames_have_no_source():
    shown, done, _ = run(30, [(9, 20)], Treatment("inserted", "mixer", n_inserted=3))
    assert [s.source_index for s in shown] == [*range(10), None, None, None, *range(20, 30)]
    values = [int(s.image[0, 0, 0]) for s in shown]
    assert values == sorted(values)
    assert done[0].mode == "inserted"


def test_hard_cut_and_punch_in_make_no_frame():
    shown, done, _ = run(40, [(9, 15), (20, 25)], [Treatment("punch-in"), Treatment("hard cut")])
    assert [s.source_index for s in shown] == [*range(10), *range(15, 21), *range(25, 40)]
    assert not any(s.made for s in shown)
    assert np.array_equal(shown[3].image, video(40)[3])
    assert [h.engine for h in done] == ["none", "none"]


def test_a_cut_that_removes_nothing_leaves_all_as_it_is():
    shown, done, _ = run(20, [(9, 10)], blend())
    assert [s.source_index for s in shown] == list(range(20))
    assert not any(s.made for s in shown)
    assert done == []


@pytest.mark.parametrize("last", [12, 13, 21])
def test_a_video_that_ends_in_the_neighbourhood_is_finished(last):
    shown, done, _ = run(last + 1, [(5, 12)], blend())
    assert [s.source_index for s in shown] == [*range(6), *range(12, last + 1)]
    assert len(done) == 1


def test_reading_stops_with_the_last_kept_frame_and_is_lazy():
    read = []

    def source():
        for i, frame in enumerate(video(100)):
            read.append(i)
            yield frame

    stream = hide(source(), [(9, 20)], blend(), stop=30, engines={"mixer": Mixer()})
    next(stream)
    assert len(read) < 3
    list(stream)
    assert read[-1] == 30


def test_the_draft_engine_hides_a_planted_cut(rng):
    wall = np.uint8(cv2.GaussianBlur(rng.uniform(0, 255, (72, 96, 3)), (0, 0), 2.5))
    head = np.uint8(cv2.GaussianBlur(rng.uniform(0, 255, (40, 30, 3)), (0, 0), 1.5))

    def drawn(x: int) -> np.ndarray:
        frame = wall.copy()
        frame[20:60, x : x + 30] = head
        return frame

    frames = [drawn(20 + i) for i in range(24)]
    out = list(hide(iter(frames), [(7, 15)], Treatment("blended", n_sources=1)))
    shown = [o.image.astype(int) for o in out if isinstance(o, Shown)]
    jumps = [np.abs(a - b).mean() for a, b in pairwise(shown)]
    hard = np.abs(frames[15].astype(int) - frames[7]).mean()
    assert max(jumps) < 0.75 * hard
    (done,) = [o for o in out if isinstance(o, Hidden)]
    assert (done.engine, done.mode) == ("draft", "blended")
    assert np.array_equal(done.before, frames[7])


@pytest.mark.parametrize(
    ("cuts", "treatments", "words"),
    [
        ([(9, 9)], Treatment(), "cut 1"),
        ([(9, 15), (14, 20)], Treatment(), "cut 2"),
        ([(9, 99)], Treatment(), "cut 1"),
        ([(9, float("nan"))], Treatment(), "cut 1"),
        ([(9, 15)], [Treatment(), Treatment()], "treatments"),
        ([(9, 15)], Treatment("melt"), "mode"),
        ([(9, 15)], Treatment(engine="wan"), "engine"),
        ([(9, 15)], Treatment("inserted"), "inserted frames"),
        ([(9, 15)], Treatment("blended", n_inserted=3), "inserted frames"),
    ],
)
def test_wrong_numbers_are_refused_before_a_frame_is_read(cuts, treatments, words):
    with pytest.raises(InputError, match=words):
        hide(iter(()), cuts, treatments, stop=50)


def test_a_video_that_ends_before_its_cut_is_told():
    with pytest.raises(InputError, match="ends at frame 9"):
        run(10, [(20, 30)], blend())


@pytest.mark.parametrize("mode", ["hard cut", "blended"])
def test_many_cuts_hold_no_more_frames_than_a_few(mode):
    """A finished cut lets go of the frames around it; an hour of a talk has a thousand cuts."""
    n_cuts, alive = 60, []

    def source():
        for i in range(20 * n_cuts):
            frame = level(i % 200)
            alive.append(weakref.ref(frame))
            yield frame

    cuts = [(20 * k + 9, 20 * k + 13) for k in range(n_cuts)]
    held = []
    for item in hide(source(), cuts, Treatment(mode, engine="mixer"), engines={"mixer": Mixer()}):
        if isinstance(item, Hidden):
            held.append(sum(ref() is not None for ref in alive))
    assert len(held) == n_cuts
    assert max(held[10:]) <= max(held[:10]) + 2
