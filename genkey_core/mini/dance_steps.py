"""The dancer of the dance example: a person of SMPL joints who follows a known pattern on the beats of the song.

Every move is a start and an end pose, reached on the two beats of its segment; primes are the same poses mirrored (Eq. 7.3).
The file is a BVH whose joints are those of SMPL.
"""

from __future__ import annotations

import numpy as np

from genkey_core.dance.kinematics import at_times, matrices_of, mirrored_poses
from genkey_core.dance.motion import Motion
from genkey_core.dance.patterns import Label, parse_pattern
from genkey_core.dance.skeleton import INDEX, JOINTS, N_JOINTS, PARENTS, REST_M

from .dance_song import BEAT_S, beat_times_s

FPS = 30.0
PATTERN = "A-A'-A-A'-B-B'-C-C-D-D'-D-D'-C'-C'-B-B'-A-A'-E-E"
_LATE_S, _LOOSE_DEG = 0.012, 2.0  # nobody repeats a move exactly

Pose = dict[str, tuple[float, float, float]]  # joint -> axis-angle in degrees, x left, y up, z front

_STAND: Pose = {
    "left_shoulder": (0, 0, -62), "right_shoulder": (0, 0, 62), "left_elbow": (0, -35, 0), "right_elbow": (0, 35, 0),
    "left_hip": (-12, 0, 4), "right_hip": (-12, 0, -4), "left_knee": (22, 0, 0), "right_knee": (22, 0, 0),
    "left_ankle": (-10, 0, 0), "right_ankle": (-10, 0, 0),
}  # fmt: skip
# Label -> what start and end pose change of _STAND, and where the hips go meanwhile, in metres.
MOVES: dict[str, tuple[Pose, Pose, tuple[float, float, float], tuple[float, float, float]]] = {
    "A": (  # a hand from the hip to the sky
        {"right_shoulder": (-20, 70, 40), "right_elbow": (0, 95, 0), "left_shoulder": (0, 20, -50),
         "left_elbow": (0, -95, 0), "pelvis": (0, 14, 0), "spine2": (6, 8, 8)},
        {"right_shoulder": (0, 10, -58), "right_elbow": (0, 12, 0), "left_shoulder": (0, 20, -45),
         "left_elbow": (0, -100, 0), "pelvis": (0, -16, 0), "spine1": (0, -8, -10), "spine2": (0, -10, -8),
         "head": (-14, -18, 0)},
        (-0.04, -0.03, 0), (0.06, 0.0, 0),
    ),
    "B": (  # a leg flung aside
        {"left_hip": (-35, 0, 0), "left_knee": (70, 0, 0), "left_shoulder": (0, -80, -10),
         "right_shoulder": (0, 0, 20), "spine1": (10, 0, 0)},
        {"left_hip": (-25, 10, 58), "left_knee": (8, 0, 0), "left_shoulder": (0, -70, -20), "left_elbow": (0, -70, 0),
         "right_shoulder": (0, 0, -30), "right_elbow": (0, 20, 0), "spine1": (0, 0, 12), "spine2": (0, 0, 10),
         "pelvis": (0, 0, 10)},
        (0, -0.05, 0), (-0.06, 0.01, 0),
    ),
    "C": (  # a deep lunge to one side, both arms swung after it
        {"left_shoulder": (0, 30, -15), "right_shoulder": (0, 75, 10), "spine2": (0, -14, 0), "head": (-10, 0, 0)},
        {"left_hip": (-78, 0, 40), "left_knee": (98, 0, 0), "left_ankle": (-26, 0, 0),
         "right_hip": (-14, 0, -46), "right_knee": (8, 0, 0), "pelvis": (6, 14, -6), "spine1": (16, 20, -8),
         "spine2": (8, 18, -6), "left_shoulder": (0, 10, 6), "right_shoulder": (0, 95, 5),
         "right_elbow": (0, 30, 0), "head": (-16, 14, 0)},
        (-0.04, 0.0, 0), (0.20, -0.28, -0.04),
    ),
    "D": (  # the face into the elbow
        {"left_shoulder": (0, -60, -30), "right_shoulder": (0, 60, 30), "left_elbow": (0, -80, 0),
         "right_elbow": (0, 80, 0), "spine1": (10, 0, 0)},
        {"left_shoulder": (0, 24, 34), "left_elbow": (0, -8, 0), "right_shoulder": (0, 70, -30),
         "right_elbow": (0, 115, 0), "head": (32, -36, 0), "neck": (14, -16, 0), "spine2": (10, -18, -14),
         "spine3": (6, -12, 0), "left_hip": (-25, 0, 14), "left_knee": (42, 0, 0)},
        (0, -0.02, 0), (0.04, -0.05, 0),
    ),
    "E": (  # up, everything away
        {"left_hip": (-60, 0, 6), "right_hip": (-60, 0, -6), "left_knee": (95, 0, 0), "right_knee": (95, 0, 0),
         "spine1": (25, 0, 0), "left_shoulder": (30, 0, -70), "right_shoulder": (30, 0, 70)},
        {"left_hip": (-5, 0, 30), "right_hip": (-5, 0, -30), "left_knee": (12, 0, 0), "right_knee": (12, 0, 0),
         "left_shoulder": (0, 0, 55), "right_shoulder": (0, 0, -55), "left_elbow": (0, -12, 0),
         "right_elbow": (0, 12, 0), "head": (-16, 0, 0), "spine1": (-6, 0, 0)},
        (0, -0.24, -0.04), (0, 0.16, 0),
    ),
}  # fmt: skip


