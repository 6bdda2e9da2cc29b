"""Transcripts that people have, read as words: SubRip, WebVTT and what recognisers write as JSON."""

import pytest

from genkey_core import InputError
from genkey_core.jumpcut.subtitles import read_transcript, words_of_captions

SRT = "1\n00:00:01,000 --> 00:00:03,000\n<i>Well, um</i> hello\n\n2\n00:01:02,500 --> 00:01:03,500\nagain\n"


def test_captions_are_read_as_words_that_share_their_time(tmp_path):
    words = words_of_captions(SRT)
    assert [w.text for w in words] == ["Well,", "um", "hello", "again"]
    assert words[0].start_s == 1.0
    assert words[2].end_s == pytest.approx(3.0)
    assert (words[3].start_s, words[3].end_s) == (62.5, 63.5)
    vtt = "WEBVTT\n\n" + SRT.replace(",", ".").replace("00:00:0", "00:0")
    assert [w.start_s for w in words_of_captions(vtt)] == pytest.approx([w.start_s for w in words])
    path = tmp_path / "said.srt"
    path.write_bytes(b"\xef\xbb\xbf" + SRT.replace("\n", "\r\n").encode())
    assert read_transcript(path).words == words


def test_recognisers_json_is_read_and_bad_transcripts_are_named(tmp_path):
    path = tmp_path / "said.json"
    path.write_text('{"language": "de", "segments": [{"words": [{"word": "äh", "start": 0.5, "end": 0.8}]}]}', "utf-8")
    assert read_transcript(path).language == "de"
    for name, content, says in (
        ("a.json", "[1, 2", "no JSON"),
        ("b.json", "[]", "no words"),
        ("c.srt", "hello", "no captions"),
        ("d.srt", b"\xff\xfe\x00", "no UTF-8"),
        ("e.srt", SRT.replace("03,000", "00,500"), "caption at 1.00 s, end"),
    ):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(InputError, match=says):
            read_transcript(tmp_path / name)
