"""Training of the mini jump-cut network on the procedural presenter: rendering, a time budget, previews, export.

    python -m genkey_core.mini.train_presenter --out runs/presenter --minutes 100 --threads 2 [--resume]
    torchrun --nproc-per-node 2 -m genkey_core.mini.train_presenter --out runs/presenter --minutes 100 --threads 1

With --start FOLDER it begins with the weights of a network of the same sizes in the place of fresh ones.

The first part of the minutes is spent without the discriminator, which learns to copy and to fill; the rest with it
(thesis section 4.3.1; the shares are ours). What it leaves is `model/`, config.json and half-precision weights.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genkey_core import checks, runtime
from genkey_core.checks import InputError, shown
from genkey_core.jumpcut import keypoints
from genkey_core.mini import presenter_world
from genkey_core.mini.presenter_world import LANDMARKS, TRAIN_SEEDS, VALIDATION_SEEDS
from genkey_core.mini.train_loop import SAVE_EVERY_S, Budget, Log, rank, world

if TYPE_CHECKING:
    from genkey_core.jumpcut.train import FrameSet, Trainer

ADVERSARY_FROM, ADVERSARY_FULL = 0.60, 0.66  # shares of the minutes
CLIP_FPS = 0.9  # frames of a training clip lie this far apart, so that poses differ
SHARD = 50  # clips in a file
PREVIEW_EVERY_S = 600.0


def render_clip(seed: int, *, frames: int, size: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """One training clip: images uint8 [F H W 3] and points float16 [F K+L 5]."""
    clip = presenter_world.clip(seed, frames, size, fps=CLIP_FPS)
    points = [
        keypoints.extract(iuv, n=cells, landmarks=marks) for iuv, marks in zip(clip.iuv, clip.landmarks, strict=True)
    ]
    return clip.frames, np.stack(points).astype(np.float16)


def render_shard(seeds: range, file: Path, *, frames: int, size: int, cells: int) -> None:
    """Writes the clips of `seeds` to `file`, which appears when it is complete."""
    images, points = zip(*(render_clip(seed, frames=frames, size=size, cells=cells) for seed in seeds), strict=True)
    part = file.with_suffix(".part.npz")
    np.savez(part, images=np.stack(images), points=np.stack(points))
    part.replace(file)


def render_set(seeds: range, folder: Path, *, frames: int, size: int, cells: int, workers: int = 1) -> FrameSet:
    """The clips of `seeds`, read from and added to `folder`; what is missing is drawn by `workers` processes.

    Together with others (`torchrun`), each process draws and keeps its own share.
    """
    from genkey_core.jumpcut.train import FrameSet

    folder.mkdir(parents=True, exist_ok=True)
    share = len(seeds) // world()
    own = seeds[rank() * share :][:share]
    name = f"{frames}x{size}-{cells}"
    shards = [own[k : k + SHARD] for k in range(0, len(own), SHARD)]
    files = {folder / f"presenter-{shard.start}-{len(shard)}-{name}.npz": shard for shard in shards}
    missing = {file: shard for file, shard in files.items() if not file.exists()}
    kind = {"frames": frames, "size": size, "cells": cells}
    if world() == 1 and min(workers, len(missing)) > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            waiting = [pool.submit(render_shard, shard, file, **kind) for file, shard in missing.items()]
            for done in waiting:
                done.result()
    else:
        for file, shard in missing.items():
            render_shard(shard, file, **kind)
    images, points = [], []
    for file in files:
        with np.load(file, allow_pickle=False) as kept:
            images.append(kept["images"])
            points.append(kept["points"])
    return FrameSet(np.concatenate(images), np.concatenate(points))


@dataclass
class Run:
    """The trainer, its time and where its state is kept."""

    trainer: Trainer
    budget: Budget
    file: Path

    def save(self) -> None:
        """The first process alone writes."""
        if not rank():
            self.trainer.save(self.file, spent_s=self.budget.spent_s)
        self.budget.pause()

    def resume(self) -> None:
        self.budget.spent_s = self.trainer.resume(self.file)["spent_s"]
        self.budget.step = self.trainer.steps
        self.budget.pause()

    def tick(self) -> None:
        """Counts a step; the first process's clock counts for all."""
        import torch
        from torch import distributed

        self.budget.tick()
        if distributed.is_initialized():
            spent = torch.tensor(self.budget.spent_s, dtype=torch.float64)
            distributed.broadcast(spent, 0)
            self.budget.spent_s = spent.item()

    def adversary(self) -> float:
        """Weight of the adversarial loss at this share of the minutes."""
        return float(np.clip((self.budget.fraction - ADVERSARY_FROM) / (ADVERSARY_FULL - ADVERSARY_FROM), 0, 1))


