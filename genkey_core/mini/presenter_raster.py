"""A small renderer: triangles to pictures and to exact per-pixel part and UV, under a scaled orthographic camera.

Each part is drawn far to near as triangle *numbers*, parts are merged by depth, and every quantity of a pixel then
follows from its triangle's plane equation. Pictures are drawn SUPERSAMPLE times larger and averaged down; part and UV
are evaluated at the middle of each final pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from genkey_core.mini.presenter_identity import Identity
from genkey_core.mini.presenter_mesh import Part

SUPERSAMPLE = 2
_SHIFT = 4  # OpenCV's fixed-point bits


@dataclass(frozen=True)
class Rendering:
    """One picture of a posed body."""

    colour: np.ndarray  # float32 [H W 3] in [0, 1], multiplied by `cover`
    cover: np.ndarray  # float32 [H W], how much of the pixel the person fills
    iuv: np.ndarray  # float32 [H W 3]: DensePose part (0: none), U, V
    depth: np.ndarray  # float32 [H W], head units, -inf where nobody is


@dataclass(frozen=True)
class Posed:
    """A part's vertices on the picture: pixels, depth and normal."""

    part: Part
    pixels: np.ndarray  # float [V 2]
    depth: np.ndarray  # float [V]
    normals: np.ndarray  # float [V 3]


