"""Notebooks as text: the code cells one after another, and back from a line to its cell."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

# Cell magics whose body is Python of the same program.
_PYTHON = ("time", "timeit", "capture", "prun", "python", "python3", "py", "pypy")
_ASSIGNED = re.compile(r"^(\s*)[\w.\[\]'\", ]+=\s*(?:!|%(?=\w))")
_MAGIC = re.compile(r"^\s*(?:[!?]|%{1,2}\w|[,;/](?=\w))")
_HELP = re.compile(r"^\s*[\w.*]+\s*\?{1,2}\s*;?\s*$")


class NotebookError(ValueError):
    """A notebook that cannot be read, as one line."""


@dataclass(frozen=True, slots=True)
class Notebook:
    """The code of a notebook.

    ``cells`` holds, for each line of ``text``, the cell (counted from 1 over all cells, as a
    person sees them) and the line within it. ``broken`` are cells whose code cannot be parsed,
    with the line and the reason; they are left out of ``text`` line by line.
    """

    text: str
    cells: tuple[tuple[int, int], ...]
    broken: tuple[tuple[int, int, str], ...] = ()

    def place(self, line: int) -> tuple[int, int]:
        """Return the cell and the line in it of a line of the text, all counted from 1."""
        return self.cells[min(line, len(self.cells)) - 1] if self.cells else (1, line)


def read_notebook(content: str) -> Notebook:
    """Return the code cells as one text; lines of IPython's own syntax become comments.

    Raises:
        NotebookError: where the file is no notebook.
    """
    try:
        document = json.loads(content)
    except RecursionError:
        raise NotebookError("is not a notebook: it is nested too deeply") from None
    except ValueError as error:
        raise NotebookError(f"is not a notebook: {error}") from None
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        raise NotebookError("is not a notebook of version 4: it has no list of cells")
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    broken: list[tuple[int, int, str]] = []
    for number, cell in enumerate(cells, start=1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        code, fault = _plain(_source(cell))
        if fault is not None:
            broken.append((number, *fault))
        lines += code
        places += [(number, i) for i in range(1, len(code) + 1)]
    return Notebook("\n".join(lines) + "\n", tuple(places), tuple(broken))


def _source(cell: dict[str, object]) -> list[str]:
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    if not isinstance(source, str) or not source:
        return []
    return source.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")


def _plain(lines: list[str]) -> tuple[list[str], tuple[int, str] | None]:
    """Return a cell as Python, line by line, and why it is none: (line, reason).

    A cell magic (``%%bash``) hands the whole cell to another program unless that is Python.
    """
    if _fault(lines) is None:
        return lines, None
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and first[2:].split(" ")[0] not in _PYTHON:
        return _commented(lines), None
    made = _without_magics(lines)
    fault = _fault(made)
    return (made, None) if fault is None else (_commented(lines), fault)


def _commented(lines: Sequence[str]) -> list[str]:
    return [f"# {line}" for line in lines]


def _without_magics(lines: Sequence[str]) -> list[str]:
    made = []
    continued = False
    for line in lines:
        bare = line.lstrip()
        indent = line[: len(line) - len(bare)]
        assigned = _ASSIGNED.match(line)
        magic = bool(_MAGIC.match(line) or _HELP.match(line) or assigned)
        if continued:
            made.append(f"# {bare}")
        else:
            made.append(f"{indent}pass  # {bare}" if magic else line)
        continued = (continued or magic) and line.rstrip().endswith("\\")
    return made


def _fault(lines: Sequence[str]) -> tuple[int, str] | None:
    """Return the line and the reason why a cell cannot be parsed; None where it can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse("\n".join(lines) + "\n")
    except SyntaxError as error:
        return min(error.lineno or 1, max(len(lines), 1)), str(error.msg)
    except ValueError as error:
        return 1, str(error)
    except (RecursionError, MemoryError):
        return 1, "nested too deeply"
    return None
