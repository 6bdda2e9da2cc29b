"""What the models of a dance ask of a machine: a GPU with room, and weights that are here or may be fetched.

Nothing here has been measured on a GPU: memory follows from the weights' sizes, time from what the thesis prints for FLUX (90
minutes for 500 epochs of 6 keyframes on an A100); both are meant to refuse early and to ask for a long enough lease.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import hub, runtime
from ..checks import InputError

FLUX_CANNY = "GENKEY_FLUX_CANNY"  # the owner's pin of a ControlNet that the table of checkpoints has no commit of
_CANNY_REPOSITORY = "XLabs-AI/flux-controlnet-canny-diffusers"


@dataclass(frozen=True)
class ModelSpec:
    """A model, or two at work together; sizes and times are estimates."""

    name: str  # as a user chooses it
    checkpoints: tuple[str, ...]  # in hub.CHECKPOINTS
    free_gb: float  # memory of the GPU that has to be free; 0 runs without a GPU
    ram_gb: float  # main memory that has to be free
    load_s: float
    fit_s: float = 0.0  # one step of fitting
    paint_s: float = 0.0  # one step of sampling a picture of a megapixel


SPECS = {
    spec.name: spec
    for spec in (
        ModelSpec("flux", ("flux-dev",), 44, 40, 120, fit_s=1.8, paint_s=1.0),
        ModelSpec("sdxl", ("sdxl", "sdxl-canny"), 16, 14, 40, fit_s=0.6, paint_s=0.25),
        ModelSpec("sam2", ("sam2",), 0, 1.5, 5),
        ModelSpec("flux-grid", ("flux-dev",), 40, 40, 120, paint_s=0.7),
        ModelSpec("flux-kontext", ("flux-kontext",), 42, 40, 120, paint_s=1.4),
    )
}


def flux_controlnet() -> Path | hub.Checkpoint:
    """FLUX's ControlNet for edges as the owner of this machine has pinned it: a folder, or a commit of its repository.

    No commit of it is known to this library, and it takes no moving branch. Raises InputError where none is given.
    """
    told = os.environ.get(FLUX_CANNY, "").strip()
    if not told:
        raise InputError(
            f"flux: its ControlNet, {_CANNY_REPOSITORY}, is pinned by nobody yet: set {FLUX_CANNY} to a commit of it that you"
            " trust, or to a folder that holds it; or choose sdxl, or draft."
        )
    if re.fullmatch(r"[0-9a-f]{7,40}", told):
        return hub.Checkpoint(
            name="flux-canny",
            repo_id=_CANNY_REPOSITORY,
            revision=told,
            licence="FLUX.1 [dev] Non-Commercial License",
            licence_url=f"https://huggingface.co/{_CANNY_REPOSITORY}",
            gated=False,
            files=("config.json", "diffusion_pytorch_model.safetensors"),
            size_bytes=None,
            what="ControlNet for FLUX.1-dev: pictures along Canny edges (thesis ch. 7)",
        )
    if not (Path(told) / "config.json").is_file():
        raise InputError(f"{FLUX_CANNY}: a commit of {_CANNY_REPOSITORY} or a folder with its config.json is needed.")
    return Path(told)


def parts_of(spec: ModelSpec) -> tuple[Path | hub.Checkpoint, ...]:
    """The folders and checkpoints that a model is read from; raises InputError where one is named nowhere."""
    more = (flux_controlnet(),) if spec.name == "flux" else ()
    return (*map(hub.checkpoint, spec.checkpoints), *more)


def check_machine(spec: ModelSpec, device: str, *, instead: str) -> None:
    """Raise InputError where `device` cannot hold the model; `instead` is what to do then."""
    memory = runtime.available_memory(device)
    if spec.free_gb and memory.gpu is None:
        raise InputError(
            f"{spec.name}: a graphics card with {spec.free_gb:g} GB free is needed, and this machine has none; {instead}."
        )
    if (spec.free_gb and memory.gpu < spec.free_gb * 1e9) or memory.ram < spec.ram_gb * 1e9:
        card = f"{spec.free_gb:g} GB free on the graphics card and " if spec.free_gb else ""
        has = f"{memory.gpu / 1e9:.1f} GB and " if spec.free_gb else ""
        raise InputError(
            f"{spec.name}: {card}{spec.ram_gb:g} GB of main memory are needed, this machine has {has}"
            f"{memory.ram / 1e9:.1f} GB; {instead}."
        )


def missing_bytes(parts: Sequence[Path | hub.Checkpoint], *, instead: str) -> int:
    """About how much has to be fetched before the model can be read. Asks no network.

    Raises InputError where weights that are not here must not be asked for, or not without an account.
    """
    from huggingface_hub import constants, get_token

    absent = [part for part in parts if isinstance(part, hub.Checkpoint) and hub.cached(part) is None]
    for entry in absent:
        if constants.HF_HUB_OFFLINE:
            raise InputError(
                f"{entry.name}: its weights are not here, and HF_HUB_OFFLINE forbids fetching them; unset it, or {instead}."
            )
        if entry.gated and not get_token():
            raise InputError(
                f"{entry.name}: its weights are given to accounts that accepted the licence at {entry.licence_url}; do so"
                f" and set HF_TOKEN, or {instead}."
            )
    return sum(entry.size_bytes or 0 for entry in absent)


def brought(parts: Sequence[Path | hub.Checkpoint]) -> Iterator[str | tuple[Path, ...]]:
    """Bring what is missing here: words on how far it is, last the folders. Closing it stops the transfer, which is resumed
    later. Raises DownloadError."""
    folders = []
    for part in parts:
        if isinstance(part, hub.Checkpoint):
            if hub.cached(part) is None:
                for percent, total in hub.fetching(part):
                    yield f"fetching {part.name}: {percent} % of {total / 1e9:.1f} GB"
            part = hub.fetch(part)
        folders.append(part)
    yield tuple(folders)
