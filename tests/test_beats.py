"""Beats: planted ones come back, real ones keep their bars, edits are exact, and odd sound is decided."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_samples import plain, write_sound, write_video

from benchmarks.planted_music import CLICKS, GROOVES, RATE, drum_loop
from genkey_core import InputError
from genkey_core.dance.beats import Beats, from_tempo, hear_beats
from genkey_core.dance.beats_clicks import clicks
from genkey_core.dance.beats_grid import extended
from genkey_core.dance.beats_onsets import hear_onsets
from genkey_core.dance.choreography import segments_of
from genkey_core.media.audio import Audio


def audio(samples: np.ndarray) -> Audio:
    return Audio(np.asarray(samples, np.float32).reshape(1, -1), RATE)


def misses_ms(beats: Beats, true_s: np.ndarray) -> np.ndarray:
    """How far each true beat is from the nearest that was heard."""
    return 1e3 * np.abs(beats.beat_times_s[None] - np.asarray(true_s)[:, None]).min(axis=1)


def at_tempo(beats: Beats, bpm: float) -> Beats:
    """Halved or doubled once, where that is nearer."""
    if beats.tempo_bpm > 1.5 * bpm:
        return beats.halved()
    return beats.doubled() if beats.tempo_bpm < bpm / 1.5 else beats


@pytest.mark.parametrize("bpm", [60, 97, 131, 168, 190])
def test_clicks_come_back(bpm):
    music = drum_loop(np.random.default_rng(bpm), CLICKS, bpm=bpm, duration_s=15, start_s=0.4)
    beats = hear_beats(audio(music.samples))
    assert beats.tempo_bpm == pytest.approx(bpm, rel=0.005)
    assert misses_ms(beats, music.beat_times_s).max() < 10
    assert beats.beat_times_s[0] == pytest.approx(0.4, abs=0.01)  # no beats in the silence before


@pytest.mark.parametrize("groove", ["rock", "funk", "tresillo", "half time"])
def test_grooves_at_other_levels_than_the_beat_keep_their_octave(groove):
    music = drum_loop(np.random.default_rng(2), GROOVES[groove], bpm=116, duration_s=18, jitter_s=0.006, chords=True)
    beats = hear_beats(audio(music.samples))
    assert beats.tempo_bpm == pytest.approx(116, rel=0.01)
    assert misses_ms(beats, music.beat_times_s).max() < 25
    assert beats.first_downbeat % 2 == 0  # bars of four, of which two halves may be alike


def test_swing_noise_and_a_pickup():
    music = drum_loop(
        np.random.default_rng(3),
        GROOVES["rock"],
        bpm=105,
        duration_s=20,
        swing=1 / 3,
        pickup=1,
        noise_db=10,
        start_s=0.2,
    )
    beats = hear_beats(audio(music.samples))
    assert misses_ms(beats, music.beat_times_s).max() < 25
    assert beats.bar_places[0] in (2, 4)  # the snare


def test_a_drifting_tempo_is_followed():
    music = drum_loop(np.random.default_rng(4), GROOVES["rock"], bpm=120, duration_s=30, drift=0.15)
    beats = hear_beats(audio(music.samples))
    assert np.median(misses_ms(beats, music.beat_times_s)) < 10
    assert misses_ms(beats, music.beat_times_s).max() < 40
    assert any("drifts" in note for note in beats.notes)
    gaps = np.diff(beats.beat_times_s)
    assert gaps[:5].mean() > 1.08 * gaps[-5:].mean()


def test_a_constant_tempo_is_constant_and_its_error_is_told():
    music = drum_loop(np.random.default_rng(5), GROOVES["rock"], bpm=128, duration_s=20, jitter_s=0.008)
    beats = hear_beats(audio(music.samples))
    assert not beats.notes
    assert np.ptp(np.diff(beats.beat_times_s[1:])) < 1e-6
    median, largest = beats.grid_error_ms
    assert 2 < median < 15 < largest < 60
    worse = beats.shifted(0.03).grid_error_ms
    assert worse[0] > 2 * median


def test_a_waltz_is_said_to_be_one_and_heard_in_three():
    music = drum_loop(np.random.default_rng(6), GROOVES["waltz"], bpm=140, duration_s=20, chords=True)
    assumed = hear_beats(audio(music.samples))
    assert assumed.beats_per_bar == 4
    assert any("3/4" in note and "meter" in note for note in assumed.notes)
    assert not assumed.with_meter(3).notes
    heard = hear_beats(audio(music.samples), beats_per_bar=3)
    assert misses_ms(heard, music.beat_times_s).max() < 20
    assert heard.first_downbeat == 0
    assert not any("3/4" in note for note in heard.notes)
    rock = drum_loop(np.random.default_rng(6), GROOVES["rock"], bpm=120, duration_s=20)
    assert not hear_beats(audio(rock.samples)).notes


def test_the_end_of_the_sound_bounds_the_beats():
    music = drum_loop(np.random.default_rng(7), GROOVES["rock"], bpm=120, duration_s=12)
    faded = np.concatenate([music.samples, np.zeros(6 * RATE, np.float32)])
    beats = hear_beats(audio(faded))
    assert beats.beat_times_s[-1] < 12.5
    assert beats.duration_s == pytest.approx(18)
    assert (beats.beat_times_s >= 0).all()


# --- edits


def grid(n: int = 33, bpm: float = 120.0, duration_s: float = 16.4) -> Beats:
    beats = from_tempo(bpm, duration_s=duration_s)
    assert len(beats.beat_times_s) == n
    return beats


def test_edits_leave_the_old_beats_and_undo_each_other():
    beats = grid()
    before = beats.beat_times_s.copy()
    doubled = beats.doubled()
    np.testing.assert_allclose(doubled.halved().beat_times_s, before)
    np.testing.assert_allclose(beats.shifted(0.1).shifted(-0.1).beat_times_s[: len(before)], before, atol=1e-9)
    assert doubled.tempo_bpm == pytest.approx(240)
    assert beats.halved().tempo_bpm == pytest.approx(60)
    np.testing.assert_array_equal(beats.beat_times_s, before)


def test_halving_keeps_the_downbeat():
    halved = grid().with_first_downbeat(3).halved()
    assert halved.beat_times_s[halved.first_downbeat] == pytest.approx(1.5)
    doubled = grid().with_first_downbeat(3).doubled()
    assert doubled.beat_times_s[doubled.first_downbeat] == pytest.approx(1.5)


@given(offset_s=st.floats(-8, 8), bpm=st.floats(40, 200), downbeat=st.integers(0, 3))
def test_a_shift_moves_bars_with_the_beats(offset_s, bpm, downbeat):
    beats = from_tempo(bpm, duration_s=20.0).with_first_downbeat(downbeat)
    moved = beats.shifted(offset_s)
    period_s = 60 / bpm
    assert (np.diff(moved.beat_times_s) > 0).all()
    assert moved.beat_times_s[0] >= 0
    assert moved.beat_times_s[-1] <= 20
    assert moved.beat_times_s[0] < period_s + 1e-6  # goes on to the ends
    assert moved.beat_times_s[-1] > 20 - period_s - 1e-6
    bars = (moved.beat_times_s[moved.first_downbeat] - beats.beat_times_s[downbeat] - offset_s) / (4 * period_s)
    assert abs(bars - round(bars)) < 1e-3


@given(start=st.floats(0, 10), length=st.floats(2, 9))
def test_clipping_keeps_times_and_bars(start, length):
    beats = grid().with_first_downbeat(2)
    clipped = beats.clipped(start, start + length)
    inside = [t for t in beats.beat_times_s if start - 1e-6 <= t <= start + length + 1e-6]
    np.testing.assert_array_equal(clipped.beat_times_s, inside)
    places = dict(zip(beats.beat_times_s, beats.bar_places, strict=True))
    assert [places[t] for t in clipped.beat_times_s] == clipped.bar_places.tolist()
    assert clipped.bar_places[clipped.first_downbeat] == 1


def test_typed_tempo_and_its_segments():
    beats = from_tempo(90, 0.5, duration_s=10)
    assert beats.tempo_bpm == pytest.approx(90)
    assert beats.beat_times_s[beats.first_downbeat] == pytest.approx(0.5)
    assert beats.grid_error_ms is None
    segments = segments_of(beats.beat_times_s, first=beats.first_downbeat)
    assert segments[0] == pytest.approx([0.5, 0.5 + 2 / 3])
    later = from_tempo(90, 3.0, duration_s=10)
    assert 3.0 in later.beat_times_s[later.bar_places == 1].round(9)
    before = from_tempo(120, -0.5, duration_s=10)
    assert before.beat_times_s[before.first_downbeat] == pytest.approx(1.5)


def test_taps_give_tempo_phase_and_the_onsets_their_exactness():
    music = drum_loop(np.random.default_rng(8), GROOVES["rock"], bpm=97, duration_s=25)
    beats = hear_beats(audio(music.samples))
    rng = np.random.default_rng(1)
    taps = music.beat_times_s[8:20] + rng.normal(0, 0.03, 12)
    tapped = beats.tapped(np.delete(taps, 4))  # one was missed
    assert misses_ms(tapped, music.beat_times_s).max() < 15
    assert tapped.bar_places[np.abs(tapped.beat_times_s - taps[0]).argmin()] == 1
    off = beats.tapped(taps + 30 / 97)  # the off-beats are meant, whatever is struck there
    assert misses_ms(off, music.beat_times_s[8:20] + 30 / 97).max() < 45
    for wrong in ([1, 2, 3], [1, 1, 1, 1], [1, 2, float("nan"), 4]):
        with pytest.raises(InputError, match="tap"):
            beats.tapped(wrong)


def test_wrong_edits_are_refused_in_words():
    beats = grid()
    for call in (
        lambda: beats.with_first_downbeat(99),
        lambda: beats.clipped(16.2),
        lambda: beats.clipped(5, 4),
        lambda: beats.shifted(99),
        lambda: beats.at_tempo(5000),
        lambda: beats.with_meter(5),
        lambda: beats.doubled().doubled().doubled(),
        lambda: from_tempo(30, duration_s=1),
    ):
        with pytest.raises(InputError):
            call()


@given(st.lists(st.floats(0.3, 0.6), min_size=3, max_size=20), st.floats(0, 3))
def test_extension_never_leaves_its_bounds(gaps, start):
    beats_s = 4 + np.cumsum(gaps)
    whole = extended(beats_s, start, beats_s[-1] + 2.0)
    assert whole[0] >= start
    assert whole[-1] <= beats_s[-1] + 2.0
    assert (np.diff(whole) > 0).all()
    assert np.isin(beats_s, whole).all()


# --- clicks


def test_clicks_lie_on_their_samples_and_never_clip():
    beats = from_tempo(120, duration_s=4)
    loud = Audio(np.full((2, 4 * 48_000), 0.99, np.float32) * np.array([[1], [-1]], np.float32), 48_000)
    mixed = clicks(beats, loud)
    assert mixed.samples.shape == loud.samples.shape
    assert np.abs(mixed.samples).max() <= 1
    silent = clicks(beats, Audio(np.zeros((1, 4 * 48_000), np.float32), 48_000)).samples[0]
    struck = np.flatnonzero(np.abs(silent) > 0)
    starts = struck[np.diff(struck, prepend=-10_000) > 4000]
    np.testing.assert_allclose(starts, beats.beat_times_s * 48_000, atol=2)
    spectra = [np.abs(np.fft.rfft(silent[s : s + 2400])).argmax() for s in (0, 24_000)]
    assert spectra[0] > 1.3 * spectra[1]  # the downbeat is higher


# --- files, and what is no music


def test_any_file_with_sound_will_do(tmp_path):
    music = drum_loop(np.random.default_rng(9), GROOVES["rock"], bpm=118, duration_s=8)
    stereo = np.repeat(music.samples[None], 2, axis=0)
    for name, codec in (("song.wav", "pcm_s16le"), ("song.mp3", "mp3")):
        path = tmp_path / name
        write_sound(path, stereo, RATE, codec=codec)
        assert misses_ms(hear_beats(path), music.beat_times_s).max() < 20


def test_what_has_no_beats_is_said_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="silent"):
        hear_beats(audio(np.zeros(5 * RATE)))
    with pytest.raises(InputError, match="too short"):
        hear_beats(audio(np.ones(RATE) * 0.1))
    hum = 0.5 * np.sin(2 * np.pi * 220 * np.arange(8 * RATE) / RATE)
    with pytest.raises(InputError, match="no rhythm"):
        hear_beats(audio(hum))
    video = tmp_path / "mute.mp4"
    write_video(video, [plain(64, 48, (90, 90, 90))] * 10)
    with pytest.raises(InputError, match="no sound"):
        hear_beats(video)
    with pytest.raises(InputError, match="path"):
        hear_beats(17)
    with pytest.raises(InputError, match="meter"):
        hear_beats(audio(hum), beats_per_bar=7)


def test_only_half_an_hour_is_listened_to(monkeypatch):
    monkeypatch.setattr("genkey_core.dance.beats.MAX_HEARD_S", 12.0)
    music = drum_loop(np.random.default_rng(10), GROOVES["rock"], bpm=120, duration_s=20)
    beats = hear_beats(audio(music.samples))
    assert beats.duration_s == pytest.approx(12, abs=0.01)
    assert any("first" in note and "minutes" in note for note in beats.notes)


def test_onsets_in_blocks_are_those_of_one_piece(monkeypatch):
    music = drum_loop(np.random.default_rng(11), GROOVES["rock"], bpm=120, duration_s=6)
    whole = hear_onsets(music.samples)
    monkeypatch.setattr("genkey_core.dance.beats_onsets._BLOCK", 301)
    np.testing.assert_allclose(hear_onsets(music.samples).envelope, whole.envelope, atol=1e-3)


# --- real music


@pytest.mark.parametrize("name", ["loop_120bpm_32s", "loop_140bpm_34s"])
def test_drum_loops_lie_on_their_grid(real_media, name):
    with open(real_media / "music" / f"{name}_beats.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    true_s = np.array([float(row["time_s"]) for row in rows])
    beats = hear_beats(real_media / "music" / f"{name}.flac")
    assert len(beats.beat_times_s) == len(true_s)
    assert np.abs(beats.beat_times_s - true_s).max() < 0.02
    assert beats.first_downbeat == 0


def test_country_and_trumpet_keep_their_first_beats(real_media):
    lines = (real_media / "music" / "country_85.53bpm_30s_first5beats.txt").read_text().split("\n")
    true_s = np.array([float(line.split()[0]) for line in lines if line.strip()])
    country = at_tempo(hear_beats(real_media / "music" / "country_85.53bpm_30s.wav"), 85.53)
    assert country.tempo_bpm == pytest.approx(85.53, rel=0.04)
    assert misses_ms(country, true_s).max() < 70
    trumpet = at_tempo(hear_beats(real_media / "music" / "trumpet_90bpm_5s.ogg"), 90)
    assert trumpet.tempo_bpm == pytest.approx(90, rel=0.06)
    assert misses_ms(trumpet, np.arange(5) * 60 / 90).max() < 70
