"""Many visitors at once: everyone their own result, bounded memory, a queue in words, and nothing left of who went away."""

import contextlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from hostile_files import noise_png, png
from hub_server import PATIENCE_S, ROOT, HubServer
from raw_hub import Visitor, file_input, raw_get

from genkey_core import media, recipe

pytestmark = pytest.mark.app
client_module = pytest.importorskip("gradio_client")
USERS = 20


@pytest.fixture(scope="module")
def small_hub(tmp_path_factory):
    """A hub with little room: 2 jobs may wait, and 1 MB a file."""
    limits = {"GENKEY_MAX_QUEUE": "2", "GENKEY_MAX_UPLOAD": "1mb"}
    with HubServer(tmp_path_factory.mktemp("small"), **limits) as server:
        yield server


class AgeingHub(HubServer):
    """A hub in which nothing is old until the test says that everything is: `age()`."""

    _WITH_SIGN = """
import pathlib, runpy, sys
import demos
from demos import jobs
sign, sweep = pathlib.Path(sys.argv.pop(1)), jobs.sweep
jobs.SWEEP_EVERY_S = 0.2
jobs.sweep = lambda: sweep(0.0 if sign.exists() else 1e9)
runpy.run_path("app.py", run_name="__main__")
"""

    def __init__(self, folder):
        super().__init__(folder)
        self.sign = folder / "old"

    def command(self) -> list[str]:
        return ["-c", self._WITH_SIGN, str(self.sign), "--port", str(self.port)]

    def age(self) -> None:
        self.sign.touch()


