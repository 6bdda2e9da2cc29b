"""The cut-hiding network: its attention is Eq. 4.1, it copies from sources, and its folder is read strictly."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tiny_jumpcut import TINY, clips  # noqa: E402

from genkey_core.checks import InputError  # noqa: E402
from genkey_core.jumpcut import keypoints, layers, networks  # noqa: E402
from genkey_core.jumpcut.networks import Config, Discriminator, Memory, attend, build, embed  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(5)


@pytest.fixture
def inputs(generator):
    images, points = clips(2, 3)
    grids = torch.as_tensor(
        [[keypoints.splat(p, n=TINY.cells, height=32, width=32).tolist() for p in clip] for clip in points]
    ).movedim(-1, -3)
    pictures = torch.as_tensor(images).movedim(-1, -3).float() / 127.5 - 1
    return pictures[:, :2], grids[:, :2], grids[:, 2], torch.randn(2, TINY.latent, generator=generator)


def test_attention_is_the_thesis_equation(generator):
    query = torch.randn(2, 3, 4, 5, generator=generator)
    memory = Memory(torch.randn(2, 6, 3, 4, 5, generator=generator), torch.randn(2, 6, 7, 4, 5, generator=generator))
    warped = attend(query, memory)
    q = query.flatten(2).transpose(1, 2)
    k = memory.keys.transpose(1, 2).flatten(2)
    v = memory.values.transpose(1, 2).flatten(2).transpose(1, 2)
    plain = torch.softmax(q @ k / 3**0.5, -1) @ v
    assert warped.shape == (2, 7, 4, 5)
    assert torch.allclose(warped.flatten(2).transpose(1, 2), plain, atol=1e-5)


def test_attention_picks_the_source_that_has_the_key(generator):
    """A query equal to one place's key, and far from all others, brings that place's value back."""
    keys = torch.eye(12).reshape(1, 2, 6, 12).transpose(2, 3).reshape(1, 2, 12, 2, 3) * 60
    values = torch.randn(1, 2, 12, 2, 3, generator=generator)
    query = keys[:, 1].flip(-1)
    assert torch.allclose(attend(query, Memory(keys, values)), values[:, 1].flip(-1), atol=1e-4)


def test_the_order_of_the_sources_does_not_matter_to_attention(generator):
    query = torch.randn(1, 4, 3, 3, generator=generator)
    keys, values = torch.randn(1, 5, 4, 3, 3, generator=generator), torch.randn(1, 5, 8, 3, 3, generator=generator)
    order = torch.tensor([3, 0, 4, 1, 2])
    assert torch.allclose(
        attend(query, Memory(keys, values)), attend(query, Memory(keys[:, order], values[:, order])), atol=1e-5
    )


def test_sources_remembered_one_at_a_time_are_the_same(inputs):
    images, grids, target, z = inputs
    network = build(TINY)
    with torch.no_grad():
        made = network(images, grids, target, z)
    assert made.shape == (2, 3, 32, 32)
    assert torch.allclose(made, network(images, grids, target, z), atol=1e-4)


def test_gradients_reach_every_weight(inputs):
    images, grids, target, z = inputs
    network, discriminator = build(TINY), Discriminator(TINY)
    layers.draw_weights(discriminator, torch.Generator().manual_seed(1))
    discriminator(network(images, grids, target, z)).sum().backward()
    for name, weight in [*network.named_parameters(), *discriminator.named_parameters()]:
        if name == "score.bias":
            continue
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_the_random_code_changes_the_picture_and_the_same_one_does_not(inputs, generator):
    images, grids, target, z = inputs
    network = build(TINY).eval()
    with torch.no_grad():
        first, again = network(images, grids, target, z), network(images, grids, target, z)
        other = network(images, grids, target, torch.randn(z.shape, generator=generator))
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 1e-3


def test_signals_keep_their_size_at_the_start(inputs):
    images, grids, target, z = inputs
    network = build(TINY)
    with torch.no_grad():
        memory = network.remember(images, grids)
        made = network(images, grids, target, z)
    for signal in (memory.keys, memory.values, made):
        assert 0.1 < signal.std() < 4


def test_modulation_equals_scaling_the_weights_of_every_sample(generator):
    layer = layers.ModulatedConv(5, 7, 3)
    layers.draw_weights(layer, generator)
    x, style = torch.randn(2, 5, 6, 6, generator=generator), torch.randn(2, 3, generator=generator)
    for sample in range(2):
        weight = layer.weight * 45**-0.5 * layer.affine(style)[sample].view(1, -1, 1, 1)
        weight = weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        plain = torch.nn.functional.conv2d(x[sample : sample + 1], weight, None, 1, 1) * 2**0.5
        assert torch.allclose(layer(x, style)[sample], plain[0], atol=1e-4)


def test_the_embedding_tells_parts_and_places_apart():
    grid = torch.zeros(1, 3, 2, 3)
    grid[0, :, 0, 0] = torch.tensor([1.0, 0.25, 0.5])
    grid[0, :, 0, 1] = torch.tensor([2.0, 0.25, 0.5])
    grid[0, :, 1, 2] = torch.tensor([1.0, 0.30, 0.5])
    seen = embed(grid)[0]
    assert seen.shape == (networks.EMBEDDED, 2, 3)
    assert not seen[:, 0, 2].any()
    assert seen[:15, 0, 0].argmax() == 0
    assert seen[:15, 0, 1].argmax() == 1
    assert torch.equal(seen[15:, 0, 0], seen[15:, 0, 1])
    assert (seen[:, 0, 0] - seen[:, 1, 2]).abs().max() > 0.1
    with_picture = embed(grid, torch.full((1, 3, 2, 3), 0.5))[0]
    assert torch.equal(with_picture[:-3], seen)
    assert (with_picture[-3:] == 0.5).all()


def test_a_folder_is_written_and_read_back(tmp_path, inputs):
    images, grids, target, z = inputs
    network = build(TINY, seed=3).eval()
    networks.save(network, tmp_path / "model", half=False)
    again = networks.load(tmp_path / "model")
    assert again.config == TINY
    with torch.no_grad():
        assert torch.equal(network(images, grids, target, z), again(images, grids, target, z))
    networks.save(network, tmp_path / "half")
    assert (tmp_path / "half" / "model.safetensors").stat().st_size < 0.6 * (
        tmp_path / "model" / "model.safetensors"
    ).stat().st_size
    assert networks.load(tmp_path / "half").query.stem.weight.dtype == torch.float32


def test_a_folder_that_does_not_fit_is_refused(tmp_path):
    folder = networks.save(build(TINY), tmp_path / "model")
    settings = json.loads((folder / "config.json").read_text())
    for change, sentence in (
        ({"d_key": 4}, "does not fit"),
        ({"size": 33}, "power of two"),
        ({"colour": 1}, "needs a config"),
    ):
        (folder / "config.json").write_text(json.dumps({**settings, **change}))
        with pytest.raises(InputError, match=sentence):
            networks.load(folder)
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(InputError, match=r"config\.json and a model\.safetensors"):
        networks.load(folder)
    with pytest.raises(InputError, match="config"):
        networks.load(tmp_path / "nowhere")


def test_the_mini_model_fits_its_budget_and_the_full_one_is_the_thesis_size():
    assert sum(p.numel() for p in build(networks.MINI).parameters()) * 2 < 15e6
    assert networks.MINI.size == 128
    with torch.device("meta"):
        full = networks.Synthesis(networks.FULL)
        image, grid = torch.zeros(1, 2, 3, 256, 256), torch.zeros(1, 2, 3, 256, 256)
        assert full.value(image[0]).shape == (2, 256, 64, 64)
    assert networks.FULL.size == grid.shape[-1]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"size": 100}, "power of two"),
        ({"encoder": (8, 8)}, "3 widths"),
        ({"stem": 3}, "1 or 2"),
        ({"d_key": 17}, "at most d_value"),
    ],
)
def test_sizes_that_do_not_fit_are_named(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(TINY, **wrong)
    assert isinstance(TINY, Config)


TWELVE_SOURCES = """
import torch
from genkey_core.jumpcut import networks
torch.set_num_threads(1)
mini = networks.MINI
config = networks.Config(**{**vars(mini), "size": 256, "down": (96, 128, 160, 160, 192), "up": (192, 160, 160, 128, 96, 64, 32),
                            "discriminator": (32, 48, 96, 128, 160, 160, 192)})
network = networks.build(config).eval()
def peak():  # of this program; what getrusage says began with that of the program that started it
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
before = peak()
generator = torch.Generator().manual_seed(0)
images, grids = torch.rand(1, 12, 3, 256, 256, generator=generator), torch.zeros(1, 12, 3, 256, 256)
with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
    made = network(images, grids, grids[:, 0], torch.randn(1, config.latent, generator=generator))
assert made.shape == (1, 3, 256, 256) and made.isfinite().all()
print(peak() - before, peak())
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak of memory is read as Linux tells it")
def test_twelve_sources_at_256_take_under_2_gb():
    """Stored as a matrix, the weights of 4096 queries over 12 x 4096 keys would take 0.8 GB, and as much for their softmax."""
    done = subprocess.run(
        [sys.executable, "-c", TWELVE_SOURCES], cwd=ROOT, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr
    added, whole = (int(kilobytes) * 1024 for kilobytes in done.stdout.split())
    assert 0 < added < 1e9
    assert whole < 2e9
