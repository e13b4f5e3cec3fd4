"""A chain of modules written out as the layers of a network."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf

from initaudit import graph
from initaudit.checkpoint.norms import Placed
from initaudit.checkpoint.positional import number
from initaudit.checkpoint.spatial import Plan
from initaudit.checkpoint.units import Unit
from initaudit.network import (
    UNKNOWN_ACTIVATION,
    Attribute,
    Interval,
    Layer,
    Param,
    Tensor,
    Weights,
)

Slopes = Mapping[tuple[str, ...], Sequence[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class Activation:
    """The function between layers and the sentence that says where it is known from."""

    function: str
    note: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Modules in order with everything that their layers need.

    ``slopes`` holds the (number, slope) of the PReLUs of each container, in order.
    """

    units: tuple[Unit, ...]
    norms: Placed
    plan: Plan
    activation: Activation
    slopes: Slopes = field(default_factory=dict)


def apart(unit: Unit, roles: Mapping[str, str]) -> Layer:
    """Return the layer of a module whose place is not known."""
    return _module(unit, roles, {})


def connected(
    chain: Chain, roles: Mapping[str, str], taken: Set[str]
) -> tuple[tuple[Layer, ...], frozenset[str], tuple[str, ...]]:
    """Return the layers from input to head, the modules used, and what was assumed.

    ``taken`` are the names that modules have, which other steps must not.
    """
    steps = [_input(chain)]
    notes: list[str] = []
    used: set[str] = set()
    width = 0
    gapless = _gapless(chain.units, chain.norms)
    for unit, following in zip(chain.units, (*chain.units[1:], None), strict=True):
        extra, note = _extra(unit, width, chain)
        around = [chain.norms.before.get(unit.name), unit, chain.norms.behind.get(unit.name)]
        modules = [module for module in around if module is not None]
        used |= {module.name for module in modules}
        used |= {module.back.name for module in modules if module.back is not None}
        steps += _reshaped(unit, chain.plan)
        for module in modules:
            steps.append(_module(module, roles, extra if module is unit else {}))
            steps += _back(module, roles)
        steps += _behind(unit, following, chain, gapless)
        notes += [note] if note else []
        width = unit.width
    acts = [layer for layer in steps if layer.op == "activation"]
    if any("slope" not in layer.attributes for layer in acts):
        notes.insert(0, chain.activation.note)
    if any("slope" in layer.attributes for layer in acts):
        notes.append("a PReLU stands between the layers where its slope is stored")
    if any(unit.op == "conv" for unit in chain.units):
        notes.append(
            "convolutions have dilation 1, and stride 1 (2 where the kernel is even): neither "
            "is stored"
        )
    notes += _transposed(chain.units)
    return _linked(steps, taken), frozenset(used), (*chain.norms.notes, *notes, *chain.plan.notes)


def _transposed(units: Sequence[Unit]) -> list[str]:
    names = ", ".join(unit.name for unit in units if unit.op == "conv_transpose")
    if not names:
        return []
    return [
        f"{names}: transposed convolutions with stride 1 (2 where the kernel is even) that "
        "multiply the places by it; neither stride nor padding is stored"
    ]


def _linked(steps: Sequence[Layer], modules: Set[str]) -> tuple[Layer, ...]:
    """Let each layer read the one before; give way where a module has the name of another step.

    A layer that runs from the last step reads what the one before it does; both are joined.
    """
    linked: list[Layer] = []
    for layer in steps:
        free = layer.name
        while not layer.params and free in modules:
            free += "_"
        inputs: tuple[str, ...] = (linked[-1].name,) if linked else ()
        if layer.attributes.get("reverse"):
            inputs = linked[-1].inputs
        elif layer.op == "concat":
            inputs = (linked[-2].name, linked[-1].name)
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
    return Layer(unit.name, unit.op, (), _params(unit), attributes)


