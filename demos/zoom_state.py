"""What the Powers of ten tab holds: the project as the page sends it, in a file, in a link; and what a session has made."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from genkey_core.checks import InputError, choice, integer, shown
from genkey_core.zoom.camera import Journey
from genkey_core.zoom.prompts import MAX_JSON, MAX_LEVELS, Ladder, scale_label
from genkey_core.zoom.settings import Settings

MODES = ("prompts", "photo", "images")
FORMAT = "genkey-zoom-project"
MAX_IMAGES = 24
ENGINE_FIELDS = tuple(each.name for each in fields(Settings))
VIDEO_FIELDS = tuple(each.name for each in fields(Journey))
PHOTO_FACTORS = ("2", "4")  # between the levels that one photo is cut into
EMPTY_LADDER = {"p": 4, "levels": []}
_UNREADABLE = "prompts: what this page sent cannot be read; reload it."


@dataclass(frozen=True)
class Project:
    """Everything that makes a zoom but the pictures that are dropped."""

    mode: str = "prompts"  # one of MODES
    ladder: Ladder | None = None  # of prompts and photo
    settings: Settings = field(default_factory=Settings)  # of prompts and photo
    journey: Journey = field(default_factory=Journey)
    cut_p: int = 2  # images: the factor between the levels that one single photo is cut into

    @classmethod
    def from_dict(cls, values: object) -> Project:
        """A project from JSON-like values, every one checked; raises InputError."""
        if not isinstance(values, dict):
            raise InputError(f"project: an object of names and values is needed, got {shown(values)}.")
        known = {"format", "mode", "p", "levels", "settings", "video", "cut_p"}
        unknown = sorted(str(name) for name in values if name not in known)
        if unknown:
            raise InputError(
                f"project: {shown(', '.join(unknown))} is not known; known are {', '.join(sorted(known))}."
            )
        mode = choice(values.get("mode", "prompts"), "mode", MODES)
        ladder = None if mode == "images" and not values.get("levels") else ladder_sent(values)
        return cls(
            mode=mode,
            ladder=ladder,
            settings=Settings.from_dict(values.get("settings", {})),
            journey=journey_of(values.get("video", {})),
            cut_p=integer(values.get("cut_p", 2), "factor of the cut", low=2, high=16),
        )

    def to_dict(self) -> dict:
        """JSON types only; `from_dict` gives the same project back, and `Ladder.from_json` its ladder."""
        values = {"format": FORMAT, "mode": self.mode, "cut_p": self.cut_p}
        if self.ladder is not None:
            rungs = [{"scale": scale, "prompt": prompt} for scale, prompt in self.ladder.rungs()]
            values |= {"p": self.ladder.p, "levels": rungs}
        return values | {
            "settings": self.settings.to_dict(),
            "video": asdict(self.journey) | {"size": list(self.journey.size)},
        }

    def to_json(self) -> str:
        """The project as a small file."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"


def project_in(text: str) -> Project | Ladder:
    """What a JSON file holds: a project exported here, or only a ladder of prompts; raises InputError."""
    if len(text) > MAX_JSON:
        raise InputError(f"project: a JSON file of {len(text):,} characters is too large; it holds a few kB.")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("project: the file is not JSON; export a project to see what is wanted.") from error
    if isinstance(values, dict) and values.get("format") == FORMAT:
        return Project.from_dict(values)
    return Ladder.from_json(text)


def project_made(made: dict) -> Project:
    """The project that a checked recipe of this method tells of; raises InputError where it tells of none."""
    settings = made["settings"]
    if not isinstance(settings, dict):
        raise InputError("project: the recipe of this video holds no settings.")
    rest = {key: value for key, value in settings.items() if key not in ("prompts", "p", "video", "cut_p")}
    prompts = settings.get("prompts")
    mode = "images" if prompts is None else "photo" if made["inputs"] else "prompts"
    values = {"mode": mode, "settings": rest, "video": settings.get("video", {}), "cut_p": settings.get("cut_p", 2)}
    if prompts is not None:
        if not isinstance(prompts, list):
            raise InputError(f"project: a list of prompts is needed, got {shown(prompts)}.")
        values |= {"p": settings.get("p", 2), "levels": [{"prompt": prompt} for prompt in prompts]}
    return Project.from_dict(values)


