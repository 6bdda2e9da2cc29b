"""Colour and rate on the way to and from the codecs: RGB <-> YUV with the right matrix and range, exact frame rates."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from genkey_core.checks import number

MIN_FPS, MAX_FPS = 1, 60

# swscale's flags by number, for PyAV names them only from version 18 on. ACCURATE_RND and full chroma in and out keep
# a flat patch within one level both ways; the defaults are off by up to four.
_EXACT = 0x40000 | 0x2000 | 0x4000
_TO_YUV = _EXACT | 0x20  # chroma averaged over its area
_TO_RGB = _EXACT | 0x2  # chroma interpolated linearly

# Matrices by their numbers in ITU-T H.273 (what a frame says) and in swscale (what it wants).
_BT709, _BT601 = 1, 5
_MATRICES = {1: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: 9, 10: 9}


def frame_rate(fps: float | Fraction) -> Fraction:
    """`fps` as the rational number a file stores: 23.976 -> 24000/1001, 29.97 -> 30000/1001, 22.131 -> 22131/1000.

    Raises InputError where it is not a number between 1 and 60.
    """
    value = number(float(fps) if isinstance(fps, Fraction) else fps, "fps", low=MIN_FPS, high=MAX_FPS)
    if isinstance(fps, Fraction):
        return fps.limit_denominator(1001)
    broadcast = Fraction(round(value * 1.001) * 1000, 1001)
    if value != round(value) and abs(value - broadcast) < 5e-4:
        return broadcast
    return Fraction(value).limit_denominator(1000)


def to_yuv420(image: np.ndarray, scaler: VideoReformatter) -> av.VideoFrame:
    """uint8 [H W 3] with even sides -> a frame in 4:2:0, BT.709, limited range.

    `scaler` is kept from frame to frame by the caller, one per thread: setting one up costs as much as a frame.
    """
    return scaler.reformat(
        av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"),
        format="yuv420p",
        dst_colorspace=_BT709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=_TO_YUV,
        threads=1,
    )


def to_rgb(frame: av.VideoFrame, size: tuple[int, int], scaler: VideoReformatter) -> np.ndarray:
    """A decoded frame of any pixel format -> uint8 [H W 3] at `size` (W, H), by a `scaler` as above.

    A frame that does not say its matrix is read as BT.709 from 720 lines or 1280 columns up and as BT.601 below, as
    players do. High dynamic range is converted by its matrix alone, without tone mapping.
    """
    guess = _BT709 if frame.height >= 720 or frame.width >= 1280 else _BT601
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    converted = scaler.reformat(
        frame,
        *size,
        format="rgb24",
        src_colorspace=_MATRICES.get(int(frame.colorspace), guess),
        dst_colorspace=_BT709,
        src_color_range=ColorRange.JPEG if full or frame.format.is_rgb else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=_TO_RGB,
        threads=1,
    )
    return converted.to_ndarray()
