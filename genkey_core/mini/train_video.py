"""Trains the mini video model from nothing: `python -m genkey_core.mini.train_video --stage all --out DIR`.

Stages: `vae` and `image_encoder` (then frozen) and `unet` (the video denoiser, on cached latents), which ends by writing
the model folder and the encoded clips for the backward fine-tuning. Each may be cut off at any time and goes on from its
last saved state with `--resume`; it runs on a GPU where there is one, or on several CPU processes under `torchrun`.
How to use it, and what to expect, stands in docs/mini.md. The recipe is Stable Video Diffusion's (arXiv:2311.15127,
EDM preconditioning in v-prediction form): the first picture's latent beside the noisy ones, with a little noise of its
own, its embedding by cross-attention, and frame rate, motion and noise level as added ids; conditioning dropped in one
clip of ten for guidance.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genkey_core import checks, media, runtime
from genkey_core.checks import InputError, shown
from genkey_core.media import to_float, to_uint8
from genkey_core.mini import train_data, train_encoders, video_model
from genkey_core.mini.motion_world import TRAIN_SEEDS, VALIDATION_SEEDS
from genkey_core.mini.train_loop import Log, Session, rank, world
from genkey_core.mini.video_model import FPS, FRAMES, MOTION_BUCKET, SIZE, clip_pixels

if TYPE_CHECKING:
    import torch

LOG_SIGMA_MEAN, LOG_SIGMA_STD = 0.7, 1.6
LOG_AUGMENT_MEAN, LOG_AUGMENT_STD = -3.5, 0.5  # noise added to the conditioning picture, in its own [-1, 1] units
AUGMENTS = 1  # noised encodings of each conditioning picture kept in the cache
DROP = 0.1
PREVIEW_EVERY_S = 600.0
ENCODERS = ("vae", "image_encoder")
SHARES = {"vae": 0.25, "image_encoder": 0.05, "unet": 0.70}  # of the minutes, where all stages run


@dataclass(frozen=True)
class LatentSet:
    """A clip set as the denoiser sees it; `pictures` holds the first and the last frame's conditioning."""

    latents: torch.Tensor  # float16 [N T c h w], scaled
    pictures: torch.Tensor  # float16 [N 2 AUGMENTS c h w], not scaled, as SVD's pipeline passes them
    augment: torch.Tensor  # float32 [N 2 AUGMENTS]
    embeddings: torch.Tensor  # float16 [N 2 E]
    motion_px: torch.Tensor  # float32 [N]

    def __len__(self) -> int:
        return len(self.latents)


def encode_clips(pipeline, clips: train_data.ClipSet, file: Path | None = None, *, seed: int = 0) -> LatentSet:
    """`clips` through the two frozen encoders; read from `file` where these very encoders have written it."""
    import torch
    from safetensors import safe_open

    with train_encoders.lean(pipeline.vae):
        made_by = _fingerprint(pipeline)
    if file is not None and file.exists():
        with safe_open(file, framework="pt") as kept:
            if (kept.metadata() or {}).get("encoders") == made_by:
                return LatentSet(**{name: kept.get_tensor(name) for name in kept.keys()})  # noqa: SIM118
    device, generator = pipeline.vae.device, torch.Generator().manual_seed(seed)
    parts = []
    for start in range(0, len(clips), 32):
        images = to_float(clips.images[start : start + 32]).to(device)  # [B T 3 H W]
        with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16), train_encoders.lean(pipeline.vae):
            latents = pipeline.vae.encode(images.flatten(0, 1)).latent_dist.mode().unflatten(0, images.shape[:2])
            ends = images[:, [0, -1]]
            augment = torch.exp(
                LOG_AUGMENT_MEAN + LOG_AUGMENT_STD * torch.randn(len(ends), 2, AUGMENTS, generator=generator)
            ).to(device)
            noised = ends[:, :, None].repeat(1, 1, AUGMENTS, 1, 1, 1)
            noised = noised + augment[..., None, None, None] * torch.randn(noised.shape, generator=generator).to(device)
            pictures = pipeline.vae.encode(noised.flatten(0, 2)).latent_dist.mode().unflatten(0, noised.shape[:3])
            embeddings = pipeline.image_encoder(clip_pixels(ends.flatten(0, 1))).image_embeds.unflatten(0, (-1, 2))
        scale = pipeline.vae.config.scaling_factor
        parts.append([(latents.float() * scale).half(), pictures.half(), augment, embeddings.half()])
    columns = [torch.cat(column).cpu() for column in zip(*parts, strict=True)]
    encoded = LatentSet(*columns, torch.as_tensor(clips.motion_px))
    if file is not None:
        media.save_tensors(vars(encoded), file, notes={"encoders": made_by})
    return encoded


