"""Wan and LTX-Video behind the in-between call: wiring on tiny random pipelines of the published classes."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkey_core import InputError, hub, runtime
from genkey_core.inbetween import text_engine, text_specs
from genkey_core.inbetween.engines import Progress
from genkey_core.inbetween.settings import Settings
from genkey_core.inbetween.text_engine import LTX, Wan
from genkey_core.inbetween.text_specs import (
    LTX_SPEC,
    NEUTRAL_PROMPT,
    WAN_SPEC,
    TextPreset,
    choose_text_mode,
    smaller_text_mode,
    text_size,
)

ROOT = Path(__file__).resolve().parents[1]
SPECS = (WAN_SPEC, LTX_SPEC)
PRESETS = {"fast": TextPreset(2, 64 * 32), "quality": TextPreset(3, 64 * 64)}
GB = 10**9


class SmallWan(Wan):
    spec = replace(WAN_SPEC, presets=PRESETS)


class SmallLTX(LTX):
    spec = replace(LTX_SPEC, presets=PRESETS)


def machine(monkeypatch, *, gpu_gb: float | None, ram_gb: float = 64, packages: bool = True) -> None:
    """A machine with so much memory free, with or without bitsandbytes."""
    memory = runtime.Memory(ram=int(ram_gb * GB), gpu=None if gpu_gb is None else int(gpu_gb * GB))
    monkeypatch.setattr(runtime, "available_memory", lambda device: memory)
    monkeypatch.setattr(text_specs, "_installed", lambda name: packages or name != "bitsandbytes")


# --- what needs no model ------------------------------------------------------------------------------------------


def test_importing_the_engines_loads_no_model_library():
    code = "import sys, genkey_core.inbetween.text_engine; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert {"torch", "diffusers", "transformers"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("engine", [Wan, LTX])
def test_without_a_gpu_a_sentence_comes_before_any_loading(engine, monkeypatch):
    machine(monkeypatch, gpu_gb=None)
    monkeypatch.setattr(text_engine, "_held_model", lambda clip: pytest.fail("loaded"))
    with pytest.raises(
        InputError, match=r"a GPU is needed, and this machine has none; the draft engine runs without\.$"
    ):
        engine(Settings())


@pytest.mark.parametrize("engine", [Wan, LTX])
def test_a_missing_package_is_named_with_the_command_that_installs_it(engine, monkeypatch):
    monkeypatch.setattr(text_specs, "_installed", lambda name: name not in ("ftfy", "google.protobuf"))
    with pytest.raises(InputError, match=r"pip install (ftfy|protobuf)\.$"):
        engine(Settings(), device="cpu")


def test_prompts_are_bounded_and_an_empty_one_is_neutral():
    assert SmallWan(Settings(prompt="   "), device="cpu").prompt == NEUTRAL_PROMPT
    assert SmallWan(Settings(prompt=" a cat "), device="cpu").prompt == "a cat"
    assert len(SmallWan(Settings(prompt="x" * 2000), device="cpu").prompt) == 2000
    with pytest.raises(InputError, match="at most 2,000 characters are taken, got 10,000"):
        SmallWan(Settings(prompt="x" * 10_000), device="cpu")
    with pytest.raises(InputError, match="prompt: a text is needed"):
        SmallWan(Settings(prompt=3), device="cpu")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_modes_are_ordered_by_what_they_need(spec):
    free = [mode.free_gb for mode in spec.modes]
    assert free == sorted(free, reverse=True)
    assert [smaller_text_mode(spec, mode) for mode in spec.modes] == [*spec.modes[1:], None]
    assert all(mode.free_gb < int(mode.name.removesuffix(" GB")) for mode in spec.modes)


def test_the_memory_mode_follows_what_is_free_and_installed(monkeypatch):
    def chosen(spec, wanted="auto", **memory):
        machine(monkeypatch, **memory)
        return choose_text_mode(spec, "gpu", wanted).name

    assert [chosen(WAN_SPEC, gpu_gb=gb) for gb in (79, 47, 39, 23, 15.5, 11)] == [
        "80 GB",
        "48 GB",
        "40 GB",
        "24 GB",
        "16 GB",
        "12 GB",
    ]
    assert chosen(WAN_SPEC, gpu_gb=23, packages=False) == "12 GB", "the others need bitsandbytes"
    assert chosen(WAN_SPEC, gpu_gb=79, ram_gb=20) == "40 GB", "whole weights do not fit into main memory"
    assert [chosen(LTX_SPEC, gpu_gb=gb) for gb in (23, 15, 11.5, 7.5, 5.5)] == [
        "24 GB",
        "16 GB",
        "12 GB",
        "8 GB",
        "6 GB",
    ]
    assert chosen(WAN_SPEC, "24 GB", gpu_gb=79) == "24 GB"
    assert chosen(LTX_SPEC, "40 GB", gpu_gb=79) == "24 GB", "the largest not above it"
    with pytest.raises(InputError, match=r"10 GB free on the GPU and 50 GB of main memory are needed.*4\.0 GB"):
        chosen(WAN_SPEC, gpu_gb=4)
    with pytest.raises(InputError, match="wan: 8 GB are too few; the smallest memory mode is 12 GB"):
        chosen(WAN_SPEC, "8 GB", gpu_gb=79)
    with pytest.raises(InputError, match=r"memory mode 24 GB: a package is missing.*pip install bitsandbytes"):
        chosen(WAN_SPEC, "24 GB", gpu_gb=79, packages=False)
    with pytest.raises(InputError, match="memory mode: auto or a size"):
        chosen(WAN_SPEC, "lots", gpu_gb=79)


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(SPECS), st.sampled_from(["fast", "quality"]))
def test_sizes_fit_the_model_the_budget_and_the_shape(width, height, spec, preset):
    pixels = spec.presets[preset].pixels
    w, h = text_size(spec, width, height, pixels)
    assert w % spec.unit == h % spec.unit == 0
    assert 0.8 * pixels <= w * h <= pixels
    aspect = min(max(width / height, 1 / 3), 3)
    assert abs(np.log(w / h / aspect)) < 0.06
    assert text_size(spec, width, height, 1) == (spec.unit, spec.unit)


@given(st.integers(2, 500), st.sampled_from(SPECS))
def test_numbers_of_frames_are_the_models_own(n, spec):
    count = spec.nearest_frames(n)
    step = 4 if spec is WAN_SPEC else 8
    assert count in spec.frame_counts
    assert count % step == 1
    assert abs(count - n) <= max(step // 2, n - spec.frame_counts[-1], spec.frame_counts[0] - n)
    assert spec.nearest_frames(count) == count
    assert spec.nearest_frames(None) == spec.usual_frames in spec.frame_counts


@pytest.mark.parametrize("engine", [Wan, LTX])
def test_the_estimate_grows_with_frames_size_and_care(engine):
    fast, quality = (engine(Settings(preset=preset), device="cpu") for preset in ("fast", "quality"))
    seconds = [fast.gpu_seconds(1920, 1080, n) for n in engine.spec.frame_counts]
    assert seconds == sorted(seconds)
    assert 0 < seconds[0] < seconds[-1] < quality.gpu_seconds(1920, 1080, engine.spec.frame_counts[-1])
    saving = replace(engine.spec, modes=engine.spec.modes[-1:])
    assert saving.modes[0].slower > engine.spec.modes[0].slower


def test_the_download_is_announced_until_it_is_here(monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "cached", lambda name: None)
    assert Wan(Settings(), device="cpu").download_bytes() == 90_000_000_000
    assert Wan(Settings(), device="cpu", folder=tmp_path).download_bytes() == 0
    monkeypatch.setattr(hub, "cached", lambda name: tmp_path)
    assert LTX(Settings(), device="cpu").download_bytes() == 0


def test_the_published_files_make_a_whole_pipeline():
    for spec, parts in ((WAN_SPEC, 14 + 5 + 1 + 1), (LTX_SPEC, 4 + 1 + 1)):
        files = hub.checkpoint(spec.checkpoint).files
        assert sum(file.endswith(".safetensors") for file in files) == parts
        assert len(files) == len(set(files))
        for part in ("transformer", "vae", "text_encoder"):
            assert f"{part}/config.json" in files
        for index in (file for file in files if file.endswith(".index.json")):
            assert index.replace(".safetensors.index.json", f"-{1:05d}-of-") in "".join(files)


def test_fetching_is_told_and_can_be_cancelled(monkeypatch, tmp_path):
    stopped = []

    def fetch(name, *, progress=None):
        if progress:
            try:
                for done in range(0, 1001):
                    progress(done * GB // 10, 100 * GB, "vae/model.safetensors")
            except BaseException:
                stopped.append(name)
                raise
        return tmp_path

    monkeypatch.setattr(hub, "cached", lambda name: None)
    monkeypatch.setattr(hub, "fetch", fetch)
    monkeypatch.setattr(text_engine, "_held_model", lambda clip: None)
    monkeypatch.setattr(text_engine, "_sample", lambda clip, start, end: iter([clip.folder]))
    picture = np.zeros((32, 64, 3), np.uint8)
    *told, folder = SmallWan(Settings(), device="cpu").native(picture, picture, seed=0)
    assert folder == str(tmp_path)
    assert told[0] == Progress(0, 2, note="fetching wan-flf2v: 0 % of 100.0 GB")
    assert len(told) == 101 + 1
    assert told[-1].note == "loading wan"
    assert stopped == []
    cancelled = SmallWan(Settings(), device="cpu").native(picture, picture, seed=0)
    next(cancelled)
    cancelled.close()
    assert stopped == ["wan-flf2v"]


# --- tiny pipelines -----------------------------------------------------------------------------------------------

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("ftfy")
pytest.importorskip("sentencepiece")

KINDS = ("wan", "ltx")
SIZE, FRAMES, STEPS = (64, 32), 9, 2


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    from tiny_text import saved, tiny_ltx, tiny_wan

    root = tmp_path_factory.mktemp("text")
    return {"wan": saved(tiny_wan(), root / "wan"), "ltx": saved(tiny_ltx(), root / "ltx")}


@pytest.fixture(scope="module")
def models(folders):
    from genkey_core.inbetween.text_pipeline import load

    return {kind: load(folders[kind], kind) for kind in KINDS}


@pytest.fixture
def keyframes(rng):
    return [rng.integers(0, 256, (40, 80, 3), dtype=np.uint8) for _ in range(2)]


def run(model, start, end, *, prompt="a cat", n_frames=FRAMES, steps=STEPS, seed=1):
    return model.clip(start, end, prompt=prompt, size=SIZE, n_frames=n_frames, steps=steps, seed=seed)


def clip_of(model, start, end, **asked) -> np.ndarray:
    return list(run(model, start, end, **asked))[-1]


def running() -> int:
    return sum(thread.name == "genkey-work" for thread in threading.enumerate())


@pytest.mark.parametrize("kind", KINDS)
def test_two_keyframes_in_one_clip_out_with_a_preview_per_step(models, keyframes, kind):
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
    from safetensors.torch import load_file

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
def test_closing_early_stops_the_model_and_its_thread(models, keyframes, kind, monkeypatch):
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
def test_an_exception_inside_the_pipeline_surfaces_and_leaves_the_model_usable(models, keyframes, kind, monkeypatch):
    model = models[kind]
    before = clip_of(model, *keyframes)
    with monkeypatch.context() as patch:
        patch.setattr(model.pipe.transformer, "forward", lambda *a, **k: (_ for _ in ()).throw(KeyError("planted")))
        with pytest.raises(KeyError, match="planted"):
            clip_of(model, *keyframes)
    assert running() == 0
    assert np.array_equal(clip_of(model, *keyframes), before)


def test_failures_of_sampling_are_sentences(models, keyframes, monkeypatch):
    from genkey_core.inbetween.sampling import NotFiniteError
    from genkey_core.inbetween.svd import OutOfMemoryError

    model = models["wan"]

    def fails(error, answer, match):
        with monkeypatch.context() as patch:
            patch.setattr(model.pipe.transformer, "forward", answer)
            with pytest.raises(error, match=match):
                clip_of(model, *keyframes)

    def full(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    fails(OutOfMemoryError, full, "in the mode 80 GB; choose the memory mode 48 GB")
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


@pytest.mark.parametrize("mode", WAN_SPEC.modes[-1:] + LTX_SPEC.modes[-1:], ids=lambda mode: mode.name)
def test_tiles_change_memory_not_these_small_clips(folders, models, keyframes, mode):
    from genkey_core.inbetween.text_pipeline import load

    kind = "wan" if mode in WAN_SPEC.modes else "ltx"
    saving = load(folders[kind], kind, memory=mode)
    assert np.array_equal(clip_of(saving, *keyframes), clip_of(models[kind], *keyframes))
    assert saving.pipe.vae.use_tiling


# --- reading folders ----------------------------------------------------------------------------------------------


def broken(folder: Path, copy: Path, damage) -> Path:
    import shutil

    shutil.copytree(folder, copy)
    damage(copy)
    return copy


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def without_a_tensor(path: Path, *, containing: str, only: tuple[str, ...] = ()) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    name = next(name for name in tensors if containing in name and (not only or name in only))
    del tensors[name]
    save_file(tensors, path, metadata={"format": "pt"})


TABLES = ("shared.weight", "encoder.embed_tokens.weight")
DAMAGE = {
    "no folder": (lambda f: f.rename(f.with_name("gone")), "no ltx model was found"),
    "no index": (lambda f: (f / "model_index.json").write_text("{"), "model_index.json in .* cannot be read"),
    "another model": (
        lambda f: (f / "model_index.json").write_text('{"_class_name": "StableVideoDiffusionPipeline"}'),
        "LTXPipeline or LTXConditionPipeline is needed for ltx, got 'StableVideoDiffusionPipeline'",
    ),
    "no transformer": (lambda f: (f / "transformer/config.json").unlink(), "incomplete or damaged"),
    "half a transformer": (
        lambda f: truncate(f / "transformer/diffusion_pytorch_model.safetensors"),
        "incomplete or damaged",
    ),
    "half a text encoder": (lambda f: truncate(f / "text_encoder/model.safetensors"), "incomplete or damaged"),
    "a tensor less": (
        lambda f: without_a_tensor(
            f / "transformer/diffusion_pytorch_model.safetensors", containing="attn1.to_q.weight"
        ),
        "transformer in .* lacks 1 tensors; fetch it anew",
    ),
    "a word less": (
        lambda f: without_a_tensor(f / "text_encoder/model.safetensors", containing="SelfAttention.q.weight"),
        "text_encoder in .* lacks 1 tensors; fetch it anew",
    ),
    "no embeddings": (
        lambda f: without_a_tensor(f / "text_encoder/model.safetensors", containing=".weight", only=TABLES),
        "text_encoder in .* lacks its embeddings",
    ),
    "no vocabulary": (lambda f: (f / "tokenizer/tokenizer.json").unlink(), "tokenizer .* is incomplete|damaged"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_folder_is_named(folders, tmp_path, what):
    from genkey_core.inbetween.text_pipeline import load

    damage, words = DAMAGE[what]
    copy = broken(folders["ltx"], tmp_path / "copy", damage)
    with pytest.raises(InputError, match=words):
        load(copy, "ltx")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"expand_timesteps": True}, "takes a first picture only"),
        (
            {"in_channels": 16, "image_dim": None, "added_kv_proj_dim": None, "pos_embed_seq_len": None},
            "takes no pictures",
        ),
        ({"pos_embed_seq_len": None}, "looks at one picture only"),
    ],
)
def test_wan_models_that_take_no_last_picture_are_refused(tmp_path, changes, words):
    from tiny_text import saved, tiny_wan

    from genkey_core.inbetween.text_pipeline import load

    with pytest.raises(InputError, match=words):
        load(saved(tiny_wan(**changes), tmp_path / "wan"), "wan")


# --- the engines --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("engine", "kind"), [(SmallWan, "wan"), (SmallLTX, "ltx")])
def test_an_engine_loads_once_and_makes_a_clip_of_the_keyframes_shape(folders, keyframes, engine, kind, monkeypatch):
    from genkey_core.inbetween import text_pipeline

    loaded, load = [], text_pipeline.load
    monkeypatch.setattr(text_pipeline, "load", lambda *a, **k: (loaded.append(a), load(*a, **k))[1])
    monkeypatch.setattr(text_engine, "_held", {})
    native = engine(Settings(prompt="a cat"), folder=folders[kind], device="cpu")
    assert native.name == kind
    *told, clip = native.native(*keyframes, n_frames=10, seed=3)
    assert clip.shape == (9, 32, 64, 3)
    assert clip.dtype == np.uint8
    assert told[0].note == f"loading {kind}"
    assert told[-1].done == told[-1].total == 2
    careful = engine(Settings(prompt="a cat", preset="quality"), folder=folders[kind], device="cpu")
    assert list(careful.native(*keyframes, n_frames=9, seed=3))[-1].shape[1:] == (*careful.size(80, 40)[::-1], 3)
    assert len(loaded) == 1


def test_keyframes_of_two_sizes_are_refused(folders, keyframes):
    native = SmallWan(Settings(), folder=folders["wan"], device="cpu")
    with pytest.raises(InputError, match="both keyframes must have one size"):
        next(native.native(keyframes[0], keyframes[1][:, :60], seed=0))
