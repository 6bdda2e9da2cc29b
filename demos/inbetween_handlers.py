"""What the Inbetween tab does: files in, settings and cost, the run itself, and restoring an earlier state."""

from __future__ import annotations

import json
import secrets
from functools import partial
from pathlib import Path

import gradio as gr

from genkey_core import recipe, runtime
from genkey_core.checks import InputError, length
from genkey_core.inbetween.settings import MAX_KEYFRAMES, MIN_KEYFRAMES, Settings
from genkey_core.timing import Easing

from .jobs import Cancellations, as_text, limits, says_mistakes, sweep
from .web_components import web_text

EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples" / "inbetween"
EMPTY_STRIP = {
    "keyframes": [],
    "gaps": [{"duration_s": 1.0, "easing": "linear", "hold_s": 0.0}],
    "selected": -1,
    "loop": False,
}
WAITING = "Drop 2 images or more to see what the video will cost."
CONTROLS = (
    "fps",
    "aspect",
    "fit",
    "max_side",
    "playback",
    "end_hold_s",
    "background",
)  # fields of Settings, in page order
LINK = "inbetween"  # the name of the settings in the page's address
LINK_JS = web_text("link.js").replace("NAME", LINK)
ADDRESS_JS = "(link) => { if (link) history.replaceState(null, '', link); }"
LOOP_JS = web_text("loop.js")

_cancellations = Cancellations()


def example_names() -> list[str]:
    """The bundled examples: folders of images in assets, in alphabetical order."""
    return sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir()) if EXAMPLES.is_dir() else []


def example_loader(name: str):
    """A handler that replaces the keyframes by those of a bundled example."""
    return says_mistakes(partial(_load_example, name))


def _load_example(name: str, _uploads, files: dict, strip: dict):
    images = sorted(str(p) for p in (EXAMPLES / name).glob("*.png"))
    settings_file = EXAMPLES / name / "settings.json"
    settings = (
        Settings.from_dict(json.loads(settings_file.read_text(encoding="utf-8"))) if settings_file.exists() else None
    )
    return _added(images, {}, {**EMPTY_STRIP, "gaps": checked_strip(strip)["gaps"]}, settings)


@says_mistakes
def add_files(uploads: list[str] | None, files: dict, strip: dict):
    """New images join the strip; an MP4 made here restores its settings. A bad file is named, the good ones stay."""
    settings, images = None, []
    for path in uploads or []:
        if Path(path).suffix.lower() == ".mp4":
            made = recipe.read(path, method="inbetween")
            settings = Settings.from_dict(made["settings"])
            _say_restored(Path(path).name, made, files)
        else:
            images.append(path)
    return _added(images, files or {}, checked_strip(strip), settings)


def _say_restored(name: str, made: dict, files: dict) -> None:
    have = {entry["sha256"] for entry in (files or {}).values()}
    missing = [str(i.get("name", "?")) for i in made["inputs"] if isinstance(i, dict) and i.get("sha256") not in have]
    hint = f" Drop its keyframes to make it again: {', '.join(missing)}." if missing else ""
    gr.Info(as_text(f"The settings of {name} are restored.{hint}"), duration=12)


def _added(paths: list[str], files: dict, strip: dict, settings: Settings | None):
    """Outputs for [uploads, files, strip, *controls, *timing] after adding images and restoring settings."""
    from genkey_core import media

    from .inbetween_view import data_uri

    keyframes = list(strip["keyframes"])
    files = {k["id"]: files[k["id"]] for k in keyframes if k["id"] in files}  # what was removed need not be remembered
    for path in paths:
        name = Path(path).name
        if len(keyframes) >= MAX_KEYFRAMES:
            gr.Warning(as_text(f"{name}: at most {MAX_KEYFRAMES} keyframes are taken; this one was left out."))
            continue
        try:
            image = media.load_image(path, background=(128, 128, 128))
        except InputError as error:
            gr.Warning(as_text(str(error)), duration=None)
            continue
        key = secrets.token_hex(8)
        files[key] = {"path": path, "name": name, "sha256": recipe.file_sha256(path), "thumb": data_uri(image, 160, 70)}
        keyframes.append({"id": key, "name": name})
    strip = {**strip, "keyframes": keyframes}
    if settings:
        strip = {**strip, "gaps": settings.to_dict()["gaps"], "loop": settings.playback == "loop", "selected": -1}
    strip["gaps"] = _enough_gaps(strip)
    thumbs = {k["id"]: files[k["id"]]["thumb"] for k in keyframes if k["id"] in files}
    return [
        None,
        files,
        gr.HTML(value=strip, thumbs=thumbs),
        *_control_values(settings),
        *_timing_values(strip, settings),
    ]


def _enough_gaps(strip: dict) -> list[dict]:
    gaps, n = list(strip["gaps"]), len(strip["keyframes"])
    return gaps + [dict(gaps[-1]) for _ in range(n - (0 if strip["loop"] else 1) - len(gaps))]


def _control_values(settings: Settings | None) -> list:
    if settings is None:
        return [gr.skip() for _ in CONTROLS]
    return [getattr(settings, name) for name in CONTROLS]


