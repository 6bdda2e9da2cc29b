"""A Stable Video Diffusion of the published classes with tiny random weights, for tests."""

import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    StableVideoDiffusionPipeline,
    UNetSpatioTemporalConditionModel,
)
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

torch.set_num_threads(1)  # for tensors this small, a second thread only costs

SIZE = (64, 32)  # width, height
N_FRAMES = 4


def seeded_weights(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """The module with random weights from a seed of its own, of about the scale of a fresh one's."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in module.named_parameters():
            if p.dim() > 1 or name.endswith("class_embedding"):
                p.copy_(torch.randn(p.shape, generator=generator) * max(p[0].numel(), 1) ** -0.5)
            elif name.endswith("bias"):
                p.copy_(torch.randn(p.shape, generator=generator) * 0.05)
    return module.eval().requires_grad_(False)


def tiny_unet(seed: int = 0, *, num_frames: int = N_FRAMES, widths=(32, 64)) -> UNetSpatioTemporalConditionModel:
    unet = UNetSpatioTemporalConditionModel(
        block_out_channels=widths,
        layers_per_block=1,
        sample_size=6,
        in_channels=8,
        out_channels=4,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        cross_attention_dim=32,
        num_attention_heads=(2, 4),
        projection_class_embeddings_input_dim=96,
        addition_time_embed_dim=32,
        num_frames=num_frames,
    )
    return seeded_weights(unet, seed)


def tiny_scheduler() -> EulerDiscreteScheduler:
    """SVD's own settings."""
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        interpolation_type="linear",
        timestep_spacing="leading",
        timestep_type="continuous",
        sigma_min=0.002,
        sigma_max=700.0,
        use_karras_sigmas=True,
        steps_offset=1,
    )


def tiny_pipeline(seed: int = 0) -> StableVideoDiffusionPipeline:
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 64),
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        latent_channels=4,
    )
    image_encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32,
            projection_dim=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=224,
            intermediate_size=37,
            patch_size=32,
        )
    )
    pipe = StableVideoDiffusionPipeline(
        vae=seeded_weights(vae, seed + 1),
        image_encoder=seeded_weights(image_encoder, seed + 2),
        unet=tiny_unet(seed),
        scheduler=tiny_scheduler(),
        feature_extractor=CLIPImageProcessor(),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
