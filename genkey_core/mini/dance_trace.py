"""Draws a body made of soft shapes: one signed distance field, traced, lit and shaded (Hart 1996, sphere tracing).

Everything is in units with x to the right, y up, z to the viewer, seen straight from the front without perspective.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .dance_rig import Shape

_FAR, _NEAR = -1.6, 1.6  # the body lies between, along z
_STEPS, _CLOSE = 56, 0.0025
_LIGHT = np.array([-0.42, 0.68, 0.60]) / np.linalg.norm([-0.42, 0.68, 0.60])
_SUN = np.array([1.14, 1.06, 0.92])
_SKY, _GRASS = np.array([0.46, 0.52, 0.62]), np.array([0.34, 0.38, 0.24])  # light from above and from below
_TILE = 28  # pixels: a tile sees the shapes near it alone
_REACH = 0.36  # how far light and softness carry from shape to shape, but for shadows


@dataclass(frozen=True)
class Seen:
    """What each pixel of a window shows, all [H W ...]: depth z (-inf where nothing is), normal, lit colour, hair length."""

    depth: np.ndarray
    normal: np.ndarray
    colour: np.ndarray
    fur_px: np.ndarray

    @property
    def hit(self) -> np.ndarray:
        return np.isfinite(self.depth)


class Body:
    """The distance field of shapes: negative inside, in units."""

    def __init__(self, shapes: Sequence[Shape]):
        self.shapes = list(shapes)
        # of an ellipsoid: the map to the unit sphere, its offset, 1 / radii; of a rod: start, way, length squared
        self._forms = [_form(shape) for shape in self.shapes]

    def _each(self, points: np.ndarray):
        """(shape, distance [N]) for every shape."""
        columns = np.ascontiguousarray(points.T)  # [3 N]
        for shape, (a, b, c) in zip(self.shapes, self._forms, strict=True):
            if shape.b is None:
                unit = a @ columns - b
                k0 = np.sqrt(np.einsum("cn,cn->n", unit, unit))
                unit *= c
                k1 = np.sqrt(np.einsum("cn,cn->n", unit, unit))
                yield shape, k0 * (k0 - 1) / np.maximum(k1, 1e-6)
            else:
                offset = columns - a
                share = np.clip((b[:, 0] @ offset) / c, 0, 1)
                offset -= share * b
                radius = shape.radii[0] + (shape.radii[1] - shape.radii[0]) * share
                yield shape, np.sqrt(np.einsum("cn,cn->n", offset, offset)) - radius

    def near(self, low: tuple[float, float], high: tuple[float, float]) -> Body | None:
        """The shapes that matter between `low` and `high` (x, y), or None where nothing can be seen there."""
        kept, seen = [], False
        for shape in self.shapes:
            ends = np.array([shape.a, shape.a if shape.b is None else shape.b])[:, :2]
            gap = np.maximum(np.maximum(ends.min(axis=0) - high, low - ends.max(axis=0)), 0)
            gap = float(np.hypot(*gap)) - max(shape.radii)
            if gap < _REACH:
                kept.append(shape)
                seen |= gap < 0.5 * shape.blend
        return Body(kept) if seen else None

    def distance(self, points: np.ndarray) -> np.ndarray:
        """[N 3] -> [N]; the shapes of a group join by a polynomial smooth minimum of their own softness."""
        groups: dict[int, np.ndarray] = {}
        for shape, d in self._each(points):
            total = groups.get(shape.group)
            if total is not None:
                joined = np.minimum(total, d)
                if shape.blend > 0:
                    h = np.maximum(shape.blend - np.abs(total - d), 0) / shape.blend
                    joined -= h * h * (shape.blend / 4)
                d = joined
            groups[shape.group] = d
        return np.minimum.reduce(list(groups.values()))

    def surface(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Own colour [N 3], gloss [N] and hair length [N] at points of the surface, mixed where shapes join."""
        colour = np.zeros((len(points), 3), np.float32)
        gloss, fur, weights = (np.zeros(len(points), np.float32) for _ in range(3))
        nearest, softness = np.full(len(points), np.inf, np.float32), np.zeros(len(points), np.float32)
        distances = list(self._each(points))
        for shape, d in distances:
            softness[d < nearest] = shape.blend
            nearest = np.minimum(nearest, d)
        for shape, d in distances:  # a hard shape, as an eye, takes no colour from what it sits in
            weight = np.exp((nearest - d) / (0.004 + 0.25 * np.minimum(shape.blend, softness)))
            height = (points - shape.a.astype(np.float32)) @ shape.turn[:, 2].astype(np.float32) - shape.edge
            front = smooth(height / 0.14 + 0.5)[:, None]
            colour += weight[:, None] * (
                front * np.array(shape.front, np.float32) + (1 - front) * np.array(shape.back, np.float32)
            )
            gloss += weight * shape.gloss
            fur += weight * shape.fur_px
            weights += weight
        return colour / weights[:, None], gloss / weights, fur / weights

    def normals(self, points: np.ndarray, step: float = 0.006) -> np.ndarray:
        """Unit gradient by four samples at a tetrahedron's corners."""
        total = np.zeros_like(points)
        for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
            arm = np.array(corner, np.float32)
            total += arm * self.distance(points + step * arm)[:, None]
        return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)


