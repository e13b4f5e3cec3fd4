"""The tables of the reference, made from what they describe."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from initaudit.config import _KEYS
from initaudit.report import FORMATS
from initaudit.rulebook import load
from tests.command import process


def rules() -> str:
    """Return every rule with its severity, confidence and what its page begins with."""
    rows = [
        (r.id, r.name, r.severity.name.lower(), r.confidence.name.lower(), _sentence(r.summary))
        for r in load().values()
    ]
    return _table(("id", "name", "severity", "confidence", "what it finds"), rows)


def formats() -> str:
    """Return every format with the first sentence of its module."""
    return _table(("format", "what it is"), [(f"`{n}`", _module(n)) for n in FORMATS])


def settings() -> str:
    """Return every key of ``[tool.initaudit]`` with the value that it takes."""
    rows = [(f"`{key}`", wanted) for key, (_, wanted) in _KEYS.items()]
    return _table(("key", "value"), [*rows, ("`limits.RULE`", "a table of numbers, by limit")])


def options() -> str:
    """Return what ``initaudit --help`` prints."""
    return "```text\n" + process("--help", env={"COLUMNS": "80"}).stdout.strip() + "\n```"


TABLES: Mapping[str, Callable[[], str]] = {
    "rules": rules,
    "formats": formats,
    "settings": settings,
    "options": options,
}


def filled(document: str) -> str:
    """Return a document with what stands between its markers made anew.

    Raises:
        KeyError: for a marker that names no table.
    """
    return re.sub(
        r"<!-- table: (\w+) -->\n.*?<!-- end -->",
        lambda m: f"<!-- table: {m[1]} -->\n\n{TABLES[m[1]]()}\n\n<!-- end -->",
        document,
        flags=re.DOTALL,
    )


def _module(name: str) -> str:
    spec = find_spec(f"initaudit.report.{name}")
    assert spec is not None
    assert spec.origin is not None
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text("utf-8")))
    assert text, name
    return text.split("\n")[0].rstrip(".").replace("``", "`") + "."


def _sentence(summary: str) -> str:
    return " ".join(summary.split()).split(". ")[0].rstrip(".") + "."


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
