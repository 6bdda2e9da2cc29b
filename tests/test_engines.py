"""The engines mini and full on tiny random models: they load, sample, change their mode, and refuse in sentences."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from tiny_svd import N_FRAMES, tiny_pipeline  # noqa: E402

from genkey_core import InputError, hub, inbetween, media, runtime  # noqa: E402
from genkey_core.inbetween import engines, svd, svd_engine, svd_shelf  # noqa: E402
from genkey_core.inbetween.delta import BackwardDelta, is_backward_key, save_delta  # noqa: E402
from genkey_core.inbetween.engines import Progress, choose_engine, native_model  # noqa: E402
from genkey_core.inbetween.learned import Learned  # noqa: E402
from genkey_core.inbetween.sampling import NotFiniteError, SamplingOptions  # noqa: E402
from genkey_core.inbetween.settings import Settings  # noqa: E402
from genkey_core.inbetween.svd_engine import Full, Mini  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
QUICK = {"fast": SamplingOptions(steps=2, recurrence=1), "quality": SamplingOptions(steps=3, recurrence=1)}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """A tiny model with both differences beside it, as the bundled one lies in assets."""
    folder = tmp_path_factory.mktemp("models") / "tiny-svd"
    pipe = tiny_pipeline()
    pipe.save_pretrained(folder)
    noise = torch.Generator().manual_seed(8)
    for rotated, file in ((True, "backward.safetensors"), (False, "no-rotation.safetensors")):
        tensors = {
            name: 0.1 * torch.randn(p.shape, generator=noise)
            for name, p in pipe.unet.named_parameters()
            if is_backward_key(name) and name.endswith(("to_v.weight", "to_out.0.weight"))
        }
        save_delta(BackwardDelta(tensors, rotated=rotated), folder / file)
    return folder


@pytest.fixture
def mini(tiny_folder, monkeypatch) -> Path:
    """The tiny model in the place of the bundled one, with few steps and nothing loaded yet."""
    monkeypatch.setattr(svd_engine, "MINI_FOLDER", tiny_folder)
    monkeypatch.setattr(Mini, "presets", QUICK)
    monkeypatch.setattr(svd_shelf, "_models", {})
    return tiny_folder


@pytest.fixture
def accelerator(mini, tmp_path, monkeypatch):
    """The tiny model in the place of the published one, on a pretended GPU; returns what is said to be free on it."""
    free = {"gb": 50.0}
    difference = tmp_path / "difference.safetensors"
    difference.write_bytes((mini / "backward.safetensors").read_bytes())
    monkeypatch.setattr(svd_engine.hub, "cached", lambda name: mini)
    monkeypatch.setattr(svd_engine, "difference_file", lambda: difference)
    monkeypatch.setattr(Full, "presets", QUICK)
    monkeypatch.setattr(runtime, "best_device", lambda: "cpu:0")
    monkeypatch.setattr(runtime, "available_memory", lambda device: runtime.Memory(10**10, int(free["gb"] * 1e9)))
    monkeypatch.setattr(svd.StableVideo, "with_memory", _in_single_precision)
    return free


def _in_single_precision(model, memory):
    """On the pretended GPU, which is a slow one at half precision."""
    model.pipe.to(torch.float32)
    return svd.StableVideo(model.pipe, device=model.device, memory=replace(memory, offload=False))


@pytest.fixture
def keyframes(rng):
    soft = [cv2.GaussianBlur(rng.integers(0, 256, (32, 48, 3)).astype(np.float32), (0, 0), 3) for _ in range(2)]
    return [cv2.normalize(p, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8) for p in soft]


def clip_of(model, keyframes, **options):
    *said, clip = model.native(*keyframes, **{"n_frames": None, "seed": 0, **options})
    return said, clip


# --- mini ---------------------------------------------------------------------------------------------------------


def test_mini_says_its_steps_with_previews_and_gives_a_clip(mini, keyframes):
    model = Mini(Settings())
    said, clip = clip_of(model, keyframes)
    assert clip.dtype == np.uint8
    assert clip.shape[0] == N_FRAMES
    steps = [p for p in said if p.preview is not None]
    assert [p.done for p in steps] == [1, 2, 3, 3]
    assert {p.total for p in said} == {model.options.evaluations} == {3}
    assert all(p.preview.dtype == np.uint8 and max(p.preview.shape) == 256 for p in steps)
    assert said[0].note == "loading the model"
    assert said[-1].note == "decoding"


def test_the_same_seed_gives_the_same_clip_and_another_one_another(mini, keyframes):
    model = Mini(Settings())
    first, again, other = (clip_of(model, keyframes, seed=seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("variant", ["forward", "time_reversal", "no_rotation", "no_finetuning"])
def test_every_variant_runs_and_is_no_other_one(mini, keyframes, variant):
    clip = clip_of(Mini(Settings(variant=variant)), keyframes)[1]
    assert not np.array_equal(clip, clip_of(Mini(Settings()), keyframes)[1])
    assert Mini(Settings(variant=variant)).two_sided == (variant != "forward")


def test_the_clip_is_as_long_as_asked_up_to_what_the_model_was_trained_on(mini, keyframes):
    model = Mini(Settings())
    assert list(model.frame_counts()) == [2, 3, 4]
    assert len(clip_of(model, keyframes, n_frames=3)[1]) == 3
    with pytest.raises(InputError, match="frames: must be between 2 and 4, got 5"):
        clip_of(model, keyframes, n_frames=5)


def test_the_model_is_read_once_and_shared(mini, keyframes, monkeypatch):
    read = []
    monkeypatch.setattr(svd_shelf, "load_svd", lambda *a, **k: read.append(a) or svd.load_svd(*a, **k))
    clip_of(Mini(Settings()), keyframes)
    clip_of(Mini(Settings(variant="forward")), keyframes)
    assert len(read) == 1


def test_a_second_video_waits_for_the_model_and_a_dropped_one_gives_it_back(mini, keyframes):
    first = Mini(Settings()).native(*keyframes, n_frames=None, seed=0)
    while not (item := next(first)).done:
        pass
    second = Mini(Settings()).native(*keyframes, n_frames=None, seed=0)
    assert [next(second).note for _ in range(3)][1:] == ["waiting for another video that is made with this model"] * 2
    first.close()
    assert isinstance(item, Progress)
    assert next(second).done == 1


def test_a_whole_video_is_made_by_mini_and_made_again_from_its_recipe(mini, keyframes, tmp_path):
    paths = [tmp_path / f"{k}.png" for k in range(2)]
    for path, image in zip(paths, keyframes, strict=True):
        media.save_image(path, image)
    options = {"engine": "mini", "fps": 8, "playback": "ping-pong", "gaps": [{"duration_s": 0.5}], "seed": 3}
    items = list(inbetween.make(paths, tmp_path / "a.mp4", Settings.from_dict(options), frames_zip=tmp_path / "a.zip"))
    result = items[-1]
    assert result.engine == result.recipe["engine"] == "mini"
    assert result.complete
    assert sum(isinstance(i, inbetween.Progress) for i in items) == 5, "the way back samples nothing"
    settings = result.recipe["settings"]
    again = inbetween.make_video(paths, tmp_path / "b.mp4", frames_zip=tmp_path / "b.zip", **settings)
    assert again.zip_path.read_bytes() == result.zip_path.read_bytes()


def test_a_missing_checkpoint_is_said_by_the_plan(monkeypatch, tmp_path, pictures):
    monkeypatch.setattr(svd_engine, "MINI_FOLDER", tmp_path / "mini-svd")
    with pytest.raises(InputError, match=r"mini: its checkpoint mini-svd is not in assets/checkpoints.*draft"):
        inbetween.plan(pictures, Settings(engine="mini"))


def test_a_variant_without_its_difference_is_said_by_the_plan(mini, tmp_path, monkeypatch, pictures):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "model_index.json").write_text("{}")
    monkeypatch.setattr(svd_engine, "MINI_FOLDER", bare)
    for variant, file in (("dual", "backward.safetensors"), ("no_rotation", "no-rotation.safetensors")):
        with pytest.raises(InputError, match=f"the variant {variant} needs {file} beside the model"):
            inbetween.plan(pictures, Settings(engine="mini", variant=variant))
    assert inbetween.plan(pictures, Settings(engine="mini", variant="forward")).engine.name == "mini"


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("backward.safetensors", b"no tensors", "backward.safetensors' is not a readable safetensors file"),
        ("unet/diffusion_pytorch_model.safetensors", b"\0" * 64, "is incomplete or damaged"),
        ("unet/config.json", b"{", "is incomplete or damaged; delete it and fetch it again"),
    ],
)
def test_damaged_files_are_sentences(mini, tmp_path, keyframes, file, content, says):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(mini, broken)
    (broken / file).write_bytes(content)
    with pytest.raises(InputError, match=says):
        clip_of(Mini(Settings(), folder=broken), keyframes)


def test_numbers_that_are_none_break_off_with_a_sentence_and_free_the_model(mini, keyframes, monkeypatch):
    monkeypatch.setattr(svd.StableVideo, "predict", lambda self, x, t, c: x * float("nan"))
    with pytest.raises(NotFiniteError, match="not numbers"):
        clip_of(Mini(Settings()), keyframes)
    monkeypatch.undo()
    assert all(not entry.turn.locked() for entry in svd_shelf._models.values())


def test_packages_that_are_missing_are_named(mini, monkeypatch):
    monkeypatch.setattr(svd_engine.importlib.util, "find_spec", lambda name: None if name == "diffusers" else 1)
    with pytest.raises(InputError, match=r"mini: diffusers not installed here; install what requirements\.txt lists"):
        Mini(Settings())


# --- full ---------------------------------------------------------------------------------------------------------


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
    assert Full(Settings()).needs().memory_mode == "24 GB"
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
    modes = {m: Full(Settings(memory=m)).needs().memory_mode for m in ("auto", "80 GB", "48 GB", "24 GB", "12 GB")}
    assert modes == {"auto": "40 GB", "80 GB": "40 GB", "48 GB": "40 GB", "24 GB": "24 GB", "12 GB": "12 GB"}
    accelerator["gb"] = 15.0
    assert Full(Settings()).needs().memory_mode == "16 GB"
    assert {mode.name for mode in svd.MEMORY_MODES} < set(svd_engine.MEMORY)


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

    monkeypatch.setattr(svd_engine.hub, "cached", lambda name: None)
    monkeypatch.setattr(svd_engine.hub, "fetch", lambda *a, **k: pytest.fail("nothing is fetched by a plan"))
    needs = inbetween.plan(pictures, Settings(engine="full")).engine.needs()
    assert needs.download_bytes == hub.checkpoint("svd-xt").size_bytes
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="svd-xt: its weights are not here, and HF_HUB_OFFLINE forbids"):
        inbetween.plan(pictures, Settings(engine="full"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    gated = replace(hub.checkpoint("svd-xt"), gated=True)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(InputError, match=r"accepted the licence at https://.*set HF_TOKEN"):
        svd_engine._can_be_fetched(gated)


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
    monkeypatch.setattr(svd_engine.hub, "cached", lambda name: None)
    monkeypatch.setattr(svd_engine.hub, "fetch", fetch)
    run = model.native(*keyframes, n_frames=None, seed=0)
    assert next(run).note == "fetching unet.safetensors: 0 of 1000000 MB"
    run.close()
    assert stopped == ["svd-xt"]


# --- choosing, and importing --------------------------------------------------------------------------------------


def test_auto_is_full_only_where_it_could_start_at_once(accelerator, monkeypatch):
    assert choose_engine("auto").name == "full"
    accelerator["gb"] = 3.0
    assert choose_engine("auto").name == "draft"
    accelerator["gb"] = 50.0
    monkeypatch.setattr(svd_engine.hub, "cached", lambda name: None)
    assert choose_engine("auto").name == "draft"


def test_engines_are_made_by_their_names(mini):
    assert isinstance(choose_engine("draft"), engines.Draft)
    assert isinstance(choose_engine("mini"), Learned)
    with pytest.raises(InputError, match="engine: one of auto, draft, mini, full, wan, ltx is needed, got 'magic'"):
        native_model("magic", Settings())


def test_the_engines_can_be_registered_without_torch():
    code = "import sys; from genkey_core.inbetween import svd_engine, job, settings; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
