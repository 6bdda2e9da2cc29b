"""Two processes of one training, that find each other without a port which another program could take."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile

from torch.distributed import TCPStore

ROOT = Path(__file__).resolve().parents[1]


def run_two(*arguments: str, **environment: str) -> list[str]:
    """What the two print that Python runs with these arguments, as `torchrun --nproc-per-node 2` would start them.

    The meeting place is held open here, as torchrun's agent holds it; both have to end well.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    world = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    with ExitStack() as open_files:
        outputs = [open_files.enter_context(TemporaryFile("w+")) for _ in range(2)]
        processes = [
            subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, **world, **environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            for rank, output in enumerate(outputs)
        ]
        try:
            ended = [process.wait(timeout=1200) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        printed = [(output.seek(0), output.read())[1] for output in outputs]
    assert ended == [0, 0], printed
    return printed
