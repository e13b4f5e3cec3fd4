"""The settings of an architecture, from the weights, ``config.json`` and what is usual."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from initaudit.architecture.entries import Architecture, Setting, Value
from initaudit.architecture.place import Place
from initaudit.architecture.stored import Index
from initaudit.checkpoint.settings import activation_name

Values = Mapping[str, Value | None]
Numbers = Sequence[float]


def _quotient(x: Numbers) -> float | None:
    return x[0] / x[1] if x[1] and x[0] % x[1] == 0 else None


def _power(x: Numbers) -> float | None:
    return float(x[0] ** x[1]) if x[0] > 0 else None


def _share(x: Numbers) -> float | None:
    return x[0] // x[1] if x[1] else None


def _divisor(x: Numbers) -> float | None:
    return next((n for n in x[1:] if n and x[0] % n == 0 and x[0] >= n), None)


def _equal(x: Numbers) -> float:
    return float(len(set(x)) == 1)


OPERATIONS: Mapping[str, Callable[[Numbers], float | None]] = {
    "product": math.prod,
    "quotient": _quotient,
    "share": _share,
    "sum": sum,
    "power": _power,
    "least": min,
    "divisor": _divisor,
    "equal": _equal,
}
"""What a setting can be of other settings and numbers; None where it is nothing."""


@dataclass(slots=True)
class Settled:
    """Values by name, with what had to be assumed and where the file beside was not believed."""

    values: dict[str, Value | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sources:
    """What tells settings: stored tensors, ``config.json``, and what the caller knows better."""

    index: Index
    config: Mapping[str, Any]
    given: Mapping[str, Value]


def settle(architecture: Architecture, sources: Sources, prefix: str) -> Settled:
    """Return the value of each setting; None where nothing tells it."""
    config = sources.config
    classes = config.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else None
    settled = Settled(
        {"prefixed": bool(prefix), "prefix": prefix,
         "class": first if isinstance(first, str) else None,
         "model_type": _scalar(config.get("model_type"))}
    )  # fmt: skip
    place = Place(prefix, prefix=prefix)
    add(settled, architecture.settings, sources, place)
    for pair in architecture.agree:
        said = _scalar(_looked_up(config, pair.config))
        found = _one(pair.weights, sources, place, settled)
        if said is None or not found or said == found:
            continue
        extent = pair.weights.extent
        tensor = sources.index.tensors.get(place.full(extent[0])) if extent else None
        has = "the weights make it" if tensor is None else f"{tensor.name} has"
        settled.notes.append(
            f"config.json says {pair.config} = {said}, {has} {found}: the weights are believed"
        )
    return settled


def add(settled: Settled, settings: Sequence[Setting], sources: Sources, place: Place) -> None:
    """Settle settings one after another; names of tensors are those of a place."""
    for setting in settings:
        value = _one(setting, sources, place, settled)
        settled.values[setting.name] = _within(setting, value, sources.index, place)


def _within(setting: Setting, value: Value | None, index: Index, place: Place) -> Value | None:
    tensor = index.tensors.get(place.full(setting.most[0])) if setting.most else None
    if tensor is None or setting.most is None or not isinstance(value, int):
        return value
    return min(value, tensor.shape[setting.most[1]]) if setting.most[1] < len(tensor.shape) else 1


def _one(setting: Setting, sources: Sources, place: Place, settled: Settled) -> Value | None:
    if setting.activation and "activation" in sources.given:
        return sources.given["activation"]
    told = _stored(setting, sources.index, place)
    if told is None:
        told = _configured(setting, sources.config, settled)
    if told is None and setting.like is not None:
        told = settled.values.get(setting.like)
    if told is None and setting.case is not None:
        told = _cased(setting, settled.values)
    if told is None:
        told = _listed(setting, settled.values)
    if told is not None:
        return told
    value = _derived(setting, settled.values)
    value = setting.default if value is None else value
    if isinstance(value, str) and value.startswith("$"):
        value = settled.values.get(value[1:])
    if value is not None and setting.tell is not None:
        settled.notes.append(setting.tell.replace("{value}", str(value)))
    return value


def _stored(setting: Setting, index: Index, place: Place) -> Value | None:
    if setting.present is not None:
        return index.has(place.full(setting.present))
    if setting.same:
        found = [index.tensors.get(place.full(name)) for name in setting.same]
        return found[0] is not None and all(tensor is found[0] for tensor in found)
    if setting.count is not None:
        return len(index.numbers(place.full(setting.count)))
    if setting.extent is None:
        return None
    name, axis = setting.extent
    tensor = index.tensors.get(place.full(name))
    if tensor is None or axis >= len(tensor.shape):
        return None
    return tensor.shape[axis] - setting.less


def _cased(setting: Setting, values: Values) -> Value | None:
    found = values.get(setting.case or "")
    key = str(found).lower() if isinstance(found, bool) else str(found)
    value = setting.cases.get(key)
    named = isinstance(value, str) and value.startswith("$")
    return values.get(str(value)[1:]) if named else value


def _listed(setting: Setting, values: Values) -> Value | None:
    """Return what a setting takes from lists."""
    if setting.length is not None:
        listed = values.get(setting.length)
        return len(listed) if isinstance(listed, tuple) else None
    if setting.among:
        one, listed = (values.get(name) for name in setting.among)
        return isinstance(listed, tuple) and one in listed
    if setting.staged:
        numbers, depths, factor = (values.get(name) for name in setting.staged)
        if isinstance(numbers, tuple) and isinstance(depths, tuple):
            return _staged(numbers, depths, factor)
    return None


def _staged(numbers: tuple[Any, ...], depths: tuple[Any, ...], factor: Any) -> Value | None:
    """Return each stage's number in its first block, 1 in the others."""
    plain = all(isinstance(x, int | float) for x in (*numbers, *depths, factor))
    if len(numbers) != len(depths) or not plain:
        return None
    blocks = [math.ceil(factor * depth) for depth in depths]
    if sum(blocks) > _MOST:
        return None
    return tuple(
        number if i == 0 else 1
        for number, depth in zip(numbers, blocks, strict=True)
        for i in range(depth)
    )


