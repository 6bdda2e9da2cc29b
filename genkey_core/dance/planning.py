"""What a dance will be, known before anything is rendered: keyframes, the part of the song, its beats, the pattern on them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import media
from ..checks import InputError
from .beats import Beats, hear_beats
from .choreography import segments_of
from .keyframes import gathered
from .patterns import Pattern, parse_pattern
from .settings import MAX_DANCE_S, Settings
from .stage import stage_digest
from .warp import WarpedPlan, warped

_SHORTEST_S = 1.0


@dataclass(frozen=True, eq=False)
class Plan:
    """A checked dance. Times are seconds of the song."""

    images: np.ndarray  # uint8 [K H W 3]
    names: tuple[str, ...]  # of the keyframes
    song: Path
    settings: Settings
    beats: Beats  # of the part that is danced
    pattern: Pattern  # a label for every segment
    segments_s: np.ndarray  # float64 [N 2]
    start_s: float
    end_s: float
    notes: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(W, H) of the video."""
        return self.images.shape[2], self.images.shape[1]

    @property
    def key_times_s(self) -> np.ndarray:
        """When every keyframe of the path is to be seen, from the beginning of the video: float64 [2N]."""
        return self.segments_s.ravel() - self.start_s

    @property
    def n_frames(self) -> int:
        return max(1, int(np.floor((self.end_s - self.start_s) * self.settings.fps + 0.5)))

    @property
    def digest(self) -> str:
        """What the stage is kept under."""
        return stage_digest(self.images, self.settings)

    def timeline(self, path: Sequence[int]) -> WarpedPlan:
        """The frames of a walk through the keyframes."""
        s = self.settings
        return warped(path, self.key_times_s, fps=s.fps, duration_s=self.n_frames / s.fps, strength=s.strength)


def plan(
    keyframes: Sequence[str | os.PathLike] | np.ndarray,
    song: str | os.PathLike,
    settings: Settings | None = None,
    *,
    beats: Beats | None = None,
) -> Plan:
    """Check a dance without making anything. `keyframes` are picture files or uint8 [K H W 3]; `beats` are those of the song,
    heard and corrected, or None to hear them here. Raises InputError that names what is wrong."""
    settings = (settings or Settings()).checked()
    images, names, notes = _pictures(keyframes, settings)
    beats = hear_beats(song) if beats is None else beats
    start_s, end_s, more = part_of(beats.duration_s, settings)
    part = beats.clipped(start_s, end_s)
    segments_s = segments_of(part.beat_times_s, first=part.first_downbeat, beats_per_bar=part.beats_per_bar)
    if not len(segments_s):
        raise InputError(
            f"beats: between {start_s:g} and {end_s:g} s there is no downbeat with a beat after it; move the first downbeat, "
            "or take more of the song."
        )
    typed = parse_pattern(settings.pattern)
    pattern = typed.fitted(len(segments_s))
    if len(typed) != len(pattern):
        how = "its rest is left out" if len(typed) > len(pattern) else "it begins again where it ends"
        more.append(f"The pattern has {len(typed)} segments, this part of the song has room for {len(pattern)}: {how}.")
    settings.wishes(pattern, len(images))
    done = Plan(
        images, names, Path(song), settings, part, pattern, segments_s, start_s, end_s, (*notes, *beats.notes, *more)
    )
    done.timeline(np.zeros(2 * len(pattern), int))  # two beats on one frame are said now
    return done


def part_of(duration_s: float, settings: Settings) -> tuple[float, float, list[str]]:
    """(start, end, notes) of the part of a song of `duration_s` that is danced; raises InputError where it holds nothing."""
    start_s = settings.start_s
    if start_s > duration_s - _SHORTEST_S:
        raise InputError(f"start: the song ends at {duration_s:.1f} s, so it must be earlier, got {start_s:g} s.")
    end_s = min(duration_s, settings.end_s if settings.end_s is not None else start_s + MAX_DANCE_S)
    if end_s - start_s > MAX_DANCE_S + 1e-6:
        raise InputError(
            f"end: a dance lasts at most {MAX_DANCE_S:g} s, from {start_s:g} to {end_s:g} s are {end_s - start_s:.1f} s."
        )
    notes = []
    if settings.end_s is None and duration_s - start_s > MAX_DANCE_S:
        notes.append(f"The song goes on; its first {MAX_DANCE_S:g} s from {start_s:g} s are danced.")
    return start_s, end_s, notes


def _pictures(keyframes: Sequence, settings: Settings) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    if isinstance(keyframes, np.ndarray):
        images = list(keyframes)
        names = tuple(f"keyframe {i}" for i in range(1, len(images) + 1))
    else:
        names = tuple(Path(path).name for path in keyframes)
        images = [media.load_image(path) for path in keyframes]
    found = gathered(images)
    size = media.output_size(found.images.shape[2:0:-1], max_side=settings.max_side)
    if size != found.images.shape[2:0:-1]:
        return gathered(list(found.images), size=size).images, names, found.notes
    return found.images, names, found.notes
