"""What the zoom stack costs in one step of sampling, against the same written plainly, and against the network's time.

    python -m benchmarks.zoom_speed [--without-unet]

A step renders images, renders noise and blends, for N = 8 levels. The plain version (`zoom_plain.py`) goes level by level, view
by view, picture by picture. Both are timed in turns, in seconds of one thread's processor time, so that a busy machine hits
both alike. The network is a UNet of DeepFloyd IF-I-M's size with random weights, on which speed does not depend. Writes
docs/results/zoom_speed.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import genkey_core
from benchmarks import zoom_plain
from genkey_core.runtime import torch_generator
from genkey_core.zoom import blend, stack

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "zoom_speed.md"
LEVELS, SIZES, FACTORS = 8, (64, 256), (2, 4)
TIMES_FASTER, MOST_SHARE = 10.0, 0.03  # the bars
PARTS = {
    "render images": (stack.render_images, zoom_plain.render),
    "render noise": (stack.render_noise, lambda x, p: zoom_plain.render(x, p, noise=True)),
    "blend": (blend.blend, zoom_plain.blend),
}
# IF-I-M has 400 million weights (its authors' README). Its widths are not printed there: these are of a 64x64 UNet of that
# generation (192 channels, times 1, 2, 3, 4; three layers a block) with IF's text conditioning, of about that size.
UNET = {
    "sample_size": 64,
    "in_channels": 3,
    "out_channels": 6,
    "block_out_channels": (192, 384, 576, 768),
    "layers_per_block": 3,
    "down_block_types": ("ResnetDownsampleBlock2D", *("SimpleCrossAttnDownBlock2D",) * 3),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": (*("SimpleCrossAttnUpBlock2D",) * 3, "ResnetUpsampleBlock2D"),
    "attention_head_dim": 64,
    "cross_attention_dim": 768,
    "encoder_hid_dim": 4096,
    "encoder_hid_dim_type": "text_proj",
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 64,
    "cross_attention_norm": "group_norm",
    "resnet_time_scale_shift": "scale_shift",
    "act_fn": "gelu",
}


def cpu_s(work: Callable[[], object], *, least_s: float = 0.1) -> float:
    """Processor seconds of one call, over as many calls as take `least_s`."""
    start, calls = time.process_time(), 0
    while (spent := time.process_time() - start) < least_s or not calls:
        work()
        calls += 1
    return spent / calls


def measured(size: int, p: int, *, rounds: int = 5, n: int = LEVELS) -> dict[str, tuple[float, float]]:
    """Median processor seconds (ours, plain) of every part, taken in turns."""
    layers = torch.randn((n, 3, size, size), generator=torch_generator(0))
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in PARTS}
    for ours, plain in PARTS.values():
        ours(layers, p), plain(layers, p)
    for _ in range(rounds):
        for name, (ours, plain) in PARTS.items():
            times[name].append((cpu_s(lambda f=ours: f(layers, p)), cpu_s(lambda f=plain: f(layers, p))))
    return {name: tuple(map(statistics.median, zip(*pairs, strict=True))) for name, pairs in times.items()}


def unet_s(*, batch: int = LEVELS, config: dict | None = None) -> tuple[float, float]:
    """(processor seconds of one call on `batch` images of 64x64, millions of weights); without guidance, the cheaper case."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(**config or UNET).eval().requires_grad_(False)
    size = unet.config.sample_size
    noisy, words = torch.randn(batch, 3, size, size), torch.randn(batch, 77, unet.config.encoder_hid_dim)
    with torch.no_grad():
        start = time.process_time()
        unet(noisy, 500, encoder_hidden_states=words)
        spent = time.process_time() - start
    return spent, sum(weight.numel() for weight in unet.parameters()) / 1e6


def page(times: dict[tuple[int, int], dict[str, tuple[float, float]]], unet: tuple[float, float] | None) -> str:
    """The results as Markdown."""
    lines = [
        "# What the zoom stack costs in a step",
        "",
        f"`python -m benchmarks.zoom_speed`; {LEVELS} levels, one thread, milliseconds of processor time; "
        f"{platform.processor() or platform.machine()}, torch {torch.__version__.split('+')[0]}, "
        f"genkey_core {genkey_core.__version__}.",
        "",
        "| size | p | part | written plainly | ours | times faster |",
        "|---|---|---|---|---|---|",
    ]
    for (size, p), parts in times.items():
        total = [sum(pair[k] for pair in parts.values()) for k in (0, 1)]
        for name, (ours, plain) in [*parts.items(), ("**all of a step**", tuple(total))]:
            lines.append(f"| {size} | {p} | {name} | {plain * 1e3:.2f} | {ours * 1e3:.2f} | {plain / ours:.1f} |")
    slowest = min(sum(b for _, b in parts.values()) / sum(a for a, _ in parts.values()) for parts in times.values())
    verdict = "reached" if slowest >= TIMES_FASTER else "missed"
    lines += ["", f"The bar is {TIMES_FASTER:g} times faster; the least of the four cases is {slowest:.1f}: {verdict}."]
    if unet is not None:
        seconds, millions = unet
        lines += [
            "",
            f"One call of a UNet of {millions:.0f} million weights (IF-I-M has 400) on {LEVELS} images of 64x64, without "
            f"guidance, takes {seconds:.1f} s on the same thread in single precision. A step's stack work is this share of it:",
            "",
        ]
        for (size, p), parts in times.items():
            share = sum(ours for ours, _ in parts.values()) / seconds
            verdict = "reached" if share <= MOST_SHARE else "missed"
            lines.append(f"- {size}x{size}, p = {p}: {share:.2%} (the bar is {MOST_SHARE:.0%}: {verdict})")
        lines += [
            "",
            "Not measured on a GPU, where the network is faster by far and the stack is some hundred small launches.",
        ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without-unet", action="store_true", help="leave the network out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    times = {(size, p): measured(size, p, rounds=options.rounds) for size in SIZES for p in FACTORS}
    text = page(times, None if options.without_unet else unet_s())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
