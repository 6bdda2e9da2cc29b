"""The in-between job end to end on small images: exact keyframes, honest recipes, cancelling, and nothing left behind."""

import zipfile

import cv2
import numpy as np
import pytest

from genkey_core import inbetween, media, recipe
from genkey_core.checks import InputError
from genkey_core.inbetween import engines
from genkey_core.inbetween.engines import Progress, choose_engine
from genkey_core.inbetween.job import load_keyframe, stream
from genkey_core.timing import Gap, timeline

SIZE = (96, 64)  # width, height


@pytest.fixture
def keyframes(tmp_path, rng):
    """Three textured PNGs, each the first one shifted a little further."""
    texture = cv2.GaussianBlur(rng.integers(0, 255, (SIZE[1], SIZE[0], 3)).astype(np.float32), (0, 0), 2)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    paths = []
    for k in range(3):
        paths.append(tmp_path / f"key{k}.png")
        media.save_image(paths[-1], np.roll(texture, 3 * k, axis=1))
    return paths


class Fade:
    """A three-line engine: the job must not depend on what makes the frames."""

    name = "fade"

    def between(self, start, end, positions):
        for p in positions:
            yield np.round((1 - p) * start + p * end).astype(np.uint8)


def test_the_stream_shows_each_keyframe_bit_for_bit_at_its_time():
    keys = [np.full((4, 6, 3), v, np.uint8) for v in (10, 200, 90)]
    line = timeline([Gap(0.5, hold_s=0.2), Gap(0.4)], fps=10, end_hold_s=0.1)
    frames = [image for *_, image in stream(keys.__getitem__, line, Fade())]
    assert len(frames) == len(line)
    for key, frame in zip(keys, line.keyframe_frames, strict=True):
        assert np.array_equal(frames[frame], key)
    assert all(np.array_equal(f, keys[0]) for f in frames[:3])
    assert np.array_equal(frames[-1], keys[2])


class Talking(Fade):
    """Says two things before the first frame of every gap; fails in the gap whose start is in `breaks_at`."""

    def __init__(self, breaks_at=None, error=None):
        self.gaps, self.breaks_at, self.closed = 0, breaks_at, 0
        self.error = error or InputError("sampling: the model gave values that are not numbers.")

    def between(self, start, end, positions):
        self.gaps += 1
        try:
            for done in (1, 2):
                yield Progress(done, 2, note="thinking", lasting=done == 2)
            if self.gaps == self.breaks_at:
                raise self.error
            yield from super().between(start, end, positions)
        finally:
            self.closed += 1


@pytest.fixture
def talking(monkeypatch):
    """Makes the engine of the next jobs a Talking one and returns it."""

    def choose(**options):
        engine = Talking(**options)
        monkeypatch.setattr(engines, "Draft", lambda: engine)
        return engine

    return choose


def test_what_the_engine_says_reaches_the_caller_and_does_not_count_as_frames(keyframes, tmp_path, talking):
    talking()
    items = list(inbetween.make(keyframes, tmp_path / "o.mp4", inbetween.Settings(fps=8)))
    said = [item for item in items if isinstance(item, inbetween.Progress)]
    steps = [item for item in items if isinstance(item, inbetween.Step)]
    assert [(p.done, p.total) for p in said] == [(1, 2), (2, 2)] * 2
    assert [s.done for s in steps] == list(range(1, items[-1].frames + 1))
    assert items.index(said[0]) == 1, "the first keyframe comes before anything is sampled"
    assert items[-1].complete
    assert items[-1].notes == ("thinking",)


@pytest.mark.parametrize(("said_before", "frames"), [(1, 1), (4, 9)])
def test_cancelling_between_progress_records_keeps_the_frames_there_are(
    keyframes, tmp_path, talking, said_before, frames
):
    engine, said = talking(), []
    stopped = lambda: len(said) >= said_before  # noqa: E731
    for item in inbetween.make(keyframes, tmp_path / "o.mp4", inbetween.Settings(fps=8), cancelled=stopped):
        said += [item] if isinstance(item, inbetween.Progress) else []
    assert not item.complete
    assert item.problem is None
    assert item.frames == frames == sum(1 for _ in media.read_frames(tmp_path / "o.mp4"))
    assert engine.closed == engine.gaps


