"""What the table of published checkpoints is made of: one entry each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from genkey_core.checks import InputError, shown


@dataclass(frozen=True)
class Checkpoint:
    """One published checkpoint: exactly these files of one repository at one commit."""

    name: str  # what this library calls it, as in CHECKPOINTS
    repo_id: str  # owner/repository on the Hub
    revision: str  # commit, 40 hex digits; or its first 7 to 39, looked up in the history of main and as binding
    licence: str
    licence_url: str  # where it is read, and accepted if the repository is gated
    gated: bool  # whether the Hub wants an account that has accepted the licence
    files: tuple[str, ...]  # paths in the repository, so that a complete copy is recognised without asking the Hub
    size_bytes: int | None  # all files together, approximately; None where unknown
    what: str  # one line for people

    def __post_init__(self):
        if not re.fullmatch(r"[0-9a-f]{7,40}", self.revision):
            raise InputError(f"{self.name}: a commit hash is needed as revision, got {shown(self.revision)}.")
        for file in self.files:
            if not file or PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts or "\\" in file:
                raise InputError(f"{self.name}: a path inside the repository is needed, got {shown(file)}.")


def sharded(folder: str, stem: str, shards: int) -> tuple[str, ...]:
    """The weights of a large part: its shards and their index."""
    names = (f"{stem}-{i:05d}-of-{shards:05d}.safetensors" for i in range(1, shards + 1))
    return tuple(f"{folder}/{name}" for name in (f"{stem}.safetensors.index.json", *names))
