"""Elementwise functions and their derivatives, vectorised, for floating arrays of any shape.

None of them warns or overflows for finite input, `exp` and `relu2` apart.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

# Coefficients of W. J. Cody, "Rational Chebyshev approximations for the error function",
# Math. Comp. 23 (1969), highest power first: erf on |x| <= 0.5, erfc on (0.5, 4] and beyond.
_SMALL = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2,
     3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
     2.84423683343917062e3),
)  # fmt: skip
_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0,
     6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2,
     1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
     1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3,
     3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
_ERF_IS_ONE = 6.0
_MIDDLE_BOUND = 0.5
_SQRT_HALF = math.sqrt(0.5)
_ERF_SLOPE = 2.0 / math.sqrt(math.pi)
_NORMAL_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


def erf(x: Array) -> Array:
    """Return the error function, in float64 within 1e-15 of the exact value, else within 5e-7."""
    if x.dtype == np.float32:
        return _erf_single(x)
    size = np.minimum(np.abs(x), _ERF_IS_ONE)
    square = size * size
    near = np.minimum(square, _MIDDLE_BOUND**2)
    small = x * _ratio(near, _SMALL)
    # Cody splits at 4; up to 6 the middle form's relative error of erfc is below 1e-9 where erfc
    # itself is below 2e-8, so that erf = 1 - erfc stays exact to the last bit.
    large = np.copysign(1.0 - np.exp(-square) * _ratio(size, _MIDDLE), x)
    value: Array = np.where(size <= _MIDDLE_BOUND, small, large)
    return value


# Abramowitz and Stegun 1964, 7.1.26, highest power first.
_SINGLE = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
_SINGLE_PLACE = 0.3275911


def _erf_single(x: Array) -> Array:
    t = np.abs(x)
    t *= _SINGLE_PLACE
    t += 1.0
    np.reciprocal(t, out=t)
    below = _horner(t, _SINGLE)
    below *= t
    np.square(x, out=t)
    np.negative(t, out=t)
    np.exp(t, out=t)
    below *= t
    np.subtract(1.0, below, out=below)
    return np.copysign(below, x)


def erf_slope(x: Array) -> Array:
    """Return the derivative of the error function."""
    return np.exp(-np.minimum(x * x, 750.0)) * _ERF_SLOPE


def _ratio(x: Array, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Array:
    above, below = (_horner(x, part) for part in coefficients)
    return above / below


def _horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total *= x
        total += coefficient
    return total


def normal_cdf(x: Array) -> Array:
    """Return the probability that a standard normal variable is at most x."""
    return 0.5 * (1.0 + erf(x * _SQRT_HALF))


def normal_density(x: Array) -> Array:
    """Return the density of a standard normal variable."""
    return np.exp(-0.5 * np.minimum(x * x, 1500.0)) * _NORMAL_DENSITY


def step(x: Array) -> Array:
    """Return 1 where x > 0, else 0."""
    return (x > 0).astype(x.dtype)


def between(x: Array, low: float, high: float) -> Array:
    """Return 1 where low < x < high, else 0."""
    return ((x > low) & (x < high)).astype(x.dtype)


def relu(x: Array) -> Array:
    """Return max(x, 0)."""
    return np.maximum(x, 0.0)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    small = np.exp(-np.abs(x))
    value: Array = np.where(x >= 0, 1.0, small) / (1.0 + small)
    return value


def d_sigmoid(x: Array) -> Array:
    """Return sigmoid(x) (1 - sigmoid(x))."""
    small = np.exp(-np.abs(x))
    return small / np.square(1.0 + small)


def d_tanh(x: Array) -> Array:
    """Return 1 - tanh(x)^2."""
    return 1.0 - np.square(np.tanh(x))


def gelu(x: Array) -> Array:
    """Return x Phi(x), Phi the standard normal distribution function."""
    return x * normal_cdf(x)


def d_gelu(x: Array) -> Array:
    """Return Phi(x) + x phi(x)."""
    return normal_cdf(x) + x * normal_density(x)


_TANH_SCALE = math.sqrt(2.0 / math.pi)
_TANH_CUBIC = 0.044715


def gelu_tanh(x: Array) -> Array:
    """Return the tanh form of GELU (Hendrycks and Gimpel 2016).

    Half of 1 + tanh(u) is the logistic function of 2 u, which takes one exponential.
    """
    return x * _tanh_gate(x)


def d_gelu_tanh(x: Array) -> Array:
    """Return the derivative of the tanh form of GELU."""
    gate = _tanh_gate(x)
    inner = 2.0 * _TANH_SCALE * (1.0 + 3.0 * _TANH_CUBIC * np.square(x))
    return gate + x * (gate * (1.0 - gate)) * inner


def _tanh_gate(x: Array) -> Array:
    with np.errstate(over="ignore"):
        gate: Array = 1.0 / (
            1.0 + np.exp(-2.0 * _TANH_SCALE * x * (1.0 + _TANH_CUBIC * np.square(x)))
        )
    return gate


_QUICK = 1.702


def quick_gelu(x: Array) -> Array:
    """Return x sigmoid(1.702 x), the sigmoid form of GELU."""
    return x * sigmoid(_QUICK * x)


def d_quick_gelu(x: Array) -> Array:
    """Return the derivative of x sigmoid(1.702 x)."""
    return sigmoid(_QUICK * x) + _QUICK * x * d_sigmoid(_QUICK * x)


def silu(x: Array) -> Array:
    """Return x sigmoid(x)."""
    return x * sigmoid(x)


def d_silu(x: Array) -> Array:
    """Return sigmoid(x) + x sigmoid'(x)."""
    return sigmoid(x) + x * d_sigmoid(x)


