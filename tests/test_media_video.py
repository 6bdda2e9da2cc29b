"""Videos of every kind come as upright RGB frames with exact times."""

import itertools
import math
import tracemalloc

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_samples import (
    counted,
    number_of,
    plain,
    quadrant_colours,
    quadrants,
    set_display_matrix,
    tone,
    write_sound,
    write_video,
)

from genkey_core import InputError
from genkey_core.media import VideoWriter, has_sound, probe, read_frames, save_image
from genkey_core.media.clock import FrameClock, constant_rate

VFR_S = [0.0, 0.04, 0.1, 0.2, 0.21, 0.5, 0.52, 0.9]


def encoder(name):
    if name not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no encoder {name}")
    return name


@pytest.fixture(scope="module")
def counted_mp4(tmp_path_factory):
    """50 numbered frames at 25 fps, a keyframe each second, B-frames between."""
    path = tmp_path_factory.mktemp("video") / "counted.mp4"
    with VideoWriter(path, fps=25, size=(64, 48)) as writer:
        for i in range(50):
            writer.write(counted(i))
    return path


def test_frames_come_in_order_with_their_times(counted_mp4):
    frames = list(read_frames(counted_mp4))
    assert [number_of(f.image) for f in frames] == list(range(50))
    assert np.allclose([f.time_s for f in frames], np.arange(50) / 25, atol=1e-9)


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(0, 0.2), (0.5, 0.7), (1.0, 1.08), (1.3, None), (1.96, None), (0.51, 0.55)]
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "mov"])
def test_a_range_holds_exactly_its_frames(start_s, end_s, suffix, tmp_path):
    codec = "mpeg4" if suffix == "avi" else "libx264"
    path = write_video(tmp_path / f"a.{suffix}", [counted(i) for i in range(50)], codec=codec)
    wanted = [i for i in range(50) if start_s - 1e-6 <= i / 25 and (end_s is None or i / 25 < end_s - 1e-6)]
    assert [number_of(f.image) for f in read_frames(path, start_s=start_s, end_s=end_s)] == wanted


def test_a_range_past_the_end_is_empty(counted_mp4):
    assert list(read_frames(counted_mp4, start_s=50)) == []


def test_probe_tells_what_was_written(counted_mp4):
    info = probe(counted_mp4)
    assert (info.width, info.height, info.n_frames, info.rotation_deg) == (64, 48, 50, 0)
    assert info.fps == 25
    assert info.duration_s == 2
    assert info.start_s == 0
    assert not info.is_variable_rate
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    assert not info.has_audio
    assert info.sample_rate is info.n_channels is info.audio_codec is info.audio_duration_s is None


@pytest.mark.parametrize("fps", [23.976, 29.97, 22.131, 59.94, 1, 12.5])
def test_probe_finds_rates_exactly(fps, tmp_path):
    for suffix in ("mp4", "mkv"):  # the latter rounds times to a millisecond
        path = write_video(tmp_path / f"a.{suffix}", [plain(64, 48)] * 40, fps=fps)
        info = probe(path)
        assert info.fps == pytest.approx(fps, rel=2e-5)
        assert not info.is_variable_rate


TURNS = {  # the display matrix a, b, c, d: what it does to a picture that is stored upright, and the clockwise angle
    "as stored": ((1, 0, 0, 1), lambda p: p, 0),
    "quarter clockwise": ((0, 1, -1, 0), lambda p: np.rot90(p, -1), 90),
    "half": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2), 180),
    "quarter back": ((0, -1, 1, 0), lambda p: np.rot90(p, 1), 270),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1], None),
    "upside down": ((1, 0, 0, -1), lambda p: p[::-1], None),
    "transposed": ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2), None),
}


