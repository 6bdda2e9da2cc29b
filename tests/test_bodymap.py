"""Body maps for the learned engine: the file format, what is refused in it, and DensePose as a source."""

import numpy as np
import pytest

pytest.importorskip("torch")

from test_keypoints import _scripted
from tiny_jumpcut import FPS, N_FRAMES, SIZE, body_arrays, presenter, presenter_files

from genkey_core import InputError, hub
from genkey_core.jumpcut import bodymap, keypoints
from genkey_core.jumpcut.bodymap import Body, BodyFile, DensePose


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return presenter_files(tmp_path_factory.mktemp("maps"))[1]


def numbered(*numbers):
    return [(i, presenter().frames[i]) for i in numbers]


def test_keypoints_of_the_file_are_those_of_the_exact_map(file):
    source = BodyFile(file, n_frames=N_FRAMES, fps=FPS)
    (body,) = source.bodies(numbered(7))
    exact = keypoints.extract(presenter().iuv[7], n=4, landmarks=presenter().landmarks[7])
    read = body.points(n=4, width=SIZE, height=SIZE)
    both = keypoints.common(exact, read)
    assert both.sum() > 0.9 * exact[:, keypoints.VISIBLE].sum() > 30  # UV in 255 steps: few points change their cell
    apart = np.abs(exact - read)[both]
    assert np.quantile(apart[:, :2], 0.95) < 1.5
    assert apart[:, 2:4].max() < 0.15
    big = body.points(n=4, width=4 * SIZE, height=4 * SIZE)
    seen = big[:, keypoints.VISIBLE] > 0.5
    np.testing.assert_allclose((big[seen, :2] + 0.5) / 4 - 0.5, read[seen, :2], atol=1e-3)


def test_maps_of_another_rate_are_taken_by_their_time(tmp_path):
    arrays = body_arrays()
    np.savez(tmp_path / "half.npz", iuv=arrays["iuv"][::2], fps=FPS / 2)
    source = BodyFile(tmp_path / "half.npz", n_frames=N_FRAMES, fps=FPS)
    first, second = source.bodies(numbered(8, 20))
    np.testing.assert_array_equal(first.iuv, arrays["iuv"][8])
    np.testing.assert_array_equal(second.iuv, arrays["iuv"][20])
    assert source.n_landmarks == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"iuv": None}, "holds no array named iuv"),
        ({"iuv": np.zeros((30, 8, 8, 3), np.float32)}, "uint8"),
        ({"iuv": np.full((30, 8, 8, 3), 99, np.uint8)}, "from 0 to 24"),
        ({"iuv": np.zeros((12, 8, 8, 3), np.uint8), "landmarks": None}, "12 maps at 10 a second are too few"),
        ({"landmarks": np.ones((30, 4, 2))}, r"\[30 L 3\]"),
        ({"landmarks": np.full((30, 4, 3), 40.0)}, "look like pixels"),
        ({"landmarks": np.full((30, 4, 3), np.inf)}, "look like pixels"),
        ({"fps": np.ones(3)}, "fps must be one number"),
        ({"fps": np.float32(np.nan)}, "body map, fps"),
        ({"iuv": np.array([{}])}, "plain arrays"),
    ],
)
def test_what_breaks_the_format_is_a_sentence(tmp_path, change, says):
    arrays = {name: value for name, value in {**body_arrays(), **change}.items() if value is not None}
    np.savez(tmp_path / "odd.npz", **arrays)
    with pytest.raises(InputError, match=says):
        BodyFile(tmp_path / "odd.npz", n_frames=N_FRAMES, fps=FPS)


def test_a_small_file_that_unpacks_to_a_huge_one_and_no_file_at_all(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "bomb.npz", iuv=np.zeros((400, 64, 64, 3), np.uint8))
    monkeypatch.setattr(bodymap, "MAX_BYTES", 1_000_000)
    with pytest.raises(InputError, match=r"unpacks to 4\.9 MB"):
        BodyFile(tmp_path / "bomb.npz", n_frames=N_FRAMES, fps=FPS)
    (tmp_path / "words.npz").write_text("only words")
    with pytest.raises(InputError, match=r"not an \.npz file of plain arrays"):
        BodyFile(tmp_path / "words.npz", n_frames=N_FRAMES, fps=FPS)


def test_densepose_is_a_source_of_maps_at_any_size(tmp_path):
    _scripted(tmp_path / "d.torchscript", [[100, 60, 400, 360]])
    source = DensePose(tmp_path / "d.torchscript")
    big = np.zeros((1440, 720, 3), np.uint8)  # shown to it at half the size
    one, two = source.bodies([(0, big), (5, big)])
    assert one.iuv.shape == (720, 360, 3)
    np.testing.assert_array_equal(one.iuv, two.iuv)
    points = one.points(n=2, width=720, height=1440)
    seen = points[points[:, keypoints.VISIBLE] > 0.5]
    assert 200 <= seen[:, keypoints.X].min() < seen[:, keypoints.X].max() <= 720
    assert source.download_bytes == 0
    assert hub.checkpoint(bodymap.DENSEPOSE).files[0].endswith(".torchscript")


def test_a_silhouette_is_the_upper_body_at_any_size():
    iuv = np.zeros((4, 4, 3), np.uint8)
    iuv[:2, :, 0], iuv[2:, :, 0] = 23, 7  # head, and an upper leg
    there = Body(iuv).silhouette(width=8, height=8)
    assert there[:4].all()
    assert not there[4:].any()
