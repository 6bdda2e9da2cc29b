"""The learned engine of chapter 4 for whole videos: the network of 4.2.2 in a crop, composed with real pixels.

Of every frame around a cut its keypoints are read (4.2.1), those visible at both ends are interpolated (4.2.3), and the
network paints the frame they describe from both ends and some other frames, with one random code for the whole cut. It
works on a small square about head and shoulders, framed as it was trained. What it paints takes the place of the draft
engine's picture only where the two differ by more than the network errs at the ends, for there the draft, whose
pixels are real and sharp, has no match; the rest keeps the video's own pixels.
"""

from __future__ import annotations

import json
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .. import runtime
from ..checks import InputError, shown
from . import keypoints
from .bodymap import BodySource
from .engines import Around, CutNeeds, Said
from .painting import Known, Painter, framed
from .transition import Between

if TYPE_CHECKING:
    from .networks import Synthesis

MINI_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "checkpoints" / "mini-jumpcut"
_FRAME_S = 0.2  # a frame by the mini network on two cores, at 512x512, beyond the draft's


class LearnedCuts:
    """A `CutEngine` of a network and a source of body maps.

    `load` gives the network when the first cut is made; `seed` is the random code's.
    """

    whole_clips, follows_pose = False, True

    def __init__(
        self, name: str, load: Callable[[], Synthesis], body: BodySource, *, seed: int = 0, notes: tuple[str, ...] = ()
    ):
        self.name, self.body, self.seed, self.notes = name, body, seed, notes
        self._load, self._network = load, None

    def for_cut(self, around: Around) -> Between:
        """As `engines.CutEngine`."""
        return _LearnedCut(self, around).between

    def network(self) -> Synthesis:
        if self._network is None:
            self._network = self._load()
        return self._network

    def needs(self, size: tuple[int, int], n_frames: int) -> CutNeeds:
        """As `engines.CutEngine`; seconds of the network alone, the draft's frames beneath are counted apart."""
        return CutNeeds(
            seconds=n_frames * _FRAME_S * _pace.get(self.name, 1.0) + self.body.seconds(n_frames + 4),
            once_s=4.0,  # torch and the weights
            memory_bytes=700_000_000,
            download_bytes=getattr(self.body, "download_bytes", 0),
            notes=self.notes,
        )


