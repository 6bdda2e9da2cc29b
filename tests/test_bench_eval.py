"""FID, FVD and the rest with injected features: planted distances come back, engines are asked as users ask them."""

import importlib.util
import sys

import numpy as np
import pytest
import torch

from benchmarks import generative_metrics as gm
from benchmarks import inbetween_eval
from genkey_core import InputError
from genkey_core.inbetween.engines import Draft, Progress
from genkey_core.mini.motion_world import make_clip

needs_torchmetrics = pytest.mark.skipif(
    importlib.util.find_spec("torchmetrics") is None, reason="torchmetrics is optional"
)


def _clip(seed: int, n: int = 5, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3)).astype(np.uint8)


def _corner(frames: torch.Tensor) -> torch.Tensor:
    """Three numbers of each picture [N 3 H W], or of the first of each clip [N T 3 H W], in 0 to 255."""
    pictures = frames if frames.ndim == 4 else frames[:, 0]
    return pictures[:, :, 0, 0].float()


class _Column:
    """An engine whose frames are the start keyframe, brightened by a fixed step."""

    name = "column"

    def __init__(self, step: int):
        self.step, self.asked = step, []

    def between(self, start, end, positions):
        self.asked.append(len(positions))
        for _ in positions:
            yield Progress(1, 1)
            yield np.clip(start.astype(int) + self.step, 0, 255).astype(np.uint8)


# --- the metrics --------------------------------------------------------------------------------------------------


@needs_torchmetrics
def test_identical_sets_are_at_no_distance():
    compared = gm.Comparison(("fid", "fvd"), frame_features=_corner, video_features=_corner)
    for seed in range(8):
        compared.add(_clip(seed), _clip(seed))
    found = compared.results()
    assert found["fid"] == pytest.approx(0, abs=1e-3)
    assert found["fvd"] == pytest.approx(0, abs=1e-3)
    assert (compared.n_clips, compared.n_frames) == (8, 24)


@needs_torchmetrics
def test_a_shift_and_a_change_of_spread_are_at_their_frechet_distance(rng):
    """Between N(m, a^2 I) and N(m', b^2 I) in D dimensions it is |m - m'|^2 + D (a - b)^2."""

    def planted(mean: float, std: float):
        values = rng.normal(mean, std, (400, 3)).clip(0, 255)
        for value in values:
            clip = np.zeros((3, 16, 16, 3), np.uint8)
            clip[:] = np.round(value).astype(np.uint8)
            yield clip

    compared = gm.Comparison(("fid", "fvd"), frame_features=_corner, video_features=_corner)
    for made, truth in zip(planted(140, 10), planted(100, 20), strict=True):
        compared.add(made, truth)
    expected = 3 * 40**2 + 3 * 10**2
    assert compared.results()["fid"] == pytest.approx(expected, rel=0.06)
    assert compared.results()["fvd"] == pytest.approx(expected, rel=0.06)


@needs_torchmetrics
def test_frame_metrics_leave_the_given_ends_out():
    """The ends are the keyframes: a clip that is wrong there alone is at no distance, and its PSNR is not flattered."""
    truth = _clip(1)
    wrong_ends, wrong_middle = truth.copy(), truth.copy()
    wrong_ends[[0, -1]] = 255 - truth[[0, -1]]
    wrong_middle[1:-1] = np.clip(truth[1:-1].astype(int) + 10, 0, 255)
    at_ends = gm.Comparison(("fid", "psnr"), frame_features=_corner)
    inside = gm.Comparison(("fid", "psnr"), frame_features=_corner)
    for _ in range(2):
        at_ends.add(wrong_ends, truth)
        inside.add(wrong_middle, truth)
    assert at_ends.results()["fid"] == pytest.approx(0, abs=1e-3)
    assert inside.results()["psnr"] == pytest.approx(20 * np.log10(255 / 10), abs=0.3)
    assert at_ends.results()["psnr"] > inside.results()["psnr"] + 20


@needs_torchmetrics
@pytest.mark.parametrize("wrong", ["shape", "nan"])
def test_features_of_another_form_are_refused(wrong):
    compared = gm.Comparison(("fvd",), video_features=lambda x: x.float() if wrong == "shape" else _corner(x) * np.nan)
    with pytest.raises(InputError, match="finite"):
        compared.add(_clip(0), _clip(0))


@needs_torchmetrics
def test_one_clip_is_no_comparison_and_clips_must_fit():
    compared = gm.Comparison(("fid",), frame_features=_corner)
    with pytest.raises(InputError, match="one shape"):
        compared.add(_clip(0), _clip(0, n=4))
    compared.add(_clip(0), _clip(0))
    with pytest.raises(InputError, match="at least 2"):
        compared.results()


def test_what_is_missing_is_said_with_its_remedy(monkeypatch):
    with pytest.raises(InputError, match="--video-features"):
        gm.Comparison(("fvd",))
    monkeypatch.setitem(sys.modules, "torchmetrics.image", None)
    with pytest.raises(InputError, match="pip install torchmetrics"):
        gm.Comparison(("psnr",))


# --- features that users bring ------------------------------------------------------------------------------------


class _Means(torch.nn.Module):
    """A feature network with I3D's calling convention."""

    def forward(self, x: torch.Tensor, rescale: bool = False, return_features: bool = False) -> torch.Tensor:
        scaled = x / 127.5 - 1 if rescale else x
        return scaled.mean((2, 3, 4)) if return_features else scaled.sum((1, 2, 3, 4))


