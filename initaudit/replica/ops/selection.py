"""Parts of an array along one axis: runs of features, single positions, rows by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    Shape,
    number,
)
from initaudit.special import Array


def _axis(attributes: Attributes, default: int, ndim: int) -> int:
    """Return an axis that is not the samples'."""
    axis = number(attributes, "axis", default)
    if not -ndim <= axis < ndim or axis % ndim == 0:
        raise OpError(f"it selects along axis {axis} of {ndim}, the first of which holds samples")
    return axis % ndim


def _optional(attributes: Attributes, name: str) -> int | None:
    return None if attributes.get(name) is None else number(attributes, name, 0)


def _slice(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    axis = _axis(attributes, -1, x.ndim)
    groups, width = number(attributes, "groups", 1), x.shape[axis]
    if groups < 1 or width % groups:
        raise OpError(f"{width} features do not divide into {groups} groups")
    cut = slice(_optional(attributes, "start"), _optional(attributes, "stop"),
                number(attributes, "step", 1))  # fmt: skip
    if cut.step < 1:
        raise OpError(f"it steps by {cut.step}")
    if (cut.stop or 0) > width // groups or not len(range(*cut.indices(width // groups))):
        raise OpError(f"it takes {cut.start or 0} to {cut.stop} of {width // groups} features")
    viewed = (*x.shape[:axis], groups, width // groups, *x.shape[axis + 1 :])
    index: tuple[Any, ...] = (slice(None),) * (axis + 1) + (cut,)
    taken = x.reshape(viewed)[index]
    y = taken.reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])
    return y, (x.shape, viewed, index, taken.shape)


def _d_slice(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    shape, viewed, index, taken = cache
    d_x = np.zeros(viewed, d_output.dtype)
    d_x[index] = d_output.reshape(taken)
    return (d_x.reshape(shape),), {}


def _take(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    axis, index = _axis(attributes, 1, x.ndim), number(attributes, "index", 0)
    if not -x.shape[axis] <= index < x.shape[axis]:
        raise OpError(f"it takes position {index} of {x.shape[axis]}")
    at: tuple[Any, ...] = (slice(None),) * axis + (index,)
    return x[at], (x.shape, at)


def _d_take(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    shape, at = cache
    d_x = np.zeros(shape, d_output.dtype)
    d_x[at] = d_output
    return (d_x,), {}


def _behind(attributes: Attributes, near: int, given: Shape, output: Shape) -> int:
    axis = number(attributes, "axis", 1) % len(given)
    if near == axis:
        return len(output) - 1
    return near - (axis < near)


slice_ = Op(_slice, _d_slice, axis=-1)
take = Op(_take, _d_take, _behind, axis=1)
