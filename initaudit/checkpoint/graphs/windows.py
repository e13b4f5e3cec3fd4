"""Windows of a sample that the graph keeps on the samples' axis, as shifted-window attention does.

What meets them may differ between the windows of a sample, but not between samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from initaudit.checkpoint.graphs import moving
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    Weight,
    constant,
    known,
    signal,
)

Shape = tuple[int, ...]

_ELEMENTWISE = frozenset({"add", "subtract", "multiply", "divide"})


def count(b: Builder, x: Signal) -> int:
    """Return how many windows of each sample lie on the samples' axis."""
    return x.known[0] // b.samples if x.batch == 0 else 1


def several(b: Builder, lead: Signal, out: Shape, values: Sequence[Value]) -> bool:
    """Return whether something meets windows that differs between them."""
    if count(b, lead) < 2 or len(lead.known) != len(out) or lead.known[0] != out[0]:
        return False
    return any(_differs(v, out) for v in values)


def _differs(value: Value, out: Shape) -> bool:
    if isinstance(value, Signal):
        shape = value.known
        return value.batch is None and len(shape) == len(out) and shape[0] == out[0]
    if len(value.shape) != len(out) or value.shape[0] != out[0] or not constant(value):
        return False
    array = known(value)
    return not np.array_equal(np.broadcast_to(array[:1], array.shape), array)


def parted(b: Builder, value: Value, out: Shape) -> Value:
    """Return a value with an axis of its own for the windows.

    Raises:
        UnsupportedError: it differs between samples.
    """
    windows = out[0] // b.samples
    if not isinstance(value, Signal):
        return _known(b, value, out, windows)
    shape = value.known
    if len(shape) != len(out) or shape[0] == 1:
        return value
    if value.batch == 0:
        return moving.reshape(b, value, (b.samples, windows, *shape[1:]))
    if value.batch is not None or not _alike(b, value.step, out[0], windows):
        raise UnsupportedError("it meets a constant that differs between samples")
    attributes = {"start": 0, "stop": windows, "axis": 1}
    return b.emit("slice", [value], (windows, *shape[1:]), batch=None, attributes=attributes)


def _known(b: Builder, value: Known | Weight, out: Shape, windows: int) -> Value:
    if len(value.shape) != len(out) or value.shape[0] == 1:
        return value
    apart = known(value).reshape(b.samples, windows, *value.shape[1:])
    if not np.array_equal(np.broadcast_to(apart[:1], apart.shape), apart):
        raise UnsupportedError("it meets a constant that differs between samples")
    return Known(apart[0])


def _alike(b: Builder, number: int, total: int, windows: int) -> bool:
    """Return whether the constants behind a step are the same for every sample."""
    step = b.steps[number]
    if step.op == "constant":
        part = step.part("value")
        array = None if part is None else b.computed.get(part.key)
        if array is None:
            return all(total not in part.shape for part in step.parts)
        if not array.ndim or array.shape[0] != total:
            return total not in array.shape
        apart = array.reshape(-1, windows, *array.shape[1:])
        return np.array_equal(np.broadcast_to(apart[:1], apart.shape), apart)
    met = step.inputs
    if step.op in _ELEMENTWISE and step.shape is not None:
        # What has one entry along the windows' axis is the same for all of them.
        rank = len(step.shape)
        shapes = {i: b.steps[i].shape or () for i in met}
        met = [i for i in met if len(shapes[i]) != rank or shapes[i][1] != 1]
    return all(_alike(b, i, total, windows) for i in met)


def attended(b: Builder, x: Signal) -> Signal:
    """Return (N windows, heads, T, width) as (N, windows, T, heads x width)."""
    n, heads, length, width = x.known
    turned = moving.transpose(b, x, (0, 2, 1, 3))
    shape = (b.samples, n // b.samples, length, heads * width)
    return signal(moving.reshape(b, turned, shape))
