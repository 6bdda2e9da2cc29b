"""Progressive outpainting and super-resolution: each level keeps what it is given of its neighbour."""

from itertools import pairwise

import pytest
import torch

from genkey_core.checks import InputError
from genkey_core.diffusion import NoiseLevels
from genkey_core.runtime import torch_generator
from genkey_core.zoom.baselines import NetworkBaselines, progressive_outpainting, progressive_super_resolution
from genkey_core.zoom.sampling import SamplingOptions
from genkey_core.zoom.stack import centre, decimate

SIZE, P = (32, 32), 2
PROMPTS = ["0.6", "0.0", "-0.6"]


def _network():
    """A world in which a prompt is a grey with a little noise; the best denoiser of it."""
    angles = torch.linspace(1.55, 0.02, 30).double()
    levels = NoiseLevels((*angles.cos().tolist(), 1.0), (*angles.sin().tolist(), 0.0), tuple(range(30)))

    def predict(noisy, t, prompts):
        a, s, std = levels.alphas[int(t)], levels.sigmas[int(t)], 0.1
        mean = torch.tensor([float(prompt) for prompt in prompts]).view(-1, 1, 1, 1)
        return (a * std**2 * noisy + s**2 * mean) / (a**2 * std**2 + s**2)

    options = SamplingOptions(variant="independent", steps=30, guidance_scale=1, threshold="none")
    generator = torch_generator(0)
    return NetworkBaselines(predict, levels, p=P, size=SIZE, prediction="sample", options=options, generator=generator)


def test_outpainting_keeps_the_closer_level_in_the_middle_and_paints_the_rest():
    network = _network()
    levels = list(progressive_outpainting(network.generate, network.fill, PROMPTS, p=P))
    assert len(levels) == 3
    for closer, wider, prompt in zip(levels, levels[1:], reversed(PROMPTS[:-1]), strict=False):
        small = decimate(closer, P)
        torch.testing.assert_close(centre(wider, *small.shape[-2:]), small, rtol=0, atol=1e-6)
        assert float(wider[:, 0].mean()) == pytest.approx(float(prompt), abs=0.05)


def test_super_resolution_enlarges_the_middle_of_the_wider_level():
    network = _network()
    levels = list(progressive_super_resolution(network.generate, network.enlarge, PROMPTS, p=P))
    for wider, closer in pairwise(levels):
        small = decimate(closer, P)
        middle = centre(wider, *small.shape[-2:])
        assert float((small - middle).square().mean().sqrt()) < 0.03
        assert float(closer.mean()) == pytest.approx(
            0.6, abs=0.06
        )  # the wide level's, whatever the prompt: as in Fig. 6.8


def test_one_level_is_no_zoom():
    network = _network()
    with pytest.raises(InputError, match="at least 2"):
        next(progressive_outpainting(network.generate, network.fill, ["0"], p=P))
    with pytest.raises(InputError, match="at least 2"):
        next(progressive_super_resolution(network.generate, network.enlarge, ["0"], p=P))
