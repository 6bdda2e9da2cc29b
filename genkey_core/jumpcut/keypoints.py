"""DensePose keypoints with face landmarks: from body maps, to grids, and in between (thesis section 4.2.1).

A body map (IUV) is an array [H W 3]: DensePose's part number (0: nobody), U and V. Each of the 14 upper-body parts is cut
into n x n cells over (U, V); a cell that pixels fall into is a keypoint, at the mean of their places with the mean of
their UVs, and one that none falls into is invisible. K = 14 n^2 keypoints and L landmarks are held in one array

    keypoints float32 [K + L 5]: x, y in pixels (0, 0 is the middle of the first), U, V in [0, 1], 1 where visible

whose row says which part and cell, or which landmark. `splat` puts them on a grid, as what the networks see.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from genkey_core.checks import InputError, integer, shown

PARTS = (1, 2, 3, 4, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24)  # DensePose's torso, hands, arms and head
LANDMARK_PART = len(PARTS) + 1  # the number landmarks have on a grid, after the parts 1..14
X, Y, U, V, VISIBLE = range(5)
DENSEPOSE_PARTS = 24


def body_map(iuv: np.ndarray) -> np.ndarray:
    """`iuv` [... H W 3] as float32 with U and V in [0, 1]; uint8 maps hold 255 times UV, as DensePose writes them.

    Raises InputError for other shapes, part numbers outside 0..24, and UV outside [0, 1].
    """
    iuv = np.asarray(iuv)
    if iuv.ndim < 3 or iuv.shape[-1] != 3 or iuv.dtype.kind not in "uif" or not iuv.size:
        raise InputError(f"body map: numbers of shape [H W 3] are needed, got {iuv.dtype} {list(iuv.shape)}.")
    result = iuv.astype(np.float32)
    if iuv.dtype == np.uint8:
        result[..., 1:] /= 255
    if not np.isfinite(result).all():
        raise InputError("body map: finite numbers are needed, got NaN or infinity.")
    part = result[..., 0]
    if (part != np.round(part)).any() or part.min() < 0 or part.max() > DENSEPOSE_PARTS:
        raise InputError(f"body map: whole part numbers from 0 to {DENSEPOSE_PARTS} are needed in the first channel.")
    if result[..., 1:].min() < -1e-3 or result[..., 1:].max() > 1 + 1e-3:
        raise InputError("body map: U and V between 0 and 1 are needed (uint8: 0 to 255).")
    return result


def extract(iuv: np.ndarray, *, n: int, landmarks: np.ndarray | None = None) -> np.ndarray:
    """Keypoints [K + L 5] of one body map [H W 3], `n` cells a side; `landmarks` [L 3] (x, y, visible) are appended."""
    n = integer(n, "n", low=1, high=64)
    iuv = body_map(iuv)
    if iuv.ndim != 3:
        raise InputError(f"body map: one map [H W 3] is needed, got {list(iuv.shape)}.")
    slot = np.full(DENSEPOSE_PARTS + 1, -1)
    slot[list(PARTS)] = np.arange(len(PARTS))
    rows, columns = np.nonzero(slot[iuv[..., 0].astype(int)] >= 0)
    part, u, v = iuv[rows, columns].T
    cell = (
        slot[part.astype(int)] * n * n
        + np.minimum((v * n).astype(int), n - 1) * n
        + np.minimum((u * n).astype(int), n - 1)
    )
    count = np.bincount(cell, minlength=len(PARTS) * n * n)
    visible = count > 0
    means = [np.bincount(cell, values, minlength=len(count)) / np.maximum(count, 1) for values in (columns, rows, u, v)]
    points = np.stack([*means, visible], 1).astype(np.float32)
    return points if landmarks is None else np.concatenate([points, landmark_points(landmarks)])


def landmark_points(landmarks: np.ndarray) -> np.ndarray:  # [L 3] -> [L 5]
    """Landmarks (x, y, visible) as keypoints: U tells them apart, V is 1/2; what is not visible is all zero."""
    landmarks = np.asarray(landmarks, np.float32)
    if landmarks.ndim != 2 or landmarks.shape[1] != 3:
        raise InputError(f"landmarks: shape [L 3] (x, y, visible) is needed, got {list(landmarks.shape)}.")
    seen = (landmarks[:, 2] > 0.5) & np.isfinite(landmarks[:, :2]).all(1)
    code = (np.arange(len(landmarks)) + 0.5) / max(len(landmarks), 1)
    points = np.stack([landmarks[:, 0], landmarks[:, 1], code, np.full(len(code), 0.5), np.ones(len(code))], 1)
    return np.where(seen[:, None], points, 0).astype(np.float32)


def part_numbers(count: int, *, n: int) -> np.ndarray:
    """The number 1..14 of each keypoint's part, LANDMARK_PART for the landmarks after them; [count]."""
    body = len(PARTS) * n * n
    if count < body:
        raise InputError(f"keypoints: at least {body} are needed for {n} x {n} cells a part, got {count}.")
    return np.concatenate([np.repeat(np.arange(1, len(PARTS) + 1), n * n), np.full(count - body, LANDMARK_PART)])


def splat(points: np.ndarray, *, n: int, height: int, width: int) -> np.ndarray:
    """The grid float32 [height width 3] of part number (0: no keypoint), U and V; landmarks lie on top of the body.

    Coordinates are those of `points`, rounded to the nearest pixel; where several fall on one, the later row stays.
    """
    grid = np.zeros((height, width, 3), np.float32)
    numbers = part_numbers(len(points), n=n)
    seen = points[:, VISIBLE] > 0.5
    x, y = (np.round(np.where(seen, points[:, axis], -1)).astype(int) for axis in (X, Y))
    seen &= (x >= 0) & (y >= 0) & (x < width) & (y < height)
    grid[y[seen], x[seen], 0] = numbers[seen]
    grid[y[seen], x[seen], 1:] = points[seen, U : V + 1]
    return grid


