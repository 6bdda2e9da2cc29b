"""A dancer to follow: the pattern that a motion file or a dance video dances to a song, and a figure for every label."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..checks import InputError
from ..media.reader import read_frames
from .beats import Beats
from .choreography import Choreography, read_choreography, segments_of
from .motion import Motion, read_motion
from .motion_figure import FPS, figure_frames

MOTION_FILES = (".bvh", ".npz", ".pt", ".pth", ".pkl", ".pickle")


@dataclass(frozen=True)
class Followed:
    """What was read from a dancer."""

    choreography: Choreography
    figures: dict[str, np.ndarray]  # label -> uint8 [T h w 3], to be shown round and round at `fps`
    fps: float
    notes: tuple[str, ...] = ()


def follow(path: str | os.PathLike, beats: Beats, *, height: int = 120) -> Followed:
    """Read the pattern of a dancer whose clock is that of the song, over `beats` (those of the part that is danced).

    A .bvh, .npz or .pt file, or else a video. Beats after the dancer's end are left out. Raises InputError.
    """
    source = read_motion(path) if Path(path).suffix.lower() in MOTION_FILES else _watched(path)
    segments_s = segments_of(beats.beat_times_s, first=beats.first_downbeat, beats_per_bar=beats.beats_per_bar)
    danced = segments_s[segments_s[:, 1] <= source.duration_s + 0.1]
    if not len(danced):
        raise InputError(
            f"{Path(path).name}: the dancer dances for {source.duration_s:.1f} s, and no two beats of this part of the song lie"
            " in it; both must begin together."
        )
    notes = []
    if len(danced) < len(segments_s):
        notes.append(
            f"The dancer stops after {len(danced)} of {len(segments_s)} segments; the pattern is repeated after that."
        )
    found = read_choreography(source, danced)
    if found.note:
        notes.append(found.note)
    figures = {
        label: figure_of(source, path, *np.clip(danced[segment], 0, source.duration_s).tolist(), height=height)
        for label, segment in found.representatives.items()
    }
    return Followed(found, figures, FPS, tuple(notes))


def figure_of(source, path: str | os.PathLike, start_s: float, end_s: float, *, height: int) -> np.ndarray:
    """The representative motion of a label as a small looping picture: a drawn figure, or the video itself."""
    if isinstance(source, Motion):
        return figure_frames(source.between(start_s, end_s), height=height)
    with closing(read_frames(path, start_s=start_s, end_s=end_s, fps=FPS)) as frames:
        return np.stack([_small(frame.image, height) for frame in frames])


def _watched(path: str | os.PathLike):
    from .motion_video import watch  # looks at the video, which takes a while; not needed for motion files

    return watch(path)


def _small(image: np.ndarray, height: int) -> np.ndarray:
    size = (max(1, round(image.shape[1] * height / image.shape[0])), height)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
