"""Edge maps of mirrored keyframes (thesis section 7.2.2): the subject's edges turned round over one background's edges.

Edge maps are uint8 [H W], 0 or 255. Those of the background are stitched from all keyframes, and where none shows it they are
those of the inpainted plate. Originals and mirrors have the same background edges, so that a model draws the same background.
"""

from __future__ import annotations

import cv2
import numpy as np

from .mirror import flipped, mirror_sum
from .plates import Scene

THRESHOLDS = 50, 100  # Canny's, as in the thesis
_REACH = 0.006  # of the long side: the band around a subject whose edges are its own outline's


def canny(image: np.ndarray) -> np.ndarray:  # [H W] uint8, 0 or 255
    """Canny's edges of uint8 [H W 3] at the thresholds (50, 100)."""
    return cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), *THRESHOLDS)


def territory(mask: np.ndarray) -> np.ndarray:  # [H W] bool
    """The subject of `mask` float32 [H W] with the band around it in which its outline lies."""
    radius = max(2, round(_REACH * max(mask.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate((mask > 0.5).astype(np.uint8), disc) > 0


def background_edges(images: np.ndarray, masks: np.ndarray, plate: np.ndarray) -> np.ndarray:  # [H W]
    """The shared edges of the background of `images` uint8 [K H W 3] around `masks` float32 [K H W].

    An edge of the plate stays where at least half of the keyframes that show the place have one within a pixel of it, and where
    none shows it. So the lines are single and thin, and what one keyframe alone has is left out.
    """
    free = np.stack([~territory(m) for m in masks])
    near = np.stack([cv2.dilate(canny(i), np.ones((3, 3), np.uint8)) > 0 for i in images])
    votes, shown = (near & free).sum(0), free.sum(0)
    return np.where(2 * votes >= shown, canny(plate), 0).astype(np.uint8)  # 0 >= 0 where nothing is shown


def augmented_edges(scene: Scene) -> np.ndarray:  # [2K H W]
    """The edge maps of the originals and then of their mirrors, of a scene of K keyframes before it is augmented."""
    background = background_edges(scene.images, scene.masks, scene.plate)
    originals, mirrors = [], []
    for image, mask in zip(scene.images, scene.masks, strict=True):
        edges, own, twice = canny(image), territory(mask), mirror_sum(mask)
        originals.append(np.where(own, edges, background))
        turned = flipped(own, twice, outside=False)
        mirrors.append(np.where(turned, flipped(edges, twice, outside=0), background))
    return np.stack([*originals, *mirrors])
