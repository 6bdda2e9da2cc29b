"""The Inbetween tab: two or more images become a video (thesis chapters 2 and 5)."""

from __future__ import annotations

import gradio as gr

from genkey_core.inbetween.settings import ASPECTS, FITS, MAX_KEYFRAMES
from genkey_core.timing import PLAYBACKS

from . import inbetween_compare
from . import inbetween_handlers as handlers
from .inbetween_api import build_api
from .inbetween_engine import engine_controls
from .inbetween_state import CONTROLS, EMPTY_STRIP
from .inbetween_view import GUIDE, waiting_line
from .jobs import HEAVY, after, heavy_jobs
from .web_components import curve_editor, keyframe_strip, link_js, started_js, web_text

TITLE = "Inbetween"
INTRO = f"**Keyframes** · drop 2 to {MAX_KEYFRAMES} images, or an MP4 made here to restore its settings"
EASINGS = ["linear", "ease-in", "ease-out", "ease-in-out", "cubic-bezier", "steps", "hold"]
SIDES = [
    ("4096 (4K)", 4096),
    ("2560", 2560),
    ("1920 (Full HD)", 1920),
    ("1280 (HD)", 1280),
    ("1024", 1024),
    ("640", 640),
]
FILE_TYPES = [".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".mp4"]
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


def build(page: gr.Blocks) -> None:
    """Lay out the tab inside `page` and wire it; must be called inside the page's context."""
    files = gr.State({})
    with gr.Row(elem_classes="gk-tab"):
        with gr.Column(scale=5, min_width=340):
            uploads, examples, strip = _keyframe_inputs()
            timing = _timing_controls()
            look = _look_controls() | engine_controls()
        with gr.Column(scale=4, min_width=320):
            job = _job_controls()
            result = _result_view()
    controls = [look[name] for name in CONTROLS]
    page_state = [files, strip, *controls, look["frames_zip"]]
    _wire_gap_editing(strip, timing, look["fps"])
    look["playback"].input(None, [strip, look["playback"]], strip, js=handlers.LOOP_JS, **QUIET)
    edits = [c.input for name, c in look.items() if name not in ("background", "compare")]
    gr.on(
        [strip.change, look["background"].change, look["engine"].change, *edits],
        handlers.describe,
        page_state,
        [job["cost"], result["chart"], job["run"], result["link"]],
        trigger_mode="always_last",
        concurrency_limit=2,
        **QUIET,
    ).then(None, result["link"], result["link"], js=link_js(handlers.LINK), **QUIET)
    restored = [uploads, files, strip, *controls]
    sources = [uploads, files, strip]
    uploads.upload(
        handlers.add_files,
        sources,
        restored,
        trigger_mode="multiple",
        concurrency_limit=2,
        show_progress_on=uploads,
        api_visibility="private",
    )
    for name, button in examples.items():
        button.click(handlers.example_loader(name), sources, restored, concurrency_limit=4, **QUIET)
    page.load(handlers.from_link, sources[1:], restored, **QUIET)
    _wire_job(job, look["compare"], result, page_state)
    build_api()
    inbetween_compare.build_api()


def _keyframe_inputs() -> tuple[gr.File, dict[str, gr.Button], gr.HTML]:
    """Where keyframes come in, and their strip."""
    gr.Markdown(INTRO)
    uploads = gr.File(
        label="Keyframes",
        show_label=False,
        file_count="multiple",
        file_types=FILE_TYPES,
        height=72,
        elem_id="inbetween-uploads",
    )
    with gr.Row(elem_classes="gk-examples"):
        examples = {
            name: gr.Button(
                f"Example: {name}", size="sm", min_width=120, elem_id="inbetween-example-" + name.replace(" ", "-")
            )
            for name in handlers.example_names()
        }
    return uploads, examples, keyframe_strip(EMPTY_STRIP)


def _timing_controls() -> dict[str, gr.components.Component]:
    """The controls of the chosen gap, with the curve they draw. Numbers out of range are refused in the cost line."""

    def numbers(*fields: tuple[str, float, str, float]) -> list[gr.Number]:
        with gr.Row(elem_classes="gk-numbers"):
            return [
                gr.Number(value, label=label, step=step, min_width=60, elem_id=f"gap-{name}")
                for name, value, label, step in fields
            ]

    with gr.Row(elem_classes="gk-timing"):
        with gr.Column(min_width=280, scale=5):
            duration, hold = numbers(("duration", 1, "Motion, seconds", 0.05), ("hold", 0, "Hold before, seconds", 0.1))
            with gr.Row(elem_classes="gk-numbers"):
                easing = gr.Dropdown(EASINGS, value="linear", label="Easing", min_width=130, elem_id="gap-easing")
                steps = gr.Number(4, label="Steps", precision=0, min_width=60, elem_id="gap-steps")
            fields = [(n, v, f"Bezier {n}", 0.01) for n, v in (("x1", 0.0), ("y1", 0.0), ("x2", 1.0), ("y2", 1.0))]
            x1, y1, x2, y2 = numbers(*fields)
        with gr.Column(min_width=240, scale=4):
            curve = curve_editor({"easing": "linear", "frames": 24})
    return {
        "curve": curve, "duration": duration, "hold": hold, "easing": easing, "steps": steps,
        "x1": x1, "y1": y1, "x2": x2, "y2": y2,
    }  # fmt: skip


def _look_controls() -> dict[str, gr.components.Component]:
    """Settings of the whole video."""
    with gr.Row():
        fps = gr.Number(24, label="Frames per second (1 to 60)", step=1, min_width=120, elem_id="inbetween-fps")
        playback = gr.Radio(
            list(PLAYBACKS), value="once", label="Playback", min_width=240, scale=2, elem_id="inbetween-playback"
        )
    with gr.Accordion("Size and output", open=False, elem_id="inbetween-size"):
        with gr.Row():
            aspect = gr.Radio(
                list(ASPECTS),
                value="keep",
                label="Shape (keep: as the first image)",
                min_width=240,
                scale=3,
                elem_id="inbetween-aspect",
            )
            fit = gr.Radio(
                list(FITS),
                value="letterbox",
                label="Images of another shape",
                min_width=200,
                scale=2,
                elem_id="inbetween-fit",
            )
        with gr.Row():
            max_side = gr.Dropdown(
                SIDES, value=1920, label="Longest side, pixels", min_width=150, elem_id="inbetween-side"
            )
            end_hold = gr.Number(
                0, step=0.1, label="Hold the last keyframe, seconds", min_width=150, elem_id="inbetween-end-hold"
            )
        with gr.Row():
            background = gr.ColorPicker(
                "#000000", label="Background (bars, transparency)", min_width=150, elem_id="inbetween-background"
            )
            frames_zip = gr.Checkbox(
                True, label="Also every frame as PNG (zip)", min_width=150, elem_id="inbetween-frames"
            )
    return {
        "fps": fps, "aspect": aspect, "fit": fit, "max_side": max_side, "playback": playback,
        "end_hold_s": end_hold, "background": background, "frames_zip": frames_zip,
    }  # fmt: skip


def _job_controls() -> dict[str, gr.components.Component]:
    """What the job will cost, Run and Cancel: at the top of the page, and at hand on a phone."""
    with gr.Column(elem_classes="gk-job"):
        cost = gr.HTML(waiting_line(handlers.WAITING), elem_id="inbetween-cost")
        with gr.Row():
            run = gr.Button("Run", variant="primary", interactive=False, min_width=120, elem_id="inbetween-run")
            cancel = gr.Button("Cancel", interactive=False, min_width=120, elem_id="inbetween-cancel")
    return {"cost": cost, "run": run, "cancel": cancel}


def _result_view() -> dict[str, gr.components.Component]:
    """What a job shows while it runs and what it leaves; empty boxes are not shown."""
    status = gr.HTML(GUIDE, elem_id="inbetween-status")
    video = gr.Video(label="Video", interactive=False, loop=True, visible=False, elem_id="inbetween-video")
    facts = gr.HTML("", visible=False, elem_id="inbetween-facts")
    archive = gr.File(
        label="All frames as PNG (zip)", interactive=False, visible=False, height=90, elem_id="inbetween-zip"
    )
    chart = gr.HTML("", elem_id="inbetween-chart")
    gallery = gr.Gallery(
        label="Frames",
        columns=4,
        height=300,
        object_fit="contain",
        interactive=False,
        visible=False,
        format="jpeg",
        elem_id="inbetween-gallery",
    )
    with gr.Accordion("Link and recipe", open=False, elem_id="inbetween-link-and-recipe"):
        link = gr.Textbox(
            label="Link to these settings (the images stay with you)",
            buttons=["copy"],
            interactive=False,
            elem_id="inbetween-link",
        )
        made = gr.JSON(label="Recipe of this video (it is also inside the MP4)", elem_id="inbetween-recipe")
    return {
        "status": status, "video": video, "facts": facts, "archive": archive, "chart": chart, "gallery": gallery,
        "link": link, "recipe": made,
    }  # fmt: skip


def _wire_gap_editing(strip: gr.HTML, timing: dict[str, gr.components.Component], fps: gr.Number) -> None:
    """Gap editing stays in the browser, so that the curve follows the hand; the strip's change tells the server."""
    js = web_text("gap_editing.js")
    values = [strip, *timing.values()]
    triggers = {**{name: control.input for name, control in timing.items() if name != "curve"}, "fps": fps.input}
    triggers |= {"curve": timing["curve"].edited, "picked": strip.picked}
    for source, trigger in triggers.items():
        trigger(None, [*values, fps], values, js=f"(...a) => ({js})('{source}', ...a)", **QUIET)


def _wire_job(job: dict, compare: gr.Button, result: dict, page_state: list[gr.components.Component]) -> None:
    """Run or the comparison of variants, its progress and its end; Cancel, also for a job that still waits."""
    dropped = gr.Textbox(visible="hidden", label="dropped")  # its change takes a waiting job out of the queue
    shown = [result[name] for name in ("status", "video", "facts", "archive", "gallery", "recipe")]
    begun = [result["status"], job["run"], job["cancel"]]
    running = []
    for button, check, work in (
        (job["run"], handlers.prepare, handlers.run),
        (compare, handlers.prepare_comparison, handlers.compare),
    ):
        started = button.click(check, page_state, begun, queue=False, **QUIET)
        started.success(None, result["link"], None, js=started_js(handlers.LINK), **QUIET)
        event = started.success(
            work,
            page_state,
            shown,
            concurrency_id=HEAVY,
            concurrency_limit=heavy_jobs(),
            show_progress_on=result["status"],
            api_visibility="private",
        )
        after(event, handlers.finish, page_state, [job["run"], job["cancel"], result["status"]], queue=False, **QUIET)
        running.append(event)
    job["cancel"].click(handlers.cancel, None, [job["cancel"], result["status"], dropped], queue=False, **QUIET)
    dropped.change(None, cancels=running)


if __name__ == "__main__":
    from app import launch, page_of

    launch(page_of([(TITLE, build)]))
