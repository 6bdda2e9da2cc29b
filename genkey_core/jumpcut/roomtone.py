"""Room tone: endless background, made of the quietest stretch of a recording, that never repeats.

Grains are taken at random places of the stretch, their spectrum is kept and their phases are drawn anew, alike for both
channels so that the room stays as wide as it was; neighbours overlap by half under windows whose squares sum to one. So
the tone has the stretch's level and colour, and no loop that could be heard. Grain i depends on the seed and on i
alone: any part can be read at any time.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..checks import InputError, integer

_GRAIN_S = 0.085
_SHORTEST_S = 0.02


class RoomTone:
    """`read(start, stop)` gives float32 [C stop - start] of background like `quiet`, float32 [C S] at `sample_rate` Hz.

    Where a recording has no quiet stretch, its quietest is still speech or music: give `loudest_rms` (for instance a
    tenth of the speech's), and the tone is turned down to it.
    """

    def __init__(self, quiet: np.ndarray, sample_rate: int, *, seed: int, loudest_rms: float | None = None):
        if quiet.ndim != 2 or quiet.shape[1] < _SHORTEST_S * sample_rate:
            raise InputError(f"room tone: at least {_SHORTEST_S:g} s of quiet sound are needed, got less.")
        self._seed = integer(seed, "seed", low=0)
        size = min(2 * round(_GRAIN_S * sample_rate / 2), quiet.shape[1] // 2 * 2)
        self._hop = size // 2
        rms = float(np.sqrt(np.mean(quiet.astype(np.float64) ** 2)))
        gain = 1.0 if loudest_rms is None or rms <= loudest_rms else loudest_rms / rms
        self._quiet = quiet.astype(np.float32) * np.float32(gain)
        self._hann = np.hanning(size + 1)[:size]
        self._window = np.sqrt(self._hann)
        self._grain = lru_cache(maxsize=16)(self._made)

    def read(self, start: int, stop: int) -> np.ndarray:
        tone = np.zeros((self._quiet.shape[0], stop - start))
        for i in range(start // self._hop - 1, (stop - 1) // self._hop + 1):
            begin = i * self._hop  # of grain i, which lasts two hops
            a, b = max(start, begin), min(stop, begin + 2 * self._hop)
            if b > a:
                tone[:, a - start : b - start] += self._grain(i)[:, a - begin : b - begin]
        return tone.astype(np.float32)

    def _made(self, i: int) -> np.ndarray:
        """Grain i, [C 2 hops]."""
        rng = np.random.default_rng([self._seed, i + 2**31])
        size = 2 * self._hop
        at = int(rng.integers(0, self._quiet.shape[1] - size + 1))
        spectrum = np.fft.rfft(self._quiet[:, at : at + size] * self._hann, axis=1)
        spectrum *= np.exp(2j * np.pi * rng.random(spectrum.shape[1])) * np.sqrt(size / (self._hann**2).sum())
        return np.fft.irfft(spectrum, size, axis=1) * self._window
