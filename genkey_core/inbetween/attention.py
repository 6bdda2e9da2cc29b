"""Rotated temporal self-attention: both directions of time through one UNet (thesis section 5.3.1, Fig. 5.2).

The backward pass of the method attends with the forward pass's maps, turned by 180 degrees. With A a map over T frames,
rot(A)[i, j] = A[T-1-i, T-1-j], so rot(A) v = flip(A flip(v)). Forward and backward videos are therefore two halves of
one batch: Q and K are computed on the forward half alone, and one fused attention call applies them to
[v_forward | flip(v_backward)]. No map is ever stored, and one UNet holds both directions, as the backward weights
differ only in W_v and W_o of these layers.

In a batch [2D T C h w] the first D videos are the forward half. Inside the temporal blocks the positions are folded
into the batch, [2D*h*w T C] with the video index outermost, so the halves stay the halves of the first axis.
"""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkey_core.checks import InputError, choice
from genkey_core.inbetween.delta import BackwardDelta, backward_weights, check_delta, temporal_attentions

_RA = {True: "with", False: "without"}


def rotated_attention(
    unet: nn.Module, delta: BackwardDelta | None = None, *, blocks: str = "all", rotate: bool = True, slices: int = 1
) -> AttentionPatch:
    """Context manager that makes `unet` denoise a forward and a backward video as the halves of one batch.

    delta   the backward half uses the UNet's projections plus this difference; None leaves them as they are
    blocks  "all", or "up" to touch the up blocks only ("without FT" in the thesis)
    rotate  the backward half attends with the forward half's maps, rotated; False: with its own ("without RA")
    slices  temporal attention runs over the positions in so many parts, to save memory

    The processors are put back on exit, also after an exception; the object may be entered again. Raises InputError
    where the difference belongs to another architecture.
    """
    choice(blocks, "blocks", ("all", "up"))
    if delta is not None:
        check_delta(delta, unet)
        if delta.rotated != rotate:
            raise InputError(
                f"backward difference: trained {_RA[delta.rotated]} rotated attention, "
                f"it cannot be used {_RA[rotate]} it."
            )
    processors = {
        name: _TwoDirections(name, delta, rotate=rotate, slices=slices)
        for name in temporal_attentions(unet)
        if blocks == "all" or name.startswith("up_blocks.")
    }
    return AttentionPatch(unet, processors)


class AttentionPatch:
    """Swaps attention processors in on entry and the original ones back on exit."""

    def __init__(self, unet: nn.Module, processors: dict[str, object]):
        self._layers = {name: unet.get_submodule(name) for name in processors}
        self._processors = processors
        self._originals: dict[str, object] | None = None

    def __enter__(self) -> AttentionPatch:
        if self._originals is not None:
            raise RuntimeError("this attention patch is already in place")
        self._originals = {name: layer.processor for name, layer in self._layers.items()}
        for name, layer in self._layers.items():
            layer.set_processor(self._processors[name])
        return self

    def __exit__(self, *exception) -> None:
        for name, layer in self._layers.items():
            layer.set_processor(self._originals[name])
        self._originals = None


