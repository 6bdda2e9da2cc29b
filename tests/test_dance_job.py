"""The dance job: what lies on the beats of the decoded file, what is rendered anew, cancel, faults, and mistakes in words."""

import itertools
import wave
from collections import deque
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_dancer import keyframes

from genkey_core import media, recipe
from genkey_core.checks import InputError
from genkey_core.dance import job, planning
from genkey_core.dance.beats import from_tempo
from genkey_core.dance.estimate import cost_of, most_pairs
from genkey_core.dance.graph import ImpossibleDance
from genkey_core.dance.settings import Settings
from genkey_core.dance.stage import Stage, staged
from genkey_core.dance.timeline_picture import timeline_picture

RATE = 44_100
BPM, OFFSET_S, SONG_S = 117.0, 0.31, 7.0
OPEN = Settings(pattern="A-A'-B", motion_low=2, motion_high=600, n_best=1, max_side=384, in_betweens=5)


@pytest.fixture(scope="module")
def poses(tmp_path_factory) -> list[Path]:
    """Six keyframes as files."""
    folder = tmp_path_factory.mktemp("poses")
    paths = [folder / f"pose-{k}.png" for k in range(6)]
    for path, image in zip(paths, keyframes()[0], strict=True):
        media.save_image(path, image)
    return paths


@pytest.fixture(scope="module")
def song(tmp_path_factory) -> Path:
    """Clicks on every beat of BPM from OFFSET_S on, each with a tone of its own, so that a shift by a beat would be seen."""
    path = tmp_path_factory.mktemp("song") / "clicks.wav"
    sound = np.zeros(round(SONG_S * RATE))
    for i, time_s in enumerate(beats().beat_times_s):
        t = np.arange(round(0.03 * RATE)) / RATE
        start = round(time_s * RATE)
        click = np.sin(2 * np.pi * (500 + 90 * i) * t) * np.exp(-t / 0.008)
        sound[start : start + len(click)] += click[: len(sound) - start]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((0.8 * sound * 32767).astype("<i2").tobytes())
    return path


def beats():
    return from_tempo(BPM, OFFSET_S, duration_s=SONG_S)


def danced(poses, song, out, settings=OPEN, **options) -> job.Result:
    options = {"beats": beats(), **options}
    return deque(job.make(poses, song, out, settings, **options), maxlen=1)[0]


@pytest.fixture(scope="module")
def dance(poses, song, tmp_path_factory):
    """One finished dance, and the folder of its clips."""
    folder = tmp_path_factory.mktemp("dance")
    return danced(poses, song, folder / "dance.mp4", clips=folder / "clips"), folder / "clips"


@pytest.fixture(scope="module")
def stage(dance) -> Stage:
    return deque(staged(dance[0].plan.images), maxlen=1)[0]


def test_the_frame_nearest_to_every_beat_is_the_keyframe(dance, stage):
    """Read from the MP4: the frame nearest in time to beat i shows keyframe i of the path and no other."""
    result = dance[0]
    frames = list(media.read_frames(result.path))
    times_s = np.array([frame.time_s for frame in frames])
    small = [cv2.resize(image, (96, 54), interpolation=cv2.INTER_AREA).astype(float) for image in stage.scene.images]
    for k, beat_s in zip(result.dance.path, result.plan.key_times_s, strict=True):
        nearest = int(np.abs(times_s - beat_s).argmin())
        assert abs(times_s[nearest] - beat_s) <= 0.5 / 25 + 1e-6
        seen = frames[nearest].image
        assert np.abs(seen.astype(float) - stage.scene.images[k]).mean() < 2.5
        shown = cv2.resize(seen, (96, 54), interpolation=cv2.INTER_AREA).astype(float)
        off = np.array([np.abs(shown - other).mean() for other in small])
        others = [i for i in range(12) if i % 6 != k % 6]
        assert off[k] <= off.min() + 0.1  # a pose that is symmetric equals its mirror
        assert off[k] < off[others].min() - 0.5
    assert len(frames) == result.frames == round(SONG_S * 25)
    assert result.complete


