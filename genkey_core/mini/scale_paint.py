"""Painting for the scale world: shapes, fractal textures and light on a square canvas, averaged down at the end.

Coordinates are units: the picture reaches from -1 to 1 both ways (y down), whatever its size in pixels, and the centre
is (0, 0), where a zoom goes. Random draws never depend on the size, so that a seed is the same scene at every size.
"""

from __future__ import annotations

import cv2
import numpy as np

Colour = tuple[float, float, float]
_SHIFT = 4  # OpenCV's fixed-point bits
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
INK: Colour = (38, 40, 48)


class Painter:
    """A canvas uint8 [S S 3] some times larger than the picture, with the units of its pixels in `x` and `y` [S S]."""

    def __init__(self, size: int):
        self.size = size
        self.side = size * (4 if size <= 96 else 2)
        axis = (np.arange(self.side, dtype=np.float32) + 0.5) * (2 / self.side) - 1
        self.x, self.y = np.meshgrid(axis, axis)
        self.canvas = np.zeros((self.side, self.side, 3), np.uint8)

    def fill(self, image) -> None:
        """Sets all pixels to a colour or to an image [S S 3]."""
        self.canvas[:] = np.clip(image, 0, 255)

    def over(self, alpha: np.ndarray, paint) -> None:
        """Lays a colour or an image [S S 3] over the canvas where `alpha` [S S], in [0, 1], says."""
        alpha = np.clip(alpha, 0, 1)[..., None]
        self.canvas[:] = self.canvas * (1 - alpha) + np.clip(np.asarray(paint, np.float32), 0, 255) * alpha

    def add(self, light: np.ndarray, colour: Colour) -> None:
        """Adds light [S S], 1 being the whole of `colour`."""
        self.canvas[:] = np.minimum(self.canvas + light[..., None] * np.asarray(colour, np.float32), 255)

    def dim(self, factor: np.ndarray) -> None:
        """Multiplies the canvas by `factor` [S S]."""
        self.canvas[:] = np.clip(self.canvas * factor[..., None], 0, 255)

    def radius(self, x: float = 0.0, y: float = 0.0) -> np.ndarray:
        """Distance of every pixel from (x, y)."""
        return np.hypot(self.x - x, self.y - y)

    def _fixed(self, points) -> np.ndarray:
        pixels = (np.asarray(points, np.float64) + 1) * (self.side / 2) - 0.5
        return np.round(pixels * (1 << _SHIFT)).astype(np.int32)

    def polygon(self, points, colour: Colour) -> None:
        """A filled polygon through `points` [N 2]."""
        cv2.fillPoly(self.canvas, [self._fixed(points)], colour, cv2.LINE_AA, _SHIFT)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour, *, tilt: float = 0.0) -> None:
        """A filled ellipse, `tilt` in radians."""
        self.polygon(ellipse_points(x, y, rx, ry, tilt), colour)

    def disc(self, x: float, y: float, r: float, colour: Colour) -> None:
        self.ellipse(x, y, r, r, colour)

    def line(self, points, width: float, colour: Colour, *, closed: bool = False) -> None:
        """A stroke `width` units wide through `points`."""
        thickness = max(1, round(width * self.side / 2))
        cv2.polylines(self.canvas, [self._fixed(points)], closed, colour, thickness, cv2.LINE_AA, _SHIFT)

    def shape(self, points) -> np.ndarray:
        """How much of each pixel a polygon covers, float32 [S S]."""
        mask = np.zeros((self.side, self.side), np.uint8)
        cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_AA, _SHIFT)
        return mask.astype(np.float32) / 255

    def soft(self, mask: np.ndarray, spread: float) -> np.ndarray:
        """`mask` blurred by `spread` units."""
        return cv2.GaussianBlur(mask, (0, 0), max(spread * self.side / 2, 0.3))

    def blur(self, spread: float) -> None:
        """Puts all that is painted so far out of focus."""
        self.canvas[:] = self.soft(self.canvas, spread)

    def noise(self, rng: np.random.Generator, cells: float, octaves: int = 4, gain: float = 0.55) -> np.ndarray:
        """Fractal noise [S S], mean 0.5, mostly within 0 to 1; its largest blobs are 2 / `cells` units wide."""
        total, weight, norm = np.zeros((self.side, self.side), np.float32), 1.0, 0.0
        for _ in range(octaves):
            count = max(int(np.ceil(cells)), 2)
            total += weight * self._spread(rng.standard_normal((count + 3, count + 3)).astype(np.float32))
            norm += weight**2
            weight, cells = weight * gain, cells * 2
        return 0.5 + total * (0.28 / norm**0.5)

    def _spread(self, grid: np.ndarray) -> np.ndarray:
        """The middle of a grid, which has three rows and columns to spare, cubically enlarged to the canvas."""
        where = (np.arange(self.side, dtype=np.float32) + 0.5) * ((len(grid) - 3) / self.side) + 0.5
        across, down = np.meshgrid(where, where)
        return cv2.remap(grid, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    def cells(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Voronoi cells of `points` [N 2]: index of the nearest, distance to it, and how much farther the second is."""
        first = np.full((self.side, self.side), 9.0, np.float32)
        second, nearest = first.copy(), np.zeros((self.side, self.side), np.int32)
        for index, (x, y) in enumerate(np.asarray(points, np.float32)):
            distance = np.hypot(self.x - x, self.y - y)
            closer = distance < first
            second = np.where(closer, first, np.minimum(second, distance))
            nearest[closer] = index
            first = np.minimum(first, distance)
        return nearest, first, second - first

    def picture(self) -> np.ndarray:
        """The picture at its own size, uint8 [size size 3]."""
        return cv2.resize(self.canvas, (self.size, self.size), interpolation=cv2.INTER_AREA)


def ellipse_points(x: float, y: float, rx: float, ry: float, tilt: float = 0.0, count: int = 40) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return turned(np.stack([rx * np.cos(angle), ry * np.sin(angle)], 1), tilt, (x, y))


def turned(points, angle: float, at: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """`points` [N 2] turned about the origin by `angle` radians, clockwise on the screen, then moved there."""
    c, s = np.cos(angle), np.sin(angle)
    return np.add(np.asarray(points, np.float64) @ np.array([[c, s], [-s, c]]), at)


def ramp(values: np.ndarray, *stops: tuple[float, Colour]) -> np.ndarray:
    """Colours [S S 3] from values [S S] through (value, colour) stops in rising order."""
    at = [stop[0] for stop in stops]
    return np.stack([np.interp(values, at, [stop[1][c] for stop in stops]) for c in range(3)], -1)


def step(values: np.ndarray, edge: float, width: float = 0.03) -> np.ndarray:
    """0 below `edge`, 1 above it, smooth over `width`."""
    t = np.clip((values - edge) / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Between two colours; `share` 0 is `a`, 1 is `b`."""
    return tuple(float(p + (q - p) * share) for p, q in zip(a, b, strict=True))


def jitter(rng: np.random.Generator, colour: Colour, amount: float = 12.0) -> Colour:
    """A colour near `colour`."""
    return tuple(float(np.clip(c + d, 0, 255)) for c, d in zip(colour, rng.normal(0, amount, 3), strict=True))


def scatter(rng: np.random.Generator, across: int, *, wander: float = 0.75, reach: float = 1.1) -> np.ndarray:
    """Points [N 2] on a jittered grid, about `across` in a row, covering the picture a little beyond its edges."""
    pitch = 2 / across
    axis = np.arange(-reach, reach + pitch, pitch)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    grid += rng.uniform(-0.5, 0.5, grid.shape) * pitch * wander
    return grid
