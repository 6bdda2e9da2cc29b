"""The benchmarks of chapter 4: triplets are what they say, the scores answer to planted damage, runs go on where they stopped."""

import numpy as np
import pytest
import torch

from benchmarks import jumpcut_real, jumpcut_sources, jumpcut_yaw
from benchmarks import presenter_scores as scores
from benchmarks import presenter_triplets as triplets
from genkey_core.checks import InputError
from genkey_core.jumpcut import networks
from genkey_core.jumpcut.layers import draw_weights
from genkey_core.mini import presenter_world
from tests.tiny_jumpcut import TINY


@pytest.fixture(scope="module")
def mini() -> triplets.Mini:
    return triplets.Mini(networks.build(TINY).eval())


@pytest.fixture(scope="module")
def judge() -> scores.HeadNet:
    network = scores.HeadNet()
    draw_weights(network, torch.Generator().manual_seed(0))
    return network.eval().requires_grad_(False)


# --- heads and their scores ---------------------------------------------------------------------------------------


def test_a_head_is_found_and_cut_out_in_its_place():
    iuv, picture = np.zeros((64, 64, 3), np.float32), np.zeros((64, 64, 3), np.uint8)
    iuv[10:30, 20:36, 0], picture[10:30, 20:36] = 23, 200
    iuv[30:64, 10:50, 0] = 2  # a torso
    box = scores.head_box(iuv)
    assert box == pytest.approx([27.5, 19.5, 25.0])
    head = scores.head(picture, box)
    assert head.shape == (64, 64, 3)
    assert head[32, 32].tolist() == [200] * 3
    rows, columns = np.nonzero(head[..., 0] > 100)
    assert (rows.mean(), columns.mean()) == pytest.approx((31.5, 31.5), abs=0.5)
    assert np.ptp(rows) + 1 == pytest.approx(20 / 25 * 64, abs=2)
    assert scores.head_box(np.zeros((8, 8, 3), np.float32)) is None


def test_kernel_distance_is_nothing_between_equals_and_grows_with_the_distance(rng):
    a, b = rng.normal(size=(2, 300, 20))
    alike, near, far = scores.kid(a, b), scores.kid(a, b + 0.3), scores.kid(a, b + 0.6)
    assert abs(alike) < 3 * scores.kid_error(a, b, rng=rng)
    assert alike < near < far
    assert near > 3 * scores.kid_error(a, b + 0.3, rng=rng)
    with pytest.raises(InputError, match="at least 2"):
        scores.kid(a[:1], b)


def test_the_embedding_learns_to_tell_people_apart():
    """Four people of one colour each, moved and relit: after a few steps one's own heads are alike, others' are not."""
    colours = np.array([(220, 60, 50), (50, 200, 80), (60, 70, 210), (225, 215, 60)], np.uint8)
    noise = np.random.default_rng(0).integers(0, 30, (4, 5, 80, 80, 3), np.uint8)
    masks = np.zeros((4, 5, 80, 80), np.uint8)
    masks[:, :, 12:68, 12:68] = 255
    heads = scores.Heads(colours[:, None, None, None] - noise, masks)
    training, losses = scores.train(heads, steps=20, batch=8), []
    while True:
        try:
            losses.append(next(training)[1])
        except StopIteration as done:
            network = done.value
            break
    told = scores.verification(network, scores.inner(heads.images))
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    assert told["auc"] > 0.95
    assert told["same"] > told["other"] + 0.3


def test_blur_and_doubling_are_seen_by_the_texture_statistics(judge):
    clips = [presenter_world.clip(900_100 + k, 2, 64, fps=0.9) for k in range(6)]
    heads = np.stack([scores.head(f, scores.head_box(i)) for c in clips for f, i in zip(c.frames, c.iuv, strict=True)])
    kept = {"head": heads[:, None]}
    (line,) = jumpcut_yaw.calibration(kept, judge)
    blurs = [float(x) for x in line.split("pixels ")[1].split(";")[0].split(", ")]
    assert blurs == sorted(blurs)
    assert blurs[-1] > 3 * abs(blurs[0])


