"""The options of the zoom method: what the page, the API, a link and a recipe all carry (thesis ch. 6)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from ..checks import InputError, choice, integer, named, number, shown
from .prompts import clean_prompt
from .sampling import PRESETS, VARIANTS, SamplingOptions

ENGINES = ("auto", "mini", "full", "prx")
MEMORY = ("auto", "80 GB", "48 GB", "40 GB", "24 GB", "16 GB", "12 GB")  # memory modes by the GPUs they are meant for
SIZES = (64, 256, 512, 1024)  # sides of a level, pixels
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class Settings:
    """How a zoom stack is made from prompts; the prompts and the factor between levels are a `prompts.Ladder`."""

    engine: str = "auto"  # full or prx where they are ready on a GPU, otherwise mini
    preset: str = "fast"  # steps of sampling, one of sampling.PRESETS: 50, or the thesis's 256
    variant: str = "joint"  # one of sampling.VARIANTS: the method, or one of its ablations
    guidance_scale: float | None = None  # 1 + w of Eq. 3.12; None is what the engine's model wants
    negative: str = ""  # what the unguided half is told, usually nothing
    seed: int = 0
    size: int | None = None  # side of the levels, one of SIZES; None is the engine's own
    memory: str = "auto"  # engines on a GPU: the memory mode, or the next smaller one

    @classmethod
    def from_dict(cls, values: object) -> Settings:
        """Settings from JSON-like values, every one checked; unknown names are refused. Raises InputError."""
        return cls(**named(values, (f.name for f in fields(cls)), "settings")).checked()

    def checked(self) -> Settings:
        """The same settings with every field of the right type and range; raises InputError."""
        size = None if self.size is None else integer(self.size, "size", low=min(SIZES), high=max(SIZES))
        if size is not None and size not in SIZES:
            raise InputError(f"size: one of {', '.join(map(str, SIZES))} pixels is needed, got {size}.")
        guidance = self.guidance_scale
        if not isinstance(self.negative, str):
            raise InputError(f"negative prompt: a text is needed, got {shown(self.negative)}.")
        return Settings(
            engine=choice(self.engine, "engine", ENGINES),
            preset=choice(self.preset, "preset", PRESETS),
            variant=choice(self.variant, "variant", VARIANTS),
            guidance_scale=None if guidance is None else number(guidance, "guidance", low=1, high=50),
            negative=clean_prompt(self.negative, "negative prompt") if self.negative.strip() else "",
            seed=integer(self.seed, "seed", low=0, high=MAX_SEED),
            size=size,
            memory=choice(self.memory, "memory mode", MEMORY),
        )

    def to_dict(self) -> dict:
        """JSON types only; `from_dict` gives the same settings back."""
        return asdict(self)

    def sampling(self, *, guidance_scale: float, steps: int | None = None) -> SamplingOptions:
        """How the stack is sampled; `guidance_scale` and `steps` are the model's own, where nothing was asked for."""
        asked = self.guidance_scale
        return SamplingOptions(
            variant=self.variant,
            steps=steps or PRESETS[self.preset].steps,
            guidance_scale=guidance_scale if asked is None else asked,
        )
