"""Operators of ONNX that only compute with shapes, indices and masks: values that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import arithmetic
from initaudit.checkpoint.graphs.arithmetic import computed
from initaudit.checkpoint.graphs.calls import Call, Operator
from initaudit.checkpoint.graphs.elementwise import known_only
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    ints,
    known,
    room,
    value,
)

_PLAIN: Mapping[str, Callable[..., Any]] = {
    "And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor, "Not": np.logical_not,
    "Abs": np.abs, "Sign": np.sign, "Floor": np.floor, "Ceil": np.ceil, "Round": np.round,
    "Cos": np.cos, "BitwiseAnd": np.bitwise_and, "BitwiseOr": np.bitwise_or,
    "BitwiseNot": np.invert,
}  # fmt: skip


def _fill(b: Builder, c: Call) -> Value:
    shape = ints(c.get(0)) if known(c.get(0)).size else ()
    value = c.attribute("value")
    number = np.float32(0.0) if value is None else np.asarray(value).reshape(-1)[0]
    room(*shape)
    return Known(np.full(shape, number))


def _range(b: Builder, c: Call) -> Value:
    start, stop, step = (known(value) for value in c.inputs)
    return Known(arithmetic.counted(start.item(), stop.item(), step.item()).astype(start.dtype))


def _tile(b: Builder, c: Call) -> Value:
    return arithmetic.tiled(value(c.get(0)), ints(c.get(1)))


def _cumulative(b: Builder, c: Call) -> Value:
    if c.attribute("exclusive", 0) or c.attribute("reverse", 0):
        raise UnsupportedError("it sums backwards or without the last term")
    return computed(lambda x, axis: np.cumsum(x, int(axis)), c.get(0), c.get(1))


def _mod(b: Builder, c: Call) -> Value:
    function = np.fmod if c.attribute("fmod", 0) else np.mod
    return computed(function, c.get(0), c.get(1))


def _triangle(b: Builder, c: Call) -> Value:
    k = 0 if c.get(1) is None else int(known(c.get(1)))
    function = np.triu if c.attribute("upper", 1) else np.tril
    return computed(lambda x: function(x, k), c.get(0))


def _gather_nd(b: Builder, c: Call) -> Value:
    def gathered(x: Any, index: Any) -> Any:
        return x[tuple(np.moveaxis(index, -1, 0))]

    return computed(gathered, c.get(0), c.get(1))


def _gather_elements(b: Builder, c: Call) -> Value:
    axis = c.attribute("axis", 0)

    def gathered(x: Any, index: Any) -> Any:
        return np.take_along_axis(x, np.where(index < 0, index + x.shape[axis], index), axis)

    return computed(gathered, c.get(0), c.get(1))


def _scatter_nd(b: Builder, c: Call) -> Value:
    def scattered(x: Any, index: Any, values: Any) -> Any:
        y = x.copy()
        y[tuple(np.moveaxis(index, -1, 0))] = values
        return y

    return computed(scattered, *c.inputs)


def _eye(b: Builder, c: Call) -> Value:
    shape = known(c.get(0)).shape
    return Known(np.eye(shape[0], shape[1], c.attribute("k", 0), dtype=np.float32))


def _size(b: Builder, c: Call) -> Value:
    x = c.get(0)
    shape = x.known if isinstance(x, Signal) else x.shape
    return Known(np.asarray(np.prod(shape), np.int64))


def _one_hot(b: Builder, c: Call) -> Value:
    def made(index: Any, depth: Any, values: Any) -> Any:
        room(index.size, depth.item())
        hot = index[..., None] % depth.item() == np.arange(depth.item())
        return np.where(hot, values[1], values[0])

    return computed(made, *c.inputs)


def _nonzero(b: Builder, c: Call) -> Value:
    return computed(lambda x: np.asarray(np.nonzero(x)), c.get(0))


def _reduced(function: Callable[..., Any]) -> Callable[[Builder, Call], Value]:
    def run(b: Builder, c: Call) -> Value:
        axes = ints(c.get(1)) if c.get(1) is not None else c.attribute("axes")
        keep = bool(c.attribute("keepdims", 1))
        return computed(
            lambda x: function(x, axis=None if axes is None else tuple(axes), keepdims=keep),
            c.get(0),
        )

    return run


CONSTANTS: Mapping[str, Operator] = {
    **{name: known_only(function) for name, function in _PLAIN.items()},
    "Tile": Operator(_tile),
    "ConstantOfShape": Operator(_fill),
    "Range": Operator(_range),
    "CumSum": Operator(_cumulative),
    "Mod": Operator(_mod),
    "Trilu": Operator(_triangle),
    "GatherND": Operator(_gather_nd),
    "GatherElements": Operator(_gather_elements),
    "ScatterND": Operator(_scatter_nd),
    "EyeLike": Operator(_eye),
    "Size": Operator(_size),
    "OneHot": Operator(_one_hot),
    "NonZero": Operator(_nonzero),
    "ReduceMin": Operator(_reduced(np.min)),
    "ReduceProd": Operator(_reduced(np.prod)),
}
