"""Motion from videos by GVHMR (Shen et al. 2024): its result files, and the pip package where it is installed.

The package wants a GPU, its own downloads and a registered body model, so it is an optional extra (`pip install gvhmr`).
"""

from __future__ import annotations

import importlib.util
import os

import numpy as np

from ..checks import InputError
from ..media.files import base_name, local_file, open_local
from .motion import Motion
from .motion_npz import motion_of

FPS = 30.0  # of every GVHMR result; videos are brought to it first

_FRAMES = ("smpl_params_incam", "smpl_params_global")  # the camera's first: mirroring is about what the viewer sees
_MAX_BYTES = 1024 * 2**20


def read_gvhmr(path: str | os.PathLike) -> Motion:
    """The motion in GVHMR's `hmr4d_results.pt`, as seen by its camera.

    Read with `torch.load(weights_only=True)`, so a file with anything but tensors in it is refused. Raises InputError.
    """
    import torch

    name = base_name(path)
    try:
        with open_local(path, max_bytes=_MAX_BYTES) as file:
            result = torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # zip, unpickling and tensor errors of a dozen kinds
        raise InputError(f"{name} is damaged, or holds more than tensors: a result file of GVHMR is needed.") from error
    frame = next((key for key in _FRAMES if isinstance(result, dict) and isinstance(result.get(key), dict)), None)
    if frame is None:
        raise InputError(f"{name}: {' or '.join(_FRAMES)} is needed, as in GVHMR's hmr4d_results.pt.")
    return _motion(result[frame], name, FPS, in_camera=frame == _FRAMES[0])


def recover(video: str | os.PathLike, *, static_camera: bool = True) -> Motion:
    """The motion of the dancer in `video` by the `gvhmr` package; raises InputError where it is missing or fails."""
    if importlib.util.find_spec("gvhmr") is None:
        raise InputError(
            "GVHMR is not installed: `pip install gvhmr` (a GPU and the SMPL-X model are needed too), or load a motion"
            " file or its hmr4d_results.pt."
        )
    path = local_file(video)
    import gvhmr

    try:
        result = gvhmr.recover(str(path), static_camera=static_camera)
    except Exception as error:  # whatever a third-party pipeline raises, most often a missing download
        raise InputError(f"GVHMR could not read {base_name(video)}: {str(error)[:200]}") from error
    return _motion(result.smpl_params_camera, base_name(video), float(result.fps), in_camera=True)


def _motion(params: dict, name: str, fps: float, *, in_camera: bool) -> Motion:
    def array(key: str) -> np.ndarray:
        value = params.get(key)
        if not hasattr(value, "detach"):
            raise InputError(f"{name}: a tensor {key} is needed.")
        return np.asarray(value.detach().cpu().float().numpy())

    root, body, place = array("global_orient"), array("body_pose"), array("transl")
    if root.ndim != 2 or body.ndim != 2 or len({len(root), len(body), len(place)}) != 1:
        raise InputError(f"{name}: as many root rotations as poses and places are needed.")
    poses = np.concatenate([root, body], axis=1)
    return motion_of(poses, place, fps=fps, name=name, source="GVHMR", in_camera=in_camera)
