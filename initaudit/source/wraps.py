"""Layers whose weight is computed from other parameters: weight_norm and the parametrizations."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from initaudit.catalogue import LayerSpec
from initaudit.source.classes import CONSTRUCTORS, Class
from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.module import Function
from initaudit.source.order import other_branch, outer_method
from initaudit.source.traits import reaches_container

# torch.nn.utils.spectral_norm is not among them: until the first forward pass its `weight` shares
# the memory of `weight_orig`, so that filling it does initialise the layer.
_WRAPPERS = frozenset(
    {
        "torch.nn.utils.weight_norm",
        "torch.nn.utils.weight_norm.weight_norm",
        "torch.nn.utils.parametrizations.weight_norm",
        "torch.nn.utils.parametrizations.spectral_norm",
        "torch.nn.utils.parametrizations.orthogonal",
    }
)
# Without one of these words a file cannot name a wrapper.
_WORDS = ("weight_norm", "spectral_norm", "parametrizations")
_DEPTH = 4


@dataclass(frozen=True)
class Wrap:
    """A layer kept in ``self.name`` (or in the list there: ``member``) and wrapped.

    ``parameter`` is the one that is computed, ``kind`` the layer's class where it is known.
    ``always`` is False where only a branch wraps it.
    """

    node: ast.Call
    wrapper: str
    owner: Class
    name: str
    member: bool
    parameter: str
    kind: LayerSpec | None
    method: Function
    always: bool

    @property
    def constructed(self) -> bool:
        """Whether it is wrapped when the object is made."""
        return self.method.name in CONSTRUCTORS


def wraps(file: File) -> list[Wrap]:
    """Return the wrapped layers of a file's classes, in source order."""
    if not any(word in file.module.text for word in _WORDS):
        return []
    helpers = _helpers(file)
    found: dict[tuple[ast.ClassDef, str], list[Wrap]] = {}
    for call in file.module.calls:
        wrapper, inner = _wrapper(file, call, helpers)
        if wrapper is None:
            continue
        method = outer_method(file, call)
        owner = file.class_of(call)
        if method is None or owner is None:
            continue
        for name, member in _homes(file, call):
            one = Wrap(
                call, wrapper, owner, name, member, _parameter(call), _kind(file, owner, inner),
                method, _always(file, call, method),
            )  # fmt: skip
            found.setdefault((owner.node, name), []).append(one)
    return [one for places in found.values() for one in _settled(file, places)]


def _wrapper(
    file: File, call: ast.Call, helpers: Mapping[str, tuple[str, ast.expr | None]]
) -> tuple[str | None, ast.expr | None]:
    """Return the short name of what wraps in a call, and the layer that it wraps."""
    inner = call.args[0] if call.args else None
    if isinstance(call.func, ast.Name) and call.func.id in helpers:
        short, made = helpers[call.func.id]
        return short, inner if made is None else made
    for name in file.module.names.candidates(call.func):
        if name in _WRAPPERS:
            return name.rpartition(".")[2], inner
    return None, None


def _helpers(file: File) -> Mapping[str, tuple[str, ast.expr | None]]:
    """Return the names of a file that wrap: functions that return a wrapped layer, and aliases."""
    found: dict[str, tuple[str, ast.expr | None]] = {}
    values: dict[str, list[str | None]] = {}
    for node in file.module.assigns:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name) and node.value is not None:
                values.setdefault(target.id, []).append(file.qualified(node.value))
    for name, given in values.items():
        if len(given) > 1 and all(value in _WRAPPERS for value in given):
            found[name] = (str(given[0]).rpartition(".")[2], None)
    for function in file.module.functions:
        if not file.module.is_top(function):
            continue
        returned = function.body[-1]
        if isinstance(returned, ast.Return) and isinstance(returned.value, ast.Call):
            short, inner = _wrapper(file, returned.value, {})
            if short is not None and not any(isinstance(n, ast.If) for n in function.body):
                own = isinstance(inner, ast.Name)
                found[function.name] = (short, None if own else inner)
    return found


