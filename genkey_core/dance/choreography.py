"""Choreography patterns read from motion: which segments are the same move, and which its mirror (thesis section 7.2.1).

    found = read_choreography(motion, segments_s)
    print(found.pattern)  # A-A'-B-C-D-D

Segment i runs from beat 2i to beat 2i+1. Segments are compared by dynamic time warping over Eq. 7.1, clustered so that all pairs
within a cluster are alike (complete linkage), and clusters are matched with their mirrored ones by Eq. 7.3; clusters without one
may split by the direction of travel. Any source of motion will do that has `sampled`, `mirrored`, `distances`,
`translation_m`, `duration_s` and `thresholds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from ..checks import InputError, number
from .labels import labelled
from .patterns import MAX_SEGMENTS, Pattern

EPS_DIRECTION = 0.1  # eps_d, between unit vectors

# Where hardly any segment is repeated at the thesis's threshold, the motion may only be noisier than its was (ours).
_FEW = 0.25  # share of segments in clusters of more than one, below which a wider threshold is looked for
_MOST = 0.5  # the least share that one must reach
_WIDEST = 2.9  # times the threshold
_GAP = 1.2  # a cluster's next merge must be that many times as far as all before
_ENOUGH = 12  # segments that such a judgement needs

_SAMPLES = 16  # poses of a segment; at 120 bpm a beat of 30 Hz video has as many
_SHORTEST_WAY_M = 0.05  # a segment that travels less has no direction
_SHORTEST_S = 0.05


_WIDENED = (
    "At the usual threshold of {:.2f} hardly any two segments are alike, as in noisy motion; at {:.2f} they fall into groups, "
    "which are shown. Check the labels."
)


class MotionSource(Protocol):
    """What choreographies are read from: `Motion`, and the descriptors of `motion_video`."""

    translation_m: np.ndarray  # [T 3], x to the dancer's left

    @property
    def duration_s(self) -> float: ...

    @property
    def thresholds(self) -> tuple[float, float]: ...

    def sampled(self, times_s: np.ndarray) -> MotionSource: ...

    def mirrored(self) -> MotionSource: ...

    def distances(self, other: MotionSource) -> np.ndarray: ...


@dataclass(frozen=True)
class Choreography:
    """A pattern that was read, and what it was read from."""

    pattern: Pattern
    segments_s: np.ndarray  # float64 [N 2], start and end of every segment
    representatives: dict[str, int]  # label as written -> the segment that is nearest to all others of that label
    distances: np.ndarray  # float64 [N N], DTW distance between segments
    mirrored_distances: np.ndarray  # float64 [N N], from the mirrored segment i to segment j
    eps: float  # the threshold of its clusters
    note: str = ""  # why that is not the one asked for, for people


def segments_of(beat_times_s: np.ndarray, *, first: int = 0, beats_per_bar: int = 4) -> np.ndarray:
    """Segments between beats: times [N], the number of the first downbeat among them -> float64 [M 2] seconds.

    Every bar gives one from its first to its second beat and one from the third to the fourth, and so on for other
    meters; three beats have only the first. A last bar that is not whole gives what it can.
    """
    times_s = np.asarray(beat_times_s, np.float64)
    starts = [
        i
        for i in range(first, len(times_s) - 1)
        if (k := (i - first) % beats_per_bar) % 2 == 0 and k + 1 < beats_per_bar
    ]
    return np.stack([times_s[starts], times_s[np.array(starts, int) + 1]], axis=1) if starts else np.zeros((0, 2))


def read_choreography(
    motion: MotionSource,
    segments_s: np.ndarray,
    *,
    eps: float | None = None,
    eps_mirrored: float | None = None,
    eps_direction: float = EPS_DIRECTION,
) -> Choreography:
    """The pattern that `motion` follows over `segments_s` [N 2] (see `segments_of`).

    `eps` and `eps_mirrored` are the largest DTW distances of one cluster and of a mirrored pair, by default those of the
    thesis (0.21, 0.25) or the source's own. Where these find hardly any repeats in a motion whose segments do fall into
    groups, as under more noise than the thesis's, both are widened (`wider_eps`); a given `eps` never is. Raises
    InputError where a segment lies outside the motion.
    """
    segments_s, given = _checked(segments_s, motion.duration_s), eps is not None
    eps = number(motion.thresholds[0] if eps is None else eps, "threshold", low=0, high=10)
    eps_mirrored = number(
        motion.thresholds[1] if eps_mirrored is None else eps_mirrored, "mirror threshold", low=0, high=10
    )
    number(eps_direction, "direction threshold", low=0, high=2)
    times_s = np.concatenate([np.linspace(start, end, _SAMPLES) for start, end in segments_s])
    poses = motion.sampled(times_s)
    same = segment_distances(poses.distances(poses), len(segments_s))
    same = (same + same.T) / 2  # equal but for rounding
    mirrored = segment_distances(poses.mirrored().distances(poses), len(segments_s))
    wider = None if given else wider_eps(same, eps)
    note = "" if wider is None else _WIDENED.format(eps, wider)
    eps, eps_mirrored = (eps, eps_mirrored) if wider is None else (wider, eps_mirrored * wider / eps)
    clusters = complete_linkage(same, eps)
    pairs = mirrored_clusters(clusters, mirrored, same, eps_mirrored)
    places = poses.translation_m.reshape(len(segments_s), _SAMPLES, 3)
    clusters, pairs = split_by_direction(clusters, pairs, places[:, -1] - places[:, 0], eps_direction)
    pattern = labelled(clusters.tolist(), pairs)
    return Choreography(pattern, segments_s, representatives(pattern, same), same, mirrored, eps, note)


def segment_distances(cost: np.ndarray, n_segments: int) -> np.ndarray:
    """DTW between all segments at once: frame distances [N*S N*S] -> mean cost along the best path, [N N].

    Steps of one frame in either or both, as in Sakoe and Chiba (1978); the path starts and ends at the ends of both
    segments. The work is one pass over S x S cells, each for all pairs of segments.
    """
    n = len(cost) // n_segments
    cells = cost.reshape(n_segments, n, n_segments, n).transpose(1, 3, 0, 2)
    total = np.full((n + 1, n + 1, n_segments, n_segments), np.inf)
    steps = np.zeros_like(total)
    total[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, n + 1):
            before = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
            best = np.minimum(np.minimum(total[before[0]], total[before[1]]), total[before[2]])
            came = np.where(total[before[1]] == best, steps[before[1]], steps[before[2]])
            came = np.where(total[before[0]] == best, steps[before[0]], came)  # ties go to the diagonal
            total[i, j] = best + cells[i - 1, j - 1]
            steps[i, j] = came + 1
    return total[n, n] / steps[n, n]


def complete_linkage(distances: np.ndarray, eps: float) -> np.ndarray:
    """Clusters in which ALL pairs are nearer than `eps` (Eq. 7.2): [N N] -> cluster number of every segment [N]."""
    from scipy.cluster.hierarchy import fcluster

    if len(distances) == 1:
        return np.zeros(1, int)
    below = np.nextafter(eps, 0)  # nearer than eps, not as near
    return fcluster(_merges(distances), below, criterion="distance") - 1


def _merges(distances: np.ndarray) -> np.ndarray:
    """SciPy's tree of complete linkage over [N N] distances."""
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    return linkage(squareform(distances - np.diag(np.diag(distances)), checks=False), method="complete")


