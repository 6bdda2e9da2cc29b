"""Runs of the mini training: resuming, being cut off, several processes, and mistakes on the command line."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from tiny_mini import tiny_mini  # noqa: E402
from two_processes import run_two  # noqa: E402

from genkey_core.mini import train_data, train_loop, train_video, video_model  # noqa: E402


@pytest.fixture
def tiny(monkeypatch):
    return tiny_mini(monkeypatch)


@pytest.fixture
def clips():
    return train_data.render(range(4), size=32, frames=3)


def test_a_run_can_be_interrupted_and_taken_up(tmp_path):
    model = torch.nn.Linear(3, 1)
    session = train_loop.Session(model, tmp_path / "s.pt", minutes=1.0, peak_rate=0.1, average=0.9)
    for _, x in zip(session.steps(), torch.randn(5, 4, 3), strict=False):
        session.descend(model(x).square().mean())
    session.save()
    other = train_loop.Session(torch.nn.Linear(3, 1), tmp_path / "s.pt", minutes=1.0, peak_rate=0.1, average=0.9)
    assert other.resume()
    assert other.budget.step == session.budget.step == 5
    assert other.budget.spent_s == pytest.approx(session.budget.spent_s)
    x = torch.randn(4, 3)
    for s in (session, other):
        s.budget.spent_s = 30.0
        s.descend(s.model(x).square().mean())
    assert torch.allclose(session.model.weight, other.model.weight, atol=1e-5)
    assert torch.allclose(session.averaged["weight"], other.averaged["weight"], atol=1e-5)


def test_all_stages_run_from_nothing_to_a_loadable_folder(tmp_path, tiny, monkeypatch, capsys):
    monkeypatch.setattr(train_video, "FRAMES", 3)
    monkeypatch.setattr(train_video, "SIZE", 32)
    train_video.main(["--stage", "all", "--out", str(tmp_path), "--minutes", "0.01", "--clips", "4", "--batch", "2"])
    assert "held-out clips at" in capsys.readouterr().out
    assert json.loads((tmp_path / "model" / "model_index.json").read_text())["unet"]
    made = train_video.generate(video_model.load(tmp_path / "model"), np.zeros((1, 32, 32, 3), np.uint8), steps=2)
    assert made.shape == (1, video_model.FRAMES, 32, 32, 3)
    assert np.isfinite(made).all()


def test_latents_are_kept_for_the_very_encoders_that_made_them(tmp_path, tiny, clips):
    file = tmp_path / "latents.safetensors"
    first = train_video.encode_clips(tiny, clips, file)
    written = file.stat().st_mtime_ns
    again = train_video.encode_clips(tiny, clips, file)
    assert file.stat().st_mtime_ns == written
    assert torch.equal(first.latents, again.latents)
    with torch.no_grad():
        tiny.vae.quant_conv.bias += 1.0
    other = train_video.encode_clips(tiny, clips, file)
    assert not torch.allclose(first.latents, other.latents, atol=0.1)


def final_weights(folder):
    from safetensors.torch import load_file

    return {name: load_file(next((folder / "model" / name).glob("*.safetensors"))) for name in train_video.SHARES}


@pytest.mark.slow
def test_a_run_cut_off_in_every_stage_ends_as_if_it_had_not(tmp_path, tiny, monkeypatch):
    """Time is counted as one second a step, and the state saved after every step: both runs then take equal steps."""

    class CutOff(BaseException):
        pass

    def tick(budget):
        budget.spent_s, budget.step = budget.spent_s + 1.0, budget.step + 1

    monkeypatch.setattr(train_video, "FRAMES", 3)
    monkeypatch.setattr(train_video, "SIZE", 32)
    monkeypatch.setattr(train_loop, "SAVE_EVERY_S", -1.0)
    monkeypatch.setattr(train_loop.Budget, "tick", tick)
    descend = train_loop.Session.descend
    command = ["--minutes=0.4", "--clips=4", "--batch=2", "--out"]
    train_video.main([*command, str(tmp_path / "whole")])
    folder, again = tmp_path / "parts", []
    for stage in train_video.SHARES:

        def cut_off(session, loss, stage=stage):
            if session.file.stem == stage and session.budget.step == 1:
                raise CutOff
            descend(session, loss)

        monkeypatch.setattr(train_loop.Session, "descend", cut_off)
        with pytest.raises(CutOff):
            train_video.main([*command, str(folder), *again])
        assert torch.load(folder / f"{stage}.pt", weights_only=True)["step"] == 1
        assert not (folder / "model").exists()
        again = ["--resume"]
    monkeypatch.setattr(train_loop.Session, "descend", descend)
    train_video.main([*command, str(folder), *again])
    whole = final_weights(tmp_path / "whole")
    for name, weights in final_weights(folder).items():
        assert all(torch.allclose(value, whole[name][key], atol=2e-3) for key, value in weights.items()), name


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--minutes=0"], "minutes: must be at least 0.01"),
        (["--clips=0"], "clips: must be between 1"),
        (["--batch=0"], "batch: must be at least 1"),
        (["--rate=nan"], "rate: a finite number"),
        (["--stage=unet"], "holds no trained vae; run --stage vae first"),
    ],
)
def test_mistakes_on_the_command_line_are_one_sentence(tmp_path, wrong, sentence):
    with pytest.raises(SystemExit, match=sentence):
        train_video.main(["--out", str(tmp_path), *wrong])
    assert not list(tmp_path.iterdir())


def test_a_run_is_not_overwritten_unasked(tmp_path):
    (tmp_path / "vae.pt").write_bytes(b"hours of work")
    with pytest.raises(SystemExit, match="holds a run of vae; add --resume"):
        train_video.main(["--out", str(tmp_path)])
    assert (tmp_path / "vae.pt").read_bytes() == b"hours of work"


TWO_PROCESSES = """
import os, sys
from pathlib import Path
import torch
from torch import distributed
from genkey_core.mini.train_loop import Session, rank

distributed.init_process_group("gloo")
model = torch.nn.Linear(3, 1)  # each process draws its own
session = Session(model, Path(sys.argv[1]) / "s.pt", minutes=1.0, peak_rate=0.1, average=0.9)
generator = torch.Generator().manual_seed(rank())
for _ in range(5):
    session.descend(model(torch.randn(4, 3, generator=generator)).square().mean())
torch.save(model.state_dict(), Path(sys.argv[1]) / f"{rank()}.pt")
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_keep_the_same_weights(tmp_path):
    run_two("-c", TWO_PROCESSES, str(tmp_path))
    first, second = (torch.load(tmp_path / f"{number}.pt", weights_only=True) for number in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
