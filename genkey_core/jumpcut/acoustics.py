"""What a listener needs of a sound, ten milliseconds at a time: loudness per mel band, voicing and pitch.

Plain NumPy over blocks of a stream, so that an hour of sound costs its features (50 MB) and no more; librosa's versions
of the same need the whole signal at once and, for pitch, seconds of just-in-time compilation.

Mel bands after O'Shaughnessy (1987); pitch and voicing by the normalised autocorrelation of Boersma (1993): the
autocorrelation of a windowed frame over that of its window, whose peak is the share of periodic power.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RATE = 16_000  # Hz, mono: all that speech needs
HOP = 160  # samples from one frame to the next
HOP_S = HOP / RATE
N_BANDS = 26
FLOOR_DB = -100.0  # digital silence

_WINDOW = 512  # 32 ms, for the bands
_PITCH_WINDOW = 800  # 50 ms: more than three periods of the lowest pitch
_MARGIN = _PITCH_WINDOW // 2  # samples before the first frame's centre and after the last one's
_FFT = 2048
_PITCH_HZ = (65.0, 400.0)
_BLOCK = 1000  # frames worked on at once
_OCTAVE_COST = 0.02  # Boersma's preference for the shorter of two equally good periods, per octave


@dataclass(frozen=True)
class Frames:
    """Features of N frames; frame i is centred on sample i * HOP."""

    bands_db: np.ndarray  # float32 [N N_BANDS], power per mel band in dB of full scale
    voicing: np.ndarray  # float32 [N], share of periodic power, 0 to 1
    pitch_hz: np.ndarray  # float32 [N], of the best period, also where there is little voicing

    @property
    def level_db(self) -> np.ndarray:
        """float32 [N]: power of all bands together, in dB."""
        return 10 * np.log10(np.sum(10 ** (self.bands_db.astype(np.float64) / 10), axis=1) + 1e-10).astype(np.float32)

    def __len__(self) -> int:
        return len(self.voicing)


def frames_of(chunks: Iterable[np.ndarray]) -> Iterator[Frames]:
    """Features of a stream of float32 [C S] chunks at RATE, block by block and in order; frame 0 lies at sample 0.

    There are ceil(S / HOP) frames in all, none for an empty stream.
    """
    waiting = np.zeros(_MARGIN, np.float32)
    arrived = done = 0  # samples, frames
    for chunk in chunks:
        waiting = np.concatenate([waiting, chunk.mean(axis=0)])
        arrived += chunk.shape[1]
        while len(waiting) >= (_BLOCK - 1) * HOP + 2 * _MARGIN:
            yield _features(waiting[: (_BLOCK - 1) * HOP + 2 * _MARGIN])
            waiting = waiting[_BLOCK * HOP :]
            done += _BLOCK
    rest = -(-arrived // HOP) - done
    if rest:
        needed = (rest - 1) * HOP + 2 * _MARGIN
        yield _features(np.pad(waiting[:needed], (0, max(0, needed - len(waiting)))))


def joined(blocks: Iterable[Frames]) -> Frames:
    """Blocks of frames as one."""
    blocks = list(blocks) or [Frames(np.zeros((0, N_BANDS), np.float32), *np.zeros((2, 0), np.float32))]
    return Frames(*(np.concatenate([getattr(b, name) for b in blocks]) for name in Frames.__dataclass_fields__))


def runs(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    """(first, one past the last) index of every run of True in bool [N]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def moving_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over `width` (odd) rows around each row of float32 [N D], the first and last row repeated beyond the ends."""
    n = len(values)
    padded = np.pad(values, ((width // 2, width // 2), (0, 0)), mode="edge" if n else "constant")
    return sum(padded[i : i + n] for i in range(width)) / np.float32(width)


def _features(samples: np.ndarray) -> Frames:
    """Features of the frames whose centres lie _MARGIN after the first sample, every HOP."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, _PITCH_WINDOW)[::HOP]
    inset = (_PITCH_WINDOW - _WINDOW) // 2
    spectrum = np.abs(np.fft.rfft(windows[:, inset : inset + _WINDOW] * _hann(_WINDOW), axis=1)) ** 2
    power = spectrum @ _mel_filters() / (_hann(_WINDOW) ** 2).sum() / _WINDOW * 2
    bands_db = 10 * np.log10(power + 10 ** (FLOOR_DB / 10)).astype(np.float32)
    voicing, pitch_hz = _voicing(windows)
    return Frames(bands_db, voicing, pitch_hz)


def _voicing(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(share of periodic power, pitch in Hz) of frames [N _PITCH_WINDOW]."""
    window = _hann(_PITCH_WINDOW)
    centred = (windows - windows.mean(axis=1, keepdims=True)) * window
    own = np.fft.irfft(np.abs(np.fft.rfft(window, _FFT)) ** 2)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(centred, _FFT, axis=1)) ** 2, axis=1)
    low, high = int(RATE / _PITCH_HZ[1]), int(RATE / _PITCH_HZ[0]) + 1
    energy = correlation[:, :1]
    lags = np.arange(low, high)
    share = correlation[:, low:high] / (energy + 1e-9) * (own[0] / own[low:high])
    rated = share - _OCTAVE_COST * np.log2(lags * _PITCH_HZ[1] / RATE)
    best = rated.argmax(axis=1)
    inner = np.clip(best, 1, len(lags) - 2)
    rows = np.arange(len(share))
    before, at, after = (share[rows, inner + k] for k in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.where(bend < -1e-9, 0.5 * (before - after) / np.where(bend < -1e-9, bend, -1.0), 0.0)
    pitch_hz = RATE / (lags[inner] + np.clip(shift, -1, 1))
    return np.clip(share[rows, best], 0, 1).astype(np.float32), pitch_hz.astype(np.float32)


@lru_cache(maxsize=4)
def _hann(n: int) -> np.ndarray:
    return np.hanning(n + 1)[:n].astype(np.float32)


@lru_cache(maxsize=1)
def _mel_filters() -> np.ndarray:
    """Triangular filters [_WINDOW / 2 + 1, N_BANDS] between 80 and 7600 Hz, equally spaced in mel."""

    def mel(hz):
        return 2595 * np.log10(1 + np.asarray(hz) / 700)

    edges = np.linspace(mel(80.0), mel(7600.0), N_BANDS + 2)
    bins = mel(np.fft.rfftfreq(_WINDOW, 1 / RATE))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)
