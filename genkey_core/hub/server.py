"""Questions to the Hub, or to the mirror in HF_ENDPOINT: history, sizes and hashes, and the bytes of files.

Everything goes through the session of huggingface_hub, which knows token, proxies and offline mode. Routes:
https://huggingface.co/docs/hub/api
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from genkey_core import __version__
from genkey_core.hub.checkpoints import Checkpoint
from genkey_core.hub.errors import missing_files, missing_revision, nonsense

T = TypeVar("T")

_REPORT_BYTES = 2**20  # between two reports of progress
_RETRIES = 4  # in a row without a single new byte
_RETRY_AFTER_S = 1.0
_PASSING = {408, 429, 500, 502, 503, 504}  # answers worth another try


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub lists it: `digest` is SHA-256 for large files, git's blob hash for small ones."""

    path: str
    size: int
    digest: str


def find_commit(entry: Checkpoint) -> str:
    """The full hash of the pinned revision; an abbreviated one is looked up in the history of main."""
    if len(entry.revision) == 40:
        return entry.revision
    history = _ask(entry, "GET", "commits/main?limit=1000")
    try:
        commits = [commit["id"] for commit in history if commit["id"].startswith(entry.revision)]
        _check_hashes(commits)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise nonsense(entry) from error
    if len(commits) != 1:
        raise missing_revision(entry)
    return commits[0]


def remote_files(entry: Checkpoint, commit: str, files: list[str]) -> list[RemoteFile]:
    """Size and hash of each of `files` at `commit`; raises DownloadError where the repository lacks one."""
    known = known_files(entry, commit, files)
    if absent := [file for file in files if file not in known]:
        raise missing_files(entry, absent)
    return [known[file] for file in files]


def known_files(entry: Checkpoint, commit: str, files: list[str]) -> dict[str, RemoteFile]:
    """Size and hash of those of `files` that the repository has at `commit`."""
    answer = _ask(entry, "POST", f"paths-info/{commit}", data={"paths": files, "expand": False})
    try:
        known = {
            info["path"]: RemoteFile(info["path"], int(info["size"]), (info.get("lfs") or info)["oid"])
            for info in answer
            if info["type"] == "file"
        }
        _check_hashes(file.digest for file in known.values())
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise nonsense(entry) from error
    return known


def file_url(entry: Checkpoint, file: str, commit: str) -> str:
    """Where the Hub, or the mirror in HF_ENDPOINT, serves the file."""
    from huggingface_hub import constants, hf_hub_url

    return hf_hub_url(entry.repo_id, file, revision=commit, endpoint=constants.ENDPOINT)


def request_headers() -> dict[str, str]:
    """Token (HF_TOKEN or the stored login) and name of this program; no compression, so that bytes are counted."""
    from huggingface_hub.utils import build_hf_headers

    headers = build_hf_headers(library_name="genkey_core", library_version=__version__)
    return {**headers, "Accept-Encoding": "identity"}


def answer_timeout_s() -> float:
    """How long the Hub may take to answer, or to send the next bytes (HF_HUB_DOWNLOAD_TIMEOUT)."""
    from huggingface_hub import constants

    return constants.HF_HUB_DOWNLOAD_TIMEOUT


def patiently(attempt: Callable[[], T], *, arrived: Callable[[], int] = lambda: 0, retries: int = _RETRIES) -> T:
    """What `attempt` returns; network faults and passing troubles of the server are retried.

    Only faults in a row count against `retries`: one after which `arrived` has grown starts the count anew.
    """
    from huggingface_hub import errors

    failures, before = 0, arrived()
    while True:
        try:
            return attempt()
        except errors.HTTPError as error:
            if isinstance(error, errors.HfHubHTTPError) and error.response.status_code not in _PASSING:
                raise
            now = arrived()
            failures = 1 if now > before else failures + 1
            before = now
            if failures > retries:
                raise
            time.sleep(_RETRY_AFTER_S * failures)


def append(url: str, part: Path, size: int, report: Callable[[int], None]) -> None:
    """Add to `part` what it lacks of the `size` bytes at `url`; `report(done)` counts all that are there."""
    from huggingface_hub.utils import get_session, hf_raise_for_status

    start = size_of(part)
    headers = {**request_headers(), **({"Range": f"bytes={start}-"} if start else {})}
    with get_session().stream("GET", url, headers=headers, timeout=answer_timeout_s()) as response:
        hf_raise_for_status(response)
        done = start if response.status_code == 206 else 0  # an answer of 200 is the whole file again
        reported = done
        report(done)
        with part.open("ab" if done else "wb") as output:
            for chunk in response.iter_bytes():
                output.write(chunk[: size - done])
                done = min(size, done + len(chunk))
                if done - reported >= _REPORT_BYTES or done == size:
                    reported = done
                    report(done)


def size_of(path: Path) -> int:
    """Bytes of the file; 0 where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _ask(entry: Checkpoint, method: str, route: str, **arguments):
    """The Hub's answer about the repository, decoded."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session, hf_raise_for_status

    url = f"{constants.ENDPOINT}/api/models/{entry.repo_id}/{route}"

    def attempt():
        headers, timeout = request_headers(), answer_timeout_s()
        response = get_session().request(method, url, headers=headers, timeout=timeout, **arguments)
        hf_raise_for_status(response)
        return response

    response = patiently(attempt, retries=1)
    try:
        return response.json()
    except ValueError as error:
        raise nonsense(entry) from error


def _check_hashes(hashes: Iterable[str]) -> None:
    """Hashes name files of the cache: anything but hex digits (a mirror's "../..") raises ValueError."""
    for digest in hashes:
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", digest):
            raise ValueError(f"not a hash: {digest!r}")
