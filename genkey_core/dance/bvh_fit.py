"""What turns our rest pose into a BVH file's, joint by joint, so that every limb points where the file's limb points."""

from __future__ import annotations

import numpy as np

from ..checks import InputError
from .kinematics import local_rotations, matrices_of
from .motion import turned_to
from .skeleton import INDEX, JOINTS, N_JOINTS, PARENTS, REST_M

# The joint that a joint's bone ends at; where there is none, the bone keeps the turn of its own joint alone.
_BONE_END = {
    "left_hip": "left_knee", "left_knee": "left_ankle", "left_ankle": "left_foot", "left_collar": "left_shoulder",
    "left_shoulder": "left_elbow", "left_elbow": "left_wrist",
}  # fmt: skip
_BONE_END |= {a.replace("left", "right"): b.replace("left", "right") for a, b in _BONE_END.items()}
_TRUNK_END = {"spine1": "spine2", "spine2": "spine3", "spine3": "neck", "neck": "head"}


def retargeted(world: np.ndarray, rest: np.ndarray, mapped: dict[str, int]) -> np.ndarray:
    """SMPL's local rotations [T 22 3 3] with every limb pointing as the file's does.

    `world` [T J 3 3] holds the file's rotations relative to the world, `rest` [J 3] where its joints are without any, `mapped`
    the number of SMPL's joints among them. With G the file's rotation of a joint, ours is G C, where C turns our rest pose
    into the file's. Raises InputError where its rest pose shows no left, up and front.
    """
    ours = np.empty((len(world), N_JOINTS, 3, 3))
    fit = _standing_fit(rest, mapped) if _stands(rest, mapped) else None
    for joint, name in enumerate(JOINTS):
        above = ours[:, PARENTS[joint]]
        if name not in mapped:
            ours[:, joint] = above
        elif fit is not None:
            ours[:, joint] = world[:, mapped[name]] @ fit[name]
        else:
            ours[:, joint] = world[:, mapped[name]] @ _fitted(name, world[:, mapped[name]], above, rest, mapped)
    return local_rotations(ours)


def _stands(rest: np.ndarray, mapped: dict[str, int]) -> bool:
    """Whether the legs of the rest pose point away from the trunk; some exporters lay every bone along its own x axis."""
    trunk = rest[mapped["left_shoulder"]] + rest[mapped["right_shoulder"]] - 2 * rest[mapped["pelvis"]]
    legs = [rest[mapped[f"{side}_knee"]] - rest[mapped[f"{side}_hip"]] for side in ("left", "right")]
    cosines = [leg @ trunk / max(np.linalg.norm(leg) * np.linalg.norm(trunk), 1e-9) for leg in legs]
    return max(cosines) < -0.3


def _standing_fit(rest: np.ndarray, mapped: dict[str, int]) -> dict[str, np.ndarray]:
    """C for every joint: the frame of hips and trunk, then the smallest turn that lays our bone along theirs."""
    body = _body_frame(rest, mapped)  # our axes -> the file's, at rest
    fit = {}
    for name in mapped:
        fit[name], end = body, _BONE_END.get(name)
        if end in mapped:
            bone = body.T @ (rest[mapped[end]] - rest[mapped[name]])
            if np.linalg.norm(bone) > 1e-6:
                fit[name] = body @ turned_to(REST_M[INDEX[end]] - REST_M[INDEX[name]], bone)
    return fit


def _fitted(name: str, turns: np.ndarray, above: np.ndarray, rest: np.ndarray, mapped: dict[str, int]) -> np.ndarray:
    """C of one joint from its own bones and its motion, where the rest pose means nothing.

    Hips and chest have children to both sides, which tell their axes. A single bone leaves the turn about itself open: it is
    set so that, on the mean of all frames, the joint is not twisted against the one `above` it [T 3 3]. A joint without a bone
    is on the mean as the one above.
    """

    def offset(end: str) -> np.ndarray:
        return rest[mapped[end]] - rest[mapped[name]]

    if name == "pelvis":
        up = next(end for end in ("spine1", "spine2", "spine3", "left_shoulder") if end in mapped)
        return _axes(offset("left_hip") - offset("right_hip"), offset(up))
    arms = "collar" if {"left_collar", "right_collar"} <= mapped.keys() else "shoulder"
    if name == "spine3" and "neck" in mapped:
        return _axes(offset(f"left_{arms}") - offset(f"right_{arms}"), offset("neck"))
    end = _BONE_END.get(name) or _TRUNK_END.get(name)
    bone = offset(end) if end in mapped else np.zeros(3)
    if np.linalg.norm(bone) < 1e-6:
        return _mean_turn(np.swapaxes(turns, -1, -2) @ above)
    own = REST_M[INDEX[end]] - REST_M[INDEX[name]]
    start = turned_to(own, bone)
    axis = own / np.linalg.norm(own)
    return start @ matrices_of(-_twist(np.swapaxes(above, -1, -2) @ turns @ start, axis) * axis)


def _twist(turns: np.ndarray, axis: np.ndarray) -> float:
    """The mean angle, radians, by which rotations [T 3 3] turn about `axis`, apart from where they swing it to."""
    from scipy.spatial.transform import Rotation

    quaternions = Rotation.from_matrix(turns).as_quat()  # [T 4], x y z w
    halves = quaternions[:, 3] + 1j * (quaternions[:, :3] @ axis)
    return float(np.angle((halves**2).sum()))  # q and -q are one rotation, hence the squares


def _mean_turn(turns: np.ndarray) -> np.ndarray:
    """The rotation [3 3] nearest to the mean of rotations [T 3 3]."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(turns).mean().as_matrix()


def _body_frame(rest: np.ndarray, mapped: dict[str, int]) -> np.ndarray:
    """Rotation [3 3] from our axes (x left, y up, z front) to the file's, from where hips and neck are at rest."""
    left = rest[mapped["left_hip"]] - rest[mapped["right_hip"]]
    hips = (rest[mapped["left_hip"]] + rest[mapped["right_hip"]]) / 2
    top = mapped.get("neck", mapped["left_shoulder"])
    up = rest[top] - hips
    if "neck" not in mapped:
        up = (rest[mapped["left_shoulder"]] + rest[mapped["right_shoulder"]]) / 2 - hips
    return _snapped(_axes(left, up))


def _axes(left: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Rotation [3 3] whose columns are `left`, what is nearest to `up`, and the front."""
    front = np.cross(left, up)
    lengths = [np.linalg.norm(v) for v in (left, up, front)]
    if min(lengths) < 1e-9:
        raise InputError("motion: the hips and the neck of its rest pose lie on one line.")
    left, front = left / lengths[0], front / lengths[2]
    return np.stack([left, np.cross(front, left), front], axis=1)


def _snapped(frame: np.ndarray) -> np.ndarray:
    """The nearest turn by right angles where the frame is close to one: rest poses are drawn along the axes."""
    right_angles = np.zeros((3, 3))
    strongest = np.argmax(np.abs(frame), axis=0)
    right_angles[strongest, range(3)] = np.sign(frame[strongest, range(3)])
    close = len(set(strongest)) == 3 and np.abs(frame[strongest, range(3)]).min() > np.cos(np.deg2rad(20))
    return right_angles if close else frame
