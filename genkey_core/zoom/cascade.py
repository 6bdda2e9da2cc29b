"""From the sampled size to the size of the picture: super-resolution of every level, and agreement once more.

DeepFloyd IF's second stage (64 to 256) and Stable Diffusion's x4 upscaler (256 to 1024), by their own pipelines, one level
after the other; without them plain interpolation. What they make up for one level contradicts the next, so the levels are
blended again at the new size, where what was made up does not count against a level that has seen it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ..checks import InputError, shown
from .blend import invented_bands
from .pixel_loading import damage_said
from .pixel_models import said_in_words
from .sampling import agreeing
from .stack import render_images

STAGE_STEPS = {"fast": 30, "quality": 50}  # of each level, in both stages
IF_GUIDANCE, IF_NOISE = 4.0, 250  # what IF's authors add to the small picture, and how much they guide
X4_GUIDANCE, X4_NOISE = 7.0, 20


def enlarged(levels: Tensor, size: int, p: int) -> Tensor:  # [N C h w] -> [N C size size]
    """Levels that agree, interpolated to `size` pixels a side; each level's middle takes the next one's detail."""
    if levels.shape[-1] >= size:
        return levels
    larger = functional.interpolate(levels.float(), (size, size), mode="bicubic", align_corners=False)
    return render_images(larger.clamp(-1, 1), p)


def agreed(levels: Tensor, p: int, *, factor: float) -> Tensor:
    """Levels that an upscaler by `factor` made one by one, brought to agree."""
    return agreeing(levels, p, invented=invented_bands(factor, p)).clamp(-1, 1)


def read_stage(folder: str | Path, *, dtype: torch.dtype):
    """IF's second stage without its text encoder: it takes the first stage's reading of the prompts."""
    from diffusers import IFSuperResolutionPipeline

    absent = dict.fromkeys(("text_encoder", "tokenizer", "safety_checker", "feature_extractor", "watermarker"))
    return _pipeline(IFSuperResolutionPipeline, folder, dtype, **absent, requires_safety_checker=False)


def read_x4(folder: str | Path, *, dtype: torch.dtype):
    """Stable Diffusion's x4 upscaler."""
    from diffusers import StableDiffusionUpscalePipeline

    return _pipeline(
        StableDiffusionUpscalePipeline, folder, dtype, safety_checker=None, feature_extractor=None, watermarker=None
    )


def _pipeline(kind, folder: str | Path, dtype: torch.dtype, **absent):
    folder = Path(folder)
    if not (folder / "model_index.json").is_file():
        raise InputError(f"model: no upscaler was found in {shown(folder.name)}.")
    half = any(folder.glob("unet/*.fp16*.safetensors")) and dtype != torch.float32
    known = {"variant": "fp16"} if half else {}
    with damage_said(folder):
        pipe = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True, **known, **absent)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def through_stage(
    pipe, levels: Tensor, words: Tensor, unsaid: Tensor, *, steps: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """IF's second stage on every level [N 3 h w]: yields each [3 H W] when it is done.

    `words` [N L D] and `unsaid` [1 L D] are IF's readings of the prompts and of the negative prompt.
    """
    unet = pipe.unet
    for level, said in zip(levels, words, strict=True):
        with said_in_words("enlarging a level"):
            made = pipe(
                image=level[None].to(unet.device, unet.dtype),
                prompt_embeds=said[None].to(unet.device, unet.dtype),
                negative_prompt_embeds=unsaid.to(unet.device, unet.dtype),
                num_inference_steps=steps,
                guidance_scale=IF_GUIDANCE,
                noise_level=IF_NOISE,
                generator=generator,
                output_type="pt",
                clean_caption=False,
            ).images
        yield _finite(made[0])


def through_x4(
    pipe, levels: Tensor, prompts: Sequence[str], *, negative: str, steps: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """The x4 upscaler on every level [N 3 h w] in [-1, 1]: yields each [3 4h 4w] when it is done."""
    unet = pipe.unet
    for level, prompt in zip(levels, prompts, strict=True):
        with said_in_words("enlarging a level"):
            made = pipe(
                prompt=[prompt],
                negative_prompt=[negative],
                image=((level[None] + 1) / 2).clamp(0, 1).to(unet.device, unet.dtype),
                num_inference_steps=steps,
                guidance_scale=X4_GUIDANCE,
                noise_level=X4_NOISE,
                generator=generator,
                output_type="pt",
            ).images
        yield _finite(made[0]) * 2 - 1


def _finite(image: Tensor) -> Tensor:
    if not image.isfinite().all():
        raise InputError("super-resolution: the model gave values that are not numbers; choose a smaller size.")
    return image.float()


class SafetyFilter:
    """The filter that comes with IF's weights, whose licence wants it kept; `refused` names the levels it objects to."""

    def __init__(self, folder: str | Path, *, device: str, dtype: torch.dtype):
        from diffusers.pipelines.deepfloyd_if.safety_checker import IFSafetyChecker
        from safetensors.torch import load_file
        from transformers import CLIPConfig, CLIPImageProcessor

        folder = Path(folder)
        with damage_said(folder):
            files = sorted((folder / "safety_checker").glob("*.safetensors"))
            if not files:
                raise InputError(f"model: the safety filter in {shown(folder.name)} has no weights; fetch it anew.")
            # Not by from_pretrained: diffusers' class lacks what transformers 5 wants of a model that it loads.
            checker = IFSafetyChecker(CLIPConfig.from_pretrained(folder / "safety_checker", local_files_only=True))
            missing, _ = checker.load_state_dict(load_file(files[-1]), strict=False)
            if missing:
                raise InputError(f"model: the safety filter in {shown(folder.name)} lacks {len(missing)} tensors.")
            self.processor = CLIPImageProcessor.from_pretrained(folder / "feature_extractor", local_files_only=True)
        checker = checker.to(dtype)
        self.checker = checker.eval().to(device)

    def refused(self, levels: Tensor) -> list[int]:
        """Numbers (from 1) of the levels [N 3 H W] that the filter would black out."""
        from ..media import to_uint8

        pictures = list(to_uint8(levels))
        seen = self.processor(pictures, return_tensors="pt").pixel_values.to(self.checker.device, self.checker.dtype)
        with torch.no_grad():
            _, unsafe, _ = self.checker(seen, [picture.astype("float32") / 255 for picture in pictures])
        return [i for i, found in enumerate(unsafe, 1) if found]
