"""A small network that says what a picture of the scale world shows: the judge of faithfulness in `zoom_ablation.py`.

It is trained on rendered scenes alone, three in four with the next one in their middle, never on generated ones, and kept with
its accuracy on scenes that no training saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.variants_report import interval
from genkey_core import runtime
from genkey_core.media import save_tensors, to_float
from genkey_core.mini.scale_captions import COLOURS, KINDS
from genkey_core.mini.scale_set import SceneSet, render
from genkey_core.mini.scale_styles import STYLES
from genkey_core.mini.scale_world import PALETTE, TRAIN_SEEDS, VALIDATION_SEEDS

TRAIN, HELD_OUT = TRAIN_SEEDS[:6000], VALIDATION_SEEDS[2000:3000]
EPOCHS, BATCH, RATE = 10, 50, 2e-3
HEADS = {"kind": len(KINDS), "colour": len(PALETTE), "style": len(STYLES)}
_TONES = list(PALETTE)


class Judge(nn.Module):
    """Pictures [B 3 64 64] in [-1, 1] -> scores of kind, colour and style, each [B classes]."""

    def __init__(self, width: int = 24):
        super().__init__()
        widths = [3, width, 2 * width, 4 * width, 6 * width]
        blocks = []
        for before, after in pairwise(widths):
            blocks += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.SiLU()]
            blocks += [nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after), nn.SiLU()]
        self.body = nn.Sequential(*blocks)
        self.head = nn.Linear(2 * widths[-1], sum(HEADS.values()))

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        seen = self.body(pictures)
        seen = torch.cat([seen.mean((2, 3)), seen.amax((2, 3))], 1)
        return self.head(seen).split(list(HEADS.values()), 1)


@dataclass(frozen=True, eq=False)
class Said:
    """What a judge says of pictures: places in KINDS, in the palette, in STYLES; each int [N]."""

    kind: np.ndarray
    colour: np.ndarray
    style: np.ndarray

    def right(self, words: list[tuple[str, str, str]]) -> np.ndarray:  # [N 2] bool
        """Whether the kind is as wanted, and whether colour and style are too."""
        kind = self.kind == [KINDS.index(kind) for kind, _, _ in words]
        colour = self.colour == [_TONES.index(colour) for _, colour, _ in words]
        style = self.style == [STYLES.index(style) for _, _, style in words]
        return np.stack([kind, kind & colour & style], 1)


def ask(judge: Judge, pictures: np.ndarray) -> Said:
    """What uint8 [N 64 64 3] show."""
    with torch.no_grad():
        scores = judge.eval()(to_float(pictures))
    return Said(*(score.argmax(1).numpy() for score in scores))


def words_of(scenes: SceneSet) -> list[tuple[str, str, str]]:
    return [scenes.words(row) for row in range(len(scenes))]


def _labels(scenes: SceneSet) -> Tensor:  # [N 3]
    kinds, places, styles = scenes.labels.T
    tones = [_TONES.index(COLOURS[KINDS[kind]][place]) for kind, place in zip(kinds, places, strict=True)]
    return torch.from_numpy(np.stack([kinds, tones, styles], 1).astype(np.int64))


def _worn(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirrored, brightened, blurred or grainy, as generated pictures may be."""
    if rng.random() < 0.5:
        pictures = pictures.flip(-1)
    if rng.random() < 0.4:
        pictures = functional.interpolate(pictures, scale_factor=float(rng.uniform(0.4, 0.9)), mode="area")
        pictures = functional.interpolate(pictures, (64, 64), mode="bilinear")
    generator = runtime.torch_generator(int(rng.integers(2**31)))
    grain = torch.randn(pictures.shape, generator=generator) * float(rng.uniform(0, 0.12))
    return (pictures * float(rng.uniform(0.85, 1.15)) + float(rng.uniform(-0.1, 0.1)) + grain).clamp(-1, 1)


def train(scenes: SceneSet, *, epochs: int = EPOCHS, seed: int = 0) -> Judge:
    """A judge that has seen `scenes`."""
    judge, rng = Judge(), runtime.numpy_generator(seed)
    generator = runtime.torch_generator(seed)
    for part in judge.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, generator=generator)
            nn.init.zeros_(part.bias)
    labels, steps = _labels(scenes), epochs * max(1, len(scenes) // BATCH)
    descent = torch.optim.AdamW(judge.parameters(), lr=RATE, weight_decay=0.02)
    falling = torch.optim.lr_scheduler.OneCycleLR(descent, RATE, total_steps=steps + 1)
    for _ in range(epochs):
        order = rng.permutation(len(scenes))
        for rows in np.array_split(order, max(1, len(scenes) // BATCH)):
            pictures = np.stack([scenes.seen(row, rng) for row in rows])
            scores = judge.train()(_worn(to_float(pictures), rng))
            wanted = labels[torch.from_numpy(rows)].T
            loss = sum(
                functional.cross_entropy(s, w, label_smoothing=0.05) for s, w in zip(scores, wanted, strict=True)
            )
            descent.zero_grad(set_to_none=True)
            loss.backward()
            descent.step()
            falling.step()
    return judge.eval()


def kept(folder: Path, *, train_seeds: range = TRAIN, held_out: range = HELD_OUT, epochs: int = EPOCHS):
    """(the judge in `folder`, trained where there is none; its accuracies on held-out scenes as text)."""
    from safetensors.torch import load_file

    file = folder / "judge.safetensors"
    judge = Judge()
    if not file.exists():
        judge = train(render(train_seeds, folder / "scenes"), epochs=epochs)
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors(judge.state_dict(), file)
    judge.load_state_dict(load_file(file))
    scenes = render(held_out, folder / "scenes")
    rng = runtime.numpy_generator(1)
    seen = np.stack([scenes.seen(row, rng) for row in range(len(scenes))])
    right = ask(judge, seen).right(words_of(scenes)).astype(float)
    said = [f"{100 * column.mean():.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
            for column in right.T for low, high in [interval(column)]]  # fmt: skip
    return judge, f"{said[0]} (its kind) and {said[1]} (kind, colour and style) on {len(scenes)} held-out scenes"
