"""One video that shows the variants of dual-directional sampling side by side (thesis section 5.4, what the rotation does).

Every variant samples between the same two keyframes with the same seed. The clips are shown as the model made them, at
its own number of frames, scaled up and not locked to the keyframes, so that what differs is the method alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from .. import media
from ..checks import InputError, choice, integer, length, number
from .engines import NativeModel, Progress, native_model
from .sampling import VARIANTS
from .settings import Settings

LABELS = {
    "forward": "forward: the start alone",
    "time_reversal": "time reversal, fused",
    "no_rotation": "without rotation",
    "no_finetuning": "rotation, no fine-tuning",
    "dual": "dual: the method",
}
SHOWN = ("forward", "time_reversal", "no_finetuning", "dual")

_PANEL = 256  # height of a panel in pixels, less where it would be wider than _WIDEST
_WIDEST = 640
_ROW = 1600  # width of a row of panels, beyond which they stand in two columns
_GAP, _LABEL, _HEADER = 8, 28, 96  # between panels, height of a label, height of the keyframes above
_BACK, _INK = (24, 26, 30), (235, 235, 230)
_HOLD_S = 0.4  # how long the first and the last frame stand still, each time the clips are played


@dataclass(frozen=True)
class Comparison:
    """The finished video, or, where `complete` is False, one of the variants that were done when it was cancelled."""

    path: Path
    variants: tuple[str, ...]  # in the order shown, row by row
    engine: str
    seed: int
    frames: int
    complete: bool
    elapsed_s: float


def variants_video(
    start: np.ndarray,
    end: np.ndarray,
    path: str | os.PathLike,
    variants: Sequence[str] = SHOWN,
    *,
    settings: Settings | None = None,
    fps: float = 8.0,
    times: int = 3,
    cancelled: Callable[[], bool] = lambda: False,
    make_model: Callable[[str, Settings], NativeModel] = native_model,
) -> Iterator[Progress | Comparison]:
    """Write the video (MP4, H.264) at `path`; yields the Progress of the sampling and last the Comparison.

    start, end  uint8 [H W 3] of one size
    settings    engine (mini, also for auto and draft, or full), seed, preset and memory are taken from them
    fps         frames of the clips shown per second; the clips are played `times` times
    cancelled   asked after each evaluation; the variants that are done then become the video, if there is one

    Closing the generator leaves nothing behind. Raises InputError where a variant cannot run here, before any runs, and
    where it is cancelled before the first one is done.
    """
    began = time.perf_counter()
    settings = (settings or Settings()).checked()
    names = [choice(name, "variant", VARIANTS) for name in variants]
    length(names, "variants", low=1, high=len(VARIANTS))
    if len(set(names)) != len(names):
        raise InputError(f"variants: each one once is needed, got {', '.join(names)}.")
    if start.shape != end.shape:
        raise InputError(f"end: must have the size of start {start.shape[:2]}, got {end.shape[:2]}.")
    number(fps, "fps", low=1, high=60)
    integer(times, "times", low=1, high=20)
    engine = settings.engine if settings.engine == "full" else "mini"
    models = [make_model(engine, replace(settings, engine=engine, variant=name)) for name in names]
    clips: list[np.ndarray] = []
    for name, model in zip(names, models, strict=True):
        for item in model.native(start, end, n_frames=None, seed=settings.seed):
            if isinstance(item, np.ndarray):
                clips.append(item)
            else:
                yield _of_all(item, len(clips), len(names), name)
            if cancelled():
                break
        if len(clips) < len(names) and cancelled():
            break
    if not clips:
        raise InputError("comparison: it was cancelled before the first variant was done; nothing was made.")
    done = names[: len(clips)]
    with media.VideoWriter(path, fps=fps, size=_Sheet(start, len(done)).size) as writer:
        for frame in _frames(start, end, done, clips, fps=fps, times=times):
            writer.write(frame)
        writer.metadata = {"title": f"In-between variants ({engine}, seed {settings.seed}): {', '.join(done)}"}
        n_frames = writer.n_frames
    elapsed_s = time.perf_counter() - began
    yield Comparison(Path(path), tuple(done), engine, settings.seed, n_frames, done == names, elapsed_s)


def _of_all(item: Progress, before: int, of: int, name: str) -> Progress:
    """The Progress of one variant as part of the whole comparison, as if every variant took as many evaluations."""
    note = f"{LABELS[name]}{f' ({item.note})' if item.note else ''}"
    return replace(item, done=before * item.total + item.done, total=of * item.total, note=note)


def _frames(start, end, names: list[str], clips: list[np.ndarray], *, fps: float, times: int) -> Iterator[np.ndarray]:
    """The video's pictures: all clips in step, the ends held, played several times."""
    sheet = _Sheet(start, len(names))
    empty = sheet.empty(start, end, names)
    held = round(_HOLD_S * fps)
    n = max(len(clip) for clip in clips)
    for position in [0.0] * held + list(np.linspace(0, 1, n)) + [1.0] * held:
        sheet.place(empty, [clip[round(position * (len(clip) - 1))] for clip in clips])
        yield empty.copy()
    if times > 1:
        yield from _frames(start, end, names, clips, fps=fps, times=times - 1)


