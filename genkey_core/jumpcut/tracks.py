"""Correspondences across a cut: points followed through the removed frames (the draft's keypoints, thesis 4.2.1).

The frames that a cut removes still exist in the raw footage, so that the way from the last kept frame to the next one is
a chain of small motions, each easy to see, also where the two frames themselves have little in common (a head that
turns) or match in several places. Both directions are chained and checked against each other. Where too much was removed
to be followed, the two frames are matched directly.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .. import flow as of
from ..checks import InputError, integer

WORKING_SIDE = 384  # long side, in pixels, at which motion and weights are found
MAX_FOLLOWED = 120  # frames; a longer chain drifts further than direct matching errs
_SAME_LEVELS = 0.2  # mean grey levels up to which two reduced pictures are one and the same
_CHAIN_BONUS = 2.0  # grey levels by which a direct match must look better than a followed one
_ERROR_SCALE = 9.0  # grey levels of mismatch at which a match loses most of its trust
_MISS_SCALE = 2.0, 0.05  # pixels, and share of the motion, by which a way there and back may miss
_STEADY_SHARE = 0.07  # of the long side: the neighbourhood whose median motion a place follows
_STEADY_PX = 1.0
_TRUST_PRIOR = 0.2  # flow trusted less than this follows its trusted surroundings


@dataclass(frozen=True)
class Tracks:
    """The way from the last frame before a cut (`start`) to the first after it (`end`), at reduced size."""

    start: np.ndarray  # uint8 [h w 3]
    end: np.ndarray  # uint8 [h w 3]
    flows: tuple[np.ndarray, np.ndarray]  # [h w 2] from start to end, and back
    followed: int  # steps of the chain; 0 where the two were matched directly

    def between(self, start: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
        """Flow from `start` to `end` and back, [h w 2] each; both uint8 [h w 3] of the size of the tracks' own pictures.

        They may be those pictures or near ones (frames a few earlier or later, made frames): what lies between is matched
        and put before and after the tracks. Where a direct search explains the two better on the whole, it is taken.
        """
        here, there = (_grey(p) for p in (start, end))
        first, last = _grey(self.start), _grey(self.end)
        forward = chained(chained(small_motion(here, first), self.flows[0]), small_motion(last, there))
        backward = chained(chained(small_motion(there, last), self.flows[1]), small_motion(first, here))
        if np.array_equal(here, first) and np.array_equal(there, last):
            return [forward, backward]
        flows, soft = [], [_soft(start), _soft(end)]
        for i, (flow, pair) in enumerate(((forward, (here, there)), (backward, (there, here)))):
            direct = small_motion(*pair)
            costs = [float(of.photometric_cost(soft[i], soft[1 - i], f).mean()) for f in (flow, direct)]
            flows.append(flow if costs[0] <= costs[1] + _CHAIN_BONUS / 4 else direct)
        return flows


class Tracker:
    """Follows every point of a frame through those that come after it; holds three reduced pictures and two flows."""

    def __init__(self, first: np.ndarray, *, side: int = WORKING_SIDE) -> None:
        """`first`: uint8 [H W 3], the last frame before the cut; `side`: the long side in pixels that is worked at."""
        self._side = integer(side, "side", low=of.MIN_DENSE_SIDE, high=4096)
        self._first = self._last = reduced(first, self._side)
        shape = self._first.shape[:2]
        self._flows = [np.zeros((*shape, 2), np.float32)] * 2
        self._steps = 0

    def add(self, frame: np.ndarray) -> None:
        """The next frame, uint8 [H W 3]; the last one added is the first after the cut."""
        small = reduced(frame, self._side)
        if small.shape != self._first.shape:
            raise InputError(f"frames: all must have one size, got {small.shape[:2]} after {self._first.shape[:2]}.")
        self._steps += 1
        if self._steps <= MAX_FOLLOWED and not np.array_equal(small, self._last):  # repeated frames move nothing
            there, back = (small_motion(_grey(a), _grey(b)) for a, b in ((self._last, small), (small, self._last)))
            self._flows = [chained(self._flows[0], there), chained(back, self._flows[1])]
        self._last = small

    def tracks(self) -> Tracks:
        """The correspondences of the first frame and the last one added; call once, when that frame was added.

        Where the chain is not too long, what came back to where it began is smoothed, refined at the end itself, and
        kept where it looks no worse than direct matching, region by region.
        """
        ends, followed = [self._first, self._last], self._steps if self._steps <= MAX_FOLLOWED else 0
        flows, _ = of.bidirectional_flow(*ends)
        if followed:
            grey, soft = [_grey(p) for p in ends], [_soft(p) for p in ends]
            for i in (0, 1):
                chain = of.dense_flow(grey[i], grey[1 - i], smoothed(self._flows[i], self._flows[1 - i]))
                costs = [of.photometric_cost(soft[i], soft[1 - i], f) for f in (chain, flows[i])]
                better = cv2.GaussianBlur(costs[0] - costs[1], (0, 0), 8.0) <= _CHAIN_BONUS
                flows[i] = np.where(better[..., None], chain, flows[i])
        return Tracks(*ends, (flows[0], flows[1]), followed)


def smoothed(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:  # [h w 2]
    """`forward` where going along it and back along `backward` returns; elsewhere continued from there."""
    length = cv2.magnitude(forward[..., 0], forward[..., 1])
    miss = of.inconsistency(forward, backward) / (_MISS_SCALE[0] + _MISS_SCALE[1] * length)
    belief = np.exp(-0.5 * np.square(miss))
    return cv2.GaussianBlur(of.fill(forward * belief[..., None], belief, prior=0.05), (0, 0), 2.0)


def reduced(picture: np.ndarray, side: int) -> np.ndarray:
    """uint8 [H W 3] -> the same picture, its long side at most `side` pixels."""
    h, w = picture.shape[:2]
    scale = side / max(h, w)
    if scale >= 1.0:
        return picture
    return cv2.resize(picture, (max(1, round(w * scale)), max(1, round(h * scale))), interpolation=cv2.INTER_AREA)


def chained(first: np.ndarray, second: np.ndarray) -> np.ndarray:  # [h w 2]
    """One flow [h w 2] followed by another."""
    return first + of.warp(second, first)


def trust(start: np.ndarray, end: np.ndarray, forward: np.ndarray, backward: np.ndarray) -> np.ndarray:  # [h w]
    """How far `forward` is to be believed at each place of `start`, 0 to 1; pictures uint8 [h w 3], flows [h w 2].

    It must look right, come back along `backward`, and be in like company: a lone agreement is chance.
    """
    length = cv2.magnitude(forward[..., 0], forward[..., 1])
    miss = of.inconsistency(forward, backward) / (_MISS_SCALE[0] + _MISS_SCALE[1] * length)
    error = of.photometric_cost(_soft(start), _soft(end), forward) / _ERROR_SCALE
    belief = np.exp(-0.5 * (np.square(miss) + np.square(error)))
    return belief * np.clip((cv2.GaussianBlur(belief, (0, 0), 6.0) - 0.2) / 0.4, 0.0, 1.0)


def regular(flow: np.ndarray, base: np.ndarray, belief: np.ndarray) -> np.ndarray:  # [h w 2]
    """`flow` where it is believed; elsewhere the believed motion around it, or far from any `base` [h w 2]."""
    weight = np.square(belief)
    return base + of.fill((flow - base) * weight[..., None], weight, prior=_TRUST_PRIOR)


def steady(flow: np.ndarray) -> np.ndarray:  # [h w 2]
    """`flow` without what only a small place does: each vector far from the median around it gives way to that.

    A face is nearly rigid, and a patch of it that goes its own way tears it. The median keeps the edge between the head
    and its background where it is. It is taken at half the size, which is a quarter of the work.
    """
    h, w = flow.shape[:2]
    half = cv2.resize(flow, ((w + 1) // 2, (h + 1) // 2), interpolation=cv2.INTER_AREA)
    window = max(3, int(_STEADY_SHARE * max(half.shape[:2]))) | 1
    unit = max(float(np.abs(flow).max()), 1e-3) / 127.0
    levels = np.uint8(np.rint(half / unit + 128.0))  # medians of large windows are for bytes only
    middle = np.dstack([cv2.medianBlur(np.ascontiguousarray(levels[..., i]), window) for i in (0, 1)])
    middle = cv2.GaussianBlur((middle.astype(np.float32) - 128.0) * unit, (0, 0), 1.0)
    middle = cv2.resize(middle, (w, h), interpolation=cv2.INTER_LINEAR)
    away = cv2.magnitude(*cv2.split(flow - middle))
    own = np.exp(-0.5 * np.square(away / (_STEADY_PX + 0.05 * cv2.magnitude(*cv2.split(middle)))))[..., None]
    return middle + cv2.GaussianBlur((flow - middle) * own, (0, 0), 2.0)


def small_motion(a: np.ndarray, b: np.ndarray) -> np.ndarray:  # [h w 2]
    """The motion between two grey uint8 [h w] that are nearly alike, by a fast search; none where they are the same."""
    if min(a.shape) < of.MIN_DENSE_SIDE or float(cv2.absdiff(a, b).mean()) < _SAME_LEVELS:
        return np.zeros((*a.shape, 2), np.float32)
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(a, b, None)


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _soft(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float32)
