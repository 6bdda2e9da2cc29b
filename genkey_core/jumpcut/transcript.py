"""What was said, word by word: filler words and repeated words as rows, and a recogniser that keeps them (thesis ch. 4).

The recogniser is any Whisper in the Hub's folder layout (Radford et al. 2022; `whisper.py` runs it), a verbatim one too. Plain
Whisper leaves out "um" and "uh" unless what it believes to have heard before is full of them, so it is prompted with
such a sentence. Long sound goes in pieces that end in pauses, each silence between them is skipped, and the words'
edges are set to where something is heard.
"""

from __future__ import annotations

import os
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import runtime
from ..checks import InputError, number, shown
from ..media.audio import open_sound
from .acoustics import HOP_S, RATE, runs
from .cutlist import Row

# Sounds that are no words, per language. What is a word elsewhere stays out: German "um" means "about", Spanish "este"
# is "this". Letters drawn out are one ("ummm"), case and punctuation do not count.
FILLER_WORDS: Mapping[str, frozenset[str]] = {
    "en": frozenset({"um", "uh", "uhm", "er", "erm", "hm", "mm", "uhh", "umm", "ehm"}),
    "de": frozenset({"äh", "ähm", "öh", "öhm", "hm", "ehm"}),
    "fr": frozenset({"euh", "heu", "hum", "hm"}),
    "es": frozenset({"eh", "em", "ehm", "hm"}),
    "it": frozenset({"ehm", "mh", "hm", "uhm"}),
    "pt": frozenset({"hã", "ahn", "hum", "hm", "ãh"}),
    "nl": frozenset({"eh", "ehm", "uh", "uhm", "hm"}),
    "sv": frozenset({"öh", "öhm", "eh", "ehm", "hm"}),
    "pl": frozenset({"yy", "ym", "ee", "hm"}),
    "ru": frozenset({"э", "эм", "мм", "хм"}),
    "ja": frozenset({"えー", "えっと", "えーと", "あのー", "うーん"}),
    "zh": frozenset({"嗯", "呃", "额"}),
}
PROMPTS: Mapping[str, str] = {
    "en": "Um, so, uh, I was, um, well, hmm, I mean, uh, yeah, the the, um, other one.",
    "de": "Ähm, also, äh, ich wollte, öh, na ja, ähm, das das, hm, andere.",
    "fr": "Euh, alors, euh, je, je voulais, hum, enfin, euh, l'autre.",
    "es": "Eh, bueno, em, yo, yo quería, eh, o sea, em, el otro.",
}
TWICE_ON_PURPOSE = frozenset(
    {"very", "really", "no", "yes", "bye", "ha", "so", "many", "sehr", "nein", "ja", "très", "muy"}
)
MAX_WORDS = 200_000
LONGEST_PIECE_S = 28.0  # of the 30 s that Whisper hears at once
_SHORTEST_PIECE_S = 8.0  # a piece ends at the widest pause after this
_REPEAT_WITHIN_S = 1.0
_LONGEST_PHRASE = 4  # words


@dataclass(frozen=True)
class Word:
    """One word or filler as spoken, on the source's clock."""

    start_s: float
    end_s: float
    text: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Transcript:
    """The words in order, and the language's two letters."""

    words: tuple[Word, ...]
    language: str
    notes: tuple[str, ...] = ()
    timed: bool = True  # whether each word has a time of its own, rather than a share of its caption's


@dataclass(frozen=True)
class Recognising:
    """Progress: seconds done of all, and the words of the piece just done."""

    done_s: float
    total_s: float
    words: tuple[Word, ...]


def rows_of(transcript: Transcript, *, fillers: Iterable[str] | None = None) -> tuple[Row, ...]:
    """Rows for filler words (by the language's list, or the given one) and for repeated words, by start."""
    rows = [*filler_rows(transcript, fillers=fillers), *repeat_rows(transcript, fillers=fillers)]
    return tuple(sorted(rows, key=lambda row: (row.start_s, row.end_s)))


