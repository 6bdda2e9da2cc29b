"""Music with known beats: drum loops, plucked chords and clicks of any tempo, meter, swing, drift and human timing.

Used by `dance_beats` and by the tests. All draws come from the generator that is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RATE = 22_050  # Hz

# Sixteenths of a bar of 4/4 (3/4 has twelve), as people program drums.
# Each is (kick, snare, hat, beats per bar).
GROOVES = {
    "four on the floor": ((0, 4, 8, 12), (4, 12), (2, 6, 10, 14), 4),
    "rock": ((0, 8, 10), (4, 12), (0, 2, 4, 6, 8, 10, 12, 14), 4),
    "funk": ((0, 3, 6, 10), (4, 12), tuple(range(16)), 4),
    "tresillo": ((0, 3, 6, 8, 11, 14), (4, 12), (0, 4, 8, 12), 4),
    "half time": ((0, 6), (8,), (0, 4, 8, 12), 4),
    "waltz": ((0,), (4, 8), (0, 4, 8), 3),
    "waltz with hats": ((0, 10), (4, 8), (0, 2, 4, 6, 8, 10), 3),
}
CLICKS = ((), (), (0, 4, 8, 12), 4)  # nothing but the beats, all alike


@dataclass(frozen=True)
class PlantedMusic:
    """Sound and its truth."""

    samples: np.ndarray  # float32 [S] at RATE
    beat_times_s: np.ndarray  # float64 [N]
    beats_per_bar: int
    first_downbeat: int


def drum_loop(
    rng: np.random.Generator,
    groove: tuple = GROOVES["rock"],
    *,
    bpm: float,
    duration_s: float = 20.0,
    start_s: float = 0.0,
    swing: float = 0.0,
    jitter_s: float = 0.0,
    drift: float = 0.0,
    pickup: int = 0,
    chords: bool = False,
    noise_db: float | None = None,
) -> PlantedMusic:
    """A groove from `start_s` on, its first bar short of `pickup` beats.

    `swing` delays every second eighth by that share of an eighth (1/3 is a triplet feel); `jitter_s` moves every stroke, root
    mean square; `drift` is the relative change of tempo from beginning to end. `chords` adds plucked notes on beats and
    eighths; `noise_db` adds white noise so far below the music.
    """
    kick, snare, hat, per_bar = groove
    n = int((duration_s - start_s) * bpm / 60 * (1 + abs(drift))) + 2
    steps_s = 60 / bpm / (1 + drift * np.linspace(-0.5, 0.5, n))
    beats_s = start_s + np.concatenate([[0], np.cumsum(steps_s)])
    samples = np.zeros(round((duration_s + 1) * RATE), np.float32)
    sounds = {"kick": _kick(), "snare": _snare(rng), "hat": _hat(rng)}
    roots = 110 * 2 ** (rng.choice([0, 3, 5, 7, 8, 10], 4) / 12)
    for beat in range(n):
        if beats_s[beat] >= duration_s:
            break
        bar, place = divmod(beat + pickup, per_bar)
        for quarter in range(4):
            late = quarter / 4
            if quarter >= 2:  # the second eighth and what follows it
                late = 0.5 * (1 + swing) + (quarter - 2) / 4 * (1 - swing)
            time_s = beats_s[beat] + late * steps_s[beat]
            sixteenth = 4 * place + quarter
            for name, places, level in (("kick", kick, 0.9), ("snare", snare, 0.7), ("hat", hat, 0.25)):
                if sixteenth in places:
                    _add(samples, sounds[name], time_s + rng.normal(0, jitter_s), level * rng.uniform(0.85, 1.1))
            if chords and quarter in (0, 2) and (quarter == 0 or rng.random() < 0.4):
                note = roots[bar % 4] * 2 ** (rng.choice([0, 7, 12, 16]) / 12)
                _add(samples, _pluck(note), time_s + rng.normal(0, jitter_s), 0.3 if place or quarter else 0.5)
    samples = samples[: round(duration_s * RATE)]
    if noise_db is not None:
        level = np.sqrt(np.mean(samples**2)) * 10 ** (-noise_db / 20)
        samples = samples + level * rng.standard_normal(len(samples)).astype(np.float32)
    samples = (0.8 * samples / np.abs(samples).max()).astype(np.float32)
    return PlantedMusic(samples, beats_s[beats_s < duration_s - 0.02], per_bar, (-pickup) % per_bar)


def _add(samples: np.ndarray, sound: np.ndarray, time_s: float, level: float) -> None:
    start = max(round(time_s * RATE), 0)
    part = sound[: max(len(samples) - start, 0)]
    samples[start : start + len(part)] += level * part


def _decay(duration_s: float, fall_s: float) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(round(duration_s * RATE)) / RATE
    return t, np.exp(-t / fall_s) * np.minimum(t / 0.001, 1)


def _kick() -> np.ndarray:
    t, fall = _decay(0.25, 0.07)
    return (np.sin(2 * np.pi * (50 * t + 80 * 0.03 * (1 - np.exp(-t / 0.03)))) * fall).astype(np.float32)


def _snare(rng: np.random.Generator) -> np.ndarray:
    t, fall = _decay(0.2, 0.05)
    return ((0.6 * rng.standard_normal(len(t)) + 0.5 * np.sin(2 * np.pi * 190 * t)) * fall).astype(np.float32)


def _hat(rng: np.random.Generator) -> np.ndarray:
    t, fall = _decay(0.06, 0.015)
    return (np.diff(rng.standard_normal(len(t) + 1)) * fall).astype(np.float32)


def _pluck(hz: float) -> np.ndarray:
    t, fall = _decay(0.6, 0.2)
    return (sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 6)) * fall * 0.5).astype(np.float32)
