"""A picture with detail at every scale, known exactly: what `zoom_render.py` shows to the renderer and compares it with.

It is a sum of waves, the same strength in every octave, as photographs have it. What a camera with pixels of a given
pitch sees of it is again that sum, each wave weakened by the camera's transfer function: no sampling is involved, and nothing
of the resampling under test. sin(ax + by) = sin(ax) cos(by) + cos(ax) sin(by), so a picture is one product of two thin matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genkey_core.zoom.camera import View

LOWEST = 2.0  # cycles per unit of the lowest octave
PER_OCTAVE = 5  # waves
STRENGTH = 15.0  # standard deviation of an octave, grey levels


@dataclass(frozen=True, eq=False)
class Endless:
    """Waves of all octaves up to a finest pitch."""

    x: np.ndarray  # [K] cycles per unit
    y: np.ndarray
    phase: np.ndarray  # [3 K] radians, of each colour
    strength: np.ndarray  # [3 K] grey levels

    @classmethod
    def make(cls, finest: float, *, rng: np.random.Generator) -> Endless:
        """As many octaves as pixels of the pitch `finest` (in units) can show."""
        octaves = int(np.ceil(np.log2(0.5 / finest / LOWEST)))
        n = octaves * PER_OCTAVE
        frequency = LOWEST * 2.0 ** (np.arange(n) / PER_OCTAVE)
        angle = rng.uniform(0, np.pi, n)
        strength = STRENGTH * np.sqrt(2 / PER_OCTAVE) * rng.uniform(0.6, 1.25, (3, n))
        phase = rng.uniform(0, 2 * np.pi, n) + rng.normal(0, 0.5, (3, n))  # colours differ, and belong together
        return cls(frequency * np.cos(angle), frequency * np.sin(angle), phase, strength)

    def seen(self, view: View, size: tuple[int, int], *, pitch: float | None = None) -> np.ndarray:
        """uint8 [H W 3] of `size` (W, H): what `view` shows, band-limited to pixels of `pitch` (the view's own if None).

        The transfer function is 1 up to a quarter of a cycle per pixel and falls as a raised cosine to 0 at a half.
        """
        width, height = size
        per_pixel = np.hypot(self.x, self.y) * max(pitch or 0.0, view.pixel)
        kept = np.flatnonzero(per_pixel < 0.5)
        transfer = 0.5 + 0.5 * np.cos(np.pi * np.clip(4 * per_pixel[kept] - 1, 0, 1))
        across = 2 * np.pi * np.outer(view.x + (np.arange(width) + 0.5 - width / 2) * view.pixel, self.x[kept])
        down = 2 * np.pi * np.outer(view.y + (np.arange(height) + 0.5 - height / 2) * view.pixel, self.y[kept])
        picture = np.empty((height, width, 3), np.uint8)
        sin_cos = np.concatenate([np.sin(across), np.cos(across)], 1).T.astype(np.float32)
        for c in range(3):
            weight = transfer * self.strength[c, kept]
            turned = down + self.phase[c, kept]
            rows = np.concatenate([weight * np.cos(turned), weight * np.sin(turned)], 1).astype(np.float32)
            picture[..., c] = np.rint(128 + rows @ sin_cos).clip(0, 255)
        return picture
