"""The frames of a video, one at a time, upright, in RGB and with their exact times."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from genkey_core.checks import InputError, number
from genkey_core.media.clock import FrameClock, constant_rate
from genkey_core.media.container import MAX_VIDEO_PIXELS, open_media, reading, seek_before, video_stream, zero_s
from genkey_core.media.encode import MAX_FPS, MIN_FPS, to_rgb
from genkey_core.media.files import base_name

_SAME_TIME_S = 1e-6
_CUT_OFF_S = 0.25  # a file that ends earlier than it says by more than this was cut off
_LONGEST_STEP_S = 1.0  # of the nominal rate, used only where a file gives no times


@dataclass(frozen=True)
class Frame:
    """One frame of a video: `time_s` on the file's clock, `image` uint8 [H W 3], upright."""

    time_s: float
    image: np.ndarray


class Turn(NamedTuple):
    """How stored pixels become the upright picture: transposed first, then mirrored."""

    transposed: bool
    mirrored_x: bool
    mirrored_y: bool
    clockwise_deg: int

    def apply(self, image: np.ndarray) -> np.ndarray:
        """uint8 [H W 3] as stored -> as shown."""
        if self.transposed:
            image = image.transpose(1, 0, 2)
        if self.mirrored_x:
            image = image[:, ::-1]
        return np.ascontiguousarray(image[::-1] if self.mirrored_y else image)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(W, H) as stored -> as shown."""
        return (height, width) if self.transposed else (width, height)


def read_frames(
    path: str | os.PathLike, *, start_s: float = 0.0, end_s: float | None = None, fps: float | None = None
) -> Iterator[Frame]:
    """The frames with `start_s` <= time_s < `end_s`, one at a time; memory does not grow with their number.

    Times are the file's own timestamps counted from its start, on the clock that `read_audio` shares; they strictly
    increase (a repeated timestamp loses its frame, a missing one is filled in). Rotation and mirroring by metadata
    are applied, pixels are square, colours full-range RGB by the matrix and range the file names. A frame of another
    size than the first is scaled to it. Interlaced video is not deinterlaced.

    With `fps`, a variable rate becomes constant: frame i lies at `start_s` + i / fps and shows the source frame
    nearest in time by the rule of `clock.constant_rate`. Repeated frames share one array: copy before writing into it.

    Raises InputError: at once for the options, at the first frame for a file that is no video, and after the last
    readable frame for one that is damaged or cut off.
    """
    start_s = number(start_s, "start_s", low=0, unit="s")
    end_s = None if end_s is None else number(end_s, "end_s", low=start_s, unit="s")
    fps = None if fps is None else number(fps, "fps", low=MIN_FPS, high=MAX_FPS)
    return _frames(path, start_s, end_s, fps)


def first_turn(frame: av.VideoFrame) -> Turn:
    """The rotation and mirroring that the display matrix of a frame asks for, to the nearest right angle."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Turn(False, False, False, 0)
    values = np.frombuffer(bytes(matrix), np.int32, 9)
    a, b, c, d = (int(values[i]) for i in (0, 1, 3, 4))  # x' = a x + c y, y' = b x + d y
    clockwise_deg = round(math.degrees(math.atan2(b, a)) / 90) * 90 % 360
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, a < 0, d < 0, clockwise_deg)
    return Turn(True, c < 0, b < 0, clockwise_deg)


def square_size(stream: av.VideoStream, frame: av.VideoFrame) -> tuple[int, int]:
    """(W, H) of the stored frame with square pixels: a wide pixel widens the picture, within reason."""
    width = round(frame.width * float(stream.sample_aspect_ratio or 1))
    believable = frame.width / 4 <= width <= frame.width * 4 and width * frame.height <= MAX_VIDEO_PIXELS
    return (width if believable else frame.width), frame.height


def nominal_step_s(stream: av.VideoStream) -> float:
    """One over the frame rate that the file claims, at most a second."""
    rate = stream.average_rate or stream.guessed_rate
    return min(float(1 / rate), _LONGEST_STEP_S) if rate else 1 / 25


class _SeekMissed(Exception):
    """A seek led past the wanted time: the file has to be read from its start."""


def _frames(path: str | os.PathLike, start_s: float, end_s: float | None, fps: float | None) -> Iterator[Frame]:
    try:
        yield from _frames_after_seek(path, start_s, end_s, fps, seek=True)
    except _SeekMissed:
        yield from _frames_after_seek(path, start_s, end_s, fps, seek=False)


def _frames_after_seek(
    path: str | os.PathLike, start_s: float, end_s: float | None, fps: float | None, *, seek: bool
) -> Iterator[Frame]:
    scaler = VideoReformatter()
    with open_media(path) as container:
        stream = video_stream(container, path)
        decoded = _timed(container, stream, path, start_s if seek else 0.0)
        if fps is not None:
            chosen = constant_rate(decoded, fps=fps, start_s=start_s, end_s=end_s)
        else:
            chosen = ((t, frame) for t, _, frame in _until(decoded, end_s) if t >= start_s - _SAME_TIME_S)
        turn = size = source = image = None
        for time_s, frame in chosen:
            if turn is None:
                turn, size = first_turn(frame), square_size(stream, frame)
            if frame is not source:
                source, image = frame, turn.apply(to_rgb(frame, size, scaler))
            yield Frame(time_s, image)


def _until(decoded: Iterator[tuple], end_s: float | None) -> Iterator[tuple]:
    for item in decoded:
        if end_s is not None and item[0] >= end_s - _SAME_TIME_S:
            return
        yield item


def _timed(
    container: av.container.InputContainer, stream: av.VideoStream, path: str | os.PathLike, start_s: float
) -> Iterator[tuple[float, float, av.VideoFrame]]:
    """(time_s, end_s, frame) for every frame from the one shown at `start_s`, or an earlier one, on."""
    origin_s, step_s = zero_s(container), nominal_step_s(stream)
    try:
        sought = seek_before(container, stream, origin_s + start_s)
    except av.FFmpegError as error:  # some files without an index
        raise _SeekMissed from error
    clock = FrameClock(step_s)
    end_s, shown = 0.0, False
    for frame in _decoded(container, stream, path):
        file_s = None if frame.pts is None else float(frame.pts * frame.time_base) - origin_s
        if sought and not shown and (file_s is None or file_s > start_s + _SAME_TIME_S):
            raise _SeekMissed
        time_s = clock.advance(file_s)
        if time_s is None:
            continue
        shown = True
        end_s = time_s + (float(frame.duration * frame.time_base) if frame.duration else step_s)
        yield time_s, end_s, frame
    if not shown:
        raise InputError(f"{base_name(path)} is damaged: no frame of its video can be read.")
    declared_s = _declared_end_s(container, stream)
    if declared_s is not None and end_s < declared_s - origin_s - max(_CUT_OFF_S, 3 * step_s):
        raise InputError(f"{base_name(path)} is cut off: it ends at {end_s:.1f} s of {declared_s - origin_s:.1f} s.")


def _decoded(
    container: av.container.InputContainer, stream: av.VideoStream, path: str | os.PathLike
) -> Iterator[av.VideoFrame]:
    """The frames in order of display. What cannot be decoded before the first one is skipped, after it InputError."""
    started = False
    with reading(path):
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                if started:
                    raise
                continue
            for frame in frames:
                started = True
                yield frame


def _declared_end_s(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """Where the file says that the video ends, or None where it does not say so for the video alone."""
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)  # its duration is counted anew where the index is missing
    if stream.duration is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    if len(container.streams) == 1 and container.duration is not None:
        return zero_s(container) + container.duration / av.time_base
    return None
