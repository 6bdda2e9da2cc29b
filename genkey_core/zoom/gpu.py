"""What the engines on a GPU ask of a machine: memory modes, and weights that are here or can be fetched."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

from .. import hub, runtime
from ..checks import InputError


@dataclass(frozen=True)
class MemoryMode:
    """How much speed is given up for memory; sizes are worked out from the weights and not measured."""

    name: str  # the kind of GPU it is meant for
    free_gb: float  # memory of the GPU that has to be free
    ram_gb: float  # main memory that has to be free
    offload: bool = True  # only the part at work is on the GPU
    text_bits: int = 16  # of the text encoder's weights; 8 and 4 through bitsandbytes
    batch: int = 64  # images that go through the network at a time


ON_CPU = MemoryMode("CPU", 0, 0, offload=False)
# IF: 4.8 billion weights in the text encoder, 4.3 in the first stage, 1.2 in the second, 0.9 in the x4 upscaler.
# PRXPixel: about 7 billion in the transformer, 1.7 in the text encoder.
MODES = {
    "full": (
        MemoryMode("40 GB", 32, 12, offload=False),
        MemoryMode("24 GB", 16, 30),
        MemoryMode("16 GB", 13, 14, text_bits=8, batch=16),
        MemoryMode("12 GB", 10.5, 14, text_bits=4, batch=4),
    ),
    "prx": (
        MemoryMode("40 GB", 26, 8, offload=False, batch=4),
        MemoryMode("24 GB", 19, 20, batch=2),
        MemoryMode("16 GB", 15.5, 20, batch=1),
    ),
}


def memory_mode(engine: str, device: str, wanted: str = "auto") -> MemoryMode:
    """The memory mode: for "auto" the fastest that fits into what is free, otherwise the largest not above `wanted`.

    Raises InputError where `device` is no GPU, where nothing fits, and where bitsandbytes is needed and not here.
    """
    memory = runtime.available_memory(device)
    if memory.gpu is None:
        raise InputError(f"{engine}: a GPU is needed, and this machine has none; the mini engine runs without.")
    modes = MODES[engine]
    if wanted != "auto":
        return _named(engine, wanted, device)
    free_gb, ram_gb = memory.gpu / 1e9, memory.ram / 1e9
    for mode in modes:
        if _can_shrink(device) >= (mode.text_bits < 16) and free_gb >= mode.free_gb and ram_gb >= mode.ram_gb:
            return mode
    smallest = modes[-1]
    raise InputError(
        f"{engine}: {smallest.free_gb:g} GB free on the GPU and {smallest.ram_gb:g} GB of main memory are needed"
        f"{'' if _can_shrink(device) else ' with bitsandbytes, and ' + format(_unshrunk(modes).free_gb, 'g') + ' GB without'},"
        f" this machine has {free_gb:.1f} GB and {ram_gb:.1f} GB; the mini engine runs without a GPU."
    )


def _named(engine: str, wanted: str, device: str) -> MemoryMode:
    fitting = [mode for mode in MODES[engine] if int(mode.name.split()[0]) <= int(wanted.split()[0])]
    if not fitting:
        raise InputError(f"{engine}: {wanted} are too few; the smallest memory mode is {MODES[engine][-1].name}.")
    if fitting[0].text_bits < 16 and not _can_shrink(device):
        raise InputError(
            f"{engine}: the memory mode {fitting[0].name} shrinks the text encoder, which needs an NVIDIA GPU that stays"
            " and the package bitsandbytes; install it with pip install bitsandbytes, or choose a larger mode."
        )
    return fitting[0]


def _unshrunk(modes: tuple[MemoryMode, ...]) -> MemoryMode:
    return [mode for mode in modes if mode.text_bits == 16][-1]


def _can_shrink(device: str) -> bool:
    """Whether weights can be shrunk to 8 or 4 bits here."""
    installed = importlib.util.find_spec("bitsandbytes") is not None
    return installed and device not in ("cpu", "mps") and not runtime.on_zero_gpu()


def check_fetchable(name: str) -> None:
    """Raise InputError where a checkpoint that is not here must not be asked for, or not without an account."""
    from huggingface_hub import constants, get_token

    entry = hub.checkpoint(name)
    if constants.HF_HUB_OFFLINE:
        raise InputError(
            f"{name}: its weights are not here, and HF_HUB_OFFLINE forbids fetching them; unset it, or choose the mini"
            " engine."
        )
    if entry.gated and not get_token():
        raise InputError(
            f"{name}: its weights are given to accounts that accepted the licence; sign in, accept it at"
            f" https://huggingface.co/{entry.repo_id}, and set HF_TOKEN to a token of that account, or choose the mini"
            " engine."
        )


def fetched(name: str) -> Iterator[str]:
    """Bring a checkpoint here; yields what is being done, in words. Closing it stops the transfer, which is resumed later.

    Raises DownloadError.
    """
    for percent, total in hub.fetching(name):
        yield f"fetching {name}: {percent} % of {total / 1e9:.1f} GB"