def _back(unit: Unit, roles: Mapping[str, str]) -> list[Layer]:
    """Return the reverse direction of a recurrent module, and what joins both."""
    if unit.back is None:
        return []
    joined = Layer(f"{unit.name}.both", "concat", attributes={"axis": -1})
    return [_module(unit.back, roles, {"reverse": True}), joined]


def _params(unit: Unit) -> tuple[Param, ...]:
    """Return the parameters of a module with their statistics."""
    names = {"weight_v": "weight"} if "weight_v" in unit.group.parts and not unit.reason else {}
    skipped = {"weight_g"} if names else set()
    return tuple(
        Param(names.get(role, role), tensor.shape, spread(tensor), tensor)
        for role, tensor in unit.group.parts.items()
        if role not in skipped and role != "num_batches_tracked"
    )


def spread(tensor: Tensor) -> Weights:
    """Return how a stored tensor is spread, as measured."""
    if tensor.mean is None or tensor.variance is None:
        return Weights("empirical", Interval.unknown(), Interval.unknown(), "none")
    return Weights("empirical", Interval.point(tensor.mean), Interval.point(tensor.variance))


def _reshaped(unit: Unit, plan: Plan) -> list[Layer]:
    if unit.name != plan.flatten:
        return []
    average = [Layer("pool", "global_avg_pool")] if plan.average else []
    return [*average, Layer("flatten", "flatten")]


def _behind(unit: Unit, following: Unit | None, chain: Chain, gapless: Set[str]) -> list[Layer]:
    found: list[Layer] = []
    linear = unit.op not in graph.RECURRENT | {"embedding"}
    if following is not None and linear and unit.name not in gapless:
        slope = _slope(unit, following, chain.slopes)
        function = chain.activation.function if slope is None else "prelu"
        word = "activation" if function == UNKNOWN_ACTIVATION else function
        attributes: dict[str, Attribute] = {"function": function}
        if slope is not None:
            attributes["slope"] = slope
        found.append(Layer(f"{unit.name}.{word}", "activation", attributes=attributes))
    if unit.name in chain.plan.pools:
        found.append(Layer(f"{unit.name}.pool", "max_pool", attributes={"kernel": 2, "stride": 2}))
    return found


def _slope(unit: Unit, following: Unit, slopes: Slopes) -> float | None:
    """Return the slope of the PReLU between two neighbours of a numbered container."""
    here, there = _index(unit, unit.path[:-1]), _index(following, unit.path[:-1])
    if here is None or there is None:
        return None
    known = slopes.get(unit.path[:-1], ())
    at = bisect_right(known, (here, inf))
    return known[at][1] if at < len(known) and known[at][0] < there else None


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
        if unit.fan > 1:
            return extra, f"{unit.name} reads {width} channels in {extra['groups']} groups"
        return extra, f"{unit.name} is depthwise: one group for each of {width} channels"
    return extra, None


def _gapless(units: Sequence[Unit], norms: Placed) -> frozenset[str]:
    """Return the modules that have nothing between themselves and the next one.

    In a numbered container with gaps (``nn.Sequential``) neighbours have nothing between them;
    elsewhere an activation follows every linear layer and convolution.
    """
    numbers: dict[tuple[str, ...], list[int]] = {}
    for unit in (*units, *norms.behind.values(), *norms.before.values()):
        place = number(unit.path[-1])
        if place is not None:
            numbers.setdefault(unit.path[:-1], []).append(place)
    breaks: dict[tuple[str, ...], list[int]] = {}
    for parent, taken in numbers.items():
        taken.sort()
        breaks[parent] = [b for a, b in pairwise(taken) if b - a > 1]
    found: set[str] = set()
    for unit, following in pairwise(units):
        parent = unit.path[:-1]
        here, there = _index(unit, parent), _index(following, parent)
        if here is None or there is None or not breaks[parent]:
            continue
        if bisect_right(breaks[parent], here) == bisect_right(breaks[parent], there):
            found.add(unit.name)
    return frozenset(found)


def _index(unit: Unit, parent: tuple[str, ...]) -> int | None:
    return number(unit.path[-1]) if unit.path[:-1] == parent else None
