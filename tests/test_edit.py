"""Carrying out a cut: one clock for picture and sound, joins that are not heard, room tone that does not repeat."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_samples import clicks, counted, number_of, tone, write_sound, write_video

from genkey_core import InputError
from genkey_core.jumpcut.cutlist import Row, cut_list
from genkey_core.jumpcut.edit import Piece, cut_audio, cut_frames, frames_to_keep, pieces_of, result_frames, times_of
from genkey_core.jumpcut.roomtone import RoomTone
from genkey_core.media import Audio, VideoWriter, probe, read_audio, read_frames
from genkey_core.media.audio import SoundStream, open_sound, sound_of

RATE = 16_000


def stream(samples: np.ndarray, rate: int = RATE, block: int = 1000) -> SoundStream:
    return SoundStream(rate, (samples[:, i : i + block] for i in range(0, samples.shape[1], block)))


def cut(samples: np.ndarray, pieces, *, fps=25, rate: int = RATE, **options) -> np.ndarray:
    return np.concatenate(list(cut_audio(stream(samples, rate), pieces, fps=fps, **options)), axis=1)


def ramp(n: int) -> np.ndarray:
    """float32 [1 n] that tells every sample's place."""
    return np.arange(n, dtype=np.float32)[None] / 2**24


def joins(pieces) -> list[int]:
    """Result frames at which two different stretches meet."""
    found = []
    for frame, before, after in zip(cut_frames(pieces), pieces[:-1], pieces[1:], strict=True):
        if before.inserted:
            found += [frame, frame + before.inserted]
        elif before.stop != after.start:
            found.append(frame)
    return found


PIECES = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 20), st.integers(0, 5)), min_size=1, max_size=8).map(
    lambda parts: tuple(
        Piece(start, start + n, new)
        for start, (_, n, new) in zip(
            np.cumsum([g for g, _, _ in parts]) + np.cumsum([0, *(n for _, n, _ in parts)])[:-1], parts, strict=True
        )
    )
)
FPS = st.sampled_from([25, 24, 30, Fraction(24000, 1001), Fraction(30000, 1001), 22.131, 60])


# --- frames --------------------------------------------------------------------------------------------------------


def test_boundaries_are_the_nearest_frames_and_what_rounds_to_nothing_vanishes():
    cuts = cut_list([Row(1.03, 2.0, "range"), Row(3.0, 3.012, "range"), Row(4.0, 4.5, "range")], duration_s=6)
    assert pieces_of(cuts, fps=25) == (Piece(0, 26), Piece(50, 100), Piece(113, 150))
    assert pieces_of(cuts, fps=25, n_frames=149, inserted=[3, 0])[0] == Piece(0, 26, 3)
    assert cut_frames(pieces_of(cuts, fps=25, inserted=2)) == [26, 78]
    times = times_of(pieces_of(cuts, fps=25, inserted=2), 25)
    assert times.duration_s == pytest.approx((26 + 2 + 50 + 2 + 37) / 25)
    assert times.to_result(2.0) == pytest.approx(28 / 25)


def test_wrong_numbers_of_new_frames_and_nothing_left_are_refused():
    cuts = cut_list([Row(1, 2, "range")], duration_s=6)
    with pytest.raises(InputError, match="one number for each of the 1 cuts"):
        pieces_of(cuts, fps=25, inserted=[1, 2])
    with pytest.raises(InputError, match="inserted frames"):
        pieces_of(cuts, fps=25, inserted=-1)
    with pytest.raises(InputError, match="less than one frame"):
        pieces_of(cut_list([Row(0.01, 6, "range")], duration_s=6), fps=25)
    with pytest.raises(InputError, match="at least one piece"):
        list(cut_audio(stream(ramp(10)), (), fps=25))


@given(st.lists(st.floats(0, 19.9), max_size=30), FPS)
def test_pieces_follow_each_other_in_whole_frames(starts_s, fps):
    cuts = cut_list([Row(t, t + 0.13, "filler") for t in starts_s], duration_s=20)
    pieces = pieces_of(cuts, fps=fps)
    edges = [edge for piece in pieces for edge in (piece.start, piece.stop)]
    assert edges == sorted(set(edges))
    rate = float(fps)
    assert abs(result_frames(pieces) / rate - cuts.times.duration_s) <= len(pieces) / rate + 1e-6


