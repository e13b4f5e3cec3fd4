"""Positions of a value by numbers that do not depend on the input."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.graphs import moving
from initaudit.checkpoint.graphs.moving import settle
from initaudit.checkpoint.graphs.selecting import cut, take
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    known,
    room,
    signal,
)

Indices = NDArray[np.int64]


def gather(b: Builder, x: Value, index: Value, axis: int) -> Value:
    """Return positions along an axis by their numbers, as NumPy's take."""
    x = settle(b, x)
    if not isinstance(x, Signal):
        if isinstance(index, Signal):
            raise UnsupportedError("it looks up numbers that depend on the input")
        array = x.array if isinstance(x, Known) else x.known().array
        if isinstance(index, Known):
            room(index.array.size, *array.shape[:axis], *array.shape[axis:][1:])
        return Known(np.take(array, index.array if isinstance(index, Known) else 0, axis))
    if not isinstance(index, Known):
        raise UnsupportedError("what it selects depends on the input")
    axis %= len(x.known)
    extent = x.known[axis]
    numbers = _counted(index.array, extent)
    if numbers.ndim == 0:
        return take(b, x, axis, int(numbers))
    if (
        numbers.ndim == 1
        and numbers.size
        and np.array_equal(numbers, np.arange(numbers[0], numbers[0] + numbers.size))
    ):
        return cut(b, x, axis, int(numbers[0]), int(numbers[-1]) + 1)
    if not numbers.size:
        raise UnsupportedError("it selects nothing")
    if axis == x.batch:
        return _within(b, x, numbers)
    return _places(b, x, numbers, axis)


def _counted(index: NDArray[Any], extent: int) -> Indices:
    """Return places counted from the start.

    Raises:
        UnsupportedError: one is outside.
    """
    numbers = np.where(index < 0, index + extent, index).astype(np.int64)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < extent:
        raise UnsupportedError(f"it selects positions outside of {extent}")
    return numbers


def _places(b: Builder, x: Signal, numbers: Indices, axis: int) -> Signal:
    """Gather along an axis that is not the samples'; those of the places take its stead."""
    shape = x.known
    part = b.part("value", Known(numbers.ravel()))
    places = b.emit("constant", [b.anchor()], (numbers.size,), batch=None, parts=[part])
    out = (*shape[:axis], numbers.size, *shape[axis + 1 :])
    made = b.emit(
        "gather", [x, places], out, batch=x.batch, attributes={"axis": x.axis(axis)}
    )  # fmt: skip
    if numbers.ndim == 1:
        return made
    whole = (*shape[:axis], *numbers.shape, *shape[axis + 1 :])
    batch = x.batch
    if batch is not None and batch > axis:
        batch += numbers.ndim - 1
    rest = Signal(made.step, whole, batch).physical[1:]
    return b.emit("reshape", [made], whole, batch=batch, attributes={"shape": (-1, *rest)})


def _within(b: Builder, x: Signal, numbers: Indices) -> Value:
    """Gather along an axis that holds the samples and, inside of each, several places."""
    each = x.known[0] // b.samples
    if x.batch != 0 or each < 2 or numbers.ndim < 2 or len(numbers) != b.samples:
        raise UnsupportedError("it selects samples")
    first = np.arange(b.samples).reshape(-1, *(1,) * (numbers.ndim - 1)) * each
    inside = numbers - first
    if (inside != inside[:1]).any() or inside.min() < 0 or inside.max() >= each:
        raise UnsupportedError("it selects other places in each sample")
    apart = signal(moving.reshape(b, x, (b.samples, each, *x.known[1:])))
    if np.array_equal(inside[0].ravel(), np.arange(each)):
        return moving.reshape(b, apart, (*numbers.shape, *x.known[1:]))
    return _places(b, apart, inside[0], 1)


def gather_together(b: Builder, x: Value, indices: Sequence[NDArray[Any]], axis: int = 0) -> Value:
    """Return positions by their numbers along several axes that follow each other.

    The indices are broadcast against each other, as NumPy does; their axes stand where the first
    of those axes was.
    """
    x = settle(b, x)
    together = np.broadcast_arrays(*indices)
    if not isinstance(x, Signal):
        array = known(x)
        return Known(array[(slice(None),) * axis + tuple(together)])
    shape, count = x.known, len(together)
    extents, taken = shape[axis : axis + count], range(axis, axis + count)
    if x.batch in taken:
        raise UnsupportedError("it selects samples")
    counted = [_counted(i, n) for i, n in zip(together, extents, strict=True)]
    flat = np.asarray(np.ravel_multi_index(counted, extents), np.int64)
    # The samples go first, so that the axes that are selected from may become one.
    batch = x.batch
    lead = [] if batch is None else [batch]
    others = [i for i in range(len(shape)) if i != batch]
    turned = signal(moving.transpose(b, x, [*lead, *others]))
    at = len(lead) + others.index(axis)
    whole = turned.known
    merged = moving.reshape(b, turned, (*whole[:at], prod(extents), *whole[at + count :]))
    made = gather(b, merged, Known(flat), at)
    if batch is None:
        return made
    place = batch if batch < axis else batch - count + flat.ndim
    rank = len(shape) - count + flat.ndim
    back = list(range(1, rank))
    back.insert(place, 0)
    return moving.transpose(b, made, back)


def argmax(x: Value, axis: int | None, *, keepdims: bool) -> Known:
    """Return where the largest of known numbers is.

    Raises:
        UnsupportedError: the numbers depend on the input, or are all the same, as where the
            end-of-text token is looked for in a text that is not known.
    """
    array = known(x)
    if array.size > 1 and (array == array.flat[0]).all():
        raise UnsupportedError("which position it chooses depends on the tokens that enter")
    return Known(np.asarray(np.argmax(array, axis, keepdims=keepdims)))
