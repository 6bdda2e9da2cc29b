"""The picture of the README, docs/images/inbetween.png: the Inbetween tab after the bundled example `harbour` was run.

    python docs/make_screenshot.py

Needs what the tests need (tests/requirements.txt) and a Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import Tab, chromium  # noqa: E402
from hub_server import HubServer  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "inbetween.png"
SIZE = (1400, 1080)
MOST_BYTES = 500_000


def main() -> None:
    """Run the example in a hub of its own and photograph the page."""
    PICTURE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, HubServer(Path(folder)) as hub, chromium() as browser:
        tab = Tab(browser, hub.url, width=SIZE[0], height=SIZE[1])
        tab.page.click("#inbetween-example-harbour")
        tab.costs("111 frames")
        tab.run()
        tab.finished()
        tab.page.locator(".gk-gap").nth(0).click()
        video = "document.querySelector('#inbetween-video video')"
        tab.until(f"{video}.readyState >= 2")
        tab.page.evaluate(f"{video}.currentTime = {video}.duration * 0.4")
        tab.until(f"!{video}.seeking")
        tab.page.mouse.move(5, 5)
        tab.page.screenshot(path=PICTURE)
        tab.close()
    _shrink(PICTURE)


def _shrink(path: Path) -> None:
    """Fewer colours where the picture would be too large for a README."""
    with Image.open(path) as picture:
        image = picture.convert("RGB")
    for colours in (256, 128, 64):
        if path.stat().st_size <= MOST_BYTES:
            break
        image.quantize(colours, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e3:.0f} kB, {image.width}x{image.height}")


if __name__ == "__main__":
    main()
