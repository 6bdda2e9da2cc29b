"""The backward weights as a difference: W_v and W_o of the temporal self-attention (thesis section 5.3.2).

A difference is small (under 2 % of the UNet), applies to every UNet with the same attention widths, and so carries
what was learned on the 14-frame model over to the 25-frame one. On disk it is one safetensors file whose keys are the
parameter names of the UNet, and whose metadata says how it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from genkey_core import media
from genkey_core.checks import InputError, shown

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = "genkey-backward-difference-1"
# Parameters of one attention layer by the letter the thesis gives them.
PARTS = {
    "q": ("to_q.weight",),
    "k": ("to_k.weight",),
    "v": ("to_v.weight",),
    "o": ("to_out.0.weight", "to_out.0.bias"),
}
_SUFFIXES = tuple(suffix for suffixes in PARTS.values() for suffix in suffixes)


@dataclass(frozen=True)
class BackwardDelta:
    """What to add to a UNet's temporal self-attention so that it denoises videos that run backwards."""

    tensors: Mapping[str, Tensor]  # parameter name -> difference, same shape as the parameter
    rotated: bool = True  # trained on the forward pass's maps, rotated; False for "without RA"
    notes: Mapping[str, str] = field(default_factory=dict)  # base model, steps, seed ...: free text for the recipe


def temporal_attentions(unet: nn.Module) -> dict[str, nn.Module]:
    """The temporal self-attention layers, `*.temporal_transformer_blocks.*.attn1`, by name, in order of execution."""
    layers = {
        name: module
        for name, module in unet.named_modules()
        if ".temporal_transformer_blocks." in name and name.endswith(".attn1")
    }
    if not layers:
        raise InputError(f"UNet: temporal self-attention layers are needed, {type(unet).__name__} has none.")
    order = {"down_blocks": 0, "mid_block": 1, "up_blocks": 2}
    return dict(sorted(layers.items(), key=lambda item: order.get(item[0].split(".")[0], 3)))


def is_backward_key(name: str) -> bool:
    """Whether a parameter name belongs to a projection of a temporal self-attention layer."""
    return ".temporal_transformer_blocks." in name and name.endswith(tuple(f".attn1.{s}" for s in _SUFFIXES))


def extract_delta(
    tuned: Mapping[str, Tensor], base: Mapping[str, Tensor], *, parts: str = "vo", rotated: bool = True, notes=None
) -> BackwardDelta:
    """The difference `tuned - base` of two state dicts, restricted to the projections named by `parts`.

    Computed in float32. Parameters that did not change (an untrained bias) are left out.
    """
    suffixes = tuple(f".attn1.{suffix}" for part in parts for suffix in PARTS[part])
    tensors = {}
    for name, value in tuned.items():
        if not (is_backward_key(name) and name.endswith(suffixes)):
            continue
        if name not in base or base[name].shape != value.shape:
            raise InputError(f"backward weights: {name} does not fit the base model they are compared with.")
        difference = value.detach().float().cpu() - base[name].detach().float().cpu()
        if name.endswith("weight") or difference.abs().max() > 0:
            tensors[name] = difference
    if not tensors:
        raise InputError("backward weights: no temporal self-attention weights found in them.")
    return BackwardDelta(tensors, rotated=rotated, notes=dict(notes or {}))


def save_delta(delta: BackwardDelta, path: str | Path, *, dtype=None) -> Path:
    """Write the difference as one safetensors file; float16 by default, which is small and exact enough."""
    import torch

    tensors = {name: value.to(dtype or torch.float16) for name, value in delta.tensors.items()}
    notes = {**{k: str(v) for k, v in delta.notes.items()}, "format": FORMAT, "rotated": str(delta.rotated).lower()}
    return media.save_tensors(tensors, path, notes=notes)


def load_delta(path: str | Path) -> BackwardDelta:
    """Read a difference; raises InputError where the file is missing, damaged, or something else."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise InputError(f"backward difference: no file {shown(path.name)} was found.")
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"backward difference: {shown(path.name)} is not a readable safetensors file.") from error
    if metadata.get("format") != FORMAT or not tensors or not all(map(is_backward_key, tensors)):
        raise InputError(
            f"backward difference: {shown(path.name)} does not hold differences of temporal self-attention weights."
        )
    rotated = metadata.pop("rotated", "true") == "true"
    metadata.pop("format")
    return BackwardDelta(tensors, rotated=rotated, notes=metadata)


def published_delta(*, progress=None) -> BackwardDelta:
    """The thesis authors' weights as a difference: their backward UNet less the 14-frame model it was tuned from.

    Only the tensors concerned are fetched, about a fiftieth of the two files, and kept. `progress` and the errors are
    those of `hub.fetch_tensors`.
    """
    from genkey_core import hub

    names = [f"*.temporal_transformer_blocks.*.attn1.{suffix}" for part in "vo" for suffix in PARTS[part]]
    folder = "unet/diffusion_pytorch_model"
    tuned = hub.fetch_tensors(
        "svd-backward", f"svd_reverse_motion_with_attnflip/{folder}.safetensors", names, progress=progress
    )
    base = hub.fetch_tensors("svd", f"{folder}.fp16.safetensors", names, progress=progress)
    return extract_delta(tuned, base, notes={"base": "svd", "tuned": "svd-backward"})


def check_delta(delta: BackwardDelta, unet: nn.Module) -> None:
    """Raise InputError where the difference was made for another architecture than `unet`, or is not finite."""
    shapes = {name: tuple(p.shape) for name, p in unet.named_parameters() if is_backward_key(name)}
    for name, value in delta.tensors.items():
        if name not in shapes:
            raise InputError(f"backward difference: made for another model, this one has no {name}.")
        if tuple(value.shape) != shapes[name]:
            raise InputError(
                f"backward difference: made for another model, {name} is {list(value.shape)} there "
                f"and {list(shapes[name])} here."
            )
        if not value.isfinite().all():
            raise InputError(f"backward difference: {name} holds values that are not numbers; the file is damaged.")
    for layer in temporal_attentions(unet):
        if f"{layer}.to_v.weight" not in delta.tensors or f"{layer}.to_out.0.weight" not in delta.tensors:
            raise InputError(f"backward difference: incomplete, it says nothing about {layer}.")


def backward_weights(layer: str, attention: nn.Module, delta: BackwardDelta) -> dict[str, Tensor]:
    """One layer's backward projections, base plus difference, in the layer's own dtype and on its device."""
    weights = {}
    for suffix in _SUFFIXES:
        difference = delta.tensors.get(f"{layer}.{suffix}")
        if difference is not None:
            base = attention.get_parameter(suffix).detach()
            weights[suffix] = (base.float() + difference.to(base.device, base.float().dtype)).to(base.dtype)
    return weights
