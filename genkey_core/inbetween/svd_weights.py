"""The published weights of the engine `full`: which of them are here, and bringing those that are not.

The model is the 25-frame one; the backward weights were fine-tuned on the 14-frame one (thesis section 5.3.2) and are kept
as a difference to it, for which a fiftieth of two files is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .. import hub
from ..checks import InputError
from ..worker import Reporter, streamed

_DIFFERENCE_BYTES = 200_000_000  # what is fetched for the difference: an estimate


def difference_file() -> Path:
    """Where the published backward weights are kept as a difference, among the Hub's assets (HF_HOME/assets)."""
    from huggingface_hub import cached_assets_path, constants

    tuned, base = hub.checkpoint("svd-backward"), hub.checkpoint("svd")
    folder = cached_assets_path(
        "genkey_core", namespace=tuned.repo_id, subfolder=tuned.revision, assets_dir=constants.HF_ASSETS_CACHE
    )
    return folder / f"difference-to-{base.revision[:12]}.safetensors"


def absent(variant: str) -> list[str]:
    """The checkpoints that `variant` needs something of that is not here; asks no network."""
    names = [] if hub.cached("svd-xt") else ["svd-xt"]
    if variant == "dual" and not difference_file().is_file():
        names += ["svd-backward", "svd"]
    return names


def download_bytes(variant: str) -> int:
    """About how much has to be fetched before `variant` can run."""
    names = absent(variant)
    whole = hub.checkpoint("svd-xt").size_bytes or 0
    return whole * ("svd-xt" in names) + _DIFFERENCE_BYTES * ("svd" in names)


def check_fetchable(variant: str) -> None:
    """Raise InputError where something is absent and must not be asked for, or not without an account."""
    from huggingface_hub import constants, get_token

    for entry in map(hub.checkpoint, absent(variant)):
        if constants.HF_HUB_OFFLINE:
            raise InputError(
                f"{entry.name}: its weights are not here, and HF_HUB_OFFLINE forbids fetching them; unset it, or choose "
                "the draft engine."
            )
        if entry.gated and not get_token():
            raise InputError(
                f"{entry.name}: its weights are given to accounts that accepted the licence at {entry.licence_url}; do so "
                "and set HF_TOKEN, or choose the draft engine."
            )


def fetched(variant: str) -> Iterator[str]:
    """Bring what is absent; yields what is being done, in words.

    Closing it stops the transfer, which is taken up again next time. Raises DownloadError.
    """
    names = absent(variant)
    if not names:
        return

    def work(say: Reporter) -> None:
        told = ""

        def report(done: int, total: int, file: str) -> None:
            nonlocal told
            say.check()
            note = f"fetching {file}: {100 * done // max(1, total)} % of {total / 1e9:.1f} GB"
            if note != told:
                told = note
                say(note)

        if "svd-xt" in names:
            hub.fetch("svd-xt", progress=report)
        if "svd" in names:
            from .delta import published_delta, save_delta

            save_delta(published_delta(progress=report), difference_file())

    yield from streamed(work)
