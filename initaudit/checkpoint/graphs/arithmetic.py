"""Sums, products and functions of values: computed where they are known, else made steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.graphs import moving, windows
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    Weight,
    constant,
    known,
    room,
    signal,
)
from initaudit.network import Attribute
from initaudit.signal import ACTIVATIONS

Array = NDArray[Any]


def _truncated(a: Array, b: Array) -> Array:
    """Divide as ONNX and C do: whole numbers stay whole."""
    if np.issubdtype(np.result_type(a, b), np.integer):
        return np.trunc(a / b).astype(np.result_type(a, b))
    return np.divide(a, b)


UNARY: Mapping[str, Callable[[Array], Array]] = {
    "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "negative": np.negative,
    "reciprocal": np.reciprocal, "erf": lambda x: np.vectorize(math.erf)(x).astype(x.dtype),
}  # fmt: skip
BINARY: Mapping[str, Callable[[Array, Array], Array]] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": _truncated,
    "power": np.power, "minimum": np.minimum, "maximum": np.maximum,
}  # fmt: skip


def computed(function: Callable[..., Any], *values: object) -> Known:
    """Return what a NumPy function makes of values that are known.

    Raises:
        UnsupportedError: one of them depends on the input, or it is too large.
    """
    arrays = [known(v) for v in values]
    with suppress(ValueError):
        # Operands that are not spread over each other make nothing larger than they are.
        room(*np.broadcast_shapes(*(a.shape for a in arrays)))
    with np.errstate(all="ignore"):
        return Known(np.asarray(function(*arrays)))


def tiled(x: object, times: Sequence[int]) -> Known:
    """Return a known value repeated along its axes, as NumPy's tile."""
    array = known(x)
    room(array.size, *times)
    return Known(np.tile(array, tuple(times)))


def counted(start: float, stop: float, step: float) -> NDArray[Any]:
    """Return the numbers from start to before stop, as NumPy's arange."""
    room((stop - start) / step)
    return np.arange(start, stop, step)


def same(b: Builder, op: str, x: Signal, attributes: Mapping[str, Attribute]) -> Signal:
    """Add a step that keeps shape and place of its input."""
    made = b.emit(op, [x], x.shape, batch=x.batch, attributes=attributes)
    return replace(made, merged=x.merged)


def unary(b: Builder, name: str, x: Value) -> Value:
    """Return an elementwise function of a value."""
    if constant(x):
        return computed(UNARY[name], x)
    if not isinstance(x, Signal):
        raise UnsupportedError("it computes with a large weight")
    return same(b, name, x, {})


def activation(b: Builder, function: str, x: Value, slope: float | None = None) -> Value:
    """Return an activation of a value."""
    if constant(x):
        return computed(ACTIVATIONS[function].function, x)
    if not isinstance(x, Signal):
        raise UnsupportedError("it computes with a large weight")
    attributes: dict[str, Attribute] = {"function": function}
    if slope is not None:
        attributes["slope"] = slope
    return same(b, "activation", x, attributes)


def clip(b: Builder, x: Value, low: float | None, high: float | None) -> Value:
    """Return a value held between two bounds."""
    if constant(x):
        return computed(lambda a: np.clip(a, low, high), x)
    if not isinstance(x, Signal):
        raise UnsupportedError("it computes with a large weight")
    if low == 0.0 and high is None:
        return activation(b, "relu", x)
    if low == 0.0 and high == 6.0:
        return activation(b, "relu6", x)
    if low == -1.0 and high == 1.0:
        return activation(b, "hardtanh", x)
    return same(b, "clip", x, {"low": low, "high": high})


def binary(b: Builder, name: str, x: Value, y: Value) -> Value:
    """Return a sum, difference, product, quotient, power, or the smaller or larger of two."""
    if constant(x, y):
        return computed(BINARY[name], x, y)
    if isinstance(x, Signal) and not isinstance(y, Signal):
        found = _with_constant(b, name, x, y)
        if found is not None:
            return found
    if isinstance(y, Signal) and not isinstance(x, Signal):
        found = _from_constant(b, name, x, y)
        if found is not None:
            return found
    return _both(b, name, x, y)


def number_of(value: Value) -> float | None:
    """Return the one number that a constant holds everywhere, or None."""
    if isinstance(value, Weight):
        return None
    if isinstance(value, Known) and value.array.size:
        first = value.array.flat[0]
        if value.array.size == 1 or (value.array == first).all():
            return float(first)
    return None


