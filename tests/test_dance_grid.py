"""Grids of poses: prompts in the thesis's words, cutting, and the wiring on tiny models of the published classes."""

import json

import cv2
import numpy as np
import pytest
import torch
from diffusers import FluxKontextPipeline, FluxPipeline
from drawn_dancer import drawn_grid, keyframes
from tiny_painters import save_flux

from genkey_core import runtime
from genkey_core.checks import InputError
from genkey_core.dance import grid
from genkey_core.dance.grid import GridOptions, cut, drawn, grid_size, prompt_of, template_of
from genkey_core.dance.grid_engine import GridEngine
from genkey_core.dance.grid_models import read_grid_painter


class Painter:
    """Draws a planted grid, and remembers what it was asked."""

    def __init__(self, picture):
        self.picture, self.asked = picture, {}

    def __call__(self, prompt, *, on_step, **asked):
        self.asked = {"prompt": prompt, **asked}
        for step in range(asked["steps"]):
            on_step(step + 1)
        return self.picture


def test_the_prompt_is_that_of_the_thesis():
    prompt = prompt_of(GridOptions(), (2, 3))
    assert prompt == (
        "a 3x2 grid of frames, showing 6 consecutive frames from a video clip of a marmot dancing wildly in the wild alpine "
        "landscape, striking a variety of fun and energetic poses"
    )
    mimics = prompt_of(GridOptions(subject="a quokka"), (2, 3), mimics=True)
    assert mimics.startswith("Generate a grid with 2 rows and 3 columns. Depict a quokka in")
    assert "mimics the pose" in mimics


def test_a_drawn_grid_becomes_keyframes():
    painter = Painter(drawn_grid())
    steps = list(drawn(painter, GridOptions(steps=4)))
    assert [s.done for s in steps] == [1, 2, 3, 4, 4]
    assert len(steps[-1].keyframes) == 6
    assert steps[-1].notes == ()
    for found, pose in zip(steps[-1].keyframes, keyframes((240, 136), spread=3)[0], strict=True):
        inner = pose[8:-8, 8:-8]
        assert cv2.matchTemplate(found, inner, cv2.TM_SQDIFF).min() / inner.size < 1
    w, h = painter.asked["size"]
    assert w % 16 == h % 16 == 0
    assert w / h == pytest.approx(3 * 16 / (2 * 9), rel=0.03)
    assert painter.asked["template"] is None


def test_a_template_gives_the_layout_and_the_shape():
    template = drawn_grid()
    painter = Painter(template)
    last = list(drawn(painter, GridOptions(subject="a hedgehog", poses=9, steps=1), template=template))[-1]
    assert len(last.keyframes) == 6  # as the template, not as the number asked for
    assert painter.asked["template"].shape[1::-1] == painter.asked["size"]
    assert "2 rows and 3 columns" in painter.asked["prompt"]
    with pytest.raises(InputError, match="no seams were found"):
        list(drawn(painter, GridOptions(), template=keyframes()[2]))


def test_what_shows_no_grid_is_cut_evenly_and_said():
    plain = cut(keyframes((480, 270))[2], (2, 3), 1)
    assert len(plain.keyframes) == 6
    assert "no seams, not those of 3x2" in plain.notes[0]
    assert cut(drawn_grid(), (2, 3), 1).notes == ()


def test_single_poses_become_a_template():
    poses = list(keyframes((160, 90), spread=3)[0])
    made = template_of(poses)
    assert made.shape == (180, 480, 3)
    np.testing.assert_array_equal(made[90:, 320:], poses[5])
    assert template_of([drawn_grid()]).shape == drawn_grid().shape
    with pytest.raises(InputError, match="poses make a grid, got 5"):
        template_of(poses[:5])


def test_closing_stops_the_drawing():
    asked = []

    def painter(prompt, *, steps, on_step, **_):
        for step in range(steps):
            asked.append(step)
            on_step(step + 1)

    steps = drawn(painter, GridOptions(steps=500))
    next(steps)
    steps.close()
    assert len(asked) < 10


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Both pipelines of tiny parts, in the Hub's layout."""
    base = save_flux(tmp_path_factory.mktemp("flux"))[0]
    found = {}
    for kind, pipeline in (("flux-grid", FluxPipeline), ("flux-kontext", FluxKontextPipeline)):
        found[kind] = tmp_path_factory.mktemp(kind)
        pipeline.from_pretrained(base).save_pretrained(found[kind])
        assert json.loads((found[kind] / "model_index.json").read_text())["_class_name"] == pipeline.__name__
    return found


@pytest.mark.parametrize("kind", ["flux-grid", "flux-kontext"])
def test_tiny_models_of_the_published_classes_draw_a_grid(folders, kind):
    template = drawn_grid((64, 48), 2) if kind == "flux-kontext" else None
    options = GridOptions(steps=2, pixels=192 * 96, seed=3)
    engine = GridEngine(options, template=template, folder=folders[kind], device="cpu")
    steps = list(engine.drawn())
    assert [s.said for s in steps[:2]] == ["loading the model", "drawing the grid"]
    assert len(steps[-1].keyframes) == 6
    size = grid_size((2, 3), options.pixels) if template is None else steps[-1].grid.shape[1::-1]
    assert steps[-1].grid.shape[1::-1] == size
    np.testing.assert_array_equal(list(engine.drawn())[-1].grid, steps[-1].grid)  # by the seed
    other = GridEngine(
        GridOptions(steps=2, pixels=192 * 96, seed=4), template=template, folder=folders[kind], device="cpu"
    )
    assert (list(other.drawn())[-1].grid != steps[-1].grid).any()


def test_the_template_counts(folders):
    painter = read_grid_painter("flux-kontext", folders["flux-kontext"], dtype=torch.float32, device="cpu")
    told = {"size": (96, 64), "steps": 2, "seed": 1, "on_step": lambda done: None}
    template = cv2.resize(drawn_grid(), (96, 64))
    one, other = (painter("a dog", template=picture, **told) for picture in (template, 255 - template))
    assert one.shape == (64, 96, 3)
    assert (one != other).any()


def test_another_model_is_refused(folders, tmp_path):
    with pytest.raises(InputError, match="FluxPipeline is needed"):
        read_grid_painter("flux-grid", folders["flux-kontext"], dtype=torch.float32, device="cpu")
    with pytest.raises(InputError, match="holds no FluxPipeline"):
        read_grid_painter("flux-grid", tmp_path, dtype=torch.float32, device="cpu")


def test_without_a_graphics_card_it_is_a_sentence(monkeypatch):
    monkeypatch.setattr(runtime, "best_device", lambda: "cpu")
    with pytest.raises(InputError, match=r"flux-grid: a graphics card.*has none; drop pictures of your own"):
        GridEngine(GridOptions())
    with pytest.raises(InputError, match="flux-kontext: a graphics card"):
        GridEngine(GridOptions(), template=drawn_grid())


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"poses": 5}, "poses: one of 3, 4, 6"), ({"subject": ""}, "subject: a few words"), ({"steps": 0}, "steps")],
)
def test_mistakes_are_said(changes, says):
    with pytest.raises(InputError, match=says):
        GridOptions(**changes)


def test_layouts_hold_as_many_as_they_say():
    assert all(rows * columns == n for n, (rows, columns) in grid.LAYOUTS.items())
