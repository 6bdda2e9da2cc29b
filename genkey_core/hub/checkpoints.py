"""The table of published checkpoints: repository, pinned revision, licence, files and size of each."""

from __future__ import annotations

from genkey_core.checks import choice
from genkey_core.hub.dance_table import DANCE
from genkey_core.hub.entry import Checkpoint, sharded

__all__ = ["CHECKPOINTS", "WHISPER_FILES", "Checkpoint", "checkpoint"]


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


# Weights in single precision; of the image processor the half that reads pictures, not its tokenizer.
_WAN_FILES = (
    "model_index.json",
    "image_encoder/config.json",
    "image_encoder/model.safetensors",
    "image_processor/preprocessor_config.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    *sharded("text_encoder", "model", 5),
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
    "transformer/config.json",
    *sharded("transformer", "diffusion_pytorch_model", 14),
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)
_LTX_FILES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    *sharded("text_encoder", "model", 4),
    "tokenizer/added_tokens.json",
    "tokenizer/special_tokens_map.json",
    "tokenizer/spiece.model",
    "tokenizer/tokenizer_config.json",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)

# Half precision; the text encoder's names as transformers writes variants. The first stage brings the filter with it.
_IF_FILES = (
    "model_index.json",
    "feature_extractor/preprocessor_config.json",
    "safety_checker/config.json",
    "safety_checker/model.fp16.safetensors",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors.index.fp16.json",
    "text_encoder/model.fp16-00001-of-00002.safetensors",
    "text_encoder/model.fp16-00002-of-00002.safetensors",
    "tokenizer/special_tokens_map.json",
    "tokenizer/spiece.model",
    "tokenizer/tokenizer_config.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
)
# Without what the first stage has read already: it takes that stage's reading of the prompts.
_IF_STAGE_FILES = (
    "model_index.json",
    "image_noising_scheduler/scheduler_config.json",
    "scheduler/scheduler_config.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
)
_IF_LICENCE = "DeepFloyd IF License"
_X4_FILES = (
    "model_index.json",
    "low_res_scheduler/scheduler_config.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.fp16.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.fp16.safetensors",
)
# The number of shards follows from the sizes and has not been read off the Hub.
_PRX_FILES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
    "transformer/config.json",
    *sharded("transformer", "diffusion_pytorch_model", 2),
)
_INSTRUCT_FILES = (
    "config.json",
    "generation_config.json",
    "merges.txt",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
)

# What transformers reads of a Whisper. Names and sizes as lists of these commits print them; not fetched here.
WHISPER_FILES = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "model.safetensors",
    "added_tokens.json",
    "merges.txt",
    "normalizer.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
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
        Checkpoint(
            name="whisper-turbo",
            repo_id="openai/whisper-large-v3-turbo",
            revision="41f01f3fe87f28c78e2fbf8b568835947dd65ed9",
            licence="MIT",
            licence_url="https://huggingface.co/openai/whisper-large-v3-turbo",
            gated=False,
            files=WHISPER_FILES,
            size_bytes=1_622_000_000,
            what="Whisper large-v3 turbo: speech in 99 languages to words with times",
        ),
        Checkpoint(
            name="whisper-small",
            repo_id="openai/whisper-small",
            revision="973afd24965f72e36ca33b3055d56a652f456b4d",
            licence="Apache 2.0",
            licence_url="https://huggingface.co/openai/whisper-small",
            gated=False,
            files=WHISPER_FILES,
            size_bytes=972_000_000,
            what="Whisper small: the same, smaller and less sure",
        ),
        Checkpoint(
            name="densepose",
            repo_id="LayerNorm/DensePose-TorchScript-with-hint-image",
            revision="779f201",  # the commit that brought this file; the full hash is not printed anywhere public
            licence="Apache 2.0",
            licence_url="https://huggingface.co/LayerNorm/DensePose-TorchScript-with-hint-image",
            gated=False,
            files=("densepose_r50_fpn_dl.torchscript",),
            size_bytes=265_000_000,
            what="DensePose R50-FPN as TorchScript: which part of the body each pixel shows (thesis ch. 4)",
        ),
        Checkpoint(
            name="if-i-xl",
            repo_id="DeepFloyd/IF-I-XL-v1.0",
            revision="c03d510e9b75bce9f9db5bb85148c1402ad7e694",
            licence=_IF_LICENCE,
            licence_url="https://huggingface.co/DeepFloyd/IF-I-XL-v1.0/blob/main/LICENSE.md",
            gated=True,
            files=_IF_FILES,
            size_bytes=19_300_000_000,
            what="DeepFloyd IF, first stage, 4.3 billion weights, with its text encoder: prompts to 64x64 pixels",
        ),
        Checkpoint(
            name="if-ii-l",
            repo_id="DeepFloyd/IF-II-L-v1.0",
            revision="609476ce702b2d94aff7d1f944dcc54d4f972901",
            licence=_IF_LICENCE,
            licence_url="https://huggingface.co/DeepFloyd/IF-II-L-v1.0/blob/main/LICENSE.md",
            gated=True,
            files=_IF_STAGE_FILES,
            size_bytes=2_500_000_000,
            what="DeepFloyd IF, second stage: 64x64 to 256x256 pixels",
        ),
        Checkpoint(
            name="x4-upscaler",
            repo_id="stabilityai/stable-diffusion-x4-upscaler",
            revision="572c99286543a273bfd17fac263db5a77be12c4c",
            licence="CreativeML Open RAIL++-M",
            licence_url="https://huggingface.co/stabilityai/stable-diffusion-x4-upscaler",
            gated=False,
            files=_X4_FILES,
            size_bytes=1_800_000_000,
            what="Stable Diffusion's x4 upscaler: 256x256 to 1024x1024 pixels with a prompt",
        ),
        Checkpoint(
            name="prx-pixel",
            repo_id="Photoroom/prxpixel-t2i",
            revision="bcd5e63f072257a220c5d0ba039c97657398b1c2",
            licence="Apache 2.0",
            licence_url="https://huggingface.co/Photoroom/prxpixel-t2i",
            gated=False,
            files=_PRX_FILES,
            size_bytes=17_500_000_000,
            what="PRXPixel, 7 billion weights: prompts to 1024x1024 pixels, without an autoencoder",
        ),
        Checkpoint(
            name="vitpose",
            repo_id="usyd-community/vitpose-base-simple",
            revision="a93ac0c",  # its first seven digits are what the history prints
            licence="Apache 2.0",
            licence_url="https://huggingface.co/usyd-community/vitpose-base-simple",
            gated=False,
            files=("config.json", "preprocessor_config.json", "model.safetensors"),
            size_bytes=344_000_000,
            what="ViTPose base: 17 joints of a person in a picture (thesis ch. 7)",
        ),
        Checkpoint(
            name="instruct",
            repo_id="Qwen/Qwen2.5-1.5B-Instruct",
            revision="989aa7980e4cf806f80c7fef2b1adb7bc71aa306",
            licence="Apache 2.0",
            licence_url="https://huggingface.co/Qwen/Qwen2.5-1.5B-Instruct/blob/main/LICENSE",
            gated=False,
            files=_INSTRUCT_FILES,
            size_bytes=3_100_000_000,
            what="Qwen 2.5 Instruct, 1.5 billion weights: suggests the prompts of a zoom",
        ),
        *DANCE,
    )
}


def checkpoint(name: str | Checkpoint) -> Checkpoint:
    """The entry of that name; an entry passes through. Raises InputError that lists the names."""
    return name if isinstance(name, Checkpoint) else CHECKPOINTS[choice(name, "Checkpoint", CHECKPOINTS)]
