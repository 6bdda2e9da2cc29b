"""The video of a finished zoom stack as a job: what it will cost, and the file with the recipe of all that made it."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from .. import recipe
from ..cost import Cost
from .camera import Journey, Stack, concentric, way
from .render import Step, write_video

_TRIAL = Journey(size=(512, 512), fps=24, level_s=0.5)  # what the speed is measured on
_MP4_BYTES_PER_PIXEL = 0.05
_BASE_MEMORY = 900_000_000  # the float planes of the levels, the encoder and its look-ahead
_PAIR_S = 9.0  # on two cores: finding one photo in another, bending and blending it, whatever their size
_correction = {"film": 1.0, "images": 1.0}  # measured over estimated time of the jobs that ran here; see `learn`
_lock = threading.Lock()


@dataclass(frozen=True)
class Film:
    """A finished video; `complete` is False where it was cancelled and ends early."""

    path: Path
    frames: int
    complete: bool
    elapsed_s: float
    recipe: dict


def film(
    path: str | Path, stack: Stack, journey: Journey, made: dict, *, cancelled: Callable[[], bool] = lambda: False
) -> Iterator[Step | Film]:
    """Write the video of a journey through `stack`, with the recipe of the stack, `made`, grown by its own part inside.

    Yields a Step per frame, and last the Film; where `cancelled()` turns true it ends with the frames so far. Closing the
    generator leaves no file. Raises InputError.
    """
    begun, total = time.perf_counter(), len(way(stack, journey))
    final = {}

    def described(n_frames: int) -> dict[str, str]:
        final.update(filmed(made, journey, n_frames, total))
        return {recipe.METADATA_KEY: recipe.to_text(final)}

    frames = 0
    with closing(write_video(path, stack, journey, described=described, cancelled=cancelled)) as steps:
        for step in steps:
            frames = step.index + 1
            yield step
    elapsed_s = time.perf_counter() - begun
    if frames == total:
        learn("film", film_cost(journey, total).seconds, elapsed_s)
    yield Film(Path(path), frames, frames == total, elapsed_s, final)


def filmed(made: dict, journey: Journey, frames: int, total: int) -> dict:
    """The recipe of a stack with its video added."""
    video = asdict(journey) | {"size": list(journey.size)}
    output = {"width": journey.size[0], "height": journey.size[1], "fps": journey.fps, "frames": frames}
    complete = made["output"].get("complete", True) and frames == total
    return recipe.build(
        method=made["method"],
        engine=made["engine"],
        settings={**made["settings"], "video": video},
        seed=made["seed"],
        inputs=made["inputs"],
        output={**made["output"], **output, "complete": complete},
    )


def length(n_levels: int, p: float, journey: Journey) -> int:
    """Frames of a journey through `n_levels`, each `p` times closer, before the levels are there."""
    blank = np.zeros((n_levels, 16, 16, 3), np.uint8)
    return len(way(concentric(blank, p), journey))


def film_cost(journey: Journey, frames: int) -> Cost:
    """The cost of a video; the first call measures this machine's speed, which takes about a second."""
    pixels = journey.size[0] * journey.size[1]
    return Cost(
        frames=frames,
        seconds=(0.5 + frames * pixels * _seconds_per_pixel()) * _correction["film"],
        memory_bytes=_BASE_MEMORY + 60 * 2 * pixels,
        disk_bytes=int(frames * pixels * _MP4_BYTES_PER_PIXEL),
    )


def images_cost(sizes: list[tuple[int, int]]) -> Cost:
    """The cost of making one stack of images of these (W, H)."""
    pixels = sum(w * h for w, h in sizes)
    pairs = len(sizes) - 1
    return Cost(
        frames=0,
        seconds=(0.5 + 0.15e-6 * pixels + _PAIR_S * pairs) * _correction["images"],
        memory_bytes=_BASE_MEMORY + 8 * pixels,
        disk_bytes=int(2.5 * pixels),
        engine="draft",
    )


def learn(part: str, estimated_s: float, measured_s: float) -> None:
    """Correct the estimates of "film" or "images" by a job that was finished, a little at a time."""
    with _lock:
        share = _correction[part] * measured_s / max(estimated_s, 1e-3)
        _correction[part] = min(max(0.7 * _correction[part] + 0.3 * share, 0.2), 20.0)


@lru_cache(maxsize=1)
def _seconds_per_pixel() -> float:
    levels = np.random.default_rng(0).integers(0, 255, (2, 256, 256, 3), dtype=np.uint8)
    journey = replace(_TRIAL, end_zoom=2.0)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        frames = sum(1 for _ in write_video(Path(folder) / "trial.mp4", concentric(levels, 2), journey))
    return (time.perf_counter() - begun) / (frames * journey.size[0] * journey.size[1])
