"""The large end of the scale world: galaxy, star system, planet, continent, island.

Every painter takes a `Painter`, a generator and the colour that the scene's word stands for.
"""

from __future__ import annotations

import cv2
import numpy as np

from genkey_core.mini.scale_paint import WHITE, Colour, Painter, ellipse_points, jitter, mix, ramp, step, turned

DEEP: Colour = (12, 48, 96)
SHALLOW: Colour = (52, 160, 178)
SAND: Colour = (226, 206, 152)


def starfield(p: Painter, rng: np.random.Generator, count: int = 90) -> None:
    """Black space with stars of differing brightness and a faint haze."""
    haze = step(p.noise(rng, 2.5), 0.6, 0.5)
    p.fill((8, 9, 18) + haze[..., None] * np.array([14, 10, 26]))
    for x, y, brightness in rng.random((count, 3)):
        glow = 70 + 185 * brightness**3
        p.disc(2 * x - 1, 2 * y - 1, 0.006 + 0.012 * brightness**4, (glow, glow, min(glow * 1.08, 255)))


def galaxy(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """A tilted spiral with dust lanes and a bright bulge."""
    starfield(p, rng)
    tilt, flat = rng.uniform(0, np.pi), rng.uniform(0.45, 0.95)
    c, s = np.cos(tilt), np.sin(tilt)
    u, v = p.x * c + p.y * s, (p.y * c - p.x * s) / flat
    r, angle = np.hypot(u, v) + 1e-4, np.arctan2(v, u)
    hand, wind = rng.choice([-1, 1]), rng.uniform(2.6, 3.6)
    phase = 2 * (angle * hand - wind * np.log(r + 0.08)) + rng.uniform(0, 2 * np.pi)
    cloud = p.noise(rng, 7, 4, 0.7)
    arms = (0.5 + 0.5 * np.cos(phase + 1.6 * (cloud - 0.5))) ** 1.6
    disc = np.exp(-((r / 0.72) ** 2.2))
    p.add(disc * (0.14 + 0.95 * arms * np.clip(0.35 + 1.3 * (cloud - 0.2), 0, 2)), mix(colour, WHITE, 0.08))
    knots = step(p.noise(rng, 22, 2), 0.72, 0.14) * arms * disc
    p.add(knots * 0.9, mix(colour, (255, 150, 190), 0.5))
    dust = step(0.5 + 0.5 * np.cos(phase + 2.1), 0.86, 0.2) * np.exp(-(((r - 0.35) / 0.22) ** 2))
    p.dim(1 - 0.55 * dust)
    p.add(1.2 * np.exp(-((r / 0.13) ** 1.3)), (255, 236, 196))


def star_system(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """A sun off the middle, its orbits, and one planet in the middle of the picture."""
    starfield(p, rng, 60)
    side = rng.choice([-1, 1])
    sx, sy = side * rng.uniform(0.5, 0.72), rng.uniform(-0.5, -0.2)
    flat, tilt = rng.uniform(0.5, 0.75), rng.uniform(-0.25, 0.25)
    home = np.hypot(*(turned([(-sx, -sy)], -tilt)[0] / (1, flat)))
    for reach in (0.45, 0.72, 1.0, 1.4, 1.85):
        a = home * reach
        p.line(ellipse_points(sx, sy, a, a * flat, tilt, 90), 0.009, (92, 104, 140), closed=True)
        if reach != 1.0:
            where = rng.uniform(0, 2 * np.pi)
            x, y = turned([(a * np.cos(where), a * flat * np.sin(where))], tilt)[0] + (sx, sy)
            tone = jitter(rng, [(196, 150, 110), (150, 160, 176), (120, 160, 200), (206, 190, 150)][rng.integers(4)])
            sphere(p, x, y, rng.uniform(0.035, 0.075), tone, (sx - x, sy - y))
    distance = p.radius(sx, sy)
    p.add(0.9 * np.exp(-distance / 0.2) + 0.35 * np.exp(-distance / 0.5), colour)
    p.over(step(-distance, -0.2, 0.03), mix(colour, WHITE, 0.62))
    tone = jitter(rng, [(70, 130, 200), (196, 110, 76), (100, 170, 130)][rng.integers(3)])
    sphere(p, 0, 0, rng.uniform(0.15, 0.21), tone, (sx, sy))


def sphere(p: Painter, x: float, y: float, r: float, colour, light) -> None:
    """A lit ball of `colour`, or of an image [S S 3], shaded from the direction `light` in the plane of the picture."""
    u, v = (p.x - x) / r, (p.y - y) / r
    z = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
    lx, ly = np.asarray(light) / (np.hypot(*light) + 1e-6)
    shade = np.clip(0.12 + 0.75 * (0.72 * (u * lx + v * ly) + 0.62 * z) + 0.12 * z, 0.04, 1.1)
    p.over(step(-np.hypot(u, v), -1.0, 6 / p.side / r), np.asarray(colour, np.float32) * shade[..., None])


def planet(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """A globe with land, seas or bands, clouds and an atmosphere, lit from one side."""
    starfield(p, rng, 50)
    r = rng.uniform(0.68, 0.82)
    u, v = p.x / r, p.y / r
    bulge = np.arcsin(np.clip(np.hypot(u, v), 0, 1)) / (np.hypot(u, v) + 1e-4) * 0.62
    across, down = (((k * bulge + 1) * p.side / 2 - 0.5).astype(np.float32) for k in (u, v))

    def wrapped(field: np.ndarray) -> np.ndarray:
        return cv2.remap(field, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)

    land = wrapped(p.noise(rng, 2.6, 5) + 0.16 * np.exp(-((p.radius() / 0.3) ** 2)))
    fine = wrapped(p.noise(rng, 9, 3))
    if rng.random() < 0.3:  # a gas giant
        bands = 0.5 + 0.5 * np.sin(v * rng.uniform(9, 15) + 2.2 * (land - 0.5) + rng.uniform(0, 6))
        surface = ramp(bands + 0.25 * (fine - 0.5), (0.0, mix(colour, WHITE, 0.62)), (0.5, colour),
                       (1.0, mix(colour, (70, 40, 20), 0.5)))  # fmt: skip
    else:
        ground = ramp(fine, (0.2, (92, 108, 60)), (0.5, (150, 132, 88)), (0.8, (206, 190, 150)))
        sea = ramp(land, (0.2, mix(colour, (0, 0, 20), 0.5)), (0.52, colour))
        on = step(land, 0.54, 0.03)[..., None]
        surface = sea * (1 - on) + ground * on
        ice = step(np.abs(v) + 0.2 * (fine - 0.5), 0.86, 0.06)[..., None]
        surface = surface * (1 - ice) + 240 * ice
        cloud = step(wrapped(p.noise(rng, 4, 5, 0.65)), 0.6, 0.22)[..., None] * 0.85
        surface = surface * (1 - cloud) + 250 * cloud
    angle = rng.uniform(0, 2 * np.pi)
    light = np.cos(angle), -abs(np.sin(angle))
    rim = np.exp(-(((p.radius() - r) / 0.07) ** 2)) * np.clip(0.35 + 0.7 * (u * light[0] + v * light[1]), 0, 1)
    p.add(0.7 * rim, mix(colour, WHITE, 0.45))
    sphere(p, 0, 0, r, surface, light)


def relief(p: Painter, height: np.ndarray, strength: float) -> np.ndarray:
    """Shading [S S] of a height field lit from the upper left."""
    slope = (np.roll(height, 1, 0) - height) + (np.roll(height, 1, 1) - height)
    return np.clip(1 - strength * slope * p.side, 0.45, 1.5)


def clouds(p: Painter, rng: np.random.Generator, edge: float, spread: float = 0.07) -> None:
    """Clouds from above, with their shadows."""
    cover = step(p.noise(rng, 3.5, 5, 0.62), edge, 0.16) * step(p.radius(), 0.45, 0.5)
    shift = round(spread * p.side / 2)
    p.dim(1 - 0.35 * np.roll(cover, (shift, shift), (0, 1)))
    p.over(cover * 0.92, WHITE)


def continent(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """Coasts, mountain ranges and an inner sea with an island in it, from orbit."""
    r = p.radius() + 0.25 * (p.noise(rng, 4, 3) - 0.5)
    height = p.noise(rng, 2.4, 6, 0.56) + 0.17 - 0.22 * np.exp(-(((r - 0.24) / 0.1) ** 2)) - 0.16 * step(r, 0.95, 0.5)
    height += 0.08 * np.exp(-((r / 0.1) ** 2))
    sea = ramp(height, (0.2, DEEP), (0.47, mix(DEEP, SHALLOW, 0.45)), (0.5, SHALLOW))
    high = mix(colour, (120, 96, 72), 0.6)
    soil = ramp(height + 0.25 * (p.noise(rng, 8, 3) - 0.5), (0.5, mix(colour, SAND, 0.3)), (0.6, colour),
                (0.78, high), (0.95, (236, 236, 240)))  # fmt: skip
    on = step(height, 0.5, 0.012)[..., None]
    p.fill(sea * (1 - on) + soil * relief(p, height, 0.05)[..., None] * on)
    clouds(p, rng, rng.uniform(0.72, 0.85))


def island(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """One island in the middle of the sea: reef, surf, beach, vegetation, hills."""
    stretch, tilt = rng.uniform(0.7, 1.0), rng.uniform(0, np.pi)
    u, v = p.x * np.cos(tilt) + p.y * np.sin(tilt), (p.y * np.cos(tilt) - p.x * np.sin(tilt)) / stretch
    height = 0.98 - 0.85 * np.hypot(u, v) + 0.75 * (p.noise(rng, 2.6, 5, 0.5) - 0.5)
    water = ramp(height + 0.05 * (p.noise(rng, 16, 2) - 0.5), (0.0, DEEP), (0.3, mix(DEEP, SHALLOW, 0.5)),
                 (0.46, SHALLOW), (0.5, (160, 220, 208)))  # fmt: skip
    surf = np.exp(-(((height - 0.49) / 0.013) ** 2)) * step(p.noise(rng, 12, 2), 0.4, 0.2)
    water = water * (1 - surf[..., None]) + 252 * surf[..., None]
    texture = p.noise(rng, 26, 2)
    plants = ramp(texture, (0.2, mix(colour, (10, 30, 10), 0.45)), (0.8, mix(colour, WHITE, 0.16)))
    green = step(height, 0.57, 0.04)[..., None]
    land = np.asarray(SAND) * (1 - green) + plants * relief(p, height + 0.03 * texture, 0.12)[..., None] * green
    on = step(height, 0.5, 0.015)[..., None]
    p.fill(water * (1 - on) + land * on)
    if rng.random() < 0.4:
        clouds(p, rng, 0.78)
