"""Styles of the scale world: how a painted scene looks as a watercolour, a pencil sketch or a neon drawing."""

from __future__ import annotations

import cv2
import numpy as np

from genkey_core.mini.scale_paint import Painter, step

STYLES = ("photo", "watercolour", "sketch", "neon")
STYLE_SHARES = (0.64, 0.13, 0.12, 0.11)


def apply(p: Painter, rng: np.random.Generator, style: str) -> None:
    """Turns what is on the canvas into `style`, one of STYLES."""
    if style == "watercolour":
        watercolour(p, rng)
    elif style == "sketch":
        sketch(p, rng)
    elif style == "neon":
        neon(p)
    else:
        p.dim((1.04 - 0.14 * p.radius() ** 2).astype(np.float32))


def edges(p: Painter, spread: float) -> np.ndarray:
    """Strength of the outlines [S S], 0 to 1."""
    grey = p.soft(cv2.cvtColor(p.canvas, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255, spread)
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) * p.side / 512
    return np.clip(slope * 3.2, 0, 1)


def watercolour(p: Painter, rng: np.random.Generator) -> None:
    """Flat washes with dark rims that run a little, on rough white paper, paler towards its edge."""
    across, down = p.noise(rng, 10, 2) - 0.5, p.noise(rng, 10, 2) - 0.5
    columns, rows = np.meshgrid(*(np.arange(p.side, dtype=np.float32),) * 2)
    run = 0.05 * p.side
    p.fill(
        cv2.remap(p.canvas, columns + run * across, rows + run * down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    )
    small = cv2.resize(p.canvas, (160, 160), interpolation=cv2.INTER_AREA)
    for _ in range(3):
        small = cv2.bilateralFilter(small, 9, 46, 5)
    p.fill(cv2.resize(small, (p.side, p.side), interpolation=cv2.INTER_CUBIC))
    rim = edges(p, 0.012)
    paper = 0.5 * (p.noise(rng, 40, 2, 0.8) - 0.5) + 0.5 * (p.noise(rng, 4, 3) - 0.5)
    wash = p.canvas.astype(np.float32) * 0.72 + 255 * 0.28 + 55 * paper[..., None]
    wash *= 1 - 0.3 * rim[..., None]
    edge = step(np.maximum(np.abs(p.x), np.abs(p.y)) + 0.25 * (p.noise(rng, 5, 3) - 0.5), 0.93, 0.1)[..., None]
    p.fill(wash * (1 - edge) + 250 * edge)


def sketch(p: Painter, rng: np.random.Generator) -> None:
    """Pencil lines and hatching on warm paper, with a breath of the colours."""
    grey = cv2.cvtColor(p.canvas, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    lines = edges(p, 0.008)
    hatch = 0.5 + 0.5 * np.sin((p.x + p.y) * 78 + 3 * p.noise(rng, 6, 2))
    tone = np.clip(1.05 - 0.62 * (1 - p.soft(grey, 0.02)) * (0.55 + 0.45 * hatch) - 0.85 * lines, 0.12, 1)
    tint = p.soft(p.canvas.astype(np.float32), 0.03)
    tint = tint - tint.mean(2, keepdims=True)
    p.fill(np.asarray((250, 244, 230)) * tone[..., None] + 0.34 * tint)


def neon(p: Painter) -> None:
    """Glowing outlines in the scene's own colours on black."""
    lines = edges(p, 0.014) ** 1.2
    hue = p.soft(p.canvas.astype(np.float32), 0.05)
    hue = hue / (hue.max(2, keepdims=True) + 20)
    hue = np.clip(1.9 * (hue - 0.52 * hue.min(2, keepdims=True)), 0, 1)
    glow = 0.75 * p.soft(lines, 0.035)
    p.fill(255 * hue * (lines + glow)[..., None] + 60 * (lines**2)[..., None] + p.canvas * 0.1)
