"""Small shaded figures that show a motion, for the timeline of a choreography (thesis section 7.3.2).

Limbs are drawn as tapered, shaded rods over the joints that `smplx` places, the far ones first; the dancer's left is warm and
the right is cool, so that a move and its mirrored one are told apart at a glance.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..checks import integer, number
from .kinematics import joint_positions
from .motion import Motion
from .skeleton import INDEX, LEG_M, REST_M

FPS = 15.0

_SUPERSAMPLING = 3
_GROUND, _SHADOW = (244, 242, 238), (216, 212, 206)
_LEFT, _RIGHT, _CENTRE = (226, 122, 74), (66, 128, 178), (96, 100, 112)
_YAW_RAD, _PITCH_RAD = np.deg2rad(-18.0), np.deg2rad(12.0)  # the viewer stands a little aside and above
_FRAME_M = 2.5  # what the picture is high
_LOOP_HOLD_S, _LOOP_BACK_S = 0.2, 0.35

# (from, to, radius at either end in metres)
_RODS = (
    ("pelvis", "spine2", 0.115, 0.105), ("spine2", "neck", 0.12, 0.07), ("left_shoulder", "right_shoulder", 0.07, 0.07),
    ("left_hip", "right_hip", 0.095, 0.095), ("neck", "head", 0.05, 0.05),
    *((f"{side}_{a}", f"{side}_{b}", start, end) for side in ("left", "right") for a, b, start, end in (
        ("hip", "knee", 0.085, 0.06), ("knee", "ankle", 0.06, 0.042), ("ankle", "foot", 0.045, 0.035),
        ("shoulder", "elbow", 0.055, 0.043), ("elbow", "wrist", 0.042, 0.032))),
)  # fmt: skip


def figure_frames(
    motion: Motion, *, height: int = 160, fps: float = FPS, loop: bool = True, rest_m: np.ndarray = REST_M
) -> np.ndarray:
    """The motion from its first frame to its last as uint8 [T H W 3], W = 3/4 H.

    `loop` adds a short hold and the way back to the first pose, so that the frames can be shown round and round. `rest_m` is
    another body's rest pose (`skeleton.read_body`).
    """
    integer(height, "height of the figure", low=32, high=1024)
    number(fps, "frame rate of the figure", low=1, high=60)
    times_s = np.arange(max(round(motion.duration_s * fps) + 1, 2)) / fps
    moved = motion.sampled(np.minimum(times_s, motion.duration_s))
    poses, places = moved.rotations, moved.translation_m
    if loop:
        n_hold, n_back = max(round(_LOOP_HOLD_S * fps), 1), max(round(_LOOP_BACK_S * fps), 1)
        ends = Motion(poses[[-1, 0]], places[[-1, 0]], 1.0).sampled(np.linspace(0, 1, n_back + 2)[1:-1])
        poses = np.concatenate([poses, np.repeat(poses[-1:], n_hold, 0), ends.rotations])
        places = np.concatenate([places, np.repeat(places[-1:], n_hold, 0), ends.translation_m])
    joints_m = joint_positions(poses, places - places[0], rest_m)
    joints_m = joints_m * LEG_M / max(float(rest_m[INDEX["left_hip"], 1] - rest_m[INDEX["left_ankle"], 1]), 0.1)
    middle = (joints_m[..., 0].min() + joints_m[..., 0].max()) / 2
    floor = float(np.percentile(joints_m[..., 1].min(axis=1), 10))
    return np.stack([draw(pose - [middle, floor, 0], height) for pose in joints_m])


def draw(joints_m: np.ndarray, height: int) -> np.ndarray:
    """One pose, float [22 3] in metres with the floor at y = 0, as uint8 [H W 3] with W = 3/4 H."""
    size = height * _SUPERSAMPLING
    canvas = np.full((size, size * 3 // 4, 3), _GROUND, np.uint8)
    scale = size / _FRAME_M
    turn = np.array([[np.cos(_YAW_RAD), 0, np.sin(_YAW_RAD)], [0, 1, 0], [-np.sin(_YAW_RAD), 0, np.cos(_YAW_RAD)]])
    seen = joints_m @ turn.T
    _draw_shadow(canvas, seen, scale)
    rods = [(INDEX[a], INDEX[b], start, end, _colour(a, b)) for a, b, start, end in _RODS]
    rods.append((INDEX["head"], None, 0.115, 0.115, _CENTRE))
    depth = [seen[a, 2] if b is None else (seen[a, 2] + seen[b, 2]) / 2 for a, b, *_ in rods]
    for i in np.argsort(depth):
        a, b, start, end, colour = rods[i]
        top = seen[a] + [0, 0.07, 0] if b is None else seen[b]
        light = np.clip(0.92 + 0.35 * depth[i], 0.72, 1.1)  # farther is darker
        _rod(canvas, _project(seen[a], canvas, scale), _project(top, canvas, scale), start * scale, end * scale,
             np.array(colour) * light)  # fmt: skip
    return cv2.resize(canvas, (height * 3 // 4, height), interpolation=cv2.INTER_AREA)


def _project(point: np.ndarray, canvas: np.ndarray, scale: float) -> np.ndarray:
    """Orthographic, seen from a little above: metres -> pixels (x to the right, y down)."""
    y = point[1] * np.cos(_PITCH_RAD) - point[2] * np.sin(_PITCH_RAD)
    return np.array([canvas.shape[1] / 2 + point[0] * scale, canvas.shape[0] * 0.92 - y * scale])


def _draw_shadow(canvas: np.ndarray, seen: np.ndarray, scale: float) -> None:
    for name, radius in (("pelvis", 0.3), ("left_foot", 0.13), ("right_foot", 0.13)):
        centre = _project(seen[INDEX[name]] * [1, 0, 1], canvas, scale)
        axes = (int(radius * scale), int(radius * scale * 0.3))
        cv2.ellipse(canvas, tuple(np.rint(centre).astype(int).tolist()), axes, 0, 0, 360, _SHADOW, -1, cv2.LINE_AA)


def _rod(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, start: float, end: float, colour: np.ndarray) -> None:
    """A tapered rod: dark at its edge, lit from the upper left."""
    for share, shade, shift in ((1.0, 0.72, 0.0), (0.86, 1.0, 0.0), (0.45, 1.16, -0.28)):
        tint = np.clip(colour * shade, 0, 255).tolist()
        move = np.array([shift, shift]) * min(start, end)
        _tapered(canvas, a + move, b + move, start * share, end * share, tint)


def _tapered(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, start: float, end: float, colour: list) -> None:
    """A disc at each end and the quadrilateral between them."""
    along = b - a
    length = np.linalg.norm(along)
    for point, radius in ((a, start), (b, end)):
        cv2.circle(canvas, tuple(np.rint(point).astype(int).tolist()), max(round(radius), 1), colour, -1, cv2.LINE_AA)
    if length > 1e-6:
        across = np.array([-along[1], along[0]]) / length
        corners = np.array([a + across * start, a - across * start, b - across * end, b + across * end])
        cv2.fillConvexPoly(canvas, np.rint(corners).astype(np.int32), colour, cv2.LINE_AA)


def _colour(a: str, b: str) -> tuple[int, int, int]:
    if a.split("_")[0] == b.split("_")[0] and "_" in a:
        return _LEFT if a.startswith("left") else _RIGHT
    return _CENTRE
