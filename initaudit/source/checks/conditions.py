"""Conditions that are always true, or ask for the first of several only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.file import File
from initaudit.source.module import Function
from initaudit.source.targets import in_initialising

_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*")
_TESTING = frozenset({"startswith", "endswith", "find", "count"})


@check("IA403", "draw")
def isinstance_or(subject: File, limits: Limits) -> Iterator[Hit]:
    """``isinstance(m, A or B)``, ``if "a" or "b" in name``: one alternative is never asked for."""
    for choice in subject.module.choices:
        found = _classes(subject, choice) or _strings(subject, choice) or _beside(subject, choice)
        if found is None:
            continue
        site, means, fix = found
        yield Hit(
            subject.site(site),
            {"written": ast.unparse(site), "means": means},
            severity=Severity.NOTE if subject.is_test else None,
            fix=fix,
        )


_Found = tuple[ast.expr, str, str | None]


def _classes(file: File, choice: ast.BoolOp) -> _Found | None:
    """``isinstance(m, A or B)``: a class is true, so ``or`` is A and ``and`` is B."""
    if not all(_is_class(file, value) for value in choice.values[:-1]):
        return None
    call = file.module.parents.get(choice)
    if isinstance(call, ast.Tuple):
        call = file.module.parents.get(call)
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    if call.func.id not in {"isinstance", "issubclass"} or choice is call.args[0]:
        return None
    if not (_speaks_of_layers(file, choice) or _sets_up(file, choice)):
        return None
    is_or = isinstance(choice.op, ast.Or)
    kept = choice.values[0] if is_or else choice.values[-1]
    alone = len(call.args) == 2 and call.args[1] is choice
    fix = "tuple-of-classes" if is_or and alone and call.func.id == "isinstance" else None
    first = ast.unparse(call.args[0])
    return call, f"{call.func.id}({first}, {ast.unparse(kept)})", fix


def _strings(file: File, choice: ast.BoolOp) -> _Found | None:
    """``"a" or "b" in name`` and ``name == "a" or "b"``: a string that is not empty is true."""
    texts = [_is_text(value) for value in choice.values]
    if not any(texts) or not _sets_up(file, choice):
        return None
    is_or = isinstance(choice.op, ast.Or)
    shown = choice.values[0] if is_or else choice.values[-1]
    if all(texts):
        return (choice, ast.unparse(shown), None) if _compared(file, choice) else None
    if not any(_asks(v) for v in choice.values) or not _tested(file, choice):
        return None
    if is_or:
        return choice, "always true", None
    rest = [v for v, text in zip(choice.values, texts, strict=True) if not text]
    return choice, " and ".join(ast.unparse(v) for v in rest), None


def _asks(value: ast.expr) -> bool:
    """Return whether an expression asks something of a string, as ``"a" in name`` does."""
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Attribute) and value.func.attr in _TESTING
    return isinstance(value, ast.Compare)


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value != ""


def _beside(file: File, choice: ast.BoolOp) -> _Found | None:
    """``isinstance(m, A) or B``: the class B is true by itself."""
    if not isinstance(choice.op, ast.Or):
        return None
    called = [
        isinstance(v, ast.Call) and isinstance(v.func, ast.Name) and v.func.id == "isinstance"
        for v in choice.values
    ]
    if not any(called) or not any(_is_class(file, v) for v in choice.values):
        return None
    if not _tested(file, choice):
        return None
    return choice, "always true", None


def _is_class(file: File, value: ast.expr) -> bool:
    """Return whether an expression surely is a class, so that it is true."""
    if not isinstance(value, ast.Name | ast.Attribute):
        return False
    # A name that is also assigned may stand for None, where an import has failed.
    if isinstance(value, ast.Name) and file.is_assigned(value.id):
        return False
    if isinstance(value, ast.Name) and file.class_named(value.id) is not None:
        return True
    name = file.qualified(value)
    if name is None:
        return False
    is_layer = file.catalogue.layer(name) is not None
    return is_layer or _CLASS.fullmatch(name.rpartition(".")[2]) is not None


def _speaks_of_layers(file: File, choice: ast.BoolOp) -> bool:
    names = (file.qualified(value) for value in choice.values)
    return any(name is not None and file.catalogue.layer(name) is not None for name in names)


def _sets_up(file: File, node: ast.AST) -> bool:
    """Return whether the function around a node initialises something."""
    function: Function | None = file.module.function(node)
    while function is not None:
        if function in file.drawing or in_initialising(function):
            return True
        function = file.module.function(function)
    return False


def _tested(file: File, node: ast.expr) -> bool:
    """Return whether an expression is used for its truth only, to choose what is done."""
    inner: ast.AST = node
    for around in file.module.around(node):
        if isinstance(around, ast.If | ast.While | ast.IfExp):
            return around.test is inner
        if isinstance(around, ast.comprehension):
            return inner in around.ifs
        if not isinstance(around, ast.BoolOp) and not (
            isinstance(around, ast.UnaryOp) and isinstance(around.op, ast.Not)
        ):
            return False
        inner = around
    return False


def _compared(file: File, choice: ast.BoolOp) -> bool:
    """Return whether a choice between strings is what a test asks about."""
    parent = file.module.parents.get(choice)
    if isinstance(parent, ast.Compare):
        return True
    return isinstance(parent, ast.Call) and choice in parent.args and _asks(parent)
