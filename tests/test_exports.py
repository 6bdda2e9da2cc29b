"""The cut for other programs: an EDL that an EDL reader gives back, JSON both ways, captions on the cut's clock."""

import json
import re
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genkey_core import InputError
from genkey_core.jumpcut.cutlist import Row, TimeMap, cut_list
from genkey_core.jumpcut.edit import Piece
from genkey_core.jumpcut.exports import Cue, cues, edl, from_json, srt, timecode, to_json, vtt
from genkey_core.jumpcut.transcript import Word

EVENT = re.compile(
    r"(\d{3})  (\S{1,8}) +(V|A|B|AA/V) +C {8}"
    + " ".join([r"(\d{2}):(\d{2}):(\d{2}):(\d{2})"] * 4)
)  # fmt: skip


def read_edl(text: str, fps: int) -> tuple[str, list[tuple]]:
    """Title and (reel, channels, source in, source out, record in, record out) in frames, from CMX 3600."""
    lines = text.splitlines()
    assert lines[0].startswith("TITLE: ")
    assert lines[1] == "FCM: NON-DROP FRAME"
    events = []
    for line in lines[2:]:
        if not line or line.startswith("*"):
            continue
        event = EVENT.fullmatch(line)
        assert event, line
        number, reel, channels, *digits = event.groups()
        assert int(number) == len(events) + 1
        times = [list(map(int, digits[4 * i : 4 * i + 4])) for i in range(4)]
        assert all(ff < fps and ss < 60 and mm < 60 for _, mm, ss, ff in times)
        events.append((reel, channels, *(((h * 60 + m) * 60 + s) * fps + f for h, m, s, f in times)))
    return lines[0][7:], events


PIECES = st.lists(st.tuples(st.integers(1, 4000), st.integers(1, 9000), st.integers(0, 9)), min_size=1, max_size=20)


@settings(max_examples=30)
@given(
    PIECES,
    st.sampled_from([(25, 25), (24000 / 1001, 24), (29.97, 30), (Fraction(30000, 1001), 30), (22.131, 22), (60, 60)]),
)
def test_an_edl_gives_the_frames_back(parts, rates):
    fps, whole = rates
    pieces, at = [], 0
    for gap, n, new in parts:
        pieces.append(Piece(at + gap, at + gap + n, new))
        at += gap + n
    title, events = read_edl(edl(pieces, fps=fps, clip_name="my talk.mp4", title="A cut"), whole)
    assert title == "A cut"
    sources = [(start, stop) for reel, _, start, stop, *_ in events if reel == "AX"]
    assert sources == [(p.start, p.stop) for p in pieces]
    assert [stop for reel, _, _, stop, *_ in events if reel == "BL"] == [p.inserted for p in pieces if p.inserted]
    assert all(stop - start == out - into for *_, start, stop, into, out in events)
    assert [into for *_, into, _ in events] == [0, *(out for *_, out in events)][:-1]
    assert events[-1][-1] == sum(p.n_frames for p in pieces)


def test_an_edl_names_its_clip_on_one_line_and_its_sound():
    text = edl((Piece(0, 5),), fps=23.976, clip_name="a\nb.mp4\r", title="x" * 200, n_channels=0)
    assert "* FROM CLIP NAME: a b.mp4 \n" in text
    assert "* FRAME RATE: 24000/1001" in text
    assert max(map(len, text.splitlines())) < 90
    assert read_edl(text, 24)[1][0][1] == "V"
    assert read_edl(edl((Piece(0, 5),), fps=25, clip_name="a", n_channels=1), 25)[1][0][1] == "B"
    with pytest.raises(InputError, match="at most 999 events are possible, got 1000; export the cut as JSON"):
        edl([Piece(2 * i, 2 * i + 1) for i in range(1000)], fps=25, clip_name="a")


def test_timecodes_are_non_drop_at_the_nearest_whole_rate():
    assert timecode(0, 25) == "00:00:00:00"
    assert timecode(1800, Fraction(30000, 1001)) == "00:01:00:00"  # drop frame would skip to 02
    assert timecode(24 * 3600 + 23, 23.976) == "01:00:00:23"
    assert timecode(24 * 3600 * 25, 25) == "00:00:00:00"


