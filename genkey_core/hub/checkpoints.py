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


def _sharded(folder: str, stem: str, shards: int) -> tuple[str, ...]:
    """The weights of a large part: its shards and their index."""
    names = (f"{stem}-{i:05d}-of-{shards:05d}.safetensors" for i in range(1, shards + 1))
    return tuple(f"{folder}/{name}" for name in (f"{stem}.safetensors.index.json", *names))


# Weights in single precision; of the image processor the half that reads pictures, not its tokenizer.
_WAN_FILES = (
    "model_index.json",
    "image_encoder/config.json",
    "image_encoder/model.safetensors",
    "image_processor/preprocessor_config.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    *_sharded("text_encoder", "model", 5),
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
    "transformer/config.json",
    *_sharded("transformer", "diffusion_pytorch_model", 14),
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)
_LTX_FILES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    *_sharded("text_encoder", "model", 4),
    "tokenizer/added_tokens.json",
    "tokenizer/special_tokens_map.json",
    "tokenizer/spiece.model",
    "tokenizer/tokenizer_config.json",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)

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
        Checkpoint(
            name="wan-flf2v",
            repo_id="Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers",
            revision="17c30769b1e0b5dcaa1799b117bf20a9c31f59d7",
            licence="Apache 2.0",
            licence_url="https://huggingface.co/Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers",
            gated=False,
            files=_WAN_FILES,
            size_bytes=90_000_000_000,
            what="Wan 2.1, 14 billion weights: first and last picture and a prompt to video",
        ),
        Checkpoint(
            name="ltx-video",
            repo_id="Lightricks/LTX-Video-0.9.5",
            revision="e58e28c39631af4d1468ee57a853764e11c1d37e",
            licence="LTX Video OpenRAIL-M",
            licence_url="https://huggingface.co/Lightricks/LTX-Video-0.9.5/blob/main/ltx-video-2b-v0.9.5.license.txt",
            gated=False,
            files=_LTX_FILES,
            size_bytes=25_400_000_000,
            what="LTX-Video 0.9.5, 2 billion weights: keyframes and a prompt to video",
        ),
    )
}


def checkpoint(name: str | Checkpoint) -> Checkpoint:
    """The entry of that name; an entry passes through. Raises InputError that lists the names."""
    return name if isinstance(name, Checkpoint) else CHECKPOINTS[choice(name, "Checkpoint", CHECKPOINTS)]
