"""A Whisper of the published classes with tiny random weights and a byte tokenizer, in the Hub's folder layout."""

from pathlib import Path

import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizerFast,
)

LANGUAGES = ("en", "de", "ja")
N_TIMES = 1501


def _seeded(model: WhisperForConditionalGeneration, seed: int) -> WhisperForConditionalGeneration:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() > 1:
                p.copy_(torch.randn(p.shape, generator=generator) * p.shape[-1] ** -0.5)
    return model.eval()


def save_tiny_whisper(folder: Path, *, seed: int = 0, word_times: bool = True) -> Path:
    """Weights, tokenizer and extractor under `folder`, as `save_pretrained` lays them out."""
    letters = sorted(ByteLevel.alphabet())
    vocab = {letter: i for i, letter in enumerate(letters)}
    merges = [("Ġ", "u"), ("Ġu", "m"), ("Ġ", "t"), ("Ġt", "h"), ("Ġth", "e")]
    vocab |= {a + b: len(vocab) + i for i, (a, b) in enumerate(merges)}
    tokenizer = WhisperTokenizerFast(vocab=vocab, merges=merges)
    special = ["<|startoftranscript|>", *(f"<|{name}|>" for name in LANGUAGES), "<|translate|>", "<|transcribe|>"]
    special += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    tokenizer.add_tokens([f"<|{i * 0.02:.2f}|>" for i in range(N_TIMES)])
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=8).save_pretrained(folder)
    number = tokenizer.convert_tokens_to_ids
    eos, start = tokenizer.eos_token_id, number("<|startoftranscript|>")
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2}
    sizes |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "num_mel_bins": 8}
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        max_target_positions=64,
        decoder_start_token_id=start,
        pad_token_id=eos,
        bos_token_id=eos,
        eos_token_id=eos,
        **sizes,
    )
    model = _seeded(WhisperForConditionalGeneration(config), seed)
    known = {
        "decoder_start_token_id": start,
        "pad_token_id": eos,
        "bos_token_id": eos,
        "eos_token_id": eos,
        "is_multilingual": True,
        "lang_to_id": {f"<|{name}|>": number(f"<|{name}|>") for name in LANGUAGES},
        "task_to_id": {name: number(f"<|{name}|>") for name in ("translate", "transcribe")},
        "no_timestamps_token_id": number("<|notimestamps|>"),
        "prev_sot_token_id": number("<|startofprev|>"),
        "max_length": 40,
        "suppress_tokens": [],
        "begin_suppress_tokens": [],
        "max_initial_timestamp_index": 50,
    }
    if word_times:
        known["alignment_heads"] = [[0, 1], [1, 0]]
    model.generation_config = GenerationConfig(**known)
    with torch.no_grad():  # times and languages would crowd out the text
        model.proj_out.weight[eos + 1 :] *= 0.1
    model.save_pretrained(folder)
    return folder
