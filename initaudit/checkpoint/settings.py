"""What a ``config.json`` beside the weights says of the network."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from initaudit.checkpoint import pieces
from initaudit.checkpoint.stored import CheckpointError, Config
from initaudit.checkpoint.text import printable
from initaudit.network import Site, Unread
from initaudit.signal import ACTIVATIONS

FILE: Final = "config.json"
ADAPTER_FILE: Final = "adapter_config.json"

_LARGEST = 16 << 20
_ACTIVATION_FIELDS = (
    # Gemma's hidden_activation overrides its hidden_act (transformers, GemmaConfig).
    "hidden_activation",
    "hidden_act",
    "activation_function",
    "feed_forward_proj",
    "act_fn",
    "afn",
    "activation",
)
_STD_FIELDS = ("initializer_range", "init_std", "init_method_std")
_NESTED = (
    "text_config", "llm_config", "language_config", "decoder", "encoder", "text_encoder",
    "vision_config", "audio_config", "audio_encoder", "model",
)  # fmt: skip

_DTYPES: Mapping[str, str] = {
    "float64": "F64", "double": "F64", "float32": "F32", "float": "F32",
    "float16": "F16", "half": "F16", "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
}  # fmt: skip

_OTHER_NAMES: Mapping[str, str] = {
    # The names of transformers' ACT2FN; its "accurate" and "fast" are the tanh form.
    "geluaccurate": "gelu_tanh", "gelufast": "gelu_tanh", "gelunew": "gelu_tanh",
    "gelupythontanh": "gelu_tanh", "gelupytorchtanh": "gelu_tanh", "gelupython": "gelu",
    "swish": "silu", "relusquared": "relu2",
    # diffusers, T5's feed_forward_proj ("gated-gelu" is the tanh form), gated units by their gate.
    "geluapproximate": "gelu_tanh", "geluapprox": "gelu_tanh", "fastgelu": "gelu_tanh",
    "gatedgelu": "gelu_tanh", "gatedsilu": "silu", "gatedrelu": "relu",
    "swiglu": "silu", "geglu": "gelu", "reglu": "relu",
    # keras.activations and jax.nn
    "exponential": "exp", "hardsilu": "hardswish", "identity": "linear", "none": "linear",
    # The classes of transformers.activations
    "geluactivation": "gelu", "newgeluactivation": "gelu_tanh", "fastgeluactivation": "gelu_tanh",
    "quickgeluactivation": "quick_gelu", "accurategeluactivation": "gelu_tanh",
    "pytorchgelutanh": "gelu_tanh", "linearactivation": "linear", "mishactivation": "mish",
    "relusquaredactivation": "relu2", "siluactivation": "silu",
    "sine": "sin", "siren": "sin",
}  # fmt: skip


def _squeezed(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


_NAMES: Mapping[str, str] = {
    **{_squeezed(name): name for name in ACTIVATIONS},
    **{name: known for name, known in _OTHER_NAMES.items() if known in ACTIVATIONS},
}


def activation_name(name: str) -> str | None:
    """Return the name of `initaudit.signal` for an activation, None for one that is not known.

    Knows transformers' ACT2FN names, keras.activations, jax.nn, and the classes of torch.nn, with
    or without their module: ``gelu_new``, ``nn.ReLU``, ``hard_sigmoid``.
    """
    return _NAMES.get(_squeezed(name.strip().removesuffix("()").rpartition(".")[2]))


def read_settings(folder: Path) -> tuple[Config | None, tuple[Unread, ...]]:
    """Return the settings in a folder's ``config.json``, or why they could not be read.

    Both are empty where there is no such file.
    """
    document, unread = _document(folder / FILE)
    if document is None:
        return None, unread
    return understood(document, printable(str(folder / FILE), limit=None)), unread


def read_adapter(folder: Path) -> tuple[Mapping[str, Any] | None, tuple[Unread, ...]]:
    """Return what a folder's ``adapter_config.json`` holds, or why it could not be read.

    Both are empty where there is no such file.
    """
    return _document(folder / ADAPTER_FILE)


def _document(path: Path) -> tuple[dict[str, Any] | None, tuple[Unread, ...]]:
    if not os.path.lexists(path):
        return None, ()
    try:
        source = pieces.look(path)
        if source.size > _LARGEST:
            raise CheckpointError(source.shown, f"is {source.size} bytes long; no settings are")
        document = json.loads(pieces.read(source, 0, source.size))
    except CheckpointError as error:
        return None, (Unread(Site(error.path), error.reason, lost=False),)
    except (ValueError, RecursionError) as error:
        reason = f"is not JSON ({printable(str(error))}); the weights are judged without it"
        return None, (Unread(Site(source.shown), reason, lost=False),)
    if not isinstance(document, dict):
        reason = "is not a JSON object; the weights are judged without it"
        return None, (Unread(Site(source.shown), reason, lost=False),)
    return document, ()


def understood(document: Mapping[str, Any], path: str) -> Config:
    """Return the settings that a parsed ``config.json`` holds.

    A setting of the whole counts before one of a part (``text_config``, ``vision_config``); where
    parts differ, it is left open.
    """
    activation, raw = _activation(document)
    model_type = document.get("model_type")
    return Config(
        path=path,
        activation=activation,
        activation_raw=raw,
        init_std=_agreed(document, _std),
        dtype=_agreed(document, _dtype),
        tied=_agreed(document, _tied),
        model_type=model_type if isinstance(model_type, str) else None,
        input_shape=_input_shape(document),
        raw=document,
    )


def _activation(document: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the canonical name, or None and what the file says."""
    said: dict[str, None] = {}
    for level in _levels(document):
        name = next((level[f] for f in _ACTIVATION_FIELDS if isinstance(level.get(f), str)), None)
        if name is not None:
            said[name] = None
            if level is document:
                break
    known = {activation_name(name) for name in said}
    if len(known) == 1 and (only := known.pop()) is not None:
        return only, None
    return None, " and ".join(printable(name) for name in said) or None


