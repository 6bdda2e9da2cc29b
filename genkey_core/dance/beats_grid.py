"""From tracked beats to a grid: matched with onsets, constant where one tempo fits, smooth elsewhere (thesis section 7.2.1)."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

_REACH_S, _REACH_BEATS = 0.08, 0.2  # an onset farther from a beat is not its own
_BELL_S = 0.04  # nearer onsets count for more
_STRONGEST = 3.0  # what an onset weighs at most, in local root mean squares
_UNHEARD = 0.05  # what a beat without an onset weighs
_OUTLIER_S = 0.02
_STRAY_S = 0.02  # a grid that is farther from the middle of the onsets, over _NEIGHBOURS beats, is not the music's
_BAR = 4
_NEIGHBOURS = 8  # two bars
_STIFFNESS = 1.0  # of drifting beats against onsets
_SPREAD = 0.03  # tempi about the tracked one that a constant grid may have, relative


def matched(beats_s: np.ndarray, onsets_s: np.ndarray, strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The onset that belongs to each beat: beats [N], onsets [M] -> (seconds, weight) [N]; NaN and 0 where none is near."""
    times_s, weights = np.full(len(beats_s), np.nan), np.zeros(len(beats_s))
    if len(beats_s) < 2 or not len(onsets_s):
        return times_s, weights
    reach_s = min(_REACH_S, _REACH_BEATS * float(np.median(np.diff(beats_s))))
    first, last = np.searchsorted(onsets_s, [beats_s - reach_s, beats_s + reach_s])
    for i, (a, b) in enumerate(zip(first, last, strict=True)):
        if b > a:
            heights = np.minimum(strengths[a:b], _STRONGEST)
            best = a + int((heights * np.exp(-0.5 * ((onsets_s[a:b] - beats_s[i]) / _BELL_S) ** 2)).argmax())
            times_s[i], weights[i] = onsets_s[best], min(strengths[best], _STRONGEST)
    return times_s, weights


def steadied(tracked_s: np.ndarray, onsets_s: np.ndarray, strengths: np.ndarray) -> tuple[np.ndarray, float]:
    """Tracked beats [N] -> (beats, the share of them that keeps a constant tempo).

    Where one constant grid stays with the onsets, over two bars about a beat, the beat lies on the grid; elsewhere it is drawn
    to its onset, and so are all where less than half would keep to the grid.
    """
    drawn_s = drifting_beats(tracked_s, onsets_s, strengths)
    weights = matched(tracked_s, onsets_s, strengths)[1]
    if (weights > 0).sum() < 4:
        return drawn_s, 0.0
    start_s, period_s = _constant_grid(tracked_s, onsets_s, strengths)
    numbers = np.round((drawn_s - start_s) / period_s)
    off_s = drawn_s - (start_s + numbers * period_s)
    keeps = _lasting(np.abs(_local_median(off_s)) < _STRAY_S)
    if keeps.mean() < 0.5:
        return drawn_s, 0.0
    times_s = np.where(keeps, start_s + numbers * period_s, drawn_s)
    return times_s[np.diff(times_s, prepend=-np.inf) > period_s / 3], float(keeps.mean())


def _constant_grid(beats_s: np.ndarray, onsets_s: np.ndarray, strengths: np.ndarray) -> tuple[float, float]:
    """The steadiest grid near tracked beats [N], of which four and more have onsets: (seconds of its beat 0, seconds a beat)."""
    times_s, weights = matched(beats_s, onsets_s, strengths)
    heard = weights > 0
    period_s = _period(times_s[heard], weights[heard], float(np.median(np.diff(beats_s))))
    turn = np.sum(weights[heard] * np.exp(2j * np.pi * times_s[heard] / period_s))
    start_s = float(np.angle(turn) / (2 * np.pi) * period_s)
    for _ in range(4):  # refit, re-match
        first = np.floor((beats_s[0] - start_s) / period_s + 0.5)
        numbers = first + np.arange(round((beats_s[-1] - beats_s[0]) / period_s) + 1)
        times_s, weights = matched(start_s + numbers * period_s, onsets_s, strengths)
        heard = weights > 0
        if heard.sum() < 4:
            break
        start_s, period_s = _line(numbers[heard], times_s[heard], weights[heard], start_s, period_s)
    return start_s, period_s


