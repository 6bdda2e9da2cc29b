"""The Jump cut tab: a talking-head video is cleaned up and every cut is hidden (thesis chapter 4)."""

from __future__ import annotations

import gradio as gr

from genkey_core.jumpcut.settings import PRESETS

from . import jumpcut_fit as fitting
from . import jumpcut_handlers as handlers
from . import jumpcut_words as spoken
from .inbetween_view import waiting_line
from .jobs import HEAVY, after, heavy_jobs
from .jumpcut_api import build_api
from .jumpcut_fit import engine_controls
from .jumpcut_state import CONTROLS, EMPTY_CUTS, EMPTY_EDITOR
from .jumpcut_view import GUIDE, MODES
from .web_components import started_js, web_text

TITLE = "Jump cut"
INTRO = "**Video** · drop a recording of someone who talks, up to an hour, in any usual format"
VIDEO_TYPES = [".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".mts"]
WORD_TYPES = [".json", ".srt", ".vtt"]
SIDES = [("as it is (up to 4096)", 4096), ("1920 (Full HD)", 1920), ("1280 (HD)", 1280), ("640", 640)]
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


def build(page: gr.Blocks) -> None:
    """Lay out the tab inside `page` and wire it; must be called inside the page's context."""
    session = gr.State(None)
    with gr.Row(elem_classes="gk-tab"):
        with gr.Column(scale=6, min_width=340):
            upload, example, editor, ranges = _video_and_rows()
            wanted = _proposal_controls()
            words = spoken.word_controls()
            cuts, look = _cut_controls()
            engine = engine_controls()
            look["engine"] = engine["engine"]
        with gr.Column(scale=4, min_width=320):
            job = _job_controls()
            result = _result_view()
    controls = [(wanted | look)[name] for name in CONTROLS]
    shown = [session, editor, cuts, *controls]
    told_first = [
        session, job["cost"], job["analyse"], editor, cuts, result["player"], job["run"], job["judge"], upload,
        engine["body"], engine["densepose"], engine["network"], wanted["words"],
    ]  # fmt: skip
    _wire_videos(upload, example, told_first)
    _wire_editing(session, editor, cuts, ranges, wanted, look, job, result, controls)
    _wire_jobs(session, editor, cuts, job, result, controls, shown, engine, words)
    _wire_body(session, editor, cuts, job, engine, shown)
    build_api()


def _video_and_rows() -> tuple[gr.File, gr.Button, gr.HTML, dict]:
    """Where the video comes in, the timeline with its rows, and what adds rows by hand."""
    gr.Markdown(INTRO)
    upload = gr.File(label="Video", show_label=False, file_types=VIDEO_TYPES, height=72, elem_id="jumpcut-upload")
    with gr.Row(elem_classes="gk-examples"):
        example = gr.Button("Example: a drawn presenter", size="sm", min_width=120, elem_id="jumpcut-example")
    editor = gr.HTML(
        EMPTY_EDITOR,
        html_template='<div class="gk-cut"></div><div class="gk-said" role="status"></div>',
        css_template=web_text("jumpcut.css"),
        js_on_load=web_text("jumpcut_editor.js"),
        apply_default_css=False,
        elem_id="jumpcut-editor",
        incoming={},
        view={},
        cut={},
    )
    with gr.Row(elem_classes="gk-ask"):
        text = gr.Textbox(
            label="Add ranges", placeholder="remove 3.2 to 4.1 s; keep 1:10 to 1:12", scale=4, min_width=200,
            elem_id="jumpcut-ranges",
        )  # fmt: skip
        add = gr.Button("Add", size="sm", scale=1, min_width=80, elem_id="jumpcut-add")
    return upload, example, editor, {"text": text, "add": add}


def _proposal_controls() -> dict[str, gr.components.Component]:
    """What is proposed for removal; none of these analyses anew."""
    preset = gr.Radio(list(PRESETS), value="balanced", label="How much goes", elem_id="jumpcut-preset")
    with gr.Row(elem_classes="gk-numbers"):
        pause = gr.Slider(0.1, 3, 0.4, step=0.05, label="Shortest pause, s", min_width=150, elem_id="jumpcut-pause")
        padding = gr.Slider(0, 0.5, 0.1, step=0.01, label="Padding, s", min_width=150, elem_id="jumpcut-padding")
        natural = gr.Slider(0, 1, 0, step=0.05, label="Keep it natural", min_width=150, elem_id="jumpcut-natural")
    with gr.Row():
        fillers = gr.Checkbox(True, label="Propose fillers (uh, um)", min_width=160, elem_id="jumpcut-fillers")
        words = gr.File(
            label="Transcript, or a cut list made here",
            file_types=WORD_TYPES,
            height=72,
            min_width=220,
            elem_id="jumpcut-words",
        )
    return {
        "preset": preset, "shortest_pause_s": pause, "padding_s": padding, "natural": natural, "fillers": fillers,
        "words": words,
    }  # fmt: skip


def _cut_controls() -> tuple[gr.HTML, dict[str, gr.components.Component]]:
    """How the cuts are hidden: for all, and in the table for each."""
    mode = gr.Radio(list(MODES), value="auto", label="Hide every cut by", elem_id="jumpcut-mode")
    cuts = gr.HTML(
        EMPTY_CUTS,
        html_template='<div class="gk-cuts"></div>',
        css_template=web_text("jumpcut.css"),
        js_on_load=web_text("jumpcut_cuts.js"),
        apply_default_css=False,
        elem_id="jumpcut-cuts",
        incoming={},
    )
    with gr.Accordion("Frames and size", open=False, elem_id="jumpcut-look"), gr.Row(elem_classes="gk-numbers"):
        remade = gr.Number(
            4, label="Blended: frames remade on each side", precision=0, min_width=120, elem_id="jumpcut-h"
        )
        new = gr.Number(6, label="Inserted: new frames", precision=0, min_width=120, elem_id="jumpcut-t")
        side = gr.Dropdown(SIDES, value=4096, label="Longest side, pixels", min_width=150, elem_id="jumpcut-side")
    return cuts, {"mode": mode, "neighbourhood": remade, "n_inserted": new, "max_side": side}


def _job_controls() -> dict[str, gr.components.Component]:
    """What the job will cost, and its buttons."""
    with gr.Column(elem_classes="gk-job"):
        cost = gr.HTML(waiting_line(handlers.WAITING), elem_id="jumpcut-cost")
        with gr.Row():
            analyse = gr.Button(
                "Analyse", variant="primary", interactive=False, min_width=70, elem_id="jumpcut-analyse"
            )
            judge = gr.Button("Judge", interactive=False, min_width=70, elem_id="jumpcut-judge")
            run = gr.Button("Smooth", variant="primary", interactive=False, min_width=70, elem_id="jumpcut-run")
            cancel = gr.Button("Cancel", interactive=False, min_width=70, elem_id="jumpcut-cancel")
    return {"cost": cost, "analyse": analyse, "judge": judge, "run": run, "cancel": cancel}


def _result_view() -> dict[str, gr.components.Component]:
    """The source to play, what a job shows while it runs and what it leaves; empty boxes are not shown."""
    status = gr.HTML(GUIDE, elem_id="jumpcut-status")
    player = gr.Video(
        label="Your video (small copy)", interactive=False, visible=False, height=300, elem_id="jumpcut-player"
    )
    video = gr.Video(label="Result", interactive=False, visible=False, elem_id="jumpcut-video")
    facts = gr.HTML("", visible=False, elem_id="jumpcut-facts")
    comparison = gr.ImageSlider(
        label="as it was | now", type="filepath", interactive=False, visible=False, elem_id="jumpcut-compare"
    )
    files = gr.File(
        label="Cut list (JSON, EDL) and captions", file_count="multiple", interactive=False, visible=False,
        elem_id="jumpcut-files",
    )  # fmt: skip
    with gr.Accordion("Recipe", open=False, elem_id="jumpcut-made"):
        made = gr.JSON(label="Recipe of this video (it is also inside the MP4)", elem_id="jumpcut-recipe")
    return {
        "status": status, "player": player, "video": video, "facts": facts, "comparison": comparison, "files": files,
        "recipe": made,
    }  # fmt: skip


def _wire_videos(upload, example, told_first) -> None:
    """A video comes in, dropped or bundled."""
    taken = {"concurrency_limit": 2, "show_progress_on": upload, "api_visibility": "private"}
    upload.upload(handlers.take, upload, told_first, **taken)
    example.click(handlers.take_example, None, told_first, **taken)


def _wire_editing(session, editor, cuts, ranges, wanted, look, job, result, controls) -> None:
    """Rows come and change, and the page says what they make of the video."""
    told = [job["cost"], editor, cuts, job["run"], job["judge"]]
    shown = [session, editor, cuts, *controls]
    sliders = [wanted[name] for name in ("shortest_pause_s", "natural", "fillers")]
    latest = {"trigger_mode": "always_last", "concurrency_limit": 4, **QUIET}
    wanted["preset"].input(
        handlers.preset,
        wanted["preset"],
        [wanted[key] for key in ("shortest_pause_s", "natural", "padding_s")],
        **QUIET,
    ).then(handlers.propose, [session, *controls], editor, **latest).then(handlers.describe, shown, told, **latest)
    gr.on([c.input for c in sliders], handlers.propose, [session, *controls], editor, **latest)
    edits = [wanted["padding_s"].input, *(c.input for c in look.values())]
    gr.on([editor.change, cuts.change, *edits], handlers.describe, shown, told, **latest)
    text = ranges["text"]
    added = gr.on(
        [ranges["add"].click, text.submit],
        handlers.add_ranges,
        [session, text],
        editor,
        js=handlers.SENT_JS,
        trigger_mode="multiple",
        **QUIET,
    )
    added.success(None, text, text, js=handlers.ADDED_JS, **QUIET)
    added.failure(None, None, None, js=handlers.REFUSED_JS, **QUIET)
    wanted["words"].upload(
        spoken.take_words,
        [session, wanted["words"], *controls],
        [session, editor, wanted["words"]],
        concurrency_limit=2,
        **QUIET,
    )
    cuts.picked(handlers.compare, [session, cuts], result["comparison"], concurrency_limit=4, **QUIET)


def _wire_jobs(session, editor, cuts, job, result, controls, shown, engine, words) -> None:
    """Analyse, Judge, Smooth and Fit, their progress and their end; Cancel, also for a job that still waits."""
    gone = gr.Textbox(visible="hidden", label="dropped")  # its change takes a waiting job out of the queue
    begun = [result["status"], job["analyse"], job["judge"], job["run"], job["cancel"]]
    status = result["status"]
    running = []
    for button, check, checked, work, taken, filled in (
        (
            job["analyse"],
            handlers.prepare_analysis,
            [session, words["model"], words["language"]],
            handlers.analyse,
            [session, words["model"], words["language"], *controls],
            [status, session, editor, cuts, result["player"]],
        ),
        (job["judge"], handlers.prepare_cuts, shown, handlers.judge, shown, [status, session, cuts]),
        (
            job["run"],
            handlers.prepare_cuts,
            shown,
            handlers.run,
            shown,
            [status, session, cuts, *(result[n] for n in ("video", "facts", "files", "comparison", "recipe"))],
        ),
        (
            engine["fit"],
            fitting.prepare_fit,
            [session, engine["minutes"]],
            fitting.fit,
            [session, engine["minutes"]],
            [status, session, engine["network"]],
        ),
    ):
        started = button.click(check, checked, begun, queue=False, **QUIET)
        started.success(None, None, None, js=started_js("jumpcut"), **QUIET)
        event = started.success(
            work,
            taken,
            filled,
            concurrency_id=HEAVY,
            concurrency_limit=heavy_jobs(),
            show_progress_on=status,
            api_visibility="private",
        )
        after(event, handlers.finish, shown, begun, queue=False, **QUIET)
        running.append(event)
    job["cancel"].click(handlers.cancel, None, [job["cancel"], status, gone], queue=False, **QUIET)
    gone.change(None, cancels=running)
    gr.on(
        [words["model"].input, session.change],
        spoken.told,
        [session, words["model"]],
        words["line"],
        trigger_mode="always_last",
        concurrency_limit=4,
        **QUIET,
    )


def _wire_body(session, editor, cuts, job, engine, shown) -> None:
    """A body map comes in or goes, or DensePose is chosen; the cost line follows."""
    told = [job["cost"], editor, cuts, job["run"], job["judge"]]
    dropped = gr.on(
        [engine["body"].upload, engine["body"].clear],
        fitting.take_body,
        [session, engine["body"]],
        [session, engine["body"]],
        concurrency_limit=2,
        **QUIET,
    )
    chosen = engine["densepose"].input(
        fitting.take_densepose, [session, engine["densepose"]], [session, engine["densepose"]], **QUIET
    )
    for event in (dropped, chosen):
        event.then(handlers.describe, shown, told, trigger_mode="always_last", concurrency_limit=4, **QUIET)


if __name__ == "__main__":
    from app import launch, page_of

    launch(page_of([(TITLE, build)]))
