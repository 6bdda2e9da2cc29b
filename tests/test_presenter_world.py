"""The procedural presenter: the same every time, true in three dimensions, with a body map that belongs to its skin."""

import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.jumpcut.keypoints import PARTS
from genkey_core.mini import presenter_mesh, presenter_world
from genkey_core.mini.presenter_identity import HAIR_STYLES
from genkey_core.mini.presenter_world import LANDMARKS, TRAIN_SEEDS, VALIDATION_SEEDS

STILL = {
    "pitch_deg": 0, "roll_deg": 0, "shift_x": 0, "shift_y": 0, "nearness": 1, "mouth": 0, "smile": 0, "blink": 0, "gaze_x": 0,
    "gaze_y": 0, "brow": 0, "left_hand": 0, "right_hand": 0, "wave": 0,
}  # fmt: skip
HEAD = (presenter_mesh.HEAD_RIGHT, presenter_mesh.HEAD_LEFT)
BALD = next(seed for seed in range(50) if presenter_world.identity(seed).hair_style == "bald")


def still(seed: int = BALD, size: int = 64, **pose):
    return presenter_world.clip(seed, 1, size, **{**STILL, "yaw_deg": 0, **pose})


def mark(clip, name: str) -> np.ndarray:
    return clip.landmarks[0, LANDMARKS.index(name)]


