"""The ranges of charts and the numbers along them."""

from __future__ import annotations

import math

from initaudit.lab.results import Curves, shown

_FEWEST_DECADES = 1.0


def span(drawn: Curves) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return (left, right) and (low, high), the latter as log10 on a logarithmic scale.

    What is not finite, or not positive on that scale, has no place; None where nothing has.
    """
    ys = [y for s in drawn.series for y in s.y if math.isfinite(y) and (y > 0.0 or not drawn.log)]
    xs = [x for s in drawn.series for x in s.x]
    if not ys or not xs:
        return None
    low, high = min(ys), max(ys)
    if drawn.log:
        low, high = math.log10(low), math.log10(high)
        if high - low < _FEWEST_DECADES:
            low = high - _FEWEST_DECADES
    else:
        low = min(low, 0.0)
    return (min(xs), max(xs)), (low, high)


def ticks(drawn: Curves, low: float, high: float, rows: int) -> list[tuple[int, str]]:
    """Return rows from the top and what is written there: both ends and the middle."""
    found = []
    for row in (0, (rows - 1) // 2, rows - 1):
        at = high - (high - low) * row / (rows - 1)
        at = 0.0 if abs(at) < 1e-9 * (high - low) else at
        found.append((row, shown(10.0**at if drawn.log else at)))
    return found
