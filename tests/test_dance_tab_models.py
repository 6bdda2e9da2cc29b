"""Models on the Animal dance tab: what they cost, where they are refused, and that a drawn grid becomes the keyframes."""

from types import SimpleNamespace

import gradio as gr
import pytest
from drawn_dancer import drawn_grid, keyframes

from genkey_core import InputError, hub, media, runtime

pytestmark = pytest.mark.app
REQUEST = SimpleNamespace(session_hash="visitor")


@pytest.fixture(autouse=True)
def own_files(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))


def controls_with(**changes) -> tuple:
    from demos import dance_state as state

    return tuple((state.Settings(**changes).to_dict() | {"end_s": 0})[name] for name in state.CONTROLS)


def test_models_that_this_machine_cannot_hold_are_said_where_the_cost_stands(poses, song, monkeypatch):
    from demos import dance_handlers as handlers

    monkeypatch.setattr(runtime, "best_device", lambda: "cpu")
    session = {"keyframes": [str(path) for path in poses], "song": str(song)}
    line, _, _, find, run = handlers.describe(REQUEST, session, None, *controls_with(mirrors="flux"))
    assert "gk-refused" in line
    assert "a graphics card with 44 GB free is needed" in line
    assert not find.interactive
    assert not run.interactive
    line, *_, run = handlers.describe(REQUEST, session, None, *controls_with())
    assert "on this machine" in line
    assert run.interactive


def test_masks_by_sam_are_priced_with_their_download(poses, song, monkeypatch):
    from demos import dance_handlers as handlers

    monkeypatch.setattr(hub, "cached", lambda entry: None)
    session = {"keyframes": [str(path) for path in poses], "song": str(song)}
    line, *_, run = handlers.describe(REQUEST, session, None, *controls_with(masks="sam2"))
    assert "fetches 184 MB first" in line
    assert run.interactive
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    line, *_, run = handlers.describe(REQUEST, session, None, *controls_with(masks="sam2"))
    assert "take the masks from the background plate" in line
    assert not run.interactive


def test_a_grid_that_is_drawn_becomes_the_keyframes(tmp_path, monkeypatch):
    """With a planted painter in the place of FLUX; without a graphics card the button is off and the line says why."""
    from demos import dance_grid as page
    from genkey_core.dance import grid, weights

    planted = drawn_grid((320, 180))
    told = ("a marmot", "a meadow", 6, 0, None)
    monkeypatch.setattr(runtime, "best_device", lambda: "cpu")
    line, button = page.price(*told)
    assert "has none; drop pictures of your own instead" in line
    assert not button.interactive
    with pytest.raises(gr.Error, match="graphics card"):
        page.prepare(REQUEST, *told)
    monkeypatch.setattr(weights, "check_machine", lambda *_, **__: None)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_token")
    line, button = page.price(*told)
    assert "fetches 34 GB first" in line
    assert button.interactive

    def painter(prompt, *, steps, on_step, **_):
        on_step(steps)
        return planted

    monkeypatch.setattr(page.GridEngine, "drawn", lambda self: grid.drawn(painter, self.options))
    page.prepare(REQUEST, *told)
    first, *_, last = page.draw(REQUEST, None, *told)
    assert "step 28 of 28" in first[0]
    _, session, files, row = last
    assert session["keyframes"] == files
    assert len(files) == len(row.props["incoming"]["images"]) == 6
    *_, (files, info) = page.dance_grid(*told[:3], None, 4)
    assert len(files) == 6
    assert info["seed"] == 4
    assert info["prompt"].startswith("a 3x2 grid of frames")
    with pytest.raises(gr.Error, match="poses: one of"):
        list(page.dance_grid("a marmot", "a meadow", 5))
    template = tmp_path / "template.png"
    media.save_image(template, planted)
    assert page.engine_of(*told[:4], str(template)).spec.name == "flux-kontext"
    media.save_image(template, keyframes()[2])
    with pytest.raises(InputError, match="no seams"):
        page.engine_of(*told[:4], str(template))
