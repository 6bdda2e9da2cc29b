"""Small media files with known content, made on the spot for the tests of genkey_core.media."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from genkey_core.media.encode import to_yuv420

RED, GREEN, BLUE, GREY = (220, 40, 30), (30, 170, 60), (20, 60, 200), (128, 128, 128)
QUADRANTS = {(0, 0): RED, (0, 1): GREEN, (1, 0): BLUE, (1, 1): GREY}  # (below, right): colour


def plain(width, height, colour=GREY):
    """One colour, uint8 [H W 3]."""
    return np.full((height, width, 3), colour, np.uint8)


def quadrants(width, height):
    """Red, green / blue, grey: every rotation and mirroring of it is another picture."""
    image = plain(width, height)
    for (below, right), colour in QUADRANTS.items():
        rows = slice(height // 2, None) if below else slice(0, height // 2)
        columns = slice(width // 2, None) if right else slice(0, width // 2)
        image[rows, columns] = colour
    return image


def quadrant_colours(image):
    """The mean colour of each quadrant's inner part, as {(below, right): [3]}."""
    h, w = image.shape[:2]
    middle = {0: 0.25, 1: 0.75}
    return {
        key: image[
            round(h * middle[key[0]] - h / 10) : round(h * middle[key[0]] + h / 10),
            round(w * middle[key[1]] - w / 10) : round(w * middle[key[1]] + w / 10),
        ].mean(axis=(0, 1))
        for key in QUADRANTS
    }


def counted(index, width=64, height=48):
    """A frame whose brightness tells its number, 0 to 50."""
    return plain(width, height, (4 * index + 20,) * 3)


def number_of(image):
    """The number of a `counted` frame."""
    return round((float(image.mean()) - 20) / 4)


def write_video(path, images, *, times_s=None, fps=25, codec="libx264", pixel_format="yuv420p", **tags):
    """A video by PyAV's own means, of pictures or finished frames.

    `times_s` makes its rate variable; `tags` are attributes of the codec.
    """
    rate = Fraction(fps).limit_denominator(1001)
    tick = Fraction(1, 90000) if times_s is not None else 1 / rate
    options = {"crf": "8"} if codec.startswith("libx26") else {"qmin": "1"}
    if codec == "libx265":
        options["x265-params"] = "log-level=none"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        first = images[0]
        stream.height, stream.width = (
            (first.height, first.width) if isinstance(first, av.VideoFrame) else first.shape[:2]
        )
        stream.pix_fmt = pixel_format
        stream.bit_rate = 8_000_000  # for the codecs that have no crf
        stream.codec_context.time_base = tick
        if pixel_format == "yuv420p":
            tags = {"colorspace": 1, "color_range": 1, **tags}  # what to_yuv420 makes
        for key, value in tags.items():
            setattr(stream.codec_context, key, value)
        for i, image in enumerate(images):
            if isinstance(image, av.VideoFrame):
                frame = image
            elif image.shape[0] % 2 or image.shape[1] % 2 or pixel_format != "yuv420p":
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixel_format)
            else:
                frame = to_yuv420(image, VideoReformatter())
            frame.pts = i if times_s is None else round(times_s[i] / tick)
            frame.time_base = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Path(path)


def write_sound(path, samples, sample_rate, *, codec, format=None, cover=None):
    """float32 [C S] as a sound file; `cover` is the bytes of a PNG to embed as an attached picture."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[samples.shape[0]]
    with av.open(str(path), "w", format=format) as container:
        stream = container.add_stream(codec, rate=sample_rate, layout=layout)
        picture = None
        if cover is not None:
            picture = container.add_stream("png", rate=1)
            picture.width = picture.height = 64
            picture.pix_fmt = "rgb24"
            picture.disposition = av.stream.Disposition.attached_pic
        frames, fifo = [], av.AudioFifo()
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate = sample_rate
        frames = av.AudioResampler(format=stream.codec_context.format, layout=layout).resample(frame)
        for resampled in frames:
            fifo.write(resampled)
        if picture is not None:
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts, packet.time_base = picture, 0, 0, Fraction(1)
            container.start_encoding()
            container.mux(packet)
        position = 0
        while (block := fifo.read(stream.codec_context.frame_size or 1024, partial=True)) is not None:
            block.pts, block.time_base = position, Fraction(1, sample_rate)
            position += block.samples
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    return Path(path)


def tone(duration_s, sample_rate, *, n_channels=1, hz=440.0):
    """A sine at half scale, float32 [C S]."""
    t = np.arange(round(duration_s * sample_rate)) / sample_rate
    return np.tile(0.5 * np.sin(2 * np.pi * hz * t), (n_channels, 1)).astype(np.float32)


def clicks(times_s, duration_s, sample_rate):
    """Short bursts that begin at `times_s`, float32 [1 S]."""
    samples = np.zeros((1, round(duration_s * sample_rate)), np.float32)
    burst = np.sin(2 * np.pi * 2000 * np.arange(round(0.01 * sample_rate)) / sample_rate)
    for time_s in times_s:
        start = round(time_s * sample_rate)
        samples[0, start : start + len(burst)] = 0.8 * burst
    return samples


def set_display_matrix(path, a, b, c, d):
    """Write the 2x2 part of the QuickTime display matrix, x' = a x + c y and y' = b x + d y, into an MP4's tracks."""
    content = bytearray(Path(path).read_bytes())
    place = content.find(b"tkhd")
    while place >= 0:
        if content[place + 4] != 0:
            raise ValueError("a version 0 track header was expected")
        matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
        struct.pack_into(">9i", content, place + 4 + 40, *matrix)
        place = content.find(b"tkhd", place + 4)
    Path(path).write_bytes(content)
    return Path(path)


def boxes(path):
    """Names of an MP4's top-level boxes in order."""
    content, place, names = Path(path).read_bytes(), 0, []
    while place + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, place + 8)
        names.append(name.decode("latin-1"))
        place += size or len(content)
    return names
