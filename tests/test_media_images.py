"""Pictures of every kind become uint8 [H W 3], everything else becomes a sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_samples import BLUE, GREEN, RED, plain, quadrant_colours, quadrants, write_video
from PIL import Image, ImageCms

from genkey_core import InputError
from genkey_core.media import encode_png, image_size, load_image, save_image

PICTURE = quadrants(80, 64)


def saved(path, image, **options):
    Image.fromarray(image).save(path, **options) if isinstance(image, np.ndarray) else image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.gif"])
def test_lossless_formats_come_back_bit_equal(name, tmp_path):
    assert np.array_equal(load_image(saved(tmp_path / name, PICTURE)), PICTURE)


def test_lossless_webp_comes_back_bit_equal(tmp_path):
    assert np.array_equal(load_image(saved(tmp_path / "a.webp", PICTURE, lossless=True)), PICTURE)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_is_near(options, tmp_path):
    found = load_image(saved(tmp_path / "a.jpg", PICTURE, quality=95, **options))
    for key, colour in quadrant_colours(PICTURE).items():
        assert np.abs(quadrant_colours(found)[key] - colour).max() < 4


def test_the_name_does_not_matter_but_the_content(tmp_path):
    saved(tmp_path / "a.png", PICTURE)
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert np.array_equal(load_image(tmp_path / "a.jpg"), PICTURE)


@pytest.mark.parametrize("name", ["a.gif", "a.tiff", "a.webp", "a.png"])
def test_of_several_frames_the_first(name, tmp_path):
    frames = [Image.fromarray(plain(48, 32, colour)) for colour in (RED, GREEN, BLUE)]
    options = {"lossless": True} if name == "a.webp" else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    assert np.array_equal(load_image(tmp_path / name), plain(48, 32, RED))


def test_a_phone_jpeg_of_several_pictures_shows_the_first(tmp_path):
    frames = [Image.fromarray(plain(48, 32, colour)) for colour in (RED, GREEN)]
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:], quality=95)
    assert np.abs(load_image(tmp_path / "a.jpg").astype(int) - RED).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_exif_orientation_is_applied(orientation, name, tmp_path):
    """A picture is stored turned, as a camera does, with the tag that says how; it must come back upright."""
    stored = {
        1: PICTURE,
        2: PICTURE[:, ::-1],
        3: PICTURE[::-1, ::-1],
        4: PICTURE[::-1],
        5: PICTURE.transpose(1, 0, 2),
        6: np.rot90(PICTURE, 1),  # the camera was turned: shown after a quarter turn clockwise
        7: PICTURE[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(PICTURE, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    saved(tmp_path / name, np.ascontiguousarray(stored), exif=exif, quality=95)
    found = load_image(tmp_path / name)
    assert found.shape == PICTURE.shape
    assert image_size(tmp_path / name) == (80, 64)
    for key, colour in quadrant_colours(PICTURE).items():
        assert np.abs(quadrant_colours(found)[key] - colour).max() < 6


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_impossible_orientation_is_no_orientation(value, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = value
    assert np.array_equal(load_image(saved(tmp_path / "a.png", PICTURE, exif=exif)), PICTURE)


def test_alpha_lies_over_the_background(tmp_path):
    rgba = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    rgba[:, :40, 3] = 0
    rgba[:, 40:60, 3] = 51  # a fifth
    path = saved(tmp_path / "a.png", rgba)
    found = load_image(path, background=(10, 20, 250))
    assert (found[:, :40] == (10, 20, 250)).all()
    assert np.array_equal(found[:, 60:], PICTURE[:, 60:])
    mixed = 0.2 * PICTURE[:, 40:60] + 0.8 * np.array((10, 20, 250))
    assert np.abs(found[:, 40:60] - mixed).max() <= 1
    assert (load_image(path)[:, :40] == 0).all()


def test_every_pixel_layout_is_read(tmp_path):
    grey = np.tile(np.arange(64, dtype=np.uint8) * 4, (32, 1))
    rgb_of_grey = np.dstack([grey] * 3)
    half_clear = np.where(np.arange(64) < 32, 0, 255).astype(np.uint8) * np.ones((32, 1), np.uint8)
    over_white = np.where(half_clear[..., None] == 0, 255, rgb_of_grey)
    palette = Image.fromarray(PICTURE).quantize(8)
    cases = {
        "grey": (Image.fromarray(grey), {}, rgb_of_grey),
        "grey_alpha": (Image.merge("LA", [Image.fromarray(grey), Image.fromarray(half_clear)]), {}, over_white),
        "grey_16": (Image.fromarray(grey.astype(np.uint16) * 257), {}, rgb_of_grey),
        "one_bit": (Image.fromarray(grey > 100), {}, np.where(rgb_of_grey > 100, 255, 0)),
        "palette": (palette, {}, PICTURE),
        "palette_clear": (palette, {"transparency": palette.getpixel((0, 0))}, None),
        "grey_clear": (Image.fromarray(grey), {"transparency": 40}, np.where(rgb_of_grey == 40, 255, rgb_of_grey)),
    }
    for name, (image, options, wanted) in cases.items():
        found = load_image(saved(tmp_path / f"{name}.png", image, **options), background=(255, 255, 255))
        if name == "palette_clear":
            wanted = np.where((PICTURE == RED).all(axis=2, keepdims=True), 255, PICTURE)
        assert found.dtype == np.uint8, name
        assert np.array_equal(found, wanted), name


@pytest.mark.parametrize("name", ["a.jpg", "a.tiff"])
def test_cmyk_is_read(name, tmp_path):
    found = load_image(saved(tmp_path / name, Image.fromarray(plain(64, 48, RED)).convert("CMYK")))
    assert np.abs(found.astype(int) - RED).max() <= 6


def test_sixteen_bit_grey_keeps_its_range_in_png_and_tiff(tmp_path):
    values = np.linspace(0, 65535, 64 * 32).reshape(32, 64).astype(np.uint16)
    for name in ("a.png", "a.tiff"):
        found = load_image(saved(tmp_path / name, values))
        assert np.abs(found[..., 0] - values / 257).max() <= 0.51


def test_sixteen_bit_colour_png_is_read(tmp_path):
    rows = b"".join(b"\0" + (np.array(RED, ">u2") * 257).astype(">u2").tobytes() * 32 for _ in range(32))
    (tmp_path / "a.png").write_bytes(png_chunks(32, 32, bits=16, data=zlib.compress(rows)))
    assert np.abs(load_image(tmp_path / "a.png").astype(int) - RED).max() <= 1


@pytest.mark.parametrize("mode", ["F", "I"])
def test_32_bit_pixels_are_refused_rather_than_guessed_at(mode, tmp_path):
    with pytest.raises(InputError, match="32 bits"):
        load_image(saved(tmp_path / "a.tiff", Image.new(mode, (32, 32))))


def test_an_embedded_colour_profile_is_applied(tmp_path):
    """In a profile with gamma 1, half of the light is a value of 128; in sRGB it is 188."""
    linear = ImageCms.ImageCmsProfile(io.BytesIO(linear_profile()))
    found = load_image(saved(tmp_path / "a.png", plain(32, 32), icc_profile=linear.tobytes()))
    assert np.abs(found.astype(int) - 188).max() <= 2
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"not a profile", srgb[:200]):
        assert np.array_equal(load_image(saved(tmp_path / "a.png", PICTURE, icc_profile=profile)), PICTURE)


@pytest.mark.parametrize("after_pixels", [False, True])
def test_a_png_with_megabytes_of_text_is_read(after_pixels, tmp_path):
    """Editors store whole histories in a PNG's texts."""
    png = encode_png(PICTURE)
    content = b"history\0\0" + zlib.compress(b"x" * 3_000_000)
    text = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    place = png.index(b"IEND" if after_pixels else b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(png[:place] + text + png[place:])
    assert np.array_equal(load_image(tmp_path / "a.png"), PICTURE)


def test_broken_files_are_sentences(tmp_path):
    jpeg = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(jpeg, "JPEG")
    video = write_video(tmp_path / "v.mp4", [plain(64, 48)] * 2).read_bytes()
    png = encode_png(PICTURE)
    cases = {
        "text.png": (b"hello, I am no picture", "not a picture"),
        "cut.jpg": (jpeg.getvalue()[: len(jpeg.getvalue()) // 2], "damaged or cut off"),
        "cut.png": (png[: len(png) // 2], "damaged or cut off"),
        "head.jpg": (jpeg.getvalue()[:20], "header"),
        "video.png": (video, "is a video"),
        "photo.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64, "HEIC"),
        "one.png": (encode_png(plain(1, 1)), "too small: at least 16 pixels a side, got 1x1"),
        "thin.png": (encode_png(plain(400, 15)), "too small: at least 16 pixels a side, got 400x15"),
        "script.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        for read in (load_image, image_size) if name not in ("cut.jpg", "cut.png") else (load_image,):
            with pytest.raises(InputError, match=words) as caught:
                read(tmp_path / name)
            assert str(caught.value).startswith(f"'{name}' ")
            assert str(tmp_path) not in str(caught.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_from_its_header(tmp_path):
    """The files promise gigabytes and hold no pixel at all: a decoder that were started would say `damaged`."""
    (tmp_path / "bomb.png").write_bytes(png_chunks(30_000, 30_000))
    (tmp_path / "large.png").write_bytes(png_chunks(10_000, 9_000))
    (tmp_path / "bomb.bmp").write_bytes(
        b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 54, 40, 30000, 30000, 1, 24, *[0] * 6)
    )
    (tmp_path / "bomb.gif").write_bytes(b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0," + b"\0" * 20)
    for name in ("bomb.png", "large.png", "bomb.bmp", "bomb.gif"):
        for read in (load_image, image_size):
            with pytest.raises(InputError, match=f"'{name}' is too large: at most 89 million pixels"):
                read(tmp_path / name)
    save_image(tmp_path / "a.png", PICTURE)
    with pytest.raises(InputError, match="too large"):
        load_image(tmp_path / "a.png", max_pixels=80 * 64 - 1)
    assert load_image(tmp_path / "a.png", max_pixels=80 * 64).shape == PICTURE.shape


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(deadline=None)
@given(st.data())
def test_damaged_files_give_a_picture_or_a_sentence(tmp_path_factory, data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"]))
    encoded = io.BytesIO()
    Image.fromarray(PICTURE).save(encoded, kind)
    content = bytearray(encoded.getvalue())
    for place in data.draw(st.lists(st.integers(0, min(len(content), 400) - 1), max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        image = load_image(path)
    except InputError as error:
        assert str(error).startswith("'damaged' ")
    else:
        assert image.dtype == np.uint8
        assert image.ndim == 3


@pytest.mark.parametrize("background", [(0, 0), (0, 0, 256), (0, 0, -1), (0.5, 0, 0), ("a", 0, 0)])
def test_background_is_checked(background, tmp_path):
    with pytest.raises(InputError, match="background"):
        load_image(save_image(tmp_path / "a.png", PICTURE) or tmp_path / "a.png", background=background)


def test_saved_pictures_come_back_bit_equal(tmp_path, rng):
    image = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    save_image(tmp_path / "a.png", image)
    assert np.array_equal(load_image(tmp_path / "a.png"), image)


def png_chunks(width, height, *, bits=8, data=b""):
    """A PNG of that size in its header, with any data or none."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def linear_profile():
    """An ICC profile with sRGB's primaries and gamma 1."""
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", srgb, 128)
    for i in range(count):
        name, offset, size = struct.unpack_from(">4sII", srgb, 132 + 12 * i)
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            srgb[offset : offset + size] = (b"curv" + bytes(8)).ljust(size, b"\0")  # no points: the identity
        if name == b"desc":
            srgb[offset : offset + size] = srgb[offset : offset + size].replace(b"s\0R\0G\0B", b"L\0i\0n\0e")
    return bytes(srgb)
