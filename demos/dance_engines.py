"""Who makes the in-betweens of a dance: the draft of chapter 7, or the engines of chapter 5 as clips between two poses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from genkey_core import runtime
from genkey_core.cost import Cost
from genkey_core.dance.planning import Plan
from genkey_core.dance.render import Interpolate
from genkey_core.dance.stage import known_stage
from genkey_core.dance.stage_models import StageModels

WORDS = {
    "draft": "**draft** moves the subject from pose to pose over a still background, of your own pixels, on any machine.",
    "mini": "**mini** is the small video model of the Inbetween tab at 64×64. It knows only its drawn cars and birds: dancers "
    "melt. It is here to try the way the others go.",
    "full": "**full** is Stable Video Diffusion in both directions at once (chapter 5). It needs a graphics card with 10 GB "
    "free, and fetches its weights the first time.",
    "wan": "**wan** (Wan 2.1, first and last frame). It needs a graphics card, and fetches its weights the first time.",
    "ltx": "**ltx** (LTX-Video with keyframe conditions). It needs a graphics card, and fetches its weights the first time.",
}

_MIRRORS = {
    "draft": "**draft** turns the subject's own pixels about its axis and puts it before the one background, on any machine.",
    "flux": "**flux** is the thesis's way: FLUX.1-dev with a ControlNet for edges, fitted to your keyframes, paints them and "
    "their mirrors anew. It needs a graphics card with 44 GB free, an account that accepted FLUX's licence, its ControlNet "
    "pinned by this machine's owner (GENKEY_FLUX_CANNY), and one and a half hours for six keyframes.",
    "sdxl": "**sdxl** does the same with SDXL and its ControlNet, which a graphics card with 16 GB free holds. It fetches its "
    "weights the first time.",
}
_MASKS = {
    "plate": "The subject is what moves before the background that the keyframes share.",
    "sam2": "**SAM 2** (small) cuts out what the background plate points at; it runs without a graphics card, too, and "
    "fetches 184 MB the first time.",
}


def mirror_words(mirrors: str, masks: str) -> str:
    """What the choice of mirrors and masks means."""
    return " ".join((_MIRRORS.get(mirrors, ""), _MASKS.get(masks, "")))


def with_models(job: Plan, cost: Cost) -> Cost:
    """The cost of a dance with what the models of its stage add, unless it is set up; raises InputError where they cannot run."""
    needs = StageModels(job.settings).needs(len(job.images), job.size)
    if known_stage(job.digest) is not None:
        return cost
    return replace(
        cost,
        seconds=cost.seconds + needs.seconds,
        memory_bytes=cost.memory_bytes + needs.memory_bytes,
        disk_bytes=cost.disk_bytes + needs.disk_bytes,
        gpu_quota_s=cost.gpu_quota_s + (float(runtime.quota_seconds(needs.gpu_s)) if needs.gpu_s else 0.0),
        download_bytes=cost.download_bytes + needs.download_bytes,
        notes=(*cost.notes, *needs.notes),
    )


def interpolate_of(job: Plan) -> Interpolate | None:
    """What makes the in-betweens of a plan; None for the draft. Raises InputError where an engine cannot run here."""
    engine = _engine(job)
    if engine is None:
        return None

    def interpolate(start: np.ndarray, end: np.ndarray, n: int) -> Iterator[object]:
        return engine.between(start, end, np.arange(1, n + 1) / (n + 1))

    return interpolate


def with_engine(job: Plan, cost: Cost, n_pairs: int) -> Cost:
    """The cost of a dance with what `n_pairs` clips of its engine add; raises InputError where it cannot run here."""
    engine = _engine(job)
    if engine is None:
        return cost
    needs = engine.needs(job.size)
    seconds = needs.once_s + n_pairs * (needs.evaluations * needs.evaluation_s + needs.around_s)
    return replace(
        cost,
        seconds=cost.seconds + seconds,
        memory_bytes=cost.memory_bytes + needs.memory_bytes,
        gpu_quota_s=n_pairs * float(runtime.quota_seconds(needs.lease_s)) if needs.lease_s else 0.0,
        download_bytes=needs.download_bytes,
        engine=engine.name,
        memory_mode=needs.memory_mode,
        notes=(*cost.notes, *needs.notes),
    )


def _engine(job: Plan):
    if job.settings.engine == "draft":
        return None
    from genkey_core.inbetween.engines import choose_engine
    from genkey_core.inbetween.settings import Settings

    return choose_engine(job.settings.engine, Settings(engine=job.settings.engine, seed=job.settings.seed))
