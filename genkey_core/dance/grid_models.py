"""The models that draw grids of poses: FLUX.1-dev from a prompt, FLUX.1 Kontext from a prompt and a template grid."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..checks import InputError, choice, shown
from .grid import GridPainter
from .mirror_models import painted

KINDS = {"flux-grid": "FluxPipeline", "flux-kontext": "FluxKontextPipeline"}
_GUIDANCE = {"flux-grid": 3.5, "flux-kontext": 2.5}  # as their authors give it


def read_grid_painter(kind: str, folder: str | Path, *, dtype: torch.dtype, device: str) -> GridPainter:
    """A painter from a folder in the Hub's layout. Raises InputError where it is missing, damaged, or holds another model."""
    import diffusers

    name = KINDS[choice(kind, "model", KINDS)]
    folder = Path(folder)
    try:
        held = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["_class_name"]
        if held != name:
            raise InputError(f"model: {name} is needed in {shown(folder.name)}, got {shown(held)}.")
        pipeline = getattr(diffusers, name).from_pretrained(
            str(folder), dtype=dtype, local_files_only=True, use_safetensors=True
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"model: {shown(folder.name)} holds no {name}, or a damaged one.") from error
    pipeline = pipeline.to(device)

    def paint(
        prompt: str,
        *,
        size: tuple[int, int],
        steps: int,
        seed: int,
        template: np.ndarray | None,
        on_step: Callable[[int], None],
    ) -> np.ndarray:
        w, h = size
        told = {}
        if kind == "flux-kontext":  # at the size that is asked for, not at one of those it prefers
            picture = torch.as_tensor(template).permute(2, 0, 1)[None].float() / 255.0
            told = {"image": picture, "max_area": w * h, "_auto_resize": False}
        return painted(
            pipeline,
            on_step,
            prompt=prompt,
            width=w,
            height=h,
            num_inference_steps=steps,
            guidance_scale=_GUIDANCE[kind],
            generator=torch.Generator().manual_seed(seed),
            max_sequence_length=min(512, pipeline.tokenizer_2.model_max_length),
            **told,
        )

    return paint
