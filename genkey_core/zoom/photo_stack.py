"""Photos of one place at several distances as one zoom stack: bent to meet, matched in colour, blended (thesis section 6.5).

A similarity fits no two photos taken from different places: near things stand elsewhere before far ones. So along its border
a closer photo is bent to what the wider one shows there, by dense optical flow, and less and less towards its middle, which
stays as it was taken. Then the middle of each wider photo is replaced by the closer one, band by band (Burt and Adelson
1983), so that all levels show the same thing, and nothing is seen double when one gives way to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .. import flow
from .align import Similarity
from .colour import Tone, shade_between, tone_between
from .render import smoothstep
from .resample import resized

WORK_SIDE = 900  # pixels along the long side in which flow and colour are found
BENT, UNBENT = 0.12, 0.45  # of the shorter side: how far from its border a photo is bent wholly, and not at all
_MOST_BENT = 0.1  # of the shorter side: displacements beyond fold the picture
_LARGEST_CUT = 0.12  # of a side, that bending may cost at the border
_COARSE = 8  # pixels of the wide photo per pixel in which all but the fine band is blended
_FINE_SEAM = 0.02  # of the shorter side: width of the seam of the fine band
_COARSE_SEAMS = ((2.0, 0.04), (6.0, 0.08), (0.0, 0.12))  # what a band is finer than, in such pixels, and its seam
_STRIP = 512  # rows that are made at a time


@dataclass(frozen=True, eq=False)
class Level:
    """A photo as the stack has it: upright, and where it lies in the first photo's pixels."""

    image: np.ndarray  # uint8 [H W 3]
    corner: complex  # of its first pixel
    pixel: float  # how wide one of its pixels is


@dataclass(frozen=True, eq=False)
class Fit:
    """What was done to fit a photo into the one before."""

    level: Level
    tone: Tone
    bend_pixels: float  # median displacement at its border, in its own pixels
    trusted: float  # share of the picture in which the flow between both photos is trusted


def inscribed(width: float, height: float, angle: float) -> tuple[float, float]:
    """The largest upright rectangle inside one of `width` x `height` that is turned by `angle` radians."""
    sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
    long, short = max(width, height), min(width, height)
    if short <= 2 * sine * cosine * long or abs(sine - cosine) < 1e-9:
        half = short / 2
        across, down = (half / sine, half / cosine) if width >= height else (half / cosine, half / sine)
        return across, down
    double = cosine * cosine - sine * sine
    return (width * cosine - height * sine) / double, (height * cosine - width * sine) / double


