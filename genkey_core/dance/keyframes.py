"""Keyframes in: pictures, a grid of pictures, or a video's most distinct poses (thesis sections 7.3.1 and 8.4).

What comes out is uint8 [K H W 3] of one size, with sentences on what may go wrong: backgrounds that differ and by how much,
poses that are the same, sizes that were made equal. What cannot be danced at all is an InputError.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..checks import InputError, integer
from ..media.images import check_image, fit_image
from ..media.reader import Frame

LEAST, MOST = 3, 12  # keyframes of a dance, their mirrors not counted
MAX_SIDE = 1280

_ALIKE = 2.0  # grey levels of mean difference below which two keyframes show the same pose
_BACKGROUND_DIFFERS = 8.0  # grey levels between backgrounds that begin to be seen
_GUTTER_FLAT = 6.0  # grey levels within a line of the gutter between the pictures of a grid
_THUMBNAIL = 64  # pixels of the longer side that a video's frames are compared at
_SAMPLED_FPS = 5.0  # frames a second of a video that are looked at
_SHARP = 0.5  # of the median sharpness, that a keyframe has at least
_FRAME = 0.08  # of a side of a grid, that a frame around it may take


@dataclass(frozen=True, eq=False)
class Keyframes:
    """Keyframes of one size, and what the user should know about them."""

    images: np.ndarray  # uint8 [K H W 3]
    notes: tuple[str, ...]  # sentences
    background_difference: float  # mean grey levels between the backgrounds of the two that differ most


def gathered(images: Sequence[np.ndarray], *, size: tuple[int, int] | None = None) -> Keyframes:
    """3 to 12 pictures uint8 [H W 3] of any sizes -> keyframes of one size.

    The size (W, H) is the most common one, of equals the largest, with even sides of at most 1280 pixels, unless `size` says
    otherwise; pictures of other sizes are scaled and cropped to it about their middle. Raises InputError for too few or too
    many, and where all are the same picture.
    """
    n = len(images)
    if not LEAST <= n <= MOST:
        raise InputError(f"keyframes: {LEAST} to {MOST} pictures are needed, got {n}.")
    for image in images:
        check_image(image)
    sizes = [image.shape[1::-1] for image in images]
    target = _even(max(sizes, key=lambda s: (sizes.count(s), s[0] * s[1]))) if size is None else size
    notes = []
    others = [i + 1 for i, (w, h) in enumerate(sizes) if abs(w / h - target[0] / target[1]) > 0.02 * w / h]
    if others:
        notes.append(f"Keyframe {_listed(others)} had another shape and was cropped to {target[0]}x{target[1]}.")
    fitted = np.stack([fit_image(image, target, mode="crop") for image in images])
    distance = differences(fitted)
    if distance.max() < _ALIKE:
        raise InputError("keyframes: pictures of different poses are needed, these are all the same.")
    twins = [(i + 1, j + 1) for i in range(n) for j in range(i + 1, n) if distance[i, j] < _ALIKE]
    if twins:
        notes.append("These keyframes show the same pose: " + ", ".join(f"{i} and {j}" for i, j in twins) + ".")
    background = background_difference(fitted)
    if background > _BACKGROUND_DIFFERS:
        notes.append(
            f"The backgrounds differ by {background:.0f} grey levels (up to {_BACKGROUND_DIFFERS:.0f} pass unseen): "
            "they will be replaced by a shared one; pictures from one fixed camera dance best."
        )
    return Keyframes(fitted, tuple(notes), background)


def differences(images: np.ndarray) -> np.ndarray:
    """Mean grey levels between every two pictures: uint8 [K H W 3] -> float64 [K K]."""
    small = np.stack([_thumbnail(image, 128) for image in images]).astype(np.float32)
    return np.abs(small[:, None] - small[None]).mean((2, 3, 4)).astype(np.float64)


def background_difference(images: np.ndarray, masks: np.ndarray | None = None) -> float:
    """How much the backgrounds of keyframes differ: mean grey levels of the pair that differs most.

    With the subjects' `masks` float32 [K H W] it is measured where neither picture shows one; without, along the left, upper
    and right border, an eighth of the picture wide, by the median, so that a subject that reaches into it does not count.
    """
    small = np.stack([_thumbnail(image, 256) for image in images]).astype(np.float32)
    k, h, w = small.shape[:3]
    if masks is None:
        free = np.zeros((k, h, w), bool)
        free[:, : h // 8] = free[:, :, : w // 8] = free[:, :, -(w // 8) :] = True
    else:
        shrunk = [cv2.resize(m.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA) for m in masks]
        free = np.stack(shrunk) < 0.05
    worst = 0.0
    for i in range(k):
        for j in range(i + 1, k):
            both = free[i] & free[j]
            if both.any():
                off = np.abs(small[i][both] - small[j][both]).mean(1)
                worst = max(worst, float(np.median(off) if masks is None else off.mean()))
    return worst


def check_subjects(masks: np.ndarray) -> tuple[str, ...]:
    """Sentences on the subjects' masks float32 [K H W]; raises InputError where a keyframe shows no subject."""
    shares = masks.reshape(len(masks), -1).mean(1)
    missing = [i + 1 for i, share in enumerate(shares) if share < 0.002]
    if missing:
        raise InputError(
            f"keyframes: no subject was found in keyframe {_listed(missing)}; "
            "take a picture in which it stands out from the background, or leave it out."
        )
    notes = []
    filled = [i + 1 for i, share in enumerate(shares) if share > 0.8]
    if filled:
        notes.append(f"Keyframe {_listed(filled)} is filled by its subject: little background is left to keep still.")
    if shares.max() > 3 * shares.min():
        small, large = int(shares.argmin()) + 1, int(shares.argmax()) + 1
        notes.append(
            f"The subject is {shares.max() / shares.min():.1f} times as large in keyframe {large} as in keyframe {small}: "
            "it will grow and shrink as it dances."
        )
    return tuple(notes)


