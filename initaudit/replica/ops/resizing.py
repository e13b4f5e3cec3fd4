"""Images of another size: padding, upsampling, and means over a fixed number of parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    each,
    real,
    several,
)
from initaudit.special import Array


def _pad(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    before, after = several(attributes, "before"), several(attributes, "after")
    if len(before) != len(after) or len(before) >= x.ndim or min((*before, *after)) < 0:
        raise OpError(f"it pads by {before} and {after} an input of shape {x.shape[1:]}")
    around = [(0, 0)] * (x.ndim - len(before)) + list(zip(before, after, strict=True))
    inner: tuple[Any, ...] = (
        ...,
        *(slice(b, b + n) for b, n in zip(before, x.shape[-len(before) :], strict=True)),
    )
    return np.pad(x, around, constant_values=real(attributes, "value", 0.0)), inner


def _d_pad(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (d_output[cache],), {}


def _spatial(x: Array) -> tuple[int, ...]:
    if x.ndim < 3:
        raise OpError(f"it resizes space, its input has shape {x.shape[1:]}")
    return x.shape[2:]


def _mixed(x: Array, mixes: Sequence[Array]) -> Array:
    """Apply a matrix (new, old) along each spatial axis."""
    y = x
    for i, mix in enumerate(mixes):
        y = np.moveaxis(np.moveaxis(y, 2 + i, -1) @ mix.T, -1, 2 + i)
    return y


_LINEAR = frozenset({"linear", "bilinear", "trilinear"})
_CUBIC = frozenset({"cubic", "bicubic"})


def _tent(distance: Array) -> Array:
    left: Array = np.maximum(1.0 - distance, 0.0)
    return left


def _keys(distance: Array) -> Array:
    """Return the kernel of Keys (1981) with a = -3/4, as in PyTorch and by default in ONNX."""
    d, a = distance, -0.75
    near = ((a + 2.0) * d - (a + 3.0)) * d**2 + 1.0
    far = ((d - 5.0) * d + 8.0) * a * d - 4.0 * a
    return np.where(d < 1.0, near, np.where(d < 2.0, far, 0.0))


def _mix(old: int, new: int, mode: str, corners: bool, dtype: DTypeLike) -> Array:  # noqa: FBT001
    """Return the matrix (new, old) of an interpolation, the ends repeated beyond the sides."""
    at = np.arange(new)
    place = at * (old - 1) / max(new - 1, 1) if corners else (at + 0.5) * (old / new) - 0.5
    low = np.floor(place).astype(np.int64)
    mix = np.zeros((new, old))
    for shift in range(-1, 3):
        kernel = _keys if mode in _CUBIC else _tent
        weight = kernel(np.abs(place - (low + shift)))
        np.add.at(mix, (at, np.clip(low + shift, 0, old - 1)), weight)
    return mix.astype(dtype)


def _repeated(x: Array, factors: tuple[int, ...]) -> Array:
    y = x
    for i, factor in enumerate(factors):
        y = np.repeat(y, factor, 2 + i) if factor > 1 else y
    return y


def _upsample(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    sides = _spatial(x)
    factors = each(attributes, "factor", len(sides), 2)
    mode = attributes.get("mode", "nearest")
    if min(factors) < 1:
        raise OpError(f"it upsamples by {factors}")
    if mode == "nearest":
        if "size" in attributes:
            raise OpError("it repeats places by whole factors, not up to a size")
        return _repeated(x, factors), (x.shape, factors, None)
    if not isinstance(mode, str) or mode not in _LINEAR | _CUBIC:
        raise OpError(f"the mode {mode!r} of upsampling is not known")
    corners = bool(attributes.get("align_corners"))
    whole = tuple(n * f for n, f in zip(sides, factors, strict=True))
    sizes = each(attributes, "size", len(sides), 1) if "size" in attributes else whole
    if min(sizes) < 1:
        raise OpError(f"it resizes to {sizes}")
    mixes = [_mix(n, m, mode, corners, x.dtype) for n, m in zip(sides, sizes, strict=True)]
    return _mixed(x, mixes), (x.shape, factors, mixes)


def _d_upsample(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    shape, factors, mixes = cache
    if mixes is not None:
        return (_mixed(d_output, [mix.T for mix in mixes]),), {}
    parts = [n for pair in zip(shape[2:], factors, strict=True) for n in pair]
    copies = tuple(range(3, 3 + 2 * len(factors), 2))
    return (d_output.reshape(*shape[:2], *parts).sum(copies),), {}


def _means(old: int, new: int, dtype: DTypeLike) -> Array:
    """Return the matrix of means over ``new`` parts, which overlap where they do not divide."""
    mix = np.zeros((new, old), dtype)
    for i in range(new):
        low, high = i * old // new, -(-(i + 1) * old // new)
        mix[i, low:high] = 1.0 / (high - low)
    return mix


def _adaptive(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    sides = _spatial(x)
    sizes = each(attributes, "size", len(sides), 1)
    if min(sizes) < 0:
        raise OpError(f"it means over {sizes} parts")
    # PyTorch's None, here 0, keeps a side.
    mixes = [_means(n, m or n, x.dtype) for n, m in zip(sides, sizes, strict=True)]
    return _mixed(x, mixes), mixes


def _d_adaptive(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (_mixed(d_output, [mix.T for mix in cache]),), {}


pad = Op(_pad, _d_pad)
upsample = Op(_upsample, _d_upsample, "first")
adaptive_avg_pool = Op(_adaptive, _d_adaptive, "first")
