"""What an in-between job will cost on this machine, from a short measurement of its own speed."""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from .. import media, runtime
from ..checks import integer
from ..cost import Cost
from .engines import Draft
from .job import Plan, load_keyframe, runs

_SIZE = (512, 288)  # the size at which the speed is measured, width and height
_PNG_BYTES_PER_PIXEL = 1.6  # of photographs; drawings take less
_MP4_BYTES_PER_PIXEL = 0.03
_FRAMES_IN_MEMORY = 12  # per engine worker: a pair's flows and masks as float32, and frames that wait for the encoder
_DECODE_BYTES_PER_PIXEL = 10  # while one image is read: its pixels, their copy, and their conversion
_DECODE_S_PER_MEGAPIXEL = 0.02  # of a PNG, the slowest to read; every image is read twice, to check it and to use it
_BASE_MEMORY = 150_000_000  # OpenCV, the encoder and its look-ahead
_FITTING = (
    3.0  # a frame of a model's clip, brought to size and locked to the keyframes, over a draft frame of that size
)


@dataclass(frozen=True)
class Speed:
    """Seconds per megapixel on this machine."""

    prepare: float  # of one gap
    frame: float  # of one in-between, encoded
    still: float  # of one held frame, encoded
    png: float  # of one frame in the zip


_LOOK_SIDE = 256  # long side, in pixels, at which the motion between keyframes is looked at beforehand
_shapes: dict[tuple, list[int | None]] = {}  # what `_clip_lengths` found, by all that it depends on
_correction = 1.0  # measured over estimated time of the jobs that ran here; see `learn`
_lock = threading.Lock()


def estimate_cost(job: Plan, *, frames_zip: bool = False) -> Cost:
    """The cost of a checked job. The first call measures this machine's speed, which takes about a second."""
    position = job.timeline.position
    changes = np.diff(position, prepend=np.nan) != 0
    moving = int(np.count_nonzero(changes & (position > 0) & (position < 1)))
    gaps = 1 + int(np.count_nonzero(np.diff(job.timeline.start) != 0))
    cost = cost_of(*job.size, len(position), moving=moving, gaps=gaps, frames_zip=frames_zip)
    if hasattr(job.engine, "needs"):
        cost = _with_model(cost, job, moving)
    decoding = _BASE_MEMORY + _DECODE_BYTES_PER_PIXEL * max(job.source_pixels, default=0)
    return replace(
        cost,
        seconds=cost.seconds + 2 * _DECODE_S_PER_MEGAPIXEL * sum(job.source_pixels) / 1e6 * _correction,
        memory_bytes=max(cost.memory_bytes, decoding),
        engine=job.engine.name,
    )


def _with_model(cost: Cost, job: Plan, moving: int) -> Cost:
    """`cost` with the sampling of a learned engine: once per pair of keyframes, whichever way it is played."""
    needs = job.engine.needs(job.size)
    clips = [length for start, end, n in _pairs(job) for length in _clip_lengths(job, start, end, n)]
    each = [job.engine.needs(job.size, length) for length in clips]
    sampling = sum(clip.evaluations * clip.evaluation_s + clip.around_s for clip in each)
    fitting = (_FITTING - 1) * moving * measured_speed().frame * job.size[0] * job.size[1] / 1e6
    quota = sum(runtime.quota_seconds(clip.lease_s) for clip in each if clip.lease_s)
    notes = list(needs.notes)
    if len(clips) > len(_pairs(job)):
        notes.append("Much moves in a gap: it is made of several clips, which takes as many times longer.")
    if runtime.on_zero_gpu() and quota > runtime.ZERO_GPU_ANONYMOUS_S:
        notes.append(
            f"Visitors who are not signed in have about {runtime.ZERO_GPU_ANONYMOUS_S} s of GPU a day; sign in, or take "
            "fewer keyframes."
        )
    return replace(
        cost,
        seconds=cost.seconds + fitting * _correction + sampling + (needs.once_s if clips else 0.0),
        memory_bytes=2 * cost.memory_bytes + needs.memory_bytes,  # fitting holds about twice what draft does
        gpu_quota_s=float(quota),
        memory_mode=needs.memory_mode,
        download_bytes=needs.download_bytes,
        notes=tuple(notes),
    )


