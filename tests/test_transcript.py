"""Words, fillers and repeats; and a tiny random Whisper through the real loading and decoding code."""

import json
from itertools import pairwise

import numpy as np
import pytest

from genkey_core import InputError
from genkey_core.jumpcut.acoustics import HOP_S, RATE
from genkey_core.jumpcut.transcript import (
    FILLER_WORDS,
    LONGEST_PIECE_S,
    Transcript,
    Word,
    canonical,
    filler_rows,
    heard_edges,
    pieces,
    repeat_rows,
    rows_of,
    words_from_json,
)


def said(text: str, language: str = "en", step_s: float = 0.5) -> Transcript:
    words = (Word(i * step_s, (i + 0.8) * step_s, word) for i, word in enumerate(text.split()))
    return Transcript(tuple(words), language)


def texts(rows) -> list[str]:
    return [row.text for row in rows]


# --- fillers and repeats -------------------------------------------------------------------------------------------


def test_fillers_are_found_however_they_are_written():
    assert texts(filler_rows(said("So, Um, uhh I, ERM... umbrella [UH] ummmm err"))) == [
        "Um,",
        "uhh",
        "ERM...",
        "[UH]",
        "ummmm",
    ]


def test_what_is_a_word_in_a_language_is_no_filler_there():
    assert texts(filler_rows(said("ich will um acht, ähm, er kommt", "de"))) == ["ähm,"]
    assert filler_rows(said("um uh er", "tr")) == []
    assert texts(filler_rows(said("like um you know", "en"), fillers=["like"])) == ["like"]
    assert "um" not in FILLER_WORDS["de"]
    assert all(canonical(word) for words in FILLER_WORDS.values() for word in words)


def test_repeats_remove_the_first_saying_with_what_lies_between():
    rows = repeat_rows(said("and I was um I was going going home"))
    assert [(r.start_s, r.end_s, r.text) for r in rows] == [(0.5, 2.0, "I was"), (3.0, 3.5, "going")]
    assert [r.remove for r in repeat_rows(said("a very very good no no"))] == [False, False]
    assert repeat_rows(said("one two three and a b a c 2 2")) == []
    far = Transcript((Word(0, 0.4, "well"), Word(5, 5.4, "well")), "en")
    assert repeat_rows(far) == []
    thrice = repeat_rows(said("the the the end"))
    assert [(r.start_s, r.end_s) for r in thrice] == [(0.0, 0.5), (0.5, 1.0)]
    assert [r.kind for r in rows_of(said("um I I"))] == ["filler", "repeat"]


def test_words_come_from_json_flat_or_in_segments(real_media):
    segments = json.loads((real_media / "talk" / "read_speech_88s_words.json").read_text())
    words = words_from_json(segments)
    assert len(words) == sum(len(segment["words"]) for segment in segments)
    assert all(a.start_s <= b.start_s for a, b in pairwise(words))


@pytest.mark.parametrize(
    "values",
    [
        {},
        [7],
        [{"word": "a", "start": 1}],
        [{"word": "a", "start": 2, "end": 1}],
        [{"word": "a", "start": float("nan"), "end": 1}],
        [{"word": 5, "start": 0, "end": 1}],
        [{"words": "abc"}],
    ],
)
def test_other_json_is_refused(values):
    with pytest.raises(InputError):
        words_from_json(values)


# --- pieces of long sound ------------------------------------------------------------------------------------------


def mask(*spans_s: tuple[float, float], length_s: float) -> np.ndarray:
    sounds = np.zeros(round(length_s / HOP_S), bool)
    for a, b in spans_s:
        sounds[round(a / HOP_S) : round(b / HOP_S)] = True
    return sounds


def test_pieces_end_in_pauses_and_leave_silence_out():
    sounds = mask((1, 9), (9.4, 20), (21, 35), (100, 101), length_s=130)
    got = pieces(sounds)
    np.testing.assert_allclose(got, [(0.8, 20.2), (20.8, 35.2), (99.8, 101.2)], atol=0.02)
    assert pieces(mask(length_s=50)) == []


def test_pieces_cover_all_sound_and_fit_the_recogniser(rng):
    edges = np.sort(rng.uniform(0, 300, 60)).reshape(-1, 2)
    sounds = mask(*edges, (100, 170), length_s=300)  # and more than a minute without a pause
    covered = np.zeros_like(sounds)
    for a, b in pieces(sounds):
        assert 0 < b - a <= LONGEST_PIECE_S + 1e-6
        assert not covered[round(a / HOP_S) : round(b / HOP_S)].all()
        covered[round(a / HOP_S) : round(b / HOP_S)] = True
    assert covered[sounds].all()


def test_words_end_where_they_are_heard():
    sounds = mask((1.0, 1.4), length_s=3)
    word = heard_edges(Word(0.8, 2.2, "so"), sounds)
    assert (word.start_s, word.end_s) == pytest.approx((1.0, 1.4))
    assert heard_edges(Word(2.0, 2.5, "so"), sounds) == Word(2.0, 2.5, "so")


