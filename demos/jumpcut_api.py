"""The jump-cut jobs over HTTP and as MCP tools: the page's, with named and typed parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr

from genkey_core.checks import InputError, choice
from genkey_core.jumpcut.recognisers import check

from .jobs import HEAVY, heavy_jobs, says_mistakes
from .jumpcut_engines import ENGINES, check_ready, engines_for, inputs_of, network_folder
from .jumpcut_fit import build_fit_api
from .jumpcut_work import Made, analysed, made, recognised

PAGE_MODES = ("auto", "blended", "inserted", "punch-in", "hard cut")


@says_mistakes
def jumpcut_analyse(
    video: str,
    shortest_pause_s: float = 0.4,
    natural: float = 0.0,
    fillers: bool = True,
    recogniser: str = "none",
    language: str = "",
):
    """Find what could be cut out of a talking-head video: pauses, filled pauses, and the cuts it already has.

    Args:
        video: any video file, up to an hour.
        shortest_pause_s: shorter silence is rhythm and not listed.
        natural: share of the pauses and fillers that are set to stay, the shortest first, 0 to 1.
        fillers: also look for "uh" and "um".
        recogniser: none, whisper-small or whisper-turbo, or a Whisper of the Hub as owner/name@commit: finds repeated words
            and what was said. Its weights are fetched the first time.
        language: of the speech, two letters; nothing hears it.

    Returns:
        duration_s, fps, rows (start_s, end_s, kind, confidence, remove, text), words (start_s, end_s, text, confidence)
        and notes; while it runs, the share done.
    """
    from genkey_core.jumpcut.settings import Settings
    from genkey_core.jumpcut.survey import Surveying

    settings = Settings(shortest_pause_s=shortest_pause_s, natural=natural, fillers=fillers).checked()
    path, entry = _needed(video), check(recogniser, language)
    for item in analysed(path):
        if isinstance(item, Surveying):
            yield {"share_done": round(item.share, 3)}
        else:
            survey = item[1]
    said, notes = yield from _said(path, survey, entry, language, lambda word: {"doing": word})
    survey = survey.with_transcript(said) if said else survey
    yield {
        "duration_s": survey.duration_s,
        "fps": float(survey.fps),
        "rows": [vars(row) for _, row in survey.proposals(settings)],
        "words": [vars(word) for word in said.words] if said else [],
        "notes": [*survey.notes, *notes],
    }


def _said(path: str, survey, entry, language: str, shown: Callable[[str], object]) -> Iterator:
    """The transcript where a recogniser is wanted and can be had, and notes; yields what it does, as `shown` makes it."""
    from genkey_core.jumpcut.recognisers import Fetching, checked_language
    from genkey_core.jumpcut.transcript import Transcript

    if entry is None:
        return None, []
    try:
        for item in recognised(path, entry, survey, checked_language(language), lambda: False):
            if isinstance(item, Transcript):
                return item, list(item.notes)
            yield shown(item.said if isinstance(item, Fetching) else f"transcribed {item.done_s:.0f} s")
    except InputError as error:
        return None, [f"There is no transcript: {error}"]
    return None, []


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
    recogniser: str = "none",
    language: str = "",
    engine: str = "draft",
    body_map: str | None = None,
    densepose: bool = False,
    fitted: str | None = None,
    seed: int = 0,
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
        recogniser: without a transcript: none, whisper-small or whisper-turbo, or a Whisper of the Hub as
            owner/name@commit, to make one.
        language: of the speech, two letters; nothing hears it.
        engine: draft (this video's own pixels), mini or learned (the network of chapter 4; they need a body map), or
            svd-mini, svd, wan or ltx (a video model's clip across each cut).
        body_map: for mini and learned: an .npz with iuv, uint8 [T h w 3], and perhaps landmarks [T L 3] and fps.
        densepose: without a body_map: find it by DensePose, which is fetched the first time.
        fitted: for learned: the model.safetensors that jumpcut_fit gave.
        seed: the engines' random code.

    Returns:
        The MP4, the cut list as JSON and EDL (and captions), and an object: frames, complete, problem, cuts, seconds,
        notes, recipe; while it runs, the share done.
    """
    from genkey_core.jumpcut.cutlist import parse_ranges
    from genkey_core.jumpcut.planning import plan
    from genkey_core.jumpcut.settings import Settings
    from genkey_core.jumpcut.subtitles import read_transcript
    from genkey_core.jumpcut.survey import Surveying

    path, ranges = _needed(video), parse_ranges(remove) if remove.strip() else ()
    said = read_transcript(transcript) if transcript else None
    entry = None if said else check(recogniser, language)
    settings = Settings(
        shortest_pause_s=shortest_pause_s, natural=natural, fillers=fillers, padding_s=padding_s, mode=mode,
        neighbourhood=neighbourhood, n_inserted=n_inserted, max_side=max_side, engine=engine, seed=seed,
    ).checked()  # fmt: skip
    check_ready(
        choice(engine, "engine", ENGINES), seed=settings.seed, body=body_map, densepose=densepose, fitted=fitted
    )
    for item in analysed(path):
        if isinstance(item, Surveying):
            yield None, None, {"analysed": round(item.share, 3)}
        else:
            survey = item[1]
    heard, notes = yield from _said(path, survey, entry, language, lambda word: (None, None, {"doing": word}))
    said = said or heard
    survey = survey.with_transcript(said) if said else survey
    survey = replace(survey, notes=(*survey.notes, *notes))
    rows = [
        row if pauses or row.kind != "pause" else replace(row, remove=False) for _, row in survey.proposals(settings)
    ]
    job = plan(survey, [*rows, *ranges], settings, engines=ENGINES)
    with network_folder(fitted) as folder:
        engines = engines_for(job, body=body_map, densepose=densepose, fitted=folder)
        beside = inputs_of(job, body=body_map, fitted=folder)
        yield from _made_over_http(
            made(path, job, name=Path(path).name, engines=engines, more_inputs=beside, transcript=said)
        )


def _made_over_http(work: Iterator) -> Iterator[tuple]:
    from genkey_core.jumpcut.job import Step

    for item in work:
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
                "at_s": round(o.cut.at_s, 3), "mode": o.mode, "engine": o.engine, "note": o.note,
                "score": round(o.triage.score, 3),
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
        recogniser, language = gr.Textbox("none", label="recogniser"), gr.Textbox("", label="language")
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
            recogniser,
            language,
            gr.Dropdown(list(ENGINES), value="draft", label="engine"),
            gr.File(type="filepath", label="body_map"),
            gr.Checkbox(False, label="densepose"),
            gr.File(type="filepath", label="fitted"),
            gr.Number(0, label="seed", precision=0),
        ]
        outputs = [gr.Video(label="video"), gr.File(file_count="multiple", label="files"), gr.JSON(label="info")]
        make, look, found = gr.Button("jumpcut"), gr.Button("jumpcut_analyse"), gr.JSON(label="rows")
    heavy = {"concurrency_id": HEAVY, "concurrency_limit": heavy_jobs()}
    make.click(jumpcut, inputs, outputs, api_name="jumpcut", **heavy)
    look.click(
        jumpcut_analyse,
        [video, pause, share, fillers, recogniser, language],
        found,
        api_name="jumpcut_analyse",
        **heavy,
    )
    build_fit_api()
