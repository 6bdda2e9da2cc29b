"""Where a closer photo lies in a wider one: translation, scale and rotation to a fraction of a pixel (thesis section 6.5).

Points are complex numbers, x + iy in pixels from the corner of a picture (pixel n has its middle at n + 0.5). A similarity is
then one product and one sum, `wide = turn * close + shift`. It is found from matched features (SIFT, Lowe 2004) by
consensus (RANSAC, Fischler and Bolles 1981), then refined on the pictures themselves by Gauss-Newton steps (Lucas and Kanade
1981) whose weights leave out what does not fit (Tukey): what moved, or stands at another depth and shows parallax.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import cv2
import numpy as np

from ..checks import InputError
from ..flow import match_features
from .resample import resized

WIDE_SIDE, CLOSE_SIDE = 1600, 1000  # pixels along the long side in which features are looked for
MIN_AGREEING = 15  # matches; unrelated photos of one kind of scene reach about eight
MIN_SHARE = 0.12  # of all matches that must agree
MIN_SPREAD = 0.04  # of the diagonal, by which they must be spread: a logo in both photos says little about the rest
MAX_RATIO = 40.0  # of the scales of two photos
_TOLERANCE = 0.012  # of the diagonal, by which matches may miss: a moved viewpoint shifts near things against far ones
_REFINE_SIDE = 700  # pixels along the long side of the closer photo in which the refinement works


class AlignmentError(InputError):
    """Two photos that show no common place, as far as can be told; says why."""


@dataclass(frozen=True)
class Similarity:
    """`wide = turn * close + shift`: points of the closer photo in the wider one, in pixels of each."""

    turn: complex
    shift: complex

    def __call__(self, points: np.ndarray | complex) -> np.ndarray | complex:
        return self.turn * points + self.shift

    @property
    def inverse(self) -> Similarity:
        return Similarity(1 / self.turn, -self.shift / self.turn)

    def after(self, first: Similarity) -> Similarity:
        """This one applied to what `first` gives."""
        return Similarity(self.turn * first.turn, self.turn * first.shift + self.shift)

    @property
    def ratio(self) -> float:
        """How many times closer the closer photo is, pixel by pixel; below 1 it is the wider one."""
        return 1 / abs(self.turn)

    @property
    def angle_deg(self) -> float:
        return math.degrees(cmath.phase(self.turn))

    @property
    def matrix(self) -> np.ndarray:  # [2 3]
        """For OpenCV, which counts from the middle of the first pixel."""
        a, b = self.turn.real, self.turn.imag
        shift = self((1 + 1j) / 2) - (1 + 1j) / 2
        return np.array([[a, -b, shift.real], [b, a, shift.imag]])


@dataclass(frozen=True, eq=False)
class Alignment:
    """A similarity, and how well it is supported."""

    similarity: Similarity
    n_matches: int
    n_agreeing: int
    miss_pixels: float  # median distance by which the agreeing matches miss, in pixels of the wider photo


def align(wide: np.ndarray, close: np.ndarray, names: tuple[str, str] = ("photo 1", "photo 2")) -> Alignment:
    """Where `close` lies in `wide`, uint8 [H W 3] each. Also works where `close` is in truth the wider one (ratio < 1).

    Raises AlignmentError, which names the two photos, where they do not share enough.
    """
    points, other = _matches(wide, close)
    pair = f"{names[0]} and {names[1]} cannot be aligned"
    if len(points) < MIN_AGREEING:
        raise AlignmentError(
            f"{pair}: only {len(points)} points of one are found in the other, at least {MIN_AGREEING} are needed; "
            "they may show different things, be too far apart in scale, or be blurred."
        )
    diagonal = math.hypot(*wide.shape[:2])
    similarity, agreeing = _consensus(points, other, _TOLERANCE * diagonal)
    if similarity is None or agreeing.sum() < max(MIN_AGREEING, MIN_SHARE * len(points)):
        n = int(agreeing.sum())
        raise AlignmentError(
            f"{pair}: of {len(points)} points found in both, {n} agree on where one lies in the other, "
            f"at least {max(MIN_AGREEING, math.ceil(MIN_SHARE * len(points)))} are needed; "
            "they may show different things, or the same from too different places."
        )
    spread = max(float(np.std(p[agreeing])) / math.hypot(*q.shape[:2]) for p, q in ((points, wide), (other, close)))
    if spread < MIN_SPREAD:
        raise AlignmentError(f"{pair}: the points that they share lie in one spot, which does not fix scale and turn.")
    if not 1 / MAX_RATIO <= similarity.ratio <= MAX_RATIO:
        raise AlignmentError(
            f"{pair}: one would be {similarity.ratio:.3g} times closer, at most {MAX_RATIO:g} is taken."
        )
    similarity = refine(wide, close, similarity)
    miss = np.abs(similarity(other) - points)[agreeing]
    return Alignment(similarity, len(points), int(agreeing.sum()), float(np.median(miss)))


def _matches(wide: np.ndarray, close: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # complex [N], [N]
    """Features found in both, in pixels of each; smaller and larger versions are tried where few are found."""
    best = (np.zeros(0, complex), np.zeros(0, complex))
    for sides in ((WIDE_SIDE, CLOSE_SIDE), (2 * WIDE_SIDE, CLOSE_SIDE // 2), (CLOSE_SIDE, WIDE_SIDE)):
        (grey0, scale0), (grey1, scale1) = (grey_at(p, n) for p, n in zip((wide, close), sides, strict=True))
        points0, points1 = match_features(grey0, grey1, n_features=4000)
        found = tuple((p[:, 0] + 0.5 + 1j * (p[:, 1] + 0.5)) * s for p, s in ((points0, scale0), (points1, scale1)))
        best = max(best, found, key=lambda pair: len(pair[0]))
        if len(best[0]) >= 8 * MIN_AGREEING:
            break
    return best


def grey_at(image: np.ndarray, long_side: int) -> tuple[np.ndarray, float]:
    """Grey uint8 of at most `long_side` pixels along the long side, and how many pixels of `image` one of them is."""
    scale = max(1.0, max(image.shape[:2]) / long_side)
    if scale > 1:
        size = tuple(max(1, int(n / scale)) for n in image.shape[1::-1])
        image = resized(image, size, scale=scale)
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), scale


def _consensus(points: np.ndarray, other: np.ndarray, tolerance: float) -> tuple[Similarity | None, np.ndarray]:
    """The similarity that most matches agree on, fitted to those that do, and which these are."""
    xy, other_xy = (np.c_[p.real, p.imag].astype(np.float32) for p in (points, other))
    matrix, _ = cv2.estimateAffinePartial2D(
        other_xy, xy, method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=5000, confidence=0.999
    )
    if matrix is None:
        return None, np.zeros(len(points), bool)
    similarity = Similarity(complex(matrix[0, 0], matrix[1, 0]), complex(matrix[0, 2], matrix[1, 2]))
    if abs(similarity.turn) < 1e-6:
        return None, np.zeros(len(points), bool)
    for _ in range(20):
        miss = np.abs(similarity(other) - points)
        weights = tukey(miss, tolerance)
        if np.count_nonzero(weights) < 3:
            return None, np.zeros(len(points), bool)
        similarity = fitted(points, other, weights)
    return similarity, np.abs(similarity(other) - points) < tolerance


def fitted(points: np.ndarray, other: np.ndarray, weights: np.ndarray) -> Similarity:
    """The similarity of least weighted squares from `other` to `points` (complex [N])."""
    middle, other_middle = (np.average(p, weights=weights) for p in (points, other))
    spread = other - other_middle
    turn = np.sum(weights * np.conj(spread) * (points - middle)) / np.sum(weights * np.abs(spread) ** 2)
    return Similarity(complex(turn), complex(middle - turn * other_middle))


def tukey(miss: np.ndarray, limit: float) -> np.ndarray:
    """Weights that fall from 1 to 0 at `limit`."""
    return np.square(np.clip(1 - np.square(miss / limit), 0, None))


def refine(wide: np.ndarray, close: np.ndarray, similarity: Similarity) -> Similarity:
    """The similarity under which the pictures themselves agree best, near `similarity`; that one where none is better.

    Compared is local structure, brightness and contrast taken out, at the scale of the coarser of the two.
    """
    step = max(1.0, max(close.shape[:2]) / _REFINE_SIDE, similarity.ratio)  # pixels of `close` per pixel compared
    wide_step = max(1.0, step * abs(similarity.turn))
    patch, target = (_reduced_grey(p, s) for p, s in ((close, step), (wide, wide_step)))
    if min(*patch.shape, *target.shape) < 24:
        return similarity
    small = Similarity(similarity.turn * step / wide_step, similarity.shift / wide_step)
    begun = small
    for blur in (3.0, 1.5, 0.7):
        structure, pattern = (_structure(p, blur) for p in (target, patch))
        small = _gauss_newton(structure, pattern, small)
    sharp = [_structure(p, 0.7) for p in (target, patch)]
    if agreement(*sharp, small) < agreement(*sharp, begun):
        return similarity
    return Similarity(small.turn * wide_step / step, small.shift * wide_step)


def _reduced_grey(image: np.ndarray, step: float) -> np.ndarray:  # float32 [h w]
    if step > 1:
        size = tuple(max(1, int(n / step)) for n in image.shape[1::-1])
        image = resized(image, size, scale=step)
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _structure(grey: np.ndarray, blur: float) -> np.ndarray:
    """Detail about as fine as `blur` pixels, of even strength everywhere."""
    soft = cv2.GaussianBlur(grey, (0, 0), blur)
    detail = soft - cv2.GaussianBlur(soft, (0, 0), 8 * blur)
    strength = cv2.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 12 * blur))
    return detail / (strength + 2.0)


def _sampled(picture: np.ndarray, similarity: Similarity, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """`picture` where the pixels of a patch of `shape` lie under `similarity`, and the patch's points, complex [h w]."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    points = (x + 0.5) + 1j * (y + 0.5)
    where = similarity(points) - (0.5 + 0.5j)
    maps = where.real.astype(np.float32), where.imag.astype(np.float32)
    return cv2.remap(picture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=math.nan), points


