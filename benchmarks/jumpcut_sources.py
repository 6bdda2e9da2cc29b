"""Section 4.3.3 of the thesis in the presenter world: 2 sources against 4, 8 and 12 for a half-open mouth.

    python -m benchmarks.jumpcut_sources --model FOLDER --out FOLDER [--clips 120]

The mouth is shut at one end and wide open at the other; the target is half open. The further sources are frames of the
same clip, drawn at random. --model and --out are those of jumpcut_yaw, whose face embedding is used (and trained where it
is not there). Prints its table and writes it to docs/results/jumpcut_sources.md. A few minutes on one core.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
from pathlib import Path

import cv2
import numpy as np
import torch

import genkey_core
from benchmarks import metrics
from benchmarks import presenter_scores as scores
from benchmarks.jumpcut_yaw import embedding
from benchmarks.presenter_triplets import FIRST_SEED, N_FRAMES, TRIES, Drawn, Mini, warped
from genkey_core.checks import InputError
from genkey_core.jumpcut import networks
from genkey_core.jumpcut.sources import helpful
from genkey_core.jumpcut.warp import AttentionWarp
from genkey_core.mini import presenter_world
from genkey_core.mini.presenter_world import LANDMARKS

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "jumpcut_sources.md"
COUNTS = (2, 4, 8, 12)  # sources, the two ends among them
MINI, DRAFT, CHOSEN = "mini", "draft", "draft, chosen"
METHODS = (MINI, DRAFT, CHOSEN)
SPACING = 6  # frames from an end to the middle
MOST_YAW_DEG = 35.0  # of all three, so that the mouth is to be seen
_MOUTH = [i for i, name in enumerate(LANDMARKS) if "lip" in name or name.startswith("mouth")]


def setting(k: int, size: int) -> tuple[Drawn, Drawn, Drawn, list[Drawn]]:
    """Number `k`: start (mouth shut), truth (half open), end (wide open), and ten other frames of the clip.

    The other frames are as the clip has them, at any opening of the mouth and any pose. Raises InputError where no more
    people are held out.
    """
    seed = FIRST_SEED + k * TRIES
    if seed not in presenter_world.VALIDATION_SEEDS:
        raise InputError(f"mouths: there are no held-out people for number {k}; ask for fewer.")
    rng = np.random.default_rng([4, 33, seed])
    moves, person = presenter_world.motion(seed, N_FRAMES), presenter_world.presenter(seed, size)
    near = [i for i in range(SPACING, N_FRAMES - SPACING)
            if np.abs(moves.yaw_deg[i - SPACING : i + SPACING + 1]).max() <= MOST_YAW_DEG]  # fmt: skip
    middle = int(rng.choice(near)) if near else int(np.abs(moves.yaw_deg[SPACING:-SPACING]).argmin()) + SPACING
    first, last = (moves.at(i) for i in (middle - SPACING, middle + SPACING))
    # Half-way in everything, the mouth too: how far open it is, is what the sources are to help with, and nothing else.
    half = {name: (first[name] + last[name]) / 2 for name in first}
    poses = (first | {"mouth": 0.0}, half | {"mouth": 0.5}, last | {"mouth": 1.0})
    free = [i for i in range(N_FRAMES) if abs(i - middle) > SPACING]
    others = [Drawn(*person.draw(moves.at(int(i)))) for i in rng.choice(free, max(COUNTS) - 2, replace=False)]
    start, truth, end = (Drawn(*person.draw(pose)) for pose in poses)
    return start, truth, end, others


def mouth_box(truth: Drawn) -> tuple[slice, slice]:
    """Rows and columns about the mouth's landmarks."""
    x, y = truth.landmarks[_MOUTH, 0], truth.landmarks[_MOUTH, 1]
    half = 0.75 * max(np.ptp(x), np.ptp(y)) + 1
    limit = truth.image.shape[0]
    low, high = ([int(np.clip(v, 0, limit)) for v in (m - half, m + half + 1)] for m in (x.mean(), y.mean()))
    return slice(*high), slice(*low)


def made(method: str, n: int, start: Drawn, end: Drawn, others: list[Drawn], mini: Mini) -> np.ndarray:
    """The middle frame from `n` sources; the draft takes the others as they come, or those that promise most."""
    if method == MINI:
        return mini.middle((start, end), others[: n - 2])
    pictures = [each.image for each in others]
    few = pictures[: n - 2] if method == DRAFT else helpful(pictures, start.image, end.image, n=n - 2)
    return warped(AttentionWarp(few), start.image, end.image)


def measure(k: int, mini: Mini) -> list[dict]:
    """One record per method and number of sources; `heads` are the made head and the true one, for `identified`."""
    start, truth, end, others = setting(k, mini.size)
    box = scores.head_box(truth.iuv)
    mouth, records = mouth_box(truth), []
    for method in METHODS:
        for n in COUNTS:
            image = made(method, n, start, end, others, mini)
            records.append({
                "k": k, "method": method, "n": n, "psnr": metrics.psnr(image, truth.image),
                "ssim": metrics.ssim(image, truth.image), "mouth": metrics.psnr(image[mouth], truth.image[mouth]),
                "mouth_sharpness": metrics.relative_sharpness(image[mouth], truth.image[mouth]),
                "heads": np.stack([scores.head(each, box) for each in (image, truth.image)]),
            })  # fmt: skip
    return records


