"""Every real file beside the checkout is probed and read; skipped where there is none."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from genkey_core import InputError
from genkey_core.media import has_sound, image_size, load_image, probe, read_audio, read_frames


def every(folder, *suffixes):
    found = sorted(p for p in folder.rglob("*") if p.suffix in suffixes)
    assert found
    return found


def test_every_video_is_what_it_says(real_media):
    for path in every(real_media, ".mp4"):
        info = probe(path)
        end_s = info.start_s + info.duration_s
        first = next(read_frames(path))
        assert first.image.shape == (info.height, info.width, 3), path.name
        assert first.time_s == pytest.approx(info.start_s, abs=1e-6), path.name
        assert info.has_audio == has_sound(path), path.name
        if info.has_audio:
            assert abs(read_audio(path).duration_s - info.audio_duration_s) < 0.05, path.name
        if info.width <= 720:  # larger ones have one keyframe in ten seconds, and take seconds to decode to the end
            last = list(read_frames(path, start_s=end_s - 2.5 / info.fps))
            assert 1 <= len(last) <= 4, path.name
            assert last[-1].time_s == pytest.approx(end_s - 1 / info.fps, abs=1.5 / info.fps), path.name


def test_every_picture_is_read(real_media):
    for path in every(real_media, ".png", ".jpg"):
        size = image_size(path)
        assert min(size) >= 400, path.name
        if max(size) < 2000 or path.stem == "tree_1049":
            image = load_image(path)
            assert (image.shape[1], image.shape[0]) == size, path.name
            assert image.std() > 5, path.name


def test_every_sound_is_read(real_media):
    for path in every(real_media, ".ogg", ".flac", ".mp3", ".wav"):
        audio = read_audio(path, mono=True)
        assert 4 < audio.duration_s < 70, path.name
        assert 0.01 < np.abs(audio.samples).max() <= 1.5, path.name


def test_the_cover_of_the_song_is_not_a_video(real_media):
    song = real_media / "music" / "song_61s.ogg"
    assert b"METADATA_BLOCK_PICTURE" in song.read_bytes()[:100_000].upper()
    assert read_audio(song).samples.shape[0] == 2
    with pytest.raises(InputError, match="no moving picture"):
        probe(song)


def test_hevc_is_read_anywhere(real_media):
    path = real_media / "talk" / "kitchen_hands.mp4"
    info = probe(path)
    assert (info.codec, info.width, info.height, info.fps, info.n_frames) == ("hevc", 1080, 1920, 25, 502)
    frames = list(read_frames(path, start_s=67 / 25, end_s=70 / 25))
    assert [f.time_s for f in frames] == pytest.approx([67 / 25, 68 / 25, 69 / 25])


def test_the_odd_rate_keeps_its_times_and_can_be_made_constant(real_media):
    path = real_media / "talk" / "suit_blinds_22fps.mp4"
    info = probe(path)
    assert info.is_variable_rate
    assert info.fps == pytest.approx(22.131, rel=0.003)
    frames = [f.time_s for f in read_frames(path, fps=22.131)]
    assert np.allclose(np.diff(frames), 1 / 22.131)
    assert len(frames) == pytest.approx(info.n_frames, abs=1)


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffprobe is not installed")
@pytest.mark.parametrize("name", ["suit_blinds_22fps", "office_512", "blue_wall_dup_frames"])
def test_times_agree_with_another_reader(name, real_media):
    path = real_media / "talk" / f"{name}.mp4"
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time"]
    found = subprocess.run([*command, "-of", "json", str(path)], capture_output=True, check=True).stdout
    wanted = [float(frame["best_effort_timestamp_time"]) for frame in json.loads(found)["frames"]]
    assert [f.time_s for f in read_frames(path)] == pytest.approx(wanted, abs=1e-5)
