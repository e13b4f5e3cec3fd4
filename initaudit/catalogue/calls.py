"""A call's arguments against a callable's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import EllipsisType
from typing import TypeAlias, cast

from initaudit.catalogue.entries import REQUIRED, UNKNOWN, Parameter, Value

UnreadableArguments: TypeAlias = EllipsisType
"""``...`` stands for ``*args`` among positional and for ``**kwargs`` among keyword values."""


def bind(
    parameters: Sequence[Parameter],
    positional: Sequence[Value | UnreadableArguments],
    keywords: Mapping[str, Value | UnreadableArguments],
) -> dict[str, Value] | None:
    """Return the arguments that were given, by parameter name; defaults are not filled in.

    A variadic parameter holds a tuple, or the one tuple or unknown value that it was given.
    None where the call does not fit: an argument too many or twice, an unknown keyword, a
    required one missing, or ``*args``/``**kwargs`` (`UnreadableArguments`) in it.
    """
    bound: dict[str, Value] = {}
    rest = list(positional)
    for parameter in parameters:
        if not rest:
            break
        if parameter.kind == "variadic":
            bound[parameter.name] = _spread(rest)
            rest = []
        elif parameter.kind == "plain":
            first = rest.pop(0)
            if isinstance(first, EllipsisType):
                return None
            bound[parameter.name] = first
    if rest or ... in positional or ... in keywords.values():
        return None
    if keywords:
        if not bound.keys().isdisjoint(keywords) or not _are_named(parameters, keywords):
            return None
        bound.update(cast("Mapping[str, Value]", keywords))
    return None if any(p.name not in bound for p in parameters if _needed(p)) else bound


def _are_named(parameters: Sequence[Parameter], names: Iterable[str]) -> bool:
    """Return whether every name is that of a parameter, or may be any."""
    known = {p.name for p in parameters if p.kind != "others"}
    return len(known) < len(parameters) or known.issuperset(names)


def argument(
    parameters: Sequence[Parameter], bound: Mapping[str, Value], name: str | None
) -> Value:
    """Return what a parameter holds: the argument, else the default, else unknown."""
    if name is not None and name in bound:
        return bound[name]
    for parameter in parameters:
        if parameter.name == name and parameter.default is not REQUIRED:
            return parameter.default
    return UNKNOWN


def filled(parameters: Sequence[Parameter], bound: Mapping[str, Value]) -> dict[str, Value]:
    """Return every parameter's value: see `argument`."""
    return {p.name: argument(parameters, bound, p.name) for p in parameters}


def _needed(parameter: Parameter) -> bool:
    return parameter.default is REQUIRED and parameter.kind in ("plain", "keyword")


def _spread(values: Sequence[Value | UnreadableArguments]) -> Value:
    if len(values) == 1 and (isinstance(values[0], tuple) or values[0] is UNKNOWN):
        return values[0]
    return tuple(UNKNOWN if isinstance(v, EllipsisType) else v for v in values)
