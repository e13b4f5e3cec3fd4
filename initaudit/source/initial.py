"""What each weight of a class or a function starts from, by the label that the code uses for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from initaudit.catalogue import LayerSpec, scaled, shape
from initaudit.network import Interval, Weights
from initaudit.source.classes import CONSTRUCTORS, Class
from initaudit.source.draws import Draw, read_draw
from initaudit.source.file import File
from initaudit.source.flow import label
from initaudit.source.fold import fold, point
from initaudit.source.module import Scope

_WRITING = re.compile(r"init|norm_?$|_$")
WEIGHTED = frozenset({"linear", "conv", "conv_transpose", "bilinear"})
_NAMED = re.compile(
    r"^(W|w|V|U|Wx|Wh|Wi|Wo|W_?\w{0,3}|w_?\d+|\w*weights?\w*|\w*kernel\w*|theta\d*)$"
)


@dataclass(frozen=True)
class Start:
    """What one weight starts from.

    ``node`` is the expression that says so. ``weights`` is None where it is not known, among
    other reasons because something else may write it. ``implicit`` says that the standard
    deviation is a default that the code does not name. ``shape`` holds the axes that are known;
    empty where the rank is not. ``op`` is that of a layer, empty for a bare matrix.
    """

    label: str
    node: ast.expr
    weights: Weights | None
    implicit: bool
    shape: tuple[int | None, ...]
    op: str
    by_default: bool = False
    """Whether nothing but the layer's own default says it."""

    @property
    def constant(self) -> float | None:
        """The one value of all its elements."""
        w = self.weights
        if w is None or w.law not in {"zeros", "constant"}:
            return None
        return w.mean.lo if w.mean.lo == w.mean.hi else None

    @property
    def fan_in(self) -> int | None:
        """Its fan_in if known: for a bare matrix the smaller axis, which it is at least."""
        known = [n for n in self.shape if n is not None]
        if not known:
            return None
        return min(known) if self.op == "" else known[0]


def of_class(file: File, owner: Class) -> Mapping[str, Start]:
    """Return the weights that a class makes in its constructors, by label (``self.fc1``)."""
    found: dict[str, Start] = {}
    for one in reversed(list(owner.lineage())):
        for name, assigned in one.attributes.items():
            made = [a for a in assigned if a.function and a.function.name in CONSTRUCTORS]
            if len(made) != 1 or len(made) != len(assigned):
                found.pop(f"self.{name}", None)
                continue
            found.update(_made(file, f"self.{name}", made[0].value))
    draws = [d for d in file.draws if d.owner is owner.node]
    applied = _applies(file, owner)
    writers = _writers(file, owner) if found else {}
    for key in list(found):
        found[key] = _redrawn(file, found[key], draws, writers, applied)
    return found


def of_scope(file: File, scope: Scope) -> Mapping[str, Start]:
    """Return the weights that a function or the top of a file makes, by label (``W1``)."""
    found: dict[str, Start] = {}
    seen: set[str] = set()
    for statement in file.module.assigns_by_scope.get(scope, ()):
        if statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            for name, value in _pairs(target, statement.value):
                key = short(name)
                if key in seen:
                    found.pop(key, None)
                    continue
                seen.add(key)
                if _is_variable(file, value) or (_NAMED.match(key) and not _tensor(file, value)):
                    found.update(_made(file, key, value))
    return found


def short(text: str) -> str:
    """Return ``W1`` for ``params[W1]``: a table of weights is unpacked under the same names."""
    found = re.fullmatch(r"[\w.]+\[(\w+)\]", text)
    return found[1] if found and not found[1].isdigit() else text


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        if len(target.elts) == len(value.elts):
            for one, part in zip(target.elts, value.elts, strict=True):
                yield from _pairs(one, part)
        return
    name = label(target)
    if name is None:
        return
    if isinstance(value, ast.Dict):
        for key, part in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield f"{name}[{key.value}]", part
        return
    yield name, value


