"""The models behind a dance's stage, end to end through the job on tiny ones of the published classes; and what is refused."""

from collections import deque

import numpy as np
import pytest
from drawn_dancer import keyframes
from tiny_painters import save_flux, save_sam, save_sdxl

from genkey_core import hub, runtime
from genkey_core.checks import InputError
from genkey_core.dance import job, stage, stage_models, weights
from genkey_core.dance.motion_range import MotionRange
from genkey_core.dance.planning import plan
from genkey_core.dance.settings import Settings
from genkey_core.dance.stage import stage_digest

SMALL = {
    "pattern": "A-B",
    "motion_low": 0.5,
    "motion_high": 2000,
    "n_best": 1,
    "in_betweens": 2,
    "end_s": 3.0,
    "epochs": 1,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"flux": save_flux(folder), "sdxl": save_sdxl(folder), "sam2": (save_sam(folder / "sam"),)}


@pytest.fixture(scope="module")
def images():
    return keyframes((160, 96), spread=3)[0][:3]


def some_motion(pictures, masks):
    motion = np.random.default_rng(2).uniform(10, 50, (len(pictures), len(pictures)))
    np.fill_diagonal(motion, 0)
    yield MotionRange(motion, motion, np.zeros_like(motion))


@pytest.mark.parametrize(("mirrors", "masks"), [("flux", "plate"), ("sdxl", "sam2"), ("draft", "sam2")])
def test_a_dance_is_made_with_the_models_that_its_settings_ask_for(
    folders, images, song, tmp_path, monkeypatch, mirrors, masks
):
    monkeypatch.setattr(stage_models, "STEPS", 2)
    if mirrors != "draft":  # random weights paint greys in which nothing moves
        monkeypatch.setattr(stage, "measure", some_motion)
    settings = Settings(mirrors=mirrors, masks=masks, subject="marmot", background="a meadow", **SMALL)
    models = stage_models.StageModels(settings, folders=folders, device="cpu")
    made = list(job.make(images, song, tmp_path / "dance.mp4", settings, models=models, clips=tmp_path / "clips"))
    result, said = made[-1], [step.said for step in made[:-1]]
    assert result.complete
    assert result.recipe["settings"]["mirrors"] == mirrors
    assert result.recipe["settings"]["masks"] == masks
    if mirrors == "draft":
        assert not any("fitting" in words for words in said)
        return
    assert sum("fitting" in words for words in said) == 3  # one round over three keyframes
    painted = [step.image for step in made[:-1] if "painting" in step.said]
    assert len(painted) == 6
    assert painted[0].shape == images[0].shape
    assert result.recipe["seed"] == 0
    kept = list((tmp_path / "clips").glob("fit-*/lora.safetensors"))
    assert len(kept) == 1
    again = Settings.from_dict(settings.to_dict() | {"pattern": "A-A'"})
    steps = list(job.make(images, song, tmp_path / "again.mp4", again, models=models, clips=tmp_path / "clips"))
    assert not any("fitting" in step.said or "painting" in step.said for step in steps[:-1])  # the stage is kept


def test_a_fit_that_was_stopped_goes_on(folders, images, song, tmp_path, monkeypatch):
    """Cancelled after the fit: the next run paints at once."""
    monkeypatch.setattr(stage_models, "STEPS", 2)
    monkeypatch.setattr(stage, "measure", some_motion)
    settings = Settings(mirrors="flux", seed=7, **SMALL)
    models = stage_models.StageModels(settings, folders=folders, device="cpu")
    said = []

    def heard(steps):
        for step in steps:
            said.append(step.said)

    begun = job.choose(
        plan(images, song, settings), models=models, clips=tmp_path, cancelled=lambda: "step 3 of 3" in said[-1]
    )
    with pytest.raises(InputError, match="Cancelled before the first frame"):
        heard(begun)
    again = deque(job.choose(plan(images, song, settings), models=models, clips=tmp_path))
    assert not any("fitting" in step.said for step in list(again)[:-1])
    found = again[-1].stage
    assert found.n_poses == 3
    away = (found.scene.masks.max(0) == 0) & (found.scene.shades.min(0) == 1)
    assert away.any()
    np.testing.assert_array_equal(
        found.scene.images[:, away], np.broadcast_to(found.scene.plate[away], (6, away.sum(), 3))
    )


def test_a_stage_is_told_from_others_by_who_made_it(images):
    names = [
        stage_digest(images, Settings(**changes))
        for changes in (
            {},
            {"masks": "sam2"},
            {"mirrors": "sdxl"},
            {"mirrors": "sdxl", "subject": "dog"},
            {"mirrors": "sdxl", "seed": 1},
        )
    ]
    assert len(set(names)) == 5
    assert (
        stage_digest(images, Settings(subject="dog", seed=4, pattern="A-B")) == names[0]
    )  # the draft reads none of them


