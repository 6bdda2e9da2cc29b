"""Which point of one silhouette becomes which of another: a smooth, invertible motion between two poses of a subject.

The motion is a stationary velocity field, so that every part of the way is its exponential and nothing folds (Arsigny et al.
2006; log-demons, Vercauteren et al. 2008). It starts from optimal transport between the two areas (Cuturi 2013), which carries
limbs to limbs, and is then fitted to the silhouettes' signed distances and the colours, coarse to fine.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .. import flow as of

CANVAS = 160  # pixels a side of the square on which poses are registered
FILL = 0.62  # of the canvas, which the larger subject's long side takes; the rest is room to move
_POINTS = 350  # points per silhouette between which mass is transported
_DISTANCE_REACH = 14.0  # canvas pixels beyond which a signed distance says no more
_COLOUR_WEIGHT = 0.5  # of the colours beside the silhouettes
_LEVELS = (40, 60), (80, 40), (160, 15)  # canvas side, iterations


@dataclass(frozen=True)
class Pose:
    """A keyframe's subject on the canvas: canvas pixel q is picture pixel `centre + scale * (q - CANVAS / 2)`."""

    centre: np.ndarray  # [2] x, y in picture pixels
    scale: float  # picture pixels per canvas pixel
    distance: np.ndarray  # [n n] float32, signed distance to the outline in canvas pixels, inside positive
    colours: np.ndarray  # [n n 3] float32, Lab about its mean, 0 outside

    def picture_points(self, canvas_points: np.ndarray) -> np.ndarray:
        return self.centre.astype(np.float32) + np.float32(self.scale) * (canvas_points - np.float32(CANVAS / 2))


