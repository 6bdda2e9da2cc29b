"""What a video or sound file is: its streams, rates, lengths and texts."""

from __future__ import annotations

import os
from dataclasses import dataclass

import av
import numpy as np

from genkey_core.checks import InputError
from genkey_core.media.container import audio_stream, open_media, reading, video_stream, zero_s
from genkey_core.media.files import base_name
from genkey_core.media.reader import first_turn, nominal_step_s, square_size

_OFF_CLOCK = 0.25  # of a frame: a frame further than this off a regular clock makes the rate variable
_SAME_RATE_TICKS = 1.5  # times that drift no more from the claimed rate agree with it, and the claim is exact


@dataclass(frozen=True)
class VideoInfo:
    """A video file. Sizes are those of the frames that `read_frames` gives: upright, with square pixels."""

    width: int
    height: int
    fps: float  # the mean rate, where it is variable
    duration_s: float  # of the picture: n_frames / fps
    n_frames: int
    start_s: float  # time of the first frame on the file's clock; 0 as a rule
    is_variable_rate: bool
    rotation_deg: int  # clockwise, already applied to width and height
    codec: str
    pixel_format: str
    has_audio: bool
    sample_rate: int | None  # of the sound, Hz
    n_channels: int | None
    audio_codec: str | None
    audio_duration_s: float | None  # as the file states it; None where it does not


def probe(path: str | os.PathLike) -> VideoInfo:
    """Look through a video file: its packets are all read, one frame is decoded.

    Raises InputError where it is no video of moving pictures (see `has_sound` for sound files) or is damaged.
    """
    with open_media(path) as container, reading(path):
        stream = video_stream(container, path)
        frame, ticks, n_frames = _scan(container, stream)
        if frame is None:
            raise InputError(f"{base_name(path)} is damaged: no frame of its video can be read.")
        times_s = np.sort(np.array(ticks, np.float64)) * float(stream.time_base)
        fps, is_variable = _rate(times_s, n_frames, 1 / nominal_step_s(stream), float(stream.time_base))
        turn = first_turn(frame)
        width, height = turn.size(*square_size(stream, frame))
        sound = audio_stream(container)
        has_length = sound is not None and sound.duration is not None
        return VideoInfo(
            width=width,
            height=height,
            fps=fps,
            duration_s=n_frames / fps,
            n_frames=n_frames,
            start_s=float(times_s[0]) - zero_s(container) if len(times_s) else 0.0,
            is_variable_rate=is_variable,
            rotation_deg=turn.clockwise_deg,
            codec=stream.codec_context.name,
            pixel_format=frame.format.name,
            has_audio=sound is not None,
            sample_rate=sound.codec_context.rate if sound else None,
            n_channels=sound.codec_context.channels if sound else None,
            audio_codec=sound.codec_context.name if sound else None,
            audio_duration_s=float(sound.duration * sound.time_base) if has_length else None,
        )


def has_sound(path: str | os.PathLike) -> bool:
    """Whether a video or sound file has sound that can be read; InputError where it is neither."""
    with open_media(path) as container:
        return audio_stream(container) is not None


def read_metadata(path: str | os.PathLike) -> dict[str, str]:
    """The texts that a video or sound file carries (title, comment, ...), keys in lower case.

    Raises InputError where it is no such file.
    """
    with open_media(path) as container:
        return {key.lower(): text for key, text in container.metadata.items()}


def _scan(
    container: av.container.InputContainer, stream: av.VideoStream
) -> tuple[av.VideoFrame | None, list[int], int]:
    """(first frame, distinct timestamps in ticks, number of frames) of the whole stream."""
    frame, ticks, n_frames = None, set(), 0
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            n_frames += 1
            if packet.pts is not None:
                ticks.add(packet.pts)
        if frame is None:
            try:
                frame = next(iter(packet.decode()), None)
            except av.InvalidDataError:
                continue
    return frame, list(ticks), n_frames


def _rate(times_s: np.ndarray, n_frames: int, claimed_fps: float, tick_s: float) -> tuple[float, bool]:
    """(frames per second, is it variable) from sorted times; the file's claim where they do not tell."""
    if len(times_s) < 2 or len(times_s) < n_frames / 2:
        return claimed_fps, False
    n_steps = len(times_s) - 1
    step_s = float(times_s[-1] - times_s[0]) / n_steps
    regular_s = times_s[0] + step_s * np.arange(n_steps + 1)
    is_variable = bool(np.abs(times_s - regular_s).max() > _OFF_CLOCK * step_s)
    agrees = abs(1 / claimed_fps - step_s) * n_steps <= _SAME_RATE_TICKS * tick_s
    return (claimed_fps if agrees and not is_variable else 1 / step_s), is_variable
