"""Initialising calls of a file: what is filled, by which law, in which function and branch."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from initaudit.catalogue import UNKNOWN, Catalogue, Initialiser, Value, bind, weights
from initaudit.network import Weights
from initaudit.source.fold import fold
from initaudit.source.module import Function, Module


@dataclass(frozen=True)
class Draw:
    """One initialising call.

    ``target`` is what it fills: the first argument of an in-place function, the owner of a tensor
    method; None for a factory or an initialiser object. ``path`` is the target as dotted words
    (``("m", "weight")``; ``.data``, ``.detach()`` and subscripts left out), empty where it has
    none. ``bound`` holds the arguments by parameter name, ``weights`` what they come to.
    """

    node: ast.Call
    callee: Initialiser
    target: ast.expr | None
    path: tuple[str, ...]
    bound: Mapping[str, Value]
    weights: Weights
    function: Function | None
    owner: ast.ClassDef | None

    @property
    def role(self) -> str:
        """The last word of the target: ``weight``, ``bias``, a parameter's own name."""
        return self.path[-1] if self.path else ""


_TRANSPARENT = frozenset({"data", "detach", "view", "T", "contiguous"})


def draws(module: Module, catalogue: Catalogue) -> list[Draw]:
    """Return the initialising calls of a file, in source order."""
    found = []
    words = catalogue.words_of_initialisers(module.names.packages)
    stands = module.names.stands
    calls = [
        call
        for word, called in module.calls_by_word.items()
        if not word or word in words or stands(word, words)
        for call in called
    ]
    for call in calls:
        draw = read_draw(module, catalogue, call)
        if draw is not None:
            found.append(draw)
    found.sort(key=lambda d: (d.node.lineno, d.node.col_offset))
    return found


def read_draw(module: Module, catalogue: Catalogue, call: ast.Call) -> Draw | None:
    """Return a call as a draw; None where the catalogue does not know it or it cannot be bound."""
    callee = _callee(module, catalogue, call)
    if callee is None:
        return None
    args = list(call.args)
    target: ast.expr | None = None
    if callee.form == "inplace":
        target = args[0] if args else _keyword(call, callee.parameters[0].name)
    elif callee.form == "method" and isinstance(call.func, ast.Attribute):
        target = call.func.value
    values = _bound(module, callee, call)
    if values is None:
        return None
    return Draw(
        node=call,
        callee=callee,
        target=target,
        path=() if target is None else dotted(target),
        bound=values,
        weights=weights(callee, values),
        function=module.function(call),
        owner=module.class_of(call),
    )


def dotted(expr: ast.expr) -> tuple[str, ...]:
    """Return the words of a target: ``self.fc[0].weight.data`` is (self, fc, weight)."""
    if isinstance(expr, ast.Name):
        return (expr.id,)
    if isinstance(expr, ast.Attribute):
        owner = dotted(expr.value)
        if not owner:
            return ()
        return owner if expr.attr in _TRANSPARENT else (*owner, expr.attr)
    if isinstance(expr, ast.Subscript):
        return dotted(expr.value)
    if isinstance(expr, ast.Call) and isinstance(expr.func, ast.Attribute):
        return dotted(expr.func.value) if expr.func.attr in _TRANSPARENT else ()
    return ()


def _callee(module: Module, catalogue: Catalogue, call: ast.Call) -> Initialiser | None:
    for name in module.names.candidates(call.func):
        found = catalogue.initialiser(name)
        if found is not None:
            return found
    # A method of a tensor has no qualified name: it is known by its own, on a parameter.
    if isinstance(call.func, ast.Attribute) and module.qualified(call.func) is None:
        found = catalogue.method(call.func.attr)
        if found is not None and dotted(call.func.value):
            return found
    return None


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def _bound(module: Module, callee: Initialiser, call: ast.Call) -> Mapping[str, Value] | None:
    if any(k.arg is None for k in call.keywords):
        return None
    if any(isinstance(arg, ast.Starred) for arg in call.args):
        if callee.form != "factory":
            return None
        return {}
    module.share(call, [*call.args, *(keyword.value for keyword in call.keywords)])
    positional: Any = call.args
    keywords: Any = {k.arg: k.value for k in call.keywords}
    given: Mapping[str, Any] | None = bind(callee.parameters, positional, keywords)
    if given is None:
        return None
    # Most arguments are shapes, types and devices, which no law depends on.
    told = callee.told
    return {
        name: fold(module, held) if name in told and isinstance(held, ast.expr) else UNKNOWN
        for name, held in given.items()
    }