def test_a_torchscript_file_gets_clips_channels_first_and_its_options(tmp_path):
    path = tmp_path / "features.pt"
    torch.jit.script(_Means()).save(str(path))
    clip = _clip(3)
    batch = torch.as_tensor(clip).movedim(-1, -3)[None]
    options = '{"rescale": true, "return_features": true}'
    found = gm.video_features(path, device="cpu", options=options)(batch)
    assert found.numpy() == pytest.approx(clip.mean((0, 1, 2))[None] / 127.5 - 1, abs=1e-5)
    with pytest.raises(InputError, match="refused its input"):
        gm.video_features(path, device="cpu", options='{"unknown": 1}')(batch)
    for wrong in ("[1]", "{"):
        with pytest.raises(InputError, match="JSON object"):
            gm.video_features(path, device="cpu", options=wrong)


def test_files_that_are_no_networks_are_sentences(tmp_path):
    (tmp_path / "noise.pt").write_bytes(b"nothing of the kind")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="TorchScript"):
        gm.video_features(tmp_path / "noise.pt", device="cpu")
    with pytest.raises(InputError, match="VideoMAE"):
        gm.video_features(tmp_path / "empty", device="cpu")
    with pytest.raises(InputError, match="no file or folder"):
        gm.video_features(tmp_path / "nothing", device="cpu")


def test_a_videomae_folder_gives_one_row_per_clip_of_any_length(tmp_path):
    from transformers import VideoMAEConfig, VideoMAEModel

    config = VideoMAEConfig(
        image_size=16, patch_size=8, num_frames=4, tubelet_size=2, hidden_size=16, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=16,
    )  # fmt: skip
    VideoMAEModel(config).save_pretrained(tmp_path)
    features = gm.video_features(tmp_path, device="cpu")
    with torch.no_grad():
        for n in (3, 7):
            batch = torch.as_tensor(np.stack([_clip(1, n, 24), _clip(2, n, 24)])).movedim(-1, -3)
            found = features(batch)
            assert found.shape == (2, 16)
            assert not torch.allclose(found[0], found[1])


# --- the protocol -------------------------------------------------------------------------------------------------


@needs_torchmetrics
def test_engines_are_asked_for_the_frames_between_and_not_twice(tmp_path):
    clips = [_clip(seed) for seed in range(3)]
    engines = {"same": _Column(0), "brighter": _Column(40)}

    def compare() -> gm.Comparison:
        return gm.Comparison(("fid", "psnr"), frame_features=_corner)

    found = inbetween_eval.evaluate(lambda: iter(clips), engines, compare, lambda name: tmp_path / name)
    assert [e.asked for e in engines.values()] == [[3, 3, 3]] * 2
    results = {name: comparison.results() for name, comparison in found.items()}
    assert results["brighter"]["psnr"] != results["same"]["psnr"]
    again = inbetween_eval.evaluate(lambda: iter(clips), engines, compare, lambda name: tmp_path / name)
    assert [e.asked for e in engines.values()] == [[3, 3, 3]] * 2
    assert {name: comparison.results() for name, comparison in again.items()} == results
    text = inbetween_eval.page(found, ["a test"])
    assert "3 clips, 9 frames between their ends; a test." in text
    assert f"| brighter | {results['brighter']['fid']:.3f} | {results['brighter']['psnr']:.3f} |" in text


def test_a_made_clip_keeps_its_ends_and_its_length():
    truth = make_clip(3, frames=6).images
    made = inbetween_eval.make_between(Draft(workers=1), truth)
    assert made.shape == truth.shape
    assert np.array_equal(made[[0, -1]], truth[[0, -1]])
    assert (made[1:-1] != truth[1:-1]).any()


@needs_torchmetrics
def test_the_command_reads_a_folder_of_clips_and_writes_its_page(tmp_path):
    from genkey_core.media import save_image

    for seed in range(3):
        folder = tmp_path / "clips" / f"clip-{seed}"
        folder.mkdir(parents=True)
        for i, image in enumerate(make_clip(seed, frames=5).images):
            save_image(folder / f"{i:03d}.png", image)
    torch.jit.script(_Means()).save(str(tmp_path / "i3d.pt"))
    arguments = ["--clips", str(tmp_path / "clips"), "--frames", "5", "--size", "64", "64", "--metrics", "fvd", "psnr",
                 "--video-features", str(tmp_path / "i3d.pt"), "--video-options", '{"return_features": true}',
                 "--out", str(tmp_path / "out")]  # fmt: skip
    inbetween_eval.main(arguments)
    text = (tmp_path / "out" / "inbetween_eval.md").read_text()
    assert "3 clips, 9 frames between their ends; 5 frames of 64x64" in text
    assert "FVD over 'i3d.pt' (SHA-256 " in text
    assert "| draft | " in text
    with pytest.raises(SystemExit, match="--video-features"):
        inbetween_eval.main([*arguments[:-6], "--out", str(tmp_path / "other")])
    assert not (tmp_path / "other").exists()


def test_help_says_what_to_install(capsys):
    with pytest.raises(SystemExit):
        inbetween_eval.main(["--help"])
    told = capsys.readouterr().out
    assert "pip install torchmetrics torch-fidelity torchvision" in told
    assert "I3D" in told
