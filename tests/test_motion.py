"""Motion: kinematics, mirroring, BVH files of many programs upright and true in their angles, broken ones in a sentence."""

import re

import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.dance.bvh_fit import retargeted
from genkey_core.dance.bvh_names import joint_map
from genkey_core.dance.kinematics import (
    angles_between,
    at_times,
    axis_angle_of,
    global_rotations,
    joint_positions,
    local_rotations,
    matrices_of,
)
from genkey_core.dance.motion import Motion, read_motion, turned_to, upright
from genkey_core.dance.motion_bvh import _frames, _hierarchy, world_poses
from genkey_core.dance.motion_figure import figure_frames
from genkey_core.dance.skeleton import INDEX, JOINTS, MIRRORED, N_JOINTS, PARENTS, REST_M, read_body
from genkey_core.mini.dance_steps import bvh, steps

ELBOWS_AND_KNEES = [
    (f"{side}_{a}", f"{side}_{b}", f"{side}_{c}")
    for side in ("left", "right")
    for a, b, c in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
]


@pytest.fixture(scope="module")
def dance() -> Motion:
    return steps()


@pytest.fixture
def bvh_file(dance, tmp_path):
    path = tmp_path / "dancer.bvh"
    path.write_text(bvh(dance), encoding="ascii")
    return path


def apart_deg(a: Motion, b: Motion) -> float:
    """The largest angle between the joints of two motions, in degrees."""
    pairs = zip(a.rotations, b.rotations, strict=True)
    return float(np.rad2deg(max(angles_between(x[None], y[None]).max() for x, y in pairs)))


