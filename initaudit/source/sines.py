"""Sines of scaled layers, as in SIREN: which layer each follows, and what scales it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from initaudit.source.classes import Class
from initaudit.source.file import File, straight_line
from initaudit.source.fold import point
from initaudit.source.module import arguments, defaults

_SINES = frozenset(
    {"torch.sin", "jax.numpy.sin", "tensorflow.sin", "tensorflow.math.sin", "keras.ops.sin"}
)
_FORWARD = frozenset({"forward", "__call__", "call"})

Given = Mapping[str, ast.expr]
"""The arguments of one construction of a class, by parameter."""


@dataclass(frozen=True)
class Sine:
    """One ``sin(a * b * layer(x))``.

    ``factors`` are a and b; ``layer`` is the call of a layer, None where a class applies the sine
    to what it is given; ``inner`` is what the layer is given. ``held`` says whose attributes the
    factors may name.
    """

    node: ast.Call
    factors: tuple[ast.expr, ...]
    layer: ast.Call | None
    inner: ast.expr | None
    held: Class | None


def sines(file: File) -> list[Sine]:
    """Return the sines of scaled layers of a file, through activation classes of it too."""
    return [*file.once(_direct), *_through_activations(file)]


def _direct(file: File) -> list[Sine]:
    found = []
    for call in file.module.calls_by_word.get("sin", ()):
        if file.qualified(call.func) not in _SINES or len(call.args) != 1 or call.keywords:
            continue
        parts = list(_product(call.args[0]))
        layers = [p for p in parts if _applied(file, p, call) is not None]
        if len(layers) == 1 and len(parts) > 1 and _is_kept_whole(file, call):
            layer = _applied(file, layers[0], call)
            factors = tuple(p for p in parts if p is not layers[0])
            held = file.class_of(call)
            if isinstance(layer, ast.Call):
                found.append(Sine(call, factors, layer, layer.args[0], held))
            else:
                found.append(Sine(call, factors, None, None, held))
    return found


def _product(expr: ast.expr) -> Iterator[ast.expr]:
    if isinstance(expr, ast.BinOp) and isinstance(expr.op, ast.Mult):
        yield from _product(expr.left)
        yield from _product(expr.right)
    else:
        yield expr


def _applied(file: File, part: ast.expr, sine: ast.Call) -> ast.expr | None:
    """Return the call of a layer that a factor is; the factor itself where it is what came in."""
    if isinstance(part, ast.Call):
        return part if len(part.args) == 1 and not part.keywords else None
    if not isinstance(part, ast.Name):
        return None
    made = _before(file, part.id, sine)
    if made is not None:
        value = made.value
        return value if isinstance(value, ast.Call) and len(value.args) == 1 else None
    function = file.module.function(sine)
    values = file.module.assigned.values(function, part.id)
    if function is None or values or function.name not in _FORWARD:
        return None
    return part if part.id in {a.arg for a in arguments(function)[1:]} else None


def _before(file: File, name: str, node: ast.AST) -> ast.Assign | ast.AnnAssign | None:
    """Return the assignment that a name has its value from, where one block says so."""
    found = None
    for one in file.module.assigns_by_scope.get(file.module.scope(node), ()):
        targets = one.targets if isinstance(one, ast.Assign) else [one.target]
        given = any(isinstance(t, ast.Name) and t.id == name for t in targets)
        if given and one.lineno < file.module.statement(node).lineno:
            found = one
    return found if found is not None and straight_line(file, found, node) else None


def _is_kept_whole(file: File, call: ast.expr) -> bool:
    """Return whether a sine goes on alone: snake adds it, encodings put it beside a cosine."""
    function = file.module.function(call)
    if "cos(" in file.module.written([] if function is None else [function]):
        return False
    around = file.module.parents.get(call)
    if isinstance(around, ast.Call):
        return call in around.args and len(around.args) == 1
    return isinstance(around, ast.Return | ast.Assign)


def activations(file: File) -> Mapping[ast.ClassDef, Sine]:
    """Return the classes that do nothing but take the sine of what they are given, scaled."""
    return {
        one.held.node: one
        for one in file.once(_direct)
        if one.layer is None and one.held is not None and _only_sine(file, one)
    }


def _only_sine(file: File, sine: Sine) -> bool:
    function = file.module.function(sine.node)
    return (
        function is not None
        and isinstance(function.body[-1], ast.Return)
        and (function.body[-1].value is sine.node)
    )


def _through_activations(file: File) -> Iterator[Sine]:
    """Yield ``self.act(self.layer(x))`` where the attribute is such a class's object."""
    classes = file.once(activations)
    if not classes:
        return
    for call in file.module.calls:
        func, owner = call.func, file.class_of(call)
        if owner is None or not isinstance(func, ast.Attribute) or len(call.args) != 1:
            continue
        if not isinstance(func.value, ast.Name) or func.value.id != "self":
            continue
        made = owner.only(func.attr)
        layer = _applied(file, call.args[0], call)
        if made is None or not isinstance(layer, ast.Call) or not _is_kept_whole(file, call):
            continue
        scaled = scale_of(file, made.value)
        if scaled is not None:
            yield Sine(call, (ast.Constant(scaled),), layer, layer.args[0], owner)


def scale_of(file: File, value: ast.expr) -> float | None:
    """Return the factor of ``Sine(30)``, an object of a class that takes the sine of its input."""
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
        return None
    owner = file.class_named(value.func.id)
    sine = None if owner is None else file.once(activations).get(owner.node)
    if owner is None or sine is None:
        return None
    given = bound(owner, value)
    return None if given is None else scale(file, sine.factors, owner, given)


def bound(owner: Class, call: ast.Call) -> Given | None:
    """Return the arguments of a construction by parameter; None where they cannot be told."""
    if any(isinstance(a, ast.Starred) for a in call.args) or any(
        k.arg is None for k in call.keywords
    ):
        return None
    maker = owner.methods.get("__init__")
    names = [] if maker is None else [a.arg for a in maker.args.args[1:]]
    if len(call.args) > len(names):
        return None
    given = dict(zip(names, call.args, strict=False))
    return {**given, **{k.arg: k.value for k in call.keywords if k.arg is not None}}


def scale(
    file: File, factors: tuple[ast.expr, ...], owner: Class | None, given: Given
) -> float | None:
    """Return the product of some factors for one construction of their class."""
    product = 1.0
    for factor in factors:
        number = _number(file, factor, owner, given)
        if number is None:
            return None
        product *= number
    return product


def _number(file: File, factor: ast.expr, owner: Class | None, given: Given) -> float | None:
    value = factor
    if isinstance(factor, ast.Attribute) and isinstance(factor.value, ast.Name):
        made = None if owner is None or factor.value.id != "self" else owner.only(factor.attr)
        if made is None:
            return None
        # A field of a dataclass is an argument of the same name.
        value = given.get(factor.attr, made.value) if made.function is None else made.value
    if isinstance(value, ast.Name) and owner is not None:
        maker = owner.methods.get("__init__")
        if maker is not None and value.id in {a.arg for a in arguments(maker)}:
            told = given.get(value.id, defaults(maker).get(value.id))
            return None if told is None else _told(file, told)
    return _told(file, value)


def _told(file: File, value: ast.expr) -> float | None:
    """Return a number that is written, or that a parameter of the place defaults to."""
    number = point(file.fold(value))
    function = file.module.function(value)
    if number is None and isinstance(value, ast.Name) and function is not None:
        default = defaults(function).get(value.id)
        return None if default is None else point(file.fold(default))
    return number
