"""Sets of rendered scenes of the scale world, kept on disk, and how a training sees them: turned, and laid into one another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from genkey_core.mini import scale_nesting
from genkey_core.mini.scale_captions import COLOURS, KINDS
from genkey_core.mini.scale_styles import STYLES
from genkey_core.mini.scale_world import make_scene

SIZE = 64  # pixels a side
SHARD = 250  # scenes in a file
NESTED, ZOOMS, ALIKE = 0.75, (2, 4), 0.7  # share of scenes with another in the middle, p, share of these of one colour
# Scenes without an up and a down are also turned by quarters; all are mirrored.
TURNABLE = ("galaxy", "continent", "island", "forest", "veins", "cells", "nucleus", "city", "district",
            "circuit board", "chip", "transistors")  # fmt: skip


@dataclass(frozen=True)
class SceneSet:
    """Rendered scenes: `images` uint8 [N S S 3]; `labels` int16 [N 3], the places of kind, its colour and style."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def rows(self) -> dict[tuple[str, str], np.ndarray]:
        """Places of the scenes of each kind and style."""
        names = [self.words(row) for row in range(len(self))]
        found = {key: [] for key in {(kind, style) for kind, _, style in names}}
        for row, (kind, _, style) in enumerate(names):
            found[kind, style].append(row)
        return {key: np.array(places) for key, places in found.items()}

    def seen(self, row: int, rng: np.random.Generator, *, share: float = NESTED, p: int | None = None) -> np.ndarray:
        """Scene `row`, turned where that may be, with a chance of `share` the next one in its middle; uint8 [S S 3].

        That one may have another in its own. A scene lies in one `p` times as wide, 2 or 4 by chance where not given.
        """
        kind, colour, style = self.words(row)
        image = np.rot90(self.images[row], rng.integers(4)) if kind in TURNABLE else self.images[row]
        among = self.rows.get((scale_nesting.inner_kind(kind), style))
        p = p or int(rng.choice([p for p in ZOOMS if len(image) >= p * scale_nesting.SMALLEST] or [0]))
        if among is None or not p or rng.random() >= share:
            return image
        alike = among[[self.words(other)[1] == colour for other in among]]
        among = alike if len(alike) and rng.random() < ALIKE else among
        return scale_nesting.nested(image, self.seen(int(rng.choice(among)), rng, share=share, p=p), p)

    def words(self, row: int) -> tuple[str, str, str]:
        """Kind, colour and style of a scene."""
        kind, colour, style = self.labels[row]
        return KINDS[kind], COLOURS[KINDS[kind]][colour], STYLES[style]


def render(seeds: range, folder: Path | None = None, *, size: int = SIZE) -> SceneSet:
    """The scenes of `seeds`; read from and added to `folder` where one is given, SHARD of them to a file."""
    parts = []
    for start in range(seeds.start, seeds.stop, SHARD):
        shard = range(start, min(start + SHARD, seeds.stop))
        path = None if folder is None else folder / f"scenes-{start}-{len(shard)}-{size}.npz"
        if path is not None and path.exists():
            with np.load(path, allow_pickle=False) as kept:
                parts.append((kept["images"], kept["labels"]))
            continue
        parts.append(_render_shard(shard, size))
        if path is not None:
            folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.npz")
            np.savez(part, images=parts[-1][0], labels=parts[-1][1])
            part.replace(path)
    return SceneSet(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _render_shard(seeds: range, size: int) -> tuple[np.ndarray, np.ndarray]:
    images, labels = np.empty((len(seeds), size, size, 3), np.uint8), np.empty((len(seeds), 3), np.int16)
    for row, seed in enumerate(seeds):
        scene = make_scene(seed, size=size)
        images[row] = scene.image
        labels[row] = KINDS.index(scene.kind), COLOURS[scene.kind].index(scene.colour), STYLES.index(scene.style)
    return images, labels
