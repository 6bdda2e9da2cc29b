"""The Powers of ten tab: prompts, a photo or own images become a stack, a zoom video and a viewer (thesis chapter 6)."""

from __future__ import annotations

import gradio as gr

from genkey_core.zoom.viewer import viewer_script, viewer_style

from . import zoom_handlers as handlers
from . import zoom_prompts as prompts
from .inbetween_view import waiting_line
from .jobs import HEAVY, after, heavy_jobs
from .web_components import link_js, started_js, web_text
from .zoom_api import build_api
from .zoom_controls import engine_controls, video_controls
from .zoom_state import EMPTY_LADDER, ENGINE_FIELDS, PHOTO_FACTORS, VIDEO_FIELDS
from .zoom_view import GUIDE

TITLE = "Powers of ten"
MODES = [("Prompts", "prompts"), ("A photo + prompts", "photo"), ("Own images", "images")]
PICTURE_TYPES = [".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"]
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


def build(page: gr.Blocks) -> None:
    """Lay out the tab inside `page` and wire it; must be called inside the page's context."""
    made = gr.State(None)
    with gr.Row(elem_classes="gk-tab"):
        with gr.Column(scale=5, min_width=340):
            source = _sources()
            box, engine = engine_controls()
            video = video_controls()
        with gr.Column(scale=5, min_width=320):
            job = _job_controls()
            result = _result_view()
    controls = [*(engine[name] for name in ENGINE_FIELDS), *(video[name] for name in VIDEO_FIELDS), source["cut_p"]]
    shown = [source["mode"], source["ladder"], source["photo"], source["images"], *controls]
    groups = [source["asks"], source["photo_box"], source["images_box"], box]
    source["mode"].change(handlers.mode_shown, source["mode"], groups, queue=False, **QUIET)
    _wire_sources(source, controls)
    told = [job["cost"], job["run"], job["film"]]
    edits = [
        source["mode"].change,
        source["ladder"].change,
        source["photo"].change,
        source["images"].change,
        made.change,
    ]
    gr.on(
        [*edits, *(control.change for control in controls)],
        handlers.describe,
        [made, *shown],
        told,
        trigger_mode="always_last",
        concurrency_limit=4,
        **QUIET,
    ).then(handlers.linked, shown, result["link"], trigger_mode="always_last", concurrency_limit=4, **QUIET).then(
        None, result["link"], result["link"], js=link_js(prompts.LINK), **QUIET
    )
    # Levels of a link may be in the ladder before the page listens for its changes; so their cost is asked for.
    linked = page.load(prompts.from_link, None, [source["mode"], source["ladder"], *controls], **QUIET)
    linked.then(handlers.describe, [made, *shown], told, trigger_mode="always_last", concurrency_limit=4, **QUIET)
    _wire_jobs(source, job, result, made, shown)
    build_api()


def _sources() -> dict[str, gr.components.Component]:
    """What the zoom is made of: the mode, examples, the ladder of prompts, pictures."""
    with gr.Row(elem_classes="gk-examples"):
        examples = {
            name: gr.Button(
                f"Example: {name}", size="sm", min_width=120, elem_id="zoom-example-" + name.replace(" ", "-")
            )
            for name in prompts.example_names()
        }
    mode = gr.Radio(MODES, value="prompts", label="Make the zoom from", elem_id="zoom-mode")
    with gr.Column(visible=False) as photo_box:
        photo = gr.File(label="Photo for the widest level", file_types=PICTURE_TYPES, height=90, elem_id="zoom-photo")
        photo_small = gr.HTML(
            "", css_template=web_text("zoom.css"), apply_default_css=False, elem_id="zoom-photo-small"
        )
    with gr.Column(visible=False) as images_box:
        gr.Markdown("**Images** · one large photo, or 2 to 24 of one thing from ever closer, in any order")
        images = gr.File(
            label="Images", show_label=False, file_count="multiple", file_types=PICTURE_TYPES, height=140,
            elem_id="zoom-images",
        )  # fmt: skip
        images_small = gr.HTML(
            "", css_template=web_text("zoom.css"), apply_default_css=False, elem_id="zoom-images-small"
        )
        cut_p = gr.Radio(
            list(PHOTO_FACTORS), value="2", label="One photo: times closer from level to level", elem_id="zoom-cut"
        )
    with gr.Column() as asks:
        ladder = _ladder()
        with gr.Row():
            template = gr.Dropdown(
                prompts.TEMPLATE_CHOICES,
                value=None,
                label="Begin with a template",
                min_width=200,
                elem_id="zoom-template",
            )
        with gr.Accordion("Suggest levels for a subject", open=False, elem_id="zoom-suggest-box"):
            with gr.Row(elem_classes="gk-ask"):
                subject = gr.Textbox(label="Subject", placeholder="a walnut tree", scale=3, elem_id="zoom-subject")
                count = gr.Number(6, label="Levels", precision=0, min_width=80, elem_id="zoom-count")
                suggest = gr.Button("Suggest", size="sm", min_width=80, elem_id="zoom-suggest")
            gr.Markdown(
                "By a small language model of the Hub, which is fetched the first time (3 GB). Templates need none."
            )
    gr.Markdown("**Open** · prompts or a project as JSON, or an MP4 made here, to go on with its settings")
    project = gr.File(label="Open", show_label=False, file_types=[".json", ".mp4"], height=72, elem_id="zoom-project")
    return {
        "examples": examples, "mode": mode, "photo_box": photo_box, "photo": photo, "photo_small": photo_small,
        "images_box": images_box, "images": images, "images_small": images_small, "cut_p": cut_p, "asks": asks,
        "ladder": ladder, "template": template, "subject": subject, "count": count, "suggest": suggest,
        "project": project,
    }  # fmt: skip


