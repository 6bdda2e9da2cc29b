"""Every way a download can fail is one sentence that says what to do; nothing half-done stays behind."""

import dataclasses
import errno
import hashlib
import os
import shutil
import socket
import types

import pytest
from fake_hub import FILES, TINY, WEIGHTS, connected, file_info, point_to, refusal

from genkey_core import hub
from genkey_core.hub import download

TOTAL = sum(len(FILES[file]) for file in TINY.files)


@pytest.fixture
def fake(monkeypatch, tmp_path):
    with connected(monkeypatch, tmp_path) as running:
        yield running


def _fetch():
    return hub.fetch(TINY)


def _parts(tmp_path):
    return list((tmp_path / "hub").rglob("*.incomplete"))


def _assert_complete(folder):
    for file in TINY.files:
        assert (folder / file).read_bytes() == FILES[file]


def _new_part(tmp_path):
    """Where an interrupted transfer of the weights is kept."""
    part = tmp_path / "hub/models--someone--tiny/blobs" / f"{hashlib.sha256(WEIGHTS).hexdigest()}.genkey.incomplete"
    part.parent.mkdir(parents=True)
    return part


# --- failures, each a sentence ------------------------------------------------------------------------------------


def test_no_network(fake, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        point_to(monkeypatch, f"http://127.0.0.1:{unused.getsockname()[1]}")
        sentence = refusal(_fetch)
    assert "cannot be reached" in sentence
    assert "check the network" in sentence


def test_offline_without_a_copy(fake, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in refusal(_fetch)
    assert fake.requests == []


def test_a_line_that_brings_nothing_gives_up_and_says_what_is_kept(fake):
    fake.drop_after, fake.drop_always = 0, True
    assert "what has arrived is kept" in refusal(_fetch)


def test_gated_without_and_with_the_wrong_account(fake, monkeypatch):
    fake.repositories[TINY.repo_id].gated = True
    wanted = ("accept its licence at https://huggingface.co/someone/tiny", "set it as HF_TOKEN")
    assert all(words in refusal(_fetch) for words in wanted)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert all(words in refusal(_fetch) for words in wanted)


def test_gated_with_the_right_token_which_never_reaches_the_other_host(fake, monkeypatch):
    fake.repositories[TINY.repo_id].gated = True
    fake.good_token = "hf_right"
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    _assert_complete(hub.fetch(TINY))
    tokens = {request.path.startswith("/cdn"): request.token for request in fake.requests}
    assert tokens == {False: "hf_right", True: None}


def test_a_refused_token(fake, monkeypatch):
    fake.good_token = "hf_right"
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    sentence = refusal(_fetch)
    assert "refuses the token in HF_TOKEN" in sentence
    assert "hf_expired" not in sentence


def test_repository_revision_and_file_missing(fake):
    gone = dataclasses.replace(TINY, repo_id="someone/gone")
    assert "someone/gone is not on the Hub" in refusal(lambda: hub.fetch(gone))
    for revision in ("0" * 40, "0000000"):
        other = dataclasses.replace(TINY, revision=revision)
        assert f"no revision {revision}" in refusal(lambda other=other: hub.fetch(other))
    del fake.repositories[TINY.repo_id].files["unet/config.json"]
    assert "lacks unet/config.json" in refusal(_fetch)


@pytest.mark.parametrize(("status", "words"), [(503, "in trouble"), (500, "in trouble"), (429, "limits this address")])
def test_a_server_in_trouble_is_asked_again_and_then_named(fake, status, words):
    fake.failures = [status]
    _assert_complete(hub.fetch(TINY))
    shutil.rmtree(hub.cached(TINY).parents[1])
    fake.failures = [status] * 50
    assert words in refusal(_fetch)


def test_a_forbidden_answer_without_a_token(fake):
    fake.failures = [403]
    assert "known accounts only" in refusal(_fetch)


def test_a_full_disk_is_noticed_before_anything_is_fetched(fake, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=2_000_000))
    sentence = refusal(_fetch)
    assert "70 MB needed, 2 MB free" in sentence
    assert "HF_HOME" in sentence
    assert fake.bodies() == []


def test_room_is_asked_for_what_is_still_missing_only(fake, monkeypatch, tmp_path):
    part = _new_part(tmp_path)
    part.write_bytes(WEIGHTS[:2_900_000])
    free = TOTAL - 2_900_000 + download._SPARE_BYTES
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=free))
    _assert_complete(hub.fetch(TINY))


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "not enough room"), (errno.EDQUOT, "not enough room"), (errno.EACCES, "cannot be written")],
)
def test_a_disk_that_refuses_on_the_way(fake, monkeypatch, code, words):
    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(download, "append", refuse)
    assert words in refusal(_fetch)


def test_damaged_content_is_thrown_away(fake, tmp_path):
    fake.corrupt = True
    assert "arrived damaged" in refusal(_fetch)
    assert hub.cached(TINY) is None
    assert _parts(tmp_path) == []
    fake.corrupt = False
    _assert_complete(hub.fetch(TINY))


def test_a_sign_in_page_is_not_the_hub(fake):
    fake.portal = True
    assert "not the Hub" in refusal(_fetch)


@pytest.mark.parametrize("poison", [{"oid": "../../../evil"}, {"size": "many"}, {"lfs": {"oid": "/etc/x"}}])
def test_a_hostile_listing_writes_nothing(fake, monkeypatch, tmp_path, poison):
    monkeypatch.setattr("fake_hub.file_info", lambda path, content: {**file_info(path, content), **poison})
    assert "not the Hub" in refusal(_fetch)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
