"""The part of the table that dances need: models that draw keyframes from edges, and one that cuts subjects out."""

from __future__ import annotations

from genkey_core.hub.entry import Checkpoint, sharded

# In bfloat16, as published; without the single-file copies beside the folders.
_FLUX_FILES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder_2/config.json",
    *sharded("text_encoder_2", "model", 2),
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "tokenizer_2/special_tokens_map.json",
    "tokenizer_2/spiece.model",
    "tokenizer_2/tokenizer.json",
    "tokenizer_2/tokenizer_config.json",
    "transformer/config.json",
    *sharded("transformer", "diffusion_pytorch_model", 3),
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)
# Half precision. The autoencoder overflows in it and is computed in single precision by the pipeline.
_SDXL_FILES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.fp16.safetensors",
    "text_encoder_2/config.json",
    "text_encoder_2/model.fp16.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "tokenizer_2/merges.txt",
    "tokenizer_2/special_tokens_map.json",
    "tokenizer_2/tokenizer_config.json",
    "tokenizer_2/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.fp16.safetensors",
)

# The ControlNet for FLUX (XLabs-AI/flux-controlnet-canny-diffusers) is missing: no commit of it was found to pin, and a branch is
# no pin. The owner of a machine names one, or a folder (dance/weights.py).
DANCE = (
    Checkpoint(
        name="flux-dev",
        repo_id="black-forest-labs/FLUX.1-dev",
        revision="3de623fc3c33e44ffbe2bad470d0f45bccf2eb21",
        licence="FLUX.1 [dev] Non-Commercial License",
        licence_url="https://huggingface.co/black-forest-labs/FLUX.1-dev/blob/main/LICENSE.md",
        gated=True,
        files=_FLUX_FILES,
        size_bytes=33_700_000_000,
        what="FLUX.1-dev, 12 billion weights: prompts to pictures (thesis ch. 7)",
    ),
    Checkpoint(
        name="flux-kontext",
        repo_id="black-forest-labs/FLUX.1-Kontext-dev",
        revision="24e9dedc4ef646698dc8eb4e18ae2cec3c9fea0d",
        licence="FLUX.1 [dev] Non-Commercial License",
        licence_url="https://huggingface.co/black-forest-labs/FLUX.1-Kontext-dev/blob/main/LICENSE.md",
        gated=True,
        files=_FLUX_FILES,
        size_bytes=33_700_000_000,
        what="FLUX.1 Kontext, 12 billion weights: a picture and a prompt to pictures (pose-grid templates, thesis ch. 7)",
    ),
    Checkpoint(
        name="sdxl",
        repo_id="stabilityai/stable-diffusion-xl-base-1.0",
        revision="462165984030d82259a11f4367a4eed129e94a7b",
        licence="CreativeML Open RAIL++-M",
        licence_url="https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md",
        gated=False,
        files=_SDXL_FILES,
        size_bytes=6_900_000_000,
        what="Stable Diffusion XL: prompts to pictures, on smaller GPUs",
    ),
    Checkpoint(
        name="sdxl-canny",
        repo_id="diffusers/controlnet-canny-sdxl-1.0",
        revision="eb115a19a10d14909256db740ed109532ab1483c",
        licence="CreativeML Open RAIL++-M",
        licence_url="https://huggingface.co/diffusers/controlnet-canny-sdxl-1.0",
        gated=False,
        files=("config.json", "diffusion_pytorch_model.fp16.safetensors"),
        size_bytes=2_500_000_000,
        what="ControlNet for SDXL: pictures along Canny edges",
    ),
    Checkpoint(
        name="sam2",
        repo_id="facebook/sam2.1-hiera-small",
        revision="ee5bba1d82bb8749febdf90f45e84b687142ba03",
        licence="Apache 2.0",
        licence_url="https://huggingface.co/facebook/sam2.1-hiera-small",
        gated=False,
        files=("config.json", "model.safetensors"),
        size_bytes=184_000_000,
        what="SAM 2.1, small: cuts out what a draft mask points at",
    ),
)
