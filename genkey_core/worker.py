"""Work that only knows callbacks, as a generator: a thread does it and hands what it has to say through a queue.

The pipelines of diffusers and downloads report by callback; everything here is a generator that is closed to cancel.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_WAITING = 2  # items that may wait for their reader; then the work itself waits
_LOOK_S = 0.05  # how often waiting work looks whether it has been cancelled


class Stopped(Exception):
    """Raised inside the work when its reader is gone; whoever catches it has to let it pass."""


class Reporter:
    """What the work is given: call it with an item for the reader; `check()` wherever it can stop without one."""

    def __init__(self):
        self._items: queue.Queue = queue.Queue(_WAITING)
        self._stopped = threading.Event()

    def __call__(self, item: Any) -> None:
        """Hand `item` to the reader, waiting until there is room; raises Stopped when the reader is gone."""
        while True:
            self.check()
            with suppress(queue.Full):
                return self._items.put(item, timeout=_LOOK_S)

    def check(self) -> None:
        """Raise Stopped when the reader is gone."""
        if self._stopped.is_set():
            raise Stopped


@dataclass(frozen=True)
class _End:
    error: BaseException | None


def streamed(work: Callable[[Reporter], None]) -> Iterator[Any]:
    """Run `work(say)` in a thread of its own and yield what it says, in order.

    An exception of the work is raised here. Closing the generator raises Stopped at the next word of the work, and
    returns when its thread has ended, so nothing runs on behind the caller's back.
    """
    say = Reporter()

    def run() -> None:
        error: BaseException | None = None
        try:
            work(say)
        except Stopped:
            return
        except BaseException as raised:  # whatever it is, the reader must not wait for ever
            error = raised
        with suppress(Stopped):
            say(_End(error))

    thread = threading.Thread(target=run, name="genkey-work", daemon=True)
    thread.start()
    try:
        while not isinstance(item := say._items.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        say._stopped.set()
        thread.join()
