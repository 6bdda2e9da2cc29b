"""The draft in-betweener: training-free frames between two keyframes at full resolution, on a CPU (OpenCV).

Each pixel of a frame moves along a straight line between the keyframes. The motion is found once per pair at a working
size, carried to the frame's own time by splatting weighted with its trust (Niklaus and Liu 2020), and both keyframes are
then read along it at full size, so that real pixels are seen. Where neither flow is trusted and the motion would be
large, the frame falls back toward a cross-dissolve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from genkey_core import flow as of
from genkey_core.checks import InputError, integer, length, number

_ERROR_SCALE = 9.0  # grey levels of mismatch at which a match loses most of its trust
_MISS_SCALE = 2.0, 0.05  # pixels, and share of the motion, by which a way there and back may miss
_TRUST_PRIOR = 0.2  # flow trusted less than this follows its trusted surroundings
_COVER_SCALE = 3.0, 0.1  # pixels, and share of the motion, by which a thing may move otherwise than its place
_COVERED_FLOOR = 0.02  # of two covered sources, each still weighs something
_SHARED_FLOOR = 0.4  # trust that both sources keep, so that a doubtful pixel is a blend rather than a gamble


@dataclass(frozen=True)
class DraftOptions:
    """How a pair is prepared and blended."""

    working_side: int = 640  # long side, in pixels, at which the motion is found
    dissolve: float = 0.6  # how far untrusted, large motion gives way to a cross-dissolve: 0 never, 1 wholly
    crispness: float = 0.1  # unsharp amount mid-way, giving back what sampling between pixels softens
    flow: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None  # (start, end) uint8 [h w 3] -> flow [h w 2]

    def __post_init__(self) -> None:
        integer(self.working_side, "working_side", low=16, high=4096)
        number(self.dissolve, "dissolve", low=0.0, high=1.0)
        number(self.crispness, "crispness", low=0.0, high=1.0)


class DraftPair:
    """Frames between two keyframes: prepared once, then `frame(position)` from any number of threads.

    `start` and `end` are uint8 [H W 3] RGB of one size; raises InputError otherwise. Holds a fixed number of pictures,
    and draws nothing at random.
    """

    def __init__(self, start: np.ndarray, end: np.ndarray, options: DraftOptions | None = None) -> None:
        self.options = options or DraftOptions()
        self.start, self.end = _picture(start, "start"), _picture(end, "end")
        if self.start.shape != self.end.shape:
            raise InputError(f"end: must have the size of start {self.start.shape[:2]}, got {self.end.shape[:2]}.")
        self.is_still = bool(np.array_equal(self.start, self.end))
        if not self.is_still:
            self._prepare()

    def frame(self, position: float) -> np.ndarray:  # [H W 3] uint8
        """The picture at `position` in [0, 1]; 0 and 1 are the keyframes themselves."""
        position = number(position, "position", low=0.0, high=1.0)
        if position == 0.0 or self.is_still:
            return self.start.copy()
        if position == 1.0:
            return self.end.copy()
        return self._render(position)

    def _prepare(self) -> None:
        h, w = self.start.shape[:2]
        scale = min(1.0, self.options.working_side / max(h, w))
        size = (max(1, round(w * scale)), max(1, round(h * scale)))
        small = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) if scale < 1 else p for p in (self.start, self.end)]
        if self.options.flow is None:
            flows, self._base = of.bidirectional_flow(*small)
        else:
            flows = [_checked_flow(self.options.flow(*pair), size) for pair in (small, small[::-1])]
            self._base = [np.zeros_like(f) for f in flows]
        soft = [cv2.GaussianBlur(p, (0, 0), 1.0).astype(np.float32) for p in small]
        self._trust = [trust(soft[i], soft[1 - i], flows[i], flows[1 - i]) for i in (0, 1)]
        self._flows = [_regular(f, b, c) for f, b, c in zip(flows, self._base, self._trust, strict=True)]
        self._grid = of.grid((h, w))
        self._small_grid = of.grid(size[::-1])

    def _render(self, t: float) -> np.ndarray:
        motion = self._motion_at(t)
        trust0, seen0 = self._seen(0, motion, -t)
        trust1, seen1 = self._seen(1, motion, 1.0 - t)
        weight0 = (1.0 - t) * (trust0 + _SHARED_FLOOR) * seen0
        weight1 = t * (trust1 + _SHARED_FLOOR) * seen1
        frame = self._blend(motion, weight1 / (weight0 + weight1), t)
        if self.options.dissolve > 0.0:
            trusted = ((1.0 - t) * trust0 * seen0 + t * trust1 * seen1) / ((1.0 - t) * seen0 + t * seen1)
            frame = self._dissolve(frame, motion, trusted, t)
        if self.options.crispness > 0.0:
            amount = self.options.crispness * 4.0 * t * (1.0 - t)  # nothing at the keyframes, which need no help
            frame = cv2.addWeighted(frame, 1.0 + amount, cv2.GaussianBlur(frame, (3, 3), 0.8), -amount, 0.0)
        return frame

    def _motion_at(self, t: float) -> np.ndarray:  # [h w 2]
        """The whole motion from start to end of what is at each pixel at time t; the nearer keyframe counts more."""
        (forward, backward), (trust0, trust1) = self._flows, self._trust
        sums0, weights0 = of.splat(forward, (1.0 - t) * (trust0 + 1e-3), t * forward)
        sums1, weights1 = of.splat(-backward, t * (trust1 + 1e-3), (1.0 - t) * backward)
        sums, weights = (cv2.GaussianBlur(x, (3, 3), 0.6) for x in (sums0 + sums1, weights0 + weights1))
        return cv2.GaussianBlur(of.fill(sums, weights), (0, 0), 2.0)

    def _seen(self, which: int, motion: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
        """Trust in keyframe `which` read at `share` of `motion`, and whether this very thing is to be seen there, 0 to 1.

        It is not where the place lies outside the picture, and not where what stands there moves otherwise than
        `motion`: then something else covers it (a thing in front of its background).
        """
        position = self._small_grid + share * motion
        found = cv2.remap(self._trust[which], position, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        own = cv2.remap(self._flows[which], position, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        other = own - motion if which == 0 else own + motion  # the end's flow points back to the start
        apart = cv2.magnitude(other[..., 0], other[..., 1])
        apart /= _COVER_SCALE[0] + _COVER_SCALE[1] * cv2.magnitude(motion[..., 0], motion[..., 1])
        uncovered = cv2.GaussianBlur(np.exp(-0.5 * np.square(apart)), (0, 0), 1.5) + _COVERED_FLOOR
        h, w = found.shape
        beyond = [np.abs(position[..., i] - c) - c for i, c in enumerate(((w - 1) / 2, (h - 1) / 2))]
        inside = np.clip(1.0 - np.maximum(*beyond) / 2.0, 1e-3, 1.0)
        return cv2.GaussianBlur(found, (0, 0), 3.0), inside * uncovered

    def _blend(self, motion: np.ndarray, weight1: np.ndarray, t: float) -> np.ndarray:
        """Both keyframes read at full size along `motion` [h w 2], the end weighing `weight1` [h w] of 1."""
        h, w = self.start.shape[:2]
        pictures = [self.start, self.end]
        if motion.any():
            motion = of.resize_flow(motion, (w, h))
            for i, share in enumerate((-t, 1.0 - t)):
                position = cv2.scaleAdd(motion, share, self._grid)
                pictures[i] = cv2.remap(pictures[i], position, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        weight1 = cv2.resize(weight1, (w, h), interpolation=cv2.INTER_LINEAR)
        return cv2.blendLinear(*pictures, 1.0 - weight1, weight1)

    def _dissolve(self, frame: np.ndarray, motion: np.ndarray, trusted: np.ndarray, t: float) -> np.ndarray:
        """Mixes in a cross-dissolve along the global motion where `motion` is untrusted and goes far beyond that."""
        base = of.warp(self._base[0], -t * self._base[0])
        away = motion - base
        far = cv2.magnitude(away[..., 0], away[..., 1]) / max(away.shape[:2])
        share = (1.0 - _smoothstep(trusted, 0.1, 0.5)) * _smoothstep(far, 0.02, 0.06)
        share = cv2.GaussianBlur(share, (0, 0), 4.0) * self.options.dissolve
        if share.max() < 1.0 / 255.0:
            return frame
        h, w = frame.shape[:2]
        other = self._blend(base, np.full(share.shape, t, np.float32), t)
        share = cv2.resize(share, (w, h), interpolation=cv2.INTER_LINEAR)
        return cv2.blendLinear(frame, other, 1.0 - share, share)


def trust(start: np.ndarray, end: np.ndarray, forward: np.ndarray, backward: np.ndarray) -> np.ndarray:  # [h w]
    """How far `forward` is to be believed at each pixel of `start`, 0 to 1: it looks right, comes back, in company.

    `start`, `end`: float32 [h w 3]; flows [h w 2]. A lone agreeing patch among disagreement is chance, hence the last.
    """
    miss = of.inconsistency(forward, backward) / (
        _MISS_SCALE[0] + _MISS_SCALE[1] * cv2.magnitude(forward[..., 0], forward[..., 1])
    )
    error = of.photometric_cost(start, end, forward) / _ERROR_SCALE
    belief = np.exp(-0.5 * (np.square(miss) + np.square(error)))
    return belief * np.clip((cv2.GaussianBlur(belief, (0, 0), 6.0) - 0.2) / 0.4, 0.0, 1.0)


def colour_drift(
    frames: Sequence[np.ndarray], start: np.ndarray, end: np.ndarray, positions: Sequence[float]
) -> np.ndarray:  # [T]
    """CIE76 colour difference, per frame, between its mean colour and the one expected at its position.

    The mean colour is that of all pixels in CIE Lab (D65); expected is (1 - position) * mean of `start` + position * mean
    of `end`. `frames` and the keyframes are uint8 [H W 3]; below 1 is not seen, a jump between neighbours is a flicker.
    """
    if length(frames, "frames") != len(positions):
        raise InputError(f"positions: one per frame needed, got {len(positions)} for {len(frames)} frames.")
    first, last = _mean_lab(start), _mean_lab(end)
    expected = [(1.0 - p) * first + p * last for p in positions]
    return np.array([np.linalg.norm(_mean_lab(f) - e) for f, e in zip(frames, expected, strict=True)])


def _mean_lab(image: np.ndarray) -> np.ndarray:  # [3]
    return cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab).mean(axis=(0, 1), dtype=np.float64)


def _regular(flow: np.ndarray, base: np.ndarray, belief: np.ndarray) -> np.ndarray:  # [h w 2]
    """`flow` where it is believed; elsewhere the believed motion around, or far from any the global motion `base`."""
    weight = np.square(belief)
    return base + of.fill((flow - base) * weight[..., None], weight, prior=_TRUST_PRIOR)


def _smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    x = np.clip((x - low) / (high - low), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _checked_flow(flow: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    flow = np.asarray(flow, dtype=np.float32)
    if flow.shape != (size[1], size[0], 2) or not np.isfinite(flow).all():
        raise InputError(f"flow: finite [{size[1]} {size[0]} 2] is needed from the flow function, got {flow.shape}.")
    return flow


def _picture(picture: np.ndarray, name: str) -> np.ndarray:
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(f"{name}: a uint8 picture [H W 3] is needed, got {getattr(picture, 'shape', type(picture))}.")
    return np.ascontiguousarray(picture)
