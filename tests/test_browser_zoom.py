"""The zoom viewer and the Powers of ten tab in a real headless Chromium."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import PATIENCE_S, chromium

from genkey_core.zoom.viewer import Link, links_of, viewer_html

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

SIDE = 256
BAR = 52  # pixels below the picture in the exported file
# Counts what the viewer asks for: frames that are still to come, and per frame pictures that are placed, or taken anew.
COUNTS = """
window.gkFrames = [];
window.gkToCome = 0;
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (tick) => {
  if (tick.name !== "tick") return ask(tick);
  window.gkToCome++;
  return ask((now) => {
    window.gkToCome--;
    window.gkFrames.push({ placed: 0, taken: 0 });
    tick(now);
  });
};
const noting = (made, name, what) => {
  const does = made.prototype[name];
  made.prototype[name] = function (...given) {
    if (window.gkFrames.length) window.gkFrames[window.gkFrames.length - 1][what]++;
    return does.apply(this, given);
  };
};
noting(CanvasRenderingContext2D, "drawImage", "placed");
noting(WebGL2RenderingContext, "drawArrays", "placed");
noting(WebGL2RenderingContext, "texImage2D", "taken");
"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


def picture(side: int = 2048) -> np.ndarray:
    """A scene with detail of every size, finest in the middle."""
    rng, image = np.random.default_rng(2), np.zeros((side, side, 3), np.float32)
    for k in range(1, 8):
        layer = cv2.resize(rng.random((2**k, 2**k, 3)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        image += layer / k
    return cv2.normalize(image, None, 10, 245, cv2.NORM_MINMAX).astype(np.uint8)


def stack(n: int = 4, p: int = 2) -> list[np.ndarray]:
    """The middle of that scene, p times closer at each level."""
    scene, levels = picture(), []
    for i in range(n):
        half = round(1024 / p**i)
        levels.append(
            cv2.resize(
                scene[1024 - half : 1024 + half, 1024 - half : 1024 + half], (SIDE, SIDE), interpolation=cv2.INTER_AREA
            )
        )
    return levels


class Viewer:
    """An exported file, opened from the disk in a browser that is off the net."""

    def __init__(self, browser, folder: Path, page: str, *, painter: str = "", **options):
        file = folder / "zoom.html"
        file.write_text(
            page.replace('{"title"', f'{{"painter":"{painter}","title"', 1) if painter else page, encoding="utf-8"
        )
        self.context = browser.new_context(viewport={"width": 400, "height": 400 + BAR}, offline=True, **options)
        self.context.add_init_script(COUNTS)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_S * 1000)
        self.complaints, self.asked = [], []
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())
        self.page.locator(f"#zoom[data-loaded='{page.count('data:image/')}']").wait_for()
        self.canvas = self.page.locator("canvas")

    @property
    def depth(self) -> float:
        return float(self.page.locator("#zoom").get_attribute("data-depth"))

    @property
    def level(self) -> int:
        return int(self.page.locator("#zoom").get_attribute("data-level"))

    def settled(self, depth: float) -> None:
        """Wait until the view is this deep, and the viewer asks for no further frame: it is drawn and at rest."""
        self.page.wait_for_function(
            "(depth) => window.gkToCome === 0 && Math.abs(document.querySelector('#zoom').dataset.depth - depth) < 1e-3",
            arg=depth,
        )

    def press(self, *keys: str) -> None:
        self.canvas.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def seen(self) -> np.ndarray:
        """What the canvas shows, float [H W 3], without the caption and the focus ring."""
        packed = np.frombuffer(self.canvas.screenshot(), np.uint8)
        image = cv2.cvtColor(cv2.imdecode(packed, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        return image[8 : round(0.75 * image.shape[0]), 8:-8].astype(float)

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []
        assert {url.split(":", 1)[0] for url in self.asked} <= {"file", "data"}


@pytest.fixture
def opened(browser, tmp_path):
    """Opens exported files; at the end none may have complained, or asked for anything but itself."""
    viewers = []

    def opens(page: str, **options) -> Viewer:
        viewers.append(Viewer(browser, tmp_path, page, **options))
        return viewers[-1]

    yield opens
    for viewer in viewers:
        viewer.close()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a - b) ** 2), 1e-6)))


