"""The hub: one page, a tab per method. Run `python app.py`, or open the repository as a Hugging Face Space."""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # users' work is nobody else's business

import gradio as gr

from demos import inbetween
from demos.jobs import MAX_UPLOAD, RESULT_AGE_S, heavy_jobs
from demos.web_components import page_head, web_text

TABS = [(inbetween.TITLE, inbetween.build)]
FONTS = ["system-ui", "sans-serif"]  # the machine's own: the page loads nothing from elsewhere
MAX_QUEUE = int(os.environ.get("GENKEY_MAX_QUEUE", "32"))  # jobs that may wait; more are told to come back later


def page_of(tabs: list) -> gr.Blocks:
    """The page with these tabs; uploads and results on it are deleted when they have aged."""
    with gr.Blocks(title="Generative keyframing", delete_cache=(600, RESULT_AGE_S), fill_width=True) as page:
        gr.Markdown("# Generative keyframing")
        with gr.Tabs():
            for title, build in tabs:
                with gr.Tab(title):
                    build(page)
    page.queue(max_size=MAX_QUEUE, default_concurrency_limit=heavy_jobs())
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
    return page.launch(
        server_name=host,
        server_port=port,
        share=share,
        inbrowser=browser,
        prevent_thread_lock=not block,
        theme=gr.themes.Default(primary_hue="indigo", font=FONTS, font_mono=["ui-monospace", "monospace"]),
        css=web_text("hub.css"),
        head=page_head(),
        mcp_server=True,
        max_file_size=MAX_UPLOAD,
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
