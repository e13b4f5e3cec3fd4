"""Numbers and words that an expression is known to hold, without running it."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping

from initaudit.catalogue import UNKNOWN, Value
from initaudit.network import Interval
from initaudit.source.module import Module, arguments

_DEPTH = 12
_CALLS: Mapping[str, Callable[[float], float]] = {
    "math.sqrt": math.sqrt,
    "numpy.sqrt": math.sqrt,
    "math.log": math.log,
    "math.log2": math.log2,
    "math.exp": math.exp,
    "float": float,
    "int": lambda x: float(int(x)),
}
_CONSTANTS: Mapping[str, float] = {
    "math.pi": math.pi, "numpy.pi": math.pi, "math.e": math.e, "math.inf": math.inf,
    "numpy.inf": math.inf,
}  # fmt: skip
_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Pow: lambda a, b: float(a**b),
}


def fold(module: Module, expr: ast.expr | None, depth: int = 0) -> Value:
    """Return what an expression is known to be: a point, a string, a truth value, None.

    Folded are literals, arithmetic, roots, names and attributes of ``self`` or the class that are
    assigned once, to such a value. A parameter's default is not its value, for callers differ.
    """
    if depth > _DEPTH:
        return UNKNOWN
    if isinstance(expr, ast.Constant):
        return _constant(expr.value)
    if isinstance(expr, ast.UnaryOp) and isinstance(expr.op, ast.USub | ast.UAdd):
        module.share(expr, (expr.operand,))
        number = point(fold(module, expr.operand, depth + 1))
        if number is None:
            return UNKNOWN
        return Interval.point(-number if isinstance(expr.op, ast.USub) else number)
    if isinstance(expr, ast.BinOp):
        return _arithmetic(module, expr, depth)
    if isinstance(expr, ast.Call):
        return _call(module, expr, depth)
    if isinstance(expr, ast.Name | ast.Attribute):
        return _named(module, expr, depth)
    return UNKNOWN


def point(value: Value) -> float | None:
    """Return the number that a value is known to be, None where it is no single number."""
    if isinstance(value, Interval) and value.lo == value.hi:
        return value.lo
    return None


def _constant(value: object) -> Value:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        try:
            return Interval.point(float(value))
        except OverflowError:
            return UNKNOWN
    return UNKNOWN


def _arithmetic(module: Module, expr: ast.BinOp, depth: int) -> Value:
    operation = _BINARY.get(type(expr.op))
    module.share(expr, (expr.left, expr.right))
    left = point(fold(module, expr.left, depth + 1))
    right = point(fold(module, expr.right, depth + 1))
    if operation is None or left is None or right is None:
        return UNKNOWN
    try:
        return Interval.point(operation(left, right))
    except (ArithmeticError, ValueError, TypeError):
        return UNKNOWN


def _call(module: Module, expr: ast.Call, depth: int) -> Value:
    name = module.qualified(expr.func)
    if name is None and isinstance(expr.func, ast.Name):
        name = expr.func.id
    operation = _CALLS.get(name or "")
    if operation is None or len(expr.args) != 1 or expr.keywords:
        return UNKNOWN
    module.share(expr, expr.args)
    number = point(fold(module, expr.args[0], depth + 1))
    try:
        return UNKNOWN if number is None else Interval.point(operation(number))
    except (ArithmeticError, ValueError):
        return UNKNOWN


def _named(module: Module, expr: ast.Name | ast.Attribute, depth: int) -> Value:
    known = _CONSTANTS.get(module.qualified(expr) or "")
    if known is not None:
        return Interval.point(known)
    if isinstance(expr, ast.Name):
        value = _assigned_name(module, expr)
        return UNKNOWN if value is None else fold(module, value, depth + 1)
    if isinstance(expr.value, ast.Name) and expr.value.id in {"self", "cls"}:
        value = _assigned_attribute(module, expr)
        return UNKNOWN if value is None else fold(module, value, depth + 1)
    return UNKNOWN


def _assigned_name(module: Module, expr: ast.Name) -> ast.expr | None:
    """Return the one value that a name is given in its function, or at the top of the file."""
    if expr.id not in module.assigned.names:
        return None
    function = module.function(expr)
    if function is not None:
        if any(argument.arg == expr.id for argument in arguments(function)):
            return None
        local = module.assigned.values(function, expr.id)
        if local:
            return local[0] if len(local) == 1 else None
    outer = module.assigned.values(None, expr.id)
    return outer[0] if len(outer) == 1 else None


def _assigned_attribute(module: Module, expr: ast.Attribute) -> ast.expr | None:
    attributes = module.assigned.attributes
    if not any(expr.attr in held for held in attributes.values()):
        return None
    owner = module.class_of(expr)
    found = [] if owner is None else attributes.get(owner, {}).get(expr.attr, [])
    return found[0][1] if len(found) == 1 else None
