"""Engines of the Jump cut tab in a real headless Chromium: one per cut, a body map, a fit, and the result that names them."""

import pytest
from browser import chromium
from jumpcut_hub import JumpcutServer, talk
from test_browser_jumpcut import Tab

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")
pytest.importorskip("torch")

from tiny_jumpcut import presenter_files  # noqa: E402


def test_a_body_map_a_fit_and_an_engine_for_one_cut(tmp_path):
    video, body = presenter_files(tmp_path)
    with JumpcutServer(tmp_path / "server") as server, chromium() as browser:
        tab = Tab(browser, server.url)
        tab.drop(video)
        tab.analyse()
        for n, text in enumerate(("remove 0.5 to 0.8 s", "remove 1.5 to 1.9 s"), 1):
            tab.page.fill("#jumpcut-ranges textarea, #jumpcut-ranges input", text)
            tab.page.click("#jumpcut-add")
            tab.until_cuts(n)
        tab.page.get_by_label("blended", exact=True).check()
        tab.quiet()
        tab.page.locator("#jumpcut-cuts select[data-at='engine 1']").select_option("learned")
        tab.page.locator("#jumpcut-cost", has_text="no network was fitted").wait_for()
        tab.disabled("#jumpcut-run")
        tab.page.get_by_role("button", name="Engine").first.click()
        tab.page.set_input_files("#jumpcut-body input[type=file]", str(body))
        tab.page.locator("#jumpcut-body", has_text="presenter.npz").wait_for()
        tab.quiet()
        tab.page.fill("#jumpcut-fit-minutes input", "0.1")
        tab.page.click("#jumpcut-fit")
        tab.page.locator("#jumpcut-status", has_text="choose learned as the engine").wait_for()
        tab.page.locator("#jumpcut-network a").first.wait_for()
        tab.quiet()
        tab.page.locator("#jumpcut-cuts input[data-at='frames 1']").fill("1")
        tab.page.locator("#jumpcut-cuts input[data-at='frames 1']").press("Tab")
        tab.page.locator("#jumpcut-cost", has_text="made by draft, learned").wait_for()
        tab.page.locator("#jumpcut-cuts").screenshot(path=tmp_path / "cuts.png")
        tab.idle("run")
        tab.page.click("#jumpcut-run")
        facts = tab.page.locator("#jumpcut-facts", has_text="1 draft, 1 learned")
        facts.wait_for()
        assert "the network painted" in facts.inner_text()
        tab.page.locator("#jumpcut-cuts", has_text="blended by learned: compare").wait_for()
        tab.quiet()
        chosen = tab.page.locator("#jumpcut-cuts select[data-at='engine 1']")
        assert chosen.input_value() == "learned"  # what was chosen is still there after a job
        tab.close()


def test_the_example_brings_its_body_map_and_a_dropped_video_takes_it_away(tmp_path):
    with JumpcutServer(tmp_path / "server") as server, chromium() as browser:
        tab = Tab(browser, server.url)
        tab.page.click("#jumpcut-example")
        tab.page.locator("#jumpcut-cost", has_text="presenter.mp4: 512×512").wait_for()
        tab.idle("analyse")
        tab.page.get_by_role("button", name="Engine").first.click()
        body = tab.page.locator("#jumpcut-body")
        body.locator("text=presenter").first.wait_for()
        tab.quiet()
        tab.page.get_by_role("button", name="Remove this file").or_(
            tab.page.locator("#jumpcut-upload button")
        ).first.click()
        tab.drop(talk(tmp_path / "talk.mp4", 1.0))
        body.locator("text=presenter").first.wait_for(state="detached")
        tab.close()
