"""A headless Chromium and one visitor's page in it, for the tests and the screenshot of the README."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_S = 600  # for anything that has to happen; machines that test are busy

# Messages go by themselves after some seconds: what the page ever said is kept, however late a test asks for it.
_HEARD = """
window.gkHeard = [];
new MutationObserver(() => document.querySelectorAll("[data-testid='toast-body']").forEach((body) => {
  if (!window.gkHeard.includes(body.textContent)) window.gkHeard.push(body.textContent);
})).observe(document, { childList: true, subtree: true, characterData: true });
"""
# What the page has asked the server and is not answered yet: calls on their way, then the events that they became.
_ASKED = """
window.gkOpen = new Set();
window.gkCalls = 0;
const fetched = window.fetch, over = new Set();
async function follow(stream) {
  let text = "";
  for (const reader = stream.pipeThrough(new TextDecoderStream()).getReader(); ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (text + value).split("\\n");
    text = lines.pop();
    for (const line of lines.filter((each) => each.startsWith("data:"))) {
      const said = JSON.parse(line.slice(5));
      if (said.msg === "process_completed" && !window.gkOpen.delete(said.event_id)) over.add(said.event_id);
    }
  }
}
window.fetch = async (...given) => {
  const url = String(given[0].url || given[0]), joins = url.includes("/queue/join");
  const call = joins || url.includes("/gradio_api/run/") || url.includes("/gradio_api/upload?") ? ++window.gkCalls : null;
  if (call) window.gkOpen.add(call);
  try {
    const answer = await fetched(...given);
    if (url.includes("/queue/data?")) follow(answer.clone().body).catch(() => {});
    if (joins && answer.ok) {
      const { event_id } = await answer.clone().json();
      if (!over.delete(event_id)) window.gkOpen.add(event_id);
    }
    return answer;
  } finally {
    if (call) window.gkOpen.delete(call);
  }
};
"""
# What happens in the page alone is done some frames after it began, however long those take.
_FRAMES = """async () => {
  for (let k = 0; k < 5; k++) await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}"""


@contextmanager
def chromium() -> Iterator:
    """A running Chromium: this machine's own, else Playwright's; without one the test is skipped, in CI it fails."""
    from playwright.sync_api import Error, sync_playwright

    own = next((path for path in map(shutil.which, NAMES) if path), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=own, args=FLAGS, timeout=PATIENCE_S * 1000)
        except Error as error:
            reason = f"no Chromium can be started here ({str(error).splitlines()[0]}); see tests/get_tools.sh"
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        try:
            yield browser
        finally:
            browser.close()


_HOLDS = """(arg) => {
    try { const said = (%s); return typeof said === "function" ? said(arg) : said; }
    catch (error) { if (error instanceof TypeError) return false; throw error; }
}"""


class Visit:
    """One visitor's page; remembers what it said, what it complained of and where it asked for anything."""

    def __init__(self, browser, url: str, *, width: int = 1400, height: int = 1100, **options):
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True, **options
        )
        self.context.add_init_script(_HEARD)
        self.context.add_init_script(_ASKED)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_S * 1000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(error.stack or str(error)))
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    def close(self) -> None:
        """Leave; the page must not have complained, or asked anything of another machine."""
        self.context.close()
        assert self.complaints == []
        hosts = {urlparse(u).hostname for u in self.requests if urlparse(u).scheme in ("http", "https", "ws", "wss")}
        assert hosts <= {"127.0.0.1"}

    def until(self, condition: str, arg: object = None) -> None:
        """Wait until a JavaScript condition holds; while a part that it asks about is not in the page, it does not."""
        self.page.wait_for_function(_HOLDS % condition, arg=arg)

    def becomes(self, read: Callable[[], object], wanted: object) -> None:
        """Wait until `read()` gives what is wanted; it must, and the last that it gave is shown where it does not."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := read()) != wanted and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        assert found == wanted

    def disabled(self, selector: str) -> None:
        """Wait until this button cannot be pressed."""
        self.until("(selector) => document.querySelector(selector).disabled", selector)

    def enabled(self, selector: str) -> None:
        self.until("(selector) => !document.querySelector(selector).disabled", selector)

    def says(self, text: str) -> None:
        """Wait for a message with this text, and close all: they lie over the buttons."""
        self.until("(text) => window.gkHeard.some((said) => said.includes(text))", text)
        self.page.evaluate("document.querySelectorAll(\"[data-testid='toast-close']\").forEach((b) => b.click())")

    def settle(self) -> None:
        """Wait until what was just done in the page has reached all of the page; the server is not waited for."""
        self.page.evaluate(_FRAMES)

    def quiet(self) -> None:
        """Wait until the server has answered all that the page asked of it, and the page asks nothing more."""
        calls, deadline = None, time.monotonic() + PATIENCE_S
        while calls != (calls := self.page.evaluate("window.gkCalls")):
            assert time.monotonic() < deadline, f"the page goes on asking: {calls} calls so far"
            self.until("window.gkOpen.size === 0")
            self.settle()

    def steady(self, selector: str) -> dict[str, float]:
        """The box of the first such element, once the page is quiet and nothing has moved it for half a second."""
        self.quiet()
        place, deadline, boxes = self.page.locator(selector).first, time.monotonic() + PATIENCE_S, []
        place.scroll_into_view_if_needed()
        while time.monotonic() < deadline:
            boxes = [*boxes[-4:], place.bounding_box()]
            if len(boxes) == 5 and all(box == boxes[0] for box in boxes):
                return boxes[0]
            self.page.wait_for_timeout(125)
        raise AssertionError(f"{selector} does not come to rest: {boxes}")

    def grasp(self, selector: str) -> tuple[float, float]:
        """Press the mouse in the middle of the first such element and keep it down; where that was.

        An answer of the server may move the page between looking and pressing; then nothing was grasped, and the hand
        tries again, as a visitor's does.
        """
        self.page.evaluate("addEventListener('pointerdown', (e) => { window.gkGrasped = e.target; }, true)")
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            box = self.steady(selector)
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            self.page.mouse.move(x, y)
            self.page.mouse.down()
            if self.page.locator(selector).first.evaluate("(el) => el.contains(window.gkGrasped)"):
                return x, y
            self.page.mouse.up()
        raise AssertionError(f"{selector} was never grasped")


class Held:
    """Calls to the server that are kept back."""

    def __init__(self, page, word: str):
        self.page, self.word, self.routes, self.over = page, word, [], False

    def take(self, route) -> None:
        """Keep a call back where it contains the word."""
        if not self.over and self.word in (route.request.post_data or ""):
            self.routes.append(route)
        else:
            route.continue_()

    def wait(self, n: int = 1) -> None:
        """Wait until there are `n` calls to keep back."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self.routes) < n and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        assert len(self.routes) >= n, f"{len(self.routes)} calls with '{self.word}' were made"

    def release(self) -> None:
        """Let all of them go, and those that come from now on."""
        self.over = True
        for route in self.routes:
            route.continue_()


