"""Tensors that are to be trained and are no parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.classes import CONSTRUCTORS, Attribute, Class
from initaudit.source.draws import Draw, read_draw
from initaudit.source.file import File
from initaudit.source.parents import walk
from initaudit.source.traits import called

_PARAMETER = frozenset({"torch.nn.Parameter", "torch.nn.parameter.Parameter"})
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
    """Return the draw of ``torch.randn(.., requires_grad=True)`` and its like, scaled or not."""
    trainable = False
    while isinstance(value, ast.Call | ast.BinOp):
        if isinstance(value, ast.BinOp):
            if not isinstance(value.op, ast.Mult | ast.Div):
                break
            # A factor may stand on either side; a tensor is what is made by a call.
            value = value.left if isinstance(value.left, ast.Call | ast.BinOp) else value.right
            continue
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
        for n in walk(argument)
    )
