"""Figs. 6.7 and 6.10 as numbers: joint sampling against its ablations and two baselines, on the mini model.

    python -m benchmarks.zoom_ablation [--stacks 40] [--levels 4] [--steps 25] [--model assets/checkpoints/mini-zoom]

A stack is a ladder of neighbouring kinds of the scale world, in one style, with a seed of its own; every method makes it from
the same seed. Both baselines are the mini model itself, held to what is known at every step (`zoom/baselines.py`): there is
no inpainting or upscaling model of this world. What was made is kept in --out, stack by stack, so the same command goes on where
it was stopped; --report-only writes the page over what is there. Writes docs/results/zoom_ablation.md and .png.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import scale_classifier, zoom_ablation_report, zoom_scores
from genkey_core import runtime
from genkey_core.checks import InputError, integer
from genkey_core.media import to_float, to_uint8
from genkey_core.mini import scale_captions
from genkey_core.mini.scale_captions import CITY, COLOURS, NATURE
from genkey_core.mini.scale_nesting import nested
from genkey_core.mini.scale_styles import STYLE_SHARES, STYLES
from genkey_core.mini.scale_world import VALIDATION_SEEDS, make_scene
from genkey_core.zoom.baselines import NetworkBaselines, progressive_outpainting, progressive_super_resolution
from genkey_core.zoom.engines import MINI_FOLDER, MINI_GUIDANCE
from genkey_core.zoom.pixel_loading import read_if
from genkey_core.zoom.pixel_models import PixelModel
from genkey_core.zoom.sampling import VARIANTS, SamplingOptions, sample

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "zoom_ablation.md"
WORK = Path(__file__).resolve().parents[1] / "runs" / "zoom_ablation"
BASELINES = ("outpainting", "super_resolution")
METHODS = (*VARIANTS, *BASELINES)
ALIKE_SEEDS, ALIKE_METHODS = 500, ("joint", "independent")
FAMILIES = (NATURE, CITY[1:])  # without the skyline, the one view from the side among views from above


@dataclass(frozen=True)
class Stack:
    """What is asked for: words (kind, colour, style) of every level, the widest first."""

    seed: int
    p: int
    words: tuple[tuple[str, str, str], ...]

    @property
    def prompts(self) -> list[str]:
        return [f"{scale_captions.STYLE_PHRASES[style][0]} of {scale_captions.plain(kind, colour)}"
                for kind, colour, style in self.words]  # fmt: skip


def stack_of(seed: int, n_levels: int) -> Stack:
    """The stack of a seed: p is 2 for even and 4 for odd ones; a colour stays as long as the next kind can have it."""
    rng = np.random.default_rng([seed, 64])
    family = FAMILIES[rng.integers(len(FAMILIES))]
    start = rng.integers(len(family) - n_levels + 1)
    style, colour, words = STYLES[rng.choice(len(STYLES), p=STYLE_SHARES)], "", []
    for kind in family[start : start + n_levels]:
        if colour not in COLOURS[kind]:
            colour = COLOURS[kind][rng.integers(len(COLOURS[kind]))]
        words.append((kind, colour, style))
    return Stack(seed, 2 if seed % 2 == 0 else 4, tuple(words))


def alike_stack(number: int, n_levels: int) -> Stack:
    """A stack whose levels all ask for one kind that looks alike at every scale: its prompts fit into one another."""
    kind = zoom_ablation_report.ALIKE[number % len(zoom_ablation_report.ALIKE)]
    colour = COLOURS[kind][number % len(COLOURS[kind])]
    return Stack(ALIKE_SEEDS + number, 2 if number % 2 == 0 else 4, ((kind, colour, "photo"),) * n_levels)


@dataclass(frozen=True, eq=False)
class Made:
    """Levels uint8 [N H W 3] as they are shown, and what the network itself drew last, before it was brought to agree."""

    levels: np.ndarray
    drawn: np.ndarray


class Maker:
    """The methods by one network; bfloat16 where `half`, which halves the time on processors that have it."""

    def __init__(self, model: PixelModel, *, steps: int, half: bool):
        self.model, self.steps, self.half = model, steps, half
        model.denoiser.to(memory_format=torch.channels_last)

    def predict(self, noisy: Tensor, t: Tensor, prompts) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            return self.model.predict(noisy, t, prompts)

    def _known(self, stack: Stack, variant: str) -> dict:
        size = (self.model.size,) * 2
        options = SamplingOptions(variant=variant, steps=self.steps, guidance_scale=MINI_GUIDANCE)
        generator = runtime.torch_generator(stack.seed)
        return {
            "p": stack.p,
            "size": size,
            "prediction": self.model.prediction,
            "options": options,
            "generator": generator,
        }

    def variant(self, stack: Stack, variant: str) -> Made:
        """One of VARIANTS."""
        drawn: list[Tensor] = []

        def watch(clean: Tensor) -> Tensor:
            drawn[:] = [clean]
            return clean

        levels = self.model.levels(self.steps)
        for step in sample(self.predict, stack.prompts, levels, constrain=watch, **self._known(stack, variant)):
            last = step.levels
        return Made(to_uint8(last.clamp(-1, 1)), to_uint8(drawn[0].clamp(-1, 1)))

    def baseline(self, stack: Stack, name: str, independent: Made) -> Made:
        """One of BASELINES; it begins with the level that independent sampling made of the same seed."""
        known = self._known(stack, "independent")
        network = NetworkBaselines(self.predict, self.model.levels(self.steps), **known)
        if name == "outpainting":
            first = to_float(independent.levels[-1:])[0]
            made = list(progressive_outpainting(lambda _: first, network.fill, stack.prompts, p=stack.p))[::-1]
        else:
            first = to_float(independent.levels[:1])[0]
            made = list(progressive_super_resolution(lambda _: first, network.enlarge, stack.prompts, p=stack.p))
        levels = to_uint8(torch.stack(made).clamp(-1, 1))
        return Made(levels, levels)

    def make(self, stack: Stack, methods, kept: Callable[[str], Made | None]) -> Iterator[tuple[str, Made]]:
        """Every one of `methods` that is not kept yet, with its stack."""
        self.model.remember((*stack.prompts, ""))
        independent = kept("independent")
        for method in sorted(methods, key="independent".__ne__):  # the baselines begin with its levels
            if kept(method) is not None:
                continue
            made = self.variant(stack, method) if method in VARIANTS else self.baseline(stack, method, independent)
            independent = made if method == "independent" else independent
            yield method, made


def true_scenes(stack: Stack, size: int) -> Made:
    """Scenes of the world itself for the words of a stack, not of one place: what the network can at best draw."""
    seeds = (VALIDATION_SEEDS[5000 + 100 * stack.seed + i] for i in range(len(stack.words)))
    scenes = [
        make_scene(seed, kind, colour=colour, style=style, size=size)
        for seed, (kind, colour, style) in zip(seeds, stack.words, strict=True)
    ]
    levels = np.stack([scene.image for scene in scenes])
    return Made(levels, levels)


def nested_scenes(made: Made, p: int) -> Made:
    """The same, each with the next one in its middle: a stack of the world as the model has seen it."""
    levels = [made.levels[-1]]
    for outer in made.levels[-2::-1]:
        levels.append(nested(outer, levels[-1], p))
    levels = np.stack(levels[::-1])
    return Made(levels, levels)


def record(stack: Stack, method: str, made: Made, judge: scale_classifier.Judge) -> dict:
    """All that the page tells of one stack by one method."""
    right = scale_classifier.ask(judge, made.levels).right(list(stack.words))
    own, deepest = zoom_scores.own_detail(made.levels, stack.p)
    return {
        "seed": stack.seed,
        "method": method,
        "p": stack.p,
        "shown_db": zoom_scores.consistency_db(made.levels, stack.p),
        "drawn_db": zoom_scores.consistency_db(made.drawn, stack.p),
        "seam": zoom_scores.seam(made.levels, stack.p),
        "detail": own,
        "deepest_detail": deepest,
        "kind": float(right[:, 0].mean()),
        "all_words": float(right[:, 1].mean()),
        "kind_by_level": right[:, 0].astype(float).tolist(),
    }


def load(file: Path) -> Made | None:
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as arrays:
        return Made(arrays["levels"], arrays["drawn"])


def save(file: Path, made: Made) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part.npz")
    np.savez_compressed(part, levels=made.levels, drawn=made.drawn)
    part.replace(file)


def digest(folder: Path) -> str:
    """The first digits of a SHA-256 over the weights of a checkpoint."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*.safetensors")):
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


