"""What a dancer does, whatever it was read from: joint rotations over time (thesis section 7.2.1).

BVH, AMASS, AIST++ and SMPL-X files, the results of GVHMR and 2-D joints all become one `Motion`, upright and facing the viewer,
so that left and right mean the same in each. Readers stand in the `motion_*` modules; `read_motion` chooses by the file's name.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..checks import InputError, number
from ..media.files import base_name
from .kinematics import at_times, matrices_of, mirrored_poses, pose_distances
from .skeleton import N_JOINTS

MAX_MOTION_S = 600.0
MIN_FPS, MAX_FPS = 1.0, 1000.0

_X_REFLECTION = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Motion:
    """A dancer over time: y up, facing +z at the viewer on the whole, x to the dancer's left, metres.

    `rotations` float64 [T 22 3 3] as in `skeleton.JOINTS`, each relative to its parent; `translation_m` float64 [T 3] of the
    root; `known` names the joints that the source tells of, others stand still and do not count in distances.
    """

    rotations: np.ndarray
    translation_m: np.ndarray
    fps: float
    source: str = ""  # what it was read from, for people
    known: tuple[int, ...] = tuple(range(N_JOINTS))

    def __post_init__(self):
        number(self.fps, "frame rate of the motion", low=MIN_FPS, high=MAX_FPS, unit="Hz")
        shape, n = np.shape(self.rotations), len(self.rotations)
        if shape != (n, N_JOINTS, 3, 3) or np.shape(self.translation_m) != (n, 3):
            raise InputError(
                f"motion: rotations [T {N_JOINTS} 3 3] and translation [T 3] are needed, got {list(shape)} and"
                f" {list(np.shape(self.translation_m))}."
            )
        if n < 2:
            raise InputError(f"motion: at least 2 frames are needed, got {n}.")
        if not (np.isfinite(self.rotations).all() and np.isfinite(self.translation_m).all()):
            raise InputError("motion: it holds values that are not finite.")
        if self.duration_s > MAX_MOTION_S:
            raise InputError(f"motion: at most {MAX_MOTION_S:g} s are read, got {self.duration_s:.0f} s.")

    @property
    def duration_s(self) -> float:
        """From the first frame to the last."""
        return (len(self.rotations) - 1) / self.fps

    @property
    def thresholds(self) -> tuple[float, float]:
        """eps_theta and eps_theta' of the thesis, in the unit of `distances`; 2-D joints have their own."""
        return (0.21, 0.25) if len(self.known) == N_JOINTS else (0.45, 0.5)

    def sampled(self, times_s: np.ndarray) -> Motion:
        """The poses at `times_s` [N], from 0 on; in between along shortest arcs, beyond the ends the last pose."""
        positions = np.asarray(times_s, np.float64) * self.fps
        place = np.arange(len(self.translation_m))
        translation_m = np.stack([np.interp(positions, place, axis) for axis in self.translation_m.T], axis=1)
        return replace(self, rotations=at_times(self.rotations, positions), translation_m=translation_m)

    def between(self, start_s: float, end_s: float, *, fps: float | None = None) -> Motion:
        """The part from `start_s` to `end_s`, at `fps` frames a second or its own rate."""
        fps = self.fps if fps is None else number(fps, "frame rate", low=MIN_FPS, high=MAX_FPS)
        start_s = number(start_s, "start", low=0, high=self.duration_s, unit="s")
        end_s = number(end_s, "end", low=start_s, unit="s")
        n = max(round((end_s - start_s) * fps) + 1, 2)
        return replace(self.sampled(start_s + np.arange(n) / fps), fps=fps)

    def mirrored(self) -> Motion:
        """The same dance to the other side: Eq. 7.3 on the rotations, and the way across x turned round."""
        return replace(self, rotations=mirrored_poses(self.rotations), translation_m=self.translation_m * _X_REFLECTION)

    def distances(self, other: Motion) -> np.ndarray:
        """Eq. 7.1 between all frames of both, over the joints that both know: [T], [T'] -> float64 [T T']."""
        known = [joint for joint in self.known if joint in other.known]
        if not known:
            raise InputError("motion: the two have no joints in common.")
        return pose_distances(self.rotations[:, known], other.rotations[:, known])


def upright(rotations: np.ndarray, translation_m: np.ndarray, *, face_viewer: bool = True) -> tuple:
    """Turn a world of any up axis to y up and, with `face_viewer`, the dancer's mean facing to +z: the same two arrays.

    Up is the axis of the world that the trunk points along over the clip, so dancers who stand more often than they lie
    are set on their feet whatever the file's convention was.
    """
    mean_up = np.mean(rotations[:, 0, :, 1], axis=0)
    axis = int(np.argmax(np.abs(mean_up)))
    up = np.zeros(3)
    up[axis] = 1.0 if mean_up[axis] >= 0 else -1.0
    turn = turned_to(up, np.array([0.0, 1.0, 0.0]))
    if face_viewer:
        facing = turn @ np.mean(_level(turn, rotations[:, 0, :, 2]), axis=0)
        if np.hypot(facing[0], facing[2]) < 0.1:  # turning all the time: as it begins
            facing = turn @ rotations[0, 0, :, 2]
        turn = matrices_of(np.array([0.0, -np.arctan2(facing[0], facing[2]), 0.0])) @ turn
    turned = rotations.copy()
    turned[:, 0] = turn @ rotations[:, 0]
    return turned, translation_m @ turn.T


def _level(turn: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Directions [T 3] without what points up once turned, of length 1 where anything is left."""
    level = directions @ turn.T * [1.0, 0.0, 1.0]
    return (level / np.maximum(np.linalg.norm(level, axis=1, keepdims=True), 1e-9)) @ turn


def turned_to(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The smallest rotation [3 3] that turns direction `source` to direction `target` [3]; half a turn is about x or z."""
    source, target = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = np.cross(source, target)
    sine, cosine = np.linalg.norm(axis), float(source @ target)
    if sine < 1e-9:
        if cosine > 0:
            return np.eye(3)
        across = np.array([1.0, 0.0, 0.0]) if abs(source[0]) < 0.9 else np.array([0.0, 0.0, 1.0])
        axis = across - source * (across @ source)
        return matrices_of(np.pi * axis / np.linalg.norm(axis))
    return matrices_of(axis / sine * np.arctan2(sine, cosine))


def read_motion(path: str | os.PathLike) -> Motion:
    """The motion in a .bvh, .npz (AMASS, AIST++, SMPL, SMPL-X) or .pt (GVHMR) file.

    Raises InputError for any other, a damaged one, and files that hold Python objects (pickles), which are never opened.
    """
    suffix = Path(path).suffix.lower() if isinstance(path, str | os.PathLike) else ""
    if suffix == ".bvh":
        from .motion_bvh import read_bvh

        return read_bvh(path)
    if suffix == ".npz":
        from .motion_npz import read_npz

        return read_npz(path)
    if suffix in (".pt", ".pth"):
        from .motion_gvhmr import read_gvhmr

        return read_gvhmr(path)
    if suffix in (".pkl", ".pickle"):
        raise InputError(
            f"{base_name(path)} is a pickle, which can run any program when opened: save its arrays with numpy.savez"
            " (smpl_poses and smpl_trans for AIST++) and load the .npz."
        )
    raise InputError(f"{base_name(path)}: a .bvh, .npz or .pt file of motion is needed.")
