"""What the Inbetween tab does: files in, settings and cost, the run itself, and restoring an earlier state."""

from __future__ import annotations

import json
import secrets
from functools import partial
from pathlib import Path

import gradio as gr

from genkey_core import recipe, runtime
from genkey_core.checks import InputError
from genkey_core.inbetween.settings import MIN_KEYFRAMES, Settings
from genkey_core.timing import Easing

from .inbetween_state import EMPTY_STRIP, added, checked_strip, keyframes_of, settings_of
from .jobs import SessionJobs, as_text, cancelled_words, limits, says_mistakes, sweep
from .web_components import web_text

EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples" / "inbetween"
WAITING = "Drop 2 images or more to see what the video will cost."
DROPPED = "Cancelled before it began; nothing was made."
FAILED = "Nothing was made; the message says why."
LINK = "inbetween"  # the name of the settings in the page's address
LOOP_JS = web_text("loop.js")

_jobs = SessionJobs()


def example_names() -> list[str]:
    """The bundled examples: folders of images in assets, in alphabetical order."""
    return sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir()) if EXAMPLES.is_dir() else []


def example_loader(name: str):
    """A handler that replaces the keyframes by those of a bundled example."""
    return says_mistakes(partial(_load_example, name))


def _load_example(name: str, _uploads, files: dict, _strip: dict):
    folder = EXAMPLES / name
    settings = Settings.from_dict(json.loads((folder / "settings.json").read_text(encoding="utf-8")))
    return added(sorted(str(p) for p in folder.glob("*.png")), files, EMPTY_STRIP, settings, replace=True)


@says_mistakes
def add_files(uploads: list[str] | None, files: dict, strip: dict):
    """New images join the strip; an MP4 made here restores its settings. A bad file is named, the good ones stay."""
    settings, images = None, []
    for path in uploads or []:
        if Path(path).suffix.lower() != ".mp4":
            images.append(path)
            continue
        try:
            made = recipe.read(path, method="inbetween")
            settings = Settings.from_dict(made["settings"])
        except InputError as error:
            gr.Warning(as_text(str(error)), duration=None)
            continue
        _say_restored(Path(path).name, made, files)
    return added(images, files, checked_strip(strip), settings)


def _say_restored(name: str, made: dict, files: dict) -> None:
    have = {entry["sha256"] for entry in files.values()}
    missing = [str(i.get("name", "?")) for i in made["inputs"] if isinstance(i, dict) and i.get("sha256") not in have]
    hint = f" Drop its keyframes to make it again: {', '.join(missing)}." if missing else ""
    gr.Info(as_text(f"The settings of {name} are restored.{hint}"), duration=12)


@says_mistakes
def from_link(request: gr.Request, files: dict, strip: dict):
    """On opening the page: the settings in its address, if there are any."""
    word = request.query_params.get(LINK) if request else None
    if not word:
        return added([], files, EMPTY_STRIP, None)
    settings = Settings.from_dict(recipe.from_link(word))
    gr.Info("The settings of this link are set; drop the keyframes to go on.", duration=8)
    return added([], files, checked_strip(strip), settings)


@says_mistakes
def describe(request: gr.Request, files: dict, strip: dict, *rest):
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
    line = view.cost_line(cost, job.size, job.timeline, on_zero_gpu=runtime.on_zero_gpu(), notes=_notes(settings))
    chart = view.spacing_chart(job.timeline)
    return line, chart, gr.Button(interactive=not _jobs.busy(request.session_hash)), word


def _notes(settings: Settings) -> list[str]:
    if any(Easing.parse(g.easing).overshoots for g in settings.gaps):
        return ["A curve leaves 0 to 1: the motion waits at the keyframe there, since there is nothing beyond it."]
    return []


@says_mistakes
def prepare(request: gr.Request, files: dict, strip: dict, *rest):
    """Everything that can be refused is refused here, before the job waits in the queue."""
    from .inbetween_api import check

    _checked(files, strip, rest, check)
    return _queued(request)


@says_mistakes
def prepare_comparison(request: gr.Request, files: dict, strip: dict, *rest):
    """The same for the comparison of the variants."""
    from .inbetween_compare import check

    _checked(files, strip, rest, check)
    return _queued(request)


def _checked(files: dict, strip: dict, rest: tuple, check) -> None:
    *controls, frames_zip = rest
    strip = checked_strip(strip)
    paths, _ = keyframes_of(files, strip)
    check(paths, settings_of(strip, tuple(controls)), frames_zip=bool(frames_zip))


def _queued(request: gr.Request):
    from .inbetween_view import waiting_line

    _jobs.begin(request.session_hash)
    return waiting_line("Waiting for its turn…"), gr.Button(interactive=False), gr.Button(interactive=True)


@says_mistakes
def run(request: gr.Request, files: dict, strip: dict, *rest):
    """Make the video; yields progress for [status, video, facts, archive, gallery, recipe] and last the result."""
    from .inbetween_api import make_result

    yield from _work(request, make_result, files, strip, rest)


@says_mistakes
def compare(request: gr.Request, files: dict, strip: dict, *rest):
    """Make the video of the variants side by side; yields what `run` yields."""
    from .inbetween_compare import make_comparison

    yield from _work(request, make_comparison, files, strip, rest)


def _work(request: gr.Request, make, files: dict, strip: dict, rest: tuple):
    from .inbetween_view import progress, shown, waiting_line

    *controls, frames_zip = rest
    job = _jobs.start(request.session_hash)
    try:
        if job.cancelled.is_set():
            yield waiting_line(DROPPED), *[gr.skip()] * 5
            return
        strip = checked_strip(strip)
        paths, names = keyframes_of(files, strip)
        settings = settings_of(strip, tuple(controls))
        stopped = job.cancelled.is_set
        for item in make(paths, settings, frames_zip=bool(frames_zip), cancelled=stopped, names=names):
            if item.is_progress:
                yield progress(item.step), *[gr.skip()] * 5
                continue
            yield shown(item.result)
    except Exception as error:
        words = cancelled_words(job, error)
        yield waiting_line(words or FAILED), *[gr.skip()] * 5
        if words is None:
            raise
    finally:
        _jobs.end(request.session_hash, job)


def finish(request: gr.Request, *page_state):
    """The buttons after a job, however it ended, and the status of one that never came into the queue."""
    from .inbetween_view import waiting_line

    job = _jobs.end(request.session_hash)
    refused = job is not None and not job.cancelled.is_set()
    sweep()
    status = waiting_line(FAILED) if refused else gr.skip()
    return describe(request, *page_state)[2], gr.Button(interactive=False), status


def cancel(request: gr.Request):
    """Ask this session's job to stop: what is done is kept; a job that still waits leaves the queue."""
    from .inbetween_view import waiting_line

    job = _jobs.cancel(request.session_hash)
    if job and not job.waits:
        return gr.Button(interactive=False), gr.skip(), gr.skip()
    return gr.Button(interactive=False), waiting_line(DROPPED), secrets.token_hex(4)
