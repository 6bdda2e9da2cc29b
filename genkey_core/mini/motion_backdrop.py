"""The static backdrops of the motion world: street, hills, park, beach, room and open sky, all in 64 x 64 units."""

from __future__ import annotations

import numpy as np

from genkey_core.mini.motion_draw import Colour, Painter, hsv, shade

_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((96, 160, 220), (206, 230, 244)),  # noon
    ((120, 150, 206), (250, 222, 190)),  # morning
    ((98, 92, 160), (250, 176, 130)),  # dusk
    ((150, 168, 186), (220, 226, 228)),  # overcast
)


def draw_backdrop(painter: Painter, name: str, rng: np.random.Generator, ground: float) -> None:
    """Paints backdrop `name` with its ground line at `ground` units."""
    painter.place(0, 0)
    _BACKDROPS[name](painter, rng, ground)


def _sky(p: Painter, rng: np.random.Generator, bottom: float, *, clouds: int) -> None:
    upper, lower = _SKIES[rng.integers(len(_SKIES))]
    p.gradient(0, bottom, upper, lower)
    x, y, r = rng.uniform(8, 56), rng.uniform(6, 16), rng.uniform(3, 5)
    p.ellipse((x, y), (r * 1.5, r * 1.5), shade(lower, 0.35))
    p.ellipse((x, y), (r, r), (255, 244, 206))
    for _ in range(clouds):
        x, y, r = rng.uniform(0, 64), rng.uniform(5, bottom * 0.55), rng.uniform(2.5, 4.5)
        for dx, dy, k in ((-1.5, 0.3, 0.7), (0, -0.3, 1.0), (1.5, 0.3, 0.75)):
            p.ellipse((x + dx * r, y + dy * r), (1.2 * k * r, 0.7 * k * r), shade(lower, 0.6))


def _ridge(p: Painter, rng: np.random.Generator, top: float, bottom: float, height: float, colour: Colour) -> None:
    x = np.linspace(-1, 65, 34)
    waves = sum(np.sin(x * rng.uniform(0.05, 0.16) + rng.uniform(0, 6.3)) for _ in range(2)) * 0.5
    crest = np.stack([x, top - height * waves], 1)
    p.polygon(np.vstack([crest, [(65, bottom), (-1, bottom)]]), colour)
    p.polygon(np.vstack([crest, crest[::-1] + np.array([0, 1.2])]), shade(colour, 0.18))


def _tree(p: Painter, rng: np.random.Generator, x: float, base: float, height: float) -> None:
    green = hsv(rng.uniform(0.24, 0.36), rng.uniform(0.4, 0.6), rng.uniform(0.42, 0.6))
    p.limb([(x, base), (x, base - height * 0.5)], height * 0.1, (104, 78, 58))
    p.ellipse((x, base - height * 0.68), (height * 0.3, height * 0.36), green)
    p.ellipse((x - height * 0.08, base - height * 0.78), (height * 0.17, height * 0.19), shade(green, 0.2))


def _road(p: Painter, ground: float) -> None:
    p.gradient(ground - 4, 64, (112, 114, 120), (86, 88, 94))
    p.polygon([(-1, ground - 4.6), (65, ground - 4.6), (65, ground - 3.6), (-1, ground - 3.6)], (196, 194, 186))
    for x in range(-2, 64, 13):
        p.polygon([(x, ground + 3.2), (x + 6.5, ground + 3.2), (x + 6, ground + 4.3), (x - 0.5, ground + 4.3)],
                  (232, 226, 200))  # fmt: skip


def _street(p: Painter, rng: np.random.Generator, ground: float) -> None:
    _sky(p, rng, ground, clouds=1)
    x = -2.0
    while x < 64:
        width, height = rng.uniform(9, 15), rng.uniform(14, 34)
        wall = hsv(rng.uniform(0.02, 0.12), rng.uniform(0.08, 0.35), rng.uniform(0.5, 0.8))
        top = ground - 4 - height
        p.polygon([(x, ground), (x, top), (x + width, top), (x + width, ground)], wall)
        p.polygon([(x + width * 0.8, ground), (x + width * 0.8, top), (x + width, top), (x + width, ground)],
                  shade(wall, -0.15))  # fmt: skip
        lit = (250, 232, 178) if rng.random() < 0.4 else (120, 146, 170)
        for wy in np.arange(top + 3, ground - 10, 8.5):
            for wx in np.arange(x + 2, x + width - 4.2, 6.4):
                p.polygon([(wx, wy), (wx + 3.4, wy), (wx + 3.4, wy + 4.6), (wx, wy + 4.6)], lit)
        x += width + (rng.uniform(0, 3) if rng.random() < 0.4 else 0)
    _road(p, ground)


