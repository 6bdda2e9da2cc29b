"""Keyframes from a prompt: one picture that is a grid of poses, drawn and cut (thesis section 7.3.1), also after a template grid
whose poses another subject mimics (section 7.3.4).

What draws is a callable; the models are read in `grid_models.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from ..checks import InputError, integer, shown
from ..worker import Reporter, streamed
from .keyframes import LEAST, MOST, cut_grid, grid_layout
from .settings import MAX_SEED, words

LAYOUTS = {3: (1, 3), 4: (2, 2), 6: (2, 3), 8: (2, 4), 9: (3, 3), 12: (3, 4)}  # poses -> (rows, columns)
PIXELS = 1536 * 1024  # of a grid
_UNIT = 16
_ASPECT = 16 / 9  # of a pose: what dances are made at


@dataclass(frozen=True)
class GridOptions:
    """What a grid shows; the subject and the background as in the middle of a sentence."""

    subject: str = "a marmot"
    background: str = "the wild alpine landscape"
    poses: int = 6
    steps: int = 28  # of sampling
    seed: int = 0
    pixels: int = PIXELS

    def __post_init__(self):
        words(self.subject, "subject")
        words(self.background, "background")
        if self.poses not in LAYOUTS:
            raise InputError(f"poses: one of {', '.join(map(str, LAYOUTS))} is needed, got {shown(self.poses)}.")
        integer(self.steps, "steps", low=1, high=1000)
        integer(self.seed, "seed", low=0, high=MAX_SEED)
        integer(self.pixels, "pixels", low=64 * 64)


@dataclass(frozen=True)
class GridStep:
    """Progress: steps of sampling; with the last one the grid and what it was cut into."""

    done: int
    total: int
    said: str = "drawing the grid"
    grid: np.ndarray | None = None  # uint8 [H W 3]
    keyframes: tuple[np.ndarray, ...] = ()
    notes: tuple[str, ...] = ()


class GridPainter(Protocol):
    """Draws one picture for a prompt; `template` uint8 [H W 3] of the same size is a picture to go by, or None."""

    def __call__(
        self,
        prompt: str,
        *,
        size: tuple[int, int],
        steps: int,
        seed: int,
        template: np.ndarray | None,
        on_step: Callable[[int], None],
    ) -> np.ndarray: ...


def prompt_of(options: GridOptions, layout: tuple[int, int], *, mimics: bool = False) -> str:
    """The prompt for a grid of (rows, columns), in the words of the thesis; `mimics` where there is a template."""
    rows, columns = layout
    subject, background = options.subject.strip(), options.background.strip()
    if mimics:
        return (
            f"Generate a grid with {rows} rows and {columns} columns. Depict {subject} in {background}; in each frame it mimics"
            " the pose that is in the same frame of the given grid. The postures should feel natural for its anatomy. The"
            " background and the camera are the same in all frames."
        )
    return (
        f"a {columns}x{rows} grid of frames, showing {rows * columns} consecutive frames from a video clip of {subject} dancing"
        f" wildly in {background}, striking a variety of fun and energetic poses"
    )


def template_of(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """The picture to go by: the grid itself where it is one picture, or a grid of 3 to 12 single poses, uint8 [H W 3].

    Raises InputError where there is no grid in it, or no layout for so many poses.
    """
    if len(pictures) == 1:
        layout_of(pictures[0])
        return pictures[0]
    if len(pictures) not in LAYOUTS:
        raise InputError(f"template: {', '.join(map(str, LAYOUTS))} poses make a grid, got {len(pictures)}.")
    rows, columns = LAYOUTS[len(pictures)]
    h, w = pictures[0].shape[:2]
    cells = [cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA) for picture in pictures]
    lines = [np.concatenate(cells[r * columns : (r + 1) * columns], axis=1) for r in range(rows)]
    return np.concatenate(lines)


def grid_size(layout: tuple[int, int], pixels: int, *, aspect: float = _ASPECT) -> tuple[int, int]:
    """(W, H) of a grid of (rows, columns) whose cells have `aspect`: about `pixels` in all, sides in multiples of 16."""
    rows, columns = layout
    shape = columns * aspect / rows
    height = math.sqrt(pixels / shape)
    return tuple(max(1, round(side / _UNIT)) * _UNIT for side in (height * shape, height))


def drawn(painter: GridPainter, options: GridOptions, *, template: np.ndarray | None = None) -> Iterator[GridStep]:
    """Draw a grid and cut it into keyframes; closing it stops the drawing. After a `template` its layout counts.

    Raises InputError for a template without a grid in it.
    """
    layout = LAYOUTS[options.poses]
    size = grid_size(layout, options.pixels)
    if template is not None:
        layout = layout_of(template)
        size = grid_size((1, 1), options.pixels, aspect=template.shape[1] / template.shape[0])
        template = cv2.resize(template, size, interpolation=cv2.INTER_AREA)
    prompt = prompt_of(options, layout, mimics=template is not None)

    def work(say: Reporter) -> None:
        def on_step(done: int) -> None:
            say(GridStep(done, options.steps))

        grid = painter(prompt, size=size, steps=options.steps, seed=options.seed, template=template, on_step=on_step)
        say(cut(grid, layout, options.steps))

    yield from streamed(work)


def layout_of(template: np.ndarray) -> tuple[int, int]:
    """(rows, columns) of a template; raises InputError where it is no grid."""
    try:
        return grid_layout(template)
    except InputError as error:
        raise InputError(
            f"template: one picture that is a grid of {LEAST} to {MOST} poses is needed; no seams were found in this one."
        ) from error


def cut(grid: np.ndarray, layout: tuple[int, int], steps: int) -> GridStep:
    """The last step: a drawn grid and its keyframes, with a sentence where it does not show the seams that were asked for."""
    rows, columns = layout
    try:
        found = grid_layout(grid)
    except InputError:
        found = None
    notes = ()
    if found != layout:
        shows = "no seams" if found is None else f"the seams of {found[1]}x{found[0]} pictures"
        notes = (
            f"The picture that was drawn shows {shows}, not those of {columns}x{rows}: it was cut evenly; try another seed.",
        )
    keyframes = tuple(cut_grid(grid, rows=rows, columns=columns))
    return GridStep(steps, steps, "cutting the grid", grid, keyframes, notes)