def _timing_values(strip: dict, settings: Settings | None) -> list:
    """Values for the gap controls (duration, easing, four numbers, steps, hold, curve) after a restore."""
    if settings is None:
        return [gr.skip()] * 9
    gap = settings.gaps[0]
    text = str(gap.easing)
    kind = text.split("(")[0]
    numbers = gap.easing.bezier or (0.0, 0.0, 1.0, 1.0)
    steps = gap.easing.steps or 4
    return [gap.duration_s, kind, *numbers, steps, gap.hold_s, {"easing": text, "frames": 24}]


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
    n = len(strip.get("keyframes", []))
    wanted = n if values["playback"] == "loop" else n - 1
    gaps = _enough_gaps({**EMPTY_STRIP, **strip, "loop": values["playback"] == "loop"})[: max(1, wanted)]
    return Settings.from_dict({"gaps": gaps, **values})


def keyframes_of(files: dict, strip: dict) -> tuple[list[str], list[str]]:
    """Paths and names of the keyframes in the strip's order; only files of this very session can be named."""
    entries = []
    for key in strip.get("keyframes", []):
        entry = (files or {}).get(key["id"])
        if entry is None or not Path(entry["path"]).is_file():
            raise InputError(
                "keyframes: an image is no longer here (uploads are deleted after a while); drop it again."
            )
        entries.append(entry)
    return [e["path"] for e in entries], [e["name"] for e in entries]


@says_mistakes
def describe(files: dict, strip: dict, *rest):
    """The cost line, the spacing chart, whether Run is possible, and the link word for what the page shows."""
    from genkey_core import inbetween

    from . import inbetween_view as view

    *controls, frames_zip = rest
    try:
        strip = checked_strip(strip)
        settings = settings_of(strip, tuple(controls))
        word = recipe.to_link(settings.to_dict())
        if len(strip["keyframes"]) < MIN_KEYFRAMES:
            return view.waiting_line(WAITING), "", gr.Button(interactive=False), word
        paths, _ = keyframes_of(files, strip)
        job = inbetween.plan(paths, settings)
        cost = inbetween.estimate_cost(job, frames_zip=bool(frames_zip))
        limits().check(cost)
    except InputError as error:
        return view.refused_line(str(error)), gr.skip(), gr.Button(interactive=False), gr.skip()
    notes = _notes(settings)
    line = view.cost_line(cost, job.size, job.timeline, on_zero_gpu=runtime.on_zero_gpu(), notes=notes)
    return line, view.spacing_chart(job.timeline), gr.Button(interactive=True), word


def _notes(settings: Settings) -> list[str]:
    if any(Easing.parse(g.easing).overshoots for g in settings.gaps):
        return ["A curve leaves 0 to 1: the motion waits at the keyframe there, since there is nothing beyond it."]
    return []


@says_mistakes
def prepare(request: gr.Request, files: dict, strip: dict, *rest):
    """Everything that can be refused is refused here, before the job waits in the queue."""
    from genkey_core import inbetween

    from .inbetween_view import waiting_line

    *controls, frames_zip = rest
    strip = checked_strip(strip)
    paths, _ = keyframes_of(files, strip)
    job = inbetween.plan(paths, settings_of(strip, tuple(controls)))
    limits().check(inbetween.estimate_cost(job, frames_zip=bool(frames_zip)))
    _cancellations.begin(request.session_hash)
    return waiting_line("Waiting for its turn…"), gr.Button(interactive=False), gr.Button(interactive=True)


@says_mistakes
def run(request: gr.Request, files: dict, strip: dict, *rest):
    """Make the video; yields progress for [status, video, archive, gallery, recipe] and last the result."""
    from .inbetween_api import make_result
    from .inbetween_view import facts, progress, waiting_line

    *controls, frames_zip = rest
    flag = _cancellations.current(request.session_hash)
    if flag.is_set():
        yield (
            waiting_line("Cancelled before it began; nothing was made."),
            None,
            gr.File(None, visible=False),
            None,
            None,
        )
        return
    strip = checked_strip(strip)
    paths, names = keyframes_of(files, strip)
    settings = settings_of(strip, tuple(controls))
    try:
        for item in make_result(paths, settings, frames_zip=bool(frames_zip), cancelled=flag.is_set, names=names):
            if item.is_progress:
                yield progress(item.step), gr.skip(), gr.skip(), gr.skip(), gr.skip()
                continue
            result = item.result
            fps = settings.fps
            pictures = [(image, f"{number} · {number / fps:.2f} s") for number, image in result.gallery]
            archive = gr.File(str(result.zip_path) if result.zip_path else None, visible=result.zip_path is not None)
            yield facts(result), str(result.path), archive, pictures, result.recipe
    finally:
        _cancellations.end(request.session_hash, flag)


def finish():
    """The buttons after a job, however it ended."""
    sweep()
    return gr.Button(interactive=True), gr.Button(interactive=False)


def cancel(request: gr.Request):
    """Ask this session's job to stop; what is done is kept."""
    _cancellations.cancel(request.session_hash)
    return gr.Button(interactive=False)


@says_mistakes
def from_link(request: gr.Request, files: dict, strip: dict):
    """On opening the page: the settings in its address, if there are any."""
    word = request.query_params.get(LINK) if request else None
    settings = None
    if word:
        settings = Settings.from_dict(recipe.from_link(word))
        gr.Info("The settings of this link are set; drop the keyframes to go on.", duration=8)
    return _added([], files or {}, checked_strip(strip), settings)
