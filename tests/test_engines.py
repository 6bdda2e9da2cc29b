"""The engine mini, and choosing engines: a tiny model loads, samples, is shared, and refuses in sentences."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest_plugins = ["tiny_engines"]  # the fixtures
pytest.register_assert_rewrite(*pytest_plugins)

import numpy as np  # noqa: E402
from tiny_engines import clip_of  # noqa: E402
from tiny_svd import N_FRAMES  # noqa: E402

from genkey_core import InputError, hub, inbetween, media  # noqa: E402
from genkey_core.cost import Cost  # noqa: E402
from genkey_core.inbetween import engines, svd, svd_engine, svd_shelf  # noqa: E402
from genkey_core.inbetween.engines import Progress, choose_engine, native_model  # noqa: E402
from genkey_core.inbetween.learned import Learned  # noqa: E402
from genkey_core.inbetween.sampling import NotFiniteError  # noqa: E402
from genkey_core.inbetween.settings import Settings  # noqa: E402
from genkey_core.inbetween.svd_engine import Mini  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


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
    assert list(model.frame_counts()) == [3, 4]
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
    said = [item for item in items if isinstance(item, inbetween.Progress)]
    assert [p.done for p in said] == sorted(p.done for p in said), "the way back samples nothing"
    assert said[-1].done == said[-1].total
    settings = result.recipe["settings"]
    again = inbetween.make_video(paths, tmp_path / "b.mp4", frames_zip=tmp_path / "b.zip", **settings)
    assert again.zip_path.read_bytes() == result.zip_path.read_bytes()


def test_the_cost_of_a_learned_engine_counts_each_pair_once(mini, pictures):

    def cost(n=2, **options) -> Cost:
        settings = Settings.from_dict({"engine": "mini", "fps": 8, **options})
        return inbetween.estimate_cost(inbetween.plan(pictures[:n], settings))

    one, two, back = cost(), cost(3), cost(3, playback="ping-pong")
    draft, better, held = cost(engine="draft"), cost(preset="quality"), cost(gaps=[{"easing": "hold"}])
    assert one.engine == "mini"
    assert draft.engine == "draft"
    assert one.gpu_quota_s == 0
    assert "small world" in one.notes[0]
    assert one.memory_bytes > draft.memory_bytes
    assert one.seconds > draft.seconds + 1
    assert better.seconds > one.seconds
    assert two.seconds > one.seconds + 0.5
    assert back.seconds < two.seconds + 0.5
    assert held.seconds == pytest.approx(cost(engine="draft", gaps=[{"easing": "hold"}]).seconds)


def test_the_variants_are_shown_side_by_side(mini, keyframes, tmp_path):
    *said, result = inbetween.variants_video(*keyframes, tmp_path / "v.mp4", times=1)
    assert result.complete
    assert result.engine == "mini"
    assert result.variants == ("forward", "time_reversal", "no_finetuning", "dual")
    assert sum(1 for _ in media.read_frames(tmp_path / "v.mp4")) == result.frames
    assert sum(p.preview is not None for p in said) > 8


def test_a_missing_checkpoint_is_said_by_the_plan(monkeypatch, tmp_path, pictures):
    monkeypatch.setattr(svd_engine, "MINI_FOLDER", tmp_path / "mini-svd")
    with pytest.raises(InputError, match=r"mini: its checkpoint mini-svd is not in assets/checkpoints.*draft"):
        inbetween.plan(pictures, Settings(engine="mini"))


def test_a_variant_without_its_difference_is_said_by_the_plan(mini, tmp_path, monkeypatch, pictures):
    bare = tmp_path / "bare"
    shutil.copytree(mini, bare, ignore=shutil.ignore_patterns("*.safetensors"))
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


# --- choosing, and importing --------------------------------------------------------------------------------------


def test_auto_is_full_only_where_it_could_start_at_once(accelerator, monkeypatch):
    assert choose_engine("auto").name == "full"
    accelerator["gb"] = 3.0
    assert choose_engine("auto").name == "draft"
    accelerator["gb"] = 50.0
    monkeypatch.setattr(hub, "cached", lambda name: None)
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
