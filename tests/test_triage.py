"""Triage names planted troubles of a cut and recommends what holds up there."""

import cv2
import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.jumpcut.triage import Findings, triage, verdict

SHAPE = (180, 320)


def texture(rng: np.random.Generator, shape: tuple[int, int] = SHAPE) -> np.ndarray:  # [H W 3]
    layers = [cv2.GaussianBlur(rng.normal(size=(*shape, 3)).astype(np.float32), (0, 0), s) * s for s in (2, 5, 12)]
    return np.uint8(np.clip(127 + 45 * sum(layers), 30, 225))


def with_heads(wall: np.ndarray, skin: np.ndarray, *places: int) -> np.ndarray:
    frame = wall.copy()
    mask = np.zeros(skin.shape[:2], np.uint8)
    cv2.ellipse(mask, (30, 45), (28, 43), 0, 0, 360, 255, -1)
    for x in places:
        frame[50:140, x : x + 60][mask > 0] = skin[mask > 0]
    return frame


@pytest.fixture
def scene(rng):
    return texture(rng), texture(rng, (90, 60))


def test_identical_frames_need_nothing(scene):
    frame = with_heads(*scene, 130)
    found = triage(frame, frame.copy())
    assert found.kinds == ("identical",)
    assert (found.score, found.recommended) == (1.0, "blended")


def test_a_head_before_a_still_wall_is_easy(scene):
    found = triage(with_heads(*scene, 130), with_heads(*scene, 142))
    assert found.kinds == ("easy",)
    assert found.recommended == "blended"


def test_a_pan_is_a_moved_camera(rng, scene):
    wide = texture(rng, (180, 360))
    found = triage(with_heads(wide[:, :320], scene[1], 130), with_heads(wide[:, 20:340], scene[1], 130))
    assert found.kinds[0] == "camera"
    assert "6 %" in found.reasons[0]
    assert found.score < 0.5


def test_another_backdrop_is_another_shot(rng, scene):
    found = triage(with_heads(*scene, 130), with_heads(texture(rng), scene[1], 130))
    assert "background" in found.kinds
    assert found.recommended == "hard cut"


def test_an_exposure_jump_is_named_and_harmless(scene):
    frame = with_heads(*scene, 130)
    found = triage(frame, np.uint8(np.clip(frame * 1.1, 0, 255)))
    assert found.kinds == ("exposure",)
    assert "10 %" in found.reasons[0]
    assert found.recommended == "blended"


def test_two_moving_heads_are_several_regions(scene):
    found = triage(with_heads(*scene, 30, 220), with_heads(*scene, 42, 232))
    assert "people" in found.kinds
    assert found.score < 1.0


def test_a_pose_that_is_not_found_again_is_too_far(rng, scene):
    found = triage(with_heads(*scene, 60), with_heads(scene[0], texture(rng, (90, 60)), 200))
    assert "pose" in found.kinds
    assert found.score < 0.7


def test_sizes_that_differ_are_refused(scene):
    with pytest.raises(InputError, match="size"):
        triage(scene[0], scene[0][:-20])


def test_every_added_trouble_lowers_the_score():
    base = {"difference": 9.0, "camera": 0.0, "backdrop": 0.0, "regions": 1, "hands": 0.0, "lost": 0.0, "gain": 0.0}
    calm = verdict(Findings(**base)).score
    for trouble in ({"camera": 0.05}, {"backdrop": 0.9}, {"regions": 3}, {"hands": 0.1}, {"lost": 0.9}, {"gain": 0.2}):
        found = verdict(Findings(**{**base, **trouble}))
        assert 0.0 <= found.score < calm
        assert len(found.reasons) == len(found.kinds) == 1


def test_a_turn_that_is_half_found_again_is_doubted_before_it_is_too_far():
    base = {"difference": 9.0, "camera": 0.0, "backdrop": 0.0, "regions": 1, "hands": 0.0, "gain": 0.0}
    easy, doubted, far = (verdict(Findings(**base, lost=lost)) for lost in (0.1, 0.3, 0.9))
    assert [v.kinds for v in (easy, doubted, far)] == [("easy",), ("doubt",), ("pose",)]
    assert [v.recommended for v in (easy, doubted, far)] == ["blended", "blended", "punch-in"]
    assert easy.score > doubted.score > far.score
    assert verdict(Findings(**{**base, "hands": 0.1}, lost=0.3)).kinds == ("hands",)  # they explain what is lost
