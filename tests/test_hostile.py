"""Hostile visitors: what the hub serves by any route, whose files an input may name, and how much it takes."""

import json
import os
import re
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from hostile_files import noise_png, png
from PIL import Image
from raw_hub import API, Listener, Visitor, file_input, raw_get

from genkey_core import recipe

pytestmark = pytest.mark.app
ROOT = Path(__file__).resolve().parents[1]
SECRETS = (b"root:x:0", b"genkey_core", b"GRADIO_TEMP_DIR", b"Traceback")
FORGED = [
    None,
    "x" * 1000,
    ["[" * 100],
    -1e308,
    {"path": "/etc/passwd"},
    file_input("/etc/passwd"),
    [file_input("../../etc/passwd")],
    {"keyframes": [{"id": ["list"]}], "gaps": 5},
    {"keyframes": [{"id": "a" * 16}] * 2, "gaps": [{"duration_s": "NaN"}], "selected": {}, "loop": []},
]


@pytest.fixture(scope="module")
def visitor(hub):
    return Visitor(hub.url)


def forms(path: str) -> list[str]:
    """Ways to write a path that a server may undo."""
    up = "../" * 12
    plain = [path, "/" + path, up + path.lstrip("/"), up.replace(".", "%2e") + path.lstrip("/")]
    plain += [(up + path.lstrip("/")).replace("/", "%2f"), (up + path.lstrip("/")).replace("/", "%5c")]
    plain += ["....//" * 12 + path.lstrip("/"), "%252e%252e%252f" * 12 + path.lstrip("/"), path + "%00.png"]
    return [*plain, f"file://{path}", f"/proc/self/root{path}"]


def served_routes() -> set[str]:
    """Every route that the running server has, with its variables filled in with a mark."""
    from gradio.routes import App

    import app

    found = set()

    def walk(routes) -> None:
        for route in routes:
            inner = getattr(route, "original_router", None) or getattr(route, "app", None)
            if getattr(route, "path", None):
                found.add(route.path)
            if hasattr(inner, "routes"):
                walk(inner.routes)

    walk(App.create_app(app.page_of(app.TABS), mcp_server=True).routes)
    return found


def test_every_route_is_asked_for_files_that_are_not_to_be_served(hub, visitor):
    other = Visitor(hub.url).upload("other.png", noise_png(1)).json()[0]
    assert raw_get(hub.port, f"{API}/file={other}")[0] == 200  # the address is the key: whoever has it, may
    routes = served_routes()
    assert {f"{API}/file={{path_or_url:path}}", f"{API}/proxy={{url_path:path}}", "/static/{path:path}"} <= routes
    wanted = ["/etc/passwd", str(ROOT / "app.py"), str(hub.log), os.path.dirname(other)]
    openings = sorted(
        {r.split("{")[0] for r in routes if "{" in r} | {f"{API}/file=", "/", "/file=", "/file/", f"{API}/mcp/"}
    )
    asked = 0
    for opening in openings:
        closed = raw_get(hub.port, opening + "x")[1] == b'{"detail": "There is nothing at this address."}'
        for path in wanted[:1] if closed else wanted:
            for form in forms(path):
                status, body = raw_get(hub.port, opening + form.replace(" ", "%20"))
                asked += 1
                assert not any(secret in body for secret in SECRETS if opening != "/"), (opening, form)
                assert os.path.basename(other).encode() not in body, (opening, form)
                assert status != 200 or b"root:" not in body, (opening, form)
    assert asked > 300
    assert hub.alive


def test_what_the_hub_does_not_need_is_not_there(hub):
    unused = [
        "proxy=http://127.0.0.1/",
        "file/etc/passwd",
        "deep_link?session_hash=a",
        "dev/reload",
        "process_recording",
    ]
    unused += ["vibe-code", "vibe-edit", "component_server", "stream/a/b/1/playlist.m3u8", "runs", "profiling/traces"]
    unused += ["custom_component/a/client/component/x.js", "run-history/records", "api/inbetween"]
    for name in [
        *(f"{API}/{u}" for u in unused),
        "/login",
        "/logout",
        "/monitoring",
        "/monitoring/summary",
        "/openapi.json",
    ]:
        assert raw_get(hub.port, name)[0] == 404, name
        assert raw_get(hub.port, name, "POST")[0] == 404, name


