"""The zoom benchmarks run through on tiny settings, and say what they measured."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("diffusers")
from benchmarks import metrics, zoom_render, zoom_speed
from benchmarks.endless import Endless
from genkey_core.zoom.camera import View
from genkey_core.zoom.resample import halved

TINY_UNET = {
    **zoom_speed.UNET,
    "sample_size": 8,
    "block_out_channels": (32, 32),
    "layers_per_block": 1,
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "attention_head_dim": 16,
    "cross_attention_dim": 32,
    "encoder_hid_dim": 32,
    "addition_embed_type_num_heads": 2,
}


def test_the_stack_is_timed_against_the_plain_version_and_the_network():
    times = {(16, 2): zoom_speed.measured(16, 2, rounds=1, n=3)}
    assert set(times[16, 2]) == set(zoom_speed.PARTS)
    assert all(ours > 0 and plain > 0 for ours, plain in times[16, 2].values())
    seconds, millions = zoom_speed.unet_s(batch=1, config=TINY_UNET)
    assert seconds > 0
    assert 0 < millions < 5


def test_the_speed_page_says_whether_the_bars_are_reached():
    parts = {"render images": (0.001, 0.02), "render noise": (0.001, 0.02), "blend": (0.002, 0.04)}
    page = zoom_speed.page({(64, 2): parts}, (1.0, 370.0))
    assert "the least of the four cases is 20.0: reached" in page
    assert "64x64, p = 2: 0.40% (the bar is 3%: reached)" in page
    slow = zoom_speed.page({(64, 2): {"blend": (0.1, 0.2)}}, (1.0, 370.0))
    assert "is 2.0: missed" in slow
    assert "10.00% (the bar is 3%: missed)" in slow


# --- the video ------------------------------------------------------------------------------------------------------


def test_the_endless_picture_is_the_same_at_every_scale():
    """A view at half the pitch, reduced, is the view: but for waves that the finer one holds and the coarser does not."""
    scene = Endless.make(1 / 512, rng=np.random.default_rng(0))
    wide = scene.seen(View(0.1, -0.2, 1 / 64), (64, 64))
    fine = scene.seen(View(0.1, -0.2, 1 / 128), (128, 128), pitch=1 / 64)
    assert wide.std() > 20
    assert metrics.psnr(halved(fine)[4:-4, 4:-4], wide[4:-4, 4:-4]) > 38
    assert scene.seen(View(0, 0, 1 / 512), (64, 64)).std() > 20  # detail is left at the end of the zoom


def test_a_misplaced_frame_is_measured_to_a_fraction_of_a_pixel():
    scene = Endless.make(1 / 96, rng=np.random.default_rng(1))
    view = View(0.0, 0.0, 1 / 96)
    truth = metrics.luma(scene.seen(view, (96, 96), pitch=1 / 48))
    moved = metrics.luma(scene.seen(View(0.2 / 96, 0.0, 1 / 96), (96, 96), pitch=1 / 48))
    larger = metrics.luma(scene.seen(View(0.0, 0.0, 1.004 / 96), (96, 96), pitch=1 / 48))
    assert zoom_render.misplacement(moved, truth)[0] == pytest.approx(0.2, abs=0.03)
    assert zoom_render.misplacement(larger, truth)[1] == pytest.approx(0.004 * 48, abs=0.04)
    assert max(zoom_render.misplacement(truth, truth)) < 1e-6


def test_frames_of_the_endless_picture_are_nearer_to_their_truth_than_plain_ones(tmp_path):
    ways = zoom_render.quality(2, 64, tmp_path)
    rendered, filed, plainly = (ways[name] for name in ("rendered", "in the file", "plainly"))
    assert len(rendered) == len(filed) == len(plainly) == 3 * zoom_render.FRAMES_PER_OCTAVE + 1
    mean = [
        np.mean([frame.reachable_db for frame in seen if np.isfinite(frame.reachable_db)]) for seen in ways.values()
    ]
    assert mean[0] > 37
    assert mean[0] > mean[1] > mean[2] + 2
    assert max(frame.shift_px for frame in rendered) < 0.05
    assert zoom_render.jump(rendered, 2) < 1.5 < zoom_render.jump(plainly, 2) + 0.5
    page = zoom_render.page({2: ways}, 64, None)
    assert "| 2 | plainly |" in page


def test_the_speed_of_the_video_is_measured_and_judged(tmp_path):
    measured = zoom_render.speed(0.3, tmp_path, size=64, rounds=1)
    assert measured.frames[1] > 2 * measured.frames[0] > 20
    assert min(measured.video_cpu_ms, measured.render_cpu_ms, measured.encode_cpu_ms, measured.kb_per_frame) > 0
    assert "60: reached" in zoom_render.page({}, 64, replace(measured, video_cpu_ms=25.0))
    slow = zoom_render.page({}, 64, replace(measured, video_cpu_ms=50.0, growth_mb=300.0))
    assert "60: missed" in slow
    assert "300 MB more" in slow
    assert "does not depend" not in slow
