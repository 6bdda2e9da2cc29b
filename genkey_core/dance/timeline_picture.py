"""The keyframe timeline of a dance as a picture: every segment with its label, its two keyframes and its time (as Fig. 7.6)."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .graph import keyframe_name
from .patterns import Label

if TYPE_CHECKING:
    from .graph import Dance
    from .planning import Plan
    from .stage import Stage

PER_ROW = 8  # segments: four bars of 4/4
_CELL_W, _GAP, _MARGIN, _HEAD, _FOOT = 216, 10, 20, 30, 22  # pixels
_INK, _PAPER, _SOFT = (34, 36, 44), (250, 249, 246), (112, 114, 124)


def label_colour(label: Label, bases: list[str]) -> tuple[int, int, int]:
    """A colour for a label: a hue for every letter of the pattern, darker with its prime."""
    hue = (0.62 + 0.381966 * bases.index(label.base)) % 1.0  # golden-ratio steps keep any number of hues apart
    red, green, blue = colorsys.hls_to_rgb(hue, 0.36 if label.mirrored else 0.5, 0.6)
    return round(255 * red), round(255 * green), round(255 * blue)


def timeline_picture(job: Plan, stage: Stage, dance: Dance) -> np.ndarray:
    """uint8 [H W 3]: the segments in order, eight a row, each with its label, its keyframes and when it begins."""
    images = stage.scene.images
    thumb_w = (_CELL_W - 2) // 2
    small = thumbnails(stage, thumb_w)
    thumb_h = small[0].shape[0]
    rows = -(-len(job.pattern) // PER_ROW)
    cell_h = _HEAD + thumb_h + _FOOT
    columns = min(PER_ROW, len(job.pattern))
    size = (2 * _MARGIN + columns * (_CELL_W + _GAP) - _GAP, 2 * _MARGIN + rows * (cell_h + _GAP) - _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    large, fine = ImageFont.load_default(20), ImageFont.load_default(13)
    bases = list(dict.fromkeys(label.base for label in job.pattern.labels))
    for i, label in enumerate(job.pattern.labels):
        x = _MARGIN + (i % PER_ROW) * (_CELL_W + _GAP)
        y = _MARGIN + (i // PER_ROW) * (cell_h + _GAP)
        colour = label_colour(label, bases)
        pen.rectangle((x, y, x + _CELL_W - 1, y + _HEAD - 1), fill=colour)
        pen.text((x + 8, y + 3), str(label), fill=(255, 255, 255), font=large)
        pen.text(
            (x + _CELL_W - 8, y + 8), f"{job.segments_s[i, 0]:.2f} s", fill=(255, 255, 255), font=fine, anchor="ra"
        )
        for side, k in enumerate(dance.pairs[label]):
            left = x + side * (_CELL_W - thumb_w)
            sheet.paste(Image.fromarray(small[k]), (left, y + _HEAD))
            beat = f"beat {2 * i + side + 1}"
            pen.text((left + 2, y + _HEAD + thumb_h + 3), beat, fill=_SOFT, font=fine)
            name = keyframe_name(k, len(images))
            pen.text((left + thumb_w - 2, y + _HEAD + thumb_h + 3), name, fill=_INK, font=fine, anchor="ra")
    return np.array(sheet)


def thumbnails(stage: Stage, width: int) -> list[np.ndarray]:
    """Every keyframe uint8 [h w 3], `width` pixels wide, cut to where the subject is in any of them."""
    images, ever = stage.scene.images, (stage.scene.masks > 0.5).any(0)
    h, w = ever.shape
    ys, xs = np.flatnonzero(ever.any(1)), np.flatnonzero(ever.any(0))
    side = 1.08 * max(ys[-1] - ys[0], xs[-1] - xs[0])
    spans = [
        (max(0, round(m - side / 2)), min(n, round(m + side / 2)))
        for m, n in (((ys[0] + ys[-1]) / 2, h), ((xs[0] + xs[-1]) / 2, w))
    ]
    (top, bottom), (left, right) = spans
    size = (width, max(1, round(width * (bottom - top) / (right - left))))
    return [cv2.resize(image[top:bottom, left:right], size, interpolation=cv2.INTER_AREA) for image in images]
