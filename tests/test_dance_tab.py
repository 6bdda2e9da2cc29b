"""The Animal dance tab over HTTP, as a colleague's script uses it, its handlers, and every bad input said in a sentence."""

import json
from pathlib import Path

import cv2
import gradio as gr
import numpy as np
import pytest
from dance_hub import BPM, SONG_S, DanceServer, drum_loop
from drawn_dancer import keyframes

from genkey_core import InputError, media, recipe
from genkey_core.dance.project import Project

pytestmark = pytest.mark.app
client_module = pytest.importorskip("gradio_client")

SMALL = {"max_side": 256, "in_betweens": 4, "motion_low": 2.0, "motion_high": 600.0, "pattern": "A-A'-B"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with DanceServer(tmp_path_factory.mktemp("dance")) as running:
        yield running


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return server.client(tmp_path_factory.mktemp("downloads"))


def danced(client, poses, song, **options):
    files = [client_module.handle_file(str(path)) for path in poses]
    sound = client_module.handle_file(str(song))
    return client.predict(keyframes=files, song=sound, **{**SMALL, **options}, api_name="/dance")


def refusal(client, poses, song, **options) -> str:
    with pytest.raises(client_module.exceptions.AppError) as error:
        danced(client, poses, song, **options)
    return str(error.value)


def test_every_endpoint_is_named_typed_and_documented(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {"/dance", "/dance_beats", "/dance_grid", "/dance_pattern"}
    assert [p["parameter_name"] for p in endpoints["/dance"]["parameters"]][:3] == ["keyframes", "song", "pattern"]
    assert all(p["python_type"]["type"] for p in endpoints["/dance"]["parameters"])


def test_the_beats_of_a_song_over_http(client, song):
    found = client.predict(song=client_module.handle_file(str(song)), api_name="/dance_beats")
    times_s = np.array(found["beat_times_s"])
    grid = np.arange(int(SONG_S * BPM / 60)) * 60 / BPM
    assert found["tempo_bpm"] == pytest.approx(BPM, rel=0.01)
    assert max(np.abs(grid - t).min() for t in times_s) < 0.02
    halved = client.predict(song=client_module.handle_file(str(song)), halve=True, api_name="/dance_beats")
    assert halved["tempo_bpm"] == pytest.approx(BPM / 2, rel=0.01)


def test_pictures_and_a_song_become_a_dance_over_http(client, server, poses, song):
    video, files, info = danced(client, poses, song)
    video = video["video"] if isinstance(video, dict) else video
    facts = media.probe(video)
    assert (facts.width, facts.height, facts.n_frames) == (256, 144, round(SONG_S * 25))
    assert info["complete"] is True
    assert info["proven"] is True
    assert set(info["pairs"]) == {"A", "A'", "B"}
    assert recipe.read(video, method="dance") == info["recipe"]
    picture, project = sorted(files, key=lambda path: path.endswith(".json"))
    assert media.load_image(picture).shape[1] > 500
    opened = Project.from_json(Path(project).read_text(encoding="utf-8"))
    assert opened.settings.pattern == "A-A'-B"
    assert [name for name, _ in opened.inputs] == [*(path.name for path in poses), song.name]
    assert len(opened.beats.times_s) >= 11


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pattern": "A-&"}, "character 3"),
        ({"pattern": ""}, "letters such as"),
        ({"pattern": "A-B-C-D-E-F-G-H-I-J-K-L", "never": "1, 2, 3, 4, 1', 2', 3', 4'"}, "cannot"),
        ({"start_s": 30.0}, "the song ends at 6.0 s"),
        ({"pins": "A: 1>7"}, "a keyframe from 1 to 6"),
        ({"engine": "magic"}, "engine: one of draft"),
        ({"max_side": 5}, "longest side"),
        ({"first_downbeat": 999}, "first downbeat"),
        ({"mirrors": "magic"}, "mirrors: one of draft, flux, sdxl"),
    ],
)
def test_a_wrong_setting_is_a_sentence(client, server, poses, song, options, says):
    before = set(server.results())
    message = refusal(client, poses, song, **options)
    assert says in message
    assert len(message) < 500
    assert {p for p in set(server.results()) - before if p.suffix == ".mp4"} == set()


def test_files_that_cannot_be_danced_are_named(client, poses, song, tmp_path):
    assert "silent" in refusal(client, poses, drum_loop(tmp_path / "silence.wav", silent=True))
    assert "3 to 12" in refusal(client, poses[:2], song)
    words = tmp_path / "words.png"
    words.write_text("only words " * 50)
    assert "words.png" in refusal(client, [*poses[:3], words], song)
    assert "pose-1.png" in refusal(client, [*poses[:3]], poses[0])


