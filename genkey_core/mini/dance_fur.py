"""Fur and small marks of the drawn marmot: hairs that are rooted in its skin, whiskers, and the light in its eyes.

Hairs belong to the shapes and not to the picture, so the same ones are seen in every pose, as on an animal.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .dance_landscape import SCALE, fixed
from .dance_rig import Frame, Shape
from .dance_trace import Body, Seen

_PER_AREA = 5200  # hairs on a square unit
_BARE_PX = 0.7  # hair shorter than this is none
_LIFT = 0.42  # how far hairs stand off the skin


@dataclass(frozen=True)
class Window:
    """Where units lie in the picture: `per_unit` final pixels, and the pixel of x = 0, y = 0."""

    per_unit: float
    centre: tuple[float, float]

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Units [... 2 or 3] -> final pixels [... 2], x to the right and y down."""
        return np.stack(
            [self.centre[0] + self.per_unit * points[..., 0], self.centre[1] - self.per_unit * points[..., 1]], -1
        )


def roots(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Points [N 3] all over one shape, before it is blended with others."""
    if shape.b is None:
        a, b, c = shape.radii
        area = 4 * np.pi * (((a * b) ** 1.6 + (a * c) ** 1.6 + (b * c) ** 1.6) / 3) ** (1 / 1.6)
        ball = rng.standard_normal((int(area * _PER_AREA), 3))
        ball /= np.linalg.norm(ball, axis=1, keepdims=True)
        return shape.a + ball * shape.radii @ shape.turn.T
    way = shape.b - shape.a
    length = np.linalg.norm(way)
    count = int((2 * np.pi * length + 4 * shape.radii[1]) * shape.radii[1] * _PER_AREA)
    along = rng.uniform(-0.1, 1.0 + shape.radii[1] / length, count)
    radius = shape.radii[0] + (shape.radii[1] - shape.radii[0]) * np.clip(along, 0, 1)
    ring = rng.standard_normal((count, 3))
    ring -= (ring @ way)[:, None] * way / length**2
    ring *= (radius / np.linalg.norm(ring, axis=1))[:, None]
    return shape.a + along[:, None] * way + ring


def combed(shape: Shape, points: np.ndarray, nose: np.ndarray) -> np.ndarray:
    """Which way hair lies at `points`: along rods, down the trunk, away from the nose on the head."""
    if shape.b is not None:
        return np.broadcast_to(shape.b - shape.a, points.shape)
    if np.linalg.norm(shape.a - nose) < 0.62:
        away = points - nose
        return away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
    return np.broadcast_to(-shape.turn[:, 1], points.shape)


def draw_fur(canvas: np.ndarray, body: Body, seen: Seen, corner, window: Window, head: Frame) -> None:
    """Draw every hair that is seen, the farthest first, on `canvas`; `corner` is where `seen` lies on it."""
    rng = np.random.default_rng(3)
    hairs = [_hairs(body, shape, rng, seen, corner, window, head(0, 0.2, 0.4)) for shape in body.shapes if shape.fur_px]
    depth, lines, colours = (np.concatenate(part) for part in zip(*hairs, strict=True))
    points = np.round(lines * SCALE * 16).astype(np.int32)
    for i in np.argsort(depth):
        cv2.polylines(canvas, [points[i]], False, colours[i].tolist(), 1, cv2.LINE_AA, 4)
    bare = seen.hit & (seen.fur_px < _BARE_PX)  # eyes and nose lie above the hair around them
    _part(canvas, seen, corner)[bare] = seen.colour[bare]


def _hairs(body: Body, shape: Shape, rng, seen: Seen, corner, window: Window, nose: np.ndarray) -> tuple:
    """Depth [N], lines [N 3 2] in final pixels and colours [N 3] of a shape's visible hairs."""
    skin = roots(shape, rng).astype(np.float32)
    chance = rng.uniform(0, 1, (len(skin), 4)).astype(np.float32)
    for _ in range(2):  # onto the blended skin
        skin -= body.distance(skin)[:, None] * body.normals(skin)
    pixel = np.floor(window.pixels(skin) * SCALE).astype(int) - corner
    h, w = seen.depth.shape
    inside = ((pixel >= 0) & (pixel < (w, h))).all(axis=1)
    skin, pixel, chance = skin[inside], pixel[inside], chance[inside]
    rows, columns = pixel[:, 1], pixel[:, 0]
    shown = np.abs(seen.depth[rows, columns] - skin[:, 2]) < 0.02
    skin, chance, rows, columns = skin[shown], chance[shown], rows[shown], columns[shown]
    normal = seen.normal[rows, columns]
    way = combed(shape, skin, nose)
    way = way - normal * (way * normal).sum(axis=1, keepdims=True)
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
    across = np.cross(normal, way)
    way = way + 0.5 * (chance[:, :1] - 0.5) * across
    length = (body.surface(skin)[2] * (0.55 + 0.8 * chance[:, 1]) / window.per_unit)[:, None]
    middle = skin + 0.5 * length * (way + 1.1 * _LIFT * normal)
    tip = skin + length * (way + _LIFT * normal) - [0, 0.12, 0] * length
    lines = window.pixels(np.stack([skin, middle, tip], axis=1))
    shade = (0.84 + 0.34 * chance[:, 2:3]) * (1 + 0.10 * (chance[:, 3:] > 0.8))
    return skin[:, 2], lines, np.clip(seen.colour[rows, columns] * shade, 0, 255)


def draw_marks(canvas: np.ndarray, seen: Seen, corner, window: Window, head: Frame, *, eyes: bool) -> None:
    """Whiskers on both sides of the muzzle, and two lights in each open eye."""
    for side in (-1, 1):
        for k in range(3):
            start, end = (side * 0.10, 0.125 - 0.022 * k, 0.40), (side * 0.36, 0.17 - 0.075 * k, 0.34)
            bend = (side * 0.24, 0.165 - 0.05 * k, 0.40)
            line = np.stack([head(*p) for p in _curve(start, bend, end)])
            if _visible(seen, corner, window, line[0], 0.10):
                _thin(canvas, fixed(window.pixels(line)), (252, 244, 232), 0.5)
        if not eyes:
            continue
        eye = head(side * 0.145, 0.272, 0.250)
        for direction, radius in (((-0.34, 0.46, 0.80), 0.019), ((0.34, -0.42, 0.82), 0.010)):
            place = eye + 0.07 * head.size * np.array(direction)
            if _visible(seen, corner, window, place, 0.04):
                spot = np.zeros(canvas.shape[:2], np.uint8)
                at, size = fixed(window.pixels(place)), int(fixed(radius * window.per_unit * head.size))
                cv2.circle(spot, at, size, 255, -1, cv2.LINE_AA, 4)
                share = _part(spot, seen, corner) * (seen.hit & (seen.fur_px < _BARE_PX)) / np.float32(255)
                part = _part(canvas, seen, corner)
                part += share[..., None] * (255 - part)


def _part(canvas: np.ndarray, seen: Seen, corner) -> np.ndarray:
    """The window of the canvas that `seen` covers."""
    h, w = seen.depth.shape
    return canvas[corner[1] : corner[1] + h, corner[0] : corner[0] + w]


def _curve(a, b, c) -> np.ndarray:
    t = np.linspace(0, 1, 9)[:, None]
    return (1 - t) ** 2 * np.array(a) + 2 * t * (1 - t) * np.array(b) + t**2 * np.array(c)


def _visible(seen: Seen, corner, window: Window, point: np.ndarray, slack: float) -> bool:
    """Whether nothing lies in front of a point that stands off the skin by `slack` at most."""
    column, row = np.floor(window.pixels(point) * SCALE).astype(int) - corner
    h, w = seen.depth.shape
    return bool(0 <= row < h and 0 <= column < w and seen.depth[row, column] < point[2] + slack)


def _thin(canvas: np.ndarray, points: np.ndarray, colour, share: float) -> None:
    """A line one large pixel wide, `share` opaque."""
    over = canvas.copy()
    cv2.polylines(over, [points], False, colour, 1, cv2.LINE_AA, 4)
    canvas += share * (over - canvas)