class _TwoDirections:
    """Attention over a batch whose halves are a forward and a backward video."""

    def __init__(self, layer: str, delta: BackwardDelta | None, *, rotate: bool, slices: int):
        self.layer, self.delta, self.rotate, self.slices = layer, delta, rotate, slices
        self._backward: dict[str, Tensor] | None = None

    def __call__(self, attn: nn.Module, x: Tensor, encoder_hidden_states=None, attention_mask=None, **_) -> Tensor:
        # x: [2P T C], P positions of forward videos, then P of backward ones
        if len(x) % 2:
            raise ValueError(f"rotated attention needs a forward and a backward half, got a batch of {len(x)}")
        forward, backward = x.chunk(2)
        weights = self._weights(attn)
        attend = self._rotated if self.rotate else self._independent
        out = torch.empty_like(x)
        for x_f, x_b, out_f, out_b in zip(
            *(half.chunk(self.slices) for half in (forward, backward, *out.chunk(2))), strict=True
        ):
            attend(attn, weights, x_f, x_b, out_f, out_b)
        return out

    def _rotated(self, attn, weights, x_f: Tensor, x_b: Tensor, out_f: Tensor, out_b: Tensor) -> None:
        q, k = split_heads(attn.to_q(x_f), attn), split_heads(attn.to_k(x_f), attn)
        v_f = split_heads(attn.to_v(x_f), attn)
        v_b = split_heads(project(attn, weights, "to_v", x_b), attn)
        both = F.scaled_dot_product_attention(q, k, torch.cat([v_f, v_b.flip(-2)], dim=-1))
        y_f, y_b = both.chunk(2, dim=-1)
        out_f.copy_(attn.to_out[0](merge_heads(y_f)))
        out_b.copy_(project(attn, weights, "to_out.0", merge_heads(y_b.flip(-2))))

    def _independent(self, attn, weights, x_f: Tensor, x_b: Tensor, out_f: Tensor, out_b: Tensor) -> None:
        for x, mine, out in ((x_f, {}, out_f), (x_b, weights, out_b)):
            q, k, v = (split_heads(project(attn, mine, name, x), attn) for name in ("to_q", "to_k", "to_v"))
            out.copy_(project(attn, mine, "to_out.0", merge_heads(F.scaled_dot_product_attention(q, k, v))))

    def _weights(self, attn: nn.Module) -> dict[str, Tensor]:
        """Base plus difference, summed once and again only where the UNet has moved or changed its precision."""
        if self.delta is None:
            return {}
        base = attn.to_v.weight
        held = self._backward and self._backward["to_v.weight"]
        if held is None or held.device != base.device or held.dtype != base.dtype:
            self._backward = backward_weights(self.layer, attn, self.delta)
        return self._backward


class BackwardTraining:
    """The two passes of a training step (Alg. 1): record the forward maps, then attend backwards with them.

    Only the backward pass is differentiated, so here the maps are kept between the two passes: a combined batch would
    carry the forward half through back-propagation for nothing.
    """

    def __init__(self, weights: dict[str, dict[str, Tensor]], *, rotate: bool = True):
        self.weights, self.rotate = weights, rotate
        self.recording = False
        self.maps: dict[str, Tensor] = {}

    @contextmanager
    def forward_pass(self):
        """Inside, the UNet runs as it always does, and its temporal self-attention maps are kept."""
        self.maps.clear()
        self.recording = True
        try:
            with torch.no_grad():
                yield
        finally:
            self.recording = False

    def attend(self, layer: str, attn: nn.Module, x: Tensor) -> Tensor:
        weights = {} if self.recording else self.weights[layer]
        v = split_heads(project(attn, weights, "to_v", x), attn)
        if self.rotate and not self.recording:
            y = (self.maps[layer] @ v.flip(-2)).flip(-2)
        else:
            q = split_heads(project(attn, weights, "to_q", x), attn)
            k = split_heads(project(attn, weights, "to_k", x), attn)
            if not self.recording:
                y = F.scaled_dot_product_attention(q, k, v)
            else:
                self.maps[layer] = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, dim=-1).to(v.dtype)
                y = self.maps[layer] @ v
        return project(attn, weights, "to_out.0", merge_heads(y))


def training_attention(unet: nn.Module, training: BackwardTraining) -> AttentionPatch:
    """Context manager for fine-tuning: every temporal self-attention layer answers as `training` says."""

    def processor(layer: str):
        return lambda attn, x, *_, **__: training.attend(layer, attn, x)

    return AttentionPatch(unet, {name: processor(name) for name in temporal_attentions(unet)})


def project(attn: nn.Module, weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Projection `name` of the layer, with the weights in `weights` in place of the layer's own where given."""
    if f"{name}.weight" not in weights:
        return attn.get_submodule(name)(x)
    bias = weights.get(f"{name}.bias", attn.get_submodule(name).bias)
    return F.linear(x, weights[f"{name}.weight"], bias)


def split_heads(x: Tensor, attn: nn.Module) -> Tensor:  # [P T heads*d] -> [P heads T d]
    return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:  # [P heads T d] -> [P T heads*d]
    return x.transpose(1, 2).flatten(-2)
