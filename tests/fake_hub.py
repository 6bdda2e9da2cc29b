"""A small Hub on 127.0.0.1: enough of its HTTP interface for the real huggingface_hub client, with faults on demand.

    with FakeHub() as hub:
        hub.add("owner/model", {"model.safetensors": b"..."})
        hub.drop_after = 1000        # the next file transfer breaks off after 1000 bytes
        hf_hub_download("owner/model", "model.safetensors", endpoint=hub.url)

Large files answer with a redirect to another host name, as the Hub redirects to its CDN; every request is noted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from genkey_core.hub import Checkpoint, DownloadError, server

LFS_FROM_BYTES = 1000  # files of this size and above are "large"
COMMIT = "c0ffee0123456789abcdef0123456789abcdef01"

WEIGHTS = np.random.default_rng(3).bytes(3_000_000)
FILES = {
    "model_index.json": b'{"_class_name": "Tiny"}',
    "unet/config.json": b"{}",
    "unet/model.safetensors": WEIGHTS,
    "unet/unwanted.bin": b"not in the table" * 100,
}
TINY = Checkpoint(
    name="tiny",
    repo_id="someone/tiny",
    revision=COMMIT,
    licence="MIT",
    licence_url="https://example.org",
    gated=False,
    files=("model_index.json", "unet/config.json", "unet/model.safetensors"),
    size_bytes=3_000_025,
    what="three files",
)


@dataclass
class Request:
    """One request as it arrived."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass
class Repository:
    """The files of a repository at one commit."""

    files: dict[str, bytes]
    commit: str = COMMIT
    gated: bool = False


class FakeHub:
    """The server; its public attributes are the switches, all off at first."""

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.good_token: str | None = None  # any other token is refused
        self.drop_after: int | None = None  # bytes of a body after which the connection breaks, once
        self.drop_always = False  # ... and every time
        self.ranges = True  # whether parts of files are served
        self.failures: list[int] = []  # answers given instead, one per request, until used up
        self.corrupt = False  # file bodies arrive with one bit flipped
        self.pause_s = 0.0  # before each body
        self.portal = False  # answers like a sign-in page, always
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> FakeHub:
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def cdn_url(self) -> str:
        return f"http://localhost:{self._server.server_port}/cdn"

    def add(self, repo_id: str, files: dict[str, bytes], **options) -> Repository:
        self.repositories[repo_id] = Repository(files, **options)
        return self.repositories[repo_id]

    def bodies(self) -> list[Request]:
        """The requests that were for the content of a file."""
        return [r for r in self.requests if r.method == "GET" and ("/resolve/" in r.path or r.path.startswith("/cdn"))]


@contextlib.contextmanager
def connected(monkeypatch, folder):
    """A running small Hub that holds TINY, with the real client pointed to it, an empty cache and no token."""
    from huggingface_hub import constants

    with FakeHub() as running:
        running.add(TINY.repo_id, dict(FILES))
        point_to(monkeypatch, running.url)
        for name, place in (("HF_HUB_CACHE", "hub"), ("HF_ASSETS_CACHE", "assets"), ("HF_TOKEN_PATH", "token")):
            monkeypatch.setattr(constants, name, str(folder / place))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(server, "_RETRY_AFTER_S", 0.0)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield running


def point_to(monkeypatch, url: str) -> None:
    """What HF_ENDPOINT does at the start of a process, for this one."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


def refusal(call) -> str:
    """The sentence that `call` is refused with; every failure must be one, and for users."""
    try:
        call()
    except DownloadError as error:
        sentence = str(error)
    else:
        raise AssertionError("a DownloadError was expected")
    assert sentence.startswith("tiny: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def git_blob_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def file_info(path: str, content: bytes) -> dict:
    """What the Hub lists about a file: its git hash, and for large files the SHA-256."""
    info = {"type": "file", "path": path, "size": len(content), "oid": git_blob_hash(content)}
    if len(content) >= LFS_FROM_BYTES:
        info["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return info


@dataclass
class _Answer(Exception):
    """Ends the handling of a request with this status."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def _refused(status: int, code: str | None = None, message: str = "refused") -> _Answer:
    headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
    return _Answer(status, headers, json.dumps({"error": message}).encode())