def test_kept_frames_come_with_their_places_and_no_more_are_read():
    read = []

    def source():
        for frame in frames:
            read.append(frame)
            yield frame

    frames = [object() for _ in range(20)]
    pieces = (Piece(2, 5, 3), Piece(9, 11))
    kept = list(frames_to_keep(source(), pieces))
    assert [(k.result_index, k.source_index) for k in kept] == [(0, 2), (1, 3), (2, 4), (6, 9), (7, 10)]
    assert all(k.frame is frames[k.source_index] for k in kept)
    assert len(read) == 11
    with pytest.raises(InputError, match="ends before frame 30"):
        list(frames_to_keep(iter(frames), (Piece(18, 30),)))


# --- sound ---------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(PIECES, FPS, st.integers(100, 5000))
def test_sound_is_as_long_as_the_frames_and_every_sample_in_its_place(pieces, fps, block):
    rate = Fraction(fps).limit_denominator(1001)
    samples = ramp(int(240 * RATE / rate))
    made = np.concatenate(list(cut_audio(stream(samples, block=block), pieces, fps=fps)), axis=1)
    total = result_frames(pieces)
    assert made.shape[1] == int(total * RATE / rate + Fraction(1, 2))
    near = 0.016 * RATE
    at, first = np.arange(made.shape[1]), 0
    for piece in pieces:
        n = piece.stop - piece.start
        begin, end = (int(k * RATE / rate) for k in (first, first + n))
        first += piece.n_frames
        inner = at[(at >= begin + near) & (at <= end - near)]
        shift = (
            made[0, inner] * 2**24
            - inner
            - float(piece.start * RATE / rate)
            + float((first - piece.n_frames) * RATE / rate)
        )
        assert not len(inner) or np.abs(shift).max() <= 1.01  # samples, after any number of cuts


def test_contiguous_pieces_are_untouched_bit_for_bit(rng):
    samples = rng.standard_normal((2, 3 * RATE)).astype(np.float32)
    whole = cut(samples, (Piece(0, 75),))
    np.testing.assert_array_equal(whole, samples)
    for fps in (25, Fraction(30000, 1001)):
        split = cut(samples, (Piece(0, 10), Piece(10, 31), Piece(31, 75)), fps=fps)
        np.testing.assert_array_equal(split, samples[:, : split.shape[1]])


def test_a_steady_tone_stays_smooth_and_level_across_a_join():
    hz, pieces = 225.0, (Piece(0, 25), Piece(37, 75))  # 12 frames are 108 whole periods: the sides are alike
    made = cut(tone(3.0, RATE, hz=hz), pieces)
    envelope = np.sqrt(np.convolve(made[0] ** 2, np.ones(142) / 142, "valid"))
    assert np.ptp(envelope[200:-200]) < 0.02 * envelope.mean()
    assert np.abs(np.diff(made[0])).max() < 1.2 * 0.5 * 2 * np.pi * hz / RATE


def test_noise_keeps_its_power_across_joins(rng):
    samples = 0.1 * rng.standard_normal((1, 60 * RATE)).astype(np.float32)
    pieces = tuple(Piece(5 * i, 5 * i + 3) for i in range(290))
    made = cut(samples, pieces)
    at = np.array(joins(pieces)) * RATE // 25
    power = np.mean([made[0, a - 100 : a + 100] ** 2 for a in at])
    assert 10 * np.log10(power / 0.01) == pytest.approx(0, abs=0.6)


