"""The Powers of ten tab as a visitor uses it, in a real headless Chromium; mini is a tiny random model here."""

import json
from pathlib import Path

import pytest
from browser import Visit, chromium
from zoom_page import ZoomServer, textured

from genkey_core import media, recipe

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")


class Tab(Visit):
    """One visitor with the tab open."""

    def __init__(self, browser, url: str, **options):
        super().__init__(browser, url, **options)
        self.page.locator("#zoom-ladder select").wait_for()

    def mode(self, name: str) -> None:
        self.page.locator("#zoom-mode").get_by_label(name, exact=True).check()
        self.quiet()

    def small(self) -> None:
        """A video that is quickly made."""
        self.page.fill("#zoom-size input", "64x64")
        self.page.keyboard.press("Enter")
        for field, value in (("zoom-fps", "4"), ("zoom-level-seconds", "0.5")):
            self.page.fill(f"#{field} input", value)
            self.page.keyboard.press("Tab")
        self.quiet()

    def rungs(self) -> list[str]:
        return self.page.locator("#zoom-ladder textarea").evaluate_all("boxes => boxes.map((box) => box.value)")

    def costs(self, text: str) -> None:
        self.page.locator("#zoom-cost", has_text=text).wait_for()

    def run(self) -> None:
        self.quiet()
        self.page.click("#zoom-run")

    def stands(self, text: str) -> None:
        """Wait until the status line has this text."""
        self.page.locator("#zoom-status", has_text=text).wait_for()

    def download(self, name: str, folder: Path) -> Path:
        with self.page.expect_download() as got:
            self.page.locator(f"#zoom-files a[download='{name}']").click()
        got.value.save_as(folder / name)
        return folder / name


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pytest.importorskip("diffusers")
    import tiny_pixel

    folder = tmp_path_factory.mktemp("zoom")
    with ZoomServer(folder, tiny_pixel.save_if(folder / "mini-zoom")) as running:
        yield running


@pytest.fixture
def tab(browser, server):
    visitor = Tab(browser, server.url)
    yield visitor
    visitor.close()


def test_a_photo_becomes_a_viewer_that_the_wheel_zooms_and_a_video(tab, tmp_path):
    photo = textured(tmp_path / "rock.png", (400, 300))
    tab.mode("Own images")
    tab.small()
    tab.page.set_input_files("#zoom-images input[type=file]", [str(photo)])
    tab.page.locator("#zoom-images-small figure").wait_for()
    tab.costs("draft · ")
    tab.run()
    tab.stands("Finished: 3 frames")
    tab.quiet()
    canvas = tab.page.locator("#zoom-viewer canvas")
    before = canvas.screenshot()
    canvas.hover()
    for _ in range(12):
        tab.page.mouse.wheel(0, -240)
    tab.until("+document.querySelector('#zoom-viewer .zv').dataset.level === 2")
    tab.until("+document.querySelector('#zoom-viewer .zv').dataset.depth > 1.9")
    assert canvas.screenshot() != before
    source = tab.page.locator("#zoom-video video").get_attribute("src")
    video = tmp_path / "zoom.mp4"
    video.write_bytes(tab.context.request.get(source).body())
    assert recipe.read(video, method="zoom")["engine"] == "draft"
    assert media.probe(video).n_frames == 3
    page = tab.download("zoom-viewer.html", tmp_path)
    assert page.read_text(encoding="utf-8").count("data:image/jpeg") == 2


def test_prompts_are_edited_checked_sampled_and_cancelled(tab, tmp_path):
    tab.page.click("#zoom-example-mini-world")
    tab.page.locator("#zoom-ladder li").nth(5).wait_for()
    tab.costs("mini does not know")  # the tiny model knows seven words
    file = tmp_path / "ladder.json"
    file.write_text(json.dumps({"p": 2, "levels": ["a green forest from above", "a tree"]}), encoding="utf-8")
    tab.page.set_input_files("#zoom-project input[type=file]", str(file))
    tab.becomes(tab.rungs, ["a green forest from above", "a tree"])
    tab.quiet()
    tab.page.get_by_label("Duplicate level 2").click()
    tab.page.locator("#zoom-ladder textarea").nth(2).fill("a leaf")
    tab.until("!document.querySelector('#zoom-cost').innerText.includes('does not know')")
    tab.quiet()
    tab.page.get_by_label("Remove level 1").click()
    tab.becomes(tab.rungs, ["a tree", "a leaf"])
    tab.small()
    tab.page.locator("#zoom-engine-box button.label-wrap").click()
    tab.page.locator("#zoom-preset").get_by_label("quality: 1000 steps", exact=True).check()
    tab.run()
    tab.page.locator("#zoom-status img").wait_for()
    tab.page.click("#zoom-cancel")
    tab.stands("as they were foreseen")
    tab.page.locator("#zoom-viewer canvas").wait_for()
    tab.quiet()
    tab.page.click("#zoom-film")
    tab.page.locator("#zoom-video video").wait_for()


def test_a_mistake_is_a_sentence_and_loses_nothing(tab, tmp_path):
    tab.page.get_by_role("button", name="Add a level").click()
    tab.page.locator("#zoom-ladder textarea").first.fill("a forest")
    tab.costs("2 to 24 are needed")
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    tab.page.set_input_files("#zoom-project input[type=file]", str(broken))
    tab.says("is not JSON")
    tab.quiet()
    assert tab.rungs() == ["a forest"]
    tab.disabled("#zoom-run")


def test_on_a_phone_nothing_is_wider_than_the_screen(browser, server):
    tab = Tab(browser, server.url, width=390, height=800)
    tab.page.click("#zoom-example-mini-world")
    tab.page.locator("#zoom-ladder li").nth(5).wait_for()
    tab.quiet()
    tab.until("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.page.locator("#zoom-run").is_visible()
    tab.close()
