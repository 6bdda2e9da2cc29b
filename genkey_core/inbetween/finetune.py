"""Light fine-tuning of the backward weights, W_v and W_o of the temporal self-attention (thesis section 5.3.2, Alg. 1).

    python -m genkey_core.inbetween.finetune --model svd-folder --clips video-folder --out run-folder
    accelerate launch --num_processes 4 -m genkey_core.inbetween.finetune ...

The same command runs on one CPU, one GPU or many nodes. What it leaves is the *difference* to the base model's
weights, one small safetensors file. Every sample's clip, noise and noise level depend on the seed and on its number
alone, so a run that was interrupted goes on exactly as it would have, and N processes with batch B take the same steps
as one process with batch N * B.

The loss is Alg. 1's, the squared error of the v-prediction, which is EDM's weighted loss on the clean latents. (Alg. 1
prints the target as alpha flip(eps) - sigma z'_t; the v that SVD was trained on takes the clean latents in its place.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkey_core import diffusion, media
from genkey_core.checks import InputError, choice, integer, number, shown
from genkey_core.inbetween.attention import BackwardTraining, training_attention
from genkey_core.inbetween.clips import LatentClips
from genkey_core.inbetween.delta import PARTS, BackwardDelta, save_delta, temporal_attentions

_AUTOCAST = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class FinetuneOptions:
    """How the backward weights are trained; the defaults are those of the thesis (section 5.3.4)."""

    steps: int = 15_000
    batch: int = 4  # clips per step and process
    parts: str = "vo"  # projections trained, on the forward maps rotated; "qkvo" trains all, without rotation (w/o RA)
    learning_rate: float = 1e-4
    schedule: str = "constant"  # or "cosine": falls to zero at the last step
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 1e-2
    max_grad_norm: float = 1.0
    sigma_mean: float = 0.7  # ln(sigma) ~ N(mean, std^2); SVD's values for high resolutions
    sigma_std: float = 1.6
    condition_dropout: float = 0.1  # share of samples trained without the image, for classifier-free guidance
    precision: str = "no"  # autocast: no, bf16 or fp16
    gradient_checkpointing: bool = False
    save_every: int = 500  # steps between saved states
    preview_every: int = 0  # steps between sample previews, 0: none
    seed: int = 0

    def __post_init__(self):
        integer(self.steps, "steps", low=1)
        integer(self.batch, "batch", low=1)
        choice(self.parts, "parts", ("vo", "qkvo"))
        number(self.learning_rate, "learning rate", low=0, high=1)
        choice(self.schedule, "schedule", ("constant", "cosine"))
        number(self.condition_dropout, "condition dropout", low=0, high=1)
        choice(self.precision, "precision", ("no", "bf16", "fp16"))
        integer(self.save_every, "save_every", low=1)
        integer(self.preview_every, "preview_every", low=0)
        integer(self.seed, "seed", low=0, high=2**32 - 1)

    @property
    def rotate(self) -> bool:
        return self.parts == "vo"

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * step / self.steps))


@dataclass(frozen=True)
class TrainingStep:
    """One optimizer step."""

    step: int  # steps done, 1 after the first
    steps: int
    loss: float  # mean over all processes
    rate: float


class BackwardNetwork(nn.Module):
    """The frozen UNet and, as the only trainable parameters, the backward projections; answers with the loss."""

    def __init__(self, unet: nn.Module, options: FinetuneOptions):
        super().__init__()
        self.unet, self.rotate, self.autocast = unet, options.rotate, _AUTOCAST[options.precision]
        self.layers = list(temporal_attentions(unet).items())
        # The thesis trains the matrices; the output bias stays the base model's.
        self.suffixes = [PARTS[part][0] for part in options.parts]
        self.weights = nn.ParameterList(
            nn.Parameter(layer.get_parameter(suffix).detach().float().clone())
            for _, layer in self.layers
            for suffix in self.suffixes
        )
        self.names = [f"{name}.{suffix}" for name, _ in self.layers for suffix in self.suffixes]
        self.attention = BackwardTraining({}, rotate=self.rotate)

    def forward(self, clips: LatentClips, noise: Tensor, sigma: Tensor, keep: Tensor) -> Tensor:
        """Alg. 1, lines 3 to 9. noise: [B T C h w]; sigma: [B]; keep: [B] 0 where the image is withheld."""
        values = iter(self.weights)
        self.attention.weights = {n: {suffix: next(values) for suffix in self.suffixes} for n, _ in self.layers}
        sigma, keep = sigma[:, None, None, None, None], keep[:, None, None, None, None]
        noisy = clips.latents + sigma * noise
        x = diffusion.scale_input(noisy, sigma)
        t = 0.25 * sigma.flatten().log()
        with torch.autocast(x.device.type, self.autocast, enabled=self.autocast is not None):
            if self.rotate:
                with self.attention.forward_pass():
                    self._predict(x, t, clips.first_image, clips.first_embedding, clips.first_ids, keep)
            v = self._predict(x.flip(1), t, clips.last_image, clips.last_embedding, clips.last_ids, keep)
        target = diffusion.v_target(clips.latents, noise, sigma).flip(1)
        return F.mse_loss(v.float(), target.float())

    def _predict(self, x: Tensor, t: Tensor, image: Tensor, embedding: Tensor, ids: Tensor, keep: Tensor) -> Tensor:
        image = (image[:, None] * keep).expand(-1, x.shape[1], -1, -1, -1)
        inputs = torch.cat([x, image.to(x.dtype)], dim=2).to(self.unet.dtype)
        told = {"encoder_hidden_states": (embedding * keep[..., 0, 0]).to(self.unet.dtype), "added_time_ids": ids}
        return self.unet(inputs, t, **told, return_dict=False)[0]

    def delta(self, notes: dict | None = None) -> BackwardDelta:
        """The difference learned so far."""
        base = [layer.get_parameter(suffix) for _, layer in self.layers for suffix in self.suffixes]
        return BackwardDelta(
            {
                name: (weight.detach() - start.detach().float()).cpu()
                for name, weight, start in zip(self.names, self.weights, base, strict=True)
            },
            rotated=self.rotate,
            notes=notes or {},
        )


def finetune(
    unet: nn.Module,
    clips: LatentClips,
    *,
    options: FinetuneOptions,
    folder: str | Path,
    accelerator=None,
    preview: Callable[[BackwardDelta, int], None] | None = None,
    notes: dict | None = None,
) -> Iterator[TrainingStep]:
    """Train backward weights for `unet` on encoded clips; a generator over the optimizer steps.

    Goes on from the state in `folder` where there is one of the same options, and leaves there `state.safetensors`
    (weights and optimizer) and `backward.safetensors` (the difference) every `save_every` steps and at the end.
    `preview` is called with the difference and the step on the main process. Raises InputError where the clips do not
    fit, the saved state is another run's, or the loss is no longer a number.
    """
    if not len(clips):
        raise InputError("clips: at least one training clip is needed, got none.")
    accelerator = accelerator or make_accelerator(options, cpu=unet.device.type == "cpu")
    folder = Path(folder)
    if options.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    raw = BackwardNetwork(unet, options)
    # Adam with decoupled weight decay
    raw_optimizer = torch.optim.AdamW(
        raw.weights, lr=options.learning_rate, betas=(options.beta1, options.beta2), weight_decay=options.weight_decay
    )
    network, optimizer = accelerator.prepare(raw, raw_optimizer)
    state, identity = folder / "state.safetensors", _identity(options, accelerator.num_processes)
    done = _resume(raw, raw_optimizer, identity, state) if state.is_file() else 0
    notes = {"parts": options.parts, "frames": clips.latents.shape[1], **(notes or {})}
    with training_attention(unet, raw.attention):
        for step in range(done, options.steps):
            for group in optimizer.param_groups:
                group["lr"] = options.rate(step)
            batch = _batch(clips, options, step, accelerator)
            loss = network(*batch)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(raw.weights, options.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            mean = accelerator.gather(loss.detach()[None]).mean().item()
            if not math.isfinite(mean):
                raise InputError(f"fine-tuning: the loss is not a number at step {step + 1}; lower the learning rate.")
            step += 1
            last = step == options.steps
            if accelerator.is_main_process and (last or step % options.save_every == 0):
                save_delta(raw.delta({**notes, "steps": step}), folder / "backward.safetensors")
                _save_state(raw, raw_optimizer, identity, step, state)
            if preview and accelerator.is_main_process and options.preview_every and step % options.preview_every == 0:
                preview(raw.delta(notes), step)
            yield TrainingStep(step, options.steps, mean, options.rate(step - 1))


def make_accelerator(options: FinetuneOptions, *, cpu: bool, **kwargs):
    """The `accelerate.Accelerator` of a run; it scales the loss for fp16, the autocast itself is the network's."""
    from accelerate import Accelerator

    return Accelerator(cpu=cpu, mixed_precision="fp16" if options.precision == "fp16" else None, **kwargs)


