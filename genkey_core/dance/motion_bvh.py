"""Motion capture in BVH files: read strictly, and retargeted by joint names to the 22 joints of SMPL.

Files agree on little: names, spines of one to six joints, rest poses, units and the axis that is up. `bvh_fit` lays our bones
along theirs; sizes are brought to the leg of our own rest pose.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field

import numpy as np

from ..checks import InputError, shown
from ..media.files import base_name, open_local
from .bvh_fit import retargeted
from .bvh_names import joint_map
from .motion import MAX_FPS, MAX_MOTION_S, Motion, upright
from .skeleton import INDEX, LEG_M, REST_M

_MAX_BYTES = 256 * 2**20
_MAX_JOINTS = 300
_CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")


@dataclass
class Hierarchy:
    """The joints of a BVH file in its order."""

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[tuple[float, ...]] = field(default_factory=list)
    channels: list[tuple[str, ...]] = field(default_factory=list)


def read_bvh(path: str | os.PathLike) -> Motion:
    """The motion in a BVH file; raises InputError that names the line or the joint which is wrong or missing."""
    name = base_name(path)
    with open_local(path, max_bytes=_MAX_BYTES) as file:
        text = file.read().decode("utf-8", errors="replace")
    head, _, tail = text.partition("MOTION")
    if "HIERARCHY" not in head or not tail:
        raise InputError(f"{name} is no BVH file: HIERARCHY and MOTION are needed.")
    hierarchy = _hierarchy(head, name)
    fps, frames = _frames(tail, sum(map(len, hierarchy.channels)), name)
    world, places = world_poses(hierarchy, frames)
    mapped = joint_map(hierarchy.names, hierarchy.parents, name)
    rest = _rest_positions(hierarchy)
    rotations = retargeted(world, rest, mapped)
    scale = LEG_M / _leg(rest, mapped, name)
    translation_m = (places[:, mapped["pelvis"]] - places[0, mapped["pelvis"]]) * scale
    rotations, translation_m = upright(rotations, translation_m)
    return Motion(rotations, translation_m, fps, "BVH")


def _hierarchy(text: str, name: str) -> Hierarchy:
    """Every joint with parent, offset and channels; end sites are left out."""
    made, stack, pending = Hierarchy(), [], None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0] == "HIERARCHY":
            continue
        try:
            if words[0] == ("JOINT" if stack else "ROOT"):
                pending = len(made.names)
                made.names.append(" ".join(words[1:]))
                made.parents.append(stack[-1] if stack else -1)
                made.offsets.append((0.0, 0.0, 0.0))
                made.channels.append(())
            elif words[0] == "End":
                pending = -1
            elif words[0] == "{":
                stack.append(pending)
                pending = None
            elif words[0] == "}":
                stack.pop()
            elif words[0] == "OFFSET":
                if stack[-1] >= 0:
                    made.offsets[stack[-1]] = tuple(float(word) for word in words[1:4])
            elif words[0] == "CHANNELS":
                made.channels[stack[-1]] = _channels(words)
            else:
                raise ValueError
        except (ValueError, IndexError, TypeError) as error:
            raise InputError(f"{name}, line {number}: {shown(line.strip())} is not understood as BVH.") from error
        if len(made.names) > _MAX_JOINTS:
            raise InputError(f"{name}: at most {_MAX_JOINTS} joints are read.")
    if stack or not made.names or made.parents.count(-1) != 1:
        raise InputError(f"{name}: one ROOT with closed brackets is needed.")
    if any(len(offset) != 3 for offset in made.offsets) or not np.isfinite(made.offsets).all():
        raise InputError(f"{name}: every OFFSET needs three finite numbers.")
    return made


def _channels(words: list[str]) -> tuple[str, ...]:
    channels = tuple(words[2:])
    if len(channels) != int(words[1]) or any(channel not in _CHANNELS for channel in channels):
        raise ValueError("channels")
    return channels


def _frames(text: str, n_channels: int, name: str) -> tuple[float, np.ndarray]:
    """Frames per second and float64 [T N_CHANNELS]."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        n_frames = int(lines[0].split(":")[1])
        frame_s = float(lines[1].split(":")[1])
    except (IndexError, ValueError) as error:
        raise InputError(f"{name}: 'Frames:' and 'Frame Time:' are needed after MOTION.") from error
    if not 1 / MAX_FPS <= frame_s <= 1:
        raise InputError(f"{name}: a frame time between {1 / MAX_FPS:g} and 1 s is needed, got {frame_s:g} s.")
    if not 2 <= n_frames <= MAX_MOTION_S / frame_s + 1:
        raise InputError(f"{name}: between 2 frames and {MAX_MOTION_S:g} s are read, got {n_frames} frames.")
    try:
        values = np.array(" ".join(lines[2:]).split(), np.float64)
    except ValueError as error:
        raise InputError(f"{name}: its frames hold something that is no number.") from error
    if values.size != n_frames * n_channels:
        raise InputError(
            f"{name}: {n_frames} frames of {n_channels} numbers are needed, got {values.size / n_channels:.1f} frames."
        )
    if not np.isfinite(values).all():
        raise InputError(f"{name}: its frames hold values that are not finite.")
    return 1 / frame_s, values.reshape(n_frames, n_channels)


