"""Table 4.1 of the thesis in the presenter world: middle frames of triplets, by how far the head turns between the ends.

    python -m benchmarks.jumpcut_yaw --model FOLDER --out FOLDER [--clips 300]

--model is a folder of the learned network (config.json, model.safetensors); --out keeps the face embedding and the made
frames, and a run that was interrupted goes on from there (start with an empty folder after a change to a method). Prints
its table and writes it to docs/results/jumpcut_yaw.md. About a quarter of an hour on one core.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import time
from pathlib import Path

import cv2
import numpy as np
import torch

import genkey_core
from benchmarks import metrics
from benchmarks import presenter_scores as scores
from benchmarks.presenter_triplets import CROSS, DRAFT, FLOW, METHODS, MINI, MINI_TRUE, STRATA_DEG, Mini, made, triplet
from genkey_core.checks import InputError
from genkey_core.jumpcut import networks
from genkey_core.mini.presenter_world import TRAIN_SEEDS, VALIDATION_SEEDS

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "jumpcut_yaw.md"
TRUTH = "truth"
CHUNK = 20  # triplets in a file
PEOPLE, POSES = 600, 8  # that the embedding learns from
JUDGES = VALIDATION_SEEDS[-60:]  # people that it is checked on
MARGIN_DB = 0.5
LEAST = 4 * len(STRATA_DEG)  # triplets


def embedding(out: Path, *, people: int = PEOPLE, steps: int = scores.STEPS) -> tuple[scores.HeadNet, dict[str, float]]:
    """The face embedding, trained here where `out` has none yet, and how well it tells held-out people apart."""
    file = out / f"heads-{people}-{steps}.safetensors"
    if not file.exists():
        heads = scores.draw_heads(TRAIN_SEEDS[:people], poses=POSES)
        training = scores.train(heads, steps=steps)
        while True:
            try:
                step, loss = next(training)
            except StopIteration as done:
                scores.save(done.value, file)
                break
            if step % 200 == 0:
                print(f"face embedding, step {step} of {steps}: loss {loss:.2f}", flush=True)
    network = scores.load(file)
    judged = scores.draw_heads(JUDGES, poses=6)
    return network, scores.verification(network, scores.inner(judged.images))


def render(numbers: range, mini: Mini, file: Path) -> None:
    """Makes every method's middle frame of these triplets and writes them to `file`, which appears when it is complete."""
    kept: dict[str, list] = {"made": [], "truth": [], "sources": [], "head": [], "yaw": [], "cpu_s": []}
    for k in numbers:
        drawn = triplet(k, mini.size)
        images, spent = [], []
        for method in METHODS:
            begun = time.process_time()
            images.append(made(method, drawn, mini))
            spent.append(time.process_time() - begun)
        boxes = [scores.head_box(each.iuv) for each in (drawn.start, drawn.truth, drawn.end)]
        if any(box is None for box in boxes):
            raise InputError(f"triplet {k}: a frame of presenter {drawn.seed} shows no head.")
        kept["made"].append(images)
        kept["truth"].append(drawn.truth.image)
        kept["sources"].append([scores.head(e.image, b) for e, b in ((drawn.start, boxes[0]), (drawn.end, boxes[2]))])
        # A made head is looked for where the ends foresee it, and where it truly is if the method was told that.
        places = [boxes[1] if method == MINI_TRUE else drawn.box() for method in METHODS] + [boxes[1]]
        pictures = zip([*images, drawn.truth.image], places, strict=True)
        kept["head"].append([scores.head(image, box) for image, box in pictures])
        kept["yaw"].append(drawn.yaw_change_deg)
        kept["cpu_s"].append(spent)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part.npz")
    np.savez(part, **{name: np.array(values) for name, values in kept.items()})
    part.replace(file)


def gather(n: int, mini: Mini, out: Path, mark: str) -> dict[str, np.ndarray]:
    """What `render` keeps, of `n` triplets, made or read."""
    parts = []
    for first in range(0, n, CHUNK):
        numbers = range(first, min(first + CHUNK, n))
        file = out / f"triplets-{mark}-{first:04d}-{len(numbers)}.npz"
        if not file.exists():
            begun = time.process_time()
            render(numbers, mini, file)
            print(f"triplets {first} to {numbers[-1]}: {time.process_time() - begun:.0f} CPU s", flush=True)
        with np.load(file, allow_pickle=False) as stored:
            parts.append({name: stored[name] for name in stored.files})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def measure(kept: dict[str, np.ndarray], network: scores.HeadNet) -> dict[str, dict[str, np.ndarray]]:
    """Per method, and for the truth: psnr, ssim and identity [N], and texture [N D], what the kernel distance compares."""
    sources = [scores.embeddings(network, kept["sources"][:, i]) for i in (0, 1)]
    names, found = (*METHODS, TRUTH), {}
    for i, name in enumerate(names):
        own = scores.embeddings(network, kept["head"][:, i])
        found[name] = {
            "identity": sum((own * source).sum(1) for source in sources) / 2,
            "texture": scores.texture(network, kept["head"][:, i]),
        }
        if name != TRUTH:
            pairs = list(zip(kept["made"][:, i], kept["truth"], strict=True))
            found[name] |= {f.__name__: np.array([f(a, b) for a, b in pairs]) for f in (metrics.psnr, metrics.ssim)}
    real = found[TRUTH]["texture"]
    centre, spread = real.mean(0), real.std(0) + 1e-6
    for values in found.values():
        values["texture"] = (values["texture"] - centre) / spread
    return found


