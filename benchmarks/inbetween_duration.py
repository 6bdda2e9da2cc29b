"""Duration-aware in-betweens against always the model's full length, on gaps of the motion world (thesis section 8.1).

    python -m benchmarks.inbetween_duration --model assets/checkpoints/mini-svd --clips 60

The same held-out motions are asked for as three gaps: a quarter of the motion in a quarter of the time, all of it, and all of
it stretched over a long time. Each is made by the dual method at full length and by the plan of
`genkey_core.inbetween.duration`; both are read at the times that are shown as the engine reads them (`FittedClip`). What
was made is kept in --out, gap by gap, so the same command goes on where it was stopped.
Writes docs/results/inbetween_duration.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import genkey_core
from benchmarks import metrics, mover, variants_report
from benchmarks.inbetween_variants import SPLITS, Models, read, save
from genkey_core import runtime
from genkey_core.checks import InputError, integer
from genkey_core.inbetween.duration import Plan, plan_pair
from genkey_core.inbetween.learned import derived_seed
from genkey_core.inbetween.resample import FittedClip
from genkey_core.inbetween.sampling import SamplingOptions
from genkey_core.mini.motion_world import Clip, make_clip

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "inbetween_duration.md"
FIXED, AWARE = "full length", "duration-aware"


@dataclass(frozen=True)
class Case:
    """A gap cut from a motion of the world."""

    name: str
    share: float  # of the motion that lies in the gap, from its beginning
    steps: int  # frames shown less one

    def cut(self, seed: int, size: int) -> Clip:
        """The true gap of `seed`, all frames that are shown."""
        whole = make_clip(seed, frames=round(self.steps / self.share) + 1, size=size)
        return replace(whole, images=whole.images[: self.steps + 1], path=whole.path[: self.steps + 1])


# The world's motions last about a second of 7 to 14 frames.
CASES = (Case("short, a quarter of the motion", 0.25, 3), Case("whole motion", 1.0, 12), Case("whole, long", 1.0, 36))


def plans(gaps: Sequence[Clip], policy: str, counts: Sequence[int]) -> list[Plan]:
    """One plan per gap."""
    if policy == FIXED:
        return [Plan(1, max(counts))] * len(gaps)
    return [plan_pair(gap.images[0], gap.images[-1], len(gap.images) - 2, counts) for gap in gaps]


def make_planned(
    models: Models, gaps: Sequence[Clip], made_by: Sequence[Plan], usual: int, options: SamplingOptions
) -> list[np.ndarray]:
    """The native clips of the gaps, uint8 [N h w 3] each, as `learned.Learned` makes them but in batches."""
    chained = [i for i, p in enumerate(made_by) if p.segments > 1]
    ends = {i: [gap.images[0], gap.images[-1]] for i, gap in enumerate(gaps)}
    coarse = dict(
        zip(chained, _sample(models, [(*ends[i], usual, gaps[i].seed) for i in chained], options), strict=True)
    )
    wanted, owners = [], []
    for i, p in enumerate(made_by):
        keyframes = ends[i]
        if i in coarse:
            fitted = FittedClip(coarse[i], *ends[i])
            between = [fitted.frame(k / p.segments) for k in range(1, p.segments)]
            keyframes = [keyframes[0], *between, keyframes[1]]
        for k in range(p.segments):
            seed = derived_seed(gaps[i].seed, 0, k + 1 if p.segments > 1 else 0)
            wanted.append((*keyframes[k : k + 2], p.frames_per_segment, seed))
            owners.append(i)
    parts: dict[int, list[np.ndarray]] = {}
    for i, part in zip(owners, _sample(models, wanted, options), strict=True):
        known = parts.setdefault(i, [])
        known.append(part[1:] if known else part)
    return [np.concatenate(parts[i]) for i in range(len(gaps))]


def _sample(models: Models, wanted: Sequence[tuple], options: SamplingOptions) -> list[np.ndarray]:
    """Clips for (start, end, number of frames, seed), in that order; those of one length together."""
    from benchmarks.batched_sampling import inbetween_batch

    made: list[np.ndarray | None] = [None] * len(wanted)
    for n_frames in sorted({w[2] for w in wanted}):
        mine = [i for i, w in enumerate(wanted) if w[2] == n_frames]
        for at in range(0, len(mine), models.batch):
            batch = mine[at : at + models.batch]
            starts, ends, _, seeds = zip(*(wanted[i] for i in batch), strict=True)
            delta, half = models.delta(options.variant), models.half
            clips = inbetween_batch(
                models.video, starts, ends, options=options, seeds=seeds, delta=delta, n_frames=n_frames, half=half
            )
            for i, clip in zip(batch, clips, strict=True):
                made[i] = clip
    return made


def record(case: Case, policy: str, gap: Clip, made_by: Plan, native: np.ndarray, usual: int) -> dict:
    """One gap by one policy: cost, motion per native frame, and the path of what is shown against the truth."""
    fitted = FittedClip(native, gap.images[0], gap.images[-1])
    shown = np.stack([fitted.frame(float(t)) for t in np.linspace(0, 1, len(gap.images))])
    shown[0], shown[-1] = gap.images[0], gap.images[-1]
    travel = float(np.linalg.norm(np.diff(gap.path, axis=0), axis=1).sum())
    measured = mover.measure(shown, gap)
    return {
        "case": case.name, "method": policy, "seed": gap.seed, "kind": gap.kind, "travel_px": travel,
        "segments": made_by.segments, "native": made_by.native_frames, "cost": made_by.sampled_frames(usual),
        "motion_px": travel / (made_by.native_frames - 1), "path_px": measured.path_px,
        "reversals": measured.reversals, "sharpness": measured.sharpness,
    }  # fmt: skip


def measure(
    models: Models, seeds: Sequence[int], counts: Sequence[int], options: SamplingOptions, out: Path
) -> list[dict]:
    """Records of all cases and policies; native clips that `out` holds already are not made again."""
    records, usual, size = [], models.video.native_frames, models.world()["size"]
    begun = time.monotonic()
    for case in CASES:
        for at in range(0, len(seeds), models.batch):
            gaps = [case.cut(seed, size) for seed in seeds[at : at + models.batch]]
            for policy in (FIXED, AWARE):
                made_by = plans(gaps, policy, counts)
                files = [_file(out, case, gap, p, options) for gap, p in zip(gaps, made_by, strict=True)]
                missing = [i for i, file in enumerate(files) if not file.exists()]
                if missing:
                    chosen = [[column[i] for i in missing] for column in (gaps, made_by)]
                    for i, clip in zip(missing, make_planned(models, *chosen, usual, options), strict=True):
                        save(clip, files[i])
                    print(
                        f"{time.monotonic() - begun:7.0f} s  {case.name}, {policy}, gaps {at} to {at + len(gaps) - 1}"
                    )
                    sys.stdout.flush()
                for gap, p, file in zip(gaps, made_by, files, strict=True):
                    records.append(record(case, policy, gap, p, read(file), usual))
    return records


def _file(out: Path, case: Case, gap: Clip, p: Plan, o: SamplingOptions) -> Path:
    """Where a native clip is kept: gaps with the same ends, plan and settings share it."""
    settings = f"s{o.steps}-r{o.recurrence}-g{o.min_guidance:g}to{o.max_guidance:g}"
    return out / f"duration-{case.share:g}-{p.segments}x{p.frames_per_segment}-{settings}" / f"{gap.seed}.npz"


def table(records: Sequence[dict]) -> list[str]:
    """Markdown lines: both policies in every case."""
    headings = ("segments", "native frames", "frames denoised", "motion per native frame, px", "path error, px",
                "reversals, %", "sharpness")  # fmt: skip
    rows = {}
    for case in CASES:
        for policy in (FIXED, AWARE):
            mine = [r for r in records if r["case"] == case.name and r["method"] == policy]
            mean = {key: np.mean([r[key] for r in mine]) for key in ("segments", "native", "cost", "motion_px")}
            cells = [
                f"{mean['segments']:.2f}",
                f"{mean['native']:.1f}",
                f"{mean['cost']:.1f}",
                f"{mean['motion_px']:.2f}",
            ]
            for key in ("path_px", "reversals", "sharpness"):
                cells.append(variants_report.cell(np.array([r[key] for r in mine]), key))
            rows[f"{case.name}: {policy}"] = cells
    return variants_report.table(rows, headings)


def findings(records: Sequence[dict]) -> list[str]:
    """What the paired differences say, case by case."""
    lines = []
    for case in CASES:
        fixed, aware = (
            sorted((r for r in records if r["case"] == case.name and r["method"] == policy), key=lambda r: r["seed"])
            for policy in (FIXED, AWARE)
        )
        cost = sum(r["cost"] for r in aware) / sum(r["cost"] for r in fixed)
        gain = np.array([a["path_px"] - f["path_px"] for a, f in zip(aware, fixed, strict=True)])
        low, high = metrics.bootstrap_interval(gain, rng=np.random.default_rng(0))
        word = "larger" if low > 0 else "smaller" if high < 0 else "not shown to differ"
        share = np.mean([r["segments"] > 1 for r in aware])
        lines.append(
            f"- {case.name}: duration-aware denoises {cost:.2f} times the frames; its path error is {word} "
            f"({gain.mean():+.2f} px [{low:+.2f}, {high:+.2f}], clip by clip); {share:.0%} of the gaps are chained."
        )
        lines[-1] += _chained_alone(fixed, aware)
    return lines


def _chained_alone(fixed: Sequence[dict], aware: Sequence[dict]) -> str:
    """The paired difference on the chained gaps alone, where there are enough of them."""
    gain = np.array([a["path_px"] - f["path_px"] for a, f in zip(aware, fixed, strict=True) if a["segments"] > 1])
    if not 2 < len(gain) < len(aware):
        return ""
    low, high = metrics.bootstrap_interval(gain, rng=np.random.default_rng(0))
    return f" On these {len(gain)} alone: {gain.mean():+.2f} px [{low:+.2f}, {high:+.2f}]."


def page(records: Sequence[dict], facts: dict) -> str:
    o = facts["options"]
    return "\n".join([
        "# Duration-aware in-betweens",
        "",
        f"Made by `python -m benchmarks.inbetween_duration`; not edited by hand. genkey_core {genkey_core.__version__}; "
        f"checkpoint {facts['digest']}; {facts['clips']} {facts['split']} motions; dual, {o.steps} steps, recurrence "
        f"{o.recurrence}, guidance {o.min_guidance:g} to {o.max_guidance:g}; the model may make {facts['counts']} frames.",
        "",
        f"**{FIXED}** makes every gap with the model's own number of frames. **{AWARE}** follows the plan of "
        "`genkey_core/inbetween/duration.py`: fewer frames for short gaps and little motion, a coarse pass and chained "
        "segments where a long gap holds more motion than one clip bridges. *Frames denoised* is the cost: every one runs "
        "through the network at every step. Path error, reversals and sharpness are of the frames that are shown, the ends "
        "being the keyframes; in brackets 95 % bootstrap intervals over motions.",
        "",
        *table(records),
        "",
        *findings(records),
        "",
    ])  # fmt: skip


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m benchmarks.inbetween_duration", description=__doc__.splitlines()[0]
    )
    command.add_argument("--model", type=Path, required=True, help="folder in the Hub's layout, with its difference")
    command.add_argument("--clips", type=int, default=60, help="motions (60)")
    command.add_argument("--split", choices=tuple(SPLITS), default="held-out")
    command.add_argument("--counts", type=int, nargs="+", help="frames the model may make (4 up to its own number)")
    command.add_argument("--steps", type=int, default=25)
    command.add_argument("--recurrence", type=int, default=2)
    command.add_argument("--guidance", type=float, nargs=2, default=[1.0, 3.0], metavar=("MIN", "MAX"))
    command.add_argument("--batch", type=int, default=16, help="clips sampled together (16)")
    command.add_argument("--half", action="store_true", help="run the network in bfloat16")
    command.add_argument("--threads", type=int, default=0, help="processor threads; 0 leaves the choice to torch")
    command.add_argument("--out", type=Path, default=Path("runs/duration"), help="folder for what was made")
    command.add_argument("--report", type=Path, default=REPORT)
    return command


def run(chosen: argparse.Namespace) -> str:
    """Makes, measures and writes; returns the page."""
    import torch

    integer(chosen.clips, "clips", low=2, high=len(SPLITS[chosen.split]))
    integer(chosen.batch, "batch", low=1, high=4096)
    if integer(chosen.threads, "threads", low=0, high=1024):
        torch.set_num_threads(chosen.threads)
    low, high = chosen.guidance
    options = SamplingOptions(steps=chosen.steps, recurrence=chosen.recurrence, min_guidance=low, max_guidance=high)
    models = Models(chosen.model, device=runtime.best_device(), half=chosen.half, batch=chosen.batch)
    digest = models.digest()
    models.delta(options.variant)
    native = models.video.native_frames
    counts = sorted(set(chosen.counts or range(min(4, native), native + 1)))
    if counts[-1] != native:
        raise InputError(f"counts: the largest must be the model's own number of frames, {native}, got {counts[-1]}.")
    out = chosen.out / (digest + ("-half" if chosen.half else ""))
    records = measure(models, list(SPLITS[chosen.split][: chosen.clips]), counts, options, out)
    text = page(records, {"digest": digest, "clips": chosen.clips, "split": chosen.split, "options": options,
                          "counts": ", ".join(map(str, counts))})  # fmt: skip
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
