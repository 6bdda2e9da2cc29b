"""The zoom video of a stack: every frame resampled from the levels at its own scale, and written as it is made.

A frame is drawn from the wide levels to the close ones. A level is drawn where it lies; it appears gradually once the one
before would have to be magnified, and along its border it gives way gradually to what lies around it. Both vanish where a
frame is exactly a level: there the frame is that level. What a closer level covers opaquely is not drawn at all.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .. import runtime
from ..media import VideoWriter
from .camera import Journey, Stack, View, Way, feather, way
from .planes import Colour, round_into, to_chroma, to_image, to_luma, to_rgb
from .resample import Axis, axis, halved, resample

FADE_OCTAVES = 0.3  # by which the level before is magnified when a level has become opaque
PRESET, CRF = "superfast", 17  # of the encoder: half the time of "veryfast", for half as much again in size

_CACHE_BYTES = 512 * 2**20  # of float planes
_WHOLE = 2**22  # pixels up to which a level is turned into planes as a whole
_MARGIN = 0.25  # of its sides, by which a part of a larger one is made too large

Rect = tuple[int, int, int, int]  # left, top, right, bottom; the last two are one past the end


class Renderer:
    """Frames of one size from a stack, for any view; several threads may ask at a time."""

    def __init__(self, stack: Stack, size: tuple[int, int]):
        self.stack = stack
        self.size = size
        self._sources = [_Source(level) for level in stack.levels]
        self._cache = _Cache(_CACHE_BYTES)

    def frame(self, view: View) -> np.ndarray:
        """What the camera sees there: uint8 [H W 3]."""
        return to_image(self._planes(view, to_rgb))

    def frame_420(self, view: View) -> np.ndarray:
        """The same for the encoder, which halves colour anyway: uint8 [H * 3/2 W], see media.VideoWriter.write_420.

        Half the work: colour is never made at full size, and nothing is converted frame by frame.
        """
        width, height = self.size
        frame = np.empty((height * 3 // 2, width), np.uint8)
        round_into(self._planes(view, to_luma), frame[None, :height])
        round_into(self._planes(view, to_chroma), frame[height:].reshape(2, height // 2, width // 2))
        return frame

    def _planes(self, view: View, colour: Colour) -> np.ndarray:  # [C h w]
        shrink = colour.shrink
        canvas = np.empty((colour.channels, self.size[1] // shrink, self.size[0] // shrink), np.float32)
        shown = self._shown(view, shrink)
        axes: dict[tuple, Axis] = {}  # pieces beside and above one another share them
        for i, layer in enumerate(shown):
            covered = next((finer.core for finer in shown[i + 1 :] if finer.opacity == 1.0), None)
            for piece in subtract(layer.extent, covered):
                if i == 0:
                    self._draw(layer, piece, colour, axes, _part(canvas, piece))
                    continue
                over = np.empty((len(canvas), piece[3] - piece[1], piece[2] - piece[0]), np.float32)
                self._draw(layer, piece, colour, axes, over)
                _lay_over(canvas, layer, piece, over)
        return canvas

    def _shown(self, view: View, shrink: int) -> list[_Layer]:
        """The layers that a frame is drawn from, the widest first, at 1/`shrink` of its size; the first covers it."""
        width, height = (side // shrink for side in self.size)
        layers: list[_Layer] = []
        before = math.inf  # how much the level before is minified
        for k, (level, place) in enumerate(zip(self.stack.levels, self.stack.placements, strict=True)):
            opacity = 1.0 if k == 0 else float(smoothstep(-math.log2(before) / FADE_OCTAVES))
            if opacity == 0.0:
                break
            before = view.pixel / place.pixel
            layer = _layer(k, level.shape, place, view, (width, height), shrink, opacity)
            if layer is None:
                continue
            if layer.opacity == 1.0 and layer.core == (0, 0, width, height):
                layers = []
            layers.append(layer)
        return layers

    def _draw(self, layer: _Layer, piece: Rect, colour: Colour, axes: dict[tuple, Axis], out: np.ndarray) -> None:
        """The pixels of one level in a piece of the frame, float32 [C h w]."""
        octaves = max(int(math.log2(layer.scale)), 0)
        scale = layer.scale / 2**octaves
        image = self._sources[layer.level].mip(octaves + colour.shrink - 1)

        def filters(low: int, high: int, start: float, n_source: int) -> Axis:
            key = (layer.level, low, high, start, n_source)
            if key not in axes:
                axes[key] = axis(high - low, scale=scale, offset=(low - start) * scale, n_source=n_source)
            return axes[key]

        columns = filters(piece[0], piece[2], layer.left, image.shape[1])
        rows = filters(piece[1], piece[3], layer.top, image.shape[0])
        wanted = (columns.span[0], rows.span[0], columns.span[1], rows.span[1])
        planes, (x, y) = self._cache.window((layer.level, octaves, colour), image, wanted)
        resample(planes, rows, columns, out, (y, x))


def _lay_over(canvas: np.ndarray, layer: _Layer, piece: Rect, over: np.ndarray) -> None:
    """Lay a level's pixels `over` [C h w] on a piece of the canvas, weighted by its opacity and its feathered border."""
    opaque = intersection(piece, layer.core) if layer.opacity == 1.0 else None
    if opaque is not None:
        _part(canvas, opaque)[:] = _part(over, opaque, piece)
    for left, top, right, bottom in subtract(piece, opaque):
        under = _part(canvas, (left, top, right, bottom))
        rim = _part(over, (left, top, right, bottom), piece)
        rim -= under
        rim *= (layer.opacity * layer.rows[top:bottom, None]) * layer.columns[None, left:right]
        under += rim


