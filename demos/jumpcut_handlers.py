"""What the Jump cut tab does: a video in, its analysis, edits and their cost, the cuts judged and made."""

from __future__ import annotations

import secrets
from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from genkey_core import runtime
from genkey_core.checks import InputError, choice, shown
from genkey_core.jumpcut.settings import PRESETS

from . import jumpcut_state as state
from . import jumpcut_view as view
from . import jumpcut_words as words
from . import jumpcut_work as work
from .inbetween_view import refused_line, waiting_line
from .jobs import as_text, cancelled_words, says_mistakes, sweep
from .jumpcut_work import DROPPED, FAILED

WAITING = "Drop a video to see what analysing it will cost."
EXAMPLE = Path(__file__).resolve().parents[1] / "assets" / "examples" / "jumpcut"

# The box of ranges is emptied when its rows have come, unless the next range was typed meanwhile.
SENT_JS = "(session, text) => { (window.gkRanges ||= []).push(text); return [session, text]; }"
ADDED_JS = "(text) => (window.gkRanges.shift() === text ? '' : text)"
REFUSED_JS = "() => { window.gkRanges.shift(); }"

_jobs = work.SESSIONS


@says_mistakes
def take(path: str | None, request: gr.Request):
    """A video was dropped: outputs for [session, cost line, analyse, editor, cuts, player, run, judge, upload, and what
    belonged to the video before: body map, DensePose, fitted network, words].

    A file that cannot be taken is named and leaves the box, so that the next one can be dropped; the page stays as it was.
    """
    try:
        filled = _taken(path, request)
    except InputError as error:
        gr.Warning(as_text(str(error)), title="Please check", duration=None)
        return *[gr.skip()] * 8, None, *[gr.skip()] * 4
    return *filled, gr.skip(), None, False, gr.File(None, visible=False), None


@says_mistakes
def take_example(request: gr.Request):
    """The bundled talk takes the place of a dropped video, with its body map: the same outputs."""
    session, *filled = _taken(str(EXAMPLE / "presenter.mp4"), request)
    # The boxes show copies: only what lies in Gradio's own folder is served.
    video, body = (save_file_to_cache(EXAMPLE / f"presenter.{kind}", get_upload_folder()) for kind in ("mp4", "npz"))
    gr.Info("Its body map comes with it: under Engine, mini can be tried too.", title="Example", duration=10)
    return {**session, "body": body}, *filled, video, body, False, gr.File(None, visible=False), None


def _taken(path: str | None, request: gr.Request) -> tuple:
    """A video takes the place of the one before: [session, cost line, analyse, editor, cuts, player, run, judge]."""
    from genkey_core.jumpcut.survey import checked_info

    if _jobs.busy(request.session_hash):
        raise InputError("video: a job of yours is still at work; wait for it, or cancel it, and drop it again.")
    cost = work.check_analysis(path)
    line = view.dropped_line(Path(path).name, checked_info(path), cost)
    serial = secrets.token_hex(4)
    empty = gr.HTML(view={}, cut={}, incoming={"serial": serial, "fresh": True})
    cuts = gr.HTML(incoming=view.cuts_news(None, {}, {}, fresh=serial))
    on, off, hidden = gr.Button(interactive=True), gr.Button(interactive=False), gr.Video(None, visible=False)
    return state.new_session(path), line, on, empty, cuts, hidden, off, off


@says_mistakes
def describe(request: gr.Request, session: dict | None, editor: dict, cuts: dict, *controls):
    """Outputs for [cost line, editor, cuts, run, judge]: what the page's rows make of the video, and what it costs."""
    from genkey_core.jumpcut.estimate import cut_cost

    off = gr.Button(interactive=False)
    if not session:
        return waiting_line(WAITING), gr.skip(), gr.skip(), off, off
    if not session["folder"]:
        return gr.skip(), gr.skip(), gr.skip(), off, off  # the line says what was dropped
    try:
        job = state.plan_of(session, editor, cuts, controls)
        cost = cut_cost(job, state.engines_of(session, job))
        removed = {"serial": secrets.token_hex(4), "removed": [list(pair) for pair in job.cut_list.removed]}
        table = gr.HTML(incoming=view.cuts_news(job, session["triage"], session["done"]))
        work.check(cost)
    except InputError as error:
        return refused_line(str(error)), gr.skip(), gr.skip(), off, off
    idle = not _jobs.busy(request.session_hash)
    line = view.cut_line(job, cost, on_zero_gpu=runtime.on_zero_gpu())
    unknown = any(cut.key not in session["triage"] for cut in job.cuts)
    something = job.removed_s > 0
    if not something:
        line = waiting_line("Nothing is set to be removed yet: tick a row, or type a range.")
    run, judge = gr.Button(interactive=idle and something), gr.Button(interactive=idle and unknown)
    return line, gr.HTML(cut=removed), table, run, judge


