"""Clicks on the beats, mixed into the music, to check them by ear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..checks import number
from ..media.audio import Audio

if TYPE_CHECKING:
    from .beats import Beats

_CLICK_S, _FALL_S, _ATTACK_S = 0.05, 0.008, 0.0005
_DOWNBEAT_HZ, _BEAT_HZ = 2000.0, 1300.0


def clicks(beats: Beats, audio: Audio, *, level: float = 0.5) -> Audio:
    """`audio` with a click that begins on the sample of every beat, higher on downbeats; `level` 0 to 1 of full scale.

    `audio` is the sound that was listened to, from its beginning, at any rate. The music steps back so that nothing clips.
    """
    level = number(level, "level of the clicks", low=0, high=1)
    rate = audio.sample_rate
    t = np.arange(round(_CLICK_S * rate)) / rate
    shape = np.minimum(t / _ATTACK_S, 1) * np.exp(-t / _FALL_S)
    sounds = {hz: (level * shape * np.sin(2 * np.pi * hz * t)).astype(np.float32) for hz in (_DOWNBEAT_HZ, _BEAT_HZ)}
    peak = float(np.abs(audio.samples).max()) if audio.samples.size else 0.0
    mixed = audio.samples * np.float32(min(1.0, (1 - level) / peak) if peak > 0 else 1.0)
    for time_s, place in zip(beats.beat_times_s, beats.bar_places, strict=True):
        start = round(time_s * rate)
        sound = sounds[_DOWNBEAT_HZ if place == 1 else _BEAT_HZ][: max(mixed.shape[1] - start, 0)]
        mixed[:, start : start + len(sound)] += sound
    return Audio(mixed, rate)
