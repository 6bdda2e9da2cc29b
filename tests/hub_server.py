"""Starts the hub as users start it, `python app.py`, in a process and a temporary folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class HubServer:
    """A running hub: `url`, the folder it keeps uploads and results in, and its process."""

    def __init__(self, folder: Path, **environment: str):
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        self.log = folder / "server.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {**os.environ, "GRADIO_TEMP_DIR": str(self.files), **environment}

    def __enter__(self) -> HubServer:
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py", "--port", str(self.port)],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the hub ended at once:\n{self.log.read_text()[-3000:]}")
            try:
                with urllib.request.urlopen(self.url, timeout=5):
                    return self
            except OSError:
                time.sleep(0.2)
        self.process.kill()
        raise RuntimeError(f"the hub did not answer:\n{self.log.read_text()[-3000:]}")

    def __exit__(self, *error) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def alive(self) -> bool:
        """Whether the server still runs and answers."""
        if self.process.poll() is not None:
            return False
        with urllib.request.urlopen(self.url, timeout=20) as answer:
            return answer.status == 200

    def kept(self) -> list[Path]:
        """All files that the hub keeps now; a folder that is deleted while it is read has none (`glob` would raise)."""
        return [Path(folder) / name for folder, _, names in os.walk(self.files) for name in names]

    def results(self) -> list[Path]:
        """All files in result folders now."""
        return [p for p in self.kept() if p.relative_to(self.files).parts[0].startswith("result-")]
