"""The scale world: pictures from a galaxy to a cell's nucleus, and from a skyline to transistors, with their captions.

What the mini text-to-image model of chapter 6 is trained on. A seed is a scene: `make_scene(7)`. Scenes of any size
can be drawn; a seed is the same scene at every size. Seeds from VALIDATION_SEEDS are seen by no training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genkey_core import checks
from genkey_core.checks import InputError, shown
from genkey_core.mini import scale_captions, scale_city, scale_cosmos, scale_machines, scale_plants, scale_styles
from genkey_core.mini.scale_captions import COLOURS, KINDS
from genkey_core.mini.scale_paint import Painter, jitter
from genkey_core.mini.scale_styles import STYLE_SHARES, STYLES

TRAIN_SEEDS = range(0, 900_000)
VALIDATION_SEEDS = range(900_000, 1_000_000)
PALETTE = {
    "red": (196, 58, 48), "orange": (226, 126, 44), "golden": (228, 186, 82), "green": (84, 142, 62),
    "teal": (44, 150, 150), "blue": (58, 112, 206), "purple": (128, 78, 188), "pink": (232, 140, 178),
    "white": (232, 234, 238), "grey": (140, 144, 150),
}  # fmt: skip
_PAINTERS: dict[str, Callable] = {
    "galaxy": scale_cosmos.galaxy, "star system": scale_cosmos.star_system, "planet": scale_cosmos.planet,
    "continent": scale_cosmos.continent, "island": scale_cosmos.island, "forest": scale_plants.forest,
    "tree": scale_plants.tree, "branch": scale_plants.branch, "leaf": scale_plants.leaf, "veins": scale_plants.veins,
    "cells": scale_plants.cells, "nucleus": scale_plants.nucleus, "skyline": scale_city.skyline,
    "city": scale_city.city, "district": scale_city.district, "building": scale_city.building,
    "window": scale_city.window, "desk": scale_machines.desk, "computer": scale_machines.computer,
    "circuit board": scale_machines.board, "chip": scale_machines.chip, "transistors": scale_machines.transistors,
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """A picture uint8 [size size 3] and what it shows; `captions` say it in up to twelve ways."""

    image: np.ndarray
    kind: str  # one of KINDS
    colour: str  # one of COLOURS[kind]
    style: str  # one of STYLES
    captions: list[str]


def make_scene(
    seed: int, kind: str | None = None, *, colour: str | None = None, style: str | None = None, size: int = 64
) -> Scene:
    """Draws the scene of `seed`; `kind`, `colour` and `style` are drawn from it where not given.

    Raises InputError for a kind, a colour of that kind, or a style that the world does not know, and for sizes
    outside 16 to 2048 pixels.
    """
    checks.integer(size, "size", low=16, high=2048)
    rng = np.random.default_rng([checks.integer(seed, "seed", low=0), 6])
    drawn_kind, drawn_colour, drawn_style = (
        rng.integers(len(KINDS)),
        rng.random(),
        rng.choice(len(STYLES), p=STYLE_SHARES),
    )
    kind = _known(kind, "kind", KINDS) if kind is not None else KINDS[drawn_kind]
    colours = COLOURS[kind]
    colour = _known(colour, "colour", colours) if colour is not None else colours[int(drawn_colour * len(colours))]
    style = _known(style, "style", STYLES) if style is not None else STYLES[drawn_style]
    painter = Painter(size)
    _PAINTERS[kind](painter, rng, jitter(rng, PALETTE[colour], 7))
    scale_styles.apply(painter, rng, style)
    words = scale_captions.captions(kind, colour, style, np.random.default_rng([seed, 7]))
    return Scene(painter.picture(), kind, colour, style, words)


def _known(value: str, name: str, among: tuple[str, ...]) -> str:
    if value not in among:
        raise InputError(f"{name}: one of {', '.join(among)} is needed, got {shown(value)}.")
    return value
