"""The zoom jobs over HTTP and as MCP tools: the page's, with named and typed parameters."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from genkey_core.checks import InputError, integer
from genkey_core.zoom.camera import DIRECTIONS, Journey
from genkey_core.zoom.prompts import Ladder
from genkey_core.zoom.sampling import PRESETS, VARIANTS
from genkey_core.zoom.settings import ENGINES, MEMORY, Settings

from .jobs import HEAVY, heavy_jobs, says_mistakes
from .mcp_schemas import image_list
from .zoom_state import MAX_IMAGES, Project, journey_of
from .zoom_work import MadeStack, check, cost_of, made_film, made_stack


@says_mistakes
def zoom(
    prompts: str = "",
    p: int = 2,
    images: list[str] | None = None,
    size: str = "1024x1024",
    fps: float = 30,
    level_s: float = 2.0,
    direction: str = "in",
    easing: str = "linear",
    hold_s: float = 0.0,
    end_hold_s: float = 0.0,
    end_zoom: float = 1.0,
    loops: int = 1,
    engine: str = "auto",
    preset: str = "fast",
    variant: str = "joint",
    guidance_scale: float = 0.0,
    negative: str = "",
    seed: int = 0,
    level_size: int = 0,
    memory: str = "auto",
):
    """Make a zoom through scales: from prompts, from prompts and one photo, or from own images.

    Args:
        prompts: one line per level, from the widest to the closest, 2 to 24. Empty: the images are the levels.
        p: how many times closer each level is than the one before, 2 or 4 (up to 16); of one single image, how it is cut.
        images: with prompts, one photo that the widest level shows, or none; without, one large photo or 2 to 24 of one
            thing from ever closer, in any order.
        size: of the video, such as 1920x1080, up to 4096.
        fps: frames per second, 1 to 60.
        level_s: seconds from one level to the next.
        direction: in, out, in-out or out-in; the last two repeat without a seam.
        easing: linear (constant speed in log scale), ease-in, ease-out, ease-in-out, cubic-bezier(x1, y1, x2, y2), steps(n).
        hold_s: seconds of standing still at every level.
        end_hold_s: further seconds of standing still at the first and the last level.
        end_zoom: how far the camera goes on into the last level, 1 to 16 times.
        loops: how often the whole way is gone.
        engine: auto, mini (a small world of its own, any machine), full (DeepFloyd IF, a GPU) or prx (PRXPixel, a GPU).
        preset: fast (50 steps) or quality (256).
        variant: joint, or an ablation of it: independent, iterative, naive_blend, random_noise.
        guidance_scale: 0 is the model's own.
        negative: what should not be seen.
        seed: of the random draws.
        level_size: side of a level, 64, 256, 512 or 1024; 0 is the engine's own.
        memory: auto, or the GPU memory to stay within, such as 24 GB.

    Returns:
        The MP4 with its recipe inside; files: the viewer as one HTML file, the levels as PNG (zip), the project as JSON;
        and an object: engine, levels, magnification, complete, problem, frames, seconds, notes, recipe. While it runs, what
        is done.
    """
    journey = {
        "size": size, "fps": fps, "level_s": level_s, "direction": direction, "easing": easing, "hold_s": hold_s,
        "end_hold_s": end_hold_s, "end_zoom": end_zoom, "loops": loops,
    }  # fmt: skip
    settings = Settings.from_dict(
        {
            "engine": engine, "preset": preset, "variant": variant, "guidance_scale": guidance_scale or None,
            "negative": negative, "seed": seed, "size": level_size or None, "memory": memory,
        }
    )  # fmt: skip
    project = _project(prompts, p, images, settings, journey_of(journey))
    yield from _made(project, list(images or []))


def _project(prompts: str, p: int, images: list[str] | None, settings: Settings, journey: Journey) -> Project:
    """The project that a call describes; raises InputError."""
    n = len(images or [])
    if not prompts.strip():
        if not 1 <= n <= MAX_IMAGES:
            raise InputError(f"zoom: prompts, one per line, or 1 to {MAX_IMAGES} images are needed, got neither.")
        return Project("images", None, settings, journey, integer(p, "zoom factor", low=2, high=16))
    if n > 1:
        raise InputError(f"images: with prompts at most one photo is taken, for the widest level, got {n}.")
    return Project("photo" if n else "prompts", Ladder.from_text(prompts, p), settings, journey)


def _made(project: Project, pictures: list[str]) -> Iterator[tuple]:
    made = None
    for item in made_stack(project, pictures):
        if isinstance(item, MadeStack):
            made = item
        else:
            yield None, None, {"steps_done": item.done, "steps_total": item.total, "doing": item.note}
    for item in made_film(made, project):
        if hasattr(item, "renderer"):
            yield None, None, {"frames_done": item.index + 1, "frames_total": item.total}
        else:
            yield str(item.path), list(made.files), info(made, item)


def info(made: MadeStack, film: object) -> dict:
    """What is told about a result."""
    return {
        "engine": made.recipe["engine"],
        "levels": len(made.placements),
        "magnification": made.magnification,
        "complete": film.recipe["output"]["complete"],
        "problem": made.problem,
        "frames": film.frames,
        "seconds": round(made.elapsed_s + film.elapsed_s, 3),
        "notes": list(made.notes),
        "recipe": film.recipe,
    }


@says_mistakes
def zoom_cost(
    prompts: str,
    p: int = 2,
    size: str = "1024x1024",
    fps: float = 30,
    level_s: float = 2.0,
    engine: str = "auto",
    preset: str = "fast",
    level_size: int = 0,
) -> dict:
    """Say what a zoom from prompts would cost on this machine, and which words its model does not know, without making it.

    Args:
        prompts: one line per level, from the widest to the closest.
        p: how many times closer each level is than the one before.
        size: of the video, such as 1920x1080.
        fps: frames per second.
        level_s: seconds from one level to the next.
        engine: auto, mini, full or prx.
        preset: fast or quality.
        level_size: side of a level, 0 is the engine's own.

    Returns:
        engine, frames, seconds, memory_bytes, disk_bytes, download_bytes, gpu_quota_s and notes; refused with a sentence
        where it cannot be done here.
    """
    settings = Settings.from_dict({"engine": engine, "preset": preset, "size": level_size or None})
    project = _project(prompts, p, None, settings, journey_of({"size": size, "fps": fps, "level_s": level_s}))
    cost = cost_of(project, [])
    check(cost)
    return {
        "engine": cost.engine,
        "frames": cost.frames,
        "seconds": round(cost.seconds, 2),
        "memory_bytes": cost.memory_bytes,
        "disk_bytes": cost.disk_bytes,
        "download_bytes": cost.download_bytes,
        "gpu_quota_s": cost.gpu_quota_s,
        "notes": list(cost.notes),
    }


@says_mistakes
def zoom_recipe(video: str) -> dict:
    """Read the recipe out of an MP4 that this tool made by a zoom: engine, prompts, settings, seed, hashes of its pictures.

    Args:
        video: the MP4.

    Returns:
        The recipe, checked against its digest.
    """
    from genkey_core import recipe

    return recipe.read(video, method="zoom")


def build_api() -> None:
    """Register the endpoints /zoom, /zoom_cost and /zoom_recipe; their parts are not shown on the page."""
    with gr.Column(visible=False):
        prompts, p = gr.Textbox("", label="prompts"), gr.Number(2, label="p", precision=0)
        size, fps, level_s = (
            gr.Textbox("1024x1024", label="size"),
            gr.Number(30, label="fps"),
            gr.Number(2.0, label="level_s"),
        )
        engine = gr.Dropdown(list(ENGINES), value="auto", label="engine")
        preset = gr.Dropdown(list(PRESETS), value="fast", label="preset")
        level_size = gr.Number(0, label="level_size", precision=0)
        inputs = [
            prompts,
            p,
            image_list("images"),
            size,
            fps,
            level_s,
            gr.Dropdown(list(DIRECTIONS), value="in", label="direction"),
            gr.Textbox("linear", label="easing"),
            gr.Number(0.0, label="hold_s"),
            gr.Number(0.0, label="end_hold_s"),
            gr.Number(1.0, label="end_zoom"),
            gr.Number(1, label="loops", precision=0),
            engine,
            preset,
            gr.Dropdown(list(VARIANTS), value="joint", label="variant"),
            gr.Number(0.0, label="guidance_scale"),
            gr.Textbox("", label="negative"),
            gr.Number(0, label="seed", precision=0),
            level_size,
            gr.Dropdown(list(MEMORY), value="auto", label="memory"),
        ]
        outputs = [gr.Video(label="video"), gr.File(file_count="multiple", label="files"), gr.JSON(label="info")]
        make, ask, read = gr.Button("zoom"), gr.Button("zoom_cost"), gr.Button("zoom_recipe")
        mp4, answer = gr.File(type="filepath", label="video"), gr.JSON(label="answer")
    make.click(zoom, inputs, outputs, api_name="zoom", concurrency_id=HEAVY, concurrency_limit=heavy_jobs())
    priced = [prompts, p, size, fps, level_s, engine, preset, level_size]
    ask.click(zoom_cost, priced, answer, api_name="zoom_cost", concurrency_limit=4)
    read.click(zoom_recipe, mp4, answer, api_name="zoom_recipe", concurrency_limit=4)
