"""Which recogniser hears the words, what it costs, and how it comes here: two Whispers of the table, or any of the Hub.

A Whisper that is not in the table is named by its repository and commit, `owner/name@commit`, so that what runs is what
was chosen. Verbatim ones (CrisperWhisper) write every "um". Only safetensors are fetched, and nothing in a repository
is run.
"""

from __future__ import annotations

import importlib.util
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import hub, runtime
from ..checks import InputError, shown
from ..cost import duration_text, size_text
from ..hub.checkpoints import WHISPER_FILES, Checkpoint
from .acoustics import HOP_S
from .transcript import FILLER_WORDS, LONGEST_PIECE_S, Recognising, Transcript, transcribe

NONE = "none"
PUBLISHED = ("whisper-small", "whisper-turbo")
MODELS = (NONE, *PUBLISHED)
LANGUAGES = tuple(FILLER_WORDS)  # those whose fillers are known; others are transcribed all the same

_SHARDS = tuple(f"model-{i:05d}-of-{n:05d}.safetensors" for n in range(2, 6) for i in range(1, n + 1))
_CANDIDATES = (  # of a repository that is not in the table; its weights last, so that they are whole when all is
    *(name for name in WHISPER_FILES if name != "model.safetensors"),
    "model.safetensors.index.json",
    "model.safetensors",
    *_SHARDS,
)
_TOKENS_PER_S = 3.5  # of speech
_MEAN_PIECE_S = 0.6 * LONGEST_PIECE_S  # a piece ends in a pause, yet costs as much to listen to as a whole one


@dataclass(frozen=True)
class _Pace:
    """Processor seconds on one core, measured on networks of these sizes with weights of no meaning."""

    listen: float  # per piece
    token: float
    load: float
    memory_bytes: int


_PACES = {
    "whisper-small": _Pace(8.0, 0.12, 4.0, 2_000_000_000),
    "whisper-turbo": _Pace(52.0, 0.11, 12.0, 4_600_000_000),
}
_LARGE = _Pace(52.0, 0.9, 20.0, 7_500_000_000)  # a whole large Whisper, as verbatim ones are: from its 32 layers
_GPU_SHARE = 1 / 20  # of the sound's length, on a graphics card: an estimate, it has not run here
_measured: dict[str, float] = {}  # time over estimate of what ran here, by model
_lock = threading.Lock()


@dataclass(frozen=True)
class RecogniserCost:
    """What transcribing takes on this machine; estimates."""

    seconds: float
    memory_bytes: int
    download_bytes: int | None  # None: the Hub has not been asked
    gpu_quota_s: float
    on_gpu: bool

    def sentence(self) -> str:
        """One line for the page."""
        where = "a graphics card" if self.on_gpu else "this machine's processors"
        parts = [f"about {duration_text(self.seconds)} on {where}", f"{size_text(self.memory_bytes)} memory"]
        if self.download_bytes is None:
            parts.append("fetches its weights first")
        elif self.download_bytes:
            parts.append(f"fetches {size_text(self.download_bytes)} first")
        if self.gpu_quota_s:
            parts.append(f"takes {self.gpu_quota_s:.0f} s of your GPU quota")
        return " · ".join(parts)


@dataclass(frozen=True)
class Fetching:
    """Weights are on their way."""

    said: str


def recogniser(name: object) -> Checkpoint | None:
    """The checkpoint of that name, None for "none"; raises InputError for a name that is neither listed nor of the form.

    On a Space only listed ones are taken: what a visitor names would be fetched onto everybody's disk.
    """
    if name == NONE or not name:
        return None
    if name in PUBLISHED:
        return hub.checkpoint(name)
    read = (
        re.fullmatch(r"(\w[\w.-]{0,95}/\w[\w.-]{0,95})@([0-9a-f]{7,40})", name.strip())
        if isinstance(name, str)
        else None
    )
    if read is None:
        raise InputError(
            f"recogniser: {', '.join(MODELS)}, or a Whisper of the Hub as owner/name@commit (its commit stands under "
            f"Files and versions), is needed, got {shown(name)}."
        )
    if runtime.on_spaces():
        raise InputError(
            f"recogniser: on a shared machine one of {', '.join(MODELS)} is needed; run this tool at home."
        )
    page = f"https://huggingface.co/{read[1]}"
    return Checkpoint(read[1], read[1], read[2], "see its page", page, False, _CANDIDATES, None, "a Whisper of the Hub")


def check(name: object, language: object = None) -> Checkpoint | None:
    """The checkpoint, where it can run here as far as is known before it is fetched; raises InputError with the remedy."""
    entry = recogniser(name)
    checked_language(language)
    if entry is None:
        return None
    missing = [package for package in ("torch", "transformers") if importlib.util.find_spec(package) is None]
    if missing:
        raise InputError(f"recogniser: {missing[0]} is not installed here; install it, or choose none.")
    return entry


