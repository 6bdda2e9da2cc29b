"""Images, video and audio in and out.

Everything is uint8 [H W 3] sRGB for pictures and float32 [C S] for sound. Files are opened once, by
`files.open_local`, and only where they are regular local files; results appear under their name when complete.
"""

from genkey_core.media.audio import Audio, read_audio
from genkey_core.media.encode import frame_rate
from genkey_core.media.files import atomic_output, local_file
from genkey_core.media.framezip import FrameZip
from genkey_core.media.images import encode_png, fit_image, image_size, load_image, output_size, save_image
from genkey_core.media.probe import VideoInfo, has_sound, probe, read_metadata
from genkey_core.media.reader import Frame, read_frames
from genkey_core.media.tensors import save_tensors, to_float, to_uint8
from genkey_core.media.writer import VideoWriter

__all__ = [
    "Audio",
    "Frame",
    "FrameZip",
    "VideoInfo",
    "VideoWriter",
    "atomic_output",
    "encode_png",
    "fit_image",
    "frame_rate",
    "has_sound",
    "image_size",
    "load_image",
    "local_file",
    "output_size",
    "probe",
    "read_audio",
    "read_frames",
    "read_metadata",
    "save_image",
    "save_tensors",
    "to_float",
    "to_uint8",
]
