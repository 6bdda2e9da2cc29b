"""Sound comes as float32 [C S] on the clock of the pictures, whatever file it lies in."""

from fractions import Fraction

import av
import numpy as np
import pytest
from media_samples import clicks, plain, tone, write_sound, write_video

from genkey_core import InputError
from genkey_core.media import Audio, VideoWriter, encode_png, has_sound, probe, read_audio, read_frames, save_image

LOSSLESS = {"wav": "pcm_s16le", "flac": "flac"}
LOSSY = {"mp3": "libmp3lame", "m4a": "aac", "ogg": "libopus", "mkv": "aac"}


def onsets_s(audio, threshold=0.2):
    """Times at which the sound rises over `threshold` after at least 50 ms below it."""
    loud = np.flatnonzero(np.abs(audio.samples).max(axis=0) > threshold)
    starts = loud[np.diff(loud, prepend=-audio.sample_rate) > 0.05 * audio.sample_rate]
    return starts / audio.sample_rate


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("n_channels", [1, 2])
def test_lossless_sound_comes_back(suffix, n_channels, tmp_path):
    samples = tone(0.7, 44100, n_channels=n_channels)
    audio = read_audio(write_sound(tmp_path / f"a.{suffix}", samples, 44100, codec=LOSSLESS[suffix]))
    assert audio.sample_rate == 44100
    assert audio.samples.dtype == np.float32
    assert audio.samples.shape == samples.shape
    assert np.abs(audio.samples - samples).max() < 1e-4
    assert audio.duration_s == pytest.approx(0.7)


@pytest.mark.parametrize("suffix", {**LOSSLESS, **LOSSY})
@pytest.mark.parametrize("sample_rate", [None, 22050])
def test_clicks_keep_their_times_through_codec_delay_and_resampling(suffix, sample_rate, tmp_path):
    times_s = [0.1, 0.5, 0.75, 1.5]
    path = tmp_path / f"a.{suffix}"
    write_sound(path, clicks(times_s, 2.0, 48000), 48000, codec={**LOSSLESS, **LOSSY}[suffix])
    audio = read_audio(path, sample_rate=sample_rate)
    assert audio.sample_rate == sample_rate or (sample_rate is None and audio.sample_rate == 48000)
    assert onsets_s(audio) == pytest.approx(times_s, abs=0.003)


@pytest.mark.parametrize("suffix", {**LOSSLESS, **LOSSY})
@pytest.mark.parametrize(("start_s", "end_s"), [(0.3, 1.0), (2.6, 3.1), (2.6, None)])
def test_a_range_is_a_part_of_the_whole(suffix, start_s, end_s, tmp_path):
    path = tmp_path / f"a.{suffix}"
    write_sound(path, clicks([0.4, 0.9, 2.7, 3.05], 3.3, 48000), 48000, codec={**LOSSLESS, **LOSSY}[suffix])
    whole, part = read_audio(path), read_audio(path, start_s=start_s, end_s=end_s)
    wanted = whole.samples[:, round(start_s * 48000) : None if end_s is None else round(end_s * 48000)]
    assert part.samples.shape == wanted.shape
    settled = slice(4800, None)  # a decoder that starts in the middle may need a moment
    assert np.abs(part.samples[:, settled] - wanted[:, settled]).max() < 1e-3
    assert onsets_s(part) + start_s == pytest.approx(
        [t for t in onsets_s(whole) if start_s < t < (end_s or 9)], abs=0.003
    )


@pytest.mark.parametrize(("suffix", "codec"), [("mp3", "libmp3lame"), ("flac", "flac"), ("m4a", "aac")])
def test_a_cover_picture_is_not_a_video(suffix, codec, tmp_path):
    path = tmp_path / f"a.{suffix}"
    cover = encode_png(plain(64, 64, (200, 10, 10)))
    write_sound(
        path, clicks([0.2], 0.6, 44100), 44100, codec=codec, cover=cover, format="mp4" if suffix == "m4a" else None
    )
    assert cover in path.read_bytes()
    assert onsets_s(read_audio(path)) == pytest.approx([0.2], abs=0.003)
    assert has_sound(path)
    with pytest.raises(InputError, match="no moving picture"):
        probe(path)


