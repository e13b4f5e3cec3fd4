"""Tensors that are to be trained and are not, and parameters that nothing fills."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.network import Interval
from initaudit.rulebook import Severity
from initaudit.source.classes import CONSTRUCTORS, Attribute, Class
from initaudit.source.draws import Draw, read_draw
from initaudit.source.file import File
from initaudit.source.fold import point
from initaudit.source.traits import called, initialised_again

_MOVES = frozenset({"to", "cuda", "cpu", "float", "double", "half", "contiguous", "type"})
_NOT_WEIGHTS = re.compile(
    r"dummy|zero|loss|grad|tmp|mock|noise|input|image|img|(?:^|_)adv|perturb|delta|sample|target"
    r"|reward|hidden|cell|state|memory|(?:^|_)(?:eps|x|z)$|^[hxyt]_|^[hc]0|example|coord",
    re.IGNORECASE,
)
_WEIGHTS = re.compile(
    r"weight|bias|kernel|param|embed|alpha|beta|gamma|scale|matrix|proj|(?:^|_)[wbuv]\d*$",
    re.IGNORECASE,
)
_FILLS = re.compile(
    r"init|reset|param|load|build|setup|set_|copy|from_|tie|convert|quant|pack|merge|weight|fuse"
    r"|update|assign|create|post|apply|reload|import|hook|materiali",
    re.IGNORECASE,
)
_QUANTISED = re.compile(r"quant|int8|int4|fp8|fp4|gptq|awq|4bit|8bit|packed", re.IGNORECASE)


@check("IA409", "draw")
def trainable_tensor_not_parameter(subject: File, limits: Limits) -> Iterator[Hit]:
    """A tensor with gradient as a plain attribute of a module: no optimiser ever sees it."""
    if "requires_grad" not in subject.module.text:
        return
    for owner in subject.classes.values():
        if owner.framework != "torch":
            continue
        for name, values in owner.attributes.items():
            for one in values:
                moved = _moved_parameter(subject, one.value)
                if not (moved or _is_weight(subject, name, one.value)):
                    continue
                if len(values) > 1 or _elsewhere(subject, owner, one):
                    continue
                yield Hit(
                    subject.site(one.value),
                    {"attribute": f"self.{name}", "owner": owner.name},
                    severity=Severity.NOTE if subject.is_test else None,
                    fix=None if moved else "wrap-in-parameter",
                )


def _is_weight(file: File, name: str, value: ast.expr) -> bool:
    """Return whether a value is a trainable tensor that is drawn, or named, as a weight is."""
    draw = _trainable(file, value)
    if draw is None or _is_scalar(draw) or _NOT_WEIGHTS.search(name):
        return False
    return draw.callee.law in {"normal", "uniform"} or _WEIGHTS.search(name) is not None


def _moved_parameter(file: File, value: ast.expr) -> bool:
    """Return whether a parameter is copied to a device as it is made, which makes it a result."""
    moved = False
    while (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in {"to", "cuda", "half", "double"}
    ):
        moved, value = True, value.func.value
    if not moved or not isinstance(value, ast.Call) or file.qualified(value.func) not in _PARAMETER:
        return False
    return not any(k.arg == "requires_grad" for k in value.keywords)


def _trainable(file: File, value: ast.expr) -> Draw | None:
    """Return the draw of ``torch.randn(.., requires_grad=True)`` and its like."""
    trainable = False
    while isinstance(value, ast.Call):
        words = called(value)
        flag = next((k.value for k in value.keywords if k.arg == "requires_grad"), None)
        trainable |= isinstance(flag, ast.Constant) and flag.value is True
        if isinstance(value.func, ast.Attribute) and words[-1:] == ("requires_grad_",):
            given = value.args[0] if value.args else None
            trainable = given is None or (isinstance(given, ast.Constant) and given.value is True)
            value = value.func.value
        elif isinstance(value.func, ast.Attribute) and value.func.attr in _MOVES:
            value = value.func.value
        elif file.qualified(value.func) == "torch.autograd.Variable" and value.args:
            value = value.args[0]
        else:
            break
    if not trainable or not isinstance(value, ast.Call):
        return None
    draw = read_draw(file.module, file.catalogue, value)
    if draw is None or draw.callee.form != "factory" or draw.callee.framework != "torch":
        return None
    return draw


def _is_scalar(draw: Draw) -> bool:
    """Return whether a tensor holds one number, a switch or an accumulator rather than weights."""
    if draw.callee.law == "data":
        data = draw.node.args[0] if draw.node.args else None
        return not isinstance(data, ast.List | ast.Tuple)
    sizes = draw.node.args
    if len(sizes) == 1 and isinstance(sizes[0], ast.List | ast.Tuple):
        sizes = sizes[0].elts
    return not sizes or all(isinstance(s, ast.Constant) and s.value == 1 for s in sizes)


def _elsewhere(file: File, owner: Class, one: Attribute) -> bool:
    """Return whether the tensor is registered, or handed to an optimiser, by another way."""
    if one.function is None or one.function.name not in CONSTRUCTORS:
        return True
    if "parameters" in owner.methods or any(
        called(call)[-1:] == ("register_parameter",) and _says(call, one.name)
        for call in file.module.calls
        if file.module.class_of(call) in {None, owner.node}
    ):
        return True
    for call in file.module.calls:
        if file.module.class_of(call) not in {None, owner.node}:
            continue
        name = file.qualified(call.func) or ""
        optimises = name.startswith("torch.optim.") or "optim" in "".join(called(call)).lower()
        if (optimises or called(call)[-1:] == ("Parameter",)) and _says(call, one.name):
            return True
    listed = (ast.List, ast.Tuple, ast.Dict, ast.Return, ast.Yield)
    return any(
        isinstance(file.module.parents.get(node), listed)
        and file.module.class_of(node) in {None, owner.node}
        and not _in_forward(file, node)
        for node in file.mentions.get(one.name, ())
    )


def _in_forward(file: File, node: ast.AST) -> bool:
    function = file.module.function(node)
    return function is not None and function.name in {"forward", "__call__"}


def _says(call: ast.Call, word: str) -> bool:
    return any(
        (isinstance(n, ast.Attribute) and n.attr == word)
        or (isinstance(n, ast.Constant) and n.value == word)
        for argument in (*call.args, *(k.value for k in call.keywords))
        for n in ast.walk(argument)
    )


@check("IA410", "draw")
def uninitialised_parameter(subject: File, limits: Limits) -> Iterator[Hit]:
    """A parameter over memory as found, which only forward passes ever read."""
    for owner in subject.classes.values():
        if owner.framework != "torch" or not owner.closed or _QUANTISED.search(owner.name):
            continue
        for name, values in owner.attributes.items():
            if len(values) != 1 or not _is_garbage(subject, values[0].value):
                continue
            one = values[0]
            if not _single_target(one) or _filled(subject, owner, one):
                continue
            if initialised_again(subject, owner, frozenset({"every"})):
                continue
            yield Hit(
                subject.site(one.value),
                {"parameter": f"self.{name}", "owner": owner.name},
                severity=Severity.NOTE if subject.is_test else None,
                doubts=(
                    ("tested", owner.name),
                    ("derived", owner.name),
                    ("written", name),
                    ("filled", owner.name, "every"),
                ),
            )


def _is_garbage(file: File, value: ast.expr) -> bool:
    """Return whether a value is a trainable parameter over ``torch.empty`` or its like."""
    if not isinstance(value, ast.Call) or len(value.args) != 1 or value.keywords:
        return False
    if file.qualified(value.func) not in _PARAMETER:
        return False
    inner = value.args[0]
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
    if any(one.name in draw.path[1:] for draw in file.draws):
        return True
    if one.name in file.strings:
        return True
    for node in file.mentions.get(one.name, ()):
        if any(a is one.statement for a in file.module.around(node)):
            continue
        function = file.module.function(node)
        if function is None or _FILLS.search(function.name):
            return True
        after = file.module.parents.get(node)
        written = isinstance(after, ast.Attribute) and (
            after.attr == "data" or after.attr.endswith("_")
        )
        if written or isinstance(node.ctx, ast.Store):
            return True
    return False
