"""Engines of the zoom: what cannot run is refused in words before any work; whole stacks on tiny models of the same classes."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("diffusers")
import tiny_pixel

from genkey_core import hub, runtime
from genkey_core.checks import InputError
from genkey_core.runtime import Memory
from genkey_core.zoom import engines, gpu, making
from genkey_core.zoom.engines import Full, Mini, Progress, choose_engine
from genkey_core.zoom.prompts import Ladder
from genkey_core.zoom.sampling import VARIANTS
from genkey_core.zoom.settings import Settings

LADDER = Ladder(("a green forest", "a tree from above", "a leaf"), 2)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {
        "if": tiny_pixel.save_if(root / "if"),
        "filtered": tiny_pixel.save_if(root / "filtered", filtered=True),
        "stage": tiny_pixel.save_stage(root / "stage"),
        "x4": tiny_pixel.save_x4(root / "x4"),
        "prx": tiny_pixel.save_prx(root / "prx"),
    }


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Three steps of sampling, two of super-resolution, and no model left over from another test."""
    known = {name: dataclasses.replace(preset, steps=3) for name, preset in engines_presets().items()}
    monkeypatch.setattr("genkey_core.zoom.settings.PRESETS", known)
    monkeypatch.setattr("genkey_core.zoom.cascade.STAGE_STEPS", {"fast": 2, "quality": 2})
    monkeypatch.setattr(making, "_held", {})


def engines_presets():
    from genkey_core.zoom.sampling import PRESETS

    return PRESETS


def _run(engine, ladder=LADDER, photo=None):
    *said, levels = engine.stack(ladder, photo)
    assert all(isinstance(item, Progress) for item in said)
    return said, levels


