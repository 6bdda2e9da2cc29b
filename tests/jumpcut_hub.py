"""The Jump cut tab served alone, as `python -m demos.jumpcut` does, and a small talk for its tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from hub_server import HubServer

from genkey_core.media import Audio, VideoWriter

FPS, RATE, SIZE = 10, 16_000, (128, 96)
PAUSES_S = ((1.2, 2.2), (3.4, 4.2))  # of the talk


class JumpcutServer(HubServer):
    """The same as `HubServer`, with this tab alone."""

    def command(self) -> list[str]:
        return ["-m", "demos.jumpcut"]


def talk(path: Path, duration_s: float = 5.0, *, with_sound: bool = True) -> Path:
    """A head that sways before a textured wall and buzzes like a voice, but for two pauses."""
    paint = np.random.default_rng(5)
    wall = cv2.GaussianBlur(paint.integers(0, 255, (SIZE[1], SIZE[0], 3)).astype(np.float32), (0, 0), 5)
    wall = cv2.normalize(wall, None, 60, 180, cv2.NORM_MINMAX).astype(np.uint8)
    with VideoWriter(path, fps=FPS, size=SIZE, audio=Audio(voice(duration_s), RATE) if with_sound else None) as writer:
        for i in range(round(duration_s * FPS)):
            image = wall.copy()
            cv2.circle(image, (64 + round(6 * np.sin(i / 4)), 50), 22, (200, 150, 120), -1, cv2.LINE_AA)
            cv2.circle(image, (58 + round(6 * np.sin(i / 4)), 46), 3, (30, 30, 30), -1, cv2.LINE_AA)
            cv2.circle(image, (70 + round(6 * np.sin(i / 4)), 46), 3, (30, 30, 30), -1, cv2.LINE_AA)
            writer.write(image)
    return path


def voice(duration_s: float) -> np.ndarray:
    """float32 [1 S]: syllables of a gliding buzz, silent in PAUSES_S."""
    t = np.arange(round(duration_s * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 15 * np.sin(2 * np.pi * 1.3 * t)) / RATE
    sound = 0.05 * sum(np.sin(k * phase) / k for k in range(1, 12)) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    for start_s, end_s in PAUSES_S:
        sound[(t >= start_s) & (t < end_s)] = 0
    return (sound + 1e-4 * np.random.default_rng(1).standard_normal(len(t))).astype(np.float32)[None]
