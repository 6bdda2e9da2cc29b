"""Joint sampling against models whose posterior is known; guidance by a photograph; the variants it is compared with."""

import math

import pytest
import torch

from genkey_core import diffusion
from genkey_core.checks import InputError
from genkey_core.diffusion import NoiseLevels
from genkey_core.runtime import torch_generator
from genkey_core.zoom import guidance
from genkey_core.zoom.blend import expand, split
from genkey_core.zoom.sampling import PRESETS, VARIANTS, NotFiniteError, SamplingOptions, sample
from genkey_core.zoom.stack import centre, decimate, render_images

SIZE, P = 32, 2
PLAIN = SamplingOptions(steps=40, guidance_scale=1, threshold="none")


def _noise(*shape, seed=0):
    return torch.randn(shape, generator=torch_generator(seed))


def _levels(steps=40):
    """A cosine schedule from nearly pure noise to nearly none."""
    angles = torch.linspace(1.55, 0.02, steps).double()
    return NoiseLevels((*angles.cos().tolist(), 1.0), (*angles.sin().tolist(), 0.0), tuple(range(steps, 0, -1)))


def _gaussian(means, std, levels, kind="sample"):
    """The best denoiser of a world in which prompt i stands for N(means[i], std^2) in every pixel, by itself."""
    at = {t: (a, s) for t, a, s in zip(levels.timesteps, levels.alphas, levels.sigmas, strict=False)}

    def predict(noisy, t, prompts):
        a, s = at[int(t)]
        mean = torch.stack([means[prompt] for prompt in prompts])
        clean = (a * std**2 * noisy + s**2 * mean) / (a**2 * std**2 + s**2)
        if kind == "sample":
            return clean
        noise = (noisy - a * clean) / s
        return noise if kind == "epsilon" else a * noise - s * clean

    return predict