def test_a_pickle_that_says_npz_is_not_opened(client, song, tmp_path):
    trap = tmp_path / "moves.npz"
    trap.write_bytes(b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94.")
    with pytest.raises(client_module.exceptions.AppError, match=r"moves\.npz"):
        client.predict(
            song=client_module.handle_file(str(song)),
            dancer=client_module.handle_file(str(trap)),
            api_name="/dance_pattern",
        )


# The handlers by themselves.


@pytest.fixture
def own_files(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))
    return tmp_path / "files"


def test_a_grid_is_cut_into_keyframes(own_files, tmp_path):
    from demos import dance_handlers as handlers

    images = keyframes((320, 180), spread=3)[0]
    grid = np.full((2 * 180 + 12, 3 * 320 + 24, 3), 255, np.uint8)
    for k, image in enumerate(images):
        y, x = k // 3 * 192, k % 3 * 332
        grid[y : y + 180, x : x + 320] = image
    media.save_image(tmp_path / "grid.png", grid)
    session, files, row = handlers.take_keyframes(None, [str(tmp_path / "grid.png")], 6)
    assert len(files) == 6
    assert session["keyframes"] == files
    assert len(row.props["incoming"]["images"]) == 6
    cut = media.load_image(files[4])
    inner = images[4][10:-10, 10:-10]
    found = cv2.matchTemplate(cut, inner, cv2.TM_SQDIFF).min() / inner.size
    assert found < 1


def test_poses_are_taken_from_a_video(own_files, tmp_path):
    from demos import dance_handlers as handlers

    path = tmp_path / "moves.mp4"
    with media.VideoWriter(path, fps=10, size=(384, 216)) as writer:
        for image in np.repeat(keyframes(noise=0.5, spread=3)[0], 6, axis=0):
            writer.write(image)
    _, files, _ = handlers.take_keyframes(None, [str(path)], 5)
    assert len(files) == 5


def test_what_cannot_be_used_leaves_the_box_and_nothing_else_changes(own_files, poses, monkeypatch):
    from demos import dance_handlers as handlers

    said = []
    monkeypatch.setattr(gr, "Warning", lambda text, **_: said.append(text))
    session = {"keyframes": [str(path) for path in poses]}
    skipped, box, row = handlers.take_keyframes(session, [str(poses[0]), str(poses[1])], 6)
    assert box == session["keyframes"]
    assert skipped == row == gr.skip()
    assert "3 to 12" in said[0]


def test_beats_are_corrected_step_by_step(own_files, song):
    from demos import dance_handlers as handlers
    from demos import dance_state as state

    session, _ = handlers.take_song(None, str(song))
    first = state.beats_of(session)
    for edit, tempo in (("halve", 60), ("double", 120), ("double", 240)):
        session = handlers.beat_edit(edit)(session)
        assert state.beats_of(session).tempo_bpm == pytest.approx(tempo, rel=0.02)
        json.dumps(session)  # nothing but plain values is remembered
    session = handlers.heard_again(session)
    np.testing.assert_array_equal(state.beats_of(session).beat_times_s, first.beat_times_s)
    session = handlers.beat_edit("later")(session)
    assert state.beats_of(session).beat_times_s[2] == pytest.approx(first.beat_times_s[2] + 0.02, abs=1e-4)
    session = handlers.first_downbeat(session, 3)
    assert state.beats_of(session).first_downbeat == 2
    session = handlers.tapped(session, {"taps": [0.51, 1.24, 2.02, 2.74, 3.5]})
    assert state.beats_of(session).tempo_bpm == pytest.approx(80, rel=0.03)
    session = handlers.meter(session, "3")
    assert state.beats_of(session).beats_per_bar == 3
    with pytest.raises(gr.Error, match="at least 4 taps"):
        handlers.tapped(session, {"taps": [1.0]})
    with pytest.raises(gr.Error, match="cannot be read"):
        handlers.tapped(session, {"taps": "often"})


def test_the_song_with_clicks_has_them_on_its_beats(own_files, song):
    from demos import dance_state as state
    from demos import dance_work as work

    beats = state.heard(str(song))
    path = work.clicks_file(str(song), beats, 1.0, 5.0)
    mixed = media.read_audio(path)
    assert mixed.duration_s == pytest.approx(4.0, abs=0.01)
    plain = media.read_audio(song, sample_rate=mixed.sample_rate, mono=True, start_s=1.0, end_s=5.0)
    left = np.abs(
        mixed.samples[0]
        - plain.samples[0] * (mixed.samples[0] @ plain.samples[0]) / (plain.samples[0] @ plain.samples[0])
    )
    for t in beats.beat_times_s[(beats.beat_times_s > 1.1) & (beats.beat_times_s < 4.9)] - 1.0:
        at = round(t * mixed.sample_rate)
        assert left[at : at + 300].max() > 4 * left[at - 1500 : at - 200].max()


