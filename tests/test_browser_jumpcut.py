"""The Jump cut tab as an editor uses it, in a real headless Chromium."""

from pathlib import Path

import pytest
from browser import Visit, chromium, held
from conftest import ROOT
from jumpcut_hub import JumpcutServer, talk

from genkey_core import media, recipe

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

PLAYER = "document.querySelector('#jumpcut-player video')"
RESULT = "document.querySelector('#jumpcut-video video')"


class Tab(Visit):
    """One visitor with the tab open."""

    def __init__(self, browser, url: str, **options):
        super().__init__(browser, url, **options)
        self.page.locator(".gk-empty").wait_for()

    def drop(self, path: Path) -> None:
        self.quiet()
        self.page.set_input_files("#jumpcut-upload input[type=file]", str(path))
        self.page.locator("#jumpcut-cost", has_text=path.name).filter(has_text="analysing takes about").wait_for()

    def analyse(self) -> None:
        self.idle("analyse")
        self.page.click("#jumpcut-analyse")
        self.page.locator("#jumpcut-status", has_text="Analysed").wait_for()
        self.page.locator("#jumpcut-cost", has_text="become").or_(
            self.page.locator("#jumpcut-cost", has_text="Nothing is set")
        ).wait_for()
        self.quiet()

    def rows(self) -> list[dict]:
        """The rows of the table: whether each goes, its start and its end."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll('#jumpcut-editor tbody tr')].map((tr) => {
                const [remove, start, end] = tr.querySelectorAll('input');
                return {remove: remove.checked, start: +start.value, end: +end.value, kind: tr.children[3].innerText};
            })"""
        )

    def cuts(self) -> int:
        return self.page.locator("#jumpcut-cuts tbody tr").count()

    def until_cuts(self, n: int) -> None:
        self.becomes(self.cuts, n)
        self.quiet()

    def idle(self, button: str) -> None:
        """Wait until this button can be pressed."""
        self.quiet()
        self.enabled(f"#jumpcut-{button}")


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with JumpcutServer(tmp_path_factory.mktemp("jumpcut")) as running:
        yield running


@pytest.fixture(scope="module")
def small_talk(tmp_path_factory) -> Path:
    return talk(tmp_path_factory.mktemp("small") / "talk.mp4")


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


def test_a_talk_from_drop_to_finished_video(visit, small_talk, tmp_path):
    real = ROOT.parent / "shared" / "data" / "talk" / "suit_blinds_22fps.mp4"
    source = real if real.is_file() else small_talk
    tab = visit()
    tab.drop(source)
    tab.analyse()
    assert [row["kind"] for row in tab.rows()] == ["Pause"] * 2
    assert all(row["remove"] for row in tab.rows())
    tab.until_cuts(2)
    tab.page.select_option("#jumpcut-cuts [data-at='mode 1']", "hard cut")
    tab.idle("judge")
    tab.page.click("#jumpcut-judge")
    tab.page.locator("#jumpcut-status", has_text="2 of 2 cuts were looked at").wait_for()
    tab.idle("run")
    assert tab.page.locator("#jumpcut-cuts .gk-score").count() == 2
    tab.page.click("#jumpcut-run")
    tab.page.locator("#jumpcut-facts", has_text="finished").wait_for()
    tab.quiet()
    assert "1 hard cut" in tab.page.inner_text("#jumpcut-facts")
    tab.until(f"{RESULT} && {RESULT}.readyState >= 1")
    with tab.page.expect_download() as download:
        tab.page.locator("#jumpcut-video a[download]").first.click()
    download.value.save_as(tmp_path / "made.mp4")
    facts, before = media.probe(tmp_path / "made.mp4"), media.probe(source)
    made = recipe.read(tmp_path / "made.mp4", method="jumpcut")
    assert [cut["mode"] for cut in made["output"]["cuts"]][1] == "hard cut"
    assert facts.n_frames == made["output"]["frames"] < before.n_frames
    assert abs(facts.audio_duration_s - facts.duration_s) < 1 / facts.fps
    tab.page.click("[data-at='compare 0']")
    tab.page.locator("#jumpcut-compare", has_text="Cut 1: as it was").wait_for()
    tab.page.locator("#jumpcut-files a").nth(1).wait_for()


@pytest.mark.parametrize("name", ["kitchen_hands", "blue_wall_dup_frames", "office_512", "black_backdrop_512",
                                  "plain_room_512", "studio_1080p", "read_speech_88s"])  # fmt: skip
