"""The training set of the mini video model: clips of the motion world, rendered once and kept on disk.

A shard holds SHARD clips as plain arrays (`allow_pickle=False`), named by its first seed, so that an interrupted
rendering goes on where it stopped and the same folder always holds the same pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genkey_core.mini.motion_world import KINDS, make_clip

SHARD = 500
# What the image encoder is taught to read from one picture: kind one-hot, facing (x, y), place (x, y), colour (r, g, b).
ATTRIBUTES = len(KINDS) + 7


@dataclass(frozen=True)
class ClipSet:
    """Rendered clips: `images` uint8 [N T H W 3], `attributes` float32 [N T ATTRIBUTES], `motion_px` float32 [N]."""

    images: np.ndarray
    attributes: np.ndarray
    motion_px: np.ndarray  # mean distance the mover goes per frame, px

    def __len__(self) -> int:
        return len(self.images)


def render(seeds: range, folder: Path | None = None, *, frames: int = 8, size: int = 64) -> ClipSet:
    """The clips of `seeds`, three in five wholly in view; read from and added to `folder` where one is given."""
    parts = []
    for start in range(seeds.start, seeds.stop, SHARD):
        shard = range(start, min(start + SHARD, seeds.stop))
        path = None if folder is None else folder / f"clips-{start}-{len(shard)}-{frames}x{size}.npz"
        if path is not None and path.exists():
            with np.load(path, allow_pickle=False) as kept:
                parts.append((kept["images"], kept["attributes"], kept["motion_px"]))
            continue
        parts.append(_render_shard(shard, frames, size))
        if path is not None:
            folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.npz")
            np.savez(part, images=parts[-1][0], attributes=parts[-1][1], motion_px=parts[-1][2])
            part.replace(path)
    return ClipSet(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _render_shard(seeds: range, frames: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images = np.empty((len(seeds), frames, size, size, 3), np.uint8)
    attributes = np.zeros((len(seeds), frames, ATTRIBUTES), np.float32)
    motion_px = np.zeros(len(seeds), np.float32)
    for row, seed in enumerate(seeds):
        clip = make_clip(seed, frames=frames, size=size, in_view=seed % 5 < 3)
        images[row] = clip.images
        seen = ~np.isnan(clip.path).any(1)
        place = np.nan_to_num(clip.path) / size * 2 - 1
        attributes[row, :, KINDS.index(clip.kind)] = 1
        attributes[row, :, -7:-5] = clip.facing
        attributes[row, :, -5:-3] = place
        attributes[row, :, -3:] = np.asarray(clip.colour) / 127.5 - 1
        attributes[row] *= seen[:, None]
        steps = np.linalg.norm(np.diff(clip.path, axis=0), axis=1)
        motion_px[row] = np.nanmean(steps) if np.isfinite(steps).any() else 0.0
    return images, attributes, motion_px
