"""The Inbetween tab: two or more images become a video (thesis chapters 2 and 5)."""

from __future__ import annotations

import gradio as gr

from genkey_core.inbetween.settings import ASPECTS, FITS, MAX_KEYFRAMES
from genkey_core.timing import PLAYBACKS

from . import inbetween_handlers as handlers
from .inbetween_api import build_api
from .inbetween_view import waiting_line
from .jobs import HEAVY, heavy_jobs
from .web_components import curve_editor, keyframe_strip, web_text

TITLE = "Inbetween"
INTRO = (
    "Turn two or more images into a video. Drop your keyframes, put them in order, set how long and with which easing "
    "each gap moves, and press **Run**. The *draft* engine follows the motion between your images at full resolution, "
    "on any machine."
)
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


def build(page: gr.Blocks) -> None:
    """Lay out the tab inside `page` and wire it; must be called inside the page's context."""
    gr.Markdown(INTRO)
    files = gr.State({})
    with gr.Row():
        with gr.Column(scale=5, min_width=360):
            uploads = gr.File(
                label=f"Keyframes: drop 2 to {MAX_KEYFRAMES} images, or an MP4 made here to restore its settings",
                file_count="multiple",
                file_types=FILE_TYPES,
                height=120,
                elem_id="inbetween-uploads",
            )
            examples = {}
            with gr.Row():
                for name in handlers.example_names():
                    examples[name] = gr.Button(f"Example: {name}", size="sm")
            strip = keyframe_strip(handlers.EMPTY_STRIP)
            timing = _timing_controls()
            look = _look_controls()
            cost = gr.HTML(waiting_line(handlers.WAITING), elem_id="inbetween-cost")
            with gr.Row():
                run = gr.Button("Run", variant="primary", interactive=False, elem_id="inbetween-run")
                cancel = gr.Button("Cancel", interactive=False, elem_id="inbetween-cancel")
        with gr.Column(scale=4, min_width=320):
            status = gr.HTML("", elem_id="inbetween-status")
            video = gr.Video(label="Video", interactive=False, loop=True, elem_id="inbetween-video")
            archive = gr.File(
                label="All frames as PNG (zip)", interactive=False, visible=False, elem_id="inbetween-zip"
            )
            gr.Markdown("**Spacing** · position over time, one dot per frame; denser dots are slower motion")
            chart = gr.HTML("", elem_id="inbetween-chart")
            gallery = gr.Gallery(
                label="Frames", columns=6, height=260, interactive=False, format="jpeg", elem_id="inbetween-gallery"
            )
            with gr.Accordion("Link and recipe", open=False):
                link = gr.Textbox(
                    label="Link to these settings", buttons=["copy"], interactive=False, elem_id="inbetween-link"
                )
                made = gr.JSON(label="Recipe of this video (it is also inside the MP4)", elem_id="inbetween-recipe")
    controls = [look[name] for name in handlers.CONTROLS]
    page_state = [files, strip, *controls, look["frames_zip"]]
    _wire_gap_editing(strip, timing)
    described = [cost, chart, run, link]
    gr.on(
        [
            strip.change,
            look["frames_zip"].input,
            *(c.input for c in controls[:-1]),
            look["background"].change,
        ],
        handlers.describe,
        page_state,
        described,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
        concurrency_limit=4,
    ).then(None, link, link, js=handlers.LINK_JS)
    look["playback"].input(None, [strip, look["playback"]], strip, js=handlers.LOOP_JS)
    restored = [uploads, files, strip, *controls, *timing.values()]
    keep = {"show_progress": "hidden", "api_visibility": "private"}
    uploads.upload(handlers.add_files, [uploads, files, strip], restored, concurrency_limit=4, api_visibility="private")
    for name, button in examples.items():
        button.click(handlers.example_loader(name), [uploads, files, strip], restored, concurrency_limit=4, **keep)
    page.load(handlers.from_link, [files, strip], restored, **keep)
    result = [status, video, archive, gallery, made]
    started = run.click(
        handlers.prepare,
        page_state,
        [status, run, cancel],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    running = started.success(
        handlers.run,
        page_state,
        result,
        concurrency_id=HEAVY,
        concurrency_limit=heavy_jobs(),
        show_progress_on=status,
        api_visibility="private",
    )
    running.then(handlers.finish, None, [run, cancel], queue=False, **keep).then(
        None, link, None, js=handlers.ADDRESS_JS
    )
    cancel.click(handlers.cancel, None, [cancel], queue=False, **keep)
    build_api()


def _timing_controls() -> dict[str, gr.components.Component]:
    """The controls of the chosen gap, with the curve they draw."""
    with gr.Row(equal_height=True):
        with gr.Column(min_width=260, scale=3):
            duration = gr.Slider(
                0.05, 10, value=1, step=0.05, label="Duration of the motion, seconds", elem_id="gap-duration"
            )
            with gr.Row():
                easing = gr.Dropdown(EASINGS, value="linear", label="Easing", min_width=120, elem_id="gap-easing")
                hold = gr.Number(0, minimum=0, label="Hold before, s", step=0.1, min_width=90, elem_id="gap-hold")
                steps = gr.Number(4, label="Steps", precision=0, minimum=1, min_width=70, elem_id="gap-steps")
            with gr.Row():
                numbers = [
                    gr.Number(v, label=f"Bezier {name}", step=0.01, min_width=80, elem_id=f"gap-{name}")
                    for name, v in (("x1", 0.0), ("y1", 0.0), ("x2", 1.0), ("y2", 1.0))
                ]
        with gr.Column(min_width=240, scale=2):
            curve = curve_editor({"easing": "linear", "frames": 24})
    x1, y1, x2, y2 = numbers
    return {
        "duration": duration, "easing": easing, "x1": x1, "y1": y1, "x2": x2, "y2": y2,
        "steps": steps, "hold": hold, "curve": curve,
    }  # fmt: skip


def _look_controls() -> dict[str, gr.components.Component]:
    """Settings of the whole video."""
    with gr.Row():
        fps = gr.Slider(1, 60, value=24, step=1, label="Frames per second", elem_id="inbetween-fps")
        playback = gr.Radio(list(PLAYBACKS), value="once", label="Playback", elem_id="inbetween-playback")
    with gr.Accordion("Size and output", open=False):
        with gr.Row():
            aspect = gr.Radio(
                list(ASPECTS), value="keep", label="Shape (keep: as the first image)", elem_id="inbetween-aspect"
            )
            fit = gr.Radio(list(FITS), value="letterbox", label="Images of another shape", elem_id="inbetween-fit")
        with gr.Row():
            max_side = gr.Dropdown(SIDES, value=1920, label="Longest side, pixels", elem_id="inbetween-side")
            end_hold = gr.Number(
                0, minimum=0, step=0.1, label="Hold the last keyframe, seconds", elem_id="inbetween-end-hold"
            )
        with gr.Row():
            background = gr.ColorPicker(
                "#000000", label="Background (bars, transparent pixels)", elem_id="inbetween-background"
            )
            frames_zip = gr.Checkbox(True, label="Also every frame as PNG (zip)", elem_id="inbetween-frames")
    return {
        "fps": fps, "aspect": aspect, "fit": fit, "max_side": max_side, "playback": playback,
        "end_hold_s": end_hold, "background": background, "frames_zip": frames_zip,
    }  # fmt: skip


def _wire_gap_editing(strip: gr.HTML, timing: dict[str, gr.components.Component]) -> None:
    """Gap editing stays in the browser, so that the curve follows the hand; the strip's change tells the server."""
    names = ["duration", "easing", "x1", "y1", "x2", "y2", "steps", "hold"]
    values = [timing[n] for n in names]
    changed = [strip, timing["curve"], *values]
    js = web_text("gap_editing.js")
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    for name in names:
        source = "bezier" if name in ("x1", "y1", "x2", "y2") else name
        timing[name].input(
            None, [strip, timing["curve"], *values], changed, js=f"(...a) => ({js})('{source}', ...a)", **quiet
        )
    timing["curve"].edited(
        None, [strip, timing["curve"], *values], changed, js=f"(...a) => ({js})('curve', ...a)", **quiet
    )
    strip.picked(None, [strip, timing["curve"], *values], changed, js=f"(...a) => ({js})('picked', ...a)", **quiet)


if __name__ == "__main__":
    from app import launch, page_of

    launch(page_of([(TITLE, build)]))
