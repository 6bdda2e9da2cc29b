"""The recipe of a result: everything that made it, carried in the MP4's own metadata and, for settings alone, in a link.

A recipe is untrusted input like any other when it comes back: it is bounded in size, parsed as JSON only, its digest is
checked (so that a change by hand or by a damaged file is noticed) and its settings pass the same checks as the page's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path

from . import __version__
from .checks import InputError, shown

FORMAT = 1
METADATA_KEY = "comment"  # the MP4 atom that players and editors show, and that remuxing keeps
MAX_RECIPE_CHARS = 200_000
MAX_LINK_CHARS = 16_000
_PACKAGES = ("gradio", "numpy", "opencv-python-headless", "av", "torch", "diffusers", "transformers")


def build(*, method: str, engine: str, settings: dict, seed: int | None, inputs: list[dict], output: dict) -> dict:
    """The recipe of one result: JSON types only, with versions and a digest over all the rest."""
    recipe = {
        "genkey": FORMAT,
        "method": method,
        "engine": engine,
        "settings": settings,
        "seed": seed,
        "inputs": inputs,
        "output": output,
        "versions": versions(),
    }
    return {**recipe, "digest": _digest(recipe)}


def to_text(recipe: dict) -> str:
    """The recipe as one line of JSON, for the metadata of a file."""
    return json.dumps(recipe, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def from_text(text: str) -> dict:
    """The recipe in a text, checked for form and digest; raises InputError."""
    if len(text) > MAX_RECIPE_CHARS:
        raise InputError(f"recipe: at most {MAX_RECIPE_CHARS:,} characters are read, got {len(text):,}.")
    recipe = _parse_json(text, "recipe")
    missing = [key for key in ("genkey", "method", "engine", "settings", "inputs", "digest") if key not in recipe]
    if missing:
        raise InputError(f"recipe: this is not a recipe of this tool ({', '.join(missing)} missing).")
    if recipe["genkey"] != FORMAT:
        raise InputError(f"recipe: format {FORMAT} is read here, this one has format {shown(recipe['genkey'])}.")
    rest = {key: value for key, value in recipe.items() if key != "digest"}
    if recipe["digest"] != _digest(rest):
        raise InputError(
            "recipe: it was changed after the video was made (its digest does not match), so it is not used."
        )
    return recipe


def read(path: str | Path, *, method: str) -> dict:
    """The recipe inside an MP4 made by this tool with `method`; raises InputError where there is none."""
    from . import media

    text = media.read_metadata(path).get(METADATA_KEY, "")
    if not text.lstrip().startswith("{"):
        raise InputError(f"{Path(path).name}: this video carries no recipe; only videos made by this tool do.")
    recipe = from_text(text)
    if recipe["method"] != method:
        raise InputError(f"{Path(path).name}: its recipe is for {shown(recipe['method'])}, not for '{method}'.")
    return recipe


def to_link(settings: dict) -> str:
    """Settings as one URL-safe word, for the page's address; it needs no server to remember anything."""
    packed = json.dumps(settings, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def from_link(word: str) -> dict:
    """The settings in a word made by `to_link`; raises InputError."""
    if len(word) > MAX_LINK_CHARS:
        raise InputError(f"link: at most {MAX_LINK_CHARS:,} characters are read, got {len(word):,}.")
    try:
        text = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InputError("link: its settings cannot be read; copy the whole address again.") from None
    return _parse_json(text, "link")


def versions() -> dict[str, str]:
    """Versions of this tool, Python and the packages that shape a result (those that are installed)."""
    found = {"genkey_core": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _digest(recipe: dict) -> str:
    canonical = json.dumps(recipe, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _parse_json(text: str, name: str) -> dict:
    def refuse(token: str) -> float:
        raise InputError(f"{name}: {token} is not a number.")

    try:
        value = json.loads(text, parse_constant=refuse)
    except (json.JSONDecodeError, RecursionError):
        raise InputError(f"{name}: it is not readable as JSON.") from None
    if not isinstance(value, dict):
        raise InputError(f"{name}: a JSON object is needed, got {shown(value)}.")
    return value
