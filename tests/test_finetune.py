"""The backward fine-tuning: what it trains, that it learns, resumes, and scales over processes (thesis Alg. 1)."""

import re
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("accelerate")

import numpy as np  # noqa: E402
from tiny_svd import N_FRAMES, tiny_pipeline, tiny_unet  # noqa: E402
from two_processes import run_two  # noqa: E402

from genkey_core import InputError  # noqa: E402
from genkey_core.inbetween.clips import LatentClips, clips_from_folder, encode_clips  # noqa: E402
from genkey_core.inbetween.delta import check_delta, load_delta  # noqa: E402
from genkey_core.inbetween.finetune import BackwardNetwork, FinetuneOptions, finetune  # noqa: E402
from genkey_core.inbetween.finetune_command import main, parser  # noqa: E402
from genkey_core.inbetween.svd import StableVideo  # noqa: E402

QUICK = FinetuneOptions(steps=4, batch=2, learning_rate=1e-3, seed=5)


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=generator)

    m = 6
    return LatentClips(
        latents=draw(m, N_FRAMES, 4, 4, 8),
        first_image=draw(m, 4, 4, 8),
        last_image=draw(m, 4, 4, 8),
        first_embedding=draw(m, 1, 32),
        last_embedding=draw(m, 1, 32),
        first_ids=torch.tensor([[6.0, 127.0, 0.02]]).repeat(m, 1),
        last_ids=torch.tensor([[6.0, 127.0, 0.03]]).repeat(m, 1),
    )


def losses(*args, **kwargs) -> list[float]:
    return [step.loss for step in finetune(*args, **kwargs)]


@pytest.mark.parametrize(("parts", "matrices"), [("vo", 2), ("qkvo", 4)])
def test_only_the_named_projections_of_the_temporal_self_attention_are_trained(clips, tmp_path, parts, matrices):
    unet = tiny_unet()
    before = {name: p.clone() for name, p in unet.named_parameters()}
    losses(unet, clips, options=replace(QUICK, steps=1, parts=parts), folder=tmp_path)
    delta = load_delta(tmp_path / "backward.safetensors")
    check_delta(delta, unet)
    assert delta.rotated == (parts == "vo")
    assert delta.notes["steps"] == "1"
    layers = {name.split(".attn1.")[0] for name in delta.tensors}
    assert len(delta.tensors) == matrices * len(layers)
    assert all(float(value.abs().max()) > 0 for value in delta.tensors.values())
    assert all(torch.equal(before[name], p) for name, p in unet.named_parameters())
    assert all(type(layer).__name__ != "function" for layer in unet.attn_processors.values())


def test_training_lowers_the_loss_of_the_very_same_samples(clips, tmp_path):
    options = replace(QUICK, steps=10, learning_rate=3e-3)
    trained = losses(tiny_unet(), clips, options=options, folder=tmp_path / "a")
    untrained = losses(tiny_unet(), clips, options=replace(options, learning_rate=0.0), folder=tmp_path / "b")
    assert trained[0] == untrained[0]
    assert all(after < before for after, before in zip(trained[3:], untrained[3:], strict=True))


def test_the_first_loss_is_the_v_prediction_error_of_the_flipped_video(clips):
    """With the forward half patched away nothing is left but the plain UNet's error on the reversed clip."""
    unet = tiny_unet()
    network = BackwardNetwork(unet, replace(QUICK, parts="qkvo"))
    part = clips.select(torch.tensor([0]), "cpu")
    noise, sigma = torch.randn(part.latents.shape, generator=torch.Generator().manual_seed(9)), torch.tensor([2.0])
    loss = network(part, noise, sigma, torch.ones(1))
    x = (part.latents + 2 * noise) / 5**0.5
    image = part.last_image[:, None].expand(-1, N_FRAMES, -1, -1, -1)
    with torch.no_grad():
        v = unet(
            torch.cat([x.flip(1), image], 2), 0.25 * sigma.log(), part.last_embedding, added_time_ids=part.last_ids
        ).sample
    clean = (x / 5**0.5).flip(1) - v * 2 / 5**0.5  # x0 as the Euler scheduler reads a v-prediction
    weight = (1 + 4) / 4  # EDM's loss weight for unit data variance
    assert float(loss) == pytest.approx(weight * float((clean - part.latents.flip(1)).pow(2).mean()), rel=1e-4)


