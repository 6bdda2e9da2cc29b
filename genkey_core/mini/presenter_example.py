"""The bundled talk of the Jump cut tab: a drawn presenter, voiced by espeak-ng, with pauses and fillers planted.

Everything is decided here: what is said, where it stops, how the head turns meanwhile. Between phrases the presenter
shifts, as people do when they think, so that every pause that is cut out leaves a jump to hide. The mouth follows the
loudness of the voice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from . import voice
from .presenter_world import VALIDATION_SEEDS, Motion, motion, presenter

FPS, SIZE, MAP_SIZE = 25, 512, 128  # frames/s; side of the picture and of the body maps, pixels
IDENTITY = VALIDATION_SEEDS[15]  # a person that no training has seen
VOICE, WPM, PITCH = "en-gb", 150, 46
FILLER_WPM = 95  # a filled pause is drawn out
SCRIPT: tuple[tuple[str, str | float], ...] = (  # what is said or how long nothing is, in seconds
    ("pause", 0.4),
    ("words", "Hello, and welcome."),
    ("pause", 1.0),
    ("words", "I am a drawn presenter"),
    ("filler", "um"),
    ("words", "and my voice is a machine."),
    ("pause", 1.3),
    ("words", "When people talk, they stop"),
    ("filler", "uh"),
    ("words", "to find the next word."),
    ("pause", 0.9),
    ("words", "Nobody minds that in a room."),
    ("pause", 1.2),
    ("words", "On a screen"),
    ("filler", "um"),
    ("words", "it feels slow."),
    ("pause", 1.0),
    ("words", "So we cut the gaps away, and then the head jumps."),
    ("pause", 0.8),
    ("words", "This tool hides every jump."),
    ("pause", 0.7),
    ("words", "Have a look."),
    ("pause", 0.5),
)
_BREAK_S = 0.18  # around a filler
_ROOM = 10 ** (-62 / 20)  # of full scale, the noise of the room
_POSTURES = {  # field of Motion: how far a posture lies from the middle, and the least step to the next one
    "yaw_deg": (30.0, 16.0),
    "pitch_deg": (7.0, 3.0),
    "roll_deg": (6.0, 2.0),
    "shift_x": (0.16, 0.1),
    "shift_y": (0.06, 0.02),
    "nearness": (0.07, 0.04),
}


@dataclass(frozen=True)
class Talk:
    """The sound, and when what is said: (kind, start_s, end_s, text) in order."""

    samples: np.ndarray  # float32 [S] at voice.RATE
    marks: tuple[tuple[str, float, float, str], ...]

    @property
    def n_frames(self) -> int:
        return round(len(self.samples) / voice.RATE * FPS)


def talk(seed: int = 4) -> Talk:
    """SCRIPT spoken; raises InputError where espeak-ng is missing."""
    parts, marks, at = [], [], 0
    for kind, what in SCRIPT:
        if kind == "pause":
            said = np.zeros(round(what * voice.RATE), np.float32)
        elif kind == "words":
            said = 0.8 * voice.spoken(what, VOICE, WPM, PITCH)
        else:
            around = np.zeros(round(_BREAK_S * voice.RATE), np.float32)
            said = np.concatenate([around, 0.6 * voice.spoken(what, VOICE, FILLER_WPM, PITCH - 8), around])
        parts.append(said)
        margin = _BREAK_S if kind == "filler" else 0.0
        text = "" if kind == "pause" else str(what)
        marks.append((kind, at / voice.RATE + margin, (at + len(said)) / voice.RATE - margin, text))
        at += len(said)
    parts.append(np.zeros(-at % (voice.RATE // FPS), np.float32))  # a whole number of frames
    samples = np.concatenate(parts)
    samples += _ROOM * np.random.default_rng(seed).standard_normal(len(samples))
    return Talk(samples.astype(np.float32), tuple(marks))


def loudness(samples: np.ndarray, n_frames: int) -> np.ndarray:
    """[T] in [0, 1]: how far the mouth is open at each frame."""
    edges = np.linspace(0, len(samples), n_frames + 1).astype(int)
    power = np.add.reduceat(samples.astype(np.float64) ** 2, edges[:-1]) / np.diff(edges)
    level = np.sqrt(power)
    level[level < 10 * _ROOM] = 0.0  # silence shuts it
    return np.clip(level / np.percentile(level[level > 0], 85), 0, 1) ** 0.7


def acted(heard: Talk, seed: int = 4) -> Motion:
    """How the presenter moves with that talk: a new posture in every pause and filler, a slow sway in between."""
    n = heard.n_frames
    moves = motion(seed, n, fps=2.5 * FPS, talk=loudness(heard.samples, n))  # its drift, slowed down
    blink = motion(seed, n, fps=FPS).blink
    rng = np.random.default_rng(seed)
    t = np.arange(n) / FPS
    gaps = [(start_s, end_s) for kind, start_s, end_s, _ in heard.marks if kind != "words"]
    fields = {}
    for name, (reach, least) in _POSTURES.items():
        middle = 1.0 if name == "nearness" else 0.0
        sway = 0.25 * reach * _unit(getattr(moves, name))
        fields[name] = middle + sway + _postures(rng, t, gaps, reach, least)
    raised = _raised(t, heard)
    hands = {"left_hand": np.zeros(n), "right_hand": raised}
    return replace(moves, blink=blink, smile=0.6 * moves.smile + 0.15, **fields, **hands)


def _unit(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / (np.abs(values - values.mean()).max() + 1e-9)


def _postures(rng: np.random.Generator, t: np.ndarray, gaps, reach: float, least: float) -> np.ndarray:
    """[T]: one value per phrase within `reach`, at least `least` from the one before, reached inside the gaps."""
    value = rng.uniform(-reach, reach)
    values = np.full(len(t), value)
    for start_s, end_s in gaps:
        before = value
        while abs(value - before) < least:
            value = rng.uniform(-reach, reach)
        share = np.clip((t - start_s) / (end_s - start_s), 0, 1)
        values += (value - before) * share * share * (3 - 2 * share)
    return values


def _raised(t: np.ndarray, heard: Talk) -> np.ndarray:
    """[T]: one hand, raised during the longest phrase alone."""
    start_s, end_s = max(((a, b) for kind, a, b, _ in heard.marks if kind == "words"), key=lambda s: s[1] - s[0])
    share = np.clip(np.minimum(t - start_s, end_s - t) / 0.6, 0, 1)
    return share * share * (3 - 2 * share)


def drawn(moves: Motion, *, size: int = SIZE) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Each frame uint8 [H W 3] with its body map uint8 [MAP_SIZE MAP_SIZE 3] and landmarks float16 [L 3].

    Maps and landmarks as `jumpcut.bodymap` reads them: U and V times 255, places as shares of the picture.
    """
    person, step = presenter(IDENTITY, size), max(1, size // MAP_SIZE)
    for index in range(len(moves)):
        frame, iuv, marks = person.draw(moves.at(index))
        small = iuv[step // 2 :: step, step // 2 :: step]
        scaled = np.round(small * (1, 255, 255)).astype(np.uint8)
        shares = np.concatenate([(marks[:, :2] + 0.5) / size, marks[:, 2:]], 1)
        yield frame, scaled, np.where(shares[:, 2:] > 0.5, shares, 0).astype(np.float16)
