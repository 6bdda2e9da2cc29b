"""The engine of the Jump cut tab: which one, the body map it needs, and fitting a network to the video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import gradio as gr

from genkey_core import runtime
from genkey_core.checks import InputError, number
from genkey_core.cost import duration_text

from . import jumpcut_state as state
from . import jumpcut_view as view
from .inbetween_view import waiting_line
from .jobs import HEAVY, as_text, cancelled_words, heavy_jobs, job_folder, limits, says_mistakes, sweep
from .jumpcut_engines import ENGINES, NO_BODY, WORDS, body_source
from .jumpcut_work import DROPPED, FAILED, SESSIONS, analysed, queued

LENT = (
    "fit: graphics cards are lent here for minutes at a time, and fitting needs one for itself; run this tool on a "
    "machine of your own."
)


def engine_controls() -> dict[str, gr.components.Component]:
    """The engine for all cuts, the body map, and the fit."""
    with gr.Accordion("Engine", open=False, elem_id="jumpcut-engine-box"):
        engine = gr.Radio(list(ENGINES), value="draft", label="Who makes the new frames", elem_id="jumpcut-engine")
        words = gr.Markdown(WORDS["draft"], elem_id="jumpcut-engine-words")
        with gr.Row():
            body = gr.File(
                label="Body map of this video (.npz)", file_types=[".npz"], height=72, min_width=200,
                elem_id="jumpcut-body",
            )  # fmt: skip
            densepose = gr.Checkbox(
                False, label="Find it by DensePose (fetches 265 MB)", min_width=180, elem_id="jumpcut-densepose"
            )
        with gr.Row(elem_classes="gk-ask"):
            minutes = gr.Number(
                10, label="Fit for so many minutes", minimum=0.1, min_width=120, elem_id="jumpcut-fit-minutes"
            )
            fit = gr.Button("Fit to this video", size="sm", min_width=120, elem_id="jumpcut-fit")
        gr.Markdown(fit_words(), elem_id="jumpcut-fit-words")
        network = gr.File(
            label="Fitted network (give it to /jumpcut, or keep it)", interactive=False, visible=False,
            elem_id="jumpcut-network",
        )  # fmt: skip
    engine.change(told, engine, words, queue=False, show_progress="hidden", api_visibility="private")
    return {"engine": engine, "body": body, "densepose": densepose, "minutes": minutes, "fit": fit, "network": network}


def told(engine: str) -> str:
    """What the chosen engine is."""
    return WORDS.get(engine, "")


def fit_words() -> str:
    """What fitting costs, in words."""
    if runtime.on_zero_gpu():
        return "*Fit to this video* is for machines of your own: here graphics cards are lent for minutes at a time."
    from genkey_core.jumpcut.fitting import STEP_S

    on_gpu, on_cpu = (round(600 / STEP_S[kind], -1) for kind in (True, False))
    return (
        "*Fit to this video* trains the network on this clip for the minutes you choose: ten of them are about "
        f"{on_gpu:,.0f} steps on a graphics card (an estimate), {on_cpu:,.0f} on two processor cores. Some thousand make a "
        "face. Pressing it again with more minutes goes on; Cancel keeps what was learned."
    )


@says_mistakes
def take_body(request: gr.Request, session: dict | None, path: str | None):
    """A body map was dropped or taken away: outputs for [session, body]; one that cannot be used leaves the box."""
    try:
        _may_change(request, session)
        if path and session["folder"]:
            body_source(state.survey_of(session), file=path, densepose=False)
        return {**session, "body": path or None, "fitted": None}, gr.skip()
    except InputError as error:
        gr.Warning(as_text(str(error)), title="Please check", duration=None)
        return gr.skip(), None


@says_mistakes
def take_densepose(request: gr.Request, session: dict | None, wanted: bool):
    """Whether DensePose finds the body where no map was dropped: outputs for [session, its box]."""
    try:
        _may_change(request, session)
        return {**session, "densepose": bool(wanted), "fitted": None}, gr.skip()
    except InputError as error:
        gr.Warning(as_text(str(error)), title="Please check", duration=None)
        return gr.skip(), not wanted


def _may_change(request: gr.Request, session: dict | None) -> None:
    if session is None:
        raise InputError("body map: drop the video first.")
    if SESSIONS.busy(request.session_hash):
        raise InputError("body map: a job of yours is still at work; wait for it, or cancel it, and try again.")


@says_mistakes
def prepare_fit(request: gr.Request, session: dict | None, minutes: object):
    """Outputs for [status, analyse, judge, run, cancel]; refuses what cannot be fitted before it waits."""
    check_fit(session, minutes)
    return queued(request)


@says_mistakes
def fit(request: gr.Request, session: dict | None, minutes: object):
    """Fit the network to the video; yields for [status, session, network]."""
    job = SESSIONS.start(request.session_hash)
    try:
        if job.cancelled.is_set():
            yield waiting_line(DROPPED), gr.skip(), gr.skip()
            return
        yield from run(session, minutes, job.cancelled.is_set)
    except Exception as error:
        words = cancelled_words(job, error)
        yield waiting_line(words or FAILED), gr.skip(), gr.skip()
        if words is None:
            raise
    finally:
        SESSIONS.end(request.session_hash, job)


def check_fit(session: dict | None, minutes: object) -> float:
    """The minutes, checked; raises InputError where fitting cannot be done here."""
    from genkey_core.jumpcut.fitting import MAX_MINUTES

    if runtime.on_zero_gpu():
        raise InputError(LENT)
    minutes = number(minutes, "minutes", low=0.1, high=MAX_MINUTES)
    if minutes * 60 > limits().max_seconds:
        raise InputError(
            f"minutes: a job here may take {duration_text(limits().max_seconds)}, and fitting for {minutes:g} minutes "
            "takes longer; choose fewer."
        )
    source_of(session)
    return minutes


def source_of(session: dict | None):
    """The session's source of body maps; raises InputError where there is none."""
    state.source_of(session)
    kept = session or {}
    return body_source(state.survey_of(session), file=kept.get("body"), densepose=bool(kept.get("densepose")))


