"""Easing, spacing and timelines: when each in-between frame is shown and how far its motion has come (thesis ch. 2).

A keyframe has a *timing* (where it stands on the timeline, section 2.3) and its in-betweens a *spacing* (how far they
have moved, section 2.2, Fig. 2.3). Both are plain NumPy here: a timeline is two arrays, one entry per frame.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from .checks import InputError, integer, number, shown

# The named curves are CSS's own (CSS Easing Functions Level 1), so that the four numbers mean the same everywhere.
NAMED_BEZIERS = {
    "ease-in": (0.42, 0.0, 1.0, 1.0),
    "ease-out": (0.0, 0.0, 0.58, 1.0),
    "ease-in-out": (0.42, 0.0, 0.58, 1.0),
}
EASING_FORMS = ("linear", *NAMED_BEZIERS, "cubic-bezier(x1, y1, x2, y2)", "steps(n)", "hold")
PLAYBACKS = ("once", "loop", "ping-pong")

MAX_DURATION_S = 3600.0  # of one gap or hold
MAX_FRAMES = 500_000  # of one timeline; what a machine takes is far less
MAX_STEPS = 1000
MAX_BEZIER_Y = 10.0  # CSS sets no bound; beyond this a curve has no use
_TINY = 1e-12


@dataclass(frozen=True)
class Easing:
    """One easing curve: `position = easing(u)` for u in [0, 1], with easing(0) = 0 and easing(1) = 1.

    `kind` is "linear", "bezier" (with `bezier` = x1, y1, x2, y2) or "steps" (with `steps`; one step is a hold).
    """

    kind: str = "linear"
    bezier: tuple[float, float, float, float] | None = None
    steps: int | None = None

    @classmethod
    def parse(cls, text: object, name: str = "easing") -> Easing:
        """The curve a CSS-like string names; raises InputError that lists the forms (`EASING_FORMS`)."""
        if isinstance(text, Easing):
            return text
        if not isinstance(text, str):
            raise InputError(f"{name}: a text such as 'ease-in-out' is needed, got {shown(text)}.")
        word = text.strip().lower().replace("_", "-")
        if word == "linear":
            return cls()
        if word in NAMED_BEZIERS:
            return cls("bezier", NAMED_BEZIERS[word])
        if word in ("hold", "step-end"):
            return cls("steps", steps=1)
        call = re.fullmatch(r"(cubic-bezier|steps)\(([^()]{1,200})\)", word)
        if call is None:
            raise InputError(f"{name}: one of {', '.join(EASING_FORMS)} is needed, got {shown(text)}.")
        return cls._call(call[1], call[2].split(","), name)

    @classmethod
    def _call(cls, function: str, arguments: list[str], name: str) -> Easing:
        try:
            values = [float(a) for a in arguments]
        except ValueError:
            raise InputError(f"{name}: {function} needs numbers, got {shown(', '.join(arguments))}.") from None
        wanted = 4 if function == "cubic-bezier" else 1
        if len(values) != wanted:
            raise InputError(f"{name}: {function} needs {wanted} number{'s' * (wanted > 1)}, got {len(values)}.")
        if function == "steps":
            return cls("steps", steps=integer(values[0], f"{name}: steps", low=1, high=MAX_STEPS))
        x1, y1, x2, y2 = values
        for label, x in (("x1", x1), ("x2", x2)):
            number(x, f"{name}: cubic-bezier {label}", low=0, high=1)
        for label, y in (("y1", y1), ("y2", y2)):
            number(y, f"{name}: cubic-bezier {label}", low=-MAX_BEZIER_Y, high=MAX_BEZIER_Y)
        return cls("bezier", (x1, y1, x2, y2))

    def __str__(self) -> str:
        if self.kind == "linear":
            return "linear"
        if self.kind == "steps":
            return "hold" if self.steps == 1 else f"steps({self.steps})"
        for word, bezier in NAMED_BEZIERS.items():
            if bezier == self.bezier:
                return word
        return "cubic-bezier({})".format(", ".join(f"{v:.10g}" for v in self.bezier))

    def __call__(self, u: np.ndarray) -> np.ndarray:  # [T] in [0, 1] -> [T]
        """Positions at times `u` (clipped to [0, 1]); a Bezier with y outside [0, 1] may leave the unit range."""
        u = np.clip(np.asarray(u, dtype=np.float64), 0.0, 1.0)
        if self.kind == "linear":
            return u
        if self.kind == "steps":
            return np.floor(u * self.steps + _TINY) / self.steps
        return _bezier(u, *self.bezier)

    @property
    def overshoots(self) -> bool:
        """Whether the curve leaves [0, 1] on its way."""
        position = self(np.linspace(0, 1, 257))
        return bool(position.min() < -1e-9 or position.max() > 1 + 1e-9)


def _bezier(u: np.ndarray, x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    """y at x = u on the CSS curve through (0, 0), (x1, y1), (x2, y2), (1, 1).

    x(t) grows monotonically for x1, x2 in [0, 1], so bisection always converges; 52 halvings reach double precision.
    """
    low, high = np.zeros_like(u), np.ones_like(u)
    for _ in range(52):
        middle = (low + high) / 2
        below = _bernstein(middle, x1, x2) < u
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    y = _bernstein((low + high) / 2, y1, y2)
    return np.where(u <= 0, 0.0, np.where(u >= 1, 1.0, y))


def _bernstein(t: np.ndarray, a: float, b: float) -> np.ndarray:
    return 3 * (1 - t) ** 2 * t * a + 3 * (1 - t) * t**2 * b + t**3


@dataclass(frozen=True)
class Gap:
    """The way from one keyframe to the next: the first is held for `hold_s`, then moves for `duration_s`."""

    duration_s: float = 1.0  # of the motion, without the hold
    easing: Easing = field(default_factory=Easing)
    hold_s: float = 0.0  # how long the gap's first keyframe stands still before it moves

    @classmethod
    def checked(
        cls, duration_s: object = 1.0, easing: object = "linear", hold_s: object = 0.0, name: str = "gap"
    ) -> Gap:
        """A gap from user values; raises InputError that names the gap and the field."""
        return cls(
            number(duration_s, f"{name}: duration", low=0.001, high=MAX_DURATION_S, unit="s"),
            Easing.parse(easing, f"{name}: easing"),
            number(hold_s, f"{name}: hold", low=0, high=MAX_DURATION_S, unit="s"),
        )


@dataclass(frozen=True, eq=False)
class Timeline:
    """Which gap each frame lies in, and how far its motion has come.

    Frame i shows the motion from keyframe `start[i]` to keyframe `end[i]` at `position[i]`; the positions 0 and 1 are the
    keyframes themselves. `keyframe_frames[k]` is where keyframe k is first shown exactly.
    """

    fps: float
    start: np.ndarray  # [T] int
    end: np.ndarray  # [T] int
    position: np.ndarray  # [T] float in [0, 1]
    keyframe_frames: np.ndarray  # [K] int

    def __len__(self) -> int:
        return len(self.position)

    @property
    def duration_s(self) -> float:
        return len(self) / self.fps

    @property
    def travelled(self) -> np.ndarray:  # [T]
        """Position along the whole way, in keyframes: 0 at the first, 1 at the second, ... (for the spacing chart)."""
        return self.start + self.position * np.where(self.end < self.start, 1, self.end - self.start)


def timeline(
    gaps: tuple[Gap, ...] | list[Gap], *, fps: float, playback: str = "once", end_hold_s: float = 0.0
) -> Timeline:
    """The frames of a video through len(gaps) + 1 keyframes (len(gaps) keyframes where `playback` is "loop").

    Boundaries are cumulative: keyframe k falls on frame round(time of k * fps), so rounding never adds up, and it is
    shown there exactly. "loop" has one gap more, from the last keyframe back to the first, and leaves out the final
    repeat of the first keyframe so that the video loops without a stutter; "ping-pong" plays the way back in
    reverse, with neither end doubled. Raises InputError where a gap is shorter than one frame.
    """
    if not gaps:
        raise InputError("keyframes: at least 2 images are needed, got fewer.")
    if playback not in PLAYBACKS:
        raise InputError(f"playback: one of {', '.join(PLAYBACKS)} is needed, got {shown(playback)}.")
    fps = number(fps, "fps", low=1, high=60)
    end_hold_s = number(end_hold_s, "end hold", low=0, high=MAX_DURATION_S, unit="s")
    holds = np.array([g.hold_s for g in gaps])
    moves = np.array([g.duration_s for g in gaps])
    departs = np.cumsum(holds) + np.concatenate([[0.0], np.cumsum(moves)[:-1]])
    first = _frame_at(departs, fps)  # the frame on which each gap's motion starts
    last = _frame_at(departs + moves, fps)
    for g, (a, b) in enumerate(zip(first, last, strict=True)):
        if b <= a:
            wanted = 1 / fps
            raise InputError(
                f"gap {g + 1}: {moves[g]:g} s is shorter than one frame at {fps:g} fps; at least {wanted:.3g} s is needed."
            )
    looped = playback == "loop"
    total = int(last[-1]) + (0 if looped else 1 + int(_frame_at(end_hold_s, fps)))
    n_frames = 2 * total - 2 if playback == "ping-pong" else total
    if n_frames > MAX_FRAMES:  # before any array of that length is made
        raise InputError(
            f"frames: at most {MAX_FRAMES:,} can be planned, got {n_frames:,}; "
            "choose shorter gaps or fewer frames per second."
        )
    frame = np.arange(total)
    gap = np.clip(np.searchsorted(last, frame, side="left"), 0, len(gaps) - 1)
    u = np.clip((frame - first[gap]) / (last[gap] - first[gap]), 0.0, 1.0)
    position = np.empty(total)
    for g in range(len(gaps)):
        inside = gap == g
        position[inside] = np.clip(gaps[g].easing(u[inside]), 0.0, 1.0)
    n_keyframes = len(gaps) if looped else len(gaps) + 1
    arrivals = np.concatenate([[0], last])[:n_keyframes]
    start, end = gap, (gap + 1) % n_keyframes
    if playback == "ping-pong":
        back = np.arange(total - 2, 0, -1)
        start, end, position = (np.concatenate([a, a[back]]) for a in (start, end, position))
    return Timeline(fps, start, end, position, arrivals)


def _frame_at(time_s: np.ndarray | float, fps: float) -> np.ndarray:
    """The frame nearest to a time, halves rounded up (not to even: 0.5 and 1.5 frames must not collapse)."""
    return np.floor(np.asarray(time_s) * fps + 0.5 + 1e-9).astype(np.int64)


@lru_cache(maxsize=64)
def curve_points(easing: Easing, n: int = 65) -> tuple[tuple[float, float], ...]:
    """`n` points (u, position) of a curve, for drawing it."""
    u = np.linspace(0, 1, n)
    return tuple(zip(u.tolist(), easing(u).tolist(), strict=True))
