"""The tabs of the hub, one module per method: TITLE, build() and handlers. Each also runs alone: python -m demos.inbetween.

Importing it sets what Gradio reads from the environment when it is imported itself.
"""

import ast
import os
import tempfile
from functools import lru_cache
from pathlib import Path


def _own_folder() -> str:
    """A folder that only this user of the machine can read, the same at every start, so that old files are swept."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(tempfile.gettempdir()) / f"genkey-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and (folder.is_symlink() or folder.stat().st_uid != user or folder.stat().st_mode & 0o077):
        return tempfile.mkdtemp(prefix="genkey-")  # somebody else made it first
    return str(folder)


os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # users' work is nobody else's business
# By default Gradio shares one folder, and serves it, with every Gradio app of this machine.
if not os.environ.get("GRADIO_TEMP_DIR"):
    os.environ["GRADIO_TEMP_DIR"] = _own_folder()

# Gradio parses its own source when it is imported, and Python splits a whole file into lines anew for every class in it;
# remembering the last few files takes a third off the start of the page (Python 3.11).
if hasattr(ast, "_splitlines_no_ff"):
    ast._splitlines_no_ff = lru_cache(maxsize=4)(ast._splitlines_no_ff)
