"""The jump-cut network at a size for tests, training clips without a presenter, and a presenter's video with its body map."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from genkey_core import media
from genkey_core.jumpcut import networks
from genkey_core.jumpcut.keypoints import PARTS
from genkey_core.jumpcut.networks import Config
from genkey_core.mini import presenter_world

torch.set_num_threads(1)  # threads that wait for each other over tensors this small cost minutes on a busy machine

TINY = Config(
    size=32, cells=2, landmarks=36, stem=2, encoder=(8, 12, 16), d_key=8, d_value=16, down=(16, 24), up=(24, 16, 16, 16),
    code=16, latent=8, mapping=1, discriminator=(8, 12, 16, 16), pose_to_generator=True, copy_pixels=True,
)  # fmt: skip


def clips(n: int = 3, frames: int = 4, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Smooth random pictures uint8 [n frames 32 32 3] and keypoints [n frames K + 36 5], three in four visible."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (n, frames, 4, 4, 3), np.uint8).repeat(8, 2).repeat(8, 3)
    points = rng.random((n, frames, len(PARTS) * 4 + 36, 5)).astype(np.float32)
    points[..., :2] *= 31
    points[..., 4] = rng.random(points.shape[:-1]) < 0.75
    return images, points * points[..., 4:]


FPS, SIZE, N_FRAMES = 10, 64, 30


@lru_cache(maxsize=1)
def presenter() -> presenter_world.Clip:
    """Three seconds of a drawn presenter, 64 pixels square."""
    return presenter_world.clip(presenter_world.VALIDATION_SEEDS[3], N_FRAMES, SIZE, fps=FPS)


def body_arrays() -> dict[str, np.ndarray]:
    """The presenter's body map as the file format has it."""
    clip = presenter()
    iuv = np.concatenate([clip.iuv[..., :1], clip.iuv[..., 1:] * 255], -1).round().astype(np.uint8)
    marks = (clip.landmarks + np.array((0.5, 0.5, 0))) / (SIZE, SIZE, 1)
    return {"iuv": iuv, "landmarks": marks.astype(np.float16), "fps": np.float32(FPS)}


def presenter_files(folder: Path) -> tuple[Path, Path]:
    """The presenter's video and body-map file in `folder`."""
    video, body = folder / "presenter.mp4", folder / "presenter.npz"
    with media.VideoWriter(video, fps=FPS, size=(SIZE, SIZE), crf=12) as writer:
        for frame in presenter().frames:
            writer.write(frame)
    np.savez_compressed(body, **body_arrays())
    return video, body


def tiny_model(folder: Path) -> Path:
    """A network of random weights in the layout of the bundled one."""
    folder.mkdir(parents=True, exist_ok=True)
    return networks.save(networks.build(TINY), folder)
