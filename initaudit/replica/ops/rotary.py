"""Rotary position embedding (Su et al. 2021): pairs of features turned by the position."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike

from initaudit.replica.ops.op import Attributes, Cache, Inputs, Op, OpError, Params, number, real
from initaudit.special import Array

Scaling = tuple[str, float, float, float, float]


def _speeds(dims: int, base: float, scaling: Scaling | None) -> Array:
    """Return base^(-2 i / dims), scaled to longer sequences than a model was trained on.

    ``linear`` divides all by the factor; ``llama3`` (Llama 3.1) those that take more than
    original / low positions for a turn, none that take fewer than original / high, and blends
    between.
    """
    speeds: Array = base ** (-np.arange(0, dims, 2) / dims)
    if scaling is None:
        return speeds
    kind, factor, low, high, original = scaling
    if kind == "linear":
        return speeds / factor
    turns = original * speeds / (2.0 * np.pi)
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0) if high != low else turns > low
    return speeds * (kept + (1.0 - kept) / factor)


@lru_cache(maxsize=8)
def _turns(
    length: int, dims: int, base: float, scaling: Scaling | None, dtype: DTypeLike
) -> tuple[Array, Array]:
    """Return cosine and sine of position x speed, each (length, 1, dims / 2)."""
    speeds = _speeds(dims, base, scaling)
    angles = np.arange(length)[:, None, None] * speeds
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


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


def _scaling(attributes: Attributes) -> Scaling | None:
    kind = attributes.get("scaling")
    if kind is None:
        return None
    if kind not in {"linear", "llama3"}:
        raise OpError(f"the scaling {kind} of rotary positions is not known")
    factor, low, high, original = (
        real(attributes, name, 1.0) for name in ("factor", "low", "high", "original")
    )
    return str(kind), factor, low, high, original


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
    turns = _turns(x.shape[-2], dims, base, _scaling(attributes), x.dtype)
    pairs = bool(attributes.get("interleaved"))
    return _turned(x, heads, dims, turns, pairs), (heads, dims, turns, pairs)


def _backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    heads, dims, (cosine, sine), pairs = cache
    return (_turned(d_output, heads, dims, (cosine, -sine), pairs),), {}


rotary = Op(_forward, _backward, "last")
