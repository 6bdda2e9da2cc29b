"""The ladder of prompts: what is taken, what is refused in words, JSON there and back, words that a model lacks."""

import json

import pytest

from genkey_core.checks import InputError
from genkey_core.mini import scale_captions
from genkey_core.zoom.prompts import MAX_LEVELS, Ladder, scale_label, unknown_words
from genkey_core.zoom.settings import Settings
from genkey_core.zoom.templates import MINI, TEMPLATES

THREE = Ladder(("a forest", "a tree", "a leaf"), 4)


def test_rungs_name_their_scale():
    assert THREE.rungs() == [("1x", "a forest"), ("4x", "a tree"), ("16x", "a leaf")]
    assert scale_label(4, 5) == "1,024x"
    assert scale_label(2, 24) == "2^24x"


def test_levels_are_added_removed_and_doubled():
    assert THREE.added(1, " a  grove\n").prompts == ("a forest", "a grove", "a tree", "a leaf")
    assert THREE.added(3, "cells").prompts[-1] == "cells"
    assert THREE.removed(0).prompts == ("a tree", "a leaf")
    assert THREE.duplicated(1).prompts == ("a forest", "a tree", "a tree", "a leaf")
    with pytest.raises(InputError, match="2 to 24"):
        THREE.removed(0).removed(0)
    with pytest.raises(InputError, match="level"):
        THREE.removed(3)


def test_a_text_has_one_prompt_per_line_and_empty_lines_do_not_count():
    assert Ladder.from_text("a forest\n\n  a tree \r\na leaf\n\n", 4) == THREE
    assert Ladder.from_text(THREE.to_text(), 4) == THREE


@pytest.mark.parametrize("ladder", [THREE, Ladder(("größer\t<b>", "🌍 'x'"), 2).checked()])
def test_json_there_and_back(ladder):
    assert Ladder.from_json(ladder.to_json()) == ladder
    assert json.loads(ladder.to_json())["levels"][1]["scale"] == f"{ladder.p}x"


def test_a_plain_list_is_taken_as_well():
    assert Ladder.from_json('["a", "b"]') == Ladder(("a", "b"), 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("3", '"levels"'),
        ('{"levels": 3}', '"levels"'),
        ('{"levels": ["a", 3]}', "level 2: a text"),
        ('{"levels": ["a", {"text": "b"}]}', "level 2: a text"),
        ('{"levels": ["a", "b"], "p": 2.5}', "zoom factor"),
        ('["a", " "]', "level 2: a prompt is needed"),
        ('["a"]', "2 to 24"),
        (json.dumps(["a"] * 40), "got 40"),
        (json.dumps(["a", "b" * 10_000]), "level 2: at most 1,000 characters"),
        (json.dumps(["a", "b" * 300_000]), "too large"),
        ('["a", "\\ud800"]', "broken characters"),
    ],
)
def test_files_that_are_no_ladder_are_refused_in_words(text, words):
    with pytest.raises(InputError, match=words):
        Ladder.from_json(text)


@pytest.mark.parametrize("p", [1, 2.5, 64, "2", None, True])
def test_factors_out_of_range_are_refused(p):
    with pytest.raises(InputError, match="zoom factor"):
        Ladder(("a", "b"), p).checked()


def test_texts_without_prompts_and_endless_ones_are_refused():
    for text in ("", "\n \n", "one line"):
        with pytest.raises(InputError, match="2 to 24"):
            Ladder.from_text(text)
    with pytest.raises(InputError, match="too many"):
        Ladder.from_text("x\n" * 100_000)
    with pytest.raises(InputError, match="a text"):
        Ladder.from_text(None)


def test_there_are_templates_for_at_least_eight_subjects_and_all_are_valid():
    assert len(TEMPLATES) >= 8
    for ladder in (*TEMPLATES.values(), *MINI.values()):
        assert ladder.checked() == ladder
        assert 4 <= len(ladder.prompts) <= MAX_LEVELS
        assert len(set(ladder.prompts)) == len(ladder.prompts)


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pieces():
    return {",", ".", "-", "▁", "s", "'s", *(f"▁{word}" for word in scale_captions.vocabulary())}


def test_templates_of_the_mini_model_use_only_words_that_it_knows(pieces):
    for ladder in MINI.values():
        assert [unknown_words(prompt, pieces) for prompt in ladder.prompts] == [[]] * len(ladder.prompts)


def test_unknown_words_are_named_once_and_without_punctuation(pieces):
    assert unknown_words("A green Dinosaur, close-up; the dinosaur (on fire)!", pieces) == ["dinosaur", "fire"]


def test_unknown_words_are_those_that_the_tokenizer_does_not_know(pieces):
    pytest.importorskip("transformers")
    from genkey_core.mini import image_model

    tokenizer = image_model.tokenizer()
    for word in ("leaf", "leafs", "tree's", "tree-leaf", "treehouse", "computer", "zebra"):
        said = tokenizer.unk_token_id in tokenizer(word).input_ids
        assert bool(unknown_words(word, pieces)) == said, word


# --- settings -------------------------------------------------------------------------------------------------------


def test_settings_there_and_back():
    settings = Settings(engine="mini", preset="quality", guidance_scale=3, size=256, negative=" x ").checked()
    assert Settings.from_dict(settings.to_dict()) == settings
    assert settings.sampling(guidance_scale=7).guidance_scale == 3
    assert Settings().sampling(guidance_scale=7).guidance_scale == 7
    assert Settings().sampling(guidance_scale=7, steps=28).steps == 28


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "draft2"},
        {"preset": "slow"},
        {"variant": "x"},
        {"guidance_scale": 0},
        {"guidance_scale": "7"},
        {"seed": -1},
        {"size": 100},
        {"size": 2048},
        {"memory": "3 GB"},
        {"negative": None},
        {"negative": "x" * 2000},
        {"steps": 4},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        Settings.from_dict(wrong)
