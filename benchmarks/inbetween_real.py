"""The draft in-betweener against cross-dissolve and plain two-way flow warping, on real footage with known truth.

    python -m benchmarks.inbetween_real --media FOLDER

FOLDER holds `keyframes/pairs.csv` (columns video, fps, start_frame, end_frame, gap_s) and the clips it names. Prints its
tables and writes them to docs/results/inbetween_real.md.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

import genkey_core
from benchmarks import metrics
from genkey_core.inbetween.draft import DraftPair, colour_drift
from genkey_core.media import read_frames

Render = Callable[[float], np.ndarray]
REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "inbetween_real.md"
SHORT_GAPS_S = (0.1, 0.2)  # cut from the 0.5 s pairs: one from the start, one from the middle of each
CROSS, DIS_FAST, DIS_MEDIUM, DRAFT = "cross-dissolve", "two-way DIS, fast", "two-way DIS, medium", "draft"
METRICS = {  # name -> (function, is higher better)
    "PSNR, dB": (metrics.psnr, True),
    "SSIM": (metrics.ssim, True),
    "GMSD": (metrics.gmsd, False),
    "sharpness": (metrics.relative_sharpness, True),
}


@dataclass(frozen=True)
class Pair:
    """A start and an end frame of one clip, by their numbers, and the gap's nominal length."""

    video: str
    start: int
    end: int
    gap_s: float


def cross_dissolve(start: np.ndarray, end: np.ndarray) -> Render:
    """The two keyframes averaged, (1 - t) to t."""
    return lambda t: cv2.addWeighted(start, 1.0 - t, end, t, 0.0)


def two_way_dis(start: np.ndarray, end: np.ndarray, *, preset: int) -> Render:
    """Both keyframes warped backward along their own dense flow scaled by the time, then averaged (1 - t) to t."""
    search = cv2.DISOpticalFlow_create(preset)
    grey = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (start, end)]
    forward, backward = search.calc(grey[0], grey[1], None), search.calc(grey[1], grey[0], None)
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in (start.shape[1], start.shape[0])))
    here = np.dstack([x, y])

    def render(t: float) -> np.ndarray:
        warped = [
            cv2.remap(picture, here - share * flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for picture, flow, share in ((start, forward, t), (end, backward, 1.0 - t))
        ]
        return cv2.addWeighted(warped[0], 1.0 - t, warped[1], t, 0.0)

    return render


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], Render]] = {
    CROSS: cross_dissolve,
    DIS_FAST: partial(two_way_dis, preset=cv2.DISOPTICAL_FLOW_PRESET_FAST),
    DIS_MEDIUM: partial(two_way_dis, preset=cv2.DISOPTICAL_FLOW_PRESET_MEDIUM),
    DRAFT: lambda start, end: DraftPair(start, end).frame,
}