def ladder_sent(value: object) -> Ladder:
    """The ladder as the page or a file has it, {"p", "levels": [{"prompt"}]}; raises InputError that names the level."""
    levels = value.get("levels") if isinstance(value, dict) else None
    if not isinstance(levels, list) or not all(isinstance(level, dict) for level in levels):
        raise InputError(_UNREADABLE)
    return Ladder(tuple(level.get("prompt", "") for level in levels), value.get("p", 2)).checked()


def journey_of(values: object) -> Journey:
    """The options of the video from JSON-like values; raises InputError."""
    if not isinstance(values, dict):
        raise InputError(f"video: an object of names and values is needed, got {shown(values)}.")
    unknown = sorted(str(name) for name in values if name not in VIDEO_FIELDS)
    if unknown:
        raise InputError(f"video: {shown(', '.join(unknown))} is not known; known are {', '.join(VIDEO_FIELDS)}.")
    values = dict(values)
    if "size" in values:
        values["size"] = size_of(values["size"])
    return Journey(**values)


def size_of(value: object) -> tuple[int, int]:
    """(W, H) from a pair of numbers or a text such as "1920x1080"; raises InputError."""
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d{1,5})\s*[x×*]\s*(\d{1,5})\s*", value, re.IGNORECASE)
        value = [int(side) for side in found.groups()] if found else value
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise InputError(f"size: a width and a height such as 1920x1080 are needed, got {shown(value)}.")
    return tuple(integer(side, "size", low=16, high=4096) for side in value)


def size_text(size: tuple[int, int]) -> str:
    """A size as the page names it."""
    return f"{size[0]}x{size[1]}"


def project_sent(mode: object, ladder: object, engine: tuple, video: tuple, cut_p: object) -> Project:
    """The checked project that the page shows; `engine` and `video` are in the order of their fields. Raises InputError."""
    mode = choice(mode, "mode", MODES)
    given = dict(zip(ENGINE_FIELDS, engine, strict=True))
    given["guidance_scale"] = given["guidance_scale"] or None  # 0 and an empty field stand for the engine's own
    given["size"] = given["size"] or None
    return Project(
        mode=mode,
        ladder=None if mode == "images" else ladder_sent(ladder),
        settings=Settings.from_dict(given),
        journey=journey_of(dict(zip(VIDEO_FIELDS, video, strict=True))),
        cut_p=integer(
            int(cut_p) if isinstance(cut_p, str) and cut_p.isdigit() else cut_p, "factor of the cut", low=2, high=16
        ),
    )


def pictures_sent(mode: str, photo: object, images: object) -> list[str]:
    """The paths of the pictures that the mode takes; raises InputError where they are missing or too many."""
    if mode == "prompts":
        return []
    if mode == "photo":
        if not photo:
            raise InputError("photo: drop the photo that the first level is to show.")
        return [_here(photo, "photo")]
    images = list(images or [])
    if not images:
        raise InputError("images: drop one large photo, or several of one thing from ever closer.")
    if len(images) > MAX_IMAGES:
        raise InputError(f"images: at most {MAX_IMAGES} are taken, got {len(images)}.")
    return [_here(path, "images") for path in images]


def _here(path: object, name: str) -> str:
    if not isinstance(path, str) or not Path(path).is_file():
        raise InputError(f"{name}: a picture is no longer here (uploads are deleted after a while); drop it again.")
    return path


def ladder_news(ladder: Ladder, serial: str) -> dict:
    """News for the page's ladder: exactly these levels."""
    return {"serial": serial, "p": ladder.p, "levels": [{"prompt": prompt} for prompt in ladder.prompts]}


def captions_of(project: Project, n: int) -> list[str]:
    """What the viewer says at each level."""
    if project.ladder is not None and len(project.ladder.prompts) == n:
        return list(project.ladder.prompts)
    return [""] * n


def with_engine(project: Project, **changes: object) -> Project:
    """The project with other settings of the engine."""
    return replace(project, settings=replace(project.settings, **changes).checked())


__all__ = [
    "EMPTY_LADDER",
    "ENGINE_FIELDS",
    "MAX_LEVELS",
    "MODES",
    "PHOTO_FACTORS",
    "VIDEO_FIELDS",
    "Project",
    "captions_of",
    "journey_of",
    "ladder_news",
    "ladder_sent",
    "pictures_sent",
    "project_in",
    "project_made",
    "project_sent",
    "scale_label",
    "size_of",
    "size_text",
    "with_engine",
]