# --- triplets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 4])
def test_a_triplet_is_equally_spaced_and_turns_as_far_as_its_number_says(k):
    found = triplets.triplet(k, 32)
    again = triplets.triplet(k, 32)
    bounds = (*triplets.STRATA_DEG, 1e9)
    assert bounds[k] <= found.yaw_change_deg < bounds[k + 1]
    assert found.seed in presenter_world.VALIDATION_SEEDS
    assert len(found.removed) % 2 == 1
    assert np.array_equal(found.removed[len(found.removed) // 2], found.truth.image)
    assert np.array_equal(found.truth.image, again.truth.image)


def test_there_are_only_so_many_people():
    with pytest.raises(InputError, match="held-out people"):
        triplets.triplet(10_000, 32)
    with pytest.raises(InputError, match="held-out people"):
        jumpcut_sources.setting(10_000, 32)


def test_no_method_looks_at_what_lies_between_but_the_one_that_follows(mini):
    """With the removed frames and the truth exchanged for noise, only the followed draft and the led network may change."""
    found = triplets.triplet(2, 32)
    rng = np.random.default_rng(0)
    noise = tuple(rng.integers(0, 255, f.shape, np.uint8) for f in found.removed)
    blind = triplets.Triplet(found.seed, found.start, found.end, found.end, noise, found.yaw_change_deg)
    for method in (triplets.CROSS, triplets.FLOW, triplets.DRAFT, triplets.MINI):
        assert np.array_equal(triplets.made(method, found, mini), triplets.made(method, blind, mini)), method
    assert not np.array_equal(*(triplets.made(triplets.MINI_TRUE, each, mini) for each in (found, blind)))


def test_the_network_is_shown_every_source(mini):
    start, _, end, others = jumpcut_sources.setting(0, 32)
    two, all_ = (mini.middle((start, end), few) for few in ((), others))
    assert two.shape == all_.shape == (32, 32, 3)
    assert not np.array_equal(two, all_)


# --- the runs -----------------------------------------------------------------------------------------------------


def test_the_yaw_table_from_end_to_end_and_again_from_what_was_kept(mini, judge, tmp_path, monkeypatch):
    kept = jumpcut_yaw.gather(5, mini, tmp_path, "mark")
    monkeypatch.setattr(jumpcut_yaw, "made", None)  # a second run makes nothing
    again = jumpcut_yaw.gather(5, mini, tmp_path, "mark")
    assert all(np.array_equal(kept[name], again[name]) for name in kept)
    kept = {name: np.concatenate([part] * 4) for name, part in kept.items()}  # too few to have a spread
    found = jumpcut_yaw.measure(kept, judge)
    assert set(found) == {*triplets.METHODS, jumpcut_yaw.TRUTH}
    assert all(np.isfinite(found[m]["psnr"]).all() for m in triplets.METHODS)
    assert found[triplets.DRAFT]["psnr"].mean() > found[triplets.MINI]["psnr"].mean()  # a network that learned nothing
    page = jumpcut_yaw.report(kept, found, judge, {"accuracy": 0.9, "auc": 0.9, "same": 0.9, "other": 0.1}, "mark")
    for line in (">= 60 (4)", "all (20)", "nowhere more than 0.5 dB"):
        assert line in page


def test_a_bar_that_is_missed_is_said(judge):
    n = 12
    level = {m: {"psnr": np.full(n, 20.0), "identity": np.full(n, 0.5)} for m in triplets.METHODS}
    yaw, rng = np.linspace(5, 80, n), np.random.default_rng(0)
    level[triplets.MINI]["identity"] = 0.5 + yaw / 100
    assert not any("**" in line for line in jumpcut_yaw.bars(level, yaw, rng))
    level[triplets.DRAFT]["psnr"] = np.full(n, 19.0)
    level[triplets.MINI]["identity"] = 0.5 - yaw / 100
    assert all("**does not hold**" in line for line in jumpcut_yaw.bars(level, yaw, rng))


def test_mouths_are_shut_half_open_and_wide_open():
    start, truth, end, others = jumpcut_sources.setting(1, 128)
    names = presenter_world.LANDMARKS
    upper, lower = names.index("upper-lip-edge"), names.index("lower-lip-edge")
    gaps = [float(each.landmarks[lower, 1] - each.landmarks[upper, 1]) for each in (start, truth, end)]
    assert gaps == sorted(gaps)
    assert gaps[0] + 1 < gaps[1] < gaps[2] - 1
    assert len(others) == max(jumpcut_sources.COUNTS) - 2
    rows, columns = jumpcut_sources.mouth_box(truth)
    assert rows.start < truth.landmarks[upper, 1] < rows.stop
    assert columns.start < truth.landmarks[upper, 0] < columns.stop


def test_the_sources_table(mini, judge):
    records = jumpcut_sources.identified([r for k in range(2) for r in jumpcut_sources.measure(k, mini)], judge)
    assert len(records) == 2 * len(jumpcut_sources.METHODS) * len(jumpcut_sources.COUNTS)
    assert len(jumpcut_sources.table(records, np.random.default_rng(0))) == 2 + 12
    for record in records:
        if record["method"] == jumpcut_sources.DRAFT:
            record["mouth"] = float(record["n"])
    verdicts = jumpcut_sources.bars(records, np.random.default_rng(0))
    assert verdicts[1].startswith("- holds: draft, 12")
    assert jumpcut_sources.report(records, "0" * 8).endswith(jumpcut_sources.cause(records) + "\n")


# --- real footage, without any ------------------------------------------------------------------------------------


def test_aligning_takes_a_shift_away(rng):
    import cv2

    picture = np.uint8(np.clip(127 + 60 * cv2.GaussianBlur(rng.normal(size=(120, 160, 3)), (0, 0), 3) * 6, 0, 255))
    shifted = np.roll(picture, 4, axis=1)
    moved = jumpcut_real.aligned(shifted, picture)
    inner = np.s_[10:-10, 10:-10]
    before, after = (np.abs(p[inner].astype(int) - picture[inner]).mean() for p in (shifted, moved))
    assert after < 0.2 * before


def test_the_bar_on_real_heads_counts_every_cell(rng):
    def record(clip, gap, method, psnr):
        figures = dict.fromkeys(("ssim", "aligned", "sharpness", "flicker", "cpu_s"), 0.5)
        return {"clip": clip, "gap": gap, "method": method, "psnr": psnr, **figures}

    methods = (*jumpcut_real.METHODS, jumpcut_real.MIXED)
    records = [record("a", 5, m, 30.0) for m in methods] + [record("b", 10, m, 25.0) for m in methods]
    assert not any("**" in line for line in jumpcut_real.bars(records))
    records += [record("c", 20, m, 20.0 + (m == jumpcut_real.CROSS)) for m in methods]
    lines = jumpcut_real.bars(records)
    assert "**does not hold**" in lines[0]
    assert "1 of 3: c at 20 (by 1.00 dB, to cross-dissolve)" in lines[-1]
    assert len(jumpcut_real.tables(records)) > 3
    assert f"the draft has {75 / 3:.2f} dB, cross-dissolve {76 / 3:.2f} dB" in jumpcut_real.cause(records)[0]
