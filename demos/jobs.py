"""What every tab's long job needs: a folder for its files, a way to cancel it, and mistakes said in words."""

from __future__ import annotations

import errno
import functools
import inspect
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from genkey_core import runtime
from genkey_core.checks import InputError, shown
from genkey_core.cost import Limits

log = logging.getLogger("genkey")

HEAVY = "heavy"  # the queue's name for jobs that load the machine; one at a time by default
RESULT_AGE_S = int(os.environ.get("GENKEY_RESULT_AGE_S", 6 * 3600))  # uploads and results are deleted after this
BEGUN = "Its turn has come: reading what it needs…"
SWEEP_EVERY_S = min(600, max(1, RESULT_AGE_S // 4))

_OURS = re.compile(r"result-[0-9a-f]{40}|[0-9a-f]{64}|tmp[a-z0-9_]{8}")  # results, uploads, Gradio's passing files
_running: set[Path] = set()  # folders of jobs at work


def max_upload_bytes() -> int:
    """How large one uploaded file may be (GENKEY_MAX_UPLOAD, such as 800kb, 50mb or 2gb; default 200mb)."""
    text = os.environ.get("GENKEY_MAX_UPLOAD", "200mb")
    size = re.fullmatch(r"(\d{1,9}) ?(kb|mb|gb)", text.strip().lower())
    if size is None:
        raise InputError(f"GENKEY_MAX_UPLOAD: a size such as 50mb is needed in the environment, got {shown(text)}.")
    return int(size[1]) * {"kb": 2**10, "mb": 2**20, "gb": 2**30}[size[2]]


def heavy_jobs() -> int:
    """How many heavy jobs may run at a time on this machine (GENKEY_HEAVY_JOBS, default 1)."""
    return max(1, int(os.environ.get("GENKEY_HEAVY_JOBS", "1")))


@contextmanager
def job_folder() -> Iterator[Path]:
    """A new folder for one job's files, inside the only folder that is served, under a name nobody can guess.

    No sweep touches it while the job runs; where the job fails or is dropped, it goes with everything in it.
    """
    folder = Path(get_upload_folder()) / f"result-{secrets.token_hex(20)}"
    folder.mkdir(parents=True, mode=0o700)
    _running.add(folder)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        _running.discard(folder)


def sweep(age_s: float = RESULT_AGE_S) -> int:
    """Delete results, uploads and leavings of Gradio that are older than `age_s`; returns how many.

    Gradio's own sweep knows only the files that this very process has sent, so it misses those of a killed server, of
    broken uploads, and the empty files that its file component makes.
    """
    removed = 0
    for entry in Path(get_upload_folder()).glob("*"):
        if not _OURS.fullmatch(entry.name) or entry in _running:
            continue
        try:
            inside = list(entry.iterdir()) if entry.is_dir() else []
            newest = max(p.lstat().st_ctime for p in (entry, *inside))
        except FileNotFoundError:
            continue
        if time.time() - newest > age_s:
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
            removed += 1
    return removed


def keep_swept() -> threading.Thread:
    """Sweep now and then for as long as the process lives, whether anyone visits or not."""

    def work() -> None:
        while True:
            try:
                sweep()
            except OSError:
                log.exception("sweeping old files")
            time.sleep(SWEEP_EVERY_S)

    thread = threading.Thread(target=work, name="sweep", daemon=True)
    thread.start()
    return thread


def limits() -> Limits:
    """What one job may cost on this machine now."""
    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    return Limits.from_environment(
        free_memory_bytes=runtime.available_memory().ram,
        free_disk_bytes=shutil.disk_usage(folder).free,
        shared_host=runtime.on_spaces(),
    )


class SessionJob:
    """One session's job: whether it is asked to stop, and whether it still waits for its turn."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.waits = True


class SessionJobs:
    """The job of each session, from the click on Run to its end."""

    def __init__(self) -> None:
        self._jobs: dict[str, SessionJob] = {}
        self._lock = threading.Lock()

    def begin(self, session: str) -> SessionJob:
        """A new job of this session, which will wait in the queue; a wish to stop from before it has no say."""
        with self._lock:
            job = self._jobs[session] = SessionJob()
            while len(self._jobs) > 2_000:  # sessions that ended without a word
                self._jobs.pop(next(iter(self._jobs)))
            return job

    def start(self, session: str) -> SessionJob:
        """The session's job, whose turn has come; a new one where `begin` was not called."""
        with self._lock:
            job = self._jobs.setdefault(session, SessionJob())
            job.waits = False
            return job

    def busy(self, session: str) -> bool:
        """Whether this session has a job that waits or runs."""
        with self._lock:
            return session in self._jobs

    def cancel(self, session: str) -> SessionJob | None:
        """Ask the session's job to stop; returns it where there is one."""
        with self._lock:
            job = self._jobs.get(session)
            if job is not None:
                job.cancelled.set()
            return job

    def end(self, session: str, job: SessionJob | None = None) -> SessionJob | None:
        """The session's job (only `job`, where it is given) is over; returns it where it was not known to be."""
        with self._lock:
            if job is None or self._jobs.get(session) is job:
                return self._jobs.pop(session, None)
            return None


def cancelled_words(job: SessionJob, error: Exception) -> str | None:
    """What is said of a job that its visitor stopped before it had anything to show, which is no mistake; else None."""
    if not (job.cancelled.is_set() and isinstance(error, InputError)):
        return None
    return f"{str(error)[:1].upper()}{str(error)[1:]}"


def after(event, handler, inputs, outputs, **options):
    """Call `handler` once when the event has ended, however it did; returns what the next step is chained to.

    Gradio's `then` promises that alone, but its page calls it only after success and after a cancelled job (6.31).
    """
    ended = event.then(handler, inputs, outputs, **options)
    event.failure(handler, inputs, outputs, **options)
    return ended


def says_mistakes(handler):
    """Turn a user's mistake into a sentence on the page and over HTTP; anything else into an apology, with a log entry."""
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def generator(*args, **kwargs):
            try:
                yield from handler(*args, **kwargs)
            except Exception as error:
                raise in_words(error) from error

        return generator

    @functools.wraps(handler)
    def function(*args, **kwargs):
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            raise in_words(error) from error

    return function


def as_text(message: str) -> str:
    """A message with names that users gave, for Gradio's notices, which read it as HTML."""
    return message.replace("<", "&lt;").replace(">", "&gt;")


def in_words(error: Exception) -> gr.Error:
    """The error that the visitor is shown."""
    if isinstance(error, gr.Error):
        return error
    if isinstance(error, InputError):
        return gr.Error(as_text(str(error)), title="Please check", duration=None, print_exception=False)
    if isinstance(error, MemoryError):
        return gr.Error("This machine ran out of memory; choose a smaller size.", title="Out of memory", duration=None)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return gr.Error("The disk is full; choose a smaller size or a shorter video.", title="Disk full", duration=None)
    log.exception("unexpected error")
    return gr.Error(
        f"Something broke here, not with your input ({type(error).__name__}). Nothing of yours was changed; "
        "please try again, and report it if it stays.",
        title="Unexpected error",
        duration=None,
    )
