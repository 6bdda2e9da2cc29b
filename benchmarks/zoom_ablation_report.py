"""The page of `zoom_ablation`: tables with bootstrap intervals, which of the thesis's orderings hold, the contact sheet.

Every statement is computed from the records. A difference is *shown* where the 95 % interval of the paired differences,
stack by stack, does not contain 0; the intervals are not corrected for their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import genkey_core
from benchmarks.variants_report import interval, table
from genkey_core.zoom.sampling import VARIANTS

BEST, FREE = "joint", "independent"
ORDER = (*VARIANTS, "outpainting", "super_resolution", "true", "true_nested")
LEGEND = {
    **VARIANTS,
    "outpainting": "from the closest level outwards, what lies around it painted by the same network",
    "super_resolution": "from the widest level inwards, its middle enlarged by the same network",
    "true": "scenes of the world for the same words, each by itself",
    "true_nested": "the same, each with the next one in its middle: such scenes are three in four of those the model has seen",
}
MEASURES = {  # key -> heading, factor, format
    "shown_db": ("shown, dB", 1.0, "{:.1f}"),
    "drawn_db": ("drawn, dB", 1.0, "{:.1f}"),
    "seam": ("seam", 1.0, "{:.2f}"),
    "sharpness": ("sharpness", 1.0, "{:.3f}"),
    "deepest_sharpness": ("deepest level", 1.0, "{:.3f}"),
    "kind": ("kind, %", 100.0, "{:.0f}"),
    "all_words": ("all words, %", 100.0, "{:.0f}"),
}
LITTLE_SHARPNESS, LITTLE_FAITH = 0.10, 0.05  # what "a little" may be: a tenth of the detail, five of a hundred pictures
ALIKE = ("forest", "veins", "cells", "city", "transistors")  # kinds whose pictures fit into their own middle
SHEET_STACKS, SHEET_SIDE = 3, 96


@dataclass(frozen=True)
class Facts:
    """How the records were made."""

    digest: str
    levels: int
    steps: int
    guidance_scale: float
    precision: str
    accuracy: str  # of the judge


class Table:
    """The records by method and measure."""

    def __init__(self, records: Sequence[dict]):
        self._records = sorted(records, key=lambda r: r["seed"])
        free = {r["seed"]: r for r in records if r["method"] == FREE}
        for r in self._records:
            for key in ("detail", "deepest_detail"):
                r[key.replace("detail", "sharpness")] = r[key] / free[r["seed"]][key]
        self.methods = [m for m in ORDER if any(r["method"] == m for r in records)]
        self.n_stacks = len(free)

    def of(self, method: str, key: str) -> np.ndarray:
        """One value per stack, in the order of the seeds."""
        return np.array([r[key] for r in self._records if r["method"] == method], dtype=float)

    def less(self, method: str, other: str, key: str) -> tuple[float, float, float]:
        """(mean, low, high) of the paired difference `method` less `other`, or of a part of each."""
        difference = self.of(method, key) - self.of(other, key)
        return float(difference.mean()), *interval(difference)

    def part(self, method: str, levels: slice) -> np.ndarray:
        """Share of right kinds among some of the levels, per stack."""
        return np.array([np.mean(r["kind_by_level"][levels]) for r in self._records if r["method"] == method])


def cell(sample: np.ndarray, key: str) -> str:
    _, factor, form = MEASURES[key]
    mean, low, high = (form.format(factor * v) for v in (sample.mean(), *interval(sample)))
    return mean if low == mean == high else f"{mean} [{low}, {high}]"


def _said(difference: tuple[float, float, float], factor: float, form: str, unit: str) -> str:
    mean, low, high = (form.format(factor * v) for v in difference)
    return f"{mean} [{low}, {high}]{unit}"


def orderings(t: Table) -> list[str]:
    """The thesis's claims (Figs. 6.7 and 6.10, section 6.3) one by one, and whether these stacks show them."""
    rivals = [m for m in VARIANTS if m != BEST]
    found = {m: t.less(BEST, m, "drawn_db") for m in rivals}
    lines = [
        _claim("Independent levels do not agree, joint ones do", found[FREE][1] > 0, found[FREE][2] < 0,
               f"what the network draws agrees better by {_said(found[FREE], 1, '{:+.1f}', ' dB')}; as shown it is "
               f"{t.of(FREE, 'shown_db').mean():.1f} against {t.of(BEST, 'shown_db').mean():.1f} dB (60 is rounding alone)"),
        _claim("Joint sampling is consistent like no other variant, by what is drawn", all(d[1] > 0 for d in found.values()),
               any(d[2] < 0 for d in found.values()),
               "joint less the others: " + ", ".join(f"{m} {_said(d, 1, '{:+.1f}', ' dB')}" for m, d in found.items())),
    ]  # fmt: skip
    seams = {m: t.less(m, BEST, "seam") for m in rivals}
    less = ", ".join(f"{m} {_said(d, 1, '{:+.2f}', '')}" for m, d in seams.items())
    lines.append(_claim("The same by its seams", all(d[1] > 0 for d in seams.values()), any(d[2] < 0 for d in seams.values()),
                        f"the others less joint: {less}"))  # fmt: skip
    seam = seams["iterative"]
    lines.append(_claim("Iterative sampling leaves seams at the borders of layers", seam[1] > 0, seam[2] < 0,
                        f"its seam less joint's is {_said(seam, 1, '{:+.2f}', '')}"))  # fmt: skip
    for method, words in (
        ("naive_blend", "Naive blending blurs deeper levels"),
        ("random_noise", "Noise of its own for every level blurs"),
    ):
        key = "deepest_sharpness" if method == "naive_blend" else "sharpness"
        less = t.less(method, BEST, key)
        lines.append(_claim(words, less[2] < 0, less[1] > 0,
                            f"its {MEASURES[key][0]} less joint's is {_said(less, 1, '{:+.3f}', '')}"))  # fmt: skip
    lines += [_price(t, "sharpness", LITTLE_SHARPNESS, "sharpness"), _price(t, "kind", LITTLE_FAITH, "faithfulness")]
    return lines + _baselines(t)