def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not(clips, tmp_path):
    whole = losses(tiny_unet(), clips, options=QUICK, folder=tmp_path / "whole")
    options = replace(QUICK, save_every=2)
    steps = finetune(tiny_unet(), clips, options=options, folder=tmp_path / "parts")
    first = [next(steps).loss, next(steps).loss]
    steps.close()
    second = losses(tiny_unet(), clips, options=options, folder=tmp_path / "parts")
    assert len(second) == 2
    assert first + second == pytest.approx(whole, rel=1e-6)
    with pytest.raises(InputError, match="other options"):
        losses(tiny_unet(), clips, options=replace(QUICK, learning_rate=5e-4), folder=tmp_path / "whole")


def test_gradient_checkpointing_changes_memory_not_the_result(clips, tmp_path):
    plain = losses(tiny_unet(), clips, options=QUICK, folder=tmp_path / "a")
    saving = losses(tiny_unet(), clips, options=replace(QUICK, gradient_checkpointing=True), folder=tmp_path / "b")
    assert saving == pytest.approx(plain, rel=1e-4)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_saved_state(clips, tmp_path):
    broken = replace(clips, latents=clips.latents * float("inf"))
    with pytest.raises(InputError, match="not a number at step 1"):
        losses(tiny_unet(), broken, options=QUICK, folder=tmp_path)
    assert not list(tmp_path.iterdir())
    damaged = tmp_path / "state.safetensors"
    damaged.write_bytes(b"nothing of use")
    with pytest.raises(InputError, match="cannot be read"):
        losses(tiny_unet(), clips, options=QUICK, folder=tmp_path)


def test_clips_are_encoded_once_and_survive_the_file(tmp_path, rng):
    model = StableVideo(tiny_pipeline())
    videos = [rng.integers(0, 256, (N_FRAMES, 12, 12, 3), dtype=np.uint8) for _ in range(2)]
    encoded = encode_clips(model, videos, generator=torch.Generator().manual_seed(0))
    assert encoded.latents.shape == (2, N_FRAMES, 4, 6, 6)
    assert encoded.last_image.shape == (2, 4, 6, 6)
    loaded = LatentClips.load(encoded.save(tmp_path / "clips.safetensors"))
    assert torch.equal(loaded.last_embedding, encoded.last_embedding)
    scaled = encoded.latents[0, 0] / model.pipe.vae.config.scaling_factor
    assert float((scaled - encoded.first_image[0]).abs().mean()) < 0.1  # the same frame but for the noise of 0.02
    with pytest.raises(InputError, match="at least one"):
        encode_clips(model, [], generator=torch.Generator())
    with pytest.raises(InputError, match="cannot be read"):
        LatentClips.load(tmp_path / "missing.safetensors")


def test_clips_come_from_image_folders(tmp_path, rng):
    from PIL import Image

    for i in range(2 * N_FRAMES + 1):
        path = tmp_path / "walk" / f"{i:03d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), 10 * i, np.uint8)).save(path)
    found = list(clips_from_folder(tmp_path, n_frames=N_FRAMES, size=(16, 16)))
    assert [clip.shape for clip in found] == [(N_FRAMES, 16, 16, 3)] * 2
    assert [int(frame[0, 0, 0]) for frame in np.concatenate(found)] == [10 * i for i in range(2 * N_FRAMES)]
    assert len(list(clips_from_folder(tmp_path, n_frames=N_FRAMES, size=(16, 16), per_video=1))) == 1
    with pytest.raises(InputError, match="no video or image folder of 40 frames"):
        list(clips_from_folder(tmp_path, n_frames=40, size=(16, 16)))
    with pytest.raises(InputError, match="does not exist"):
        list(clips_from_folder(tmp_path / "nowhere", n_frames=4, size=(16, 16)))


