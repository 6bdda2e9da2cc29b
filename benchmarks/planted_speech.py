"""Speech by espeak-ng with pauses and filled pauses planted at known times, and noise at a known level.

Everything is decided by a seeded generator and by espeak-ng, so equal arguments give equal sound. Phrases are spoken one by
one, their own silence is trimmed, and they are laid on a clock of samples: the truth is exact by construction.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from genkey_core.mini.voice import RATE, SILENT, has_espeak, spoken

__all__ = ["RATE", "Planted", "f1", "has_espeak", "match", "planted_speech"]

PAUSE_S = (0.6, 1.6)  # planted pauses
BREAK_S = (0.04, 0.2)  # the short breaks of fluent speech, which are no pauses
FILLERS = ("um", "uh", "uhm", "er")
FILLER_WPM = (80, 115)  # a filled pause is drawn out: 0.25 to 0.7 s, against 160 words a minute of the speech around
PHRASES = (
    "the kitchen table needs two coats of paint",
    "before we begin please check the oven",
    "my sister found an old camera in the attic",
    "it takes about twenty minutes",
    "we should talk about the budget",
    "nobody knew where the path would lead us",
    "put the flour in first",
    "that is the reason why I moved to the coast",
    "their new record sounds different",
    "a good knife is worth the money",
    "six of these boxes are still empty",
    "the second chapter explains the method",
    "you can hear the river from here",
    "I have never liked this colour",
    "people often forget to save their work",
    "let me show you how it is done",
    "the train was late again yesterday",
    "each of them wrote a short letter",
    "in the end we chose the blue one",
    "fresh bread smells of early mornings",
)


@dataclass(frozen=True)
class Planted:
    """Sound float32 [S] at RATE, and what lies where: (start_s, end_s) each."""

    samples: np.ndarray
    pauses: list[tuple[float, float]] = field(default_factory=list)
    fillers: list[tuple[float, float]] = field(default_factory=list)
    words: list[tuple[float, float]] = field(default_factory=list)  # the phrases between


def planted_speech(
    seed: int,
    *,
    voice: str = "en-us",
    wpm: int = 160,
    pitch: int = 50,
    n_phrases: int = 12,
    snr_db: float | None = None,
) -> Planted:
    """`n_phrases` phrases with pauses, fillers and short breaks between and inside them, in a random order.

    Every phrase is split at one word, so that fillers and pauses also fall inside sentences. A filler stands alone
    between words or has short silence on either side, as in speech. `snr_db` adds noise (half white, half pink) so far
    below the mean power of the sounding parts; None leaves digital silence between the words.
    """
    rng = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    marks: list[tuple[str, int, int]] = []  # kind, first and last sample

    def add(kind: str, samples: np.ndarray) -> None:
        start = sum(map(len, parts))
        parts.append(samples)
        marks.append((kind, start, start + len(samples)))

    def silence(kind: str, low_s: float, high_s: float) -> None:
        add(kind, np.zeros(round(rng.uniform(low_s, high_s) * RATE), np.float32))

    silence("break", 0.1, 0.25)
    for text in rng.permutation(PHRASES)[:n_phrases]:
        words = text.split()
        split = int(rng.integers(2, len(words) - 1))
        for half in (words[:split], words[split:]):
            add("words", spoken(" ".join(half), voice, wpm, pitch))
            event = rng.choice(["break", "pause", "filler", "filler between silence"], p=[0.35, 0.3, 0.15, 0.2])
            if event == "break":
                silence("break", *BREAK_S)
            elif event == "pause":
                silence("pause", *PAUSE_S)
            else:
                around = BREAK_S if event == "filler" else (0.15, 0.3)
                silence("break", *around)
                filler = spoken(str(rng.choice(FILLERS)), voice, int(rng.integers(*FILLER_WPM)), max(0, pitch - 8))
                add("filler", 0.8 * filler)
                silence("break", *around)
    add("words", spoken("thank you very much", voice, wpm, pitch))
    silence("break", 0.1, 0.25)
    samples = np.concatenate(parts)
    if snr_db is not None:
        sounding = samples[np.abs(samples) > SILENT]
        level = np.sqrt(np.mean(sounding**2)) * 10 ** (-snr_db / 20)
        samples = samples + (level * noise(rng, len(samples))).astype(np.float32)
    found = {kind: [(a / RATE, b / RATE) for k, a, b in marks if k == kind] for kind in ("pause", "filler", "words")}
    return Planted(samples, found["pause"], found["filler"], found["words"])


def noise(rng: np.random.Generator, n_samples: int) -> np.ndarray:
    """Half white, half pink noise of unit power, [S]."""
    white = rng.standard_normal(n_samples)
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(n_samples, 1 / RATE), 30.0))
    pink = np.fft.irfft(spectrum, n_samples)
    return (white + pink / pink.std()) / np.sqrt(2)


def match(found: list[tuple[float, float]], truth: list[tuple[float, float]], *, overlap: float = 0.5) -> int:
    """How many of `truth` are found, one to one: the pair's intersection over union is at least `overlap`."""
    free, hits = list(found), 0
    for start, end in truth:
        for i, (a, b) in enumerate(free):
            shared = min(b, end) - max(a, start)
            if shared > 0 and shared >= overlap * (max(b, end) - min(a, start)):
                hits += 1
                del free[i]
                break
    return hits


def f1(hits: int, n_found: int, n_truth: int) -> tuple[float, float, float]:
    """(precision, recall, F1); 1 where there was nothing to find and nothing was found."""
    precision = hits / n_found if n_found else float(not n_truth)
    recall = hits / n_truth if n_truth else 1.0
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-12)
