"""Multi-resolution blending: splitting and merging is the identity, agreement is a fixed point, sharpness stays."""

import pytest
import torch

from benchmarks import zoom_plain
from genkey_core.checks import InputError
from genkey_core.runtime import torch_generator
from genkey_core.zoom.blend import (
    blend,
    blend_naively,
    expand,
    expand_middle,
    gaussian_pyramid,
    invented_bands,
    merge,
    pyramid_sizes,
    split,
)
from genkey_core.zoom.sampling import agreeing
from genkey_core.zoom.stack import centre, decimate, render_images

SIZES = [(64, 64, 2), (64, 64, 4), (65, 65, 2), (66, 66, 4), (63, 63, 3), (60, 48, 5), (33, 64, 2), (64, 64, 8)]


def _noise(*shape, seed=0):
    return torch.randn(shape, generator=torch_generator(seed))


def _scene(n, size, p, seed=0):
    """A stack whose levels agree: noise at many scales, rendered."""
    layers = sum(expand(_noise(n, 3, k, k, seed=seed + k), size, size, size // k) / 3 for k in (4, 8, 16, 32))
    return render_images(layers, p)


@pytest.mark.parametrize(("height", "width", "p"), SIZES)
def test_splitting_and_merging_is_the_identity(height, width, p):
    images = _noise(2, 3, height, width)
    bands, rest = split(images, p)
    assert [tuple(part.shape[-2:]) for part in (*bands, rest)] == pyramid_sizes(height, width, p)
    torch.testing.assert_close(merge(bands, rest, p), images, rtol=0, atol=2e-6)


def test_pyramids_end_with_a_few_pixels():
    assert pyramid_sizes(64, 64, 2)[-1] == (2, 2)
    assert pyramid_sizes(64, 64, 4) == [(64, 64), (16, 16), (4, 4)]
    assert pyramid_sizes(27, 27, 3)[-1] == (3, 3)


@pytest.mark.parametrize(("height", "width", "p"), SIZES)
def test_constants_are_averaged_over_the_views_that_count(height, width, p):
    n = 4
    levels = torch.arange(n).view(n, 1, 1, 1).expand(n, 3, height, width).float()
    for i, layer in enumerate(blend(levels, p)):
        counted = min(i, len(pyramid_sizes(height, width, p)) - 1)
        wanted = sum(range(i - counted, i + 1)) / (counted + 1)
        torch.testing.assert_close(layer, torch.full_like(layer, wanted), rtol=0, atol=1e-5)


@pytest.mark.parametrize("p", [2, 4])
def test_images_that_agree_already_are_given_back(p):
    scene = _scene(6, 64, p)
    assert float(scene.std()) > 0.3
    torch.testing.assert_close(blend(scene, p), scene, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width", "p"), [(65, 65, 2), (66, 66, 4), (33, 64, 2)])
def test_also_where_sizes_do_not_divide_but_at_the_border(height, width, p):
    """There the pyramid's outermost pixels lie half outside the picture, and a wider view shows what is there."""
    scene = render_images(expand(_noise(5, 3, height // 4, width // 4), height, width, 4), p)
    error = (blend(scene, p) - scene)[..., 8:-8, 8:-8]
    assert float(error.square().mean().sqrt()) < 0.06 * float(scene.std())


@pytest.mark.parametrize(("height", "width", "p"), SIZES)
def test_each_band_is_the_mean_of_those_that_have_it(height, width, p):
    levels = _noise(5, 2, height, width)
    layers = blend(levels, p)
    pyramids = [gaussian_pyramid(level, p) for level in levels]
    sizes = pyramid_sizes(height, width, p)
    for i in range(5):
        means = []
        for k, size in enumerate(sizes):
            views = [
                [centre(pyramids[i - d][m - d], *sizes[m]) for m in (k, k + 1)[: len(sizes) - k]]
                for d in range(min(i, k) + 1)
            ]
            bands = [view[0] - (expand(view[1], *size, p) if len(view) == 2 else 0) for view in views]
            means.append(sum(bands) / len(bands))
        torch.testing.assert_close(layers[i], merge(means[:-1], means[-1], p), rtol=0, atol=2e-5)


@pytest.mark.parametrize("p", [2, 4])
def test_it_does_what_the_thesis_says_written_plainly(p):
    """Views cropped, enlarged and split one by one differ only in how a band ends at the border of a view."""
    levels = _scene(4, 64, p) + 0.1 * _noise(4, 3, 64, 64)
    mine, plain = blend(levels, p), zoom_plain.blend(levels, p)
    inner = (mine - plain)[..., 16:48, 16:48]
    assert float(inner.square().mean().sqrt()) < 0.12 * float(plain.std())
    assert float((blend_naively(levels, p) - plain)[..., 16:48, 16:48].square().mean().sqrt()) > float(
        inner.square().mean().sqrt()
    )


@pytest.mark.parametrize("p", [2, 4])
def test_the_finest_band_stays_and_naive_averaging_loses_it(p):
    levels = _noise(6, 3, 64, 64)  # sharp everywhere, and no two levels agree
    finest = split(levels, p)[0][0]
    # merging adds the finest band to something smooth, so it stays but for what the coarse bands add to it
    kept = split(blend(levels, p), p)[0][0]
    assert float((kept - finest)[1:].square().mean().sqrt()) < 0.35 * float(finest.std())
    lost = split(blend_naively(levels, p), p)[0][0]
    assert float(lost[-1].std()) < 0.45 * float(finest[-1].std())


def test_a_naive_layer_is_the_mean_of_its_enlarged_views():
    levels = _noise(3, 1, 32, 32)
    wanted = (levels[2] + expand_middle(levels[1], 2) + expand_middle(levels[0], 4)) / 3
    torch.testing.assert_close(blend_naively(levels, 2)[2], wanted, rtol=0, atol=1e-6)
    assert torch.equal(blend_naively(levels, 2)[0], levels[0])


@pytest.mark.parametrize("p", [2, 4])
def test_sixteen_levels_blend_although_the_outermost_view_is_far_below_a_pixel(p):
    levels = _noise(16, 3, 64, 64)
    levels[0] = 1000.0  # seen by the first few layers alone
    layers = blend(levels, p)
    assert layers.isfinite().all()
    assert float(layers[1].mean()) > 100
    assert float(layers[8:].abs().max()) < 20
    assert blend_naively(levels, p).isfinite().all()


def test_agreeing_images_hold_the_next_one_in_their_middle():
    images = agreeing(_noise(4, 3, 48, 48), 2)
    torch.testing.assert_close(centre(images[:-1], 24, 24), decimate(images[1:], 2), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("p", "invented"), [(2, 2), (4, 1)])
def test_what_an_upscaler_made_up_does_not_blur_what_a_finer_level_saw(p, invented):
    """A scene that agrees is seen at a quarter of its size and enlarged smoothly: fine levels must keep their detail."""
    assert invented_bands(4, p) == invented
    scene = _scene(5, 128, p)
    enlarged = expand(decimate(decimate(scene, 2), 2), 128, 128, 4)
    errors = {n: float((agreeing(enlarged, p, invented=n) - scene)[1:].square().mean()) for n in (0, invented)}
    assert errors[invented] < 0.8 * errors[0]
    assert errors[invented] < 1.4 * float((render_images(enlarged, p) - scene)[1:].square().mean())  # each level alone


@pytest.mark.parametrize("invented", [0, 1, 2, 3, 7])
def test_invented_bands_count_for_their_own_level_alone(invented):
    levels = _noise(5, 2, 64, 64)
    layers = blend(levels, 2, invented=invented)
    pyramids, sizes = [gaussian_pyramid(level, 2) for level in levels], pyramid_sizes(64, 64, 2)
    for i in range(5):
        means = []
        for k, size in enumerate(sizes):
            bands = []
            for d in [0, *range(1, min(i, k - invented) + 1)]:
                here = centre(pyramids[i - d][k - d], *size)
                last = k + 1 == len(sizes)
                bands.append(
                    here if last else here - expand(centre(pyramids[i - d][k + 1 - d], *sizes[k + 1]), *size, 2)
                )
            means.append(sum(bands) / len(bands))
        torch.testing.assert_close(layers[i], merge(means[:-1], means[-1], 2), rtol=0, atol=2e-5)


def test_levels_too_small_for_their_factor_are_refused():
    with pytest.raises(InputError, match="too few"):
        blend(torch.zeros(2, 3, 4, 4), 4)
