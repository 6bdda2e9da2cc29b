"""The page of `inbetween_variants`: tables with bootstrap intervals, what follows from them, and the contact sheet.

Every statement on the page is computed from the intervals. A difference is *shown* where the 95 % interval of the paired
differences, clip by clip, does not contain 0; the intervals are not corrected for the number of comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

import genkey_core
from benchmarks import metrics
from genkey_core.inbetween.sampling import VARIANTS
from genkey_core.mini.motion_world import KINDS

MEASURES = {  # key -> heading, factor, format, whether lower is better
    "path_px": ("path error, px", 1.0, "{:.2f}", True),
    "tracked_px": ("strongest mover, px", 1.0, "{:.2f}", True),
    "reversals": ("reversals, %", 100.0, "{:.1f}", True),
    "endpoint_db": ("end frames, dB", 1.0, "{:.1f}", False),
    "sharpness": ("sharpness", 1.0, "{:.3f}", False),
}
JUDGED = ("path_px", "reversals")  # what the thesis's ordering is about
BEST, OSCILLATING = "dual", "time_reversal"
RIVALS = ("forward", "time_reversal", "no_rotation", "no_finetuning")
LEGEND = {
    **VARIANTS,
    "truth": "the true clip itself",
    "autoencoder": "the true clip through the model's autoencoder: what a perfect denoiser would show",
    "draft": "the training-free engine; its end frames are the keyframes",
}
AGREEMENT = "inbetween_agreement.md"
ORDER = ("truth", "autoencoder", "draft", "forward", "time_reversal", "no_rotation", "no_finetuning", "dual")


def values(
    records: Sequence[dict], method: str, key: str, *, recurrence: int | None = None, kind: str = ""
) -> np.ndarray:
    """One value per clip, in the order of the seeds; a method that samples nothing is found at any `recurrence`."""
    return np.array([
        r[key] for r in sorted(records, key=lambda r: r["seed"])
        if r["method"] == method and r.get("recurrence") in (None, recurrence) and kind in ("", r["kind"])
    ])  # fmt: skip


def cell(sample: np.ndarray, key: str, *, signed: bool = False) -> str:
    """Mean and its 95 % interval, in the units of the table."""
    _, factor, form, _ = MEASURES[key]
    if not len(sample):
        return "-"
    if not np.isfinite(sample).all():
        return "exact" if np.isposinf(sample).all() else "-"
    form = form.replace(":", ":+") if signed else form
    low, high = interval(sample)
    return f"{form.format(factor * sample.mean())} [{form.format(factor * low)}, {form.format(factor * high)}]"


def interval(sample: np.ndarray) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean; the same sample gives the same one."""
    return metrics.bootstrap_interval(sample, rng=np.random.default_rng(0))


def table(rows: dict[str, list[str]], headings: Sequence[str]) -> list[str]:
    """Markdown lines of a table with the row names in front."""
    lines = [f"| | {' | '.join(headings)} |", "|" + "---|" * (1 + len(headings))]
    return lines + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]


def methods_of(records: Sequence[dict]) -> list[str]:
    there = {r["method"] for r in records}
    return [m for m in ORDER if m in there]


def main_table(records: Sequence[dict], recurrence: int) -> list[str]:
    rows = {
        m: [cell(values(records, m, key, recurrence=recurrence), key) for key in MEASURES] for m in methods_of(records)
    }
    return table(rows, [heading for heading, *_ in MEASURES.values()])


def paired_table(records: Sequence[dict], recurrence: int) -> list[str]:
    """Each method less dual, clip by clip: positive is in dual's favour for errors and reversals."""
    rows = {}
    for method in methods_of(records):
        if method in (BEST, "truth", "autoencoder"):
            continue
        rows[method] = [
            cell(difference(records, method, key, recurrence), key, signed=True)
            if np.isfinite(values(records, method, key, recurrence=recurrence)).all() else "-"
            for key in MEASURES
        ]  # fmt: skip
    return table(rows, [heading for heading, *_ in MEASURES.values()])