def extent(mask: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Of a mask float32 [H W]: the centre of its area (x, y), the root of its area, its farthest reach from the centre."""
    ys, xs = np.nonzero(mask > 0.5)
    centre = np.array([xs.mean(), ys.mean()])
    reach = float(max(np.abs(xs - centre[0]).max(), np.abs(ys - centre[1]).max()))
    return centre, float(np.sqrt(len(xs))), reach


def on_canvas(colours: np.ndarray, mask: np.ndarray, scale: float) -> Pose:
    """The subject of uint8 `colours` [H W 3] in `mask` float32 [H W], centred, at `scale` picture pixels per canvas pixel."""
    centre, _, _ = extent(mask)
    matrix = np.array([[scale, 0.0, centre[0] - scale * CANVAS / 2], [0.0, scale, centre[1] - scale * CANVAS / 2]])
    soft = max(0.3, 0.4 * scale)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    silhouette = cv2.warpAffine(cv2.GaussianBlur(mask, (0, 0), soft), matrix, (CANVAS, CANVAS), flags=flags)
    painted = cv2.warpAffine(
        cv2.GaussianBlur(colours, (0, 0), soft), matrix, (CANVAS, CANVAS), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    lab = cv2.cvtColor(painted.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab) / 100.0
    inside = silhouette > 0.5
    lab -= lab[inside].mean(0) if inside.any() else 0.0
    return Pose(centre, scale, signed_distance(inside), lab * silhouette[..., None])


def signed_distance(inside: np.ndarray) -> np.ndarray:  # [h w] float32
    """Distance in pixels to the outline of `inside` bool [h w], positive within."""
    within = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    beyond = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(inside, within - 0.5, 0.5 - beyond).astype(np.float32)


def exponential(velocity: np.ndarray, time: float = 1.0) -> np.ndarray:  # [n n 2]
    """The displacement after going along the stationary `velocity` [n n 2] for `time`: scaling and squaring."""
    largest = float(np.abs(velocity).max()) * abs(time)
    halvings = max(0, int(np.ceil(np.log2(max(largest, 1e-6) / 0.5))))
    displacement = velocity * np.float32(time / 2**halvings)
    here = of.grid(velocity.shape[:2])
    for _ in range(halvings):
        displacement = displacement + _read(displacement, here + displacement)
    return displacement


def velocity_between(a: Pose, b: Pose) -> np.ndarray:  # [CANVAS CANVAS 2]
    """The velocity field whose exponential carries pose `a` to pose `b`, in canvas pixels."""
    velocity = _transported(a, b)
    for side, iterations in _LEVELS:
        velocity = of.resize_flow(velocity, (side, side))
        channels = [_channels(pose, side) for pose in (a, b)]
        velocity = _demons(*channels, velocity, iterations)
    return of.resize_flow(velocity, (CANVAS, CANVAS))


def mismatch(a: Pose, b: Pose, velocity: np.ndarray) -> float:
    """Share of the two areas, met half way along `velocity`, that lies in one of them only: 0 to 1."""
    inside = [
        _read(pose.distance, of.grid((CANVAS, CANVAS)) + exponential(velocity, time)) > 0
        for pose, time in ((a, -0.5), (b, 0.5))
    ]
    return float((inside[0] ^ inside[1]).sum() / max((inside[0] | inside[1]).sum(), 1))


def _channels(pose: Pose, side: int) -> np.ndarray:  # [side side 4]
    distance = np.clip(pose.distance / _DISTANCE_REACH, -1.0, 1.0)
    colours = cv2.GaussianBlur(pose.colours, (0, 0), 1.5) * _COLOUR_WEIGHT
    return cv2.resize(np.dstack([distance, colours]), (side, side), interpolation=cv2.INTER_AREA)


def _demons(a: np.ndarray, b: np.ndarray, velocity: np.ndarray, iterations: int) -> np.ndarray:
    """Symmetric log-demons on channels [n n C]: both go half way, and what still differs there pulls."""
    here = of.grid(velocity.shape[:2])
    for _ in range(iterations):
        at_a, at_b = (_read(x, here + exponential(velocity, t)) for x, t in ((a, -0.5), (b, 0.5)))
        apart = at_a - at_b
        middle = 0.5 * (at_a + at_b)
        slope_x = cv2.Scharr(middle, cv2.CV_32F, 1, 0, scale=1 / 32)
        slope_y = cv2.Scharr(middle, cv2.CV_32F, 0, 1, scale=1 / 32)
        power = (slope_x * slope_x + slope_y * slope_y + 0.25 * apart * apart).sum(-1) + 1e-5
        step = np.dstack([(apart * slope_x).sum(-1), (apart * slope_y).sum(-1)]) / power[..., None]
        velocity = velocity + cv2.GaussianBlur(np.clip(step, -1.0, 1.0), (0, 0), 1.5)
        velocity = cv2.GaussianBlur(velocity, (0, 0), 1.0)
    return velocity


def _transported(a: Pose, b: Pose) -> np.ndarray:  # [40 40 2] on the coarsest level
    """A first velocity from entropic optimal transport between the areas, by place and colour."""
    side = _LEVELS[0][0]
    points = [_sample(pose) for pose in (a, b)]
    places = [p[:, :2] / CANVAS for p in points]
    tones = [p[:, 2:] for p in points]
    cost = np.square(places[0][:, None] - places[1][None]).sum(-1) + 0.05 * np.square(
        tones[0][:, None] - tones[1][None]
    ).sum(-1)
    plan = _sinkhorn(cost, blur=0.0015)
    there = plan @ points[1][:, :2] / plan.sum(1, keepdims=True)
    back = plan.T @ points[0][:, :2] / plan.sum(0)[:, None]
    starts = np.concatenate([points[0][:, :2], back])
    ends = np.concatenate([there, points[1][:, :2]])
    middles, moves = (starts + ends) / 2 * side / CANVAS, (ends - starts) * side / CANVAS
    lattice = of.grid((side, side)).reshape(-1, 2)
    apart = np.square(lattice[:, None] - middles[None]).sum(-1)
    weight = np.exp(apart * (-0.5 / 2.0**2)) + 1e-3 * np.exp(apart * (-0.5 / 8.0**2))
    field = weight @ moves / (weight.sum(1, keepdims=True) + 1e-6)
    return cv2.GaussianBlur(field.reshape(side, side, 2).astype(np.float32), (0, 0), 1.0)


def _sample(pose: Pose) -> np.ndarray:  # [N 5] x, y, Lab
    ys, xs = np.nonzero(pose.distance > 0)
    step = max(1, len(xs) // _POINTS)
    ys, xs = ys[::step], xs[::step]
    return np.c_[xs, ys, pose.colours[ys, xs]].astype(np.float64)


def _sinkhorn(cost: np.ndarray, *, blur: float, iterations: int = 60) -> np.ndarray:  # [N M]
    """The entropic transport plan between uniform masses at `cost` [N M]."""
    kernel = np.exp(-cost / blur) + 1e-12
    u, v = np.full(cost.shape[0], 1.0 / cost.shape[0]), np.full(cost.shape[1], 1.0 / cost.shape[1])
    scale_a, scale_b = np.ones_like(u), np.ones_like(v)
    for _ in range(iterations):
        scale_a = u / (kernel @ scale_b)
        scale_b = v / (kernel.T @ scale_a)
    return scale_a[:, None] * kernel * scale_b[None]


def _read(field: np.ndarray, position: np.ndarray) -> np.ndarray:
    return cv2.remap(field, position, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
