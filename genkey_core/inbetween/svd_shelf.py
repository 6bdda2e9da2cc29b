"""The loaded Stable Video Diffusion models of this process, and sampling a clip with one of them.

A model is read once, in the precision it needs, and moved to where it is asked for. One clip at a time is sampled with
it, from the first evaluation to the decoded frames: only so may a clip that ran out of memory, or of the range of half
precision, change the mode of the model and begin anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from .. import media, runtime
from .delta import BackwardDelta, load_delta
from .engines import Progress
from .sampling import NotFiniteError
from .svd import MEMORY_MODES, MemoryMode, OutOfMemoryError, StableVideo, latent_painter, load_svd, memory_mode_for
from .svd import smaller_mode as next_smaller

if TYPE_CHECKING:
    from .svd_engine import Request

_PREVIEW_SIDE = 256  # long side of a preview, in pixels
_PREVIEW_SEED = 1  # of the noise on the keyframe that the preview's colours are fitted on


class Shelved:
    """A model of this process: where it is, in which mode, and whose turn it is."""

    def __init__(self, model: StableVideo):
        self.model = model
        self.turn = threading.Lock()  # not bound to a thread: a generator may be resumed by another one

    def put(self, device: str, memory: MemoryMode) -> None:
        """Bring the model to `device` in `memory`, where it is not there already."""
        if (self.model.device, self.model.memory) == (device, memory):
            return
        self.model.device = device
        try:
            self.model = self.model.with_memory(memory)
        except torch.OutOfMemoryError as error:
            raise OutOfMemoryError(
                f"memory: the model does not fit in the mode {memory.name}; close what else uses the GPU, or choose the "
                "draft engine."
            ) from error

    def widen(self) -> None:
        """From half precision to bfloat16, which has the range of single precision."""
        self.model.pipe.remove_all_hooks()
        self.model.pipe.to(torch.bfloat16)
        self.model = self.model.with_memory(self.model.memory)


_models: dict[tuple[str, bool], Shelved] = {}
_reading = threading.Lock()


def shelf(folder: str, *, half: bool) -> Shelved:
    """The model in `folder`, read at the first call, on the CPU then; later calls get the same one."""
    key = (folder, half)
    if key in _models:  # without the lock, which a fork for a GPU lease may have copied as taken
        return _models[key]
    with _reading:
        if key not in _models:
            _models[key] = Shelved(load_svd(folder, dtype=torch.float16 if half else torch.float32))
        return _models[key]


def holds(folder: str, *, half: bool) -> bool:
    """Whether the model in `folder` is read already."""
    return (folder, half) in _models


def mode_on(device: str) -> MemoryMode | None:
    """The mode of a model that is on `device` already, and takes the memory there that it needs."""
    return next((entry.model.memory for entry in _models.values() if entry.model.device == device), None)


@lru_cache(maxsize=4)
def _difference(file: str, changed: float) -> BackwardDelta:
    return load_delta(file)


def difference(file: str | None) -> BackwardDelta | None:
    """The backward weights in `file`, read once as long as the file stays as it is."""
    from pathlib import Path

    if file is None:
        return None
    path = Path(file)
    return _difference(file, path.stat().st_mtime if path.is_file() else 0.0)


def sampled(request: Request, start: np.ndarray, end: np.ndarray) -> Iterator[Progress | np.ndarray]:
    """Sample one clip as `request` says; Progress records, and last the clip uint8 [T h w 3].

    Where memory runs out the clip is begun anew in the next smaller mode, and where half precision overflows in
    bfloat16, each said in a lasting note. Raises InputError where neither is left.
    """
    with closing(_sampled(request, start, end)) as items:
        yield from items if request.device != "cpu" else _by_one_thread(items)


def _by_one_thread(items: Iterator) -> Iterator:
    """The same items; torch makes each with one thread. On tensors as small as the mini model's a second one only waits,
    and on a busy machine it waits long."""
    while True:
        before = torch.get_num_threads()
        torch.set_num_threads(1)  # at each step: a server may go on with a generator in another thread
        try:
            item = next(items)
        except StopIteration:
            return
        finally:
            torch.set_num_threads(before)
        yield item


def _sampled(request: Request, start: np.ndarray, end: np.ndarray) -> Iterator[Progress | np.ndarray]:
    total = request.options.evaluations
    yield Progress(0, total, note="loading the model")
    entry = shelf(request.folder, half=request.device != "cpu")
    while not entry.turn.acquire(timeout=0.5):
        yield Progress(0, total, note="waiting for another video that is made with this model")
    try:
        mode = _mode(request, entry)
        while True:
            change = None
            try:
                entry.put(request.device, mode)
                yield from _clip(entry.model, request, start, end)
                return
            except OutOfMemoryError:
                smaller = next_smaller(mode) if request.device != "cpu" else None
                if smaller is None:
                    raise
                mode = smaller
                change = f"The GPU's memory ran out; this went on in the {mode.name} mode."
            except NotFiniteError:
                if entry.model.unet.dtype != torch.float16:
                    raise
                change = "Half precision overflowed; this went on in bfloat16."
                entry.widen()
            yield Progress(0, total, note=change, lasting=True)
    finally:
        entry.turn.release()


def _mode(request: Request, entry: Shelved) -> MemoryMode:
    """The mode to begin in: the one asked for, the one the model is in already, or the fastest that fits."""
    if request.device == "cpu":
        return MEMORY_MODES[0]
    if request.memory != "auto":
        return next(mode for mode in MEMORY_MODES if mode.name == request.memory)
    return entry.model.memory if entry.model.device == request.device else memory_mode_for(request.device)


def _clip(model: StableVideo, request: Request, start, end) -> Iterator[Progress | np.ndarray]:
    """One attempt: the evaluations with their previews, then the decoded clip."""
    steps = model.inbetween(
        start,
        end,
        options=request.options,
        delta=difference(request.difference),
        generator=runtime.torch_generator(request.seed),
        n_frames=request.n_frames,
    )
    preview = None
    for step in steps:
        preview = preview or _previewer(model, request, start)
        yield Progress(step.index + 1, step.total, preview(step.preview))
    yield Progress(step.total, step.total, preview(step.preview), note="decoding")
    frames = model.decode(step.latents)
    if not frames.isfinite().all():
        raise NotFiniteError("decoding: the model gave values that are not numbers; choose the draft engine.")
    yield media.to_uint8(frames)


def _previewer(model: StableVideo, request: Request, start: np.ndarray):
    """The middle frame of latents [1 T C h w] as a small picture uint8 [h w 3], without the decoder."""
    known = model.condition(
        start,
        size=model.native_size(start.shape[1], start.shape[0]),
        n_frames=2,
        options=replace(request.options, noise_aug=0.0),
        generator=runtime.torch_generator(_PREVIEW_SEED),
    )
    paint = latent_painter(known, start, model.pipe.vae.config.scaling_factor)

    def preview(latents: torch.Tensor) -> np.ndarray:
        middle = latents.shape[1] // 2
        small = media.to_uint8(paint(latents[:, middle : middle + 1]))[0]
        scale = _PREVIEW_SIDE / max(small.shape[:2])
        size = [max(1, round(n * scale)) for n in small.shape[1::-1]]
        return cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)

    return preview
