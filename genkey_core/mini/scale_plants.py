"""The living middle and the small end of the scale world: forest, tree, branch, leaf, veins, cells, nucleus."""

from __future__ import annotations

import numpy as np

from genkey_core.mini.scale_paint import BLACK, WHITE, Colour, Painter, jitter, mix, ramp, scatter, step, turned

BARK: Colour = (98, 72, 52)
SHADE: Colour = (18, 32, 24)


def crown(p: Painter, rng: np.random.Generator, x: float, y: float, r: float, colour: Colour) -> None:
    """A tree's crown from above: clumps of foliage, lit from the upper left."""
    p.disc(x + 0.16 * r, y + 0.2 * r, 1.02 * r, mix(colour, SHADE, 0.82))
    p.disc(x, y, 0.96 * r, mix(colour, SHADE, 0.5))
    for depth in (0.0, 0.35, 0.7):
        for _ in range(7 - int(4 * depth)):
            angle, far = rng.uniform(0, 2 * np.pi), (0.72 - 0.5 * depth) * r * rng.uniform(0.6, 1)
            cx, cy = x + far * np.cos(angle) - 0.22 * depth * r, y + far * np.sin(angle) - 0.22 * depth * r
            light = 0.18 + 0.3 * depth + 0.16 * (-(np.cos(angle) + np.sin(angle)))
            tone = mix(colour, WHITE, light * 0.6) if light > 0.2 else mix(colour, SHADE, 0.34 - light)
            p.disc(cx, cy, (0.36 - 0.12 * depth) * r, jitter(rng, tone, 5))


