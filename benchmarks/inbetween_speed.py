"""What one dual-directional step costs, against plain SVD and against two UNets with stored maps.

    python -m benchmarks.inbetween_speed

Random weights: speed does not depend on them. Times of the three are taken in turns and compared round by round, so a
busy machine hits all alike; on a CPU they are CPU seconds of one thread. Writes docs/results/inbetween_speed.md.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from diffusers import UNetSpatioTemporalConditionModel

from benchmarks.two_unet_reference import backward_unet, two_unet_step
from genkey_core import runtime
from genkey_core.inbetween.attention import rotated_attention
from genkey_core.inbetween.delta import BackwardDelta, is_backward_key

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "inbetween_speed.md"
PLAIN, STORED, OURS = "two plain passes", "two UNets, stored maps", "one batch, rotated attention"
SPLIT = "the same, guidance split in two passes"  # what the 16 and 12 GB memory modes do
LOADS: list[float] = []  # the machine's load average, after every round
VIDEOS = 2  # per direction: unconditional and conditional


@dataclass(frozen=True)
class Size:
    """A UNet and the video it denoises."""

    name: str
    widths: tuple[int, ...]
    heads: tuple[int, ...]
    context: int
    frames: int
    height: int  # of the latents
    width: int


MIDDLE = Size("a fifth of SVD's width", (64, 128, 256, 256), (1, 2, 4, 4), 128, 14, 16, 32)
FULL = Size("SVD-XT, 25 frames of 1024x576", (320, 640, 1280, 1280), (5, 10, 20, 20), 1024, 25, 72, 128)


class Setup:
    """One size on one device: the UNets and inputs, and the three ways to take a step."""

    def __init__(self, size: Size, device: str, dtype: torch.dtype, *, second_unet: bool = True):
        unet = UNetSpatioTemporalConditionModel(
            block_out_channels=size.widths,
            num_attention_heads=size.heads,
            cross_attention_dim=size.context,
            num_frames=size.frames,
        )
        self.unet = unet.eval().requires_grad_(False).to(device, dtype)
        self.delta = BackwardDelta(
            {
                name: 0.01 * torch.randn(p.shape)
                for name, p in self.unet.named_parameters()
                if is_backward_key(name) and name.endswith(("to_v.weight", "to_out.0.weight"))
            }
        )
        self.second = backward_unet(self.unet, self.delta.tensors) if second_unet else None
        self.patch = rotated_attention(self.unet, self.delta)
        shape = (VIDEOS, size.frames, 4, size.height, size.width)
        self.latents = torch.randn(shape).to(device, dtype)
        self.t = torch.tensor(0.5, device=device)
        self.told = {
            "image_latents": torch.randn(shape).to(device, dtype),
            "encoder_hidden_states": torch.randn(VIDEOS, 1, size.context).to(device, dtype),
            "added_time_ids": torch.tensor([[6, 127, 0.02]], device=device, dtype=dtype).repeat(VIDEOS, 1),
        }

    @torch.no_grad()
    def step(self, kind: str) -> None:
        if kind == STORED:
            originals = [dict(unet.attn_processors) for unet in (self.unet, self.second)]
            two_unet_step(self.unet, self.second, self.latents, self.t, dict(self.told), dict(self.told))
            for unet, processors in zip((self.unet, self.second), originals, strict=True):
                unet.set_attn_processor(processors)
        elif kind in (OURS, SPLIT):
            parts = [slice(None)] if kind == OURS else [slice(0, 1), slice(1, 2)]
            for part in parts:
                both = torch.cat([self.latents[part], self.latents[part].flip(1)])
                with self.patch:
                    self._run(both, {name: torch.cat([value[part]] * 2) for name, value in self.told.items()})
        else:
            self._run(self.latents, self.told)
            self._run(self.latents.flip(1), self.told)

    def _run(self, latents: torch.Tensor, told: dict) -> torch.Tensor:
        x = torch.cat([latents, told["image_latents"]], dim=2)
        others = {name: value for name, value in told.items() if name != "image_latents"}
        return self.unet(x, self.t, **others, return_dict=False)[0]

    def weight_bytes(self, kind: str) -> int:
        """Memory of all weights a way needs to hold, the backward ones included."""
        first = sum(p.numel() * p.element_size() for p in self.unet.parameters())
        extra = sum(d.numel() for d in self.delta.tensors.values()) * self.unet.conv_in.weight.element_size()
        return {PLAIN: first, STORED: 2 * first, OURS: first + extra, SPLIT: first + extra}[kind]


def seconds(setup: Setup, kind: str, device: str) -> float:
    """CPU seconds on a CPU, elapsed time on a GPU."""
    if device == "cpu":
        start = time.process_time()
        setup.step(kind)
        return time.process_time() - start
    backend = torch.get_device_module(device)
    backend.synchronize()
    start = time.perf_counter()
    setup.step(kind)
    backend.synchronize()
    return time.perf_counter() - start


def measure(size: Size, device: str, dtype: torch.dtype, rounds: int) -> list[str]:
    """Rows of the table for one size: time, its ratio to ours, peak and weight memory."""
    setup = Setup(size, device, dtype)
    kinds = (PLAIN, STORED, OURS, SPLIT)
    for kind in kinds:
        setup.step(kind)
    times = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            times[kind].append(seconds(setup, kind, device))
        LOADS.append(os.getloadavg()[0])
    weights = {kind: setup.weight_bytes(kind) for kind in kinds}
    del setup
    gc.collect()
    peaks = {kind: peak_bytes(size, device, dtype, kind) for kind in kinds}
    rows = []
    for kind in kinds:
        median = statistics.median(ours / other for ours, other in zip(times[OURS], times[kind], strict=True))
        rows.append(
            f"| {kind} | {min(times[kind]):.3g} s | {min(times[OURS]) / min(times[kind]):.3f} ({median:.3f}) | "
            f"{weights[kind] / 2**20:.0f} MiB | {weights[OURS] / weights[kind]:.3f} | {peaks[kind] / 2**20:.0f} MiB |"
        )
    return rows


def peak_bytes(size: Size, device: str, dtype: torch.dtype, kind: str) -> int:
    """Most memory held while one step runs, weights included."""
    if device == "cpu":  # in a process of its own, less what the imports take
        arguments = [sys.executable, "-m", "benchmarks.inbetween_speed", "--peak", kind]
        answer = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=RESULT.parents[2])
        return int(answer.stdout.split()[-1])
    backend = torch.get_device_module(device)
    setup = Setup(size, device, dtype, second_unet=kind == STORED)
    backend.reset_peak_memory_stats()
    setup.step(kind)
    peak = backend.max_memory_allocated()
    del setup
    gc.collect()
    backend.empty_cache()
    return peak


def print_cpu_peak(kind: str) -> None:
    before = psutil.Process().memory_info().rss
    Setup(MIDDLE, "cpu", torch.float32, second_unet=kind == STORED).step(kind)
    print(_highest_resident_bytes() - before)


def _highest_resident_bytes() -> int:
    """The process's own high-water mark; getrusage's is inherited from the parent on Linux."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def full_size_weights() -> str:
    """Weight memory at the published size, counted without allocating it."""
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel(
            block_out_channels=FULL.widths, num_attention_heads=FULL.heads, cross_attention_dim=FULL.context
        )
    everything = sum(p.numel() for p in unet.parameters())
    backward = sum(
        p.numel() for n, p in unet.named_parameters() if is_backward_key(n) and n.endswith(("v.weight", "0.weight"))
    )
    return (
        f"\nAt SVD-XT's size the UNet has {everything / 1e6:.0f} M weights and W_v and W_o of the temporal self-attention "
        f"are {backward / 1e6:.1f} M of them ({backward / everything:.2%}): one UNet with both takes "
        f"{(everything + backward) / (2 * everything):.3f} of the memory of two UNets.\n"
    )


