"""The user's own images as one zoom stack, at their full resolution and without a model: the draft engine (thesis section 6.5).

Several photos of one thing are put in order, aligned, bent to meet, matched in colour and blended (align, photo_stack); a
single one is cut into ever smaller middles of itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..checks import InputError
from .align import AlignmentError, Similarity, align
from .camera import Placement, Stack
from .photo_stack import Fit, Level, blended, fit
from .prompts import zoom_factor
from .resample import resized

MAX_IMAGES = 24
MIN_SIDE = 64  # pixels on the short side of an image
MIN_STEP = 1.08  # how many times finer than the one before an image must be to show anything new
CUT_SIDE = 720  # pixels on the short side, below which no further middle is cut from a single photo
_TRUSTED = 0.35  # share of a border in which two photos show the same, below which the user is told


@dataclass(frozen=True)
class Arranging:
    """What is done just now."""

    done: int
    total: int
    note: str


@dataclass(frozen=True, eq=False)
class Arranged:
    """The finished stack, and which image each of its levels was (counted from 0)."""

    stack: Stack
    order: tuple[int, ...]
    notes: tuple[str, ...] = ()  # what the user should know of it


def arranged(images: Sequence[np.ndarray], names: Sequence[str], *, p: int = 2) -> Iterator[Arranging | Arranged]:
    """Make one stack of images uint8 [H W 3], given in any order: yields Arranging, and last the Arranged.

    A single image is cut by the factor `p`. Raises InputError, which names the images that cannot be aligned or used.
    """
    n = len(images)
    if not 1 <= n <= MAX_IMAGES:
        raise InputError(f"images: 1 to {MAX_IMAGES} are needed, got {n}.")
    for image, name in zip(images, names, strict=True):
        if min(image.shape[:2]) < MIN_SIDE:
            height, width = image.shape[:2]
            raise InputError(f"{name}: at least {MIN_SIDE}x{MIN_SIDE} pixels are needed, got {width}x{height}.")
    if n == 1:
        stack, notes = cut(images[0], p)
        yield Arranged(stack, (0,) * len(stack.levels), notes)
        return
    total = 3 * (n - 1)
    order, notes, known = yield from _ordered(images, names, total)
    levels: list[Level] = [Level(images[order[0]], 0j, 1.0)]
    for k, (before, i) in enumerate(pairwise(order)):
        yield Arranging(n - 1 + k, total, f"fitting {names[i]} into {names[before]}")
        similarity = known if k == 0 else None
        made = _fitted(levels[-1], images[i], (names[before], names[i]), similarity)
        if made.trusted < _TRUSTED:
            notes.append(f"{names[before]} and {names[i]} differ much where they meet; a change may show there.")
        levels.append(made.level)
    for k in range(len(levels) - 2, -1, -1):  # the closest first, so that it reaches into all that are wider
        yield Arranging(total - 1 - k, total, f"blending {names[order[k + 1]]} into {names[order[k]]}")
        levels[k] = Level(blended(levels[k], levels[k + 1]), levels[k].corner, levels[k].pixel)
    yield Arranged(_stack(levels), order, tuple(notes))


def cut(photo: np.ndarray, p: int = 2) -> tuple[Stack, tuple[str, ...]]:
    """One photo uint8 [H W 3] as the stack of its middles, each 1/p of the one before, and notes.

    The closest level has the photo's own pixels; wider ones are reduced by the root of p per level, so that each is finer
    than the one before and all of them fill a frame. Raises InputError.
    """
    p = zoom_factor(p)
    height, width = photo.shape[:2]
    short = min(height, width)
    if short < MIN_SIDE:
        raise InputError(f"photo: at least {MIN_SIDE}x{MIN_SIDE} pixels are needed, got {width}x{height}.")
    n, notes = n_cut(short, p), []
    if short / p ** (n - 1) < CUT_SIDE * 0.99:
        notes.append(
            f"The photo has {width}x{height} pixels; its closest level shows {round(width / p ** (n - 1))}x"
            f"{round(height / p ** (n - 1))} of them, so it will look soft."
        )
    levels, placements = [], []
    for k in range(n):
        share = p**-k
        size = tuple(max(16, round(side * share / p ** ((n - 1 - k) / 2))) for side in (width, height))
        scale = width * share / size[0]  # photo pixels per pixel of the level
        offset = tuple((side - pixels * scale) / 2 for side, pixels in zip((width, height), size, strict=True))
        levels.append(resized(photo, size, scale=scale, offset=offset))
        placements.append(Placement(0.0, 0.0, scale / width))
    return Stack(tuple(levels), tuple(placements)), tuple(notes)


def n_cut(short: int, p: int) -> int:
    """Levels that a photo of `short` pixels on its short side is cut into."""
    return 1 + max(1, math.floor(math.log(max(short / CUT_SIDE, 1), p) + 1e-9))


def _ordered(images, names, total: int):
    """The images from the widest to the closest, by the share of the scene that they show; yields Arranging.

    Returns their order, notes, and how the second of them lies in the first where that was measured.
    """
    places = {0: Similarity(1 + 0j, 0j)}  # of each image in the one that was given first
    direct = {}
    for i in range(1, len(images)):
        yield Arranging(i - 1, total, f"looking where {names[i]} lies")
        j, found = _found(i, images, names, places)
        places[i], direct[j, i] = places[j].after(found), found
    fields = {i: abs(place.turn) * math.sqrt(math.prod(images[i].shape[:2])) for i, place in places.items()}
    order, notes = [], []
    for i in sorted(fields, key=fields.get, reverse=True):
        if order and (step := abs(places[order[-1]].turn) / abs(places[i].turn)) < MIN_STEP:
            notes.append(
                f"{names[i]} shows nothing finer than {names[order[-1]]} ({step:.2f} times closer, {MIN_STEP} is "
                "needed), so it was left out."
            )
            continue
        order.append(i)
    if len(order) < 2:
        raise InputError(
            f"images: none is closer than {names[order[0]]}, so there is nothing to zoom into; add one from closer up."
        )
    return tuple(order), notes, direct.get(tuple(order[:2]))


def _found(i: int, images, names, places: dict[int, Similarity]) -> tuple[int, Similarity]:
    """In which image i was found, and where: in the one before it in the list or, where they do not match, in any other."""
    refused = None
    for j in sorted(places, reverse=True):
        try:
            return j, align(images[j], images[i], (names[j], names[i])).similarity
        except AlignmentError as error:
            refused = refused or error
    raise refused


def _fitted(wide: Level, photo: np.ndarray, names: tuple[str, str], similarity: Similarity | None) -> Fit:
    """`photo` as the next level of `wide`, whose place is found where it is not known; raises InputError."""
    made = fit(wide, photo, similarity or align(wide.image, photo, names).similarity)
    if made is None:
        raise InputError(f"{names[0]} and {names[1]}: too little of {names[1]} lies inside {names[0]}; leave one out.")
    return made


def _stack(levels: Sequence[Level]) -> Stack:
    """Levels, which lie in the pixels of the first, in the plane of the camera."""
    unit = levels[0].image.shape[1]
    middles = [level.corner + level.pixel * complex(*level.image.shape[1::-1]) / 2 for level in levels]
    places = [(middle - middles[-1]) / unit for middle in middles]
    return Stack(
        tuple(level.image for level in levels),
        tuple(Placement(at.real, at.imag, level.pixel / unit) for at, level in zip(places, levels, strict=True)),
    )
