"""Dual-directional denoising written plainly: two UNets, and every attention map of the first stored for the second.

This is Fig. 5.2 and Alg. 2 (lines 4 to 8) of the thesis to the letter. It is the yardstick for
`genkey_core.inbetween.attention`, in the tests for equality and in `inbetween_speed.py` for time and memory.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class StoreMap:
    """Ordinary attention that leaves its map [P heads T T] in `maps`."""

    def __init__(self, maps: dict[str, Tensor], layer: str):
        self.maps, self.layer = maps, layer

    def __call__(self, attn, x, encoder_hidden_states=None, attention_mask=None):
        q, k, v = (_heads(projection(x), attn.heads) for projection in (attn.to_q, attn.to_k, attn.to_v))
        self.maps[self.layer] = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1)
        return attn.to_out[0](_joined(self.maps[self.layer] @ v))


class UseRotatedMap(StoreMap):
    """Attention with a stored map, turned by 180 degrees, in place of its own."""

    def __call__(self, attn, x, encoder_hidden_states=None, attention_mask=None):
        rotated = self.maps[self.layer].flip(-1, -2)
        return attn.to_out[0](_joined(rotated @ _heads(attn.to_v(x), attn.heads)))


def backward_unet(unet: nn.Module, delta: dict[str, Tensor]) -> nn.Module:
    """A second UNet, with the backward weights in it."""
    second = copy.deepcopy(unet)
    parameters = dict(second.named_parameters())
    with torch.no_grad():
        for name, difference in delta.items():
            parameters[name] += difference.to(parameters[name])
    return second


def two_unet_step(forward: nn.Module, backward: nn.Module, latents: Tensor, t, start: dict, end: dict, *, only=""):
    """Both directions' predictions for one noise level: [D T C h w] each, the backward one in its own time.

    `start` and `end` hold the UNet's other inputs; `only` restricts the rotation to layers with that prefix.
    """
    maps: dict[str, Tensor] = {}
    for unet, kind in ((forward, StoreMap), (backward, UseRotatedMap)):
        for name, layer in unet.named_modules():
            if ".temporal_transformer_blocks." in name and name.endswith(".attn1") and name.startswith(only):
                layer.set_processor(kind(maps, name))
    image = start.pop("image_latents"), end.pop("image_latents")
    v_forward = forward(torch.cat([latents, image[0]], dim=2), t, **start, return_dict=False)[0]
    v_backward = backward(torch.cat([latents.flip(1), image[1]], dim=2), t, **end, return_dict=False)[0]
    return v_forward, v_backward


def _heads(x: Tensor, heads: int) -> Tensor:
    positions, frames, width = x.shape
    return x.reshape(positions, frames, heads, width // heads).permute(0, 2, 1, 3)


def _joined(x: Tensor) -> Tensor:
    positions, heads, frames, width = x.shape
    return x.permute(0, 2, 1, 3).reshape(positions, frames, heads * width)
