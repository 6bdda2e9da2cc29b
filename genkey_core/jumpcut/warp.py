"""The draft engine of jump cuts: training-free attention warping at full resolution (thesis 4.2.2, Eq. 4.1).

The thesis learns queries and keys from DensePose keypoints and warps learned features. Here the features are made by
hand and the values are real pixels. For every place of the target frame each source frame offers one key, the point
that corresponds to it, described by its position, by its residual (how far its surroundings look from what the ends
foresee there) and by its visibility. With query q = (position, residual 0) and key k, both over their scales, the score
-|q - k|^2 / 2 is the scaled dot product of Eq. 4.1 with the keys' norms taken off, so that the softmax over the sources
is the thesis's, restricted to the N best keys of each query. The sources are the two ends, each once along its motion
and once in place (which is how a background is copied from the ends), and other frames of the clip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .. import flow as of
from ..checks import InputError, integer, number
from .exposure import exposure
from .tracks import WORKING_SIDE, Tracks, reduced, regular, small_motion, steady, trust

_COVER_SCALE = 3.0, 0.1  # pixels, and share of the motion, by which a thing may move otherwise than its place
_COVERED = 0.02  # what a covered point still weighs
_STILL_PX = 0.35  # of the full picture: motion below is the flow's rounding, and pixels are copied, not sampled
_COARSE = 10.0  # working pixels: what is read in place is judged by a whole region, for by chance a patch fits anywhere
_BELIEVED = 0.15  # trust in a region's motion from which on nothing is read in place
_UNSEEN = 1.0 / 255.0  # a weight that changes no pixel


@dataclass(frozen=True)
class WarpOptions:
    """Scales of the hand-made features, and how much the other frames count."""

    working_side: int = WORKING_SIDE
    residual_scale: float = 10.0  # grey levels of mismatch that halve a source's weight, roughly
    position_scale: float = 0.08  # share of the long side by which a key may lie away from its query
    in_place: float = 0.5  # prior weight of an end read in place where no motion is believed, against it read along one
    others: float = 0.3  # prior weight of all other frames together half-way, against both ends
    crispness: float = 0.1  # unsharp amount half-way, giving back what sampling between pixels softens

    def __post_init__(self) -> None:
        integer(self.working_side, "working_side", low=16, high=4096)
        number(self.residual_scale, "residual_scale", low=0.1, high=255.0)
        number(self.position_scale, "position_scale", low=1e-3, high=10.0)
        for name in ("in_place", "others", "crispness"):
            number(getattr(self, name), name, low=0.0, high=1.0)


@dataclass(frozen=True)
class Candidate:
    """One key per query: where a source is read, and how well it fits there. All at working size."""

    picture: int  # number of the source
    position: np.ndarray | None  # [h w 2] where it is read, None in place
    score: np.ndarray  # [h w]


def attention(scores: Sequence[np.ndarray]) -> list[np.ndarray]:  # N times [h w]
    """Eq. 4.1's softmax over the sources, per place, made smooth: a patchwork tears. Scores are float32 [h w]."""
    top = scores[0].copy()
    for score in scores[1:]:
        np.maximum(top, score, out=top)
    weights = [np.exp(score - top) for score in scores]
    total = sum(weights)
    return [cv2.GaussianBlur(w / total, (0, 0), 2.0) for w in weights]


class AttentionWarp:
    """Makes the frames between two pictures out of their own pixels and those of `sources`.

    `sources`: uint8 [H W 3] pictures of the size of the ends, other frames of the clip, may be empty. `tracks`: the
    correspondences around the cut, where points could be followed through the removed frames; the pictures given to
    `between` may then be neighbours of those the tracks join.
    """

    name = "draft"

    def __init__(
        self, sources: Sequence[np.ndarray] = (), *, tracks: Tracks | None = None, options: WarpOptions | None = None
    ) -> None:
        self.options = options or WarpOptions()
        self.sources = [picture_of(s, f"source {i}") for i, s in enumerate(sources, 1)]
        self.tracks = tracks
        self._small = [reduced(s, self.options.working_side) for s in self.sources]

    def between(self, start: np.ndarray, end: np.ndarray, positions: np.ndarray) -> Iterator[np.ndarray]:
        """One uint8 [H W 3] frame per position in [0, 1], in order; 0 and 1 are the ends themselves, bit for bit.

        Raises InputError where the ends or sources differ in size.
        """
        start, end = picture_of(start, "start"), picture_of(end, "end")
        for name, picture in [("end", end), *((f"source {i}", s) for i, s in enumerate(self.sources, 1))]:
            if picture.shape != start.shape:
                raise InputError(f"{name}: must have the size of start {start.shape[:2]}, got {picture.shape[:2]}.")
        prepared = None
        for position in positions:
            t = number(float(position), "position", low=0.0, high=1.0)
            if t in (0.0, 1.0):
                yield (end if t else start).copy()
                continue
            if prepared is None:
                prepared = _Pair(start, end, self)
            yield prepared.frame(t)