def inner_angles_deg(places: np.ndarray, joints: list[tuple[int, int, int]]) -> np.ndarray:
    """Angles [T N] at the middle one of three joints; places [T J 3]."""
    found = []
    for a, b, c in joints:
        u, v = places[:, a] - places[:, b], places[:, c] - places[:, b]
        cosine = (u * v).sum(1) / (np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1))
        found.append(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
    return np.stack(found, 1)


# --- kinematics ---------------------------------------------------------------------------------------------------


def test_rotations_and_their_vectors(rng):
    from scipy.spatial.transform import Rotation

    vectors = rng.normal(0, 1, (50, 3))
    vectors[0], vectors[1] = 0, [1e-9, 0, 0]
    np.testing.assert_allclose(matrices_of(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(matrices_of(axis_angle_of(matrices_of(vectors))), matrices_of(vectors), atol=1e-9)


def test_joint_names_and_positions_are_those_of_smplx(rng):
    from smplx.joint_names import JOINT_NAMES

    assert tuple(JOINT_NAMES[:N_JOINTS]) == JOINTS
    poses = matrices_of(rng.normal(0, 0.5, (3, N_JOINTS, 3)))
    shift = rng.normal(0, 1, (3, 3))
    found = joint_positions(poses, shift)
    world = global_rotations(poses)
    for joint in range(1, N_JOINTS):
        bone = REST_M[joint] - REST_M[PARENTS[joint]]
        np.testing.assert_allclose(
            found[:, joint] - found[:, PARENTS[joint]], world[:, PARENTS[joint]] @ bone, atol=1e-9
        )
    np.testing.assert_allclose(found[:, 0], REST_M[0] + shift)
    np.testing.assert_allclose(local_rotations(world), poses, atol=1e-12)


def test_in_between_poses_lie_on_the_shortest_arc():
    keys = matrices_of(np.array([[[0, 0, 0.2]] * N_JOINTS, [[0, 0, 1.0]] * N_JOINTS]))
    found = axis_angle_of(at_times(keys, np.array([-1.0, 0.0, 0.25, 1.0, 7.0])))
    np.testing.assert_allclose(found[:, 3, 2], [0.2, 0.2, 0.4, 1.0, 1.0], atol=1e-9)


def test_the_rest_pose_is_symmetric():
    np.testing.assert_allclose(REST_M[MIRRORED] * [-1, 1, 1], REST_M)


# --- what a motion is ---------------------------------------------------------------------------------------------


def test_mirrored_twice_is_the_dance_itself_and_mirroring_is_what_a_mirror_shows(dance):
    mirrored = dance.mirrored()
    assert apart_deg(mirrored.mirrored(), dance) < 1e-4
    shown = joint_positions(mirrored.rotations[::20], mirrored.translation_m[::20])
    wanted = joint_positions(dance.rotations[::20], dance.translation_m[::20])[:, MIRRORED] * [-1, 1, 1]
    np.testing.assert_allclose(shown, wanted, atol=1e-9)


def test_a_part_of_a_motion_keeps_its_clock(dance):
    part = dance.between(1.0, 2.0, fps=10)
    assert (len(part.rotations), part.fps, part.duration_s) == (11, 10, 1.0)
    np.testing.assert_allclose(part.rotations[5], dance.rotations[45], atol=1e-9)


@pytest.mark.parametrize(
    "change",
    [
        {"fps": 0.1}, {"fps": np.nan}, {"rotations": np.zeros((1, 22, 3, 3)), "translation_m": np.zeros((1, 3))},
        {"rotations": np.zeros((5, 21, 3, 3))}, {"rotations": np.full((5, 22, 3, 3), np.nan)},
        {"translation_m": np.zeros((4, 3))}, {"translation_m": np.full((5, 3), np.inf)},
    ],
)  # fmt: skip
def test_a_motion_that_cannot_be_is_a_sentence(change):
    whole = {"rotations": np.tile(np.eye(3), (5, 22, 1, 1)), "translation_m": np.zeros((5, 3)), "fps": 30.0}
    with pytest.raises(InputError):
        Motion(**(whole | change))


def test_any_up_axis_is_set_upright(dance):
    for turn in (
        matrices_of(np.array([np.pi / 2, 0, 0])),
        matrices_of(np.array([0, 0, -np.pi / 2])),
        np.diag([-1.0, -1, 1]),
    ):
        rotations = dance.rotations.copy()
        rotations[:, 0] = turn @ rotations[:, 0]
        back, way = upright(rotations, dance.translation_m @ turn.T)
        straight, wanted = upright(dance.rotations, dance.translation_m)
        np.testing.assert_allclose(back[:, 0], straight[:, 0], atol=1e-9)
        np.testing.assert_allclose(way, wanted, atol=1e-9)
        assert back[:, 0, 1, 1].mean() > 0.9


@pytest.mark.parametrize("target", [[0, 1, 0], [0, -1, 0], [1, 0, 0], [-1, 0, 0], [0, 0, -1], [1, 2, 3], [1, 1, 1e-10]])
def test_one_direction_is_turned_to_another(target):
    for source in ([0, 1, 0], [1, 0, 0], [-3, 0.1, 2]):
        turn = turned_to(np.array(source, float), np.array(target, float))
        np.testing.assert_allclose(turn @ source / np.linalg.norm(source), target / np.linalg.norm(target), atol=1e-8)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(turn) == pytest.approx(1)


# --- BVH ----------------------------------------------------------------------------------------------------------


def test_a_bvh_comes_back_as_it_was_written(dance, bvh_file):
    read = read_motion(bvh_file)
    straight = Motion(*upright(dance.rotations, dance.translation_m), dance.fps)
    assert read.fps == pytest.approx(30)
    assert apart_deg(read, straight) < 0.3  # written in tenths of a degree
    way = straight.translation_m - straight.translation_m[0]
    np.testing.assert_allclose(read.translation_m, way, atol=2e-4)


@pytest.mark.parametrize(
    "change",
    [
        lambda n: n.title().replace("_", ""),
        lambda n: "mixamorig:" + {"hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase", "shoulder": "Arm",
                                  "elbow": "ForeArm", "wrist": "Hand", "collar": "Shoulder"}.get(n.split("_")[-1], n)
        if "_" not in n else "mixamorig:" + n.split("_")[0].title() + {
            "hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase", "shoulder": "Arm", "elbow": "ForeArm",
            "wrist": "Hand", "collar": "Shoulder"}[n.split("_")[1]],
        lambda n: re.sub(r"^(left|right)_(.*)", lambda m: f"{m[1][0]}{m[2].title()}", n),
    ],
)  # fmt: skip
def test_joints_are_found_under_the_names_of_other_programs(change):
    names = [change(name) for name in JOINTS]
    assert joint_map(names, PARENTS.tolist(), "x") == {name: i for i, name in enumerate(JOINTS)}


def test_a_rest_pose_with_all_bones_along_x_is_retargeted(dance):
    """As some exporters write: every joint's own x axis runs along its bone, so the rest pose shows no body."""
    ends = {p: c for c, p in reversed(list(enumerate(PARENTS))) if p >= 0} | {INDEX["spine3"]: INDEX["neck"]}
    own = np.stack([turned_to(np.array([1.0, 0, 0]), REST_M[ends[j]] - REST_M[j]) if j in ends else np.eye(3)
                    for j in range(N_JOINTS)])  # fmt: skip
    own[0] = np.eye(3)
    world = global_rotations(dance.rotations[::7]) @ own
    rest = np.zeros((N_JOINTS, 3))
    for joint in range(1, N_JOINTS):
        rest[joint] = rest[PARENTS[joint]] + own[PARENTS[joint]].T @ (REST_M[joint] - REST_M[PARENTS[joint]])
    mapped = {name: i for i, name in enumerate(JOINTS)}
    found = joint_positions(retargeted(world, rest, mapped), np.zeros((len(world), 3)))
    wanted = joint_positions(dance.rotations[::7], np.zeros((len(world), 3)))
    limbs = [INDEX[f"{side}_{end}"] for side in ("left", "right") for end in ("knee", "ankle", "elbow", "wrist")]
    assert np.abs(found - wanted)[:, limbs].max() < 0.03


def test_every_captured_file_stands_upright_with_its_own_elbows_and_knees(real_media):
    paths = sorted((real_media / "motion").glob("*.bvh"))
    assert len(paths) >= 10
    for path in paths:
        motion = read_motion(path)
        step = max(len(motion.rotations) // 40, 1)
        places = joint_positions(motion.rotations[::step], motion.translation_m[::step])
        above = places[:, INDEX["head"], 1] - places[:, INDEX["pelvis"], 1]
        assert np.median(above) > 0.45, path.name  # of 0.6 when standing straight
        low = np.minimum(places[:, INDEX["left_foot"], 1], places[:, INDEX["right_foot"], 1])
        assert (low < places[:, INDEX["pelvis"], 1]).mean() > 0.9, path.name
        facing = motion.rotations[:, 0, :, 2].mean(axis=0)
        assert facing[2] > 0.2, path.name
        assert abs(facing[0]) < 0.05, path.name
        head, _, tail = path.read_text(errors="replace").partition("MOTION")
        hierarchy = _hierarchy(head, path.name)
        _, frames = _frames(tail, sum(map(len, hierarchy.channels)), path.name)
        mapped = joint_map(hierarchy.names, hierarchy.parents, path.name)
        theirs = inner_angles_deg(
            world_poses(hierarchy, frames[::step])[1], [tuple(mapped[n] for n in j) for j in ELBOWS_AND_KNEES]
        )
        ours = inner_angles_deg(places, [tuple(INDEX[n] for n in j) for j in ELBOWS_AND_KNEES])
        assert np.abs(ours - theirs).max() < 1.0, path.name


def broken(text: str) -> dict[str, str]:
    head, tail = text.split("MOTION")
    lines = tail.strip().splitlines()
    short = "\n".join([*lines[:4], ""])
    return {
        "no motion": head,
        "prose": "Once upon a time MOTION was HIERARCHY",
        "a bracket missing": head.rstrip()[:-1] + "MOTION" + tail,
        "a bracket too many": head + "}\nMOTION" + tail,
        "a strange line": head.replace("JOINT left_hip", "JOIN left_hip") + "MOTION" + tail,
        "a channel that is none": text.replace("Zrotation Xrotation", "Wrotation Xrotation", 1),
        "a channel count that is wrong": text.replace("CHANNELS 3", "CHANNELS 4", 1),
        "an offset of two": re.sub(r"(OFFSET \S+ \S+) \S+", r"\1", text, count=1),
        "an offset that is not finite": re.sub(r"OFFSET \S+", "OFFSET nan", text, count=1),
        "two roots": text.replace("JOINT left_hip", "ROOT left_hip"),
        "frames missing": head + "MOTION\n" + short,
        "no frame count": head + "MOTION\nFrame Time: 0.033\n0 0 0\n",
        "a frame time of zero": re.sub(r"Frame Time: \S+", "Frame Time: 0", text),
        "a frame time that is not finite": re.sub(r"Frame Time: \S+", "Frame Time: nan", text),
        "a number that is none": head + "MOTION\n" + "\n".join([*lines[:-1], lines[-1].replace(" ", " x", 1)]),
        "a number that is not finite": head
        + "MOTION\n"
        + "\n".join([*lines[:-1], "nan " + lines[-1].split(" ", 1)[1]]),
        "millions of frames": re.sub(r"Frames: \d+", "Frames: 99999999999", text),
        "no legs": text.replace("_hip", "_wing").replace("_knee", "_feather"),
        "a thousand joints": "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\n"
        + "JOINT a\n{\nOFFSET 0 0 0\n" * 1000
        + "MOTION\n",
    }


BROKEN = sorted(broken("HIERARCHY\nROOT a\n{\n}\nMOTION\nFrames: 1\nFrame Time: 1\n0 0 0\n"))


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_bvh_is_a_sentence_that_names_the_file(kind, dance, tmp_path):
    path = tmp_path / "broken dance.bvh"
    path.write_text(broken(bvh(dance.between(0, 0.3)))[kind], encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_motion(path)
    message = str(caught.value)
    assert "broken dance" in message or "motion" in message
    assert len(message) < 300
    assert str(tmp_path) not in message


def test_a_bvh_without_some_joints_keeps_the_rest(dance, tmp_path):
    text = bvh(dance.between(0, 0.5)).replace("JOINT head", "JOINT antenna").replace("JOINT left_foot", "JOINT claw")
    path = tmp_path / "plain.bvh"
    path.write_text(text, encoding="ascii")
    assert np.isfinite(read_motion(path).rotations).all()


# --- figures ------------------------------------------------------------------------------------------------------


def test_figures_show_the_dancer_whole_and_differ_from_their_mirrors(dance):
    part = dance.between(0.25, 0.77)
    frames, mirrored = figure_frames(part, height=96), figure_frames(part.mirrored(), height=96)
    assert frames.dtype == np.uint8
    assert frames.shape[1:] == (96, 72, 3)
    drawn = np.abs(frames.astype(int) - frames[0, 0, 0]).max(axis=-1) > 30
    assert (drawn.mean(axis=(1, 2)) > 0.03).all()
    assert not drawn[:, [0, -1]].any()
    assert np.abs(frames.astype(int) - mirrored).mean() > 1
    np.testing.assert_array_equal(frames, figure_frames(part, height=96))


def test_a_body_model_gives_its_own_joints(tmp_path):
    regressor = np.eye(24)[:, :24]
    vertices = np.concatenate([REST_M, np.zeros((2, 3))]) * 1.1
    shapes = np.zeros((24, 3, 10))
    shapes[:, 1, 0] = 0.1
    np.savez(tmp_path / "body.npz", v_template=vertices, J_regressor=regressor, shapedirs=shapes)
    np.testing.assert_allclose(read_body(tmp_path / "body.npz").rest_m, REST_M * 1.1)
    taller = read_body(tmp_path / "body.npz", betas=np.array([2.0])).rest_m
    np.testing.assert_allclose(taller, REST_M * 1.1 + [0, 0.2, 0])
    (tmp_path / "wrong.npz").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError):
        read_body(tmp_path / "wrong.npz")
