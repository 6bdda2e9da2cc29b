"""Keypoints: what a body map becomes, what comes back on a grid, and what lies between two frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkey_core.checks import InputError
from genkey_core.jumpcut import keypoints
from genkey_core.jumpcut.keypoints import PARTS, VISIBLE, common, extract, interpolate, masked, sequence, splat

N = 4


def body(rng, height=24, width=30) -> np.ndarray:
    iuv = np.zeros((height, width, 3), np.float32)
    iuv[4:20, 5:25, 0] = rng.choice([0, 2, 23, 24], (16, 20))
    iuv[..., 1:] = rng.random((height, width, 2)) * (iuv[..., :1] > 0)
    return iuv


def test_a_cell_is_the_mean_of_what_falls_into_it():
    iuv = np.zeros((8, 8, 3), np.float32)
    iuv[2, 3], iuv[2, 5] = (24, 0.30, 0.55), (24, 0.40, 0.65)  # one cell of the left head
    iuv[6, 1] = (2, 1.0, 1.0)  # the torso's last cell: 1 belongs to it
    points = extract(iuv, n=N)
    assert points.shape == (14 * N * N, 5)
    head = PARTS.index(24) * N * N + 2 * N + 1
    assert points[head] == pytest.approx([4, 2, 0.35, 0.60, 1])
    assert points[PARTS.index(2) * N * N + N * N - 1] == pytest.approx([1, 6, 1, 1, 1])
    assert points[:, VISIBLE].sum() == 2
    assert not points[points[:, VISIBLE] == 0].any()


def test_legs_and_feet_are_left_out(rng):
    iuv = body(rng)
    iuv[..., 0] = np.where(iuv[..., 0] > 0, 9, 0)
    assert not extract(iuv, n=N).any()


def test_every_pixel_of_the_body_is_counted_once(rng):
    iuv = body(rng)
    points = extract(iuv, n=1)
    for slot, part in enumerate(PARTS):
        rows, columns = np.nonzero(iuv[..., 0] == part)
        if len(rows):
            assert points[slot] == pytest.approx(
                [columns.mean(), rows.mean(), *iuv[rows, columns, 1:].mean(0), 1], abs=1e-4
            )
        else:
            assert not points[slot].any()


def test_a_splatted_keypoint_comes_back_from_its_grid(rng):
    """The grid of all keypoints, extracted again, is the same keypoints to the rounding of a pixel."""
    points = extract(body(rng), n=N)
    grid = splat(points, n=N, height=24, width=30)
    iuv = grid.copy()
    iuv[..., 0] = np.array([0, *PARTS])[grid[..., 0].astype(int)]
    again = extract(iuv, n=N)
    both = common(points, again)
    assert both.sum() >= 0.6 * points[:, VISIBLE].sum()  # some fall on the same pixel
    assert set(np.flatnonzero(again[:, VISIBLE])) <= set(np.flatnonzero(points[:, VISIBLE]))
    assert np.abs(again - points)[both, :2].max() <= 0.5 + 1e-5
    assert np.abs(again - points)[both, 2:4].max() < 1e-5


def test_landmarks_are_appended_and_lie_on_top():
    iuv = np.zeros((8, 8, 3), np.float32)
    iuv[3, 3] = (23, 0.5, 0.5)
    points = extract(iuv, n=N, landmarks=np.array([[3.2, 2.9, 1], [5, 5, 0], [np.nan, 1, 1], [7, 0, 1]]))
    assert len(points) == 14 * N * N + 4
    assert points[-4:, VISIBLE].tolist() == [1, 0, 0, 1]
    grid = splat(points, n=N, height=8, width=8)
    assert grid[3, 3] == pytest.approx([keypoints.LANDMARK_PART, 0.125, 0.5])
    assert grid[0, 7] == pytest.approx([keypoints.LANDMARK_PART, 0.875, 0.5])
    assert np.count_nonzero(grid[..., 0]) == 2


def test_what_lies_outside_the_grid_is_not_splatted():
    points = np.zeros((14, 5), np.float32)
    points[:4] = [(-0.6, 1, 0, 0, 1), (1, 7.6, 0, 0, 1), (7.4, 7.4, 0.5, 0.5, 1), (2, 2, 0.5, 0.5, 0)]
    grid = splat(points, n=1, height=8, width=8)
    assert np.count_nonzero(grid[..., 0]) == 1
    assert grid[7, 7, 0] == 3


def test_only_what_both_ends_show_is_interpolated(rng):
    start, end = (extract(body(rng), n=N) for _ in range(2))
    end[:5, VISIBLE] = 0
    middle = interpolate(start, end, 0.25)
    both = common(start, end)
    assert np.array_equal(middle[:, VISIBLE] > 0, both)
    assert np.allclose(middle[both], 0.75 * start[both] + 0.25 * end[both], atol=1e-5)
    assert not middle[~both].any()


@given(st.integers(1, 9))
def test_a_sequence_is_evenly_spaced_and_reversible(count):
    rng = np.random.default_rng(count)
    start, end = (extract(body(rng), n=2) for _ in range(2))
    there, back = sequence(start, end, count), sequence(end, start, count)
    assert there.shape == (count, len(start), 5)
    assert np.allclose(there, back[::-1], atol=1e-5)
    both = common(start, end)
    path = np.concatenate([masked(start, both)[None], there, masked(end, both)[None]])
    assert np.allclose(np.diff(path, axis=0), np.diff(path, axis=0)[0], atol=1e-5)


def test_scaling_keeps_the_edges_of_pixels():
    points = np.array([[0, 0, 0.5, 0.5, 1], [9, 4, 0.5, 0.5, 1], [3, 3, 0, 0, 0]], np.float32)
    assert keypoints.scaled(points, x=2, y=3)[:, :2].tolist() == [[0.5, 1], [18.5, 13], [0, 0]]


def test_maps_from_a_file(tmp_path, rng):
    iuv = np.stack([body(rng)] * 2)
    as_bytes = np.concatenate([iuv[..., :1], np.round(iuv[..., 1:] * 255)], -1).astype(np.uint8)
    np.savez(tmp_path / "maps.npz", iuv=as_bytes, landmarks=np.zeros((2, 5, 3)))
    read, landmarks = keypoints.load_maps(tmp_path / "maps.npz")
    assert np.abs(read - iuv).max() <= 0.5 / 255 + 1e-6
    assert landmarks.shape == (2, 5, 3)
    np.savez(tmp_path / "plain.npz", iuv=iuv)
    assert keypoints.load_maps(tmp_path / "plain.npz")[1] is None


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"uv": np.zeros((1, 4, 4, 3))}, "no array named iuv"),
        ({"iuv": np.zeros((4, 4, 3))}, r"shape \[T H W 3\]"),
        ({"iuv": np.zeros((1, 4, 4, 2))}, r"shape \[H W 3\]"),
        ({"iuv": np.full((1, 4, 4, 3), 99.0)}, "from 0 to 24"),
        ({"iuv": np.full((1, 4, 4, 3), 1.5)}, "whole part numbers"),
        ({"iuv": np.full((1, 4, 4, 3), np.nan)}, "finite"),
        ({"iuv": np.full((1, 4, 4, 3), 2.0)}, "U and V between 0 and 1"),
        ({"iuv": np.zeros((2, 4, 4, 3)), "landmarks": np.zeros((1, 5, 3))}, r"\[2 L 3\]"),
        ({"iuv": np.array([{}])}, "plain arrays"),
    ],
)
def test_files_that_hold_no_maps_are_refused_in_a_sentence(tmp_path, arrays, sentence):
    np.savez(tmp_path / "odd.npz", **arrays)
    with pytest.raises(InputError, match=sentence):
        keypoints.load_maps(tmp_path / "odd.npz")
    (tmp_path / "odd.npz").write_bytes(b"no zip")
    with pytest.raises(InputError, match="plain arrays"):
        keypoints.load_maps(tmp_path / "odd.npz")


# --- DensePose in TorchScript -------------------------------------------------------------------------------------


def _scripted(path, people):
    """A TorchScript file of the published signature that sees `people`: boxes whose left half is part 23, right 24."""
    import torch

    class FakeDensePose(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("boxes", torch.tensor(people, dtype=torch.float32).reshape(-1, 4))

        def forward(self, image: torch.Tensor):
            assert image.dim() == 3
            assert image.dtype == torch.uint8
            p = self.boxes.shape[0]
            coarse = torch.zeros(p, 2, 8, 8)
            coarse[:, 1, :, :] = 1.0
            coarse[:, 0, :2, :] = 5.0
            fine = torch.zeros(p, 25, 8, 8)
            fine[:, 23, :, :4] = 3.0
            fine[:, 24, :, 4:] = 3.0
            ramp = torch.linspace(0, 1, 8)
            u = ramp.view(1, 1, 1, 8).expand(p, 25, 8, 8)
            v = ramp.view(1, 1, 8, 1).expand(p, 25, 8, 8)
            return self.boxes, coarse, fine, u, v

    torch.jit.script(FakeDensePose()).save(str(path))


def test_densepose_in_torchscript_gives_the_largest_person(tmp_path):
    pytest.importorskip("torch")
    _scripted(tmp_path / "d.torchscript", [[0, 0, 4, 4], [10, 6, 26, 22]])
    model = keypoints.load_densepose(tmp_path / "d.torchscript")
    frames = np.zeros((2, 24, 30, 3), np.uint8)
    first, second = keypoints.detect(model, frames)
    assert np.array_equal(first, second)
    keypoints.body_map(first)
    rows, columns = np.nonzero(first[..., 0])
    assert (rows.min(), rows.max()) == (11, 21)  # the top quarter, enlarged, is no person
    assert (columns.min(), columns.max()) == (10, 25)
    assert set(first[12, 10:18, 0]) == {23}
    assert set(first[12, 18:26, 0]) == {24}
    assert (np.diff(first[15, 10:26, 1]) >= 0).all()
    assert first[21, 12, 2] > 0.95
    assert not first[:, :10].any()


def test_a_person_reaching_out_of_the_picture_and_nobody_at_all(tmp_path):
    pytest.importorskip("torch")
    frames = np.zeros((1, 24, 30, 3), np.uint8)
    _scripted(tmp_path / "out.torchscript", [[-8, -8, 40, 16]])
    (seen,) = keypoints.detect(keypoints.load_densepose(tmp_path / "out.torchscript"), frames)
    assert seen[:16].any()
    assert not seen[16:].any()
    _scripted(tmp_path / "none.torchscript", [])
    (empty,) = keypoints.detect(keypoints.load_densepose(tmp_path / "none.torchscript"), frames)
    assert not empty.any()


def test_a_file_that_is_no_torchscript_is_a_sentence(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "x.torchscript").write_bytes(b"not a model")
    with pytest.raises(InputError, match="no TorchScript file"):
        keypoints.load_densepose(tmp_path / "x.torchscript")
    with pytest.raises(InputError, match="there is no file"):
        keypoints.load_densepose(tmp_path / "y.torchscript")


def test_numbers_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="as many, got 14 and 56"):
        interpolate(np.zeros((14, 5)), np.zeros((56, 5)), 0.5)
    with pytest.raises(InputError, match="at least 56"):
        splat(np.zeros((14, 5)), n=2, height=4, width=4)
    with pytest.raises(InputError, match=r"shape \[L 3\]"):
        extract(np.zeros((4, 4, 3)), n=2, landmarks=np.zeros((3, 2)))
