"""Text of inputs as text of the page: no markup, and nothing that moves or turns what is read."""

from __future__ import annotations

import textwrap
from html import escape

from initaudit.report.plain import one_line


def shown(text: str) -> str:
    """Return text as one line; what does not print is written as its escape."""
    return escape(one_line(text))


def block(text: str) -> str:
    """Return code with its lines and their indent, less what all lines have of it."""
    return "\n".join(map(_code, textwrap.dedent(text.expandtabs(4)).split("\n")))


def _code(text: str) -> str:
    # Each run of spaces is kept, each other sign that does not print is written as its escape.
    return escape("".join(c if c.isprintable() else one_line(f"|{c}|")[1:-1] for c in text))
