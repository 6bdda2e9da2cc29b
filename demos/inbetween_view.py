"""How the Inbetween tab shows things: the cost line, the progress, the facts of a result and the spacing chart."""

from __future__ import annotations

import base64
import html

import cv2
import gradio as gr
import numpy as np

from genkey_core.cost import Cost, duration_text
from genkey_core.inbetween.compare import Comparison
from genkey_core.inbetween.engines import Progress
from genkey_core.inbetween.job import Result, Step
from genkey_core.inbetween.sampling import VARIANTS
from genkey_core.timing import Timeline

from .inbetween_compare import recipe_of

_PREVIEW_WIDTH = 640
_MOST_DOTS = 400
GUIDE = (
    '<div class="gk-guide"><p><b>Two or more images become a video.</b></p><ol>'
    "<li>Drop your keyframes and put them in order: drag them, or use their buttons.</li>"
    "<li>Set how long each gap moves, and with which easing; click a gap to set it alone.</li>"
    "<li>Press Run. The video appears here, with its frames and its recipe.</li></ol>"
    "<p>The <i>draft</i> engine follows the motion between your images at full resolution, on any machine.</p></div>"
)


def cost_line(cost: Cost, size: tuple[int, int], timeline: Timeline, *, on_zero_gpu: bool, notes: list[str]) -> str:
    """The line under the settings that says what Run will cost."""
    text = (
        f"{size[0]}×{size[1]}, {duration_text(timeline.duration_s)} of video · {cost.sentence(on_zero_gpu=on_zero_gpu)}"
    )
    notes = [*cost.notes, *notes]
    extra = "".join(f"<br>{html.escape(note)}" for note in notes)
    return f'<div class="gk-cost" role="status">{html.escape(text)}{extra}</div>'


def refused_line(message: str) -> str:
    """The same line where the job cannot run as it is set."""
    return f'<div class="gk-cost gk-refused" role="alert">{html.escape(message)}</div>'


def waiting_line(message: str) -> str:
    """The same line before there is anything to cost."""
    return f'<div class="gk-cost" role="status">{html.escape(message)}</div>'


def progress(step: Step | Progress) -> str:
    """A progress bar, the pace and the newest frame; or how far an engine is before its first one."""
    if isinstance(step, Progress):
        return sampling(step)
    rate = step.done / max(step.elapsed_s, 1e-6)
    left = duration_text((step.total - step.done) / rate)
    share = 100 * step.done / step.total
    return (
        f'<div class="gk-status" role="status"><div class="gk-bar"><i style="width:{share:.1f}%"></i></div>'
        f"<span>Frame {step.done} of {step.total} · {rate:.1f} frames/s · about {left} left</span>"
        f'<img alt="frame {step.done}" src="{data_uri(step.image, _PREVIEW_WIDTH)}"></div>'
    )


def sampling(step: Progress) -> str:
    """How far the clip of one gap is, and what it will look like as far as it is known."""
    share = 100 * step.done / max(step.total, 1)
    said = f"Sampling · {step.done} of {step.total} passes of the network" if step.total else "Getting ready"
    words = f"{said} · {html.escape(step.note)}" if step.note else said
    size = _PREVIEW_WIDTH if step.preview is None else min(_PREVIEW_WIDTH, 8 * step.preview.shape[1])
    preview = (
        ""
        if step.preview is None
        else f'<img class="gk-foreseen" width="{size}" alt="the clip as foreseen" src="{data_uri(step.preview, _PREVIEW_WIDTH)}">'
    )
    return (
        f'<div class="gk-status" role="status"><div class="gk-bar"><i style="width:{share:.1f}%"></i></div>'
        f"<span>{words}</span>{preview}</div>"
    )


def shown(result: Result | Comparison) -> tuple:
    """What a finished job fills [status, video, facts, archive, gallery, recipe] with."""
    video = gr.Video(str(result.path), visible=True)
    if isinstance(result, Comparison):
        done = waiting_line(f"Finished: {len(result.variants)} variants in {duration_text(result.elapsed_s)}.")
        words = gr.HTML(comparison_facts(result), visible=True)
        return done, video, words, gr.File(None, visible=False), gr.Gallery(None, visible=False), recipe_of(result)
    archive = gr.File(str(result.zip_path) if result.zip_path else None, visible=result.zip_path is not None)
    pictures = gr.Gallery(gallery(result), visible=True)
    return outcome(result), video, gr.HTML(facts(result), visible=True), archive, pictures, result.recipe


def comparison_facts(result: Comparison) -> str:
    """Which variants stand in the video, and what each of them does."""
    rows = [("State", "finished" if result.complete else "cancelled; these variants were done")]
    rows += [("Engine", result.engine), ("Seed", f"{result.seed}, the same for each")]
    return _list(rows + [(name.replace("_", " "), VARIANTS[name]) for name in result.variants])


