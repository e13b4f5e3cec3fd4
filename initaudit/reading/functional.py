"""Keras models that are built by calling layers on inputs, before anything is computed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from initaudit.network import Site
from initaudit.reading import building, calling, evaluating, lasting, modules
from initaudit.reading.state import State
from initaudit.reading.values import External, Module, StopError, Unknown


@dataclass(frozen=True, eq=False, slots=True)
class Deferred:
    """What a call gives once the model runs; ``callee`` is None for an input of a shape."""

    callee: Any
    args: tuple[Any, ...]
    keywords: Mapping[str, Any]
    shape: tuple[int, ...] | None = None
    tokens: bool = False


def deferred(args: Any) -> bool:
    """Return whether a value among arguments is not computed yet."""
    return any(
        isinstance(a, Deferred) or (isinstance(a, list | tuple) and deferred(a)) for a in args
    )


def of_function(full: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Deferred:
    """Return a function's call for later."""
    return Deferred(External(full), args, keywords)


def entering(args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Deferred:
    """Return what ``keras.Input`` stands for."""
    shape = args[0] if args else keywords.get("shape", keywords.get("input_shape"))
    tokens = "int" in str(keywords.get("dtype", ""))
    known = isinstance(shape, tuple | list) and all(isinstance(n, int) for n in shape)
    return Deferred(None, (), {}, tuple(shape) if known and shape is not None else None, tokens)


def _name(module: Module, counts: dict[str, int]) -> str:
    given = module.attrs.get("_name")
    if isinstance(given, str):
        return given
    base = lasting.snake(module.title)
    number = counts.get(base, 0)
    counts[base] = number + 1
    return base if not number else f"{base}_{number}"


def model(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Module | Unknown:
    """Return ``keras.Model(inputs, outputs)``: its layers by the names that Keras gives them."""
    given = dict(zip(("inputs", "outputs"), args, strict=False)) | dict(keywords)
    inputs, outputs = given.get("inputs"), given.get("outputs")
    made = Module("keras.Model", state.at or Site(""))
    if isinstance(inputs, dict) or outputs is None:
        return Unknown("a model of such inputs is not followed")
    made.attrs["_inputs"] = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    made.attrs["_outputs"] = outputs
    counts: dict[str, int] = {}
    seen: set[int] = set()

    def collect(value: Any) -> None:
        if isinstance(value, list | tuple):
            for item in value:
                collect(item)
        if not isinstance(value, Deferred) or id(value) in seen:
            return
        seen.add(id(value))
        collect(value.args)
        if isinstance(value.callee, Module) and value.callee not in made.children.values():
            made.children[_name(value.callee, counts)] = value.callee

    collect(outputs)
    return made


def sequential(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Module:
    """Return ``keras.Sequential([...])``."""
    made = Module("keras.Sequential", state.at or Site(""))
    listed = args[0] if args else keywords.get("layers", [])
    for item in evaluating.iterate(state, listed or []):
        add(made, item)
    return made


def add(made: Module, item: Any) -> None:
    """Append a layer to a Sequential; an input only tells the shape."""
    if isinstance(item, Deferred):
        made.attrs["_shape"], made.attrs["_tokens"] = item.shape, item.tokens
        return
    if not isinstance(item, Module):
        raise StopError("a Sequential holds what is no layer", made.site)
    shape = item.attrs.get("_input_shape", item.attrs.get("_shape"))
    if isinstance(item.attrs.get("_input_dim"), int) and "Embedding" not in item.title:
        shape = (item.attrs["_input_dim"],)
    if isinstance(shape, tuple | list) and not made.children:
        made.attrs["_shape"] = tuple(shape)
    counts = made.attrs.setdefault("_counts", {})
    made.children[_name(item, counts)] = item


def plain_layer(
    state: State, full: str, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Module:
    """Return a Keras layer without weights that the catalogue does not list."""
    made = Module(full, state.at or Site(""))
    first = {"Rescaling": ("scale", "offset"), "Concatenate": ("axis",)}
    names = first.get(made.title, ("pool_size", "strides", "padding"))
    made.attrs.update(zip(names, args, strict=False))
    made.attrs.update(keywords)
    if isinstance(name := keywords.get("name"), str):
        made.attrs["_name"] = name
    return made


def run(state: State, made: Module, args: tuple[Any, ...]) -> Any:
    """Return what a functional model gives for its inputs."""
    inputs = made.attrs["_inputs"]
    given = args[0] if len(args) == 1 and isinstance(args[0], list | tuple) else args
    known: dict[int, Any] = {id(i): x for i, x in zip(inputs, given, strict=False)}

    def value(of: Any) -> Any:
        if isinstance(of, list | tuple):
            return type(of)(value(item) for item in of)
        if not isinstance(of, Deferred):
            return of
        if id(of) in known:
            return known[id(of)]
        if of.callee is None:
            raise StopError("an input that the model is not given", made.site)
        args_ = tuple(value(a) for a in of.args)
        if isinstance(of.callee, Module):
            named = {k: value(v) for k, v in of.keywords.items()}
            found = modules.forward(state, of.callee, args_, named)
        elif isinstance(of.callee, External) and of.callee.name.startswith("operator."):
            found = evaluating.binary(state, of.callee.name.rpartition(".")[2], *args_)
        else:
            found = calling.apply(state, of.callee, args_, dict(of.keywords), ast.Pass())
        known[id(of)] = found
        return found

    return value(made.attrs["_outputs"])


__all__ = ["Deferred", "add", "building", "deferred", "model", "run", "sequential"]