@contextmanager
def held(page, word: str) -> Iterator[Held]:
    """Keep back the page's calls that contain this word until the end of the block."""
    keeper = Held(page, word)
    page.route("**/queue/join*", keeper.take)
    yield keeper
    keeper.release()
    page.unroute("**/queue/join*", keeper.take)


class Tab(Visit):
    """One visitor with the Inbetween tab open."""

    def __init__(self, browser, url: str, *, height: int = 1000, **options):
        super().__init__(browser, url, height=height, **options)
        self.page.locator("#keyframe-strip .gk-empty").wait_for()

    def upload(self, *paths: Path) -> None:
        """Drop files on the tab."""
        self.page.set_input_files("#inbetween-uploads input[type=file]", [str(p) for p in paths])

    def add(self, *paths: Path) -> None:
        """Drop images and wait until they stand in the strip."""
        wanted = len(self.names()) + len(paths)
        self.upload(*paths)
        self.until(f"document.querySelectorAll('.gk-key').length === {wanted}")

    def set(self, field: str, value: object) -> None:
        """Type a number into the field with this element id."""
        self.page.fill(f"#{field} input", str(value))
        self.settle()

    def number(self, field: str) -> float:
        return float(self.page.input_value(f"#{field} input"))

    def easing(self, name: str) -> None:
        """Choose an easing from the list."""
        self.page.click("#gap-easing input")
        self.page.get_by_role("option", name=name, exact=True).click()
        self.settle()

    def gap(self, index: int) -> None:
        """Choose a gap, so that the timing is its own."""
        self.page.locator(".gk-gap").nth(index).click()
        self.settle()

    def choose(self, field: str, name: str) -> None:
        """Choose one of the radio buttons of a field."""
        self.page.locator(f"#{field}").get_by_label(name, exact=True).check()
        self.settle()

    def chosen(self, field: str) -> str:
        return self.page.locator(f"#{field} input:checked").input_value()

    def names(self) -> list[str]:
        return self.page.locator(".gk-name").all_inner_texts()

    def gaps(self) -> list[str]:
        """The gaps as their chips say them, such as "1.25 s, ease-in"."""
        titles = self.page.locator(".gk-gap").evaluate_all("chips => chips.map((chip) => chip.title)")
        return [title.split(": ", 1)[1] for title in titles]

    def curve(self) -> str:
        """The easing that the curve editor draws."""
        return self.page.locator("#curve-editor svg").get_attribute("aria-label").split(": ", 1)[1]

    def cost(self) -> str:
        return self.page.inner_text("#inbetween-cost")

    def costs(self, text: str) -> None:
        """Wait until the cost line contains this."""
        self.page.locator("#inbetween-cost", has_text=text).wait_for()

    def run(self) -> None:
        """Press Run as soon as it can be pressed."""
        self.page.click("#inbetween-run")

    def finished(self, state: str = "finished") -> None:
        """Wait for a result in this state, and until Run can be pressed again."""
        self.page.locator("#inbetween-facts", has_text=state).wait_for()
        self.enabled("#inbetween-run")

    def open(self, accordion: str) -> None:
        """Unfold an accordion."""
        self.page.locator(f"#{accordion} button.label-wrap").click()
