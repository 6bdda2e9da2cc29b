"""Pauses and fillers by ear: planted ones are found, in synthetic sound and in espeak-ng's speech; odd sound is decided."""

import json
from pathlib import Path

import numpy as np
import pytest
from media_samples import plain, tone, write_sound, write_video

from benchmarks.planted_speech import RATE as SPOKEN_RATE
from benchmarks.planted_speech import Planted, f1, has_espeak, match, planted_speech
from genkey_core import InputError
from genkey_core.jumpcut.acoustics import HOP, HOP_S, RATE, frames_of, joined
from genkey_core.jumpcut.cutlist import Row, cut_list
from genkey_core.jumpcut.speech import Analysis, Listening, SpeechOptions, analyse, left_natural, listen
from genkey_core.media.audio import Audio

EDGE_S = 0.08  # how exactly an edge is found


def babble(duration_s: float, seed: int = 0) -> np.ndarray:
    """Something like speech, float32 [S]: syllables of changing colour on a wandering voice."""
    rng = np.random.default_rng(seed)
    n = round(duration_s * RATE)
    parts, made = [], 0
    while made < n:
        size = round(rng.uniform(0.09, 0.16) * RATE)
        pitch = np.linspace(*rng.uniform(100, 180, 2), size)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        formants = rng.uniform(300, 3000, 2)
        voice = sum(
            np.exp(-(((k * 140 - formants) / 250) ** 2)).sum() * np.sin(k * phase) for k in range(1, 24)
        ) + 0.3 * np.sin(phase)
        syllable = voice * np.hanning(size) ** 0.3 + 0.05 * rng.standard_normal(size)
        parts.append(syllable / np.abs(syllable).max())
        made += size
    return 0.4 * np.concatenate(parts)[:n].astype(np.float32)


def held_voice(duration_s: float, hz: float = 110.0) -> np.ndarray:
    """An "uh", float32 [S]: harmonics that stand still, the pitch sinking a little."""
    n = round(duration_s * RATE)
    phase = 2 * np.pi * np.cumsum(np.linspace(hz, 0.92 * hz, n)) / RATE
    voice = sum(np.exp(-(((k * hz - 600) / 500) ** 2)) * np.sin(k * phase) for k in range(1, 20))
    return (0.3 * voice / np.abs(voice).max() * np.hanning(n) ** 0.1).astype(np.float32)


def quiet(duration_s: float) -> np.ndarray:
    return np.zeros(round(duration_s * RATE), np.float32)


def audio(*parts: np.ndarray, snr_db: float | None = None, seed: int = 5) -> Audio:
    samples = np.concatenate(parts)
    if snr_db is not None:
        level = np.sqrt(np.mean(samples[np.abs(samples) > 0.01] ** 2)) * 10 ** (-snr_db / 20)
        samples = samples + level * np.random.default_rng(seed).standard_normal(len(samples))
    return Audio(samples[None].astype(np.float32), RATE)


def found(analysis: Analysis, kind: str) -> list[tuple[float, float]]:
    return [(row.start_s, row.end_s) for row in analysis.rows if row.kind == kind and row.remove]


# --- features ------------------------------------------------------------------------------------------------------


def test_features_do_not_depend_on_how_the_stream_is_cut(rng):
    samples = np.concatenate([babble(11.0), quiet(0.37)])[None]
    whole = joined(frames_of([samples]))
    cuts = np.sort(rng.integers(0, samples.shape[1], 40))
    parts = joined(frames_of(np.split(samples, cuts, axis=1)))
    assert len(whole) == -(-samples.shape[1] // HOP)
    for name in ("bands_db", "voicing", "pitch_hz"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-3)


def test_pitch_and_voicing_of_known_sounds(rng):
    for hz in (80.0, 137.0, 290.0):
        frames = joined(frames_of([held_voice(1.0, hz)[None]]))
        middle = slice(20, 80)
        wanted = hz * np.interp(np.arange(20, 80) * HOP_S, [0, 1], [1.0, 0.92])
        np.testing.assert_allclose(frames.pitch_hz[middle], wanted, rtol=0.02)
        assert frames.voicing[middle].min() > 0.9
    noise = joined(frames_of([rng.standard_normal((1, RATE)).astype(np.float32)]))
    assert noise.voicing.mean() < 0.35
    assert len(joined(frames_of([]))) == 0


def test_levels_are_decibels_of_full_scale():
    frames = joined(frames_of([tone(1.0, RATE, hz=1000.0)]))
    assert frames.level_db[20:80].mean() == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=1.5)


