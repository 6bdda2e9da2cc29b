"""The benchmark of the variants: its ruler checked on planted truths, its batches against single runs, its page."""

import re

import numpy as np
import pytest
import torch
from tiny_mini import tiny_mini

from benchmarks import inbetween_variants, mover, variants_report
from benchmarks.batched_sampling import inbetween_batch
from genkey_core import diffusion
from genkey_core.inbetween.delta import BackwardDelta, is_backward_key, save_delta
from genkey_core.inbetween.sampling import SamplingOptions
from genkey_core.inbetween.svd import StableVideo
from genkey_core.media import to_uint8
from genkey_core.mini import motion_world, video_model
from genkey_core.mini.motion_world import make_clip

# --- the ruler ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clips():
    return [make_clip(seed) for seed in motion_world.HELD_OUT_SEEDS[:24]]


def _figures(clips, change) -> dict[str, np.ndarray]:
    measured = [mover.measure(change(clip), clip) for clip in clips]
    return {key: np.array([getattr(m, key) for m in measured]) for key in variants_report.MEASURES}


def test_a_true_clip_has_no_error_and_no_reversals(clips):
    found = _figures(clips, lambda clip: clip.images)
    assert found["path_px"].max() < 1e-4
    assert found["tracked_px"].max() < 0.6
    assert found["reversals"].max() == 0
    assert np.isposinf(found["endpoint_db"]).all()
    assert np.allclose(found["sharpness"], 1)


def test_blur_and_noise_cost_less_than_half_a_pixel(clips, rng):
    import cv2

    def spoil(clip):
        soft = np.stack([cv2.GaussianBlur(f, (0, 0), 1.0) for f in clip.images])
        return np.clip(soft + rng.normal(0, 6, soft.shape), 0, 255).astype(np.uint8)

    found = _figures(clips, spoil)
    assert found["path_px"].mean() < 0.5
    assert found["path_px"].max() < 1.2
    assert found["reversals"].mean() < 0.01


def test_clips_played_backwards_go_against_their_facing(clips):
    found = _figures(clips, lambda clip: clip.images[::-1])
    assert found["reversals"].mean() > 0.97
    assert found["path_px"].mean() > 8


def test_a_planted_offset_costs_its_length(clips):
    def shift(clip):  # 3 px against the facing, so that it stays in view
        by = -3 * np.round(clip.facing).astype(int)
        moved = np.roll(clip.images.astype(int) - clip.background, by[::-1], axis=(1, 2))
        return np.clip(clip.background + moved, 0, 255).astype(np.uint8)

    found = _figures(clips, shift)
    assert found["path_px"] == pytest.approx(np.full(len(clips), 3.0), abs=0.15)
    assert found["tracked_px"].mean() == pytest.approx(3.0, abs=0.3)


def test_a_cross_dissolve_pays_for_both_its_ghosts(clips):
    """The middle between two ghosts is near the true place: whoever takes it is fooled."""

    def dissolve(clip):
        t = np.linspace(0, 1, len(clip.images))[:, None, None, None]
        return np.rint((1 - t) * clip.images[0] + t * clip.images[-1]).astype(np.uint8)

    found = _figures(clips, dissolve)["path_px"]
    travel = np.array([np.linalg.norm(clip.path[-1] - clip.path[0]) for clip in clips])
    assert found.mean() > 3
    assert (found / travel).mean() > 0.15


def test_a_missing_mover_costs_its_travel_and_a_frozen_one_its_distance(clips):
    travel = np.array([np.linalg.norm(np.diff(clip.path, axis=0), axis=1).sum() for clip in clips])
    gone = _figures(clips, lambda clip: np.stack([clip.background] * len(clip.images)))
    assert gone["path_px"] == pytest.approx(travel, rel=1e-5)
    assert gone["reversals"] == pytest.approx(np.full(len(clips), 0.5))
    still = _figures(clips, lambda clip: np.stack([clip.images[0]] * len(clip.images)))["path_px"]
    away = np.array([np.linalg.norm(clip.path - clip.path[0], axis=1).mean() for clip in clips])
    assert still == pytest.approx(away, rel=0.15)


def test_transport_of_a_point_is_its_way_in_every_direction():
    a, b = np.zeros((4, 40, 30)), np.zeros((4, 40, 30))
    a[:, 20, 15] = 1
    for t, (dy, dx) in enumerate([(0, 7), (7, 0), (-3, 4), (10, -10)]):
        b[t, 20 + dy, 15 + dx] = 1
    expected = [7, 7, 5, 200**0.5]
    assert mover.sliced_transport(a, b) == pytest.approx(expected, rel=0.01)
    assert mover.sliced_transport(b, a) == pytest.approx(expected, rel=0.01)
    half = (a + b) / 2
    assert mover.sliced_transport(a, half) == pytest.approx(np.array(expected) / 2, rel=0.01)


