"""A procedural world in which time has a direction, with every mover's true path.

Cars drive the way they face, walkers stride ahead, birds fly beak first, hot-air balloons rise, balls are dropped at
one side and bounce towards the other. One mover per clip, over a static backdrop. Played backwards, every clip is
wrong, which is what makes the claims of thesis ch. 5 measurable without a human eye.

Seeds: training draws from TRAIN_SEEDS, previews and validation from VALIDATION_SEEDS, and benchmarks from
HELD_OUT_SEEDS alone; the three ranges are disjoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from genkey_core import checks
from genkey_core.mini.motion_backdrop import draw_backdrop
from genkey_core.mini.motion_draw import DRAW, UNITS, Colour, Painter, hsv

TRAIN_SEEDS = range(0, 1_000_000)
VALIDATION_SEEDS = range(1_000_000, 1_100_000)
HELD_OUT_SEEDS = range(9_000_000, 9_100_000)

KINDS = ("car", "walker", "bird", "balloon", "ball")
_SHARES = (0.30, 0.20, 0.20, 0.15, 0.15)
_BACKDROPS_OF = {
    "car": ("street", "hills"),
    "walker": ("street", "park", "beach"),
    "bird": ("sky", "hills", "beach", "park"),
    "balloon": ("sky", "hills", "street"),
    "ball": ("room", "park", "beach"),
}
# How far a mover may be from the picture's edge with all of it in view, units: (left and right, top, bottom).
_REACH = {"car": (12, 11, 0), "walker": (10, 22, 0), "bird": (11.5, 11, 10), "balloon": (9, 10, 14), "ball": (6, 6, 6)}
_TRAVEL = {"car": (13, 34), "walker": (10, 26), "bird": (13, 34), "balloon": (12, 28), "ball": (12, 28)}

REVERSAL_PX = 0.25  # a backward step smaller than this, at 64 px, is tracking noise


@dataclass(frozen=True)
class Clip:
    """One clip and the truth about it. Pixel coordinates are (x, y) with (0, 0) the middle of the first pixel."""

    images: np.ndarray  # uint8 [T H W 3]
    path: np.ndarray  # float32 [T 2]: middle of the mover's silhouette, px; NaN where it is out of view
    facing: tuple[float, float]  # unit vector the mover goes along; (0, -1) is up
    kind: str  # one of KINDS
    backdrop: str
    colour: tuple[float, float, float]  # the mover's, 0 to 255
    background: np.ndarray  # uint8 [H W 3]: the backdrop without the mover
    extent: tuple[float, float]  # mean width and height of the mover, px
    seed: int


def make_clip(seed: int, *, frames: int = 8, size: int = 64, in_view: bool = True) -> Clip:
    """The clip of `seed`: `frames` pictures of `size` x `size`, evenly spaced over the same motion whatever their number.

    in_view True keeps the whole mover in the picture throughout (what benchmarks need); False lets it start
    anywhere and leave, as real footage does (training mixes both). The same arguments give the same bytes.
    """
    seed = checks.integer(seed, "seed", low=0)
    frames = checks.integer(frames, "frames", low=2, high=256)
    size = checks.integer(size, "size", low=16, high=1024)
    rng = np.random.default_rng([seed, 20250519])
    kind = str(rng.choice(KINDS, p=_SHARES))
    backdrop = str(rng.choice(_BACKDROPS_OF[kind]))
    scale, ground = rng.uniform(1.0, 1.2), rng.uniform(51, 58)
    anchors, phases, facing = _motion(rng, kind, np.linspace(0, 1, frames), scale, ground, in_view)

    painter = Painter(size)
    draw_backdrop(painter, backdrop, rng, ground)
    background = painter.image()
    colour = _contrasting(rng, kind, background, anchors)
    images, coverage = [], []
    for (x, y), phase in zip(anchors, phases, strict=True):
        frame = Painter(size, painter.canvas)
        if kind == "ball":
            height = max(0.0, ground - 5 * scale - y)
            frame.place(x, ground)
            frame.shadow((0, 0), (4.5 * scale, 1.2), 0.4 / (1 + height / 12))
        frame.place(x, y, -1.0 if facing[0] < 0 else 1.0, scale)
        DRAW[kind](frame, colour, phase)
        images.append(frame.image())
        coverage.append(frame.silhouette())
    path, extent = _centroids(np.stack(coverage))
    return Clip(np.stack(images), path, facing, kind, backdrop, colour, background, extent, seed)


def _motion(rng, kind: str, time: np.ndarray, scale: float, ground: float, in_view: bool):
    """Anchors [T 2] in units, animation phases [T] in radians, and the facing, for `time` in [0, 1]."""
    side, above, below = (reach * scale for reach in _REACH[kind])
    travel = rng.uniform(*_TRAVEL[kind])
    uneven = rng.uniform(-0.5, 0.5)  # speeds up or brakes by up to half, never turns
    gone = travel * (time + uneven * (time**2 - time))  # units along the facing
    beat = rng.uniform(0, 2 * np.pi)

    if kind == "balloon":
        low, high = above + travel, UNITS - below
        y0 = rng.uniform(low, max(low, high)) if in_view else rng.uniform(14, 56)
        x0 = rng.uniform(side + 2, UNITS - side - 2)
        sway = 1.6 * np.sin(beat + 3.0 * time)
        return np.stack([x0 + sway, y0 - gone], 1), beat + 3.0 * time, (0.0, -1.0)

    if kind == "ball":  # dropped on one side, it bounces towards the other
        facing = 1.0 if rng.random() < 0.5 else -1.0
        near = rng.uniform(side, UNITS / 2 - travel / 4) if in_view else rng.uniform(2, 30)
        near = min(near, UNITS - side - travel) if in_view else near
        x0 = near if facing > 0 else UNITS - near
        y = _bounce(time, drop=rng.uniform(18, 40), floor=ground - 5 * scale)
        return np.stack([x0 + facing * gone, y], 1), beat + facing * gone / (5 * scale), (facing, 0.0)

    facing = 1.0 if rng.random() < 0.5 else -1.0
    start = rng.uniform(side, UNITS - side - travel) if in_view else rng.uniform(4, 56)
    x = start + gone if facing > 0 else UNITS - start - gone
    if kind == "bird":
        y0, climb = rng.uniform(above + 6, 40 - 2), rng.uniform(-7, 7)
        phase = beat + rng.uniform(8, 13) * time
        y = y0 - climb * (time - 0.5) - 0.8 * np.cos(phase)
        return np.stack([x, y], 1), phase, (facing, 0.0)
    turn = gone / (2.5 * scale) if kind == "car" else gone / (2.1 * scale)
    return np.stack([x, np.full_like(x, ground)], 1), beat + turn, (facing, 0.0)


def _bounce(time: np.ndarray, *, drop: float, floor: float, keep: float = 0.74) -> np.ndarray:
    """Heights of a ball dropped from rest `drop` units above `floor`, keeping `keep` of its speed at each bounce."""
    gravity = 230.0  # units per squared clip length: 34 units take a little over half a clip
    fall = np.sqrt(2 * drop / gravity)
    y = np.empty_like(time)
    for i, t in enumerate(time):
        height, speed, left = drop, 0.0, t
        if left >= fall:
            left, height, speed = left - fall, 0.0, gravity * fall * keep
            while left >= 2 * speed / gravity and speed > 1.0:
                left, speed = left - 2 * speed / gravity, speed * keep
        y[i] = floor - max(0.0, height + speed * left - 0.5 * gravity * left**2)
    return y


def _contrasting(rng, kind: str, background: np.ndarray, route: np.ndarray) -> Colour:
    """Of six bright colours, the one that stands out most from the backdrop along the mover's `route` [T 2], units."""
    size, (_, above, below) = len(background), _REACH[kind]
    x, y = (route * size / UNITS).T
    heights = [y - d * size / UNITS for d in np.linspace(-0.7 * below, 0.9 * above, 6)]
    rows, columns = (np.clip(np.round(v).astype(int), 0, size - 1) for v in (np.stack(heights), x))
    around = background[rows, columns].reshape(-1, 3).astype(float)
    candidates = [hsv(rng.random(), rng.uniform(0.75, 0.95), rng.uniform(0.7, 0.95)) for _ in range(6)]
    return max(candidates, key=lambda c: np.percentile(np.abs(around - np.asarray(c)).max(1), 10))