def fitted(
    path: str, body, survey, *, minutes: float, folder: str | None = None, cancelled: Callable[[], bool] = lambda: False
) -> Iterator:
    """Fit into a new folder, or on in `folder`; yields Fittings and last the folder, also where it was cancelled."""
    from genkey_core.jumpcut.fitting import Fitted
    from genkey_core.jumpcut.fitting import fit as fit_to

    sweep()
    known = folder is not None and Path(folder).is_dir()
    with nullcontext(Path(folder)) if known else job_folder() as place:
        work = fit_to(path, body, place, n_frames=survey.n_frames, fps=float(survey.fps), minutes=minutes)
        with closing(work):
            for item in work:
                if isinstance(item, Fitted):
                    break
                yield item
                if cancelled() and item.steps:
                    break
        if not (place / "model.safetensors").is_file():
            raise InputError("fit: cancelled before its first step; nothing was made.")
    yield str(place)


def run(session: dict, minutes: object, cancelled: Callable[[], bool]) -> Iterator[tuple]:
    """Fit to the session's video; yields for [status, session, network]."""
    minutes = check_fit(session, minutes)
    made = fitted(
        state.source_of(session), source_of(session), state.survey_of(session), minutes=minutes,
        folder=session.get("fitted"), cancelled=cancelled,
    )  # fmt: skip
    steps = 0
    with closing(made):
        for item in made:
            if not isinstance(item, str):
                steps = item.steps
                yield view.fitting(item), gr.skip(), gr.skip()
                continue
            said = f"Fitted in {steps:,} steps; choose learned as the engine. With more minutes it goes on."
            network = gr.File(str(Path(item) / "model.safetensors"), visible=True)
            yield waiting_line(said), {**session, "fitted": item}, network


@says_mistakes
def jumpcut_fit(video: str, body_map: str | None = None, densepose: bool = False, minutes: float = 10.0):
    """Train the network of chapter 4 on one video, so that the engine `learned` of jumpcut knows its speaker.

    Args:
        video: the talking-head video, up to an hour.
        body_map: its body map, an .npz with iuv, uint8 [T h w 3], and perhaps landmarks [T L 3] and fps.
        densepose: without a body_map: find it by DensePose, which is fetched the first time.
        minutes: how long it trains; minutes on a graphics card, hours on processors.

    Returns:
        The network as one file, and an object: what is said last; while it runs, the share of the minutes.
    """
    from genkey_core.jumpcut.survey import Survey

    if not video:
        raise InputError("video: one video file is needed, got none.")
    if body_map is None and not densepose:
        raise InputError(NO_BODY)
    if runtime.on_zero_gpu():
        raise InputError(LENT)
    minutes = number(minutes, "minutes", low=0.1, high=limits().max_seconds / 60)
    survey: Survey | None = None
    for item in analysed(video):
        if isinstance(item, tuple):
            survey = item[1]
        else:
            yield None, {"analysed": round(item.share, 3)}
    said = ""
    for item in fitted(video, body_source(survey, file=body_map, densepose=densepose), survey, minutes=minutes):
        if isinstance(item, str):
            yield str(Path(item) / "model.safetensors"), {"said": said}
        else:
            said = item.said
            yield None, {"share_done": round(item.share, 3), "said": said}


def build_fit_api() -> None:
    """Register the endpoint /jumpcut_fit; its parts are not shown on the page."""
    with gr.Column(visible=False):
        inputs = [
            gr.File(type="filepath", label="video"),
            gr.File(type="filepath", label="body_map"),
            gr.Checkbox(False, label="densepose"),
            gr.Number(10, label="minutes"),
        ]
        outputs = [gr.File(label="network"), gr.JSON(label="info")]
        button = gr.Button("jumpcut_fit")
    heavy = {"concurrency_id": HEAVY, "concurrency_limit": heavy_jobs()}
    button.click(jumpcut_fit, inputs, outputs, api_name="jumpcut_fit", **heavy)
