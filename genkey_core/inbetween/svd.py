"""Stable Video Diffusion: loading, conditioning on a keyframe, running, decoding, and fitting into memory.

Reads a folder in the Hub's layout (model_index.json, unet/, vae/, image_encoder/, scheduler/, feature_extractor/), be
it a snapshot of stabilityai/stable-video-diffusion-img2vid(-xt) or a small model that `genkey_core.mini` has trained
(Blattmann et al. 2023; thesis section 5.2.1). Images come in as uint8 [H W 3], frames go out as float [T 3 H W].
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genkey_core import diffusion, runtime
from genkey_core.checks import InputError, integer, number, shown
from genkey_core.inbetween.attention import rotated_attention
from genkey_core.inbetween.delta import BackwardDelta
from genkey_core.inbetween.sampling import Condition, SamplingOptions, Step, sample
from genkey_core.media import to_float


@dataclass(frozen=True)
class MemoryMode:
    """How much speed is given up for memory; the sizes are for 25 frames of 1024x576 in half precision."""

    name: str
    free_gb: float  # memory of the accelerator that has to be free
    offload: bool = False  # only the part at work stays on the accelerator
    split_guidance: bool = False  # unconditional and conditional pass one after the other
    chunk_feed_forward: bool = False  # feed-forward layers frame by frame
    slices: int = 1  # parts in which temporal attention runs over the positions
    decode_chunk: int = 25  # frames decoded at once


MEMORY_MODES = (
    MemoryMode("40 GB", 38),
    MemoryMode("24 GB", 21, offload=True, chunk_feed_forward=True, decode_chunk=8),
    MemoryMode("16 GB", 14, offload=True, chunk_feed_forward=True, split_guidance=True, slices=2, decode_chunk=4),
    MemoryMode("12 GB", 10, offload=True, chunk_feed_forward=True, split_guidance=True, slices=8, decode_chunk=1),
)


class OutOfMemoryError(InputError):
    """The accelerator's memory ran out; the message names the next smaller memory mode."""


def choose_memory_mode(free_gb: float) -> MemoryMode:
    """The fastest mode that fits into the memory that is free; InputError where none does."""
    number(free_gb, "free memory", low=0, unit="GB")
    for mode in MEMORY_MODES:
        if free_gb >= mode.free_gb:
            return mode
    raise InputError(
        f"memory: the full model needs {MEMORY_MODES[-1].free_gb:g} GB free on the accelerator, "
        f"it has {free_gb:.1f} GB; the draft engine runs without."
    )


def memory_mode_for(device: str) -> MemoryMode:
    """The fastest mode for what is free on `device` now; InputError where it is no GPU, or too small a one."""
    free = runtime.available_memory(device).gpu
    if free is None:
        raise InputError("full: a GPU is needed, and this machine has none; the draft engine runs without.")
    return choose_memory_mode(free / 1e9)


def smaller_mode(mode: MemoryMode) -> MemoryMode | None:
    """The next mode that needs less memory, None after the smallest."""
    return next((other for other in MEMORY_MODES if other.free_gb < mode.free_gb), None)


def load_svd(
    folder: str | Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32, memory: MemoryMode = MEMORY_MODES[0]
) -> StableVideo:
    """Read a Stable Video Diffusion model from a folder in the Hub's layout.

    Half-precision files (`*.fp16.safetensors`) are taken where a half-precision `dtype` is asked for and they exist.
    Raises InputError where the folder is missing, incomplete, damaged or holds another kind of model.
    """
    from diffusers import StableVideoDiffusionPipeline
    from safetensors import SafetensorError

    folder = Path(folder)
    if not (folder / "model_index.json").is_file():
        raise InputError(f"model: no video model was found in {shown(folder.name)}.")
    half = dtype != torch.float32 and any((folder / "unet").glob("*.fp16.safetensors"))
    try:
        pipe = StableVideoDiffusionPipeline.from_pretrained(
            folder, dtype=dtype, variant="fp16" if half else None, use_safetensors=True, local_files_only=True
        )
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"model: {shown(folder.name)} is incomplete or damaged ({shown(str(error), 120)}).") from error
    _check_complete(folder, pipe, half=half)
    return StableVideo(pipe, device=device, memory=memory)


