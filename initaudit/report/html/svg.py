"""The two pictures of the page as SVG: the signal against depth, and a histogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from initaudit.report.wording import number

WIDTH, HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 76.0, 12.0, 12.0, 28.0
_TICKS = 6
_STOPS = 80
_WIDE, _TALL = 280.0, 44.0


@dataclass(frozen=True, slots=True)
class Point:
    """A layer's number at its depth; ``link`` is the id that a click leads to."""

    depth: int
    value: float | None
    label: str
    link: str


def plot(series: Sequence[Sequence[Point]], title: str) -> str:
    """Return curves on a log scale against depth.

    Zeros are hollow points at the foot, what is not finite leaves gaps. Beyond `_STOPS` points none
    is a stop of the tab key: the table below leads to the same rows.
    """
    values = [math.log10(p.value or 1.0) for line in series for p in line if _drawn(p)]
    if not values and not any(_zero(p) for line in series for p in line):
        return ""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high - low < 1.0:
        low, high = (low + high) / 2 - 0.5, (low + high) / 2 + 0.5
    last = max(p.depth for line in series for p in line) or 1
    parts = _grid(low, high)

    def place(point: Point) -> tuple[float, float]:
        x = _LEFT + point.depth / last * (WIDTH - _LEFT - _RIGHT)
        if _zero(point):
            return x, HEIGHT - _BOTTOM
        share = (high - math.log10(point.value or 1.0)) / (high - low)
        return x, _TOP + share * (HEIGHT - _TOP - _BOTTOM)

    radius = 4.0 if last < 100 else 2.5
    stop = ' tabindex="-1"' if sum(map(len, series)) > _STOPS else ""
    for at, line in enumerate(series):
        drawn = [p for p in line if _drawn(p)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in map(place, drawn))
        parts.append(f'<path class="s{at}" stroke-width="1.5" d="M{path}"/>' if drawn else "")
        for point in (p for p in line if _drawn(p) or _zero(p)):
            x, y = place(point)
            kind = f"f{at} zero" if _zero(point) else f"f{at}"
            parts.append(
                f'<a href="#{point.link}"{stop}><title>{escape(point.label)}</title>'
                f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/></a>'
            )
    parts.append(
        f'<text x="{_LEFT}" y="{HEIGHT - 6}">first layer</text>'
        f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 6}" text-anchor="end">last layer</text>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="group" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _drawn(point: Point) -> bool:
    return point.value is not None and math.isfinite(point.value) and point.value > 0.0


def _zero(point: Point) -> bool:
    return point.value == 0.0


def _grid(low: float, high: float) -> list[str]:
    parts = []
    for k in range(_TICKS):
        share = k / (_TICKS - 1)
        y = _TOP + share * (HEIGHT - _TOP - _BOTTOM)
        label = number(10.0 ** (high - share * (high - low)))
        parts.append(
            f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        )
    return parts


def histogram(
    counts: Sequence[int],
    within: tuple[float, float],
    axis: tuple[float, float],
    kind: int,
    title: str,
) -> str:
    """Return a histogram of equal bins over ``within``, drawn on an axis that may be wider.

    Heights go by the square root of the counts, so that a small second mode is seen beside a
    large one.
    """
    most = max(counts, default=0)
    low, high = within
    first, last = axis
    reach = (last - first) or 1.0
    bars = []
    for at, count in enumerate(counts):
        if not count:
            continue
        start = low + (high - low) * at / len(counts)
        x = (start - first) / reach * _WIDE
        wide = max((high - low) / len(counts) / reach * _WIDE, 1.0)
        tall = max(math.sqrt(count / most) * _TALL, 1.0)
        bars.append(f"M{x:.0f} {_TALL:g}v{-tall:.0f}h{wide:.1f}v{tall:.0f}z")
    return (
        f'<svg viewBox="0 0 {_WIDE:g} {_TALL + 1:g}" width="{_WIDE:g}" height="{_TALL + 1:g}" '
        f'role="img" aria-label="{escape(title)}"><path class="f{kind}" d="{"".join(bars)}"/>'
        f'<path class="grid" d="M0 {_TALL + 0.5:g}H{_WIDE:g}"/></svg>'
    )
