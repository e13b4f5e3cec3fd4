"""The table of a network's layers, fitted to a width: columns are dropped, never wrapped."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from initaudit.finding import LayerReport
from initaudit.report import Style
from initaudit.report.arithmetic import predicted_std
from initaudit.report.bars import Scale, bar, scale
from initaudit.report.rows import Gap, Row, cut
from initaudit.report.wording import count, end_cut, name, number, percent, shape, short_name
from initaudit.rulebook import Severity

SEVERITY_STYLES = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "yellow",
    Severity.NOTE: "cyan",
}

# Half the share at which theory calls saturated or dead units worth a note.
NOTEWORTHY = 0.25

_GAP = 2
_BAR_LEAST = 4
_BAR_MOST = 24
_NAME_LEAST = 10
_NAME_SHORTEST = 6
# A column of at most this width is shown whole or not at all.
_WHOLE = 20
# Under this width numbers have two significant digits, which leaves room for the bars.
_THREE_DIGITS = 60
# What a narrow terminal loses, first to last; names and bars stay.
_DROPPED = ("law", "predicted", "operation", "activation", "rank", "gain")


@dataclass(frozen=True, slots=True)
class _Column:
    key: str
    header: str
    cells: tuple[str, ...]
    least: int
    right: bool = False
    style: str = ""
    least_bar: int = 0
    numbers: tuple[float | None, ...] | None = None
    on: Scale | None = None

    @property
    def natural(self) -> int:
        return max([cell_len(self.header), *map(cell_len, self.cells)])


def layer_table(rows: Sequence[Row], style: Style, width: int) -> list[Text]:
    """Return the lines of the table: a header, then rows and gaps.

    The standard deviations are of the layer's own output, before its activation, by arithmetic and
    as measured; the rank is of what the layer hands on, after it, which is what the rules judge.
    """
    shown = list(rows) if style.verbose else list(cut(rows))
    kept = [item for item in shown if isinstance(item, Row)]
    marked = any(row.severity is not None for row in kept)
    columns = _columns(rows, kept, style, width)
    widths = _fit(columns, width - (2 if marked else 0))
    columns = [c for c in columns if c.key in widths]
    heads = [(c.header.rjust(widths[c.key]) if c.right else c.header, "bold") for c in columns]
    lines = [_line(heads, columns, widths, (" ", "") if marked else None)]
    at = 0
    hint = " (use --verbose)"
    for item in shown:
        if isinstance(item, Gap):
            which = f", {item.found:,} with findings" if item.found else " like these"
            text = f"... {count(item.rows, 'layer')}{which}{hint}"
            if len(text) + 2 > width:
                text = f"... {count(item.rows, 'layer')}{hint}"
            lines.append(Text(("  " if marked else "") + text, style="dim"))
            hint = ""
            continue
        lines.append(_row(item, at, columns, widths, style, marked=marked))
        at += 1
    return lines


def legend(rows: Sequence[Row]) -> str:
    """Return what the bars stretch over, as a sentence; empty where there are none."""
    scales = (
        ("output", scale(_forward(r.layer) for r in rows)),
        ("gradient", scale(_backward(r.layer) for r in rows)),
    )
    ends = [f"{word} {number(s.low)} to {number(s.high)}" for word, s in scales if s is not None]
    return f"log scale, {', '.join(ends)}" if ends else ""


def _columns(rows: Sequence[Row], kept: Sequence[Row], style: Style, width: int) -> list[_Column]:
    digits = 3 if width >= _THREE_DIGITS else 2
    name_least = max(_NAME_LEAST, width // 4)
    columns = [
        _Column("name", "layer", tuple(_name(r.layer, style) for r in kept), name_least),
        _Column("operation", "operation", tuple(_operation(r.layer, style) for r in kept), _WHOLE),
        _Column("activation", "activation", tuple(_activation(r, style) for r in kept), _WHOLE),
        _Column("law", "looks like", tuple(_law(r.layer, style) for r in kept), 18),
        _Column(
            "gain", "gain", tuple(number(r.layer.gain, digits) for r in kept), _WHOLE, right=True
        ),
        _Column(
            "predicted",
            "by arithmetic",
            tuple(predicted_std(r.layer, digits) for r in kept),
            _WHOLE,
            right=True,
        ),
        _measure("output", "output std", _forward, rows, kept, "cyan", digits),
        _measure("gradient", "gradient std", _backward, rows, kept, "magenta", digits),
        _Column("rank", "rank", tuple(number(_rank(r), digits) for r in kept), _WHOLE, right=True),
    ]
    return [c for c in columns if c.key == "name" or any(cell.strip("-") for cell in c.cells)]


def _measure(
    key: str,
    header: str,
    read: Callable[[LayerReport], float | None],
    rows: Sequence[Row],
    kept: Sequence[Row],
    colour: str,
    digits: int,
) -> _Column:
    """Return a column of numbers with bars, on one scale for the rows left out as well."""
    numbers = tuple(read(row.layer) for row in kept)
    cells = tuple(number(v, digits) for v in numbers)
    widest = max((cell_len(c) for c in cells), default=1)
    cells = tuple(" " * (widest - cell_len(c)) + c for c in cells)
    on = scale(read(row.layer) for row in rows)
    barred = widest + 1 + _BAR_LEAST
    least = max(barred, len(header))
    return _Column(
        key,
        header,
        cells,
        least,
        style=colour,
        least_bar=barred,
        numbers=numbers,
        on=on,
    )


def _fit(columns: Sequence[_Column], width: int) -> dict[str, int]:
    """Return the widths of the columns that fit, by key."""
    left = list(columns)
    for key in (*_DROPPED, None):
        widths = {c.key: min(c.least, _wanted(c)) for c in left}
        if sum(widths.values()) + _GAP * (len(left) - 1) <= width or key is None:
            break
        left = [c for c in left if c.key != key]
    room = width - sum(widths.values()) - _GAP * (len(left) - 1)
    if room < 0:
        widths["name"] = max(widths["name"] + room, _NAME_SHORTEST)
    for column in left:
        if column.numbers is None:
            more = min(max(_wanted(column) - widths[column.key], 0), max(room, 0))
            widths[column.key] += more
            room -= more
    barred = [c for c in left if c.numbers is not None]
    room += sum(widths[c.key] for c in barred)
    for length in range(_BAR_MOST, _BAR_LEAST - 1, -1):
        widths |= {c.key: max(c.least, c.least_bar + length - _BAR_LEAST) for c in barred}
        if sum(widths[c.key] for c in barred) <= room:
            break
    return widths


def _wanted(column: _Column) -> int:
    return column.natural if column.numbers is None else column.least


def _row(
    row: Row, at: int, columns: list[_Column], widths: dict[str, int], style: Style, *, marked: bool
) -> Text:
    cells: list[tuple[str, str]] = []
    aside = row.layer.apart is not None
    for column in columns:
        cell = column.cells[at]
        colour = "" if aside else column.style
        if column.numbers is not None:
            value = column.numbers[at]
            if value is not None and (value == 0 or not math.isfinite(value)):
                colour = "bold red"
            room = widths[column.key] - cell_len(cell) - 1
            cell += " " + bar(value, column.on, room, ascii_only=style.ascii)
        elif not column.right:
            shorten = short_name if column.key == "name" else end_cut
            cell = shorten(cell, widths[column.key], style)
        cells.append((cell, colour))
    mark = (" ", "")
    if row.severity is not None:
        mark = (row.severity.name[0], SEVERITY_STYLES[row.severity])
    line = _line(cells, columns, widths, mark if marked else None)
    if aside:
        line.stylize("dim")
    return line


def _line(
    cells: Sequence[tuple[str, str]],
    columns: Sequence[_Column],
    widths: dict[str, int],
    mark: tuple[str, str] | None,
) -> Text:
    line = Text() if mark is None else Text().append(*mark).append(" ")
    for i, ((cell, colour), column) in enumerate(zip(cells, columns, strict=True)):
        width = widths[column.key]
        sized = cell.rjust(width) if column.right else set_cell_size(cell, width)
        line.append(" " * _GAP if i else "").append(sized, style=colour)
    line.rstrip()
    return line


def _name(layer: LayerReport, style: Style) -> str:
    return name(layer.name, style)


def _operation(layer: LayerReport, style: Style) -> str:
    return f"{name(layer.op, style)} {shape(layer.shape, style)}".strip()


def _activation(row: Row, style: Style) -> str:
    active = row.activation if row.activation is not None else row.layer
    function = active.activation or row.layer.activation
    if function is None:
        return ""
    shown = name(function, style)
    forward = active.forward
    if forward is not None and active.op == "activation":
        for share, word in ((forward.saturated, "saturated"), (forward.dead, "dead")):
            if share is not None and share >= NOTEWORTHY:
                shown += f", {percent(share).replace(' ', '')} {word}"
    return shown


def _law(layer: LayerReport, style: Style) -> str:
    return "" if layer.law is None else name(layer.law.label, style)


def _forward(layer: LayerReport) -> float | None:
    return None if layer.forward is None else layer.forward.std


def _backward(layer: LayerReport) -> float | None:
    return None if layer.backward is None else layer.backward.std


def _rank(row: Row) -> float | None:
    for layer in (row.activation, row.layer):
        forward = None if layer is None else layer.forward
        if forward is not None and forward.effective_rank is not None:
            return forward.effective_rank
    return None