def test_the_command_has_the_defaults_of_the_options():
    given = parser().parse_args(["--model", "a", "--clips", "b", "--out", "c"])
    assert FinetuneOptions(**{name: getattr(given, name) for name in FinetuneOptions.__dataclass_fields__}) == (
        FinetuneOptions()
    )


def test_the_command_encodes_a_folder_trains_previews_and_goes_on(tmp_path, rng, capsys):
    from PIL import Image

    tiny_pipeline().save_pretrained(tmp_path / "model")
    (tmp_path / "clips" / "walk").mkdir(parents=True)
    for i in range(N_FRAMES):
        picture = rng.integers(0, 256, (16, 32, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "clips" / "walk" / f"{i}.png")
    places = [
        f"--{name}={tmp_path / folder}" for name, folder in (("model", "model"), ("clips", "clips"), ("out", "run"))
    ]
    shared = [*places, "--cpu", "--batch=1", "--preview-every=2", "--learning-rate=0.001"]
    main([*shared, "--steps=2"])
    main([*shared, "--steps=3"])
    printed = capsys.readouterr().out
    assert [int(step) for step in re.findall(r"step (\d)/", printed)] == [1, 2, 3]
    assert load_delta(tmp_path / "run" / "backward.safetensors").notes["base"] == "model"
    with Image.open(tmp_path / "run" / "preview-000002.png") as strip:
        width, height = strip.size
    assert width % N_FRAMES == 0
    assert height > 0
    assert len(list((tmp_path / "run").glob("clips-*.safetensors"))) == 1  # encoded once for both calls
    Image.fromarray(picture).save(tmp_path / "clips" / "walk" / f"{N_FRAMES}.png")
    main([*shared, "--steps=4"])
    assert len(list((tmp_path / "run").glob("clips-*.safetensors"))) == 2  # other clips are encoded anew
    with pytest.raises(SystemExit, match="no video model was found"):
        main(["--model=nowhere", *shared[1:]])


def test_tensorboard_is_asked_for_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr("genkey_core.inbetween.finetune_command.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install tensorboard"):
        main(["--model=a", "--clips=b", f"--out={tmp_path}", "--tensorboard", "--cpu"])


def test_autocast_changes_the_loss_by_its_precision_only(clips, tmp_path):
    plain = losses(tiny_unet(), clips, options=QUICK, folder=tmp_path / "a")
    half = losses(tiny_unet(), clips, options=replace(QUICK, precision="bf16"), folder=tmp_path / "b")
    assert half == pytest.approx(plain, rel=0.02)
    assert half != plain


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_with_twice_the_batch(clips, tmp_path):
    """The real command as two CPU processes that talk over gloo."""
    tiny_pipeline().save_pretrained(tmp_path / "model")
    cache = clips.save(tmp_path / "clips.safetensors")
    one = losses(tiny_unet(), clips, options=replace(QUICK, steps=2, batch=4), folder=tmp_path / "one")
    places = [f"--model={tmp_path / 'model'}", f"--clips={cache}", f"--out={tmp_path / 'two'}", "--cpu"]
    numbers = ["--batch=2", "--steps=2", f"--seed={QUICK.seed}", f"--learning-rate={QUICK.learning_rate}"]
    printed = run_two("-m", "genkey_core.inbetween.finetune", *places, *numbers, ACCELERATE_USE_CPU="true")
    two = [float(loss) for loss in re.findall(r"loss ([\d.]+)", printed[0])]
    assert two == pytest.approx(one, abs=2e-5)
    ends = [load_delta(tmp_path / run / "backward.safetensors").tensors for run in ("one", "two")]
    assert all(torch.allclose(ends[0][n].float(), ends[1][n].float(), atol=1e-5) for n in ends[0])
