"""The Jump cut tab over HTTP, as a colleague's script uses it, its handlers, and every bad input said in a sentence."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from jumpcut_hub import FPS, PAUSES_S, JumpcutServer, talk
from raw_hub import Visitor, file_input

from genkey_core import InputError, media, recipe
from genkey_core.jumpcut.cutlist import Row
from genkey_core.jumpcut.exports import from_json

pytestmark = pytest.mark.app
client_module = pytest.importorskip("gradio_client")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with JumpcutServer(tmp_path_factory.mktemp("jumpcut")) as running:
        yield running


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return server.client(tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return talk(tmp_path_factory.mktemp("talk") / "talk.mp4")


def cut(client, path, **options):
    return client.predict(video=client_module.handle_file(str(path)), **options, api_name="/jumpcut")


def refusal(client, path, **options) -> str:
    with pytest.raises(client_module.exceptions.AppError) as error:
        cut(client, path, **options)
    return str(error.value)


def test_every_endpoint_is_named_typed_and_documented(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {"/jumpcut", "/jumpcut_analyse", "/jumpcut_fit"}
    assert [p["parameter_name"] for p in endpoints["/jumpcut"]["parameters"]][:3] == ["video", "remove", "pauses"]
    assert all(p["python_type"]["type"] for p in endpoints["/jumpcut"]["parameters"])


def test_the_pauses_are_found_over_http(client, video):
    found = client.predict(video=client_module.handle_file(str(video)), api_name="/jumpcut_analyse")
    pauses = [(row["start_s"], row["end_s"]) for row in found["rows"] if row["kind"] == "pause"]
    assert np.array(pauses) == pytest.approx(np.array(PAUSES_S), abs=0.08)
    assert found["duration_s"] == 5.0


def test_a_talk_is_cut_and_its_exports_agree(client, server, video, tmp_path):
    said = tmp_path / "said.srt"
    said.write_text("1\n00:00:00,200 --> 00:00:01,000\nHello there\n\n2\n00:00:02,400 --> 00:00:03,200\nagain um\n")
    made, files, info = cut(
        client, video, remove="remove 4.6 to 4.8 s", transcript=client_module.handle_file(str(said)), neighbourhood=2
    )
    made = made["video"] if isinstance(made, dict) else made
    facts = media.probe(made)
    assert info["complete"] is True
    assert facts.n_frames == info["frames"] < 5 * FPS - 14
    assert abs(facts.audio_duration_s - facts.duration_s) < 0.5 / FPS
    assert recipe.read(made, method="jumpcut") == info["recipe"]
    assert len(info["cuts"]) == 4
    assert all(c["mode"] in ("blended", "punch-in", "hard cut") and c["reasons"] for c in info["cuts"])
    by_kind = {Path(file).suffix: Path(file).read_text(encoding="utf-8") for file in files}
    assert set(by_kind) == {".json", ".edl", ".srt", ".vtt"}
    assert {row.kind for row in from_json(by_kind[".json"]).rows if row.remove} == {"pause", "range", "filler"}
    assert by_kind[".edl"].count("FROM CLIP NAME") == 5
    assert "Hello there" in by_kind[".srt"]
    assert " um" not in by_kind[".vtt"]  # it was cut out
    assert not [p for p in server.results() if p.suffix == ".wav"]


def test_bad_input_is_a_sentence_and_leaves_nothing(client, server, video, tmp_path):
    words = tmp_path / "notes.mp4"
    words.write_text("these are only words\n" * 30)
    silent = talk(tmp_path / "silent.mp4", 1.0, with_sound=False)
    before = set(server.results())
    for path, options, says in (
        (words, {}, "notes.mp4"),
        (video, {"remove": "remove 3 to 2 s"}, "before its start"),
        (video, {"remove": "remove nan to 2"}, "is the form"),
        (video, {"remove": "90 to 95"}, "but the video ends at 5 s"),
        (video, {"remove": "0 to 5"}, "everything would be removed"),
        (video, {"mode": "hard cut", "padding_s": -1}, "padding: must be between"),
        (video, {"shortest_pause_s": 0}, "shortest pause: must be between"),
        (video, {"neighbourhood": 99}, "frames remade on each side"),
        (silent, {}, "nothing is set to be removed"),
    ):
        message = refusal(client, path, **options)
        assert says in message, message
        assert len(message) < 300
        assert str(server.files) not in message
    left = {p for p in set(server.results()) - before if not p.name.startswith(("survey", "preview"))}
    assert left == set()
    assert server.alive


FORGED = [
    None,
    "x" * 500,
    -1e308,
    float(2**70),
    [[]],
    {"path": "/etc/passwd"},
    {"rows": 3},
    {"choices": [[]]},
    file_input("/etc/passwd"),
]


def test_files_that_were_not_uploaded_cannot_be_named(server):
    visitor = Visitor(server.url)
    event = visitor.event("jumpcut_analyse")
    for path, says in (("/etc/passwd", "not uploaded here"), ("http://127.0.0.1:1/x.mp4", "not fetched here")):
        last = visitor.call(event, [file_input(path), 0.4, 0.0, True])[-1]
        assert last["success"] is False
        assert says in last["output"]["error"]


def test_no_forged_value_breaks_an_event_or_tells_of_the_machine(server):
    visitor = Visitor(server.url)
    for event, value in itertools.product(visitor.events, FORGED):
        inputs = visitor.events[event]["inputs"]
        answer = visitor.join(event, [value] * len(inputs))
        if answer.status_code != 200:
            continue
        with visitor.messages() as messages:
            text = ""
            for message in messages:
                text += str(message)
                if message["msg"] in ("process_completed", "unexpected_error", "close_stream"):
                    break
        assert "root:x:0" not in text
        assert "Traceback" not in text
        assert "Something broke here" not in text, (event, value, text[:500])
    assert server.alive


# --- handlers, without a server ------------------------------------------------------------------------------------


def test_rows_that_the_page_sends_are_checked():
    from demos.jumpcut_state import choices_sent, picked_cut, rows_sent, sent

    good = sent("s1", Row(1.0, 2.0, "pause", 0.5))
    assert rows_sent({"rows": [good]}) == [Row(1.0, 2.0, "pause", 0.5)]
    for broken in (None, {}, {"rows": [3]}, {"rows": [{"start_s": 1}]}):
        with pytest.raises(InputError, match="cannot be read"):
            rows_sent(broken)
    for wrong, says in (
        ({"start_s": 3.0}, "row 1: it ends at 2 s, before its start"),
        ({"end_s": None}, "row 1, end: a number"),
        ({"kind": "joke"}, "row 1, kind"),
        ({"remove": "yes"}, "row 1, remove"),
    ):
        with pytest.raises(InputError, match=says):
            rows_sent({"rows": [{**good, **wrong}]})
    assert choices_sent({"choices": [{"last": 1, "first": 5, "mode": "hard cut"}]})[0].mode == "hard cut"
    with pytest.raises(InputError, match="choice 1"):
        choices_sent({"choices": [{"last": 5, "first": 1, "mode": "hard cut"}]})
    with pytest.raises(InputError, match="two frame numbers"):
        picked_cut({"picked": ["../../etc", 1]})


def test_typed_ranges_and_restored_rows_are_the_users_own(tmp_path):
    from demos.jumpcut_state import added, new_session, restored, source_of, survey_of
    from genkey_core.jumpcut.survey import survey

    *_, found = survey(talk(tmp_path / "talk.mp4", 1.0), tmp_path)
    news = added("remove 0.2 to 0.4 s; keep 0.5 to 0.6", found)
    assert [(row["start_s"], row["remove"], row["own"]) for row in news["add"]] == [
        (0.2, True, True),
        (0.5, False, True),
    ]
    for text, says in (
        ("7 to 8", "after the end of the video at 1.00 s"),
        ("", "none is typed"),
        ("soon", "is the form"),
    ):
        with pytest.raises(InputError, match=says):
            added(text, found)
    assert [row["id"] for row in restored((Row(0.1, 0.2, "range"),))["restore"]] == ["own-0"]
    with pytest.raises(InputError, match="drop one first"):
        source_of(None)
    with pytest.raises(InputError, match="no longer here"):
        source_of(new_session(str(tmp_path / "gone.mp4")))
    with pytest.raises(InputError, match="press Analyse"):
        survey_of(new_session(str(tmp_path / "talk.mp4")))