def _made(file: File, name: str, value: ast.expr) -> Iterator[tuple[str, Start]]:
    spec = file.layer(value)
    if spec is not None and isinstance(value, ast.Call):
        if spec.op == "container":
            parts = value.args[0].elts if _listed(value) else value.args  # type: ignore[attr-defined]
            for i, part in enumerate(parts):
                yield from _made(file, f"{name}[{i}]", part)
            return
        if spec.op in WEIGHTED:
            yield name, _layer_start(file, name, value, spec)
            return
    matrix = _matrix(file, value)
    if matrix is not None:
        draw, weights = matrix
        yield name, Start(name, value, weights, _implicit(draw), _axes(file, draw), "")


def _listed(call: ast.Call) -> bool:
    return len(call.args) == 1 and isinstance(call.args[0], ast.List)


def _layer_start(file: File, name: str, call: ast.Call, spec: LayerSpec) -> Start:
    bound = file.arguments(call, spec)
    main = next((w for w in spec.weights.values() if w.role == "weight"), None)
    if main is None or bound is None:
        return Start(name, call, None, False, (), spec.op)  # noqa: FBT003
    axes = shape(spec, main, bound)
    weights, implicit = main.default, True
    given = next((k.value for k in call.keywords if k.arg == main.keyword and k.arg), None)
    if given is not None:
        draw = _initialiser(file, given, spec.framework)
        weights = None if draw is None else draw[0]  # type: ignore[assignment]
        implicit = draw is not None and draw[1]
    inputs = bound.get(spec.inputs) if spec.inputs else None
    fan = point(inputs) if inputs is not None else None
    window = axes[2:] if axes and spec.op == "conv" else ()
    for extent in window:
        fan = None if fan is None or not isinstance(extent, int) else fan * extent
    axes = (int(fan) if fan else None,)
    return Start(name, call, weights, implicit, axes, spec.op, by_default=given is None)


def _initialiser(file: File, value: ast.expr, framework: str) -> tuple[Weights, bool] | None:
    from initaudit.catalogue import weights

    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        named = file.catalogue.string(framework, value.value)
        return None if named is None else (weights(named, {}), True)
    if isinstance(value, ast.Call):
        draw = read_draw(file.module, file.catalogue, value)
        return None if draw is None else (draw.weights, _implicit(draw))
    found = file.qualified(value)
    spec = file.catalogue.initialiser(found) if found else None
    return None if spec is None else (weights(spec, {}), True)


