"""What the Powers of ten tab sends to its handlers, and the tab served alone with a tiny random model in mini's place."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from hub_server import HubServer

ENGINE = {
    "engine": "auto", "preset": "fast", "variant": "joint", "guidance_scale": 0, "negative": "", "seed": 0, "size": 64,
    "memory": "auto",
}  # fmt: skip
VIDEO = {
    "size": "64x64", "fps": 8, "level_s": 0.5, "direction": "in", "easing": "linear", "hold_s": 0, "end_hold_s": 0,
    "end_zoom": 1, "loops": 1,
}  # fmt: skip
PROMPTS = ("a green forest from above", "a tree", "a leaf")
_ALONE = """
import pathlib, runpy, sys
from genkey_core.zoom import engines, sampling
engines.MINI_FOLDER = pathlib.Path(sys.argv[1])
sampling.PRESETS["quality"] = sampling.SamplingOptions(steps=1000)
runpy.run_module("demos.zoom", run_name="__main__")
"""


def page(mode="prompts", prompts=PROMPTS, photo=None, images=None, p=2, cut_p="2", **changes) -> tuple:
    """The state of the page's controls, in the order in which its handlers take them."""
    ladder = {"p": p, "levels": [{"prompt": prompt} for prompt in prompts]}
    engine = {name: changes.pop(name, value) for name, value in ENGINE.items() if name != "size"}
    engine["size"] = changes.pop("level_size", ENGINE["size"])
    video = {name: changes.pop(name, value) for name, value in VIDEO.items()}
    assert not changes
    ordered = [engine[name] for name in ENGINE]
    return (mode, ladder, photo, images, *ordered, *video.values(), cut_p)


def textured(path: Path, size: tuple[int, int] = (200, 160), seed: int = 1) -> Path:
    """A picture with detail of every size, as a file."""
    rng, image = np.random.default_rng(seed), np.zeros((size[1], size[0], 3), np.float32)
    for k in range(1, 7):
        image += cv2.resize(rng.random((2**k, 2**k, 3)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC) / k
    cv2.imwrite(str(path), cv2.normalize(image, None, 10, 245, cv2.NORM_MINMAX).astype(np.uint8))
    return path


class ZoomServer(HubServer):
    """The tab alone, as `python -m demos.zoom` serves it, with the model of `checkpoint` as mini. At
    the preset quality it samples for so many steps that a job is not over before it is cancelled."""

    def __init__(self, folder: Path, checkpoint: Path):
        super().__init__(folder)
        self.checkpoint = checkpoint

    def command(self) -> list[str]:
        return ["-c", _ALONE, str(self.checkpoint)]
