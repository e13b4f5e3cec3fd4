"""Standard deviations and ranges that do not fit weights which multiply a signal."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from initaudit.claims import Doubt, Hit, Limits, check
from initaudit.network import Weights
from initaudit.rulebook import Confidence
from initaudit.source import initial
from initaudit.source.bulk import bulk_draws, over_parameters, parameter_loop
from initaudit.source.checks.chains import label_of
from initaudit.source.classes import Class
from initaudit.source.draws import Draw
from initaudit.source.file import File
from initaudit.source.fitting import fitting
from initaudit.source.normed import normed
from initaudit.source.operands import operands
from initaudit.source.sized import between_counts, by_position
from initaudit.source.start import Start
from initaudit.source.untrained import stays_random

# Rows that are looked up, added or compared, not multiplied by a signal (real-world-init.md 2).
_TABLE = re.compile(
    r"pos|cls|token|emb|query|queries|latent|mem|prompt|register|probe|slot|anchor|codebook|noise"
    r"|freq|table|proto|centroid|center|basis|fourier|rand|hash",
    re.IGNORECASE,
)
_CHOOSING = re.compile(r"gumbel|codebook|codevector", re.IGNORECASE)
_MATRIX = re.compile(r"weight|kernel|linear|proj(?!ection_table)", re.IGNORECASE)
# Layers that are meant to start near zero.
_QUIET = re.compile(
    r"head|out|last|final|cls|classifier|logit|pred|offset|gate(?!_proj|_up)|zero|adapter|lora|delta|residual"
    r"|mask|scale|shift|modulat|film",
    re.IGNORECASE,
)
_UNKNOWN_FAN = 64
_LARGEST_FAN = 8192


@dataclass(frozen=True)
class Spread:
    """A law of weights that multiply a signal, with the place that says it."""

    what: str
    node: ast.expr
    weights: Weights
    implicit: bool
    fan_in: int | None
    others: tuple[ast.expr, ...] = ()
    """Other places of the same branch that say the same."""
    bare: bool = False
    """Whether it is an array by itself, of no layer."""
    doubts: tuple[Doubt, ...] = ()
    normed: bool = False
    """Whether a norm takes what it gives, and so undoes its scale."""

    @property
    def std(self) -> float | None:
        """The standard deviation, where it is known and does not follow from a fan."""
        return math.sqrt(self.weights.scale.lo) if _is_spread(self.weights) else None

    @property
    def mean(self) -> float | None:
        """The mean, where it is known."""
        mean = self.weights.mean
        return mean.lo if mean.lo == mean.hi else None


def _is_spread(weights: Weights) -> bool:
    scale = weights.scale
    return weights.fan == "none" and scale.lo == scale.hi and scale.lo > 0


def _spreads_out(draw: Draw) -> bool:
    return _is_spread(draw.weights)


@check("IA104", "draw")
def too_large(subject: File, limits: Limits) -> Iterator[Hit]:
    """A standard deviation, often the default 1, that no fan_in divides."""
    for spread in spreads(subject):
        std, fan_in = spread.std, spread.fan_in
        if std is None or spread.mean != 0 or (spread.weights.law == "uniform" and std < 1):
            continue
        if spread.normed:
            continue
        known = fan_in is not None
        gain = std * math.sqrt(fan_in if fan_in is not None else _UNKNOWN_FAN)
        if gain**2 <= limits["layer"] or not (known or spread.implicit or std >= 0.5):
            continue
        node = spread.node
        if not known and spread.bare and (between_counts(node) or by_position(node)):
            continue
        yield _hit(subject, spread, std, gain, known)


@check("IA103", "draw")
def too_small(subject: File, limits: Limits) -> Iterator[Hit]:
    """A standard deviation so small that one layer takes decades off the signal."""
    for spread in spreads(subject):
        std = spread.std
        if std is None or spread.mean != 0 or spread.normed or _QUIET.search(spread.what):
            continue
        gain = std * math.sqrt(spread.fan_in or _LARGEST_FAN)
        if gain**2 < limits["single"] and not _opened(subject, spread.what):
            yield _hit(subject, spread, std, gain, spread.fan_in is not None)


@check("IA105", "draw")
def one_sided(subject: File, limits: Limits) -> Iterator[Hit]:
    """A uniform law on one side of zero, as U(0, 1)."""
    for spread in spreads(subject):
        std, mean = spread.std, spread.mean
        if std is None or not mean or spread.weights.law != "uniform":
            continue
        half = math.sqrt(3) * std
        if abs(mean) < half * (1 - 1e-9):
            continue
        fits = fitting(subject, spread.node, spread.what)
        yield Hit(
            subject.site(spread.node),
            {
                "what": spread.what,
                "mean": mean,
                "std": std,
                "low": round(mean - half, 12),
                "high": round(mean + half, 12),
                **({} if fits is None else {"fits": fits}),
            },
            related=tuple(subject.site(node) for node in spread.others),
            doubts=spread.doubts,
            fix=None if fits is None else "fitting-initialiser",
        )


def spreads(file: File) -> list[Spread]:
    """Return the laws of all weights that surely multiply a signal, each place once."""
    return file.once(_spreads)


def _spreads(file: File) -> list[Spread]:
    if file.is_test or not (file.hands_over or any(map(_spreads_out, file.draws))):
        return []
    found: dict[tuple[int, int], Spread] = {}
    for spread in (*_bulk(file), *_of_classes(file), *_of_scopes(file)):
        found.setdefault((spread.node.lineno, spread.node.col_offset), spread)
    return _one_cause(file, list(found.values()))


def _one_cause(file: File, spreads: list[Spread]) -> list[Spread]:
    """Return the spreads with those of one branch that are alike made one."""
    found: dict[tuple[ast.AST | None, Weights, int | None], Spread] = {}
    for spread in sorted(spreads, key=lambda s: s.node.lineno):
        block = file.module.parents.get(file.module.statement(spread.node))
        key = (block if isinstance(block, ast.If) else spread.node, spread.weights, spread.fan_in)
        first = found.get(key)
        if first is None:
            found[key] = spread
        else:
            what = f"{first.what}, {spread.what}"
            found[key] = replace(first, what=what, others=(*first.others, spread.node))
    return list(found.values())


def _bulk(file: File) -> Iterator[Spread]:
    for bulk in bulk_draws(file):
        if stays_random(file, bulk.draw):
            continue
        kinds = ", ".join(k.rpartition(".")[2] for k in bulk.kinds)
        yield Spread(f"every {kinds}", bulk.draw.node, bulk.draw.weights, _plain(bulk.draw), None)
    for draw in over_parameters(file):
        yield Spread("every parameter", draw.node, draw.weights, _plain(draw), None)


def _plain(draw: Draw) -> bool:
    name = draw.callee.numbers.get("std")
    return name is None or name not in draw.bound


def _of_classes(file: File) -> Iterator[Spread]:
    for owner in file.classes.values():
        if not file.says(owner, _spreads_out):
            continue
        starts = file.starts(owner)
        if owner.framework is None:
            # A class with no framework's base is a network where its arrays are called weights.
            starts = {k: s for k, s in starts.items() if initial.NAMED.match(label_of(s))}
        bare = {k: s for k, s in starts.items() if s.op == "" and not _is_table(label_of(s))}
        if bare and _fills_all(file, owner):
            bare = {}
        used = operands(file, [m.body for m in owner.methods.values()], bare) if bare else set()
        said = {
            key: start
            for key, start in starts.items()
            if start.weights is not None
            and _said(start)
            and (key in used or (start.op and not _selects(file, owner)))
        }
        behind = normed(file, owner, starts) if said else frozenset()
        for key, start in said.items():
            doubts = () if start.op else (("handled", owner.name, label_of(start)),)
            yield replace(_spread(start), normed=key in behind, doubts=doubts)


def _fills_all(file: File, owner: Class) -> bool:
    """Return whether a class fills all its parameters in a loop, whatever they started as."""
    return any(
        draw.owner is owner.node
        and len(draw.path) == 1
        and parameter_loop(file, draw, {"parameters", "named_parameters"}) is not None
        for draw in file.draws
    )


def _selects(file: File, owner: Class) -> bool:
    """Return whether a class's outputs choose entries of a codebook, as sharply as they start."""
    return _CHOOSING.search(file.module.written(owner.node.body)) is not None


