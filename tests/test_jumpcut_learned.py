"""The learned engine on whole cuts: crops, composition, ends, engines of every kind per cut, and what cannot run."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny_jumpcut import (  # noqa: E402
    FPS,
    N_FRAMES,
    SIZE,
    TINY,
    body_arrays,
    presenter,
    presenter_files,
    tiny_model,
)  # fmt: skip

from genkey_core import InputError, media, recipe  # noqa: E402
from genkey_core.jumpcut import keypoints, learned  # noqa: E402
from genkey_core.jumpcut.bodymap import Body, BodyFile  # noqa: E402
from genkey_core.jumpcut.cutlist import Row  # noqa: E402
from genkey_core.jumpcut.engines import Around, CutNeeds, Said, recommended  # noqa: E402
from genkey_core.jumpcut.estimate import cut_cost  # noqa: E402
from genkey_core.jumpcut.hide import Hidden, Shown, Treatment, hide  # noqa: E402
from genkey_core.jumpcut.job import Result, make  # noqa: E402
from genkey_core.jumpcut.networks import Memory  # noqa: E402
from genkey_core.jumpcut.painting import framed  # noqa: E402
from genkey_core.jumpcut.planning import plan  # noqa: E402
from genkey_core.jumpcut.settings import Choice, Settings  # noqa: E402
from genkey_core.jumpcut.survey import survey  # noqa: E402
from genkey_core.jumpcut.triage import Triage  # noqa: E402


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presenter")
    video, body = presenter_files(folder)
    *_, found = survey(video, folder)
    model = tiny_model(folder / "model")
    source = BodyFile(body, n_frames=N_FRAMES, fps=FPS)
    return SimpleNamespace(video=video, body=source, survey=found, model=model)


def pictures(made):
    return [item for item in made if isinstance(item, np.ndarray)]


# --- the square ----------------------------------------------------------------------------------------------------


def test_a_presenter_is_framed_as_in_the_training_wherever_it_stands():
    """Planted: the training's own square within a wide picture is found again."""
    arrays = body_arrays()
    wide = np.zeros((SIZE, 3 * SIZE, 3), np.uint8)
    wide[:, SIZE : 2 * SIZE] = arrays["iuv"][0]
    crop = framed([Body(wide)], width=6 * SIZE, height=2 * SIZE)
    assert abs(crop.left - 2 * SIZE) < 0.3 * SIZE
    assert 1.5 * SIZE < crop.side <= 2 * SIZE
    with pytest.raises(InputError, match="nobody's head"):
        framed([Body(np.zeros((8, 8, 3), np.uint8))], width=8, height=8)


# --- composition ---------------------------------------------------------------------------------------------------


class PaintsTruth:
    """A network that knows one picture, and paints it whatever it is asked for."""

    def __init__(self, truth: np.ndarray):
        self.config, self.truth = TINY, media.to_float(truth)[None]

    def parameters(self):
        return iter([torch.zeros(1)])

    def remember(self, images, grids):
        nothing = torch.zeros(1, 1, 1, 1, 1)
        return Memory(nothing, nothing)

    def generate(self, memory, grid, z):
        return self.truth


def cut_with(network, draft, truth: np.ndarray):
    """A cut in a still presenter's clip, with a draft and a network of the test's making; `truth` is every frame."""
    body = SimpleNamespace(
        bodies=lambda frames: iter([Body(body_arrays()["iuv"][0])] * len(frames)), seconds=lambda n: 0.0
    )
    start, end = truth.copy(), truth.copy()
    engine = learned.LearnedCuts("tiny", lambda: network, body)
    around = Around(0, ((0, start), (9, end)), (), draft)
    return start, end, engine.for_cut(around)


def test_the_network_stands_in_where_the_draft_fails_and_the_rest_stays_the_video():
    """Planted: the draft is right but for a hole in the face and one in the backdrop; only the first is mended."""
    truth = presenter().frames[0]
    iuv = body_arrays()["iuv"][0]
    rows, columns = np.nonzero(np.isin(iuv[..., 0], (23, 24)))
    y, x = int(rows.mean()), int(columns.mean())
    broken = truth.copy()
    broken[y - 6 : y + 6, x - 6 : x + 6] = (0, 255, 0)
    broken[:6, :6] = (0, 255, 0)
    start, end, between = cut_with(None, lambda a, b, t: iter([broken.copy()]), truth)
    crop = framed([Body(iuv)], width=SIZE, height=SIZE)
    between.__self__.engine._load = lambda: PaintsTruth(crop.small(truth, TINY.size))
    (made,) = pictures(between(start, end, np.array([0.5])))
    face = (slice(y - 4, y + 4), slice(x - 4, x + 4))
    apart = {
        name: np.abs(each[face].astype(int) - truth[face]).mean() for name, each in (("draft", broken), ("made", made))
    }
    assert apart["made"] < 0.25 * apart["draft"]
    np.testing.assert_array_equal(made[:6, :6], broken[:6, :6])  # nobody is there
    assert 0 < between.__self__._shares[0] < 0.7
    assert "painted" in between.__self__.note


