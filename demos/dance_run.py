"""What Find and Run of the Animal dance tab do: solutions to choose from, the finished dance; progress, cancel and the end."""

from __future__ import annotations

import secrets
from contextlib import closing

import gradio as gr

from genkey_core.checks import InputError

from . import dance_state as state
from . import dance_view as view
from . import dance_work as work
from .dance_handlers import describe
from .dance_work import DROPPED, FAILED
from .inbetween_view import waiting_line
from .jobs import BEGUN, cancelled_words, says_mistakes, sweep

_jobs = work.SESSIONS


@says_mistakes
def prepare(request: gr.Request, session: dict | None, figures: dict | None, *controls):
    """Everything that can be refused is refused here, before the job waits: outputs for [status, Find, Run, Cancel]."""
    work.cost_of(state.plan_of(session, controls))
    return work.queued(request)


@says_mistakes
def find(request: gr.Request, session: dict | None, figures: dict | None, *controls):
    """The best dances; yields for [status, solutions, choice]."""
    from genkey_core.dance.job import Chosen, choose

    job = _jobs.start(request.session_hash)
    try:
        if job.cancelled.is_set():
            yield waiting_line(DROPPED), gr.skip(), gr.skip()
            return
        yield waiting_line(BEGUN), gr.skip(), gr.skip()
        planned, shown_s = state.plan_of(session, controls), 0.0
        clips = state.held(session)["folder"]
        with closing(choose(planned, clips=clips, cancelled=job.cancelled.is_set)) as search:
            for item in search:
                if isinstance(item, Chosen):
                    n = len(item.dances)
                    said = waiting_line(
                        f"{n} {'dance' if n == 1 else 'dances'} to choose from; Run makes the chosen one."
                    )
                    yield said, gr.HTML(view.solutions(item), visible=True), _choice(item.dances)
                elif item.elapsed_s - shown_s > work.PREVIEW_EVERY_S:
                    shown_s = item.elapsed_s
                    yield view.progress(item), gr.skip(), gr.skip()
    except Exception as error:
        words = cancelled_words(job, error)
        yield waiting_line(words or FAILED), gr.skip(), gr.skip()
        if words is None:
            raise
    finally:
        _jobs.end(request.session_hash, job)


def _choice(dances, chosen: int = 1):
    names = [(view.solution_name(k, dance), k) for k, dance in enumerate(dances, 1)]
    return gr.Radio(names, value=min(chosen, len(names)))


@says_mistakes
def run(request: gr.Request, session: dict | None, figures: dict | None, *controls):
    """Make the dance; yields for [status, choice, video, timeline, facts, files, recipe]."""
    job = _jobs.start(request.session_hash)
    stay = [gr.skip()] * 6
    try:
        if job.cancelled.is_set():
            yield waiting_line(DROPPED), *stay
            return
        yield waiting_line(BEGUN), *stay
        planned = state.plan_of(session, controls)
        for item in work.made(planned, session=state.held(session), cancelled=job.cancelled.is_set):
            if isinstance(item, work.Made):
                yield _shown(item)
            else:
                yield view.progress(item), *stay
    except Exception as error:
        words = cancelled_words(job, error)
        yield waiting_line(words or FAILED), *stay
        if words is None:
            raise
    finally:
        _jobs.end(request.session_hash, job)


def _shown(made: work.Made) -> tuple:
    result = made.result
    return (
        view.outcome(result),
        _choice(result.dances, result.plan.settings.solution),
        gr.Video(str(result.path), visible=True),
        gr.Image(str(result.timeline), visible=True),
        gr.HTML(view.facts(result), visible=True),
        gr.File([str(path) for path in made.files], visible=True),
        result.recipe,
    )


def finish(request: gr.Request, session: dict | None, figures: dict | None, *controls):
    """After a job, however it ended: [status, Find, Run, Cancel]."""
    job = _jobs.end(request.session_hash)
    refused = job is not None and not job.cancelled.is_set()
    sweep()
    try:
        *_, find_button, run_button = describe(request, session, figures, *controls)
    except (gr.Error, InputError):
        find_button = run_button = gr.Button(interactive=True)
    return waiting_line(FAILED) if refused else gr.skip(), find_button, run_button, gr.Button(interactive=False)


def cancel(request: gr.Request):
    """Ask this visitor's job to stop: what is done is kept; a job that still waits leaves the queue."""
    job = _jobs.cancel(request.session_hash)
    if job and not job.waits:
        return gr.Button(interactive=False), gr.skip(), gr.skip()
    return gr.Button(interactive=False), waiting_line(DROPPED), secrets.token_hex(4)