def test_the_path_follows_the_pattern(dance):
    result = dance[0]
    pairs, half = result.dance.pairs, 6
    pattern = result.plan.pattern
    assert str(pattern).startswith("A-A'-B-A-A'-B")
    a, mirrored, b = (pairs[label] for label in pattern.distinct)
    assert mirrored == tuple((k + half) % 12 for k in a)
    assert len({a, b, mirrored}) == 3
    assert result.dance.proven
    starts = result.dance.path[::2]
    np.testing.assert_array_equal(starts[:3], starts[3:6])


def test_the_song_lies_under_it_to_the_sample(dance, song):
    heard = media.read_audio(dance[0].path, sample_rate=RATE, mono=True).samples[0]
    truth = media.read_audio(song, sample_rate=RATE, mono=True).samples[0]
    n = round(SONG_S * RATE)
    assert 0 <= len(heard) - n < 1024  # the last block of AAC is filled up
    spectrum = np.fft.rfft(heard[:n], 2 * n) * np.conj(np.fft.rfft(truth[:n], 2 * n))
    lag = int(np.fft.irfft(spectrum).argmax())
    assert min(lag, 2 * n - lag) <= 1


def test_a_part_of_the_song_keeps_its_beats(poses, song, dance, tmp_path):
    """From 2.2 s on: the keyframes lie on the beats of the song, and its sound with them."""
    settings = replace(OPEN, start_s=2.2, end_s=5.2)
    result = danced(poses, song, tmp_path / "part.mp4", settings, clips=dance[1])
    np.testing.assert_allclose(result.plan.key_times_s + 2.2, result.plan.segments_s.ravel())
    on_the_grid = (result.plan.segments_s.ravel() - OFFSET_S) / (60 / BPM)
    np.testing.assert_allclose(on_the_grid, on_the_grid.round(), atol=1e-6)
    assert result.frames == 75
    heard = media.read_audio(result.path, sample_rate=RATE, mono=True).samples[0]
    truth = media.read_audio(song, sample_rate=RATE, mono=True).samples[0][round(2.2 * RATE) :][: len(heard)]
    assert np.corrcoef(heard[: len(truth)], truth)[0, 1] > 0.97


def test_the_background_stands_still(dance, stage):
    """Outside all subjects and their shadows the decoded picture hardly changes from frame to frame."""
    ever = (stage.scene.masks > 0).any(0) | (stage.scene.shades < 1).any(0)
    far = cv2.dilate(ever.astype(np.uint8), np.ones((61, 61), np.uint8)) == 0
    assert far.mean() > 0.2
    frames = [frame.image[far].astype(float) for frame in media.read_frames(dance[0].path)]
    changes = [np.abs(a - b).mean() for a, b in itertools.pairwise(frames)]
    assert np.mean(changes) < 0.4
    assert np.max(changes) < 1.5  # every two seconds the encoder begins anew


def test_only_what_is_new_is_rendered(poses, song, dance, tmp_path):
    first, clips = dance
    assert first.made_pairs == len(first.plan.timeline(first.dance.path).pairs) > 0
    again = danced(poses, song, tmp_path / "again.mp4", clips=clips)
    assert again.made_pairs == 0
    other = danced(poses, song, tmp_path / "other.mp4", replace(OPEN, pattern="A-A'-B-C"), clips=clips)
    needed = other.plan.timeline(other.dance.path).pairs
    assert 0 < other.made_pairs < len(needed)


def test_the_recipe_in_the_file_makes_the_same_dance(dance, poses, song):
    result = dance[0]
    made = recipe.read(result.path, method="dance")
    assert made == result.recipe
    assert Settings.from_dict(made["settings"]) == result.plan.settings
    assert [item["name"] for item in made["inputs"]] == [*(path.name for path in poses), song.name]
    assert made["output"]["pairs"]["A"]
    assert made["seed"] is None
    np.testing.assert_allclose(made["output"]["beats_s"], result.plan.beats.beat_times_s, atol=1e-4)