def difference(records: Sequence[dict], method: str, key: str, recurrence: int, kind: str = "") -> np.ndarray:
    """`method` less dual on each clip."""
    theirs, ours = (values(records, m, key, recurrence=recurrence, kind=kind) for m in (method, BEST))
    return theirs - ours


def kind_tables(records: Sequence[dict], recurrence: int) -> list[str]:
    """Path error and reversals of each kind of mover."""
    counts = {k: len({r["seed"] for r in records if r["kind"] == k}) for k in KINDS}
    kinds = [k for k in KINDS if counts[k] > 1]
    lines = []
    for key in JUDGED:
        rows = {
            m: [cell(values(records, m, key, recurrence=recurrence, kind=k), key) for k in kinds]
            for m in methods_of(records)
            if m != "truth"
        }
        lines += ["", f"{MEASURES[key][0].capitalize()}, by kind of mover:", ""]
        lines += table(rows, [f"{k} ({counts[k]})" for k in kinds])
    return lines


def standing(records: Sequence[dict], rival: str, key: str, recurrence: int, kind: str = "") -> str:
    """Whether dual is "ahead" of `rival`, "behind" it or "level" with it on `key`, by the paired interval."""
    sample = difference(records, rival, key, recurrence, kind)
    low, high = interval(sample if MEASURES[key][3] else -sample)
    return "ahead" if low > 0 else "behind" if high < 0 else "level"


def verdict(records: Sequence[dict], recurrence: int) -> list[str]:
    """What the intervals say about the thesis's ordering, as Markdown lines."""
    there = methods_of(records)
    rivals = [m for m in RIVALS if m in there]
    if BEST not in there or not rivals:
        return ["The ordering cannot be judged: it needs dual and at least one other variant."]
    lines, ahead = [], True
    for key in JUDGED:
        found = {rival: standing(records, rival, key, recurrence) for rival in rivals}
        ahead &= set(found.values()) == {"ahead"}
        parts = [f"{word} of {_listed(names)}" if word == "ahead" else f"{word} with {_listed(names)}" if word == "level"
                 else f"behind {_listed(names)}"
                 for word in ("ahead", "level", "behind") if (names := [r for r in rivals if found[r] == word])]  # fmt: skip
        lines.append(f"- {MEASURES[key][0]}: dual is {', '.join(parts)}.")
        if "draft" in there:
            lines[-1] += f" Against draft it is {standing(records, 'draft', key, recurrence)}."
    level = [r for r in rivals if any(standing(records, r, key, recurrence) == "level" for key in JUDGED)]
    if level:
        lines.append(
            f"- Paths of {len({r['seed'] for r in records})} clips do not tell dual from {_listed(level)}. What each does "
            "to the two directions before they are fused, where the thesis's reason for rotation lies, is measured by "
            f"itself: [how far the two directions disagree]({AGREEMENT})."
        )
    missing = [m for m in RIVALS if m not in there]
    holds = "**holds**" if ahead and not missing else "**does not hold in full**"
    claim = f"The thesis's ordering, dual best on path error and reversals among the variants, {holds} on these clips"
    claim += f" ({_listed(missing)} not run):" if missing else ":"
    if OSCILLATING in there:
        back = {m: values(records, m, "reversals", recurrence=recurrence).mean() for m in (*rivals, BEST)}
        most = "the most of all variants" if max(back, key=back.get) == OSCILLATING else "not the most of the variants"
        lines.append(f"- Oscillation: {100 * back[OSCILLATING]:.1f} % of time reversal's steps go backwards, {most}.")
    return [claim, "", *lines]


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def sweep(records: Sequence[dict], recurrences: Sequence[int]) -> list[str]:
    """Every recurrence that was tried: the figures, and whether dual leads time reversal there."""
    lines = ["", "## Recurrence", "", "How often each of the first half of the steps is re-noised and repeated.", ""]
    rows = {}
    for r in sorted(recurrences):
        for method in (OSCILLATING, BEST):
            cells = [cell(values(records, method, key, recurrence=r), key) for key in MEASURES]
            rows[f"{method}, {r}"] = cells
    lines += [*table(rows, [heading for heading, *_ in MEASURES.values()]), ""]
    for r in sorted(recurrences):
        words = [f"{standing(records, OSCILLATING, key, r)} on {MEASURES[key][0]}" for key in JUDGED]
        lines.append(f"- At {r}, against time reversal dual is {' and '.join(words)}.")
    return lines


