"""The benchmark of how far the two directions disagree: what it compares, and words that follow figures."""

from dataclasses import replace

import numpy as np
import torch
from test_bench_variants import checkpoint  # noqa: F401, a fixture

from benchmarks import inbetween_agreement as bench
from genkey_core.media import to_float
from genkey_core.mini.motion_world import make_clip


def test_backward_weights_of_zero_without_rotation_are_time_reversal(checkpoint, monkeypatch):  # noqa: F811
    models = bench.Models(checkpoint, device="cpu", half=False, batch=2)
    clips = [make_clip(seed, **models.world()) for seed in (5, 6)]
    with torch.no_grad():
        clean = torch.stack([models.video.encode_video(to_float(clip.images)) for clip in clips])
    delta = models.delta("no_rotation")
    zero = {key: torch.zeros_like(value) for key, value in delta.tensors.items()}
    monkeypatch.setitem(models._deltas, "no_rotation", replace(delta, tensors=zero))
    known = {v: bench.foreseen(models, clips, clean, v, 0) for v in ("time_reversal", "no_rotation", "dual")}
    for a, b in zip(known["time_reversal"], known["no_rotation"], strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert torch.allclose(known["time_reversal"][0], known["dual"][0], atol=1e-5), (
        "rotation leaves the forward half alone"
    )
    assert not torch.allclose(known["time_reversal"][1], known["dual"][1], atol=1e-3)


def test_the_ends_do_not_count():
    latents = torch.zeros(2, 4, 3, 2, 2)
    latents[0, [0, -1]] = 5.0
    latents[1, 1:-1] = 2.0
    assert bench.rms(latents).tolist() == [0.0, 2.0]


def test_the_command_writes_its_page(checkpoint, tmp_path, capsys):  # noqa: F811
    page = tmp_path / "page.md"
    bench.main(["--model", str(checkpoint), "--clips", "3", "--batch", "2", "--report", str(page)])
    text = page.read_text()
    for variant in bench.COMPARED:
        assert f"| apart: {variant} |" in text
        assert f"| error, fused: {variant} |" in text
    assert "3 held-out clips" in text


def test_the_words_follow_the_figures():
    rng = np.random.default_rng(0)

    def records(more: float) -> list[dict]:
        return [
            {"seed": seed, "kind": kind, "variant": variant, "level": 0, "error": 0.1,
             "apart": 0.3 + rng.normal(0, 0.01) + (more if variant == "no_rotation" and kind == "ball" else 0)}
            for seed, kind in enumerate(["ball", "car"] * 20) for variant in bench.COMPARED
        ]  # fmt: skip

    line = next(line for line in bench.findings(records(0.5)) if line.startswith("- no_rotation"))
    assert "ball more" in line
    assert "car more (+0.5" not in line
    assert "ball less" in next(line for line in bench.findings(records(-0.5)) if "no_rotation" in line)
