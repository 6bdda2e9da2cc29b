"""Transcripts that people have: JSON with word times, SubRip and WebVTT, read as words.

Captions time whole lines, not words: the words of one share its time by their lengths. That is enough for captions of the
cut video and to find fillers and repeats, whose rows are then a guess inside the line, and as unsure as `_GUESSED` says.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path

from ..checks import InputError, number
from ..media.files import base_name, open_local
from .transcript import MAX_WORDS, Transcript, Word, words_from_json

MAX_BYTES = 20_000_000
_GUESSED = 0.4
_TIMES = re.compile(
    r"\s*(?:(\d{1,2}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})\s*-->\s*(?:(\d{1,2}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})\b.*"
)
_TAG = re.compile(r"<[^<>]{0,200}>|\{\\[^{}]{0,200}\}")


def read_transcript(path: str | os.PathLike, *, language: str = "en") -> Transcript:
    """The transcript in a .json, .srt or .vtt file; raises InputError that names what cannot be read.

    JSON is a list of words or segments, or an object with `segments`, `words` or `chunks`, as recognisers write it.
    """
    with open_local(path, max_bytes=MAX_BYTES) as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"transcript: {base_name(path)} is no UTF-8 text; save it as UTF-8.") from error
    if Path(path).suffix.lower() == ".json":
        return _from_json(text, path, language)
    words = words_of_captions(text)
    if not words:
        raise InputError(
            f"transcript: {base_name(path)} has no captions; .srt, .vtt or .json with word times is needed."
        )
    return Transcript(words, language, timed=False)


def _from_json(text: str, path: str | os.PathLike, language: str) -> Transcript:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"transcript: {base_name(path)} is no JSON that can be read; export it anew.") from error
    if isinstance(values, dict):
        said = values.get("language")
        language = said[:2].lower() if isinstance(said, str) and len(said) == 2 else language
        values = next((values[key] for key in ("segments", "words", "chunks") if key in values), None)
    words = words_from_json(values)
    if not words:
        raise InputError(f"transcript: {base_name(path)} has no words.")
    return Transcript(words, language)


def words_of_captions(text: str) -> tuple[Word, ...]:
    """The words of SubRip or WebVTT text in order; a caption's time is shared among them by their letters."""
    words: list[Word] = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.split("\n")
        at = next((i for i, line in enumerate(lines) if _TIMES.fullmatch(line)), None)
        if at is None:
            continue
        parts = _TIMES.fullmatch(lines[at]).groups()
        start_s, end_s = _seconds(parts[:4]), _seconds(parts[4:])
        number(end_s, f"caption at {start_s:.2f} s, end", low=start_s, unit="s")
        said = _TAG.sub("", " ".join(lines[at + 1 :])).split()
        edges = list(itertools.accumulate((len(word) + 1 for word in said), initial=0))
        times_s = [start_s + (end_s - start_s) * edge / edges[-1] for edge in edges if edges[-1]]
        spans = zip(times_s, times_s[1:], said, strict=False)
        words += [Word(from_s, to_s, word[:200], _GUESSED) for from_s, to_s, word in spans]
        if len(words) > MAX_WORDS:
            raise InputError(f"transcript: at most {MAX_WORDS} words are needed, got more.")
    return tuple(sorted(words, key=lambda word: word.start_s))


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = parts
    return 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds) + int(fraction.ljust(3, "0")) / 1000