def _fingerprint(pipeline) -> str:
    """SHA-256 of all that encoding depends on: both encoders' weights, and the scale of the latents."""
    digest = hashlib.sha256(str(pipeline.vae.config.scaling_factor).encode())
    for part in (pipeline.vae, pipeline.image_encoder):
        for name, value in part.state_dict().items():
            digest.update(name.encode() + value.numpy(force=True).tobytes())
    return digest.hexdigest()


def write_backward_clips(encoded: LatentSet, file: Path) -> None:
    """Writes `encoded` as the file of encoded clips that `python -m genkey_core.inbetween.finetune --clips` takes."""
    import torch

    tensors = {"latents": encoded.latents.float()}
    for end, name in enumerate(("first", "last")):
        told = encoded.augment[:, end, 0]
        ids = [torch.full_like(told, FPS - 1), torch.full_like(told, MOTION_BUCKET), told]
        tensors[f"{name}_image"] = encoded.pictures[:, end, 0].float()
        tensors[f"{name}_embedding"] = encoded.embeddings[:, end, None].float()
        tensors[f"{name}_ids"] = torch.stack(ids, 1)
    media.save_tensors(tensors, file)


def draw_batch(encoded: LatentSet, rng: np.random.Generator, batch: int) -> dict[str, torch.Tensor]:
    """A training batch: `latents` [B T c h w], `picture` [B c h w], `embedding` [B 1 E], `added_time_ids` [B 3]."""
    import torch

    rows = torch.as_tensor(rng.integers(len(encoded), size=batch))
    which = torch.as_tensor(rng.integers(AUGMENTS, size=batch))
    picture = encoded.pictures[rows, 0, which].float()
    embedding = encoded.embeddings[rows, 0].float()[:, None]
    kept = torch.as_tensor(rng.random(batch) >= DROP).float()
    # Half of the clips tell their speed in SVD's motion bucket; 127 also stands for "not told".
    told = (MOTION_BUCKET * encoded.motion_px[rows] / encoded.motion_px.mean()).round().clamp(1, 255)
    bucket = torch.where(torch.as_tensor(rng.random(batch) < 0.5), told, torch.full_like(told, MOTION_BUCKET))
    ids = torch.stack([torch.full_like(bucket, FPS - 1), bucket, encoded.augment[rows, 0, which]], 1)
    return {
        "latents": encoded.latents[rows].float(),
        "picture": picture * kept.view(-1, 1, 1, 1),
        "embedding": embedding * kept.view(-1, 1, 1),
        "added_time_ids": ids,
    }


