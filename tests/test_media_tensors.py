"""Pictures to tensors and back, and tensors in files that anyone may read who may read the folder."""

import os

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402

from genkey_core import media  # noqa: E402


@pytest.mark.parametrize("shape", [(5, 4, 3), (3, 5, 4, 3), (2, 3, 5, 4, 3)])
def test_pictures_convert_there_and_back(rng, shape):
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    frames = media.to_float(images)
    assert frames.shape == (*shape[:-3], 3, *shape[-3:-1])
    assert frames.dtype == torch.float32
    assert np.array_equal(media.to_uint8(frames), images)
    assert np.array_equal(media.to_uint8(frames.bfloat16()), media.to_uint8(frames.bfloat16().float()))


def test_black_white_and_what_lies_beyond():
    ends = media.to_float(np.array([[[0, 255, 51]]], np.uint8))
    assert ends.flatten().tolist() == pytest.approx([-1.0, 1.0, -0.6])
    assert media.to_uint8(torch.tensor([-7.0, 7.0, 0.0]).view(3, 1, 1)).flatten().tolist() == [0, 255, 128]


def test_tensors_survive_the_file_with_their_notes(tmp_path):
    from safetensors import safe_open

    tensors = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.ones(2, dtype=torch.float16, requires_grad=True)}
    path = media.save_tensors(tensors, tmp_path / "deep" / "down.safetensors", notes={"steps": "3"})
    with safe_open(path, framework="pt") as kept:
        assert kept.metadata() == {"steps": "3"}
        assert torch.equal(kept.get_tensor("a"), tensors["a"])
        assert kept.get_tensor("b").dtype == torch.float16
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such access rights")
def test_the_file_has_the_access_rights_of_any_new_file(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    path = media.save_tensors({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    assert path.stat().st_mode == plain.stat().st_mode


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = media.save_tensors({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    before = path.read_bytes()
    with pytest.raises(TypeError):
        media.save_tensors({"a": torch.zeros(2)}, path, notes={"steps": 3})  # safetensors keeps text alone
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