def _pairs(job: Plan) -> list[tuple[int, int, int]]:
    """The pairs of keyframes that are sampled: start, end, and how many in-betweens the first run between them has."""
    counts: dict[tuple[int, int], int] = {}
    for start, end, _, _, moving in runs(job.timeline):
        if len(moving) and (end, start) not in counts:
            counts.setdefault((start, end), len(moving))
    return [(*pair, n) for pair, n in counts.items()]


def _clip_lengths(job: Plan, start: int, end: int, n: int) -> list[int | None]:
    """The numbers of frames of the clips that the engine will sample between two keyframes."""
    images = job.images[start], job.images[end]
    stamps = tuple((str(path), path.stat().st_mtime_ns) for path in images)
    key = (job.engine.name, tuple(job.engine.model.frame_counts()), job.size, stamps, n)
    with _lock:
        if key in _shapes:
            return _shapes[key]
    scale = min(1.0, _LOOK_SIDE / max(job.size))
    size = tuple(max(16, round(side * scale)) for side in job.size)
    shape = job.engine.shaper(*(load_keyframe(path, size, job.settings) for path in images), n)
    lengths = [shape.n_frames] * shape.segments + ([None] if shape.segments > 1 else [])
    with _lock:
        while len(_shapes) >= 500:
            _shapes.pop(next(iter(_shapes)))
        _shapes[key] = lengths
    return lengths


def cost_of(
    width: int, height: int, frames: int, *, moving: int | None = None, gaps: int = 1, frames_zip: bool = False
) -> Cost:
    """The cost of a video of this size and length, `moving` of its frames being in-betweens (all, if not given)."""
    integer(width, "width", low=16, high=4096)
    integer(height, "height", low=16, high=4096)
    integer(frames, "frames", low=1, high=10**9)
    moving = frames if moving is None else moving
    speed = measured_speed()
    megapixels = width * height / 1e6
    seconds = gaps * speed.prepare + moving * speed.frame + (frames - moving) * speed.still
    disk = frames * _MP4_BYTES_PER_PIXEL
    if frames_zip:
        seconds += frames * speed.png
        disk += frames * _PNG_BYTES_PER_PIXEL
    memory = _BASE_MEMORY + megapixels * 1e6 * 3 * _FRAMES_IN_MEMORY * (1 + runtime.cpu_count())
    return Cost(frames, 0.3 + seconds * megapixels * _correction, int(memory), int(disk * megapixels * 1e6))


def learn(estimated_s: float, measured_s: float) -> None:
    """Correct later estimates by how long a finished job really took (other work on the machine counts too)."""
    global _correction
    if estimated_s < 1 or measured_s <= 0:
        return
    with _lock:
        ratio = float(np.clip(measured_s / estimated_s, 0.25, 4))
        _correction = float(np.clip(_correction * ratio**0.5, 0.1, 10))


@lru_cache(maxsize=1)
def measured_speed() -> Speed:
    """This machine's speed, measured once on a small moving pattern with the real engine and the real encoder."""
    width, height = _SIZE
    megapixels = width * height / 1e6
    y, x = np.mgrid[:height, :width].astype(np.float32)
    wave = 127 + 80 * np.sin(x / 17) * np.cos(y / 13) + 40 * np.sin((x + 2 * y) / 5)
    start = np.clip(np.stack([wave, np.roll(wave, 9, 1), 255 - wave], -1), 0, 255).astype(np.uint8)
    end = np.roll(start, (3, 7), (0, 1))
    engine = Draft()
    next(iter(engine.between(start, end, np.array([0.5]))))  # first calls load code and tables
    prepare = _timed(lambda: list(engine.between(start, end, np.array([0.5]))))
    positions = np.linspace(0, 1, 14)[1:-1]
    frames: list[np.ndarray] = []
    between = _timed(lambda: frames.extend(engine.between(start, end, positions)))
    with tempfile.TemporaryDirectory() as folder:
        encode = _timed(lambda: _encode(Path(folder) / "speed.mp4", frames))
        png = _timed(lambda: _archive(Path(folder) / "speed.zip", frames[:4])) / 4
    frame = max(between - prepare, 0.1 * between) / len(positions)
    still = encode / len(frames)
    return Speed(prepare / megapixels, (frame + still) / megapixels, still / megapixels, png / megapixels)


def _timed(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _encode(path: Path, frames: list[np.ndarray]) -> None:
    with media.VideoWriter(path, fps=24, size=_SIZE) as writer:
        for frame in frames:
            writer.write(frame)


def _archive(path: Path, frames: list[np.ndarray]) -> None:
    with media.FrameZip(path) as archive:
        for frame in frames:
            archive.write(frame)