def test_the_timeline_is_a_picture_of_all_segments(dance, stage):
    result = dance[0]
    picture = media.load_image(result.timeline)
    np.testing.assert_array_equal(picture, timeline_picture(result.plan, stage, result.dance))
    assert picture.shape[1] > 200 * len(result.plan.pattern)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000


def test_cancel_keeps_what_is_done(poses, song, dance, tmp_path):
    seen = []

    def cancelled():
        return len(seen) > 40

    for item in job.make(poses, song, tmp_path / "cut.mp4", OPEN, beats=beats(), clips=dance[1], cancelled=cancelled):
        seen.append(item)
    result = seen[-1]
    assert not result.complete
    assert 1 <= result.frames < 60
    assert media.probe(result.path).n_frames == result.frames
    assert recipe.read(result.path, method="dance")["output"]["complete"] is False


def test_closing_leaves_nothing(poses, song, dance, tmp_path):
    work = job.make(poses, song, tmp_path / "gone.mp4", OPEN, beats=beats(), clips=dance[1])
    for item in work:
        if item.done > 5:
            break
    work.close()
    assert list(tmp_path.iterdir()) == []


def test_another_engine_is_asked_once_for_every_pair(poses, song, dance, tmp_path):
    """A cross-fade as the engine: it is told both keyframes and how many pictures, and may say how far it is."""
    asked = []

    def fade(start, end, n):
        asked.append((start.tobytes(), end.tobytes()))
        yield "thinking"
        for t in np.arange(1, n + 1) / (n + 1):
            yield np.rint((1 - t) * start + t * end).astype(np.uint8)

    settings = replace(OPEN, engine="mini")
    steps = list(job.make(poses, song, tmp_path / "fade.mp4", settings, beats=beats(), interpolate=fade))
    result = steps[-1]
    assert len(asked) == len(set(asked)) == result.made_pairs == len(result.plan.timeline(result.dance.path).pairs)
    assert any("thinking" in step.said for step in steps[:-1])
    assert result.recipe["engine"] == "mini"
    assert result.recipe["seed"] == 0


def test_an_engine_that_breaks_down_keeps_what_is_there(poses, song, tmp_path):
    calls = []

    def breaks(start, end, n):
        calls.append(n)
        if len(calls) == 3:
            raise RuntimeError("out of paint")
        yield from [start] * n

    result = danced(poses, song, tmp_path / "broken.mp4", replace(OPEN, engine="mini"), interpolate=breaks)
    assert "out of paint" in result.problem
    assert not result.complete
    assert media.probe(result.path).n_frames == result.frames > 10


def test_an_engine_that_gives_too_little_is_named(poses, song, tmp_path):
    settings = replace(OPEN, engine="mini")
    result = danced(poses, song, tmp_path / "x.mp4", settings, interpolate=lambda start, end, n: [start])
    assert "5 in-betweens of the keyframes' size are needed, got 1" in result.problem
    assert result.frames == result.beat_frames[0] + 1  # up to the first keyframe, which is its own


def test_patterns_repeat_or_end_with_the_song(poses, song):
    made = planning.plan(poses, song, OPEN, beats=beats())
    assert len(made.pattern) == len(made.segments_s) == 7
    assert any("3 segments, this part of the song has room for 7: it begins again" in note for note in made.notes)
    cut = planning.plan(poses, song, replace(OPEN, pattern="(A-B-C-D)*4"), beats=beats())
    assert str(cut.pattern) == "A-B-C-D-A-B-C"
    waltz = planning.plan(poses, song, OPEN, beats=beats().with_meter(3))
    assert len(waltz.pattern) == 5  # a segment a bar
    assert np.all(np.diff(waltz.segments_s[:, 0]) > 2.9 * 60 / BPM)


