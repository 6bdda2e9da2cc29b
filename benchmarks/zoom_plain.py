"""The zoom stack written plainly, a level, a view and a picture at a time: the yardstick of `zoom_speed.py` and of tests.

It follows section 6.2 and Alg. 3 word by word (crop, enlarge, split, average; mask, pad, replace) with the usual
library calls, and shares nothing with `genkey_core/zoom` but the prefilter's width.
"""

import torch
from torch.nn import functional

from genkey_core.zoom.stack import SPREAD


def kernel(width, p_spread, *, noise):
    """A truncated Gaussian of `width` x `width` pixels: adding up to one, or of unit length for noise."""
    offsets = torch.arange(width) - (width - 1) / 2
    line = torch.exp(-0.5 * (offsets / p_spread) ** 2)
    square = line[:, None] * line[None]
    return square / (square.norm() if noise else square.sum())


def shrink(image, factor, p, *, noise=False):
    """D without padding: [C H W] -> [C H/factor W/factor], applying the kernel of p x p pixels as often as needed."""
    while factor > 1:
        weights = kernel(p, SPREAD * p, noise=noise)[None, None].repeat(len(image), 1, 1, 1)
        image = functional.conv2d(image[None], weights, stride=p, groups=len(image))[0]
        factor //= p
    return image


def render(layers, p, *, noise=False):
    """Alg. 3 for every level."""
    count, channels, height, width = layers.shape
    levels = []
    for i in range(count):
        level = layers[i]
        for j in range(i + 1, count):
            factor = p ** (j - i)
            h, w = height // factor, width // factor
            if min(h, w) < 2:
                break
            top, left = (height - h) // 2, (width - w) // 2
            mask, padded = torch.zeros(1, height, width), torch.zeros(channels, height, width)
            mask[:, top : top + h, left : left + w] = 1
            padded[:, top : top + h, left : left + w] = shrink(layers[j], factor, p, noise=noise)
            level = mask * padded + (1 - mask) * level
        levels.append(level)
    return torch.stack(levels)


def laplacian(image, p):
    """Bands [C H W], the finest first, and last the rest."""
    bands = []
    while min(image.shape[-2:]) >= 2 * p:
        small = shrink(image, p, p)
        bands.append(image - functional.interpolate(small[None], image.shape[-2:], mode="bilinear")[0])
        image = small
    return [*bands, image]


def blend(levels, p):
    """Section 6.2.2: for every layer, the pyramids of all views of it, averaged band by band where a view has the band."""
    count, _, height, width = levels.shape
    layers = []
    for i in range(count):
        pyramids = []
        for j in range(i, -1, -1):
            factor = p ** (i - j)
            h, w = height // factor, width // factor
            if min(h, w) < 2:
                break
            top, left = (height - h) // 2, (width - w) // 2
            view = levels[j][:, top : top + h, left : left + w]
            pyramids.append(laplacian(functional.interpolate(view[None], (height, width), mode="bilinear")[0], p))
        image = None
        for k in reversed(range(len(pyramids[0]))):
            having = [pyramid[k] for d, pyramid in enumerate(pyramids) if d <= k]
            band = sum(having) / len(having)
            enlarged = 0 if image is None else functional.interpolate(image[None], band.shape[-2:], mode="bilinear")[0]
            image = band + enlarged
        layers.append(image)
    return torch.stack(layers)
