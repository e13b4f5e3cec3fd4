"""Assignments: what a target is given."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from initaudit.checkpoint.graphs.values import Signal
from initaudit.reading import (
    evaluating,
    filling,
    parts,
)
from initaudit.reading.state import State
from initaudit.reading.values import (
    Module,
    Parameter,
    Scope,
    StopError,
    Unknown,
    View,
)
from initaudit.reading.windows import Window


def assign(state: State, scope: Scope, target: ast.expr, value: Any) -> None:
    """Give a target a value."""
    match target:
        case ast.Name(id=wanted):
            scope.names[wanted] = value
        case ast.Attribute(value=inner, attr=wanted):
            evaluating.put(state, evaluating.evaluate(state, scope, inner), wanted, value)
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            _unpack(state, scope, targets, value)
        case ast.Starred(value=inner):
            assign(state, scope, inner, value)
        case ast.Subscript(value=inner, slice=index):
            subject, at = (
                evaluating.evaluate(state, scope, inner),
                evaluating.evaluate(state, scope, index),
            )
            _put_item(state, subject, at, value)
        case _:
            state.doubt("a target of an assignment is not followed")


def _unpack(state: State, scope: Scope, targets: Sequence[ast.expr], value: Any) -> None:
    if isinstance(value, Unknown):
        for target in targets:
            assign(state, scope, target, value)
        return
    items = evaluating.iterate(state, value)
    star = next((i for i, t in enumerate(targets) if isinstance(t, ast.Starred)), None)
    if star is not None:
        behind = len(targets) - star - 1
        middle = items[star : len(items) - behind]
        items = [*items[:star], middle, *items[len(items) - behind :]]
    if len(items) != len(targets):
        raise StopError(f"{len(items)} values for {len(targets)} names", state.at)
    for target, item in zip(targets, items, strict=True):
        assign(state, scope, target, item)


def _put_item(state: State, subject: Any, at: Any, value: Any) -> None:
    match subject:
        case Module():
            if isinstance(value, Module) and isinstance(at, str | int):
                names = list(subject.children)
                subject.children[names[at] if isinstance(at, int) else at] = value
                return
        case dict() | list():
            if not isinstance(at, Unknown):
                try:
                    subject[at] = value
                except (TypeError, LookupError, ValueError):
                    state.doubt("an item that is not there is set")
                return
        case Parameter() | View():
            filling.fill(state, parts.index(state, subject, at), value)
            return
        case Window():
            filling.fill(state, subject, value)
            return
        case Unknown():
            return
        case Signal():
            raise StopError("a part of a tensor is written over", state.at)
        case _:
            pass
    state.doubt("an item of something that is not followed is set")
