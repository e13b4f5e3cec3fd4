"""Sizes that a checkpoint does not store: places, pools and the shape of the input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb, isqrt, prod

from initaudit import graph
from initaudit.checkpoint.positional import number
from initaudit.checkpoint.units import Unit

PLACES = 16
"""Length of each spatial side, or of a sequence, where nothing tells it."""

STEPS = 35
"""Length of a sequence that a recurrent layer reads, where nothing tells it.

It is the depth of such a layer, and what gradients usually go back through (Zaremba et al. 2014).
"""

_LARGEST = 256
_SUBSETS = 3000


@dataclass(frozen=True, slots=True)
class Plan:
    """How data must be shaped for a chain to run.

    ``pools`` are modules with a 2 x 2 maximum pool behind them, ``flatten`` the module that reads
    flattened places, ``average`` whether places are averaged first. ``valid`` means convolutions
    without padding. ``reason`` says why no shape was found.
    """

    shape: tuple[int, ...]
    pools: frozenset[str] = frozenset()
    flatten: str | None = None
    average: bool = False
    valid: bool = False
    notes: tuple[str, ...] = ()
    reason: str | None = None


def plan(chain: Sequence[Unit], given: tuple[int, ...] | None) -> Plan:
    """Return the shape of the input (without batch) under which the chain runs."""
    first = chain[0]
    if first.op == "embedding":
        return _tokens(chain, given)
    if first.op in graph.RECURRENT:
        if given is not None and len(given) == 2 and given[1] == first.fan:
            return Plan(given)
        return Plan((STEPS, first.fan), notes=(f"the input is a sequence of {STEPS} steps",))
    if not first.dims:
        fits = given is None or prod(given) == first.fan
        return Plan((first.fan,), notes=() if fits else (_refused(given, first),))
    return _convolutional(chain, given)


def _refused(given: tuple[int, ...] | None, unit: Unit) -> str:
    return f"the input shape {given} that was given does not fit {unit.name} and is not used"


def _tokens(chain: Sequence[Unit], given: tuple[int, ...] | None) -> Plan:
    table = chain[0]
    after = chain[1] if len(chain) > 1 else None
    if after is not None and after.op == "linear" and after.fan != table.width:
        count = after.fan // table.width
        note = f"{after.name} reads {count} tokens side by side"
        return Plan((count,), flatten=after.name, notes=(note,))
    usual = STEPS if any(unit.op in graph.RECURRENT for unit in chain) else PLACES
    length = given[0] if given is not None and len(given) == 1 else usual
    return Plan((length,), notes=(f"the input is {length} tokens, drawn evenly from {table.name}",))


def _convolutional(chain: Sequence[Unit], given: tuple[int, ...] | None) -> Plan:
    convs = [unit for unit in chain if unit.dims]
    reader = next((unit for unit in chain if not unit.dims), None)
    channels, dims = _channels(convs[0]), convs[0].dims
    sides = None if given is None else _sides(given, channels, dims)
    notes: tuple[str, ...] = ()
    if given is not None and sides is None:
        notes = (_refused(given, convs[0]),)
    places = 1 if reader is None else reader.fan // convs[-1].width
    name = None if reader is None else reader.name
    if places == 1:
        if sides is None:
            sides = (_free(convs),) * dims
            notes += (f"the input is taken as {_times(sides)} places",)
        if _run(convs, sides, frozenset(), valid=False) is None:
            return Plan((channels, *sides), reason=f"{_times(sides)} places end before the last")
        if name is not None:
            notes += (f"the places are averaged in front of {name}, which has one input a channel",)
        return Plan((channels, *sides), flatten=name, average=name is not None, notes=notes)
    if sides is not None:
        found = _pooled(convs, sides, places)
        if found is not None:
            pools, valid = found
            notes += _told(pools, name, valid=valid)
            return Plan((channels, *sides), frozenset(pools), name, valid=valid, notes=notes)
        notes += (f"no pooling after these convolutions leads from {_times(sides)} places to the "
                  f"{places} that {name} reads: the input shape given is not used",)  # fmt: skip
    target = _factors(places, dims)
    start = None if target is None else _backwards(convs, target)
    if start is None:
        why = f"no input size leads to the {places} places that {name} reads"
        return Plan((channels,), reason=why)
    notes += (
        f"{name} reads {places} places a channel, taken as {_times(target or ())}; "
        f"without strides or pools the input is {_times(start)}",
    )
    return Plan((channels, *start), flatten=name, notes=notes)


def _told(pools: Sequence[str], name: str | None, *, valid: bool) -> tuple[str, ...]:
    padding = "without padding" if valid else "with padding k // 2"
    where = f"a maximum pool of 2 behind {', '.join(pools)}" if pools else "no pool"
    return (f"convolutions {padding} and {where} lead from the input to {name}",)


def _channels(unit: Unit) -> int:
    return unit.fan


def _times(sides: Sequence[int]) -> str:
    return " x ".join(str(side) for side in sides)


def _free(convs: Sequence[Unit]) -> int:
    """Return a side of the input that is small and yet leaves places behind every convolution."""
    doubled = sum(unit.op == "conv_transpose" and unit.attributes["stride"] == 2 for unit in convs)
    side = max(2, PLACES >> doubled)
    dims = convs[0].dims
    while side < _LARGEST and _run(convs, (side,) * dims, frozenset(), valid=False) is None:
        side *= 2
    return side


def _sides(given: tuple[int, ...], channels: int, dims: int) -> tuple[int, ...] | None:
    if len(given) == dims + 2:
        given = given[1:]
    if len(given) == dims and channels == 1:
        return given
    if len(given) != dims + 1:
        return None
    if given[0] == channels:
        return given[1:]
    return given[:-1] if given[-1] == channels else None


def _kernel(unit: Unit) -> tuple[int, ...]:
    shape = unit.weight.shape
    return shape[2:] if unit.layout == "oi" else shape[:-2]


def _run(
    convs: Sequence[Unit], sides: Sequence[int], pools: frozenset[str], *, valid: bool
) -> tuple[int, ...] | None:
    """Return the places behind the convolutions, or None where none are left."""
    now = tuple(sides)
    for unit in convs:
        now = tuple(_step(unit, axis, side, valid=valid) for axis, side in enumerate(now))
        if unit.name in pools:
            now = tuple(side // 2 for side in now)
        if min(now) < 1:
            return None
    return now


def _step(unit: Unit, axis: int, side: int, *, valid: bool) -> int:
    kernel, stride, padding = _kernel(unit)[axis], _number(unit, "stride", 0), _padding(unit, axis)
    if unit.op == "conv_transpose":
        return (side - 1) * stride - 2 * padding + kernel
    return (side + (0 if valid else 2 * padding) - kernel) // stride + 1


def _step_back(unit: Unit, axis: int, side: int) -> int | None:
    kernel, stride, padding = _kernel(unit)[axis], _number(unit, "stride", 0), _padding(unit, axis)
    if unit.op == "conv":
        before = (side - 1) * stride - 2 * padding + kernel
    else:
        steps, rest = divmod(side + 2 * padding - kernel, stride)
        before = steps + 1 if rest == 0 else 0
    return before if before > 0 else None


def _padding(unit: Unit, axis: int) -> int:
    return _number(unit, "padding", axis)


def _number(unit: Unit, name: str, axis: int) -> int:
    value = unit.attributes[name]
    if isinstance(value, tuple):
        value = value[axis]
    return value if isinstance(value, int) else 0


def _factors(places: int, dims: int) -> tuple[int, ...] | None:
    """Return the sides of a square, a cube or, in two dimensions, the squarest rectangle."""
    if dims == 1:
        return (places,)
    side = round(places ** (1 / dims))
    if side**dims == places:
        return (side,) * dims
    if dims != 2:
        return None
    short = next(k for k in range(isqrt(places), 0, -1) if places % k == 0)
    return (short, places // short)


def _backwards(convs: Sequence[Unit], target: tuple[int, ...]) -> tuple[int, ...] | None:
    found: list[int] = []
    for axis, end in enumerate(target):
        side: int | None = end
        for unit in reversed(convs):
            side = None if side is None else _step_back(unit, axis, side)
        if side is None:
            return None
        found.append(side)
    return tuple(found)


def _pooled(
    convs: Sequence[Unit], sides: tuple[int, ...], places: int
) -> tuple[tuple[str, ...], bool] | None:
    hints = _gaps(convs)
    hinted = (hints, (*hints, convs[-1].name))
    for valid in (False, True):
        for pools in (*hinted, *_subsets([unit.name for unit in convs])):
            end = _run(convs, sides, frozenset(pools), valid=valid)
            if end is not None and prod(end) == places:
                return pools, valid
    return None


def _gaps(convs: Sequence[Unit]) -> tuple[str, ...]:
    """Return the modules behind which a numbered container has room for a pool.

    Between two convolutions of an ``nn.Sequential`` two numbers without tensors, or three with a
    norm, are an activation and a pool.
    """
    found: list[str] = []
    usual = min((b - a for _, a, b in _steps(convs)), default=0)
    for name, here, there in _steps(convs):
        if there - here > max(usual, 2):
            found.append(name)
    return tuple(found)


def _steps(convs: Sequence[Unit]) -> Iterator[tuple[str, int, int]]:
    for one, two in pairwise(convs):
        here, there = number(one.path[-1]), number(two.path[-1])
        if one.path[:-1] == two.path[:-1] and here is not None and there is not None:
            yield one.name, here, there


def _subsets(names: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield where pools may stand, fewest and most evenly spread first."""
    total = len(names)
    for count in range(min(total, 8) + 1):
        even = tuple(names[(i + 1) * total // count - 1] for i in range(count))
        yield even
        if comb(total, count) <= _SUBSETS:
            yield from combinations(names, count)