def calibration(kept: dict[str, np.ndarray], network: scores.HeadNet) -> list[str]:
    """Markdown lines: what the kernel distance says of damage that is known."""
    heads = kept["head"][:, -1]
    real = scores.texture(network, heads)
    centre, spread = real.mean(0), real.std(0) + 1e-6

    def distance(change, of: np.ndarray = heads) -> str:
        changed = scores.texture(network, np.stack([change(head) for head in of]))
        return f"{scores.kid((changed - centre) / spread, (real - centre) / spread):.1f}"

    def ghost(share: float):
        return lambda head: cv2.addWeighted(head, 1 - share, np.roll(head, 5, axis=1), share, 0)

    blurs = ", ".join(distance(lambda h, s=s: cv2.GaussianBlur(h, (0, 0), s)) for s in (0.7, 1.0, 1.5, 2.5))
    ghosts = ", ".join(distance(ghost(s)) for s in (0.1, 0.25, 0.5))
    halves = scores.kid((real[::2] - centre) / spread, (real[1::2] - centre) / spread)
    return [
        f"What realism says of true heads that were damaged: blurred by 0.7, 1, 1.5 and 2.5 pixels {blurs}; doubled 5 pixels "
        f"aside at 10, 25 and 50 % {ghosts}; one half of the true heads against the other {halves:.1f}."
    ]


