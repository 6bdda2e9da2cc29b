"""The Animal dance tab: a few pictures of a subject and a song become a choreography on the beat (thesis chapter 7)."""

from __future__ import annotations

import gradio as gr

from . import dance_handlers as handlers
from . import dance_run as jobs
from . import dance_wishes as clicked
from .dance_api import build_api
from .dance_controls import beat_controls, look_controls, mirror_controls, pattern_controls, wish_controls
from .dance_grid import build_grid_api, grid_controls, wire_grid
from .dance_state import CONTROLS, EMPTY, PICTURES, VIDEOS
from .dance_view import GUIDE
from .dance_wishes import keyframe_row
from .inbetween_view import waiting_line
from .jobs import HEAVY, after, heavy_jobs
from .web_components import started_js

TITLE = "Animal dance"
INTRO = (
    "**Keyframes** · 3 to 12 pictures of one subject in different poses, one picture that is a grid of them, or a video"
)
SONG_TYPES = [".mp3", ".wav", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aiff", *VIDEOS]
QUIET = {"show_progress": "hidden", "api_visibility": "private"}
LATEST = {"trigger_mode": "always_last", "concurrency_limit": 4, **QUIET}


def build(page: gr.Blocks) -> None:
    """Lay out the tab inside `page` and wire it; must be called inside the page's context."""
    session, figures = gr.State(dict(EMPTY)), gr.State(None)
    with gr.Row(elem_classes="gk-tab"):
        with gr.Column(scale=6, min_width=340):
            source = _sources()
            beats = beat_controls()
            pattern = pattern_controls()
            wishes = wish_controls()
            mirrors = mirror_controls()
            look = look_controls()
        with gr.Column(scale=4, min_width=320):
            job = _job_controls()
            result = _result_view()
    fields = {**beats, **pattern, **wishes, **mirrors, **look, "solution": result["solution"]}
    controls = [fields[name] for name in CONTROLS]
    shown = [session, figures, *controls]
    described = handlers.describe, shown, [job["cost"], source["row"], pattern["steps"], job["find"], job["run"]]
    _wire_keyframes(session, source, wishes, described)
    _wire_song(session, source["song"], beats, described)
    _wire_pattern(session, figures, pattern, controls, described)
    _wire_example(session, figures, source, beats, pattern, controls, described)
    edits = [fields[name].change for name in CONTROLS if name != "solution"]
    gr.on(edits, *described, **LATEST)
    buttons = [job["find"], job["run"], job["cancel"]]
    drawing = wire_grid(session, source["grid"], source, (shown, result["status"], buttons), described)
    _wire_jobs(job, result, shown, drawing)
    build_api()
    build_grid_api()


def _sources() -> dict[str, gr.components.Component]:
    """Where keyframes and the song come in."""
    with gr.Row(elem_classes="gk-examples"):
        example = gr.Button("Example: a marmot on its meadow", size="sm", min_width=160, elem_id="dance-example")
    gr.Markdown(INTRO)
    with gr.Row():
        keyframes = gr.File(
            label="Keyframes", show_label=False, file_count="multiple", file_types=[*PICTURES, *VIDEOS], height=112,
            scale=4, min_width=240, elem_id="dance-keyframes",
        )  # fmt: skip
        n_poses = gr.Number(6, label="Poses of a video", precision=0, scale=1, min_width=90, elem_id="dance-poses")
    row = keyframe_row()
    grid = grid_controls()
    song = gr.File(label="Song: any audio or video file", file_types=SONG_TYPES, height=72, elem_id="dance-song-file")
    return {"example": example, "keyframes": keyframes, "n_poses": n_poses, "row": row, "song": song, "grid": grid}


def _job_controls() -> dict[str, gr.components.Component]:
    """What the job will cost, and its buttons."""
    with gr.Column(elem_classes="gk-job"):
        cost = gr.HTML(waiting_line(handlers.WAITING), elem_id="dance-cost")
        with gr.Row():
            find = gr.Button("Find dances", interactive=False, min_width=90, elem_id="dance-find")
            run = gr.Button("Run", variant="primary", interactive=False, min_width=90, elem_id="dance-run")
            cancel = gr.Button("Cancel", interactive=False, min_width=90, elem_id="dance-cancel")
    return {"cost": cost, "find": find, "run": run, "cancel": cancel}


def _result_view() -> dict[str, gr.components.Component]:
    """What a job shows while it runs and what it leaves; empty boxes are not shown."""
    status = gr.HTML(GUIDE, elem_id="dance-status")
    video = gr.Video(label="Dance", interactive=False, visible=False, elem_id="dance-video")
    facts = gr.HTML("", visible=False, elem_id="dance-facts")
    solution = gr.Radio([("1: the best", 1)], value=1, label="Dance that Run makes", elem_id="dance-solution")
    solutions = gr.HTML("", visible=False, elem_id="dance-solutions")
    timeline = gr.Image(
        label="Keyframe timeline", type="filepath", interactive=False, visible=False, elem_id="dance-timeline"
    )
    files = gr.File(
        label="Keyframe timeline and project", file_count="multiple", interactive=False, visible=False,
        elem_id="dance-files",
    )  # fmt: skip
    with gr.Accordion("Recipe", open=False, elem_id="dance-made"):
        recipe = gr.JSON(label="Recipe of this video (it is also inside the MP4)", elem_id="dance-recipe")
    return {
        "status": status, "solution": solution, "solutions": solutions, "video": video, "facts": facts,
        "timeline": timeline, "files": files, "recipe": recipe,
    }  # fmt: skip


def _wire_keyframes(session, source: dict, wishes: dict, described: tuple) -> None:
    """Keyframes come and go, and are clicked on."""
    box, row = source["keyframes"], source["row"]
    row.wished(clicked.wished, [session, row], [wishes["pins"], wishes["mirrored_ends"], wishes["never"]], **LATEST)
    gr.on(
        [box.upload, box.clear, box.delete],
        handlers.take_keyframes,
        [session, box, source["n_poses"]],
        [session, box, source["row"]],
        concurrency_limit=2,
        show_progress_on=box,
        api_visibility="private",
    ).then(*described, **LATEST)


def _wire_song(session, song, beats: dict, described: tuple) -> None:
    """The song comes, its beats are shown, heard and corrected."""
    picture = [beats["song"], beats["first"], beats["meter"]]
    seen = handlers.song_shown, [session, beats["start_s"], beats["end_s"]], picture
    taken = gr.on(
        [song.upload, song.clear],
        handlers.take_song,
        [session, song],
        [session, song],
        concurrency_limit=2,
        show_progress_on=song,
        api_visibility="private",
    )
    edits = [beats[name].click(handlers.beat_edit(name), session, session, **QUIET) for name in handlers.BEAT_EDITS]
    edits += [
        beats["first"].input(handlers.first_downbeat, [session, beats["first"]], session, **QUIET),
        beats["meter"].input(handlers.meter, [session, beats["meter"]], session, **QUIET),
        beats["again"].click(handlers.heard_again, session, session, **QUIET),
        beats["tempo"].submit(handlers.typed_tempo, [session, beats["tempo"]], session, **QUIET),
        beats["song"].clicked(handlers.clicked_beat, [session, beats["song"]], session, **QUIET),
        beats["song"].tapped(handlers.tapped, [session, beats["song"]], session, **QUIET),
    ]
    for event in (taken, *edits):
        event.then(*seen, **LATEST).then(*described, **LATEST)
    gr.on([beats["start_s"].change, beats["end_s"].change], *seen, **LATEST)
    beats["listen"].click(
        handlers.with_clicks, [session, beats["start_s"], beats["end_s"]], beats["song"], concurrency_limit=2, **QUIET
    )


def _wire_pattern(session, figures, pattern: dict, controls: list, described: tuple) -> None:
    """A preset, a dancer to follow, or a segment that is changed by hand sets the text."""
    pattern["preset"].input(handlers.preset, pattern["preset"], pattern["pattern"], **QUIET)
    pattern["steps"].edited(handlers.edited_steps, pattern["steps"], pattern["pattern"], **QUIET)
    dancer = pattern["dancer"]
    gr.on(
        [dancer.upload, dancer.clear],
        handlers.follow_dancer,
        [session, dancer, *controls],
        [session, dancer, figures, pattern["pattern"]],
        concurrency_limit=2,
        show_progress_on=dancer,
        api_visibility="private",
    ).then(*described, **LATEST)


def _wire_example(session, figures, source: dict, beats: dict, pattern: dict, controls: list, described: tuple) -> None:
    """The bundled dance in one click, or a saved project."""
    filled = [
        session, source["keyframes"], source["row"], source["song"], pattern["dancer"], figures, pattern["pattern"],
        beats["start_s"], beats["end_s"],
    ]  # fmt: skip
    seen = (
        handlers.song_shown,
        [session, beats["start_s"], beats["end_s"]],
        [beats["song"], beats["first"], beats["meter"]],
    )
    cost = described[2][0]
    loaded = (
        source["example"]
        .click(handlers.loading, None, cost, queue=False, **QUIET)
        .then(handlers.example, None, filled, concurrency_limit=2, **QUIET)
    )
    opened = pattern["project"].upload(
        handlers.open_project, [session, pattern["project"]], [session, pattern["project"], *controls], **QUIET
    )
    for event in (loaded, opened):
        event.then(*seen, **LATEST).then(*described, **LATEST)
    loaded.failure(*described, **LATEST)


def _wire_jobs(job: dict, result: dict, shown: list, others: list) -> None:
    """Find and Run, their progress and their end; Cancel, also for a job that still waits, and for those of `others`."""
    gone = gr.Textbox(visible="hidden", label="dropped")  # its change takes a waiting job out of the queue
    status, buttons = result["status"], [job["find"], job["run"], job["cancel"]]
    made = [result[name] for name in ("solution", "video", "timeline", "facts", "files", "recipe")]
    running = [*others]
    for button, work, filled in (
        (job["find"], jobs.find, [status, result["solutions"], result["solution"]]),
        (job["run"], jobs.run, [status, *made]),
    ):
        begun = button.click(jobs.prepare, shown, [status, *buttons], queue=False, **QUIET)
        begun.success(None, None, None, js=started_js("dance"), **QUIET)
        event = begun.success(
            work,
            shown,
            filled,
            concurrency_id=HEAVY,
            concurrency_limit=heavy_jobs(),
            show_progress_on=status,
            api_visibility="private",
        )
        after(event, jobs.finish, shown, [status, *buttons], queue=False, **QUIET)
        running.append(event)
    job["cancel"].click(jobs.cancel, None, [job["cancel"], status, gone], queue=False, **QUIET)
    gone.change(None, cancels=running)


if __name__ == "__main__":
    from app import launch, page_of

    launch(page_of([(TITLE, build)]))
