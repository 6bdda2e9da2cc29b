"""The bundled cut-hiding network, read by the same code as a fitted one, on people that no training has seen."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from genkey_core.jumpcut import networks  # noqa: E402
from genkey_core.jumpcut.bodymap import Body  # noqa: E402
from genkey_core.jumpcut.engines import Around  # noqa: E402
from genkey_core.jumpcut.learned import MINI_FOLDER, mini  # noqa: E402
from genkey_core.jumpcut.warp import AttentionWarp  # noqa: E402
from genkey_core.mini import presenter_world  # noqa: E402
from genkey_core.mini.presenter_world import VALIDATION_SEEDS  # noqa: E402
from genkey_core.mini.train_presenter import psnr, render_clip, transfer  # noqa: E402


@pytest.fixture(scope="module")
def network():
    return networks.load(MINI_FOLDER)


def test_it_is_complete_small_and_of_the_published_settings(network):
    assert sorted(p.name for p in MINI_FOLDER.iterdir()) == ["config.json", "model.safetensors"]
    assert sum(p.stat().st_size for p in MINI_FOLDER.iterdir()) < 15_000_000
    assert network.config == networks.MINI
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_it_beats_a_cross_dissolve_on_held_out_people(network):
    """Triplets: two sources and a target, of whose keypoints only those that all three show are given."""
    seen = [
        render_clip(seed, frames=3, size=network.config.size, cells=network.config.cells)
        for seed in VALIDATION_SEEDS[40:52]
    ]
    images, points = (np.stack(column) for column in zip(*seen, strict=True))
    made = transfer(network, images, points)
    dissolved = images[:, :2].astype(float).mean(1).round().astype(np.uint8)
    assert psnr(made, images[:, 2]) > psnr(dissolved, images[:, 2]) + 1.0


class _Exact:
    """The exact body maps of a clip."""

    what, n_landmarks = "presenter", len(presenter_world.LANDMARKS)

    def __init__(self, clip):
        self.clip = clip

    def bodies(self, frames):
        for index, image in frames:
            iuv = self.clip.iuv[index].copy()
            iuv[..., 1:] *= 255
            marks = (self.clip.landmarks[index] + np.array((0.5, 0.5, 0))) / (*image.shape[1::-1], 1)
            yield Body(iuv.round().astype(np.uint8), marks)

    def seconds(self, n_frames):
        return 0.0


def test_the_engine_with_it_is_nearer_to_the_truth_than_the_draft_across_a_turn():
    """The middle of a head's turn of more than 25 degrees, at twice the network's size."""
    ours, drafts = [], []
    for seed in VALIDATION_SEEDS[20:60]:
        yaw = presenter_world.motion(seed, 13).yaw_deg
        if abs(yaw[12] - yaw[0]) < 25:
            continue
        clip = presenter_world.clip(seed, 13, 256)
        start, truth, end = clip.frames[[0, 6, 12]]
        draft = AttentionWarp().between
        around = Around(0, ((0, start), (12, end)), (), draft)
        made = [f for f in mini(_Exact(clip)).for_cut(around)(start, end, np.array([0.5])) if isinstance(f, np.ndarray)]
        ours.append(psnr(made[0][None], truth[None]))
        drafts.append(psnr(next(iter(draft(start, end, np.array([0.5]))))[None], truth[None]))
        if len(ours) == 4:
            break
    assert len(ours) == 4
    assert np.mean(ours) > np.mean(drafts)
