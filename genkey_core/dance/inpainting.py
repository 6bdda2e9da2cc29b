"""The background where no keyframe shows it, from the picture itself: shifted copies that fit at the rim, evened in tone.

After the statistics of patch offsets (He and Sun 2012), with a fixed fan of shifts, sideways before upwards: horizons, hills and
floors go on across the hole, and grain stays grain.
"""

from __future__ import annotations

import cv2
import numpy as np

from .matting import push_pull

_WORKING_SIDE = 384  # long side, in pixels, at which shifts are chosen
_STEEP = 0.5  # grey levels of rim error that a pixel of height in a shift costs, at the working size


def inpaint(plate: np.ndarray, hole: np.ndarray) -> np.ndarray:  # [H W 3] uint8
    """`plate` uint8 [H W 3] continued into `hole` bool [H W]; outside it nothing changes."""
    if not hole.any() or hole.all():
        return plate.copy()
    h, w = hole.shape
    scale = min(1.0, _WORKING_SIDE / max(h, w))
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    small = cv2.resize(plate, size, interpolation=cv2.INTER_AREA)
    small_hole = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.0
    choice, shifts = _chosen_shifts(small, small_hole)
    factor = np.array([w / size[0], h / size[1]])
    choice = cv2.resize(choice.astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST)
    filled, copied = plate.astype(np.float32), np.zeros((h, w), bool)
    drift, weight = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
    rim = _grown(hole, max(2, round(0.012 * max(h, w)))) & ~hole
    for number in np.unique(choice[hole]):
        shift = np.rint(shifts[number] * factor).astype(int)
        moved, there = _shifted(plate, shift), _shifted(hole.astype(np.uint8), shift, outside=1) == 0
        here = hole & (choice == number) & there
        filled[here], copied[here] = moved[here], True
        near = rim & (choice == number) & there
        drift[near], weight[near] = plate[near].astype(np.float32) - moved[near], 1.0
    tone = push_pull(cv2.GaussianBlur(drift, (0, 0), 3.0), cv2.GaussianBlur(weight, (0, 0), 3.0))
    rest = push_pull(plate * (~hole)[..., None].astype(np.float32), (~hole).astype(np.float32))
    filled = np.where((hole & ~copied)[..., None], rest, filled + np.where(copied[..., None], tone, 0.0))
    softened = cv2.GaussianBlur(filled, (0, 0), 0.7)  # where two copies meet
    seams = cv2.morphologyEx(choice, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    filled = np.where((seams & hole)[..., None], softened, filled)
    return np.where(hole[..., None], np.clip(np.rint(filled), 0, 255).astype(np.uint8), plate)


def _chosen_shifts(plate: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per pixel the number [h w] of the shift whose copy fits the rim around best, and the shifts [N 2] (x, y) themselves."""
    h, w = hole.shape
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    width, height = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    across = [s * round(f * width) for f in (0.5, 0.75, 1.0, 1.3, 1.7, 2.2) for s in (-1, 1)]
    up = [0, -2, 2, -5, 5, -round(0.3 * height), round(0.3 * height)]
    shifts = np.array([(x, y) for x in across for y in up if abs(x) < w and abs(y) < h])
    rim = _grown(hole, 5) & ~hole
    soft = cv2.GaussianBlur(plate, (0, 0), 0.8)
    costs = []
    for shift in shifts:
        moved, there = _shifted(soft, shift), _shifted(hole.astype(np.uint8), shift, outside=1) == 0
        error = np.minimum(cv2.absdiff(soft, moved).mean(-1), 60.0) + _STEEP * abs(shift[1])
        valid = (rim & there).astype(np.float32)
        cost = push_pull((error * valid)[..., None].astype(np.float32), valid)[..., 0]
        cost = cv2.GaussianBlur(cost, (0, 0), 3.0)
        costs.append(np.where(there, cost, 1e3))
    return np.argmin(costs, axis=0), shifts


def _shifted(picture: np.ndarray, shift: np.ndarray, *, outside: int | None = None) -> np.ndarray:
    """`picture` read at `shift` (x, y) away, beyond its border the edge or `outside`."""
    matrix = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
    mode = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], flags=flags, borderMode=mode, borderValue=outside or 0)


def _grown(mask: np.ndarray, radius: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0
