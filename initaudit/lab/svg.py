"""Pictures as SVG: no script, no font, no colour of its own but by class.

Every picture is 640 units wide. Colours are classes (``s0`` to ``s7`` for series, ``axis``,
``grid``, ``faint``) that `STYLE` gives for light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from initaudit.lab.results import (
    Bars,
    Curves,
    Heat,
    Histogram,
    Histograms,
    Panel,
    Picture,
    Plane,
    shown,
)
from initaudit.lab.ticks import span
from initaudit.report.bars import scale

WIDTH = 640
_ROW = 20
_LETTER = 6.6
_LIGHT = ("#0072b2", "#d55e00", "#007a5a", "#a3007a", "#8a6d00", "#5a5a5a")
_DARK = ("#56b4e9", "#ff9f5a", "#3fd6a8", "#ee99d4", "#f0d24f", "#b8b8b8")


def _series(colours: Sequence[str]) -> str:
    return "".join(f"--s{i}:{colour};" for i, colour in enumerate(colours))


VARIABLES = (
    f":root{{--ink:#1c1c1e;--paper:#ffffff;--soft:#5c5c66;--line:#d4d4da;{_series(_LIGHT)}}}"
    "@media(prefers-color-scheme:dark){:root{--ink:#ececf0;--paper:#16161a;--soft:#a2a2ae;"
    f"--line:#3a3a44;{_series(_DARK)}}}}}"
)
SHAPES = (
    "svg text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:var(--ink)}"
    "svg .soft{fill:var(--soft)}svg .axis{stroke:var(--soft);fill:none}"
    "svg .grid{stroke:var(--line);fill:none}svg .frame{stroke:var(--line);fill:none}"
    + "".join(
        f"svg .s{i}{{stroke:var(--s{i});fill:none}}svg .f{i}{{fill:var(--s{i})}}"
        for i in range(len(_LIGHT))
    )
)
STYLE = VARIABLES + SHAPES
"""What a file of one picture needs."""


def svg(drawn: Picture, *, alone: bool = False) -> str | None:
    """Return a picture as an ``svg`` element; None for a table, which is none.

    ``alone`` makes a file of it: with its own style and paper.
    """
    match drawn:
        case Histograms():
            parts, height = _histograms(drawn)
        case Bars():
            parts, height = _bars(drawn)
        case Curves():
            parts, height = _curves(drawn)
        case Plane():
            parts, height = _plane(drawn)
        case Heat():
            parts, height = _heat(drawn)
        case _:
            return None
    return element(parts, height, drawn.title, alone=alone)


def element(parts: Sequence[str], height: float, title: str, *, alone: bool = False) -> str:
    """Return an ``svg`` element of parts; ``alone`` adds its style and paper."""
    name = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    own = f"<style>{STYLE}</style>" if alone else ""
    paper = f'<rect width="{WIDTH}" height="{height:g}" style="fill:var(--paper)"/>'
    return (
        f'<svg{name} viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" '
        f'role="img" aria-label="{escape(title)}">{own}{paper if alone else ""}'
        + "".join(parts)
        + "</svg>"
    )


def text(x: float, y: float, words: str, *, end: str = "start", soft: bool = False) -> str:
    """Return words at a place."""
    kind = ' class="soft"' if soft else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{end}"{kind}>{escape(words)}</text>'


def _histograms(drawn: Histograms) -> tuple[list[str], float]:
    label = max((len(r.label) for r in drawn.rows), default=0) * _LETTER + 12
    left, right, tall = label + 62, WIDTH - 196, 26
    parts = []
    for i, row in enumerate(drawn.rows):
        base = (i + 1) * (tall + 6)
        parts.append(text(0, base - 4, row.label))
        parts.append(text(left - 6, base - 4, shown(row.low), end="end", soft=True))
        parts.append(text(right + 6, base - 4, shown(row.high), soft=True))
        parts.append(text(WIDTH, base - 4, row.note, end="end"))
        parts.append(f'<path class="grid" d="M{left:g} {base}H{right:g}"/>')
        parts.append(_columns(row, left, right, base, tall))
    return parts, len(drawn.rows) * (tall + 6) + 6


def _columns(row: Histogram, left: float, right: float, base: float, tall: float) -> str:
    most = max(row.counts, default=0)
    if row.low == row.high or not most:
        return f'<path class="f0" d="M{(left + right) / 2 - 2:g} {base}v{-tall}h4v{tall}z"/>'
    wide = (right - left) / len(row.counts)
    bars = "".join(
        f"M{left + i * wide:.1f} {base}v{-max(n / most * tall, 0.8):.1f}h{wide - 0.6:.1f}V{base}z"
        for i, n in enumerate(row.counts)
        if n
    )
    return f'<path class="f0" d="{bars}"/>'


def _bars(drawn: Bars) -> tuple[list[str], float]:
    label = max((len(name) for name, _ in drawn.rows), default=0) * _LETTER + 12
    on = scale(value for _, value in drawn.rows)
    left, right = label + 72, WIDTH - 6
    parts = []
    for i, (name, value) in enumerate(drawn.rows):
        y = i * _ROW + 14
        parts += [text(0, y, name), text(left - 8, y, shown(value), end="end")]
        if value and on is not None and value > 0.0:
            low, high = math.log10(on.low), math.log10(on.high)
            share = 1.0 if math.isinf(value) else (math.log10(value) - low) / (high - low)
            wide = max((right - left) * share, 2.0)
            parts.append(
                f'<rect class="f1" x="{left:g}" y="{y - 10:g}" width="{wide:.1f}" height="12"/>'
            )
    foot = len(drawn.rows) * _ROW + 16
    if on is not None:
        note = f"log scale, {shown(on.low)} to {shown(on.high)}"
        parts.append(text(left, foot - 2, note, soft=True))
    return parts, foot + 4


def _curves(drawn: Curves) -> tuple[list[str], float]:
    reach = span(drawn)
    if reach is None:
        return [text(0, 16, "nothing was measured", soft=True)], 24
    (first, last), (low, high) = reach
    left, right, top, bottom = 72.0, WIDTH - 8.0, 10.0, 220.0
    parts = []
    for k in range(5):
        at = high - (high - low) * k / 4
        y = top + (bottom - top) * k / 4
        number = shown(10.0**at if drawn.log else (0.0 if abs(at) < 1e-9 * (high - low) else at))
        parts += [
            f'<path class="grid" d="M{left:g} {y:.1f}H{right:g}"/>',
            text(left - 6, y + 4, number, end="end", soft=True),
        ]
    wide, tall = last - first or 1.0, high - low or 1.0
    for i, series in enumerate(drawn.series):
        points = [
            (
                left + (x - first) / wide * (right - left),
                top + (high - (math.log10(y) if drawn.log else y)) / tall * (bottom - top),
            )
            for x, y in zip(series.x, series.y, strict=False)
            if math.isfinite(y) and (y > 0.0 or not drawn.log)
        ]
        if points:
            line = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            dash = "" if i < len(_LIGHT) else ' stroke-dasharray="5 3"'
            kind = f'class="s{i % len(_LIGHT)}" stroke-width="2"{dash}'
            parts.append(f'<path {kind} d="M{line}"/>')
    parts += [
        text(left, bottom + 18, shown(first), soft=True),
        text(right, bottom + 18, f"{shown(last)} ({drawn.across})", end="end", soft=True),
    ]
    y = bottom + 40
    for i, series in enumerate(drawn.series):
        note = "" if _has_points(series.y, log=drawn.log) else " (zero throughout)"
        parts += [
            f'<path class="s{i % len(_LIGHT)}" stroke-width="3" d="M{left:g} {y - 4:g}h22"/>',
            text(left + 30, y, series.label + note),
        ]
        y += _ROW
    return parts, y


def _has_points(values: Sequence[float], *, log: bool) -> bool:
    return any(math.isfinite(y) and (y > 0.0 or not log) for y in values)


def _plane(drawn: Plane) -> tuple[list[str], float]:
    count = max(len(drawn.panels), 1)
    side = (WIDTH - 12.0 * (count - 1)) / count
    parts = []
    for i, panel in enumerate(drawn.panels):
        left = i * (side + 12.0)
        parts.append(text(left, 12, panel.label))
        parts.append(_regions(panel, left, 20.0, side))
        parts += _points(panel, left, 20.0, side)
        parts.append(
            f'<rect class="frame" x="{left:.1f}" y="20" width="{side:.1f}" height="{side:.1f}"/>'
        )
    return parts, side + 24.0


def _regions(panel: Panel, left: float, top: float, side: float) -> str:
    """Return one path of all cells of class 1, runs of a row as one rectangle."""
    cell = side / len(panel.classes)
    found = []
    for r, row in enumerate(panel.classes):
        start = None
        for c, kind in enumerate((*row, 0)):
            if kind and start is None:
                start = c
            elif not kind and start is not None:
                wide = (c - start) * cell
                found.append(
                    f"M{left + start * cell:.1f} {top + r * cell:.1f}h{wide:.1f}v{cell + 0.2:.1f}"
                    f"h{-wide:.1f}z"
                )
                start = None
    return f'<path class="f1" fill-opacity="0.28" d="{"".join(found)}"/>'


def _points(panel: Panel, left: float, top: float, side: float) -> list[str]:
    near, far, low, high = panel.reach
    marks: dict[int, list[str]] = {0: [], 1: []}
    for x, y, kind in panel.points:
        across = left + (x - near) / (far - near) * side
        down = top + (high - y) / (high - low) * side
        marks[kind].append(f"M{across:.1f} {down:.1f}h0")
    return [
        f'<path class="s{kind}" stroke-width="4" stroke-linecap="round" d="{"".join(made)}"/>'
        for kind, made in marks.items()
    ]


def _heat(drawn: Heat) -> tuple[list[str], float]:
    label = max((len(row) for row in drawn.rows), default=0) * _LETTER + 16
    wide, tall = (WIDTH - label) / max(len(drawn.columns), 1), 26
    parts = [
        text(label + (i + 0.5) * wide, 14, column, end="middle")
        for i, column in enumerate(drawn.columns)
    ]
    for r, (row, values, texts) in enumerate(
        zip(drawn.rows, drawn.values, drawn.texts, strict=True)
    ):
        y = 22 + r * tall
        parts.append(text(0, y + 17, row))
        for c, (value, words) in enumerate(zip(values, texts, strict=True)):
            share = min((value or 0.0) / drawn.most, 1.0)
            x = label + c * wide
            parts.append(
                f'<rect class="f2" fill-opacity="{0.06 + 0.5 * share:.2f}" x="{x:.1f}" '
                f'y="{y}" width="{wide - 2:.1f}" height="{tall - 2}"/>'
            )
            parts.append(text(x + wide / 2 - 1, y + 17, words, end="middle"))
    return parts, 24 + len(drawn.rows) * tall


def sheet(drawn: Sequence[Picture]) -> str:
    """Return one SVG file of several pictures under each other, each below its title."""
    parts: list[str] = []
    y = 0.0
    for one in drawn:
        made = svg(one)
        if made is None:
            continue
        height = float(made.split('height="', 1)[1].split('"', 1)[0])
        parts.append(text(0, y + 22, one.title))
        parts.append(made.replace("<svg ", f'<svg y="{y + 34:g}" ', 1))
        y += height + 56
    return element(parts, max(y, 1.0), "initaudit lab", alone=True) + "\n"
