"""Keyframes in: one size, grids cut, distinct poses of a video, and what is wrong said in sentences."""

import cv2
import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.dance import keyframes
from genkey_core.media import Frame, load_image, read_frames


def scene(seed, *, pose=0.0, size=(160, 96), ground=None):
    """A smooth backdrop with a dark animal, whose place and arm follow `pose`."""
    w, h = size
    rng = np.random.default_rng(seed)
    backdrop = cv2.resize(rng.uniform(90, 220, (5, 8, 3)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    if ground is not None:
        backdrop = backdrop + ground
    image = np.clip(backdrop, 0, 255).astype(np.uint8)
    middle = (round(w * (0.5 + 0.15 * np.sin(pose))), round(h * 0.6))
    cv2.ellipse(image, middle, (w // 10, h // 4), 0, 0, 360, (70, 40, 20), -1)
    tip = (round(middle[0] + w * 0.2 * np.cos(pose)), round(middle[1] + h * 0.3 * np.sin(pose)))
    cv2.line(image, middle, tip, (30, 20, 60), max(2, w // 30))
    return image


def poses(n, **options):
    return [scene(1, pose=2 * np.pi * i / n, **options) for i in range(n)]


def test_pictures_of_different_sizes_come_to_the_most_common_one():
    images = [*poses(4), scene(1, pose=1.0, size=(320, 192)), scene(1, pose=4.0, size=(96, 160))]
    found = keyframes.gathered(images)
    assert found.images.shape == (6, 96, 160, 3)
    assert np.array_equal(found.images[0], images[0])
    assert any("Keyframe 6 had another shape" in note for note in found.notes)


def test_a_given_size_is_kept_and_a_large_one_is_made_smaller():
    assert keyframes.gathered(poses(3), size=(128, 64)).images.shape == (3, 64, 128, 3)
    large = keyframes.gathered(poses(3, size=(1921, 1080))).images
    assert large.shape[2] == 1280
    assert large.shape[1] % 2 == 0


@pytest.mark.parametrize("n", [2, 13])
def test_too_few_or_too_many_are_refused(n):
    with pytest.raises(InputError, match=f"3 to 12 pictures are needed, got {n}"):
        keyframes.gathered(poses(n))


def test_equal_pictures_are_refused_and_twins_named():
    with pytest.raises(InputError, match="all the same"):
        keyframes.gathered([scene(1)] * 3)
    found = keyframes.gathered([scene(1), scene(1, pose=2), scene(1)])
    assert any("1 and 3" in note for note in found.notes)


def test_other_backgrounds_are_measured():
    same = keyframes.gathered(poses(4))
    assert same.background_difference < 1
    assert same.notes == ()
    brighter = keyframes.gathered([*poses(3), scene(1, pose=4, ground=20)])
    assert brighter.background_difference == pytest.approx(20, abs=3)
    assert any("backgrounds differ by" in note for note in brighter.notes)
    masks = np.zeros((2, 96, 160), np.float32)
    masks[:, 10:, 40:] = 1
    pair = np.stack([scene(1), scene(1, pose=4, ground=20)])
    assert keyframes.background_difference(pair, masks) == pytest.approx(20, abs=3)


def test_a_keyframe_without_subject_is_named():
    masks = np.zeros((3, 20, 20), np.float32)
    masks[[0, 2], 5:15, 5:15] = 1
    with pytest.raises(InputError, match="no subject was found in keyframe 2"):
        keyframes.check_subjects(masks)
    masks[1, 5:8, 5:8] = 1
    assert "11.1 times as large in keyframe 1 as in keyframe 2" in keyframes.check_subjects(masks)[0]
    masks[1] = 1
    assert "Keyframe 2 is filled" in keyframes.check_subjects(masks)[0]


def grid(rows, columns, *, gutter, colour, frame=0, size=(160, 96)):
    w, h = size
    sheet = np.full(
        (rows * h + (rows - 1) * gutter + 2 * frame, columns * w + (columns - 1) * gutter + 2 * frame, 3), colour
    )
    sheet = sheet.astype(np.uint8)
    cells = poses(rows * columns, size=size)
    for i, cell in enumerate(cells):
        y, x = frame + (i // columns) * (h + gutter), frame + (i % columns) * (w + gutter)
        sheet[y : y + h, x : x + w] = cell
    return sheet, cells


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (3, 2), (3, 3), (2, 2), (1, 4), (3, 4), (4, 3), (2, 5)])
@pytest.mark.parametrize(("gutter", "colour", "frame"), [(0, 0, 0), (4, 255, 0), (3, 0, 3), (8, 240, 8)])
def test_grids_are_found_and_cut(rows, columns, gutter, colour, frame):
    sheet, cells = grid(rows, columns, gutter=gutter, colour=colour, frame=frame)
    assert keyframes.grid_layout(sheet) == (rows, columns)
    cut = keyframes.cut_grid(sheet)
    assert len(cut) == rows * columns
    for found, cell in zip(cut, cells, strict=True):
        assert np.array_equal(found, cell)


def test_a_grid_with_jpeg_noise_and_a_size_that_does_not_divide():
    sheet, cells = grid(2, 3, gutter=5, colour=255)
    sheet = cv2.resize(sheet, (1001, 403), interpolation=cv2.INTER_AREA)
    sheet = cv2.imdecode(cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], cv2.IMREAD_COLOR)
    cut = keyframes.cut_grid(sheet)
    assert len({c.shape for c in cut}) == 1
    for found, cell in zip(cut, cells, strict=True):
        again = cv2.resize(found, cell.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(again.astype(float) - cell).mean() < 6


def test_one_picture_is_no_grid_but_can_be_cut_when_told():
    with pytest.raises(InputError, match="no seams"):
        keyframes.cut_grid(scene(1, size=(480, 288)))
    assert [c.shape for c in keyframes.cut_grid(scene(1, size=(480, 288)), rows=2, columns=3)] == [(144, 160, 3)] * 6


@pytest.mark.parametrize(("options", "said"), [({"rows": 2}, "both rows"), ({"rows": 1, "columns": 2}, "3 to 12")])
def test_layouts_that_make_no_sense_are_sentences(options, said):
    with pytest.raises(InputError, match=said):
        keyframes.cut_grid(scene(1), **options)


def test_the_planted_poses_of_a_video_come_back():
    rng = np.random.default_rng(0)
    angles = [0.0, 1.2, 2.4, 3.6, 4.8]

    def frames():
        for i in range(300):  # long rests in five poses, quick and blurred ways between them
            pose, way = divmod(i, 60)
            angle = angles[pose] + 0.02 * np.sin(i)
            image = scene(1, pose=angle)
            if way < 6:
                image = cv2.blur(scene(1, pose=angle - 0.6), (9, 9))
            yield Frame(i / 30, np.clip(image + rng.normal(0, 1, image.shape), 0, 255).astype(np.uint8))

    found = keyframes.distinct_poses(frames(), 5)
    assert [int(frame.time_s * 30) // 60 for frame in found] == [0, 1, 2, 3, 4]
    assert all(int(frame.time_s * 30) % 60 >= 6 for frame in found)


def test_a_still_video_has_no_poses():
    with pytest.raises(InputError, match="different poses"):
        keyframes.distinct_poses((Frame(i / 5, scene(1)) for i in range(40)), 4)
    with pytest.raises(InputError, match="at least 4 different frames"):
        keyframes.distinct_poses([Frame(0, scene(1))], 4)


def test_memory_is_bounded_by_the_pool():
    alive = []

    class Counted(Frame):
        def __init__(self, i):
            super().__init__(i / 5, scene(1, pose=i * 0.37))
            alive.append(1)

        def __del__(self):
            alive.pop()

    most = 0

    def frames():
        nonlocal most
        for i in range(200):
            most = max(most, len(alive))
            yield Counted(i)

    keyframes.distinct_poses(frames(), 3)
    assert most <= 16 * 3 + 3


def test_the_real_dog_gives_six_poses_on_one_background(real_media):
    folder = real_media / "animals"
    images = [load_image(path) for path in sorted((folder / "dog_keyframes").glob("*.png"))]
    found = keyframes.gathered(images)
    assert len(found.images) == 6
    assert found.background_difference < 12
    chosen = keyframes.distinct_poses(read_frames(folder / "dog_static_camera.mp4"), 6)
    times = [frame.time_s for frame in chosen]
    assert times == sorted(times)
    assert keyframes.differences(np.stack([f.image for f in chosen]))[np.triu_indices(6, 1)].min() > 2
