"""Products of two arrays, and reductions over axes."""

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


def _turned(x: Array, attributes: Attributes, name: str) -> Array:
    return np.swapaxes(x, -1, -2) if attributes.get(name) else x


def _matmul(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    a, b = inputs
    if min(a.ndim, b.ndim) < 2:
        raise OpError(f"it multiplies arrays of shapes {a.shape} and {b.shape}")
    # A matrix that is the same for all samples has one axis more than the rows that meet it.
    left, right = _turned(a, attributes, "transpose_a"), _turned(b, attributes, "transpose_b")
    if right.ndim > left.ndim and prod(right.shape[:-2]) == 1:
        right = right.reshape(right.shape[-2:])
    if left.shape[-1] != right.shape[-2]:
        raise OpError(f"it multiplies {left.shape[-1]} columns with {right.shape[-2]} rows")
    shared = prod(right.shape[:-2]) == 1
    y: Array
    if shared:
        rows = left.reshape(-1, left.shape[-1]) @ right.reshape(right.shape[-2:])
        y = rows.reshape(*left.shape[:-1], right.shape[-1])
    else:
        y = left @ right
    return y, (left, right, shared, a.shape, b.shape, attributes)


def _d_matmul(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    left, right, shared, a, b, attributes = cache
    if shared:
        rows = left.reshape(-1, left.shape[-1])
        d_rows = d_output.reshape(-1, d_output.shape[-1])
        d_right = (rows.T @ d_rows).reshape(right.shape)
    else:
        d_right = narrow(np.swapaxes(left, -1, -2) @ d_output, right.shape)
    d_left = narrow(d_output @ np.swapaxes(right, -1, -2), left.shape)
    d_a, d_b = (
        _turned(d_left, attributes, "transpose_a"),
        _turned(d_right, attributes, "transpose_b"),
    )
    return (d_a.reshape(a), d_b.reshape(b)), {}


def _axes(attributes: Attributes, ndim: int) -> tuple[int, ...]:
    axes = several(attributes, "axes")
    found = tuple(sorted(axis % ndim for axis in axes if -ndim <= axis < ndim))
    if len(found) != len(axes) or 0 in found or len(set(found)) != len(found):
        raise OpError(f"it reduces the axes {axes} of {ndim}, the first of which holds samples")
    return found


def _kept(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _given(y: Array, attributes: Attributes, axes: tuple[int, ...]) -> Array:
    return y if attributes.get("keepdims") else y.squeeze(axes)


def _behind(attributes: Attributes, near: int, given: Shape, output: Shape) -> int:
    axes = _axes(attributes, len(given))
    if len(output) == len(given):
        return near
    if near in axes:
        return len(output) - 1
    return near - sum(axis < near for axis in axes)


def _sum(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    axes = _axes(attributes, x.ndim)
    return _given(x.sum(axes, keepdims=True), attributes, axes), (x.shape, axes, 1)


def _mean(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    axes = _axes(attributes, x.ndim)
    count = prod(x.shape[i] for i in axes)
    return _given(x.mean(axes, keepdims=True), attributes, axes), (x.shape, axes, count)


def _spread(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    shape, axes, count = cache
    share = d_output.reshape(_kept(shape, axes))
    return (np.broadcast_to(share / count if count > 1 else share, shape),), {}


def _max(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    axes = _axes(attributes, x.ndim)
    y = x.max(axes, keepdims=True)
    return _given(y, attributes, axes), (x, y, axes)


def _d_max(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    # As PyTorch's amax, equal largest entries share the gradient.
    x, y, axes = cache
    largest = (x == y).astype(d_output.dtype)
    largest *= d_output.reshape(y.shape) / largest.sum(axes, keepdims=True)
    return (largest,), {}


matmul = Op(_matmul, _d_matmul, "last")
reduce_sum = Op(_sum, _spread, _behind)
reduce_mean = Op(_mean, _spread, _behind)
reduce_max = Op(_max, _d_max, _behind)
