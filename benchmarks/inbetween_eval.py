"""The thesis's protocol for your own clips: every engine makes them anew from their ends; FID, FVD, PSNR and LPIPS come out.

    python -m benchmarks.inbetween_eval --clips FOLDER --engines draft full --video-features i3d.pt \\
        --video-options '{"rescale": true, "resize": true, "return_features": true}'

FOLDER holds videos, or folders of pictures. From each source up to --per-video clips of --frames frames are cut; an engine sees
the first and the last frame of a clip and makes the ones between (thesis section 5.4.2, Tab. 5.1). What was made is kept in
--out, so the same command goes on where it was stopped; the page is written there too.

The metrics need: pip install torchmetrics torch-fidelity torchvision. FID's and LPIPS's weights are fetched by these packages
when first used. FVD needs features of videos that you bring: the I3D network as a TorchScript file, as published FVDs use it, or
the folder of a VideoMAE model of the Hub, whose distances are comparable among themselves alone. A TorchScript file is a
program: load only one that you trust.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np

import genkey_core
from benchmarks import generative_metrics as gm
from benchmarks.inbetween_variants import read, save
from genkey_core import runtime
from genkey_core.checks import InputError, integer, shown
from genkey_core.inbetween.engines import Engine, Progress, choose_engine
from genkey_core.inbetween.settings import ENGINES, Settings

HEADINGS = {"fid": "FID (lower)", "fvd": "FVD (lower)", "psnr": "PSNR, dB (higher)", "lpips": "LPIPS (lower)"}


def make_between(engine: Engine, truth: np.ndarray) -> np.ndarray:
    """A clip uint8 [T H W 3] of `truth`'s length: its own ends, and between them what `engine` makes of these."""
    start, end = truth[0], truth[-1]
    positions = np.linspace(0, 1, len(truth))[1:-1]
    between = [item for item in engine.between(start, end, positions) if not isinstance(item, Progress)]
    return np.stack([start, *between, end])


def evaluate(
    clips: Callable[[], Iterable[np.ndarray]],
    engines: dict[str, Engine],
    compare: Callable[[], gm.Comparison],
    folder_of: Callable[[str], Path],
) -> dict[str, gm.Comparison]:
    """One filled comparison per engine; clips that the engine's folder holds already are not made again.

    `clips()` gives the true clips anew for each engine, one at a time: a hundred of full size fill the memory.
    """
    found, begun = {}, time.monotonic()
    for name, engine in engines.items():
        comparison = found[name] = compare()
        for i, truth in enumerate(clips()):
            file = folder_of(name) / f"{_digest(truth)}.npz"
            if not file.exists():
                save(make_between(engine, truth), file)
                print(f"{time.monotonic() - begun:7.0f} s  {name}: clip {i + 1}", flush=True)
            comparison.add(read(file), truth)
    return found


def _digest(truth: np.ndarray) -> str:
    """Names a clip by what the engine sees of it: its ends and its length."""
    seen = hashlib.sha256(str(truth.shape).encode())
    for picture in (truth[0], truth[-1]):
        seen.update(np.ascontiguousarray(picture))
    return seen.hexdigest()[:24]