def _of_scopes(file: File) -> Iterator[Spread]:
    for scope in file.scopes_that_say(_spreads_out):
        starts = file.scope_starts(scope)
        for start in starts.values():
            if start.op and start.weights is not None and _said(start):
                yield _spread(start)
        bare = {k: s for k, s in starts.items() if s.op == "" and not _is_table(s.label)}
        if not bare:
            continue
        bodies = [f.body for f in file.module.functions]
        bodies.append(file.module.tree.body)
        used = operands(file, bodies, bare)
        for key, start in bare.items():
            sampled = _is_sample(file, start)
            if key in used and start.weights is not None and _said(start) and not sampled:
                yield _spread(start)


def _is_sample(file: File, start: Start) -> bool:
    """Return whether an array of TensorFlow is no variable, which alone can be trained."""
    call = start.node
    name = (file.qualified(call.func) or "") if isinstance(call, ast.Call) else ""
    return name.startswith("tensorflow.random")


def _is_table(name: str) -> bool:
    """Return whether a name is that of rows which are looked up, added or compared."""
    return _TABLE.search(name) is not None and _MATRIX.search(name) is None


def _said(start: Start) -> bool:
    """Return whether the code itself says the law, rather than a layer's default."""
    return isinstance(start.node, ast.Call | ast.BinOp) and not start.by_default


def _spread(start: Start) -> Spread:
    assert start.weights is not None  # noqa: S101  (the callers ask)
    label, bare = label_of(start), start.op == ""
    return Spread(label, start.node, start.weights, start.implicit, start.fan_in, bare=bare)


def _opened(file: File, what: str) -> bool:
    """Return whether a layer is a gate that starts open: its bias is set to one."""
    return any(
        draw.path[-2:] == (what, "bias") and draw.weights.mean.lo == draw.weights.mean.hi == 1
        for draw in file.draws
    )


def _hit(file: File, spread: Spread, std: float, gain: float, known: bool) -> Hit:  # noqa: FBT001
    wanted = (
        f"fan_in {spread.fan_in} asks for about {math.sqrt(1 / spread.fan_in):.3g}"
        if spread.fan_in is not None
        else "1 / sqrt(fan_in) would do"
    )
    return Hit(
        file.site(spread.node),
        {
            "what": spread.what,
            "std": std,
            "wanted": wanted,
            "gain": _times(std, gain, known=known),
            "decades": abs(2 * math.log10(gain)),
        },
        confidence=None if known or spread.implicit else Confidence.MEDIUM,
        related=tuple(file.site(node) for node in spread.others),
        doubts=spread.doubts,
    )


def _times(std: float, gain: float, *, known: bool) -> str:
    """Return how many times as wide a product makes the signal."""
    if known:
        return f"{gain:.3g}"
    return "sqrt(fan_in)" if std == 1 else f"{std:.3g} sqrt(fan_in)"
