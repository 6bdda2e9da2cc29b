"""Triplets of the presenter world with held-out people, and what makes their middle frames (thesis section 4.3.2).

A triplet is three frames of one motion, equally spaced; methods see the outer two, and the middle one is the truth. The
learned network is led by keypoints interpolated linearly between those of the ends, as in the thesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from benchmarks.presenter_scores import head_box
from genkey_core.checks import InputError
from genkey_core.inbetween.draft import DraftPair
from genkey_core.jumpcut import keypoints, networks
from genkey_core.jumpcut.tracks import Tracker
from genkey_core.jumpcut.warp import AttentionWarp
from genkey_core.media import to_float, to_uint8
from genkey_core.mini import presenter_world

FIRST_SEED = 900_200  # the people before are shown in the previews of the training
STRATA_DEG = (0, 15, 30, 45, 60)  # lower bounds of the change of yaw between the ends
SPACING = (5, 20)  # frames from an end to the middle, at 25 fps
TRIES = 8  # people that a number may choose from
N_FRAMES = 250  # of a motion that triplets are drawn from
CROSS, FLOW, DRAFT, FOLLOWED, MINI, MINI_TRUE = (
    "cross-dissolve", "flow", "draft", "draft, followed", "mini", "mini, true keypoints",
)  # fmt: skip
METHODS = (CROSS, FLOW, DRAFT, FOLLOWED, MINI, MINI_TRUE)


@dataclass(frozen=True)
class Drawn:
    """One frame of the world."""

    image: np.ndarray  # uint8 [H W 3]
    iuv: np.ndarray  # [H W 3]
    landmarks: np.ndarray  # [L 3]

    def points(self, cells: int) -> np.ndarray:  # [K + L 5]
        return keypoints.extract(self.iuv, n=cells, landmarks=self.landmarks)


@dataclass(frozen=True)
class Triplet:
    """Three frames, `spacing` apart, and those that a cut between the outer two would remove."""

    seed: int
    start: Drawn
    truth: Drawn
    end: Drawn
    removed: tuple[np.ndarray, ...]  # uint8 [H W 3] each, between start and end
    yaw_change_deg: float

    def box(self) -> np.ndarray | None:
        """The mean of the head's squares at both ends: where every method puts it."""
        boxes = [head_box(end.iuv) for end in (self.start, self.end)]
        return None if any(box is None for box in boxes) else (boxes[0] + boxes[1]) / 2


def stratum(change_deg: float) -> int:
    """Number of the last of STRATA_DEG that `change_deg` reaches."""
    return int(np.searchsorted(STRATA_DEG, change_deg, side="right")) - 1


def draw(seed: int, wanted: int, size: int, *, removed: bool = True) -> Triplet | None:
    """A triplet of presenter `seed` whose yaw changes as much as stratum `wanted` says; None where its motion has none."""
    rng = np.random.default_rng([4, 32, seed])
    moves = presenter_world.motion(seed, N_FRAMES)
    found = []
    for spacing in range(SPACING[0], SPACING[1] + 1):
        change = np.abs(moves.yaw_deg[2 * spacing :] - moves.yaw_deg[: -2 * spacing])
        found += [(int(first), spacing) for first in np.flatnonzero([stratum(c) == wanted for c in change])]
    if not found:
        return None
    first, spacing = found[rng.integers(len(found))]
    person, last = presenter_world.presenter(seed, size), first + 2 * spacing
    start, truth, end = (Drawn(*person.draw(moves.at(k))) for k in (first, first + spacing, last))
    between = [person.draw(moves.at(k))[0] for k in range(first + 1, last)] if removed else []
    return Triplet(seed, start, truth, end, tuple(between), float(abs(moves.yaw_deg[last] - moves.yaw_deg[first])))


def triplet(k: int, size: int, *, removed: bool = True) -> Triplet:
    """Triplet number `k`, of someone that no other number shows; the strata take turns, so that each holds as many.

    Raises InputError where there are no more held-out people.
    """
    for seed in range(FIRST_SEED + k * TRIES, FIRST_SEED + (k + 1) * TRIES):
        if seed not in presenter_world.VALIDATION_SEEDS:
            raise InputError(f"triplets: there are no held-out people for number {k}; ask for fewer.")
        found = draw(seed, k % len(STRATA_DEG), size, removed=removed)
        if found is not None:
            return found
    raise InputError(f"triplets: none of {TRIES} people turns as far as number {k} wants.")


class Mini:
    """The learned network on pictures of its own size."""

    def __init__(self, network: networks.Synthesis):
        self.network, self.cells, self.size = network, network.config.cells, network.config.size

    def middle(self, ends: Sequence[Drawn], others: Sequence[Drawn] = (), *, target: Drawn | None = None) -> np.ndarray:
        """The frame half-way between two ends, drawn from them and `others`; uint8 [H W 3].

        Led by the ends' keypoints interpolated, or by those of `target` that both ends show. The random code is zero,
        the mean of what the network was trained with.
        """
        points = [each.points(self.cells) for each in (*ends, *others)]
        led = keypoints.interpolate(points[0], points[1], 0.5)
        if target is not None:
            led = keypoints.masked(target.points(self.cells), keypoints.common(*points[:2]))
        grids = np.stack([keypoints.splat(p, n=self.cells, height=self.size, width=self.size) for p in (*points, led)])
        grids = torch.as_tensor(grids).movedim(-1, -3)[None]
        pictures = to_float(np.stack([each.image for each in (*ends, *others)]))[None]
        z = torch.zeros(1, self.network.config.latent)
        with torch.no_grad():
            return to_uint8(self.network(pictures, grids[:, :-1], grids[:, -1], z)[0])


def made(method: str, triplet: Triplet, mini: Mini) -> np.ndarray:  # uint8 [H W 3]
    """The middle frame of a triplet by one of METHODS."""
    start, end = triplet.start.image, triplet.end.image
    if method == CROSS:
        return cv2.addWeighted(start, 0.5, end, 0.5, 0)
    if method == FLOW:
        return DraftPair(start, end).frame(0.5)
    if method == DRAFT:
        return warped(AttentionWarp(), start, end)
    if method == FOLLOWED:
        tracker = Tracker(start)
        for frame in (*triplet.removed, end):
            tracker.add(frame)
        return warped(AttentionWarp(tracks=tracker.tracks()), start, end)
    target = triplet.truth if method == MINI_TRUE else None
    return mini.middle((triplet.start, triplet.end), target=target)


def warped(engine: AttentionWarp, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The draft's frame half-way."""
    (frame,) = engine.between(start, end, np.array([0.5]))
    return frame
