"""The rooms behind the procedural presenter: static, out of focus, painted in shares of the picture's height."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from genkey_core.mini.presenter_identity import Identity

_SHIFT = 4


class _Wall:
    """A canvas twice the picture's size; lengths are shares of the picture."""

    def __init__(self, size: int, colour):
        self.side = size * 2
        self.canvas = np.empty((self.side, self.side, 3), np.uint8)
        self.canvas[:] = np.clip(np.asarray(colour) * 255, 0, 255)

    def polygon(self, points, colour) -> None:
        fixed = np.round((np.asarray(points, float) * self.side - 0.5) * (1 << _SHIFT)).astype(np.int32)
        tone = tuple(float(c) * 255 for c in np.clip(colour, 0, 1))
        cv2.fillPoly(self.canvas, [fixed], tone, cv2.LINE_AA, _SHIFT)

    def box(self, left: float, top: float, right: float, bottom: float, colour) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour, *, tilt: float = 0.0) -> None:
        turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        px, py = rx * np.cos(turn), ry * np.sin(turn)
        self.polygon(
            np.stack([x + px * np.cos(tilt) - py * np.sin(tilt), y + px * np.sin(tilt) + py * np.cos(tilt)], 1), colour
        )


def backdrop(who: Identity, size: int) -> np.ndarray:
    """The room of a person, float32 [size size 3] in [0, 1]."""
    rng = np.random.default_rng([4, 4, who.seed])
    wall = _Wall(size, who.room)
    _ROOMS[who.backdrop](wall, np.asarray(who.room), rng)
    room = cv2.resize(wall.canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    room = cv2.GaussianBlur(room, (0, 0), size * float(rng.uniform(0.005, 0.013)))
    x, y = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    glow = 0.86 + 0.20 * np.exp(-((x - 0.9 * who.light[0]) ** 2 + (y - 0.8 * who.light[1]) ** 2) / 1.6)
    grain = cv2.GaussianBlur(rng.standard_normal((size, size)).astype(np.float32), (0, 0), 0.8) * 0.012
    return np.clip(room * glow[..., None].astype(np.float32) + grain[..., None], 0, 1)


def _hue(rng: np.random.Generator, saturation=(0.25, 0.7), value=(0.3, 0.85)) -> np.ndarray:
    return np.asarray(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(*saturation), rng.uniform(*value)))


def _plain(wall: _Wall, room: np.ndarray, rng: np.random.Generator) -> None:
    if rng.random() < 0.7:
        left, top = rng.choice([rng.uniform(0.02, 0.12), rng.uniform(0.66, 0.78)]), rng.uniform(0.05, 0.2)
        width, height = rng.uniform(0.16, 0.24), rng.uniform(0.18, 0.3)
        wall.box(left, top, left + width, top + height, room * 0.45)
        wall.box(left + 0.012, top + 0.012, left + width - 0.012, top + height - 0.012, (0.93, 0.91, 0.87))
        for _ in range(4):
            x, y = left + width * rng.uniform(0.25, 0.75), top + height * rng.uniform(0.25, 0.75)
            wall.ellipse(x, y, rng.uniform(0.02, 0.05), rng.uniform(0.02, 0.05), _hue(rng))
    wall.box(-0.1, rng.uniform(0.72, 0.8), 1.1, 1.1, room * rng.uniform(0.68, 0.85))


def _shelf(wall: _Wall, room: np.ndarray, rng: np.random.Generator) -> None:
    wood = np.asarray(colorsys.hsv_to_rgb(rng.uniform(0.05, 0.1), rng.uniform(0.3, 0.6), rng.uniform(0.25, 0.6)))
    wall.box(-0.1, -0.1, 1.1, 1.1, wood * 0.5)
    top, gap = rng.uniform(-0.1, 0.0), rng.uniform(0.22, 0.28)
    for level in np.arange(top, 1.1, gap):
        x = -0.02 + rng.uniform(0, 0.03)
        while x < 1.0:
            width, height = rng.uniform(0.018, 0.045), rng.uniform(0.55, 0.85) * gap
            if rng.random() < 0.88:
                tone = _hue(rng)
                wall.box(x, level + gap - height, x + width, level + gap, tone)
                wall.box(
                    x + 0.2 * width,
                    level + gap - 0.75 * height,
                    x + 0.8 * width,
                    level + gap - 0.65 * height,
                    tone * 1.3,
                )
            x += width + 0.003
        wall.box(-0.1, level + gap, 1.1, level + gap + 0.024, wood)


