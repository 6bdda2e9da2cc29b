"""What the Animal dance tab holds: a visitor's keyframes, song and motion, its corrected beats, and the settings on the page."""

from __future__ import annotations

import secrets
from functools import lru_cache
from pathlib import Path

from genkey_core import recipe
from genkey_core.checks import InputError
from genkey_core.dance.beats import Beats, hear_beats
from genkey_core.dance.planning import Plan, plan
from genkey_core.dance.project import BeatMarks, Project
from genkey_core.dance.settings import Settings

CONTROLS = (  # fields of Settings, as shown
    "pattern", "start_s", "end_s", "motion_low", "motion_high", "pins", "mirrored_ends", "never", "solution", "fps",
    "max_side", "in_betweens", "strength", "engine", "seed", "mirrors", "masks", "subject", "background", "epochs",
)  # fmt: skip
EMPTY = {"keyframes": [], "song": None, "name": "", "marks": None, "motion": None, "folder": None}
EXAMPLE = Path(__file__).resolve().parents[1] / "assets" / "examples" / "dance"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
MOTIONS = (".bvh", ".npz", ".pt")
MAX_CUT_VIDEO_S = 300.0  # of a video that keyframes are taken from

_GONE = "it is no longer here (uploads are deleted after a while); drop it again."


def held(session: dict | None) -> dict:
    """The visitor's things, also before there are any."""
    return {**EMPTY, **(session or {})}


def here(path: str | None, what: str) -> str:
    """`path` where its file is still here; raises InputError that names what is missing."""
    if not path:
        raise InputError(f"{what}: none is here yet; drop one first, or take the example.")
    if not Path(path).is_file():
        raise InputError(f"{what}: {_GONE}")
    return path


@lru_cache(maxsize=8)
def heard(song: str) -> Beats:
    """The beats of a song as they were first heard."""
    return hear_beats(song)


def beats_of(session: dict | None) -> Beats:
    """The beats of the visitor's song, as corrected; raises InputError where there is none, or none can be heard."""
    session = held(session)
    first = heard(here(session["song"], "song"))
    return BeatMarks(**session["marks"]).on(first) if session["marks"] else first


def with_beats(session: dict | None, beats: Beats) -> dict:
    """The visitor's things with other beats."""
    marks = vars(BeatMarks.of(beats))
    return {**held(session), "marks": {**marks, "times_s": list(marks["times_s"])}}


def example_marks(told: dict) -> dict:
    """The beats that the example's song was made on; two more would be heard in its last chord, after the dancer stopped."""
    times_s = [round(told["first_downbeat_s"] + 60 * i / told["bpm"], 5) for i in range(told["beats"])]
    return {"times_s": times_s, "first_downbeat": 0, "beats_per_bar": told["beats_per_bar"]}


def settings_of(controls: tuple) -> Settings:
    """The checked settings that the page shows; raises InputError."""
    values = dict(zip(CONTROLS, controls, strict=True))
    values["end_s"] = values["end_s"] or None  # an empty box
    values["start_s"] = values["start_s"] or 0.0
    return Settings.from_dict(values)


def plan_of(session: dict | None, controls: tuple) -> Plan:
    """The checked dance that the page shows; raises InputError."""
    session, settings = held(session), settings_of(controls)
    paths = [here(path, "keyframes") for path in session["keyframes"]]
    return plan(paths, here(session["song"], "song"), settings, beats=beats_of(session))


def project_of(session: dict | None, settings: Settings) -> Project:
    """Everything decided by hand, to be saved."""
    session = held(session)
    files = [*session["keyframes"], *([session["song"]] if session["song"] else [])]
    inputs = tuple((Path(path).name, recipe.file_sha256(path)) for path in files if Path(path).is_file())
    marks = session["marks"]
    return Project(settings, BeatMarks(**marks) if marks else None, inputs)


def serial() -> str:
    """What tells one piece of news for a component from the one before."""
    return secrets.token_hex(4)
