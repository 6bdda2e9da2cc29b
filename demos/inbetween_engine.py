"""The engine of the Inbetween tab: which one makes the frames, how it samples, and what tells the variants apart."""

from __future__ import annotations

import gradio as gr

from genkey_core import runtime
from genkey_core.inbetween.sampling import VARIANTS
from genkey_core.inbetween.settings import ENGINES, MAX_SEED, MEMORY, PRESETS

if runtime.on_zero_gpu():  # a Space with lent GPUs is stopped where none of its functions asks for one when it opens
    from genkey_core.inbetween import svd_engine, text_engine  # noqa: F401

WORDS = {  # what each engine is, in a line of the page
    "auto": "**auto** takes *full* where a graphics card is free and the weights are here already, otherwise *draft*; "
    "the result says which.",
    "draft": "**draft** follows the motion between your images, at their full size, on any machine. It imagines nothing: "
    "where the keyframes are far apart it fades.",
    "mini": "**mini** is the method of chapter 5 on a small video model that ships with this tool. It knows only its own "
    "drawn world of cars, walkers, birds, balloons and balls, at 64×64: try it on *Example: mini world*, not on photos.",
    "full": "**full** is Stable Video Diffusion with rotated attention, in both directions at once (chapter 5). "
    "It needs a graphics card with 10 GB free, and fetches its weights the first time.",
    "wan": "**wan** (Wan 2.1, first and last frame) follows your words on the way from image to image. "
    "It needs a graphics card, and fetches its weights the first time.",
    "ltx": "**ltx** (LTX-Video with keyframe conditions) follows your words; quicker than wan. "
    "It needs a graphics card, and fetches its weights the first time.",
}
PROMPTED = ("wan", "ltx")
SAMPLED = ("mini", "full")


def engine_controls() -> dict[str, gr.components.Component]:
    """The engine and how it samples; keys are fields of Settings, and `compare` is the button of the comparison."""
    with gr.Accordion("Engine", open=False, elem_id="inbetween-engine-box"):
        engine = gr.Radio(list(ENGINES), value="auto", label="Who makes the in-betweens", elem_id="inbetween-engine")
        words = gr.Markdown(WORDS["auto"], elem_id="inbetween-engine-words")
        prompt = gr.Textbox(
            "",
            label="What happens between the keyframes (wan and ltx read this)",
            lines=2,
            max_lines=6,
            visible=False,
            elem_id="inbetween-prompt",
        )
        with gr.Row():
            preset = gr.Radio(list(PRESETS), value="fast", label="Sampling", min_width=150, elem_id="inbetween-preset")
            seed = gr.Number(
                0, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, min_width=110, elem_id="inbetween-seed"
            )
            memory = gr.Dropdown(
                list(MEMORY), value="auto", label="Graphics memory", min_width=130, elem_id="inbetween-memory"
            )
        variant = gr.Dropdown(
            [(f"{name.replace('_', ' ')}: {what}", name) for name, what in VARIANTS.items()],
            value="dual",
            label="Variant of chapter 5 (mini and full)",
            elem_id="inbetween-variant",
        )
        compare = gr.Button("See what the rotation does", size="sm", elem_id="inbetween-compare")
        gr.Markdown(
            "Four variants between the first two keyframes, from one seed, side by side in one video "
            "(by *full* where it is chosen, otherwise by *mini*)."
        )
    engine.change(told, engine, [words, prompt], queue=False, show_progress="hidden", api_visibility="private")
    return {
        "engine": engine, "variant": variant, "preset": preset, "prompt": prompt, "memory": memory, "seed": seed,
        "compare": compare,
    }  # fmt: skip


def told(engine: str):
    """What the chosen engine is, and the prompt where it reads one."""
    return WORDS.get(engine, ""), gr.Textbox(visible=engine in PROMPTED)
