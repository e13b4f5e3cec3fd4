"""What runs before what in a class: constructors, the methods they call, branches of one test."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from initaudit.source.classes import CONSTRUCTORS
from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.module import Function
from initaudit.source.parents import walk

_DEPTH = 4


def runs_after(file: File, first: ast.Call, node: ast.AST) -> bool:
    """Return whether a node of a class runs after a call in a method of it, whenever both run.

    In one method that is told by the lines; a method that the constructor calls is as late as the
    earliest of those calls, and any other is later than all of the constructor.
    """
    earlier, later = outer_method(file, first), outer_method(file, node)
    if earlier is None or later is None:
        return False
    if earlier is later:
        return _follows(file, first, node)
    if earlier.name not in CONSTRUCTORS or later.name in CONSTRUCTORS:
        return False
    return all(_follows(file, first, call) for call in _calls_from(file, earlier, later))


def outer_method(file: File, node: ast.AST) -> Function | None:
    """Return the outermost function around a node below its class."""
    found: Function | None = None
    for around in file.module.around(node):
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            found = around
        elif isinstance(around, ast.ClassDef):
            return found
    return None


def other_branch(file: File, one: ast.AST, other: ast.AST) -> bool:
    """Return whether at most one of two nodes runs, for they are branches of one test."""
    return _branches(file, one, other) or _branches(file, other, one)


def _branches(file: File, one: ast.AST, other: ast.AST) -> bool:
    above = set(file.module.around(other))
    child: ast.AST = one
    for around in file.module.around(one):
        if isinstance(around, ast.If) and around in above and child in around.body:
            return any(node in above for node in around.orelse)
        child = around
    return False


def _follows(file: File, first: ast.Call, second: ast.AST) -> bool:
    line = getattr(second, "lineno", 0)
    return bool(line > first.lineno) and not other_branch(file, first, second)


def _calls_from(file: File, constructor: Function, method: Function) -> list[ast.Call]:
    """Return the calls in a constructor by which a method of the class runs there."""
    owner = file.class_of(constructor)
    runs = {method.name}
    for _ in range(_DEPTH):
        for other in {} if owner is None else owner.methods.values():
            if other is not constructor and any(name in runs for name, _ in _own_calls(other)):
                runs.add(other.name)
    return [call for name, call in _own_calls(constructor) if name in runs]


def _own_calls(function: Function) -> Iterator[tuple[str, ast.Call]]:
    for node in walk(function):
        if isinstance(node, ast.Call) and dotted(node.func)[:1] == ("self",):
            yield dotted(node.func)[-1], node
