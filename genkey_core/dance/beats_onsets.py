"""Onsets: where in the music something begins, to a few milliseconds (for thesis section 7.2.1, the beat times).

librosa's onset strength (Böck and Widmer 2013: the rise of a log mel spectrum) with windows of 23 ms every 3 ms, computed in
blocks, so that twenty minutes of music take their samples and a few megabytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RATE = 22_050  # Hz, what music is listened to at
ENVELOPE_RATE = RATE / 64  # Hz

_FFT, _HOP, _N_MELS = 512, 64, 40
_N_BASS = 1  # mel bands of the bass, up to about 110 Hz
_LAG = 4  # the spectrum is compared with that of 12 ms before
_BLOCK = 10_000  # frames
_FLOOR_DB = 60.0  # below the loudest: what lies under it is not heard
_SILENT_DB = 50.0  # the same, for where music begins and ends
_SILENCE = 1e-8  # mean square of digital silence with its dither, -80 dB
_SMOOTHED_S = 0.006
_NEAREST_S = 0.05  # two onsets closer than this are one
_LOCAL_S = 4.0  # over which loud and quiet passages are made equal
_PEAK = 0.5  # an onset's least strength, in local root mean squares of the envelope


@dataclass(frozen=True)
class Onsets:
    """What was heard, frame by frame at ENVELOPE_RATE and as single onsets."""

    envelope: np.ndarray  # float32 [N], dB of rise
    amplitudes: np.ndarray  # float32 [2 N], of all bands and of the bass
    times_s: np.ndarray  # float64 [M]
    strengths: np.ndarray  # float64 [M], in local root mean squares of the envelope
    audible_s: tuple[float, float]  # first and last moment that is not silent
    duration_s: float


def hear_onsets(samples: np.ndarray) -> Onsets:
    """The onsets of mono float32 [S] at RATE. Silence has none."""
    envelope, *amplitudes = onset_envelopes(samples)
    times_s, strengths = onsets_of(even_envelope(envelope))
    size = RATE // 20
    blocks = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size)
    power = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64)
    loud = np.flatnonzero(power > 10 ** (-_SILENT_DB / 10) * max(power.max(), _SILENCE * size))
    duration_s = len(samples) / RATE
    audible_s = (loud[0] * size / RATE, min((loud[-1] + 1) * size / RATE, duration_s)) if len(loud) else (0.0, 0.0)
    return Onsets(envelope, np.stack(amplitudes), times_s, strengths, audible_s, duration_s)


def onset_envelopes(samples: np.ndarray) -> np.ndarray:
    """Mono float32 [S] at RATE -> float32 [3 N] at ENVELOPE_RATE: dB of rise, amplitude of all bands and of the bass.

    Frame i lies at i / ENVELOPE_RATE. Sound that begins with the first sample begins with an onset. Zeros for silence.
    """
    import librosa

    n_frames = len(samples) // _HOP + 1
    loudest = _loudest(samples)
    if loudest <= _SILENCE:
        return np.zeros((3, n_frames), np.float32)
    floor = 10 ** (-_FLOOR_DB / 10) * loudest * _FFT * float(np.mean(np.hanning(_FFT) ** 2))  # in a mel band
    # Windows are centred and a rise belongs to the middle of its lag. A sharp sound enters the window before it is at the
    # centre: a click out of silence would show up 7 ms early, one in dense music 2 to 4 ms. One frame more is the middle.
    before, after = _FFT // 2 + (_LAG // 2 + 1) * _HOP, _FFT // 2 + _LAG * _HOP
    padded = np.pad(samples, (before, after))
    parts = []
    for start in range(0, n_frames, _BLOCK):
        n = min(_BLOCK, n_frames - start)
        part = padded[start * _HOP : (start + n + _LAG - 1) * _HOP + _FFT]
        power = librosa.feature.melspectrogram(
            y=part, sr=RATE, n_fft=_FFT, hop_length=_HOP, n_mels=_N_MELS, center=False
        )
        level_db = librosa.power_to_db(power, amin=floor, top_db=None)
        rise = librosa.onset.onset_strength(S=level_db, sr=RATE, lag=_LAG, center=False)
        loudness = np.sqrt(np.stack([power.sum(axis=0), power[:_N_BASS].sum(axis=0)]))
        parts.append(np.stack([rise, *loudness])[:, _LAG : _LAG + n])
    return np.concatenate(parts, axis=1).astype(np.float32)


def _loudest(samples: np.ndarray) -> float:
    """Mean square of the loudest tenth of a second."""
    size = min(RATE // 10, max(len(samples), 1))
    blocks = samples[: len(samples) // size * size].reshape(-1, size)
    return float(np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64).max() / size) if len(blocks) else 0.0


def even_envelope(envelope: np.ndarray) -> np.ndarray:
    """The envelope smoothed a little and over its local root mean square: quiet passages count as loud ones do."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(envelope.astype(np.float64), _SMOOTHED_S * ENVELOPE_RATE)
    power = gaussian_filter1d(smooth**2, _LOCAL_S * ENVELOPE_RATE / 2, mode="nearest")
    level = np.sqrt(np.maximum(power, 1e-12))
    floor = 0.05 * np.sqrt(np.mean(smooth**2)) + 1e-9  # silence is not made loud
    return smooth / np.maximum(level, floor)


def onsets_of(even: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Peaks of an `even_envelope` [N] -> (times in seconds, strengths), float64 [M] each; times between frames by a parabola."""
    from scipy.signal import find_peaks

    framed = np.pad(even, 1)
    peaks, _ = find_peaks(framed, height=_PEAK, distance=max(round(_NEAREST_S * ENVELOPE_RATE), 1))
    before, at, after = framed[peaks - 1], framed[peaks], framed[peaks + 1]
    bend = before - 2 * at + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return np.maximum((peaks - 1 + shift) / ENVELOPE_RATE, 0.0), at
