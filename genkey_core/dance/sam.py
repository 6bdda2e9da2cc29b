"""SAM 2 (Ravi et al. 2024) through transformers: a draft mask points at the subject, and the model cuts it out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..checks import InputError, shown
from .plates import Segmenter

_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of the pictures it was trained on
_POINTS = 3  # per keyframe, as deep inside the draft as there is room
_AGREEMENT = 0.5  # overlap with the draft below which the draft is kept: then something else was cut out


def read_segmenter(folder: str | Path, *, device: str = "cpu") -> Segmenter:
    """A segmenter for `plates.separate` from a SAM 2 folder in the Hub's layout.

    Raises InputError where the folder is missing, damaged or another model's.
    """
    from transformers import Sam2Model

    try:
        model, loading = Sam2Model.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"model: {shown(Path(folder).name)} is no SAM 2, or damaged.") from error
    if loading["missing_keys"] or loading["mismatched_keys"]:
        raise InputError(f"model: {shown(Path(folder).name)} lacks weights of a SAM 2.")
    model = model.eval().to(device)

    def segment(images: np.ndarray, drafts: np.ndarray) -> np.ndarray:  # [K H W] float32
        return np.stack([_cut_out(model, i, d) for i, d in zip(images, drafts, strict=True)])

    return segment


def prompts(draft: np.ndarray) -> tuple[list[list[int]], list[int]]:
    """Points (x, y) deep inside a draft mask float32 [H W], far from one another, and its box x0, y0, x1, y1."""
    inside = (draft > 0.5).astype(np.uint8)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    depth = cv2.distanceTransform(cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 5)[
        1:-1, 1:-1
    ]
    apart = max(4, (len(rows) + len(columns)) // 6)
    points = []
    while len(points) < _POINTS and depth.max() > 0:
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        points.append([int(x), int(y)])
        cv2.circle(depth, (int(x), int(y)), apart, 0.0, -1)
    return points, [int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])]


def _cut_out(model, image: np.ndarray, draft: np.ndarray) -> np.ndarray:  # [H W] float32
    """The model's mask of what `draft` points at, or the draft where that is something else."""
    import torch

    if not (draft > 0.5).any():
        return draft.astype(np.float32)
    h, w = draft.shape
    side = model.config.prompt_encoder_config.image_size  # pictures are squeezed to a square, as in training
    scale = torch.tensor([side / w, side / h])
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    pixels = torch.as_tensor((small - _MEAN) / _STD).permute(2, 0, 1)[None]
    points, box = prompts(draft)
    told = {
        "pixel_values": pixels.float(),
        "input_points": torch.tensor(points, dtype=torch.float32)[None, None] * scale,  # [1 1 N 2]
        "input_labels": torch.ones(1, 1, len(points), dtype=torch.int32),
        "input_boxes": torch.tensor(box, dtype=torch.float32)[None, None] * scale.repeat(2),  # [1 1 4]
    }
    with torch.no_grad():
        answer = model(**{k: v.to(model.device) for k, v in told.items()}, multimask_output=False)
    logits = answer.pred_masks.float().numpy(force=True).reshape(-1, *answer.pred_masks.shape[-2:])[0]
    found = cv2.resize(logits, (w, h), interpolation=cv2.INTER_LINEAR) > 0
    both, either = (found & (draft > 0.5)).sum(), (found | (draft > 0.5)).sum()
    return found.astype(np.float32) if both > _AGREEMENT * either else draft.astype(np.float32)
