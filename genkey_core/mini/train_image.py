"""Trains the mini text-to-image model from nothing: rendering, a time budget, previews, export.

    python -m genkey_core.mini.train_image --out runs/zoom --minutes 90 --threads 2 [--resume]
    torchrun --nproc-per-node 2 -m genkey_core.mini.train_image --out runs/zoom --minutes 90 --threads 1 [--resume]

The denoiser and the text encoder learn together, on scenes of the scale world, three in four with the next one in their
middle, and with a new caption at each sight; the caption is left out in one of ten for guidance. What it leaves is
`model/`, a folder that IF's pipeline loads.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genkey_core import checks, runtime
from genkey_core.checks import InputError, shown
from genkey_core.media import to_float
from genkey_core.mini import image_model, scale_captions
from genkey_core.mini.scale_captions import COLOURS, KINDS
from genkey_core.mini.scale_set import SceneSet, render
from genkey_core.mini.scale_world import TRAIN_SEEDS, VALIDATION_SEEDS, make_scene
from genkey_core.mini.train_loop import Log, Session, rank, world

if TYPE_CHECKING:
    import torch
    from diffusers import DDPMScheduler, IFPipeline

DROP = 0.1
SNR_CAP = 10.0  # signal-to-noise ratios above it count as if they were this (after arXiv:2303.09556)
VARIANCE_WEIGHT = 0.01
PREVIEW_EVERY_S = 600.0


def draw_batch(scenes: SceneSet, rng: np.random.Generator, batch: int) -> tuple[torch.Tensor, list[str]]:
    """Pictures float [B 3 S S] as `SceneSet.seen` shows them or mirrored; a caption for each, "" one time in ten."""
    images, prompts = [], []
    for row in rng.integers(len(scenes), size=batch):
        image = scenes.seen(row, rng)
        images.append(image[:, ::-1] if rng.random() < 0.5 else image)
        said = scale_captions.caption(*scenes.words(row), rng)
        prompts.append("" if rng.random() < DROP else said)
    return to_float(np.stack(images)), prompts


def make_joint(pipeline: IFPipeline) -> torch.nn.Module:
    """The two parts that learn, as one module: (noisy [B 3 S S], t [B], ids, mask [B L]) -> v and variance [B 6 S S]."""
    import torch

    class Joint(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.text_encoder, self.unet = pipeline.text_encoder, pipeline.unet

        def forward(self, noisy, t, ids, mask):
            told = self.text_encoder(input_ids=ids, attention_mask=mask)[0]
            return self.unet(noisy.to(self.unet.dtype), t, told, return_dict=False)[0].float()

    return Joint()


def denoising_loss(
    joint: torch.nn.Module, scheduler: DDPMScheduler, images: torch.Tensor, prompt_tokens, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted mean squared v error plus the variance's bound, and the v error of each picture [B].

    Equal weights on v are weights 1 + SNR on the picture; above SNR_CAP they are cut off, for what is left there is
    noise that cannot be seen. Noise levels are spread evenly over the batch.
    """
    import torch

    count, device = len(images), images.device
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    noise = torch.randn(images.shape, generator=generator).to(device)
    share = (rng.permutation(count) + rng.random(count)) / count
    t = torch.as_tensor((share * scheduler.config.num_train_timesteps).astype(np.int64), device=device)
    noisy = scheduler.add_noise(images, noise, t)
    target = scheduler.get_velocity(images, noise, t)
    v, variance = joint(noisy, t, *prompt_tokens).chunk(2, 1)
    each = (v - target).square().mean((1, 2, 3))
    signal = scheduler.alphas_cumprod.to(device)[t]
    weight = ((1 + SNR_CAP) * (1 - signal)).clamp(max=1)  # 1 + SNR = 1 / (1 - signal)
    bound = variance_bound(scheduler, images, noisy, v.detach(), variance, t)
    return (weight * each).mean() + VARIANCE_WEIGHT * bound, each.detach()


