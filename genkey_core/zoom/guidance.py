"""Zooming into a photograph (thesis section 6.2.4): clean estimates pulled towards what the photo shows at each scale."""

from __future__ import annotations

from torch import Tensor

from .. import diffusion
from .blend import expand
from .stack import centre, decimate

ADAM_STEPS = 5  # section 6.2.4
ADAM_RATE = 0.1


def seen_in(levels: Tensor, p: int) -> list[Tensor]:
    """D_i of every level i, without its padding: what an outermost picture [C H W] shows of it, down to one pixel."""
    seen, smaller = [], levels
    while len(smaller):
        seen.append(smaller[0])
        if min(smaller.shape[-2:]) < 2 * p or len(smaller) == 1:
            break
        smaller = decimate(smaller[1:], p)
    return seen


def photo_energy(levels: Tensor, photo: Tensor, p: int) -> Tensor:
    """Eq. 6.1: the squared distance of all levels [N C H W], downscaled, from the middle of `photo` [C H W]; a scalar.

    Levels that are smaller than a pixel of the photo are free.
    """
    seen = seen_in(levels, p)
    return sum(((level - centre(photo, *level.shape[-2:])) ** 2).sum() for level in seen)


def towards_photo(levels: Tensor, photo: Tensor, p: int, *, steps: int = ADAM_STEPS, rate: float = ADAM_RATE) -> Tensor:
    """Clean estimates [N C H W] moved by a few steps of Adam towards `photo` [C H W] in the same range and size."""
    return diffusion.lower_energy(levels, lambda x: photo_energy(x, photo, p), steps=steps, rate=rate)


def held_to_photo(layers: Tensor, photo: Tensor, p: int, *, rounds: int = 8) -> Tensor:
    """Layers [N C H W] that show `photo` [C H W]: level 0 as it is, deeper ones by back-projection.

    Adam moves every pixel by about its rate, so the estimates end near the photo and not on it. Here what is still missing
    is added to each layer, enlarged, until the layer downscales to the photo's middle (Irani and Peleg 1991); detail finer
    than a pixel of the photo stays as it was. Layer 0 becomes the photo itself.
    """
    held = layers.float().clone()
    held[0] = photo
    depth = len(seen_in(layers, p))
    for i in range(1, depth):
        for _ in range(rounds):
            small = held[i]
            sizes = [small.shape[-2:]]
            for _ in range(i):
                small = decimate(small, p)
                sizes.append(small.shape[-2:])
            missing = centre(photo, *small.shape[-2:]) - small
            for height, width in reversed(sizes[:-1]):
                missing = expand(missing, height, width, p)
            held[i] += missing
    return held