@pytest.mark.parametrize("turn", TURNS)
def test_phone_rotation_is_applied(turn, tmp_path):
    matrix, shown, angle_deg = TURNS[turn]
    path = set_display_matrix(write_video(tmp_path / "a.mp4", [quadrants(96, 64)] * 3), *matrix)
    wanted = shown(quadrants(96, 64))
    info = probe(path)
    assert (info.height, info.width) == wanted.shape[:2]
    if angle_deg is not None:
        assert info.rotation_deg == angle_deg
    for frame in read_frames(path):
        assert frame.image.shape == wanted.shape
        assert frame.image.flags.c_contiguous
        for key, colour in quadrant_colours(wanted).items():
            assert np.abs(quadrant_colours(frame.image)[key] - colour).max() < 4


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_rate_keeps_every_time(suffix, tmp_path):
    path = write_video(tmp_path / f"a.{suffix}", [counted(i) for i in range(len(VFR_S))], times_s=VFR_S)
    frames = list(read_frames(path))
    assert [number_of(f.image) for f in frames] == list(range(len(VFR_S)))
    assert np.allclose([f.time_s for f in frames], VFR_S, atol=6e-4 if suffix == "mkv" else 1e-5)
    info = probe(path)
    assert info.is_variable_rate
    assert info.fps == pytest.approx(7 / 0.9, rel=1e-2)


def test_variable_rate_becomes_constant_by_the_nearest_tick(tmp_path):
    path = write_video(tmp_path / "a.mp4", [counted(i) for i in range(len(VFR_S))], times_s=VFR_S)
    frames = list(read_frames(path, fps=10, end_s=1.0))
    assert np.allclose([f.time_s for f in frames], np.arange(10) / 10)
    # ticks:     0  .1  .2  .3  .4  .5  .6  .7  .8  .9
    assert [number_of(f.image) for f in frames] == [1, 2, 4, 4, 4, 6, 6, 6, 6, 7]
    from_half = list(read_frames(path, fps=10, start_s=0.4, end_s=0.7))
    assert np.allclose([f.time_s for f in from_half], [0.4, 0.5, 0.6])
    assert [number_of(f.image) for f in from_half] == [4, 6, 6]


@pytest.mark.parametrize("fps", [10, 24, 25, 30, 50, 23.976])
def test_constant_rate_has_the_length_of_the_video(fps, counted_mp4):
    frames = list(read_frames(counted_mp4, fps=fps))
    assert len(frames) == round(2 * fps)
    for i, frame in enumerate(frames):
        assert frame.time_s == pytest.approx(i / fps)
        assert abs(number_of(frame.image) / 25 - frame.time_s) <= 0.5 / fps + 0.04


times = st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=30, unique=True).map(sorted)


@settings(deadline=None)
@given(times, st.floats(1, 60), st.floats(0, 4), st.one_of(st.none(), st.floats(0, 5)))
def test_constant_rate_ticks_are_regular_and_in_order(times_s, fps, start_s, length_s):
    end_s = None if length_s is None else start_s + length_s
    source = [(t, t + 0.04, i) for i, t in enumerate(times_s)]
    ticks = list(constant_rate(source, fps=fps, start_s=start_s, end_s=end_s))
    assert [t for t, _ in ticks] == [start_s + i / fps for i in range(len(ticks))]
    shown = [i for _, i in ticks]
    assert shown == sorted(shown)
    assert len(ticks) >= 1
    if end_s is not None:
        assert len(ticks) <= max(1, math.ceil(length_s * fps))
    for tick_s, i in ticks:  # nothing from more than half a tick ahead is shown, but for the first frame
        assert i == 0 or times_s[i] <= tick_s + 0.5 / fps + 1e-9


def test_constant_rate_reads_no_further_than_needed():
    endless = ((t / 10, t / 10 + 0.1, t) for t in itertools.count())
    assert len(list(constant_rate(endless, fps=5, start_s=0.0, end_s=2.0))) == 10


def test_clock_fills_missing_drops_repeated_and_bridges_breaks():
    clock = FrameClock(0.04)
    given_s = [0.0, 0.04, None, 0.12, 0.12, 0.16, 10_000.0, 10_000.04, 3.0, 3.04]
    wanted = [0.0, 0.04, 0.08, 0.12, None, 0.16, 0.20, 0.24, 0.28, 0.32]
    assert [clock.advance(t) for t in given_s] == pytest.approx(wanted)


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False)), max_size=60))
def test_clock_always_advances(given_s):
    clock = FrameClock(0.04)
    shown = [t for t in map(clock.advance, given_s) if t is not None]
    assert all(a < b for a, b in itertools.pairwise(shown))


