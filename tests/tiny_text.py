"""Wan and LTX-Video pipelines of the published classes with tiny random weights, saved in the Hub's layout, for tests."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanTransformer3DModel,
)
from tiny_svd import seeded_weights
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)

torch.set_num_threads(1)

WORDS = ("a", "cat", "runs", "dog", "sleeps", "one", "continuous", "shot", "the", "scene", "first", "picture")


def tiny_tokenizer() -> T5TokenizerFast:
    """Pieces of text: some words, and every printable character by itself."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -1.0) for word in WORDS] + [(chr(code), -5.0) for code in range(33, 127)]
    return T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=64)


def tiny_text_encoder(kind: str, seed: int):
    config, model = {"t5": (T5Config, T5EncoderModel), "umt5": (UMT5Config, UMT5EncoderModel)}[kind]
    encoder = model(
        config(
            vocab_size=len(tiny_tokenizer()),
            d_model=32,
            d_kv=8,
            d_ff=37,
            num_layers=2,
            num_heads=4,
            relative_attention_num_buckets=8,
            tie_word_embeddings=False,  # as in the published configurations
        )
    )
    encoder.encoder.embed_tokens.weight = encoder.shared.weight
    return seeded_weights(encoder, seed)


def tiny_wan_transformer(seed: int = 0, **changes) -> WanTransformer3DModel:
    shape = {
        "patch_size": (1, 2, 2),
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "in_channels": 36,
        "out_channels": 16,
        "text_dim": 32,
        "freq_dim": 256,
        "ffn_dim": 32,
        "num_layers": 2,
        "cross_attn_norm": True,
        "rope_max_seq_len": 32,
        "image_dim": 32,
        "added_kv_proj_dim": 24,
        "pos_embed_seq_len": 2 * (4 * 4 + 1),
    }
    return seeded_weights(WanTransformer3DModel(**(shape | changes)), seed)


def tiny_wan(seed: int = 0, *, expand_timesteps: bool = False, **transformer) -> WanImageToVideoPipeline:
    vae = AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    image_encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32,
            projection_dim=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=32,
            intermediate_size=37,
            patch_size=8,
        )
    )
    pipe = WanImageToVideoPipeline(
        tokenizer=tiny_tokenizer(),
        text_encoder=tiny_text_encoder("umt5", seed + 1),
        vae=seeded_weights(vae, seed + 2),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=3.0
        ),
        image_processor=CLIPImageProcessor(crop_size=32, size=32),
        image_encoder=seeded_weights(image_encoder, seed + 3),
        transformer=tiny_wan_transformer(seed, **transformer),
        expand_timesteps=expand_timesteps,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def tiny_ltx(seed: int = 0) -> LTXPipeline:
    transformer = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=32,
    )
    vae = AutoencoderKLLTXVideo(
        in_channels=3,
        out_channels=3,
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False),
        decoder_inject_noise=(False, False, False, False, False),
        upsample_residual=(False, False, False, False),
        upsample_factor=(1, 1, 1, 1),
        timestep_conditioning=True,  # as in 0.9.1 and later
        patch_size=4,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    )
    vae.use_framewise_encoding = vae.use_framewise_decoding = False
    pipe = LTXPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=seeded_weights(vae, seed + 1),
        text_encoder=tiny_text_encoder("t5", seed + 2),
        tokenizer=tiny_tokenizer(),
        transformer=seeded_weights(transformer, seed),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def saved(pipe, folder: Path) -> Path:
    """`folder`, with the pipeline in it as the Hub has it."""
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def saved_both(root: Path) -> dict[str, Path]:
    """Folders of both kinds by their names."""
    return {"wan": saved(tiny_wan(), root / "wan"), "ltx": saved(tiny_ltx(), root / "ltx")}
