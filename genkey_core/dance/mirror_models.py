"""The two pairs of models that redraw keyframes from edge maps: FLUX.1-dev and SDXL, each with a ControlNet for Canny edges.

Both are used through the same four calls: `encode`, `read_prompt`, `loss` while they are fine-tuned, `paint` afterwards. A FLUX
learns the straight way from noise to picture (rectified flow), an SDXL the noise (Ho et al. 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import media
from ..checks import InputError, choice, shown


@dataclass(frozen=True)
class Prompt:
    """A prompt as the networks read it."""

    tokens: Tensor  # [1 N D]
    pooled: Tensor  # [1 D]


class Painter(Protocol):
    """A text-to-image model steered by edges."""

    networks: dict[str, nn.Module]  # those that are fine-tuned, by the names that their adapters bear
    multiple: int  # width and height are multiples of it

    def encode(self, images: np.ndarray) -> Tensor: ...
    def read_prompt(self, prompt: str) -> Prompt: ...
    def loss(self, latents: Tensor, edges: Tensor, prompt: Prompt, generator: torch.Generator) -> Tensor: ...
    def paint(
        self,
        edges: np.ndarray,
        prompt: Prompt,
        *,
        steps: int,
        generator: torch.Generator,
        on_step: Callable[[int], None],
    ) -> np.ndarray: ...


def control(edges: np.ndarray) -> Tensor:  # [... 3 H W] in 0..1
    """Edge maps uint8 [... H W] as ControlNets take them."""
    return (torch.as_tensor(edges).float() / 255.0).unsqueeze(-3).expand(*edges.shape[:-2], 3, *edges.shape[-2:])


class Flux:
    """FLUX.1-dev with a ControlNet, from diffusers' pipeline of the two; its guidance is a number that it reads."""

    multiple = 16
    guidance = 3.5

    def __init__(self, pipeline) -> None:  # FluxControlNetPipeline
        self.pipeline = pipeline
        self.networks = {"transformer": pipeline.transformer, "controlnet": pipeline.controlnet}

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> Tensor:  # [K N C], packed in 2x2 patches
        vae = self.pipeline.vae
        pictures = media.to_float(images).to(vae.device, vae.dtype)
        latents = torch.cat([vae.encode(p[None]).latent_dist.mode() for p in pictures])
        latents = (latents - vae.config.shift_factor) * vae.config.scaling_factor
        return self._packed(latents)

    @torch.no_grad()
    def read_prompt(self, prompt: str) -> Prompt:
        tokens, pooled, _ = self.pipeline.encode_prompt(prompt, None, max_sequence_length=self._longest())
        return Prompt(tokens, pooled)

    def loss(self, latents: Tensor, edges: Tensor, prompt: Prompt, generator: torch.Generator) -> Tensor:
        """Flow matching at a logit-normal time: the networks' answer against `noise - latents` (Esser et al. 2024).

        `latents` [B N C] packed, `edges` [B 3 H W] in 0..1.
        """
        pipe = self.pipeline
        device, dtype = latents.device, pipe.transformer.dtype
        noise = torch.randn(latents.shape, generator=generator).to(device)
        sigma = torch.sigmoid(torch.randn(len(latents), generator=generator)).to(device)
        mixed = (sigma[:, None, None] * noise + (1 - sigma[:, None, None]) * latents).to(dtype)
        b, _, h, w = edges.shape
        factor = pipe.vae_scale_factor * 2
        ids = pipe._prepare_latent_image_ids(b, h // factor, w // factor, device, dtype)
        told = {
            "timestep": sigma.to(dtype),
            "pooled_projections": prompt.pooled.expand(b, -1).to(device, dtype),
            "encoder_hidden_states": prompt.tokens.expand(b, -1, -1).to(device, dtype),
            "txt_ids": torch.zeros(prompt.tokens.shape[1], 3, device=device, dtype=dtype),
            "img_ids": ids,
            "return_dict": False,
        }
        condition = self._condition(edges.to(device, dtype))
        blocks, single = pipe.controlnet(mixed, condition, guidance=self._guidance(pipe.controlnet, b, device), **told)
        answer = pipe.transformer(
            mixed,
            guidance=self._guidance(pipe.transformer, b, device),
            controlnet_block_samples=blocks,
            controlnet_single_block_samples=single,
            controlnet_blocks_repeat=pipe.controlnet.input_hint_block is not None,
            **told,
        )[0]
        return F.mse_loss(answer.float(), (noise - latents).float())

    def paint(self, edges, prompt, *, steps, generator, on_step) -> np.ndarray:  # [H W 3] uint8
        h, w = edges.shape
        return painted(
            self.pipeline,
            on_step,
            control_image=control(edges)[None] * 2 - 1,
            prompt_embeds=prompt.tokens,
            pooled_prompt_embeds=prompt.pooled,
            width=w,
            height=h,
            num_inference_steps=steps,
            guidance_scale=self.guidance,
            controlnet_conditioning_scale=1.0,
            generator=generator,
        )

    def _condition(self, edges: Tensor) -> Tensor:
        if self.pipeline.controlnet.input_hint_block is not None:  # reads the picture itself
            return edges * 2 - 1
        vae = self.pipeline.vae
        with torch.no_grad():
            latents = vae.encode((edges * 2 - 1).to(vae.dtype)).latent_dist.mode()
        return self._packed((latents - vae.config.shift_factor) * vae.config.scaling_factor).to(edges.dtype)

    def _packed(self, latents: Tensor) -> Tensor:
        return self.pipeline._pack_latents(latents, *latents.shape)

    def _guidance(self, network: nn.Module, batch: int, device: torch.device) -> Tensor | None:
        return torch.full((batch,), self.guidance, device=device) if network.config.guidance_embeds else None

    def _longest(self) -> int:
        return min(512, self.pipeline.tokenizer_2.model_max_length)


class StableDiffusionXL:
    """SDXL with a ControlNet, for smaller GPUs, from diffusers' pipeline of the two."""

    multiple = 8
    guidance = 5.0

    def __init__(self, pipeline) -> None:  # StableDiffusionXLControlNetPipeline
        if pipeline.scheduler.config.prediction_type != "epsilon":
            raise InputError("model: an SDXL that predicts noise (epsilon) is needed.")
        self.pipeline = pipeline
        self.networks = {"unet": pipeline.unet, "controlnet": pipeline.controlnet}
        self._nothing: Prompt | None = None  # the empty prompt, for guidance

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> Tensor:  # [K C h w]
        vae, dtype = self.pipeline.vae, self.pipeline.vae.dtype
        if vae.config.force_upcast:  # it overflows in half precision
            vae.to(torch.float32)
        pictures = media.to_float(images).to(vae.device, vae.dtype)
        latents = torch.cat([vae.encode(p[None]).latent_dist.mode() for p in pictures])
        vae.to(dtype)
        return latents * vae.config.scaling_factor

    @torch.no_grad()
    def read_prompt(self, prompt: str) -> Prompt:
        tokens, nothing, pooled, pooled_nothing = self.pipeline.encode_prompt(
            prompt, negative_prompt="", do_classifier_free_guidance=True
        )
        self._nothing = Prompt(nothing, pooled_nothing)
        return Prompt(tokens, pooled)

    def loss(self, latents: Tensor, edges: Tensor, prompt: Prompt, generator: torch.Generator) -> Tensor:
        """The noise at a uniform time against the networks' answer; `latents` [B C h w], `edges` [B 3 H W] in 0..1."""
        pipe = self.pipeline
        device, dtype, b = latents.device, pipe.unet.dtype, len(latents)
        kept = pipe.scheduler.alphas_cumprod.to(device)  # of the picture's power, by time
        noise = torch.randn(latents.shape, generator=generator).to(device)
        time = torch.randint(len(kept), (b,), generator=generator).to(device)
        share = kept[time][:, None, None, None]
        mixed = (share.sqrt() * latents + (1 - share).sqrt() * noise).to(dtype)
        h, w = edges.shape[-2:]
        told = {
            "encoder_hidden_states": prompt.tokens.expand(b, -1, -1).to(device, dtype),
            "added_cond_kwargs": {
                "text_embeds": prompt.pooled.expand(b, -1).to(device, dtype),
                "time_ids": torch.tensor([[h, w, 0, 0, h, w]], device=device, dtype=dtype).expand(b, -1),
            },
            "return_dict": False,
        }
        down, middle = pipe.controlnet(mixed, time, controlnet_cond=edges.to(device, dtype), **told)
        answer = pipe.unet(
            mixed, time, down_block_additional_residuals=down, mid_block_additional_residual=middle, **told
        )[0]
        return F.mse_loss(answer.float(), noise.float())

    def paint(self, edges, prompt, *, steps, generator, on_step) -> np.ndarray:  # [H W 3] uint8
        if self._nothing is None:
            self.read_prompt("")
        h, w = edges.shape
        return painted(
            self.pipeline,
            on_step,
            image=control(edges)[None],
            prompt_embeds=prompt.tokens,
            pooled_prompt_embeds=prompt.pooled,
            negative_prompt_embeds=self._nothing.tokens,
            negative_pooled_prompt_embeds=self._nothing.pooled,
            width=w,
            height=h,
            num_inference_steps=steps,
            guidance_scale=self.guidance,
            controlnet_conditioning_scale=1.0,
            generator=generator,
        )


def painted(pipeline, on_step: Callable[[int], None], **arguments) -> np.ndarray:  # [H W 3] uint8
    """One picture by a pipeline of diffusers, which tells `on_step` how many steps are done."""

    def told(_pipeline, step: int, _time, kept: dict) -> dict:
        on_step(step + 1)
        return kept

    pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad():
        picture = pipeline(output_type="np", callback_on_step_end=told, **arguments).images[0]
    return np.clip(np.rint(np.asarray(picture) * 255.0), 0, 255).astype(np.uint8)


def read_painter(kind: str, base: str | Path, controlnet: str | Path, *, dtype: torch.dtype, device: str) -> Painter:
    """The `kind` (flux or sdxl) from folders in the Hub's layout: the base model's and the ControlNet's.

    Raises InputError where a folder is missing, holds another model, or lacks weights, which diffusers would draw at random.
    """
    import diffusers

    classes = {
        "flux": (Flux, diffusers.FluxControlNetPipeline, diffusers.FluxControlNetModel),
        "sdxl": (StableDiffusionXL, diffusers.StableDiffusionXLControlNetPipeline, diffusers.ControlNetModel),
    }
    painter, pipeline_class, controlnet_class = classes[choice(kind, "model", classes)]
    local = {"dtype": dtype, "local_files_only": True, "use_safetensors": True}
    try:
        network, loading = controlnet_class.from_pretrained(
            controlnet, output_loading_info=True, **local, **_variant(controlnet)
        )
        if loading["missing_keys"] or loading["mismatched_keys"]:
            raise InputError(f"model: {shown(Path(controlnet).name)} lacks weights of its ControlNet.")
        pipeline = pipeline_class.from_pretrained(str(base), controlnet=network, **local, **_variant(base))
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"model: {shown(Path(base).name)} and {shown(Path(controlnet).name)} are no {kind} with a ControlNet, or damaged."
        ) from error
    return painter(pipeline.to(device))


def _variant(folder: str | Path) -> dict[str, str]:
    """Which of the files a folder holds: SDXL is published in half precision beside the whole."""
    return {"variant": "fp16"} if any(Path(folder).rglob("*.fp16.safetensors")) else {}