def _with_constant(b: Builder, name: str, x: Signal, y: Value) -> Value | None:
    number = number_of(y)
    fits = x.shape is None or isinstance(y, Signal) or _broadcasts(y.shape, x)
    if number is not None and fits:
        if name == "multiply":
            return x if number == 1.0 else same(b, "scale", x, {"factor": number})
        if name == "divide" and number:
            return x if number == 1.0 else same(b, "scale", x, {"factor": 1.0 / number})
        if name in {"add", "subtract"} and number == 0.0:
            return x
        if name == "power":
            return x if number == 1.0 else same(b, "power", x, {"exponent": number})
        if name == "maximum" and number == 0.0:
            return activation(b, "relu", x)
        if name in {"minimum", "maximum"}:
            low, high = (None, number) if name == "minimum" else (number, None)
            return clip(b, x, low, high)
        if name in {"add", "subtract"}:
            shift = number if name == "add" else -number
            rank = 1 if x.shape is None else len(x.known)
            part = b.part("value", Known(np.full((1,) * rank, shift, np.float32)))
            held = b.emit(
                "constant", [b.anchor()], (1,) * rank, batch=x.batch if x.shape else 0,
                parts=[part], attributes={"number": shift, "batch": True},
            )  # fmt: skip
            made = b.emit("add", [x, held], x.shape, batch=x.batch)
            return replace(made, merged=x.merged)
    axis = _along(y, x) if isinstance(y, Weight) and name in {"add", "multiply"} else None
    if axis is not None:
        op = {"add": "bias", "multiply": "scale"}[name]
        attributes: dict[str, Attribute] = {"axis": axis}
        part = b.part("weight", y)
        made = b.emit(op, [x], x.shape, batch=x.batch, parts=[part], attributes=attributes)
        return replace(made, merged=x.merged)
    return None


def _broadcasts(shape: tuple[int, ...], x: Signal) -> bool:
    return len(shape) <= len(x.seen) and all(
        n == 1 or n == m for n, m in zip(shape[::-1], x.seen[::-1], strict=False)
    )


def _along(weight: Weight, x: Signal) -> int | None:
    """Return the axis of a step's output along which a weight has one number for each feature.

    That is the last one or, behind the samples, the first; None for any other weight.
    """
    shape = weight.shape
    if weight.swapped or sum(n != 1 for n in shape) > 1:
        return None
    if x.shape is None:
        return -1
    if not shape or len(shape) > len(x.seen):
        return None
    width, rank = prod(shape), len(x.known)
    if shape[-1] == x.known[-1] == width:
        return x.axis(-1)
    padded = (1,) * (rank - len(shape)) + shape
    second = rank > 2 and x.batch == 0 and not x.merged and padded[1] == x.known[1] == width
    return 1 if second else None


def _from_constant(b: Builder, name: str, x: Value, y: Signal) -> Value | None:
    if name in {"add", "multiply", "minimum", "maximum"}:
        return _with_constant(b, name, y, x)
    number = number_of(x)
    if name == "subtract":
        return binary(b, "add", unary(b, "negative", y), x)
    if name == "divide" and number is not None:
        return binary(b, "multiply", unary(b, "reciprocal", y), x)
    return None


def _both(b: Builder, name: str, x: Value, y: Value) -> Value:
    if isinstance(x, Signal) and isinstance(y, Signal) and x.merged:
        alike = x.merged == y.merged and x.known == y.known and x.batch == y.batch
        if alike:
            made = b.emit(name, [x, y], x.shape, batch=x.batch)
            return replace(made, merged=x.merged)
    x, y = moving.settle(b, x), moving.settle(b, y)
    return spread(b, name, (x, y))


def spread(
    b: Builder, op: str, values: Sequence[Value], attributes: Mapping[str, Attribute] | None = None
) -> Signal:
    """Add a step whose inputs are broadcast against each other, constants among them."""
    signals = [v for v in values if isinstance(v, Signal)]
    if not signals:
        raise UnsupportedError("it computes with a large weight")
    if any(s.shape is None for s in signals):
        if len(signals) < len(values):
            raise UnsupportedError("the shape of its input is not known")
        return b.emit(op, signals, None, attributes=attributes)
    shapes = [v.known if isinstance(v, Signal) else v.shape for v in values]
    try:
        out = np.broadcast_shapes(*shapes)
    except ValueError:
        raise UnsupportedError(f"its inputs have shapes {shapes}") from None
    lead = max(signals, key=lambda s: (s.batch is not None, len(s.known)))
    batch = lead.batch
    if batch == 0 and windows.several(b, lead, out, values):
        parted = [windows.parted(b, v, out) for v in values]
        made = spread(b, op, parted, attributes)
        joined = moving.reshape(b, made, out)
        return signal(joined)
    if batch is not None:
        batch += len(out) - len(lead.known)
        if len(out) != len(lead.known) and batch != 0:
            widened = moving.unsqueeze(b, lead, range(len(out) - len(lead.known)))
            values = [widened if v is lead else v for v in values]
    given = [b.given(v, len(out), batch) for v in values]
    return b.emit(op, given, out, batch=batch, attributes=attributes)
