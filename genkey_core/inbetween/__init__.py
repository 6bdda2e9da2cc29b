"""A video between two or more keyframes (thesis chapters 2 and 5).

from genkey_core import inbetween
result = inbetween.make_video(["a.png", "b.png"], "out.mp4", fps=24, gaps=[{"duration_s": 2, "easing": "ease-in-out"}])
"""

import importlib

_WHERE = {
    "make_video": "job",
    "make": "job",
    "plan": "job",
    "Step": "job",
    "Result": "job",
    "Progress": "engines",
    "Settings": "settings",
    "estimate_cost": "estimate",
    "variants_video": "compare",
    "Comparison": "compare",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str):
    """Import parts on first use (OpenCV and PyAV take a moment)."""
    if name in _WHERE:
        return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    raise AttributeError(f"module 'genkey_core.inbetween' has no attribute {name!r}")
