"""Grids of poses on this machine: which model draws one, what it needs, and its turn on the GPU."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import runtime
from . import weights
from .grid import LAYOUTS, GridOptions, GridStep, drawn, grid_size, layout_of, prompt_of
from .stage_models import StageNeeds

INSTEAD = "drop pictures of your own instead"
_LEASE_SLACK = 1.5


@dataclass(frozen=True)
class _Task:
    """All that the process with the GPU has to know, in plain values."""

    kind: str
    folder: str
    device: str
    half: bool  # half precision
    options: GridOptions
    gpu_s: float


def _lease_s(task: _Task, template: np.ndarray | None) -> float:
    return task.gpu_s * _LEASE_SLACK


@runtime.gpu(duration=_lease_s)
def _drawn(task: _Task, template: np.ndarray | None) -> Iterator[GridStep]:
    import torch

    from .grid_models import read_grid_painter

    dtype = torch.bfloat16 if task.half else torch.float32
    painter = read_grid_painter(task.kind, task.folder, dtype=dtype, device=task.device)
    yield from drawn(painter, task.options, template=template)


class GridEngine:
    """Draws grids for `options`: FLUX.1-dev from the prompt alone, FLUX.1 Kontext where there is a template."""

    def __init__(
        self,
        options: GridOptions,
        *,
        template: np.ndarray | None = None,
        folder: Path | None = None,
        device: str | None = None,
    ):
        """Check this machine; nothing is loaded. `folder` is a local copy in the Hub's layout, otherwise the published
        checkpoint is used; a CPU draws only where it is asked for by name. Raises InputError."""
        self.options, self.template = options, template
        self.spec = weights.SPECS["flux-grid" if template is None else "flux-kontext"]
        self._device = runtime.best_device() if device is None else device
        if device is None:
            weights.check_machine(self.spec, self._device, instead=INSTEAD)
        self._parts = weights.parts_of(self.spec) if folder is None else (folder,)

    def needs(self) -> StageNeeds:
        """What a grid needs here; raises InputError where weights are neither here nor to be had."""
        download = weights.missing_bytes(self._parts, instead=INSTEAD)
        if runtime.on_zero_gpu():
            runtime.lease_seconds(self._gpu_s * _LEASE_SLACK)
        return StageNeeds(self._gpu_s, self._gpu_s, int(self.spec.ram_gb * 1e9), download_bytes=download)

    def drawn(self) -> Iterator[GridStep]:
        """Fetch what is missing, draw, cut: steps, the last with the keyframes. Closing it stops. Raises InputError."""
        steps = self.options.steps
        for item in weights.brought(self._parts):
            if isinstance(item, str):
                yield GridStep(0, steps, item)
            else:
                (folder,) = item
        yield GridStep(0, steps, "loading the model")
        task = _Task(self.spec.name, str(folder), self._device, self._device != "cpu", self.options, self._gpu_s)
        yield from _drawn(task, self.template)

    @property
    def prompt(self) -> str:
        """What the model is told."""
        if self.template is None:
            return prompt_of(self.options, LAYOUTS[self.options.poses])
        return prompt_of(self.options, layout_of(self.template), mimics=True)

    @property
    def _gpu_s(self) -> float:
        megapixels = math.prod(grid_size(LAYOUTS[self.options.poses], self.options.pixels)) / 1e6
        return self.spec.load_s + self.options.steps * self.spec.paint_s * megapixels
