"""The stage of a dance: subject, background and mirrors of a set of keyframes, and the motion between all of them.

It depends on the keyframes and on who turns them alone, so it is made once and kept for the next pattern, song or wish.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .graph import keyframe_name
from .mirror import augmented, over_plate
from .motion_range import MotionRange, measure
from .plates import Scene, separate
from .settings import Settings
from .stage_models import Doing, StageModels

_KEPT = 2  # stages in memory; one of twelve keyframes of 1024x576 takes 0.2 GB


@dataclass(frozen=True, eq=False)
class Stage:
    """Keyframes ready to dance: the originals first, then their mirrors."""

    scene: Scene  # of 2K keyframes
    ranges: MotionRange  # the motion between all of them
    digest: str  # of the keyframes
    notes: tuple[str, ...]

    @property
    def motion(self) -> np.ndarray:
        """float64 [2K 2K], mean motion of the subject from keyframe to keyframe, pixels at 1024x576."""
        return self.ranges.motion

    @property
    def n_poses(self) -> int:
        return len(self.scene.images) // 2


_stages: OrderedDict[str, Stage] = OrderedDict()
_lock = threading.Lock()


def digest_of(images: Sequence[np.ndarray]) -> str:
    """What tells one set of keyframes from another."""
    found = hashlib.sha256()
    for image in images:
        found.update(repr(image.shape).encode())
        found.update(np.ascontiguousarray(image))
    return found.hexdigest()


def stage_digest(images: Sequence[np.ndarray], settings: Settings) -> str:
    """What tells one stage from another: the keyframes, and the models that set it up where there are some."""
    digest = digest_of(images)
    if settings.mirrors == "draft" and settings.masks == "plate":
        return digest
    names = ("masks", "mirrors", *(("subject", "background", "epochs", "seed") if settings.mirrors != "draft" else ()))
    told = [getattr(settings, name) for name in names]
    return hashlib.sha256(f"{digest} {told}".encode()).hexdigest()


def known_stage(digest: str) -> Stage | None:
    """The stage of keyframes that were set up lately, if it is still here."""
    with _lock:
        if digest in _stages:
            _stages.move_to_end(digest)
        return _stages.get(digest)


def staged(
    images: Sequence[np.ndarray], models: StageModels | None = None, *, folder: Path | None = None
) -> Iterator[Doing | Stage]:
    """Set up 3 to 12 keyframes uint8 [H W 3] of one size; yields what is being done, and last the Stage.

    `models` are those that were asked for; None is the draft. The fit of a painter is kept in `folder`, or thrown away.
    Raises InputError for keyframes that do not fit together, and where no subject is found.
    """
    digest = digest_of(images) if models is None else stage_digest(images, models.settings)
    found = known_stage(digest)
    if found is None:
        scene = None
        for item in _augmented(images, models, folder, digest):
            if isinstance(item, Scene):
                scene = item
            else:
                yield item
        for item in measure(scene.images, scene.masks):
            if isinstance(item, MotionRange):
                ranges = item
            else:
                yield Doing(f"measuring the motion between all poses, {item.index + 1} of {item.total}")
        found = Stage(scene, ranges, digest, (*scene.notes, *_turns(ranges)))
        with _lock:
            _stages[digest] = found
            while len(_stages) > _KEPT:
                _stages.popitem(last=False)
    yield found


def _augmented(
    images: Sequence[np.ndarray], models: StageModels | None, folder: Path | None, digest: str
) -> Iterator[Doing | Scene]:
    """The keyframes taken apart and turned to their other side; last their Scene."""
    segmenter = None
    for item in models.segmenter() if models else ():
        if isinstance(item, str):
            yield Doing(item)
        else:
            segmenter = item
    yield Doing("telling the dancer from the background")
    scene = separate(images, segmenter=segmenter)
    if models is None or models.settings.mirrors == "draft":
        yield Doing("turning every pose to its other side")
        yield augmented(scene)
        return
    with ExitStack() as stack:
        kept = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="genkey-")))
        for item in stack.enter_context(closing(models.redrawn(scene, kept / f"fit-{digest[:24]}"))):
            yield over_plate(item) if isinstance(item, Scene) else item


def _turns(ranges: MotionRange) -> tuple[str, ...]:
    """A sentence where the subject turns round between keyframes, which flow underrates (section 7.3.5)."""
    n = len(ranges.motion)
    pairs = [f"{keyframe_name(u, n)} and {keyframe_name(v, n)}" for u, v in ranges.suspicious if u < n // 2]
    if not pairs:
        return ()
    more = f" and {len(pairs) - 4} more" if len(pairs) > 4 else ""
    return (
        f"Between {', '.join(pairs[:4])}{more} the subject turns round: this counts as more motion than flow sees.",
    )
