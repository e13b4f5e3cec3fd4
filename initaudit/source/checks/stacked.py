"""Fans taken of a stack of matrices as if it were the kernel of a convolution."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.classes import Class
from initaudit.source.draws import Draw, read_draw
from initaudit.source.file import File
from initaudit.source.fold import point

_WINDOW = re.compile(r"conv|kernel_size|unfold|deform|stencil|spectral|fft", re.IGNORECASE)
_MOVES = frozenset(
    {"to", "type_as", "float", "half", "contiguous", "transpose", "mT", "T", "permute"}
)
_RESHAPES = frozenset({"view", "reshape", "flatten"})
_PRODUCTS = frozenset({"torch.bmm", "torch.matmul", "torch.baddbmm"})


@check("IA411", "draw")
def fan_on_stacked_weights(subject: File, limits: Limits) -> Iterator[Hit]:
    """Xavier or Kaiming over a stack of three axes or more that is used matrix by matrix."""
    for draw in subject.draws:
        if draw.callee.form != "inplace" or not _takes_fans(draw) or len(draw.path) != 2:
            continue
        owner = _owner(subject, draw)
        if owner is None or owner.framework != "torch" or not _is_whole(draw.target):
            continue
        sizes = _sizes(subject, owner, draw.role)
        if len([s for s in sizes if s != "1"]) < 3 or _has_window(subject, owner):
            continue
        uses = _products(subject, owner, draw.role)
        if not uses or not all(fewer for fewer, _ in uses):
            continue
        turned = _turned(draw, {axis for _, axis in uses})
        fits = draw.path[0] == "self" and len(sizes) == 3 and turned is not None
        yield Hit(
            subject.site(draw.node),
            {
                "parameter": f"self.{draw.role}",
                "shape": f"({', '.join(sizes)})",
                "fan_in": " * ".join(sizes[1:]),
                "callee": draw.callee.name.rpartition(".")[2],
                "turned": int(bool(turned)),
                "data": ".data" if turned else "",
                "matrix": "matrix.T" if turned else "matrix",
            },
            severity=Severity.NOTE if subject.is_test else None,
            fix="per-slice" if fits else None,
        )


def _takes_fans(draw: Draw) -> bool:
    """Return whether torch takes the fans from the tensor's own shape."""
    return draw.callee.framework == "torch" and "mode" in {*draw.callee.numbers, *draw.callee.fixed}


def _owner(file: File, draw: Draw) -> Class | None:
    """Return the class whose parameter is filled: that around, or the one that a guard names."""
    if draw.path[0] == "self":
        return None if draw.owner is None else file.classes[draw.owner]
    named = [file.class_named(guard.rpartition(".")[2]) for guard in file.guards(draw.node)]
    return named[0] if len(named) == 1 else None


def _is_whole(target: ast.expr | None) -> bool:
    if isinstance(target, ast.Attribute) and target.attr == "data":
        target = target.value
    return isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name)


def _sizes(file: File, owner: Class, name: str) -> list[str]:
    """Return the sizes of a raw parameter as text; none where it is no such thing."""
    made = owner.only(name)
    call = None if made is None else made.value
    if not isinstance(call, ast.Call) or not call.args:
        return []
    if file.qualified(call.func) not in {"torch.nn.Parameter", "torch.nn.parameter.Parameter"}:
        return []
    inner = call.args[0]
    draw = read_draw(file.module, file.catalogue, inner) if isinstance(inner, ast.Call) else None
    if draw is None or draw.callee.form != "factory" or "shape" not in draw.callee.numbers:
        return []
    sizes = draw.node.args
    if len(sizes) == 1 and isinstance(sizes[0], ast.Tuple | ast.List):
        sizes = sizes[0].elts
    if any(isinstance(size, ast.Starred) for size in sizes):
        return []
    return ["1" if point(file.fold(size)) == 1.0 else ast.unparse(size) for size in sizes]


def _has_window(file: File, owner: Class) -> bool:
    first, last = owner.node.lineno - 1, owner.node.end_lineno
    return _WINDOW.search("\n".join(file.module.lines[first:last])) is not None


