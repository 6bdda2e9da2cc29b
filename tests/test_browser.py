"""The Inbetween tab as a visitor uses it, in a real headless Chromium."""

import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from browser import Tab, chromium, held
from conftest import ROOT

from genkey_core import media, recipe

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

VIDEO = "document.querySelector('#inbetween-video video')"


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def keyframes() -> list[Path]:
    """Real photographs of one dog where they are here, else bundled keyframes."""
    real = sorted((ROOT.parent / "shared" / "data" / "animals" / "dog_keyframes").glob("*.png"))
    bundled = sorted((ROOT / "assets" / "examples" / "inbetween" / "harbour").glob("*.png"))
    return (real if len(real) >= 3 else bundled)[:3]


@pytest.fixture
def visit(browser, hub):
    """Opens tabs; at the end none of them may have complained, or asked anything of another machine."""
    tabs = []

    def opened(url: str = "", **options) -> Tab:
        tabs.append(Tab(browser, url or hub.url, **options))
        return tabs[-1]

    yield opened
    for tab in tabs:
        tab.close()


@pytest.fixture(scope="module")
def made(browser, hub, keyframes, tmp_path_factory):
    """A finished run with a setting of every kind changed; its tab stays open."""
    tab = Tab(browser, hub.url)
    tab.add(*keyframes[:2])
    tab.set("gap-duration", 0.5)
    tab.set("gap-hold", 0.25)
    tab.easing("ease-in-out")
    tab.set("inbetween-fps", 12)
    tab.choose("inbetween-playback", "loop")
    tab.gap(1)
    tab.set("gap-duration", 0.75)
    tab.easing("steps")
    tab.open("inbetween-size")
    tab.choose("inbetween-aspect", "1:1")
    tab.choose("inbetween-fit", "crop")
    tab.page.click("#inbetween-side input")
    tab.page.get_by_role("option", name="640", exact=True).click()
    tab.costs("640×640")
    tab.costs("21 frames")
    tab.run()
    tab.finished()
    folder = tmp_path_factory.mktemp("made")
    files = SimpleNamespace(tab=tab, mp4=folder / "made.mp4", zip=folder / "frames.zip", address=tab.page.url)
    for path, button in ((files.mp4, "#inbetween-video a[download]"), (files.zip, "#inbetween-zip a[download]")):
        with tab.page.expect_download() as download:
            tab.page.locator(button).first.click()
        download.value.save_as(path)
    yield files
    tab.close()


def settings_shown(tab: Tab) -> dict:
    """Every setting as the page shows it."""
    return {
        "gaps": tab.gaps(),
        "fps": tab.number("inbetween-fps"),
        "playback": tab.chosen("inbetween-playback"),
        "aspect": tab.chosen("inbetween-aspect"),
        "fit": tab.chosen("inbetween-fit"),
        "side": tab.page.input_value("#inbetween-side input"),
        "end hold": tab.number("inbetween-end-hold"),
    }


def test_two_images_become_a_video_that_plays(made):
    tab = made.tab
    tab.until(f"{VIDEO}.readyState >= 3")
    tab.page.evaluate(f"{VIDEO}.muted = true, {VIDEO}.play()")
    tab.until(f"{VIDEO}.currentTime > 0.3")
    assert tab.page.evaluate(f"[{VIDEO}.videoWidth, {VIDEO}.videoHeight]") == [640, 640]
    assert tab.complaints == []


def test_the_video_the_frames_and_the_zip_can_be_taken_home(made):
    facts = media.probe(made.mp4)
    assert (facts.codec, facts.pixel_format, facts.width, facts.fps) == ("h264", "yuv420p", 640, 12)
    with zipfile.ZipFile(made.zip) as archive:
        assert len(archive.namelist()) == 21
        assert archive.testzip() is None
    made.tab.becomes(made.tab.page.locator("#inbetween-gallery .grid-container button img").count, 21)
    settings = recipe.read(made.mp4, method="inbetween")["settings"]
    assert settings["gaps"][1] == {"duration_s": 0.75, "easing": "steps(4)", "hold_s": 0.25}


