"""Training clips for the backward fine-tuning: read from a folder, encoded once, kept as latents (thesis Alg. 1).

The autoencoder and the CLIP encoder are frozen, so what a training step needs of a clip is computed once: its clean
latents, and the condition of its first and of its last frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genkey_core import media
from genkey_core.checks import InputError, shown
from genkey_core.inbetween.sampling import SamplingOptions
from genkey_core.inbetween.svd import StableVideo

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class LatentClips:
    """Encoded clips, all of one length and size."""

    latents: Tensor  # [M T C h w] clean and scaled
    first_image: Tensor  # [M C h w] condition latents of frame 0 ...
    last_image: Tensor  # [M C h w] ... and of frame T-1
    first_embedding: Tensor  # [M 1 D] CLIP embeddings of the same
    last_embedding: Tensor  # [M 1 D]
    first_ids: Tensor  # [M 3] fps_id, motion bucket, noise augmentation told with frame 0 ...
    last_ids: Tensor  # [M 3] ... and with frame T-1

    def __len__(self) -> int:
        return len(self.latents)

    def select(self, index: Tensor, device: str | torch.device) -> LatentClips:
        """Some of the clips, on `device`."""
        return LatentClips(*(getattr(self, f.name)[index].to(device) for f in fields(self)))

    def save(self, path: str | Path) -> Path:
        """Write all tensors to one safetensors file."""
        return media.save_tensors({f.name: getattr(self, f.name) for f in fields(self)}, path)

    @classmethod
    def load(cls, path: str | Path) -> LatentClips:
        """Read what `save` wrote; raises InputError for another or a damaged file."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return cls(**load_file(path))
        except (SafetensorError, OSError, TypeError) as error:
            raise InputError(f"encoded clips: {shown(Path(path).name)} cannot be read.") from error


def encode_clips(
    model: StableVideo,
    clips: Iterable[np.ndarray],
    *,
    generator: torch.Generator,
    options: SamplingOptions | None = None,
) -> LatentClips:
    """Encode uint8 clips [T H W 3] of one shape; frames that do not have the model's size are resampled to it.

    `options` gives the noise augmentation and time ids the network is told; the generator draws that noise.
    """
    options = options or SamplingOptions()
    columns: dict[str, list[Tensor]] = {f.name: [] for f in fields(LatentClips)}
    for clip in clips:
        size = model.native_size(clip.shape[2], clip.shape[1])
        frames = np.stack([np.asarray(Image.fromarray(f).resize(size, Image.Resampling.LANCZOS)) for f in clip])
        known = {"size": size, "n_frames": 1, "options": options, "generator": generator}
        first, last = (model.condition(clip[i], **known) for i in (0, -1))
        row = (
            model.encode_video(media.to_float(frames)),
            first.image_latents[0, 0],
            last.image_latents[0, 0],
            first.embedding[0],
            last.embedding[0],
            first.time_ids[0],
            last.time_ids[0],
        )
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value.cpu())
    if not columns["latents"]:
        raise InputError("clips: at least one training clip is needed, got none.")
    if len({value.shape for value in columns["latents"]}) > 1:
        raise InputError("clips: all training clips need the same length and shape.")
    return LatentClips(**{name: torch.stack(column) for name, column in columns.items()})


def clips_from_folder(
    folder: str | Path, *, n_frames: int, size: tuple[int, int], fps: float | None = None, per_video: int = 4
) -> Iterator[np.ndarray]:
    """Clips uint8 [T H W 3] of `n_frames` frames from every video, and every sub-folder of images, in `folder`.

    size       (W, H) all frames are cropped to
    fps        videos are resampled to this rate; None takes every frame
    per_video  consecutive windows taken from one source at most

    Raises InputError where the folder is missing or holds no source that is long enough.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"clips: the folder {shown(folder.name)} does not exist.")
    n_clips = 0
    for source in sorted(folder.iterdir()):
        window: list[np.ndarray] = []
        n_windows = 0
        for image in _images_of(source, fps):
            window.append(media.fit_image(image, size, mode="crop"))
            if len(window) == n_frames:
                yield np.stack(window)
                window, n_windows, n_clips = [], n_windows + 1, n_clips + 1
                if n_windows == per_video:
                    break
    if not n_clips:
        raise InputError(f"clips: no video or image folder of {n_frames} frames or more in {shown(folder.name)}.")


def _images_of(source: Path, fps: float | None) -> Iterator[np.ndarray]:
    if source.is_dir():
        for path in sorted(p for p in source.iterdir() if p.suffix.lower() in IMAGES):
            yield media.load_image(path)
    elif source.suffix.lower() in VIDEOS:
        for frame in media.read_frames(source, fps=fps):
            yield frame.image
