"""What can go wrong between the Hub and this machine, each as one sentence that says what to do."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from genkey_core.checks import InputError
from genkey_core.hub.checkpoints import Checkpoint

_TOKENS_URL = "https://huggingface.co/settings/tokens"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_NO_WRITING = {errno.EACCES, errno.EPERM, errno.EROFS}


class DownloadError(InputError):
    """A checkpoint could not be brought here; the message says what the user can do about it."""


def gigabytes(size: int) -> str:
    """A size for people: "4.5 GB", "12 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"


@contextlib.contextmanager
def as_sentences(entry: Checkpoint) -> Iterator[None]:
    """Turn the failures of huggingface_hub, of the network and of the disk into DownloadError."""
    from huggingface_hub import errors

    try:
        yield
    except DownloadError:
        raise
    except errors.OfflineModeIsEnabled as error:
        raise DownloadError(
            f"{entry.name}: not complete in the local cache, and HF_HUB_OFFLINE forbids asking the Hub; unset it and"
            " fetch once with a network."
        ) from error
    except errors.HfHubHTTPError as error:
        raise DownloadError(_refusal(entry, error)) from error
    except errors.HTTPError as error:
        raise DownloadError(
            f"{entry.name}: the Hub cannot be reached ({type(error).__name__}); check the network, or HF_ENDPOINT and"
            " the proxy settings, and try again: what has arrived is kept."
        ) from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise no_room(entry, None, None) from error
        if error.errno in _NO_WRITING:
            raise DownloadError(
                f"{entry.name}: the Hub cache cannot be written; give this user the right to, or point HF_HOME to a"
                " folder that can."
            ) from error
        raise


def _refusal(entry: Checkpoint, error: Exception) -> str:
    """The sentence for an answer that is not the file: gated, no access, missing, or a server in trouble."""
    from huggingface_hub import errors, get_token

    status = error.response.status_code
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{entry.name}: {entry.repo_id} is gated; accept its licence at https://huggingface.co/{entry.repo_id},"
            f" make a token at {_TOKENS_URL} and set it as HF_TOKEN."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"{entry.name}: {entry.repo_id} is not on the Hub, or not for this account; if you were given access, set"
            f" HF_TOKEN to a token of that account from {_TOKENS_URL}."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return str(missing_revision(entry))
    if isinstance(error, errors.EntryNotFoundError):
        return f"{entry.name}: a file of {entry.repo_id} is missing at revision {entry.revision}; update this program."
    if status in (401, 403) and get_token() is None:
        return (
            f"{entry.name}: the Hub gives {entry.repo_id} to known accounts only (answer {status}); make a token at"
            f" {_TOKENS_URL} and set it as HF_TOKEN."
        )
    if status in (401, 403):
        return (
            f"{entry.name}: the Hub refuses the token in HF_TOKEN (answer {status}); make a new one with read access at"
            f" {_TOKENS_URL}, or unset HF_TOKEN for repositories that need none."
        )
    if status == 429:
        return f"{entry.name}: the Hub limits this address at the moment (answer 429); try again in some minutes."
    return f"{entry.name}: the Hub is in trouble (answer {status}); try again later: what has arrived is kept."


def no_room(entry: Checkpoint, needed: int | None, free: int | None) -> DownloadError:
    """The disk is full, or would be."""
    sizes = "" if needed is None else f" {gigabytes(needed)} needed, {gigabytes(free)} free;"
    return DownloadError(
        f"{entry.name}: not enough room on the disk of the Hub cache;{sizes} make room there, or set HF_HOME to a"
        " folder on a larger disk."
    )


def missing_revision(entry: Checkpoint) -> DownloadError:
    """The pinned commit is gone, as after a rewritten history."""
    return DownloadError(
        f"{entry.name}: {entry.repo_id} has no revision {entry.revision} any more; update this program, or take the"
        " checkpoint from a copy of the cache that has it."
    )


def missing_files(entry: Checkpoint, names: list[str]) -> DownloadError:
    """The repository lacks files of the table at the pinned revision."""
    return DownloadError(
        f"{entry.name}: {entry.repo_id} at revision {entry.revision} lacks {', '.join(names)}; update this program."
    )


def corrupt(entry: Checkpoint, file: str, why: str) -> DownloadError:
    """What arrived is not what was published."""
    return DownloadError(
        f"{entry.name}: {file} arrived damaged ({why}) and was thrown away; try again, and if it happens again check"
        " proxies and virus scanners on the way."
    )


def nonsense(entry: Checkpoint) -> DownloadError:
    """Something answered that is not the Hub, such as the sign-in page of a hotel network."""
    return DownloadError(
        f"{entry.name}: what answers is not the Hub; sign in to the network, or check HF_ENDPOINT and the proxy."
    )
