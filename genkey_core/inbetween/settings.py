"""The options of the in-between method: what the page, the API, a link and a recipe all carry (thesis ch. 2 and 5)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict, dataclass, fields, replace

from ..checks import InputError, choice, integer, length, named, number, shown
from ..timing import MAX_DURATION_S, PLAYBACKS, Gap, Timeline, timeline
from .sampling import PRESETS, VARIANTS

MIN_KEYFRAMES, MAX_KEYFRAMES = 2, 24
ENGINES = ("auto", "draft", "mini", "full", "wan", "ltx")
MEMORY = ("auto", "80 GB", "48 GB", "40 GB", "24 GB", "16 GB", "12 GB")  # memory modes by the GPUs they are meant for
MAX_PROMPT = 2_000  # characters
ASPECTS = ("keep", "16:9", "1:1", "9:16")
FITS = ("letterbox", "crop")
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class Settings:
    """All options of one in-between job; `gaps` holds one entry for all gaps, or one entry per gap."""

    gaps: tuple[Gap, ...] = (Gap(),)  # timing and spacing, section 2.2 and 2.3
    end_hold_s: float = 0.0  # how long the last keyframe stands still
    fps: float = 24.0  # 1 to 60
    aspect: str = "keep"  # the first image's own, or one of ASPECTS
    fit: str = "letterbox"  # how an image of another shape fills the frame
    max_side: int = 1920  # longer side of the video, pixels; larger images are scaled down to it
    background: str = "#000000"  # behind transparent pixels and in letterbox bars
    playback: str = "once"  # once, loop (back to the first keyframe) or ping-pong
    engine: str = "auto"  # which engine makes the in-betweens
    seed: int = 0  # draft is deterministic; learned engines draw from it
    variant: str = "dual"  # mini and full: how both directions of time are brought together, one of VARIANTS
    preset: str = "fast"  # mini and full: how many evaluations of the network, fast or quality
    prompt: str = ""  # wan and ltx: what happens in the video, in words
    memory: str = "auto"  # engines on a GPU: the memory mode, or the next smaller one it has; auto: by what is free

    @classmethod
    def from_dict(cls, values: object) -> Settings:
        """Settings from JSON-like values, every one checked; unknown names are refused. Raises InputError."""
        values = named(values, (f.name for f in fields(cls)), "settings")
        settings = replace(cls(), **{k: v for k, v in values.items() if k != "gaps"})
        if "gaps" in values:
            settings = replace(settings, gaps=_gaps(values["gaps"]))
        return settings.checked()

    def checked(self) -> Settings:
        """The same settings with every field of the right type and range; raises InputError."""
        length(self.gaps, "gaps", low=1, high=MAX_KEYFRAMES)
        return Settings(
            gaps=tuple(
                Gap.checked(g.duration_s, g.easing, g.hold_s, name=f"gap {i + 1}") for i, g in enumerate(self.gaps)
            ),
            end_hold_s=number(self.end_hold_s, "end hold", low=0, high=MAX_DURATION_S, unit="s"),
            fps=number(self.fps, "fps", low=1, high=60),
            aspect=choice(self.aspect, "size", ASPECTS),
            fit=choice(self.fit, "fit", FITS),
            max_side=integer(self.max_side, "longest side", low=64, high=4096),
            background=_colour(self.background),
            playback=choice(self.playback, "playback", PLAYBACKS),
            engine=choice(self.engine, "engine", ENGINES),
            seed=integer(self.seed, "seed", low=0, high=MAX_SEED),
            variant=choice(self.variant, "variant", VARIANTS),
            preset=choice(self.preset, "preset", PRESETS),
            prompt=_prompt(self.prompt),
            memory=choice(self.memory, "memory mode", MEMORY),
        )

    def to_dict(self) -> dict:
        """JSON types only; `from_dict` gives the same settings back."""
        values = asdict(self)
        values["gaps"] = [{"duration_s": g.duration_s, "easing": str(g.easing), "hold_s": g.hold_s} for g in self.gaps]
        return values

    def for_keyframes(self, n: int) -> Settings:
        """These settings with exactly as many gaps as `n` keyframes have; raises InputError where they do not fit.

        One gap entry stands for all gaps; otherwise there must be one per gap (n - 1, or n in a loop).
        """
        if not MIN_KEYFRAMES <= n <= MAX_KEYFRAMES:
            raise InputError(f"keyframes: {MIN_KEYFRAMES} to {MAX_KEYFRAMES} images are needed, got {n}.")
        wanted = n if self.playback == "loop" else n - 1
        if len(self.gaps) == 1:
            return replace(self, gaps=self.gaps * wanted)
        if len(self.gaps) != wanted:
            raise InputError(f"gaps: {n} keyframes have {wanted} gaps here, but {len(self.gaps)} were given.")
        return self

    def timeline(self, n_keyframes: int) -> Timeline:
        """When each frame is shown and where its motion stands."""
        gaps = self.for_keyframes(n_keyframes).gaps
        return timeline(gaps, fps=self.fps, playback=self.playback, end_hold_s=self.end_hold_s)

    @property
    def background_rgb(self) -> tuple[int, int, int]:
        return tuple(int(self.background[i : i + 2], 16) for i in (1, 3, 5))


def _gaps(values: object) -> tuple[Gap, ...]:
    """Gaps from a list of objects; raises InputError that names the gap."""
    if isinstance(values, dict):
        values = [values]
    if not isinstance(values, list | tuple):
        raise InputError(f"gaps: a list of objects is needed, got {shown(values)}.")
    length(values, "gaps", low=1, high=MAX_KEYFRAMES)
    gaps = []
    for i, value in enumerate(values, 1):
        if isinstance(value, Gap):
            gaps.append(value)
            continue
        if not isinstance(value, dict) or not set(value) <= {"duration_s", "easing", "hold_s"}:
            raise InputError(f"gap {i}: an object with duration_s, easing and hold_s is needed, got {shown(value)}.")
        gaps.append(Gap.checked(**value, name=f"gap {i}"))
    return tuple(gaps)


def _prompt(value: object) -> str:
    """A prompt of bounded length, without control characters, so that it fits a link whatever it says."""
    if not isinstance(value, str):
        raise InputError(f"prompt: a text is needed, got {shown(value)}.")
    value = value.strip()
    if len(value) > MAX_PROMPT:
        raise InputError(f"prompt: at most {MAX_PROMPT:,} characters are taken, got {len(value):,}; shorten it.")
    kinds = {unicodedata.category(c) for c in value}
    if "Cs" in kinds:  # half of a character: no file and no link can hold it
        raise InputError("prompt: it holds broken characters; type it anew.")
    return "".join(" " if unicodedata.category(c) == "Cc" else c for c in value).strip()


def _colour(value: object) -> str:
    """A colour as #rrggbb; takes #rgb, #rrggbb and the rgb(a) form that colour pickers send."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if re.fullmatch(r"#[0-9a-f]{6}", text):
        return text
    if re.fullmatch(r"#[0-9a-f]{3}", text):
        return "#" + "".join(c * 2 for c in text[1:])
    parts = re.fullmatch(r"rgba?\(([\d.]{1,20}),\s*([\d.]{1,20}),\s*([\d.]{1,20})(?:,\s*[\d.]{1,20})?\)", text)
    if parts:
        try:
            levels = [min(255, round(float(p))) for p in parts.groups()]
        except ValueError:
            levels = []
        if levels:
            return "#" + "".join(f"{v:02x}" for v in levels)
    raise InputError(f"background: a colour such as #ffffff is needed, got {shown(value)}.")
