"""One file of model code: its syntax tree with the tables that rules ask."""

from __future__ import annotations

import ast
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from initaudit.source.assigned import Around, Assigned, Function, Scope, read_assigned
from initaudit.source.names import Names, read_names
from initaudit.source.parents import CHILDREN, Parents

__all__ = ["Around", "Function", "Module", "Scope", "arguments", "defaults", "parse"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Module:
    """A parsed file.

    The lists hold the nodes of their kind in source order, what stands in annotations left out.
    ``mentions`` are the attribute accesses by the attribute's name.
    """

    path: str
    text: str
    tree: ast.Module
    parents: Parents
    calls: list[ast.Call] = field(default_factory=list)
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
    constants: list[ast.Constant] = field(default_factory=list)
    enclosing: dict[ast.AST, Around] = field(default_factory=dict)

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the file, without their ends."""
        return self.text.split("\n")

    @cached_property
    def names(self) -> Names:
        """What the file's names stand for."""
        given = {
            name: values[0][1] if len(values) == 1 else None
            for name, values in self.assigned.names.items()
        }
        for function in self.functions:
            given.update((argument.arg, None) for argument in arguments(function))
        defined = [x.name for x in (*self.functions, *self.classes) if self.is_top(x)]
        return read_names(self.imports, given, defined)

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
            found.setdefault(self.enclosing[node][2], []).append(node)
        return found

    @cached_property
    def assigns_by_function(self) -> Mapping[Function | None, list[ast.Assign | ast.AnnAssign]]:
        """The assignments right in each function; under None those outside of all."""
        found: dict[Function | None, list[ast.Assign | ast.AnnAssign]] = {}
        for node in self.assigns:
            found.setdefault(self.enclosing[node][0], []).append(node)
        return found

    @cached_property
    def calls_by_class(self) -> Mapping[ast.ClassDef | None, list[ast.Call]]:
        """The calls within each class; under None those outside of all."""
        found: dict[ast.ClassDef | None, list[ast.Call]] = {}
        for call in self.calls:
            found.setdefault(self.enclosing[call][1], []).append(call)
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
            found.setdefault(self.enclosing[call][0], []).append(call)
        return found

    @cached_property
    def calls_by_scope(self) -> Mapping[Scope, list[ast.Call]]:
        """The calls right in each scope."""
        found: dict[Scope, list[ast.Call]] = {}
        for call in self.calls:
            found.setdefault(self.enclosing[call][2], []).append(call)
        return found

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
        return read_assigned(changes, self.loops, self.enclosing, self.parents)

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


def defaults(function: Function) -> Mapping[str, ast.expr]:
    """Return what the parameters of a function default to, of those that do."""
    a = function.args
    plain = [*a.posonlyargs, *a.args]
    pairs = [*zip(plain[len(plain) - len(a.defaults) :], a.defaults, strict=True)]
    pairs += [(arg, d) for arg, d in zip(a.kwonlyargs, a.kw_defaults, strict=True) if d is not None]
    return {arg.arg: default for arg, default in pairs}


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
    module = Module(path, text, tree, Parents(tree))
    lists: dict[type[ast.AST], list[Any]] = {
        ast.ClassDef: module.classes,
        ast.FunctionDef: module.functions,
        ast.AsyncFunctionDef: module.functions,
        ast.Assign: module.assigns,
        ast.AnnAssign: module.assigns,
        ast.AugAssign: module.augmented,
        ast.For: module.loops,
        ast.ListComp: module.comprehensions,
        ast.BinOp: module.operations,
        ast.BoolOp: module.choices,
        ast.Expr: module.statements,
        ast.Import: module.imports,
        ast.ImportFrom: module.imports,
    }
    enclosing, mentions, constants = module.enclosing, module.mentions, module.constants
    known = module.parents.known
    here: Around = (None, None, tree)
    stack: list[Any] = tree.body[::-1]
    pop, push, extend, kinds = stack.pop, stack.append, stack.extend, lists.get
    call, called = ast.Call, module.calls.append
    attribute, constant = ast.Attribute, ast.Constant
    # What is pushed last is popped first, so all is pushed backwards.
    while stack:
        node = pop()
        kind = type(node)
        if kind in _LEAVES:
            continue
        if kind is attribute:
            mentions[node.attr].append(node)
            push(node.value)
        elif kind is constant:
            constants.append(node)
        elif kind is call:
            called(node)
            enclosing[node] = here
            if node.keywords:
                extend([keyword.value for keyword in reversed(node.keywords)])
            if node.args:
                extend(reversed(node.args))
            push(node.func)
        elif kind is list:
            extend(reversed(node))
        elif kind is tuple:
            here = node
        else:
            kept = kinds(kind)
            if kept is not None:
                kept.append(node)
                if kind in _PLACED:
                    enclosing[node] = here
                if kind in _HOLDERS:
                    known[node.value] = node
            if kind in _SCOPES:
                # Popped when all inside is done: what is around then is what is around now.
                push(here)
                here = _inside(node, here)
            extend(_INNER[kind](node))
    return module


def _inside(node: Function | ast.ClassDef | ast.Lambda, here: Around) -> Around:
    """Return what is around the nodes right in a scope, from what is around itself."""
    if isinstance(node, ast.ClassDef):
        return here[0], node, node
    if isinstance(node, ast.Lambda):
        return here[0], here[1], node
    return node, here[1], node


# What an annotation names is neither made nor filled.
_INNER = {
    **CHILDREN,
    ast.AnnAssign: lambda node: (node.value, node.target),
    ast.FunctionDef: lambda node: (node.decorator_list, node.body, node.args),
    ast.AsyncFunctionDef: lambda node: (node.decorator_list, node.body, node.args),
    ast.arguments: lambda node: (node.defaults, node.kw_defaults),
}
_SCOPES = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda})
_PLACED = frozenset(
    {ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.FunctionDef, ast.AsyncFunctionDef,
     ast.ClassDef}
)  # fmt: skip
_HOLDERS = frozenset({ast.Assign, ast.Expr})
_LEAVES = frozenset({type(None), ast.Name, ast.Pass, ast.Break, ast.Continue})
