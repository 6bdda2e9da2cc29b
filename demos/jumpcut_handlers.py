"""What the Jump cut tab does: a video in, its analysis, edits and their cost, the cuts judged and made."""

from __future__ import annotations

import secrets
from pathlib import Path

import gradio as gr

from genkey_core import runtime
from genkey_core.checks import InputError, choice, shown
from genkey_core.jumpcut.settings import PRESETS

from . import jumpcut_api as api
from . import jumpcut_state as state
from . import jumpcut_view as view
from .inbetween_view import refused_line, waiting_line
from .jobs import SessionJobs, as_text, says_mistakes, sweep

WAITING = "Drop a video to see what analysing it will cost."
DROPPED = "Cancelled before it began; nothing was made."
FAILED = "Nothing was made; the message says why."

_jobs = SessionJobs()


@says_mistakes
def take(path: str | None, request: gr.Request):
    """A video was dropped: outputs for [session, cost line, analyse, editor, cuts, player, run, judge, upload].

    A file that cannot be taken is named and leaves the box, so that the next one can be dropped; the page stays as it was.
    """
    from genkey_core.jumpcut.survey import checked_info

    try:
        if _jobs.busy(request.session_hash):
            raise InputError("video: a job of yours is still at work; wait for it, or cancel it, and drop it again.")
        cost = api.check_analysis(path)
        line = view.dropped_line(Path(path).name, checked_info(path), cost)
    except InputError as error:
        gr.Warning(as_text(str(error)), title="Please check", duration=None)
        return *[gr.skip()] * 8, None
    serial = secrets.token_hex(4)
    empty = gr.HTML(view={}, cut={}, incoming={"serial": serial, "fresh": True})
    cuts = gr.HTML(incoming=view.cuts_news(None, {}, {}, fresh=serial))
    on, off, hidden = gr.Button(interactive=True), gr.Button(interactive=False), gr.Video(None, visible=False)
    return state.new_session(path), line, on, empty, cuts, hidden, off, off, gr.skip()


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
        cost = cut_cost(job)
        removed = {"serial": secrets.token_hex(4), "removed": [list(pair) for pair in job.cut_list.removed]}
        table = gr.HTML(incoming=view.cuts_news(job, session["triage"], session["done"]))
        api.check(cost)
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
    """Typed ranges become rows; outputs for [text, editor]."""
    return "", gr.HTML(incoming=state.added(text, state.survey_of(session)))


@says_mistakes
def take_words(request: gr.Request, session: dict | None, path: str | None, *controls):
    """A transcript adds fillers, repeats and captions; a cut list exported here restores its rows.

    Outputs for [session, editor, words]; a file that cannot be used leaves the box.
    """
    try:
        if _jobs.busy(request.session_hash):
            raise InputError(
                "transcript: a job of yours is still at work; wait for it, or cancel it, and drop it again."
            )
        return *_words(session, path, controls), gr.skip()
    except InputError as error:
        gr.Warning(as_text(str(error)), title="Please check", duration=None)
        return gr.skip(), gr.skip(), None


def _words(session: dict | None, path: str | None, controls: tuple) -> tuple:
    from genkey_core.jumpcut.exports import from_json
    from genkey_core.jumpcut.subtitles import read_transcript

    if not path:
        return gr.skip(), gr.skip()
    survey = state.survey_of(session)
    if Path(path).suffix.lower() == ".json" and _is_cut_list(path):
        rows = from_json(Path(path).read_text(encoding="utf-8")).rows
        late = next((row for row in rows if row.start_s >= survey.duration_s), None)
        if late is not None:
            raise InputError(
                f"cut list: a row starts at {late.start_s:g} s, but this video ends at {survey.duration_s:.2f} s; "
                "it belongs to another video."
            )
        gr.Info("The rows of this cut list are set.", duration=8)
        return gr.skip(), gr.HTML(incoming=state.restored(rows))
    transcript = read_transcript(path)
    session = {**session, "transcript": transcript}
    gr.Info(f"{len(transcript.words):,} words were read; captions come with the result.", duration=8)
    return session, gr.HTML(incoming=state.proposed(state.survey_of(session), state.settings_of(controls)))


def _is_cut_list(path: str) -> bool:
    with open(path, encoding="utf-8", errors="replace") as file:
        return '"genkey-cut-list"' in file.read(200)


@says_mistakes
def prepare_analysis(request: gr.Request, session: dict | None):
    """Outputs for [status, analyse, judge, run, cancel]; refuses what cannot be analysed before it waits."""
    api.check_analysis(state.source_of(session))
    return _queued(request)


@says_mistakes
def prepare_cuts(request: gr.Request, session: dict | None, editor: dict, cuts: dict, *controls):
    """The same for the triage and for the video."""
    from genkey_core.jumpcut.estimate import cut_cost

    state.source_of(session)
    api.check(cut_cost(state.plan_of(session, editor, cuts, controls)))
    return _queued(request)


def _queued(request: gr.Request):
    if _jobs.busy(request.session_hash):
        raise InputError("A job of yours is already at work; wait for it, or cancel it.")
    _jobs.begin(request.session_hash)
    off = gr.Button(interactive=False)
    return waiting_line("Waiting for its turn…"), off, off, off, gr.Button(interactive=True)


@says_mistakes
def analyse(request: gr.Request, session: dict | None, *controls):
    """Look and listen; yields for [status, session, editor, cuts, player]."""
    job = _jobs.start(request.session_hash)
    stay = [gr.skip()] * 4
    try:
        if job.cancelled.is_set():
            yield waiting_line(DROPPED), *stay
            return
        for item in api.analysed(state.source_of(session), cancelled=job.cancelled.is_set):
            if not isinstance(item, tuple):
                yield view.surveying(item), *stay
                continue
            folder, survey = item
            session = {**session, "folder": folder, "triage": {}, "done": {}}
            survey = state.survey_of(session)
            serial = secrets.token_hex(4)
            news = state.proposed(survey, state.settings_of(controls)) | {"fresh": True}
            player = gr.Video(str(survey.proxy) if survey.proxy else None, visible=survey.proxy is not None)
            table = gr.HTML(incoming=view.cuts_news(None, {}, {}, fresh=serial))
            drawn = gr.HTML(view=view.timeline(survey), incoming=news)
            yield view.notes_line(survey), session, drawn, table, player
            return
        yield waiting_line("Cancelled; the video was not analysed."), *stay
    except Exception:
        yield waiting_line(FAILED), *stay
        raise
    finally:
        _jobs.end(request.session_hash, job)


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
        made = api.made(
            state.source_of(session),
            planned,
            name=session["name"],
            transcript=session["transcript"],
            cancelled=job.cancelled.is_set,
        )
        for item in made:
            if isinstance(item, api.Made):
                yield _shown(item, session, planned, triage)
                continue
            table = gr.skip()
            if item.outcome is not None:
                triage[item.outcome.cut.key] = item.outcome.triage
                table = gr.HTML(incoming=view.cuts_news(planned, triage, session["done"]))
            yield view.progress(item), gr.skip(), table, *stay[1:]
    except Exception:
        yield waiting_line(FAILED), gr.skip(), *stay
        raise
    finally:
        _jobs.end(request.session_hash, job)


def _shown(made: api.Made, session: dict, planned, triage: dict) -> tuple:
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
