"""The options of a jump-cut job: what the page, the API and a recipe all carry (thesis ch. 4)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace

from ..checks import InputError, boolean, choice, integer, named, number, shown
from .edit import FADE_S
from .hide import MODES, Treatment
from .transition import MAX_INSERTED, NEIGHBOURHOOD

MAX_SEED = 2**31 - 1
SHORTEST_PAUSE_S = 0.1  # the analysis lists pauses from this length on, so that a slider needs no new hearing


@dataclass(frozen=True)
class Settings:
    """What is proposed for removal, how it is cut, and how the cuts are hidden."""

    shortest_pause_s: float = 0.4  # shorter silence is rhythm, not a pause
    natural: float = 0.0  # share of the pauses and of the fillers that stays, the shortest first
    fillers: bool = True  # propose filled pauses ("uh", "um")
    padding_s: float = 0.1  # of a pause, what stays at each end that meets sound
    mode: str = "auto"  # of every cut that has no choice of its own, one of hide.MODES
    neighbourhood: int = NEIGHBOURHOOD  # H: frames on each side of a cut that are made anew (blended)
    n_inserted: int = 6  # T: new frames at a cut (inserted)
    n_sources: int = 2  # other frames of the clip that the draft engine draws on
    engine: str = "draft"  # of every cut that has no choice of its own: "draft", or the name of one that is handed in
    seed: int = 0  # learned engines draw from it; draft draws nothing
    crossfade_s: float = 0.02  # of the sound at a join
    max_side: int = 4096  # longer side of the result, pixels; larger video is scaled down to it

    @classmethod
    def from_dict(cls, values: object) -> Settings:
        """Settings from JSON-like values, every one checked; unknown names are refused. Raises InputError."""
        return cls(**named(values, (f.name for f in fields(cls)), "settings")).checked()

    def checked(self) -> Settings:
        """The same settings with every field of the right type and range; raises InputError."""
        if not isinstance(self.engine, str):
            raise InputError(f"engine: a name is needed, got {shown(self.engine)}.")
        return Settings(
            shortest_pause_s=number(self.shortest_pause_s, "shortest pause", low=SHORTEST_PAUSE_S, high=60, unit="s"),
            natural=number(self.natural, "keep it natural", low=0, high=1),
            fillers=boolean(self.fillers, "fillers"),
            padding_s=number(self.padding_s, "padding", low=0, high=5, unit="s"),
            mode=choice(self.mode, "mode", MODES),
            neighbourhood=integer(self.neighbourhood, "frames remade on each side", low=1, high=30),
            n_inserted=integer(self.n_inserted, "new frames", low=1, high=MAX_INSERTED),
            n_sources=integer(self.n_sources, "sources", low=0, high=12),
            engine=self.engine,
            seed=integer(self.seed, "seed", low=0, high=MAX_SEED),
            crossfade_s=number(self.crossfade_s, "crossfade", low=FADE_S[0], high=FADE_S[1], unit="s"),
            max_side=integer(self.max_side, "longest side", low=64, high=4096),
        )

    def to_dict(self) -> dict:
        """JSON types only; `from_dict` gives the same settings back."""
        return asdict(self)

    def treatment(self, own: Choice | None = None) -> Treatment:
        """What is done at a cut, with what was chosen for this very one."""
        mine = {name: value for name, value in vars(own).items() if value is not None} if own else {}
        mode = mine.get("mode", self.mode)
        return Treatment(
            mode=mode,
            engine=mine.get("engine", self.engine),
            neighbourhood=mine.get("neighbourhood", self.neighbourhood),
            n_inserted=mine.get("n_inserted", self.n_inserted) if mode == "inserted" else 0,
            n_sources=self.n_sources,
        )


PRESETS = {
    "gentle": {"shortest_pause_s": 0.7, "natural": 0.3, "padding_s": 0.15},
    "balanced": {"shortest_pause_s": 0.4, "natural": 0.0, "padding_s": 0.1},
    "tight": {"shortest_pause_s": 0.25, "natural": 0.0, "padding_s": 0.05},
}


@dataclass(frozen=True)
class Choice:
    """What is done at the cut between source frames `last` and `first`; it holds for any cut that overlaps it.

    None is as set for all cuts.
    """

    last: int
    first: int
    mode: str | None = None
    engine: str | None = None
    neighbourhood: int | None = None
    n_inserted: int | None = None

    def checked(self, name: str = "cut") -> Choice:
        """The same with numbers in order and in range and known words; raises InputError that names the cut."""

        def own(value, check, *args, **limits):
            return None if value is None else check(value, *args, **limits)

        if self.engine is not None and not isinstance(self.engine, str):
            raise InputError(f"{name}, engine: a name is needed, got {shown(self.engine)}.")
        last = integer(self.last, f"{name}, last frame before", low=0, high=10**8)
        return replace(
            self,
            last=last,
            first=integer(self.first, f"{name}, first frame after", low=last + 1, high=10**8),
            mode=own(self.mode, choice, f"{name}, mode", MODES),
            neighbourhood=own(self.neighbourhood, integer, f"{name}, frames remade on each side", low=1, high=30),
            n_inserted=own(self.n_inserted, integer, f"{name}, new frames", low=1, high=MAX_INSERTED),
        )
