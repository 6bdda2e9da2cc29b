"""Choreographies with known labels: moves drawn from nothing or cut from motion capture, repeated, mirrored, warped, disturbed.

Used by `dance_labels` and by the tests. All draws come from the generator that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from genkey_core.dance.choreography import segment_distances, segments_of
from genkey_core.dance.kinematics import at_times, joint_positions, matrices_of
from genkey_core.dance.motion import Motion
from genkey_core.dance.patterns import Label, Pattern
from genkey_core.dance.skeleton import INDEX, N_JOINTS

FPS = 30.0
DISTINCT_M = 0.12  # moves must differ by this much, in mean joint distance along the best time warp
NOISE_S = 0.2  # how long the error of a joint lasts: pose estimators err smoothly, which is harder than jitter
# What a phrase of a dance does with the moves at hand; digits are moves, a prime its mirror.
PHRASES = (
    ("0", "0'", "0", "0'"), ("0", "0", "0", "0"), ("0", "1", "0'", "1'"), ("0", "1", "0", "1"), ("0", "1", "2", "3"),
    ("0", "0", "1", "1"), ("0", "0'", "1", "1'"), ("0", "1"), ("0", "0'"), ("0", "0", "0'", "0'"), ("0",),
)  # fmt: skip


@dataclass(frozen=True)
class Move:
    """One move: `motion` of any length; whether its mirror is another move, by `DISTINCT_M` or by where it goes."""

    motion: Motion
    mirrors: bool


@dataclass(frozen=True)
class Planted:
    """A dance with its true pattern."""

    motion: Motion
    beat_times_s: np.ndarray
    pattern: Pattern

    @property
    def segments_s(self) -> np.ndarray:
        return segments_of(self.beat_times_s)


def drawn_move(rng: np.random.Generator) -> Motion:
    """A move of SMPL-X poses from nothing: a start, a turning point and an end, over some parts of the body."""
    keys = np.zeros((3, N_JOINTS, 3))
    keys += _stance()
    symmetric = rng.random() < 0.25
    parts = rng.permutation(["arms", "arms", "legs", "trunk", "head", "turn"])[: rng.integers(2, 5)]
    for part in parts:
        for key in keys[rng.integers(0, 2) :]:
            _bend(key, part, rng, symmetric)
    keys[:, 0] += rng.normal(0, 0.05, 3)
    turning = float(rng.uniform(0.35, 0.65))
    positions = np.interp(np.linspace(0, 1, 24), [0, turning, 1], [0, 1, 2])
    positions = np.floor(positions) + _eased(positions - np.floor(positions))
    way_m = np.zeros(3)
    if symmetric or rng.random() < 0.4:  # a symmetric pose may still go to one side
        way_m = rng.uniform([-0.5, 0, -0.2], [0.5, 0, 0.2])
        way_m[0] += np.sign(way_m[0]) * 0.15
    travel = np.linspace(0, 1, 24)[:, None] * way_m
    return Motion(at_times(matrices_of(keys), positions), travel, 23.0, "drawn")


def _stance() -> np.ndarray:
    """Arms hanging from the T-pose, knees a little bent; axis-angle [22 3]."""
    pose = np.zeros((N_JOINTS, 3))
    for side, sign in (("left", -1), ("right", 1)):
        pose[INDEX[f"{side}_shoulder"]] = [0, 0, sign * 1.2]
        pose[INDEX[f"{side}_elbow"]] = [0, sign * 0.3, 0]
        pose[INDEX[f"{side}_hip"]] = [-0.15, 0, 0]
        pose[INDEX[f"{side}_knee"]] = [0.3, 0, 0]
    return pose


def _bend(pose: np.ndarray, part: str, rng: np.random.Generator, symmetric: bool) -> None:
    """Change one part of a pose, in place; ranges of radians are about those of dancers."""
    sides = (("left", -1.0), ("right", 1.0))
    one = rng.integers(0, 3)  # left alone, right alone, both
    if part == "arms":
        low, high = [-1.4, -1.4, 0.0], [1.3, 1.0, 2.2]
        both = rng.uniform(low, high)
        for i, (side, sign) in enumerate(sides):
            lift, forward, elbow = both if symmetric else rng.uniform(low, high)
            if symmetric or one in (i, 2):
                pose[INDEX[f"{side}_shoulder"]] = [0, sign * forward, -sign * lift]
                pose[INDEX[f"{side}_elbow"]] = [0, sign * elbow, 0]
    elif part == "legs":
        bend, raised, aside = rng.uniform([0.2, 0.3, 0.0], [1.2, 1.5, 0.6])
        for i, (side, sign) in enumerate(sides):
            lifted = not symmetric and i == one % 2
            hip = -raised if lifted else -bend / 2
            pose[INDEX[f"{side}_hip"]] = [hip, 0, -sign * aside]
            pose[INDEX[f"{side}_knee"]] = [1.1 * raised if lifted else bend, 0, 0]
    elif not symmetric or part != "turn":
        bend, twist, lean = rng.uniform([-0.3, -0.7, -0.4], [0.7, 0.7, 0.4]) * [
            1,
            0 if symmetric else 1,
            0 if symmetric else 1,
        ]
        joints = {"trunk": ("spine1", "spine2", "spine3"), "head": ("neck", "head"), "turn": ("pelvis",)}[part]
        for name in joints:
            pose[INDEX[name]] = (
                np.array([bend, twist, lean]) / len(joints) * (1.0 if part != "turn" else [0.2, 1.0, 0.3])
            )


def _eased(u: np.ndarray) -> np.ndarray:
    return u * u * (3 - 2 * u)


def drawn_library(rng: np.random.Generator, n: int) -> list[Move]:
    """`n` distinct drawn moves."""
    return distinct(lambda: drawn_move(rng), n)


def real_library(rng: np.random.Generator, motions: Sequence[Motion], n: int) -> list[Move]:
    """`n` distinct moves cut from motion capture: any recording, anywhere, 0.4 to 0.7 s long."""

    def cut() -> Motion:
        motion = motions[rng.integers(len(motions))]
        length_s = rng.uniform(0.4, 0.7)
        start_s = rng.uniform(0, motion.duration_s - length_s)
        return motion.between(start_s, start_s + length_s)

    return distinct(cut, n)


def distinct(draw: Callable[[], Motion], n: int) -> list[Move]:
    """Draw until `n` moves differ from each other and from each other's mirrors by `DISTINCT_M`.

    Judged on joint positions, not on the rotations that the method compares. A move that barely differs from its own mirror
    is kept, and never planted mirrored unless it goes to one side.
    """
    moves, forms = [], []
    for _ in range(400 * n):
        motion = draw()
        form, mirror = _form(motion), _form(motion.mirrored())
        apart = _apart([form, mirror, *forms])
        if forms and apart[:2, 2:].min() < DISTINCT_M:
            continue
        way_m = motion.translation_m[-1] - motion.translation_m[0]
        own = float(apart[0, 1])
        if DISTINCT_M / 2 < own < DISTINCT_M:  # neither symmetric nor not: people would not agree on it either
            continue
        sideways = own <= DISTINCT_M / 2 and abs(way_m[0]) > max(0.12, 0.5 * np.abs(way_m[2]))
        moves.append(Move(motion, bool(own >= DISTINCT_M or sideways)))
        forms.append(form)
        if len(moves) == n:
            return moves
    raise RuntimeError(f"only {len(moves)} of {n} distinct moves were found")


def _form(motion: Motion) -> np.ndarray:
    """Joint positions relative to the root at 12 instants: [12 22 3]."""
    even = motion.sampled(np.linspace(0, motion.duration_s, 12))
    return joint_positions(even.rotations, np.zeros((12, 3)))


def _apart(forms: list[np.ndarray]) -> np.ndarray:
    """Mean joint distance in metres along the best time warp, of every form to every other: [N N]."""
    flat = np.concatenate(forms).astype(np.float32)
    cost = np.mean([np.linalg.norm(flat[:, None, j] - flat[None, :, j], axis=-1) for j in range(N_JOINTS)], axis=0)
    return segment_distances(cost, len(forms))


def random_pattern(rng: np.random.Generator, library: Sequence[Move], n_segments: int) -> tuple[Pattern, list[tuple]]:
    """A pattern of phrases over the library, and for every segment (number of its move, whether mirrored)."""
    plan: list[tuple[int, bool]] = []
    while len(plan) < n_segments:
        phrase = PHRASES[rng.integers(len(PHRASES))]
        cast = rng.choice(len(library), 4, replace=False)
        plan += [(int(cast[int(p[0])]), "'" in p and library[cast[int(p[0])]].mirrors) for p in phrase]
    plan = plan[:n_segments]
    return as_pattern(plan), plan


def as_pattern(plan: Sequence[tuple[int, bool]]) -> Pattern:
    return Pattern(tuple(Label(chr(65 + move), mirrored) for move, mirrored in plan))


def planted_dance(
    rng: np.random.Generator, library: Sequence[Move], *, noise_deg: float, n_segments: int | None = None
) -> Planted:
    """A dance of 16 to 32 segments at 90 to 140 bpm, drifting; every segment warped in time, then every joint disturbed."""
    n_segments = int(rng.integers(16, 33)) if n_segments is None else n_segments
    pattern, plan = random_pattern(rng, library, n_segments)
    beat_s = 60 / rng.uniform(90, 140) * (1 + rng.uniform(-0.06, 0.06) * np.linspace(-1, 1, 2 * n_segments))
    beats_s = 0.3 + np.concatenate([[0], np.cumsum(beat_s)[:-1]])
    beats_s += rng.normal(0, 0.01, len(beats_s))
    key_times, poses, places = [], [], []
    where = np.zeros(3)
    for (number, mirrored), start_s, end_s in zip(plan, beats_s[::2], beats_s[1::2], strict=True):
        move = library[number].motion
        move = move.mirrored() if mirrored else move
        n = max(round((end_s - start_s) * 60), 8)
        part = move.sampled(_warped(rng, n) * move.duration_s)
        shift_s = rng.normal(0, 0.015)  # dancers are a little early or late
        key_times.append(np.linspace(start_s, end_s, n) + shift_s)
        poses.append(part.rotations)
        places.append(where + part.translation_m - part.translation_m[0])
        where = 0.5 * places[-1][-1]  # and come back between moves
    motion = _even(np.concatenate(key_times), np.concatenate(poses), np.concatenate(places), beats_s[-1] + 0.3)
    return Planted(disturbed(motion, rng, noise_deg), beats_s, pattern)


def _warped(rng: np.random.Generator, n: int) -> np.ndarray:
    """A smooth monotone map of [0, 1] that is off by up to a tenth in the middle."""
    u = np.linspace(0, 1, n)
    a, b = rng.uniform(-0.1, 0.1), rng.uniform(-0.04, 0.04)
    return np.clip(u + a * np.sin(np.pi * u) + b * np.sin(2 * np.pi * u), 0, 1)


def _even(times_s: np.ndarray, poses: np.ndarray, places: np.ndarray, end_s: float) -> Motion:
    frames_s = np.arange(int(end_s * FPS) + 1) / FPS
    positions = np.interp(frames_s, times_s, np.arange(len(times_s)))
    way = np.stack([np.interp(frames_s, times_s, axis) for axis in places.T], axis=1)
    return Motion(at_times(poses, positions), way, FPS, "planted")


def disturbed(motion: Motion, rng: np.random.Generator, noise_deg: float, noise_s: float = NOISE_S) -> Motion:
    """Turn every joint by a random rotation of `noise_deg` degrees root mean square that lasts about `noise_s`; 2 cm of root.

    Axis-angle components are an Ornstein-Uhlenbeck process; `noise_s` 0 is a fresh draw in every frame.
    """
    if noise_deg <= 0:
        return motion
    n = len(motion.rotations)
    keep = np.exp(-1 / (noise_s * motion.fps)) if noise_s > 0 else 0.0
    fresh = rng.normal(0, 1, (n, N_JOINTS + 1, 3))
    noise = np.empty_like(fresh)
    noise[0] = fresh[0]
    for i in range(1, n):
        noise[i] = keep * noise[i - 1] + np.sqrt(1 - keep**2) * fresh[i]
    turns = matrices_of(noise[:, :N_JOINTS] * np.deg2rad(noise_deg) / np.sqrt(3))
    return Motion(
        motion.rotations @ turns,
        motion.translation_m + 0.02 / np.sqrt(3) * noise[:, N_JOINTS],
        motion.fps,
        motion.source,
    )