# --- batches ------------------------------------------------------------------------------------------------------


def _delta(unet, *, parts: str, rotated: bool) -> BackwardDelta:
    noise = torch.Generator().manual_seed(5)
    wanted = (*(f"to_{p}.weight" for p in parts), "to_out.0.weight")
    tensors = {
        name: 0.05 * torch.randn(p.shape, generator=noise)
        for name, p in unet.named_parameters()
        if is_backward_key(name) and name.endswith(wanted)
    }
    return BackwardDelta(tensors, rotated=rotated)


@pytest.fixture
def model(monkeypatch) -> StableVideo:
    return StableVideo(tiny_mini(monkeypatch))


@pytest.mark.parametrize("variant", ["dual", "time_reversal", "no_rotation", "forward"])
def test_a_batch_gives_what_single_runs_give(model, variant):
    options = SamplingOptions(variant=variant, steps=3, recurrence=1, recurrence_share=0.7)
    delta = None
    if variant in ("dual", "no_rotation"):
        delta = _delta(model.unet, parts="v" if variant == "dual" else "qkv", rotated=variant == "dual")
    pairs = [make_clip(seed, frames=2, size=16).images for seed in (11, 12, 13)]
    starts, ends = [p[0] for p in pairs], [p[1] for p in pairs]
    together = inbetween_batch(model, starts, ends, options=options, seeds=[11, 12, 13], delta=delta, n_frames=4)
    assert together.shape == (3, 4, 16, 16, 3)
    for i, seed in enumerate((11, 12, 13)):
        generator = torch.Generator().manual_seed(seed)
        *_, last = model.inbetween(starts[i], ends[i], options=options, delta=delta, generator=generator, n_frames=4)
        alone = to_uint8(model.decode(last.latents))
        assert np.abs(together[i].astype(int) - alone).max() <= 1
    assert (together[0] != together[1]).any()