def truth(viewer: Viewer, depth: float, u: float = 0.0, v: float = 0.0) -> np.ndarray:
    """What the scene looks like at this depth, (u, v) half widths off the middle."""
    box = viewer.canvas.bounding_box()
    w, h = round(box["width"]), round(box["height"])
    k = 4 * 2048 / w / 2**depth  # scene pixels per pixel of a drawing four times as fine
    x, y = np.arange(4 * w) + 0.5, np.arange(4 * h) + 0.5
    at_x = (1024 + k / 4 * (x - 2 * w) / 4 + 1024 / 2**depth * u - 0.5).astype(np.float32)
    at_y = (1024 + k / 4 * (y - 2 * h) / 4 + 1024 / 2**depth * v - 0.5).astype(np.float32)
    fine = cv2.remap(picture(), *np.meshgrid(at_x, at_y), cv2.INTER_LINEAR)
    return cv2.resize(fine, (w, h), interpolation=cv2.INTER_AREA)[8 : round(0.75 * h), 8:-8].astype(float)


@pytest.mark.parametrize("painter", ["webgl", "canvas"])
def test_what_is_seen_is_the_scene_at_every_depth_without_a_seam(opened, painter):
    viewer = opened(viewer_html(stack(), links_of(4, 2), image_format="png"), painter=painter)
    assert viewer.page.locator("#zoom").get_attribute("data-painter") == painter
    for depth in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0):
        viewer.settled(depth)
        assert psnr(viewer.seen(), truth(viewer, depth)) > 38, depth
        viewer.press("+")


def test_the_wheel_zooms_to_the_deepest_level_and_the_point_under_it_stays(opened):
    viewer = opened(viewer_html(stack(), links_of(4, 2), ["all", "half", "quarter", "eighth"]))
    viewer.settled(0)
    box, first = viewer.canvas.bounding_box(), viewer.seen()
    viewer.page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    viewer.page.mouse.wheel(0, -100)
    viewer.settled(0.4)
    k = 2**0.4
    u = 0.2 * k - 0.2  # what was at 0.2 half widths from the middle is still there
    assert psnr(viewer.seen(), truth(viewer, 0.4, u)) > 34
    assert psnr(viewer.seen(), truth(viewer, 0.4)) < 30
    assert psnr(viewer.seen(), first) < 25
    for _ in range(20):
        viewer.page.mouse.wheel(0, -240)
    viewer.settled(4.0)
    assert viewer.level == 4
    assert viewer.page.locator(".zv-caption").inner_text().split() == ["8x", "eighth"]
    for _ in range(20):
        viewer.page.mouse.wheel(0, 240)
    viewer.settled(0.0)
    assert psnr(viewer.seen(), first) > 45


def test_keys_double_click_drag_and_the_slider(opened):
    viewer = opened(viewer_html(stack(), links_of(4, 2)))
    viewer.press("End")
    viewer.settled(3)
    viewer.press("PageUp")
    viewer.settled(2)
    viewer.press("ArrowRight")
    viewer.settled(2)
    assert psnr(viewer.seen(), truth(viewer, 2, 0.15)) > 34
    viewer.press("Home")
    viewer.settled(0)
    viewer.canvas.dblclick()
    viewer.settled(1)
    viewer.canvas.dblclick(modifiers=["Shift"])
    viewer.settled(0)
    viewer.page.locator(".zv-ticks button").nth(2).click()
    viewer.settled(2)
    assert viewer.page.locator("input[type=range]").get_attribute("aria-valuetext").startswith("level 3 of 4, 4x")
    box = viewer.canvas.bounding_box()
    viewer.page.mouse.move(box["x"] + 200, box["y"] + 150)
    viewer.page.mouse.down()
    viewer.page.mouse.move(box["x"] + 160, box["y"] + 150, steps=4)
    viewer.page.wait_for_timeout(400)  # held still before it is let go: it does not glide on
    viewer.page.mouse.up()
    viewer.settled(2)
    assert psnr(viewer.seen(), truth(viewer, 2, 40 / (box["width"] / 2))) > 33
    viewer.page.locator("input[type=range]").press("End")
    viewer.settled(4)