def world_poses(hierarchy: Hierarchy, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics in the file's own joints: rotations [T J 3 3] and positions [T J 3], relative to the world.

    Rotations apply in the order that the channels are named; position channels replace the offset.
    """
    rotations = np.empty((len(frames), len(hierarchy.names), 3, 3))
    places = np.empty((len(frames), len(hierarchy.names), 3))
    column = 0
    for joint, (parent, channels) in enumerate(zip(hierarchy.parents, hierarchy.channels, strict=True)):
        turn = np.broadcast_to(np.eye(3), (len(frames), 3, 3))
        place = np.tile(np.array(hierarchy.offsets[joint]), (len(frames), 1))
        for channel in channels:
            values, axis = frames[:, column], "XYZ".index(channel[0])
            column += 1
            if channel.endswith("position"):
                place[:, axis] = values
            else:
                turn = turn @ _about(axis, np.deg2rad(values))
        rotations[:, joint] = turn if parent < 0 else rotations[:, parent] @ turn
        above = 0.0 if parent < 0 else places[:, parent]
        places[:, joint] = above + (place if parent < 0 else (rotations[:, parent] @ place[..., None])[..., 0])
    return rotations, places


def _about(axis: int, angle: np.ndarray) -> np.ndarray:
    """Rotations [T 3 3] by `angle` [T] about one axis."""
    made = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    made[:, axis, axis] = 1
    made[:, i, i] = made[:, j, j] = np.cos(angle)
    made[:, j, i] = np.sin(angle)
    made[:, i, j] = -made[:, j, i]
    return made


def _rest_positions(hierarchy: Hierarchy) -> np.ndarray:
    rest = np.zeros((len(hierarchy.names), 3))
    for joint, parent in enumerate(hierarchy.parents):
        rest[joint] = np.array(hierarchy.offsets[joint]) + (rest[parent] if parent >= 0 else 0.0)
    return rest


def _leg(rest: np.ndarray, mapped: dict[str, int], name: str) -> float:
    joints = [mapped[key] for key in ("left_hip", "left_knee", "left_ankle") if key in mapped]
    length = sum(np.linalg.norm(rest[b] - rest[a]) for a, b in itertools.pairwise(joints))
    if length < 1e-6:
        raise InputError(f"{name}: its legs have no length.")
    return float(length) * LEG_M / _own_leg(len(joints))


def _own_leg(n_joints: int) -> float:
    joints = [INDEX[key] for key in ("left_hip", "left_knee", "left_ankle")][:n_joints]
    return float(sum(np.linalg.norm(REST_M[b] - REST_M[a]) for a, b in itertools.pairwise(joints)))