# --- the recogniser ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("transformers")
    from tiny_whisper import save_tiny_whisper

    return save_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def recogniser(folder):
    from genkey_core.jumpcut.whisper import load_recogniser

    return load_recogniser(folder)


@pytest.fixture
def samples(rng):
    return (0.1 * rng.standard_normal(5 * RATE)).astype(np.float32)


def test_tokens_become_words_at_spaces_and_whole_characters(recogniser):
    def grouped(text, language):
        tokens = recogniser.tokenizer(text, add_special_tokens=False).input_ids
        times_s = list(np.arange(len(tokens)) * 0.1)
        special = recogniser.tokenizer.convert_tokens_to_ids("<|notimestamps|>")
        return recogniser._grouped([*tokens, special], [*times_s, 9.0], [0.25] * (len(tokens) + 1), 9.0, language)

    words = grouped(" um the käse, thé", "en")
    assert [w.text for w in words] == ["um", "the", "käse,", "thé"]
    assert [w.start_s for w in words[1:]] == [w.end_s for w in words[:-1]]
    assert words[-1].end_s == 9.0
    assert all(w.confidence == pytest.approx(0.25) for w in words)
    assert [w.text for w in grouped("えっと、猫", "ja")] == ["え", "っ", "と、", "猫"]


def test_words_have_times_inside_the_sound_and_depend_on_sound_and_prompt(recogniser, samples, monkeypatch):
    asked = {}
    generate = recogniser.model.generate

    def spied(*args, **kwargs):
        asked.update(kwargs)
        return generate(*args, **kwargs)

    monkeypatch.setattr(recogniser.model, "generate", spied)
    words = recogniser.words(samples, language="en", prompt="um the um")
    assert words
    assert (asked["num_beams"], asked["do_sample"], asked["language"], asked["task"]) == (1, False, "en", "transcribe")
    assert len(asked["prompt_ids"]) > 3
    assert all(0 <= w.start_s <= w.end_s <= 5.0 and 0 <= w.confidence <= 1 for w in words)
    again = recogniser.words(samples, language="en", prompt="um the um")
    assert again == words
    assert recogniser.words(samples, language="en", prompt="") != words
    assert recogniser.words(samples[: 2 * RATE], language="en", prompt="um the um") != words


def test_a_long_prompt_is_shortened_and_an_unknown_language_refused(recogniser, samples):
    assert isinstance(recogniser.words(samples, language="de", prompt="um the " * 100), list)
    with pytest.raises(InputError, match="one of de, en, ja is needed"):
        recogniser.words(samples, language="xx")
    assert recogniser.language_of(samples) in ("en", "de", "ja")


def test_a_file_is_transcribed_piece_by_piece(folder, tmp_path, rng):
    from media_samples import write_sound

    from genkey_core.jumpcut.transcript import Recognising, transcribe

    path = write_sound(
        tmp_path / "a.wav", (0.1 * rng.standard_normal((1, 20 * RATE))).astype(np.float32), RATE, codec="pcm_s16le"
    )
    sounds = mask((1, 9), (15, 18), length_s=20)
    *steps, transcript = transcribe(str(folder), str(path), sounds, device="cpu")
    assert all(isinstance(step, Recognising) for step in steps)
    assert len(steps) == len(pieces(sounds))
    assert transcript.language in ("en", "de", "ja")
    assert transcript.words == tuple(w for step in steps for w in step.words)
    assert all(0.8 - 1e-6 <= w.start_s <= w.end_s <= 18.2 + 1e-6 for w in transcript.words)
    stream = transcribe(str(folder), str(path), sounds, device="cpu", language="en")
    next(stream)
    stream.close()
    (silent,) = transcribe(str(folder), str(path), mask(length_s=20), device="cpu")
    assert silent == Transcript((), "en")


def test_a_recogniser_that_loops_is_left_out_with_a_note(folder, tmp_path, rng, monkeypatch):
    from media_samples import write_sound

    from genkey_core.jumpcut import whisper
    from genkey_core.jumpcut.transcript import transcribe

    path = write_sound(
        tmp_path / "a.wav", (0.1 * rng.standard_normal((1, 9 * RATE))).astype(np.float32), RATE, codec="pcm_s16le"
    )
    loop = [Word(i * 0.1, i * 0.1 + 0.1, "thank you") for i in range(80)]
    monkeypatch.setattr(whisper.Recogniser, "words", lambda self, samples, **_: loop)
    *_, transcript = transcribe(str(folder), str(path), mask((1, 8), length_s=9), device="cpu", language="en")
    assert transcript.words == ()
    assert "repeated itself" in transcript.notes[0]


def test_folders_that_are_no_whisper_are_refused(tmp_path, folder):
    from tiny_whisper import save_tiny_whisper

    from genkey_core.jumpcut.whisper import load_recogniser

    with pytest.raises(InputError, match=r"lacks config\.json"):
        load_recogniser(tmp_path)
    with pytest.raises(InputError, match="no alignment_heads"):
        load_recogniser(save_tiny_whisper(tmp_path / "timeless", word_times=False))
    broken = save_tiny_whisper(tmp_path / "broken")
    (broken / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"weights .* cannot be read"):
        load_recogniser(broken)
