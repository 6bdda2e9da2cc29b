"""Motion from .npz files: AMASS (Mahmood et al. 2019), AIST++ (Li et al. 2021) and plain SMPL or SMPL-X parameters."""

from __future__ import annotations

import os
import zipfile
import zlib

import numpy as np

from ..checks import InputError
from ..media.files import base_name, open_local
from .kinematics import matrices_of
from .motion import MAX_FPS, MAX_MOTION_S, Motion, upright
from .skeleton import N_JOINTS

_FPS_NAMES = ("fps", "mocap_framerate", "mocap_frame_rate", "frame_rate", "framerate")
_AIST_FPS, _SMPL_FPS = 60.0, 30.0  # where a file does not say
_MAX_BYTES = 512 * 2**20
_MAX_FRAMES = int(MAX_MOTION_S * MAX_FPS)


def read_npz(path: str | os.PathLike) -> Motion:
    """AMASS (`poses`, `trans`), AIST++ (`smpl_poses`, `smpl_trans`) or SMPL-X (`global_orient`, `body_pose`, `transl`).

    Poses are axis-angle vectors, flat or [T J 3]; hands and face are left out. The frame rate is the file's, else 60 for AIST++
    and 30. Raises InputError for other files, damage, and arrays of Python objects.
    """
    name = base_name(path)
    arrays = _arrays(path, name)
    fps = _fps(arrays, name)
    scale = 1.0
    if "smpl_poses" in arrays:
        poses, translation = arrays["smpl_poses"], arrays.get("smpl_trans")
        scale = 1.0 / (_one(arrays, "smpl_scaling", name, 1e-6, 1e6) or 1.0)  # AIST++ is in its cameras' unit
        fps, kind = fps or _AIST_FPS, "AIST++"
    elif "poses" in arrays:
        poses, translation = arrays["poses"], arrays.get("trans", arrays.get("transl"))
        fps, kind = fps or _SMPL_FPS, "AMASS"
    else:
        root = arrays.get("global_orient", arrays.get("root_orient"))
        body = arrays.get("body_pose", arrays.get("pose_body"))
        if root is None or body is None:
            raise InputError(
                f"{name}: poses, smpl_poses, or global_orient with body_pose are needed, got {_names(arrays)}."
            )
        poses = np.concatenate([_flat(root, "global_orient", name), _flat(body, "body_pose", name)], axis=1)
        translation = arrays.get("transl", arrays.get("trans"))
        fps, kind = fps or _SMPL_FPS, "SMPL-X"
    return motion_of(poses, translation, fps=fps, scale=scale, source=kind, name=name)


def motion_of(
    poses: np.ndarray,
    translation: np.ndarray | None,
    *,
    fps: float,
    name: str,
    source: str,
    scale: float = 1.0,
    in_camera: bool = False,
) -> Motion:
    """Axis-angle poses [T 66 or more] or [T J 3] and translation [T 3], in metres over `scale`, as a `Motion`.

    `in_camera`: the world is a camera's, y down and z away from it, so the viewer's left and right are kept as seen.
    """
    poses = _flat(poses, "poses", name)
    if poses.shape[1] < 3 * N_JOINTS:
        raise InputError(f"{name}: at least {3 * N_JOINTS} numbers a pose are needed, got {poses.shape[1]}.")
    if not 2 <= len(poses) <= _MAX_FRAMES:
        raise InputError(f"{name}: between 2 and {_MAX_FRAMES} poses are needed, got {len(poses)}.")
    places = np.zeros((len(poses), 3)) if translation is None else _flat(translation, "trans", name) * scale
    if places.shape != (len(poses), 3):
        raise InputError(f"{name}: a translation [T 3] for {len(poses)} poses is needed, got {list(places.shape)}.")
    if not (np.isfinite(poses).all() and np.isfinite(places).all()):
        raise InputError(f"{name}: it holds values that are not finite.")
    rotations = matrices_of(poses[:, : 3 * N_JOINTS].reshape(-1, N_JOINTS, 3))
    if in_camera:
        rotations[:, 0] = np.diag([1.0, -1.0, -1.0]) @ rotations[:, 0]
        places = places * [1.0, -1.0, -1.0]
    else:
        rotations, places = upright(rotations, places)
    return Motion(rotations, places, float(fps), source)


def _arrays(path: str | os.PathLike, name: str) -> dict[str, np.ndarray]:
    wanted = {"poses", "trans", "transl", "smpl_poses", "smpl_trans", "smpl_scaling", "global_orient", "body_pose",
              "root_orient", "pose_body", *_FPS_NAMES}  # fmt: skip
    try:
        with open_local(path, max_bytes=_MAX_BYTES) as file:
            if not zipfile.is_zipfile(file):  # whatever it is, numpy.load would take it for a pickle
                raise InputError(f"{name} is no .npz file; files that hold Python objects (pickles) are not opened.")
            file.seek(0)
            if sum(entry.file_size for entry in zipfile.ZipFile(file).infolist()) > _MAX_BYTES:
                raise InputError(f"{name} is too large: at most {_MAX_BYTES >> 20} MB of arrays.")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files if key in wanted} or dict.fromkeys(archive.files)
    except InputError:
        raise
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        if "allow_pickle" in str(error):
            raise InputError(f"{name} holds Python objects (a pickle), which are not opened.") from error
        raise InputError(f"{name} is damaged or no .npz file of NumPy arrays.") from error


def _fps(arrays: dict[str, np.ndarray], name: str) -> float | None:
    return next((_one(arrays, key, name, 1.0, MAX_FPS) for key in _FPS_NAMES if key in arrays), None)


def _one(arrays: dict[str, np.ndarray], key: str, name: str, low: float, high: float) -> float | None:
    """The single number of an array, None where there is no such array."""
    if key not in arrays:
        return None
    value = arrays[key]
    if value.size != 1 or value.dtype.kind not in "fiu" or not low <= float(np.ravel(value)[0]) <= high:
        raise InputError(f"{name}: {key} must be one number from {low:g} to {high:g}.")
    return float(np.ravel(value)[0])


def _flat(array: np.ndarray, what: str, name: str) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.kind not in "fiu" or array.ndim < 2:
        raise InputError(f"{name}: {what} must be numbers [T N], got {array.dtype} {list(array.shape)}.")
    return array.reshape(len(array), -1).astype(np.float64) if array.size else np.zeros((0, 1))


def _names(arrays: dict) -> str:
    return ", ".join(sorted(arrays)[:8]) or "nothing"