def _ladder() -> gr.HTML:
    """The levels with their prompts, which the page edits by itself (web/zoom_ladder.js)."""
    return gr.HTML(
        EMPTY_LADDER,
        html_template='<div class="gk-ladder"></div><div class="gk-said" role="status"></div>',
        css_template=web_text("zoom_ladder.css"),
        js_on_load=web_text("zoom_ladder.js"),
        apply_default_css=False,
        elem_id="zoom-ladder",
        incoming={},
    )


def _job_controls() -> dict[str, gr.components.Component]:
    """What the job will cost, and its buttons."""
    with gr.Column(elem_classes="gk-job"):
        cost = gr.HTML(waiting_line(handlers.WAITING["prompts"]), elem_id="zoom-cost")
        with gr.Row():
            run = gr.Button("Run", variant="primary", interactive=False, min_width=90, elem_id="zoom-run")
            film = gr.Button("Video only", interactive=False, min_width=90, elem_id="zoom-film")
            cancel = gr.Button("Cancel", interactive=False, min_width=90, elem_id="zoom-cancel")
    return {"cost": cost, "run": run, "film": film, "cancel": cancel}


def _result_view() -> dict[str, gr.components.Component]:
    """What a job shows while it runs and what it leaves; empty boxes are not shown."""
    status = gr.HTML(GUIDE, elem_id="zoom-status")
    viewer = gr.HTML(
        {},
        html_template='<div class="gk-zoom"></div>',
        css_template=viewer_style(),
        js_on_load=viewer_script() + web_text("zoom_viewer.js"),
        apply_default_css=False,
        elem_id="zoom-viewer",
        stack={},
    )
    video = gr.Video(label="Video", interactive=False, loop=True, visible=False, elem_id="zoom-video")
    facts = gr.HTML("", visible=False, elem_id="zoom-facts")
    files = gr.File(
        label="The viewer as one HTML file, the levels as PNG, the project", file_count="multiple", interactive=False,
        visible=False, elem_id="zoom-files",
    )  # fmt: skip
    with gr.Accordion("Link and recipe", open=False, elem_id="zoom-made"):
        link = gr.Textbox(
            label="Link to these settings (the pictures stay with you)", buttons=["copy"], interactive=False,
            elem_id="zoom-link",
        )  # fmt: skip
        recipe = gr.JSON(label="Recipe of this result (it is also inside the MP4)", elem_id="zoom-recipe")
    return {
        "status": status, "viewer": viewer, "video": video, "facts": facts, "files": files, "link": link,
        "recipe": recipe,
    }  # fmt: skip


def _wire_sources(source: dict, controls: list[gr.components.Component]) -> None:
    """Templates, files and examples set the ladder and the controls; pictures are looked at when they come."""
    mode, ladder = source["mode"], source["ladder"]
    source["template"].input(prompts.template, source["template"], ladder, **QUIET)
    source["project"].upload(
        prompts.take_project,
        source["project"],
        [source["project"], mode, ladder, *controls],
        concurrency_limit=2,
        **QUIET,
    )
    for box, small in ((source["photo"], source["photo_small"]), (source["images"], source["images_small"])):
        gr.on(
            [box.upload, box.clear, box.delete],
            handlers.take_pictures,
            box,
            [box, small],
            concurrency_limit=2,
            show_progress_on=box,
            api_visibility="private",
        )
    for name, button in source["examples"].items():
        shown = [source["photo"], source["images"], source["images_small"], mode, ladder, *controls]
        button.click(prompts.example_loader(name), None, shown, concurrency_limit=4, **QUIET)


def _wire_jobs(source: dict, job: dict, result: dict, made: gr.State, shown: list[gr.components.Component]) -> None:
    """Run, Video only and Suggest, their progress and their end; Cancel, also for a job that still waits."""
    gone = gr.Textbox(visible="hidden", label="dropped")  # its change takes a waiting job out of the queue
    status, buttons = result["status"], [job["run"], job["film"], job["cancel"]]
    filled = [status, made, *(result[name] for name in ("viewer", "video", "facts", "files", "recipe"))]
    asked = [source["subject"], source["count"], source["ladder"]]
    page_state = [made, *shown]
    heavy = {"concurrency_id": HEAVY, "concurrency_limit": heavy_jobs(), "show_progress_on": status}
    running = []
    for button, check, work in (
        (job["run"], handlers.prepare, handlers.run),
        (job["film"], handlers.prepare_film, handlers.film),
    ):
        started = button.click(check, page_state, [status, *buttons], queue=False, **QUIET)
        started.success(None, result["link"], None, js=started_js(prompts.LINK), **QUIET)
        event = started.success(work, page_state, filled, api_visibility="private", **heavy)
        after(event, handlers.finish, page_state, [status, *buttons], queue=False, **QUIET)
        running.append(event)
    suggest, cancel = source["suggest"], job["cancel"]
    event = suggest.click(prompts.prepare_suggestion, asked, [status, suggest, cancel], queue=False, **QUIET).success(
        prompts.suggest, asked, [status, source["ladder"]], api_visibility="private", **heavy
    )
    after(event, prompts.finish_suggestion, None, [suggest, cancel], queue=False, **QUIET)
    running.append(event)
    cancel.click(handlers.cancel, None, [cancel, status, gone], queue=False, **QUIET)
    gone.change(None, cancels=running)


if __name__ == "__main__":
    from app import launch, page_of

    launch(page_of([(TITLE, build)]))