def denoising_loss(unet, batch: dict[str, torch.Tensor], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean squared v-prediction error and the error of each clip [B], at log-normal noise levels; in `unet`'s precision.

    With x = z + s n the target is v = (x / (s^2 + 1) - z) sqrt(s^2 + 1) / s, so that equal weights on v are EDM's
    weight (1 + s^2) / s^2 on the denoised latent.
    """
    import torch

    z = batch["latents"]
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    sigma = torch.as_tensor(np.exp(rng.normal(LOG_SIGMA_MEAN, LOG_SIGMA_STD, len(z))), dtype=torch.float32).to(z.device)
    s = sigma.view(-1, 1, 1, 1, 1)
    x = z + s * torch.randn(z.shape, generator=generator).to(z.device)
    target = (x / (s**2 + 1) - z) * (s**2 + 1).sqrt() / s
    seen = torch.cat([x / (s**2 + 1).sqrt(), batch["picture"][:, None].expand(-1, z.shape[1], -1, -1, -1)], 2)
    dtype = getattr(unet, "dtype", torch.float32)
    v = unet(
        seen.to(dtype), 0.25 * sigma.log(), batch["embedding"].to(dtype), batch["added_time_ids"], return_dict=False
    )[0]
    each = (v.float() - target).square().mean((1, 2, 3, 4))
    return each.mean(), each.detach()


def train_unet(
    pipeline, encoded: LatentSet, out: Path, *, minutes: float, resume: bool, batch: int, rate: float
) -> None:
    """Trains `pipeline.unet` for `minutes` in all and leaves the averaged weights in it."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    unet = pipeline.unet
    session = Session(unet, out / "unet.pt", minutes=minutes, peak_rate=rate, average=0.998, half=True)
    if resume:
        session.resume()
    log, shown = Log(out / "unet.jsonl"), session.budget.spent_s // PREVIEW_EVERY_S
    # Eight frames are too few for blockwise attention on a CPU: the plain kernel is faster there.
    plain = sdpa_kernel([SDPBackend.MATH]) if unet.device.type == "cpu" else nullcontext()
    with video_model.fast_training(session.worker), plain:
        for step in session.steps():
            rng = np.random.default_rng([0, 3, step, rank()])
            drawn = {name: value.to(unet.device) for name, value in draw_batch(encoded, rng, batch).items()}
            loss, _ = denoising_loss(session.worker, drawn, rng)
            session.descend(loss)
            log.add(session, loss=loss.item())
            if session.budget.spent_s // PREVIEW_EVERY_S > shown and not rank():
                shown = session.budget.spent_s // PREVIEW_EVERY_S
                _preview(pipeline, session, out / f"preview-{session.budget.step:06d}.png")
    unet.load_state_dict(session.averaged)


def _preview(pipeline, session: Session, file: Path) -> None:
    """A contact sheet of the averaged weights' samples, each under the true clip."""
    current = {k: v.detach().clone() for k, v in pipeline.unet.state_dict().items()}
    pipeline.unet.load_state_dict(session.averaged)
    clips = train_data.render(VALIDATION_SEEDS[:5])
    contact_sheet(clips.images, generate(pipeline, clips.images[:, 0], steps=16), file)
    pipeline.unet.load_state_dict(current)
    session.budget.pause()


def generate(pipeline, first: np.ndarray, *, steps: int = 25, seed: int = 0, **kwargs) -> np.ndarray:
    """Plain SVD from pictures `first` uint8 [N H W 3] -> uint8 [N T H W 3]; `kwargs` go to the pipeline."""
    import torch
    from PIL import Image

    pipeline.set_progress_bar_config(disable=True)
    video = pipeline(
        [Image.fromarray(image) for image in first],
        height=first.shape[1],
        width=first.shape[2],
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(seed),
        output_type="pt",
        **kwargs,
    ).frames
    return to_uint8(video * 2 - 1)


def contact_sheet(truth: np.ndarray, made: np.ndarray, file: Path) -> None:
    """Writes clips [N T H W 3] as rows of frames to a PNG, each true clip above the made one, twice enlarged."""
    from PIL import Image

    rows = [np.concatenate(list(clip), axis=1) for pair in zip(truth, made, strict=True) for clip in pair]
    sheet = Image.fromarray(np.concatenate(rows))
    sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.BICUBIC).save(file)


