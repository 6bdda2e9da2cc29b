"""GPU leases on an imitated ZeroGPU, and with the real `spaces` package against an imitated lease server."""

import inspect
import json
import math
import os
import subprocess
import sys
import textwrap
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from genkey_core import runtime
from genkey_core.checks import InputError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch):
    """No Space, whatever the machine that runs the tests says."""
    for name in ("SPACE_ID", "SYSTEM", "SPACES_ZERO_GPU"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake_spaces(monkeypatch):
    """A `spaces` package that records what it decorates and asks for the duration as the real one does."""
    fake = types.ModuleType("spaces")
    fake.durations, fake.decorated, fake.closed = [], [], []

    def decorator(*, duration):
        def decorate(function):
            fake.decorated.append(function)

            def call(*args, **kwargs):
                fake.durations.append(duration(*args, **kwargs))
                return function(*args, **kwargs)

            def steps(*args, **kwargs):
                fake.durations.append(duration(*args, **kwargs))
                try:
                    yield from function(*args, **kwargs)
                finally:
                    fake.closed.append(function.__name__)

            return steps if inspect.isgeneratorfunction(function) else call

        return decorate

    fake.GPU = decorator
    monkeypatch.setitem(sys.modules, "spaces", fake)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    return fake


def test_spaces_is_recognised_by_its_variables(monkeypatch):
    assert not runtime.on_spaces()
    monkeypatch.setenv("SYSTEM", "spaces")
    assert runtime.on_spaces()
    monkeypatch.delenv("SYSTEM")
    monkeypatch.setenv("SPACE_ID", "someone/keyframes")
    assert runtime.on_spaces()
    assert not runtime.on_zero_gpu()


@pytest.mark.parametrize("value", ["1", "t", "true", "True", "yes", "0", "false", ""])
def test_zero_gpu_is_decided_as_the_package_decides(monkeypatch, value):
    config = pytest.importorskip("spaces.config")
    monkeypatch.setenv("SPACES_ZERO_GPU", value)
    assert runtime.on_zero_gpu() == config.boolean(value)


def test_elsewhere_the_function_comes_back_unchanged_and_spaces_is_not_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)  # an import would fail

    def render(frames: int) -> int:
        return frames

    assert runtime.gpu(duration=5)(render) is render
    assert runtime.gpu()(render) is render


def test_the_real_package_is_free_of_effects_elsewhere():
    spaces = pytest.importorskip("spaces")

    def render(frames):
        yield frames

    assert spaces.GPU(duration=5)(runtime.gpu(duration=5)(render)) is render


def test_coroutines_are_refused_everywhere():
    async def render():
        return 1

    async def steps():
        yield 1

    for function in (render, steps):
        with pytest.raises(TypeError, match="coroutine"):
            runtime.gpu()(function)


def test_leases_carry_name_signature_and_duration(fake_spaces):
    @runtime.gpu(duration=lambda frames, *, steps=2: 0.3 * frames * steps)
    def render(frames: int, *, steps: int = 2) -> list[int]:
        """Renders."""
        return [frames, steps]

    assert render(10, steps=4) == [10, 4]
    assert render(1) == [1, 2]
    assert fake_spaces.durations == [12, 1]
    assert (render.__name__, render.__doc__) == ("render", "Renders.")
    assert list(inspect.signature(render).parameters) == ["frames", "steps"]
    assert len(fake_spaces.decorated) == 1


def test_leased_generators_stay_generators_and_close(fake_spaces):
    open_now = []

    @runtime.gpu(duration=7.2)
    def steps(count):
        """Counts."""
        open_now.append(True)
        try:
            yield from range(count)
        finally:
            open_now.clear()

    assert inspect.isgeneratorfunction(steps)
    assert list(steps(3)) == [0, 1, 2]
    assert fake_spaces.durations == [8]
    running = steps(100)
    assert next(running) == 0
    assert open_now
    running.close()
    assert not open_now, "closing the generator must end the work under way"
    assert fake_spaces.closed == ["steps", "steps"]


