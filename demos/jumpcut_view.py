"""How the Jump cut tab shows things: the timeline, the cuts, progress, and the facts of a result."""

from __future__ import annotations

import html
import secrets
from collections.abc import Sequence

import gradio as gr
import numpy as np

from genkey_core.cost import Cost, duration_text
from genkey_core.jumpcut.fitting import Fitting
from genkey_core.jumpcut.job import Result, Step
from genkey_core.jumpcut.planning import Plan
from genkey_core.jumpcut.recognisers import Fetching
from genkey_core.jumpcut.survey import Survey, Surveying
from genkey_core.jumpcut.transcript import Recognising
from genkey_core.jumpcut.triage import Triage
from genkey_core.media import VideoInfo

from .inbetween_view import data_uri, waiting_line
from .jumpcut_engines import ENGINES

GUIDE = (
    '<div class="gk-guide"><p><b>Clean up a talking-head video, and hide every cut.</b></p><ol>'
    "<li>Drop a video, or take the example, and press Analyse: pauses and fillers are marked over its loudness.</li>"
    "<li>Decide what goes: tick rows, change their times, or type a range. Play it as it will be cut.</li>"
    "<li>Press Smooth. Each cut is bridged by frames made from your own pixels, or cut hard where that would smear.</li>"
    "</ol></div>"
)
MODES = (  # as the page names them
    ("blended where it holds up", "auto"),
    ("blended", "blended"),
    ("inserted frames", "inserted"),
    ("punch-in", "punch-in"),
    ("hard cut", "hard cut"),
)
_BINS = 3000  # of the loudness, at most
_DEPTH_DB = 40.0  # below the loudest, what is still drawn
_QUIET_DB = -40.0  # the loudest counts as at least so loud: silence is drawn as a line
_PREVIEW_WIDTH = 480


def timeline(survey: Survey) -> dict:
    """What the editor draws behind its rows."""
    level = survey.level_db
    if len(level) > _BINS:
        edges = np.linspace(0, len(level), _BINS + 1).astype(int)
        level = np.maximum.reduceat(level, edges[:-1])
    loudest = max(level.max(), _QUIET_DB) if len(level) else _QUIET_DB
    heights = np.clip((level - loudest + _DEPTH_DB) / _DEPTH_DB, 0, 1) * 100
    thumbs = survey.thumbs
    return {
        "serial": secrets.token_hex(4),
        "duration_s": survey.duration_s,
        "level": heights.round().astype(int).tolist(),
        "thumbs": [data_uri(thumb, thumb.shape[1], 70) for thumb in thumbs],
        "ratio": thumbs.shape[2] / thumbs.shape[1],
    }


def cuts_news(job: Plan | None, triage: dict, done: dict, *, fresh: str = "") -> dict:
    """What the table of cuts shows; `triage` and `done` are by a cut's frames."""
    news = {
        "serial": secrets.token_hex(4),
        "modes": [[value, label] for label, value in MODES],
        "engines": [[name, name] for name in ENGINES],
    }
    if fresh:
        news["fresh"] = fresh
    if job is None:
        return {**news, "cuts": []}
    rows = []
    for cut, treatment in zip(job.cuts, job.treatments, strict=True):
        judged: Triage | None = triage.get(cut.key)
        rows.append(
            {
                "last": cut.last,
                "first": cut.first,
                "at_s": round(cut.at_s, 2),
                "removed_s": round(float((cut.first - cut.last - 1) / job.survey.fps), 2),
                "score": None if judged is None else round(judged.score, 2),
                "reason": "" if judged is None else " ".join(judged.reasons),
                "recommended": "" if judged is None else judged.recommended,
                "done": _done(done[cut.key]) if cut.key in done else "",
                "mode": cut.mode,
                "neighbourhood": treatment.neighbourhood,
                "n_inserted": treatment.n_inserted,
            }
        )
    return {**news, "cuts": rows}


def _done(pictures: dict) -> str:
    """What was done at a cut, in the table's words."""
    by = pictures["engine"]
    return pictures["mode"] if by in ("none", "draft") else f"{pictures['mode']} by {by}"


def cut_line(job: Plan, cost: Cost, *, on_zero_gpu: bool) -> str:
    """The line that says what Smooth will do and cost."""
    text = (
        f"{job.size[0]}×{job.size[1]} · {duration_text(job.survey.duration_s)} become {duration_text(job.duration_s)}, "
        f"{len(job.cuts)} {'cut' if len(job.cuts) == 1 else 'cuts'} · {cost.sentence(on_zero_gpu=on_zero_gpu)}"
    )
    by = f" · made by {cost.engine}" if job.engines else ""
    notes = "".join(f"<br>{html.escape(note)}" for note in cost.notes)
    return f'<div class="gk-cost" role="status">{html.escape(text + by)}{notes}</div>'


def dropped_line(name: str, info: VideoInfo, cost: Cost) -> str:
    """The line after a video was dropped: what it is, and what analysing it costs."""
    sound = "with sound" if info.has_audio else "without sound"
    rate = f"{info.fps:.4g} frames/s" + (" (variable, made constant)" if info.is_variable_rate else "")
    return waiting_line(
        f"{name}: {info.width}×{info.height}, {rate}, {duration_text(info.duration_s)}, {sound} · analysing takes about "
        f"{duration_text(cost.seconds)} on this machine"
    )


def surveying(step: Surveying) -> str:
    """The progress of an analysis."""
    words = (
        f"Looking and listening · frame {min(step.frames, step.n_frames):,} of {step.n_frames:,} · "
        f"{duration_text(step.heard_s)} of sound heard"
    )
    return _bar(step.share, words)


