"""How names, numbers and counts are written for a person."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from initaudit.finding import Finding
from initaudit.network import Site
from initaudit.report import Style
from initaudit.rulebook import Severity

_LONGEST_NAME = 160
_TIMES = "\N{MULTIPLICATION SIGN}"
_PLAIN = str.maketrans(
    {
        _TIMES: "x",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{LESS-THAN OR EQUAL TO}": "<=",
        "\N{GREATER-THAN OR EQUAL TO}": ">=",
        "\N{RIGHTWARDS ARROW}": "->",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    }
)


def name(text: str, style: Style) -> str:
    """Return a name from an input with whatever could move a cursor or hide text escaped."""
    shown = "".join(c if _harmless(c, style) else _escaped(c) for c in text)
    return middle_cut(shown, _LONGEST_NAME, style)


def prose(text: str, style: Style) -> str:
    """Return a sentence on one line, escaped like a name."""
    joined = " ".join(text.split("\n"))
    if style.ascii:
        joined = joined.translate(_PLAIN)
    return "".join(c if _harmless(c, style) else _escaped(c) for c in joined)


def middle_cut(text: str, longest: int, style: Style) -> str:
    """Return the text with its middle left out where it is longer; most of the end is kept.

    Names in a network share their beginning and differ at the end.
    """
    if len(text) <= longest:
        return text
    mark = ellipsis(style)
    kept = max(longest - len(mark), 0)
    head = kept // 3
    tail = kept - head
    return (text[:head] + mark + text[len(text) - tail :])[:longest]


def short_name(text: str, longest: int, style: Style) -> str:
    """Return a dotted name with parts cut to their first letter, from the left, until it fits.

    Numbers stay, for they tell layers apart: ``blocks.12.mixer.proj`` is ``b.12.m.proj``.
    """
    parts = text.split(".")
    for i in range(len(parts) - 1):
        if cell_len(".".join(parts)) <= longest:
            break
        if not parts[i].isdigit():
            parts[i] = parts[i][:1]
    cut = end_cut if len(parts) > 1 else middle_cut
    return cut(".".join(parts), longest, style)


def end_cut(text: str, longest: int, style: Style) -> str:
    """Return the text with its end left out where it is longer."""
    if cell_len(text) <= longest:
        return text
    mark = ellipsis(style)
    return set_cell_size(text, max(longest - len(mark), 0)).rstrip() + mark


def ellipsis(style: Style) -> str:
    """Return the mark for text left out."""
    return ".." if style.ascii else "\N{HORIZONTAL ELLIPSIS}"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number in few significant digits; ``-`` where there is none."""
    if value is None:
        return "-"
    return f"{float(value):.{digits}g}"


def percent(share: float | None) -> str:
    """Return a share as a percentage that is 0 or 100 only where the share is exactly that."""
    if share is None or not math.isfinite(share):
        return "-"
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.3g} %"


def count(amount: int, noun: str) -> str:
    """Return an amount with its noun, in the plural where it is not one."""
    if amount == 1:
        return f"1 {noun}"
    return f"{amount:,} {noun}{'es' if noun.endswith('s') else 's'}"


def listing(parts: Sequence[str], most: int) -> str:
    """Return the parts joined by commas, those beyond ``most`` as a count."""
    left = len(parts) - most
    return ", ".join(parts[:most]) + (f", +{left:,} more" if left > 0 else "")


def shape(dimensions: Sequence[int | None], style: Style) -> str:
    """Return a shape as ``64x3x7x7``; ``?`` for a dimension that is not known."""
    sign = "x" if style.ascii else _TIMES
    return sign.join("?" if d is None else str(d) for d in dimensions)


def place(site: Site, style: Style) -> str:
    """Return where a site is: path, cell, line and column, then the tensor or the layer."""
    where = name(site.path, style)
    if site.cell is not None:
        where += f":cell {site.cell}"
    for part in (site.line, site.column if site.line is not None else None):
        if part is not None:
            where += f":{part}"
    inside = within(site, style)
    return f"{where}: {inside}" if inside else where


def within(site: Site, style: Style) -> str:
    """Return the tensor of a site, else its layer, else its line, else nothing."""
    if site.tensor is not None:
        shown = name(site.tensor, style)
        if site.layer is None or f"{site.tensor}.".startswith(f"{site.layer}."):
            return shown
        return f"{shown} (layer {name(site.layer, style)})"
    return "" if site.layer is None else f"layer {name(site.layer, style)}"


def tally(findings: Sequence[Finding]) -> str:
    """Return how many findings there are of each severity, worst first; empty for none."""
    severities = [f.severity for f in findings]
    counts = ((s.name.lower(), severities.count(s)) for s in sorted(Severity, reverse=True))
    return ", ".join(count(n, word) for word, n in counts if n)


def _harmless(character: str, style: Style) -> bool:
    return character.isprintable() and (character.isascii() or not style.ascii)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
