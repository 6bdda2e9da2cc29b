"""The guard in front of every reader and writer: only regular local files are opened, outputs appear atomically.

A path is what a user sent, so it is never handed to a decoder as text. It is opened here, once, and the decoder gets
the open file: what looks like a protocol or an option (`http:`, `concat:`, `-i`) can only ever be a name that does not
exist, and what is checked is what is read, even where a name is swapped in between.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from genkey_core.checks import InputError, shown

MAX_IMAGE_BYTES = 256 * 2**20
MAX_MEDIA_BYTES = 4 * 2**30

_ADDRESS = re.compile(r"[a-z][a-z0-9+.\-]+(:|,,)", re.IGNORECASE)  # two letters or more: `C:` is a Windows drive
_KERNEL_FOLDERS = ("/proc", "/sys")  # their entries look regular to stat(), and are not
_OPEN_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))


def base_name(path: object) -> str:
    """The last part of what a user sent as a path, printable and short: all that a message may tell of it."""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    return shown(re.split(r"[/\\]", text.rstrip("/\\"))[-1]) if isinstance(text, str) else shown(text)


def local_file(path: str | os.PathLike, *, max_bytes: int = MAX_MEDIA_BYTES) -> Path:
    """The absolute path of an existing, regular, local file of 1 to `max_bytes` bytes.

    Links, folders, pipes, devices and entries of /proc and /sys are refused. Raises InputError, whose sentence tells
    the file's base name and no folder.
    """
    with open_local(path, max_bytes=max_bytes):
        return _absolute(path)


@contextmanager
def open_local(path: str | os.PathLike, *, max_bytes: int = MAX_MEDIA_BYTES) -> Iterator[BinaryIO]:
    """The same file, open for reading; its checks are made on the open file itself. Raises as `local_file` does."""
    full = _absolute(path)
    name = base_name(path)
    try:
        _check_kind(os.lstat(full).st_mode, name)  # before opening: opening a device can already do something
        descriptor = os.open(full, _OPEN_FLAGS)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise error if isinstance(error, InputError) else InputError(f"{name} was not found.") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read.") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        _check_kind(status.st_mode, name)
        if status.st_size == 0:
            raise InputError(f"{name} is empty.")
        if status.st_size > max_bytes:
            raise InputError(f"{name} is too large: at most {_bytes(max_bytes)}, got {_bytes(status.st_size)}.")
        yield file


@contextmanager
def atomic_output(path: str | os.PathLike) -> Iterator[Path]:
    """A fresh empty file beside `path` to write into; it takes the name `path` where the block ends well.

    An exception removes it. A killed process leaves a hidden `.part` file, never one with the final name.
    """
    final = Path(path).absolute()
    part = create_part(final)
    try:
        yield part
        os.replace(part, final)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def create_part(final: Path) -> Path:
    """A new empty hidden file in the folder of `final`, with the access rights a new file gets there."""
    part = final.with_name(f".{secrets.token_hex(8)}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{base_name(final)} cannot be written: its folder does not exist.") from error
    return part


def _absolute(path: object) -> Path:
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise InputError(f"a file is needed, got {shown(path)}.")
    text = os.fspath(path)
    if not text.strip() or "\0" in text:
        raise InputError(f"a file is needed, got {shown(text)}.")
    if _ADDRESS.match(text) or text.startswith(("//", "\\\\")):
        raise InputError(f"{base_name(text)}: a file on this machine is needed, not an address.")
    full = os.path.abspath(text)
    real = os.path.realpath(os.path.dirname(full))
    if any(f"{real}/".startswith(f"{folder}/") for folder in _KERNEL_FOLDERS):
        raise InputError(f"{base_name(text)} is not a regular file.")
    return Path(full)


def _check_kind(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise InputError(f"{name} is a folder, not a file.")
    if stat.S_ISLNK(mode):
        raise InputError(f"{name} is a link: the file itself is needed.")
    if not stat.S_ISREG(mode):
        raise InputError(f"{name} is not a regular file.")


def _bytes(n: int) -> str:
    return f"{n / 2**30:.1f} GB" if n >= 2**30 else f"{n / 2**20:.1f} MB" if n >= 2**20 else f"{n / 2**10:.1f} KB"
