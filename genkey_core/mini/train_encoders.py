"""Training of the mini video model's two encoders: the picture autoencoder, and the small CLIP image tower.

Both are frozen afterwards, as in Stable Video Diffusion. The CLIP tower learns to read off a single picture what the
world knows about it (the mover's kind, facing, place and colour); its readings themselves are thrown away.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from genkey_core.media import to_float, to_uint8
from genkey_core.mini.train_data import ATTRIBUTES, ClipSet
from genkey_core.mini.train_loop import Log, Session, rank
from genkey_core.mini.video_model import clip_pixels, draw_weights, fast_training

KL_WEIGHT = 1e-4
STANDARDISE_AT = 0.6  # share of the budget after which latents are brought to zero mean and unit variance


def train_vae(vae, clips: ClipSet, out: Path, *, minutes: float, resume: bool, seed: int = 0, batch: int = 8) -> None:
    """Trains `vae` on single frames of `clips`: squared error, the mover weighted up, and a light KL term.

    The decoder's temporal residuals are held at zero, so it decodes frame by frame whatever clip it is given.
    """
    import torch

    vae.register_buffer("standardised", torch.zeros((), device=vae.device))
    keep_levels(vae)
    session = Session(vae, out / "vae.pt", minutes=minutes, peak_rate=2e-3, average=0.99)
    if resume:
        session.resume()
    log = Log(out / "vae.jsonl")
    with fast_training(vae), lean(vae):
        for step in session.steps():
            rng = np.random.default_rng([seed, 1, step, rank()])
            if session.budget.fraction > STANDARDISE_AT and not vae.standardised:
                standardise(vae, clips.images[:: max(1, len(clips) // 128), 0])
                vae.standardised.fill_(1)
                session.restart_average()
            images, weight = (x.to(vae.device) for x in _draw_frames(rng, clips, batch))
            noise = torch.Generator().manual_seed(int(rng.integers(2**31)))
            with torch.autocast(images.device.type, torch.bfloat16):
                moments = vae.encode(images).latent_dist
                z = moments.mean + moments.std * torch.randn(moments.mean.shape, generator=noise).to(vae.device)
                decoded = vae.decode(z, num_frames=1).sample
            error = (decoded.float() - images).square()
            kl = 0.5 * (moments.mean.square() + moments.var - 1 - moments.logvar).float().mean()
            session.descend((error * weight).mean() + KL_WEIGHT * kl)
            log.add(session, psnr=10 * np.log10(4 / error.mean().item()), kl=kl.item())
    vae.load_state_dict(session.averaged)
    del vae.standardised
    with torch.no_grad():
        sample = to_float(clips.images[:: max(1, len(clips) // 64), 0]).to(vae.device)
        vae.register_to_config(scaling_factor=round(1 / vae.encode(sample).latent_dist.mean.std().item(), 4))


def _draw_frames(rng: np.random.Generator, clips: ClipSet, batch: int):
    """`batch` frames [B 3 H W], half of them mirrored, and weights [B 1 H W] that count the mover four times."""
    import torch

    frames, moving = [], []
    for row in rng.integers(len(clips), size=batch):
        clip = clips.images[row][:, :, :: rng.choice((-1, 1))]
        frame = clip[rng.integers(len(clip))]
        frames.append(frame)
        moving.append(np.abs(frame - np.median(clip, axis=0)).max(-1) > 24)
    return to_float(np.stack(frames)), 1.0 + 3.0 * torch.as_tensor(np.stack(moving))[:, None]


def keep_levels(vae) -> None:
    """Starts one channel in each group of the two last group norms as a constant.

    A norm over two or three channels would otherwise take out a picture's overall colour, which a narrow network
    then learns to smuggle past it very slowly.
    """
    import torch

    with torch.no_grad():
        for before, norm in (
            (vae.encoder.mid_block.resnets[-1].conv2, vae.encoder.conv_norm_out),
            (vae.decoder.up_blocks[-2].upsamplers[0].conv, vae.decoder.conv_norm_out),
        ):
            before.bias[:: max(1, norm.num_channels // norm.num_groups)] = 3.0


@contextmanager
def lean(vae):
    """Sets residuals that the small world can do without to zero for good, and within the context skips their sums.

    They are the decoder's temporal ones (it then decodes frame by frame, whatever clip it is given) and those of both
    outermost blocks, at full size, which would take two thirds of the training time.
    """
    import torch
    from diffusers.models.resnet import SpatioTemporalResBlock

    temporal = [m for m in vae.decoder.modules() if isinstance(m, SpatioTemporalResBlock)]
    outer = [*vae.encoder.down_blocks[0].resnets, *(b.spatial_res_block for b in vae.decoder.up_blocks[-1].resnets)]
    outer = [block for block in outer if block.conv_shortcut is None]
    with torch.no_grad():
        for block in (*outer, *(b.temporal_res_block for b in temporal)):
            block.conv2.weight.zero_()
            block.conv2.bias.zero_()
        vae.decoder.time_conv_out.bias.zero_()
        vae.decoder.time_conv_out.weight.zero_()[range(3), range(3), 1] = 1.0
    vae.decoder.time_conv_out.requires_grad_(False)
    try:
        for block in outer:
            block.forward = _identity
        for block in temporal:
            block.forward = partial(_without_time, block)
        yield vae
    finally:
        vae.decoder.time_conv_out.requires_grad_(True)
        for block in (*outer, *temporal):
            block.__dict__.pop("forward", None)


def _identity(hidden_states, temb=None):
    return hidden_states


def _without_time(block, hidden_states, temb=None, image_only_indicator=None):
    return block.spatial_res_block(hidden_states, temb)


def standardise(vae, images: np.ndarray) -> None:
    """Folds a shift and scale per channel into `vae`, so that latents of `images` have zero mean and unit variance.

    The decoder undoes it in its first convolution. Only its zero padding at the border knows nothing of the shift, so
    a little training should follow.
    """
    import torch

    with torch.no_grad():
        z = vae.encode(to_float(images).to(vae.device)).latent_dist.mean
        mean, deviation = z.mean((0, 2, 3)), z.std((0, 2, 3))
        n = len(mean)
        vae.quant_conv.weight[:n] /= deviation.view(-1, 1, 1, 1)
        vae.quant_conv.bias[:n] = (vae.quant_conv.bias[:n] - mean) / deviation
        vae.quant_conv.bias[n:] -= 2 * deviation.log()
        first = vae.decoder.conv_in
        first.bias += (first.weight * mean.view(1, -1, 1, 1)).sum((1, 2, 3))
        first.weight *= deviation.view(1, -1, 1, 1)


def reconstruction_psnr(vae, images: np.ndarray) -> float:
    """Mean PSNR in dB of `images` uint8 [N T H W 3] through `vae`, clip by clip."""
    import torch

    scores = []
    with torch.no_grad():
        for clip in images:
            z = vae.encode(to_float(clip).to(vae.device)).latent_dist.mode()
            back = to_uint8(vae.decode(z, num_frames=len(clip)).sample)
            error = np.square(back.astype(np.float64) - clip).mean((1, 2, 3))
            scores.append(10 * np.log10(255**2 / error))
    return float(np.mean(scores))


def train_image_encoder(encoder, clips: ClipSet, out: Path, *, minutes: float, resume: bool, seed: int = 0) -> None:
    """Trains `encoder` (CLIPVisionModelWithProjection) so that one linear layer reads the mover off its embedding."""
    import torch
    from torch.nn import functional

    reader = torch.nn.Linear(encoder.config.projection_dim, ATTRIBUTES)
    draw_weights(reader, torch.Generator().manual_seed(seed))
    reader.to(encoder.device)
    both = torch.nn.ModuleDict({"encoder": encoder, "reader": reader})
    session = Session(both, out / "image_encoder.pt", minutes=minutes, peak_rate=1e-3, average=0.99)
    if resume:
        session.resume()
    log = Log(out / "image_encoder.jsonl", every=50)
    for step in session.steps():
        rng = np.random.default_rng([seed, 2, step, rank()])
        rows, times = rng.integers(len(clips), size=32), rng.integers(clips.images.shape[1], size=32)
        truth = torch.as_tensor(clips.attributes[rows, times]).to(encoder.device)
        pixels = clip_pixels(to_float(clips.images[rows, times]).to(encoder.device))
        with torch.autocast(encoder.device.type, torch.bfloat16):
            embedding = encoder(pixels).image_embeds
        read = reader(embedding.float())
        kinds = ATTRIBUTES - 7
        naming = functional.binary_cross_entropy_with_logits(read[:, :kinds], truth[:, :kinds])
        facing, place, colour = (functional.mse_loss(read[:, s], truth[:, s]) for s in _PARTS)
        session.descend(naming + facing + 2 * place + colour)
        log.add(session, naming=naming.item(), facing=facing.item(), place=place.item(), colour=colour.item())
    both.load_state_dict(session.averaged)


_PARTS = (slice(-7, -5), slice(-5, -3), slice(-3, None))
