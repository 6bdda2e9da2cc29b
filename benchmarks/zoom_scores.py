"""What is measured of a zoom stack in `zoom_ablation.py`: agreement across scales, sharpness, seams.

Levels are uint8 [N H W 3], the widest first, each about the middle 1/p of the one before.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmarks import metrics
from genkey_core.media import to_float, to_uint8
from genkey_core.zoom.blend import split
from genkey_core.zoom.stack import centre, covered, decimate, render_images


def consistency_db(levels: np.ndarray, p: int) -> float:
    """PSNR between the middle of each level and the next one downsampled to it, mean over the pairs; 8 bits a colour."""
    small = decimate(to_float(levels[1:]), p)
    middles = centre(to_float(levels[:-1]), *small.shape[-2:])
    pairs = zip(to_uint8(middles), to_uint8(small.clamp(-1, 1)), strict=True)
    return float(np.mean([min(metrics.psnr(a, b), 60.0) for a, b in pairs]))  # 60: nothing but rounding


def own_detail(levels: np.ndarray, p: int) -> tuple[float, float]:
    """RMS of the finest octave, grey levels: (mean over the levels of what is each level's own, of the deepest level).

    A level's own pixels lie outside its middle, which is the next level's, reduced and so sharper than any drawing.
    """
    finest = split(to_float(levels), 2)[0][0] * 127.5
    own = torch.ones(finest.shape[-2:], dtype=torch.bool)
    centre(own, *(covered(n, p) for n in own.shape))[:] = False
    each = [_rms(level[:, own]) for level in finest[:-1]] + [_rms(finest[-1])]
    return float(np.mean(each)), each[-1]


def seam(levels: np.ndarray, p: int) -> float:
    """How visible the border of the next level is, as the zoom shows it: 1 is not at all.

    Mean step across the border over the mean step between neighbours one pixel to both sides of it.
    """
    shown = render_images(to_float(levels), p)[:-1]
    size = shown.shape[-2:]
    return float(
        np.mean([_edge(shown, axis, size[axis], covered(size[axis], p), size[1 - axis], p) for axis in (0, 1)])
    )


def _edge(shown: Tensor, axis: int, size: int, inner: int, across: int, p: int) -> float:
    """The ratio of steps along both borders that cross one axis (0 is the height)."""
    lines = shown.movedim(-2 + axis, -1)  # [.. along, axis]
    low, high = (size - inner) // 2, (size + inner) // 2
    along = slice((across - covered(across, p)) // 2, (across + covered(across, p)) // 2)
    steps = (lines[..., along, 1:] - lines[..., along, :-1]).abs()  # step k lies between pixels k and k + 1
    border = steps[..., [low - 1, high - 1]].mean()
    beside = steps[..., [low - 2, low, high - 2, high]].mean()
    return float(border / beside.clamp(min=1e-4))


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
