"""What each node of a syntax tree stands in, found for one stretch of a file when it is asked."""

from __future__ import annotations

import ast
import sys
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from operator import attrgetter
from typing import Any

_Place = tuple[int, int]
# A node without a place of its own is only ever reached through one that has a place.
_PLACELESS = (ast.arguments, ast.comprehension, ast.withitem, ast.match_case)


class Parents:
    """The node around each node.

    Few nodes are ever asked for, so only the statements where the asked nodes stand are read; of
    one that holds other statements, what stands before these and between them.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self.known: dict[ast.AST, ast.AST | None] = {tree: None}
        """What was found so far; who walks over the tree may add what is asked for often."""
        self._places: list[_Place] = []
        self._stretches: list[ast.stmt | None] = []
        self._enter(tree, tree.body)

    def get(self, node: ast.AST) -> ast.AST | None:
        """Return the node around another, None for the tree itself and for what is not in it."""
        if node in self.known:
            return self.known[node]
        place = _place(node)
        if place is not None:
            self._read(place)
        if node not in self.known and (place is not None or isinstance(node, _PLACELESS)):
            # Before Python 3.12 what stands in an f-string may have a wrong place.
            self._read_all()
        return self.known.get(node)

    def _enter(self, owner: ast.AST, body: list[ast.stmt]) -> None:
        """Make each statement of a body a stretch, in the place of the one that holds them."""
        at = bisect_right(self._places, _start(body[0])) if body else 0
        self._places[at:at] = [_start(statement) for statement in body]
        self._stretches[at:at] = body
        self.known.update(dict.fromkeys(body, owner))

    def _read(self, place: _Place) -> None:
        at = bisect_right(self._places, place) - 1
        while at >= 0 and (statement := self._stretches[at]) is not None:
            self._stretches[at] = None
            kind = type(statement)
            blocks = _BLOCKS.get(kind, ())
            _fill(self.known, statement, _HEADS.get(kind, CHILDREN[kind])(statement))
            for block in blocks:
                self._enter(statement, getattr(statement, block))
            if blocks:
                at = bisect_right(self._places, place) - 1

    def _read_all(self) -> None:
        while any(self._stretches):
            for place, statement in zip(tuple(self._places), tuple(self._stretches), strict=True):
                if statement is not None:
                    self._read(place)


def _place(node: ast.AST) -> _Place | None:
    line = getattr(node, "lineno", None)
    return None if line is None else (line, getattr(node, "col_offset", 0))


def _start(statement: ast.stmt) -> _Place:
    """Return where a statement begins, with the decorators that stand before it."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    first = decorators[0] if decorators else statement
    # The sign of a decorator stands before its expression.
    return first.lineno, 0 if decorators else first.col_offset


def _fill(known: dict[ast.AST, ast.AST | None], node: ast.AST, held: Iterable[Any]) -> None:
    """Add what a node holds, given as nodes and lists of nodes, with all that is below."""
    stack: list[Any] = []
    while True:
        for value in held:
            if type(value) is list:
                for child in value:
                    if child is not None:
                        known[child] = node
                stack += value
            elif value is not None:
                known[value] = node
                stack.append(value)
        if not stack:
            return
        node = stack.pop()
        held = CHILDREN[type(node)](node)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all below it level by level, as `ast.walk` does but for operators."""
    found: list[ast.AST] = [node]
    for one in found:
        yield one
        for value in reversed(CHILDREN[type(one)](one)):
            if type(value) is list:
                found.extend(value if None not in value else filter(None, value))
            elif value is not None:
                found.append(value)


def _none(node: ast.AST) -> tuple[Any, ...]:
    return ()


def _getter(kind: type[ast.AST], without: Collection[str] = ()) -> Any:
    """Return a function that gives the fields of a node which hold nodes, the last one first."""
    plain = _PLAIN.get(kind, _WORDS)
    names = [name for name in reversed(kind._fields) if name not in plain and name not in without]
    if not names:
        return _none
    # With one name alone it would give the value itself.
    return attrgetter(*names) if len(names) > 1 else _single(names[0])


def _single(name: str) -> Any:
    get = attrgetter(name)
    return lambda node: (get(node),)


# Fields that hold text, numbers or one of the few operators, which all places share.
_WORDS = frozenset(
    {"ctx", "op", "ops", "name", "id", "attr", "arg", "asname", "module", "level", "type_comment",
     "type_ignores", "kind", "str", "lineno", "is_async", "simple", "conversion", "tag",
     "kwd_attrs", "rest"}
)  # fmt: skip
_PLAIN: dict[type[ast.AST], frozenset[str]] = {
    ast.Constant: frozenset({"value", "kind"}),
    ast.Global: frozenset({"names"}),
    ast.Nonlocal: frozenset({"names"}),
    ast.MatchSingleton: frozenset({"value"}),
}
if sys.version_info >= (3, 12):
    # The name of a type alias is a node, unlike any other name.
    _PLAIN[ast.TypeAlias] = frozenset()
KINDS = [
    kind for kind in vars(ast).values() if isinstance(kind, type) and issubclass(kind, ast.AST)
]
CHILDREN: dict[type[ast.AST], Any] = {kind: _getter(kind) for kind in KINDS}
CHILDREN[type(None)] = _none  # type: ignore[index]
"""From a kind of node to what gives the nodes and lists of nodes in it, the last one first."""
_BLOCKS: dict[type[ast.stmt], tuple[str, ...]] = {
    ast.ClassDef: ("body",), ast.FunctionDef: ("body",), ast.AsyncFunctionDef: ("body",),
    ast.With: ("body",), ast.AsyncWith: ("body",), ast.If: ("body", "orelse"),
    ast.While: ("body", "orelse"), ast.For: ("body", "orelse"), ast.AsyncFor: ("body", "orelse"),
}  # fmt: skip
_HEADS = {kind: _getter(kind, blocks) for kind, blocks in _BLOCKS.items()}
