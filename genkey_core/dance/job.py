"""The dance job: keyframes and a song in, a dance on the beat out (thesis chapter 7).

    for step in make(images, "song.mp3", "dance.mp4", Settings(pattern="A-A'-B-C-D-D")):
        ...

`make` is a generator: it yields its progress, and closing it cancels. `choose` stops after the solutions, for a page on which
one of them is chosen. What is planned stands in `planning.py`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import media, recipe
from ..checks import InputError, shown
from ..partial import until_it_fails
from .beats import Beats
from .graph import Dance, best_dances, keyframe_name
from .planning import Plan, plan
from .render import Interpolate, Making, Shelf, Shown, pictures
from .settings import Settings
from .stage import Stage, staged
from .stage_models import StageModels
from .timeline_picture import timeline_picture

METHOD = "dance"


@dataclass(frozen=True)
class Step:
    """Progress: frames written of all, the segment that is danced, and what is being done."""

    done: int
    total: int
    elapsed_s: float
    said: str = ""
    segment: int = -1  # from 0; -1 before the first
    image: np.ndarray | None = None  # uint8 [H W 3], the newest frame


@dataclass(frozen=True)
class Chosen:
    """The solutions, best first, and the stage that they dance on."""

    stage: Stage
    dances: tuple[Dance, ...]
    elapsed_s: float


@dataclass(frozen=True)
class Result:
    """The finished dance; where `complete` is False, the part that was done when it was cancelled or failed."""

    path: Path
    timeline: Path  # the keyframe timeline as a PNG
    recipe: dict
    plan: Plan
    dances: tuple[Dance, ...]
    dance: Dance  # the one that was made
    beat_frames: np.ndarray  # int [N], the frame of every keyframe of the path
    frames: int
    made_pairs: int  # pairs of keyframes that were rendered for it; the others were there
    complete: bool
    elapsed_s: float
    notes: tuple[str, ...] = ()
    problem: str | None = None


def choose(
    job: Plan,
    *,
    models: StageModels | None = None,
    clips: str | os.PathLike | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Step | Chosen]:
    """Set up the keyframes and find the best dances: Steps, and last what there is to choose from.

    `models` are those that the settings ask for, by default the published ones; what is fitted to the keyframes is kept in
    `clips`. Raises InputError, for wishes that cannot be met one that names those in conflict.
    """
    begun, total = time.perf_counter(), job.n_frames
    models = models or StageModels(job.settings)
    with closing(staged(job.images, models, folder=Path(clips) if clips else None)) as work:
        for item in work:
            if isinstance(item, Stage):
                stage = item
            else:
                yield Step(0, total, time.perf_counter() - begun, item.said, image=item.image)
            if cancelled():
                raise InputError("Cancelled before the first frame; nothing was made.")
    s = job.settings
    wishes = s.wishes(job.pattern, stage.n_poses)
    yield Step(0, total, time.perf_counter() - begun, "looking for the best dance")
    found: list[Dance] = []
    for dance in best_dances(
        job.pattern, stage.motion, wishes, n_best=s.n_best, time_limit_s=s.time_limit_s, seed=s.seed
    ):
        found.append(dance)
        yield Step(0, total, time.perf_counter() - begun, f"{len(found)} of the best {s.n_best} dances found")
        if cancelled():
            break
    yield Chosen(stage, tuple(found), time.perf_counter() - begun)


def make(
    keyframes: Sequence[str | os.PathLike] | np.ndarray,
    song: str | os.PathLike,
    out: str | os.PathLike,
    settings: Settings | None = None,
    *,
    beats: Beats | None = None,
    interpolate: Interpolate | None = None,
    models: StageModels | None = None,
    clips: str | os.PathLike | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Step | Result]:
    """Make the dance at `out`: Steps, and last the Result. Arguments as of `plan`.

    `interpolate(start, end, n)` makes in-betweens for `settings.engine`, which it must be given for unless that is draft;
    `models` set up the stage, as in `choose`; `clips` is the folder in which rendered pairs, and what was fitted to the
    keyframes, are kept for the next dance, by default they go. The file appears when it
    is whole. Where `cancelled()` turns true, or an engine breaks down, after the first frame, what is done so far becomes
    the result. Closing the generator leaves nothing behind. Raises InputError.
    """
    job = plan(keyframes, song, settings, beats=beats)
    if interpolate is None and job.settings.engine != "draft":
        raise InputError(f"engine: {shown(job.settings.engine)} is not there; choose draft.")
    yield from made(job, out, interpolate=interpolate, models=models, clips=clips, cancelled=cancelled)


def made(
    job: Plan,
    out: str | os.PathLike,
    *,
    interpolate: Interpolate | None = None,
    models: StageModels | None = None,
    clips: str | os.PathLike | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Step | Result]:
    """`make` for a plan that is checked already."""
    begun = time.perf_counter()
    with closing(choose(job, models=models, clips=clips, cancelled=cancelled)) as work:
        for item in work:
            if isinstance(item, Step):
                yield item
            else:
                chosen = item
    dances = chosen.dances
    if job.settings.solution > len(dances):
        raise InputError(
            f"solution: there are only {len(dances)} that differ enough, number {job.settings.solution} is none."
        )
    dance = dances[job.settings.solution - 1]
    timeline = job.timeline(dance.path)
    tally = _Tally(job, timeline.beat_frames, begun)
    with ExitStack() as stack:
        folder = clips or stack.enter_context(tempfile.TemporaryDirectory(prefix="genkey-"))
        name = f"{job.settings.engine} {job.settings.seed}"
        shelf = Shelf(chosen.stage, Path(folder), n=job.settings.in_betweens, interpolate=interpolate, engine=name)
        writer = stack.enter_context(
            media.VideoWriter(out, fps=job.settings.fps, size=job.size, audio=job.song, audio_start_s=job.start_s)
        )
        frames = stack.enter_context(closing(pictures(timeline, shelf)))
        for item in until_it_fails(frames, tally, lambda: tally.done > 0):
            if isinstance(item, Shown):
                writer.write(item.image)
            yield tally.hear(item)
            if cancelled() and tally.done:
                break
        if not tally.done:
            raise InputError("Cancelled before the first frame; nothing was made.")
        recipe_ = recipe_of(job, chosen.stage, dance, tally)
        writer.metadata = {recipe.METADATA_KEY: recipe.to_text(recipe_)}
    picture = Path(out).with_suffix(".png")
    media.save_image(picture, timeline_picture(job, chosen.stage, dance))
    yield Result(
        path=Path(out),
        timeline=picture,
        recipe=recipe_,
        plan=job,
        dances=dances,
        dance=dance,
        beat_frames=timeline.beat_frames,
        frames=tally.done,
        made_pairs=shelf.made,
        complete=tally.complete,
        elapsed_s=time.perf_counter() - begun,
        notes=tuple(dict.fromkeys((*job.notes, *chosen.stage.notes, *_proof(dance)))),
        problem=tally.problem,
    )


def recipe_of(job: Plan, stage: Stage, dance: Dance, tally: _Tally) -> dict:
    """What made the dance, for the metadata of its video."""
    n = len(stage.scene.images)
    pictures_ = [{"name": name, "sha256": _sha256(image)} for name, image in zip(job.names, job.images, strict=True)]
    output = {
        "frames": tally.done,
        "complete": tally.complete,
        "width": job.size[0],
        "height": job.size[1],
        "pattern": str(job.pattern),
        "pairs": {str(label): [keyframe_name(k, n) for k in pair] for label, pair in dance.pairs.items()},
        "cost_px": round(dance.cost, 3),
        "bound_px": round(dance.bound, 3),
        "beats_s": np.round(job.beats.beat_times_s, 4).tolist(),
        "first_downbeat": job.beats.first_downbeat,
        "beats_per_bar": job.beats.beats_per_bar,
    }
    if tally.problem:
        output["problem"] = tally.problem
    return recipe.build(
        method=METHOD,
        engine=job.settings.engine,
        settings=job.settings.to_dict(),
        seed=None if job.settings.engine == job.settings.mirrors == "draft" else job.settings.seed,
        inputs=[*pictures_, {"name": job.song.name, "sha256": recipe.file_sha256(job.song)}],
        output=output,
    )


def _sha256(image: np.ndarray) -> str:
    """Of a keyframe's pixels as they are danced."""
    import hashlib

    return hashlib.sha256(np.ascontiguousarray(image)).hexdigest()


def _proof(dance: Dance) -> tuple[str, ...]:
    if dance.proven:
        return ()
    return (f"In the time given no better dance was found; one could cost at most {100 * dance.gap:.0f} % less.",)


class _Tally:
    """What is remembered of a run."""

    def __init__(self, job: Plan, beat_frames: np.ndarray, begun: float):
        self.job, self.done, self.begun = job, 0, begun
        self.problem: str | None = None
        self._beat_frames = beat_frames

    @property
    def complete(self) -> bool:
        return self.done == self.job.n_frames

    def hear(self, item: Making | Shown) -> Step:
        said, image = "", None
        if isinstance(item, Shown):
            self.done, image = self.done + 1, item.image
        else:
            n = 2 * len(self.job.images)
            said = f"rendering {keyframe_name(item.pair[0], n)} to {keyframe_name(item.pair[1], n)}"
            said += f", {item.note}" if item.note else ""
        segment = (int(np.searchsorted(self._beat_frames, self.done, side="right")) - 1) // 2
        return Step(self.done, self.job.n_frames, time.perf_counter() - self.begun, said, segment, image)