def _gauss_newton(target: np.ndarray, patch: np.ndarray, similarity: Similarity, *, steps: int = 12) -> Similarity:
    middle = complex(patch.shape[1], patch.shape[0]) / 2
    slopes = [cv2.Sobel(target, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1))]
    for _ in range(steps):
        seen, points = _sampled(target, similarity, patch.shape)
        miss = seen - patch
        inside = np.isfinite(miss)
        if inside.mean() < 0.1:
            return similarity
        across, down = (_sampled(slope, similarity, patch.shape)[0][inside] for slope in slopes)
        lever = (points - middle)[inside]
        rates = np.stack(
            [across * lever.real + down * lever.imag, down * lever.real - across * lever.imag, across, down]
        ).astype(np.float64)
        miss = miss[inside]
        weights = tukey(miss, 4.7 * 1.48 * float(np.median(np.abs(miss))) + 1e-6)
        weighted = rates * weights
        normal = weighted @ rates.T
        normal[np.diag_indices(4)] *= 1 + 1e-6
        change = -np.linalg.solve(normal + 1e-12 * np.eye(4), weighted @ miss)
        turn = complex(change[0], change[1])
        similarity = Similarity(
            similarity.turn + turn, similarity.shift + complex(change[2], change[3]) - turn * middle
        )
        if abs(complex(change[2], change[3])) + abs(turn) * abs(middle) < 1e-3:
            break
    return similarity


def agreement(target: np.ndarray, patch: np.ndarray, similarity: Similarity) -> float:
    """Mean of a bounded likeness, 0 to 1, of a patch and what lies under it; things that do not fit count as 0."""
    seen, _ = _sampled(target, similarity, patch.shape)
    inside = np.isfinite(seen)
    if inside.mean() < 0.1:
        return 0.0
    return float(np.exp(-np.square(seen - patch)[inside]).mean())
