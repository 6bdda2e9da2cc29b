"""A first look at a video, once: its sound heard, its cuts and thumbnails found, a small copy made to play.

Everything that the page draws and that a moved slider needs follows from a survey, which is saved beside the copy: the
upload is read again only when its cuts are judged or made.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ..checks import InputError
from ..media import VideoInfo, VideoWriter, frame_rate, output_size, probe, read_frames
from ..media.encode import MAX_FPS, MIN_FPS
from ..media.reader import Frame
from .agreement import agreed
from .cutlist import Row
from .settings import SHORTEST_PAUSE_S, Settings
from .shots import shots
from .speech import Analysis, Listening, SpeechOptions, left_natural, listen
from .transcript import Transcript

MAX_DURATION_S = 3600.0  # of a video
_ONE_PAUSE = 0.98  # of the length in one pause: no speech at all
_THUMBS, _THUMB_HEIGHT = 60, 54  # at most so many, and their height in pixels
_PROXY_SIDE = 480  # long side of the copy for playing
_POLL_S = 0.25
_FILE, _ARRAYS, PROXY = "survey.json", "survey.npz", "preview.mp4"


@dataclass(frozen=True)
class Surveying:
    """Progress: frames seen and seconds heard, of how many."""

    frames: int
    n_frames: int
    heard_s: float
    duration_s: float

    @property
    def share(self) -> float:
        return (self.frames / max(1, self.n_frames) + min(1.0, self.heard_s / max(1e-9, self.duration_s))) / 2


@dataclass(frozen=True)
class Survey:
    """What was seen and heard of a video, on its constant frame rate `fps`."""

    width: int
    height: int
    fps: Fraction
    n_frames: int  # that can be read at this rate
    has_sound: bool
    n_channels: int
    rows: tuple[Row, ...]  # all pauses from 0.1 s on, fillers, repeats and shots, by start
    quietest_s: tuple[float, float] | None  # the stretch that room tone is made of
    notes: tuple[str, ...]
    level_db: np.ndarray  # float32 [N], loudness every HOP_S
    sounds: np.ndarray  # bool [N], where there is more than background
    thumbs: np.ndarray  # uint8 [T h w 3], equally spaced in time
    proxy: Path | None = None  # the small copy, where it could be made

    @property
    def duration_s(self) -> float:
        return float(self.n_frames / self.fps)

    def proposals(self, settings: Settings) -> list[tuple[int, Row]]:
        """(number in `rows`, row) of what `settings` propose; the number names a row whatever the sliders say."""
        chosen = [
            (i, row)
            for i, row in enumerate(self.rows)
            if not (row.kind == "pause" and row.end_s - row.start_s < settings.shortest_pause_s)
            and not (row.kind == "filler" and not settings.fillers)
        ]
        for kind in ("pause", "filler"):
            at = [k for k, (_, row) in enumerate(chosen) if row.kind == kind]
            for k, row in zip(at, left_natural([chosen[k][1] for k in at], settings.natural), strict=True):
                chosen[k] = (chosen[k][0], row)
        pauses = [k for k, (_, row) in enumerate(chosen) if row.kind == "pause"]
        if len(pauses) == 1:
            number, row = chosen[pauses[0]]
            if row.end_s - row.start_s >= _ONE_PAUSE * self.duration_s:
                chosen[pauses[0]] = (number, replace(row, remove=False))
        return chosen

    def with_rows(self, rows: Iterable[Row]) -> Survey:
        """The same with more rows at the end; those there keep their numbers."""
        more = (replace(row, end_s=min(row.end_s, self.duration_s)) for row in rows if row.start_s < self.duration_s)
        return replace(self, rows=(*self.rows, *(row for row in more if row.end_s > row.start_s)))

    def with_transcript(self, transcript: Transcript) -> Survey:
        """The same with the transcript's fillers and repeats, and no pause or filler in which a word is said."""
        rows, more = agreed(self.rows, transcript, self.sounds)
        return replace(self, rows=rows).with_rows(more)

    def save(self, folder: str | os.PathLike) -> None:
        """Write it into `folder`, beside the copy."""
        values = {f: getattr(self, f) for f in ("width", "height", "n_frames", "has_sound", "n_channels", "quietest_s")}
        values |= {"fps": str(self.fps), "notes": self.notes, "rows": [asdict(row) for row in self.rows]}
        np.savez(Path(folder) / _ARRAYS, level_db=self.level_db, sounds=self.sounds, thumbs=self.thumbs)
        (Path(folder) / _FILE).write_text(json.dumps(values), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Survey:
        """What `save` wrote; raises InputError where it is gone."""
        folder = Path(folder)
        try:
            values = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
                arrays = {name: arrays[name] for name in ("level_db", "sounds", "thumbs")}
        except (FileNotFoundError, KeyError) as error:
            raise InputError("analysis: it is no longer here (it is deleted after a while); analyse again.") from error
        values |= {"fps": Fraction(values["fps"]), "rows": tuple(Row(**row) for row in values["rows"])}
        values |= {"notes": tuple(values["notes"]), "quietest_s": values["quietest_s"] and tuple(values["quietest_s"])}
        proxy = folder / PROXY
        return cls(**values, **arrays, proxy=proxy if proxy.is_file() else None)


def checked_info(path: str | os.PathLike) -> VideoInfo:
    """The facts of a video that can be taken here; raises InputError for one that is too long, or none."""
    info = probe(path)
    if info.duration_s > MAX_DURATION_S + 1:
        minutes = MAX_DURATION_S / 60
        raise InputError(f"video: at most {minutes:g} minutes are taken, got {info.duration_s / 60:.3g}; split it.")
    return info


def survey(path: str | os.PathLike, folder: str | os.PathLike) -> Iterator[Surveying | Survey]:
    """Look at and listen to the video at `path`: `Surveying` now and then, last the `Survey`, saved in `folder`.

    Picture and sound are read side by side. A file that is damaged further on is taken up to there, and a note says so.
    Closing the generator ends the reading. Raises InputError where the file is no video.
    """
    info = checked_info(path)
    watched = _Watched(path, info, Path(folder) / PROXY)
    notes: list[str] = []
    heard = Listening(0.0)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(1))
        stack.callback(watched.stop.set)
        looking: Future = pool.submit(watched.look)
        try:
            for heard in listen(path, _OPTIONS, duration_s=info.duration_s):
                if isinstance(heard, Analysis):
                    break
                yield Surveying(watched.n_frames, info.n_frames, heard.heard_s, info.duration_s)
        except InputError as damage:
            notes.append(f"The sound cannot be read, so the result will be silent: {damage}")
        while not wait([looking], timeout=_POLL_S).done:
            yield Surveying(watched.n_frames, info.n_frames, info.duration_s, info.duration_s)
        marks = looking.result()
    sound = heard if isinstance(heard, Analysis) else None
    seen = Survey(
        width=info.width,
        height=info.height,
        fps=watched.rate,
        n_frames=watched.n_frames,
        has_sound=info.has_audio and sound is not None,
        n_channels=min(info.n_channels or 0, 2) if sound else 0,
        rows=(),
        quietest_s=sound.quietest_s if sound else None,
        notes=(*(sound.notes if sound else ()), *notes, *watched.notes),
        level_db=sound.level_db if sound else np.zeros(0, np.float32),
        sounds=sound.sounds if sound else np.zeros(0, bool),
        thumbs=watched.thumbs(),
        proxy=watched.proxy,
    )
    seen = seen.with_rows(sound.rows if sound else ())
    ordered = sorted([*seen.rows, *marks], key=lambda row: (row.start_s, row.end_s))
    seen = replace(seen, rows=tuple(ordered))
    seen.save(folder)
    yield seen


