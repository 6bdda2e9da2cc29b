"""The prompts of a zoom: one per level, the widest first, each p times closer than the one before (thesis section 6.2).

A `Ladder` is what the page edits and what a JSON file carries; `scale_label` is how far in a level is, for people.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..checks import InputError, integer, shown

MIN_LEVELS, MAX_LEVELS = 2, 24  # the thesis's examples have 6 to 16
MAX_PROMPT = 1_000  # characters; the text encoders read about the first 300
FACTORS = (2, 16)  # the smallest and the largest p
MAX_JSON = 200_000  # characters
_FORMAT = "genkey-zoom-ladder"


@dataclass(frozen=True)
class Ladder:
    """Prompts from the widest level to the closest, and the factor between two of them."""

    prompts: tuple[str, ...]
    p: int = 2

    def checked(self) -> Ladder:
        """The same with clean prompts; raises InputError that names the level."""
        p = zoom_factor(self.p)
        prompts = tuple(clean_prompt(prompt, f"level {i}") for i, prompt in enumerate(self.prompts, 1))
        if not MIN_LEVELS <= len(prompts) <= MAX_LEVELS:
            raise InputError(
                f"prompts: {MIN_LEVELS} to {MAX_LEVELS} are needed, one per zoom level, got {len(prompts)}."
            )
        return Ladder(prompts, p)

    @classmethod
    def from_text(cls, text: object, p: int = 2) -> Ladder:
        """One prompt per line, the widest first; empty lines separate and do not count. Raises InputError."""
        if not isinstance(text, str):
            raise InputError(f"prompts: a text with one prompt per line is needed, got {shown(text)}.")
        if len(text) > MAX_LEVELS * MAX_PROMPT * 2:
            raise InputError(f"prompts: {len(text):,} characters are too many; {MAX_LEVELS} lines are taken at most.")
        return cls(tuple(line for line in text.splitlines() if line.strip()), p).checked()

    @classmethod
    def from_json(cls, text: str | bytes) -> Ladder:
        """A ladder from what `to_json` made, or from a plain JSON list of prompts. Raises InputError."""
        if len(text) > MAX_JSON:
            raise InputError(f"prompts: a JSON file of {len(text):,} characters is too large; it holds a few kB.")
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError("prompts: the file is not JSON; export a ladder to see what is wanted.") from error
        if isinstance(values, list):
            values = {"levels": values}
        if not isinstance(values, dict) or not isinstance(values.get("levels"), list):
            raise InputError('prompts: a JSON object with a list "levels" is needed; export a ladder to see one.')
        levels = values["levels"]
        prompts = tuple(level.get("prompt") if isinstance(level, dict) else level for level in levels)
        return cls(prompts, values.get("p", 2)).checked()

    def to_json(self) -> str:
        """The ladder as a small JSON file, with each level's scale for people who read it."""
        levels = [{"scale": scale_label(self.p, i), "prompt": prompt} for i, prompt in enumerate(self.prompts)]
        return json.dumps({"format": _FORMAT, "p": self.p, "levels": levels}, indent=2, ensure_ascii=False) + "\n"

    def to_text(self) -> str:
        """One prompt per line."""
        return "\n".join(self.prompts)

    def rungs(self) -> list[tuple[str, str]]:
        """(scale, prompt) of every level, such as ("4x", "a leaf")."""
        return [(scale_label(self.p, i), prompt) for i, prompt in enumerate(self.prompts)]

    def added(self, i: int, prompt: str) -> Ladder:
        """With a new level before level i (counted from 0; the number of levels puts it last)."""
        i = integer(i, "level", low=0, high=len(self.prompts))
        return replace(self, prompts=(*self.prompts[:i], prompt, *self.prompts[i:])).checked()

    def removed(self, i: int) -> Ladder:
        """Without level i; raises InputError where too few would be left."""
        i = integer(i, "level", low=0, high=len(self.prompts) - 1)
        return replace(self, prompts=(*self.prompts[:i], *self.prompts[i + 1 :])).checked()

    def duplicated(self, i: int) -> Ladder:
        """With level i twice: what stays the same over two scales, as the thesis's "Galactic core"."""
        i = integer(i, "level", low=0, high=len(self.prompts) - 1)
        return self.added(i + 1, self.prompts[i])


def zoom_factor(value: object) -> int:
    """p as an int; raises InputError."""
    try:
        return integer(value, "zoom factor", low=FACTORS[0], high=FACTORS[1])
    except InputError as error:
        raise InputError(
            f"zoom factor: a whole number between {FACTORS[0]} and {FACTORS[1]} is needed (2 or 4 work best), got "
            f"{shown(value)}."
        ) from error


def clean_prompt(value: object, name: str) -> str:
    """A prompt of bounded length, in one line and without control characters; raises InputError with `name`."""
    if not isinstance(value, str):
        raise InputError(f"{name}: a text is needed, got {shown(value)}.")
    if len(value) > 4 * MAX_PROMPT or len(value.strip()) > MAX_PROMPT:
        raise InputError(
            f"{name}: at most {MAX_PROMPT:,} characters are taken, got {len(value):,}; shorten the prompt."
        )
    kinds = {unicodedata.category(c) for c in value}
    if "Cs" in kinds:  # half of a character: no file and no link can hold it
        raise InputError(f"{name}: the prompt holds broken characters; type it anew.")
    text = " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in value).split())
    if not text:
        raise InputError(f"{name}: a prompt is needed, got an empty line; say what is seen there, or remove the level.")
    return text


def scale_label(p: int, i: int) -> str:
    """How far in level i is: "1x", "1,024x", and beyond a million "2^24x" of p."""
    scale = p**i
    return f"{scale:,}x" if scale < 10**6 else f"{p}^{i}x"


def unknown_words(prompt: str, pieces: Iterable[str]) -> list[str]:
    """Words of `prompt` that cannot be put together from the pieces of a T5 tokenizer's vocabulary, in order.

    `pieces` are as in tokenizer.json: "▁" stands before those that begin a word.
    """
    known = frozenset(pieces)
    longest = max(map(len, known), default=0)
    words = (word.strip(".,;:!?()\"'") for word in prompt.lower().split())
    missing = [word for word in words if word and not _put_together(f"▁{word}", known, longest)]
    return list(dict.fromkeys(missing))


def _put_together(word: str, pieces: frozenset[str], longest: int) -> bool:
    reached = {0}
    for end in range(1, len(word) + 1):
        if any(start in reached and word[start:end] in pieces for start in range(max(0, end - longest), end)):
            reached.add(end)
    return len(word) in reached