def test_mistakes_and_faults_come_out_of_a_lease(fake_spaces):
    @runtime.gpu()
    def render(frames):
        if frames < 0:
            raise InputError("frames: at least 0 needed, got -1.")
        raise RuntimeError("a fault of ours")

    @runtime.gpu()
    def steps(frames):
        yield frames
        raise InputError("frames: too many.")

    with pytest.raises(InputError, match=r"^frames: at least 0 needed, got -1\.$"):
        render(-1)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        render(1)
    running = steps(4)
    assert next(running) == 4
    with pytest.raises(InputError, match=r"^frames: too many\.$"):
        next(running)


@pytest.mark.parametrize("duration", [0, 0.01, 1, 59.01, 60, 1_600])
def test_legal_durations_are_whole_and_never_shorter_than_asked(duration):
    seconds = runtime.lease_seconds(duration)
    assert isinstance(seconds, int)
    assert 1 <= seconds < duration + 1 or seconds == 1
    assert seconds >= duration
    assert runtime.quota_seconds(seconds) <= runtime.ZERO_GPU_LONGEST_S


@pytest.mark.parametrize("duration", [-1, math.nan, math.inf, "60", None, True, 1_601, 10**9])
def test_an_illegal_duration_is_refused_before_anything_is_scheduled(fake_spaces, duration):
    @runtime.gpu(duration=lambda: duration)
    def render():
        pytest.fail("scheduled")

    with pytest.raises(InputError, match=r"^GPU duration: .*\.$"):
        render()
    assert fake_spaces.durations == []


def test_quota_is_half_as_much_again():
    assert [runtime.quota_seconds(s) for s in (0, 1, 10, 60.2, 80)] == [0, 2, 15, 92, 120]


def test_quota_matches_the_factor_of_the_installed_client():
    resources = pytest.importorskip("importlib.resources")
    pytest.importorskip("spaces")
    hardware = json.loads(resources.files("spaces.zero").joinpath("configs.json").read_text())
    assert max(kind["duration_factor"] for kind in hardware) == runtime.ZERO_GPU_FACTOR


# --- the real package against an imitated lease server ------------------------------------------------------------


class _LeaseServer(BaseHTTPRequestHandler):
    """Answers what the `spaces` client asks of its device server, and notes it."""

    def do_POST(self):
        self.server.asked.append(self.path)
        body = b""
        if self.path.startswith("/schedule"):
            body = json.dumps({"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "x"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


_ON_ZERO_GPU = """
    import sys

    sys.modules["torch"] = None  # the package patches a CUDA build of torch; without torch it leases all the same
    import gradio as gr
    from genkey_core.checks import InputError
    from genkey_core.runtime import gpu

    @gpu(duration=lambda frames: frames)
    def render(frames):
        if frames < 0:
            raise AssertionError("the duration is refused first")
        if frames > 50:
            raise InputError("frames: 50 at most.")
        return [frames] * 2

    @gpu(duration=4)
    def steps(frames):
        for index in range(frames):
            yield index
        raise InputError("frames: used up.")

    def sentence(call):
        try:
            return call()
        except InputError as mistake:
            return str(mistake)

    print(render(8))
    print(sentence(lambda: render(60)))
    print(sentence(lambda: render(-1)))
    running = steps(2)
    print(next(running), next(running), sentence(lambda: next(running)))
    with gr.Blocks() as page:
        pass
    page.launch(prevent_thread_lock=True, quiet=True)
    page.close()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ZeroGPU forks its workers, on Linux")
def test_the_real_package_leases_forks_and_reports_at_launch(tmp_path):
    pytest.importorskip("spaces")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _LeaseServer)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "cgroup").write_text("3:devices:/space\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": f"http://127.0.0.1:{server.server_port}",
        "ZEROGPU_PROC_SELF_CGROUP_PATH": str(tmp_path / "cgroup"),
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(_ON_ZERO_GPU)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "ZERO_GPU_DEBUG" not in line]
    assert lines[0] == "[8, 8]"
    assert lines[1] == "frames: 50 at most."
    assert lines[2].startswith("GPU duration: must be at least 0")
    assert lines[3] == "0 1 frames: used up."
    paths = [path.split("?")[0] for path in server.asked]
    assert paths.count("/schedule") == 3, "the refused duration must not have been scheduled"
    assert any("durationSeconds=8" in path or "durationSeconds=12" in path for path in server.asked)
    assert paths.count("/release") == 3
    assert paths[-1] == "/startup-report", "a registered function makes the launch report to the platform"