@dataclass(frozen=True, eq=False)
class _Layer:
    """One level as a frame sees it."""

    level: int
    scale: float  # its pixels per pixel of the frame
    left: float  # where it begins in the frame, in pixels of the frame
    top: float
    extent: Rect  # the part of the frame that it touches
    core: Rect  # the part of that in which it is not feathered
    columns: np.ndarray  # [W] weights, feathered at its border
    rows: np.ndarray  # [H]
    opacity: float


def _layer(level: int, shape, place, view: View, size, shrink: int, opacity: float) -> _Layer | None:
    """A level as `view` sees it in a frame of `size`, or None where that is less than a pixel."""
    scale = view.pixel / place.pixel
    pixel = view.pixel * shrink
    sides = []
    for middle, seen, n, pixels in ((place.x, view.x, size[0], shape[1]), (place.y, view.y, size[1], shape[0])):
        length = pixels / scale / shrink
        start = (middle - seen) / pixel + n / 2 - length / 2
        border = feather(shape[1], shape[0]) * min(shape[:2]) / scale / shrink
        sides.append((start, np.ones(n, np.float32) if level == 0 else _ramp(n, start, length, border)))
    (left, columns), (top, rows) = sides
    touched = [np.flatnonzero(weights) for weights in (columns, rows)]
    full = [np.flatnonzero(weights == 1.0) for weights in (columns, rows)]
    if min(len(found) for found in touched) == 0:
        return None
    extent = (touched[0][0], touched[1][0], touched[0][-1] + 1, touched[1][-1] + 1)
    core = (0, 0, 0, 0)
    if min(len(found) for found in full):
        core = (full[0][0], full[1][0], full[0][-1] + 1, full[1][-1] + 1)
    return _Layer(level, scale, left, top, tuple(map(int, extent)), tuple(map(int, core)), columns, rows, opacity)


def _ramp(n: int, start: float, length: float, feather: float) -> np.ndarray:  # [n]
    """Weights of `n` pixels that a level covers from `start` on: 1 inside, falling to 0 at a border within the frame.

    A border that is close to that of the frame has less room to fall: none where both coincide.
    """
    weights = np.ones(n, np.float32)
    pixels = np.arange(n) + 0.5
    for distance, room in ((pixels - start, start), (start + length - pixels, n - start - length)):
        if room > 1e-3:
            weights *= smoothstep(distance / min(feather, room))
    return weights


def smoothstep(t: np.ndarray | float) -> np.ndarray:
    """0 up to 0, 1 from 1 on, and between them without a kink."""
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


class _Source:
    """A level at its own size, and halved as often as frames ask for."""

    def __init__(self, image: np.ndarray):
        self._mips = [image]
        self._lock = threading.Lock()

    def mip(self, n: int) -> np.ndarray:
        with self._lock:
            while len(self._mips) <= n:
                self._mips.append(halved(self._mips[-1]))
            return self._mips[n]