def mini(body: BodySource, *, seed: int = 0, folder: str | Path = MINI_FOLDER) -> LearnedCuts:
    """The bundled network, which knows the drawn presenters alone. Raises InputError where it cannot run here."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise InputError(
            f"mini: its checkpoint {folder.name} is not in assets/checkpoints; train one (docs/mini.md), or choose the "
            "draft engine."
        )
    note = (
        "mini knows only the drawn presenters it was trained on; on real footage most of the picture stays the draft's."
    )
    return _engine("mini", folder, body, seed, (note,))


def fitted(body: BodySource, folder: str | Path, *, seed: int = 0) -> LearnedCuts:
    """A network that was fitted to a video (fitting.py). Raises InputError where `folder` holds none."""
    return _engine("learned", Path(folder), body, seed, ())


def _engine(name: str, folder: Path, body: BodySource, seed: int, notes: tuple[str, ...]) -> LearnedCuts:
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise InputError(f"{name}: torch is not installed here; install it, or choose the draft engine.")
    try:
        wanted = json.loads((folder / "config.json").read_text())["landmarks"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{name}: {shown(folder.name)} holds no network of this tool; choose another engine."
        ) from error
    found = getattr(body, "n_landmarks", 0)
    if found and found != wanted:
        raise InputError(
            f"{name}: this network knows {wanted} landmarks, the body map has {found}; use a body map with as many, or "
            "without landmarks."
        )

    def load() -> Synthesis:
        from .networks import load as read

        device = (
            "cpu" if runtime.on_zero_gpu() else runtime.best_device()
        )  # small: a lease would cost more than it saves
        return read(folder, device=device)

    return LearnedCuts(name, load, body, seed=seed, notes=notes)


class _LearnedCut:
    """One cut: its square, its frames' keypoints, and the network's frames composed with the draft's."""

    def __init__(self, engine: LearnedCuts, around: Around):
        self.engine, self.around = engine, around
        self._known: dict[int, Known] = {}
        self._shares: list[float] = []  # of the body, what the network painted of each frame

    @property
    def note(self) -> str:
        """How much of the body is the network's, for people; empty before a frame was made."""
        if not self._shares:
            return ""
        return f"the network painted {100 * float(np.mean(self._shares)):.0f} % of the speaker, the rest is the video's"

    def between(self, start: np.ndarray, end: np.ndarray, positions: np.ndarray) -> Iterator[np.ndarray | Said]:
        """As `transition.Between`; positions 0 and 1 are the ends, bit for bit."""
        if not self._known:
            yield Said("reading the body map")
            self._look()
        ends = [self._of(picture) for picture in (start, end)]
        others = [self._of(picture) for _, picture in self.around.others]
        network = self.engine.network()
        began = time.perf_counter()
        painter = Painter(network, self.crop, ends, others, seed=self.engine.seed)
        prepared_s = time.perf_counter() - began
        for t, base in zip(positions, self.around.draft(start, end, positions), strict=True):
            t = float(t)
            if t in (0.0, 1.0):
                yield base
                continue
            began = time.perf_counter()
            points = keypoints.interpolate(ends[0].points, ends[1].points, t)
            made = self._composed(base, painter, points, t)
            self._known[id(made)] = Known(weakref.ref(made), points, ends[round(t)].covered)
            _learn(self.engine.name, prepared_s / len(positions) + time.perf_counter() - began)
            yield made

    def _look(self) -> None:
        """Body maps and keypoints of every frame around the cut."""
        frames = [*self.around.frames, *self.around.others]
        bodies = list(self.engine.body.bodies(frames))
        height, width = frames[0][1].shape[:2]
        self.crop = framed(bodies[: len(self.around.frames)], width=width, height=height)
        config = self.engine.network().config
        for (_, picture), body in zip(frames, bodies, strict=True):
            points = self.crop.points(body, picture, n=config.cells, size=config.size)
            covered = self.crop.covered(body, picture, config.size)
            self._known[id(picture)] = Known(weakref.ref(picture), points, covered)

    def _of(self, picture: np.ndarray) -> Known:
        known = self._known.get(id(picture))
        # The transitions hand on the very arrays that they were given or that were made here.
        assert known is not None, "a picture that is not of this cut"
        assert known.picture() is picture, "a picture that is not of this cut"
        return known

    def _composed(self, base: np.ndarray, painter: Painter, points: np.ndarray, t: float) -> np.ndarray:
        """The draft's frame with the network's where the draft has no match."""
        painted, place = painter.paint(points, t), painter.place(points)
        there = self.crop.small(base, painter.size)
        difference = np.abs(cv2.GaussianBlur(painted - there, (0, 0), 1.0)).max(2)
        # Judged by region: pixel by pixel the two would be a patchwork.
        strength = cv2.GaussianBlur(difference, (0, 0), painter.size / 32) / painter.tolerance
        weight = cv2.GaussianBlur(((1.0 - np.exp(-(strength**2))) * place).astype(np.float32), (0, 0), 1.5)
        self._shares.append(float(weight[place > 0.5].mean()) if (place > 0.5).any() else 0.0)
        side = (self.crop.side, self.crop.side)
        weight = cv2.resize(weight, side, interpolation=cv2.INTER_LINEAR)[..., None]
        painted = cv2.resize(painted, side, interpolation=cv2.INTER_CUBIC)
        frame = base.copy()
        here = self.crop.of(frame)
        here[:] = np.clip(here + weight * (painted - here) + 0.5, 0, 255).astype(np.uint8)
        return frame


_pace: dict[str, float] = {}  # measured over stated seconds of a frame, by engine
_pace_lock = threading.Lock()


def _learn(name: str, seconds: float) -> None:
    with _pace_lock:
        _pace[name] = 0.8 * _pace.get(name, 1.0) + 0.2 * min(max(seconds / _FRAME_S, 0.01), 100.0)
