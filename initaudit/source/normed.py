"""Which weights have a norm behind them, which undoes whatever scale they have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from initaudit.source.classes import Class
from initaudit.source.file import File
from initaudit.source.flow import PLAIN, flow
from initaudit.source.label import label
from initaudit.source.module import Function
from initaudit.source.parents import walk
from initaudit.source.start import Start

_NAMED = re.compile(r"(?:^|_)(?:bn|ln|norm)\d*(?:_|$)|norm\d*$")
_MEMBER = re.compile(r"(self\.\w+)\[(\d+)\]")


def normed(file: File, owner: Class, starts: Mapping[str, Start]) -> frozenset[str]:
    """Return the labels whose output a norm of the class takes, activations at most between."""
    norms, plain = _attributes(file, owner)

    def kind(name: str) -> str:
        return "weight" if name in starts or name in norms else "plain" if name in plain else ""

    found = set(_in_rows(file, owner, starts))
    if norms:
        for method in owner.methods.values():
            found.update(e.first for e in flow(file, method.body, kind).edges if e.second in norms)
            found.update(_ordered(method, norms))
    return frozenset(found & starts.keys())


def _ordered(method: Function, norms: frozenset[str]) -> Iterator[str]:
    """Yield what is called in a loop that calls a norm in another branch: it may come behind."""
    for loop in walk(method):
        if not isinstance(loop, ast.For) or not any(isinstance(s, ast.If) for s in loop.body):
            continue
        called = {label(n.func) for n in walk(loop) if isinstance(n, ast.Call)} - {None}
        if called & norms:
            yield from (name for name in called if name is not None)


def _attributes(file: File, owner: Class) -> tuple[frozenset[str], frozenset[str]]:
    """Return the attributes that are norms, and those that act on each element."""
    norms: set[str] = set()
    plain: set[str] = set()
    for one in owner.lineage():
        for name in one.attributes:
            spec = file.attribute_layer(owner, name)
            if spec.norm if spec is not None else _NAMED.search(name) is not None:
                norms.add(f"self.{name}")
            elif spec is not None and spec.op in PLAIN:
                plain.add(f"self.{name}")
    return frozenset(norms), frozenset(plain)


def _in_rows(file: File, owner: Class, starts: Mapping[str, Start]) -> Iterator[str]:
    """Yield the members of a Sequential that a norm follows in it."""
    for name, start in starts.items():
        match = _MEMBER.fullmatch(name)
        made = owner.only(match[1].removeprefix("self.")) if match and start.in_row else None
        if match and made is not None and isinstance(made.value, ast.Call):
            given = made.value.args
            listed = len(given) == 1 and isinstance(given[0], ast.List | ast.Tuple)
            parts: Sequence[ast.expr] = given[0].elts if listed else given  # type: ignore[attr-defined]
            if _norm_first(file, parts[int(match[2]) + 1 :]):
                yield name


def _norm_first(file: File, parts: Sequence[ast.expr]) -> bool:
    """Return whether the first of some layers that is not elementwise is a norm."""
    for part in parts:
        spec = file.layer(part)
        if spec is None or spec.norm:
            return spec is not None
        if spec.op not in PLAIN:
            return False
    return False