class _Sheet:
    """Where everything stands: the keyframes at the top left and right, below them the labelled panels."""

    def __init__(self, keyframe: np.ndarray, n: int):
        height, width = keyframe.shape[:2]
        scale = min(_PANEL / height, _WIDEST / width)
        self.panel = tuple(max(16, round(side * scale / 2) * 2) for side in (width, height))
        self.columns = n if n * (self.panel[0] + _GAP) <= _ROW else 2
        self.rows = -(-n // self.columns)
        thumb = min(_HEADER / height, self.panel[0] / width)
        self.thumb = tuple(max(8, round(side * thumb / 2) * 2) for side in (width, height))
        self.top = _GAP + self.thumb[1] + _LABEL
        across = max(self.columns * (self.panel[0] + _GAP), 2 * (self.thumb[0] + _GAP)) + _GAP
        self.size = (across, self.top + self.rows * (self.panel[1] + _LABEL + _GAP))

    def corner(self, i: int) -> tuple[int, int]:
        """The top left corner of panel i, x and y."""
        row, column = divmod(i, self.columns)
        return _GAP + column * (self.panel[0] + _GAP), self.top + row * (self.panel[1] + _LABEL + _GAP)

    def empty(self, start: np.ndarray, end: np.ndarray, names: list[str]) -> np.ndarray:
        """The sheet with the keyframes and all labels, and no clips."""
        sheet = np.full((*self.size[::-1], 3), _BACK, np.uint8)
        for picture, x, label in ((start, _GAP, "start"), (end, self.size[0] - _GAP - self.thumb[0], "end")):
            _paste(sheet, picture, (x, _GAP), self.thumb)
            _write(sheet, label, (x, _GAP + self.thumb[1]), self.thumb[0])
        for i, name in enumerate(names):
            x, y = self.corner(i)
            _write(sheet, LABELS[name], (x, y + self.panel[1]), self.panel[0])
        return sheet

    def place(self, sheet: np.ndarray, pictures: list[np.ndarray]) -> None:
        """Put one picture into each panel."""
        for i, picture in enumerate(pictures):
            _paste(sheet, picture, self.corner(i), self.panel)


def _paste(sheet: np.ndarray, picture: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> None:
    smaller = size[0] < picture.shape[1]
    x, y = corner
    sheet[y : y + size[1], x : x + size[0]] = cv2.resize(
        picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    )


def _write(sheet: np.ndarray, text: str, corner: tuple[int, int], width: int) -> None:
    """A line of text below `corner`, shrunk to `width` pixels where it is longer."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    scale *= min(1.0, (width - 2) / cv2.getTextSize(text, font, scale, 1)[0][0])
    cv2.putText(sheet, text, (corner[0], corner[1] + 19), font, scale, _INK, 1, cv2.LINE_AA)
