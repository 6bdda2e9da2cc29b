"""The in-between job over HTTP and as an MCP tool: the same job as the page's, with named and typed parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import gradio as gr

from genkey_core.checks import InputError
from genkey_core.inbetween.settings import (
    ASPECTS,
    ENGINES,
    FITS,
    MAX_SEED,
    MEMORY,
    PRESETS,
    VARIANTS,
    Settings,
)
from genkey_core.timing import PLAYBACKS

from .jobs import HEAVY, heavy_jobs, job_folder, limits, says_mistakes, sweep
from .mcp_schemas import image_list, object_list

_PREVIEW_EVERY_S = 0.6


@dataclass(frozen=True)
class Item:
    """What a running job says now and then: its progress, or at the end its result."""

    step: object = None
    result: object = None

    @property
    def is_progress(self) -> bool:
        return self.result is None


def check(paths: Sequence[str], settings: Settings, *, frames_zip: bool) -> None:
    """Raises InputError where the job cannot be done here, without making anything."""
    from genkey_core import inbetween

    limits().check(inbetween.estimate_cost(inbetween.plan(paths, settings), frames_zip=frames_zip))


def make_result(
    paths: Sequence[str],
    settings: Settings,
    *,
    frames_zip: bool,
    cancelled: Callable[[], bool] = lambda: False,
    names: Sequence[str] | None = None,
) -> Iterator[Item]:
    """Run one job into a new result folder, within this machine's limits; yields some progress and last the result."""
    from genkey_core import inbetween
    from genkey_core.inbetween.estimate import learn

    job = inbetween.plan(paths, settings)
    cost = inbetween.estimate_cost(job, frames_zip=frames_zip)
    limits().check(cost)
    sweep()
    result, shown = None, 0.0
    with job_folder() as folder:
        stem = f"inbetween-{job.size[0]}x{job.size[1]}-{len(job.timeline)}f"
        video, archive = folder / f"{stem}.mp4", folder / f"{stem}-frames.zip" if frames_zip else None
        made = inbetween.make(paths, video, settings, frames_zip=archive, cancelled=cancelled, names=names)
        with closing(made):
            for item in made:
                if isinstance(item, inbetween.Result):
                    result = item
                elif time.perf_counter() - shown > _PREVIEW_EVERY_S or getattr(item, "note", ""):
                    shown = time.perf_counter()
                    yield Item(step=item)
    if result.complete and result.engine == "draft":  # what samples corrects its estimate by itself
        learn(cost.seconds, result.elapsed_s)
    yield Item(result=result)


@says_mistakes
def inbetween(
    images: list[str],
    duration_s: float = 1.0,
    easing: str = "linear",
    hold_s: float = 0.0,
    gaps: list | None = None,
    fps: float = 24,
    size: str = "keep",
    fit: str = "letterbox",
    max_side: int = 1920,
    background: str = "#000000",
    playback: str = "once",
    end_hold_s: float = 0.0,
    engine: str = "auto",
    seed: int = 0,
    frames_zip: bool = False,
    preset: str = "fast",
    variant: str = "dual",
    prompt: str = "",
    memory: str = "auto",
):
    """Make a video that moves from each image to the next.

    Args:
        images: 2 to 24 images (PNG, JPEG, WebP, BMP, TIFF, GIF) in the order in which they are shown.
        duration_s: seconds of motion in every gap between two images.
        easing: linear, ease-in, ease-out, ease-in-out, cubic-bezier(x1, y1, x2, y2), steps(n) or hold; for every gap.
        hold_s: seconds that each gap's first image stands still before it moves.
        gaps: instead of the three above, one object per gap: {"duration_s": 1, "easing": "ease-in-out", "hold_s": 0}.
        fps: frames per second, 1 to 60.
        size: shape of the video: keep (as the first image), 16:9, 1:1 or 9:16.
        fit: letterbox or crop, for images of another shape.
        max_side: longest side of the video in pixels, 64 to 4096; larger images are scaled down.
        background: colour of bars and behind transparent pixels, as #rrggbb.
        playback: once, loop (with a gap from the last image back to the first) or ping-pong.
        end_hold_s: seconds that the last image stands still.
        engine: auto, draft (any machine), mini (its own small world), full (Stable Video Diffusion, a GPU), wan or ltx.
        seed: for engines that draw at random; draft does not.
        frames_zip: also return every frame as PNG in a zip.
        preset: fast or quality, how long the learned engines sample.
        variant: of chapter 5, for mini and full: dual, no_finetuning, no_rotation, time_reversal or forward.
        prompt: what happens between the keyframes, for wan and ltx.
        memory: auto, or the GPU memory to stay within: 40 GB, 24 GB, 16 GB or 12 GB.

    Returns:
        The MP4 (with its recipe in its metadata), the zip of frames or nothing, and an object: engine, frames, complete,
        problem, colour_drift, seconds, recipe; while the job runs, frames_done and frames_total.
    """
    if not images:
        raise InputError("keyframes: 2 to 24 images are needed, got 0.")
    every = [{"duration_s": duration_s, "easing": easing, "hold_s": hold_s}]
    settings = Settings.from_dict(
        {
            "gaps": gaps if gaps else every,
            "fps": fps,
            "aspect": size,
            "fit": fit,
            "max_side": max_side,
            "background": background,
            "playback": playback,
            "end_hold_s": end_hold_s,
            "engine": engine,
            "seed": seed,
            "preset": preset,
            "variant": variant,
            "prompt": prompt,
            "memory": memory,
        }
    )
    for item in make_result(images, settings, frames_zip=frames_zip):
        if item.is_progress:
            yield None, None, said(item.step)
            continue
        yield str(item.result.path), str(item.result.zip_path) if frames_zip else None, info(item.result)


