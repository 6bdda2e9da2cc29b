"""The video of a stack as a job: its recipe inside, what cancelling leaves, loops, and a cost that grows with the work."""

from dataclasses import replace

import numpy as np
import pytest

from genkey_core import media, recipe
from genkey_core.checks import InputError
from genkey_core.zoom import film
from genkey_core.zoom.camera import Journey, concentric
from genkey_core.zoom.render import Step

JOURNEY = Journey(size=(64, 48), fps=8, level_s=0.5)
MADE = recipe.build(
    method="zoom", engine="mini", settings={"p": 2, "prompts": ["a", "b"]}, seed=3, inputs=[], output={"levels": 2}
)


@pytest.fixture
def stack():
    return concentric(np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8), 2)


def test_a_video_carries_the_recipe_of_its_stack_and_its_own(stack, tmp_path):
    *steps, made = film.film(tmp_path / "zoom.mp4", stack, JOURNEY, MADE)
    assert all(isinstance(step, Step) for step in steps)
    assert made.complete
    assert len(steps) == made.frames == media.probe(made.path).n_frames == 9
    kept = recipe.read(made.path, method="zoom")
    assert kept == made.recipe
    assert kept["settings"]["video"]["size"] == [64, 48]
    assert kept["settings"]["prompts"] == ["a", "b"]
    assert (kept["seed"], kept["output"]["frames"], kept["output"]["complete"]) == (3, 9, True)


def test_a_cancelled_video_ends_with_the_frames_that_were_made(stack, tmp_path):
    asked = []
    *_, made = film.film(
        tmp_path / "zoom.mp4", stack, JOURNEY, MADE, cancelled=lambda: bool(asked.append(1)) or len(asked) == 3
    )
    assert not made.complete
    assert made.frames == media.probe(made.path).n_frames == 3
    assert recipe.read(made.path, method="zoom")["output"]["complete"] is False


def test_a_closed_video_leaves_no_file(stack, tmp_path):
    work = film.film(tmp_path / "zoom.mp4", stack, JOURNEY, MADE)
    next(work)
    work.close()
    assert list(tmp_path.iterdir()) == []


def test_loops_go_the_whole_way_again_without_a_seam(stack, tmp_path):
    there_and_back = replace(JOURNEY, direction="in-out", loops=3)
    *_, made = film.film(tmp_path / "zoom.mp4", stack, there_and_back, MADE)
    once = film.length(3, 2, replace(there_and_back, loops=1))
    assert made.frames == 3 * once == film.length(3, 2, there_and_back)
    frames = [frame.image.astype(int) for frame in media.read_frames(made.path)]
    assert np.abs(frames[once] - frames[0]).mean() < 6  # but for the encoder
    with pytest.raises(InputError, match="loops"):
        replace(JOURNEY, loops=0)


def test_the_cost_grows_with_frames_and_pixels_and_learns():
    small, large = (film.film_cost(replace(JOURNEY, size=size), 100) for size in ((64, 64), (640, 640)))
    assert 0 < small.seconds < large.seconds
    assert large.disk_bytes > small.disk_bytes
    assert film.images_cost([(4000, 3000)] * 3).seconds > film.images_cost([(4000, 3000)] * 2).seconds
    before = film.images_cost([(100, 100)] * 2).seconds
    film.learn("images", 1.0, 3.0)
    assert film.images_cost([(100, 100)] * 2).seconds > before
