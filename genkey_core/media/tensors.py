"""Pictures as the learned engines take them, and tensors in files.

torch and safetensors are imported inside the functions: opening the page loads neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from genkey_core.media.files import atomic_output

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def to_float(images: np.ndarray) -> Tensor:  # [... H W 3] -> [... 3 H W]
    """Pictures uint8 [... H W 3] as float32 [... 3 H W] in [-1, 1], on the CPU."""
    import torch

    return torch.as_tensor(images).movedim(-1, -3).float() / 127.5 - 1


def to_uint8(frames: Tensor) -> np.ndarray:  # [... 3 H W] -> [... H W 3]
    """Frames float [... 3 H W] in [-1, 1], on any device, as uint8 [... H W 3]; values outside are cut off."""
    return ((frames.float().clamp(-1, 1) + 1) * 127.5).round().byte().movedim(-3, -1).numpy(force=True)


def save_tensors(tensors: Mapping[str, Tensor], path: str | Path, *, notes: Mapping[str, str] | None = None) -> Path:
    """Write tensors, from any device, and their `notes` to one safetensors file, which appears when it is complete.

    Missing folders are made. The file has the access rights of any new file there (safetensors alone would keep it
    to its owner).
    """
    from safetensors.torch import save_file

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_output(path) as part:
        rights = part.stat().st_mode
        save_file(plain, part, metadata=None if notes is None else dict(notes))
        part.chmod(rights)
    return path
