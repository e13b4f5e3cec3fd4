"""Shapes of distribution: their quantiles, and how well a sample follows one."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NORMAL = NormalDist()

# Uniform steps in the logit of the probability: the Anderson-Darling integral
# n * int (F_n - F)^2 / (F (1 - F)) dF is n * int (F_n - F)^2 d(logit F).
_LOGITS = np.linspace(-9.0, 9.0, 289)
_STEP = float(_LOGITS[1] - _LOGITS[0])
PROBABILITIES: Array = 1.0 / (1.0 + np.exp(-_LOGITS))

# Fields of each small float: bits of mantissa, least normal exponent.
_GRAINS = {
    "F16": (10, -14),
    "BF16": (7, -126),
    "F8_E4M3": (3, -6),
    "F8_E4M3FNUZ": (3, -7),
    "F8_E5M2": (2, -14),
    "F8_E5M2FNUZ": (2, -15),
    "F6_E2M3": (3, 0),
    "F6_E3M2": (2, -2),
    "F4": (1, 0),
}


def normal_tail(deviations: float) -> float:
    """Return the probability that a standard normal exceeds ``deviations``."""
    return 0.5 * math.erfc(deviations / math.sqrt(2))


def normal_quantiles() -> Array:
    """Return the quantiles of a standard normal at `PROBABILITIES`."""
    return truncated_quantiles(math.inf)


@cache
def truncated_quantiles(cut: float) -> Array:
    """Return the quantiles of a standard normal kept within +-``cut``."""
    below = normal_tail(cut)
    span = 1 - 2 * below
    values = np.array([_NORMAL.inv_cdf(below + span * float(p)) for p in PROBABILITIES])
    values.flags.writeable = False
    return values


def truncated_std(cut: float) -> float:
    """Return the standard deviation of a standard normal kept within +-``cut``."""
    mass = 1 - 2 * normal_tail(cut)
    return math.sqrt(max(1 - 2 * cut * _NORMAL.pdf(cut) / mass, 0.0))


def truncated_edge_density(cut: float) -> float:
    """Return the density at the cut of a standard normal kept within +-``cut``."""
    return _NORMAL.pdf(cut) / (1 - 2 * normal_tail(cut))


def cut_of(ratio: float) -> float:
    """Return the cut whose half range is ``ratio`` standard deviations of what is kept.

    The ratio runs from sqrt(3), a uniform law, upwards.
    """
    low, high = 0.05, 12.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if middle / truncated_std(middle) < ratio else (low, middle)
    return low


def distance(ordered: Array, quantiles: Array) -> float:
    """Return the Anderson-Darling statistic of a sorted sample against a law's quantiles.

    ``quantiles`` belong to `PROBABILITIES`. The integral leaves out probabilities below 1.2e-4.
    """
    below = np.searchsorted(ordered, quantiles, side="right") / ordered.size
    return float(ordered.size * _STEP * np.sum((below - PROBABILITIES) ** 2))


def grain(values: Array, dtype: str) -> tuple[str, float]:
    """Return the narrowest usual format that holds the values, and its relative half step.

    A wide file often holds numbers that were narrow before.
    """
    if dtype not in ("F32", "F64"):
        mantissa = _GRAINS[dtype][0] if dtype in _GRAINS else 23
        return dtype, 2.0 ** -(mantissa + 1)
    with np.errstate(over="ignore", under="ignore"):
        single = values.astype(np.float32)
        if np.array_equal(single, values):
            if not np.any(single.view(np.uint32) & np.uint32(0xFFFF)):
                return "BF16", 2.0**-8
            if np.array_equal(single.astype(np.float16), single):
                return "F16", 2.0**-11
    return dtype, 2.0**-24


def spread(values: Array, dtype: str) -> Array:
    """Return the values moved within the cells that rounding to ``dtype`` put them in.

    A rounded sample has ties that no continuous law has. The moves are an even sequence (steps of
    the golden ratio), so the result is the same each time.
    """
    if dtype not in _GRAINS:
        return values
    mantissa, least = _GRAINS[dtype]
    parts, exponents = np.frexp(values)
    steps = np.ldexp(1.0, np.maximum(exponents - 1, least) - mantissa)
    places = (np.arange(1, values.size + 1) * ((math.sqrt(5) - 1) / 2)) % 1.0
    # Numbers stand twice as close below a power of two as above it.
    power = (np.abs(parts) == 0.5) & (exponents - 1 > least)
    moves = np.where(power, places * 0.75 - 0.25, places - 0.5) * steps
    moved: Array = values + np.copysign(moves, moves * np.where(values < 0, -1.0, 1.0))
    return moved


def rounding_variance(values: Array, dtype: str) -> float:
    """Return what rounding to ``dtype`` adds to the variance: a twelfth of the squared steps."""
    if dtype not in _GRAINS:
        return 0.0
    mantissa, least = _GRAINS[dtype]
    _, exponents = np.frexp(values)
    steps = np.ldexp(1.0, np.maximum(exponents - 1, least) - mantissa)
    return float(steps @ steps) / (12 * values.size)


def least_step(dtype: str) -> float:
    """Return the distance from zero to the next number of a dtype."""
    mantissa, least = _GRAINS.get(dtype, (23, -126))
    return float(2.0 ** (least - mantissa))
