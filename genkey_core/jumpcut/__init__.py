"""Jump cuts: what to cut out of a talking-head video, and how each cut is hidden (thesis chapter 4).

from genkey_core import jumpcut
analysis = jumpcut.analyse("talk.mp4")
cuts = jumpcut.cut_list([*analysis.rows, *jumpcut.parse_ranges("remove 3.2 to 4.1 s")], duration_s=analysis.duration_s)
"""

import importlib

_WHERE = {
    "Row": "cutlist",
    "CutList": "cutlist",
    "TimeMap": "cutlist",
    "cut_list": "cutlist",
    "parse_ranges": "cutlist",
    "Piece": "edit",
    "cut_audio": "edit",
    "frames_to_keep": "edit",
    "pieces_of": "edit",
    "times_of": "edit",
    "RoomTone": "roomtone",
    "shots": "shots",
    "Transcript": "transcript",
    "transcribe": "transcript",
    "rows_of": "transcript",
    "Analysis": "speech",
    "SpeechOptions": "speech",
    "analyse": "speech",
    "listen": "speech",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str):
    """Import parts on first use (NumPy and PyAV take a moment)."""
    if name in _WHERE:
        return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    raise AttributeError(f"module 'genkey_core.jumpcut' has no attribute {name!r}")
