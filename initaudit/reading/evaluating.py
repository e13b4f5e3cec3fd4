"""Expressions: what each is, as far as the source tells."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from initaudit.catalogue import Unknown as NotFolded
from initaudit.catalogue import argument
from initaudit.checkpoint.graphs.values import Known, Signal, Weight
from initaudit.network import Interval
from initaudit.reading import calling, filling, functional, objects, python, tensors
from initaudit.reading.python import PLAIN
from initaudit.reading.state import State, child
from initaudit.reading.values import (
    Bound,
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
    UserClass,
    View,
)
from initaudit.reading.windows import Window

TENSORS = (Known, Weight, Signal, Parameter, View, Drawn)
"""What a tensor may be."""

_OPERATORS = {
    "Add": "add", "Sub": "sub", "Mult": "mul", "Div": "div", "Pow": "pow", "MatMult": "matmul",
    "FloorDiv": "floor_divide", "Mod": "remainder", "BitAnd": "__and__", "BitOr": "__or__",
}  # fmt: skip
_COMPARED = {"Eq": "eq", "NotEq": "ne", "Lt": "lt", "LtE": "le", "Gt": "gt", "GtE": "ge"}


def evaluate(state: State, scope: Scope, expr: ast.expr) -> Any:
    """Return what an expression is; an `Unknown` with the reason where that is not told."""
    state.spend(scope.unit, expr)
    match expr:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=wanted):
            return objects.name(state, scope, wanted)
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
            return _compare(state, scope, expr)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _choice(state, scope, test, body, orelse)
        case ast.Tuple(elts=elements):
            return tuple(_items(state, scope, elements))
        case ast.List(elts=elements):
            return list(_items(state, scope, elements))
        case ast.Set(elts=elements):
            return _set(list(_items(state, scope, elements)))
        case ast.Dict():
            return _dict(state, scope, expr)
        case ast.Subscript(value=inner, slice=index):
            return subscript(state, evaluate(state, scope, inner), evaluate(state, scope, index))
        case ast.Slice(lower=lower, upper=upper, step=step):
            ends = (None if e is None else evaluate(state, scope, e) for e in (lower, upper, step))
            return slice(*ends)
        case ast.Lambda():
            return Function(expr, scope.unit, scope, scope.owner)
        case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
            return _comprehension(state, scope, expr.generators, element)
        case ast.SetComp(elt=element):
            found = _comprehension(state, scope, expr.generators, element)
            return _set(found) if isinstance(found, list) else found
        case ast.DictComp(key=key, value=value):
            pair = ast.Tuple([key, value], ast.Load())
            ast.copy_location(pair, expr)
            found = _comprehension(state, scope, expr.generators, pair)
            return dict(found) if isinstance(found, list) else found
        case ast.JoinedStr(values=parts):
            return _joined(state, scope, parts)
        case ast.FormattedValue(value=inner):
            value = evaluate(state, scope, inner)
            return str(value) if isinstance(value, PLAIN) else Unknown("its text is not known")
        case ast.NamedExpr(target=target, value=inner):
            value = evaluate(state, scope, inner)
            assign(state, scope, target, value)
            return value
        case ast.Starred(value=inner):
            return evaluate(state, scope, inner)
        case _:
            return Unknown(f"{type(expr).__name__} is not followed")


def _items(state: State, scope: Scope, elements: Sequence[ast.expr]) -> Iterator[Any]:
    for element in elements:
        value = evaluate(state, scope, element)
        if isinstance(element, ast.Starred):
            yield from iterate(state, value)
        else:
            yield value


def _set(items: list[Any]) -> Any:
    try:
        return set(items)
    except TypeError:
        return Unknown("a set of such things is not followed")


def _dict(state: State, scope: Scope, expr: ast.Dict) -> Any:
    found: dict[Any, Any] = {}
    for key, value in zip(expr.keys, expr.values, strict=True):
        held = evaluate(state, scope, value)
        if key is None:
            if not isinstance(held, Mapping):
                return Unknown("a ** of something that is not known")
            found.update(held)
            continue
        at = evaluate(state, scope, key)
        try:
            found[at] = held
        except TypeError:
            return Unknown("a dictionary with such keys is not followed")
    return found


def _joined(state: State, scope: Scope, parts: Sequence[ast.expr]) -> Any:
    text = []
    for part in parts:
        value = evaluate(state, scope, part)
        if not isinstance(value, str):
            return Unknown("its text is not known")
        text.append(value)
    return "".join(text)


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
    left, right = _number(state, left), _number(state, right)
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return left if isinstance(left, Unknown) else right
    if not (isinstance(left, PLAIN) and isinstance(right, PLAIN)):
        return Unknown(f"the operator {name} is not followed here")
    return python.binary(name, left, right)


def _number(state: State, value: Any) -> Any:
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


def _compare(state: State, scope: Scope, expr: ast.Compare) -> Any:
    left = evaluate(state, scope, expr.left)
    for op, comparator in zip(expr.ops, expr.comparators, strict=True):
        right = evaluate(state, scope, comparator)
        held = _holds(state, type(op).__name__, left, right)
        if isinstance(held, Unknown | Known | Signal):
            return held
        if not held:
            return False
        left = right
    return True


def _holds(state: State, name: str, left: Any, right: Any) -> Any:
    if name in {"Is", "IsNot"}:
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return left if isinstance(left, Unknown) else right
        same = left is right or (
            isinstance(left, PLAIN) and isinstance(right, PLAIN) and left is not None
            and right is not None and type(left) is type(right) and left == right
        ) or (isinstance(left, External) and left == right)  # fmt: skip
        return same if name == "Is" else not same
    if name in {"In", "NotIn"}:
        return _within(left, right, name)
    if isinstance(left, TENSORS) or isinstance(right, TENSORS):
        return tensors.operation(state, _COMPARED[name], (left, right))
    if isinstance(left, int | float) and not isinstance(left, bool):
        right = _number(state, right)
    elif isinstance(right, int | float) and not isinstance(right, bool):
        left = _number(state, left)
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return left if isinstance(left, Unknown) else right
    if isinstance(left, PLAIN) and isinstance(right, PLAIN):
        if python.tainted(left, right):
            state.guessed(left, right)
        return python.compare(name, left, right)
    if name in {"Eq", "NotEq"}:
        same = left is right or (isinstance(left, External) and left == right)
        return same if name == "Eq" else not same
    return Unknown("its operands do not compare")


def _within(left: Any, right: Any, name: str) -> Any:
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return left if isinstance(left, Unknown) else right
    if isinstance(right, Module):
        return (left in right.children) is (name == "In")
    if isinstance(right, External) and right.name.endswith(".__dir__"):
        return name == "In"
    if not isinstance(right, PLAIN) or isinstance(left, Unknown):
        return Unknown("whether it is in there is not known")
    inside: Any = right
    try:
        return (left in inside) is (name == "In")
    except TypeError:
        return Unknown("whether it is in there is not known")


def _choice(state: State, scope: Scope, test: ast.expr, body: ast.expr, orelse: ast.expr) -> Any:
    condition = evaluate(state, scope, test)
    told = truth(condition)
    if told is None:
        if isinstance(condition, Known | Signal):
            return Unknown("it depends on the numbers in a tensor")
        reason = condition.reason if isinstance(condition, Unknown) else "a condition is not known"
        return Unknown(reason)
    return evaluate(state, scope, body if told else orelse)


def _comprehension(
    state: State, scope: Scope, generators: Sequence[ast.comprehension], element: ast.expr
) -> Any:
    found: list[Any] = []
    unknown: list[Unknown] = []

    def run(level: int, inner: Scope) -> None:
        if unknown:
            return
        if level == len(generators):
            found.append(evaluate(state, inner, element))
            return
        generator = generators[level]
        source = evaluate(state, inner, generator.iter)
        if isinstance(source, Unknown):
            unknown.append(source)
            return
        for item in iterate(state, source):
            here = child(inner)
            assign(state, here, generator.target, item)
            tests = [truth(evaluate(state, here, test)) for test in generator.ifs]
            if None in tests:
                unknown.append(Unknown("a condition in a comprehension is not known"))
                return
            if all(tests):
                run(level + 1, here)

    run(0, child(scope))
    return unknown[0] if unknown else found


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
            return tensors.items(state, value)
        case _:
            raise StopError("a loop over what is not followed", state.at)


def subscript(state: State, subject: Any, index: Any) -> Any:
    """Return an item, or a part, of a value."""
    if isinstance(subject, TENSORS):
        return tensors.index(state, subject, index)
    if isinstance(subject, Window):
        return subject
    if isinstance(subject, Unknown):
        key = f"{subject.key}[]" if subject.key else ""
        return Unknown(subject.reason, key)
    if isinstance(index, Unknown):
        return index
    if isinstance(subject, Module):
        return _child(subject, index)
    if isinstance(subject, UserClass | External):
        return subject
    if isinstance(index, Known) and index.array.size == 1:
        index = index.array.item()
    if isinstance(subject, PLAIN):
        try:
            return subject[index]  # type: ignore[index]
        except (TypeError, LookupError, ValueError):
            return Unknown("there is no such item")
    return Unknown("an item of this is not followed")


def _child(module: Module, index: Any) -> Any:
    names = list(module.children)
    if isinstance(index, str):
        return module.children.get(index, Unknown(f"there is no {index} in it"))
    if isinstance(index, slice):
        ends = (index.start, index.stop, index.step)
        if any(isinstance(e, Unknown) for e in ends) or python.tainted(*(e for e in ends if e)):
            return Unknown("the ends of a slice are not known")
        part = Module(module.kind, module.site)
        for i, name in enumerate(names[index]):
            part.children[str(i) if module.kind != "torch.nn.Sequential" else name] = (
                module.children[name]
            )
        return part
    if isinstance(index, int) and -len(names) <= index < len(names) and not python.tainted(index):
        return module.children[names[index]]
    return Unknown("there is no such module in it")


def assign(state: State, scope: Scope, target: ast.expr, value: Any) -> None:
    """Give a target a value."""
    match target:
        case ast.Name(id=wanted):
            scope.names[wanted] = value
        case ast.Attribute(value=inner, attr=wanted):
            put(state, evaluate(state, scope, inner), wanted, value)
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            _unpack(state, scope, targets, value)
        case ast.Starred(value=inner):
            assign(state, scope, inner, value)
        case ast.Subscript(value=inner, slice=index):
            subject, at = evaluate(state, scope, inner), evaluate(state, scope, index)
            _put_item(state, subject, at, value)
        case _:
            state.doubt("a target of an assignment is not followed")


def _unpack(state: State, scope: Scope, targets: Sequence[ast.expr], value: Any) -> None:
    if isinstance(value, Unknown):
        for target in targets:
            assign(state, scope, target, value)
        return
    items = iterate(state, value)
    star = next((i for i, t in enumerate(targets) if isinstance(t, ast.Starred)), None)
    if star is not None:
        behind = len(targets) - star - 1
        middle = items[star : len(items) - behind]
        items = [*items[:star], middle, *items[len(items) - behind :]]
    if len(items) != len(targets):
        raise StopError(f"{len(items)} values for {len(targets)} names", state.at)
    for target, item in zip(targets, items, strict=True):
        assign(state, scope, target, item)


def _put_item(state: State, subject: Any, at: Any, value: Any) -> None:
    match subject:
        case Module():
            if isinstance(value, Module) and isinstance(at, str | int):
                names = list(subject.children)
                subject.children[names[at] if isinstance(at, int) else at] = value
                return
        case dict() | list():
            if not isinstance(at, Unknown):
                try:
                    subject[at] = value
                except (TypeError, LookupError, ValueError):
                    state.doubt("an item that is not there is set")
                return
        case Parameter() | View():
            filling.fill(state, tensors.index(state, subject, at), value)
            return
        case Window():
            filling.fill(state, subject, value)
            return
        case Unknown():
            return
        case Signal():
            raise StopError("a part of a tensor is written over", state.at)
        case _:
            pass
    state.doubt("an item of something that is not followed is set")


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


def plain(module: Module, wanted: str) -> Any:
    """Return what a framework's layer was made with, as a Python value."""
    if module.spec is None:
        return Unknown(f"{wanted} is not known")
    return unfolded(argument(module.spec.parameters, module.bound, wanted), wanted)


def unfolded(value: Any, wanted: str) -> Any:
    """Return a value of the catalogue as a Python value."""
    match value:
        case Interval(lo, hi):
            if lo != hi:
                return Unknown(f"{wanted} is not known")
            return int(lo) if float(lo).is_integer() else lo
        case NotFolded():
            return Unknown(f"{wanted} is not known")
        case tuple():
            return tuple(unfolded(v, wanted) for v in value)
        case _:
            return value


def call(
    state: State, callee: Any, args: Sequence[Any], keywords: Mapping[str, Any], node: ast.AST
) -> Any:
    """Return what a call gives: see `initaudit.reading.calling.apply`."""
    return calling.apply(state, callee, tuple(args), dict(keywords), node)


__all__ = ["TENSORS", "Bound", "assign", "binary", "call", "evaluate", "iterate", "truth"]


def attribute_of(state: State, subject: Any, wanted: str) -> Any:
    """Return an attribute of a value, tensors among them."""
    if isinstance(subject, TENSORS):
        return tensors.attribute(state, subject, wanted)
    return objects.attribute(state, subject, wanted)