def rows(yaw: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The table's lines: all triplets, and those whose ends differ by at least so many degrees."""
    return [("all" if low == 0 else f">= {low}", yaw >= low) for low in STRATA_DEG]


def table(found: dict, yaw: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Markdown lines, each figure with half the width of its 95 % interval."""
    lines = ["| yaw change, degrees | method | PSNR, dB | SSIM | identity | realism (KID x 1000) |", "|" + "---|" * 6]
    for label, chosen in rows(yaw):
        for name in (*METHODS, TRUTH):
            cells = []
            for key, digits in (("psnr", 2), ("ssim", 4), ("identity", 3)):
                if key not in found[name]:
                    cells.append("")
                    continue
                values = found[name][key][chosen]
                low, high = metrics.bootstrap_interval(values, rng=rng)
                cells.append(f"{values.mean():.{digits}f} ± {(high - low) / 2:.{digits}f}")
            if name != TRUTH:
                pair = found[name]["texture"][chosen], found[TRUTH]["texture"][chosen]
                cells.append(f"{scores.kid(*pair):.1f} ± {1.96 * scores.kid_error(*pair, rng=rng):.1f}")
            else:
                cells.append("")
            lines.append(f"| {label} ({chosen.sum()}) | {name} | {' | '.join(cells)} |")
    return lines


def difference(found: dict, key: str, ours: str, theirs: str, chosen: np.ndarray, rng) -> tuple[float, float, float]:
    """Mean of ours less theirs on the same triplets, and its 95 % interval."""
    values = (found[ours][key] - found[theirs][key])[chosen]
    return (float(values.mean()), *metrics.bootstrap_interval(values, rng=rng))


def bars(found: dict, yaw: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Markdown lines: what was asked, and whether it holds."""
    wide = [(label, chosen) for label, chosen in rows(yaw) if label in (">= 30", ">= 45", ">= 60")]
    gaps = [difference(found, "identity", MINI, FLOW, chosen, rng) for _, chosen in wide]
    shown = ", ".join(
        f"{label}: {gap:+.3f} [{low:+.3f}, {high:+.3f}]"
        for (label, _), (gap, low, high) in zip(wide, gaps, strict=True)
    )
    means = [gap[0] for gap in gaps]
    level = [label for (label, _), (gap, low, _) in zip(wide, gaps, strict=True) if low <= 0 < gap]
    within = f"; in the mean, within the interval for {' and '.join(level)}" if level and min(means) > 0 else ""
    losses = [(label, difference(found, "psnr", DRAFT, FLOW, chosen, rng)) for label, chosen in rows(yaw)]
    worst = ", ".join(f"{label}: {gap:+.2f} [{low:+.2f}, {high:+.2f}]" for label, (gap, low, high) in losses)

    def said(holds: bool) -> str:
        return "holds" if holds else "**does not hold**"

    return [
        f"- {said(min(means) > 0)}: mini above flow in identity from 30 degrees on ({shown}{within})",
        f"- {said(means == sorted(means))}: that gap grows with the angle",
        f"- {said(all(gap[0] >= -MARGIN_DB for _, gap in losses))}: the draft nowhere more than {MARGIN_DB} dB below flow "
        f"in PSNR ({worst})",
    ]


def cause(found: dict, yaw: np.ndarray) -> str:
    """What the figures say about where the learned network's error comes from."""

    def mean(name: str, key: str, chosen: np.ndarray) -> float:
        return float(found[name][key][chosen].mean())

    every, far = np.ones(len(yaw), bool), yaw >= 30
    place = mean(MINI_TRUE, "psnr", every) - mean(MINI, "psnr", every)
    likeness = mean(MINI_TRUE, "identity", far) - mean(MINI, "identity", far)
    short = mean(TRUTH, "identity", far) - mean(MINI_TRUE, "identity", far)
    lacks = "likeness more than place" if short > max(likeness, 0) else "place more than likeness"
    return (
        f"What the network lacks is {lacks}: with the middle frame's own keypoints in the place of interpolated ones it gains "
        f"{place:+.2f} dB ({mean(MINI, 'psnr', every):.2f} to {mean(MINI_TRUE, 'psnr', every):.2f}) and {likeness:+.3f} in "
        f"identity from 30 degrees on (to {mean(MINI_TRUE, 'identity', far):.3f}); true frames have "
        f"{mean(TRUTH, 'identity', far):.3f} there, and a cross-dissolve, which shows both sources at once, "
        f"{mean(CROSS, 'identity', far):.3f}. How the network that ships was trained stands in docs/mini.md; the thesis "
        "trained on graphics cards, at 256 pixels."
    )


def report(kept: dict, found: dict, network: scores.HeadNet, judged: dict[str, float], mark: str) -> str:
    """The whole results page."""
    rng, yaw = np.random.default_rng(4), kept["yaw"]
    cost = ", ".join(f"{m} {s:.3f}" for m, s in zip(METHODS, kept["cpu_s"].mean(0), strict=True) if m != CROSS)
    lines = [
        "# Jump cuts under head turns",
        "",
        "Made by `python -m benchmarks.jumpcut_yaw`; not edited by hand. "
        f"genkey_core {genkey_core.__version__}, PyTorch {torch.__version__}, OpenCV {cv2.__version__}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores; {len(yaw)} triplets of as many held-out people of the presenter "
        f"world, {kept['truth'].shape[1]} pixels a side; network {mark}.",
        "",
        "The thesis's Table 4.1 on our own procedural presenter: a triplet is three equally spaced frames of one motion, 0.2 to "
        "0.8 s apart; a method sees the outer two and makes the middle one. Triplets are drawn so that as many turn by 0 to 15, "
        "15 to 30, 30 to 45, 45 to 60 and more degrees; a line holds all from its bound on. A head seldom goes straight from one "
        "pose to the next, so that no method can know the true middle, in the thesis's table neither.",
        "",
        "**flow** is the draft in-betweener of chapter 5. **draft** is the attention warp on the two ends alone; **draft, "
        "followed** has also the points followed through the frames between, as at a real cut, where these were filmed. "
        "**mini** is led by the ends' keypoints interpolated linearly (exact body maps, where the thesis has DensePose); "
        "**mini, true keypoints** by the middle frame's own, as far as both ends show them: what remains when the motion is "
        "known.",
        "",
        "**Identity** is the mean cosine between the made head and the two sources' heads, in an embedding trained on "
        f"{PEOPLE} TRAIN people: who it looks like, not where it is. On {len(JUDGES)} people that it has not seen it tells same "
        f"from other with accuracy {judged['accuracy']:.3f} (AUC {judged['auc']:.3f}); heads of one person have a cosine of "
        f"{judged['same']:.2f} in the mean, of two {judged['other']:.2f}. A true frame in another pose does not reach 1: *truth* "
        "is that line, and a mixture of both sources can lie above it. **Realism** is a kernel distance (KID) to the true heads "
        "over the texture statistics of the embedding's early maps; lower is better. ± is half of a 95 % interval: bootstrap, "
        "for KID delete-half jackknife.",
        "",
        *table(found, yaw, rng),
        "",
        *calibration(kept, network),
        "",
        "## The bars",
        "",
        *bars(found, yaw, rng),
        "",
        cause(found, yaw),
        "",
        f"CPU seconds for a middle frame, preparation included: {cost}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of the learned network")
    parser.add_argument("--out", type=Path, required=True, help="folder for the embedding and the made frames")
    parser.add_argument("--clips", type=int, default=300, help="triplets, each of another person (300)")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (1)")
    parser.add_argument("--report", type=Path, default=REPORT, help="the page to write")
    options = parser.parse_args()
    if options.clips < LEAST:
        parser.error(f"--clips: at least {LEAST} are needed for a spread in every line, got {options.clips}.")
    cv2.setNumThreads(options.threads)
    torch.set_num_threads(options.threads)
    mini = Mini(networks.load(options.model))
    mark = hashlib.sha256((options.model / "model.safetensors").read_bytes()).hexdigest()[:8]
    network, judged = embedding(options.out)
    print("face embedding on held-out people:", judged, flush=True)
    kept = gather(options.clips, mini, options.out, mark)
    page = report(kept, measure(kept, network), network, judged, mark)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