@pytest.mark.parametrize("carrier", ["video", "link"])
def test_all_settings_come_back_in_a_fresh_browser(visit, made, keyframes, carrier):
    tab = visit(made.address if carrier == "link" else "")
    if carrier == "video":
        tab.upload(made.mp4)
        tab.says(f"Drop its keyframes to make it again: {keyframes[0].name}, {keyframes[1].name}.")
    else:
        tab.says("The settings of this link are set")
    tab.until("document.querySelector('#inbetween-fps input').value === '12'")
    tab.becomes(tab.curve, "ease-in-out")
    tab.becomes(lambda: [tab.number(name) for name in ("gap-duration", "gap-hold", "gap-x1")], [0.5, 0.25, 0.42])
    tab.add(*keyframes[:2])
    tab.open("inbetween-size")
    tab.becomes(lambda: settings_shown(tab), settings_shown(made.tab))
    assert tab.gaps() == ["0.5 s, ease-in-out, hold 0.25 s", "0.75 s, steps(4), hold 0.25 s"]
    tab.costs("21 frames")


def test_dragging_a_handle_changes_the_numbers_the_strip_and_the_chart(visit, pictures):
    tab = visit()
    tab.add(*pictures[:2])
    tab.easing("ease-in")
    tab.until("document.querySelector('#inbetween-chart svg')")
    before = tab.page.inner_html("#inbetween-chart")
    x, y = tab.grasp(".gk-knob")
    tab.page.mouse.move(x + 20, y - 30, steps=4)
    tab.page.mouse.move(x + 40, y - 60, steps=4)
    tab.page.mouse.up()
    curve = tab.curve()  # drawn at once; the numbers follow it
    x1, y1, *end = map(float, curve.removeprefix("cubic-bezier(").removesuffix(")").split(","))
    assert x1 > 0.5
    assert y1 > 0.2
    assert end == [1, 1]
    tab.becomes(lambda: [tab.number("gap-x1"), tab.number("gap-y1")], [x1, y1])
    tab.becomes(tab.gaps, [f"1 s, {curve}"])
    tab.becomes(lambda: tab.page.input_value("#gap-easing input"), "cubic-bezier")
    tab.until("before => document.querySelector('#inbetween-chart').innerHTML !== before", before)
    tab.page.locator(".gk-knob").nth(0).press("ArrowUp")
    tab.becomes(lambda: tab.number("gap-y1"), pytest.approx(y1 + 0.02))


def test_edits_made_while_images_arrive_are_kept(visit, pictures):
    tab = visit()
    tab.add(*pictures[:2])
    with held(tab.page, "orig_name") as upload:  # the server hears of it, with the strip of that moment, only later
        tab.upload(pictures[2], pictures[0])
        upload.wait()
        tab.page.type("#gap-hold input", ".5", delay=20)
        tab.settle()
        tab.set("gap-duration", "2.25")
        tab.easing("ease-out")
        tab.page.get_by_role("button", name="Move keyframe 2 left").click()
        assert tab.names() == ["move-2.png", "move-1.png"]
    tab.becomes(tab.names, ["move-2.png", "move-1.png", "move-3.png", "move-1.png"])
    tab.costs("199 frames")
    assert (tab.number("gap-duration"), tab.number("gap-hold")) == (2.25, 0.5)
    assert tab.gaps() == ["2.25 s, ease-out, hold 0.5 s"] * 3


def test_one_gap_or_all_and_gaps_follow_their_keyframes(visit, pictures):
    tab = visit()
    tab.add(*pictures)
    tab.gap(1)
    tab.set("gap-duration", 3)
    tab.becomes(tab.gaps, ["1 s, linear", "3 s, linear"])
    tab.choose("inbetween-playback", "loop")
    tab.until("document.querySelectorAll('.gk-gap').length === 3")
    tab.gap(2)
    tab.set("gap-duration", 0.5)
    tab.becomes(lambda: tab.gaps()[2], "0.5 s, linear")
    tab.add(pictures[0])
    assert tab.gaps() == ["1 s, linear", "3 s, linear", "3 s, linear", "0.5 s, linear"]
    tab.page.locator(".gk-key").nth(1).press("Delete")
    assert tab.gaps() == ["1 s, linear", "3 s, linear", "0.5 s, linear"]
    tab.choose("inbetween-playback", "once")
    tab.until("document.querySelectorAll('.gk-gap').length === 2")
    tab.choose("inbetween-playback", "loop")
    tab.until("document.querySelectorAll('.gk-gap').length === 3")
    assert tab.gaps()[2] == "0.5 s, linear"
    tab.settle()
    tab.page.locator(".gk-key").nth(0).press("ArrowRight")
    assert tab.names()[1] == pictures[0].name
    assert tab.page.evaluate("document.activeElement.dataset.at.startsWith('key')")
    tab.settle()
    tab.steady(".gk-key")
    tab.page.locator(".gk-key").nth(2).drag_to(tab.page.locator(".gk-key").nth(0))
    tab.becomes(lambda: tab.names()[2], pictures[0].name)


