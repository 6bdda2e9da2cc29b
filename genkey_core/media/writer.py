"""H.264 MP4 files written frame by frame: exact rates, exact length of sound, a name that appears when all is done."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from genkey_core.checks import InputError, choice, integer, number, shown
from genkey_core.media.audio import Audio, open_sound, sound_of
from genkey_core.media.encode import frame_rate, to_yuv420
from genkey_core.media.files import create_part
from genkey_core.media.images import MAX_SIDE, MIN_SIDE, check_image
from genkey_core.media.soundtrack import Soundtrack, aac_rate

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow")
METADATA_KEYS = ("title", "comment", "description", "artist", "album", "date", "genre", "copyright")
MAX_METADATA_BYTES = 2**20

_KEYFRAME_EVERY_S = 2.0  # so that players and readers seek quickly
_IN_FRONT = {"movflags": "+faststart"}  # the index before the pictures, so that a player can start while it loads
_BT709, _LIMITED_RANGE = 1, 1  # matrix, primaries and transfer; range (ITU-T H.273, and FFmpeg's number for the range)


class VideoWriter:
    """An MP4 of H.264 (yuv420p, BT.709, limited range, index in front) that is written frame by frame.

        with VideoWriter("out.mp4", fps=24, size=(1024, 576), audio="song.mp3") as writer:
            for image in images:
                writer.write(image)

    `fps` is a float or Fraction in [1, 60]; `size` is (W, H), even, 16 to 4096. `audio` is an `Audio` or the path of
    a file with sound; it is taken from `audio_start_s` on, and cut or continued with silence to the length of the
    video, n_frames / fps, to the sample (a damaged sound file may show only while writing: read it with `read_audio`
    where it must show before). `metadata` gives texts for the keys of METADATA_KEYS; it may
    be set anew at any time before the block ends. `crf` is H.264's
    quality (0 lossless, 51 worst; 17 is visually lossless).

    Memory does not grow with the number of frames. The file is written beside under a hidden name and takes its name
    when the block ends. An exception in the block (a closed generator included) leaves nothing or, after
    `keep_partial()`, a valid file of the frames so far. One thread at a time may call `write`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        fps: float | Fraction,
        size: tuple[int, int],
        audio: Audio | str | os.PathLike | None = None,
        audio_start_s: float = 0.0,
        metadata: Mapping[str, str] | None = None,
        crf: float = 17,
        preset: str = "veryfast",
    ):
        self.path = Path(path).absolute()
        self.rate = frame_rate(fps)
        self.size = tuple(integer(side, "size", low=MIN_SIDE, high=MAX_SIDE) for side in size)
        if len(self.size) != 2 or any(side % 2 for side in self.size):
            raise InputError(f"size: an even width and height are needed, got {'x'.join(map(str, self.size))}.")
        self.n_frames = 0
        self._options = {"crf": str(number(crf, "crf", low=0, high=51)), "preset": choice(preset, "preset", PRESETS)}
        self.metadata = dict(metadata or {})
        self._written_metadata = _checked(self.metadata)
        self._audio = audio
        self._audio_start_s = number(audio_start_s, "audio_start_s", low=0, unit="s")
        self._keep_partial = False
        self._part: Path | None = None
        self._container: av.container.OutputContainer | None = None
        self._soundtrack: Soundtrack | None = None
        self._sources = ExitStack()  # the open sound file
        self._scaler = VideoReformatter()

    @property
    def duration_s(self) -> float:
        """The length of what was written so far."""
        return float(self.n_frames / self.rate)

    def __enter__(self) -> VideoWriter:
        try:
            self._open()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None or (self._keep_partial and self.n_frames):
            self.finish()
        else:
            self._discard()

    def write(self, image: np.ndarray) -> None:
        """Append one frame, uint8 [H W 3] of the writer's size."""
        if self._container is None:
            raise RuntimeError("VideoWriter.write: not open; use it inside its `with` block and before finish()")
        check_image(image)
        if (image.shape[1], image.shape[0]) != self.size:
            raise InputError(f"image: {self.size[0]}x{self.size[1]} is needed, got {image.shape[1]}x{image.shape[0]}.")
        self._append(to_yuv420(image, self._scaler))

    def write_420(self, planes: np.ndarray) -> None:
        """Append one frame that is in the file's own form already: uint8 [H * 3/2 W], BT.709 in limited range.

        The brightness of H rows is followed by the two planes of colour of H/2 rows of W/2 each (I420).
        """
        if self._container is None:
            raise RuntimeError("VideoWriter.write_420: not open; use it inside its `with` block and before finish()")
        width, height = self.size
        if planes.dtype != np.uint8 or planes.shape != (height * 3 // 2, width):
            raise InputError(f"planes: uint8 [{height * 3 // 2} {width}] is needed, got {planes.dtype} {planes.shape}.")
        self._append(av.VideoFrame.from_ndarray(planes, format="yuv420p"))

    def _append(self, frame: av.VideoFrame) -> None:
        frame.pts, frame.time_base = self.n_frames, 1 / self.rate
        self._container.mux(self._video.encode(frame))
        self.n_frames += 1
        if self._soundtrack:
            self._soundtrack.advance(self.n_frames / self.rate)

    def keep_partial(self) -> None:
        """From now on an exception in the block keeps the frames written so far as a valid file."""
        self._keep_partial = True

    def finish(self) -> None:
        """Complete the file now and give it its name; the end of the block then does nothing more.

        Raises InputError where no frame was written.
        """
        if self._container is None:
            return
        try:
            if not self.n_frames:
                raise InputError("video: at least one frame is needed, got none.")
            self._container.mux(self._video.encode(None))
            if self._soundtrack:
                self._soundtrack.finish(self.n_frames / self.rate)
            self._container.close()
            metadata = _checked(self.metadata)
            if metadata != self._written_metadata:
                _rewrite(self._part, metadata)
            os.replace(self._part, self.path)
            self._container = self._part = None
        finally:
            self._discard()

    def _open(self) -> None:
        if self._part is not None or self.n_frames:
            raise RuntimeError("VideoWriter: one writer writes one file")
        self._part = create_part(self.path)
        ticks = self.rate.numerator * -(-48000 // self.rate.numerator)  # a header clock fine enough for both lengths
        options = {"movflags": "+faststart", "movie_timescale": str(ticks)}
        self._container = av.open(str(self._part), "w", format="mp4", options=options)
        self._container.metadata.update(self._written_metadata)
        self._video = self._container.add_stream("libx264", rate=self.rate, options=self._options)
        self._video.width, self._video.height = self.size
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.time_base = 1 / self.rate
        context.thread_type = "AUTO"
        context.gop_size = max(1, round(_KEYFRAME_EVERY_S * self.rate))
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        if self._audio is not None:
            self._soundtrack = Soundtrack(self._container, self._sources.enter_context(self._sound()))

    def _sound(self):
        """The sound to write, as a context manager over a SoundStream at a rate that AAC knows."""
        if isinstance(self._audio, Audio):
            rate = aac_rate(self._audio.sample_rate)
            return sound_of(self._audio, sample_rate=rate, start_s=self._audio_start_s)
        with open_sound(self._audio) as sound:
            rate = aac_rate(sound.sample_rate)
        return open_sound(self._audio, sample_rate=rate, start_s=self._audio_start_s)

    def _discard(self) -> None:
        self._sources.close()
        if self._container is not None:
            with suppress(av.FFmpegError, OSError):
                self._container.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)
        self._container = self._part = self._soundtrack = None


def _rewrite(path: Path, metadata: Mapping[str, str]) -> None:
    """Give a finished file other metadata: FFmpeg takes them before the first frame only, so the packets are copied."""
    part = create_part(path)
    try:
        with av.open(str(path)) as source, av.open(str(part), "w", format="mp4", options=_IN_FRONT) as copy:
            copy.metadata.update(metadata)
            streams = {s.index: copy.add_stream_from_template(s) for s in source.streams}
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    copy.mux(packet)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _checked(metadata: Mapping[str, str]) -> dict[str, str]:
    for key, text in metadata.items():
        choice(key, "metadata", METADATA_KEYS)
        if not isinstance(text, str) or "\0" in text or len(text.encode(errors="replace")) > MAX_METADATA_BYTES:
            raise InputError(f"metadata: a text of at most 1 MB is needed for {key}, got {shown(text)}.")
    return dict(metadata)
