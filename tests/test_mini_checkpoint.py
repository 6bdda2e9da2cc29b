"""The bundled mini model, read by the same code as the Hub's checkpoints."""

from pathlib import Path

import numpy as np
import pytest

from genkey_core.inbetween.engines import Progress, native_model
from genkey_core.inbetween.sampling import VARIANTS
from genkey_core.inbetween.settings import Settings
from genkey_core.inbetween.svd_engine import MINI_DIFFERENCES, MINI_FOLDER
from genkey_core.mini.motion_world import HELD_OUT_SEEDS, make_clip

FOLDER = Path(MINI_FOLDER)


def clip_of(variant: str, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, list[Progress]]:
    settings = Settings(engine="mini", variant=variant)
    *said, clip = native_model("mini", settings).native(start, end, n_frames=None, seed=3)
    return clip, said


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


def test_it_is_complete_in_the_hubs_layout_and_small():
    weights = sorted(p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob("*.safetensors"))
    assert weights == sorted(
        [
            *MINI_DIFFERENCES.values(),
            "image_encoder/model.safetensors",
            "unet/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
        ]
    )
    assert sum(p.stat().st_size for p in FOLDER.rglob("*") if p.is_file()) < 25_000_000
    assert not [p for p in FOLDER.rglob("*") if p.suffix in (".bin", ".pt", ".pkl", ".ckpt")]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_makes_a_clip_from_the_first_keyframe(variant):
    truth = make_clip(HELD_OUT_SEEDS[-10]).images
    clip, said = clip_of(variant, truth[0], truth[-1])
    assert (clip.shape, clip.dtype) == (truth.shape, np.uint8)
    assert said[-1].done == said[-1].total
    assert psnr(clip[0], truth[0]) > 20
    assert np.abs(np.diff(clip.astype(float), axis=0)).max() > 60  # something moves


def test_the_method_arrives_at_the_last_keyframe_and_plain_image_to_video_does_not_know_it():
    ends = {"dual": [], "forward": []}
    for seed in HELD_OUT_SEEDS[-8:-5]:
        truth = make_clip(seed).images
        for variant, found in ends.items():
            found.append(psnr(clip_of(variant, truth[0], truth[-1])[0][-1], truth[-1]))
    assert np.mean(ends["dual"]) > np.mean(ends["forward"])
    assert np.mean(ends["dual"]) > 22
