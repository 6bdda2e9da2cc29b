"""The zoom jobs of the page and of the API: a stack with its exports, the video of it, and what they may cost."""

from __future__ import annotations

import math
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from genkey_core.checks import InputError
from genkey_core.cost import Cost, duration_text, size_text

from .jobs import SessionJobs, job_folder, limits, sweep
from .zoom_state import Project, captions_of

SESSIONS = SessionJobs()  # the job of each visitor of the tab
VIEWER_SIDE, VIEWER_QUALITY = 2048, 92  # of the viewer's pictures: longest side, JPEG
_PREVIEW_EVERY_S = 0.6


@dataclass(frozen=True, eq=False)  # the page's state hashes it to see whether it is another
class MadeStack:
    """A finished stack on the disk. The levels lie in a zip of PNG, from which they are read again for another video."""

    levels_zip: str
    placements: tuple[tuple[float, float, float], ...]  # of camera.Placement
    magnification: float  # of the closest level, by what it shows
    viewer: dict  # what the viewer in the page is given
    files: tuple[str, ...]  # exports: the viewer as one file, the zip, the project
    recipe: dict
    elapsed_s: float
    problem: str | None = None  # why it could not be finished
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return self.recipe["output"]["complete"]


def cost_of(project: Project, pictures: Sequence[str]) -> Cost:
    """The cost of the stack and its video together; raises InputError where they cannot be made as they are set."""
    from genkey_core import media, zoom
    from genkey_core.zoom import film

    if project.mode == "images":
        sizes = [media.image_size(path) for path in pictures]
        before = film.images_cost(sizes)
        n, p = _levels_of(sizes, project.cut_p), project.cut_p if len(sizes) == 1 else 2
    else:
        plan = zoom.plan(project.ladder, project.settings, photo=next(iter(pictures), None))
        needs, n, p = plan.needs, len(project.ladder.prompts), project.ladder.p
        before = Cost(
            frames=0, seconds=needs.seconds + needs.once_s, memory_bytes=needs.memory_bytes, disk_bytes=n * 4_000_000,
            gpu_quota_s=needs.lease_s, engine=plan.engine.name, memory_mode=needs.memory_mode,
            download_bytes=needs.download_bytes, notes=(*plan.warnings, *needs.notes),
        )  # fmt: skip
    after = film.film_cost(project.journey, film.length(n, p, project.journey))
    return replace(
        before,
        frames=after.frames,
        seconds=before.seconds + after.seconds,
        memory_bytes=max(before.memory_bytes, after.memory_bytes),
        disk_bytes=before.disk_bytes + after.disk_bytes,
    )


def _levels_of(sizes: Sequence[tuple[int, int]], p: int) -> int:
    """How many levels images of these sizes make, before they are looked at."""
    from genkey_core.zoom.own_images import n_cut

    return len(sizes) if len(sizes) > 1 else n_cut(min(sizes[0]), p)


def check(cost: Cost) -> None:
    """Raises InputError with the remedy where a job is over this machine's limits."""
    here = limits()
    if cost.frames > here.max_frames:
        raise InputError(
            f"frames: this machine takes at most {here.max_frames:,} per job, got {cost.frames:,}; choose less time per "
            "level, fewer loops or fewer frames per second."
        )
    if cost.seconds > here.max_seconds:
        raise InputError(
            f"time: this would take about {duration_text(cost.seconds)}, the limit here is "
            f"{duration_text(here.max_seconds)}; choose a smaller video, less time per level, or fewer levels."
        )
    for name, needed, most in (
        ("memory", cost.memory_bytes, here.max_memory_bytes),
        ("disk", cost.disk_bytes, here.max_disk_bytes),
    ):
        if most is not None and needed > most:
            raise InputError(
                f"{name}: this needs about {size_text(needed)}, {size_text(most)} may be used here now; take fewer or "
                "smaller pictures, or a smaller video."
            )


def made_stack(project: Project, pictures: Sequence[str], *, cancelled: Callable[[], bool] = lambda: False) -> Iterator:
    """Make the stack of a project into a new result folder; yields what is being done, and last the MadeStack."""
    check(cost_of(project, pictures))
    sweep()
    with job_folder() as folder:
        work = _of_images(project, pictures, cancelled) if project.mode == "images" else _of_prompts(
            project, pictures, cancelled
        )  # fmt: skip
        shown, foreseen = 0.0, False
        with closing(work):
            for item in work:
                if isinstance(item, tuple):
                    made = _written(folder, project, *item)
                    break
                first = not foreseen and getattr(item, "previews", None) is not None
                if first or time.perf_counter() - shown > _PREVIEW_EVERY_S:
                    shown, foreseen = time.perf_counter(), foreseen or first
                    yield item
    yield made


def _of_prompts(project: Project, pictures: Sequence[str], cancelled: Callable[[], bool]) -> Iterator:
    """Steps of sampling, and last (stack, captions, recipe, seconds, problem, notes)."""
    from genkey_core import zoom
    from genkey_core.zoom.camera import concentric

    photo = next(iter(pictures), None)
    with closing(zoom.make(project.ladder, project.settings, photo=photo, cancelled=cancelled)) as work:
        for item in work:
            if not isinstance(item, zoom.Result):
                yield item
                continue
            stack = concentric(item.levels, project.ladder.p)
            captions = captions_of(project, len(item.levels))
            yield stack, captions, item.recipe, item.elapsed_s, item.problem, item.notes


