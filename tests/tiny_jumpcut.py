"""The jump-cut network at a size for tests, and training clips without a presenter."""

import numpy as np
import torch

from genkey_core.jumpcut.keypoints import PARTS
from genkey_core.jumpcut.networks import Config

torch.set_num_threads(1)  # threads that wait for each other over tensors this small cost minutes on a busy machine

TINY = Config(
    size=32, cells=2, landmarks=36, stem=2, encoder=(8, 12, 16), d_key=8, d_value=16, down=(16, 24), up=(24, 16, 16, 16),
    code=16, latent=8, mapping=1, discriminator=(8, 12, 16, 16), pose_to_generator=True,
)  # fmt: skip


def clips(n: int = 3, frames: int = 4, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Smooth random pictures uint8 [n frames 32 32 3] and keypoints [n frames K + 36 5], three in four visible."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (n, frames, 4, 4, 3), np.uint8).repeat(8, 2).repeat(8, 3)
    points = rng.random((n, frames, len(PARTS) * 4 + 36, 5)).astype(np.float32)
    points[..., :2] *= 31
    points[..., 4] = rng.random(points.shape[:-1]) < 0.75
    return images, points * points[..., 4:]
