"""Rotated temporal attention against the two-UNet version with stored maps (thesis Fig. 5.2)."""

from fnmatch import fnmatch

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from tiny_svd import N_FRAMES, tiny_unet  # noqa: E402

from benchmarks.two_unet_reference import backward_unet, two_unet_step  # noqa: E402
from genkey_core import InputError, hub  # noqa: E402
from genkey_core.inbetween.attention import BackwardTraining, rotated_attention, training_attention  # noqa: E402
from genkey_core.inbetween.delta import (  # noqa: E402
    BackwardDelta,
    backward_weights,
    check_delta,
    extract_delta,
    is_backward_key,
    load_delta,
    published_delta,
    save_delta,
    temporal_attentions,
)

HALF = 2  # videos per direction: unconditional and conditional


def random_delta(unet, *, parts=("to_v.weight", "to_out.0.weight"), rotated=True, seed=3) -> BackwardDelta:
    generator = torch.Generator().manual_seed(seed)
    return BackwardDelta(
        {
            name: 0.2 * torch.randn(p.shape, generator=generator)
            for name, p in unet.named_parameters()
            if is_backward_key(name) and name.endswith(parts)
        },
        rotated=rotated,
    )


@pytest.fixture
def unet():
    return tiny_unet()


@pytest.fixture
def inputs():
    """Both directions' inputs, from a seed."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(shape, generator=generator)

    def condition():
        return {
            "image_latents": draw(HALF, N_FRAMES, 4, 6, 8),
            "encoder_hidden_states": draw(HALF, 1, 32),
            "added_time_ids": torch.tensor([[6.0, 127.0, 0.02]]).repeat(HALF, 1),
        }

    return draw(HALF, N_FRAMES, 4, 6, 8), torch.tensor(0.7), condition(), condition()


@torch.no_grad()
def one_batch(unet, latents, t, start, end):
    both = {name: torch.cat([start[name], end[name]]) for name in start}
    x = torch.cat([torch.cat([latents, latents.flip(1)]), both.pop("image_latents")], dim=2)
    return unet(x, t, **both, return_dict=False)[0].chunk(2)


def biggest_difference(pairs):
    return max(float((a - b).abs().max()) for a, b in pairs)


@pytest.mark.parametrize("slices", [1, 5])
def test_one_batch_equals_two_unets_with_stored_maps(unet, inputs, slices):
    delta = random_delta(unet)
    with rotated_attention(unet, delta, slices=slices):
        ours = one_batch(unet, *inputs)
    plain = one_batch(unet, *inputs)
    with torch.no_grad():
        theirs = two_unet_step(unet, backward_unet(unet, delta.tensors), *inputs)
    assert biggest_difference(zip(ours, theirs, strict=True)) < 1e-4
    assert biggest_difference([(ours[0], plain[0])]) < 1e-4  # the forward half is plain SVD
    assert biggest_difference([(ours[1], plain[1])]) > 1e-2  # the backward half is not


def test_rotation_in_the_up_blocks_only_without_backward_weights(unet, inputs):
    with rotated_attention(unet, blocks="up"):
        ours = one_batch(unet, *inputs)
    with torch.no_grad():
        theirs = two_unet_step(unet, backward_unet(unet, {}), *inputs, only="up_blocks.")
    assert biggest_difference(zip(ours, theirs, strict=True)) < 1e-4


def test_without_rotation_the_backward_half_is_the_tuned_unet(unet, inputs):
    delta = random_delta(unet, parts=("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight"), rotated=False)
    with rotated_attention(unet, delta, rotate=False):
        ours = one_batch(unet, *inputs)
    plain = one_batch(unet, *inputs)
    tuned = one_batch(backward_unet(unet, delta.tensors), *inputs)
    assert biggest_difference([(ours[0], plain[0]), (ours[1], tuned[1])]) < 1e-4


def test_rotating_twice_is_the_identity(unet):
    """With a zero difference and equal halves up to time reversal, the backward half undoes itself."""
    layer_name, layer = next(iter(temporal_attentions(unet).items()))
    x = torch.randn(6, N_FRAMES, layer.to_q.in_features, generator=torch.Generator().manual_seed(2))
    with rotated_attention(unet):
        once = layer(torch.cat([x, x.flip(1)]))[6:]  # rot(A) flip(v) = flip(A v)
    assert layer_name.startswith("down_blocks.0.")
    assert torch.allclose(once.flip(1), layer(x), atol=1e-5)
    maps = torch.softmax(torch.randn(3, 2, 5, 5), -1)
    assert torch.equal(maps.flip(-1, -2).flip(-1, -2), maps)


def test_training_passes_equal_the_sampling_batch(unet, inputs):
    latents, t, start, end = inputs
    delta = random_delta(unet)
    with rotated_attention(unet, delta):
        expected = one_batch(unet, *inputs)
    weights = {name: backward_weights(name, layer, delta) for name, layer in temporal_attentions(unet).items()}
    training = BackwardTraining(weights)
    with training_attention(unet, training):
        with training.forward_pass():
            first = unet(torch.cat([latents, start.pop("image_latents")], 2), t, **start).sample
        second = unet(torch.cat([latents.flip(1), end.pop("image_latents")], 2), t, **end).sample
    assert biggest_difference([(first, expected[0]), (second, expected[1])]) < 1e-4


def test_processors_come_back_also_after_an_exception(unet, inputs):
    before = unet.attn_processors
    patch = rotated_attention(unet, random_delta(unet))
    with pytest.raises(RuntimeError, match="but got 3 channels"), patch:
        unet(torch.zeros(2, N_FRAMES, 3, 6, 8), 0.0, torch.zeros(2, 1, 7), torch.zeros(2, 3))
    assert unet.attn_processors == before
    with patch:  # may be entered again
        assert unet.attn_processors != before
        one_batch(unet, *inputs)
        with pytest.raises(RuntimeError, match="already in place"):
            patch.__enter__()
    assert unet.attn_processors == before


def test_an_odd_batch_is_refused(unet):
    layer = next(iter(temporal_attentions(unet).values()))
    with rotated_attention(unet), pytest.raises(ValueError, match="backward half"):
        layer(torch.zeros(3, N_FRAMES, layer.to_q.in_features))


def test_difference_survives_the_file_and_gives_the_tuned_weights_back(unet, tmp_path):
    delta = random_delta(unet)
    tuned = backward_unet(unet, delta.tensors)
    extracted = extract_delta(tuned.state_dict(), unet.state_dict(), notes={"steps": 12})
    path = save_delta(extracted, tmp_path / "deep" / "backward.safetensors", dtype=torch.float32)
    loaded = load_delta(path)
    assert loaded.rotated
    assert loaded.notes == {"steps": "12"}
    assert loaded.tensors.keys() == delta.tensors.keys()
    assert biggest_difference((loaded.tensors[n], delta.tensors[n]) for n in delta.tensors) < 1e-6
    for name, layer in temporal_attentions(unet).items():
        weights = backward_weights(name, layer, loaded)
        assert biggest_difference([(weights["to_v.weight"], tuned.get_parameter(f"{name}.to_v.weight"))]) < 1e-6


def test_a_difference_from_the_14_frame_model_fits_the_25_frame_one():
    delta = random_delta(tiny_unet(num_frames=14))
    check_delta(delta, tiny_unet(seed=5, num_frames=25))


def test_differences_that_do_not_fit_are_refused_in_a_sentence(unet, tmp_path):
    other = random_delta(tiny_unet(widths=(64, 64)))
    with pytest.raises(InputError, match="made for another model"):
        rotated_attention(unet, other)
    few = BackwardDelta(dict(list(random_delta(unet).tensors.items())[:2]))
    with pytest.raises(InputError, match="incomplete"):
        rotated_attention(unet, few)
    nan = BackwardDelta({n: t * float("nan") for n, t in random_delta(unet).tensors.items()})
    with pytest.raises(InputError, match="not numbers"):
        rotated_attention(unet, nan)
    with pytest.raises(InputError, match="trained with rotated attention"):
        rotated_attention(unet, random_delta(unet), rotate=False)
    with pytest.raises(InputError, match="temporal self-attention layers"):
        rotated_attention(torch.nn.Linear(2, 2))


def test_the_published_weights_come_as_a_difference_to_the_14_frame_model(unet, monkeypatch):
    delta = random_delta(unet)
    files = {"svd": unet.state_dict(), "svd-backward": backward_unet(unet, delta.tensors).state_dict()}
    asked = []

    def fetch_tensors(name, file, names, *, progress=None):
        asked.append((name, file in hub.CHECKPOINTS[name].files))
        return {key: t for key, t in files[name].items() if any(fnmatch(key, pattern) for pattern in names)}

    monkeypatch.setattr(hub, "fetch_tensors", fetch_tensors)
    published = published_delta()
    assert asked == [("svd-backward", True), ("svd", True)]
    check_delta(published, unet)
    assert biggest_difference((published.tensors[n], delta.tensors[n]) for n in delta.tensors) < 1e-6


def test_the_patch_follows_the_model_to_another_precision(unet, inputs):
    patch = rotated_attention(unet, random_delta(unet))
    with patch:
        single = one_batch(unet, *inputs)
    unet.to(torch.bfloat16)
    latents, t, start, end = inputs
    half = [{name: value.bfloat16() for name, value in told.items()} for told in (start, end)]
    with patch:
        less = one_batch(unet, latents.bfloat16(), t, *half)
    assert less[1].dtype == torch.bfloat16
    assert biggest_difference([(single[1], less[1].float())]) < 0.2


def test_files_that_are_no_difference_are_refused_in_a_sentence(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(InputError, match="no file"):
        load_delta(tmp_path / "missing.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00 not json at all")
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_delta(broken)
    save_file({"some.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="does not hold differences"):
        load_delta(tmp_path / "other.safetensors")
