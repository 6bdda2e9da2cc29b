"""The engines that make a zoom stack from prompts, behind one call: a ladder of prompts in, levels out.

An engine has a `name`, `stack(ladder, photo)`, which yields Progress records and last the levels uint8 [N H W 3], and
`needs(n_levels)`. `mini` is the small model that ships with this repository, on the CPU; `full` is DeepFloyd IF with its
super-resolution, and `prx` PRXPixel, both on a GPU. What cannot run here raises InputError with the remedy when the engine is
made, before anything is loaded or fetched; torch is imported when sampling starts.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import hub, runtime
from ..checks import InputError, shown
from .gpu import MODES, ON_CPU, MemoryMode, check_fetchable, fetched, memory_mode
from .prompts import Ladder, unknown_words
from .sampling import SamplingOptions
from .settings import Settings

MINI_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "checkpoints" / "mini-zoom"
MINI_GUIDANCE = 4.0  # what it was tried with (docs/mini.md)
_PACKAGES = ("torch", "diffusers", "transformers")
_STAGE_S = {"fast": (6.0, 9.0), "quality": (10.0, 15.0)}  # one level through IF's second and the x4 stage: estimates
_LEASE_MARGIN = 1.4  # a lease that is too short is aborted and its quota lost; what is not used is given back


@dataclass(frozen=True)
class Progress:
    """What an engine says while it works."""

    done: int  # steps done
    total: int
    previews: np.ndarray | None = None  # uint8 [N h w 3], all levels as they are now foreseen
    note: str = ""  # such as "loading the model"
    lasting: bool = False  # whether the note belongs to the result too


@dataclass(frozen=True)
class Needs:
    """What one stack needs; every number is an estimate."""

    seconds: float
    once_s: float = 0.0  # for loading, the first time
    memory_bytes: int = 0  # main memory
    lease_s: float = 0.0  # seconds of GPU asked for, 0 for an engine that runs on the CPU
    download_bytes: int = 0  # what has to be fetched first
    memory_mode: str = ""
    notes: tuple[str, ...] = ()  # sentences for the cost line


@dataclass(frozen=True)
class Request:
    """One stack to be made, in plain values: on ZeroGPU it is sent to another process."""

    kind: str  # "if" or "prx"
    folder: str  # of the model, in the Hub's layout
    prompts: tuple[str, ...]
    p: int
    options: SamplingOptions
    preset: str
    negative: str
    seed: int
    size: int  # side of the levels
    device: str = "cpu"
    mode: MemoryMode = ON_CPU
    stage: str | None = None  # folder of IF's second stage
    x4: str | None = None  # folder of the x4 upscaler
    filtered: bool = False  # whether the model's own filter looks at the result
    lease_s: float = 60.0  # the longest it may take on a GPU


class Engine:
    """What the three share."""

    name: str
    kind: str

    def __init__(self, settings: Settings, folder: str | Path | None):
        missing = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
        if missing:
            raise InputError(
                f"{self.name}: {', '.join(missing)} not installed here; install what requirements.txt lists."
            )
        self.settings = settings.checked()
        self.folder = None if folder is None else Path(folder)

    def stack(self, ladder: Ladder, photo: np.ndarray | None = None) -> Iterator[Progress | np.ndarray]:
        """Make the levels uint8 [N H W 3] of a checked ladder; `photo` uint8 [H W 3], square, is what level 0 shows.

        Yields Progress, and the levels last. Closing it stops the work. Raises InputError.
        """
        from .making import leased

        for name in self._checkpoints():
            for note in fetched(name):
                yield Progress(0, 1, note=note)
        yield from leased(self._request(ladder), photo)

    def warnings(self, ladder: Ladder) -> tuple[str, ...]:
        """Sentences about the prompts that the user should read before the run."""
        return ()

    def _checkpoints(self) -> tuple[str, ...]:
        """What has to be fetched, by its name in hub.CHECKPOINTS."""
        return ()

    def _request(self, ladder: Ladder) -> Request:
        raise NotImplementedError

    def _plain(self, ladder: Ladder, folder: Path, *, guidance_scale: float, size: int, steps: int | None = None):
        options = self.settings.sampling(guidance_scale=guidance_scale, steps=steps)
        return Request(
            kind=self.kind,
            folder=str(folder),
            prompts=ladder.prompts,
            p=ladder.p,
            options=options,
            preset=self.settings.preset,
            negative=self.settings.negative,
            seed=self.settings.seed,
            size=self.settings.size or size,
        )


class Mini(Engine):
    """The bundled small model, on the CPU: it takes no GPU and no quota, and gives the same stack on every machine.

    Its levels are 64 pixels a side and enlarged by interpolation. `folder` is another model of IF's classes.
    """

    name, kind = "mini", "if"
    _STEP_S = 0.03  # of one image with and one without its prompt, on two cores

    def __init__(self, settings: Settings, folder: str | Path | None = None):
        super().__init__(settings, folder or MINI_FOLDER)
        if not (self.folder / "model_index.json").is_file():
            raise InputError(
                f"mini: its checkpoint {self.folder.name} is not in assets/checkpoints; get this repository with its "
                "assets, or train one (docs/mini.md), or zoom into your own images."
            )

    def needs(self, n_levels: int) -> Needs:
        """What a stack of `n_levels` takes on a CPU of two cores."""
        steps = self.settings.sampling(guidance_scale=MINI_GUIDANCE).steps
        return Needs(
            seconds=2 + steps * n_levels * 2 * self._STEP_S,
            once_s=8,
            memory_bytes=900_000_000,
            notes=(
                "mini knows only the small world it was trained on; its words are listed when others are asked for.",
            ),
        )

    def warnings(self, ladder: Ladder) -> tuple[str, ...]:
        """One sentence for each level whose prompt has words that the model does not know."""
        pieces = self._pieces()
        found = [(i, unknown_words(prompt, pieces)) for i, prompt in enumerate(ladder.prompts, 1)]
        return tuple(
            f"Level {i}: mini does not know {_listed(words)}; the level is made from the words that are left."
            for i, words in found
            if words
        )

    def vocabulary(self) -> list[str]:
        """The words that the model knows."""
        return sorted(piece[1:] for piece in self._pieces() if piece.startswith("▁") and piece[1:].isalpha())

    def _pieces(self) -> list[str]:
        file = self.folder / "tokenizer" / "tokenizer.json"
        try:
            vocabulary = json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]
            return [entry if isinstance(entry, str) else entry[0] for entry in vocabulary]
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(f"mini: {shown(str(file.name))} of {self.folder.name} cannot be read.") from error

    def _request(self, ladder: Ladder) -> Request:
        return self._plain(ladder, self.folder, guidance_scale=MINI_GUIDANCE, size=512)


class GpuEngine(Engine):
    """What `full` and `prx` share: a GPU with room, weights that are here or can be fetched."""

    def __init__(self, settings: Settings, folder: str | Path | None = None, *, device: str | None = None):
        super().__init__(settings, folder)
        self.device = runtime.best_device() if device is None else device
        if device is not None:
            self.mode = MODES[self.name][0]
        else:
            self.mode = memory_mode(self.name, self.device, settings.memory)
        for checkpoint in self._checkpoints():
            check_fetchable(checkpoint)

    def needs(self, n_levels: int) -> Needs:
        """What a stack of `n_levels` takes on a GPU."""
        seconds = self._seconds(n_levels)
        shrunk = (
            (f"The text encoder's weights are shrunk to {self.mode.text_bits} bits.",)
            if self.mode.text_bits < 16
            else ()
        )
        return Needs(
            seconds=seconds,
            once_s=60,
            memory_bytes=int(self.mode.ram_gb * 1e9),
            lease_s=seconds * _LEASE_MARGIN,
            download_bytes=sum(hub.checkpoint(name).size_bytes or 0 for name in self._checkpoints()),
            memory_mode=self.mode.name,
            notes=shrunk,
        )

    def _seconds(self, n_levels: int) -> float:
        raise NotImplementedError

    def _on_gpu(self, request: Request) -> Request:
        lease_s = self._seconds(len(request.prompts)) * _LEASE_MARGIN
        return replace(request, device=self.device, mode=self.mode, lease_s=lease_s)


class Full(GpuEngine):
    """DeepFloyd IF: the first stage at 64x64 jointly, then its second stage (256) and the x4 upscaler (1024).

    `folder` is another first stage in the Hub's layout (IF-I-M or IF-I-L, say), `stages` the folders of the other two.
    """

    name, kind = "full", "if"
    _STEP_S = 0.12  # of one image with and one without its prompt: estimates, as below

    def __init__(
        self, settings: Settings, folder=None, *, stages: tuple[str, str] | None = None, device: str | None = None
    ):
        self.stages = stages
        super().__init__(settings, folder, device=device)

    @property
    def size(self) -> int:
        return self.settings.size or 1024

    def _checkpoints(self) -> tuple[str, ...]:
        wanted = [] if self.folder else ["if-i-xl"]
        if not self.stages:
            wanted += ["if-ii-l"] * (self.size > 64) + ["x4-upscaler"] * (self.size > 256)
        return tuple(name for name in wanted if hub.cached(name) is None)

    def _seconds(self, n_levels: int) -> float:
        steps = self.settings.sampling(guidance_scale=7).steps
        second, third = _STAGE_S[self.settings.preset]
        each = steps * self._STEP_S + second * (self.size > 64) + third * (self.size > 256)
        return 20 + n_levels * each

    def _request(self, ladder: Ladder) -> Request:
        folder = self.folder or hub.cached("if-i-xl")
        stage, x4 = self.stages or (hub.cached("if-ii-l"), hub.cached("x4-upscaler"))
        request = self._plain(ladder, folder, guidance_scale=7.0, size=1024)
        request = replace(
            request, stage=str(stage) if self.size > 64 else None, x4=str(x4) if self.size > 256 else None
        )
        return self._on_gpu(replace(request, filtered=(Path(folder) / "safety_checker").is_dir()))


class PRX(GpuEngine):
    """PRXPixel: joint sampling of all levels at 1024x1024, no super-resolution."""

    name, kind = "prx", "prx"
    _STEP_S = 1.6  # of one image with and one without its prompt at 1024x1024: an estimate

    def _checkpoints(self) -> tuple[str, ...]:
        return () if self.folder or hub.cached("prx-pixel") else ("prx-pixel",)

    def _steps(self) -> int:
        return 28 if self.settings.preset == "fast" else 50

    def _seconds(self, n_levels: int) -> float:
        share = ((self.settings.size or 1024) / 1024) ** 2
        return 20 + n_levels * self._steps() * self._STEP_S * share

    def _request(self, ladder: Ladder) -> Request:
        folder = self.folder or hub.cached("prx-pixel")
        return self._on_gpu(self._plain(ladder, folder, guidance_scale=5.0, size=1024, steps=self._steps()))


_ENGINES = {"mini": Mini, "full": Full, "prx": PRX}


def choose_engine(name: str, settings: Settings | None = None) -> Engine:
    """The engine of that name, ready to run; nothing is loaded or fetched yet.

    "auto" is full or prx where its weights are here and a GPU has room for it, otherwise mini. Raises InputError with the
    remedy where an engine cannot run here.
    """
    settings = settings or Settings()
    if name == "auto":
        return next(filter(None, (_if_ready(kind, settings) for kind in ("full", "prx"))), None) or Mini(settings)
    if name not in _ENGINES:
        raise InputError(f"engine: one of auto, {', '.join(_ENGINES)} is needed, got {shown(name)}.")
    return _ENGINES[name](settings)


def _if_ready(name: str, settings: Settings) -> Engine | None:
    """The GPU engine `name` where it could start at once."""
    if runtime.best_device() == "cpu":
        return None
    try:
        engine = _ENGINES[name](settings)
    except InputError:
        return None
    return None if engine._checkpoints() else engine


def _listed(words: list[str], most: int = 8) -> str:
    """Words in quotation marks, the first few of them."""
    text = ", ".join(shown(word, 30) for word in words[:most])
    return text if len(words) <= most else f"{text} and {len(words) - most} more"