def test_files_without_times_get_the_nominal_rate(tmp_path):
    """A raw MPEG-4 stream has no timestamps at all."""
    path = write_video(tmp_path / "a.m4v", [counted(i) for i in range(20)], codec="mpeg4")
    frames = list(read_frames(path))
    assert [number_of(f.image) for f in frames] == list(range(20))
    assert np.allclose(np.diff([f.time_s for f in frames]), 0.04, atol=1e-3)


def test_still_pictures_and_sound_are_not_videos(tmp_path):
    save_image(tmp_path / "photo.mp4", plain(64, 48))
    write_sound(tmp_path / "song.flac", tone(0.5, 8000), 8000, codec="flac")
    (tmp_path / "text.mp4").write_text("no video")
    wanted = {"photo.mp4": "is a still picture", "song.flac": "no moving picture", "text.mp4": "not a readable video"}
    for name, words in wanted.items():
        for read in (probe, lambda path: next(read_frames(path))):
            with pytest.raises(InputError, match=f"'{name}'.*{words}"):
                read(tmp_path / name)
    assert has_sound(tmp_path / "song.flac")


@pytest.mark.parametrize(
    "options", [{"start_s": -1}, {"start_s": float("nan")}, {"end_s": -1}, {"start_s": 2, "end_s": 1}]
)
@pytest.mark.parametrize("rate", [{}, {"fps": 25}])
def test_ranges_are_checked_at_once(options, rate):
    with pytest.raises(InputError):
        read_frames("any.mp4", **options, **rate)


@pytest.mark.parametrize("fps", [0, 0.5, 1000, float("nan"), "24", True])
def test_rates_are_checked_at_once(fps):
    with pytest.raises(InputError, match="fps"):
        read_frames("any.mp4", fps=fps)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov", "webm"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.85])
def test_a_cut_off_file_gives_what_it_has_then_a_sentence(suffix, share, tmp_path, rng):
    codec = {"avi": "mpeg4", "webm": encoder("libvpx-vp9")}.get(suffix, "libx264")
    images = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(75)]
    whole = tmp_path / f"a.{suffix}"
    if suffix == "mp4":
        with VideoWriter(whole, fps=25, size=(64, 48)) as writer:
            for image in images:
                writer.write(image)
    else:
        write_video(whole, images, codec=codec)
    content = whole.read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(content[: round(share * len(content))])
    times_s, frames = [], read_frames(path)

    def read_all():
        for frame in frames:
            times_s.append(frame.time_s)

    with pytest.raises(InputError, match=f"'cut.{suffix}' is "):
        read_all()
    assert len(times_s) < 75
    assert np.allclose(times_s, np.arange(len(times_s)) / 25, atol=1e-3)
    if suffix != "mov":  # its index stands at the end: nothing can be read
        assert len(times_s) > 75 * share * 0.25


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damaged_videos_give_frames_or_a_sentence(counted_mp4, tmp_path_factory, data):
    content = bytearray(counted_mp4.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.mp4"
    path.write_bytes(content)
    last_s = -1.0
    try:
        assert probe(path).n_frames >= 1
        for frame in itertools.islice(read_frames(path), 200):
            assert frame.image.dtype == np.uint8
            assert frame.time_s > last_s
            last_s = frame.time_s
    except InputError as error:
        assert "'damaged.mp4'" in str(error)


def test_a_giant_picture_is_refused(counted_mp4, monkeypatch):
    monkeypatch.setattr("genkey_core.media.container.MAX_VIDEO_PIXELS", 64 * 48 - 1)
    for read in (probe, lambda path: next(read_frames(path))):
        with pytest.raises(InputError, match=r"'counted\.mp4'"):
            read(counted_mp4)


def test_closing_early_closes_the_file(counted_mp4):
    frames = read_frames(counted_mp4)
    next(frames)
    frames.close()
    assert list(frames) == []


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path):
    path = tmp_path / "a.mp4"
    with VideoWriter(path, fps=25, size=(320, 240), preset="ultrafast") as writer:
        for _ in range(200):
            writer.write(plain(320, 240))
    tracemalloc.start()
    n_frames = sum(1 for _ in read_frames(path, fps=30))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_frames == 240
    assert peak < 10 * 320 * 240 * 3
