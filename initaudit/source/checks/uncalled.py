"""Methods that would initialise weights and that nothing calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.callers import SETTING_UP, class_of_object, given, is_super
from initaudit.source.classes import Class
from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.module import Function, arguments


@check("IA408", "draw")
def init_method_never_called(subject: File, limits: Limits) -> Iterator[Hit]:
    """A method that fills the weights of its class, called by nothing in the project."""
    for owner in subject.classes.values():
        if owner.framework not in {"torch", "paddle"}:
            continue
        for name, method in owner.methods.items():
            if not SETTING_UP.fullmatch(name) or not _plain(subject, method):
                continue
            if not _has_weights(owner) or not _fills(subject, method):
                continue
            if _called(subject, owner, name, method) or _deprecated(subject, method):
                continue
            if _restores(subject, owner, method):
                continue
            mild = subject.is_test or _switched_off(subject, owner, name)
            yield Hit(
                subject.site(_heading(method)),
                {"method": name, "owner": owner.name},
                severity=Severity.NOTE if mild else None,
                doubts=(
                    ("derived", owner.name),
                    ("dispatched", name, str(_wanted(method)), owner.name),
                    ("inherited", owner.name, name),
                ),
            )


def _plain(file: File, method: Function) -> bool:
    """Return whether nothing but torch decorates a method, so that it stays one."""
    names = (file.qualified(one) or "" for one in method.decorator_list)
    return all(name.startswith("torch.") for name in names)


def _deprecated(file: File, method: Function) -> bool:
    """Return whether a method warns those who still call it: others do its work."""
    return "DeprecationWarning" in file.module.written(method.body)


def _restores(file: File, owner: Class, method: Function) -> bool:
    """Return whether a method only copies back what another takes from the same method, too."""
    if any(draw.function is method and draw.callee.law != "data" for draw in file.draws):
        return False
    mine = _asked(file, method) & owner.methods.keys()
    return any(
        mine & _asked(file, other) for other in owner.methods.values() if other is not method
    )


def _asked(file: File, method: Function) -> set[str]:
    """Return the names of the object's own methods that a method calls."""
    return {
        words[1]
        for call in file.module.calls_by_scope.get(method, ())
        for words in [dotted(call.func)]
        if len(words) == 2 and words[0] == "self"
    }


def _switched_off(file: File, owner: Class, name: str) -> bool:
    """Return whether the call stands in the class as a comment: it is left out on purpose."""
    call = re.compile(rf"^\s*#\s*self\.(?:apply\(\s*self\.)?{name}\b")
    return any(map(call.match, file.module.lines[owner.node.lineno : owner.node.end_lineno]))


def _heading(method: Function) -> ast.stmt:
    """Return a node that covers the line of ``def`` only."""
    place = ast.Pass()
    place.lineno = place.end_lineno = method.lineno
    place.col_offset = method.col_offset
    place.end_col_offset = method.col_offset + len("def ") + len(method.name)
    return place


def _wanted(method: Function) -> int:
    """Return how many arguments a method needs beside the object; -1 where that varies."""
    if method.args.vararg is not None or method.args.kwarg is not None:
        return -1
    return len(arguments(method)) - 1 if not method.args.defaults else -1


def _has_weights(owner: Class) -> bool:
    """Return whether a class makes modules or parameters, so that there is something to fill."""
    return any(
        isinstance(value.value, ast.Call) and (dotted(value.value.func) or ("",))[-1][:1].isupper()
        for one in owner.lineage()
        for values in one.attributes.values()
        for value in values
    )


def _fills(file: File, method: Function) -> bool:
    return any(
        draw.function is method and draw.callee.form in {"inplace", "method", "module"}
        for draw in file.draws
    )


def _called(file: File, owner: Class, name: str, method: Function) -> bool:
    """Return whether the file mentions the method in a way that may reach this class."""
    if file.quotes(name) or _expected(file, owner, name):
        return True
    wanted = _wanted(method)
    for node in file.mentions.get(name, ()):
        inside = file.class_of(node)
        if dotted(node.value) == ("self",) or is_super(node.value):
            if inside is None or any(a is inside for a in owner.lineage()):
                return True
        elif class_of_object(file, node.value) in {"", owner.name}:
            number = given(file, node)
            fits = -1 in {wanted, number} or wanted == number
            if fits and file.module.function(node) is not method:
                return True
    return False


def _expected(file: File, owner: Class, name: str) -> bool:
    """Return whether a class of the file derives from this one, or a base has the method too."""
    if any(name in one.methods for one in owner.lineage() if one is not owner):
        return True
    return any(
        one is not owner and any(a is owner for a in one.lineage()) for one in file.classes.values()
    )


__all__ = ["init_method_never_called"]
