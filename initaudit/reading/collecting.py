"""Lists, dictionaries and texts: displays, comprehensions, and the parts of a formatted string."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from initaudit.reading import (
    assigning,
    evaluating,
)
from initaudit.reading.state import State, child
from initaudit.reading.values import (
    Scope,
    Unknown,
)


def items(state: State, scope: Scope, elements: Sequence[ast.expr]) -> Iterator[Any]:
    """Yield the elements of a display, those of a starred one each."""
    for element in elements:
        value = evaluating.evaluate(state, scope, element)
        if isinstance(element, ast.Starred):
            yield from evaluating.iterate(state, value)
        else:
            yield value


def as_set(items: list[Any]) -> Any:
    """Return a set of some items; an `Unknown` where they cannot be in one."""
    try:
        return set(items)
    except TypeError:
        return Unknown("a set of such things is not followed")


def dictionary(state: State, scope: Scope, expr: ast.Dict) -> Any:
    """Return a dictionary as a display writes it."""
    found: dict[Any, Any] = {}
    for key, value in zip(expr.keys, expr.values, strict=True):
        held = evaluating.evaluate(state, scope, value)
        if key is None:
            if not isinstance(held, Mapping):
                return Unknown("a ** of something that is not known")
            found.update(held)
            continue
        at = evaluating.evaluate(state, scope, key)
        try:
            found[at] = held
        except TypeError:
            return Unknown("a dictionary with such keys is not followed")
    return found


def joined(state: State, scope: Scope, parts: Sequence[ast.expr]) -> Any:
    """Return the text of a formatted string, an `Unknown` where a part is not known."""
    text = []
    for part in parts:
        value = evaluating.evaluate(state, scope, part)
        if not isinstance(value, str):
            return Unknown("its text is not known")
        text.append(value)
    return "".join(text)


def comprehension(
    state: State, scope: Scope, generators: Sequence[ast.comprehension], element: ast.expr
) -> Any:
    """Return what a comprehension collects, as a list."""
    found: list[Any] = []
    unknown: list[Unknown] = []

    def run(level: int, inner: Scope) -> None:
        if unknown:
            return
        if level == len(generators):
            found.append(evaluating.evaluate(state, inner, element))
            return
        generator = generators[level]
        source = evaluating.evaluate(state, inner, generator.iter)
        if isinstance(source, Unknown):
            unknown.append(source)
            return
        for item in evaluating.iterate(state, source):
            here = child(inner)
            assigning.assign(state, here, generator.target, item)
            tests = [
                evaluating.truth(evaluating.evaluate(state, here, test)) for test in generator.ifs
            ]
            if None in tests:
                unknown.append(Unknown("a condition in a comprehension is not known"))
                return
            if all(tests):
                run(level + 1, here)

    run(0, child(scope))
    return unknown[0] if unknown else found
