"""Recipes and links: they come back as they went, and nothing that was changed or planted gets through."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkey_core import recipe
from genkey_core.checks import InputError

PARTS = {
    "method": "inbetween",
    "engine": "draft",
    "settings": {"fps": 24.0, "gaps": [{"duration_s": 1.5, "easing": "ease-in", "hold_s": 0}]},
    "seed": 7,
    "inputs": [{"name": "Katze – süß.png", "sha256": "0" * 64}],
    "output": {"frames": 37},
}


def test_a_recipe_survives_its_text_and_names_its_versions():
    made = recipe.build(**PARTS)
    assert recipe.from_text(recipe.to_text(made)) == made
    assert {"genkey_core", "python", "numpy"} <= set(made["versions"])


@pytest.mark.parametrize("path", ["settings", "seed", "engine", "inputs"])
def test_any_change_by_hand_is_noticed(path):
    made = recipe.build(**PARTS)
    made[path] = "changed"
    with pytest.raises(InputError, match="changed after the video was made"):
        recipe.from_text(recipe.to_text(made))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not readable"),
        ("{", "not readable"),
        ("[1, 2]", "object"),
        ("{}", "not a recipe"),
        ('{"a": NaN}', "NaN is not a number"),
        ("[" * 100_000, "not readable"),
        (" " * (recipe.MAX_RECIPE_CHARS + 1), "at most"),
    ],
)
def test_what_is_no_recipe_is_said_so(text, says):
    with pytest.raises(InputError, match=says):
        recipe.from_text(text)


def test_a_later_format_is_not_guessed_at():
    made = {**recipe.build(**PARTS), "genkey": 99}
    with pytest.raises(InputError, match="format 1"):
        recipe.from_text(json.dumps(made))


@given(st.dictionaries(st.text(max_size=20), st.one_of(st.integers(), st.text(max_size=40), st.booleans()), max_size=8))
def test_a_link_gives_back_the_same_settings(settings):
    word = recipe.to_link(settings)
    assert word.isascii()
    assert not set(word) & set("+/=&?#% ")
    assert recipe.from_link(word) == settings


@given(st.text(max_size=60))
def test_any_word_in_a_link_is_either_read_or_refused_with_a_sentence(word):
    try:
        assert isinstance(recipe.from_link(word), dict)
    except InputError as error:
        assert str(error).startswith("link")


def test_an_endless_link_is_refused():
    with pytest.raises(InputError, match="at most"):
        recipe.from_link("a" * (recipe.MAX_LINK_CHARS + 1))


def test_sha256_is_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert recipe.file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
