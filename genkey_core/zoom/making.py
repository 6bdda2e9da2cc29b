"""Making one zoom stack with loaded models: sampling, super-resolution, agreement; the models of this process.

`leased` runs `made` with a GPU where one is lent per call. Models are read once and shared; one stack is made with a model at
a time, from its first step to its levels.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import numpy as np
import torch
from torch import Tensor

from .. import media, runtime
from ..checks import InputError
from . import cascade, guidance
from .engines import Progress, Request
from .pixel_loading import read_if, read_prx
from .pixel_models import PixelModel, said_in_words
from .sampling import sample
from .stack import check_geometry, render_images

_PREVIEW_SIDE = 128  # largest side of a preview, pixels
_TURNS: dict[tuple, threading.Lock] = {}
_held: dict[tuple, PixelModel] = {}  # at most one for a GPU, and the mini model
_holding = threading.Lock()


def _lease_s(request: Request, photo: np.ndarray | None) -> float:
    return request.lease_s


@runtime.gpu(duration=_lease_s)
def _on_gpu(request: Request, photo: np.ndarray | None) -> Iterator[Progress | np.ndarray]:
    yield from made(request, photo)


def leased(request: Request, photo: np.ndarray | None) -> Iterator[Progress | np.ndarray]:
    """`made`, on a lent GPU where the request is for one; reading the files takes none of the lease."""
    if request.device == "cpu":
        yield from made(request, photo)
        return
    if runtime.on_zero_gpu():
        yield Progress(0, 1, note="loading the model")
        model_of(request)
    yield from _on_gpu(request, photo)


def made(request: Request, photo: np.ndarray | None) -> Iterator[Progress | np.ndarray]:
    """Make the stack of a request: Progress records, and last the levels uint8 [N H W 3]. Raises InputError."""
    total = _total(request)
    yield Progress(0, total, note="loading the model")
    model = model_of(request)
    size = request.size if request.kind == "prx" else model.size
    check_geometry(size, size, request.p)
    turn = _TURNS.setdefault(_key(request), threading.Lock())
    while not turn.acquire(timeout=0.5):
        yield Progress(0, total, note="waiting for another stack that is made with this model")
    try:
        yield Progress(0, total, note="reading the prompts")
        model.remember((*request.prompts, request.negative))
        with model.at_work(), closing(_sampled(model, request, photo, size, total)) as steps:
            layers = yield from steps
        yield from _finished(model, request, layers, photo, total)
    finally:
        turn.release()


def _total(request: Request) -> int:
    """Steps in all; a level that is enlarged by a model counts as one."""
    return request.options.steps + len(request.prompts) * ((request.stage is not None) + (request.x4 is not None))


def _sampled(model: PixelModel, request: Request, photo: np.ndarray | None, size: int, total: int):
    """The steps of sampling as Progress; returns the layers [N 3 h w] (of "independent", the levels)."""
    steps = sample(
        model.predict,
        request.prompts,
        model.levels(request.options.steps),
        p=request.p,
        size=(size, size),
        prediction=model.prediction,
        options=request.options,
        generator=runtime.torch_generator(request.seed),
        negative=request.negative,
        constrain=_towards(photo, size, request),
        device=model.device,
        dtype=model.dtype,
    )
    with closing(steps):
        for step in steps:
            with said_in_words("sampling"):
                yield Progress(step.index + 1, total, previews(step.levels))
    if request.options.variant == "independent":
        return step.levels
    layers = step.layers
    if photo is not None:
        layers = guidance.held_to_photo(layers, _picture(photo, size).to(layers.device), request.p)
    return render_images(layers, request.p)


def _towards(photo: np.ndarray | None, size: int, request: Request) -> Callable[[Tensor], Tensor] | None:
    if photo is None:
        return None
    picture = _picture(photo, size)
    return lambda clean: guidance.towards_photo(clean, picture.to(clean.device), request.p)


def _picture(photo: np.ndarray, size: int) -> Tensor:
    return media.to_float(media.fit_image(photo, (size, size), mode="crop"))


def previews(levels: Tensor) -> np.ndarray:
    """All levels [N 3 H W] as small pictures uint8 [N h w 3]."""
    shrink = -(-levels.shape[-1] // _PREVIEW_SIDE)
    small = torch.nn.functional.avg_pool2d(levels, shrink) if shrink > 1 else levels
    return media.to_uint8(small)


def _finished(model: PixelModel, request: Request, levels: Tensor, photo: np.ndarray | None, total: int):
    """From sampled levels to the size that was asked for; last the levels uint8 [N H W 3]."""
    done = request.options.steps
    agree = request.options.variant != "independent"
    generator = runtime.torch_generator((request.seed + 1) % (runtime.MAX_SEED + 1))
    steps = cascade.STAGE_STEPS[request.preset]
    if request.stage is not None:
        words, unsaid = model.embeddings(request.prompts), model.embeddings([request.negative])
        with _at_work(lambda: cascade.read_stage(request.stage, dtype=model.dtype), request) as pipe:
            made_by = cascade.through_stage(pipe, levels, words, unsaid, steps=steps, generator=generator)
            levels = yield from _one_by_one(made_by, levels, request, photo, done, total, agree)
        done += len(levels)
    if request.x4 is not None:
        with _at_work(lambda: cascade.read_x4(request.x4, dtype=model.dtype), request) as pipe:
            known = {"negative": request.negative, "steps": steps, "generator": generator}
            made_by = cascade.through_x4(pipe, levels, request.prompts, **known)
            levels = yield from _one_by_one(made_by, levels, request, photo, done, total, agree)
    if levels.shape[-1] != request.size:
        levels = _resized(levels, request, agree)
    if request.filtered:
        yield Progress(total, total, previews(levels), note="looking at the result with the model's safety filter")
        refused = cascade.SafetyFilter(request.folder, device=model.device, dtype=model.dtype).refused(levels)
        if refused:
            raise InputError(
                f"level {', '.join(map(str, refused))}: the safety filter of the model's authors refuses the picture; "
                "change its prompt or the seed."
            )
    yield media.to_uint8(levels)


def _one_by_one(made_by: Iterator[Tensor], levels: Tensor, request: Request, photo, done: int, total: int, agree: bool):
    """Enlarged levels as they come, as Progress; returns them brought to agree."""
    small, enlarged = previews(levels), []
    with closing(made_by):
        for i, level in enumerate(made_by, 1):
            enlarged.append(level)
            yield Progress(done + i, total, small, note=f"level {i} of {len(levels)} enlarged to {level.shape[-1]}")
    larger = torch.stack(enlarged)
    if not agree:
        return larger
    larger = cascade.agreed(larger, request.p, factor=larger.shape[-1] / levels.shape[-1])
    if photo is not None:
        held = guidance.held_to_photo(larger, _picture(photo, larger.shape[-1]).to(larger.device), request.p)
        larger = render_images(held, request.p).clamp(-1, 1)
    return larger


def _resized(levels: Tensor, request: Request, agree: bool) -> Tensor:
    """Levels at the size that was asked for, by interpolation."""
    if levels.shape[-1] < request.size and agree:
        return cascade.enlarged(levels, request.size, request.p)
    size = (request.size, request.size)
    made = torch.nn.functional.interpolate(levels.float(), size, mode="bicubic", align_corners=False, antialias=True)
    return made.clamp(-1, 1)


@contextmanager
def _at_work(read: Callable, request: Request):
    """A pipeline on the device; it is dropped afterwards."""
    pipe = read()
    with said_in_words("loading an upscaler"):
        pipe.to(request.device)
    try:
        yield pipe
    finally:
        del pipe
        gc.collect()


def _key(request: Request) -> tuple:
    return (request.kind, request.folder, request.device, request.mode, request.size if request.kind == "prx" else 0)


def model_of(request: Request) -> PixelModel:
    """The loaded model, shared by all jobs of this process; another one on the GPU is dropped for it."""
    key = _key(request)
    if (held := _held.get(key)) is not None:  # without the lock, which a forked process may inherit locked
        return held
    with _holding:
        if key not in _held:
            for other in [other for other in _held if other[2] == request.device]:
                del _held[other]
            gc.collect()
            _held[key] = _read(request)
        return _held[key]


def _read(request: Request) -> PixelModel:
    on_cpu = request.device == "cpu"
    half = torch.bfloat16 if request.kind == "prx" else torch.float16
    known = {
        "dtype": torch.float32 if on_cpu else half,
        "device": request.device,
        "text_bits": request.mode.text_bits,
        "offload": request.mode.offload,
        "batch": request.mode.batch,
    }
    return (
        read_prx(request.folder, **known, size=request.size)
        if request.kind == "prx"
        else read_if(request.folder, **known)
    )
