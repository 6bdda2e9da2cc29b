"""Where the levels of the Powers of ten tab come from: templates, files, examples, and suggestions of a language model."""

from __future__ import annotations

import secrets
from contextlib import closing
from functools import partial
from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from genkey_core.checks import InputError, choice, integer
from genkey_core.zoom.prompts import MIN_LEVELS, Ladder
from genkey_core.zoom.templates import MINI, TEMPLATES

from . import zoom_state as state
from . import zoom_view as view
from . import zoom_work as work
from .inbetween_view import waiting_line
from .jobs import as_text, says_mistakes

EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples" / "zoom"
MINI_EXAMPLE = "mini world"
TEMPLATE_CHOICES = [(f"mini world: {name}", name) for name in MINI] + [(name, name) for name in TEMPLATES]
LINK = "zoom"  # the name of the settings in the page's address
_PICTURES = (".jpg", ".png")

_jobs = work.SESSIONS


def _news(ladder: Ladder) -> gr.HTML:
    return gr.HTML(incoming=state.ladder_news(ladder, secrets.token_hex(4)))


def restored(project: state.Project) -> list:
    """Outputs for [mode, ladder, *engine, *video, cut_p] that show a project."""
    ladder = gr.skip() if project.ladder is None else _news(project.ladder)
    engine = {**project.settings.to_dict()}
    engine["guidance_scale"] = engine["guidance_scale"] or 0
    engine["size"] = engine["size"] or 0
    video = {name: getattr(project.journey, name) for name in state.VIDEO_FIELDS}
    video["size"] = state.size_text(project.journey.size)
    return [project.mode, ladder, *engine.values(), *video.values(), str(project.cut_p)]


@says_mistakes
def template(name: str):
    """The levels of a written template, as news for the page's ladder."""
    return _news({**MINI, **TEMPLATES}[choice(name, "template", (*MINI, *TEMPLATES))])


@says_mistakes
def take_project(path: str | None):
    """A JSON file or an MP4 made here was dropped: outputs for [the box, mode, ladder, *engine, *video, cut_p].

    A file that holds only prompts changes nothing but the ladder; one that cannot be read is named and leaves the box.
    """
    from genkey_core import recipe

    stay = [gr.skip()] * (len(state.ENGINE_FIELDS) + len(state.VIDEO_FIELDS) + 1)
    try:
        if path is None:
            raise InputError("project: a JSON file or an MP4 made here is needed.")
        if Path(path).suffix.lower() == ".mp4":
            found = state.project_made(recipe.read(path, method="zoom"))
        else:
            found = state.project_in(_text(Path(path)))
    except InputError as error:
        gr.Warning(as_text(str(error)), title="Please check", duration=None)
        return [None, gr.skip(), gr.skip(), *stay]
    if isinstance(found, Ladder):
        return [None, gr.skip(), _news(found), *stay]
    gr.Info("The settings are restored; pictures that they speak of have to be dropped again.", duration=8)
    return [None, *restored(found)]


@says_mistakes
def from_link(request: gr.Request):
    """On opening the page: outputs for [mode, ladder, *engine, *video, cut_p] by its address, where that holds a zoom."""
    from genkey_core import recipe

    word = request.query_params.get(LINK) if request else None
    if not word:
        return [gr.skip()] * (len(state.ENGINE_FIELDS) + len(state.VIDEO_FIELDS) + 3)
    project = state.Project.from_dict(recipe.from_link(word))
    drop = "" if project.mode == "prompts" else "; drop the pictures to go on"
    gr.Info(f"The settings of this link are set{drop}.", duration=8)
    mode, ladder, *others = restored(project)
    if (
        project.ladder is not None
    ):  # told as the ladder's value too: it may not be drawn yet, and then says nothing of it
        news = state.ladder_news(project.ladder, secrets.token_hex(4))
        ladder = gr.HTML(value={"p": news["p"], "levels": news["levels"]}, incoming=news)
    return [mode, ladder, *others]


def _text(path: Path) -> str:
    if path.stat().st_size > 4 * state.MAX_JSON:
        raise InputError(f"{path.name}: a JSON file of {path.stat().st_size:,} bytes is too large; it holds a few kB.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: this is no text; a JSON file that was exported here is needed.") from error


def example_names() -> list[str]:
    """The bundled examples: the mini world, and folders of pictures in assets."""
    folders = sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir()) if EXAMPLES.is_dir() else []
    return [*folders, MINI_EXAMPLE]


def example_loader(name: str):
    """A handler that shows an example: outputs for [photo, images, thumbnails, mode, ladder, *engine, *video, cut_p]."""
    return says_mistakes(partial(_load_example, name))


def _load_example(name: str):
    if name == MINI_EXAMPLE:
        ladder = next(iter(MINI.values()))
        project = state.with_engine(state.Project(ladder=ladder), engine="mini")
        return [gr.skip(), gr.skip(), gr.skip(), *restored(project)]
    folder = EXAMPLES / name
    project = state.project_in((folder / "project.json").read_text(encoding="utf-8"))
    pictures = sorted(p for p in folder.iterdir() if p.suffix in _PICTURES)
    copies = [
        save_file_to_cache(p, get_upload_folder()) for p in pictures
    ]  # only what lies there may be named by the page
    small, paths, _ = view.thumbnails(copies)
    if project.mode == "photo":
        return [paths[0], gr.skip(), small, *restored(project)]
    return [gr.skip(), paths, small, *restored(project)]


@says_mistakes
def prepare_suggestion(request: gr.Request, subject: str, levels: object, ladder: object):
    """Outputs for [status, Suggest, Cancel]; refuses what cannot be asked before it waits."""
    from genkey_core import hub
    from genkey_core.zoom import gpu, suggest

    suggest.question(subject, _count(levels), _factor(ladder))
    if hub.cached(suggest.CHECKPOINT) is None:
        gpu.check_fetchable(suggest.CHECKPOINT)
    if _jobs.busy(request.session_hash):
        raise InputError("A job of yours is already at work; wait for it, or cancel it.")
    _jobs.begin(request.session_hash)
    return waiting_line("Waiting for its turn…"), gr.Button(interactive=False), gr.Button(interactive=True)


@says_mistakes
def suggest(request: gr.Request, subject: str, levels: object, ladder: object):
    """Ask the language model for levels; yields for [status, ladder]."""
    from genkey_core.zoom.suggest import suggested

    job = _jobs.start(request.session_hash)
    try:
        with closing(suggested(subject, _count(levels), _factor(ladder))) as work_on:
            for item in work_on:
                if job.cancelled.is_set():
                    yield waiting_line("Cancelled; the levels are as they were."), gr.skip()
                    return
                if isinstance(item, Ladder):
                    yield (
                        waiting_line("These levels were suggested; read them, and change what does not fit."),
                        _news(item),
                    )
                else:
                    yield waiting_line(f"{item[:1].upper()}{item[1:]}…"), gr.skip()
    except Exception:
        yield waiting_line("The levels are as they were; the message says why."), gr.skip()
        raise
    finally:
        _jobs.end(request.session_hash, job)


def finish_suggestion(request: gr.Request):
    """After a suggestion, however it ended: [Suggest, Cancel]."""
    _jobs.end(request.session_hash)
    return gr.Button(interactive=True), gr.Button(interactive=False)


def _count(levels: object) -> int:
    return integer(levels, "levels", low=MIN_LEVELS, high=state.MAX_LEVELS)


def _factor(ladder: object) -> object:
    return ladder.get("p", 2) if isinstance(ladder, dict) else 2
