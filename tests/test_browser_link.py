"""The address of the hub holds the settings of a zoom, and opens its tab; in a real headless Chromium."""

import pytest
from browser import Visit, chromium

from genkey_core import recipe

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser, hub):
    """Opens an address of the hub for a new visitor."""
    visits = []

    def opened(query="") -> Visit:
        visits.append(Visit(browser, hub.url + query, width=1440, height=900))
        visits[-1].page.get_by_role("tab", name="Powers of ten", exact=True).wait_for()
        return visits[-1]

    yield opened
    for each in visits:
        each.close()


def test_the_link_of_a_zoom_opens_its_tab_with_its_levels_and_settings(visit):
    mine = visit()
    mine.quiet()
    mine.page.get_by_role("tab", name="Powers of ten", exact=True).click()
    mine.page.click("#zoom-example-mini-world")
    mine.page.locator("#zoom-ladder li").nth(5).wait_for()
    mine.quiet()
    mine.page.fill("#zoom-fps input", "12")
    mine.page.keyboard.press("Tab")
    mine.page.locator("#zoom-made button").first.click()
    mine.until("""() => {
        const link = document.querySelector("#zoom-link textarea, #zoom-link input")?.value || "";
        const word = new URL(link || location.href).searchParams.get("zoom");
        return word && JSON.parse(atob(word.replaceAll("-", "+").replaceAll("_", "/"))).video.fps === 12;
    }""")
    link = mine.page.locator("#zoom-link textarea, #zoom-link input").first.input_value()
    prompts = mine.page.locator("#zoom-ladder textarea").evaluate_all("all => all.map((e) => e.value)")
    other = visit("?" + link.split("?", 1)[1])
    other.page.locator("#zoom-ladder li").nth(5).wait_for()
    other.becomes(
        lambda: other.page.locator("#zoom-ladder textarea").evaluate_all("all => all.map((e) => e.value)"), prompts
    )
    other.until("document.querySelector('#zoom-fps input').value === '12'")
    other.enabled("#zoom-run")


def test_of_two_tabs_in_an_address_the_last_opens_and_a_broken_word_is_said(visit):
    zoom = recipe.to_link({"format": "genkey-zoom-project", "mode": "images"})
    visit(f"?inbetween={recipe.to_link({'fps': 10})}&zoom={zoom}").page.locator("#zoom-images").wait_for()
    mine = visit(f"?zoom={zoom}&inbetween={recipe.to_link({'fps': 10})}")
    mine.page.locator("#inbetween-uploads").wait_for()
    mine.until("document.querySelector('#inbetween-fps input').value === '10'")
    visit("?zoom=%25").says("its settings cannot be read")
