"""Rows by ear and words of a transcript: no word is cut, no filler is listed twice, silence stays the ear's to judge."""

import json
from dataclasses import replace

import numpy as np
import pytest

from genkey_core.jumpcut.acoustics import HOP_S
from genkey_core.jumpcut.agreement import agreed
from genkey_core.jumpcut.cutlist import Row, cut_list
from genkey_core.jumpcut.speech import analyse
from genkey_core.jumpcut.subtitles import read_transcript
from genkey_core.jumpcut.transcript import Transcript, Word, words_from_json


def sounding(*spans_s: tuple[float, float], length_s: float = 10.0) -> np.ndarray:
    sounds = np.zeros(round(length_s / HOP_S), bool)
    for a, b in spans_s:
        sounds[round(a / HOP_S) : round(b / HOP_S)] = True
    return sounds


def heard(*words: tuple[float, float, str], language: str = "en") -> Transcript:
    return Transcript(tuple(Word(*word, 0.9) for word in words), language)


def test_a_pause_gives_way_to_a_word_too_soft_to_be_heard_as_sound():
    pause = Row(2.0, 6.0, "pause")
    rows, more = agreed([pause], heard((3.0, 3.4, "well"), (5.95, 6.5, "then")), sounding((0, 2), (6.0, 9)))
    assert [(r.start_s, r.end_s, r.remove) for r in rows] == [(2.0, 3.0, True)]
    assert [(r.start_s, r.end_s, r.kind) for r in more] == [(3.4, 6.0, "pause")]
    removed = cut_list([*rows, *more], duration_s=9.0, padding_s=0).removed
    assert all(b <= 3.0 or a >= 3.4 for a, b in removed)
    rows, more = agreed([Row(3.0, 3.5, "pause")], heard((2.9, 3.6, "well")), sounding((0, 2)))
    assert ([r.remove for r in rows], more) == ([False], ())


def test_a_word_stretched_over_silence_leaves_the_pause_as_it_was_heard():
    pause = Row(2.2, 4.0, "pause")
    rows, more = agreed([pause], heard((1.8, 4.1, "so"), (4.1, 4.5, "now")), sounding((1.8, 2.2), (4.0, 4.5)))
    assert rows == (pause,)
    assert more == ()


def test_a_filler_by_ear_that_is_a_word_stays_and_one_that_is_said_is_listed_once():
    rows = [Row(1.0, 1.5, "filler", 0.6), Row(3.0, 3.5, "filler", 0.4, remove=False), Row(5.0, 5.5, "filler", 0.6)]
    words = heard((0.9, 1.6, "soooo"), (2.9, 3.6, "um"), (4.0, 6.5, "the"), (7.0, 7.2, "uh"))
    found, more = agreed(rows, words, sounding((0, 9)))
    assert [(r.remove, r.text) for r in found] == [(False, "soooo"), (True, "um"), (True, "")]
    assert [(r.start_s, r.end_s) for r in found] == [(r.start_s, r.end_s) for r in rows]  # the ear's edges
    assert found[1].confidence == 0.9
    assert [(r.kind, r.text) for r in more] == [("filler", "uh")]


def test_what_is_a_filler_depends_on_the_language():
    row = Row(1.0, 1.5, "filler", 0.6)
    (german,), _ = agreed([row], heard((0.95, 1.5, "um"), language="de"), sounding((0, 9)))
    (english,), _ = agreed([row], heard((0.95, 1.5, "um"), language="en"), sounding((0, 9)))
    assert (german.remove, english.remove) == (False, True)


def test_captions_only_add_rows(tmp_path):
    path = tmp_path / "said.srt"
    path.write_text("1\n00:00:01,000 --> 00:00:03,000\nwell um then then\n")
    transcript = read_transcript(path)
    assert not transcript.timed
    rows = (Row(1.2, 2.9, "pause"), Row(2.0, 2.5, "filler"))
    found, more = agreed(rows, transcript, sounding())
    assert found == rows
    assert [(r.kind, r.text) for r in more] == [("filler", "um"), ("repeat", "then")]


def test_no_word_of_a_real_transcript_is_cut(real_media):
    talk = real_media / "talk"
    segments = json.loads((talk / "read_speech_88s_words.json").read_text())
    transcript = Transcript(words_from_json(segments), "en")
    heard_rows = analyse(talk / "read_speech_88s.mp4")
    # Harsher than life: one real word in ten is made a pause by ear, and its sound inaudible.
    places = range(10, len(transcript.words) - 1, 10)
    lost = [transcript.words[i] for i in places]
    gaps = [(transcript.words[i - 1].end_s, transcript.words[i + 1].start_s) for i in places]
    sounds = heard_rows.sounds.copy()
    for word in lost:
        sounds[int(word.start_s / HOP_S) : round(word.end_s / HOP_S) + 1] = False
    rows = [*heard_rows.rows, *(Row(a, b, "pause") for a, b in gaps)]
    found, more = agreed(rows, transcript, sounds)
    meant = [replace(r, remove=False) if r.kind == "repeat" else r for r in (*found, *more)]
    removed = cut_list(meant, duration_s=heard_rows.duration_s, padding_s=0).removed
    assert sum(b - a for a, b in removed) > 10
    for word in transcript.words:
        cut_s = sum(max(0.0, min(b, word.end_s) - max(a, word.start_s)) for a, b in removed)
        assert cut_s <= 0.5 * (word.end_s - word.start_s) + 1e-6, word
    for word in lost:
        assert not [1 for a, b in removed if a < word.end_s - 1e-6 and b > word.start_s + 1e-6]


@pytest.mark.parametrize("n", [0, 1])
def test_no_words_change_nothing(n):
    rows = (Row(1.0, 2.0, "pause"),) * n
    assert agreed(rows, Transcript((), "en"), sounding()) == (rows, ())
