"""One file of model code: its syntax tree with the tables that rules ask."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from initaudit.source.names import Names, read_names

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | ast.ClassDef | ast.Lambda | ast.Module

Around = tuple[Function | None, ast.ClassDef | None, Scope]
"""The innermost function, class, and scope of any kind around a node."""

_CHANGING = ast.Constant(None)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Module:
    """A parsed file.

    ``parents`` maps each node to the one around it. The lists hold the nodes of their kind in
    source order. ``cell`` maps a line to (cell, line in it) for a notebook, None for a file.
    """

    path: str
    text: str
    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    calls: list[ast.Call] = field(default_factory=list)
    classes: list[ast.ClassDef] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    assigns: list[ast.Assign | ast.AnnAssign] = field(default_factory=list)
    augmented: list[ast.AugAssign] = field(default_factory=list)
    loops: list[ast.For] = field(default_factory=list)
    comprehensions: list[ast.ListComp] = field(default_factory=list)
    operations: list[ast.BinOp] = field(default_factory=list)
    comparisons: list[ast.Compare] = field(default_factory=list)
    choices: list[ast.BoolOp] = field(default_factory=list)
    statements: list[ast.Expr] = field(default_factory=list)
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)
    attributes: list[ast.Attribute] = field(default_factory=list)
    constants: list[ast.Constant] = field(default_factory=list)
    enclosing: dict[ast.AST, Around] = field(default_factory=dict)

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the file, without their ends."""
        return self.text.split("\n")

    @cached_property
    def names(self) -> Names:
        """What the file's names stand for."""
        assigned: dict[str, list[ast.expr]] = {}
        for name, value in self._bindings():
            assigned.setdefault(name, []).append(value)
        defined = [x.name for x in (*self.functions, *self.classes) if self.is_top(x)]
        return read_names(self.imports, assigned, defined)

    def _bindings(self) -> Iterator[tuple[str, ast.expr]]:
        """Yield each value that a bare name is given; what changes or repeats counts twice."""
        for node in self.assigns:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and node.value is not None:
                    yield target.id, node.value
        changing: list[str] = [
            x.target.id for x in self.augmented if isinstance(x.target, ast.Name)
        ]
        for loop in self.loops:
            changing += [n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)]
        for function in self.functions:
            changing += [argument.arg for argument in arguments(function)]
        for name in changing:
            yield name, _CHANGING
            yield name, _CHANGING

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
                known = _inside(parent, self._around(parent))
                break
            node = parent
            known = self.enclosing.get(node)
        for passed in path:
            self.enclosing[passed] = known
        return known

    @cached_property
    def assigns_by_scope(self) -> Mapping[Scope, list[ast.Assign | ast.AnnAssign]]:
        """The assignments that stand directly in each scope."""
        found: dict[Scope, list[ast.Assign | ast.AnnAssign]] = {}
        for node in self.assigns:
            found.setdefault(self.scope(node), []).append(node)
        return found

    @cached_property
    def calls_by_class(self) -> Mapping[ast.ClassDef | None, list[ast.Call]]:
        """The calls within each class; under None those outside of all."""
        found: dict[ast.ClassDef | None, list[ast.Call]] = {}
        for call in self.calls:
            found.setdefault(self.class_of(call), []).append(call)
        return found

    @cached_property
    def calls_by_word(self) -> Mapping[str, list[ast.Call]]:
        """The calls by the last word of what is called, under "" those of no name."""
        found: dict[str, list[ast.Call]] = {}
        for call in self.calls:
            func = call.func
            if isinstance(func, ast.Attribute):
                word = func.attr
            else:
                word = func.id if isinstance(func, ast.Name) else ""
            if word in found:
                found[word].append(call)
            else:
                found[word] = [call]
        return found

    @cached_property
    def calls_by_function(self) -> Mapping[Function | None, list[ast.Call]]:
        """The calls right in each function; under None those outside of all."""
        found: dict[Function | None, list[ast.Call]] = {}
        for call in self.calls:
            found.setdefault(self.function(call), []).append(call)
        return found

    @cached_property
    def calls_by_scope(self) -> Mapping[Scope, list[ast.Call]]:
        """The calls right in each scope."""
        found: dict[Scope, list[ast.Call]] = {}
        for call in self.calls:
            found.setdefault(self.scope(call), []).append(call)
        return found

    def written(self, body: list[ast.stmt]) -> str:
        """Return the lines that statements stand in, as text to search for words."""
        if not body:
            return ""
        last = body[-1].end_lineno or body[-1].lineno
        return "\n".join(self.lines[body[0].lineno - 1 : last])

    @cached_property
    def values(self) -> Mapping[tuple[Function | None, str], list[ast.expr]]:
        """What each bare name is given in each function; under None at the top of the file.

        A name that a loop runs over or an operator changes has one value more, which is unknown.
        """
        found: dict[tuple[Function | None, str], list[ast.expr]] = {}
        for node in (*self.assigns, *self.augmented):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and node.value is not None:
                    value = ast.Name("?") if isinstance(node, ast.AugAssign) else node.value
                    found.setdefault((self.function(node), target.id), []).append(value)
        for loop in self.loops:
            for name in ast.walk(loop.target):
                if isinstance(name, ast.Name):
                    key = (self.function(loop), name.id)
                    found.setdefault(key, []).append(ast.Name("?"))
        return found

    @cached_property
    def attribute_values(self) -> Mapping[tuple[ast.ClassDef, str], list[ast.expr]]:
        """What each attribute of ``self`` or name in a class body is given, by class and name."""
        found: dict[tuple[ast.ClassDef, str], list[ast.expr]] = {}
        for node in (*self.assigns, *self.augmented):
            owner = self.class_of(node)
            if owner is None or node.value is None:
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and self.parents.get(node) is owner:
                    found.setdefault((owner, target.id), []).append(node.value)
                elif (
                    isinstance(target, ast.Attribute)
                    and isinstance(target.value, ast.Name)
                    and target.value.id in {"self", "cls"}
                ):
                    found.setdefault((owner, target.attr), []).append(node.value)
        return found

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


