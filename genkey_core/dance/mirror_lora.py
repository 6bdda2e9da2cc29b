"""Low-rank adapters (Hu et al. 2022) on the linear layers of several networks at once, in place only while they are wanted.

Forward hooks add them, so no layer is replaced and no network's own weights change. The file has the keys of diffusers and peft,
`transformer.<layer>.lora_A.weight` and `lora_B.weight`, so that other programs read it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import media
from ..checks import InputError, integer, shown

# The projections of attention, in the names of FLUX's and of Stable Diffusion's blocks.
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")


class Lora(nn.Module):
    """Adapters of one rank for every linear layer of `networks` whose name ends in one of `endings`.

    Drawn from `generator` as peft draws them: A uniform, B zero, so that at first nothing changes.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        rank: int = 16,
        generator: torch.Generator,
        endings: tuple[str, ...] = ATTENTION,
    ) -> None:
        super().__init__()
        self.rank = integer(rank, "rank", low=1, high=512)
        self._layers = {
            f"{part}.{name}": layer
            for part, network in networks.items()
            for name, layer in network.named_modules()
            if isinstance(layer, nn.Linear) and any(name == e or name.endswith("." + e) for e in endings)
        }
        if not self._layers:
            raise InputError("LoRA: none of the networks has an attention projection to adapt.")
        down = [torch.rand(rank, x.in_features, generator=generator) * 2 - 1 for x in self._layers.values()]
        bounds = [x.in_features**-0.5 for x in self._layers.values()]
        self.down = nn.ParameterList(nn.Parameter(a * bound) for a, bound in zip(down, bounds, strict=True))
        self.up = nn.ParameterList(nn.Parameter(torch.zeros(x.out_features, rank)) for x in self._layers.values())

    @contextmanager
    def applied(self, scale: float = 1.0) -> Iterator[None]:
        """Within, the networks answer with the adapters; afterwards they are as they were, also after an error."""

        def hook(down: Tensor, up: Tensor):
            def add(_layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
                difference = F.linear(F.linear(inputs[0].to(down.dtype), down), up)
                return output + scale * difference.to(output.dtype)

            return add

        handles = [
            layer.register_forward_hook(hook(a, b))
            for layer, a, b in zip(self._layers.values(), self.down, self.up, strict=True)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def tensors(self) -> dict[str, Tensor]:
        """The adapters by the names of the layers they belong to."""
        named = zip(self._layers, self.down, self.up, strict=True)
        return {f"{n}.{k}": t.detach() for n, a, b in named for k, t in (("lora_A.weight", a), ("lora_B.weight", b))}

    def save(self, path: str | Path, *, notes: Mapping[str, str] | None = None) -> Path:
        return media.save_tensors(self.tensors(), path, notes=notes)

    def load(self, path: str | Path) -> None:
        """Take the adapters from a file; raises InputError where it is damaged or made for other layers or another rank."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            stored = load_file(path)
        except (SafetensorError, OSError) as error:
            raise InputError(f"LoRA: {shown(Path(path).name)} cannot be read.") from error
        own = self.tensors()
        if stored.keys() != own.keys() or any(stored[n].shape != t.shape for n, t in own.items()):
            raise InputError(
                f"LoRA: {shown(Path(path).name)} was made for another model or another rank than {self.rank}."
            )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(stored[name])  # detached views of the parameters themselves
