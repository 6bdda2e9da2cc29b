"""Scenes laid into one another: what is in the middle, what stays around it, and how a training sees them."""

import cv2
import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.mini import scale_set
from genkey_core.mini.scale_captions import CITY, COLOURS, KINDS, NATURE
from genkey_core.mini.scale_nesting import SMALLEST, inner_kind, nested
from genkey_core.mini.scale_styles import STYLES
from genkey_core.mini.scale_world import make_scene


def error(a, b) -> float:
    """Root of the mean squared difference, grey levels."""
    return float(np.sqrt(np.mean((a.astype(float) - b) ** 2)))


def test_the_next_smaller_kind_lies_in_the_middle():
    assert inner_kind("galaxy") == "star system"
    assert inner_kind("tree") == "branch"
    assert inner_kind("chip") == "transistors"
    assert [kind for kind in KINDS if inner_kind(kind) is None] == [NATURE[-1], CITY[0], CITY[-1]]


@pytest.mark.parametrize("p", [2, 4])
def test_the_middle_is_the_inner_picture_from_afar_and_the_rest_is_untouched(p):
    outer, inner = (make_scene(5, kind, style="photo").image for kind in ("continent", "island"))
    made = nested(outer, inner, p)
    assert made.dtype == np.uint8
    assert made.shape == outer.shape
    side = 64 // p
    off = (64 - side) // 2
    rim = side // 4
    core = slice(off + rim, off + side - rim)
    small = cv2.resize(inner, (side, side), interpolation=cv2.INTER_AREA)[rim:-rim, rim:-rim]
    assert error(made[core, core], small) < 0.3 * error(outer[core, core], small)
    edge = off - rim
    assert np.array_equal(made[:edge], outer[:edge])
    assert np.array_equal(made[:, -edge:], outer[:, -edge:])


def test_a_picture_in_one_of_its_own_grey_changes_nothing():
    grey = np.full((32, 32, 3), 90, np.uint8)
    assert np.array_equal(nested(grey, grey, 2), grey)


def test_no_border_shows_between_two_plain_pictures():
    outer, inner = np.full((64, 64, 3), 60, np.uint8), np.full((64, 64, 3), 160, np.uint8)
    made = nested(outer, inner, 2)[..., 0].astype(int)
    steps = np.abs(np.diff(made, axis=1))
    assert made.max() == 160
    assert steps.max() < 50  # a hard border would be a step of 100
    assert np.array_equal(made, made.T)
    assert np.array_equal(made, made[:, ::-1])  # centred


@pytest.mark.parametrize(("size", "p"), [(64, 1), (64, 32), (64, 3), (16, 8)])
def test_a_zoom_that_leaves_no_picture_is_refused(size, p):
    picture = np.zeros((size, size, 3), np.uint8)
    with pytest.raises(InputError, match="p: "):
        nested(picture, picture, p)


@pytest.fixture(scope="module")
def pair() -> scale_set.SceneSet:
    """A board and a chip, light and dark, so that each is known by its tone."""
    images = np.stack([np.full((32, 32, 3), tone, np.uint8) for tone in (200, 20)])
    labels = [
        (KINDS.index(kind), COLOURS[kind].index("green"), STYLES.index("photo")) for kind in ("circuit board", "chip")
    ]
    return scale_set.SceneSet(images, np.array(labels, np.int16))


def test_a_training_sees_the_next_kind_of_the_same_style_in_the_middle(pair):
    rng = np.random.default_rng(0)
    whole = [pair.seen(0, rng, share=1.0) for _ in range(40)]
    assert all(picture[16, 16, 0] < 60 for picture in whole)
    assert all(picture[2, 2, 0] == 200 for picture in whole)
    assert {int((picture[16, :, 0] < 110).sum()) for picture in whole} == {6, 14}  # a quarter or a half, less its rim
    assert np.array_equal(pair.seen(0, rng, share=0.0), pair.images[0])
    assert np.array_equal(pair.seen(1, rng, share=1.0), pair.images[1])  # no transistors in the set


def test_how_often_is_as_told_and_the_zoom_can_be_chosen(pair):
    rng = np.random.default_rng(1)
    often = np.mean([pair.seen(0, rng, share=0.5)[16, 16, 0] < 60 for _ in range(400)])
    assert 0.4 < often < 0.6
    assert len({pair.seen(0, rng, share=1.0, p=2).tobytes() for _ in range(10)}) == 1


def test_pictures_too_small_for_another_stay_plain():
    small = scale_set.SceneSet(
        np.zeros((2, SMALLEST, SMALLEST, 3), np.uint8), np.array([[19, 0, 0], [20, 0, 0]], np.int16)
    )
    assert np.array_equal(small.seen(0, np.random.default_rng(0), share=1.0), small.images[0])
