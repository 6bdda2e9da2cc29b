"""Carrying out a cut list: which frames stay, and sound whose joins are not heard; both on one clock.

The clock is the result's frame counter. A boundary is a whole frame; its sample is counted from the beginning, never from
the boundary before, so that rounding does not add up: after any number of cuts sound and picture are within a sample
of each other. Every kept sample keeps its exact distance to its frame, for what moves to the nearest zero crossing is
only where one side gives way to the other.

Joins are equal-power crossfades; where both sides are alike (the same hum, the same vowel) their sum would swell by up to
3 dB, so the fade is divided by the power it would have. A consonant that begins in the removed stretch and would burst
into the fade is turned down to the level around it. Pieces that follow each other in the source get no fade.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol

import numpy as np

from ..checks import InputError, integer, number
from ..media.audio import SoundStream
from ..media.encode import frame_rate
from ..media.reader import Frame
from .cutlist import CutList, TimeMap

FADE_S = (0.01, 0.03)  # shortest and longest crossfade
_SEEK_S = 0.005  # how far a join may move to a zero crossing
_SWELL_DB = 2.0  # how much louder than the loudest _GLANCE_S of the _BESIDE_S on either side a join may be
_GLANCE_S, _BESIDE_S = 0.02, 0.06
_BLOCK = 2**15  # samples
_BEHIND = 2**15  # samples that can be read again


@dataclass(frozen=True)
class Piece:
    """Source frames `start` to `stop` (one past the last), and how many new frames follow before the next piece."""

    start: int
    stop: int
    inserted: int = 0

    @property
    def n_frames(self) -> int:
        return self.stop - self.start + self.inserted


class Kept(NamedTuple):
    """A source frame that stays."""

    result_index: int  # its number in the result
    source_index: int
    frame: Frame


class Readable(Protocol):
    """Sound that is read by position: `read(start, stop)` gives float32 [C stop - start]."""

    def read(self, start: int, stop: int) -> np.ndarray: ...


def pieces_of(
    cuts: CutList, *, fps: float | Fraction, n_frames: int | None = None, inserted: int | Sequence[int] = 0
) -> tuple[Piece, ...]:
    """What stays, in whole frames of a constant rate, each boundary at the frame nearest to its time.

    `n_frames` is the source's number of frames at that rate (`read_frames(path, fps=...)`), by default its duration
    times the rate. `inserted` is the number of new frames at every cut, or one number per cut. Removals that round to
    nothing vanish. Raises InputError where no whole frame stays, or where the numbers do not fit the cuts.
    """
    rate = frame_rate(fps)
    n_frames = _nearest(cuts.duration_s * rate) if n_frames is None else integer(n_frames, "frames", low=1)
    spans: list[list[int]] = []
    for start_s, end_s in cuts.kept:
        start, stop = (min(n_frames, _nearest(t * rate)) for t in (start_s, end_s))
        if end_s == cuts.duration_s:
            stop = n_frames
        if spans and start <= spans[-1][1]:
            spans[-1][1] = max(stop, spans[-1][1])
        elif stop > start:
            spans.append([start, stop])
    if not spans:
        raise InputError("cut list: less than one frame would stay; remove less.")
    n_cuts = len(spans) - 1
    news = [inserted] * n_cuts if isinstance(inserted, int) else list(inserted)
    if len(news) != n_cuts:
        raise InputError(f"inserted frames: one number for each of the {n_cuts} cuts is needed, got {len(news)}.")
    news = [integer(n, "inserted frames", low=0, high=600) for n in news]
    return tuple(Piece(a, b, n) for (a, b), n in zip(spans, [*news, 0], strict=True))


def result_frames(pieces: Sequence[Piece]) -> int:
    """The number of frames of the result."""
    return sum(piece.n_frames for piece in pieces)


def cut_frames(pieces: Sequence[Piece]) -> list[int]:
    """Of every cut, the number in the result of the first frame after it (the first new one, where there are new ones)."""
    return [start + piece.stop - piece.start for start, piece in zip(_starts(pieces), pieces[:-1], strict=False)]


def times_of(pieces: Sequence[Piece], fps: float | Fraction) -> TimeMap:
    """Times before and after this very cut, boundaries on frames."""
    rate = frame_rate(fps)
    kept = tuple((float(p.start / rate), float(p.stop / rate)) for p in pieces)
    return TimeMap(kept, tuple(float(p.inserted / rate) for p in pieces))


def frames_to_keep(frames: Iterable[Frame], pieces: Sequence[Piece]) -> Iterator[Kept]:
    """Those of the source's frames (of constant rate, from the first on) that stay, with their places in the result.

    Reads no further than the last one. The numbers of new frames are left out. Raises InputError where the source ends
    before the last piece does, as a cut-off file's does.
    """
    source = enumerate(frames)
    for start, piece in zip(_starts(pieces), pieces, strict=True):
        done = piece.start
        while done < piece.stop:
            index, frame = next(source, (None, None))
            if index is None:
                raise InputError(f"the video ends before frame {piece.stop}, up to which it should stay; cut it there.")
            if index >= piece.start:
                yield Kept(start + index - piece.start, index, frame)
                done = index + 1


def cut_audio(
    sound: SoundStream,
    pieces: Sequence[Piece],
    *,
    fps: float | Fraction,
    crossfade_s: float = 0.02,
    room_tone: Readable | None = None,
) -> Iterator[np.ndarray]:
    """The sound of the result as float32 [C S] chunks, of exactly as many samples as its frames last (to the nearest).

    `sound` runs from the source's first frame on; past its end there is silence. New frames have `room_tone` beneath
    (see `roomtone.RoomTone`), without one silence. Memory does not grow with the length. Crossfades are `crossfade_s`
    long, less where a piece is too short for its two.
    """
    fade = round(number(crossfade_s, "crossfade", low=FADE_S[0], high=FADE_S[1], unit="s") * sound.sample_rate)
    source = _Buffered(sound.chunks)
    runs = _runs(pieces, frame_rate(fps), sound.sample_rate, source, room_tone or _Silence(source))
    position, reach = 0, round(_SEEK_S * sound.sample_rate)
    for run, following in zip(runs, [*runs[1:], None], strict=True):
        if following is None:
            yield from _body(run, position, run.end)
            return
        room = min(run.end - run.start, following.end - following.start) // 2
        half = min(fade // 2, room * 2 // 3)
        seek = min(reach, room - half)
        low, high = run.end - half - seek, run.end + half + seek
        yield from _body(run, position, low)
        joined = _joined(run.read(low, high), following.read(low, high), half)
        beside = round(_BESIDE_S * sound.sample_rate)
        heard = run.read(max(run.start, low - beside), low), following.read(high, min(following.end, high + beside))
        yield _not_louder(joined, _loudest(heard, max(1, round(_GLANCE_S * sound.sample_rate))))
        position = high


class _Run(NamedTuple):
    """A stretch of the result, in samples, that one source fills."""

    start: int
    end: int
    source: Readable
    offset: int  # from a sample's place in the result to its place in the source

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.source.read(start + self.offset, stop + self.offset)


def _runs(pieces: Sequence[Piece], rate: Fraction, sample_rate: int, source: Readable, tone: Readable) -> list[_Run]:
    """The stretches in order; pieces that touch in the source and have nothing between them are one."""
    runs: list[_Run] = []
    touching = None  # the source frame that would continue the last run
    for first, piece in zip(_starts(pieces), pieces, strict=True):
        last = first + piece.stop - piece.start
        start, end, new_end = (_nearest(n * sample_rate / rate) for n in (first, last, last + piece.inserted))
        if runs and touching == piece.start:
            runs[-1] = runs[-1]._replace(end=end)
        else:
            runs.append(_Run(start, end, source, _nearest(piece.start * sample_rate / rate) - start))
        touching = None if piece.inserted else piece.stop
        if new_end > end:
            runs.append(_Run(end, new_end, tone, 0))
    return runs


def _body(run: _Run, start: int, stop: int) -> Iterator[np.ndarray]:
    for at in range(start, stop, _BLOCK):
        yield run.read(at, min(at + _BLOCK, stop))


def _joined(before: np.ndarray, after: np.ndarray, half: int) -> np.ndarray:
    """Two stretches [C n] of the same moments of the result -> one that begins as the first and ends as the second.

    The crossfade of 2 `half` samples is centred where both are nearest to a zero crossing, within the room there is.
    """
    n = before.shape[1]
    if not half:
        return np.concatenate([before[:, : n // 2], after[:, n // 2 :]], axis=1)
    loudness = np.abs(before).sum(axis=0) + np.abs(after).sum(axis=0)
    centre = half + int(loudness[half : n - half + 1].argmin()) if n > 2 * half else half
    a, b = before[:, centre - half : centre + half], after[:, centre - half : centre + half]
    turn = (np.arange(2 * half, dtype=np.float32) + 0.5) / (2 * half) * (np.pi / 2)
    falling, rising = np.cos(turn), np.sin(turn)
    alike = max(0.0, float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-12)))
    mixed = (a * falling + b * rising) / np.sqrt(1 + 2 * alike * falling * rising)
    return np.concatenate([before[:, : centre - half], mixed.astype(np.float32), after[:, centre + half :]], axis=1)


def _loudest(sounds: Iterable[np.ndarray], width: int) -> float:
    """The power of the loudest `width` samples of any of them, counted in steps of half that."""
    powers = [0.0]
    for sound in sounds:
        squares = np.concatenate([[0.0], np.cumsum(np.mean(sound.astype(np.float64) ** 2, axis=0))])
        width_here = min(width, sound.shape[1])
        for at in range(0, sound.shape[1] - width_here + 1, max(1, width // 2)) if width_here else ():
            powers.append((squares[at + width_here] - squares[at]) / width_here)
    return max(powers)


def _not_louder(joined: np.ndarray, around: float) -> np.ndarray:
    """A join, turned down in its middle to _SWELL_DB over the power `around`: what began there is the removed sound's."""
    n = joined.shape[1]
    ramp = n // 6
    power = float(np.mean(joined[:, ramp : n - ramp].astype(np.float64) ** 2)) if n > 2 * ramp else 0.0
    most = around * 10 ** (_SWELL_DB / 10)
    if power <= most:
        return joined
    slope = (1 - np.cos(np.pi * (np.arange(ramp) + 0.5) / max(1, ramp))) / 2
    shape = np.concatenate([slope, np.ones(n - 2 * ramp), slope[::-1]])
    return (joined * (1 - (1 - np.sqrt(most / power)) * shape)).astype(np.float32)


