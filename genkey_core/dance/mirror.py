"""Mirrored keyframes without a model: the subject turned about its own axis before the one background (thesis section 7.2.2).

The augmented set is ordered: originals 0 to K - 1, then their mirrors K to 2K - 1, so that mirror(k) = (k + K) mod 2K.
"""

from __future__ import annotations

import numpy as np

from ..checks import InputError
from .matting import pure_colours
from .plates import Scene


def mirror_of(keyframe: int, keyframes: int) -> int:
    """The number of the mirrored counterpart in an augmented set of 2K `keyframes`."""
    if keyframes % 2 or not 0 <= keyframe < keyframes:
        raise InputError(f"keyframe: one of an augmented (even) set is needed, got {keyframe} of {keyframes}.")
    return (keyframe + keyframes // 2) % keyframes


def augmented(scene: Scene) -> Scene:
    """The scene of 2K keyframes: the K originals and their mirrors, all composed anew over the shared plate.

    So the background is the same in all of them, bit for bit, wherever the subject and its shadow are not.
    """
    colours = _colours(scene)
    sums = [mirror_sum(mask) for mask in scene.masks]
    masks = [*scene.masks, *(flipped(m, s, outside=0.0) for m, s in zip(scene.masks, sums, strict=True))]
    shades = [*scene.shades, *(flipped(x, s, outside=1.0) for x, s in zip(scene.shades, sums, strict=True))]
    colours += [flipped(c, s, outside=0) for c, s in zip(colours, sums, strict=True)]
    images = [compose(c, m, x, scene.plate) for c, m, x in zip(colours, masks, shades, strict=True)]
    return Scene(np.stack(images), np.stack(masks), scene.plate, np.stack(shades), scene.notes)


def over_plate(scene: Scene) -> Scene:
    """The scene with its keyframes composed anew over the plate, so that their backgrounds agree bit for bit."""
    layers = zip(_colours(scene), scene.masks, scene.shades, strict=True)
    images = np.stack([compose(c, m, x, scene.plate) for c, m, x in layers])
    return Scene(images, scene.masks, scene.plate, scene.shades, scene.notes)


def _colours(scene: Scene) -> list[np.ndarray]:
    """The subjects' own colours, uint8 [H W 3] each, also where the background shines through."""
    layers = zip(scene.images, scene.masks, strict=True)
    return [np.clip(np.rint(pure_colours(i, m)), 0, 255).astype(np.uint8) for i, m in layers]


def mirror_sum(mask: np.ndarray) -> int:
    """x + x' of a column and its mirror image: twice the axis of the subject in `mask` float32 [H W], in pixels.

    The axis goes through the centre of the subject's area, moved as far as the turned subject needs to stay in the picture. A
    subject that the picture's side cuts off is turned about the picture's middle, so that the cut stays at the side.
    """
    w = mask.shape[1]
    weight = mask.sum(0, dtype=np.float64)
    columns = np.flatnonzero((mask > 0.5).any(0))
    if not len(columns):
        return w - 1
    first, last = int(columns[0]), int(columns[-1])
    if first == 0 or last == w - 1:
        return w - 1
    twice = round(2.0 * float((weight * np.arange(w)).sum() / weight.sum()))
    return int(np.clip(twice, last, w - 1 + first))


def flipped(layer: np.ndarray, twice: int, *, outside: float) -> np.ndarray:
    """`layer` [H W ...] with column x read from column `twice - x`; what comes from beyond the picture is `outside`."""
    w = layer.shape[1]
    source = twice - np.arange(w)
    inside = (source >= 0) & (source < w)
    turned = np.full_like(layer, outside)
    turned[:, inside] = layer[:, source[inside]]
    return turned


def compose(colours: np.ndarray, mask: np.ndarray, shade: np.ndarray, plate: np.ndarray) -> np.ndarray:  # [H W 3] uint8
    """The subject over the shaded plate: `colours`, `plate` uint8 [H W 3]; `mask`, `shade` float32 [H W]."""
    share = mask[..., None]
    picture = share * colours + ((1.0 - mask) * shade)[..., None] * plate
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
