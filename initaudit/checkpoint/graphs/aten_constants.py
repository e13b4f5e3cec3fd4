"""Operators of torch.export that only compute with shapes, indices and masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import arithmetic as math
from initaudit.checkpoint.graphs import selecting
from initaudit.checkpoint.graphs.aten_table import KINDS, listed, operator, shape_of
from initaudit.checkpoint.graphs.calls import Call
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Value,
    integer,
    known,
    room,
    value,
)


@operator("sym_size")
def _size(b: Builder, c: Call) -> Value:
    return Known(np.asarray(shape_of(value(c.get(0)))[integer(c.get(1))], np.int64))


@operator("_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range_for_size",
          "_assert_async")  # fmt: skip
def _nothing(b: Builder, c: Call) -> Any:
    return ()


@operator("arange")
def _arange(b: Builder, c: Call) -> Value:
    start, end, step = (c.named(name) for name in ("start", "end", "step"))
    numbers = [n if n is None else known(n).item() for n in (start, end, step)]
    made = math.counted(numbers[0] or 0, numbers[1] or 0, numbers[2] or 1)
    kind = KINDS.get(c.named("dtype", 0))
    return Known(made if kind is None else made.astype(kind))


_FILLS = {"zeros": 0, "ones": 1, "new_zeros": 0, "new_ones": 1, "zeros_like": 0, "ones_like": 1}


@operator(*_FILLS, "full", "full_like", "new_full", "scalar_tensor", "empty", "new_empty")
def _full(b: Builder, c: Call) -> Value:
    name = c.node.operator.removeprefix("aten.")
    if name == "scalar_tensor":
        return value(c.get(0))
    if name.endswith("_like"):
        size = shape_of(value(c.get(0)))
    else:
        given = c.named("size")
        size = listed(given) if given else ()
    fill = c.named("fill_value", _FILLS.get(name, 0))
    number = known(fill).item() if not isinstance(fill, int | float) else fill
    room(*size)
    made = np.full(size, number)
    kind: Any = KINDS.get(c.named("dtype", 0))
    if kind is None:
        source = c.get(0)
        like = name.startswith("new_") or name.endswith("_like")
        default = np.float32 if made.dtype == np.float64 else made.dtype
        kind = source.array.dtype if like and isinstance(source, Known) else default
    return Known(made.astype(kind))


@operator("tril", "triu")
def _triangle(b: Builder, c: Call) -> Value:
    function = np.tril if "tril" in c.node.operator else np.triu
    k = integer(c.named("diagonal", 0))
    return math.computed(lambda a: function(a, k), value(c.get(0)))


@operator("_weight_norm")
def _weight_norm(b: Builder, c: Call) -> Value:
    """Give g v / |v|, the norm over all axes but one; dim -1 stands for the norm of all."""
    dim = integer(c.named("dim", 0))

    def product(v: Any, g: Any) -> Any:
        others = None if dim == -1 else tuple(i for i in range(v.ndim) if i != dim)
        return g * v / np.sqrt(np.square(v).sum(axis=others, keepdims=True))

    return math.computed(product, value(c.get(0)), value(c.get(1)))


@operator("cumsum")
def _cumsum(b: Builder, c: Call) -> Value:
    axis = integer(c.get(1))
    return math.computed(lambda a: np.cumsum(a, axis), value(c.get(0)))


@operator("diff")
def _diff(b: Builder, c: Call) -> Value:
    axis, front = integer(c.named("dim", -1)), c.named("prepend")
    joined = value(c.get(0))
    if front is not None:
        joined = selecting.concat(b, [value(front), joined], axis)
    return math.computed(lambda a: np.diff(a, integer(c.named("n", 1)), axis), joined)


@operator("gather")
def _gather(b: Builder, c: Call) -> Value:
    axis = integer(c.get(1))
    return math.computed(
        lambda a, i: np.take_along_axis(a, i, axis), value(c.get(0)), value(c.get(2))
    )
