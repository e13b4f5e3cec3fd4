"""The settings of an architecture, from the weights, ``config.json`` and what is usual."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from initaudit.architecture.entries import Architecture, Setting, Value
from initaudit.checkpoint.settings import activation_name
from initaudit.network import Tensor

Values = Mapping[str, Value | None]


@dataclass(slots=True)
class Settled:
    """Values by name, with what had to be assumed and where the file beside was not believed."""

    values: dict[str, Value | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def settle(
    architecture: Architecture,
    tensors: Mapping[str, Tensor],
    prefix: str,
    config: Mapping[str, Any],
    given: Mapping[str, Value],
) -> Settled:
    """Return the value of each setting; None where nothing tells it.

    ``given`` are what the caller knows better: the activation of the command line, for one.
    """
    classes = config.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else None
    settled = Settled(
        {"prefixed": bool(prefix), "prefix": prefix,
         "class": first if isinstance(first, str) else None,
         "model_type": _scalar(config.get("model_type"))}
    )  # fmt: skip
    for setting in architecture.settings:
        value = _one(setting, tensors, prefix, config, settled, given)
        settled.values[setting.name] = _within(setting, value, tensors, prefix)
    for pair in architecture.agree:
        tensor = tensors.get(prefix + pair.tensor)
        said = _scalar(_looked_up(config, pair.config))
        if tensor is None or said is None or pair.axis >= len(tensor.shape):
            continue
        if said != tensor.shape[pair.axis]:
            settled.notes.append(
                f"config.json says {pair.config} = {said}, {tensor.name} has "
                f"{tensor.shape[pair.axis]}: the weights are believed"
            )
    return settled


def _within(
    setting: Setting, value: Value | None, tensors: Mapping[str, Tensor], prefix: str
) -> Value | None:
    tensor = tensors.get(prefix + setting.most[0]) if setting.most else None
    if tensor is None or setting.most is None or not isinstance(value, int):
        return value
    return min(value, tensor.shape[setting.most[1]]) if setting.most[1] < len(tensor.shape) else 1


def _one(
    setting: Setting,
    tensors: Mapping[str, Tensor],
    prefix: str,
    config: Mapping[str, Any],
    settled: Settled,
    given: Mapping[str, Value],
) -> Value | None:
    if setting.activation and "activation" in given:
        return given["activation"]
    if setting.extent is not None:
        name, axis = setting.extent
        tensor = tensors.get(prefix + name)
        if tensor is not None and axis < len(tensor.shape):
            return tensor.shape[axis] - setting.less
    said = _configured(setting, config, settled)
    if said is not None:
        return said
    value = _derived(setting, settled.values)
    value = setting.default if value is None else value
    if value is not None and setting.tell is not None:
        settled.notes.append(setting.tell.replace("{value}", str(value)))
    return value


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
    if setting.product:
        factors = [_number(x, values) for x in setting.product]
        return None if None in factors else _whole(math.prod(x for x in factors if x is not None))
    if setting.quotient:
        above, below = (_number(x, values) for x in setting.quotient)
        if above is None or not below or above % below:
            return None
        return _whole(above / below)
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
