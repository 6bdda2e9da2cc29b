"""The augmented set: mirrors are the subject turned round, and the background is one and the same."""

import numpy as np
import pytest
from drawn_dancer import keyframes

from genkey_core.checks import InputError
from genkey_core.dance.mirror import augmented, compose, flipped, mirror_of, mirror_sum
from genkey_core.dance.plates import Scene, separate


@pytest.fixture(scope="module")
def scenes():
    images, masks, _ = keyframes()
    scene = separate(images, masks=masks)
    return scene, augmented(scene)


def test_mirrors_are_numbered_as_the_graph_expects():
    assert [mirror_of(k, 6) for k in range(6)] == [3, 4, 5, 0, 1, 2]
    assert all(mirror_of(mirror_of(k, 12), 12) == k for k in range(12))
    with pytest.raises(InputError):
        mirror_of(12, 12)


def test_a_mirrors_mirror_is_the_subject_again(scenes):
    scene, both = scenes
    k = len(scene.images)
    for mask, turned in zip(both.masks[:k], both.masks[k:], strict=True):
        np.testing.assert_array_equal(flipped(turned, mirror_sum(mask), outside=0.0), mask)


def test_the_subject_stays_in_its_place_and_its_size(scenes):
    _, both = scenes
    columns = np.arange(both.masks.shape[2])
    for k in range(6):
        original, mirror = both.masks[k], both.masks[k + 6]
        centres = [(m.sum(0) * columns).sum() / m.sum() for m in (original, mirror)]
        assert abs(centres[0] - centres[1]) <= 0.5
        assert mirror.sum() == pytest.approx(original.sum(), rel=1e-5)


def test_backgrounds_agree_bit_for_bit(scenes):
    _, both = scenes
    for image, mask, shade in zip(both.images, both.masks, both.shades, strict=True):
        free = (mask == 0.0) & (shade == 1.0)
        assert free.mean() > 0.6
        np.testing.assert_array_equal(image[free], both.plate[free])


def test_the_subject_keeps_its_pixels(scenes):
    scene, both = scenes
    for k in range(6):
        inside = scene.masks[k] == 1.0
        np.testing.assert_array_equal(both.images[k][inside], scene.images[k][inside])
        turned = flipped(both.images[k], mirror_sum(both.masks[k]), outside=0)
        inside = both.masks[k + 6] == 1.0
        np.testing.assert_array_equal(both.images[k + 6][inside], turned[inside])


@pytest.mark.parametrize(("first", "last"), [(0, 30), (70, 99), (2, 60), (45, 97)])
def test_a_turned_subject_never_leaves_the_picture(first, last):
    mask = np.zeros((20, 100), np.float32)
    mask[5:15, first : last + 1] = np.linspace(0.6, 1.0, last + 1 - first)
    turned = flipped(mask, mirror_sum(mask), outside=0.0)
    assert turned.sum() == pytest.approx(mask.sum())
    if first == 0 or last == 99:  # cut off by the picture's side, so it must stay there
        assert turned[10, 99 if first == 0 else 0] > 0


def test_no_background_colour_is_carried_along():
    """A red subject before blue, moved before green: no blue fringe."""
    mask = np.zeros((40, 60), np.float32)
    mask[10:30, 10:30] = 1.0
    mask[10:30, 9] = mask[10:30, 30] = 0.5
    red, blue = np.array([200, 0, 0]), np.array([0, 0, 200])
    image = np.rint(mask[..., None] * red + (1 - mask[..., None]) * blue).astype(np.uint8)
    plate = np.zeros((40, 60, 3), np.uint8)
    plate[..., 1] = 200
    both = augmented(Scene(image[None], mask[None], plate, np.ones_like(mask)[None]))
    assert both.images[..., 2].max() == 0


def test_composing_shades_the_plate_alone():
    colours, plate = np.full((2, 2, 3), 100, np.uint8), np.full((2, 2, 3), 200, np.uint8)
    mask = np.array([[0, 0], [1, 0.5]], np.float32)
    shade = np.array([[1, 0.5], [0.5, 1]], np.float32)
    assert compose(colours, mask, shade, plate)[..., 0].tolist() == [[200, 100], [100, 150]]
