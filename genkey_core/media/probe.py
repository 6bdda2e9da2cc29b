"""What a video or sound file is, without decoding more than one frame of it."""

from __future__ import annotations

import os

from genkey_core.media.container import open_media


def read_metadata(path: str | os.PathLike) -> dict[str, str]:
    """The texts that a video or sound file carries (title, comment, ...), keys in lower case.

    Raises InputError where it is no such file.
    """
    with open_media(path) as container:
        return {key.lower(): text for key, text in container.metadata.items()}
