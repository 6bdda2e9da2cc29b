"""Own images as a zoom stack: planted views of one scene come back in order and in place; what does not fit is named."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.zoom import own_images
from genkey_core.zoom.align import AlignmentError
from genkey_core.zoom.camera import View
from genkey_core.zoom.own_images import Arranged, Arranging, arranged, cut
from genkey_core.zoom.render import Renderer

SCENE, SIDE = 1200, 320


def scene(seed: int = 4) -> np.ndarray:
    """Detail of every size, uint8 [SCENE SCENE 3]."""
    rng, image = np.random.default_rng(seed), np.zeros((SCENE, SCENE, 3), np.float32)
    for k in range(2, 9):
        layer = rng.random((2**k, 2**k, 3)).astype(np.float32)
        image += cv2.resize(layer, (SCENE, SCENE), interpolation=cv2.INTER_CUBIC) / k
    return cv2.normalize(image, None, 10, 245, cv2.NORM_MINMAX).astype(np.uint8)


def photo(picture: np.ndarray, width: float, middle=(0.5, 0.5), turn_deg: float = 0.0) -> np.ndarray:
    """A view of `width` times the scene around `middle`, turned; uint8 [SIDE SIDE 3]."""
    big = 2 * SIDE
    turn = cv2.getRotationMatrix2D((middle[0] * SCENE, middle[1] * SCENE), turn_deg, big / (width * SCENE))
    turn[:, 2] += np.array([big / 2 - middle[0] * SCENE, big / 2 - middle[1] * SCENE])
    view = cv2.warpAffine(picture, turn, (big, big), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return cv2.resize(view, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def made() -> tuple[list, Arranged]:
    """Three photos, the middle one given first; the closest is darker."""
    world = scene()
    closest = cv2.convertScaleAbs(photo(world, 0.26, (0.5, 0.52), -4), alpha=0.9)
    images = [photo(world, 0.5, (0.52, 0.5), 3), photo(world, 0.96), closest]
    *steps, last = arranged(images, ("half.png", "all.png", "quarter.png"))
    return steps, last


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-6)))


def test_photos_in_any_order_become_one_stack(made):
    steps, last = made
    assert all(isinstance(step, Arranging) for step in steps)
    assert [step.done for step in steps] == list(range(6))
    assert {step.total for step in steps} == {6}
    assert last.order == (1, 0, 2)
    assert last.notes == ()
    assert last.stack.magnifications == pytest.approx([1, 0.96 / 0.5, 0.96 / 0.26], rel=0.02)


def test_levels_show_one_scene_and_the_closer_one_is_not_seen_as_a_square(made):
    """What lies around a level's border in the wider one continues it: no step there that the scene does not have."""
    stack, world = made[1].stack, scene()
    wide = photo(world, 0.96)
    assert psnr(stack.levels[0], wide) > 24  # bent and blended by parts, and yet the same picture
    place, inner = stack.placements[0], stack.placements[1]
    half = stack.levels[1].shape[1] / 2 * inner.pixel / place.pixel
    left = round(SIDE / 2 + (inner.x - place.x) / place.pixel - half)
    step = np.abs(np.diff(stack.levels[0].astype(float), axis=1)).mean((0, 2))
    usual = np.abs(np.diff(wide.astype(float), axis=1)).mean((0, 2))
    assert step[left - 2 : left + 3].max() < 1.35 * usual[left - 2 : left + 3].max()


def test_the_middle_of_a_frame_does_not_jump_where_a_level_takes_over(made):
    stack = made[1].stack
    render = Renderer(stack, (128, 128))
    first = stack.full_view(1, (128, 128)).pixel
    frames = [render.frame(View(0.0, 0.0, first * 2.0 ** (-k / 24))).astype(float) for k in range(-6, 7)]
    jumps = [np.abs(b - a).mean() for a, b in pairwise(frames)]
    assert max(jumps) < 1.6 * np.median(jumps)


def test_photos_that_do_not_belong_together_are_named():
    with pytest.raises(AlignmentError, match=r"a\.png and b\.png cannot be aligned"):
        list(arranged([photo(scene(4), 0.9), photo(scene(5), 0.5)], ("a.png", "b.png")))


def test_a_photo_that_shows_nothing_finer_is_left_out_or_refused():
    world = scene()
    images = [photo(world, 0.9), photo(world, 0.89, turn_deg=2)]
    with pytest.raises(InputError, match="none is closer than"):
        list(arranged(images, ("a.png", "b.png")))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ([np.zeros((20, 20, 3), np.uint8)], "tiny.png: at least 64x64 pixels are needed, got 20x20"),
        ([], "1 to 24 are needed, got 0"),
        ([np.zeros((64, 64, 3), np.uint8)] * 25, "1 to 24 are needed, got 25"),
    ],
)
def test_too_small_or_too_many(images, says):
    with pytest.raises(InputError, match=says):
        list(arranged(images, ["tiny.png"] * len(images)))


@pytest.mark.parametrize("p", [2, 4])
def test_one_photo_is_cut_into_its_own_middles(p, monkeypatch):
    monkeypatch.setattr(own_images, "CUT_SIDE", 72)
    photograph = scene()[:900, :1200]
    stack, notes = cut(photograph, p)
    n = {2: 4, 4: 2}[p]
    assert len(stack.levels) == n
    assert notes == ()
    assert stack.levels[-1].shape[:2] == (900 // p ** (n - 1), 1200 // p ** (n - 1))
    height, width = stack.levels[-1].shape[:2]
    own = photograph[450 - height // 2 :, 600 - width // 2 :][:height, :width]
    assert psnr(stack.levels[-1], own) > 40
    halves = [level.shape[1] * place.pixel for level, place in zip(stack.levels, stack.placements, strict=True)]
    assert halves == pytest.approx([p**-k for k in range(n)], rel=0.01)


def test_a_small_photo_is_cut_once_and_that_is_said():
    stack, notes = cut(scene()[:400, :400])
    assert len(stack.levels) == 2
    assert "will look soft" in notes[0]
