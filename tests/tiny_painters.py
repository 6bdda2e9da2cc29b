"""FLUX and SDXL, each with a ControlNet, and SAM 2, with tiny random weights and in the Hub's layout, for tests."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxControlNetModel,
    FluxControlNetPipeline,
    FluxTransformer2DModel,
    StableDiffusionXLControlNetPipeline,
    UNet2DConditionModel,
)
from tiny_pixel import _plain_tokenizer, _t5
from tiny_svd import seeded_weights
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, Sam2Config, Sam2Model

SAM_SIZE = 64  # pixels of a side that the tiny SAM 2 looks at

torch.set_num_threads(1)


def _clip(seed: int, *, projected: bool) -> CLIPTextModel | CLIPTextModelWithProjection:
    shape = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPTextConfig(**shape, vocab_size=32, max_position_embeddings=77, projection_dim=32, eos_token_id=1)
    return seeded_weights(CLIPTextModelWithProjection(config) if projected else CLIPTextModel(config), seed)


def _vae(levels: int, **shape) -> AutoencoderKL:
    """An autoencoder that shrinks by 2 to the `levels` - 1."""
    vae = AutoencoderKL(
        block_out_channels=(32,) * levels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=4,
        norm_num_groups=8,
        **shape,
    )
    return seeded_weights(vae, 1)


def save_flux(folder: Path, *, hinted: bool = True) -> tuple[Path, Path]:
    """FLUX.1-dev and its ControlNet, which reads the edges itself (`hinted`, as XLabs') or through the autoencoder."""
    shape = {
        "patch_size": 1,
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 1,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 32,
        "pooled_projection_dim": 32,
        "axes_dims_rope": (4, 4, 8),
        "guidance_embeds": True,
    }
    read = {"conditioning_embedding_channels": 4, "patch_size": 2} if hinted else {}
    controlnet = FluxControlNetModel(**shape | read)
    tokenizer, encoder = _t5()
    base, beside = folder / "flux", folder / "flux-canny"
    seeded_weights(controlnet, 2).save_pretrained(beside)
    FluxControlNetPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=_vae(4, shift_factor=0.1, scaling_factor=0.36, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_clip(3, projected=False),
        tokenizer=_plain_tokenizer(),
        text_encoder_2=encoder,
        tokenizer_2=tokenizer,
        transformer=seeded_weights(FluxTransformer2DModel(**shape), 4),
        controlnet=controlnet,
    ).save_pretrained(base)
    return base, beside


def save_sdxl(folder: Path) -> tuple[Path, Path]:
    """SDXL and its ControlNet."""
    shape = {
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "in_channels": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "attention_head_dim": (2, 4),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "transformer_layers_per_block": (1, 2),
        "projection_class_embeddings_input_dim": 80,
        "cross_attention_dim": 64,
        "norm_num_groups": 8,
    }
    unet = UNet2DConditionModel(
        sample_size=16, out_channels=4, up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **shape
    )
    controlnet = ControlNetModel(conditioning_embedding_out_channels=(8, 16), **shape)
    base, beside = folder / "sdxl", folder / "sdxl-canny"
    seeded_weights(controlnet, 5).save_pretrained(beside)
    StableDiffusionXLControlNetPipeline(
        vae=_vae(2, scaling_factor=0.13),
        text_encoder=_clip(6, projected=False),
        text_encoder_2=_clip(7, projected=True),
        tokenizer=_plain_tokenizer(),
        tokenizer_2=_plain_tokenizer(),
        unet=seeded_weights(unet, 8),
        controlnet=controlnet,
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1),
        add_watermarker=False,
    ).save_pretrained(base)
    return base, beside


def save_sam(folder: Path) -> Path:
    """SAM 2."""
    backbone = {
        "hidden_size": 8,
        "image_size": [SAM_SIZE, SAM_SIZE],
        "window_positional_embedding_background_size": [2, 2],
        "num_query_pool_stages": 3,
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1],
        "window_size_per_stage": [8, 4, 4, 2],
        "global_attention_blocks": [3],
    }
    config = Sam2Config(
        vision_config={
            "backbone_config": {"model_type": "sam2_hiera_det_model", **backbone},
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": SAM_SIZE, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
    )
    seeded_weights(Sam2Model(config), 1).save_pretrained(folder)
    return folder
