"""Animal dance: keyframes and a song become a choreography on the beat (thesis chapter 7).

from genkey_core import dance
for step in dance.make(images, "song.mp3", "dance.mp4", dance.Settings(pattern="A-A'-B-C-D-D")):
    ...
"""

import importlib

_WHERE = {
    "Settings": "settings",
    "Plan": "planning",
    "plan": "planning",
    "Step": "job",
    "Chosen": "job",
    "Result": "job",
    "choose": "job",
    "make": "job",
    "made": "job",
    "Project": "project",
    "hear_beats": "beats",
    "parse_pattern": "patterns",
    "read_motion": "motion",
    "read_choreography": "choreography",
    "separate": "plates",
    "augmented": "mirror",
    "best_dances": "graph",
    "warped": "warp",
    "StageModels": "stage_models",
    "GridOptions": "grid",
    "GridEngine": "grid_engine",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str):
    """Import parts on first use (NumPy, OpenCV and PyAV take a moment)."""
    if name in _WHERE:
        return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    raise AttributeError(f"module 'genkey_core.dance' has no attribute {name!r}")
