"""The motion world: deterministic, in view, trackable to a pixel, and never going backwards."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from genkey_core import InputError
from genkey_core.mini import motion_world
from genkey_core.mini.motion_world import KINDS, make_clip, path_error, reversals, track


@pytest.fixture(scope="module")
def clips():
    """Forty held-out clips: every kind occurs."""
    return [make_clip(seed) for seed in motion_world.HELD_OUT_SEEDS[:40]]


def test_seed_ranges_are_disjoint():
    ranges = (motion_world.TRAIN_SEEDS, motion_world.VALIDATION_SEEDS, motion_world.HELD_OUT_SEEDS)
    ends = sorted((r.start, r.stop) for r in ranges)
    assert all(stop <= start for (_, stop), (start, _) in pairwise(ends))


def test_same_seed_same_bytes_other_seed_other_bytes():
    digests = [hashlib.sha256(make_clip(seed).images.tobytes()).hexdigest() for seed in (3, 3, 4)]
    assert digests[0] == digests[1] != digests[2]


def test_every_kind_occurs_and_the_picture_is_well_formed(clips):
    assert {clip.kind for clip in clips} == set(KINDS)
    for clip in clips:
        assert clip.images.shape == (8, 64, 64, 3)
        assert clip.images.dtype == np.uint8
        assert np.linalg.norm(clip.facing) == pytest.approx(1.0)


def test_number_of_frames_and_size_sample_the_same_motion():
    few, many = make_clip(5, frames=5), make_clip(5, frames=9)
    assert np.allclose(few.path, many.path[::2], atol=0.2)
    large = make_clip(5, frames=5, size=128)
    assert large.images.shape == (5, 128, 128, 3)
    assert np.allclose((large.path + 0.5) / 2, few.path + 0.5, atol=0.3)


def test_backdrop_is_static_and_known(clips):
    """Away from the mover's way, every frame is the backdrop, bit for bit."""
    for clip in clips:
        untouched = (clip.images == clip.background).all((0, 3)).mean()
        assert untouched > 0.4


def test_movers_stay_in_view_when_asked(clips):
    for clip in clips:
        assert np.isfinite(clip.path).all()
        changed = np.abs(clip.images.astype(int) - clip.background).max(-1) > 60
        edge = np.concatenate([changed[:, :, 0], changed[:, :, -1], changed[:, 0], changed[:, -1]], 1)
        assert not edge.any()


def test_free_clips_leave_the_picture_sometimes():
    lost = [np.isnan(make_clip(seed, in_view=False).path).any() for seed in range(60)]
    assert 0.05 < np.mean(lost) < 0.8


def test_movers_travel_far_and_along_their_facing(clips):
    for clip in clips:
        gone = (clip.path[-1] - clip.path[0]) @ np.asarray(clip.facing)
        assert gone > 8
        assert reversals(clip.path, clip) == 0


def test_tracker_finds_true_paths_within_a_pixel(clips):
    for clip in clips:
        path = track(clip.images, clip)
        assert np.linalg.norm(path - clip.path, axis=1).max() < 1.0
        assert reversals(path, clip) == 0
        assert path_error(path, clip) < 0.6


def test_tracker_survives_coding_noise(clips, rng):
    for clip in clips[:10]:
        noisy = np.clip(clip.images + rng.normal(0, 8, clip.images.shape), 0, 255).astype(np.uint8)
        assert path_error(track(noisy, clip), clip) < 1.0


def test_reversed_and_oscillating_clips_are_caught(clips):
    for clip in clips:
        assert reversals(track(clip.images[::-1], clip), clip) > 0.8
        there_and_back = clip.images[[0, 2, 4, 6, 7, 5, 3, 1]]
        assert reversals(track(there_and_back, clip), clip) > 0.4


def test_a_lost_mover_is_nan_and_costs_its_travel(clips):
    clip = clips[0]
    frames = clip.images.copy()
    frames[3] = clip.background
    path = track(frames, clip)
    assert np.isnan(path[3]).all()
    assert np.isfinite(path[[0, 1, 2, 4, 5, 6, 7]]).all()
    travel = np.linalg.norm(np.diff(clip.path, axis=0), axis=1).sum()
    assert path_error(path, clip) == pytest.approx(travel / 8, abs=0.6)
    assert reversals(path, clip) == pytest.approx(2 * 0.5 / 7)


def test_a_doubled_mover_counts_where_its_stronger_half_is(clips):
    """Averaging two half-faded movers into the middle would hide time reversal's ghosts."""
    clip = max(clips, key=lambda c: abs(c.path[-1, 0] - c.path[0, 0]))
    a, b = clip.images[0].astype(float), clip.images[-1].astype(float)
    ghost = np.stack([(0.65 * a + 0.35 * b).astype(np.uint8)] * 8)
    found = track(ghost, clip)[0]
    assert np.linalg.norm(found - clip.path[0]) < 3


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 1, "frames": 1}, {"seed": 1, "size": 8}, {"seed": "x"}])
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(InputError, match=next(k for k in reversed(wrong))):
        make_clip(wrong.pop("seed"), **wrong)
