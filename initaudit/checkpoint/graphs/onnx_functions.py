"""Operators of ONNX that work on each element."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import arithmetic as math
from initaudit.checkpoint.graphs import combining, elementwise
from initaudit.checkpoint.graphs.calls import Call
from initaudit.checkpoint.graphs.onnx_table import TABLE, operator, scalar_of
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    Weight,
    known,
    scalar,
)

_MS = "com.microsoft."

_ACTIVATIONS = {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Selu": "selu",
    "Softsign": "softsign", "HardSwish": "hardswish", "Mish": "mish", "Sin": "sin",
    f"{_MS}FastGelu": "gelu_tanh", f"{_MS}QuickGelu": "quick_gelu",
}  # fmt: skip
_UNARY = {
    "Sqrt": "sqrt", "Exp": "exp", "Log": "log", "Neg": "negative", "Reciprocal": "reciprocal",
    "Erf": "erf",
}  # fmt: skip
_BINARY = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide", "Pow": "power"}
_COMPARE = {
    "Greater": "greater", "GreaterOrEqual": "greater_equal", "Less": "less",
    "LessOrEqual": "less_equal", "Equal": "equal",
}  # fmt: skip
TABLE.update({name: elementwise.activation(f) for name, f in _ACTIVATIONS.items()})
TABLE.update({name: elementwise.unary(f) for name, f in _UNARY.items()})
TABLE.update({name: elementwise.binary(f) for name, f in _BINARY.items()})
TABLE.update({name: elementwise.compare(f) for name, f in _COMPARE.items()})


@operator("Gelu", f"{_MS}Gelu", rows=True)
def _gelu(b: Builder, c: Call) -> Value:
    tanh = c.attribute("approximate", "none") == "tanh"
    return math.activation(b, "gelu_tanh" if tanh else "gelu", c.get(0))


@operator("Swish", rows=True)
def _swish(b: Builder, c: Call) -> Value:
    if c.attribute("alpha", 1.0) != 1.0:
        raise UnsupportedError("its alpha is not 1")
    return math.activation(b, "silu", c.get(0))


@operator("LeakyRelu", rows=True)
def _leaky(b: Builder, c: Call) -> Value:
    return math.activation(b, "leaky_relu", c.get(0), c.attribute("alpha", 0.01))


@operator("PRelu")
def _prelu(b: Builder, c: Call) -> Value:
    slope = known(c.get(1))
    if slope.size > 1 and not (slope == slope.flat[0]).all():
        raise UnsupportedError("its slopes differ between channels")
    return math.activation(b, "prelu", c.get(0), float(slope.flat[0]))


@operator("Elu", "Celu", rows=True)
def _elu(b: Builder, c: Call) -> Value:
    if c.attribute("alpha", 1.0) != 1.0:
        raise UnsupportedError("its alpha is not 1")
    return math.activation(b, c.node.operator.lower(), c.get(0))


@operator("HardSigmoid", rows=True)
def _hardsigmoid(b: Builder, c: Call) -> Value:
    alpha, beta = c.attribute("alpha", 0.2), c.attribute("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-4 and beta == 0.5:
        return math.activation(b, "hardsigmoid", c.get(0))
    shifted = math.binary(
        b, "add", math.binary(b, "multiply", c.get(0), scalar(alpha)),
        scalar(beta),
    )  # fmt: skip
    return math.clip(b, shifted, 0.0, 1.0)


@operator("Clip", rows=True)
def _clip(b: Builder, c: Call) -> Value:
    low = scalar_of(c.get(1), c.attribute("min"))
    high = scalar_of(c.get(2), c.attribute("max"))
    return math.clip(b, c.get(0), low, high)


@operator("Identity", "Dropout", "Cast", "CastLike", rows=True)
def _identity(b: Builder, c: Call) -> Any:
    value = c.get(0)
    if isinstance(value, Known) and c.node.operator == "Cast":
        kind = _KINDS.get(c.attribute("to", 1))
        if kind is None:
            raise UnsupportedError("it casts to a type that is not known")
        return Known(value.array.astype(kind))
    if isinstance(value, Known) and c.node.operator == "CastLike":
        like = c.get(1)
        return Known(value.array.astype(like.array.dtype)) if isinstance(like, Known) else value
    if isinstance(value, Weight) and c.node.operator == "Identity" and c.node.outputs:
        return replace(value, alias=c.node.outputs[0])
    return (value, value)


_KINDS: dict[int, type[Any]] = {
    1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float32, 11: np.float64,
    16: np.float32, 2: np.uint8, 3: np.int8, 5: np.int16, 12: np.uint32, 13: np.uint64,
}  # fmt: skip


@operator("Sum", "Min", "Max", "Mean")
def _variadic(b: Builder, c: Call) -> Value:
    name = {"Sum": "add", "Min": "minimum", "Max": "maximum", "Mean": "add"}[c.node.operator]
    total: Value = c.inputs[0]
    for value in c.inputs[1:]:
        total = math.binary(b, name, total, value)
    if c.node.operator == "Mean":
        total = math.binary(b, "divide", total, scalar(len(c.inputs)))
    return total


@operator("Where")
def _where(b: Builder, c: Call) -> Value:
    return combining.where(b, c.get(0), c.get(1), c.get(2))


@operator("IsNaN", "IsInf")
def _never(b: Builder, c: Call) -> Value:
    # A signal that is not finite ends where it arises.
    return Known(np.zeros((), bool)) if isinstance(c.get(0), Signal) else math.computed(
        np.isnan if c.node.operator == "IsNaN" else np.isinf, c.get(0)
    )  # fmt: skip
