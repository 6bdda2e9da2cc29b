"""Sound in: the sound of any audio or video file as float32 [C S], on the same clock as its pictures."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av
import numpy as np

from genkey_core.checks import InputError, boolean, integer, number
from genkey_core.media.container import audio_stream, open_media, reading, zero_s
from genkey_core.media.files import base_name

MAX_SOUND_S = 2 * 3600.0  # a bound on memory: two hours of 48 kHz stereo are 2.8 GB
MIN_RATE, MAX_RATE = 4000, 192_000  # Hz

_GAP_S, _BREAK_S = 0.1, 3600.0  # holes in the timestamps between these are filled with silence: shorter ones are
# rounding, longer ones a break in the file's clock
_BLOCK = 2**15  # samples
_MAX_BAD_SHARE = 0.1  # of a file's packets; stray damage in MP3 files is common and inaudible


@dataclass(frozen=True)
class Audio:
    """Sound in memory: `samples` float32 [C S], C of 1 or 2, nominally in [-1, 1]; `sample_rate` in Hz."""

    samples: np.ndarray
    sample_rate: int

    def __post_init__(self):
        integer(self.sample_rate, "sample_rate", low=MIN_RATE, high=MAX_RATE)
        got = self.samples
        if not isinstance(got, np.ndarray) or got.ndim != 2 or got.shape[0] not in (1, 2) or got.dtype != np.float32:
            shown = f"{got.dtype} {list(got.shape)}" if isinstance(got, np.ndarray) else type(got).__name__
            raise InputError(f"audio: float32 samples [C S] with C of 1 or 2 are needed, got {shown}.")
        if got.size and not np.isfinite([got.min(), got.max()]).all():
            raise InputError("audio: finite samples are needed, got NaN or infinity.")

    @property
    def duration_s(self) -> float:
        return self.samples.shape[1] / self.sample_rate


@dataclass(frozen=True)
class SoundStream:
    """Sound that is still in its file: `chunks` gives it in order as float32 [C S] arrays of any lengths."""

    sample_rate: int
    chunks: Iterator[np.ndarray]


def read_audio(
    path: str | os.PathLike,
    *,
    sample_rate: int | None = None,
    mono: bool = False,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> Audio:
    """The sound of a file from `start_s` to `end_s` (or its end), at its own or the given `sample_rate` in Hz.

    Sample 0 lies at `start_s` on the clock that `read_frames` counts by: sound that begins after the pictures gets
    silence in front, codec delay is removed. More than two channels become stereo; `mono` takes the mean of both.
    Cover pictures are ignored. Raises InputError where there is no sound (ask `probe(path).has_audio` before), where
    the file is damaged, and over two hours.
    """
    boolean(mono, "mono")
    parts, n_samples = [], 0
    with open_sound(path, sample_rate=sample_rate, start_s=start_s, end_s=end_s) as sound:
        for chunk in sound.chunks:
            parts.append(chunk.mean(axis=0, keepdims=True) if mono else chunk)
            n_samples += chunk.shape[1]
            if n_samples > MAX_SOUND_S * sound.sample_rate:
                raise InputError(f"{base_name(path)} is too long: at most {MAX_SOUND_S / 3600:g} hours of sound.")
    if not n_samples:
        raise InputError(f"{base_name(path)} holds no sound after {start_s:g} s.")
    return Audio(np.concatenate(parts, axis=1), sound.sample_rate)


@contextmanager
def open_sound(
    path: str | os.PathLike, *, sample_rate: int | None = None, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[SoundStream]:
    """`read_audio` as a stream, for what should not lie in memory whole; the same times, rates and errors."""
    start_s = number(start_s, "start_s", low=0, unit="s")
    end_s = None if end_s is None else number(end_s, "end_s", low=start_s, unit="s")
    if sample_rate is not None:
        integer(sample_rate, "sample_rate", low=MIN_RATE, high=MAX_RATE)
    with open_media(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise InputError(f"{base_name(path)} has no sound.")
        rate = int(sample_rate or stream.codec_context.rate)
        wanted = None if end_s is None else round((end_s - start_s) * rate)
        yield SoundStream(rate, _placed(_decoded(container, stream, path, start_s), rate, wanted))


def _decoded(
    container: av.container.InputContainer, stream: av.AudioStream, path: str | os.PathLike, start_s: float
) -> Iterator[tuple[float | None, av.AudioFrame]]:
    """(seconds after `start_s`, frame) for every frame. All are decoded: after a seek few files are true to the sample."""
    origin_s = zero_s(container) + start_s
    n_packets = n_bad = 0
    with reading(path):
        for packet in container.demux(stream):
            n_packets += 1
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                n_bad += 1
                continue
            for frame in frames:
                yield None if frame.pts is None else float(frame.pts * frame.time_base) - origin_s, frame
    if n_bad > 1 + _MAX_BAD_SHARE * n_packets:
        raise InputError(f"{base_name(path)} is damaged: {n_bad} of the {n_packets} parts of its sound are unreadable.")


def _placed(
    frames: Iterator[tuple[float | None, av.AudioFrame]], rate: int, wanted: int | None
) -> Iterator[np.ndarray]:
    """Resample the frames to `rate` and lay them on a clock that starts at 0: float32 [C S], `wanted` samples at most.

    What lies before 0 is dropped, holes become silence.
    """
    position = None  # of the next sample to come, in samples at `rate`; it starts below 0 where frames do
    converter = None
    for time_s, frame in frames:
        arrives = None if time_s is None else round(time_s * rate)
        shortest = _GAP_S * rate
        if converter is None:
            converter = _Converter(rate, 1 if len(frame.layout.channels) == 1 else 2)
            position, shortest = min(arrives or 0, 0), 0
        hole = 0 if arrives is None or not shortest < arrives - position < _BREAK_S * rate else arrives - position
        for array in itertools.chain(converter.silence(hole), converter.convert(frame)):
            if wanted is not None and position >= wanted:
                return
            yield array[:, max(0, -position) : None if wanted is None else max(0, wanted - position)]
            position += array.shape[1]
    for array in converter.rest() if converter else ():
        yield array[:, max(0, -position) : None if wanted is None else max(0, wanted - position)]
        position += array.shape[1]


class _Converter:
    """Frames of any format, also one that changes on the way -> float32 [C S] at one rate."""

    def __init__(self, rate: int, n_channels: int):
        self._rate, self._n_channels = rate, n_channels
        self._resampler: av.AudioResampler | None = None
        self._source: tuple | None = None

    def convert(self, frame: av.AudioFrame) -> list[np.ndarray]:
        source = (frame.sample_rate, frame.layout.name, frame.format.name)
        before = self.rest() if source != self._source else []
        if source != self._source:
            layout = "mono" if self._n_channels == 1 else "stereo"
            self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=self._rate)
            self._source = source
        frame.pts = None  # the clock is kept by the caller
        return before + [converted.to_ndarray() for converted in self._resampler.resample(frame)]

    def rest(self) -> list[np.ndarray]:
        """What the resampler still holds back."""
        return [converted.to_ndarray() for converted in self._resampler.resample(None)] if self._resampler else []

    def silence(self, n_samples: int) -> Iterator[np.ndarray]:
        for start in range(0, n_samples, _BLOCK):
            yield np.zeros((self._n_channels, min(_BLOCK, n_samples - start)), np.float32)


@contextmanager
def sound_of(audio: Audio, *, sample_rate: int, start_s: float = 0.0) -> Iterator[SoundStream]:
    """An `Audio` in memory as a stream, from `start_s` on, resampled where `sample_rate` is another."""
    samples = audio.samples[:, round(start_s * audio.sample_rate) :]
    blocks = (samples[:, i : i + _BLOCK] for i in range(0, samples.shape[1], _BLOCK))
    if sample_rate != audio.sample_rate:
        blocks = _placed(((None, _frame(block, audio.sample_rate)) for block in blocks), sample_rate, None)
    yield SoundStream(sample_rate, iter(blocks))


def _frame(samples: np.ndarray, sample_rate: int) -> av.AudioFrame:
    layout = "mono" if samples.shape[0] == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
    frame.sample_rate = sample_rate
    return frame
