"""The zoom viewer's file: all pictures inside, no way to the network, nothing a caption could break out of."""

import base64
import hashlib
import json
import re

import cv2
import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.zoom.camera import Placement, Stack, concentric
from genkey_core.zoom.viewer import (
    Link,
    links_between,
    links_of,
    magnification_text,
    picture_uri,
    viewer_html,
    viewer_script,
    viewer_stack,
)

WICKED = (
    "</script><script>alert(1)</script><!-- {{STACK}} \\u003c \u2028 & \"quotes\" 'and' <img src=x onerror=alert(1)>"
)


@pytest.fixture
def levels(rng):
    return [rng.integers(0, 255, (48, 64, 3)).astype(np.uint8) for _ in range(3)]


def stack_in(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="stack">(.*?)</script>', page, re.S)[1])


def test_the_file_holds_every_picture_and_asks_for_nothing(levels):
    page = viewer_html(levels, links_of(3, 2), ["wide", "nearer", "near"], image_format="png")
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page) == []
    assert re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=", page) == []
    shown = stack_in(page)
    for level, image in zip(shown["levels"], levels, strict=True):
        assert level["src"].startswith("data:image/png;base64,")
        packed = np.frombuffer(base64.b64decode(level["src"].split(",")[1]), np.uint8)
        np.testing.assert_array_equal(cv2.cvtColor(cv2.imdecode(packed, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), image)
        assert level["ratio"] == 0.75
    assert [level["scale"] for level in shown["levels"]] == ["1x", "2x", "4x"]
    assert [level.get("turn") for level in shown["levels"]] == [[0.5, 0], [0.5, 0], None]


def test_its_policy_allows_its_own_script_alone(levels):
    page = viewer_html(levels, links_of(3, 2))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert "default-src 'none'" in policy
    script = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "</script" not in viewer_script().lower()
    assert "<!--" not in viewer_script()


def test_captions_and_titles_stay_text(levels):
    page = viewer_html(levels, links_of(3, 2), [WICKED] * 3, title=WICKED)
    assert page.count("<script") == 2
    assert page.count("</script") == 2
    assert "<img" not in page
    assert stack_in(page)["levels"][1]["caption"] == WICKED
    assert re.search(r'id="stack">(.*?)</script>', page, re.S)[1].isascii()
    long = stack_in(viewer_html(levels, links_of(3, 2), ["x" * 10_000] * 3))
    assert len(long["levels"][0]["caption"]) == 1_000


def test_quality_and_size_are_as_asked(rng):
    image = cv2.GaussianBlur(rng.integers(0, 255, (300, 200, 3)).astype(np.uint8), (0, 0), 3)
    good, small = (len(picture_uri(image, "webp", q)) for q in (95, 30))
    assert small < 0.5 * good
    page = viewer_html([image, image], [Link(2)], image_format="jpeg", max_side=100)
    packed = np.frombuffer(base64.b64decode(stack_in(page)["levels"][0]["src"].split(",")[1]), np.uint8)
    assert cv2.imdecode(packed, cv2.IMREAD_COLOR).shape == (100, 67, 3)


def test_levels_that_lie_turned_and_beside_are_told_so():
    stack = viewer_stack(["a", "b"], [(4, 4), (4, 4)], [Link(2, turn_deg=90, dx=0.1, dy=-0.2)])
    np.testing.assert_allclose(stack["levels"][0]["turn"], [0, 0.5], atol=1e-12)
    assert stack["levels"][0]["shift"] == [0.1, -0.2]


def test_a_stack_of_own_images_is_linked_by_where_they_lie(levels):
    stack = Stack(tuple(levels[:2]), (Placement(0.5, 0.25, 1 / 64), Placement(0.6, 0.2, 1 / 128)))
    assert links_between(stack) == [Link(2.0, 0.0, pytest.approx(0.2), pytest.approx(-0.1))]
    assert links_between(concentric(levels, 4)) == links_of(3, 4)


@pytest.mark.parametrize(
    ("scale", "text"), [(1, "1x"), (1.72, "1.7x"), (2.0, "2x"), (24.4, "24x"), (1024, "1,024x"), (4**12, "1.7e+07x")]
)
def test_magnifications_read_well(scale, text):
    assert magnification_text(scale) == text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": 1, "links": 0}, "2 to 64 are needed"),
        ({"links": 1}, "3 pictures need 3 sizes, 2 links"),
        ({"captions": ["one"]}, "got 3, 2 and 1"),
        ({"link": Link(1.0)}, "level 2, zoom factor: must be between 1.01"),
        ({"link": Link(2, dx=float("nan"))}, "level 2, dx: a finite number"),
        ({"image_format": "gif"}, "one of webp, jpeg, png"),
        ({"quality": 0}, "quality: must be between 1 and 100"),
        ({"max_side": 3}, "longest side: must be between"),
    ],
)
def test_what_cannot_be_shown_is_said(levels, change, says):
    links = [change.pop("link", Link(2))] * change.pop("links", 2)
    with pytest.raises(InputError, match=re.escape(says)):
        viewer_html(levels[: change.pop("images", 3)], links, change.pop("captions", ()), **change)
