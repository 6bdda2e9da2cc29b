"""Guards at the edge of the library: one error class, and checks whose messages are written for users."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

_LISTED = 190  # characters of options that a message lists


class InputError(ValueError):
    """A user's mistake, said in one sentence: what, what was wanted, what came."""


def number(value: object, name: str, *, low: float = -math.inf, high: float = math.inf, unit: str = "") -> float:
    """`value` as a finite float in [low, high]; raises InputError with the name, the range and what came."""
    suffix = f" {unit}" if unit else ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name}: a number is needed, got {shown(value)}.")
    try:
        result = float(value)
    except OverflowError:  # an integer of hundreds of digits
        result = math.inf
    if not math.isfinite(result):
        raise InputError(f"{name}: a finite number is needed, got {result}.")
    if not low <= result <= high:
        raise InputError(f"{name}: must be {_range_text(low, high)}{suffix}, got {result:g}{suffix}.")
    return result


def integer(value: object, name: str, *, low: float = -math.inf, high: float = math.inf) -> int:
    """`value` as an int in [low, high]; a float is taken only where it is whole (JSON and sliders send 24.0)."""
    result = number(value, name, low=low, high=high)
    if result != int(result):
        raise InputError(f"{name}: a whole number is needed, got {result:g}.")
    return int(result)


def choice(value: object, name: str, options: Iterable[str]) -> str:
    """`value` where it is one of `options`; raises InputError that lists them, the first ones where they are many."""
    known = list(options)
    if not isinstance(value, str) or value not in known:
        told = [option for i, option in enumerate(known) if i < 3 or len(", ".join(known[: i + 1])) <= _LISTED]
        listed = ", ".join(told) + (f" or {len(known) - len(told)} others" if len(told) < len(known) else "")
        raise InputError(f"{name}: one of {listed} is needed, got {shown(value)}.")
    return value


def boolean(value: object, name: str) -> bool:
    """`value` where it is a bool; a string or number is refused rather than guessed at."""
    if not isinstance(value, bool):
        raise InputError(f"{name}: true or false is needed, got {shown(value)}.")
    return value


def named(values: object, known: Iterable[str], name: str) -> dict:
    """`values` where it is an object (a dict) that names nothing but what is `known`; raises InputError."""
    if not isinstance(values, dict):
        raise InputError(f"{name}: an object of names and values is needed, got {shown(values)}.")
    known = set(known)
    unknown = sorted(str(key) for key in values if key not in known)
    if unknown:
        raise InputError(f"{name}: {shown(', '.join(unknown))} is not known; known are {', '.join(sorted(known))}.")
    return values


def length(values: Sequence, name: str, *, low: int = 0, high: float = math.inf) -> int:
    """The length of `values` where it lies in [low, high]."""
    n = len(values)
    if not low <= n <= high:
        raise InputError(f"{name}: {_range_text(low, high)} needed, got {n}.")
    return n


def shown(value: object, limit: int = 60) -> str:
    """A short, printable form of what a user sent, safe to put in a message of any length."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else " " for c in text[: limit + 1])
    return f"'{text[:limit]}{'…' if len(text) > limit else ''}'"


def _range_text(low: float, high: float) -> str:
    if low > -math.inf and high < math.inf:
        return f"between {low:g} and {high:g}"
    return f"at least {low:g}" if low > -math.inf else f"at most {high:g}"