class _Pair:
    """Two ends, prepared once: their motion both ways and how far it is to be believed."""

    def __init__(self, start: np.ndarray, end: np.ndarray, engine: AttentionWarp) -> None:
        self.engine, self.options = engine, engine.options
        self.ends = [start, end]
        small = [reduced(p, self.options.working_side) for p in self.ends]
        self.exposure = exposure(*small)
        self.others = [exposure(small[0], s) for s in engine._small]  # from the start's to each one's
        small = [self._exposed(i, p, 0.5) for i, p in enumerate(small + engine._small)]
        self.small = small
        self.shape = small[0].shape[:2]
        self.grid, self.full_grid = of.grid(self.shape), of.grid(start.shape[:2])
        if engine.tracks is None or engine.tracks.start.shape != small[0].shape:
            flows, base = of.bidirectional_flow(*small[:2])
        else:
            flows = engine.tracks.between(*small[:2])
            base = [np.zeros_like(f) for f in flows]
        self.trust = [trust(small[i], small[1 - i], flows[i], flows[1 - i]) for i in (0, 1)]
        still = _STILL_PX * max(self.shape) / max(start.shape[:2])
        self.flows = [
            _settled(steady(regular(f, b, c)), still) for f, b, c in zip(flows, base, self.trust, strict=True)
        ]

    def frame(self, t: float) -> np.ndarray:  # [H W 3] uint8
        candidates = self._ends_at(t)
        weights = attention([c.score for c in candidates])
        if self.engine.sources and self.options.others > 0:
            foreseen = _mixed([self._read_small(c) for c in candidates], weights)
            candidates += self._others_at(t, foreseen)
            weights = attention([c.score for c in candidates])
        frame = self._composed(candidates, weights, t)
        if self.options.crispness > 0:
            amount = self.options.crispness * 4.0 * t * (1.0 - t)  # nothing at the ends, which need no help
            frame = cv2.addWeighted(frame, 1.0 + amount, cv2.GaussianBlur(frame, (3, 3), 0.8), -amount, 0.0)
        return frame

    def _motion_at(self, t: float) -> np.ndarray:  # [h w 2]
        """The whole motion, from start to end, of what is at each place at time t; the nearer end counts more."""
        (forward, backward), (trust0, trust1) = self.flows, self.trust
        sums0, weights0 = of.splat(forward, (1.0 - t) * (trust0 + 1e-3), t * forward)
        sums1, weights1 = of.splat(-backward, t * (trust1 + 1e-3), (1.0 - t) * backward)
        sums, weights = (cv2.GaussianBlur(x, (3, 3), 0.6) for x in (sums0 + sums1, weights0 + weights1))
        return cv2.GaussianBlur(of.fill(sums, weights), (0, 0), 2.0)

    def _ends_at(self, t: float) -> list[Candidate]:
        """Both ends along the motion, and both in place."""
        motion = self._motion_at(t)
        shares = (-t, 1.0 - t)
        places = [self.grid + share * motion for share in shares]
        moved = [_read(p, place) for p, place in zip(self.small[:2], places, strict=True)]
        apart = self._residual(*moved)  # both ends share it: neither is known to be right
        seen = [self._visibility(i, motion, places[i]) for i in (0, 1)]
        found = []
        for i, prior in ((0, 1.0 - t), (1, t)):
            away = cv2.magnitude(*cv2.split(shares[i] * motion))
            score = np.log(prior * seen[i]) + self._fit(apart * np.minimum(*seen), away)
            found.append(Candidate(i, places[i], score))
        if self.options.in_place > 0:
            trusted = sum(p * _read(c, at) for p, c, at in zip((1.0 - t, t), self.trust, places, strict=True))
            lost = np.clip(1.0 - cv2.GaussianBlur(trusted, (0, 0), _COARSE) / _BELIEVED, 1e-6, 1.0)
            fit = self._fit(self._residual(*self.small[:2], scale=_COARSE), np.zeros_like(lost))
            fit += np.log(self.options.in_place * lost)
            found += [Candidate(i, None, np.float32(np.log(prior)) + fit) for i, prior in ((0, 1.0 - t), (1, t))]
        return found

    def _others_at(self, t: float, foreseen: np.ndarray) -> list[Candidate]:
        """The other frames, matched with what the ends foresee (uint8 [h w 3]); they count nothing at the ends."""
        grey = cv2.cvtColor(foreseen, cv2.COLOR_RGB2GRAY)
        prior = self.options.others * 4.0 * t * (1.0 - t) / len(self.engine.sources)
        found = []
        for i, small in enumerate(self.small[2:]):
            flow = small_motion(grey, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
            place = self.grid + flow
            fit = self._fit(self._residual(_read(small, place), foreseen), cv2.magnitude(*cv2.split(flow)))
            found.append(Candidate(2 + i, place, np.float32(np.log(prior)) + fit))
        return found

    def _fit(self, residual: np.ndarray, away: np.ndarray) -> np.ndarray:  # [h w]
        """-|q - k|^2 / 2 of the residual and the distance between query and key."""
        position = away / (self.options.position_scale * max(self.shape))
        return -0.5 * (np.square(residual / self.options.residual_scale) + np.square(position))

    def _residual(self, a: np.ndarray, b: np.ndarray, *, scale: float = 4.0) -> np.ndarray:  # [h w]
        """How differently two pictures look around each place, in grey levels."""
        difference = cv2.transform(cv2.absdiff(a, b).astype(np.float32), np.full((1, 3), 1 / 3, np.float32))
        return cv2.GaussianBlur(difference, (0, 0), scale)

    def _visibility(self, which: int, motion: np.ndarray, place: np.ndarray) -> np.ndarray:  # [h w]
        """Whether this very thing is to be seen in end `which`, 0 to 1: inside, and not covered by what moves otherwise."""
        own = _read(self.flows[which], place)
        other = own - motion if which == 0 else own + motion  # the end's flow points back to the start
        apart = cv2.magnitude(*cv2.split(other))
        apart /= _COVER_SCALE[0] + _COVER_SCALE[1] * cv2.magnitude(*cv2.split(motion))
        uncovered = cv2.GaussianBlur(np.exp(-0.5 * np.square(apart)), (0, 0), 1.5) + _COVERED
        h, w = self.shape
        beyond = [np.abs(place[..., i] - c) - c for i, c in enumerate(((w - 1) / 2, (h - 1) / 2))]
        return uncovered * np.clip(1.0 - np.maximum(*beyond) / 2.0, 1e-3, 1.0)

    def _read_small(self, candidate: Candidate) -> np.ndarray:
        picture = self.small[candidate.picture]
        return picture if candidate.position is None else _read(picture, candidate.position)

    def _exposed(self, i: int, picture: np.ndarray, t: float) -> np.ndarray:
        """Source `i`'s picture, of any size, as exposed at time t."""
        if i < 2:
            return self.exposure.applied(picture, t - i)
        return self.exposure.applied(self.others[i - 2].applied(picture, -1.0), t)

    def _composed(self, candidates: list[Candidate], weights: list[np.ndarray], t: float) -> np.ndarray:
        """The weighted mean of real pixels at full size; each source only where it counts.

        Each next picture is laid over what is there by its share of the weights so far, so that no sums are held, and
        what can be is written in place: at full size fresh memory costs more than the arithmetic.
        """
        h, w = self.ends[0].shape[:2]
        pictures = [*self.ends, *self.engine.sources]
        frame, taken = None, 0.0
        for candidate, weight in zip(candidates, weights, strict=True):
            box = _box(weight, (w, h)) if frame is not None else (slice(0, h), slice(0, w))
            if box is None:
                continue
            picture = self._seen(candidate, self._exposed(candidate.picture, pictures[candidate.picture], t), box)
            taken = taken + weight
            if frame is None:
                frame = picture.copy() if candidate.position is None else picture
                continue
            share = cv2.resize(weight / (taken + 1e-6), (w, h), interpolation=cv2.INTER_LINEAR)[box]
            cv2.blendLinear(frame[box], picture, cv2.subtract(1.0, share), share, dst=frame[box])
        return frame

    def _seen(self, candidate: Candidate, picture: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
        """What `candidate` shows within `box` of the full picture."""
        if candidate.position is None:
            return picture[box]
        place = of.resize_flow(candidate.position - self.grid, picture.shape[1::-1])[box]
        return _read(picture, cv2.add(place, self.full_grid[box], dst=place))


def picture_of(picture: np.ndarray, name: str) -> np.ndarray:
    """`picture` where it is uint8 [H W 3]; raises InputError otherwise."""
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(f"{name}: a uint8 picture [H W 3] is needed, got {getattr(picture, 'shape', type(picture))}.")
    return np.ascontiguousarray(picture)


def _read(picture: np.ndarray, place: np.ndarray) -> np.ndarray:
    return cv2.remap(picture, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _settled(flow: np.ndarray, still: float) -> np.ndarray:
    """`flow` with what is below `still` taken as no motion at all."""
    size = cv2.magnitude(*cv2.split(flow))
    return flow * np.clip(size / still - 1.0, 0.0, 1.0)[..., None]


def _mixed(pictures: list[np.ndarray], weights: list[np.ndarray]) -> np.ndarray:  # [h w 3] uint8
    total = sum(p * w[..., None] for p, w in zip(pictures, weights, strict=True))
    return np.uint8(np.rint(np.clip(total, 0, 255)))


def _box(weight: np.ndarray, size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of a picture of `size` (W, H) within which `weight` [h w] changes a pixel; None: nowhere."""
    counts = weight > _UNSEEN
    if not counts.any():
        return None
    box = []
    for axis, full in ((1, size[1]), (0, size[0])):
        found = np.flatnonzero(counts.any(axis=axis))
        scale = full / weight.shape[1 - axis]
        box.append(slice(max(0, int((found[0] - 1) * scale)), min(full, int(np.ceil((found[-1] + 2) * scale)))))
    return box[0], box[1]