HEAD = """# Speed and memory of one dual-directional step

Written by `python -m benchmarks.inbetween_speed`. One step denoises both directions with classifier-free guidance
(4 videos). Times are the fastest of {rounds} rounds, since other load can only add; beside their ratio, in brackets,
stands the median of the ratios of the rounds. Bars: at most 1.05 of the time of two plain passes; at most 0.85 of the
time of two UNets with stored maps on a GPU, and everywhere at most 0.55 of their weight memory. Weights include the
backward matrices; peak memory is weights and activations.
"""
COLUMNS = """
| way | time | ours / this, time | weights | ours / this, weights | peak memory |
|---|---|---|---|---|---|
"""


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--rounds", type=int, default=9)
    command.add_argument("--peak", help=argparse.SUPPRESS)
    given = command.parse_args()
    torch.set_num_threads(1)
    if given.peak:
        print_cpu_peak(given.peak)
        return
    rows = measure(MIDDLE, "cpu", torch.float32, given.rounds)
    title = f"\n## {platform.machine()} CPU, one thread, float32: {MIDDLE.name}, {MIDDLE.frames} frames\n"
    text = HEAD.format(rounds=given.rounds) + title + COLUMNS + "\n".join(rows) + "\n"
    text += f"\nLoad average of the machine while this ran: {min(LOADS):.1f} to {max(LOADS):.1f}, "
    text += f"on {os.cpu_count()} processors.\n"
    text += full_size_weights()
    device = runtime.best_device()
    if device == "cpu":
        text += "\nThis machine has no GPU; the full size was not measured here.\n"
    else:
        name = torch.get_device_module(device).get_device_name()
        for dtype in (torch.float16, torch.bfloat16):
            title = f"\n## {name}, {str(dtype).removeprefix('torch.')}: {FULL.name}\n"
            text += title + COLUMNS + "\n".join(measure(FULL, device, dtype, given.rounds)) + "\n"
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
