"""The bundled talk: it ships whole, its body map fits it, what was planted is found, and the same code makes it again."""

import json

import numpy as np
import pytest
from conftest import ROOT

from benchmarks.planted_speech import f1, has_espeak, match
from genkey_core import media
from genkey_core.jumpcut.bodymap import BodyFile
from genkey_core.jumpcut.cutlist import cut_list
from genkey_core.jumpcut.speech import analyse
from genkey_core.mini import presenter_example
from genkey_core.mini.presenter_world import LANDMARKS

FOLDER = ROOT / "assets" / "examples" / "jumpcut"


@pytest.fixture(scope="module")
def said() -> list[dict]:
    return json.loads((FOLDER / "settings.json").read_text(encoding="utf-8"))["said"]


def spans(said: list[dict], kind: str) -> list[tuple[float, float]]:
    return [(part["start"], part["end"]) for part in said if part["kind"] == kind]


def test_the_talk_ships_small_and_whole(said):
    facts = media.probe(FOLDER / "presenter.mp4")
    assert (facts.width, facts.height, facts.fps) == (presenter_example.SIZE, presenter_example.SIZE, 25.0)
    assert 20 <= facts.duration_s <= 30
    assert facts.audio_duration_s == pytest.approx(facts.duration_s, abs=0.04)
    assert (FOLDER / "presenter.mp4").stat().st_size < 3_000_000
    assert (FOLDER / "presenter.npz").stat().st_size < 5_000_000
    assert said[-1]["end"] == pytest.approx(facts.duration_s, abs=0.04)


def test_its_body_map_lies_on_its_pictures():
    facts = media.probe(FOLDER / "presenter.mp4")
    body = BodyFile(FOLDER / "presenter.npz", n_frames=facts.n_frames, fps=facts.fps)
    assert body.iuv.shape == (facts.n_frames, presenter_example.MAP_SIZE, presenter_example.MAP_SIZE, 3)
    assert body.n_landmarks == len(LANDMARKS)
    frames = [frame.image for frame in media.read_frames(FOLDER / "presenter.mp4", end_s=0.2)]
    far = next(media.read_frames(FOLDER / "presenter.mp4", start_s=10.0)).image
    maps = list(body.bodies([(0, frames[0]), (250, far)]))
    changed = np.abs(frames[0].astype(int) - far).max(2) > 40
    there = np.logical_or(*(m.silhouette(width=facts.width, height=facts.height) for m in maps))
    assert changed.mean() > 0.02
    assert there[changed].mean() > 0.85  # hair is no part of a body map


def test_what_was_planted_is_found_and_no_word_is_cut(said):
    analysis = analyse(FOLDER / "presenter.mp4")
    for kind in ("pause", "filler"):
        got = [(row.start_s, row.end_s) for row in analysis.rows if row.kind == kind and row.remove]
        planted = spans(said, kind)
        assert f1(match(got, planted), len(got), len(planted))[2] == 1.0, (kind, got, planted)
    removed = cut_list(analysis.rows, duration_s=analysis.duration_s).removed
    for a, b in spans(said, "words"):
        assert all(min(b, end) - max(a, start) < 0.08 for start, end in removed)


def test_every_gap_leaves_a_jump_to_hide(said):
    body = BodyFile(FOLDER / "presenter.npz", n_frames=1, fps=25.0)
    nose = body.landmarks[:, LANDMARKS.index("nose-tip"), :2]
    moved = [np.abs(nose[round(b * 25) - 1] - nose[round(a * 25)]).max() for a, b in spans(said, "pause")[1:-1]]
    assert np.median(moved) * presenter_example.SIZE > 15  # pixels


@pytest.mark.skipif(not has_espeak(), reason="espeak-ng is not installed")
def test_the_same_code_makes_it_again(said):
    heard = presenter_example.talk()
    assert [part["text"] for part in said] == [text for *_, text in heard.marks]
    if [round(b, 3) for _, _, b, _ in heard.marks] != [part["end"] for part in said]:
        pytest.skip("another version of espeak-ng speaks at another pace")
    moves = presenter_example.acted(heard)
    quiet = [i for i in range(len(moves)) if heard.marks[2][1] + 0.1 < i / 25 < heard.marks[2][2] - 0.1]
    assert quiet
    assert moves.mouth[quiet].max() == 0.0
    stored = BodyFile(FOLDER / "presenter.npz", n_frames=heard.n_frames, fps=25.0)
    person = presenter_example.presenter(presenter_example.IDENTITY, presenter_example.SIZE)
    _, iuv, marks = person.draw(moves.at(100))
    np.testing.assert_array_equal(np.round(iuv[2::4, 2::4] * (1, 255, 255)).astype(np.uint8), stored.iuv[100])
    seen = marks[:, 2] > 0.5
    np.testing.assert_allclose((marks[seen, :2] + 0.5) / 512, stored.landmarks[100][seen, :2], atol=1e-3)
