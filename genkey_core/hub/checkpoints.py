"""The table of published checkpoints: repository, pinned revision, licence, files and size of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from genkey_core.checks import InputError, choice, shown


@dataclass(frozen=True)
class Checkpoint:
    """One published checkpoint: exactly these files of one repository at one commit."""

    name: str  # what this library calls it, as in CHECKPOINTS
    repo_id: str  # owner/repository on the Hub
    revision: str  # commit, 40 hex digits; or its first 7 to 39, looked up in the history of main and as binding
    licence: str
    licence_url: str  # where it is read, and accepted if the repository is gated
    gated: bool  # whether the Hub wants an account that has accepted the licence
    files: tuple[str, ...]  # paths in the repository, so that a complete copy is recognised without asking the Hub
    size_bytes: int | None  # all files together, approximately; None where unknown
    what: str  # one line for people

    def __post_init__(self):
        if not re.fullmatch(r"[0-9a-f]{7,40}", self.revision):
            raise InputError(f"{self.name}: a commit hash is needed as revision, got {shown(self.revision)}.")
        for file in self.files:
            if not file or PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts or "\\" in file:
                raise InputError(f"{self.name}: a path inside the repository is needed, got {shown(file)}.")


# What StableVideoDiffusionPipeline.from_pretrained(..., variant="fp16") loads: half precision, no single-file copies.
_SVD_FILES = (
    "model_index.json",
    "feature_extractor/preprocessor_config.json",
    "image_encoder/config.json",
    "image_encoder/model.fp16.safetensors",
    "scheduler/scheduler_config.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.fp16.safetensors",
)
_SVD_LICENCE = "Stability AI Community License"

CHECKPOINTS = {
    entry.name: entry
    for entry in (
        Checkpoint(
            name="svd-xt",
            repo_id="stabilityai/stable-video-diffusion-img2vid-xt",
            revision="9e43909513c6714f1bc78bcb44d96e733cd242aa",
            licence=_SVD_LICENCE,
            licence_url="https://huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt/blob/main/LICENSE.md",
            gated=False,
            files=_SVD_FILES,
            size_bytes=4_510_000_000,
            what="Stable Video Diffusion, 25 frames: image to video, the forward half of in-betweening",
        ),
        Checkpoint(
            name="svd",
            repo_id="stabilityai/stable-video-diffusion-img2vid",
            revision="9cf024d5bfa8f56622af86c884f26a52f6676f2e",
            licence=_SVD_LICENCE,
            licence_url="https://huggingface.co/stabilityai/stable-video-diffusion-img2vid/blob/main/LICENSE.md",
            gated=False,
            files=_SVD_FILES,
            size_bytes=4_510_000_000,
            what="Stable Video Diffusion, 14 frames: what the backward weights were fine-tuned from",
        ),
        Checkpoint(
            name="svd-backward",
            repo_id="fffiloni/svd_keyframe_interpolation",
            revision="cc19ef2",  # the full hash is not printed anywhere public; the first seven digits pin it as well
            licence="Apache 2.0",
            licence_url="https://huggingface.co/fffiloni/svd_keyframe_interpolation",
            gated=False,
            files=(
                "svd_reverse_motion_with_attnflip/unet/config.json",
                "svd_reverse_motion_with_attnflip/unet/diffusion_pytorch_model.safetensors",
            ),
            size_bytes=None,
            what="the 14-frame UNet fine-tuned to run motion backwards (thesis ch. 5); only its W_v and W_o differ",
        ),
    )
}


def checkpoint(name: str | Checkpoint) -> Checkpoint:
    """The entry of that name; an entry passes through. Raises InputError that lists the names."""
    return name if isinstance(name, Checkpoint) else CHECKPOINTS[choice(name, "Checkpoint", CHECKPOINTS)]
