"""Statements that may or may not run: what they may set is forgotten."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from initaudit.reading import assigning
from initaudit.reading.state import State
from initaudit.reading.values import (
    Scope,
    StopError,
    Unknown,
)


def only_raises(body: Sequence[ast.stmt]) -> bool:
    """Return whether statements end in an error, or only tell something."""
    quiet = (ast.Expr, ast.Pass)
    last = body[-1] if body else None
    only = all(isinstance(s, (*quiet, ast.Raise)) for s in body)
    return only and (isinstance(last, ast.Raise) or all(_harmless(s) for s in body))


def _harmless(statement: ast.stmt) -> bool:
    """Return whether a statement only tells something: a warning, a print, a string."""
    if isinstance(statement, ast.Pass):
        return True
    if not isinstance(statement, ast.Expr):
        return False
    value = statement.value
    if isinstance(value, ast.Constant):
        return True
    if not isinstance(value, ast.Call):
        return False
    words = ast.unparse(value.func).split(".")
    return words[0] in {"print", "warnings", "logger", "logging", "_logger", "warn"}


def skip(state: State, scope: Scope, body: Sequence[ast.stmt], reason: str) -> None:
    """Pass over statements that may or may not run: what they set is not known after them.

    Raises:
        StopError: they may leave the function or the loop, or a forward pass calls in them.
    """
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Return | ast.Break | ast.Continue):
                raise StopError(reason, state.at)
    unknown = Unknown(reason)
    for statement in body:
        for node in ast.walk(statement):
            for target in _targets(node):
                assigning.assign(state, scope, target, unknown)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                _changed(state, scope, node.func, unknown)
            if isinstance(node, ast.Expr) and not _harmless(node):
                state.doubt(reason)


def _targets(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Assign(targets=targets):
            return list(targets)
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target) | ast.For(target=target):
            return [target]
        case _:
            return []


_CHANGE = frozenset({"append", "extend", "insert", "add_module", "update", "pop", "remove"})


def _changed(state: State, scope: Scope, func: ast.Attribute, unknown: Unknown) -> None:
    """Forget a list or container that a call that may or may not run changes."""
    if func.attr not in _CHANGE or not isinstance(func.value, ast.Name | ast.Attribute):
        return
    if isinstance(func.value, ast.Name) and func.value.id == "self":
        state.doubt(unknown.reason)
        return
    assigning.assign(state, scope, func.value, unknown)


def without_jumps(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Return a loop's statements, those apart that only leave its rounds."""
    kept: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.Break | ast.Continue):
            continue
        if isinstance(statement, ast.If):
            kept += without_jumps([*statement.body, *statement.orelse])
        else:
            kept.append(statement)
    return kept
