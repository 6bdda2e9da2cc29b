"""How the Powers of ten tab shows things: the cost line, progress with all levels, the facts of a result."""

from __future__ import annotations

import html
from pathlib import Path

import cv2
import numpy as np

from genkey_core.cost import Cost, duration_text

from .inbetween_view import data_uri, refused_line, waiting_line
from .zoom_state import Project, size_text
from .zoom_work import MadeStack

_CELL, _COLUMNS = 192, 4  # of the sheet of levels: side in pixels, and how many stand in a row
GUIDE = (
    '<div class="gk-guide"><p><b>A zoom through scales: a stack of pictures that agree, a video, and a viewer.</b></p><ol>'
    "<li>Say what is seen at each scale, from wide to close; or drop photos of one thing from ever closer.</li>"
    "<li>Set how the camera goes; the line above says what it costs.</li>"
    "<li>Press Run. The viewer, which you zoom with the wheel, the video and the files appear here.</li></ol>"
    "<p><i>Own images</i> need no model: they are aligned and blended at their full size, on any machine.</p></div>"
)


def cost_line(project: Project, cost: Cost, *, on_zero_gpu: bool) -> str:
    """The line that says what Run will make and cost, with what should be known of the prompts before."""
    length = duration_text(cost.frames / project.journey.fps)
    first = f"{cost.engine} · {length} of video at {size_text(project.journey.size)} · "
    return _lines(first + cost.sentence(on_zero_gpu=on_zero_gpu), *cost.notes)


def _lines(first: str, *more: str) -> str:
    extra = "".join(f"<br>{html.escape(note)}" for note in more)
    return f'<div class="gk-cost" role="status">{html.escape(first)}{extra}</div>'


def progress(step: object) -> str:
    """How far a job is: sampling with all levels as foreseen, the alignment of images, or the video."""
    if hasattr(step, "renderer"):
        done, words = step.index + 1, f"Frame {step.index + 1} of {step.total} of the video"
        return _bar(done, step.total, words, step.image, "the newest frame")
    if hasattr(step, "previews"):
        words = f"Step {step.done} of {step.total}" + (f" · {step.note}" if step.note else "")
        if step.done and step.done < step.total and not step.note:
            words += f" · about {duration_text(step.elapsed_s / step.done * (step.total - step.done))} left"
        sheet = None if step.previews is None else sheet_of(step.previews)
        return _bar(step.done, step.total, words, sheet, "all levels as they are foreseen, the widest first")
    return _bar(step.done, step.total, step.note[:1].upper() + step.note[1:])


def _bar(done: int, total: int, words: str, image: np.ndarray | None = None, alt: str = "") -> str:
    share = 100 * done / max(total, 1)
    picture = "" if image is None else f'<img alt="{alt}" src="{data_uri(image, _CELL * _COLUMNS)}">'
    return (
        f'<div class="gk-status" role="status"><div class="gk-bar"><i style="width:{share:.1f}%"></i></div>'
        f"<span>{html.escape(words)}</span>{picture}</div>"
    )


def sheet_of(levels: np.ndarray) -> np.ndarray:
    """All levels uint8 [N h w 3] in one picture, row by row."""
    cells = [cv2.resize(level, (_CELL, _CELL), interpolation=cv2.INTER_CUBIC) for level in levels]
    columns = min(_COLUMNS, len(cells))
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)])


def thumbnails(paths: list[str]) -> tuple[str, list[str], list[str]]:
    """The pictures that can be used, small, as HTML; their paths; and a sentence for each that cannot."""
    from genkey_core import media
    from genkey_core.checks import InputError

    cells, good, refused = [], [], []
    for path in paths:
        try:
            image = media.load_image(path, background=(128, 128, 128))
        except InputError as error:
            refused.append(str(error))
            continue
        good.append(path)
        name = html.escape(Path(path).name)
        size = f"{image.shape[1]}×{image.shape[0]}"
        cells.append(
            f'<figure><img alt="" src="{data_uri(image, 160, 70)}"><figcaption>{name}<br>{size}</figcaption></figure>'
        )
    return f'<div class="gk-thumbs">{"".join(cells)}</div>' if cells else "", good, refused


def outcome(made: MadeStack, film: object = None) -> str:
    """The line above the viewer once a job has ended."""
    if made.problem:
        return refused_line(f"Stopped early; the levels as last foreseen are kept: {made.problem}")
    if not made.complete:
        return waiting_line("Cancelled; these are the levels as they were foreseen. Press Video only to film them.")
    if film is None:
        return waiting_line("The levels are finished; there is no video of them yet.")
    state = "Finished" if film.complete else "Cancelled; this is the part of the video that was done"
    took = f"{duration_text(film.elapsed_s)}, the levels before in {duration_text(made.elapsed_s)}"
    return waiting_line(f"{state}: {film.frames} frames in {took}.")


def facts(made: MadeStack, film: object = None) -> str:
    """What was made, and how."""
    recipe = made.recipe
    settings, levels = recipe["settings"], len(made.placements)
    state = "finished" if made.complete else "stopped" if made.problem else "cancelled: as foreseen, not finished"
    rows = [("State", state), ("Engine", recipe["engine"])]
    rows.append(
        (
            "Levels",
            f"{levels}, the last {made.magnification:,.4g} times closer; made in {duration_text(made.elapsed_s)}",
        )
    )
    if film is not None:
        output = film.recipe["output"]
        rows.append(
            ("Video", f"{output['width']}×{output['height']}, {film.frames} frames at {output['fps']:g} fps, made in "
             f"{duration_text(film.elapsed_s)} ({film.frames / max(film.elapsed_s, 1e-6):.0f} frames/s)")
        )  # fmt: skip
    if recipe["seed"] is not None:
        rows.append(("Seed", str(recipe["seed"])))
        rows.append(("Sampling", f"{settings['preset']}, variant {settings['variant'].replace('_', ' ')}"))
    rows += [("Problem", made.problem)] if made.problem else []
    rows += [("Note", note) for note in made.notes]
    cells = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in rows)
    return f'<dl class="gk-facts">{cells}</dl>'


__all__ = ["GUIDE", "cost_line", "facts", "outcome", "progress", "refused_line", "thumbnails", "waiting_line"]
