"""What is known of the text-guided video models without loading them: sizes, presets, memory modes, time.

Two published generators take a first and a last picture and a prompt: Wan 2.1 FLF2V (Wan Team 2025, arXiv 2503.20314)
and LTX-Video (HaCohen et al. 2024, arXiv 2501.00103). Steps, guidance and negative prompts are those that their authors
give. Nothing here has been measured on a GPU: memory and time are estimates, worked out from the sizes of the weights and
the number of tokens, and meant to choose a mode and to ask for a long enough lease.
"""

from __future__ import annotations

import importlib.util
import math
import re
from dataclasses import dataclass

from .. import runtime
from ..checks import InputError, integer, shown

NEUTRAL_PROMPT = (
    "One continuous shot. The scene of the first picture changes smoothly and naturally into that of the last picture."
)


@dataclass(frozen=True)
class TextMode:
    """How much speed is given up for memory; all sizes are estimates for the model's longest clip."""

    name: str  # the kind of GPU it is meant for
    free_gb: float  # memory of the GPU that has to be free
    ram_gb: float  # main memory that has to be free: weights wait there while others are at work
    offload: str = ""  # "parts": only the part at work is on the GPU; "layers": only the layer at work
    bits: int = 16  # of the weights; 8 and 4 through bitsandbytes
    tile: bool = False  # the autoencoder works in tiles
    pixels: int | None = None  # at most this many in a frame
    slower: float = 1.0  # than without all this


@dataclass(frozen=True)
class TextPreset:
    """How carefully a clip is made."""

    steps: int
    pixels: int  # of a frame, at most


@dataclass(frozen=True)
class TextSpec:
    """One text-guided model that takes a first and a last picture."""

    name: str
    checkpoint: str  # in hub.CHECKPOINTS
    pipelines: tuple[str, ...]  # what model_index.json may name
    unit: int  # width and height of a frame are multiples of it
    frame_counts: tuple[int, ...]  # numbers of frames it makes
    usual_frames: int
    fps: int  # at which its clips play in their own time
    guidance: float
    negative_prompt: str
    presets: dict[str, TextPreset]
    modes: tuple[TextMode, ...]  # the fastest first
    quantised: tuple[str, ...]  # parts whose weights the modes below 16 bits shrink
    packages: tuple[str, ...]  # beyond those of the other engines
    step_s: float  # one step of `step_pixels` pixels (width x height x frames) on an 80 GB card
    step_pixels: int
    step_power: float  # how the time of a step grows with the pixels; attention makes it more than 1
    around_s: float  # reading the prompt, moving weights, decoding

    def nearest_frames(self, n: int | None) -> int:
        """The number of frames it makes that is nearest to `n`; the usual number for None."""
        n = self.usual_frames if n is None else integer(n, "frames", low=2, high=10_000)
        return min(self.frame_counts, key=lambda count: (abs(count - n), count))

    def seconds(self, preset: TextPreset, mode: TextMode, size: tuple[int, int], n_frames: int) -> float:
        """Estimated seconds on a GPU for one clip."""
        step_s = self.step_s * (math.prod(size) * n_frames / self.step_pixels) ** self.step_power
        return (self.around_s + preset.steps * step_s) * mode.slower


WAN_SPEC = TextSpec(
    name="wan",
    checkpoint="wan-flf2v",
    pipelines=("WanImageToVideoPipeline",),
    unit=16,
    frame_counts=tuple(range(5, 82, 4)),
    usual_frames=81,
    fps=16,
    guidance=5.5,
    negative_prompt=(
        "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, overall"
        " gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, poorly drawn hands,"
        " poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still picture, messy background, three"
        " legs, many people in the background, walking backwards"
    ),
    presets={"fast": TextPreset(25, 832 * 480), "quality": TextPreset(40, 1280 * 720)},
    modes=(  # 16.4 billion weights in the transformer, 5.7 billion in the text encoder
        TextMode("80 GB", 66, 50),
        TextMode("48 GB", 44, 50, offload="parts", slower=1.1),
        TextMode("40 GB", 36, 16, offload="parts", bits=8, tile=True, slower=1.4),
        TextMode("24 GB", 21, 16, offload="parts", bits=4, tile=True, slower=1.4),
        TextMode("16 GB", 14, 16, offload="parts", bits=4, tile=True, pixels=832 * 480, slower=1.4),
        TextMode("12 GB", 10, 50, offload="layers", tile=True, pixels=832 * 480, slower=4.0),
    ),
    quantised=("transformer", "transformer_2", "text_encoder"),
    packages=("ftfy",),
    step_s=37.0,
    step_pixels=1280 * 720 * 81,
    step_power=1.6,
    around_s=90.0,
)