def variance_bound(scheduler: DDPMScheduler, clean, noisy, v, variance, t) -> torch.Tensor:
    """Mean KL divergence, nats, between the true and the model's step backwards, by which the variance learns.

    `variance` [B 3 S S] lies between the logarithms of the smallest and the largest sensible variance at -1 and 1
    (arXiv:2102.09672, Eq. 15); the mean's error is given by `v`, which learns nothing from it.
    """
    import torch

    def at(table: torch.Tensor) -> torch.Tensor:
        return table.to(t.device)[t].view(-1, 1, 1, 1)

    total = scheduler.alphas_cumprod
    before = torch.cat([torch.ones(1), total[:-1]])
    posterior = (1 - before) / (1 - total) * scheduler.betas
    posterior[0] = posterior[1]
    least, most = at(posterior.log()), at(scheduler.betas.clamp(min=1e-20).log())
    share = (variance + 1) / 2
    log_variance = share * most + (1 - share) * least
    made = at(total).sqrt() * noisy - at(1 - total).sqrt() * v
    off = at(before.sqrt() * scheduler.betas / (1 - total)) * (clean - made)
    return 0.5 * (log_variance - least + (least - log_variance).exp() + off**2 * (-log_variance).exp() - 1).mean()


def train(
    pipeline: IFPipeline, scenes: SceneSet, out: Path, *, minutes: float, resume: bool, batch: int, rate: float
) -> None:
    """Trains for `minutes` in all and leaves the averaged weights in `pipeline`."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    joint, device = make_joint(pipeline), pipeline.unet.device
    session = Session(joint, out / "image.pt", minutes=minutes, peak_rate=rate, average=0.998, half=True)
    if resume:
        session.resume()
    log, previews = Log(out / "image.jsonl"), session.budget.spent_s // PREVIEW_EVERY_S
    # Attention here is among 64 places and 77 tokens: too few for blockwise kernels, the plain one is faster on a CPU.
    plain = sdpa_kernel([SDPBackend.MATH]) if device.type == "cpu" else nullcontext()
    with plain:
        for step in session.steps():
            rng = np.random.default_rng([0, 4, step, rank()])
            images, prompts = draw_batch(scenes, rng, batch)
            told = [part.to(device) for part in image_model.tokens(pipeline.tokenizer, prompts)]
            loss, each = denoising_loss(session.worker, pipeline.scheduler, images.to(device), told, rng)
            session.descend(loss)
            log.add(session, loss=loss.item(), v_error=each.mean().item())
            if session.budget.spent_s // PREVIEW_EVERY_S > previews and not rank():
                previews = session.budget.spent_s // PREVIEW_EVERY_S
                _preview(pipeline, joint, session, out / f"preview-{session.budget.step:06d}.png")
    joint.load_state_dict(session.averaged)


def _preview(pipeline: IFPipeline, joint: torch.nn.Module, session: Session, file: Path) -> None:
    """A contact sheet of the averaged weights' samples; the time it takes does not count."""
    current = {k: v.detach().clone() for k, v in joint.state_dict().items()}
    joint.load_state_dict(session.averaged)
    contact_sheet(pipeline, file, steps=25)
    joint.load_state_dict(current)
    session.budget.pause()


def preview_prompts() -> list[str]:
    """A caption of every kind, in its first colour, as a photo."""
    return [f"a photo of {scale_captions.plain(kind, COLOURS[kind][0])}" for kind in KINDS]


def contact_sheet(pipeline: IFPipeline, file: Path, *, steps: int, seed: int = 0) -> None:
    """Writes a PNG: rows of held-out true scenes, each above what the model makes of their words."""
    from PIL import Image

    true = np.stack([make_scene(VALIDATION_SEEDS[n], kind, colour=COLOURS[kind][0], style="photo").image
                     for n, kind in enumerate(KINDS)])  # fmt: skip
    made = image_model.generate(pipeline, preview_prompts(), steps=steps, seed=seed)
    half = (len(KINDS) + 1) // 2
    rows = [np.concatenate(list(row), 1) for start in (0, half) for row in (true[start:][:half], made[start:][:half])]
    sheet = Image.fromarray(np.concatenate(rows))
    sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.BICUBIC).save(file)