def test_nobody_passes_the_queue_by(visitor):
    answer = visitor.http.post(f"{API}/run/inbetween", json={"data": [[]] + [None] * 14})
    assert answer.status_code == 404
    assert "queue" in answer.text


@pytest.mark.parametrize("scheme", ["http://", "HTTP://", "%68ttp://", "%09http://", "https://", "ftp://", "http:/"])
def test_the_hub_fetches_no_address_for_anyone(hub, scheme):
    with Listener() as listener:
        for host in (listener.url[7:], "169.254.169.254/latest/meta-data", "localhost:1", "[::1]:1", "2130706433"):
            status, _ = raw_get(hub.port, f"{API}/file={scheme}{host}/x.png")
            assert status in (403, 404)
    assert listener.contacts == 0


def test_folders_and_links_are_not_served(hub, visitor):
    mine = Path(visitor.upload("mine.png", noise_png(2)).json()[0])
    link = mine.with_name("link.png")
    link.symlink_to("/etc/passwd")
    for path in (mine.parent, hub.files, link, "/proc/self/environ", "/proc/self/cwd/app.py", "app.py", "README.md"):
        assert raw_get(hub.port, f"{API}/file={path}")[0] == 403, path
    assert "not uploaded here" in visitor.refusal(visitor.event("inbetween_recipe"), [file_input(str(link))])


def test_names_of_uploads_and_results_cannot_be_guessed(hub, visitor):
    import hashlib

    content = noise_png(3)
    path = visitor.upload("mine.png", content).json()[0]
    # Gradio salts the digest, so even who knows a file (or its SHA-256 from a recipe) does not know its address.
    assert hashlib.sha256(content).hexdigest() not in path
    assert raw_get(hub.port, f"{API}/file={hub.files}/{hashlib.sha256(content).hexdigest()}/mine.png")[0] == 403
    made = visitor.inbetween([path, path])
    assert len(Path(made["output"]["data"][0]["path"]).parent.name) == len("result-") + 40
    for address in ("/config", f"{API}/info", f"{API}/queue/status", "/"):
        text = visitor.http.get(address).text
        assert str(hub.files) not in text
        assert str(ROOT) not in text
        assert "result-" not in text


def test_another_sessions_messages_are_not_told(hub, visitor):
    visitor.inbetween([visitor.upload("mine.png", noise_png(4)).json()[0]] * 2)
    for session in ("", "x", visitor.session.upper() + "A", visitor.session[:-1], "*", "null"):
        status, body = raw_get(hub.port, f"{API}/queue/data?session_hash={session}")
        assert status != 200 or b'"session_not_found":true' in body, body
    assert b"result-" not in raw_get(hub.port, f"{API}/call/inbetween/{'0' * 32}")[1]


def file_inputs(own: str) -> dict[str, tuple[object, str]]:
    """Trick -> (what is sent as a file, words of the refusal)."""
    here = "not uploaded here"
    return {
        "absolute": (file_input("/etc/passwd"), here),
        "source": (file_input(str(ROOT / "app.py")), here),
        "up": (file_input(f"{os.path.dirname(own)}/../../../../../../etc/passwd"), here),
        "relative": (file_input("app.py"), here),
        "folder": (file_input(os.path.dirname(own)), here),
        "guessed": (file_input(f"{own[:-4]}x.png"), here),
        "nul": (file_input(own + "\0.png"), here),
        "kernel": (file_input("/proc/self/environ"), here),
        "address": (file_input("http://169.254.169.254/latest"), "addresses are not fetched"),
        "data address": (file_input(own, url="http://169.254.169.254/"), ""),
        "file address": (file_input("file:///etc/passwd"), "addresses are not fetched"),
        "concat": (file_input(f"concat:{own}|/etc/passwd"), "addresses are not fetched"),
        "own file route": (file_input(f"http://evil.test{API}/file=/etc/passwd"), here),
        "no meta": ({"path": own}, "not of the form"),
        "no path": ({"meta": {"_type": "gradio.FileData"}}, "not of the form"),
        "text": ("/etc/passwd", here),
        "broken data": ("data:image/png;base64,@@@", "empty"),
        "number": (7, "not of the form"),
    }


