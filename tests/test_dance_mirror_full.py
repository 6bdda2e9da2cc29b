"""Mirrors by a model: edge maps with planted truths; adapters; fitting and painting on tiny models of the published classes."""

import cv2
import numpy as np
import pytest
import torch
from tiny_painters import save_flux, save_sdxl

from genkey_core.checks import InputError
from genkey_core.dance.mirror import flipped, mirror_sum
from genkey_core.dance.mirror_edges import augmented_edges, background_edges, canny, territory
from genkey_core.dance.mirror_full import RedrawOptions, fit, redraw
from genkey_core.dance.mirror_lora import Lora
from genkey_core.dance.mirror_models import control, read_painter
from genkey_core.dance.plates import Scene


def planted(size=(96, 64), k=3) -> Scene:
    """A disc with a spot to its right, at three places, before a tiled wall."""
    w, h = size
    plate = np.full((h, w, 3), 200, np.uint8)
    plate[:, ::24] = plate[::16] = 60
    images, masks = [], []
    for i in range(k):
        image, mask = plate.copy(), np.zeros((h, w), np.uint8)
        centre = (w // 4 + i * w // 4, h // 2)
        for picture, colour in ((image, (30, 80, 160)), (mask, 255)):
            cv2.circle(picture, centre, h // 6, colour, -1)
        cv2.circle(image, (centre[0] + h // 12, centre[1]), h // 20, (240, 240, 60), -1)
        images.append(image)
        masks.append(mask / np.float32(255))
    return Scene(np.stack(images), np.stack(masks), plate, np.ones((k, h, w), np.float32))


def test_the_background_edges_are_those_of_the_wall_alone():
    scene = planted((192, 128))
    edges = background_edges(scene.images, scene.masks, scene.plate)
    np.testing.assert_array_equal(edges, canny(scene.plate))


def test_what_one_keyframe_alone_has_is_no_background_edge():
    scene = planted((192, 128))
    images = scene.images.copy()
    images[0, 100:110, 150:160] = 0
    plate = scene.plate.copy()
    plate[100:110, 150:160] = 0  # even where the plate was misled by it
    edges = background_edges(images, scene.masks, plate)
    assert not edges[98:112, 148:162][canny(scene.plate)[98:112, 148:162] == 0].any()


def test_only_the_subjects_edges_are_turned():
    scene = planted((192, 128))
    maps = augmented_edges(scene)
    assert maps.shape == (6, 128, 192)
    assert set(np.unique(maps)) == {0, 255}
    background = canny(scene.plate)
    for k in range(3):
        twice, own = mirror_sum(scene.masks[k]), territory(scene.masks[k])
        turned = flipped(own, twice, outside=False)
        np.testing.assert_array_equal(maps[k][own], canny(scene.images[k])[own])
        np.testing.assert_array_equal(maps[k][~own], background[~own])
        np.testing.assert_array_equal(maps[k + 3][turned], flipped(canny(scene.images[k]), twice, outside=0)[turned])
        np.testing.assert_array_equal(maps[k + 3][~turned], background[~turned])
        assert (maps[k] != maps[k + 3]).any()  # the spot has changed sides


def test_edge_maps_become_three_channels():
    assert control(np.full((2, 4, 6), 255, np.uint8)).shape == (2, 3, 4, 6)
    assert control(np.full((4, 6), 255, np.uint8)).max() == 1.0


class TwoLayers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.to_q, self.other = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)

    def forward(self, x):
        return self.other(self.to_q(x))


def test_adapters_change_nothing_at_first_and_are_gone_afterwards(tmp_path):
    network, x = TwoLayers(), torch.ones(1, 4)
    plain = network(x)
    lora = Lora({"part": network}, rank=2, generator=torch.Generator().manual_seed(1))
    assert list(lora.tensors()) == ["part.to_q.lora_A.weight", "part.to_q.lora_B.weight"]
    with lora.applied():
        torch.testing.assert_close(network(x), plain)
    lora.up[0].data.fill_(0.5)
    with lora.applied():
        assert not torch.equal(network(x), plain)
    with pytest.raises(RuntimeError), lora.applied():
        network(torch.ones(1, 3))
    torch.testing.assert_close(network(x), plain)
    merged = TwoLayers()
    merged.load_state_dict(network.state_dict())
    merged.to_q.weight.data += lora.up[0] @ lora.down[0]
    again = Lora({"part": network}, rank=2, generator=torch.Generator().manual_seed(2))
    again.load(lora.save(tmp_path / "lora.safetensors"))
    with again.applied():
        torch.testing.assert_close(network(x), merged(x))


def test_adapters_of_another_model_are_refused(tmp_path):
    generator = torch.Generator().manual_seed(1)
    path = Lora({"a": TwoLayers()}, rank=2, generator=generator).save(tmp_path / "lora.safetensors")
    with pytest.raises(InputError, match="another rank than 3"):
        Lora({"a": TwoLayers()}, rank=3, generator=generator).load(path)
    path.write_bytes(b"{}")
    with pytest.raises(InputError, match="cannot be read"):
        Lora({"a": TwoLayers()}, rank=2, generator=generator).load(path)
    with pytest.raises(InputError, match="no"):
        Lora({"a": torch.nn.Conv2d(1, 1, 1)}, rank=2, generator=generator)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("painters")
    return {
        "flux": save_flux(folder),
        "flux through the autoencoder": save_flux(folder / "plain", hinted=False),
        "sdxl": save_sdxl(folder),
    }


def painter(folders, name):
    return read_painter(name.split()[0], *folders[name], dtype=torch.float32, device="cpu")


def options(**changes) -> RedrawOptions:
    known = {"subject": "dog", "background": "a wall", "epochs": 2, "rank": 2, "steps": 2, "size": (96, 64)}
    return RedrawOptions(**known | changes)


@pytest.mark.parametrize("name", ["flux", "flux through the autoencoder", "sdxl"])
def test_a_set_is_fitted_and_redrawn(folders, tmp_path, name):
    """Six steps of fitting, six pictures; the adapters count, and the same noise gives the same pictures."""
    model, scene = painter(folders, name), planted()
    steps = list(redraw(model, scene, options=options(learning_rate=0.05), folder=tmp_path))
    assert [s.stage for s in steps] == ["fit"] * 6 + ["paint"] * 6
    assert all(np.isfinite(s.loss) for s in steps[:6])
    last = steps[-1].scene
    assert last.images.shape == (6, 64, 96, 3)
    assert last.masks.shape == (6, 64, 96)
    np.testing.assert_array_equal(last.images[3], steps[9].picture)
    again = list(redraw(model, scene, options=options(learning_rate=0.05), folder=tmp_path))
    assert [s.stage for s in again] == ["paint"] * 6  # the fit is there
    np.testing.assert_array_equal(again[-1].scene.images, last.images)
    plain = list(redraw(model, scene, options=options(epochs=0), folder=tmp_path / "plain"))
    assert (plain[-1].scene.images != last.images).any()


@pytest.mark.parametrize("name", ["flux", "sdxl"])
def test_fitting_learns_the_set(folders, tmp_path, name):
    """The loss on the same keyframes, times and noise falls; the base model's weights do not move."""
    model, scene = painter(folders, name), planted()
    before = {n: p.clone() for n, p in model.networks["controlnet"].named_parameters()}
    prompt = model.read_prompt("a dog")
    latents, conditions = model.encode(scene.images).float(), control(np.stack([canny(i) for i in scene.images]))

    def loss() -> float:
        with torch.no_grad():
            losses = [model.loss(latents, conditions, prompt, torch.Generator().manual_seed(i)) for i in range(4)]
        return float(torch.stack(losses).mean())

    start = loss()
    fitting = fit(
        model, scene, prompt, options=options(epochs=12, batch=3, rank=8, learning_rate=0.02), folder=tmp_path
    )
    while True:
        try:
            next(fitting)
        except StopIteration as end:
            lora = end.value
            break
    with lora.applied():
        assert loss() < 0.97 * start
    assert loss() == pytest.approx(start)
    assert all(torch.equal(p, before[n]) for n, p in model.networks["controlnet"].named_parameters())


def test_an_interrupted_fit_goes_on_as_it_would_have(folders, tmp_path):
    scene = planted()
    losses = {}
    for name, stops in (("whole", [6]), ("broken", [2, 6])):
        losses[name] = []
        for stop in stops:
            model = painter(folders, "sdxl")
            wanted = options(epochs=2, save_every=1)
            for step in fit(model, scene, model.read_prompt("a dog"), options=wanted, folder=tmp_path / name):
                losses[name].append(step.loss)
                if step.index == stop:
                    break
    np.testing.assert_allclose(losses["broken"], losses["whole"], rtol=1e-5)
    model = painter(folders, "sdxl")
    with pytest.raises(InputError, match="other options"):
        next(fit(model, scene, model.read_prompt("a dog"), options=options(seed=3), folder=tmp_path / "whole"))


def test_the_prompt_is_that_of_the_thesis():
    wanted = RedrawOptions(subject="marmot", background="alpine landscape")
    assert wanted.prompt == "A photo of [V] marmot dancing with alpine landscape as background."
    assert (wanted.rank, wanted.epochs) == (16, 500)


def test_mistakes_are_said(folders, tmp_path):
    with pytest.raises(InputError, match="subject"):
        RedrawOptions(subject=" ")
    with pytest.raises(InputError, match="multiples of 16"):
        next(redraw(painter(folders, "flux"), planted(), options=options(size=(100, 64)), folder=tmp_path))
    with pytest.raises(InputError, match="no sdxl with a ControlNet"):
        read_painter("sdxl", tmp_path / "nothing", folders["sdxl"][1], dtype=torch.float32, device="cpu")
    with pytest.raises(InputError, match="no flux with a ControlNet"):
        read_painter("flux", *folders["sdxl"], dtype=torch.float32, device="cpu")
