"""Objects of the project's classes, their constructors followed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from initaudit.reading import building, evaluating, following, objects, tampering
from initaudit.reading.state import State
from initaudit.reading.values import (
    Function,
    Module,
    Object,
    Scope,
    StopError,
    UserClass,
)

_NESTED = 12
_DATACLASSES = frozenset({"flax.linen.Module", "equinox.Module"})


def construct(
    state: State, cls: UserClass, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Return an object of a class of the project, its constructor followed.

    Raises:
        StopError: the constructor leads to an end.
    """
    if state.building.count(cls) > _NESTED:
        raise StopError(f"{cls.name} contains itself without an end", state.at)
    kind = objects.kind(state, cls)
    site = state.at or cls.unit.site(cls.node)
    for stranger in objects.strangers(state, cls) if kind is not None else ():
        state.doubt(f"the base {stranger} of {cls.name} is not known", cls.unit.site(cls.node))
    for reason, place in tampering.tampered(state, cls) if kind is not None else ():
        state.doubt(reason, place)
    made: Any = (
        Object(cls) if kind is None else Module(kind, site, cls, state.catalogue.layer(kind))
    )
    found = objects.of_class(state, cls, "__init__")
    state.building.append(cls)
    try:
        if isinstance(found, Function):
            kept, state.module = state.module, made if isinstance(made, Module) else state.module
            try:
                following.run(state, found, args, keywords, made)
            finally:
                state.module = kept
        elif isinstance(made, Module) and kind in _DATACLASSES:
            _fields(state, made, args, {k: v for k, v in keywords.items() if k != "name"})
        elif isinstance(made, Module):
            building.begin(state, made, args, keywords)
        else:
            _fields(state, made, args, keywords)
    finally:
        state.building.pop()
    if isinstance(made, Module) and kind is not None and not kind.startswith("torch"):
        _listed(made)
    return building.adopted(state, made, keywords.get("name")) if isinstance(made, Module) else made


def _listed(made: Module) -> None:
    """Make lists of modules parts of a module: outside of PyTorch a plain list holds them."""
    for name, value in list(made.attrs.items()):
        held = isinstance(value, list | tuple) and bool(value) and not name.startswith("_")
        if held and all(isinstance(v, Module) for v in value):
            inner = Module("torch.nn.ModuleList", made.site)
            inner.children = {str(i): v for i, v in enumerate(value)}
            made.put(name, inner)


def _fields(state: State, made: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
    """Set the fields of a dataclass, or a named tuple, in their order."""
    names: list[str] = []
    assert made.cls is not None  # noqa: S101
    for one in reversed(list(objects.lineage(state, made.cls))):
        for statement in one.node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                name = statement.target.id
                names = [n for n in names if n != name] + [name]
                if statement.value is not None:
                    value = evaluating.evaluate(state, Scope(one.unit), statement.value)
                    made.attrs[name] = value
    made.attrs.update(zip(names, args, strict=False))
    made.attrs.update(keywords)
