"""What an initialising call fills: a bias, a norm's gain, a layer's weight, something unknown."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.catalogue import LayerSpec
from initaudit.source.draws import Draw, dotted
from initaudit.source.file import File
from initaudit.source.module import Function, arguments
from initaudit.source.parents import walk

_BIAS = re.compile(r"(^|_)bias(es)?(_|$)|^b\d*$|_b$|^beta$")
_NORM = re.compile(r"norm|(^|_)(bn|ln|gn)\d*(_|$)|gamma|gain|scale|BatchNorm|temperature|alpha")
_WEIGHT = re.compile(r"weight|kernel|(^|_)[Ww]\d*(_|$)|filters?$|embedd|proj|theta")
_INITIAL = re.compile(r"init|reset|weight|param", re.IGNORECASE)


def is_bias(draw: Draw) -> bool:
    """Return whether a draw fills a bias, by the name of its target."""
    return _BIAS.search(draw.role) is not None


def is_gain(file: File, draw: Draw) -> bool:
    """Return whether a draw fills a norm's gain or another factor that stands at one."""
    if any(_NORM.search(word) for word in draw.path):
        return True
    layer = target_layer(file, draw)
    if layer is not None and layer.norm:
        return True
    return any("norm" in text.lower() or "bn" in text for text in tests_around(file, draw.node))


def becomes_weight(file: File, draw: Draw) -> bool:
    """Return whether the array that a factory returns is made into weights.

    That is said by a variable or parameter made of it in the same statement, or by the name that
    it is assigned to.
    """
    for around in file.module.around(draw.node):
        if isinstance(around, ast.Call):
            spec = file.layer(around)
            if spec is not None and spec.op == "variable":
                return True
        if isinstance(around, ast.Assign | ast.AnnAssign):
            targets = around.targets if isinstance(around, ast.Assign) else [around.target]
            return any(_WEIGHT.search(word) for t in targets for word in dotted(t)[-1:])
        if isinstance(around, ast.stmt):
            return False
    return False


def is_weight(file: File, draw: Draw) -> bool:
    """Return whether a draw fills weights rather than data, noise or a state."""
    match draw.callee.form:
        case "inplace" | "object" | "module":
            return True
        case "factory":
            return becomes_weight(file, draw)
        case _:
            named = any(_WEIGHT.search(word) or _BIAS.search(word) for word in draw.path)
            return named or _of_parameter(draw) or in_initialising(draw.function)


def in_initialising(function: Function | None) -> bool:
    """Return whether a function's name says that it sets up weights."""
    if function is None or function.name == "__init__":
        return False
    return _INITIAL.search(function.name) is not None


def _of_parameter(draw: Draw) -> bool:
    """Return whether a method is called on ``x.data``, as it must be on parameters."""
    return isinstance(draw.target, ast.Attribute) and draw.target.attr == "data"


def tests_around(file: File, node: ast.AST) -> Iterator[str]:
    """Yield the text of the tests whose true branch a node stands in, innermost first."""
    child = node
    for around in file.module.around(node):
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return
        if isinstance(around, ast.If) and child in around.body:
            yield ast.unparse(around.test)
        child = around


def target_layer(file: File, draw: Draw) -> LayerSpec | None:
    """Return the layer whose parameter a draw fills.

    Known are ``self.name`` and a local name that one layer is assigned to, and a name that
    `isinstance` has narrowed to layers of one kind of parameters (the first is returned), and
    the attributes of classes of the file: ``module.fc1`` narrowed to one, ``self.mlp.fc1``.
    """
    owner = draw.path[:-1]
    if not owner or draw.target is None or has_subscript(draw.target):
        return None
    if len(owner) == 2 and owner[0] == "self":
        cls = file.class_of(draw.node)
        return None if cls is None else file.attribute_layer(cls, owner[1])
    if len(owner) in {2, 3}:
        return _layer_within(file, draw, owner)
    if len(owner) != 1:
        return None
    narrowed = narrowed_to(file, draw.node, owner[0])
    if narrowed:
        specs = [file.catalogue.layer(name) for name in narrowed]
        return specs[0] if all(spec is not None for spec in specs) else None
    value = file.module.names.aliases.get(owner[0])
    return None if value is None else file.layer(value)


