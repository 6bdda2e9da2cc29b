"""The options of a dance: what the page, the API, a project file and a recipe all carry (thesis ch. 7)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from ..checks import InputError, choice, integer, named, number, shown
from .graph import MAX_BEST
from .graph_wishes import MOTION_HIGH, MOTION_LOW, Pair, Wishes
from .patterns import Pattern, parse_pattern
from .warp import FPS, IN_BETWEENS, STRENGTH

MAX_DANCE_S = 60.0
MAX_SEED = 2**31 - 1
ENGINES = ("draft", "mini", "full", "wan", "ltx")  # `draft` is this package's own, the others are handed in

MIRRORS = ("draft", "flux", "sdxl")  # who turns the keyframes (section 7.2.2)
MASKS = ("plate", "sam2")  # how the subject is told from the background
EPOCHS = 500

_MAX_TEXT, _MAX_WORDS = 2000, 200
_KEYFRAME = re.compile(r"\s*(\d{1,2})\s*(['’′]?)\s*")


@dataclass(frozen=True)
class Settings:
    """What is danced, to which part of the song, and how it is made. Keyframes are named 1 to K, and 1' to K' their mirrors."""

    pattern: str = "A-A'-B-C-D-D"  # cut or repeated to the beats of the song
    start_s: float = 0.0  # of the song
    end_s: float | None = None  # None is the end of the song, or a minute after the start
    motion_low: float = MOTION_LOW  # pixels at 1024x576 (Eq. 7.4)
    motion_high: float = MOTION_HIGH
    pins: str = ""  # the pairs a label may be danced by: "A: 1>4 or 2>5'; B': 3>6"
    mirrored_ends: str = ""  # labels that end in the mirror of the pose they start in: "A, C"
    never: str = ""  # keyframes that are not to be seen: "3, 5'"
    n_best: int = 3  # solutions to choose from
    solution: int = 1  # which of them is danced, from 1
    time_limit_s: float = 10.0  # for the proof of each
    fps: float = FPS
    max_side: int = 1024  # longer side of the result, pixels
    in_betweens: int = IN_BETWEENS  # of each pair of keyframes
    strength: float = STRENGTH  # of the visual rhythm: 0 is even motion, 1 rests half-way between beats
    engine: str = "draft"
    seed: int = 0  # learned engines draw from it; draft draws nothing
    mirrors: str = "draft"
    masks: str = "plate"
    subject: str = "animal"  # the prompt of `mirrors` other than draft: what it is,
    background: str = "a landscape"  # and what is behind it
    epochs: int = EPOCHS  # rounds over the keyframes that such a model is fitted in

    @classmethod
    def from_dict(cls, values: object) -> Settings:
        """Settings from JSON-like values, every one checked; unknown names are refused. Raises InputError."""
        return cls(**named(values, (f.name for f in fields(cls)), "settings")).checked()

    def checked(self) -> Settings:
        """The same settings with every field of the right type and range; raises InputError."""
        for name in ("pattern", "pins", "mirrored_ends", "never"):
            _text(getattr(self, name), name.replace("_", " "))
        parse_pattern(self.pattern)
        start_s = number(self.start_s, "start", low=0, high=7200, unit="s")
        end_s = self.end_s if self.end_s is None else number(self.end_s, "end", low=0, high=7200, unit="s")
        if end_s is not None and end_s <= start_s:
            raise InputError(f"end: more than the start, {start_s:g} s, is needed, got {end_s:g} s.")
        return Settings(
            pattern=self.pattern,
            start_s=start_s,
            end_s=end_s,
            motion_low=number(self.motion_low, "smallest motion", low=0, high=1000, unit="pixels"),
            motion_high=number(self.motion_high, "largest motion", low=0, high=2000, unit="pixels"),
            pins=self.pins,
            mirrored_ends=self.mirrored_ends,
            never=self.never,
            n_best=(n_best := integer(self.n_best, "solutions", low=1, high=MAX_BEST)),
            solution=integer(self.solution, "solution", low=1, high=n_best),
            time_limit_s=number(self.time_limit_s, "time limit", low=0.1, high=600, unit="s"),
            fps=number(self.fps, "fps", low=5, high=60),
            max_side=integer(self.max_side, "longest side", low=128, high=4096),
            in_betweens=integer(self.in_betweens, "in-betweens", low=1, high=60),
            strength=number(self.strength, "visual rhythm", low=0, high=1),
            engine=choice(self.engine, "engine", ENGINES),
            seed=integer(self.seed, "seed", low=0, high=MAX_SEED),
            mirrors=choice(self.mirrors, "mirrors", MIRRORS),
            masks=choice(self.masks, "masks", MASKS),
            subject=words(self.subject, "subject"),
            background=words(self.background, "background"),
            epochs=integer(self.epochs, "epochs", low=0, high=10_000),
        )

    def to_dict(self) -> dict:
        """JSON types only; `from_dict` gives the same settings back."""
        return asdict(self)

    def wishes(self, pattern: Pattern, n_poses: int) -> Wishes:
        """The hard constraints for `pattern` and `n_poses` keyframes without their mirrors; raises InputError."""
        return Wishes.checked(
            pattern,
            2 * n_poses,
            motion_low=self.motion_low,
            motion_high=self.motion_high,
            pinned=pins_of(self.pins, n_poses),
            mirrored_ends=words_of(self.mirrored_ends),
            never=[keyframe_of(word, n_poses, "never") for word in words_of(self.never)],
        )


def pins_of(text: str, n_poses: int) -> dict[str, list[Pair]]:
    """Pinned pairs as people type them, "A: 1>4 or 2>5'; B': 3>6" -> label -> pairs of keyframe numbers from 0.

    Raises InputError that quotes what cannot be read.
    """
    found: dict[str, list[Pair]] = {}
    for part in filter(str.strip, text.split(";")):
        label, colon, pairs = part.partition(":")
        wanted = re.split(r"\s*(?:\bor\b|,)\s*", pairs.strip())
        if not colon or not label.strip() or not pairs.strip():
            raise InputError(f"pins: {shown(part.strip())} cannot be read; A: 1>4 or 2>5' is the form.")
        for pair in wanted:
            ends = re.split(r"\s*(?:>|-|→|\bto\b)\s*", pair)
            if len(ends) != 2:
                raise InputError(f"pins: {shown(pair)} is no pair; {label.strip()}: 1>4 is the form.")
            u, v = (keyframe_of(end, n_poses, f"pins, {label.strip()}") for end in ends)
            found.setdefault(label.strip(), []).append((u, v))
    return found


def keyframe_of(word: str, n_poses: int, name: str) -> int:
    """A keyframe as people count them, 3 or 3' -> its number in the augmented set; raises InputError."""
    match = _KEYFRAME.fullmatch(word)
    if match is None or not 1 <= int(match[1]) <= n_poses:
        raise InputError(
            f"{name}: a keyframe from 1 to {n_poses}, or with a prime its mirror, is needed, got {shown(word)}."
        )
    return int(match[1]) - 1 + n_poses * bool(match[2])


def pins_text(pins: dict[str, Iterable[Pair]], n_poses: int) -> str:
    """The text that `pins_of` reads."""
    names = [*(str(k + 1) for k in range(n_poses)), *(f"{k + 1}'" for k in range(n_poses))]
    return "; ".join(
        f"{label}: {' or '.join(f'{names[u]}>{names[v]}' for u, v in pairs)}" for label, pairs in pins.items()
    )


def words_of(text: str) -> list[str]:
    """The labels or keyframes of a wish: "A, C" -> ["A", "C"]."""
    return [word.strip() for word in re.split(r"[,;\s]+", text) if word.strip()]


def words(value: object, name: str) -> str:
    """A few words for a prompt; raises InputError."""
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_WORDS:
        raise InputError(f"{name}: a few words (up to {_MAX_WORDS} characters) are needed, got {shown(value)}.")
    return value.strip()


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise InputError(f"{name}: a text of at most {_MAX_TEXT} characters is needed, got {shown(value)}.")
    return value
