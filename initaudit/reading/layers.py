"""The forward pass of a framework's own layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from initaudit.catalogue import argument
from initaudit.checkpoint.graphs.values import Signal
from initaudit.reading import (
    attending,
    evaluating,
    heads,
    lasting,
    reparametrising,
    settings,
    tensors,
    transformer,
)
from initaudit.reading.state import State
from initaudit.reading.values import Module, StopError, Unknown

Args = tuple[Any, ...]
Forward = Callable[[State, Module, Any], Any]


def forward(state: State, module: Module, args: Args, keywords: Mapping[str, Any]) -> Any:
    """Return what a layer gives; its signal ends where the layer is not followed."""
    spec = module.spec
    op = spec.op if spec is not None else ""
    x = args[0] if args else next(iter(keywords.values()), None)
    if module.kind.startswith(lasting.FRAMEWORKS) and op == "attention":
        return heads.forward(state, module, args, keywords)
    if module.kind.startswith(lasting.FRAMEWORKS):
        return lasting.forward(state, module, args)
    if op == "attention":
        return attending.forward(state, module, args, keywords)
    if op == "transformer":
        return transformer.forward(state, module, args, keywords)
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


def _eps(state: State, module: Module) -> Any:
    """Return what a norm adds to the variance; its default where the source leaves it open."""
    value = evaluating.plain(module, "eps")
    if not isinstance(value, Unknown) or module.spec is None:
        return _set(module, "eps")
    held = settings.unfolded(argument(module.spec.parameters, {}, "eps"), "eps")
    if not isinstance(held, float):
        return _set(module, "eps")
    state.notes[f"eps of {module.title} is left open: it is {held:g}, its default"] = None
    return held


def _param(state: State, module: Module, name: str) -> Any:
    return reparametrising.effective(state, module, name)


def _linear(state: State, module: Module, x: Any) -> Any:
    given = (x, _param(state, module, "weight"), _param(state, module, "bias"))
    return tensors.aten(state, "linear", given, ("input", "weight", "bias"))


def _conv(state: State, module: Module, x: Any) -> Any:
    weight = _param(state, module, "weight")
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
    return tensors.aten(state, name, (x, weight, _param(state, module, "bias"), *settings), names)


def _batch_norm(state: State, module: Module, x: Any) -> Any:
    names = ("input", "weight", "bias", "running_mean", "running_var", "eps")
    given = [x, *(_param(state, module, n) for n in names[1:5]), _eps(state, module)]
    return tensors.aten(state, "batch_norm", given, names)


def _layer_norm(state: State, module: Module, x: Any) -> Any:
    rms = module.spec is not None and module.spec.op == "rms_norm"
    shape = _set(module, "normalized_shape")
    given: list[Any] = [x, shape if isinstance(shape, tuple) else (shape,)]
    names = ["input", "normalized_shape", "weight", "bias", "eps"]
    given += [_param(state, module, "weight"), _param(state, module, "bias"), _eps(state, module)]
    return tensors.aten(state, "rms_norm" if rms else "layer_norm", given, names)


def _group_norm(state: State, module: Module, x: Any) -> Any:
    weight, bias = _param(state, module, "weight"), _param(state, module, "bias")
    if module.spec is not None and module.spec.op == "instance_norm":
        names = ("input", "weight", "bias", "eps")
        return tensors.aten(state, "instance_norm", (x, weight, bias, _eps(state, module)), names)
    given = (x, _set(module, "num_groups"), weight, bias, _eps(state, module))
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
            return tensors.aten(
                state, "prelu", (x, _param(state, module, "weight")), ("x", "weight")
            )
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


def _upsample(state: State, module: Module, x: Any) -> Any:
    spec = module.spec
    assert spec is not None  # noqa: S101
    names = [p.name for p in spec.parameters if p.name != "recompute_scale_factor"]
    given = {name: _set(module, name) for name in names} | dict(spec.attributes)
    return tensors.function(state, "torch.nn.functional.interpolate", (x,), given)


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
    return tensors.aten(
        state, "embedding", (_param(state, module, "weight"), x), ("weight", "input")
    )


_FORWARD: Mapping[str, Forward] = {
    "linear": _linear, "conv": _conv, "conv_transpose": _conv, "batch_norm": _batch_norm,
    "layer_norm": _layer_norm, "rms_norm": _layer_norm, "group_norm": _group_norm,
    "instance_norm": _group_norm, "activation": _activation, "softmax": _softmax,
    "log_softmax": _softmax, "max_pool": _pool, "avg_pool": _pool,
    "upsample": _upsample, "adaptive_avg_pool": _adaptive, "flatten": _flatten,
    "reshape": _unflatten, "identity": _identity, "dropout": _dropout, "embedding": _embedding,
}  # fmt: skip


def _recurrent(state: State, module: Module, args: Args, keywords: Mapping[str, Any]) -> Any:
    spec = module.spec
    x = args[0] if args else keywords.get("input")
    if spec is None or "Cell" in spec.name or not isinstance(x, Signal):
        return _strange(state, module, (x, *args[1:]))
    if (len(args) > 1 and args[1] is not None) or not reparametrising.plain(module):
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
