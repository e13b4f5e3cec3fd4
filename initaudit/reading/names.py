"""Names: what a file's top, and what it imports, give them."""

from __future__ import annotations

import ast
from typing import Any

from initaudit.reading import assigning, evaluating, objects
from initaudit.reading.state import State
from initaudit.reading.units import Unit
from initaudit.reading.values import (
    External,
    Function,
    Scope,
    Unknown,
    UserClass,
)

_WAITING = object()


def name(state: State, scope: Scope, wanted: str) -> Any:
    """Return what a name holds."""
    place: Scope | None = scope
    while place is not None:
        if wanted in place.names:
            return place.names[wanted]
        place = place.outer
    found = top(state, scope.unit, wanted)
    if found is not None:
        return found[0]
    if wanted in objects._BUILTINS:
        return External(wanted)
    return Unknown(f"the name {wanted} is not known")


def top(state: State, unit: Unit, wanted: str) -> tuple[Any] | None:
    """Return what a name at the top of a file holds, None where there is none."""
    if wanted in unit.values:
        held = unit.values[wanted]
        return (Unknown(f"{wanted} depends on itself") if held is _WAITING else held,)
    statement = unit.table.get(wanted)
    if statement is None:
        for star in unit.stars:
            other = state.files.module(star.module or "", star.level, unit)
            if other is not None and other is not unit:
                found = top(state, other, wanted)
                if found is not None:
                    return found
            known = f"{dotted(state, unit, star)}.{wanted}"
            if state.catalogue.layer(known) or state.catalogue.initialiser(known):
                return (External(known),)
        return None
    unit.values[wanted] = _WAITING
    value = _given(state, unit, statement, wanted)
    unit.values[wanted] = value
    return (value,)


def _given(state: State, unit: Unit, statement: ast.stmt, wanted: str) -> Any:
    match statement:
        case ast.ClassDef():
            return UserClass(statement, unit)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return Function(statement, unit)
        case ast.Import():
            return imported(state, unit, statement, wanted)
        case ast.ImportFrom():
            return imported_from(state, unit, statement, wanted)
        case ast.Assign() | ast.AnnAssign() if statement.value is not None:
            scope = Scope(unit)
            value = evaluating.evaluate(state, scope, statement.value)
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                assigning.assign(state, scope, target, value)
            return scope.names.get(wanted, Unknown(f"{wanted} is not followed"))
        case _:
            return Unknown(f"{wanted} is not followed")


def imported(state: State, unit: Unit, statement: ast.Import, wanted: str) -> Any:
    """Return what ``import module`` binds a name to."""
    for alias in statement.names:
        if (alias.asname or alias.name.partition(".")[0]) == wanted:
            full = alias.name if alias.asname else wanted
            return _outside(state, full) or state.files.module(full, 0, unit) or External(full)
    return Unknown(f"{wanted} is not imported")


def _outside(state: State, full: str) -> External | None:
    """Return a package of a framework, which is never read as the project's own."""
    head = full.partition(".")[0]
    return External(full) if head in {"torch", "numpy", "math", "jax", "flax", "keras"} else None


def imported_from(state: State, unit: Unit, statement: ast.ImportFrom, wanted: str) -> Any:
    """Return what ``from module import name`` gives."""
    original = next((a.name for a in statement.names if (a.asname or a.name) == wanted), wanted)
    base = dotted(state, unit, statement)
    full = f"{base}.{original}"
    catalogue = state.catalogue
    if catalogue.initialiser(full) or (full.startswith("torch.") and catalogue.layer(full)):
        return External(full)
    if catalogue.initialiser(f"{full}.normal_") or catalogue.canonical(full) == "torch.nn.Module":
        return External(full)
    if not statement.level and _outside(state, base) is not None:
        return External(full)
    other = state.files.module(statement.module or "", statement.level, unit)
    if other is not None:
        found = top(state, other, original) if other is not unit else None
        if found is not None:
            return found[0]
        inner = f"{statement.module}.{original}" if statement.module else original
        module = state.files.module(inner, statement.level, unit)
        if module is not None:
            return module
    return External(full)


def dotted(state: State, unit: Unit, statement: ast.ImportFrom) -> str:
    """Return the full name of the module that an import names, as far as folders tell.

    The package that a catalogue describes is where the name begins.
    """
    if not statement.level:
        return statement.module or ""
    parts = unit.path.replace("\\", "/").split("/")[: -statement.level]
    kept: list[str] = []
    for part in reversed(parts):
        if not part.isidentifier():
            break
        kept.insert(0, part)
        if part in state.catalogue.packages:
            break
    return ".".join((*kept, statement.module or "")).rstrip(".")
