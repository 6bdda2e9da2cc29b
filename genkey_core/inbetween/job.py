"""The in-between job: keyframes and settings in, a stream of frames and a finished video with its recipe out.

`stream` is the method itself, a generator over frames; `make` wraps it into files and yields its progress, so that
closing it cancels; `make_video` runs it to the end.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from .. import media, recipe
from ..checks import InputError
from ..partial import until_it_fails
from ..timing import Timeline
from .drift import DriftMeter
from .engines import Engine, Progress, choose_engine
from .settings import MAX_KEYFRAMES, MIN_KEYFRAMES, Settings

METHOD = "inbetween"
GALLERY_FRAMES = 24  # so many of a video's frames are kept for looking at


@dataclass(frozen=True)
class Step:
    """One frame is done."""

    done: int
    total: int
    image: np.ndarray  # uint8 [H W 3]
    elapsed_s: float


@dataclass(frozen=True)
class Result:
    """A finished video (or, where `complete` is False, the part that was done when it was cancelled or failed)."""

    path: Path
    zip_path: Path | None
    gallery: list[tuple[int, np.ndarray]]  # (frame number, uint8 [h w 3], at most 640 pixels wide)
    recipe: dict
    engine: str
    frames: int
    complete: bool
    drift: float | None  # mean CIE76 delta E of the in-betweens' mean colour against the interpolated endpoints'
    elapsed_s: float
    problem: str | None = None  # why the engine could not go on, where that is why it is not complete
    notes: tuple[str, ...] = ()  # what the engine had to say on its way, such as a smaller memory mode


@dataclass(frozen=True)
class Plan:
    """A checked job: what `make` will do, known before it starts."""

    images: tuple[Path, ...]
    settings: Settings  # with one gap entry per gap
    size: tuple[int, int]  # width, height of the video
    timeline: Timeline
    engine: Engine = field(compare=False)
    source_pixels: tuple[int, ...] = ()  # of each image, as its file's header says


def plan(images: Sequence[str | Path], settings: Settings | None = None) -> Plan:
    """Check images and settings without making anything; raises InputError that names what is wrong."""
    paths = tuple(Path(p) for p in images)
    if not MIN_KEYFRAMES <= len(paths) <= MAX_KEYFRAMES:
        raise InputError(f"keyframes: {MIN_KEYFRAMES} to {MAX_KEYFRAMES} images are needed, got {len(paths)}.")
    settings = (settings or Settings()).checked().for_keyframes(len(paths))
    sizes = [media.image_size(p) for p in paths]
    size = media.output_size(sizes[0], aspect=settings.aspect, max_side=settings.max_side)
    timeline, engine = settings.timeline(len(paths)), choose_engine(settings.engine, settings)
    return Plan(paths, settings, size, timeline, engine, tuple(width * height for width, height in sizes))


def load_keyframe(path: Path, size: tuple[int, int], settings: Settings) -> np.ndarray:
    """One keyframe as it will stand in the video: uint8 [H W 3]."""
    image = media.load_image(path, background=settings.background_rgb)
    return media.fit_image(image, size, mode=settings.fit, background=settings.background_rgb)


def stream(
    keyframe: Callable[[int], np.ndarray], timeline: Timeline, engine: Engine
) -> Iterator[tuple[int, int, float, np.ndarray] | Progress]:
    """All frames of a timeline, in order, as (start keyframe, end keyframe, position, uint8 [H W 3]).

    `keyframe(k)` gives keyframe k. Positions 0 and 1 yield the keyframes themselves, bit for bit. Only the frames of
    one gap are in work at a time. What the engine says between frames is passed on; a keyframe comes before that.
    """
    for a, b, positions, fresh, moving in runs(timeline):
        start, end = keyframe(a), keyframe(b)
        image = start
        with closing(engine.between(start, end, moving)) as between:
            for position, is_new in zip(positions, fresh, strict=True):
                if position in (0.0, 1.0):
                    image = end if position else start
                elif is_new:
                    while isinstance(image := next(between), Progress):
                        yield image
                yield a, b, float(position), image


def runs(timeline: Timeline) -> Iterator[tuple[int, int, np.ndarray, np.ndarray, np.ndarray]]:
    """The runs of frames between the same two keyframes, in order: start, end, positions, fresh, moving.

    `fresh` says of each position whether it differs from the one before (a held or stepped frame is made once), and
    `moving` are the positions that an engine is asked for.
    """
    key = np.stack([timeline.start, timeline.end], axis=1)
    first = np.flatnonzero(np.any(np.diff(key, axis=0, prepend=-1) != 0, axis=1))
    for begin, stop in zip(first, [*first[1:], len(timeline)], strict=True):
        positions = timeline.position[begin:stop]
        fresh = np.diff(positions, prepend=np.nan) != 0
        moving = positions[fresh & (positions > 0) & (positions < 1)]
        yield int(timeline.start[begin]), int(timeline.end[begin]), positions, fresh, moving


def make(
    images: Sequence[str | Path],
    path: str | Path,
    settings: Settings | None = None,
    *,
    frames_zip: str | Path | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    names: Sequence[str] | None = None,
) -> Iterator[Step | Progress | Result]:
    """Make the video at `path`: yields a Step per frame, what the engine says in between, and last the Result.

    Files appear at their names only when they are whole. Where `cancelled()` turns true, what is done so far becomes the
    result; so it does where the engine cannot go on after frames that it has made, and `problem` then says why. Closing
    the generator instead leaves nothing behind. `frames_zip` also writes every frame as PNG, before encoding. `names`
    are the images' names for the recipe, if not their files'. Raises InputError.
    """
    job = plan(images, settings)
    names = list(names or [p.name for p in job.images])
    inputs = [{"name": n, "sha256": recipe.file_sha256(p)} for n, p in zip(names, job.images, strict=True)]
    for image in job.images:  # a broken file is reported now, not after minutes
        load_keyframe(image, job.size, job.settings)
    keyframe = lru_cache(maxsize=3)(lambda k: load_keyframe(job.images[k], job.size, job.settings))
    tally = _Tally(len(job.timeline))
    with ExitStack() as stack:
        writer = stack.enter_context(media.VideoWriter(path, fps=job.settings.fps, size=job.size))
        archive = stack.enter_context(media.FrameZip(frames_zip)) if frames_zip else None
        frames = stream(keyframe, job.timeline, job.engine)
        stack.callback(frames.close)
        for item in until_it_fails(frames, tally, lambda: tally.drift.mean is not None):
            if isinstance(item, Progress):
                tally.hear(item)
                yield item
            else:
                a, b, position, image = item
                writer.write(image)
                if archive:
                    archive.write(image)
                tally.add(image, keyframe(a), keyframe(b), position, gap=(a, b))
                yield Step(tally.done, tally.total, image, tally.elapsed_s)
            if cancelled():
                break
        made = _recipe_of(job, inputs, tally)
        writer.metadata = {recipe.METADATA_KEY: recipe.to_text(made)}
    yield Result(
        path=Path(path),
        zip_path=Path(frames_zip) if frames_zip else None,
        gallery=tally.gallery,
        recipe=made,
        engine=job.engine.name,
        frames=tally.done,
        complete=tally.complete,
        drift=tally.drift.mean,
        elapsed_s=tally.elapsed_s,
        problem=tally.problem,
        notes=tuple(tally.notes),
    )


def make_video(
    images: Sequence[str | Path], path: str | Path, *, frames_zip: str | Path | None = None, **options: object
) -> Result:
    """Make an in-between video from Python: `make_video(["a.png", "b.png"], "out.mp4", fps=24, gaps=[...])`.

    `options` are the fields of `Settings` (gaps as objects with duration_s, easing and hold_s). Raises InputError.
    """
    return deque(make(images, path, Settings.from_dict(options), frames_zip=frames_zip), maxlen=1)[0]


def _recipe_of(job: Plan, inputs: list[dict], tally: _Tally) -> dict:
    drift = tally.drift.mean
    output = {
        "frames": tally.done,
        "complete": tally.complete,
        "fps": job.settings.fps,
        "width": job.size[0],
        "height": job.size[1],
        "colour_drift": None if drift is None else round(drift, 3),
    }
    if tally.problem:
        output["problem"] = tally.problem
    settings = replace(job.settings, engine=job.engine.name).to_dict()
    return recipe.build(
        method=METHOD,
        engine=job.engine.name,
        settings=settings,
        seed=job.settings.seed,
        inputs=inputs,
        output=output,
    )


class _Tally:
    """What is remembered of a run: counts, drift, what was said, and a bounded number of frames to look at."""

    def __init__(self, total: int):
        self.total, self.done = total, 0
        self.drift = DriftMeter()
        self.problem: str | None = None
        self.notes: list[str] = []
        self.gallery: list[tuple[int, np.ndarray]] = []
        self._wanted = set(np.linspace(0, total - 1, min(total, GALLERY_FRAMES)).round().astype(int).tolist())
        self._started = time.perf_counter()

    @property
    def complete(self) -> bool:
        return self.done == self.total

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self._started

    def add(self, image: np.ndarray, start: np.ndarray, end: np.ndarray, position: float, gap: tuple[int, int]) -> None:
        if self.done in self._wanted:
            self.gallery.append((self.done, _shrunk(image)))
        self.drift.add(image, start, end, position, gap=gap)
        self.done += 1

    def hear(self, progress: Progress) -> None:
        if progress.lasting and progress.note not in self.notes:
            self.notes.append(progress.note)


def _shrunk(image: np.ndarray, width: int = 640) -> np.ndarray:
    """The image at most `width` pixels wide."""
    if image.shape[1] <= width:
        return image.copy()
    return cv2.resize(image, (width, round(image.shape[0] * width / image.shape[1])), interpolation=cv2.INTER_AREA)
