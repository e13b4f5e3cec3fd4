"""A model's parameters beside the tensors of a checkpoint: names, shapes and laws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.claims import finding, registered
from initaudit.finding import Finding
from initaudit.network import Tensor
from initaudit.reading.values import Event, Open, Parameter
from initaudit.rulebook import Rule

if TYPE_CHECKING:
    from initaudit.reading.model import Model

Shapes = Mapping[str, tuple[int, ...]]

_LEAST = 64
"""Elements below which a standard deviation tells too little."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which stored tensor each parameter is.

    ``names`` maps declared names to stored ones. ``missing`` are declared and not stored, ``extra``
    stored and not declared, ``unequal`` are (name, declared shape, stored shape).
    """

    names: Mapping[str, str]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    unequal: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    @property
    def exact(self) -> bool:
        """Whether all names and shapes agree."""
        return bool(self.names) and not (self.missing or self.extra or self.unequal)

    @property
    def foreign(self) -> bool:
        """Whether less than half of either side fits: a checkpoint of another model."""
        fits = len(self.names)
        return fits < len(self.missing) + len(self.unequal) or fits < len(self.extra)

    def summary(self) -> str:
        """Return how much fits, and the first thing that does not."""
        total = len(self.names) + len(self.missing) + len(self.unequal)
        text = f"{len(self.names)} of {total} declared parameters are in it"
        if self.missing:
            return f"{text}; {self.missing[0]} is not"
        if self.unequal:
            name, here, there = self.unequal[0]
            return f"{text}; {name} is declared as {here} and stored as {there}"
        return f"{text}; it holds {self.extra[0]} besides" if self.extra else text


def match(parameters: Mapping[str, Parameter], aliases: Mapping[str, str], shapes: Shapes) -> Match:
    """Lay declared parameters beside stored shapes; a prefix that all stored names share is cut.

    Buffers that a state dict may lack, such as counters of batches, are not missed.
    """
    plain = {name.replace("/", "."): name for name in shapes}
    prefix = _prefix(parameters, plain)
    there = {short.removeprefix(prefix): name for short, name in plain.items()}
    ordered = _by_order(parameters, there, shapes)
    if ordered is not None:
        return ordered
    names: dict[str, str] = {}
    missing: list[str] = []
    unequal: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
    other: dict[str, list[str]] = {}
    for alias, first in aliases.items():
        other.setdefault(first, []).append(alias)
    for name, parameter in parameters.items():
        stored = next((there[n] for n in (name, *other.get(name, ())) if n in there), None)
        if stored is None:
            if not parameter.buffer:
                missing.append(name)
        elif _fits(parameter.shape, shapes[stored]):
            names[name] = stored
        else:
            unequal.append((name, tuple(map(int, parameter.shape)), shapes[stored]))
    declared = {*parameters, *aliases}
    extra = tuple(full for name, full in there.items() if name not in declared)
    return Match(names, tuple(missing), extra, tuple(unequal))


def _by_order(
    parameters: Mapping[str, Parameter], there: Mapping[str, str], shapes: Shapes
) -> Match | None:
    """Lay parameters beside arrays of other names one by one, where all shapes agree in order.

    Keras numbers the names of layers through a process, so that they are not in the source.
    """
    known = sum(name in there for name in parameters)
    if known == len(parameters) or len(there) != len(parameters):
        return None
    pairs = list(zip(parameters.items(), there.values(), strict=True))
    same = all(
        p.shape == shapes[stored] and name.rpartition(".")[2] == _last(stored)
        for (name, p), stored in pairs
    )
    if not same:
        return None
    return Match({name: stored for (name, _), stored in pairs}, (), (), ())


def _last(name: str) -> str:
    return name.replace("/", ".").rpartition(".")[2].partition(":")[0]


def _prefix(parameters: Mapping[str, Parameter], shapes: Mapping[str, str]) -> str:
    """Return what wrappers put before all names (``module.``), empty where they put nothing."""
    if not shapes or any(name in parameters for name in shapes):
        return ""
    head = next(iter(shapes)).partition(".")[0] + "."
    cut = all(name.startswith(head) for name in shapes)
    return head if cut and any(n.removeprefix(head) in parameters for n in shapes) else ""


def _fits(declared: tuple[int, ...], stored: tuple[int, ...]) -> bool:
    return len(declared) == len(stored) and all(
        isinstance(n, Open) or n == m for n, m in zip(declared, stored, strict=True)
    )


def solved(parameters: Mapping[str, Parameter], shapes: Shapes) -> dict[str, int]:
    """Return the arguments that a checkpoint's shapes tell: extents that are one as it is given."""
    found: dict[str, int] = {}
    for name, parameter in parameters.items():
        there = shapes.get(name)
        if there is None or len(there) != len(parameter.shape):
            continue
        for extent, size in zip(parameter.shape, there, strict=True):
            if isinstance(extent, Open) and extent.key.isidentifier():
                found.setdefault(extent.key, size)
    return found


@dataclass(frozen=True, slots=True)
class Pair:
    """Subject ``pair``: a model's source and the statistics of a checkpoint of it."""

    model: Model
    match: Match
    tensors: Mapping[str, Tensor]


def departures(
    model: Model, match: Match, tensors: Mapping[str, Tensor], rules: Mapping[str, Rule]
) -> tuple[Finding, ...]:
    """Return the findings about tensors that are not what their source declares."""
    subject = Pair(model, match, tensors)
    return tuple(
        finding(rule, hit, {}, "")
        for rule in rules.values()
        if "pair" in rule.judges
        for hit in registered()[rule.id, "pair"](subject, rule.limits)
    )


def fits(event: Event, tensor: Tensor, errors: float, ratio: float) -> bool | None:
    """Return whether a tensor may be a draw of an initialisation; None where that cannot be told.

    The variance of n draws has a relative standard error of at most sqrt(2 / n).
    """
    if tensor.nonfinite or tensor.variance is None or tensor.mean is None:
        return None
    if event.weights.law in {"zeros", "constant"}:
        mean = event.weights.mean
        if mean.lo != mean.hi:
            return None
        return tensor.constant and math.isclose(tensor.mean, mean.lo, rel_tol=1e-3, abs_tol=1e-9)
    if event.std is None or tensor.count < _LEAST or event.weights.law in {"identity", "sparse"}:
        return None
    if event.std == 0.0 or tensor.variance == 0.0:
        return event.std == 0.0 and tensor.variance == 0.0
    departure = abs(math.log(math.sqrt(tensor.variance) / event.std))
    allowed = errors * math.sqrt(0.5 / tensor.count)
    return not (departure > allowed and departure > math.log(ratio))
