"""Rotary position embedding (Su et al. 2021): pairs of features turned by the position."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike

from initaudit.replica.ops.op import Attributes, Cache, Inputs, Op, OpError, Params, number, real
from initaudit.replica.ops.turning import Scaling, scaling_of, speeds
from initaudit.special import Array


@lru_cache(maxsize=8)
def _turns(
    length: int, dims: int, base: float, scaling: Scaling | None, dtype: DTypeLike
) -> tuple[Array, Array]:
    """Return cosine and sine of position x speed, each (length, 1, dims / 2), times a magnitude."""
    angles = np.arange(length)[:, None, None] * speeds(dims, base, length, scaling)
    size = 1.0 if scaling is None else scaling.magnitude
    return (size * np.cos(angles)).astype(dtype), (size * np.sin(angles)).astype(dtype)


def _turned(x: Array, heads: int, dims: int, turns: tuple[Array, Array], pairs: bool) -> Array:  # noqa: FBT001
    cosine, sine = turns
    given = x.reshape(*x.shape[:-1], heads, -1)
    y = np.empty_like(given)
    half = dims // 2
    first = slice(0, dims, 2) if pairs else slice(half)
    second = slice(1, dims, 2) if pairs else slice(half, dims)
    a, b = given[..., first], given[..., second]
    np.multiply(a, cosine, out=y[..., first])
    y[..., first] -= b * sine
    np.multiply(b, cosine, out=y[..., second])
    y[..., second] += a * sine
    y[..., dims:] = given[..., dims:]
    return y.reshape(x.shape)


def _forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    heads = number(attributes, "heads", 1)
    if x.ndim < 3 or heads < 1 or x.shape[-1] % heads:
        raise OpError(f"{x.shape[-1]} features do not divide into {heads} heads")
    width = x.shape[-1] // heads
    dims = width if attributes.get("dims") is None else number(attributes, "dims", width)
    if not 0 < dims <= width or dims % 2:
        raise OpError(f"it turns pairs among {dims} of the {width} features of a head")
    base = real(attributes, "base", 10000.0)
    turns = _turns(x.shape[-2], dims, base, scaling_of(attributes), x.dtype)
    pairs = bool(attributes.get("interleaved"))
    return _turned(x, heads, dims, turns, pairs), (heads, dims, turns, pairs)


def _backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    heads, dims, (cosine, sine), pairs = cache
    return (_turned(d_output, heads, dims, (cosine, -sine), pairs),), {}


rotary = Op(_forward, _backward, "last")
