"""The jump-cut jobs of the page and of the API: a survey, a finished video with its exports, and what they may cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr

from genkey_core.checks import InputError
from genkey_core.cost import Cost, duration_text, size_text

from .inbetween_view import waiting_line
from .jobs import SessionJobs, job_folder, limits, sweep

SESSIONS = SessionJobs()  # the job of each visitor of the tab
DROPPED = "Cancelled before it began; nothing was made."
FAILED = "Nothing was made; the message says why."
_PREVIEW_EVERY_S = 0.6


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


def queued(request: gr.Request):
    """A job of this visitor begins to wait: outputs for [status, analyse, judge, run, cancel]."""
    if SESSIONS.busy(request.session_hash):
        raise InputError("A job of yours is already at work; wait for it, or cancel it.")
    SESSIONS.begin(request.session_hash)
    off = gr.Button(interactive=False)
    return waiting_line("Waiting for its turn…"), off, off, off, gr.Button(interactive=True)


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


def recognised(path: str, entry, survey, language: str | None, cancelled: Callable[[], bool]) -> Iterator:
    """Transcribe an analysed video; yields Fetching and Recognising and last the Transcript, or none if cancelled.

    Raises InputError where there is nothing to hear, it is over this machine's limits, or its weights cannot be brought.
    """
    from genkey_core.jumpcut import recognisers
    from genkey_core.jumpcut.transcript import Transcript

    if not survey.has_sound:
        raise InputError("there is no sound to listen to.")
    wanted = recognisers.cost(entry, recognisers.seconds_of(survey.sounds))
    check(Cost(0, wanted.seconds, 0 if wanted.on_gpu else wanted.memory_bytes, wanted.download_bytes or 0))
    begun = None
    with closing(recognisers.recognise(entry, path, survey.sounds, language=language)) as work:
        for item in work:
            if isinstance(item, Transcript) and begun is not None:
                recognisers.learn(entry, wanted.seconds, time.perf_counter() - begun)
            yield item
            if cancelled():
                return
            if isinstance(item, recognisers.Fetching):
                begun = time.perf_counter()  # the last one is the loading


class _Cancelled(Exception):
    """The analysis is not wanted any more; what it has written goes."""


def made(
    path: str, job, *, name: str, engines: dict[str, object] | None = None, more_inputs: list[dict] | None = None,
    transcript=None, cancelled: Callable[[], bool] = lambda: False,
) -> Iterator:  # fmt: skip
    """Make a planned cut into a new result folder; yields some Steps, every one with an outcome, and last Made."""
    from genkey_core.jumpcut.estimate import cut_cost, learn
    from genkey_core.jumpcut.job import Result, make

    cost = cut_cost(job, engines)
    check(cost)
    sweep()
    shown = 0.0
    with_engines = {"engines": engines, "more_inputs": more_inputs or ()}
    with job_folder() as folder:
        stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(name).stem)[:60] or "video"
        with closing(
            make(path, folder / f"{stem}-cut.mp4", job, cancelled=cancelled, name=name, **with_engines)
        ) as work:
            for item in work:
                if isinstance(item, Result):
                    result = item
                elif item.outcome is not None or time.perf_counter() - shown > _PREVIEW_EVERY_S:
                    shown = time.perf_counter()
                    yield item
        exports, notes = write_exports(folder, stem, name, job, transcript)
        pictures = {o.cut.key: _pictures(folder, o) for o in result.outcomes}
    if result.complete and not job.engines:  # what samples corrects its estimate by itself
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
    number = outcome.cut.number + 1
    paths = {"before": folder / f"cut-{number}-before.jpg", "after": folder / f"cut-{number}-after.jpg"}
    paths["before"].write_bytes(outcome.before_jpeg)
    paths["after"].write_bytes(outcome.after_jpeg)
    return {
        "mode": outcome.mode,
        "engine": outcome.engine,
        "before": str(paths["before"]),
        "after": str(paths["after"]),
    }