def filler_rows(transcript: Transcript, *, fillers: Iterable[str] | None = None) -> list[Row]:
    """One row per filler word. A language without a list has none, rather than another language's."""
    known = known_fillers(transcript.language, fillers)
    return [
        Row(w.start_s, w.end_s, "filler", w.confidence, text=w.text)
        for w in transcript.words
        if canonical(w.text) in known
    ]


def repeat_rows(transcript: Transcript, *, fillers: Iterable[str] | None = None) -> list[Row]:
    """Words or phrases said twice in a row ("I was, um, I was"): the first saying, with what lies before the second.

    Fillers between do not hide a repeat. What people double on purpose ("very very") is listed, but kept.
    """
    known = known_fillers(transcript.language, fillers)
    words = [w for w in transcript.words if canonical(w.text) and canonical(w.text) not in known]
    texts = [canonical(w.text) for w in words]
    rows, i = [], 0
    while i < len(words):
        for n in range(min(_LONGEST_PHRASE, (len(words) - i) // 2), 0, -1):
            near = words[i + n].start_s - words[i + n - 1].end_s <= _REPEAT_WITHIN_S
            if texts[i : i + n] == texts[i + n : i + 2 * n] and near and not texts[i].isdigit():
                meant = n == 1 and texts[i] in TWICE_ON_PURPOSE
                said = " ".join(w.text.strip() for w in words[i : i + n])
                confidence = 0.3 if meant else min(w.confidence for w in words[i : i + 2 * n])
                rows.append(Row(words[i].start_s, words[i + n].start_s, "repeat", confidence, not meant, said))
                i += n - 1
                break
        i += 1
    return [row for row in rows if row.end_s > row.start_s]


def canonical(text: str) -> str:
    """A word as it is compared: lower case, letters and digits alone, a letter three times or more counts once."""
    kept = (c for c in unicodedata.normalize("NFC", text.casefold()) if c.isalnum() or c == "ー")
    return re.sub(r"(.)\1{2,}", r"\1", "".join(kept))


def known_fillers(language: str, fillers: Iterable[str] | None = None) -> frozenset[str]:
    """The fillers of a language, or the given ones, as `canonical` writes them."""
    return frozenset(map(canonical, FILLER_WORDS.get(language, ()) if fillers is None else fillers))


def words_from_json(values: object) -> tuple[Word, ...]:
    """Words from a list of {"word" or "text", "start", "end"}, in segments with "words" or flat; InputError otherwise."""
    if not isinstance(values, list):
        raise InputError(f"transcript: a list of words with start and end is needed, got {shown(values)}.")
    words = []
    for value in values:
        parts = value.get("words") if isinstance(value, dict) and "words" in value else [value]
        for part in parts if isinstance(parts, list) else [parts]:
            text = part.get("word", part.get("text")) if isinstance(part, dict) else None
            if not isinstance(text, str) or len(text) > 200:
                raise InputError(f"transcript: a word with text, start and end is needed, got {shown(part)}.")
            start_s = number(part.get("start"), f"{shown(text)}, start", low=0, unit="s")
            end_s = number(part.get("end"), f"{shown(text)}, end", low=start_s, unit="s")
            words.append(Word(start_s, end_s, text, number(part.get("conf", 1.0), "confidence", low=0, high=1)))
    if len(words) > MAX_WORDS:
        raise InputError(f"transcript: at most {MAX_WORDS} words are needed, got {len(words)}.")
    return tuple(sorted(words, key=lambda word: word.start_s))


def pieces(sounds: np.ndarray, *, longest_s: float = LONGEST_PIECE_S) -> list[tuple[float, float]]:
    """(start_s, end_s) of stretches of at most `longest_s` that hold everything that `sounds` (bool, every HOP_S).

    They begin and end in silence where there is any: at the middle of the widest pause of the stretch's later part.
    """
    spans, at, n = [], 0, len(sounds)
    longest, shortest = round(longest_s / HOP_S), round(min(_SHORTEST_PIECE_S, longest_s / 2) / HOP_S)
    margin = round(0.2 / HOP_S)
    while at < n:
        heard = np.flatnonzero(sounds[at:])
        if not len(heard):
            break
        at = max(at, at + int(heard[0]) - margin)
        end = min(n, at + longest)
        if end < n:
            quiet = [(b - a, a, b) for a, b in runs(~sounds[at + shortest : end])]
            if quiet:
                _, a, b = max(quiet)
                end = at + shortest + (a + b) // 2
        last = int(np.flatnonzero(sounds[at:end])[-1]) + 1
        spans.append((at * HOP_S, min(end, at + last + margin) * HOP_S))
        at = end
    return spans


def heard_edges(word: Word, sounds: np.ndarray) -> Word:
    """The word with the silence at its ends taken off; as it is where nothing sounds in it."""
    first, last = round(word.start_s / HOP_S), round(word.end_s / HOP_S)
    heard = np.flatnonzero(sounds[first:last])
    if not len(heard):
        return word
    start_s, end_s = (first + int(heard[0])) * HOP_S, (first + int(heard[-1]) + 1) * HOP_S
    return Word(max(word.start_s, start_s), min(word.end_s, end_s), word.text, word.confidence)


def gpu_seconds(folder: str, path: str, sounds: np.ndarray, **_) -> float:
    """An estimate, not a measurement: half a minute to load, and a twentieth of the sound's length."""
    return 30 + len(sounds) * HOP_S / 20


@runtime.gpu(duration=gpu_seconds)
def transcribe(
    folder: str | os.PathLike,
    path: str | os.PathLike,
    sounds: np.ndarray,
    *,
    language: str | None = None,
    prompt: str | None = None,
    device: str | None = None,
) -> Iterator[Recognising | Transcript]:
    """The words of a file's sound: `Recognising` after each piece, one `Transcript` last.

    `folder` is a Whisper in the Hub's layout, `sounds` what `Analysis.sounds` says of the same file. `language` is two
    letters, None hears it from the first piece. `prompt` replaces the one that keeps fillers ("" for none). Greedy
    decoding: word times come from attention, and with several beams the wrong beam's. A piece in which the
    recogniser loops is left out, and a note says so. Raises InputError for a folder that is no Whisper with word times.
    """
    from .whisper import load_recogniser

    recogniser = load_recogniser(Path(folder), device=device or runtime.best_device())
    spans, words, notes = pieces(sounds), [], []
    for (start_s, end_s), samples in zip(spans, _sound_of(path, spans), strict=True):
        if language is None and recogniser.multilingual:
            language = recogniser.language_of(samples)
        asked = PROMPTS.get(language or "en", "") if prompt is None else prompt
        found = recogniser.words(samples, language=language, prompt=asked)
        if _loops(" ".join(w.text for w in found)):
            notes.append(
                f"From {start_s:.1f} to {end_s:.1f} s the recogniser repeated itself; its words there are left out."
            )
            found = []
        moved = (Word(start_s + w.start_s, min(start_s + w.end_s, end_s), w.text, w.confidence) for w in found)
        words.append(tuple(heard_edges(w, sounds) for w in moved if w.end_s > w.start_s))
        yield Recognising(end_s, len(sounds) * HOP_S, words[-1])
    yield Transcript(tuple(w for part in words for w in part), language or "en", tuple(notes))


def _sound_of(path: str | os.PathLike, spans: list[tuple[float, float]]) -> Iterator[np.ndarray]:
    """float32 [S] at RATE of each span, read in one pass."""
    with open_sound(path, sample_rate=RATE, end_s=spans[-1][1] if spans else 0.0) as sound:
        waiting, first = np.zeros(0, np.float32), 0  # samples from `first` on
        for start_s, end_s in spans:
            start, end = round(start_s * RATE), round(end_s * RATE)
            while first + len(waiting) < end:
                chunk = next(sound.chunks, None)
                if chunk is None:
                    break
                waiting = np.concatenate([waiting, chunk.mean(axis=0)])
                if first + len(waiting) < start:
                    first, waiting = first + len(waiting), waiting[:0]
            yield waiting[max(0, start - first) : end - first]
            waiting, first = waiting[max(0, end - first) :], max(first, end)


def _loops(text: str) -> bool:
    """Whether the text compresses as only the same words over and over do; Whisper's own limit."""
    encoded = text.encode()
    return len(encoded) > 100 and len(encoded) / len(zlib.compress(encoded)) > 2.4
