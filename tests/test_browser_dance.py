"""The Animal dance tab as a visitor uses it, in a real headless Chromium."""

from pathlib import Path

import numpy as np
import pytest
from browser import Visit, chromium
from conftest import ROOT
from dance_hub import DanceServer, drum_loop

from genkey_core import media, recipe, runtime

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")


class Tab(Visit):
    """One visitor with the tab open."""

    def __init__(self, browser, url: str, **options):
        super().__init__(browser, url, height=1300, **options)
        self.page.locator("#dance-example").wait_for()

    def drop(self, poses: list[Path], song: Path) -> None:
        """Keyframes, then a song, until a dance could be made of them."""
        self.page.set_input_files("#dance-keyframes input[type=file]", [str(path) for path in poses])
        self.until(f"document.querySelectorAll('#dance-row figure').length === {len(poses)}")
        self.page.set_input_files("#dance-song-file input[type=file]", str(song))
        self.page.locator("#dance-song svg").wait_for()
        self.priced()
        self.quiet()

    def priced(self) -> None:
        self.page.locator("#dance-cost", has_text="on this machine").wait_for()

    def pattern(self, text: str, labels: str) -> None:
        """Type a pattern and wait until the timeline shows these labels."""
        self.page.fill("#dance-pattern textarea, #dance-pattern input", text)
        shown = "[...document.querySelectorAll('#dance-steps ol button')].map((b) => b.innerText).join(' ')"
        self.until(f'{shown} === "{labels}"')
        self.quiet()

    def small(self) -> None:
        """The smallest size, so that tests are quick."""
        self.page.click("#dance-look button.label-wrap")
        self.page.click("#dance-side input")
        self.page.get_by_role("option", name="640", exact=True).click()
        self.page.fill("#dance-n input", "5")
        self.page.keyboard.press("Tab")
        self.quiet()

    def wide(self) -> None:
        """A motion range that leaves all pairs."""
        self.page.click("#dance-wishes button.label-wrap")
        self.page.fill("#dance-low input[type=number]", "2")
        self.page.fill("#dance-high input[type=number]", "400")
        self.page.keyboard.press("Tab")
        self.quiet()
        self.priced()


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with DanceServer(tmp_path_factory.mktemp("dance")) as running:
        yield running


@pytest.fixture
def visit(browser, server):
    """Opens tabs; at the end none may have complained, or asked anything of another machine."""
    tabs = []

    def opened(**options) -> Tab:
        tabs.append(Tab(browser, server.url, **options))
        return tabs[-1]

    yield opened
    for tab in tabs:
        tab.close()


