"""The keyframe graph's solver: time, proofs and bounds on random songs and the printed patterns, and CP-SAT beside it.

    python -m benchmarks.dance_graph [--small 20] [--large 20] [--compared 2] [--limit 20]

--small and --large are the instances per row with 6+6 and 12+12 keyframes, --compared how many of each large row CP-SAT gets
too, --limit the seconds of processor time per instance. Prints its tables and writes them to docs/results/dance_graph.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.dance_moves import PHRASES, as_pattern
from genkey_core.dance.graph import ImpossibleDance, Wishes, best_dances
from genkey_core.dance.graph_model import UNIT, constraints, problem
from genkey_core.dance.graph_search import Search
from genkey_core.dance.patterns import PRESETS, Pattern, parse_pattern

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "dance_graph.md"
SMALL_S, LARGE_GAP = 1.0, 0.05  # the bars: seconds for 6+6 keyframes; a bound's distance for 12+12
SMALL_LIMIT_S = 2.0  # of 6+6 keyframes
SEGMENTS = {6: 32, 12: 64}  # of keyframes without their mirrors
LABELS = {6: (10, 8), 12: (10, 12, 16)}
CLASHES = 5


@dataclass(frozen=True)
class Instance:
    """A pattern and the motion [2K 2K] it is to be danced with, in pixels at 1024x576."""

    pattern: Pattern
    motion: np.ndarray


@dataclass(frozen=True)
class Solved:
    """What a solver came to: cost and bound in pixels, seconds of processor and of wall clock."""

    cost: float
    bound: float
    processor_s: float
    wall_s: float

    @property
    def gap(self) -> float:
        return max(0.0, (self.cost - self.bound) / self.cost) if 0 < self.cost < np.inf else float(self.cost > 0)

    @property
    def proven(self) -> bool:
        return self.cost - self.bound < 0.5 / UNIT


def phrased(rng: np.random.Generator, n_labels: int, n_segments: int) -> Pattern:
    """A song of phrases, some mirrored and repeated, in which all `n_labels` motions occur."""
    while True:
        plan: list[tuple[int, bool]] = []
        while len(plan) < n_segments:
            phrase = PHRASES[rng.integers(len(PHRASES))]
            cast = rng.choice(n_labels, 4, replace=False)
            plan += [(int(cast[int(p[0])]), "'" in p) for p in phrase]
        if len({move for move, _ in plan[:n_segments]}) == n_labels:
            return as_pattern(plan[:n_segments])


def shuffled(rng: np.random.Generator, n_labels: int, n_segments: int) -> Pattern:
    """Equally many of every letter in random order, three in ten mirrored: nearly any motion follows any other."""
    moves = rng.permutation(np.arange(n_segments) % n_labels)
    return as_pattern([(int(move), bool(rng.random() < 0.3)) for move in moves])


KINDS: dict[str, Callable[..., Pattern]] = {"phrases": phrased, "shuffled letters": shuffled}


def planted_motion(rng: np.random.Generator, half: int) -> np.ndarray:
    """Motion as flow has it: distances of poses in four dimensions, two of which change sides, off by some 10 %."""
    poses = rng.normal(size=(half, 4))
    poses = np.concatenate([poses, poses * [-1, -1, 1, 1]])
    apart = np.linalg.norm(poses[:, None] - poses[None], axis=2)
    return _even(36 * apart / np.median(apart[apart > 0]) * np.exp(0.1 * rng.normal(size=apart.shape)))


def random_motion(rng: np.random.Generator, half: int) -> np.ndarray:
    """Motion without any order: 5 to 70 pixels from anywhere to anywhere."""
    return _even(rng.uniform(5, 70, (2 * half, 2 * half)))


def _even(motion: np.ndarray) -> np.ndarray:
    """The same for a pair and its mirror, in whole thousandths of a pixel, and none from a keyframe to itself."""
    swap = np.roll(np.arange(len(motion)), len(motion) // 2)
    motion = np.round((motion + motion[np.ix_(swap, swap)]) / 2, 3)
    np.fill_diagonal(motion, 0)
    return motion


def instance(kind: str, half: int, n_labels: int, seed: int) -> Instance:
    """Instance `seed` of a row: even ones have planted motion, odd ones random motion."""
    rng = np.random.default_rng([half, n_labels, list(KINDS).index(kind), seed])
    pattern = KINDS[kind](rng, n_labels, SEGMENTS[half])
    return Instance(pattern, (random_motion if seed % 2 else planted_motion)(rng, half))


def printed(name: str, half: int) -> Instance:
    """A pattern of chapter 7, as long as all of this size, with planted motion."""
    rng = np.random.default_rng([half, list(PRESETS).index(name)])
    return Instance(parse_pattern(PRESETS[name]).fitted(SEGMENTS[half]), planted_motion(rng, half))


def solved(case: Instance, *, limit_s: float) -> Solved:
    """By the product's own search, within seconds of processor time."""
    processor, wall = time.process_time(), time.perf_counter()
    dance = next(best_dances(case.pattern, case.motion, time_limit_s=limit_s, clock=time.process_time))
    return Solved(dance.cost, dance.bound, time.process_time() - processor, time.perf_counter() - wall)


