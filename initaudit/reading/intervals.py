"""Arithmetic of intervals of numbers that are not negative."""

from __future__ import annotations

import math

from initaudit.network import Interval

ZERO = Interval.point(0.0)
ONE = Interval.point(1.0)
ANY = Interval(0.0, math.inf)


def times(left: Interval, right: Interval) -> Interval:
    """Return the product; nothing times infinity is nothing."""
    ends = [
        0.0 if 0.0 in (a, b) else a * b for a in (left.lo, left.hi) for b in (right.lo, right.hi)
    ]
    return Interval(min(ends), max(ends))


def plus(left: Interval, right: Interval) -> Interval:
    """Return the sum."""
    return Interval(left.lo + right.lo, left.hi + right.hi)


def scaled(value: Interval, factor: float) -> Interval:
    """Return a multiple."""
    return times(value, Interval.point(factor))


def over(left: Interval, right: Interval) -> Interval:
    """Return the quotient; dividing by what may be nothing has no upper bound."""
    lo = 0.0 if math.isinf(right.hi) else left.lo / right.hi if right.hi else 0.0
    hi = math.inf if right.lo == 0.0 or math.isinf(left.hi) else left.hi / right.lo
    return Interval(lo, max(lo, hi))


def hull(*values: Interval) -> Interval:
    """Return the smallest interval that holds all of some intervals."""
    return Interval(min(v.lo for v in values), max(v.hi for v in values))
