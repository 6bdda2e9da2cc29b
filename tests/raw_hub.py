"""A visitor who speaks plain HTTP to the hub: sends what no page would send, and reads what comes back to the last byte."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import threading
from contextlib import contextmanager

import httpx
from hub_server import PATIENCE_S

API = "/gradio_api"
FILE = {"_type": "gradio.FileData"}


def file_input(path: str, **more) -> dict:
    """A file as a call names it."""
    return {"path": path, "meta": FILE, **more}


def raw_get(port: int, target: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """One request without a body whose target is sent as it stands: no client normalises its dots or percent signs."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in (headers or {}).items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    try:
        endless = answer.headers.get_content_type() == "text/event-stream"
        return answer.status, answer.read1(1_000) if endless else answer.read(1_000_000)
    finally:
        connection.close()


class Visitor:
    """One session at the hub; `call` runs an event of the page or of the API, whatever its inputs."""

    def __init__(self, url: str):
        self.url = url
        self.session = secrets.token_hex(6)
        self.http = httpx.Client(base_url=url, timeout=PATIENCE_S, headers={"connection": "close"})
        config = self.http.get("/config").json()
        self.events = {d["id"]: d for d in config["dependencies"] if d["backend_fn"]}
        self.components = {c["id"]: c["props"] for c in config["components"]}

    def event(self, name: str) -> int:
        """The number of the event with this API name."""
        return next(i for i, d in self.events.items() if d["api_name"] == name)

    def event_of(self, elem_id: str, trigger: str) -> int:
        """The number of the event that a part of the page sets off."""
        wanted = [next(i for i, p in self.components.items() if p.get("elem_id") == elem_id), trigger]
        return next(i for i, d in self.events.items() if wanted in d["targets"])

    def inputs(self, event: int, **by_elem_id) -> list:
        """The inputs of an event as a fresh page would send them, but for those given by their part's id."""
        values = {name.replace("_", "-"): value for name, value in by_elem_id.items()}
        props = [self.components[i] for i in self.events[event]["inputs"]]
        return [values.get(p.get("elem_id"), p.get("value")) for p in props]

    def upload(self, name: str, content: bytes) -> httpx.Response:
        """Upload one file under exactly this name."""
        mark = secrets.token_hex(16)
        head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        body = head + content + f"\r\n--{mark}--\r\n".encode()
        return self.http.post(
            f"{API}/upload", content=body, headers={"content-type": f"multipart/form-data; boundary={mark}"}
        )

    def join(self, event: int, data: list) -> httpx.Response:
        """Put a call into the queue."""
        return self.http.post(f"{API}/queue/join", json={"data": data, "fn_index": event, "session_hash": self.session})

    @contextmanager
    def messages(self):
        """What the queue tells this session, message by message; leaving the block drops the line."""
        with self.http.stream("GET", f"{API}/queue/data", params={"session_hash": self.session}) as answer:
            yield (json.loads(line[5:]) for line in answer.iter_lines() if line.startswith("data:"))

    def call(self, event: int, data: list) -> list[dict]:
        """Run an event to its end; all messages about it, the last being `process_completed`."""
        joined = self.join(event, data)
        assert joined.status_code == 200, joined.text
        seen = []
        with self.messages() as messages:
            for message in messages:
                seen.append(message)
                if message["msg"] in ("process_completed", "unexpected_error"):
                    return seen
        raise AssertionError(f"the queue ended without a last message: {seen}")

    def inbetween(self, paths: list[str]) -> dict:
        """The last message of an in-between job of a few frames."""
        event = self.event("inbetween")
        data = self.inputs(event)
        data[0], data[1], data[5] = [file_input(p) for p in paths], 0.25, 8
        return self.call(event, data)[-1]

    def refusal(self, event: int, data: list) -> str:
        """The sentence with which an event is refused."""
        last = self.call(event, data)[-1]
        assert last["success"] is False, last
        return last["output"]["error"]


class Listener:
    """A server on this machine that nobody may contact; `contacts` counts who did."""

    def __enter__(self) -> Listener:
        self.contacts = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:  # closed
                return
            self.contacts += 1
            line.close()

    def __exit__(self, *error) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