def train(run: Run, frames: FrameSet, held_out: FrameSet, out: Path) -> None:
    """Steps until the minutes are used up, saving every minute, with a preview every ten."""
    from genkey_core.jumpcut.train import draw_batch

    trainer, budget, log = run.trainer, run.budget, Log(out / "presenter.jsonl")
    config, saved, shown_ = trainer.network.config, time.monotonic(), budget.spent_s // PREVIEW_EVERY_S
    budget.pause()
    while budget.fraction < 1.0:
        batch = draw_batch(frames, config, trainer.options, step=trainer.steps, process=rank())
        losses = trainer.step(batch, rate=budget.rate(1.0), adversary=run.adversary())
        run.tick()
        log.add(run, **losses)
        if budget.spent_s // PREVIEW_EVERY_S > shown_ and not rank():
            shown_ = budget.spent_s // PREVIEW_EVERY_S
            preview(trainer.averaged, held_out, out / f"preview-{trainer.steps:06d}.png")
            budget.pause()
        if time.monotonic() - saved > SAVE_EVERY_S:
            run.save()
            saved = time.monotonic()
    run.save()


def transfer(network, images: np.ndarray, points: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """The last frame of each clip from all others and its own masked keypoints: [N F H W 3], [N F K 5] -> [N H W 3]."""
    import torch

    from genkey_core.media import to_float, to_uint8

    made, size = [], {"n": network.config.cells, "height": images.shape[2], "width": images.shape[3]}
    device = next(network.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    for pictures, marks in zip(images, points.astype(np.float32), strict=True):
        target = keypoints.masked(marks[-1], keypoints.common(*marks))
        grids = np.stack([keypoints.splat(each, **size) for each in (*marks[:-1], target)])
        grids = torch.as_tensor(grids).movedim(-1, -3)[None].to(device)
        z = torch.randn(1, network.config.latent, generator=generator).to(device)
        with torch.no_grad():
            frame = network(to_float(pictures[:-1])[None].to(device), grids[:, :-1], grids[:, -1], z)
        made.append(to_uint8(frame[0]))
    return np.stack(made)


def preview(network, frames: FrameSet, file: Path) -> float:
    """Writes rows of sources, made and true frame to a PNG; returns the mean PSNR in dB."""
    import cv2

    images, points = frames.images[:, :3], frames.points[:, :3]
    made = transfer(network, images, points)
    rows = [np.concatenate([*clip[:2], own, clip[2]], 1) for clip, own in zip(images, made, strict=True)]
    half = len(rows) // 2
    sheet = np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half : 2 * half])], 1)
    cv2.imwrite(str(file), sheet[..., ::-1])
    return psnr(made, images[:, 2])


def psnr(made: np.ndarray, real: np.ndarray) -> float:
    """Mean over pictures [N H W 3] of the peak signal-to-noise ratio, dB."""
    error = ((made.astype(np.float64) - real) ** 2).reshape(len(made), -1).mean(1)
    return float((10 * np.log10(255**2 / np.maximum(error, 1e-3))).mean())


