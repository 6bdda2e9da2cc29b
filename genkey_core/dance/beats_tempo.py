"""How fast music is, also where the tempo drifts, and beats that follow it (for thesis section 7.2.1, the beat times).

A tempo is rated by how well the onset envelope repeats after one, two and four beats (autocorrelation; one, three and six in
3/4), times how strongly it swings at the beat and its half (Fourier): the one errs towards slow tempi and the other towards fast
ones (Peeters 2006). Listeners prefer beats of about 0.55 s. The path of tempo over the song is the best one that hardly bends;
librosa's tracker (Ellis 2007) places beats along it.
"""

from __future__ import annotations

import numpy as np

from .beats_onsets import ENVELOPE_RATE, RATE, even_envelope

MIN_BPM, MAX_BPM = 40.0, 215.0
TRACK_RATE = ENVELOPE_RATE / 4  # Hz

_STEP = 0.01  # between neighbouring tempi, relative
TEMPI_BPM = MIN_BPM * np.exp(np.arange(0, np.log(MAX_BPM / MIN_BPM), _STEP))
_PREFERRED_BPM, _OCTAVES = 109.0, 1.0  # 0.55 s, Klapuri, Eronen and Astola 2006
_WINDOW_S, _HOP_S = 16.0, 4.0
_TOLERANCE = 0.012  # how far a repetition may be from its time, relative
_MULTIPLES = {4: {1: 2.0, 2: 1.0, 4: 1.0}, 3: {1: 2.0, 3: 1.0, 6: 1.0}}  # beats -> weight
_BEND = 0.03  # what one step of tempo between windows costs, where the best rating is 1
_MAX_STEPS = 4
_BLUR_S = 0.015
_TIGHTNESS = 100.0  # librosa's own


def tracking_envelope(envelope: np.ndarray) -> np.ndarray:
    """The envelope [N] at ENVELOPE_RATE -> evened and blurred, float64 [N'] at TRACK_RATE; see `track_times`."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(even_envelope(envelope), _BLUR_S * ENVELOPE_RATE)
    return np.pad(smooth, (0, -len(smooth) % 4)).reshape(-1, 4).mean(axis=1)


def ratings(tracking: np.ndarray) -> dict[int, np.ndarray]:
    """Ratings of TEMPI_BPM in every window, for meters of 4 and 3: float64 [W P] each."""
    size = min(len(tracking), round(_WINDOW_S * TRACK_RATE))
    starts = range(0, max(len(tracking) - size, 0) + 1, max(round(_HOP_S * TRACK_RATE), 1))
    rated = {4: [], 3: []}
    for start in starts:
        part = tracking[start : start + size] - tracking[start : start + size].mean()
        repeats, swings = _repeats(part), _swings(part)
        for meter, multiples in _MULTIPLES.items():
            total = sum(w * repeats[k][1] for k, w in multiples.items())
            mean = sum(w * repeats[k][1] * repeats[k][0] for k, w in multiples.items()) / np.maximum(total, 1e-9)
            rating = np.maximum(mean, 0) * swings
            rated[meter].append(rating / max(rating.max(), 1e-9))  # passages with much rhythm count as others do
    return {meter: np.array(rows) for meter, rows in rated.items()}


def _repeats(part: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """For 1, 2, 3, 4 and 6 beats of every tempo: (correlation after them, share of the window that it rests on)."""
    n = len(part)
    power = np.abs(np.fft.rfft(part, 2 * n)) ** 2
    correlation = np.fft.irfft(power)[:n] / np.maximum(n - np.arange(n), n / 4)
    correlation = correlation / max(correlation[0], 1e-12)
    found = {}
    for k in (1, 2, 3, 4, 6):
        lags = k * 60 / TEMPI_BPM * TRACK_RATE
        first = np.floor(lags * (1 - _TOLERANCE)).astype(int)
        last = np.ceil(lags * (1 + _TOLERANCE)).astype(int)
        best = [correlation[a : b + 1].max() if b < n else 0.0 for a, b in zip(first, last, strict=True)]
        found[k] = (np.array(best), np.maximum(1 - lags / n, 0))
    return found


def _swings(part: np.ndarray) -> np.ndarray:
    """Share of the envelope that swings with every tempo and twice as fast, [P]."""
    window = np.hanning(len(part) + 2)[1:-1]
    turns = np.arange(len(part))[:, None] / TRACK_RATE * TEMPI_BPM / 60
    weighted = part * window
    total = np.sqrt((weighted**2).sum() * len(part)) + 1e-12
    return sum(np.abs(weighted @ np.exp(-2j * np.pi * k * turns)) for k in (1, 2)) / total


def tempo_path(rated: np.ndarray, n: int) -> np.ndarray:
    """Ratings [W P] of windows -> tempo at each of `n` frames at TRACK_RATE, bpm: the best path that bends little."""
    preference = np.exp(-0.5 * (np.log2(TEMPI_BPM / _PREFERRED_BPM) / _OCTAVES) ** 2)
    scores = rated * preference
    scores = scores / max(scores.max(), 1e-12)
    total, back = scores[0], []
    for row in scores[1:]:
        shifts = np.arange(-_MAX_STEPS, _MAX_STEPS + 1)
        padded = np.pad(total, _MAX_STEPS, constant_values=-np.inf)
        options = np.stack([padded[_MAX_STEPS + s : _MAX_STEPS + s + len(total)] - _BEND * abs(s) for s in shifts])
        back.append(np.arange(len(total)) + shifts[options.argmax(axis=0)])
        total = options.max(axis=0) + row
    path = [int(total.argmax())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    centres = (np.arange(len(path)) * round(_HOP_S * TRACK_RATE)) + min(n, _WINDOW_S * TRACK_RATE) / 2
    return np.exp(np.interp(np.arange(n), centres, np.log(TEMPI_BPM[path[::-1]])))


def track_times(tracking: np.ndarray, bpm: np.ndarray) -> np.ndarray:
    """Beats along a path of tempo: envelope [N] and bpm [N] at TRACK_RATE -> seconds, float64 [B]."""
    import librosa

    _, frames = librosa.beat.beat_track(
        onset_envelope=tracking, sr=RATE, hop_length=round(RATE / TRACK_RATE), bpm=bpm, tightness=_TIGHTNESS, trim=False
    )
    return (np.asarray(frames, np.float64) * 4 + 1.5) / ENVELOPE_RATE  # a frame is the mean of four