def _json(content: object) -> _Answer:
    return _Answer(200, {"Content-Type": "application/json"}, json.dumps(content).encode())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        hub: FakeHub = self.server.hub
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        hub.requests.append(Request(self.command, unquote(self.path), self.headers.get("Range"), token))
        try:
            if hub.portal:
                raise _Answer(200, {"Content-Type": "text/html"}, b"<html>Welcome to our hotel</html>")
            if hub.failures:
                raise _refused(hub.failures.pop(0), message="out of order")
            parts = unquote(url.path).strip("/").split("/")
            if parts[0] == "cdn":
                self.send_file(*self.large_file(parts[1]))
                return
            if token is not None and hub.good_token is not None and token != hub.good_token:
                raise _refused(401, message="Invalid credentials in Authorization header")
            if parts[:2] == ["api", "models"]:
                self.answer_about(self.repository("/".join(parts[2:4])), "/".join(parts[2:4]), parts[4:], body)
            if len(parts) > 4 and parts[2] == "resolve":
                self.resolve(self.repository("/".join(parts[:2])), parts[3], "/".join(parts[4:]), token)
                return
            raise _refused(404, message="no such route")
        except _Answer as answer:
            self.send(answer.status, answer.headers, answer.body)

    do_GET = do_HEAD = do_POST = handle_one

    def repository(self, repo_id: str) -> Repository:
        if repo_id not in self.server.hub.repositories:
            raise _refused(404, "RepoNotFound")
        return self.server.hub.repositories[repo_id]

    def check_revision(self, repository: Repository, revision: str) -> None:
        if revision not in ("main", repository.commit):
            raise _refused(404, "RevisionNotFound")

    def answer_about(self, repository: Repository, repo_id: str, route: list[str], body: bytes) -> None:
        """The routes under /api/models/owner/name."""
        self.check_revision(repository, route[1] if len(route) > 1 else "main")
        match route[:1]:
            case [] | ["revision"]:
                siblings = [{"rfilename": path} for path in repository.files]
                raise _json({"id": repo_id, "modelId": repo_id, "sha": repository.commit, "siblings": siblings})
            case ["commits"]:
                commit = {"id": repository.commit, "title": "Upload", "message": "", "date": "2024-08-28T12:00:00.000Z"}
                first = {**commit, "id": hashlib.sha1(b"initial").hexdigest()}
                raise _json([{**entry, "authors": [{"user": "someone"}]} for entry in (commit, first)])
            case ["tree"]:
                raise _json([file_info(path, content) for path, content in repository.files.items()])
            case ["paths-info"]:
                wanted = parse_qs(body.decode())["paths"]
                raise _json([file_info(path, repository.files[path]) for path in wanted if path in repository.files])
        raise _refused(404, message="no such route")

    def resolve(self, repository: Repository, revision: str, path: str, token: str | None) -> None:
        """A file: small ones here, large ones by a redirect to the other host."""
        self.check_revision(repository, revision)
        if repository.gated and (token is None or token != self.server.hub.good_token):
            raise _refused(401 if token is None else 403, "GatedRepo", "Access to this model is restricted")
        if path not in repository.files:
            raise _refused(404, "EntryNotFound")
        content = repository.files[path]
        info = file_info(path, content)
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{info["oid"]}"', "Accept-Ranges": "bytes"}
        if "lfs" not in info:
            self.send_file(content, headers)
            return
        digest = info["lfs"]["oid"]
        linked = {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{digest}"'}
        raise _Answer(302, {**headers, **linked, "Location": f"{self.server.hub.cdn_url}/{digest}"})

    def large_file(self, digest: str) -> tuple[bytes, dict[str, str]]:
        for repository in self.server.hub.repositories.values():
            for content in repository.files.values():
                if hashlib.sha256(content).hexdigest() == digest:
                    return content, {"ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
        raise _refused(404, message="no such blob")

    def send_file(self, content: bytes, headers: dict[str, str]) -> None:
        """The content, or the part that was asked for where parts are served."""
        wanted = self.headers.get("Range")
        whole = len(content)
        if self.server.hub.corrupt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if wanted is None or not self.server.hub.ranges:
            self.send(200, headers, content)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(whole, int(last) + 1 if last else whole)
        if start >= whole:
            self.send(416, {"Content-Range": f"bytes */{whole}"}, b"")
            return
        self.send(206, {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{whole}"}, content[start:stop])

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        hub: FakeHub = self.server.hub
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        is_file = "ETag" in headers
        if is_file and hub.pause_s:
            time.sleep(hub.pause_s)
        if is_file and hub.drop_after is not None and len(body) > hub.drop_after:
            body = body[: hub.drop_after]
            hub.drop_after = hub.drop_after if hub.drop_always else None
            self.close_connection = True  # fewer bytes than announced, then the end
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client had seen enough

    def log_message(self, *arguments) -> None:
        pass
