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
PATIENCE_S = 600  # for anything that a server does; machines that test are busy
_READY = "* Running on local URL:"
_PORT_TAKEN = ("Cannot find empty port", "check that the port is available")  # what Gradio says where it cannot listen


class HubServer:
    """A running hub: `url`, the folder it keeps uploads and results in, and its process."""

    def __init__(self, folder: Path, **environment: str):
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        self.log = folder / "server.log"
        usual = {"PYTHONUNBUFFERED": "1", "GRADIO_TEMP_DIR": str(self.files), "GENKEY_MAX_SECONDS": "1e9"}
        self._environment = {**os.environ, **usual, **environment}  # no job is refused for how slow this machine is

    def command(self) -> list[str]:
        """The arguments of Python that serve on `self.port`."""
        return ["app.py", "--port", str(self.port)]

    def __enter__(self) -> HubServer:
        for _ in range(20):  # another program may take the port between its choice and its use
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            self._start()
            if self._listens():
                return self
        raise RuntimeError(f"the server found no free port:\n{self.log.read_text()[-3000:]}")

    def _start(self) -> None:
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.command()],
                cwd=ROOT,
                env={**self._environment, "GRADIO_SERVER_PORT": str(self.port), "GRADIO_NUM_PORTS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _listens(self) -> bool:
        """Wait until this very process says that it serves; False where its port was taken meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            ended, said = self.process.poll() is not None, self.log.read_text(errors="replace")
            if _READY in said:
                with urllib.request.urlopen(self.url, timeout=PATIENCE_S):
                    return True
            if ended and any(words in said for words in _PORT_TAKEN):
                return False
            if ended:
                raise RuntimeError(f"the server ended at once:\n{said[-3000:]}")
            time.sleep(0.1)
        self.process.kill()
        raise RuntimeError(f"the server did not answer:\n{said[-3000:]}")

    def __exit__(self, *error) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def client(self, downloads: Path):
        """A `gradio_client` of this server, as patient as the tests are; its own patience is five seconds."""
        from gradio_client import Client

        return Client(
            self.url,
            download_files=str(downloads),
            verbose=False,
            analytics_enabled=False,
            httpx_kwargs={"timeout": PATIENCE_S},
        )

    @property
    def alive(self) -> bool:
        """Whether the server still runs and answers."""
        if self.process.poll() is not None:
            return False
        with urllib.request.urlopen(self.url, timeout=PATIENCE_S) as answer:
            return answer.status == 200

    def kept(self) -> list[Path]:
        """All files that the hub keeps now; a folder that is deleted while it is read has none (`glob` would raise)."""
        return [Path(folder) / name for folder, _, names in os.walk(self.files) for name in names]

    def results(self) -> list[Path]:
        """All files in result folders now."""
        return [p for p in self.kept() if p.relative_to(self.files).parts[0].startswith("result-")]
