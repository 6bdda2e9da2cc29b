"""Checkpoints: the table, and their transfer from a small Hub on this machine that breaks off on demand."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from fake_hub import COMMIT, FILES, TINY, WEIGHTS, connected

from genkey_core import hub
from genkey_core.checks import InputError

ROOT = Path(__file__).resolve().parents[1]
TOTAL = sum(len(FILES[file]) for file in TINY.files)


@pytest.fixture
def fake(monkeypatch, tmp_path):
    with connected(monkeypatch, tmp_path) as running:
        yield running


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


# --- the table ----------------------------------------------------------------------------------------------------


def test_every_checkpoint_is_pinned_and_licensed():
    for name, entry in hub.CHECKPOINTS.items():
        assert entry.name == name
        assert len(entry.revision) in range(7, 41)
        assert entry.repo_id.count("/") == 1
        assert entry.licence
        assert entry.licence_url.startswith("https://huggingface.co/")
        assert entry.files
        assert not any(file.endswith((".bin", ".pt", ".ckpt", ".pkl")) for file in entry.files), "no pickles"
        assert hub.checkpoint(name) is entry is hub.checkpoint(entry)


def test_an_unknown_checkpoint_is_a_sentence_with_the_names():
    first = ", ".join(list(hub.CHECKPOINTS)[:8])
    with pytest.raises(InputError, match=rf"one of {first}, .* is needed, got 'svd-2'\.$"):
        hub.checkpoint("svd-2")


@pytest.mark.parametrize("changes", [{"revision": "main"}, {"revision": "c0ffe"}, {"revision": COMMIT + "0"}])
def test_branches_are_no_pins(changes):
    with pytest.raises(InputError, match="commit hash"):
        dataclasses.replace(TINY, **changes)


@pytest.mark.parametrize("file", ["../secrets", "/etc/passwd", "unet/../../x", "a\\b", ""])
def test_files_stay_inside_the_repository(file):
    with pytest.raises(InputError, match="path inside the repository"):
        dataclasses.replace(TINY, files=(file,))


# --- fetching -----------------------------------------------------------------------------------------------------


def test_a_fetched_checkpoint_is_complete_and_where_the_real_client_looks(fake):
    from huggingface_hub import constants, hf_hub_download, snapshot_download

    assert hub.cached(TINY) is None
    folder = hub.fetch(TINY)
    _assert_complete(folder)
    assert not (folder / "unet/unwanted.bin").exists()
    assert hub.cached(TINY) == folder
    cache = constants.HF_HUB_CACHE
    for file in TINY.files:
        found = hf_hub_download(TINY.repo_id, file, revision=COMMIT, cache_dir=cache, local_files_only=True)
        assert Path(found) == folder / file
    found = snapshot_download(TINY.repo_id, revision=COMMIT, cache_dir=cache, local_files_only=True)
    assert Path(found) == folder


def test_files_the_real_client_fetched_are_not_fetched_again(fake):
    from huggingface_hub import constants, snapshot_download

    folder = snapshot_download(
        TINY.repo_id, revision=COMMIT, cache_dir=constants.HF_HUB_CACHE, endpoint=fake.url, allow_patterns=[*TINY.files]
    )
    fake.requests.clear()
    assert hub.fetch(TINY) == Path(folder)
    assert fake.requests == []


def test_a_complete_copy_needs_no_network(fake, monkeypatch):
    from huggingface_hub import constants

    folder = hub.fetch(TINY)
    fake.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.fetch(TINY) == folder
    assert fake.requests == []


def test_only_what_is_missing_is_fetched(fake):
    folder = hub.fetch(TINY)
    (folder / "unet/config.json").unlink()
    (folder / "unet/model.safetensors").resolve().unlink()  # the blob: its link now leads nowhere
    fake.requests.clear()
    _assert_complete(hub.fetch(TINY))
    assert len(fake.bodies()) == 2, "the large file: a redirect, then its content; the small one from its blob"


def test_progress_counts_up_to_the_size_of_all_files(fake):
    seen = []
    hub.fetch(TINY, progress=lambda done, total, file: seen.append((done, total, file)))
    counts = [done for done, _, _ in seen]
    assert counts == sorted(counts)
    assert counts[-1] == TOTAL
    assert {total for _, total, _ in seen} == {TOTAL}
    assert list(dict.fromkeys(file for _, _, file in seen)) == list(TINY.files)
    assert len(counts) > len(TINY.files) + 1, "a large file reports on its way"


def test_an_abbreviated_revision_is_looked_up_once_and_then_binding(fake, monkeypatch):
    from huggingface_hub import constants

    short = dataclasses.replace(TINY, revision=COMMIT[:7])
    folder = hub.fetch(short)
    _assert_complete(folder)
    assert folder.name == COMMIT
    assert hub.cached(TINY) == folder
    fake.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.fetch(short) == folder
    assert fake.requests == []


def test_two_callers_at_once_share_one_download(fake):
    fake.pause_s = 0.3
    folders = []
    threads = [threading.Thread(target=lambda: folders.append(hub.fetch(TINY))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 1
    assert len(folders) == 4
    _assert_complete(folders[0])
    assert sum(request.path.startswith("/cdn") for request in fake.bodies()) == 1


# --- interruptions ------------------------------------------------------------------------------------------------


def test_a_broken_connection_is_taken_up_where_it_ended(fake, tmp_path):
    fake.drop_after = 1_200_000
    _assert_complete(hub.fetch(TINY))
    ranges = [request.range for request in fake.bodies() if request.path.startswith("/cdn")]
    assert ranges[0] is None
    assert len(ranges) == 2
    assert 0 < int(ranges[1].removeprefix("bytes=").rstrip("-")) <= 1_200_000
    assert _parts(tmp_path) == []


def test_a_line_that_keeps_breaking_still_arrives(fake):
    fake.drop_after, fake.drop_always = 400_000, True
    _assert_complete(hub.fetch(TINY))
    assert len(fake.bodies()) > 2 * 7, "more breaks than retries: each brought something"


def test_a_stopped_download_is_resumed_by_the_next_call(fake, tmp_path):
    class Stop(Exception):
        pass

    def stop(done, total, file):
        if done > 1_500_000:
            raise Stop

    with pytest.raises(Stop):
        hub.fetch(TINY, progress=stop)
    (part,) = _parts(tmp_path)
    kept = part.stat().st_size
    assert kept > 1_000_000
    assert hub.cached(TINY) is None
    fake.requests.clear()
    seen = []
    _assert_complete(hub.fetch(TINY, progress=lambda done, total, file: seen.append(done)))
    assert fake.bodies()[-1].range == f"bytes={kept}-"
    assert seen[0] == kept


def test_without_ranges_a_resumed_download_starts_again_and_is_right(fake, tmp_path):
    part = _new_part(tmp_path)
    part.write_bytes(b"stale" * 1000)
    fake.ranges = False
    _assert_complete(hub.fetch(TINY))


@pytest.mark.parametrize("excess", [0, 10])
def test_a_part_that_is_full_or_too_long_does_not_get_stuck(fake, tmp_path, excess):
    part = _new_part(tmp_path)
    part.write_bytes(WEIGHTS + b"x" * excess)
    _assert_complete(hub.fetch(TINY))


_IN_A_PROCESS = """
    import os, signal, sys
    from fake_hub import TINY
    from genkey_core import hub

    def progress(done, total, file):
        if sys.argv[1] == "die" and done > 1_500_000:
            os.kill(os.getpid(), signal.SIGKILL)

    print(hub.fetch(TINY, progress=progress))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process by signal")
def test_a_killed_process_resumes_and_the_environment_is_obeyed(fake, tmp_path):
    def run(what, **extra):
        environment = {**os.environ, "HF_ENDPOINT": fake.url, "HF_HOME": str(tmp_path / "home"), **extra}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        environment.pop("HF_HUB_CACHE", None)
        command = [sys.executable, "-c", textwrap.dedent(_IN_A_PROCESS), what]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200, check=False)

    assert run("die").returncode == -signal.SIGKILL
    fake.requests.clear()
    finished = run("live")
    assert finished.returncode == 0, finished.stderr
    _assert_complete(Path(finished.stdout.strip()))
    assert int(fake.bodies()[-1].range.removeprefix("bytes=").rstrip("-")) > 1_000_000
    fake.requests.clear()
    offline = run("live", HF_HUB_OFFLINE="1")
    assert offline.stdout == finished.stdout
    assert fake.requests == []


def test_nothing_is_asked_or_imported_before_a_call():
    code = "import sys, genkey_core.hub; print([m for m in ('huggingface_hub', 'torch', 'safetensors') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=1200, check=True
    )
    assert done.stdout.strip() == "[]"
