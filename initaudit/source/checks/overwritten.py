"""Weights that are set with care and then set again by a pass over everything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.catalogue import LayerSpec
from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.classes import CONSTRUCTORS, Class
from initaudit.source.draws import Draw, dotted
from initaudit.source.file import File
from initaudit.source.module import Function
from initaudit.source.sweeps import Sweep, Write, governs


@check("IA412", "draw")
def special_init_overwritten(subject: File, limits: Limits) -> Iterator[Hit]:
    """A layer's own initialisation, undone by a later pass over all layers of its kind."""
    if not subject.sweeps or not any(_is_special(draw) for draw in subject.draws):
        return
    seen: set[ast.AST] = set()
    for sweep in subject.sweeps:
        for owner, special, certain in _specials(subject, sweep):
            if special.node in seen or special.target is None:
                continue
            spec = _layer(subject, owner, special.target)
            write = None if spec is None else _same_kind(subject, spec, special, sweep)
            if spec is None or write is None or _kept(subject, owner, special, sweep):
                continue
            seen.add(special.node)
            yield Hit(
                subject.site(special.node),
                {
                    "target": ast.unparse(special.target),
                    "layer": spec.name,
                    "line": sweep.node.lineno,
                    "writer": write.draw.callee.name,
                    "there": write.draw.node.lineno,
                },
                severity=Severity.NOTE if subject.is_test else None,
                related=(subject.site(sweep.node), subject.site(write.draw.node)),
                doubts=() if certain else (("tested", owner.name),),
            )


def _specials(file: File, sweep: Sweep) -> Iterator[tuple[Class, Draw, bool]]:
    """Yield what is filled of single layers before a pass over the object, in its constructor."""
    if sweep.root != ("self",):
        return
    owner, function = file.class_of(sweep.node), file.module.function(sweep.node)
    if owner is None or function is None:
        return
    for draw in _before(file, owner, function, sweep.node):
        yield owner, draw, True
    if function.name not in CONSTRUCTORS:
        return
    # Modules that this one has made by then, of classes of the file.
    seen = {owner.name}
    left = [*_parts(file, owner, function, sweep.node)]
    while left:
        part = left.pop()
        constructor = part.methods.get("__init__")
        if part.name in seen or constructor is None:
            continue
        seen.add(part.name)
        for draw in _before(file, part, constructor, None):
            yield part, draw, False
        left += _parts(file, part, constructor, None)


def _is_special(draw: Draw) -> bool:
    """Return whether a draw fills the parameter of one layer that a class holds."""
    return (
        len(draw.path) > 2
        and draw.path[0] == "self"
        and draw.role in {"weight", "bias"}
        and draw.callee.form in {"inplace", "method"}
    )


def _before(file: File, owner: Class, function: Function, node: ast.AST | None) -> Iterator[Draw]:
    """Yield the fillings of ``self.layer.weight`` in a function, and in methods it calls."""
    module = file.module
    line = (function.end_lineno or 0) + 1
    if isinstance(node, ast.expr | ast.stmt):
        line = node.lineno
    methods = {
        file.method(owner, words[1])
        for call in module.calls_by_function.get(function, ())
        if call.lineno < line
        and len(words := dotted(call.func)) == 2 and words[0] == "self"
        and (node is None or governs(file, node, call))
    }  # fmt: skip
    for draw in file.draws:
        if draw.owner is not owner.node or not _is_special(draw):
            continue
        if draw.function is function:
            reached = draw.node.lineno < line and (node is None or governs(file, node, draw.node))
        else:
            reached = draw.function in methods
        if reached:
            yield draw


def _parts(
    file: File, owner: Class, function: Function, node: ast.expr | ast.stmt | None
) -> Iterator[Class]:
    for name, by in file.makers.items():
        part = file.class_named(name)
        if owner.node not in by or part is None or part.framework != "torch":
            continue
        made = [
            call for call in file.module.calls_by_function.get(function, ())
            if isinstance(call.func, ast.Name) and call.func.id == name
            and (node is None or call.lineno < node.lineno)
        ]  # fmt: skip
        if made:
            yield part


