"""Models that are no class of a framework: a variable, a function that makes one, plain NumPy."""

from __future__ import annotations

import ast
from typing import Any

from initaudit.network import Site
from initaudit.reading import drawing, following, names, objects
from initaudit.reading.state import State
from initaudit.reading.units import Unit
from initaudit.reading.values import (
    Drawn,
    Event,
    Function,
    Module,
    Object,
    Parameter,
    StopError,
    Unknown,
)


def of_variable(state: State, unit: Unit, name: str) -> Module:
    """Return the model that a name at the top of a file is, or makes without arguments.

    A function that gives no model is a forward pass over the arrays at the top of its file.

    Raises:
        StopError: it is none of these.
    """
    found = names.top(state, unit, name)
    value = found[0] if found is not None else None
    if isinstance(value, Module):
        return value
    if isinstance(value, Object):
        return of_object(state, value)
    if not isinstance(value, Function):
        reason = value.reason if isinstance(value, Unknown) else "it is no model"
        raise StopError(reason, unit.site(unit.table[name]))
    if _complete(value):
        made = following.run(state, value, (), {})
        if isinstance(made, Module):
            return made
        if isinstance(made, Object):
            return of_object(state, made)
        raise StopError(f"{name} makes no model that is followed", unit.site(unit.table[name]))
    return _forward(state, unit, value)


def _complete(function: Function) -> bool:
    """Return whether a function can be called without arguments."""
    if isinstance(function.node, ast.Lambda):
        return False
    told = {name for name, _ in following.defaults(function.node)}
    given = function.node.args
    return all(p.arg in told for p in [*given.posonlyargs, *given.args, *given.kwonlyargs])


def _forward(state: State, unit: Unit, function: Function) -> Module:
    made = Module("numpy.function", unit.site(function.node), attrs={"_function": function})
    waiting, seen = [function], set()
    while waiting:
        for node in ast.walk(waiting.pop().node):
            if not isinstance(node, ast.Name) or node.id in seen or node.id not in unit.table:
                continue
            seen.add(node.id)
            found = names.top(state, unit, node.id)
            value = found[0] if found is not None else None
            if isinstance(value, Function):
                waiting.append(value)
            site = unit.site(unit.table[node.id])
            held = _held(made, node.id, value, site)
            if held is not None:
                unit.values[node.id] = held
    if not made.params:
        raise StopError("it is no model: it reads no array of its file", made.site)
    return made


def of_object(state: State, value: Object) -> Module:
    """Return an object with a forward pass as a module: its arrays are its parameters.

    Raises:
        StopError: a base of its class is not known.
    """
    place = value.cls.unit.site(value.cls.node)
    for stranger in objects.strangers(state, value.cls):
        raise StopError(f"the base {stranger} of {value.cls.name} is not known", place)
    made = Module("numpy.class", place, value.cls)
    sites = _sites(value)
    for name, held in value.attrs.items():
        if isinstance(held, Module):
            made.attrs.pop(name, None)
            made.children[name] = held
            continue
        kept = _held(made, name, held, sites.get(name, made.site))
        if not isinstance(kept, Parameter):
            made.attrs[name] = held if kept is None else kept
    return made


def _sites(value: Object) -> dict[str, Site]:
    """Return where each attribute is set, by the source of the class."""
    found: dict[str, Site] = {}
    for node in ast.walk(value.cls.node):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    found.setdefault(target.attr, value.cls.unit.site(node))
    return found


def _held(made: Module, name: str, value: Any, site: Site) -> Any:
    """Return a random array, or a list or dictionary of such, as parameters; else None."""
    if isinstance(value, Drawn):
        text = f"{name} = ... of law {value.weights.law}"
        parameter = Parameter(value.shape, [], site)
        std = drawing.deviation(value.weights, drawing.fans_of(value.shape, "io"))
        parameter.chain.append(Event(value.weights, text, site, value.draw, std=std))
        made.params[name] = parameter
        return parameter
    if isinstance(value, list) and value and all(isinstance(v, Drawn) for v in value):
        return [_held(made, f"{name}.{i}", v, site) for i, v in enumerate(value)]
    if isinstance(value, dict) and any(isinstance(v, Drawn) for v in value.values()):
        return {
            k: _held(made, f"{name}.{k}", v, site) if isinstance(v, Drawn) else v
            for k, v in value.items()
        }
    return None
