"""A live module as the reader takes it: its tree and settings looked at, its class read as text."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from initaudit.network import Site
from initaudit.reading import building, objects
from initaudit.reading.choosing import ModelError, unit_of
from initaudit.reading.model import Model, collect
from initaudit.reading.state import State
from initaudit.reading.values import External, Module, Parameter, StopError, Unknown, UserClass

_OWN = frozenset({"_parameters", "_buffers", "_modules", "training"})
_PLAIN = (bool, int, float, str, type(None))


def of_live(state: State, obj: Any) -> Model:
    """Return a model of a live `torch.nn.Module`.

    Raises:
        StopError: the source of a class is not found.
        ModelError: a file cannot be read.
    """
    made = _module(state, obj, {})
    site = made.site
    cls = made.cls
    model = Model(
        type(obj).__name__, site.path, site, made, {}, {}, {}, (), state,
        cls if cls is not None else _nothing(state, made),
    )  # fmt: skip
    collect(model)
    return model


def _nothing(state: State, made: Module) -> UserClass:
    """Return a class that stands for a framework's own: nothing is looked up in it."""
    import ast

    from initaudit.reading.units import parse

    unit = parse("class Model: pass\n", made.site.path or made.title)
    node = unit.tree.body[0]
    assert isinstance(node, ast.ClassDef)  # noqa: S101
    return UserClass(node, unit)


def _module(state: State, obj: Any, known: dict[int, Module]) -> Module:
    if id(obj) in known:
        return known[id(obj)]
    kind = type(obj)
    full = state.catalogue.canonical(f"{kind.__module__}.{kind.__qualname__}")
    spec = state.catalogue.layer(full)
    if spec is not None or full in objects.CONTAINERS:
        made = Module(full, Site(kind.__qualname__), None, spec)
        for parameter in spec.parameters if spec is not None else ():
            if hasattr(obj, parameter.name):
                value = _value(getattr(obj, parameter.name))
                if parameter.name == "bias" and not isinstance(value, bool):
                    value = getattr(obj, "bias", None) is not None
                made.bound = {**made.bound, parameter.name: building.folded(value)}
    else:
        cls = _class(state, kind)
        found = objects.kind(state, cls)
        made = Module(found or "torch.nn.Module", cls.unit.site(cls.node), cls)
        made.attrs = {k: _value(v) for k, v in vars(obj).items() if k not in _OWN}
    known[id(obj)] = made
    for name, child in getattr(obj, "_modules", {}).items():
        made.children[name] = None if child is None else _module(state, child, known)
    seen = state.seen
    for buffer, held in ((False, obj._parameters), (True, obj._buffers)):
        for name, tensor in held.items():
            if tensor is None:
                made.params[name] = None
                continue
            if id(tensor) not in seen:
                shape = tuple(int(n) for n in tensor.shape)
                seen[id(tensor)] = Parameter(shape, [], made.site, name, buffer=buffer)
            made.params[name] = seen[id(tensor)]
    return made


def _class(state: State, kind: type) -> UserClass:
    try:
        file = inspect.getsourcefile(kind)
    except (TypeError, OSError):
        file = None
    if file is None:
        raise StopError(f"the source of {kind.__qualname__} is not found")
    unit = unit_of(state.files, Path(file))
    found = unit.classes.get(kind.__qualname__, [])
    if len(found) != 1:
        raise ModelError(f"{file} has no one class {kind.__qualname__} at its top")
    return found[0]


def _value(value: Any) -> Any:
    """Return a setting as the reader holds it; what it does not know is unknown."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple):
        return (
            type(value)(_value(v) for v in value)
            if type(value) in {list, tuple}
            else tuple(_value(v) for v in value)
        )
    if isinstance(value, dict):
        return {k: _value(v) for k, v in value.items()}
    name, home = getattr(value, "__name__", None), getattr(value, "__module__", None)
    if isinstance(name, str) and isinstance(home, str) and callable(value):
        known = {"torch._C._nn": "torch.nn.functional", "torch._VariableFunctions": "torch"}
        return External(f"{known.get(home, home)}.{name}")
    return Unknown("an attribute of the live object that is not followed")
