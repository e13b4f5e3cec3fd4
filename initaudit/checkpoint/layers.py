"""A chain of modules written out as the layers of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from initaudit.checkpoint.norms import Placed
from initaudit.checkpoint.spatial import Plan
from initaudit.checkpoint.units import RECURRENT, Unit, params
from initaudit.network import UNKNOWN_ACTIVATION, Attribute, Layer


@dataclass(frozen=True, slots=True)
class Activation:
    """The function between layers and the sentence that says where it is known from."""

    function: str
    note: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Modules in order with everything that their layers need."""

    units: tuple[Unit, ...]
    norms: Placed
    plan: Plan
    activation: Activation


def apart(unit: Unit, roles: Mapping[str, str]) -> Layer:
    """Return the layer of a module whose place is not known."""
    return _module(unit, roles, {})


def connected(
    chain: Chain, roles: Mapping[str, str]
) -> tuple[tuple[Layer, ...], frozenset[str], tuple[str, ...]]:
    """Return the layers from input to head, the modules used, and what was assumed."""
    steps = [_input(chain)]
    notes: list[str] = []
    used: set[str] = set()
    width = 0
    for unit, following in zip(chain.units, (*chain.units[1:], None), strict=True):
        extra, note = _extra(unit, width, chain)
        around = [chain.norms.before.get(unit.name), unit, chain.norms.behind.get(unit.name)]
        modules = [module for module in around if module is not None]
        used |= {module.name for module in modules}
        steps += _reshaped(unit, chain.plan)
        steps += [_module(module, roles, extra if module is unit else {}) for module in modules]
        steps += _behind(unit, following, chain)
        notes += [note] if note else []
        width = unit.width
    if any(layer.op == "activation" for layer in steps):
        notes.insert(0, chain.activation.note)
    if any(unit.op == "conv" for unit in chain.units):
        notes.append("convolutions have stride 1 and dilation 1: neither is stored")
    return _linked(steps, used), frozenset(used), (*chain.norms.notes, *notes, *chain.plan.notes)


def _linked(steps: Sequence[Layer], modules: set[str]) -> tuple[Layer, ...]:
    """Let each layer read the one before; give way where a module has the name of another step."""
    linked: list[Layer] = []
    for layer in steps:
        free = layer.name
        while not layer.params and free in modules:
            free += "_"
        inputs = (linked[-1].name,) if linked else ()
        linked.append(replace(layer, name=free, inputs=inputs))
    return tuple(linked)


def _input(chain: Chain) -> Layer:
    attributes: dict[str, Attribute] = {"shape": chain.plan.shape}
    if chain.units[0].op == "embedding":
        attributes["tokens"] = chain.units[0].fan
    return Layer("input", "input", attributes=attributes)


def _module(unit: Unit, roles: Mapping[str, str], extra: Mapping[str, Attribute]) -> Layer:
    attributes: dict[str, Attribute] = {**unit.attributes, **extra}
    if unit.name in roles:
        attributes["role"] = roles[unit.name]
    return Layer(unit.name, unit.op, (), params(unit), attributes)


def _reshaped(unit: Unit, plan: Plan) -> list[Layer]:
    if unit.name != plan.flatten:
        return []
    average = [Layer("pool", "global_avg_pool")] if plan.average else []
    return [*average, Layer("flatten", "flatten")]


def _behind(unit: Unit, following: Unit | None, chain: Chain) -> list[Layer]:
    found: list[Layer] = []
    if following is not None and _activated(unit, following, chain.units, chain.norms):
        function = chain.activation.function
        word = "activation" if function == UNKNOWN_ACTIVATION else function
        found.append(Layer(f"{unit.name}.{word}", "activation", attributes={"function": function}))
    if unit.name in chain.plan.pools:
        found.append(Layer(f"{unit.name}.pool", "max_pool", attributes={"kernel": 2, "stride": 2}))
    return found


def _extra(unit: Unit, width: int, chain: Chain) -> tuple[dict[str, Attribute], str | None]:
    """Return what the place in the chain tells of a module, and the assumption behind it."""
    extra: dict[str, Attribute] = {}
    if unit.name in chain.norms.behind and unit.op != "embedding":
        extra["normed"] = True
    if unit.op != "conv":
        return extra, None
    if chain.plan.valid:
        extra["padding"] = 0
    if width and unit.fan != width:
        extra["groups"] = width // unit.fan
        return extra, f"{unit.name} is depthwise: one group for each of {width} channels"
    return extra, None


def _activated(unit: Unit, following: Unit, units: Sequence[Unit], norms: Placed) -> bool:
    """Return whether an activation stands between two modules of the chain.

    In a numbered container with gaps (``nn.Sequential``) two neighbours have nothing between;
    elsewhere an activation follows every linear layer and convolution.
    """
    if unit.op == "embedding" or unit.op in RECURRENT:
        return False
    parent = unit.path[:-1]
    numbers = {u.name: _index(u, parent) for u in (*units, *norms.behind.values(),
                                                   *norms.before.values())}  # fmt: skip
    taken = sorted(number for number in numbers.values() if number is not None)
    gapped = any(b - a > 1 for a, b in pairwise(taken))
    here, there = numbers[unit.name], numbers[following.name]
    if not gapped or here is None or there is None:
        return True
    between = [here, *(n for n in taken if here < n < there), there]
    return any(b - a > 1 for a, b in pairwise(between))


def _index(unit: Unit, parent: tuple[str, ...]) -> int | None:
    alike = unit.path[:-1] == parent and unit.path[-1].isdecimal()
    return int(unit.path[-1]) if alike else None