def _centroids(coverage: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Silhouettes [T H W] -> middles [T 2] in px (NaN where less than a quarter is in view) and the mean extent."""
    mass = coverage.sum((1, 2))
    ys, xs = np.mgrid[: coverage.shape[1], : coverage.shape[2]]
    with np.errstate(invalid="ignore", divide="ignore"):
        path = np.stack([(coverage * axis).sum((1, 2)) / mass for axis in (xs, ys)], 1)
    path[mass < 0.25 * mass.max()] = np.nan
    spans = [((c > 0.5).any(0).sum(), (c > 0.5).any(1).sum()) for c in coverage]
    width, height = np.max(spans, 0)
    return path.astype(np.float32), (float(width), float(height))


def track(frames: np.ndarray, clip: Clip) -> np.ndarray:
    """Where the mover is in `frames` uint8 [T H W 3], made from `clip`'s keyframes -> px [T 2], NaN where it is lost.

    The mover is what differs from the known backdrop. In each frame the box of the mover's size that holds the most
    difference is found first and its centroid taken, so that a doubled or half-faded mover counts as where its
    stronger half is, and not as the average of both. Parts that hardly differ (white shoes on sand) pull the centroid
    the same way in every frame: that offset is measured on the true frames and taken off. In true clips the result
    is within a pixel of `clip.path`.
    """
    offset = np.nanmean(_strongest(clip.images, clip) - clip.path, axis=0)
    return _strongest(frames, clip) - offset


def _strongest(frames: np.ndarray, clip: Clip) -> np.ndarray:
    """Centroid of the strongest mover-sized difference from the backdrop in each frame, px [T 2]."""
    width, height = clip.extent
    box = (int(1.15 * width) | 1, int(1.15 * height) | 1)
    weight = _difference(frames, clip.background)
    true_mass = np.median(_difference(clip.images, clip.background).sum((1, 2)))
    ys, xs = np.mgrid[: weight.shape[1], : weight.shape[2]]
    path = np.full((len(weight), 2), np.nan, np.float32)
    for i, w in enumerate(weight):
        score = cv2.boxFilter(w, -1, box, normalize=False, borderType=cv2.BORDER_CONSTANT)
        y, x = np.unravel_index(score.argmax(), score.shape)
        if score[y, x] < 0.2 * true_mass:
            continue
        for _ in range(5):
            near = w * (np.abs(xs - x) <= box[0] / 2 + 1) * (np.abs(ys - y) <= box[1] / 2 + 1)
            mass = near.sum()
            x, y = (near * xs).sum() / mass, (near * ys).sum() / mass
        path[i] = x, y
    return path


def _difference(frames: np.ndarray, background: np.ndarray) -> np.ndarray:
    """How surely each pixel is not backdrop, float32 [T H W] in [0, 1]; shadows and coding noise stay near 0."""
    distance = np.abs(frames.astype(np.float32) - background.astype(np.float32)).max(-1)
    return np.clip((distance - 26) / 30, 0, 1)


def path_error(path: np.ndarray, clip: Clip) -> float:
    """Mean distance in px between `path` [T 2] and the true one; a lost frame counts as the mover's whole travel."""
    travel = float(np.linalg.norm(np.diff(clip.path, axis=0), axis=1).sum())
    distance = np.linalg.norm(path - clip.path, axis=1)
    return float(np.where(np.isnan(distance), travel, distance).mean())


def reversals(path: np.ndarray, clip: Clip) -> float:
    """Share of the T - 1 steps of `path` [T 2] in which the mover goes against its facing; 0 in every true clip.

    A step to or from a lost frame shows no direction and counts as half, as a coin would.
    """
    along = np.diff(path, axis=0) @ np.asarray(clip.facing)
    tolerance = REVERSAL_PX * clip.images.shape[1] / UNITS
    return float(np.where(np.isnan(along), 0.5, along < -tolerance).mean())
