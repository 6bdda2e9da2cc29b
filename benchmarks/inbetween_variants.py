"""The method of thesis ch. 5 against its variants and the draft engine, on clips whose movers' true paths are known.

    python -m benchmarks.inbetween_variants --model assets/checkpoints/mini-svd --clips 200

Each held-out clip of the motion world is made anew from its first and last frame by every method. What was made is
kept in --out, clip by clip, so the same command goes on where it was stopped; --report-only writes the page over what is there.
Writes docs/results/inbetween_variants.md and .png. Settings are to be chosen with --split validation.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import mover, variants_report
from genkey_core import runtime
from genkey_core.checks import InputError, integer, shown
from genkey_core.inbetween.draft import DraftPair
from genkey_core.inbetween.sampling import SamplingOptions
from genkey_core.mini import motion_world
from genkey_core.mini.motion_world import Clip, make_clip

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "inbetween_variants.md"
SPLITS = {"held-out": motion_world.HELD_OUT_SEEDS, "validation": motion_world.VALIDATION_SEEDS}
METHODS = ("draft", "forward", "time_reversal", "no_rotation", "no_finetuning", "dual")
FLOOR = "autoencoder"  # the true clip through the model's autoencoder: what a perfect denoiser would show
SWEPT = ("time_reversal", "dual")  # what every --recurrence beyond the first is tried on
DELTA_FILES = {"dual": "backward.safetensors", "no_rotation": "no-rotation.safetensors"}


@dataclass(frozen=True)
class Job:
    """One method with its settings."""

    method: str  # one of METHODS, or FLOOR
    options: SamplingOptions | None = None  # None where nothing is sampled

    @property
    def folder(self) -> str:
        """Where its clips are kept: no two settings share a name."""
        if self.options is None:
            return self.method
        o = self.options
        return (
            f"{self.method}-s{o.steps}-r{o.recurrence}-share{o.recurrence_share:g}-{o.fuse}"
            f"-g{o.min_guidance:g}to{o.max_guidance:g}"
        )


class Models:
    """The checkpoint and its backward differences, loaded when first asked for."""

    def __init__(self, folder: Path, *, device: str, half: bool, batch: int):
        self.folder, self.device, self.half, self.batch = folder, device, half, batch
        self._video, self._deltas = None, {}

    @property
    def video(self):
        if self._video is None:
            from genkey_core.inbetween.svd import load_svd

            self._video = load_svd(self.folder, device=self.device)
            self._video.pipe.set_progress_bar_config(disable=True)
        return self._video

    def delta(self, method: str):
        """The backward difference that `method` needs, or None; InputError where its file is missing."""
        from genkey_core.inbetween.delta import load_delta

        if method not in DELTA_FILES:
            return None
        if method not in self._deltas:
            self._deltas[method] = load_delta(self.folder / DELTA_FILES[method])
        return self._deltas[method]

    def digest(self) -> str:
        """SHA-256 over all weights in the folder, the differences included; 16 hexadecimal digits."""
        files = sorted(self.folder.rglob("*.safetensors"))
        if not files:
            raise InputError(f"model: no weights were found in {shown(self.folder.name)}.")
        total = hashlib.sha256()
        for file in files:
            total.update(file.relative_to(self.folder).as_posix().encode())
            total.update(hashlib.sha256(file.read_bytes()).digest())
        return total.hexdigest()[:16]

    def world(self) -> dict[str, int]:
        """The frames and the size at which the model makes clips, as `make_clip` takes them."""
        return {"frames": self.video.native_frames, "size": self.video.native_size(64, 64)[0]}


def jobs(methods: Sequence[str], options: SamplingOptions, recurrences: Sequence[int]) -> list[Job]:
    """The methods at the first recurrence, the floor where a model is used, and the sweep over the other recurrences."""
    sampled = [m for m in methods if m != "draft"]
    plain = [Job(m) for m in methods if m == "draft"] + ([Job(FLOOR)] if sampled else [])
    return plain + [
        Job(m, replace(options, variant=m, recurrence=r))
        for i, r in enumerate(recurrences)
        for m in sampled
        if i == 0 or m in SWEPT
    ]


def make(job: Job, clips: Sequence[Clip], models: Models) -> Iterator[np.ndarray]:
    """What `job` makes of the ends of `clips`, uint8 [T H W 3] each; a clip's noise comes from its own seed."""
    if job.options is not None:
        from benchmarks.batched_sampling import inbetween_batch

        yield from inbetween_batch(
            models.video,
            [c.images[0] for c in clips],
            [c.images[-1] for c in clips],
            options=job.options,
            seeds=[c.seed for c in clips],
            delta=models.delta(job.method),
            half=models.half,
        )
        return
    for clip in clips:
        if job.method == FLOOR:
            from benchmarks.batched_sampling import through_autoencoder

            yield through_autoencoder(models.video, clip.images)
        else:
            pair = DraftPair(clip.images[0], clip.images[-1])
            yield np.stack([pair.frame(float(t)) for t in np.linspace(0, 1, len(clip.images))])


def make_all(todo: Sequence[Job], seeds: Sequence[int], models: Models, out: Path) -> None:
    """Makes what `out` does not hold yet, batch by batch of clips, so that whatever is there can be compared."""
    begun, world = time.monotonic(), models.world()
    for start in range(0, len(seeds), models.batch):
        batch = seeds[start : start + models.batch]
        for job in todo:
            missing = [seed for seed in batch if not kept(out, job, seed).exists()]
            clips = [make_clip(seed, **world) for seed in missing]
            if clips:
                for clip, frames in zip(clips, make(job, clips, models), strict=True):
                    save(frames, kept(out, job, clip.seed))
                print(f"{time.monotonic() - begun:7.0f} s  clips {start} to {start + len(batch) - 1}  {job.folder}")
                sys.stdout.flush()