def test_the_source_of_noise_is_put_back_also_after_an_exception(model, monkeypatch):
    before = diffusion.normal
    picture = np.zeros((16, 16, 3), np.uint8)
    monkeypatch.setattr(model, "predict", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        inbetween_batch(
            model,
            [picture],
            [picture],
            options=SamplingOptions(variant="time_reversal", steps=1),
            seeds=[0],
            n_frames=2,
        )
    assert diffusion.normal is before


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(monkeypatch, tmp_path):
    """A tiny model with both its backward differences, in a folder as the command wants it."""
    pipeline = tiny_mini(monkeypatch)
    folder = tmp_path / "model"
    video_model.export(pipeline, folder)
    save_delta(_delta(pipeline.unet, parts="v", rotated=True), folder / "backward.safetensors")
    save_delta(_delta(pipeline.unet, parts="qkv", rotated=False), folder / "no-rotation.safetensors")
    return folder


def _command(checkpoint, tmp_path, *more: str) -> list[str]:
    return ["--model", str(checkpoint), "--clips", "3", "--batch", "2", "--steps", "2", "--threads", "1",
            "--out", str(tmp_path / "out"), "--report", str(tmp_path / "docs" / "page.md"), *more]  # fmt: skip


def test_the_command_makes_measures_and_goes_on_where_it_stopped(checkpoint, tmp_path, monkeypatch, capsys):
    # The tiny model's pictures are 16 px; there the world is drawn, but hardly anything can be tracked.
    inbetween_variants.main(_command(checkpoint, tmp_path, "--recurrence", "1", "0"))
    page = (tmp_path / "docs" / "page.md").read_text()
    for method in ("truth", "autoencoder", *inbetween_variants.METHODS):
        assert re.search(rf"^\| {method} \|", page, re.M)
    assert "3 held-out clips" in page
    assert "## Recurrence" in page
    assert (tmp_path / "docs" / "page.png").stat().st_size > 1000
    made = sorted((tmp_path / "out").rglob("*.npz"))
    assert len(made) == 3 * (7 + 2)  # 7 jobs, and two of them at the other recurrence
    times = {p: p.stat().st_mtime_ns for p in made}
    made[0].unlink()
    inbetween_variants.main(_command(checkpoint, tmp_path, "--recurrence", "1", "0"))
    assert {p for p in made if p.stat().st_mtime_ns != times[p]} == {made[0]}
    assert (tmp_path / "docs" / "page.md").read_text() == page


def test_a_missing_difference_is_said_before_any_work(checkpoint, tmp_path):
    (checkpoint / "no-rotation.safetensors").unlink()
    with pytest.raises(SystemExit, match=r"no-rotation\.safetensors"):
        inbetween_variants.main(_command(checkpoint, tmp_path))
    assert not (tmp_path / "out").exists()


def test_nothing_made_and_no_model_are_sentences(checkpoint, tmp_path):
    with pytest.raises(SystemExit, match="without --report-only"):
        inbetween_variants.main(_command(checkpoint, tmp_path, "--report-only"))
    with pytest.raises(SystemExit, match="no weights were found"):
        inbetween_variants.main(_command(tmp_path / "nothing", tmp_path))


def test_other_weights_or_settings_never_share_a_folder(checkpoint):
    options = SamplingOptions(steps=4)
    folders = [
        job.folder
        for o in (options, SamplingOptions(steps=5), SamplingOptions(steps=4, max_guidance=1.0))
        for job in inbetween_variants.jobs(["dual", "time_reversal"], o, [2, 3])
        if job.options is not None
    ]
    assert len(folders) == len(set(folders)) == 12
    models = inbetween_variants.Models(checkpoint, device="cpu", half=False, batch=1)
    before = models.digest()
    (checkpoint / "no-rotation.safetensors").unlink()
    assert models.digest() != before


# --- the page -----------------------------------------------------------------------------------------------------


def _records(path_px: dict[str, float], reversals: dict[str, float], *, n: int = 40, spread: float = 0.3) -> list[dict]:
    rng = np.random.default_rng(2)
    records = []
    for seed in range(n):
        hard = rng.normal(0, 2)  # shared by the methods, as a difficult clip is
        for method in path_px:
            records.append({
                "seed": seed, "kind": "car", "method": method, "recurrence": 2,
                "path_px": path_px[method] + hard + rng.normal(0, spread), "tracked_px": 1.0,
                "reversals": reversals[method] + rng.normal(0, 0.01), "endpoint_db": 30.0, "sharpness": 1.0,
            })  # fmt: skip
    return records


PLAIN = {"forward": 6.0, "time_reversal": 3.0, "no_rotation": 2.6, "no_finetuning": 3.2}


def test_the_ordering_holds_only_where_dual_leads_outside_every_interval():
    turning = {"forward": 0.2, "time_reversal": 0.3, "no_rotation": 0.1, "no_finetuning": 0.2, "dual": 0.05}
    text = "\n".join(variants_report.verdict(_records({**PLAIN, "dual": 2.0}, turning), 2))
    assert "**holds**" in text
    assert re.search(r"Oscillation: (29|30)\.\d % of time reversal's steps go backwards, the most of all", text)
    level = "\n".join(variants_report.verdict(_records({**PLAIN, "dual": 2.6}, turning, spread=1.5), 2))
    assert "does not hold in full" in level
    assert "level with no_rotation" in level
    assert "do not tell dual from no_rotation" in level
    assert variants_report.AGREEMENT in level
    assert variants_report.AGREEMENT not in text
    behind = "\n".join(variants_report.verdict(_records({**PLAIN, "dual": 2.9}, turning), 2))
    assert "does not hold in full" in behind
    assert "behind no_rotation" in behind
    calm = dict(turning, time_reversal=0.04)
    assert "not the most" in "\n".join(variants_report.verdict(_records({**PLAIN, "dual": 2.0}, calm), 2))


def test_the_ordering_is_not_claimed_without_all_variants():
    few = {"time_reversal": 3.0, "dual": 2.0}
    text = "\n".join(variants_report.verdict(_records(few, {"time_reversal": 0.3, "dual": 0.1}), 2))
    assert "does not hold in full" in text
    assert "forward, no_rotation and no_finetuning not run" in text
    assert "cannot be judged" in variants_report.verdict(_records({"dual": 2.0}, {"dual": 0.1}), 2)[0]


def test_paired_differences_see_through_hard_clips():
    """Means overlap where clips differ in difficulty; clip by clip the lead is plain."""
    records = _records({"time_reversal": 2.4, "dual": 2.0}, {"time_reversal": 0.2, "dual": 0.1}, spread=0.2)
    theirs, ours = (variants_report.values(records, m, "path_px", recurrence=2) for m in ("time_reversal", "dual"))
    assert variants_report.interval(ours)[1] > variants_report.interval(theirs)[0]
    assert variants_report.standing(records, "time_reversal", "path_px", 2) == "ahead"