def _consistent(levels, p=2):
    """Largest difference of a level's middle from the next level, box-averaged, in grey levels."""
    n, size = len(levels), levels.shape[1]
    small = levels[1:].reshape(n - 1, size // p, p, size // p, p, 3).mean((2, 4))
    at = (size - size // p) // 2
    return np.abs(levels[:-1, at : at + size // p, at : at + size // p] - small).max()


# --- mini -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_mini_makes_a_stack_in_every_variant(folders, variant):
    said, levels = _run(Mini(Settings(variant=variant, size=64), folders["if"]))
    assert (levels.shape, levels.dtype) == ((3, 64, 64, 3), np.uint8)
    shown = [item for item in said if item.previews is not None]
    assert [item.done for item in shown] == [1, 2, 3]
    assert all(item.total == 3 and item.previews.shape == (3, 16, 16, 3) for item in shown)
    if variant != "independent":
        assert _consistent(levels.astype(float)) <= 1.5  # both are rounded


def test_equal_seeds_give_equal_stacks(folders):
    first, again, other = (_run(Mini(Settings(seed=seed, size=64), folders["if"]))[1] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_level_0_shows_the_photo(folders):
    photo = np.zeros((100, 100, 3), np.uint8)
    photo[30:70, 20:60] = (200, 90, 30)
    _, levels = _run(Mini(Settings(size=64), folders["if"]), photo=photo)
    wanted = np.asarray(making.media.fit_image(photo, (64, 64), mode="crop"), float)
    outside = np.ones((64, 64), bool)
    outside[12:52, 12:52] = False
    assert np.abs(levels[0].astype(float) - wanted)[outside].mean() < 2
    assert np.abs(levels[0].astype(float) - wanted).mean() < 25  # enlarged from 16 pixels, so its edges are soft


def test_sampling_stops_when_the_generator_is_closed_and_the_model_is_free_again(folders):
    engine = Mini(Settings(size=64), folders["if"])
    work = engine.stack(LADDER)
    for item in work:
        if item.previews is not None:
            break
    work.close()
    assert _run(engine)[1].shape == (3, 64, 64, 3)


def test_images_too_small_for_the_factor_are_said(folders):
    with pytest.raises(InputError, match="too few"):
        _run(Mini(Settings(), folders["if"]), Ladder(LADDER.prompts, 16))


def test_words_that_mini_does_not_know_are_said_before_the_run(folders):
    engine = Mini(Settings(), folders["if"])
    said = engine.warnings(Ladder(("a green Dragon, from above", "a tree", "a dragon of fire"), 2))
    assert said[0].startswith("Level 1: mini does not know 'dragon';")
    assert said[1].startswith("Level 3: mini does not know 'dragon', 'of', 'fire';")
    assert len(said) == 2
    assert engine.vocabulary() == sorted(tiny_pixel.WORDS)


def test_a_missing_mini_checkpoint_is_said(tmp_path):
    with pytest.raises(InputError, match="zoom into your own images"):
        Mini(Settings(), tmp_path / "mini-zoom")


def test_needs_grow_with_levels_and_steps(folders):
    engine = Mini(Settings(), folders["if"])
    assert engine.needs(12).seconds > engine.needs(6).seconds > 0
    assert engine.needs(6).lease_s == 0


# --- full and prx ---------------------------------------------------------------------------------------------------


def test_full_goes_through_its_cascade_and_the_levels_agree_at_the_new_size(folders):
    stages = (str(folders["stage"]), str(folders["x4"]))
    said, levels = _run(Full(Settings(size=512), folders["if"], stages=stages, device="cpu"))
    assert levels.shape == (3, 512, 512, 3)
    notes = [item.note for item in said if "enlarged" in item.note]
    assert notes == [f"level {i} of 3 enlarged to {size}" for size in (32, 64) for i in (1, 2, 3)]
    assert said[-1].done == said[-1].total == 9
    assert _consistent(levels.astype(float)) <= 1.5


def test_full_without_super_resolution_and_for_a_photo(folders):
    stages = (str(folders["stage"]), str(folders["x4"]))
    engine = Full(Settings(size=64), folders["if"], stages=stages, device="cpu")
    said, levels = _run(engine)
    assert levels.shape == (3, 64, 64, 3)
    assert not any("enlarged" in item.note for item in said)
    engine = Full(Settings(size=256), folders["if"], stages=stages, device="cpu")
    assert _run(engine, photo=np.full((80, 80, 3), 99, np.uint8))[1].shape == (3, 256, 256, 3)


def test_the_authors_filter_has_the_last_word(folders):
    engine = Full(Settings(size=64), folders["filtered"], stages=("", ""), device="cpu")
    said, levels = _run(engine)
    assert "safety filter" in said[-1].note
    assert levels.max() > 0
    tiny_pixel.refuse_everything(folders["filtered"])
    with pytest.raises(InputError, match="level 1, 2, 3: the safety filter"):
        _run(engine)


def test_prx_samples_at_its_own_size(folders):
    engine = engines.PRX(Settings(size=64), folders["prx"], device="cpu")
    engine._steps = lambda: 3
    said, levels = _run(engine)
    assert levels.shape == (3, 64, 64, 3)
    assert sum(item.previews is not None for item in said) == 3


def test_without_a_gpu_the_big_engines_are_refused_and_auto_is_mini(folders, monkeypatch):
    monkeypatch.setattr(runtime, "best_device", lambda: "cpu")
    for name in ("full", "prx"):
        with pytest.raises(InputError, match="a GPU is needed"):
            choose_engine(name)
    monkeypatch.setattr(engines, "MINI_FOLDER", folders["if"])
    assert choose_engine("auto").name == "mini"
    with pytest.raises(InputError, match="one of auto, mini"):
        choose_engine("best")


@pytest.fixture
def with_gpu(monkeypatch):
    """A machine that says it has a GPU; nothing is run on it."""
    memory = {"gpu": 80, "ram": 80}
    monkeypatch.setattr(runtime, "best_device", lambda: "gpu")
    monkeypatch.setattr(
        runtime, "available_memory", lambda _: Memory(int(memory["ram"] * 1e9), int(memory["gpu"] * 1e9))
    )
    monkeypatch.setattr(hub, "cached", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    return memory


def test_gated_weights_without_a_token_are_said_before_anything_is_fetched(with_gpu):
    with pytest.raises(
        InputError, match=r"accept it at https://huggingface.co/DeepFloyd/IF-I-XL-v1.0, and set HF_TOKEN"
    ):
        choose_engine("full")
    engine = choose_engine("prx")  # open to everyone
    assert engine.needs(8).download_bytes == hub.checkpoint("prx-pixel").size_bytes


def test_offline_machines_without_the_weights_are_told(with_gpu, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
        choose_engine("prx")


def test_memory_modes_follow_what_is_free_and_what_was_asked_for(with_gpu, monkeypatch):
    assert gpu.memory_mode("full", "gpu").name == "40 GB"
    with_gpu["gpu"] = 20
    assert gpu.memory_mode("full", "gpu").name == "24 GB"
    assert gpu.memory_mode("full", "gpu", "40 GB").name == "40 GB"
    with pytest.raises(InputError, match="bitsandbytes"):
        gpu.memory_mode("full", "gpu", "16 GB")
    with_gpu["gpu"] = 11
    with pytest.raises(InputError, match="16 GB without"):
        gpu.memory_mode("full", "gpu")
    monkeypatch.setattr(gpu, "_can_shrink", lambda _: True)
    assert gpu.memory_mode("full", "gpu").text_bits == 4
    with_gpu["gpu"] = 4
    with pytest.raises(InputError, match=r"10.5 GB free on the GPU .* this machine has 4.0 GB"):
        gpu.memory_mode("full", "gpu")
    with pytest.raises(InputError, match="smallest memory mode"):
        gpu.memory_mode("prx", "gpu", "12 GB")


def test_checkpoints_of_the_zoom_are_pinned():
    for name in ("if-i-xl", "if-ii-l", "x4-upscaler", "prx-pixel", "instruct"):
        entry = hub.checkpoint(name)
        assert len(entry.revision) == 40
        assert entry.gated == name.startswith("if-")
