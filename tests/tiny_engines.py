"""The engines mini and full over a tiny random model in the place of theirs: fixtures for their tests."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_svd import tiny_pipeline

from genkey_core import hub, runtime
from genkey_core.inbetween import estimate, svd, svd_engine, svd_shelf, svd_weights
from genkey_core.inbetween.delta import BackwardDelta, is_backward_key, save_delta
from genkey_core.inbetween.sampling import SamplingOptions
from genkey_core.inbetween.svd_engine import Full, Mini

QUICK = {"fast": SamplingOptions(steps=2, recurrence=1), "quality": SamplingOptions(steps=3, recurrence=1)}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """A tiny model with both differences beside it, as the bundled one lies in assets."""
    folder = tmp_path_factory.mktemp("models") / "tiny-svd"
    pipe = tiny_pipeline()
    pipe.save_pretrained(folder)
    noise = torch.Generator().manual_seed(8)
    for rotated, file in ((True, "backward.safetensors"), (False, "no-rotation.safetensors")):
        tensors = {
            name: 0.1 * torch.randn(p.shape, generator=noise)
            for name, p in pipe.unet.named_parameters()
            if is_backward_key(name) and name.endswith(("to_v.weight", "to_out.0.weight"))
        }
        save_delta(BackwardDelta(tensors, rotated=rotated), folder / file)
    return folder


@pytest.fixture
def mini(tiny_folder, monkeypatch) -> Path:
    """The tiny model in the place of the bundled one, with few steps and nothing loaded yet."""
    monkeypatch.setattr(svd_engine, "MINI_FOLDER", tiny_folder)
    monkeypatch.setattr(Mini, "presets", QUICK)
    monkeypatch.setattr(svd_shelf, "_models", {})
    monkeypatch.setattr(estimate, "measured_speed", lambda: estimate.Speed(0.1, 0.1, 0.1, 0.1))
    return tiny_folder


@pytest.fixture
def keyframes(rng):
    soft = [cv2.GaussianBlur(rng.integers(0, 256, (32, 48, 3)).astype(np.float32), (0, 0), 3) for _ in range(2)]
    return [cv2.normalize(p, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8) for p in soft]


def clip_of(model, keyframes, **options):
    *said, clip = model.native(*keyframes, **{"n_frames": None, "seed": 0, **options})
    return said, clip


@pytest.fixture
def accelerator(mini, tmp_path, monkeypatch):
    """The tiny model in the place of the published one, on a pretended GPU; returns what is said to be free on it."""
    free = {"gb": 50.0}
    difference = tmp_path / "difference.safetensors"
    difference.write_bytes((mini / "backward.safetensors").read_bytes())
    monkeypatch.setattr(hub, "cached", lambda name: mini)
    monkeypatch.setattr(svd_weights, "difference_file", lambda: difference)
    monkeypatch.setattr(Full, "presets", QUICK)
    monkeypatch.setattr(runtime, "best_device", lambda: "cpu:0")
    monkeypatch.setattr(runtime, "available_memory", lambda device: runtime.Memory(10**10, int(free["gb"] * 1e9)))
    monkeypatch.setattr(svd.StableVideo, "with_memory", _in_single_precision)
    return free


def _in_single_precision(model, memory):
    """On the pretended GPU, which is a slow one at half precision."""
    model.pipe.to(torch.float32)
    return svd.StableVideo(model.pipe, device=model.device, memory=replace(memory, offload=False))
