"""Checkpoints of well-known architectures: names and settings to the exact graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from initaudit.architecture import axes, lookup
from initaudit.architecture.building import Builder, leftover
from initaudit.architecture.entries import Architecture, Value
from initaudit.architecture.lookup import Match, architectures_folder, load
from initaudit.architecture.reading import ArchitectureError
from initaudit.architecture.settings import Settled, Sources, settle
from initaudit.architecture.shapes import MismatchError
from initaudit.architecture.stored import Index
from initaudit.checkpoint import orientation, roles
from initaudit.checkpoint.blocks import Blocks
from initaudit.checkpoint.groups import grouped
from initaudit.checkpoint.layers import apart
from initaudit.checkpoint.stored import Config
from initaudit.checkpoint.topology import sorted_out
from initaudit.checkpoint.units import read
from initaudit.network import Assumption, Layer, Network, Origin, Site, Tensor

__all__ = [
    "Architecture", "ArchitectureError", "Built", "architectures_folder", "build", "load",
    "out_axes",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Built:
    """A network by its architecture, or None with the reasons why the ones tried do not fit."""

    network: Network | None
    reasons: tuple[str, ...] = ()


def build(
    known: Sequence[Architecture],
    tensors: Sequence[Tensor],
    *,
    name: str,
    path: str,
    config: Config | None = None,
    aliases: Mapping[str, str] | None = None,
    input_shape: tuple[int, ...] | None = None,
    activation: str | None = None,
) -> Built:
    """Return the network of a checkpoint whose names are those of a known architecture.

    ``aliases`` maps a tied name to the name it is stored under. The likeliest architecture that
    fits all tensors it asks for is taken; what it leaves unused is listed in `Network.apart`.
    """
    kept, foreign = sorted_out(tensors)
    by_name = {tensor.name: tensor for tensor in kept}
    stored = {t.name: t for t in kept} | {
        alias: by_name[real] for alias, real in (aliases or {}).items() if real in by_name
    }
    raw: Mapping[str, Any] = config.raw if config is not None else {}
    said = config.model_type if config is not None else None
    given: Mapping[str, Value] = {} if activation is None else {"activation": activation}
    index = Index.of(stored)
    sources = Sources(index, raw, given)
    reasons: list[str] = []
    found = lookup.matches(known, stored, said)
    wanted = lookup.typed(known, said)
    if wanted is not None and not any(m.by_type for m in found):
        reasons.append(
            f"config.json says model_type {said}, but {wanted.marks[0]} and the like are missing"
        )
    against = list(reasons)
    for match in found:
        settled = settle(match.architecture, sources, match.prefix)
        builder = Builder(match.architecture, sources, match.prefix, settled.notes)
        try:
            layers = builder.run(settled.values, input_shape)
        except MismatchError as error:
            reasons.append(f"its names are those of {match.architecture.name}, but {error}")
            against += reasons[-1:] if match.by_type else []
            continue
        rest, why = _rest(index, builder, match.architecture.name)
        return Built(
            Network(
                name=name,
                layers=(*layers, *rest),
                origin=Origin.MEASURED,
                topology="config" if match.by_type else "names",
                site=Site(path),
                assumptions=tuple(map(Assumption, _told(match, settled, said, against))),
                apart=(*why, *foreign),
            ),
            tuple(reasons),
        )
    return Built(None, tuple(reasons))


def out_axes(
    known: Sequence[Architecture],
    named: Sequence[tuple[str, str, tuple[int, ...]]],
    *,
    config: Config | None = None,
    aliases: Mapping[str, str] | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Mapping[str, int]:
    """Return the axes of output units that an architecture tells of weights not yet measured.

    ``named`` are (name, dtype, shape) of all stored arrays. Empty where no architecture fits, or
    where all weights of the one that does are (out, in).
    """
    stubs = {
        name: Tensor(name, dtype, shape, prod(shape), None, None, None, None, 0, 0, 0, 0)
        for name, dtype, shape in named
    }
    names = stubs | {a: stubs[real] for a, real in (aliases or {}).items() if real in stubs}
    said = config.model_type if config is not None else None
    if not any(axes.unusual(m.architecture) for m in lookup.matches(known, names, said)):
        return {}
    found = build(
        known, list(stubs.values()), name="", path="",
        config=config, aliases=aliases, input_shape=input_shape,
    ).network  # fmt: skip
    return (
        {}
        if found is None
        else axes.of_layers(x for x in found.layers if x.name not in dict(found.apart))
    )


def _told(
    match: Match, settled: Settled, said: str | None, against: Sequence[str]
) -> tuple[str, ...]:
    by = f"config.json says model_type {said}" if match.by_type else "by the names of its tensors"
    one = match.architecture
    believed = (f"{reason}: the weights are believed" for reason in against)
    first = f"taken for {one.name}: {by}"
    return tuple(dict.fromkeys((first, *believed, *one.notes, *settled.notes)))


def _rest(
    index: Index, builder: Builder, architecture: str
) -> tuple[tuple[Layer, ...], tuple[tuple[str, str], ...]]:
    """Return the modules that the architecture does not use, apart, each with the reason."""
    groups = grouped(leftover(index, builder.used))
    units, _ = orientation.resolved([read(group) for group in groups])
    given = roles.roles(units, Blocks({}, frozenset()), frozenset({"-"}))
    layers: list[Layer] = []
    why: list[tuple[str, str]] = []
    for unit in units:
        layer = apart(unit, given)
        name = layer.name
        while name in builder.taken:
            name += "_"
        builder.taken.add(name)
        layers.append(replace(layer, name=name))
        why.append((name, unit.reason or f"no part of the graph of {architecture}"))
    return tuple(layers), tuple(why)
