"""Motion seen in videos: drawn dancers with known patterns, by silhouettes and by joints; ViTPose's wiring; odd videos."""

import cv2
import numpy as np
import pytest
from media_samples import plain, write_video
from sklearn.metrics import adjusted_rand_score

from benchmarks.dance_moves import Planted, drawn_library, planted_dance
from genkey_core import InputError
from genkey_core.dance.choreography import read_choreography
from genkey_core.dance.kinematics import joint_positions
from genkey_core.dance.motion_figure import figure_frames
from genkey_core.dance.motion_pose import JOINTS, MIRRORED, PictureMotion, load_vitpose, next_box, watch_pose
from genkey_core.dance.motion_video import FPS, FilmedMotion, watch
from genkey_core.dance.skeleton import INDEX
from genkey_core.hub import CHECKPOINTS


def labels(pattern) -> list[str]:
    return [str(label) for label in pattern.labels]


def planted(seed: int, n_segments: int, noise_deg: float = 2.0) -> Planted:
    rng = np.random.default_rng(seed)
    return planted_dance(rng, drawn_library(rng, 5), noise_deg=noise_deg, n_segments=n_segments)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> tuple[Planted, FilmedMotion]:
    """A drawn dance, written as a video and watched."""
    dance = planted(21, 10)
    path = tmp_path_factory.mktemp("film") / "dance.mp4"
    write_video(path, list(figure_frames(dance.motion, height=160, fps=FPS, loop=False)), fps=FPS)
    return dance, watch(path)


def test_a_drawn_dance_is_read_from_its_video(filmed):
    dance, motion = filmed
    assert motion.duration_s == pytest.approx(dance.motion.duration_s, abs=0.1)
    found = read_choreography(motion, dance.segments_s)
    assert adjusted_rand_score(labels(dance.pattern), labels(found.pattern)) > 0.5


def test_equal_moves_look_nearer_than_others(filmed):
    dance, motion = filmed
    found = read_choreography(motion, dance.segments_s)
    true = labels(dance.pattern)
    pairs = [(i, j) for i in range(len(true)) for j in range(i)]
    equal = [found.distances[p] for p in pairs if true[p[0]] == true[p[1]]]
    other = [found.distances[p] for p in pairs if true[p[0]] != true[p[1]]]
    assert np.median(equal) < 0.75 * np.median(other)