# --- JSON ----------------------------------------------------------------------------------------------------------


def test_json_gives_the_same_cut_list_back():
    rows = [Row(1, 2.25, "pause", 0.8), Row(3, 3.5, "filler", 0.6, False, "äh"), Row(4, 4, "shot", remove=False)]
    cuts = cut_list(rows, duration_s=9.5, padding_s=0.05, shortest_piece_s=0.2)
    assert from_json(to_json(cuts)) == cuts
    assert from_json(to_json(cuts)).removed == cuts.removed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "edl"}, "of the format genkey-cut-list"),
        ({"version": 2}, "version 1"),
        ({"extra": 1}, "version 1 with"),
        ({"duration_s": float("nan")}, "duration: a finite number"),
        ({"duration_s": None}, "duration: a number"),
        ({"rows": "none"}, "rows must be a list"),
        ({"rows": [{"start_s": float("nan"), "end_s": 2, "kind": "pause"}]}, "row 1, start: a finite number"),
        ({"rows": [{"start_s": 3, "end_s": 2, "kind": "pause"}]}, "before its start"),
        ({"rows": [{"start_s": 1, "kind": "pause"}]}, "row 1: an object with"),
        ({"rows": [{"start_s": 1, "end_s": 2, "kind": "pause", "cmd": 1}]}, "row 1: an object with"),
        ({"rows": [7]}, "row 1: an object with"),
        ({"rows": [{"start_s": 1, "end_s": 10**400, "kind": "pause"}]}, "end: a finite number"),
    ],
)
def test_json_of_another_kind_is_refused(change, words):
    values = json.loads(to_json(cut_list([], duration_s=9)))
    with pytest.raises(InputError, match=words):
        from_json(json.dumps(values | change))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "[]", 5, "NaN"])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(InputError, match="cut list"):
        from_json(text)


# --- captions ------------------------------------------------------------------------------------------------------


def spoken(text: str, start_s: float = 0.0, step_s: float = 0.4) -> list[Word]:
    return [Word(start_s + i * step_s, start_s + (i + 0.8) * step_s, word) for i, word in enumerate(text.split())]


def test_captions_follow_the_cut_and_lose_what_was_removed():
    words = [*spoken("we begin um here."), *spoken("Then we go on.", start_s=10)]
    cuts = cut_list([Row(0.8, 1.2, "filler"), Row(1.6, 9.9, "range")], duration_s=12)
    got = cues(words, cuts.times)
    assert [" ".join(cue.lines) for cue in got] == ["we begin here. Then we go on."]
    assert (got[0].start_s, got[0].end_s) == (0, pytest.approx(10 + 1.52 - 8.7))
    apart = cues(words, TimeMap(((0.0, 12.0),)))
    assert [" ".join(cue.lines) for cue in apart] == ["we begin um here.", "Then we go on."]


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.text("abcäß.?! -", min_size=1, max_size=60), st.floats(0.0, 2.0), st.floats(0, 2.0)), max_size=60
    )
)
def test_captions_are_short_in_order_and_never_two_at_once(parts):
    words, at = [], 0.0
    for text, gap_s, length_s in parts:
        words.append(Word(at + gap_s, at + gap_s + length_s, text))
        at += gap_s + length_s
    got = cues(words, TimeMap(((0.0, at + 1),)))
    assert all(cue.end_s > cue.start_s for cue in got)
    assert all(a.end_s <= b.start_s + 1e-9 for a, b in pairwise(got))
    assert all(len(line) <= 42 for cue in got for line in cue.lines)
    assert all(len(cue.lines) <= 2 for cue in got)


def test_files_have_the_forms_players_read():
    captions = [Cue(0.0, 1.5, ("Hello <b>", "a --> b & c")), Cue(3661.0004, 3662.25, ("…end",))]
    assert srt(captions) == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello <b>\na → b & c\n\n2\n01:01:01,000 --> 01:01:02,250\n…end\n"
    )
    assert vtt(captions) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello &lt;b&gt;\na --&gt; b &amp; c\n\n"
        "01:01:01.000 --> 01:01:02.250\n…end\n"
    )
    assert (srt([]), vtt([])) == ("\n", "WEBVTT\n")
