"""The engines of the Jump cut tab: choices per cut as the page sends them, what cannot run, fitting, and all of it over HTTP."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
client_module = pytest.importorskip("gradio_client")

from jumpcut_hub import JumpcutServer  # noqa: E402
from tiny_jumpcut import presenter_files, tiny_model  # noqa: E402

from demos import jumpcut_engines, jumpcut_fit, jumpcut_state, jumpcut_view  # noqa: E402
from genkey_core import InputError, media, recipe  # noqa: E402
from genkey_core.jumpcut.cutlist import Row  # noqa: E402
from genkey_core.jumpcut.estimate import cut_cost  # noqa: E402
from genkey_core.jumpcut.survey import survey  # noqa: E402

CONTROLS = (0.4, 0.0, 0.1, True, "blended", 2, 3, 4096, "draft")
VISITOR = SimpleNamespace(session_hash="visitor")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presenter")
    video, body = presenter_files(folder)
    list(survey(video, folder))
    return SimpleNamespace(folder=folder, video=video, body=body, model=tiny_model(folder / "model"))


@pytest.fixture
def session(files):
    return {**jumpcut_state.new_session(str(files.video)), "folder": str(files.folder)}


def editor() -> dict:
    rows = [Row(0.5, 0.8, "range"), Row(1.5, 1.9, "range")]
    return {"rows": [jumpcut_state.sent(f"own-{i}", row, own=True) for i, row in enumerate(rows)]}


def planned(session, *choices, controls=CONTROLS):
    return jumpcut_state.plan_of(session, editor(), {"choices": list(choices)}, controls)


# --- choices per cut ---------------------------------------------------------------------------------------------------


def test_the_page_chooses_mode_engine_and_frames_of_each_cut(session):
    mine = {"last": 14, "first": 19, "engine": "mini", "neighbourhood": 1}
    other = {"last": 4, "first": 8, "mode": "inserted", "n_inserted": 5}
    job = planned(session, mine, other)
    told = [(t.mode, t.engine, t.neighbourhood, t.n_inserted) for t in job.treatments]
    assert told == [("inserted", "draft", 2, 5), ("blended", "mini", 1, 0)]
    table = jumpcut_view.cuts_news(job, {}, {})
    assert [name for name, _ in table["engines"]] == list(jumpcut_engines.ENGINES)
    assert [(cut["mode"], cut["n_inserted"], cut["neighbourhood"]) for cut in table["cuts"]] == [
        ("inserted", 5, 2),
        ("blended", 0, 1),
    ]
    for wrong, says in (
        ({"engine": "magic"}, "cut 2, engine: one of draft"),
        ({"engine": ["mini"]}, "choice 1, engine: a name"),
        ({"neighbourhood": 1e9}, "choice 1, frames remade"),
        ({"n_inserted": "x" * 500}, "choice 1, new frames"),
        ({"n_inserted": True}, "choice 1, new frames"),
    ):
        with pytest.raises(InputError, match=says) as error:
            planned(session, {"last": 14, "first": 19, **wrong})
        assert len(str(error.value)) < 300


# --- what cannot run -----------------------------------------------------------------------------------------------------


def test_what_an_engine_lacks_is_a_sentence_before_any_work(session, files, tmp_path, monkeypatch):
    learned = planned(session, {"last": 14, "first": 19, "engine": "learned"})
    for kept, says in (
        ({}, "no network was fitted"),
        ({"fitted": str(files.model)}, "drop this video's body map, or choose DensePose"),
        ({"fitted": str(files.model), "body": str(tmp_path / "gone.npz")}, "no longer here"),
        ({"fitted": str(tmp_path), "body": str(files.body)}, "holds no network"),
    ):
        with pytest.raises(InputError, match=says):
            jumpcut_state.engines_of({**session, **kept}, learned)
    ready = {**session, "fitted": str(files.model), "body": str(files.body)}
    engines = jumpcut_state.engines_of(ready, learned)
    assert cut_cost(learned, engines).seconds > cut_cost(learned).seconds
    assert [source["name"] for source in jumpcut_state.inputs_beside(ready, learned)] == ["body map", "fitted network"]
    assert jumpcut_state.engines_of(ready, planned(session)) == {}
    monkeypatch.setattr("genkey_core.runtime.best_device", lambda: "cpu")
    with pytest.raises(InputError, match="full: "):
        jumpcut_state.engines_of(session, planned(session, {"last": 14, "first": 19, "engine": "svd"}))


def test_a_clip_engine_of_chapter_5_says_what_it_needs(session):
    job = planned(session, {"last": 14, "first": 19, "engine": "svd-mini"})
    engines = jumpcut_state.engines_of(session, job)
    assert engines["svd-mini"].whole_clips
    assert cut_cost(job, engines).seconds > cut_cost(job).seconds + 1
    assert "small world" in cut_cost(job, engines).notes[0]


# --- the body map and the fit -----------------------------------------------------------------------------------------------


def test_a_body_map_is_taken_once_it_fits_the_video(session, files, tmp_path):
    taken, _ = jumpcut_fit.take_body(VISITOR, {**session, "fitted": "x"}, str(files.body))
    assert (taken["body"], taken["fitted"]) == (str(files.body), None)
    np.savez(tmp_path / "short.npz", iuv=np.zeros((3, 8, 8, 3), np.uint8))
    with pytest.warns(UserWarning, match="3 maps"):
        _, box = jumpcut_fit.take_body(VISITOR, session, str(tmp_path / "short.npz"))
    assert box is None
    assert jumpcut_fit.take_body(VISITOR, taken, None)[0]["body"] is None


def test_a_fit_is_refused_in_words_where_it_cannot_be_done(session, files, monkeypatch):
    ready = {**session, "body": str(files.body)}
    assert jumpcut_fit.check_fit(ready, 2) == 2.0
    for kept, minutes, says in (
        (session, 2, "drop this video's body map"),
        (ready, 0, "minutes"),
        (ready, float("nan"), "minutes"),
        (ready, "x", "minutes"),
        (ready, 700, "choose fewer"),
        ({**ready, "folder": None}, 2, "press Analyse"),
    ):
        with pytest.raises(InputError, match=says):
            jumpcut_fit.check_fit(kept, minutes)
    monkeypatch.setattr("genkey_core.runtime.on_zero_gpu", lambda: True)
    with pytest.raises(InputError, match="lent here for minutes"):
        jumpcut_fit.check_fit(ready, 2)


# --- over HTTP --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with JumpcutServer(tmp_path_factory.mktemp("jumpcut")) as running:
        yield running


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return client_module.Client(server.url, download_files=str(tmp_path_factory.mktemp("downloads")), verbose=False)


@pytest.mark.app
def test_a_network_is_fitted_and_hides_a_cut_over_http(client, files):
    sent = {name: client_module.handle_file(str(getattr(files, name))) for name in ("video", "body")}
    network, info = client.predict(video=sent["video"], body_map=sent["body"], minutes=0.1, api_name="/jumpcut_fit")
    assert info["said"].startswith("step")
    made, _, info = client.predict(
        video=sent["video"], body_map=sent["body"], fitted=client_module.handle_file(network), engine="learned",
        remove="1.0 to 1.5", mode="blended", neighbourhood=1, api_name="/jumpcut",
    )  # fmt: skip
    assert info["complete"] is True
    assert [(cut["engine"], cut["mode"]) for cut in info["cuts"]] == [("learned", "blended")]
    assert "painted" in info["cuts"][0]["note"]
    made = made["video"] if isinstance(made, dict) else made
    assert media.probe(made).n_frames == info["frames"]
    assert [source["name"] for source in recipe.read(made, method="jumpcut")["inputs"]][1:] == [
        "body map",
        "fitted network",
    ]
    assert json.dumps(info)


@pytest.mark.app
def test_what_is_missing_over_http_is_a_sentence(client, files, tmp_path):
    words = tmp_path / "words.npz"
    words.write_text("only words")
    video = client_module.handle_file(str(files.video))
    for options, endpoint, says in (
        ({"engine": "learned"}, "/jumpcut", "no network was fitted"),
        ({"engine": "mini"}, "/jumpcut", "drop this video"),
        ({"engine": "learned", "fitted": client_module.handle_file(str(files.body)), "densepose": True,
          "remove": "1 to 1.5"}, "/jumpcut", "not one of this tool"),
        ({}, "/jumpcut_fit", "drop this video"),
        ({"body_map": client_module.handle_file(str(words))}, "/jumpcut_fit", "not an .npz file"),
        ({"body_map": client_module.handle_file(str(files.body)), "minutes": -1}, "/jumpcut_fit", "minutes"),
    ):  # fmt: skip
        with pytest.raises(client_module.exceptions.AppError) as error:
            client.predict(video=video, **options, api_name=endpoint)
        assert says in str(error.value), (options, str(error.value))
