"""Optical flow, warping and occlusion between two pictures, training-free (OpenCV).

A flow is float32 [H W 2] in pixels, x then y: with `(u, v) = flow[y, x]`, `start[y, x]` is seen again at
`end[y + v, x + u]`. Dense flow is dense inverse search (Kroeger et al. 2016), run from several starting points
and fused per pixel by which of them explains the pictures best, in the spirit of FusionFlow (Lempitsky et al. 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

MIN_DENSE_SIDE = 16  # below this many pixels a side dense inverse search has no pyramid left
MIN_MATCHES = 12  # fewer feature matches say nothing about the motion
_COST_CEILING = 40.0  # grey levels; a worse match is as bad as any other
_MATCH_RATIO = 0.8  # Lowe's ratio between the best and the second-best descriptor distance


def grid(shape: tuple[int, int]) -> np.ndarray:  # [H W 2]
    """Pixel coordinates, x then y, float32."""
    x, y = np.meshgrid(np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32))
    return np.dstack([x, y])


def warp(image: np.ndarray, flow: np.ndarray, *, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Backward warp: `image` [H W ...] read at `(x, y) + flow[y, x]`; beyond the border the edge is repeated."""
    return cv2.remap(image, grid(flow.shape[:2]) + flow, None, interpolation, borderMode=cv2.BORDER_REPLICATE)


def resize_flow(flow: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Flow resampled to `size` (W, H), its vectors scaled with it."""
    h, w = flow.shape[:2]
    if size == (w, h):
        return flow
    scale = np.array([size[0] / w, size[1] / h], dtype=np.float32)
    return cv2.resize(flow * scale, size, interpolation=cv2.INTER_LINEAR)


def match_features(start: np.ndarray, end: np.ndarray, *, n_features: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Mutual, unambiguous SIFT matches (Lowe 2004) of two grey uint8 [H W]; points float32 [N 2], [N 2], N may be 0."""

    def detect(picture: np.ndarray) -> tuple[Sequence[cv2.KeyPoint], np.ndarray | None]:
        return cv2.SIFT_create(n_features, contrastThreshold=0.02).detectAndCompute(picture, None)

    with ThreadPoolExecutor(2) as pool:  # OpenCV gives up the interpreter lock
        (points0, features0), (points1, features1) = pool.map(detect, (start, end))
    nothing = np.zeros((0, 2), np.float32)
    if features0 is None or features1 is None or min(len(features0), len(features1)) < 2:
        return nothing, nothing
    features0, features1 = (np.sqrt(f / np.maximum(f.sum(1, keepdims=True), 1e-6)) for f in (features0, features1))
    similarity = features0 @ features1.T  # RootSIFT: unit vectors, so this is 1 - d^2 / 2
    best = similarity.argmax(1)
    rows = np.arange(len(best))
    top = similarity[rows, best]
    mutual = similarity.argmax(0)[best] == rows
    similarity[rows, best] = -1.0
    ratio = (1.0 - top) < _MATCH_RATIO**2 * (1.0 - similarity.max(1))
    keep = np.flatnonzero(mutual & ratio)
    return cv2.KeyPoint_convert(points0)[keep], cv2.KeyPoint_convert(points1)[best[keep]]


def global_motion(points0: np.ndarray, points1: np.ndarray, shape: tuple[int, int]) -> np.ndarray | None:
    """The homography float64 [3 3] that carries most matches, or None where no sane one does.

    Sane: at least 12 matches and 15 % of them agree, and the picture's corners neither flip, shrink nor grow by more
    than a factor of 2.5 in length. A homography that fails is tried again as a similarity.
    """
    if len(points0) < MIN_MATCHES:
        return None
    h, w = shape
    threshold = max(2.0, 0.006 * max(h, w))
    homography, inliers = cv2.findHomography(points0, points1, cv2.USAC_MAGSAC, threshold, maxIters=3000)
    if homography is not None and _is_sane(homography, inliers, shape):
        return homography
    similarity, inliers = cv2.estimateAffinePartial2D(points0, points1, ransacReprojThreshold=threshold)
    if similarity is None:
        return None
    homography = np.vstack([similarity, [0.0, 0.0, 1.0]])
    return homography if _is_sane(homography, inliers, shape) else None


def _is_sane(homography: np.ndarray, inliers: np.ndarray, shape: tuple[int, int]) -> bool:
    h, w = shape
    agreeing = int(inliers.sum())
    if agreeing < max(MIN_MATCHES, 0.15 * len(inliers)):
        return False
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float64)
    if np.any(np.c_[corners, np.ones(4)] @ homography[2] <= 0.2 * abs(homography[2, 2])):
        return False
    moved = cv2.perspectiveTransform(corners[None], homography)[0]
    before, after = (np.roll(c, -1, axis=0) - c for c in (corners, moved))
    stretch = np.linalg.norm(after, axis=1) / np.linalg.norm(before, axis=1)
    turning = after[:, 0] * np.roll(after, -1, axis=0)[:, 1] - after[:, 1] * np.roll(after, -1, axis=0)[:, 0]
    return bool(np.all((stretch > 0.4) & (stretch < 2.5)) and np.all(turning > 0))


