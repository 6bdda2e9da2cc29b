"""What a jump-cut job will cost on this machine, from a short measurement of its own speed."""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from .. import media
from ..cost import Cost
from ..media import VideoInfo
from .engines import CutNeeds, Engines
from .hide import Treatment
from .planning import Plan
from .tracks import MAX_FOLLOWED, Tracker
from .warp import AttentionWarp

_SIZE = (640, 360)  # at which the speed is measured, width and height
_COPY_MEGAPIXELS = 0.13  # of the small copy
_MP4_BYTES_PER_PIXEL = 0.03
_WAV_BYTES_PER_S = 48_000 * 2 * 2
_BASE_MEMORY = 500_000_000  # OpenCV, the encoder and its look-ahead, and the frames held as sources
_FRAMES_IN_MEMORY = 60  # around a cut, and waiting for the encoder
_LISTENING = 0.02  # seconds per second of sound

_correction = {"analysis": 1.0, "cut": 1.0}  # measured over estimated time of the jobs that ran here; see `learn`
_lock = threading.Lock()


@dataclass(frozen=True)
class Speed:
    """Seconds on this machine."""

    read: float  # per megapixel of a frame that is read
    write: float  # per megapixel of a frame that is encoded
    follow: float  # per removed frame
    made: float  # per megapixel of a frame that is made anew
    begin: float  # per cut


def analysis_cost(info: VideoInfo) -> Cost:
    """The cost of a survey; the first call measures this machine's speed, which takes about two seconds."""
    speed = measured_speed()
    megapixels = info.width * info.height / 1e6
    per_frame = speed.read * megapixels + speed.write * _COPY_MEGAPIXELS + 0.5 * speed.follow
    seconds = 0.5 + info.n_frames * per_frame + _LISTENING * info.duration_s * info.has_audio
    return Cost(
        frames=info.n_frames,
        seconds=seconds * _correction["analysis"],
        memory_bytes=_BASE_MEMORY // 2 + int(info.duration_s * 15_000 + 30 * megapixels * 1e6),
        disk_bytes=int(info.n_frames * _COPY_MEGAPIXELS * 1e6 * _MP4_BYTES_PER_PIXEL),
    )


def cut_cost(job: Plan, engines: Engines | None = None) -> Cost:
    """The cost of `make` with this plan and these engines; what a `CutEngine` says it needs is added to the draft's.

    Where triage decides the mode, every cut is counted as one that is made anew.
    """
    speed = measured_speed()
    megapixels = job.size[0] * job.size[1] / 1e6
    source = job.survey.width * job.survey.height / 1e6
    seconds = 0.5 + job.pieces[-1].stop * speed.read * source + job.n_frames * speed.write * megapixels
    seconds += _LISTENING * job.survey.duration_s * job.survey.has_sound
    for cut, treatment in zip(job.cuts, job.treatments, strict=True):
        seconds += min(cut.first - cut.last, MAX_FOLLOWED) * speed.follow
        if cut.mode in ("hard cut", "punch-in"):
            continue
        made = made_frames(treatment)
        seconds += speed.begin + made * speed.made * megapixels
    needs = _needs(job, engines or {})
    once_s = sum({name: need.once_s for name, need in needs}.values())
    return Cost(
        frames=job.n_frames,
        seconds=seconds * _correction["cut"] + once_s + sum(need.seconds for _, need in needs),
        memory_bytes=_BASE_MEMORY
        + int(_FRAMES_IN_MEMORY * 3 * megapixels * 1e6)
        + max((need.memory_bytes for _, need in needs), default=0),
        gpu_quota_s=sum(need.gpu_quota_s for _, need in needs),
        download_bytes=sum({name: need.download_bytes for name, need in needs}.values()),
        notes=tuple(dict.fromkeys(note for _, need in needs for note in need.notes)),
        disk_bytes=int(job.n_frames * megapixels * 1e6 * _MP4_BYTES_PER_PIXEL)
        + int(job.duration_s * _WAV_BYTES_PER_S * job.survey.has_sound),
        engine=", ".join(dict.fromkeys(("draft", *job.engines))) if job.engines else "draft",
    )


def made_frames(treatment: Treatment) -> int:
    """How many frames of a cut are made anew."""
    return treatment.n_inserted or 2 * treatment.neighbourhood


def _needs(job: Plan, engines: Engines) -> list[tuple[str, CutNeeds]]:
    """What each cut needs of an engine that says so."""
    found = []
    for cut, treatment in zip(job.cuts, job.treatments, strict=True):
        engine = engines.get(treatment.engine)
        if cut.mode not in ("hard cut", "punch-in") and hasattr(engine, "needs"):
            found.append((treatment.engine, engine.needs(job.size, made_frames(treatment))))
    return found


def learn(what: str, estimated_s: float, measured_s: float) -> None:
    """Correct later estimates of "analysis" or "cut" by how long a finished job took (other work counts too)."""
    if estimated_s < 1 or measured_s <= 0:
        return
    with _lock:
        ratio = float(np.clip(measured_s / estimated_s, 0.25, 4))
        _correction[what] = float(np.clip(_correction[what] * ratio**0.5, 0.1, 10))


@lru_cache(maxsize=1)
def measured_speed() -> Speed:
    """This machine's speed, measured once on a small moving pattern with the real engine, encoder and decoder."""
    width, height = _SIZE
    megapixels = width * height / 1e6
    y, x = np.mgrid[:height, : width + 24].astype(np.float32)
    wave = 127 + 80 * np.sin(x / 17) * np.cos(y / 13) + 40 * np.sin((x + 2 * y) / 5)
    wide = np.clip(np.stack([wave, np.roll(wave, 9, 1), 255 - wave], -1), 0, 255).astype(np.uint8)
    frames = [np.ascontiguousarray(wide[:, i : i + width]) for i in range(12)]
    tracker = Tracker(frames[0])
    follow = _timed(lambda: [tracker.add(frame) for frame in frames[1:]]) / (len(frames) - 1)
    engine = AttentionWarp(frames[4:6], tracks=tracker.tracks())
    one = _timed(lambda: list(engine.between(frames[0], frames[-1], np.array([0.5]))))
    several = _timed(lambda: list(engine.between(frames[0], frames[-1], np.array([0.3, 0.5, 0.7]))))
    made = max((several - one) / 2, 0.1 * one)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speed.mp4"
        write = _timed(lambda: _encode(path, frames)) / len(frames)
        read = _timed(lambda: list(media.read_frames(path))) / len(frames)
    # In a blended transition every frame has its own two ends, so each is prepared anew.
    return Speed(read / megapixels, write / megapixels, follow, one / megapixels, max(one - made, 0.0))


def _timed(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _encode(path: Path, frames: list[np.ndarray]) -> None:
    with media.VideoWriter(path, fps=25, size=_SIZE) as writer:
        for frame in frames:
            writer.write(frame)
