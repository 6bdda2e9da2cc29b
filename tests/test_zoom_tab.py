"""The Powers of ten tab: its handlers, the same job over HTTP, and every bad input said in a sentence."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import gradio as gr
import numpy as np
import pytest
from PIL import Image
from zoom_page import PROMPTS, page, textured

from demos import zoom_handlers as handlers
from demos import zoom_prompts as prompts
from demos import zoom_state as state
from demos import zoom_work as work
from genkey_core import media, recipe
from genkey_core.checks import InputError
from genkey_core.zoom import engines
from genkey_core.zoom.prompts import Ladder

VISITOR = SimpleNamespace(session_hash="visitor")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    return tmp_path / "served"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    pytest.importorskip("diffusers")
    import tiny_pixel

    return tiny_pixel.save_if(tmp_path_factory.mktemp("models") / "mini-zoom")


@pytest.fixture
def mini(tiny, monkeypatch):
    """A tiny random model as mini, and few steps."""
    from genkey_core.zoom.sampling import SamplingOptions

    monkeypatch.setattr(engines, "MINI_FOLDER", tiny)
    monkeypatch.setattr("genkey_core.zoom.settings.PRESETS", {"fast": SamplingOptions(steps=4)})


@pytest.fixture
def photo(tmp_path) -> str:
    return str(textured(tmp_path / "rock.png"))


def told(*page_state, made=None) -> tuple[str, bool, bool]:
    """The cost line, and whether Run and Video only can be pressed."""
    line, run, film = handlers.describe(VISITOR, made, *page_state)
    return line, run.interactive, film.interactive


def test_a_photo_becomes_levels_files_a_viewer_and_a_video_and_then_another_video(photo, own_folder):
    shown = page("images", images=[photo])
    line, can_run, can_film = told(*shown)
    assert "draft" in line
    assert "gk-refused" not in line
    assert (can_run, can_film) == (True, False)
    handlers.prepare(VISITOR, None, *shown)
    rows = list(handlers.run(VISITOR, None, *shown))
    made = next(row[1] for row in rows if isinstance(row[1], work.MadeStack))
    last = rows[-1]
    film = last[3].value["path"]
    facts = media.probe(film)
    assert (facts.width, facts.height, facts.n_frames) == (64, 64, 5)
    kept = recipe.read(film, method="zoom")
    assert kept == last[6]
    assert kept["engine"] == "draft"
    assert kept["inputs"][0]["name"] == "rock.png"
    html, archive, project = map(Path, made.files)
    assert html.read_text(encoding="utf-8").count("data:image/jpeg") == 2
    with zipfile.ZipFile(archive) as levels:
        assert levels.namelist() == ["level-01-1x.png", "level-02-2x.png"]
    assert state.project_in(project.read_text(encoding="utf-8")).mode == "images"
    assert state.project_made(kept).journey.size == (64, 64)
    for level in made.viewer["levels"]:
        assert Path(level["src"].split("file=", 1)[1]).is_relative_to(own_folder)
    assert told(*shown, made=made)[2]
    other = page("prompts", prompts=(), size="96x64", direction="in-out", loops=2)
    handlers.prepare_film(VISITOR, made, *other)
    again = list(handlers.film(VISITOR, made, *other))[-1]
    assert again[6]["output"]["frames"] == 2 * 8
    assert again[6]["output"]["width"] == 96
    assert again[1] == again[2] == gr.skip()  # the levels and the viewer stay as they are


def test_prompts_are_sampled_with_previews_of_all_levels(mini):
    shown = page()
    line, can_run, _ = told(*shown)
    assert can_run, line
    assert line.startswith('<div class="gk-cost" role="status">mini')
    rows = list(handlers.run(VISITOR, None, *shown))
    assert any("all levels as they are foreseen" in row[0] for row in rows)
    assert rows[-1][6]["settings"]["prompts"] == list(PROMPTS)
    assert rows[-1][6]["output"]["complete"] is True
    assert state.project_made(rows[-1][6]).ladder == Ladder(PROMPTS, 2)


def test_words_that_mini_does_not_know_stand_in_the_cost_line(mini):
    line, can_run, _ = told(*page(prompts=("a forest", "a xylophone")))
    assert "Level 2" in line
    assert "xylophone" in line
    assert can_run


def test_cancelling_keeps_the_levels_as_foreseen(mini):
    shown = page()
    handlers.prepare(VISITOR, None, *shown)
    running = handlers.run(VISITOR, None, *shown)
    for row in running:
        if "as they are foreseen" in row[0]:
            break
    handlers.cancel(VISITOR)
    *_, last = running
    assert "as they were foreseen" in last[0]
    assert len(last[1].placements) == 3
    assert not last[1].complete
    assert last[6]["output"]["complete"] is False
    assert told(*shown, made=last[1])[1:] == (True, True)


def test_without_its_checkpoint_mini_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(engines, "MINI_FOLDER", tmp_path / "mini-zoom")
    line, can_run, _ = told(*page())
    assert "mini-zoom is not in assets/checkpoints" in line
    assert not can_run


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prompts": ("a forest",)}, "2 to 24 are needed"),
        ({"prompts": ("a forest",) * 40}, "2 to 24 are needed"),
        ({"prompts": ("a forest", " ")}, "level 2: a prompt is needed, got an empty line"),
        ({"prompts": ("a forest", "a" * 10_000)}, "level 2: at most 1,000 characters are taken"),
        ({"p": 1}, "between 2 and 16 is needed"),
        ({"p": 2.5}, "between 2 and 16 is needed"),
        ({"p": 64}, "between 2 and 16 is needed"),
        ({"fps": 0}, "fps: must be between 1 and 60"),
        ({"fps": None}, "fps: a number is needed"),
        ({"size": "huge"}, "a width and a height such as 1920x1080"),
        ({"size": "9000x9000"}, "size: must be between 16 and 4096"),
        ({"size": "65x64"}, "an even width and height"),
        ({"loops": 1000}, "loops: must be between 1 and 100"),
        ({"easing": "wobble"}, "easing: one of linear"),
        ({"level_s": 600, "fps": 60}, "frames: this machine takes at most"),
        ({"seed": -1}, "seed: must be"),
        ({"engine": "magic"}, "engine: one of auto"),
        ({"engine": "full"}, "full: "),
        ({"mode": "photo", "photo": "/nowhere/photo.png"}, "no longer here"),
    ],
)
def test_bad_settings_are_a_sentence_in_the_cost_line(mini, changes, says):
    line, can_run, _ = told(*page(**changes))
    assert says in line, line
    assert len(line) < 500
    assert not can_run
    with pytest.raises(gr.Error):
        handlers.prepare(VISITOR, None, *page(**changes))


def test_bad_pictures_are_named_and_the_good_ones_stay(photo, tmp_path):
    small, words = tmp_path / "dot.png", tmp_path / "words.png"
    Image.new("RGB", (20, 20)).save(small)
    words.write_text("these are only words\n" * 9)
    kept, small_ones = handlers.take_pictures([photo, str(words)])
    assert kept == [photo]
    assert "rock.png" in small_ones
    shown = page("images", images=[str(small)])
    with pytest.raises(gr.Error, match=r"dot\.png: at least 64x64 pixels are needed, got 20x20"):
        list(handlers.run(VISITOR, None, *shown))


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_pictures_of_all_kinds_are_taken(mode, tmp_path):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (100, 90)).save(path)
    assert "100×90" in handlers.take_pictures([str(path)])[1]


def test_images_that_show_different_things_are_named_with_their_pair(tmp_path):
    pair = [str(textured(tmp_path / f"{name}.png", seed=seed)) for name, seed in (("a", 1), ("b", 2))]
    with pytest.raises(gr.Error, match=r"a\.png and b\.png cannot be aligned"):
        list(handlers.run(VISITOR, None, *page("images", images=pair)))


def test_projects_ladders_and_videos_restore_the_page(tmp_path):
    file = tmp_path / "ladder.json"
    file.write_text(json.dumps(["a forest", "a tree"]), encoding="utf-8")
    assert prompts.take_project(str(file))[2].props["incoming"]["levels"] == [
        {"prompt": "a forest"},
        {"prompt": "a tree"},
    ]
    project = state.project_sent(
        "photo", {"p": 4, "levels": [{"prompt": "a"}, {"prompt": "b"}]}, page()[4:12], page()[12:21], "4"
    )
    file.write_text(project.to_json(), encoding="utf-8")
    box, mode, _, *controls = prompts.take_project(str(file))
    assert (box, mode, controls[-1]) == (None, "photo", "4")
    assert tuple(controls[:8]) == page()[4:12]
    assert tuple(controls[8:17]) == page()[12:21]
    file.write_text("no JSON", encoding="utf-8")
    assert prompts.take_project(str(file))[0] is None  # the box is emptied; a warning said why
    with pytest.raises(InputError, match="is not JSON"):
        state.project_in("no JSON")


def test_templates_and_examples_fill_the_page(own_folder):
    for _, name in prompts.TEMPLATE_CHOICES:
        prompts.template(name)
    for name in prompts.example_names():
        _, images, _, mode, *_ = prompts.example_loader(name)()
        assert mode in state.MODES
        if mode == "images":
            assert all(Path(path).is_relative_to(own_folder) for path in images)
            assert min(media.image_size(path) for path in images) >= (640, 640)


def test_a_level_read_again_is_the_level_that_was_made(photo):
    made = list(work.made_stack(state.Project("images", cut_p=2), [photo]))[-1]
    stack = work.read_stack(made)
    whole = cv2.cvtColor(cv2.imread(photo), cv2.COLOR_BGR2RGB)
    middle = whole[40:120, 50:150]
    assert np.abs(stack.levels[1].astype(int) - middle).max() <= 2
    Path(made.levels_zip).unlink()
    with pytest.raises(InputError, match="no longer here"):
        work.read_stack(made)


@pytest.mark.app
def test_a_zoom_over_http(hub, tmp_path):
    client_module = pytest.importorskip("gradio_client")
    client = hub.client(tmp_path)
    sent = [client_module.handle_file(str(textured(tmp_path / "rock.png")))]
    video, files, info = client.predict(
        images=sent, size="64x64", fps=8, level_s=0.5, direction="out", api_name="/zoom"
    )
    video = video["video"] if isinstance(video, dict) else video
    assert recipe.read(video, method="zoom") == info["recipe"]
    assert {Path(file).suffix for file in files} == {".html", ".zip", ".json"}
    assert (info["engine"], info["levels"], info["frames"], info["complete"]) == ("draft", 2, 5, True)
    assert client.predict(client_module.handle_file(video), api_name="/zoom_recipe") == info["recipe"]
    for options, says in (
        ({"prompts": "a tree"}, "2 to 24 are needed, one per zoom level, got 1"),
        ({"prompts": "", "images": []}, "got neither"),
        ({"prompts": "a\nb", "images": sent * 2}, "at most one photo"),
        ({"images": sent, "size": "nothing"}, "a width and a height"),
    ):
        with pytest.raises(client_module.exceptions.AppError) as error:
            client.predict(**options, api_name="/zoom")
        assert says in str(error.value)
        assert len(str(error.value)) < 300
    assert hub.alive
