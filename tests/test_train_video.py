"""The mini video model and its training, on tiny configurations of the same classes."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from tiny_mini import tiny_mini  # noqa: E402

from genkey_core import media  # noqa: E402
from genkey_core.mini import train_data, train_encoders, train_loop, train_video, video_model  # noqa: E402


@pytest.fixture
def tiny(monkeypatch):
    return tiny_mini(monkeypatch)


@pytest.fixture
def clips():
    return train_data.render(range(6), size=32, frames=4)


def test_shards_are_kept_and_read_back(tmp_path, clips):
    first = train_data.render(range(6), tmp_path, size=32, frames=4)
    again = train_data.render(range(6), tmp_path, size=32, frames=4)
    for name in ("images", "attributes", "motion_px"):
        assert np.array_equal(getattr(first, name), getattr(clips, name))
        assert np.array_equal(getattr(again, name), getattr(clips, name))
    assert [p.suffix for p in tmp_path.iterdir()] == [".npz"]


def test_export_is_a_folder_that_svd_loads_and_runs(tmp_path, tiny, clips):
    video_model.export(tiny, tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["_class_name"] == "StableVideoDiffusionPipeline"
    assert index["unet"] == ["diffusers", "UNetSpatioTemporalConditionModel"]
    assert index["vae"] == ["diffusers", "AutoencoderKLTemporalDecoder"]
    assert index["image_encoder"] == ["transformers", "CLIPVisionModelWithProjection"]
    assert index["feature_extractor"] == ["transformers", "CLIPImageProcessor"]
    assert index["scheduler"] == ["diffusers", "EulerDiscreteScheduler"]
    assert not [p for p in tmp_path.rglob("*") if p.suffix in (".bin", ".pt", ".pkl", ".ckpt")]
    weights = list(tmp_path.rglob("*.safetensors"))
    assert len(weights) == 3
    assert {file.stat().st_mode for file in weights} == {(tmp_path / "model_index.json").stat().st_mode}
    loaded = video_model.load(tmp_path)
    assert loaded.scheduler.config.prediction_type == "v_prediction"
    made = train_video.generate(loaded, clips.images[:2, 0], steps=2, num_frames=3)
    assert made.shape == (2, 3, 32, 32, 3)
    assert torch.allclose(loaded.unet.conv_in.weight, tiny.unet.conv_in.weight, atol=1e-3)


def test_the_shipped_configuration_fits_its_size_limit():
    pipeline = video_model.build()
    parts = (pipeline.vae, pipeline.unet, pipeline.image_encoder)
    assert 2 * sum(p.numel() for part in parts for p in part.parameters()) < 20e6


def test_clip_pixels_are_what_the_pipeline_shows_its_encoder(tiny, clips):
    from PIL import Image

    seen = tiny._encode_image(Image.fromarray(clips.images[0, 0]), "cpu", 1, False)[:, 0]
    with torch.no_grad():
        ours = tiny.image_encoder(video_model.clip_pixels(media.to_float(clips.images[:1, 0]))).image_embeds
    assert torch.allclose(seen, ours, atol=1e-4)


def test_fresh_weights_follow_the_seed_and_nothing_else(tiny):
    torch.rand(1)  # moves the global generator on
    again, other = video_model.build(), video_model.build(seed=1)
    for name in ("vae", "unet", "image_encoder"):
        first, second, third = (getattr(p, name).state_dict() for p in (tiny, again, other))
        assert all(torch.equal(value, second[key]) for key, value in first.items())
        moved = {key.rsplit(".", 1)[0] for key, value in first.items() if not torch.equal(value, third[key])}
        kept = {key.rsplit(".", 1)[0] for key in first} - moved
        assert all("norm" in key or "mixer" in key or key.endswith("embeddings") for key in kept), kept


def test_fast_training_changes_nothing_and_is_undone(tiny):
    x, token = torch.randn(2, 3, 8, 8, 8), torch.randn(2, 1, 64)

    def denoised():
        with torch.no_grad():
            return tiny.unet(x, torch.tensor([0.3, 0.5]), token, torch.ones(2, 3), return_dict=False)[0]

    plain, processors = denoised(), tiny.unet.attn_processors
    with video_model.fast_training(tiny.unet):
        assert torch.allclose(denoised(), plain, atol=1e-5)
    with pytest.raises(ZeroDivisionError), video_model.fast_training(tiny.unet):
        1 / 0  # noqa: B018
    assert tiny.unet.attn_processors == processors
    assert not [m for m in tiny.unet.modules() if "forward" in m.__dict__]


def test_skipping_the_lean_decoders_zero_residuals_is_exact(tiny):
    z = torch.randn(4, 4, 16, 16)
    with torch.no_grad(), train_encoders.lean(tiny.vae):
        alone = tiny.vae.decode(z, num_frames=1).sample
    with torch.no_grad():
        together = tiny.vae.decode(z, num_frames=4).sample
    assert torch.allclose(alone, together, atol=1e-5)


def test_standardised_latents_have_unit_variance_and_decode_alike(tiny, clips):
    frames = clips.images[:, 0]
    x = media.to_float(frames)
    with torch.no_grad():
        tiny.vae.quant_conv.bias[:4] += 3.0
        before = tiny.vae.encode(x).latent_dist
        decoded = tiny.vae.decoder.conv_in(before.mean)
        train_encoders.standardise(tiny.vae, frames)
        after = tiny.vae.encode(x).latent_dist
        again = tiny.vae.decoder.conv_in(after.mean)
    assert torch.allclose(after.mean.mean((0, 2, 3)), torch.zeros(4), atol=1e-3)
    assert torch.allclose(after.mean.std((0, 2, 3)), torch.ones(4), atol=1e-3)
    assert torch.allclose(after.std / before.std, 1 / before.mean.std((0, 2, 3)).view(1, 4, 1, 1), rtol=1e-2)
    inside = (..., slice(1, -1), slice(1, -1))
    assert torch.allclose(decoded[inside], again[inside], atol=1e-3)


def test_loss_target_is_what_the_scheduler_inverts(tiny, clips):
    """With the target for a prediction, SVD's own Euler step must find the clean latent; the loss must then be zero."""
    batch = {
        "latents": torch.randn(3, 2, 4, 8, 8),
        "picture": torch.randn(3, 4, 8, 8),
        "embedding": torch.randn(3, 1, 64),
        "added_time_ids": torch.ones(3, 3),
    }
    found = []

    def knows_the_answer(seen, timestep, embedding, ids, return_dict):
        sigma = (4 * timestep).exp().view(-1, 1, 1, 1, 1)
        x = seen[:, :, :4].float() * (sigma**2 + 1).sqrt()
        v = (x / (sigma**2 + 1) - batch["latents"]) * (sigma**2 + 1).sqrt() / sigma
        scheduler = tiny.scheduler
        for b in range(len(x)):
            scheduler.set_timesteps(sigmas=[sigma[b].item(), 0.01])
            scheduler.sigmas[0] = sigma[b].item()
            step = scheduler.step(v[b], scheduler.timesteps[0], x[b])
            found.append(step.pred_original_sample)
        return (v,)

    loss, each = train_video.denoising_loss(knows_the_answer, batch, np.random.default_rng(0))
    assert loss.item() < 1e-8
    assert each.shape == (3,)
    assert torch.allclose(torch.stack(found), batch["latents"], atol=2e-2, rtol=1e-2)


