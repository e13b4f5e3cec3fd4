"""Passes that hand every module of a network to one piece of code, and what that code writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from initaudit.source.draws import Draw, dotted
from initaudit.source.file import File
from initaudit.source.module import Function, arguments
from initaudit.source.targets import has_subscript

MODULES = frozenset({"modules", "named_modules", "children", "named_children"})
_PRESENT = re.compile(r"\.(weight|bias)\b|hasattr|requires_grad|affine")
_LEAVING = re.compile(r"\b(return|continue|break)\b")
Holder = Function | ast.For


@dataclass(frozen=True)
class Write:
    """What the code of a pass fills of a module that it is handed.

    ``kinds`` are the classes that `isinstance` narrows the module to, empty where any will do.
    ``certain`` says that nothing but the kind, and the parameter's presence, decides.
    """

    draw: Draw
    holder: Holder
    kinds: tuple[str, ...]
    certain: bool

    @property
    def role(self) -> str:
        """The parameter that is filled."""
        return self.draw.role


@dataclass(frozen=True)
class Sweep:
    """A place where every module under ``root`` (``("self",)``) is handed to such code."""

    node: ast.expr | ast.stmt
    root: tuple[str, ...]
    writes: tuple[Write, ...]


def writes(file: File) -> Mapping[Holder, tuple[Write, ...]]:
    """Return what each function fills of its arguments, each loop of the modules it runs over."""
    found: dict[Holder, list[Write]] = {}
    for draw in file.draws:
        if draw.callee.form not in {"inplace", "method"} or len(draw.path) != 2:
            continue
        if draw.target is None or has_subscript(draw.target) or draw.path[0] in {"self", "cls"}:
            continue
        one = _write(file, draw)
        if one is not None:
            found.setdefault(one.holder, []).append(one)
    return {holder: tuple(held) for holder, held in found.items()}


def sweeps(file: File, by_holder: Mapping[Holder, tuple[Write, ...]]) -> list[Sweep]:
    """Return the passes of a file, those behind a call of a method of the same object included."""
    found = [*_applied(file, by_holder), *_looped(file, by_holder)]
    if found or by_holder:
        found += _through_methods(file, found, by_holder)
    found.sort(key=lambda s: (s.node.lineno, s.node.col_offset))
    return found


def loop_variable(loop: ast.For) -> str | None:
    """Return the name that a loop gives each object, the last of ``name, module``."""
    target = loop.target.elts[-1] if isinstance(loop.target, ast.Tuple) else loop.target
    return target.id if isinstance(target, ast.Name) else None


def over(loop: ast.For, methods: frozenset[str]) -> tuple[str, ...]:
    """Return the words of ``x`` in ``for .. in x.modules()``; empty for any other loop."""
    call = loop.iter
    while isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args:
        call = call.args[-1]
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return ()
    return dotted(call.func.value) if call.func.attr in methods else ()


def governs(file: File, later: ast.AST, earlier: ast.AST) -> bool:
    """Return whether the later of two nodes runs wherever the earlier has run."""
    module = file.module
    block = module.parents.get(module.statement(later))
    if block is None or isinstance(block, ast.For | ast.While):
        return False
    inner: ast.AST = earlier
    for around in module.around(earlier):
        if around is block:
            body = getattr(around, "body", [])
            return (inner in body) == (module.statement(later) in body)
        inner = around
    return False


def function_of(file: File, expr: ast.expr) -> Function | None:
    """Return the function of the file that a name, ``self.name`` or a partial of one stands for."""
    if isinstance(expr, ast.Call) and expr.args:
        return function_of(file, expr.args[0]) if _is_partial(file, expr) else None
    if isinstance(expr, ast.Name):
        found = [f for f in file.module.functions if f.name == expr.id]
        found = [f for f in found if not isinstance(file.module.scope(f), ast.ClassDef)]
        near = [f for f in found if file.module.scope(f) in file.module.around(expr)]
        return near[-1] if near else None
    if isinstance(expr, ast.Attribute) and isinstance(expr.value, ast.Name):
        owner = file.class_of(expr) if expr.value.id in {"self", "cls"} else None
        owner = owner or file.class_named(expr.value.id)
        return None if owner is None else file.method(owner, expr.attr)
    return None


def _is_partial(file: File, call: ast.Call) -> bool:
    return file.qualified(call.func) == "functools.partial"


def _write(file: File, draw: Draw) -> Write | None:
    name = draw.path[0]
    holder = _holder(file, draw)
    if holder is None:
        return None
    child: ast.AST = draw.node
    kinds: tuple[str, ...] | None = None
    excluded: set[str] = set()
    certain = True
    for around in file.module.around(draw.node):
        if around is holder:
            break
        if isinstance(around, ast.If):
            tested, plain = _test(file, around.test, name)
            if child in around.body:
                certain &= plain
                kinds = tested if kinds is None else kinds
            elif child in around.orelse:
                certain &= plain and tested is not None
                excluded |= set(tested or ())
        child = around
    before = file.module.lines[holder.lineno : draw.node.lineno - 1]
    certain &= _LEAVING.search("\n".join(before)) is None
    certain &= kinds is not None or not excluded
    return Write(draw, holder, tuple(k for k in kinds or () if k not in excluded), certain)


def _holder(file: File, draw: Draw) -> Holder | None:
    """Return the function or loop that hands the module which a draw fills to this code."""
    name = draw.path[0]
    for around in file.module.around(draw.node):
        if isinstance(around, ast.For):
            handed = loop_variable(around) == name and over(around, MODULES)
            return around if handed else None
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            return around if any(a.arg == name for a in arguments(around)) else None
        if isinstance(around, ast.While | ast.Try | ast.Lambda | ast.ClassDef):
            return None
    return None


def _test(file: File, test: ast.expr, name: str) -> tuple[tuple[str, ...] | None, bool]:
    """Return the classes that a test narrows a name to, and whether it asks for nothing else."""
    if isinstance(test, ast.BoolOp):
        parts = [_test(file, value, name) for value in test.values]
        plain = all(p for _, p in parts)
        if isinstance(test.op, ast.And):
            return next((k for k, _ in parts if k is not None), None), plain
        if any(k is None for k, _ in parts):
            return None, plain and not any(k for k, _ in parts)
        return tuple(kind for k, _ in parts for kind in k or ()), plain
    if (
        isinstance(test, ast.Call)
        and isinstance(test.func, ast.Name)
        and test.func.id == "isinstance"
        and len(test.args) == 2
        and dotted(test.args[0]) == (name,)
    ):
        return tuple(file.classes_in(test.args[1])), True
    text = ast.unparse(test)
    return None, _PRESENT.search(text) is not None and name in text and " not in " not in text


def _applied(file: File, by_holder: Mapping[Holder, tuple[Write, ...]]) -> Iterator[Sweep]:
    for call in file.module.calls_by_word.get("apply", ()):
        if not isinstance(call.func, ast.Attribute):
            continue
        if len(call.args) != 1 or call.keywords:
            continue
        function = function_of(file, call.args[0])
        root = dotted(call.func.value)
        if function is not None and function in by_holder and root:
            yield Sweep(call, root, by_holder[function])


def _looped(file: File, by_holder: Mapping[Holder, tuple[Write, ...]]) -> Iterator[Sweep]:
    loops: dict[ast.AST, tuple[tuple[str, ...], str]] = {}
    for loop in file.module.loops:
        root, name = over(loop, MODULES), loop_variable(loop)
        if root and name is not None:
            loops[loop] = (root, name)
            if loop in by_holder:
                yield Sweep(loop, root, by_holder[loop])
    if not loops:
        return
    for statement in file.module.statements:
        call = statement.value
        if not isinstance(call, ast.Call) or len(call.args) != 1:
            continue
        if not isinstance(call.args[0], ast.Name):
            continue
        around = file.module.parents.get(statement)
        if isinstance(around, ast.For) and around in loops and call.args[0].id == loops[around][1]:
            function = function_of(file, call.func)
            if function is not None and function in by_holder:
                yield Sweep(around, loops[around][0], by_holder[function])


def _through_methods(
    file: File, direct: list[Sweep], by_holder: Mapping[Holder, tuple[Write, ...]]
) -> Iterator[Sweep]:
    """Yield the sweeps behind ``self.method()``, and behind what a framework calls by name."""
    inside: dict[Function, list[Sweep]] = {}
    for one in direct:
        function = file.module.function(one.node)
        statement = file.module.statement(one.node)
        if function is not None and file.module.parents.get(statement) is function:
            inside.setdefault(function, []).append(one)
    names = {"post_init", *(function.name for function in inside)}
    calls = [c for name in sorted(names) for c in file.module.calls_by_word.get(name, ())]
    for call in calls:
        if call.args or not isinstance(call.func, ast.Attribute):
            continue
        words = dotted(call.func)
        if len(words) != 2 or words[0] != "self":
            continue
        owner = file.class_of(call)
        function = None if owner is None else file.method(owner, words[1])
        for one in inside.get(function, ()) if function is not None else ():
            if one.root == ("self",):
                yield Sweep(call, ("self",), one.writes)
        # transformers' base class hands every module to the method of this name.
        if function is None and words[1] == "post_init" and owner is not None:
            handler = file.method(owner, "_init_weights")
            if handler is not None and handler in by_holder:
                yield Sweep(call, ("self",), by_holder[handler])