def _of_images(project: Project, pictures: Sequence[str], cancelled: Callable[[], bool]) -> Iterator:
    """Steps of the alignment, and last the same."""
    from genkey_core import media, recipe
    from genkey_core.zoom import film
    from genkey_core.zoom.own_images import Arranged, arranged

    begun, names = time.perf_counter(), [Path(path).name for path in pictures]
    images = [media.load_image(path, background=(128, 128, 128)) for path in pictures]
    with closing(arranged(images, names, p=project.cut_p)) as work:
        for item in work:
            if cancelled():
                raise InputError("Cancelled; own images have no result before the last one is in its place.")
            if not isinstance(item, Arranged):
                yield item
    elapsed_s = time.perf_counter() - begun
    if len(images) > 1:
        film.learn("images", film.images_cost([image.shape[1::-1] for image in images]).seconds, elapsed_s)
    made = recipe.build(
        method="zoom",
        engine="draft",
        settings={"cut_p": project.cut_p},
        seed=None,
        inputs=[{"name": name, "sha256": recipe.file_sha256(path)} for name, path in zip(names, pictures, strict=True)],
        output={"levels": len(item.stack.levels), "complete": True},
    )
    captions = [names[i] for i in item.order] if len(images) > 1 else [""] * len(item.stack.levels)
    yield item.stack, captions, made, elapsed_s, None, item.notes


def _written(folder: Path, project: Project, stack, captions, made, elapsed_s, problem, notes) -> MadeStack:
    """A stack's files: the levels as PNG, pictures for the viewer, the viewer as one file, the project."""
    from genkey_core import media
    from genkey_core.zoom import viewer

    links = viewer.links_between(stack)
    archive = folder / "zoom-levels.zip"
    scales = [math.prod(link.ratio for link in links[:k]) for k in range(len(stack.levels))]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as out:
        for k, (level, scale) in enumerate(zip(stack.levels, scales, strict=True), 1):
            out.writestr(f"level-{k:02d}-{viewer.magnification_text(scale)}.png", media.encode_png(level))
    title = captions[0] or "Zoom"
    page = folder / "zoom-viewer.html"
    html = viewer.viewer_html(
        stack.levels, links, captions, title=title, image_format="jpeg", quality=VIEWER_QUALITY, max_side=VIEWER_SIDE
    )
    page.write_text(html, encoding="utf-8")
    sources, sizes = zip(*(_picture(folder, k, level) for k, level in enumerate(stack.levels, 1)), strict=True)
    plan = folder / "zoom-project.json"
    plan.write_text(project.to_json(), encoding="utf-8")
    return MadeStack(
        levels_zip=str(archive),
        placements=tuple((place.x, place.y, place.pixel) for place in stack.placements),
        magnification=scales[-1],
        viewer=viewer.viewer_stack(sources, sizes, links, captions, title=title),
        files=(str(page), str(archive), str(plan)),
        recipe=made,
        elapsed_s=elapsed_s,
        problem=problem,
        notes=tuple(notes),
    )


def _picture(folder: Path, number: int, level: np.ndarray) -> tuple[str, tuple[int, int]]:
    """A level as a picture for the viewer in the page: its address on this server, and its size."""
    shrink = max(1.0, max(level.shape[:2]) / VIEWER_SIDE)
    size = tuple(max(1, round(side / shrink)) for side in level.shape[1::-1])
    small = cv2.resize(level, size, interpolation=cv2.INTER_AREA) if shrink > 1 else level
    path = folder / f"view-{number:02d}.jpg"
    cv2.imwrite(str(path), cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, VIEWER_QUALITY])
    return f"/gradio_api/file={path}", size


def read_stack(made: MadeStack):
    """The camera.Stack of what was made; raises InputError where its files are no longer here."""
    from genkey_core.zoom.camera import Placement, Stack

    try:
        with zipfile.ZipFile(made.levels_zip) as archive:
            packed = [np.frombuffer(archive.read(name), np.uint8) for name in sorted(archive.namelist())]
    except FileNotFoundError as error:
        raise InputError(
            "levels: they are no longer here (results are deleted after a while); make them again."
        ) from error
    levels = tuple(cv2.cvtColor(cv2.imdecode(png, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) for png in packed)
    return Stack(levels, tuple(Placement(*place) for place in made.placements))


def made_film(made: MadeStack, project: Project, *, cancelled: Callable[[], bool] = lambda: False) -> Iterator:
    """Make the video of a stack into a new result folder; yields some render.Steps, and last the film.Film."""
    from genkey_core.zoom import film

    stack = read_stack(made)
    check(film_cost(made, project))
    sweep()
    width, height = project.journey.size
    shown = 0.0
    with job_folder() as folder:
        path = folder / f"zoom-{width}x{height}.mp4"
        with closing(film.film(path, stack, project.journey, made.recipe, cancelled=cancelled)) as work:
            for item in work:
                if isinstance(item, film.Film):
                    done = item
                elif time.perf_counter() - shown > _PREVIEW_EVERY_S:
                    shown = time.perf_counter()
                    yield item
    yield done


def film_cost(made: MadeStack, project: Project) -> Cost:
    """The cost of another video of a finished stack; raises InputError."""
    from genkey_core.zoom import film

    n = len(made.placements)
    p = made.magnification ** (1 / (n - 1))
    return film.film_cost(project.journey, film.length(n, p, project.journey))
