"""Notebooks as text: the code cells one after another, and back from a line to its cell."""

from __future__ import annotations

import json
from dataclasses import dataclass


class NotebookError(ValueError):
    """A notebook that cannot be read, as one line."""


@dataclass(frozen=True, slots=True)
class Notebook:
    """The code of a notebook.

    ``cells`` holds, for each line of ``text``, the cell (counted from 1 over all cells, as a
    person sees them) and the line within it.
    """

    text: str
    cells: tuple[tuple[int, int], ...]

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
    except (ValueError, RecursionError) as error:
        raise NotebookError(f"is not a notebook: {error}") from None
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        raise NotebookError("is not a notebook of version 4: it has no list of cells")
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    for number, cell in enumerate(cells, start=1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        for i, line in enumerate(_plain(_source(cell)), start=1):
            lines.append(line)
            places.append((number, i))
    return Notebook("\n".join(lines) + "\n", tuple(places))


def _source(cell: dict[str, object]) -> list[str]:
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return source.splitlines() if isinstance(source, str) else []


def _plain(lines: list[str]) -> list[str]:
    """Return a cell's lines with magics and shell calls commented out in place.

    A cell magic (``%%time``) hands the whole cell to another program unless that is Python.
    """
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and not first.startswith(
        ("%%time", "%%timeit", "%%capture", "%%prun")
    ):
        return [f"# {line}" for line in lines]
    made = []
    continued = False
    for line in lines:
        bare = line.lstrip()
        magic = continued or bare.startswith(("%", "!", "?")) or bare.rstrip().endswith("?")
        continued = magic and line.rstrip().endswith("\\")
        indent = line[: len(line) - len(bare)]
        if magic:
            made.append(f"{indent}pass  # {bare}" if indent else f"# {bare}")
        else:
            made.append(line)
    return made