def identified(records: list[dict], network: scores.HeadNet) -> list[dict]:
    """The same with the identity of each made head in the place of the heads."""
    found = []
    for record in records:
        own, true = scores.embeddings(network, record["heads"])
        found.append({key: value for key, value in record.items() if key != "heads"} | {"identity": float(own @ true)})
    return found


def values(records: list[dict], key: str, method: str, n: int) -> np.ndarray:
    return np.array([r[key] for r in records if r["method"] == method and r["n"] == n])


def table(records: list[dict], rng: np.random.Generator) -> list[str]:
    """Markdown lines; the last column is the gain over two sources on the same frames, with its 95 % interval."""
    lines = [
        "| method | sources | PSNR, dB | SSIM | mouth PSNR, dB | mouth sharpness | identity | mouth PSNR, gain over 2 |",
        "|" + "---|" * 8,
    ]
    for method in METHODS:
        for n in COUNTS:
            cells = [
                f"{values(records, key, method, n).mean():.{digits}f}"
                for key, digits in (("psnr", 2), ("ssim", 4), ("mouth", 2), ("mouth_sharpness", 2), ("identity", 3))
            ]
            gain = values(records, "mouth", method, n) - values(records, "mouth", method, 2)
            low, high = metrics.bootstrap_interval(gain, rng=rng)
            cells.append("" if n == 2 else f"{gain.mean():+.2f} [{low:+.2f}, {high:+.2f}]")
            lines.append(f"| {method} | {n} | {' | '.join(cells)} |")
    return lines


def bars(records: list[dict], rng: np.random.Generator) -> list[str]:
    """Markdown lines: more sources are better, for each method; asked is that chance alone does not explain it."""
    lines = []
    for method in METHODS:
        two = values(records, "mouth", method, COUNTS[0])
        low, _ = metrics.bootstrap_interval(values(records, "mouth", method, COUNTS[-1]) - two, rng=rng)
        shown = ", ".join(f"{n}: {values(records, 'mouth', method, n).mean():.2f} dB" for n in COUNTS)
        verdict = "holds" if low > 0 else "**does not hold**"
        lines.append(f"- {verdict}: {method}, {COUNTS[-1]} sources are better than {COUNTS[0]} at the mouth ({shown})")
    return lines


def cause(records: list[dict]) -> str:
    """What the figures say about where a gain comes from, or why there is none."""

    def both(key: str, method: str, digits: int) -> str:
        few, many = (values(records, key, method, n).mean() for n in (COUNTS[0], COUNTS[-1]))
        return f"{few:.{digits}f} to {many:.{digits}f}"

    gain = values(records, "mouth", MINI, COUNTS[-1]).mean() - values(records, "mouth", MINI, COUNTS[0]).mean()
    mouth, sharp, whose = both("mouth", DRAFT, 2), both("mouth_sharpness", DRAFT, 2), both("identity", DRAFT, 3)
    if gain < -0.1:
        why = " It was trained on two sources a time, the ends; of others, whose mouths are open otherwise, it copies as well."
    elif gain < 0.1:
        why = " Beside what attention brings it is given both ends' features, and it paints from these."
    else:
        why = f" Its mouths go from {both('mouth_sharpness', MINI, 2)} of the truth's sharpness."
    return (
        f"With {COUNTS[-1]} sources in the place of {COUNTS[0]} the network goes from {both('mouth', MINI, 2)} dB at the mouth, "
        f"and from {both('psnr', MINI, 2)} dB in the whole.{why} The draft, which has no training, goes from {mouth} dB, but "
        f"its mouths from {sharp} of the truth's sharpness and its heads from {whose} in identity. Part of what it gains is "
        "averaging; the tab gives it two further sources."
    )


def report(records: list[dict], mark: str) -> str:
    """The whole results page."""
    lines = [
        "# Jump cuts with more sources",
        "",
        "Made by `python -m benchmarks.jumpcut_sources`; not edited by hand. "
        f"genkey_core {genkey_core.__version__}, PyTorch {torch.__version__}, OpenCV {cv2.__version__}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores; {len({r['k'] for r in records})} held-out people of the presenter "
        f"world; network {mark}.",
        "",
        "Section 4.3.3 of the thesis: the mouth is shut in one end frame and wide open in the other, and half open in the middle "
        "frame, which is the truth; all else in it is half-way between the ends. The sources are both ends and 0, 2, 6 or 10 "
        "other frames of the clip, drawn at random, at any pose. **draft** takes them as they come; **draft, chosen** those "
        "that `sources.helpful` picks of the ten.",
        "",
        "PSNR and SSIM of the whole picture; **mouth** figures in a square about the mouth's landmarks, its sharpness being the "
        "mean gradient over the truth's; **identity** is the cosine to the true head in the embedding of the yaw table.",
        "",
        *table(records, np.random.default_rng(4)),
        "",
        "## The bars",
        "",
        *bars(records, np.random.default_rng(5)),
        "",
        cause(records),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of the learned network")
    parser.add_argument("--out", type=Path, required=True, help="folder of the embedding")
    parser.add_argument("--clips", type=int, default=120, help="people (120)")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (1)")
    parser.add_argument("--report", type=Path, default=REPORT, help="the page to write")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    torch.set_num_threads(options.threads)
    mini = Mini(networks.load(options.model))
    mark = hashlib.sha256((options.model / "model.safetensors").read_bytes()).hexdigest()[:8]
    records = []
    for k in range(options.clips):
        records += measure(k, mini)
        if k % 20 == 19:
            print(f"{k + 1} of {options.clips}", flush=True)
    network, _ = embedding(options.out)
    page = report(identified(records, network), mark)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
