"""In-betweens in layers: exact at the ends, the plate untouched, one silhouette, and prepared once."""

import itertools

import cv2
import numpy as np
import pytest
from drawn_dancer import keyframes

from genkey_core.checks import InputError
from genkey_core.dance.layered import Layered
from genkey_core.dance.matting import pure_colours
from genkey_core.dance.mirror import augmented
from genkey_core.dance.morph import CANVAS, exponential, mismatch, on_canvas, velocity_between
from genkey_core.dance.plates import Scene, separate


@pytest.fixture(scope="module")
def scene():
    images, masks, _ = keyframes()
    return augmented(separate(images, masks=masks))


def silhouette(frame: np.ndarray, plate: np.ndarray) -> np.ndarray:  # [H W] bool
    return np.abs(frame.astype(int) - plate).max(-1) > 24


def test_positions_0_and_1_are_the_keyframes(scene):
    first, last = Layered(scene).between(1, 8, [0.0, 1.0])
    np.testing.assert_array_equal(first, scene.images[1])
    np.testing.assert_array_equal(last, scene.images[8])


def test_the_same_keyframe_twice_stands_still(scene):
    for frame in Layered(scene).between(3, 3, [0.0, 0.4, 1.0]):
        np.testing.assert_array_equal(frame, scene.images[3])


@pytest.mark.parametrize("pair", [(0, 1), (2, 3), (4, 5), (1, 7), (5, 9)])
def test_only_the_subject_moves(scene, pair):
    """Outside the box of both poses, with room for what swings, the plate is untouched bit for bit."""
    reach = (scene.masks[list(pair)] > 0).any(0) | (scene.shades[list(pair)] < 1).any(0)
    rows, columns = np.flatnonzero(reach.any(1)), np.flatnonzero(reach.any(0))
    far = np.ones(reach.shape, bool)
    margin = 30
    far[max(0, rows[0] - margin) : rows[-1] + margin, max(0, columns[0] - margin) : columns[-1] + margin] = False
    assert far.mean() > 0.2
    for frame in Layered(scene).between(*pair, np.linspace(0.05, 0.95, 7)):
        np.testing.assert_array_equal(frame[far], scene.plate[far])


@pytest.mark.parametrize("pair", [(0, 1), (2, 3), (4, 5), (0, 3), (1, 7)])
def test_no_ghost_of_one_pose_over_the_other(scene, pair):
    """Every frame has one body: its area lies between the two, and little of it is seen through."""
    plain = Scene(scene.images, scene.masks, np.zeros_like(scene.plate), np.ones_like(scene.shades), ())
    plain.plate[..., 1] = 255  # the subject has little green, so that what is seen through is seen
    areas = [float(scene.masks[k].sum()) for k in pair]
    outlines = [float(((scene.masks[k] > 0.1) & (scene.masks[k] < 0.9)).sum()) for k in pair]
    for frame in Layered(plain).between(*pair, np.linspace(0.1, 0.9, 9)):
        green = (frame[..., 1] > 200).astype(int) + (frame[..., 1] > 236)
        body, clear = green == 0, green == 2
        mixed = ~body & ~clear
        assert 0.75 * min(areas) < body.sum() < 1.25 * max(areas)
        assert mixed.sum() < 2.0 * max(outlines)


def test_silhouettes_move_without_a_jump(scene):
    frames = list(Layered(scene).between(0, 3, np.linspace(0, 1, 16)))
    shapes = [silhouette(f, scene.plate) for f in frames]
    changes = [(a ^ b).sum() for a, b in itertools.pairwise(shapes)]
    whole = (shapes[0] ^ shapes[-1]).sum()
    assert max(changes) < 0.35 * whole


def test_the_way_back_shows_the_same_frames(scene):
    there = list(Layered(scene).between(1, 4, [0.25, 0.5]))
    back = list(Layered(scene).between(4, 1, [0.75, 0.5]))
    np.testing.assert_array_equal(there, back)


