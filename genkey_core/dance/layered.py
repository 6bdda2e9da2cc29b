"""In-betweens without a model: the plate stays still, only the subject moves, from pose to pose (thesis sections 7.2.2, 7.2.4).

A frame has one silhouette, in between the two, and one texture but for a short cross-fade half way, when the two poses lie on one
another: no ghost of one pose over the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ..checks import InputError, integer, number
from .matting import pure_colours
from .morph import CANVAS, FILL, Pose, exponential, extent, on_canvas, signed_distance, velocity_between
from .plates import Scene

_FADE = 0.43, 0.57  # positions between which the texture of one pose gives way to the other's
_SYMMETRIC = 0.56  # overlap of a silhouette with its mirror image, below which it has a left and a right
_NARROWEST = 0.42  # width of a subject half way round
_EDGE = 1.5  # pixels over which a drawn silhouette fades
_LIMB = 0.02  # of the picture's height: what is thinner than twice this grows or shrinks earlier than the rest


@dataclass(frozen=True)
class Layer:
    """What is read of one keyframe while a frame is drawn."""

    colours: np.ndarray  # uint8 [H W 3], the subject's, continued beyond it
    mask: np.ndarray  # float32 [H W]
    inside: np.ndarray  # float32 [H W] -1 to 1: signed distance to the outline, bent so that limbs count like bodies
    rim: np.ndarray  # float32 [H W]: what the soft mask has more than a drawn silhouette
    dark: np.ndarray | None  # float32 [H W], the light that the shadow takes; None where there is none


@dataclass(frozen=True)
class Pair:
    """Two poses on one canvas, and the velocity field from the first to the second; None where the subject turns round."""

    a: Pose
    b: Pose
    velocity: np.ndarray | None


class Layered:
    """Frames between any two keyframes of a scene: `between(a, b, positions)`. Prepares each pair once and keeps a few."""

    def __init__(self, scene: Scene, *, kept_pairs: int = 4) -> None:
        self.scene = scene
        self._layer = lru_cache(maxsize=None)(self._make_layer)
        self._pair = lru_cache(maxsize=kept_pairs)(self._make_pair)

    def between(self, a: int, b: int, positions: Iterable[float]) -> Iterator[np.ndarray]:
        """Frames uint8 [H W 3] from keyframe `a` (position 0) to `b` (position 1); those two are the keyframes, bit for bit.

        The way back from `b` to `a` shows the same frames.
        """
        last = len(self.scene.images) - 1
        a, b = integer(a, "keyframe", low=0, high=last), integer(b, "keyframe", low=0, high=last)
        for position in positions:
            t = number(position, "position", low=0.0, high=1.0)
            if t in (0.0, 1.0) or a == b:
                yield self.scene.images[b if t == 1.0 else a].copy()
            else:
                yield self._draw(a, b, t) if a < b else self._draw(b, a, 1.0 - t)

    def _make_layer(self, k: int) -> Layer:
        image, mask, shade = self.scene.images[k], self.scene.masks[k], self.scene.shades[k]
        if not (mask > 0.5).any():
            raise InputError(f"keyframe {k + 1}: its mask shows no subject.")
        colours = np.clip(np.rint(pure_colours(image, mask)), 0, 255).astype(np.uint8)
        distance = signed_distance(mask > 0.5)
        inside = np.tanh(distance / np.float32(_LIMB * mask.shape[0]))
        rim = mask - _step(distance)
        dark = 1.0 - shade if shade.min() < 1.0 else None
        return Layer(colours, mask, inside, rim, dark)

    def _make_pair(self, a: int, b: int) -> Pair:
        layers, masks = [self._layer(k) for k in (a, b)], [self.scene.masks[k] for k in (a, b)]
        (_, size_a, reach_a), (_, size_b, reach_b) = (extent(m) for m in masks)
        ratio = float(np.clip(size_b / size_a, 0.6, 1.6))
        unit = 2.0 * max(reach_a, reach_b / ratio) / (FILL * CANVAS)
        poses = [on_canvas(x.colours, m, s) for x, m, s in zip(layers, masks, (unit, unit * ratio), strict=True)]
        return Pair(*poses, None if _is_turn(*poses) else velocity_between(*poses))

    def _draw(self, a: int, b: int, t: float) -> np.ndarray:
        pair = self._pair(a, b)
        layers = self._layer(a), self._layer(b)
        frame = self.scene.plate.copy()
        centre = (1.0 - t) * pair.a.centre + t * pair.b.centre
        scale = pair.a.scale ** (1.0 - t) * pair.b.scale**t
        self._shade(frame, layers, (centre - pair.a.centre, centre - pair.b.centre), t)
        rect = _canvas_rect(centre, scale, frame.shape[:2])
        canvas = _canvas_points(centre, scale, rect)
        if pair.velocity is None:  # half of the turn shows one side, half the other, each as narrow as it has turned
            width = np.float32(max(abs(np.cos(np.pi * t)), _NARROWEST))
            canvas[..., 0] = CANVAS / 2 + (canvas[..., 0] - CANVAS / 2) / width
            t = float(t >= 0.5)
        positions = []
        for pose, time in ((pair.a, -t), (pair.b, 1.0 - t)):
            moved = canvas
            if pair.velocity is not None:
                way = exponential(pair.velocity, time)
                moved = canvas + cv2.remap(way, canvas, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            positions.append(pose.picture_points(moved))
        _paint(frame, rect, layers, positions, t)
        return frame

    def _shade(
        self, frame: np.ndarray, layers: tuple[Layer, Layer], moves: tuple[np.ndarray, np.ndarray], t: float
    ) -> None:
        """Both shadows go with the subject, one fading out and the other in; without shadows the plate is not touched."""
        dark = None
        for layer, move, share in zip(layers, moves, (1.0 - t, t), strict=True):
            if layer.dark is not None:
                matrix = np.array([[1.0, 0.0, move[0]], [0.0, 1.0, move[1]]])
                moved = cv2.warpAffine(layer.dark, matrix, frame.shape[1::-1], flags=cv2.INTER_LINEAR) * np.float32(
                    share
                )
                dark = moved if dark is None else dark + moved
        if dark is not None:
            ys, xs = np.nonzero(dark)
            if len(ys):
                frame[ys, xs] = np.rint(frame[ys, xs] * (1.0 - dark[ys, xs])[:, None]).astype(np.uint8)


def _paint(
    frame: np.ndarray,
    rect: tuple[int, int, int, int],
    layers: tuple[Layer, Layer],
    positions: list[np.ndarray],
    t: float,
) -> None:
    """Draws the subject into `frame` within `rect`, read from both layers at `positions` [h w 2]."""
    x0, y0, x1, y1 = rect
    masks, insides, rims = (
        [
            cv2.remap(getattr(layer, name), p, None, cv2.INTER_LINEAR, borderMode=mode, borderValue=value)
            for layer, p in zip(layers, positions, strict=True)
        ]
        for name, mode, value in (
            ("mask", cv2.BORDER_CONSTANT, 0),
            ("inside", cv2.BORDER_CONSTANT, -1),
            ("rim", cv2.BORDER_CONSTANT, 0),
        )
    )
    inside = (1.0 - t) * insides[0] + t * insides[1]
    unit = np.float32(_LIMB * frame.shape[0])
    share = _step(inside * unit)
    for own, rim, weight in zip(insides, rims, (1.0 - t, t), strict=True):
        share += weight * rim * np.exp(-np.square((inside - own) * unit / 2.0))
    share = np.clip(share, 0.0, 1.0)
    fade = _smoothstep(t, *_FADE)
    weights = [(1.0 - fade) * (masks[0] + 0.02), fade * (masks[1] + 0.02)]
    second = weights[1] / (weights[0] + weights[1])
    colours = [
        cv2.remap(layer.colours, p, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for layer, p in zip(layers, positions, strict=True)
    ]
    painted = cv2.blendLinear(colours[0], colours[1], 1.0 - second, second)
    behind = frame[y0:y1, x0:x1]
    frame[y0:y1, x0:x1] = cv2.blendLinear(painted, np.ascontiguousarray(behind), share, 1.0 - share)


def _is_turn(a: Pose, b: Pose) -> bool:
    """Whether `b` is `a` seen from its other side, and another picture from there: then a morph would grow a second head."""
    inside, other = a.distance > 0, b.distance > 0
    mirrored = np.roll(inside[:, ::-1], 1, axis=1)  # about the canvas's middle, CANVAS / 2
    return bool(_overlap(mirrored, other) > 0.9 and _overlap(inside, other) < _SYMMETRIC)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def _canvas_rect(centre: np.ndarray, scale: float, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The picture's part x0, y0, x1, y1 that the canvas covers."""
    half = scale * CANVAS / 2
    x0, y0 = (max(0, int(np.floor(c - half))) for c in centre)
    x1, y1 = (min(n, int(np.ceil(c + half)) + 1) for c, n in zip(centre, shape[::-1], strict=True))
    return x0, y0, x1, y1


def _canvas_points(centre: np.ndarray, scale: float, rect: tuple[int, int, int, int]) -> np.ndarray:
    """Where each picture pixel of `rect` lies on the canvas, float32 [h w 2]."""
    x0, y0, x1, y1 = rect
    x = (np.arange(x0, x1) - centre[0]) / scale + CANVAS / 2
    y = (np.arange(y0, y1) - centre[1]) / scale + CANVAS / 2
    return np.dstack(np.meshgrid(x.astype(np.float32), y.astype(np.float32)))


def _step(distance: np.ndarray) -> np.ndarray:
    """The share of a pixel that lies in a silhouette, from its signed distance in pixels."""
    return np.clip(0.5 + distance / np.float32(2.0 * _EDGE), 0.0, 1.0).astype(np.float32)


def _smoothstep(x: float, low: float, high: float) -> np.float32:
    x = min(max((x - low) / (high - low), 0.0), 1.0)
    return np.float32(x * x * (3.0 - 2.0 * x))
