"""The sound of a video that is being written: AAC, cut or continued with silence to the picture's length."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from genkey_core.media.audio import SoundStream

AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)  # Hz
BIT_RATE = 192_000

_BLOCK = 1024  # samples of one AAC frame


def aac_rate(sample_rate: int) -> int:
    """The rate to encode sound of `sample_rate` at, Hz: itself where AAC knows it, else 48000."""
    return sample_rate if sample_rate in AAC_RATES else 48000


class Soundtrack:
    """Pulls samples from `sound` as the pictures advance, so that neither runs ahead, and never holds more than a bit."""

    def __init__(self, container: av.container.OutputContainer, sound: SoundStream):
        self._container = container
        self._chunks = sound.chunks
        self._rate = sound.sample_rate
        self._waiting = next(self._chunks, np.zeros((1, 0), np.float32))
        self._layout = "mono" if self._waiting.shape[0] == 1 else "stereo"
        self._stream = container.add_stream("aac", rate=self._rate, layout=self._layout, bit_rate=BIT_RATE)
        self._position = 0  # samples encoded so far

    def advance(self, end_s: Fraction) -> None:
        """Encode the whole blocks that lie before `end_s`."""
        while (self._position + _BLOCK) <= end_s * self._rate:
            self._encode(_BLOCK)

    def finish(self, end_s: Fraction) -> None:
        """Encode the rest up to `end_s`, to the nearest sample, and close the stream."""
        self.advance(end_s)
        rest = round(end_s * self._rate) - self._position
        if rest:
            self._encode(rest)
        self._container.mux(self._stream.encode(None))

    def _encode(self, n_samples: int) -> None:
        frame = av.AudioFrame.from_ndarray(self._take(n_samples), format="fltp", layout=self._layout)
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._position
        self._position += n_samples
        self._container.mux(self._stream.encode(frame))

    def _take(self, n_samples: int) -> np.ndarray:
        """The next samples [C n], silence after the end of the sound."""
        parts, missing = [], n_samples
        while missing:
            if not self._waiting.shape[1]:
                chunk = next(self._chunks, None)
                self._waiting = np.zeros((self._waiting.shape[0], missing), np.float32) if chunk is None else chunk
            parts.append(self._waiting[:, :missing])
            self._waiting = self._waiting[:, missing:]
            missing -= parts[-1].shape[1]
        return np.ascontiguousarray(np.concatenate(parts, axis=1))
