"""Biases of attention that depend on how far apart two places are: T5's and Swin's."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    need,
    nothing,
    number,
)
from initaudit.special import Array

Index = NDArray[np.int64]


def buckets(rows: int, columns: int, count: int, reach: int, *, both: bool) -> Index:
    """Return T5's bucket of each (query, key) (Raffel et al. 2020).

    Half of a direction's buckets are one position each, the rest grow logarithmically to ``reach``.
    """
    ahead = np.arange(columns)[None, :] - np.arange(rows)[:, None]
    base = np.zeros_like(ahead)
    if both:
        count //= 2
        base = (ahead > 0) * count
    far = np.abs(ahead) if both else np.maximum(-ahead, 0)
    exact = count // 2
    # In float32, as T5 does it: exact powers fall on either side of a bound.
    share = np.log(np.maximum(far, 1).astype(np.float32) / exact) / math.log(reach / exact)
    large = exact + (share * (count - exact)).astype(np.int64)
    found: Index = base + np.where(far < exact, far, np.minimum(large, count - 1))
    return found


def _gathered(weight: Array, index: Index, heads: int) -> Array:
    """Return (1, heads, T, S) of a table (entries, heads)."""
    if weight.ndim != 2 or weight.shape[1] != heads or index.max() >= len(weight):
        raise OpError(f"its table has shape {weight.shape}, not ({index.max() + 1}, {heads})")
    return np.ascontiguousarray(weight.T[None, :, index])


def _relative(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (weight,) = need(params, "weight")
    count = number(attributes, "buckets", len(weight))
    reach = number(attributes, "max_distance", 128)
    both = bool(attributes.get("bidirectional", True))
    if count < (4 if both else 2) or reach <= count // 2:
        raise OpError(f"it has {count} buckets up to a distance of {reach}")
    index = buckets(inputs[0].shape[1], inputs[-1].shape[1], count, reach, both=both)
    y = _gathered(weight, index, number(attributes, "heads", weight.shape[-1]))
    return y, (index, [x.shape for x in inputs])


def _window(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (weight,) = need(params, "weight")
    size = number(attributes, "size", 1)
    if len(weight) != (2 * size - 1) ** 2:
        raise OpError(f"its table has {len(weight)} rows, not those of windows of {size}")
    row, column = np.divmod(np.arange(size * size), size)
    down, across = (at[:, None] - at[None, :] + size - 1 for at in (row, column))
    index = down * (2 * size - 1) + across
    return _gathered(weight, index, weight.shape[-1]), (index, [x.shape for x in inputs])


def _backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    index, shapes = cache
    flat = d_output.reshape(d_output.shape[1], -1)
    entries = len(params["weight"])
    d_weight = np.empty((len(flat), entries), d_output.dtype)
    for head, along in zip(d_weight, flat, strict=True):
        head[...] = np.bincount(index.ravel(), along, entries)
    return tuple(nothing(shape, d_output) for shape in shapes), {"weight": d_weight.T}


relative_bias = Op(_relative, _backward, "first")
window_bias = Op(_window, _backward, "first")