def parse(text: str, path: str) -> Module:  # noqa: C901  (a call a node is slow)
    """Parse a file and fill its tables in one walk with an explicit stack.

    Raises:
        SyntaxError: where the text is no Python; ValueError for NUL bytes; RecursionError and
            MemoryError for nesting beyond what the parser takes.
    """
    with warnings.catch_warnings():
        # Escapes that are no escapes are another linter's business.
        warnings.simplefilter("ignore")
        tree = ast.parse(text, path)
    module = Module(path, text, tree)
    lists: dict[type[ast.AST], list[Any]] = {
        ast.Call: module.calls,
        ast.ClassDef: module.classes,
        ast.FunctionDef: module.functions,
        ast.AsyncFunctionDef: module.functions,
        ast.Assign: module.assigns,
        ast.AnnAssign: module.assigns,
        ast.AugAssign: module.augmented,
        ast.For: module.loops,
        ast.ListComp: module.comprehensions,
        ast.BinOp: module.operations,
        ast.Compare: module.comparisons,
        ast.BoolOp: module.choices,
        ast.Expr: module.statements,
        ast.Import: module.imports,
        ast.ImportFrom: module.imports,
        ast.Attribute: module.attributes,
        ast.Constant: module.constants,
    }
    parents, enclosing = module.parents, module.enclosing
    here: Around = (None, None, tree)
    stack: list[Any] = [tree]
    pop, push, fields, kinds = stack.pop, stack.append, _FIELDS, lists.get
    while stack:
        node = pop()
        kind = type(node)
        if kind is tuple:
            here = node
            continue
        kept = kinds(kind)
        if kept is not None:
            kept.append(node)
            if kind in _PLACED:
                enclosing[node] = here
        if kind in _SCOPES:
            # Popped when all inside is done: what is around then is what is around now.
            push(here)
            here = _inside(node, here)
        # Backwards, so that what stands first is popped first.
        for name in fields[kind]:
            value = getattr(node, name)
            if value is None:
                continue
            if type(value) is not list:
                parents[value] = node
                if type(value) not in _LEAVES:
                    push(value)
            else:
                for child in reversed(value):
                    if child is not None:
                        parents[child] = node
                        if type(child) not in _LEAVES:
                            push(child)
    return module


def _inside(node: Function | ast.ClassDef | ast.Lambda, here: Around) -> Around:
    """Return what is around the nodes right in a scope, from what is around itself."""
    if isinstance(node, ast.ClassDef):
        return here[0], node, node
    if isinstance(node, ast.Lambda):
        return here[0], here[1], node
    return node, here[1], node


def _node_fields(kind: type[ast.AST]) -> tuple[str, ...]:
    """Return the fields of a kind of node that hold nodes, the last one first."""
    return tuple(name for name in reversed(kind._fields) if name not in _PLAIN.get(kind, _WORDS))


# Fields that hold text, numbers or one of the few operators, which all places share.
_WORDS = frozenset(
    {"ctx", "op", "ops", "name", "id", "attr", "arg", "asname", "module", "level", "type_comment",
     "kind", "str", "lineno", "is_async", "simple", "conversion", "tag", "kwd_attrs", "rest"}
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
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {
    kind: _node_fields(kind)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
_SCOPES = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda})
_PLACED = frozenset(
    {ast.Call, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.FunctionDef,
     ast.AsyncFunctionDef, ast.ClassDef}
)  # fmt: skip
_LEAVES = frozenset({ast.Name, ast.Pass, ast.Break, ast.Continue})
