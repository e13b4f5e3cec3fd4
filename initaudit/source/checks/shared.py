"""One initialiser object for two weights of a shape, which makes them equal."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.checks.copies import value_of
from initaudit.source.classes import CONSTRUCTORS
from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.module import defaults
from initaudit.source.traits import called


@check("IA415", "draw")
def shared_initializer_instance(subject: File, limits: Limits) -> Iterator[Hit]:
    """One initialiser object for two weights of a shape: the same call gives the same numbers."""
    if "nitializer" not in subject.module.text:
        return
    used: dict[tuple[object, ...], list[tuple[ast.Call, str]]] = {}
    for call in subject.module.calls_by_word.get("add_weight", ()):
        found = _weight(subject, call)
        if found is not None:
            shape, initialiser = found
            source = _instance(subject, initialiser)
            if source is not None:
                function = subject.module.function(call)
                used.setdefault((function, source, shape), []).append(
                    (call, ast.unparse(initialiser))
                )
    for calls in used.values():
        distinct = [c for c in calls if _unconditional(subject, c[0], calls[0][0])]
        for call, text in distinct[1:]:
            yield Hit(
                subject.site(call),
                {"initialiser": text, "shape": used_shape(call)},
                severity=Severity.NOTE if subject.is_test else None,
                related=(subject.site(distinct[0][0]),),
            )


def used_shape(call: ast.Call) -> str:
    """Return the text of the shape that a weight is given."""
    shape = _argument(call, "shape", 0)
    if isinstance(shape, ast.Constant) and isinstance(shape.value, str):
        shape = _argument(call, "shape", 1)
    return "?" if shape is None else ast.unparse(shape)


def _argument(call: ast.Call, keyword: str, position: int) -> ast.expr | None:
    given = next((k.value for k in call.keywords if k.arg == keyword), None)
    return given or (call.args[position] if len(call.args) > position else None)


def _weight(file: File, call: ast.Call) -> tuple[str, ast.expr] | None:
    """Return shape and initialiser of ``self.add_weight(shape=.., initializer=..)``."""
    owner = file.class_of(call)
    if called(call) != ("self", "add_weight") or owner is None or owner.framework == "torch":
        return None
    initialiser = next((k.value for k in call.keywords if k.arg == "initializer"), None)
    shape = used_shape(call)
    looped = any(
        isinstance(a, ast.For | ast.While | ast.ListComp) for a in file.module.around(call)
    )
    if initialiser is None or shape == "?" or looped or _is_vector(call):
        return None
    return shape, initialiser


def _is_vector(call: ast.Call) -> bool:
    """Return whether a weight has one axis (a bias or a gain), where copies do no harm."""
    shape = _argument(call, "shape", 0)
    if isinstance(shape, ast.Constant):
        shape = _argument(call, "shape", 1)
    return isinstance(shape, ast.Tuple | ast.List) and len(shape.elts) < 2


def _instance(file: File, initialiser: ast.expr) -> object | None:
    """Return what tells a random initialiser object apart: its assignment, or seed and law."""
    value = initialiser
    words = dotted(initialiser)
    if isinstance(initialiser, ast.Name):
        value = value_of(file, initialiser)
    elif len(words) == 2 and words[0] == "self":
        owner = file.class_of(initialiser)
        made = None if owner is None else owner.only(words[1])
        if made is None or made.function is None or made.function.name not in CONSTRUCTORS:
            return None
        value = made.value
    if not isinstance(value, ast.Call):
        return None
    if value is initialiser:
        seeded = _argument(value, "seed", 99)
        fixed = isinstance(seeded, ast.Constant) and isinstance(seeded.value, int)
        return ast.dump(value) if fixed and _is_random(file, value) else None
    return value if _is_random(file, value) else None


def _is_random(file: File, made: ast.Call) -> bool:
    """Return whether a call makes a Keras initialiser object that draws at random."""
    name = file.qualified(made.func) or ".".join(called(made))
    if name.endswith("initializers.get") and made.args:
        return _random_default(file, made.args[0])
    for candidate in file.module.names.candidates(made.func):
        found = file.catalogue.initialiser(candidate)
        if found is not None and found.form == "object" and found.framework == "keras":
            return found.law in _RANDOM
    return False


_RANDOM = frozenset({"normal", "truncated", "uniform", "scaling", "orthogonal"})


def _random_default(file: File, given: ast.expr) -> bool:
    """Return whether ``initializers.get(x)`` draws at random, by x or the default of x."""
    if isinstance(given, ast.Name):
        function = file.module.function(given)
        given = given if function is None else defaults(function).get(given.id, given)
    if not isinstance(given, ast.Constant) or not isinstance(given.value, str):
        return False
    found = file.catalogue.string("keras", given.value)
    return found is not None and found.law in _RANDOM


def _unconditional(file: File, call: ast.Call, first: ast.Call) -> bool:
    """Return whether two weights exist together: neither is in a branch that the other is not."""
    return _branches(file, call) == _branches(file, first)


def _branches(file: File, node: ast.AST) -> list[tuple[ast.AST, bool]]:
    found: list[tuple[ast.AST, bool]] = []
    child = node
    for around in file.module.around(node):
        if isinstance(around, ast.If):
            found.append((around, child in around.body))
        child = around
    return found
