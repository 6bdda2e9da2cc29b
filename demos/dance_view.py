"""How the Animal dance tab shows things: keyframes, beats over the waveform, the pattern, solutions, progress and facts."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from genkey_core.checks import shown
from genkey_core.cost import Cost, duration_text
from genkey_core.dance.beats import Beats
from genkey_core.dance.followed import Followed
from genkey_core.dance.graph import Dance, keyframe_name
from genkey_core.dance.grid import GridStep
from genkey_core.dance.job import Chosen, Result, Step
from genkey_core.dance.patterns import Pattern
from genkey_core.dance.planning import Plan
from genkey_core.dance.settings import Settings, keyframe_of, pins_of, words_of
from genkey_core.dance.timeline_picture import label_colour, thumbnails

from .dance_state import serial
from .inbetween_view import data_uri, refused_line, waiting_line

GUIDE = (
    '<div class="gk-guide"><p><b>A few pictures of an animal dance to your song.</b></p><ol>'
    "<li>Drop 3 to 12 pictures of one subject before one background, a grid of them, or a video of it.</li>"
    "<li>Drop a song. Check its beats: hear them with clicks, and say where the first bar begins.</li>"
    "<li>Type a choreography, or drop a dancer to follow, and press Run.</li></ol></div>"
)
_MASKS = {"plate": "the background plate", "sam2": "SAM 2"}
_BINS = 1200
_PREVIEW_WIDTH = 480


def poses_news(images: Sequence[np.ndarray] = (), notes: tuple[str, ...] = ()) -> dict:
    """What the row of keyframes shows."""
    return {"serial": serial(), "images": [data_uri(image, 160, 75) for image in images], "words": list(notes)}


def wishes_news(pattern: Pattern, settings: Settings, n_poses: int) -> dict:
    """The wishes as the row of keyframes shows them; raises InputError where their text cannot be read."""
    pins = pins_of(settings.pins, n_poses)
    names = [keyframe_name(k, 2 * n_poses) for k in range(2 * n_poses)]
    return {
        "serial": serial(),
        "labels": [str(label) for label in pattern.distinct],
        "colours": _colours(pattern),
        "pins": {label: [f"{names[u]}>{names[v]}" for u, v in pairs] for label, pairs in pins.items()},
        "ends": words_of(settings.mirrored_ends),
        "never": [names[keyframe_of(word, n_poses, "never")] for word in words_of(settings.never)],
    }


def song_news(address: str, beats: Beats, *, start_s: float, end_s: float, clicks: str = "") -> dict:
    """What the song's picture shows: its onsets, its beats, and the part that is danced."""
    envelope = beats.onset_envelope
    edges = np.linspace(0, len(envelope), min(_BINS, len(envelope)) + 1).astype(int)
    level = np.maximum.reduceat(envelope, edges[:-1]) if len(envelope) else np.zeros(1)
    level = 100 * level / max(float(level.max()), 1e-9)
    return {
        "serial": serial(),
        "src": address,
        "clicks": clicks,
        "duration_s": round(beats.duration_s, 3),
        "level": level.round().astype(int).tolist(),
        "beats": [
            [round(float(t), 3), int(place)] for t, place in zip(beats.beat_times_s, beats.bar_places, strict=True)
        ],
        "first": beats.first_downbeat,
        "start_s": start_s,
        "end_s": round(end_s, 3),
        "words": beats_words(beats),
    }


def beats_words(beats: Beats) -> str:
    """The line under the song's picture."""
    words = f"{len(beats.beat_times_s)} beats, {beats.tempo_bpm:.1f} bpm, {beats.beats_per_bar}/4"
    error = beats.grid_error_ms
    if error is not None:
        words += f" · off their onsets by {error[0]:.0f} ms in the middle, {error[1]:.0f} ms at most"
    return " · ".join([words, *beats.notes])


def steps_news(pattern: Pattern, followed: dict | None = None) -> dict:
    """What the coloured timeline shows; `followed` holds the figures of a dancer that was read."""
    return {
        "serial": serial(),
        "labels": [str(label) for label in pattern.labels],
        "colours": _colours(pattern),
        "figures": (followed or {}).get("figures", {}),
        "words": pattern.described(),
    }


def _colours(pattern: Pattern) -> dict[str, str]:
    bases = list(dict.fromkeys(label.base for label in pattern.labels))
    return {str(label): "rgb({},{},{})".format(*label_colour(label, bases)) for label in pattern.distinct}


def figures_of(followed: Followed) -> dict:
    """The figures of a dancer as small moving pictures, inline."""
    return {"figures": {label: _moving(frames, followed.fps) for label, frames in followed.figures.items()}}


def _moving(frames: np.ndarray, fps: float) -> str:
    first, *rest = [Image.fromarray(frame) for frame in frames]
    packed = io.BytesIO()
    first.save(
        packed, "WEBP", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, quality=70, method=2
    )
    return "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode()


