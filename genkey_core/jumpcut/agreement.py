"""Rows found by ear and the words of a transcript, brought to agree: no word is cut, no filler is listed twice.

Either may be wrong. A recogniser leaves fillers out and stretches the word before over them and over silence; an ear
without words takes a drawn-out vowel for an "uh" and misses a whispered word. What was decided: silence is the ear's
to judge, and what is a word is the recogniser's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .acoustics import HOP_S
from .cutlist import Row
from .transcript import Transcript, Word, canonical, known_fillers, rows_of

_SHORTEST_S = 0.1  # of what is left of a pause
_MOST = 0.5  # of a word: a row that covers so much of it would cut the word


def agreed(rows: Sequence[Row], transcript: Transcript, sounds: np.ndarray) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """(the same rows in the same order, as the words leave them; further rows) for `rows` found by ear.

    `sounds` is `Analysis.sounds`. A pause gives way to words that are said in it too softly to be heard as sound; where
    that divides it, its later parts are further rows. A filler by ear that is a word is kept and carries that word; one
    that the transcript has as a filler too carries its text and is not listed again. Words of captions have no times of
    their own: they change nothing and only add rows.
    """
    lexical = list(rows_of(transcript))
    if not transcript.timed:
        return tuple(rows), tuple(lexical)
    fillers = known_fillers(transcript.language)
    words = [w for w in transcript.words if canonical(w.text) and canonical(w.text) not in fillers]
    soft = _Timed([w for w in words if not _sounds_in(sounds, w)])
    said, found, more = _Timed(words), [], []
    for row in rows:
        if row.kind == "pause":
            parts = _without(row, soft.within(row))
            found.append(parts[0] if parts else replace(row, remove=False))
            more += parts[1:]
        elif row.kind == "filler" and not row.text:
            found.append(_filler(row, lexical, said.within(row)))
        else:
            found.append(row)
    return tuple(found), (*more, *lexical)


def _filler(row: Row, lexical: list[Row], words: list[Word]) -> Row:
    """A filler by ear as the words have it; takes its double out of `lexical`."""
    for i, other in enumerate(lexical):
        shared = min(row.end_s, other.end_s) - max(row.start_s, other.start_s)
        shorter = min(row.end_s - row.start_s, other.end_s - other.start_s)
        if other.kind == "filler" and shared >= 0.5 * shorter:
            del lexical[i]
            # Its edges were heard, the recogniser's are where it looked.
            return replace(row, text=other.text, confidence=max(row.confidence, other.confidence), remove=True)
    for word in words:
        shared = min(row.end_s, word.end_s) - max(row.start_s, word.start_s)
        if shared >= _MOST * (word.end_s - word.start_s):
            return replace(row, remove=False, text=word.text)
    return row


def _without(row: Row, words: list[Word]) -> list[Row]:
    """What is left of a pause between the words in it."""
    edges = [row.start_s]
    for word in words:
        edges += [max(row.start_s, word.start_s), min(row.end_s, word.end_s)]
    edges.append(row.end_s)
    parts = zip(edges[::2], edges[1::2], strict=True)
    return [replace(row, start_s=a, end_s=b) for a, b in parts if b - a >= min(_SHORTEST_S, row.end_s - row.start_s)]


def _sounds_in(sounds: np.ndarray, word: Word) -> bool:
    first = int(word.start_s / HOP_S)
    return bool(sounds[first : max(first + 1, round(word.end_s / HOP_S))].any())


class _Timed:
    """Words in order of time, to be asked for those that overlap a row."""

    def __init__(self, words: Sequence[Word]):
        self._words = sorted(words, key=lambda word: word.start_s)
        self._starts = [word.start_s for word in self._words]
        self._longest_s = max((w.end_s - w.start_s for w in self._words), default=0.0)

    def within(self, row: Row) -> list[Word]:
        first = bisect_left(self._starts, row.start_s - self._longest_s)
        last = bisect_left(self._starts, row.end_s)
        return [word for word in self._words[first:last] if word.end_s > row.start_s]