def _parameter(call: ast.Call) -> str:
    given = [k.value for k in call.keywords if k.arg == "name"]
    if given and isinstance(given[0], ast.Constant) and isinstance(given[0].value, str):
        return given[0].value
    return "" if given else "weight"


def _kind(file: File, owner: Class, inner: ast.expr | None) -> LayerSpec | None:
    if inner is None:
        return None
    made = file.layer(inner)
    words = dotted(inner)
    if made is None and len(words) == 2 and words[0] == "self":
        known = (file.layer(a.value) for a in owner.attributes.get(words[1], []))
        return next((spec for spec in known if spec is not None), None)
    return made


def _homes(file: File, call: ast.Call) -> Iterator[tuple[str, bool]]:
    """Yield the attributes of ``self`` that hold the wrapped layer, and whether in a list."""
    statement = file.module.statement(call)
    if isinstance(statement, ast.Expr) and statement.value is call and call.args:
        yield from _own(call.args[0], member=not isinstance(call.args[0], ast.Attribute))
    elif isinstance(statement, ast.Assign) and _is_value(file, call, statement):
        for target in statement.targets:
            yield from _kept(file, target, call)
    else:
        yield from _listed(file, call)


def _listed(file: File, call: ast.Call) -> Iterator[tuple[str, bool]]:
    """Yield the attribute whose list a wrapped layer ends in."""
    container = reaches_container(file, call)
    for _ in range(_DEPTH):
        if container is None:
            break
        statement = file.module.statement(container)
        if isinstance(statement, ast.Assign) and _is_value(file, container, statement):
            for target in statement.targets:
                yield from ((name, True) for name, _ in _kept(file, target, container))
            return
        container = reaches_container(file, container)
    parent = file.module.parents.get(call)
    if (
        isinstance(parent, ast.Call)
        and isinstance(parent.func, ast.Attribute)
        and parent.func.attr == "append"
    ):
        yield from _own(parent.func.value, member=True)


def _own(expr: ast.expr, *, member: bool) -> Iterator[tuple[str, bool]]:
    words = dotted(expr)
    if len(words) == 2 and words[0] == "self":
        yield words[1], member


def _is_value(file: File, node: ast.expr, statement: ast.Assign) -> bool:
    """Return whether a statement assigns a node itself, a choice of it included."""
    if statement.value is node:
        return True
    return (
        isinstance(statement.value, ast.IfExp) and file.module.parents.get(node) is statement.value
    )


def _kept(file: File, target: ast.expr, place: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield where an assigned layer ends: ``self.name``, also by one local name."""
    words = dotted(target)
    if len(words) == 2 and words[0] == "self" and isinstance(target, ast.Attribute):
        yield words[1], False
    if not isinstance(target, ast.Name):
        return
    owner = file.class_of(place)
    for name, values in ({} if owner is None else owner.attributes).items():
        for value in values:
            same = isinstance(value.value, ast.Name) and value.value.id == target.id
            if same and value.function is file.module.function(place):
                yield name, False


def _always(file: File, call: ast.Call, method: Function) -> bool:
    """Return whether a call runs whenever its method does (loops are taken to run)."""
    for around in file.module.around(call):
        if around is method:
            return True
        if isinstance(around, ast.If | ast.IfExp | ast.Try | ast.While):
            return False
    return True


def _settled(file: File, places: list[Wrap]) -> Iterator[Wrap]:
    """Yield one wrap an attribute, unless the last that it is given is another layer.

    Where both branches of one test wrap it, it is always wrapped.
    """
    last = places[-1]
    for one, other in combinations(places, 2):
        if other_branch(file, one.node, other.node):
            last = replace(one, kind=one.kind or other.kind, always=True)
            break
    later = [
        a for a in last.owner.attributes.get(last.name, [])
        if a.function is last.method and a.statement.lineno > places[-1].node.lineno
        and not last.member
        and not any(isinstance(n, ast.Name) and n.id == last.name for n in [a.value])
    ]  # fmt: skip
    if any(file.module.parents.get(a.statement) is last.method for a in later):
        return
    yield last