def judging(done: int, total: int) -> str:
    """The progress of the triage."""
    return _bar(done / max(1, total), f"Looking at the cuts · {done} of {total}")


def progress(step: Step) -> str:
    """The progress of Smooth, with the cut that has just been finished."""
    n = step.done / max(step.elapsed_s, 1e-6)
    words = f"Frame {step.done:,} of {step.total:,} · {n:.1f} frames/s"
    if step.cut >= 0:
        words += f" · cut {step.cut + 1}"
    if step.said:
        words += f", {step.said}"
    shown = ""
    if step.outcome is not None:
        o = step.outcome
        before, after = (data_uri(image, _PREVIEW_WIDTH) for image in (o.before, o.after))
        shown = (
            '<div class="gk-pair" style="display: grid; grid-template-columns: 1fr 1fr; gap: 6px">'
            f'<figure><img alt="cut {o.cut.number + 1} before" src="{before}"><figcaption>Cut {o.cut.number + 1}, as it was'
            f'</figcaption></figure><figure><img alt="cut {o.cut.number + 1} now" src="{after}">'
            f"<figcaption>{html.escape(o.mode)}, score {100 * o.triage.score:.0f} %</figcaption></figure></div>"
        )
    return _bar(step.done / max(1, step.total), words, shown)


def fitting(step: Fitting) -> str:
    """The progress of a fit, with a frame as it is painted now beside the true one."""
    words = f"Fitting · {step.said}" + ("" if step.loss is None else f" · off by {50 * step.loss:.1f} %")
    shown = ""
    if step.preview is not None:
        picture = data_uri(step.preview, step.preview.shape[1], 80)
        shown = (
            f'<figure style="margin: 6px 0"><img alt="a frame as it is painted now, and as it is" src="{picture}">'
            "<figcaption>painted now | as it is</figcaption></figure>"
        )
    return _bar(step.share, words, shown)


def outcome(result: Result) -> str:
    """The line above the video once it is made."""
    if result.problem:
        return (
            f'<div class="gk-cost gk-refused" role="alert">Stopped after {result.frames:,} frames, which are kept: '
            f"{html.escape(result.problem)}</div>"
        )
    state = "Finished" if result.complete else "Cancelled; this is the part that was done"
    return waiting_line(f"{state}: {result.frames:,} frames in {duration_text(result.elapsed_s)}.")


def facts(result: Result, notes: list[str]) -> str:
    """What was made, and how."""
    job = result.plan
    kinds: dict[str, int] = {}
    for done in result.outcomes:
        kinds[done.mode] = kinds.get(done.mode, 0) + 1
    state = "finished" if result.complete else "stopped" if result.problem else "cancelled, the rest was not made"
    rows = [
        ("State", state),
        ("Video", f"{job.size[0]}×{job.size[1]}, {result.frames:,} frames at {float(job.survey.fps):.4g} fps"),
        ("Removed", f"{duration_text(job.removed_s)} of {duration_text(job.survey.duration_s)}"),
        ("Cuts", ", ".join(f"{n} {mode}" for mode, n in kinds.items()) or "none"),
        ("Engine", _makers(result)),
        ("Made in", f"{duration_text(result.elapsed_s)} ({result.frames / max(result.elapsed_s, 1e-6):.1f} frames/s)"),
        *((f"Cut {o.cut.number + 1}", f"{o.engine}: {o.note}") for o in result.outcomes if o.note),
        *(("Note", note) for note in (*job.survey.notes, *notes)),
    ]
    cells = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in rows)
    return f'<dl class="gk-facts">{cells}</dl>'


def _makers(result: Result) -> str:
    """Which engines made frames, and at how many cuts."""
    made: dict[str, int] = {}
    for done in result.outcomes:
        made[done.engine] = made.get(done.engine, 0) + (done.engine != "none")
    names = [f"{n} {name}" for name, n in made.items() if n]
    only_draft = set(made) <= {"draft", "none"}
    return "draft (real pixels of this video, no model)" if only_draft else ", ".join(names)


def transcribing(step: Fetching | Recognising) -> str:
    """The progress of a transcription."""
    if isinstance(step, Fetching):
        return _bar(0.0, f"Transcribing · {step.said}")
    said = " ".join(word.text for word in step.words)[-80:]
    words = f"Transcribing · {duration_text(step.done_s)} of {duration_text(step.total_s)} · {said}"
    return _bar(step.done_s / max(step.total_s, 1e-6), words)


def notes_line(survey: Survey, more: Sequence[str] = ()) -> str:
    """What an analysis found, what it had to decide, and `more` sentences."""
    counts = {kind: sum(row.kind == kind for row in survey.rows) for kind in ("pause", "filler", "repeat", "shot")}
    names = {
        "pause": "pauses of 0.1 s or more",
        "filler": "fillers",
        "repeat": "repeats",
        "shot": "cuts in the footage",
    }
    found = ", ".join(f"{n} {names[kind]}" for kind, n in counts.items() if n) or "nothing to propose"
    notes = "".join(f"<br>{html.escape(note)}" for note in (*survey.notes, *more))
    return f'<div class="gk-cost" role="status">Analysed: {html.escape(found)}.{notes}</div>'


def comparison(pictures: dict, number: int | None) -> dict:
    """The slider between a cut's middle as it was and as it is."""
    label = f"Cut {number + 1}: as it was | {pictures['mode']}" if number is not None else "as it was | now"
    return gr.ImageSlider((pictures["before"], pictures["after"]), label=label, visible=True)


def _bar(share: float, words: str, below: str = "") -> str:
    return (
        f'<div class="gk-status" role="status"><div class="gk-bar"><i style="width:{100 * share:.1f}%"></i></div>'
        f"<span>{html.escape(words)}</span>{below}</div>"
    )
