"""The command line of the backward fine-tuning: `python -m genkey_core.inbetween.finetune` (thesis Alg. 1)."""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from genkey_core.checks import InputError
from genkey_core.inbetween.clips import LatentClips, clips_from_folder, encode_clips
from genkey_core.inbetween.delta import BackwardDelta
from genkey_core.inbetween.finetune import FinetuneOptions, TrainingStep, finetune, make_accelerator
from genkey_core.inbetween.sampling import SamplingOptions
from genkey_core.inbetween.svd import StableVideo, load_svd
from genkey_core.media import to_uint8

_HELP = {
    "steps": "optimizer steps in all",
    "batch": "clips per step and process",
    "parts": "projections trained: vo (the method) or qkvo (without rotated attention)",
    "schedule": "learning rate: constant or cosine",
    "precision": "autocast: no, bf16 or fp16",
    "gradient_checkpointing": "spend time to save memory",
    "condition_dropout": "share of samples trained without the image",
}


def parser() -> argparse.ArgumentParser:
    """All options of the command; those of `FinetuneOptions` under their own names."""
    command = argparse.ArgumentParser(
        prog="python -m genkey_core.inbetween.finetune",
        description="Train the backward weights of a Stable Video Diffusion model on videos.",
    )
    command.add_argument("--model", type=Path, required=True, help="folder of the model, in the Hub's layout")
    command.add_argument(
        "--clips", type=Path, required=True, help="folder of videos or of image folders, or a file of encoded clips"
    )
    command.add_argument("--out", type=Path, required=True, help="folder of the run; a run found there goes on")
    command.add_argument("--frames", type=int, help="frames per clip (the model's own number)")
    command.add_argument("--fps", type=float, help="resample the videos to this rate (every frame)")
    command.add_argument("--per-video", type=int, default=4, help="clips taken from one video at most (4)")
    command.add_argument("--half", action="store_true", help="keep the frozen model in half precision")
    command.add_argument("--cpu", action="store_true", help="do not use an accelerator")
    command.add_argument("--tensorboard", action="store_true", help="write the loss and previews for TensorBoard")
    for option in fields(FinetuneOptions):
        flag, text = f"--{option.name.replace('_', '-')}", f"{_HELP.get(option.name, '')} ({option.default})".strip()
        if isinstance(option.default, bool):
            command.add_argument(flag, action="store_true", help=text)
        else:
            command.add_argument(flag, type=type(option.default), default=option.default, help=text)
    return command


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a user's mistake is one sentence on stderr and exit code 1."""
    given = parser().parse_args(arguments)
    try:
        run(given)
    except InputError as mistake:
        sys.exit(f"error: {mistake}")


def run(given: argparse.Namespace) -> None:
    """Load, encode (once, on the main process), train, and say what happens."""
    options = FinetuneOptions(**{option.name: getattr(given, option.name) for option in fields(FinetuneOptions)})
    if given.tensorboard and not (find_spec("tensorboard") or find_spec("tensorboardX")):
        raise InputError("TensorBoard: the package is not installed; `pip install tensorboard` brings it.")
    tracker = "tensorboard" if given.tensorboard else None
    accelerator = make_accelerator(options, cpu=given.cpu, log_with=tracker, project_dir=given.out)
    if given.tensorboard:
        accelerator.init_trackers("backward")
    dtype = torch.float16 if given.half and accelerator.device.type != "cpu" else torch.float32
    model = load_svd(given.model, device=str(accelerator.device), dtype=dtype)
    with accelerator.main_process_first():
        clips = _clips(model, given, options)

    def preview(delta: BackwardDelta, step: int) -> None:
        strip = _preview(model, clips, delta)
        given.out.mkdir(parents=True, exist_ok=True)
        Image.fromarray(strip).save(given.out / f"preview-{step:06d}.png")
        for tracker in accelerator.trackers:
            tracker.log_images({"preview": strip[None]}, step=step, dataformats="NHWC")

    steps = finetune(
        model.unet,
        clips,
        options=options,
        folder=given.out,
        accelerator=accelerator,
        preview=preview,
        notes={"base": given.model.name},
    )
    for step in steps:
        _report(step, accelerator)
    accelerator.end_training()


def _clips(model: StableVideo, given: argparse.Namespace, options: FinetuneOptions) -> LatentClips:
    if given.clips.is_file():
        return LatentClips.load(given.clips)
    n_frames = given.frames or model.native_frames
    size = model.native_size(1024, 576)
    # Named by all that the encoded clips depend on, so that other videos or another model are encoded anew.
    sources = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(given.clips.rglob("*")) if p.is_file()]
    told = repr((str(given.model), sources, n_frames, size, given.fps, given.per_video, options.seed))
    cache = given.out / f"clips-{hashlib.sha256(told.encode()).hexdigest()[:12]}.safetensors"
    if not cache.is_file():
        videos = clips_from_folder(given.clips, n_frames=n_frames, size=size, fps=given.fps, per_video=given.per_video)
        generator = torch.Generator().manual_seed(options.seed)
        encode_clips(model, videos, generator=generator).save(cache)
    return LatentClips.load(cache)


def _preview(model: StableVideo, clips: LatentClips, delta: BackwardDelta) -> np.ndarray:
    """A strip of frames: the first clip's keyframes, and between them what the difference makes of it."""
    ends = model.decode(clips.latents[:1, [0, -1]].to(model.device, model.unet.dtype))
    start, end = to_uint8(ends)
    options = SamplingOptions(variant="dual" if delta.rotated else "no_rotation", steps=10, recurrence=1)
    generator = torch.Generator().manual_seed(0)
    size = (start.shape[1], start.shape[0])
    for step in model.inbetween(start, end, options=options, delta=delta, generator=generator, size=size):
        latents = step.latents
    return np.concatenate(to_uint8(model.decode(latents)), axis=1)


def _report(step: TrainingStep, accelerator) -> None:
    accelerator.log({"loss": step.loss, "learning rate": step.rate}, step=step.step)
    if accelerator.is_main_process and (step.step % 10 == 0 or step.step in (1, step.steps)):
        print(f"step {step.step}/{step.steps}  loss {step.loss:.5f}", flush=True)
