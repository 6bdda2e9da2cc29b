"""Published checkpoints: which ones, at which revision and licence, and how they reach this machine.

    checkpoints.py   the table
    download.py      fetch: whole checkpoints, resumed, verified, kept in the Hub's own cache
    server.py        what the Hub is asked, and how patiently
    watched.py       fetching: a download as a generator
    tensors.py       fetch_tensors: a few tensors out of a large file, by ranged reads
    errors.py        failures as sentences that say what to do

Nothing is fetched, and huggingface_hub is not imported, before one of the functions is called.
"""

from genkey_core.hub.checkpoints import CHECKPOINTS, Checkpoint, checkpoint
from genkey_core.hub.download import Progress, cached, cached_file, fetch, having
from genkey_core.hub.errors import DownloadError
from genkey_core.hub.tensors import fetch_tensors
from genkey_core.hub.watched import fetching

__all__ = [
    "CHECKPOINTS",
    "Checkpoint",
    "DownloadError",
    "Progress",
    "cached",
    "cached_file",
    "checkpoint",
    "fetch",
    "fetch_tensors",
    "fetching",
    "having",
]
