"""The mini text-to-image model: DeepFloyd IF's classes and folder layout at a size that two processor cores can train.

It works on pixels, 64x64: a `UNet2DConditionModel` that reads a small T5 encoder's tokens by cross-attention and their
pooled embedding beside the time, and predicts v and, as IF does, the range of its own variance (arXiv:2102.09672).
`IFPipeline.from_pretrained(folder)` and every loader written for the Hub's checkpoint read it. torch, diffusers and
transformers are imported inside functions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from genkey_core import runtime
from genkey_core.media import to_uint8
from genkey_core.mini import scale_captions
from genkey_core.mini.video_model import draw_weights, readable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from diffusers import IFPipeline
    from transformers import T5Tokenizer

SIZE = 64
TOKENS = 77  # IF's pipeline pads every prompt to this length

TEXT_ENCODER = {
    "d_model": 128,
    "d_kv": 32,
    "d_ff": 256,
    "num_heads": 4,
    "num_layers": 2,
    "feed_forward_proj": "gated-gelu",
    "dropout_rate": 0.0,
}
# The first level has no blocks on its way down: convolutions at 64x64 cost most and see least.
UNET = {
    "sample_size": SIZE,
    "in_channels": 3,
    "out_channels": 6,
    "block_out_channels": (32, 64, 96, 160),
    "layers_per_block": (0, 1, 1, 1),
    "down_block_types": ("DownBlock2D",) * 3 + ("CrossAttnDownBlock2D",),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ("CrossAttnUpBlock2D",) + ("UpBlock2D",) * 3,
    "attention_head_dim": (1, 1, 3, 5),  # number of heads, as diffusers reads it
    "cross_attention_dim": 128,
    "encoder_hid_dim": 128,
    "encoder_hid_dim_type": "text_proj",
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 4,
    "norm_num_groups": 8,
    "resnet_time_scale_shift": "scale_shift",
}
# IF's scheduler, for v instead of epsilon: the colours of the whole picture are learned sooner.
SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "variance_type": "learned_range",
    "thresholding": True,
    "dynamic_thresholding_ratio": 0.95,
    "sample_max_value": 1.5,
}
_PARTS = ("text_encoder", "unet")


def tokenizer() -> T5Tokenizer:
    """One token a word of the scale world, and marks of punctuation; all else is `<unk>`."""
    from transformers import T5Tokenizer

    pieces = ["<pad>", "</s>", "<unk>", "▁", ",", ".", "-", "!", "?", "'s", "s"]
    pieces += [f"▁{word}" for word in scale_captions.vocabulary()]
    # Equal scores: the cutting into the fewest pieces wins.
    return T5Tokenizer(vocab=[(piece, 0.0 if n < 3 else -1.0) for n, piece in enumerate(pieces)], extra_ids=0)


def build(*, seed: int = 0) -> IFPipeline:
    """A mini pipeline with fresh weights; the same seed gives the same ones."""
    import diffusers
    import torch
    import transformers

    words = tokenizer()
    config = transformers.T5Config(**TEXT_ENCODER, vocab_size=len(words), pad_token_id=0, eos_token_id=1)
    text_encoder, unet = transformers.T5EncoderModel(config), diffusers.UNet2DConditionModel(**UNET)
    generator = runtime.torch_generator(seed)
    for part in (text_encoder, unet):
        draw_weights(part, generator)
    with torch.no_grad():
        text_encoder.shared.weight.normal_(0, 1, generator=generator)  # T5's own rule
        pool = unet.add_embedding.pool.positional_embedding
        pool.normal_(0, pool.shape[-1] ** -0.5, generator=generator)
        for weight in unet.conv_out.parameters():
            weight.zero_()
    return diffusers.IFPipeline(
        tokenizer=words,
        text_encoder=text_encoder.eval(),
        unet=unet,
        scheduler=diffusers.DDPMScheduler(**SCHEDULER),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )


def load(folder: str | Path, **kwargs) -> IFPipeline:
    """The pipeline in `folder`, in float32, progress bar off."""
    import diffusers
    import torch

    pipeline = diffusers.IFPipeline.from_pretrained(folder, dtype=torch.float32, **kwargs)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def export(pipeline: IFPipeline, folder: str | Path) -> None:
    """Writes `pipeline` to `folder` in the Hub's layout, safetensors at half precision; `pipeline` stays as it is."""
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
    index = Path(folder) / "model_index.json"
    entries = json.loads(index.read_text())
    entries["tokenizer"] = ["transformers", "T5Tokenizer"]
    index.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n")


def tokens(words: T5Tokenizer, prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask [B TOKENS], as IF's pipeline makes them; lower case."""
    made = words(
        [prompt.lower().strip() for prompt in prompts],
        padding="max_length",
        max_length=TOKENS,
        truncation=True,
        return_tensors="pt",
    )
    return made.input_ids, made.attention_mask


def generate(
    pipeline: IFPipeline, prompts: list[str], *, steps: int = 50, guidance_scale: float = 4.0, seed: int = 0
) -> np.ndarray:
    """Independent pictures uint8 [B size size 3] of `prompts` by IF's own pipeline."""
    import torch

    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        list(prompts),
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        generator=torch.Generator().manual_seed(seed),
        output_type="pt",
        clean_caption=False,
    ).images
    return to_uint8(images)
