"""Trains the bundled mini video model from nothing: `python -m genkey_core.mini.train_video --stage all --out DIR`.

Stages: `vae` and `image_encoder` (then frozen) and `unet` (the video denoiser, on cached latents), which ends by writing
the folder that ships and the encoded clips for the backward fine-tuning. Each goes on where it stopped with `--resume`,
and runs on a GPU where there is one, or on several processes under `torchrun`. The recipe is Stable Video
Diffusion's (arXiv:2311.15127, EDM preconditioning in v-prediction form): the first picture's latent beside the noisy
ones, with a little noise of its own, its embedding by cross-attention, and frame rate, motion and noise level as added
ids; conditioning dropped in one clip of ten for guidance.
"""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genkey_core import checks, runtime
from genkey_core.mini import train_data, train_encoders, video_model
from genkey_core.mini.motion_world import TRAIN_SEEDS, VALIDATION_SEEDS
from genkey_core.mini.train_loop import Log, Session, rank, world
from genkey_core.mini.video_model import FPS, FRAMES, MOTION_BUCKET, SIZE, clip_pixels, from_model, to_model

if TYPE_CHECKING:
    import torch

LOG_SIGMA_MEAN, LOG_SIGMA_STD = 0.7, 1.6
LOG_AUGMENT_MEAN, LOG_AUGMENT_STD = -3.5, 0.5  # noise added to the conditioning picture, in its own [-1, 1] units
AUGMENTS = 1  # noised encodings of each conditioning picture kept in the cache
DROP = 0.1
PREVIEW_EVERY_S = 600.0


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
    """`clips` through the two frozen encoders; read from `file` where it is there."""
    import torch
    from safetensors.torch import load_file, save_file

    if file is not None and file.exists():
        return LatentSet(**load_file(file))
    device, generator = pipeline.vae.device, torch.Generator().manual_seed(seed)
    parts = []
    for start in range(0, len(clips), 32):
        images = to_model(clips.images[start : start + 32]).to(device)  # [B T 3 H W]
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
        save_file(vars(encoded), file)
    return encoded


def write_backward_clips(encoded: LatentSet, file: Path) -> None:
    """Writes `encoded` as the file of encoded clips that `python -m genkey_core.inbetween.finetune --clips` takes."""
    import torch
    from safetensors.torch import save_file

    tensors = {"latents": encoded.latents.float()}
    for end, name in enumerate(("first", "last")):
        told = encoded.augment[:, end, 0]
        ids = [torch.full_like(told, FPS - 1), torch.full_like(told, MOTION_BUCKET), told]
        tensors[f"{name}_image"] = encoded.pictures[:, end, 0].float()
        tensors[f"{name}_embedding"] = encoded.embeddings[:, end, None].float()
        tensors[f"{name}_ids"] = torch.stack(ids, 1)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)


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
    log, shown_s = Log(out / "unet.jsonl"), session.budget.spent_s
    # Eight frames are too few for blockwise attention on a CPU: the plain kernel is faster there.
    plain = sdpa_kernel([SDPBackend.MATH]) if unet.device.type == "cpu" else nullcontext()
    with video_model.fast_training(session.worker), plain:
        for step in session.steps():
            rng = np.random.default_rng([0, 3, step, rank()])
            drawn = {name: value.to(unet.device) for name, value in draw_batch(encoded, rng, batch).items()}
            loss, _ = denoising_loss(session.worker, drawn, rng)
            session.descend(loss)
            log.add(session, loss=loss.item())
            if session.budget.spent_s - shown_s > PREVIEW_EVERY_S and not rank():
                shown_s = session.budget.spent_s
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
    return from_model(video * 2 - 1)


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
    import torch

    torch.manual_seed(0)  # fresh weights only; every other draw has its own generator
    pipeline = video_model.build().to(runtime.best_device())
    shares = {"vae": 0.25, "image_encoder": 0.05, "unet": 0.70} if stage == "all" else dict.fromkeys(_STAGES, 1.0)
    share = clips // world()
    data = train_data.render(TRAIN_SEEDS[rank() * share :][:share], out / "clips", frames=FRAMES, size=SIZE)
    for name, part in (("vae", pipeline.vae), ("image_encoder", pipeline.image_encoder)):
        if stage in ("all", name):
            spent = {"minutes": minutes * shares[name], "resume": resume}
            if name == "vae":
                train_encoders.train_vae(part, data, out, batch=pictures, **spent)
            else:
                train_encoders.train_image_encoder(part, data, out, **spent)
            if not rank():
                part.save_pretrained(out / name)
        elif stage == "unet":
            pipeline.register_modules(**{name: type(part).from_pretrained(out / name).to(part.device)})
    if stage in ("all", "unet"):
        encoded = encode_clips(pipeline, data, out / f"latents-{rank()}-of-{world()}-{len(data)}.safetensors")
        train_unet(pipeline, encoded, out, minutes=minutes * shares["unet"], resume=resume, batch=batch, rate=rate)
        if not rank():
            write_backward_clips(encoded, out / "backward-clips.safetensors")
            video_model.export(pipeline, out / "model")


_STAGES = ("vae", "image_encoder", "unet")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m genkey_core.mini.train_video", description=__doc__.split(":")[0])
    parser.add_argument("--stage", choices=(*_STAGES, "all"), default="all")
    parser.add_argument("--out", type=Path, required=True, help="folder for data, checkpoints, previews and logs")
    parser.add_argument("--minutes", type=float, default=120.0, help="planned training time, over all sessions")
    parser.add_argument("--clips", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--pictures", type=int, default=8, help="pictures per step of the autoencoder")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate of the denoiser")
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0 leaves the choice to torch")
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    chosen = parser.parse_args(arguments)
    checks.number(chosen.minutes, "minutes", low=0.01)
    checks.integer(chosen.clips, "clips", low=1, high=len(TRAIN_SEEDS))
    import torch

    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    if "RANK" in os.environ:  # started by torchrun
        torch.distributed.init_process_group()
    run(chosen.stage, chosen.out, minutes=chosen.minutes, clips=chosen.clips, batch=chosen.batch, rate=chosen.rate,
        resume=chosen.resume, pictures=chosen.pictures)  # fmt: skip


if __name__ == "__main__":
    main()
