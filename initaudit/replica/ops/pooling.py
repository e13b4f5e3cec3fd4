"""Pools over channels-first arrays (N, C, *spatial), and the mean over all places."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from initaudit.replica.ops.op import Attributes, Cache, Inputs, Op, OpError, Params, axis, each
from initaudit.replica.ops.windows import Grid, grid
from initaudit.special import Array


def _grid(attributes: Attributes, x: Array) -> Grid:
    dims = x.ndim - 2
    if dims < 1:
        raise OpError(f"it pools over space, its input has shape {x.shape[1:]}")
    kernel = each(attributes, "kernel", dims, 2)
    return grid(attributes, kernel, x.shape[2:], default_stride=kernel)


def _max(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    g = _grid(attributes, x)
    padded = g.padded(x, -math.inf)
    y = np.full((*x.shape[:2], *g.out), -math.inf, x.dtype)
    winner = np.zeros(y.shape, np.int32)
    for i, offset in enumerate(g.offsets()):
        met = g.under(padded, offset)
        better = met > y
        y = np.where(better, met, y)
        winner[better] = i
    return y, (x.shape, g, winner)


def _d_max(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    shape, g, winner = cache
    d_x = g.blank(shape[:2], d_output.dtype)
    for i, offset in enumerate(g.offsets()):
        g.under(d_x, offset)[...] += np.where(winner == i, d_output, 0.0)
    return (g.inner(d_x),), {}


def _counts(attributes: Attributes, g: Grid, dtype: DTypeLike) -> Array:
    """Return what each sum is divided by: padding counts, as in PyTorch, but not "same" padding.

    Keras, whose word "same" is, leaves it out.
    """
    padded = g.padded(np.ones(g.sides, dtype))
    if attributes.get("padding") != "same" and attributes.get("count_include_pad", True):
        return np.full(g.out, float(math.prod(g.kernel)), dtype)
    total = np.zeros(g.out, dtype)
    for offset in g.offsets():
        total += g.under(padded, offset)
    return total


def _average(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    g = _grid(attributes, x)
    padded, counts = g.padded(x), _counts(attributes, g, x.dtype)
    y = np.zeros((*x.shape[:2], *g.out), x.dtype)
    for offset in g.offsets():
        y += g.under(padded, offset)
    return y / counts, (x.shape, g, counts)


def _d_average(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    shape, g, counts = cache
    d_x, share = g.blank(shape[:2], d_output.dtype), d_output / counts
    for offset in g.offsets():
        g.under(d_x, offset)[...] += share
    return (g.inner(d_x),), {}


def _mean(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    kept = axis(attributes, x.ndim)
    places = tuple(i for i in range(1, x.ndim) if i != kept)
    if not places:
        return x, (x.shape, (), x.shape)
    y = x.mean(places, keepdims=True)
    flat = y if attributes.get("keepdims") else y.reshape(len(x), x.shape[kept])
    return flat, (x.shape, places, y.shape)


def _d_mean(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    shape, places, met = cache
    count = math.prod(shape[i] for i in places)
    return (np.broadcast_to(d_output.reshape(met) / count, shape),), {}


max_pool = Op(_max, _d_max)
avg_pool = Op(_average, _d_average)
global_avg_pool = Op(_mean, _d_mean)
