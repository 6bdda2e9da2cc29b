"""Motion from a video without any model: silhouette and flow of the subject, in its own frame (thesis section 7.2.1).

    motion = watch("dance.mp4")
    read_choreography(motion, segments_s)

For a fixed camera and one dancer. The backdrop is the median of frames from all over the video, without the figure that stands in
it for most of the time; the silhouette is what differs from it. Frames are taken one at a time and worked on at 160 pixels of
height, so that size and length of the video cost little memory. Mirrored is flipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..checks import InputError
from ..media.files import base_name
from ..media.probe import probe
from ..media.reader import read_frames
from .motion import MAX_MOTION_S

FPS = 15.0
BODY_M = 1.7  # what a subject is taken to be high

_HEIGHT = 160  # pixels, of the working size
_PLATE_FRAMES = 40
_LARGEST_FIGURE = 0.2  # of the picture, that is painted over
_CELLS = 24  # of the silhouette, a side; of the flow half as many
_WINDOW = 1.5  # heights of the subject that the frame of the descriptor is wide and high
_DIFFERENT = 22.0  # grey levels of a colour from the backdrop's, at which a pixel is half the subject's
_LEAST_SHARE, _LARGEST_SHARE = 0.004, 0.7  # of the picture, that a subject may cover
_FLOW_WEIGHT = 0.15
_SPEED = 1.0  # heights a second that count as much as a silhouette beside the other
_AREA_FLOOR = 0.02
_STEADY_S = 0.25  # how fast the frame follows the subject sideways


@dataclass(frozen=True)
class FilmedMotion:
    """A dancer as filmed: one silhouette and flow per frame."""

    silhouettes: np.ndarray  # float32 [T _CELLS _CELLS], 0 to 1
    flows: np.ndarray  # float32 [T _CELLS/2 _CELLS/2 2], heights of the subject a second, x to the viewer's right
    translation_m: np.ndarray  # float64 [T 3], x to the dancer's left, who faces the viewer: the viewer's right
    fps: float
    source: str = "video"

    @property
    def duration_s(self) -> float:
        return (len(self.silhouettes) - 1) / self.fps

    @property
    def thresholds(self) -> tuple[float, float]:
        """eps and eps' for `distances`, chosen on drawn dancers: equal moves are up to 0.11 apart, others 0.13 and more."""
        return (0.12, 0.16)

    def sampled(self, times_s: np.ndarray) -> FilmedMotion:
        """The frames at `times_s` [N], blended between neighbours; beyond the ends the last."""
        positions = np.clip(np.asarray(times_s, np.float64) * self.fps, 0, len(self.silhouettes) - 1)
        first = np.floor(positions).astype(int)
        second = np.minimum(first + 1, len(self.silhouettes) - 1)
        share = (positions - first).astype(np.float32)

        def blended(values: np.ndarray) -> np.ndarray:
            weight = share.reshape(-1, *[1] * (values.ndim - 1))
            return values[first] * (1 - weight) + values[second] * weight

        return replace(
            self,
            silhouettes=blended(self.silhouettes),
            flows=blended(self.flows),
            translation_m=blended(self.translation_m),
        )

    def mirrored(self) -> FilmedMotion:
        """The same dance to the other side: flipped, and all ways across turned round."""
        return replace(
            self,
            silhouettes=self.silhouettes[:, :, ::-1],
            flows=self.flows[:, :, ::-1] * np.array([-1, 1], np.float32),
            translation_m=self.translation_m * [-1.0, 1.0, 1.0],
        )

    def distances(self, other: FilmedMotion) -> np.ndarray:
        """Between all frames of both: the share of the silhouettes that is not common, and how the flows differ; [T T']."""
        from scipy.spatial.distance import cdist

        ours, theirs = (m.silhouettes.reshape(len(m.silhouettes), -1).astype(np.float64) for m in (self, other))
        flow, their_flow = (m.flows.reshape(len(m.flows), -1).astype(np.float64) for m in (self, other))
        area = ours.sum(axis=1)[:, None] + theirs.sum(axis=1)[None]
        area = np.maximum(area, _AREA_FLOOR * ours.shape[1])
        moving = 4 * cdist(flow, their_flow, "cityblock") / area / _SPEED  # a flow cell is four of the silhouette
        return cdist(ours, theirs, "cityblock") / area + _FLOW_WEIGHT * moving


