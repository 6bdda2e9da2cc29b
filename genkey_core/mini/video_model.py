"""The mini video model: Stable Video Diffusion's own classes at a size that two processor cores can train.

Every part is the class that SVD's folder names, so `StableVideoDiffusionPipeline.from_pretrained(folder)` and every
loader written for the Hub's checkpoint read this one. Clips are FRAMES pictures of SIZE x SIZE; the latent is an
eighth of that on a side. torch and diffusers are imported inside functions.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING

from genkey_core import runtime

if TYPE_CHECKING:
    import torch
    from diffusers import StableVideoDiffusionPipeline

FRAMES = 8
SIZE = 64
FPS = 7  # SVD conditions on fps - 1
MOTION_BUCKET = 127  # SVD's default; in this model's training it also stands for "speed not told"
EMBEDDING = 64

VAE = {
    "block_out_channels": (64, 64, 96, 96),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "layers_per_block": 1,
    "latent_channels": 16,
    "sample_size": SIZE,
    "scaling_factor": 1.0,
}
UNET = {
    "sample_size": SIZE // 8,
    "in_channels": 32,
    "out_channels": 16,
    "down_block_types": ("CrossAttnDownBlockSpatioTemporal",) * 2,
    "up_block_types": ("CrossAttnUpBlockSpatioTemporal",) * 2,
    "block_out_channels": (64, 96),
    "layers_per_block": 1,
    "num_attention_heads": (2, 3),
    "cross_attention_dim": EMBEDDING,
    "addition_time_embed_dim": 32,
    "projection_class_embeddings_input_dim": 96,
    "num_frames": FRAMES,
}
IMAGE_ENCODER = {
    "image_size": 224,
    "patch_size": 28,
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "projection_dim": EMBEDDING,
    "hidden_act": "gelu",
}
# SVD's scheduler, with the noise range narrowed to what 768 numbers a frame need (SVD: 0.002 to 700).
SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_type": "continuous",
    "timestep_spacing": "leading",
    "interpolation_type": "linear",
    "use_karras_sigmas": True,
    "sigma_min": 0.01,
    "sigma_max": 100.0,
    "steps_offset": 1,
}


def build(*, seed: int = 0) -> StableVideoDiffusionPipeline:
    """A mini pipeline with fresh weights; the same seed gives the same ones."""
    import diffusers
    import transformers

    pipeline = diffusers.StableVideoDiffusionPipeline(
        vae=diffusers.AutoencoderKLTemporalDecoder(**VAE),
        image_encoder=transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**IMAGE_ENCODER)).eval(),
        unet=diffusers.UNetSpatioTemporalConditionModel(**UNET),
        scheduler=diffusers.EulerDiscreteScheduler(**SCHEDULER),
        feature_extractor=transformers.CLIPImageProcessor(size=224, crop_size=224),
    )
    generator = runtime.torch_generator(seed)
    for name in _PARTS:
        draw_weights(getattr(pipeline, name), generator)
    return pipeline


def draw_weights(part: torch.nn.Module, generator: torch.Generator) -> None:
    """All random weights of `part` anew, by torch's own rule: uniform within 1 / sqrt(inputs); embeddings N(0, 0.02^2).

    torch draws them from its one global generator, which is not ours to seed.
    """
    import torch

    with torch.no_grad():
        for module in part.modules():
            if isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.Conv3d):
                bound = module.weight[0].numel() ** -0.5
                for weight in module.parameters(recurse=False):
                    weight.uniform_(-bound, bound, generator=generator)
            elif isinstance(module, torch.nn.Embedding):
                module.weight.normal_(0, 0.02, generator=generator)
            elif hasattr(module, "class_embedding") and isinstance(module.class_embedding, torch.nn.Parameter):
                module.class_embedding.normal_(0, 0.02, generator=generator)


def load(folder: str | Path, **kwargs) -> StableVideoDiffusionPipeline:
    """The pipeline in `folder`, in float32, progress bar off."""
    import diffusers
    import torch

    pipeline = diffusers.StableVideoDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, **kwargs)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def export(pipeline: StableVideoDiffusionPipeline, folder: str | Path) -> None:
    """Writes `pipeline` to `folder` in the Hub's layout, safetensors at half precision; `pipeline` stays as it is."""
    import json

    import torch

    kept = {name: {k: v.clone() for k, v in getattr(pipeline, name).state_dict().items()} for name in _PARTS}
    try:
        for name in _PARTS:
            getattr(pipeline, name).half()
        pipeline.save_pretrained(folder, safe_serialization=True)
        readable(folder)
    finally:
        for name in _PARTS:
            part = getattr(pipeline, name).to(torch.float32)
            part.load_state_dict(kept[name])
    # Without torchvision, transformers names its image processor by its backend; the Hub's SVD names the class itself.
    for file, key in ((Path(folder) / "model_index.json", "feature_extractor"), *_processor_entries(Path(folder))):
        entries = json.loads(file.read_text())
        entries[key] = ["transformers", _PROCESSOR] if isinstance(entries.get(key), list) else _PROCESSOR
        file.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n")


def readable(folder: str | Path) -> None:
    """Gives weights below `folder` the access rights of the JSON beside them: safetensors keeps them to their owner."""
    for file in Path(folder).rglob("*.safetensors"):
        file.chmod((file.parent / "config.json").stat().st_mode)


def _processor_entries(folder: Path) -> list[tuple[Path, str]]:
    file = folder / "feature_extractor" / "preprocessor_config.json"
    return [(file, "image_processor_type")] if file.exists() else []


_PARTS = ("vae", "unet", "image_encoder")
_PROCESSOR = "CLIPImageProcessor"


def clip_pixels(images: torch.Tensor) -> torch.Tensor:  # [B 3 H W] in [-1, 1] -> [B 3 224 224]
    """What SVD's pipeline shows its image encoder: bicubic to 224 pixels, CLIP's mean and deviation taken out."""
    import torch
    from torch.nn import functional
    from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    large = functional.interpolate(images, (224, 224), mode="bicubic", align_corners=True)
    mean, deviation = (
        torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    )
    return ((large + 1) / 2 - mean) / deviation


@contextmanager
def fast_training(model: torch.nn.Module):
    """Within the context, `model` computes the same numbers by operations that are cheaper on CPUs, backward above all.

    Group norms run as layer norms over each group. Cross-attention to the one token of the image embedding, whose
    softmax is 1 whatever the query, passes that token's value on. Everything is put back on leaving.
    """
    import torch

    norms = [m for m in model.modules() if isinstance(m, torch.nn.GroupNorm)]
    processors = dict(model.attn_processors)
    try:
        for norm in norms:
            norm.forward = MethodType(_group_norm, norm)
        model.set_attn_processor({k: _one_token if ".attn2." in k else v for k, v in processors.items()})
        yield model
    finally:
        model.set_attn_processor(processors)
        for norm in norms:
            norm.__dict__.pop("forward", None)


def _group_norm(self: torch.nn.GroupNorm, x: torch.Tensor) -> torch.Tensor:
    from torch.nn import functional

    groups = x.reshape(x.shape[0], self.num_groups, -1)
    normed = functional.layer_norm(groups, groups.shape[2:], eps=self.eps).view(x.shape)
    shape = (1, -1) + (1,) * (x.dim() - 2)
    return normed * self.weight.view(shape).to(normed.dtype) + self.bias.view(shape).to(normed.dtype)


def _one_token(attention, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None):
    value = attention.to_out[0](attention.to_v(encoder_hidden_states))  # [B 1 C]
    return value.expand(hidden_states.shape)
