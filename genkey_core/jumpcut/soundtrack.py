"""The sound of a cut video, written to a file of its own so that an hour of it need not lie in memory."""

from __future__ import annotations

import os
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..checks import InputError
from ..media import read_audio
from ..media.audio import SoundStream, open_sound
from .edit import cut_audio
from .roomtone import RoomTone

if TYPE_CHECKING:
    from .planning import Plan

_UNDER_SPEECH_DB = -20.0  # room tone lies at least so far below the speech
_SPEECH = 90  # percentile of the loudness that is taken for speech


@contextmanager
def written_sound(path: str | os.PathLike, wav: Path, job: Plan) -> Iterator[Path]:
    """The sound of `job`'s result as 16-bit WAV at `wav`, which is deleted at the end of the block.

    Sound that is damaged further on is silent from there. Raises InputError where there is none.
    """
    tone = _room_tone(path, job) if any(piece.inserted for piece in job.pieces) else None
    try:
        with open_sound(path) as sound, wave.open(str(wav), "wb") as file:
            source = SoundStream(sound.sample_rate, _until_damage(sound.chunks))
            made = cut_audio(
                source, job.pieces, fps=job.survey.fps, crossfade_s=job.settings.crossfade_s, room_tone=tone
            )
            for i, chunk in enumerate(made):
                if i == 0:
                    file.setparams((chunk.shape[0], 2, sound.sample_rate, 0, "NONE", ""))
                file.writeframes(np.rint(np.clip(chunk.T, -1, 1) * 32767).astype("<i2").tobytes())
        yield wav
    finally:
        wav.unlink(missing_ok=True)


def _room_tone(path: str | os.PathLike, job: Plan) -> RoomTone | None:
    """Room tone from the quietest stretch; none where the sound is too short to have one."""
    quiet = job.survey.quietest_s
    if quiet is None:
        return None
    audio = read_audio(path, start_s=quiet[0], end_s=quiet[1])
    speech_db = float(np.percentile(job.survey.level_db, _SPEECH))
    return RoomTone(audio.samples, audio.sample_rate, seed=0, loudest_rms=10 ** ((speech_db + _UNDER_SPEECH_DB) / 20))


def _until_damage(chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    try:
        yield from chunks
    except InputError:
        return
