"""The two pictures of the page as SVG: the signal against depth, and a histogram."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from initaudit.report.html.escaping import shown
from initaudit.report.wording import number

WIDTH, HEIGHT = 960, 330
_LEFT, _RIGHT, _TOP, _BOTTOM, _FOOT = 76.0, 16.0, 12.0, 44.0, 22.0
_TICKS, _STOPS = 7, 10
_WIDE, _TALL, _SPIKE = 160.0, 60.0, 2.0

Place = Callable[["Point"], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Point:
    """A layer's number at its depth; ``link`` is the id that a click leads to.

    ``aside`` is a point off the path that the line follows, such as one inside a residual branch.
    """

    depth: int
    value: float | None
    name: str
    label: str
    link: str
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A curve; ``kind`` is the number of its colour, ``dashed`` draws the line without points."""

    kind: int
    points: Sequence[Point]
    dashed: bool = False


def plot(lines: Sequence[Line], title: str) -> str:
    """Return curves on a log scale against depth, with marks at whole powers of ten.

    Zeros are hollow points on a line of their own at the foot, what is not finite leaves gaps.
    Points are no stops of the tab key: the page's script lets the arrows walk them, and the table
    leads to the same rows.
    """
    points = [p for line in lines for p in line.points]
    values = [math.log10(p.value or 1.0) for p in points if _drawn(p)]
    zeros = any(map(_zero, points))
    if not values and not zeros:
        return ""
    low, high, step = _decades(min(values, default=0.0), max(values, default=0.0))
    last = max(p.depth for p in points) or 1
    foot = HEIGHT - _BOTTOM - (_FOOT if zeros else 0.0)

    def place(point: Point) -> tuple[float, float]:
        x = _LEFT + point.depth / last * (WIDTH - _LEFT - _RIGHT)
        if _zero(point):
            return x, HEIGHT - _BOTTOM
        share = (high - math.log10(point.value or 1.0)) / (high - low)
        return x, _TOP + share * (foot - _TOP)

    parts = []
    for k in range(low, high + 1, step):
        y = _TOP + (high - k) / (high - low) * (foot - _TOP)
        # Beyond the range of floats there is still an axis.
        parts.append(_mark(y, number(10.0**k) if -4 < k < 3 else f"1e{k}"))
    if zeros:
        parts.append(_mark(HEIGHT - _BOTTOM, "0"))
    parts += _depths(last)
    parts += [_curve(line, place) for line in lines]
    joined = max(sum(not p.aside for p in line.points) for line in lines)
    radius = 4.0 if joined < 60 else 3.0 if joined < 150 else 1.5
    parts += [_dots(line, place, radius) for line in lines if not line.dashed]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="group" '
        f'aria-label="{shown(title)}">{"".join(parts)}</svg>'
    )


def _drawn(point: Point) -> bool:
    return point.value is not None and math.isfinite(point.value) and point.value > 0.0


def _zero(point: Point) -> bool:
    return point.value == 0.0


def _decades(low: float, high: float) -> tuple[int, int, int]:
    """Return the lowest and the highest mark and their distance, in whole decades."""
    step = max(1, math.ceil((math.ceil(high) - math.floor(low)) / (_TICKS - 1)))
    first = math.floor(low / step) * step
    last = max(math.ceil(high / step) * step, first + step)
    return first, last, step


def _mark(y: float, label: str) -> str:
    return (
        f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'
        f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    )


def _depths(last: int) -> list[str]:
    """Return the axis of depth, counted from 1 in steps of 1, 2 or 5 times a power of ten."""
    rough = (last + 1) / _STOPS
    power = 10 ** max(0, math.floor(math.log10(rough)))
    step = next(k * power for k in (1, 2, 5, 10) if k * power >= rough)
    marks = dict.fromkeys((1, *range(step, last + 2, step)))
    return [
        f'<text x="{_LEFT + (k - 1) / last * (WIDTH - _LEFT - _RIGHT):.1f}" '
        f'y="{HEIGHT - _BOTTOM + 18:g}" text-anchor="middle">{k}</text>'
        for k in marks
    ] + [
        f'<text x="{(_LEFT + WIDTH - _RIGHT) / 2:g}" y="{HEIGHT - 6}" text-anchor="middle">'
        "depth: place of the layer in the network</text>"
    ]


def _curve(line: Line, place: Place) -> str:
    """Return the line through the points of the path, broken where nothing is known."""
    runs: list[list[str]] = [[]]
    for point in line.points:
        if point.aside:
            continue
        if _drawn(point):
            x, y = place(point)
            runs[-1].append(f"{x:.1f} {y:.1f}")
        elif runs[-1] and (_zero(point) or point.value is not None):
            runs.append([])
    drawn = "".join("M" + "L".join(run) for run in runs if run)
    dashes = ' stroke-dasharray="6 4"' if line.dashed else ""
    return f'<path class="s{line.kind}" stroke-width="1.5"{dashes} d="{drawn}"/>' if drawn else ""


def _dots(line: Line, place: Place, radius: float) -> str:
    parts = []
    for point in line.points:
        if not (_drawn(point) or _zero(point)):
            continue
        x, y = place(point)
        kind = f"f{line.kind}" + " zero" * _zero(point) + " aside" * point.aside
        r = max(radius * 0.6, 1.4) if point.aside else radius
        parts.append(
            f'<a href="#{point.link}" tabindex="-1"><title>{shown(point.name)}: '
            f'{shown(point.label)}</title><circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" '
            f'r="{r:g}"/></a>'
        )
    return "".join(parts)


def histogram(
    counts: Sequence[int],
    within: tuple[float, float],
    axis: tuple[float, float],
    kind: int,
    title: str,
) -> str:
    """Return a histogram of equal bins over ``within``, drawn on an axis that may be wider.

    Heights go by the square root of the counts, so that a small second mode is seen beside a
    large one. What is narrower than a few pixels is drawn as one spike. A tick marks zero.
    """
    first, last = axis
    reach = (last - first) or 1.0
    start, end = (((x - first) / reach) * _WIDE for x in within)
    most = max(counts, default=0)
    if not most:
        drawn = ""
    elif end - start < _SPIKE:
        x = min(max((start + end - _SPIKE) / 2, 0.0), _WIDE - _SPIKE)
        drawn = f"M{x:.1f} {_TALL:g}V0h{_SPIKE:g}V{_TALL:g}z"
    else:
        drawn = _steps(counts, start, end, most)
    zero = -first / reach * _WIDE
    tick = f"M{zero:.1f} {_TALL:g}v4" if 0.0 <= zero <= _WIDE else ""
    return (
        f'<svg viewBox="0 0 {_WIDE:g} {_TALL + 5:g}" width="{_WIDE:g}" height="{_TALL + 5:g}" '
        f'role="img" aria-label="{shown(title)}"><path class="f{kind}" d="{drawn}"/>'
        f'<path class="grid" d="M0 {_TALL + 0.5:g}H{_WIDE:g}{tick}"/></svg>'
    )


def _steps(counts: Sequence[int], start: float, end: float, most: int) -> str:
    """Return the outline of the bars as one path, so that no seams show between them."""
    parts = [f"M{start:.1f} {_TALL:g}"]
    held = _TALL
    for at, count in enumerate(counts):
        tall = max(math.sqrt(count / most) * _TALL, 1.0) if count else 0.0
        y = round(_TALL - tall, 1)
        if y != held:
            parts.append(f"V{y:g}")
            held = y
        parts.append(f"H{start + (end - start) * (at + 1) / len(counts):.1f}")
    return "".join(parts) + f"V{_TALL:g}z"