_MOST = 1 << 12
"""Blocks that stages may have in all."""


def _configured(setting: Setting, config: Mapping[str, Any], settled: Settled) -> Value | None:
    for key in setting.config:
        value = _scalar(_looked_up(config, key))
        if value is None:
            continue
        if setting.activation:
            known = activation_name(value) if isinstance(value, str) else None
            if known is None:
                settled.notes.append(f"the activation {value!r} of config.json is not known")
                continue
            return known
        usual = setting.default
        if isinstance(usual, float) and not _above_zero(value):
            settled.notes.append(
                f"config.json says {key} = {value}, which is no number above 0: {usual} is taken"
            )
            continue
        whole = settled.values.get(setting.divides) if setting.divides else None
        if isinstance(whole, int) and (not isinstance(value, int) or value < 1 or whole % value):
            settled.notes.append(
                f"config.json says {key} = {value}, which does not divide {whole}: "
                "the weights are believed"
            )
            continue
        return value
    return None


def _derived(setting: Setting, values: Values) -> Value | None:
    for name, operands in setting.derived.items():
        numbers = [_number(x, values) for x in operands]
        found = None
        if None not in numbers:
            found = OPERATIONS[name]([x for x in numbers if x is not None])
        if found is not None:
            return _whole(found)
    if setting.root is not None:
        square = _number(setting.root, values)
        if square is None or square < setting.less:
            return None
        side = math.isqrt(int(square) - setting.less)
        return side if side * side == square - setting.less else None
    return None


def _number(given: str | float, values: Values) -> float | None:
    value = values.get(given) if isinstance(given, str) else given
    return value if isinstance(value, int | float) else None


def _whole(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


def _above_zero(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf


def _looked_up(config: Mapping[str, Any], key: str) -> Any:
    found: Any = config
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _scalar(value: Any) -> Value | None:
    if isinstance(value, list) and all(isinstance(x, int | float | str) for x in value):
        return tuple(value)
    return value if isinstance(value, int | float | str | bool) else None