def steps(seed: int = 9) -> Motion:
    """The whole dance, on the clock of the song, with small faults of timing and pose."""
    rng = np.random.default_rng(seed)
    beats_s = beat_times_s()
    labels = parse_pattern(PATTERN).labels
    stand = _pose({})
    times_s, poses, places = [0.0], [stand], [np.zeros(3)]
    for label, start_s, end_s in zip(labels, beats_s[::2], beats_s[1::2], strict=True):
        for k, beat_s in enumerate((start_s, end_s)):
            pose, place = _key(label, k, rng)
            times_s.append(beat_s + rng.normal(0, _LATE_S))
            poses.append(pose)
            places.append(place)
    times_s.append(beats_s[-1] + BEAT_S)
    poses.append(stand)
    places.append(np.zeros(3))
    frames_s = np.arange(round(times_s[-1] * FPS) + 1) / FPS
    positions = np.interp(frames_s, times_s, np.arange(len(times_s)))
    share = positions - np.floor(positions)
    positions = np.floor(positions) + share * share * (3 - 2 * share)  # at rest on every beat
    way_m = np.stack([np.interp(positions, np.arange(len(places)), axis) for axis in np.array(places).T], axis=1)
    return Motion(at_times(np.stack(poses), positions), way_m, FPS, "drawn")


def _pose(changes: Pose) -> np.ndarray:
    """_STAND with changes, as rotations [22 3 3]."""
    degrees = np.zeros((N_JOINTS, 3))
    for name, vector in (_STAND | changes).items():
        degrees[INDEX[name]] = vector
    return matrices_of(np.deg2rad(degrees))


def _key(label: Label, which: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Start (0) or end (1) pose of a label, loosely, and where its hips are."""
    move = MOVES[label.base]
    pose, place = _pose(move[which]), np.array(move[2 + which], float)
    if label.mirrored:
        pose, place = mirrored_poses(pose[None])[0], place * [-1, 1, 1]
    return pose @ matrices_of(np.deg2rad(rng.normal(0, _LOOSE_DEG / np.sqrt(3), (N_JOINTS, 3)))), place


def bvh(motion: Motion) -> str:
    """A motion as the text of a BVH file: joints and rest pose of SMPL, centimetres and degrees, channels in Z X Y."""
    lines, order = ["HIERARCHY"], []
    _joint(0, 0, lines, order)
    world = np.rad2deg(_zxy(motion.rotations))  # [T 22 3]
    root = 100 * (motion.translation_m + REST_M[0])
    lines += ["MOTION", f"Frames: {len(world)}", f"Frame Time: {1 / motion.fps:.9f}"]
    for place, angles in zip(root, world[:, order], strict=True):
        numbers = [f"{v:.2f}" for v in place] + [f"{v:.1f}" for v in angles.ravel()]
        lines.append(" ".join("0" if float(n) == 0 else n for n in numbers))
    return "\n".join(lines) + "\n"


def _joint(joint: int, depth: int, lines: list[str], order: list[int]) -> None:
    order.append(joint)
    indent = "  " * depth
    offset = 100 * (REST_M[joint] - (REST_M[PARENTS[joint]] if joint else 0))
    channels = "CHANNELS 3 Zrotation Xrotation Yrotation"
    if joint == 0:
        channels = channels.replace("3", "6 Xposition Yposition Zposition")
    lines += [f"{indent}{'JOINT' if joint else 'ROOT'} {JOINTS[joint]}", f"{indent}{{"]
    lines += [f"{indent}  OFFSET {' '.join(f'{v:.3f}' for v in offset)}", f"{indent}  {channels}"]
    children = np.flatnonzero(joint == PARENTS)
    for child in children:
        _joint(int(child), depth + 1, lines, order)
    if not len(children):
        lines += [f"{indent}  End Site", f"{indent}  {{", f"{indent}    OFFSET 0 0 5", f"{indent}  }}"]
    lines.append(f"{indent}}}")


def _zxy(rotations: np.ndarray) -> np.ndarray:
    """Angles [... 3] in radians about Z, X and Y, of R = Rz Rx Ry."""
    from scipy.spatial.transform import Rotation

    angles = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_euler("ZXY")
    return angles.reshape(*rotations.shape[:-2], 3)