def run(
    stage: str, out: Path, *, minutes: float, clips: int, batch: int, rate: float, resume: bool, pictures: int = 8
) -> None:
    """One stage, or all of them with the minutes shared 25 : 5 : 70; `pictures` is the autoencoder's batch."""
    stages = tuple(SHARES) if stage == "all" else (stage,)
    minutes_of = {name: minutes * (SHARES[name] if stage == "all" else 1.0) for name in stages}
    _check_folder(out, stages, resume=resume)
    pipeline = video_model.build().to(runtime.best_device())
    share = clips // world()
    data = train_data.render(TRAIN_SEEDS[rank() * share :][:share], out / "clips", frames=FRAMES, size=SIZE)
    for name in ENCODERS:
        part = getattr(pipeline, name)
        if name not in stages:
            if "unet" in stages:
                pipeline.register_modules(**{name: type(part).from_pretrained(out / name).to(part.device)})
            continue
        spent = {"minutes": minutes_of[name], "resume": resume}
        if name == "vae":
            train_encoders.train_vae(part, data, out, batch=pictures, **spent)
        else:
            train_encoders.train_image_encoder(part, data, out, **spent)
        if not rank():
            part.save_pretrained(out / name)
            video_model.readable(out / name)
            if name == "vae":
                held_out = train_data.render(VALIDATION_SEEDS[:16], frames=FRAMES, size=SIZE)
                psnr = train_encoders.reconstruction_psnr(part, held_out.images)
                print(f"vae reconstructs held-out clips at {psnr:.1f} dB", flush=True)
    if "unet" in stages:
        encoded = encode_clips(pipeline, data, out / f"latents-{rank()}-of-{world()}-{len(data)}.safetensors")
        train_unet(pipeline, encoded, out, minutes=minutes_of["unet"], resume=resume, batch=batch, rate=rate)
        if not rank():
            write_backward_clips(encoded, out / "backward-clips.safetensors")
            video_model.export(pipeline, out / "model")


def _check_folder(out: Path, stages: tuple[str, ...], *, resume: bool) -> None:
    """Raises InputError where the run would overwrite another, or lacks the encoders it builds on."""
    for stage in stages:
        if not resume and (out / f"{stage}.pt").exists():
            raise InputError(f"out: {shown(out.name)} holds a run of {stage}; add --resume, or name another folder.")
    if stages == ("unet",):
        for name in ENCODERS:
            if not (out / name / "config.json").is_file():
                raise InputError(f"out: {shown(out.name)} holds no trained {name}; run --stage {name} first.")


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="python -m genkey_core.mini.train_video", description=__doc__.split(":")[0])
    command.add_argument("--stage", choices=(*SHARES, "all"), default="all")
    command.add_argument("--out", type=Path, required=True, help="folder for data, checkpoints, previews and logs")
    command.add_argument("--minutes", type=float, default=120.0, help="planned training time, over all sessions (120)")
    command.add_argument("--clips", type=int, default=8000, help="clips rendered to train on (8000)")
    command.add_argument("--batch", type=int, default=12, help="clips per step of the denoiser (12)")
    command.add_argument("--pictures", type=int, default=8, help="pictures per step of the autoencoder (8)")
    command.add_argument("--rate", type=float, default=1e-3, help="peak learning rate of the denoiser (0.001)")
    command.add_argument("--threads", type=int, default=0, help="processor threads; 0 leaves the choice to torch")
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
        checks.number(chosen.minutes, "minutes", low=0.01)
        checks.integer(chosen.clips, "clips", low=world(), high=len(TRAIN_SEEDS))
        checks.integer(chosen.batch, "batch", low=1)
        checks.integer(chosen.pictures, "pictures", low=1)
        checks.number(chosen.rate, "rate", low=0, high=1)
        if checks.integer(chosen.threads, "threads", low=0, high=1024):
            torch.set_num_threads(chosen.threads)
        run(chosen.stage, chosen.out, minutes=chosen.minutes, clips=chosen.clips, batch=chosen.batch, rate=chosen.rate,
            resume=chosen.resume, pictures=chosen.pictures)  # fmt: skip
    except InputError as mistake:
        sys.exit(f"error: {mistake}")
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


if __name__ == "__main__":
    main()
