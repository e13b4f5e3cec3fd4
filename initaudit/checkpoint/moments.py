"""Mean and variance of finite numbers, in parts that merge without loss."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LARGE = 1e150
_SMALL = 1e-140


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and population variance (the largest float where it is larger than that)."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both parts together (Chan, Golub and LeVeque 1983)."""
        if not other.count:
            return self
        if not self.count:
            return other
        count = self.count + other.count
        mine, theirs = self.count / count, other.count / count
        apart = other.mean - self.mean
        mean = self.mean + apart * theirs
        if math.isinf(apart):
            mean = self.mean * mine + other.mean * theirs
        variance = self.variance * mine + other.variance * theirs + apart * apart * mine * theirs
        return Moments(count, mean, min(variance, sys.float_info.max))


def of(values: NDArray[np.float64]) -> Moments:
    """Return the moments of finite numbers, each deviation taken from the mean.

    Numbers so large that squares or sums leave the range are scaled by a power of two, and so are
    deviations so small that their squares vanish.
    """
    if not values.size:
        return Moments()
    if _largest(values) > _LARGE:
        scaled = of(np.ldexp(values, -600))
        return Moments(scaled.count, scaled.mean * 2.0**600, _scaled(scaled.variance, 1200))
    mean = float(values.mean())
    deviations = values - mean
    exponent = 600 if 0 < _largest(deviations) < _SMALL else 0
    if exponent:
        deviations = np.ldexp(deviations, exponent)
    # The mean was rounded: what is left of it shows in the mean deviation.
    rest = float(deviations.mean())
    # A BLAS dot product of this length would take threads of its own.
    squares = float(np.add.reduce(np.square(deviations, out=deviations)))
    variance = max(squares / values.size - rest * rest, 0.0)
    return Moments(values.size, mean + _scaled(rest, -exponent), _scaled(variance, -2 * exponent))


def _largest(values: NDArray[np.float64]) -> float:
    return max(float(values.max()), -float(values.min()))


def _scaled(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return sys.float_info.max
