"""What a dance will cost on this machine, from a short measurement of its own speed."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from .. import media
from ..cost import Cost
from .layered import Layered
from .mirror import augmented
from .planning import Plan
from .plates import separate
from .stage import known_stage

_SIZE = (640, 360)  # at which the speed is measured
_MP4_BYTES_PER_PIXEL = 0.03
_BOX_SHARE = 0.45  # of the picture, the box in which a subject dances
_BASE_MEMORY = 400_000_000
_STAGE_BYTES_PER_PIXEL = 14  # of every keyframe and its mirror: picture, mask, shade, and what is computed from them
_REFERENCE_PACE = 0.09  # seconds of an in-between per megapixel on the machine where the next two were measured
_SETUP, _FLOW = 1.1, 0.04  # seconds: per megapixel of a keyframe, and of the motion between two
_SOLVING_S = 0.7

_correction = 1.0  # measured over estimated time of the dances that were made here; see `learn`
_lock = threading.Lock()


@dataclass(frozen=True)
class Speed:
    """Seconds on this machine."""

    pair: float  # to prepare a pair of keyframes
    frame: float  # per megapixel of an in-between
    write: float  # per megapixel of a frame that is encoded


def cost_of(job: Plan) -> Cost:
    """The cost of `made` with the draft, nothing rendered yet. The first call measures this machine's speed in about a second."""
    speed = measured_speed()
    megapixels = job.size[0] * job.size[1] / 1e6
    n_pairs = most_pairs(job)
    stage = known_stage(job.digest)
    seconds = _SOLVING_S + job.n_frames * speed.write * megapixels
    if stage is None:
        k = len(job.images)
        seconds += (_SETUP * k * megapixels + _FLOW * k * (2 * k - 1)) * speed.frame / _REFERENCE_PACE
    seconds += n_pairs * (speed.pair + job.settings.in_betweens * speed.frame * megapixels)
    pixels = job.size[0] * job.size[1]
    clip_bytes = int(n_pairs * job.settings.in_betweens * 3 * pixels * _BOX_SHARE)
    return Cost(
        frames=job.n_frames,
        seconds=seconds * _correction,
        memory_bytes=_BASE_MEMORY + 2 * len(job.images) * pixels * _STAGE_BYTES_PER_PIXEL,
        disk_bytes=int(job.n_frames * pixels * _MP4_BYTES_PER_PIXEL) + clip_bytes,
        engine="draft",
    )


def most_pairs(job: Plan) -> int:
    """How many different pairs of keyframes a dance of this pattern has at most: its labels, and the changes between them."""
    labels = job.pattern.labels
    return len(set(labels)) + len(set(itertools.pairwise(labels)))


def learn(estimated_s: float, measured_s: float) -> None:
    """Correct later estimates by how long a finished dance took (other work on the machine counts too)."""
    global _correction
    if estimated_s < 1 or measured_s <= 0:
        return
    with _lock:
        ratio = float(np.clip(measured_s / estimated_s, 0.25, 4))
        _correction = float(np.clip(_correction * ratio**0.5, 0.1, 20))


@lru_cache(maxsize=1)
def measured_speed() -> Speed:
    """This machine's speed, measured once on three small drawn keyframes with the real engine and encoder."""
    width, height = _SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    wave = 127 + 60 * np.sin(x / 17) * np.cos(y / 13)
    back = np.clip(np.stack([wave, 200 - wave / 2, wave / 2], -1), 0, 255).astype(np.uint8)
    masks = [(x - 220 - 90 * k) ** 2 / (1 + k) + (y - 200) ** 2 / (3 - k) < 3600 for k in range(3)]
    images = [np.where(mask[..., None], np.uint8(40 + 60 * k), back) for k, mask in enumerate(masks)]
    layered = Layered(augmented(separate(images, masks=masks)))
    list(layered.between(0, 1, [0.5]))  # what is prepared once for each keyframe is not counted
    first = _timed(lambda: list(layered.between(1, 0, [0.5])))
    frames: list[np.ndarray] = []
    more = _timed(lambda: frames.extend(layered.between(1, 0, np.arange(1, 9) / 9))) / 8
    with tempfile.TemporaryDirectory() as folder:
        write = _timed(lambda: _encode(Path(folder) / "speed.mp4", frames)) / len(frames)
    megapixels = width * height / 1e6
    return Speed(max(first - more, 0.0), more / megapixels, write / megapixels)


def _timed(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _encode(path: Path, frames: list[np.ndarray]) -> None:
    with media.VideoWriter(path, fps=25, size=_SIZE) as writer:
        for frame in frames:
            writer.write(frame)