def _matrix(file: File, value: ast.expr) -> tuple[Draw, Weights] | None:
    """Return the draw of an array of two axes or more, through variables and constant factors."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult | ast.Div):
        inner = _matrix(file, value.left)
        factor = point(fold(file.module, value.right))
        if inner is None and isinstance(value.op, ast.Mult):
            inner, factor = _matrix(file, value.right), point(fold(file.module, value.left))
        if inner is None or not factor:
            return None
        by = factor if isinstance(value.op, ast.Mult) else 1 / factor
        return inner[0], scaled(inner[1], Interval.point(by))
    if not isinstance(value, ast.Call):
        return None
    spec = file.layer(value)
    if spec is not None and spec.op == "variable" and value.args:
        if any(k.arg in {"requires_grad", "trainable"} for k in value.keywords):
            return None
        return _matrix(file, value.args[0])
    draw = read_draw(file.module, file.catalogue, value)
    if draw is None or draw.callee.form != "factory" or len(_axes(file, draw)) < 2:
        return None
    return draw, draw.weights


def _is_variable(file: File, value: ast.expr) -> bool:
    spec = file.layer(value)
    return spec is not None and spec.op == "variable"


def _tensor(file: File, value: ast.expr) -> bool:
    """Return whether a bare torch tensor is made that no gradient is asked for: it is data."""
    draws = [
        draw
        for call in ast.walk(value)
        if isinstance(call, ast.Call)
        and (draw := read_draw(file.module, file.catalogue, call)) is not None
    ]
    learned = any(k.arg == "requires_grad" for draw in draws for k in draw.node.keywords)
    return any(draw.callee.framework == "torch" for draw in draws) and not learned


def _axes(file: File, draw: Draw) -> tuple[int | None, ...]:
    """Return the axes of the array that a factory makes; empty where their number is not known."""
    if draw.callee.form != "factory":
        return ()
    name = draw.callee.numbers.get("shape")
    call = draw.node
    given = next((k.value for k in call.keywords if k.arg == name), None)
    if given is None and draw.callee.variadic:
        parts: list[ast.expr] = list(call.args)
        if len(parts) == 1:
            given, parts = parts[0], []
        elif any(isinstance(p, ast.Starred) for p in parts):
            return ()
        if parts:
            return tuple(_whole(file, p) for p in parts)
    elif given is None and name is not None:
        names = [p.name for p in draw.callee.parameters if p.kind == "plain"]
        at = names.index(name) if name in names else len(names)
        given = call.args[at] if at < len(call.args) else None
    if isinstance(given, ast.Tuple | ast.List):
        return tuple(_whole(file, e) for e in given.elts)
    return ()


def _whole(file: File, expr: ast.expr) -> int | None:
    number = point(fold(file.module, expr))
    return int(number) if number is not None and number == int(number) else None


def _implicit(draw: Draw) -> bool:
    name = draw.callee.numbers.get("std")
    return name is None or name not in draw.bound


def _applies(file: File, owner: Class) -> bool:
    """Return whether the class hands all its modules to an initialising function."""
    return any(
        isinstance(call.func, ast.Attribute)
        and call.func.attr in {"apply", "post_init", "init_weights", "reset_parameters"}
        for call in file.module.calls_by_class.get(owner.node, ())
    )


def _redrawn(
    file: File,
    start: Start,
    draws: list[Draw],
    writers: Mapping[str, list[ast.AST]],
    applied: bool,  # noqa: FBT001
) -> Start:
    """Return a weight as later calls leave it: the last one, where it surely runs."""
    wanted = {start.label, f"{start.label}.weight", f"{start.label}.kernel"}
    writes = [d for d in draws if d.target is not None and label(d.target) in wanted]
    touched = _touched(start, writers, [d.node for d in writes])
    if not writes:
        unknown = applied or touched
        weights = None if unknown else start.weights
        return replace(start, weights=weights)
    last = writes[-1]
    sure = not touched and not applied and not chained(file, last) and _certain(file, last)
    return replace(
        start,
        node=last.node,
        weights=last.weights if sure else None,
        implicit=_implicit(last),
        by_default=False,
    )


def chained(file: File, draw: Draw) -> bool:
    """Return whether another method changes what was drawn: ``w.normal_().mul_(0.1)``."""
    return isinstance(file.module.parents.get(draw.node), ast.Attribute)


def _certain(file: File, draw: Draw) -> bool:
    """Return whether a call runs whenever its constructor or init method does."""
    for around in file.module.around(draw.node):
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            return around.name in CONSTRUCTORS or "init" in around.name or "reset" in around.name
        if isinstance(around, ast.If | ast.For | ast.While | ast.Try | ast.IfExp):
            return False
    return False


def _writers(file: File, owner: Class) -> Mapping[str, list[ast.AST]]:
    """Return, by label, what in a class may write it: calls by their name, and assignments."""
    found: dict[str, list[ast.AST]] = {}
    for call in file.module.calls_by_class.get(owner.node, ()):
        if isinstance(call.func, ast.Attribute):
            name = call.func.attr
            writes = name.endswith("_") and not name.startswith("_") and name != "requires_grad_"
            if writes and (target := label(call.func.value)) is not None:
                found.setdefault(target, []).append(call)
        elif isinstance(call.func, ast.Name):
            name = call.func.id
        else:
            continue
        if _WRITING.search(name):
            for argument in call.args:
                if (target := label(argument)) is not None:
                    found.setdefault(target, []).append(call)
    for (node, attribute), values in file.module.attribute_values.items():
        if node is owner.node and len(values) > 1:
            found.setdefault(f"self.{attribute}", []).extend(values)
    return found


def _touched(start: Start, writers: Mapping[str, list[ast.AST]], known: list[ast.Call]) -> bool:
    """Return whether anything that is not understood may write the weight, by its name."""
    forms = (start.label, f"{start.label}.weight", f"{start.label}.weight.data")
    return any(node not in known for form in forms for node in writers.get(form, ()))
