"""How many frames a model makes for a gap, from its duration and the motion in it (thesis section 8.1, left open there).

A video model gives the same number of frames whatever lies between two keyframes. Here the number follows the gap. How far
things move between the keyframes is measured by optical flow, as a share of the picture's diagonal. A model at full length
bridges up to REACH of the diagonal well, so each of its steps bridges REACH / (frames - 1), and the motion asks for so many
steps; but no gap needs more of them than frames are shown, which is its duration times the frame rate. So a short gap, or one
in which little moves, is made with fewer frames than the model could make, which is cheaper, and what is shown between
them is interpolated along their motion. A long gap with a large motion asks for more steps than the model has: it is made
in two passes. The coarse one bridges the whole gap at the model's usual length; its frames at equal distances become
keyframes, and the fine pass makes one clip between each two of them. The segments meet in these keyframes, of which they are
given the same picture, so nothing jumps where they join. What the coarse pass gets wrong becomes a keyframe, so a model
that already bridges all the motion it knows in one clip (`mini`) is not chained.

What it cannot know: things that move and return (a wave of the hand in a gap whose ends look alike) leave no motion
to measure, and get few frames. A motion too far for optical flow to follow is measured too short; what
the flow cannot explain counts against that. Everything is a pure function, and more never gives less: a longer
gap, a higher frame rate or more motion never makes fewer frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from genkey_core import flow as of
from genkey_core.checks import InputError, integer, number

REACH = 0.35  # share of the diagonal that one clip of the model's full length bridges well
MAX_SEGMENTS = 4  # a gap costs at most five clips, the coarse one included
MAX_MOTION = 4.0  # diagonals; what is measured never exceeds it

_SIDES = (
    192,
    512,
)  # px: pictures are measured no smaller than the first and no larger than the second, on their long side
_FASTEST = 99.0  # percentile of the flow's length: what moves fastest, in all but a hundredth of the picture
_CHANGED = 8.0  # grey levels of difference from which a pixel counts as changed
_EXPLAINED = 0.5  # share of that difference below which the flow has to bring it, to count as explained


@dataclass(frozen=True)
class Plan:
    """How a gap is made: so many clips of so many frames, end to end."""

    segments: int  # 1: one clip. More: a coarse clip first, whose frames are the keyframes between the segments
    frames_per_segment: int  # both ends included

    @property
    def native_frames(self) -> int:
        """Frames of the whole gap, those in which segments meet counted once."""
        return self.segments * (self.frames_per_segment - 1) + 1

    def sampled_frames(self, usual: int) -> int:
        """What it costs: frames that the network denoises in all, with a coarse clip of `usual` frames where there is one."""
        return self.segments * self.frames_per_segment + (usual if self.segments > 1 else 0)


def plan(
    duration_s: float,
    fps: float,
    motion: float,
    counts: Sequence[int],
    *,
    reach: float = REACH,
    max_segments: int = MAX_SEGMENTS,
) -> Plan:
    """The plan of one gap.

    duration_s    the gap's length in seconds, and fps the frames shown in each of them
    motion        how far things move in it, as a share of the diagonal (`measured_motion`)
    counts        the numbers of frames that the model can make, both ends included, e.g. (14, 25)
    reach         share of the diagonal that the model bridges at its full length
    max_segments  bounds the cost

    The fewest frames are planned that have the steps asked for; among the numbers of segments, the smallest.
    Raises InputError for values out of range.
    """
    number(duration_s, "duration", low=0, unit="s")
    number(fps, "fps", low=0)
    number(motion, "motion", low=0)
    number(reach, "reach", low=1e-6)
    integer(max_segments, "segments", low=1)
    counts = sorted({integer(n, "frames of the model", low=2) for n in counts})
    if not counts:
        raise InputError("frames of the model: at least one number of frames is needed, got none.")
    most = counts[-1] - 1  # steps of the longest clip
    asked = _steps(motion / reach * most, duration_s * fps)
    segments = min(max_segments, max(1, math.ceil(asked / most)))
    enough = (n for n in counts if segments * (n - 1) >= asked)
    return Plan(segments, next(enough, counts[-1]))


def native_frames(duration_s: float, fps: float, motion: float, counts: Sequence[int]) -> int:
    """The number of frames of each clip that `plan` makes of the gap."""
    return plan(duration_s, fps, motion, counts).frames_per_segment


def plan_pair(
    start: np.ndarray, end: np.ndarray, n_between: int, counts: Sequence[int], *, max_segments: int = MAX_SEGMENTS
) -> Plan:
    """The plan for `n_between` frames to be shown between two keyframes, uint8 [H W 3], with their motion measured."""
    integer(n_between, "frames", low=0)
    return plan(float(n_between + 1), 1.0, measured_motion(start, end), counts, max_segments=max_segments)


def measured_motion(start: np.ndarray, end: np.ndarray) -> float:
    """How far the fastest things move from `start` to `end`, uint8 [H W 3] of one size, as a share of the diagonal.

    The 99th percentile of the optical flow's length, of both directions, raised by the share of what has changed that
    this flow does not explain: such things have come, gone, or moved farther than it follows. 0 for equal pictures.
    """
    if start.shape != end.shape:
        raise InputError(f"end: must have the size of start {start.shape[:2]}, got {end.shape[:2]}.")
    if np.array_equal(start, end):
        return 0.0
    small = [_at_working_size(picture) for picture in (start, end)]
    flows, _ = of.bidirectional_flow(*small)
    lengths = np.concatenate([cv2.magnitude(f[..., 0], f[..., 1]).ravel() for f in flows])
    fastest = float(np.percentile(lengths, _FASTEST)) / math.hypot(*small[0].shape[:2])
    return min(fastest * (1.0 + _unexplained(small, flows)), MAX_MOTION)


def _steps(by_motion: float, shown: float) -> int:
    """Whole steps: as many as the motion asks for, at most as many as are shown, at least one."""
    return max(1, math.ceil(min(by_motion, math.ceil(shown - 1e-6), 1e9) - 1e-6))


def _unexplained(pictures: Sequence[np.ndarray], flows: Sequence[np.ndarray]) -> float:
    """Share of the changed pixels, in both directions, that the flow does not bring nearer to each other."""
    soft = [cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float32) for picture in pictures]
    changed = unexplained = 0
    for i, flow in enumerate(flows):
        before = of.photometric_cost(soft[i], soft[1 - i], np.zeros_like(flow))
        moved = before > _CHANGED
        after = of.photometric_cost(soft[i], soft[1 - i], flow)
        changed += int(moved.sum())
        unexplained += int((moved & (after > _EXPLAINED * before)).sum())
    return unexplained / changed if changed else 0.0


def _at_working_size(picture: np.ndarray) -> np.ndarray:
    """The picture with a long side within _SIDES: a search needs some pixels, and more than enough only cost time."""
    side = max(picture.shape[:2])
    scale = min(max(1.0, _SIDES[0] / side), _SIDES[1] / side)
    if scale == 1.0:
        return np.ascontiguousarray(picture)
    size = [max(1, round(n * scale)) for n in picture.shape[1::-1]]
    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