@says_mistakes
def propose(session: dict | None, *controls):
    """The editor's news when a slider moves; rows that the user touched stay as they are."""
    if not (session or {}).get("folder"):
        return gr.skip()
    return gr.HTML(incoming=state.proposed(state.survey_of(session), state.settings_of(controls)))


@says_mistakes
def preset(name: str):
    """The sliders of a preset: [shortest pause, keep it natural, padding]."""
    values = PRESETS[choice(name, "preset", PRESETS)]
    return values["shortest_pause_s"], values["natural"], values["padding_s"]


@says_mistakes
def add_ranges(session: dict | None, text: str):
    """Typed ranges become rows: the editor's news."""
    return gr.HTML(incoming=state.added(text, state.survey_of(session)))


@says_mistakes
def prepare_analysis(request: gr.Request, session: dict | None, model: object, language: object):
    """Outputs for [status, analyse, judge, run, cancel]; refuses what cannot be analysed before it waits."""
    from genkey_core.jumpcut.recognisers import check

    check(model, language)
    work.check_analysis(state.source_of(session))
    return work.queued(request)


@says_mistakes
def prepare_cuts(request: gr.Request, session: dict | None, editor: dict, cuts: dict, *controls):
    """The same for the triage and for the video."""
    from genkey_core.jumpcut.estimate import cut_cost

    state.source_of(session)
    planned = state.plan_of(session, editor, cuts, controls)
    work.check(cut_cost(planned, state.engines_of(session, planned)))
    return work.queued(request)


@says_mistakes
def analyse(request: gr.Request, session: dict | None, model: object, language: object, *controls):
    """Look and listen, and transcribe where it is wanted; yields for [status, session, editor, cuts, player]."""
    from genkey_core.jumpcut.recognisers import check, checked_language

    job = _jobs.start(request.session_hash)
    stay = [gr.skip()] * 4
    try:
        if job.cancelled.is_set():
            yield waiting_line(DROPPED), *stay
            return
        entry = check(model, language)
        for item in work.analysed(state.source_of(session), cancelled=job.cancelled.is_set):
            if not isinstance(item, tuple):
                yield view.surveying(item), *stay
                continue
            folder, _ = item
            kept = session["transcript"] if entry is None else None
            session = {**session, "folder": folder, "triage": {}, "done": {}, "transcript": kept}
            yield _found(session, controls)
            if entry is not None:
                said = words.transcribed(session, entry, checked_language(language), controls, job.cancelled.is_set)
                for line, known, rows in said:
                    yield line, known, rows, gr.skip(), gr.skip()
            return
        yield waiting_line("Cancelled; the video was not analysed."), *stay
    except Exception:
        yield waiting_line(FAILED), *stay
        raise
    finally:
        _jobs.end(request.session_hash, job)


def _found(session: dict, controls: tuple) -> tuple:
    """What an analysis fills the page with: [status, session, editor, cuts, player]."""
    survey = state.survey_of(session)
    news = state.proposed(survey, state.settings_of(controls)) | {"fresh": True}
    player = gr.Video(str(survey.proxy) if survey.proxy else None, visible=survey.proxy is not None)
    table = gr.HTML(incoming=view.cuts_news(None, {}, {}, fresh=secrets.token_hex(4)))
    return view.notes_line(survey), session, gr.HTML(view=view.timeline(survey), incoming=news), table, player


