"""Wan and LTX-Video through diffusers: reading a folder in the Hub's layout, and one clip between two pictures.

Imported lazily, by text_engine.py. Wan gets both pictures through its CLIP encoder and as the first and last frame of a
masked video (`last_image`); LTX-Video gets the last one as extra tokens at the last frame's time (`LTXVideoCondition`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import runtime
from ..checks import InputError
from ..media import to_float, to_uint8
from ..worker import Reporter, streamed
from .engines import Progress
from .sampling import NotFiniteError
from .settings import MEMORY
from .svd import OutOfMemoryError
from .text_loading import read_pipeline
from .text_specs import LTX_SPEC, WAN_SPEC, TextMode, TextSpec, smaller_text_mode

_PREVIEW_SIDE = 256  # pixels
_BLACK = 6  # levels of 255: a clip that never gets brighter than this has failed


class TextVideo:
    """A loaded text-guided model. Safe to call from several threads: they take turns."""

    spec: TextSpec

    def __init__(self, pipe, *, device: str = "cpu", memory: TextMode | None = None):
        self.pipe, self.device, self.memory = pipe, device, memory or self.spec.modes[0]
        self.pipe.set_progress_bar_config(disable=True)
        self._lock = threading.Lock()
        self._placed = False

    def clip(
        self,
        start: np.ndarray,
        end: np.ndarray,
        *,
        prompt: str,
        size: tuple[int, int],
        n_frames: int,
        steps: int,
        seed: int,
    ) -> Iterator[Progress | np.ndarray]:
        """Sample one clip from uint8 [H W 3] to uint8 [H W 3]; `size` is (W, H), n_frames one of the model's counts.

        Yields Progress with a preview of the middle frame after every step, and last the clip, uint8 [n_frames H W 3].
        Closing it stops the model at the end of its step. Raises OutOfMemoryError, which names the next smaller memory
        mode, NotFiniteError, and InputError where the clip came out black.
        """
        pictures = [
            Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.LANCZOS)
            for image in (start, end)
        ]
        asked = {
            "prompt": prompt,
            "negative_prompt": self.spec.negative_prompt,
            "width": size[0],
            "height": size[1],
            "num_frames": n_frames,
            "num_inference_steps": steps,
            "guidance_scale": self.spec.guidance,
        }

        def work(say: Reporter) -> None:
            with self._my_turn(say, steps), self._as_sentences():
                say(
                    Progress(0, steps, note="moving the model to the GPU" if not self._placed else "reading the prompt")
                )
                self._place()
                paint = self._painter(pictures, n_frames)
                on_step = _step_reporter(say, steps, paint)
                generator = runtime.torch_generator(seed)
                try:
                    video = self._run(pictures, generator, callback_on_step_end=on_step, output_type="pt", **asked)
                finally:
                    self._take_back()
                say(_finished_clip(video, pictures))

        yield from streamed(work)

    def _run(self, pictures: list[Image.Image], generator: torch.Generator, **asked) -> Tensor:
        """The pipeline's frames, float [T 3 H W] in [0, 1]."""
        raise NotImplementedError

    def _encode(self, pixels: Tensor) -> Tensor:
        """One picture [1 3 1 H W] in [-1, 1] -> latents [C h w] of the scale that the transformer works on."""
        raise NotImplementedError

    def _middle(self, latents: Tensor, n_latents: int, shape: torch.Size) -> Tensor:
        """Latents as the pipeline hands them out -> [C h w] of the middle frame; shape: (h, w)."""
        raise NotImplementedError

    def _temporal_factor(self) -> int:
        raise NotImplementedError

    def _painter(self, pictures: list[Image.Image], n_frames: int) -> Callable[[Tensor], np.ndarray]:
        """A cheap preview: colours as a linear function of the latents, fitted on the two keyframes (as in svd.py)."""
        pixels = to_float(np.stack([np.asarray(picture) for picture in pictures]))
        with torch.no_grad():
            parts = [self._encode(part[None, :, None].to(self.device, self.pipe.vae.dtype)) for part in pixels]
        self._take_back()
        known = torch.stack(parts).float().cpu()  # [2 C h w]
        h, w = shape = known.shape[-2:]
        small = np.stack([np.asarray(picture.resize((w, h), Image.Resampling.BOX)) for picture in pictures])
        colours = to_float(small).movedim(1, -1).reshape(-1, 3)
        features = torch.cat([known.movedim(1, -1).reshape(len(colours), -1), torch.ones(len(colours), 1)], dim=1)
        ridge = 1e-2 * torch.eye(features.shape[1])
        weights = torch.linalg.solve(
            features.T @ features / len(features) + ridge, features.T @ colours / len(features)
        )
        n_latents = (n_frames - 1) // self._temporal_factor() + 1
        scale = _PREVIEW_SIDE / max(h, w)

        def paint(latents: Tensor) -> np.ndarray:  # -> uint8 [h w 3]
            middle = self._middle(latents, n_latents, shape).float().cpu()
            frame = torch.einsum("chw,cd->dhw", middle, weights[:-1]) + weights[-1, :, None, None]
            picture = Image.fromarray(to_uint8(frame))
            return np.asarray(picture.resize((round(w * scale), round(h * scale)), Image.Resampling.BICUBIC))

        return paint

    def _place(self) -> None:
        """Once in a process: where the parts live, as the memory mode has it."""
        if self._placed:
            return
        if self.memory.tile:
            self.pipe.vae.enable_tiling()
        if self.memory.offload and self.device != "cpu":
            move = {
                "parts": self.pipe.enable_model_cpu_offload,
                "layers": self.pipe.enable_sequential_cpu_offload,
            }[self.memory.offload]
            move(device=self.device)
        else:
            self.pipe.to(self.device)
        self._placed = True

    def _take_back(self) -> None:
        """Take the part that was at work off the GPU, also after a failure; nothing where all parts stay on it."""
        self.pipe.maybe_free_model_hooks()

    @contextmanager
    def _my_turn(self, say: Reporter, steps: int):
        """One clip at a time; who waits can be cancelled."""
        if self._lock.locked():
            say(Progress(0, steps, note="waiting for another clip to finish"))
        while not self._lock.acquire(timeout=0.2):
            say.check()
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _as_sentences(self):
        try:
            yield
        except torch.OutOfMemoryError as error:
            smaller = smaller_text_mode(self.spec, self.memory, self.device)
            while smaller and smaller.name not in MEMORY:  # settings do not know them all
                smaller = smaller_text_mode(self.spec, smaller, self.device)
            remedy = f"choose the memory mode {smaller.name}" if smaller else "choose the preset fast, or fewer frames"
            raise OutOfMemoryError(f"memory: it ran out in the mode {self.memory.name}; {remedy}.") from error


