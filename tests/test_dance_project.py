"""Dances as files: wishes as people type them, projects that come back as they were, broken ones said in a sentence."""

import json
from dataclasses import replace

import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.dance.beats import from_tempo
from genkey_core.dance.project import BeatMarks, Project
from genkey_core.dance.settings import Settings, keyframe_of, pins_of, pins_text

BPM = 117.0
OPEN = Settings(pattern="A-A'-B", motion_low=2, motion_high=600)


def beats():
    return from_tempo(BPM, 0.31, duration_s=7.0)


def test_pins_are_read_as_people_type_them():
    read = pins_of("A: 1>4 or 2 > 5'; B': 3-6, 4→1'", 6)
    assert read == {"A": [(0, 3), (1, 10)], "B'": [(2, 5), (3, 6)]}
    assert pins_of(pins_text(read, 6), 6) == read
    assert pins_of("", 6) == {}
    assert keyframe_of("6’", 6, "x") == 11


def test_a_project_comes_back_as_it_was():
    marks = BeatMarks.of(beats().halved())
    project = Project(replace(OPEN, pins="A: 1>4"), marks, (("a.png", "0" * 64),))
    assert Project.from_json(project.to_json()) == project
    np.testing.assert_allclose(marks.on(beats()).beat_times_s, beats().halved().beat_times_s, atol=1e-5)
    assert project.strangers([("a.png", "0" * 64), ("b.png", "1" * 64)]) == ["b.png"]
    with pytest.raises(InputError, match="this song ends at 3"):
        marks.on(from_tempo(BPM, duration_s=3.0))


def _broken(**changed) -> str:
    content = json.loads(Project(OPEN, BeatMarks.of(beats())).to_json())
    return json.dumps({**content, **changed})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "readable as JSON"),
        ("[" * 100_000, "readable as JSON"),
        ("[1]", "no dance saved by this tool"),
        (_broken(version=9), "version 1 is read"),
        (_broken(settings={"fps": "fast"}), "fps: a number is needed"),
        (_broken(settings={"wings": 2}), "'wings' is not known"),
        (_broken(beats={"times_s": [1, 0], "first_downbeat": 0, "beats_per_bar": 4}), "one after the other"),
        (_broken(beats={"times_s": [0, float("nan")], "first_downbeat": 0, "beats_per_bar": 4}), "finite"),
        (_broken(beats={"times_s": [0, 1], "first_downbeat": 5, "beats_per_bar": 4}), "first downbeat"),
        (_broken(beats=3), "beats cannot be read"),
        (_broken(inputs=["x"]), "files cannot be read"),
    ],
)
def test_a_broken_project_is_a_sentence(text, says):
    with pytest.raises(InputError, match=says):
        Project.from_json(text)
