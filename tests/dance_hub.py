"""The Animal dance tab served alone, as `python -m demos.dance` does, and small keyframes and a song for its tests."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from drawn_dancer import keyframes
from hub_server import HubServer

from genkey_core.media import save_image

RATE = 22_050
BPM, SONG_S = 120.0, 6.0


class DanceServer(HubServer):
    """The same as `HubServer`, with this tab alone."""

    def command(self) -> list[str]:
        return ["-m", "demos.dance"]


def pose_files(folder: Path) -> list[Path]:
    """Six drawn keyframes as files."""
    paths = [folder / f"pose-{k}.png" for k in range(1, 7)]
    for path, image in zip(paths, keyframes()[0], strict=True):
        save_image(path, image)
    return paths


def drum_loop(path: Path, *, seconds: float = SONG_S, silent: bool = False) -> Path:
    """Seconds of kicks and snares at BPM, the first kick at 0; or as much silence."""
    t = np.arange(round(0.2 * RATE)) / RATE
    kick = np.sin(2 * np.pi * 60 * t) * np.exp(-t / 0.06)
    snare = np.random.default_rng(3).standard_normal(len(t)) * np.exp(-t / 0.03) * 0.4
    sound = np.zeros(round(seconds * RATE))
    for i in range(int(seconds * BPM / 60)):
        start = round(i * 60 / BPM * RATE)
        drum = kick if i % 2 == 0 else snare
        sound[start : start + len(t)] += drum[: len(sound) - start]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        level = 0.0 if silent else 0.8 * 32767 / np.abs(sound).max()
        file.writeframes(np.rint(level * sound).astype("<i2").tobytes())
    return path
