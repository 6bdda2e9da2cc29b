"""Keyframes of one scene brought onto one another: camera, exposure, and how far their backgrounds agree (thesis 7.2.2).

Generated keyframes wobble by a pixel and a grey level; frames of a film may pan. Everything is brought to the keyframe in
the middle of the camera's way. What is measured is said, never hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .. import flow as of

_BORDER = 0.1  # share of the picture, left, right and above, in which the background is mostly seen
_AGREE = 16.0  # grey levels, largest channel, within which two pictures of one background agree
_GAIN_RANGE = 0.8, 1.25  # exposure that is evened out; what lies beyond is another background
_STILL = 2.0  # grey levels: borders this near to one another need no alignment
_ALIKE = 8.0  # grey levels: borders this near are one background, seen from one place as far as can be told
_BETTER = 0.8  # of the difference between the borders, which an alignment must come below
_FURTHEST = 0.25  # of the diagonal: a corner moved further has left the scene
_MATCHING_SIDE = 640  # long side, in pixels, at which features are matched
_SCORING_SIDE = 480  # long side, in pixels, at which agreement is counted


@dataclass(frozen=True)
class Registered:
    """Keyframes on one camera: `images` uint8 [K H W 3], `seen` bool [K H W], and per keyframe what was found."""

    images: np.ndarray
    seen: np.ndarray  # where the keyframe itself reaches after its camera's motion is taken out
    moved_px: np.ndarray  # [K] the furthest a corner was moved
    gains: np.ndarray  # [K 3] factors on the channels
    agreement: np.ndarray  # [K] share of the border, 0 to 1, that agrees with the other keyframes' border


def register(images: np.ndarray) -> Registered:
    """`images` uint8 [K H W 3] on one camera and one exposure; a keyframe whose camera cannot be found stays as it is."""
    k, h, w = images.shape[:3]
    homographies = _cameras(images)
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float64)
    places = np.stack([cv2.perspectiveTransform(corners[None], m)[0] for m in homographies])  # [K 4 2]
    spread = np.linalg.norm(places[:, None] - places[None], axis=-1).max(-1)  # [K K]
    middle = int(np.argmin(spread.max(1)))
    moved = np.zeros(k)
    aligned, seen = images.copy(), np.ones((k, h, w), bool)
    for i in range(k):
        matrix = np.linalg.inv(homographies[middle]) @ homographies[i]
        there = cv2.perspectiveTransform(corners[None], matrix)[0]
        moved[i] = np.linalg.norm(there - corners, axis=1).max()
        if moved[i] > 0.0:
            aligned[i] = cv2.warpPerspective(
                images[i], matrix, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            inside = cv2.warpPerspective(np.full((h, w), 255, np.uint8), matrix, (w, h), flags=cv2.INTER_LINEAR)
            seen[i] = inside == 255
    gains = np.stack([_gain(aligned, seen, i) for i in range(k)])
    for i in np.flatnonzero(np.abs(gains - 1.0).max(1) > 0.01):
        aligned[i] = np.clip(np.rint(aligned[i] * gains[i].astype(np.float32)), 0, 255).astype(np.uint8)
    agreement = np.array([_agreement_with_others(aligned, seen, i) for i in range(k)])
    return Registered(aligned, seen, moved, gains, agreement)


def border_band(shape: tuple[int, int]) -> np.ndarray:  # [H W] bool
    """The margin left, right and above. Below stands the subject, often cut off there in half-body pictures."""
    h, w = shape
    band = np.ones(shape, bool)
    margin = max(1, round(_BORDER * min(h, w)))
    band[margin:, margin : w - margin] = False
    return band


def _cameras(images: np.ndarray) -> np.ndarray:  # [K 3 3]
    """The homography from every keyframe to the first, by way of others where the two see too little in common."""
    found = {0: np.eye(3)}
    fresh = [0]
    while fresh:
        reference = fresh.pop(0)
        for i in sorted(set(range(len(images))) - set(found)):
            matrix = _camera(images[i], images[reference])
            if matrix is not None:
                found[i] = found[reference] @ matrix
                fresh.append(i)
    return np.stack([found.get(i, np.eye(3)) for i in range(len(images))])


def _camera(image: np.ndarray, reference: np.ndarray) -> np.ndarray | None:  # [3 3]
    """The homography from `image` to `reference` that brings their borders together, or None where none does."""
    h, w = image.shape[:2]
    band = border_band((h, w))
    before = _apart(image, reference, band)
    if before < _STILL:
        return np.eye(3)
    scale = min(1.0, _MATCHING_SIDE / max(h, w))
    grey = [
        cv2.cvtColor(cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        for p in (image, reference)
    ]
    for estimate in (_by_features, _by_intensity):
        homography = estimate(*grey)
        if homography is None:
            continue
        homography = np.diag([1 / scale, 1 / scale, 1.0]) @ homography @ np.diag([scale, scale, 1.0])
        warped = cv2.warpPerspective(image, homography, (w, h), borderMode=cv2.BORDER_REPLICATE)
        inside = cv2.warpPerspective(np.ones((h, w), np.uint8), homography, (w, h)) > 0
        corners = np.array([[[0, 0], [w, 0], [w, h], [0, h]]], np.float64)
        move = np.linalg.norm(cv2.perspectiveTransform(corners, homography) - corners, axis=-1).max()
        if move < _FURTHEST * np.hypot(h, w) and _apart(warped, reference, band & inside) < _BETTER * before:
            return homography
    return np.eye(3) if before < _ALIKE else None


def _by_features(image: np.ndarray, reference: np.ndarray) -> np.ndarray | None:
    """From matches, if enough of them lie at the border: before a flat background they are the subject's own."""
    points, there = of.match_features(image, reference, n_features=1200)
    homography = of.global_motion(points, there, image.shape)
    if homography is None:
        return None
    carried = cv2.perspectiveTransform(points[None].astype(np.float64), homography)[0]
    agreeing = points[np.linalg.norm(carried - there, axis=1) < 3.0].astype(int)
    at_border = border_band(image.shape)[agreeing[:, 1], agreeing[:, 0]].sum()
    return homography if at_border >= of.MIN_MATCHES else None


