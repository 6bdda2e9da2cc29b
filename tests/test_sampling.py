"""Dual-directional sampling on fake networks: planted videos come back, and both directions count (thesis Alg. 2)."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from tiny_svd import N_FRAMES, tiny_scheduler  # noqa: E402

from genkey_core import InputError, diffusion  # noqa: E402
from genkey_core.inbetween.sampling import (  # noqa: E402
    PRESETS,
    VARIANTS,
    Condition,
    NotFiniteError,
    SamplingOptions,
    fuse,
    sample,
)

SHAPE = (1, N_FRAMES, 4, 3, 5)
QUICK = SamplingOptions(steps=6, recurrence=2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def condition(value: float) -> Condition:
    return Condition(torch.full(SHAPE, value), torch.full((1, 1, 8), value), torch.zeros(1, 3))


def network_that_knows(video_of):
    """A perfect v-predictor: at every noise level it answers as if the clean video were `video_of(condition)`."""

    def predict(x, t, told):
        sigma = torch.exp(4 * t)  # t = ln(sigma) / 4
        s = (sigma**2 + 1) ** 0.5
        clean = video_of(told)
        return (x / s - clean) * s / sigma

    return predict


def run(predict, options=QUICK, *, start=1.0, end=2.0, seed=0, **kwargs):
    schedule = diffusion.sigma_schedule(tiny_scheduler(), options.steps)
    last = None if end is None else condition(end)
    return list(sample(predict, condition(start), last, schedule, options=options, generator=seeded(seed), **kwargs))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("split", [False, True])
def test_a_network_that_knows_the_video_gets_it_whatever_the_variant(variant, split):
    planted = torch.randn(SHAPE, generator=seeded(4))

    def video(told):  # the backward half, told of the other keyframe, sees it in reversed time
        backward = told.image_latents[:, 0, 0, 0, 0] == 2.0
        null = told.image_latents[:, 0, 0, 0, 0] == 0.0
        if len(null) > 1 and not split:  # unconditional videos stand before their conditional ones
            backward = backward | (null & backward.roll(-1))
        if split and null.all() and len(null) == 2:
            backward = torch.tensor([False, True])
        return torch.where(backward[:, None, None, None, None], planted.flip(1), planted)

    steps = run(network_that_knows(video), replace(QUICK, variant=variant), split_guidance=split)
    assert torch.allclose(steps[-1].latents, planted, atol=1e-3)
    assert all(torch.allclose(step.preview, planted, atol=1e-1) for step in steps[2:])


def test_both_keyframes_are_averaged_or_weighted_by_nearness():
    predict = network_that_knows(lambda told: told.image_latents)
    options = replace(QUICK, min_guidance=1.0, max_guidance=1.0)
    average = run(predict, options)[-1].latents
    linear = run(predict, replace(options, fuse="linear"))[-1].latents
    assert torch.allclose(average, torch.full(SHAPE, 1.5), atol=1e-3)
    expected = torch.linspace(1, 2, N_FRAMES)[None, :, None, None, None].expand(SHAPE)
    assert torch.allclose(linear, expected, atol=1e-3)
    forward = run(predict, replace(options, variant="forward"), end=None)[-1].latents
    assert torch.allclose(forward, torch.ones(SHAPE), atol=1e-3)


def test_fusing_brings_the_backward_direction_into_forward_time():
    v = torch.randn(SHAPE, generator=seeded())
    half = torch.tensor(0.5)
    assert torch.allclose(fuse(v, v.flip(1), half), v)


def test_guidance_of_two_directions_is_the_same_at_both_ends_of_time():
    one = diffusion.guidance_ramp(5, 1.0, 3.0, symmetric=False).flatten()
    both = diffusion.guidance_ramp(5, 1.0, 3.0, symmetric=True).flatten()
    assert one.tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert torch.equal(both, both.flip(0))
    assert both.tolist() == [2.0] * 5


def test_every_evaluation_is_one_record_and_recurrence_fills_the_first_half():
    steps = run(network_that_knows(lambda told: told.image_latents))
    assert [s.index for s in steps] == list(range(QUICK.evaluations))
    assert {s.total for s in steps} == {QUICK.evaluations} == {3 * 3 + 3}
    assert [s.step for s in steps] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4, 5]
    assert PRESETS["quality"].evaluations == 25 * 6 + 25
    assert PRESETS["fast"].evaluations == 12 * 3 + 13
    assert replace(PRESETS["quality"], variant="forward").evaluations == 50


def test_recurrence_goes_back_to_the_noise_level_it_left():
    schedule = diffusion.sigma_schedule(tiny_scheduler(), 10)
    high, low = schedule.sigmas[2], schedule.sigmas[3]
    lower = float(low) * torch.randn(200_000, generator=seeded())
    assert float(diffusion.renoise(lower, high, low, generator=seeded(1)).std()) == pytest.approx(float(high), rel=0.01)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    def predict(x, t, told):
        return torch.tanh(x + told.image_latents)

    first, again, other = (run(predict, seed=seed)[-1].latents for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-2)


def test_closing_the_generator_stops_the_network():
    calls = []

    def predict(x, t, told):
        calls.append(t)
        return x

    schedule = diffusion.sigma_schedule(tiny_scheduler(), QUICK.steps)
    steps = sample(predict, condition(1.0), condition(2.0), schedule, options=QUICK, generator=seeded())
    next(steps)
    steps.close()
    assert len(calls) == 1


def test_values_that_are_no_numbers_end_the_run_in_a_sentence_and_keep_what_was_yielded():
    def predict(x, t, told):
        return x * (float("nan") if len(kept) == 3 else 1)

    kept = []
    schedule = diffusion.sigma_schedule(tiny_scheduler(), QUICK.steps)
    steps = sample(predict, condition(1.0), condition(2.0), schedule, options=QUICK, generator=seeded())
    with pytest.raises(NotFiniteError, match="not numbers at step 2 of 6"):
        kept.extend(steps)
    assert len(kept) == 3
    assert all(step.latents.isfinite().all() for step in kept)


def test_euler_steps_equal_the_scheduler_of_diffusers_bit_for_bit():
    scheduler = tiny_scheduler()
    scheduler.set_timesteps(7)
    schedule = diffusion.sigma_schedule(tiny_scheduler(), 7)
    assert float(schedule.initial_sigma) == float(scheduler.init_noise_sigma)
    x = theirs = torch.randn(SHAPE, generator=seeded()) * schedule.initial_sigma
    for i, t in enumerate(scheduler.timesteps):
        assert torch.equal(t, schedule.timesteps[i])
        sigma, sigma_next = schedule.sigmas[i], schedule.sigmas[i + 1]
        assert torch.equal(diffusion.scale_input(x, sigma), scheduler.scale_model_input(theirs, t))
        v = torch.sin(x)
        x = diffusion.euler_step(x, diffusion.denoised_from_v(v, x, sigma), sigma, sigma_next)
        theirs = scheduler.step(v, t, theirs).prev_sample
        assert torch.equal(x, theirs)


def test_v_target_is_what_gives_the_clean_video_back():
    clean, noise = (torch.randn(SHAPE, generator=seeded(i)) for i in (1, 2))
    for sigma in torch.tensor([0.01, 1.0, 50.0]):
        v = diffusion.v_target(clean, noise, sigma)
        assert torch.allclose(diffusion.denoised_from_v(v, clean + sigma * noise, sigma), clean, atol=1e-3)


def test_log_normal_sigmas_have_the_median_and_spread_asked_for():
    logs = diffusion.log_normal_sigmas((50_000,), mean=0.7, std=1.6, generator=seeded()).log()
    assert float(logs.mean()) == pytest.approx(0.7, abs=0.03)
    assert float(logs.std()) == pytest.approx(1.6, abs=0.03)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"variant": "sideways"}, "variant: one of dual"),
        ({"steps": 0}, "steps: must be between 1 and 1000"),
        ({"recurrence": -1}, "recurrence: must be"),
        ({"fuse": "median"}, "fuse: one of"),
        ({"max_guidance": float("nan")}, "guidance: a finite number"),
        ({"noise_aug": -0.1}, "noise augmentation: must be"),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        SamplingOptions(**wrong)


def test_a_missing_keyframe_or_a_schedule_of_another_length_is_refused():
    with pytest.raises(InputError, match="first and a last keyframe"):
        run(lambda x, t, told: x, end=None)
    schedule = diffusion.sigma_schedule(tiny_scheduler(), 3)
    with pytest.raises(InputError, match="6 noise levels"):
        next(sample(lambda x, t, c: x, condition(1.0), condition(2.0), schedule, options=QUICK, generator=seeded()))
