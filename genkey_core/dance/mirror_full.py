"""Mirrored keyframes by a model (thesis section 7.2.2): overfit a text-to-image model to the set, then redraw it and its mirrors.

Every keyframe, original or mirror, is painted from its edge map by the same model, from the same noise, over the same background
edges: so the set agrees in style, subject and background. Every training sample follows from the seed and its number, and a run
that was interrupted goes on as it would have.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from .. import media
from ..checks import InputError, integer, number, shown
from .mirror import flipped, mirror_sum
from .mirror_edges import augmented_edges, canny
from .mirror_lora import Lora
from .mirror_models import Painter, Prompt, control
from .plates import Scene, background_plate, contact_shadow

_STATE, _ADAPTERS = "state.safetensors", "lora.safetensors"


@dataclass(frozen=True)
class RedrawOptions:
    """How the model is fitted and paints; the defaults are those of the thesis where it gives them."""

    subject: str = "animal"  # the class of the subject: marmot, dog
    background: str = "a landscape"
    epochs: int = 500  # rounds over the originals
    rank: int = 16
    learning_rate: float = 1e-4
    batch: int = 1  # keyframes per step
    steps: int = 28  # of sampling, per picture
    size: tuple[int, int] = (1024, 576)  # width, height that is painted
    save_every: int = 100  # steps between saved states
    gradient_checkpointing: bool = True
    seed: int = 0

    def __post_init__(self):
        integer(self.epochs, "epochs", low=0, high=100_000)
        integer(self.rank, "rank", low=1, high=512)
        number(self.learning_rate, "learning rate", low=0, high=1)
        integer(self.batch, "batch", low=1)
        integer(self.steps, "steps", low=1, high=1000)
        integer(self.save_every, "save_every", low=1)
        integer(self.seed, "seed", low=0, high=2**32 - 1)
        for word, name in ((self.subject, "subject"), (self.background, "background")):
            if not isinstance(word, str) or not word.strip() or len(word) > 200:
                raise InputError(f"{name}: a few words are needed, got {shown(word)}.")

    @property
    def prompt(self) -> str:
        return f"A photo of [V] {self.subject.strip()} dancing with {self.background.strip()} as background."


@dataclass(frozen=True)
class RedrawStep:
    """One step of fitting or painting."""

    stage: str  # "fit" or "paint"
    index: int  # done
    total: int
    loss: float | None = None  # of a fit
    picture: np.ndarray | None = None  # uint8 [H W 3], a painted keyframe
    scene: Scene | None = None  # with the last step


def redraw(painter: Painter, scene: Scene, *, options: RedrawOptions, folder: str | Path) -> Iterator[RedrawStep]:
    """The augmented set of 2K keyframes, painted anew; a generator whose last step holds its scene.

    `scene` holds the K keyframes taken apart (`plates.separate`). The fit is kept in `folder` and gone on from. Raises InputError
    where the size does not suit the model or the folder holds another run.
    """
    w, h = options.size
    if w % painter.multiple or h % painter.multiple:
        raise InputError(f"size: multiples of {painter.multiple} are needed, got {w}x{h}.")
    shape = scene.images.shape[1:3]
    prompt = painter.read_prompt(options.prompt)
    lora = yield from fit(painter, scene, prompt, options=options, folder=folder)
    edges = _edges_at(scene, options.size)
    painted = []
    with lora.applied():
        for i, map_ in enumerate(edges):
            generator = torch.Generator().manual_seed(options.seed)  # the same noise for every picture
            picture = painter.paint(map_, prompt, steps=options.steps, generator=generator, on_step=lambda _step: None)
            painted.append(
                cv2.resize(picture, shape[::-1], interpolation=cv2.INTER_AREA if w > shape[1] else cv2.INTER_CUBIC)
            )
            done = _scene(scene, np.stack(painted)) if i + 1 == len(edges) else None
            yield RedrawStep("paint", i + 1, len(edges), picture=painted[-1], scene=done)


def fit(
    painter: Painter, scene: Scene, prompt: Prompt, *, options: RedrawOptions, folder: str | Path
) -> Iterator[RedrawStep]:
    """Fit adapters of the painter's networks to the K keyframes; a generator over the steps that returns the adapters.

    Through accelerate: on one device or many. Goes on from the state in `folder` where it is of the same options.
    """
    from accelerate import Accelerator

    folder = Path(folder)
    w, h = options.size
    images = np.stack([cv2.resize(i, (w, h), interpolation=cv2.INTER_AREA) for i in scene.images])
    conditions = control(np.stack([canny(i) for i in images]))
    latents = painter.encode(images).float()
    accelerator = Accelerator(cpu=latents.device.type == "cpu")
    for network in painter.networks.values():
        network.requires_grad_(False)
        if options.gradient_checkpointing and options.epochs:
            network.enable_gradient_checkpointing()
    lora = Lora(painter.networks, rank=options.rank, generator=torch.Generator().manual_seed(options.seed)).to(
        latents.device
    )
    raw_optimizer = torch.optim.AdamW(lora.parameters(), lr=options.learning_rate)
    network, optimizer = accelerator.prepare(_Fitted(painter, lora), raw_optimizer)
    per_step = options.batch * accelerator.num_processes
    total = math.ceil(options.epochs * len(images) / per_step)
    done = _resume(lora, raw_optimizer, options, folder / _STATE) if (folder / _STATE).is_file() else 0
    for step in range(done, total):
        first = step * per_step + accelerator.process_index * options.batch
        chosen, generator = _samples(options, first, len(images))
        with lora.applied():  # also backwards, where checkpointed layers are run again
            loss = network(latents[chosen], conditions[chosen].to(latents.device), prompt, generator)
            accelerator.backward(loss)
        accelerator.clip_grad_norm_(lora.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        mean = accelerator.gather(loss.detach()[None]).mean().item()
        if not math.isfinite(mean):
            raise InputError(f"fitting: the loss is not a number at step {step + 1}; lower the learning rate.")
        last = step + 1 == total
        if accelerator.is_main_process and (last or (step + 1) % options.save_every == 0):
            _save(lora, raw_optimizer, options, step + 1, folder)
        yield RedrawStep("fit", step + 1, total, loss=mean)
    return lora


class _Fitted(nn.Module):
    """The adapters as the only parameters, and the loss of the networks that they adapt."""

    def __init__(self, painter: Painter, lora: Lora) -> None:
        super().__init__()
        self.lora, self._painter = lora, painter

    def forward(self, latents: Tensor, edges: Tensor, prompt: Prompt, generator: torch.Generator) -> Tensor:
        return self._painter.loss(latents, edges, prompt, generator)


def _samples(options: RedrawOptions, first: int, n: int) -> tuple[list[int], torch.Generator]:
    """The keyframes of the samples from number `first` on, each round in an order of its own, and their noise's generator."""
    chosen = []
    for sample in range(first, first + options.batch):
        round_, place = divmod(sample, n)
        order = np.random.default_rng([options.seed, round_]).permutation(n)
        chosen.append(int(order[place]))
    mixed = np.random.SeedSequence([options.seed, first, 1]).generate_state(1, np.uint64)[0]
    return chosen, torch.Generator().manual_seed(int(mixed) >> 1)


