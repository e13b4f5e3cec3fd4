"""Zero and constant weights that multiply one another."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from initaudit.claims import Hit, Limits, check
from initaudit.source import initial
from initaudit.source.bulk import Bulk, bulk_draws
from initaudit.source.classes import Class
from initaudit.source.file import File
from initaudit.source.flow import Edge, flow
from initaudit.source.initial import Start
from initaudit.source.module import Scope


@dataclass(frozen=True)
class Chain:
    """Two weights of which the first one's output feeds the second."""

    first: Start
    second: Start


@check("IA101", "draw")
def zero_weights(subject: File, limits: Limits) -> Iterator[Hit]:
    """Two zero weights that multiply: neither gets a gradient."""
    for chain in chains(subject):
        if chain.first.constant == 0 == chain.second.constant:
            yield _hit(subject, chain, {"reason": "neither gets a gradient from the other"})
    for bulk in bulk_draws(subject):
        if _value(bulk) == 0 and bulk.count >= limits["chain"]:
            yield _bulk_hit(subject, bulk, {"reason": "neither gets a gradient from the other"})
    for one, other in _low_rank_pairs(subject):
        yield _hit(
            subject,
            Chain(one, other),
            {"reason": "as the two factors of a low-rank pair neither gets a gradient"},
        )


@check("IA102", "draw")
def constant_weights(subject: File, limits: Limits) -> Iterator[Hit]:
    """Two constant weights that multiply: all units between them stay the same."""
    for chain in chains(subject):
        values = (chain.first.constant, chain.second.constant)
        if None not in values and values != (0, 0):
            shown = " and ".join(dict.fromkeys(f"{v:.3g}" for v in values if v is not None))
            yield _hit(subject, chain, {"value": shown})
    for bulk in bulk_draws(subject):
        value = _value(bulk)
        if value and bulk.count >= limits["chain"]:
            yield _bulk_hit(subject, bulk, {"value": f"{value:.3g}"})


def _value(bulk: Bulk) -> float | None:
    """Return the one value that a draw gives all weights."""
    w = bulk.draw.weights
    known = w.law in {"zeros", "constant"} and w.mean.lo == w.mean.hi
    return w.mean.lo if known else None


def _bulk_hit(file: File, bulk: Bulk, more: Mapping[str, str]) -> Hit:
    kinds = " or ".join(kind.rpartition(".")[2] for kind in bulk.kinds)
    facts = {"first": f"of every {kinds}", "second": "of the one behind it", **more}
    return Hit(file.site(bulk.draw.node), facts)


def chains(file: File) -> list[Chain]:
    """Return the pairs of weights that the code surely multiplies, with what they start from."""
    found: dict[tuple[int, int], Chain] = {}
    for owner in file.classes.values():
        starts = file.starts(owner) if file.says(owner) else {}
        if sum(s.constant is not None for s in starts.values()) < 2:
            continue
        for edge in (*_contained(starts), *_of_methods(file, owner, starts)):
            _keep(found, starts, edge)
    for scope in (file.module.tree, *file.module.functions):
        _of_scope(file, scope, found)
    return list(found.values())


def _keep(found: dict[tuple[int, int], Chain], starts: Mapping[str, Start], edge: Edge) -> None:
    first, second = starts.get(initial.short(edge.first)), starts.get(initial.short(edge.second))
    if first is not None and second is not None and first.node is not second.node:
        found.setdefault((id(first.node), id(second.node)), Chain(first, second))


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
    return sum(label.partition("[")[0].rpartition(".")[2] in text for label in labels) > 1


def _plain_attributes(file: File, owner: Class) -> frozenset[str]:
    """Return attributes that act on each element, or norm: they keep a chain together."""
    kept = {"activation", "dropout", "identity", "flatten"}
    return frozenset(
        f"self.{name}"
        for name in owner.attributes
        if (spec := file.attribute_layer(owner, name)) is not None
        and (spec.op in kept or spec.norm)
    )


def _contained(starts: Mapping[str, Start]) -> Iterator[Edge]:
    """Yield the neighbours with weights inside a Sequential."""
    inside: dict[str, list[tuple[int, str]]] = {}
    for name in starts:
        match = re.fullmatch(r"(.+)\[(\d+)\]", name)
        if match:
            inside.setdefault(match[1], []).append((int(match[2]), name))
    for members in inside.values():
        members.sort()
        for (_, a), (_, b) in pairwise(members):
            yield Edge(a, b, starts[b].node)


def _of_scope(file: File, scope: Scope, found: dict[tuple[int, int], Chain]) -> None:
    """Find chains of plain variables: made here, multiplied here or in a function beside."""
    starts = file.scope_starts(scope) if file.scope_says(scope) else {}
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
    for owner in file.classes.values():
        if not any("lora" in name.lower() for name in owner.attributes):
            continue
        starts = file.starts(owner)
        for name, start in starts.items():
            other = starts.get(re.sub(r"(lora_)(A|a|down)", _partner, name))
            if other is not None and other is not start and start.constant == 0 == other.constant:
                yield start, other


def _partner(match: re.Match[str]) -> str:
    return match[1] + {"A": "B", "a": "b", "down": "up"}[match[2]]


def _hit(file: File, chain: Chain, more: Mapping[str, str]) -> Hit:
    return Hit(
        file.site(chain.first.node),
        {"first": label_of(chain.first), "second": label_of(chain.second), **more},
        related=(file.site(chain.second.node, label_of(chain.second)),),
    )


def label_of(start: Start) -> str:
    """Return a weight's label without ``self``."""
    return start.label.removeprefix("self.")