def _turned(draw: Draw, axes: set[int | None]) -> bool | None:
    """Return whether a matrix of the stack is to be transposed for torch to see its true fan_in.

    ``axes`` are those that the products sum over. None where the stack does not lie along the
    first axis, or that is not known.
    """
    if not axes or not axes <= {1, 2}:
        return None
    if "xavier" in draw.callee.name:
        return False
    return None if len(axes) > 1 else axes == {1}


_Use = tuple[bool, int | None]
"""Whether a product sums over fewer axes than torch's fan_in takes, and over which if just one."""


def _products(file: File, owner: Class, name: str) -> list[_Use]:
    """Return the products with the parameter in its class."""
    uses = [
        node for node in file.mentions.get(name, ()) if file.module.class_of(node) is owner.node
    ]
    return [use for node in uses if (use := _use(file, node)) is not None]


def _use(file: File, node: ast.Attribute) -> _Use | None:
    """Return what one use is as a product matrix by matrix; None where it is no product."""
    held: ast.AST = node
    order: tuple[int, ...] | None = (0, 1, 2)
    for around in file.module.around(node):
        if isinstance(around, ast.BinOp):
            if not isinstance(around.op, ast.MatMult):
                return None
            return True, _axis(order, 2 if held is around.left else 1)
        if isinstance(around, ast.Call) and held is not around.func:
            return _product(file, around, held, order)
        if isinstance(around, ast.Attribute) and around.attr in _RESHAPES:
            return False, None
        stays = isinstance(around, ast.Call)
        if isinstance(around, ast.Subscript):
            # One index takes the first axis; what others do is not followed.
            stays = held is around.value
            single = not isinstance(around.slice, ast.Tuple | ast.Slice)
            order = order if single and order is not None and order[0] == 0 else None
        if isinstance(around, ast.Attribute):
            stays = around.attr in _MOVES
            order = _moved(file, around, order)
        if not stays:
            return None
        held = around
    return None


def _moved(
    file: File, move: ast.Attribute, order: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """Return which axes of the parameter stand where behind a method or attribute."""
    call = file.module.parents.get(move)
    given = [file.fold(a) for a in call.args] if isinstance(call, ast.Call) else []
    numbers = {int(n) % 3 for a in given if (n := point(a)) is not None}
    if move.attr == "mT" or (move.attr == "transpose" and len(given) == 2 and numbers == {1, 2}):
        return None if order is None else (order[0], order[2], order[1])
    return None if move.attr in {"transpose", "permute", "T"} else order


def _axis(order: tuple[int, ...] | None, at: int) -> int | None:
    return None if order is None else order[at]


def _product(
    file: File, call: ast.Call, operand: ast.AST, order: tuple[int, ...] | None
) -> _Use | None:
    """Return what a call that multiplies by its operand sums over; None where it does not."""
    name = file.qualified(call.func) or ""
    attribute = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name in _PRODUCTS or attribute in {"matmul", "bmm"}:
        method = name not in _PRODUCTS
        first = not method and name != "torch.baddbmm" and operand is call.args[0]
        known = method or operand in call.args
        return True, _axis(order, 2 if first else 1) if known else None
    if name == "torch.nn.functional.linear":
        return (True, _axis(order, 2)) if isinstance(operand, ast.Subscript) else None
    if name != "torch.einsum" or len(call.args) != 3 or operand not in call.args[1:]:
        return (False, None) if name == "torch.einsum" else None
    equation = file.fold(call.args[0])
    if not isinstance(equation, str):
        return False, None
    return _contracts_less(equation, 0 if operand is call.args[1] else 1, order)


def _contracts_less(equation: str, operand: int, order: tuple[int, ...] | None) -> _Use:
    """Return whether an einsum sums over other axes of the stack than torch's fan_in takes."""
    terms, arrow, result = equation.replace(" ", "").partition("->")
    operands = terms.split(",")
    if not arrow or len(operands) != 2 or "." in operands[operand]:
        return False, None
    stack = operands[operand]
    contracted = {axis for axis in stack if axis not in result}
    one = stack.index(contracted.copy().pop()) if len(contracted) == 1 else None
    axis = _axis(order, one) if one is not None and len(stack) == 3 else None
    return bool(contracted) and contracted != set(stack[1:]), axis
