"""Motion between keyframes: planted shifts come back, subjects that turn round are seen (thesis 7.2.3 and 7.3.5)."""

import cv2
import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.dance import motion_range

SIZE = (512, 288)


def drawn(shapes, seed=0):
    """(image, mask) of ellipses (x, y, a, b, angle, colour) with fur, over a smooth backdrop."""
    w, h = SIZE
    rng = np.random.default_rng(seed)
    backdrop = cv2.resize(rng.uniform(120, 230, (4, 7, 3)).astype(np.float32), SIZE, interpolation=cv2.INTER_CUBIC)
    fur = cv2.GaussianBlur(rng.normal(0, 40, (h, w)).astype(np.float32), (0, 0), 2.5)
    image, mask = backdrop, np.zeros((h, w), np.float32)
    for x, y, a, b, angle, colour in shapes:
        part = np.zeros((h, w), np.float32)
        cv2.ellipse(part, (round(x), round(y)), (round(a), round(b)), angle, 0, 360, 1.0, -1, cv2.LINE_AA)
        shifted = np.roll(fur, (round(y), round(x)), (0, 1))
        image = image * (1 - part[..., None]) + part[..., None] * (
            np.array(colour, np.float32) + shifted[..., None] * 2
        )
        mask = np.maximum(mask, part)
    return np.clip(image, 0, 255).astype(np.uint8), mask


def side_view(rng, x=256.0, lean=0.0):
    """An otter seen from its left: long body, a head with snout and eye at one end, a tail at the other."""
    y, brown, pale = 180 + rng.uniform(-8, 8), (110, 80, 55), (190, 165, 130)
    return [
        (x + 92, y + 18, 52, 12, 18 + lean, (85, 60, 40)),
        (x, y, 80, 38, lean, brown),
        (x - 10, y + 16, 50, 16, lean, pale),
        (x - 78, y - 34 - lean, 34, 30, 0, brown),
        (x - 104, y - 28 - lean, 16, 11, 0, pale),
        (x - 116, y - 30 - lean, 6, 5, 0, (20, 15, 15)),
        (x - 84, y - 42 - lean, 5, 5, 0, (10, 10, 10)),
        (x - 40, y + 40, 10, 26, 0, (95, 70, 48)),
        (x + 45, y + 40, 10, 26, 0, (95, 70, 48)),
    ]


def front_view(rng, x=256.0, arm=0.0):
    """The same animal upright from the front: symmetrical but for its arms."""
    y, brown, pale = 170 + rng.uniform(-5, 5), (110, 80, 55), (190, 165, 130)
    return [
        (x, y, 46, 74, 0, brown),
        (x, y + 8, 28, 52, 0, pale),
        (x, y - 84, 32, 30, 0, brown),
        (x - 12, y - 90, 5, 5, 0, (10, 10, 10)),
        (x + 12, y - 90, 5, 5, 0, (10, 10, 10)),
        (x, y - 76, 12, 9, 0, pale),
        (x - 58, y - 20 - arm, 30, 9, arm * 0.6, (95, 70, 48)),
        (x + 58, y - 20 + arm, 30, 9, arm * 0.6, (95, 70, 48)),
    ]


def augmented(views):
    """Keyframes and their mirrors, each subject about its own axis over the same backdrop."""
    pictures = [drawn(view) for view in views]
    for view in views:
        _, mask = drawn(view)
        columns = np.flatnonzero(mask.max(0) > 0.5)
        axis = (columns[0] + columns[-1]) / 2
        pictures.append(drawn([(2 * axis - x, y, a, b, -angle, colour) for x, y, a, b, angle, colour in view]))
    return np.stack([p for p, _ in pictures]), np.stack([m for _, m in pictures])


def test_a_planted_shift_comes_back_at_1024x576():
    views = [front_view(np.random.default_rng(2), x) for x in (256.0, 266.0, 276.0)]
    result = motion_range.measured(*augmented(views))
    assert result.flow[0, 1] == pytest.approx(20, rel=0.2)  # ten pixels of 512 are twenty of 1024
    assert result.flow[0, 2] == pytest.approx(40, rel=0.25)
    assert result.flow[0, 2] > result.flow[0, 1]
    assert (np.diag(result.motion) == 0).all()


def test_a_pair_and_its_mirror_move_alike():
    rng = np.random.default_rng(3)
    result = motion_range.measured(*augmented([side_view(rng), front_view(rng), front_view(rng, arm=25)]))
    swap = np.roll(np.arange(6), 3)
    for table in (result.motion, result.flow, result.turning):
        assert np.array_equal(table, table[np.ix_(swap, swap)])
    assert (result.motion >= result.flow - 1e-9).all()


@pytest.mark.parametrize("seed", range(4))
def test_opposite_side_views_are_seen_to_turn_and_others_are_not(seed):
    rng = np.random.default_rng(10 + seed)
    views = [
        side_view(rng, 256 + rng.uniform(-10, 10), lean=rng.uniform(-5, 5)),
        side_view(rng, 256 + rng.uniform(-10, 10), lean=rng.uniform(4, 9)),
        front_view(rng, arm=rng.uniform(15, 30)),
        front_view(rng, arm=-rng.uniform(15, 30)),
    ]
    result = motion_range.measured(*augmented(views))
    turns = [(0, 4), (0, 5), (1, 4), (1, 5)]
    stays = [(0, 1), (1, 0), (2, 3), (3, 2), (2, 6), (3, 7), (2, 7)]
    shares = [result.turning[p] for p in turns], [result.turning[p] for p in stays]
    assert min(shares[0]) > motion_range.SUSPICIOUS > max(shares[1]), shares
    for pair in turns:  # the head travels from one side to the other
        assert result.motion[pair] > 150
        assert result.motion[pair] > 1.5 * result.flow[pair]
    for pair in stays:
        assert result.motion[pair] < result.flow[pair] + 15
    assert set(turns) <= set(result.suspicious)


def test_a_flow_of_ones_own_is_used():
    asked = []

    def flow(start, end):
        asked.append(start.shape)
        return np.full((*start.shape[:2], 2), (3, 4), np.float32)

    rng = np.random.default_rng(5)
    result = motion_range.measured(*augmented([front_view(rng), front_view(rng, 270), side_view(rng)]), flow=flow)
    assert result.flow[0, 1] == pytest.approx(5 * 1024 / asked[0][1], rel=0.01)
    assert len(set(asked)) == 1


def test_progress_is_told_pair_by_pair():
    rng = np.random.default_rng(6)
    steps = list(motion_range.measure(*augmented([front_view(rng), front_view(rng, 270), side_view(rng)])))
    assert [s.index for s in steps[:-1]] == list(range(15))
    assert steps[0].total == 15
    assert isinstance(steps[-1], motion_range.MotionRange)


def test_masks_without_a_subject_and_wrong_shapes_are_sentences():
    images = np.zeros((4, 64, 96, 3), np.uint8)
    with pytest.raises(InputError, match="no subject is marked in keyframe 1"):
        motion_range.measured(images, np.zeros((4, 64, 96), np.float32))
    with pytest.raises(InputError, match="masks"):
        motion_range.measured(images, np.zeros((3, 64, 96), np.float32))
