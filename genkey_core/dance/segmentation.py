"""Where the subject stands in each keyframe, training-free: what differs from the background, and what has its colours.

The evidence per pixel is a log-odds: the difference to the current background plate, what that plate is worth there, and the
colours of what surely moves against those of what surely does not. It is smoothed along the picture's edges (cost-volume
filtering, Rhemann et al. 2011) and cut at zero.
"""

from __future__ import annotations

import cv2
import numpy as np

from .matting import guided_filter
from .registration import border_band

_WORKING_SIDE = 512  # long side, in pixels, at which the evidence is gathered
_ROUNDS = 3
_FLOOR = 4.0  # grey levels below which nothing is seen to differ
_FAINT = 40.0  # grey levels by which a part that stands apart differs, times its log-odds: less is a shadow
_BINS = 20  # per axis of the colour histograms
_COLOUR_RANGE = -0.8, 2.5  # log-odds beyond which a colour says no more, where the plate is believed
_NEAR = 0.06  # of the long side, from what moves, within which a still place may belong to the subject by its colour
_COMMON = 8.0  # how much rarer than in the subject a colour must be behind it before it speaks for the subject
_SHADOW = 2.5  # log-odds against what looks like the plate in a shadow
_SMALL_PART = 0.03  # of the largest part of the subject: what is smaller and apart is dropped


