"""Convolutions over channels-first arrays (N, C, *spatial), as matrix products over columns.

Three maps make both operations: from the input to the output, its adjoint, and the pairing of
input and output that is the kernel's gradient. A transposed convolution is the adjoint.
Inside, kernels are (groups, out / groups, in / groups, *k).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from initaudit.network import Attribute
from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    each,
    need,
    number,
)
from initaudit.replica.ops.windows import Grid, grid
from initaudit.special import Array

_NUMBERS = 1 << 22
"""Numbers of columns held at a time."""


def _chunks(x: Array, g: Grid) -> Iterator[slice]:
    """Yield runs of samples whose columns stay within `_NUMBERS`."""
    step = max(1, _NUMBERS // (x.shape[1] * prod(g.kernel) * g.positions))
    for start in range(0, len(x), step):
        yield slice(start, min(start + step, len(x)))


def _blocks(y: Array, groups: int) -> Array:
    """(N, C, *spatial) as (groups, C / groups, N places)."""
    return np.swapaxes(y, 0, 1).reshape(groups, y.shape[1] // groups, -1)


def _columns(x: Array, groups: int, g: Grid) -> Array:
    """Return what each output place meets: (groups, C / groups x kernel entries, N places)."""
    padded = np.swapaxes(g.padded(x), 0, 1)
    met = np.empty((x.shape[1], *g.kernel, len(x), *g.out), x.dtype)
    for offset in g.offsets():
        entry: tuple[Any, ...] = (slice(None), *offset)
        met[entry] = g.under(padded, offset)
    return met.reshape(groups, -1, len(x) * g.positions)


def _pointwise(groups: int, g: Grid) -> bool:
    """Return whether each place meets itself alone: then the columns are the input as it lies."""
    return groups == 1 and prod(g.kernel) == prod(g.stride) == 1 and g.out == g.sides


def _correlate(x: Array, kernel: Array, g: Grid) -> Array:
    groups, out = kernel.shape[:2]
    rows = kernel.reshape(groups, out, -1)
    if _pointwise(groups, g):
        flat: Array = np.matmul(rows[0], x.reshape(len(x), x.shape[1], -1))
        return flat.reshape(len(x), out, *g.out)
    y = np.empty((len(x), groups * out, *g.out), x.dtype)
    for part in _chunks(x, g):
        flat = rows @ _columns(x[part], groups, g)
        y[part] = np.swapaxes(flat.reshape(groups * out, -1, *g.out), 0, 1)
    return y


def _spread(y: Array, kernel: Array, g: Grid) -> Array:
    """Apply the adjoint of `_correlate` in x."""
    groups, out, channels = kernel.shape[:3]
    columns = np.swapaxes(kernel.reshape(groups, out, -1), 1, 2)
    if _pointwise(groups, g):
        flat: Array = np.matmul(columns[0], y.reshape(len(y), out, -1))
        return flat.reshape(len(y), channels, *g.sides)
    x = g.blank((len(y), groups * channels), y.dtype)
    for part in _chunks(x, g):
        flat = columns @ _blocks(y[part], groups)
        met = flat.reshape(groups * channels, *g.kernel, -1, *g.out)
        padded = np.swapaxes(x[part], 0, 1)
        for offset in g.offsets():
            entry: tuple[Any, ...] = (slice(None), *offset)
            g.under(padded, offset)[...] += met[entry]
    return g.inner(x)


def _pair(x: Array, y: Array, groups: int, g: Grid) -> Array:
    """Return the gradient of <y, _correlate(x, kernel)> in the kernel."""
    channels, out = x.shape[1] // groups, y.shape[1] // groups
    total = np.zeros((groups, out, channels * prod(g.kernel)), x.dtype)
    for part in _chunks(x, g):
        met = np.swapaxes(_columns(x[part], groups, g), 1, 2)
        total += _blocks(y[part], groups) @ met
    return total.reshape(groups, out, channels, *g.kernel)


def _ordered(weight: Array, attributes: Attributes) -> Array:
    """Return a stored kernel as (first, second, *k); Keras stores (*k, second, first)."""
    if weight.ndim < 3:
        raise OpError(f"its weight of shape {weight.shape} has no spatial dimension")
    if attributes.get("layout", "oi") == "oi":
        return weight
    return np.moveaxis(weight, (-1, -2), (0, 1))


def _stored(kernel: Array, attributes: Attributes) -> Array:
    if attributes.get("layout", "oi") == "oi":
        return kernel
    return np.moveaxis(kernel, (0, 1), (-1, -2))


def _grouped(weight: Array, groups: int) -> Array:
    """(out, in / groups, *k) as (groups, out / groups, in / groups, *k)."""
    if groups < 1 or weight.shape[0] % groups:
        raise OpError(f"{weight.shape[0]} channels do not divide into {groups} groups")
    return weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])


def _biased(y: Array, params: Params) -> Array:
    if "bias" not in params:
        return y
    bias = params["bias"]
    if bias.shape != (y.shape[1],):
        raise OpError(f"its bias has shape {bias.shape}, its output {y.shape[1]} channels")
    return y + bias.reshape(-1, *(1,) * (y.ndim - 2))


def _d_bias(d_params: dict[str, Array], d_output: Array, params: Params) -> dict[str, Array]:
    if "bias" in params:
        d_params["bias"] = d_output.sum((0, *range(2, d_output.ndim)))
    return d_params


def _check(x: Array, channels: int) -> None:
    if x.ndim < 3 or x.shape[1] != channels:
        raise OpError(f"its weight reads {channels} channels, its input has shape {x.shape[1:]}")


def _kernel(attributes: Attributes, params: Params) -> Array:
    (weight,) = need(params, "weight")
    return _grouped(_ordered(weight, attributes), number(attributes, "groups", 1))


def _adjoint_kernel(attributes: Attributes, params: Params) -> Array:
    # PyTorch stores (in, out / groups, *k), Flax (*k, in, out).
    (weight,) = need(params, "weight")
    ordered = _ordered(weight, attributes)
    if attributes.get("layout", "oi") != "oi":
        ordered = np.swapaxes(ordered, 0, 1)
    return _grouped(ordered, number(attributes, "groups", 1))


def _forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    kernel = _kernel(attributes, params)
    _check(x, kernel.shape[0] * kernel.shape[2])
    g = grid(attributes, kernel.shape[3:], x.shape[2:])
    y = _biased(_correlate(x, kernel, g), params)
    return y, (x, g, attributes)


def _backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    x, g, attributes = cache
    kernel = _kernel(attributes, params)
    d_kernel = _pair(x, d_output, len(kernel), g).reshape(-1, *kernel.shape[2:])
    d_params = {"weight": _stored(d_kernel, attributes)}
    return (_spread(d_output, kernel, g),), _d_bias(d_params, d_output, params)


def _adjoint_grid(attributes: Attributes, kernel: tuple[int, ...], sides: tuple[int, ...]) -> Grid:
    """Return the grid of the convolution whose adjoint maps ``sides`` to the output."""
    dims = len(kernel)
    if len(sides) != dims:
        raise OpError(f"it reads {dims} spatial dimensions, its input has {len(sides)}")
    stride = each(attributes, "stride", dims, 1)
    dilation = each(attributes, "dilation", dims, 1)
    if attributes.get("padding") == "same":
        out = tuple(n * s for n, s in zip(sides, stride, strict=True))
    else:
        padding = each(_plain(attributes), "padding", dims, 0)
        extra = each(attributes, "output_padding", dims, 0)
        out = tuple(
            (n - 1) * s - 2 * p + d * (k - 1) + e + 1
            for n, s, p, d, k, e in zip(
                sides, stride, padding, dilation, kernel, extra, strict=True
            )
        )
    if min(out) < 1:
        raise OpError(f"its input {sides} is too small for its padding")
    g = grid(attributes, kernel, out)
    if g.out != sides:
        raise OpError(f"its stride and padding do not lead back from {out} to {sides}")
    return g


def _plain(attributes: Attributes) -> dict[str, Attribute]:
    padding = attributes.get("padding")
    return {**attributes, "padding": 0 if padding in {"valid", None} else padding}


def _transposed(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    kernel = _adjoint_kernel(attributes, params)
    _check(x, kernel.shape[0] * kernel.shape[1])
    g = _adjoint_grid(attributes, kernel.shape[3:], x.shape[2:])
    y = _biased(_spread(x, kernel, g), params)
    return y, (x, g, attributes)


def _d_transposed(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    x, g, attributes = cache
    kernel = _adjoint_kernel(attributes, params)
    d_kernel: Array = _pair(d_output, x, len(kernel), g).reshape(-1, *kernel.shape[2:])
    if attributes.get("layout", "oi") != "oi":
        d_kernel = np.swapaxes(d_kernel, 0, 1)
    d_params: dict[str, Any] = {"weight": _stored(d_kernel, attributes)}
    return (_correlate(d_output, kernel, g),), _d_bias(d_params, d_output, params)


conv = Op(_forward, _backward, "first")
conv_transpose = Op(_transposed, _d_transposed, "first")
