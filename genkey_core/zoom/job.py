"""The zoom job: a ladder of prompts, perhaps a photograph, in; progress with previews, and a stack of levels out.

`plan` checks everything that can be checked before the work; `make` is a generator, so closing it cancels and leaves nothing
behind, while `cancelled` ends it with the levels as they were last foreseen.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from .. import media, recipe
from ..checks import InputError
from ..partial import problem_of
from .engines import Engine, Needs, Progress, choose_engine
from .prompts import Ladder
from .settings import Settings

METHOD = "zoom"
MIN_PHOTO = 64  # pixels on the short side: what the smallest model works at


@dataclass(frozen=True)
class Step:
    """What is known while a stack is made."""

    done: int  # steps done
    total: int
    previews: np.ndarray | None  # uint8 [N h w 3], all levels as they are now foreseen; None before the first step
    note: str  # what is being done, such as "loading the model"
    elapsed_s: float


@dataclass(frozen=True)
class Result:
    """A finished stack, or, where `complete` is False, the levels as they were foreseen when it was cancelled or failed."""

    levels: np.ndarray  # uint8 [N H W 3]; level i + 1 is the middle 1/p of level i
    ladder: Ladder
    engine: str
    seed: int
    complete: bool
    elapsed_s: float
    recipe: dict
    problem: str | None = None  # why it could not be finished
    notes: tuple[str, ...] = ()  # what the user should know of the result


@dataclass(frozen=True)
class Plan:
    """A checked job: what `make` will do, known before it starts."""

    ladder: Ladder
    settings: Settings
    photo: Path | None
    engine: Engine = field(compare=False)
    warnings: tuple[str, ...] = ()  # about the prompts, before the run

    @property
    def needs(self) -> Needs:
        """Time and memory."""
        return self.engine.needs(len(self.ladder.prompts))


def plan(ladder: Ladder, settings: Settings | None = None, *, photo: str | Path | None = None) -> Plan:
    """Check a job without making anything; raises InputError that names what is wrong."""
    ladder, settings = ladder.checked(), (settings or Settings()).checked()
    if photo is not None:
        width, height = media.image_size(photo)
        if min(width, height) < MIN_PHOTO:
            raise InputError(f"photo: at least {MIN_PHOTO}x{MIN_PHOTO} pixels are needed, got {width}x{height}.")
        if settings.variant == "independent":
            raise InputError("photo: the variant independent has no stack that a photo could hold for; choose joint.")
    engine = choose_engine(settings.engine, settings)
    return Plan(ladder, settings, None if photo is None else Path(photo), engine, engine.warnings(ladder))


def make(
    ladder: Ladder,
    settings: Settings | None = None,
    *,
    photo: str | Path | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Step | Result]:
    """Make the stack of a ladder: yields Steps, and last the Result.

    `photo` is a picture file that level 0 shows (section 6.2.4), cropped to a square in its middle. Where `cancelled()`
    turns true, or the engine cannot go on after the first previews (its memory ran out, say), the levels as last foreseen
    become the result. Closing the generator leaves nothing behind. Raises InputError.
    """
    job = plan(ladder, settings, photo=photo)
    image = None if job.photo is None else _square(media.load_image(job.photo))
    started, previews, notes = time.perf_counter(), None, list(job.warnings)
    levels = problem = None
    try:
        with closing(job.engine.stack(job.ladder, image)) as work:
            for item in work:
                if isinstance(item, np.ndarray):
                    levels = item
                    break
                previews = item.previews if item.previews is not None else previews
                if item.lasting:
                    notes.append(item.note)
                yield _step(item, previews, started)
                if cancelled():
                    break
    except (
        Exception
    ) as error:  # also a GPU lease that was aborted, or a fault of ours: what is foreseen is not thrown away
        if previews is None:
            raise
        problem = problem_of(error)
    complete = levels is not None
    if levels is None:
        if previews is None:
            raise InputError("cancelled: nothing was made yet.")
        levels = _enlarged(previews)
    yield Result(
        levels=levels,
        ladder=job.ladder,
        engine=job.engine.name,
        seed=job.settings.seed,
        complete=complete,
        elapsed_s=time.perf_counter() - started,
        recipe=recipe_of(job, levels, complete=complete, problem=problem),
        problem=problem,
        notes=tuple(notes),
    )


def make_levels(ladder: Ladder, *, photo: str | Path | None = None, **options: object) -> Result:
    """Make a stack from Python: `make_levels(Ladder(("a forest", "a tree"), 4), engine="mini")`; `options` as `Settings`."""
    return deque(make(ladder, Settings.from_dict(options), photo=photo), maxlen=1)[0]


def recipe_of(job: Plan, levels: np.ndarray, *, complete: bool, problem: str | None = None) -> dict:
    """What made the levels, for the metadata of a video of them."""
    inputs = [] if job.photo is None else [{"name": job.photo.name, "sha256": recipe.file_sha256(job.photo)}]
    settings = replace(job.settings, engine=job.engine.name).to_dict()
    output = {"levels": len(levels), "size": int(levels.shape[1]), "complete": complete}
    if problem:
        output["problem"] = problem
    return recipe.build(
        method=METHOD,
        engine=job.engine.name,
        settings={**settings, "p": job.ladder.p, "prompts": list(job.ladder.prompts)},
        seed=job.settings.seed,
        inputs=inputs,
        output=output,
    )


def _square(image: np.ndarray) -> np.ndarray:
    """The middle square of a picture."""
    side = min(image.shape[:2])
    return media.fit_image(image, (side, side), mode="crop")


def _step(item: Progress, previews: np.ndarray | None, started: float) -> Step:
    return Step(item.done, item.total, previews, item.note, time.perf_counter() - started)


def _enlarged(previews: np.ndarray, size: int = 256) -> np.ndarray:
    """Previews as levels of at least `size` pixels a side."""
    if previews.shape[1] >= size:
        return previews
    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in previews])
