"""Multi-resolution blending: several views of one scene at several scales become one zoom stack (thesis section 6.2.2).

Layer i is seen by level i and, smaller and smaller, in the middle of every level j < i. Each view is split into a
Laplacian pyramid with steps of p, and bands are averaged over the views that have them: level i - d is p^d times coarser, so
it lacks the d finest bands of layer i. What level i - d shows of layer i at scale k is the middle of its own Gaussian
pyramid at scale k - d; so one pyramid per level is enough, and the sums over all wider views are one recursion,

    wider[i, k] = middle(gaussian[i - 1, k - 1] + wider[i - 1, k - 1]),

with all levels at once. The pyramid downscales by the same operator as the zoom stack, so images that agree already are
given back. A view of a pixel or less has no band of the layer, and is not counted.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from .stack import centre, check_geometry, reduced, separable


def pyramid_sizes(height: int, width: int, p: int) -> list[tuple[int, int]]:
    """(height, width) of every band and of the rest, the finest first: each p times smaller, with the same parity.

    It ends where a side has fewer than 2p pixels.
    """
    sizes = [(height, width)]
    while min(sizes[-1]) >= 2 * p:
        sizes.append(tuple(_reduced(n, p) for n in sizes[-1]))
    return sizes


def _reduced(size: int, p: int) -> int:
    """Pixels p times as wide that cover `size` pixels about the same centre."""
    n = -(-size // p)
    return n + (n - size) % 2


@lru_cache(maxsize=256)
def _expansion(size: int, n: int, p: int, device: torch.device) -> Tensor:  # [size n]
    """Linear interpolation of `n` pixels p times as wide at `size` pixels about the same centre, held at the ends."""
    where = ((torch.arange(size) - (size - 1) / 2) / p + (n - 1) / 2).clamp(0, n - 1)
    return (1 - (where[:, None] - torch.arange(n)[None]).abs()).clamp(min=0).to(device)


def expand(images: Tensor, height: int, width: int, p: int) -> Tensor:  # [.. h w] -> [.. height width]
    """Images p times larger, by linear interpolation about the centre, held at the border."""
    h, w = images.shape[-2:]
    if (height, width) == (h * p, w * p):
        return _interpolated(_interpolated(images.float(), p, -1), p, -2)
    rows = _expansion(height, h, p, images.device)
    return separable(rows, images, _expansion(width, w, p, images.device))


def _interpolated(images: Tensor, p: int, axis: int) -> Tensor:
    """p times as many pixels along one axis: each of the p phases is one weighted mean of neighbours."""
    n = images.shape[axis]
    before = torch.cat([images.narrow(axis, 0, 1), images.narrow(axis, 0, n - 1)], axis)
    after = torch.cat([images.narrow(axis, 1, n - 1), images.narrow(axis, n - 1, 1)], axis)
    shape = list(images.shape)
    shape[axis] = n * p
    larger = torch.empty(shape, device=images.device)
    phases = larger.unflatten(axis, (n, p))
    for k in range(p):
        offset = (k + 0.5) / p - 0.5
        neighbour = before if offset < 0 else after
        torch.lerp(images, neighbour, abs(offset), out=phases.select(axis, k))
    return larger


def gaussian_pyramid(images: Tensor, p: int) -> list[Tensor]:
    """Images [.. H W] at every size of `pyramid_sizes`."""
    gaussian = [images.float()]
    for height, width in pyramid_sizes(*images.shape[-2:], p)[1:]:
        gaussian.append(reduced(gaussian[-1], height, width, p))
    return gaussian


def split(images: Tensor, p: int) -> tuple[list[Tensor], Tensor]:
    """The Laplacian pyramid of images [.. H W]: its bands, the finest first, and the rest."""
    gaussian = gaussian_pyramid(images, p)
    bands = [fine - expand(coarse, *fine.shape[-2:], p) for fine, coarse in pairwise(gaussian)]
    return bands, gaussian[-1]


def merge(bands: list[Tensor], rest: Tensor, p: int) -> Tensor:
    """The images that `split` came from."""
    image = rest
    for band in reversed(bands):
        image = band + expand(image, *band.shape[-2:], p)
    return image


def blend(levels: Tensor, p: int, *, invented: int = 0) -> Tensor:  # [N C H W] -> [N C H W]
    """The layers of the zoom stack that agree best with all `levels`, band by band; float32, on the levels' device.

    `invented` is how many of their finest bands the levels have from an upscaler and not from what they were: those count
    for a level itself, and not against a finer level that has seen them (`invented_bands`).
    """
    check_geometry(*levels.shape[-2:], p)
    gaussian = gaussian_pyramid(levels, p)
    wider = _wider_views(gaussian, invented)
    last = len(gaussian) - 1
    layers = gaussian[last] if last <= invented else (gaussian[last] + wider[last]) / _counts(levels, last - invented)
    for k in range(last - 1, -1, -1):
        size = gaussian[k].shape[-2:]
        if k <= invented:  # no other view has this band
            layers = expand(layers - gaussian[k + 1], *size, p).add_(gaussian[k])
            continue
        # Band k of each view that has it: what the view shows at this scale, less what it shows at the next one.
        coarser, count = gaussian[k + 1] + wider[k + 1], _counts(levels, k - invented)
        d = k + 1 - invented  # the sums at k + 1 hold one view more, which has no band k
        coarser[d:] -= centre(gaussian[invented][:-d], *coarser.shape[-2:]) if d < len(levels) else 0
        layers = (expand(count * layers - coarser, *size, p) + gaussian[k] + wider[k]) / count
    return layers


def _wider_views(gaussian: list[Tensor], invented: int) -> list[Tensor | None]:
    """For every scale k, the sum over what the levels further out show of each layer: d levels out for k >= d + invented.

    None where there is no such level.
    """
    sums: list[Tensor | None] = [None] * (min(invented, len(gaussian) - 1) + 1)
    for k in range(len(sums), len(gaussian)):
        views = gaussian[k - 1] if sums[k - 1] is None else gaussian[k - 1] + sums[k - 1]
        total = torch.zeros_like(gaussian[k])
        total[1:] = centre(views[:-1], *total.shape[-2:])
        sums.append(total)
    return sums


def _counts(levels: Tensor, most: int) -> Tensor:  # [N 1 1 1]
    """Views of each layer: its own, and of those further out as many as there are, at most `most`."""
    return 1 + torch.arange(len(levels), device=levels.device).clamp(max=max(most, 0)).view(-1, 1, 1, 1)


def invented_bands(factor: float, p: int) -> int:
    """How many bands of steps of p an upscaler by `factor` adds."""
    return max(0, round(math.log(factor, p)))


def blend_naively(levels: Tensor, p: int) -> Tensor:  # [N C H W] -> [N C H W]
    """The plain mean of all views of each layer, enlarged: the ablation of section 6.3.3, as in MultiDiffusion."""
    height, width = levels.shape[-2:]
    check_geometry(height, width, p)
    total = levels.float().clone()
    views = torch.ones(len(levels), device=levels.device)
    d = 1
    while d < len(levels) and min(height, width) >= p**d:
        total[d:] += expand_middle(levels[:-d], p**d)
        views[d:] += 1
        d += 1
    return total / views.view(-1, 1, 1, 1)


def expand_middle(images: Tensor, factor: int) -> Tensor:  # [.. H W] -> [.. H W]
    """The middle 1/`factor` of images enlarged to their size, by linear interpolation."""
    height, width = images.shape[-2:]
    rows, columns = (_expansion(n, n, factor, images.device) for n in (height, width))
    return separable(rows, images, columns)
