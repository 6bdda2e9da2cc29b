"""Generative keyframing: the methods of Xiaojuan Wang's thesis (2025) as a compact library.

Shape letters, used on every signature and in every docstring:

    B  batch            T  frames in time      C  channels of a latent or feature
    H  height, pixels   W  width, pixels       h, w  height and width of a latent
    K  keyframes        G  gaps (K - 1, or K in a loop)       S  audio samples

Arrays at the edges (files, pages, draft engines) are uint8 [T H W 3] in RGB order; inside the
learned engines float [T 3 H W] in [-1, 1]. Units stand in the names: `duration_s`, `fps`, `yaw_deg`.
User mistakes raise `InputError`, a ValueError whose message is one sentence for the user.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {"InputError": "genkey_core.checks"}
_MODULES = ("checks", "flow", "hub", "inbetween", "media", "recipe", "runtime", "timing")

__all__ = [*_PUBLIC, *_MODULES, "__version__"]


def __getattr__(name: str):
    """Import parts on first use, so that `import genkey_core` costs nothing."""
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"genkey_core.{name}")
    raise AttributeError(f"module 'genkey_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
