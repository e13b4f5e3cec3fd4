"""Bars on a logarithmic scale, common to a column, so that a decay over layers is seen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

# Under this many decades from end to end the scale stays as wide: a healthy network lies
# within one decade, and a scale fitted to it would draw sampling noise as a slope.
LEAST_DECADES = 3.0

_EIGHTHS = "▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Scale:
    """The ends of a logarithmic scale, as positive numbers."""

    low: float
    high: float


def scale(values: Iterable[float | None]) -> Scale | None:
    """Return the scale that holds every positive finite value; None where there is none."""
    shown = [v for v in values if v is not None and math.isfinite(v) and v > 0]
    if not shown:
        return None
    high = max(shown)
    floor = 10.0 ** max(math.log10(high) - LEAST_DECADES, -323.0)
    return Scale(min(*shown, floor), high)


def bar(value: float | None, on: Scale | None, width: int, *, ascii_only: bool = False) -> str:
    """Return a bar of at most ``width`` cells.

    A positive number always shows something. Exact zero and not-a-number are words, for no
    length stands for them; infinity runs off the end; nothing is drawn where nothing was measured.
    """
    full = "#" if ascii_only else "█"
    if value is None:
        return ""
    if math.isnan(value):
        return "nan"
    if value == 0:
        return "zero"
    if math.isinf(value):
        return full * (width - 1) + ">"
    if on is None or value < 0:
        return ""
    share = _share(value, on)
    if ascii_only:
        return full * max(1, round(share * width))
    eighths = max(1, round(share * width * 8))
    whole, part = divmod(eighths, 8)
    return full * whole + (_EIGHTHS[part - 1] if part else "")


def _share(value: float, on: Scale) -> float:
    low, high = math.log10(on.low), math.log10(on.high)
    return min(max((math.log10(value) - low) / (high - low), 0.0), 1.0)
