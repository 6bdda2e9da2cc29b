"""Dual-directional sampling for keyframe inbetweening (thesis section 5.3.3, Alg. 2).

The sampler sees a network as `predict(latents, t, condition) -> v` and knows no model class. It denoises the video
forwards from the first keyframe and, flipped in time, backwards from the last one; what couples the two inside the
network (rotated attention, backward weights) is the business of whoever supplies `predict`. A batch holds the forward
videos first, then the backward ones, so each half of it is one direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genkey_core import diffusion
from genkey_core.checks import InputError, choice, integer, number

if TYPE_CHECKING:
    import torch
    from torch import Tensor

VARIANTS = {
    "dual": "the method: backward weights, rotated attention",
    "no_finetuning": "rotated attention in the up blocks, no backward weights (w/o FT)",
    "no_rotation": "backward weights trained without rotation (w/o RA)",
    "time_reversal": "two forward passes fused, one of them flipped (TRF)",
    "forward": "plain image-to-video from the first keyframe, the last one is not used",
}


@dataclass(frozen=True)
class SamplingOptions:
    """How a video is sampled. The defaults are those of the thesis (section 5.3.4)."""

    variant: str = "dual"  # one of VARIANTS
    steps: int = 50  # noise levels from pure noise to the result
    recurrence: int = 5  # times a step is re-noised and repeated before the next (0: never)
    recurrence_share: float = 0.5  # leading share of the steps in which this happens
    fuse: str = "average"  # or "linear": each direction counts most near its own keyframe
    min_guidance: float = 1.0  # SVD's guidance at the conditioning frame ...
    max_guidance: float = 3.0  # ... and at the far end; averaged with its flip where two directions meet
    fps_id: int = 6  # what the network is told: frames per second minus one, as SVD was trained
    motion_bucket: int = 127  # what the network is told: amount of motion
    noise_aug: float = 0.02  # noise added to the keyframes before encoding, and told to the network

    def __post_init__(self):
        choice(self.variant, "variant", VARIANTS)
        choice(self.fuse, "fuse", ("average", "linear"))
        integer(self.steps, "steps", low=1, high=1000)
        integer(self.recurrence, "recurrence", low=0, high=100)
        number(self.recurrence_share, "recurrence share", low=0, high=1)
        number(self.min_guidance, "guidance", low=0, high=50)
        number(self.max_guidance, "guidance", low=0, high=50)
        integer(self.fps_id, "fps_id", low=0, high=120)
        integer(self.motion_bucket, "motion bucket", low=0, high=1023)
        number(self.noise_aug, "noise augmentation", low=0, high=10)

    @property
    def two_sided(self) -> bool:
        """Whether the last keyframe is used."""
        return self.variant != "forward"

    def repeats(self, step: int) -> int:
        """Times step `step` is re-noised and repeated; plain image-to-video has nothing to reconcile."""
        return self.recurrence if self.two_sided and step < int(self.steps * self.recurrence_share) else 0

    @property
    def evaluations(self) -> int:
        """How often the network runs in all."""
        return sum(1 + self.repeats(step) for step in range(self.steps))


PRESETS = {"quality": SamplingOptions(), "fast": SamplingOptions(steps=25, recurrence=2)}


@dataclass(frozen=True)
class Condition:
    """What the network is told about one keyframe; every tensor has the batch first."""

    image_latents: Tensor  # [B T C h w] the keyframe's latents, repeated over the frames
    embedding: Tensor  # [B 1 D] its CLIP embedding
    time_ids: Tensor  # [B 3] fps_id, motion bucket, noise augmentation

    def unconditional(self) -> Condition:
        """The null condition of classifier-free guidance: no image."""
        from torch import zeros_like

        return Condition(zeros_like(self.image_latents), zeros_like(self.embedding), self.time_ids)


def stack(conditions: Sequence[Condition]) -> Condition:
    """Several conditions as one batch, in the order given."""
    import torch

    columns = zip(*((c.image_latents, c.embedding, c.time_ids) for c in conditions), strict=True)
    return Condition(*(torch.cat(column) for column in columns))


@dataclass(frozen=True)
class Step:
    """One evaluation of the network. The latents of the last step are the result."""

    index: int  # evaluations done before this one
    total: int  # evaluations in all
    step: int  # the noise level this belongs to, 0 is the noisiest
    sigma: float  # that level
    latents: Tensor  # [B T C h w] the video after this evaluation
    preview: Tensor  # [B T C h w] the clean video as now foreseen (x0)


class NotFiniteError(InputError):
    """The network answered with values that are not numbers; what was yielded before stays valid."""


Predict = Callable[["Tensor", "Tensor", Condition], "Tensor"]


def sample(
    predict: Predict,
    start: Condition,
    end: Condition | None,
    schedule: diffusion.SigmaSchedule,
    *,
    options: SamplingOptions,
    generator: torch.Generator,
    latent_channels: int = 4,
    split_guidance: bool = False,
) -> Iterator[Step]:
    """Sample a video between two keyframes; a generator over the evaluations of the network (closing it cancels).

    predict         (latents [N T C h w] scaled to unit variance, timestep [], Condition of N) -> v [N T C h w]
    start, end      the keyframes' conditions, both with B videos; `end` is None for the variant "forward"
    schedule        noise levels, `options.steps` of them
    generator       source of the first latents and of the re-injected noise
    split_guidance  run the unconditional and the conditional pass one after the other, at half the memory

    Raises InputError for a missing last keyframe and NotFiniteError where the network breaks down.
    """
    if options.two_sided and end is None:
        raise InputError(f"{options.variant}: a first and a last keyframe are needed, got one.")
    if len(schedule) != options.steps:
        raise InputError(f"schedule: {options.steps} noise levels are needed, got {len(schedule)}.")
    image = start.image_latents
    shape = (*image.shape[:2], latent_channels, *image.shape[3:])
    noise = diffusion.normal(shape, generator=generator, device=image.device, dtype=image.dtype)
    latents = noise * schedule.initial_sigma
    conditions = [start, end] if options.two_sided else [start]
    velocity = _velocity(predict, conditions, options, split_guidance=split_guidance)
    index = 0
    for step, t in enumerate(schedule.timesteps):
        sigma, sigma_next = schedule.sigmas[step], schedule.sigmas[step + 1]
        repeats = options.repeats(step)
        for repeat in range(1 + repeats):
            v = velocity(latents, t, sigma)
            wide = latents.float()
            denoised = diffusion.denoised_from_v(v, wide, sigma)
            latents = diffusion.euler_step(wide, denoised, sigma, sigma_next).to(v.dtype)
            if not latents.isfinite().all():
                raise NotFiniteError(
                    f"sampling: the model gave values that are not numbers at step {step + 1} of {options.steps}; "
                    "float32 or bfloat16 precision may help."
                )
            yield Step(index, options.evaluations, step, float(sigma), latents, denoised.to(v.dtype))
            index += 1
            if repeat < repeats:
                latents = diffusion.renoise(latents, sigma, sigma_next, generator=generator)


def _velocity(predict: Predict, conditions: list[Condition], options: SamplingOptions, *, split_guidance: bool):
    """The guided and fused prediction of one noise level, (latents, t, sigma) -> v (Alg. 2, lines 4 to 9)."""
    image = conditions[0].image_latents
    n_frames, guided = image.shape[1], options.max_guidance > 1
    ramp = diffusion.guidance_ramp(
        n_frames, options.min_guidance, options.max_guidance, symmetric=len(conditions) == 2
    ).to(image.device, image.dtype)
    share = forward_share(n_frames, options.fuse).to(image.device, image.dtype)
    unconditional, conditional = [c.unconditional() for c in conditions], conditions
    if not guided:
        passes = [stack(conditional)]
    elif split_guidance:
        passes = [stack(unconditional), stack(conditional)]
    else:  # one batch: each direction's unconditional and conditional videos side by side
        passes = [stack([c for pair in zip(unconditional, conditional, strict=True) for c in pair])]

    def velocity(latents: Tensor, t: Tensor, sigma: Tensor) -> Tensor:
        x = diffusion.scale_input(latents, sigma)
        directions = [x, x.flip(1)][: len(conditions)]
        together = 2 if guided and not split_guidance else 1
        batch = _cat([d for d in directions for _ in range(together)])
        answers = [predict(batch, t, condition) for condition in passes]
        if guided and split_guidance:  # both passes are [directions]
            v = diffusion.guide(answers[0], answers[1], ramp)
        elif guided:  # [directions x (unconditional, conditional)]
            by_pass = answers[0].unflatten(0, (len(conditions), 2, -1))
            v = diffusion.guide(by_pass[:, 0], by_pass[:, 1], ramp).flatten(0, 1)
        else:
            v = answers[0]
        return v if len(conditions) == 1 else fuse(*v.chunk(2), share)

    return velocity


def forward_share(n_frames: int, kind: str) -> Tensor:
    """The forward direction's weight in each frame, [1 T 1 1 1]: one half, or from 1 down to 0."""
    import torch

    share = torch.full((n_frames,), 0.5) if kind == "average" else torch.linspace(1, 0, n_frames)
    return share[None, :, None, None, None]


def fuse(v_forward: Tensor, v_backward: Tensor, share: Tensor) -> Tensor:
    """Both directions as one prediction in forward time; the backward one arrives flipped (Alg. 2, lines 8 and 9)."""
    return share * v_forward + (1 - share) * v_backward.flip(1)


def _cat(tensors: list[Tensor]) -> Tensor:
    import torch

    return torch.cat(tensors)
