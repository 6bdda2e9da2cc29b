"""Speech by espeak-ng, the free synthesiser: the voice of the drawn presenter and of planted test sound.

Its licence (GPL) covers the program, not what it says. It is called at build and test time only; nothing that runs for
a user needs it.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from functools import lru_cache

import numpy as np

from ..checks import InputError

RATE = 22050  # what espeak-ng speaks at, Hz
SILENT = 0.004  # of full scale: quieter is the synthesiser's own padding


def has_espeak() -> bool:
    """Whether espeak-ng can be run here."""
    return shutil.which("espeak-ng") is not None


@lru_cache(maxsize=512)
def spoken(text: str, voice: str, wpm: int, pitch: int) -> np.ndarray:
    """`text` by one voice as float32 [S] at RATE, peak 0.5, without the silence around it.

    `pitch` is espeak-ng's, 0 to 99. Raises InputError where espeak-ng is not installed.
    """
    if not has_espeak():
        raise InputError("voice: espeak-ng is needed to speak; install it (apt-get install espeak-ng).")
    command = ["espeak-ng", "-v", voice, "-s", str(wpm), "-p", str(pitch), "--stdout", text]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    with wave.open(io.BytesIO(done.stdout)) as file:
        if file.getframerate() != RATE:
            raise ValueError(f"espeak-ng: {RATE} Hz expected, got {file.getframerate()}")
        samples = np.frombuffer(file.readframes(2**30), np.int16).astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(samples) > SILENT)
    samples = samples[loud[0] : loud[-1] + 1]
    return 0.5 * samples / np.abs(samples).max()
