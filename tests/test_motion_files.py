"""Motion from .npz and .pt files: every kind gives the same dancer; damage, pickles and bombs are a sentence."""

import zipfile

import numpy as np
import pytest
from test_motion import apart_deg

from genkey_core.checks import InputError
from genkey_core.dance.kinematics import axis_angle_of
from genkey_core.dance.motion import Motion, read_motion, upright
from genkey_core.mini.dance_steps import steps


@pytest.fixture(scope="module")
def dance() -> Motion:
    return steps()


def flat(motion: Motion) -> np.ndarray:
    return axis_angle_of(motion.rotations).reshape(len(motion.rotations), -1).astype(np.float32)


def archives(motion: Motion) -> dict[str, dict]:
    poses, way = flat(motion), motion.translation_m.astype(np.float32)
    wide = np.concatenate([poses, np.zeros((len(poses), 90), np.float32)], 1)  # hands and face of SMPL-X
    return {
        "AMASS": {"poses": wide, "trans": way, "mocap_framerate": 30.0, "gender": "neutral"},
        "AIST++": {"smpl_poses": poses, "smpl_trans": way * 90, "smpl_scaling": np.array([90.0]), "fps": 30},
        "SMPL-X": {"global_orient": poses[:, :3], "body_pose": poses[:, 3:], "transl": way},
        "SMPL-X, joints apart": {"global_orient": poses[:, None, :3], "body_pose": poses[:, 3:].reshape(-1, 21, 3)},
    }


@pytest.mark.parametrize("kind", ["AMASS", "AIST++", "SMPL-X", "SMPL-X, joints apart"])
def test_every_kind_of_npz_gives_the_same_dancer(kind, dance, tmp_path):
    np.savez(tmp_path / "dance.npz", **archives(dance)[kind])
    read = read_motion(tmp_path / "dance.npz")
    straight = Motion(*upright(dance.rotations, dance.translation_m), 30.0)
    assert read.fps == 30
    assert apart_deg(read, straight) < 0.1
    if "apart" not in kind:
        np.testing.assert_allclose(read.translation_m, straight.translation_m, atol=1e-5)


def hostile(motion: Motion) -> dict[str, dict]:
    poses, way = flat(motion), motion.translation_m
    gap = poses.copy()
    gap[3, 5] = np.nan
    return {
        "objects": {"poses": np.array([{"a": 1}] * 5, object), "trans": way},
        "not finite": {"poses": gap, "trans": way},
        "text": {"poses": np.array([["a", "b"]] * 5)},
        "complex numbers": {"poses": poses.astype(complex)},
        "too few joints": {"poses": poses[:, :60]},
        "another length": {"poses": poses, "trans": way[:-2]},
        "one frame": {"poses": poses[:1], "trans": way[:1]},
        "nothing": {"poses": poses[:0], "trans": way[:0]},
        "a scalar": {"poses": np.float32(3)},
        "other arrays": {"images": np.zeros((3, 3))},
        "a frame rate of zero": {"poses": poses, "mocap_framerate": 0.0},
        "a frame rate in words": {"poses": poses, "fps": "thirty"},
        "a frame rate that is not finite": {"poses": poses, "fps": np.nan},
        "a scaling in words": {"smpl_poses": poses, "smpl_scaling": np.array(["big"])},
        "an empty scaling": {"smpl_poses": poses, "smpl_scaling": np.zeros(0)},
        "a scaling of zero": {"smpl_poses": poses, "smpl_trans": way, "smpl_scaling": np.zeros(1)},
        "hours": {"poses": np.zeros((30 * 700, 66), np.float32)},
    }


@pytest.mark.parametrize("kind", sorted(hostile(Motion(np.tile(np.eye(3), (5, 22, 1, 1)), np.zeros((5, 3)), 30.0))))
def test_a_hostile_npz_is_a_sentence(kind, dance, tmp_path):
    np.savez(tmp_path / "dance.npz", **hostile(dance.between(0, 0.5))[kind])
    with pytest.raises(InputError) as caught:
        read_motion(tmp_path / "dance.npz")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".pth"])
def test_a_pickle_in_disguise_is_not_opened(suffix, tmp_path):
    trap = tmp_path / "sprung"
    script = f"cos\nsystem\n(S'touch {trap}'\ntR.".encode()
    (tmp_path / f"dance{suffix}").write_bytes(script)
    with pytest.raises(InputError):
        read_motion(tmp_path / f"dance{suffix}")
    with zipfile.ZipFile(tmp_path / f"zipped{suffix}", "w") as archive:
        archive.writestr("poses.npy", script)
        archive.writestr("archive/data.pkl", script)
    with pytest.raises(InputError):
        read_motion(tmp_path / f"zipped{suffix}")
    assert not trap.exists()


def test_pickles_and_other_files_are_refused_by_name(tmp_path):
    for name, word in (("dance.pkl", "pickle"), ("dance.fbx", ".bvh"), ("dance", ".bvh")):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(InputError, match=word):
            read_motion(tmp_path / name)
    with pytest.raises(InputError):
        read_motion(tmp_path / "missing.bvh")


def test_a_zip_bomb_is_refused(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "dance.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("poses.npy", "w") as file,
    ):
        for _ in range(600):
            file.write(bytes(2**20))
    with pytest.raises(InputError, match="too large"):
        read_motion(tmp_path / "dance.npz")


def test_gvhmr_results_are_read_as_the_camera_saw_them(dance, tmp_path):
    import torch

    to_camera = np.diag([1.0, -1.0, -1.0])
    seen = dance.rotations.copy()
    seen[:, 0] = to_camera @ seen[:, 0]
    poses = torch.from_numpy(flat(Motion(seen, dance.translation_m, 30.0)))
    params = {
        "global_orient": poses[:, :3],
        "body_pose": poses[:, 3:],
        "transl": torch.from_numpy(dance.translation_m @ to_camera),
    }
    torch.save({"smpl_params_incam": params}, tmp_path / "hmr4d_results.pt")
    read = read_motion(tmp_path / "hmr4d_results.pt")
    assert apart_deg(read, dance) < 0.1
    np.testing.assert_allclose(read.translation_m, dance.translation_m, atol=1e-6)
    for wrong in ({}, [1], {"smpl_params_incam": {"global_orient": poses[:, :3]}},
                  {"smpl_params_incam": params | {"transl": params["transl"][:5]}}):  # fmt: skip
        torch.save(wrong, tmp_path / "wrong.pt")
        with pytest.raises(InputError):
            read_motion(tmp_path / "wrong.pt")
