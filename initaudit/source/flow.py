"""Which weights multiply one another: the order in which a function's values pass through them.

A label names a weight as the code does: ``self.fc1``, ``self.net[0]``, ``W1``. Two labels are
joined where the output of the first reaches the second through elementwise functions, norms,
reshaping, products and added biases alone. Sums of two signals, branches and loops end a chain:
there a skip connection may lie.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from initaudit.source.file import File
from initaudit.source.label import aside, bare, label, place
from initaudit.source.parents import walk

FORWARD = frozenset({"forward", "call", "__call__", "predict", "apply", "model", "net"})

_PRODUCTS = frozenset(
    {"torch.matmul", "torch.mm", "torch.bmm", "torch.nn.functional.linear", "torch.addmm",
     "numpy.dot", "numpy.matmul", "jax.numpy.dot", "jax.numpy.matmul", "cupy.dot", "cupy.matmul",
     "tensorflow.matmul", "tensorflow.linalg.matmul", "paddle.matmul", "mlx.core.matmul",
     "keras.ops.matmul", "keras.backend.dot"}
)  # fmt: skip
_SUMS = frozenset({"torch.einsum", "numpy.einsum", "jax.numpy.einsum", "tensorflow.einsum"})
_METHODS = frozenset({"dot", "matmul", "mm"})
_REFRAMING = frozenset(
    {"view", "reshape", "flatten", "squeeze", "unsqueeze", "contiguous", "float", "to", "clone",
     "relu", "tanh", "sigmoid", "transpose", "permute", "T", "type", "astype", "detach"}
)  # fmt: skip
_SPLITTING = frozenset(
    {"torch.cat", "torch.stack", "numpy.concatenate", "jax.numpy.concatenate", "tensorflow.concat",
     "torch.add", "numpy.add", "tensorflow.add", "torch.where", "torch.mul"}
)  # fmt: skip

PLAIN = frozenset(
    {"activation", "dropout", "identity", "flatten", "reshape", "avg_pool", "max_pool",
     "global_avg_pool", "adaptive_avg_pool", "adaptive_max_pool"}
)  # fmt: skip
"""Layers that act on each element, or only move or average them."""

_DESCRIBING = frozenset({"shape", "dtype", "device", "ndim", "size"})
# These give a number other than zero for zero.
_LIFTING = re.compile(r"sigmoid$|softmax$|softplus$|exp$|cos$|softmin$")

Kind = Callable[[str], str]
"""From a label to ``weight`` (it multiplies), ``plain`` (elementwise, norm) or ``unknown``."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The output of ``first`` feeds ``second``, at this call or product.

    ``gated`` says that on the way it is multiplied by another signal.
    """

    first: str
    second: str
    node: ast.expr
    gated: bool = False


@dataclass(frozen=True, slots=True)
class _Signal:
    """The output of a weight; ``null`` says that it is zero where the weight is."""

    weight: str
    null: bool = True
    gated: bool = False


_Signals = frozenset[_Signal]
_UNKNOWN: _Signals = frozenset()


@dataclass(slots=True)
class _State:
    """What each name holds; empty where not known."""

    last: dict[str, _Signals] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    operands: dict[str, ast.expr] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    """Weights whose output is also added to, or set beside, another signal."""

    def inside(self) -> _State:
        """Return the state for a block that may run: what it assigns ends with it."""
        return _State(dict(self.last), self.edges, self.operands, self.joined)

    def join(self, signals: _Signals) -> None:
        """Remember that signals meet others in a sum or side by side."""
        self.joined |= {s.weight for s in signals}


@dataclass(frozen=True, slots=True)
class Flow:
    """The chains of one function, and the first use of each weight as an operand."""

    edges: tuple[Edge, ...]
    operands: Mapping[str, ast.expr]


def flow(file: File, body: list[ast.stmt], kind: Kind) -> Flow:
    """Return the chains in a list of statements."""
    walk = _Walk(file, kind)
    walk.block(body, state := _State())
    edges = tuple(edge for edge in state.edges if edge.first not in state.joined)
    return Flow(edges, state.operands)


def _inner(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        inner = getattr(statement, name, None)
        if inner:
            yield inner
    for handler in getattr(statement, "handlers", ()):
        yield handler.body


def _assigned(statement: ast.stmt) -> Iterator[str]:
    for node in walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


@dataclass(frozen=True, slots=True)
class _Walk:
    """What the steps through one function share: the file, and what its labels are."""

    file: File
    kind: Kind

    def block(self, body: list[ast.stmt], state: _State) -> None:
        """Follow statements one by one."""
        for statement in body:
            if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
                self._assign(statement, state)
            elif isinstance(statement, ast.Return | ast.Expr) and statement.value is not None:
                self._source(statement.value, state)
            elif isinstance(statement, ast.With):
                self.block(statement.body, state)
            elif not isinstance(statement, ast.FunctionDef | ast.ClassDef):
                for inner in _inner(statement):
                    self.block(inner, state.inside())
                for name in _assigned(statement):
                    state.last[name] = _UNKNOWN

    def _assign(self, statement: ast.Assign | ast.AnnAssign | ast.AugAssign, state: _State) -> None:
        if statement.value is None:
            return
        source = self._source(statement.value, state)
        if isinstance(statement, ast.AugAssign):
            self._change(statement, source, state)
            return
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Tuple | ast.List):
                for element in target.elts:
                    if (name := label(element)) is not None:
                        state.last[name] = _UNKNOWN
            elif (name := label(target)) is not None:
                state.last[name] = source

    def _change(self, statement: ast.AugAssign, source: _Signals, state: _State) -> None:
        name = label(statement.target)
        if name is None or aside(statement.value):
            return
        if isinstance(statement.op, ast.Add | ast.Sub):
            state.join(source | state.last.get(name, _UNKNOWN))
        if source or not isinstance(statement.op, ast.Mult | ast.Div):
            state.last[name] = _UNKNOWN

    def _source(self, expr: ast.expr, state: _State) -> _Signals:
        """Return the weights that an expression's value has last been multiplied by."""
        if isinstance(expr, ast.Name | ast.Attribute):
            name = label(expr)
            if name in state.last:
                return state.last[name]
            if isinstance(expr, ast.Attribute) and expr.attr not in _DESCRIBING:
                return self._source(expr.value, state)
            return _UNKNOWN
        if isinstance(expr, ast.BinOp):
            return self._operation(expr, state)
        if isinstance(expr, ast.Call):
            return self._call(expr, state)
        if isinstance(expr, ast.Subscript):
            self._source(expr.value, state)
            return _UNKNOWN
        for child in ast.iter_child_nodes(expr):
            if isinstance(child, ast.expr):
                source = self._source(child, state)
                # Add()([x, y]): what it makes of the two is not known.
                if isinstance(self.file.module.parents.get(expr), ast.Call):
                    state.join(source)
        return _UNKNOWN

    def _operation(self, expr: ast.BinOp, state: _State) -> _Signals:
        if isinstance(expr.op, ast.MatMult):
            return self._product(expr.left, expr.right, expr, state)
        left, right = self._source(expr.left, state), self._source(expr.right, state)
        for signals, other in ((left, expr.right), (right, expr.left)):
            if signals and aside(other):
                # x + 1 is not zero where x is: as a factor it gates nothing.
                lifted = isinstance(expr.op, ast.Add | ast.Sub) and isinstance(other, ast.Constant)
                return frozenset(replace(s, null=False) for s in signals) if lifted else signals
        if isinstance(expr.op, ast.Mult):
            return frozenset(replace(s, gated=True) for s in left | right if s.null)
        # x + f(x) is a skip connection: only a bias or a number leaves the signal what it was.
        if isinstance(expr.op, ast.Add | ast.Sub):
            state.join(left | right)
        return _UNKNOWN

    def _product(self, left: ast.expr, right: ast.expr, node: ast.expr, state: _State) -> _Signals:
        for weight, signal in ((right, left), (left, right)):
            name = label(bare(weight))
            if name is not None and self.kind(name) == "weight":
                return _through(name, self._source(signal, state), node, state)
        self._source(left, state)
        self._source(right, state)
        return _UNKNOWN

    def _call(self, expr: ast.Call, state: _State) -> _Signals:
        qualified = self.file.qualified(expr.func)
        args = expr.args
        if qualified in _PRODUCTS and len(args) >= 2:
            first = 1 if qualified == "torch.addmm" and len(args) > 2 else 0
            return self._product(args[first], args[first + 1], expr, state)
        if qualified in _SUMS and len(args) == 3 and _contracts(args[0]):
            return self._product(args[1], args[2], expr, state)
        if isinstance(expr.func, ast.Attribute) and expr.func.attr in _METHODS and len(args) == 1:
            return self._product(expr.func.value, args[0], expr, state)
        sources = [self._source(a, state) for a in args if not isinstance(a, ast.Starred)]
        inputs = sources[0] if sources else _UNKNOWN
        name = label(expr.func)
        if isinstance(expr.func, ast.Call):
            # x = Dense(64)(x)
            name = place(expr.func)
            if self.kind(name) != "weight":
                spec = self.file.layer(expr.func)
                plain = spec is not None and (spec.op in PLAIN or spec.norm)
                return inputs if plain else _UNKNOWN
        if name is not None and self.kind(name) == "weight" and args:
            return _through(name, inputs, expr, state)
        if qualified in _SPLITTING or len([s for s in sources if s]) > 1:
            for source in sources:
                state.join(source)
            return _UNKNOWN
        return self._elementwise(expr, inputs, name, qualified, state)

    def _elementwise(
        self,
        expr: ast.Call,
        inputs: _Signals,
        name: str | None,
        qualified: str | None,
        state: _State,
    ) -> _Signals:
        method = expr.func.attr if isinstance(expr.func, ast.Attribute) else ""
        passed = _UNKNOWN
        if isinstance(expr.func, ast.Attribute):
            held = self._source(expr.func.value, state)
            passed = held if method in _REFRAMING else _UNKNOWN
        known = qualified is not None and "." in qualified
        if not passed and (known or (name is not None and self.kind(name) == "plain")):
            passed = inputs
        if _LIFTING.search(method or name or ""):
            return frozenset(replace(s, null=False) for s in passed)
        return passed


def _contracts(equation: ast.expr) -> bool:
    """Return whether an einsum of two sums over an index of both: ``h d, b d -> b h d`` does not.

    One that is not written out may.
    """
    if not isinstance(equation, ast.Constant) or not isinstance(equation.value, str):
        return True
    before, arrow, after = equation.value.partition("->")
    first, comma, second = before.partition(",")
    # Of one letter each, however they are spaced.
    shared = (set(first) & set(second)) - {" ", "."}
    return not (arrow and comma) or bool(shared - set(after))


def _through(name: str, source: _Signals, node: ast.expr, state: _State) -> _Signals:
    state.operands.setdefault(name, node)
    for one in source:
        if one.weight != name:
            state.edges.append(Edge(one.weight, name, node, one.gated))
    return frozenset({_Signal(name)})
