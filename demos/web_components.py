"""The page's own small components: the keyframe strip and the easing curve (HTML and JavaScript in demos/web)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gradio as gr

_WEB = Path(__file__).with_name("web")


@cache
def web_text(name: str) -> str:
    """A file of demos/web as text."""
    return (_WEB / name).read_text(encoding="utf-8")


def link_js(tab: str) -> str:
    """What makes an address of the settings of a tab, as one word."""
    return web_text("link.js").replace("NAME", tab)


def started_js(tab: str) -> str:
    """What the page does when a job of a tab has begun."""
    return web_text("started.js").replace("LINK_OF", web_text("link.js")).replace("NAME", tab)


def page_head() -> str:
    """What the page needs before its components load."""
    return f"<script>{web_text('node.js')}{web_text('easing.js')}</script>"


def keyframe_strip(value: dict) -> gr.HTML:
    """Thumbnails that can be reordered and removed, with the gaps between them to choose from.

    Fires `change` (its value changed) and `picked` (another gap is shown). The property `incoming` brings it news from
    the server, which it merges into its value.
    """
    return gr.HTML(
        value,
        html_template='<div class="gk-strip"></div><div class="gk-said" role="status"></div>',
        css_template=web_text("keyframe_strip.css"),
        js_on_load=web_text("keyframe_strip.js"),
        apply_default_css=False,
        elem_id="keyframe-strip",
        incoming={},
    )


def curve_editor(value: dict) -> gr.HTML:
    """An easing curve with draggable Bezier handles; fires `edited`."""
    return gr.HTML(
        value,
        html_template='<div class="gk-curve"></div>',
        css_template=web_text("curve_editor.css"),
        js_on_load=web_text("curve_editor.js"),
        apply_default_css=False,
        elem_id="curve-editor",
    )