class _Buffered:
    """A stream that is read by position, forwards but for a little."""

    def __init__(self, chunks: Iterator[np.ndarray]):
        self._chunks = chunks
        self._waiting = next(chunks, np.zeros((1, 0), np.float32))
        self._first = 0  # position of the first sample in hand
        self.n_channels = self._waiting.shape[0]

    def read(self, start: int, stop: int) -> np.ndarray:
        """float32 [C stop - start]; silence before the beginning and after the end."""
        parts = [self._waiting]
        end = self._first + self._waiting.shape[1]
        while end < stop and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            end += chunk.shape[1]
            if len(parts) > 64:  # a long removed stretch is not kept
                parts = [np.concatenate(parts, axis=1)[:, max(0, start - _BEHIND - self._first) :]]
                self._first = end - parts[0].shape[1]
        held = np.concatenate(parts, axis=1)
        taken = held[:, max(0, start - self._first) : max(0, stop - self._first)]
        in_front = min(stop - start, max(0, self._first - start))
        result = np.pad(taken, ((0, 0), (in_front, stop - start - in_front - taken.shape[1])))
        drop = max(0, min(held.shape[1], start - _BEHIND - self._first))
        self._waiting, self._first = held[:, drop:], self._first + drop
        return result


class _Silence:
    def __init__(self, source: _Buffered):
        self._n_channels = source.n_channels

    def read(self, start: int, stop: int) -> np.ndarray:
        return np.zeros((self._n_channels, stop - start), np.float32)


def _starts(pieces: Sequence[Piece]) -> list[int]:
    """The number in the result of every piece's first frame."""
    if not pieces:
        raise InputError("cut list: at least one piece has to stay, got none.")
    starts = np.cumsum([0, *(piece.n_frames for piece in pieces)])
    return starts[:-1].tolist()


def _nearest(value: float | Fraction) -> int:
    return int(value + Fraction(1, 2))
