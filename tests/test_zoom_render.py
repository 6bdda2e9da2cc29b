"""The zoom video: exact resampling, the camera's way, frames that neither jump nor flicker, and the file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genkey_core import InputError
from genkey_core.media import probe, read_frames
from genkey_core.zoom import camera, planes, render, resample


def waves(x: np.ndarray, y: np.ndarray, pitch: float, *, n: int = 9) -> np.ndarray:
    """A picture with detail at every scale about the origin, seen in pixels of `pitch`: uint8 [H W 3]."""
    total = np.zeros((len(y), len(x), 3))
    for k in range(n):
        for c in range(3):
            angle = 2.4 * k + 0.7 * c
            frequency = 6.0 * 2**k  # cycles per unit
            damped = np.clip(2 - 4 * frequency * pitch, 0, 1)  # gone at half of what the pixels can hold
            phase = 2 * np.pi * frequency * (np.cos(angle) * x[None] + np.sin(angle) * y[:, None])
            total[..., c] += 18 * damped * np.sin(phase)
    return np.rint(128 + total).clip(0, 255).astype(np.uint8)


def picture(width: int, height: int, *, span: float = 1.0, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """`waves` about (x, y), `span` wide, sampled four times as finely and filtered."""
    pitch = span / width / 4
    across, down = ((np.arange(4 * n) + 0.5 - 2 * n) * pitch for n in (width, height))
    return resample.resized(waves(across + x, down + y, pitch), (width, height), scale=4.0)


def error(a: np.ndarray, b: np.ndarray) -> float:
    """Root of the mean square, in grey levels."""
    return float(np.sqrt(np.mean((a.astype(float) - b) ** 2)))


# --- resampling ---------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    st.integers(1, 90),
    st.integers(16, 120),
    st.floats(0.05, 5.0),
    st.floats(-30, 60),
    st.integers(0, 2**32 - 1),
)
def test_resampling_is_the_kernel_applied_plainly(n, n_source, scale, offset, seed):
    row = np.random.default_rng(seed).uniform(0, 255, n_source).astype(np.float32)
    source = np.repeat(row[None, :, None], 16, axis=2)  # [1 n_source 16]
    out = np.empty((1, n, 16), np.float32)
    across = resample.axis(16, scale=1.0, offset=0.0, n_source=16)
    resample.resample(source, resample.axis(n, scale=scale, offset=offset, n_source=n_source), across, out)
    where = np.clip(offset + (np.arange(n) + 0.5) * scale, 0, n_source)
    weights = resample.lanczos((np.arange(n_source) + 0.5 - where[:, None]) / max(scale, 1.0))
    expected = (weights / weights.sum(1, keepdims=True)) @ row
    assert np.abs(out[0] - expected[:, None]).max() < 0.15


def test_same_size_is_the_same_picture_and_a_crop_is_a_crop(rng):
    image = rng.integers(0, 256, (75, 133, 3), dtype=np.uint8)
    assert np.array_equal(resample.resized(image, (133, 75), scale=1.0), image)
    assert np.array_equal(resample.resized(image, (40, 30), scale=1.0, offset=(13.0, 7.0)), image[7:37, 13:53])


@pytest.mark.parametrize("scale", [0.37, 0.8, 1.0, 1.6, 2.7])
@pytest.mark.parametrize("shift", [0.0, 0.31, 17.5])
def test_a_band_limited_picture_is_resampled_to_where_it_is(scale, shift):
    band = 2 * max(scale, 1.0) / 400  # nothing finer is in it than what the new pixels can hold too
    at = (np.arange(400) + 0.5) / 400 - 0.5
    fine = waves(at, at, band)
    size = int(300 / max(scale, 1.0))
    made = resample.resized(fine, (size, size), scale=scale, offset=(shift + 20, shift + 30))
    where = [(o + shift + (np.arange(size) + 0.5) * scale) / 400 - 0.5 for o in (20, 30)]
    truth = waves(where[0], where[1], band)
    inner = slice(8, -8)
    assert error(made[inner, inner], truth[inner, inner]) < 1.0


def test_halving_keeps_edges_in_place_and_rounds_odd_sides_up():
    ramp = np.repeat(np.arange(0, 201, dtype=np.uint8)[None, :, None], 33, axis=0).repeat(3, axis=2)  # 201 wide
    half = resample.halved(ramp)
    assert half.shape == (17, 101, 3)
    assert np.abs(half[8, 5:95, 0] - (2 * np.arange(5, 95) + 0.5)).max() <= 0.5


def test_a_large_picture_is_resampled_in_strips_without_seams():
    tall = np.repeat(picture(16, 300, span=0.1).repeat(8, axis=0)[:, :, :1], 3, axis=2)  # 2400 rows
    strips = resample.resized(tall, (16, 1600), scale=1.5)
    resample_all = resample.resized(tall, (16, 1000), scale=1.5, offset=(0.0, 900.0))
    assert np.array_equal(strips[700:1500, 4:-4], resample_all[100:900, 4:-4])


# --- the camera ---------------------------------------------------------------------------------------------------


def stack_of(n=4, size=64, p=2.0):
    return camera.concentric([picture(size, size, span=p**-k) for k in range(n)], p)


def test_a_linear_zoom_takes_the_same_time_for_every_doubling():
    way = camera.way(stack_of(), camera.Journey(size=(64, 64), fps=30, level_s=1.0))
    pixels = np.array([view.pixel for view in way.views])
    assert len(way) == 91
    assert np.allclose(np.diff(np.log2(pixels)), -1 / 30)
    assert np.allclose([way.depths[0], way.depths[30], way.depths[-1]], [0, 1, 3])


@pytest.mark.parametrize("direction", camera.DIRECTIONS)
@pytest.mark.parametrize("hold_s", [0.0, 0.3])
def test_every_direction_goes_where_it_says(direction, hold_s):
    journey = camera.Journey(
        size=(64, 64), fps=20, level_s=0.5, direction=direction, hold_s=hold_s, easing="ease-in-out"
    )
    depths = camera.way(stack_of(), journey).depths
    there, back = (0, 3) if direction.startswith("in") else (3, 0)
    assert depths[0] == pytest.approx(there)
    if "-" in direction:
        assert back in np.round(depths, 9)
        step = abs(depths[1:] - depths[:-1]).max()
        assert 0 <= abs(depths[-1] - depths[0]) <= step + 1e-9, "the loop closes with one more step of the same kind"
        assert (depths[-1] != depths[0]) or hold_s > 0
        mirrored = np.concatenate([depths[:1], depths[:0:-1]])
        held = round(hold_s * 20)
        assert np.abs(np.roll(mirrored, held) - depths).max() < 1e-9 or held == 0
    else:
        assert depths[-1] == pytest.approx(back)
        assert (np.diff(depths) * (back - there) >= -1e-9).all()
    if hold_s:
        for level in range(4):
            assert np.isclose(depths, level).sum() >= 6, "held 0.3 s at 20 fps"


def test_the_way_never_looks_past_the_first_level_and_one_point_stands_still():
    levels = [picture(160, 120), picture(100, 140), picture(120, 90)]
    places = (
        camera.Placement(0.1, -0.05, 1 / 160),
        camera.Placement(0.03, 0.01, 0.4 / 160),
        camera.Placement(0.0, 0.0, 0.17 / 160),
    )
    stack = camera.Stack(tuple(levels), places)
    journey = camera.Journey(size=(96, 64), fps=30, level_s=1.0, end_zoom=1.5)
    views = camera.way(stack, journey).views
    for view in views:
        assert abs(view.x - 0.1) + 48 * view.pixel <= 0.5 + 1e-9
        assert abs(view.y + 0.05) + 32 * view.pixel <= 60 / 160 + 1e-9
    first, last = views[0], stack.full_view(2, (96, 64))
    at = [(last.x - first.x * last.pixel / first.pixel) / (1 - last.pixel / first.pixel)]
    seen = [(at[0] - view.x) / view.pixel for view in views]
    assert np.ptp(seen) < 1e-6
    assert views[-1].pixel == pytest.approx(last.pixel / 1.5)


def test_sixteen_levels_of_four_stay_exact():
    levels = [picture(32, 32)] * 16
    stack = camera.concentric(levels, 4)
    view = stack.full_view(15, (32, 32))
    assert stack.magnifications[-1] == pytest.approx(4.0**15)
    assert np.array_equal(render.Renderer(stack, (32, 32)).frame(view), levels[15])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": (63, 64)}, "even"),
        ({"size": (8, 8)}, "size"),
        ({"fps": 0}, "fps"),
        ({"direction": "sideways"}, "direction"),
        ({"level_s": 0}, "time per level"),
        ({"easing": "wobble"}, "easing"),
        ({"end_zoom": 100}, "deepest level"),
        ({"hold_s": -1}, "hold"),
    ],
)
def test_a_journey_that_cannot_be_is_a_sentence(change, words):
    with pytest.raises(InputError, match=words):
        camera.Journey(**{"size": (64, 64), **change})


def test_stacks_that_cannot_be_are_a_sentence():
    level = picture(32, 32)
    with pytest.raises(InputError, match="levels"):
        camera.concentric([], 2)
    with pytest.raises(InputError, match="zoom factor"):
        camera.concentric([level, level], 1.0)
    with pytest.raises(InputError, match="one size"):
        camera.concentric([level, picture(30, 30)], 2)
    with pytest.raises(InputError, match="level 2"):
        camera.Stack((level, level), (camera.Placement(0, 0, 1.0), camera.Placement(0, 0, 1.0)))
    with pytest.raises(InputError, match="at least 2"):
        camera.way(camera.concentric([level], 2), camera.Journey(size=(32, 32)))


# --- frames -------------------------------------------------------------------------------------------------------


def test_a_frame_that_is_a_level_is_that_level():
    stack = stack_of(3, 64)
    renderer = render.Renderer(stack, (64, 64))
    for k, level in enumerate(stack.levels):
        assert np.array_equal(renderer.frame(stack.full_view(k, (64, 64))), level)


@pytest.mark.parametrize("p", [2.0, 1.42, 4.0])
def test_frames_are_what_is_there(p):
    stack = stack_of(3, 96, p)
    renderer = render.Renderer(stack, (72, 48))
    top, bottom = (np.log2(stack.full_view(k, (72, 48)).pixel) for k in (0, 2))
    for zoom in np.linspace(top, bottom, 7):
        pixel = 2.0**zoom
        truth = picture(72, 48, span=72 * pixel)
        made = renderer.frame(camera.View(0.0, 0.0, pixel))
        within = slice(18, 30), slice(27, 45)  # the middle, of which a level fine enough is always there
        assert error(made[within], truth[within]) < 4.0
        assert error(made, truth) < 6.0 * p / 2  # around it a wider level is magnified, and what that lacks is missing


def test_nothing_jumps_where_a_level_takes_over():
    stack = stack_of(3, 128)
    renderer = render.Renderer(stack, (128, 128))
    pixel = stack.full_view(1, (128, 128)).pixel
    usual = [pixel * 1.31 * f for f in (1.0, 0.9999)]
    takeover = [pixel * f for f in (1.00005, 0.99995)]
    changes = [error(*(renderer.frame(camera.View(0.0, 0.0, size)) for size in pair)) for pair in (usual, takeover)]
    assert changes[1] < 2 * changes[0] + 0.2


def test_levels_that_disagree_give_way_gradually():
    grey = [np.full((96, 96, 3), value, np.uint8) for value in (60, 180)]
    renderer = render.Renderer(camera.concentric(grey, 2), (96, 96))
    for zoom in (0.1, 0.3, 0.5, 0.8, 0.97):
        row = renderer.frame(camera.View(0.0, 0.0, 2.0**-zoom / 96))[48, :, 0].astype(int)
        room = 48 * (1 - 2.0 ** (zoom - 1))  # pixels between the border of the finer level and that of the frame
        assert np.abs(np.diff(row)).max() <= 1.6 * 120 / max(min(room, 0.12 * 96 * 2.0 ** (zoom - 1)), 1) + 1, zoom
        assert row[0] == 60
    middle = [renderer.frame(camera.View(0.0, 0.0, 2.0**-z / 96))[48, 48, 0] for z in np.linspace(0, 0.4, 41)]
    assert middle[0] == 60
    assert middle[-1] == 180
    assert np.abs(np.diff(np.array(middle, int))).max() < 12


def test_the_form_for_the_encoder_is_the_same_picture():
    stack = stack_of(3, 96)
    renderer = render.Renderer(stack, (96, 64))
    view = camera.View(0.004, -0.01, 0.6 / 96)
    frame = renderer.frame_420(view)
    assert frame.shape == (96, 96)
    luma = planes.to_luma(renderer.frame(view))
    assert np.abs(frame[:64] - luma[0]).max() <= 1.5
    half = resample.halved(renderer.frame(view))
    chroma = planes.to_chroma(half)
    assert error(frame[64:].reshape(2, 32, 48)[:, 4:-4, 4:-4], chroma[:, 4:-4, 4:-4]) < 2.0


def test_grey_levels_of_black_and_white_are_those_of_the_standard():
    image = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8)
    assert np.allclose(planes.to_luma(image)[0, 0], [16, 235, 62.56], atol=0.01)
    assert np.allclose(planes.to_chroma(image)[:, 0], [[128, 128, 102.33], [128, 128, 240]], atol=0.01)


def test_a_large_level_is_read_in_parts_and_looks_the_same(monkeypatch, rng):
    stack = camera.concentric(rng.integers(0, 256, (2, 256, 256, 3), dtype=np.uint8), 2)
    view = camera.View(0.05, 0.02, 0.3 / 64)
    whole = render.Renderer(stack, (64, 64)).frame(view)
    monkeypatch.setattr(render, "_WHOLE", 100)
    monkeypatch.setattr(render, "_CACHE_BYTES", 1000)
    assert np.array_equal(render.Renderer(stack, (64, 64)).frame(view), whole)


@given(*[st.tuples(*[st.integers(0, 9)] * 4)] * 2)
def test_rectangles_are_subtracted_without_gaps(a, b):
    if a[0] >= a[2] or a[1] >= a[3]:
        return
    count = np.zeros((9, 9), int)
    for left, top, right, bottom in render.subtract(a, b):
        count[top:bottom, left:right] += 1
    expected = np.zeros((9, 9), int)
    expected[a[1] : a[3], a[0] : a[2]] = 1
    if b[0] < b[2] and b[1] < b[3]:
        expected[b[1] : b[3], b[0] : b[2]] = 0
    assert np.array_equal(count, expected)


# --- the video ----------------------------------------------------------------------------------------------------


def test_a_video_is_written_and_every_frame_stands_in_it(tmp_path):
    stack = stack_of(3, 64)
    journey = camera.Journey(size=(64, 48), fps=24, level_s=0.5, direction="in-out", end_hold_s=0.25)
    path = tmp_path / "zoom.mp4"
    steps = list(render.write_video(path, stack, journey))
    info = probe(path)
    assert (info.width, info.height, info.fps) == (64, 48, 24)
    shown = [frame.image for frame in read_frames(path)]
    assert len(shown) == len(steps) == steps[0].total == 60
    for step, image in list(zip(steps, shown, strict=True))[::7]:
        assert error(planes.to_luma(step.image), planes.to_luma(image)) < 3.0  # colour is halved in the file
    made = list(render.frames(stack, journey))
    assert np.array_equal(made[7], steps[7].image)
    assert steps[0].depth == 0
    assert steps[30].depth == 2


def test_frames_come_one_by_one_and_stop_when_they_are_not_wanted(tmp_path, monkeypatch):
    made = []
    real = render.Renderer.frame_420
    monkeypatch.setattr(render.Renderer, "frame_420", lambda self, view: (made.append(view), real(self, view))[1])
    journey = camera.Journey(size=(64, 64), fps=60, level_s=20.0)
    job = render.write_video(tmp_path / "zoom.mp4", stack_of(3, 64), journey)
    for _ in range(5):
        next(job)
    job.close()
    assert len(made) < 40
    assert list(tmp_path.iterdir()) == []


def test_a_frame_that_stands_still_is_made_once(monkeypatch):
    made = []
    real = render.Renderer.frame
    monkeypatch.setattr(render.Renderer, "frame", lambda self, view: (made.append(view), real(self, view))[1])
    journey = camera.Journey(size=(64, 64), fps=30, level_s=0.2, hold_s=2.0)
    assert len(list(render.frames(stack_of(2, 64), journey))) == 127
    assert len(made) == 7
