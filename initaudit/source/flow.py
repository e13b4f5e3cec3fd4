"""Which weights multiply one another: the order in which a function's values pass through them.

A label names a weight as the code does: ``self.fc1``, ``self.net[0]``, ``W1``. Two labels are
joined where the output of the first reaches the second through elementwise functions, norms,
reshaping and added biases alone. Sums of two signals, branches and loops end a chain: there a
skip connection may lie.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from initaudit.source.file import File

FORWARD = frozenset({"forward", "call", "__call__", "predict", "apply", "model", "net"})

_PRODUCTS = frozenset(
    {"torch.matmul", "torch.mm", "torch.bmm", "torch.nn.functional.linear", "torch.addmm",
     "numpy.dot", "numpy.matmul", "jax.numpy.dot", "jax.numpy.matmul", "cupy.dot", "cupy.matmul",
     "tensorflow.matmul", "tensorflow.linalg.matmul", "paddle.matmul", "mlx.core.matmul",
     "keras.ops.matmul", "keras.backend.dot"}
)  # fmt: skip
_METHODS = frozenset({"dot", "matmul", "mm"})
_REFRAMING = frozenset(
    {"view", "reshape", "flatten", "squeeze", "unsqueeze", "contiguous", "float", "to", "clone",
     "relu", "tanh", "sigmoid", "transpose", "permute", "T", "type", "astype", "detach"}
)  # fmt: skip
_SPLITTING = frozenset(
    {"torch.cat", "torch.stack", "numpy.concatenate", "jax.numpy.concatenate", "tensorflow.concat",
     "torch.add", "numpy.add", "tensorflow.add", "torch.where", "torch.mul"}
)  # fmt: skip

_BIAS = re.compile(r"(?:^|[._\[])(?:b\w{0,3}|\w*bias\w*)\]?$")

Kind = Callable[[str], str]
"""From a label to ``weight`` (it multiplies), ``plain`` (elementwise, norm) or ``unknown``."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The output of ``first`` feeds ``second``, at this call or product."""

    first: str
    second: str
    node: ast.expr


@dataclass(slots=True)
class _State:
    """The weight that each name's value has last been multiplied by; None where not known."""

    last: dict[str, str | None] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    operands: dict[str, ast.expr] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flow:
    """The chains of one function, and the first use of each weight as an operand."""

    edges: tuple[Edge, ...]
    operands: Mapping[str, ast.expr]


def flow(file: File, body: list[ast.stmt], kind: Kind) -> Flow:
    """Return the chains in a list of statements."""
    state = _State()
    _block(file, body, kind, state)
    return Flow(tuple(state.edges), state.operands)


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


def _block(file: File, body: list[ast.stmt], kind: Kind, state: _State) -> None:
    for statement in body:
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            _assign(file, statement, kind, state)
        elif isinstance(statement, ast.Return | ast.Expr) and statement.value is not None:
            _source(file, statement.value, kind, state)
        elif isinstance(statement, ast.With):
            _block(file, statement.body, kind, state)
        elif not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            for inner in _inner(statement):
                _block(file, inner, kind, _State(dict(state.last), state.edges, state.operands))
            for name in _assigned(statement):
                state.last[name] = None


def _inner(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        inner = getattr(statement, name, None)
        if inner:
            yield inner
    for handler in getattr(statement, "handlers", ()):
        yield handler.body


def _assigned(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _assign(
    file: File, statement: ast.Assign | ast.AnnAssign | ast.AugAssign, kind: Kind, state: _State
) -> None:
    if statement.value is None:
        return
    source = _source(file, statement.value, kind, state)
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        if isinstance(statement, ast.AugAssign):
            name = label(target)
            if name is not None and source is not None:
                state.last[name] = None
        elif isinstance(target, ast.Tuple | ast.List):
            for element in target.elts:
                name = label(element)
                if name is not None:
                    state.last[name] = None
        elif (name := label(target)) is not None:
            state.last[name] = source


def _source(file: File, expr: ast.expr, kind: Kind, state: _State) -> str | None:
    """Return the weight that an expression's value has last been multiplied by."""
    if isinstance(expr, ast.Name | ast.Attribute):
        name = label(expr)
        if name in state.last:
            return state.last[name]
        return _source(file, expr.value, kind, state) if isinstance(expr, ast.Attribute) else None
    if isinstance(expr, ast.BinOp):
        return _operation(file, expr, kind, state)
    if isinstance(expr, ast.Call):
        return _call(file, expr, kind, state)
    if isinstance(expr, ast.Subscript):
        _source(file, expr.value, kind, state)
        return None
    for child in ast.iter_child_nodes(expr):
        if isinstance(child, ast.expr):
            _source(file, child, kind, state)
    return None


def _operation(file: File, expr: ast.BinOp, kind: Kind, state: _State) -> str | None:
    if isinstance(expr.op, ast.MatMult):
        return _product(file, expr.left, expr.right, expr, kind, state)
    left = _source(file, expr.left, kind, state)
    right = _source(file, expr.right, kind, state)
    if left is not None and right is not None:
        return None
    # Only a bias or a number leaves the signal what it was: x + f(x) is a skip connection.
    if left is not None:
        return left if _aside(expr.right) else None
    return right if right is not None and _aside(expr.left) else None


def _aside(expr: ast.expr) -> bool:
    """Return whether an operand is a number or has the name of a bias."""
    if isinstance(expr, ast.Constant):
        return True
    if isinstance(expr, ast.UnaryOp):
        return _aside(expr.operand)
    name = label(expr)
    return name is not None and _BIAS.search(name) is not None


def _product(
    file: File, left: ast.expr, right: ast.expr, node: ast.expr, kind: Kind, state: _State
) -> str | None:
    for weight, signal in ((right, left), (left, right)):
        name = label(weight)
        if name is not None and kind(name) == "weight":
            return _through(name, _source(file, signal, kind, state), node, state)
    _source(file, left, kind, state)
    _source(file, right, kind, state)
    return None


def _through(name: str, source: str | None, node: ast.expr, state: _State) -> str:
    state.operands.setdefault(name, node)
    if source is not None and source != name:
        state.edges.append(Edge(source, name, node))
    return name


def _call(file: File, expr: ast.Call, kind: Kind, state: _State) -> str | None:
    qualified = file.qualified(expr.func)
    args = expr.args
    if qualified in _PRODUCTS and len(args) >= 2:
        first = 1 if qualified == "torch.addmm" and len(args) > 2 else 0
        return _product(file, args[first], args[first + 1], expr, kind, state)
    if isinstance(expr.func, ast.Attribute) and expr.func.attr in _METHODS and len(args) == 1:
        return _product(file, expr.func.value, args[0], expr, kind, state)
    sources = [_source(file, a, kind, state) for a in args if not isinstance(a, ast.Starred)]
    name = label(expr.func)
    if name is not None and kind(name) == "weight" and args:
        return _through(name, sources[0] if sources else None, expr, state)
    if qualified in _SPLITTING or len([s for s in sources if s is not None]) > 1:
        return None
    if isinstance(expr.func, ast.Attribute) and expr.func.attr in _REFRAMING:
        owner = _source(file, expr.func.value, kind, state)
        if owner is not None:
            return owner
    if name is not None and kind(name) == "plain":
        return sources[0] if sources else None
    known = qualified is not None and "." in qualified
    return sources[0] if known and sources else None