def test_an_engine_that_breaks_down_later_leaves_the_finished_gaps_and_says_why(keyframes, tmp_path, talking):
    talking(breaks_at=2)
    result = list(inbetween.make(keyframes, tmp_path / "o.mp4", inbetween.Settings(fps=8)))[-1]
    assert not result.complete
    assert result.frames == 9
    assert result.problem == "sampling: the model gave values that are not numbers."
    assert recipe.read(tmp_path / "o.mp4", method="inbetween")["output"]["problem"] == result.problem


def test_also_an_unforeseen_fault_leaves_the_finished_gaps(keyframes, tmp_path, talking, caplog):
    talking(breaks_at=2, error=RuntimeError("GPU task aborted"))
    result = list(inbetween.make(keyframes, tmp_path / "o.mp4", inbetween.Settings(fps=8)))[-1]
    assert result.frames == 9
    assert result.problem == "The engine broke down (RuntimeError: 'GPU task aborted')."
    assert "the engine broke down" in caplog.text
    talking(breaks_at=1, error=RuntimeError("GPU task aborted"))
    with pytest.raises(RuntimeError, match="aborted"):
        inbetween.make_video(keyframes, tmp_path / "none.mp4")
    assert not (tmp_path / "none.mp4").exists()


def test_an_engine_that_breaks_down_at_once_makes_nothing(keyframes, tmp_path, talking):
    folder = tmp_path / "results"
    folder.mkdir()
    engine = talking(breaks_at=1)
    with pytest.raises(InputError, match="not numbers"):
        inbetween.make_video(keyframes, folder / "o.mp4")
    assert list(folder.iterdir()) == []
    assert engine.closed == 1


def test_ping_pong_and_loop_ask_for_the_right_ends():
    keys = [np.full((4, 6, 3), v, np.uint8) for v in (0, 100, 200)]
    there = [
        int(f[0, 0, 0])
        for *_, f in stream(keys.__getitem__, timeline([Gap(0.2)] * 2, fps=10, playback="ping-pong"), Fade())
    ]
    assert there == [0, 50, 100, 150, 200, 150, 100, 50]
    loop = [
        int(f[0, 0, 0]) for *_, f in stream(keys.__getitem__, timeline([Gap(0.2)] * 3, fps=10, playback="loop"), Fade())
    ]
    assert loop == [0, 50, 100, 150, 200, 100]


def test_a_stepped_gap_makes_each_picture_once():
    asked = []

    class Counting(Fade):
        def between(self, start, end, positions):
            asked.extend(positions.tolist())
            return super().between(start, end, positions)

    keys = [np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 3), 100, np.uint8)]
    line = timeline([Gap.checked(2.0, "steps(4)")], fps=10)
    frames = [int(f[0, 0, 0]) for *_, f in stream(keys.__getitem__, line, Counting())]
    assert asked == [0.25, 0.5, 0.75]
    assert frames == [0] * 5 + [25] * 5 + [50] * 5 + [75] * 5 + [100]


def test_a_video_carries_the_recipe_that_makes_it_again(keyframes, tmp_path):
    path = tmp_path / "out.mp4"
    options = {
        "fps": 12,
        "gaps": [{"duration_s": 0.5, "easing": "ease-in-out", "hold_s": 0.25}],
        "playback": "ping-pong",
    }
    result = inbetween.make_video(keyframes, path, frames_zip=tmp_path / "out.zip", **options)
    made = recipe.read(path, method="inbetween")
    assert made == result.recipe
    assert made["engine"] == result.engine == "draft"
    assert made["inputs"][1] == {"name": "key1.png", "sha256": recipe.file_sha256(keyframes[1])}
    assert made["output"]["frames"] == result.frames
    assert result.complete
    settings = inbetween.Settings.from_dict(made["settings"])
    again = inbetween.make_video(
        keyframes, tmp_path / "again.mp4", frames_zip=tmp_path / "again.zip", **settings.to_dict()
    )
    with zipfile.ZipFile(result.zip_path) as a, zipfile.ZipFile(again.zip_path) as b:
        assert len(a.namelist()) == result.frames
        assert [a.read(n) for n in a.namelist()] == [b.read(n) for n in b.namelist()]