def common(*points: np.ndarray) -> np.ndarray:
    """Which keypoints are visible in all of these; bool [K + L]."""
    return np.all([each[:, VISIBLE] > 0.5 for each in points], axis=0)


def masked(points: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """`points` with all but `keep` [K + L] made invisible."""
    return points * np.asarray(keep, np.float32)[:, None]


def interpolate(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    """(1 - share) start + share end for the keypoints visible at both ends; the others are invisible (section 4.2.3)."""
    if start.shape != end.shape:
        raise InputError(f"keypoints: both ends need as many, got {len(start)} and {len(end)}.")
    mixed = (1 - share) * start + share * end
    return masked(mixed, common(start, end)).astype(np.float32)


def sequence(start: np.ndarray, end: np.ndarray, count: int) -> np.ndarray:
    """The `count` inserted frames' keypoints [count K+L 5], at shares t / (count + 1) (section 4.2.4)."""
    integer(count, "count", low=1)
    return np.stack([interpolate(start, end, t / (count + 1)) for t in range(1, count + 1)])


def scaled(points: np.ndarray, *, x: float, y: float) -> np.ndarray:
    """`points` on a picture `x` times as wide and `y` times as high."""
    moved = points.copy()
    moved[:, X], moved[:, Y] = (moved[:, X] + 0.5) * x - 0.5, (moved[:, Y] + 0.5) * y - 0.5
    return moved * (points[:, VISIBLE] > 0.5)[:, None]


def load_maps(path: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Body maps [T H W 3] and, where the file has them, landmarks [T L 3] from an `.npz` with `iuv` (and `landmarks`)."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as stored:
            if "iuv" not in stored.files:
                raise InputError(f"body maps: {shown(path.name)} holds no array named iuv.")
            iuv = body_map(stored["iuv"])
            landmarks = stored["landmarks"].astype(np.float32) if "landmarks" in stored.files else None
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"body maps: {shown(path.name)} is not an .npz file of plain arrays.") from error
    if iuv.ndim != 4:
        raise InputError(f"body maps: iuv of shape [T H W 3] is needed, got {list(iuv.shape)}.")
    if landmarks is not None and (landmarks.ndim != 3 or len(landmarks) != len(iuv) or landmarks.shape[2] != 3):
        raise InputError(f"body maps: landmarks of shape [{len(iuv)} L 3] are needed, got {list(landmarks.shape)}.")
    return iuv, landmarks


def detect(model, frames: np.ndarray) -> Iterator[np.ndarray]:
    """Body maps float32 [H W 3] of `frames` uint8 [T H W 3], one after another, by DensePose in TorchScript.

    `model` is what `load_densepose` returns: called with uint8 [3 H W] it answers (boxes [P 4] as x0 y0 x1 y1, coarse
    [P 2+ h w], fine [P 25 h w], u [P 25 h w], v [P 25 h w]), scores of background and parts and each part's UV inside
    each person's box. The largest person is taken; a frame without one gives an empty map. Channels go in as red, green,
    blue, as those who use the published files pass them.
    """
    import torch

    for frame in frames:
        with torch.inference_mode():
            boxes, coarse, fine, u, v = model(torch.as_tensor(np.ascontiguousarray(np.moveaxis(frame, -1, 0))))
            iuv = np.zeros(frame.shape, np.float32)
            if len(boxes):
                size = (boxes[:, 2:] - boxes[:, :2]).float()
                person = int(size.prod(1).argmax())
                _fill_box(iuv, boxes[person], *(scores[person : person + 1].float() for scores in (coarse, fine, u, v)))
        yield iuv


def _fill_box(iuv: np.ndarray, box, coarse, fine, u, v) -> None:
    """Writes one person's map: the scores enlarged to the box, the likeliest part where there is a person at all."""
    from torch.nn.functional import interpolate as enlarge

    left, top, right, bottom = (round(value) for value in box.tolist())
    size = max(bottom - top, 1), max(right - left, 1)
    coarse, fine, u, v = (
        enlarge(scores, size, mode="bilinear", align_corners=False)[0] for scores in (coarse, fine, u, v)
    )
    part = fine.argmax(0) * (coarse.argmax(0) > 0)
    made = [part, *(values.gather(0, part[None])[0].clamp(0, 1) * (part > 0) for values in (u, v))]
    patch = np.stack([channel.numpy(force=True).astype(np.float32) for channel in made], -1)
    height, width = iuv.shape[:2]
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    if rows.start < rows.stop and columns.start < columns.stop:
        iuv[rows, columns] = patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def load_densepose(path: str | Path, *, device: str = "cpu"):
    """DensePose as a TorchScript file, ready for `detect`; published ones need torchvision's operators.

    Raises InputError where the file is no TorchScript, or torchvision is missing.
    """
    import importlib.util

    import torch

    if importlib.util.find_spec("torchvision") is not None:
        import torchvision  # noqa: F401 - registers torchvision::nms and roi_align, which the published files call
    path = Path(path)
    if not path.is_file():
        raise InputError(f"DensePose: there is no file {shown(path.name)}.")
    try:
        model = torch.jit.load(path, map_location=device).eval()
    except RuntimeError as error:
        if "torchvision::" in str(error):
            raise InputError("DensePose: torchvision is needed to run it; pip install torchvision.") from error
        raise InputError(f"DensePose: {shown(path.name)} is no TorchScript file.") from error

    def run(image):
        return model(image.to(device))

    return run