@pytest.mark.parametrize("trick", file_inputs("x"))
def test_an_input_names_uploaded_files_only(hub, visitor, trick):
    own = visitor.upload("mine.png", noise_png(5)).json()[0]
    sent, words = file_inputs(own)[trick]
    before = set(hub.results())
    event = visitor.event("inbetween")
    data = visitor.inputs(event)
    data[0], data[1], data[5] = [file_input(own), sent], 0.25, 8
    if not words:  # a url beside a good path counts for nothing
        assert visitor.call(event, data)[-1]["success"]
        return
    message = visitor.refusal(event, data)
    assert words in message
    assert len(message) < 300
    assert "/" not in message.replace("input/output", "")
    assert set(hub.results()) <= before


def test_an_address_in_a_file_input_is_never_contacted(hub, visitor):
    with Listener() as listener:
        for address in (listener.url + "/a.png", listener.url.replace("127.0.0.1", "localhost") + "/a.png"):
            for sent in (file_input(address), file_input(address, url=address), [file_input(address)]):
                for event in (visitor.event("inbetween"), visitor.event("inbetween_recipe")):
                    data = visitor.inputs(event)
                    data[0] = sent
                    assert "addresses are not fetched" in visitor.refusal(event, data)
            data = visitor.inputs(visitor.event("inbetween"))
            data[4] = [file_input(address)]  # a file where JSON is wanted: Gradio would fetch it as well
            assert "addresses are not fetched" in visitor.refusal(visitor.event("inbetween"), data)
    assert listener.contacts == 0


def test_a_file_of_this_hub_may_be_named_by_its_own_address(hub, visitor):
    own = visitor.upload("mine.png", noise_png(6)).json()[0]
    made = visitor.inbetween([f"{hub.url}{API}/file={own}", own])
    assert made["success"], made
    assert made["output"]["data"][2]["recipe"]["output"]["frames"] == 3


def test_forged_values_for_every_event_are_refused_or_harmless(hub, visitor):
    stranger = Visitor(hub.url)
    before = set(hub.results())
    for event in stranger.events:
        for forged in FORGED:
            answer = json.dumps(stranger.call(event, [forged] * len(stranger.events[event]["inputs"])))
            assert "root:x:0" not in answer
            assert str(ROOT) not in answer
            last = json.loads(answer)[-1]
            if not last["success"]:
                assert last["output"]["error"], (event, forged)
                assert len(last["output"]["error"]) < 300
                assert "Something broke here" not in last["output"]["error"], (event, forged)
    assert set(hub.results()) <= before
    assert hub.alive


def test_another_sessions_keyframes_cannot_be_named(hub, visitor):
    upload = visitor.event_of("inbetween-uploads", "upload")
    paths = [visitor.upload(f"{k}.png", noise_png(10 + k)).json()[0] for k in range(2)]
    answer = json.dumps(
        visitor.call(upload, visitor.inputs(upload, inbetween_uploads=[file_input(p) for p in paths]))[-1]
    )
    keys = re.findall(r'"id": "([0-9a-f]{16})"', answer)
    assert len(keys) == 2
    strip = {"keyframes": [{"id": k, "name": "x"} for k in keys], "gaps": [{}], "selected": -1, "loop": False}
    stranger = Visitor(hub.url)
    users = [e for e in stranger.events if stranger.event_of("inbetween-run", "click") == e]
    assert users
    for event in users:
        assert visitor.call(event, visitor.inputs(event, keyframe_strip=strip))[-1]["success"]
        message = stranger.refusal(event, stranger.inputs(event, keyframe_strip=strip))
        assert "no longer here" in message
    for event in (e for e in stranger.events if strip in stranger.inputs(e, keyframe_strip=strip)):
        answer = json.dumps(stranger.call(event, stranger.inputs(event, keyframe_strip=strip)))
        assert not any(os.path.dirname(p) in answer for p in paths)
        assert recipe.file_sha256(paths[0]) not in answer


