"""The colours of a closer photo brought to those of the wider one: exposure and white balance, then what is left of shade.

Everything is a change that varies slowly over the picture, found on a small version of both photos, already aligned.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_RANGE = 6, 249  # grey levels of pixels that are neither black nor burnt out
_GAIN, _OFFSET = (0.33, 3.0), 60.0  # largest changes that are believed
_ENOUGH = 0.03  # share of the pixels that must be usable


@dataclass(frozen=True, eq=False)
class Tone:
    """Per channel `wide = gain * close + offset`, in grey levels."""

    gain: np.ndarray  # [3]
    offset: np.ndarray  # [3]

    @property
    def table(self) -> np.ndarray:  # [1 256 3] float32
        """What becomes of each grey level, not rounded."""
        return (np.arange(256)[:, None] * self.gain + self.offset).astype(np.float32)[None]

    def __call__(self, image: np.ndarray) -> np.ndarray:  # [H W 3] -> [H W 3]
        """A picture uint8 or float32 [H W 3] with these tones, float32."""
        return image.astype(np.float32) * self.gain.astype(np.float32) + self.offset.astype(np.float32)


SAME = Tone(np.ones(3), np.zeros(3))


def tone_between(wide: np.ndarray, close: np.ndarray, weights: np.ndarray) -> Tone:
    """The tone that takes `close` to `wide`, uint8 [h w 3], where pixels of weight [h w] show the same place.

    A straight line per channel, fitted with weights that leave out what disagrees (Tukey); where too little is usable, or
    it would change a photo beyond belief, tones are left alone.
    """
    low, high = _RANGE
    usable = (weights > 0.1) & ((wide > low) & (wide < high) & (close > low) & (close < high)).all(axis=2)
    if usable.mean() < _ENOUGH:
        return SAME
    gains, offsets = zip(
        *(
            _line(close[..., c][usable].astype(float), wide[..., c][usable].astype(float), weights[usable])
            for c in range(3)
        ),
        strict=True,
    )
    gain, offset = np.array(gains), np.array(offsets)
    if gain.min() < _GAIN[0] or gain.max() > _GAIN[1] or np.abs(offset).max() > _OFFSET:
        return SAME
    return Tone(gain, offset)


def _line(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Slope and height of the line y(x) of least weighted squares, outliers left out.

    The slope is the ratio of both spreads, which noise in x does not flatten as it does a regression's.
    """
    kept = weights.astype(float)
    for _ in range(8):
        mean_x, mean_y = np.average(x, weights=kept), np.average(y, weights=kept)
        spread_x, spread_y = (np.sqrt(np.average((v - m) ** 2, weights=kept)) for v, m in ((x, mean_x), (y, mean_y)))
        slope = spread_y / max(spread_x, 1e-6) if spread_x > 2.0 else 1.0
        height = mean_y - slope * mean_x
        miss = np.abs(slope * x + height - y)
        limit = 4.7 * 1.48 * float(np.median(miss)) + 1.0
        kept = weights * np.square(np.clip(1 - np.square(miss / limit), 0, None))
        if kept.sum() < 10:
            return 1.0, 0.0
    return float(slope), float(height)


def shade_between(wide: np.ndarray, close: np.ndarray, weights: np.ndarray, *, spread: float) -> np.ndarray:  # [h w 3]
    """What is left of the difference, float32 wide - close smoothed over `spread` pixels; 0 where nothing is known."""
    difference = np.clip(wide.astype(np.float32) - close, -64, 64) * weights[..., None]
    known = cv2.GaussianBlur(weights.astype(np.float32), (0, 0), spread)
    return cv2.GaussianBlur(difference, (0, 0), spread) / (known + 0.02)[..., None]
