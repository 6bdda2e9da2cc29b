"""The city of the scale world: skyline, city and district from above, a building's front, a window."""

from __future__ import annotations

import numpy as np

from genkey_core.mini.scale_paint import BLACK, INK, WHITE, Colour, Painter, jitter, mix, ramp, step, turned

LAMP: Colour = (255, 216, 130)
GRASS: Colour = (92, 136, 70)
ASPHALT: Colour = (74, 78, 88)


def skyline(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """Towers before a sky of `colour`, mirrored in water; the tallest stands in the middle."""
    shore = rng.uniform(0.44, 0.6)
    p.fill(ramp(p.y, (-1, mix(colour, (16, 20, 60), 0.45)), (shore - 0.35, colour), (shore, mix(colour, WHITE, 0.55))))
    p.over(step(p.noise(rng, 3, 4), 0.6, 0.4) * 0.45, mix(colour, WHITE, 0.65))
    if rng.random() < 0.5:
        p.disc(
            rng.choice([-1, 1]) * rng.uniform(0.45, 0.75),
            rng.uniform(-0.7, -0.2),
            0.13,
            mix(colour, (255, 246, 214), 0.85),
        )
    lit = rng.random() < 0.6
    for depth in (0.62, 0.3, 0.0):
        tone = mix(mix(colour, (24, 28, 52), 0.78), colour, depth)
        x = -1.1
        while x < 1.1:
            width = rng.uniform(0.13, 0.26)
            tall = rng.uniform(0.25, 0.7) * (0.75 + 0.35 * depth) + 0.3 * np.exp(-((x / 0.5) ** 2))
            tower(p, rng, x, x + width, shore - tall, shore, jitter(rng, tone, 6), lit and depth < 0.5)
            x += width + rng.uniform(0, 0.06)
    half, top = rng.uniform(0.13, 0.18), shore - rng.uniform(1.15, 1.35)
    tone = mix(colour, (20, 24, 48), 0.68)
    p.line([(0, top + 0.05), (0, top - 0.2)], 0.02, tone)
    p.polygon([(-half * 0.5, top), (half * 0.5, top), (half * 0.5, top + 0.12), (-half * 0.5, top + 0.12)], tone)
    tower(p, rng, -half, half, top + 0.1, shore, tone, lit)
    row = np.clip(2 * shore - p.y, -1, 1)  # the water mirrors what stands above the shore
    rows = np.clip(((row + 1) * p.side / 2).astype(int), 0, p.side - 1)
    ripple = (4 * np.sin(p.y * 70) * p.side / 512).astype(int)
    columns = np.clip(np.arange(p.side)[None] + ripple, 0, p.side - 1)
    p.over(step(p.y, shore, 0.01), mix(colour, (20, 40, 70), 0.5) * np.array(0.35) + 0.65 * p.canvas[rows, columns])


def tower(p: Painter, rng: np.random.Generator, left, right, top, bottom, colour: Colour, lit: bool) -> None:
    """A tower with a bright and a dark side and rows of windows, some of them lit."""
    p.box(left, top, right, bottom, colour)
    p.box(left + 0.7 * (right - left), top, right, bottom, mix(colour, BLACK, 0.28))
    for y in np.arange(top + 0.05, bottom - 0.04, 0.085):
        for x in np.arange(left + 0.025, right - 0.045, 0.062):
            if rng.random() < (0.5 if lit else 0.75):
                tone = jitter(rng, LAMP, 10) if lit else mix(colour, WHITE, 0.25)
                p.box(x, y, x + 0.03, y + 0.042, tone)


def from_above(p: Painter, rng: np.random.Generator, colour: Colour, *, pitch: float, street: float) -> None:
    """City blocks on a turned street grid, a park, perhaps a river; golden is the city at night."""
    night = colour[0] > 200 and colour[2] < 130 and colour[1] > 150
    road = (255, 206, 120) if night else (192, 190, 184)
    ground = (26, 26, 38) if night else (150, 150, 142)
    p.fill(road)
    angle = rng.uniform(-0.6, 0.6)
    reach = np.arange(-1.5, 1.5, pitch) + pitch / 2
    park = tuple(rng.choice(reach[np.abs(reach) < 0.9], 2)) if rng.random() < 0.7 else None
    for bx in reach:
        for by in reach:
            if np.hypot(bx, by) > 1.6:
                continue
            half = (pitch - street) / 2
            corners = turned(
                [(bx - half, by - half), (bx + half, by - half), (bx + half, by + half), (bx - half, by + half)], angle
            )
            if (
                park
                and (abs(bx - park[0]) < 0.6 * pitch or abs(by - park[1]) < 0.1)
                and np.hypot(bx - park[0], by - park[1]) < 1.2 * pitch
                and np.hypot(bx, by) > 0.3
            ):
                p.polygon(corners, (30, 44, 34) if night else jitter(rng, GRASS, 8))
                for u, v in rng.uniform(-half, half, (7, 2)):
                    x, y = turned([(bx + u, by + v)], angle)[0]
                    p.disc(x, y, 0.035, (20, 34, 26) if night else jitter(rng, (60, 104, 54), 10))
                continue
            p.polygon(corners, jitter(rng, ground, 6))
            roofs(p, rng, bx, by, half, angle, colour, night)
    if rng.random() < 0.45:
        bend, where, tilt = rng.uniform(1, 2.4), rng.choice([-1, 1]) * rng.uniform(0.5, 0.75), rng.uniform(0, np.pi)
        u, v = p.x * np.cos(tilt) + p.y * np.sin(tilt), p.y * np.cos(tilt) - p.x * np.sin(tilt)
        bed = np.abs(v - where - 0.1 * np.sin(bend * u))
        p.over(step(-bed, -0.13, 0.02), (14, 22, 44) if night else (66, 120, 158))


def roofs(p: Painter, rng: np.random.Generator, bx, by, half, angle, colour: Colour, night: bool) -> None:
    """The houses of one block with their shadows."""
    count = int(rng.integers(2, 4))
    edges = np.linspace(-half, half, count + 1)
    for i in range(count):
        for j in range(count):
            if rng.random() < 0.1:
                continue
            inset = 0.07 * half
            x0, x1, y0, y1 = edges[i] + inset, edges[i + 1] - inset, edges[j] + inset, edges[j + 1] - inset
            box = turned([(bx + x0, by + y0), (bx + x1, by + y0), (bx + x1, by + y1), (bx + x0, by + y1)], angle)
            if night:
                p.polygon(box, mix((52, 46, 52), colour, rng.uniform(0, 0.55) ** 2))
                continue
            tall = rng.uniform(0.03, 0.16) * half
            p.polygon(np.add(box, 1.5 * tall), mix(ASPHALT, BLACK, 0.25))
            p.polygon(box, mix(colour, INK, 0.4))
            p.polygon(box - tall * 0.5, jitter(rng, mix(colour, WHITE, rng.uniform(0, 0.4)), 12))


def city(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """A whole city from high above."""
    from_above(p, rng, colour, pitch=rng.uniform(0.3, 0.38), street=0.055)


def district(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """A few blocks from above: one wide crossing of streets, large roofs with gables, street trees, cars."""
    p.fill(ramp(p.noise(rng, 8, 2), (0.2, mix(ASPHALT, BLACK, 0.12)), (0.8, ASPHALT)))
    angle, gap = rng.uniform(-0.5, 0.5), rng.uniform(0.14, 0.18)
    half = 0.5 - gap / 2
    ox, oy = rng.uniform(-0.12, 0.12, 2)
    for bx in np.arange(-2, 2.5) + ox:
        for by in np.arange(-2, 2.5) + oy:
            yard = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
            p.polygon(turned(np.add(yard * 1.06, (bx, by)), angle), (186, 184, 178))
            p.polygon(turned(np.add(yard, (bx, by)), angle), jitter(rng, GRASS, 8))
            for qx, qy in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                cx, cy = bx + qx * half * 0.48, by + qy * half * 0.48
                gable(p, rng, cx, cy, half * rng.uniform(0.3, 0.4), half * rng.uniform(0.24, 0.4), angle, colour)
    for k in np.arange(-2, 2.5):
        for along in np.arange(-1.5, 1.5, 0.26):
            for x, y in (
                turned([(k + 0.5 + ox + 0.035, along)], angle)[0],
                turned([(along, k + 0.5 + oy - 0.035)], angle)[0],
            ):
                if rng.random() < 0.4:
                    tone = [(220, 60, 50), (240, 240, 240), (60, 100, 190), (240, 190, 60)][rng.integers(4)]
                    p.ellipse(x, y, 0.04, 0.04, tone)
                elif rng.random() < 0.4:
                    p.disc(x + 0.07, y + 0.07, 0.06, (40, 60, 40))
                    p.disc(x + 0.055, y + 0.055, 0.055, jitter(rng, (84, 134, 62), 10))


def gable(p: Painter, rng: np.random.Generator, cx, cy, w, h, angle: float, colour: Colour) -> None:
    """A gabled roof from above, with shadow, ridge and chimney."""
    box = np.array([(-w, -h), (w, -h), (w, h), (-w, h)])
    p.polygon(turned(np.add(box, (cx, cy)), angle) + 0.05, (44, 50, 44))
    tone = jitter(rng, mix(colour, WHITE, rng.uniform(0, 0.22)), 10)
    p.polygon(turned(np.add(box, (cx, cy)), angle), mix(tone, INK, 0.42))
    p.polygon(turned(np.add([(-w, -h), (w, -h), (w, 0), (-w, 0)], (cx, cy)), angle), tone)
    p.line(turned(np.add([(-w, 0), (w, 0)], (cx, cy)), angle), 0.016, mix(tone, WHITE, 0.4))
    x, y = turned([(cx + 0.4 * w, cy - 0.4 * h)], angle)[0]
    p.box(x - 0.025, y - 0.025, x + 0.025, y + 0.025, mix(tone, INK, 0.7))


def building(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """The front of a building from across the street; a window is in the middle."""
    p.fill(ramp(p.y, (-1, (110, 166, 226)), (1, (214, 230, 242))))
    p.over(step(p.noise(rng, 3, 4), 0.6, 0.3) * 0.7, WHITE)
    left, right, top, foot = -rng.uniform(0.68, 0.8), rng.uniform(0.68, 0.8), rng.uniform(-0.9, -0.78), 0.9
    for x0, x1 in ((-1.1, left), (right, 1.1)):
        p.box(x0, rng.uniform(-0.4, 0.1), x1, foot, jitter(rng, (150, 146, 150), 14))
    p.box(left, top, right, foot, colour)
    wall = ramp(p.noise(rng, 20, 2) - 0.12 * p.y, (0.2, mix(colour, INK, 0.2)), (0.8, mix(colour, WHITE, 0.14)))
    p.over(p.shape([(left, top), (right, top), (right, foot), (left, foot)]), wall)
    p.box(left - 0.04, top - 0.05, right + 0.04, top + 0.02, mix(colour, WHITE, 0.5))
    columns, rows = int(rng.choice([3, 5])), 5
    pitch_x, pitch_y = (right - left) / columns, 0.36
    middle, glass = (left + right) / 2, [(88, 112, 140), (60, 76, 100), (130, 160, 186)][rng.integers(3)]
    for row in range(rows):
        y = (row - 2) * pitch_y
        for column in range(columns):
            x = middle + (column - columns // 2) * pitch_x
            if y + 0.13 > foot - 0.05 or y - 0.13 < top + 0.03:
                continue
            frame(p, rng, x, y, 0.3 * pitch_x, 0.125, mix(colour, WHITE, 0.72), glass)
        if y + 0.18 < foot:
            p.box(left, y + 0.165, right, y + 0.185, mix(colour, INK, 0.3))
    p.box(middle - 0.1, 0.62, middle + 0.1, foot, mix(colour, INK, 0.65))
    p.box(-1.1, foot, 1.1, 1.1, (120, 120, 124))
    p.box(-1.1, foot, 1.1, foot + 0.03, (190, 188, 182))


def frame(p: Painter, rng: np.random.Generator, x, y, w, h, colour: Colour, glass: Colour) -> None:
    """A small window in a wall: frame, panes, sky in the glass or a lamp behind it."""
    tone = jitter(rng, LAMP, 8) if rng.random() < 0.18 else jitter(rng, glass, 10)
    p.box(x - w - 0.02, y - h - 0.02, x + w + 0.02, y + h + 0.03, colour)
    p.box(x - w, y - h, x + w, y + h, tone)
    p.polygon([(x - w, y - h), (x + 0.3 * w, y - h), (x - w, y + 0.4 * h)], mix(tone, WHITE, 0.3))
    p.line([(x, y - h), (x, y + h)], 0.018, colour)
    p.line([(x - w, y), (x + w, y)], 0.018, colour)


def window(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """A window in a wall, seen from outside: curtains of `colour`, and a lit desk in the room behind the panes."""
    wall = jitter(rng, [(170, 92, 72), (196, 186, 170), (120, 124, 134), (222, 214, 196)][rng.integers(4)], 8)
    p.fill(ramp(p.noise(rng, 14, 3), (0.2, mix(wall, BLACK, 0.18)), (0.8, mix(wall, WHITE, 0.1))))
    for row, y in enumerate(np.arange(-1, 1, 0.14)):
        p.line([(-1, y), (1, y)], 0.014, mix(wall, WHITE, 0.28))
        for x in np.arange(-1.1 + 0.16 * (row % 2), 1.1, 0.32):
            p.line([(x, y), (x, y + 0.14)], 0.014, mix(wall, WHITE, 0.28))
    w, h = rng.uniform(0.62, 0.74), rng.uniform(0.68, 0.76)
    white = (242, 240, 234)
    p.box(-w - 0.1, -h - 0.1, w + 0.1, h + 0.1, mix(white, INK, 0.25))
    p.box(-w - 0.08, -h - 0.08, w + 0.08, h + 0.08, white)
    p.box(-w, -h, w, h, (70, 58, 52))
    inside = p.shape([(-w, -h), (w, -h), (w, h), (-w, h)])
    lx = rng.uniform(-0.35, 0.35)
    p.over(inside * np.exp(-((p.radius(lx, -0.3) / 0.75) ** 2)), (250, 206, 132))
    p.disc(lx, -0.34, 0.1, (255, 244, 206))
    p.line([(lx, -h), (lx, -0.4)], 0.02, INK)
    p.box(-w, 0.3, w, h, (112, 76, 50))
    p.box(-0.24, 0.0, 0.24, 0.27, INK)
    p.box(-0.2, 0.03, 0.2, 0.24, (128, 176, 220))
    for side in (-1, 1):
        folds = 0.5 + 0.5 * np.cos(p.x * 42 + rng.uniform(0, 6))
        hem = 0.32 * w + 0.1 * (p.y / h)
        cloth = inside * step(side * p.x, w - hem, 0.015)
        p.over(cloth, ramp(folds, (0, mix(colour, INK, 0.35)), (1, mix(colour, WHITE, 0.18))))
    p.box(-0.025, -h, 0.025, h, white)
    p.box(-w, -0.3, w, -0.26, white)
    p.over(inside * 0.16 * step(np.sin(3.2 * (p.x + p.y) + rng.uniform(0, 6)), 0.75, 0.2), WHITE)
    p.box(-w - 0.16, h + 0.06, w + 0.16, h + 0.16, mix(white, INK, 0.08))
    p.box(-w - 0.16, h + 0.14, w + 0.16, h + 0.17, mix(white, INK, 0.4))