def held_out_error(pipeline: IFPipeline, *, count: int = 88) -> float:
    """Mean v error on scenes that no training sees, at evenly spread noise levels."""
    import torch

    scenes = render(VALIDATION_SEEDS[1000 : 1000 + count])
    rng = np.random.default_rng(5)
    images, prompts = draw_batch(scenes, rng, count)
    told = [part.to(pipeline.unet.device) for part in image_model.tokens(pipeline.tokenizer, prompts)]
    with torch.no_grad():
        _, each = denoising_loss(make_joint(pipeline), pipeline.scheduler, images.to(pipeline.unet.device), told, rng)
    return each.mean().item()


def run(
    out: Path, *, minutes: float, scenes: int, batch: int, rate: float, resume: bool, start: Path | None = None
) -> None:
    """Everything from nothing, or from the weights in `start`, to `out/model`.

    Raises InputError where `out` holds a run and `resume` is False, and where `start` is no such model.
    """
    if not resume and (out / "image.pt").exists():
        raise InputError(f"out: {shown(out.name)} holds a run; add --resume, or name another folder.")
    pipeline = (image_model.build() if start is None else _begun(start)).to(runtime.best_device())
    share = scenes // world()
    data = render(TRAIN_SEEDS[rank() * share :][:share], out / "scenes")
    train(pipeline, data, out, minutes=minutes, resume=resume, batch=batch, rate=rate)
    if not rank():
        image_model.export(pipeline, out / "model")
        contact_sheet(pipeline, out / "preview-final.png", steps=50)
        print(f"held-out scenes: mean v error {held_out_error(pipeline):.4f}", flush=True)


def _begun(start: Path) -> IFPipeline:
    if not (start / "model_index.json").is_file():
        raise InputError(
            f"start: {shown(start.name)} holds no model; name a folder such as assets/checkpoints/mini-zoom."
        )
    return image_model.load(start)


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="python -m genkey_core.mini.train_image", description=__doc__.split(":")[0])
    command.add_argument("--out", type=Path, required=True, help="folder for scenes, state, previews, log and model")
    command.add_argument("--minutes", type=float, default=90.0, help="planned training time, over all sessions (90)")
    command.add_argument("--scenes", type=int, default=10000, help="scenes rendered to train on (10000)")
    command.add_argument("--batch", type=int, default=16, help="scenes per step and process (16)")
    command.add_argument("--rate", type=float, default=1.2e-3, help="peak learning rate (0.0012)")
    command.add_argument("--threads", type=int, default=0, help="processor threads; 0 leaves the choice to torch")
    command.add_argument("--start", type=Path, help="folder of a model to begin with instead of fresh weights")
    command.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    return command


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a user's mistake is one sentence on stderr and exit code 1."""
    chosen = parser().parse_args(arguments)
    import torch
    from torch import distributed

    if "RANK" in os.environ:  # started by torchrun
        distributed.init_process_group("gloo")
    try:
        checks.number(chosen.minutes, "minutes", low=0.001)
        checks.integer(chosen.scenes, "scenes", low=world(), high=len(TRAIN_SEEDS))
        checks.integer(chosen.batch, "batch", low=1)
        checks.number(chosen.rate, "rate", low=0, high=1)
        if checks.integer(chosen.threads, "threads", low=0, high=1024):
            torch.set_num_threads(chosen.threads)
        run(chosen.out, minutes=chosen.minutes, scenes=chosen.scenes, batch=chosen.batch, rate=chosen.rate,
            resume=chosen.resume, start=chosen.start)  # fmt: skip
    except InputError as mistake:
        sys.exit(f"error: {mistake}")
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


if __name__ == "__main__":
    main()
