"""Reading a Wan or LTX-Video pipeline from a folder, and refusing what cannot go from one picture to another.

diffusers and transformers load most of what is wrong with a warning and random numbers in its place; here it is an error.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from .. import runtime
from ..checks import InputError, shown
from .svd import OutOfMemoryError
from .text_specs import TextSpec, check_packages

_TABLES = ("shared.weight", "encoder.embed_tokens.weight")  # the text encoder's two names for its embeddings


def read_pipeline(folder: Path, spec: TextSpec, *, dtype: torch.dtype, bits: int = 16):
    """The diffusers pipeline in `folder`, on the CPU; with `bits` of 8 or 4 the large parts are shrunk on the GPU.

    Raises InputError where the folder is missing, incomplete, damaged, or holds a model that cannot do this.
    """
    from safetensors import SafetensorError

    index = _index(folder, spec)
    check_packages(spec.packages, spec.name)
    known = {"dtype": _dtypes(spec, dtype), "use_safetensors": True, "local_files_only": True}
    if bits < 16:
        if runtime.best_device() in ("cpu", "mps"):
            raise InputError(f"{spec.name}: weights of {bits} bits need an NVIDIA GPU; choose another memory mode.")
        known["quantization_config"] = _quantisation(spec, index, dtype, bits)
    try:
        pipe = _pipeline(folder, spec, index, known)
        stored = {name: _tensor_names(folder / name) for name in _networks(pipe)}
        _check_complete(folder, pipe, stored)
        _check_words(folder, pipe, spec, stored["text_encoder"])
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, AttributeError, KeyError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise OutOfMemoryError(
                f"memory: it ran out while {spec.name} was loaded; choose a smaller memory mode."
            ) from error
        raise InputError(f"model: {shown(folder.name)} is incomplete or damaged ({shown(str(error), 120)}).") from error
    for part in _networks(pipe).values():
        part.requires_grad_(False).eval()
    return pipe


def _index(folder: Path, spec: TextSpec) -> dict:
    """model_index.json, of one of the pipelines that the spec names."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        name = index["_class_name"]
    except FileNotFoundError as error:
        raise InputError(f"model: no {spec.name} model was found in {shown(folder.name)}.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"model: model_index.json in {shown(folder.name)} cannot be read.") from error
    if name not in spec.pipelines:
        raise InputError(f"model: {' or '.join(spec.pipelines)} is needed for {spec.name}, got {shown(name)}.")
    return index


def _dtypes(spec: TextSpec, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """Wan's autoencoder and image encoder are kept in single precision, as its authors run them."""
    single = {"vae": torch.float32, "image_encoder": torch.float32} if spec.name == "wan" else {}
    return {"default": dtype, **single}


def _quantisation(spec: TextSpec, index: dict, dtype: torch.dtype, bits: int):
    """bitsandbytes for the large parts, by the library that each comes from."""
    import diffusers
    import transformers
    from diffusers.quantizers import PipelineQuantizationConfig

    check_packages(("bitsandbytes",), f"{spec.name} with weights of {bits} bits")
    shrunk = {"load_in_8bit": True} if bits == 8 else {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    if bits == 4:
        shrunk["bnb_4bit_compute_dtype"] = dtype
    libraries = {"diffusers": diffusers, "transformers": transformers}
    parts = [name for name in spec.quantised if index.get(name, [None])[0] in libraries]
    return PipelineQuantizationConfig(
        quant_mapping={name: libraries[index[name][0]].BitsAndBytesConfig(**shrunk) for name in parts}
    )


def _pipeline(folder: Path, spec: TextSpec, index: dict, known: dict):
    return _ltx_pipeline(folder, known) if spec.name == "ltx" else _wan_pipeline(folder, index, known)


def _ltx_pipeline(folder: Path, known: dict):
    """LTX-Video; the pipeline brings the final schedule itself, so the scheduler must not shift it once more."""
    from diffusers import LTXConditionPipeline

    pipe = LTXConditionPipeline.from_pretrained(folder, **known)
    config = pipe.scheduler.config
    pipe.scheduler = type(pipe.scheduler).from_config(
        config, use_dynamic_shifting=False, shift=1.0, shift_terminal=None
    )
    return pipe


def _wan_pipeline(folder: Path, index: dict, known: dict):
    """Wan; the published FLF2V names a whole CLIPProcessor with its tokenizer, of which the pictures' half is needed."""
    from diffusers import WanImageToVideoPipeline
    from transformers import CLIPImageProcessor

    if index.get("expand_timesteps"):
        raise InputError("model: this Wan model takes a first picture only; Wan 2.1 FLF2V takes a last one too.")
    pipe = WanImageToVideoPipeline.from_pretrained(folder, image_processor=None, **known)
    config = pipe.transformer.config
    if config.in_channels == config.out_channels:
        raise InputError("model: this Wan model takes no pictures; Wan 2.1 FLF2V takes a first and a last one.")
    if config.image_dim is not None and config.pos_embed_seq_len is None:
        raise InputError("model: this Wan model looks at one picture only; Wan 2.1 FLF2V takes a first and a last one.")
    if config.image_dim is not None:
        processor = CLIPImageProcessor.from_pretrained(folder / "image_processor", local_files_only=True)
        pipe.register_modules(image_processor=processor)
        pipe.image_processor = processor
    return pipe


def _networks(pipe) -> dict[str, torch.nn.Module]:
    return {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}


def _check_complete(folder: Path, pipe, stored: dict[str, set[str]]) -> None:
    """Every weight came from the files; what was missing there has been loaded at random."""
    for name, part in _networks(pipe).items():
        buffers = {buffer for buffer, _ in part.named_buffers()} & set(part.state_dict())
        wanted = {weight for weight, _ in part.named_parameters()} | buffers
        lacking = len(wanted - stored[name] - set(_TABLES))
        if name == "image_encoder":  # newer transformers call its weights otherwise than the files do
            lacking = len(wanted) - len(stored[name])
        if lacking > 0:
            raise InputError(f"model: {name} in {shown(folder.name)} lacks {lacking} tensors; fetch it anew.")


def _check_words(folder: Path, pipe, spec: TextSpec, stored: set[str]) -> None:
    """A tokenizer with its vocabulary, and an encoder whose two names for one table of embeddings are one table.

    Files hold the table once, under either name, and transformers ties the names only where the configuration says so,
    which that of the published encoders does not.
    """
    encoder = pipe.text_encoder
    if len(pipe.tokenizer) < encoder.config.vocab_size // 2:
        check_packages(("sentencepiece", "google.protobuf"), spec.name)
        raise InputError(f"model: the tokenizer in {shown(folder.name)} is incomplete.")
    if not stored & set(_TABLES):
        raise InputError(f"model: text_encoder in {shown(folder.name)} lacks its embeddings; fetch it anew.")
    if encoder.encoder.embed_tokens.weight is not encoder.shared.weight:
        encoder.set_input_embeddings(encoder.shared if _TABLES[0] in stored else encoder.encoder.embed_tokens)


def _tensor_names(folder: Path) -> set[str]:
    """Names of the tensors in a folder of safetensors files."""
    from safetensors import safe_open

    names: set[str] = set()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            names.update(file.keys())
    return names
