"""Wan and LTX-Video behind the in-between call: wiring on tiny random pipelines of the published classes."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

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
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=1200, check=True
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
def test_modes_are_ordered_by_what_they_need(spec, monkeypatch):
    machine(monkeypatch, gpu_gb=80)
    free = [mode.free_gb for mode in spec.modes]
    assert free == sorted(free, reverse=True)
    assert [smaller_text_mode(spec, mode, "gpu") for mode in spec.modes] == [*spec.modes[1:], None]
    assert all(smaller_text_mode(spec, mode, "mps").bits == 16 for mode in spec.modes[:-1])
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


@pytest.mark.parametrize("engine", [Wan, LTX])
def test_what_a_clip_needs_is_told_beforehand(engine, monkeypatch):
    machine(monkeypatch, gpu_gb=22 if engine is Wan else 7.5)
    monkeypatch.setattr(hub, "cached", lambda name: None)
    native = engine(Settings(), device="gpu")
    needs = native.needs((1920, 1080))
    assert needs.evaluations == native.preset.steps
    assert needs.evaluations * needs.evaluation_s == pytest.approx(native.gpu_seconds(1920, 1080))
    assert needs.lease_s > native.gpu_seconds(1920, 1080)
    assert needs.memory_mode == native.memory.name
    assert needs.download_bytes == hub.checkpoint(engine.spec.checkpoint).size_bytes
    assert needs.notes == ("The weights are shrunk to 4 bits.",)
    assert needs.lease_s > native.needs((1920, 1080), 9).lease_s


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


# --- on tiny pipelines --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    for package in ("torch", "diffusers", "ftfy", "sentencepiece", "google.protobuf"):
        pytest.importorskip(package)
    from tiny_text import saved_both

    return saved_both(tmp_path_factory.mktemp("text"))


@pytest.fixture
def keyframes(rng):
    return [rng.integers(0, 256, (40, 80, 3), dtype=np.uint8) for _ in range(2)]


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


def test_where_memory_runs_out_an_automatic_mode_goes_on_in_the_next_smaller(folders, keyframes, monkeypatch):
    from genkey_core.inbetween.svd import OutOfMemoryError

    machine(monkeypatch, gpu_gb=79, packages=False)
    tried = []

    def sample(clip, start, end):
        tried.append(clip.memory)
        yield Progress(1, 2)
        if clip.memory != "12 GB":
            raise OutOfMemoryError("memory: it ran out.")
        yield np.zeros((9, 32, 64, 3), np.uint8)

    monkeypatch.setattr(text_engine, "_sample", sample)
    monkeypatch.setattr(text_engine, "_held_model", lambda clip: None)
    native = SmallWan(Settings(), folder=folders["wan"], device="gpu")
    *told, clip = native.native(*keyframes, n_frames=9, seed=0)
    assert clip.shape[0] == 9
    assert tried == ["80 GB", "48 GB", "12 GB"], "those that shrink weights need bitsandbytes"
    notes = [record.note for record in told if record.lasting]
    assert notes == [f"memory ran out; going on in the {name} mode" for name in ("48 GB", "12 GB")]
    assert native.memory.name == "12 GB"
    asked = SmallLTX(Settings(memory="16 GB"), folder=folders["ltx"], device="gpu")
    with pytest.raises(OutOfMemoryError, match="it ran out"):
        list(asked.native(*keyframes, seed=0))
    assert tried[3:] == ["16 GB"], "a mode that was asked for stays"


def test_a_lease_is_asked_for_by_the_estimate_and_told_in_plain_values(folders, keyframes, monkeypatch):
    asked = []

    def lease(*, duration):
        return lambda function: lambda *args: (asked.append((args, duration(*args))), function(*args))[1]

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lease))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr(text_engine, "_sample", runtime.gpu(duration=text_engine._lease_s)(text_engine._sample))
    native = SmallLTX(Settings(), folder=folders["ltx"], device="cpu")
    assert list(native.native(*keyframes, n_frames=9, seed=0))[-1].shape == (9, 32, 64, 3)
    (((clip, *arrays), seconds),) = asked
    assert seconds == int(np.ceil(native.gpu_seconds(80, 40, 9) * 1.5))
    assert json.loads(json.dumps(asdict(clip)))["n_frames"] == 9
    assert all(isinstance(array, np.ndarray) for array in arrays)


def test_the_clip_becomes_frames_at_the_positions_and_the_size_of_the_keyframes(folders, keyframes):
    from genkey_core.inbetween.learned import Learned

    settings = Settings(prompt="a cat", seed=5)
    engine = Learned(SmallLTX(settings, folder=folders["ltx"], device="cpu"), settings)
    made = list(engine.between(*keyframes, np.array([0.2, 0.5, 0.9])))
    frames = [item for item in made if isinstance(item, np.ndarray)]
    assert [frame.shape for frame in frames] == [(40, 80, 3)] * 3
    assert any(isinstance(item, Progress) and item.preview is not None for item in made)