def _agreed(document: Mapping[str, Any], reader: Any) -> Any:
    """Return what the whole says, else what its parts agree on, else None."""
    said = [value for level in _levels(document) if (value := reader(level)) is not None]
    if reader(document) is not None or len(set(said)) == 1:
        return said[0]
    return None


def _levels(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield document
    for key in _NESTED:
        if isinstance(part := document.get(key), dict):
            yield part


def _std(level: Mapping[str, Any]) -> float | None:
    for field in _STD_FIELDS:
        value = level.get(field)
        if isinstance(value, int | float) and value is not True and value is not False:
            return float(value) if 0 <= value <= sys.float_info.max else None
    return None


def _dtype(level: Mapping[str, Any]) -> str | None:
    for field in ("dtype", "torch_dtype"):
        if isinstance(value := level.get(field), str):
            return _DTYPES.get(value.rpartition(".")[2].lower())
    return None


def _tied(level: Mapping[str, Any]) -> bool | None:
    value = level.get("tie_word_embeddings")
    return value if isinstance(value, bool) else None


def _input_shape(document: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return (channels, height, width) of the images a network takes, if it takes only those."""
    timm = document.get("pretrained_cfg")
    if isinstance(timm, dict) and (given := _extents(timm.get("input_size"), 3)):
        return given
    levels = [document]
    if "text_config" not in document and isinstance(vision := document.get("vision_config"), dict):
        levels.append(vision)
    for level in levels:
        for size, channels in (("image_size", "num_channels"), ("sample_size", "in_channels")):
            extent = level.get(size)
            square = [extent, extent] if type(extent) is int else extent
            depth, area = _extents([level.get(channels)], 1), _extents(square, 2)
            if depth and area:
                return (*depth, *area)
    return None


def _extents(value: Any, count: int) -> tuple[int, ...] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    return tuple(value) if all(type(each) is int and each > 0 for each in value) else None
