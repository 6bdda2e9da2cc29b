"""What the Jump cut tab holds: a session's video and its analysis, and the rows and choices as the page sends them."""

from __future__ import annotations

import secrets
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

from genkey_core.checks import InputError, length, shown
from genkey_core.jumpcut.cutlist import MAX_ROWS, Row, parse_ranges
from genkey_core.jumpcut.planning import Plan, plan
from genkey_core.jumpcut.settings import Choice, Settings
from genkey_core.jumpcut.survey import Survey

from .jumpcut_engines import ENGINES, engines_for, inputs_of

EMPTY_EDITOR = {"rows": [], "picked": None}
EMPTY_CUTS = {"choices": [], "picked": None}
CONTROLS = (  # fields of Settings, as shown
    "shortest_pause_s", "natural", "padding_s", "fillers", "mode", "neighbourhood", "n_inserted", "max_side", "engine",
)  # fmt: skip
_UNREADABLE = "rows: what this page sent cannot be read; reload it."


def new_session(path: str) -> dict:
    """What is remembered of a video that was just dropped: nothing is analysed yet."""
    return {
        "path": path, "name": Path(path).name, "folder": None, "transcript": None, "triage": {}, "done": {},
        "body": None, "densepose": False, "fitted": None,
    }  # fmt: skip


def source_of(session: dict | None) -> str:
    """The path of the session's video; raises InputError where there is none, or no more."""
    path = (session or {}).get("path")
    if path is None:
        raise InputError("video: none is here yet; drop one first.")
    if not Path(path).is_file():
        raise InputError("video: it is no longer here (uploads are deleted after a while); drop it again.")
    return path


def survey_of(session: dict | None) -> Survey:
    """The session's analysis, with what its transcript adds; raises InputError where there is none."""
    found = analysed_alone(session)
    transcript = session["transcript"]
    return found.with_transcript(transcript) if transcript else found


def analysed_alone(session: dict | None) -> Survey:
    """The session's analysis as it was heard and seen; raises InputError where there is none."""
    if not (session or {}).get("folder"):
        raise InputError("analysis: there is none yet; press Analyse first.")
    return _loaded(session["folder"])


@lru_cache(maxsize=8)
def _loaded(folder: str) -> Survey:
    return Survey.load(folder)


def settings_of(controls: tuple) -> Settings:
    """The checked settings that the page shows; raises InputError."""
    return Settings.from_dict(dict(zip(CONTROLS, controls, strict=True)))


def rows_sent(value: object) -> list[Row]:
    """The rows as the page sent them, every one checked; raises InputError that names the row."""
    rows = value.get("rows") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(_UNREADABLE)
    length(rows, "rows", high=MAX_ROWS)
    names = ("start_s", "end_s", "kind", "confidence", "remove", "text")
    if not all(all(name in row for name in names) for row in rows):
        raise InputError(_UNREADABLE)
    return [Row(*(row[name] for name in names)).checked(f"row {i}") for i, row in enumerate(rows, 1)]


def choices_sent(value: object) -> list[Choice]:
    """The choices per cut as the page sent them; raises InputError."""
    choices = value.get("choices", []) if isinstance(value, dict) else None
    if not isinstance(choices, list) or not all(isinstance(c, dict) for c in choices):
        raise InputError(_UNREADABLE)
    length(choices, "choices", high=MAX_ROWS)
    names = [field.name for field in fields(Choice)]
    return [Choice(*(c.get(name) for name in names)).checked(f"choice {i}") for i, c in enumerate(choices, 1)]


def picked_cut(value: object) -> tuple[int, int]:
    """The cut whose comparison is wanted, by its frames; raises InputError."""
    picked = value.get("picked") if isinstance(value, dict) else None
    if not isinstance(picked, list) or len(picked) != 2 or not all(isinstance(n, int) for n in picked):
        raise InputError(f"cut: two frame numbers are needed, got {shown(picked)}.")
    return picked[0], picked[1]


def plan_of(session: dict | None, editor: object, cuts: object, controls: tuple) -> Plan:
    """The checked job that the page shows; raises InputError."""
    choices = choices_sent(cuts)
    return plan(survey_of(session), rows_sent(editor), settings_of(controls), choices=choices, engines=ENGINES)


def engines_of(session: dict, job: Plan) -> dict[str, object]:
    """The engines of the job, with the session's body map and fitted network; raises InputError where one cannot run."""
    kept = {name: session.get(name) for name in ("body", "fitted")}
    return engines_for(job, densepose=bool(session.get("densepose")), **kept)


def inputs_beside(session: dict, job: Plan) -> list[dict]:
    """What the recipe names beside the video."""
    return inputs_of(job, body=session.get("body"), fitted=session.get("fitted"))


def proposed(survey: Survey, settings: Settings) -> dict:
    """News for the page's editor: what these settings propose. The page keeps the rows that its user touched."""
    return {"serial": secrets.token_hex(4), "rows": [sent(f"s{i}", row) for i, row in survey.proposals(settings)]}


def added(text: object, survey: Survey) -> dict:
    """News for the page's editor: rows of ranges as people type them; raises InputError."""
    rows = parse_ranges(text)
    if not rows:
        raise InputError("ranges: none is typed yet; 'remove 3.2 to 4.1 s' is the form.")
    for row in rows:
        if row.start_s >= survey.duration_s:
            raise InputError(
                f"ranges: {row.start_s:g} s lies after the end of the video at {survey.duration_s:.2f} s; correct it."
            )
    news = [sent(f"own-{secrets.token_hex(4)}", row, own=True) for row in rows]
    return {"serial": secrets.token_hex(4), "add": news}


def restored(rows: tuple[Row, ...]) -> dict:
    """News for the page's editor: exactly these rows, as the user's own."""
    news = [sent(f"own-{i}", row, own=True) for i, row in enumerate(rows)]
    return {"serial": secrets.token_hex(4), "restore": news}


def sent(key: str, row: Row, *, own: bool = False) -> dict:
    """A row as the page holds it."""
    return {
        "id": key, "start_s": round(row.start_s, 3), "end_s": round(row.end_s, 3), "kind": row.kind,
        "confidence": round(row.confidence, 3), "remove": row.remove, "text": row.text, "own": own,
    }  # fmt: skip
