"""Places in a text: offsets for lines and columns, and edits between them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from initaudit.finding import Edit
from initaudit.network import Site

SAFE = frozenset({"current-name", "pass-the-function"})
"""Fixers that leave what the code computes as it is, or make it do what it cannot do yet."""

UNSAFE = frozenset(
    {"name-the-std", "tuple-of-classes", "comprehension", "fitting-initialiser",
     "wrap-in-parameter", "per-slice", "zero-the-row"}
)  # fmt: skip
"""Fixers that change the numbers a network starts from."""

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Change:
    """An edit by offsets into a text."""

    start: int
    end: int
    replacement: str

    def within(self, text: str) -> str:
        """Return the text with the edit made."""
        return text[: self.start] + self.replacement + text[self.end :]


Rewrite = tuple[Change, tuple[str, str] | None]
"""A change, and what it asks of the imports: a name that became another, or ("", a line)."""


def line_starts(text: str) -> list[int]:
    """Return the offset at which each line begins, lines ended as Python ends them."""
    return [0, *(match.end() for match in _LINE_END.finditer(text))]


def offset(starts: Sequence[int], line: int, column: int) -> int | None:
    """Return the offset of a place, None where the text has no such line."""
    return starts[line - 1] + column - 1 if 1 <= line <= len(starts) and column >= 1 else None


def span(starts: Sequence[int], site: Site) -> tuple[int, int] | None:
    """Return the offsets that a site reaches from and to; None where it does not say or fit."""
    if None in {site.line, site.column, site.end_line, site.end_column}:
        return None
    first = offset(starts, site.line or 0, site.column or 0)
    last = offset(starts, site.end_line or 0, site.end_column or 0)
    return None if first is None or last is None or last <= first else (first, last)


def as_edit(starts: Sequence[int], change: Change) -> Edit:
    """Return a change by lines and columns."""
    line, end_line = bisect_right(starts, change.start), bisect_right(starts, change.end)
    return Edit(
        line,
        change.start - starts[line - 1] + 1,
        end_line,
        change.end - starts[end_line - 1] + 1,
        change.replacement,
    )


def smallest(start: int, old: str, new: str) -> Change:
    """Return the smallest change that makes ``new`` of the ``old`` text at an offset."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return Change(start + head, start + len(old) - tail, new[head : len(new) - tail])