def cost_line(job: Plan, cost: Cost, *, on_zero_gpu: bool) -> str:
    """The line that says what Run will make and cost."""
    text = (
        f"{job.size[0]}×{job.size[1]} · {duration_text(job.end_s - job.start_s)} of the song, {len(job.pattern)} segments"
        f" · {cost.sentence(on_zero_gpu=on_zero_gpu)}"
    )
    notes = "".join(f"<br>{html.escape(note)}" for note in (*cost.notes, *job.notes))
    return f'<div class="gk-cost" role="status">{html.escape(text)}{notes}</div>'


def solution_name(number: int, dance: Dance) -> str:
    """A solution as the list to choose from names it."""
    proof = "proven best" if dance.proven else f"at most {100 * dance.gap:.0f} % from the best"
    return (
        f"{number}: transitions of {dance.cost:.0f} px, {proof if number == 1 else proof.replace('best', 'next best')}"
    )


def solutions(chosen: Chosen) -> str:
    """Every solution with the keyframes of each label."""
    small = [data_uri(image, 96, 75) for image in thumbnails(chosen.stage, 96)]
    n, rows = len(small), []
    for number, dance in enumerate(chosen.dances, 1):
        cells = "".join(
            f'<figure><span><img alt="keyframe {keyframe_name(u, n)}" src="{small[u]}">'
            f'<img alt="keyframe {keyframe_name(v, n)}" src="{small[v]}"></span>'
            f"<figcaption><b>{html.escape(str(label))}</b> {keyframe_name(u, n)}&gt;{keyframe_name(v, n)} "
            f"{_pin(str(label), keyframe_name(u, n), keyframe_name(v, n))}</figcaption></figure>"
            for label, (u, v) in dance.pairs.items()
        )
        rows.append(f"<li><p>{html.escape(solution_name(number, dance))}</p><div>{cells}</div></li>")
    return f'<ol class="gk-dances">{"".join(rows)}</ol>'


def _pin(label: str, start: str, end: str) -> str:
    """A button by which the row of keyframes pins a pair (dance_poses.js)."""
    told = html.escape(f"{label} {start}>{end}")
    return f'<button type="button" data-gk-pin="{told}" aria-label="Pin this: {told}">Pin this</button>'


def progress(step: Step) -> str:
    """A bar, the segment and the newest frame."""
    words = f"Frame {step.done:,} of {step.total:,}"
    if step.segment >= 0:
        words += f" · segment {step.segment + 1}"
    if step.said:
        words += f" · {step.said}"
    picture = (
        "" if step.image is None else f'<img alt="frame {step.done}" src="{data_uri(step.image, _PREVIEW_WIDTH)}">'
    )
    return (
        f'<div class="gk-status" role="status"><div class="gk-bar"><i style="width:{100 * step.done / step.total:.1f}%"></i>'
        f"</div><span>{html.escape(words)}</span>{picture}</div>"
    )


def grid_progress(step: GridStep) -> str:
    """A bar, and what the model is doing."""
    share = 100 * step.done / step.total
    return (
        f'<div class="gk-status" role="status"><div class="gk-bar"><i style="width:{share:.1f}%"></i></div>'
        f"<span>{html.escape(step.said)}, step {step.done} of {step.total}</span></div>"
    )


def outcome(result: Result) -> str:
    """The line above the video once it is made."""
    if result.problem:
        return refused_line(f"Stopped after {result.frames} frames, which are kept: {result.problem}")
    state = "Finished" if result.complete else "Cancelled; this is the part that was done"
    return waiting_line(f"{state}: {result.frames} frames in {duration_text(result.elapsed_s)}.")


def facts(result: Result) -> str:
    """What was made, and how."""
    job, dance = result.plan, result.dance
    state = "finished" if result.complete else "stopped" if result.problem else "cancelled, the rest was not made"
    proof = "proven optimal" if dance.proven else f"a bound of {dance.bound:.1f} px was reached"
    rows = [
        ("State", state),
        ("Video", f"{job.size[0]}×{job.size[1]}, {result.frames:,} frames at {job.settings.fps:g} fps"),
        ("Pattern", str(job.pattern)),
        ("Dance", f"number {job.settings.solution}, transitions of {dance.cost:.1f} px, {proof}"),
        ("Beats", f"{len(result.beat_frames)} of {len(dance.path)} keyframes on their beats"),
        ("Mirrors", f"{job.settings.mirrors}, the subject told by {_MASKS[job.settings.masks]}"),
        ("Engine", f"{job.settings.engine}, {result.made_pairs} pairs of keyframes rendered anew"),
        ("Made in", duration_text(result.elapsed_s)),
        *(("Note", note) for note in result.notes),
    ]
    cells = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in rows)
    return f'<dl class="gk-facts">{cells}</dl>'


def file_stem(name: str) -> str:
    """A name for the result's files, from the song's."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in shown(name, 60).strip("'…"))[:60] or "dance"
