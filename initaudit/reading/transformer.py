"""torch.nn.Transformer and its parts: the layers that they are made of, and their forward pass.

As in torch/nn/modules/transformer.py: the layers of an encoder or decoder are deep copies of one,
so that they start alike, but for torch.nn.Transformer, which draws every matrix anew.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from initaudit.catalogue import LayerSpec
from initaudit.checkpoint.graphs.values import Known
from initaudit.reading import building, calling, evaluating, filling, modules
from initaudit.reading.state import State
from initaudit.reading.values import External, Module, StopError, Unknown

Named = Mapping[str, Any]

_LAYERS = {"TransformerEncoderLayer": ("self_attn",),
           "TransformerDecoderLayer": ("self_attn", "multihead_attn")}  # fmt: skip
_ENCODED = ("src", "src_mask", "src_key_padding_mask", "is_causal")
_DECODED = ("tgt", "memory", "tgt_mask", "memory_mask", "tgt_key_padding_mask",
            "memory_key_padding_mask", "tgt_is_causal", "memory_is_causal")  # fmt: skip
_WHOLE = ("src", "tgt", "src_mask", "tgt_mask", "memory_mask", "src_key_padding_mask",
          "tgt_key_padding_mask", "memory_key_padding_mask", "src_is_causal", "tgt_is_causal",
          "memory_is_causal")  # fmt: skip


def make(state: State, made: Module, spec: LayerSpec, named: Named) -> None:
    """Give a transformer, an encoder, a decoder or one layer its modules.

    Raises:
        StopError: what it is made of is not known.
    """
    title = spec.name.rpartition(".")[2]
    if title in _LAYERS:
        _layer(state, made, title, named)
    elif title == "Transformer":
        _whole(state, made, named)
    else:
        first = named.get("encoder_layer", named.get("decoder_layer"))
        _stack(state, made, first, named.get("num_layers"), named.get("norm"))


def _new(state: State, title: str, *args: Any, **keywords: Any) -> Module:
    full = f"torch.nn.{title}"
    made = building.layer(state, full, state.catalogue.layer(full), args, keywords)
    if not isinstance(made, Module):
        raise StopError(f"{full} is not followed", state.at)
    return made


def _said(made: Module, named: Named, name: str) -> Any:
    return named[name] if name in named else evaluating.plain(made, name)


def _layer(state: State, made: Module, title: str, named: Named) -> None:
    width, heads, hidden, rate, eps, bias, first = (
        _said(made, named, name)
        for name in ("d_model", "nhead", "dim_feedforward", "dropout", "layer_norm_eps", "bias",
                     "batch_first")
    )  # fmt: skip
    put = made.children
    attentions = _LAYERS[title]
    for name in attentions:
        put[name] = _new(state, "MultiheadAttention", width, heads, dropout=rate, bias=bias,
                         batch_first=first)  # fmt: skip
    put["linear1"] = _new(state, "Linear", width, hidden, bias=bias)
    put["dropout"] = _new(state, "Dropout", rate)
    put["linear2"] = _new(state, "Linear", hidden, width, bias=bias)
    count = len(attentions) + 1
    for number in range(1, count + 1):
        put[f"norm{number}"] = _new(state, "LayerNorm", width, eps=eps, bias=bias)
    for number in range(1, count + 1):
        put[f"dropout{number}"] = _new(state, "Dropout", rate)
    made.attrs["norm_first"] = _said(made, named, "norm_first")
    made.put("activation", _activation(named.get("activation", "relu")))


def _activation(told: Any) -> Any:
    if isinstance(told, str):
        known = told in {"relu", "gelu"}
        return External(f"torch.nn.functional.{told}") if known else Unknown(f"no {told} is known")
    return told


def _stack(state: State, made: Module, first: Any, count: Any, norm: Any) -> None:
    if not isinstance(first, Module):
        raise StopError(f"the layer that {made.title} repeats is not known", state.at)
    if isinstance(count, Unknown) and count.key:
        count = state.witness(count)
        state.guessed(count)
    if not isinstance(count, int) or not 0 <= count <= 256:
        raise StopError(f"the number of layers of {made.title} is not known", state.at)
    if isinstance(norm, Unknown):
        raise StopError(f"the last norm of {made.title} is not known", state.at)
    held = Module("torch.nn.ModuleList", made.site)
    held.children = {str(i): building.copied(first) for i in range(count)}
    made.children["layers"] = held
    made.put("norm", norm)


def _whole(state: State, made: Module, named: Named) -> None:
    if named.get("custom_encoder") is not None or named.get("custom_decoder") is not None:
        raise StopError("a Transformer with a custom encoder or decoder is not followed", state.at)
    names = ("d_model", "nhead", "dim_feedforward", "dropout", "layer_norm_eps", "batch_first",
             "norm_first", "bias")  # fmt: skip
    given = {name: _said(made, named, name) for name in names}
    given["activation"] = named.get("activation", "relu")
    for kind in ("encoder", "decoder"):
        one = _new(state, f"Transformer{kind.capitalize()}Layer", **given)
        norm = _new(state, "LayerNorm", given["d_model"], eps=given["layer_norm_eps"],
                    bias=given["bias"])  # fmt: skip
        count = _said(made, named, f"num_{kind}_layers")
        made.children[kind] = _new(state, f"Transformer{kind.capitalize()}", one, count, norm)
    _drawn_anew(state, made)


def _drawn_anew(state: State, made: Module) -> None:
    xavier = state.catalogue.initialiser("torch.nn.init.xavier_uniform_")
    assert xavier is not None  # noqa: S101
    state.text.append("the default of Transformer")
    try:
        for _, parameter in made.named_parameters():
            if len(parameter.shape) > 1:
                filling.initialise(state, xavier, (parameter,), {})
    finally:
        state.text.pop()


def forward(
    state: State, module: Module, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Return what a transformer, or a part of one, gives.

    Raises:
        StopError: whether it normalises first is not known.
    """
    title = module.kind.rpartition(".")[2]
    match title:
        case "TransformerEncoderLayer":
            return _encoded(state, module, dict(zip(_ENCODED, args, strict=False)) | dict(keywords))
        case "TransformerDecoderLayer":
            return _decoded(state, module, dict(zip(_DECODED, args, strict=False)) | dict(keywords))
        case "TransformerEncoder":
            named = dict(zip(("src", "mask", "src_key_padding_mask", "is_causal"), args,
                             strict=False)) | dict(keywords)  # fmt: skip
            named = {"src_mask" if k == "mask" else k: v for k, v in named.items()}
            return _through(state, module, named.pop("src", None), (), named)
        case "TransformerDecoder":
            named = dict(zip(_DECODED, args, strict=False)) | dict(keywords)
            x, memory = named.pop("tgt", None), named.pop("memory", None)
            return _through(state, module, x, (memory,), named)
        case _:
            return _translated(
                state, module, dict(zip(_WHOLE, args, strict=False)) | dict(keywords)
            )


