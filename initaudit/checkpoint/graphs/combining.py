"""Comparisons, choices, matrix products and reductions of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import moving
from initaudit.checkpoint.graphs.arithmetic import Array, computed, number_of, same, spread
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    constant,
    room,
)
from initaudit.network import Attribute

COMPARE: Mapping[str, Callable[[Array, Array], Array]] = {
    "greater": np.greater, "greater_equal": np.greater_equal, "less": np.less,
    "less_equal": np.less_equal, "equal": np.equal, "not_equal": np.not_equal,
}  # fmt: skip


def compare(b: Builder, name: str, x: Value, y: Value) -> Value:
    """Return a comparison; of signals it is only of use inside a form that is recognised."""
    if constant(x, y):
        return computed(COMPARE[name], x, y)
    number = None if isinstance(y, Signal) else number_of(y)
    if isinstance(x, Signal) and number is not None:
        if name in {"equal", "not_equal"} and _words(b, x):
            b.notes.append(f"no token is {number:.10g}, with which the graph compares them")
            return Known(np.full(x.known, name == "not_equal"))
        return same(b, name, x, {"limit": number})
    return spread(b, name, (x, y))


def _words(b: Builder, x: Signal) -> bool:
    """Return whether a value is tokens as they enter."""
    step = b.steps[x.step]
    while step.op == "reshape":
        step = b.steps[step.inputs[0]]
    return step.op == "input" and "tokens" in step.attributes


def where(b: Builder, condition: Value, x: Value, y: Value) -> Value:
    """Return x where a condition holds and y elsewhere."""
    if constant(condition, x, y):
        return computed(np.where, condition, x, y)
    if isinstance(condition, Known):
        if condition.array.all() and isinstance(x, Signal):
            return x
        if not condition.array.any() and isinstance(y, Signal):
            return y
    values = [moving.settle(b, v) for v in (condition, x, y)]
    return spread(b, "where", values)


def matmul(b: Builder, x: Value, y: Value) -> Value:
    """Return a matrix product of two values that depend on the input, or on large constants."""
    if constant(x, y):
        room(*(x.shape or ())[:-1], *(y.shape or ())[-1:])
        return computed(np.matmul, x, y)
    x, y = moving.settle(b, x), moving.settle(b, y)
    shapes = [v.known if isinstance(v, Signal) else v.shape for v in (x, y)]
    if min(map(len, shapes)) < 2 or shapes[0][-1] != shapes[1][-2]:
        raise UnsupportedError(f"it multiplies matrices of shapes {shapes[0]} and {shapes[1]}")
    lead = next(v for v in (x, y) if isinstance(v, Signal))
    rank = max(map(len, shapes))
    batch = lead.batch
    if batch is not None and batch >= rank - 2:
        raise UnsupportedError("it multiplies samples with each other")
    given = [b.given(v, rank, batch) for v in (x, y)]
    leading = np.broadcast_shapes(*(g.known[:-2] for g in given))
    out = (*leading, shapes[0][-2], shapes[1][-1])
    return b.emit("matmul", given, out, batch=batch)


def reduce(b: Builder, name: str, x: Value, axes: Sequence[int] | None, *, keepdims: bool) -> Value:
    """Return means, sums or maxima over axes; all of them where none are named."""
    if not isinstance(x, Signal):
        along = None if axes is None else tuple(axes)
        functions: dict[str, Callable[..., Any]] = {"mean": np.mean, "sum": np.sum, "max": np.max}
        function = functions[name]
        return computed(lambda a: function(a, axis=along, keepdims=keepdims), x)
    rank = len(x.known)
    over = tuple(range(rank)) if axes is None else tuple(a % rank for a in axes)
    if x.batch in over:
        raise UnsupportedError("it reduces over the samples")
    if not over:
        return x
    out = tuple(1 if i in over else n for i, n in enumerate(x.known) if keepdims or i not in over)
    batch = x.batch
    if batch is not None and not keepdims:
        batch -= sum(a < batch for a in over)
    attributes: dict[str, Attribute] = {
        "axes": tuple(sorted(x.axis(a) for a in over)), "keepdims": keepdims
    }  # fmt: skip
    return b.emit(f"reduce_{name}", [x], out, batch=batch, attributes=attributes)
