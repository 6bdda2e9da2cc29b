"""A few tensors out of a large safetensors file on the Hub, by ranged reads.

The backward weights of in-betweening (thesis ch. 5) differ from the forward ones in W_v and W_o of the temporal
self-attention alone, a few per cent of the file: the header says where they lie, and only those bytes are fetched.
Format: https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from genkey_core.checks import InputError
from genkey_core.hub.checkpoints import Checkpoint, checkpoint
from genkey_core.hub.download import Progress, bring, cached_file, require_room, resolve_commit, write_whole
from genkey_core.hub.errors import as_sentences, corrupt
from genkey_core.hub.server import answer_timeout_s, file_url, patiently, request_headers

if TYPE_CHECKING:
    import torch

_HEADER_LIMIT_BYTES = 25 * 10**6  # as huggingface_hub: a longer header is an attack, not a model
_FIRST_READ_BYTES = 2**19  # holds the header of a UNet of a thousand tensors
_GAP_BYTES = 2**20  # unwanted bytes that are read along rather than asked around
_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}

Read = Callable[[int, int], bytes]  # first byte, byte after the last -> exactly those bytes


class _NoRanges(Exception):
    """The server sends whole files only."""


class _Malformed(ValueError):
    """The file is not safetensors, or lies about itself."""


@dataclass(frozen=True)
class TensorEntry:
    """One line of the header: where in the file the tensor lies."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int  # first byte in the file
    stop: int  # byte after the last


def fetch_tensors(
    name: str | Checkpoint, file: str, names: Iterable[str], *, progress: Progress | None = None
) -> dict[str, torch.Tensor]:
    """The tensors of `file` whose names match one of `names` (exact, or with *), on the CPU in their stored type.

    Only the header and the wanted bytes cross the network; neighbouring tensors share a request. The result is kept
    as one small safetensors file among the Hub's assets (HF_HOME/assets), and later calls need no network. A file that
    is complete in the cache is read there. Where the server knows no ranges a warning says so, and the whole file
    is fetched. `progress(done, total, file)` counts the wanted bytes.

    Raises InputError where nothing matches one of `names`, and DownloadError as `fetch` does, also for a file that is
    not what its header says.
    """
    entry, patterns = checkpoint(name), sorted(set(names))
    if not patterns:
        raise InputError(f"{entry.name}: names of at least one tensor needed, got none.")
    if file not in entry.files:
        raise InputError(f"{entry.name}: one of {', '.join(entry.files)} is needed, got '{file}'.")
    kept = _kept_path(entry, file, patterns)
    if not kept.exists():
        _extract(entry, file, patterns, kept, progress)
    from safetensors.torch import load_file

    return load_file(kept)


def _kept_path(entry: Checkpoint, file: str, patterns: list[str]) -> Path:
    from huggingface_hub import cached_assets_path, constants

    key = hashlib.sha256(json.dumps([entry.revision, file, patterns]).encode()).hexdigest()[:16]
    folder = cached_assets_path(
        "genkey_core", namespace=entry.repo_id, subfolder=entry.revision, assets_dir=constants.HF_ASSETS_CACHE
    )
    return folder / f"{Path(file).stem}-{key}.safetensors"


def _extract(entry: Checkpoint, file: str, patterns: list[str], kept: Path, progress: Progress | None) -> None:
    """Write the wanted tensors to `kept`."""

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(done, total, file)

    with as_sentences(entry):
        try:
            read, size = _reader(entry, file, progress)
            wanted = _select(entry, file, read_header(read, size), patterns)
            require_room(entry, sum(tensor.stop - tensor.start for tensor in wanted), kept.parent)
            write_whole(kept, _packed(wanted, read, report))
        except _Malformed as error:
            raise corrupt(entry, file, str(error)) from error


def _reader(entry: Checkpoint, file: str, progress: Progress | None) -> tuple[Read, int]:
    """A reader of parts of the file, where it lies, and the file's size."""
    if (local := cached_file(entry, file)) is None:
        try:
            return _remote_reader(file_url(entry, file, resolve_commit(entry)))
        except _NoRanges:
            message = f"{entry.name}: the server sends no parts of files, so all of {file} is fetched."
            warnings.warn(message, stacklevel=4)
        bring(entry, [file], progress)
        local = cached_file(entry, file)
    return _local_reader(local)


def _remote_reader(url: str) -> tuple[Read, int]:
    """A reader on the Hub; the first bytes, which hold the header, are asked for once."""
    opening, size = patiently(lambda: _request(url, 0, _FIRST_READ_BYTES, None))

    def read(first: int, stop: int) -> bytes:
        if stop <= len(opening):
            return opening[first:stop]
        return patiently(lambda: _request(url, first, stop, size))[0]

    return read, size