def test_a_click_that_was_cut_out_is_not_heard_and_one_that_stays_is_on_time():
    samples = clicks([0.5, 1.5, 2.5], 3.0, RATE)
    made = cut(samples, (Piece(0, 25), Piece(50, 75)))
    loud = np.flatnonzero(np.abs(made[0]) > 0.1)
    starts = loud[np.diff(loud, prepend=-9999) > RATE // 10] / RATE
    assert starts == pytest.approx([0.5, 1.5], abs=0.002)
    assert np.abs(made[0, round(0.96 * RATE) : round(1.04 * RATE)]).max() == 0


def test_sound_that_ends_early_goes_on_as_silence_and_short_pieces_have_shorter_fades():
    made = cut(tone(1.0, RATE), (Piece(0, 10), Piece(20, 50)))
    assert made.shape[1] == 40 * RATE // 25
    assert np.abs(made[0, -10 * RATE // 25 :]).max() == 0
    flashes = tuple(Piece(3 * i, 3 * i + 1) for i in range(20))
    assert cut(tone(1.0, RATE), flashes, fps=60, crossfade_s=0.03).shape[1] == round(20 * RATE / 60)
    with pytest.raises(InputError, match="crossfade"):
        cut(tone(1.0, RATE), flashes, crossfade_s=0.2)


def test_new_frames_have_room_tone_beneath_and_sound_after_them_is_on_time(rng):
    hiss = 0.01 * rng.standard_normal((1, 3 * RATE)).astype(np.float32)
    samples = hiss + clicks([0.3, 2.3], 3.0, RATE)
    pieces = (Piece(0, 25, 20), Piece(50, 75))
    made = cut(samples, pieces, room_tone=RoomTone(hiss[:, : RATE // 2], RATE, seed=3))
    assert made.shape[1] == 70 * RATE // 25
    gap = made[0, round(1.05 * RATE) : round(1.75 * RATE)]
    assert 20 * np.log10(gap.std() / 0.01) == pytest.approx(0, abs=1.0)
    loud = np.flatnonzero(np.abs(made[0]) > 0.1) / RATE
    assert loud.min() == pytest.approx(0.3, abs=0.002)
    assert loud.max() == pytest.approx(1.0 + 0.8 + 0.31, abs=0.003)
    silent = cut(samples, pieces)
    assert np.abs(silent[0, round(1.05 * RATE) : round(1.75 * RATE)]).max() == 0


# --- room tone -----------------------------------------------------------------------------------------------------


def test_room_tone_has_the_colour_and_width_of_the_room_and_no_loop(rng):
    low = np.cumsum(rng.standard_normal((2, RATE // 2)), axis=1)
    quiet = 0.002 * (low - low.mean(axis=1, keepdims=True)) / low.std() + 0.001 * rng.standard_normal((2, RATE // 2))
    quiet[1] = 0.5 * quiet[0]  # a source on the left
    room = RoomTone(quiet.astype(np.float32), RATE, seed=1)
    made = room.read(0, 8 * RATE)
    assert made.shape == (2, 8 * RATE)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made[1], 0.5 * made[0], atol=1e-7)
    for band in ((20, 200), (200, 2000), (2000, 8000)):
        levels = []
        for x in (quiet[0], made[0]):
            power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2 / len(x) ** 2 * (len(x) / RATE)
            hz = np.fft.rfftfreq(len(x), 1 / RATE)
            levels.append(10 * np.log10(power[(hz >= band[0]) & (hz < band[1])].mean()))
        assert levels[1] == pytest.approx(levels[0], abs=3.0)
    white = np.diff(made[0], prepend=0)
    spectrum = np.abs(np.fft.rfft(white, 2 * len(white))) ** 2
    correlation = np.fft.irfft(spectrum)[: 4 * RATE]
    assert np.abs(correlation[RATE // 5 :]).max() < 0.1 * correlation[0]


def test_room_tone_is_the_same_however_it_is_read_and_can_be_turned_down(rng):
    quiet = 0.1 * rng.standard_normal((1, 3000)).astype(np.float32)
    room = RoomTone(quiet, RATE, seed=1)
    whole = room.read(-500, 9000)
    np.testing.assert_allclose(np.concatenate([room.read(-500, 4321), room.read(4321, 9000)], axis=1), whole, atol=1e-6)
    assert not np.array_equal(RoomTone(quiet, RATE, seed=2).read(0, 500), room.read(0, 500))
    assert RoomTone(quiet, RATE, seed=1, loudest_rms=0.01).read(0, RATE).std() == pytest.approx(0.01, rel=0.1)
    assert RoomTone(0 * quiet, RATE, seed=1).read(0, 50).any() == np.False_
    with pytest.raises(InputError, match="room tone"):
        RoomTone(quiet[:, :100], RATE, seed=1)


# --- whole files ---------------------------------------------------------------------------------------------------


def test_picture_and_sound_of_a_variable_rate_file_stay_together(tmp_path):
    """A click sounds where the picture's number changes by ten; both are cut, written, read back and compared."""
    step_s = np.tile([0.02, 0.06, 0.04], 17)[:50]
    times_s = np.concatenate([[0.0], np.cumsum(step_s)[:-1]])
    path = write_video(tmp_path / "v.mkv", [counted(i) for i in range(50)], times_s=times_s)
    wanted = [10, 20, 40]
    sound = write_sound(tmp_path / "s.wav", clicks(times_s[wanted], 2.0, 48000), 48000, codec="pcm_s16le")
    rows = [Row(0.1, 0.3, "range"), Row(0.5, 0.7, "range"), Row(0.9, 1.3, "range"), Row(1.8, 1.9, "range")]
    pieces = pieces_of(cut_list(rows, duration_s=2.0), fps=25)
    with open_sound(sound) as opened:
        samples = np.concatenate(list(cut_audio(opened, pieces, fps=25)), axis=1)
    with VideoWriter(tmp_path / "out.mp4", fps=25, size=(64, 48), audio=Audio(samples, 48000)) as writer:
        for kept in frames_to_keep(read_frames(path, fps=25), pieces):
            writer.write(kept.frame.image)
    info = probe(tmp_path / "out.mp4")
    assert info.n_frames == result_frames(pieces)
    assert abs(info.audio_duration_s - info.duration_s) < 0.5 / 25
    heard = read_audio(tmp_path / "out.mp4").samples[0]
    loud = np.flatnonzero(np.abs(heard) > 0.2)
    starts_s = loud[np.diff(loud, prepend=-9999) > 4800] / 48000
    numbers = [number_of(frame.image) for frame in read_frames(tmp_path / "out.mp4")]
    shown_s = [next(i for i, n in enumerate(numbers) if n >= k) / 25 for k in wanted]
    assert starts_s == pytest.approx(shown_s, abs=1.1 / 25)


def test_a_hundred_cuts_in_real_speech_neither_drift_nor_swell(real_media):
    """Drift: every piece's sound against the source's at its frames. Swell: 20 ms at a join against 20 ms around it."""
    audio = read_audio(real_media / "talk" / "kitchen_hands.mp4")
    rate, fps = audio.sample_rate, 25
    pieces = (*(Piece(5 * i, 5 * i + 3) for i in range(100)), Piece(500, 501))
    assert len(joins(pieces)) == 100
    with sound_of(audio, sample_rate=rate) as sound:
        made = np.concatenate(list(cut_audio(sound, pieces, fps=fps)), axis=1)
    assert abs(made.shape[1] / rate - result_frames(pieces) / fps) <= 1 / rate
    margin = round(0.016 * rate)
    for i, piece in enumerate(pieces[:-1]):
        inner = slice(3 * i * rate // fps + margin, (3 * i + 3) * rate // fps - margin)
        shift = piece.start * rate // fps - 3 * i * rate // fps
        there = slice(inner.start + shift, inner.stop + shift)
        np.testing.assert_array_equal(made[:, inner], audio.samples[:, there])  # not one sample off
    n = round(0.02 * rate)
    for frame in joins(pieces):
        at = frame * rate // fps

        def power(k, at=at):  # of the 20 ms that are centred k of 20 ms after the join
            return float(np.mean(made[:, at + k * n - n // 2 : at + k * n + n // 2] ** 2))

        around = max(power(k) for k in (-3, -2, -1, 1, 2, 3) if at + k * n + n // 2 <= made.shape[1])
        assert power(0) <= 2 * around + 1e-9  # 3 dB
