"""Pixel models from folders in the Hub's layout: they answer as diffusers' own pipelines do, and damage is said."""

import json

import pytest
import torch

pytest.importorskip("diffusers")
import tiny_pixel

from genkey_core.checks import InputError
from genkey_core.runtime import torch_generator
from genkey_core.zoom import cascade
from genkey_core.zoom.pixel_loading import read_if, read_prx
from genkey_core.zoom.pixel_models import OutOfMemoryError
from genkey_core.zoom.sampling import SamplingOptions, sample

PROMPTS = ["a green forest", "A tree from above"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {
        "if": tiny_pixel.save_if(root / "if"),
        "stage": tiny_pixel.save_stage(root / "stage"),
        "x4": tiny_pixel.save_x4(root / "x4"),
        "prx": tiny_pixel.save_prx(root / "prx"),
    }


def _noise(*shape, seed=0):
    return torch.randn(shape, generator=torch_generator(seed))


def test_the_first_stage_reads_and_answers_as_ifs_own_pipeline(folders):
    from diffusers import IFPipeline

    model = read_if(folders["if"], batch=1)
    model.remember(PROMPTS)
    pipe = IFPipeline.from_pretrained(folders["if"])
    words, _ = pipe.encode_prompt(PROMPTS, do_classifier_free_guidance=False)
    torch.testing.assert_close(model.embeddings(PROMPTS), words)
    noisy = _noise(2, 3, 16, 16)
    with torch.no_grad():
        wanted = pipe.unet(noisy, 700, encoder_hidden_states=words).sample
    torch.testing.assert_close(model.predict(noisy, torch.tensor(700), PROMPTS), wanted, rtol=1e-4, atol=1e-5)
    assert (model.size, model.prediction) == (16, "epsilon")


def test_prx_reads_and_answers_as_its_own_pipeline(folders):
    from diffusers import PRXPixelPipeline

    model = read_prx(folders["prx"], dtype=torch.float32)
    model.remember(["", *PROMPTS])
    pipe = PRXPixelPipeline.from_pretrained(folders["prx"])
    words, mask, _, _ = pipe.encode_prompt(PROMPTS, device="cpu", do_classifier_free_guidance=False)
    noisy = _noise(2, 3, 32, 32)
    with torch.no_grad():
        wanted = pipe.transformer(noisy, torch.tensor([0.7, 0.7]), words, attention_mask=mask).sample
    torch.testing.assert_close(model.predict(noisy, torch.tensor(0.7), PROMPTS), wanted, rtol=1e-4, atol=1e-5)
    assert (model.size, model.prediction, model.noise_scale) == (32, "sample", 2.0)


@pytest.mark.parametrize("kind", ["if", "prx"])
def test_a_stack_is_sampled_with_either(folders, kind):
    model = {"if": read_if, "prx": read_prx}[kind](folders[kind], dtype=torch.float32)
    model.remember(["", *PROMPTS])
    with model.at_work():
        steps = list(
            sample(
                model.predict,
                PROMPTS,
                model.levels(3),
                p=2,
                size=(model.size, model.size),
                prediction=model.prediction,
                options=SamplingOptions(steps=3, guidance_scale=2),
                generator=torch_generator(0),
            )
        )
    assert steps[-1].levels.isfinite().all()
    assert steps[-1].levels.shape == (2, 3, model.size, model.size)


def test_where_memory_runs_out_fewer_images_go_at_a_time(folders):
    model = read_if(folders["if"], batch=8)
    model.remember(PROMPTS)
    whole, sizes = model._predict, []

    def short_of_memory(noisy, t, texts):
        sizes.append(len(noisy))
        if len(noisy) > 2:
            raise torch.OutOfMemoryError("too much")
        return whole(noisy, t, texts)

    noisy, prompts = _noise(6, 3, 16, 16), PROMPTS * 3
    wanted = model.predict(noisy, torch.tensor(500), prompts)
    model._predict = short_of_memory
    torch.testing.assert_close(model.predict(noisy, torch.tensor(500), prompts), wanted, rtol=1e-4, atol=1e-5)
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]


