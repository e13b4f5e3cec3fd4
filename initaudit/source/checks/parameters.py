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
    r"|reward|hidden_state|(?:^|_)(?:eps|x|z)$|example|coord",
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
                draw = _trainable(subject, one.value)
                if draw is None or len(values) > 1 or _elsewhere(subject, owner, one):
                    continue
                if _is_scalar(draw) or _NOT_WEIGHTS.search(name):
                    continue
                yield Hit(
                    subject.site(one.value),
                    {"attribute": f"self.{name}", "owner": owner.name},
                    severity=Severity.NOTE if subject.is_test else None,
                    fix="wrap-in-parameter",
                )


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


@check("IA421", "draw")
def tied_embedding_default_std(subject: File, limits: Limits) -> Iterator[Hit]:
    """An output head tied to an embedding that nobody takes down from its default N(0, 1)."""
    for statement in subject.module.assigns:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            continue
        target, value = _words(statement.targets[0]), _words(statement.value)
        owner = subject.class_of(statement)
        if owner is None or len(target) != 3 or len(value) != 3 or not owner.closed:
            continue
        if target[::2] != ("self", "weight") or value[::2] != ("self", "weight"):
            continue
        head = subject.attribute_layer(owner, target[1])
        table = subject.attribute_layer(owner, value[1])
        if head is None or table is None or head.op != "linear" or table.op != "embedding":
            continue
        if table.framework != "torch" or initialised_again(subject, owner):
            continue
        if _touched(subject, {target[1], value[1]}) or _scaled(subject, owner, target[1]):
            continue
        made = owner.only(value[1])
        yield Hit(
            subject.site(statement),
            {"head": f"self.{target[1]}", "embedding": f"self.{value[1]}", "owner": owner.name},
            severity=Severity.NOTE if subject.is_test else None,
            related=() if made is None else (subject.site(made.value),),
            doubts=(("filled", owner.name, "call"), ("derived", owner.name)),
        )


def _words(expr: ast.expr) -> tuple[str, ...]:
    """Return the words of a plain ``self.a.weight``, nothing else."""
    return tuple(ast.unparse(expr).split(".")) if isinstance(expr, ast.Attribute) else ()


def _touched(file: File, names: set[str]) -> bool:
    """Return whether either weight is filled in the file, by its name or by its kind."""
    for draw in file.draws:
        if draw.callee.form == "factory":
            continue
        if names & set(draw.path[1:]):
            return True
        guards = file.guards(draw.node)
        if any(guard.rpartition(".")[2] == "Embedding" for guard in guards):
            return True
    return False


_SCALING = re.compile(r"\*\*\s*\(?-\s*0?\.5|sqrt|scale|temperature|normalize|/\s*self\.")


def _scaled(file: File, owner: Class, head: str) -> bool:
    """Return whether the logits, or what the head reads, are scaled close to the head's call."""
    for method in owner.methods.values():
        lines = file.module.lines[method.lineno - 1 : method.end_lineno]
        at = [i for i, line in enumerate(lines) if re.search(rf"self\.{head}\(", line)]
        if at and _SCALING.search("\n".join(lines[max(1, at[0] - 2) :])):
            return True
    return False
