"""Open a video or sound file for reading, so that nothing but that one file is ever read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import av
from av.stream import Disposition

from genkey_core.checks import InputError
from genkey_core.media.files import base_name, open_local

MAX_VIDEO_PIXELS = 8192 * 4352  # 8K and a little

# Demuxers of files that hold their own streams. Playlists and scripts (hls, dash, concat, ...) name other files.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif,m4v,"
    "wav,w64,aiff,caf,flac,mp3,aac,ac3,amr"
)  # fmt: skip
_EXACT_SEEK = ("mov", "matroska")  # containers whose timestamps can be trusted after a seek
_WORTH_SEEKING_S = 1.0
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"[playlist]", b"v=0")


@contextmanager
def open_media(path: str | os.PathLike) -> Iterator[av.container.InputContainer]:
    """The file at `path` as an open PyAV container.

    FFmpeg gets an open file and no name, may guess only the formats of `DEMUXERS`, and may open nothing else. Raises
    InputError where the path is no regular local file (see `local_file`) or the file no video or sound.
    """
    name = base_name(path)

    def refuse(*_):
        raise InputError(f"{name} refers to other files or addresses, which are not opened.")

    with open_local(path) as file:
        options = {"format_whitelist": DEMUXERS, "protocol_whitelist": "none", "max_pixels": str(MAX_VIDEO_PIXELS)}
        try:
            container = av.open(file, "r", options=options, metadata_errors="replace", io_open=refuse)
        except InputError:
            raise
        except (av.FFmpegError, UnicodeError, ValueError) as error:
            file.seek(0)
            raise InputError(f"{name} {_what_it_is(file.read(64))}") from error
        with container:
            yield container


@contextmanager
def reading(path: str | os.PathLike, what: str = "is damaged or cut off and cannot be read further") -> Iterator[None]:
    """Say an error of the demuxer or decoder, met inside, as a sentence about the file."""
    try:
        yield
    except av.FFmpegError as error:
        raise InputError(f"{base_name(path)} {what}.") from error


def video_stream(container: av.container.InputContainer, path: str | os.PathLike) -> av.VideoStream:
    """The first stream of moving pictures; cover pictures of sound files do not count. InputError without one."""
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        raise InputError(f"{base_name(path)} has no moving picture: a video is needed.")
    stream = moving[0]
    context = stream.codec_context
    if context is None:
        raise InputError(f"{base_name(path)}: its video is in a format that cannot be decoded here.")
    if context.width * context.height > MAX_VIDEO_PIXELS:
        raise InputError(f"{base_name(path)} is too large: at most 8192x4352, got {context.width}x{context.height}.")
    if not context.width * context.height:
        raise InputError(f"{base_name(path)} is damaged: its picture size is not known.")
    context.options = {"max_pixels": str(MAX_VIDEO_PIXELS)}
    stream.thread_type = "AUTO"
    return stream


def audio_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """The first stream of sound that can be decoded, or None."""
    return next((s for s in container.streams.audio if s.codec_context is not None and s.codec_context.rate), None)


def zero_s(container: av.container.InputContainer) -> float:
    """The time that all times of this file are counted from, s: its start, or 0 where codec delay lies before 0."""
    return max(0.0, (container.start_time or 0) / av.time_base)


def seek_before(container: av.container.InputContainer, stream: av.VideoStream, time_s: float) -> bool:
    """Go to a keyframe at or before `time_s`, where that is exact and worth it; False, still at the start, elsewhere."""
    if time_s <= _WORTH_SEEKING_S or not container.format.name.startswith(_EXACT_SEEK):
        return False
    container.seek(int(time_s / stream.time_base), stream=stream)
    return True


def _what_it_is(head: bytes) -> str:
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(_PLAYLISTS):
        return "is a playlist, which only names other files: the video itself is needed."
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")) or head[8:12] == b"WEBP":
        return "is a still picture: a video or sound file is needed."
    return "is not a readable video or sound file: it is damaged, cut off or of another kind."
