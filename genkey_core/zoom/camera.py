"""Where the levels of a stack lie, what the camera sees of them, and its way through them.

The plane that levels and camera share has its origin at the middle of the deepest level, and the width of the widest level as
its unit: there, where the picture is finest, numbers are smallest and so exact, also 16 levels of a factor of 4 down.
A zoom keeps one point of the plane still. Every doubling takes the same time: the width of what is seen changes by a
constant factor per second, the only motion that does not seem to slow down (thesis ch. 6; van Wijk and Nuij 2003).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .. import timing
from ..checks import InputError, choice, integer, number
from ..media.images import MAX_SIDE, MIN_SIDE, check_image

DIRECTIONS = {
    "in": "from the widest level to the deepest",
    "out": "from the deepest level to the widest",
    "in-out": "in and back out; repeats without a seam",
    "out-in": "out and back in; repeats without a seam",
}
MAX_LEVELS = 64
MAX_END_ZOOM = 16.0
MAX_LOOPS = 100


_FEATHER, _FEATHER_PX, _FEATHER_MOST = 0.12, 64, 0.25


@dataclass(frozen=True)
class Placement:
    """Where a level lies: its middle, and how wide one of its pixels is, in units of the plane."""

    x: float
    y: float
    pixel: float


@dataclass(frozen=True)
class View:
    """What one frame shows: the point in its middle, and how wide one of its pixels is, in units of the plane."""

    x: float
    y: float
    pixel: float


def feather(width: int, height: int) -> float:
    """How far the border of a level of this size reaches into it, as a share of its shorter side.

    Beside a level of few pixels what lies around it is so much coarser that a narrow border is seen as a square.
    """
    return min(max(_FEATHER, _FEATHER_PX / min(width, height)), _FEATHER_MOST)


@dataclass(frozen=True, eq=False)
class Stack:
    """Pictures uint8 [H W 3] of any sizes, the widest first, and where each lies; turned upright already."""

    levels: tuple[np.ndarray, ...]
    placements: tuple[Placement, ...]

    def __post_init__(self):
        if not 1 <= len(self.levels) <= MAX_LEVELS:
            raise InputError(f"levels: between 1 and {MAX_LEVELS} are needed, got {len(self.levels)}.")
        for level in self.levels:
            check_image(level)
        for n, (coarse, fine) in enumerate(pairwise(self.placements), 2):
            if not fine.pixel < coarse.pixel:
                raise InputError(f"levels: each must be closer than the one before, and level {n} is not.")

    @property
    def magnifications(self) -> np.ndarray:  # [N]
        """How much closer each level is than the first."""
        return np.array([self.placements[0].pixel / place.pixel for place in self.placements])

    def full_view(self, level: int, size: tuple[int, int]) -> View:
        """The most of a level that a frame of `size` (W, H) can show without looking past it."""
        height, width = self.levels[level].shape[:2]
        place = self.placements[level]
        return View(place.x, place.y, place.pixel * min(width / size[0], height / size[1]))


def concentric(levels: Sequence[np.ndarray] | np.ndarray, p: float) -> Stack:
    """A stack of uint8 [N H W 3] in which every level shows the middle 1/`p` of the one before, as sampled in chapter 6."""
    levels = tuple(levels)
    if not levels:
        raise InputError("levels: at least 1 is needed, got none.")
    p = number(p, "zoom factor", low=1.01, high=64)
    check_image(levels[0])
    if any(level.shape != levels[0].shape for level in levels):
        raise InputError("levels: pictures of one size are needed.")
    unit = 1 / levels[0].shape[1]
    return Stack(levels, tuple(Placement(0.0, 0.0, unit / p**k) for k in range(len(levels))))


@dataclass(frozen=True)
class Journey:
    """How the camera goes through a stack. The defaults are a steady zoom in."""

    size: tuple[int, int] = (1024, 1024)  # (W, H) of the frames, even, 16 to 4096
    fps: float = 30.0  # 1 to 60
    level_s: float = 2.0  # seconds from one level to the next, on average: speed is the same all the way
    direction: str = "in"  # one of DIRECTIONS
    easing: str = "linear"  # of the whole way, or from stop to stop where it holds at levels; see timing.Easing
    hold_s: float = 0.0  # how long it stands still at every level
    end_hold_s: float = 0.0  # how long it stands still at the first and at the last, beyond `hold_s`
    end_zoom: float = 1.0  # how far it goes into the deepest level, once that fills the frame
    loops: int = 1  # how often the whole way is gone

    def __post_init__(self):
        if len(self.size) != 2:
            raise InputError(f"size: a width and a height are needed, got {len(self.size)} numbers.")
        for side in self.size:
            if integer(side, "size", low=MIN_SIDE, high=MAX_SIDE) % 2:
                raise InputError(f"size: an even width and height are needed, got {self.size[0]}x{self.size[1]}.")
        number(self.fps, "fps", low=1, high=60)
        number(self.level_s, "time per level", low=0.05, high=600, unit="s")
        choice(self.direction, "direction", DIRECTIONS)
        timing.Easing.parse(self.easing)
        number(self.hold_s, "hold", low=0, high=600, unit="s")
        number(self.end_hold_s, "hold at the ends", low=0, high=600, unit="s")
        number(self.end_zoom, "zoom into the deepest level", low=1, high=MAX_END_ZOOM)
        integer(self.loops, "loops", low=1, high=MAX_LOOPS)


@dataclass(frozen=True, eq=False)
class Way:
    """The frames of a journey: what each one sees, and between which stops (for captions) it is."""

    views: tuple[View, ...]
    depths: np.ndarray  # [T] in levels: 0 at the first, 1 at the second; past the last where it zooms into that
    fps: float

    def __len__(self) -> int:
        return len(self.views)

    @property
    def duration_s(self) -> float:
        return len(self) / self.fps


def way(stack: Stack, journey: Journey) -> Way:
    """The frames of a journey through `stack`; raises InputError where it has no length or is too fast for its rate.

    The way leads from a full view of the first level to one of the last, straight through the plane, so that one point
    stands still; it never looks past the first level. Its stops are the levels. "in-out" and "out-in" leave out the last
    frame, which is the first again: played in a loop they run on without a stutter.
    """
    zooms, depths = _stops(stack, journey)
    if zooms[-1] - zooms[0] < 1e-3:
        raise InputError("levels: at least 2, or a zoom into the deepest, are needed for the camera to move.")
    gaps, order = _gaps(zooms, journey)
    back = journey.direction in ("in-out", "out-in")
    timeline = timing.timeline(
        gaps,
        fps=journey.fps,
        playback="loop" if back else "once",
        end_hold_s=0.0 if back else journey.hold_s + journey.end_hold_s,
    )
    start, end = order[timeline.start], order[timeline.end]
    zoom = zooms[start] + timeline.position * (zooms[end] - zooms[start])
    views = tuple(_views(stack, journey, zoom)) * journey.loops
    return Way(views, np.tile(np.interp(zoom, zooms, depths), journey.loops), journey.fps)


def _stops(stack: Stack, journey: Journey) -> tuple[np.ndarray, np.ndarray]:  # [K], [K]
    """Where the camera may stop: doublings from the first full view on, and the level that each stop is at."""
    first = stack.full_view(0, journey.size).pixel
    zooms = [math.log2(first / stack.full_view(k, journey.size).pixel) for k in range(len(stack.levels))]
    depths = list(range(len(zooms)))
    for k in range(len(zooms) - 1, 0, -1):  # levels of other shapes may not grow smaller in the frame
        if zooms[k] <= zooms[k - 1]:
            del zooms[k - 1], depths[k - 1]
    if journey.end_zoom > 1.0:
        zooms.append(zooms[-1] + math.log2(journey.end_zoom))
        depths.append(depths[-1] + 1)
    return np.array(zooms), np.array(depths, dtype=float)


def _gaps(zooms: np.ndarray, journey: Journey) -> tuple[list[timing.Gap], np.ndarray]:
    """The gaps of the timeline, and the stop that each of its keyframes is."""
    stops = np.arange(len(zooms)) if journey.hold_s > 0 else np.array([0, len(zooms) - 1])
    if journey.direction.startswith("out"):
        stops = stops[::-1]
    if journey.direction in ("in-out", "out-in"):
        stops = np.concatenate([stops, stops[-2::-1]])
    pace_s = journey.level_s * (len(zooms) - 1) / (zooms[-1] - zooms[0])  # seconds per doubling
    easing = timing.Easing.parse(journey.easing)
    ends = (0, len(zooms) - 1)
    gaps = [
        timing.Gap(
            abs(zooms[b] - zooms[a]) * pace_s, easing, journey.hold_s + (journey.end_hold_s if a in ends else 0.0)
        )
        for a, b in pairwise(stops)
    ]
    looped = journey.direction in ("in-out", "out-in")
    return gaps, stops[:-1] if looped else stops


def _views(stack: Stack, journey: Journey, zooms: np.ndarray) -> Iterator[View]:
    """The view after each number of doublings: scaled about the point that the first and the last view share."""
    first, last = (stack.full_view(k, journey.size) for k in (0, len(stack.levels) - 1))
    still = _still_point(first, last)
    for zoom in zooms:
        share = 2.0**-zoom
        yield View(*(s + share * (a - s) for s, a in zip(still, _at(first), strict=True)), first.pixel * share)


def _still_point(first: View, last: View) -> tuple[float, float]:
    """The point of the plane that stands at one place of the frame in both views."""
    shrink = last.pixel / first.pixel
    if shrink > 0.999:
        return _at(last)
    return tuple((b - shrink * a) / (1 - shrink) for a, b in zip(_at(first), _at(last), strict=True))


def _at(view: View) -> tuple[float, float]:
    return view.x, view.y