def _through(state: State, module: Module, x: Any, more: tuple[Any, ...], named: Named) -> Any:
    held = module.children.get("layers")
    for layer in held.children.values() if held is not None else ():
        if layer is not None:
            x = modules.forward(state, layer, (x, *more), named)
    norm = module.children.get("norm")
    return x if norm is None else modules.forward(state, norm, (x,), {})


def _translated(state: State, module: Module, named: Named) -> Any:
    encoder, decoder = module.children["encoder"], module.children["decoder"]
    assert encoder is not None and decoder is not None  # noqa: S101, PT018
    memory = modules.forward(
        state, encoder, (named.get("src"),),
        {"mask": named.get("src_mask"), "src_key_padding_mask": named.get("src_key_padding_mask")},
    )  # fmt: skip
    given = {k: v for k, v in named.items() if k in _DECODED and k not in {"tgt", "memory"}}
    return modules.forward(state, decoder, (named.get("tgt"), memory), given)


def _encoded(state: State, module: Module, named: Named) -> Any:
    mask, padding = named.get("src_mask"), named.get("src_key_padding_mask")

    def attended(x: Any) -> Any:
        return _attention(state, module, "self_attn", x, x, mask, padding)

    return _residual(state, module, named.get("src"), (attended,))


def _decoded(state: State, module: Module, named: Named) -> Any:
    memory = named.get("memory")

    def attended(x: Any) -> Any:
        masks = (named.get("tgt_mask"), named.get("tgt_key_padding_mask"))
        return _attention(state, module, "self_attn", x, x, *masks)

    def crossed(x: Any) -> Any:
        masks = (named.get("memory_mask"), named.get("memory_key_padding_mask"))
        return _attention(state, module, "multihead_attn", x, memory, *masks)

    return _residual(state, module, named.get("tgt"), (attended, crossed))


def _residual(state: State, module: Module, x: Any, branches: tuple[Any, ...]) -> Any:
    first = module.attrs.get("norm_first")
    if not isinstance(first, bool):
        raise StopError(f"whether {module.title} normalises first is not known", module.site)

    def fed(x: Any) -> Any:
        return _fed(state, module, x)

    for number, branch in enumerate((*branches, fed), 1):
        norm = module.children.get(f"norm{number}")
        if norm is None:
            raise StopError(f"a norm of {module.title} was taken away", module.site)
        y = modules.forward(state, norm, (x,), {}) if first else x
        drop = module.children.get(f"dropout{number}")
        y = branch(y) if drop is None else modules.forward(state, drop, (branch(y),), {})
        x = evaluating.binary(state, "Add", x, y)
        x = x if first else modules.forward(state, norm, (x,), {})
    return x


def _attention(
    state: State, module: Module, name: str, x: Any, memory: Any, mask: Any, padding: Any
) -> Any:
    inner = module.children.get(name)
    if inner is None:
        raise StopError(f"the attention of {module.title} was taken away", module.site)
    given = {"attn_mask": mask, "key_padding_mask": padding, "need_weights": False}
    made = modules.forward(state, inner, (x, memory, memory), given)
    return made[0] if isinstance(made, tuple) else made


def _fed(state: State, module: Module, x: Any) -> Any:
    for step in _steps(module):
        if isinstance(step, Module):
            x = modules.forward(state, step, (x,), {})
        else:
            x = calling.apply(state, step, (x,), {}, ast.Pass())
    return x


def _steps(module: Module) -> Iterator[Any]:
    for name in ("linear1", "activation", "dropout", "linear2"):
        held = module.children.get(name, module.attrs.get(name))
        if held is not None:
            yield held


def causal_mask(args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return ``generate_square_subsequent_mask(size)``: minus infinity above the diagonal."""
    size = args[0] if args else keywords.get("sz")
    if not isinstance(size, int):
        return Unknown("the size of a mask is not known")
    return Known(np.triu(np.full((size, size), -np.inf, np.float32), 1))
