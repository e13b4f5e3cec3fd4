"""The forward pass of a framework's own layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from initaudit.checkpoint.graphs.values import Signal
from initaudit.reading import evaluating, lasting, tensors
from initaudit.reading.state import State
from initaudit.reading.values import Module, Parameter, StopError, Unknown

Args = tuple[Any, ...]
Forward = Callable[[State, Module, Any], Any]


def forward(state: State, module: Module, args: Args, keywords: Mapping[str, Any]) -> Any:
    """Return what a layer gives; its signal ends where the layer is not followed."""
    spec = module.spec
    op = spec.op if spec is not None else ""
    x = args[0] if args else next(iter(keywords.values()), None)
    if module.kind.startswith(lasting.FRAMEWORKS):
        return lasting.forward(state, module, args)
    if op == "attention":
        return _attention(state, module, args, keywords)
    if op in {"lstm", "gru", "rnn"}:
        return _recurrent(state, module, args, keywords)
    function = _FORWARD.get(op)
    if function is None:
        return _strange(state, module, (*args, *keywords.values()))
    made = function(state, module, x)
    if state.tape is not None and evaluating.plain(module, "inplace") is True:
        state.tape.change(x, made)
    return made


def _strange(state: State, module: Module, args: Args) -> Any:
    found = [a for a in args if isinstance(a, Signal)]
    if state.tape is None or not found:
        return Unknown(f"{module.title} is not followed")
    return state.tape.broken_at(module.title, "it is not followed", found, state.at)


def _set(module: Module, name: str) -> Any:
    value = evaluating.plain(module, name)
    if isinstance(value, Unknown):
        raise StopError(f"{name} of {module.title} is not known")
    return value


def _param(module: Module, name: str) -> Parameter | None:
    return module.params.get(name)


def _linear(state: State, module: Module, x: Any) -> Any:
    given = (x, _param(module, "weight"), _param(module, "bias"))
    return tensors.aten(state, "linear", given, ("input", "weight", "bias"))


def _conv(state: State, module: Module, x: Any) -> Any:
    weight = _param(module, "weight")
    dims = len(weight.shape) - 2 if weight is not None else 2
    if _set(module, "padding_mode") != "zeros":
        return _strange(state, module, (x,))
    transposed = module.spec is not None and module.spec.op == "conv_transpose"
    names = ["input", "weight", "bias", "stride", "padding", "dilation", "groups"]
    settings = [_set(module, n) for n in names[3:]]
    if transposed:
        names.append("output_padding")
        settings.append(_set(module, "output_padding"))
    name = f"conv_transpose{dims}d" if transposed else f"conv{dims}d"
    return tensors.aten(state, name, (x, weight, _param(module, "bias"), *settings), names)


def _batch_norm(state: State, module: Module, x: Any) -> Any:
    names = ("input", "weight", "bias", "running_mean", "running_var", "eps")
    given = [x, *(_param(module, n) for n in names[1:5]), _set(module, "eps")]
    return tensors.aten(state, "batch_norm", given, names)


def _layer_norm(state: State, module: Module, x: Any) -> Any:
    rms = module.spec is not None and module.spec.op == "rms_norm"
    shape = _set(module, "normalized_shape")
    given: list[Any] = [x, shape if isinstance(shape, tuple) else (shape,)]
    names = ["input", "normalized_shape", "weight", "bias", "eps"]
    given += [_param(module, "weight"), _param(module, "bias"), _set(module, "eps")]
    return tensors.aten(state, "rms_norm" if rms else "layer_norm", given, names)


def _group_norm(state: State, module: Module, x: Any) -> Any:
    weight, bias = _param(module, "weight"), _param(module, "bias")
    if module.spec is not None and module.spec.op == "instance_norm":
        names = ("input", "weight", "bias", "eps")
        return tensors.aten(state, "instance_norm", (x, weight, bias, _set(module, "eps")), names)
    given = (x, _set(module, "num_groups"), weight, bias, _set(module, "eps"))
    names_ = ("input", "num_groups", "weight", "bias", "eps")
    return tensors.aten(state, "group_norm", given, names_)


def _activation(state: State, module: Module, x: Any) -> Any:
    spec = module.spec
    name = str(spec.attributes.get("function")) if spec is not None else ""
    match name:
        case "leaky_relu":
            return tensors.method(state, x, name, (_set(module, "negative_slope"),), {})
        case "elu" | "celu":
            return tensors.method(state, x, name, (_set(module, "alpha"),), {})
        case "gelu":
            kind = _set(module, "approximate")
            return tensors.method(state, x, name, (), {"approximate": kind})
        case "softplus":
            return tensors.method(state, x, name, (_set(module, "beta"),), {})
        case "hardtanh":
            ends = (_set(module, "min_val"), _set(module, "max_val"))
            return tensors.method(state, x, name, ends, {})
        case "prelu":
            return tensors.aten(state, "prelu", (x, _param(module, "weight")), ("x", "weight"))
        case _:
            return tensors.method(state, x, name, (), {})


def _softmax(state: State, module: Module, x: Any) -> Any:
    name = "log_softmax" if "Log" in module.title else "softmax"
    dim = _set(module, "dim")
    if dim is None:
        dim = 1 if len(tensors.shape(x)) != 3 else 0
    return tensors.method(state, x, name, (dim,), {})


def _pool(state: State, module: Module, x: Any) -> Any:
    spec = module.spec
    if spec is None:
        return _strange(state, module, (x,))
    keywords: dict[str, Any] = {"kernel_size": _set(module, "kernel_size")}
    known = {p.name for p in spec.parameters}
    for name in ("stride", "padding", "dilation", "ceil_mode", "count_include_pad",
                 "divisor_override"):  # fmt: skip
        if name in known:
            keywords[name] = _set(module, name)
    if "return_indices" in known and _set(module, "return_indices"):
        return _strange(state, module, (x,))
    return tensors.method(state, x, f"{spec.op}{spec.dims}d", (), keywords)


def _adaptive(state: State, module: Module, x: Any) -> Any:
    size = _set(module, "output_size")
    dims = module.spec.dims if module.spec is not None else 2
    if isinstance(size, tuple):
        size = tuple(-1 if n is None else n for n in size)
    return tensors.method(state, x, f"adaptive_avg_pool{dims}d", (size,), {})


def _flatten(state: State, module: Module, x: Any) -> Any:
    ends = (_set(module, "start_dim"), _set(module, "end_dim"))
    return tensors.method(state, x, "flatten", ends, {})


def _unflatten(state: State, module: Module, x: Any) -> Any:
    given = (_set(module, "dim"), _set(module, "unflattened_size"))
    return tensors.method(state, x, "unflatten", given, {})


def _identity(state: State, module: Module, x: Any) -> Any:
    return x


def _dropout(state: State, module: Module, x: Any) -> Any:
    return tensors.aten(state, "dropout", (x,), ("input",))


def _embedding(state: State, module: Module, x: Any) -> Any:
    if "Bag" in module.title:
        return _strange(state, module, (x,))
    return tensors.aten(state, "embedding", (_param(module, "weight"), x), ("weight", "input"))


_FORWARD: Mapping[str, Forward] = {
    "linear": _linear, "conv": _conv, "conv_transpose": _conv, "batch_norm": _batch_norm,
    "layer_norm": _layer_norm, "rms_norm": _layer_norm, "group_norm": _group_norm,
    "instance_norm": _group_norm, "activation": _activation, "softmax": _softmax,
    "log_softmax": _softmax, "max_pool": _pool, "avg_pool": _pool,
    "adaptive_avg_pool": _adaptive, "flatten": _flatten, "reshape": _unflatten,
    "identity": _identity, "dropout": _dropout, "embedding": _embedding,
}  # fmt: skip


def _recurrent(state: State, module: Module, args: Args, keywords: Mapping[str, Any]) -> Any:
    spec = module.spec
    x = args[0] if args else keywords.get("input")
    if spec is None or "Cell" in spec.name or not isinstance(x, Signal):
        return _strange(state, module, (x, *args[1:]))
    if len(args) > 1 and args[1] is not None:
        return _strange(state, module, args)
    if spec.op == "rnn" and _set(module, "nonlinearity") != "tanh":
        return _strange(state, module, args)
    kind = {"rnn": "rnn_tanh"}.get(spec.op, spec.op)
    biased = bool(_set(module, "bias"))
    held = tuple(p for p in module.params.values() if p is not None)
    first = bool(_set(module, "batch_first"))
    made = tensors.aten(
        state, kind,
        (x, 0.0, held, biased, _set(module, "num_layers"), _set(module, "bidirectional"), first),
        ("input", "hx", "params", "has_biases", "num_layers", "bidirectional", "batch_first"),
    )  # fmt: skip
    if not isinstance(made, tuple):
        return (made, made) if spec.op != "lstm" else (made, (made, made))
    y, last = made[0], made[1]
    rank = len(tensors.shape(last))
    if rank == 2:
        last = tensors.aten(state, "unsqueeze", (last, 0), ("input", "dim"))
    return (y, (last, last)) if spec.op == "lstm" else (y, last)


def _attention(state: State, module: Module, args: Args, keywords: Mapping[str, Any]) -> Any:
    """Follow torch.nn.MultiheadAttention: packed projections, heads, and one projection out."""
    named = dict(zip(("query", "key", "value", "key_padding_mask", "need_weights", "attn_mask"),
                     args, strict=False)) | dict(keywords)  # fmt: skip
    q, k, v = (named.get(n) for n in ("query", "key", "value"))
    packed, out = module.params.get("in_proj_weight"), module.children.get("out_proj")
    simple = packed is not None and module.params.get("bias_k") is None
    if out is None or not simple or not all(isinstance(x, Signal) for x in (q, k, v)):
        return _strange(state, module, (q, k, v))
    assert isinstance(q, Signal) and isinstance(k, Signal) and isinstance(v, Signal)  # noqa: S101, PT018
    if named.get("key_padding_mask") is not None or not _set(module, "batch_first"):
        batch = len(tensors.shape(q)) == 3 and q.batch == 1
        if named.get("key_padding_mask") is not None or not batch:
            return (_strange(state, module, (q, k, v)), None)
    width, heads = _set(module, "embed_dim"), _set(module, "num_heads")
    bias = module.params.get("in_proj_bias")
    tape = state.tape
    assert tape is not None  # noqa: S101

    def call(name: str, given: Args, names: tuple[str, ...]) -> Any:
        return tensors.aten(state, name, given, names)

    if q is k is v:
        joint = call("linear", (q, packed, bias), ("input", "weight", "bias"))
        parts = call("chunk", (joint, 3, -1), ("input", "chunks", "dim"))
    else:
        return (_strange(state, module, (q, k, v)), None)
    first = bool(_set(module, "batch_first"))
    if not first:
        parts = [call("transpose", (p, 0, 1), ()) for p in parts]
    shape = tensors.shape(parts[0])
    split = [
        call("transpose", (call("view", (p, (*tensors.shape(p)[:2], heads, width // heads)), ()),
                           1, 2), ())
        for p in parts
    ]  # fmt: skip
    mask, causal = named.get("attn_mask"), bool(named.get("is_causal") is True)
    if isinstance(mask, Unknown):
        return (_strange(state, module, (q,)), None)
    y = call(
        "scaled_dot_product_attention", (*split, None if causal else mask, 0.0, causal),
        ("query", "key", "value", "attn_mask", "dropout_p", "is_causal"),
    )  # fmt: skip
    y = call("reshape", (call("transpose", (y, 1, 2), ()), (*shape[:2], width)), ())
    if not first:
        y = call("transpose", (y, 0, 1), ())
    scope = tape.builder.scope
    tape.builder.scope = f"{module.path}.out_proj"
    y = call(
        "linear", (y, out.params.get("weight"), out.params.get("bias")),
        ("input", "weight", "bias"),
    )  # fmt: skip
    tape.builder.scope = scope
    return (y, None)
