"""The pictures of a dance: every pair of keyframes rendered once and kept on the disk, then read along the warped timeline.

A clip is named by what it shows (keyframes, pair, number of in-betweens, engine), so after a changed label only pairs that were
never danced before are rendered. Only the box in which a clip differs from the background is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import runtime
from ..checks import InputError
from ..media.files import atomic_output
from .layered import Layered
from .stage import Stage
from .warp import WarpedPlan, nearest_picture

# (start, end, n) -> n frames uint8 [H W 3] between the two keyframes; what is no array is a word on how far it is.
Interpolate = Callable[[np.ndarray, np.ndarray, int], Iterable[object]]
Pair = tuple[int, int]

_AHEAD = 2  # pairs that are rendered while earlier ones are shown


@dataclass(frozen=True)
class Making:
    """A pair of keyframes is being rendered: the `done`-th of `total` in-betweens, or what its engine says."""

    pair: Pair
    done: int
    total: int
    note: str = ""


@dataclass(frozen=True)
class Shown:
    """Frame `number` of the dance."""

    number: int
    image: np.ndarray  # uint8 [H W 3]


class Clip:
    """The in-betweens of one pair: `clip[i]` is uint8 [H W 3]."""

    def __init__(self, box: np.ndarray, corner: tuple[int, int], plate: np.ndarray):
        self._box, self._corner, self._plate = box, corner, plate

    def __getitem__(self, i: int) -> np.ndarray:
        y, x = self._corner
        _, h, w, _ = self._box.shape
        frame = self._plate.copy()
        frame[y : y + h, x : x + w] = self._box[i]
        return frame


class Shelf:
    """The clips of a stage, in `folder`. `interpolate` makes new ones; None is the draft, which is layered."""

    def __init__(
        self, stage: Stage, folder: Path, *, n: int, interpolate: Interpolate | None = None, engine: str = "draft"
    ):
        self.stage, self.n = stage, n
        self.made = 0  # clips that were not on the disk
        self._folder, self._interpolate, self._engine = Path(folder), interpolate, engine
        self._layered = Layered(stage.scene, kept_pairs=2 * _AHEAD)
        self._folder.mkdir(parents=True, exist_ok=True)

    def path(self, pair: Pair) -> Path:
        name = f"{self.stage.digest}|{pair[0]}|{pair[1]}|{self.n}|{self._engine}"
        return self._folder / f"clip-{hashlib.sha256(name.encode()).hexdigest()[:24]}.npz"

    def has(self, pair: Pair) -> bool:
        return self.path(pair).is_file()

    def clip(self, pair: Pair) -> Clip:
        """A clip that is on the disk."""
        with np.load(self.path(pair), allow_pickle=False) as stored:
            return Clip(stored["box"], tuple(stored["corner"].tolist()), self.stage.scene.plate)

    def made_now(self, pair: Pair) -> Iterator[Making]:
        """Render a pair and keep it."""
        a, b = pair
        frames: list[np.ndarray] = []
        for item in self._asked(a, b):
            if isinstance(item, np.ndarray):
                frames.append(item)
                yield Making(pair, len(frames), self.n)
            else:
                yield Making(pair, len(frames), self.n, str(getattr(item, "note", item)))
        if len(frames) != self.n or any(frame.shape != self.stage.scene.plate.shape for frame in frames):
            raise InputError(f"engine: {self.n} in-betweens of the keyframes' size are needed, got {len(frames)}.")
        self._store(pair, frames)
        self.made += 1

    def _asked(self, a: int, b: int) -> Iterable[object]:
        if self._interpolate is None:
            return self._layered.between(a, b, np.arange(1, self.n + 1) / (self.n + 1))
        images = self.stage.scene.images
        return self._interpolate(images[a], images[b], self.n)

    def _store(self, pair: Pair, frames: list[np.ndarray]) -> None:
        plate = self.stage.scene.plate
        differs = np.logical_or.reduce([(frame != plate).any(-1) for frame in frames])
        ys, xs = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        y0, y1, x0, x1 = (ys[0], ys[-1] + 1, xs[0], xs[-1] + 1) if len(ys) else (0, 1, 0, 1)
        box = np.stack([frame[y0:y1, x0:x1] for frame in frames])
        with atomic_output(self.path(pair)) as part, open(part, "wb") as file:
            np.savez(file, box=box, corner=np.array([y0, x0]))

    @property
    def side_by_side(self) -> bool:
        """Whether pairs may be rendered at the same time: the draft's may; models are asked one after the other."""
        return self._interpolate is None


def pictures(plan: WarpedPlan, shelf: Shelf) -> Iterator[Making | Shown]:
    """The frames of a plan in order, and what is rendered for them on the way; closing it stops the rendering."""
    pairs = plan.pairs
    scene = shelf.stage.scene
    current: tuple[Pair, Clip] | None = None
    with ThreadPoolExecutor(min(_AHEAD, runtime.cpu_count())) as pool:
        coming: dict[Pair, Future] = {}
        try:
            for f, (start, end, position) in enumerate(zip(plan.start, plan.end, plan.position, strict=True)):
                pair, nearest = (int(start), int(end)), nearest_picture(float(position), shelf.n)
                if pair[0] == pair[1] or nearest in (0, shelf.n + 1):
                    yield Shown(f, scene.images[pair[0] if nearest == 0 else pair[1]])
                    continue
                if current is None or current[0] != pair:
                    yield from _ready(pair, pairs, shelf, pool, coming)
                    current = pair, shelf.clip(pair)
                yield Shown(f, current[1][nearest - 1])
        finally:
            for future in coming.values():
                future.cancel()


def _ready(
    pair: Pair, pairs: list[Pair], shelf: Shelf, pool: ThreadPoolExecutor, coming: dict[Pair, Future]
) -> Iterator[Making]:
    """Wait for a pair, or render it; where that may be done side by side, the next ones begin meanwhile."""
    if not shelf.side_by_side:
        if not shelf.has(pair):
            yield from shelf.made_now(pair)
        return
    at = pairs.index(pair)
    for other in [p for p in pairs[at:] if p not in coming and not shelf.has(p)][: _AHEAD + 1]:
        coming[other] = pool.submit(lambda wanted=other: list(shelf.made_now(wanted)))
    if pair in coming:
        yield Making(pair, 0, shelf.n)
        coming[pair].result()
        yield Making(pair, shelf.n, shelf.n)


def swept(folder: Path, most_bytes: int) -> None:
    """Delete the oldest clips of a folder until it holds at most `most_bytes`."""
    clips = sorted(Path(folder).glob("clip-*.npz"), key=lambda p: p.stat().st_mtime, reverse=True)
    total = 0
    for path in clips:
        total += path.stat().st_size
        if total > most_bytes:
            with suppress(FileNotFoundError):
                path.unlink()
