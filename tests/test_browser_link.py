"""The address of the hub holds the settings of a zoom, and opens its tab; in a real headless Chromium."""

import pytest
from browser import chromium

from genkey_core import recipe

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")
PATIENCE_MS = 600_000  # for anything that has to happen; machines that test are busy


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(browser, hub):
    """Opens an address of the hub for a new visitor."""
    contexts = []

    def opened(query=""):
        contexts.append(browser.new_context(viewport={"width": 1440, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(hub.url + query)
        page.get_by_role("tab", name="Powers of ten", exact=True).wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()


def link_of(page) -> str:
    return page.locator("#zoom-link textarea, #zoom-link input").first.input_value()


def test_the_link_of_a_zoom_opens_its_tab_with_its_levels_and_settings(open_page):
    page = open_page()
    page.get_by_role("tab", name="Powers of ten", exact=True).click()
    page.click("#zoom-example-mini-world")
    page.locator("#zoom-ladder li").nth(5).wait_for()
    page.fill("#zoom-fps input", "12")
    page.keyboard.press("Tab")
    page.locator("#zoom-made button").first.click()
    page.wait_for_function("""() => {
        const link = document.querySelector("#zoom-link textarea, #zoom-link input")?.value || "";
        const word = new URL(link || location.href).searchParams.get("zoom");
        return word && JSON.parse(atob(word.replaceAll("-", "+").replaceAll("_", "/"))).video.fps === 12;
    }""")
    link, prompts = link_of(page), page.locator("#zoom-ladder textarea").evaluate_all("all => all.map((e) => e.value)")
    other = open_page("?" + link.split("?", 1)[1])
    other.locator("#zoom-ladder li").nth(5).wait_for()
    assert other.locator("#zoom-ladder textarea").evaluate_all("all => all.map((e) => e.value)") == prompts
    other.wait_for_function("document.querySelector('#zoom-fps input').value === '12'")
    other.wait_for_function("!document.querySelector('#zoom-run').disabled")


def test_of_two_tabs_in_an_address_the_last_opens_and_a_broken_word_is_said(open_page):
    zoom = recipe.to_link({"format": "genkey-zoom-project", "mode": "images"})
    page = open_page(f"?inbetween={recipe.to_link({'fps': 10})}&zoom={zoom}")
    page.locator("#zoom-images").wait_for()
    page = open_page(f"?zoom={zoom}&inbetween={recipe.to_link({'fps': 10})}")
    page.locator("#inbetween-uploads").wait_for()
    page.wait_for_function("document.querySelector('#inbetween-fps input').value === '10'")
    page = open_page("?zoom=%25")
    page.locator("[data-testid='toast-body']", has_text="its settings cannot be read").wait_for()