def by_cp_sat(case: Instance, *, limit_s: float) -> Solved:
    """By OR-Tools CP-SAT, two workers, with the search's first dance as a hint; transitions are literals whose sums over
    either end are the ends' literals, so that its relaxation is as tight as that of the search."""
    from ortools.sat.python import cp_model

    processor, wall = time.process_time(), time.perf_counter()
    cost = np.rint(case.motion * UNIT).astype(np.int64)
    task, n = problem(case.pattern, cost, Wishes().single(case.motion)), len(cost)
    model, chosen, sides = constraints(task, n)
    terms = [int(c) * v for own, vs in zip(task.own_cost, chosen, strict=True) for c, v in zip(own, vs, strict=True)]
    for (x, y), (table, possible) in task.tables.items():
        ends, starts = sides[x][1], sides[y][0]
        steps = {(e, s): model.new_bool_var("") for e in ends for s in starts if possible[e, s]}
        for e, literal in ends.items():
            model.add(sum(v for (end, _), v in steps.items() if end == e) == literal)
        for s, literal in starts.items():
            model.add(sum(v for (_, start), v in steps.items() if start == s) == literal)
        terms += [int(table[step]) * v for step, v in steps.items()]
    model.minimize(sum(terms))
    for own, node in zip(chosen, Search(task, n, time_limit_s=limit_s).dive() or (), strict=False):
        for i, literal in enumerate(own):
            model.add_hint(literal, i == node)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.random_seed = 2, 0
    done = threading.Event()
    watch = threading.Thread(target=_stopped_after, args=(solver, done, processor + limit_s))
    watch.start()
    status = solver.solve(model)
    done.set()
    watch.join()
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    value = solver.objective_value / UNIT if found else float("inf")  # none where even the hint was not completed
    bound = solver.best_objective_bound / UNIT
    return Solved(value, bound, time.process_time() - processor, time.perf_counter() - wall)


def _stopped_after(solver, done: threading.Event, processor_s: float) -> None:
    while not done.wait(0.1):
        if time.process_time() > processor_s:
            solver.stop_search()


def conflict(case: Instance) -> tuple[float, float]:
    """Seconds, processor and wall clock, until two labels pinned to one pair are named; raises where they are not."""
    pair = tuple(map(int, np.argwhere((case.motion > 12) & (case.motion < 60))[0]))
    labels = [label for label in case.pattern.distinct if not label.mirrored][:2]
    n = len(case.motion)
    wishes = Wishes.checked(case.pattern, n, pinned={label: [pair] for label in labels})
    processor, wall = time.process_time(), time.perf_counter()
    try:
        next(best_dances(case.pattern, case.motion, wishes))
    except ImpossibleDance as error:
        if len(error.wishes) != 2:
            raise ValueError(f"two wishes conflict, named: {error.wishes}") from error
        return time.process_time() - processor, time.perf_counter() - wall
    raise ValueError("two labels were danced by one pair")


def row(name: str, found: list[Solved]) -> str:
    """A line of the first table."""
    processor, wall, gap = (np.array([getattr(s, key) for s in found]) for key in ("processor_s", "wall_s", "gap"))
    within = sum(s.gap <= LARGE_GAP for s in found)
    return (
        f"| {name} | {sum(s.proven for s in found)} of {len(found)} | {within} of {len(found)} "
        f"| {100 * gap.mean():.1f} / {100 * gap.max():.1f} % | {np.median(processor):.2f} / {processor.max():.2f} s "
        f"| {np.median(wall):.2f} / {wall.max():.2f} s |"
    )


def verdict(half: int, name: str, found: list[Solved], limit_s: float) -> str:
    """Whether a row holds the bar of its size, with figures; the search runs on one core, so processor time is what counts."""
    if half == 6:
        good = [s.proven and s.processor_s < SMALL_S for s in found]
        wanted = f"proven in under {SMALL_S:g} s; slowest {max(s.processor_s for s in found):.2f} s"
    else:
        good = [s.proven or s.gap <= LARGE_GAP for s in found]
        worst = 100 * max(s.gap for s in found)
        wanted = f"proven, or a bound within {100 * LARGE_GAP:g} %, in {limit_s:g} s; worst gap {worst:.1f} %"
    return f"- {'holds' if all(good) else 'missed'}: {name}: {sum(good)} of {len(good)} {wanted}"


