"""Pictures in characters, fitted to a width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from initaudit.lab.results import (
    Bars,
    Curves,
    Heat,
    Histogram,
    Histograms,
    Panel,
    Picture,
    Plane,
    Series,
    Table,
    shown,
)
from initaudit.lab.ticks import span, ticks
from initaudit.report import Style
from initaudit.report.bars import bar, scale
from initaudit.report.wording import middle_cut

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")
_EIGHTHS, _LEVELS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
_SHADES, _PLAIN_SHADES = " ░▒▓█", " .:*#"
_MARKS, _PLAIN_MARKS = "●○▲△■□◆◇", "*o+x#@%&"
_HEIGHT, _MOST = 12, 96
_POINTS = 70
_BINS = 32


def picture(drawn: Picture, style: Style, width: int) -> list[Text]:
    """Return the lines of a picture under its title."""
    lines = [Text(part, style="bold") for part in _folded(drawn.title, width)]
    match drawn:
        case Histograms():
            lines += _histograms(drawn, style, width)
        case Bars():
            lines += _bars(drawn, style, width)
        case Curves():
            lines += _curves(drawn, style, width)
        case Plane():
            lines += _plane(drawn, style, width)
        case Heat():
            lines += _heat(drawn, style, width)
        case Table():
            lines += table(drawn.header, drawn.rows, style, width)
    for line in lines:
        line.rstrip()
        line.truncate(width, overflow="crop")
    return lines


def _histograms(drawn: Histograms, style: Style, width: int) -> list[Text]:
    label = max((len(row.label) for row in drawn.rows), default=0)
    note = max((len(row.note) for row in drawn.rows), default=0)
    if width < label + note + _BINS // 2 + 24:
        note = 0
    bins = _BINS if width >= label + note + _BINS + 24 else _BINS // 2
    lines = []
    for row in drawn.rows:
        line = Text(f"  {row.label:<{label}}  {shown(row.low):>8} ")
        line.append(_spark(row, bins, style), style="cyan")
        lines.append(line.append(f" {shown(row.high):<8}  {row.note if note else ''}"))
    return lines


def _spark(row: Histogram, bins: int, style: Style) -> str:
    """Return one character a bin, its height the count's share of the largest."""
    if row.low == row.high:
        middle = bins // 2
        full = "#" if style.ascii else "█"
        return " " * middle + full + " " * (bins - middle - 1)
    step = max(len(row.counts) // bins, 1)
    counts = [sum(row.counts[i : i + step]) for i in range(0, len(row.counts), step)]
    most = max(counts, default=0) or 1
    levels = _LEVELS if style.ascii else _EIGHTHS
    return "".join(levels[math.ceil(n / most * (len(levels) - 1))] for n in counts)


def _bars(drawn: Bars, style: Style, width: int) -> list[Text]:
    label = max((len(name) for name, _ in drawn.rows), default=0)
    numbers = [shown(value) for _, value in drawn.rows]
    number = max((len(text) for text in numbers), default=0)
    on = scale(value for _, value in drawn.rows)
    room = max(min(width - label - number - 6, 48), 4)
    lines = []
    for (name, value), text in zip(drawn.rows, numbers, strict=True):
        line = Text(f"  {name:<{label}}  {text:>{number}} ")
        lines.append(line.append(bar(value, on, room, ascii_only=style.ascii), style="magenta"))
    if on is not None:
        lines.append(Text(f"  log scale, {shown(on.low)} to {shown(on.high)}", style="dim"))
    return lines


def _curves(drawn: Curves, style: Style, width: int) -> list[Text]:
    reach = span(drawn)
    if reach is None:
        return [Text("  nothing was measured")]
    (left, right), (low, high) = reach
    marks = _PLAIN_MARKS if style.ascii else _MARKS
    columns = max(min(width - 13, _MOST), 16)
    cells: list[list[tuple[str, str]]] = [[(" ", "")] * columns for _ in range(_HEIGHT)]
    for i, series in enumerate(drawn.series):
        mark, colour = marks[i % len(marks)], COLOURS[i % len(COLOURS)]
        for x, y in _drawn(series, drawn, columns, (left, right)):
            row = round((high - y) / (high - low) * (_HEIGHT - 1)) if high > low else _HEIGHT // 2
            cells[row][x] = (mark, colour)
    labels = dict(ticks(drawn, low, high, _HEIGHT))
    bar_mark, foot = ("|", "+" + "-" * columns) if style.ascii else ("│", "└" + "─" * columns)
    lines = []
    for row, entries in enumerate(cells):
        line = Text(f"  {labels.get(row, ''):>8} {bar_mark}")
        for mark, colour in entries:
            line.append(mark, style=colour)
        lines.append(line)
    lines.append(Text(f"  {'':>8} {foot}"))
    end = f"{shown(right)} ({drawn.across})"
    lines.append(Text(f"  {'':>9} {shown(left):<{max(columns - len(end), 1)}}{end}"))
    for i, series in enumerate(drawn.series):
        key = Text("  ").append(marks[i % len(marks)], style=COLOURS[i % len(COLOURS)])
        lines.append(key.append(f" {middle_cut(series.label, width - 4, style)}"))
    return lines


def _drawn(
    series: Series, drawn: Curves, columns: int, across: tuple[float, float]
) -> list[tuple[int, float]]:
    """Return a height for each column that has one: the mean of the points that fall there."""
    left, right = across
    held: dict[int, list[float]] = {}
    for x, y in zip(series.x, series.y, strict=False):
        if math.isfinite(y) and (y > 0.0 or not drawn.log):
            column = round((x - left) / (right - left) * (columns - 1)) if right > left else 0
            held.setdefault(column, []).append(math.log10(y) if drawn.log else y)
    return [(column, sum(ys) / len(ys)) for column, ys in held.items()]


def _plane(drawn: Plane, style: Style, width: int) -> list[Text]:
    each = (width - 2) // max(len(drawn.panels), 1) - 2
    wide = min(max(each, 16), 44)
    together = max((width - 2) // (wide + 2), 1)
    lines: list[Text] = []
    for i in range(0, len(drawn.panels), together):
        blocks = [_panel(p, style, wide) for p in drawn.panels[i : i + together]]
        for parts in zip_longest(*blocks, fillvalue=Text(" " * wide)):
            line = Text("  ")
            for part in parts:
                line.append_text(part).append("  ")
            lines.append(line)
    said = "o and x: the points of both classes; shaded: where x is said"
    return lines + [Text(f"  {part}", style="dim") for part in _folded(said, width - 2)]


def _panel(panel: Panel, style: Style, wide: int) -> list[Text]:
    tall = max(wide * 2 // 5, 6)
    cells = len(panel.classes)
    grid = [
        [panel.classes[r * cells // tall][c * cells // wide] for c in range(wide)]
        for r in range(tall)
    ]
    left, right, bottom, top = panel.reach
    dots: dict[tuple[int, int], int] = {}
    step = max(len(panel.points) // _POINTS, 1) | 1
    for x, y, kind in panel.points[::step]:
        column = int((x - left) / (right - left) * wide)
        row = int((top - y) / (top - bottom) * tall)
        if 0 <= row < tall and 0 <= column < wide:
            dots[row, column] = kind
    heading = middle_cut(panel.label, wide, style)
    lines = [Text(heading + " " * (wide - cell_len(heading)))]
    shade = ":" if style.ascii else "░"
    for r, kinds in enumerate(grid):
        line = Text()
        for c, kind in enumerate(kinds):
            if (r, c) in dots:
                mark = "ox"[dots[r, c]]
                line.append(mark, style="bold cyan" if mark == "o" else "bold yellow")
            else:
                line.append(shade if kind else " ", style="yellow" if kind else "")
        lines.append(line)
    return lines


def _heat(drawn: Heat, style: Style, width: int) -> list[Text]:
    label = max([len(row) for row in drawn.rows] + [0])
    texts = [len(text) + 3 for row in drawn.texts for text in row]
    cell = max([*texts, *(len(column) + 2 for column in drawn.columns)])
    if 2 + label + cell * len(drawn.columns) > width:
        rows = [
            (f"{row}, {column}", text)
            for row, words in zip(drawn.rows, drawn.texts, strict=True)
            for column, text in zip(drawn.columns, words, strict=True)
        ]
        return table(("", ""), rows, style, width)
    lines = [Text(f"  {'':<{label}}" + "".join(f"{c:>{cell}}" for c in drawn.columns))]
    shades = _PLAIN_SHADES if style.ascii else _SHADES
    for row, values, words in zip(drawn.rows, drawn.values, drawn.texts, strict=True):
        line = Text(f"  {row:<{label}}")
        for value, text in zip(values, words, strict=True):
            share = min((value or 0.0) / drawn.most, 1.0)
            shade = shades[math.ceil(share * (len(shades) - 1))]
            colour = "red" if share < 0.1 else "yellow" if share < 0.5 else "green"
            line.append(f"{shade + ' ' + text:>{cell}}", style=colour)
        lines.append(line)
    return lines


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], style: Style, width: int
) -> list[Text]:
    """Return columns; where they do not fit, each row as a name with its numbers below."""
    widths = [
        max([_widest_word(h), *(cell_len(row[i]) for row in rows)]) for i, h in enumerate(header)
    ]
    if 2 + sum(widths) + 2 * (len(widths) - 1) > width:
        return _stacked(header, rows, width)
    spare = width - 2 - sum(widths) - 2 * (len(widths) - 1)
    for i, head in enumerate(header):
        more = min(max(len(head) - widths[i], 0), spare)
        widths[i] += more
        spare -= more
    heads = [_folded(head, room) for head, room in zip(header, widths, strict=True)]
    tall = max(len(h) for h in heads)
    lines = []
    for i in range(tall):
        parts = [h[i - tall + len(h)] if i >= tall - len(h) else "" for h in heads]
        lines.append(_columns(parts, widths, "bold"))
    return lines + [_columns(row, widths, "") for row in rows]


def _columns(parts: Sequence[str], widths: Sequence[int], colour: str) -> Text:
    cells = [
        part + " " * (room - cell_len(part)) if i == 0 else " " * (room - cell_len(part)) + part
        for i, (part, room) in enumerate(zip(parts, widths, strict=True))
    ]
    return Text("  " + "  ".join(cells), style=colour)


def _stacked(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[Text]:
    lines = []
    for row in rows:
        lines.append(Text(f"  {row[0]}"))
        facts = [
            f"{h}: {value}" if h else value for h, value in zip(header[1:], row[1:], strict=True)
        ]
        lines += [Text(f"    {part}") for part in _folded("; ".join(facts), max(width - 4, 20))]
    return lines


def _widest_word(text: str) -> int:
    return max((len(word) for word in text.split()), default=0)


def _folded(text: str, room: int) -> list[str]:
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if len(joined) > room and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines
