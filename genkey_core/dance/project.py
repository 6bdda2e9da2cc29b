"""A dance as a file: everything that was decided by hand, as JSON, to be saved and opened again.

Pictures and songs are not in it: they are named with their SHA-256, so that others are noticed when they are dropped beside it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..checks import InputError, integer, length, number, shown
from .beats import METERS, Beats
from .settings import Settings

FORMAT = "genkey-dance"
VERSION = 1
MAX_CHARS = 200_000
_MAX_BEATS = 10_000


@dataclass(frozen=True)
class BeatMarks:
    """The beats of a song as they were corrected, without the sound."""

    times_s: tuple[float, ...]
    first_downbeat: int
    beats_per_bar: int

    @classmethod
    def of(cls, beats: Beats) -> BeatMarks:
        return cls(tuple(np.round(beats.beat_times_s, 5).tolist()), beats.first_downbeat, beats.beats_per_bar)

    def on(self, heard: Beats) -> Beats:
        """These beats on the sound that was `heard`; raises InputError where they lie outside it."""
        times_s = np.array(self.times_s)
        if times_s[-1] > heard.duration_s + 0.5:
            raise InputError(
                f"beats: those of the project go on to {times_s[-1]:.1f} s, but this song ends at {heard.duration_s:.1f} s."
            )
        return replace(
            heard, beat_times_s=times_s, first_downbeat=self.first_downbeat, beats_per_bar=self.beats_per_bar, notes=()
        )


@dataclass(frozen=True)
class Project:
    """Settings, the corrected beats, and which files they were made for."""

    settings: Settings
    beats: BeatMarks | None = None
    inputs: tuple[tuple[str, str], ...] = ()  # (name, SHA-256) of the keyframes, and last the song

    def to_json(self) -> str:
        beats = None if self.beats is None else vars(self.beats)
        content = {
            "format": FORMAT,
            "version": VERSION,
            "settings": self.settings.to_dict(),
            "beats": beats,
            "inputs": [{"name": name, "sha256": digest} for name, digest in self.inputs],
        }
        return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Project:
        """A project from a file's text, every value checked; raises InputError."""
        if len(text) > MAX_CHARS:
            raise InputError(f"project: at most {MAX_CHARS:,} characters are read, got {len(text):,}.")
        try:
            content = json.loads(text)
        except (json.JSONDecodeError, RecursionError):
            raise InputError("project: it is not readable as JSON.") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError("project: this is no dance saved by this tool.")
        if content.get("version") != VERSION:
            raise InputError(f"project: version {VERSION} is read here, this one is {shown(content.get('version'))}.")
        marks, inputs = content.get("beats"), content.get("inputs", [])
        return cls(
            Settings.from_dict(content.get("settings")),
            None if marks is None else _marks(marks),
            _inputs(inputs),
        )

    def strangers(self, inputs: Sequence[tuple[str, str]]) -> list[str]:
        """Names of those of `inputs` (name, SHA-256) that the project was not made with."""
        known = {digest for _, digest in self.inputs}
        return [name for name, digest in inputs if known and digest not in known]


def _marks(value: object) -> BeatMarks:
    if not isinstance(value, dict) or not isinstance(value.get("times_s"), list):
        raise InputError("project: its beats cannot be read.")
    length(value["times_s"], "project, beats", low=2, high=_MAX_BEATS)
    times_s = tuple(number(t, f"project, beat {i}", low=0, high=7200) for i, t in enumerate(value["times_s"], 1))
    if any(b <= a for a, b in itertools.pairwise(times_s)):
        raise InputError("project: its beats must come one after the other.")
    per_bar = integer(value.get("beats_per_bar"), "project, meter", low=min(METERS), high=max(METERS))
    first = integer(value.get("first_downbeat"), "project, first downbeat", low=0, high=len(times_s) - 1)
    return BeatMarks(times_s, first, per_bar)


def _inputs(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InputError("project: its list of files cannot be read.")
    length(value, "project, files", high=64)
    return tuple((shown(str(item.get("name")), 200).strip("'"), str(item.get("sha256"))[:64]) for item in value)