def checked_language(language: object) -> str | None:
    """Two or three letters, or None to hear it; raises InputError."""
    if language is None or language == "":
        return None
    if not isinstance(language, str) or not re.fullmatch(r"[a-z]{2,3}", language):
        raise InputError(f"language: two letters such as en, or nothing to hear it, are needed, got {shown(language)}.")
    return language


def cost(entry: Checkpoint, duration_s: float, *, device: str | None = None) -> RecogniserCost:
    """What transcribing so many seconds of sound will take here."""
    on_gpu = (device or runtime.best_device()) != "cpu"
    pace = _PACES.get(entry.name, _LARGE)
    pieces = max(1.0, duration_s / _MEAN_PIECE_S)
    cores = min(runtime.cpu_count(), 8) ** 0.8  # eight cores do not do eight times as much
    work = (pieces * pace.listen + duration_s * _TOKENS_PER_S * pace.token) / cores
    seconds = (duration_s * _GPU_SHARE if on_gpu else work) * _measured.get(_key(entry, on_gpu), 1.0) + pace.load
    here = _local(entry) is not None
    return RecogniserCost(
        seconds=seconds,
        memory_bytes=pace.memory_bytes,
        download_bytes=0 if here else entry.size_bytes,
        gpu_quota_s=float(runtime.quota_seconds(30 + duration_s * _GPU_SHARE)) if runtime.on_zero_gpu() else 0.0,
        on_gpu=on_gpu,
    )


def learn(entry: Checkpoint, estimated_s: float, measured_s: float) -> None:
    """Correct later estimates by how long a transcription took, without the fetching."""
    key = _key(entry, runtime.best_device() != "cpu")
    with _lock:
        ratio = float(np.clip(measured_s / max(estimated_s, 1.0), 0.1, 10))
        _measured[key] = float(np.clip(_measured.get(key, 1.0) * ratio**0.5, 0.05, 20))


def recognise(
    entry: Checkpoint, path: str, sounds: np.ndarray, *, language: str | None = None
) -> Iterator[Fetching | Recognising | Transcript]:
    """Bring the recogniser here if need be and transcribe the file at `path`: what is done on the way, last a Transcript.

    `sounds` is `Survey.sounds`. Raises DownloadError where it cannot be brought, InputError where it is no Whisper with
    word times. Closing the generator stops it; what was fetched is kept.
    """
    folder = _local(entry)
    if folder is None:
        yield Fetching(f"asking the Hub for {entry.repo_id}")
        entry = _listed(entry)
        yield from _fetched(entry)
        folder = hub.fetch(entry)
    yield Fetching(f"loading {entry.name}")
    yield from transcribe(str(folder), path, sounds, language=language)


def seconds_of(sounds: np.ndarray) -> float:
    """The length of the sound that will be listened to."""
    return float(np.count_nonzero(sounds)) * HOP_S * 1.1


def _key(entry: Checkpoint, on_gpu: bool) -> str:
    return f"{entry.name} {'gpu' if on_gpu else 'cpu'}"


def _local(entry: Checkpoint) -> Path | None:
    """The folder of a whole copy on this machine."""
    if entry.name in PUBLISHED:
        return hub.cached(entry)
    present = tuple(name for name in _CANDIDATES if hub.cached_file(entry, name) is not None)
    return hub.cached(replace(entry, files=present)) if _whole(present) else None


def _listed(entry: Checkpoint) -> Checkpoint:
    """The entry with the files that its repository has."""
    if entry.name in PUBLISHED:
        return entry
    found = hub.having(entry, _CANDIDATES)
    if "model.safetensors" in found.files:
        single = tuple(name for name in found.files if name not in _SHARDS and not name.endswith(".index.json"))
        found = replace(found, files=single)
    if not _whole(found.files):
        raise InputError(
            f"recogniser: {entry.repo_id} holds no Whisper as transformers saves it (config.json, generation_config.json, "
            "tokenizer.json and safetensors are needed); choose another."
        )
    return found


def _whole(files: Sequence[str]) -> bool:
    needed = {"config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json"}
    counts = {name[-17:-12] for name in files if name in _SHARDS}
    sharded = any(sum(name.endswith(f"-of-{n}.safetensors") for name in files) == int(n) for n in counts)
    return needed <= set(files) and ("model.safetensors" in files or sharded)


def _fetched(entry: Checkpoint) -> Iterator[Fetching]:
    for percent, total in hub.fetching(entry):
        yield Fetching(f"fetching {entry.name}: {percent} % of {size_text(total)}")
