"""Powers of ten: images that agree across scales, and the zoom through them (thesis chapter 6).

from genkey_core import zoom
result = zoom.make_levels(zoom.Ladder(("a forest, from above", "a tree", "a leaf"), p=4), engine="mini")
"""

import importlib

_WHERE = {
    "Ladder": "prompts",
    "Settings": "settings",
    "Plan": "job",
    "Result": "job",
    "Step": "job",
    "make": "job",
    "make_levels": "job",
    "plan": "job",
    "MINI": "templates",
    "TEMPLATES": "templates",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str):
    """Import parts on first use."""
    if name in _WHERE:
        return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    raise AttributeError(f"module 'genkey_core.zoom' has no attribute {name!r}")