def _batch(clips: LatentClips, options: FinetuneOptions, step: int, accelerator):
    """This process's share of a step: clips, noise, sigmas and which images are kept, all from the sample numbers."""
    first = (step * accelerator.num_processes + accelerator.process_index) * options.batch
    index, noises, sigmas, keeps = [], [], [], []
    for number_ in range(first, first + options.batch):
        epoch, place = divmod(number_, len(clips))
        order = torch.randperm(len(clips), generator=_generator(options.seed, 2 * epoch))
        index.append(order[place])
        generator = _generator(options.seed, 2 * number_ + 1)
        noises.append(torch.randn(clips.latents.shape[1:], generator=generator))
        known = {"mean": options.sigma_mean, "std": options.sigma_std, "generator": generator}
        sigmas.append(diffusion.log_normal_sigmas((), **known))
        keeps.append((torch.rand((), generator=generator) >= options.condition_dropout).float())
    device = accelerator.device
    noise, sigma, keep = (torch.stack(values).to(device) for values in (noises, sigmas, keeps))
    return clips.select(torch.stack(index), device), noise, sigma, keep


def _generator(seed: int, stream: int) -> torch.Generator:
    """An independent generator per (seed, stream), by NumPy's seed mixing."""
    import numpy as np

    mixed = np.random.SeedSequence((seed, stream)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed) >> 1)


