"""The engine full on a pretended GPU: memory modes, overflow, what it lacks, and fetching it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest_plugins = ["tiny_engines"]  # the fixtures
pytest.register_assert_rewrite(*pytest_plugins)

from tiny_engines import clip_of  # noqa: E402
from tiny_svd import N_FRAMES  # noqa: E402

from genkey_core import InputError, hub, inbetween, runtime  # noqa: E402
from genkey_core.inbetween import svd, svd_engine, svd_shelf, svd_weights  # noqa: E402
from genkey_core.inbetween.sampling import PRESETS  # noqa: E402
from genkey_core.inbetween.settings import Settings  # noqa: E402
from genkey_core.inbetween.svd_engine import Full  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


def test_full_samples_like_mini_where_its_weights_are_here(accelerator, keyframes):
    said, clip = clip_of(Full(Settings()), keyframes)
    assert clip.shape[0] == N_FRAMES
    assert [p.done for p in said if p.preview is not None] == [1, 2, 3, 3]
    assert not any(p.lasting for p in said)


def test_running_out_of_memory_goes_on_in_the_next_smaller_mode_and_stays_there(accelerator, keyframes, monkeypatch):
    honest, tried = svd.StableVideo.predict, []

    def predict(self, latents, t, condition):
        tried.append(self.memory.name)
        if self.memory.name == "40 GB" and len(tried) > 2:
            raise svd.OutOfMemoryError("memory: it ran out.")
        return honest(self, latents, t, condition)

    monkeypatch.setattr(svd.StableVideo, "predict", predict)
    said, clip = clip_of(Full(Settings()), keyframes)
    assert clip.shape[0] == N_FRAMES
    assert [p.note for p in said if p.lasting] == ["The GPU's memory ran out; this went on in the 24 GB mode."]
    assert [p.done for p in said if p.preview is not None] == [1, 2, 1, 2, 3, 3], "the clip began anew"
    accelerator["gb"] = 1.0  # the model itself takes what was free
    assert Full(Settings()).needs((48, 32)).memory_mode == "24 GB"
    assert not any(p.lasting for p in clip_of(Full(Settings()), keyframes)[0])


def test_after_the_smallest_mode_the_sentence_remains(accelerator, keyframes, monkeypatch):
    def predict(self, *_):
        raise svd.OutOfMemoryError(f"memory: it ran out in the mode {self.memory.name}; choose fewer frames.")

    monkeypatch.setattr(svd.StableVideo, "predict", predict)
    said = []
    with pytest.raises(InputError, match="it ran out in the mode 12 GB; choose fewer frames"):
        said.extend(Full(Settings()).native(*keyframes, n_frames=None, seed=0))
    assert not any(entry.turn.locked() for entry in svd_shelf._models.values())


def test_half_precision_that_overflows_goes_on_in_bfloat16(accelerator, keyframes, monkeypatch):
    monkeypatch.setattr(svd.StableVideo, "with_memory", lambda self, memory: self)
    honest = svd.StableVideo.predict

    def predict(self, latents, t, condition):
        return honest(self, latents, t, condition) * (float("inf") if self.unet.dtype == torch.float16 else 1)

    monkeypatch.setattr(svd.StableVideo, "predict", predict)
    said, clip = clip_of(Full(Settings()), keyframes)
    assert [p.note for p in said if p.lasting] == ["Half precision overflowed; this went on in bfloat16."]
    assert clip.shape[0] == N_FRAMES


def test_the_chosen_memory_mode_is_taken_or_the_next_smaller_one_there_is(accelerator):
    modes = {
        m: Full(Settings(memory=m)).needs((48, 32)).memory_mode for m in ("auto", "80 GB", "48 GB", "24 GB", "12 GB")
    }
    assert modes == {"auto": "40 GB", "80 GB": "40 GB", "48 GB": "40 GB", "24 GB": "24 GB", "12 GB": "12 GB"}
    accelerator["gb"] = 15.0
    assert Full(Settings()).needs((48, 32)).memory_mode == "16 GB"
    assert {mode.name for mode in svd.MEMORY_MODES} < set(svd_engine.MEMORY)


def test_the_cost_of_full_names_memory_mode_download_and_quota(accelerator, monkeypatch, pictures):
    monkeypatch.setattr(hub, "cached", lambda name: None)
    monkeypatch.setattr(runtime, "on_zero_gpu", lambda: True)
    monkeypatch.setattr(Full, "presets", PRESETS)
    cost = inbetween.estimate_cost(inbetween.plan(pictures, Settings(engine="full", preset="quality")))
    sentence = cost.sentence(on_zero_gpu=True)
    assert "in the 40 GB memory mode · fetches 4.5 GB first" in sentence
    assert f"takes {cost.gpu_quota_s:.0f} s of your GPU quota" in sentence
    assert cost.gpu_quota_s > 2 * 1.5 * PRESETS["quality"].evaluations
    assert any("not signed in have about 120 s" in note for note in cost.notes)


def test_the_lease_is_asked_for_as_long_as_the_clip_is_expected_to_take(accelerator):
    engine = Full(Settings())
    needs = [engine.needs((48, 32), n) for n in (3, 4)]
    assert needs[0].lease_s < needs[1].lease_s
    assert all(n.lease_s > n.evaluations * n.evaluation_s + n.around_s for n in needs)
    request = svd_engine.Request("folder", None, engine.options, 4, 0, lease_s=12.2)
    assert svd_engine._gpu_seconds(request, None, None) == 13


def test_what_full_lacks_is_said_before_anything_is_fetched(accelerator, monkeypatch, pictures):
    def refusal(**options) -> str:
        with pytest.raises(InputError) as caught:
            inbetween.plan(pictures, Settings(engine="full", **options))
        return str(caught.value)

    assert "no published weights for the variant no_rotation" in refusal(variant="no_rotation")
    accelerator["gb"] = 6.0
    assert "memory: the full model needs 10 GB free on the accelerator, it has 6.0 GB" in refusal()
    monkeypatch.setattr(runtime, "best_device", lambda: "cpu")
    assert "full: a GPU is needed, and this machine has none; choose the draft engine" in refusal()


def test_weights_that_cannot_be_fetched_are_said_before_anything_is_fetched(accelerator, monkeypatch, pictures):
    from huggingface_hub import constants

    monkeypatch.setattr(hub, "cached", lambda name: None)
    monkeypatch.setattr(hub, "fetch", lambda *a, **k: pytest.fail("nothing is fetched by a plan"))
    needs = inbetween.plan(pictures, Settings(engine="full")).engine.needs((48, 32))
    assert needs.download_bytes == hub.checkpoint("svd-xt").size_bytes
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="svd-xt: its weights are not here, and HF_HUB_OFFLINE forbids"):
        inbetween.plan(pictures, Settings(engine="full"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    gated = replace(hub.checkpoint("svd-xt"), gated=True)
    monkeypatch.setattr(hub, "checkpoint", lambda name: gated)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(InputError, match=r"accepted the licence at https://.*set HF_TOKEN"):
        svd_weights.check_fetchable("forward")


def test_fetching_is_said_and_can_be_stopped(accelerator, monkeypatch, keyframes):
    stopped = []

    def fetch(name, *, progress):
        try:
            for done in range(10**6):
                progress(done * 10**6, 10**12, "unet.safetensors")
        except BaseException:
            stopped.append(name)
            raise

    model = Full(Settings())
    monkeypatch.setattr(hub, "cached", lambda name: None)
    monkeypatch.setattr(hub, "fetch", fetch)
    run = model.native(*keyframes, n_frames=None, seed=0)
    assert next(run).note == "fetching unet.safetensors: 0 % of 1000.0 GB"
    run.close()
    assert stopped == ["svd-xt"]


LEASED = """
import inspect, os, sys, types
os.environ["SPACES_ZERO_GPU"] = "true"
leased = []
spaces = sys.modules["spaces"] = types.ModuleType("spaces")
spaces.GPU = lambda *, duration: lambda function: leased.append((function.__name__, duration)) or function
from genkey_core.inbetween import svd_engine
request = svd_engine.Request("folder", None, svd_engine.PRESETS["fast"], 25, 0, lease_s=100.2)
print(*((name, duration(request, None, None)) for name, duration in leased))
print(inspect.isgeneratorfunction(svd_engine.sample_on_gpu), "torch" in sys.modules)
"""


def test_on_zero_gpu_the_sampling_is_leased_as_soon_as_the_module_is_imported():
    done = subprocess.run([sys.executable, "-c", LEASED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["('sample', 101)", "True False"]


def test_the_page_of_a_space_with_lent_gpus_knows_its_gpu_functions_when_it_opens():
    page = LEASED.partition("from genkey_core")[0] + (
        "import demos.inbetween_engine\nprint(sorted(name for name, _ in leased), 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", page], cwd=ROOT, capture_output=True, text=True, check=True)
    names = done.stdout.splitlines()[-1]
    assert "'sample'" in names
    assert names.endswith("False")