def _window(wall: _Wall, room: np.ndarray, rng: np.random.Generator) -> None:
    left, right = rng.uniform(0.02, 0.2), rng.uniform(0.72, 0.98)
    top, bottom = 0.04, rng.uniform(0.5, 0.68)
    wall.box(left - 0.03, top - 0.03, right + 0.03, bottom + 0.03, (0.93, 0.92, 0.9))
    sky = np.array([0.62, 0.78, 0.93]) * rng.uniform(0.85, 1.05)
    for k, y in enumerate(np.linspace(top, bottom, 12)[:-1]):
        wall.box(left, y, right, y + (bottom - top) / 11 + 0.002, sky + (1 - sky) * k / 16)
    green = np.asarray(colorsys.hsv_to_rgb(rng.uniform(0.22, 0.38), 0.45, 0.5))
    for x in np.linspace(left, right, 7):
        height = rng.uniform(0.06, 0.2)
        wall.ellipse(
            float(np.clip(x, left + 0.07, right - 0.07)),
            bottom - height * 0.4,
            0.07,
            height * 0.4,
            green * rng.uniform(0.8, 1.2),
        )
    for x in (left, (left + right) / 2, right):
        wall.box(x - 0.012, top, x + 0.012, bottom, (0.95, 0.94, 0.92))
    wall.box(left - 0.05, bottom, right + 0.05, bottom + 0.035, (0.88, 0.87, 0.84))


def _curtain(wall: _Wall, room: np.ndarray, rng: np.random.Generator) -> None:
    x, width = -0.05, rng.uniform(0.05, 0.09)
    while x < 1.05:
        for part, light in ((0.0, 0.82), (0.25, 1.0), (0.5, 1.1), (0.75, 0.95)):
            wall.box(x + part * width, -0.1, x + (part + 0.27) * width, 1.1, room * light)
        x += width * rng.uniform(0.9, 1.1)


def _panels(wall: _Wall, room: np.ndarray, rng: np.random.Generator) -> None:
    other = np.clip(room * rng.uniform(0.7, 0.85), 0, 1)
    columns = int(rng.integers(2, 5))
    for k in range(columns):
        left, right = (k + 0.08) / columns, (k + 0.92) / columns
        wall.box(left, 0.06, right, 0.92, other)
        wall.box(left + 0.012, 0.072, right - 0.012, 0.908, room * 0.97)
    x = rng.choice([0.14, 0.86])
    wall.box(x - 0.006, 0.3, x + 0.006, 1.0, (0.2, 0.2, 0.22))
    wall.polygon([(x - 0.05, 0.18), (x + 0.05, 0.18), (x + 0.085, 0.32), (x - 0.085, 0.32)], (1.0, 0.93, 0.74))


def _plants(wall: _Wall, room: np.ndarray, rng: np.random.Generator) -> None:
    _plain(wall, room, rng)
    for x in (rng.uniform(0.05, 0.18), rng.uniform(0.82, 0.95)):
        base, green = rng.uniform(0.72, 0.82), np.asarray(colorsys.hsv_to_rgb(rng.uniform(0.24, 0.4), 0.55, 0.5))
        for angle in rng.uniform(-1.1, 1.1, 13):
            reach = rng.uniform(0.12, 0.3)
            middle = x + np.sin(angle) * reach * 0.6, base - np.cos(angle) * reach * 0.8
            wall.ellipse(*middle, 0.02, reach * 0.42, green * rng.uniform(0.6, 1.35), tilt=angle)
        wall.polygon([(x - 0.07, base), (x + 0.07, base), (x + 0.05, 1.02), (x - 0.05, 1.02)], _hue(rng, (0.1, 0.5)))


_ROOMS = {"wall": _plain, "shelf": _shelf, "window": _window, "curtain": _curtain, "panels": _panels, "plants": _plants}
