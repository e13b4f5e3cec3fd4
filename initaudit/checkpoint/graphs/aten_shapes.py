"""Operators of torch.export that move, select and reduce."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.graphs import arithmetic as math
from initaudit.checkpoint.graphs import combining, gathering, moving, selecting, sequences
from initaudit.checkpoint.graphs.aten_table import listed, operator, shape_of
from initaudit.checkpoint.graphs.calls import Call
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Signal,
    UnsupportedError,
    Value,
    Weight,
    integer,
    known,
    value,
)

Array = NDArray[Any]


@operator("view", "reshape", "_unsafe_view", rows=True)
def _reshape(b: Builder, c: Call) -> Value:
    return moving.reshape(b, value(c.get(0)), listed(c.get(1)))


@operator("flatten")
def _flatten(b: Builder, c: Call) -> Value:
    x = value(c.get(0))
    shape = shape_of(x)
    start, end = (n % len(shape) for n in (c.named("start_dim", 0), c.named("end_dim", -1)))
    if isinstance(x, Signal) and x.batch == 0 and start == 1 and end == len(shape) - 1:
        return b.emit("flatten", [x], (shape[0], prod(shape[1:])))
    return moving.reshape(b, x, (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]))


@operator("unflatten")
def _unflatten(b: Builder, c: Call) -> Value:
    x = value(c.get(0))
    shape, axis = shape_of(x), integer(c.get(1)) % len(shape_of(x))
    sizes = list(listed(c.get(2)))
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape[axis] // -prod(sizes)
    return moving.reshape(b, x, (*shape[:axis], *sizes, *shape[axis + 1 :]))


@operator("permute")
def _permute(b: Builder, c: Call) -> Value:
    return moving.transpose(b, value(c.get(0)), listed(c.get(1)))


@operator("transpose", "t", "mT", "numpy_T")
def _transpose(b: Builder, c: Call) -> Value:
    x = value(c.get(0))
    rank = len(shape_of(x))
    first, second = (0, 1) if len(c.inputs) == 1 else (integer(c.get(1)), integer(c.get(2)))
    order = list(range(rank))
    order[first % rank], order[second % rank] = order[second % rank], order[first % rank]
    return moving.transpose(b, x, order)


@operator("unsqueeze")
def _unsqueeze(b: Builder, c: Call) -> Value:
    return moving.unsqueeze(b, value(c.get(0)), listed(c.get(1)))


@operator("squeeze")
def _squeeze(b: Builder, c: Call) -> Value:
    return moving.squeeze(b, value(c.get(0)), None if c.get(1) is None else listed(c.get(1)))


@operator("expand", "broadcast_to", "expand_as")
def _expand(b: Builder, c: Call) -> Value:
    x, size = value(c.get(0)), c.get(1)
    if "expand_as" in c.node.operator:
        size = shape_of(value(size))
    return moving.expand(b, x, listed(size))


@operator("cat", "concat")
def _cat(b: Builder, c: Call) -> Value:
    return selecting.concat(b, c.get(0), integer(c.named("dim", 0)))


@operator("stack")
def _stack(b: Builder, c: Call) -> Value:
    axis = integer(c.named("dim", 0))
    return selecting.concat(b, [moving.unsqueeze(b, v, (axis,)) for v in c.get(0)], axis)


@operator("slice")
def _slice(b: Builder, c: Call) -> Value:
    start, end = c.named("start"), c.named("end")
    begin = 0 if start is None else integer(start)
    stop = np.iinfo(np.int64).max if end is None else integer(end)
    axis, step = integer(c.named("dim", 0)), integer(c.named("step", 1))
    return selecting.cut(b, value(c.get(0)), axis, begin, int(stop), step)


@operator("narrow")
def _narrow(b: Builder, c: Call) -> Value:
    axis, start, length = (integer(c.get(i)) for i in (1, 2, 3))
    return selecting.cut(b, value(c.get(0)), axis, start, start + length)


@operator("select")
def _select(b: Builder, c: Call) -> Value:
    return selecting.take(b, value(c.get(0)), integer(c.get(1)), integer(c.get(2)))


@operator("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk")
def _split(b: Builder, c: Call) -> Any:
    x, axis = value(c.get(0)), integer(c.named("dim", 0))
    extent, given = shape_of(x)[axis], listed(c.get(1))
    if len(given) > 1 or "with_sizes" in c.node.operator:
        return selecting.split(b, x, axis, given)
    size = -(-extent // given[0]) if "chunk" in c.node.operator else given[0]
    sizes = [min(size, extent - start) for start in range(0, extent, size)]
    return selecting.split(b, x, axis, sizes)


@operator("unbind")
def _unbind(b: Builder, c: Call) -> Any:
    x, axis = value(c.get(0)), integer(c.named("dim", 0))
    return tuple(selecting.take(b, x, axis, i) for i in range(shape_of(x)[axis]))


@operator("repeat", "tile")
def _repeat(b: Builder, c: Call) -> Value:
    x, times = value(c.get(0)), listed(c.get(1))
    shape = (1,) * (len(times) - len(shape_of(x))) + shape_of(x)
    if all(n == 1 or t == 1 for n, t in zip(shape, times, strict=True)):
        return moving.expand(b, x, tuple(n * t for n, t in zip(shape, times, strict=True)))
    return math.tiled(x, times)


@operator("index_select")
def _index_select(b: Builder, c: Call) -> Value:
    return gathering.gather(b, value(c.get(0)), value(c.get(2)), integer(c.get(1)))


@operator("index")
def _index(b: Builder, c: Call) -> Value:
    x, index = value(c.get(0)), c.get(1)
    places = [i for i, v in enumerate(index) if v is not None]
    if places == [0] and isinstance(x, Weight) and len(x.shape) == 2:
        return sequences.embedding(b, x, value(index[0]))
    if len(places) == 1 and isinstance(x, Signal):
        return gathering.gather(b, x, value(index[places[0]]), places[0])
    if isinstance(x, Signal) and x.batch == 0 and places == [0, 1]:
        return _of_each(b, x, known(index[0]), known(index[1]))
    run = list(range(places[0], places[-1] + 1)) if places else []
    if isinstance(x, Signal) and run and places == run:
        return gathering.gather_together(b, x, [known(index[i]) for i in run], places[0])
    full = tuple(slice(None) if v is None else known(v) for v in index)
    return math.computed(lambda a: a[full], x)


def _of_each(b: Builder, x: Signal, samples: Array, at: Array) -> Value:
    """Return one position of each sample, which must be the same one."""
    own = np.array_equal(samples.ravel(), np.arange(b.samples)) and samples.ndim == 1
    if not own or at.ndim > 1 or (at != at.flat[0]).any():
        raise UnsupportedError("it selects other places in each sample")
    return selecting.take(b, x, 1, int(at.flat[0]))


@operator("argmax")
def _argmax(b: Builder, c: Call) -> Value:
    axis = c.named("dim")
    keep = bool(c.named("keepdim", default=False))
    along = None if axis is None else integer(axis)
    return gathering.argmax(value(c.get(0)), along, keepdims=keep)


@operator("roll")
def _roll(b: Builder, c: Call) -> Value:
    x = value(c.get(0))
    for shift, axis in zip(listed(c.get(1)), listed(c.named("dims", ())), strict=True):
        extent = shape_of(x)[axis]
        cut = -shift % extent
        if cut:
            head = selecting.cut(b, x, axis, 0, cut)
            x = selecting.concat(b, [selecting.cut(b, x, axis, cut, extent), head], axis)
    return x


@operator("pad", "constant_pad_nd")
def _pad(b: Builder, c: Call) -> Value:
    x, pads = value(c.get(0)), listed(c.get(1))
    if c.named("mode", "constant") != "constant":
        raise UnsupportedError(f"it pads by {c.named('mode')}")
    rank = len(shape_of(x))
    before, after = [0] * rank, [0] * rank
    for i in range(len(pads) // 2):
        before[rank - 1 - i], after[rank - 1 - i] = pads[2 * i], pads[2 * i + 1]
    return selecting.pad(b, x, before, after, float(c.named("value", 0.0) or 0.0))


@operator("mean", "sum", "amax")
def _reduce(b: Builder, c: Call) -> Value:
    name = {"aten.mean": "mean", "aten.sum": "sum", "aten.amax": "max"}[c.node.operator]
    dims = c.named("dim")
    axes = None if dims is None or dims == () else listed(dims)
    keep = bool(c.named("keepdim", default=False))
    return combining.reduce(b, name, value(c.get(0)), axes, keepdims=keep)


@operator("min", "max")
def _extreme(b: Builder, c: Call) -> Value:
    low = "min" in c.node.operator
    if len(c.inputs) == 2 and not isinstance(c.get(1), int):
        name = "minimum" if low else "maximum"
        return math.binary(b, name, value(c.get(0)), value(c.get(1)))
    return math.computed(np.min if low else np.max, value(c.get(0)))
