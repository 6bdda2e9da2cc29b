"""The controls of the Animal dance tab: beats, choreography, wishes, and how the video is made."""

from __future__ import annotations

import gradio as gr

from genkey_core.dance.graph_wishes import MOTION_HIGH, MOTION_LOW
from genkey_core.dance.patterns import PRESETS
from genkey_core.dance.settings import ENGINES, MIRRORS, Settings

from .dance_engines import WORDS, mirror_words
from .dance_state import MOTIONS, VIDEOS
from .web_components import web_text

SIDES = [("640", 640), ("1024 (thesis)", 1024), ("1280", 1280)]
RATES = [("25 (thesis)", 25), ("24", 24), ("30", 30), ("50", 50)]
_BARE = Settings()


def beat_controls() -> dict[str, gr.components.Component]:
    """The song's beats: seen, heard and corrected."""
    song = gr.HTML(
        {"taps": [], "beat": None},
        html_template='<div class="gk-song"></div><div class="gk-said" role="status"></div>',
        css_template=web_text("dance.css"),
        js_on_load=web_text("dance_song.js"),
        apply_default_css=False,
        elem_id="dance-song",
        incoming={},
    )
    with gr.Row(elem_classes="gk-examples"):
        buttons = {
            name: gr.Button(label, size="sm", min_width=70, elem_id=f"dance-{name}")
            for name, label in (
                ("listen", "Hear with clicks"),
                ("halve", "Halve"),
                ("double", "Double"),
                ("earlier", "20 ms earlier"),
                ("later", "20 ms later"),
                ("again", "As heard"),
            )
        }
    with gr.Row(elem_classes="gk-numbers"):
        first = gr.Number(1, label="First bar: beat", precision=0, min_width=110, elem_id="dance-first")
        meter = gr.Radio([("4/4", "4"), ("3/4", "3")], value="4", label="Meter", min_width=150, elem_id="dance-meter")
        tempo = gr.Number(0, label="Tempo, bpm (Enter)", min_width=110, elem_id="dance-tempo")
        start_s = gr.Number(0, label="Start, seconds", min_width=90, elem_id="dance-start")
        end_s = gr.Number(0, label="End (0: all)", min_width=90, elem_id="dance-end")
    return {**buttons, "song": song, "first": first, "meter": meter, "tempo": tempo, "start_s": start_s, "end_s": end_s}


def pattern_controls() -> dict[str, gr.components.Component]:
    """The choreography: typed, chosen, or read from a dancer; and as a coloured timeline."""
    gr.Markdown(
        "**Choreography** · a letter is a motion of two beats, a prime its mirror; it repeats to the song's end"
    )
    pattern = gr.Textbox(
        _BARE.pattern,
        label="Choreography",
        show_label=False,
        placeholder="A-A'-B-C, (A-A')*4",
        elem_id="dance-pattern",
    )
    steps = gr.HTML(
        {"labels": []},
        html_template='<div class="gk-steps"></div><div class="gk-said" role="status"></div>',
        css_template=web_text("dance.css"),
        js_on_load=web_text("dance_steps.js"),
        apply_default_css=False,
        elem_id="dance-steps",
        incoming={},
    )
    with gr.Row():
        preset = gr.Dropdown(
            list(PRESETS), value=None, label="Ready-made, from chapter 7", min_width=150, elem_id="dance-preset"
        )
        dancer = gr.File(
            label="Follow a dancer: motion or video", file_types=[*MOTIONS, *VIDEOS], height=72,
            min_width=200, elem_id="dance-dancer",
        )  # fmt: skip
        project = gr.File(
            label="Open a project (.json)", file_types=[".json"], height=72, min_width=150, elem_id="dance-project"
        )
    return {"pattern": pattern, "steps": steps, "preset": preset, "dancer": dancer, "project": project}