def fit(wide: Level, photo: np.ndarray, similarity: Similarity) -> Fit | None:
    """`photo` as the next level of `wide`, of which `similarity` says where it lies; None where little of it lies there."""
    turn = similarity.turn
    pixel = abs(turn)
    height, width = photo.shape[:2]
    middle = similarity(complex(width, height) / 2)
    across, down = (n * pixel for n in inscribed(width, height, math.atan2(turn.imag, turn.real)))
    left, right = max(middle.real - across / 2, 0.0), min(middle.real + across / 2, float(wide.image.shape[1]))
    top, bottom = max(middle.imag - down / 2, 0.0), min(middle.imag + down / 2, float(wide.image.shape[0]))
    size = tuple(int(n / pixel) for n in (right - left, bottom - top))
    if min(size) < 32:
        return None
    grid = Similarity(pixel + 0j, complex(left, top))  # the level's pixels in the wide level's
    to_photo = similarity.inverse.after(grid)
    step = max(1.0, max(size) / WORK_SIDE)
    seen = _Pair.of(wide.image, photo, grid, to_photo, size, step)
    kept = seen.kept()
    image = _drawn(photo, to_photo, seen, kept)
    corner = wide.corner + wide.pixel * grid(complex(kept[0], kept[1]))
    border = np.hypot(seen.bend[..., 0], seen.bend[..., 1])[seen.border > 0.99]
    level = Level(image, corner, wide.pixel * pixel)
    return Fit(level, seen.tone, float(np.median(border)) * step, float(seen.trust.mean()))


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two aligned photos in small: what bends and colours the closer one to meet the wider one. Fields are [h w ..]."""

    step: float  # level pixels per pixel here
    bend: np.ndarray  # [h w 2] displacement, x then y
    border: np.ndarray  # [h w] 1 at the border, 0 in the middle
    trust: np.ndarray  # [h w] whether flow forth and back agree
    tone: Tone
    shade: np.ndarray  # [h w 3] grey levels to add
    outside: np.ndarray  # [h w] bool, where the bent photo has no pixels

    @classmethod
    def of(cls, wide, photo, grid: Similarity, to_photo: Similarity, size, step: float) -> _Pair:
        small = tuple(max(32, int(n / step)) for n in size)
        target = resized(wide, small, scale=step * grid.turn.real, offset=(grid.shift.real, grid.shift.imag))
        less = resized(photo, tuple(max(1, int(n / step)) for n in photo.shape[1::-1]), scale=step)
        small_turn = Similarity(to_photo.turn, to_photo.shift / step)
        close = cv2.warpAffine(
            less,
            small_turn.matrix,
            small,
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        everywhere = np.ones(target.shape[:2], np.float32)
        rough = tone_between(*(cv2.GaussianBlur(p, (0, 0), 4.0) for p in (target, close)), everywhere)
        matched = np.clip(np.rint(rough(close)), 0, 255).astype(np.uint8)
        (forth, back), _ = flow.bidirectional_flow(target, matched)
        trust = np.exp(-np.square(flow.inconsistency(forth, back) / 1.5))
        trust *= ~flow.outside(flow.grid(small[::-1]) + forth)
        border = 1 - smoothstep((_border_distance(small) - BENT) / (UNBENT - BENT)).astype(np.float32)
        bend = _smooth_bend(forth, trust, min(small)) * border[..., None]
        met = flow.warp(close, forth)
        tone = tone_between(target, met, trust)
        shade = shade_between(target, tone(met), trust, spread=0.04 * min(small)) * border[..., None]
        where = small_turn(_points(small) + bend[..., 0] + 1j * bend[..., 1])
        outside = (where.real < 0) | (where.imag < 0) | (where.real > less.shape[1]) | (where.imag > less.shape[0])
        return cls(step, bend, border, trust, tone, shade.astype(np.float32), outside)

    def kept(self) -> tuple[int, int, int, int]:
        """The part of the level (left, top, right, bottom, its pixels) that the bent photo fills, as large as possible."""
        height, width = self.outside.shape
        box = [0, 0, width, height]
        least = [round(n * (1 - _LARGEST_CUT)) for n in (width, height)]
        while (part := self.outside[box[1] : box[3], box[0] : box[2]]).any():
            lines = [part[:, 0].mean(), part[0].mean(), part[:, -1].mean(), part[-1].mean()]
            for axis in (0, 1):
                if box[axis + 2] - box[axis] <= least[axis]:
                    lines[axis] = lines[axis + 2] = 0.0
            side = int(np.argmax(lines))
            if lines[side] == 0.0:
                break
            box[side] += 1 if side < 2 else -1
        return tuple(round(n * self.step) for n in box)


def _points(size: tuple[int, int]) -> np.ndarray:  # complex [h w]
    y, x = np.mgrid[: size[1], : size[0]]
    return (x + 0.5) + 1j * (y + 0.5)


def _border_distance(size: tuple[int, int]) -> np.ndarray:  # [h w]
    """Of every pixel, to the nearest border, as a share of the shorter side."""
    width, height = size
    x, y = (np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) for n in (width, height))
    return np.minimum(y[:, None], x[None]) / min(size)


def _smooth_bend(forth: np.ndarray, trust: np.ndarray, side: int) -> np.ndarray:  # [h w 2]
    """The flow without its steps and without what is not trusted, so that nothing tears; limited, so that nothing folds."""
    weights = (trust + 1e-3).astype(np.float32)
    filled = flow.fill(forth * weights[..., None], weights)
    smooth = cv2.GaussianBlur(filled, (0, 0), 0.02 * side)
    length = np.hypot(smooth[..., 0], smooth[..., 1])
    limit = _MOST_BENT * side
    return smooth * (limit * np.tanh(length / limit) / np.maximum(length, 1e-6))[..., None]


def _drawn(photo: np.ndarray, to_photo: Similarity, pair: _Pair, kept: tuple[int, int, int, int]) -> np.ndarray:
    """The level's pixels in `kept`, uint8 [H W 3], in one resampling of the photo at its own resolution."""
    left, top, right, bottom = kept
    result = np.empty((bottom - top, right - left, 3), np.uint8)
    for first in range(top, bottom, _STRIP):
        y, x = np.mgrid[first : min(first + _STRIP, bottom), left:right].astype(np.float32) + np.float32(0.5)
        small = [v / np.float32(pair.step) - np.float32(0.5) for v in (x, y)]

        def field(values: np.ndarray, small=small) -> np.ndarray:
            return cv2.remap(values, *small, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

        bend = field(pair.bend) * np.float32(pair.step)
        where = to_photo((x + bend[..., 0]).astype(np.float64) + 1j * (y + bend[..., 1])) - (0.5 + 0.5j)
        maps = where.real.astype(np.float32), where.imag.astype(np.float32)
        strip = cv2.remap(photo, *maps, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
        strip = pair.tone(strip) + field(pair.shade)
        result[first - top : first - top + len(x)] = np.rint(strip).clip(0, 255)
    return result


def blended(wide: Level, close: Level) -> np.ndarray:  # [H W 3]
    """The picture of `wide` with `close` in it, as far as it reaches: coarse bands over a wide seam, fine ones over a narrow."""
    scale = wide.pixel / close.pixel
    start = (close.corner - wide.corner) / wide.pixel
    height, width = (n / scale for n in close.image.shape[:2])
    left, top = math.ceil(start.real), math.ceil(start.imag)
    right, bottom = math.floor(start.real + width), math.floor(start.imag + height)
    if min(right - left, bottom - top) < 8:
        return wide.image
    offset = ((left - start.real) * scale, (top - start.imag) * scale)
    shown = resized(close.image, (right - left, bottom - top), scale=scale, offset=offset)
    result = wide.image.copy()
    part = result[top:bottom, left:right]
    coarse = _coarse_bands(shown, part)
    for first in range(0, len(part), _STRIP):
        rows = slice(first, first + _STRIP)
        part[rows] = _mixed_strip(part[rows], shown[rows], coarse, first, part.shape)
    return result


def _seam(shape: tuple[int, int], width: float) -> tuple[np.ndarray, np.ndarray]:  # [h], [w]
    """What a band of the closer picture weighs along each axis: nothing at its border, all from `width` of its side on."""
    side = min(shape)
    return tuple(
        smoothstep((np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) - 1) / max(width * side, 1.0)).astype(
            np.float32
        )
        for n in shape
    )


def _coarse_bands(shown: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The difference of two pictures at an eighth of their size, and the same with each band weighted by its seam."""
    size = tuple(-(-n // _COARSE) for n in part.shape[1::-1])
    fewer = [resized(p, size, scale=float(_COARSE)).astype(np.float32) for p in (shown, part)]
    plain = rest = fewer[0] - fewer[1]
    mixed = np.zeros_like(plain)
    for spread, width in _COARSE_SEAMS:
        soft = cv2.GaussianBlur(rest, (0, 0), spread) if spread else np.zeros_like(rest)
        rows, columns = _seam(plain.shape[:2], width)
        mixed += (rest - soft) * (rows[:, None, None] * columns[None, :, None])
        rest = soft
    return plain, mixed


def _mixed_strip(part: np.ndarray, shown: np.ndarray, coarse, first: int, shape) -> np.ndarray:
    """Rows from `first` on of the wide picture with the closer one in it: the fine band here, the coarse ones enlarged."""
    x, y = (np.float32((np.arange(n) + 0.5 + o) / _COARSE - 0.5) for n, o in ((part.shape[1], 0), (len(part), first)))
    maps = np.meshgrid(x, y)
    plain, mixed = (cv2.remap(c, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for c in coarse)
    rows, columns = _seam(shape[:2], _FINE_SEAM)
    fine = shown.astype(np.float32) - part - plain
    fine *= rows[first : first + len(part), None, None] * columns[None, :, None]
    return np.rint(part + fine + mixed).clip(0, 255)
