"""Suggested prompts: what is asked, what is made of answers as models give them, a tiny chat model end to end."""

import pytest

from genkey_core import hub
from genkey_core.checks import InputError
from genkey_core.zoom import suggest
from genkey_core.zoom.prompts import Ladder

ANSWER = """Here are the captions:

1. (1x) Aerial photo straight down of a green forest, one tall oak in the middle
2. (4x) "Aerial photo straight down of a tall oak tree"
3. (16x) Aerial photo straight down of **one oak leaf**
I hope this helps you on your way!
"""


def test_the_question_follows_the_advice_on_viewpoint_and_scale():
    system, user = suggest.question("an oak forest", 3, 4)
    assert (system["role"], user["role"]) == ("system", "user")
    text = user["content"]
    assert "an oak forest" in text
    assert "same words for the viewpoint" in text
    assert "middle 1/4" in text
    assert "grows 16 times" in text
    assert text.endswith("1. (1x)\n2. (4x)\n3. (16x)")


@pytest.mark.parametrize("wrong", [("", 3, 2), ("x" * 10_000, 3, 2), ("x", 1, 2), ("x", 40, 2), ("x", 3, 2.5)])
def test_questions_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError):
        suggest.question(*wrong)


def test_answers_are_cleaned_of_numbers_scales_and_chatter():
    ladder = suggest.understood(ANSWER, 3, 4)
    assert ladder.p == 4
    assert ladder.prompts[0] == "Aerial photo straight down of a green forest, one tall oak in the middle"
    assert ladder.prompts[1] == "Aerial photo straight down of a tall oak tree"


@pytest.mark.parametrize(
    "line", ["- a green tree", "* a green tree", "2) a green tree", "Level 2: a green tree", "4x: a green tree"]
)
def test_every_kind_of_list_is_read(line):
    assert suggest.understood(f"a wide forest\n{line}", 2, 4).prompts == ("a wide forest", "a green tree")


def test_too_few_lines_are_said():
    with pytest.raises(InputError, match="4 of 9 prompts"):
        suggest.understood(ANSWER, 9, 2)


def test_a_suggestion_says_what_is_done_and_ends_with_a_ladder():
    asked = []
    *said, ladder = suggest.suggested("an oak", 3, 4, chat=lambda messages, most: asked.append(messages) or ANSWER)
    assert said == ["asking the language model"]
    assert isinstance(ladder, Ladder)
    assert asked[0] == suggest.question("an oak", 3, 4)


def test_offline_without_the_model_is_said(monkeypatch):
    monkeypatch.setattr(hub, "cached", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
        list(suggest.suggested("an oak", 3, 4))


def test_a_chat_model_from_a_folder_answers_the_same_for_the_same_seed(tmp_path):
    pytest.importorskip("transformers")
    import tiny_pixel
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = tiny_pixel._plain_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Qwen2Config(
        **shape, num_key_value_heads=2, vocab_size=len(tokenizer), eos_token_id=1, tie_word_embeddings=False
    )
    tiny_pixel.seeded_weights(Qwen2ForCausalLM(config), 0).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    answers = [
        suggest.Instruct(tmp_path, seed=seed, device="cpu")(suggest.question("a tree", 2, 2), 30) for seed in (1, 1, 2)
    ]
    assert answers[0] == answers[1] != answers[2]
    assert answers[0]
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        suggest.Instruct(tmp_path, device="cpu")
