"""The text-to-image checkpoint that ships: read through the loader of the Hub's models, and what its pictures are like."""

from pathlib import Path

import numpy as np
import pytest

from genkey_core import zoom
from genkey_core.mini import image_model
from genkey_core.zoom.pixel_loading import read_if

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "checkpoints" / "mini-zoom"


def test_it_is_small_and_holds_no_pickle():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25e6
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".model"}


def test_the_hubs_loader_reads_it_and_it_has_learned():
    """Against fresh weights of the same classes: a trained one foresees more of the truth."""
    from genkey_core.mini.train_image import held_out_error

    assert read_if(FOLDER, device="cpu").size == image_model.SIZE
    error = held_out_error(image_model.load(FOLDER), count=22)
    assert error < 0.3 * held_out_error(image_model.build(), count=22)


def test_words_choose_the_colours():
    made = image_model.generate(
        image_model.load(FOLDER), ["a photo of a green forest", "a photo of a blue galaxy"], steps=10
    )
    forest, galaxy = made.reshape(2, -1, 3).astype(float).mean(axis=1)
    assert forest[1] > forest[0] + 10
    assert forest[1] > forest[2] + 10
    assert galaxy[2] > galaxy[0] + 10
    assert galaxy[2] > galaxy[1] + 10


@pytest.mark.slow
def test_mini_makes_a_stack_that_agrees():
    ladder = zoom.Ladder(
        ("a photo of a green forest, seen from above", "a photo of a green tree", "a photo of a green leaf"), p=4
    )
    made = zoom.make_levels(ladder, engine="mini", preset="fast", seed=3)
    assert made.complete
    assert made.engine == "mini"
    size = made.levels.shape[1]
    lo, hi = size * 3 // 8, size * 5 // 8
    for coarse, fine in zip(made.levels, made.levels[1:], strict=False):
        shrunk = fine.reshape(size // 4, 4, size // 4, 4, 3).mean(axis=(1, 3))
        error = np.square(coarse[lo:hi, lo:hi].astype(float) - shrunk).mean()
        assert 10 * np.log10(255**2 / error) > 25
