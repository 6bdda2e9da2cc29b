"""The jump-cut jobs: the page's and, with named and typed parameters, the same over HTTP and as MCP tools."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import gradio as gr

from genkey_core.checks import InputError
from genkey_core.cost import Cost, duration_text, size_text

from .jobs import HEAVY, heavy_jobs, job_folder, limits, says_mistakes, sweep

_PREVIEW_EVERY_S = 0.6
PAGE_MODES = ("auto", "blended", "inserted", "punch-in", "hard cut")


@dataclass(frozen=True)
class Made:
    """A finished job and its files: the exports, and each cut's middle before and after, by its frames."""

    result: object
    exports: list[Path]
    pictures: dict[tuple[int, int], dict]
    notes: list[str] = field(default_factory=list)


def check(cost: Cost) -> None:
    """Raises InputError with the remedy where a job is over this machine's limits. An hour of frames is none."""
    here = limits()
    if cost.seconds > here.max_seconds:
        raise InputError(
            f"time: this would take about {duration_text(cost.seconds)}, the limit here is "
            f"{duration_text(here.max_seconds)}; take a shorter or smaller video, or more hard cuts."
        )
    for name, needed, most in (
        ("memory", cost.memory_bytes, here.max_memory_bytes),
        ("disk", cost.disk_bytes, here.max_disk_bytes),
    ):
        if most is not None and needed > most:
            raise InputError(
                f"{name}: this needs about {size_text(needed)}, {size_text(most)} may be used here now; take a shorter "
                "or smaller video."
            )


def check_analysis(path: str) -> Cost:
    """The cost of analysing this video; raises InputError where it is none, too long, or over a limit."""
    from genkey_core.jumpcut.estimate import analysis_cost
    from genkey_core.jumpcut.survey import checked_info

    cost = analysis_cost(checked_info(path))
    check(cost)
    return cost


def analysed(path: str, *, cancelled: Callable[[], bool] = lambda: False) -> Iterator:
    """Analyse a video into a folder of its own; yields Surveying and last (folder, Survey), or nothing if cancelled."""
    from genkey_core.jumpcut.estimate import learn
    from genkey_core.jumpcut.survey import Survey, survey

    cost, begun = check_analysis(path), time.perf_counter()
    sweep()
    try:
        with job_folder() as folder, closing(survey(path, folder)) as work:
            for item in work:
                if isinstance(item, Survey):
                    found = item
                    break
                if cancelled():
                    raise _Cancelled
                yield item
    except _Cancelled:
        return
    learn("analysis", cost.seconds, time.perf_counter() - begun)
    yield str(folder), found


class _Cancelled(Exception):
    """The analysis is not wanted any more; what it has written goes."""


def made(path: str, job, *, name: str, transcript=None, cancelled: Callable[[], bool] = lambda: False) -> Iterator:
    """Make a planned cut into a new result folder; yields some Steps, every one with an outcome, and last Made."""
    from genkey_core.jumpcut.estimate import cut_cost, learn
    from genkey_core.jumpcut.job import Result, make

    cost = cut_cost(job)
    check(cost)
    sweep()
    shown = 0.0
    with job_folder() as folder:
        stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(name).stem)[:60] or "video"
        with closing(make(path, folder / f"{stem}-cut.mp4", job, cancelled=cancelled, name=name)) as work:
            for item in work:
                if isinstance(item, Result):
                    result = item
                elif item.outcome is not None or time.perf_counter() - shown > _PREVIEW_EVERY_S:
                    shown = time.perf_counter()
                    yield item
        exports, notes = write_exports(folder, stem, name, job, transcript)
        pictures = {o.cut.key: _pictures(folder, o) for o in result.outcomes}
    if result.complete:
        learn("cut", cost.seconds, result.elapsed_s)
    yield Made(result, exports, pictures, notes)


def write_exports(folder: Path, stem: str, name: str, job, transcript) -> tuple[list[Path], list[str]]:
    """EDL, JSON and, where there is a transcript, captions of a planned cut; and what could not be exported."""
    from genkey_core.jumpcut import exports

    texts, notes = {f"{stem}-cuts.json": exports.to_json(job.cut_list)}, []
    try:
        edl = exports.edl(job.pieces, fps=job.survey.fps, clip_name=name, title=stem, n_channels=job.survey.n_channels)
        texts[f"{stem}.edl"] = edl
    except InputError as error:
        notes.append(str(error))
    if transcript is not None:
        captions = exports.cues(transcript.words, job.times)
        texts |= {f"{stem}.srt": exports.srt(captions), f"{stem}.vtt": exports.vtt(captions)}
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    return [folder / file for file in texts], notes


def _pictures(folder: Path, outcome) -> dict:
    """A cut's middle before and after, as files for the slider."""
    from genkey_core.media import save_image

    number = outcome.cut.number + 1
    paths = {"before": folder / f"cut-{number}-before.png", "after": folder / f"cut-{number}-after.png"}
    save_image(paths["before"], outcome.before)
    save_image(paths["after"], outcome.after)
    return {"mode": outcome.mode, "before": str(paths["before"]), "after": str(paths["after"])}