def _claim(words: str, shown: bool, contrary: bool, figures: str) -> str:
    verdict = "**holds**" if shown else "**the contrary is shown**" if contrary else "**is not shown**"
    return f"- {words}: {verdict}; {figures}."


def _price(t: Table, key: str, little: float, word: str) -> str:
    """Whether joint loses at most a little against independent sampling."""
    mean, low, high = t.less(BEST, FREE, key)
    verdict = "**holds**" if low >= -little else "**does not hold**" if high < -little else "**is not settled**"
    return (
        f"- It costs at most {100 * little:.0f} points of {word}: {verdict}; joint less independent is "
        f"{_said((mean, low, high), 100, '{:+.1f}', ' points')}."
    )


def _baselines(t: Table) -> list[str]:
    """Where the two baselines lose: at the end of their chain."""
    lines = []
    for method, end, words in (
        ("outpainting", slice(0, 1), "Progressive outpainting accumulates errors outwards"),
        (
            "super_resolution",
            slice(-1, None),
            "Progressive super-resolution does not draw what its prompts newly ask for",
        ),
    ):
        difference = t.part(method, end) - t.part(BEST, end)
        low, high = interval(difference)
        where = "widest" if end.start == 0 else "closest"
        lines.append(_claim(words, high < 0, low > 0,
                            f"the {where} level is of the right kind in {100 * t.part(method, end).mean():.0f} % of stacks, of "
                            f"joint's in {100 * t.part(BEST, end).mean():.0f} % (difference "
                            f"{_said((difference.mean(), low, high), 100, '{:+.0f}', ' points')})"))  # fmt: skip
    return lines


