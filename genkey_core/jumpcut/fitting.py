"""Fit to this video: the network of 4.2.2 trained on a user's own clip, for a time that the user chooses (section 4.3.1).

`fit` is a generator. Its state is saved every minute and when it is closed, so that the same call goes on where it
stopped, and the network so far is always in its folder: `config.json` and `model.safetensors`, which `learned.fitted`
reads. The learning rate falls to the end of the chosen minutes, also over several calls.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .. import media, runtime
from ..checks import InputError, integer, number, shown
from .bodymap import BodySource
from .learned import MINI_FOLDER
from .painting import Crop, framed

if TYPE_CHECKING:
    from .networks import Config, Synthesis
    from .train import FrameSet, Trainer

MAX_MINUTES = 12 * 60
MAX_FRAMES = 240  # of the clip, spread evenly: more poses do not fit a fitting of minutes
LEAST_FRAMES = 8  # with the body in them
SIZES = (128, 256)  # of the network's square: from the bundled weights, or from nothing, for GPUs
STEP_S = {True: 0.12, False: 0.4}  # seconds a step on a GPU (an estimate) and on processors, at 128 pixels
_ADVERSARY_FROM = 0.6  # share of the minutes without a discriminator; it needs steps to be of use
_ADVERSARY_STEPS = 500  # and no fewer than these before it comes in
_SAVE_EVERY_S, _TELL_EVERY_S = 60.0, 0.5
_STATE, _LOOK = "fit.pt", "fit.json"


@dataclass(frozen=True)
class Fitting:
    """Progress of a fit."""

    said: str  # in words
    share: float  # of the minutes, 0 to 1
    steps: int = 0
    loss: float | None = None  # L1 over the last steps, in [-1, 1] units
    preview: np.ndarray | None = (
        None  # uint8 [S 2S 3]: a frame of the clip as it is painted from two others, and as it is
    )


@dataclass(frozen=True)
class Fitted:
    """A network fitted to a video, so far."""

    folder: Path
    steps: int
    spent_s: float
    complete: bool  # whether the chosen minutes are used up


def fit(
    path: str | os.PathLike,
    body: BodySource,
    folder: str | os.PathLike,
    *,
    n_frames: int,
    fps: float,
    minutes: float,
    size: int = 128,
    seed: int = 0,
    base: str | os.PathLike | None = MINI_FOLDER,
    config: Config | None = None,
) -> Iterator[Fitting | Fitted]:
    """Fit to the video at `path` of `n_frames` frames at `fps` and leave the network in `folder`; last comes a Fitted.

    A `folder` that holds a fit of this video goes on. At 128 pixels the bundled weights are where it begins, where they
    are in `base`; `config` names another network. Raises InputError where the body is in too few frames, and where
    the folder holds another fit.
    """
    minutes = number(minutes, "minutes", low=0.01, high=MAX_MINUTES)
    if integer(size, "size", low=32) not in SIZES and config is None:
        raise InputError(f"size: one of {', '.join(map(str, SIZES))} is needed, got {size}.")
    yield Fitting("reading the clip", 0.0)
    folder = Path(folder)
    network = _network(size, base, config, getattr(body, "n_landmarks", 0), seed)
    frames = yield from _clip(path, body, n_frames=n_frames, fps=fps, config=network.config)
    trainer, kept_s = _trainer(network, folder, seed)
    yield from _steps(trainer, frames, folder, minutes=minutes, spent_s=kept_s)


def _network(size: int, base, config: Config | None, n_landmarks: int, seed: int) -> Synthesis:
    """Where the fit begins. The number of landmarks shapes no weight."""
    from . import networks

    if config is None:
        config = replace(networks.MINI if size == networks.MINI.size else networks.FULL, landmarks=n_landmarks)
    fresh = networks.build(config, seed=seed)
    if base is not None and (Path(base) / "config.json").is_file():
        known = networks.load(base)
        if replace(known.config, landmarks=config.landmarks) == config:
            fresh.load_state_dict(known.state_dict())
    device = "cpu" if runtime.on_zero_gpu() else runtime.best_device()
    return fresh.to(device)


def _clip(path, body: BodySource, *, n_frames: int, fps: float, config: Config) -> Iterator[Fitting | FrameSet]:
    """Frames and keypoints on one square that holds for the whole clip, as one training clip; progress on the way."""
    from .train import FrameSet

    wanted = set(np.unique(np.linspace(0, n_frames - 1, min(n_frames, MAX_FRAMES)).round().astype(int)).tolist())
    numbered = []
    with closing(media.read_frames(path, fps=fps)) as stream:
        for index, frame in enumerate(stream):
            if index in wanted:
                numbered.append((index, _bounded(frame.image)))
                if len(numbered) % 20 == 0:
                    yield Fitting(f"reading the clip, {len(numbered)} of {len(wanted)} frames", 0.0)
            if index >= n_frames - 1:
                break
    bodies = []
    for each in body.bodies(numbered):
        bodies.append(each)
        if len(bodies) % 20 == 0:
            yield Fitting(f"reading the body map, {len(bodies)} of {len(numbered)} frames", 0.0)
    height, width = numbered[0][1].shape[:2]
    crop: Crop = framed(bodies, width=width, height=height)
    kind = {"n": config.cells, "size": config.size}
    points = [crop.points(b, image, **kind) for b, (_, image) in zip(bodies, numbered, strict=True)]
    with_body = [k for k, each in enumerate(points) if each[:, -1].sum() >= 10]
    if len(with_body) < LEAST_FRAMES:
        raise InputError(
            f"fit: the body map shows the speaker in {len(with_body)} frames, {LEAST_FRAMES} are needed; take a longer clip."
        )
    images = np.stack([crop.small(numbered[k][1], config.size) for k in with_body])
    return FrameSet(images[None], np.stack([points[k] for k in with_body])[None])


def _bounded(image: np.ndarray) -> np.ndarray:
    """At most 960 pixels long: 240 frames are held until the square is known, and it is small in the end."""
    scale = min(1.0, 960 / max(image.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image


def _trainer(network: Synthesis, folder: Path, seed: int) -> tuple[Trainer, float]:
    """The trainer, with the state of an earlier call, and the seconds that were spent on it."""
    from .train import Trainer, TrainOptions, make_accelerator

    on_cpu = next(network.parameters()).device.type == "cpu"
    options = TrainOptions(batch=2 if on_cpu else 8, sources=2, rate=1e-3, seed=seed)
    trainer = Trainer(network, options, make_accelerator(cpu=on_cpu))
    folder.mkdir(parents=True, exist_ok=True)
    look = {"config": _plain(network.config), "seed": seed}
    if not (folder / _STATE).is_file():
        (folder / _LOOK).write_text(json.dumps(look))
        return trainer, 0.0
    try:
        same = json.loads((folder / _LOOK).read_text()) == look
    except (OSError, ValueError):
        same = False
    if not same:
        raise InputError(f"fit: {shown(folder.name)} holds a fit with other settings; begin a new one.")
    return trainer, trainer.resume(folder / _STATE)["spent_s"]


def _plain(config: Config) -> dict:
    return json.loads(json.dumps(asdict(config)))


def _steps(trainer: Trainer, frames: FrameSet, folder: Path, *, minutes: float, spent_s: float):
    """Steps until the minutes are used up; saves also when it is closed."""
    from .train import draw_batch

    config, total_s = trainer.network.config, minutes * 60
    clock = saved = time.monotonic()
    told, losses, whole = 0.0, [], True
    try:
        while spent_s < total_s:
            share = spent_s / total_s
            batch = draw_batch(frames, config, trainer.options, step=trainer.steps)
            adversary = float(share >= _ADVERSARY_FROM and trainer.steps >= _ADVERSARY_STEPS)
            whole = False  # a step that breaks down must not take the place of the state before
            made = trainer.step(batch, rate=0.5 * (1 + math.cos(math.pi * share)), adversary=adversary)
            whole = True
            losses = [*losses, made["l1"]][-50:]
            now = time.monotonic()
            spent_s, clock = spent_s + now - clock, now
            if now - told > _TELL_EVERY_S:
                told = now
                yield _told(trainer, losses, spent_s, total_s)
                clock = time.monotonic()  # what the reader does with it is not ours
            if now - saved > _SAVE_EVERY_S:
                _save(trainer, folder, spent_s)
                saved = clock = time.monotonic()
                yield replace(_told(trainer, losses, spent_s, total_s), preview=preview(trainer, frames))
    finally:
        if whole:
            _save(trainer, folder, spent_s)
    yield replace(_told(trainer, losses, spent_s, total_s), preview=preview(trainer, frames))
    yield Fitted(folder, trainer.steps, spent_s, spent_s >= total_s)


def _told(trainer: Trainer, losses: list[float], spent_s: float, total_s: float) -> Fitting:
    share = min(1.0, spent_s / total_s)
    rate = trainer.steps / max(spent_s, 1e-6)
    words = f"step {trainer.steps:,} of about {max(trainer.steps, round(rate * total_s)):,}"
    return Fitting(words, share, trainer.steps, float(np.mean(losses)) if losses else None)


def _save(trainer: Trainer, folder: Path, spent_s: float) -> None:
    """The state, to go on from, and the network as it is used: averaged, in half precision."""
    from . import networks

    trainer.save(folder / _STATE, spent_s=spent_s)
    networks.save(trainer.averaged, folder, notes={"config": json.dumps(asdict(trainer.averaged.config))})


def preview(trainer: Trainer, frames: FrameSet) -> np.ndarray:  # uint8 [S 2S 3]
    """The clip's middle frame, painted from its first and last with the keypoints all share, beside the true one."""
    import torch

    from . import keypoints

    config, last = trainer.network.config, frames.images.shape[1] - 1
    picked = [0, last, last // 2]
    points = frames.points[0, picked].astype(np.float32)
    target = keypoints.masked(points[2], keypoints.common(*points))
    grids = [
        keypoints.splat(each, n=config.cells, height=config.size, width=config.size) for each in (*points[:2], target)
    ]
    device = trainer.accelerator.device
    grids = torch.as_tensor(np.stack(grids)).movedim(-1, -3)[None].to(device)
    images = media.to_float(frames.images[0, picked])[None].to(device)
    z = torch.randn(1, config.latent, generator=runtime.torch_generator(0)).to(device)
    with torch.no_grad():
        made = trainer.averaged(images[:, :2], grids[:, :2], grids[:, 2], z)
    return np.concatenate([media.to_uint8(made[0]), frames.images[0, picked[2]]], axis=1)


def unpacked(file: str | os.PathLike, folder: str | os.PathLike) -> Path:
    """A fitted network's one file (`model.safetensors`, which carries its settings) laid out in `folder` for `learned.fitted`.

    Raises InputError where it is no such file.
    """
    from safetensors import SafetensorError, safe_open

    from . import networks

    file, folder = Path(file), Path(folder)
    try:
        with safe_open(file, "np") as stored:
            settings = json.loads((stored.metadata() or {})["config"])
        widths = ("encoder", "down", "up", "discriminator")
        if integer(settings["mapping"], "mapping", low=1) > 16 or any(len(settings[name]) > 12 for name in widths):
            raise InputError("fitted network: it is deeper than any that this tool makes.")
        networks.Config(**settings)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"fitted network: {shown(file.name)} is not one of this tool's; drop the model.safetensors that a fit gave."
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "model.safetensors").write_bytes(file.read_bytes())
    networks.load(folder)
    return folder
