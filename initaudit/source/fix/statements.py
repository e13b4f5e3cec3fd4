"""Fixers of whole statements: a call that becomes a loop, or gets another statement behind it."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from dataclasses import dataclass

from initaudit.source.fix.edits import Change, Rewrite, line_starts, smallest
from initaudit.source.fix.expressions import Facts

_NAMES = ("matrix", "one_matrix", "each_matrix")
_LINE_END = re.compile(r"\r\n|\r|\n")
_AFTER = re.compile(r"[ \t\f]*(#[^\r\n]*)?(?=[\r\n]|\Z)")


@dataclass(frozen=True, slots=True)
class Alone:
    """A call that is a statement by itself, with nothing else in its lines.

    ``indent`` stands before it, ``unit`` is one step of indentation, ``line_end`` the offset at
    which its last line ends, comment included.
    """

    call: ast.Call
    function: ast.FunctionDef | ast.AsyncFunctionDef
    start: int
    end: int
    indent: str
    unit: str
    newline: str
    line_end: int
    starts: list[int]

    def place(self, text: str, node: ast.expr) -> tuple[int, int]:
        """Return the offsets that an expression of the file reaches from and to."""
        first = _offset(text, self.starts, node.lineno, node.col_offset)
        last = _offset(text, self.starts, node.end_lineno or node.lineno, node.end_col_offset or 0)
        return first, last


def alone(text: str, start: int, end: int) -> Alone | None:
    """Return the statement that is exactly the call at an offset; None for any other place."""
    starts = line_starts(text)
    line = bisect_right(starts, start)
    indent = text[starts[line - 1] : start]
    after = _AFTER.match(text, end)
    if indent.strip(" \t") or after is None or _continued(text, starts, line):
        return None
    parents = _parents(ast.parse(text))
    for node in parents:
        if not isinstance(node, ast.Expr) or node.lineno != line:
            continue
        if not isinstance(node.value, ast.Call):
            continue
        call = node.value
        block = parents[node]
        function: ast.AST | None = block
        while function is not None and not isinstance(
            function, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
        ):
            function = parents.get(function)
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            return None
        outer = _indent(text, starts, block)
        if outer is None or not indent.startswith(outer) or indent == outer:
            return None
        found = Alone(
            call, function, start, end, indent, indent.removeprefix(outer),
            _newline(text, starts, line), after.end(), starts,
        )  # fmt: skip
        return found if found.place(text, call) == (start, end) else None
    return None


def per_slice(text: str, start: int, end: int, facts: Facts) -> Rewrite | None:
    """``init(self.w)`` to a loop over the matrices that ``self.w`` is a stack of."""
    found = alone(text, start, end)
    if found is None or _has_long_string(found.call):
        return None
    target = _target(found.call)
    name = next((n for n in _NAMES if _is_free(found.function, n, found.call.lineno)), None)
    if target is None or name is None:
        return None
    first, last = found.place(text, target)
    iterated = text[first:last]
    if _LINE_END.search(iterated):
        return None
    each = name
    if facts.get("turned"):
        # A view of what is iterated over may only be written to beside autograd.
        iterated += "" if iterated.endswith(".data") else ".data"
        each = f"{name}.T"
    old = text[start:end]
    call = text[start:first] + each + text[last:end]
    lines = _LINE_END.split(call)
    ends = _LINE_END.findall(call)
    moved = lines[0]
    for separator, rest in zip(ends, lines[1:], strict=True):
        moved += separator + (found.unit if rest.strip() else "") + rest
    head = f"for {name} in {iterated}:{found.newline}{found.indent}{found.unit}"
    return smallest(start, old, head + moved), None


def zero_the_row(text: str, start: int, end: int, facts: Facts) -> Rewrite | None:
    """``init.normal_(m.weight)`` with the row for padding set to zero behind it."""
    found = alone(text, start, end)
    if found is None:
        return None
    table, indent = str(facts["zeroed"]), found.indent
    row = f"{table}.weight.data[{table}.padding_idx].zero_()"
    added = found.newline + indent
    if facts["row"] != "known":
        asked = f"{table}.padding_idx"
        if facts["row"] == "unknown":
            asked = f'getattr({table}, "padding_idx", None)'
        added += f"if {asked} is not None:{found.newline}{indent}{found.unit}"
    return Change(found.line_end, found.line_end, added + row), None


def _target(call: ast.Call) -> ast.expr | None:
    if call.args:
        return None if isinstance(call.args[0], ast.Starred) else call.args[0]
    return next((k.value for k in call.keywords if k.arg == "tensor"), None)


def _is_free(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str, line: int) -> bool:
    """Return whether a name may run over a loop at a line: all its uses are in loops of its own."""
    loops = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.For)
        and isinstance(node.target, ast.Name)
        and node.target.id == name
        and not node.lineno <= line <= (node.end_lineno or line)
    ]
    inside = {id(one) for loop in loops for one in ast.walk(loop)}
    for node in ast.walk(function):
        if id(node) in inside:
            continue
        if isinstance(node, ast.Name) and node.id == name:
            return False
        if isinstance(node, ast.arg) and node.arg == name:
            return False
        if isinstance(node, ast.Global | ast.Nonlocal) and name in node.names:
            return False
    return True


def _has_long_string(call: ast.Call) -> bool:
    """Return whether moving the lines of a call would change a string that spans them."""
    return any(
        isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno
        for node in ast.walk(call)
    )


def _continued(text: str, starts: list[int], line: int) -> bool:
    """Return whether the line before goes on in this one."""
    return line > 1 and text[starts[line - 2] : starts[line - 1]].rstrip("\r\n").endswith("\\")


def _newline(text: str, starts: list[int], line: int) -> str:
    before = _LINE_END.search(text, starts[line - 2]) if line > 1 else None
    return before[0] if before else "\n"


def _indent(text: str, starts: list[int], block: ast.AST) -> str | None:
    """Return what stands before a compound statement; None where other code does."""
    line = getattr(block, "lineno", None)
    if line is None:
        # A branch of `match` or of `try` has its own line or none.
        return None
    start = starts[line - 1]
    written = text[start : _offset(text, starts, line, block.col_offset)]  # type: ignore[attr-defined]
    return None if written.strip(" \t") else written


def _parents(tree: ast.Module) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def _offset(text: str, starts: list[int], line: int, column: int) -> int:
    """Return the offset of a place of `ast`, which counts the bytes of a line."""
    start = starts[line - 1]
    written = text[start : start + column]
    if written.isascii():
        return start + column
    return start + len(written.encode()[:column].decode(errors="ignore"))
