"""The meadow that the drawn marmot dances on: sky, snowy peaks, firs and flowers, painted with NumPy and OpenCV.

Painted SCALE times too large and averaged down by whoever finishes the picture. All draws come from one seed, so that every
keyframe has the same background, pixel for pixel.
"""

from __future__ import annotations

import cv2
import numpy as np

WIDTH, HEIGHT, SCALE = 1024, 576, 2
HORIZON = 372  # pixels from above, where the meadow begins

_STONES = ((120, 505, 30), (166, 516, 17), (905, 470, 22), (938, 476, 12), (860, 545, 14))  # x, y, radius
_W, _H = WIDTH * SCALE, HEIGHT * SCALE
_SHIFT = 4  # OpenCV's fixed-point bits

Colour = tuple[int, int, int]


def landscape(seed: int = 12) -> np.ndarray:
    """The empty stage, float32 [H W 3] in 0 to 255, SCALE times WIDTH x HEIGHT."""
    rng = np.random.default_rng(seed)
    canvas = _sky(rng)
    _peaks(canvas, rng, 285, 200, (142, 160, 190), 34, snow=0.52)
    _peaks(canvas, rng, 322, 120, (112, 136, 152), 30, snow=0.85)
    _hill(canvas, rng, 345, 44, (96, 138, 116))
    _firs(canvas, rng, 345, 44, count=150, size=(11, 20), colour=(64, 104, 92))
    _hill(canvas, rng, 372, 30, (104, 150, 86))
    _firs(canvas, rng, 370, 30, count=70, size=(20, 40), colour=(44, 84, 66))
    _meadow(canvas, rng)
    _stones(canvas, rng)
    _grass(canvas, rng)
    _flowers(canvas, rng)
    return canvas


def noise(rng: np.random.Generator, cells: tuple[int, int], octaves: int = 4, gain: float = 0.5) -> np.ndarray:
    """Fractal noise float32 [H W] of mean 0 and deviation 1; `cells` across and down of its coarsest octave."""
    total = np.zeros((_H, _W), np.float32)
    for k in range(octaves):
        grid = rng.standard_normal((cells[1] * 2**k + 2, cells[0] * 2**k + 2)).astype(np.float32)
        total += gain**k * cv2.resize(grid, (_W, _H), interpolation=cv2.INTER_CUBIC)
    return (total - total.mean()) / total.std()


def fixed(points) -> np.ndarray:
    """Final pixels -> OpenCV fixed point on the large canvas."""
    return np.round(np.asarray(points, np.float64) * SCALE * (1 << _SHIFT)).astype(np.int32)


def _cover(canvas: np.ndarray, points, paint: np.ndarray) -> None:
    mask = np.zeros((_H, _W), np.uint8)
    cv2.fillPoly(mask, [fixed(points)], 255, cv2.LINE_AA, _SHIFT)
    alpha = (mask.astype(np.float32) / 255)[..., None]
    canvas += alpha * (paint - canvas)


def _down(values, *stops: tuple[float, Colour]) -> np.ndarray:
    """Colours from heights in final pixels through (height, colour) stops."""
    at = [stop[0] for stop in stops]
    return np.stack([np.interp(values, at, [stop[1][c] for stop in stops]) for c in range(3)], -1).astype(np.float32)


def _rows() -> np.ndarray:
    return np.arange(_H, dtype=np.float32)[:, None] / SCALE


def _sky(rng: np.random.Generator) -> np.ndarray:
    y = _rows()
    canvas = np.broadcast_to(
        _down(y, (0, (84, 150, 214)), (190, (168, 210, 236)), (330, (250, 232, 204))), (_H, _W, 3)
    ).copy()
    x = np.arange(_W, dtype=np.float32)[None] / SCALE
    glow = np.exp(-(((x - 150) / 210) ** 2) - ((y - 60) / 150) ** 2)[..., None]
    canvas += glow * np.array([70, 52, 14], np.float32)
    puffs = noise(rng, (5, 7), 5, 0.52) - 0.9 - 0.010 * np.abs(y - 95)
    light = cv2.GaussianBlur(np.clip(puffs, 0, 1.2), (0, 0), 9 * SCALE)
    shade = np.clip(0.5 + 1.6 * (light - np.roll(light, -10 * SCALE, axis=0)), 0, 1)[..., None]
    white = shade * np.array([255, 252, 246], np.float32) + (1 - shade) * np.array([214, 224, 238], np.float32)
    canvas += np.clip(puffs * 1.7, 0, 0.92)[..., None] * (white - canvas)
    return canvas


