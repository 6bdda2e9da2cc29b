"""Multi-scale joint sampling (thesis section 6.2.3, Alg. 4), and what it is compared with (section 6.3.3).

The sampler sees a network as `predict(noisy, t, prompts) -> prediction`, [B C H W] -> [B C H W] with one prompt per image,
and knows no model class; torch is imported when it starts. All levels are denoised in one batch; after each evaluation
their clean estimates are blended into one zoom stack, and every level goes on from what the stack shows of it, with noise
that agrees across levels.

Alg. 4 as printed makes its first update from an empty stack; here each step evaluates first and updates then, which is the
same sequence without that step, and ends with the blended estimates themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genkey_core import diffusion
from genkey_core.checks import InputError, choice, integer, number

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genkey_core.diffusion import NoiseLevels

VARIANTS = {
    "joint": "the method: multi-resolution blending and shared noise",
    "independent": "every level by itself",
    "iterative": "one level after the other, each seeing the finer ones in its middle, no blending",
    "naive_blend": "plain averaging in place of multi-resolution blending",
    "random_noise": "blending, but noise of its own for every level",
}

Predict = Callable[["Tensor", "Tensor", Sequence[str]], "Tensor"]


@dataclass(frozen=True)
class SamplingOptions:
    """How a stack is sampled. The defaults are those of the thesis (section 6.2.5), guidance that of DeepFloyd IF."""

    variant: str = "joint"  # one of VARIANTS
    steps: int = 256  # noise levels from pure noise to the result
    guidance_scale: float = 7.0  # 1 + w of Eq. 3.12; 1 is without guidance, and takes half the time
    threshold: str = "dynamic"  # of the clean estimates: "none", "static" or "dynamic"
    percentile: float = 0.95  # of "dynamic"
    most: float = 1.5  # largest absolute value that "dynamic" brings back to 1

    def __post_init__(self):
        choice(self.variant, "variant", VARIANTS)
        integer(self.steps, "steps", low=1, high=1000)
        number(self.guidance_scale, "guidance", low=1, high=50)
        choice(self.threshold, "threshold", ("none", "static", "dynamic"))
        number(self.percentile, "percentile", low=0.5, high=1)
        number(self.most, "largest value", low=1, high=100)


PRESETS = {"quality": SamplingOptions(), "fast": SamplingOptions(steps=50)}


@dataclass(frozen=True)
class Step:
    """One step of all levels. The last step's `layers` and `levels` are the result."""

    index: int  # steps done before this one
    total: int
    sigma: float  # noise that was left in the input of this step
    layers: Tensor  # [N C H W] float32: the zoom stack, or the clean estimates where there is none ("independent")
    levels: Tensor  # [N C H W] float32 in about [-1, 1]: every level as the stack shows it


class NotFiniteError(InputError):
    """The network answered with values that are not numbers; what was yielded before stays valid."""


def sample(
    predict: Predict,
    prompts: Sequence[str],
    levels: NoiseLevels,
    *,
    p: int,
    size: tuple[int, int],
    prediction: str,
    options: SamplingOptions,
    generator: torch.Generator,
    negative: str = "",
    constrain: Callable[[Tensor], Tensor] | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    channels: int = 3,
) -> Iterator[Step]:
    """Sample a stack of one image per prompt; yields a `Step` after each evaluation, closing it cancels.

    `size` is (H, W), `prediction` one of diffusion.PREDICTIONS. `constrain` changes the clean estimates [N C H W] before
    they are blended, as photograph guidance does. Noise is drawn where `generator` lives, the same for all variants; the
    network gets `dtype`, everything else is float32. Raises InputError for too few levels or too small images, and
    NotFiniteError.
    """
    from .stack import render_images, render_noise

    n = len(prompts)
    if n < 1:
        raise InputError("prompts: at least 1 is needed, got none.")
    independent_noise = options.variant in ("independent", "random_noise")

    def draw() -> Tensor:
        noise = diffusion.normal((n, channels, *size), generator=generator, device=device)
        return noise if independent_noise else render_noise(noise, p)

    noisy = draw() * levels.sigmas[0]
    for i in range(len(levels)):
        clean = _clean(predict, noisy, prompts, negative, levels, i, prediction, options, dtype)
        if constrain is not None:
            clean = constrain(clean)
        layers = _layers(clean, p, options.variant)
        shown = layers if options.variant == "independent" else render_images(layers, p)
        if i + 1 < len(levels):
            noisy = diffusion.ddpm_step(noisy, shown, draw(), levels, i)
        yield Step(i, len(levels), levels.sigmas[i], layers, shown)


def _layers(clean: Tensor, p: int, variant: str) -> Tensor:
    """The zoom stack that the clean estimates are brought to.

    "iterative" takes the levels in turn, the finest first: each layer is that level's estimate alone. An estimate depends
    on its own noisy image only, so taking them in turn and all at once are the same.
    """
    from .blend import blend, blend_naively

    if variant == "naive_blend":
        return blend_naively(clean, p)
    return blend(clean, p) if variant in ("joint", "random_noise") else clean


def _clean(
    predict: Predict,
    noisy: Tensor,
    prompts: Sequence[str],
    negative: str,
    levels: NoiseLevels,
    i: int,
    prediction: str,
    options: SamplingOptions,
    dtype: torch.dtype | None,
) -> Tensor:
    """Guided and thresholded clean estimates of all levels at step i, float32 (Alg. 4, lines 8 to 10)."""
    import torch

    guided = options.guidance_scale != 1
    batch = torch.cat([noisy, noisy]) if guided else noisy
    words = [negative] * len(prompts) + list(prompts) if guided else list(prompts)
    t = torch.tensor(levels.timesteps[i], device=noisy.device)
    with torch.no_grad():
        answer = predict(batch if dtype is None else batch.to(dtype), t, words)
    answer = answer[:, : noisy.shape[1]].float()  # DeepFloyd IF adds its variance, which would differ between levels
    if guided:
        answer = diffusion.guide(*answer.chunk(2), options.guidance_scale)
    if not answer.isfinite().all():
        raise NotFiniteError(f"sampling: the model gave values that are not numbers at step {i + 1} of {len(levels)}.")
    clean = diffusion.clean_estimate(answer, noisy, levels.alphas[i], levels.sigmas[i], kind=prediction)
    return diffusion.threshold(clean, mode=options.threshold, percentile=options.percentile, most=options.most)


def agreeing(levels: Tensor, p: int, *, invented: int = 0) -> Tensor:  # [N C H W] -> [N C H W]
    """Images that should agree across scales, blended into a stack and rendered from it: after super-resolution, say.

    `invented` as in `blend.blend`.
    """
    from .blend import blend
    from .stack import render_images

    return render_images(blend(levels, p, invented=invented), p)
