"""A clip that a model made, read at any time and at the keyframes' size, and locked to the keyframes at its ends.

A model makes few frames, small ones, and its autoencoder gives the keyframes back a little paler, darker or softer than
they are. Three things mend that: frames in between two of the clip's are interpolated along their motion (`draft.py`);
the difference in tone between each keyframe and the clip's end on its side is faded over the clip, so that nothing jumps
where the keyframe itself takes over; and the keyframes' fine detail, which the model never saw, is carried along the
clip's own motion to where that motion can be trusted. The first and last frames of a clip stand for its keyframes.
"""

from __future__ import annotations

import threading

import cv2
import numpy as np

from genkey_core import flow as of
from genkey_core.checks import InputError
from genkey_core.inbetween.draft import DraftPair, trust

_ON_A_FRAME = 1e-3  # of the distance between two frames: nearer than this, the frame itself is taken
_PAIRS = 4  # neighbouring frames of the clip whose motion is remembered
_TONE_SIDE = 48  # long side, in pixels, of the picture of tone differences
_TONE_SPREAD = 0.12  # of that side: how far a tone difference is shared
_SAME_THING = 24.0  # grey levels about the usual difference within which it is one of tone, not of what is shown
_MOTION_SIDE = 384  # long side, in pixels, at which the motion that carries detail is found
_STILL_BONUS = 0.5  # grey levels by which standing still is preferred to a motion that explains as much
_LEAST_TRUST = 0.15  # detail that hardly anything vouches for fades out below this


