"""Flow recovers planted motion; splatting keeps what it carries; filling continues what is known."""

import cv2
import numpy as np
import pytest

from genkey_core import flow as of


def texture(rng: np.random.Generator, shape: tuple[int, int] = (160, 200)) -> np.ndarray:  # [H W 3]
    """Smooth coloured noise with detail at several scales, so that every place can be told from every other."""
    layers = [cv2.GaussianBlur(rng.normal(size=(*shape, 3)).astype(np.float32), (0, 0), s) * s for s in (1.5, 4, 10)]
    return np.uint8(np.clip(127 + 60 * sum(layers), 0, 255))


def constant(u: float, v: float, shape: tuple[int, int]) -> np.ndarray:
    return np.broadcast_to(np.float32([u, v]), (*shape, 2)).copy()


def test_warp_reads_at_the_end_of_the_vector(rng):
    picture = texture(rng)
    assert np.array_equal(of.warp(picture, constant(0, 0, picture.shape[:2])), picture)
    moved = of.warp(picture, constant(7, -3, picture.shape[:2]))
    assert np.array_equal(moved[3:, :-7], picture[:-3, 7:])


def test_resized_flow_scales_its_vectors():
    flow = of.resize_flow(constant(4, -6, (20, 30)), (60, 60))
    assert flow.shape == (60, 60, 2)
    assert np.allclose(flow, [8, -18])


def test_splat_keeps_the_mass_that_stays_inside(rng):
    values, weights = rng.normal(size=(30, 40, 2)).astype(np.float32), rng.uniform(size=(30, 40)).astype(np.float32)
    flow = rng.uniform(-3, 3, size=(30, 40, 2)).astype(np.float32)
    flow[:3], flow[-3:], flow[:, :3], flow[:, -3:] = 0, 0, 0, 0  # nothing can leave
    sums, total = of.splat(values, weights, flow)
    assert total.sum() == pytest.approx(weights.sum(), rel=1e-5)
    assert np.allclose(sums.sum((0, 1)), (values * weights[..., None]).sum((0, 1)), atol=1e-2)


def test_splat_drops_what_leaves_and_carries_the_rest():
    values, weights = np.ones((10, 10, 2), np.float32), np.ones((10, 10), np.float32)
    sums, total = of.splat(values, weights, constant(4, 0, (10, 10)))
    assert total[:, 4:].min() == total.max() == 1
    assert total[:, :4].max() == 0
    assert np.array_equal(sums[..., 0], total)


def test_fill_continues_a_constant_over_a_hole():
    weights = np.ones((33, 47), np.float32)
    weights[10:25, 15:40] = 0
    filled = of.fill(constant(3, -2, weights.shape) * weights[..., None], weights)
    assert np.allclose(filled, [3, -2], atol=0.02)


def test_fill_of_nothing_is_zero():
    assert np.abs(of.fill(np.zeros((9, 5, 2), np.float32), np.zeros((9, 5), np.float32))).max() == 0


def test_there_and_back_is_consistent():
    forward, backward = constant(5, 2, (40, 50)), constant(-5, -2, (40, 50))
    assert of.inconsistency(forward, backward).max() < 1e-4
    assert of.inconsistency(forward, forward).min() == pytest.approx(np.hypot(10, 4), abs=1e-3)


def test_true_flow_costs_least(rng):
    picture = texture(rng).astype(np.float32)
    end = np.roll(picture, (2, 6), axis=(0, 1))
    costs = [of.photometric_cost(picture, end, constant(u, 2, picture.shape[:2]))[40:-40, 40:-40] for u in (6, 4, 0)]
    assert costs[0].max() < 0.01 < costs[1].mean() < costs[2].mean()


def test_fusion_takes_the_cheaper_flow_per_pixel(rng):
    costs = rng.uniform(size=(3, 12, 15))
    fused = of.fuse_flows([constant(u, 0, (12, 15)) for u in (0, 1, 2)], costs)
    assert np.array_equal(fused[..., 0], costs.argmin(0))


def test_global_motion_finds_a_planted_homography(rng):
    angle, scale = np.deg2rad(8), 1.1
    planted = np.array(
        [
            [scale * np.cos(angle), -scale * np.sin(angle), 12],
            [scale * np.sin(angle), scale * np.cos(angle), -9],
            [1e-5, -2e-5, 1],
        ]
    )
    points = rng.uniform(0, 300, size=(80, 2)).astype(np.float32)
    moved = cv2.perspectiveTransform(points[None], planted)[0]
    moved[:25] = rng.uniform(0, 300, size=(25, 2))  # a third of the matches are wrong
    found = of.global_motion(points, moved, (300, 300))
    assert found is not None
    corners = np.float32([[[0, 0], [300, 0], [300, 300], [0, 300]]])
    error = cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, planted)
    assert np.abs(error).max() < 0.5


@pytest.mark.parametrize(
    "carry",
    [
        lambda p, rng: p * [-1, 1] + [300, 0],  # a mirror image
        lambda p, rng: p * 0.1,  # a tenth of the size
        lambda p, rng: rng.uniform(0, 300, size=p.shape),  # chance
    ],
)
def test_insane_global_motion_is_none(rng, carry):
    points = rng.uniform(0, 300, size=(60, 2)).astype(np.float32)
    assert of.global_motion(points, carry(points, rng).astype(np.float32), (300, 300)) is None


def test_too_few_points_have_no_global_motion():
    few = np.zeros((5, 2), np.float32)
    assert of.global_motion(few, few, (100, 100)) is None


def test_blank_pictures_match_nowhere():
    points0, points1 = of.match_features(*[np.full((60, 80), 90, np.uint8)] * 2)
    assert points0.shape == points1.shape == (0, 2)


def test_spread_vectors_ignore_a_lone_mismatch(rng):
    points = rng.uniform(0, 100, size=(60, 2)).astype(np.float32)
    vectors = np.tile(np.float32([4, -1]), (60, 1))
    vectors[7] = [-80, 60]
    assert np.allclose(of.sparse_flow(points, vectors, (100, 100)), [4, -1], atol=1e-3)


@pytest.mark.parametrize(("u", "v"), [(3, 1), (-60, 25)])
def test_shift_is_found_both_ways(rng, u, v):
    wide = texture(rng, (260, 340))
    start, end = wide[50:210, 70:270], wide[50 - v : 210 - v, 70 - u : 270 - u]
    (forward, backward), _ = of.bidirectional_flow(np.ascontiguousarray(start), np.ascontiguousarray(end))
    inner = np.s_[40:-40, 75:-75]
    assert np.abs(forward[inner] - [u, v]).mean() < 0.3
    assert np.abs(backward[inner] + [u, v]).mean() < 0.3


def test_a_turn_is_found_with_its_global_motion(rng):
    start = texture(rng, (240, 240))
    turn = cv2.getRotationMatrix2D((119.5, 119.5), 20, 1.0)
    end = cv2.warpAffine(start, turn, (240, 240), borderMode=cv2.BORDER_REFLECT)
    expected = of.homography_flow(np.vstack([turn, [0, 0, 1]]), (240, 240))
    (forward, _), base = of.bidirectional_flow(start, end)
    inner = np.s_[60:-60, 60:-60]
    assert np.abs(base[0][inner] - expected[inner]).max() < 1
    assert np.abs(forward[inner] - expected[inner]).mean() < 0.3
