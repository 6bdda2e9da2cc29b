"""What the Inbetween tab holds: a session's uploaded files, the strip of keyframes as the page sends it, and settings."""

from __future__ import annotations

import secrets
from pathlib import Path

import gradio as gr

from genkey_core import recipe
from genkey_core.checks import InputError, length
from genkey_core.inbetween.settings import MAX_KEYFRAMES, Settings

from .jobs import as_text

EMPTY_STRIP = {
    "keyframes": [],
    "gaps": [{"duration_s": 1.0, "easing": "linear", "hold_s": 0.0}],
    "selected": -1,
    "loop": False,
}
CONTROLS = (  # fields of Settings, as shown
    "fps", "aspect", "fit", "max_side", "playback", "end_hold_s", "background",
    "engine", "variant", "preset", "prompt", "memory", "seed",
)  # fmt: skip
MAX_REMEMBERED = 8 * MAX_KEYFRAMES  # uploads of one session that the page may still show


def added(paths: list[str], files: dict, strip: dict, settings: Settings | None, *, replace: bool = False) -> list:
    """Outputs for [uploads, files, strip, *controls] that add images, instead of all there are with `replace`, and
    set `settings`, where given.

    The page merges them into its strip (keyframe_strip.js), which may have been edited since it was sent here.
    `files` is changed in place, so that uploads that are read at the same time all stay.
    """
    keyframes, thumbs = [], {}
    room = MAX_KEYFRAMES - (0 if replace else len(strip["keyframes"]))
    for path in paths:
        if len(keyframes) >= room:
            words = f"{Path(path).name}: at most {MAX_KEYFRAMES} keyframes are taken; this one was left out."
            gr.Warning(as_text(words))
            continue
        try:
            entry = _entry(path)
        except InputError as error:
            gr.Warning(as_text(str(error)), duration=None)
            continue
        key = secrets.token_hex(8)
        thumbs[key] = entry.pop("thumb")
        files[key] = entry
        keyframes.append({"id": key, "name": entry["name"]})
    _forget_removed(files, strip)
    news = {"serial": secrets.token_hex(4), "keyframes": keyframes, "thumbs": thumbs, "replace": replace}
    if settings:
        news |= {"gaps": settings.to_dict()["gaps"], "loop": settings.playback == "loop"}
    controls = [getattr(settings, name) if settings else gr.skip() for name in CONTROLS]
    return [None, files, gr.HTML(incoming=news), *controls]


def _entry(path: str) -> dict:
    """What is remembered of one image, and its thumbnail; raises InputError where it cannot be read."""
    from genkey_core import media

    from .inbetween_view import data_uri

    image = media.load_image(path, background=(128, 128, 128))
    return {
        "path": path,
        "name": Path(path).name,
        "sha256": recipe.file_sha256(path),
        "thumb": data_uri(image, 160, 70),
    }


def _forget_removed(files: dict, strip: dict) -> None:
    shown = {k["id"] for k in strip["keyframes"]}
    for key in [k for k in files if k not in shown][: max(0, len(files) - MAX_REMEMBERED)]:
        files.pop(key, None)


def checked_strip(value: object) -> dict:
    """The strip as the page sent it, where it has the form of one; raises InputError."""
    if not value:
        return EMPTY_STRIP
    keyframes, gaps = (value.get(k) if isinstance(value, dict) else None for k in ("keyframes", "gaps"))
    if (
        not isinstance(keyframes, list)
        or not all(isinstance(k, dict) and isinstance(k.get("id"), str) for k in keyframes)
        or not isinstance(gaps, list)
        or not all(isinstance(g, dict) for g in gaps)
    ):
        raise InputError("keyframes: what this page sent cannot be read; reload it.")
    length(keyframes, "keyframes", high=MAX_KEYFRAMES)
    length(gaps, "gaps", low=1, high=MAX_KEYFRAMES)
    return {**EMPTY_STRIP, **value}


def settings_of(strip: dict, controls: tuple) -> Settings:
    """The checked settings that the page shows; raises InputError."""
    values = dict(zip(CONTROLS, controls, strict=True))
    gaps, n = list(strip["gaps"]), len(strip["keyframes"])
    if n >= 2:
        wanted = n if values["playback"] == "loop" else n - 1
        gaps = (gaps + [dict(gaps[-1])] * wanted)[:wanted]
    return Settings.from_dict({"gaps": gaps, **values})


def keyframes_of(files: dict, strip: dict) -> tuple[list[str], list[str]]:
    """Paths and names of the keyframes in the strip's order; only files of this very session can be named."""
    entries = []
    for key in strip["keyframes"]:
        entry = (files or {}).get(key["id"])
        if entry is None or not Path(entry["path"]).is_file():
            raise InputError(
                "keyframes: an image is no longer here (uploads are deleted after a while); drop it again."
            )
        entries.append(entry)
    return [e["path"] for e in entries], [e["name"] for e in entries]