# --- planted pauses and fillers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("snr_db", [None, 20, 10])
def test_planted_pauses_are_found_to_their_edges_in_noise_too(snr_db):
    sound = audio(
        babble(2.0, 1),
        quiet(0.7),
        babble(1.5, 2),
        quiet(0.15),
        babble(1.0, 3),
        quiet(1.2),
        babble(2.0, 4),
        snr_db=snr_db,
    )
    got = found(analyse(sound), "pause")
    wanted = [(2.0, 2.7), (5.35, 6.55)]
    assert len(got) == 2
    np.testing.assert_allclose(got, wanted, atol=EDGE_S)


def test_the_background_may_change_half_way(rng):
    parts = [babble(3.0, 1), quiet(0.8), babble(6.0, 2), quiet(0.8), babble(3.0, 3)]
    samples = np.concatenate(parts)
    hiss = 0.002 * rng.standard_normal(len(samples))
    hiss[round(7 * RATE) :] *= 12
    got = found(analyse(Audio((samples + hiss)[None].astype(np.float32), RATE)), "pause")
    np.testing.assert_allclose(got, [(3.0, 3.8), (9.8, 10.6)], atol=0.12)


def test_a_held_voice_is_a_filler_and_lively_speech_is_none():
    sound = audio(babble(2.0, 1), quiet(0.2), held_voice(0.5), quiet(0.2), babble(2.0, 2), snr_db=25)
    got = found(analyse(sound), "filler")
    assert len(got) == 1
    np.testing.assert_allclose(got[0], (2.2, 2.7), atol=EDGE_S)
    assert found(analyse(audio(babble(6.0, 1), snr_db=25)), "filler") == []
    assert found(analyse(sound, SpeechOptions(fillers=False)), "filler") == []


@pytest.mark.skipif(not has_espeak(), reason="espeak-ng is not installed")
@pytest.mark.parametrize(("snr_db", "fillers_f1"), [(20, 0.7), (10, 0.6)])
def test_spoken_pauses_and_fillers_are_found(snr_db, fillers_f1):
    pauses, fillers = np.zeros(3, int), np.zeros(3, int)
    for seed, voice in ((11, "en-us"), (12, "en-gb+f2")):
        planted: Planted = planted_speech(seed, voice=voice, n_phrases=7, snr_db=snr_db)
        analysis = analyse(Audio(planted.samples[None], SPOKEN_RATE))
        for counts, kind, truth in ((pauses, "pause", planted.pauses), (fillers, "filler", planted.fillers)):
            got = found(analysis, kind)
            counts += [match(got, truth), len(got), len(truth)]
    assert pauses[2] > 5
    assert fillers[2] > 5
    assert f1(*pauses)[2] >= 0.95
    assert f1(*fillers)[2] >= fillers_f1


def test_no_word_of_real_speech_is_cut(real_media):
    talk = real_media / "talk"
    analysis = analyse(talk / "read_speech_88s.mp4")
    removed = cut_list(analysis.rows, duration_s=analysis.duration_s).removed
    segments = json.loads((talk / "read_speech_88s_words.json").read_text())
    words = [word for segment in segments for word in segment["words"]]
    assert len(words) > 200
    assert sum(b - a for a, b in removed) > 10
    for word in words:
        third = (word["end"] - word["start"]) / 3
        assert not [word for a, b in removed if a < word["end"] - third and b > word["start"] + third]


# --- options -------------------------------------------------------------------------------------------------------


def test_keep_it_natural_leaves_a_share_the_shortest_first():
    rows = [Row(i, i + length, "pause") for i, length in enumerate((0.9, 0.5, 0.7, 0.6))]
    assert [row.remove for row in left_natural(rows, 0.5)] == [True, False, True, False]
    kept = [sum(not row.remove for row in left_natural(rows, share)) for share in (0, 0.25, 0.5, 0.75, 1)]
    assert kept == [0, 1, 2, 3, 4]
    assert [(r.start_s, r.end_s) for r in left_natural(rows, 0.5)] == [(r.start_s, r.end_s) for r in rows]


def test_a_longer_shortest_pause_finds_fewer():
    sound = audio(babble(1.5, 1), quiet(0.6), babble(1.5, 2), quiet(1.2), babble(1.5, 3))
    assert len(found(analyse(sound, SpeechOptions(shortest_pause_s=0.5)), "pause")) == 2
    assert len(found(analyse(sound, SpeechOptions(shortest_pause_s=0.9)), "pause")) == 1