def _ridge(rng: np.random.Generator, base: float, rise: float, rough: float) -> np.ndarray:
    """Height in final pixels for every final column, by midpoint displacement."""
    line, step = np.array([rng.uniform(0.2, 0.6), rng.uniform(0.5, 1.0), rng.uniform(0.1, 0.5), 0.9, 0.35]), 0.42
    while len(line) < WIDTH:
        middles = (line[:-1] + line[1:]) / 2 + rng.normal(0, step * 0.42, len(line) - 1)
        line = np.append(np.insert(middles, np.arange(len(middles)), line[:-1]), line[-1])
        step *= rough
    line = (line - line.min()) / (line.max() - line.min())
    return base - rise * np.interp(np.linspace(0, 1, WIDTH + 41), np.linspace(0, 1, len(line)), line)


def _outline(heights: np.ndarray) -> list[tuple[float, float]]:
    x = np.linspace(-20, WIDTH + 20, len(heights))
    return [(-20, HEIGHT), *zip(x, heights, strict=True), (WIDTH + 20, HEIGHT)]


def _peaks(canvas, rng, base: float, rise: float, colour: Colour, relief: float, snow: float) -> None:
    """Mountains with sunny and shaded sides; `snow` is the share of their height from which it lies."""
    heights = _ridge(rng, base, rise, 0.52)
    top = np.repeat(heights[20:-21], SCALE)[None]
    depth = _rows() - top  # below the ridge
    slope = np.gradient(cv2.GaussianBlur(heights[None].astype(np.float32), (0, 0), 5)[0])[20:-21]
    bumps = noise(rng, (14, 9), 5, 0.6)
    across = np.arange(_W)[None] / SCALE - 0.55 * np.maximum(depth, 0)  # spurs run down to one side
    lean = slope[np.clip(across, 0, WIDTH - 1).astype(int)] * np.exp(-np.maximum(depth, 0) / 110) + 0.36 * bumps
    sunny = np.clip(0.5 - 1.1 * lean, 0, 1)[..., None]
    rock = np.array(colour, np.float32) + relief * (sunny - 0.5) * np.array([1.5, 1.2, 0.8], np.float32)
    white = np.array([196, 212, 238], np.float32) + sunny * np.array([58, 40, 14], np.float32)
    line = base - snow * rise + 16 * bumps
    lies = np.clip((line - _rows()) / 9 + 0.5, 0, 1)[..., None]
    haze = np.clip((_rows() - base + 70) / 150, 0, 0.55)[..., None]
    paint = rock + lies * (white - rock)
    _cover(canvas, _outline(heights), paint + haze * (np.array([214, 222, 226], np.float32) - paint))


def _hill_line(rng: np.random.Generator, base: float, rise: float) -> np.ndarray:
    x = np.linspace(-20, WIDTH + 20, WIDTH + 41)
    waves = sum(a * np.sin(x / w + rng.uniform(0, 6)) for a, w in ((1, 190), (0.45, 83), (0.15, 37)))
    return base - rise * (1 + waves / 1.6) / 2


def _hill(canvas, rng, base: float, rise: float, colour: Colour) -> None:
    state = np.random.default_rng(int(base))  # so that firs can stand on the same line
    heights = _hill_line(state, base, rise)
    grain = 6 * noise(rng, (22, 20), 4)[..., None]
    _cover(canvas, _outline(heights), np.array(colour, np.float32) + grain - 0.12 * (_rows() - base)[..., None])


