"""One subject apart from one background: masks, the background plate, contact shadows (thesis section 7.2.2, the draft engine).

From K keyframes over (nearly) one background: where the subject is elsewhere, the background is seen. What no keyframe shows of
it is inpainted. A subject that dances on the spot covers the same place in every keyframe, so what agrees is not yet background:
its colours, learned from what moves, decide (a few rounds of plate -> masks -> plate).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..checks import InputError
from .inpainting import inpaint
from .matting import refine
from .registration import Registered, register
from .segmentation import subject_masks

MIN_KEYFRAMES, MAX_KEYFRAMES = 3, 12
_DIFFERENT = 0.6  # a keyframe whose border agrees less than this with the others stands before another background
_LEAST, _MOST = 0.002, 0.9  # share of the picture that a subject takes
_SHADE_REACH = 0.12  # of the subject's height, how far its shadow is followed

Segmenter = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (images, draft masks [K H W]) -> masks float32 [K H W]


@dataclass(frozen=True)
class Scene:
    """Keyframes taken apart: a picture is `masks * subject + (1 - masks) * shades * plate`."""

    images: np.ndarray  # uint8 [K H W 3]
    masks: np.ndarray  # float32 [K H W], the subject's share of each pixel, 0 to 1
    plate: np.ndarray  # uint8 [H W 3], the background without anyone
    shades: np.ndarray  # float32 [K H W], what the subject's contact shadow leaves of the plate's light, 1 elsewhere
    notes: tuple[str, ...] = ()  # sentences for the user on what was found


def separate(
    images: Sequence[np.ndarray] | np.ndarray,
    *,
    masks: Sequence[np.ndarray] | np.ndarray | None = None,
    segmenter: Segmenter | None = None,
) -> Scene:
    """Masks and the background plate of 3 to 12 keyframes, uint8 [K H W 3] of one size.

    `masks` are the user's own, [H W] or [H W C] each, bool, uint8 or float, above half of their range is subject; `segmenter`
    betters the draft masks (see `sam.py`). Raises InputError for pictures that do not fit together and where no subject is found.
    """
    pictures = _pictures(images)
    given = None if masks is None else _given_masks(masks, pictures.shape[:3])
    found = register(pictures) if given is None else _unmoved(pictures)
    notes = _notes(found)
    hard, free = subject_masks(found.images, found.seen, found.agreement) if given is None else (given, found.seen)
    if given is None and segmenter is not None:
        hard = segmenter(found.images, hard.astype(np.float32)) > 0.5
    _check_subjects(hard, given is not None)
    plate, unseen = background_plate(found.images, free, hard)
    if unseen > 0.01:
        notes.append(
            f"No keyframe shows the background in {unseen:.0%} of the picture, where the subject always stands: painted in."
        )
    soft = np.stack([refine(i, m) for i, m in zip(found.images, hard, strict=True)])
    shades = np.stack([contact_shadow(i, m, plate) for i, m in zip(found.images, soft, strict=True)])
    return Scene(found.images, soft, plate, shades, tuple(notes))


def background_plate(images: np.ndarray, free: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, float]:
    """The background uint8 [H W 3] and the share of it that had to be inpainted.

    `images` uint8 [K H W 3]; `masks` bool [K H W] are the subjects, `free` bool [K H W] where there may be background. Per pixel
    the picture that agrees best with the others there, so that grain stays and nothing is averaged.
    """
    h, w = images.shape[1:3]
    reach = max(3, round(0.012 * max(h, w)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    free = np.stack([f & (cv2.dilate(m.astype(np.uint8), disc) == 0) for f, m in zip(free, masks, strict=True)])
    plate = most_agreed(images, free)
    never = ~free.any(0)
    unseen = float(never.mean())
    return (inpaint(plate, never) if never.any() else plate), unseen


def most_agreed(images: np.ndarray, free: np.ndarray) -> np.ndarray:  # [H W 3] uint8
    """Per pixel the keyframe of those `free` [K H W] there that most others agree with, uint8 [K H W 3]."""
    k, h, w = images.shape[:3]
    soft = [cv2.GaussianBlur(i, (0, 0), 1.5).astype(np.float32) for i in images]
    votes = np.zeros((k, h, w), np.float32)
    for i in range(k):
        for j in range(i + 1, k):
            apart = np.square(soft[i] - soft[j]).sum(-1)
            agree = np.exp(apart * np.float32(-0.5 / 12.0**2)) * (free[i] & free[j])
            votes[i] += agree
            votes[j] += agree
    votes = np.stack([cv2.GaussianBlur(v, (0, 0), 3.0) for v in votes])  # whole patches from one keyframe
    votes = np.where(free, votes + 1e-3, -1.0)
    return np.take_along_axis(images, votes.argmax(0)[None, ..., None], axis=0)[0]


def contact_shadow(image: np.ndarray, mask: np.ndarray, plate: np.ndarray) -> np.ndarray:  # [H W] float32
    """What is left of the plate's light around the subject, 0.4 to 1: a smooth darkening alike in all channels."""
    h, w = mask.shape
    rows = np.flatnonzero((mask > 0.5).any(1))
    if not len(rows):
        return np.ones((h, w), np.float32)
    height = int(rows[-1] - rows[0] + 1)
    reach = max(4.0, _SHADE_REACH * height)
    around = cv2.distanceTransform((mask <= 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    near = np.clip(1.5 - 1.5 * around / reach, 0.0, 1.0)
    near *= np.clip((np.arange(h, dtype=np.float32) - rows[0]) / height * 5.0 - 2.5, 0.0, 1.0)[:, None]  # on the ground
    blurred = [cv2.GaussianBlur(p.astype(np.float32), (0, 0), 1.5) for p in (image, plate)]
    ratios = (blurred[0] + 4.0) / (blurred[1] + 4.0)
    ratio, spread = ratios.mean(-1), ratios.max(-1) - ratios.min(-1)
    alike = np.clip(1.5 - spread / 0.08, 0.0, 1.0)  # a shadow keeps the colour
    weight = alike * (mask < 0.05) * (around > 2.0)
    darker = np.clip(1.0 - ratio, 0.0, 0.6) * weight
    sigma = max(2.0, 0.006 * h)
    shadow = cv2.GaussianBlur(darker, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 0.15)
    shadow = np.where(shadow * near < 0.02, 0.0, shadow * near)  # exactly nothing where there is nothing to see
    return (1.0 - shadow).astype(np.float32)


def _pictures(images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    if not MIN_KEYFRAMES <= len(images) <= MAX_KEYFRAMES:
        raise InputError(f"keyframes: {MIN_KEYFRAMES} to {MAX_KEYFRAMES} are needed, got {len(images)}.")
    first = images[0]
    for i, picture in enumerate(images):
        if (
            not isinstance(picture, np.ndarray)
            or picture.dtype != np.uint8
            or picture.ndim != 3
            or picture.shape[2] != 3
        ):
            raise InputError(
                f"keyframe {i + 1}: a uint8 picture [H W 3] is needed, got {getattr(picture, 'shape', type(picture))}."
            )
        if picture.shape != first.shape:
            size, wanted = ("x".join(map(str, p.shape[1::-1])) for p in (picture, first))
            raise InputError(f"keyframe {i + 1}: {size} pixels, but keyframe 1 has {wanted}; all must have one size.")
    if min(first.shape[:2]) < 64:
        raise InputError(f"keyframes: at least 64 pixels a side are needed, got {first.shape[1]}x{first.shape[0]}.")
    return np.stack([np.ascontiguousarray(p) for p in images])


def _given_masks(masks: Sequence[np.ndarray] | np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:  # [K H W] bool
    if len(masks) != shape[0]:
        raise InputError(f"masks: one per keyframe is needed, {shape[0]}, got {len(masks)}.")
    hard = []
    for i, mask in enumerate(masks):
        mask = np.asarray(mask)
        flat = mask.max(-1) if mask.ndim == 3 else mask
        if flat.shape != shape[1:]:
            raise InputError(f"mask {i + 1}: {shape[2]}x{shape[1]} pixels are needed, got {flat.shape[::-1]}.")
        hard.append(flat > (127 if flat.dtype == np.uint8 else 0.5))
    return np.stack(hard)


def _unmoved(images: np.ndarray) -> Registered:
    k = len(images)
    return Registered(images, np.ones(images.shape[:3], bool), np.zeros(k), np.ones((k, 3)), np.ones(k))


def _notes(found: Registered) -> list[str]:
    notes = []
    w = found.images.shape[2]
    moved = int(found.moved_px.argmax())
    if found.moved_px[moved] > 0.01 * w:
        notes.append(
            f"The camera moves: keyframe {moved + 1} was shifted by up to {found.moved_px[moved]:.0f} pixels "
            f"({found.moved_px[moved] / w:.0%} of the width) to lie on the others, which leaves seams where views differ."
        )
    for i in np.flatnonzero(found.agreement < _DIFFERENT):
        notes.append(
            f"Keyframe {i + 1} stands before another background ({1 - found.agreement[i]:.0%} of its border differs from "
            "the others'): it is put before the common one."
        )
    return notes


def _check_subjects(masks: np.ndarray, given: bool) -> None:
    shares = masks.mean((1, 2))
    for i in np.flatnonzero((shares < _LEAST) | (shares > _MOST)):
        what = "its mask covers" if given else "the subject found covers"
        remedy = (
            "" if given else "; give a mask for every keyframe, or keyframes whose poses differ before one background"
        )
        raise InputError(
            f"keyframe {i + 1}: {what} {shares[i]:.1%} of the picture, {_LEAST:.1%} to {_MOST:.0%} is needed{remedy}."
        )