def test_a_running_job_is_cancelled_with_what_is_done_and_a_waiting_one_leaves(visit, pictures, tmp_path):
    large = [tmp_path / picture.name for picture in pictures[:2]]
    for path, picture in zip(large, pictures, strict=False):
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(picture)), (480, 360)))
    first, second = visit(), visit()
    for tab in (first, second):
        tab.add(*large)
        tab.open("inbetween-size")
        tab.page.locator("#inbetween-frames input").uncheck()
        tab.set("gap-duration", 800)  # minutes on any machine: it cannot end before it is cancelled
        tab.costs("19,201 frames")
    first.run()
    first.page.locator("#inbetween-status .gk-bar").wait_for()
    second.run()
    second.page.locator("#inbetween-status", has_text="Waiting for its turn").wait_for()
    second.page.click("#inbetween-cancel")
    second.page.locator("#inbetween-status", has_text="Cancelled before it began").wait_for()
    second.enabled("#inbetween-run")
    assert first.page.is_disabled("#inbetween-run")
    first.page.click("#inbetween-cancel")
    first.finished("cancelled")
    first.until(f"{VIDEO} && {VIDEO}.readyState >= 1")
    assert 0 < first.page.evaluate(f"{VIDEO}.duration") < 800
    second.set("gap-duration", 0.25)
    second.run()
    second.finished()


def test_a_mistake_is_said_and_the_page_goes_on(visit, pictures, tmp_path):
    notes = tmp_path / "notes.png"
    notes.write_text("these are only words\n" * 20)
    tab = visit()
    tab.upload(notes, pictures[0])
    tab.says("notes.png")
    tab.until("document.querySelectorAll('.gk-key').length === 1")
    tab.add(pictures[1])
    tab.set("inbetween-fps", 1000)
    tab.costs("fps: must be between 1 and 60, got 1000")
    tab.disabled("#inbetween-run")
    tab.set("inbetween-fps", 10)
    tab.set("gap-duration", "")
    tab.costs("gap 1: duration: a number is needed")
    tab.set("gap-duration", 0.3)
    tab.costs("4 frames")
    tab.page.dblclick("#inbetween-run")
    tab.finished()


def test_an_example_on_a_phone(visit):
    tab = visit(width=390, height=844, has_touch=True, is_mobile=True)
    tab.page.tap("#inbetween-example-harbour")
    tab.costs("111 frames")
    tab.becomes(lambda: len(tab.names()), 7)
    tab.becomes(tab.gaps, ["0.8 s, ease-in", *["0.6 s, linear"] * 4, "0.9 s, ease-out"])
    tab.until("""() => {
        const box = document.querySelector("#inbetween-run").getBoundingClientRect();
        return 0 <= box.top && box.bottom <= 844 && document.documentElement.scrollWidth <= 390;
    }""")
    tab.page.tap("[aria-label='Move keyframe 1 right']")
    tab.until("document.querySelector('.gk-name').textContent === 'harbour-2.png'")


def test_the_mini_engine_and_the_variants_side_by_side_on_their_own_example(visit):
    tab = visit()
    tab.page.click("#inbetween-example-mini-world")
    tab.until("document.querySelectorAll('.gk-key').length === 2")
    tab.costs("mini knows only the small world")
    tab.open("inbetween-engine-box")
    tab.becomes(lambda: tab.chosen("inbetween-engine"), "mini")
    tab.run()
    tab.finished()
    facts = tab.page.inner_text("#inbetween-facts")
    assert "mini" in facts
    assert "variant dual" in facts
    tab.settle()
    tab.page.click("#inbetween-compare")
    tab.page.locator("#inbetween-facts", has_text="time reversal").wait_for()
    tab.enabled("#inbetween-run")
    tab.page.locator("#inbetween-status", has_text="4 variants").wait_for()
    tab.until(f"{VIDEO}.readyState >= 1 && {VIDEO}.videoWidth > 1000")


def test_an_engine_that_cannot_run_here_says_so_and_a_prompt_is_there_for_those_that_read_it(visit, pictures):
    tab = visit()
    tab.add(*pictures[:2])
    tab.open("inbetween-engine-box")
    tab.choose("inbetween-engine", "wan")
    tab.page.locator("#inbetween-prompt textarea").wait_for()
    tab.costs("a GPU is needed")
    tab.disabled("#inbetween-run")
    tab.choose("inbetween-engine", "draft")
    tab.costs("25 frames")
    tab.page.locator("#inbetween-prompt textarea").wait_for(state="hidden")