def said(step: object) -> dict:
    """A running job's progress as JSON: frames, or an engine's passes of its network before the first of them."""
    if hasattr(step, "note"):
        return {"passes_done": step.done, "passes_total": step.total, "note": step.note}
    return {"frames_done": step.done, "frames_total": step.total}


def info(result: object) -> dict:
    """What is told about a result."""
    return {
        "engine": result.engine,
        "frames": result.frames,
        "complete": result.complete,
        "problem": result.problem,
        "colour_drift": result.drift,
        "seconds": round(result.elapsed_s, 3),
        "recipe": result.recipe,
    }


@says_mistakes
def inbetween_cost(width: int, height: int, frames: int, frames_zip: bool = False) -> dict:
    """Say what an in-between video of this size and length would cost on this machine, before any image is sent.

    Args:
        width: width of the video in pixels.
        height: height of the video in pixels.
        frames: number of frames.
        frames_zip: whether every frame is also wanted as PNG.

    Returns:
        seconds, memory_bytes, disk_bytes and gpu_quota_s; refused with a sentence where it is over this machine's limits.
    """
    from genkey_core.inbetween.estimate import cost_of

    cost = cost_of(width, height, frames, frames_zip=frames_zip)
    limits().check(cost)
    return {
        "seconds": round(cost.seconds, 2),
        "memory_bytes": cost.memory_bytes,
        "disk_bytes": cost.disk_bytes,
        "gpu_quota_s": cost.gpu_quota_s,
    }


@says_mistakes
def inbetween_recipe(video: str) -> dict:
    """Read the recipe out of an MP4 that this tool made: engine, settings, seed, versions and hashes of its images.

    Args:
        video: the MP4.

    Returns:
        The recipe, checked against its digest.
    """
    from genkey_core import recipe

    return recipe.read(video, method="inbetween")


def build_api() -> None:
    """Register the endpoints /inbetween, /inbetween_cost and /inbetween_recipe; their parts are not shown on the page."""
    with gr.Column(visible=False):
        inputs = [
            image_list("images"),
            gr.Number(1.0, label="duration_s"),
            gr.Textbox("linear", label="easing"),
            gr.Number(0.0, label="hold_s"),
            object_list("gaps"),
            gr.Number(24, label="fps"),
            gr.Dropdown(list(ASPECTS), value="keep", label="size"),
            gr.Dropdown(list(FITS), value="letterbox", label="fit"),
            gr.Number(1920, label="max_side", precision=0),
            gr.Textbox("#000000", label="background"),
            gr.Dropdown(list(PLAYBACKS), value="once", label="playback"),
            gr.Number(0.0, label="end_hold_s"),
            gr.Dropdown(list(ENGINES), value="auto", label="engine"),
            gr.Number(0, label="seed", precision=0, maximum=MAX_SEED),
            gr.Checkbox(False, label="frames_zip"),
            gr.Dropdown(list(PRESETS), value="fast", label="preset"),
            gr.Dropdown(list(VARIANTS), value="dual", label="variant"),
            gr.Textbox("", label="prompt"),
            gr.Dropdown(list(MEMORY), value="auto", label="memory"),
        ]
        outputs = [gr.Video(label="video"), gr.File(label="frames"), gr.JSON(label="info")]
        make = gr.Button("inbetween")
        ask = gr.Button("inbetween_cost")
        read = gr.Button("inbetween_recipe")
        numbers = [gr.Number(label=name, precision=0) for name in ("width", "height", "frames")]
        wants_zip = gr.Checkbox(False, label="frames_zip")
        answer = gr.JSON(label="answer")
        mp4 = gr.File(type="filepath", label="video")
    make.click(inbetween, inputs, outputs, api_name="inbetween", concurrency_id=HEAVY, concurrency_limit=heavy_jobs())
    ask.click(inbetween_cost, [*numbers, wants_zip], answer, api_name="inbetween_cost", concurrency_limit=4)
    read.click(inbetween_recipe, mp4, answer, api_name="inbetween_recipe", concurrency_limit=4)
