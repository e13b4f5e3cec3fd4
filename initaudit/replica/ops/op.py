"""What an operation of the replica is: its forward and its backward side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from initaudit.network import Attribute
from initaudit.replica.ops.product import Gradient
from initaudit.special import Array

Attributes = Mapping[str, Attribute]
Params = Mapping[str, Array]
Inputs = tuple[Array, ...]
Cache = Any
Features = Literal["same", "first", "last"]


class OpError(ValueError):
    """An operation that does not fit what it is given, as one line."""


@dataclass(frozen=True, slots=True)
class Op:
    """An operation.

    ``forward(attributes, inputs, params)`` returns the output and a cache;
    ``backward(cache, params, d_output)`` returns the gradients of the inputs, in their order, and
    of the parameters by role: the vector-Jacobian products at ``d_output``. A cache holds no
    parameter, so that weights can be dropped after a layer's turn and read again for its backward.
    Axis 0 holds the samples.
    ``features`` tells which axis of the output holds the features: axis 1 (``first``), the last
    one, or that of the first input. ``lazy`` is ``backward`` for whom the moments of the
    parameters' gradients are enough.
    """

    forward: Callable[[Attributes, Inputs, Params], tuple[Array, Cache]]
    backward: Callable[[Cache, Params, Array], tuple[Inputs, dict[str, Array]]]
    features: Features = "same"
    lazy: Callable[[Cache, Params, Array], tuple[Inputs, Mapping[str, Gradient]]] | None = None


def need(params: Params, *names: str) -> tuple[Array, ...]:
    """Return parameters by role; OpError where one is missing."""
    missing = [name for name in names if name not in params]
    if missing:
        raise OpError(f"it has no {' and no '.join(missing)}")
    return tuple(params[name] for name in names)


def number(attributes: Attributes, name: str, default: int) -> int:
    """Return an attribute that is one whole number; OpError where it is not."""
    value = attributes.get(name, default)
    if isinstance(value, tuple) and len(set(value)) == 1:
        value = value[0]
    if not isinstance(value, int):
        raise OpError(f"{name} is {value!r}, not a whole number")
    return value


def each(attributes: Attributes, name: str, dims: int, default: int) -> tuple[int, ...]:
    """Return an attribute as one whole number for each spatial dimension."""
    value = attributes.get(name)
    if value is None:
        value = default
    if isinstance(value, int):
        return (value,) * dims
    if isinstance(value, tuple) and len(value) == dims:
        return value
    raise OpError(f"{name} is {value!r}, not {dims} whole numbers")


def epsilon(attributes: Attributes) -> float:
    """Return the attribute ``eps``, 1e-5 where it is not given."""
    value = attributes.get("eps")
    return float(value) if isinstance(value, (int, float)) else 1e-5


def axis(attributes: Attributes, ndim: int) -> int:
    """Return the axis of the features of an array with ``ndim`` axes."""
    return number(attributes, "axis", 1) % ndim
