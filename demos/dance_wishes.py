"""Wishes that are made by clicking on the keyframes of the Animal dance tab; as text they stand in the boxes below."""

from __future__ import annotations

import gradio as gr

from genkey_core.checks import InputError
from genkey_core.dance.graph import keyframe_name
from genkey_core.dance.patterns import parse_pattern
from genkey_core.dance.settings import keyframe_of, pins_of, pins_text

from . import dance_state as state
from . import dance_view as view
from .jobs import says_mistakes
from .web_components import web_text

_FORGED = "wishes: what this page sent cannot be read; reload it."
_MOST = 200  # of anything that is wished


def keyframe_row() -> gr.HTML:
    """The keyframes and their mirrors, to be clicked on; fires `wished`."""
    return gr.HTML(
        {"pins": {}, "ends": [], "never": []},
        html_template='<div class="gk-keyframes"></div><div class="gk-said" role="status"></div>',
        css_template=web_text("dance.css"),
        js_on_load=web_text("dance_poses.js"),
        apply_default_css=False,
        elem_id="dance-row",
        incoming={},
        wishes={},
    )


@says_mistakes
def wished(session: dict | None, row: object):
    """Wishes were changed by clicking: outputs for [pins, mirrored ends, never], as text."""
    n = len(state.held(session)["keyframes"])
    if not n or not isinstance(row, dict):
        raise InputError(_FORGED)
    pins, ends, never = row.get("pins"), _words(row.get("ends")), _words(row.get("never"))
    if not isinstance(pins, dict) or len(pins) > _MOST:
        raise InputError(_FORGED)
    for label in (*pins, *ends):
        parse_pattern(label)  # a forged one is a sentence
    typed = "; ".join(f"{label}: {' or '.join(_words(pairs))}" for label, pairs in pins.items() if pairs)
    names = [keyframe_name(keyframe_of(word, n, "never"), 2 * n) for word in never]
    return pins_text(pins_of(typed, n), n), ", ".join(ends), ", ".join(names)


def shown_wishes(session: dict | None, controls: tuple):
    """Output for the row of keyframes: the wishes in the text boxes; those that cannot be read leave it as it is."""
    n = len(state.held(session)["keyframes"])
    if not n:
        return gr.skip()
    try:
        settings = state.settings_of(controls)
        return gr.HTML(wishes=view.wishes_news(parse_pattern(settings.pattern), settings, n))
    except InputError:
        return gr.skip()


def _words(value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > _MOST or not all(isinstance(word, str) for word in value):
        raise InputError(_FORGED)
    return value
