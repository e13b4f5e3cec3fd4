"""Arithmetic on each element, with NumPy's broadcasting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    narrow,
    real,
)
from initaudit.special import Array, erf, erf_slope

Function = Callable[[Array], Array]
Slope = Callable[[Array, Array], Array]
Pair = Callable[[Array, Array], Array]
Pulled = Callable[[Array, Array, Array], tuple[Array, Array]]


def _one(function: Function, slope: Slope) -> Op:
    """Return an operation of one input; its slope is taken from the input and the output."""

    def forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
        (x,) = inputs
        y = function(x)
        return y, (x, y)

    def backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
        return (d_output * slope(*cache),), {}

    return Op(forward, backward)


def _two(function: Pair, pulled: Pulled) -> Op:
    """Return an operation of two inputs; ``pulled`` gives both gradients before narrowing."""

    def forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
        a, b = inputs
        met(a, b)
        return function(a, b), (a, b)

    def backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
        a, b = cache
        d_a, d_b = pulled(a, b, d_output)
        return (narrow(d_a, a.shape), narrow(d_b, b.shape)), {}

    return Op(forward, backward)


def met(*inputs: Array) -> tuple[int, ...]:
    """Return the shape that arrays broadcast to; OpError where they do not."""
    try:
        return np.broadcast_shapes(*(x.shape for x in inputs))
    except ValueError:
        shapes = " and ".join(str(x.shape[1:]) for x in inputs)
        raise OpError(f"its inputs have shapes {shapes}") from None


def _d_divide(a: Array, b: Array, d: Array) -> tuple[Array, Array]:
    share = d / b
    return share, -share * (a / b)


def _d_extreme(better: Callable[[Array, Array], NDArray[np.bool_]]) -> Pulled:
    # As PyTorch does it, each of two equal inputs takes half of the gradient.
    def pulled(a: Array, b: Array, d: Array) -> tuple[Array, Array]:
        share = better(a, b).astype(d.dtype) * 0.5 + (1.0 - better(b, a).astype(d.dtype)) * 0.5
        first = d * share
        return first, d - first

    return pulled


def _power(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    exponent = real(attributes, "exponent", 2.0)
    return _raised(x, exponent), (x, exponent)


def _raised(x: Array, exponent: float) -> Array:
    if exponent == 2.0:
        return x * x
    if exponent == 3.0:
        return x * x * x
    value: Array = x**exponent
    return value


def _d_power(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    x, exponent = cache
    if exponent == 0.0:
        return (np.zeros_like(d_output),), {}
    return (d_output * _raised(x, exponent - 1.0) * exponent,), {}


def _clip(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    low, high = real(attributes, "low", -np.inf), real(attributes, "high", np.inf)
    return np.clip(x, low, high), (x >= low) & (x <= high)


def _d_clip(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (d_output * cache,), {}


def _where(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    condition, a, b = inputs
    met(*inputs)
    chosen = condition != 0
    return np.where(chosen, a, b), (chosen, condition.shape, a.shape, b.shape)


def _d_where(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    chosen, condition, a, b = cache
    first = d_output * chosen
    unmoved = np.zeros(condition, d_output.dtype)
    return (unmoved, narrow(first, a), narrow(d_output - first, b)), {}


def _minus(x: Array, y: Array) -> Array:
    return np.full_like(x, -1.0)


subtract = _two(np.subtract, lambda a, b, d: (d, -d))
divide = _two(np.divide, _d_divide)
minimum = _two(np.minimum, _d_extreme(np.less))
maximum = _two(np.maximum, _d_extreme(np.greater))
power = Op(_power, _d_power)
clip = Op(_clip, _d_clip)
where = Op(_where, _d_where, "last")
sqrt = _one(np.sqrt, lambda x, y: 0.5 / y)
exp = _one(np.exp, lambda x, y: y)
log = _one(np.log, lambda x, y: 1.0 / x)
negative = _one(np.negative, _minus)
reciprocal = _one(lambda x: 1.0 / x, lambda x, y: -y * y)
erf_ = _one(erf, lambda x, y: erf_slope(x))
