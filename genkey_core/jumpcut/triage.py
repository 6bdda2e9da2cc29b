"""What a cut asks of its transition, judged before one is made: a score, reasons in words, and what holds up there.

No model is used. Judged are the two frames at the cut and how well the points of one are found in the other. A moved camera
is a motion that most of the picture shares, with a backdrop that follows it; a changed background is a border that nothing
explains; hands are fast, untrusted motion low in the picture; several people are separate moving regions, so that people who
sit still are counted as background and a pair that overlaps is one. Faces are not detected.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .. import flow as of
from .exposure import exposure
from .tracks import Tracker, Tracks, trust

ENGINES = ("blended", "punch-in", "hard cut")  # what is recommended, best first
_SAME = 0.6  # mean grey levels up to which two frames are one picture
_CAMERA_PX = 0.008  # share of the long side that the backdrop moves by
_BACKDROP_LEVELS = 14.0  # grey levels by which an explained backdrop may differ
_MOVES_PX = 0.02  # share of the long side above which a place moves
_REGION = 0.015, 0.3  # of the picture, and of the largest one: what a moving region has at least
_HANDS = 0.06  # share of the picture in fast, untrusted motion low in it
_DOUBT, _FAR = 0.2, 0.55  # share of what moves or differs that is not found again: worth a look, and too much


@dataclass(frozen=True)
class Triage:
    """A verdict on one cut."""

    score: float  # 0 to 1, how well a blended transition will hold up
    reasons: tuple[str, ...]  # for the user, most important first; never empty
    recommended: str  # one of ENGINES
    kinds: tuple[
        str, ...
    ]  # of "identical", "camera", "background", "people", "hands", "pose", "doubt", "exposure", "easy"


@dataclass(frozen=True)
class Findings:
    """What is measured; shares are of the picture unless said otherwise."""

    difference: float  # mean grey levels between the two pictures
    camera: float  # motion of the backdrop, share of the long side
    backdrop: float  # of the border, the share that nothing explains
    regions: int  # separate moving regions
    hands: float  # fast, untrusted motion in the lower half
    lost: float  # of what moves or differs, the share that is not found again
    gain: float  # of exposure, the largest log gain of a channel


def triage(before: np.ndarray, after: np.ndarray, tracks: Tracks | None = None) -> Triage:
    """The verdict on a cut from `before` to `after`, uint8 [H W 3] of one size.

    `tracks` are the correspondences around this cut where they are there already; otherwise the two are matched.
    Raises InputError where the sizes differ.
    """
    if tracks is None:
        tracker = Tracker(before)
        tracker.add(after)
        tracks = tracker.tracks()
    return verdict(measured(tracks))


def measured(tracks: Tracks) -> Findings:
    """The figures behind a verdict."""
    change = exposure(tracks.start, tracks.end)
    start, end = change.applied(tracks.start, 1.0), tracks.end
    shape = start.shape[:2]
    side = max(shape)
    forward, backward = tracks.flows
    belief = trust(start, end, forward, backward)
    border = _border(shape)
    camera = _shared_motion(forward, belief, border)
    still = cv2.absdiff(cv2.GaussianBlur(start, (0, 0), 2.0), cv2.GaussianBlur(end, (0, 0), 2.0)).mean(axis=2)
    moved = cv2.absdiff(cv2.GaussianBlur(start, (0, 0), 2.0), of.warp(cv2.GaussianBlur(end, (0, 0), 2.0), camera)).mean(
        axis=2
    )
    unexplained = np.minimum(still, moved) > _BACKDROP_LEVELS
    own = cv2.magnitude(*cv2.split(forward - camera)) / side
    moves = (own > _MOVES_PX) | (moved > _BACKDROP_LEVELS)
    low = np.zeros(shape, bool)
    low[shape[0] // 2 :] = True
    return Findings(
        difference=float(cv2.absdiff(tracks.start, tracks.end).mean()),
        camera=float(np.median(cv2.magnitude(*cv2.split(camera))[border])) / side,
        backdrop=float(unexplained[border].mean()),
        regions=_regions(moves),
        hands=float((low & moves & (belief < 0.1) & (still > 2 * _BACKDROP_LEVELS)).mean()),
        lost=float((belief[moves] < 0.1).mean()) * min(1.0, float(moves.mean()) / 0.1) if moves.any() else 0.0,
        gain=float(np.abs(np.log(change.gain)).max()),
    )


def verdict(found: Findings) -> Triage:
    """Findings -> score, reasons and recommendation."""
    if found.difference < _SAME:
        return Triage(
            1.0, ("The picture is the same on both sides: nothing has to be hidden.",), "blended", ("identical",)
        )
    score, kinds, reasons = 1.0, [], []

    def count(kind: str, loss: float, reason: str) -> None:
        nonlocal score
        score -= loss
        kinds.append(kind)
        reasons.append(reason)

    if found.backdrop > 0.5:
        count(
            "background",
            0.8,
            "The background changed: this is another shot, and a transition would melt one into the other.",
        )
    elif found.camera > _CAMERA_PX:
        loss = min(0.7, 0.25 + 6.0 * found.camera)
        count(
            "camera",
            loss,
            f"The camera moved (the background by {100 * found.camera:.0f} % of the picture's long side).",
        )
    if found.lost > _FAR:
        count(
            "pose", 0.7 * found.lost, f"The pose is too far: {100 * found.lost:.0f} % of what moved is not found again."
        )
    if found.hands > _HANDS:
        count(
            "hands",
            min(0.5, 0.2 + 3.0 * found.hands),
            "There is large, fast motion low in the picture, probably hands.",
        )
    elif _DOUBT < found.lost <= _FAR:
        count(
            "doubt",
            0.5 * found.lost,
            f"The head turned or changed: {100 * found.lost:.0f} % of what moved is not found again. Compare this cut's middle.",
        )
    if found.regions > 1:
        count(
            "people",
            0.15 * (found.regions - 1),
            f"{found.regions} separate regions move: several people, or hands and head.",
        )
    if found.gain > 0.02:
        count(
            "exposure",
            0.05,
            f"The exposure changed by {100 * (np.exp(found.gain) - 1):.0f} %; it is passed over gradually.",
        )
    if not kinds:
        count("easy", 0.0, "One speaker before a still background, and the points of one side are found on the other.")
    score = float(np.clip(score, 0.0, 1.0))
    holds = "blended" if score >= 0.5 else "punch-in"
    recommended = "hard cut" if "background" in kinds else holds
    return Triage(score, tuple(reasons), recommended, tuple(kinds))


def _border(shape: tuple[int, int]) -> np.ndarray:  # [h w] bool
    """Where the backdrop shows with a speaker in the middle: the top, and the sides down to two thirds."""
    h, w = shape
    border = np.zeros(shape, bool)
    border[: max(1, h // 12)] = True
    border[: 2 * h // 3, : max(1, w // 8)] = True
    border[: 2 * h // 3, -max(1, w // 8) :] = True
    return border


def _shared_motion(flow: np.ndarray, belief: np.ndarray, border: np.ndarray) -> np.ndarray:  # [h w 2]
    """The motion that the believed part of the border shares, as an affine flow; none where too little agrees."""
    sure = border & (belief > 0.3)
    nothing = np.zeros_like(flow)
    if sure.sum() < 0.15 * border.sum():
        return nothing
    here = of.grid(flow.shape[:2])
    points, vectors = (np.ascontiguousarray(x[sure][::7]) for x in (here, flow))
    affine, inliers = cv2.estimateAffinePartial2D(points, points + vectors, ransacReprojThreshold=1.5)
    if affine is None or inliers.mean() < 0.5:
        return nothing
    moved = cv2.transform(here, affine.astype(np.float32))
    return moved - here


def _regions(moves: np.ndarray) -> int:
    """Separate regions of bool [h w], each of some size, gaps of a fortieth of the long side closed."""
    reach = max(3, max(moves.shape) // 40) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    opened = cv2.morphologyEx(np.uint8(moves), cv2.MORPH_OPEN, kernel)
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, kernel)
    _, _, stats, _ = cv2.connectedComponentsWithStats(closed)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return int((areas > max(_REGION[0] * moves.size, _REGION[1] * areas.max(initial=0))).sum())
