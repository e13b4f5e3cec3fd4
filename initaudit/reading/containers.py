"""Containers of modules: what fills them, and their methods of a list or a dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from initaudit.reading import (
    evaluating,
)
from initaudit.reading.state import State
from initaudit.reading.values import (
    Module,
    StopError,
    Unknown,
)


def method(state: State, module: Module, name: str, args: tuple[Any, ...]) -> Any:
    """Return what a method of a list or a dictionary gives on a container."""
    children = module.children
    match name:
        case "append":
            return _append(state, module, args[:1])
        case "extend":
            return _append(state, module, evaluating.iterate(state, args[0]) if args else ())
        case "insert" if len(args) == 2 and isinstance(args[0], int):
            held = list(children.values())
            held.insert(args[0], args[1])
            children.clear()
            children.update({str(i): m for i, m in enumerate(held)})
            return None
        case "keys":
            return list(children)
        case "values":
            return list(children.values())
        case "items":
            return list(children.items())
        case "get" if args and isinstance(args[0], str):
            return children.get(args[0], args[1] if len(args) > 1 else None)
        case "update" if args and isinstance(args[0], dict):
            children.update({str(k): v for k, v in args[0].items() if isinstance(v, Module)})
            return None
        case _:
            return Unknown(f"{name} of a container is not followed")


def _append(state: State, module: Module, items: Any) -> Module:
    for item in items:
        if isinstance(item, Unknown):
            raise StopError(f"a module of a container is not known: {item.reason}", state.at)
        if not isinstance(item, Module | None):
            raise StopError("a container holds what is no module", state.at)
        module.children[str(len(module.children))] = item
    return module


def fill(state: State, made: Module, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
    """Put modules into a container as its constructor does.

    Raises:
        StopError: they are not known.
    """
    items: list[tuple[str, Any]]
    if made.kind in {"torch.nn.Sequential", "flax.nnx.Sequential"} and not (
        len(args) == 1 and isinstance(args[0], dict)
    ):
        items = [(str(i), item) for i, item in enumerate(args)]
    else:
        given = args[0] if args else keywords.get("modules", keywords.get("layers"))
        if isinstance(given, Unknown):
            raise StopError(f"the modules of a container are not known: {given.reason}", state.at)
        if isinstance(given, dict):
            items = [(str(k), v) for k, v in given.items()]
        else:
            held = [] if given is None else evaluating.iterate(state, given)
            pairs = made.kind == "torch.nn.ModuleDict"
            items = [(str(x[0]), x[1]) if pairs else (str(i), x) for i, x in enumerate(held)]
    for name, item in items:
        if isinstance(item, Unknown):
            raise StopError(f"a module of a container is not known: {item.reason}", state.at)
        if isinstance(item, Module):
            made.children[name] = item
        elif item is None:
            made.children[name] = None
        else:
            raise StopError("a container holds what is no module", state.at)
