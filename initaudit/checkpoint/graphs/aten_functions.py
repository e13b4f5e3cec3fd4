"""Operators of torch.export that work on each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import arithmetic as math
from initaudit.checkpoint.graphs import combining, elementwise
from initaudit.checkpoint.graphs.aten_table import KINDS, TABLE, operator
from initaudit.checkpoint.graphs.calls import Call
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    known,
    scalar,
    value,
)

_ACTIVATIONS = (
    "relu", "sigmoid", "tanh", "silu", "mish", "hardswish", "hardsigmoid", "selu", "relu6",
    "softsign", "sin",
)  # fmt: skip
_UNARY = {
    "sqrt": "sqrt", "exp": "exp", "log": "log", "neg": "negative", "erf": "erf",
    "reciprocal": "reciprocal",
}  # fmt: skip
_COMPARE = {
    "gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal", "eq": "equal",
    "ne": "not_equal",
}  # fmt: skip
_KNOWN: dict[str, Callable[..., Any]] = {
    "cos": np.cos, "abs": np.abs, "floor": np.floor, "ceil": np.ceil, "sign": np.sign,
    "logical_not": np.logical_not, "bitwise_not": np.invert, "isnan": np.isnan,
    "logical_and": np.logical_and, "bitwise_and": np.bitwise_and, "__and__": np.bitwise_and,
    "logical_or": np.logical_or, "bitwise_or": np.bitwise_or, "__or__": np.bitwise_or,
    "remainder": np.mod, "floor_divide": np.floor_divide,
}  # fmt: skip
_PYTHON: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "floordiv": np.floor_divide,
    "mod": np.mod, "neg": np.negative, "truediv": np.divide, "ge": np.greater_equal,
    "le": np.less_equal, "eq": np.equal,
}  # fmt: skip
for _made in (
    {name: elementwise.activation(name) for name in _ACTIVATIONS},
    {name: elementwise.unary(f) for name, f in _UNARY.items()},
    {name: elementwise.binary(name) for name in ("minimum", "maximum")},
    {name: elementwise.compare(f) for name, f in _COMPARE.items()},
    {name: elementwise.known_only(f) for name, f in _KNOWN.items()},
):
    for _name, _operator in _made.items():
        TABLE[f"aten.{_name}"] = TABLE[f"aten.{_name}_"] = _operator
TABLE.update({f"_operator.{n}": elementwise.known_only(f) for n, f in _PYTHON.items()})


@operator("add", "sub", "rsub", rows=True)
def _sum(b: Builder, c: Call) -> Value:
    x, y = value(c.get(0)), value(c.get(1))
    alpha = c.named("alpha", 1)
    if alpha != 1:
        y = math.binary(b, "multiply", y, value(alpha))
    if "rsub" in c.node.operator:
        return math.binary(b, "subtract", y, x)
    return math.binary(b, "add" if "add" in c.node.operator else "subtract", x, y)


@operator("mul", "multiply", "div", "true_divide", "pow", rows=True)
def _product(b: Builder, c: Call) -> Value:
    name = c.node.operator.removeprefix("aten.").rstrip("_")
    x, y = value(c.get(0)), value(c.get(1))
    if name in {"div", "true_divide"}:
        mode = c.named("rounding_mode")
        if mode is not None:
            function = np.floor_divide if mode == "floor" else lambda p, q: np.trunc(p / q)
            return math.computed(function, x, y)
        if not isinstance(x, Signal) and not isinstance(y, Signal):
            return math.computed(np.true_divide, x, y)
        return math.binary(b, "divide", x, y)
    return math.binary(b, {"pow": "power"}.get(name, "multiply"), x, y)


@operator("rsqrt", rows=True)
def _rsqrt(b: Builder, c: Call) -> Value:
    return math.binary(b, "power", value(c.get(0)), scalar(-0.5))


@operator("square", rows=True)
def _square(b: Builder, c: Call) -> Value:
    return math.binary(b, "power", value(c.get(0)), scalar(2.0))


@operator("gelu", rows=True)
def _gelu(b: Builder, c: Call) -> Value:
    tanh = c.named("approximate", "none") == "tanh"
    return math.activation(b, "gelu_tanh" if tanh else "gelu", value(c.get(0)))


@operator("leaky_relu", rows=True)
def _leaky(b: Builder, c: Call) -> Value:
    return math.activation(b, "leaky_relu", value(c.get(0)), c.named("negative_slope", 0.01))


@operator("prelu", "_prelu_kernel")
def _prelu(b: Builder, c: Call) -> Value:
    slope = known(c.get(1))
    if not (slope == slope.flat[0]).all():
        raise UnsupportedError("its slopes differ between channels")
    return math.activation(b, "prelu", value(c.get(0)), float(slope.flat[0]))


@operator("elu", "celu", rows=True)
def _elu(b: Builder, c: Call) -> Value:
    if any(c.named(name, 1.0) != 1.0 for name in ("alpha", "scale", "input_scale")):
        raise UnsupportedError("its alpha is not 1")
    return math.activation(b, c.node.operator.removeprefix("aten.").rstrip("_"), value(c.get(0)))


@operator("softplus", rows=True)
def _softplus(b: Builder, c: Call) -> Value:
    if c.named("beta", 1.0) != 1.0:
        raise UnsupportedError("its beta is not 1")
    return math.activation(b, "softplus", value(c.get(0)))


@operator("hardtanh", "clamp", "clamp_min", "clamp_max", rows=True)
def _clamp(b: Builder, c: Call) -> Value:
    name = c.node.operator.rstrip("_")
    if name.endswith("hardtanh"):
        low, high = c.named("min_val", -1.0), c.named("max_val", 1.0)
    else:
        low, high = c.named("min"), c.named("max")
    bounds = [None if n is None else float(known(n)) for n in (low, high)]
    return math.clip(b, value(c.get(0)), *bounds)


@operator("dropout", "contiguous", "clone", "alias", "detach", "lift_fresh_copy", "detach_",
          "feature_dropout", "alpha_dropout", rows=True)  # fmt: skip
def _identity(b: Builder, c: Call) -> Any:
    return c.get(0)


@operator("to", "_to_copy", "type_as", "float", rows=True)
def _cast(b: Builder, c: Call) -> Any:
    x, kind = c.get(0), KINDS.get(c.named("dtype", 0))
    if isinstance(x, Known) and kind is not None:
        return Known(x.array.astype(kind))
    return x


@operator("where")
def _where(b: Builder, c: Call) -> Value:
    return combining.where(b, *(value(i) for i in c.inputs[:3]))


@operator("masked_fill")
def _masked_fill(b: Builder, c: Call) -> Value:
    return combining.where(b, value(c.get(1)), value(c.get(2)), value(c.get(0)))
