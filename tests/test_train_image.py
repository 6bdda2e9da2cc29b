"""The mini text-to-image model and its training, on a tiny configuration of the same classes."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from genkey_core.mini import image_model, train_image  # noqa: E402
from genkey_core.mini.scale_world import make_scene  # noqa: E402
from genkey_core.mini.train_loop import Budget, Session  # noqa: E402

TINY_UNET = {
    "sample_size": 16,
    "block_out_channels": (8, 16, 16, 32),
    "attention_head_dim": (1, 1, 1, 1),
    "cross_attention_dim": 32,
    "encoder_hid_dim": 32,
    "addition_embed_type_num_heads": 1,
    "norm_num_groups": 4,
}
TINY_TEXT = {"d_model": 32, "d_kv": 16, "d_ff": 32, "num_heads": 2, "num_layers": 1}
torch.set_num_threads(1)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(image_model, "UNET", image_model.UNET | TINY_UNET)
    monkeypatch.setattr(image_model, "TEXT_ENCODER", image_model.TEXT_ENCODER | TINY_TEXT)
    return image_model.build()


@pytest.fixture(scope="module")
def scenes():
    return train_image.render(range(24), size=16)


def test_shards_are_kept_and_read_back(tmp_path, scenes):
    first = train_image.render(range(24), tmp_path, size=16)
    again = train_image.render(range(24), tmp_path, size=16)
    for name in ("images", "labels"):
        assert np.array_equal(getattr(first, name), getattr(scenes, name))
        assert np.array_equal(getattr(again, name), getattr(scenes, name))
    assert [p.suffix for p in tmp_path.iterdir()] == [".npz"]
    scene = make_scene(3, size=16)
    assert scenes.words(3) == (scene.kind, scene.colour, scene.style)


def test_a_batch_keeps_pictures_and_captions_together(scenes):
    images, prompts = train_image.draw_batch(scenes, np.random.default_rng(0), 400)
    assert images.shape == (400, 3, 16, 16)
    assert images.abs().max() <= 1
    dropped = sum(not prompt for prompt in prompts) / 400
    assert 0.05 < dropped < 0.16
    # Turning and mirroring keep a picture's mean colour, which therefore finds the scene that each caption is of.
    means = scenes.images.mean((1, 2)) / 127.5 - 1
    rows = [np.abs(means - image.mean((1, 2)).numpy()).sum(1).argmin() for image in images]
    nouns = {"leaf": "leaf", "tree": "tree", "galaxy": "galaxy", "chip": "chip", "desk": "desk"}
    told = [(scenes.words(row)[0], prompt) for row, prompt in zip(rows, prompts, strict=True) if prompt]
    checked = [nouns[kind] in prompt for kind, prompt in told if kind in nouns]
    assert checked
    assert all(checked)


def test_words_are_tokens_and_unknown_ones_are_said_to_be():
    words = image_model.tokenizer()
    unknown = words.unk_token_id
    assert unknown not in words("a red leaf, close-up, watercolour painting of a bird's eye view").input_ids
    assert words.tokenize("a red leaf") == ["▁a", "▁red", "▁leaf"]
    assert unknown in words("a red xylophone").input_ids
    assert words("leafy").input_ids != words("leaf").input_ids
    ids, mask = image_model.tokens(words, ["A Red LEAF", ""])
    assert ids.shape == mask.shape == (2, image_model.TOKENS)
    assert mask.sum(1).tolist() == [4, 1]


def test_export_is_a_folder_that_if_s_pipeline_loads_and_runs(tmp_path, tiny):
    with torch.no_grad():
        tiny.unet.conv_out.weight.normal_(0, 0.05, generator=torch.Generator().manual_seed(0))
    image_model.export(tiny, tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["_class_name"] == "IFPipeline"
    assert index["unet"] == ["diffusers", "UNet2DConditionModel"]
    assert index["text_encoder"] == ["transformers", "T5EncoderModel"]
    assert index["tokenizer"] == ["transformers", "T5Tokenizer"]
    assert index["scheduler"] == ["diffusers", "DDPMScheduler"]
    assert not [p for p in tmp_path.rglob("*") if p.suffix in (".bin", ".pt", ".pkl", ".ckpt", ".model")]
    weights = list(tmp_path.rglob("*.safetensors"))
    assert {file.stat().st_mode for file in weights} == {(tmp_path / "model_index.json").stat().st_mode}
    loaded = image_model.load(tmp_path)
    assert loaded.unet.dtype == torch.float32
    text = "a photo of a red leaf, under a microscope, xylophone"
    assert loaded.tokenizer(text).input_ids == tiny.tokenizer(text).input_ids
    assert torch.allclose(loaded.unet.conv_in.weight, tiny.unet.conv_in.weight, atol=1e-3)
    first = image_model.generate(loaded, ["a red leaf", "a blue galaxy"], steps=3)
    assert first.shape == (2, 16, 16, 3)
    assert np.array_equal(first, image_model.generate(loaded, ["a red leaf", "a blue galaxy"], steps=3))


def test_the_text_reaches_the_picture(tiny):
    with torch.no_grad():
        tiny.unet.conv_out.weight.normal_(0, 0.05, generator=torch.Generator().manual_seed(0))
        joint, noisy = train_image.make_joint(tiny), torch.ones(2, 3, 16, 16)
        t = torch.tensor([500, 500])
        same = joint(noisy, t, *image_model.tokens(tiny.tokenizer, ["a red leaf"] * 2))
        apart = joint(noisy, t, *image_model.tokens(tiny.tokenizer, ["a red leaf", "a blue galaxy"]))
    assert torch.allclose(same[0], same[1], atol=1e-5)
    assert (apart[0] - apart[1]).abs().max() > 1e-3


def test_the_shipped_configuration_fits_its_size_limit():
    pipeline = image_model.build()
    numbers = sum(p.numel() for part in (pipeline.unet, pipeline.text_encoder) for p in part.parameters())
    assert 2 * numbers < 25e6


def test_fresh_weights_follow_the_seed_and_nothing_else(tiny):
    torch.rand(1)  # moves the global generator on
    again, other = image_model.build(), image_model.build(seed=1)
    for name in ("unet", "text_encoder"):
        first, second, third = (getattr(p, name).state_dict() for p in (tiny, again, other))
        assert all(torch.equal(value, second[key]) for key, value in first.items())
        moved = {key.rsplit(".", 1)[0] for key, value in first.items() if not torch.equal(value, third[key])}
        kept = {key.rsplit(".", 1)[0] for key in first} - moved
        assert all("norm" in key or key == "conv_out" for key in kept), kept


def test_the_loss_is_zero_for_the_true_v_and_the_variance_learns_the_true_step(tiny):
    scheduler = tiny.scheduler
    images = torch.linspace(-1, 1, 4 * 3 * 64).view(4, 3, 8, 8)
    generator = torch.Generator().manual_seed(int(np.random.default_rng(3).integers(2**31)))
    noise = torch.randn(images.shape, generator=generator)

    def loss_of(offset: float):
        def joint(noisy, t, ids, mask):
            v = scheduler.get_velocity(images, noise, t) + offset
            return torch.cat([v, -torch.ones_like(v)], 1)  # -1: the true step's own variance

        return train_image.denoising_loss(joint, scheduler, images, (None, None), np.random.default_rng(3))

    loss, each = loss_of(0.0)
    assert loss.abs() < 1e-6
    assert each.max() < 1e-10
    assert torch.allclose(loss_of(0.5)[1], torch.full((4,), 0.25))

    t = torch.tensor([1, 40, 400, 900])
    noisy, v = scheduler.add_noise(images, noise, t), scheduler.get_velocity(images, noise, t)

    def bound(variance: float, error: float) -> float:
        told = torch.full_like(v, variance)
        return train_image.variance_bound(scheduler, images, noisy, v + error, told, t).item()

    assert abs(bound(-1.0, 0.0)) < 1e-5 < bound(0.0, 0.0) < bound(1.0, 0.0)
    assert bound(1.0, 5.0) < bound(-1.0, 5.0)  # where the mean is far off, a wider step is the likelier one


def test_training_lowers_the_error(tmp_path, tiny, scenes):
    joint = train_image.make_joint(tiny)
    session = Session(joint, tmp_path / "image.pt", minutes=60, peak_rate=4e-3, average=0.9)
    before = _error(tiny, scenes)
    for step in range(50):
        rng = np.random.default_rng(step)
        images, prompts = train_image.draw_batch(scenes, rng, 8)
        told = image_model.tokens(tiny.tokenizer, prompts)
        session.descend(train_image.denoising_loss(joint, tiny.scheduler, images, told, rng)[0])
    assert _error(tiny, scenes) < 0.9 * before


def test_training_resumes_where_it_stopped(tmp_path, tiny, scenes, monkeypatch):
    """Time is counted as one second a step: three steps with a preview after the second, then two more."""

    def tick(budget):
        budget.spent_s, budget.step = budget.spent_s + 1.0, budget.step + 1

    previews = []
    monkeypatch.setattr(Budget, "tick", tick)
    monkeypatch.setattr(train_image, "PREVIEW_EVERY_S", 2.0)
    monkeypatch.setattr(train_image, "contact_sheet", lambda pipeline, file, steps: previews.append(file.name))
    settings = {"batch": 2, "rate": 1e-3}
    train_image.train(tiny, scenes, tmp_path, minutes=0.05, resume=False, **settings)
    assert torch.load(tmp_path / "image.pt", weights_only=True)["step"] == 3
    assert len(previews) == 1
    train_image.train(tiny, scenes, tmp_path, minutes=0.08, resume=True, **settings)
    kept = torch.load(tmp_path / "image.pt", weights_only=True)
    assert kept["step"] == 5
    assert torch.equal(tiny.unet.conv_in.weight, kept["averaged"]["unet.conv_in.weight"])


def _error(pipeline, scenes) -> float:
    rng = np.random.default_rng(9)
    images, prompts = train_image.draw_batch(scenes, rng, 64)
    told = image_model.tokens(pipeline.tokenizer, prompts)
    with torch.no_grad():
        _, each = train_image.denoising_loss(train_image.make_joint(pipeline), pipeline.scheduler, images, told, rng)
    return each.mean().item()


def test_a_run_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "image.pt").write_bytes(b"")
    with pytest.raises(SystemExit) as stopped:
        train_image.main(["--out", str(tmp_path), "--scenes", "2"])
    assert "--resume" in str(stopped.value)
    with pytest.raises(SystemExit) as stopped:
        train_image.main(["--out", str(tmp_path / "new"), "--scenes", "0"])
    assert "scenes" in str(stopped.value)


def test_a_run_can_begin_with_the_weights_of_another(tmp_path, tiny, monkeypatch, capsys):
    with torch.no_grad():
        tiny.unet.conv_in.weight.fill_(0.25)
    image_model.export(tiny, tmp_path / "shipped")
    begun = []
    monkeypatch.setattr(train_image, "render", lambda *_, **__: None)
    monkeypatch.setattr(train_image, "contact_sheet", lambda *_, **__: None)
    monkeypatch.setattr(train_image, "held_out_error", lambda _: 0.0)
    monkeypatch.setattr(train_image, "train", lambda pipeline, *_, **__: begun.append(pipeline))
    train_image.main(["--out", str(tmp_path / "run"), "--scenes", "4", "--start", str(tmp_path / "shipped")])
    assert (begun[0].unet.conv_in.weight == 0.25).all()
    with pytest.raises(SystemExit, match=r"start: .*no model"):
        train_image.main(["--out", str(tmp_path / "other"), "--start", str(tmp_path)])
