"""Pauses and filled pauses of recorded speech, by ear alone: no model, no network (thesis ch. 4, introduction).

Speech stands out of its own background: per mel band a noise floor follows the quietest tenth of the seconds around, and a
moment sounds where enough of the bands stand above it. The floor is never taken lower than what lies 45 dB under the
speech around, so that a breath in a silent studio is still a pause. Filled pauses are found in `fillers.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ..checks import InputError, number
from ..media.audio import Audio, open_sound, sound_of
from ..media.probe import has_sound
from .acoustics import HOP_S, RATE, Frames, frames_of, joined, moving_mean, runs
from .cutlist import Row
from .fillers import filled_pauses, is_speech

MAX_SOUND_S = 4 * 3600.0
_REGION_S = 8.0  # over which the background may change
_DEPTH_DB = 45.0  # of speech above its background that counts; what is quieter than that is background
_SOUNDS_DB, _FAINT_DB = 4.0, 1.8  # mean height over the floor: a sound passes the first somewhere and lasts while it
# passes the second, which steady noise hardly reaches
_SMOOTH = 5  # frames, 50 ms
_ENDING_S = 0.15  # a faint sound this near to a certain one is the end or the beginning of a word
_BLIP_S = 0.06  # a sound in a pause that is shorter is a click or a breath
_BEYOND_S = 0.1  # sound that outlasts the picture by less is the codec's rounding
_SILENT_DB = -70.0  # of full scale: a file that nowhere is louder is silent


@dataclass(frozen=True)
class SpeechOptions:
    """What counts as a pause or filler, and how much of them is to go."""

    shortest_pause_s: float = 0.4  # shorter silence is rhythm, not a pause
    natural: float = 0.0  # share of the pauses and of the fillers that stays, the shortest first: 0 none, 1 all
    fillers: bool = True  # look for filled pauses
    surest_only: float = 0.5  # a filler less sure than this is listed, but kept unless the user says otherwise

    def checked(self) -> SpeechOptions:
        return replace(
            self,
            shortest_pause_s=number(self.shortest_pause_s, "shortest pause", low=0.1, high=60, unit="s"),
            natural=number(self.natural, "keep it natural", low=0, high=1),
            surest_only=number(self.surest_only, "surest only", low=0, high=1),
        )


@dataclass(frozen=True)
class Listening:
    """Progress of an analysis: seconds of sound heard so far."""

    heard_s: float


@dataclass(frozen=True)
class Analysis:
    """What was heard: rows by start, and what a page draws and the cut needs."""

    rows: tuple[Row, ...]
    duration_s: float  # of the sound that was analysed
    level_db: np.ndarray  # float32 [N], loudness every HOP_S, dB of full scale
    sounds: np.ndarray  # bool [N], where there is more than background
    quietest_s: tuple[float, float] | None  # the stretch that room tone is made of
    notes: tuple[str, ...] = ()  # what was decided about unusual sound, one sentence each


def listen(
    sound: Audio | str | os.PathLike, options: SpeechOptions | None = None, *, duration_s: float | None = None
) -> Iterator[Listening | Analysis]:
    """Analyse the sound of a file, or an `Audio`: `Listening` records on the way, one `Analysis` last.

    `duration_s` is the picture's length where there is a picture: sound beyond it is not listened to. Memory grows by
    about 0.2 GB an hour. A file whose sound is damaged further on is analysed up to there, a video without sound has no rows, and
    a note says so. Raises InputError where the file is no video or sound.
    """
    options = (options or SpeechOptions()).checked()
    end_s = MAX_SOUND_S if duration_s is None else number(duration_s, "duration", low=0, high=MAX_SOUND_S, unit="s")
    if not isinstance(sound, Audio) and not has_sound(sound):
        yield _nothing_heard(
            duration_s or 0.0, "This video has no sound, so nothing is proposed; type the ranges to cut."
        )
        return
    source = sound_of(sound, sample_rate=RATE) if isinstance(sound, Audio) else open_sound(sound, sample_rate=RATE)
    counted, blocks, notes = _Counted(round(end_s * RATE)), [], []
    with source as stream:
        try:
            for block in frames_of(counted.chunks(stream.chunks)):
                blocks.append(block)
                yield Listening(sum(map(len, blocks)) * HOP_S)
        except InputError as damage:
            if not blocks:
                raise
            notes.append(f"Only the first {sum(map(len, blocks)) * HOP_S:.1f} s were analysed: {damage}")
    if counted.too_long:
        limit = (
            "the picture ends there" if duration_s is not None else f"at most {MAX_SOUND_S / 3600:g} hours are taken"
        )
        notes.append(f"The sound goes on after {end_s:.1f} s; what lies beyond is left out, because {limit}.")
    frames = joined(blocks)
    if not len(frames):
        yield _nothing_heard(
            duration_s or 0.0, "The sound track is empty, so nothing is proposed; type the ranges to cut."
        )
        return
    heard_s = min(counted.n_samples / RATE, len(frames) * HOP_S)
    if duration_s is not None and heard_s < duration_s - _BEYOND_S and not notes:
        notes.append(f"The sound ends at {heard_s:.1f} s, before the picture; nothing is proposed for the rest.")
    yield analysed(frames, heard_s, options, notes=notes)


def _nothing_heard(duration_s: float, note: str) -> Analysis:
    return Analysis((), duration_s, np.zeros(0, np.float32), np.zeros(0, bool), None, (note,))


def analyse(
    sound: Audio | str | os.PathLike, options: SpeechOptions | None = None, *, duration_s: float | None = None
) -> Analysis:
    """`listen` to the end."""
    *_, analysis = listen(sound, options, duration_s=duration_s)
    return analysis


def analysed(frames: Frames, duration_s: float, options: SpeechOptions, *, notes: Iterable[str] = ()) -> Analysis:
    """Features -> rows. Separate from `listen`, so that a moved slider costs no new hearing."""
    level_db, notes = frames.level_db, list(notes)
    quietest_s = quietest_stretch(level_db, duration_s)
    if level_db.max() < _SILENT_DB:
        notes.append("The sound is silent throughout: no pauses are proposed.")
        return Analysis((), duration_s, level_db, np.zeros(len(frames), bool), quietest_s, tuple(notes))
    sounds = sounding(frames)
    pauses = [Row(a, b, "pause", c) for a, b, c in silences(frames, sounds, duration_s, options.shortest_pause_s)]
    fillers: list[Row] = []
    if options.fillers:
        if is_speech(frames, sounds):
            found = filled_pauses(frames, sounds)
            fillers = [Row(a, min(b, duration_s), "filler", c, c >= options.surest_only) for a, b, c in found]
        else:
            notes.append("This sounds like music or machinery rather than clear speech: no fillers are proposed.")
    if len(pauses) == 1 and pauses[0].end_s - pauses[0].start_s >= 0.98 * duration_s:
        pauses = [replace(pauses[0], remove=False)]
        notes.append("No speech was heard, the whole length is one pause: nothing is removed unless you say so.")
    rows = left_natural(pauses, options.natural) + left_natural(fillers, options.natural)
    rows.sort(key=lambda row: (row.start_s, row.end_s))
    return Analysis(tuple(rows), duration_s, level_db, sounds, quietest_s, tuple(notes))


def left_natural(rows: list[Row], share: float) -> list[Row]:
    """The same rows, the shortest `share` of those to be removed set to keep: they are the rhythm, long ones dead air."""
    going = sorted((i for i, row in enumerate(rows) if row.remove), key=lambda i: rows[i].end_s - rows[i].start_s)
    stay = set(going[: round(share * len(going))])
    return [replace(row, remove=False) if i in stay else row for i, row in enumerate(rows)]


def sounding(frames: Frames) -> np.ndarray:
    """bool [N]: where something stands out of the background."""
    height_db = _height(moving_mean(frames.bands_db, _SMOOTH))
    heard = [(a, b) for a, b in runs(height_db > _FAINT_DB) if b - a >= _BLIP_S / HOP_S]
    sounds = np.zeros(len(frames), bool)
    for start, end in heard:
        sounds[start:end] = height_db[start:end].max() > _SOUNDS_DB
    near, certain = round(_ENDING_S / HOP_S), sounds.copy()
    for start, end in heard:
        sounds[start:end] |= certain[max(0, start - near) : end + near].any()
    return sounds


def silences(
    frames: Frames, sounds: np.ndarray, duration_s: float, shortest_s: float
) -> Iterator[tuple[float, float, float]]:
    """(start_s, end_s, confidence) of the stretches of at least `shortest_s` without a sound."""
    level_db = frames.level_db
    for start, end in runs(~sounds):
        start_s, end_s = start * HOP_S, min(end * HOP_S, duration_s)
        if end_s - start_s >= shortest_s:
            around = np.concatenate([level_db[max(0, start - 50) : start], level_db[end : end + 50]])
            drop_db = np.median(around) - np.median(level_db[start:end]) if len(around) else 20.0
            yield start_s, end_s, float(np.clip(drop_db / 20, 0.3, 1.0))


def quietest_stretch(level_db: np.ndarray, duration_s: float, length_s: float = 0.5) -> tuple[float, float] | None:
    """The quietest `length_s` of the sound that is not digital silence, or the quietest at all; None below 0.1 s."""
    n = min(round(length_s / HOP_S), len(level_db))
    if n * HOP_S < 0.1:
        return None
    power = 10 ** (level_db.astype(np.float64) / 10)
    loudest = np.lib.stride_tricks.sliding_window_view(power, n).max(axis=1)
    real = np.where(loudest > 10**-9.5, loudest, np.inf)
    start = int((real if np.isfinite(real).any() else loudest).argmin())
    return start * HOP_S, min((start + n) * HOP_S, duration_s)


def _height(bands_db: np.ndarray) -> np.ndarray:
    """[N]: how far the bands stand above the floor in the mean, each counted from 0 to 30 dB."""
    n = len(bands_db)
    step, reach = round(0.5 / HOP_S), round(_REGION_S / 2 / HOP_S)
    centres = np.arange(0, n + step, step)
    by_band = np.ascontiguousarray(bands_db.T)

    @lru_cache(maxsize=64)  # half a region before one moment is half a region after an earlier one
    def quiet(first: int, last: int) -> np.ndarray:
        return np.percentile(by_band[:, first:last], 10, axis=1)

    low, high = [], []
    for centre in centres.tolist():
        first, last = max(0, min(centre, n) - reach), min(n, centre + reach)
        middle = first + (last - first) // 2
        halves = ((first, middle), (middle, last)) if last - first > reach else ((first, last),)
        low.append(np.max([quiet(*half) for half in halves], axis=0))
        high.append(np.percentile(by_band[:, first:last], 95, axis=1))
    low, high = np.array(low), np.array(high)
    floor = np.maximum(low, high.max(axis=1, keepdims=True) - _DEPTH_DB)
    at = np.arange(n)
    height_db = np.zeros(n, np.float32)
    for band_db, floor_db in zip(bands_db.T, floor.T, strict=True):
        height_db += np.clip(band_db - np.interp(at, centres, floor_db), 0, 30)
    return height_db / bands_db.shape[1]


class _Counted:
    """Passes on the first `limit` samples of a stream and counts them, and those it dropped until it was sure."""

    def __init__(self, limit: int):
        self.limit, self.n_samples, self.n_dropped = limit, 0, 0

    @property
    def too_long(self) -> bool:
        return self.n_dropped > _BEYOND_S * RATE

    def chunks(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for chunk in chunks:
            taken = chunk[:, : self.limit - self.n_samples]
            self.n_samples += taken.shape[1]
            self.n_dropped += chunk.shape[1] - taken.shape[1]
            if taken.shape[1]:
                yield taken
            if self.too_long:
                return
