"""The variants side by side: one panel each, the same seed, whole or of what was done, or refused before it starts."""

import cv2
import numpy as np
import pytest

from genkey_core import media
from genkey_core.checks import InputError
from genkey_core.inbetween import compare
from genkey_core.inbetween.compare import Comparison, variants_video
from genkey_core.inbetween.engines import Progress
from genkey_core.inbetween.sampling import VARIANTS
from genkey_core.inbetween.settings import Settings

LEVELS = {"forward": 40, "time_reversal": 90, "no_finetuning": 140, "dual": 190, "no_rotation": 230}
START, END = (np.full((64, 64, 3), v, np.uint8) for v in (10, 250))


class Flat:
    """A model that shows one grey per variant, brighter in its last frame, and remembers its seed."""

    name = "mini"
    seeds: list = []  # noqa: RUF012

    def __init__(self, engine: str, settings: Settings):
        assert engine == settings.engine == self.name
        self.level = LEVELS[settings.variant]

    def native(self, start, end, *, n_frames, seed):
        self.seeds.append(seed)
        yield Progress(1, 2)
        yield Progress(2, 2, note="decoding")
        yield np.stack([np.full((32, 32, 3), self.level + i, np.uint8) for i in (0, 4, 8, 20)])


@pytest.fixture(autouse=True)
def no_seeds(monkeypatch):
    monkeypatch.setattr(Flat, "seeds", [])


def made(path, **options) -> list:
    return list(variants_video(START, END, path, make_model=Flat, **options))


def panels(image: np.ndarray, names) -> list[float]:
    sheet = compare._Sheet(START, len(names))
    width, height = sheet.panel
    return [float(image[y : y + height, x : x + width].mean()) for x, y in map(sheet.corner, range(len(names)))]


def test_every_variant_has_its_panel_and_all_share_the_seed(tmp_path):
    *said, result = made(tmp_path / "v.mp4", settings=Settings(seed=7), times=2)
    assert isinstance(result, Comparison)
    assert Flat.seeds == [7] * 4
    frames = [f.image for f in media.read_frames(tmp_path / "v.mp4")]
    held = round(0.4 * 8)
    assert len(frames) == result.frames == 2 * (4 + 2 * held)
    for image, brighter in ((frames[0], 0), (frames[held + 3], 20), (frames[-1], 20)):
        assert panels(image, compare.SHOWN) == pytest.approx([LEVELS[v] + brighter for v in compare.SHOWN], abs=3)
    assert [(p.done, p.total) for p in said] == [(i, 8) for i in range(1, 9)]
    assert said[-1].note == "dual: the method (decoding)"
    assert "seed 7" in media.read_metadata(tmp_path / "v.mp4")["title"]


def test_panels_are_large_enough_to_look_at_and_the_keyframes_stand_above(tmp_path):
    result = made(tmp_path / "v.mp4", variants=tuple(VARIANTS))[-1]
    sheet = compare._Sheet(START, 5)
    assert sheet.panel == (256, 256)
    image = next(iter(media.read_frames(result.path))).image
    assert image.shape[:2] == sheet.size[::-1]
    thumb = sheet.thumb[0] // 2
    assert image[8 + thumb, 8 + thumb].mean() == pytest.approx(10, abs=4)
    assert image[8 + thumb, -8 - thumb].mean() == pytest.approx(250, abs=4)


@pytest.mark.parametrize("shape", [(20, 900), (900, 20), (576, 1024), (1, 1)])
@pytest.mark.parametrize("n", range(1, 6))
def test_sheets_of_any_shape_are_videos(shape, n):
    sheet = compare._Sheet(np.zeros((*shape, 3), np.uint8), n)
    assert all(side % 2 == 0 and 16 <= side <= 4096 for side in sheet.size)
    x, y = sheet.corner(n - 1)
    assert x + sheet.panel[0] <= sheet.size[0]
    assert y + sheet.panel[1] <= sheet.size[1]


@pytest.mark.parametrize("name", VARIANTS)
def test_labels_are_readable_and_fit_their_panel(name):
    strip = np.zeros((28, 256, 3), np.uint8)
    compare._write(strip, compare.LABELS[name], (0, 0), 256)
    columns = np.flatnonzero(strip.max(axis=(0, 2)))
    assert 80 < columns[-1] < 256
    assert cv2.countNonZero(strip[..., 0]) > 200


def test_cancelling_shows_the_variants_that_are_done(tmp_path):
    seen = []
    stopped = lambda: len(seen) >= 5  # noqa: E731
    for item in variants_video(START, END, tmp_path / "v.mp4", make_model=Flat, cancelled=stopped):
        seen.append(item)
    assert item.variants == compare.SHOWN[:2]
    assert not item.complete
    with pytest.raises(InputError, match="cancelled before the first variant was done"):
        made(tmp_path / "none.mp4", cancelled=lambda: True)
    assert not (tmp_path / "none.mp4").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"variants": ("dual", "best")}, "variant: one of dual"),
        ({"variants": ()}, "variants: between 1 and 5"),
        ({"variants": ("dual", "dual")}, "variants: each one once is needed, got dual, dual"),
        ({"fps": 0}, "fps"),
        ({"times": 1000}, "times"),
    ],
)
def test_mistakes_are_said_before_anything_is_sampled(tmp_path, options, says):
    with pytest.raises(InputError, match=says):
        made(tmp_path / "v.mp4", **options)
    assert Flat.seeds == []
    assert list(tmp_path.iterdir()) == []
