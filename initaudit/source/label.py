"""What the code calls its weights and layers: ``self.fc1``, ``self.net[0]``, ``W1``."""

from __future__ import annotations

import ast
import re

_TURNING = frozenset({"t", "transpose", "permute", "to", "type", "type_as", "float", "contiguous"})
_BIAS = re.compile(r"(?:^|[._\[])(?:b\w{0,3}|\w*bias\w*)\]?$")


def place(call: ast.Call) -> str:
    """Return the label of a layer that is made where it is called: ``Dense(64)(x)``."""
    return f"@{call.lineno}:{call.col_offset}"


def label(expr: ast.expr) -> str | None:
    """Return the name of a weight or layer: dotted names, and literal indices of them."""
    if isinstance(expr, ast.Name):
        return expr.id
    if isinstance(expr, ast.Attribute):
        owner = label(expr.value)
        if owner is None:
            return None
        return owner if expr.attr in {"T", "value", "data"} else f"{owner}.{expr.attr}"
    if isinstance(expr, ast.Subscript) and isinstance(expr.slice, ast.Constant):
        owner = label(expr.value)
        return None if owner is None else f"{owner}[{expr.slice.value!s}]"
    return None


def bare(weight: ast.expr) -> ast.expr:
    """Return a weight without what turns, moves or converts it: ``W`` of ``W.t().to(x.dtype)``."""
    while (
        isinstance(weight, ast.Call)
        and isinstance(weight.func, ast.Attribute)
        and weight.func.attr in _TURNING
    ):
        weight = weight.func.value
    return weight


def aside(expr: ast.expr) -> bool:
    """Return whether an operand is a number or has the name of a bias."""
    if isinstance(expr, ast.Constant):
        return True
    if isinstance(expr, ast.UnaryOp):
        return aside(expr.operand)
    name = label(expr)
    return name is not None and _BIAS.search(name) is not None
