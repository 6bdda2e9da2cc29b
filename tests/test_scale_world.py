"""The scale world: what its seeds promise, and that its pictures and captions say what they show."""

import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.mini import scale_captions
from genkey_core.mini.scale_captions import COLOURS, KINDS
from genkey_core.mini.scale_paint import Painter
from genkey_core.mini.scale_styles import STYLES
from genkey_core.mini.scale_world import PALETTE, TRAIN_SEEDS, VALIDATION_SEEDS, make_scene


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_full_frame_and_follows_its_seed(kind):
    first, again, other = make_scene(5, kind), make_scene(5, kind), make_scene(6, kind)
    assert first.image.shape == (64, 64, 3)
    assert first.image.dtype == np.uint8
    assert np.array_equal(first.image, again.image)
    assert first.captions == again.captions
    assert not np.array_equal(first.image, other.image)
    assert first.image.std() > 12  # there is something to see
    assert first.kind == kind


@pytest.mark.parametrize("kind", ["galaxy", "continent", "forest", "leaf", "cells", "skyline", "desk", "circuit board"])
def test_a_seed_is_the_same_scene_at_every_size(kind):
    small = make_scene(900_001, kind, style="photo").image.astype(float)
    large = make_scene(900_001, kind, style="photo", size=256).image.astype(float)
    shrunk = large.reshape(64, 4, 64, 4, 3).mean((1, 3))
    other = make_scene(900_002, kind, style="photo", colour=make_scene(900_001, kind).colour).image.astype(float)
    assert np.abs(small - shrunk).mean() < 0.5 * np.abs(small - other).mean()


@pytest.mark.parametrize(
    ("kind", "first", "second", "channel"),
    [("leaf", "red", "green", 0), ("planet", "red", "blue", 0), ("skyline", "blue", "orange", 2),
     ("building", "red", "blue", 0), ("nucleus", "green", "pink", 1)],
)  # fmt: skip
def test_the_colour_word_is_the_colour_seen(kind, first, second, channel):
    def share(colour: str) -> float:
        images = np.stack([make_scene(seed, kind, colour=colour, style="photo").image for seed in range(4)])
        means = images.reshape(-1, 3).mean(0)
        return means[channel] / means.sum()

    assert share(first) > share(second) + 0.03


def test_styles_look_as_they_are_called():
    def mean_of(style: str) -> float:
        return np.mean([make_scene(seed, "tree", style=style).image.mean() for seed in range(3)])

    assert mean_of("neon") < 80 < mean_of("photo") < mean_of("watercolour")
    saturation = {
        style: np.mean([np.ptp(make_scene(seed, "tree", style=style).image, axis=2).mean() for seed in range(3)])
        for style in STYLES
    }
    assert saturation["sketch"] < 0.6 * saturation["photo"]


def test_kinds_colours_and_styles_all_occur_by_themselves():
    rng = [np.random.default_rng([seed, 6]) for seed in range(2000)]
    drawn = {KINDS[generator.integers(len(KINDS))] for generator in rng}
    assert drawn == set(KINDS)
    scenes = [make_scene(seed, size=16) for seed in range(40)]
    assert {scene.style for scene in scenes} == set(STYLES)
    assert all(scene.colour in COLOURS[scene.kind] for scene in scenes)


def test_captions_name_the_scene_in_words_of_the_vocabulary():
    known = set(scale_captions.vocabulary())
    rng = np.random.default_rng(0)
    for kind in KINDS:
        for colour in COLOURS[kind]:
            assert colour in PALETTE
            for style in STYLES:
                said = scale_captions.captions(kind, colour, style, rng)
                assert len(said) == len(set(said)) >= 6
                words = [set(text.replace(",", " ").split()) for text in said]
                assert set().union(*words) <= known
                assert not any(f" a {vowel}" in f" {text}" for text in said for vowel in "aeiou")
                if style != "photo":
                    styled = {word for phrase in scale_captions.STYLE_PHRASES[style] for word in phrase.split()}
                    assert all(found & (styled - {"a", "of", "in"}) for found in words)


def test_a_painter_s_noise_is_the_same_field_at_every_size():
    small, large = (Painter(size).noise(np.random.default_rng(1), 4, 3) for size in (96, 384))
    shrunk = large.reshape(384, 2, 384, 2).mean((1, 3))
    assert np.abs(small - shrunk).max() < 0.05
    assert abs(large.mean() - 0.5) < 0.2


@pytest.mark.parametrize(
    ("given", "named"),
    [({"kind": "teapot"}, "kind"), ({"kind": "leaf", "colour": "teal"}, "colour"), ({"style": "cubist"}, "style"),
     ({"size": 8}, "size"), ({"size": 4000}, "size")],
)  # fmt: skip
def test_what_the_world_does_not_know_is_a_sentence(given, named):
    with pytest.raises(InputError, match=named):
        make_scene(0, **given)


def test_held_out_seeds_are_held_out():
    assert not set(TRAIN_SEEDS[:: len(TRAIN_SEEDS) - 1]) & set(VALIDATION_SEEDS)
    assert TRAIN_SEEDS.stop <= VALIDATION_SEEDS.start
