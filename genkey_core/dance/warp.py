"""Warping to the music: every keyframe of the path on its beat, the motion between two read in visual rhythm (section 7.2.4).

    plan = warped(dance.path, beat_times_s, fps=25, duration_s=30)
    for start, end, position in zip(plan.start, plan.end, plan.position): ...

Frame f shows the instant f / fps. Keyframe i is shown exactly on the frame nearest to beat i; boundaries come from the beat
times themselves, never from added lengths, so nothing drifts. Between two beats the position runs from 0 to 1, slowly
half-way and fast around the beats: it accelerates into a beat and decelerates after it, which makes the beat seen
(Davis and Agrawala 2018). What is decided where the thesis is silent:

- **Between segments** (from beat 2i+1 to 2i+2) the walk goes on in the same way, along the transition's own in-betweens.
- **Equal keyframes on neighbouring beats** are one picture that is held; there is nothing to synthesise.
- **Before the first beat** the first keyframe is held, **after the last** the last one: a dancer who waits.
- **A beat within a frame of the one before it** cannot have a frame of its own: InputError says which.
- **Beats without a keyframe** (more beats than the path is long) are not danced: the last keyframe is held over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..checks import InputError, integer, number

IN_BETWEENS = 14  # per pair of keyframes, as Framer makes them (section 7.2.4)
FPS = 25.0
STRENGTH = 0.5  # of the visual rhythm: 0 is even motion, 1 stands still half-way between beats
MAX_FRAMES = 500_000

_EARLY = 1e-9  # of a frame, by which a beat exactly half-way between two frames still counts as the later one


@dataclass(frozen=True, eq=False)
class WarpedPlan:
    """Which picture each frame shows: the way from keyframe `start` to keyframe `end`, at `position`."""

    fps: float
    start: np.ndarray  # int [T]
    end: np.ndarray  # int [T]; equal to start where a keyframe is held
    position: np.ndarray  # float64 [T] in [0, 1]; 0 and 1 are the keyframes themselves
    beat_frames: np.ndarray  # int [N], the frame on which keyframe i of the path is shown exactly

    def __len__(self) -> int:
        return len(self.position)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Every pair of keyframes that needs in-betweens, once, in order of first use."""
        moving = self.position > 0
        return list(dict.fromkeys(zip(self.start[moving].tolist(), self.end[moving].tolist(), strict=True)))


def warped(
    path: Sequence[int],
    beat_times_s: Sequence[float],
    *,
    fps: float = FPS,
    duration_s: float | None = None,
    strength: float = STRENGTH,
) -> WarpedPlan:
    """The frames of a dance: keyframes [N] on the first N beats (seconds, increasing, from 0 on).

    The video lasts `duration_s` (a last frame that would show less than half a frame of it is left out), by default
    until the last keyframe's frame. Keyframes whose beat comes later are left out with it. `strength` 0 moves evenly,
    1 comes to rest half-way between beats. Raises InputError for fewer beats than keyframes, for two beats on one frame,
    and where no beat lies inside the video.
    """
    fps = number(fps, "fps", low=1, high=240)
    strength = number(strength, "visual rhythm", low=0, high=1)
    keyframes, times_s = _checked(path, beat_times_s)
    frames = np.floor(times_s * fps + 0.5 + _EARLY).astype(np.int64)
    clash = np.flatnonzero(np.diff(frames) < 1)
    if len(clash):
        i = int(clash[0])
        raise InputError(
            f"beats: beats {i + 1} and {i + 2} are {times_s[i + 1] - times_s[i]:.3f} s apart, less than a frame "
            f"at {fps:g} fps; halve the tempo or take more frames per second."
        )
    if duration_s is None:
        total = int(frames[-1]) + 1
    else:
        duration_s = number(duration_s, "duration", low=0, unit="s")
        total = max(1, int(np.floor(duration_s * fps + 0.5 + _EARLY)))
    if total > MAX_FRAMES:
        raise InputError(f"frames: at most {MAX_FRAMES:,} can be planned, got {total:,}.")
    if frames[0] >= total:
        raise InputError(f"beats: the first is at {times_s[0]:.2f} s, after the end of the video.")
    frame = np.arange(total)
    before = np.searchsorted(frames, frame, side="right") - 1  # the last beat up to each frame; -1 before the first
    first, last = np.clip(before, 0, len(frames) - 1), np.clip(before + 1, 0, len(frames) - 1)
    length = np.maximum(frames[last] - frames[first], 1)
    position = visual_rhythm((frame - frames[first]) / length, strength=strength)
    start, end = keyframes[first], keyframes[last]
    position = np.where(start == end, 0.0, position)
    return WarpedPlan(fps, start, end, position, frames[frames < total])


def visual_rhythm(u: np.ndarray, *, strength: float = STRENGTH) -> np.ndarray:
    """Time between two beats [T] in 0..1 -> how far the motion has come [T].

    The speed is 1 + strength * cos(2 pi u): greatest at the beats, where it is the same on either side, least half-way; so
    the motion accelerates into the beat and decelerates after it, and never goes back.
    """
    u = np.clip(np.asarray(u, np.float64), 0.0, 1.0)
    return np.clip(u + strength * np.sin(2 * np.pi * u) / (2 * np.pi), 0.0, 1.0)


def render(
    plan: WarpedPlan,
    keyframes: np.ndarray,
    interpolate: Callable[[np.ndarray, np.ndarray, int], np.ndarray],
    *,
    in_betweens: int = IN_BETWEENS,
    clips: dict[tuple[int, int], np.ndarray] | None = None,
) -> Iterator[np.ndarray]:
    """The frames of a plan, uint8 [H W 3], one at a time; keyframes uint8 [2K H W 3].

    `interpolate(start, end, n) -> uint8 [n H W 3]` makes what lies between two keyframes at even steps, without them; it is
    asked once per pair, when the pair is first shown, and its clip is kept in `clips`, which may be handed in already
    filled. A warped position shows the nearest picture of the clip; 0 and 1 are the keyframes bit for bit.
    """
    n = integer(in_betweens, "in-betweens", low=1, high=1000)
    clips = {} if clips is None else clips
    for start, end, position in zip(plan.start.tolist(), plan.end.tolist(), plan.position, strict=True):
        nearest = nearest_picture(position, n)
        if start == end or nearest == 0:
            yield keyframes[start]
        elif nearest == n + 1:
            yield keyframes[end]
        else:
            if (start, end) not in clips:
                clips[start, end] = interpolate(keyframes[start], keyframes[end], n)
            yield clips[start, end][nearest - 1]


def nearest_picture(position: float, in_betweens: int) -> int:
    """Which of the n + 2 pictures of a clip (0 and n + 1 are the keyframes) a position in 0..1 shows."""
    return int(np.floor(position * (in_betweens + 1) + 0.5))


def _checked(path: Sequence[int], beat_times_s: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    keyframes = np.asarray(path, np.int64)
    times_s = np.asarray(beat_times_s, np.float64)
    if keyframes.ndim != 1 or len(keyframes) < 1:
        raise InputError("path: at least one keyframe is needed, got none.")
    if times_s.ndim != 1 or len(times_s) < len(keyframes):
        raise InputError(
            f"beats: one for each of the {len(keyframes)} keyframes of the dance is needed, got {times_s.size}; "
            "take a shorter pattern or more of the song."
        )
    times_s = times_s[: len(keyframes)]
    if not np.isfinite(times_s).all() or times_s[0] < 0 or (np.diff(times_s) <= 0).any():
        raise InputError("beats: times that increase from 0 on are needed.")
    return keyframes, times_s
