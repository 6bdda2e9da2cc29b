"""The frames of a video as PNG files in one zip, written as a stream; the zip appears when it is complete."""

from __future__ import annotations

import os
import threading
import zipfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from genkey_core.checks import InputError
from genkey_core.media.files import atomic_output
from genkey_core.media.images import encode_png

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format's first date: equal frames give equal files


class FrameZip:
    """A zip of `frame_00000.png`, `frame_00001.png`, ...

        with FrameZip("frames.zip") as frames:
            for image in images:
                frames.write(image)

    `write` encodes and adds. Encoding is most of the work, so threads may each call `encode_png` (it releases the
    interpreter lock) or `write(image, index)`; adding is guarded by a lock. Entries are stored, PNG being compressed.
    An exception in the block leaves nothing or, after `keep_partial()`, a valid zip of the frames so far.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path).absolute()
        self.n_frames = 0
        self._lock = threading.Lock()
        self._zip: zipfile.ZipFile | None = None
        self._keep_partial = False
        self._output = ExitStack()

    def __enter__(self) -> FrameZip:
        part = self._output.enter_context(atomic_output(self.path))
        self._zip = self._output.enter_context(zipfile.ZipFile(part, "w", zipfile.ZIP_STORED))
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._zip = None
        if kind is None and not self.n_frames:
            error = InputError("frames: at least one frame is needed, got none.")
            self._output.__exit__(InputError, error, None)
            raise error
        kept = kind is None or (self._keep_partial and self.n_frames)
        self._output.__exit__(*((None, None, None) if kept else (kind, error, trace)))

    def write(self, image: np.ndarray, index: int | None = None) -> None:
        """Encode uint8 [H W 3] and add it under `index`, by default the next."""
        self.add(encode_png(image), index)

    def add(self, png: bytes, index: int | None = None) -> None:
        """Add a frame that `encode_png` has encoded."""
        with self._lock:
            if self._zip is None:
                raise RuntimeError("FrameZip: not open; use it inside its `with` block")
            number = self.n_frames if index is None else index
            self._zip.writestr(zipfile.ZipInfo(f"frame_{number:05d}.png", _EPOCH), png)
            self.n_frames += 1

    def keep_partial(self) -> None:
        """From now on an exception in the block keeps the frames written so far as a valid zip."""
        self._keep_partial = True
