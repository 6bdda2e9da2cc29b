"""Noise schedules, preconditioning, guidance and update steps shared by the samplers (thesis sections 3.2 and 3.3).

Written in the variance-exploding form of Karras et al. 2022 ("EDM"): x = x0 + sigma * noise. Stable Video Diffusion
predicts v (Salimans and Ho 2022) on the input scaled to unit variance, so with s = sqrt(sigma^2 + 1)

    v = (noise - sigma * x0) / s,        x0 = x / s^2 - v * sigma / s.

The order of operations is that of diffusers' `EulerDiscreteScheduler`, so that equal inputs give equal bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class SigmaSchedule:
    """The noise levels of one sampling run."""

    sigmas: Tensor  # [N + 1] float32 on the CPU, falling, the last one is the level of the result (0)
    timesteps: Tensor  # [N] what the network is told about each level
    initial_sigma: Tensor  # [] standard deviation of the first latents

    def __len__(self) -> int:
        return len(self.timesteps)


def sigma_schedule(scheduler, steps: int, *, device: str | torch.device = "cpu") -> SigmaSchedule:
    """The schedule of a diffusers Euler scheduler for `steps` steps; the scheduler itself is left as it was."""
    fresh = type(scheduler).from_config(scheduler.config)
    fresh.set_timesteps(steps, device=device)
    return SigmaSchedule(fresh.sigmas, fresh.timesteps, fresh.init_noise_sigma)


def normal(shape, *, generator: torch.Generator, device: str | torch.device = "cpu", dtype=None) -> Tensor:
    """Unit normal noise, drawn where the generator lives: a CPU seed gives the same noise on every device."""
    import torch

    return torch.randn(shape, generator=generator, device=generator.device, dtype=dtype).to(device)


def log_normal_sigmas(shape, *, mean: float, std: float, generator: torch.Generator) -> Tensor:
    """Training noise levels, ln(sigma) ~ N(mean, std^2) (EDM table 1; SVD appendix D)."""
    import torch

    return torch.exp(mean + std * torch.randn(shape, generator=generator, device=generator.device))


def guidance_ramp(n_frames: int, low: float, high: float, *, symmetric: bool) -> Tensor:
    """Guidance per frame, [1 T 1 1 1]: SVD raises it linearly from `low` to `high` over the frames.

    Frame i of the forward pass is frame T-1-i of the backward pass, so two directions that are to agree need the
    same value at both: `symmetric` averages the ramp with its flip (thesis section 5.3.3).
    """
    import torch

    ramp = torch.linspace(low, high, n_frames)
    if symmetric:
        ramp = (ramp + ramp.flip(0)) / 2
    return ramp[None, :, None, None, None]


def guide(unconditional: Tensor, conditional: Tensor, scale: Tensor | float) -> Tensor:
    """Classifier-free guidance (Eq. 3.12, with scale = 1 + w)."""
    return unconditional + scale * (conditional - unconditional)


def scale_input(x: Tensor, sigma: Tensor) -> Tensor:
    """Noisy latents scaled to unit variance, as the network wants them (EDM's c_in)."""
    return x / ((sigma**2 + 1) ** 0.5)


def denoised_from_v(v: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
    """The clean estimate x0 behind a v-prediction (EDM's c_out * v + c_skip * x)."""
    return v * (-sigma / (sigma**2 + 1) ** 0.5) + (x / (sigma**2 + 1))


def v_target(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """What a v-predictor should answer for x = clean + sigma * noise: alpha * noise - sigma' * clean."""
    return (noise - sigma * clean) / (sigma**2 + 1) ** 0.5


def euler_step(x: Tensor, denoised: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """One Euler step of the probability-flow ODE from `sigma` down to `sigma_next` (EDM Alg. 1)."""
    derivative = (x - denoised) / sigma
    return x + derivative * (sigma_next - sigma)


def renoise(x: Tensor, sigma: Tensor, sigma_next: Tensor, *, generator: torch.Generator) -> Tensor:
    """Latents at `sigma_next` taken back up to `sigma`: the re-injected noise of per-step recurrence."""
    noise = normal(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x + noise * (sigma**2 - sigma_next**2) ** 0.5
