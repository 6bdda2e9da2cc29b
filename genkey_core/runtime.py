"""The machine: device, number type, seeded randomness, free memory, processors, and ZeroGPU's GPU leases.

The only module that imports `spaces` and the only one that names a GPU backend. It imports neither that nor torch
until a function needs them. ZeroGPU's rules stand in https://huggingface.co/docs/hub/spaces-zerogpu and in the source
of the `spaces` package.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import inspect
import math
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from genkey_core.checks import InputError, integer, number

if TYPE_CHECKING:
    import numpy as np
    import torch

MAX_SEED = 2**32 - 1  # every seed fits a JSON number, a slider and both kinds of generator
ZERO_GPU_FACTOR = 1.5  # what the client multiplies a requested duration by on the current hardware
ZERO_GPU_LONGEST_S = 40 * 60  # the longest task the client names, in quota seconds: a PRO visitor's whole day
ZERO_GPU_ANONYMOUS_S = 2 * 60  # about what a visitor who is not signed in has for a day, in quota seconds
ZERO_GPU_BYTES = 48 * 10**9  # memory of one lease of the usual size, half a card

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_CGROUP_OF_PROCESS = Path("/proc/self/cgroup")

F = TypeVar("F", bound=Callable)


def on_spaces() -> bool:
    """Whether this process runs in a Hugging Face Space, of whatever hardware."""
    return bool(os.environ.get("SPACE_ID")) or os.environ.get("SYSTEM") == "spaces"


def on_zero_gpu() -> bool:
    """Whether GPUs are lent per call here; decided by the same variable and values as the `spaces` package."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def best_device() -> str:
    """The fastest device torch can use here: "cuda", "mps" or "cpu"; "cpu" also where torch is not installed.

    On ZeroGPU "cuda", also outside a lease.
    """
    if on_zero_gpu():
        return "cuda"  # torch must not be asked: it would start CUDA in the process that forks the GPU workers
    if importlib.util.find_spec("torch") is None:
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def best_dtype(device: str) -> torch.dtype:
    """Half precision on a GPU, single precision on a CPU, which has no fast half precision."""
    import torch

    return torch.float32 if torch.device(device).type == "cpu" else torch.float16


def fresh_seed() -> int:
    """A seed nobody chose, in [0, MAX_SEED]; hand it back with the result, so that the run can be repeated."""
    return secrets.randbelow(MAX_SEED + 1)


def torch_generator(seed: int, device: str = "cpu") -> torch.Generator:
    """A seeded torch generator. Draws on the CPU are equal on every machine, those on a GPU are not: prefer the CPU."""
    import torch

    return torch.Generator(device).manual_seed(_checked_seed(seed))


def numpy_generator(seed: int) -> np.random.Generator:
    """A seeded NumPy generator."""
    import numpy as np

    return np.random.default_rng(_checked_seed(seed))


def _checked_seed(seed: object) -> int:
    return integer(seed, "Seed", low=0, high=MAX_SEED)


@dataclass(frozen=True)
class Memory:
    """Free memory in bytes. `gpu` is None where there is no GPU."""

    ram: int
    gpu: int | None = None


def available_memory(device: str = "cpu") -> Memory:
    """What can still be allocated: RAM within the limits of the container, and the memory of `device` if it is a GPU.

    torch is imported for a GPU only. On ZeroGPU `gpu` is what a lease will bring: outside one there is no GPU to ask.
    """
    import psutil

    ram = psutil.virtual_memory().available
    for directory in _cgroup_directories("memory"):
        limit = _cgroup_number(directory, "memory.max", "memory.limit_in_bytes")
        used = _cgroup_number(directory, "memory.current", "memory.usage_in_bytes")
        if limit is not None and used is not None:
            ram = min(ram, max(0, limit - used + _reclaimable(directory)))
    return Memory(ram=ram, gpu=_free_gpu_memory(device))


def _free_gpu_memory(device: str) -> int | None:
    if device.startswith("cuda"):
        if on_zero_gpu():
            return ZERO_GPU_BYTES
        import torch

        return torch.cuda.mem_get_info(device)[0]
    if device == "mps":
        import torch

        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return None