def watch(path: str | os.PathLike) -> FilmedMotion:
    """The motion in a video of a fixed camera and one dancer, up to ten minutes.

    Raises InputError where the file is no video, is too long or too short, and where nothing or nearly everything moves.
    """
    name = base_name(path)
    duration_s = probe(path).duration_s
    if duration_s > MAX_MOTION_S:
        raise InputError(f"{name}: at most {MAX_MOTION_S:g} s of video are read, got {duration_s:.0f} s.")
    plate = clean_plate(_small(path, max(_PLATE_FRAMES / max(duration_s, 0.1), 0.1)), name)
    masks, flows, before = [], [], None
    for picture in _small(path, FPS):
        masks.append((subject(picture, plate) * 255).astype(np.uint8))
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        flows.append(_flow(before, grey, masks[-1]))
        before = grey
    if len(masks) < 2:
        raise InputError(f"{name}: a video of at least two frames at {FPS:g} a second is needed.")
    return described(np.stack(masks), np.stack(flows), name)


def _small(path: str | os.PathLike, fps: float) -> Iterator[np.ndarray]:
    """The frames of a video at `fps`, uint8 [_HEIGHT W 3]."""
    for frame in read_frames(path, fps=fps):
        height, width = frame.image.shape[:2]
        size = (max(round(width * _HEIGHT / height), 16), _HEIGHT)
        yield cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)


