"""How much moves between keyframes: mean foreground flow, corrected where a subject turns round (thesis Eq. 7.4, 7.3.5).

Flow between two opposite side views looks moderate: the matcher finds fur for fur, and misses that every part has to travel to
the other side (Fig. 7.8). So each pixel of the subject has two explanations: *plain*, the flow to the second picture; and
*turned*, first to its place in the subject's own mirror image and from there by the flow of that to the second picture. Each
costs what it leaves unexplained: appearance (truncated colour difference and gradient difference, both pictures blurred a
little), disagreement of its flow with the flow back, and how much it deforms its surroundings. Where the turned one is
clearly cheaper, the pixel's motion is that way, along the half circle that a turning body takes and not its chord. A body
turns as a whole: a frontal pose whose arms change sides, which its symmetrical trunk gives away, keeps its plain flow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from ..checks import InputError
from ..flow import dense_flow, grid, inconsistency, warp

REFERENCE = (1024, 576)  # the size that motion is counted at
SUSPICIOUS = 0.5  # share of the subject that turns, from which a pair is shown as turning round

_WIDTH = 320  # pixels that flow is taken at
_APPEARANCE = 24.0  # grey levels beyond which a difference is no worse
_ASTRAY = 0.03  # of the width: beyond it, flow and flow back disagree wholly
_TORN = 0.5  # mean deformation of the flow, pixels per pixel, that counts as much as a wrong appearance
_GOOD = 0.3  # cost that a right match leaves, so that nothing is explained better than well
_PART = 0.25  # of the subject; where less seems to turn, limbs changed sides, and nothing is corrected
_EVEN, _CLEARLY = 0.1, 0.4  # relative gain up to which the turned explanation is not taken, and from which it is wholly

FlowFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]  # uint8 [H W 3] x2 -> float32 [H W 2]


@dataclass(frozen=True, eq=False)
class MotionRange:
    """Motions between all keyframes of the augmented set, pixels at 1024x576; [u, v] is from u to v."""

    motion: np.ndarray  # float64 [2K 2K], corrected: what the graph is built on
    flow: np.ndarray  # float64 [2K 2K], mean foreground flow as in the thesis
    turning: np.ndarray  # float64 [2K 2K] in 0..1, share of the subject that turns round

    @property
    def suspicious(self) -> list[tuple[int, int]]:
        """Pairs u < v between which the subject turns round, as flow does not see."""
        pairs = np.argwhere(np.maximum(self.turning, self.turning.T) > SUSPICIOUS)
        return [(u, v) for u, v in pairs.tolist() if u < v]


@dataclass(frozen=True)
class Measured:
    """One ordered pair, as it comes out of `measure`."""

    pair: tuple[int, int]
    index: int
    total: int


def measure(
    images: np.ndarray, masks: np.ndarray, *, flow: FlowFunction | None = None
) -> Iterator[Measured | MotionRange]:
    """Measure all pairs: images uint8 [2K H W 3], masks float32 [2K H W]; the last item is the MotionRange.

    `flow` (dense inverse search by default; RAFT may be handed in) is asked at about 320 pixels of width. A pair and its
    mirror move alike, so only pairs that start in an original are measured. Raises InputError for wrong shapes and for a
    mask without a subject.
    """
    small, soft = _small(images, masks)
    flow = _dense if flow is None else flow
    n, half = len(small), len(small) // 2
    to_reference = np.array(REFERENCE) / small.shape[2:0:-1]
    found: dict[tuple[int, int], np.ndarray] = {}

    def between(u: int, v: int) -> np.ndarray:
        if (u, v) not in found:
            found[u, v] = flow(small[u], small[v])
        return found[u, v]

    plain, corrected, turning = (np.zeros((n, n)) for _ in range(3))
    pairs = [(u, v) for u in range(half) for v in range(n) if u != v]
    for i, (u, v) in enumerate(pairs):
        mirror = u + half
        turn = flipped(soft[u], soft[mirror])
        moved = _length(between(u, v), to_reference)
        turned_flow = turn + warp(between(mirror, v), turn) if mirror != v else turn
        turned = _length(turned_flow, to_reference) * np.pi / 2
        pictures = [cv2.GaussianBlur(p, (0, 0), 1.0).astype(np.float32) for p in (small[u], small[v], small[mirror])]
        as_is = explanation_cost(pictures[0], pictures[1], between(u, v), between(v, u))
        if mirror == v:
            by_turn = np.zeros_like(as_is)
        else:
            by_turn = warp(explanation_cost(pictures[2], pictures[1], between(mirror, v), between(v, mirror)), turn)
        share = turned_share(as_is, by_turn)
        weight = soft[u] / soft[u].sum()
        plain[u, v] = (moved * weight).sum()
        turning[u, v] = (share * weight).sum()
        share = share * np.clip((turning[u, v] - _PART) / (SUSPICIOUS - _PART), 0.0, 1.0)  # a body turns as a whole
        corrected[u, v] = (np.where(turned > moved, moved + share * (turned - moved), moved) * weight).sum()
        yield Measured((u, v), i, len(pairs))
    swap = np.roll(np.arange(n), half)
    for table in (plain, corrected, turning):
        table[half:] = table[swap][half:][:, swap]
    yield MotionRange(corrected, plain, turning)


def measured(images: np.ndarray, masks: np.ndarray, *, flow: FlowFunction | None = None) -> MotionRange:
    """`measure` to its end."""
    *_, result = measure(images, masks, flow=flow)
    return result


def explanation_cost(start: np.ndarray, end: np.ndarray, forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """What a flow leaves unexplained, about 0 to 3: float32 [H W 3] x2, flows [H W 2] x2 -> [H W]."""
    seen = warp(end, forward)
    colour = np.minimum(np.abs(start - seen).mean(2), _APPEARANCE) / _APPEARANCE
    lines = [
        np.dstack([cv2.Sobel(p.mean(2), cv2.CV_32F, *axis, scale=0.25) for axis in ((1, 0), (0, 1))])
        for p in (start, seen)
    ]
    edges = np.minimum(np.linalg.norm(lines[0] - lines[1], axis=2), _APPEARANCE) / _APPEARANCE
    astray = np.minimum(inconsistency(forward, backward) / (_ASTRAY * start.shape[1]), 1.0)
    steps = [np.gradient(forward[..., c]) for c in (0, 1)]
    torn = np.minimum(np.sqrt(sum(g**2 for pair in steps for g in pair)) / _TORN, 1.0)
    cost = (colour + edges) / 2 + astray + torn
    return cv2.GaussianBlur(cost.astype(np.float32), (0, 0), 0.012 * start.shape[1])


def turned_share(as_is: np.ndarray, by_turn: np.ndarray) -> np.ndarray:
    """How surely each pixel is explained by turning, 0..1, from the costs of both explanations [H W]."""
    as_is, by_turn = np.maximum(as_is, _GOOD), np.maximum(by_turn, _GOOD)
    gain = (as_is - by_turn) / (as_is + by_turn)
    return np.clip((gain - _EVEN) / (_CLEARLY - _EVEN), 0.0, 1.0)


def flipped(mask: np.ndarray, mirrored_mask: np.ndarray) -> np.ndarray:
    """From each pixel to its place in the mirrored keyframe, a flow [H W 2]: about the axis that lies half-way between the
    centres of the subject and of its mirrored self, float32 [H W] x2."""
    here = grid(mask.shape)
    centres = [(here * m[..., None]).sum((0, 1)) / m.sum() for m in (mask, mirrored_mask)]
    axis, lift = (centres[0][0] + centres[1][0]) / 2, centres[1][1] - centres[0][1]
    return np.dstack([2 * (axis - here[..., 0]), np.full(mask.shape, lift)]).astype(np.float32)


def _length(flow: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.linalg.norm(flow * scale, axis=2)


def _dense(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    return dense_flow(*(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (start, end)))


def _small(images: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if images.ndim != 4 or images.dtype != np.uint8 or len(images) % 2 or masks.shape != images.shape[:3]:
        raise InputError(
            "keyframes: images uint8 [2K H W 3] and masks [2K H W] are needed, "
            f"got {list(images.shape)} and {list(masks.shape)}."
        )
    empty = [i for i, mask in enumerate(masks) if mask.max() < 0.5]
    if empty:
        raise InputError(f"keyframes: no subject is marked in keyframe {empty[0] % (len(images) // 2) + 1}.")
    h, w = images.shape[1:3]
    scale = min(1.0, _WIDTH / w)
    size = (max(32, round(w * scale)), max(32, round(h * scale)))
    shrunk = (np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in row]) for row in (images, masks))
    small, soft = shrunk
    return small, soft.astype(np.float32)