def test_every_real_talk_is_analysed_and_its_cuts_are_looked_at(visit, name):
    """What was cut out is what an editor can hear as a pause; a talk without pauses takes a typed range."""
    source = ROOT.parent / "shared" / "data" / "talk" / f"{name}.mp4"
    if not source.is_file():
        pytest.skip("the real media is not here")
    length_s = media.probe(source).duration_s
    tab = visit()
    tab.drop(source)
    tab.analyse()
    rows = tab.rows()
    assert all(0 <= row["start"] < row["end"] <= length_s + 0.05 for row in rows)
    if not any(row["remove"] for row in rows):
        tab.page.fill("#jumpcut-ranges textarea, #jumpcut-ranges input", "remove 1.5 to 2 s")
        tab.page.click("#jumpcut-add")
    tab.until("document.querySelectorAll('#jumpcut-cuts tbody tr').length > 0")
    tab.quiet()
    if name == "read_speech_88s":  # many cuts, in a card that does not move: one of them is enough to look at
        for index in {*range(len(rows))} - {5}:
            box = tab.page.locator("#jumpcut-editor tbody input[type=checkbox]").nth(index)
            if box.is_checked():
                box.uncheck()
                tab.settle()
        tab.until_cuts(1)
    removed = sum(row["end"] - row["start"] for row in tab.rows() if row["remove"])
    assert 0 < removed < 0.5 * length_s
    count = tab.cuts()
    tab.idle("judge")
    tab.page.click("#jumpcut-judge")
    tab.page.locator("#jumpcut-status", has_text=f"{count} of {count} cuts were looked at").wait_for()
    tab.idle("run")
    assert tab.page.locator("#jumpcut-cuts .gk-score").count() == count


def test_rows_are_edited_added_and_played_and_sliders_lose_nothing(visit, small_talk):
    tab = visit()
    tab.drop(small_talk)
    tab.analyse()
    tab.until_cuts(2)
    tab.page.locator("#jumpcut-editor tbody input[type=checkbox]").nth(0).uncheck()
    tab.until_cuts(1)
    tab.page.locator("#jumpcut-editor [data-at^='end_s']").nth(1).fill("4.0")
    tab.page.locator("#jumpcut-editor [data-at^='end_s']").nth(1).press("Enter")
    tab.quiet()
    tab.page.fill("#jumpcut-ranges textarea, #jumpcut-ranges input", "remove 0.3 to 0.6 s")
    tab.page.click("#jumpcut-add")
    tab.until_cuts(2)
    wanted = tab.rows()
    assert [(row["remove"], row["kind"]) for row in wanted] == [(True, "Range"), (False, "Pause"), (True, "Pause")]
    assert wanted[2]["end"] == 4.0
    for value in ("3", "0.2"):  # the analysis is not repeated, and what was edited stays
        tab.page.fill("#jumpcut-pause input[type=number]", value)
        tab.page.press("#jumpcut-pause input[type=number]", "Enter")
        tab.quiet()
        assert [row for row in tab.rows() if row in wanted] == wanted
    tab.page.locator("#jumpcut-editor [data-at^='play']").nth(0).click()
    tab.until(f"{PLAYER} && {PLAYER}.readyState >= 2")
    tab.page.evaluate(f"{PLAYER}.muted = true")
    tab.page.locator("#jumpcut-editor [data-at^='play']").nth(2).click()
    tab.until(f"{PLAYER}.currentTime > 2.9")
    tab.until(f"{PLAYER}.paused && {PLAYER}.currentTime >= 4.4")  # half a second after the row it stops


def test_ranges_typed_faster_than_they_are_answered_are_all_added(visit, small_talk):
    tab = visit()
    box = "#jumpcut-ranges textarea, #jumpcut-ranges input"
    tab.drop(small_talk)
    tab.analyse()
    tab.until_cuts(2)
    with held(tab.page, "remove ") as calls:
        tab.page.fill(box, "remove 0.3 to 0.5 s")
        tab.page.click("#jumpcut-add")
        tab.page.fill(box, "remove 4.5 to 4.7 s")
        tab.page.press(box, "Enter")
        tab.page.fill(box, "remove 0.6 to")  # and the third is still being typed
        calls.wait(2)
        tab.settle()
        assert len(calls.routes) == 2
    tab.until_cuts(4)
    assert tab.page.input_value(box) == "remove 0.6 to"
    tab.page.fill(box, "remove 0.9 to 1.1 s")
    tab.page.click("#jumpcut-add")
    tab.until_cuts(5)
    tab.until("document.querySelector('#jumpcut-ranges textarea, #jumpcut-ranges input').value === ''")


def test_a_mistake_is_said_and_the_page_goes_on(visit, small_talk, tmp_path):
    notes = tmp_path / "notes.mp4"
    notes.write_text("these are only words\n" * 30)
    tab = visit()
    tab.page.set_input_files("#jumpcut-upload input[type=file]", str(notes))
    tab.says("notes.mp4")
    tab.drop(small_talk)
    tab.analyse()
    tab.page.fill("#jumpcut-ranges textarea, #jumpcut-ranges input", "remove 90 to 95 s")
    tab.page.click("#jumpcut-add")
    tab.says("after the end of the video at 5.00 s")
    tab.page.locator("#jumpcut-editor [data-at^='end_s']").nth(0).fill("0.5")
    tab.page.locator("#jumpcut-editor [data-at^='end_s']").nth(0).press("Enter")
    tab.page.locator("#jumpcut-cost", has_text="before its start").wait_for()
    tab.disabled("#jumpcut-run")
    tab.page.locator("#jumpcut-editor [data-at^='end_s']").nth(0).fill("2")
    tab.page.locator("#jumpcut-editor [data-at^='end_s']").nth(0).press("Enter")
    tab.page.locator("#jumpcut-cost", has_text="become").wait_for()
    tab.page.get_by_label("hard cut", exact=True).check()
    tab.settle()
    tab.idle("run")
    tab.page.click("#jumpcut-run")
    tab.page.locator("#jumpcut-facts", has_text="2 hard cut").wait_for()
