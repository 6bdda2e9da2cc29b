"""Pictures in and out: any common picture file becomes uint8 [H W 3] in sRGB, and fits a given size."""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageCms

from genkey_core.checks import InputError, choice, integer
from genkey_core.media.files import MAX_IMAGE_BYTES, atomic_output, base_name, open_local

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
MAX_PIXELS = 89_000_000  # just under the size from which Pillow itself warns of decompression bombs
MIN_SIDE, MAX_SIDE = 16, 4096  # pixels; of a picture that is read (the former) and of an output (both)

ASPECTS = {"keep": None, "16:9": 16 / 9, "1:1": 1.0, "9:16": 9 / 16}

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {  # EXIF orientation: what brings the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# On photos a third faster than OpenCV's choice, and no larger; older versions cannot set the filter.
_PNG_SETTINGS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):
    _PNG_SETTINGS += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
_PNG = b"\x89PNG\r\n\x1a\n"
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
# What Pillow's decoders raise on files that are broken or hostile.
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, AttributeError)
_BROKEN += (struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning)


def load_image(
    path: str | os.PathLike, *, background: tuple[int, int, int] = (0, 0, 0), max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Read a picture file as uint8 [H W 3].

    PNG, JPEG, WebP, BMP, TIFF and GIF (of several frames or pages the first). EXIF orientation is applied, an embedded
    colour profile is converted to sRGB (one that is broken is ignored, as viewers do), transparency is laid over
    `background`, and 16-bit grey is reduced to 8 bits. Size is judged from the header, before decoding.
    Raises InputError for everything that is not such a picture of at least 16 pixels a side and `max_pixels` in all.
    """
    colour = _colour(background)
    name = base_name(path)
    with open_local(path, max_bytes=MAX_IMAGE_BYTES) as file, _opened(file, name, max_pixels) as picture:
        orientation = _orientation(picture)
        try:
            picture.load()
            rgb = _to_rgb(picture, colour, name)
            return np.array(rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb)
        except InputError:
            raise
        except _BROKEN as error:
            raise InputError(f"{name} is damaged or cut off: its picture cannot be read to the end.") from error


def image_size(path: str | os.PathLike, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(W, H) of the picture that `load_image` would return, from the header alone; raises as it does."""
    with open_local(path, max_bytes=MAX_IMAGE_BYTES) as file, _opened(file, base_name(path), max_pixels) as picture:
        width, height = picture.size
        return (height, width) if _orientation(picture) >= 5 else (width, height)


def save_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write uint8 [H W 3] as a PNG file, which appears when it is complete."""
    encoded = encode_png(image)
    with atomic_output(path) as part:
        part.write_bytes(encoded)


def encode_png(image: np.ndarray) -> bytes:
    """uint8 [H W 3] as the bytes of a PNG file; releases the interpreter lock, so threads encode side by side."""
    check_image(image)
    ok, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _PNG_SETTINGS)
    if not ok:
        raise OSError("the PNG encoder failed")
    return encoded.tobytes()


def fit_image(
    image: np.ndarray,
    size: tuple[int, int],
    *,
    mode: Literal["letterbox", "crop"] = "letterbox",
    background: tuple[int, int, int] = (0, 0, 0),
) -> np.ndarray:
    """Bring uint8 [H W 3] to `size` (W, H), centred, without distortion -> uint8 [H W 3].

    `letterbox` shows the whole picture with bars of `background` (bars of one pixel are not drawn: the picture is
    stretched over them); `crop` fills the frame and loses what sticks out. A picture of that size comes back
    bit-equal, one that is a single pixel short on a side keeps its pixels and has its edge repeated.
    Resampling is Lanczos with a window that widens when shrinking, on the gamma-coded values.
    """
    check_image(image)
    width, height = (integer(side, "size", low=1) for side in size)
    choice(mode, "mode", ("letterbox", "crop"))
    colour = _colour(background)
    h, w = image.shape[:2]
    if 0 <= width - w <= 1 and 0 <= height - h <= 1:
        return np.pad(image, ((0, height - h), (0, width - w), (0, 0)), mode="edge")
    picture = Image.fromarray(image)
    if mode == "crop":
        scale = max(width / w, height / h)
        left, top = (w - width / scale) / 2, (h - height / scale) / 2
        box = (max(left, 0.0), max(top, 0.0), min(w - left, w), min(h - top, h))
        return np.array(picture.resize((width, height), Image.Resampling.LANCZOS, box=box))
    scale = min(width / w, height / h)
    inner_w, inner_h = max(1, round(w * scale)), max(1, round(h * scale))
    inner_w = width if width - inner_w <= 2 else inner_w
    inner_h = height if height - inner_h <= 2 else inner_h
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = colour
    top, left = (height - inner_h) // 2, (width - inner_w) // 2
    inner = image if (inner_w, inner_h) == (w, h) else picture.resize((inner_w, inner_h), Image.Resampling.LANCZOS)
    canvas[top : top + inner_h, left : left + inner_w] = inner
    return canvas


def output_size(
    first_size: tuple[int, int],
    aspect: Literal["keep", "16:9", "1:1", "9:16"] = "keep",
    *,
    max_side: int = 1920,
) -> tuple[int, int]:
    """The (W, H) of a video made from pictures of which the first is `first_size` (W, H) pixels.

    Both sides are even and in [16, 4096]; the longer is at most `max_side`, and nothing is enlarged past that picture's
    number of pixels. "keep" holds its shape, an odd side becoming the next even one; the other choices cover about as
    many pixels as the picture has (1920x1080 as 9:16 is 1080x1920).
    """
    width, height = (integer(side, "first_size", low=1) for side in first_size)
    limit = integer(max_side, "max_side", low=MIN_SIDE, high=MAX_SIDE) // 2 * 2
    ratio = ASPECTS[choice(aspect, "aspect", ASPECTS)]
    if ratio is None:
        wanted_w, wanted_h = float(width), float(height)
    else:
        wanted_w = (width * height * ratio) ** 0.5
        wanted_h = wanted_w / ratio
    if max(wanted_w, wanted_h) <= limit:
        return _even(wanted_w, limit), _even(wanted_h, limit)
    scale = limit / max(wanted_w, wanted_h)
    return _even(wanted_w * scale, limit), _even(wanted_h * scale, limit)


def check_image(image: object) -> None:
    """Raises InputError where `image` is not uint8 [H W 3]."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"image: uint8 [H W 3] is needed, got {got}.")
    if 0 in image.shape:
        raise InputError(f"image: at least one pixel is needed, got {list(image.shape)}.")


def _even(side: float, limit: int) -> int:
    """The nearest even number, an odd whole number going up, in [MIN_SIDE, limit]."""
    return min(max(int((side + 1) // 2 * 2), MIN_SIDE), limit)


def _colour(background: tuple[int, int, int]) -> tuple[int, int, int]:
    if len(background) != 3:
        raise InputError(f"background: three numbers, red, green and blue, are needed, got {len(background)}.")
    red, green, blue = (integer(value, "background", low=0, high=255) for value in background)
    return red, green, blue


def _opened(file: io.BufferedReader, name: str, max_pixels: int) -> Image.Image:
    """The picture's header, checked; nothing is decoded yet."""
    is_png = file.read(8) == _PNG
    file.seek(0)
    try:
        picture = Image.open(_png_without_texts(file) if is_png else file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{name} is too large: at most {max_pixels / 1e6:.0f} million pixels.") from error
    except _BROKEN as error:
        file.seek(0)
        raise InputError(f"{name} {_what_it_is(file.read(64))}") from error
    width, height = picture.size
    if width * height > max_pixels:
        raise InputError(f"{name} is too large: at most {max_pixels / 1e6:.0f} million pixels, got {width}x{height}.")
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{name} is too small: at least {MIN_SIDE} pixels a side, got {width}x{height}.")
    return picture


def _png_without_texts(file: io.BufferedReader) -> io.BytesIO:
    """The same PNG without its texts: editors store megabytes there, at which Pillow refuses the picture."""
    kept = [file.read(8)]
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        body = file.read(length + 4)
        if kind not in (b"tEXt", b"zTXt", b"iTXt") or body.startswith(b"Raw profile type exif"):
            kept += [head, body]
    return io.BytesIO(b"".join([*kept, head]))


def _what_it_is(head: bytes) -> str:
    known = "PNG, JPEG, WebP, BMP, TIFF or GIF"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif"):
        return f"is a HEIC or AVIF photo: save it as {known} first."
    if head[4:8] in (b"ftyp", b"moov", b"mdat") or head[:4] == b"\x1aE\xdf\xa3" or head[8:12] == b"AVI ":
        return f"is a video: a picture ({known}) is needed."
    if head.startswith(_MAGIC) or head[8:12] == b"WEBP":
        return "is damaged or cut off: its header cannot be read."
    return f"is not a picture: {known} is needed."


def _orientation(picture: Image.Image) -> int:
    try:
        value = picture.getexif().get(_EXIF_ORIENTATION, 1)
    except _BROKEN:  # an unreadable EXIF block says nothing about orientation
        return 1
    return value if value in _UPRIGHT else 1


def _to_rgb(picture: Image.Image, background: tuple[int, int, int], name: str) -> Image.Image:
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG"):
        picture = _eight_bit_grey(picture)
    if picture.mode in ("I", "F"):
        raise InputError(f"{name} has 32 bits per pixel and channel: save it with 8 or 16 first.")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
        colours = _to_srgb(picture.convert("RGB"), picture.info)
        below = Image.new("RGB", picture.size, background)
        below.paste(colours, mask=alpha)
        return below
    return _to_srgb(picture, picture.info).convert("RGB")


def _eight_bit_grey(picture: Image.Image) -> Image.Image:
    """16-bit grey, of which Pillow's own conversion would clip everything above 255, to 8 bits, rounded."""
    values = np.asarray(picture).astype(np.float64)
    grey = Image.fromarray(np.clip(values / 257.0 + 0.5, 0, 255).astype(np.uint8))
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    grey.info["icc_profile"] = picture.info.get("icc_profile")
    return grey


def _to_srgb(picture: Image.Image, info: dict) -> Image.Image:
    """Apply the embedded ICC profile, if there is one that is readable, fits the mode and is not sRGB already."""
    if not info.get("icc_profile") or picture.mode not in ("RGB", "CMYK", "L"):
        return picture
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(info["icc_profile"]))
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return picture
        return ImageCms.profileToProfile(picture, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, *_BROKEN):
        return picture
