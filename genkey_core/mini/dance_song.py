"""The song of the dance example: drums, bass, chords and a bell melody, synthesised here, on a beat grid that is known exactly.

Ten bars of 4/4 at 116 beats a minute. Drums are swept sines and filtered noise, the other voices sums of partials.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

RATE = 44100  # Hz
BPM, BARS, BEATS_PER_BAR = 116.0, 10, 4
BEAT_S = 60 / BPM
FIRST_BEAT_S, TAIL_S = 0.25, 0.9

# A minor and its neighbours, a chord for every bar: root of the bass and the chord above it, as MIDI notes.
_CHORDS = {
    "Am": (33, (57, 60, 64, 67)),
    "F": (29, (57, 60, 65, 69)),
    "C": (36, (55, 60, 64, 67)),
    "G": (31, (55, 59, 62, 67)),
    "Dm": (38, (57, 62, 65, 69)),
}
_BARS = ("Am", "F", "C", "G", "Am", "F", "Dm", "G", "Am", "Am")
_BASS = ((0, 0), (0.75, 0), (1.5, 12), (2, 0), (2.75, 7), (3.25, 10), (3.5, 12))  # (beat, semitones above the root)
_MELODY = (  # (bar, beat, MIDI note, beats)
    (2, 0, 76, 0.5), (2, 0.75, 79, 0.5), (2, 1.5, 76, 0.5), (2, 2.5, 74, 0.5), (2, 3, 72, 1),
    (3, 0, 74, 0.5), (3, 0.75, 71, 0.5), (3, 1.5, 74, 0.5), (3, 2.5, 79, 1),
    (4, 0, 81, 0.5), (4, 0.75, 79, 0.5), (4, 1.5, 76, 0.5), (4, 2.5, 72, 0.5), (4, 3, 76, 1),
    (5, 0, 77, 0.5), (5, 0.75, 76, 0.5), (5, 1.5, 72, 0.5), (5, 2.5, 69, 1),
    (6, 0, 74, 0.5), (6, 0.75, 77, 0.5), (6, 1.5, 81, 0.5), (6, 2.5, 77, 0.5), (6, 3, 74, 1),
    (7, 0, 79, 0.5), (7, 0.75, 74, 0.5), (7, 1.5, 71, 0.5), (7, 2.5, 74, 1),
    (8, 0, 76, 0.5), (8, 1, 76, 0.5), (8, 2, 79, 0.5), (8, 3, 81, 0.5),
    (9, 0, 84, 0.5), (9, 1, 81, 0.5), (9, 2, 79, 0.5), (9, 3, 81, 1),
)  # fmt: skip


def beat_times_s() -> np.ndarray:
    """When the beats are, float64 [BARS * BEATS_PER_BAR]; every fourth from the first is a downbeat."""
    return FIRST_BEAT_S + BEAT_S * np.arange(BARS * BEATS_PER_BAR)


def song(seed: int = 5) -> np.ndarray:
    """The whole song, float32 [2 S] at RATE, peak 0.9."""
    rng = np.random.default_rng(seed)
    mix = np.zeros((2, round((FIRST_BEAT_S + BARS * BEATS_PER_BAR * BEAT_S + TAIL_S) * RATE)))
    for bar, chord in enumerate(_BARS):
        _drum_bar(mix, bar, rng)
        root, notes = _CHORDS[chord]
        for beat, above in _BASS:
            _add(mix, bar, beat, _bass(root + above, 0.42 if beat else 0.62), 0.50)
        for beat in (0.5, 1.5, 2.5, 3.5):
            for k, note in enumerate(notes):
                _add(mix, bar, beat, _stab(note), 0.12, pan=-0.5 + k / 3)
    for bar, beat, note, beats in _MELODY:
        bell = _bell(note, beats * BEAT_S)
        for echo, level, pan in ((0, 0.30, 0.25), (0.75, 0.10, -0.5), (1.5, 0.05, 0.6)):
            _add(mix, bar, beat + echo, bell, level, pan=pan)
    mix = np.tanh(1.1 * mix)
    fade = round(0.4 * RATE)
    mix[:, -fade:] *= np.linspace(1, 0, fade) ** 2
    return (0.9 * mix / np.abs(mix).max()).astype(np.float32)


def _drum_bar(mix: np.ndarray, bar: int, rng: np.random.Generator) -> None:
    last = bar == BARS - 1
    for beat in (0, 1.75, 2, 2.5) if bar % 2 else (0, 2, 2.75):
        _add(mix, bar, beat, _kick(), 0.95)
    for beat in (1, 3):
        _add(mix, bar, beat, _snare(), 0.62)
    for beat in (2.75, 3.25, 3.5, 3.75) if last else (3.75,) if bar % 4 == 3 else ():
        _add(mix, bar, beat, _snare(), 0.26)
    for eighth in range(8):
        opened = eighth == 7 and not last
        _add(mix, bar, eighth / 2, _hat(opened), 0.30 if eighth % 2 else 0.20, pan=0.3)
        if rng.random() < 0.55:
            _add(mix, bar, eighth / 2 + 0.25, _hat(False), 0.06, pan=0.3)
    if bar % 4 == 0:
        _add(mix, bar, 0, _crash(), 0.22, pan=-0.3)


def _add(mix: np.ndarray, bar: int, beat: float, voice: np.ndarray, level: float, *, pan: float = 0.0) -> None:
    """Lay a voice on the mix, its first sample on the beat; `pan` -1 is left, 1 right, of equal power."""
    start = round((FIRST_BEAT_S + (bar * BEATS_PER_BAR + beat) * BEAT_S) * RATE)
    voice = voice[: max(mix.shape[1] - start, 0)]
    angle = (pan + 1) * np.pi / 4
    gains = np.sqrt(2) * level * np.array([np.cos(angle), np.sin(angle)])
    mix[:, start : start + len(voice)] += gains[:, None] * voice


def _time(duration_s: float) -> np.ndarray:
    return np.arange(round(duration_s * RATE)) / RATE


def _hertz(note: float) -> float:
    return 440.0 * 2 ** ((note - 69) / 12)


def _noise(duration_s: float, low_hz: float, high_hz: float, seed: int) -> np.ndarray:
    """White noise between two frequencies, its deviation one."""
    white = np.random.default_rng(seed).standard_normal(round(duration_s * RATE))
    spectrum = np.fft.rfft(white)
    hertz = np.fft.rfftfreq(len(white), 1 / RATE)
    keep = 1 / (1 + (low_hz / np.maximum(hertz, 1)) ** 6) / (1 + (hertz / high_hz) ** 6)
    found = np.fft.irfft(spectrum * keep, len(white))
    return found / found.std()


@lru_cache
def _kick() -> np.ndarray:
    t = _time(0.32)
    phase = 2 * np.pi * (46 * t + (165 - 46) * 0.028 * (1 - np.exp(-t / 0.028)))
    return np.sin(phase) * np.exp(-t / 0.11) + 0.25 * _noise(0.32, 1500, 6000, 1) * np.exp(-t / 0.004) * 0.5


@lru_cache
def _snare() -> np.ndarray:
    t = _time(0.26)
    tone = np.sin(2 * np.pi * 188 * t) * np.exp(-t / 0.05) + 0.5 * np.sin(2 * np.pi * 331 * t) * np.exp(-t / 0.03)
    return 0.7 * tone + 0.45 * _noise(0.26, 900, 9000, 2) * np.exp(-t / 0.075)


@lru_cache
def _hat(opened: bool) -> np.ndarray:
    t = _time(0.22 if opened else 0.07)
    return 0.5 * _noise(t[-1] + 1 / RATE, 7500, 15000, 3) * np.exp(-t / (0.085 if opened else 0.018))


@lru_cache
def _crash() -> np.ndarray:
    t = _time(1.6)
    return 0.6 * _noise(1.6, 3800, 13000, 4) * np.exp(-t / 0.45)


@lru_cache
def _bass(note: int, beats: float) -> np.ndarray:
    """A saw whose partials fade one after the other, as under a closing filter."""
    t = _time(beats * BEAT_S)
    hertz = _hertz(note)
    tone = sum(np.sin(2 * np.pi * hertz * k * t) / k * np.exp(-t * k / 0.35) for k in range(1, 14))
    return tone * np.minimum(t / 0.004, 1) * np.clip((t[-1] - t) / 0.02, 0, 1)


@lru_cache
def _stab(note: int) -> np.ndarray:
    t = _time(0.30)
    hertz = _hertz(note)
    tone = sum(np.sin(2 * np.pi * hertz * k * (1 + 0.0007 * k) * t + k) / k**1.3 for k in range(1, 8))
    return tone * np.minimum(t / 0.006, 1) * np.exp(-t / 0.09)


@lru_cache
def _bell(note: int, duration_s: float) -> np.ndarray:
    t = _time(duration_s + 0.35)
    hertz = _hertz(note)
    parts = ((1, 1.0, 0.35), (2.0, 0.35, 0.22), (3.93, 0.30, 0.09), (9.2, 0.10, 0.03))
    return sum(a * np.sin(2 * np.pi * hertz * k * t) * np.exp(-t / d) for k, a, d in parts) * np.minimum(t / 0.003, 1)