def _layer(file: File, owner: Class, target: ast.expr) -> LayerSpec | None:
    """Return the layer of ``self.name.weight`` or ``self.name[1].weight``."""
    while isinstance(target, ast.Attribute) and target.attr == "data":
        target = target.value
    if not isinstance(target, ast.Attribute):
        return None
    held = target.value
    if isinstance(held, ast.Attribute):
        if not isinstance(held.value, ast.Name) or held.value.id != "self":
            return None
        return file.attribute_layer(owner, held.attr)
    if not isinstance(held, ast.Subscript) or not isinstance(held.value, ast.Attribute):
        return None
    index = _index(held.slice)
    made = next(
        (o.only(held.value.attr) for o in owner.lineage() if held.value.attr in o.attributes), None
    )
    if index is None or made is None or not isinstance(made.value, ast.Call):
        return None
    spec, parts = file.layer(made.value), made.value.args
    if spec is None or spec.name != "torch.nn.Sequential":
        return None
    if any(isinstance(p, ast.Starred) for p in parts) or not -len(parts) <= index < len(parts):
        return None
    return file.layer(parts[index])


def _index(expr: ast.expr) -> int | None:
    sign = 1
    if isinstance(expr, ast.UnaryOp) and isinstance(expr.op, ast.USub):
        sign, expr = -1, expr.operand
    if isinstance(expr, ast.Constant) and type(expr.value) is int:
        return sign * expr.value
    return None


def _same_kind(file: File, spec: LayerSpec, special: Draw, sweep: Sweep) -> Write | None:
    """Return what of a pass surely fills the same parameter of such a layer, differently."""
    found = None
    for write in sweep.writes:
        if write.role != special.role or not write.certain or not _covers(file, write, spec):
            continue
        if write.draw.node is special.node or _alike(write.draw, special):
            return None
        found = write
    return found


def _covers(file: File, write: Write, spec: LayerSpec) -> bool:
    names = [file.catalogue.layer(kind) for kind in write.kinds]
    return any(name is not None and name.name == spec.name for name in names)


def _alike(one: Draw, other: Draw) -> bool:
    """Return whether two calls write the same, as far as their arguments tell."""
    if one.weights.law in {"zeros", "constant"} and other.weights.law in {"zeros", "constant"}:
        return one.weights.mean == other.weights.mean or not (
            one.weights.mean.lo == one.weights.mean.hi
            and other.weights.mean.lo == other.weights.mean.hi
        )
    if one.callee.name.rstrip("_") != other.callee.name.rstrip("_"):
        return False
    return [ast.unparse(a) for a in _options(one)] == [ast.unparse(a) for a in _options(other)]


def _options(draw: Draw) -> list[ast.expr]:
    first = 1 if draw.callee.form == "inplace" else 0
    keywords = sorted(draw.node.keywords, key=lambda k: k.arg or "")
    return [*draw.node.args[first:], *(k.value for k in keywords)]


def _kept(file: File, owner: Class, special: Draw, sweep: Sweep) -> bool:
    """Return whether the special value may come back: written again, or its class told apart."""
    name = special.path[1]
    if _initialises_again(file, special, sweep):
        return True
    for draw in file.draws:
        if draw is special or draw.role != special.role or name not in draw.path[:-1]:
            continue
        if draw.path[0] == "self" and draw.owner is not owner.node:
            continue
        elsewhere = draw.function is not special.function
        if draw.callee.form != "factory" and (elsewhere or draw.node.lineno > sweep.node.lineno):
            return True
    tested = re.compile(rf"isinstance\([^()]*,[^:]*\b{owner.name}\b")
    if any(tested.search(line) for line in file.module.lines):
        return True
    lines = file.module.lines[sweep.node.end_lineno or 0 : _end(file, sweep.node)]
    return any(
        re.search(rf"\bself\.(\w*zero\w*|{name}\b.*(init|reset)\w*)\(", line) for line in lines
    )


def _initialises_again(file: File, special: Draw, sweep: Sweep) -> bool:
    """Return whether the pass, once it has filled everything, calls what holds the special value.

    ``if hasattr(module, "init_weights_"): module.init_weights_()``
    """
    if special.function is None or special.function.name in CONSTRUCTORS:
        return False
    for write in sweep.writes:
        function = write.draw.function
        for call in () if function is None else file.module.calls_by_function.get(function, ()):
            method = isinstance(call.func, ast.Attribute) and call.func.attr
            if method == special.function.name and call.lineno > write.draw.node.lineno:
                return True
    return False


def _end(file: File, node: ast.AST) -> int:
    function = file.module.function(node)
    return 0 if function is None else function.end_lineno or 0
