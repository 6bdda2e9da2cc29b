"""What the Powers of ten tab does: the cost of what the page shows, the run, another video of its stack, cancel."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import gradio as gr

from genkey_core import recipe, runtime
from genkey_core.checks import InputError

from . import zoom_state as state
from . import zoom_view as view
from . import zoom_work as work
from .inbetween_view import refused_line, waiting_line
from .jobs import BEGUN, as_text, cancelled_words, says_mistakes, sweep

WAITING = {
    "prompts": "Choose a template or add levels to see what the zoom will cost.",
    "photo": "Drop a photo, and say what is seen in its middle at each scale.",
    "images": "Drop one large photo, or several of one thing from ever closer.",
}
DROPPED = "Cancelled before it began; nothing was made."
FAILED = "Nothing was made; the message says why."
_N_ENGINE, _N_VIDEO = len(state.ENGINE_FIELDS), len(state.VIDEO_FIELDS)

_jobs = work.SESSIONS


def shown(page_state: tuple) -> tuple[state.Project, list[str]]:
    """The checked project and the pictures that the page shows; raises InputError.

    `page_state` is mode, ladder, photo, images, the fields of the engine, those of the video, and the factor of the cut.
    """
    mode, ladder, photo, images, *rest = page_state
    engine, video, cut_p = rest[:_N_ENGINE], rest[_N_ENGINE : _N_ENGINE + _N_VIDEO], rest[-1]
    project = state.project_sent(mode, ladder, tuple(engine), tuple(video), cut_p)
    return project, state.pictures_sent(mode, photo, images)


def _empty(page_state: tuple) -> str | None:
    """What is still missing before there is anything to cost, or None."""
    mode, ladder, photo, images, *_ = page_state
    levels = ladder.get("levels") if isinstance(ladder, dict) else None
    missing = {"prompts": not levels, "photo": not levels or not photo, "images": not images}
    return WAITING[mode] if missing.get(mode) else None


@says_mistakes
def describe(request: gr.Request, made: work.MadeStack | None, *page_state):
    """Outputs for [cost line, Run, Video only]: what the page's settings make, what that costs, or what is wrong."""
    idle = not _jobs.busy(request.session_hash)
    again = gr.Button(interactive=idle and made is not None)
    if missing := _empty(page_state):
        return waiting_line(missing), gr.Button(interactive=False), again
    try:
        project, pictures = shown(page_state)
        cost = work.cost_of(project, pictures)
        work.check(cost)
    except InputError as error:
        return refused_line(str(error)), gr.Button(interactive=False), again
    line = view.cost_line(project, cost, on_zero_gpu=runtime.on_zero_gpu())
    return line, gr.Button(interactive=idle), again


def linked(*page_state):
    """The link word for what the page shows: as it was while that is incomplete or wrong, empty where it is too long."""
    mode, ladder, *_ = page_state
    engine, video = page_state[4 : 4 + _N_ENGINE], page_state[4 + _N_ENGINE : 4 + _N_ENGINE + _N_VIDEO]
    try:
        word = recipe.to_link(state.project_sent(mode, ladder, engine, video, page_state[-1]).to_dict())
    except InputError:
        return gr.skip()
    return word if len(word) <= recipe.MAX_LINK_CHARS else ""


def mode_shown(mode: str):
    """Which groups of the page a mode shows: [prompts, photo, images, engine]."""
    asks = mode != "images"
    return tuple(gr.Column(visible=on) for on in (asks, mode == "photo", not asks, asks))


@says_mistakes
def take_pictures(paths: str | Sequence[str] | None):
    """Pictures were dropped or taken away: outputs for [the files, their thumbnails]. What cannot be used is named."""
    several = not isinstance(paths, str)
    given = list(paths or []) if several else [paths]
    small, good, refused = view.thumbnails(given[: state.MAX_IMAGES])
    if len(given) > state.MAX_IMAGES:
        refused.append(f"images: at most {state.MAX_IMAGES} are taken; the rest was left out.")
    for sentence in refused:
        gr.Warning(as_text(sentence), title="Please check", duration=None)
    kept = gr.skip() if not refused else (good or None) if several else None
    return kept, small


@says_mistakes
def prepare(request: gr.Request, made: work.MadeStack | None, *page_state):
    """Everything that can be refused is refused here, before the job waits: outputs for [status, Run, Video only, Cancel]."""
    project, pictures = shown(page_state)
    work.check(work.cost_of(project, pictures))
    return _queued(request)