def _scene(n=4, size=SIZE, p=P, seed=1):
    layers = sum(expand(_noise(n, 3, k, k, seed=seed + k), size, size, size // k) / 4 for k in (4, 8, 16))
    return render_images(layers, p)


def _run(predict, n, *, options=PLAIN, levels=None, seed=0, size=SIZE, kind="sample", **known):
    levels = levels or _levels(options.steps)
    steps = sample(
        predict,
        [str(i) for i in range(n)],
        levels,
        p=P,
        size=(size, size),
        prediction=kind,
        options=options,
        generator=torch_generator(seed),
        **known,
    )
    return list(steps)


def _psnr(a, b):
    return -10 * math.log10(float((a - b).square().mean()) / 4)


# --- the sampler ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", diffusion.PREDICTIONS)
def test_independent_levels_are_draws_from_the_models_own_world(kind):
    levels = _levels(200)
    means = {str(i): torch.full((3, 48, 48), 0.2 * i) for i in range(3)}
    options = SamplingOptions(variant="independent", steps=200, guidance_scale=1, threshold="none")
    last = _run(_gaussian(means, 0.3, levels, kind), 3, options=options, levels=levels, size=48, kind=kind)[-1]
    for i, level in enumerate(last.levels):
        assert float(level.mean()) == pytest.approx(0.2 * i, abs=0.02)
        assert float(level.std()) == pytest.approx(0.3, rel=0.06)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_world_whose_pictures_agree_is_found_by_every_variant(variant):
    scene = _scene()
    predict = _gaussian({str(i): image for i, image in enumerate(scene)}, 0.02, _levels())
    last = _run(predict, 4, options=SamplingOptions(variant=variant, steps=40, guidance_scale=1, threshold="none"))[-1]
    # Plain averaging blurs also what agrees: enlarged views lack the fine detail that they are averaged with.
    assert _psnr(last.levels, scene) > (24 if variant == "naive_blend" else 35)


def test_joint_levels_agree_and_independent_ones_do_not():
    """Pictures that no two levels agree on: the stack settles on something between, the same at every level."""
    means = {str(i): _noise(3, SIZE, SIZE, seed=i) / 2 for i in range(4)}
    differences = {}
    for variant in ("joint", "independent"):
        options = SamplingOptions(variant=variant, steps=40, guidance_scale=1, threshold="none")
        last = _run(_gaussian(means, 0.3, _levels()), 4, options=options)[-1]
        small = decimate(last.levels[1:], P)
        differences[variant] = float((centre(last.levels[:-1], *small.shape[-2:]) - small).abs().max())
    assert differences["joint"] < 1e-6
    assert differences["independent"] > 0.5


def test_naive_blending_and_noise_of_its_own_for_every_level_blur():
    means = {str(i): torch.zeros(3, SIZE, SIZE) for i in range(5)}
    energy = dict.fromkeys(("joint", "naive_blend", "random_noise"), 0.0)
    for variant in energy:
        options = SamplingOptions(variant=variant, steps=40, guidance_scale=1, threshold="none")
        for seed in range(6):
            last = _run(_gaussian(means, 0.5, _levels()), 5, options=options, seed=seed)[-1]
            bands = split(last.levels[4], P)[0]
            energy[variant] += torch.tensor([float(band.square().mean()) for band in bands[:3]])
    joint, naive, random_noise = energy.values()
    assert float(naive[0]) < 0.05 * float(joint[0])  # the finest band is averaged away
    assert float(random_noise[1]) < 0.7 * float(joint[1])  # what views share cancels where their noise differs


@pytest.mark.parametrize("kind", diffusion.PREDICTIONS)
def test_every_kind_of_prediction_gives_the_same_stack(kind):
    scene, levels = _scene(), _levels()
    means = {str(i): image for i, image in enumerate(scene)}
    wanted = _run(_gaussian(means, 0.2, levels), 4)[-1].levels
    got = _run(_gaussian(means, 0.2, levels, kind), 4, kind=kind)[-1].levels
    torch.testing.assert_close(got, wanted, rtol=0, atol=2e-3)


def test_the_network_sees_standard_noise_at_first_and_one_prompt_per_image():
    seen = []

    def predict(noisy, t, prompts):
        seen.append((noisy, float(t), prompts))
        return torch.zeros_like(noisy)

    steps = _run(predict, 3, options=SamplingOptions(steps=5, guidance_scale=4, threshold="static"), size=96)
    noisy, t, prompts = seen[0]
    assert prompts == ["", "", "", "0", "1", "2"]
    assert torch.equal(noisy[:3], noisy[3:])
    assert t == 5
    assert abs(float(noisy.var()) - 1) < 0.03
    assert len(seen) == len(steps) == 5
    assert [step.index for step in steps] == list(range(5))


def test_guidance_goes_beyond_the_prompt_by_its_scale():
    """Eq. 3.12 with 1 + w = 3: one unit of difference between prompted and unprompted becomes three."""

    def predict(noisy, t, prompts):
        return torch.stack([torch.full_like(noisy[0], 0.1 if prompt == "without" else 0.2) for prompt in prompts])

    options = SamplingOptions(steps=3, guidance_scale=3, threshold="none")
    last = _run(predict, 2, options=options, negative="without")[-1]
    torch.testing.assert_close(last.levels, torch.full_like(last.levels, 0.4))


def test_a_variance_that_the_network_adds_is_left_out():
    def predict(noisy, t, prompts):
        return torch.cat([torch.zeros_like(noisy), torch.full_like(noisy, 9.0)], dim=1)

    assert float(_run(predict, 2)[-1].levels.abs().max()) == 0


def test_equal_seeds_give_equal_stacks_and_others_do_not():
    predict = _gaussian({str(i): torch.zeros(3, SIZE, SIZE) for i in range(3)}, 0.5, _levels())
    first, again, other = (_run(predict, 3, seed=seed)[-1].levels for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_closing_the_generator_stops_the_network():
    calls = []

    def predict(noisy, t, prompts):
        calls.append(1)
        return torch.zeros_like(noisy)

    known = {"p": P, "size": (SIZE, SIZE), "prediction": "sample", "options": PLAIN}
    steps = sample(predict, ["a", "b"], _levels(), generator=torch_generator(0), **known)
    next(steps)
    steps.close()
    assert len(calls) == 1


def test_numbers_that_are_none_are_said():
    with pytest.raises(NotFiniteError, match="step 1 of 40"):
        _run(lambda noisy, t, prompts: noisy * math.nan, 2)


def test_sixteen_levels_at_four_times_each():
    known = {"p": 4, "size": (64, 64), "prediction": "sample", "options": PLAIN}
    levels = _levels(3)
    steps = sample(lambda z, t, w: z, ["x"] * 16, levels, generator=torch_generator(0), **known)
    assert list(steps)[-1].levels.isfinite().all()


@pytest.mark.parametrize(
    "wrong", [{"variant": "both"}, {"steps": 0}, {"guidance_scale": 0.5}, {"threshold": "hard"}, {"percentile": 2}]
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        SamplingOptions(**wrong)


def test_the_defaults_are_those_of_the_thesis():
    assert (PRESETS["quality"].steps, PRESETS["quality"].variant, PRESETS["fast"].steps) == (256, "joint", 50)


# --- levels, steps and thresholds -----------------------------------------------------------------------------------


def test_a_step_is_that_of_diffusers_ddpm_scheduler():
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", clip_sample=False, variance_type="fixed_small")
    levels = diffusion.ddpm_levels(scheduler, 1000)
    noisy, clean = _noise(1, 3, 8, 8), _noise(1, 3, 8, 8, seed=1)
    for i in (5, 500, 990):
        t = int(levels.timesteps[i])
        epsilon = (noisy - levels.alphas[i] * clean) / levels.sigmas[i]
        generator = torch_generator(4)
        wanted = scheduler.step(epsilon, t, noisy, generator=generator).prev_sample
        noise = torch.randn(noisy.shape, generator=torch_generator(4))
        got = diffusion.ddpm_step(noisy, clean, noise, levels, i)
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=2e-3)


def test_a_step_keeps_the_marginals_of_any_schedule():
    """Started from z = a x + s e, every level is again a x + s e: for DDPM and for flows with doubled noise."""
    flow = NoiseLevels((0.0, 0.3, 0.7, 1.0), (2.0, 1.4, 0.6, 0.0), (1, 2, 3))
    x = 0.8
    noisy = _noise(1, 1, 300, 300) * flow.sigmas[0]
    for i in range(2):
        noisy = diffusion.ddpm_step(noisy, torch.full_like(noisy, x), _noise(1, 1, 300, 300, seed=i + 1), flow, i)
        assert float(noisy.mean()) == pytest.approx(flow.alphas[i + 1] * x, abs=0.03)
        assert float(noisy.std()) == pytest.approx(flow.sigmas[i + 1], rel=0.02)


def test_levels_of_a_flow_fall_from_pure_noise():
    from diffusers import FlowMatchEulerDiscreteScheduler

    levels = diffusion.flow_levels(FlowMatchEulerDiscreteScheduler(shift=3.0), 28, noise_scale=2.0)
    assert len(levels) == 28
    assert (levels.alphas[0], levels.sigmas[0]) == pytest.approx((0, 2))
    assert (levels.alphas[-1], levels.sigmas[-1]) == (1, 0)
    assert all(a < b for a, b in zip(levels.alphas, levels.alphas[1:], strict=False))


def test_dynamic_thresholds_bring_each_image_back_into_range_and_static_ones_clip():
    clean = torch.stack([torch.full((3, 8, 8), 0.5), torch.full((3, 8, 8), 1.2), torch.full((3, 8, 8), -30.0)])
    dynamic = diffusion.threshold(clean, mode="dynamic")
    assert [float(image[0, 0, 0]) for image in dynamic] == [0.5, 1.0, -1.0]
    spread = torch.linspace(-1.4, 1.4, 2000).view(1, 1, 40, 50)
    squeezed = diffusion.threshold(spread, mode="dynamic", percentile=0.95)
    assert float(squeezed.max()) == 1
    assert float(squeezed[0, 0, 20, 5]) == pytest.approx(float(spread[0, 0, 20, 5]) / 1.33, rel=0.01)
    assert float(diffusion.threshold(spread, mode="static").max()) == 1
    assert torch.equal(diffusion.threshold(spread, mode="none"), spread)


# --- photographs ----------------------------------------------------------------------------------------------------


def test_the_energy_is_equation_6_1():
    levels, photo = _noise(3, 3, 16, 16), _noise(3, 16, 16, seed=9)
    wanted = 0.0
    for i, level in enumerate(levels):
        small = level
        for _ in range(i):
            small = decimate(small, 2)
        wanted += float((small - centre(photo, *small.shape[-2:])).square().sum())
    assert float(guidance.photo_energy(levels, photo, 2)) == pytest.approx(wanted, rel=1e-5)


def test_five_adam_steps_lower_the_energy_and_leave_what_the_photo_does_not_show():
    scene = _scene(n=8)
    photo = scene[0] + 0.6
    moved = guidance.towards_photo(scene, photo, P)
    before, after = (guidance.photo_energy(x, photo, P) for x in (scene, moved))
    assert float(after) < 0.1 * float(before)
    assert torch.equal(moved[6:], scene[6:])  # less than a pixel of the photo
    assert not moved.requires_grad


def test_a_zoom_into_a_photograph_shows_it_and_agrees_with_it_further_in():
    scene, other = _scene(n=4, seed=1), _scene(n=4, seed=50)
    photo = scene[0]
    predict = _gaussian({str(i): image for i, image in enumerate(other)}, 0.4, _levels())
    guided = _run(predict, 4, constrain=lambda x: guidance.towards_photo(x, photo, P))[-1]
    free = _run(predict, 4)[-1]
    assert _psnr(guided.levels[0], photo) > _psnr(free.levels[0], photo) + 6
    held = render_images(guidance.held_to_photo(guided.layers, photo, P), P)
    assert _psnr(held[0], photo) > 45
    small = decimate(decimate(held[2], P), P)
    assert _psnr(small, centre(photo, *small.shape[-2:])) > 40


def test_gradients_work_where_they_are_switched_off():
    with torch.no_grad():
        moved = guidance.towards_photo(torch.zeros(2, 3, 16, 16), torch.ones(3, 16, 16), 2)
    assert float(moved[0].mean()) == pytest.approx(0.5, abs=0.1)
