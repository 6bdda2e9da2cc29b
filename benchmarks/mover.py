"""Measures on a made clip of the motion world: how far its mover is from where it should be, whichever method made it.

Nothing here knows the method. What differs from the clip's known backdrop is where a mover is seen, and the sum over
pixels of how surely it is seen there is its *presence*. Three measures of the path follow:

- `transport_error` compares where the made clip shows a mover with where the true one does, as distributions over the
  picture: the sliced transport distance (Rabin et al. 2011) in pixels. A mover 3 px off costs 3. Of two ghosts each pays
  for its own way, so a cross-dissolve costs the mean distance of its halves from the true place, and never profits from
  their middle. What is not there costs the mover's whole travel.
- `tracked_error` is `motion_world.path_error` of the strongest mover that `motion_world.track` finds: a ghost may pass
  for a mover here where it is the stronger half.
- `reversals` is `motion_world.reversals` of that track: the share of steps against the mover's facing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache

import cv2
import numpy as np

from benchmarks import metrics
from genkey_core.mini import motion_world
from genkey_core.mini.motion_draw import UNITS
from genkey_core.mini.motion_world import Clip

DIRECTIONS = 16  # over half a turn; a move costs its length to 0.4 % whatever its direction
PRESENT = 0.5  # share of the true presence from which a mover counts as wholly there
# Fixed on true clips that were blurred, made noisy, or both, before any method was measured.
SMOOTHING = 1.0  # px at 64 px: averages noise, and what an autoencoder gets wrong along edges, out of the presence
SEEN = (
    20.0,
    30.0,
)  # grey levels from the backdrop at which a pixel begins to count, and over which it comes to count fully


@dataclass(frozen=True)
class Measures:
    """One made clip against its truth."""

    path_px: float  # transport_error, mean over the frames
    tracked_px: float  # tracked_error
    reversals: float  # share of the steps, 0 to 1
    endpoint_db: float  # PSNR of the first and last frame together; infinite where they are the keyframes
    sharpness: float  # of the frames between over the truth's; 1 is as sharp


def measure(frames: np.ndarray, clip: Clip) -> Measures:
    """All measures of `frames` uint8 [T H W 3], made from the ends of `clip`, all T of them as the method left them."""
    path = motion_world.track(frames, clip)
    return Measures(
        path_px=float(transport_error(frames, clip).mean()),
        tracked_px=motion_world.path_error(path, clip),
        reversals=motion_world.reversals(path, clip),
        endpoint_db=metrics.psnr(frames[[0, -1]], clip.images[[0, -1]]),
        sharpness=float(
            np.mean([metrics.relative_sharpness(a, b) for a, b in zip(frames[1:-1], clip.images[1:-1], strict=True)])
        ),
    )


def as_record(measures: Measures, clip: Clip, method: str) -> dict:
    """JSON types only."""
    return {"seed": clip.seed, "kind": clip.kind, "method": method, **asdict(measures)}


def presence(frames: np.ndarray, background: np.ndarray) -> np.ndarray:
    """How surely each pixel shows something else than the backdrop, float32 [T H W] in [0, 1]."""
    sigma = SMOOTHING * background.shape[0] / UNITS
    smooth = [cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma) for image in (background, *frames)]
    distance = np.abs(np.stack(smooth[1:]) - smooth[0]).max(-1)
    return np.clip((distance - SEEN[0]) / SEEN[1], 0, 1)


def transport_error(frames: np.ndarray, clip: Clip) -> np.ndarray:
    """Per frame, the distance in px by which what is seen in `frames` [T H W 3] misses the true mover; float [T].

    0 where the made clip is the true one. Presence below PRESENT of the true one is taken for a mover that is partly
    missing: that share costs the mover's travel over the whole clip.
    """
    made, true = presence(frames, clip.background), presence(clip.images, clip.background)
    masses, true_masses = made.sum((1, 2)), np.maximum(true.sum((1, 2)), 1e-6)
    travel = float(np.linalg.norm(np.diff(clip.path, axis=0), axis=1).sum())
    there = np.clip(masses / (PRESENT * true_masses), 0, 1)
    normed = made / np.maximum(masses, 1e-6)[:, None, None]
    return there * sliced_transport(normed, true / true_masses[:, None, None]) + (1 - there) * travel


def sliced_transport(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sliced transport distance in px between distributions a and b [T H W] that each sum to 1; float [T].

    Per direction the distributions of the projected pixels are compared by the area between their cumulative sums,
    which is what it takes to carry one into the other along that direction. The mean over the directions is
    scaled so that a mere shift costs its length.
    """
    order, gaps = _projections(*a.shape[1:])
    difference = (a - b).reshape(len(a), -1)
    carried = np.stack(
        [(np.abs(np.cumsum(difference[:, o], 1))[:, :-1] * g).sum(1) for o, g in zip(order, gaps, strict=True)]
    )
    return carried.mean(0) * np.pi / 2


@lru_cache(maxsize=4)
def _projections(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Per direction, the pixels in the order of their projection and the gaps between neighbours, px."""
    ys, xs = np.mgrid[:height, :width]
    angles = np.pi * (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
    along = np.cos(angles)[:, None] * xs.ravel() + np.sin(angles)[:, None] * ys.ravel()
    order = along.argsort(1, kind="stable")
    return order, np.diff(np.take_along_axis(along, order, 1), axis=1)
