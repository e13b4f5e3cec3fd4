"""Shapes and orders of axes: what moves numbers without changing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    Weight,
    constant,
    room,
)

Shape = tuple[int, ...]


def settle(b: Builder, x: Value) -> Value:
    """Return a value whose step gives it as the graph sees it."""
    if not isinstance(x, Signal) or not x.merged:
        return x
    if x.batch not in {0, None}:
        raise UnsupportedError("it merges the samples with another axis")
    seen = x.seen
    if x.batch is None:
        return _laid(b, replace(x, merged=0), seen, None)
    return _laid(b, replace(x, merged=0), seen, 0)


def _laid(b: Builder, x: Signal, shape: Shape, batch: int | None) -> Signal:
    """Return the same numbers under another shape, where their order in the step is the same."""
    made = Signal(x.step, shape, batch)
    if made.physical == x.physical:
        return made
    rest = made.physical[1:]
    return b.emit("reshape", [x], shape, batch=batch, attributes={"shape": (-1, *rest)})


def reshape(b: Builder, x: Value, shape: Sequence[int]) -> Value:
    """Return a value in another shape, one extent of which may be -1."""
    if isinstance(x, Signal):
        full = _resolved(tuple(shape), prod(x.known))
        return _reshaped(b, x, full)
    full = _resolved(tuple(shape), prod(x.shape))
    if isinstance(x, Weight) and (not constant(x) or not x.swapped):
        return x.viewed(full)
    array = x.array if isinstance(x, Known) else x.known().array
    return Known(array.reshape(full))


def _resolved(shape: Shape, total: int) -> Shape:
    if -1 in shape:
        rest = prod(n for n in shape if n != -1)
        shape = tuple(total // rest if n == -1 and rest else n for n in shape)
    if prod(shape) != total:
        raise UnsupportedError(f"it gives {total} numbers the shape {shape}")
    return shape


def _reshaped(b: Builder, x: Signal, shape: Shape) -> Value:
    old = x.known
    if shape == x.seen:
        return x
    if shape == old:
        return replace(x, merged=0)
    if x.batch is None:
        return _laid(b, replace(x, merged=0), shape, None)
    lead = _merged(old, shape)
    if lead > max(x.batch, 1) and shape[1:]:
        apart = _reshaped(b, replace(x, merged=0), (*old[:lead], *shape[1:]))
        if isinstance(apart, Signal):
            return replace(apart, merged=lead)
    x = replace(x, merged=0)
    if x.batch == 0:
        per_sample = prod(old) // b.samples
        if not prod(shape[1:]) or per_sample % prod(shape[1:]):
            raise UnsupportedError("it merges the samples with another axis")
        return _laid(b, x, shape, 0)
    return _around(b, x, shape)


def _merged(old: Shape, shape: Shape) -> int:
    """Return how many axes of ``old`` the first one of ``shape`` holds together; 0 for one."""
    total = 1
    for i, n in enumerate(old):
        total *= n
        if total == shape[0]:
            return i + 1 if i else 0
        if total > shape[0]:
            break
    return 0


def _around(b: Builder, x: Signal, shape: Shape) -> Value:
    """Reshape what has its samples on an inner axis: heads join them there or leave them."""
    at, old = x.batch or 0, x.known
    pre, rest = shape[:at], shape[at + 1 :]
    if pre != old[:at] or len(shape) <= at:
        raise UnsupportedError("it merges the samples with another axis")
    if shape[at] == old[at]:
        return _laid(b, x, shape, at)
    if shape[at] % old[at] == 0:
        heads = shape[at] // old[at]
        apart = b.emit("reshape", [x], None, attributes={"shape": (-1, *pre, heads, *rest)})
        b.steps[apart.step].shape = (old[at], *pre, heads, *rest)
        order = (0, at + 1, *range(1, at + 1), *range(at + 2, at + 2 + len(rest)))
        turned = b.emit("transpose", [apart], None, attributes={"perm": order})
        b.steps[turned.step].shape = (old[at], heads, *pre, *rest)
        return b.emit("reshape", [turned], shape, batch=at, attributes={"shape": (-1, *pre, *rest)})
    if old[at] % shape[at] == 0:
        heads, post = old[at] // shape[at], old[at + 1 :]
        apart = b.emit("reshape", [x], None, attributes={"shape": (-1, heads, *pre, *post)})
        b.steps[apart.step].shape = (shape[at], heads, *pre, *post)
        order = (0, *range(2, at + 2), 1, *range(at + 2, at + 2 + len(post)))
        turned = b.emit("transpose", [apart], None, attributes={"perm": order})
        b.steps[turned.step].shape = (shape[at], *pre, heads, *post)
        return b.emit("reshape", [turned], shape, batch=at, attributes={"shape": (-1, *pre, *rest)})
    raise UnsupportedError("it merges the samples with another axis")


def transpose(b: Builder, x: Value, perm: Sequence[int]) -> Value:
    """Return a value with its axes in another order."""
    x = settle(b, x)
    order = tuple(int(p) % max(len(perm), 1) for p in perm)
    if isinstance(x, Known):
        return Known(x.array.transpose(order))
    if isinstance(x, Weight):
        if order == tuple(range(len(order))):
            return x
        if order == (1, 0) and x.shape in {x.stored.shape, x.stored.shape[::-1]}:
            return replace(x, shape=x.shape[::-1], swapped=not x.swapped)
        return Known(x.known().array.transpose(order))
    shape = tuple(x.known[p] for p in order)
    batch = None if x.batch is None else order.index(x.batch)
    near = [i for i in range(len(order)) if i != batch]
    first = 0 if batch is None else x.axis(order[batch])
    moved = (first, *(x.axis(order[i]) for i in near))
    if moved == tuple(range(len(moved))):
        return Signal(x.step, shape, batch)
    return b.emit("transpose", [x], shape, batch=batch, attributes={"perm": moved})


def unsqueeze(b: Builder, x: Value, axes: Sequence[int]) -> Value:
    """Return a value with axes of one element put in."""
    x = settle(b, x)
    if not isinstance(x, Signal):
        rank = len(x.shape) + len(axes)
        full = list(x.shape)
        for axis in sorted(a % rank for a in axes):
            full.insert(axis, 1)
        return reshape(b, x, full)
    rank = len(x.known) + len(axes)
    placed = sorted(a % rank for a in axes)
    shape, batch = list(x.known), x.batch
    for axis in placed:
        shape.insert(axis, 1)
        if batch is not None and axis <= batch:
            batch += 1
    return _laid(b, x, tuple(shape), batch)


def squeeze(b: Builder, x: Value, axes: Sequence[int] | None) -> Value:
    """Return a value without axes of one element: those given, or all but that of the samples."""
    x = settle(b, x)
    shape = x.known if isinstance(x, Signal) else x.shape
    batch = x.batch if isinstance(x, Signal) else None
    if axes is None:
        gone = {i for i, n in enumerate(shape) if n == 1 and i != batch}
    else:
        gone = {a % len(shape) for a in axes if shape[a] == 1}
    left = tuple(n for i, n in enumerate(shape) if i not in gone)
    if not isinstance(x, Signal) or batch in gone:
        return reshape(b, x, left)
    near = None if batch is None else batch - sum(a < batch for a in gone)
    return _laid(b, x, left, near)


def expand(b: Builder, x: Value, shape: Sequence[int]) -> Value:
    """Return a value repeated along axes of one element; -1 keeps an extent."""
    x = settle(b, x)
    old = x.known if isinstance(x, Signal) else x.shape
    padded = (1,) * (len(shape) - len(old)) + old
    ends = padded[len(padded) - len(shape) :]
    wanted = tuple(n if n != -1 else m for n, m in zip(shape, ends, strict=True))
    full = np.broadcast_shapes(old, wanted)
    if full == old:
        return x
    if isinstance(x, Known):
        room(*full)
        return Known(np.broadcast_to(x.array, full))
    if isinstance(x, Weight):
        # Kept as it is: it is repeated where it meets something of that shape.
        repeats = [i for i, (n, m) in enumerate(zip(full, padded, strict=True)) if n != m]
        if repeats == [0]:
            return x.viewed(padded)
        room(*full)
        return Known(np.broadcast_to(x.known().array, full))
    if len(full) > len(old):
        x_ = unsqueeze(b, x, range(len(full) - len(old)))
        assert isinstance(x_, Signal)  # noqa: S101
        x, old = x_, x_.known
    batch = x.batch
    inner = tuple(n for i, n in enumerate(full) if i != batch)
    if batch is None or inner == tuple(n for i, n in enumerate(old) if i != batch):
        if batch is None and full[1:] == old[1:] and full[0] == b.samples:
            return _laid(b, x, full, 0) if x.physical[1:] == full[1:] else _laid(b, x, old, None)
        if batch is not None:
            return Signal(x.step, full, batch)
    return b.emit("expand", [x], full, batch=batch, attributes={"shape": (-1, *inner)})
