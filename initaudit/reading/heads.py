"""Multi-head attention of Keras and Flax linen: kernels (in, heads, width) and one way out.

Both count the fans of a kernel by the matrix that it is for: flax/linen/linear.py, DenseGeneral,
and keras/src/layers/core/einsum_dense.py of Keras 3.15.1 (older ones count by the shape alone).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs.values import Known, Signal
from initaudit.reading import evaluating, recipes, tensors
from initaudit.reading.state import State
from initaudit.reading.values import Event, Module, Parameter, StopError

_KERAS = ("query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask",
          "return_attention_scores", "training", "use_causal_mask")  # fmt: skip
_FLAX = ("inputs_q", "inputs_k", "inputs_v")
_REFUSED = ("query_mask", "value_mask", "key_mask", "attention_mask", "mask", "inputs_kv",
            "return_attention_scores")  # fmt: skip
_SETTINGS = ("value_dim", "output_shape", "attention_axes", "normalize_qk", "decode",
             "qkv_dot_general", "out_dot_general", "attention_fn", "use_gate")  # fmt: skip


def forward(
    state: State, module: Module, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Return what the layer gives, its weights made at the first call.

    Raises:
        StopError: it has a mask, or a setting, that is not followed.
    """
    keras = module.kind.startswith("keras")
    named = dict(zip(_KERAS if keras else _FLAX, args, strict=False)) | dict(keywords)
    for name in _REFUSED:
        if named.get(name) not in (None, False):
            raise StopError(f"{module.title} with its {name} is not followed", state.at)
    for name in _SETTINGS:
        if module.attrs.get(f"_{name}") not in (None, False):
            raise StopError(f"{module.title} with its {name} is not followed", state.at)
    q = named.get("query" if keras else "inputs_q")
    k = named.get("key" if keras else "inputs_k")
    v = named.get("value" if keras else "inputs_v")
    other = v if keras else q if k is None else k
    k = other if k is None else k
    v = k if v is None else v
    causal = named.get("use_causal_mask", False)
    if not all(isinstance(x, Signal) and len(x.seen) == 3 for x in (q, k, v)):
        raise StopError(f"{module.title} reads no batch of sequences", state.at)
    if not isinstance(causal, bool):
        raise StopError(f"whether {module.title} is causal is not known", state.at)
    return _attended(state, module, (q, k, v), keras=keras, causal=causal)


def _attended(
    state: State, module: Module, read: tuple[Any, ...], *, keras: bool, causal: bool
) -> Any:
    widths = [tensors.shape(x)[-1] for x in read]
    heads, each, out = _sizes(module, widths[0], keras=keras)
    parts = []
    for name, x, width in zip(("query", "key", "value"), read, widths, strict=True):
        shape = (width, heads, each)
        y = _projected(state, module, name, x, shape, (width, heads * each), keras=keras)
        y = tensors.method(state, y, "reshape", (*tensors.shape(y)[:2], heads, each), {})
        parts.append(tensors.method(state, y, "transpose", (1, 2), {}))
    y = tensors.aten(
        state, "scaled_dot_product_attention", (*parts, None, 0.0, causal),
        ("query", "key", "value", "attn_mask", "dropout_p", "is_causal"),
    )  # fmt: skip
    y = tensors.method(state, y, "transpose", (1, 2), {})
    y = tensors.method(state, y, "reshape", (*tensors.shape(y)[:2], heads * each), {})
    last = "attention_output" if keras else "out"
    return _projected(state, module, last, y, (heads, each, out), (heads * each, out), keras=keras)


def _sizes(module: Module, width: int, *, keras: bool) -> tuple[int, int, int]:
    heads = evaluating.plain(module, "num_heads")
    each = evaluating.plain(module, "key_dim") if keras else None
    out = None if keras else evaluating.plain(module, "out_features")
    if not keras and isinstance(heads, int):
        whole = evaluating.plain(module, "qkv_features")
        whole = width if whole is None else whole
        each = whole // heads if isinstance(whole, int) else whole
    out = width if out is None else out
    if not isinstance(heads, int) or not isinstance(each, int) or not isinstance(out, int):
        raise StopError(f"the widths of {module.title} are not known", module.site)
    return heads, each, out


def _projected(
    state: State, module: Module, name: str, x: Any, shape: tuple[int, ...],
    seen: tuple[int, int], *, keras: bool,
) -> Any:  # fmt: skip
    """Return a product with one kernel, seen as a matrix, plus its bias."""
    tape = state.tape
    assert tape is not None  # noqa: S101
    holder = module.children.get(name)
    if holder is None:
        path = f"{module.path}.{name}" if module.path else name
        holder = module.children[name] = Module(module.kind, module.site, path=path)
        last = name in {"attention_output", "out"}
        holder.params["kernel"] = _start(state, module, holder, "kernel", shape, seen, keras=keras)
        if evaluating.plain(module, "use_bias") is not False:
            own = shape[-1:] if last else shape[1:]
            holder.params["bias"] = _start(
                state, module, holder, "bias", own, (prod(own),), keras=keras
            )
    kernel, bias = holder.params["kernel"], holder.params.get("bias")
    assert kernel is not None  # noqa: S101
    scope = tape.builder.scope
    tape.builder.scope = holder.path
    try:
        weight = _seen(state, kernel, seen)
        if bias is None:
            return tensors.aten(state, "matmul", (x, weight), ("input", "other"))
        given = (_seen(state, bias, (seen[1],)), x, weight)
        return tensors.aten(state, "addmm", given, ("input", "mat1", "mat2"))
    finally:
        tape.builder.scope = scope


def _seen(state: State, parameter: Parameter, shape: tuple[int, ...]) -> Any:
    if parameter.shape == shape:
        return parameter
    return Known(np.asarray(tensors.numbers_of(state, parameter), np.float32).reshape(shape))


def _start(
    state: State, module: Module, holder: Module, name: str, shape: tuple[int, ...],
    flat: tuple[int, ...], *, keras: bool,
) -> Parameter:  # fmt: skip
    spec = module.spec
    assert spec is not None  # noqa: S101
    weight = spec.weights[name]
    keyword = str(weight.keyword)
    value = module.attrs.get(f"_{keyword}")
    if not keras and holder.path.rpartition(".")[2] == "out":
        value = module.attrs.get(f"_out_{keyword}") or value
    chosen = recipes.told(state, "keras" if keras else "flax", value)
    if value is not None and chosen is None:
        raise StopError(f"the {keyword} of {module.title} is not known", module.site)
    text = f"the default of {module.title}"
    if chosen is not None:
        text = f"{keyword}={chosen.name} of {module.title}"
    chosen = chosen or recipes.Recipe("the default", weight.default)
    made = Parameter(shape, [], module.site, weight.role, f"{holder.path}.{name}")
    if keras and chosen.weights.law == "orthogonal":
        raise StopError(f"an orthogonal kernel of {module.title} is not followed", module.site)
    if keras and name == "kernel":
        state.notes[f"the kernels of {module.title} start as in Keras 3.15.1"] = None
    as_matrix = Parameter(flat, [], module.site, weight.role)
    made.chain.append(_shaped(recipes.event(chosen, as_matrix, text), shape))
    state.made.append(made)
    return made


def _shaped(event: Event, shape: tuple[int, ...]) -> Event:
    inner = event.draw
    if inner is None:
        return event
    return replace(event, draw=lambda random, old: inner(random, old).reshape(shape))