def _by_intensity(image: np.ndarray, reference: np.ndarray) -> np.ndarray | None:
    """A small shift, from the border's grey values alone (enhanced correlation, Evangelidis and Psarakis 2008)."""
    shift = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    try:
        band = border_band(image.shape).astype(np.uint8)
        _, shift = cv2.findTransformECC(image, reference, shift, cv2.MOTION_TRANSLATION, stop, band, 5)
    except cv2.error:  # no texture to hold on to
        return None
    return np.vstack([shift, [0.0, 0.0, 1.0]])


def _apart(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    """The mean difference of two uint8 pictures in grey levels, each at most 40, over the pixels `where` [H W]."""
    apart = np.minimum(cv2.absdiff(a, b).max(-1), 40)
    return float(apart[where].mean()) if where.any() else 40.0


def _agree(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    """Share of the pixels `where` [H W] at which two uint8 pictures agree, looked at a little out of focus."""
    if not where.any():
        return 0.0
    scale = min(1.0, _SCORING_SIDE / max(a.shape[:2]))
    size = (max(1, round(a.shape[1] * scale)), max(1, round(a.shape[0] * scale)))
    a, b = (cv2.GaussianBlur(cv2.resize(p, size, interpolation=cv2.INTER_AREA), (0, 0), 1.0) for p in (a, b))
    where = cv2.resize(where.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    near = cv2.absdiff(a, b).max(-1) < _AGREE
    return float(near[where].mean()) if where.any() else 0.0


def _gain(images: np.ndarray, seen: np.ndarray, which: int) -> np.ndarray:  # [3]
    """Factors that bring the border of keyframe `which` to the median of all keyframes' borders."""
    band = border_band(images.shape[1:3]) & seen[which]
    if band.sum() < 64:
        return np.ones(3)
    own = images[which][band].astype(np.float32)  # [N 3]
    common = np.median(images[:, band], axis=0).astype(np.float32)
    usable = ((own > 16) & (own < 250) & (common > 16) & (common < 250)).all(1)
    if usable.sum() < 64:
        return np.ones(3)
    gain = np.median(common[usable] / own[usable], axis=0)
    return gain if (gain > _GAIN_RANGE[0]).all() and (gain < _GAIN_RANGE[1]).all() else np.ones(3)


def _agreement_with_others(images: np.ndarray, seen: np.ndarray, which: int) -> float:
    """The median share of border that agrees with each of the other keyframes."""
    band = border_band(images.shape[1:3])
    shares = [_agree(images[which], images[i], band & seen[which] & seen[i]) for i in range(len(images)) if i != which]
    return float(np.median(shares)) if shares else 1.0
