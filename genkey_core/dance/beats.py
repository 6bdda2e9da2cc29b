"""The beats of a song, t_0 ... t_(N-1) of thesis section 7.2.1: heard, shown against the onsets, and corrected by hand.

    beats = hear_beats("song.mp3")
    beats = beats.halved().with_first_downbeat(2).clipped(10.0, 40.0)
    segments_s = segments_of(beats.beat_times_s, first=beats.first_downbeat, beats_per_bar=beats.beats_per_bar)

Times are seconds on the clock of the file, also after `clipped`. Every edit gives new beats and leaves the old as they are.
The first call in a process takes some seconds more, and the first on a machine half a minute: librosa compiles its tracker.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..checks import InputError, choice, integer, number, shown
from ..media.audio import Audio, open_sound, sound_of
from ..media.files import base_name
from .beats_grid import extended, matched, steadied
from .beats_onsets import ENVELOPE_RATE, RATE, Onsets, hear_onsets
from .beats_tempo import MAX_BPM, MIN_BPM, ratings, tempo_path, track_times, tracking_envelope

METERS = (4, 3)
MAX_HEARD_S = 1800.0  # more of a file is not listened to
TYPED_BPM = (20.0, 400.0)

_LEAST_S = 2.0
_LEAST_ONSETS = 4
_EDGE_S = 0.03  # a beat this little before the sound begins, or after it ends, still belongs to it
_TAPS = 4
_ANY_BASS = 0.1  # of all amplitude that begins on beats
_NEAR_EQUAL = 0.9
_BEFORE_S, _AFTER_S = (-0.06, -0.02), (0.0, 0.07)  # of a beat
_THREE = 0.3  # how much better accents must repeat in threes than in fours to be worth a word, in correlation

_MIGHT_BE_THREE = "This sounds like 3/4. Bars of 4/4 are assumed: choose the meter 3 if it is a waltz."


@dataclass(frozen=True)
class Beats:
    """Beats of `duration_s` seconds of sound. The onsets are kept for display and for what edits need."""

    beat_times_s: np.ndarray  # float64 [N], increasing
    first_downbeat: int  # number of the first beat 1 among them
    beats_per_bar: int
    onsets: Onsets
    notes: tuple[str, ...] = ()  # sentences for the user

    @property
    def duration_s(self) -> float:
        return self.onsets.duration_s

    @property
    def tempo_bpm(self) -> float:
        """Of the middle beat; 0 with fewer than two beats."""
        return 60 / float(np.median(np.diff(self.beat_times_s))) if len(self.beat_times_s) > 1 else 0.0

    @property
    def onset_envelope(self) -> np.ndarray:
        """float32 [N] at `envelope_rate`, how much begins at each moment."""
        return self.onsets.envelope

    @property
    def envelope_rate(self) -> float:
        return ENVELOPE_RATE

    @property
    def grid_error_ms(self) -> tuple[float, float] | None:
        """(median, largest) distance between beats and their onsets; None where no beat has one."""
        times_s, weights = matched(self.beat_times_s, self.onsets.times_s, self.onsets.strengths)
        if not weights.any():
            return None
        off_ms = 1e3 * np.abs(times_s - self.beat_times_s)[weights > 0]
        return float(np.median(off_ms)), float(off_ms.max())

    @property
    def bar_places(self) -> np.ndarray:
        """1 to `beats_per_bar` for every beat, int [N]."""
        return (np.arange(len(self.beat_times_s)) - self.first_downbeat) % self.beats_per_bar + 1

    def halved(self) -> Beats:
        """Every second beat, the downbeat among them."""
        kept = self.beat_times_s[self.first_downbeat % 2 :: 2]
        if len(kept) < 2:
            raise InputError(f"beats: {len(self.beat_times_s)} beats are too few to halve.")
        return replace(self, beat_times_s=kept, first_downbeat=self.first_downbeat // 2)

    def doubled(self) -> Beats:
        """A beat more in the middle of each, and after the last where the sound goes on."""
        times_s = self.beat_times_s
        if self.tempo_bpm * 2 > TYPED_BPM[1]:
            raise InputError(
                f"beats: {self.tempo_bpm * 2:.0f} bpm are too fast, at most {TYPED_BPM[1]:g} are possible."
            )
        halves_s = np.diff(times_s, append=2 * times_s[-1] - times_s[-2]) / 2
        all_s = np.stack([times_s, times_s + halves_s], axis=1).ravel()
        return replace(self, beat_times_s=all_s[all_s <= self.duration_s], first_downbeat=2 * self.first_downbeat)

    def shifted(self, offset_s: float) -> Beats:
        """All beats later by `offset_s` (earlier where negative); where that leaves room at an end, the grid goes on."""
        offset_s = number(offset_s, "offset", low=-self.duration_s, high=self.duration_s, unit="s")
        return self._placed(self.beat_times_s + offset_s, self.beat_times_s[self.first_downbeat] + offset_s)

    def with_first_downbeat(self, i: int) -> Beats:
        """Beat `i`, counted from 0, as the first beat 1: the dance begins there."""
        i = integer(i, "first downbeat", low=0, high=len(self.beat_times_s) - 1)
        return replace(self, first_downbeat=i)

    def with_meter(self, beats_per_bar: int) -> Beats:
        """Bars of 3 or 4 beats."""
        return replace(
            self, beats_per_bar=_meter(beats_per_bar), notes=tuple(n for n in self.notes if n != _MIGHT_BE_THREE)
        )

    def clipped(self, start_s: float = 0.0, end_s: float | None = None) -> Beats:
        """Only the beats from `start_s` to `end_s` of the song; their times stay as they are, and so do the bars."""
        start_s = number(start_s, "start", low=0, high=self.duration_s, unit="s")
        end_s = self.duration_s if end_s is None else number(end_s, "end", low=start_s, unit="s")
        kept = np.flatnonzero((self.beat_times_s >= start_s - 1e-6) & (self.beat_times_s <= end_s + 1e-6))
        if len(kept) < 2:
            raise InputError(
                f"beats: at least 2 beats are needed, between {start_s:g} and {end_s:g} s lie {len(kept)}."
            )
        first = self.first_downbeat - int(kept[0])
        return replace(
            self,
            beat_times_s=self.beat_times_s[kept],
            first_downbeat=first if first >= 0 else first % self.beats_per_bar,
        )

    def tapped(self, taps_s: Sequence[float]) -> Beats:
        """Beats in the tempo of at least four taps at seconds of the song, and on its onsets where those agree with the taps.

        Fingers err by tens of milliseconds and skip beats; the first tap is the first downbeat.
        """
        taps_s = np.sort(np.asarray(taps_s, np.float64).ravel())
        if len(taps_s) < _TAPS or not np.isfinite(taps_s).all():
            raise InputError(f"tap tempo: at least {_TAPS} taps are needed, got {len(taps_s)}.")
        start_s, period_s = _tap_grid(taps_s)
        bpm = number(60 / period_s, "tapped tempo", low=TYPED_BPM[0], high=TYPED_BPM[1], unit="bpm")
        tapped = self.at_tempo(bpm, start_s)
        if MIN_BPM <= bpm <= MAX_BPM and len(self.onsets.times_s) >= _LEAST_ONSETS:
            tracking = tracking_envelope(self.onsets.envelope)
            followed_s = _gridded(track_times(tracking, np.full(len(tracking), bpm)), self.onsets)[0]
            off = [np.abs(followed_s - tap).min() for tap in taps_s] if len(followed_s) else [np.inf]
            if np.median(off) < 0.2 * period_s:  # not the off-beats, and no other tempo
                return tapped._placed(followed_s, start_s)
        return tapped

    def at_tempo(self, bpm: float, offset_s: float = 0.0) -> Beats:
        """Beats of a constant tempo through the whole sound, a downbeat at `offset_s`."""
        bpm = number(bpm, "tempo", low=TYPED_BPM[0], high=TYPED_BPM[1], unit="bpm")
        offset_s = number(offset_s, "offset", low=-self.duration_s, high=self.duration_s, unit="s")
        times_s = offset_s + np.arange(2) * 60 / bpm
        if times_s[0] < 0:
            times_s += np.ceil(-times_s[0] * bpm / 60 / self.beats_per_bar) * self.beats_per_bar * 60 / bpm
        n_before = int(times_s[0] * bpm / 60)
        grid_s = times_s[0] + np.arange(-n_before, np.ceil((self.duration_s - times_s[0]) * bpm / 60)) * 60 / bpm
        if len(grid_s) < 2:
            raise InputError(f"tempo: {self.duration_s:.1f} s of sound hold no two beats at {bpm:g} bpm.")
        return replace(self, beat_times_s=grid_s, first_downbeat=n_before % self.beats_per_bar, notes=())

    def _placed(self, times_s: np.ndarray, downbeat_s: float) -> Beats:
        """Beats within the sound and up to its ends, with the downbeat nearest to `downbeat_s` and those a bar from it."""
        times_s = extended(times_s, -1e-6, self.duration_s)
        if len(times_s) < 2:
            raise InputError("beats: no two beats are left within the sound.")
        times_s = np.maximum(times_s, 0.0)
        place = round(float(np.interp(downbeat_s, times_s, np.arange(len(times_s)))))
        if downbeat_s < times_s[0] - 1e-6:
            place = -round((times_s[0] - downbeat_s) / (times_s[1] - times_s[0]))
        return replace(self, beat_times_s=times_s, first_downbeat=place % self.beats_per_bar)


def hear_beats(sound: Audio | str | os.PathLike, *, beats_per_bar: int = 4) -> Beats:
    """The beats of a song: `Audio`, or any audio or video file, of which the first half hour is listened to.

    Raises InputError where there is no sound, only silence, less than two seconds, or nothing that begins: `from_tempo`
    gives such sound beats all the same.
    """
    beats_per_bar = _meter(beats_per_bar)
    samples, whole = _mono(sound)
    name = "the sound" if isinstance(sound, Audio) else base_name(sound)
    if len(samples) < _LEAST_S * RATE:
        raise InputError(
            f"{name} is too short for beats: at least {_LEAST_S:g} s are needed, got {len(samples) / RATE:.1f} s."
        )
    onsets = hear_onsets(samples)
    if onsets.audible_s[1] <= onsets.audible_s[0]:
        raise InputError(f"{name} is silent: there are no beats in it; take another song.")
    if len(onsets.times_s) < _LEAST_ONSETS:
        raise InputError(f"{name} has no rhythm: {len(onsets.times_s)} onsets were heard; take another song.")
    tracking = tracking_envelope(onsets.envelope)
    rated = ratings(tracking)
    bpm = tempo_path(rated[beats_per_bar], len(tracking))
    times_s, steady = _gridded(track_times(tracking, bpm), onsets)
    if len(times_s) < 2:
        raise InputError(f"{name} has no rhythm: no beats were heard; take another song.")
    beats = Beats(times_s, 0, beats_per_bar, onsets)
    beats = replace(beats, first_downbeat=_first_downbeat(beats))
    notes = []
    if steady < 1:
        notes.append(f"The tempo drifts{' in places' if steady else ''}, and the beats with it.")
    if not whole:
        notes.append(f"Only the first {MAX_HEARD_S / 60:g} minutes were listened to.")
    if beats_per_bar == 4 and _three_over_four(_accents(beats)) > _THREE:
        notes.append(_MIGHT_BE_THREE)
    return replace(beats, notes=tuple(notes))


def from_tempo(bpm: float, offset_s: float = 0.0, *, duration_s: float, beats_per_bar: int = 4) -> Beats:
    """Beats without listening, for `duration_s` seconds: a downbeat at `offset_s`, and a constant tempo."""
    duration_s = number(duration_s, "duration", low=0.1, high=2 * 3600, unit="s")
    none = np.zeros(0)
    silent = np.zeros((3, int(duration_s * ENVELOPE_RATE) + 1), np.float32)
    onsets = Onsets(silent[0], silent[1:], none, none, (0.0, duration_s), duration_s)
    return Beats(none, 0, _meter(beats_per_bar), onsets).at_tempo(bpm, offset_s)


def _mono(sound: Audio | str | os.PathLike) -> tuple[np.ndarray, bool]:
    """(float32 [S] at RATE of the first half hour at most, whether that is all)."""
    if not isinstance(sound, Audio | str | os.PathLike):
        raise InputError(f"beats: sound or the path of a file is needed, got {shown(sound)}.")
    opened = sound_of(sound, sample_rate=RATE) if isinstance(sound, Audio) else open_sound(sound, sample_rate=RATE)
    parts, n = [], 0
    with opened as stream:
        for chunk in stream.chunks:
            parts.append(chunk.mean(axis=0))
            n += chunk.shape[1]
            if n > MAX_HEARD_S * RATE:
                break
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    limit = int(MAX_HEARD_S * RATE)
    return samples[:limit], len(samples) <= limit


def _gridded(tracked_s: np.ndarray, onsets: Onsets) -> tuple[np.ndarray, float]:
    """Tracked beats -> (beats from the first sound to the last, the share of them in a constant tempo)."""
    start_s, end_s = onsets.audible_s[0] - _EDGE_S, min(onsets.audible_s[1], onsets.duration_s - _EDGE_S)
    tracked_s = tracked_s[(tracked_s >= start_s) & (tracked_s <= end_s)]
    if len(tracked_s) < 2:
        return tracked_s, 0.0
    times_s, steady = steadied(tracked_s, onsets.times_s, onsets.strengths)
    return np.maximum(extended(times_s, start_s, end_s), 0.0), steady


def _accents(beats: Beats) -> np.ndarray:
    """How hard the bass is struck on every beat [N], or everything where there is no bass."""
    every, bass = (_struck(amplitude, beats.beat_times_s) for amplitude in beats.onsets.amplitudes)
    return bass if bass.sum() > _ANY_BASS * every.sum() else every


def _three_over_four(accents: np.ndarray) -> float:
    """How much better accents [N] repeat after 3 and 6 beats than after 4 and 8, in correlation; 0 where all are alike."""
    off = accents - accents.mean()
    if len(off) < 16 or off.std() < 0.1 * accents.mean():
        return 0.0
    after = {k: float(np.mean(off[k:] * off[:-k]) / off.var()) for k in (3, 4, 6, 8)}
    return (after[3] + after[6] - after[4] - after[8]) / 2


def _first_downbeat(beats: Beats) -> int:
    """The place in the bar with the strongest accents; of near equals the first."""
    accents = _accents(beats)
    places = np.arange(min(beats.beats_per_bar, len(accents)))
    means = np.array([accents[k :: beats.beats_per_bar].mean() for k in places])
    if beats.beats_per_bar == 4:  # beats 1 and 3 against 2 and 4 first: that is told by twice as many beats
        means = np.where(places % 2 == int(accents[1::2].mean() > accents[::2].mean()), means, 0.0)
    return int(np.flatnonzero(means >= _NEAR_EQUAL * means.max())[0])


def _struck(amplitude: np.ndarray, beats_s: np.ndarray) -> np.ndarray:
    """How much louder it is just after each beat than just before: [N] at ENVELOPE_RATE, [B] -> [B]."""
    so_far = np.concatenate([[0.0], np.cumsum(amplitude, dtype=np.float64)])

    def mean(from_s: float, to_s: float) -> np.ndarray:
        first, last = (
            np.clip(np.round((beats_s + s) * ENVELOPE_RATE).astype(int), 0, len(amplitude)) for s in (from_s, to_s)
        )
        return (so_far[last] - so_far[first]) / np.maximum(last - first, 1)

    return np.maximum(mean(*_AFTER_S) - mean(*_BEFORE_S), 0.0)


def _tap_grid(taps_s: np.ndarray) -> tuple[float, float]:
    """(first beat, seconds a beat) of taps [N], of which some may be missing."""
    gaps_s = np.diff(taps_s)
    about_s = float(np.median(gaps_s))
    if about_s <= 0.05:
        raise InputError("tap tempo: the taps come too fast to count.")
    numbers = np.concatenate([[0], np.cumsum(np.maximum(np.round(gaps_s / about_s), 0))])
    period_s, start_s = np.polyfit(numbers, taps_s, 1)
    return float(start_s), float(period_s)


def _meter(value: object) -> int:
    return int(choice(str(value), "meter", [str(m) for m in METERS]))
