"""Zero and constant weights that multiply one another."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source import initial
from initaudit.source.bulk import Bulk, bulk_draws
from initaudit.source.classes import Class
from initaudit.source.draws import Draw
from initaudit.source.file import File
from initaudit.source.flow import PLAIN, Edge, flow
from initaudit.source.later import handed_to
from initaudit.source.module import Function, Scope
from initaudit.source.order import other_branch
from initaudit.source.start import Start, implicit

# What attributes are called that hold an activation, a dropout or a norm of a class handed in.
_FACTOR = re.compile(r"(lora_)(A|a|down)(?![a-z])")
_ELEMENTWISE = re.compile(
    r"(?:^|_)(?:act|drop|bn|ln|relu|gelu|silu|nonlin)(?:\d|_|$|iv|out|ear)|norm"
)


@dataclass(frozen=True)
class Chain:
    """Two weights of which the first one's output feeds the second."""

    first: Start
    second: Start
    gated: bool = False
    """Whether another signal multiplies the first one's output on its way."""


@check("IA101", "draw")
def zero_weights(subject: File, limits: Limits) -> Iterator[Hit]:
    """Two zero weights that multiply: neither gets a gradient."""
    stuck = "neither gets a gradient from the other, so nothing here ever learns"
    moved = "only the biases, drawn at random, can set them going"
    for chain in chains(subject):
        if chain.first.constant == 0 == chain.second.constant:
            biased = chain.first.random_bias
            yield _hit(subject, chain, {"reason": moved if biased else stuck}, mild=biased)
    for bulk in bulk_draws(subject):
        if _value(bulk) == 0 and bulk.count >= limits["chain"]:
            reason = moved if bulk.random_bias else stuck
            yield _bulk_hit(subject, bulk, {"reason": reason})
    for one, other in _low_rank_pairs(subject):
        reason = "as the two factors of a low-rank pair neither gets a gradient"
        yield _hit(subject, Chain(one, other), {"reason": reason})


@check("IA102", "draw")
def constant_weights(subject: File, limits: Limits) -> Iterator[Hit]:
    """Two constant weights that multiply: all units between them stay the same."""
    for chain in chains(subject):
        values = (chain.first.constant, chain.second.constant)
        # Gated by a signal of their own, units differ.
        if None not in values and values != (0, 0) and not chain.gated:
            shown = " and ".join(dict.fromkeys(f"{v:.3g}" for v in values if v is not None))
            biased = chain.first.random_bias
            yield _hit(subject, chain, {"value": shown, "reason": _alike(biased)}, mild=biased)
    for bulk in bulk_draws(subject):
        value = _value(bulk)
        # One unit has no other to stay equal to.
        if value and bulk.wide >= limits["chain"]:
            more = {"value": f"{value:.3g}", "reason": _alike(bulk.random_bias)}
            yield _bulk_hit(subject, bulk, more)


def _alike(random_bias: bool) -> str:  # noqa: FBT001
    if random_bias:
        return "all units between them see the same sum, and only their biases tell them apart"
    return "all units between them stay equal for ever, as if there were one"


def _value(bulk: Bulk) -> float | None:
    """Return the one value that a draw gives all weights."""
    w = bulk.draw.weights
    known = w.law in {"zeros", "constant"} and w.mean.lo == w.mean.hi
    return w.mean.lo if known else None


def _bulk_hit(file: File, bulk: Bulk, more: Mapping[str, str]) -> Hit:
    kinds = " or ".join(kind.rpartition(".")[2] for kind in bulk.kinds)
    facts = {"first": f"of every {kinds}", "second": "of the one behind it", **more}
    severity = Severity.WARNING if bulk.random_bias else None
    return Hit(
        file.site(bulk.draw.node), facts, severity=Severity.NOTE if file.is_test else severity
    )


def chains(file: File) -> list[Chain]:
    """Return the pairs of weights that the code surely multiplies, with what they start from."""
    return file.once(_chains)


def _chains(file: File) -> list[Chain]:
    found: dict[tuple[int, int], Chain] = {}
    alike = {draw.node for draw in file.draws if _may_be_weight(file, draw)}
    if not file.hands_over and len(alike) < 2:
        return []

    def wanted(draw: Draw) -> bool:
        return draw.node in alike

    for owner in file.classes.values():
        starts = file.starts(owner) if _says_two(file, owner, wanted) else {}
        if sum(s.constant is not None for s in starts.values()) < 2:
            continue
        for edge in (*_contained(starts), *_of_methods(file, owner, starts)):
            _keep(found, starts, edge)
    for scope in file.scopes_that_say(wanted):
        _of_scope(file, scope, found)
    return list(found.values())


def _says_two(file: File, owner: Class, wanted: Callable[[Draw], bool]) -> bool:
    """Return whether a class may start two weights at one value."""
    if file.hands_over:
        return file.says(owner, wanted)
    if any(map(wanted, handed_to(file, owner))):
        return True
    said = [
        draw
        for one in owner.lineage()
        for draw in file.draws_by_class.get(one.node, ())
        if wanted(draw)
    ]
    # A call in a loop may fill several weights; one that makes an array makes just that.
    return len(said) > 1 or any(draw.callee.form != "factory" for draw in said)


def _may_be_weight(file: File, draw: Draw) -> bool:
    """Return whether a draw may give a weight one value; cheap, and yes where it is not sure.

    A tensor of torch that a plain name is given, without a gradient, is data: a mask, a buffer.
    """
    if draw.weights.law not in {"zeros", "constant"} or draw.role == "bias":
        return False
    if draw.callee.form != "factory" or draw.callee.framework != "torch":
        return True
    statement = file.module.statement(draw.node)
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        plain = all(isinstance(target, ast.Name) for target in targets)
    else:
        plain = isinstance(statement, ast.Return | ast.Expr | ast.AugAssign | ast.If | ast.For)
    text = file.module.written([statement])
    return not plain or "Parameter(" in text or "requires_grad" in text