def wish_controls() -> dict[str, gr.components.Component]:
    """What every dance has to keep to."""
    with gr.Accordion("Wishes", open=False, elem_id="dance-wishes"):
        with gr.Row(elem_classes="gk-numbers"):
            low = gr.Slider(
                0,
                150,
                MOTION_LOW,
                step=1,
                label="Motion of a step, more than (pixels)",
                min_width=150,
                elem_id="dance-low",
            )
            high = gr.Slider(
                5, 400, MOTION_HIGH, step=1, label="and of anything, less than", min_width=150, elem_id="dance-high"
            )
        pins = gr.Textbox(
            "", label="Steps that are set", placeholder="A: 1>4 or 2>5'; B': 3>6", elem_id="dance-pins",
            info="1 to K are the keyframes, with a prime their mirrors",
        )  # fmt: skip
        with gr.Row():
            ends = gr.Textbox(
                "",
                label="Steps that end in their first pose mirrored",
                placeholder="A, C",
                min_width=150,
                elem_id="dance-ends",
            )
            never = gr.Textbox(
                "", label="Never these keyframes", placeholder="3, 5'", min_width=150, elem_id="dance-never"
            )
    return {"motion_low": low, "motion_high": high, "pins": pins, "mirrored_ends": ends, "never": never}


def mirror_controls() -> dict[str, gr.components.Component]:
    """Who turns the keyframes to their other side, and who tells the subject from the background (section 7.2.2)."""
    with gr.Accordion("Mirrors", open=False, elem_id="dance-mirror"):
        with gr.Row():
            mirrors = gr.Radio(list(MIRRORS), value=_BARE.mirrors, label="Mirrored by", elem_id="dance-mirrors")
            masks = gr.Radio(
                [("background plate", "plate"), ("SAM 2", "sam2")], value=_BARE.masks, label="Subject told by",
                elem_id="dance-masks",
            )  # fmt: skip
        words = gr.Markdown(mirror_words(_BARE.mirrors, _BARE.masks), elem_id="dance-mirror-words")
        with gr.Row(visible=False, elem_classes="gk-numbers") as told:
            subject = gr.Textbox(
                _BARE.subject, label="The subject is", placeholder="marmot", min_width=120, elem_id="dance-subject"
            )
            background = gr.Textbox(
                _BARE.background, label="before", placeholder="alpine landscape", min_width=150,
                elem_id="dance-background",
            )  # fmt: skip
            epochs = gr.Number(
                _BARE.epochs, label="Epochs of the fit", precision=0, min_width=110, elem_id="dance-epochs"
            )
        gr.on(
            [mirrors.change, masks.change],
            lambda mirrors, masks: (mirror_words(mirrors, masks), gr.Row(visible=mirrors != "draft")),
            [mirrors, masks],
            [words, told],
            show_progress="hidden",
            api_visibility="private",
        )
    return {"mirrors": mirrors, "masks": masks, "subject": subject, "background": background, "epochs": epochs}


def look_controls() -> dict[str, gr.components.Component]:
    """How the video is made."""
    with gr.Accordion("Video", open=False, elem_id="dance-look"):
        with gr.Row(elem_classes="gk-numbers"):
            fps = gr.Dropdown(RATES, value=25, label="Frames per second", min_width=120, elem_id="dance-fps")
            side = gr.Dropdown(SIDES, value=1024, label="Longest side", min_width=120, elem_id="dance-side")
            between = gr.Number(
                _BARE.in_betweens, label="In-betweens of two keyframes", precision=0, min_width=120, elem_id="dance-n"
            )
            strength = gr.Slider(
                0, 1, _BARE.strength, step=0.05, label="Accent on the beat", min_width=150, elem_id="dance-strength"
            )
        with gr.Row():
            engine = gr.Radio(list(ENGINES), value="draft", label="In-betweens by", elem_id="dance-engine")
            seed = gr.Number(0, label="Seed", precision=0, min_width=80, scale=0, elem_id="dance-seed")
        words = gr.Markdown(WORDS["draft"], elem_id="dance-engine-words")
        engine.change(lambda name: WORDS.get(name, ""), engine, words, show_progress="hidden", api_visibility="private")
    return {
        "fps": fps, "max_side": side, "in_betweens": between, "strength": strength, "engine": engine, "seed": seed,
    }  # fmt: skip
