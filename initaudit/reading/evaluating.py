"""Expressions: what each is, as far as the source tells."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from initaudit.checkpoint.graphs.values import Known, Signal, Weight
from initaudit.reading import (
    assigning,
    calling,
    collecting,
    comparing,
    filling,
    functional,
    items,
    names,
    objects,
    parts,
    python,
    tensors,
)
from initaudit.reading.python import PLAIN
from initaudit.reading.settings import plain
from initaudit.reading.state import State
from initaudit.reading.values import (
    Drawn,
    External,
    Function,
    Module,
    Namespace,
    Object,
    Parameter,
    Scope,
    StopError,
    Unknown,
    View,
)
from initaudit.reading.windows import Window

TENSORS = (Known, Weight, Signal, Parameter, View, Drawn)
"""What a tensor may be."""

_OPERATORS = {
    "Add": "add", "Sub": "sub", "Mult": "mul", "Div": "div", "Pow": "pow", "MatMult": "matmul",
    "FloorDiv": "floor_divide", "Mod": "remainder", "BitAnd": "__and__", "BitOr": "__or__",
}  # fmt: skip


def evaluate(state: State, scope: Scope, expr: ast.expr) -> Any:
    """Return what an expression is; an `Unknown` with the reason where that is not told."""
    state.spend(scope.unit, expr)
    match expr:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=wanted):
            return names.name(state, scope, wanted)
        case ast.Attribute(value=inner, attr=wanted):
            return attribute_of(state, evaluate(state, scope, inner), wanted)
        case ast.Call():
            return calling.expression(state, scope, expr)
        case ast.BinOp(left=left, op=op, right=right):
            values = (evaluate(state, scope, left), evaluate(state, scope, right))
            return binary(state, type(op).__name__, *values)
        case ast.UnaryOp(op=op, operand=operand):
            return _unary(state, type(op).__name__, evaluate(state, scope, operand))
        case ast.BoolOp(op=op, values=values):
            return _boolean(state, scope, values, stop_at=isinstance(op, ast.Or))
        case ast.Compare():
            return comparing.compare(state, scope, expr)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _choice(state, scope, test, body, orelse)
        case ast.Tuple(elts=elements):
            return tuple(collecting.items(state, scope, elements))
        case ast.List(elts=elements):
            return list(collecting.items(state, scope, elements))
        case ast.Set(elts=elements):
            return collecting.as_set(list(collecting.items(state, scope, elements)))
        case ast.Dict():
            return collecting.dictionary(state, scope, expr)
        case ast.Subscript(value=inner, slice=index):
            return items.subscript(
                state, evaluate(state, scope, inner), evaluate(state, scope, index)
            )
        case ast.Slice(lower=lower, upper=upper, step=step):
            ends = (None if e is None else evaluate(state, scope, e) for e in (lower, upper, step))
            return slice(*ends)
        case ast.Lambda():
            return Function(expr, scope.unit, scope, scope.owner)
        case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
            return collecting.comprehension(state, scope, expr.generators, element)
        case ast.SetComp(elt=element):
            found = collecting.comprehension(state, scope, expr.generators, element)
            return collecting.as_set(found) if isinstance(found, list) else found
        case ast.DictComp(key=key, value=value):
            pair = ast.Tuple([key, value], ast.Load())
            ast.copy_location(pair, expr)
            found = collecting.comprehension(state, scope, expr.generators, pair)
            return dict(found) if isinstance(found, list) else found
        case ast.JoinedStr(values=parts):
            return collecting.joined(state, scope, parts)
        case ast.FormattedValue(value=inner):
            value = evaluate(state, scope, inner)
            return str(value) if isinstance(value, PLAIN) else Unknown("its text is not known")
        case ast.NamedExpr(target=target, value=inner):
            value = evaluate(state, scope, inner)
            assigning.assign(state, scope, target, value)
            return value
        case ast.Starred(value=inner):
            return evaluate(state, scope, inner)
        case _:
            return Unknown(f"{type(expr).__name__} is not followed")


def truth(value: Any) -> bool | None:
    """Return whether a value counts as true; None where that is not known."""
    if isinstance(value, Unknown):
        return None
    if isinstance(value, bool) or value is None:
        return bool(value)
    if python.tainted(value) and isinstance(value, int | float):
        return True
    if isinstance(value, PLAIN):
        return bool(value)
    if isinstance(value, Known) and value.array.size == 1:
        return bool(value.array.item())
    if isinstance(value, TENSORS):
        return None
    if isinstance(value, Module) and value.kind in objects.CONTAINERS:
        return bool(value.children)
    return True


def binary(state: State, name: str, left: Any, right: Any) -> Any:
    """Return what an operator makes of two values."""
    if functional.deferred((left, right)):
        return functional.Deferred(External(f"operator.{name}"), (left, right), {})
    if isinstance(left, TENSORS) or isinstance(right, TENSORS):
        if name not in _OPERATORS:
            return Unknown(f"the operator {name} of tensors is not followed")
        return tensors.operation(state, _OPERATORS[name], (left, right))
    left, right = number(state, left), number(state, right)
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return left if isinstance(left, Unknown) else right
    if not (isinstance(left, PLAIN) and isinstance(right, PLAIN)):
        return Unknown(f"the operator {name} is not followed here")
    return python.binary(name, left, right)


def number(state: State, value: Any) -> Any:
    """Return a number for one that the model is given, so that sizes can be computed with it."""
    return state.witness(value) if isinstance(value, Unknown) and value.key else value


def _unary(state: State, name: str, value: Any) -> Any:
    if name == "Not":
        told = truth(value)
        return Unknown("a condition is not known") if told is None else not told
    if isinstance(value, TENSORS):
        return tensors.operation(state, "neg" if name == "USub" else "bitwise_not", (value,))
    if isinstance(value, int | float):
        made = {"USub": lambda x: -x, "UAdd": lambda x: x, "Invert": lambda x: ~x}[name](value)
        return python.taint(made) if python.tainted(value) else made
    return value if isinstance(value, Unknown) else Unknown(f"{name} is not followed here")


def _boolean(state: State, scope: Scope, values: Sequence[ast.expr], *, stop_at: bool) -> Any:
    value: Any = None
    for i, expr in enumerate(values):
        value = evaluate(state, scope, expr)
        told = truth(value)
        if told is None:
            # Where a later operand settles it whatever this one is, it is settled.
            for later in values[i + 1 :]:
                other = evaluate(state, scope, later)
                if isinstance(other, bool) and other is stop_at:
                    return other
            return Unknown("a condition is not known", value.key if isinstance(value, Unknown) and
                           stop_at else "")  # fmt: skip
        if told is stop_at:
            return value
    return value


def _choice(state: State, scope: Scope, test: ast.expr, body: ast.expr, orelse: ast.expr) -> Any:
    condition = evaluate(state, scope, test)
    told = truth(condition)
    if told is None:
        if isinstance(condition, Known | Signal):
            return Unknown("it depends on the numbers in a tensor")
        reason = condition.reason if isinstance(condition, Unknown) else "a condition is not known"
        return Unknown(reason)
    return evaluate(state, scope, body if told else orelse)


def iterate(state: State, value: Any) -> list[Any]:
    """Return the items of a value; StopError where they are not known."""
    match value:
        case list() | tuple() | set() | frozenset() | range() | str():
            return list(value)
        case dict():
            return list(value)
        case Module() if value.kind == "torch.nn.ModuleDict":
            return list(value.children)
        case Module() if value.kind in objects.CONTAINERS:
            return list(value.children.values())
        case Unknown():
            raise StopError(f"a loop over what is not known: {value.reason}", state.at)
        case _ if isinstance(value, TENSORS):
            return parts.items(state, value)
        case _:
            raise StopError("a loop over what is not followed", state.at)


def put(state: State, subject: Any, wanted: str, value: Any) -> None:
    """Set an attribute."""
    match subject:
        case Module():
            subject.put(wanted, value)
        case Object() | Namespace():
            subject.attrs[wanted] = value
        case Parameter() | View() | Window() if wanted == "data":
            filling.fill(state, subject, value)
        case Parameter() if wanted == "requires_grad":
            subject.trained = value is not False
        case _:
            pass


def call(
    state: State, callee: Any, args: Sequence[Any], keywords: Mapping[str, Any], node: ast.AST
) -> Any:
    """Return what a call gives: see `initaudit.reading.calling.apply`."""
    return calling.apply(state, callee, tuple(args), dict(keywords), node)


def attribute_of(state: State, subject: Any, wanted: str) -> Any:
    """Return an attribute of a value, tensors among them."""
    if isinstance(subject, TENSORS):
        return tensors.attribute(state, subject, wanted)
    return objects.attribute(state, subject, wanted)


__all__ = [
    "TENSORS", "attribute_of", "binary", "call", "evaluate", "iterate", "plain", "put", "truth",
]  # fmt: skip