LTX_SPEC = TextSpec(
    name="ltx",
    checkpoint="ltx-video",
    pipelines=("LTXPipeline", "LTXConditionPipeline"),
    unit=32,
    frame_counts=tuple(range(9, 162, 8)),
    usual_frames=97,
    fps=25,
    guidance=3.0,
    negative_prompt="worst quality, inconsistent motion, blurry, jittery, distorted",
    presets={"fast": TextPreset(20, 768 * 512), "quality": TextPreset(40, 1216 * 704)},
    modes=(  # 1.9 billion weights in the transformer, 4.8 billion in the text encoder
        TextMode("24 GB", 21, 20),
        TextMode("16 GB", 13, 20, offload="parts", slower=1.2),
        TextMode("12 GB", 11, 20, offload="parts", tile=True, slower=1.3),
        TextMode("8 GB", 7, 8, offload="parts", bits=4, tile=True, slower=1.4),
        TextMode("6 GB", 5, 20, offload="layers", tile=True, slower=4.0),
    ),
    quantised=("text_encoder",),
    packages=("sentencepiece", "google.protobuf"),
    step_s=0.3,
    step_pixels=704 * 512 * 121,
    step_power=1.3,
    around_s=40.0,
)

SPECS = {spec.name: spec for spec in (WAN_SPEC, LTX_SPEC)}
_PIP_NAMES = {"google.protobuf": "protobuf"}


def check_packages(names: tuple[str, ...], what: str) -> None:
    """InputError that names what to install, unless all of `names` can be imported."""
    missing = [_PIP_NAMES.get(name, name) for name in names if not _installed(name)]
    if missing:
        raise InputError(f"{what}: a package is missing here; install it with pip install {' '.join(missing)}.")


def choose_text_mode(spec: TextSpec, device: str, wanted: str = "auto") -> TextMode:
    """The memory mode: for "auto" the fastest that fits into what is free, otherwise the one meant for that much memory.

    `wanted` may be any size, as "40 GB": the largest mode not above it is taken. Raises InputError where `device` is no
    GPU, where nothing fits, and where the mode that was asked for needs bitsandbytes and it is not installed.
    """
    memory = runtime.available_memory(device)
    if memory.gpu is None:
        raise InputError(f"{spec.name}: a GPU is needed, and this machine has none; the draft engine runs without.")
    if wanted != "auto":
        return _named_mode(spec, wanted)
    free_gb, ram_gb = memory.gpu / 1e9, memory.ram / 1e9
    for mode in _usable(spec, device):
        if free_gb >= mode.free_gb and ram_gb >= mode.ram_gb:
            return mode
    smallest = spec.modes[-1]
    raise InputError(
        f"{spec.name}: {smallest.free_gb:g} GB free on the GPU and {smallest.ram_gb:g} GB of main memory are needed, this"
        f" machine has {free_gb:.1f} GB and {ram_gb:.1f} GB; the draft engine runs without."
    )


def smaller_text_mode(spec: TextSpec, mode: TextMode, device: str) -> TextMode | None:
    """The next mode that needs less memory of the GPU and can run on `device`, None after the smallest."""
    return next((other for other in _usable(spec, device) if other.free_gb < mode.free_gb), None)


def _usable(spec: TextSpec, device: str) -> list[TextMode]:
    """The modes without those that shrink weights, unless bitsandbytes is here, and a GPU of its kind that stays."""
    shrinks = _installed("bitsandbytes") and device != "mps" and not runtime.on_zero_gpu()
    return [mode for mode in spec.modes if mode.bits == 16 or shrinks]


def text_size(spec: TextSpec, width: int, height: int, pixels: int) -> tuple[int, int]:
    """The size (W, H) at which a picture of this shape is generated.

    Multiples of the model's unit, no more than `pixels` in all, of the nearest aspect; large counts, but less than shape.
    Pictures wider than 3:1 or narrower than 1:3 are generated at that aspect.
    """
    integer(width, "width", low=1)
    integer(height, "height", low=1)
    aspect = min(max(width / height, 1 / 3), 3.0)
    most = pixels // spec.unit**2  # in units, as everything below
    sizes = [(w, h) for w in range(1, most + 1) for h in {math.floor(w / aspect), math.ceil(w / aspect)} if h]

    def misfit(size: tuple[int, int]) -> float:
        w, h = size
        return abs(math.log(w / h / aspect)) + 0.5 * math.log(most / (w * h))

    w, h = min((size for size in sizes if math.prod(size) <= most), key=misfit, default=(1, 1))
    return w * spec.unit, h * spec.unit


def _named_mode(spec: TextSpec, wanted: str) -> TextMode:
    size = re.fullmatch(r"(\d{1,4}) GB", wanted)
    if not size:
        raise InputError(f"memory mode: auto or a size such as 24 GB is needed, got {shown(wanted)}.")
    fitting = [mode for mode in spec.modes if int(mode.name.removesuffix(" GB")) <= int(size[1])]
    if not fitting:
        raise InputError(f"{spec.name}: {wanted} are too few; the smallest memory mode is {spec.modes[-1].name}.")
    if fitting[0].bits < 16:
        check_packages(("bitsandbytes",), f"{spec.name} in the memory mode {fitting[0].name}")
    return fitting[0]


def _installed(name: str) -> bool:
    """Whether the package can be imported; does not import it (its parent, where it has one, is)."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of the parent
        return False