def _period(times_s: np.ndarray, weights: np.ndarray, about_s: float) -> float:
    """The period about which the times agree best, by the length of their mean direction; slips of a beat do not matter."""
    fine = about_s / max(times_s[-1] - times_s[0], about_s) / 8
    candidates = about_s * (1 + np.arange(-_SPREAD, _SPREAD + fine, fine))
    agreement = [abs(np.sum(weights * np.exp(2j * np.pi * times_s / p))) for p in candidates]
    return float(candidates[int(np.argmax(agreement))])


def _line(numbers: np.ndarray, times_s: np.ndarray, weights: np.ndarray, start_s: float, period_s: float) -> tuple:
    """Weighted line through times over beat numbers in which outliers count little (Cauchy weights)."""
    for _ in range(6):
        off_s = times_s - (start_s + period_s * numbers)
        w = weights / (1 + (off_s / _OUTLIER_S) ** 2)
        mean_n, mean_t = np.average(numbers, weights=w), np.average(times_s, weights=w)
        spread = np.sum(w * (numbers - mean_n) ** 2)
        period_s = float(np.sum(w * (numbers - mean_n) * (times_s - mean_t)) / max(spread, 1e-9))
        start_s = float(mean_t - period_s * mean_n)
    return start_s, period_s


def _local_median(values: np.ndarray) -> np.ndarray:
    """Median over _NEIGHBOURS values around each, fewer at the ends: [N] -> [N]."""
    half = _NEIGHBOURS // 2
    return np.array([np.median(values[max(i - half, 0) : i + half + 1]) for i in range(len(values))])


def _lasting(keeps: np.ndarray) -> np.ndarray:
    """Bool [N] in which runs of False shorter than a bar are True: a beat or two beside the grid are the tracker's slip."""
    keeps = keeps.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[1], keeps.astype(int), [1]])))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        keeps[start:end] = end - start < _BAR
    return keeps


def drifting_beats(beats_s: np.ndarray, onsets_s: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Tracked beats [N] drawn to their onsets, with intervals that change smoothly (a Whittaker smoother).

    Minimises the sum of w (x - onset)^2 and of `_STIFFNESS` times squared second differences; beats without an onset
    hardly pull.
    """
    from scipy.linalg import solveh_banded

    n = len(beats_s)
    if n < 4:
        return beats_s
    times_s, weights = matched(beats_s, onsets_s, strengths)
    target = np.where(weights > 0, times_s, beats_s)
    weights = np.maximum(weights, _UNHEARD)
    banded = np.zeros((3, n))  # upper form of W + s D'D, D the second difference
    for a, b in combinations_with_replacement(range(3), 2):
        banded[2 - (b - a), b : n - 2 + b] += _STIFFNESS * (1, -2, 1)[a] * (1, -2, 1)[b]
    banded[2] += weights
    return solveh_banded(banded, weights * target)


def extended(beats_s: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Beats [N] within [start_s, end_s], going on in their first and last intervals up to there."""
    beats_s = beats_s[(beats_s >= start_s) & (beats_s <= end_s)]
    if len(beats_s) < 2:
        return beats_s
    ahead, behind = float(np.median(np.diff(beats_s[:9]))), float(np.median(np.diff(beats_s[-9:])))
    before = beats_s[0] - ahead * np.arange(int((beats_s[0] - start_s) / ahead), 0, -1)
    after = beats_s[-1] + behind * np.arange(1, int((end_s - beats_s[-1]) / behind) + 1)
    return np.concatenate([before, beats_s, after])