@says_mistakes
def judge(request: gr.Request, session: dict | None, editor: dict, cuts: dict, *controls):
    """Triage of the cuts that were not looked at yet; yields for [status, session, cuts]."""
    from genkey_core.jumpcut.job import judge as judged

    job = _jobs.start(request.session_hash)
    try:
        if job.cancelled.is_set():
            yield waiting_line(DROPPED), gr.skip(), gr.skip()
            return
        planned = state.plan_of(session, editor, cuts, controls)
        triage = dict(session["triage"])
        for item in judged(state.source_of(session), planned, known=triage, cancelled=job.cancelled.is_set):
            triage[item.cut.key] = item.triage
            table = gr.HTML(incoming=view.cuts_news(planned, triage, session["done"]))
            yield view.judging(item.done, item.total), {**session, "triage": triage}, table
        n = sum(cut.key in triage for cut in planned.cuts)
        yield waiting_line(f"{n} of {len(planned.cuts)} cuts were looked at."), gr.skip(), gr.skip()
    except Exception:
        yield waiting_line(FAILED), gr.skip(), gr.skip()
        raise
    finally:
        _jobs.end(request.session_hash, job)


@says_mistakes
def run(request: gr.Request, session: dict | None, editor: dict, cuts: dict, *controls):
    """Make the video; yields for [status, session, cuts, video, facts, files, comparison, recipe]."""
    job = _jobs.start(request.session_hash)
    stay = [gr.skip()] * 6
    try:
        if job.cancelled.is_set():
            yield waiting_line(DROPPED), gr.skip(), *stay
            return
        planned = state.plan_of(session, editor, cuts, controls)
        triage = dict(session["triage"])
        made = work.made(
            state.source_of(session),
            planned,
            name=session["name"],
            engines=state.engines_of(session, planned),
            more_inputs=state.inputs_beside(session, planned),
            transcript=session["transcript"],
            cancelled=job.cancelled.is_set,
        )
        for item in made:
            if isinstance(item, work.Made):
                yield _shown(item, session, planned, triage)
                continue
            table = gr.skip()
            if item.outcome is not None:
                triage[item.outcome.cut.key] = item.outcome.triage
                table = gr.HTML(incoming=view.cuts_news(planned, triage, session["done"]))
            yield view.progress(item), gr.skip(), table, *stay[1:]
    except Exception as error:
        words = cancelled_words(job, error)
        yield waiting_line(words or FAILED), gr.skip(), *stay
        if words is None:
            raise
    finally:
        _jobs.end(request.session_hash, job)


def _shown(made: work.Made, session: dict, planned, triage: dict) -> tuple:
    """What a finished job fills the page with."""
    session = {**session, "triage": triage, "done": made.pictures}
    best = next(iter(made.result.outcomes), None)
    slider = gr.ImageSlider(None, visible=False)
    if best is not None:
        slider = view.comparison(made.pictures[best.cut.key], best.cut.number)
    return (
        view.outcome(made.result),
        session,
        gr.HTML(incoming=view.cuts_news(planned, triage, made.pictures)),
        gr.Video(str(made.result.path), visible=True),
        gr.HTML(view.facts(made.result, made.notes), visible=True),
        gr.File([str(path) for path in made.exports], visible=True),
        slider,
        made.result.recipe,
    )


@says_mistakes
def compare(session: dict | None, cuts: dict):
    """The slider of the cut whose button was pressed."""
    key = state.picked_cut(cuts)
    done = (session or {}).get("done", {})
    if key not in done:
        raise InputError(f"cut: {shown(str(key))} has no result to compare; press Smooth again.")
    return view.comparison(done[key], list(done).index(key))


def finish(request: gr.Request, session: dict | None, editor: dict, cuts: dict, *controls):
    """After a job, however it ended: [status, analyse, judge, run, cancel]."""
    job = _jobs.end(request.session_hash)
    refused = job is not None and not job.cancelled.is_set()
    sweep()
    *_, run_button, judge_button = describe(request, session, editor, cuts, *controls)
    status = waiting_line(FAILED) if refused else gr.skip()
    analyse_button = gr.Button(interactive=bool(session))
    return status, analyse_button, judge_button, run_button, gr.Button(interactive=False)


def cancel(request: gr.Request):
    """Ask this session's job to stop: what is done is kept; a job that still waits leaves the queue."""
    job = _jobs.cancel(request.session_hash)
    if job and not job.waits:
        return gr.Button(interactive=False), gr.skip(), gr.skip()
    return gr.Button(interactive=False), waiting_line(DROPPED), secrets.token_hex(4)