def kept(out: Path, job: Job, seed: int) -> Path:
    return out / job.folder / f"{seed}.npz"


def save(frames: np.ndarray, path: Path) -> None:
    """Writes one clip so that the file appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, frames=frames)
    part.replace(path)


def read(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as stored:
        return stored["frames"]


def measure_all(todo: Sequence[Job], seeds: Sequence[int], models: Models, out: Path) -> list[dict]:
    """Records of all jobs on the clips that every job has made; the true clips themselves are the method "truth"."""
    whole = [seed for seed in seeds if all(kept(out, job, seed).exists() for job in todo)]
    if not whole:
        raise InputError("report: no clip has been made by every method yet; run the command without --report-only.")
    world, records = models.world(), []
    for seed in whole:
        clip = make_clip(seed, **world)
        records.append(mover.as_record(mover.measure(clip.images, clip), clip, "truth"))
        for job in todo:
            record = mover.as_record(mover.measure(read(kept(out, job, seed)), clip), clip, job.method)
            records.append(record | {"recurrence": job.options.recurrence if job.options else None})
    return records


def write_sheet(todo: Sequence[Job], records: list[dict], models: Models, out: Path, file: Path) -> None:
    """The contact sheet: the first clip of every kind, the truth above what each method made of its ends."""
    seed_of: dict[str, int] = {}
    for record in records:
        seed_of.setdefault(record["kind"], record["seed"])
    blocks = []
    for kind in motion_world.KINDS:
        if kind in seed_of:
            clip = make_clip(seed_of[kind], **models.world())
            made = [(job.method, read(kept(out, job, clip.seed))) for job in todo if job.method != FLOOR]
            blocks.append([(f"true {kind}", clip.images), *made])
    variants_report.write_sheet(blocks, file)


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m benchmarks.inbetween_variants", description=__doc__.splitlines()[0]
    )
    command.add_argument("--model", type=Path, required=True, help="folder in the Hub's layout, with its differences")
    command.add_argument("--clips", type=int, default=200, help="clips (200)")
    command.add_argument("--split", choices=tuple(SPLITS), default="held-out", help="where their seeds come from")
    command.add_argument("--variants", nargs="+", choices=METHODS, default=list(METHODS), help="methods to compare")
    command.add_argument("--steps", type=int, default=25, help="noise levels (25)")
    command.add_argument("--recurrence", type=int, nargs="+", default=[2],
                         help=f"re-noisings per step (2); further values are swept on {' and '.join(SWEPT)}")  # fmt: skip
    command.add_argument("--guidance", type=float, nargs=2, default=[1.0, 3.0], metavar=("MIN", "MAX"), help="(1 3)")
    command.add_argument("--batch", type=int, default=16, help="clips sampled together (16)")
    command.add_argument("--half", action="store_true", help="run the network in bfloat16")
    command.add_argument("--threads", type=int, default=0, help="processor threads; 0 leaves the choice to torch")
    command.add_argument("--out", type=Path, default=Path("runs/variants"), help="folder for what was made")
    command.add_argument("--report", type=Path, default=REPORT, help="the page to write; its sheet lies beside it")
    command.add_argument("--report-only", action="store_true", help="make nothing, report what is there")
    return command


def run(chosen: argparse.Namespace) -> str:
    """Makes, measures and writes; returns the page."""
    import torch

    integer(chosen.clips, "clips", low=2, high=len(SPLITS[chosen.split]))
    integer(chosen.batch, "batch", low=1, high=4096)
    if integer(chosen.threads, "threads", low=0, high=1024):
        torch.set_num_threads(chosen.threads)
    options = SamplingOptions(
        steps=chosen.steps, recurrence=chosen.recurrence[0],
        min_guidance=chosen.guidance[0], max_guidance=chosen.guidance[1],
    )  # fmt: skip
    models = Models(chosen.model, device=runtime.best_device(), half=chosen.half, batch=chosen.batch)
    digest = models.digest()
    out = chosen.out / (digest + ("-half" if chosen.half else ""))
    seeds = list(SPLITS[chosen.split][: chosen.clips])
    todo = jobs([m for m in METHODS if m in chosen.variants], options, chosen.recurrence)
    for job in todo:
        models.delta(job.method)  # a missing file is said before any work
    if not chosen.report_only:
        make_all(todo, seeds, models, out)
    records = measure_all(todo, seeds, models, out)
    main_jobs = [job for job in todo if job.options is None or job.options.recurrence == chosen.recurrence[0]]
    facts = {
        "split": chosen.split, "asked": chosen.clips, "digest": digest, "half": chosen.half, "device": models.device,
        "world": models.world(), "options": options, "recurrences": chosen.recurrence,
    }  # fmt: skip
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    sheet = chosen.report.with_suffix(".png")
    write_sheet(main_jobs, records, models, out, sheet)
    page = variants_report.page(records, facts, sheet.name)
    chosen.report.write_text(page, encoding="utf-8")
    return page


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a user's mistake is one sentence on stderr and exit code 1."""
    try:
        print(run(parser().parse_args(arguments)))
    except InputError as mistake:
        sys.exit(f"error: {mistake}")


if __name__ == "__main__":
    main()