def wider_eps(distances: np.ndarray, eps: float) -> float | None:
    """A threshold above `eps` that shows the repeats in `distances` [N N] which `eps` misses; None where none is called for.

    Noise moves equal moves apart, and different ones farther still. Where fewer than a quarter of the segments are repeated
    at `eps`, the merges of complete linkage are searched for the widest gap up to 2.9 `eps`: the next merge at least
    1.2 times as far as all before, half of the segments repeated below it, and three labels left. Ours, not the thesis's.
    """
    from scipy.cluster.hierarchy import fcluster

    if len(distances) < _ENOUGH or eps <= 0:
        return None
    tree = _merges(distances)

    def found(threshold: float) -> tuple[float, int]:
        """Share of segments that are repeated, and the number of clusters."""
        sizes = np.bincount(fcluster(tree, threshold, criterion="distance"))
        return sizes[sizes > 1].sum() / len(distances), int((sizes > 0).sum())

    if found(np.nextafter(eps, 0))[0] >= _FEW:
        return None
    widest, chosen = _GAP, None
    for below, above in pairwise(np.clip(np.sort(tree[:, 2]), eps, _WIDEST * eps)):
        middle = float(np.sqrt(below * above))
        if above > widest * below:
            share, n_clusters = found(middle)
            if share >= _MOST and n_clusters >= 3:
                widest, chosen = above / below, middle
    return chosen


