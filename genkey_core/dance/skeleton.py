"""The 22 body joints of SMPL and SMPL-X: their order, parents, left and right, and a rest pose of our own.

Order and names are those of `smplx.joint_names` (Pavlakos et al. 2019); thesis section 7.2.1 uses the same: joint 0 is the global
rotation, 1 to 21 the body. The rest pose is a T-pose in metres, drawn up here from ordinary human proportions, so that
motion can be shown without a licensed body model. Axes: x to the subject's left, y up, z to where it faces.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from ..checks import InputError
from ..media.files import base_name, open_local

JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
N_JOINTS = len(JOINTS)
PARENTS = np.array([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19])
INDEX = {name: i for i, name in enumerate(JOINTS)}

# The permutation pi of Eq. 7.3: left and right change places, central joints stay.
MIRRORED = np.array(
    [INDEX[n.replace("left_", "right_") if n.startswith("left_") else n.replace("right_", "left_")] for n in JOINTS]
)

_REST_M = {
    "pelvis": (0, 0.95, 0), "left_hip": (0.09, 0.87, 0), "left_knee": (0.10, 0.48, 0.01),
    "left_ankle": (0.10, 0.08, -0.02), "left_foot": (0.11, 0.02, 0.11), "spine1": (0, 1.06, -0.02),
    "spine2": (0, 1.19, -0.02), "spine3": (0, 1.26, -0.01), "neck": (0, 1.46, -0.02), "head": (0, 1.55, 0.02),
    "left_collar": (0.07, 1.38, -0.01), "left_shoulder": (0.18, 1.41, -0.02), "left_elbow": (0.45, 1.41, -0.02),
    "left_wrist": (0.70, 1.41, -0.02),
}  # fmt: skip
_MAX_MODEL_BYTES = 1024 * 2**20


def _rest() -> np.ndarray:
    rest = np.zeros((N_JOINTS, 3))
    for name, place in _REST_M.items():
        rest[INDEX[name]] = place
        rest[MIRRORED[INDEX[name]]] = place * np.where(MIRRORED[INDEX[name]] == INDEX[name], 1, [-1, 1, 1])
    return rest


REST_M = _rest()  # float64 [22 3]
REST_M.setflags(write=False)
LEG_M = float(REST_M[INDEX["left_hip"], 1] - REST_M[INDEX["left_ankle"], 1])  # what sizes are brought to


@dataclass(frozen=True)
class Body:
    """Where the joints of a body are at rest: `rest_m` float64 [22 3] in metres, in the axes above."""

    rest_m: np.ndarray


def read_body(path: str | os.PathLike, betas: np.ndarray | None = None) -> Body:
    """The rest joints of an SMPL or SMPL-X model file (.npz), with shape `betas` [N] where given.

    Only the arrays that joints need are read, never the pickled parts that such files also hold. Raises InputError
    where it is no such file.
    """
    name = base_name(path)
    try:
        with open_local(path, max_bytes=_MAX_MODEL_BYTES) as file, np.load(file, allow_pickle=False) as model:
            vertices = np.asarray(model["v_template"], np.float64)
            if betas is not None and len(betas):
                directions = np.asarray(model["shapedirs"], np.float64)[..., : len(betas)]
                vertices = vertices + directions @ np.asarray(betas, np.float64)[: directions.shape[-1]]
            joints = np.asarray(model["J_regressor"], np.float64) @ vertices
    except InputError:
        raise
    except Exception as error:  # np.load and zipfile raise a dozen kinds
        raise InputError(
            f"{name}: an SMPL or SMPL-X model in .npz with v_template, shapedirs and J_regressor is needed."
        ) from error
    if joints.ndim != 2 or joints.shape[0] < N_JOINTS or joints.shape[1] != 3 or not np.isfinite(joints).all():
        raise InputError(
            f"{name}: at least {N_JOINTS} joints in three dimensions are needed, got {list(joints.shape)}."
        )
    return Body(joints[:N_JOINTS])