def _form(shape: Shape) -> tuple:
    if shape.b is None:
        to_unit = (shape.turn / np.array(shape.radii)).T.astype(np.float32)
        offset = (to_unit @ shape.a.astype(np.float32))[:, None]
        return to_unit, offset, (1 / np.array(shape.radii, np.float32))[:, None]
    way = (shape.b - shape.a).astype(np.float32)[:, None]
    return shape.a.astype(np.float32)[:, None], way, max(float((way * way).sum()), 1e-9)


def smooth(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def trace(body: Body, x: np.ndarray, y: np.ndarray) -> Seen:
    """What is seen along z through the points `x` [W], `y` [H]."""
    shape = (len(y), len(x))
    depth, fur_px = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.float32)
    normal, colour = np.zeros((*shape, 3), np.float32), np.zeros((*shape, 3), np.float32)
    for top in range(0, len(y), _TILE):
        for left in range(0, len(x), _TILE):
            part = (slice(top, top + _TILE), slice(left, left + _TILE))
            tile = Seen(depth[part], normal[part], colour[part], fur_px[part])
            _trace_tile(body, x[part[1]], y[part[0]], tile)
    return Seen(depth, normal, colour, fur_px)


def _trace_tile(body: Body, x: np.ndarray, y: np.ndarray, seen: Seen) -> None:
    """Trace and shade a tile, in place."""
    near = body.near((x.min(), y.min()), (x.max(), y.max()))
    if near is None:
        return
    grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)
    depth = _marched(near, grid)
    seen.depth[:] = depth.reshape(seen.depth.shape)
    if seen.hit.any():
        points = np.concatenate([grid, depth[:, None]], axis=1)[seen.hit.ravel()]
        normal = near.normals(points)
        seen.normal[seen.hit] = normal
        own, gloss, seen.fur_px[seen.hit] = near.surface(points)
        seen.colour[seen.hit] = lit(near, body, points, normal, own, gloss)


def _marched(body: Body, grid: np.ndarray) -> np.ndarray:
    depth = np.full(len(grid), -np.inf, np.float32)
    z = np.full(len(grid), _NEAR, np.float32)
    active = np.arange(len(grid))
    for _ in range(_STEPS):
        if not len(active):
            break
        d = body.distance(np.concatenate([grid[active], z[active, None]], axis=1))
        done = d < _CLOSE
        depth[active[done]] = z[active[done]]
        z[active] -= 0.85 * np.maximum(d, _CLOSE)  # rods that taper are a little nearer than they say
        active = active[~done & (z[active] > _FAR)]
    return depth


def lit(near: Body, body: Body, points, normal, own, gloss) -> np.ndarray:  # [N 3] x3, [N]
    """Colour [N 3], 0 to 255, of surface points under the sun and an open sky; `near` is the part of `body` around."""
    closed = np.zeros(len(points), np.float32)
    for k, reach in enumerate((0.04, 0.10, 0.20, 0.34)):  # what is near darkens: ambient occlusion
        closed += np.maximum(reach - near.distance(points + reach * normal), 0) / reach / (1.5 + 0.5 * k)
    opening = np.clip(1 - 0.55 * closed, 0.25, 1)[:, None]
    facing = normal @ _LIGHT.astype(np.float32)
    clear, turned = np.ones(len(points), np.float32), np.flatnonzero(facing > -0.3)
    for way in (0.05, 0.09, 0.14, 0.20, 0.28, 0.38, 0.50, 0.66, 0.84) if len(turned) else ():
        d = body.distance(points[turned] + way * _LIGHT.astype(np.float32))
        clear[turned] = np.minimum(clear[turned], np.clip(9 * d / way, 0, 1))  # how near a ray to the sun passes
    sun = (np.clip(0.75 * facing + 0.25, 0, 1) * (0.25 + 0.75 * clear))[:, None] * _SUN
    up = (normal[:, 1:2] + 1) / 2
    around = (up * _SKY + (1 - up) * _GRASS) * opening
    rim = (np.clip(1 - normal[:, 2], 0, 1) ** 3 * np.clip(normal[:, 1] + 0.4, 0, 1))[:, None] * 46
    half = _LIGHT + np.array([0, 0, 1])
    half = (half / np.linalg.norm(half)).astype(np.float32)
    shine = (gloss * np.clip(normal @ half, 0, 1) ** 48)[:, None] * 235
    return (own * (0.88 * sun + around) + rim * opening + shine).astype(np.float32)