def reasons(t: Table, alike: Table | None) -> list[str]:
    """What the figures say about why an ordering fails; a sentence only where they say it."""
    lines, drawn = [], {m: t.of(m, "drawn_db").mean() for m in t.methods}
    kinds = {m: 100 * t.of(m, "kind").mean() for m in t.methods}
    if max(drawn["iterative"], drawn["naive_blend"]) >= drawn[BEST] - 0.5:
        lines.append(
            "- Drawn agreement hardly tells variants apart that render from a stack: at the last step so little noise is left "
            "that the network gives back what it was shown, and the blurred levels of naive blending have the least to disagree "
            "on. What is left of a disagreement stands at the borders of layers, where the seam is measured."
        )
    if t.less(BEST, FREE, "kind")[2] >= 0:
        return lines
    first, last = (100 * t.part(BEST, slice(*ends)).mean() for ends in ((0, 1), (-1, None)))
    lines.append(
        f"- Where joint loses faithfulness: its widest level is of the right kind in {first:.0f} % of stacks, its closest in "
        f"{last:.0f} %. A closer level shares its coarse bands with all wider views, and these were asked for something else; "
        "section 6.4 names prompts whose pictures do not fit into one another. Scenes drawn by themselves do not: they agree at "
        f"{t.of('true', 'shown_db').mean():.1f} dB. Laid into one another, as the model has learned from them, they agree at "
        f"{t.of('true_nested', 'shown_db').mean():.1f} dB, and the judge takes {kinds['true_nested']:.0f} % of them for what "
        f"they are. Joint has {kinds[BEST]:.0f} %: the rest is what the model does not draw of such pictures, or the method's."
    )
    if t.less("iterative", BEST, "kind")[1] > 0 and t.less("iterative", BEST, "seam")[1] > 0:
        lines[-1] += (
            f" Iterative sampling and outpainting keep more of the kinds ({kinds['iterative']:.0f} and "
            f"{kinds['outpainting']:.0f} %): they lay one picture into another and leave a border instead of a transition."
        )
    if alike is not None:
        kind, sharp = (_said(alike.less(BEST, FREE, key), 100, "{:+.1f}", " points") for key in ("kind", "sharpness"))
        joint, free = (100 * alike.of(m, "kind").mean() for m in (BEST, FREE))
        lines.append(
            f"- In {alike.n_stacks} stacks whose levels all ask for one kind that looks alike at every scale "
            f"({', '.join(sorted(ALIKE))}), joint less independent is {kind} of faithfulness (right kinds: joint {joint:.0f} %, "
            f"independent {free:.0f} %) and {sharp} of sharpness. {_rest(t, alike)}"
        )
    return lines


def _rest(t: Table, alike: Table) -> str:
    """How much of joint's loss is left where prompts do not contradict one another."""
    (lost, *_), (left, low, high) = (each.less(BEST, FREE, "kind") for each in (t, alike))
    if low > -LITTLE_FAITH:
        return "Where prompts fit, joint keeps what they ask for."
    if left <= lost:
        return (
            "More is lost than where neighbouring kinds are asked for: the model has learned from these in one another, and from "
            "no kind in itself."
        )
    unknown = "a loss is left that it does not explain" if high < 0 else "whether any loss is left is not settled"
    return f"Contradiction explains about {1 - left / lost:.0%} of the loss; {unknown}."


def by_level(t: Table, n_levels: int) -> list[str]:
    rows = {m: [cell(t.part(m, slice(i, i + 1)), "kind") for i in range(n_levels)] for m in t.methods}
    return table(rows, [f"level {i + 1}" for i in range(n_levels)])


