"""Filled pauses ("uh", "um", "er") by ear, after Goto, Itou and Hayamizu, A Real-time Filled Pause Detection System (1999).

While a speaker holds an "uh" or the nasal of an "um", nothing moves: the voice sounds, its pitch drifts slowly and evenly, and
its spectral envelope stands still. Vowels inside words hold still for a tenth of a second; a filled pause for two to five.
The last vowel of a phrase is drawn out too, but it grows out of a word, so a filler that begins after silence is believed
sooner than one that does not. The constants were set on four espeak-ng voices and on real read speech without fillers;
benchmarks/jumpcut_speech.py measures them on other voices.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .acoustics import HOP_S, Frames, moving_mean, runs

_VOICED = 0.5  # share of periodic power
_STILL_DB, _CALM_DB = 4.0, 7.0  # envelope change over 60 ms: of a held sound, and of the slopes on either side of it
_GLIDE = 1.2  # semitones per 40 ms: pitch that moves more is intonation (or an error of the tracker)
_ENVELOPE_DB = 30.0  # depth of the envelope that is compared; what lies lower may be noise
_SHORTEST_S = 0.18  # of what is held
_BRIDGE_S, _JOIN_S = 0.03, 0.12  # a flutter inside a held sound; from the vowel of "um" to its nasal
_SLOPE_S = 0.15  # most that the slopes on either side add
_NEAR_S = 0.12  # silence that begins or ends within this is beside the filler
_LISTED = 0.25  # what is less sure than this is a vowel, and would only crowd the list
_TELLING_S = 2.0  # of sound, before it can be called music
_LIVELY_DB, _SONG_DB = (
    3.5,
    4.9,
)  # median envelope change: below the first all is music, below the second what holds notes
_NOTE_STEP, _LEVEL_SHARE = (
    0.03,
    0.23,
)  # semitones per frame of a held note, and the share of voiced frames that hold one


def filled_pauses(frames: Frames, sounds: np.ndarray) -> list[tuple[float, float, float]]:
    """(start_s, end_s, confidence 0 to 1) of every long held voice, in order; `sounds` bool [N] as `speech.sounding` gives.

    Confidence is a logistic function of how long it is held, whether silence comes before and after it, and how evenly
    the pitch runs.
    """
    change_db = envelope_change(frames)
    semitones = 12 * np.log2(np.maximum(frames.pitch_hz, 1.0))
    glide = np.abs(np.pad(semitones[4:] - semitones[:-4], 2, mode="edge")) if len(frames) > 8 else np.zeros(len(frames))
    voiced = (frames.voicing > _VOICED) & sounds
    held = voiced & (change_db < _STILL_DB) & (glide < _GLIDE)
    found = []
    for spans in _groups(held, voiced):
        held_s = sum(b - a for a, b in spans) * HOP_S
        if held_s < _SHORTEST_S:
            continue
        start, end = _widened(spans[0][0], spans[-1][1], voiced & (change_db < _CALM_DB), sounds)
        after = not sounds[max(0, spans[0][0] - round(_NEAR_S / HOP_S)) : spans[0][0]].all()
        before = not sounds[spans[-1][1] : spans[-1][1] + round(_NEAR_S / HOP_S)].all()
        roughness = np.mean([_roughness(semitones[a:b]) for a, b in spans])
        evidence = 12 * (held_s - 0.2) + (1.0 if after else -3.0) + (0.5 if before else 0.0) - 1.5 * (roughness > 1.0)
        confidence = float(1 / (1 + np.exp(-evidence)))
        if confidence >= _LISTED:
            found.append((start * HOP_S, end * HOP_S, confidence))
    return found


def envelope_change(frames: Frames) -> np.ndarray:
    """[N]: how much the spectral envelope changes around each frame, root mean square over bands in dB across 60 ms."""
    bands_db = moving_mean(frames.bands_db, 5)
    bands_db = np.maximum(bands_db, bands_db.max(axis=1, keepdims=True) - _ENVELOPE_DB)
    shape = bands_db - bands_db.mean(axis=1, keepdims=True)
    padded = np.pad(shape, ((3, 3), (0, 0)), mode="edge")
    return np.sqrt(np.mean((padded[6:] - padded[:-6]) ** 2, axis=1))


def is_speech(frames: Frames, sounds: np.ndarray) -> bool:
    """Whether what sounds is speech rather than music or machinery; True where too little sounds to tell.

    Notes stand still in pitch and in colour, speech in neither. The limits lie between eight talks and seven pieces of music
    that were looked at; a song with little accompaniment passes for speech.
    """
    voiced = (frames.voicing > 0.6) & sounds
    if sounds.sum() * HOP_S < _TELLING_S:
        return True
    change_db = float(np.median(envelope_change(frames)[sounds]))
    steps = np.abs(np.diff(12 * np.log2(np.maximum(frames.pitch_hz, 1.0))))[voiced[1:] & voiced[:-1]]
    level_pitch = float(np.mean(steps < _NOTE_STEP)) if len(steps) else 0.0
    return change_db > _LIVELY_DB and not (level_pitch > _LEVEL_SHARE and change_db < _SONG_DB)


def _groups(held: np.ndarray, voiced: np.ndarray) -> Iterator[list[tuple[int, int]]]:
    """Held runs, joined where voice without a break leads from one to the next within _JOIN_S."""
    spans: list[tuple[int, int]] = []
    for start, end in runs(held):
        gap = start - spans[-1][1] if spans else 0
        if spans and gap <= _BRIDGE_S / HOP_S:
            spans[-1] = (spans[-1][0], end)
        elif end - start < 0.05 / HOP_S:
            continue
        elif spans and gap <= _JOIN_S / HOP_S and voiced[spans[-1][1] : start].mean() > 0.8:
            spans.append((start, end))
        else:
            if spans:
                yield spans
            spans = [(start, end)]
    if spans:
        yield spans


def _widened(start: int, end: int, calm: np.ndarray, sounds: np.ndarray) -> tuple[int, int]:
    """The held frames with the slopes that lead into and out of them, up to silence where that is near."""
    most, near = round(_SLOPE_S / HOP_S), round(_NEAR_S / HOP_S)
    first, last = start, end
    while first > max(0, start - most) and calm[first - 1]:
        first -= 1
    while last < min(len(calm), end + most) and calm[last]:
        last += 1
    quiet_before = np.flatnonzero(~sounds[max(0, first - near) : first])
    quiet_after = np.flatnonzero(~sounds[last : last + near])
    if len(quiet_before):
        first = max(0, first - near) + int(quiet_before[-1]) + 1
    if len(quiet_after):
        last += int(quiet_after[0])
    return first, last


def _roughness(semitones: np.ndarray) -> float:
    """Standard deviation of the pitch about its own straight line."""
    at = np.arange(len(semitones))
    return float(np.std(semitones - np.polyval(np.polyfit(at, semitones, 1), at)))
