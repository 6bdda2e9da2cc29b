"""The hub's front door: which addresses it answers, how much it reads, and which files an input may name.

Gradio answers more than this hub needs: it fetches any public address for anyone (`file=http...`), runs ffmpeg over
uploaded recordings, and writes a session to the disk for a deep link. What is not listed here is not there. Inputs may
name files that were uploaded here, never an address that the server would have to fetch.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import stat
from pathlib import Path
from urllib.parse import unquote

import gradio as gr
from gradio.processing_utils import save_base64_to_cache
from gradio.utils import get_upload_folder

from genkey_core.checks import InputError

from .jobs import as_text, in_words

log = logging.getLogger("genkey")

API = "/gradio_api/"
PAGES = {"/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/pwa_icon"}
CALLS = {
    API + name
    for name in (
        "app_id",
        "cancel",
        "info",
        "mcp",
        "openapi.json",
        "queue/data",
        "queue/join",
        "queue/status",
        "reset",
        "startup-events",
        "theme.css",
        "upload",
        "upload_progress",
    )
}
FOLDERS = ("/assets/", "/static/", "/svelte/", "/pwa_icon/")
FOLDERS += tuple(API + name for name in ("call/", "file=", "heartbeat/", "mcp/", "run/"))

MAX_CALL_BYTES = 512 * 2**10  # of a call's JSON; the page's largest is a few kilobytes
MAX_MCP_BYTES = 64 * 2**20  # MCP clients may send images inside the call, as data: texts
FILES_PER_UPLOAD = 24  # as many files of the largest size as one upload may bring
FREE_DISK_BYTES = 2**30  # uploads never take the last gigabyte
MAX_DEPTH = 32  # of nested lists and objects in an input

_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]+:", re.IGNORECASE)  # two letters or more: `C:` is a Windows drive
_OWN_FILE = re.compile(r"https?://[^/]+/(?:.*/)?gradio_api/file=(?P<path>.+)", re.IGNORECASE | re.DOTALL)
_SAFE_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"))
_ADDRESS = "files: addresses are not fetched here; upload the file itself."
_NOT_HERE = "files: this file was not uploaded here, or it has been deleted since; upload it again."
_UNREADABLE = "input: these values are not of the form that this tool takes; see its API page."
_BUSY = "Many people use this machine just now and its queue is full; please try again in a few minutes."


def is_answered(path: str) -> bool:
    """Whether the hub has anything at this address (decoded, without query)."""
    if path.startswith(API + "file="):
        return not _SCHEME.match(path[len(API + "file=") :].lstrip("/ \t\r\n"))
    return path in PAGES or path.rstrip("/") in (PAGES | CALLS) or path.startswith(FOLDERS)


class Guard:
    """ASGI middleware: unlisted addresses are not found, long bodies are not read, a full queue is said in words."""

    def __init__(self, app, *, max_file_bytes: int):
        self.app = app
        self.max_file_bytes = max_file_bytes

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        root, path = scope.get("root_path", ""), scope["path"]
        path = path[len(root) :] if root and path.startswith(root + "/") else path
        refusal = None if is_answered(path) else (404, "There is nothing at this address.")
        limit = self._most_bytes(path)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        announced = int(length) if length.isdigit() else 0
        if refusal is None and announced > limit:
            refusal = (413, f"This is too long: at most {limit / 2**20:.1f} MB may be sent here.")
        if refusal is None and announced and path.startswith(API + "upload"):
            free = shutil.disk_usage(Path(get_upload_folder()).parent).free
            if free - announced < FREE_DISK_BYTES:
                refusal = (507, "The disk of this machine is nearly full; please try again later.")
        if refusal:
            await _say(send, *refusal)
            return
        await self._pass_on(scope, receive, send, path, limit)

    def _most_bytes(self, path: str) -> int:
        if path.rstrip("/") == API + "upload":
            return FILES_PER_UPLOAD * self.max_file_bytes
        return MAX_MCP_BYTES if path.startswith(API + "mcp") else MAX_CALL_BYTES

    async def _pass_on(self, scope, receive, send, path: str, limit: int) -> None:
        read, started, said = 0, False, False

        async def bounded() -> dict:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            return message if read <= limit else {"type": "http.disconnect"}

        async def watched(message: dict) -> None:
            nonlocal started, said
            if message["type"] == "http.response.start":
                started = True
                full = message["status"] == 503 and path.startswith((API + "queue/join", API + "call/"))
                if read > limit or full:
                    said = True
                    too_long = (413, f"This is too long: at most {limit / 2**20:.1f} MB may be sent here.")
                    await _say(send, *(too_long if read > limit else (503, _BUSY)))
                    return
                message = {**message, "headers": [*message.get("headers", []), *_SAFE_HEADERS]}
            if not said:
                await send(message)

        try:
            await self.app(scope, bounded, watched)
        except Exception:
            if said or started:
                raise
            log.exception("a request failed: %s", path[:100])
            await _say(send, 500, "This request cannot be answered; is it of the form that the API page shows?")


async def _say(send, status: int, sentence: str) -> None:
    body = b'{"detail": "%s"}' % sentence.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *_SAFE_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Page(gr.Blocks):
    """Blocks whose inputs may name only uploaded files; an input of a wrong form is refused in words."""

    async def preprocess_data(self, block_fn, inputs, state, explicit_call=False):
        """Every call passes here, of the page, over HTTP and over MCP, before Gradio looks at a file in it."""
        try:
            inputs = [
                checked_files(as_files(value) if isinstance(block, gr.File) else value)
                for value, block in zip(inputs, block_fn.inputs, strict=True)
            ]
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except InputError as error:
            raise in_words(error) from error
        except gr.Error as error:  # Gradio's own words repeat a value at any length
            message = as_text(str(error.message))
            message = message if len(message) < 280 else f"{message[:270]} …"
            raise gr.Error(message, title=error.title, print_exception=False) from error
        except Exception as error:
            log.info("an input was refused: %s", type(error).__name__)
            raise in_words(InputError(_UNREADABLE)) from error


def as_files(value: object) -> object:
    """Texts where files are wanted, as MCP clients send them, as files: a path or address of an upload here, or a data: text."""
    if isinstance(value, list):
        return [as_files(item) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith("data:"):
        value = save_base64_to_cache(value, get_upload_folder())
    return {"path": value, "meta": {"_type": "gradio.FileData"}}


def checked_files(value: object, depth: int = 0) -> object:
    """The value of an input with each file in it checked, and an address of this very hub made a path; raises InputError."""
    if depth > MAX_DEPTH:
        raise InputError(_UNREADABLE)
    if isinstance(value, list):
        return [checked_files(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("path"), str):
        return {**value, "path": uploaded_file(value["path"]), "url": None}
    return {key: checked_files(item, depth + 1) for key, item in value.items()}


def uploaded_file(path: str) -> str:
    """The absolute path of a regular file in the upload folder; an address of this hub's own file is taken too."""
    own = _OWN_FILE.fullmatch(path)
    path = unquote(own["path"]) if own else path
    if _SCHEME.match(path):
        raise InputError(_ADDRESS)
    folder = os.path.realpath(get_upload_folder())
    full = os.path.abspath(path) if "\0" not in path else ""
    inside = os.path.join(folder, os.path.relpath(full, get_upload_folder())) if full else ""
    try:
        regular = os.path.realpath(inside) == inside and stat.S_ISREG(os.lstat(inside).st_mode)
    except OSError:  # not there, or a name too long to be
        regular = False
    if not regular or os.path.commonpath([folder, inside]) != folder or inside.endswith(".part"):
        raise InputError(_NOT_HERE)
    return full
