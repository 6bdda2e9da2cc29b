"""Written videos: their colours, rates, lengths, texts, and that they appear whole or not at all."""

import json
import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_samples import boxes, clicks, counted, plain, tone, write_sound, write_video

from genkey_core import InputError
from genkey_core.media import (
    Audio,
    VideoWriter,
    frame_rate,
    probe,
    read_audio,
    read_frames,
    read_metadata,
)

SIZE = (64, 48)
COLOURS = [(r, g, b) for r in (0, 90, 255) for g in (0, 140, 255) for b in (0, 200, 255)]
CLI = pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffprobe is not installed")


def write(path, n_frames=10, **options):
    with VideoWriter(path, **{"fps": 25, "size": SIZE, **options}) as writer:
        for i in range(n_frames):
            writer.write(counted(i))
    return path


def files(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("size", [(64, 48), (1280, 720)])
def test_colours_come_back(size, tmp_path):
    colours = COLOURS if size == SIZE else COLOURS[::9]
    with VideoWriter(tmp_path / "a.mp4", fps=25, size=size) as writer:
        for colour in colours:
            writer.write(plain(*size, colour))
    for frame, colour in zip(read_frames(tmp_path / "a.mp4"), colours, strict=True):
        assert np.abs(frame.image.astype(int) - colour).max() <= 4


def test_luma_and_chroma_are_bt709_in_limited_range(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", fps=25, size=SIZE, crf=1) as writer:
        for colour in COLOURS:
            writer.write(plain(*SIZE, colour))
    with av.open(str(tmp_path / "a.mp4")) as container:
        for frame, colour in zip(container.decode(video=0), COLOURS, strict=True):
            assert (frame.format.name, int(frame.color_range), int(frame.colorspace)) == ("yuv420p", 1, 1)
            red, green, blue = (c / 255 for c in colour)
            luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
            wanted = (16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748)
            yuv = frame.to_ndarray()
            found = (yuv[24, 32], yuv[48 + 6, 16], yuv[48 + 12 + 6, 16])
            assert np.abs(np.array(found, float) - wanted).max() <= 2


@CLI
def test_another_reader_sees_the_tags(tmp_path):
    song = Audio(tone(1.0, 44100, n_channels=2), 44100)
    path = write(tmp_path / "a.mp4", fps=29.97, audio=song, metadata={"comment": "ä"})
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    video, sound = found["streams"]
    wanted = {
        "codec_name": "h264",
        "pix_fmt": "yuv420p",
        "color_range": "tv",
        "color_space": "bt709",
        "color_transfer": "bt709",
        "color_primaries": "bt709",
        "r_frame_rate": "30000/1001",
        "avg_frame_rate": "30000/1001",
        "nb_frames": "10",
        "start_time": "0.000000",
    }
    assert {key: video[key] for key in wanted} == wanted
    assert (sound["codec_name"], sound["sample_rate"], sound["channels"]) == ("aac", "44100", 2)
    assert float(sound["start_time"]) == 0
    assert float(sound["duration"]) == pytest.approx(float(video["duration"]), abs=1e-4)
    assert found["format"]["tags"]["comment"] == "ä"


def test_the_index_stands_in_front(tmp_path):
    names = boxes(write(tmp_path / "a.mp4"))
    assert names[0] == "ftyp"
    assert names.index("moov") < names.index("mdat")


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (24, Fraction(24)),
        (23.976, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (24000 / 1001, Fraction(24000, 1001)),
        (22.131, Fraction(22131, 1000)),
        (12.5, Fraction(25, 2)),
        (1, Fraction(1)),
        (60, Fraction(60)),
        (Fraction(30000, 1001), Fraction(30000, 1001)),
        (29.5, Fraction(59, 2)),
    ],
)
def test_frame_rates_are_rational(fps, rate, tmp_path):
    assert frame_rate(fps) == rate
    path = write(tmp_path / "a.mp4", n_frames=5, fps=fps)
    assert [f.time_s for f in read_frames(path)] == pytest.approx([float(i / rate) for i in range(5)], abs=2e-5)
    assert probe(path).fps == pytest.approx(float(rate), rel=1e-6)


@settings(deadline=None)
@given(st.floats(1, 60))
def test_any_rate_is_near_its_rational(fps):
    rate = frame_rate(fps)
    assert abs(float(rate) - fps) < 1e-3
    assert rate.denominator <= 1001


@pytest.mark.parametrize("fps", [0, 0.99, 61, 1000, -24, float("nan"), float("inf"), "24", None, True])
def test_impossible_rates_are_refused(fps, tmp_path):
    with pytest.raises(InputError, match="fps"):
        VideoWriter(tmp_path / "a.mp4", fps=fps, size=SIZE)


@pytest.mark.parametrize(
    "options",
    [
        {"size": (63, 48)},
        {"size": (64, 48, 3)},
        {"size": (14, 48)},
        {"size": (4098, 48)},
        {"crf": 60},
        {"preset": "-i"},
        {"audio_start_s": -1},
        {"metadata": {"comment": "a\0b"}},
        {"metadata": {"comment": 3}},
        {"metadata": {"nonsense": "x"}},
        {"metadata": {"comment": "x" * 2**21}},
    ],
)
def test_options_are_checked_before_anything_is_written(options, tmp_path):
    with pytest.raises(InputError):
        VideoWriter(tmp_path / "a.mp4", **{"fps": 25, "size": SIZE, **options})
    assert files(tmp_path) == []


@pytest.mark.parametrize("audio", ["missing.mp3", "http://127.0.0.1:9/a.mp3", "concat:a|b", "-i"])
def test_sound_is_a_local_file(audio, tmp_path):
    with pytest.raises(InputError):
        write(tmp_path / "a.mp4", audio=audio)
    assert files(tmp_path) == []


@pytest.mark.parametrize("image", [plain(64, 46), plain(48, 64), np.zeros((48, 64)), np.zeros((48, 64, 3)), None])
def test_a_wrong_frame_is_a_sentence_and_leaves_nothing(image, tmp_path):
    with pytest.raises(InputError, match="image"), VideoWriter(tmp_path / "a.mp4", fps=25, size=SIZE) as writer:
        writer.write(image)
    assert files(tmp_path) == []


# --- sound -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [24, 29.97, 22.131, 60])
@pytest.mark.parametrize("sound_s", [0.5, 3.0])
@pytest.mark.parametrize("source", ["array", "file"])
def test_sound_has_the_length_of_the_video(fps, sound_s, source, tmp_path):
    samples = tone(sound_s, 44100, n_channels=2)
    audio = Audio(samples, 44100)
    if source == "file":
        audio = write_sound(tmp_path / "song.mp3", samples, 44100, codec="libmp3lame")
    path = write(tmp_path / "a.mp4", n_frames=31, fps=fps, audio=audio)
    info = probe(path)
    assert info.n_frames == 31
    assert info.duration_s == pytest.approx(31 / float(frame_rate(fps)))
    assert info.audio_duration_s == pytest.approx(info.duration_s, abs=1e-4)
    heard = read_audio(path).samples
    level = np.sqrt((heard[:, : round(info.duration_s * 44100)] ** 2).mean(axis=0))
    assert level[: round(0.4 * 44100)].mean() > 0.2
    after = heard[:, round((sound_s + 0.1) * 44100) : round(info.duration_s * 44100)]
    assert after.size == 0 or np.abs(after).max() < 0.02


@pytest.mark.parametrize("start_s", [0.0, 0.25, 1.3])
@pytest.mark.parametrize("source", ["array", "odd_rate", "file"])
def test_sound_starts_where_asked(start_s, source, tmp_path):
    rate = 37000 if source == "odd_rate" else 48000
    samples = clicks([0.5, 1.5, 1.9], 2.5, rate)
    audio = Audio(samples, rate)
    if source == "file":
        audio = write_sound(tmp_path / "song.flac", samples, rate, codec="flac")
    path = write(tmp_path / "a.mp4", n_frames=25, audio=audio, audio_start_s=start_s)
    heard = read_audio(path)
    loud = np.flatnonzero(np.abs(heard.samples[0]) > 0.2) / heard.sample_rate
    starts = loud[np.diff(loud, prepend=-1) > 0.05]
    assert starts == pytest.approx([t - start_s for t in (0.5, 1.5, 1.9) if 0 <= t - start_s < 1], abs=0.003)


def test_the_sound_of_a_video_file_can_be_taken(tmp_path):
    first = write(tmp_path / "a.mp4", n_frames=50, audio=Audio(clicks([0.7], 2, 48000), 48000))
    second = write(tmp_path / "b.mp4", n_frames=25, audio=first, audio_start_s=0.5)
    loud = np.flatnonzero(np.abs(read_audio(second).samples[0]) > 0.2)
    assert loud[0] / 48000 == pytest.approx(0.2, abs=0.003)


def test_silence_after_the_start_offset_is_silence(tmp_path):
    path = write(tmp_path / "a.mp4", audio=Audio(tone(1, 8000), 8000), audio_start_s=5)
    assert np.abs(read_audio(path).samples).max() < 1e-3


def test_a_video_without_sound_as_sound_is_a_sentence(tmp_path):
    silent = write_video(tmp_path / "silent.mp4", [plain(*SIZE)] * 3)
    with pytest.raises(InputError, match=r"'silent\.mp4' has no sound"):
        write(tmp_path / "a.mp4", audio=silent)
    assert files(tmp_path) == ["silent.mp4"]


# --- texts -------------------------------------------------------------------------------------------------------


def test_a_long_unicode_recipe_survives(tmp_path):
    recipe = {"prompt": 'é 😀 "quotes" \\ =;#\n\t€' * 3500, "seed": 2**53, "curve": [0.1, 1e-9, None, True]}
    text = json.dumps(recipe, ensure_ascii=False)
    assert len(text.encode()) > 100_000
    path = write(tmp_path / "a.mp4", metadata={"comment": text, "title": "Züge\nund mehr"})
    found = read_metadata(path)
    assert found["comment"] == text
    assert json.loads(found["comment"]) == recipe
    assert found["title"] == "Züge\nund mehr"


texts = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=200)


@settings(max_examples=30, deadline=None)
@given(texts)
def test_any_text_survives(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "text.mp4"
    write(path, n_frames=1, metadata={"comment": text}, preset="ultrafast")
    assert read_metadata(path)["comment"] == text


def test_no_text_is_no_text(tmp_path):
    assert "comment" not in read_metadata(write(tmp_path / "a.mp4"))