def homography_flow(homography: np.ndarray, shape: tuple[int, int]) -> np.ndarray:  # [H W 2]
    """The flow of every pixel under one homography."""
    here = grid(shape)
    return cv2.perspectiveTransform(here.reshape(1, -1, 2), homography).reshape(here.shape) - here


def sparse_flow(points: np.ndarray, vectors: np.ndarray, shape: tuple[int, int], *, neighbours: int = 6) -> np.ndarray:
    """Dense flow [H W 2] spread from matched points [N 2] with their vectors [N 2] by inverse-distance weights.

    Each cell of a coarse lattice takes the `neighbours` nearest points; a median over them throws out lone mismatches.
    """
    h, w = shape
    step = max(4, max(h, w) // 80)
    lattice = grid((-(-h // step), -(-w // step))).reshape(-1, 2) * step + (step - 1) / 2
    distance = np.square(lattice[:, :1] - points[None, :, 0]) + np.square(lattice[:, 1:] - points[None, :, 1])  # [L N]
    nearest = np.argpartition(distance, min(neighbours, len(points) - 1), axis=1)[:, :neighbours]
    vector = np.median(vectors[nearest], axis=1).astype(np.float32)
    field = vector.reshape(-(-h // step), -(-w // step), 2)
    padded = cv2.resize(field, (field.shape[1] * step, field.shape[0] * step), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(padded[:h, :w])


def dense_flow(start: np.ndarray, end: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:  # [H W 2]
    """Dense inverse search from `start` to `end`, grey uint8 [H W]; `initial` is taken out by warping `end` first."""
    h, w = start.shape
    if min(h, w) < MIN_DENSE_SIDE:
        return np.zeros((h, w, 2), np.float32) if initial is None else initial
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    if initial is None:
        return search.calc(start, end, None)
    residual = search.calc(start, warp(end, initial), None)
    return residual + warp(initial, residual)


def bidirectional_flow(start: np.ndarray, end: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Flow from `start` to `end` and back, uint8 [H W 3]; and the global motion's flow both ways, zero where none is sane.

    Candidates per direction: dense searches that start from stillness, from the global motion and from the matches.
    The fused flow of each direction, carried over to the other picture, is then a candidate for that one.
    """
    grey = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (start, end)]
    soft = [cv2.GaussianBlur(p, (0, 0), 1.0).astype(np.float32) for p in (start, end)]
    shape = grey[0].shape
    points = match_features(*grey)
    homography = global_motion(*points, shape)
    base = [np.zeros((*shape, 2), np.float32)] * 2
    if homography is not None:
        base = [homography_flow(m, shape) for m in (homography, np.linalg.inv(homography))]
    with ThreadPoolExecutor(2) as pool:

        def fuse(i: int, candidates: list[np.ndarray]) -> np.ndarray:
            return fuse_flows(candidates, [photometric_cost(soft[i], soft[1 - i], f) for f in candidates])

        def first(i: int) -> np.ndarray:
            candidates = [dense_flow(grey[i], grey[1 - i])]
            if homography is not None:
                candidates.append(dense_flow(grey[i], grey[1 - i], base[i]))
            if len(points[0]) >= MIN_MATCHES:
                spread = sparse_flow(points[i], points[1 - i] - points[i], shape)
                candidates.append(dense_flow(grey[i], grey[1 - i], spread))
            return fuse(i, candidates)

        def second(i: int) -> np.ndarray:
            carried = fill(*splat(-fused[1 - i], np.ones(shape, np.float32), fused[1 - i]))
            return fuse(i, [fused[i], carried])

        fused = list(pool.map(first, (0, 1)))
        return list(pool.map(second, (0, 1))), base


def photometric_cost(start: np.ndarray, end: np.ndarray, flow: np.ndarray) -> np.ndarray:  # [H W]
    """How badly `flow` explains two float32 [H W 3] pictures, in grey levels: truncated L1, smoothed, at two scales.

    What leaves the picture costs a fixed sum.
    """
    h, w = flow.shape[:2]
    position = grid((h, w)) + flow
    difference = cv2.absdiff(start, cv2.remap(end, position, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    cost = np.minimum(cv2.transform(difference, np.full((1, 3), 1 / 3, np.float32)), _COST_CEILING)
    cost[outside(position, 1.0)] = np.float32(_COST_CEILING / 2)
    return 0.5 * (cv2.GaussianBlur(cost, (0, 0), 2.0) + cv2.GaussianBlur(cost, (0, 0), 6.0))


def outside(position: np.ndarray, margin: float = 0.0) -> np.ndarray:  # [H W] bool
    """Where `position` [H W 2] lies more than `margin` pixels beyond the border of a picture of that size."""
    h, w = position.shape[:2]
    x, y = position[..., 0], position[..., 1]
    return (x < -margin) | (x > w - 1 + margin) | (y < -margin) | (y > h - 1 + margin)


def fuse_flows(flows: Sequence[np.ndarray], costs: Sequence[np.ndarray]) -> np.ndarray:  # [H W 2]
    """Per pixel the flow [H W 2] of least cost [H W]."""
    label = np.argmin(np.stack(costs), axis=0)
    fused = flows[0].copy()
    for i in range(1, len(flows)):
        np.copyto(fused, flows[i], where=(label == i)[..., None])
    return fused


def inconsistency(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:  # [H W]
    """Distance in pixels by which going along `forward` and back along `backward` misses the pixel it left."""
    back = forward + warp(backward, forward)
    return cv2.magnitude(back[..., 0], back[..., 1])


def splat(values: np.ndarray, weights: np.ndarray, flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Carry `values` [H W C] to the nearest pixel of `(x, y) + flow` and add them up with `weights` [H W].

    Returns the weighted sums float32 [H W C] and the sums of weights [H W]: summation splatting (Niklaus and Liu 2020),
    of which softmax splatting is the case `weights = exp(importance)`. What lands outside is dropped.
    """
    h, w = weights.shape
    x, y = (np.rint(component).astype(np.int32) for component in cv2.split(grid((h, w)) + flow))
    inside = np.flatnonzero((x >= 0) & (x < w) & (y >= 0) & (y < h))
    index = (y * w + x).ravel()[inside]
    mass = weights.ravel()[inside]
    sums = np.empty((h, w, values.shape[2]), np.float32)
    for c in range(values.shape[2]):
        total = np.bincount(index, mass * values[..., c].ravel()[inside], minlength=h * w)
        sums[..., c] = total.reshape(h, w)
    return sums, np.bincount(index, mass, minlength=h * w).reshape(h, w).astype(np.float32)


def fill(sums: np.ndarray, weights: np.ndarray, *, prior: float = 1e-3) -> np.ndarray:  # [H W 2]
    """`sums / weights` where there is weight, continued smoothly where there is none (a push-pull pyramid).

    `sums` float32 [H W 2] are weighted sums, `weights` [H W] their weights; `prior` is the weight of the coarser level.
    """
    h, w = weights.shape
    if max(h, w) <= 2:
        return np.broadcast_to(sums.sum((0, 1)) / (float(weights.sum()) + 1e-3), sums.shape).astype(np.float32)
    half = ((w + 1) // 2, (h + 1) // 2)
    coarse = fill(*(cv2.resize(field, half, interpolation=cv2.INTER_AREA) for field in (sums, weights)), prior=prior)
    coarse = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_LINEAR)
    return (sums + prior * coarse) / (weights + prior)[..., None]
