"""Gains of norm layers, which every module of a kind is given: zeros, or noise around zero."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Doubt, Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.draws import Draw
from initaudit.source.file import File
from initaudit.source.sweeps import Holder, Write

_NORM = re.compile(r"""["'](?:\w*(?:BatchNorm|LayerNorm|GroupNorm|InstanceNorm)\w*)["']""")
ZEROED = "set to 0"
_BY_NAME = re.compile(
    r"""\w+(?:\.\w+)*\.find\(["']\w+["']\) (?:!= -1|>= 0)"""
    r"""|["']\w+["'] in \w+(?:\.\w+)*|\w+(?:\.\w+)* == ["']\w+["']"""
)


@check("IA420", "draw")
def norm_gain_zeroed_or_random(subject: File, limits: Limits) -> Iterator[Hit]:
    """A branch for all norm layers whose gain it sets to zero, or draws around zero."""
    for holder, writes in subject.writes.items():
        for write in writes:
            if write.role != "weight":
                continue
            law = _law(write.draw)
            norm = None if law is None else _norm(subject, write)
            if norm is None or law is None or _again(subject, writes, write, norm):
                continue
            if law == ZEROED and (_named_zero(subject, holder) or _lone(subject, holder)):
                continue
            yield Hit(
                subject.site(write.draw.node),
                {"norm": norm, "law": law, "callee": write.draw.callee.name},
                severity=Severity.NOTE if subject.is_test else None,
                doubts=tuple(_unmade(subject, holder, write)),
            )


def _unmade(file: File, holder: Holder, write: Write) -> Iterator[Doubt]:
    """Yield what to ask where a method fills norms of a kind that its file has none of."""
    owner = file.class_of(holder)
    words = {kind.rpartition(".")[2] for kind in write.kinds
             if (spec := file.catalogue.layer(kind)) is not None and spec.norm}  # fmt: skip
    if owner is None or len(words) != 1:
        return
    word = words.pop()
    if word in file.module.names.imports or not all(
        _is_tested(file, node) for node in file.mentions.get(word, ())
    ):
        return
    yield "unmade", word, owner.name


def _is_tested(file: File, node: ast.AST) -> bool:
    """Return whether a class is named as what `isinstance` asks for."""
    around = file.module.parents.get(node)
    if isinstance(around, ast.Tuple):
        around = file.module.parents.get(around)
    return isinstance(around, ast.Call) and file.qualified(around.func) == "isinstance"


def _law(draw: Draw) -> str | None:
    """Return how a gain is spoilt, in words; None where it is not or that is not known."""
    mean, law = draw.weights.mean, draw.weights.law
    if not mean.lo == mean.hi == 0:
        return None
    if law in {"zeros", "constant"}:
        return ZEROED
    return "drawn around 0" if law in {"normal", "truncated", "uniform"} else None


def _norm(file: File, write: Write) -> str | None:
    """Return the norm class that a branch surely takes all of, if any."""
    for kind in write.kinds:
        spec = file.catalogue.layer(kind)
        if (
            spec is not None
            and spec.norm
            and spec.framework in {"torch", "paddle"}
            and write.certain
        ):
            return spec.name
    return None if write.kinds else _norm_by_name(file, write)


def _norm_by_name(file: File, write: Write) -> str | None:
    """``if classname.find("BatchNorm") != -1``, the innermost test only."""
    child: ast.AST = write.draw.node
    for around in file.module.around(write.draw.node):
        if around is write.holder:
            return None
        if isinstance(around, ast.If):
            text = ast.unparse(around.test)
            found = _NORM.search(text)
            plain = _BY_NAME.fullmatch(text) is not None
            return found[0][1:-1] if found and plain and child in around.body else None
        child = around
    return None


def _again(file: File, writes: tuple[Write, ...], write: Write, norm: str) -> bool:
    """Return whether the same code fills the gain of that norm again further down."""
    later = [
        w for w in writes if w.role == "weight" and w.draw.node.lineno > write.draw.node.lineno
    ]
    return any(
        (spec := file.catalogue.layer(kind)) is not None and spec.name == norm
        for other in later for kind in other.kinds
    )  # fmt: skip


def _lone(file: File, holder: Holder) -> bool:
    """Return whether the code is of a class with one norm at most, the last of a branch.

    A residual block whose last gain is zero starts as the identity.
    """
    owner = file.class_of(holder)
    if owner is None:
        return False
    norms = [
        name for name, values in owner.attributes.items()
        if "norm" in name or "bn" in name
        or any((spec := file.layer(v.value)) is not None and spec.norm for v in values)
    ]  # fmt: skip
    return len(norms) == 1


def _named_zero(file: File, holder: Holder) -> bool:
    """Return whether the code says by its name that norms are to start at zero."""
    function = (
        holder
        if isinstance(holder, ast.FunctionDef | ast.AsyncFunctionDef)
        else file.module.function(holder)
    )
    return function is not None and "zero" in function.name.lower()
