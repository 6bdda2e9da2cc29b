"""Noise schedules, preconditioning, guidance and update steps shared by the samplers (thesis sections 3.2 and 3.3).

For video, in the variance-exploding form of Karras et al. 2022 ("EDM"): x = x0 + sigma * noise. Stable Video Diffusion
predicts v (Salimans and Ho 2022) on the input scaled to unit variance, so with s = sqrt(sigma^2 + 1)

    v = (noise - sigma * x0) / s,        x0 = x / s^2 - v * sigma / s.

The order of operations is that of diffusers' `EulerDiscreteScheduler`, so that equal inputs give equal bits.

For images, in the form z = alpha * x0 + sigma * noise, which holds DDPM (alpha^2 + sigma^2 = 1; Ho et al. 2020) and
flow matching (alpha = 1 - t, sigma = t) alike; the steps are those of the general Gaussian process between two levels
(Kingma et al. 2021, "Variational diffusion models", appendix A).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

PREDICTIONS = ("epsilon", "v_prediction", "sample")  # what a network answers with, in diffusers' words


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


@dataclass(frozen=True)
class NoiseLevels:
    """The noise levels of one sampling run in the form z = alpha * x0 + sigma * noise, the noisiest first."""

    alphas: tuple[float, ...]  # [N + 1], the last one is that of the result (1)
    sigmas: tuple[float, ...]  # [N + 1], the last one is 0
    timesteps: tuple[float, ...]  # [N] what the network is told about each level

    def __len__(self) -> int:
        return len(self.timesteps)


def ddpm_levels(scheduler, steps: int) -> NoiseLevels:
    """`steps` levels of a diffusers DDPM scheduler's training schedule, evenly spaced from its last to its first."""
    import numpy as np

    kept = scheduler.alphas_cumprod.double().numpy()
    chosen = np.linspace(len(kept) - 1, 0, min(steps, len(kept))).round().astype(int)
    alphas, sigmas = np.sqrt(kept[chosen]), np.sqrt(1 - kept[chosen])
    return NoiseLevels((*alphas.tolist(), 1.0), (*sigmas.tolist(), 0.0), tuple(chosen.tolist()))


def flow_levels(scheduler, steps: int, *, noise_scale: float = 1.0) -> NoiseLevels:
    """`steps` levels of a diffusers flow-matching scheduler, whose noise has the standard deviation `noise_scale`."""
    fresh = type(scheduler).from_config(scheduler.config)
    fresh.set_timesteps(steps)
    times = [*(fresh.timesteps.double() / fresh.config.num_train_timesteps).tolist(), 0.0]
    return NoiseLevels(tuple(1 - t for t in times), tuple(noise_scale * t for t in times), tuple(times[:-1]))


def clean_estimate(prediction: Tensor, noisy: Tensor, alpha: float, sigma: float, *, kind: str) -> Tensor:
    """x0 behind a prediction for z = alpha * x0 + sigma * noise; `kind` is one of PREDICTIONS.

    At the noisiest levels of a noise predictor alpha is nearly 0 and the estimate far outside the range of images:
    threshold it.
    """
    if kind == "epsilon":
        return (noisy - sigma * prediction) / max(alpha, 1e-4)
    if kind == "v_prediction":  # v = alpha * noise - sigma * x0
        return (alpha * noisy - sigma * prediction) / (alpha**2 + sigma**2)
    if kind == "sample":
        return prediction
    raise ValueError(f"kind: one of {', '.join(PREDICTIONS)} is needed, got {kind!r}.")


def ddpm_step(noisy: Tensor, clean: Tensor, noise: Tensor, levels: NoiseLevels, i: int) -> Tensor:
    """From level i to level i + 1: a draw from q(z_next | z, x0 = clean) with the unit normal `noise` (DDPM Eq. 7).

    For two levels (a, s) and (b, r) with k = a / b and the variance v = s^2 - k^2 r^2 that lies between them, its mean is
    (k r^2 / s^2) z + (b v / s^2) x0 and its variance v r^2 / s^2.
    """
    (a, b), (s, r) = levels.alphas[i : i + 2], levels.sigmas[i : i + 2]
    k = a / b
    between = max(s**2 - k**2 * r**2, 0.0)
    return (k * r**2 / s**2) * noisy + (b * between / s**2) * clean + (between**0.5 * r / s) * noise


def threshold(clean: Tensor, *, mode: str, percentile: float = 0.95, most: float = 1.5) -> Tensor:
    """Clean estimates [N ...] kept in the range of images.

    "static" clips to [-1, 1]. "dynamic" clips image by image to [-s, s] and divides by s, where s is the percentile of
    the absolute values, between 1 and `most` (Saharia et al. 2022, section 2.3). "none" does nothing.
    """
    if mode == "none":
        return clean
    if mode == "static":
        return clean.clamp(-1, 1)
    if mode != "dynamic":
        raise ValueError(f"mode: none, static or dynamic is needed, got {mode!r}.")
    flat = clean.flatten(1).abs()
    rank = max(1, round(percentile * flat.shape[1]))  # kthvalue: quantile refuses images of more than 16 million values
    s = flat.kthvalue(rank, dim=1).values.clamp(1, most).view(-1, *[1] * (clean.ndim - 1))
    return clean.clamp(-s, s) / s


def lower_energy(clean: Tensor, energy: Callable[[Tensor], Tensor], *, steps: int, rate: float) -> Tensor:
    """Energy guidance (Eq. 3.13) on the clean estimates: `steps` steps of Adam at `rate` down `energy(clean)`.

    The gradient is that of the estimate alone and not of the network behind it, so it costs no evaluation.
    """
    import torch

    with torch.enable_grad():
        moved = clean.detach().float().clone().requires_grad_()
        adam = torch.optim.Adam([moved], lr=rate)
        for _ in range(steps):
            adam.zero_grad(set_to_none=True)
            energy(moved).backward()
            adam.step()
    return moved.detach()