@pytest.mark.parametrize(
    "options", [{"shortest_pause_s": 0}, {"natural": 1.5}, {"natural": float("nan")}, {"surest_only": "high"}]
)
def test_options_are_checked(options):
    with pytest.raises(InputError):
        analyse(audio(babble(0.5)), SpeechOptions(**options))


def test_progress_is_reported_and_closing_stops(tmp_path):
    records = list(listen(audio(babble(25.0))))
    assert [type(r) for r in records] == [Listening] * (len(records) - 1) + [Analysis]
    heard = [r.heard_s for r in records[:-1]]
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(25.0, abs=0.02)
    stream = listen(audio(babble(25.0)))
    next(stream)
    stream.close()


# --- odd sound -----------------------------------------------------------------------------------------------------


def test_silence_and_all_pause_remove_nothing(rng):
    silent = analyse(audio(quiet(3.0)))
    assert silent.rows == ()
    assert "silent throughout" in silent.notes[0]
    hiss = Audio(0.01 * rng.standard_normal((1, 5 * RATE)).astype(np.float32), RATE)
    pause = analyse(hiss)
    assert [row for row in pause.rows if row.remove] == []
    assert [(row.kind, row.start_s) for row in pause.rows] == [("pause", 0.0)]
    assert "one pause" in pause.notes[0]


def test_music_gets_no_fillers():
    notes_hz = [262, 330, 392, 523, 392, 330]
    music = np.concatenate([sum(tone(0.5, RATE, hz=hz * k)[0] / k for k in (1, 2, 3)) for hz in notes_hz * 2])
    analysis = analyse(audio(0.5 * music))
    assert [row for row in analysis.rows if row.kind == "filler"] == []
    assert any("music" in note for note in analysis.notes)


def test_real_music_gets_no_fillers(real_media):
    for name in ("pop_vocals_11s.mp3", "trumpet_90bpm_5s.ogg"):
        analysis = analyse(real_media / "music" / name)
        assert [row for row in analysis.rows if row.kind == "filler"] == []
        assert any("music" in note for note in analysis.notes)


def test_a_video_without_sound_and_a_text_file(tmp_path):
    analysis = analyse(write_video(tmp_path / "mute.mp4", [plain(64, 48)] * 3), duration_s=0.12)
    assert analysis.rows == ()
    assert "no sound" in analysis.notes[0]
    (tmp_path / "notes.mp4").write_text("no video " * 99)
    with pytest.raises(InputError, match=r"notes\.mp4"):
        analyse(tmp_path / "notes.mp4")


def test_sound_that_outlasts_the_picture_is_left_out():
    sound = audio(babble(3.0, 1), quiet(2.0), babble(1.0, 2))
    analysis = analyse(sound, duration_s=4.0)
    assert analysis.duration_s == pytest.approx(4.0)
    assert all(row.end_s <= 4.0 for row in analysis.rows)
    assert "goes on after 4.0 s" in analysis.notes[0]
    early = analyse(sound, duration_s=8.0)
    assert "ends at 6.0 s" in early.notes[0]
    assert analyse(sound, duration_s=6.0).notes == ()


def test_a_corrupt_tail_is_analysed_up_to_there(tmp_path, rng):
    path: Path = write_sound(
        tmp_path / "a.m4a", np.concatenate([babble(6.0, 1), quiet(0.8), babble(33.0, 2)])[None], RATE, codec="aac"
    )
    content = bytearray(path.read_bytes())
    start, end = content.find(b"mdat") + 8, content.find(b"moov") - 4
    third = start + (end - start) // 2
    content[third:end] = rng.integers(0, 256, end - third, dtype=np.uint8).tobytes()
    path.write_bytes(content)
    analysis = analyse(path)
    assert "were analysed" in analysis.notes[0]
    assert 9.0 < analysis.duration_s < 36.0
    np.testing.assert_allclose(found(analysis, "pause")[0], (6.0, 6.8), atol=0.1)


def test_the_quietest_stretch_is_quiet():
    sound = audio(babble(2.0, 1), quiet(0.9), babble(2.0, 2), snr_db=30)
    start_s, end_s = analyse(sound).quietest_s
    assert 2.0 - EDGE_S <= start_s < end_s <= 2.9 + EDGE_S


def test_one_long_packet_that_passes_the_end_of_the_picture_is_heard_up_to_it():
    from genkey_core.jumpcut.speech import RATE, _Counted

    counted = _Counted(RATE)
    heard = list(counted.chunks(iter([np.zeros((1, 3 * RATE), np.float32), np.zeros((1, RATE), np.float32)])))
    assert [chunk.shape[1] for chunk in heard] == [RATE]
    assert counted.too_long