def forest(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """A forest from above, sometimes with a stream or a clearing; the largest crown stands in the middle."""
    p.fill(ramp(p.noise(rng, 12, 3), (0.2, mix(colour, SHADE, 0.85)), (0.9, mix(colour, SHADE, 0.5))))
    across = int(rng.integers(5, 8))
    points = scatter(rng, across)
    stream = rng.random() < 0.45
    bend, offset = rng.uniform(2, 4), rng.choice([-1, 1]) * rng.uniform(0.55, 0.85)
    tilt = rng.uniform(0, np.pi)
    if stream:
        u, v = p.x * np.cos(tilt) + p.y * np.sin(tilt), p.y * np.cos(tilt) - p.x * np.sin(tilt)
        bed = np.abs(v - offset - 0.09 * np.sin(bend * u))
        p.over(step(-bed, -0.12, 0.04), (176, 164, 126))
        p.over(step(-bed, -0.085, 0.03), (60, 136, 160))
    for x, y in points[np.argsort(points[:, 1])]:
        u, v = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
        if np.hypot(x, y) < 0.34 or (stream and abs(v - offset - 0.09 * np.sin(bend * u)) < 0.2):
            continue
        tone = jitter(rng, mix(colour, SHADE, rng.uniform(0, 0.3)), 10)
        crown(p, rng, x, y, rng.uniform(0.75, 1.05) / across * 1.25, tone)
    crown(p, rng, 0, 0, rng.uniform(0.27, 0.34), jitter(rng, colour, 6))


def tree(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """One tree from the side on a meadow: forked trunk, clumps of foliage, sky and hills behind it."""
    horizon = rng.uniform(0.42, 0.58)
    sky = [((92, 156, 224), (206, 228, 244)), ((120, 130, 190), (250, 206, 160)), ((164, 190, 206), (230, 234, 232))]
    upper, lower = sky[rng.choice(3, p=[0.6, 0.2, 0.2])]
    p.fill(ramp(p.y, (-1, upper), (horizon, lower)))
    p.over(step(p.noise(rng, 3, 4), 0.62, 0.3) * step(-p.y, -0.3, 0.6) * 0.8, WHITE)
    ground = mix((118, 156, 72), colour, 0.12) if min(colour) < 200 else (226, 232, 240)
    hills = horizon - 0.1 * p.noise(rng, 2.5, 3)
    p.over(step(p.y - hills, 0, 0.015), mix(ground, lower, 0.5))
    meadow = ramp(p.noise(rng, 14, 3) + 0.4 * (p.y - horizon), (0.2, mix(ground, SHADE, 0.35)), (0.9, ground))
    p.over(step(p.y - horizon, 0.05, 0.02), meadow)
    p.over(0.5 * np.exp(-(((p.x - 0.1) / 0.5) ** 2) - ((p.y - 0.82) / 0.07) ** 2), SHADE)
    lean = rng.uniform(-0.08, 0.08)
    trunk = [(-0.16, 0.86), (-0.075, 0.7), (-0.06 + lean, 0.1), (0.06 + lean, 0.1), (0.085, 0.7), (0.18, 0.86)]
    p.polygon(trunk, BARK)
    p.polygon([(0.01, 0.86), (0.02 + lean, 0.1), (0.06 + lean, 0.1), (0.085, 0.7), (0.18, 0.86)], mix(BARK, BLACK, 0.3))
    for angle in np.linspace(-1.05, 1.05, 6) + rng.uniform(-0.12, 0.12, 6):
        tip = (0.62 * np.sin(angle), 0.14 - 0.66 * np.cos(angle))
        p.line([(lean * 0.9, 0.32), (tip[0] * 0.4 + lean, tip[1] * 0.45 + 0.12), tip], 0.05, BARK)
    wide, tall = rng.uniform(0.56, 0.7), rng.uniform(0.42, 0.54)
    spots = rng.normal(0, 1, (64, 2))
    spots *= np.minimum(1, 1.25 / np.linalg.norm(spots, axis=1))[:, None] * 0.8
    for index, (u, v) in enumerate(spots):
        x, y, front = u * wide + 0.5 * lean, v * tall - 0.26, index / len(spots)
        lit = np.clip(0.5 - 0.42 * v - 0.3 * u, 0, 1) * (0.4 + 0.6 * front)
        tone = mix(mix(colour, SHADE, 0.6), mix(colour, WHITE, 0.22), lit)
        p.disc(x, y, rng.uniform(0.11, 0.19) * (1.1 - 0.45 * front), jitter(rng, tone, 7))


def outline(length: float, wide: float, *, point: float = 1.0, count: int = 26) -> np.ndarray:
    """A leaf's edge [N 2]: stalk end at (-length, 0), tip at (length, 0)."""
    t = np.linspace(0, 1, count)
    half = wide * np.sin(np.pi * t**0.8) ** 0.9 * (1 - 0.35 * point * t)
    x = length * (2 * t - 1)
    return np.concatenate([np.stack([x, half], 1), np.stack([x, -half], 1)[::-1]])


def small_leaf(p: Painter, x: float, y: float, angle: float, length: float, colour: Colour) -> None:
    """A leaf on its stalk at (x, y), pointing along `angle`."""
    edge = np.add(outline(length, length * 0.52), (length, 0))
    p.polygon(turned(edge, angle, (x, y)), mix(colour, SHADE, 0.22))
    p.polygon(turned(edge[: len(edge) // 2], angle, (x, y)), mix(colour, WHITE, 0.16))
    p.line(turned([(0, 0), (1.9 * length, 0)], angle, (x, y)), 0.012 + 0.02 * length, mix(colour, WHITE, 0.45))


def backdrop(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """Out-of-focus foliage and sky with discs of light."""
    far = mix(mix(colour, (96, 140, 110), 0.55), WHITE, 0.1)
    p.fill(ramp(p.noise(rng, 3, 2) - 0.12 * p.y, (0.2, mix(far, SHADE, 0.6)), (0.55, far), (0.9, (226, 236, 230))))
    for x, y, r in rng.random((7, 3)):
        p.over(0.22 * step(-p.radius(2.2 * x - 1.1, 2.2 * y - 1.1), -0.1 - 0.1 * r, 0.03), mix(far, WHITE, 0.75))


def branch(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """A branch across the picture with twigs and leaves; one leaf lies in the middle."""
    backdrop(p, rng, colour)
    slope, flip = rng.uniform(-0.5, 0.5), rng.choice([-1, 1])
    x = np.linspace(-1.15, 1.15, 24)
    y = slope * x + 0.07 * np.sin(3 * x + rng.uniform(0, 6)) + rng.uniform(0.12, 0.22)
    for i in range(len(x) - 1):
        width = 0.1 - 0.055 * (flip * x[i] + 1) / 2
        p.line([(x[i], y[i] + 0.015), (x[i + 1], y[i + 1] + 0.015)], width, mix(BARK, BLACK, 0.35))
        p.line([(x[i], y[i] - 0.008), (x[i + 1], y[i + 1] - 0.008)], width * 0.6, mix(BARK, WHITE, 0.12))
    for k, at in enumerate(np.linspace(-0.95, 0.95, int(rng.integers(8, 12)))):
        side = -1 if k % 2 else 1
        angle = np.arctan(slope) + side * rng.uniform(0.6, 1.25)
        bx, by = at, np.interp(at, x, y)
        if flip < 0:
            angle = np.pi + np.arctan(slope) - side * rng.uniform(0.6, 1.25)
        tx, ty = bx + 0.12 * np.cos(angle), by + 0.12 * np.sin(angle)
        p.line([(bx, by), (tx, ty)], 0.028, BARK)
        small_leaf(p, tx, ty, angle, rng.uniform(0.15, 0.23), jitter(rng, colour, 14))
    angle = rng.uniform(-0.6, 0.6) - np.pi / 2
    length = rng.uniform(0.25, 0.31)
    small_leaf(p, -length * np.cos(angle), -length * np.sin(angle), angle, length, jitter(rng, colour, 6))


def leaf(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """One leaf that fills the picture, with its midrib and side veins, before a blurred garden."""
    backdrop(p, rng, colour)
    angle, length, wide = rng.uniform(-1.1, 1.1) - np.pi / 2, rng.uniform(0.84, 0.95), rng.uniform(0.5, 0.66)
    edge = outline(length, wide, point=rng.uniform(0.4, 1.2), count=40)
    if rng.random() < 0.4:  # a toothed edge
        edge[:, 1] *= 1 + 0.07 * np.cos(np.arange(len(edge)) * np.pi)
    mask = p.shape(turned(edge, angle))
    p.dim(1 - 0.45 * np.roll(p.soft(mask, 0.06), (p.side // 25, p.side // 40), (0, 1)))
    u, v = p.x * np.cos(angle) + p.y * np.sin(angle), p.y * np.cos(angle) - p.x * np.sin(angle)
    tone = p.noise(rng, 5, 4) + 0.22 * np.sign(v) * step(np.abs(v), 0.0, 0.06) - 0.1 * p.y
    p.over(mask, ramp(tone, (0.1, mix(colour, SHADE, 0.5)), (0.5, colour), (0.95, mix(colour, (255, 255, 210), 0.4))))
    vein, spacing = mix(colour, (250, 250, 215), 0.55), rng.uniform(0.17, 0.23)
    side = np.mod(u - 0.75 * np.abs(v) + 0.25 * v * v, spacing) - spacing / 2
    p.over(mask * np.exp(-((side / 0.014) ** 2)) * 0.75, vein)
    p.over(mask * np.exp(-((v / (0.014 + 0.012 * (0.9 - u))) ** 2)), vein)
    stalk = turned([(-length - 0.3, 0.03), (-length + 0.02, 0)], angle)
    p.line(stalk, 0.05, mix(colour, BARK, 0.4))


def veins(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """The skin of a leaf, close: midrib, side veins and the fine net between them."""
    angle = rng.uniform(0, np.pi)
    u, v = p.x * np.cos(angle) + p.y * np.sin(angle), p.y * np.cos(angle) - p.x * np.sin(angle)
    v = v + 0.04 * np.sin(2.2 * u + rng.uniform(0, 6)) + rng.uniform(0.3, 0.5) * rng.choice([-1, 1])
    points = scatter(rng, int(rng.integers(9, 12)), wander=0.95)
    _, near, gap = p.cells(points)
    tone = ramp(p.noise(rng, 6, 3) + 0.5 * (0.1 - near), (0.15, mix(colour, SHADE, 0.5)), (0.5, colour),
                (0.9, mix(colour, (255, 255, 200), 0.35)))  # fmt: skip
    p.fill(tone)
    light = mix(colour, (252, 252, 216), 0.6)
    p.over(0.55 * step(-gap, -0.022, 0.03), light)
    spacing = rng.uniform(0.5, 0.62)
    side = np.abs(np.mod(u - 0.8 * np.abs(v) + 0.05 * p.noise(rng, 4, 2), spacing) - spacing / 2)
    p.dim(1 - 0.3 * np.exp(-((side / 0.07) ** 2)))
    p.over(np.exp(-((side / 0.034) ** 2)), light)
    p.dim(1 - 0.4 * np.exp(-((v / 0.17) ** 2)))
    p.over(np.exp(-((v / 0.085) ** 4)), mix(light, WHITE, 0.15))


def cells(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """Plant cells under a microscope: walls, grains of chlorophyll, a nucleus in each; one cell is in the middle."""
    points = scatter(rng, int(rng.integers(3, 5)), wander=0.6, reach=1.4)
    points = np.concatenate([[(0, 0)], points[np.hypot(*points.T) > 0.38]])
    which, near, gap = p.cells(points)
    shift = rng.uniform(-0.16, 0.16, len(points))[which]
    pale = mix(colour, WHITE, 0.52)
    p.fill(ramp(0.5 + shift + 0.7 * (near - 0.2) + 0.3 * (p.noise(rng, 10, 2) - 0.5), (0.0, mix(pale, WHITE, 0.5)),
                (0.5, pale), (1.0, colour)))  # fmt: skip
    for x, y in points:
        for _ in range(9):
            angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.12, 0.25)
            gx, gy = x + far * np.cos(angle), y + far * np.sin(angle)
            p.ellipse(gx, gy, 0.045, 0.03, mix(colour, (10, 40, 10), 0.32), tilt=angle)
            p.ellipse(gx - 0.008, gy - 0.008, 0.022, 0.014, mix(colour, WHITE, 0.25), tilt=angle)
    p.over(step(-gap, -0.075, 0.03), mix(colour, SHADE, 0.6))
    p.over(step(-gap, -0.04, 0.02), mix(colour, WHITE, 0.72))
    for x, y in points:
        dx, dy = rng.uniform(-0.06, 0.06, 2) * (np.hypot(x, y) > 0)
        p.disc(x + dx, y + dy, 0.1, mix((96, 60, 130), colour, 0.25))
        p.disc(x + dx - 0.015, y + dy - 0.015, 0.08, mix((150, 110, 180), colour, 0.25))
        p.disc(x + dx, y + dy, 0.035, (72, 40, 104))


def nucleus(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """A cell's nucleus: double membrane with pores, threads of chromatin, the nucleolus in the middle."""
    p.fill(ramp(p.noise(rng, 6, 4), (0.1, mix(colour, (24, 20, 48), 0.75)), (0.9, mix(colour, (60, 60, 90), 0.35))))
    for x, y, r in rng.random((16, 3)):
        x, y = 2.4 * x - 1.2, 2.4 * y - 1.2
        if np.hypot(x, y) > 0.85:
            p.ellipse(x, y, 0.09 + 0.05 * r, 0.05, mix(colour, (250, 170, 90), 0.55), tilt=6 * r)
            p.ellipse(x, y, 0.06 + 0.05 * r, 0.025, mix(colour, (255, 215, 150), 0.7), tilt=6 * r)
    angle = np.arctan2(p.y, p.x)
    size = rng.uniform(0.66, 0.76)
    r = p.radius() / (size * (1 + 0.05 * np.cos(2 * angle + rng.uniform(0, 6)) + 0.03 * np.cos(3 * angle)))
    inside = step(-r, -1.0, 0.03)
    body = ramp(p.noise(rng, 5, 4), (0.15, mix(colour, (40, 24, 80), 0.35)), (0.85, mix(colour, WHITE, 0.42)))
    p.over(inside, body * np.clip(1.12 - 0.45 * r**2, 0.3, 1.2)[..., None])
    threads = np.abs(p.noise(rng, 5, 3, 0.6) - 0.5)
    p.over(inside * step(-r, -0.93, 0.06) * step(-threads, -0.028, 0.03) * 0.9, mix(colour, (30, 8, 64), 0.62))
    p.over(np.exp(-(((r - 1.0) / 0.035) ** 2)), mix(colour, WHITE, 0.7))
    pores = np.exp(-(((r - 1.0) / 0.03) ** 2)) * step(np.cos(angle * 26), 0.3, 0.4)
    p.over(pores, mix(colour, (30, 10, 60), 0.75))
    ball = p.radius(*rng.uniform(-0.06, 0.06, 2)) / rng.uniform(0.19, 0.25)
    p.over(step(-ball, -1, 0.1), ramp(ball + 0.5 * (p.noise(rng, 12, 3) - 0.5), (0, mix(colour, (250, 200, 240), 0.6)),
           (1, mix(colour, (60, 10, 90), 0.6))))  # fmt: skip
