"""The project keeps its layers and bans, and importing it loads nothing heavy; the reader of both can fail."""

import subprocess
import sys
from pathlib import Path

import pytest
from layering import HEAVY, MOST_LINES, modules, violations

ROOT = Path(__file__).resolve().parents[1]


# --- the project itself -------------------------------------------------------------------------------------------


def test_the_project_keeps_its_layers_and_bans():
    assert len(list(modules(ROOT))) > 10
    assert violations(ROOT) == []


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=1200, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    loaded = _loaded_after("import genkey_core; genkey_core.InputError")
    assert "genkey_core.checks" in loaded
    assert loaded.isdisjoint({*HEAVY, "cv2", "numpy", "PIL", "av", "huggingface_hub"})


def test_importing_every_shared_module_loads_no_torch_and_no_gradio():
    shared = [module.name for module in modules(ROOT) if module.layer == "shared"]
    assert {"genkey_core.runtime", "genkey_core.hub"} <= set(shared)
    assert _loaded_after(f"import {', '.join(shared)}").isdisjoint(HEAVY)


# --- the reader can fail ------------------------------------------------------------------------------------------

CLEAN = {
    "app.py": '"""App."""\nimport gradio\nfrom demos import inbetween\n',
    "demos/inbetween.py": '"""Demo."""\nimport gradio as gr\nfrom genkey_core import inbetween, media\n'
    'if __name__ == "__main__":\n    from app import launch\n',
    "genkey_core/__init__.py": '"""Package."""\n__version__ = "1"\n',
    "genkey_core/runtime.py": '"""Runtime."""\ndef f():\n    import spaces, torch\n    return torch.cuda, "cuda"\n',
    "genkey_core/media/__init__.py": '"""Media."""\nfrom .video import read\nfrom genkey_core import __version__\n',
    "genkey_core/media/video.py": '"""Not for cuda."""\nimport numpy as np\nnp.load("x.npz", allow_pickle=False)\n',
    "genkey_core/inbetween/__init__.py": '"""Method."""\nfrom genkey_core import media\nfrom .sampling import step\n',
    "genkey_core/inbetween/sampling.py": '"""Sampler."""\nimport torch\nfrom genkey_core.diffusion import euler\n',
    "genkey_core/inbetween/svd.py": '"""Loader."""\nimport torch\nfrom genkey_core import hub\n'
    'torch.load("x", weights_only=True)\n',
    "genkey_core/mini/train.py": '"""Training."""\nfrom genkey_core.inbetween import sampling\n',
    "benchmarks/speed.py": '"""Benchmark."""\nimport torch\nfrom genkey_core.inbetween import svd\ntorch.cuda.synchronize()\n',
}
PLANTED = [
    ("genkey_core/flow.py", "from genkey_core import inbetween", "imports upwards"),
    ("genkey_core/flow.py", "def f():\n    from genkey_core.zoom.noise import draw", "imports upwards"),
    ("genkey_core/flow.py", "from . import dance", "imports upwards"),
    ("genkey_core/media/video.py", "from ..jumpcut import cuts", "imports upwards"),
    ("genkey_core/flow.py", "import importlib\nimportlib.import_module('demos.inbetween')", "imports upwards"),
    ("genkey_core/inbetween/draft.py", "import demos.inbetween", "imports upwards"),
    ("genkey_core/inbetween/draft.py", "from genkey_core.mini import motion_world", "imports upwards"),
    ("demos/zoom.py", "import app", "imports upwards"),
    ("genkey_core/zoom/io.py", "if __name__ == '__main__':\n    import app", "imports upwards"),
    ("genkey_core/dance/plan.py", "from genkey_core.inbetween import draft", "imports another method"),
    ("genkey_core/dance/plan.py", "def f():\n    from ..inbetween import draft", "imports another method"),
    ("genkey_core/__init__.py", "from genkey_core import media", "the package imports"),
    ("genkey_core/inbetween/draft.py", "import gradio as gr", "gradio below the demos"),
    ("genkey_core/flow.py", "def f():\n    from gradio import Error", "gradio below the demos"),
    ("demos/zoom.py", "import spaces", "runtime.py alone"),
    (
        "genkey_core/flow.py",
        "try:\n    import torch\nexcept ImportError:\n    torch = None",
        "torch when it is imported",
    ),
    ("genkey_core/flow.py", "class A:\n    from diffusers import X", "diffusers when it is imported"),
    ("genkey_core/inbetween/draft.py", "DEVICE = 'cuda:0'", "says cuda"),
    ("genkey_core/inbetween/draft.py", "import torch\ntorch.cuda.empty_cache()", "says cuda"),
    ("genkey_core/inbetween/draft.py", "def f(model):\n    return model.cuda()", "says cuda"),
    ("demos/zoom.py", "def f(n):\n    return f'cuda {n}'", "says cuda"),
    ("genkey_core/zoom/sampling.py", "from genkey_core import hub", "a sampler imports the loader"),
    ("genkey_core/zoom/sampling.py", "from genkey_core.hub import fetch", "a sampler imports the loader"),
    ("genkey_core/zoom/sampling.py", "def f():\n    from .svd import load", "a sampler imports the loader"),
    ("genkey_core/zoom/sampling.py", "from diffusers import A\nA.from_pretrained('x')", "a sampler loads weights"),
    ("genkey_core/media/audio.py", "import pickle", "imports pickle"),
    ("benchmarks/speed.py", "from joblib import load", "imports joblib"),
    ("tests/test_x.py", "import shelve", "imports shelve"),
    ("benchmarks/speed.py", "import torch as t\nt.load('x.pt')", "torch.load without"),
    ("genkey_core/zoom/io.py", "from torch import load as l\nl('x.pt', weights_only=False)", "torch.load without"),
    ("genkey_core/media/audio.py", "import numpy as np\nnp.load('x.npz')", "numpy.load without"),
    ("genkey_core/media/audio.py", "from numpy import load\nload('x.npz', allow_pickle=True)", "numpy.load without"),
    ("genkey_core/media/audio.py", "import numpy\nnumpy.savez('x', allow_pickle=True)", "allow_pickle=True"),
    ("tests/test_x.py", "import numpy as np\nnp.random.seed(0)", "seeds globally"),
    ("genkey_core/zoom/io.py", "import torch\ntorch.manual_seed(0)", "seeds globally"),
    ("genkey_core/flow.py", "\n" * MOST_LINES, "too many"),
]


def _plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_clean_tree_has_no_violations(tmp_path):
    assert violations(_plant(tmp_path, CLEAN)) == []


@pytest.mark.parametrize(("path", "source", "words"), PLANTED)
def test_a_planted_violation_is_seen_and_named(tmp_path, path, source, words):
    found = violations(_plant(tmp_path, {**CLEAN, path: f'"""Planted."""\n{source}\n'}))
    assert found, "not seen"
    assert all(line.startswith(f"{path}:") for line in found)
    assert any(words in line for line in found)


def test_a_module_without_docstring_is_seen(tmp_path):
    found = violations(_plant(tmp_path, {**CLEAN, "genkey_core/flow.py": "X = 1\n", "demos/_private.py": "X = 1\n"}))
    assert found == ["genkey_core/flow.py:1: has no docstring"]


def test_type_checking_imports_are_free(tmp_path):
    source = '"""Flow."""\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n'
    assert violations(_plant(tmp_path, {**CLEAN, "genkey_core/flow.py": source})) == []
