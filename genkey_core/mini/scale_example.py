"""The bundled example of own images: four "photos" of one drawn circuit board, from ever closer.

The board, the chip in its middle and the transistors of one of its blocks are scenes of the scale world, put into one
another. Each photo is taken a little turned, off the middle and with another exposure, as a hand would.
"""

from __future__ import annotations

import cv2
import numpy as np

from .scale_world import make_scene

SIDE, SHAPE = 2048, (1200, 1200)  # of the scenes, and of a photo (W, H)
SEED = 3
# How wide each scene is, and where its middle lies off the board's, as shares of the board: the transistors fill a block.
PLACES = ((1.0, (0.0, 0.0)), (0.2, (0.0, 0.0)), (0.024, (0.0003, -0.0152)))
# How wide each photo is, as a share of the board; its middle; how far it is turned; exposure of red, green and blue.
PHOTOS = (
    (0.92, (0.0, 0.0), 0.0, (1.0, 1.0, 1.0)),
    (0.34, (0.012, -0.008), 3.5, (1.06, 1.03, 0.98)),
    (0.11, (-0.002, -0.009), -4.0, (0.94, 0.96, 1.0)),
    (0.036, (0.0005, -0.0142), 2.5, (1.03, 1.0, 1.04)),
)


def photos() -> list[np.ndarray]:
    """The photos, uint8 [H W 3], the widest first; the same at every call."""
    scenes = [
        make_scene(SEED, "circuit board", colour="green", style="photo", size=SIDE).image,
        make_scene(SEED, "chip", colour="blue", style="photo", size=SIDE).image,
        make_scene(4, "transistors", colour="blue", style="photo", size=SIDE).image,
    ]
    scenes = [_with_grain(scene, seed) for seed, scene in enumerate(scenes)]
    return [_photo(scenes, *taken, seed=k) for k, taken in enumerate(PHOTOS)]


def _with_grain(scene: np.ndarray, seed: int) -> np.ndarray:
    """A scene with a fine weave and speckle of its material, which drawings lack and cameras see."""
    rng, speckle = np.random.default_rng([seed, 11]), np.zeros(scene.shape[:2], np.float32)
    for sigma, strength in ((1.5, 3.0), (4.0, 4.0), (12.0, 4.0)):
        noise = cv2.GaussianBlur(rng.standard_normal(scene.shape[:2]).astype(np.float32), (0, 0), sigma)
        speckle += strength * noise / noise.std()
    return np.clip(scene + speckle[..., None], 0, 255).astype(np.uint8)


def _photo(scenes, width: float, middle: tuple[float, float], turn_deg: float, exposure, *, seed: int) -> np.ndarray:
    """One photo: every scene drawn where it lies, the chip and the block within soft edges; drawn double and reduced."""
    size = tuple(2 * side for side in SHAPE)
    image = np.zeros((size[1], size[0], 3), np.float32)
    for scene, (share, place) in zip(scenes, PLACES, strict=True):
        zoom = share / width * size[0] / SIDE  # photo pixels per scene pixel
        placed = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), turn_deg, zoom)
        off = (np.array(middle) - place) / share * SIDE  # of the photo's middle, in pixels of the scene
        centre = np.array(size) / 2 - placed[:, :2] @ off
        placed[:, 2] += centre - SIDE / 2
        flags = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
        drawn = _reduced_first(scene, placed, zoom, size, flags)
        edge = np.zeros(scene.shape[:2], np.float32)
        rim = 0 if share == 1.0 else SIDE // 24
        edge[rim : SIDE - rim, rim : SIDE - rim] = 1.0
        alpha = cv2.warpAffine(cv2.GaussianBlur(edge, (0, 0), SIDE / 90) if rim else edge, placed, size)[..., None]
        image += alpha * (drawn - image)
    rng = np.random.default_rng([seed, 12])
    image = cv2.resize(image * np.array(exposure, np.float32), SHAPE, interpolation=cv2.INTER_AREA)
    return np.clip(image + rng.normal(0, 1.0, image.shape), 0, 255).astype(np.uint8)


def _reduced_first(scene: np.ndarray, placed: np.ndarray, zoom: float, size: tuple[int, int], flags: int) -> np.ndarray:
    """`scene` warped by `placed`; shrunk beforehand where it would alias."""
    k = max(1, round(1 / zoom)) if zoom < 1 else 1
    if k > 1:
        scene = cv2.resize(scene, (SIDE // k, SIDE // k), interpolation=cv2.INTER_AREA)
        shrink = SIDE / (SIDE // k)
        placed = placed @ np.array([[shrink, 0, (shrink - 1) / 2], [0, shrink, (shrink - 1) / 2], [0, 0, 1]])
    return cv2.warpAffine(scene.astype(np.float32), placed, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