def render(posed: list[Posed], atlas: np.ndarray, who: Identity, size: int) -> Rendering:
    """Draw the parts; `atlas` float32 [A A 3] in [0, 1] holds their textures."""
    side = size * SUPERSAMPLE
    nearest, ids = np.full((side, side), -np.inf, np.float32), np.full((side, side), -1, np.int32)
    planes, index, first, body_ids = [], [], 0, None
    for item in sorted(posed, key=lambda item: item.part.worn):
        if item.part.worn and body_ids is None:
            body_ids = ids.copy()  # what is worn, drawn last, hides the skin but not its body map
        plane, shown = _planes(item, side)
        if len(shown):
            _draw(item, shown, plane, first, nearest, ids)
            planes.append(plane)
            index.append(item.part.index[shown])
            first += len(shown)
    body_ids = ids if body_ids is None else body_ids
    planes, index = np.concatenate(planes), np.concatenate(index)
    colour, cover = _shade(ids, planes, atlas, who)
    iuv = _iuv(body_ids[SUPERSAMPLE // 2 :: SUPERSAMPLE, SUPERSAMPLE // 2 :: SUPERSAMPLE], planes, index)
    depth = nearest.reshape(size, SUPERSAMPLE, size, SUPERSAMPLE).max((1, 3))
    return Rendering(colour, cover, iuv, depth)


def _planes(item: Posed, side: int) -> tuple[np.ndarray, np.ndarray]:
    """What a pixel (x, y) needs of its triangle, float32 [F 8 5], triangles in order from far to near.

    For depth, normal (3), atlas place (2) and UV (2): the plane equation over (x, y, 1), and the least and largest value
    at the corners, which a pixel on the triangle's rim is held to.
    """
    part, xy = item.part, item.pixels * SUPERSAMPLE
    first, second, third = part.triangles.T
    (x1, y1), (x2, y2) = (xy[second] - xy[first]).T, (xy[third] - xy[first]).T
    area = x1 * y2 - y1 * x2
    facing = np.abs(area) > 1e-3 if part.double_sided else area > 1e-3
    beyond = (xy > side) * 1 + (xy < 0) * 2  # a triangle is out of sight where all corners are beyond one edge
    inside = ((beyond[first] & beyond[second] & beyond[third]) == 0).all(1)
    a, b, c = xy[first], xy[second], xy[third]  # slivers between the pixels' middles need no drawing
    least, most = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    hit = (np.ceil(least - 0.5) <= np.floor(most - 0.5)).all(1)
    shown = np.flatnonzero(facing & inside & hit)
    depth = item.depth
    shown = shown[np.argsort((depth[first] + depth[second] + depth[third])[shown], kind="stable")]
    values = np.concatenate([depth[:, None], item.normals, part.atlas, part.uv], 1)
    a, b, c = (values[corner[shown]] for corner in (first, second, third))  # [F 8] x3
    x1, y1, x2, y2, area = (v[shown, None] for v in (x1, y1, x2, y2, area))
    by_x = ((b - a) * y2 - (c - a) * y1) / area
    by_y = ((c - a) * x1 - (b - a) * x2) / area
    at_0 = a - by_x * xy[first[shown], :1] - by_y * xy[first[shown], 1:]
    least, most = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    planes = np.empty((len(shown), values.shape[1], 5), np.float32)
    for k, quantity in enumerate((by_x, by_y, at_0, least, most)):
        planes[..., k] = quantity
    return planes, shown


def _at(planes: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:  # [N Q 5], [N], [N] -> [N Q]
    """Quantities at pixels, each of which has its own triangle's equations."""
    value = planes[..., 0] * x[:, None] + planes[..., 1] * y[:, None] + planes[..., 2]
    return np.minimum(np.maximum(value, planes[..., 3]), planes[..., 4])


def _draw(item: Posed, shown, planes, first: int, nearest: np.ndarray, ids: np.ndarray) -> None:
    """Numbers of the part's triangles, from `first` on, into `ids` where they are nearer than what is there."""
    side = len(ids)
    xy = (item.pixels * SUPERSAMPLE)[item.part.triangles[shown]]
    corners = xy.reshape(-1, 2)
    low = np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, side)
    high = np.clip(np.ceil(corners.max(0)).astype(int) + 2, 0, side)
    if (high <= low).any():
        return
    own = np.full((high[1] - low[1], high[0] - low[0]), -1, np.int32)
    fixed = np.round((np.clip(xy - low, -8 * side, 8 * side) - 0.5) * (1 << _SHIFT)).astype(np.int32)
    for number, triangle in enumerate(fixed):
        cv2.fillConvexPoly(own, triangle, number, cv2.LINE_8, _SHIFT)
    rows, columns = np.nonzero(own >= 0)
    number = own[rows, columns]
    x, y = columns + low[0] + 0.5, rows + low[1] + 0.5
    z = _at(planes[number, :1], x.astype(np.float32), y.astype(np.float32))[:, 0]
    rows, columns = rows + low[1], columns + low[0]
    nearer = z > nearest[rows, columns]
    at = rows[nearer], columns[nearer]
    nearest[at] = z[nearer]
    ids[at] = number[nearer] + first


def _shade(ids: np.ndarray, planes: np.ndarray, atlas: np.ndarray, who: Identity) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero(ids >= 0)
    x, y = (columns + 0.5).astype(np.float32), (rows + 0.5).astype(np.float32)
    value = _at(planes[ids[rows, columns], 1:6], x, y)
    normal = value[:, :3] * np.where(value[:, 2:3] < 0, np.float32(-1), np.float32(1))
    normal /= np.sqrt((normal**2).sum(1, keepdims=True)) + 1e-6
    place = np.zeros((-(-len(value) // 512) * 512, 2), np.float32)  # OpenCV takes maps of less than 32768 columns
    place[: len(value)] = value[:, 3:5] * len(atlas) - 0.5
    across, down = place.T.reshape(2, -1, 512)
    texture = cv2.remap(atlas, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    texture = texture.reshape(-1, 3)[: len(value)]
    lamp = np.asarray(who.light, np.float32)
    half = lamp + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    wrap = np.clip((normal @ lamp + 0.25) / 1.25, 0, 1)[:, None]
    sky = (0.5 - 0.5 * normal[:, 1:2]) * 0.16
    tint = np.array([1 + 0.06 * who.warmth, 1.0, 1 - 0.08 * who.warmth], np.float32)
    rim = (1 - np.clip(normal[:, 2:3], 0, 1)) ** 3 * 0.10
    gloss = np.clip(normal @ half, 0, 1)[:, None] ** 24 * 0.13
    lit = texture * (0.30 + sky + 0.66 * wrap * tint) + rim * texture + gloss * (0.35 + 0.65 * texture)
    side = len(ids)
    drawn = np.zeros((side, side, 4), np.float32)
    drawn[rows, columns, :3] = lit
    drawn[rows, columns, 3] = 1
    small = cv2.resize(drawn, (side // SUPERSAMPLE,) * 2, interpolation=cv2.INTER_AREA)
    return small[..., :3], small[..., 3]


def _iuv(ids: np.ndarray, planes: np.ndarray, index: np.ndarray) -> np.ndarray:
    iuv = np.zeros((*ids.shape, 3), np.float32)
    rows, columns = np.nonzero(ids >= 0)
    number = ids[rows, columns]
    uv = _at(planes[number, 6:8], (columns + 0.5) * SUPERSAMPLE, (rows + 0.5) * SUPERSAMPLE)
    body = index[number] > 0
    iuv[rows, columns, 0] = index[number]
    iuv[rows, columns, 1:] = np.clip(uv, 0, 1) * body[:, None]
    return iuv