def test_the_zip_holds_the_keyframes_exactly(keyframes, tmp_path):
    result = inbetween.make_video(
        keyframes, tmp_path / "o.mp4", frames_zip=tmp_path / "o.zip", fps=10, gaps=[{"duration_s": 0.3}]
    )
    job = inbetween.plan(keyframes, inbetween.Settings.from_dict({"fps": 10, "gaps": [{"duration_s": 0.3}]}))
    with zipfile.ZipFile(result.zip_path) as archive:
        names = sorted(archive.namelist())
        for path, frame in zip(keyframes, job.timeline.keyframe_frames, strict=True):
            stored = cv2.imdecode(np.frombuffer(archive.read(names[frame]), np.uint8), cv2.IMREAD_COLOR_RGB)
            assert np.array_equal(stored, media.load_image(path))


def test_identical_keyframes_give_a_still(keyframes, tmp_path):
    result = inbetween.make_video([keyframes[0]] * 2, tmp_path / "o.mp4", frames_zip=tmp_path / "o.zip", fps=10)
    with zipfile.ZipFile(result.zip_path) as archive:
        assert len({archive.read(n) for n in archive.namelist()}) == 1
    assert result.drift == pytest.approx(0, abs=1e-6)


def test_images_of_other_shapes_fit_the_first_one(keyframes, tmp_path):
    tall = tmp_path / "tall.png"
    media.save_image(tall, np.full((120, 40, 3), 200, np.uint8))
    settings = inbetween.Settings.from_dict({"background": "#102030"})
    image = load_keyframe(tall, SIZE, settings)
    assert image.shape == (SIZE[1], SIZE[0], 3)
    assert image[32, 2].tolist() == [0x10, 0x20, 0x30]
    assert image[32, 48].tolist() == [200, 200, 200]
    cropped = load_keyframe(tall, SIZE, inbetween.Settings.from_dict({"fit": "crop"}))
    assert np.all(cropped == 200)


def test_cancelling_keeps_what_is_done_and_says_so(keyframes, tmp_path):
    seen = []
    run = inbetween.make(keyframes, tmp_path / "o.mp4", inbetween.Settings(), cancelled=lambda: len(seen) >= 5)
    for item in run:
        seen.append(item)
    result = seen[-1]
    assert not result.complete
    assert result.frames == 5
    assert recipe.read(tmp_path / "o.mp4", method="inbetween")["output"]["complete"] is False
    assert sum(1 for _ in media.read_frames(tmp_path / "o.mp4")) == 5


def test_closing_the_generator_leaves_nothing(keyframes, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    run = inbetween.make(keyframes, folder / "o.mp4", inbetween.Settings(), frames_zip=folder / "o.zip")
    next(run)
    next(run)
    run.close()
    assert list(folder.iterdir()) == []


def test_a_broken_image_is_named_before_anything_is_written(keyframes, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    keyframes[2].write_bytes(keyframes[2].read_bytes()[:200])
    with pytest.raises(InputError, match=r"key2\.png"):
        inbetween.make_video(keyframes, folder / "o.mp4")
    assert list(folder.iterdir()) == []


def test_the_plan_refuses_one_image_and_chooses_an_engine():
    with pytest.raises(InputError, match="2 to 24 images are needed, got 1"):
        inbetween.plan(["a.png"])
    assert choose_engine("auto").name == "draft"


def test_the_cost_grows_with_frames_size_and_zip(keyframes):
    def cost(frames_zip=False, **options):
        return inbetween.estimate_cost(
            inbetween.plan(keyframes, inbetween.Settings.from_dict(options)), frames_zip=frames_zip
        )

    short = cost(gaps=[{"duration_s": 1}])
    long = cost(gaps=[{"duration_s": 10}])
    assert long.frames == 481
    assert short.frames == 49
    assert long.seconds > short.seconds
    assert long.memory_bytes == short.memory_bytes
    assert cost(True, gaps=[{"duration_s": 1}]).disk_bytes > short.disk_bytes
    held = cost(gaps=[{"duration_s": 0.1, "hold_s": 9.9}])
    assert held.frames == long.frames
    assert held.seconds < long.seconds


def test_real_photos_become_a_video(real_media, tmp_path):
    images = sorted((real_media / "animals" / "dog_keyframes").glob("*.png"))[:2]
    result = inbetween.make_video(images, tmp_path / "dog.mp4", max_side=320, fps=8)
    assert result.frames == 9
    assert result.drift < 3
