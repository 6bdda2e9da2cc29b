"""What was made before something broke down is not thrown away: the part becomes the result, and says what happened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from .checks import InputError, shown

log = logging.getLogger("genkey")
Item = TypeVar("Item")


class Run(Protocol):
    """Where a run keeps the sentence about what stopped it."""

    problem: str | None


def problem_of(error: Exception) -> str:
    """A sentence for the user about what stopped a run; a fault that is not the user's is logged with its trace."""
    if isinstance(error, InputError):
        return str(error)
    log.error("the engine broke down", exc_info=error)
    return f"The engine broke down ({type(error).__name__}: {shown(str(error), 200)})."


def until_it_fails(items: Iterable[Item], run: Run, made: Callable[[], bool]) -> Iterator[Item]:
    """`items` up to where they cannot go on, for whatever reason, also a GPU lease that was aborted or a fault of ours.

    What stopped them stands in `run.problem` then; it is raised only where `made()` says that nothing was made yet.
    """
    try:
        yield from items
    except Exception as error:
        if not made():
            raise
        run.problem = problem_of(error)