def test_two_fingers_pinch(opened):
    viewer = opened(viewer_html(stack(), links_of(4, 2)), has_touch=True)
    box, touch = viewer.canvas.bounding_box(), viewer.context.new_cdp_session(viewer.page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def fingers(kind: str, apart: float) -> None:
        points = [] if kind == "touchEnd" else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 30)
    for apart in (40, 60, 90, 120):
        fingers("touchMove", apart)
    fingers("touchEnd", 0)
    viewer.settled(2)
    assert psnr(viewer.seen(), truth(viewer, 2)) > 34


def test_who_wants_no_motion_is_there_at_once(opened):
    viewer = opened(viewer_html(stack(), links_of(4, 2)), reduced_motion="reduce")
    viewer.page.evaluate(
        """() => {
            const seen = window.seen = [], zoom = document.querySelector('#zoom');
            new MutationObserver(() => seen.push(zoom.dataset.depth)).observe(zoom, {attributeFilter: ['data-depth']});
        }"""
    )
    viewer.press("End")
    viewer.settled(3)
    assert set(viewer.page.evaluate("window.seen")) == {"3.0000"}


def test_a_stack_that_turns_and_wanders_ends_at_its_last_picture(opened):
    """Level 1 lies turned by 30 degrees beside the middle of level 0: at its depth it fills the view upright."""
    scene = picture()
    turn = cv2.getRotationMatrix2D((1023.5, 1023.5), 30, 2)
    turn[:, 2] -= 200 * turn[:, :2] @ [1, -0.5]
    inner = cv2.resize(
        cv2.warpAffine(scene, turn, (2048, 2048), flags=cv2.INTER_CUBIC), (SIDE, SIDE), interpolation=cv2.INTER_AREA
    )
    whole = cv2.resize(scene, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    link = Link(2, turn_deg=30, dx=200 / 1024, dy=-100 / 1024)
    viewer = opened(viewer_html([whole, inner], [link], image_format="png"))
    viewer.press("End")
    viewer.settled(1)
    near = viewer.seen()
    viewer.press("Home")
    viewer.settled(0)
    box = viewer.canvas.bounding_box()
    full = cv2.resize(inner, (round(box["width"]), round(box["height"])), interpolation=cv2.INTER_LINEAR)
    assert psnr(near, full[8 : round(0.75 * len(full)), 8:-8].astype(float)) > 38
    assert psnr(viewer.seen(), truth(viewer, 0)) > 34  # the turned picture lies where it belongs, so nothing shows


def test_captions_are_text_and_sixteen_levels_are_light_work(opened):
    wicked = "<img src=x onerror=alert(1)></p><script>document.title='broken'</script>"
    levels = [cv2.resize(level, (1024, 1024), interpolation=cv2.INTER_CUBIC) for level in stack(4)] * 4
    viewer = opened(viewer_html(levels, links_of(16, 4), [wicked] * 16, title="Sixteen"))
    assert viewer.page.title() == "Sixteen"
    assert viewer.page.locator(".zv-caption span").inner_text() == wicked
    viewer.press("End")
    viewer.settled(30)
    assert viewer.level == 16
    viewer.press("Home")
    viewer.settled(0)
    viewer.page.evaluate("window.gkFrames.length = 0")
    viewer.page.locator(".zv-bar button").first.click()
    viewer.page.wait_for_function("() => window.gkFrames.length > 40")
    frames = viewer.page.evaluate("window.gkFrames")
    assert all(frame["taken"] == 0 for frame in frames)  # every picture was taken once, when it had come
    assert 1 <= max(frame["placed"] for frame in frames) <= 3  # what is hidden or still too small is left out
