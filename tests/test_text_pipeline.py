"""Wan and LTX-Video: wiring on tiny random pipelines of the published classes, through the real loading code."""

import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("ftfy")
pytest.importorskip("sentencepiece")
pytest.importorskip("google.protobuf")

from safetensors.torch import load_file  # noqa: E402
from tiny_text import saved, saved_both, tiny_ltx  # noqa: E402

from genkey_core import InputError, runtime  # noqa: E402
from genkey_core.inbetween.engines import Progress  # noqa: E402
from genkey_core.inbetween.sampling import NotFiniteError  # noqa: E402
from genkey_core.inbetween.svd import OutOfMemoryError  # noqa: E402
from genkey_core.inbetween.text_pipeline import load  # noqa: E402
from genkey_core.inbetween.text_specs import LTX_SPEC, WAN_SPEC  # noqa: E402

KINDS = ("wan", "ltx")
SIZE, FRAMES, STEPS = (64, 32), 9, 2


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return saved_both(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def models(folders):
    return {kind: load(folders[kind], kind) for kind in KINDS}


@pytest.fixture
def keyframes(rng):
    return [rng.integers(0, 256, (40, 80, 3), dtype=np.uint8) for _ in range(2)]


def run(model, start, end, *, prompt="a cat", n_frames=FRAMES, steps=STEPS, seed=1):
    return model.clip(start, end, prompt=prompt, size=SIZE, n_frames=n_frames, steps=steps, seed=seed)


def clip_of(model, start, end, **asked) -> np.ndarray:
    return list(run(model, start, end, **asked))[-1]


@pytest.fixture
def running():
    """How many threads of work there are that were not there before the test: `running()`."""
    before = set(threading.enumerate())
    return lambda: sum(t.name == "genkey-work" and t not in before for t in threading.enumerate())


@pytest.mark.parametrize("kind", KINDS)
def test_two_keyframes_in_one_clip_out_with_a_preview_per_step(models, keyframes, kind, running):
    *told, clip = run(models[kind], *keyframes, steps=3)
    assert clip.shape == (FRAMES, SIZE[1], SIZE[0], 3)
    assert clip.dtype == np.uint8
    assert all(isinstance(record, Progress) for record in told)
    assert [record.done for record in told if record.preview is not None] == [1, 2, 3]
    assert {record.total for record in told} == {3}
    previews = [record.preview for record in told if record.preview is not None]
    assert all(p.dtype == np.uint8 and p.shape == (128, 256, 3) for p in previews)
    assert told[0].note
    assert running() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_is_asked_for_reaches_the_model(models, keyframes, kind):
    model, (start, end) = models[kind], keyframes
    first = clip_of(model, start, end)
    assert np.array_equal(clip_of(model, start, end), first), "the same seed, the same clip"
    others = {
        "last picture": clip_of(model, start, 255 - end),
        "first picture": clip_of(model, 255 - start, end),
        "prompt": clip_of(model, start, end, prompt="a dog sleeps"),
        "seed": clip_of(model, start, end, seed=2),
    }
    for what, other in others.items():
        assert not np.array_equal(other, first), what
    assert clip_of(model, start, end, n_frames=17).shape[0] == 17


@pytest.mark.parametrize("kind", KINDS)
def test_the_clip_is_that_of_the_pipeline_of_diffusers(folders, models, keyframes, kind):
    from diffusers import DiffusionPipeline, LTXConditionPipeline
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
    from PIL import Image

    pipes = {"wan": DiffusionPipeline, "ltx": LTXConditionPipeline}
    pipe = pipes[kind].from_pretrained(folders[kind])
    # transformers leaves the encoder's second table of embeddings at random where the configuration does not tie it
    pipe.text_encoder.set_input_embeddings(pipe.text_encoder.shared)
    first, last = (Image.fromarray(k).resize(SIZE, Image.Resampling.LANCZOS) for k in keyframes)
    spec = models[kind].spec
    asked = {"width": SIZE[0], "height": SIZE[1], "num_frames": FRAMES, "num_inference_steps": STEPS, "prompt": "a cat"}
    asked |= {"negative_prompt": spec.negative_prompt, "guidance_scale": spec.guidance, "output_type": "np"}
    asked |= {"generator": torch.Generator().manual_seed(1)}
    if kind == "wan":
        theirs = pipe(image=first, last_image=last, **asked).frames[0]
    else:
        ends = [LTXVideoCondition(image=first), LTXVideoCondition(image=last, frame_index=FRAMES - 1)]
        theirs = pipe(conditions=ends, frame_rate=25, decode_timestep=0.05, decode_noise_scale=0.025, **asked).frames[0]
    assert np.abs(clip_of(models[kind], *keyframes) / 255 - theirs).max() < 1 / 255


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_encoder_reads_its_own_words_back(folders, models, kind):
    stored = load_file(folders[kind] / "text_encoder/model.safetensors")
    (table,) = [t for name, t in stored.items() if name in ("shared.weight", "encoder.embed_tokens.weight")]
    encoder = models[kind].pipe.text_encoder
    assert torch.equal(encoder.encoder.embed_tokens.weight, table)
    assert torch.equal(encoder.shared.weight, table)


@pytest.mark.parametrize("kind", KINDS)
def test_the_preview_shows_the_keyframe_it_was_fitted_on(models, kind):
    from PIL import Image

    model = models[kind]
    ramp = np.zeros((*SIZE[::-1], 3), np.uint8)
    ramp[:, : SIZE[0] // 2] = (250, 30, 30)
    pictures = [Image.fromarray(ramp), Image.fromarray(ramp[:, ::-1])]
    paint = model._painter(pictures, 1)
    from genkey_core.media import to_float

    latents = model._encode(to_float(ramp)[None, :, None])  # [C h w]
    known = latents[None, :, None] if kind == "wan" else latents.flatten(1).T[None]
    preview = paint(known).astype(int)
    left, right = preview[:, : preview.shape[1] // 3], preview[:, -preview.shape[1] // 3 :]
    assert left[..., 0].mean() > right[..., 0].mean() + 40


@pytest.mark.parametrize("kind", KINDS)
def test_closing_early_stops_the_model_and_its_thread(models, keyframes, kind, monkeypatch, running):
    model, calls = models[kind], []
    forward = model.pipe.transformer.forward
    monkeypatch.setattr(model.pipe.transformer, "forward", lambda *a, **k: (calls.append(1), forward(*a, **k))[1])
    records = run(model, *keyframes, steps=40)
    assert next(r for r in records if r.done == 1).preview is not None
    records.close()
    assert running() == 0
    assert 1 <= len(calls) <= 2 * 5, "a few steps may be under way"
    so_far = len(calls)
    assert clip_of(model, *keyframes).shape[0] == FRAMES, "free for the next job"
    assert len(calls) > so_far


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_inside_the_pipeline_surfaces_and_leaves_the_model_usable(
    models, keyframes, kind, monkeypatch, running
):
    model = models[kind]
    before = clip_of(model, *keyframes)
    with monkeypatch.context() as patch:
        patch.setattr(model.pipe.transformer, "forward", lambda *a, **k: (_ for _ in ()).throw(KeyError("planted")))
        with pytest.raises(KeyError, match="planted"):
            clip_of(model, *keyframes)
    assert running() == 0
    assert np.array_equal(clip_of(model, *keyframes), before)


def test_failures_of_sampling_are_sentences(models, keyframes, monkeypatch):
    model = models["wan"]

    def fails(error, answer, match):
        with monkeypatch.context() as patch:
            patch.setattr(model.pipe.transformer, "forward", answer)
            with pytest.raises(error, match=match):
                clip_of(model, *keyframes)

    def full(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr("genkey_core.inbetween.text_pipeline.MEMORY", ("auto", "40 GB", "12 GB"))
    monkeypatch.setattr("genkey_core.inbetween.text_specs._installed", lambda name: name != "bitsandbytes")
    fails(OutOfMemoryError, full, "in the mode 80 GB; choose the memory mode 12 GB")
    monkeypatch.setattr(model, "memory", WAN_SPEC.modes[-1])
    fails(OutOfMemoryError, full, "in the mode 12 GB; choose the preset fast, or fewer frames")
    fails(
        NotFiniteError,
        lambda hidden_states, **_: (hidden_states[:, :16] * float("nan"),),
        "not numbers at step 1 of 2; try another seed",
    )
    monkeypatch.setattr(model, "_run", lambda *a, **k: torch.zeros(FRAMES, 3, *SIZE))
    with pytest.raises(InputError, match="came out black"):
        clip_of(model, *keyframes)
    assert clip_of(model, *(np.zeros_like(k) for k in keyframes)).max() == 0, "black keyframes may give a black clip"
    monkeypatch.setattr(model, "_run", lambda *a, **k: torch.full((FRAMES, 3, *SIZE), float("nan")))
    with pytest.raises(NotFiniteError, match="decoding"):
        clip_of(model, *keyframes)


def test_two_jobs_take_turns_on_one_model(models, keyframes):
    model = models["ltx"]
    alone = clip_of(model, *keyframes)
    waiting = run(model, *keyframes, steps=30)
    next(r for r in waiting if r.done == 1)
    second = run(model, *keyframes)
    assert next(second).note == "waiting for another clip to finish"
    waiting.close()
    assert np.array_equal(list(second)[-1], alone)


@pytest.mark.parametrize("kind", KINDS)
def test_in_half_precision_the_parts_have_the_types_of_the_authors(folders, models, keyframes, kind):
    half = load(folders[kind], kind, dtype=torch.bfloat16)
    types = {name: part.dtype for name, part in half.pipe.components.items() if isinstance(part, torch.nn.Module)}
    assert types["transformer"] == types["text_encoder"] == torch.bfloat16
    assert types["vae"] == (torch.float32 if kind == "wan" else torch.bfloat16)
    far = np.abs(clip_of(half, *keyframes).astype(int) - clip_of(models[kind], *keyframes)).mean()
    assert 0 < far < 16, "rounding, no more"


@pytest.mark.parametrize("kind", KINDS)
def test_a_saving_mode_asks_the_pipeline_to_offload_to_the_device(folders, kind, monkeypatch):
    spec = {"wan": WAN_SPEC, "ltx": LTX_SPEC}[kind]
    monkeypatch.setattr(runtime, "best_device", lambda: "cpu")
    asked = []

    def noting(name: str):
        return lambda *args, **known: asked.append((name, *args, *known.values()))

    for mode in spec.modes:
        if mode.bits < 16:
            with pytest.raises(InputError, match="bits need an NVIDIA GPU; choose another memory mode"):
                load(folders[kind], kind, memory=mode)
            continue
        model = load(folders[kind], kind, device="some GPU", dtype=torch.float32, memory=mode)
        for name in ("enable_model_cpu_offload", "enable_sequential_cpu_offload", "to"):
            monkeypatch.setattr(model.pipe, name, noting(name))
        asked.clear()
        model._place()
        model._place()
        wanted = {"": "to", "parts": "enable_model_cpu_offload", "layers": "enable_sequential_cpu_offload"}
        assert asked == [(wanted[mode.offload], "some GPU")]
        assert model.pipe.vae.use_tiling == mode.tile


@pytest.mark.parametrize("mode", WAN_SPEC.modes[-1:] + LTX_SPEC.modes[-1:], ids=lambda mode: mode.name)
def test_tiles_change_memory_not_these_small_clips(folders, models, keyframes, mode):
    kind = "wan" if mode in WAN_SPEC.modes else "ltx"
    saving = load(folders[kind], kind, memory=mode)
    assert np.array_equal(clip_of(saving, *keyframes), clip_of(models[kind], *keyframes))
    assert saving.pipe.vae.use_tiling


def test_the_schedule_of_ltx_is_not_shifted_a_second_time(tmp_path, keyframes):
    from diffusers import FlowMatchEulerDiscreteScheduler

    pipe = tiny_ltx()
    pipe.scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.1, shift=3.0)
    model = load(saved(pipe, tmp_path / "shifted"), "ltx")
    assert clip_of(model, *keyframes).shape[0] == FRAMES
    scheduler = model.pipe.scheduler
    assert torch.allclose(scheduler.sigmas[:-1] * 1000, scheduler.timesteps)
