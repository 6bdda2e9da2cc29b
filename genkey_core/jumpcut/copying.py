"""What the network copies at full size: Eq. 4.1's weights, read as places instead of features (ours, not the thesis's).

Features at a quarter of the size are too coarse for a likeness that a small network could carry through them. The same
attention also says *where* in each source a place of the target is: the mean of the places it looks at, weighted by
Eq. 4.1's softmax, is a flow field, and the share of its weights that falls on a source says how much that source counts.
Sampled with it, the sources give a picture of real pixels, sharp as they are; the generator sees it, and for each pixel
mixes what it paints, that picture, and the two ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkey_core.checks import InputError
from genkey_core.jumpcut.keypoints import LANDMARK_PART
from genkey_core.jumpcut.layers import Conv

if TYPE_CHECKING:
    from genkey_core.jumpcut.networks import Synthesis

PATCH = 4  # pixels a side of one place of the attention
_BELLS = ((0.6, 1.0), (2.0, 0.03), (8.0, 0.0005))  # of how far keypoints lead: places, weight
_PAINTED_FIRST = 2.0  # logit of the painted picture at the start, so that the generator learns to paint too


def places(n_sources: int, height: int, width: int, *, device=None) -> Tensor:
    """[N 3N h w]: at each place of source n in channels 3n to 3n + 2 a one and its x and y in [-1, 1], zero in the rest."""
    x = (torch.arange(width, device=device) + 0.5) * (2 / width) - 1
    y = (torch.arange(height, device=device) + 0.5) * (2 / height) - 1
    here = torch.stack([torch.ones(height, width, device=device), *torch.meshgrid(x, y, indexing="xy")])
    table = torch.zeros(n_sources, n_sources, 3, height, width, device=device)
    index = torch.arange(n_sources, device=device)
    table[index, index] = here
    return table.flatten(1, 2)


@dataclass(frozen=True)
class Copied:
    """The picture that was copied, and from where."""

    picture: Tensor  # [B 3 H W]
    share: Tensor  # [B N h w], of the attention's weights, that fell on each source
    at: Tensor  # [B N 2 h w], the place in each source, x and y in [-1, 1]


def sampled(looked: Tensor, pictures: Tensor) -> Copied:
    """Pictures [B N 3 H W] at the places `looked` [B 3N h w], attention's mean over `places`.

    Sources are mixed by the share of the weights that fell on each.
    """
    batch, n_sources, _, height, width = pictures.shape
    share, x, y = looked.float().unflatten(1, (n_sources, 3)).unbind(2)  # [B N h w]
    at = torch.stack([x, y], 2) / share.clamp(min=1e-4)[:, :, None]
    fine = F.interpolate(
        torch.cat([share[:, :, None], at], 2).flatten(0, 1), (height, width), mode="bilinear", align_corners=False
    )
    grid = fine[:, 1:].permute(0, 2, 3, 1)
    seen = F.grid_sample(pictures.flatten(0, 1).float(), grid, padding_mode="border", align_corners=False)
    weight = fine[:, :1].unflatten(0, (batch, n_sources))
    mixed = (weight * seen.unflatten(0, (batch, n_sources))).sum(1) / weight.sum(1).clamp(min=1e-4)
    return Copied(mixed, share, at)


def missed(copied: Copied, target: Tensor, sources: Tensor) -> Tensor:
    """How far the attention looks past keypoints: in half widths of the picture, and the weight that it wastes.

    target [B K 3] and sources [B N K 3] are x, y in [-1, 1] and 1 where visible; the true keypoints tell attention at the
    target's what a picture's error tells it only where the place is nearly right. Returns one number.
    """
    batch, n_sources, *_ = copied.at.shape
    here = target[:, None, :, :2].expand(-1, n_sources, -1, -1).flatten(0, 1)[:, None]  # [BN 1 K 2]
    parts = torch.cat([copied.share[:, :, None], copied.at], 2).flatten(0, 1)
    read = F.grid_sample(parts, here, padding_mode="border", align_corners=False)[:, :, 0]
    read = read.unflatten(0, (batch, n_sources))  # [B N 3 K]
    both = target[:, None, :, 2] * sources[..., 2]
    off = (read[:, :, 1:] - sources[..., :2].movedim(-1, -2)).norm(dim=2)
    seen = both.amax(1)
    wasted = -((read[:, :, 0] * both).sum(1).clamp(1e-3, 1).log() * seen)
    return (off * both).sum() / both.sum().clamp(min=1) + 0.05 * wasted.sum() / seen.sum().clamp(min=1)


def led(grid: Tensor, sources: Tensor, *, cells: int, landmarks: int) -> Tensor:
    """Where keypoints lead each place of the target in each source: [B N 2 h w], x and y in [-1, 1].

    grid [B 3 H W] and sources [B N 3 H W] are what `keypoints.splat` gives. A keypoint that both show says how far it moves;
    the places between take the mean of those about them, near ones counting most, and far from all a place stays put.
    """
    batch, n_sources, _, height, width = sources.shape
    h, w = height // PATCH, width // PATCH
    at, seen = _found(torch.cat([grid[:, None], sources], 1).flatten(0, 1), cells, landmarks)
    at, seen = at.unflatten(0, (batch, -1)), seen.unflatten(0, (batch, -1))
    both = seen[:, :1] & seen[:, 1:]  # [B N K]
    moved = torch.cat([at[:, 1:] - at[:, :1], torch.ones_like(at[:, 1:, :, :1])], -1) * both[..., None]
    column, row = (((at[:, :1, :, k] + 1) * (n / 2)).long().clamp(0, n - 1) for k, n in ((0, w), (1, h)))
    place = (row * w + column).expand_as(both)
    summed = torch.zeros(batch, n_sources, h * w, 3, device=grid.device)
    summed.scatter_add_(2, place[..., None].expand_as(moved), moved)
    spread = _spread(summed.movedim(-1, -2).reshape(-1, 1, h, w)).view(batch, n_sources, 3, h, w)
    return places(1, h, w, device=grid.device)[0, 1:] + spread[:, :, :2] / (spread[:, :, 2:] + 1e-5)


def _found(grid: Tensor, cells: int, landmarks: int) -> tuple[Tensor, Tensor]:
    """Keypoints of grids [P 3 H W]: places [P K 2] in [-1, 1], and which there are [P K]."""
    body = (LANDMARK_PART - 1) * cells**2
    picture, y, x = torch.nonzero(grid[:, 0] > 0, as_tuple=True)
    part, u, v = grid[picture, :, y, x].float().T
    cell = ((v * cells).long().clamp(max=cells - 1) * cells) + (u * cells).long().clamp(max=cells - 1)
    slot = (part.long() - 1) * cells**2 + cell
    slot = torch.where(part == LANDMARK_PART, body + (u * landmarks).long().clamp(max=max(landmarks - 1, 0)), slot)
    at = torch.zeros(len(grid), body + max(landmarks, 1), 2, device=grid.device)
    seen = torch.zeros(at.shape[:2], dtype=torch.bool, device=grid.device)
    at[picture, slot] = torch.stack([(x + 0.5) * (2 / grid.shape[3]) - 1, (y + 0.5) * (2 / grid.shape[2]) - 1], 1)
    seen[picture, slot] = True
    return at, seen


def _spread(values: Tensor) -> Tensor:
    """[P 1 h w] weighted by bells of 0.6, 2 and 8 places, narrow ones counting far more."""
    total = torch.zeros_like(values)
    for sigma, weight in _BELLS:
        reach = min(int(3 * sigma) + 1, min(values.shape[2:]) - 1)
        bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=values.device) / sigma) ** 2)
        across = F.conv2d(values, bell.view(1, 1, 1, -1), padding=(0, reach))
        total += weight * F.conv2d(across, bell.view(1, 1, -1, 1), padding=(reach, 0))
    return total


class Nearness(nn.Module):
    """What adds -|c - p'|^2 / (2 sigma^2) to the product of a query and a key at p', for where keypoints lead it, c.

    sigma is learned, in half widths of the picture. Features alone would have to learn what keypoints say.
    """

    def __init__(self, sigma: float = 0.08):
        super().__init__()
        self.log_precision = nn.Parameter(torch.tensor(-2.0 * math.log(sigma)))

    def forward(self, query: Tensor, keys: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
        """query [B d h w], keys [B N d h w], centres [B N 2 h w] -> query and keys with 4 N channels more.

        They are to be multiplied at scale d^-1/2.
        """
        batch, n_sources, d, height, width = keys.shape
        at = places(1, height, width, device=query.device)[0, 1:]  # [2 h w]
        precision = self.log_precision.exp() * d**0.5
        one = torch.ones_like(centres[:, :, :1])
        asked = torch.cat([centres * precision, one, -0.5 * precision * centres.square().sum(2, keepdim=True)], 2)
        told = torch.cat([at, -0.5 * precision * at.square().sum(0, keepdim=True), torch.ones_like(at[:1])])
        blocks = torch.zeros(n_sources, n_sources, 4, height, width, device=query.device)
        index = torch.arange(n_sources, device=query.device)
        blocks = blocks.index_put((index, index), told)  # each source answers to its own four channels alone
        return (
            torch.cat([query, asked.flatten(1, 2)], 1),
            torch.cat([keys, blocks.flatten(1, 2).expand(batch, -1, -1, -1, -1)], 2),
        )


class Mix(nn.Module):
    """For each pixel the shares of the painted picture, the copied one and the two ends."""

    def __init__(self, inputs: int):
        super().__init__()
        self.shares = Conv(inputs, 4, 1, gain=0.1)

    def forward(self, x: Tensor, painted: Tensor, copied: Tensor, ends: Tensor) -> Tensor:
        """x [B I H W], pictures [B 3 H W], ends [B 2 3 H W] -> [B 3 H W]."""
        start = x.new_tensor([_PAINTED_FIRST, 0.0, 0.0, 0.0]).view(4, 1, 1)
        shares = torch.softmax((self.shares(x) + start).float(), 1)[:, :, None]
        return (shares * torch.cat([painted[:, None].float(), copied[:, None], ends.float()], 1)).sum(1)


def take_over(network: Synthesis, known: Synthesis) -> None:
    """Gives `network` the weights of `known`, which may lack what copies pixels: that begins without effect.

    Raises InputError where the two differ otherwise.
    """
    if replace(known.config, copy_pixels=network.config.copy_pixels) != network.config:
        raise InputError("start: a network of the same sizes is needed.")
    weights = known.state_dict()
    name = "generator.enter.weight"
    more = network.state_dict()[name].shape[1] - weights[name].shape[1]
    if more < 0:
        raise InputError("start: this network copies pixels, the one to train does not.")
    if more:
        # Equalised layers divide by the square root of their inputs; more inputs, larger weights for the same answer.
        grown = weights[name] * (1 + more / weights[name].shape[1]) ** 0.5
        weights[name] = F.pad(grown, (0, 0, 0, 0, 0, more))
    network.load_state_dict(network.state_dict() | weights)