def cut_grid(image: np.ndarray, *, rows: int | None = None, columns: int | None = None) -> list[np.ndarray]:
    """The pictures of a grid uint8 [H W 3], row by row, all of one size, gutters and frames cut away.

    Rows and columns are found where they are not given: a layout is right where its seams are edges that run through the
    whole picture, or gutters of one colour. Raises InputError where no layout of 3 to 12 pictures shows seams.
    """
    check_image(image)
    if (rows is None) != (columns is None):
        raise InputError("grid: both rows and columns are needed, got one of them.")
    if rows is None:
        rows, columns = grid_layout(image)
    rows, columns = integer(rows, "rows", low=1, high=MOST), integer(columns, "columns", low=1, high=MOST)
    if not LEAST <= rows * columns <= MOST:
        raise InputError(f"grid: {LEAST} to {MOST} pictures are needed, got {rows}x{columns}.")
    ys, xs = (_cells(image, n, axis) for n, axis in ((rows, 0), (columns, 1)))
    height, width = (min(b - a for a, b in spans) for spans in (ys, xs))
    if min(height, width) < 16:
        raise InputError(f"grid: pictures of at least 16 pixels a side are needed, got {width}x{height}.")
    cut = []
    for top, bottom in ys:
        for left, right in xs:
            y, x = top + (bottom - top - height) // 2, left + (right - left - width) // 2
            cut.append(np.ascontiguousarray(image[y : y + height, x : x + width]))
    return cut


def grid_layout(image: np.ndarray) -> tuple[int, int]:
    """(rows, columns) of a grid of 3 to 12 pictures, from its seams; raises InputError where none shows."""
    seams = [_seam_strength(image, axis) for axis in (0, 1)]
    best, layout = 0.0, None
    for rows in range(1, 5):
        for columns in range(1, 7):
            if not LEAST <= rows * columns <= MOST:
                continue
            found = [_seam_at(seams[0], i / rows) for i in range(1, rows)]
            found += [_seam_at(seams[1], i / columns) for i in range(1, columns)]
            # Where all seams show, more of them explain more: 2x4 also has the seam of 2x2, and both that of 2x1.
            evidence = len(found) + min(found) / (1 + min(found))
            if min(found) > _SEAM and evidence > best:
                best, layout = evidence, (rows, columns)
    if layout is None:
        raise InputError("grid: no seams between pictures were found; say how many rows and columns it has.")
    return layout


_SEAM = 4.0  # robust deviations by which a seam stands out among the edges of the picture


def _seam_strength(image: np.ndarray, axis: int) -> np.ndarray:
    """How much every line across `axis` looks like a seam, float64 [lines]: the median step to the next line over the
    whole line, which contents of pictures do not reach, in robust deviations."""
    lines = image.astype(np.float32) if axis == 0 else image.transpose(1, 0, 2).astype(np.float32)
    step = np.abs(np.diff(lines, axis=0)).max(2)  # [lines - 1, along]
    share = np.quantile(step, 0.35, axis=1)  # two thirds of the line must step
    spread = np.median(np.abs(share - np.median(share))) + 0.5
    return (share - np.median(share)) / spread


def _seam_at(strength: np.ndarray, share: float) -> float:
    """The strongest seam near a share of the side; gutters and frames move it by up to 2.5 %."""
    n = len(strength) + 1
    reach = max(2, round(0.025 * n))
    middle = round(share * n)
    return float(strength[max(0, middle - reach) : middle + reach].max())


