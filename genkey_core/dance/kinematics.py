"""Rotations of joints: axis-angle and matrices, the geodesic distance of Eq. 7.1, in-between poses, forward kinematics.

All rotations are matrices [... 3 3] in NumPy; poses are [T J 3 3], each joint relative to its parent, joint 0 to the world.
"""

from __future__ import annotations

import numpy as np

from .skeleton import MIRRORED, PARENTS, REST_M

_X_REFLECTION = np.array([-1.0, 1.0, 1.0])  # across the sagittal (YZ) plane


def matrices_of(axis_angle: np.ndarray) -> np.ndarray:
    """Axis-angle vectors [... 3], radians -> rotation matrices [... 3 3] (Rodrigues' formula)."""
    vectors = np.asarray(axis_angle, np.float64)
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    sine = np.sinc(angle / np.pi)  # sin(a) / a
    cosine = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2  # (1 - cos(a)) / a^2
    return np.eye(3) + sine * cross + cosine * (cross @ cross)


def axis_angle_of(matrices: np.ndarray) -> np.ndarray:
    """Rotation matrices [... 3 3] -> axis-angle vectors [... 3] of length 0 to pi."""
    from scipy.spatial.transform import Rotation

    matrices = np.asarray(matrices, np.float64)
    return Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec().reshape(matrices.shape[:-1])


def angles_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles of R_a^T R_b, radians, for every pose of `a` against every pose of `b`: [N J 3 3], [M J 3 3] -> [N M J].

    The cosine is clamped: rounding leaves it a little outside [-1, 1] between equal rotations.
    """
    n, m, n_joints = len(a), len(b), a.shape[1]
    left = a.reshape(n, n_joints, 9).transpose(1, 0, 2)
    right = b.reshape(m, n_joints, 9).transpose(1, 2, 0)
    cosine = (np.matmul(left, right) - 1) / 2  # tr(A^T B) is the sum of products of their entries
    return np.arccos(np.clip(cosine, -1.0, 1.0)).transpose(1, 2, 0)


def pose_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """d_theta of Eq. 7.1 between all poses: [N J+1 3 3], [M J+1 3 3] -> [N M].

    The sum over the J body joints and the global rotation of |log(R_a^T R_b)|_F, over J. The Frobenius norm of a
    rotation's logarithm is sqrt(2) times its angle.
    """
    return np.sqrt(2.0) * angles_between(a, b).sum(axis=-1) / max(a.shape[1] - 1, 1)


def mirrored_poses(poses: np.ndarray) -> np.ndarray:
    """Eq. 7.3: left and right joints change places, and every rotation is reflected across the YZ plane.

    [T 22 3 3] -> [T 22 3 3]. (w_x, w_y, w_z) -> (w_x, -w_y, -w_z) on axis-angle vectors is M R M on matrices, with
    M = diag(-1, 1, 1).
    """
    return _X_REFLECTION[:, None] * poses[:, MIRRORED] * _X_REFLECTION


def at_times(poses: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Poses at fractional frame `positions` [N], along the shortest arcs: [T J 3 3] -> [N J 3 3]."""
    positions = np.clip(positions, 0, len(poses) - 1)
    before = np.minimum(positions.astype(int), max(len(poses) - 2, 0))
    after = np.minimum(before + 1, len(poses) - 1)
    share = (positions - before)[:, None, None]
    start = poses[before]
    turn = axis_angle_of(np.swapaxes(start, -1, -2) @ poses[after])
    return start @ matrices_of(share * turn)


def global_rotations(poses: np.ndarray) -> np.ndarray:
    """Every joint's rotation relative to the world: [T 22 3 3] -> [T 22 3 3]."""
    world = poses.copy()
    for joint in range(1, poses.shape[1]):
        world[:, joint] = world[:, PARENTS[joint]] @ poses[:, joint]
    return world


def local_rotations(world: np.ndarray) -> np.ndarray:
    """The inverse of `global_rotations`."""
    local = world.copy()
    local[:, 1:] = np.swapaxes(world[:, PARENTS[1:]], -1, -2) @ world[:, 1:]
    return local


def joint_positions(poses: np.ndarray, translation_m: np.ndarray, rest_m: np.ndarray = REST_M) -> np.ndarray:
    """Where the joints are, in metres: poses [T 22 3 3], root translation [T 3] -> float64 [T 22 3].

    By `smplx.lbs.batch_rigid_transform`; as there, the translation is added to the rest pose.
    """
    import torch
    from smplx.lbs import batch_rigid_transform

    rest = torch.from_numpy(np.array(rest_m, np.float64)).expand(len(poses), -1, -1)
    rotations = torch.from_numpy(np.ascontiguousarray(poses, np.float64))
    posed, _ = batch_rigid_transform(rotations, rest, torch.from_numpy(PARENTS), dtype=torch.float64)
    return posed.numpy() + np.asarray(translation_m, np.float64)[:, None]