def _layer_within(file: File, draw: Draw, owner: tuple[str, ...]) -> LayerSpec | None:
    """Return the layer that an attribute of an object of the file's own classes is."""
    if owner[0] == "self":
        cls = file.class_of(draw.node)
        made = None if cls is None else next(
            (one.only(owner[1]) for one in cls.lineage() if owner[1] in one.attributes), None
        )  # fmt: skip
        func = made.value.func if made is not None and isinstance(made.value, ast.Call) else None
        kinds: tuple[str, ...] = (func.id,) if isinstance(func, ast.Name) else ()
    else:
        kinds = narrowed_to(file, draw.node, owner[0]) if len(owner) == 2 else ()
    found = [
        None if (one := file.class_named(kind)) is None else file.attribute_layer(one, owner[-1])
        for kind in kinds
    ]
    return found[0] if found and all(spec is not None for spec in found) else None


def narrowed_to(file: File, node: ast.AST, name: str) -> tuple[str, ...]:
    """Return the classes that the innermost `isinstance` test of ``name`` around a node allows."""
    known = file.once(_narrowings)
    if (node, name) not in known:
        known[node, name] = _narrowed_to(file, node, name)
    return known[node, name]


def _narrowings(file: File) -> dict[tuple[ast.AST, str], tuple[str, ...]]:
    """Return a place for what `narrowed_to` has found in a file."""
    return {}


def _narrowed_to(file: File, node: ast.AST, name: str) -> tuple[str, ...]:
    child = node
    for around in file.module.around(node):
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            break
        if isinstance(around, ast.If) and child in around.body:
            found = _kinds(file, around.test, name)
            if found:
                return found
        child = around
    return ()


def _kinds(file: File, test: ast.expr, name: str) -> tuple[str, ...]:
    if isinstance(test, ast.BoolOp):
        parts = [_kinds(file, value, name) for value in test.values]
        if isinstance(test.op, ast.And):
            return next((part for part in parts if part), ())
        return tuple(kind for part in parts for kind in part) if all(parts) else ()
    if (
        isinstance(test, ast.Call)
        and isinstance(test.func, ast.Name)
        and test.func.id == "isinstance"
        and len(test.args) == 2
        and isinstance(test.args[0], ast.Name)
        and test.args[0].id == name
    ):
        return tuple(file.classes_in(test.args[1]))
    return ()


def has_subscript(expr: ast.expr) -> bool:
    """Return whether a target is a part or another view of what its path names."""
    inner: ast.expr | None = expr
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    return not isinstance(inner, ast.Name)


def filled_kinds(file: File, function: Function, draw: Draw) -> frozenset[str]:
    """Return the classes whose parameter a draw fills, in a function that is handed a module.

    ``=Conv1d`` is that class, ``Conv`` any class with that in its name, the empty string any
    class; none where the draw fills something else or that is not known.
    """
    own = [a.arg for a in arguments(function) if a.arg not in {"self", "cls"}]
    if len(draw.path) != 2 or draw.path[0] not in own:
        return frozenset()
    kinds = narrowed_to(file, draw.node, draw.path[0])
    if kinds:
        return frozenset("=" + kind.rpartition(".")[2] for kind in kinds)
    words: set[str] = set()
    child: ast.AST = draw.node
    for around in file.module.around(draw.node):
        if around is function:
            break
        if isinstance(around, ast.If):
            if child not in around.body:
                return frozenset()
            words |= {
                n.value for n in walk(around.test)
                if isinstance(n, ast.Constant) and isinstance(n.value, str)
            }  # fmt: skip
        child = around
    words -= {"weight", "bias"}
    return frozenset(words or {""}) if len(words) < 2 else frozenset()


def fills_kind(kinds: frozenset[str], kind: str) -> bool:
    """Return whether a class is among those of `filled_kinds`."""
    return any(k[1:] == kind if k.startswith("=") else k in kind for k in kinds)


def fillers(file: File) -> dict[str, frozenset[str]]:
    """Return the functions at the top of a file that set up weights, and of which classes."""
    found = {
        function.name: frozenset[str]()
        for function in file.module.functions
        if file.module.is_top(function) and in_initialising(function)
    }
    for draw in file.draws:
        function = draw.function
        if function is None or draw.role != "weight" or draw.callee.law == "data":
            continue
        if found.get(function.name) is not None and file.module.is_top(function):
            found[function.name] |= filled_kinds(file, function, draw)
    return found