def test_batches_drop_conditioning_together_and_tell_speed_to_half(tiny, clips):
    encoded = train_video.encode_clips(tiny, clips)
    assert encoded.latents.shape == (6, 4, 4, 16, 16)
    drawn = train_video.draw_batch(encoded, np.random.default_rng(1), 400)
    dropped = (drawn["picture"] == 0).flatten(1).all(1)
    assert torch.equal(dropped, (drawn["embedding"] == 0).flatten(1).all(1))
    assert 0.04 < dropped.float().mean() < 0.18
    untold = drawn["added_time_ids"][:, 1] == video_model.MOTION_BUCKET
    assert 0.4 < untold.float().mean() < 0.8
    assert (drawn["added_time_ids"][:, 0] == video_model.FPS - 1).all()


@pytest.mark.parametrize("half", [False, True])
def test_steps_lower_the_error_in_either_precision(tmp_path, tiny, half):
    """Steps on one batch at one noise level must fit it better, and reach the kept float32 weights."""
    encoded = train_video.encode_clips(tiny, train_data.render(range(2), size=16, frames=2))
    batch = train_video.draw_batch(encoded, np.random.default_rng(0), 2)
    session = train_loop.Session(tiny.unet, tmp_path / "u.pt", minutes=60, peak_rate=3e-3, average=0.5, half=half)
    errors = []
    # oneDNN's bfloat16 gradient of a 3-D convolution is NaN on some processors without bfloat16 units.
    with torch.backends.mkldnn.flags(enabled=not half), video_model.fast_training(session.worker):
        for _ in range(12):
            loss, _ = train_video.denoising_loss(session.worker, batch, np.random.default_rng(1))
            errors.append(loss.item())
            session.descend(loss)
    assert np.mean(errors[-3:]) < 0.8 * errors[0]
    assert tiny.unet.dtype == torch.float32
    with torch.no_grad():
        kept = train_video.denoising_loss(tiny.unet, batch, np.random.default_rng(1))[0].item()
    assert kept < 0.8 * errors[0]


def test_backward_finetuning_reads_the_encoded_clips(tmp_path, tiny, clips):
    from genkey_core.inbetween.clips import LatentClips

    encoded = train_video.encode_clips(tiny, clips)
    train_video.write_backward_clips(encoded, tmp_path / "clips.safetensors")
    read = LatentClips.load(tmp_path / "clips.safetensors")
    assert read.latents.shape == (6, 4, 4, 16, 16)
    assert read.last_embedding.shape == (6, 1, 64)
    assert torch.equal(read.last_image, encoded.pictures[:, 1, 0].float())
    assert torch.equal(read.first_ids[:, 2], encoded.augment[:, 0, 0])


def test_learning_rate_warms_up_and_reaches_the_planned_end():
    budget = train_loop.Budget(minutes=10)
    rates = []
    for budget.step, budget.spent_s in ((0, 0.0), (100, 1.0), (200, 300.0), (300, 600.0), (400, 900.0)):
        rates.append(budget.rate(1.0))
    assert rates[0] < 0.05
    assert rates[1] == pytest.approx(1.0, abs=0.01)
    assert rates[2] == pytest.approx(0.51, abs=0.01)
    assert rates[3] == rates[4] == pytest.approx(0.02)