def _firs(canvas, rng, base: float, rise: float, *, count: int, size: tuple[int, int], colour: Colour) -> None:
    heights = _hill_line(np.random.default_rng(int(base)), base, rise)
    groups = rng.uniform(-10, WIDTH + 10, max(count // 9, 3))
    for x in np.sort(rng.choice(groups, count) + rng.normal(0, 30, count)):
        if abs(x - WIDTH / 2) < 120 and size[1] > 30:  # none behind the dancer's head
            continue
        tall = rng.uniform(*size)
        foot = float(np.interp(x, np.linspace(-20, WIDTH + 20, len(heights)), heights)) + rng.uniform(1, 6)
        shade = rng.uniform(-10, 12)
        for k in range(4):
            low, high = foot - tall * 0.22 * k, foot - tall * (0.42 + 0.22 * k)
            half = tall * (0.24 - 0.045 * k)
            for side, light in ((-1, 16), (1, -6)):
                tone = tuple(float(np.clip(c + shade + light, 0, 255)) for c in colour)
                cv2.fillPoly(
                    canvas, [fixed([(x, high), (x + side * half, low), (x, low - 1)])], tone, cv2.LINE_AA, _SHIFT
                )


def _meadow(canvas: np.ndarray, rng: np.random.Generator) -> None:
    x = np.linspace(-20, WIDTH + 20, 200)
    edge = HORIZON + 6 * np.sin(x / 150 + 1) + 3 * np.sin(x / 47)
    paint = _down(_rows(), (HORIZON, (164, 196, 96)), (450, (118, 172, 72)), (HEIGHT, (70, 128, 54)))
    patches = noise(rng, (4, 22), 4, 0.6)[..., None]
    paint = paint + patches * np.array([9, 8, 3], np.float32)
    _cover(canvas, _outline(edge), paint)


def _stones(canvas: np.ndarray, rng: np.random.Generator) -> None:
    for x, y, r in _STONES:
        angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        form = np.stack([np.cos(angle) * 1.25, np.sin(angle) * 0.8], 1) * rng.uniform(0.86, 1.1, (12, 1))
        for share, move, tone in (
            (1.0, 0.0, (112, 112, 116)),
            (0.86, -0.07, (150, 150, 150)),
            (0.5, -0.25, (186, 184, 178)),
        ):
            points = form * r * share + (x + move * r, y + move * r)
            cv2.fillPoly(canvas, [fixed(points)], tone, cv2.LINE_AA, _SHIFT)
        shadow = [
            (x - 1.3 * r, y + 0.62 * r),
            (x + 1.6 * r, y + 0.62 * r),
            (x + 1.1 * r, y + 0.95 * r),
            (x - r, y + 0.9 * r),
        ]
        cv2.fillPoly(canvas, [fixed(shadow)], (74, 120, 56), cv2.LINE_AA, _SHIFT)


def _grass(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Blades in tufts, longer and darker towards the viewer."""
    count = 5200
    near = np.sort(rng.uniform(0, 1, count) ** 0.8)
    for t, x in zip(near, rng.uniform(-10, WIDTH + 10, count), strict=True):
        y = HORIZON + 14 + t * (HEIGHT - HORIZON)
        if _on_stone(x, y):
            continue
        length = 3 + 15 * t * rng.uniform(0.5, 1.3)
        lean = rng.normal(0.1, 0.28)
        tone = rng.uniform(-26, 30)
        colour = tuple(float(np.clip(c + tone, 0, 255)) for c in (128 - 62 * t, 178 - 52 * t, 78 - 24 * t))
        tip, half = (x + lean * length, y - length), 0.4 + 0.8 * t
        cv2.fillPoly(
            canvas, [fixed([(x - half, y), (x + lean * length * 0.4 - half / 2, y - 0.6 * length), tip, (x + half, y)])],
            colour, cv2.LINE_AA, _SHIFT,
        )  # fmt: skip


def _on_stone(x: float, y: float) -> bool:
    return any(abs(x - sx) < 1.3 * r and -1.2 * r < y - sy < 0.75 * r for sx, sy, r in _STONES)


def _flowers(canvas: np.ndarray, rng: np.random.Generator) -> None:
    petals = ((250, 246, 240), (246, 206, 74), (226, 96, 128), (150, 120, 214))
    for t in np.sort(rng.uniform(0, 1, 120)):
        x, y = rng.uniform(0, WIDTH), HORIZON + 20 + t * (HEIGHT - HORIZON - 24)
        if _on_stone(x, y) or (abs(x - WIDTH / 2) < 210 and t < 0.78):  # the dance floor
            continue
        r, colour = 1.2 + 2.6 * t, petals[rng.integers(len(petals))]
        cv2.line(canvas, fixed((x, y)), fixed((x + 1, y + 5 * r)), (74, 130, 52), SCALE, cv2.LINE_AA, _SHIFT)
        for a in np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 1):
            at = fixed((x + r * np.cos(a), y + 0.7 * r * np.sin(a)))
            cv2.circle(canvas, at, int(fixed(0.75 * r)), colour, -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(canvas, fixed((x, y)), int(fixed(0.6 * r)), (236, 170, 50), -1, cv2.LINE_AA, _SHIFT)