def test_the_same_seed_gives_the_same_clip_and_another_gives_another():
    first, again, other = (presenter_world.clip(seed, 2, 32, fps=1) for seed in (5, 5, 6))
    for name in ("frames", "iuv", "landmarks", "yaw_deg"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
    assert np.abs(first.frames.astype(int) - other.frames).mean() > 5


def test_identity_and_motion_come_apart():
    a, b = (presenter_world.clip(0, 2, 32, identity_seed=who, motion_seed=3) for who in (1, 2))
    assert np.array_equal(a.yaw_deg, b.yaw_deg)
    assert np.abs(a.frames.astype(int) - b.frames).mean() > 5


def test_shapes_and_ranges():
    clip = presenter_world.clip(1, 3, 48, fps=2)
    assert clip.frames.shape == (3, 48, 48, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.iuv.shape == (3, 48, 48, 3)
    assert set(np.unique(clip.iuv[..., 0])) <= {0, *PARTS}
    assert clip.iuv[..., 1:].min() >= 0
    assert clip.iuv[..., 1:].max() <= 1
    assert not clip.iuv[clip.iuv[..., 0] == 0].any()
    assert clip.landmarks.shape == (3, len(LANDMARKS), 3)
    assert clip.yaw_deg.shape == (3,)


@pytest.mark.parametrize("yaw", [-50, -20, 25, 55])
def test_a_point_of_the_skin_keeps_its_uv_when_the_head_turns(yaw):
    """Places of the map are taken back to the head's surface by their UV, turned, and must land where they are seen."""
    seed, size = BALD, 96
    who = presenter_world.identity(seed)
    clip = still(seed, size, yaw_deg=yaw)
    iuv = clip.iuv[0]
    # The chin's rim and the far side are seen at a grazing angle, where a pixel spans many cells of the mesh.
    rows, columns = np.nonzero(np.isin(iuv[..., 0], HEAD) & (iuv[..., 2] > 0.2) & (iuv[..., 2] < 0.75))
    part, u, v = iuv[rows, columns].T.astype(np.float64)
    lon = np.where(part == presenter_mesh.HEAD_LEFT, u, -u) * np.pi
    surface = presenter_mesh.head_surface(who, lon, v * np.pi)
    turn, offset = presenter_world._bones(who, {**STILL, "yaw_deg": yaw})["head"]
    angle = np.radians(yaw)
    assert np.allclose(turn @ [0, 0, 1], [np.sin(angle), 0, np.cos(angle)])
    place = (surface @ turn.T + offset)[:, :2] * who.framing[2] * size + np.array(who.framing[:2]) * size - 0.5
    error = np.hypot(place[:, 0] - columns, place[:, 1] - rows)
    assert len(rows) > 300
    assert np.median(error) < 0.25  # pixels
    assert np.mean(error < 1.0) > 0.95


def test_turning_is_three_dimensional():
    """The nose crosses the face faster than the ears' line, and its far side disappears."""
    left, ahead, right = (still(yaw_deg=yaw) for yaw in (-45, 0, 45))
    nose = [mark(clip, "nose-tip")[0] for clip in (left, ahead, right)]
    assert nose[0] < nose[1] - 4
    assert nose[2] > nose[1] + 4
    assert mark(ahead, "jaw-0")[2] + mark(ahead, "left-eye-left")[2] >= 1
    assert not mark(still(yaw_deg=70), "right-brow-outer")[2]
    share = [
        (clip.iuv[..., 0] == HEAD[0]).sum() / np.isin(clip.iuv[..., 0], HEAD).sum() for clip in (left, ahead, right)
    ]
    assert share[0] < 0.35 < share[1] < 0.65 < share[2]


def test_the_mouth_opens_with_teeth_and_the_landmarks_follow():
    shut, wide = (still(size=96, mouth=mouth) for mouth in (0, 1))

    def gap(clip):
        return mark(clip, "lower-lip-edge")[1] - mark(clip, "upper-lip-edge")[1]

    assert gap(wide) > gap(shut) + 3
    top, low = mark(wide, "upper-lip-edge")[1], mark(wide, "lower-lip-edge")[1]
    column = round(float(mark(wide, "upper-lip-edge")[0]))
    inside = wide.frames[0, int(top) : int(low) + 2, column].astype(int).sum(1)
    assert inside.max() > 2 * inside.min()  # teeth against the dark


def test_blinking_closes_the_eyes():
    awake, asleep = (still(size=96, blink=blink) for blink in (0, 1))
    lids = [mark(clip, "left-eye-lower")[1] - mark(clip, "left-eye-upper")[1] for clip in (awake, asleep)]
    assert lids[0] > lids[1] + 1.5
    x, y = mark(awake, "left-eye-lower")[0], mark(awake, "left-eye-lower")[1] - 2
    assert np.abs(awake.frames[0, int(y), int(x)].astype(int) - asleep.frames[0, int(y), int(x)]).sum() > 40


def test_the_backdrop_stands_still_and_nobody_moves_without_motion():
    clip = presenter_world.clip(4, 3, 48, fps=1)
    corner = clip.frames[:, :6, :6]
    assert np.array_equal(corner[0], corner[1])
    first, second = presenter_world.clip(4, 2, 32, **{**STILL, "yaw_deg": 10}).frames
    assert np.array_equal(first, second)


def test_a_thinner_sampling_is_the_same_motion():
    dense, thin = presenter_world.motion(3, 25, fps=25), presenter_world.motion(3, 5, fps=5)
    assert np.allclose(dense.yaw_deg[::5], thin.yaw_deg)
    assert np.allclose(dense.mouth[::5], thin.mouth)
    assert np.abs(presenter_world.motion(3, 500, fps=5).yaw_deg).max() > 60


def test_held_out_people_are_others():
    assert not set(TRAIN_SEEDS) & set(VALIDATION_SEEDS)
    assert presenter_world.identity(VALIDATION_SEEDS[0]) != presenter_world.identity(TRAIN_SEEDS[0])
    assert {presenter_world.identity(seed).hair_style for seed in range(80)} == set(HAIR_STYLES)


def test_the_mouth_follows_a_sound_track():
    talk = np.array([0.0, 1.0, 0.5])
    assert np.allclose(presenter_world.motion(0, 3, talk=talk).mouth, talk)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"n_frames": 0}, "n_frames"),
        ({"size": 4}, "size"),
        ({"fps": 0}, "fps"),
        ({"seed": -1}, "seed"),
        ({"talk": np.zeros(3)}, "talk"),
        ({"wink": 1.0}, "wink is nothing a presenter does"),
    ],
)
def test_mistakes_are_one_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        presenter_world.clip(**{"seed": 0, "n_frames": 2, "size": 32, **wrong})