def mirrored_clusters(clusters: np.ndarray, mirrored: np.ndarray, same: np.ndarray, eps: float) -> dict[int, int]:
    """Pairs of clusters of which some segment of one, mirrored, is nearer than `eps` to some segment of the other.

    A cluster has one mirror: nearer pairs are taken first. Two moves that are as they are more alike than one is to the
    other's mirror (two symmetric ones, mostly) are no pair. Both directions of every pair are in the result.
    """
    n = int(clusters.max()) + 1
    members = [np.flatnonzero(clusters == c) for c in range(n)]
    across, plain = (np.array([[d[np.ix_(a, b)].min() for b in members] for a in members]) for d in (mirrored, same))
    across = np.minimum(across, across.T)
    pairs: dict[int, int] = {}
    for a, b in sorted(zip(*np.triu_indices(n, 1), strict=True), key=lambda pair: across[pair]):
        if across[a, b] < min(eps, plain[a, b]) and a not in pairs and b not in pairs:
            pairs[int(a)], pairs[int(b)] = int(b), int(a)
    return pairs


def split_by_direction(
    clusters: np.ndarray, pairs: dict[int, int], travel_m: np.ndarray, eps: float
) -> tuple[np.ndarray, dict[int, int]]:
    """Split clusters without a mirror into the two sides of a step: travel [N 3] of every segment, metres.

    Directions are matched one to one with mirrored directions nearer than `eps` (a maximum bipartite matching between
    those to the left and those to the right). The matched ones make two groups; others of the cluster join the group whose
    mean direction is nearer, and those that hardly move the first.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    clusters, pairs = clusters.copy(), dict(pairs)
    way_m = np.linalg.norm(travel_m, axis=1)
    directions = travel_m / np.maximum(way_m, 1e-9)[:, None]
    for cluster in range(int(clusters.max()) + 1):
        moving = [i for i in np.flatnonzero(clusters == cluster) if way_m[i] > _SHORTEST_WAY_M]
        left = [i for i in moving if directions[i, 0] > eps]  # nearer to the middle, both sides are one direction
        right = [i for i in moving if directions[i, 0] < -eps]
        if cluster in pairs or not left or not right:
            continue
        gap = np.linalg.norm(directions[left][:, None] * [-1, 1, 1] - directions[right][None], axis=2)
        match = maximum_bipartite_matching(csr_matrix(gap < eps), perm_type="column")
        if (match < 0).all():
            continue
        sides = [
            directions[[left[i] for i in np.flatnonzero(match >= 0)]].mean(axis=0),
            directions[[right[j] for j in match[match >= 0]]].mean(axis=0),
        ]
        second = int(clusters.max()) + 1
        for i in moving:
            if np.linalg.norm(directions[i] - sides[1]) < np.linalg.norm(directions[i] - sides[0]):
                clusters[i] = second
        pairs[cluster], pairs[second] = second, cluster
    return clusters, pairs


def representatives(pattern: Pattern, distances: np.ndarray) -> dict[str, int]:
    """For every label the segment whose summed distance to the others of its label is least."""
    found = {}
    for label in pattern.distinct:
        members = [i for i, other in enumerate(pattern.labels) if other == label]
        found[str(label)] = members[int(distances[np.ix_(members, members)].sum(axis=1).argmin())]
    return found


def _checked(segments_s: Sequence, duration_s: float) -> np.ndarray:
    segments_s = np.asarray(segments_s, np.float64)
    if segments_s.ndim != 2 or segments_s.shape[1:] != (2,) or not len(segments_s):
        raise InputError("choreography: at least one segment between two beats is needed.")
    if len(segments_s) > MAX_SEGMENTS:
        raise InputError(
            f"choreography: at most {MAX_SEGMENTS} segments, got {len(segments_s)}: choose a shorter part."
        )
    if (segments_s[:, 1] - segments_s[:, 0] < _SHORTEST_S).any() or not np.isfinite(segments_s).all():
        raise InputError(f"choreography: every segment must last at least {_SHORTEST_S:g} s.")
    if segments_s.min() < 0 or segments_s.max() > duration_s + 0.1:
        raise InputError(
            f"choreography: the motion lasts {duration_s:.2f} s, but its beats go from {segments_s.min():.2f} to"
            f" {segments_s.max():.2f} s."
        )
    return segments_s