@says_mistakes
def jumpcut_analyse(video: str, shortest_pause_s: float = 0.4, natural: float = 0.0, fillers: bool = True):
    """Find what could be cut out of a talking-head video: pauses, filled pauses, and the cuts it already has.

    Args:
        video: any video file, up to an hour.
        shortest_pause_s: shorter silence is rhythm and not listed.
        natural: share of the pauses and fillers that are set to stay, the shortest first, 0 to 1.
        fillers: also look for "uh" and "um".

    Returns:
        duration_s, fps, rows (start_s, end_s, kind, confidence, remove, text) and notes; while it runs, the share done.
    """
    from genkey_core.jumpcut.settings import Settings
    from genkey_core.jumpcut.survey import Surveying

    settings = Settings(shortest_pause_s=shortest_pause_s, natural=natural, fillers=fillers).checked()
    for item in analysed(_needed(video)):
        if isinstance(item, Surveying):
            yield {"share_done": round(item.share, 3)}
            continue
        _, survey = item
        rows = [vars(row) for _, row in survey.proposals(settings)]
        yield {"duration_s": survey.duration_s, "fps": float(survey.fps), "rows": rows, "notes": list(survey.notes)}


@says_mistakes
def jumpcut(
    video: str,
    remove: str = "",
    pauses: bool = True,
    fillers: bool = True,
    shortest_pause_s: float = 0.4,
    padding_s: float = 0.1,
    natural: float = 0.0,
    mode: str = "auto",
    neighbourhood: int = 4,
    n_inserted: int = 6,
    max_side: int = 4096,
    transcript: str | None = None,
):
    """Cut pauses, fillers and chosen ranges out of a talking-head video and hide every cut.

    Args:
        video: any video file, up to an hour.
        remove: ranges such as "remove 3.2 to 4.1 s; keep 70 to 72".
        pauses: whether pauses are removed.
        fillers: whether "uh" and "um" are removed.
        shortest_pause_s: shorter silence stays.
        padding_s: what stays of a pause at each end that meets sound.
        natural: share of the pauses and fillers that stay, the shortest first, 0 to 1.
        mode: auto (blended where it holds up), blended, inserted, punch-in or hard cut, for every cut.
        neighbourhood: frames on each side of a cut that are made anew, for blended.
        n_inserted: new frames at a cut, for inserted.
        max_side: longest side of the result in pixels.
        transcript: a .json with word times, .srt or .vtt: its fillers and repeats are removed too, and captions made.

    Returns:
        The MP4, the cut list as JSON and EDL (and captions), and an object: frames, complete, problem, cuts, seconds,
        notes, recipe; while it runs, the share done.
    """
    from genkey_core.jumpcut.cutlist import parse_ranges
    from genkey_core.jumpcut.job import Step
    from genkey_core.jumpcut.planning import plan
    from genkey_core.jumpcut.settings import Settings
    from genkey_core.jumpcut.subtitles import read_transcript
    from genkey_core.jumpcut.survey import Surveying
    from genkey_core.jumpcut.transcript import rows_of

    path, ranges = _needed(video), parse_ranges(remove) if remove.strip() else ()
    said = read_transcript(transcript) if transcript else None
    settings = Settings(
        shortest_pause_s=shortest_pause_s, natural=natural, fillers=fillers, padding_s=padding_s, mode=mode,
        neighbourhood=neighbourhood, n_inserted=n_inserted, max_side=max_side,
    ).checked()  # fmt: skip
    for item in analysed(path):
        if isinstance(item, Surveying):
            yield None, None, {"analysed": round(item.share, 3)}
        else:
            survey = item[1].with_rows(rows_of(said)) if said else item[1]
    rows = [
        row if pauses or row.kind != "pause" else replace(row, remove=False) for _, row in survey.proposals(settings)
    ]
    job = plan(survey, [*rows, *ranges], settings)
    for item in made(path, job, name=Path(path).name, transcript=said):
        if isinstance(item, Step):
            yield None, None, {"frames_done": item.done, "frames_total": item.total}
        else:
            yield str(item.result.path), [str(file) for file in item.exports], info(item)


def info(done: Made) -> dict:
    """What is told about a result."""
    result = done.result
    return {
        "frames": result.frames,
        "complete": result.complete,
        "problem": result.problem,
        "cuts": [
            {
                "at_s": round(o.cut.at_s, 3), "mode": o.mode, "score": round(o.triage.score, 3),
                "reasons": list(o.triage.reasons),
            }
            for o in result.outcomes
        ],
        "seconds": round(result.elapsed_s, 3),
        "notes": [*result.plan.survey.notes, *done.notes],
        "recipe": result.recipe,
    }  # fmt: skip


def _needed(video: str | None) -> str:
    if not video:
        raise InputError("video: one video file is needed, got none.")
    return video


def build_api() -> None:
    """Register the endpoints /jumpcut and /jumpcut_analyse; their parts are not shown on the page."""
    with gr.Column(visible=False):
        video = gr.File(type="filepath", label="video")
        pause, share = gr.Number(0.4, label="shortest_pause_s"), gr.Number(0.0, label="natural")
        fillers = gr.Checkbox(True, label="fillers")
        inputs = [
            video,
            gr.Textbox("", label="remove"),
            gr.Checkbox(True, label="pauses"),
            fillers,
            pause,
            gr.Number(0.1, label="padding_s"),
            share,
            gr.Dropdown(list(PAGE_MODES), value="auto", label="mode"),
            gr.Number(4, label="neighbourhood", precision=0),
            gr.Number(6, label="n_inserted", precision=0),
            gr.Number(4096, label="max_side", precision=0),
            gr.File(type="filepath", label="transcript"),
        ]
        outputs = [gr.Video(label="video"), gr.File(file_count="multiple", label="files"), gr.JSON(label="info")]
        make, look, found = gr.Button("jumpcut"), gr.Button("jumpcut_analyse"), gr.JSON(label="rows")
    heavy = {"concurrency_id": HEAVY, "concurrency_limit": heavy_jobs()}
    make.click(jumpcut, inputs, outputs, api_name="jumpcut", **heavy)
    look.click(jumpcut_analyse, [video, pause, share, fillers], found, api_name="jumpcut_analyse", **heavy)
