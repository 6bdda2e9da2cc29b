"""Dual-directional sampling of many keyframe pairs in one batch, each as if it had been sampled alone (thesis Alg. 2).

`StableVideo.inbetween` takes one pair. A small model is faster on many at once, so here the conditions of B pairs are
stacked and `sampling.sample` denoises all of them. Every pair has a generator of its own and draws from it what it would
draw alone, so a clip does not depend on which others it was made with, and an interrupted benchmark goes on with
the same clips whatever its batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from genkey_core import diffusion, runtime
from genkey_core.inbetween.delta import BackwardDelta
from genkey_core.inbetween.sampling import Condition, SamplingOptions, sample, stack
from genkey_core.inbetween.svd import StableVideo
from genkey_core.media import to_float, to_uint8
from genkey_core.mini.video_model import fast_training


def inbetween_batch(
    model: StableVideo,
    starts: Sequence[np.ndarray],
    ends: Sequence[np.ndarray],
    *,
    options: SamplingOptions,
    seeds: Sequence[int],
    delta: BackwardDelta | None = None,
    n_frames: int | None = None,
    half: bool = False,
) -> np.ndarray:
    """Videos between B pairs of keyframes, uint8 [H W 3] of one size -> uint8 [B T H W 3] at the model's size.

    `seeds` holds one seed per pair; the other arguments and the errors are those of `StableVideo.inbetween`.
    `half` runs the network in bfloat16 where it is safe (autocast) and leaves the sampler in the model's own precision.
    """
    n_frames = model.native_frames if n_frames is None else n_frames
    known = {
        "size": model.native_size(starts[0].shape[1], starts[0].shape[0]),
        "n_frames": n_frames,
        "options": options,
    }
    generators = [runtime.torch_generator(seed) for seed in seeds]
    first, last = [], []
    for start, end, generator in zip(starts, ends, generators, strict=True):
        first.append(model.condition(start, generator=generator, **known))
        if options.two_sided:
            last.append(model.condition(end, generator=generator, **known))
    patch = model.coupling(options.variant, delta)

    def predict(latents: Tensor, t: Tensor, condition: Condition) -> Tensor:
        with patch, torch.autocast(torch.device(model.device).type, torch.bfloat16, enabled=half):
            return model.predict(latents, t, condition).to(latents.dtype)

    with _noise_of_each(generators), quick(model):
        for step in sample(  # noqa: B007, the last step is what is wanted
            predict,
            stack(first),
            stack(last) if last else None,
            model.schedule(options.steps),
            options=options,
            generator=generators[0],
            latent_channels=model.latent_channels,
        ):
            pass
    return np.stack([to_uint8(model.decode(video[None])) for video in step.latents])


def through_autoencoder(model: StableVideo, frames: np.ndarray) -> np.ndarray:
    """True frames uint8 [T H W 3] encoded and decoded: what a perfect denoiser would show."""
    return to_uint8(model.decode(model.encode_video(to_float(frames).to(model.unet.dtype))[None]))


@contextmanager
def _noise_of_each(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Inside, noise [B ...] is drawn video by video, each from its own generator."""
    one_source = diffusion.normal

    def normal(shape, *, generator, device="cpu", dtype=None) -> Tensor:
        draws = [one_source((1, *shape[1:]), generator=g, device=device, dtype=dtype) for g in generators]
        return torch.cat(draws)

    diffusion.normal = normal
    try:
        yield
    finally:
        diffusion.normal = one_source


@contextmanager
def quick(model: StableVideo) -> Iterator[None]:
    """Inside, the UNet computes the same numbers by what is faster for small tensors on a CPU; elsewhere nothing changes."""
    if model.device != "cpu":
        yield
        return
    with fast_training(model.unet), sdpa_kernel([SDPBackend.MATH]):
        yield