@pytest.fixture
def card(monkeypatch):
    """A machine with a large graphics card, no weights, and an account."""
    monkeypatch.setattr(runtime, "best_device", lambda: "mps")
    monkeypatch.setattr(runtime, "available_memory", lambda device: runtime.Memory(100 * 10**9, 80 * 10**9))
    monkeypatch.setattr(hub, "cached", lambda entry: None)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_token")
    monkeypatch.delenv(weights.FLUX_CANNY, raising=False)


@pytest.mark.parametrize("mirrors", ["flux", "sdxl"])
def test_without_a_graphics_card_mirrors_by_a_model_are_refused(monkeypatch, mirrors):
    monkeypatch.setattr(runtime, "best_device", lambda: "cpu")
    with pytest.raises(
        InputError, match=rf"{mirrors}: a graphics card with \d+ GB free.*has none; choose the draft's mirrors"
    ):
        stage_models.StageModels(Settings(mirrors=mirrors))


def test_a_small_card_is_refused(card, monkeypatch):
    monkeypatch.setattr(runtime, "available_memory", lambda device: runtime.Memory(100 * 10**9, 12 * 10**9))
    with pytest.raises(InputError, match=r"16 GB free on the graphics card.*this machine has 12\.0 GB"):
        stage_models.StageModels(Settings(mirrors="sdxl"))


def test_the_cost_and_the_download_are_known_before_anything_is_fetched(card):
    needs = stage_models.StageModels(Settings(mirrors="sdxl", masks="sam2")).needs(6, (1024, 576))
    sizes = [hub.checkpoint(name).size_bytes for name in ("sdxl", "sdxl-canny", "sam2")]
    assert needs.download_bytes == sum(sizes)
    assert needs.seconds > 3000 * 0.5
    assert "3000 steps" in needs.notes[0]
    fewer = stage_models.StageModels(Settings(mirrors="sdxl", epochs=50)).needs(6, (1024, 576))
    assert fewer.gpu_s < needs.gpu_s / 4


def test_what_must_not_be_fetched_is_said(card, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"sdxl: its weights are not here.*choose the draft's mirrors"):
        stage_models.StageModels(Settings(mirrors="sdxl")).needs(6, (1024, 576))
    with pytest.raises(InputError, match=r"sam2: its weights are not here.*background plate"):
        stage_models.StageModels(Settings(masks="sam2")).needs(6, (1024, 576))


def test_the_controlnet_without_a_known_commit_is_pinned_by_the_owner(card, monkeypatch, tmp_path):
    with pytest.raises(InputError, match="GENKEY_FLUX_CANNY to a commit"):
        stage_models.StageModels(Settings(mirrors="flux"))
    monkeypatch.setenv(weights.FLUX_CANNY, "0123456789abcdef0123456789abcdef01234567")
    entry = weights.flux_controlnet()
    assert (entry.repo_id, entry.revision[:7]) == ("XLabs-AI/flux-controlnet-canny-diffusers", "0123456")
    assert stage_models.StageModels(Settings(mirrors="flux")).needs(6, (1024, 576)).download_bytes > 30e9
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(InputError, match="accepted the licence"):
        stage_models.StageModels(Settings(mirrors="flux")).needs(6, (1024, 576))
    monkeypatch.setenv(weights.FLUX_CANNY, "main")
    with pytest.raises(InputError, match="a commit of"):
        weights.flux_controlnet()
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setenv(weights.FLUX_CANNY, str(tmp_path))
    assert weights.flux_controlnet() == tmp_path


def test_what_is_missing_is_fetched_with_words(monkeypatch, tmp_path):
    entry = hub.checkpoint("sam2")
    here = []

    def fetch(part, progress=None):
        if progress:
            progress(50, 100, "model.safetensors")
        here.append(tmp_path)
        return tmp_path

    monkeypatch.setattr(hub, "fetch", fetch)
    monkeypatch.setattr(hub, "cached", lambda part: here or None)
    assert list(weights.brought((entry, tmp_path))) == ["fetching sam2: 50 % of 0.0 GB", (tmp_path, tmp_path)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mirrors": "magic"}, "mirrors: one of draft, flux, sdxl"),
        ({"masks": "eyes"}, "masks: one of plate, sam2"),
        ({"subject": " "}, "subject: a few words"),
        ({"background": "x" * 300}, "background: a few words"),
        ({"epochs": -1}, "epochs"),
    ],
)
def test_a_wrong_choice_is_a_sentence(changes, says):
    with pytest.raises(InputError, match=says):
        Settings(**changes).checked()


def test_pictures_are_painted_at_their_own_size_in_steps_of_16_up_to_a_megapixel():
    assert stage_models.painted_size(1024, 576) == (1024, 576)
    assert stage_models.painted_size(640, 360) == (640, 352)
    w, h = stage_models.painted_size(3840, 2160)
    assert w * h < 1.05 * stage_models.MOST_PIXELS
    assert w / h == pytest.approx(16 / 9, rel=0.02)
