"""Whisper with word times (Radford et al. 2022), from a folder in the Hub's layout, through transformers.

Word times are those of the decoder's cross-attention, aligned by dynamic time warping, which transformers computes for
every token; here tokens become words. Heavy: import it only where a recogniser is wanted.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizerFast

from ..checks import InputError, shown
from ..runtime import best_dtype
from .acoustics import RATE
from .transcript import Word

_WITHOUT_SPACES = ("zh", "ja", "th", "lo", "my", "yue")
_UNFINISHED = "�"  # what half a character decodes to


class Recogniser:
    """A loaded Whisper; `words` hears at most 30 s at a time."""

    def __init__(self, model: WhisperForConditionalGeneration, tokenizer, feature_extractor: WhisperFeatureExtractor):
        config = model.generation_config
        if not getattr(config, "alignment_heads", None):
            raise InputError(
                "recogniser: this Whisper's generation_config.json has no alignment_heads, so it cannot tell when words"
                " are said; choose another checkpoint."
            )
        self.model, self.tokenizer, self.feature_extractor = model, tokenizer, feature_extractor
        self.multilingual = bool(getattr(config, "is_multilingual", False))

    def language_of(self, samples: np.ndarray) -> str:
        """The two letters of the language that float32 [S] at 16 kHz is most likely in."""
        features, _ = self._features(samples)
        token = int(self.model.detect_language(features)[0])
        known = {i: name.strip("<|>") for name, i in self.model.generation_config.lang_to_id.items()}
        return known[token]

    def words(self, samples: np.ndarray, *, language: str | None = None, prompt: str = "") -> list[Word]:
        """The words of float32 [S] at 16 kHz, times in seconds from its start; InputError for an unknown language."""
        features, mask = self._features(samples)
        asked = {"task": "transcribe", "language": self._checked(language)} if self.multilingual else {}
        if prompt:
            asked["prompt_ids"] = self._prompt(prompt)
        with torch.no_grad():
            made = self.model.generate(
                features,
                attention_mask=mask,
                return_timestamps=False,
                return_token_timestamps=True,
                return_dict_in_generate=True,
                num_beams=1,
                do_sample=False,
                **asked,
            )
        scores = made["scores"]
        tokens = made["sequences"][0].tolist()
        times_s = made["token_timestamps"][0].tolist()
        n = len(scores)
        tokens, times_s = tokens[len(tokens) - n :], times_s[len(times_s) - n :]
        chances = [float(torch.softmax(s[0].float(), -1)[t]) for s, t in zip(scores, tokens, strict=True)]
        length_s = len(samples) / RATE
        return self._grouped(tokens, [min(t, length_s) for t in times_s], chances, length_s, language)

    def _features(self, samples: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        heard = self.feature_extractor(samples, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True)
        mask = heard.attention_mask.to(self.model.device)
        return heard.input_features.to(self.model.device, self.model.dtype), mask

    def _prompt(self, text: str) -> torch.Tensor:
        """The prompt's tokens, its end where it is longer than the model takes."""
        tokens = self.tokenizer.get_prompt_ids(text, return_tensors="pt").to(self.model.device)
        most = self.model.config.max_target_positions // 2 - 1
        return tokens if len(tokens) <= most else torch.cat([tokens[:1], tokens[1 - most :]])

    def _checked(self, language: str | None) -> str | None:
        known = sorted(name.strip("<|>") for name in self.model.generation_config.lang_to_id)
        if language is not None and language not in known:
            raise InputError(
                f"language: one of {', '.join(known)} is needed for this recogniser, got {shown(language)}."
            )
        return language

    def _grouped(
        self, tokens: list[int], times_s: list[float], chances: list[float], length_s: float, language: str | None
    ) -> list[Word]:
        """Tokens -> words: a word begins at a leading space, or at every character where a language has no spaces."""
        groups: list[tuple[str, float, list[float]]] = []  # text, start, chances
        held: list[int] = []
        for k, token in enumerate(tokens):
            if token >= self.tokenizer.eos_token_id:  # special and time tokens stand above the text
                continue
            held.append(k)
            text = self.tokenizer.decode([tokens[i] for i in held])
            if _UNFINISHED in text or not text.strip():
                continue
            word_like = any(c.isalnum() for c in text)
            new = not groups or (word_like and (text.startswith(" ") or language in _WITHOUT_SPACES))
            if new:
                groups.append(("", times_s[held[0]], []))
            before, start_s, so_far = groups[-1]
            groups[-1] = (before + text, start_s, so_far + [chances[i] for i in held])
            held = []
        ends_s = [*(start_s for _, start_s, _ in groups[1:]), length_s][: len(groups)]
        return [
            Word(start_s, max(start_s, end_s), text.strip(), float(np.exp(np.mean(np.log(np.maximum(chance, 1e-9))))))
            for (text, start_s, chance), end_s in zip(groups, ends_s, strict=True)
            if text.strip()
        ]


def load_recogniser(folder: Path, *, device: str = "cpu") -> Recogniser:
    """A Whisper from a local folder (safetensors only), on `device`; InputError where the folder holds none."""
    needed = ("config.json", "generation_config.json", "preprocessor_config.json")
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise InputError(f"recogniser: {shown(folder.name)} is no Whisper checkpoint, it lacks {', '.join(missing)}.")
    known = {"local_files_only": True}
    kind = {"attn_implementation": "eager", "use_safetensors": True, "output_loading_info": True}
    try:
        model, loading = WhisperForConditionalGeneration.from_pretrained(
            folder, dtype=best_dtype(device), **kind, **known
        )
    except (OSError, SafetensorError) as error:
        raise InputError(f"recogniser: the weights in {shown(folder.name)} cannot be read; fetch them anew.") from error
    if absent := sorted(loading["missing_keys"]):  # transformers would draw them at random
        raise InputError(
            f"recogniser: the weights in {shown(folder.name)} lack {len(absent)} tensors, {absent[0]} for one; they are "
            "no whole Whisper."
        )
    return Recogniser(
        model.eval().to(device),
        WhisperTokenizerFast.from_pretrained(folder, **known),
        WhisperFeatureExtractor.from_pretrained(folder, **known),
    )