def test_mirroring_is_flipping_and_twice_is_nothing(filmed):
    motion = filmed[1]
    twice = motion.mirrored().mirrored()
    np.testing.assert_array_equal(twice.silhouettes, motion.silhouettes)
    np.testing.assert_allclose(twice.flows, motion.flows)
    np.testing.assert_allclose(twice.translation_m, motion.translation_m)
    np.testing.assert_allclose(
        motion.mirrored().distances(motion.mirrored()), motion.distances(motion), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(np.diag(motion.distances(motion)), 0, atol=1e-9)


def test_a_step_across_is_seen_in_metres(tmp_path):
    frames = []
    for i in range(30):
        picture = np.full((160, 240, 3), 200, np.uint8)
        cv2.rectangle(picture, (40 + 4 * i, 40), (60 + 4 * i, 140), (30, 60, 120), -1)
        frames.append(picture)
    path = tmp_path / "walk.mp4"
    write_video(path, frames, fps=FPS)
    motion = watch(path)
    assert motion.translation_m[-1, 0] == pytest.approx(116 / 100 * 1.7, rel=0.1)
    assert abs(motion.translation_m[:, 1]).max() < 0.1
    assert np.median(motion.flows[5:-5].reshape(20, -1, 2).max(axis=1)[:, 0]) > 0.2  # to the viewer's right


def test_videos_without_a_dancer_are_refused_in_words(tmp_path):
    still = tmp_path / "still.mp4"
    write_video(still, [plain(96, 64, (90, 120, 90))] * 20, fps=10)
    with pytest.raises(InputError, match="nothing moves"):
        watch(still)
    rng = np.random.default_rng(1)
    noise = tmp_path / "noise.mp4"
    write_video(noise, [rng.integers(0, 255, (64, 96, 3)).astype(np.uint8) for _ in range(20)], fps=10)
    with pytest.raises(InputError, match="moving camera"):
        watch(noise)
    with pytest.raises(InputError):
        watch(tmp_path / "none.mp4")


# --- joints


def in_picture(motion) -> PictureMotion:
    """A motion's joints as a camera before the dancer would see them, in COCO's order."""
    seen = joint_positions(motion.rotations, motion.translation_m)
    names = [name if name in INDEX else "head" for name in JOINTS]
    joints = seen[:, [INDEX[name] for name in names], :2] * [100.0, -100.0] + [200.0, 300.0]
    return PictureMotion(joints, np.ones(joints.shape[:2]), motion.fps)


@pytest.mark.parametrize("seed", [31, 32])
def test_a_dance_is_read_from_joints_in_the_picture(seed):
    dance = planted(seed, 16)
    found = read_choreography(in_picture(dance.motion), dance.segments_s)
    assert adjusted_rand_score(labels(dance.pattern), labels(found.pattern)) > 0.6


def test_joints_mirror_as_the_dancer_does():
    motion = planted(33, 8).motion
    ours, theirs = in_picture(motion).mirrored(), in_picture(motion.mirrored())
    assert np.diag(ours.distances(theirs)).max() < 1e-4
    np.testing.assert_allclose(ours.translation_m[:, 0], theirs.translation_m[:, 0], atol=1e-6)
    assert (MIRRORED[MIRRORED] == np.arange(len(JOINTS))).all()
    bigger = PictureMotion(3 * in_picture(motion).joints + 50, in_picture(motion).scores, motion.fps)
    assert np.diag(bigger.distances(in_picture(motion))).max() < 1e-4
    np.testing.assert_allclose(bigger.translation_m, in_picture(motion).translation_m, atol=1e-6)


def save_tiny_vitpose(folder, n_joints: int = 17):
    """ViTPose of the published class with tiny random weights, in the Hub's layout."""
    import torch
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation, VitPoseImageProcessor

    backbone = VitPoseBackboneConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=[64, 48], out_indices=[2]
    )
    model = VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=n_joints))
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.05, generator=noise)
    model.save_pretrained(folder)
    VitPoseImageProcessor(size={"height": 64, "width": 48}).save_pretrained(folder)
    return folder


def test_vitpose_from_a_folder_gives_joints_of_every_frame(tmp_path, monkeypatch):
    vitpose = load_vitpose(save_tiny_vitpose(tmp_path / "pose"))
    path = tmp_path / "dance.mp4"
    write_video(path, [np.roll(plain(96, 128, (90, 60, 30)), i, axis=1) for i in range(8)], fps=FPS)
    with pytest.raises(InputError, match="no person"):  # random weights are sure of nothing
        watch_pose(path, vitpose)
    monkeypatch.setattr("genkey_core.dance.motion_pose._SURE", -1.0)
    motion = watch_pose(path, vitpose)
    assert motion.joints.shape == (8, 17, 2)
    assert np.isfinite(motion.joints).all()
    assert motion.mirrored().distances(motion).shape == (8, 8)
    assert CHECKPOINTS["vitpose"].files == ("config.json", "preprocessor_config.json", "model.safetensors")


def test_what_is_no_vitpose_is_refused(tmp_path):
    with pytest.raises(InputError, match="lacks"):
        load_vitpose(tmp_path)
    folder = save_tiny_vitpose(tmp_path / "other", n_joints=4)
    with pytest.raises(InputError, match="17 joints"):
        load_vitpose(folder)
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        load_vitpose(folder)


def test_the_next_box_is_about_the_sure_joints():
    rng = np.random.default_rng(2)
    joints = rng.uniform([100, 50], [200, 250], (17, 2))
    x, y, w, h = next_box(joints, np.ones(17), 400, 300)
    assert x <= joints[:, 0].min()
    assert x + w >= joints[:, 0].max()
    assert y >= 0
    assert y + h <= 300
    assert next_box(joints, np.zeros(17), 400, 300) is None