def _check_complete(folder: Path, pipe, *, half: bool) -> None:
    """Every weight came from the files: what is missing in one, the libraries load at random, with a mere warning."""
    from safetensors import safe_open

    for name in ("unet", "vae", "image_encoder"):
        stored: set[str] = set()
        for file in (folder / name).glob("*.safetensors"):
            if (".fp16." in file.name) == (half and any((folder / name).glob("*.fp16.safetensors"))):
                with safe_open(file, framework="pt") as tensors:
                    stored.update(tensors.keys())
        wanted = {weight for weight, _ in getattr(pipe, name).named_parameters()}
        # Newer transformers call an image encoder's weights otherwise than the published files do.
        lacking = len(wanted) - len(stored) if name == "image_encoder" else len(wanted - stored)
        if lacking > 0:
            raise InputError(f"model: {name} in {shown(folder.name)} lacks {lacking} tensors; fetch it anew.")


class StableVideo:
    """A loaded Stable Video Diffusion model. Safe to call from several threads: they take turns."""

    def __init__(self, pipe, *, device: str = "cpu", memory: MemoryMode = MEMORY_MODES[0]):
        if pipe.scheduler.config.prediction_type != "v_prediction":
            raise InputError(f"model: a v-prediction model is needed, got {pipe.scheduler.config.prediction_type}.")
        self.pipe, self.device, self.memory = pipe, device, memory
        self._lock = threading.RLock()
        for part in (pipe.unet, pipe.vae, pipe.image_encoder):
            part.requires_grad_(False).eval()
        if memory.chunk_feed_forward:
            pipe.unet.enable_forward_chunking()
        if memory.offload and device != "cpu":
            pipe.enable_model_cpu_offload(device=device)
        else:
            pipe.to(device)

    @property
    def unet(self):
        return self.pipe.unet

    @property
    def native_frames(self) -> int:
        """Frames the model was trained on (25 for the xt model)."""
        return int(self.unet.config.num_frames)

    @property
    def latent_channels(self) -> int:
        return int(self.pipe.vae.config.latent_channels)

    def native_size(self, width: int, height: int) -> tuple[int, int]:
        """The size (W, H) at which a picture of this shape is generated.

        About the pixel count the model was trained on, the nearest aspect the UNet can halve evenly all the way down
        (multiples of 64 for the published models), and no narrower than 1:4.
        """
        integer(width, "width", low=1)
        integer(height, "height", low=1)
        unit = self.pipe.vae_scale_factor * 2 ** (len(self.unet.config.block_out_channels) - 1)
        sample_size = self.unet.config.sample_size
        trained = sample_size if isinstance(sample_size, list | tuple) else (sample_size, sample_size)
        area = math.prod(trained) * self.pipe.vae_scale_factor**2
        aspect = min(max(width / height, 0.25), 4.0)
        sides = (math.sqrt(area * aspect), math.sqrt(area / aspect))
        return tuple(max(unit, round(side / unit) * unit) for side in sides)

    def schedule(self, steps: int) -> diffusion.SigmaSchedule:
        return diffusion.sigma_schedule(self.pipe.scheduler, steps, device=self.device)

    def condition(
        self, image: np.ndarray, *, size: tuple[int, int], n_frames: int, options: SamplingOptions, generator
    ) -> Condition:
        """What the network is told about a keyframe, a uint8 image [H W 3] of any size; `size` is (W, H)."""
        picture = Image.fromarray(np.ascontiguousarray(image))
        with self._running():
            embedding = self.pipe._encode_image(picture, self.device, 1, False)
            pixels = self.pipe.video_processor.preprocess(_resized(picture, size)).to(self.device)
            noise = diffusion.normal(pixels.shape, generator=generator, device=self.device, dtype=pixels.dtype)
            latents = self._encode(pixels + options.noise_aug * noise).to(embedding.dtype)
        time_ids = torch.tensor([[options.fps_id, options.motion_bucket, options.noise_aug]], dtype=embedding.dtype)
        return Condition(latents[:, None].repeat(1, n_frames, 1, 1, 1), embedding, time_ids.to(self.device))

    def encode_video(self, frames: Tensor) -> Tensor:
        """Clean frames [T 3 H W] in [-1, 1] -> scaled latents [T C h w], what the network learns to denoise."""
        with self._running():
            parts = [self._encode(part) for part in frames.to(self.device).split(self.memory.decode_chunk)]
        return torch.cat(parts) * self.pipe.vae.config.scaling_factor

    def _encode(self, pixels: Tensor) -> Tensor:
        """Pixels [N 3 H W] -> unscaled latents [N C h w]; in float32 where the autoencoder overflows in half."""
        vae = self.pipe.vae
        upcast = vae.dtype == torch.float16 and vae.config.force_upcast
        if upcast:
            vae.to(dtype=torch.float32)
        latents = self.pipe._encode_vae_image(pixels, self.device, 1, False)
        if upcast:
            vae.to(dtype=torch.float16)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Latents of one video [1 T C h w] -> frames float32 [T 3 H W] in about [-1, 1], on the CPU."""
        with self._running():
            video = self.pipe.decode_latents(latents, latents.shape[1], self.memory.decode_chunk)
        return video[0].transpose(0, 1).cpu()

    def predict(self, latents: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """One evaluation of the UNet: latents [N T C h w] scaled to unit variance -> v [N T C h w]."""
        with self._running():
            return self.unet(
                torch.cat([latents, condition.image_latents], dim=2),
                t,
                encoder_hidden_states=condition.embedding,
                added_time_ids=condition.time_ids,
                return_dict=False,
            )[0]

    def inbetween(
        self,
        start: np.ndarray,
        end: np.ndarray | None,
        *,
        options: SamplingOptions,
        delta: BackwardDelta | None = None,
        generator: torch.Generator,
        n_frames: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> Iterator[Step]:
        """Sample a video between two uint8 keyframes; `decode` the last step's latents to see it.

        `delta` holds the backward weights; the variants "dual" and "no_rotation" cannot do without. The attention is
        patched for each evaluation alone, so the model stays usable between two steps of the generator.
        """
        patch = self.coupling(options.variant, delta)
        n_frames = integer(self.native_frames if n_frames is None else n_frames, "frames", low=2, high=1000)
        size = size or self.native_size(start.shape[1], start.shape[0])
        known = {"size": size, "n_frames": n_frames, "options": options, "generator": generator}
        first = self.condition(start, **known)
        last = self.condition(end, **known) if options.two_sided and end is not None else None

        def predict(latents: Tensor, t: Tensor, condition: Condition) -> Tensor:
            with self._lock, patch:
                return self.predict(latents, t, condition)

        yield from sample(
            predict,
            first,
            last,
            self.schedule(options.steps),
            options=options,
            generator=generator,
            latent_channels=self.latent_channels,
            split_guidance=self.memory.split_guidance,
        )

    def coupling(self, variant: str, delta: BackwardDelta | None):
        """The context in which the UNet denoises the two halves of a batch as `variant` wants it."""
        if variant in ("dual", "no_rotation"):
            if delta is None:
                raise InputError(f"{variant}: backward weights are needed, and none were given.")
            return rotated_attention(self.unet, delta, rotate=variant == "dual", slices=self.memory.slices)
        if variant == "no_finetuning":
            return rotated_attention(self.unet, blocks="up", slices=self.memory.slices)
        return nullcontext()

    def with_memory(self, memory: MemoryMode) -> StableVideo:
        """The same weights under another memory mode."""
        self.pipe.remove_all_hooks()
        for module in self.unet.modules():
            if hasattr(module, "set_chunk_feed_forward"):
                module.set_chunk_feed_forward(None, dim=0)
        return StableVideo(self.pipe, device=self.device, memory=memory)

    @contextmanager
    def _running(self):
        """One thread at a time, no gradients, and running out of memory said in a sentence."""
        try:
            with self._lock, torch.no_grad():
                yield
        except torch.OutOfMemoryError as error:
            smaller = smaller_mode(self.memory)
            remedy = f"choose the memory mode {smaller.name}" if smaller else "choose fewer frames"
            raise OutOfMemoryError(f"memory: it ran out in the mode {self.memory.name}; {remedy}.") from error


def latent_painter(condition: Condition, image: np.ndarray, scaling_factor: float) -> Callable[[Tensor], Tensor]:
    """A cheap preview: colours as a linear function of the latents, fitted on a keyframe whose latents are known.

    Returns a function from scaled latents [1 T C h w] to frames [T 3 h w] in [-1, 1], without running the decoder.
    """
    known = condition.image_latents[0, 0].float().cpu()  # [C h w], unscaled
    small = np.array(_resized(Image.fromarray(np.ascontiguousarray(image)), known.shape[:0:-1]))
    colours = to_float(small[None])[0].flatten(1).T  # [h*w 3]
    features = torch.cat([known.flatten(1).T, torch.ones(colours.shape[0], 1)], dim=1)
    ridge = 1e-3 * torch.eye(features.shape[1])
    weights = torch.linalg.solve(features.T @ features / len(features) + ridge, features.T @ colours / len(features))

    def paint(latents: Tensor) -> Tensor:
        unscaled = latents[0].float().cpu() / scaling_factor
        return (torch.einsum("tchw,cd->tdhw", unscaled, weights[:-1]) + weights[-1, :, None, None]).clamp(-1, 1)

    return paint


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture if picture.size == tuple(size) else picture.resize(tuple(size), Image.Resampling.LANCZOS)