def _cells(image: np.ndarray, n: int, axis: int) -> list[tuple[int, int]]:
    """Where the pictures lie along `axis`: n spans between the seams or gutters, outer frames cut off."""
    lines = image if axis == 0 else image.transpose(1, 0, 2)
    length = len(lines)
    flat = lines.reshape(length, -1, 3).astype(np.float32).std(1).max(1) < _GUTTER_FLAT
    strength = np.concatenate([[-1.0], _seam_strength(image, axis), [-1.0]])  # [i] between lines i - 1 and i
    reach = max(2, round(0.025 * length))
    bounds = [(0, 0)]
    for i in range(1, n):
        middle = round(i * length / n)
        near = range(max(1, middle - reach), min(length, middle + reach))
        gutter = [line for line in near if flat[line]]
        if gutter:
            first, last = gutter[0], gutter[-1]
            while first > 0 and flat[first - 1]:
                first -= 1
            while last + 1 < length and flat[last + 1]:
                last += 1
            bounds.append((first, last + 1))
        else:
            seam = max(near, key=lambda line: (strength[line], -abs(line - middle)))
            bounds.append((seam, seam) if strength[seam] > _SEAM else (middle, middle))
    bounds.append((length, length))
    spans = [[bounds[i][1], bounds[i + 1][0]] for i in range(n)]
    reach = max(2, round(_FRAME * length))
    while spans[0][0] < reach and flat[spans[0][0]]:
        spans[0][0] += 1
    while spans[-1][1] > length - reach and flat[spans[-1][1] - 1]:
        spans[-1][1] -= 1
    return [(a, b) for a, b in spans]


def distinct_poses(frames: Iterable[Frame], count: int = 6) -> list[Frame]:
    """The `count` most distinct poses of a video, in order of time (section 8.4): frames -> frames.

    One pass over the video keeps thumbnails; the frames themselves are kept only while they may be chosen. What stays the
    same over the whole video is taken as background; the poses are chosen one after the other, always the one farthest from
    all chosen (Gonzalez 1985), among frames that are no blurrier than most. Raises InputError for a video with fewer
    different frames.
    """
    count = integer(count, "poses", low=LEAST, high=MOST)
    pool = _Pool(limit=16 * count)
    last_s = -np.inf
    for frame in frames:
        if frame.time_s - last_s >= 1 / _SAMPLED_FPS - 1e-6:
            last_s = frame.time_s
            pool.add(frame)
    return pool.chosen(count)


class _Pool:
    """Frames that may become keyframes: when there are too many, the one most like another goes."""

    def __init__(self, limit: int):
        self.limit = limit
        self.frames: list[Frame] = []
        self.small: list[np.ndarray] = []
        self.sharpness: list[float] = []

    def add(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.small.append(cv2.GaussianBlur(_thumbnail(frame.image, _THUMBNAIL), (0, 0), 1.0).astype(np.float32))
        grey = cv2.cvtColor(_thumbnail(frame.image, 256), cv2.COLOR_RGB2GRAY)
        self.sharpness.append(float(cv2.Laplacian(grey, cv2.CV_32F).var()))
        if len(self.frames) > self.limit:
            small = np.stack(self.small).reshape(len(self.small), -1)
            squares = (small**2).sum(1)
            distance = squares[:, None] + squares[None] - 2 * small @ small.T
            np.fill_diagonal(distance, np.inf)
            pair = np.unravel_index(distance.argmin(), distance.shape)
            drop = min(pair, key=lambda i: self.sharpness[i])
            for row in (self.frames, self.small, self.sharpness):
                del row[drop]

    def chosen(self, count: int) -> list[Frame]:
        if len(self.frames) < count:
            raise InputError(f"video: at least {count} different frames are needed, got {len(self.frames)}.")
        small = np.stack(self.small)
        moving = np.abs(small - np.median(small, axis=0)).max(3) > 12.0  # [N h w]: where each shows the subject
        subject = np.where(moving.any(0)[..., None], small, 0).reshape(len(small), -1)
        sharp = np.asarray(self.sharpness)
        usable = sharp >= _SHARP * np.median(sharp)
        pixels = max(1, int(moving.any(0).sum()) * 3)
        distance = np.abs(subject[:, None] - subject[None]).sum(2) / pixels
        picked = [int(np.where(usable, distance.sum(1), -1).argmax())]
        while len(picked) < count:
            nearest = np.where(usable, distance[:, picked].min(1), -1)
            if nearest.max() < _ALIKE:
                raise InputError(f"video: {count} different poses are needed, only {len(picked)} were found in it.")
            picked.append(int(nearest.argmax()))
        return [self.frames[i] for i in sorted(picked, key=lambda i: self.frames[i].time_s)]


def _thumbnail(image: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(image.shape[:2])
    size = tuple(max(8, round(s * scale)) for s in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _even(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, MAX_SIDE / max(size))
    return tuple(max(16, int(s * scale) // 2 * 2) for s in size)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + (" and " if len(numbers) > 1 else "") + str(numbers[-1])