def clean_plate(pictures: Iterator[np.ndarray], name: str) -> np.ndarray:
    """The backdrop uint8 [H W 3] of pictures of one scene, without who stands in most of them.

    What is the median's own figure is told by GrabCut (Rother et al. 2004), and painted over.
    """
    stack = np.stack(list(pictures)[: 2 * _PLATE_FRAMES])
    plate = np.median(stack, axis=0).astype(np.uint8)
    change = np.percentile(np.abs(stack.astype(np.int16) - plate).max(axis=3), 90, axis=0)
    moved = (change > _DIFFERENT).astype(np.uint8)
    moved = cv2.morphologyEx(moved, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    share = float(moved.mean())
    if not 0.5 * _LEAST_SHARE < share < _LARGEST_SHARE:
        what = "nothing moves in it" if share < _LARGEST_SHARE else "nearly all of it changes, as with a moving camera"
        raise InputError(f"{name}: no dancer is found, {what}. A fixed camera and one dancer are needed.")
    return _without_figure(plate, moved)


def _without_figure(plate: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Paint over what, where things move, is of other colours than the backdrop carried in from around."""
    hull = np.zeros_like(moved)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.argwhere(moved)[:, ::-1].astype(np.int32)), 1)
    hull = cv2.dilate(hull, np.ones((7, 7), np.uint8))
    carried = cv2.inpaint(plate, hull, 5, cv2.INPAINT_TELEA)
    other = (hull > 0) & (np.linalg.norm(plate.astype(np.float32) - carried, axis=2) > _DIFFERENT)
    label = np.where(other, cv2.GC_PR_FGD, np.where(hull > 0, cv2.GC_PR_BGD, cv2.GC_BGD)).astype(np.uint8)
    if other.sum() < 20 or (label == cv2.GC_BGD).sum() < 20:
        return plate
    if other.mean() > _LARGEST_FIGURE:  # a backdrop that cannot be carried in: the median, with who stands in it
        return plate
    cv2.setRNGSeed(7)  # GrabCut's clusters start from OpenCV's own generator
    cv2.grabCut(plate, label, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    figure = np.isin(label, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    return cv2.inpaint(plate, cv2.dilate(figure, np.ones((7, 7), np.uint8)), 5, cv2.INPAINT_TELEA)


def subject(picture: np.ndarray, plate: np.ndarray) -> np.ndarray:  # -> float32 [H W], 0 to 1
    """How much each pixel is the subject's: far from the backdrop in colour, in one piece with the largest such region."""
    difference = np.linalg.norm(cv2.GaussianBlur(picture, (3, 3), 0).astype(np.float32) - plate, axis=2)
    soft = np.clip(difference / _DIFFERENT - 0.5, 0, 1)
    n, pieces, stats, _ = cv2.connectedComponentsWithStats((soft > 0.5).astype(np.uint8), connectivity=8)
    if n < 2:
        return soft * 0
    sizes = stats[1:, cv2.CC_STAT_AREA]
    kept = np.isin(pieces, 1 + np.flatnonzero(sizes >= 0.1 * sizes.max()))  # limbs that the backdrop cuts off
    return soft * cv2.dilate(kept.astype(np.uint8), np.ones((3, 3), np.uint8))


def _flow(before: np.ndarray | None, after: np.ndarray, mask: np.ndarray) -> np.ndarray:  # -> float16 [H/2 W/2 2]
    """Flow of the subject, pixels a frame."""
    size = (after.shape[1] // 2, after.shape[0] // 2)
    if before is None:
        return np.zeros((size[1], size[0], 2), np.float16)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(before, after, None)
    return cv2.resize(flow * (mask[..., None] / np.float32(255)), size, interpolation=cv2.INTER_AREA).astype(np.float16)


def described(masks: np.ndarray, flows: np.ndarray, name: str) -> FilmedMotion:
    """Silhouettes uint8 [T H W] and flows [T H/2 W/2 2] -> the descriptor in the subject's own frame."""
    areas = masks.mean(axis=(1, 2)) / 255
    seen = areas > _LEAST_SHARE
    if seen.mean() < 0.5:
        raise InputError(f"{name}: no dancer is found in most of its frames. A fixed camera and one dancer are needed.")
    centre, top, bottom = _boxes(masks, seen)
    body = float(np.percentile(bottom[seen] - top[seen], 75))
    floor = float(np.percentile(bottom[seen], 75))
    from scipy.ndimage import gaussian_filter1d

    middle = gaussian_filter1d(centre, _STEADY_S * FPS, mode="nearest")
    silhouettes, moved = [], []
    for mask, flow, x in zip(masks, flows, middle, strict=True):
        silhouettes.append(_framed(mask.astype(np.float32) / 255, x, floor, body, _CELLS))
        halved = _framed(flow.astype(np.float32), x / 2, floor / 2, body / 2, _CELLS // 2)
        moved.append(halved * (FPS / body))
    places = np.stack([centre, floor - (top + bottom) / 2, np.zeros_like(centre)], axis=1) / body * BODY_M
    return FilmedMotion(np.stack(silhouettes), np.stack(moved), places - places[0], FPS)


def _boxes(masks: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middle column, top and bottom of each silhouette, float64 [T]; where there is none, between its neighbours."""
    found = np.zeros((3, len(masks)))
    for i in np.flatnonzero(seen):
        rows, columns = np.nonzero(masks[i] > 127)
        if len(rows):
            found[:, i] = np.median(columns), *np.percentile(rows, [1, 99])
    here = np.flatnonzero(seen)
    return tuple(np.interp(np.arange(len(masks)), here, values[here]) for values in found)


def _framed(values: np.ndarray, x: float, floor: float, body: float, cells: int) -> np.ndarray:
    """`values` [H W ...] in a square about column `x` that stands on `floor`, blurred and brought to [cells cells ...]."""
    side = _WINDOW * body
    scale = 4 * cells / side  # four pixels a cell, then their mean
    shift = np.float32([[scale, 0, 2 * cells - scale * x], [0, scale, 4 * cells * 0.93 - scale * floor]])
    framed = cv2.warpAffine(values, shift, (4 * cells, 4 * cells), flags=cv2.INTER_LINEAR)
    return cv2.resize(cv2.GaussianBlur(framed, (0, 0), 4.0), (cells, cells), interpolation=cv2.INTER_AREA)
