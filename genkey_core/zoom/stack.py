"""The zoom stack: images and noise that agree across scales (thesis section 6.2.1, Alg. 3).

A stack is N layers [N C H W]; level i shows the middle 1/p of level i - 1. Two letters more than the library's: N levels,
and p, the whole number that one level is magnified by over the one before.

The operator D downscales by p: a prefilter with a truncated Gaussian of p x p pixels, then every p-th of them. It is
separable and linear, so along each axis it is one small matrix. D by p^d is D applied d times, a bell of p^d x p^d pixels;
Alg. 3's nested replacements by D_1, D_2, ... are then one recursion from the finest level up,

    level_i = layer_i with its middle replaced by D(level_{i + 1}),

which takes N - 1 products in place of N (N - 1) / 2, and makes neighbouring levels agree exactly, whatever the size.

Everything is aligned at the centre of the picture: pixels are counted by their offset from it, in halves where the size
is even.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ..checks import InputError

SPREAD = 0.5  # standard deviation of the prefilter, as a share of its width p; for p = 2 any value gives the box


def covered(size: int, p: int) -> int:
    """How many pixels in the middle of a level of `size` pixels the next level covers whole, along one axis.

    size / p where that is a whole number of the same parity; otherwise less by up to two, so that the middle stays put.
    """
    n = size // p
    return n - (n - size) % 2


def check_geometry(height: int, width: int, p: int) -> None:
    """Raise InputError where p is no whole number of at least 2, or the images are too small for it."""
    if isinstance(p, bool) or not isinstance(p, int) or p < 2:
        raise InputError(f"zoom factor: a whole number of at least 2 is needed, got {p!r}.")
    if min(covered(height, p), covered(width, p)) < 1:
        raise InputError(f"images: {width}x{height} pixels are too few to hold the next level at a zoom factor of {p}.")


def reduction(size: int, n: int, p: int, *, noise: bool = False) -> Tensor:  # [n size]
    """D along one axis, float32: `size` pixels to `n` pixels p times as wide, about the same centre.

    Rows add up to one. For noise they have unit length instead, and hold only pixels that lie whole inside one window:
    windows then share no pixel, and independent N(0, 1) stays independent N(0, 1).
    """
    windows = p * (torch.arange(n) - (n - 1) / 2)
    pixels = torch.arange(size) - (size - 1) / 2
    offset = pixels[None] - windows[:, None]
    share = (p / 2 + 0.5 - offset.abs()).clamp(0, 1)  # of each pixel, what lies inside the window
    if noise:
        share = (share == 1).float()
    weights = share * torch.exp(-0.5 * (offset / (SPREAD * p)) ** 2)
    return weights / (weights.norm(dim=1, keepdim=True) if noise else weights.sum(1, keepdim=True))


@lru_cache(maxsize=256)
def _cached_reduction(size: int, n: int, p: int, noise: bool, device: torch.device) -> Tensor:
    """`reduction` on `device`, made once."""
    return reduction(size, n, p, noise=noise).to(device)


def separable(rows: Tensor, images: Tensor, columns: Tensor) -> Tensor:  # [.. H W] -> [.. n m]
    """One matrix along the height and one along the width, in float32."""
    return torch.matmul(rows, torch.matmul(images.float(), columns.T))


def reduced(images: Tensor, height: int, width: int, p: int, *, noise: bool = False) -> Tensor:  # [.. H W] -> [.. h w]
    """D to `height` x `width` pixels about the same centre.

    Where p divides both sides the windows tile the picture, and each axis is one weighted sum of slices: a few passes over
    memory in place of a product.
    """
    h, w = images.shape[-2:]
    if (h, w) == (height * p, width * p):
        line = _window(p, noise, images.device)
        tiles = images.float().unflatten(-2, (height, p))
        rows = tiles[..., 0, :] * line[0]
        for k in range(1, p):
            rows = torch.addcmul(rows, tiles[..., k, :], line[k])
        return torch.mv(rows.reshape(-1, p), line).view(*rows.shape[:-1], width)
    rows = _cached_reduction(h, height, p, noise, images.device)
    return separable(rows, images, _cached_reduction(w, width, p, noise, images.device))


@lru_cache(maxsize=64)
def _window(p: int, noise: bool, device: torch.device) -> Tensor:  # [p]
    return reduction(p, 1, p, noise=noise)[0].to(device)


def decimate(images: Tensor, p: int) -> Tensor:  # [.. H W] -> [.. h w]
    """D without its zero padding: images p times smaller, of which whole pixels are kept (`covered`)."""
    return _decimated(images, p)


def decimate_noise(noise: Tensor, p: int) -> Tensor:  # [.. H W] -> [.. h w]
    """D for noise, scaled by one over the length of its kernel (p for a box): N(0, 1) stays N(0, 1)."""
    return _decimated(noise, p, noise=True)


def _decimated(images: Tensor, p: int, *, noise: bool = False) -> Tensor:
    height, width = images.shape[-2:]
    check_geometry(height, width, p)
    return reduced(images, covered(height, p), covered(width, p), p, noise=noise)


def centre(images: Tensor, height: int, width: int) -> Tensor:  # [.. H W] -> [.. height width]
    """The middle of images, as a view; sizes must have the parity of the images' own."""
    top, left = (images.shape[-2] - height) // 2, (images.shape[-1] - width) // 2
    return images[..., top : top + height, left : left + width]


def render_images(layers: Tensor, p: int) -> Tensor:  # [N .. H W] -> [N .. H W]
    """Every level as seen through the stack: Pi_image of Alg. 3, float32, on the layers' device.

    The middle of each level is, to the bit, `decimate` of the next. Raises InputError where the layers are too small.
    """
    return _composite(layers, p)


def render_noise(noise: Tensor, p: int) -> Tensor:  # [N .. H W] -> [N .. H W]
    """Noise that agrees across scales, made of independent N(0, 1) noise: Pi_noise of Alg. 3, N(0, 1) at every level."""
    return _composite(noise, p, noise=True)


def _composite(layers: Tensor, p: int, *, noise: bool = False) -> Tensor:
    check_geometry(*layers.shape[-2:], p)
    levels = layers.to(torch.float32, copy=True)
    for i in range(len(levels) - 2, -1, -1):
        small = _decimated(levels[i + 1], p, noise=noise)
        centre(levels[i], *small.shape[-2:]).copy_(small)
    return levels
