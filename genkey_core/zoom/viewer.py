"""The interactive zoom: what the viewer in the page is told, and one HTML file that holds all of it and needs no network.

The viewer itself is viewer.js (where the view is, and the hand) and viewer_paint.js (drawing). Both homes share them.
"""

from __future__ import annotations

import base64
import cmath
import hashlib
import html
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from ..checks import InputError, choice, integer, number
from .camera import Stack, feather

FORMATS = ("webp", "jpeg", "png")
MAX_LEVELS = 64
MAX_CAPTION = 1_000  # characters; longer ones are cut
_HERE = Path(__file__).parent
_START = "zoomViewer(document.getElementById('zoom'), JSON.parse(document.getElementById('stack').textContent));"


@dataclass(frozen=True)
class Link:
    """How a level lies in the level before it: `ratio` times smaller, turned, its centre beside that one's centre.

    `dx` and `dy` are in half widths of the level before, to the right and down; `turn_deg` is clockwise on the screen.
    The middle 1/p of a zoom stack is `Link(p)`.
    """

    ratio: float
    turn_deg: float = 0.0
    dx: float = 0.0
    dy: float = 0.0

    def checked(self, name: str = "level") -> Link:
        """The same where it is a zoom inwards that stays inside; raises InputError."""
        number(self.ratio, f"{name}, zoom factor", low=1.01, high=1_000)
        number(self.turn_deg, f"{name}, rotation", low=-180, high=180)
        for label, value in (("dx", self.dx), ("dy", self.dy)):
            number(value, f"{name}, {label}", low=-4, high=4)
        return self


def links_of(n: int, p: float) -> list[Link]:
    """The links of a zoom stack of n levels, each the middle 1/p of the one before."""
    return [Link(p)] * (n - 1)


def links_between(stack: Stack) -> list[Link]:
    """The links of a stack whose levels lie anywhere, such as own images that were aligned; raises InputError."""
    halves = [place.pixel * level.shape[1] / 2 for level, place in zip(stack.levels, stack.placements, strict=True)]
    pairs = pairwise(zip(stack.placements, halves, strict=True))
    return [Link(a / b, 0.0, (fine.x - wide.x) / a, (fine.y - wide.y) / a) for (wide, a), (fine, b) in pairs]


def viewer_script() -> str:
    """The viewer's JavaScript: it defines `zoomViewer(host, stack)`."""
    return _text("viewer_paint.js") + _text("viewer.js")


def viewer_style() -> str:
    """The viewer's style sheet; everything in it lies below `.zv`."""
    return _text("viewer.css")


def viewer_stack(
    sources: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    links: Sequence[Link],
    captions: Sequence[str] = (),
    *,
    title: str = "Zoom",
) -> dict:
    """What `zoomViewer` is given: addresses of the pictures, the widest first, their (W, H) and how each lies in the last.

    Raises InputError where the numbers of them do not belong together.
    """
    n = len(sources)
    if not 2 <= n <= MAX_LEVELS:
        raise InputError(f"levels: 2 to {MAX_LEVELS} are needed for the viewer, got {n}.")
    if len(sizes) != n or len(links) != n - 1 or (captions and len(captions) != n):
        raise InputError(
            f"levels: {n} pictures need {n} sizes, {n - 1} links and {n} captions or none, got {len(sizes)}, "
            f"{len(links)} and {len(captions)}."
        )
    scale, levels = 1.0, []
    for i, (source, (width, height)) in enumerate(zip(sources, sizes, strict=True)):
        levels.append(
            {
                "src": source,
                "caption": (captions[i] if captions else "")[:MAX_CAPTION],
                "scale": magnification_text(scale),
                "ratio": height / width,
            }
        )
        if i < n - 1:
            link = links[i].checked(f"level {i + 2}")
            turn = cmath.rect(1 / link.ratio, math.radians(link.turn_deg))
            levels[i] |= {"turn": [turn.real, turn.imag], "shift": [link.dx, link.dy]}
            scale *= link.ratio
    narrow = max(feather(*size) for size in sizes)  # of a whole side; the viewer counts in half sides
    return {"title": title[:MAX_CAPTION], "levels": levels, "feather": 2 * narrow}


def viewer_html(
    images: Sequence[np.ndarray],
    links: Sequence[Link],
    captions: Sequence[str] = (),
    *,
    title: str = "Zoom",
    image_format: str = "webp",
    quality: int = 90,
    max_side: int = 2048,
) -> str:
    """One HTML file with the viewer and all its pictures inside; it opens from the disk, and its policy forbids it the net.

    `images` are uint8 [H W 3], the widest first; larger ones are reduced to `max_side`. `quality` is that of WebP and
    JPEG, 1 to 100. Raises InputError.
    """
    integer(max_side, "viewer, longest side", low=64, high=8192)
    sources, sizes = [], []
    for image in images:
        small = _reduced(image, max_side)
        sources.append(picture_uri(small, image_format, quality))
        sizes.append((small.shape[1], small.shape[0]))
    stack = viewer_stack(sources, sizes, links, captions, title=title)
    script = viewer_script() + _START
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "SCRIPT_HASH": f"sha256-{digest}",
        "TITLE": html.escape(stack["title"]),
        "STYLE": viewer_style(),
        "STACK": json_in_html(stack),
        "SCRIPT": script,
    }
    # One pass: what was put in is not searched for marks.
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], _text("viewer.html"))


def picture_uri(image: np.ndarray, image_format: str = "webp", quality: int = 90) -> str:
    """uint8 [H W 3] as a data: address; raises InputError."""
    choice(image_format, "viewer, picture format", FORMATS)
    quality = integer(quality, "viewer, quality", low=1, high=100)
    flags = {
        "webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
        "jpeg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        "png": [],
    }[image_format]
    suffix = ".jpg" if image_format == "jpeg" else f".{image_format}"
    done, packed = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)
    if not done:
        raise InputError(f"viewer: a picture of {image.shape[1]}x{image.shape[0]} cannot be written as {image_format}.")
    return f"data:image/{image_format};base64," + base64.b64encode(packed).decode()


def json_in_html(value: object) -> str:
    """JSON that can stand in a script element: nothing in it ends the element or begins a comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def magnification_text(scale: float) -> str:
    """How far in, for people: "1x", "1.7x", "1,024x", "4.3e+09x"."""
    if scale >= 1e6:
        return f"{scale:.2g}x"
    return f"{scale:,.0f}x" if scale >= 9.95 or abs(scale - round(scale)) < 0.005 else f"{scale:.1f}x"


def _reduced(image: np.ndarray, max_side: int) -> np.ndarray:
    height, width = image.shape[:2]
    k = max_side / max(height, width)
    if k >= 1:
        return image
    return cv2.resize(image, (max(1, round(width * k)), max(1, round(height * k))), interpolation=cv2.INTER_AREA)


@cache
def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
