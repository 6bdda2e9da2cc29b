"""DeepFloyd IF, its second stage, the x4 upscaler and PRXPixel with tiny random weights, in the Hub's layout, for tests."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    FlowMatchEulerDiscreteScheduler,
    IFPipeline,
    IFSuperResolutionPipeline,
    PRXPixelPipeline,
    PRXTransformer2DModel,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.deepfloyd_if.safety_checker import IFSafetyChecker
from safetensors.torch import load_file, save_file
from tiny_svd import seeded_weights
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    PreTrainedTokenizerFast,
    Qwen3VLTextConfig,
    Qwen3VLTextModel,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

torch.set_num_threads(1)

WORDS = ("a", "forest", "tree", "leaf", "green", "from", "above")
SIZE = 16  # of the first stage; the second makes 32, the upscaler 64
_IF_SCHEDULER = {
    "beta_schedule": "squaredcos_cap_v2",
    "variance_type": "learned_range",
    "prediction_type": "epsilon",
    "thresholding": True,
    "dynamic_thresholding_ratio": 0.95,
    "sample_max_value": 1.5,
}


def _t5() -> tuple[T5TokenizerFast, T5EncoderModel]:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((f"▁{word}", -1.0) for word in WORDS)]
    tokenizer = T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=512)
    shape = {"vocab_size": len(tokenizer), "d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 4}
    encoder = T5EncoderModel(T5Config(**shape, tie_word_embeddings=False))
    encoder.encoder.embed_tokens.weight = encoder.shared.weight
    return tokenizer, seeded_weights(encoder, 1)


def _if_unet(size: int, *, stage: bool) -> UNet2DConditionModel:
    """IF's UNet as published, smaller: noise and variance out, text by cross-attention and beside the time."""
    extra = {"class_embed_type": "timestep", "mid_block_scale_factor": 1.414} if stage else {}
    unet = UNet2DConditionModel(
        sample_size=size,
        in_channels=6 if stage else 3,
        out_channels=6,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        cross_attention_dim=32,
        encoder_hid_dim=32,
        encoder_hid_dim_type="text_proj",
        attention_head_dim=8,
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
        norm_num_groups=8,
        **extra,
    )
    return seeded_weights(unet, 2)


def save_if(folder: Path, *, filtered: bool = False, **scheduler) -> Path:
    """The first stage."""
    tokenizer, encoder = _t5()
    pipe = IFPipeline(
        tokenizer=tokenizer,
        text_encoder=encoder,
        unet=_if_unet(SIZE, stage=False),
        scheduler=DDPMScheduler(**_IF_SCHEDULER | scheduler),
        safety_checker=_checker() if filtered else None,
        feature_extractor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32) if filtered else None,
        watermarker=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder)
    return folder


def _checker() -> IFSafetyChecker:
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(vision_config=vision | {"image_size": 32, "patch_size": 16, "projection_dim": 8})
    checker = seeded_weights(IFSafetyChecker(config), 3)
    with torch.no_grad():
        for head, bias in ((checker.p_head, -9.0), (checker.w_head, -9.0)):
            head.weight.zero_()
            head.bias.fill_(bias)
    return checker


def refuse_everything(folder: Path) -> None:
    """Make the filter of a first stage object to every picture."""
    file = folder / "safety_checker" / "model.safetensors"
    tensors = load_file(file)
    tensors["p_head.bias"].fill_(9.0)
    save_file(tensors, file, metadata={"format": "pt"})


def save_stage(folder: Path) -> Path:
    """IF's second stage, which doubles here."""
    tokenizer, encoder = _t5()
    IFSuperResolutionPipeline(
        tokenizer=tokenizer,
        text_encoder=encoder,
        unet=_if_unet(2 * SIZE, stage=True),
        scheduler=DDPMScheduler(**_IF_SCHEDULER),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def _plain_tokenizer() -> PreTrainedTokenizerFast:
    words = {word: i for i, word in enumerate(("<pad>", "</s>", "<unk>", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    known = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "model_max_length": 77}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **known)


def save_x4(folder: Path) -> Path:
    """The upscaler, which doubles here: its autoencoder halves."""
    shape = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 4}
    text = CLIPTextModel(CLIPTextConfig(**shape, vocab_size=32, max_position_embeddings=77))
    unet = UNet2DConditionModel(
        sample_size=SIZE,
        in_channels=7,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=8,
        num_class_embeds=100,
        norm_num_groups=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(32, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=8,
    )
    StableDiffusionUpscalePipeline(
        vae=seeded_weights(vae, 4),
        text_encoder=seeded_weights(text, 5),
        tokenizer=_plain_tokenizer(),
        unet=seeded_weights(unet, 6),
        low_res_scheduler=DDPMScheduler(beta_schedule="scaled_linear"),
        scheduler=DDIMScheduler(prediction_type="v_prediction"),
        max_noise_level=90,
    ).save_pretrained(folder)
    return folder


def save_prx(folder: Path) -> Path:
    """PRXPixel for images of 32 pixels."""
    shape = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 4}
    text = Qwen3VLTextModel(
        Qwen3VLTextConfig(**shape, num_key_value_heads=2, head_dim=8, vocab_size=32, max_position_embeddings=64)
    )
    transformer = PRXTransformer2DModel(
        in_channels=3,
        patch_size=4,
        context_in_dim=32,
        hidden_size=32,
        num_heads=4,
        depth=2,
        axes_dim=[4, 4],
        bottleneck_size=16,
        resolution_embeds=True,
    )
    PRXPixelPipeline(
        transformer=seeded_weights(transformer, 7),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        text_encoder=seeded_weights(text, 8),
        tokenizer=_plain_tokenizer(),
        default_sample_size=32,
        prompt_max_tokens=16,
    ).save_pretrained(folder)
    return folder
