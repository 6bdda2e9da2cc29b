"""The controls of the Powers of ten tab: who makes the levels and how, and how the camera goes through them."""

from __future__ import annotations

import gradio as gr

from genkey_core import runtime
from genkey_core.zoom.camera import DIRECTIONS, Journey
from genkey_core.zoom.sampling import PRESETS, VARIANTS
from genkey_core.zoom.settings import ENGINES, MAX_SEED, MEMORY, SIZES

if runtime.on_zero_gpu():  # a Space with lent GPUs is stopped where none of its functions asks for one when it opens
    from genkey_core.zoom import making  # noqa: F401

WORDS = {  # what each engine is, in a line of the page
    "auto": "**auto** takes *full* or *prx* where a graphics card is free and the weights are here already, otherwise "
    "*mini*; the result says which. *Own images* are made by *draft*, which needs no model.",
    "mini": "**mini** is the method of chapter 6 on a small model that ships with this tool. It knows only its own drawn "
    "world, from galaxies to cells and from a city to transistors, at 64×64: begin with a *mini world* template. Words that "
    "it does not know are listed above before you run.",
    "full": "**full** is DeepFloyd IF with its super-resolution, up to 1024×1024. It needs a graphics card with 10.5 GB "
    "free, weights for which you accept a licence on the Hub (set HF_TOKEN), and fetches them the first time.",
    "prx": "**prx** is PRXPixel, which samples all levels at 1024×1024 together. It needs a graphics card with 15.5 GB free, "
    "and fetches its weights the first time.",
}
FRAMES = [
    "1024x1024",
    "1920x1080",
    "1080x1920",
    "1280x720",
    "720x1280",
    "512x512",
    "1080x1350",
    "3840x2160",
    "2160x2160",
]
EASINGS = ["linear", "ease-in-out", "ease-in", "ease-out", "cubic-bezier(0.4, 0, 0.2, 1)"]


def engine_controls() -> tuple[gr.Accordion, dict[str, gr.components.Component]]:
    """The engine and how it samples; keys are the fields of Settings, in their order."""
    with gr.Accordion("Engine", open=False, elem_id="zoom-engine-box") as box:
        engine = gr.Radio(list(ENGINES), value="auto", label="Who makes the levels", elem_id="zoom-engine")
        words = gr.Markdown(WORDS["auto"], elem_id="zoom-engine-words")
        with gr.Row(elem_classes="gk-numbers"):
            preset = gr.Radio(
                [(f"{name}: {options.steps} steps", name) for name, options in PRESETS.items()],
                value="fast", label="Sampling", min_width=200, elem_id="zoom-preset",
            )  # fmt: skip
            seed = gr.Number(0, label=f"Seed (0 to {MAX_SEED})", precision=0, min_width=110, elem_id="zoom-seed")
            guidance = gr.Number(0, label="Guidance (0: the model's own)", min_width=130, elem_id="zoom-guidance")
        with gr.Row(elem_classes="gk-numbers"):
            sizes = [("the engine's own", 0), *((f"{side}×{side}", side) for side in SIZES)]
            size = gr.Dropdown(sizes, value=0, label="Size of a level", min_width=150, elem_id="zoom-level-size")
            memory = gr.Dropdown(
                list(MEMORY), value="auto", label="Graphics memory", min_width=130, elem_id="zoom-memory"
            )
        negative = gr.Textbox("", label="What should not be seen (usually nothing)", elem_id="zoom-negative")
        variant = gr.Dropdown(
            [(f"{name.replace('_', ' ')}: {what}", name) for name, what in VARIANTS.items()],
            value="joint",
            label="Variant of chapter 6",
            elem_id="zoom-variant",
        )
    engine.change(
        lambda name: WORDS.get(name, ""), engine, words, queue=False, show_progress="hidden", api_visibility="private"
    )
    return box, {
        "engine": engine, "preset": preset, "variant": variant, "guidance_scale": guidance, "negative": negative,
        "seed": seed, "size": size, "memory": memory,
    }  # fmt: skip


def video_controls() -> dict[str, gr.components.Component]:
    """How the camera goes; keys are the fields of Journey, in their order."""
    usual = Journey()
    with gr.Accordion("Video", open=True, elem_id="zoom-video-box"):
        with gr.Row(elem_classes="gk-numbers"):
            size = gr.Dropdown(
                FRAMES, value=FRAMES[0], label="Size (or type 1000x600)", allow_custom_value=True,
                min_width=160, elem_id="zoom-size",
            )  # fmt: skip
            fps = gr.Number(usual.fps, label="Frames per second", min_width=120, elem_id="zoom-fps")
            level = gr.Number(
                usual.level_s, label="Seconds per level", step=0.1, min_width=110, elem_id="zoom-level-seconds"
            )
        direction = gr.Radio(
            list(DIRECTIONS),
            value=usual.direction,
            label="Direction (in-out and out-in repeat without a seam)",
            elem_id="zoom-direction",
        )
        with gr.Row(elem_classes="gk-numbers"):
            easing = gr.Dropdown(
                EASINGS,
                value=usual.easing,
                label="Easing",
                allow_custom_value=True,
                min_width=140,
                elem_id="zoom-easing",
            )
            hold = gr.Number(usual.hold_s, label="Hold at each level, s", step=0.1, min_width=110, elem_id="zoom-hold")
            ends = gr.Number(
                usual.end_hold_s, label="Hold at the ends, s", step=0.1, min_width=110, elem_id="zoom-ends"
            )
        with gr.Row(elem_classes="gk-numbers"):
            beyond = gr.Number(
                usual.end_zoom, label="Go on into the last level, times (1 to 16)", step=0.5, min_width=150,
                elem_id="zoom-beyond",
            )  # fmt: skip
            loops = gr.Number(usual.loops, label="Loops", precision=0, min_width=80, elem_id="zoom-loops")
    return {
        "size": size, "fps": fps, "level_s": level, "direction": direction, "easing": easing, "hold_s": hold,
        "end_hold_s": ends, "end_zoom": beyond, "loops": loops,
    }  # fmt: skip
