"""What each weight of a class or a function starts from, by the label that the code uses for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from initaudit.catalogue import Initialiser, LayerSpec, Value, present, scaled, shape
from initaudit.network import Interval, Weights
from initaudit.source.classes import CONSTRUCTORS, Class
from initaudit.source.draws import Draw, read_draw
from initaudit.source.file import File
from initaudit.source.fold import fold, point
from initaudit.source.label import label, place
from initaudit.source.later import rewritten
from initaudit.source.module import Scope
from initaudit.source.parents import walk
from initaudit.source.start import WEIGHTED, Start, implicit

NAMED = re.compile(
    r"^(W|w|V|U|Wx|Wh|Wi|Wo|W_?\w{0,3}|w_?\d+|\w*weights?\w*|\w*kernel\w*|theta\d*)$"
)


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
    return rewritten(file, owner, found)


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
                if name.startswith("self."):
                    continue
                if key in seen:
                    found.pop(key, None)
                    continue
                seen.add(key)
                if not isinstance(value, ast.Call | ast.BinOp):
                    continue
                if _is_variable(file, value) or (NAMED.match(key) and not _tensor(file, value)):
                    found.update(_made(file, key, value))
    for call in file.module.calls_by_scope.get(scope, ()):
        found.update(_in_place(file, call))
    return found


def _in_place(file: File, call: ast.Call) -> Iterator[tuple[str, Start]]:
    """Yield the weights of a layer called where it is made, and of a container of layers."""
    if isinstance(call.func, ast.Call):
        spec = file.layer(call.func)
        if spec is not None and spec.op in WEIGHTED:
            kind = spec.name.rpartition(".")[2]
            yield place(call.func), _layer_start(file, kind, call.func, spec)
    spec = file.layer(call)
    if spec is not None and spec.op == "container":
        kind = spec.name.rpartition(".")[2]
        for key, start in _made(file, place(call), call):
            yield key, replace(start, label=kind + key.removeprefix(place(call)))


def short(text: str) -> str:
    """Return ``W1`` for ``params[W1]``: a table of weights is unpacked under the same names."""
    found = re.fullmatch(r"[\w.]+\[(\w+)\]", text) if "[" in text else None
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
            row = spec.name.endswith("Sequential")
            for i, part in enumerate(parts):
                for key, start in _made(file, f"{name}[{i}]", part):
                    yield key, replace(start, in_row=row and key == f"{name}[{i}]")
            return
        if spec.op in WEIGHTED:
            yield name, _layer_start(file, name, value, spec)
            return
    matrix = _matrix(file, value)
    if matrix is not None:
        draw, weights = matrix
        yield name, Start(name, value, weights, implicit(draw), _axes(file, draw), "")


def _listed(call: ast.Call) -> bool:
    return len(call.args) == 1 and isinstance(call.args[0], ast.List)


def _layer_start(file: File, name: str, call: ast.Call, spec: LayerSpec) -> Start:
    bound = file.arguments(call, spec)
    main = next((w for w in spec.weights.values() if w.role == "weight"), None)
    if main is None or bound is None:
        return Start(name, call, None, False, (), spec.op)  # noqa: FBT003
    axes = shape(spec, main, bound)
    weights, default = main.default, True
    given = next((k.value for k in call.keywords if k.arg == main.keyword and k.arg), None)
    if given is not None:
        draw = _initialiser(file, given, spec.framework)
        weights = None if draw is None else draw[0]  # type: ignore[assignment]
        default = draw is not None and draw[1]
    inputs = bound.get(spec.inputs) if spec.inputs else None
    fan = point(inputs) if inputs is not None else None
    window = axes[2:] if axes and spec.op == "conv" else ()
    for extent in window:
        fan = None if fan is None or not isinstance(extent, int) else fan * extent
    axes = (int(fan) if fan else None,)
    return Start(
        name,
        call,
        weights,
        default,
        axes,
        spec.op,
        given is None,
        random_bias=_random_bias(call, spec, bound),
    )


def _random_bias(call: ast.Call, spec: LayerSpec, bound: Mapping[str, Value]) -> bool:
    """Return whether a layer may have a bias that its own default draws at random."""
    for weight in spec.weights.values():
        if weight.role == "bias" and weight.default.law not in {"zeros", "constant"}:
            given = any(k.arg == weight.keyword for k in call.keywords if k.arg)
            return not given and present(spec, weight, bound) is not False
    return False


def _initialiser(file: File, value: ast.expr, framework: str) -> tuple[Weights, bool] | None:
    from initaudit.catalogue import weights

    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        named = file.catalogue.string(framework, value.value)
        return None if named is None else (weights(named, {}), True)
    if isinstance(value, ast.Call):
        draw = read_draw(file.module, file.catalogue, value)
        return None if draw is None else (draw.weights, implicit(draw))
    if isinstance(value, ast.Name) and value.id in file.module.names.aliases:
        made = file.module.names.aliases[value.id]
        return None if isinstance(made, ast.Name) else _initialiser(file, made, framework)
    found = file.qualified(value)
    spec = file.catalogue.initialiser(found) if found else None
    if spec is None or (framework != "keras" and not {"key", "shape"} & _names(spec)):
        return None
    return weights(spec, {}), True


def _names(spec: Initialiser) -> set[str]:
    return {parameter.name for parameter in spec.parameters}


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
        if any(k.arg in {"requires_grad", "trainable"} and not _is_true(k) for k in value.keywords):
            return None
        return _matrix(file, value.args[0])
    draw = read_draw(file.module, file.catalogue, value)
    if draw is None or draw.callee.form != "factory" or len(_axes(file, draw)) < 2:
        return None
    return draw, draw.weights


def _is_true(keyword: ast.keyword) -> bool:
    return isinstance(keyword.value, ast.Constant) and keyword.value.value is True


def _is_variable(file: File, value: ast.expr) -> bool:
    spec = file.layer(value)
    return spec is not None and spec.op == "variable"


def _tensor(file: File, value: ast.expr) -> bool:
    """Return whether a bare tensor is made that no gradient is asked for: it is data."""
    draws = [
        draw
        for call in walk(value)
        if isinstance(call, ast.Call)
        and (draw := read_draw(file.module, file.catalogue, call)) is not None
    ]
    learned = any(k.arg == "requires_grad" for draw in draws for k in draw.node.keywords)
    return any(draw.callee.framework in {"torch", "paddle"} for draw in draws) and not learned


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
