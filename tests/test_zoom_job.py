"""The zoom job: progress, what is kept when it is cancelled or fails, photographs of all kinds, the recipe."""

import numpy as np
import pytest
from PIL import Image

from genkey_core import recipe, zoom
from genkey_core.checks import InputError
from genkey_core.zoom import engines, job
from genkey_core.zoom.engines import Needs, Progress
from genkey_core.zoom.job import Result, Step, make, plan
from genkey_core.zoom.prompts import Ladder
from genkey_core.zoom.settings import Settings

LADDER = Ladder(("a forest", "a tree", "a leaf"), 2)


class Painter:
    """An engine that paints level i in the grey 10 i, after three previews; `fails` after so many of them."""

    name = "mini"

    def __init__(self, fails=99, error=None):
        self.fails, self.error, self.closed, self.photo = fails, error, False, None

    def stack(self, ladder, photo):
        self.photo = photo
        grey = 10 * np.arange(len(ladder.prompts), dtype=np.uint8)[:, None, None, None]
        try:
            yield Progress(0, 3, note="loading the model")
            for i in range(3):
                if i == self.fails:
                    raise self.error
                yield Progress(i + 1, 3, np.broadcast_to(grey, (len(grey), 16, 16, 3)).copy())
            yield Progress(3, 3, note="half precision overflowed", lasting=True)
            yield np.broadcast_to(grey, (len(grey), 64, 64, 3)).copy()
        finally:
            self.closed = True

    def warnings(self, ladder):
        return ("Level 1: mini does not know 'x'.",)

    def needs(self, n_levels):
        return Needs(seconds=n_levels)


@pytest.fixture
def painter(monkeypatch):
    engine = Painter()
    monkeypatch.setattr(job, "choose_engine", lambda name, settings: engine)
    return engine


def test_a_job_yields_its_steps_and_last_the_levels(painter):
    *steps, result = make(LADDER, Settings(seed=7))
    assert all(isinstance(step, Step) for step in steps)
    assert steps[0].previews is None
    assert [step.done for step in steps] == [0, 1, 2, 3, 3]
    assert steps[-1].previews.shape == (3, 16, 16, 3)  # the last known ones stay
    assert isinstance(result, Result)
    assert result.complete
    assert result.levels.shape == (3, 64, 64, 3)
    assert (result.engine, result.seed, result.problem) == ("mini", 7, None)
    assert result.notes == ("Level 1: mini does not know 'x'.", "half precision overflowed")


def test_the_recipe_holds_all_that_is_needed_to_make_it_again(painter):
    result = list(make(LADDER, Settings(seed=7, variant="joint")))[-1]
    kept = recipe.from_text(recipe.to_text(result.recipe))
    assert kept["method"] == "zoom"
    settings = kept["settings"]
    assert Ladder(tuple(settings.pop("prompts")), settings.pop("p")) == LADDER
    assert Settings.from_dict(settings) == Settings(seed=7, engine="mini")
    assert kept["output"] == {"levels": 3, "size": 64, "complete": True}


def test_cancelling_keeps_the_levels_as_they_were_foreseen(painter):
    seen = []
    *_, result = make(LADDER, cancelled=lambda: bool(seen.append(1)) or len(seen) == 3)
    assert not result.complete
    assert result.levels.shape == (3, 256, 256, 3)
    assert [int(level.mean()) for level in result.levels] == [0, 10, 20]
    assert painter.closed


def test_cancelling_before_the_first_preview_is_said(painter):
    with pytest.raises(InputError, match="nothing was made"):
        list(make(LADDER, cancelled=lambda: True))
    assert painter.closed


@pytest.mark.parametrize(
    ("error", "words"),
    [(InputError("memory: it ran out."), "memory: it ran out."), (RuntimeError("gears"), "RuntimeError: 'gears'")],
)
def test_a_fault_after_a_preview_keeps_it_and_one_before_is_raised(painter, error, words):
    painter.fails, painter.error = 2, error
    *_, result = make(LADDER)
    assert not result.complete
    assert words in result.problem
    assert result.recipe["output"]["problem"] == result.problem
    assert result.levels.shape[0] == 3
    painter.fails = 0
    with pytest.raises(type(error)):
        list(make(LADDER))


def test_closing_a_job_closes_its_engine(painter):
    work = make(LADDER)
    next(work)
    work.close()
    assert painter.closed


def _photo(path, mode, size=(120, 90), **known):
    Image.new(mode, size, 120 if mode in ("L", "I;16") else None).save(path, **known)
    return path


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.png", "RGB"), ("a.png", "L"), ("a.png", "RGBA"), ("a.jpg", "CMYK"), ("a.png", "P"), ("a.png", "I;16")],
)
def test_photographs_of_all_kinds_become_a_square(painter, tmp_path, name, mode):
    result = list(make(LADDER, photo=_photo(tmp_path / name, mode)))[-1]
    assert painter.photo.shape == (90, 90, 3)
    assert result.recipe["inputs"][0]["name"] == name


def test_photographs_too_small_or_none_at_all_are_said(painter, tmp_path):
    with pytest.raises(InputError, match="at least 64x64 pixels are needed, got 20x20"):
        plan(LADDER, photo=_photo(tmp_path / "a.png", "RGB", (20, 20)))
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(InputError, match=r"b\.png"):
        plan(LADDER, photo=tmp_path / "b.png")
    with pytest.raises(InputError, match="choose joint"):
        plan(LADDER, Settings(variant="independent"), photo=_photo(tmp_path / "c.png", "RGB"))


def test_a_photograph_of_20000_by_20000_is_refused_from_its_header(painter, tmp_path):
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    (tmp_path / "big.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    with pytest.raises(InputError, match=r"big\.png"):
        plan(LADDER, photo=tmp_path / "big.png")


def test_prompts_and_settings_are_checked_before_anything_else(painter):
    for ladder in (Ladder(("one",), 2), Ladder(("a", ""), 2), Ladder(("a",) * 40, 2), Ladder(("a", "b" * 10_000), 2)):
        with pytest.raises(InputError):
            plan(ladder)
    assert plan(LADDER).needs.seconds == 3
    assert plan(LADDER).warnings == ("Level 1: mini does not know 'x'.",)


def test_the_public_names_are_there_and_load_no_model_library():
    assert zoom.make is make
    assert zoom.Ladder is Ladder
    with pytest.raises(AttributeError):
        zoom.nothing  # noqa: B018


def test_making_levels_from_python(monkeypatch, tmp_path):
    pytest.importorskip("diffusers")
    import tiny_pixel

    from genkey_core.zoom.sampling import SamplingOptions

    monkeypatch.setattr("genkey_core.zoom.settings.PRESETS", {"fast": SamplingOptions(steps=3)})
    monkeypatch.setattr(engines, "MINI_FOLDER", tiny_pixel.save_if(tmp_path / "mini-zoom"))
    result = zoom.make_levels(LADDER, engine="mini", size=64, guidance_scale=1)
    assert result.complete
    assert result.levels.shape == (3, 64, 64, 3)
    assert result.notes == ()
