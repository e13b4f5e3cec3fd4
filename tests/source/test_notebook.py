"""Notebooks: code cells as one text, magics left out, broken cells named, lines counted back."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from initaudit.source.notebook import NotebookError, read_notebook


def notebook(*cells: str | list[str], kind: str = "code") -> str:
    made: list[Any] = [{"cell_type": kind, "source": source, "metadata": {}} for source in cells]
    return json.dumps({"nbformat": 4, "cells": made})


def test_lines_are_counted_back_to_their_cells() -> None:
    document = json.loads(notebook("a = 1\nb = 2", ["c = 3\n", "d = 4\n"]))
    document["cells"].insert(1, {"cell_type": "markdown", "source": "# words\nmore"})
    found = read_notebook(json.dumps(document))
    assert found.text == "a = 1\nb = 2\nc = 3\nd = 4\n"
    assert [found.place(line) for line in (1, 2, 3, 4)] == [(1, 1), (1, 2), (3, 1), (3, 2)]
    assert found.broken == ()


@pytest.mark.parametrize(
    "cell",
    [
        "%matplotlib inline\nx = 1",
        "!pip install torch \\\n    --quiet\nx = 1",
        "files = !ls\nx = 1",
        "t = %timeit -o f()\nx = 1",
        "?torch.nn\nx = 1",
        "torch.nn?\nx = 1",
        "if True:\n    !ls\nx = 1",
        "%%time\nx = 1",
        "%%capture out\nx = 1",
        "await load()\nx = 1",
    ],
)
def test_the_rest_of_a_cell_with_magics_is_python(cell: str) -> None:
    found = read_notebook(notebook(cell))
    assert found.broken == ()
    assert "x = 1" in found.text.splitlines()
    assert len(found.text.splitlines()) == len(cell.splitlines())
    ast.parse(found.text)


@pytest.mark.parametrize("cell", ["%%bash\necho x = 1", "%%html\n<b>x = 1</b>", "%%writefile a\nx"])
def test_a_cell_for_another_program_is_left_out(cell: str) -> None:
    found = read_notebook(notebook(cell, "y = 2"))
    assert found.broken == ()
    assert [ast.unparse(node) for node in ast.parse(found.text).body] == ["y = 2"]


@pytest.mark.parametrize(
    "cell",
    ["x = (100\n  % b)", 'text = """\n% of it\n!\n"""', "x = a if b else \\\n  c", "x != y"],
)
def test_python_that_looks_like_a_magic_is_left_as_it_is(cell: str) -> None:
    assert read_notebook(notebook(cell)).text == cell + "\n"


def test_a_broken_cell_is_named_and_the_others_are_kept() -> None:
    found = read_notebook(notebook("a = 1", "def f(:\n    pass", "b = 2"))
    assert found.broken == ((2, 1, "invalid syntax"),)
    assert [ast.unparse(node) for node in ast.parse(found.text).body] == ["a = 1", "b = 2"]
    assert found.place(4) == (3, 1)


def test_a_notebook_without_code_is_an_empty_text() -> None:
    assert read_notebook(notebook("words", kind="markdown")).text.strip() == ""
    assert read_notebook(notebook("", [])).text.strip() == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is not a notebook"),
        ("{", "is not a notebook"),
        ("[1, 2]", "no list of cells"),
        ('{"cells": 3}', "no list of cells"),
        ('{"worksheets": []}', "version 4"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=["empty", "cut", "a list", "cells no list", "version 3", "deep"],
)
def test_what_is_no_notebook_says_so_in_one_line(content: str, reason: str) -> None:
    with pytest.raises(NotebookError, match=reason) as refused:
        read_notebook(content)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("source", [3, None, {"a": 1}, [1, "x = 1\n"]])
def test_a_cell_of_the_wrong_type_breaks_nothing(source: Any) -> None:
    document = {"cells": [{"cell_type": "code", "source": source}, "no cell", {"source": "x"}]}
    ast.parse(read_notebook(json.dumps(document)).text)
