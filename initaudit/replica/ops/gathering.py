"""Entries of an array by index, for each sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    Shape,
    nothing,
    number,
)
from initaudit.special import Array

# ONNX's Gather of one sample: what is gathered from, or the indices, may be one for all samples.


def _forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    x, index = inputs
    axis = number(attributes, "axis", 1)
    if not -x.ndim <= axis < x.ndim or axis % x.ndim == 0:
        raise OpError(f"it gathers along axis {axis} of {x.ndim}, the first of which holds samples")
    axis %= x.ndim
    whole = index.astype(np.int64, copy=False)
    if not np.array_equal(whole, index):
        raise OpError("it gathers by whole numbers, its indices are not")
    count = x.shape[axis]
    if whole.size and not -count <= whole.min() <= whole.max() < count:
        raise OpError(f"it gathers entry {whole.min()} to {whole.max()} of {count}")
    y: Array
    if len(whole) == 1:
        y = np.take(x, whole[0], axis)
    elif len(x) == 1:
        y = np.moveaxis(np.take(x[0], whole, axis - 1), axis - 1, 0)
    else:
        y = np.stack([np.take(one, at, axis - 1) for one, at in zip(x, whole, strict=True)])
    return y, (x.shape, whole, axis)


def _backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    shape, whole, axis = cache
    d_x = np.zeros(shape, d_output.dtype)
    if len(whole) == 1:
        _put(d_x, whole[0], d_output, axis)
    else:
        for n, (at, gradient) in enumerate(zip(whole, d_output, strict=True)):
            _put(d_x[n if shape[0] > 1 else 0], at, gradient, axis - 1)
    return (d_x, nothing(whole.shape, d_output)), {}


def _put(d_x: Array, at: NDArray[np.int64], gradient: Array, axis: int) -> None:
    """Add a gradient to what was taken along an axis."""
    ends = range(axis, axis + at.ndim)
    laid = np.moveaxis(gradient, tuple(ends), tuple(range(at.ndim)))
    np.add.at(np.moveaxis(d_x, axis, 0), at, laid)


def _behind(attributes: Attributes, near: int, given: Shape, output: Shape) -> int:
    axis = number(attributes, "axis", 1) % len(given)
    return near + (len(output) - len(given) if axis < near else 0)


gather = Op(_forward, _backward, _behind, axis=1)