class _Cache:
    """Float planes of the pictures in use, of large ones a part; the longest unused go first."""

    def __init__(self, max_bytes: int):
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple, tuple[np.ndarray, Rect]] = OrderedDict()
        self._lock = threading.Lock()

    def window(
        self, key: tuple[int, int, Colour], image: np.ndarray, wanted: Rect
    ) -> tuple[np.ndarray, tuple[int, int]]:
        """Planes [C h w] that hold the part `wanted` of `image`, and where they begin (x, y)."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or intersection(kept[1], wanted) != wanted:
                kept = self._kept[key] = _planes_of(image, wanted, key[2])
                while len(self._kept) > 1 and sum(p.nbytes for p, _ in self._kept.values()) > self._max_bytes:
                    self._kept.popitem(last=False)
            if key in self._kept:
                self._kept.move_to_end(key)
        return kept[0], kept[1][:2]


def _planes_of(image: np.ndarray, wanted: Rect, colour: Colour) -> tuple[np.ndarray, Rect]:
    height, width = image.shape[:2]
    rect = (0, 0, width, height)
    if height * width > _WHOLE:
        margin_x, margin_y = (int(_MARGIN * (wanted[i + 2] - wanted[i])) for i in (0, 1))
        grown = (wanted[0] - margin_x, wanted[1] - margin_y, wanted[2] + margin_x, wanted[3] + margin_y)
        rect = intersection(grown, rect)
    left, top, right, bottom = rect
    return colour(image[top:bottom, left:right]), rect


def intersection(a: Rect, b: Rect) -> Rect | None:
    """What two rectangles share, or None."""
    left, top, right, bottom = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


def subtract(a: Rect, b: Rect | None) -> list[Rect]:
    """Up to four rectangles that make up `a` without `b`."""
    hole = b and intersection(a, b)
    if not hole:
        return [a]
    left, top, right, bottom = hole
    pieces = [
        (a[0], a[1], a[2], top),
        (a[0], bottom, a[2], a[3]),
        (a[0], top, left, bottom),
        (right, top, a[2], bottom),
    ]
    return [piece for piece in pieces if piece[0] < piece[2] and piece[1] < piece[3]]


def _part(planes: np.ndarray, piece: Rect, origin: Rect = (0, 0, 0, 0)) -> np.ndarray:
    """A piece of planes [C h w] whose first pixel is that of `origin`."""
    left, top, right, bottom = piece
    return planes[:, top - origin[1] : bottom - origin[1], left - origin[0] : right - origin[0]]


def frames(stack: Stack, journey: Journey, *, workers: int | None = None) -> Iterator[np.ndarray]:
    """The frames uint8 [H W 3] of a journey, in order; memory does not depend on how many there are.

    Frames that show what the one before shows are not made anew. Raises InputError as `camera.way` does.
    """
    route = way(stack, journey)
    yield from _rendered(route, Renderer(stack, journey.size).frame, workers)


def _rendered(route: Way, make: Callable[[View], np.ndarray], workers: int | None) -> Iterator[np.ndarray]:
    repeats = np.array([False, *(a == b for a, b in pairwise(route.views))])
    fresh = _in_order(make, [v for v, same in zip(route.views, repeats, strict=True) if not same], workers)
    image = None
    for same in repeats:
        image = image if same else next(fresh)
        yield image


def _in_order(make: Callable, items: Sequence, workers: int | None) -> Iterator:
    """`make(item)` of each item, in order, by threads that run at most two items each ahead."""
    workers = workers or max(1, runtime.cpu_count() // 2)  # the encoder takes the other half
    waiting: deque = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@dataclass(frozen=True, eq=False)
class Step:
    """One frame that was written."""

    index: int
    total: int
    depth: float  # in levels, see camera.Way
    view: View
    renderer: Renderer

    @property
    def image(self) -> np.ndarray:
        """The frame, uint8 [H W 3]: made when it is asked for, since the file takes another form of it."""
        return self.renderer.frame(self.view)


def write_video(
    path: str | os.PathLike, stack: Stack, journey: Journey, *,
    described: Callable[[int], dict[str, str]] = lambda n: {},
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Step]:  # fmt: skip
    """Write the video of a journey; yields a record of each frame once it is in the file.

    `described(n_frames)` gives the file's metadata at its end; where `cancelled()` turns true, it ends with the frames so
    far. Closing the generator leaves no file. Raises InputError as `camera.way` does, before anything is written.
    """
    route = way(stack, journey)
    renderer = Renderer(stack, journey.size)
    with VideoWriter(path, fps=journey.fps, size=journey.size, crf=CRF, preset=PRESET) as writer:
        for i, frame in enumerate(_rendered(route, renderer.frame_420, None)):
            writer.write_420(frame)
            yield Step(i, len(route), float(route.depths[i]), route.views[i], renderer)
            if cancelled():
                break
        writer.metadata = described(writer.n_frames)