def cpu_count() -> int:
    """Processors this process may use: those it is bound to, and no more than the container's share of time."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    for directory in _cgroup_directories("cpu"):
        quota_us, period_us = _cpu_share(directory)
        if quota_us > 0 and period_us > 0:
            count = min(count, math.ceil(quota_us / period_us))
    return max(1, count)


def _cgroup_directories(controller: str) -> Iterator[Path]:
    """Every directory whose limit binds this process: its own control group and all above it, versions 1 and 2."""
    try:
        lines = _CGROUP_OF_PROCESS.read_text().splitlines()
    except OSError:  # not Linux, or hidden
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        root = _CGROUP_ROOT / controller if controllers else _CGROUP_ROOT
        group = root / path.lstrip("/")
        # Inside a container the path may name a directory of the host: the loop then ends at the mounted root.
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(root) and folder.is_dir())


def _cgroup_number(directory: Path, *names: str) -> int | None:
    """The first of the files `names` that holds a number; "max" (no limit) counts as none."""
    for name in names:
        with contextlib.suppress(OSError, ValueError):
            return int((directory / name).read_text())
    return None


def _reclaimable(directory: Path) -> int:
    """Bytes of file cache that the kernel gives back on demand: counted as used, but free to us."""
    with contextlib.suppress(OSError, ValueError):
        statistics = dict(line.split() for line in (directory / "memory.stat").read_text().splitlines())
        return int(statistics.get("total_inactive_file", statistics.get("inactive_file", 0)))
    return 0


def _cpu_share(directory: Path) -> tuple[int, int]:
    """Microseconds of processor time per period in microseconds; (0, 0) where there is no limit."""
    with contextlib.suppress(OSError, ValueError):
        quota_us, period_us = (directory / "cpu.max").read_text().split()
        return int(quota_us), int(period_us)
    quota_us = _cgroup_number(directory, "cpu.cfs_quota_us")
    return quota_us or 0, _cgroup_number(directory, "cpu.cfs_period_us") or 0


def quota_seconds(duration_s: float) -> int:
    """Quota seconds a visitor must have left for a GPU call of `duration_s` seconds on ZeroGPU.

    The client asks for one and a half times the duration on the current hardware; what a call did not use is given
    back when it ends.
    """
    return round(math.ceil(number(duration_s, "GPU duration", low=0, unit="s")) * ZERO_GPU_FACTOR)


def lease_seconds(duration_s: float) -> int:
    """`duration_s` as ZeroGPU takes it: whole seconds, at least one.

    A job over the longest lease raises InputError here, before anything is scheduled: a shorter lease than the job
    needs would be aborted half-way, and its quota spent for nothing. Visitors on a smaller plan have a lower limit,
    which only the server knows; its refusal reaches the page in its own words.
    """
    seconds = max(1, math.ceil(number(duration_s, "GPU duration", low=0, unit="s")))
    if quota_seconds(seconds) > ZERO_GPU_LONGEST_S:
        raise InputError(
            f"GPU duration: this job needs about {seconds} s of GPU ({quota_seconds(seconds)} quota seconds), and one"
            f" run may take at most {ZERO_GPU_LONGEST_S} quota seconds; ask for fewer frames or steps."
        )
    return seconds


def gpu(*, duration: float | Callable[..., float] = 60.0) -> Callable[[F], F]:
    """Decorator for functions and generators that need the GPU: leases one per call on ZeroGPU, elsewhere nothing.

    `duration` is the longest the call may take, in seconds, or a callable of the same arguments that returns it.
    Elsewhere than on ZeroGPU the function itself comes back, unchanged. There, the function runs in a forked process:
    arguments and results are pickled, globals set in it are lost, and an InputError is carried back by its sentence
    (by itself the `spaces` package shows the name of the class alone). Closing a generator ends the lease.

    Raises TypeError for coroutines, which ZeroGPU does not take, and InputError at the call for a duration over the
    legal range. Decorate at import: ZeroGPU stops a Space that has launched without any decorated function.
    """

    def decorate(function: F) -> F:
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"gpu() takes functions and generators, and {function.__name__} is a coroutine.")
        return _leased(function, duration) if on_zero_gpu() else function

    return decorate


@dataclass(frozen=True)
class _Refusal:
    """A user's mistake on its way out of the GPU process."""

    sentence: str


def _leased(function: F, duration: float | Callable[..., float]) -> F:
    import spaces

    def seconds(*args, **kwargs) -> int:
        return lease_seconds(duration(*args, **kwargs) if callable(duration) else duration)

    return (
        _leased_generator(function, spaces, seconds)
        if inspect.isgeneratorfunction(function)
        else _leased_function(function, spaces, seconds)
    )


def _leased_function(function: Callable, spaces, seconds: Callable[..., int]) -> Callable:
    @functools.wraps(function)
    def in_gpu_process(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except InputError as mistake:
            return _Refusal(str(mistake))

    leased = spaces.GPU(duration=seconds)(in_gpu_process)

    @functools.wraps(function)
    def call(*args, **kwargs):
        return _unwrapped(leased(*args, **kwargs))

    return call


def _leased_generator(function: Callable, spaces, seconds: Callable[..., int]) -> Callable:
    @functools.wraps(function)
    def in_gpu_process(*args, **kwargs):
        try:
            yield from function(*args, **kwargs)
        except InputError as mistake:
            yield _Refusal(str(mistake))

    leased = spaces.GPU(duration=seconds)(in_gpu_process)

    @functools.wraps(function)
    def call(*args, **kwargs):
        with contextlib.closing(leased(*args, **kwargs)) as steps:
            for step in steps:
                yield _unwrapped(step)

    return call


def _unwrapped(result):
    if isinstance(result, _Refusal):
        raise InputError(result.sentence)
    return result
