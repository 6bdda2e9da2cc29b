"""The draft in-betweener: training-free frames between two keyframes at full resolution, on a CPU (OpenCV)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from genkey_core import flow as of
from genkey_core.checks import InputError, number

Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class DraftOptions:
    """How a pair is prepared and blended."""

    working_side: int = 640  # long side, in pixels, at which flow is computed
    ghost_suppression: float = 1.0  # 0 averages both pictures everywhere, 1 shows one where they disagree
    flow: Flow | None = None  # replaces the search: (start, end) uint8 [h w 3] at working size -> flow [h w 2]


class DraftPair:
    """Frames between two keyframes; prepared once, then `frame(position)` from any thread.

    `start` and `end` are uint8 [H W 3] RGB of one size; raises InputError otherwise.
    Memory is a fixed number of pictures.
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
        if self.options.flow is not None:
            self._flows = [np.float32(self.options.flow(*small)), np.float32(self.options.flow(*small[::-1]))]
        else:
            self._flows = bidirectional_flow(*small)
        smooth = [cv2.GaussianBlur(p, (0, 0), 1.0).astype(np.float32) for p in small]
        self._trust = []
        for i in (0, 1):
            f, g = self._flows[i], self._flows[1 - i]
            error = of.photometric_cost(smooth[i], smooth[1 - i], f)
            miss = of.inconsistency(f, g)
            limit = 1.0 + 0.05 * cv2.magnitude(f[..., 0], f[..., 1])
            self._trust.append(np.exp(-np.square(miss / limit) / 2 - np.square(error / 12.0) / 2) + 1e-3)

    def _render(self, t: float) -> np.ndarray:
        (f, g), (c0, c1) = self._flows, self._trust
        h, w = self.start.shape[:2]
        a, wa = of.splat(f, c0 * (1 - t), t * f)
        b, wb = of.splat(-g, c1 * t, (1 - t) * g)
        motion = of.fill(_soften(a + b), _soften(wa + wb))
        # visibility of either source at this pixel
        s0 = _soften(
            cv2.remap(c0, of.grid(f.shape[:2]) - t * motion, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )
        s1 = _soften(
            cv2.remap(
                c1, of.grid(f.shape[:2]) + (1 - t) * motion, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
        )
        w1 = t * s1 / (t * s1 + (1 - t) * s0)
        full = of.resize_flow(motion, (w, h))
        w1 = cv2.resize(w1, (w, h), interpolation=cv2.INTER_LINEAR)
        p0 = of.warp(self.start, -t * full, interpolation=cv2.INTER_CUBIC)
        p1 = of.warp(self.end, (1 - t) * full, interpolation=cv2.INTER_CUBIC)
        return cv2.blendLinear(p0, p1, 1 - w1, w1)


def _soften(field: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(field, (3, 3), 0.6)


def bidirectional_flow(start: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
    """Flow both ways between two uint8 [H W 3], each fused from up to four starting points."""
    grey = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (start, end)]
    soft = [cv2.GaussianBlur(p, (0, 0), 1.0).astype(np.float32) for p in (start, end)]
    shape = grey[0].shape
    p0, p1 = of.match_features(*grey)
    motion = of.global_motion(p0, p1, shape)
    flows: list[list[np.ndarray]] = [[], []]
    for i in (0, 1):
        a, b = grey[i], grey[1 - i]
        flows[i].append(of.dense_flow(a, b))
        if motion is not None:
            m = motion if i == 0 else np.linalg.inv(motion)
            flows[i].append(of.dense_flow(a, b, of.homography_flow(m, shape)))
        if len(p0) >= 12:
            x, y = (p0, p1) if i == 0 else (p1, p0)
            flows[i].append(of.dense_flow(a, b, of.sparse_flow(x, y - x, shape)))
    for _ in range(2):
        fused = []
        for i in (0, 1):
            costs = [of.photometric_cost(soft[i], soft[1 - i], f) for f in flows[i]]
            fused.append(of.fuse_flows(flows[i], costs))
        # each direction's flow, carried over, is a candidate of the other
        for i in (0, 1):
            other = fused[1 - i]
            s, n = of.splat(-other, np.ones(shape, np.float32), other)
            flows[i] = [fused[i], of.fill(s, n)]
    return fused


def _picture(picture: np.ndarray, name: str) -> np.ndarray:
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(f"{name}: a uint8 picture [H W 3] is needed, got {getattr(picture, 'shape', type(picture))}.")
    return np.ascontiguousarray(picture)
