"""The hub: one page, a tab per method. Run `python app.py`, or open the repository as a Hugging Face Space."""

from __future__ import annotations

import argparse
import os

import demos  # noqa: F401  # isort: skip  (first: what it sets counts only before Gradio is imported)
import gradio as gr
from starlette.middleware import Middleware

from demos import dance, inbetween, jumpcut, zoom
from demos.guard import Guard, Page
from demos.jobs import RESULT_AGE_S, SWEEP_EVERY_S, heavy_jobs, keep_swept, max_upload_bytes
from demos.web_components import page_head, web_text

TABS = [(tab.TITLE, tab.build) for tab in (inbetween, jumpcut, zoom, dance)]
LINKED = {"inbetween": inbetween.TITLE, "zoom": zoom.TITLE}  # tabs whose settings an address holds, by their name there
FONTS = ["system-ui", "sans-serif"]  # the machine's own: the page loads nothing from elsewhere
MAX_QUEUE = int(os.environ.get("GENKEY_MAX_QUEUE", "32"))  # jobs that may wait; more are told to come back later
MAX_SESSIONS = 1_000  # whose state is remembered; the longest unused goes first


def linked_tab(request: gr.Request):
    """The tab whose settings were last put into the page's address is the one that opens."""
    titles = [LINKED[name] for name in request.query_params if name in LINKED] if request else []
    return gr.Tabs(selected=titles[-1]) if titles else gr.skip()


def page_of(tabs: list) -> gr.Blocks:
    """The page with these tabs; uploads and results on it are deleted when they have aged."""
    with Page(title="Generative keyframing", delete_cache=(SWEEP_EVERY_S, RESULT_AGE_S), fill_width=True) as page:
        gr.Markdown("# Generative keyframing")
        with gr.Tabs() as shelf:
            for title, build in tabs:
                with gr.Tab(title, id=title):
                    build(page)
        if tabs == TABS:
            page.load(linked_tab, None, shelf, show_progress="hidden", api_visibility="private")
    page.queue(max_size=MAX_QUEUE, default_concurrency_limit=heavy_jobs(), api_open=False)  # nobody passes the queue by
    return page


def launch(
    page: gr.Blocks,
    *,
    host: str | None = None,
    port: int | None = None,
    share: bool = False,
    block: bool = True,
    browser: bool = False,
):
    """Serve the page; nothing but uploads and results is served from the disk."""
    keep_swept()
    return page.launch(
        app_kwargs={"middleware": [Middleware(Guard, max_file_bytes=max_upload_bytes())]},
        state_session_capacity=MAX_SESSIONS,
        server_name=host,
        server_port=port,
        share=share,
        inbrowser=browser,
        prevent_thread_lock=not block,
        theme=gr.themes.Default(primary_hue="indigo", font=FONTS, font_mono=["ui-monospace", "monospace"]),
        css=web_text("hub.css"),
        head=page_head(),
        mcp_server=True,
        max_file_size=max_upload_bytes(),
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        ssr_mode=False,
        footer_links=["api", "settings"],
    )


def main() -> None:
    """Read the command line and serve until interrupted."""
    parser = argparse.ArgumentParser(description="The hub of generative keyframing.")
    parser.add_argument(
        "--host", default=None, help="address to listen on (default 127.0.0.1; 0.0.0.0 for the network)"
    )
    parser.add_argument("--port", type=int, default=None, help="port (default 7860, or the next free one)")
    parser.add_argument("--share", action="store_true", help="also make a public link that works for a week")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    options = parser.parse_args()
    launch(page_of(TABS), host=options.host, port=options.port, share=options.share, browser=options.open)


if __name__ == "__main__":
    main()