def _edges_at(scene: Scene, size: tuple[int, int]) -> np.ndarray:  # [2K h w]
    """The augmented edge maps, taken at the size that is painted: lines one pixel wide, as the model was fitted to."""
    images = np.stack([cv2.resize(i, size, interpolation=cv2.INTER_AREA) for i in scene.images])
    masks = np.stack([cv2.resize(m, size, interpolation=cv2.INTER_LINEAR) for m in scene.masks])
    plate = cv2.resize(scene.plate, size, interpolation=cv2.INTER_AREA)
    return augmented_edges(Scene(images, masks, plate, np.ones_like(masks)))


def _scene(scene: Scene, painted: np.ndarray) -> Scene:
    """The painted set taken apart: the masks are known, the plate is what its 2K pictures show."""
    mirrors = [flipped(m, mirror_sum(m), outside=0.0) for m in scene.masks]
    masks = np.stack([*scene.masks, *mirrors])
    plate, _ = background_plate(painted, np.ones(masks.shape, bool), masks > 0.5)
    shades = np.stack([contact_shadow(i, m, plate) for i, m in zip(painted, masks, strict=True)])
    return Scene(painted, masks, plate, shades, scene.notes)


def _identity(options: RedrawOptions) -> str:
    """What a saved state must share with the run that goes on from it."""
    free = {"save_every", "gradient_checkpointing", "steps", "epochs"}
    return json.dumps({k: v for k, v in asdict(options).items() if k not in free}, sort_keys=True)


def _save(lora: Lora, optimizer: torch.optim.Optimizer, options: RedrawOptions, step: int, folder: Path) -> None:
    tensors = {}
    for i, weight in enumerate(lora.parameters()):
        kept = optimizer.state[weight]
        tensors |= {f"weight/{i}": weight.detach(), f"m/{i}": kept["exp_avg"], f"v/{i}": kept["exp_avg_sq"]}
    media.save_tensors(tensors, folder / _STATE, notes={"step": str(step), "options": _identity(options)})
    lora.save(folder / _ADAPTERS, notes={"prompt": options.prompt, "rank": str(options.rank)})


def _resume(lora: Lora, optimizer: torch.optim.Optimizer, options: RedrawOptions, path: Path) -> int:
    """Load a saved state; returns the number of steps already done."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stored:
            notes = stored.metadata() or {}
            if notes.get("options") != _identity(options):
                raise InputError(f"fitting: {shown(path.parent.name)} holds a run with other options.")
            step = int(notes["step"])
            for i, weight in enumerate(lora.parameters()):
                weight.data.copy_(stored.get_tensor(f"weight/{i}"))
                optimizer.state[weight] = {
                    "step": torch.tensor(float(step)),
                    "exp_avg": stored.get_tensor(f"m/{i}").to(weight.device),
                    "exp_avg_sq": stored.get_tensor(f"v/{i}").to(weight.device),
                }
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise InputError(f"fitting: the saved state in {shown(path.parent.name)} cannot be read.") from error
    return step