def test_mono_is_the_mean_and_many_channels_become_two(tmp_path):
    left, right = tone(0.3, 16000, hz=300), tone(0.3, 16000, hz=700)
    path = write_sound(tmp_path / "a.wav", np.concatenate([left, right]), 16000, codec="pcm_s16le")
    assert np.abs(read_audio(path, mono=True).samples - (left + right) / 2).max() < 1e-4
    many = write_sound(tmp_path / "b.flac", np.tile(left, (6, 1)), 16000, codec="flac")
    assert read_audio(many).samples.shape == (2, 4800)
    assert read_audio(many, mono=True).samples.shape == (1, 4800)


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100, 96000])
def test_resampling_keeps_pitch_level_and_length(sample_rate, tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(1.0, 48000, hz=1000), 48000, codec="pcm_s16le")
    audio = read_audio(path, sample_rate=sample_rate)
    assert abs(audio.samples.shape[1] - sample_rate) <= 2
    wanted = tone(1.0, sample_rate, hz=1000)[:, : audio.samples.shape[1]]
    middle = slice(sample_rate // 10, -sample_rate // 10)
    assert np.abs(audio.samples[:, : wanted.shape[1]] - wanted)[:, middle].max() < 0.01


def test_sound_of_a_video_is_on_the_clock_of_its_pictures(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", fps=25, size=(64, 48), audio=Audio(clicks([0.5, 1.2], 2, 48000), 48000)) as w:
        for _ in range(50):
            w.write(plain(64, 48))
    info = probe(tmp_path / "a.mp4")
    assert (info.has_audio, info.sample_rate, info.n_channels, info.audio_codec) == (True, 48000, 1, "aac")
    assert onsets_s(read_audio(tmp_path / "a.mp4")) == pytest.approx([0.5, 1.2], abs=0.003)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(("late_s", "hole_s"), [(0.06, 0.0), (0.5, 0.0), (0.0, 0.7), (0.25, 0.4)])
def test_late_and_interrupted_sound_gets_silence(suffix, late_s, hole_s, tmp_path):
    """Sound that starts after the pictures, and stops for a while: what follows stays at its time."""
    path, rate = tmp_path / f"a.{suffix}", 48000
    blocks = clicks([0.3, 1.3], 2.0, rate)[:, : 90 * 1024].reshape(1, -1, 1024)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=rate, layout="mono")
        for i in range(50):
            image = av.VideoFrame.from_ndarray(plain(64, 48), format="rgb24")
            image.pts, image.time_base = i, Fraction(1, 25)
            container.mux(video.encode(image))
        for i in range(blocks.shape[1]):
            frame = av.AudioFrame.from_ndarray(blocks[:, i], format="fltp", layout="mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = i * 1024 + round((late_s + (hole_s if i * 1024 >= rate else 0)) * rate)
            container.mux(sound.encode(frame))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    first_s = next(read_frames(path)).time_s
    wanted = [first_s + 0.3 + late_s, first_s + 1.3 + late_s + hole_s]
    assert onsets_s(read_audio(path)) == pytest.approx(wanted, abs=0.025 if suffix == "ts" else 0.004)


def test_files_without_sound_say_so(tmp_path):
    path = write_video(tmp_path / "silent.mp4", [plain(64, 48)] * 3)
    save_image(tmp_path / "photo.png", plain(64, 48))
    (tmp_path / "text.mp3").write_text("la la la " * 50)
    assert not has_sound(path)
    cases = {"silent.mp4": "has no sound", "photo.png": "still picture", "text.mp3": "not a readable video or sound"}
    for name, words in cases.items():
        with pytest.raises(InputError, match=f"'{name}' .*{words}"):
            read_audio(tmp_path / name)
    with pytest.raises(InputError, match="holds no sound after 9 s"):
        read_audio(write_sound(tmp_path / "a.wav", tone(0.5, 8000), 8000, codec="pcm_s16le"), start_s=9)


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "flac", "wav"])
def test_a_cut_off_sound_file_gives_its_beginning(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    write_sound(path, tone(3.0, 48000), 48000, codec={**LOSSLESS, **LOSSY}[suffix])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    audio = read_audio(path)
    assert 0.8 < audio.duration_s < 2.2
    middle = slice(4800, int(0.7 * 48000))
    assert np.abs(audio.samples[:, middle] - tone(3.0, 48000)[:, middle]).max() < 0.08


def test_a_sound_file_that_is_mostly_damage_is_refused(tmp_path, rng):
    path = write_sound(tmp_path / "a.m4a", tone(2.0, 48000, hz=900), 48000, codec="aac")
    content = bytearray(path.read_bytes())
    start = content.find(b"mdat") + 8
    end = content.find(b"moov") - 4
    content[start:end] = rng.integers(0, 256, end - start, dtype=np.uint8).tobytes()
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"'a\.m4a' is damaged"):
        read_audio(path)


def test_length_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("genkey_core.media.audio.MAX_SOUND_S", 1.0)
    path = write_sound(tmp_path / "a.wav", tone(2.0, 8000), 8000, codec="pcm_s16le")
    with pytest.raises(InputError, match=r"'a\.wav' is too long"):
        read_audio(path)
    assert read_audio(path, end_s=0.9).duration_s == pytest.approx(0.9)


@pytest.mark.parametrize(
    "options", [{"sample_rate": 0}, {"sample_rate": 1.5}, {"mono": "yes"}, {"start_s": -1}, {"end_s": -1}]
)
def test_options_are_checked(options, tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(0.5, 8000), 8000, codec="pcm_s16le")
    with pytest.raises(InputError):
        read_audio(path, **options)


NOT_AUDIO = [
    np.zeros(9, np.float32),
    np.zeros((3, 9), np.float32),
    np.zeros((1, 9)),
    [[0.0]],
    np.full((1, 9), np.nan, np.float32),
]


@pytest.mark.parametrize("samples", NOT_AUDIO)
def test_audio_is_checked(samples):
    with pytest.raises(InputError, match="audio"):
        Audio(samples, 44100)
