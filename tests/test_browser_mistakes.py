"""What visitors do wrong, on the whole hub in a real headless Chromium: the page says it and goes on. And nothing is cut off."""

import numpy as np
import pytest
from browser import Visit, chromium
from PIL import Image

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")
TABS = ("Inbetween", "Jump cut", "Powers of ten", "Animal dance")


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser, hub):
    """Opens the hub in a window of a size; closed afterwards."""
    visits = []

    def opened(width=1440, height=900) -> Visit:
        visits.append(Visit(browser, hub.url, width=width, height=height))
        visits[-1].page.locator("#keyframe-strip", has_text="No keyframes yet").wait_for()
        visits[-1].until("window.gkCalls > 0")  # what the page asks when it opens: before that no upload is heard
        visits[-1].quiet()
        return visits[-1]

    yield opened
    for each in visits:
        each.close()


def enter(tab: Visit, name: str, box: str) -> None:
    """Go to a tab and wait until its first box is there and at rest."""
    tab.page.get_by_role("tab", name=name, exact=True).click()
    tab.page.locator(box).wait_for()
    tab.quiet()


def test_after_a_job_that_failed_the_next_can_be_started(visit, tmp_path):
    rng = np.random.default_rng(5)
    noise = [tmp_path / f"noise-{k}.png" for k in range(2)]
    for path in noise:
        Image.fromarray(rng.integers(0, 255, (96, 96, 3), np.uint8)).save(path)
    tab = visit()
    page = tab.page
    enter(tab, "Powers of ten", "#zoom-mode")
    page.locator("#zoom-mode").get_by_label("Own images", exact=True).check()
    page.set_input_files("#zoom-images input[type=file]", [str(path) for path in noise])
    tab.enabled("#zoom-run")
    tab.quiet()
    page.click("#zoom-run")
    page.locator("#zoom-status", has_text="Nothing was made; the message says why.").wait_for()
    tab.enabled("#zoom-run")
    tab.disabled("#zoom-cancel")


def test_every_job_of_every_tab_gives_its_buttons_back_when_it_fails():
    import app
    from demos.jobs import HEAVY

    steps = app.page_of(app.TABS).fns
    jobs = [n for n, step in steps.items() if step.concurrency_id == HEAVY and step.trigger_after is not None]
    followed = {step.trigger_after for step in steps.values() if step.trigger_only_on_failure}
    assert len(jobs) >= 9
    assert set(jobs) <= followed


def test_a_video_that_was_not_made_here_does_not_close_the_box_to_images(visit, pictures, tmp_path):
    from genkey_core import media

    other = tmp_path / "other.mp4"
    with media.VideoWriter(other, fps=8, size=(32, 32)) as writer:
        for _ in range(4):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    tab = visit()
    tab.page.set_input_files("#inbetween-uploads input[type=file]", [str(other)])
    tab.says("carries no recipe")
    tab.quiet()
    tab.page.locator("#inbetween-uploads .file-preview").wait_for(state="detached")
    tab.page.set_input_files("#inbetween-uploads input[type=file]", [str(path) for path in pictures[:2]])
    tab.until("document.querySelectorAll('.gk-key').length === 2")
    tab.enabled("#inbetween-run")


def cut_off(page) -> list[str]:
    """The drop boxes in sight whose icon or words reach out of them."""
    return page.evaluate("""() => [...document.querySelectorAll("button.upload-container")].filter((box) => {
        const outer = box.getBoundingClientRect(), words = document.createRange();
        if (!outer.width) return false;
        words.selectNodeContents(box.querySelector("[data-testid='upload-text']"));
        return [...words.getClientRects()].some((r) => r.top < outer.top || r.bottom > outer.bottom
            || r.left < outer.left || r.right > outer.right);
    }).map((box) => box.closest("[id]").id)""")


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_every_tab_is_in_sight_and_no_drop_box_is_cut_off(visit, size):
    tab = visit(*size)
    page = tab.page
    tab.until("n => document.querySelectorAll('[role=tab]').length === n", len(TABS))
    for name, box in zip(
        TABS, ("#inbetween-uploads", "#jumpcut-upload", "#zoom-project", "#dance-song-file"), strict=True
    ):
        enter(tab, name, box)
        assert cut_off(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_job_that_is_cancelled_before_it_shows_anything_is_no_error(visit):
    tab = visit()
    page = tab.page
    enter(tab, "Animal dance", "#dance-example")
    page.click("#dance-example")
    tab.enabled("#dance-run")
    tab.quiet()
    page.evaluate("""() => new MutationObserver(() => {
        const cancel = document.querySelector("#dance-cancel");
        if (document.querySelector("#dance-status .gk-bar") && !cancel.disabled) cancel.click();
    }).observe(document.body, { childList: true, subtree: true })""")
    page.click("#dance-run")
    page.locator("#dance-status", has_text="ancelled").wait_for()
    tab.enabled("#dance-run")
    tab.settle()
    assert not [said for said in page.evaluate("window.gkHeard") if "ancelled" in said]