def page(t: Table, facts: Facts, sheet: str, alike: Table | None = None) -> str:
    rows = {m: [cell(t.of(m, key), key) for key in MEASURES] for m in t.methods}
    differences = {
        m: [_said(t.less(m, BEST, key), factor, form.replace(":", ":+"), "") for key, (_, factor, form) in MEASURES.items()]
        for m in t.methods if m in LEGEND and m not in (BEST, "true", "true_nested")
    }  # fmt: skip
    headings = [heading for heading, *_ in MEASURES.values()]
    lines = [
        "# Joint sampling, its ablations and two baselines on the mini model",
        "",
        f"Made by `python -m benchmarks.zoom_ablation`; not edited by hand. genkey_core {genkey_core.__version__}; checkpoint "
        f"{facts.digest} (SHA-256 over its weights); {t.n_stacks} stacks of {facts.levels} levels of 64x64, half of them "
        f"with p = 2, half with p = 4; {facts.steps} steps, guidance {facts.guidance_scale:g}, {facts.precision} on the CPU. "
        "Each stack has its own words and seed, the same for all methods. Both baselines are the mini model itself, held to "
        "what is known at every step by replacing (outpainting) or correcting (super-resolution) its clean estimates: there is "
        "no inpainting or upscaling model of this world.",
        "",
        "- **shown**: PSNR between the middle of each level and the next one downsampled, as 8-bit pictures. Whatever is "
        "rendered from a stack agrees by construction, so also:",
        "- **drawn**: the same of what the network itself drew at the last step, before anything was brought to agree.",
        "- **seam**: the step across the border of the next level over steps beside it; 1 is no seam. Levels of independent "
        "sampling are laid into one another for it, as a zoom shows them.",
        "- **sharpness**: finest octave of the pixels that are a level's own, over independent sampling's; **deepest level** "
        "alone.",
        "- **kind, all words**: share of levels that a classifier takes for what was asked. It was trained on rendered scenes "
        f"alone and is right for {facts.accuracy}.",
        "- In brackets the 95 % bootstrap interval of the mean over stacks (2000 resamplings, seeded).",
        "",
        *[f"- `{m}`: {LEGEND[m]}" for m in t.methods],
        "",
        *table(rows, headings),
        "",
        "## What follows",
        "",
        *orderings(t),
        "",
        *reasons(t, alike),
        "",
        "## Each method less joint, stack by stack",
        "",
        *table(differences, headings),
        "",
        "## The right kind, by level, %",
        "",
        *by_level(t, facts.levels),
        "",
        f"![The first stacks: every method, the widest level first]({sheet})",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def contact_sheet(pictures: dict[tuple[int, str], np.ndarray], stacks: dict, methods: Sequence[str]) -> Image.Image:
    """A row per method, the levels of a few stacks beside one another."""
    seeds = sorted({seed for seed, _ in pictures})[:SHEET_STACKS]
    rows = [m for m in methods if m != "true_nested"]
    n, margin, head, gap = len(pictures[seeds[0], BEST]), 110, 16, 8
    width = margin + len(seeds) * (n * SHEET_SIDE + gap)
    sheet = Image.new("RGB", (width, head + len(rows) * SHEET_SIDE), "white")
    draw = ImageDraw.Draw(sheet)
    for row, method in enumerate(rows):
        top = head + row * SHEET_SIDE
        draw.text((4, top + SHEET_SIDE // 2 - 6), method, fill="black")
        for column, seed in enumerate(seeds):
            left = margin + column * (n * SHEET_SIDE + gap)
            draw.text((left, 2), f"seed {seed}, p = {stacks[seed].p}", fill="black")
            for i, level in enumerate(pictures[seed, method]):
                tile = Image.fromarray(level).resize((SHEET_SIDE, SHEET_SIDE), Image.Resampling.BICUBIC)
                sheet.paste(tile, (left + i * SHEET_SIDE, top))
    return sheet.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)


def write(
    report: Path, records: Sequence[dict], pictures: dict, stacks: dict, facts: Facts, *, alike: Sequence[dict] = ()
) -> None:
    """The page, and beside it the contact sheet (under 1 MB); `alike` are records of stacks of one kind each."""
    t = Table(records)
    report.parent.mkdir(parents=True, exist_ok=True)
    sheet = report.with_suffix(".png")
    contact_sheet(pictures, stacks, t.methods).save(sheet, optimize=True)
    report.write_text(page(t, facts, sheet.name, Table(alike) if alike else None), encoding="utf-8")
