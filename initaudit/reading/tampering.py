"""What may change a class behind its body: a metaclass, a decorator, a statement of its file."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from initaudit.network import Site
from initaudit.reading import evaluating, objects
from initaudit.reading.state import State
from initaudit.reading.units import DESCRIBING
from initaudit.reading.values import External, Function, Module, Scope, UserClass

_PLAIN = frozenset(
    {"abc", "attr", "attrs", "dataclasses", "equinox", "flax", "functools", "jax", "keras",
     "tensorflow", "timm", "torch", "transformers", "typing", "typing_extensions", "warnings"}
)  # fmt: skip
"""Packages whose decorators and metaclasses leave a module's parameters and forward pass alone."""


def tampered(state: State, cls: UserClass) -> Iterator[tuple[str, Site]]:
    """Yield why a class may not be what its body says, with the place of each reason."""
    for one in objects.lineage(state, cls):
        node, unit = one.node, one.unit
        for keyword in node.keywords:
            if keyword.arg == "metaclass" and not _harmless(state, one, keyword.value):
                named = ast.unparse(keyword.value)
                yield f"the metaclass {named} of {one.name} may change it", unit.site(node)
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            named = ast.unparse(called)
            if not _harmless(state, one, called):
                yield f"the decorator {named} of {one.name} may change it", unit.site(decorator)
        if one.name in unit.patched:
            statement = unit.patched[one.name]
            yield f"{one.name} is changed behind its body", unit.site(statement)
        if one.name in unit.twins:
            lines = ", ".join(str(n.lineno) for n in unit.twins[one.name])
            text = f"there are several classes named {one.name} (lines {lines})"
            yield f"{text}, and a branch decides which", unit.site(node)


def of_model(state: State, module: Module) -> tuple[str, Site] | None:
    """Return why a model, or a part of it, may not be what its source says; None where it is."""
    for one in module.modules():
        found = None if one.cls is None else next(tampered(state, one.cls), None)
        if found is not None:
            return found
    return None


def _harmless(state: State, cls: UserClass, expr: ast.expr) -> bool:
    value = evaluating.evaluate(state, Scope(cls.unit), expr)
    if isinstance(value, External):
        head, dot, _ = value.name.partition(".")
        if dot and head not in _PLAIN:
            state.notes[f"{value.name} leaves {cls.name} as it is written"] = None
        return True
    if not isinstance(value, Function) or isinstance(value.node, ast.Lambda):
        return False
    return not any(_changes(node, _given(value.node)) for node in ast.walk(value.node))


def _given(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the parameters of a function and of those within it."""
    return {
        p.arg for inner in ast.walk(node)
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for p in (*inner.args.posonlyargs, *inner.args.args, *inner.args.kwonlyargs)
    }  # fmt: skip


def _changes(node: ast.AST, given: set[str]) -> bool:
    """Return whether a node sets an attribute of what it is given, or makes another class."""
    match node:
        case ast.ClassDef():
            return True
        case ast.Call(func=ast.Name(id="setattr" | "type" | "delattr" | "exec" | "eval")):
            return True
        case ast.Assign(targets=targets):
            return any(_sets(target, given) for target in targets)
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return _sets(target, given)
        case _:
            return False


def _sets(target: ast.expr, given: set[str]) -> bool:
    match target:
        case ast.Attribute(value=ast.Name(id=name), attr=attr):
            return name in given and attr not in DESCRIBING
        case _:
            return False
