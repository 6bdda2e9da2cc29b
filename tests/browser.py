"""A headless Chromium and one visitor's page in it, for the tests and the screenshot of the README."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
PATIENCE_S = 90  # for anything that waits for the server; machines that test are busy


@contextmanager
def chromium() -> Iterator:
    """A running Chromium: this machine's own, else Playwright's; without one the test is skipped, in CI it fails."""
    from playwright.sync_api import Error, sync_playwright

    own = next((path for path in map(shutil.which, NAMES) if path), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=own, args=FLAGS)
        except Error as error:
            reason = f"no Chromium can be started here ({str(error).splitlines()[0]}); see tests/get_tools.sh"
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        try:
            yield browser
        finally:
            browser.close()


class Held:
    """Calls to the server that are kept back."""

    def __init__(self, page, word: str):
        self.page, self.word, self.routes = page, word, []

    def take(self, route) -> None:
        """Keep a call back where it contains the word."""
        if self.word in (route.request.post_data or ""):
            self.routes.append(route)
        else:
            route.continue_()

    def wait(self) -> None:
        """Wait until there is a call to keep back."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.routes and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        assert self.routes, f"no call with '{self.word}' was made"

    def release(self) -> None:
        for route in self.routes:
            route.continue_()


class Tab:
    """One visitor with the Inbetween tab open; remembers what the page complained of and where it asked for anything."""

    def __init__(self, browser, url: str, *, width: int = 1400, height: int = 1000, **options):
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True, **options
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_S * 1000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(error.stack or str(error)))
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)
        self.page.locator("#keyframe-strip .gk-empty").wait_for()

    def close(self) -> None:
        self.context.close()

    def upload(self, *paths: Path) -> None:
        """Drop files on the tab."""
        self.page.set_input_files("#inbetween-uploads input[type=file]", [str(p) for p in paths])

    def add(self, *paths: Path) -> None:
        """Drop images and wait until they stand in the strip."""
        wanted = len(self.names()) + len(paths)
        self.upload(*paths)
        self.until(f"document.querySelectorAll('.gk-key').length === {wanted}")

    @contextmanager
    def held(self, word: str) -> Iterator[Held]:
        """Keep back the page's calls that contain this word until the end of the block."""
        held = Held(self.page, word)
        self.page.route("**/queue/join*", held.take)
        yield held
        held.release()
        self.page.unroute("**/queue/join*", held.take)

    def set(self, field: str, value: object) -> None:
        """Type a number into the field with this element id."""
        self.page.fill(f"#{field} input", str(value))

    def number(self, field: str) -> float:
        return float(self.page.input_value(f"#{field} input"))

    def easing(self, name: str) -> None:
        """Choose an easing from the list."""
        self.page.click("#gap-easing input")
        self.page.get_by_role("option", name=name, exact=True).click()

    def choose(self, field: str, name: str) -> None:
        """Choose one of the radio buttons of a field."""
        self.page.locator(f"#{field}").get_by_label(name, exact=True).check()

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
        self.until("!document.querySelector('#inbetween-run').disabled")

    def says(self, text: str) -> None:
        """Wait for a message with this text."""
        self.page.get_by_test_id("toast-body").filter(has_text=text).first.wait_for()

    def open(self, accordion: str) -> None:
        """Unfold an accordion."""
        self.page.locator(f"#{accordion} button.label-wrap").click()

    def until(self, condition: str) -> None:
        """Wait until a JavaScript condition holds."""
        self.page.wait_for_function(condition)

    def steady(self, selector: str) -> dict[str, float]:
        """The box of the first such element, once nothing above it has moved it for half a second."""
        place, deadline, boxes = self.page.locator(selector).first, time.monotonic() + PATIENCE_S, []
        place.scroll_into_view_if_needed()
        while time.monotonic() < deadline:
            boxes = [*boxes[-4:], place.bounding_box()]
            if len(boxes) == 5 and all(box == boxes[0] for box in boxes):
                return boxes[0]
            self.page.wait_for_timeout(125)
        raise AssertionError(f"{selector} does not come to rest: {boxes}")
