"""A plain tensor of a module made a parameter: under which name, and where that may be done."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator

from initaudit.source.fix.edits import Rewrite, line_starts, smallest
from initaudit.source.fix.expressions import Facts, rewrite

_FROM = frozenset({"torch.nn", "torch.nn.parameter"})
_NEW = ("", "from torch import nn")


def wrapped(text: str, start: int, end: int, facts: Facts) -> Rewrite | None:
    """``torch.randn(n, requires_grad=True)`` to ``nn.Parameter(torch.randn(n))``."""
    tree = ast.parse(text)
    name = _name(tree)
    line = bisect_right(line_starts(text), start)
    if name is None or not _may_register(tree, line):
        return None
    old = text[start:end]
    new = rewrite(old, "wrap-in-parameter", {**facts, "wrapper": name[0]})
    return None if new is None else (smallest(start, old, new.text), name[1])


_Lacking = tuple[str, str] | None
_Spelling = tuple[int, str, _Lacking]
"""How a class may be written: rank (the shortest first), text, and what the imports lack."""


def _name(tree: ast.Module) -> tuple[str, _Lacking] | None:
    """Return how a file may spell the class, and what its imports lack for that."""
    bound = _bound(tree)
    found: list[_Spelling] = [(4, "nn.Parameter", _NEW)]
    for node in _imports(tree):
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                spelled = _from(node.module, node.level, alias)
            else:
                spelled = _through(alias)
            found += [] if spelled is None else [spelled]
    for _, name, lacking in sorted(found, key=lambda one: one[0]):
        if bound.get(name.partition(".")[0], 0) <= (0 if lacking else 1):
            return name, lacking
    return None


def _through(alias: ast.alias) -> _Spelling | None:
    """``import torch.nn as nn`` gives ``nn.Parameter``."""
    if alias.name == "torch.nn" and alias.asname:
        return 1, f"{alias.asname}.Parameter", None
    if alias.name in {"torch", "torch.nn"}:
        return 2, f"{alias.asname or 'torch'}.nn.Parameter", None
    return None


def _from(module: str | None, level: int, alias: ast.alias) -> _Spelling | None:
    """``from torch import nn`` gives ``nn.Parameter``."""
    here = alias.asname or alias.name
    if level:
        return None
    if module in _FROM and alias.name == "Parameter":
        return 0, here, None
    if module == "torch" and alias.name == "nn":
        return 1, f"{here}.Parameter", None
    if module == "torch.nn" and alias.name == "Module" and not alias.asname:
        return 3, "Parameter", ("Module", "Parameter")
    return None


def _imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that surely run before a class of the file is used."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def _bound(tree: ast.Module) -> dict[str, int]:
    """Return how many things each name stands for; imports of the same count once."""
    meant: dict[str, set[object]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name if alias.asname else alias.name.partition(".")[0]
                meant.setdefault(alias.asname or root, set()).add(root)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = "torch.nn" if node.module in _FROM else node.module
                whole = f"{'.' * node.level}{module}.{alias.name}"
                meant.setdefault(alias.asname or alias.name, set()).add(whole)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            meant.setdefault(node.id, set()).add(node)
        elif isinstance(node, ast.arg):
            meant.setdefault(node.arg, set()).add(node)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            meant.setdefault(node.name, set()).add(node)
    return {name: len(things) for name, things in meant.items()}


def _may_register(tree: ast.Module, line: int) -> bool:
    """Return whether the module's own constructor has run where a parameter would be assigned.

    torch refuses a parameter on a module whose ``__init__`` has not been called.
    """
    innermost: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            node.lineno <= line <= (node.end_lineno or 0)
        ):
            innermost = node
    if innermost is None:
        return False
    return innermost.name not in {"__init__", "__post_init__"} or any(
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "__init__"
        and call.lineno < line
        for call in ast.walk(innermost)
    )
