"""The comparison of chapter 5's variants on the page and over HTTP: one pair of keyframes, one seed, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gradio as gr

from genkey_core.checks import InputError
from genkey_core.cost import Cost
from genkey_core.inbetween.sampling import VARIANTS
from genkey_core.inbetween.settings import MAX_SEED, PRESETS, Settings

from .inbetween_api import Item, said
from .jobs import HEAVY, heavy_jobs, job_folder, limits, says_mistakes, sweep
from .mcp_schemas import image_list


def check(paths: Sequence[str], settings: Settings, *, frames_zip: bool = False) -> None:
    """Raises InputError where the comparison cannot be made here; nothing is loaded."""
    from genkey_core.inbetween.compare import SHOWN
    from genkey_core.inbetween.engines import native_model

    if len(paths) < 2:
        raise InputError(f"keyframes: 2 images are needed for the comparison, got {len(paths)}.")
    seconds, memory, quota = 0.0, 0, 0.0
    for variant in SHOWN:
        needs = native_model(_engine(settings), replace(settings, variant=variant)).needs((512, 512))
        seconds += needs.evaluations * needs.evaluation_s + needs.around_s
        memory, quota = max(memory, needs.memory_bytes), quota + needs.lease_s
    limits().check(Cost(frames=1, seconds=seconds, memory_bytes=memory, disk_bytes=10**7, gpu_quota_s=quota))


def make_comparison(
    paths: Sequence[str],
    settings: Settings,
    *,
    frames_zip: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
    names: Sequence[str] | None = None,
) -> Iterator[Item]:
    """Make the video between the first two images; yields progress and last the Comparison. There is no zip."""
    from genkey_core import inbetween, media
    from genkey_core.inbetween.job import load_keyframe

    check(paths, settings)
    settings = replace(settings, engine=_engine(settings))
    size = media.output_size(media.image_size(Path(paths[0])), aspect=settings.aspect, max_side=settings.max_side)
    start, end = (load_keyframe(Path(path), size, settings) for path in paths[:2])
    sweep()
    result = None
    with job_folder() as folder:
        made = inbetween.variants_video(
            start, end, folder / "inbetween-variants.mp4", settings=settings, cancelled=cancelled
        )
        with closing(made):
            for item in made:
                if isinstance(item, inbetween.Comparison):
                    result = item
                else:
                    yield Item(step=item)
    yield Item(result=result)


@says_mistakes
def inbetween_variants(images: list[str], engine: str = "mini", preset: str = "fast", seed: int = 0):
    """Show what the rotation of chapter 5 does: its variants between two images, side by side in one video.

    Args:
        images: the first and the last image.
        engine: mini (the small bundled model; it knows only its own drawn world) or full (a GPU).
        preset: fast or quality.
        seed: the same for every variant.

    Returns:
        The MP4, and an object: engine, variants in the order shown, seed, complete, seconds; while it runs, the passes
        of the network that are done, and of how many.
    """
    settings = Settings.from_dict({"engine": engine, "preset": preset, "seed": seed})
    if not images or len(images) != 2:
        raise InputError(f"images: 2 are needed for the comparison, got {len(images or [])}.")
    for item in make_comparison(images, settings):
        if item.is_progress:
            yield None, said(item.step)
        else:
            yield str(item.result.path), recipe_of(item.result)


def recipe_of(result) -> dict:
    """What a comparison is made of, as JSON."""
    return {
        "engine": result.engine,
        "variants": {name: VARIANTS[name] for name in result.variants},
        "seed": result.seed,
        "complete": result.complete,
        "seconds": round(result.elapsed_s, 3),
    }


def build_api() -> None:
    """Register the endpoint /inbetween_variants; its parts are not shown on the page."""
    with gr.Column(visible=False):
        inputs = [
            image_list("images"),
            gr.Dropdown(["mini", "full"], value="mini", label="engine"),
            gr.Dropdown(list(PRESETS), value="fast", label="preset"),
            gr.Number(0, label="seed", precision=0, maximum=MAX_SEED),
        ]
        outputs = [gr.Video(label="video"), gr.JSON(label="info")]
        make = gr.Button("inbetween_variants")
    make.click(
        inbetween_variants,
        inputs,
        outputs,
        api_name="inbetween_variants",
        concurrency_id=HEAVY,
        concurrency_limit=heavy_jobs(),
    )


def _engine(settings: Settings) -> str:
    return "full" if settings.engine == "full" else "mini"