def _keep(found: dict[tuple[int, int], Chain], starts: Mapping[str, Start], edge: Edge) -> None:
    first, second = starts.get(initial.short(edge.first)), starts.get(initial.short(edge.second))
    if first is not None and second is not None and edge.first != edge.second:
        key = (id(first.node), id(second.node))
        found.setdefault(key, Chain(first, second, edge.gated))


def _of_methods(file: File, owner: Class, starts: Mapping[str, Start]) -> Iterator[Edge]:
    plain = _plain_attributes(file, owner)

    def kind(name: str) -> str:
        return "weight" if name in starts else "plain" if name in plain else "unknown"

    for method in owner.methods.values():
        if _uses_two(file, method.body, starts):
            yield from flow(file, method.body, kind).edges


def _uses_two(file: File, body: list[ast.stmt], starts: Mapping[str, Start]) -> bool:
    """Return whether statements hold the names of two constant weights, so that following pays."""
    text = file.module.written(body)
    labels = (label for label, start in starts.items() if start.constant is not None)
    # ``self.net[0]`` and ``self.net[1]`` share their name: each counts.
    names = (label.partition("[")[0].rpartition(".")[2] for label in labels)
    # One that is made where it is called has no name.
    return sum(name.startswith("@") or name in text for name in names) > 1


def _plain_attributes(file: File, owner: Class) -> frozenset[str]:
    """Return attributes that act on each element, or norm: they keep a chain together."""
    found: set[str] = set()
    for one in owner.lineage():
        for name in one.attributes:
            spec = file.attribute_layer(owner, name)
            named = spec is None and _ELEMENTWISE.search(name) is not None
            if named or (spec is not None and (spec.op in PLAIN or spec.norm)):
                found.add(f"self.{name}")
    return frozenset(found)


def _contained(starts: Mapping[str, Start]) -> Iterator[Edge]:
    """Yield the neighbours with weights inside a Sequential."""
    inside: dict[str, list[tuple[int, str]]] = {}
    for name, start in starts.items():
        match = re.fullmatch(r"(.+)\[(\d+)\]", name)
        if match and start.in_row:
            inside.setdefault(match[1], []).append((int(match[2]), name))
    for members in inside.values():
        members.sort()
        for (_, a), (_, b) in pairwise(members):
            yield Edge(a, b, starts[b].node)


def _of_scope(file: File, scope: Scope, found: dict[tuple[int, int], Chain]) -> None:
    """Find chains of plain variables: made here, multiplied here or in a function beside."""
    starts = file.scope_starts(scope)
    if sum(s.constant is not None for s in starts.values()) < 2:
        return

    def kind(name: str) -> str:
        return "weight" if initial.short(name) in starts else "unknown"

    bodies: Sequence[list[ast.stmt]] = [
        f.body for f in file.module.functions if file.module.scope(f) is file.module.scope(scope)
        or file.module.scope(f) is scope or f is scope
    ]  # fmt: skip
    if isinstance(scope, ast.Module):
        bodies = [scope.body, *bodies]
    for body in bodies:
        if _uses_two(file, body, starts):
            for edge in flow(file, body, kind).edges:
                _keep(found, starts, edge)
    for edge in _contained(starts):
        _keep(found, starts, edge)


def _low_rank_pairs(file: File) -> Iterator[tuple[Start, Start]]:
    """Yield LoRA factors A and B of one class that are both zero."""
    if "lora" not in file.module.text:
        return
    for owner in file.classes.values():
        starts = file.starts(owner)
        for name, start in starts.items():
            other = starts.get(_FACTOR.sub(_partner, name))
            if other is not None and other is not start and start.constant == 0 == other.constant:
                yield start, other
    yield from _filled_pairs(file)


def _filled_pairs(file: File) -> Iterator[tuple[Start, Start]]:
    """Yield both factors of an adapter that are set to zero: ``lora_A[name].weight``."""
    zeros: dict[tuple[Function | None, str], Draw] = {}
    for draw in file.draws:
        if draw.target is None or draw.weights.law != "zeros":
            continue
        name = ast.unparse(draw.target)
        if "[" in name and draw.callee.form in {"inplace", "method"}:
            zeros[draw.function, name] = draw
    for (function, name), draw in zeros.items():
        other = zeros.get((function, _FACTOR.sub(_partner, name)))
        if other is None or other is draw:
            continue
        if not other_branch(file, draw.node, other.node):
            yield _start(draw), _start(other)


def _start(draw: Draw) -> Start:
    name = "" if draw.target is None else ast.unparse(draw.target)
    return Start(name, draw.node, draw.weights, implicit(draw), (), "linear")


def _partner(match: re.Match[str]) -> str:
    return match[1] + {"A": "B", "a": "b", "down": "up"}[match[2]]


def _hit(file: File, chain: Chain, more: Mapping[str, str], *, mild: bool = False) -> Hit:
    severity = Severity.WARNING if mild else None
    return Hit(
        file.site(chain.first.node),
        {"first": label_of(chain.first), "second": label_of(chain.second), **more},
        severity=Severity.NOTE if file.is_test else severity,
        related=(file.site(chain.second.node, label_of(chain.second)),),
    )


def label_of(start: Start) -> str:
    """Return a weight's label without ``self``."""
    return start.label.removeprefix("self.")