def page(found: dict[str, gm.Comparison], facts: Iterable[str]) -> str:
    """The table, with what it was made from."""
    results = {name: comparison.results() for name, comparison in found.items()}
    metrics = list(next(iter(results.values())))
    first = next(iter(found.values()))
    lines = ["# In-betweens against the true clips", "", f"genkey_core {genkey_core.__version__}; {first.n_clips} clips, "
             f"{first.n_frames} frames between their ends; {'; '.join(facts)}.", "",
             "FID, PSNR and LPIPS are of the frames between the ends; FVD is of whole clips. Fréchet distances grow as "
             "there are fewer samples, so compare only figures from the same clips and features.", "",
             f"| engine | {' | '.join(HEADINGS[m] for m in metrics)} |", "|" + "---|" * (1 + len(metrics))]  # fmt: skip
    for name, values in results.items():
        lines.append(f"| {name} | {' | '.join(f'{values[m]:.3f}' for m in metrics)} |")
    return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    first, _, rest = __doc__.partition("\n")
    command = argparse.ArgumentParser(
        prog="python -m benchmarks.inbetween_eval", description=first, epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.add_argument("--clips", type=Path, required=True, help="folder of videos or of folders of pictures")
    command.add_argument("--engines", nargs="+", choices=[e for e in ENGINES if e != "auto"], default=["draft"])
    command.add_argument("--metrics", nargs="+", choices=gm.METRICS, default=list(gm.METRICS))
    command.add_argument("--frames", type=int, default=25, help="frames of a clip, its ends included (25)")
    command.add_argument("--size", type=int, nargs=2, default=[1024, 576], metavar=("W", "H"), help="(1024 576)")
    command.add_argument("--fps", type=float, help="rate to which videos are resampled; every frame without")
    command.add_argument("--per-video", type=int, default=4, help="clips from one source at most (4)")
    command.add_argument("--limit", type=int, default=100, help="clips in all at most (100)")
    command.add_argument("--preset", default="quality", help="of the learned engines: fast or quality (quality)")
    command.add_argument("--variant", default="dual", help="of mini and full (dual)")
    command.add_argument("--prompt", default="", help="of wan and ltx")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--frame-features", type=Path, help="TorchScript file for FID; Inception v3 without")
    command.add_argument("--video-features", type=Path, help="TorchScript file, or folder of a VideoMAE model, for FVD")
    command.add_argument("--video-options", default="{}", help="JSON object of arguments for the TorchScript file")
    command.add_argument("--out", type=Path, default=Path("runs/eval"), help="folder for made clips and the page")
    return command


def run(chosen: argparse.Namespace) -> str:
    """Makes, compares and writes; returns the page. What cannot be measured here is said before anything is made."""
    from genkey_core.inbetween.clips import clips_from_folder

    integer(chosen.frames, "frames", low=3, high=1000)
    integer(chosen.limit, "limit", low=2)
    for side in chosen.size:
        integer(side, "size", low=16, high=4096)
    device = runtime.best_device()
    frames = chosen.frame_features and gm.torchscript_features(chosen.frame_features, device=device, clips=False)
    videos = chosen.video_features and gm.video_features(
        chosen.video_features, device=device, options=chosen.video_options
    )

    def compare() -> gm.Comparison:
        return gm.Comparison(chosen.metrics, frame_features=frames, video_features=videos, device=device)

    compare()
    settings = Settings.from_dict(
        {"preset": chosen.preset, "variant": chosen.variant, "prompt": chosen.prompt, "seed": chosen.seed}
    )
    engines = {name: choose_engine(name, settings) for name in chosen.engines}
    size = tuple(chosen.size)

    def clips() -> Iterable[np.ndarray]:
        length = {"n_frames": chosen.frames, "fps": chosen.fps, "per_video": chosen.per_video}
        return islice(clips_from_folder(chosen.clips, size=size, **length), chosen.limit)

    facts = [f"{chosen.frames} frames of {size[0]}x{size[1]}", f"preset {chosen.preset}, variant {chosen.variant}",
             f"seed {chosen.seed}", *_features_used(chosen)]  # fmt: skip
    sampled = hashlib.sha256(chosen.prompt.encode()).hexdigest()[:8]

    def folder_of(engine: str) -> Path:
        own = "" if engine == "draft" else f"-{chosen.preset}-{chosen.variant}-{chosen.seed}-{sampled}"
        return chosen.out / f"{engine}{own}"

    text = page(evaluate(clips, engines, compare, folder_of), facts)
    (chosen.out / "inbetween_eval.md").write_text(text, encoding="utf-8")
    return text


def _features_used(chosen: argparse.Namespace) -> list[str]:
    """Which features the Fréchet distances are over: they mean nothing without."""
    used = []
    if "fid" in chosen.metrics:
        used.append(
            f"FID over {_named(chosen.frame_features) if chosen.frame_features else 'Inception v3 (torch-fidelity)'}"
        )
    if "fvd" in chosen.metrics:
        used.append(f"FVD over {_named(chosen.video_features)}")
    return used


def _named(path: Path) -> str:
    """A file by its name and hash, a folder by its name and the hash of its weights."""
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    digest = hashlib.sha256(b"".join(hashlib.sha256(f.read_bytes()).digest() for f in files)).hexdigest()
    return f"{shown(path.name)} (SHA-256 {digest[:16]})"


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a user's mistake is one sentence on stderr and exit code 1."""
    try:
        print(run(parser().parse_args(arguments)))
    except InputError as mistake:
        sys.exit(f"error: {mistake}")


if __name__ == "__main__":
    main()
