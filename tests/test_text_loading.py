"""Folders of Wan and LTX-Video that are damaged, incomplete or of another kind: each is refused in a sentence."""

import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("ftfy")
pytest.importorskip("sentencepiece")
pytest.importorskip("google.protobuf")

from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_text import saved, saved_both, tiny_wan  # noqa: E402

from genkey_core import InputError  # noqa: E402
from genkey_core.inbetween.text_pipeline import load  # noqa: E402


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return saved_both(tmp_path_factory.mktemp("text"))


def broken(folder: Path, copy: Path, damage) -> Path:
    shutil.copytree(folder, copy)
    damage(copy)
    return copy


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def without_a_tensor(path: Path, *, containing: str, only: tuple[str, ...] = ()) -> None:
    tensors = load_file(path)
    name = next(name for name in tensors if containing in name and (not only or name in only))
    del tensors[name]
    save_file(tensors, path, metadata={"format": "pt"})


TABLES = ("shared.weight", "encoder.embed_tokens.weight")
DAMAGE = {
    "no folder": (lambda f: f.rename(f.with_name("gone")), "no ltx model was found"),
    "no index": (lambda f: (f / "model_index.json").write_text("{"), "model_index.json in .* cannot be read"),
    "another model": (
        lambda f: (f / "model_index.json").write_text('{"_class_name": "StableVideoDiffusionPipeline"}'),
        "LTXPipeline or LTXConditionPipeline is needed for ltx, got 'StableVideoDiffusionPipeline'",
    ),
    "no transformer": (lambda f: (f / "transformer/config.json").unlink(), "incomplete or damaged"),
    "half a transformer": (
        lambda f: truncate(f / "transformer/diffusion_pytorch_model.safetensors"),
        "incomplete or damaged",
    ),
    "half a text encoder": (lambda f: truncate(f / "text_encoder/model.safetensors"), "incomplete or damaged"),
    "a tensor less": (
        lambda f: without_a_tensor(
            f / "transformer/diffusion_pytorch_model.safetensors", containing="attn1.to_q.weight"
        ),
        "transformer in .* lacks 1 tensors; fetch it anew",
    ),
    "a word less": (
        lambda f: without_a_tensor(f / "text_encoder/model.safetensors", containing="SelfAttention.q.weight"),
        "text_encoder in .* lacks 1 tensors; fetch it anew",
    ),
    "no embeddings": (
        lambda f: without_a_tensor(f / "text_encoder/model.safetensors", containing=".weight", only=TABLES),
        "text_encoder in .* lacks its embeddings",
    ),
    "no vocabulary": (lambda f: (f / "tokenizer/tokenizer.json").unlink(), "tokenizer .* is incomplete|damaged"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_folder_is_named(folders, tmp_path, what):
    damage, words = DAMAGE[what]
    copy = broken(folders["ltx"], tmp_path / "copy", damage)
    with pytest.raises(InputError, match=words):
        load(copy, "ltx")


def test_an_image_encoder_with_too_few_tensors_is_named(folders, tmp_path):
    def damage(copy: Path) -> None:
        without_a_tensor(copy / "image_encoder/model.safetensors", containing="self_attn.q_proj.weight")

    with pytest.raises(InputError, match=r"image_encoder in .* lacks 1 tensors"):
        load(broken(folders["wan"], tmp_path / "copy", damage), "wan")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"expand_timesteps": True}, "takes a first picture only"),
        (
            {"in_channels": 16, "image_dim": None, "added_kv_proj_dim": None, "pos_embed_seq_len": None},
            "takes no pictures",
        ),
        ({"pos_embed_seq_len": None}, "looks at one picture only"),
    ],
)
def test_wan_models_that_take_no_last_picture_are_refused(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        load(saved(tiny_wan(**changes), tmp_path / "wan"), "wan")


def test_running_out_of_memory_while_loading_is_no_damage(folders, monkeypatch):
    from diffusers import LTXConditionPipeline

    from genkey_core.inbetween.svd import OutOfMemoryError

    def full(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(LTXConditionPipeline, "from_pretrained", full)
    with pytest.raises(OutOfMemoryError, match="ran out while ltx was loaded; choose a smaller memory mode"):
        load(folders["ltx"], "ltx")