MISTAKES = [
    ({"pattern": "A-B-?"}, "character 5"),
    ({"start_s": 6.8}, "the song ends at 7.0 s"),
    ({"start_s": 3.0, "end_s": 2.0}, "more than the start"),
    ({"start_s": 1.2, "end_s": 1.5}, "beats: at least 2 beats are needed"),
    ({"pins": "A: 1>9"}, "a keyframe from 1 to 6"),
    ({"pins": "A 1>2"}, "cannot be read"),
    ({"pins": "Z: 1>2"}, "no such motion in the pattern"),
    ({"pins": "A: 2>2"}, "two different keyframes"),
    ({"never": "7"}, "never: a keyframe from 1 to 6"),
    ({"motion_low": 50, "motion_high": 20}, "largest motion"),
    ({"engine": "mini"}, "'mini' is not there"),
    ({"engine": "magic"}, "engine: one of draft"),
    ({"fps": 1000}, "fps"),
    ({"in_betweens": 0}, "in-betweens"),
    ({"solution": 2}, "solution"),
    ({"strength": 2}, "visual rhythm"),
]


@pytest.mark.parametrize(("changed", "says"), MISTAKES)
def test_a_mistake_is_a_sentence_and_nothing_is_written(poses, song, tmp_path, changed, says):
    with pytest.raises(InputError, match="(?i)" + says.replace("(", r"\(")):
        danced(poses, song, tmp_path / "no.mp4", replace(OPEN, **changed))
    assert list(tmp_path.iterdir()) == []


def test_too_few_or_strange_keyframes(poses, song, tmp_path):
    with pytest.raises(InputError, match="3 to 12 pictures are needed, got 2"):
        danced(poses[:2], song, tmp_path / "no.mp4")
    with pytest.raises(InputError, match=r"clicks\.wav"):
        danced([*poses[:3], song], song, tmp_path / "no.mp4")
    with pytest.raises(InputError, match="all the same"):
        danced([poses[0]] * 3, song, tmp_path / "no.mp4")


def test_wishes_that_conflict_are_named(poses, song, dance, tmp_path):
    settings = replace(OPEN, pins="A: 1>2; B: 1>2'")
    with pytest.raises(ImpossibleDance, match="A goes from keyframe 1 to 2; B goes from keyframe 1 to 2'"):
        danced(poses, song, tmp_path / "no.mp4", settings, clips=dance[1])
    assert not (tmp_path / "no.mp4").exists()


def test_wishes_are_kept(poses, song, dance):
    settings = replace(OPEN, pins="B: 3>5'", never="1, 2'", n_best=3)
    found = deque(job.choose(planning.plan(poses, song, settings, beats=beats())), maxlen=1)[0]
    assert len(found.dances) == 3
    for solution in found.dances:
        assert solution.pairs[solution.pattern.distinct[2]] == (2, 10)
        assert not {0, 7} & set(solution.path.tolist())
    costs = [solution.cost for solution in found.dances]
    assert costs == sorted(costs)


def test_more_of_everything_costs_more(poses, song, dance):
    plan = planning.plan(poses, song, OPEN, beats=beats())
    cost = cost_of(plan)
    assert cost.frames == 175
    assert 0 < cost.seconds < 3600
    shorter = cost_of(planning.plan(poses, song, replace(OPEN, end_s=3.0), beats=beats()))
    assert (shorter.frames, shorter.seconds) < (cost.frames, cost.seconds)
    richer = planning.plan(poses, song, replace(OPEN, pattern="A-B-C-D-E-F"), beats=beats())
    assert most_pairs(richer) == 12  # six labels; each is followed by the next, the last by the first
    assert cost_of(richer).disk_bytes > cost.disk_bytes


def test_sound_that_is_no_song_is_a_sentence(poses, tmp_path):
    path = tmp_path / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.zeros(4 * RATE, "<i2").tobytes())
    with pytest.raises(InputError, match="silent"):
        danced(poses, path, tmp_path / "no.mp4", beats=None)