def _hills(p: Painter, rng: np.random.Generator, ground: float) -> None:
    _sky(p, rng, ground, clouds=2)
    hue = rng.uniform(0.22, 0.4)
    _ridge(p, rng, ground - 20, ground, 6, hsv(hue + 0.14, 0.28, 0.66))
    _ridge(p, rng, ground - 11, ground, 4, hsv(hue, 0.42, 0.58))
    _road(p, ground)


def _park(p: Painter, rng: np.random.Generator, ground: float) -> None:
    _sky(p, rng, ground, clouds=2)
    grass = hsv(rng.uniform(0.22, 0.34), 0.45, rng.uniform(0.55, 0.7))
    _ridge(p, rng, ground - 9, ground, 2, shade(grass, -0.2))
    for x in np.sort(rng.uniform(2, 62, rng.integers(2, 5))):
        _tree(p, rng, x, ground - 5, rng.uniform(14, 24))
    p.gradient(ground - 6, 64, shade(grass, 0.12), shade(grass, -0.2))
    p.gradient(ground - 2.5, ground + 3.5, (216, 200, 168), (192, 174, 142))


def _beach(p: Painter, rng: np.random.Generator, ground: float) -> None:
    horizon = ground - rng.uniform(14, 20)
    _sky(p, rng, horizon, clouds=2)
    p.gradient(horizon, ground - 4, (58, 128, 168), (120, 196, 204))
    for y in np.linspace(horizon + 3, ground - 7, 3):
        x = rng.uniform(0, 40)
        p.limb([(x, y), (x + rng.uniform(8, 18), y)], 0.6, (190, 226, 232))
    p.gradient(ground - 4.5, 64, (242, 222, 176), (220, 190, 138))
    p.limb([(-1, ground - 4.6), (65, ground - 4.6)], 1.0, (246, 246, 240))


def _room(p: Painter, rng: np.random.Generator, ground: float) -> None:
    wall = hsv(rng.random(), rng.uniform(0.08, 0.25), rng.uniform(0.75, 0.92))
    floor = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.35, 0.5), rng.uniform(0.5, 0.68))
    p.gradient(0, ground - 5, shade(wall, 0.2), shade(wall, -0.08))
    x, y = rng.uniform(6, 40), rng.uniform(6, 14)
    p.polygon([(x, y), (x + 17, y), (x + 17, y + 19), (x, y + 19)], (250, 250, 246))
    p.polygon([(x + 1.4, y + 1.4), (x + 15.6, y + 1.4), (x + 15.6, y + 17.6), (x + 1.4, y + 17.6)], (150, 200, 232))
    p.limb([(x + 8.5, y + 1), (x + 8.5, y + 18)], 1.2, (250, 250, 246))
    x = x - 24 if x > 28 else x + 24
    frame = hsv(rng.random(), 0.3, 0.5)
    p.polygon([(x, y + 2), (x + 9, y + 2), (x + 9, y + 13), (x, y + 13)], frame)
    p.polygon([(x + 1.4, y + 3.4), (x + 7.6, y + 3.4), (x + 7.6, y + 11.6), (x + 1.4, y + 11.6)], shade(frame, 0.6))
    p.gradient(ground - 5, 64, shade(floor, 0.2), shade(floor, -0.1))
    p.polygon([(-1, ground - 6.2), (65, ground - 6.2), (65, ground - 4.8), (-1, ground - 4.8)], shade(wall, 0.6))


def _open(p: Painter, rng: np.random.Generator, ground: float) -> None:
    _sky(p, rng, 64, clouds=4)
    hue = rng.uniform(0.22, 0.4)
    _ridge(p, rng, 56, 65, 3, hsv(hue + 0.12, 0.3, 0.62))
    _ridge(p, rng, 61, 65, 2, hsv(hue, 0.42, 0.54))


_BACKDROPS = {"street": _street, "hills": _hills, "park": _park, "beach": _beach, "room": _room, "sky": _open}
