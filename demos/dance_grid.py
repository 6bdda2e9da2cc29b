"""The box of the Animal dance tab that has a grid of poses drawn: from words, or after a grid or a video of somebody else's."""

from __future__ import annotations

from contextlib import closing

import gradio as gr

from genkey_core import media, runtime
from genkey_core.checks import InputError, integer
from genkey_core.cost import Cost
from genkey_core.dance.grid import LAYOUTS, GridOptions, GridStep, template_of
from genkey_core.dance.grid_engine import GridEngine

from . import dance_handlers as handlers
from . import dance_run as jobs
from . import dance_state as state
from . import dance_view as view
from . import dance_work as work
from .inbetween_view import refused_line, waiting_line
from .jobs import HEAVY, after, as_text, heavy_jobs, says_mistakes

QUIET = {"show_progress": "hidden", "api_visibility": "private"}
_BARE = GridOptions()
_WORDS = (
    "FLUX.1-dev draws one picture that is a grid of poses, which is cut into keyframes. With a template (a grid, or a video "
    "whose most distinct poses are taken) FLUX.1 Kontext has your subject mimic its poses. Both need a graphics card with "
    "about 42 GB free and an account that accepted FLUX's licence."
)


def grid_controls() -> dict[str, gr.components.Component]:
    """What the grid is to show."""
    with gr.Accordion("Have a grid drawn", open=False, elem_id="dance-grid") as box:
        gr.Markdown(_WORDS)
        with gr.Row():
            subject = gr.Textbox(_BARE.subject, label="Who dances", min_width=120, elem_id="dance-grid-subject")
            background = gr.Textbox(_BARE.background, label="in", min_width=150, elem_id="dance-grid-background")
        with gr.Row(elem_classes="gk-numbers"):
            poses = gr.Dropdown(
                [(str(n), n) for n in LAYOUTS],
                value=_BARE.poses,
                label="Poses",
                min_width=80,
                elem_id="dance-grid-poses",
            )
            seed = gr.Number(_BARE.seed, label="Seed", precision=0, min_width=80, elem_id="dance-grid-seed")
            template = gr.File(
                label="Template: a grid of poses, or a video", file_types=[*state.PICTURES, *state.VIDEOS], height=72,
                min_width=200, scale=3, elem_id="dance-grid-template",
            )  # fmt: skip
        cost = gr.HTML("", elem_id="dance-grid-cost")
        draw = gr.Button("Draw the grid", interactive=False, size="sm", elem_id="dance-grid-draw")
    told = [subject, background, poses, seed, template]
    return {"box": box, "told": told, "cost": cost, "draw": draw}


def wire_grid(session, grid: dict, source: dict, running: tuple, described: tuple) -> list:
    """The cost follows what is told; drawing is a job like others, whose end leaves keyframes. `running` is (shown inputs,
    status, [Find, Run, Cancel]); returns the events that Cancel ends."""
    shown, status, buttons = running
    seen = price, grid["told"], [grid["cost"], grid["draw"]]
    gr.on([grid["box"].expand, *(box.change for box in grid["told"])], *seen, trigger_mode="always_last", **QUIET)
    begun = (
        grid["draw"]
        .click(prepare, grid["told"], [status, *buttons], queue=False, **QUIET)
        .success(
            draw,
            [session, *grid["told"]],
            [status, session, source["keyframes"], source["row"]],
            concurrency_id=HEAVY,
            concurrency_limit=heavy_jobs(),
            show_progress_on=status,
            api_visibility="private",
        )
    )
    after(begun, jobs.finish, shown, [status, *buttons], queue=False, **QUIET).then(*described, **QUIET)
    return [begun]


def engine_of(subject: object, background: object, poses: object, seed: object, template: str | None) -> GridEngine:
    """The checked drawing that was told; raises InputError."""
    options = GridOptions(
        subject=subject, background=background, poses=integer(poses, "poses", low=3, high=12),
        seed=integer(seed, "seed", low=0),
    )  # fmt: skip
    return GridEngine(options, template=None if not template else _template(template, options.poses))


def _template(path: str, poses: int):
    path = state.here(path, "template")
    if work.is_picture(path):
        return template_of([media.load_image(path)])
    return template_of(work.poses_of(path, poses))