def softplus(x: Array) -> Array:
    """Return ln(1 + exp(x))."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def mish(x: Array) -> Array:
    """Return x tanh(softplus(x)) (Misra 2019)."""
    return x * np.tanh(softplus(x))


def d_mish(x: Array) -> Array:
    """Return the derivative of x tanh(softplus(x))."""
    bent = np.tanh(softplus(x))
    return bent + x * (1.0 - bent**2) * sigmoid(x)


def elu(x: Array) -> Array:
    """Return x above 0 and exp(x) - 1 below."""
    value: Array = np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))
    return value


def d_elu(x: Array) -> Array:
    """Return 1 above 0 and exp(x) below."""
    return np.exp(np.minimum(x, 0.0))


# Klambauer et al. 2017, equation 14.
_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717


def selu(x: Array) -> Array:
    """Return the scaled ELU whose fixed point is mean 0 and variance 1."""
    below = _SELU_ALPHA * np.expm1(np.minimum(x, 0.0))
    value: Array = _SELU_SCALE * np.where(x > 0, x, below)
    return value


def d_selu(x: Array) -> Array:
    """Return the derivative of the scaled ELU."""
    below = _SELU_ALPHA * np.exp(np.minimum(x, 0.0))
    value: Array = _SELU_SCALE * np.where(x > 0, 1.0, below).astype(x.dtype)
    return value


def hardswish(x: Array) -> Array:
    """Return x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""
    value: Array = x * np.clip(x + 3.0, 0.0, 6.0) / 6.0
    return value


def d_hardswish(x: Array) -> Array:
    """Return 0 below -3, 1 above 3 and x / 3 + 1 / 2 between."""
    value: Array = np.where(x <= -3.0, 0.0, np.where(x >= 3.0, 1.0, x / 3.0 + 0.5)).astype(x.dtype)
    return value


def hardsigmoid(x: Array) -> Array:
    """Return min(max(x + 3, 0), 6) / 6."""
    value: Array = np.clip(x + 3.0, 0.0, 6.0) / 6.0
    return value


def softsign(x: Array) -> Array:
    """Return x / (1 + |x|)."""
    return x / (1.0 + np.abs(x))


def d_softsign(x: Array) -> Array:
    """Return 1 / (1 + |x|)^2."""
    return 1.0 / np.square(1.0 + np.abs(x))
