"""Parameters and buffers that a module takes or fills anew by a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from initaudit.reading import (
    building,
    tensors,
)
from initaudit.reading.state import State
from initaudit.reading.values import (
    Module,
    Parameter,
    StopError,
    Unknown,
)


def buffer(
    state: State, module: Module, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> None:
    """Take a buffer: stored like a parameter where it is persistent and known."""
    named = dict(zip(("name", "tensor", "persistent"), args, strict=False)) | dict(keywords)
    wanted, value = named.get("name"), named.get("tensor")
    if not isinstance(wanted, str):
        raise StopError("a buffer is registered under a name that is not known", state.at)
    if value is None:
        module.attrs[wanted] = None
        return
    module.attrs.pop(wanted, None)
    if named.get("persistent", True) is False or isinstance(value, Unknown):
        module.attrs[wanted] = value
        return
    module.attrs[wanted] = value
    try:
        shape = tensors.shape(value)
    except (StopError, AttributeError):
        return
    site = state.at or module.site
    held = Parameter(tuple(shape), [], site, wanted, buffer=True, trained=False)
    held.held = value
    module.params[wanted] = held
    module.attrs.pop(wanted, None)


def reset(state: State, module: Module) -> None:
    """Initialise a framework's layer as its constructor does."""
    if module.spec is None:
        return
    for name, weight in module.spec.weights.items():
        head, dot, rest = name.partition(".")
        holder = module.children.get(head) if dot else module
        parameter = None if holder is None else holder.params.get(rest if dot else name)
        if parameter is not None:
            event = building.default(module, module.spec, weight, parameter)
            parameter.chain.append(event)