def test_where_memory_is_short_for_one_image_it_is_said(folders):
    model = read_if(folders["if"], batch=2)
    model.remember(PROMPTS)

    def no_memory(*_):
        raise torch.OutOfMemoryError("too much")

    model._predict = no_memory
    with pytest.raises(OutOfMemoryError, match="choose a smaller memory mode"):
        model.predict(_noise(2, 3, 16, 16), torch.tensor(500), PROMPTS)


def test_an_offloaded_text_encoder_is_read_once_and_its_words_are_kept(folders):
    model = read_if(folders["if"], offload=True)
    reads = []
    read = model._read_text
    model._read_text = lambda: reads.append(1) or read()
    model.remember(PROMPTS)
    model.remember([*PROMPTS, "a leaf"])
    assert len(reads) == 1
    assert model.embeddings(["a leaf"]).shape == (1, 77, 32)


def test_the_second_stage_and_the_upscaler_enlarge_every_level(folders):
    model = read_if(folders["if"])
    model.remember(["", *PROMPTS])
    levels = _noise(2, 3, 16, 16).clamp(-1, 1)
    stage, x4 = (
        read(folders[name], dtype=torch.float32)
        for read, name in ((cascade.read_stage, "stage"), (cascade.read_x4, "x4"))
    )
    words, unsaid = model.embeddings(PROMPTS), model.embeddings([""])
    made = list(cascade.through_stage(stage, levels, words, unsaid, steps=2, generator=torch_generator(0)))
    assert [image.shape for image in made] == [(3, 32, 32)] * 2
    known = {"negative": "", "steps": 2, "generator": torch_generator(0)}
    larger = list(cascade.through_x4(x4, torch.stack(made).clamp(-1, 1), PROMPTS, **known))
    assert [image.shape for image in larger] == [(3, 64, 64)] * 2
    assert all(float(image.min()) >= -1.001 and float(image.max()) <= 1.001 for image in larger)


# --- damage ---------------------------------------------------------------------------------------------------------


def _without(folder, tmp_path, spoil):
    import shutil

    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    spoil(copy)
    return copy


def _drop_a_tensor(copy):
    from safetensors.torch import load_file, save_file

    file = copy / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors.pop(sorted(tensors)[5])
    save_file(tensors, file)


def _cut_off(copy):
    file = copy / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_drop_a_tensor, "lacks 1 tensors"),
        (_cut_off, "incomplete or damaged"),
        (lambda copy: (copy / "model_index.json").write_text("{"), "cannot be read"),
        (lambda copy: (copy / "model_index.json").unlink(), "none was found"),
        (lambda copy: (copy / "model_index.json").write_text(json.dumps({"_class_name": "X"})), "IFPipeline is needed"),
        (lambda copy: (copy / "unet" / "config.json").unlink(), "incomplete or damaged"),
    ],
)
def test_a_damaged_folder_is_refused_in_words(folders, tmp_path, spoil, words):
    with pytest.raises(InputError, match=words):
        read_if(_without(folders["if"], tmp_path, spoil))


def test_a_missing_text_encoder_is_said_when_prompts_come(folders, tmp_path):
    import shutil

    model = read_if(_without(folders["if"], tmp_path, lambda copy: shutil.rmtree(copy / "text_encoder")))
    with pytest.raises(InputError, match="incomplete or damaged"):
        model.remember(PROMPTS)


def test_other_models_are_refused(folders):
    with pytest.raises(InputError, match="IFPipeline is needed"):
        read_if(folders["prx"])
    with pytest.raises(InputError, match="PRXPixelPipeline is needed"):
        read_prx(folders["if"])
    with pytest.raises(InputError, match="no upscaler was found"):
        cascade.read_x4(folders["if"].parent, dtype=torch.float32)
