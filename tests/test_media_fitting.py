"""Pictures are fitted to a size, and sizes are chosen: bit-equal where nothing changes, even and bounded always."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_samples import BLUE, GREY, RED, plain, quadrant_colours, quadrants

from genkey_core import InputError
from genkey_core.media import fit_image, output_size

PICTURE = quadrants(80, 64)


@pytest.mark.parametrize("mode", ["letterbox", "crop"])
def test_a_picture_of_the_right_size_is_bit_equal(mode, rng):
    image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    fitted = fit_image(image, (64, 48), mode=mode)
    assert np.array_equal(fitted, image)
    fitted[:] = 0
    assert image.any()  # it is a copy


@pytest.mark.parametrize("mode", ["letterbox", "crop"])
def test_one_missing_pixel_repeats_the_edge(mode, rng):
    image = rng.integers(0, 256, (47, 63, 3), dtype=np.uint8)
    fitted = fit_image(image, (64, 48), mode=mode)
    assert np.array_equal(fitted[:47, :63], image)
    assert np.array_equal(fitted[47, :63], image[46])
    assert np.array_equal(fitted[:47, 63], image[:, 62])


def test_letterbox_shows_all_and_fills_the_rest():
    fitted = fit_image(quadrants(200, 100), (64, 64), background=(1, 2, 3))
    assert (fitted[:16] == (1, 2, 3)).all()
    assert (fitted[48:] == (1, 2, 3)).all()
    for key, colour in quadrant_colours(quadrants(200, 100)).items():
        assert np.abs(quadrant_colours(fitted[16:48])[key] - colour).max() < 3


def test_crop_fills_the_frame_from_the_middle():
    wide = plain(300, 100, GREY)
    wide[:, :100], wide[:, 200:] = RED, BLUE
    fitted = fit_image(wide, (50, 50), mode="crop")
    assert np.abs(fitted[:, 2:-2].astype(int) - GREY).max() <= 1


def test_bars_of_one_pixel_are_not_drawn():
    fitted = fit_image(plain(1501, 1001, RED), (1024, 684), background=(255, 255, 255))
    assert np.abs(fitted.astype(int) - RED).max() <= 1


def test_shrinking_averages_and_does_not_alias():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(fit_image(stripes, (64, 64)).astype(int)[8:-8, 8:-8] - 128).max() <= 2


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.sampled_from(["letterbox", "crop"]),
)
def test_fitted_pictures_have_the_size_and_keep_a_plain_colour(source, size, mode):
    fitted = fit_image(plain(*source, RED), size, mode=mode, background=RED)
    assert fitted.shape == (size[1], size[0], 3)
    assert fitted.dtype == np.uint8
    assert np.abs(fitted.astype(int) - RED).max() <= 1


@pytest.mark.parametrize(
    "image", [None, np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), PICTURE[:0]]
)
def test_fit_wants_a_picture(image):
    with pytest.raises(InputError, match="image"):
        fit_image(image, (64, 64))


def test_fit_checks_its_options():
    for options in ({"size": (0, 64)}, {"size": (64.5, 64)}, {"size": (64, 64), "mode": "stretch"}):
        with pytest.raises(InputError):
            fit_image(PICTURE, **options)


# --- sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "aspect", "max_side", "wanted"),
    [
        ((1920, 1080), "keep", 1920, (1920, 1080)),
        ((4032, 3024), "keep", 1024, (1024, 768)),
        ((1001, 667), "keep", 1920, (1002, 668)),
        ((640, 480), "keep", 1920, (640, 480)),
        ((1920, 1080), "9:16", 1920, (1080, 1920)),
        ((1080, 1920), "16:9", 1920, (1920, 1080)),
        ((4032, 3024), "16:9", 1024, (1024, 576)),
        ((4032, 3024), "9:16", 1024, (576, 1024)),
        ((4032, 3024), "1:1", 1023, (1022, 1022)),
        ((20_000, 20), "keep", 1920, (1920, 16)),
        ((16, 16), "keep", 16, (16, 16)),
    ],
)
def test_output_size_examples(first, aspect, max_side, wanted):
    assert output_size(first, aspect, max_side=max_side) == wanted


sides = st.integers(1, 40_000)


@settings(deadline=None)
@given(st.tuples(sides, sides), st.sampled_from(["keep", "16:9", "1:1", "9:16"]), st.integers(16, 4096))
def test_output_sizes_are_even_bounded_and_of_the_wanted_shape(first, aspect, max_side):
    width, height = output_size(first, aspect, max_side=max_side)
    assert width % 2 == height % 2 == 0
    assert min(width, height) >= 16
    assert max(width, height) <= max_side
    ratio = {"keep": first[0] / first[1], "16:9": 16 / 9, "1:1": 1, "9:16": 9 / 16}[aspect]
    if min(width, height) > 16:
        assert abs(width - height * ratio) <= 2 * (1 + ratio)
    if min(first) >= 16 and min(width, height) > 16:
        assert width * height <= (first[0] + 2) * (first[1] + 2) * 1.02 + 2 * (width + height)


@settings(deadline=None)
@given(st.tuples(sides, sides), st.integers(16, 4096))
def test_output_size_is_its_own_output_size(first, max_side):
    size = output_size(first, max_side=max_side)
    assert output_size(size, max_side=max_side) == size


@pytest.mark.parametrize(
    "options", [{"aspect": "4:3"}, {"max_side": 15}, {"max_side": 5000}, {"max_side": float("nan")}]
)
def test_output_size_checks_its_options(options):
    with pytest.raises(InputError):
        output_size((100, 100), **options)