def read_pairs(media: Path) -> list[Pair]:
    """The pairs of the table, and the short ones cut from its 0.5 s pairs."""
    pairs = []
    with (media / "keyframes" / "pairs.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            start, end, fps = int(row["start_frame"]), int(row["end_frame"]), float(row["fps"])
            gap_s = round(float(row["gap_s"]), 1)
            pairs.append(Pair(row["video"], start, end, gap_s))
            for short_s in SHORT_GAPS_S if gap_s == 0.5 else ():
                for first in (start, (start + end) // 2):
                    pairs.append(Pair(row["video"], first, first + max(2, round(short_s * fps)), short_s))
    return pairs


def measure_segment(pairs: list[Pair], media: Path) -> list[dict]:
    """One record per pair, method: the means over all true frames between, colour drift and CPU seconds per frame."""
    cv2.setNumThreads(1)  # the segments are what runs in parallel
    first, last = min(p.start for p in pairs), max(p.end for p in pairs)
    frames = [f.image for f in islice(read_frames(media / pairs[0].video), first, last + 1)]
    return [
        record for pair in pairs for record in measure_pair(frames[pair.start - first : pair.end - first + 1], pair)
    ]


def measure_pair(truth: list[np.ndarray], pair: Pair) -> Iterable[dict]:
    """Records of all methods on one pair; `truth` runs from the start to the end frame, both included."""
    start, *between, end = truth
    positions = [float(i / (len(truth) - 1)) for i in range(1, len(truth) - 1)]
    yield {"pair": pair, "method": "truth", "drift": colour_drift(between, start, end, positions)}
    for method, prepare in METHODS.items():
        begun = time.process_time()
        render = prepare(start, end)
        made = [render(t) for t in positions]
        spent_s = time.process_time() - begun
        record = {"pair": pair, "method": method, "drift": colour_drift(made, start, end, positions)}
        for name, (metric, _) in METRICS.items():
            record[name] = float(np.mean([metric(image, true) for image, true in zip(made, between, strict=True)]))
        yield record | {"spent_s": spent_s, "n_frames": len(made), "megapixels": start[..., 0].size / 1e6}


def measure(media: Path, *, workers: int) -> list[dict]:
    """All records, clip segments spread over `workers` processes."""
    segments = defaultdict(list)
    for pair in read_pairs(media):
        segments[pair.video, pair.start // 20].append(pair)
    with ProcessPoolExecutor(workers) as pool:
        return [r for part in pool.map(partial(measure_segment, media=media), segments.values()) for r in part]


def values(records: list[dict], gap_s: float, method: str, key: str) -> np.ndarray:
    """The records' values of one gap and method, one per pair."""
    return np.array([r[key] for r in records if r["pair"].gap_s == gap_s and r["method"] == method])


def quality_table(records: list[dict], gaps_s: list[float]) -> list[str]:
    """Markdown lines: mean over pairs and its bootstrap interval, per gap, method and metric."""
    rng = np.random.default_rng(0)
    lines = [f"| gap | method | {' | '.join(METRICS)} |", "|" + "---|" * (2 + len(METRICS))]
    for gap_s in gaps_s:
        n = len(values(records, gap_s, DRAFT, "SSIM"))
        for method in METHODS:
            cells = []
            for name in METRICS:
                per_pair = values(records, gap_s, method, name)
                low, high = metrics.bootstrap_interval(per_pair, rng=rng)
                form = "{:.2f} [{:.2f}, {:.2f}]" if name.startswith("PSNR") else "{:.4f} [{:.3f}, {:.3f}]"
                cells.append(form.format(per_pair.mean(), low, high))
            lines.append(f"| {gap_s:g} s ({n} pairs) | {method} | {' | '.join(cells)} |")
    return lines


def margin_table(records: list[dict], gaps_s: list[float]) -> list[str]:
    """Markdown lines: draft minus each rival, paired, so that the spread between clips drops out; positive is better."""
    rng = np.random.default_rng(1)
    lines = [f"| gap | draft against | {' | '.join(METRICS)} |", "|" + "---|" * (2 + len(METRICS))]
    for gap_s in gaps_s:
        for rival in (CROSS, DIS_FAST, DIS_MEDIUM):
            cells = []
            for name, (_, higher) in METRICS.items():
                gain = values(records, gap_s, DRAFT, name) - values(records, gap_s, rival, name)
                gain = gain if higher else -gain
                low, high = metrics.bootstrap_interval(gain, rng=rng)
                cells.append(f"{gain.mean():+.4f} [{low:+.3f}, {high:+.3f}]")
            lines.append(f"| {gap_s:g} s | {rival} | {' | '.join(cells)} |")
    return lines


def other_table(records: list[dict], gaps_s: list[float]) -> list[str]:
    """Markdown lines: colour drift, flicker and speed."""
    lines = [
        "| gap | method | drift, mean | drift, worst | flicker, worst | CPU ms per megapixel | times cross-dissolve |"
    ]
    lines.append("|" + "---|" * 7)
    for gap_s in gaps_s:
        for method in ("truth", *METHODS):
            drifts = [r["drift"] for r in records if r["pair"].gap_s == gap_s and r["method"] == method]
            flicker = max(float(np.abs(np.diff(d, prepend=0.0, append=0.0)).max()) for d in drifts)
            cells = [f"{np.concatenate(drifts).mean():.2f}", f"{max(d.max() for d in drifts):.2f}", f"{flicker:.2f}"]
            if method == "truth":
                cells += ["", ""]
            else:
                cost = cpu_ms_per_megapixel(records, gap_s, method)
                cells += [f"{cost:.0f}", f"{cost / cpu_ms_per_megapixel(records, gap_s, CROSS):.0f}"]
            lines.append(f"| {gap_s:g} s | {method} | {' | '.join(cells)} |")
    return lines


def cpu_ms_per_megapixel(records: list[dict], gap_s: float, method: str) -> float:
    """CPU time of preparing and rendering, over the pixels rendered."""
    mine = [r for r in records if r["pair"].gap_s == gap_s and r["method"] == method]
    return 1e3 * sum(r["spent_s"] for r in mine) / sum(r["n_frames"] * r["megapixels"] for r in mine)


def bars(records: list[dict], gaps_s: list[float]) -> list[str]:
    """Markdown lines: what was asked of draft, whether it holds, and the figures."""
    lines = []

    def state(text: str, holds: bool) -> None:
        lines.append(f"- {'holds' if holds else '**does not hold**'}: {text}")

    for gap_s in gaps_s:
        mean = {(m, n): values(records, gap_s, m, n).mean() for m in METHODS for n in METRICS}
        rivals = (CROSS, DIS_FAST, DIS_MEDIUM)
        for name, (_, higher) in METRICS.items():
            pick = max if higher else min
            best, mine = pick(mean[r, name] for r in rivals), mean[DRAFT, name]
            figures = f"draft {mine:.4f}, best rival {best:.4f}"
            if gap_s <= max(SHORT_GAPS_S) or name in ("SSIM", "GMSD"):
                state(f"{gap_s:g} s, {name} better than all rivals ({figures})", mine > best if higher else mine < best)
            elif name == "sharpness":
                state(f"{gap_s:g} s, sharpness at least 0.85 of the truth's (draft {mine:.4f})", mine >= 0.85)
            else:
                state(f"{gap_s:g} s, PSNR at most 0.5 dB under the best rival ({figures})", mine >= best - 0.5)
    return lines


def report(records: list[dict], took_s: float) -> str:
    """The whole results page."""
    gaps_s = sorted({r["pair"].gap_s for r in records})
    n_pairs = sum(r["method"] == DRAFT for r in records)
    n_frames = sum(r["n_frames"] for r in records if r["method"] == DRAFT)
    versions = f"genkey_core {genkey_core.__version__}, OpenCV {cv2.__version__}, NumPy {np.__version__}"
    lines = [
        "# In-betweens on real footage",
        "",
        "Made by `python -m benchmarks.inbetween_real --media FOLDER`; not edited by hand. "
        f"{versions}, Python {platform.python_version()}; {n_pairs} pairs, {n_frames} true frames between them, "
        f"six clips (368x480 to 1280x720, 20 and 30 frames/s); {took_s / 60:.0f} minutes on {os.cpu_count()} cores.",
        "",
        "Each pair is two frames of a clip; the method sees only these, and every frame the clip has between them is the "
        "truth. Pairs 0.5 and 1 s apart are those of `pairs.csv`; pairs 0.1 and 0.2 s apart start at the first and the "
        "middle frame of each 0.5 s pair. A figure is the mean over a pair's frames, then over the pairs; in brackets a "
        "95 % bootstrap interval (2000 resamplings of the pairs, seeded).",
        "",
        "- **PSNR** over RGB, higher is better. **SSIM** of the luma, 11x11 Gaussian (Wang et al. 2004), higher is better.",
        "- **GMSD**, gradient magnitude similarity deviation of the luma (Xue et al. 2014), lower is better.",
        "- **sharpness**: mean Sobel gradient magnitude of the luma over that of the truth; 1 is as sharp as the truth.",
        "- **cross-dissolve** averages the keyframes; **two-way DIS** warps each along its own dense flow (OpenCV's DIS, "
        "two presets) scaled by the time, and averages; **draft** is `genkey_core.inbetween.draft` with its defaults.",
        "",
        *quality_table(records, gaps_s),
        "",
        "## The bars",
        "",
        *bars(records, gaps_s),
        "",
        "## Draft minus each rival, pair by pair",
        "",
        "The same pairs compared one by one, so that easy and hard clips cancel; positive is in draft's favour in every "
        "column. An interval that contains 0 is no proof of a difference.",
        "",
        *margin_table(records, gaps_s),
        "",
        "## Colour and cost",
        "",
        "Drift is the CIE76 distance between a frame's mean colour and the mean colours of its keyframes interpolated to "
        "its time (`colour_drift`); flicker is the largest change of drift from one frame to the next. The truth drifts "
        "too: what comes into view has its own colour. Cost is CPU time on one thread with the pair's preparation "
        "included, which weighs most where few frames share it.",
        "",
        *other_table(records, gaps_s),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--media", type=Path, required=True, help="folder with keyframes/pairs.csv and its clips")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=REPORT, help="the page to write")
    options = parser.parse_args()
    begun = time.perf_counter()
    records = measure(options.media, workers=options.workers)
    page = report(records, time.perf_counter() - begun)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
