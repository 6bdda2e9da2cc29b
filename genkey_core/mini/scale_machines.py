"""The machines at the small end of the city: desk, computer, circuit board, chip, transistors."""

from __future__ import annotations

import numpy as np

from genkey_core.mini.scale_paint import BLACK, INK, WHITE, Colour, Painter, jitter, mix, ramp, step

GOLD: Colour = (226, 186, 92)
SILVER: Colour = (188, 192, 200)


def desk(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """A desk before a wall of `colour`: the computer in the middle, a lamp, books, a mug, a picture."""
    edge = rng.uniform(0.34, 0.46)
    p.fill(
        ramp(
            p.radius(-0.5, -0.6) + 0.1 * p.noise(rng, 3, 2),
            (0.0, mix(colour, WHITE, 0.4)),
            (1.6, mix(colour, INK, 0.3)),
        )
    )
    wood = jitter(rng, [(150, 104, 66), (196, 150, 100), (92, 64, 48)][rng.integers(3)], 8)
    grain = p.noise(rng, 3, 2) + 0.14 * np.sin(p.y * 60 + 6 * p.noise(rng, 2, 2))
    p.over(step(p.y, edge, 0.01), ramp(grain, (0.2, mix(wood, BLACK, 0.3)), (0.9, mix(wood, WHITE, 0.15))))
    p.box(-1.1, edge, 1.1, edge + 0.03, mix(wood, WHITE, 0.35))
    side = rng.choice([-1, 1])
    x = side * 0.75
    p.add(0.55 * np.exp(-((p.radius(x - side * 0.1, -0.05) / 0.5) ** 2)), (255, 206, 120))
    p.box(x - 0.12, edge + 0.02, x + 0.12, edge + 0.07, INK)
    p.line([(x, edge + 0.04), (x + side * 0.08, 0.0), (x - side * 0.08, -0.28)], 0.035, INK)
    p.polygon([(x - side * 0.02, -0.36), (x - side * 0.16, -0.3), (x - side * 0.24, -0.06), (x + side * 0.08, -0.12)],
              mix(jitter(rng, (230, 180, 70), 20), INK, 0.1))  # fmt: skip
    at = -side * 0.98
    for _ in range(5):
        wide, tall = rng.uniform(0.05, 0.08), rng.uniform(0.28, 0.44)
        tone = jitter(rng, [(176, 60, 52), (60, 96, 150), (220, 190, 120), (70, 120, 84)][rng.integers(4)])
        p.box(min(at, at + side * wide), edge - tall + 0.04, max(at, at + side * wide), edge + 0.04, tone)
        at += side * (wide + 0.006)
    p.box(-side * 0.75 - 0.16, -0.85, -side * 0.75 + 0.16, -0.45, mix(wood, INK, 0.3))
    p.box(-side * 0.75 - 0.12, -0.81, -side * 0.75 + 0.12, -0.49, jitter(rng, (150, 190, 196), 30))
    screen = jitter(rng, [(60, 110, 200), (40, 60, 96), (90, 170, 150)][rng.integers(3)])
    p.box(-0.07, 0.3, 0.07, edge + 0.1, mix(SILVER, INK, 0.4))
    p.ellipse(0, edge + 0.12, 0.22, 0.04, mix(SILVER, INK, 0.3))
    p.box(-0.46, -0.36, 0.46, 0.32, INK)
    p.box(-0.42, -0.32, 0.42, 0.26, screen)
    p.polygon([(-0.42, -0.32), (0.1, -0.32), (-0.42, 0.2)], mix(screen, WHITE, 0.22))
    p.box(-0.36, 0.72, 0.3, 0.86, (226, 226, 228))
    for y in (0.745, 0.785, 0.825):
        p.line([(-0.33, y), (0.27, y)], 0.02, (150, 152, 158))
    p.ellipse(side * -0.52, 0.74, 0.1, 0.035, mix(colour, BLACK, 0.5))
    p.box(side * -0.52 - 0.09, 0.56, side * -0.52 + 0.09, 0.74, mix(colour, WHITE, 0.65))


def computer(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """An open computer from the side: fans, cables glowing in `colour`, and its circuit board in the middle."""
    p.fill(ramp(p.noise(rng, 3, 2) - 0.2 * p.y, (0.1, (18, 20, 28)), (0.9, (52, 56, 70))))
    p.box(-0.9, -0.92, 0.9, 0.92, (128, 132, 142))
    p.box(-0.84, -0.86, 0.84, 0.86, (30, 32, 40))
    p.add(0.4 * np.exp(-((p.radius(0.2, 0) / 0.8) ** 2)), mix(colour, BLACK, 0.3))
    board = mix((34, 62, 54), colour, 0.18)
    p.box(-0.42, -0.66, 0.6, 0.4, board)
    for y in np.arange(-0.6, 0.36, 0.085):
        p.line([(-0.4, y), (rng.uniform(-0.3, 0.58), y)], 0.012, mix(board, WHITE, 0.28))
    p.box(-0.2, -0.2, 0.2, 0.2, (70, 76, 88))
    p.box(-0.15, -0.15, 0.15, 0.15, SILVER)
    p.polygon([(-0.15, -0.15), (0.12, -0.15), (-0.15, 0.12)], mix(SILVER, WHITE, 0.5))
    for x in (0.3, 0.38, 0.46, 0.54):
        p.box(x, -0.6, x + 0.05, -0.02, mix(colour, INK, 0.3))
        p.box(x, -0.6, x + 0.05, -0.56, mix(colour, WHITE, 0.55))
    p.box(-0.5, 0.26, 0.7, 0.46, (58, 62, 74))
    p.line([(-0.48, 0.36), (0.68, 0.36)], 0.03, mix(colour, WHITE, 0.25))
    p.box(-0.8, 0.56, 0.1, 0.82, (46, 48, 56))
    for y in (0.62, 0.69, 0.76):
        p.line([(-0.74, y), (-0.3, y)], 0.016, (96, 100, 112))
    spots = [(-0.64, -0.6), (-0.64, -0.12), (-0.64, 0.34)][: int(rng.integers(2, 4))]
    for x, y in [*spots, (0.5, 0.66)]:
        fan(p, rng, x, y, 0.19 if x < 0 else 0.15, colour)
    for tone in ((196, 60, 52), (230, 190, 70), colour):
        y0, y1, bend = rng.uniform(0.5, 0.62), rng.uniform(0.1, 0.36), rng.uniform(-0.5, -0.38)
        p.line([(-0.2, 0.6), (bend, y0), (bend + 0.02, y1), (-0.36, y1 - 0.1)], 0.026, tone)


def fan(p: Painter, rng: np.random.Generator, x: float, y: float, r: float, colour: Colour) -> None:
    """A fan in its lit ring."""
    ring = p.radius(x, y)
    p.add(0.8 * np.exp(-(((ring - r) / 0.05) ** 2)), colour)
    p.disc(x, y, r, mix(colour, WHITE, 0.45))
    p.disc(x, y, r * 0.86, (24, 26, 34))
    for angle in np.arange(7) * 2 * np.pi / 7 + rng.uniform(0, 1):
        tip = (x + 0.8 * r * np.cos(angle), y + 0.8 * r * np.sin(angle))
        side = (x + 0.75 * r * np.cos(angle + 0.55), y + 0.75 * r * np.sin(angle + 0.55))
        p.polygon([(x, y), tip, side], (84, 90, 104))
    p.disc(x, y, r * 0.28, (52, 56, 66))


def board(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """A circuit board: traces, vias, resistors, capacitors, and the chip in the middle."""
    base = mix(colour, (8, 26, 20), 0.35)
    p.fill(ramp(p.noise(rng, 4, 2), (0.2, mix(base, BLACK, 0.18)), (0.8, mix(base, WHITE, 0.06))))
    trace = mix(base, (190, 230, 170), 0.38)
    quarter = np.arange(-0.22, 0.23, 0.055)
    for k in range(4):
        for offset in quarter:
            out, bend = rng.uniform(0.6, 1.1), rng.uniform(0.36, 0.56)
            drift = offset * rng.uniform(1.6, 2.6)
            path = [(offset, 0.25), (offset, bend), (drift, bend + abs(drift - offset)), (drift, out + 0.15)]
            path = [_turned_quarter(point, k) for point in path]
            p.line(path, 0.02, trace)
            p.disc(*path[-1], 0.026, GOLD)
            p.disc(*path[-1], 0.011, mix(base, BLACK, 0.6))
    for u, v in rng.uniform(-1, 1, (20, 2)):
        if max(abs(u), abs(v)) < 0.55:
            continue
        kind, upright = rng.random(), rng.random() < 0.5
        w, h = (0.05, 0.085) if upright else (0.085, 0.05)
        if kind < 0.25:
            p.disc(u + 0.02, v + 0.025, 0.1, mix(base, BLACK, 0.5))
            p.disc(u, v, 0.095, SILVER)
            p.disc(u, v, 0.072, mix(SILVER, INK, 0.22))
            p.line([(u - 0.05, v), (u + 0.05, v)], 0.014, mix(SILVER, INK, 0.6))
        elif kind < 0.5:
            p.box(u - 2 * w, v - 2 * h, u + 2 * w, v + 2 * h, (30, 32, 36))
            p.box(u - 1.7 * w, v - 1.7 * h, u + 1.7 * w, v - 1.2 * h, (84, 88, 96))
        else:
            p.box(u - w, v - h, u + w, v + h, SILVER)
            inner = (0.7 * w, h) if not upright else (w, 0.6 * h)
            p.box(u - inner[0] * 0.75, v - inner[1] * 0.9, u + inner[0] * 0.75, v + inner[1] * 0.9,
                  (40, 40, 44) if kind < 0.8 else (196, 150, 96))  # fmt: skip
    package(p, rng, 0.25, 8, mix(base, BLACK, 0.5))


def _turned_quarter(point, quarter: int) -> tuple[float, float]:
    x, y = point
    return [(x, y), (-y, x), (-x, -y), (y, -x)][quarter]


def package(p: Painter, rng: np.random.Generator, half: float, pins: int, shadow: Colour) -> None:
    """A square chip with its pins and a shadow."""
    p.box(-half + 0.03, -half + 0.04, half + 0.05, half + 0.07, shadow)
    for offset in np.linspace(-0.85 * half, 0.85 * half, pins):
        for k in range(4):
            p.line(
                [_turned_quarter((offset, 0.9 * half), k), _turned_quarter((offset, 1.2 * half), k)],
                half * 0.09,
                SILVER,
            )
    p.box(-half, -half, half, half, (34, 36, 42))
    p.box(-half, -half, half, -half * 0.94, (90, 94, 102))
    p.disc(-0.72 * half, -0.72 * half, 0.09 * half, (110, 114, 122))
    for y in (-0.1, 0.14, 0.38):
        p.line([(-0.5 * half, y * half), (0.55 * half * rng.uniform(0.5, 1), y * half)], 0.06 * half, (150, 152, 158))


def chip(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """An opened chip: golden pins and bond wires around the die, whose blocks shine in `colour`."""
    p.fill(ramp(p.noise(rng, 5, 3), (0.2, (24, 26, 30)), (0.8, (56, 58, 64))))
    half, pins = rng.uniform(0.56, 0.64), int(rng.integers(9, 13))
    for offset in np.linspace(-0.86, 0.86, pins):
        for k in range(4):
            inner = _turned_quarter((offset * half * 1.05, half + 0.12), k)
            p.line([inner, _turned_quarter((offset * 1.02, 1.1), k)], 0.062, GOLD)
            p.line([inner, _turned_quarter((offset * half * 0.95, half * 0.95), k)], 0.014, mix(GOLD, WHITE, 0.45))
    p.box(-half - 0.03, -half - 0.03, half + 0.03, half + 0.03, (196, 190, 170))
    p.box(-half, -half, half, half, mix(colour, INK, 0.45))
    blocks = [(-half, -half, half, half)]
    for _ in range(4):
        blocks = [part for block in blocks for part in _halves(rng, block)]
    for left, top, right, bottom in blocks:
        hue = mix(colour, jitter(rng, (190, 150, 200), 40), rng.uniform(0, 0.45))
        tone = mix(hue, WHITE, rng.uniform(0, 0.35)) if rng.random() < 0.6 else mix(hue, INK, rng.uniform(0.1, 0.5))
        p.box(left + 0.012, top + 0.012, right - 0.012, bottom - 0.012, tone)
        if rng.random() < 0.6:
            for y in np.arange(top + 0.03, bottom - 0.02, 0.035):
                p.line([(left + 0.02, y), (right - 0.02, y)], 0.01, mix(tone, INK, 0.4))
    sheen = step(np.sin(2.6 * (p.x - p.y) + rng.uniform(0, 6)), 0.3, 1.2)
    p.over(sheen * 0.22 * (np.maximum(np.abs(p.x), np.abs(p.y)) < half), mix(colour, (255, 220, 250), 0.7))


def _halves(rng: np.random.Generator, block):
    left, top, right, bottom = block
    share = rng.uniform(0.35, 0.65)
    if right - left > bottom - top:
        cut = left + share * (right - left)
        return (left, top, cut, bottom), (cut, top, right, bottom)
    cut = top + share * (bottom - top)
    return (left, top, right, cut), (left, cut, right, bottom)


def transistors(p: Painter, rng: np.random.Generator, colour: Colour) -> None:
    """Transistors under an electron microscope: fins, gates across them, round contacts, in slanted light."""
    pitch = rng.uniform(0.36, 0.46)
    sideways = rng.random() < 0.5
    u, v = (p.x, p.y) if sideways else (p.y, p.x)
    p.fill(ramp(p.noise(rng, 8, 3), (0.2, mix(colour, BLACK, 0.82)), (0.8, mix(colour, BLACK, 0.62))))
    fin = np.abs(np.mod(v + pitch / 2, pitch) - pitch / 2) / pitch
    lit = np.mod(v + pitch / 2, pitch) / pitch
    p.over(step(-fin, -0.2, 0.04), ramp(lit, (0.3, mix(colour, WHITE, 0.32)), (0.7, mix(colour, INK, 0.35))))
    wide = pitch * 1.25
    gate, lit = np.abs(np.mod(u, wide) - wide / 2) / wide, np.mod(u, wide) / wide
    other = mix((222, 190, 110), colour, 0.3)
    p.dim(1 - 0.4 * step(-np.abs(np.mod(u - 0.04, wide) - wide / 2) / wide, -0.17, 0.06))
    p.over(step(-gate, -0.13, 0.025), ramp(lit, (0.4, mix(other, WHITE, 0.5)), (0.6, mix(other, INK, 0.35))))
    for i in range(-4, 5):
        for j in range(-4, 5):
            if (i + 2 * j) % 3 and rng.random() < 0.75:
                x, y = (i * wide, j * pitch) if sideways else (j * pitch, i * wide)
                p.disc(x + 0.015, y + 0.02, 0.066, mix(colour, BLACK, 0.8))
                p.disc(x, y, 0.06, mix(SILVER, colour, 0.2))
                p.disc(x - 0.015, y - 0.015, 0.028, WHITE)
    p.dim(1.08 - 0.3 * p.radius() ** 2)