def test_a_right_draft_is_left_alone_and_ends_are_exact():
    truth = presenter().frames[0]
    start, end, between = cut_with(None, lambda a, b, t: iter([truth.copy() for _ in t]), truth)
    crop = framed([Body(body_arrays()["iuv"][0])], width=SIZE, height=SIZE)
    between.__self__.engine._load = lambda: PaintsTruth(crop.small(truth, TINY.size))
    first, middle, last = pictures(between(start, end, np.array([0.0, 0.5, 1.0])))
    np.testing.assert_array_equal(first, start)
    np.testing.assert_array_equal(last, end)
    assert np.abs(middle.astype(int) - truth).max() <= 2


def test_a_network_that_cannot_give_the_ends_back_is_not_believed():
    """Noise for a network: it errs by far more than the draft could, so the video's own pixels stay."""
    truth = presenter().frames[0]
    noise = np.random.default_rng(0).integers(0, 255, (TINY.size, TINY.size, 3), np.uint8)
    start, end, between = cut_with(PaintsTruth(noise), lambda a, b, t: iter([truth.copy()]), truth)
    (made,) = pictures(between(start, end, np.array([0.5])))
    assert np.abs(made.astype(int) - truth).mean() < 3


# --- whole cuts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["blended", "inserted"])
def test_a_cut_is_hidden_by_the_network_frame_by_frame(files, mode):
    engine = learned.fitted(files.body, files.model, seed=3)
    treatment = Treatment(mode, "learned", neighbourhood=2, n_inserted=3 if mode == "inserted" else 0, n_sources=1)
    frames = list(presenter().frames)
    runs = []
    for _ in range(2):
        made = list(hide(iter(frames), [(11, 18)], treatment, engines={"learned": engine}))
        runs.append([item for item in made if isinstance(item, Shown)])
    shown, hidden = runs[0], next(item for item in made if isinstance(item, Hidden))
    assert len(shown) == 12 + 12 + (3 if mode == "inserted" else 0)
    assert sum(item.made for item in shown) == (4 if mode == "blended" else 3)
    assert (hidden.mode, hidden.engine) == (mode, "learned")
    assert "painted" in hidden.note
    for item in shown:
        if not item.made:
            np.testing.assert_array_equal(item.image, frames[item.source_index])
    for a, b in zip(*runs, strict=True):  # one random code, from the seed
        np.testing.assert_array_equal(a.image, b.image)


def test_a_job_takes_an_engine_per_cut_and_its_recipe_says_which(files, tmp_path):
    rows = [Row(0.5, 0.8, "range"), Row(1.5, 1.9, "range")]
    settings = Settings(mode="blended", neighbourhood=2, n_sources=0, seed=5)
    job = plan(files.survey, rows, settings, engines=["learned"],
               choices=[Choice(14, 19, engine="learned", neighbourhood=1)])  # fmt: skip
    assert job.engines == ("learned",)
    assert [(t.engine, t.neighbourhood) for t in job.treatments] == [("draft", 2), ("learned", 1)]
    engines = {"learned": learned.fitted(files.body, files.model, seed=settings.seed)}
    extra = {"name": "map.npz", "sha256": "0" * 64}
    *_, result = make(files.video, tmp_path / "cut.mp4", job, engines=engines, more_inputs=[extra])
    assert isinstance(result, Result)
    assert result.complete
    made = recipe.read(result.path, method="jumpcut")
    assert [cut["engine"] for cut in made["output"]["cuts"]] == ["draft", "learned"]
    assert (made["seed"], made["inputs"][1]) == (5, extra)
    assert [bool(outcome.note) for outcome in result.outcomes] == [False, True]
    with pytest.raises(InputError, match="'learned' is not there"):
        list(make(files.video, tmp_path / "none.mp4", job))


