"""Pixels of every layout, depth, matrix and range come out as the right colours."""

from fractions import Fraction

import av
import numpy as np
import pytest
from media_samples import (
    BLUE,
    GREEN,
    GREY,
    RED,
    plain,
    quadrants,
    write_video,
)

from genkey_core.media import probe, read_frames


def encoder(name):
    if name not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no encoder {name}")
    return name


@pytest.mark.parametrize("size", [(65, 47), (64, 47), (65, 48), (17, 31)])
def test_odd_sizes(size, tmp_path):
    codec = encoder("libvpx-vp9")
    path = write_video(tmp_path / "a.webm", [quadrants(*size)] * 3, codec=codec, colorspace=5, color_range=1)
    assert (probe(path).width, probe(path).height) == size
    image = next(read_frames(path)).image
    assert image.shape == (size[1], size[0], 3)
    assert np.abs(image[-3:, -3:].astype(int) - GREY).max() < 30


@pytest.mark.parametrize("codec", ["libx265", "libx264"])
def test_ten_bit_input(codec, tmp_path):
    path = tmp_path / "a.mp4"
    frames = [ten_bit(colour) for colour in (RED, GREEN, BLUE)]
    write_video(path, frames, codec=encoder(codec), pixel_format="yuv420p10le", colorspace=1, color_range=1)
    assert probe(path).pixel_format == "yuv420p10le"
    assert probe(path).codec == {"libx265": "hevc", "libx264": "h264"}[codec]
    for frame, colour in zip(read_frames(path), (RED, GREEN, BLUE), strict=True):
        assert np.abs(frame.image.astype(int) - colour).max() <= 4


MATRICES = {"bt601": (6, 0.299, 0.114), "bt709": (1, 0.2126, 0.0722), "bt2020": (9, 0.2627, 0.0593)}


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("depth", [8, 10])
def test_matrix_and_range_are_those_the_file_names(matrix, full, depth, tmp_path):
    """Frames are made from the standards' equations, not by the library that reads them."""
    number, k_red, k_blue = MATRICES[matrix]
    frames = [
        yuv_frame(c, k_red, k_blue, full=full, depth=depth)
        for c in (RED, GREEN, BLUE, GREY, (255, 255, 255), (0, 0, 0))
    ]
    path = write_video(
        tmp_path / "a.mkv",
        frames,
        codec="ffv1",
        pixel_format="yuv420p" if depth == 8 else "yuv420p10le",
        colorspace=number,
        color_range=2 if full else 1,
    )
    for frame, colour in zip(read_frames(path), (RED, GREEN, BLUE, GREY, (255, 255, 255), (0, 0, 0)), strict=True):
        assert np.abs(frame.image.astype(int) - colour).max() <= 2


@pytest.mark.parametrize(("size", "matrix"), [((64, 48), "bt601"), ((1280, 720), "bt709")])
def test_without_a_tag_small_is_601_and_large_is_709(size, matrix, tmp_path):
    _, k_red, k_blue = MATRICES[matrix]
    frames = [yuv_frame(RED, k_red, k_blue, full=False, depth=8, size=size)]
    path = write_video(tmp_path / "a.mkv", frames, codec="ffv1", colorspace=2, color_range=0)
    assert np.abs(next(read_frames(path)).image.astype(int) - RED).max() <= 2


def test_wide_pixels_widen_the_picture(tmp_path):
    path = write_video(tmp_path / "a.mp4", [quadrants(72, 48)] * 3, sample_aspect_ratio=Fraction(4, 3))
    assert (probe(path).width, probe(path).height) == (96, 48)
    assert next(read_frames(path)).image.shape == (48, 96, 3)


def test_an_animated_gif_is_a_video(tmp_path):
    path = write_video(
        tmp_path / "a.gif", [plain(64, 48, c) for c in (RED, GREEN)] * 3, codec="gif", pixel_format="rgb8", fps=10
    )
    frames = list(read_frames(path))
    assert len(frames) == 6
    assert probe(path).fps == pytest.approx(10, rel=0.01)
    assert np.abs(frames[0].image.mean(axis=(0, 1)) - RED).max() < 10


def yuv_frame(colour, k_red, k_blue, *, full, depth, size=(64, 48)):
    """One colour as a 4:2:0 frame, by the equations of ITU-R BT.601, 709 and 2020."""
    red, green, blue = (c / 255 for c in colour)
    luma = k_red * red + (1 - k_red - k_blue) * green + k_blue * blue
    chroma = ((blue - luma) / (2 - 2 * k_blue), (red - luma) / (2 - 2 * k_red))
    unit = 2 ** (depth - 8)
    top = 2**depth - 1
    y = luma * top if full else (16 + 219 * luma) * unit
    u, v = (128 * unit + c * (top if full else 224 * unit) for c in chroma)
    width, height = size
    planes = [np.full((height, width), round(y))] + [np.full((height // 2, width // 2), round(c)) for c in (u, v)]
    frame = av.VideoFrame(width, height, "yuv420p" if depth == 8 else "yuv420p10le")
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.ascontiguousarray(values.astype(np.uint8 if depth == 8 else "<u2")).view(np.uint8)
        padded = np.zeros((plane.height, plane.line_size), np.uint8)
        padded[:, : rows.shape[1]] = rows
        plane.update(padded.tobytes())
    frame.color_range = 2 if full else 1
    return frame


def ten_bit(colour):
    return yuv_frame(colour, 0.2126, 0.0722, full=False, depth=10)
