"""The zoom stack: levels agree exactly, rendered noise stays standard normal, nothing drifts off the centre."""

import pytest
import torch

from genkey_core.checks import InputError
from genkey_core.runtime import torch_generator
from genkey_core.zoom import stack

SIZES = [(64, 64, 2), (64, 64, 4), (65, 65, 2), (66, 66, 4), (63, 63, 3), (60, 48, 5), (33, 64, 2), (64, 64, 8)]


def _noise(*shape, seed=0):
    return torch.randn(shape, generator=torch_generator(seed))


def _blob(height, width, sigma):
    """A round blob at the exact centre of the picture, sampled with the integral of each pixel."""

    def axis(n):
        edges = (torch.arange(n + 1, dtype=torch.float64) - n / 2) / sigma
        return torch.special.ndtr(edges).diff()

    return (axis(height)[:, None] * axis(width)[None]).float()[None]


def _centroid(image):
    """Offset of the brightness' centre from the picture's, in pixels: (y, x)."""
    mass = image[0].double()
    ys = torch.arange(mass.shape[0], dtype=torch.float64) - (mass.shape[0] - 1) / 2
    xs = torch.arange(mass.shape[1], dtype=torch.float64) - (mass.shape[1] - 1) / 2
    total = mass.sum()
    return float((mass.sum(1) * ys).sum() / total), float((mass.sum(0) * xs).sum() / total)


def _as_printed(layers, p, *, noise):
    """Alg. 3 to the letter, a level and a layer at a time, for sizes that p divides: masks, padding, D by p^d."""
    n, _, height, width = layers.shape
    levels = []
    for i in range(n):
        level = layers[i]
        for j in range(i + 1, n):
            small = layers[j]
            for _ in range(j - i):
                smaller = stack.decimate_noise if noise else stack.decimate
                small = smaller(small, p) if min(small.shape[-2:]) >= 2 * p else small[..., :0, :0]
            mask, padded = torch.zeros(1, height, width), torch.zeros_like(level)
            stack.centre(mask, *small.shape[-2:])[:] = 1
            stack.centre(padded, *small.shape[-2:])[:] = small
            level = mask * padded + (1 - mask) * level
        levels.append(level)
    return torch.stack(levels)


@pytest.mark.parametrize(("height", "width", "p"), SIZES)
def test_every_level_holds_the_next_one_in_its_middle(height, width, p):
    levels = stack.render_images(_noise(6, 3, height, width), p)
    small = stack.decimate(levels[1:], p)
    assert min(small.shape[-2:]) >= 1
    torch.testing.assert_close(stack.centre(levels[:-1], *small.shape[-2:]), small, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width", "p"), SIZES)
def test_outside_its_middle_a_level_is_its_own_layer(height, width, p):
    layers = _noise(4, 3, height, width)
    levels = stack.render_images(layers, p)
    inner = torch.zeros(height, width, dtype=torch.bool)
    stack.centre(inner, stack.covered(height, p), stack.covered(width, p))[:] = True
    assert torch.equal(levels[:, :, ~inner], layers[:, :, ~inner])
    assert torch.equal(levels[-1], layers[-1])


@pytest.mark.parametrize(("p", "levels"), [(2, 5), (4, 3), (8, 2)])
@pytest.mark.parametrize("noise", [False, True])
def test_rendering_is_algorithm_3(p, levels, noise):
    layers = _noise(levels, 2, 64, 64)
    render = stack.render_noise if noise else stack.render_images
    torch.testing.assert_close(render(layers, p), _as_printed(layers, p, noise=noise), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("height", "width", "p"), SIZES)
def test_rendered_noise_is_standard_normal_at_every_level(height, width, p):
    n, draws = 5, 400
    layers = _noise(n, draws, height, width, seed=3)  # the channels stand for independent draws
    for level in stack.render_noise(layers, p):
        count = level.numel()
        assert abs(float(level.mean())) < 5 / count**0.5
        assert abs(float(level.var()) - 1) < 5 * (2 / count) ** 0.5
        # neighbours, also across the border of the middle, share nothing
        for near in ((level[:, 1:] * level[:, :-1]), (level[:, :, 1:] * level[:, :, :-1])):
            assert abs(float(near.mean())) < 5 / near.numel() ** 0.5
        per_pixel = level.var(dim=0)
        assert float((per_pixel - 1).abs().max()) < 7 * (2 / draws) ** 0.5


@pytest.mark.parametrize(("height", "width", "p"), SIZES)
def test_rendered_noise_has_no_covariance_between_pixels(height, width, p):
    """Exactly, and not by drawing: rows of the noise operator are orthonormal along each axis."""
    for size in (height, width):
        matrix = stack.reduction(size, stack.covered(size, p), p, noise=True)
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(len(matrix)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width", "p"), SIZES)
def test_neighbouring_levels_share_their_noise(height, width, p):
    levels = stack.render_noise(_noise(3, 50, height, width), p)
    small = stack.decimate(levels[1], p)
    middle = stack.centre(levels[0], *small.shape[-2:])
    correlation = torch.corrcoef(torch.stack([small.flatten(), middle.flatten()]))[0, 1]
    assert correlation > (0.99 if p % 2 or height % 2 == 0 else 0.6)  # odd sizes leave pixels between windows out


@pytest.mark.parametrize(("height", "width", "p"), SIZES)
def test_a_centred_blob_stays_centred_at_every_level(height, width, p):
    layers = torch.stack([_blob(height, width, min(height, width) / 6)] * 6)
    for level in stack.render_images(layers, p):
        y, x = _centroid(level)
        assert abs(y) < 0.01
        assert abs(x) < 0.01


@pytest.mark.parametrize(("height", "width", "p"), SIZES)
def test_decimation_places_what_it_shrinks(height, width, p):
    """A ramp that is 1 per pixel about the centre becomes one of p per pixel about the same centre."""
    ramp = (torch.arange(width) - (width - 1) / 2).expand(1, height, width)
    small = stack.decimate(ramp, p)
    wanted = p * (torch.arange(small.shape[-1]) - (small.shape[-1] - 1) / 2)
    torch.testing.assert_close(small, wanted.expand_as(small), rtol=0, atol=1e-3)


def test_constant_images_stay_constant():
    for height, width, p in SIZES:
        levels = stack.render_images(torch.full((5, 3, height, width), 0.3), p)
        torch.testing.assert_close(levels, torch.full_like(levels, 0.3), rtol=0, atol=1e-6)


@pytest.mark.parametrize("p", [2, 4])
def test_sixteen_levels_are_rendered(p):
    layers = _noise(16, 3, 64, 64)
    assert stack.render_images(layers, p).isfinite().all()
    assert abs(float(stack.render_noise(_noise(16, 200, 16, 16), p).var()) - 1) < 0.01


def test_half_precision_comes_back_in_single():
    layers = _noise(3, 3, 32, 32)
    levels = stack.render_images(layers.half(), 2)
    assert levels.dtype == torch.float32
    torch.testing.assert_close(levels, stack.render_images(layers, 2), rtol=0, atol=2e-3)


@pytest.mark.parametrize("p", [1, 0, -2, 2.5, True, "2"])
def test_a_factor_that_is_no_whole_number_of_two_or_more_is_refused(p):
    with pytest.raises(InputError, match="zoom factor"):
        stack.render_images(torch.zeros(2, 3, 16, 16), p)


def test_images_too_small_for_their_factor_are_refused():
    with pytest.raises(InputError, match="20x20 pixels are too few"):
        stack.render_images(torch.zeros(2, 3, 20, 20), 64)
