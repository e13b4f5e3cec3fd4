"""Initialisers of a weight that is computed from other parameters before each forward pass."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from initaudit.claims import Doubt, Hit, Limits, check
from initaudit.rulebook import Confidence, Severity
from initaudit.source.classes import Class
from initaudit.source.draws import Draw, dotted
from initaudit.source.file import File
from initaudit.source.module import Function
from initaudit.source.order import runs_after
from initaudit.source.parents import walk
from initaudit.source.targets import filled_kinds, fills_kind, narrowed_to
from initaudit.source.traits import local_class
from initaudit.source.wraps import Wrap, wraps

_UNWRAPS = re.compile(r"remove_(weight_norm|spectral_norm|parametrizations)")
_DEPTH = 4


@dataclass(frozen=True)
class _Pass:
    """A function run over modules: at ``node``, over ``self.name`` or (None) all of ``self``.

    ``function`` is the name of one of another file.
    """

    node: ast.expr
    owner: Class
    name: str | None
    function: Function | str


@check("IA402", "draw")
def init_after_weight_norm(subject: File, limits: Limits) -> Iterator[Hit]:
    """A weight that is filled after it has become the product of two other parameters."""
    if "weight_norm" not in subject.module.text and "parametrizations" not in subject.module.text:
        return
    found = wraps(subject)
    if not found:
        return
    filling: dict[Function, list[Draw]] = {}
    for draw in subject.draws:
        if draw.target is None or draw.callee.law == "data" or draw.function is None:
            continue
        filling.setdefault(draw.function, []).append(draw)
    filling = {f: d for f, d in filling.items() if not _unwraps(f)}
    for drawn in filling.values():
        for draw in drawn:
            wrap = next((w for w in found if _hits_attribute(subject, draw, w)), None)
            if wrap is not None:
                yield _hit(subject, draw.node, wrap, (draw,))
    yield from _passed(subject, found, filling)


def _hit(
    file: File, node: ast.expr, wrap: Wrap, drawn: tuple[Draw, ...], *, mixed: bool = False
) -> Hit:
    severity = None if wrap.always and not mixed else Severity.WARNING
    places = [file.site(wrap.node), *(file.site(d.node) for d in drawn if d.node is not node)]
    return Hit(
        file.site(node),
        {
            "written": ast.unparse(node),
            "wrapper": wrap.wrapper,
            "target": f"{wrap.owner.name}.{wrap.name}",
            "parameter": wrap.parameter,
            "line": wrap.node.lineno,
        },
        severity=Severity.NOTE if file.is_test else severity,
        confidence=None if wrap.always else Confidence.MEDIUM,
        related=tuple(places),
    )


def _hits_attribute(file: File, draw: Draw, wrap: Wrap) -> bool:
    """Return whether a draw fills the weight of one wrapped attribute, after it was wrapped."""
    words = draw.path
    if not words or words[-1] != wrap.parameter or draw.target is None:
        return False
    owner = file.class_of(draw.node)
    if len(words) == 3 and words[0] == "self":
        same = owner is not None and wrap.owner in owner.lineage() and words[1] == wrap.name
        if not same or wrap.member:
            return False
        return runs_after(file, wrap.node, draw.node)
    if len(words) == 3 and not wrap.member and wrap.constructed:
        kinds = narrowed_to(file, draw.node, words[0])
        return words[1] == wrap.name and wrap.owner.name in kinds
    if len(words) == 2 and wrap.member and owner is not None and wrap.owner in owner.lineage():
        looped = _looped(file, draw.node, words[0])
        return looped == wrap.name and runs_after(file, wrap.node, draw.node)
    return False


def _looped(file: File, node: ast.AST, name: str) -> str | None:
    """Return the attribute whose list a loop around ``node`` runs over by ``name``."""
    for around in file.module.around(node):
        if isinstance(around, ast.For) and isinstance(around.target, ast.Name):
            words = dotted(around.iter)
            if around.target.id == name and len(words) == 2 and words[0] == "self":
                return words[1]
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            return None
    return None


def _passed(file: File, found: list[Wrap], filling: Mapping[Function, list[Draw]]) -> Iterator[Hit]:
    """Functions that are handed every module, by ``apply`` or a call."""
    told: set[tuple[ast.ClassDef, Function | str]] = set()
    for one in _passes(file, filling):
        if (one.owner.node, one.function) in told:
            continue
        for wrap in _under(file, one, found):
            drawn, doubts = _filled(file, one, wrap, filling)
            if (drawn or doubts) and _before(file, wrap, one):
                told.add((one.owner.node, one.function))
                mixed = _mixed(file, one, wrap, found)
                yield replace(_hit(file, one.node, wrap, drawn, mixed=mixed), doubts=doubts)
                break


def _filled(
    file: File, one: _Pass, wrap: Wrap, filling: Mapping[Function, list[Draw]]
) -> tuple[tuple[Draw, ...], tuple[Doubt, ...]]:
    """Return the draws of a pass that fill a wrapped weight, or what other files must tell."""
    function = one.function
    if not isinstance(function, str):
        return tuple(d for d in filling[function] if _fits(file, function, d, wrap)), ()
    if wrap.kind is None or wrap.parameter != "weight":
        return (), ()
    return (), (("unfilled", function, wrap.kind.name.rpartition(".")[2]),)


def _passes(file: File, filling: Mapping[Function, list[Draw]]) -> Iterator[_Pass]:
    names: dict[str, list[Function]] = {}
    for function in filling:
        names.setdefault(function.name, []).append(function)
    for call in file.module.calls:
        owner = file.class_of(call)
        if owner is None or not call.args:
            continue
        applied = isinstance(call.func, ast.Attribute) and call.func.attr == "apply"
        named = call.args[0] if applied else call.func
        over = call.func.value if isinstance(call.func, ast.Attribute) and applied else call.args[0]
        place = _place(file, call, over)
        if place is None:
            continue
        for function in _functions(file, named, owner, names):
            yield _Pass(call, owner, place[0], function)
        imported = _imported(file, named) if applied else None
        if imported is not None:
            yield _Pass(call, owner, place[0], imported)


def _functions(
    file: File, named: ast.expr, owner: Class, names: Mapping[str, list[Function]]
) -> Iterator[Function]:
    """Yield the filling functions of the file that a name or ``self.name`` stands for."""
    words = dotted(named)
    for function in names.get(words[-1], []) if words else []:
        own = file.module.class_of(function)
        if own is None:
            reached = len(words) == 1
        else:
            reached = words[:-1] == ("self",) and file.classes[own] in owner.lineage()
        if reached:
            yield function


def _imported(file: File, named: ast.expr) -> str | None:
    """Return the name of a function that is imported from no framework."""
    name = file.qualified(named) if isinstance(named, ast.Name | ast.Attribute) else None
    if name is None or name.partition(".")[0] in file.catalogue.packages:
        return None
    return name.rpartition(".")[2]


def _place(file: File, call: ast.Call, over: ast.expr) -> tuple[str | None] | None:
    """Return what of ``self`` a pass runs over: (None,) for all of it, None where not known."""
    words = dotted(over)
    if words == ("self",):
        return (None,)
    if len(words) == 2 and words[0] == "self":
        return (words[1],)
    if len(words) == 1:
        looped = _looped(file, call, words[0])
        return None if looped is None else (looped,)
    return None


def _under(file: File, one: _Pass, found: list[Wrap]) -> Iterator[Wrap]:
    """Yield the wrapped layers that a pass comes to."""
    lineage = list(one.owner.lineage())
    for wrap in found:
        if wrap.owner in lineage and one.name in {None, wrap.name}:
            yield wrap
    made = _made(file, one.owner, one.name, 0)
    for wrap in found:
        if wrap.owner.node in made and wrap.owner not in lineage and wrap.constructed:
            yield wrap


def _mixed(file: File, one: _Pass, wrap: Wrap, found: list[Wrap]) -> bool:
    """Return whether a pass also comes to a layer of the wrapped kind that is not wrapped."""
    if one.name == wrap.name or wrap.kind is None:
        return False
    scope = _made(file, one.owner, one.name, 0) | {c.node for c in one.owner.lineage()}
    wrapped = {w.name for w in found if w.owner is wrap.owner}
    for call in file.module.calls:
        owner = file.module.class_of(call)
        if owner not in scope or file.layer(call) is not wrap.kind:
            continue
        inside = any(a is w.node for a in file.module.around(call) for w in found)
        targets = getattr(file.module.statement(call), "targets", [])
        if not inside and not any(dotted(t)[-1:] == (n,) for t in targets for n in wrapped):
            return True
    return False


def _made(file: File, owner: Class, name: str | None, depth: int) -> set[ast.ClassDef]:
    """Return the classes of the file that a class's constructor makes its parts of."""
    made: set[ast.ClassDef] = set()
    if depth > _DEPTH:
        return made
    for one in owner.lineage():
        for attribute, values in one.attributes.items():
            if name not in {None, attribute}:
                continue
            for value in values:
                for call in walk(value.value):
                    part = local_class(file, call.func) if isinstance(call, ast.Call) else None
                    if part is not None and part.node not in made:
                        made |= {part.node} | _made(file, part, None, depth + 1)
    return made


def _fits(file: File, function: Function, draw: Draw, wrap: Wrap) -> bool:
    """Return whether a draw of a function that is handed modules fills the wrapped weight."""
    if wrap.kind is None or draw.role != wrap.parameter:
        return False
    return fills_kind(filled_kinds(file, function, draw), wrap.kind.name.rpartition(".")[2])


def _before(file: File, wrap: Wrap, one: _Pass) -> bool:
    """Return whether a layer is wrapped when a pass comes to it."""
    if wrap.owner in one.owner.lineage():
        return runs_after(file, wrap.node, one.node)
    # A part is made, and wrapped, where its attribute is assigned; passes run after that.
    return True


def _unwraps(function: Function) -> bool:
    return any(
        isinstance(node, ast.Call) and _UNWRAPS.search(ast.unparse(node.func)) is not None
        for node in walk(function)
    )