def _identity(options: FinetuneOptions, n_processes: int) -> str:
    """What a saved state must share with the run that goes on from it."""
    free = {"save_every", "preview_every", "gradient_checkpointing", "precision", "batch"}
    if options.schedule == "constant":
        free.add("steps")  # a longer run begins like a shorter one
    fixed = {name: value for name, value in asdict(options).items() if name not in free}
    return json.dumps({**fixed, "clips per step": options.batch * n_processes}, sort_keys=True)


def _save_state(network: BackwardNetwork, optimizer, identity: str, step: int, path: Path) -> None:
    tensors = {}
    for name, weight in zip(network.names, network.weights, strict=True):
        kept = optimizer.state[weight]
        tensors |= {f"weight/{name}": weight.detach(), f"m/{name}": kept["exp_avg"], f"v/{name}": kept["exp_avg_sq"]}
    media.save_tensors(tensors, path, notes={"step": str(step), "options": identity})


def _resume(network: BackwardNetwork, optimizer, identity: str, path: Path) -> int:
    """Load a saved state; returns the number of steps already done."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            if metadata.get("options") != identity:
                raise InputError(f"fine-tuning: {shown(path.parent.name)} holds a run with other options.")
            step = int(metadata["step"])
            for name, weight in zip(network.names, network.weights, strict=True):
                weight.data.copy_(stored.get_tensor(f"weight/{name}"))
                optimizer.state[weight] = {
                    "step": torch.tensor(float(step)),
                    "exp_avg": stored.get_tensor(f"m/{name}").to(weight.device),
                    "exp_avg_sq": stored.get_tensor(f"v/{name}").to(weight.device),
                }
    except (SafetensorError, OSError, KeyError) as error:
        raise InputError(f"fine-tuning: the saved state in {shown(path.parent.name)} cannot be read.") from error
    return step


if __name__ == "__main__":
    from genkey_core.inbetween.finetune_command import main

    main()