class FittedClip:
    """A model's clip between two keyframes: `frame(position)` gives uint8 [H W 3] for any position in [0, 1].

    Safe to ask from several threads.

    frames      uint8 [T h w 3], T >= 2, evenly spaced from the start keyframe to the end keyframe
    start, end  the keyframes, uint8 [H W 3]
    lock_end    False where the clip was made without the end keyframe (plain image-to-video)
    detail      whether the keyframes' fine detail is carried along

    Where the clip's shape differs from the keyframes', it is stretched to theirs: a model that was shown a stretched
    keyframe (its sizes are multiples of 8 to 64) is stretched back by it. Raises InputError for a clip of another form.
    """

    def __init__(
        self, frames: np.ndarray, start: np.ndarray, end: np.ndarray, *, lock_end: bool = True, detail: bool = True
    ):
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4 or len(frames) < 2:
            raise InputError(
                f"clip: uint8 [T h w 3] of at least 2 frames is needed, got {getattr(frames, 'shape', 0)}."
            )
        self.frames, self.size = frames, start.shape[1::-1]
        self._pairs: dict[int, DraftPair] = {}
        self._preparing = threading.Lock()
        ends = [(start, frames[0]), *([(end, frames[-1])] if lock_end else [])]
        self._tones = [tone_difference(keyframe, frame) for keyframe, frame in ends]
        self._details = []
        if detail:
            known = [
                (keyframe - self._toned(self._enlarged(frame), [tone], [1.0]), _Anchor(frame))
                for (keyframe, frame), tone in zip(ends, self._tones, strict=True)
            ]
            self._details = [(missing.round().astype(np.int16), anchor) for missing, anchor in known]

    def native(self, position: float) -> np.ndarray:  # uint8 [h w 3]
        """The clip itself at `position`, at its own size: a frame of it, or one between two along their motion."""
        x = float(np.clip(position, 0, 1)) * (len(self.frames) - 1)
        if abs(x - round(x)) < _ON_A_FRAME:
            return self.frames[round(x)]
        before = int(x)
        with self._preparing:
            if before not in self._pairs:
                while len(self._pairs) >= _PAIRS:
                    self._pairs.pop(next(iter(self._pairs)))
                self._pairs[before] = DraftPair(self.frames[before], self.frames[before + 1])
            pair = self._pairs[before]
        return pair.frame(x - before)

    def frame(self, position: float) -> np.ndarray:  # uint8 [H W 3]
        """The picture at `position`, at the keyframes' size, in their tones and with their detail."""
        native = self.native(position)
        shares = [1.0 - position, position][: len(self._tones)]
        picture = self._toned(self._enlarged(native), self._tones, shares)
        if self._details:
            picture += self._carried(native, shares)
        return np.clip(picture.round(), 0, 255).astype(np.uint8)

    def _enlarged(self, frame: np.ndarray) -> np.ndarray:  # uint8 [h w 3] -> float32 [H W 3]
        if frame.shape[1::-1] == self.size:
            return frame.astype(np.float32)
        smaller = frame.shape[0] > self.size[1] and frame.shape[1] > self.size[0]
        return cv2.resize(
            frame.astype(np.float32), self.size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        )

    def _toned(self, picture: np.ndarray, tones: list[np.ndarray], shares: list[float]) -> np.ndarray:
        tone = sum(share * tone for share, tone in zip(shares, tones, strict=True))
        return picture + cv2.resize(tone, self.size, interpolation=cv2.INTER_CUBIC)

    def _carried(self, native: np.ndarray, shares: list[float]) -> np.ndarray:  # float32 [H W 3]
        """What the keyframes show beyond the clip, moved to where it is in `native`; nothing where that is unknown."""
        sums, weights = np.zeros((*self.size[::-1], 3), np.float32), np.zeros(self.size[::-1], np.float32)
        for share, (missing, anchor) in zip(shares, self._details, strict=True):
            motion, belief = anchor.motion_from(native)
            position = of.grid(weights.shape) + of.resize_flow(motion, self.size)
            weight = share * cv2.resize(belief, self.size, interpolation=cv2.INTER_LINEAR)
            moved = cv2.remap(
                missing.astype(np.float32), position, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            sums += weight[..., None] * moved
            weights += weight
        return sums / np.maximum(weights, _LEAST_TRUST)[..., None]


class _Anchor:
    """An end of the clip, to which the motion of other frames is found."""

    def __init__(self, frame: np.ndarray):
        self.small = _shrunk(frame, _MOTION_SIDE)
        self.grey, self.soft = _grey(self.small), _soft(self.small)

    def motion_from(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of `frame` is to be found in the anchor, flow [h w 2], and how far that is so, [h w]."""
        small = _shrunk(frame, _MOTION_SIDE)
        grey, soft = _grey(small), _soft(small)
        still = np.zeros((*grey.shape, 2), np.float32)
        flows = []
        for (g, s), (other_g, other_s) in (
            ((grey, soft), (self.grey, self.soft)),
            ((self.grey, self.soft), (grey, soft)),
        ):
            found = of.dense_flow(g, other_g)
            costs = [of.photometric_cost(s, other_s, still) - _STILL_BONUS, of.photometric_cost(s, other_s, found)]
            flows.append(of.fuse_flows([still, found], costs))
        return flows[0], trust(soft, self.soft, *flows)


def tone_difference(keyframe: np.ndarray, frame: np.ndarray) -> np.ndarray:  # float32 [h w 3]
    """How much lighter and in which tint `keyframe` is than `frame`, smoothly over the picture, in grey levels.

    Both are uint8 [H W 3], of any size. Where the two show different things, which is no matter of tone, the difference
    around is taken.
    """
    size = _shrunk(keyframe, _TONE_SIDE).shape[1::-1]
    difference, shown = (
        cv2.resize(p.astype(np.float32), size, interpolation=cv2.INTER_AREA) for p in (keyframe, frame)
    )
    difference -= shown
    usual = np.median(difference.reshape(-1, 3), axis=0)
    weight = np.exp(-0.5 * np.square(np.abs(difference - usual).max(axis=-1) / _SAME_THING))
    sigma = max(0.8, _TONE_SPREAD * max(size))
    spread = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None] + 1e-3
    return (cv2.GaussianBlur((difference - usual) * weight[..., None], (0, 0), sigma) / spread + usual).astype(
        np.float32
    )


def _shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """The picture with a long side of at most `side` pixels."""
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = [max(1, round(n * scale)) for n in picture.shape[1::-1]]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _soft(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float32)
