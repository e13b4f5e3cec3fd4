"""Calls: of the project's functions and classes, and of what lies outside of it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from initaudit.reading import (
    building,
    constructing,
    evaluating,
    filling,
    following,
    functional,
    lasting,
    modules,
    objects,
    python,
    recipes,
    special,
    tensors,
    windows,
)
from initaudit.reading.python import PLAIN
from initaudit.reading.state import State
from initaudit.reading.values import (
    Bound,
    External,
    Function,
    Method,
    Module,
    Object,
    Partial,
    Scope,
    Super,
    Unknown,
    UserClass,
)

Args = tuple[Any, ...]
Keywords = dict[str, Any]


def expression(state: State, scope: Scope, expr: ast.Call) -> Any:
    """Return what a call in source gives."""
    if isinstance(expr.func, ast.Name) and expr.func.id == "super":
        return _super(state, scope, expr)
    if isinstance(expr.func, ast.Name) and expr.func.id == "locals":
        return dict(scope.names)
    callee = evaluating.evaluate(state, scope, expr.func)
    args: list[Any] = []
    for argument in expr.args:
        value = evaluating.evaluate(state, scope, argument)
        if isinstance(argument, ast.Starred):
            if isinstance(value, Unknown):
                return Unknown(f"its arguments are not known: {value.reason}")
            args += evaluating.iterate(state, value)
        else:
            args.append(value)
    keywords: Keywords = {}
    for keyword in expr.keywords:
        value = evaluating.evaluate(state, scope, keyword.value)
        if keyword.arg is not None:
            keywords[keyword.arg] = value
        elif isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
            keywords.update(value)
        elif not isinstance(value, Unknown):
            return Unknown("its keyword arguments are not known")
    kept = state.at
    state.at = scope.unit.site(expr)
    state.text.append(_text(expr) if state.tape is None else "")
    try:
        return apply(state, callee, tuple(args), keywords, expr)
    finally:
        state.at = kept
        state.text.pop()


@lru_cache(maxsize=4096)
def _text(expr: ast.Call) -> str:
    return ast.unparse(expr)


def _super(state: State, scope: Scope, expr: ast.Call) -> Any:
    owner, subject = scope.owner, scope.subject
    place: Scope | None = scope
    while place is not None and (owner is None or subject is None):
        owner, subject = place.owner, place.subject
        place = place.outer
    if expr.args:
        named = evaluating.evaluate(state, scope, expr.args[0])
        owner = named if isinstance(named, UserClass) else owner
    if owner is None or subject is None:
        return Unknown("super() is not followed here")
    return Super(owner, subject)


def apply(state: State, callee: Any, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    """Return what a call of a value gives."""
    match callee:
        case Function():
            return following.run(state, callee, args, keywords)
        case Bound(function=function, subject=subject):
            return following.run(state, function, args, keywords, subject)
        case Partial(callee=inner, args=first, keywords=more):
            return apply(state, inner, (*first, *args), {**more, **keywords}, node)
        case UserClass():
            return constructing.construct(state, callee, args, keywords)
        case External(name=name):
            return _external(state, name, args, keywords, node)
        case Module() if functional.deferred(args):
            return functional.Deferred(callee, args, keywords)
        case Module():
            return modules.forward(state, callee, args, keywords)
        case Method(subject=subject, name=name):
            return _method(state, subject, name, args, keywords, node)
        case Object():
            called = objects.of_class(state, callee.cls, "__call__")
            if isinstance(called, Function):
                return following.run(state, called, args, keywords, callee)
            return Unknown(f"{callee.cls.name} is not called")
        case Unknown():
            return callee
        case _:
            return Unknown("what is called is not known")


def _method(
    state: State, subject: Any, name: str, args: Args, keywords: Keywords, node: ast.AST
) -> Any:
    match subject:
        case Module():
            return modules.method(state, subject, name, args, keywords)
        case Super(subject=Module() as module):
            return modules.inherited(state, module, name, args, keywords)
        case Super():
            return None
        case windows.Window():
            return windows.method(state, subject, name)
        case _ if isinstance(subject, evaluating.TENSORS):
            return tensors.method(state, subject, name, args, keywords)
        case _ if isinstance(subject, PLAIN):
            return python.method(subject, name, args, keywords)
        case _:
            return Unknown(f"the method {name} is not followed")


def _external(state: State, name: str, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    known = special.SPECIAL.get(name)
    if known is not None:
        return known(state, args, keywords, node)
    if name in python.FUNCTIONS and not any(isinstance(a, evaluating.TENSORS) for a in args):
        return _python(state, name, args, keywords)
    full = state.catalogue.canonical(name)
    if full == "torch.nn.Parameter":
        return filling.parameter(state, args, keywords)
    if full == "torch.nn.Buffer":
        return filling.buffer(state, args, keywords)
    if functional.deferred(args) and full not in {"keras.Sequential", "keras.Model"}:
        return functional.of_function(full, args, keywords)
    if full in {"keras.Input", "keras.layers.Input", "keras.layers.InputLayer"}:
        return functional.entering(args, keywords)
    if full == "keras.Model" and (args or keywords):
        return functional.model(state, args, keywords)
    if full == "keras.Sequential":
        return functional.sequential(state, args, keywords)
    if full.startswith("keras.layers.") and full.rpartition(".")[2] in lasting.PLAIN:
        return functional.plain_layer(state, full, args, keywords)
    spec = state.catalogue.layer(full)
    if spec is not None or full in objects.CONTAINERS:
        return building.layer(state, full, spec, args, keywords)
    initialiser = state.catalogue.initialiser(full)
    if initialiser is not None and initialiser.form == "object":
        return recipes.recipe(initialiser, args, keywords)
    if initialiser is not None and initialiser.form == "factory" and not full.startswith("torch."):
        made = recipes.factory(state, initialiser, args, keywords)
        if not isinstance(made, Unknown):
            return made
    if (returned := state.catalogue.returns(full)) is not None:
        return External(returned)
    if initialiser is not None:
        return filling.initialise(state, initialiser, args, keywords)
    owner, _, last = full.rpartition(".")
    if owner in {"torch.nn.Module", *objects.CONTAINERS} and args and isinstance(args[0], Module):
        return modules.inherited(state, args[0], last, args[1:], keywords)
    return tensors.function(state, full, args, keywords)


def _python(state: State, name: str, args: Args, keywords: Keywords) -> Any:
    if name == "range":
        args = tuple(state.witness(a) if isinstance(a, Unknown) and a.key else a for a in args)
    unknown = next((a for a in (*args, *keywords.values()) if isinstance(a, Unknown)), None)
    if unknown is not None:
        if name in {"int", "float", "max", "min", "abs", "round"} and unknown.key:
            return state.witness(unknown)
        return unknown
    if name == "len" and args and isinstance(args[0], Module):
        return len(args[0].children)
    if any(isinstance(a, Module) and a.kind in objects.CONTAINERS for a in args):
        args = tuple(
            evaluating.iterate(state, a)
            if isinstance(a, Module) and a.kind in objects.CONTAINERS else a
            for a in args
        )  # fmt: skip
    if name == "range" and python.tainted(*args):
        state.guessed(*args)
    if name == "functools.reduce":
        return Unknown("functools.reduce is not followed")
    return python.call(name, args, keywords)
