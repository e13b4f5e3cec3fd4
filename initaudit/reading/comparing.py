"""Comparisons of what a source holds, told where both sides are."""

from __future__ import annotations

import ast
from typing import Any

from initaudit.checkpoint.graphs.values import Known, Signal
from initaudit.reading import (
    evaluating,
    python,
    tensors,
)
from initaudit.reading.python import PLAIN
from initaudit.reading.state import State
from initaudit.reading.values import (
    External,
    Module,
    Scope,
    Unknown,
)

_COMPARED = {"Eq": "eq", "NotEq": "ne", "Lt": "lt", "LtE": "le", "Gt": "gt", "GtE": "ge"}


def compare(state: State, scope: Scope, expr: ast.Compare) -> Any:
    """Return whether a chain of comparisons holds; an `Unknown` or a tensor where that is open."""
    left = evaluating.evaluate(state, scope, expr.left)
    for op, comparator in zip(expr.ops, expr.comparators, strict=True):
        right = evaluating.evaluate(state, scope, comparator)
        held = _holds(state, type(op).__name__, left, right)
        if isinstance(held, Unknown | Known | Signal):
            return held
        if not held:
            return False
        left = right
    return True


def _holds(state: State, name: str, left: Any, right: Any) -> Any:
    if name in {"Is", "IsNot"}:
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return left if isinstance(left, Unknown) else right
        same = left is right or (
            isinstance(left, PLAIN) and isinstance(right, PLAIN) and left is not None
            and right is not None and type(left) is type(right) and left == right
        ) or (isinstance(left, External) and left == right)  # fmt: skip
        return same if name == "Is" else not same
    if name in {"In", "NotIn"}:
        return _within(left, right, name)
    if isinstance(left, evaluating.TENSORS) or isinstance(right, evaluating.TENSORS):
        return tensors.operation(state, _COMPARED[name], (left, right))
    if isinstance(left, int | float) and not isinstance(left, bool):
        right = evaluating.number(state, right)
    elif isinstance(right, int | float) and not isinstance(right, bool):
        left = evaluating.number(state, left)
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return left if isinstance(left, Unknown) else right
    if isinstance(left, PLAIN) and isinstance(right, PLAIN):
        if python.tainted(left, right):
            state.guessed(left, right)
        return python.compare(name, left, right)
    if name in {"Eq", "NotEq"}:
        same = left is right or (isinstance(left, External) and left == right)
        return same if name == "Eq" else not same
    return Unknown("its operands do not compare")


def _within(left: Any, right: Any, name: str) -> Any:
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return left if isinstance(left, Unknown) else right
    if isinstance(right, Module):
        return (left in right.children) is (name == "In")
    if isinstance(right, External) and right.name.endswith(".__dir__"):
        return name == "In"
    if not isinstance(right, PLAIN) or isinstance(left, Unknown):
        return Unknown("whether it is in there is not known")
    inside: Any = right
    try:
        return (left in inside) is (name == "In")
    except TypeError:
        return Unknown("whether it is in there is not known")
