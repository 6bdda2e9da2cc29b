"""The keyframes of the dance example: a marmot with headphones, in six poses on one meadow.

The background is the same in every keyframe, pixel for pixel, so what differs is the marmot and its shadow.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from .dance_fur import Window, draw_fur, draw_marks
from .dance_landscape import HEIGHT, SCALE, WIDTH, landscape
from .dance_rig import POSES, frames, shapes
from .dance_trace import Body, trace

PER_UNIT = 128.0  # final pixels of a unit: the marmot is about two units high
GROUND_Y = 520.0  # where it stands, in final pixels from above

_DEPTH = 0.11  # units that the ground rises in the picture, a unit farther away
_MARGIN = 0.2  # units around the body, for hairs
_WINDOW = Window(PER_UNIT, (WIDTH / 2, GROUND_Y))


@lru_cache(maxsize=1)
def stage() -> np.ndarray:
    """The empty meadow, SCALE times too large; not to be written to."""
    canvas = landscape()
    canvas.setflags(write=False)
    return canvas


def finished(canvas: np.ndarray) -> np.ndarray:
    """float32 [H W 3], SCALE times too large -> uint8 [HEIGHT WIDTH 3]."""
    small = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.clip(np.round(small), 0, 255).astype(np.uint8)


def keyframe(name: str) -> np.ndarray:
    """One of POSES on the meadow, uint8 [HEIGHT WIDTH 3]."""
    pose = POSES[name]
    body = Body(shapes(pose))
    low, high = _box(body)
    corner = np.floor(_WINDOW.pixels(np.array([low[0], high[1]])) * SCALE).astype(int)
    end = np.ceil(_WINDOW.pixels(np.array([high[0], low[1]])) * SCALE).astype(int)
    columns, rows = np.arange(corner[0], end[0]), np.arange(corner[1], end[1])
    x = ((columns + 0.5) / SCALE - _WINDOW.centre[0]) / PER_UNIT
    y = (_WINDOW.centre[1] - (rows + 0.5) / SCALE) / PER_UNIT
    seen = trace(body, x, y)
    canvas = stage().copy()
    _draw_shadow(canvas, body)
    part = canvas[corner[1] : end[1], corner[0] : end[0]]
    part[seen.hit] = seen.colour[seen.hit]
    _, _, head = frames(pose)
    draw_fur(canvas, body, seen, corner, _WINDOW, head)
    draw_marks(canvas, seen, corner, _WINDOW, head, eyes=not pose.happy)
    return finished(canvas)


def _box(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest (x, y) of all shapes, with a margin."""
    ends = [(end, max(shape.radii)) for shape in body.shapes for end in (shape.a, shape.b) if end is not None]
    low = np.min([end[:2] - radius for end, radius in ends], axis=0) - _MARGIN
    high = np.max([end[:2] + radius for end, radius in ends], axis=0) + _MARGIN
    return low, high


def _draw_shadow(canvas: np.ndarray, body: Body) -> None:
    """Soft dark ellipses on the grass below every shape, the weaker the higher it is; the sun stands to the left."""
    dark = np.zeros(canvas.shape[:2], np.float32)
    for shape in body.shapes:
        for end in (shape.a, shape.b):
            if end is None:
                continue
            radius, above = max(shape.radii), max(float(end[1]) - max(shape.radii), 0.0)
            spot = np.zeros_like(dark, dtype=np.uint8)
            at = _WINDOW.pixels(np.array([end[0] + 0.16 * above, -end[2] * _DEPTH]))
            axes = np.array([1.05, 0.30]) * radius * PER_UNIT * (1 + 0.3 * above)
            cv2.ellipse(spot, tuple(np.round(at * SCALE).astype(int).tolist()),
                        tuple(np.round(axes * SCALE).astype(int).tolist()), 0, 0, 360, 255, -1, cv2.LINE_AA)  # fmt: skip
            np.maximum(dark, spot * (np.exp(-1.6 * above) / 255), out=dark)
    dark = cv2.GaussianBlur(dark, (0, 0), 5 * SCALE)[..., None]
    canvas *= 1 - np.array([0.52, 0.46, 0.44], np.float32) * dark
