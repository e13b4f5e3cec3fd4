"""What takes parts of values, or joins them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs.moving import settle
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    constant,
    known,
    room,
    size,
)
from initaudit.network import Attribute


def cut(b: Builder, x: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
    """Return a run of positions along an axis, counted as in Python."""
    x = settle(b, x)
    shape = x.known if isinstance(x, Signal) else x.shape
    axis %= len(shape)
    extent = shape[axis]
    chosen = range(*slice(start, stop, step).indices(extent))
    if chosen == range(extent):
        return x
    if not isinstance(x, Signal):
        array = x.array if isinstance(x, Known) else x.known().array
        index: tuple[Any, ...] = (slice(None),) * axis + (slice(start, stop, step),)
        return Known(array[index])
    if axis == x.batch:
        raise UnsupportedError("it selects samples")
    if chosen.step < 1:
        raise UnsupportedError(f"it takes {len(chosen)} positions by steps of {chosen.step}")
    out = (*shape[:axis], len(chosen), *shape[axis + 1 :])
    if not chosen:
        # What no rotation leaves over, say: joined to something, it adds nothing.
        return Known(np.zeros(out, np.float32))
    attributes = {"start": chosen.start, "stop": min(chosen.stop, extent), "axis": x.axis(axis)}
    if chosen.step != 1:
        attributes["step"] = chosen.step
    return b.emit("slice", [x], out, batch=x.batch, attributes=attributes)


def take(b: Builder, x: Value, axis: int, index: int) -> Value:
    """Return one position along an axis, which is dropped."""
    x = settle(b, x)
    if not isinstance(x, Signal):
        array = x.array if isinstance(x, Known) else x.known().array
        return Known(np.take(array, index, axis))
    axis %= len(x.known)
    if axis == x.batch:
        raise UnsupportedError("it selects samples")
    out = (*x.known[:axis], *x.known[axis + 1 :])
    batch = x.batch
    if batch is not None and axis < batch:
        batch -= 1
    attributes = {"axis": x.axis(axis), "index": index % x.known[axis]}
    return b.emit("take", [x], out, batch=batch, attributes=attributes)


def concat(b: Builder, values: Sequence[Value], axis: int) -> Value:
    """Return values joined along an axis; a constant among them is repeated for every sample.

    What holds no number adds nothing.
    """
    values = [settle(b, v) for v in values]
    values = [v for v in values if isinstance(v, Signal) or size(v.shape)] or values
    if constant(*values):
        arrays = [known(v) for v in values]
        room(sum(array.size for array in arrays))
        return Known(np.concatenate(arrays, axis))
    signals = [v for v in values if isinstance(v, Signal)]
    first = next((s for s in signals if s.batch is not None), None)
    lead = first or (signals[0] if signals else None)
    if lead is None:
        raise UnsupportedError("it joins large weights")
    if len(values) == 1:
        return values[0]
    rank = len(lead.known)
    axis %= rank
    if axis == lead.batch:
        raise UnsupportedError("it joins samples")
    given = [b.given(v, rank, lead.batch) for v in values]
    if any(len(g.known) != rank for g in given):
        raise UnsupportedError("it joins values of different shapes")
    out = list(lead.known)
    out[axis] = sum(g.known[axis] for g in given)
    return b.emit(
        "concat", given, tuple(out), batch=lead.batch, attributes={"axis": lead.axis(axis)}
    )


def split(b: Builder, x: Value, axis: int, sizes: Sequence[int]) -> tuple[Value, ...]:
    """Return a value in parts of these sizes along an axis."""
    bounds = np.cumsum([0, *sizes])
    return tuple(cut(b, x, axis, int(start), int(stop)) for start, stop in pairwise(bounds))


def pad(b: Builder, x: Value, before: Sequence[int], after: Sequence[int], fill: float) -> Value:
    """Return a value with a border of one number; one extent for each axis."""
    x = settle(b, x)
    if isinstance(x, Known):
        around = list(zip(before, after, strict=True))
        room(*(n + b + a for n, (b, a) in zip(x.shape, around, strict=True)))
        return Known(np.pad(x.array, around, constant_values=fill))
    if not isinstance(x, Signal):
        raise UnsupportedError("it pads a weight")
    if not any(before) and not any(after):
        return x
    if x.batch != 0 or any(before[:2]) or any(after[:2]) or min(*before, *after) < 0:
        raise UnsupportedError("it pads other than the spatial axes")
    out = tuple(n + p + q for n, p, q in zip(x.known, before, after, strict=True))
    attributes: dict[str, Attribute] = {
        "before": tuple(before[2:]),
        "after": tuple(after[2:]),
        "value": fill,
    }
    return b.emit("pad", [x], out, attributes=attributes)
