"""Engines for cuts: what one is told about a cut, what it says it costs, and how it is asked for.

An engine is a plain `transition.Between`, or a `CutEngine`, which is told about each cut first. Those that sample a whole
clip at once say `whole_clips`: of them a blended cut asks for one run across the cut (`transition.bridged`), since 2 H
separate pairs would be 2 H clips, and inserted frames come in one run too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..checks import InputError, shown
from .transition import Between
from .triage import Triage


@dataclass(frozen=True)
class Said:
    """A word of an engine on the way, such as "loading the model"."""

    note: str


@dataclass(frozen=True)
class Around:
    """What is known around one cut."""

    cut: int  # from 0
    frames: tuple[tuple[int, np.ndarray], ...]  # (number in the source, uint8 [H W 3]) on both sides, in order
    others: tuple[tuple[int, np.ndarray], ...]  # frames from elsewhere that help most
    draft: Between = field(repr=False)  # the draft engine for this cut


@dataclass(frozen=True)
class CutNeeds:
    """What one cut needs; estimates."""

    seconds: float
    once_s: float = 0.0  # for loading, the first time
    memory_bytes: int = 0
    gpu_quota_s: float = 0.0
    download_bytes: int = 0
    notes: tuple[str, ...] = ()  # sentences for the cost line


class CutEngine(Protocol):
    """Makes the transitions of cuts."""

    name: str
    whole_clips: bool
    follows_pose: bool  # whether a pose that is too far for the draft is not too far for it

    def for_cut(self, around: Around) -> Between:
        """The engine for one cut. What it returns may have a `note`, a sentence about the finished cut."""

    def needs(self, size: tuple[int, int], n_frames: int) -> CutNeeds:
        """What a cut of `n_frames` new frames of `size` (W, H) needs; nothing is loaded for it."""


Engines = Mapping[str, "Between | CutEngine"]


def makes_clips(engines: Engines, name: str) -> bool:
    """Whether that engine samples whole clips."""
    return bool(getattr(engines.get(name), "whole_clips", False))


def recommended(judged: Triage, engines: Engines, name: str) -> str:
    """What triage recommends for a cut by that engine. Its verdict is on the draft: where only the pose is too far for
    that one, an engine that knows what a body looks like is asked after all."""
    only_pose = "pose" in judged.kinds and not {"camera", "background", "people"} & set(judged.kinds)
    if judged.recommended == "punch-in" and only_pose and getattr(engines.get(name), "follows_pose", False):
        return "blended"
    return judged.recommended


def between_for(engines: Engines, name: str, around: Around) -> Between:
    """The callable that makes this cut's frames; raises InputError for a name that is not there."""
    engine = engines.get(name)
    if engine is None:
        raise InputError(f"engine: one of draft, {', '.join(engines)} is needed, got {shown(name)}.")
    return engine.for_cut(around) if hasattr(engine, "for_cut") else engine
