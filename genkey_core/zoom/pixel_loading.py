"""Reading pixel models from a folder in the Hub's layout, and refusing what is incomplete.

diffusers and transformers load most of what is wrong with a warning and random numbers in its place; here it is an error.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import torch

from ..checks import InputError, shown
from .pixel_models import IF, PRX, QwenReader, T5Reader, said_in_words

PIPELINES = {"if": "IFPipeline", "prx": "PRXPixelPipeline"}
_TABLES = ("shared.weight", "encoder.embed_tokens.weight")  # T5's two names for its embeddings


def read_if(
    folder: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    text_bits: int = 16,
    offload: bool = False,
    batch: int = 64,
) -> IF:
    """IF's first stage from a folder in the Hub's layout; its text encoder is read when prompts come.

    `text_bits` of 8 or 4 shrinks the text encoder through bitsandbytes, on an NVIDIA GPU. Raises InputError where the
    folder is missing, incomplete, damaged, or holds another model.
    """
    from diffusers import DDPMScheduler, UNet2DConditionModel

    folder = Path(folder)
    check_kind(folder, "if")
    with damage_said(folder):
        scheduler = DDPMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
        unet = _network(UNet2DConditionModel, folder / "unet", dtype)
    if unet.config.in_channels != 3:
        raise InputError(f"model: {shown(folder.name)} is a super-resolution stage; the first stage of IF is needed.")

    def read_text() -> T5Reader:
        from transformers import AutoTokenizer, T5EncoderModel

        with damage_said(folder):
            tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
            encoder = _network(T5EncoderModel, folder / "text_encoder", dtype, bits=text_bits)
            _one_table(encoder, folder / "text_encoder")
        return T5Reader(encoder, tokenizer, quantised=text_bits < 16)

    return IF(unet, scheduler, read_text, device=device, offload=offload, batch=batch)


def read_prx(
    folder: str | Path,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: str = "cpu",
    text_bits: int = 16,
    offload: bool = False,
    batch: int = 4,
    size: int | None = None,
) -> PRX:
    """PRXPixel from a folder in the Hub's layout, for images of `size` pixels a side (its own if None); as `read_if`."""
    from diffusers import FlowMatchEulerDiscreteScheduler, PRXTransformer2DModel

    folder = Path(folder)
    index = check_kind(folder, "prx")
    with damage_said(folder):
        scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
        transformer = _network(PRXTransformer2DModel, folder / "transformer", dtype)

    def read_text() -> QwenReader:
        import transformers
        from diffusers import PRXPixelPipeline

        with damage_said(folder):
            kind = getattr(transformers, index["text_encoder"][1])
            encoder = _network(kind, folder / "text_encoder", dtype, bits=text_bits)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
            tokens = index.get("prompt_max_tokens", 256)
            pipe = PRXPixelPipeline(None, None, encoder, tokenizer, prompt_max_tokens=tokens)
        return QwenReader(pipe, quantised=text_bits < 16)

    known = {"size": size or index.get("default_sample_size") or 1024, "noise_scale": index.get("noise_scale", 2.0)}
    return PRX(transformer, scheduler, read_text, **known, device=device, offload=offload, batch=batch)


def check_kind(folder: Path, kind: str) -> dict:
    """model_index.json of a folder that holds a pipeline of this kind; raises InputError."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        name = index["_class_name"]
    except FileNotFoundError as error:
        raise InputError(f"model: none was found in {shown(folder.name)}.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"model: model_index.json in {shown(folder.name)} cannot be read.") from error
    if name != PIPELINES[kind]:
        raise InputError(f"model: {PIPELINES[kind]} is needed in {shown(folder.name)}, got {shown(name)}.")
    return index


@contextmanager
def damage_said(folder: Path):
    """What goes wrong while a model is read, in a sentence."""
    from safetensors import SafetensorError

    try:
        with said_in_words(f"reading {folder.name}"):
            yield
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"model: {shown(folder.name)} is incomplete or damaged ({shown(str(error), 120)}).") from error


def _network(kind, folder: Path, dtype: torch.dtype, *, bits: int = 16):
    """A network from safetensors, complete, in `dtype` and not to be trained; half precision files where there are some."""
    known = {"local_files_only": True, "use_safetensors": True, "dtype": dtype}
    if any(folder.glob("*.fp16*.safetensors")) and dtype != torch.float32:
        known["variant"] = "fp16"
    if bits < 16:
        known["quantization_config"] = _shrinking(bits, dtype)
    if kind.__module__.startswith("diffusers"):
        known["torch_dtype"] = known.pop("dtype")
    network = kind.from_pretrained(folder, **known)
    stored = _tensor_names(folder)
    buffers = {name for name, _ in network.named_buffers()} & set(network.state_dict())
    lacking = {name for name, _ in network.named_parameters()} | buffers
    lacking -= stored | set(_TABLES if stored & set(_TABLES) else ())
    if lacking:
        raise InputError(f"model: {shown(folder.name)} lacks {len(lacking)} tensors; fetch it anew.")
    return network.requires_grad_(False).eval()


def _shrinking(bits: int, dtype: torch.dtype):
    """How transformers shrinks weights to 8 or 4 bits."""
    from transformers import BitsAndBytesConfig

    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def _one_table(encoder, folder: Path) -> None:
    """T5's embeddings have two names and lie in the file under one; where the configuration does not tie them, tie them."""
    if encoder.encoder.embed_tokens.weight is not encoder.shared.weight:
        stored = _tensor_names(folder)
        encoder.set_input_embeddings(encoder.shared if _TABLES[0] in stored else encoder.encoder.embed_tokens)


def _tensor_names(folder: Path) -> set[str]:
    from safetensors import safe_open

    names: set[str] = set()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            names.update(file.keys())
    return names