@says_mistakes
def price(*told):
    """Outputs for [cost line, Draw]."""
    try:
        line = cost_line(engine_of(*told))
    except InputError as error:
        return refused_line(str(error)), gr.Button(interactive=False)
    return line, gr.Button(interactive=True)


def cost_line(engine: GridEngine) -> str:
    """What a grid will cost here; raises InputError where it cannot be drawn."""
    needs = engine.needs()
    cost = Cost(
        frames=engine.options.poses, seconds=needs.seconds, memory_bytes=needs.memory_bytes, disk_bytes=30_000_000,
        gpu_quota_s=float(runtime.quota_seconds(needs.gpu_s)), download_bytes=needs.download_bytes,
    )  # fmt: skip
    return waiting_line(f"{engine.spec.name}: {cost.sentence(on_zero_gpu=runtime.on_zero_gpu())} (estimated)")


@says_mistakes
def prepare(request: gr.Request, *told):
    """Everything that can be refused is refused before the job waits: outputs for [status, Find, Run, Cancel]."""
    engine_of(*told).needs()
    return work.queued(request)


@says_mistakes
def draw(request: gr.Request, session: dict | None, *told):
    """Draw the grid; yields for [status, session, keyframes, their row]."""
    job, stay = work.SESSIONS.start(request.session_hash), [gr.skip()] * 3
    try:
        if job.cancelled.is_set():
            yield waiting_line(work.DROPPED), *stay
            return
        with closing(engine_of(*told).drawn()) as steps:
            for step in steps:
                if step.keyframes:
                    break
                yield view.grid_progress(step), *stay
                if job.cancelled.is_set():
                    yield waiting_line("Cancelled; no grid was drawn."), *stay
                    return
        yield _taken(state.held(session), step)
    except Exception:
        yield waiting_line(work.FAILED), *stay
        raise
    finally:
        work.SESSIONS.end(request.session_hash, job)


@says_mistakes
def dance_grid(
    subject: str = "a marmot", background: str = "the wild alpine landscape", poses: int = 6,
    template: str | None = None, seed: int = 0,
):  # fmt: skip
    """Have keyframes drawn: a grid of poses of one subject, cut into pictures. It needs a graphics card.

    Args:
        subject: who dances, such as "a marmot".
        background: where, such as "the wild alpine landscape".
        poses: how many, 3, 4, 6, 8, 9 or 12; a template that is a grid has its own number.
        template: a picture that is a grid of poses, or a video, whose poses the subject mimics.
        seed: the model's random code.

    Returns:
        The keyframes as files, and an object: model, prompt, seed, notes; while it runs, what is being done.
    """
    engine = engine_of(subject, background, poses, seed, template)
    engine.needs()
    with closing(engine.drawn()) as steps:
        for step in steps:
            if not step.keyframes:
                yield None, {"steps_done": step.done, "steps_total": step.total, "doing": step.said}
    files, notes = work.stored_keyframes([*step.keyframes])
    yield files, {
        "model": engine.spec.name, "prompt": engine.prompt, "seed": engine.options.seed, "notes": [*step.notes, *notes],
    }  # fmt: skip


def build_grid_api() -> None:
    """Register the endpoint /dance_grid; its parts are not shown on the page."""
    with gr.Column(visible=False):
        inputs = [
            gr.Textbox(_BARE.subject, label="subject"),
            gr.Textbox(_BARE.background, label="background"),
            gr.Number(_BARE.poses, label="poses", precision=0),
            gr.File(type="filepath", label="template"),
            gr.Number(_BARE.seed, label="seed", precision=0),
        ]
        outputs = [gr.File(file_count="multiple", label="keyframes"), gr.JSON(label="info")]
        button = gr.Button("dance_grid")
    button.click(
        dance_grid, inputs, outputs, api_name="dance_grid", concurrency_id=HEAVY, concurrency_limit=heavy_jobs()
    )


def _taken(session: dict, step: GridStep) -> tuple:
    for note in step.notes:
        gr.Warning(as_text(note), title="Grid", duration=None)
    files, notes = work.stored_keyframes(list(step.keyframes))
    session = {**session, "keyframes": files, "folder": work.clips_folder(session)}
    said = waiting_line(f"{len(files)} keyframes were cut from the grid.")
    return said, session, files, handlers.row_of(files, (*step.notes, *notes))