def heading(limit_s: float) -> list[str]:
    return [
        "# The keyframe graph's solver",
        "",
        f"Made by `{' '.join(['python -m benchmarks.dance_graph', *sys.argv[1:]])}`; not edited by hand. "
        f"Python {platform.python_version()}, {os.cpu_count()} cores.",
        "",
        f"Instances get {SMALL_LIMIT_S:g} s (6+6) and {limit_s:g} s (12+12) of processor time. The search runs on one core, so a"
        " machine that does nothing else should take about that by the clock; this was not measured. Half of each random row has"
        " planted motion (distances of poses, 10 % off), half random motion (5 to 70 px from anywhere to anywhere), 12 to 60 px"
        " being allowed. *Phrases* are songs as the label benchmark plants them, of moves repeated and mirrored; *shuffled"
        " letters* are equally many of every letter in random order. Printed patterns are those of chapter 7, repeated to the"
        " length of the row. *Gap* is how much better another dance could be at most.",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("small", 20), ("large", 20), ("compared", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--limit", type=float, default=20.0)
    options = parser.parse_args()
    measured = Measured()
    for half in LABELS:
        n = options.small if half == 6 else options.large
        limit_s = SMALL_LIMIT_S if half == 6 else options.limit
        measured.left += groups(half, n)
        measured.clashes.append(clashed(half))
        for name, cases in groups(half, n).items():
            found = [solved(case, limit_s=limit_s) for case in cases]
            measured.rows.append(row(name, found))
            measured.bars.append(verdict(half, name, found, limit_s))
            measured.left.remove(name)
            print(measured.rows[-1], flush=True)
            for i in range(min(options.compared, len(cases)) if half == 12 else 0):
                other = by_cp_sat(cases[i], limit_s=limit_s)
                measured.versus.append(compared(f"{name}, no. {i + 1}", found[i], other))
                print(measured.versus[-1], flush=True)
            write(options.limit, measured)
    print(write(options.limit, measured))


def clashed(half: int) -> str:
    """How long songs of a size take to name two labels pinned to one pair."""
    seconds = [conflict(instance("phrases", half, LABELS[half][0], i)) for i in range(CLASHES)]
    middle, most = np.median(seconds, 0), np.max(seconds, 0)
    return (
        f"- {half}+{half} keyframes, {SEGMENTS[half]} segments, {LABELS[half][0]} labels: {middle[0]:.2f} s of processor time"
        f" (wall clock {middle[1]:.2f} s), at most {most[0]:.2f} s"
    )


@dataclass
class Measured:
    """Lines of the report as far as they are measured."""

    rows: list[str] = field(default_factory=list)
    versus: list[str] = field(default_factory=list)
    clashes: list[str] = field(default_factory=list)
    bars: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # rows of the size at hand that are still to be measured


def groups(half: int, n: int) -> dict[str, list[Instance]]:
    """Rows of a size: the printed patterns, and `n` random instances per kind of pattern and count of labels."""
    size = f"{half}+{half} keyframes, {SEGMENTS[half]} segments"
    found = {f"{size}, printed patterns": [printed(name, half) for name in PRESETS]}
    for kind in KINDS:
        for n_labels in LABELS[half]:
            found[f"{size}, {n_labels} labels, {kind}"] = [instance(kind, half, n_labels, i) for i in range(n)]
    return found


def write(limit_s: float, measured: Measured) -> str:
    """The report as far as it is measured, also into its file."""
    lines = [*heading(limit_s), *tables(measured.rows, measured.versus)]
    if measured.clashes:
        what = f"Two labels pinned to one pair, until both are named ({CLASHES} songs):"
        lines += ["## Wishes that conflict", "", what, "", *measured.clashes, ""]
    load = f"load {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores"
    lines += ["## The bars", "", *measured.bars, *(f"- not measured: {name}" for name in measured.left), ""]
    lines += [f"Bars are held against processor time; wall clocks say how busy the machine was ({load} at the end)."]
    REPORT.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return "\n".join(lines)


def compared(name: str, own: Solved, other: Solved) -> str:
    """A line of the second table."""
    cells = [
        (f"{s.cost:.0f} px, {100 * s.gap:.1f} %" if s.cost < np.inf else "no dance") + f", {s.processor_s:.1f} s"
        for s in (own, other)
    ]
    return f"| {name} | {' | '.join(cells)} |"


def tables(rows: list[str], versus: list[str]) -> list[str]:
    lines = [
        "| instances | proven optimal | gap of 5 % or less | gap, mean / worst | processor time, median / most | wall clock |",
        "|---" * 6 + "|", *rows, "",
    ]  # fmt: skip
    if versus:
        lines += [
            "## CP-SAT on the same instances", "",
            "Two workers, the search's first dance as a hint, and as much processor time; cost, gap and processor time.", "",
            "| instance | own search | CP-SAT |", "|---" * 3 + "|", *versus, "",
        ]  # fmt: skip
    return lines


if __name__ == "__main__":
    main()
