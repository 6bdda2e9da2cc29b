"""How far the two directions of time disagree before they are fused, variant by variant (thesis section 5.3).

    python -m benchmarks.inbetween_agreement --model assets/checkpoints/mini-svd --clips 100

Rotated attention is there so that the backward direction makes the forward one's motion; without it "there is no guarantee
that the backward motion will mirror the forward motion" (section 5.4.3). Here that is measured by itself: a held-out clip's true
latents are noised, each direction says what clean clip it foresees, and the two are compared. It tells why the variants
of `inbetween_variants` differ, or do not. Writes docs/results/inbetween_agreement.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import genkey_core
from benchmarks import metrics
from benchmarks.batched_sampling import quick
from benchmarks.inbetween_variants import SPLITS, Models
from benchmarks.variants_report import table
from genkey_core import diffusion, runtime
from genkey_core.checks import InputError, integer
from genkey_core.inbetween.sampling import VARIANTS, SamplingOptions, stack
from genkey_core.media import to_float
from genkey_core.mini.motion_world import KINDS, Clip, make_clip

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "inbetween_agreement.md"
COMPARED = ("time_reversal", "no_finetuning", "no_rotation", "dual")
STEPS = 12  # of the schedule, as in `inbetween_variants`
LEVELS = (0, 2, 4, 6)  # of them that are looked at, from pure noise on; recurrence repeats the first six
MEASURES = {"apart": "apart", "error": "error, fused"}


def foreseen(models: Models, clips: Sequence[Clip], clean: Tensor, variant: str, level: int) -> tuple[Tensor, Tensor]:
    """Clean estimates of both directions from the noised true latents `clean` [B T C h w], in forward time, unguided."""
    video, options = models.video, SamplingOptions(variant=variant, steps=STEPS)
    schedule = video.schedule(STEPS)
    sigma, n_frames = schedule.sigmas[level], clean.shape[1]
    size = video.native_size(*clips[0].images.shape[2:0:-1])
    generators = [runtime.torch_generator(clip.seed) for clip in clips]
    first, last = (
        stack([
            video.condition(clip.images[end], size=size, n_frames=n_frames, options=options, generator=g)
            for clip, g in zip(clips, generators, strict=True)
        ])
        for end in (0, -1)
    )  # fmt: skip
    noise = torch.cat([diffusion.normal((1, *clean.shape[1:]), generator=g) for g in generators]).to(clean)
    noisy = clean + sigma * noise
    x = torch.cat([noisy, noisy.flip(1)])
    with torch.no_grad(), video.coupling(variant, models.delta(variant)), quick(video):
        v = video.predict(diffusion.scale_input(x, sigma), schedule.timesteps[level], stack([first, last]))
    forward, backward = diffusion.denoised_from_v(v, x, sigma).chunk(2)
    return forward, backward.flip(1)


def rms(latents: Tensor) -> np.ndarray:
    """Root mean square of each clip over its frames between the ends: [B T C h w] -> float64 [B]."""
    return latents[:, 1:-1].double().square().mean((1, 2, 3, 4)).sqrt().cpu().numpy()


def measure(models: Models, seeds: Sequence[int]) -> Iterator[dict]:
    """One record per clip, variant and noise level."""
    for at in range(0, len(seeds), models.batch):
        clips = [make_clip(seed, **models.world()) for seed in seeds[at : at + models.batch]]
        with torch.no_grad():
            clean = torch.stack([models.video.encode_video(to_float(clip.images)) for clip in clips])
        for variant in COMPARED:
            for level in LEVELS:
                forward, backward = foreseen(models, clips, clean, variant, level)
                apart, error = rms(forward - backward), rms((forward + backward) / 2 - clean)
                for i, clip in enumerate(clips):
                    found = {"apart": float(apart[i]), "error": float(error[i])}
                    yield {"seed": clip.seed, "kind": clip.kind, "variant": variant, "level": level, **found}
        print(f"{at + len(clips)} of {len(seeds)} clips", file=sys.stderr, flush=True)


def column(records: Sequence[dict], key: str, **wanted) -> np.ndarray:
    """`key` of the records that match, in the order of their seeds."""
    mine = [r for r in records if all(r[name] == value for name, value in wanted.items())]
    return np.array([r[key] for r in sorted(mine, key=lambda r: r["seed"])])


def cell(sample: np.ndarray, form: str = "{:.3f}") -> str:
    """Mean and its 95 % bootstrap interval."""
    low, high = metrics.bootstrap_interval(sample, rng=np.random.default_rng(0))
    return f"{form.format(sample.mean())} [{form.format(low)}, {form.format(high)}]"


def findings(records: Sequence[dict]) -> list[str]:
    """What the paired differences to dual say at the noisiest level, over all kinds and for each."""
    lines = []
    kinds = [k for k in KINDS if len(column(records, "apart", kind=k, variant="dual", level=0)) > 1]
    for rival in ("no_rotation", "time_reversal"):
        words = []
        for kind in (None, *kinds):
            known = {"level": 0} | ({} if kind is None else {"kind": kind})
            gain = column(records, "apart", variant=rival, **known) - column(records, "apart", variant="dual", **known)
            low, high = metrics.bootstrap_interval(gain, rng=np.random.default_rng(0))
            word = "more" if low > 0 else "less" if high < 0 else "not shown to differ"
            words.append(f"{kind or 'all'} {word} ({cell(gain, '{:+.3f}')})")
        lines.append(f"- {rival} less dual, how far apart from pure noise: {'; '.join(words)}.")
    return lines


def page(records: Sequence[dict], *, digest: str, n_clips: int, split: str, sigmas: Sequence[float]) -> str:
    """The whole page as Markdown."""
    lines = [
        "# How far the two directions disagree",
        "",
        f"Made by `python -m benchmarks.inbetween_agreement`; not edited by hand. genkey_core {genkey_core.__version__}; "
        f"checkpoint {digest}; {n_clips} {split} clips; one evaluation of each direction, without guidance, at noise levels of "
        f"the {STEPS}-step schedule.",
        "",
        "A clip's true latents are noised, and each direction says what clean clip it foresees. **apart** is the root mean "
        "square between the two, in forward time and over the frames between the ends; **error, fused** that between their mean "
        "and the truth; both in latents, whose own deviation is about 1. "
        "At the noisiest level nothing of the true motion is seen.",
        "",
    ]
    for key, heading in MEASURES.items():
        rows = {
            f"{heading}: {variant}": [cell(column(records, key, variant=variant, level=level)) for level in LEVELS]
            for variant in COMPARED
        }
        lines += [*table(rows, [f"sigma {sigma:.3g}" for sigma in sigmas]), ""]
    kinds = [k for k in KINDS if len(column(records, "apart", kind=k, variant="dual", level=0)) > 1]
    rows = {v: [cell(column(records, "apart", variant=v, level=0, kind=k)) for k in kinds] for v in COMPARED}
    lines += ["Apart from pure noise, by kind of mover:", "", *table(rows, kinds), "", *findings(records), ""]
    lines += [f"- `{v}`: {VARIANTS[v]}" for v in COMPARED]
    return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m benchmarks.inbetween_agreement", description=__doc__.splitlines()[0]
    )
    command.add_argument("--model", type=Path, required=True, help="folder in the Hub's layout, with its differences")
    command.add_argument("--clips", type=int, default=100, help="clips (100)")
    command.add_argument("--split", choices=tuple(SPLITS), default="held-out", help="where their seeds come from")
    command.add_argument("--batch", type=int, default=16, help="clips looked at together (16)")
    command.add_argument("--report", type=Path, default=REPORT)
    return command


def run(chosen: argparse.Namespace) -> str:
    """Measures and writes; returns the page."""
    integer(chosen.clips, "clips", low=2, high=len(SPLITS[chosen.split]))
    integer(chosen.batch, "batch", low=1, high=4096)
    models = Models(chosen.model, device="cpu", half=False, batch=chosen.batch)
    digest = models.digest()
    records = list(measure(models, list(SPLITS[chosen.split][: chosen.clips])))
    sigmas = [float(models.video.schedule(STEPS).sigmas[level]) for level in LEVELS]
    text = page(records, digest=digest, n_clips=chosen.clips, split=chosen.split, sigmas=sigmas)
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    chosen.report.write_text(text, encoding="utf-8")
    return text


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a user's mistake is one sentence on stderr and exit code 1."""
    try:
        print(run(parser().parse_args(arguments)))
    except InputError as mistake:
        sys.exit(f"error: {mistake}")


if __name__ == "__main__":
    main()
