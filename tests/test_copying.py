"""Copied pixels: attention's places sample the sources where they are, and a network that lacks them can be begun with."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny_jumpcut import TINY  # noqa: E402

from genkey_core.checks import InputError  # noqa: E402
from genkey_core.jumpcut import copying, keypoints, networks  # noqa: E402
from genkey_core.jumpcut.networks import Memory, attend  # noqa: E402


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


def smooth(generator, *shape: int) -> torch.Tensor:
    """Random pictures without detail, so that sampling between places is close to exact."""
    coarse = torch.randn(*shape[:-2], 5, 5, generator=generator)
    flat = coarse.flatten(0, -4)
    return torch.nn.functional.interpolate(flat, shape[-2:], mode="bicubic").reshape(shape)


def test_looking_at_ones_own_place_gives_the_sources_mean_back(generator):
    pictures = smooth(generator, 2, 3, 3, 32, 48)
    looked = copying.places(3, 8, 12).sum(0).expand(2, -1, -1, -1) / 3
    made = copying.sampled(looked, pictures).picture
    inner = (..., slice(4, -4), slice(4, -4))
    assert torch.allclose(made[inner], pictures.mean(1)[inner], atol=1e-4)


def test_a_planted_shift_and_a_planted_share_are_found(generator):
    """Attention that looks two places to the right in the second source alone shifts that source by eight pixels."""
    pictures = smooth(generator, 1, 2, 3, 32, 64)
    looked = copying.places(2, 8, 16)[1:].clone()
    looked[:, 4] += 2 * 2 / 16
    made = copying.sampled(looked, pictures).picture
    assert torch.allclose(made[0, :, 4:-4, 4:-16], pictures[0, 1, :, 4:-4, 12:-8], atol=1e-4)


def test_places_come_through_the_attention_unmixed(generator):
    """One place's key is every query's only match: all of the picture is sampled there."""
    keys = torch.zeros(1, 2, 4, 8, 8)
    keys[0, 1, :, 2, 5] = 50
    query = torch.ones(1, 4, 8, 8)
    pictures = smooth(generator, 1, 2, 3, 32, 32)
    looked = attend(query, Memory(keys, copying.places(2, 8, 8)[None]))
    made = copying.sampled(looked, pictures).picture
    wanted = pictures[0, 1, :, 9:11, 21:23].mean((1, 2))  # the middle of that place lies between these four pixels
    assert torch.allclose(made[0], wanted[:, None, None].expand_as(made[0]), atol=1e-3)


def test_attention_that_finds_every_keypoint_misses_nothing(generator):
    """Planted: all sources are the target moved by (0.25, -0.125); a keypoint that a source hides does not count."""
    target = torch.rand(2, 20, 3, generator=generator) - 0.5
    target[..., 2] = 1
    move = torch.tensor([0.25, -0.125, 0])
    sources = (target + move)[:, None].repeat(1, 2, 1, 1)
    sources[:, 1, :5] = 0
    at = (copying.places(1, 16, 16)[0, 1:] + move[:2, None, None]).expand(2, 2, -1, -1, -1)
    share = torch.full((2, 2, 16, 16), 0.5)
    found = copying.missed(copying.Copied(torch.zeros(()), share, at), target, sources)
    wasted = 0.05 * 5 / 20 * math.log(2)  # half of the weight, at the five keypoints that one source alone shows
    assert float(found) == pytest.approx(wasted, abs=1e-5)
    still = copying.missed(copying.Copied(torch.zeros(()), share, at - move[:2, None, None]), target, sources)
    assert float(still) == pytest.approx(wasted + math.hypot(0.25, 0.125), abs=1e-5)


def test_nearness_is_a_gaussian_about_where_keypoints_lead(generator):
    near = copying.Nearness(0.3)
    query, keys = torch.randn(2, 5, 3, 4, generator=generator), torch.randn(2, 6, 5, 3, 4, generator=generator)
    centres = torch.rand(2, 6, 2, 3, 4, generator=generator) * 2 - 1
    asked, told = near(query, keys, centres)
    at = copying.places(1, 3, 4)[0, 1:].flatten(1)  # [2 K]
    distance = (centres.flatten(3)[..., None] - at[:, None]).square().sum(2)  # [B N Q K]
    plain = torch.einsum("bcq,bnck->bqnk", query.flatten(2), keys.flatten(3)) * 5**-0.5
    plain = (plain - (distance / (2 * 0.3**2)).movedim(1, 2)).flatten(2).softmax(-1)
    grown = torch.einsum("bcq,bnck->bqnk", asked.flatten(2), told.flatten(3)) * 5**-0.5
    assert torch.allclose(grown.flatten(2).softmax(-1), plain, atol=1e-5)


def grids_of(*points: np.ndarray, cells: int = 2, size: int = 64) -> torch.Tensor:
    drawn = [keypoints.splat(each, n=cells, height=size, width=size) for each in points]
    return torch.as_tensor(np.stack(drawn)).movedim(-1, -3)


def body(rng, *, cells: int = 2, landmarks: int = 3) -> np.ndarray:
    """Keypoints at whole pixels all over a picture of 64, each with the UV of its cell."""
    count = len(keypoints.PARTS) * cells**2
    points = np.zeros((count, 5), np.float32)
    points[:, :2] = rng.permutation(48 * 48)[:count, None] // (1, 48) % 48 + 4
    v, u = np.divmod(np.arange(count) % cells**2, cells)
    points[:, 2:] = np.stack([(u + 0.5) / cells, (v + 0.5) / cells, np.ones(count)], 1)
    marks = np.stack([*rng.integers(8, 56, (2, landmarks)), np.ones(landmarks)], 1)
    return np.concatenate([points, keypoints.landmark_points(marks)])


def test_keypoints_lead_to_where_they_are_in_each_source(rng):
    """Planted: the first source is the target moved by (6, -4) pixels, the second shares no keypoint with it."""
    target = body(rng)
    moved, hidden = target + np.float32([6, -4, 0, 0, 0]), target * 0
    sources = grids_of(moved, hidden)[None]
    found = copying.led(grids_of(target), sources, cells=2, landmarks=3)
    own = copying.places(1, 16, 16)[0, 1:]
    assert found.shape == (1, 2, 2, 16, 16)
    off = (found[0, 0] - own) * 32  # pixels
    assert torch.allclose(off.mean((1, 2)), torch.tensor([6.0, -4.0]), atol=0.2)
    assert torch.allclose(found[0, 1], own, atol=1e-6)


def test_a_near_keypoint_leads_more_than_many_far_ones():
    """Two keypoints that move apart: each leads its own surroundings; one that the source hides leads nothing."""
    target, source = np.zeros((56 + 3, 5), np.float32), np.zeros((56 + 3, 5), np.float32)
    for row, x, move in ((0, 10, 4), (5, 54, -4), (10, 32, 30)):
        v, u = divmod(row % 4, 2)
        target[row] = x, 32, (u + 0.5) / 2, (v + 0.5) / 2, 1
        source[row] = x + move, 32, (u + 0.5) / 2, (v + 0.5) / 2, row != 10
    found = copying.led(grids_of(target), grids_of(source)[None], cells=2, landmarks=3)[0, 0]
    off = (found - copying.places(1, 16, 16)[0, 1:])[0, 8] * 32
    assert off[2] == pytest.approx(4, abs=0.3)
    assert off[13] == pytest.approx(-4, abs=0.3)
    assert off.abs().max() < 4.1


def test_landmarks_and_cells_are_told_apart_by_their_codes(rng):
    points = body(rng, cells=3, landmarks=7)
    at, seen = copying._found(grids_of(points, cells=3), 3, 7)
    x, y = np.round(points[:, 0]), np.round(points[:, 1])
    alone = [i for i in range(len(points)) if ((x == x[i]) & (y == y[i])).sum() == 1]
    assert seen[0, alone].all()
    wanted = (torch.as_tensor(points[alone, :2]) + 0.5) / 32 - 1
    assert torch.allclose(at[0, alone], wanted, atol=1e-6)


def test_what_is_mixed_lies_between_the_pictures(generator):
    mix = copying.Mix(6)
    networks.draw_weights(mix, generator)
    painted, copied = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    made = mix(torch.randn(1, 6, 8, 8, generator=generator), painted, copied, torch.full((1, 2, 3, 8, 8), 0.5))
    assert ((made > 0) & (made < 0.5)).all()  # at the start mostly what is painted
    with torch.no_grad():
        mix.shares.weight.zero_()
        mix.shares.bias.copy_(torch.tensor([0.0, 300.0, 0.0, 0.0]))
    assert torch.allclose(mix(torch.zeros(1, 6, 8, 8), painted, copied, torch.zeros(1, 2, 3, 8, 8)), copied)


def test_a_network_without_copying_begins_one_with_it():
    known, network = networks.build(replace(TINY, copy_pixels=False), seed=4), networks.build(TINY, seed=5)
    copying.take_over(network, known)
    before, now = known.state_dict(), network.state_dict()
    for name, value in before.items():
        if name != "generator.enter.weight":
            assert torch.equal(now[name], value), name
    features = torch.randn(1, known.generator.enter.weight.shape[1], 8, 8, generator=torch.Generator().manual_seed(0))
    copied = torch.zeros(1, 3 * copying.PATCH**2, 8, 8).normal_(generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        grown = network.generator.enter(torch.cat([features, copied], 1))
        assert torch.allclose(grown, known.generator.enter(features), atol=1e-5)
    again = networks.build(TINY, seed=6)
    copying.take_over(again, network)
    assert all(torch.equal(value, now[name]) for name, value in again.state_dict().items())


def test_what_does_not_fit_is_said():
    network = networks.build(TINY)
    with pytest.raises(InputError, match="same sizes"):
        copying.take_over(network, networks.build(replace(TINY, latent=4)))
    with pytest.raises(InputError, match="copies pixels"):
        copying.take_over(networks.build(replace(TINY, copy_pixels=False)), network)
