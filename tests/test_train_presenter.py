"""Training the cut-hiding network: batches, masking, learning, the adversary, resuming, and the command."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from tiny_jumpcut import TINY, clips  # noqa: E402
from two_processes import run_two  # noqa: E402

from genkey_core.checks import InputError  # noqa: E402
from genkey_core.jumpcut import networks  # noqa: E402
from genkey_core.jumpcut.train import (  # noqa: E402
    FrameSet,
    Trainer,
    TrainOptions,
    draw_batch,
    laplacian_loss,
    make_accelerator,
)  # fmt: skip
from genkey_core.mini import train_presenter  # noqa: E402
from genkey_core.mini.train_loop import Budget  # noqa: E402

PLAIN = TrainOptions(batch=2, precision="no")


@pytest.fixture
def frames():
    return FrameSet(*clips())


def trainer(options=PLAIN, seed=0) -> Trainer:
    return Trainer(networks.build(TINY, seed=seed), options, make_accelerator(cpu=True))


def weights(network) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_a_batch_follows_from_its_numbers(frames):
    first, again, later, beside = (
        draw_batch(frames, TINY, PLAIN, step=step, process=process)
        for step, process in ((3, 0), (3, 0), (4, 0), (3, 1))
    )
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(again).values(), strict=True))
    assert not torch.equal(first.images, later.images)
    assert not torch.equal(first.images, beside.images)
    assert first.images.shape == (2, 2, 3, 32, 32)
    assert first.grid.shape == (2, 3, 32, 32)
    assert first.weight.mean() == pytest.approx(1, abs=1e-5)


def test_sources_and_target_are_three_frames_of_one_clip(frames):
    batch = draw_batch(frames, TINY, TrainOptions(batch=6, recolour=False), step=0)
    known = torch.as_tensor(frames.images).movedim(-1, -3).float() / 127.5 - 1
    for sources, target in zip(batch.images, batch.target, strict=True):
        found = [
            tuple(map(int, torch.nonzero((known == picture).flatten(2).all(-1))[0])) for picture in (*sources, target)
        ]
        assert len({clip for clip, _ in found}) == 1
        assert len({frame for _, frame in found}) == 3


def test_masking_shows_only_what_all_sources_have(frames):
    shown = {}
    for masking in (0.0, 1.0):
        batch = draw_batch(frames, TINY, TrainOptions(batch=8, masking=masking), step=1)
        shown[masking] = int((batch.grid[:, 0] > 0).sum())
        if masking:
            for sources, target in zip(batch.grids, batch.grid, strict=True):
                told = [{tuple(v) for v in g[0][g[0] > 0][:, None].tolist()} for g in (*sources, target)]
                assert told[2] <= told[0] & told[1]
    assert shown[1.0] < 0.75 * shown[0.0]


def test_recolouring_is_the_same_for_all_pictures_of_a_sample():
    images, points = clips(1)
    images[:] = images[:, :1]
    batch = draw_batch(FrameSet(images, points), TINY, PLAIN, step=2)
    assert torch.equal(batch.images[:, 0], batch.images[:, 1])
    assert torch.equal(batch.images[:, 0], batch.target)
    assert not torch.equal(batch.target[0], batch.target[1])


def test_the_laplacian_loss_sees_every_scale():
    flat = torch.zeros(1, 3, 32, 32)
    fine = torch.as_tensor(np.indices((32, 32)).sum(0) % 2).float().expand(1, 3, 32, 32)
    assert laplacian_loss(flat, flat) == 0
    assert laplacian_loss(flat, flat + 0.5) > 0.5
    assert laplacian_loss(flat, fine) > 0.4


def test_it_learns_to_copy(frames):
    """Twenty steps on the same batch bring the loss well down, and the averaged weights follow."""
    made = trainer(TrainOptions(batch=2, precision="no", rate=1e-2))
    batch = draw_batch(frames, TINY, made.options, step=0)
    losses = [made.step(batch, rate=min(1.0, (k + 1) / 5))["l1"] for k in range(25)]
    assert losses[-1] < 0.6 * losses[0]
    assert torch.isfinite(weights(made.averaged)).all()
    assert 0 < (weights(made.averaged) - weights(made.network)).abs().mean() < 0.2


def test_the_adversary_rests_until_it_is_wanted(frames):
    made = trainer(TrainOptions(batch=2, r1_every=2))
    before = weights(made.discriminator)
    assert set(made.step(draw_batch(frames, TINY, made.options, step=0))) == {"l1", "perceptual", "copied", "missed"}
    assert torch.equal(weights(made.discriminator), before)
    told = [made.step(draw_batch(frames, TINY, made.options, step=k), adversary=0.5) for k in (1, 2)]
    assert not torch.equal(weights(made.discriminator), before)
    assert {"fooled", "critic"} <= set(told[0])
    assert ["r1" in losses for losses in told] == [False, True]
    assert all(p.grad is None for p in made.network.parameters())


def test_a_resumed_run_equals_an_uninterrupted_one(frames, tmp_path):
    options = TrainOptions(batch=2, precision="no", r1_every=2)
    whole, first = trainer(options), trainer(options)
    for run in (whole, first):
        for k in range(2):
            run.step(draw_batch(frames, TINY, options, step=k), adversary=float(k))
    first.save(tmp_path / "s.pt", spent_s=12.5)
    second = trainer(options, seed=9)
    assert second.resume(tmp_path / "s.pt") == {"spent_s": 12.5}
    assert second.steps == 2
    for run in (whole, second):
        for _ in range(2):
            run.step(draw_batch(frames, TINY, options, step=run.steps), adversary=1.0)
    for name in ("network", "discriminator", "averaged"):
        assert torch.allclose(weights(getattr(whole, name)), weights(getattr(second, name)), atol=1e-6), name
    with pytest.raises(InputError, match="state of another network"):
        Trainer(networks.build(replace(TINY, d_key=4)), options, make_accelerator(cpu=True)).resume(tmp_path / "s.pt")


def test_clips_that_are_too_short_are_named(frames):
    with pytest.raises(InputError, match="at least 3 frames each"):
        draw_batch(FrameSet(frames.images[:, :2], frames.points[:, :2]), TINY, PLAIN, step=0)
    with pytest.raises(InputError, match="N F H W 3"):
        FrameSet(frames.images, frames.points[:, :2])


# --- the command --------------------------------------------------------------------------------------------------


def one_second_a_step(monkeypatch):
    def tick(budget):
        budget.spent_s, budget.step = budget.spent_s + 1.0, budget.step + 1

    monkeypatch.setattr(Budget, "tick", tick)


def command(out, **more):
    train_presenter.run(
        out,
        **{"minutes": 0.1, "clips": 2, "frames": 3, "batch": 1, "rate": 2e-3, "resume": False, "config": TINY, **more},
    )


def test_from_nothing_to_a_model_that_loads_also_when_cut_off(tmp_path, monkeypatch, capsys):
    """Six steps in one go, and in two: the same model. The adversary comes in at the fourth."""
    one_second_a_step(monkeypatch)
    monkeypatch.setattr(train_presenter, "VALIDATION_SEEDS", train_presenter.VALIDATION_SEEDS[:2])
    monkeypatch.setattr(train_presenter, "SAVE_EVERY_S", -1.0)
    command(tmp_path / "whole")
    assert "held-out people" in capsys.readouterr().out
    assert (tmp_path / "whole" / "preview-final.png").is_file()
    assert len(list((tmp_path / "whole" / "frames").iterdir())) == 1

    class CutOff(BaseException):
        pass

    def cut_off(run):
        if run.trainer.steps == 4:
            raise CutOff
        save(run)

    save = train_presenter.Run.save
    monkeypatch.setattr(train_presenter.Run, "save", cut_off)
    with pytest.raises(CutOff):
        command(tmp_path / "parts")
    monkeypatch.setattr(train_presenter.Run, "save", save)
    assert not (tmp_path / "parts" / "model").exists()
    with pytest.raises(InputError, match="holds a run; add --resume"):
        command(tmp_path / "parts")
    command(tmp_path / "parts", resume=True)
    whole, parts = (weights(networks.load(tmp_path / name / "model")) for name in ("whole", "parts"))
    assert torch.allclose(whole, parts, atol=2e-3)


def test_a_run_begins_with_a_networks_weights(tmp_path, monkeypatch):
    one_second_a_step(monkeypatch)
    monkeypatch.setattr(train_presenter, "VALIDATION_SEEDS", train_presenter.VALIDATION_SEEDS[:2])
    known = networks.save(networks.build(replace(TINY, copy_pixels=False), seed=7), tmp_path)
    command(tmp_path / "fresh")
    command(tmp_path / "begun", start=known)
    before, fresh, begun = (networks.load(folder).query.state_dict()
                            for folder in (known, tmp_path / "fresh" / "model", tmp_path / "begun" / "model"))  # fmt: skip
    name = "refine.weight"
    near, far = ((made[name] - before[name]).abs().mean() for made in (begun, fresh))
    assert near < 0.1 * far


def test_the_set_is_drawn_once_and_read_afterwards(tmp_path, monkeypatch):
    size = {"frames": 3, "size": 32, "cells": 2}
    first = train_presenter.render_set(range(2), tmp_path, **size)
    monkeypatch.setattr(train_presenter, "render_clip", None)
    again = train_presenter.render_set(range(2), tmp_path, **size)
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.points, again.points)
    assert (first.points[..., 4].sum(-1) > 30).all()


def test_the_transfer_uses_only_what_all_frames_show(tmp_path):
    images, points = clips(1, 3)
    network = networks.build(TINY).eval()
    made = train_presenter.transfer(network, images, points)
    hidden = points.copy()
    hidden[:, -1, points[0, 0, :, 4] == 0] = 0.5  # keypoints that the first source lacks make no difference
    assert np.array_equal(made, train_presenter.transfer(network, images, hidden))
    assert made.shape == (1, 32, 32, 3)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--minutes=0"], "minutes"),
        (["--clips=0"], "clips"),
        (["--frames=2"], "frames"),
        (["--batch=0"], "batch"),
        (["--rate=2"], "rate"),
    ],
)
def test_mistakes_on_the_command_line_are_one_sentence(tmp_path, wrong, sentence, monkeypatch):
    monkeypatch.setattr(train_presenter, "render_set", lambda *a, **k: FrameSet(*clips()))
    monkeypatch.setattr(train_presenter, "render_clip", lambda *a, **k: tuple(part[0] for part in clips()))
    with pytest.raises(SystemExit, match=f"error: {sentence}"):
        train_presenter.main(["--out", str(tmp_path), *wrong])


TWO_PROCESSES = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
import torch
from tiny_jumpcut import TINY
from genkey_core.mini import train_presenter
from genkey_core.mini.train_loop import Budget

def tick(budget):
    budget.spent_s, budget.step = budget.spent_s + 1.0, budget.step + 1

Budget.tick = tick
train_presenter.VALIDATION_SEEDS = train_presenter.VALIDATION_SEEDS[:2]
kept = train_presenter.train
def train(run, *rest):
    kept(run, *rest)
    flat = torch.cat([p.detach().flatten() for p in run.trainer.network.parameters()])
    torch.save(flat, Path(sys.argv[1]) / f"{train_presenter.rank()}.pt")
train_presenter.train = train
train_presenter.run(Path(sys.argv[1]), minutes=0.05, clips=4, frames=3, batch=1, rate=2e-3, resume=False, config=TINY)
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_keep_the_same_weights(tmp_path):
    run_two("-c", TWO_PROCESSES, str(tmp_path))
    first, second = (torch.load(tmp_path / f"{number}.pt", weights_only=True) for number in (0, 1))
    assert torch.equal(first, second)
    assert networks.load(tmp_path / "model").config == TINY
    assert len(list((tmp_path / "frames").iterdir())) == 2
