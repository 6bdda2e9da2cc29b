"""Prompts for a subject, suggested by a small instruct model, following the advice of thesis section 6.3.1.

That section's experience: a language model's first answer often mixes viewpoints and gets the relative scale wrong. So the
question asks for one viewpoint in every line, for what stands in the middle, and says how much closer each line is.
`question` and `understood` know no model; `suggested` asks the one in hub.CHECKPOINTS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from .. import hub, runtime
from ..checks import InputError, integer, shown
from .gpu import check_fetchable, fetched
from .prompts import MAX_LEVELS, MIN_LEVELS, Ladder, clean_prompt, scale_label, zoom_factor

if TYPE_CHECKING:
    import torch

CHECKPOINT = "instruct"
_MOST_TOKENS = 80  # of an answer, per level
_MARKS = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):]|level\s+\d{1,2}\s*[:.)-]|\d[\d,]*x\s*[:.)-])\s*", re.IGNORECASE)

Chat = Callable[[Sequence[dict[str, str]], int], str]  # messages, most tokens -> answer


def question(subject: str, levels: int, p: int) -> list[dict[str, str]]:
    """What the model is asked: messages with "role" and "content". Raises InputError."""
    subject, p = clean_prompt(subject, "subject"), zoom_factor(p)
    n = integer(levels, "levels", low=MIN_LEVELS, high=MAX_LEVELS)
    scales = "\n".join(f"{i + 1}. ({scale_label(p, i)})" for i in range(n))
    task = (
        f"Describe a zoom into this subject: {subject}\n"
        f"Write {n} captions for {n} pictures. Each picture shows only the middle 1/{p} of the one before it, enlarged to"
        f" full size, so things in its middle appear {p} times larger. Do not skip scales and do not repeat one: from the"
        f" first picture to the last everything in the middle grows {p ** (n - 1):,} times.\n"
        "Rules:\n"
        "- Use the same words for the viewpoint in every caption (for example 'aerial photo straight down').\n"
        "- Name what stands in the middle of each picture; the next caption is about that thing.\n"
        "- Describe what is seen in the picture, at its true size. No camera movements, no 'zooming in'.\n"
        "- One line for each caption, at most 20 words, nothing else.\n"
        f"The scales are:\n{scales}"
    )
    system = "You write short, concrete captions of pictures for an image generator."
    return [{"role": "system", "content": system}, {"role": "user", "content": task}]


def understood(answer: str, levels: int, p: int) -> Ladder:
    """The captions in an answer, as a ladder; raises InputError where there are fewer than were asked for."""
    lines = [_MARKS.sub("", line).strip() for line in answer.splitlines()]
    lines = [re.sub(rf"^\((?:\d[\d,]*x|{p}\^\d+x)\)\s*", "", line).strip(" \"'“”*") for line in lines]
    prompts = [line for line in lines if len(line.split()) > 1 and not line.endswith(":")]
    if len(prompts) < levels:
        raise InputError(
            f"suggestion: the model gave {len(prompts)} of {levels} prompts; ask again, take fewer levels, or begin with a"
            " template."
        )
    return Ladder(tuple(prompts[:levels]), p).checked()


def suggested(subject: str, levels: int, p: int, *, seed: int = 0, chat: Chat | None = None) -> Iterator[str | Ladder]:
    """Ask for prompts: yields what is being done, and last the Ladder. Raises InputError, DownloadError.

    `chat` answers messages; without one the model in hub.CHECKPOINTS is fetched and asked, on a GPU or the CPU.
    """
    messages = question(subject, levels, p)
    if chat is None:
        if hub.cached(CHECKPOINT) is None:
            check_fetchable(CHECKPOINT)
            yield from fetched(CHECKPOINT)
        yield "loading the language model"
        chat = Instruct(hub.fetch(CHECKPOINT), seed=seed)
    yield "asking the language model"
    yield understood(chat(messages, _MOST_TOKENS * levels), levels, p)


class Instruct:
    """A chat model of transformers, from a folder in the Hub's layout."""

    def __init__(self, folder, *, seed: int = 0, device: str | None = None):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.device = "cpu" if runtime.on_zero_gpu() else device or runtime.best_device()
        self.seed = seed
        known = {"local_files_only": True, "use_safetensors": True}
        dtype = torch.float32 if self.device == "cpu" else torch.bfloat16
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **known).eval().to(self.device)
        except (OSError, ValueError) as error:
            raise InputError(f"suggestion: the language model cannot be read ({shown(str(error), 120)}).") from error

    def __call__(self, messages: Sequence[dict[str, str]], most: int) -> str:
        """The model's answer, of at most `most` tokens; equal seeds give equal answers."""
        import torch

        asked = self.tokenizer.apply_chat_template(
            list(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(self.device)
        tokens = asked["input_ids"]
        stop = self.model.generation_config.eos_token_id
        stops = set(stop) if isinstance(stop, list) else {stop}
        generator = runtime.torch_generator(self.seed)
        cache = None
        said: list[int] = []
        with torch.no_grad():
            while len(said) < most:
                made = self.model(input_ids=tokens, past_key_values=cache, use_cache=True)
                cache = made.past_key_values
                token = _drawn(made.logits[0, -1].float().cpu(), generator)
                if token in stops:
                    break
                said.append(token)
                tokens = torch.tensor([[token]], device=self.device)
        return self.tokenizer.decode(said, skip_special_tokens=True)


def _drawn(logits: torch.Tensor, generator: torch.Generator, *, temperature: float = 0.7, nucleus: float = 0.9) -> int:
    """A token drawn from the most likely ones that together have the probability `nucleus`."""
    import torch

    chances, order = torch.softmax(logits / temperature, -1).sort(descending=True)
    kept = chances * (chances.cumsum(-1) - chances < nucleus)
    return int(order[torch.multinomial(kept, 1, generator=generator)])