def test_a_project_fills_the_page_and_names_other_files(own_files, poses, song, tmp_path, monkeypatch):
    from demos import dance_handlers as handlers
    from demos import dance_state as state

    said = []
    monkeypatch.setattr(gr, "Warning", lambda text, **_: said.append(text))
    session = {**state.EMPTY, "keyframes": [str(p) for p in poses], "song": str(song)}
    session = state.with_beats(session, state.heard(str(song)).halved())
    settings = state.Settings(pattern="A-B", pins="A: 1>4", fps=24)
    path = tmp_path / "saved.json"
    path.write_text(state.project_of(session, settings).to_json(), encoding="utf-8")
    opened, _, *values = handlers.open_project({**session, "marks": None}, str(path))
    shown = dict(zip(state.CONTROLS, values, strict=True))
    assert (shown["pattern"], shown["pins"], shown["fps"]) == ("A-B", "A: 1>4", 24)
    assert state.beats_of(opened).tempo_bpm == pytest.approx(BPM / 2, rel=0.02)
    assert said == []
    handlers.open_project({**session, "keyframes": [*map(str, poses[:5]), str(song)]}, str(path))
    assert said == []
    other = tmp_path / "other.png"
    media.save_image(other, keyframes()[2])
    handlers.open_project({**session, "keyframes": [str(other)]}, str(path))
    assert "other.png" in said[0]
    (tmp_path / "no.json").write_text("{}")
    _, box, *_ = handlers.open_project(session, str(tmp_path / "no.json"))
    assert box is None
    assert "no dance saved by this tool" in said[1]


def test_an_edited_timeline_is_a_pattern_again():
    from demos import dance_handlers as handlers

    assert handlers.edited_steps({"labels": ["a", "A'", "C"]}) == "A-A'-C"
    with pytest.raises(gr.Error, match="cannot be read"):
        handlers.edited_steps({"labels": [1]})
    assert handlers.preset("Six segments (7.2.1)") == "A-A'-B-C-D-D"


def test_clicked_wishes_become_text_and_text_is_shown_on_the_keyframes(poses):
    from demos import dance_state as state
    from demos import dance_wishes as clicked

    session = {"keyframes": [str(path) for path in poses]}
    made = {"pins": {"A": ["1>4", "2>5'"], "A'": ["3>6"]}, "ends": ["B"], "never": ["3'", "5"]}
    texts = clicked.wished(session, made)
    assert texts == ("A: 1>4 or 2>5'; A': 3>6", "B", "3', 5")
    controls = dict(zip(state.CONTROLS, (state.Settings().to_dict()[name] for name in state.CONTROLS), strict=True))
    controls |= dict(zip(("pins", "mirrored_ends", "never"), texts, strict=True)) | {"pattern": "A-A'-B"}
    shown = clicked.shown_wishes(session, tuple(controls.values())).props["wishes"]
    assert {name: shown[name] for name in made} == made
    assert shown["labels"] == ["A", "A'", "B"]
    assert clicked.shown_wishes(session, tuple((controls | {"pins": "A: 1"}).values())) == gr.skip()
    with pytest.raises(gr.Error, match="a keyframe from 1 to 6"):
        clicked.wished(session, {**made, "never": ["7"]})
    with pytest.raises(gr.Error, match="character 1"):
        clicked.wished(session, {**made, "ends": ["<b>"]})
    for forged in ("often", {"pins": []}, {**made, "pins": {"A": "1>4"}}, {**made, "never": [3]}):
        with pytest.raises(gr.Error, match="cannot be read"):
            clicked.wished(session, forged)


def test_the_example_needs_no_remark(own_files):
    """Its pattern is as long as its song, to the beat."""
    from demos import dance_handlers as handlers
    from demos import dance_state as state

    session, *_, text, _, _ = handlers.example()
    controls = {**{name: state.Settings().to_dict()[name] for name in state.CONTROLS}, "pattern": text}
    job = state.plan_of(session, tuple(controls.values()))
    assert len(job.pattern) == 20
    assert job.notes == ()


def test_files_that_have_aged_away_are_said(poses, song):
    from demos import dance_state as state

    with pytest.raises(InputError, match="no longer here"):
        state.beats_of({"song": "/nowhere/song.mp3"})
    with pytest.raises(InputError, match="drop one first"):
        state.beats_of(None)