@says_mistakes
def prepare_film(request: gr.Request, made: work.MadeStack | None, *page_state):
    """The same for another video of the stack that is there."""
    _stack_here(made)
    work.check(work.film_cost(made, _filmed(made, page_state)))
    return _queued(request)


def _queued(request: gr.Request):
    if _jobs.busy(request.session_hash):
        raise InputError("A job of yours is already at work; wait for it, or cancel it.")
    _jobs.begin(request.session_hash)
    off = gr.Button(interactive=False)
    return waiting_line("Waiting for its turn…"), off, off, gr.Button(interactive=True)


def _stack_here(made: work.MadeStack | None) -> work.MadeStack:
    if made is None:
        raise InputError("video: there are no levels yet; press Run first.")
    return made


def _filmed(made: work.MadeStack, page_state: tuple) -> state.Project:
    """The project that filming `made` takes: only the video's settings count, whatever else the page shows."""
    video = page_state[4 + _N_ENGINE : 4 + _N_ENGINE + _N_VIDEO]
    return state.Project(mode="images", journey=state.journey_of(dict(zip(state.VIDEO_FIELDS, video, strict=True))))


@says_mistakes
def run(request: gr.Request, _made: work.MadeStack | None, *page_state):
    """Make the stack and its video; yields for [status, stack, viewer, video, facts, files, recipe]."""
    job = _jobs.start(request.session_hash)
    stay, stopped = [gr.skip()] * 6, job.cancelled.is_set
    made = None
    try:
        if stopped():
            yield waiting_line(DROPPED), *stay
            return
        yield waiting_line(BEGUN), *stay
        project, pictures = shown(page_state)
        for item in work.made_stack(project, pictures, cancelled=stopped):
            if not isinstance(item, work.MadeStack):
                yield view.progress(item), *stay
                continue
            made = item
            yield _filled(made, None)
        if not stopped() and made.complete:
            yield from _filming(made, project, stopped)
    except Exception as error:
        words = cancelled_words(job, error)
        yield waiting_line(words or FAILED) if made is None else view.outcome(made), *stay
        if words is None:
            raise
    finally:
        _jobs.end(request.session_hash, job)


@says_mistakes
def film(request: gr.Request, made: work.MadeStack | None, *page_state):
    """Make another video of the stack that is there; yields what `run` yields."""
    job = _jobs.start(request.session_hash)
    stay = [gr.skip()] * 6
    try:
        if job.cancelled.is_set():
            yield waiting_line(DROPPED), *stay
            return
        made = _stack_here(made)
        yield from _filming(made, _filmed(made, page_state), job.cancelled.is_set)
    except Exception as error:
        words = cancelled_words(job, error)
        yield waiting_line(words or FAILED), *stay
        if words is None:
            raise
    finally:
        _jobs.end(request.session_hash, job)


def _filming(made: work.MadeStack, project: state.Project, stopped):
    from genkey_core.zoom.film import Film

    for item in work.made_film(made, project, cancelled=stopped):
        if isinstance(item, Film):
            yield _filled(made, item)
        else:
            yield view.progress(item), *[gr.skip()] * 6


def _filled(made: work.MadeStack, film) -> tuple:
    """What a result fills the page with; the viewer is not disturbed where only the video is new."""
    first = film is None
    return (
        view.outcome(made, film),
        made if first else gr.skip(),
        gr.HTML(stack={**made.viewer, "serial": secrets.token_hex(4)}) if first else gr.skip(),
        gr.Video(None, visible=False) if first else gr.Video(str(film.path), visible=True),
        gr.HTML(view.facts(made, film), visible=True),
        gr.File(list(made.files), visible=True) if first else gr.skip(),
        made.recipe if first else film.recipe,
    )


def finish(request: gr.Request, made: work.MadeStack | None, *page_state):
    """After a job, however it ended: [status, Run, Video only, Cancel]."""
    job = _jobs.end(request.session_hash)
    refused = job is not None and not job.cancelled.is_set()
    sweep()
    _, run_button, film_button = describe(request, made, *page_state)
    return (waiting_line(FAILED) if refused else gr.skip()), run_button, film_button, gr.Button(interactive=False)


def cancel(request: gr.Request):
    """Ask this session's job to stop: what is foreseen is kept; a job that still waits leaves the queue."""
    job = _jobs.cancel(request.session_hash)
    if job and not job.waits:
        return gr.Button(interactive=False), gr.skip(), gr.skip()
    return gr.Button(interactive=False), waiting_line(DROPPED), secrets.token_hex(4)