def test_too_much_is_refused_at_once(hub, visitor):
    many = [
        {"data": [{"keyframes": [{"id": "a" * 16}] * 100_000}]},
        {"data": ["x" * 2**20] * 3},
        {"data": [[], 1, "linear", 0, [{}] * 1_000_000]},
    ]
    for body in many:
        answer = visitor.http.post(f"{API}/queue/join", json={**body, "fn_index": 0, "session_hash": visitor.session})
        assert answer.status_code == 413
        assert answer.json()["detail"].startswith("This is too long: at most 0.5 MB")
    status, body = raw_get(hub.port, f"{API}/queue/join", "POST", {"content-length": str(10**9)})
    assert status == 413  # without waiting for a body: none is ever sent
    assert b"at most 0.5 MB" in body

    def unannounced():  # no content-length: the body is cut off as it comes
        for _ in range(40):
            yield b"x" * 2**16

    assert visitor.http.post(f"{API}/queue/join", content=unannounced()).status_code == 413
    for depth in (100, 900, 20_000):
        deep = b'{"fn_index":%d,"session_hash":"%s","data":[%s]}'
        body = deep % (visitor.event("inbetween_recipe"), b"d" * 8, b"[" * depth + b"]" * depth)
        answer = visitor.http.post(f"{API}/queue/join", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (200, 400)
    event = visitor.event("inbetween")
    for position, value in (
        (4, [{}] * 10_000),
        (2, "x" * 100_000),
        (4, {"duration_s": [[["x"] * 50_000]]}),
        (5, 1e400),
    ):
        data = visitor.inputs(event)
        data[0] = [file_input(visitor.upload("a.png", png()).json()[0])] * 2
        data[position] = value if value != 1e400 else "Infinity"
        assert len(visitor.refusal(event, data)) < 300
    for word in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
        body = b'{"fn_index":%d,"session_hash":"n%s","data":[%s,1,1,false]}'
        body %= (visitor.event("inbetween_cost"), word.lower().replace(b"-", b"m"), word)
        answer = visitor.http.post(f"{API}/queue/join", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (200, 400, 422)
    assert hub.alive


def test_many_of_the_largest_images_are_costed_before_they_are_decoded(hub, visitor, tmp_path):
    path = tmp_path / "large.png"
    Image.fromarray(np.zeros((9400, 9400), np.uint8)).save(path, compress_level=1)
    large = visitor.upload("large.png", path.read_bytes()).json()[0]
    event = visitor.event("inbetween")
    data = visitor.inputs(event)
    data[0], data[1] = [file_input(large)] * 24, 60
    process = psutil.Process(hub.process.pid)
    assert "at most 20,000 per job, got" in visitor.refusal(event, data)  # code is loaded
    most, stop = [process.memory_info().rss], threading.Event()
    watch = threading.Thread(
        target=lambda: [most.append(process.memory_info().rss) for _ in iter(lambda: stop.wait(0.02), True)]
    )
    watch.start()
    assert "at most 20,000 per job, got" in visitor.refusal(event, data)
    data[1], data[3], data[5], data[10] = 3600, 3600, 60, "ping-pong"
    assert "at most 500,000 can be planned, got 19,872,000" in visitor.refusal(event, data)
    data[0] = [file_input(large)] * 25
    assert "2 to 24 images are needed, got 25" in visitor.refusal(event, data)
    stop.set()
    watch.join()
    assert max(most) - most[0] < 200e6  # one decoded image alone is 9400 * 9400 * 3 bytes