def _request(url: str, first: int, stop: int, size: int | None) -> tuple[bytes, int]:
    """The bytes [first, stop) and the size of the whole file; fewer bytes only where the file ends before."""
    from huggingface_hub.utils import get_session, hf_raise_for_status

    headers = {**request_headers(), "Range": f"bytes={first}-{stop - 1}"}
    with get_session().stream("GET", url, headers=headers, timeout=answer_timeout_s()) as response:
        hf_raise_for_status(response)
        if response.status_code != 206 and size is None:
            raise _NoRanges  # leaving the context drops the connection, not gigabytes through it
        try:
            span, _, whole = response.headers["Content-Range"].removeprefix("bytes ").partition("/")
            whole, (start, end) = int(whole), map(int, span.split("-"))
        except (KeyError, ValueError) as error:
            raise _Malformed("the server does not say which part it sent") from error
        if start != first or end + 1 != min(stop, whole) or (size is not None and whole != size):
            raise _Malformed("the server sent another part than asked")
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > end + 1 - start:
                raise _Malformed("the server sent more than asked")
    if len(content) != end + 1 - start:
        raise _Malformed("the server sent less than asked")
    return bytes(content), whole


def _local_reader(path: Path) -> tuple[Read, int]:
    def read(first: int, stop: int) -> bytes:
        with path.open("rb") as stream:
            stream.seek(first)
            return stream.read(stop - first)

    return read, path.stat().st_size


def read_header(read: Read, size: int) -> list[TensorEntry]:
    """The tensors of a safetensors file of `size` bytes, in order of place; raises ValueError for a hostile header."""
    if size < 8:
        raise _Malformed("shorter than a safetensors header")
    length = int.from_bytes(read(0, 8), "little")
    if not 2 <= length <= min(_HEADER_LIMIT_BYTES, size - 8):
        raise _Malformed(f"a header of {length} bytes")
    try:
        header = json.loads(read(8, 8 + length), object_pairs_hook=_without_repeats)
        if not isinstance(header, dict):
            raise _Malformed("a header that is no table")
        entries = [_entry(key, line, 8 + length, size) for key, line in header.items() if key != "__metadata__"]
    except _Malformed:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _Malformed("an unreadable header") from error
    return sorted(entries, key=lambda tensor: (tensor.start, tensor.stop))


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(table := dict(pairs)) != len(pairs):
        raise _Malformed("a header that names something twice")
    return table


def _entry(name: str, line: dict, data_start: int, size: int) -> TensorEntry:
    dtype, shape, (start, stop) = line["dtype"], tuple(line["shape"]), line["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, start, stop)):
        raise _Malformed(f"impossible numbers for {name[:80]}")
    if not start <= stop <= size - data_start or stop - start != math.prod(shape) * _ITEM_BYTES[dtype]:
        raise _Malformed(f"an impossible place for {name[:80]}")
    return TensorEntry(name, dtype, shape, data_start + start, data_start + stop)


def _select(entry: Checkpoint, file: str, header: list[TensorEntry], patterns: list[str]) -> list[TensorEntry]:
    for pattern in patterns:
        if not any(fnmatchcase(tensor.name, pattern) for tensor in header):
            raise InputError(f"{entry.name}: {file} has no tensor named '{pattern}'.")
    return [tensor for tensor in header if any(fnmatchcase(tensor.name, pattern) for pattern in patterns)]


def merged(entries: Iterable[TensorEntry], gap: int = _GAP_BYTES) -> list[list[TensorEntry]]:
    """`entries`, in order of place, in groups with at most `gap` bytes between neighbours: one request each."""
    groups: list[list[TensorEntry]] = []
    reached = 0
    for tensor in entries:
        if groups and tensor.start - reached <= gap:
            groups[-1].append(tensor)
        else:
            groups.append([tensor])
        reached = max(reached, tensor.stop)
    return groups


def _packed(wanted: list[TensorEntry], read: Read, report: Callable[[int, int], None]) -> bytes:
    """A safetensors file of the wanted tensors alone; their bytes are copied, not interpreted."""
    total = sum(tensor.stop - tensor.start for tensor in wanted)
    header, content = {}, bytearray()
    report(0, total)
    for group in merged(wanted):
        first, stop = group[0].start, max(tensor.stop for tensor in group)
        span = read(first, stop)
        for tensor in group:
            begin = len(content)
            content += span[tensor.start - first : tensor.stop - first]
            header[tensor.name] = {
                "dtype": tensor.dtype,
                "shape": list(tensor.shape),
                "data_offsets": [begin, len(content)],
            }
        report(len(content), total)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + bytes(content)
