"""A download as a generator: how much of a checkpoint is here, whole percents, each said once."""

from __future__ import annotations

from collections.abc import Iterator

from genkey_core import hub
from genkey_core.hub.checkpoints import Checkpoint
from genkey_core.worker import Reporter, streamed


def fetching(name: str | Checkpoint) -> Iterator[tuple[int, int]]:
    """Fetch a checkpoint, as `fetch`, and yield (percent, bytes in all) as it comes; nothing where it is complete.

    Closing the generator stops the transfer, which is resumed next time. Raises DownloadError.
    """

    def work(say: Reporter) -> None:
        told = -1

        def report(done: int, total: int, file: str) -> None:
            nonlocal told
            say.check()
            if (percent := 100 * done // max(1, total)) != told:
                told = percent
                say((percent, total))

        hub.fetch(name, progress=report)

    yield from streamed(work)