def run(out: Path, *, minutes: float, clips: int, frames: int, batch: int, rate: float, resume: bool, seed: int = 0,
        config=None, workers: int = 1, start: Path | None = None, sources: int = 2) -> None:  # fmt: skip
    """Everything from nothing, or from the network in `start`, to `out/model`.

    Raises InputError where `out` holds a run and `resume` is False, and where `start` holds no network that fits.
    """
    from genkey_core.jumpcut import copying, networks
    from genkey_core.jumpcut.train import FrameSet, Trainer, TrainOptions, make_accelerator

    config = config or networks.MINI
    file = out / "presenter.pt"
    if file.exists() and not resume:
        raise InputError(f"out: {shown(out.name)} holds a run; add --resume, or name another folder.")
    if config.landmarks != len(LANDMARKS):
        raise InputError(f"config: {len(LANDMARKS)} landmarks are needed, got {config.landmarks}.")
    accelerator = make_accelerator(cpu=runtime.best_device() == "cpu")
    size = {"frames": frames, "size": config.size, "cells": config.cells}
    data = render_set(TRAIN_SEEDS[:clips], out / "frames", workers=workers, **size)
    seen = [render_clip(seed, frames=4, size=config.size, cells=config.cells) for seed in VALIDATION_SEEDS[:10]]
    held_out = FrameSet(*(np.stack(column) for column in zip(*seen, strict=True)))
    options = TrainOptions(batch=batch, rate=rate, seed=seed, sources=sources)
    fresh = networks.build(config, seed=seed)
    if start is not None:
        copying.take_over(fresh, networks.load(start))
    session = Run(Trainer(fresh, options, accelerator), Budget(minutes), file)
    if file.exists():
        session.resume()
    train(session, data, held_out, out)
    if not rank():
        made = preview(session.trainer.averaged, held_out, out / "preview-final.png")
        dissolve = held_out.images[:, :2].mean(1)
        notes = {"steps": str(session.trainer.steps), "minutes": f"{session.budget.spent_s / 60:.1f}"}
        networks.save(session.trainer.averaged, out / "model", notes=notes)
        print(
            f"held-out people: {made:.1f} dB, a cross-dissolve {psnr(dissolve, held_out.images[:, 2]):.1f} dB",
            flush=True,
        )


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m genkey_core.mini.train_presenter", description=__doc__.split(":")[0]
    )
    command.add_argument("--out", type=Path, required=True, help="folder for clips, state, previews, log and model")
    command.add_argument("--minutes", type=float, default=100.0, help="planned training time, over all sessions (100)")
    command.add_argument("--clips", type=int, default=2400, help="people rendered to train on (2400)")
    command.add_argument("--frames", type=int, default=6, help="poses of each (6)")
    command.add_argument("--sources", type=int, default=2, help="most pictures a target is made from (2)")
    command.add_argument("--batch", type=int, default=3, help="targets per step and process (3)")
    command.add_argument("--rate", type=float, default=2e-3, help="peak learning rate (0.002)")
    command.add_argument("--seed", type=int, default=0, help="weights and order of the samples (0)")
    command.add_argument("--threads", type=int, default=0, help="processor threads; 0 leaves the choice to torch")
    command.add_argument("--start", type=Path, help="folder of a network to begin with instead of fresh weights")
    command.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    return command


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a user's mistake is one sentence on stderr and exit code 1."""
    chosen = parser().parse_args(arguments)
    import torch
    from torch import distributed

    try:
        checks.number(chosen.minutes, "minutes", low=0.001)
        checks.integer(chosen.clips, "clips", low=int(os.environ.get("WORLD_SIZE", "1")), high=len(TRAIN_SEEDS))
        checks.integer(chosen.frames, "frames", low=3, high=100)
        checks.integer(chosen.sources, "sources", low=2, high=chosen.frames - 1)
        if checks.integer(chosen.threads, "threads", low=0, high=1024):
            torch.set_num_threads(chosen.threads)
        run(chosen.out, minutes=chosen.minutes, clips=chosen.clips, frames=chosen.frames, batch=chosen.batch,
            rate=chosen.rate, resume=chosen.resume, seed=chosen.seed, workers=chosen.threads or runtime.cpu_count(),
            start=chosen.start, sources=chosen.sources)  # fmt: skip
    except InputError as mistake:
        sys.exit(f"error: {mistake}")
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


if __name__ == "__main__":
    main()
