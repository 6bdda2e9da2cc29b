"""Text-to-image models that work on pixels, ready for `sampling.sample`; `pixel_loading.py` reads them.

DeepFloyd IF's first stage (and the mini model, which has its classes) predicts noise or v at 64x64; PRXPixel predicts the
clean image at 1024x1024 along a flow. Both are a `PixelModel`: `remember(prompts)`, then `predict(noisy, t, prompts)`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from .. import diffusion
from ..checks import InputError
from ..diffusion import NoiseLevels

IF_TOKENS = 77  # what DeepFloyd IF was trained to read of a prompt, in tokens


class OutOfMemoryError(InputError):
    """The GPU's memory ran out; the message names what to do."""


class PixelModel:
    """A denoiser of images with its text encoder; one of them is on the device at a time where `offload` is set."""

    name: str
    prediction: str  # one of diffusion.PREDICTIONS
    size: int  # side of its images, pixels
    guidance_scale: float  # what its authors sample with
    steps: int | None = None  # where its authors give a number, as for flows

    def __init__(self, denoiser, read_text: Callable[[], object], *, device: str, offload: bool, batch: int):
        self.denoiser, self._read_text, self._text = denoiser, read_text, None
        self.device, self.offload, self.batch = device, offload, batch
        self._known: dict[str, tuple[Tensor, ...]] = {}  # what the text encoder made of a prompt, on the CPU

    def levels(self, steps: int) -> NoiseLevels:
        """The noise levels of a run of `steps` steps."""
        raise NotImplementedError

    def remember(self, prompts: Iterable[str]) -> None:
        """Encode the prompts that are not known yet; the text encoder leaves the device afterwards if it has to."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._known]
        if not new:
            return
        with said_in_words("reading the prompts"), torch.no_grad():
            if self._text is None:
                self._text = self._read_text()
            resting = getattr(self._text, "quantised", False)
            if not resting:
                self._text.model.to(self.device)
            for prompt in new:
                self._known[prompt] = tuple(part.cpu() for part in self._text.encode(prompt))
            if self.offload and resting:  # shrunk weights cannot move: they are read anew when they are needed
                self._text = None
                gc.collect()
            elif self.offload:
                self._text.model.to("cpu")

    def predict(self, noisy: Tensor, t: Tensor, prompts: Sequence[str]) -> Tensor:
        """[B C H W] -> prediction [B C' H W], `batch` images at a time; fewer where the memory is too short for it."""
        answers: list[Tensor] = []
        done = 0
        while done < len(noisy):
            part = slice(done, done + self.batch)
            try:
                with torch.no_grad():
                    answers.append(self._predict(noisy[part], t, [self._known[prompt] for prompt in prompts[part]]))
            except torch.OutOfMemoryError as error:
                if self.batch == 1:
                    raise OutOfMemoryError(
                        "memory: the GPU's memory ran out with one image at a time; choose a smaller memory mode."
                    ) from error
                self.batch = max(1, min(self.batch, len(noisy)) // 2)
                continue
            done += self.batch
        return torch.cat(answers)

    def _predict(self, noisy: Tensor, t: Tensor, texts: list[tuple[Tensor, ...]]) -> Tensor:
        raise NotImplementedError

    @contextmanager
    def at_work(self):
        """The denoiser on its device; where `offload` is set it leaves when the block ends."""
        with said_in_words(f"loading {self.name}"):
            self.denoiser.to(self.device)
        try:
            yield self
        finally:
            if self.offload:
                self.denoiser.to("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return self.denoiser.dtype


class IF(PixelModel):
    """DeepFloyd IF's first stage, or a model of its classes."""

    name, guidance_scale = "if", 7.0

    def __init__(self, unet, scheduler, read_text, **known):
        super().__init__(unet, read_text, **known)
        self.scheduler, self.size = scheduler, unet.config.sample_size
        self.prediction = scheduler.config.prediction_type

    def levels(self, steps: int) -> NoiseLevels:
        return diffusion.ddpm_levels(self.scheduler, steps)

    def embeddings(self, prompts: Sequence[str]) -> Tensor:
        """[N L D] of remembered prompts, as the further stages of IF take them, on the CPU."""
        return torch.cat([self._known[prompt][0] for prompt in prompts])

    def _predict(self, noisy: Tensor, t: Tensor, texts: list[tuple[Tensor, ...]]) -> Tensor:
        words = torch.cat([text[0] for text in texts]).to(noisy)
        return self.denoiser(noisy, t, encoder_hidden_states=words, return_dict=False)[0]


class PRX(PixelModel):
    """PRXPixel: a transformer on raw pixels that predicts the clean image."""

    name, guidance_scale, prediction, steps = "prx", 5.0, "sample", 28

    def __init__(self, transformer, scheduler, read_text, *, size: int, noise_scale: float, **known):
        super().__init__(transformer, read_text, **known)
        self.scheduler, self.size, self.noise_scale = scheduler, size, noise_scale

    def levels(self, steps: int) -> NoiseLevels:
        return diffusion.flow_levels(self.scheduler, steps, noise_scale=self.noise_scale)

    def _predict(self, noisy: Tensor, t: Tensor, texts: list[tuple[Tensor, ...]]) -> Tensor:
        words, mask = (torch.cat(parts).to(noisy.device) for parts in zip(*texts, strict=True))
        times = t.float().expand(len(noisy))
        return self.denoiser(
            hidden_states=noisy,
            timestep=times,
            encoder_hidden_states=words.to(noisy.dtype),
            attention_mask=mask,
            return_dict=False,
        )[0]


class T5Reader:
    """IF's reading of a prompt: lower case, 77 tokens, the padding seen as such."""

    def __init__(self, model, tokenizer, *, quantised: bool):
        self.model, self.tokenizer, self.quantised = model, tokenizer, quantised

    def encode(self, prompt: str) -> tuple[Tensor]:
        made = self.tokenizer(
            [prompt.lower().strip()],
            padding="max_length",
            max_length=IF_TOKENS,
            truncation=True,
            add_special_tokens=True,
            return_tensors="pt",
        ).to(self.model.device)
        return (self.model(made.input_ids, attention_mask=made.attention_mask)[0],)


class QwenReader:
    """PRX's reading of a prompt, by its pipeline."""

    def __init__(self, pipe, *, quantised: bool):
        self.pipe, self.model, self.quantised = pipe, pipe.text_encoder, quantised

    def encode(self, prompt: str) -> tuple[Tensor, Tensor]:
        words, mask, _, _ = self.pipe.encode_prompt(
            [prompt], device=self.model.device, do_classifier_free_guidance=False
        )
        return words, mask


@contextmanager
def said_in_words(doing: str):
    """Running out of memory as an OutOfMemoryError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"memory: the GPU's memory ran out while {doing}; choose a smaller memory mode, or close what else uses it."
        ) from error