def test_a_side_view_turns_round_instead_of_growing_a_second_head(scene):
    """A long body with a head at one end, and its mirror image: narrow half way, one head in every frame."""
    mask = np.zeros((120, 200), np.float32)
    cv2.ellipse(mask, (100, 75), (50, 14), 0, 0, 360, 1.0, -1)
    cv2.circle(mask, (145, 50), 22, 1.0, -1)
    colours = np.zeros((120, 200, 3), np.uint8)
    colours[..., 0] = 120
    cv2.circle(colours, (150, 45), 5, (255, 255, 255), -1)  # one eye
    plate = np.zeros((120, 200, 3), np.uint8)
    side = augmented(Scene(colours[None], mask[None], plate, np.ones_like(mask)[None]))
    widths = []
    for frame in Layered(side).between(0, 1, np.linspace(0, 1, 15)):
        columns = np.flatnonzero(silhouette(frame, plate).any(0))
        widths.append(columns[-1] - columns[0])
        eyes, _ = cv2.connectedComponents((frame.min(-1) > 110).astype(np.uint8))
        assert eyes == 2  # the eye, and all the rest
    assert widths[7] < 0.6 * widths[0]
    assert widths[0] == widths[14]


def test_a_field_and_its_reverse_cancel():
    rng = np.random.default_rng(2)
    velocity = cv2.GaussianBlur(rng.normal(size=(80, 80, 2)).astype(np.float32) * 40, (0, 0), 8.0)
    there, back = exponential(velocity), exponential(velocity, -1.0)
    y, x = np.mgrid[20:60, 20:60].astype(np.float32)
    at = np.dstack([x, y]) + there[20:60, 20:60]
    error = there[20:60, 20:60] + cv2.remap(back, at, None, cv2.INTER_LINEAR)
    assert np.abs(there).max() > 1.5
    assert np.abs(error).max() < 0.1


def test_a_planted_displacement_is_found():
    """A disc with a bump turned by 30 degrees: the outlines meet, and so do marked points on them."""
    poses = []
    for angle in (0.0, 30.0):
        picture, mask = np.full((200, 200, 3), 90, np.uint8), np.zeros((200, 200), np.uint8)
        turn = np.deg2rad(angle)
        tip = (int(100 + 70 * np.cos(turn)), int(100 - 70 * np.sin(turn)))
        cv2.circle(mask, (100, 100), 40, 255, -1)
        cv2.line(mask, (100, 100), tip, 255, 22)
        cv2.circle(picture, tip, 14, (250, 40, 40), -1)
        poses.append(on_canvas(picture, mask.astype(np.float32) / 255, 1.6))
    velocity = velocity_between(*poses)
    assert mismatch(*poses, velocity) < 0.05
    tips = [
        (np.array([100 + 66 * np.cos(a), 100 - 66 * np.sin(a)]) - p.centre) / 1.6 + CANVAS / 2
        for a, p in zip((0, np.pi / 6), poses, strict=True)
    ]
    moved = tips[0] + exponential(velocity)[round(tips[0][1]), round(tips[0][0])]
    assert np.linalg.norm(moved - tips[1]) < 0.25 * np.linalg.norm(tips[0] - tips[1])


def test_a_pair_is_prepared_once_for_all_its_frames_and_for_the_way_back(scene, monkeypatch):
    prepared = []
    monkeypatch.setattr(
        "genkey_core.dance.layered.velocity_between",
        lambda *poses: (prepared.append("pair"), velocity_between(*poses))[1],
    )
    monkeypatch.setattr(
        "genkey_core.dance.layered.pure_colours",
        lambda *seen: (prepared.append("keyframe"), pure_colours(*seen))[1],
    )
    layered = Layered(scene)
    assert len(list(layered.between(0, 4, np.linspace(0, 1, 16)[1:-1]))) == 14
    assert len(list(layered.between(4, 0, [0.5]))) == 1
    assert sorted(prepared) == ["keyframe", "keyframe", "pair"]


def test_mistakes_are_said(scene):
    with pytest.raises(InputError, match="keyframe"):
        next(Layered(scene).between(0, 12, [0.5]))
    with pytest.raises(InputError, match="position"):
        next(Layered(scene).between(0, 1, [1.5]))
    empty = Scene(scene.images, scene.masks * 0, scene.plate, scene.shades, ())
    with pytest.raises(InputError, match="keyframe 1: its mask shows no subject"):
        next(Layered(empty).between(0, 1, [0.5]))
