"""Training of the cut-hiding network: two sources and one target of a clip (thesis sections 4.2.2, 4.2.3 and 4.3.1).

The losses are an L1, a perceptual and a StyleGAN2 adversarial one with lazy R1 (Karras et al. 2020). The perceptual
loss is any callable of (made, real); where none is given, an L1 over a Laplacian pyramid stands in, which needs no
weights. The target's keypoints are cut down to those that both ends show, as interpolation between two frames does.

One process or several (`torchrun`, `accelerate launch`), on processors or GPUs. Every batch follows from the seed, the
step and the process, so that a run that was interrupted goes on as it would have.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from genkey_core.checks import InputError, boolean, choice, integer, number, shown
from genkey_core.jumpcut import copying, keypoints
from genkey_core.jumpcut.layers import double, draw_weights, halve
from genkey_core.jumpcut.networks import Discriminator, Synthesis
from genkey_core.media import to_float

_AUTOCAST = {"no": None, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class TrainOptions:
    """How the network is trained."""

    batch: int = 8  # targets per step and process
    sources: int = 2  # most pictures a target is made from; each step draws from two, the ends, to so many
    rate: float = 2e-3  # peak learning rate of both networks, with equalised layers
    l1: float = 30.0  # weights of the losses; the adversarial one's is 1
    perceptual: float = 30.0
    copied: float = 15.0  # L1 of the copied picture, where pixels are copied
    missed: float = 15.0  # how far attention looks past the keypoints, where pixels are copied
    yielding: float = 0.8  # share of L1 and perceptual loss that is given up as the adversary comes in: both like blur
    body_weight: float = 2.0  # how much more a pixel at the target's keypoints counts than one of the backdrop
    r1: float = 1.0  # gamma
    r1_every: int = 16  # steps
    masking: float = 0.7  # share of targets shown only the keypoints that both ends have
    recolour: bool = True  # all pictures of a sample get one random gain per channel
    average: float = 0.998  # of the weights, per step
    precision: str = "bf16"  # autocast: bf16 or no
    seed: int = 0

    def __post_init__(self):
        integer(self.batch, "batch", low=1)
        integer(self.sources, "sources", low=2, high=64)
        integer(self.r1_every, "r1_every", low=1)
        integer(self.seed, "seed", low=0, high=2**32 - 1)
        number(self.rate, "rate", low=0, high=1)
        for name in ("l1", "perceptual", "copied", "missed", "body_weight", "r1"):
            number(getattr(self, name), name, low=0)
        for name in ("masking", "average", "yielding"):
            number(getattr(self, name), name, low=0, high=1)
        boolean(self.recolour, "recolour")
        choice(self.precision, "precision", _AUTOCAST)


@dataclass(frozen=True)
class FrameSet:
    """Clips to train on: `images` uint8 [N F H W 3], `points` float16 or float32 [N F K+L 5] (see keypoints.py)."""

    images: np.ndarray
    points: np.ndarray

    def __post_init__(self):
        if self.images.ndim != 5 or self.images.shape[:2] != self.points.shape[:2] or self.points.shape[-1] != 5:
            raise InputError(
                "training clips: images [N F H W 3] and points [N F K 5] are needed, "
                f"got {list(self.images.shape)} and {list(self.points.shape)}."
            )


@dataclass(frozen=True)
class Batch:
    """What one step learns from; float, pictures in [-1, 1]."""

    images: Tensor  # [B S 3 H W] sources
    grids: Tensor  # [B S 3 H W]
    target: Tensor  # [B 3 H W]
    grid: Tensor  # [B 3 H W], the target's keypoints, as far as they are shown
    weight: Tensor  # [B 1 H W], how much each pixel counts
    points: Tensor  # [B S+1 K+L 3], all keypoints of sources and target: x, y in [-1, 1], 1 where visible
    z: Tensor  # [B latent]

    def to(self, device) -> Batch:
        return Batch(**{name: value.to(device) for name, value in vars(self).items()})


def draw_batch(frames: FrameSet, config, options: TrainOptions, *, step: int, process: int = 0) -> Batch:
    """The batch of a step and process; the same numbers give the same batch. Raises InputError for clips too short."""
    rng = np.random.default_rng([options.seed, 11, step, process])
    n, f, height, width = frames.images.shape[:4]
    if f <= options.sources:
        raise InputError(f"training clips: at least {options.sources + 1} frames each are needed, got {f}.")
    images, grids, weights, marks = [], [], [], []
    n_sources = int(rng.integers(2, options.sources + 1))
    for _ in range(options.batch):
        clip, order = rng.integers(n), rng.permutation(f)[: n_sources + 1]
        points = frames.points[clip, order].astype(np.float32)
        *sources, target = points
        marks.append((points[..., [0, 1, 4]] + (0.5, 0.5, 0)) * (2 / width, 2 / height, 1) - (1, 1, 0))
        weights.append(keypoints.splat(target, n=config.cells, height=height, width=width)[..., 0] > 0)
        if rng.random() < options.masking:
            target = keypoints.masked(target, keypoints.common(*sources[:2], target))
        grids.append([keypoints.splat(each, n=config.cells, height=height, width=width) for each in (*sources, target)])
        picture = to_float(frames.images[clip, order])
        images.append(_recoloured(picture, rng) if options.recolour else picture)
    images, grids = torch.stack(images), torch.as_tensor(np.array(grids)).movedim(-1, -3)
    near = F.max_pool2d(torch.as_tensor(np.array(weights))[:, None].float(), 7, 1, 3)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    z = torch.randn(options.batch, config.latent, generator=generator)
    weight = 1 + options.body_weight * near
    marks = torch.as_tensor(np.stack(marks), dtype=torch.float32)
    return Batch(images[:, :-1], grids[:, :-1], images[:, -1], grids[:, -1], weight / weight.mean(), marks, z)


def _recoloured(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """[S 3 H W] in other colours, the same for all: channels shuffled a third of the time, gains, an offset."""
    order = rng.permutation(3) if rng.random() < 0.33 else np.arange(3)
    gain = torch.as_tensor(rng.uniform(0.75, 1.1, 3), dtype=torch.float32).view(3, 1, 1)
    offset = torch.as_tensor(rng.uniform(-0.1, 0.1, 3), dtype=torch.float32).view(3, 1, 1)
    return (pictures[:, order] * gain + offset).clamp(-1, 1)


def laplacian_loss(made: Tensor, real: Tensor, *, levels: int = 4) -> Tensor:
    """L1 over a Laplacian pyramid, each level weighted by its scale: edges and texture without any weights."""
    difference, loss = made - real, 0.0
    for level in range(levels):
        coarse = halve(difference)
        loss = loss + 2**level * (difference - double(coarse)).abs().mean()
        difference = coarse
    return loss + 2**levels * difference.abs().mean() / 4


class Trainer:
    """Both networks, their optimizers and the averaged weights; `step` takes one step."""

    def __init__(
        self,
        network: Synthesis,
        options: TrainOptions,
        accelerator,
        *,
        perceptual: Callable[[Tensor, Tensor], Tensor] = laplacian_loss,
    ):
        self.options, self.accelerator, self.perceptual = options, accelerator, perceptual
        layout = {"device": accelerator.device, "memory_format": torch.channels_last}
        self.network = network.to(**layout).train().requires_grad_(True)
        self.discriminator = Discriminator(network.config).to(**layout)
        draw_weights(self.discriminator, torch.Generator().manual_seed(options.seed + 1))
        made = {"lr": options.rate, "betas": (0.5, 0.99), "foreach": True}
        self.optimizer = torch.optim.Adam(self.network.parameters(), **made)
        self.critic = torch.optim.Adam(self.discriminator.parameters(), **made)
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.steps = 0

    def step(self, batch: Batch, *, rate: float = 1.0, adversary: float = 0.0) -> dict[str, float]:
        """One step at `rate` times the peak learning rate; `adversary` in [0, 1] weighs the adversarial loss.

        At 0 the discriminator rests. Returns the losses. Raises InputError where one is no number.
        """
        batch = batch.to(self.accelerator.device)
        for optimizer in (self.optimizer, self.critic):
            for group in optimizer.param_groups:
                group["lr"] = self.options.rate * rate
        with self._autocast():
            memory = self.network.remember(batch.images, batch.grids)
            made, copied = self.network.made(memory, batch.grid, batch.z)
        made = made.float()
        losses = {
            "l1": ((made - batch.target).abs() * batch.weight).mean(),
            "perceptual": self.perceptual(made, batch.target),
        }
        loss = self.options.l1 * losses["l1"] + self.options.perceptual * losses["perceptual"]
        loss = loss * (1 - self.options.yielding * adversary)
        if copied is not None:
            losses["copied"] = ((copied.picture - batch.target).abs() * batch.weight).mean()
            losses["missed"] = copying.missed(copied, batch.points[:, -1], batch.points[:, :-1])
            loss = loss + self.options.copied * losses["copied"] + self.options.missed * losses["missed"]
        if adversary > 0:
            self.discriminator.requires_grad_(False)
            losses["fooled"] = F.softplus(-self._judge(made)).mean()
            loss = loss + adversary * losses["fooled"]
        self._descend(self.network, self.optimizer, loss)
        if adversary > 0:
            self.discriminator.requires_grad_(True)
            losses |= self._criticise(made.detach(), batch.target)
        self.steps += 1
        self._average()
        told = {name: value.item() for name, value in losses.items()}
        if not all(math.isfinite(value) for value in told.values()):
            raise InputError(f"training: a loss is not a number at step {self.steps}; lower the learning rate.")
        return told

    def _criticise(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """A step of the discriminator, every `r1_every` steps with R1 on real pictures."""
        judged = self._judge(torch.cat([made, real]), groups=2)
        losses = {"critic": F.softplus(judged[: len(made)]).mean() + F.softplus(-judged[len(made) :]).mean()}
        loss = losses["critic"]
        if self.options.r1 and self.steps % self.options.r1_every == 0:
            shown_ = real.detach().requires_grad_(True)  # in full precision: it is differentiated twice
            slope = torch.autograd.grad(self.discriminator(shown_).sum(), shown_, create_graph=True)[0]
            losses["r1"] = slope.square().sum((1, 2, 3)).mean()
            loss = loss + self.options.r1 / 2 * self.options.r1_every * losses["r1"]
        self._descend(self.discriminator, self.critic, loss)
        return losses

    def _judge(self, images: Tensor, *, groups: int = 1) -> Tensor:
        with self._autocast():
            return torch.cat([self.discriminator(part) for part in images.chunk(groups)]).float()

    def _autocast(self):
        dtype = _AUTOCAST[self.options.precision]
        return torch.autocast(self.accelerator.device.type, dtype, enabled=dtype is not None)

    def _descend(self, network, optimizer, loss: Tensor) -> None:
        self.accelerator.backward(loss)
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        if self.accelerator.num_processes > 1:
            flat = self.accelerator.reduce(torch.cat([g.flatten() for g in gradients]), reduction="mean")
            for gradient, shared in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(shared.view_as(gradient))
        torch.nn.utils.clip_grad_norm_(network.parameters(), 50.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def _average(self) -> None:
        keep = min(self.options.average, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.network.parameters()), 1 - keep)

    def save(self, file: Path, **notes: float) -> None:
        """Writes the whole state beside `file`, then takes its place; `notes` are numbers that `resume` returns."""
        parts = {name: getattr(self, name).state_dict() for name in _STATE}
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        torch.save({**parts, "steps": self.steps, "notes": notes}, part)
        part.replace(file)

    def resume(self, file: Path) -> dict[str, float]:
        """Takes up the state in `file`; returns its notes. Raises InputError where it is another network's."""
        kept = torch.load(file, weights_only=True, map_location=self.accelerator.device)
        try:
            for name in _STATE:
                getattr(self, name).load_state_dict(kept[name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise InputError(f"training: {shown(file.name)} holds the state of another network.") from error
        self.steps = kept["steps"]
        return kept["notes"]


_STATE = ("network", "discriminator", "optimizer", "critic", "averaged")


def make_accelerator(*, cpu: bool):
    """The `accelerate.Accelerator` of a run, which also joins the processes that torchrun or accelerate started."""
    from accelerate import Accelerator

    return Accelerator(cpu=cpu, mixed_precision="no")  # the autocast is the trainer's, without a loss scale
