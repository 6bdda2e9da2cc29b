"""The bundled dance: it ships whole and small, its grid is where the song's beats are, its dancer follows its pattern."""

import json

import numpy as np
import pytest
from conftest import ROOT

from genkey_core.dance.choreography import read_choreography, segments_of
from genkey_core.dance.motion import read_motion
from genkey_core.dance.patterns import parse_pattern
from genkey_core.media import image_size, load_image, read_audio
from genkey_core.mini import dance_song, dance_steps
from genkey_core.mini.dance_marmot import HEIGHT, WIDTH, finished, stage
from genkey_core.mini.dance_rig import POSES, Shape, shapes
from genkey_core.mini.dance_trace import Body, trace

FOLDER = ROOT / "assets" / "examples" / "dance"


@pytest.fixture(scope="module")
def settings() -> dict:
    return json.loads((FOLDER / "settings.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def keyframes(settings) -> np.ndarray:
    return np.stack([load_image(FOLDER / name)[..., :3] for name in settings["keyframes"]])


@pytest.fixture(scope="module")
def beats_s(settings) -> np.ndarray:
    return settings["first_downbeat_s"] + 60 / settings["bpm"] * np.arange(settings["beats"])


def test_it_ships_small_and_whole(settings):
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert set(files) == {*settings["keyframes"], settings["song"], settings["motion"], "settings.json"}
    assert len(settings["keyframes"]) == len(POSES) == 6
    assert all(files[name] < 700_000 for name in settings["keyframes"])
    assert sum(files.values()) < 5_000_000
    assert all(image_size(FOLDER / name) == (WIDTH, HEIGHT) for name in settings["keyframes"])


def test_the_background_is_the_same_to_the_pixel_and_the_marmot_has_room_to_turn(keyframes):
    empty = finished(stage())
    for picture in keyframes:
        marmot = np.abs(picture.astype(int) - empty).max(axis=2) > 24
        rows, columns = np.flatnonzero(marmot.any(axis=1)), np.flatnonzero(marmot.any(axis=0))
        assert 0.3 * HEIGHT < rows[-1] - rows[0] < 0.6 * HEIGHT  # the leap with its shadow is the tallest
        axis = np.average(np.arange(WIDTH), weights=marmot.sum(axis=0))
        reach = max(columns[-1] - axis, axis - columns[0])
        assert reach < min(axis, WIDTH - axis)
        around = (
            slice(max(rows[0] - 20, 0), rows[-1] + 60),
            slice(columns[0] - 60, columns[-1] + 90),
        )  # and its shadow
        away = np.ones(picture.shape[:2], bool)
        away[around] = False
        np.testing.assert_array_equal(picture[away], empty[away])


def test_the_poses_differ_clearly(keyframes):
    for i in range(6):
        for j in range(i):
            assert (np.abs(keyframes[i].astype(int) - keyframes[j]).max(axis=2) > 24).mean() > 0.02


def test_the_song_is_what_the_code_makes_and_its_grid_lies_on_its_onsets(settings, beats_s):
    heard, made = read_audio(FOLDER / settings["song"]), dance_song.song()
    assert 16 <= heard.duration_s <= 32
    assert heard.samples.shape == made.shape
    error = heard.samples - made
    assert np.mean(error**2) < 0.02 * np.mean(made**2)  # what MP3 leaves out, and no delay
    np.testing.assert_allclose(beats_s, dance_song.beat_times_s())
    bright = np.abs(np.diff(heard.samples.mean(axis=0), n=2))  # hats and snares, not the bass
    for beat_s in beats_s:
        at = round(beat_s * heard.sample_rate)
        assert bright[at : at + 440].mean() > 2 * bright[at - 880 : at - 220].mean()  # 10 ms after, 15 ms before


def test_the_dancer_follows_the_pattern_that_is_written_down(settings, beats_s):
    motion = read_motion(FOLDER / settings["motion"])
    read = read_choreography(motion, segments_of(beats_s, beats_per_bar=settings["beats_per_bar"]))
    assert str(read.pattern) == settings["pattern"] == dance_steps.PATTERN
    assert any(label.mirrored for label in parse_pattern(settings["pattern"]).labels)
    assert motion.duration_s > beats_s[-1]
    text = (FOLDER / settings["motion"]).read_text(encoding="ascii")
    assert text == dance_steps.bvh(dance_steps.steps())


# --- the drawing of the marmot ------------------------------------------------------------------------------------


def test_a_ball_is_traced_where_it_is():
    ball = Shape(np.array([0.2, 0.1, 0.3]), (0.5, 0.5, 0.5), np.eye(3), (200, 100, 50), (200, 100, 50), fur_px=3)
    axis = np.linspace(-1, 1, 81)
    seen = trace(Body([ball]), axis, axis)
    x, y = np.meshgrid(axis, axis)
    away = np.hypot(x - 0.2, y - 0.1)
    np.testing.assert_array_equal(seen.hit[away < 0.49], True)
    np.testing.assert_array_equal(seen.hit[away > 0.51], False)
    inside = away < 0.45
    np.testing.assert_allclose(seen.depth[inside], 0.3 + np.sqrt(0.25 - away[inside] ** 2), atol=0.01)
    wanted = np.stack([x - 0.2, y - 0.1, seen.depth - 0.3], -1)[inside] / 0.5
    assert (seen.normal[inside] * wanted).sum(axis=1).min() > 0.99
    assert seen.fur_px[inside] == pytest.approx(3)


def test_shapes_far_away_change_nothing_where_they_cannot_be_seen(rng):
    body = Body(shapes(POSES["point"]))
    points = np.concatenate([rng.uniform([-0.2, 0.4], [0.2, 0.8], (200, 2)), rng.uniform(-0.4, 0.4, (200, 1))], 1)
    near = body.near((-0.2, 0.4), (0.2, 0.8))
    assert len(near.shapes) < len(body.shapes)
    found, wanted = near.distance(points.astype(np.float32)), body.distance(points.astype(np.float32))
    close = wanted < 0.2
    np.testing.assert_allclose(found[close], wanted[close], atol=1e-5)
    assert body.near((5, 5), (6, 6)) is None


def test_all_poses_stand_on_or_above_the_ground():
    for name, pose in POSES.items():
        low = min(float(end[1]) - max(s.radii) for s in shapes(pose) for end in (s.a, s.b) if end is not None)
        assert -0.12 < low < 0.5, name
