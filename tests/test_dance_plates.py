"""Subject and background apart: planted masks, plates and shadows are found; what cannot be is said in a sentence."""

import numpy as np
import pytest
from drawn_dancer import POSES, keyframes, landscape, shadow

from genkey_core.checks import InputError
from genkey_core.dance import plates
from genkey_core.dance.inpainting import inpaint
from genkey_core.dance.registration import register


@pytest.fixture(scope="module")
def drawn():
    images, masks, background = keyframes()
    return images, masks, background, plates.separate(images)


def overlap(found: np.ndarray, true: np.ndarray) -> np.ndarray:  # [K]
    a, b = found > 0.5, true > 0.5
    return (a & b).sum((1, 2)) / (a | b).sum((1, 2))


def test_a_dancer_on_the_spot_is_found_whole(drawn):
    _, masks, _, scene = drawn
    assert scene.masks.dtype == np.float32
    assert overlap(scene.masks, masks).min() > 0.9


def test_the_plate_is_the_background_wherever_it_was_seen(drawn):
    _, masks, background, scene = drawn
    seen = (masks < 0.01).sum(0) >= 3
    apart = np.abs(scene.plate.astype(int) - background)[seen]
    assert np.median(apart) <= 2
    assert apart.mean() < 4.0
    assert any("painted in" in note for note in scene.notes)


def test_a_contact_shadow_is_a_shade_and_not_the_subject():
    """With the true masks given, the planted light comes back within a tenth wherever others show the lit ground."""
    images, masks, _ = keyframes(noise=0.5, spread=4.0)
    scene = plates.separate(images, masks=masks)
    lights = np.stack([shadow(pose, spread=4.0) for pose in range(len(POSES))])
    lit = (lights > 0.99).sum(0) >= 3
    for pose, true in enumerate(lights):
        dark = (true < 0.85) & (masks[pose] < 0.02) & lit
        assert dark.sum() > 50
        assert np.abs(scene.shades[pose] - true)[dark].mean() < 0.1
        assert (scene.shades[pose][:80] == 1.0).all()


def test_given_masks_are_kept_and_softened(drawn):
    images, masks, _, _ = drawn
    scene = plates.separate(images, masks=[np.uint8(255 * m) for m in masks])
    assert overlap(scene.masks, masks).min() > 0.97
    assert ((scene.masks > 0.05) & (scene.masks < 0.95)).any()


def test_a_segmenter_betters_the_draft(drawn):
    images, masks, _, _ = drawn
    asked = []

    def segmenter(pictures, draft):
        asked.append(draft.shape)
        return masks

    scene = plates.separate(images, segmenter=segmenter)
    assert asked == [masks.shape]
    assert overlap(scene.masks, masks).min() > 0.97


def test_a_wobbling_camera_and_exposure_are_taken_out():
    images, _, _ = keyframes(shaded=False)
    shaken = images.copy()
    shaken[2] = np.roll(images[2], (2, -3), axis=(0, 1))
    shaken[4] = np.clip(images[4] * 1.08, 0, 255).astype(np.uint8)
    found = register(shaken)
    assert found.moved_px[2] == pytest.approx(np.hypot(2, 3), abs=1.0)
    inner = np.s_[8:60, 8:-8]  # the sky, where nobody is
    before, after = (
        np.abs(p.astype(int) - images).mean((-1,))[..., inner[0], inner[1]].mean((1, 2)) for p in (shaken, found.images)
    )
    assert after[2] < 0.6 * before[2]
    assert after[4] < 0.3 * before[4]


def test_another_background_is_named():
    images, masks, _ = keyframes()
    images = images.copy()
    other = landscape()[:, ::-1, ::-1].copy()
    images[3] = np.where(masks[3][..., None] > 0.5, images[3], other)
    scene = plates.separate(images)
    assert [n for n in scene.notes if "another background" in n and n.startswith("Keyframe 4 ")]


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([np.zeros((80, 80, 3), np.uint8)] * 2, "3 to 12 are needed, got 2"),
        ([np.zeros((80, 80, 3), np.uint8)] * 2 + [np.zeros((80, 90, 3), np.uint8)], "keyframe 3: 90x80 pixels"),
        ([np.zeros((80, 80, 3), np.uint8)] * 3, "subject found covers 0.0%"),
        ([np.zeros((80, 80), np.uint8)] * 3, "keyframe 1: a uint8 picture"),
        ([np.zeros((20, 20, 3), np.uint8)] * 3, "at least 64 pixels"),
    ],
)
def test_what_cannot_be_separated_is_said(images, words):
    with pytest.raises(InputError, match=words):
        plates.separate(images)


def test_masks_of_another_size_or_number_are_said(drawn):
    images, masks, _, _ = drawn
    with pytest.raises(InputError, match="one per keyframe"):
        plates.separate(images, masks=masks[:4])
    with pytest.raises(InputError, match="mask 1: 384x216"):
        plates.separate(images, masks=masks[:, ::2])
    with pytest.raises(InputError, match=r"keyframe 1: its mask covers 0\.0%"):
        plates.separate(images, masks=masks * 0)


def test_a_hole_is_filled_as_the_picture_goes_on():
    """A hole in the middle of the landscape: the same bands on across it, with grain, and nothing changed outside."""
    true = landscape()
    hole = np.zeros(true.shape[:2], bool)
    hole[70:190, 165:215] = True
    torn = np.where(hole[..., None], 0, true).astype(np.uint8)
    filled = inpaint(torn, hole)
    np.testing.assert_array_equal(filled[~hole], true[~hole])
    assert np.median(np.abs(filled.astype(int) - true)[hole]) < 12
    grain = [np.abs(np.diff(p.astype(int), axis=1))[hole[:, 1:]].mean() for p in (filled, true)]
    assert grain[0] == pytest.approx(grain[1], rel=0.35)
    np.testing.assert_array_equal(inpaint(true, np.zeros_like(hole)), true)