def outcome(result: Result) -> str:
    """The line above the video once it is made."""
    if result.problem:
        return refused_line(f"Stopped after {result.frames} frames, which are kept: {result.problem}")
    state = "Finished" if result.complete else "Cancelled; this is the part that was done"
    return waiting_line(f"{state}: {result.frames} frames in {duration_text(result.elapsed_s)}.")


def facts(result: Result) -> str:
    """What was made, and how: honest numbers under the video."""
    output, settings = result.recipe["output"], result.recipe["settings"]
    drawn = _sampling(result.engine, settings)
    drift = "no in-betweens" if result.drift is None else f"mean ΔE {result.drift:.2f} (about 1 is just visible)"
    rows = [
        (
            "State",
            "finished" if result.complete else "stopped" if result.problem else "cancelled, the rest was not made",
        ),
        ("Engine", result.engine),
        ("Video", f"{output['width']}×{output['height']}, {result.frames} frames at {settings['fps']:g} fps"),
        ("Made in", f"{duration_text(result.elapsed_s)} ({result.frames / max(result.elapsed_s, 1e-6):.1f} frames/s)"),
        ("Colour drift", drift),
        ("Seed", f"{result.recipe['seed']}" + (" (this engine draws nothing at random)" if drawn is None else "")),
    ]
    if drawn is not None:
        rows.append(("Sampling", drawn))
    rows += [("Problem", result.problem)] if result.problem else []
    rows += [("Note", note) for note in result.notes]
    return _list(rows)


def _sampling(engine: str, settings: dict) -> str | None:
    """How a learned engine sampled, in words; None for one that does not."""
    if engine == "draft":
        return None
    if engine in ("mini", "full"):
        return f"{settings['preset']}, variant {settings['variant'].replace('_', ' ')}"
    return f"{settings['preset']}, prompt “{settings['prompt']}”" if settings["prompt"] else settings["preset"]


def gallery(result: Result) -> list[tuple[np.ndarray, str]]:
    """Some of the frames with their number and time, as the gallery takes them."""
    fps = result.recipe["settings"]["fps"]
    return [(image, f"{number} · {number / fps:.2f} s") for number, image in result.gallery]


def _list(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in rows)
    return f'<dl class="gk-facts">{cells}</dl>'


def data_uri(image: np.ndarray, width: int, quality: int = 80) -> str:
    """A small JPEG of a frame, inline, so that previews leave no files behind."""
    scale = min(1.0, width / image.shape[1])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, packed = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return "data:image/jpeg;base64," + base64.b64encode(packed).decode()


def spacing_chart(timeline: Timeline) -> str:
    """The spacing chart of Fig. 2.3: position over time, one dot per frame, and the same dots along the way.

    Denser dots are slower motion. Drawn as SVG, so that it is sharp at any size and can be read by a screen reader.
    """
    width, height, left, bottom = 480, 170, 40, 26
    position, n = timeline.travelled, len(timeline)
    top = max(1.0, float(position.max()))
    duration = max(timeline.duration_s, 1e-9)
    keep = np.unique(np.linspace(0, n - 1, min(n, _MOST_DOTS)).round().astype(int))
    x = left + (width - left - 12) * keep / max(n - 1, 1)
    y = 12 + (height - 24) * (1 - position[keep] / top)
    dots = "".join(f'<circle class="dot" cx="{a:.1f}" cy="{b:.1f}" r="2"/>' for a, b in zip(x, y, strict=True))
    way = "".join(f'<circle class="pair" cx="{left - 10}" cy="{b:.1f}" r="2"/>' for b in y)
    lines, labels = [], []
    for k, frame in enumerate(timeline.keyframe_frames):
        kx = left + (width - left - 12) * frame / max(n - 1, 1)
        ky = 12 + (height - 24) * (1 - k / top)
        lines.append(f'<path class="key" d="M{kx:.1f} 12V{height - 12}M{left} {ky:.1f}H{width - 12}"/>')
        labels.append(f'<text x="{left - 20}" y="{ky + 4:.1f}" text-anchor="end">{k + 1}</text>')
    ticks = "".join(
        f'<text x="{left + (width - left - 12) * q:.0f}" y="{height + bottom - 12}" text-anchor="{anchor}">'
        f"{q * (n - 1) / timeline.fps:.2f} s</text>"
        for q, anchor in ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1, "end"))
    )
    return (
        '<div class="gk-chart"><p><b>Spacing</b> · position over time, one dot per frame; denser dots are slower</p>'
        f'<svg viewBox="0 0 {width} {height + bottom}" role="img" '
        f'aria-label="Spacing chart: position over time, {n} frames in {duration:.2f} seconds">'
        f"{''.join(lines)}{dots}{way}{''.join(labels)}{ticks}</svg></div>"
    )
