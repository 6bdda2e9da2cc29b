"""Who makes the new frames at a cut: the engines of chapter 4, and those of chapter 5 as whole clips across the cut."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from genkey_core import recipe, runtime
from genkey_core.checks import InputError, shown
from genkey_core.jumpcut.engines import Around, CutNeeds
from genkey_core.jumpcut.planning import Plan
from genkey_core.jumpcut.survey import Survey

if runtime.on_zero_gpu():  # functions that ask for a lent GPU have to be there when a Space opens
    from genkey_core.jumpcut import bodymap  # noqa: F401

CLIPS = {"svd-mini": "mini", "svd": "full", "wan": "wan", "ltx": "ltx"}  # names here and in the in-between method
ENGINES = ("draft", "mini", "learned", *CLIPS)
WORDS = {  # what each engine is, in a line of the page
    "draft": "**draft** makes every frame of your video's own pixels, on any machine. What neither side of a cut shows, it "
    "cannot make: far turns of the head leave ghosts, and are cut or punched in instead.",
    "mini": "**mini** is the learned network of chapter 4, small and on the processor, over *draft*. It has only ever seen the "
    "drawn presenters of this tool: try it on *Example*. On real footage, which it may be given with a body map, expect "
    "the draft's picture nearly everywhere, and smears where it is not.",
    "learned": "**learned** is the same network after *Fit to this video*, below: it knows this one speaker. It needs the "
    "body map, and a graphics card if it is to learn in minutes.",
    "svd-mini": "**svd-mini** is the small video model of the Inbetween tab, as one clip across the cut. It knows only its "
    "drawn world of cars and birds at 64×64: people melt. It is here to try the way the others go.",
    "svd": "**svd** is Stable Video Diffusion in both directions at once (chapter 5), as one clip across the cut. It needs a "
    "graphics card with 10 GB free, and fetches its weights the first time.",
    "wan": "**wan** (Wan 2.1, first and last frame), as one clip across the cut. It needs a graphics card, and fetches its "
    "weights the first time.",
    "ltx": "**ltx** (LTX-Video with keyframe conditions), as one clip across the cut. It needs a graphics card, and fetches "
    "its weights the first time.",
}


NO_BODY = (
    "body map: this engine needs to know where the speaker's body is; under Engine, drop this video's body map, or choose "
    "DensePose."
)
NOT_FITTED = "learned: no network was fitted to this video yet; under Engine, press Fit to this video."


class ClipEngine:
    """An in-between engine as an engine of cuts (`jumpcut.engines.CutEngine`)."""

    whole_clips, follows_pose = True, True

    def __init__(self, name: str, seed: int):
        from genkey_core.inbetween.engines import choose_engine
        from genkey_core.inbetween.settings import Settings

        self.name = name
        self._engine = choose_engine(CLIPS[name], Settings(engine=CLIPS[name], seed=seed))

    def for_cut(self, around: Around):
        """The engine itself: it samples a clip for each pair of ends that it is given."""
        return self._engine.between

    def needs(self, size: tuple[int, int], n_frames: int) -> CutNeeds:
        """What one clip needs, as the engine says."""
        needs = self._engine.needs(size)
        return CutNeeds(
            seconds=needs.evaluations * needs.evaluation_s + needs.around_s,
            once_s=needs.once_s,
            memory_bytes=needs.memory_bytes,
            gpu_quota_s=float(runtime.quota_seconds(needs.lease_s)) if needs.lease_s else 0.0,
            download_bytes=needs.download_bytes,
            notes=needs.notes,
        )


def body_source(survey: Survey, *, file: str | None, densepose: bool):
    """Where body maps come from; raises InputError with the remedy where there is no source."""
    from genkey_core.jumpcut.bodymap import DensePose

    if file is not None:
        if not Path(file).is_file():
            raise InputError("body map: it is no longer here (uploads are deleted after a while); drop it again.")
        return _body_file(file, survey.n_frames, float(survey.fps))
    if densepose:
        return DensePose()
    raise InputError(NO_BODY)


@lru_cache(maxsize=2)
def _body_file(path: str, n_frames: int, fps: float):
    from genkey_core.jumpcut.bodymap import BodyFile

    return BodyFile(path, n_frames=n_frames, fps=fps)


def engines_for(
    job: Plan, *, body: str | None = None, densepose: bool = False, fitted: str | None = None
) -> dict[str, object]:
    """The engines that a job's cuts ask for, ready to run; nothing is loaded or fetched yet.

    Raises InputError, in one sentence with the remedy, where one cannot run here.
    """
    return {name: _engine(name, job.survey, job.settings.seed, body, densepose, fitted) for name in job.engines}


def check_ready(name: str, *, seed: int, body: str | None, densepose: bool, fitted: str | None) -> None:
    """Raises InputError where an engine cannot run here, as far as is known before the video is analysed."""
    if name in CLIPS:
        ClipEngine(name, seed)
    elif name != "draft":
        if name == "learned" and fitted is None:
            raise InputError(NOT_FITTED)
        if body is None and not densepose:
            raise InputError(NO_BODY)


@contextmanager
def network_folder(file: str | None) -> Iterator[str | None]:
    """A folder with the network in an uploaded file, for as long as it is used; None where there is no file."""
    if file is None:
        yield None
        return
    from genkey_core.jumpcut.fitting import unpacked

    with tempfile.TemporaryDirectory() as folder:
        yield str(unpacked(file, folder))


def _engine(name: str, survey: Survey, seed: int, body: str | None, densepose: bool, fitted: str | None):
    from genkey_core.jumpcut import learned

    if name in CLIPS:
        return ClipEngine(name, seed)
    if name == "mini":
        return learned.mini(body_source(survey, file=body, densepose=densepose), seed=seed)
    if name != "learned":
        raise InputError(f"engine: one of {', '.join(ENGINES)} is needed, got {shown(name)}.")
    if fitted is None:
        raise InputError(NOT_FITTED)
    return learned.fitted(body_source(survey, file=body, densepose=densepose), fitted, seed=seed)


def inputs_of(job: Plan, *, body: str | None = None, fitted: str | None = None) -> list[dict]:
    """What a recipe names beside the video: the body map and the fitted network, where they are used."""
    files = []
    if body is not None and {"mini", "learned"} & set(job.engines):
        files.append(("body map", Path(body)))
    if fitted is not None and "learned" in job.engines:
        files.append(("fitted network", Path(fitted) / "model.safetensors"))
    return [{"name": name, "sha256": recipe.file_sha256(file)} for name, file in files]