# --- engines that make whole clips -----------------------------------------------------------------------------------


class Clips:
    """Stands in for a model that samples a clip per pair."""

    name, whole_clips = "clips", True

    def __init__(self):
        self.asked = []

    def for_cut(self, around):
        def between(start, end, positions):
            self.asked.append(len(positions))
            yield Said("sampling")
            for t in positions:
                yield (start * (1 - t) + end * t).astype(np.uint8)

        return between

    def needs(self, size, n_frames):
        return CutNeeds(seconds=100.0 * n_frames, once_s=7.0, memory_bytes=5 * 10**9, gpu_quota_s=30.0, notes=("slow",))


@pytest.mark.parametrize(("mode", "n_new"), [("blended", 0), ("inserted", 5)])
def test_whole_clips_are_asked_for_once_a_cut(mode, n_new):
    engine = Clips()
    treatment = Treatment(mode, "clips", neighbourhood=3, n_inserted=n_new)
    made = list(hide(iter(presenter().frames), [(11, 18)], treatment, engines={"clips": engine}))
    assert engine.asked == [6 if mode == "blended" else 5]
    assert [item.mode for item in made if isinstance(item, Hidden)] == ["bridged" if mode == "blended" else "inserted"]


def test_a_pose_too_far_for_the_draft_is_left_to_an_engine_that_follows_it_and_another_shot_is_not():
    far = Triage(0.3, ("The pose is too far.",), "punch-in", ("pose",))
    moved = Triage(0.2, ("The camera moved.",), "punch-in", ("camera", "pose"))
    other = Triage(0.1, ("The background changed.",), "hard cut", ("background", "pose"))
    engines = {"follows": SimpleNamespace(follows_pose=True), "plain": lambda start, end, positions: iter(())}
    found = {
        name: [recommended(each, engines, name) for each in (far, moved, other)]
        for name in ("follows", "plain", "draft")
    }
    assert found["follows"] == ["blended", "punch-in", "hard cut"]
    assert found["plain"] == found["draft"] == ["punch-in", "punch-in", "hard cut"]


def test_what_an_engine_needs_is_in_the_cost(files):
    rows = [Row(0.5, 0.8, "range"), Row(1.5, 1.9, "range"), Row(2.2, 2.4, "range")]
    settings = Settings(mode="blended", neighbourhood=2, engine="clips")
    job = plan(files.survey, rows, settings, engines=["clips"], choices=[Choice(4, 9, mode="hard cut")])
    plain, cost = cut_cost(job), cut_cost(job, {"clips": Clips()})
    assert cost.seconds - plain.seconds == pytest.approx(2 * 400 + 7)
    assert (cost.gpu_quota_s, cost.notes) == (60.0, ("slow",))
    assert cost.memory_bytes - plain.memory_bytes == 5 * 10**9
    assert "clips" in cost.engine


# --- what cannot run -----------------------------------------------------------------------------------------------


def test_engines_that_cannot_run_are_sentences_before_anything_is_loaded(files, tmp_path):
    with pytest.raises(InputError, match="its checkpoint gone is not in assets/checkpoints"):
        learned.mini(files.body, folder=tmp_path / "gone")
    with pytest.raises(InputError, match="holds no network of this tool"):
        learned.fitted(files.body, tmp_path)
    odd = SimpleNamespace(n_landmarks=98)
    with pytest.raises(InputError, match="knows 36 landmarks, the body map has 98"):
        learned.fitted(odd, files.model)
    with pytest.raises(InputError, match="cut 1, engine: one of draft"):
        plan(files.survey, [Row(1.0, 1.5, "range")], Settings(engine="magic"))
    for choice, says in (
        (Choice(1, 2, neighbourhood=99), "choice 1, frames remade on each side"),
        (Choice(1, 2, n_inserted=0), "choice 1, new frames"),
        (Choice(1, 2, engine=3), "choice 1, engine: a name"),
    ):
        with pytest.raises(InputError, match=says):
            plan(files.survey, [Row(1.0, 1.5, "range")], choices=[choice])


def test_the_mini_engine_reads_its_folder_and_says_what_it_knows(files):
    engine = learned.mini(files.body, folder=files.model)
    assert "drawn presenters" in engine.needs((64, 64), 8).notes[0]
    assert engine.network().config == TINY
    assert keypoints.part_numbers(len(presenter().landmarks[0]) + 14, n=1)[-1] == keypoints.LANDMARK_PART
