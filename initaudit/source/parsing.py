"""Source text to a module: its syntax tree, and the tables that rules ask, in one walk."""

from __future__ import annotations

import ast
import warnings
from typing import Any

from initaudit.source.assigned import Around
from initaudit.source.module import Module, inside
from initaudit.source.parents import CHILDREN, Parents


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
        ast.AnnAssign: module.assigns,
        ast.AugAssign: module.augmented,
        ast.For: module.loops,
        ast.ListComp: module.comprehensions,
        ast.BoolOp: module.choices,
        ast.Import: module.imports,
        ast.ImportFrom: module.imports,
    }
    enclosing, mentions, by_word = module.enclosing, module.mentions, module.calls_by_word
    called, assigned = module.calls.append, module.assigns.append
    operated, stated = module.operations.append, module.statements.append
    known = module.parents.known
    here: Around = (None, None, tree)
    stack: list[Any] = tree.body[::-1]
    pop, push, extend, kinds = stack.pop, stack.append, stack.extend, lists.get
    name, attribute, constant, call = ast.Name, ast.Attribute, ast.Constant, ast.Call
    assign, operation, expression = ast.Assign, ast.BinOp, ast.Expr
    # What is pushed last is popped first, so all is pushed backwards. The commonest kinds come
    # first, and the first of what they hold is looked at without being pushed.
    while stack:
        node = pop()
        while True:
            kind = type(node)
            if kind is name or kind is constant:
                break
            if kind is attribute:
                mentions[node.attr].append(node)
                node = node.value
            elif kind is call:
                called(node)
                enclosing[node] = here
                for keyword in reversed(node.keywords):
                    push(keyword.value)
                for arg in reversed(node.args):
                    if type(arg) is not name:
                        push(arg)
                func = node.func
                kind = type(func)
                word = func.attr if kind is attribute else func.id if kind is name else ""
                by_word[word].append(node)
                node = func
            elif kind is assign:
                assigned(node)
                enclosing[node] = here
                value = node.value
                known[value] = node
                others = [target for target in node.targets if type(target) is not name]
                if others:
                    push(value)
                    extend(others[:0:-1])
                    node = others[0]
                else:
                    node = value
            elif kind is operation:
                operated(node)
                push(node.right)
                node = node.left
            elif kind is expression:
                stated(node)
                known[node.value] = node
                node = node.value
            elif kind is list:
                extend(reversed(node))
                break
            elif kind is tuple:
                here = node
                break
            else:
                kept = kinds(kind)
                if kept is not None:
                    kept.append(node)
                    if kind in _PLACED:
                        enclosing[node] = here
                if kind in _SCOPES:
                    # Popped when all inside is done: what is around then is what is now.
                    push(here)
                    here = inside(node, here)
                extend(_INNER[kind](node))
                break
    return module


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
    {ast.AnnAssign, ast.AugAssign, ast.For, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef}
)
