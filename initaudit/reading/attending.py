"""torch.nn.MultiheadAttention: its projections, packed or apart, its heads and its masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from initaudit.catalogue import LayerSpec
from initaudit.checkpoint.graphs.values import Known, Signal
from initaudit.reading import building, evaluating, tensors
from initaudit.reading.state import State
from initaudit.reading.tape import fixed
from initaudit.reading.values import Drawn, Module, Parameter, StopError, Unknown, View

_NAMES = ("query", "key", "value", "key_padding_mask", "need_weights", "attn_mask",
          "average_attn_weights", "is_causal")  # fmt: skip
_APART = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
_LINEAR = ("input", "weight", "bias")


def separate(state: State, made: Module, spec: LayerSpec) -> None:
    """Give a layer whose keys or values have a width of their own one matrix for each.

    Raises:
        StopError: a width is not known.
    """
    width, *others = (evaluating.plain(made, name) for name in ("embed_dim", "kdim", "vdim"))
    keys, values = (width if other is None else other for other in others)
    if not all(isinstance(n, int) for n in (width, keys, values)):
        raise StopError(f"the widths of {spec.name} are not known", state.at)
    if keys == values == width:
        return
    rest = {k: v for k, v in made.params.items() if k != "in_proj_weight"}
    made.params.clear()
    weight = spec.weights["in_proj_weight"]
    for name, size in zip(_APART, (width, keys, values), strict=True):
        made.params[name] = building.start(state, made, spec, weight, (width, size))
    made.params.update(rest)


def forward(
    state: State, module: Module, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Return what the layer gives, the weights of attention unknown; the signal may end there."""
    named = dict(zip(_NAMES, args, strict=False)) | dict(keywords)
    q, k, v = (named.get(name) for name in _NAMES[:3])
    reason = _obstacle(module, named)
    mask = None if reason else _mask(state, named)
    if isinstance(mask, Unknown):
        reason = mask.reason
    if reason:
        found = [x for x in (q, k, v) if isinstance(x, Signal)]
        if state.tape is None or not found:
            return Unknown(f"{module.title} is not followed: {reason}")
        return state.tape.broken_at(module.title, reason, found, state.at), _weights(named)
    causal = mask is None and named.get("is_causal") is True
    y = _attended(state, module, _projected(state, module, q, k, v), mask, causal=causal)
    return y, _weights(named)


def _weights(named: Mapping[str, Any]) -> Unknown | None:
    told = named.get("need_weights", True) is False
    return None if told else Unknown("the weights of an attention are not followed")


def _obstacle(module: Module, named: Mapping[str, Any]) -> str:
    """Return why a call cannot be followed, or nothing."""
    values = [named.get(name) for name in _NAMES[:3]]
    first = evaluating.plain(module, "batch_first")
    if not all(isinstance(x, Signal) for x in values):
        return "what it reads is not the signal"
    if any(len(x.seen) != 3 for x in values if isinstance(x, Signal)):
        return "it reads no batch of sequences"
    if not isinstance(first, bool):
        return "whether it reads the batch first is not known"
    if any(x.batch != (0 if first else 1) for x in values if isinstance(x, Signal)):
        return "it attends across the samples of a batch"
    if named.get("key_padding_mask") is not None:
        return "its mask of padding depends on the input"
    added = module.params.get("bias_k") is not None
    if added or evaluating.plain(module, "add_zero_attn") is not False:
        return "a key and a value are added to those that it reads"
    if not isinstance(module.children.get("out_proj"), Module):
        return "its projection out is not known"
    return ""


def _mask(state: State, named: Mapping[str, Any]) -> Any:
    """Return a mask as scaled dot-product attention takes it: booleans say what is seen there."""
    mask = named.get("attn_mask")
    if isinstance(mask, Drawn):
        mask = fixed(mask)
    if mask is None or isinstance(mask, Unknown):
        return mask
    if not isinstance(mask, Known) or mask.array.ndim != 2:
        return Unknown("its mask is not known")
    if mask.array.dtype.kind == "b":
        return Known(np.logical_not(mask.array))
    return mask if mask.array.dtype.kind == "f" else Unknown("the type of its mask is not known")


def _projected(state: State, module: Module, q: Any, k: Any, v: Any) -> list[Any]:
    """Return queries, keys and values; one product for those that read the same, as torch does."""
    packed, bias = module.params.get("in_proj_weight"), module.params.get("in_proj_bias")
    width = evaluating.plain(module, "embed_dim")
    if not isinstance(packed, Parameter):
        made = []
        for i, x in enumerate((q, k, v)):
            own = None if bias is None else View(bias, slice(i * width, (i + 1) * width))
            given = (x, module.params.get(_APART[i]), own)
            made.append(tensors.aten(state, "linear", given, _LINEAR))
        return made

    def several(x: Any, first: int, last: int) -> list[Any]:
        weight: Any = packed
        own: Any = bias
        if (first, last) != (0, 3):
            part = slice(first * width, last * width)
            weight, own = View(packed, part), None if bias is None else View(bias, part)
        joint = tensors.aten(state, "linear", (x, weight, own), _LINEAR)
        return _apart(state, joint, last - first, width)

    if q.step == k.step == v.step:
        return several(q, 0, 3)
    if k.step == v.step:
        return [*several(q, 0, 1), *several(k, 1, 3)]
    return [part for i, x in enumerate((q, k, v)) for part in several(x, i, i + 1)]


def _apart(state: State, joint: Any, count: int, width: int) -> list[Any]:
    if count == 1:
        return [joint]
    x = tensors.aten(state, "unflatten", (joint, -1, (count, width)), ("input", "dim", "sizes"))
    x = tensors.aten(state, "unsqueeze", (x, 0), ("input", "dim"))
    x = tensors.aten(state, "transpose", (x, 0, -2), ("input", "dim0", "dim1"))
    x = tensors.aten(state, "squeeze", (x, -2), ("input", "dim"))
    return [
        tensors.aten(state, "select", (x, 0, i), ("input", "dim", "index")) for i in range(count)
    ]


def _attended(state: State, module: Module, parts: list[Any], mask: Any, *, causal: bool) -> Any:
    tape, out = state.tape, module.children["out_proj"]
    assert tape is not None and out is not None  # noqa: S101, PT018
    width, heads = (evaluating.plain(module, name) for name in ("embed_dim", "num_heads"))
    first = evaluating.plain(module, "batch_first")

    def turned(x: Any, one: int, other: int) -> Any:
        return tensors.aten(state, "transpose", (x, one, other), ("input", "dim0", "dim1"))

    if not first:
        parts = [turned(part, 0, 1) for part in parts]
    split = []
    for part in parts:
        shape = (*tensors.shape(part)[:2], heads, width // heads)
        apart = tensors.aten(state, "view", (part, shape), ("input", "size"))
        split.append(turned(apart, 1, 2))
    y = tensors.aten(
        state, "scaled_dot_product_attention", (*split, mask, 0.0, causal),
        ("query", "key", "value", "attn_mask", "dropout_p", "is_causal"),
    )  # fmt: skip
    shape = (*tensors.shape(parts[0])[:2], width)
    y = tensors.aten(state, "reshape", (turned(y, 1, 2), shape), ("input", "size"))
    y = y if first else turned(y, 0, 1)
    scope = tape.builder.scope
    tape.builder.scope = out.path or f"{module.path}.out_proj"
    try:
        held = (out.params.get("weight"), out.params.get("bias"))
        return tensors.aten(state, "linear", (y, *held), _LINEAR)
    finally:
        tape.builder.scope = scope
