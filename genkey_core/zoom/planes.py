"""Pictures as float planes, which the filters work on: RGB, or brightness and halved colour as H.264 stores them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# BT.709 in limited range (ITU-T H.273): brightness 16 to 235, colour 16 to 240 about 128, from R, G, B of 0 to 255.
_LUMA = np.array([0.2126, 0.7152, 0.0722])
_BLUE = (np.array([0.0, 0.0, 1.0]) - _LUMA) / (2 * (1 - _LUMA[2]))
_RED = (np.array([1.0, 0.0, 0.0]) - _LUMA) / (2 * (1 - _LUMA[0]))
_TO_LUMA = np.array([[*(_LUMA * 219 / 255), 16]], np.float32)
_TO_CHROMA = np.array([[*(_BLUE * 224 / 255), 128], [*(_RED * 224 / 255), 128]], np.float32)


@dataclass(frozen=True, eq=False)
class Colour:
    """One kind of planes: `planes = colour(image)`, uint8 [H W 3] -> float32 [C H W]."""

    channels: int
    shrink: int  # how many times smaller than the frame they are wanted, along each side
    matrix: np.ndarray | None = None  # [C 4] from R, G, B and one; None for R, G and B themselves

    def __call__(self, image: np.ndarray) -> np.ndarray:
        planes = np.empty((self.channels, *image.shape[:2]), np.float32)
        if self.matrix is None:
            for plane, channel in zip(planes, cv2.split(np.ascontiguousarray(image)), strict=True):
                np.copyto(plane, channel)
            return planes
        mixed = cv2.transform(image.astype(np.float32), self.matrix)
        for plane, channel in zip(planes, cv2.split(mixed), strict=True):
            np.copyto(plane, channel)
        return planes


to_rgb = Colour(3, 1)
to_luma = Colour(1, 1, _TO_LUMA)
to_chroma = Colour(2, 2, _TO_CHROMA)


def round_into(planes: np.ndarray, out: np.ndarray) -> None:
    """Float32 [C H W] to uint8 [C H W], rounded and clipped to 0 to 255; changes `planes`."""
    for plane, rounded in zip(planes, out, strict=True):
        rounded[:] = cv2.convertScaleAbs(np.maximum(plane, 0, out=plane))


def to_image(planes: np.ndarray) -> np.ndarray:
    """Float32 [3 H W] to a picture uint8 [H W 3], rounded and clipped to 0 to 255; changes `planes`."""
    return cv2.merge([cv2.convertScaleAbs(np.maximum(plane, 0, out=plane)) for plane in planes])
