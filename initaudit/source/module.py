"""One file of model code: its syntax tree with the tables that rules ask (see `parsing`)."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from initaudit.source.assigned import Around, Assigned, Function, Scope, read_assigned
from initaudit.source.names import Names, read_names
from initaudit.source.parents import Parents

__all__ = ["Around", "Function", "Module", "Scope", "arguments", "defaults", "inside"]

N = TypeVar("N", bound=ast.AST)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Module:
    """A parsed file.

    The lists hold the nodes of their kind in source order, what stands in annotations left out.
    ``calls_by_word`` are the calls by the last word of what is called, under "" those of no name;
    ``mentions`` are the attribute accesses by the attribute's name.
    """

    path: str
    text: str
    tree: ast.Module
    parents: Parents
    calls: list[ast.Call] = field(default_factory=list)
    calls_by_word: defaultdict[str, list[ast.Call]] = field(
        default_factory=lambda: defaultdict(list)
    )
    classes: list[ast.ClassDef] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    assigns: list[ast.Assign | ast.AnnAssign] = field(default_factory=list)
    augmented: list[ast.AugAssign] = field(default_factory=list)
    loops: list[ast.For] = field(default_factory=list)
    comprehensions: list[ast.ListComp] = field(default_factory=list)
    operations: list[ast.BinOp] = field(default_factory=list)
    choices: list[ast.BoolOp] = field(default_factory=list)
    statements: list[ast.Expr] = field(default_factory=list)
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)
    mentions: defaultdict[str, list[ast.Attribute]] = field(
        default_factory=lambda: defaultdict(list)
    )
    enclosing: dict[ast.AST, Around] = field(default_factory=dict)

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the file, without their ends."""
        return self.text.split("\n")

    @cached_property
    def names(self) -> Names:
        """What the file's names stand for."""
        handed = {argument.arg for function in self.functions for argument in arguments(function)}
        given = {
            name: value
            for name, values in self.assigned.names.items()
            if len(values) == 1 and (value := values[0][1]) is not None and name not in handed
        }
        defined = [x.name for x in (*self.functions, *self.classes) if self.is_top(x)]
        return read_names(self.imports, given, defined)

    def calls_that_may_be(self, word: str) -> Iterator[ast.Call]:
        """Yield the calls of what ends in a word, or of a name that may stand for such a thing."""
        for called, calls in self.calls_by_word.items():
            if called == word or self.names.stands(called, (word,)):
                yield from calls

    def share(self, node: ast.expr, parts: Iterable[ast.expr | None]) -> None:
        """Note that what is around an expression is around its parts, too, if it is known."""
        around = self.enclosing.get(node)
        if around is not None:
            for part in parts:
                if part is not None:
                    self.enclosing[part] = around

    def is_top(self, node: ast.AST) -> bool:
        """Return whether a node stands at the top level of the file (branches included)."""
        return self.scope(node) is self.tree

    def scope(self, node: ast.AST) -> Scope:
        """Return the innermost function, class, lambda or module around a node."""
        return self._around(node)[2]

    def function(self, node: ast.AST) -> Function | None:
        """Return the innermost function around a node (itself left out)."""
        return self._around(node)[0]

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """Return the innermost class around a node (itself left out)."""
        return self._around(node)[1]

    def _around(self, node: ast.AST) -> Around:
        """Return what is innermost around a node, remembered on the way up."""
        path: list[ast.AST] = []
        known = self.enclosing.get(node)
        while known is None:
            path.append(node)
            parent = self.parents.get(node)
            if parent is None:
                known = (None, None, self.tree)
                break
            if isinstance(parent, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)):
                known = inside(parent, self._around(parent))
                break
            node = parent
            known = self.enclosing.get(node)
        for passed in path:
            self.enclosing[passed] = known
        return known

    @cached_property
    def assigns_by_scope(self) -> Mapping[Scope, list[ast.Assign | ast.AnnAssign]]:
        """The assignments that stand directly in each scope."""
        return self._grouped(self.assigns, 2)

    @cached_property
    def assigns_by_function(self) -> Mapping[Function | None, list[ast.Assign | ast.AnnAssign]]:
        """The assignments right in each function; under None those outside of all."""
        return self._grouped(self.assigns, 0)

    @cached_property
    def calls_by_class(self) -> Mapping[ast.ClassDef | None, list[ast.Call]]:
        """The calls within each class; under None those outside of all."""
        return self._grouped(self.calls, 1)

    @cached_property
    def calls_by_function(self) -> Mapping[Function | None, list[ast.Call]]:
        """The calls right in each function; under None those outside of all."""
        return self._grouped(self.calls, 0)

    @cached_property
    def calls_by_scope(self) -> Mapping[Scope, list[ast.Call]]:
        """The calls right in each scope."""
        return self._grouped(self.calls, 2)

    def _grouped(self, nodes: Iterable[N], at: int) -> Mapping[Any, list[N]]:
        """Return nodes by one of the three things around them (see `Around`)."""
        found: defaultdict[Any, list[N]] = defaultdict(list)
        for node in nodes:
            found[self.enclosing[node][at]].append(node)
        return dict(found)

    def written(self, body: list[ast.stmt]) -> str:
        """Return the lines that statements stand in, as text to search for words."""
        if not body:
            return ""
        last = body[-1].end_lineno or body[-1].lineno
        return "\n".join(self.lines[body[0].lineno - 1 : last])

    @cached_property
    def assigned(self) -> Assigned:
        """What names and attributes are given."""
        changes = (*self.assigns, *self.augmented)
        return read_assigned(changes, self.loops, self.enclosing)

    def statement(self, node: ast.AST) -> ast.stmt:
        """Return the innermost statement that a node belongs to, itself included."""
        if isinstance(node, ast.stmt):
            return node
        found = next((a for a in self.around(node) if isinstance(a, ast.stmt)), None)
        return found if found is not None else self.tree.body[0]

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what is around a node, innermost first."""
        parent = self.parents.get(node)
        while parent is not None:
            yield parent
            parent = self.parents.get(parent)

    def qualified(self, expr: ast.expr) -> str | None:
        """Return the qualified name of an expression, if it has one."""
        return self.names.qualified(expr)

    def named(self, expr: ast.expr) -> str:
        """Return the qualified name of an expression; as it is written where it has none."""
        return self.qualified(expr) or (
            expr.id if isinstance(expr, ast.Name) else ast.unparse(expr)
        )

    def within(self, root: ast.AST, kind: type[ast.AST] = ast.AST) -> Iterator[ast.AST]:
        """Yield the nodes under ``root`` of one kind, in source order, ``root`` left out."""
        for node in ast.iter_child_nodes(root):
            if isinstance(node, kind):
                yield node
            yield from self.within(node, kind)


def arguments(function: Function) -> list[ast.arg]:
    """Return all parameters of a function, in order."""
    a = function.args
    return [
        *a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs,
        *([a.kwarg] if a.kwarg else []),
    ]  # fmt: skip


def defaults(function: Function) -> Mapping[str, ast.expr]:
    """Return what the parameters of a function default to, of those that do."""
    a = function.args
    plain = [*a.posonlyargs, *a.args]
    pairs = [*zip(plain[len(plain) - len(a.defaults) :], a.defaults, strict=True)]
    pairs += [(arg, d) for arg, d in zip(a.kwonlyargs, a.kw_defaults, strict=True) if d is not None]
    return {arg.arg: default for arg, default in pairs}


def inside(node: Function | ast.ClassDef | ast.Lambda, here: Around) -> Around:
    """Return what is around the nodes right in a scope, from what is around itself."""
    if isinstance(node, ast.ClassDef):
        return here[0], node, node
    if isinstance(node, ast.Lambda):
        return here[0], here[1], node
    return node, here[1], node
