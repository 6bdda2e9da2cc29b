"""What joint sampling is compared with: levels made one after the other (thesis section 6.3.2).

Progressive outpainting begins with the closest level and paints what lies around it; progressive super-resolution begins
with the widest one and enlarges its middle. Both take callables, so that any pipeline serves; `NetworkBaselines`
makes them of the network that the joint sampler uses, held to what is known at every step. Images are [3 H W] in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ..checks import InputError
from ..diffusion import NoiseLevels
from .blend import expand
from .sampling import Predict, SamplingOptions, sample
from .stack import centre, check_geometry, covered, decimate

Generate = Callable[[str], Tensor]  # prompt -> [3 H W]
Fill = Callable[[Tensor, Tensor, str], Tensor]  # picture [3 H W], bool [H W] of what is known, prompt -> [3 H W]
Enlarge = Callable[[Tensor, str], Tensor]  # picture [3 h w], prompt -> [3 H W]


def progressive_outpainting(generate: Generate, fill: Fill, prompts: Sequence[str], *, p: int) -> Iterator[Tensor]:
    """The levels from the closest to the widest: each is the one before, downscaled, with its surroundings painted."""
    _check(prompts)
    level = generate(prompts[-1])
    yield level
    for prompt in reversed(prompts[:-1]):
        known = torch.zeros(level.shape[-2:], dtype=torch.bool, device=level.device)
        picture, small = torch.zeros_like(level), decimate(level, p)
        centre(known, *small.shape[-2:])[:] = True
        centre(picture, *small.shape[-2:])[:] = small
        level = fill(picture, known, prompt)
        yield level


def progressive_super_resolution(
    generate: Generate, enlarge: Enlarge, prompts: Sequence[str], *, p: int
) -> Iterator[Tensor]:
    """The levels from the widest to the closest: each is the middle of the one before, enlarged with its own prompt."""
    _check(prompts)
    level = generate(prompts[0])
    yield level
    for prompt in prompts[1:]:
        check_geometry(*level.shape[-2:], p)
        level = enlarge(centre(level, *(covered(n, p) for n in level.shape[-2:])), prompt)
        yield level


def _check(prompts: Sequence[str]) -> None:
    if len(prompts) < 2:
        raise InputError(f"prompts: at least 2 levels are needed, got {len(prompts)}.")


class NetworkBaselines:
    """`generate`, `fill` and `enlarge` by sampling one image at a time with the network of the joint sampler."""

    def __init__(
        self,
        predict: Predict,
        levels: NoiseLevels,
        *,
        p: int,
        size: tuple[int, int],
        prediction: str,
        options: SamplingOptions,
        generator: torch.Generator,
        device: str | torch.device = "cpu",
    ):
        self.predict, self.levels, self.p, self.size = predict, levels, p, size
        self._known = {"prediction": prediction, "generator": generator, "device": device, "options": options}

    def generate(self, prompt: str) -> Tensor:
        """One image by itself."""
        return self._sampled(prompt, None)

    def fill(self, picture: Tensor, known: Tensor, prompt: str) -> Tensor:
        """What is known stays; its surroundings are sampled to go with it: clean estimates are replaced where known."""
        made = self._sampled(prompt, lambda clean: torch.where(known, picture, clean))
        return torch.where(known, picture, made)

    def enlarge(self, picture: Tensor, prompt: str) -> Tensor:
        """An image that downscales to `picture`: clean estimates are corrected by what they downscale to."""

        def held(clean: Tensor) -> Tensor:
            for _ in range(3):
                clean = clean + expand(picture - decimate(clean, self.p), *self.size, self.p)
            return clean

        return self._sampled(prompt, held)

    def _sampled(self, prompt: str, constrain: Callable[[Tensor], Tensor] | None) -> Tensor:
        steps = sample(
            self.predict, [prompt], self.levels, p=self.p, size=self.size, constrain=constrain, **self._known
        )
        for step in steps:
            last = step.layers[0]
        return last