class WanVideo(TextVideo):
    """Wan 2.1 FLF2V, or Wan 2.2 I2V with its two transformers."""

    spec = WAN_SPEC

    def _run(self, pictures, generator, **asked):
        first, last = pictures
        return self.pipe(image=first, last_image=last, generator=generator, **asked).frames[0]

    def _encode(self, pixels):
        config = self.pipe.vae.config
        latents = self.pipe.vae.encode(pixels).latent_dist.mode()[0, :, 0].float()
        mean, std = (latents.new_tensor(values)[:, None, None] for values in (config.latents_mean, config.latents_std))
        return (latents - mean) / std

    def _middle(self, latents, n_latents, shape):
        return latents[0, :, n_latents // 2]

    def _temporal_factor(self):
        return self.pipe.vae_scale_factor_temporal


class LtxVideo(TextVideo):
    """LTX-Video 0.9.5 and the later ones that LTXConditionPipeline reads."""

    spec = LTX_SPEC

    def _run(self, pictures, generator, **asked):
        from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

        ends = (0, asked["num_frames"] - 1)
        conditions = [
            LTXVideoCondition(image=picture, frame_index=index) for picture, index in zip(pictures, ends, strict=True)
        ]
        decoding = {"decode_timestep": 0.05, "decode_noise_scale": 0.025}  # used by autoencoders that denoise, too
        return self.pipe(
            conditions=conditions, frame_rate=self.spec.fps, generator=generator, **decoding, **asked
        ).frames[0]

    def _encode(self, pixels):
        vae = self.pipe.vae
        latents = vae.encode(pixels).latent_dist.mode()
        return self.pipe._normalize_latents(latents, vae.latents_mean, vae.latents_std)[0, :, 0]

    def _middle(self, latents, n_latents, shape):
        h, w = shape  # the tokens of the condition come first, then the video's, frame by frame
        video = latents[0, -n_latents * h * w :].reshape(n_latents, h, w, -1)
        return video[n_latents // 2].movedim(-1, 0)

    def _temporal_factor(self):
        return self.pipe.vae_temporal_compression_ratio


def load(
    folder: str | Path,
    kind: str,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    memory: TextMode | None = None,
) -> TextVideo:
    """Read a Wan or LTX model ("wan", "ltx") from a folder in the Hub's layout; nothing is moved to `device` yet.

    `dtype` is bfloat16 on a GPU, the type of the published weights, and float32 on a CPU. Raises InputError where the
    folder is missing, incomplete, damaged, holds another kind of model, or one that takes no last picture.
    """
    model = {"wan": WanVideo, "ltx": LtxVideo}[kind]
    dtype = dtype or (torch.float32 if device == "cpu" else torch.bfloat16)
    memory = memory or model.spec.modes[0]
    return model(read_pipeline(Path(folder), model.spec, dtype=dtype, bits=memory.bits), device=device, memory=memory)


def _step_reporter(say: Reporter, steps: int, paint: Callable[[Tensor], np.ndarray]) -> Callable:
    """What the pipeline calls after each step: tells of it, and stops the pipeline when nobody listens any more."""

    def on_step(pipe, step: int, timestep: Tensor, known: dict) -> dict:
        latents = known["latents"]
        if not torch.isfinite(latents).all():
            raise NotFiniteError(
                f"sampling: the model gave values that are not numbers at step {step + 1} of {steps}; try another seed."
            )
        say(Progress(step + 1, steps, paint(latents)))
        return {}

    return on_step


def _finished_clip(video: Tensor, pictures: list[Image.Image]) -> np.ndarray:
    """Frames float [T 3 H W] in [0, 1] as uint8 [T H W 3], unless the decoder failed."""
    if not all(bool(torch.isfinite(frame).all()) for frame in video):
        raise NotFiniteError("decoding: the model gave values that are not numbers; try another seed.")
    clip = np.stack([to_uint8(frame * 2 - 1) for frame in video])
    if clip.max() <= _BLACK < max(np.asarray(picture).max() for picture in pictures):
        raise InputError("sampling: the clip came out black; try another seed, or another memory mode.")
    return clip
