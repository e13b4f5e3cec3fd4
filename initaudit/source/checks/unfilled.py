"""Parameters over memory as found, which nothing fills."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.network import Interval
from initaudit.rulebook import Severity
from initaudit.source.classes import Attribute, Class
from initaudit.source.draws import dotted, read_draw
from initaudit.source.file import File
from initaudit.source.fold import point
from initaudit.source.handling import related
from initaudit.source.traits import initialised_again

_MOVES = frozenset({"to", "cuda", "cpu", "float", "double", "half", "contiguous", "type"})
_FILLS = re.compile(
    r"init|reset|param|load|build|setup|set_|copy|from_|tie|convert|quant|pack|merge|weight|fuse"
    r"|update|assign|create|post|apply|reload|import|hook|materiali",
    re.IGNORECASE,
)
_EMPTY = ("empty", "Tensor(", "Tensor as")
_QUANTISED = re.compile(r"quant|int8|int4|fp8|fp4|gptq|awq|4bit|8bit|packed", re.IGNORECASE)


@check("IA410", "draw")
def uninitialised_parameter(subject: File, limits: Limits) -> Iterator[Hit]:
    """A parameter over memory as found, which only forward passes ever read."""
    for owner in subject.classes.values() if _may_have_one(subject) else ():
        if owner.framework != "torch" or _QUANTISED.search(owner.name) or not _own(owner):
            continue
        for name, values in owner.attributes.items():
            if not owner.closed and name in {"weight", "bias"}:
                continue
            if len(values) != 1 or not _is_garbage(subject, values[0].value):
                continue
            one = values[0]
            if not _single_target(one) or _filled(subject, owner, one):
                continue
            if initialised_again(subject, owner, frozenset({"every"})):
                continue
            if _hands_over(subject, owner):
                continue
            yield Hit(
                subject.site(one.value),
                {"parameter": f"self.{name}", "owner": owner.name},
                severity=Severity.NOTE if subject.is_test else None,
                doubts=(
                    *(() if owner.closed else (("unknown base", owner.name),)),
                    ("handled", owner.name, name),
                    ("completed", owner.name, name),
                    ("written", name),
                    ("filled", owner.name, "every"),
                ),
            )


def _may_have_one(file: File) -> bool:
    """Return whether a file speaks of memory as found and makes parameters."""
    if not any(word in file.module.text for word in _EMPTY):
        return False
    return any(call.args for call in file.module.calls_that_may_be("Parameter"))


def _hands_over(file: File, owner: Class) -> bool:
    """Return whether the object is handed, as a whole, to a function that may fill it."""
    return any(
        isinstance(call.func, ast.Name)
        and re.search(r"init|reset|fill", call.func.id) is not None
        and any(isinstance(given, ast.Name) and given.id == "self" for given in call.args)
        for call in file.module.calls_by_class.get(owner.node, ())
    )


def _own(owner: Class) -> bool:
    """Return whether no base is a layer of the framework, which fills its own parameters."""
    return owner.closed or not any(base.startswith("torch.nn.") and base not in _ROOT
                                   for one in owner.lineage() for base in one.bases)  # fmt: skip


_ROOT = frozenset({"torch.nn.Module"})


def _is_garbage(file: File, value: ast.expr) -> bool:
    """Return whether a value is a trainable parameter over ``torch.empty`` or its like."""
    if not isinstance(value, ast.Call) or len(value.args) != 1 or value.keywords:
        return False
    inner = value.args[0]
    if not isinstance(inner, ast.Call) or file.qualified(value.func) not in _PARAMETER:
        return False
    while (
        isinstance(inner, ast.Call)
        and isinstance(inner.func, ast.Attribute)
        and inner.func.attr in _MOVES
    ):
        inner = inner.func.value
    if not isinstance(inner, ast.Call):
        return False
    draw = read_draw(file.module, file.catalogue, inner)
    if draw is None or draw.callee.law != "empty" or draw.callee.form != "factory":
        return False
    if any(isinstance(a, ast.Constant) and a.value == 0 for a in inner.args):
        # No element: such a parameter only tells which device the others are on.
        return False
    dtype = next((k.value for k in inner.keywords if k.arg == "dtype"), None)
    if dtype is not None and re.search(r"int|float8|fp8|bool|quant", ast.unparse(dtype)):
        return False
    if draw.callee.name.endswith(("empty", "empty_strided", "empty_like")):
        return True
    return _is_shape(file, inner)


_PARAMETER = frozenset({"torch.nn.Parameter", "torch.nn.parameter.Parameter"})


def _is_shape(file: File, call: ast.Call) -> bool:
    """Return whether ``torch.Tensor(..)`` is given a shape: numbers, not data."""
    if len(call.args) >= 2 or any(isinstance(a, ast.Starred) for a in call.args):
        return True
    value = file.fold(call.args[0]) if call.args else None
    return isinstance(value, Interval) and point(value) is not None


def _single_target(one: Attribute) -> bool:
    return not isinstance(one.statement, ast.Assign) or len(one.statement.targets) == 1


def _filled(file: File, owner: Class, one: Attribute) -> bool:
    """Return whether anything in the file may fill an attribute, or hands it to what may."""
    if file.quotes(one.name) or _is_marker(file, one):
        return True
    for node in file.mentions.get(one.name, ()):
        if any(a is one.statement for a in file.module.around(node)):
            continue
        after = file.module.parents.get(node)
        if _is_another(file, owner, node) or _is_module(after):
            continue
        function = file.module.function(node)
        if function is None or _FILLS.search(function.name):
            return True
        written = isinstance(after, ast.Attribute) and (
            after.attr == "data" or after.attr.endswith("_")
        )
        if written or isinstance(node.ctx, ast.Store):
            return True
    return any(
        draw.path[1:] and draw.path[-1] == one.name and draw.target is not None
        and not _is_another(file, owner, draw.target)
        for draw in file.draws
    )  # fmt: skip


def _is_marker(file: File, one: Attribute) -> bool:
    """Return whether all that is ever asked of a parameter is where it is and of what type."""
    asked = [
        file.module.parents.get(node)
        for node in file.mentions.get(one.name, ())
        if not any(a is one.statement for a in file.module.around(node))
    ]
    return bool(asked) and all(
        isinstance(after, ast.Attribute) and after.attr in {"device", "dtype"} for after in asked
    )


def _is_another(file: File, owner: Class, node: ast.expr) -> bool:
    """Return whether an attribute is one of ``self`` in a class that is no kin of this one."""
    inside = file.class_of(node)
    if inside is None or related(owner, inside):
        return False
    return dotted(node)[:1] == ("self",) and len(dotted(node)) == 2


def _is_module(after: ast.AST | None) -> bool:
    """Return whether what is asked of an attribute is what no parameter has: a weight."""
    return isinstance(after, ast.Attribute) and after.attr in {
        "weight", "bias", "in_features", "out_features", "in_channels", "out_channels", "weight_g",
    }  # fmt: skip
