"""Who the procedural presenter is: face, hair, clothes, glasses and light, drawn from a seed.

Lengths are in *head units*: the middle of the head is the origin, the head is about two units high, x runs to the right
of the picture, y down, z towards the viewer. Colours are RGB in [0, 1].
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

TRAIN_SEEDS = range(0, 100_000)
VALIDATION_SEEDS = range(900_000, 910_000)  # identities no training has seen

HAIR_STYLES = ("bald", "short", "parted", "afro", "bob", "long", "bun", "fringe")
BEARDS = ("none", "stubble", "full", "moustache")
SHIRTS = ("plain", "striped", "jacket", "buttons")
BACKDROPS = ("wall", "shelf", "window", "curtain", "panels", "plants")

Colour = tuple[float, float, float]

_SKINS = (
    (0.97, 0.83, 0.73), (0.93, 0.75, 0.62), (0.87, 0.66, 0.50), (0.78, 0.56, 0.40), (0.62, 0.42, 0.29), (0.44, 0.29, 0.20),
)  # fmt: skip
_HAIRS = (
    (0.07, 0.06, 0.06), (0.17, 0.11, 0.08), (0.32, 0.20, 0.12), (0.50, 0.33, 0.18), (0.80, 0.63, 0.36), (0.56, 0.24, 0.12),
    (0.60, 0.59, 0.58), (0.87, 0.86, 0.84),
)  # fmt: skip
_IRISES = ((0.28, 0.18, 0.10), (0.42, 0.30, 0.16), (0.30, 0.44, 0.28), (0.28, 0.44, 0.62), (0.44, 0.50, 0.54))


@dataclass(frozen=True)
class Identity:
    """One person in one room. Every field is a plain number, name or colour."""

    seed: int
    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    hair_style: str
    hairline: float  # how far down the forehead the hair comes, head units
    hair_side: float  # -1 or 1: where the parting is
    beard: str
    glasses: str  # "none", "round" or "square"
    glasses_colour: Colour
    shirt: str
    shirt_colour: Colour
    second_colour: Colour  # stripes, what is under the jacket, buttons
    earrings: bool
    face_width: float  # half width of the head
    face_depth: float
    jaw: float  # how much the face narrows to the chin
    chin: float
    nose_length: float
    nose_width: float
    eye_spacing: float
    eye_size: float
    brow_height: float
    brow_weight: float
    mouth_width: float
    lip_weight: float
    shoulders: float  # half width
    neck: float  # half width
    freckles: float
    backdrop: str
    room: Colour
    light: tuple[float, float, float]  # direction to the lamp, unit vector
    warmth: float  # colour of the lamp, -1 blue to 1 yellow
    framing: tuple[float, float, float]  # head's middle x, y as shares of the picture; head unit as share of its height


def identity(seed: int) -> Identity:
    """The person of `seed`; the same seed gives the same person on every machine."""
    rng = np.random.default_rng([4, 2, seed])

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def pick(options):
        return options[int(rng.integers(len(options)))]

    skin = _tinted(pick(_SKINS), rng, 0.05)
    broad = between(0.0, 1.0)
    style = pick(HAIR_STYLES)
    bearded = broad > 0.45 and rng.random() < 0.6
    light = np.array([between(-0.8, 0.8), between(-0.75, -0.25), between(0.55, 1.0)])
    hue = between(0, 1)
    shirt_colour = colorsys.hsv_to_rgb(hue, between(0.12, 0.65), between(0.18, 0.8))
    second = colorsys.hsv_to_rgb((hue + between(0.3, 0.6)) % 1, between(0.05, 0.5), between(0.55, 0.97))
    room = colorsys.hsv_to_rgb(between(0, 1), between(0.04, 0.32), between(0.42, 0.86))
    return Identity(
        seed=seed, skin=skin, hair=_tinted(pick(_HAIRS), rng, 0.12), iris=pick(_IRISES),
        lips=(min(1.0, skin[0] * between(0.86, 0.98)), skin[1] * between(0.52, 0.70), skin[2] * between(0.58, 0.78)),
        hair_style=style, hairline=between(-0.05, 0.12), hair_side=float(pick((-1, 1))),
        beard=pick(BEARDS[1:]) if bearded else "none",
        glasses=pick(("round", "square")) if rng.random() < 0.35 else "none",
        glasses_colour=pick(((0.06, 0.06, 0.07), (0.30, 0.17, 0.10), (0.62, 0.55, 0.40), (0.45, 0.08, 0.10))),
        shirt=pick(SHIRTS), shirt_colour=shirt_colour, second_colour=second,
        earrings=bool(broad < 0.5 and rng.random() < 0.4),
        face_width=between(0.71, 0.80), face_depth=between(0.86, 0.97), jaw=0.34 - 0.16 * broad + between(-0.04, 0.04),
        chin=between(0.02, 0.11), nose_length=between(0.14, 0.25), nose_width=between(0.10, 0.15),
        eye_spacing=between(0.29, 0.34), eye_size=between(0.145, 0.18), brow_height=between(-0.36, -0.29),
        brow_weight=between(0.028, 0.062), mouth_width=between(0.25, 0.32), lip_weight=between(0.045, 0.085),
        shoulders=1.55 + 0.4 * broad + between(-0.05, 0.1), neck=0.36 + 0.12 * broad, freckles=max(0.0, between(-0.6, 0.7)),
        backdrop=pick(BACKDROPS), room=room, light=tuple((light / np.linalg.norm(light)).tolist()),
        warmth=between(-0.7, 1.0), framing=(between(0.46, 0.54), between(0.36, 0.41), between(0.185, 0.215)),
    )  # fmt: skip


def _tinted(colour: Colour, rng: np.random.Generator, amount: float) -> Colour:
    """`colour` a little lighter or darker and a little off."""
    tint = np.asarray(colour) * (1 + rng.uniform(-amount, amount)) * (1 + rng.uniform(-amount, amount, 3) * 0.35)
    return tuple(np.clip(tint, 0.02, 0.99).tolist())
