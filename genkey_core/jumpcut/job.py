"""The jump-cut job: a planned cut of a video in, a finished video with its cuts hidden out.

`judge` looks at the cuts beforehand, `make` is a generator that yields its progress and each cut as it is done, so that
closing it cancels. What is planned stands in `planning.py`.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .. import media, recipe
from ..checks import InputError, shown
from ..partial import until_it_fails
from .engines import Engines
from .hide import Hidden, Shown, Working, hide
from .planning import Cut, Plan
from .tracks import MAX_FOLLOWED, Tracker
from .triage import Triage, triage

METHOD = "jumpcut"
_BESIDE_PX = 960  # width at which the middles of cuts are kept
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)


@dataclass(frozen=True)
class Judged:
    """A cut was looked at: `done` of `total`."""

    done: int
    total: int
    cut: Cut
    triage: Triage


@dataclass(frozen=True)
class Outcome:
    """A cut that is done: how, why, and its middle before and after."""

    cut: Cut
    mode: str  # what was done, one of hide.MODES but auto
    engine: str
    triage: Triage
    before_jpeg: bytes  # at most _BESIDE_PX wide: as a hard cut shows it; an hour has a thousand cuts, so packed
    after_jpeg: bytes  # as it is now
    note: str = ""  # what the engine says of it

    @property
    def before(self) -> np.ndarray:  # uint8 [h w 3]
        return _unpacked(self.before_jpeg)

    @property
    def after(self) -> np.ndarray:  # uint8 [h w 3]
        return _unpacked(self.after_jpeg)


@dataclass(frozen=True)
class Step:
    """Progress: frames written of all, and the cut that has just been finished, if one has."""

    done: int
    total: int
    elapsed_s: float
    cut: int = -1  # the cut in work, from 0
    said: str = ""  # what is being done, in words
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Result:
    """The finished video; where `complete` is False, the part that was done when it was cancelled or failed."""

    path: Path
    recipe: dict
    plan: Plan
    outcomes: tuple[Outcome, ...]
    frames: int
    complete: bool
    elapsed_s: float
    problem: str | None = None


def judge(
    path: str | os.PathLike,
    job: Plan,
    *,
    known: Iterable[tuple[int, int]] = (),
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Judged]:
    """The triage of each cut that is not `known`, in order, reading only the frames around it."""
    known = set(known)
    wanted = [cut for cut in job.cuts if cut.key not in known]
    fps = float(job.survey.fps)
    for done, cut in enumerate(wanted, 1):
        if cancelled():
            return
        around = media.read_frames(path, start_s=cut.last / fps, fps=fps)
        followed = cut.first - cut.last <= MAX_FOLLOWED
        with closing(around):
            frames = [next(around).image]
            tracker = Tracker(frames[0])
            for frame in itertools.islice(around, cut.first - cut.last if followed else 0):
                tracker.add(frame.image)
                frames[1:] = [frame.image]
        if not followed:  # too much was removed: the two are matched directly
            with closing(media.read_frames(path, start_s=cut.first / fps, fps=fps)) as after:
                frames[1:] = [next(after).image]
            tracker.add(frames[1])
        yield Judged(done, len(wanted), cut, triage(frames[0], frames[1], tracker.tracks()))


def make(
    path: str | os.PathLike,
    out: str | os.PathLike,
    job: Plan,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    name: str | None = None,
    engines: Engines | None = None,
    more_inputs: Sequence[dict] = (),
) -> Iterator[Step | Result]:
    """Make the video at `out` from the one at `path`: Steps, one of them with an outcome per cut, and last the Result.

    The file appears when it is whole. Where `cancelled()` turns true, what is done so far becomes the result; so it does
    where the video cannot be read on or an engine breaks down, and `problem` then says why. Closing the generator
    leaves nothing behind. `name` is the video's name for the recipe, if not its file's; `more_inputs` are what else went in
    (name, sha256), such as a body map. Raises InputError.
    """
    from .soundtrack import written_sound

    if job.removed_s <= 0 and len(job.pieces) == 1:
        raise InputError("cut list: nothing is set to be removed; choose a row to remove, or type a range.")
    sources = [{"name": name or Path(path).name, "sha256": recipe.file_sha256(path)}, *more_inputs]
    missing = [name for name in job.engines if name not in (engines or {})]
    if missing:
        raise InputError(f"engine: {shown(missing[0])} is not there; choose another engine.")
    tally = _Tally(job)
    fps = float(job.survey.fps)
    with ExitStack() as stack:
        sound = None
        if job.survey.has_sound:
            yield tally.step("cutting the sound")
            sound = stack.enter_context(written_sound(path, Path(out).with_suffix(".wav"), job))
        writer = stack.enter_context(media.VideoWriter(out, fps=job.survey.fps, size=job.size, audio=sound))
        frames = itertools.islice(media.read_frames(path, fps=fps), job.survey.n_frames)
        hidden = hide(
            (_fitted(frame.image, job.size) for frame in frames),
            [cut.key for cut in job.cuts],
            job.treatments,
            first=job.pieces[0].start,
            stop=job.pieces[-1].stop,
            engines=engines,
        )
        stack.callback(hidden.close)
        for item in until_it_fails(hidden, tally, lambda: tally.done > 0):
            if isinstance(item, Shown):
                writer.write(item.image)
            yield tally.hear(item)
            if cancelled():
                break
        if not writer.n_frames:
            raise InputError("cancelled before the first frame; nothing was made.")
        made = _recipe_of(job, sources, tally)
        writer.metadata = {recipe.METADATA_KEY: recipe.to_text(made)}
    yield Result(
        path=Path(out),
        recipe=made,
        plan=job,
        outcomes=tuple(tally.outcomes),
        frames=tally.done,
        complete=tally.complete,
        elapsed_s=tally.elapsed_s,
        problem=tally.problem,
    )


def _fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:  # uint8 [H W 3] of `size` (W, H)
    """A frame in the result's size. An odd side becomes even by repeating its last row or column, which blurs nothing."""
    h, w = image.shape[:2]
    if (w, h) == size:
        return image
    if 0 <= size[0] - w <= 1 and 0 <= size[1] - h <= 1:
        return cv2.copyMakeBorder(image, 0, size[1] - h, 0, size[0] - w, cv2.BORDER_REPLICATE)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _recipe_of(job: Plan, sources: list[dict], tally: _Tally) -> dict:
    output = {
        "frames": tally.done,
        "complete": tally.complete,
        "fps": str(job.survey.fps),
        "width": job.size[0],
        "height": job.size[1],
        "pieces": [[p.start, p.stop, p.inserted] for p in job.pieces],
        "cuts": [
            {"last": o.cut.last, "first": o.cut.first, "mode": o.mode, "engine": o.engine} for o in tally.outcomes
        ],
    }
    if tally.problem:
        output["problem"] = tally.problem
    return recipe.build(
        method=METHOD,
        engine=job.settings.engine,
        settings=job.settings.to_dict(),
        seed=job.settings.seed if job.engines else None,
        inputs=sources,
        output=output,
    )