_OPTIONS = SpeechOptions(shortest_pause_s=SHORTEST_PAUSE_S, natural=0.0)


class _Watched:
    """One pass over the picture: its cuts, thumbnails, the copy for playing, and how many frames there are."""

    def __init__(self, path: str | os.PathLike, info: VideoInfo, proxy: Path):
        self.rate = frame_rate(min(max(info.fps, MIN_FPS), MAX_FPS))
        self.n_frames, self.notes, self.stop = 0, [], threading.Event()
        self.proxy: Path | None = proxy
        self._path, self._info = path, info
        self._every = max(1, round(info.duration_s * self.rate) // _THUMBS)
        self._thumbs: list[np.ndarray] = []

    def look(self) -> list[Row]:
        """The cuts that the footage has; everything else stays here."""
        size = output_size((self._info.width, self._info.height), max_side=_PROXY_SIDE)
        try:
            with self._copy(size) as writer:
                return list(shots(self._frames(writer, size)))
        except _NoCopy as error:  # damaged sound shows while it is copied: then there is nothing to play
            self.notes.append(f"There is no preview to play: {error}")
            self.proxy = None
            self.n_frames, self._thumbs = 0, []
            return list(shots(self._frames(None, size)))

    def thumbs(self) -> np.ndarray:  # uint8 [T h w 3]
        return np.stack(self._thumbs) if self._thumbs else np.zeros((0, _THUMB_HEIGHT, 16, 3), np.uint8)

    @contextmanager
    def _copy(self, size: tuple[int, int]) -> Iterator[VideoWriter]:
        sound = self._path if self._info.has_audio else None
        writer = VideoWriter(self.proxy, fps=self.rate, size=size, audio=sound, crf=28, preset="ultrafast")
        with _copying():
            writer.__enter__()
        try:
            yield writer
            with _copying():
                writer.finish()
        except BaseException:
            writer.__exit__(*sys.exc_info())
            raise

    def _frames(self, writer: VideoWriter | None, size: tuple[int, int]) -> Iterator[Frame]:
        """The frames, small; each is copied, counted and, now and then, a thumbnail."""
        image = small = None
        try:
            for frame in read_frames(self._path, fps=float(self.rate)):
                if self.stop.is_set():
                    return
                if frame.image is not image:  # repeated frames share their picture
                    image, small = frame.image, cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
                if writer is not None:
                    with _copying():
                        writer.write(small)
                if self.n_frames % self._every == 0:
                    width = max(16, round(size[0] * _THUMB_HEIGHT / size[1]))
                    self._thumbs.append(cv2.resize(small, (width, _THUMB_HEIGHT), interpolation=cv2.INTER_AREA))
                self.n_frames += 1
                yield Frame(frame.time_s, small)
        except InputError as damage:
            if not self.n_frames:
                raise
            self.notes.append(f"Only the first {float(self.n_frames / self.rate):.1f} s can be used: {damage}")


class _NoCopy(Exception):
    """The copy for playing cannot be made."""


@contextmanager
def _copying() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise _NoCopy(str(error)) from error