def subject_masks(images: np.ndarray, seen: np.ndarray, agreement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the subject in registered keyframes uint8 [K H W 3], and where each shows the background plate: bool [K H W] both.

    `seen` bool [K H W] is where each keyframe reaches; `agreement` [K] how far its border agrees with the others', which is how
    far the common plate is believed for it.
    """
    h, w = images.shape[1:3]
    scale = min(1.0, _WORKING_SIDE / max(h, w))
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    small = np.stack([cv2.resize(i, size, interpolation=cv2.INTER_AREA) for i in images])
    reach = np.stack([cv2.resize(s.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0 for s in seen])
    trust = np.clip((agreement - 0.3) / 0.5, 0.0, 1.0)
    masks, free = _rounds(small, reach, trust)
    return np.stack([_enlarged(m, (w, h)) for m in masks]), np.stack([_enlarged(f, (w, h)) for f in free]) & seen


def _enlarged(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_CUBIC) > 0.5


def _rounds(images: np.ndarray, seen: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from .plates import most_agreed

    known = np.ones(images.shape[1:3], bool)
    lab = np.stack([cv2.cvtColor(i, cv2.COLOR_RGB2LAB) for i in images])
    plate = most_agreed(images, seen)
    masks = None
    for _ in range(_ROUNDS):
        differs = np.stack([difference(i, plate) for i in images])
        shadows, lights = np.stack([relit(i, plate) for i in images], axis=1)
        evidence = np.stack([_plate_evidence(d, _noise(d), known) for d in differs * (1.0 - 0.8 * shadows)])
        moving = np.stack([_without_crumbs((e > 1.0).astype(np.uint8)) for e in evidence])
        total = _total_evidence(lab, cv2.cvtColor(plate, cv2.COLOR_RGB2LAB), evidence, moving, masks, trust)
        total -= _SHADOW * shadows * np.stack([_low(m) for m in moving])
        masks = np.stack([_cut(i, t) for i, t in zip(images, total, strict=True)])
        lit = np.stack([_lit_parts(m, light) for m, light in zip(masks, lights, strict=True)])
        masks &= ~lit
        masks &= ~np.stack([_doubtful_parts(m, d, t) for m, d, t in zip(masks, differs, total, strict=True)])
        dark = (shadows > 0.3) & (differs > _FLOOR)
        free = np.stack([s & ~_grown(m | d, 4) for s, m, d in zip(seen, masks, dark, strict=True)])
        free &= lit | ~lit.any(0)  # where one keyframe alone is free of everyone's shadow, that one shows the plate
        known = free.any(0)
        plate = np.where(known[..., None], most_agreed(images, free), plate)
    return masks, free


def difference(image: np.ndarray, plate: np.ndarray) -> np.ndarray:  # [h w] float32
    """How far uint8 `image` [h w 3] lies outside what `plate` shows within a pixel around, in grey levels."""
    box = np.ones((3, 3), np.uint8)
    soft, still = (cv2.GaussianBlur(p, (0, 0), 0.8) for p in (image, plate))
    above = cv2.subtract(soft, cv2.dilate(still, box)).astype(np.float32)
    below = cv2.subtract(cv2.erode(still, box), soft).astype(np.float32)
    return np.maximum(above, below).max(-1)


def relit(image: np.ndarray, plate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far, 0 to 1, uint8 `image` [h w 3] looks like `plate` in a shadow, and like `plate` with a shadow taken off it.

    That is: darker, or brighter, by one smooth factor that is alike in all channels. Both float32 [h w].
    """
    soft, still = (cv2.GaussianBlur(p.astype(np.float32), (0, 0), 1.2) + 8.0 for p in (image, plate))
    ratios = soft / still
    ratio, spread = ratios.mean(-1), ratios.max(-1) - ratios.min(-1)
    mean = cv2.blur(ratio, (5, 5))
    rough = np.sqrt(np.maximum(cv2.blur(ratio * ratio, (5, 5)) - mean * mean, 0.0))
    smooth = np.clip(2.0 - spread / 0.04, 0.0, 1.0) * np.clip(2.0 - rough / 0.03, 0.0, 1.0)
    return smooth * np.clip((ratio - 0.5) / 0.1, 0.0, 1.0) * (ratio < 0.97), smooth * (ratio > 1.0) * (ratio < 1.6)


def _noise(differs: np.ndarray) -> float:
    """The difference that the border shows anyway, in grey levels."""
    return float(np.quantile(differs[border_band(differs.shape)], 0.7))


def _plate_evidence(differs: np.ndarray, noise: float, known: np.ndarray) -> np.ndarray:
    threshold = max(_FLOOR, 3.0 * noise)
    evidence = np.clip(2.0 * (differs / threshold - 1.0), -1.2, 3.0)
    return np.where(known, evidence, np.maximum(evidence, 0.3)).astype(np.float32)


def _total_evidence(
    lab: np.ndarray,
    plate: np.ndarray,
    evidence: np.ndarray,
    moving: np.ndarray,
    masks: np.ndarray | None,
    trust: np.ndarray,
) -> np.ndarray:  # [K h w]
    """`evidence` of the plate [K h w] and that of the colours: the subject's, pooled, against each background's own.

    `lab`, `plate` uint8 are the pictures; `moving` bool [K h w] is what differs from the plate, `masks` the best so far. Where
    the plate is believed, a still place far from all that moves is background whatever its colour. Where the plate itself has
    the subject's colours (someone who dances on the spot is in it), what it says is turned round.
    """
    k, h, w = moving.shape
    index, plate_index = (x.astype(np.int32) * _BINS // 256 @ np.array([_BINS * _BINS, _BINS, 1]) for x in (lab, plate))
    believed = trust > 0.5
    subject = moving if masks is None else masks
    if not subject[believed].any():
        return trust[:, None, None] * evidence
    pooled = _histogram(index[believed][subject[believed]])
    total = np.empty((k, h, w), np.float32)
    for i in range(k):
        behind = ~_grown(_hull(subject[i]), 6) if believed[i] and subject[i].any() else border_band((h, w))
        odds = np.log((pooled + 1e-5) / (_COMMON * _histogram(index[i][behind]) + 1e-5))
        if not believed[i]:
            total[i] = trust[i] * evidence[i] + np.clip(odds[index[i]], -_COLOUR_RANGE[1], _COLOUR_RANGE[1])
            continue
        away = cv2.distanceTransform((~moving[i]).astype(np.uint8), cv2.DIST_L2, 5) / (_NEAR * max(h, w))
        near = np.exp(-np.square(away))
        turned = np.clip(odds[plate_index] - 0.5, 0.0, 1.0) * near
        total[i] = evidence[i] * (1.0 - turned) + np.clip(odds[index[i]], *_COLOUR_RANGE) * near
    return total


def _hull(mask: np.ndarray) -> np.ndarray:
    """The convex hull of a bool [h w] mask, filled."""
    points = cv2.findNonZero(mask.astype(np.uint8))
    filled = np.zeros(mask.shape, np.uint8)
    if points is not None:
        cv2.fillConvexPoly(filled, cv2.convexHull(points), 1)
    return filled > 0


def _low(moving: np.ndarray) -> np.ndarray:  # [h 1] float32
    """1 near the feet of what moves and below, 0 higher up: contact shadows lie on the ground."""
    rows = np.flatnonzero(moving.any(1))
    if not len(rows):
        return np.zeros((len(moving), 1), np.float32)
    height = rows[-1] - rows[0] + 1
    return np.clip((np.arange(len(moving), dtype=np.float32) - rows[0] - 0.65 * height) / (0.15 * height), 0.0, 1.0)[
        :, None
    ]


def _grown(mask: np.ndarray, radius: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0


def _histogram(index: np.ndarray) -> np.ndarray:  # [bins^3], sums to 1
    from scipy.ndimage import gaussian_filter

    counts = np.bincount(index.ravel(), minlength=_BINS**3).astype(np.float64).reshape(_BINS, _BINS, _BINS)
    smooth = gaussian_filter(counts, 0.8).ravel()
    return smooth / max(smooth.sum(), 1e-9)


def _cut(image: np.ndarray, evidence: np.ndarray) -> np.ndarray:  # [h w] bool
    """The evidence smoothed along edges and cut at zero; crumbs dropped, pinholes closed."""
    smooth = guided_filter(image, evidence.astype(np.float32), radius=4, eps=4e-4)
    mask = (smooth > 0.0).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return _without_crumbs(mask)


def _lit_parts(mask: np.ndarray, light: np.ndarray) -> np.ndarray:  # [h w] bool
    """The parts of `mask` that are the background in a better light than the plate has it: no subject, the plate's shadow."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    parts = [i for i in range(1, count) if light[labels == i].mean() > 0.35]
    return np.isin(labels, parts)


def _doubtful_parts(mask: np.ndarray, differs: np.ndarray, total: np.ndarray) -> np.ndarray:  # [h w] bool
    """The parts of `mask` beside the largest that differ little from the plate: a shadow on the ground below a leap."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 3:
        return np.zeros(mask.shape, bool)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    apart = [i for i in range(1, count) if i != largest]
    doubtful = [i for i in apart if np.median(differs[labels == i]) * total[labels == i].mean() < _FAINT]
    return np.isin(labels, doubtful)


def _without_crumbs(mask: np.ndarray) -> np.ndarray:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return mask > 0
    areas = stats[1:, cv2.CC_STAT_AREA]
    keep = np.flatnonzero(areas >= _SMALL_PART * areas.max()) + 1
    kept = np.isin(labels, keep)
    holes, inner, hole_stats, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8), connectivity=4)
    small = [i for i in range(1, holes) if hole_stats[i, cv2.CC_STAT_AREA] < 0.01 * areas.max()]
    return kept | np.isin(inner, small)