class _Tally:
    """What is remembered of a run: frames, the cuts that are done, and what went wrong."""

    def __init__(self, job: Plan):
        self.job, self.done = job, 0
        self.outcomes: list[Outcome] = []
        self.problem: str | None = None
        self._started = time.perf_counter()

    @property
    def complete(self) -> bool:
        return self.done == self.job.n_frames

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self._started

    def step(self, said: str = "", *, cut: int = -1, outcome: Outcome | None = None) -> Step:
        return Step(self.done, self.job.n_frames, self.elapsed_s, cut, said, outcome)

    def hear(self, item: Shown | Working | Hidden) -> Step:
        """Count what `hide` yields."""
        if isinstance(item, Shown):
            self.done += 1
            return self.step()
        if isinstance(item, Working):
            said = getattr(item.said, "note", "")
            return self.step(said or f"frame {item.done} of {item.total}", cut=item.cut)
        pictures = (_beside(image) for image in (item.before, item.middle))
        self.outcomes.append(
            Outcome(self.job.cuts[item.cut], item.mode, item.engine, item.triage, *pictures, item.note)
        )
        return self.step(cut=item.cut, outcome=self.outcomes[-1])


def _beside(image: np.ndarray) -> bytes:
    """A picture [H W 3] made small, as JPEG."""
    scale = min(1.0, _BESIDE_PX / image.shape[1])
    size = (round(image.shape[1] * scale), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    ok, packed = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), _JPEG)
    if not ok:
        raise InputError("the middle of a cut could not be kept as a picture.")
    return packed.tobytes()


def _unpacked(packed: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
