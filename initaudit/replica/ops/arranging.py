"""The same numbers in another shape or order."""

from __future__ import annotations

from math import prod

import numpy as np

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    Shape,
    narrow,
    several,
)
from initaudit.special import Array


def _transpose(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    perm = several(attributes, "perm")
    if sorted(perm) != list(range(x.ndim)) or perm[0] != 0:
        raise OpError(f"it orders {x.ndim} axes as {perm}, the first of which holds samples")
    return x.transpose(perm), np.argsort(perm)


def _d_transpose(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (d_output.transpose(cache),), {}


def _followed(attributes: Attributes, near: int, given: Shape, output: Shape) -> int:
    return several(attributes, "perm").index(near)


def _shape(attributes: Attributes, given: Shape, *, last: bool = False) -> list[int]:
    """Return the attribute ``shape`` with the input's extents where it is 0.

    -1 on the axis of the samples keeps them where another extent is to be inferred too.
    ``last`` pairs the extents from the last axis on, as broadcasting does.
    """
    asked = several(attributes, "shape")
    offset = len(given) - len(asked) if last else 0
    filled = [
        given[i + offset] if n == 0 and 0 <= i + offset < len(given) else n
        for i, n in enumerate(asked)
    ]
    if filled and filled[0] == -1 and filled.count(-1) > 1:
        filled[0] = given[0]
    return filled


def _reshape(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    shape = _shape(attributes, x.shape)
    try:
        return x.reshape(shape), x.shape
    except ValueError:
        raise OpError(f"it makes {tuple(shape[1:])} of an input of shape {x.shape[1:]}") from None


def _back(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (d_output.reshape(cache),), {}


def _found(attributes: Attributes, near: int, given: Shape, output: Shape) -> int:
    """Return the axis with as many features and places before it, else that of the same end."""
    for i, n in enumerate(output):
        if i and n == given[near] and prod(output[:i]) == prod(given[:near]):
            return i
    return len(output) - 1 if near == len(given) - 1 else 1


def _expand(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    shape = _shape(attributes, x.shape, last=True)
    extra = len(shape) - x.ndim
    kept = tuple(x.shape[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(shape))
    try:
        full = np.broadcast_shapes(x.shape, kept)
        return np.broadcast_to(x, full), x.shape
    except ValueError:
        raise OpError(f"it expands an input of shape {x.shape[1:]} to {kept[1:]}") from None


def _d_expand(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (narrow(d_output, cache),), {}


def _added(attributes: Attributes, near: int, given: Shape, output: Shape) -> int:
    return near + len(output) - len(given)


def _axes(attributes: Attributes, ndim: int) -> tuple[int, ...]:
    axes = several(attributes, "axes")
    found = tuple(sorted(axis % ndim for axis in axes if -ndim <= axis < ndim))
    if len(found) != len(axes) or 0 in found:
        raise OpError(f"it has the axes {axes} of {ndim}, the first of which holds samples")
    return found


def _squeeze(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    axes = _axes(attributes, x.ndim)
    if any(x.shape[axis] != 1 for axis in axes):
        raise OpError(f"it drops the axes {axes} of an input of shape {x.shape[1:]}")
    return x.squeeze(axes), x.shape


def _squeezed(attributes: Attributes, near: int, given: Shape, output: Shape) -> int:
    axes = _axes(attributes, len(given))
    return len(output) - 1 if near in axes else near - sum(axis < near for axis in axes)


def _unsqueeze(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    axes = _axes(attributes, x.ndim + len(several(attributes, "axes")))
    return np.expand_dims(x, axes), x.shape


def _unsqueezed(attributes: Attributes, near: int, given: Shape, output: Shape) -> int:
    axes = _axes(attributes, len(output))
    return [i for i in range(len(output)) if i not in axes][near]


transpose = Op(_transpose, _d_transpose, _followed)
reshape = Op(_reshape, _back, _found)
expand = Op(_expand, _d_expand, _added)
squeeze = Op(_squeeze, _back, _squeezed)
unsqueeze = Op(_unsqueeze, _back, _unsqueezed)