def page(records: Sequence[dict], facts: dict, sheet: str) -> str:
    """The whole page as Markdown."""
    recurrence, o = facts["recurrences"][0], facts["options"]
    n_clips = len({r["seed"] for r in records})
    lines = [
        "# The variants of chapter 5 on the motion world",
        "",
        f"Made by `python -m benchmarks.inbetween_variants`; not edited by hand. genkey_core {genkey_core.__version__}; "
        f"checkpoint {facts['digest']} (SHA-256 over its weights); {n_clips} {facts['split']} clips of "
        f"{facts['world']['frames']} frames of {facts['world']['size']}x{facts['world']['size']}"
        + (f" of the {facts['asked']} asked for" if n_clips < facts["asked"] else "")
        + f"; {o.steps} steps, recurrence {recurrence} in the first {o.recurrence_share:.0%} of them, guidance "
        f"{o.min_guidance:g} to {o.max_guidance:g}, fused by {o.fuse}; {'bfloat16' if facts['half'] else 'float32'} "
        f"on {facts['device']}.",
        "",
        "Every method sees the first and the last frame of a clip that no training has seen, and its noise comes from the "
        "clip's own seed, the same for all variants. Frames are compared as the method left them, the ends not locked.",
        "",
        "- **path error**: distance between where a mover is seen and where the true one is, both as distributions over "
        "the picture (`benchmarks/mover.py`); of two ghosts each pays for its own way; a missing mover costs its whole travel.",
        "- **strongest mover**: mean distance from the true path of the strongest mover that is tracked; a stronger ghost "
        "passes for a mover here.",
        "- **reversals**: share of that track's steps that go against the mover's facing; none in true clips.",
        "- **end frames**: PSNR of the first and last frame. **sharpness**: mean gradient of the frames between, over the "
        "truth's.",
        "- In brackets the 95 % bootstrap interval of the mean over clips (2000 resamplings, seeded).",
        "",
        *[f"- `{m}`: {LEGEND[m]}" for m in methods_of(records)],
        "",
        *main_table(records, recurrence),
        "",
        "## What follows",
        "",
        *verdict(records, recurrence),
    ]
    if BEST in methods_of(records):
        lines += ["", "## Each method less dual, clip by clip", ""]
        lines += [
            f"Positive errors and reversals are in dual's favour. {_caution()}",
            "",
            *paired_table(records, recurrence),
        ]
    lines += ["", "## By kind of mover", *kind_tables(records, recurrence)]
    if len(facts["recurrences"]) > 1 and {BEST, OSCILLATING} <= set(methods_of(records)):
        lines += sweep(records, facts["recurrences"])
    lines += ["", f"![The first clip of every kind: the truth, then each method]({sheet})"]
    return "\n".join(lines) + "\n"


def _caution() -> str:
    return "An interval that contains 0 shows no difference; the intervals are not corrected for their number."


def write_sheet(blocks: Sequence[Sequence[tuple[str, np.ndarray]]], file: Path) -> None:
    """Writes a PNG of labelled rows of frames: `blocks` of (label, clip uint8 [T H W 3]) with a gap between them."""
    margin, rows = 92, []
    for block in blocks:
        for label, clip in block:
            side = max(64, clip.shape[1])
            strip = np.concatenate([cv2.resize(f, (side, side), interpolation=cv2.INTER_CUBIC) for f in clip], axis=1)
            name = np.full((side, margin, 3), 255, np.uint8)
            cv2.putText(name, label, (3, side // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
            rows.append(np.concatenate([name, strip], axis=1))
        rows.append(np.full((8, rows[-1].shape[1], 3), 255, np.uint8))
    sheet = cv2.cvtColor(np.concatenate(rows[:-1]), cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(file), sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f"{file} could not be written")
