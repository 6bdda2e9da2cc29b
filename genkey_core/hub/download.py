"""Whole checkpoints: resumed over process ends, verified by hash, stored in the Hub's own cache layout.

huggingface_hub 2 keeps no partial file when a download fails, so a dropped 3 GB file would start anew. The transfer
here asks the same server through the same session, keeps what arrived beside the blobs, and puts the verified file
where huggingface_hub and diffusers look for it: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from genkey_core.hub.checkpoints import Checkpoint, checkpoint
from genkey_core.hub.errors import as_sentences, corrupt, no_room
from genkey_core.hub.server import (
    RemoteFile,
    append,
    file_url,
    find_commit,
    known_files,
    patiently,
    remote_files,
    size_of,
)

Progress = Callable[[int, int, str], None]  # bytes done, bytes in all, file under way

_CHUNK_BYTES = 4 * 2**20
_SPARE_BYTES = 64 * 2**20  # left free on the disk


def fetch(name: str | Checkpoint, *, progress: Progress | None = None) -> Path:
    """The folder of a complete checkpoint, in the layout of its repository; downloads what the cache lacks.

    A complete copy is returned without asking the network, so HF_HUB_OFFLINE=1 works. What was interrupted is resumed,
    also in a later process. `progress(done, total, file)` counts the bytes of the files that were missing; an
    exception it raises stops the download, which can be resumed. Two callers at once share one download.

    Raises DownloadError (an InputError) that says what to do: no network, offline, gated, refused token, repository,
    revision or file missing, no room on the disk, damaged in transit.
    """
    entry = checkpoint(name)
    bring(entry, entry.files, progress)
    folder = cached(entry)
    assert folder is not None, "every file was stored"
    return folder


def bring(entry: Checkpoint, files: Sequence[str], progress: Progress | None = None) -> None:
    """Make `files` of the checkpoint complete in the cache; otherwise as `fetch`."""
    missing = [file for file in files if cached_file(entry, file) is None]
    if not missing:
        return
    with as_sentences(entry):
        commit = resolve_commit(entry)
        _store_all(entry, commit, remote_files(entry, commit, missing), progress)


def cached(name: str | Checkpoint) -> Path | None:
    """The folder of the checkpoint where all its files are in the local cache, else None; asks no network."""
    entry = checkpoint(name)
    paths = [cached_file(entry, file) for file in entry.files]
    if not paths or None in paths:
        return None
    return paths[0].parents[len(Path(entry.files[0]).parts) - 1]


def cached_file(entry: Checkpoint, file: str) -> Path | None:
    """The local copy of one file at the pinned revision, or None."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(entry.repo_id, file, revision=entry.revision, cache_dir=_cache_directory())
    return Path(path) if isinstance(path, str) else None


def having(entry: Checkpoint, candidates: Sequence[str]) -> Checkpoint:
    """The entry with those of `candidates` that its repository has, and their size; asks the network.

    For repositories that are not in the table, whose files are not known beforehand. Raises DownloadError as `fetch`.
    """
    with as_sentences(entry):
        known = known_files(entry, resolve_commit(entry), list(candidates))
    files = tuple(name for name in candidates if name in known)
    return replace(entry, files=files, size_bytes=sum(known[name].size for name in files))


def resolve_commit(entry: Checkpoint) -> str:
    """The full commit hash of the pinned revision; an abbreviated one is noted in the cache, as branches are."""
    commit = find_commit(entry)
    if commit != entry.revision:
        write_whole(_repository_directory(entry) / "refs" / entry.revision, commit.encode())
    return commit


def require_room(entry: Checkpoint, needed: int, folder: Path) -> None:
    """Raise DownloadError unless the disk of `folder` takes `needed` bytes more."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if needed and free < needed + _SPARE_BYTES:
        raise no_room(entry, needed + _SPARE_BYTES, free)


def _store_all(entry: Checkpoint, commit: str, remote: list[RemoteFile], progress: Progress | None) -> None:
    directory = _repository_directory(entry)
    total = sum(file.size for file in remote)
    absent = [file for file in remote if not (directory / "blobs" / file.digest).exists()]
    require_room(entry, sum(max(0, file.size - size_of(_part(directory, file))) for file in absent), directory)
    before = 0
    for file in remote:

        def report(done: int, before: int = before, file: RemoteFile = file) -> None:
            if progress is not None:
                progress(before + done, total, file.path)

        _store(entry, commit, file, report)
        before += file.size


def _store(entry: Checkpoint, commit: str, file: RemoteFile, report: Callable[[int], None]) -> None:
    """One file into the cache; a lock makes a second caller wait for the first, and find the file there."""
    from huggingface_hub.utils import WeakFileLock

    directory = _repository_directory(entry)
    blob = directory / "blobs" / file.digest
    pointer = directory / "snapshots" / commit / file.path
    lock = _cache_directory() / ".locks" / directory.name / f"{file.digest}.lock"
    for folder in (blob.parent, pointer.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if pointer.exists():
            report(file.size)
            return
        if not blob.exists():
            part = _part(directory, file)
            _transfer(entry, file_url(entry, file.path, commit), part, file, report)
            if (found := _digest(part, file)) != file.digest:
                part.unlink()
                raise corrupt(entry, file.path, f"hash {found[:12]}, {file.digest[:12]} expected")
            os.replace(part, blob)
        report(file.size)
        pointer.unlink(missing_ok=True)  # a link whose blob was deleted
        try:
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        except OSError:  # Windows without the right to make links: the Hub's layout then has the file itself here
            os.replace(blob, pointer)


def _transfer(entry: Checkpoint, url: str, part: Path, file: RemoteFile, report: Callable[[int], None]) -> None:
    """Bring `part` to its full size, each attempt from where the last one ended."""
    if size_of(part) > file.size:
        part.unlink()
    if file.size and size_of(part) == file.size:
        return  # all there: the last process ended before it was hashed
    patiently(lambda: append(url, part, file.size, report), arrived=lambda: size_of(part))
    if size_of(part) != file.size:
        raise corrupt(entry, file.path, f"{size_of(part)} of {file.size} bytes")


def _digest(path: Path, file: RemoteFile) -> str:
    """The file's hash by the method of the expected one: SHA-256 of the bytes, or git's SHA-1 of header and bytes."""
    is_sha256 = len(file.digest) == 64
    digest = hashlib.sha256() if is_sha256 else hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _cache_directory() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _repository_directory(entry: Checkpoint) -> Path:
    return _cache_directory() / f"models--{entry.repo_id.replace('/', '--')}"


def _part(directory: Path, file: RemoteFile) -> Path:
    return directory / "blobs" / f"{file.digest}.genkey.incomplete"


def write_whole(path: Path, content: bytes) -> None:
    """Write beside, then rename: no reader ever sees half of it, and a failure leaves nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
