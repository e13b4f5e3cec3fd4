"""Moments of a normal law that is cut on both sides."""

from __future__ import annotations

import math

from initaudit.network import Interval, Weights

# A cut beyond 6 deviations leaves out 2e-9 of a normal law.
_FAR = 6.0


def relative(mean: Interval, std: Interval, below: Interval, above: Interval) -> Weights:
    """Return a normal law cut ``below`` and ``above`` its mean, in deviations before the cut."""
    if below.lo != below.hi or above.lo != above.hi:
        return Weights("truncated", Interval.unknown(), Interval(0.0, _square(std).hi))
    if not below.lo < above.lo:
        return _nothing()
    shift, variance = standard(below.lo, above.lo)
    square = _square(std)
    ends = sorted((shift * std.lo, shift * std.hi)) if shift else (0.0, 0.0)
    return Weights(
        "normal" if min(-below.lo, above.lo) >= _FAR else "truncated",
        Interval(mean.lo + ends[0], mean.hi + ends[1]),
        Interval(square.lo * variance, square.hi * variance) if variance else Interval.point(0.0),
    )


def absolute(mean: Interval, std: Interval, low: Interval, high: Interval) -> Weights:
    """Return a normal law kept within two values.

    Where one number is not known the variance is below the uncut law's and below that of a
    uniform one on the same range.
    """
    points = all(x.lo == x.hi for x in (mean, std, low, high))
    if points and std.lo > 0.0 and low.lo < high.lo:
        cuts = (low.lo - mean.lo) / std.lo, (high.lo - mean.lo) / std.lo
        return relative(mean, std, Interval.point(cuts[0]), Interval.point(cuts[1]))
    if low.lo >= high.hi:
        return _nothing()
    most = min(_square(std).hi, (high.hi - low.lo) ** 2 / 12.0)
    symmetric = (
        low.lo == low.hi and high.lo == high.hi and mean.lo == mean.hi == (low.lo + high.lo) / 2.0
    )
    between = mean if symmetric else Interval(low.lo, high.hi)
    return Weights("truncated", between, Interval(0.0, most))


def standard(below: float, above: float) -> tuple[float, float]:
    """Return the mean and variance of a standard normal law kept within two values.

    Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1, section 10.1.
    """
    if below > 0.0:
        shift, variance = standard(-above, -below)
        return -shift, variance
    low, high = _density(below), _density(above)
    mass = (math.erfc(-above / math.sqrt(2.0)) - math.erfc(-below / math.sqrt(2.0))) / 2.0
    if mass < 1e-12:
        edge = max(below, min(above, 0.0)) if above >= 0.0 else above
        return edge, 0.0
    shift = (low - high) / mass
    tails = ((below * low if low else 0.0) - (above * high if high else 0.0)) / mass
    return shift, max(0.0, 1.0 + tails - shift * shift)


def _density(x: float) -> float:
    return math.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi)


def _square(value: Interval) -> Interval:
    ends = (value.lo * value.lo, value.hi * value.hi)
    return Interval(0.0 if value.lo <= 0.0 <= value.hi else min(ends), max(ends))


def _nothing() -> Weights:
    return Weights("unknown", Interval.unknown(), Interval(0.0, math.inf))
