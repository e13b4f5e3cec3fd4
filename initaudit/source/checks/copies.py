"""Layers that start as copies of each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.fold import point
from initaudit.source.module import Function, arguments, defaults
from initaudit.source.parents import walk
from initaudit.source.traits import (
    called,
    initialised_again,
    parametric,
    reaches_container,
)

_STACKS = {
    "torch.nn.TransformerEncoder": "encoder_layer",
    "torch.nn.TransformerDecoder": "decoder_layer",
}
_LAYERS = ("Layer", "Block", "Attention")
_CLONES = "torch.nn.modules.transformer._get_clones"


@check("IA414", "draw")
def identical_clones(subject: File, limits: Limits) -> Iterator[Hit]:
    """A list of deep copies of one layer that nothing initialises again."""
    text = subject.module.text
    if "deepcopy" not in text and "Transformer" not in text and "_get_clones" not in text:
        return
    helpers = {name for f in subject.module.functions if (name := _is_cloner(subject, f))}
    names = {*helpers, "TransformerEncoder", "TransformerDecoder", "_get_clones"}
    for call in (c for word in sorted(names) for c in subject.module.calls_by_word.get(word, ())):
        found = _stack(subject, call, helpers)
        if found is not None:
            yield from _clones(subject, call, *found)
    for comprehension in subject.module.comprehensions if "deepcopy" in text else ():
        copied = _copied(subject, comprehension)
        if copied is None or not isinstance(comprehension.generators[0].iter, ast.Call):
            continue
        function = subject.module.function(comprehension)
        if function is not None and function.name in helpers:
            continue
        if reaches_container(subject, comprehension) is not None:
            times = comprehension.generators[0].iter.args[-1]
            yield from _clones(subject, comprehension, copied, times)


def _stack(
    file: File, call: ast.Call, helpers: set[str]
) -> tuple[ast.expr, ast.expr | None] | None:
    """Return the layer that a call clones, and how often."""
    layer: ast.expr | None = None
    times = next((k.value for k in call.keywords if k.arg in {"num_layers", "N"}), None)
    if isinstance(call.func, ast.Name) and call.func.id in helpers and len(call.args) == 2:
        layer = call.args[0]
    name = file.qualified(call.func) or ""
    keyword = _STACKS.get(file.catalogue.canonical(name) if name else "")
    if keyword is not None or name == _CLONES:
        given = (k.value for k in call.keywords if k.arg == keyword)
        layer = call.args[0] if call.args else next(given, None)
    if times is None and len(call.args) > 1:
        times = call.args[1]
    return None if layer is None or isinstance(layer, ast.Starred) else (layer, times)


def _clones(file: File, node: ast.expr, layer: ast.expr, times: ast.expr | None) -> Iterator[Hit]:
    if times is None or point(file.fold(times)) in {0.0, 1.0} or not _has_weights(file, layer):
        return
    if _one_by_default(file, times):
        return
    owner = file.class_of(node)
    doubts: tuple[tuple[str, ...], ...] = ()
    if owner is None:
        if file.passes.get(None):
            return
    else:
        if owner.framework != "torch" or not owner.closed or initialised_again(file, owner):
            return
        if _written_over(file, node):
            return
        doubts = (("filled", owner.name, "call"), ("derived", owner.name))
    yield Hit(
        file.site(node),
        {"layer": ast.unparse(layer), "times": ast.unparse(times)},
        severity=Severity.NOTE if file.is_test else None,
        doubts=doubts,
    )


def _one_by_default(file: File, times: ast.expr) -> bool:
    """Return whether a number is a parameter that is 1 unless a caller says more, and none does."""
    number = value_of(file, times)
    function = file.module.function(number)
    if not isinstance(number, ast.Name) or function is None:
        return False
    default = defaults(function).get(number.id)
    if default is None or point(file.fold(default)) != 1:
        return False
    owner = file.module.class_of(function)
    name = owner.name if owner is not None and function.name == "__init__" else function.name
    names = [a.arg for a in arguments(function)]
    place = names.index(number.id) - (owner is not None)
    return all(
        given is None or point(file.fold(given)) == 1
        for call in file.module.calls_by_word.get(name, ())
        for given in [_given(call, number.id, place)]
    )


def _given(call: ast.Call, name: str, place: int) -> ast.expr | None:
    """Return what a call gives for a parameter, by keyword or by position."""
    by_name = next((k.value for k in call.keywords if k.arg == name), None)
    if by_name is not None or len(call.args) <= place:
        return by_name
    return call.args[place]


def _has_weights(file: File, layer: ast.expr) -> bool:
    """Return whether what is copied is, or may well be, a layer with random weights."""
    value = value_of(file, layer)
    if not isinstance(value, ast.Call):
        # A layer handed in by the caller, who has no other reason to hand one in.
        return isinstance(value, ast.Name) and value.id.endswith(("layer", "block"))
    spec = file.layer(value)
    if spec is not None and (spec.norm or spec.op == "activation"):
        return False
    name = "".join(called(value)[-1:])
    elsewhere = spec is None and file.class_named(name) is None and name.endswith(_LAYERS)
    return elsewhere or parametric(file, value)


def value_of(file: File, expr: ast.expr) -> ast.expr:
    """Return the one value of a local name, or of an attribute of the class."""
    words = dotted(expr)
    if len(words) == 2 and words[0] == "self":
        owner = file.class_of(expr)
        made = None if owner is None else owner.only(words[1])
        return expr if made is None else made.value
    if not isinstance(expr, ast.Name):
        return expr
    function = file.module.function(expr)
    found = [
        one.value
        for one in file.module.assigns_by_function.get(function, ())
        if one.value is not None and any(dotted(t) == words for t in _targets(one))
    ]  # fmt: skip
    return found[0] if len(found) == 1 else expr


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return statement.targets if isinstance(statement, ast.Assign) else [statement.target]


def _copied(file: File, comprehension: ast.ListComp) -> ast.expr | None:
    """Return x of ``[copy.deepcopy(x) for _ in range(n)]``."""
    element, loops = comprehension.elt, comprehension.generators
    if not isinstance(element, ast.Call) or len(loops) != 1 or len(element.args) != 1:
        return None
    if file.qualified(element.func) != "copy.deepcopy":
        return None
    over = loops[0].iter
    if not isinstance(over, ast.Call) or called(over) != ("range",) or not over.args:
        return None
    bound = {n.id for n in walk(loops[0].target) if isinstance(n, ast.Name)}
    used = {n.id for n in walk(element.args[0]) if isinstance(n, ast.Name)}
    return None if bound & used else element.args[0]


def _is_cloner(file: File, function: Function) -> str | None:
    """Return the name of a function that only clones its first parameter into a list."""
    last = function.body[-1]
    given = arguments(function)
    if not isinstance(last, ast.Return) or len(given) != 2 or not isinstance(last.value, ast.Call):
        return None
    inner = last.value.args[0] if last.value.args else None
    if not isinstance(inner, ast.ListComp):
        return None
    copied = _copied(file, inner)
    cloned = isinstance(copied, ast.Name) and copied.id == given[0].arg
    return function.name if cloned else None


def _written_over(file: File, node: ast.expr) -> bool:
    """Return whether the attribute that holds the clones is filled by name in the file."""
    statement = file.module.statement(node)
    if not isinstance(statement, ast.Assign):
        return False
    names = {dotted(t)[1] for t in statement.targets if len(dotted(t)) == 2}
    loops = "\n".join(ast.unparse(loop.iter) for loop in file.module.loops)
    return any(
        names & set(draw.path[1:]) for draw in file.draws if draw.callee.form != "factory"
    ) or any(f"self.{name}" in loops and "init" in loops for name in names)