def colour_of(user: int) -> tuple[int, int, int]:
    """A colour that no other user has, at least 30 levels apart in some channel."""
    return 40 + 60 * (user % 3), 40 + 60 * (user // 3 % 3), 40 + 60 * (user // 9)


def start_long_job(visitor: Visitor, seed: int, size=(640, 360)) -> str:
    """Join the queue with a job that takes minutes on any machine; returns its event id."""
    paths = [visitor.upload(f"{k}.png", noise_png(seed + k, size)).json()[0] for k in range(2)]
    event = visitor.event("inbetween")
    data = visitor.inputs(event)
    data[0], data[1] = [file_input(p) for p in paths], 800
    return visitor.join(event, data).json()["event_id"]


def parts(hub) -> list:
    """Folders of jobs that are writing now."""
    return sorted({p.parent for p in hub.results() if p.match("result-*/.*.part")})


def size_of(path) -> int:
    """Bytes of a file, none where it has gone meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return os.stat(path).st_size
    return 0


def wait_until(condition) -> None:
    """Wait until `condition()` holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_twenty_users_each_get_their_own_result(hub, tmp_path):
    process = psutil.Process(hub.process.pid)
    for user in range(USERS):
        for k in range(2):
            (tmp_path / f"user{user}-{k}.png").write_bytes(png(np.add(colour_of(user), 10 * k)))

    def work(user: int) -> tuple:
        folder = tmp_path / f"got{user}"
        folder.mkdir(exist_ok=True)
        images = [client_module.handle_file(str(tmp_path / f"user{user}-{k}.png")) for k in range(2)]
        client = hub.client(folder)
        video, _, info = client.predict(images=images, fps=8, duration_s=0.25, api_name="/inbetween")
        return (video["video"] if isinstance(video, dict) else video), info

    work(0)  # warm: code is loaded and the machine's speed is measured
    before, at_once = process.memory_info().rss, []
    with ThreadPoolExecutor(USERS) as pool:
        jobs = [pool.submit(work, user) for user in range(USERS)]
        while not all(job.done() for job in jobs):
            assert raw_get(hub.port, "/")[0] == 200
            at_once.append(len(parts(hub)))
            time.sleep(0.1)
        results = [job.result() for job in jobs]
    assert max(at_once) <= 1
    assert process.memory_info().rss - before < 300e6
    for user, (video, info) in enumerate(results):
        own = [recipe.file_sha256(tmp_path / f"user{user}-{k}.png") for k in range(2)]
        assert [i["sha256"] for i in info["recipe"]["inputs"]] == own
        assert recipe.read(video, method="inbetween")["inputs"] == info["recipe"]["inputs"]
        frames = [f.image.reshape(-1, 3).mean(0) for f in media.read_frames(video)]
        assert len(frames) == 3
        assert np.abs(frames[0] - colour_of(user)).max() < 8
        assert np.abs(frames[-1] - np.add(colour_of(user), 10)).max() < 8


def test_a_full_queue_is_said_in_words_and_everyone_sees_their_position(small_hub, tmp_path):
    hub, paths = small_hub, [tmp_path / f"{k}.png" for k in range(2)]
    for k, path in enumerate(paths):
        path.write_bytes(noise_png(k))
    images = [client_module.handle_file(str(p)) for p in paths]
    busy = Visitor(hub.url)
    start_long_job(busy, 100)
    wait_until(lambda: parts(hub))
    waiting = [hub.client(tmp_path) for _ in range(2)]
    jobs = [c.submit(images=images, fps=8, duration_s=0.25, api_name="/inbetween") for c in waiting]
    wait_until(lambda: [j.status().rank for j in jobs] in ([0, 1], [1, 0]))
    assert all(j.status().code.name == "IN_QUEUE" for j in jobs)
    surplus = Visitor(hub.url)
    refused = surplus.join(surplus.event("inbetween"), surplus.inputs(surplus.event("inbetween")))
    assert refused.status_code == 503
    assert refused.json()["detail"].startswith("Many people use this machine just now and its queue is full;")
    with pytest.raises(client_module.utils.QueueError, match="Queue is full! Please try again"):
        hub.client(tmp_path).predict(images=images, api_name="/inbetween")
    assert len(parts(hub)) == 1
    with busy.messages() as messages:
        next(messages)
    for job in jobs:  # the long job's owner has left, so the others get their turn
        assert job.result(timeout=PATIENCE_S)[2]["complete"]
    assert hub.alive


def test_who_leaves_in_the_middle_frees_the_machine(hub, tmp_path):
    wait_until(lambda: not parts(hub))
    before = set(hub.results())
    for round_ in range(2):
        leaver, patient = Visitor(hub.url), Visitor(hub.url)
        start_long_job(leaver, 200 + 10 * round_)
        with leaver.messages() as messages:
            assert any(m["msg"] == "process_generating" for m in messages)
            gone = parts(hub)
            assert len(gone) == 1
            start_long_job(patient, 300 + 10 * round_)
            assert raw_get(hub.port, "/")[0] == 200
            assert parts(hub) == gone  # the page opens while the job runs
        wait_until(lambda gone=gone: len(parts(hub)) == 1 and parts(hub) != gone)  # the next user's job has begun
        with patient.messages() as messages:
            assert any(m["msg"] == "process_generating" for m in messages)
        wait_until(lambda: not parts(hub))
    assert set(hub.results()) <= before


def test_a_cancelled_client_job_stops_and_leaves_no_file(hub, tmp_path):
    paths = [tmp_path / f"{k}.png" for k in range(2)]
    for k, path in enumerate(paths):
        path.write_bytes(noise_png(400 + k, (640, 360)))
    before = set(hub.results())
    client = hub.client(tmp_path)
    job = client.submit(
        images=[client_module.handle_file(str(p)) for p in paths],
        duration_s=400,
        frames_zip=True,
        api_name="/inbetween",
    )
    wait_until(lambda: job.outputs())
    assert parts(hub)
    job.cancel()
    wait_until(lambda: not parts(hub))
    assert set(hub.results()) <= before
    short = client.predict(
        images=[client_module.handle_file(str(p)) for p in paths], duration_s=0.1, api_name="/inbetween"
    )
    assert short[2]["complete"]


def test_a_file_over_the_limit_is_refused_and_not_kept(small_hub):
    visitor = Visitor(small_hub.url)

    def kept() -> set:
        return {path for path in small_hub.kept() if size_of(path)}

    before = kept()
    answer = visitor.upload("large.png", b"x" * (2**20 + 1))
    assert answer.status_code == 413
    assert "File size exceeded maximum allowed size of 1048576 bytes" in answer.text
    answer = visitor.upload("larger.png", b"x" * (25 * 2**20))
    assert answer.status_code == 413
    assert "at most 24.0 MB may be sent here" in answer.text
    wait_until(lambda: kept() <= before)
    assert visitor.upload("fits.png", b"x" * 2**20).status_code == 200


def test_uploads_and_results_are_deleted_without_any_visitor_but_not_under_a_running_job(tmp_path):
    with AgeingHub(tmp_path) as hub:
        visitor, other = Visitor(hub.url), Visitor(hub.url)
        paths = [visitor.upload(f"{k}.png", noise_png(500 + k)).json()[0] for k in range(2)]
        event = visitor.event("inbetween")
        data = visitor.inputs(event)
        data[0], data[1], data[14] = [file_input(p) for p in paths], 0.25, True
        assert visitor.call(event, data)[-1]["success"]
        assert {p.suffix for p in hub.results()} >= {".mp4", ".zip"}
        start_long_job(other, 600)
        with other.messages() as messages:
            assert any(m["msg"] == "process_generating" for m in messages)
            [running] = parts(hub)
            finished = {p.parent for p in hub.results()} - {running}
            assert finished
            hub.age()
            wait_until(lambda: not any(p.exists() for p in finished))
            wait_until(lambda: not any(os.path.exists(p) for p in paths))
            assert parts(hub) == [running]
            assert any(m["msg"] == "process_generating" for m in messages)
            assert parts(hub) == [running]
        wait_until(lambda: not hub.kept())


def test_a_killed_server_leaves_no_whole_looking_file_and_the_next_one_cleans_up(tmp_path):
    with HubServer(tmp_path / "first") as hub:
        start_long_job(Visitor(hub.url), 700)
        wait_until(lambda: parts(hub))
        wait_until(lambda: any(size_of(p) for p in hub.results()))
        hub.process.kill()
        hub.process.wait()
        left = hub.results()
        assert left
        assert all(p.name.startswith(".") and p.suffix == ".part" for p in left)
    with HubServer(tmp_path / "second", GRADIO_TEMP_DIR=str(hub.files), GENKEY_RESULT_AGE_S="1"):
        wait_until(lambda: not hub.results() and not [p for p in hub.kept() if p.suffix == ".png"])


def test_waiting_threads_do_not_pile_up(hub):
    """After all the above: no thread of a job that is long gone."""
    wait_until(lambda: not parts(hub))
    process = psutil.Process(hub.process.pid)
    wait_until(lambda: process.num_threads() < 40 + 8 * psutil.cpu_count())


def test_files_lie_in_a_folder_that_no_other_user_or_program_shares(tmp_path):
    def folder() -> str:
        environment = {k: v for k, v in os.environ.items() if k != "GRADIO_TEMP_DIR"} | {"TMPDIR": str(tmp_path)}
        code = "import os, demos; print(os.environ['GRADIO_TEMP_DIR'])"  # what Gradio reads when it is imported
        return subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    first = folder()
    assert os.path.dirname(first) == str(tmp_path)
    assert os.stat(first).st_mode & 0o077 == 0
    assert folder() == first  # the next start finds, and sweeps, what a killed one left
    os.chmod(first, 0o777)  # as if somebody had made it first, to read along
    assert folder() != first