def real_inputs() -> tuple[list[Path], Path] | None:
    """Photographs of a dog and a drum loop, where they lie beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    poses, song = sorted(folder.glob("animals/dog_keyframes/*.png")), folder / "music" / "loop_120bpm_32s.flac"
    return (poses, song) if poses and song.is_file() else None


def test_pictures_and_a_song_become_a_dance(visit, poses, song, tmp_path):
    tab = visit()
    poses, song = real_inputs() or (poses, song)
    tab.drop(poses, song)
    tab.page.fill("#dance-end input", "4")
    tab.page.keyboard.press("Tab")
    tab.small()
    tab.wide()
    tab.pattern("A-A'-B", "A A' B A")
    tab.page.click("#dance-find")
    tab.page.locator("#dance-status", has_text="to choose from").wait_for()
    tab.until("document.querySelectorAll('#dance-solutions li').length === 3")
    tab.quiet()
    assert "proven" in tab.page.locator("#dance-solutions li").first.inner_text()
    tab.page.locator("#dance-solution input").nth(1).check()
    tab.quiet()
    tab.page.click("#dance-run")
    tab.page.locator("#dance-facts", has_text="finished").wait_for()
    tab.quiet()
    assert "number 2" in tab.page.inner_text("#dance-facts")
    with tab.page.expect_download() as caught:
        tab.page.locator("#dance-files a[download]").last.click()
    project = tmp_path / "project.json"
    caught.value.save_as(project)
    assert '"A-A\'-B"' in project.read_text(encoding="utf-8")
    source = tab.page.locator("#dance-video video").get_attribute("src")
    video = tmp_path / "dance.mp4"
    video.write_bytes(tab.context.request.get(source).body())
    assert media.probe(video).n_frames == 100
    assert recipe.read(video, method="dance")["settings"]["solution"] == 2
    tab.page.locator("#dance-timeline img").wait_for()


def test_beats_and_segments_are_corrected_by_hand(visit, poses, song):
    tab = visit()
    tab.drop(poses, song)
    page = tab.page
    bar = page.locator("#dance-song .gk-song-bar")
    page.locator("#dance-song .gk-song-bar", has_text="120.0 bpm").wait_for()
    page.click("#dance-halve")
    bar.filter(has_text="60.0 bpm").wait_for()
    page.click("#dance-again")
    bar.filter(has_text="120.0 bpm").wait_for()
    box = tab.steady("#dance-song svg")
    page.locator("#dance-song svg").click(position={"x": box["width"] * 1.02 / 6, "y": 40})
    tab.until("document.querySelector('#dance-first input').value === '3'")
    tab.quiet()
    page.click("#dance-listen")
    page.get_by_role("button", name="Change what is played").wait_for()
    tab.until("document.querySelector('#dance-song audio').src.includes('clicks.wav')")
    tab.pattern("A-B", "A B A B A")
    page.locator("#dance-steps ol button").nth(1).click()
    page.get_by_role("button", name="Make segment 2 A'", exact=True).click()
    tab.until("document.querySelectorAll('#dance-steps ol button')[1].innerText === \"A'\"")
    tab.quiet()
    text = page.input_value("#dance-pattern textarea, #dance-pattern input")
    assert text.startswith("A-A'-A")


def test_wishes_are_made_by_clicking_on_keyframes(visit, poses, song):
    """A pin from the timeline, a mirrored end and an excluded frame; each can be taken back; the dance keeps to them."""
    tab = visit()
    tab.drop(poses, song)
    page, row = tab.page, tab.page.locator("#dance-row")
    tab.small()
    tab.wide()
    tab.pattern("A-B", "A B A B A B")

    def text(name: str, wanted: str) -> None:
        field = f"#dance-{name} :is(textarea, input)"
        tab.until(f"document.querySelector('{field}').value === \"{wanted}\"")
        tab.quiet()

    assert row.get_by_role("button", name="Keyframe 1", exact=True).is_disabled()
    page.locator("#dance-steps ol button").first.click()
    page.locator("#dance-steps").get_by_role("button", name="Pin A").click()
    row.get_by_role("button", name="Keyframe 2", exact=True).click()
    row.locator("b", has_text="A begins in 2").wait_for()
    row.get_by_role("button", name="Keyframe 5' (mirrored)").click()
    text("pins", "A: 2>5'")
    row.get_by_role("button", name="Pin B", exact=True).click()
    row.get_by_role("button", name="B ends in its first pose mirrored").click()
    text("ends", "B")
    row.get_by_role("button", name="Never a keyframe").click()
    for name in ("3", "4"):
        row.get_by_role("button", name=f"Keyframe {name}", exact=True).click()
    text("never", "3, 4")
    row.get_by_role("button", name="Take back: never 4").click()
    text("never", "3")
    row.get_by_role("button", name="Keyframe 3, never shown").wait_for()
    tab.priced()
    page.click("#dance-find")
    page.locator("#dance-status", has_text="to choose from").wait_for()
    tab.quiet()
    best = page.locator("#dance-solutions li").first.locator("figcaption").all_inner_texts()
    assert best[0].startswith("A 2>5'")
    pair = best[1].removeprefix("B ").removesuffix("Pin this").strip()
    assert set(pair.split(">")) in ({k, f"{k}'"} for k in "12456")
    page.get_by_role("button", name=f"Pin this: B {pair}", exact=True).first.click()
    text("pins", f"A: 2>5'; B: {pair}")
    page.fill("#dance-pins textarea, #dance-pins input", "A: 1>4")
    tab.quiet()
    row.get_by_role("button", name="Take back: A: 1>4").click()
    text("pins", "")


@pytest.mark.skipif(runtime.available_memory(runtime.best_device()).gpu is not None, reason="there is a graphics card")
def test_what_needs_a_graphics_card_is_said_and_the_rest_stays_usable(visit, poses, song):
    tab = visit()
    page = tab.page
    page.click("#dance-grid button.label-wrap")
    page.locator("#dance-grid-cost", has_text="drop pictures of your own instead").wait_for()
    tab.disabled("#dance-grid-draw")
    tab.drop(poses, song)
    page.click("#dance-mirror button.label-wrap")
    page.locator("#dance-mirrors").get_by_label("flux").check()
    page.locator("#dance-cost", has_text="choose the draft's mirrors").wait_for()
    tab.disabled("#dance-run")
    page.locator("#dance-subject").wait_for()
    page.locator("#dance-mirrors").get_by_label("draft").check()
    tab.priced()
    tab.enabled("#dance-run")


def test_taps_become_beats(visit, poses, song):
    """The song stands where it is put, so that a slow machine taps no slower."""
    tab = visit()
    tab.drop(poses, song)
    tab.page.evaluate(
        """() => {
            const player = document.querySelector("#dance-song audio");
            window.gkAt = 0;
            Object.defineProperty(player, "currentTime", { get: () => window.gkAt });
            Object.defineProperty(player, "paused", { get: () => false });
        }"""
    )
    for k in range(5):
        tab.page.evaluate(f"window.gkAt = {0.5 + 0.75 * k}")
        tab.page.get_by_role("button", name="Tap on the beat").click()
    tab.page.get_by_role("button", name="Make beats of the taps").click()
    tab.page.locator("#dance-song .gk-song-bar", has_text="80.0 bpm").wait_for()
    tab.until("document.querySelectorAll('#dance-song .beat').length === 8")


def test_mistakes_are_sentences_and_nothing_is_lost(visit, poses, song, tmp_path):
    tab = visit()
    tab.drop(poses, song)
    tab.page.fill("#dance-pattern textarea, #dance-pattern input", "A-?-B")
    tab.page.locator("#dance-cost.gk-refused, #dance-cost .gk-refused").filter(has_text="character 3").wait_for()
    tab.pattern("A-B", "A B A B A B")
    tab.priced()
    tab.quiet()
    silence = drum_loop(tmp_path / "silence.wav", silent=True)
    tab.page.click("#dance-song-file button[aria-label='Clear'], #dance-song-file button[title='Clear']")
    tab.quiet()
    tab.page.set_input_files("#dance-song-file input[type=file]", str(silence))
    tab.says("silent")
    tab.quiet()
    tab.page.click("#dance-keyframes button[aria-label='Clear'], #dance-keyframes button[title='Clear']")
    tab.until("document.querySelectorAll('#dance-row figure').length === 0")
    tab.quiet()
    tab.page.set_input_files("#dance-keyframes input[type=file]", [str(path) for path in poses[:2]])
    tab.says("3 to 12")


def test_cancel_keeps_the_part_that_is_done(visit, poses, tmp_path):
    """The longest dance of the most frames, which is not over before Cancel is pressed."""
    tab = visit()
    tab.drop(poses, drum_loop(tmp_path / "minute.wav", seconds=60.0))
    tab.wide()
    tab.page.click("#dance-look button.label-wrap")
    tab.page.click("#dance-fps input")
    tab.page.get_by_role("option", name="50", exact=True).click()
    tab.quiet()
    tab.page.click("#dance-run")
    tab.page.locator("#dance-status", has_text="segment").wait_for()
    tab.page.click("#dance-cancel")
    tab.page.locator("#dance-facts", has_text="cancelled").wait_for()
    tab.enabled("#dance-run")


def test_the_example_dances_in_one_click(visit, tmp_path):
    tab = visit()
    tab.page.click("#dance-example")
    tab.until("document.querySelectorAll('#dance-steps .gk-dancers figure').length >= 5")
    tab.priced()
    tab.quiet()
    tab.page.fill("#dance-end input", "4.5")
    tab.page.keyboard.press("Tab")
    tab.small()
    tab.until("document.querySelectorAll('#dance-steps ol button').length < 6")
    tab.quiet()
    tab.page.click("#dance-run")
    tab.page.locator("#dance-facts", has_text="finished").wait_for()
    source = tab.page.locator("#dance-video video").get_attribute("src")
    (tmp_path / "dance.mp4").write_bytes(tab.context.request.get(source).body())
    frames = [frame.image for frame in media.read_frames(tmp_path / "dance.mp4")]
    assert np.abs(frames[0].astype(int) - frames[25]).max() > 50
