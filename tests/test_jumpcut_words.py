"""Whisper in the Jump cut tab and its API, with a tiny one from a small Hub on this machine."""

from types import SimpleNamespace

import gradio as gr
import pytest
from fake_hub import COMMIT, connected
from jumpcut_hub import talk

from genkey_core import runtime
from genkey_core.jumpcut.survey import Survey
from genkey_core.jumpcut.transcript import Transcript, Word

pytestmark = pytest.mark.app
OWN = f"someone/verbatim@{COMMIT}"
CONTROLS = (0.4, 0.0, 0.1, True, "auto", 4, 6, 4096, "draft")
VISITOR = SimpleNamespace(session_hash="a visitor")


@pytest.fixture
def fake(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    with connected(monkeypatch, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    pytest.importorskip("transformers")
    from tiny_whisper import save_tiny_whisper

    folder = save_tiny_whisper(tmp_path_factory.mktemp("whisper"))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return str(talk(tmp_path_factory.mktemp("talk") / "talk.mp4"))


def analysed(video: str, model: str, language: str = "en") -> list[tuple]:
    from demos.jumpcut_handlers import analyse
    from demos.jumpcut_state import new_session

    return list(analyse(VISITOR, new_session(video), model, language, *CONTROLS))


def test_analyse_transcribes_and_the_rows_and_captions_have_the_words(fake, tiny, video, monkeypatch):
    from genkey_core.jumpcut import whisper

    fake.add("someone/verbatim", tiny)
    heard = [Word(0.1, 0.3, "well", 0.9), Word(0.3, 0.5, "well", 0.9), Word(0.55, 0.7, "um", 0.8)]
    monkeypatch.setattr(whisper.Recogniser, "words", lambda self, samples, **_: heard)
    steps = analysed(video, OWN)
    said = [str(step[0]) for step in steps]
    assert any("fetching someone/verbatim" in line for line in said)
    assert any("Transcribing · " in line and "well well um" in line for line in said)
    line, session, editor, *_ = steps[-1]
    assert "words were heard (en); captions come with the result" in line
    assert isinstance(session["transcript"], Transcript)
    rows = editor["incoming"]["rows"] if isinstance(editor, dict) else editor.props["incoming"]["rows"]
    assert {"repeat", "filler", "pause"} <= {row["kind"] for row in rows}


def test_a_whole_job_over_http_makes_captions_of_what_whisper_heard(fake, tiny, video):
    from demos.jumpcut_api import jumpcut

    fake.add("someone/verbatim", tiny)
    *_, (made, files, info) = jumpcut(video, mode="hard cut", recogniser=OWN, language="en")
    assert made.endswith(".mp4")
    assert {file.rsplit(".", 1)[1] for file in files} == {"json", "edl", "srt", "vtt"}
    assert info["complete"] is True


@pytest.mark.parametrize("trouble", ["offline", "absent", "no network"])
def test_without_weights_a_sentence_says_so_and_the_analysis_stands(fake, video, monkeypatch, trouble):
    from huggingface_hub import constants

    from demos.jumpcut_api import jumpcut_analyse

    if trouble == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    if trouble == "no network":
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    says = {"offline": "HF_HUB_OFFLINE", "absent": "not on the Hub", "no network": "cannot be reached"}[trouble]
    *_, found = jumpcut_analyse(video, recogniser="whisper-small")
    assert [row["kind"] for row in found["rows"]] == ["pause", "pause"]
    assert found["words"] == []
    assert any(note.startswith("There is no transcript: ") and says in note for note in found["notes"])
    line, *_ = analysed(video, "whisper-small")[-1]
    assert "There is no transcript" in line
    assert says in line
    first = analysed(video, "whisper-small")
    kept = next(step[1] for step in first if "folder" in step[1])  # the steps before leave the session as it is
    assert Survey.load(kept["folder"]).rows
    assert kept["transcript"] is None


def test_a_recogniser_that_breaks_down_leaves_the_analysis(fake, tiny, video, monkeypatch):
    from genkey_core.jumpcut import whisper

    def broken(self, samples, **_):
        raise RuntimeError("out of memory, say")

    fake.add("someone/verbatim", tiny)
    monkeypatch.setattr(whisper.Recogniser, "words", broken)
    assert "the recogniser broke down (RuntimeError" in analysed(video, OWN)[-1][0]


def test_a_name_that_is_none_is_refused_before_anything_waits(video):
    from demos.jumpcut_handlers import prepare_analysis
    from demos.jumpcut_state import new_session

    with pytest.raises(gr.Error, match="owner/name@commit"):
        prepare_analysis(VISITOR, new_session(video), "whisper-enormous", "")
    with pytest.raises(gr.Error, match="two letters"):
        prepare_analysis(VISITOR, new_session(video), "whisper-small", "English please")


def test_the_line_says_what_it_will_cost(fake, video, monkeypatch):
    from demos.jumpcut_state import new_session
    from demos.jumpcut_words import told

    assert "972 MB" in told(None, "whisper-small")
    assert "for a minute of sound" in told(None, "whisper-small")
    assert "1.6 GB" in told(new_session(video), "whisper-turbo")
    assert "MIT" in told(new_session(video), "whisper-turbo")
    assert "owner/name@commit" in told(None, "nonsense")
    assert "Speech stays on this machine" in told(None, "none")
    monkeypatch.setattr(runtime, "on_spaces", lambda: True)
    assert "owner/name" not in told(None, "none")


def test_silent_video_is_not_transcribed(fake, tmp_path):
    silent = str(talk(tmp_path / "silent.mp4", 1.0, with_sound=False))
    assert "no sound to listen to" in analysed(silent, "whisper-small")[-1][0]