def run(folder: Path, stacks: list[Stack], methods=METHODS, *, model: Path, steps: int, half: bool) -> None:
    """Make what is missing in `folder`."""
    maker, begun, done = None, time.perf_counter(), 0
    for stack in stacks:

        def kept(method: str, seed: int = stack.seed) -> Made | None:
            return load(folder / f"{seed:03d}-{method}.npz")

        if all(kept(method) is not None for method in methods):
            continue
        maker = maker or Maker(read_if(model), steps=steps, half=half)
        for method, made in maker.make(stack, methods, kept):
            save(folder / f"{stack.seed:03d}-{method}.npz", made)
        done += 1
        print(f"stack {stack.seed}: {(time.perf_counter() - begun) / done:.0f} s a stack", file=sys.stderr, flush=True)


def records_of(
    folder: Path, stacks: list[Stack], judge: scale_classifier.Judge, methods=METHODS
) -> tuple[list[dict], dict]:
    """The records of all stacks that are complete, and their pictures by (seed, method)."""
    records, pictures = [], {}
    for stack in stacks:
        found = {method: load(folder / f"{stack.seed:03d}-{method}.npz") for method in methods}
        if None in found.values():
            continue
        true = true_scenes(stack, found["joint"].levels.shape[1])
        found |= {"true": true, "true_nested": nested_scenes(true, stack.p)}
        records += [record(stack, method, made, judge) for method, made in found.items()]
        pictures |= {(stack.seed, method): made.levels for method, made in found.items()}
    if not records:
        raise InputError("records: no stack is complete yet.")
    return records, pictures


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MINI_FOLDER, help="a folder of IF's classes")
    parser.add_argument("--stacks", type=int, default=40)
    parser.add_argument("--alike", type=int, default=10, help="stacks of one kind each, by two methods alone")
    parser.add_argument("--levels", type=int, default=4)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--single", action="store_true", help="float32 in place of bfloat16, at twice the time")
    parser.add_argument("--report-only", action="store_true", help="write the page over the stacks that are there")
    parser.add_argument("--out", type=Path, default=WORK)
    parser.add_argument("--report", type=Path, default=REPORT)
    chosen = parser.parse_args(arguments)
    integer(chosen.levels, "levels", low=2, high=len(CITY) - 1)
    torch.set_num_threads(chosen.threads)
    stacks = [stack_of(seed, chosen.levels) for seed in range(chosen.stacks)]
    alike = [alike_stack(number, chosen.levels) for number in range(chosen.alike)]
    precision = "float32" if chosen.single else "bfloat16"
    name = digest(chosen.model)
    folder = chosen.out / f"{name}-n{chosen.levels}-s{chosen.steps}-{precision}"
    judge, accuracy = scale_classifier.kept(chosen.out)
    if not chosen.report_only:
        known = {"model": chosen.model, "steps": chosen.steps, "half": not chosen.single}
        run(folder, stacks, **known)
        run(folder, alike, ALIKE_METHODS, **known)
    records, pictures = records_of(folder, stacks, judge)
    same = records_of(folder, alike, judge, ALIKE_METHODS)[0] if alike else []
    facts = zoom_ablation_report.Facts(name, chosen.levels, chosen.steps, MINI_GUIDANCE, precision, accuracy)
    zoom_ablation_report.write(chosen.report, records, pictures, {s.seed: s for s in stacks}, facts, alike=same)
    print(chosen.report.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
