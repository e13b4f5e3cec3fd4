"""What an operation of the replica is: its forward and its backward side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from initaudit.network import Attribute, whole_numbers
from initaudit.replica.ops.product import Gradient
from initaudit.special import Array

Attributes = Mapping[str, Attribute]
Params = Mapping[str, Array]
Inputs = tuple[Array, ...]
Cache = Any
Shape = tuple[int, ...]
Moved = Callable[[Attributes, int, Shape, Shape], int]
Features = Literal["same", "first", "last"] | Moved


class OpError(ValueError):
    """An operation that does not fit what it is given, as one line."""


@dataclass(frozen=True, slots=True)
class Op:
    """An operation.

    ``forward(attributes, inputs, params)`` returns the output and a cache;
    ``backward(cache, params, d_output)`` returns the gradients of the inputs, in their order, and
    of the parameters by role: the vector-Jacobian products at ``d_output``. A cache holds no
    parameter, so that weights can be dropped after a layer's turn and read again for its backward.
    Axis 0 holds the samples, and has one entry where an array is the same for all of them.
    Everything is computed in the dtype of what is given, float32 or float64.
    ``features`` tells which axis of the output holds the features: axis 1 (``first``), the last
    one, that of the first input (``same``), or a function of the attributes, of that axis and of
    the shapes of the first input and of the output.
    ``axis`` is what the attribute ``axis`` is where a layer has none; None stands for the axis of
    the features of the first input. ``lazy`` is
    ``backward`` for whom the moments of the parameters' gradients are enough.
    """

    forward: Callable[[Attributes, Inputs, Params], tuple[Array, Cache]]
    backward: Callable[[Cache, Params, Array], tuple[Inputs, dict[str, Array]]]
    features: Features = "same"
    axis: int | None = None
    lazy: Callable[[Cache, Params, Array], tuple[Inputs, Mapping[str, Gradient]]] | None = None

    def features_at(self, attributes: Attributes, near: int, given: Shape, output: Shape) -> int:
        """Return the axis of the features of an output, ``near`` being that of the first input."""
        if callable(self.features):
            found = self.features(attributes, near, given, output)
        else:
            found = {"first": 1, "last": len(output) - 1, "same": near}[self.features]
        return min(found, len(output) - 1)


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
    if whole_numbers(value) and len(value) == dims:
        return value
    raise OpError(f"{name} is {value!r}, not {dims} whole numbers")


def epsilon(attributes: Attributes) -> float:
    """Return the attribute ``eps``, 1e-5 where it is not given."""
    value = attributes.get("eps")
    return float(value) if isinstance(value, (int, float)) else 1e-5


def axis(attributes: Attributes, ndim: int) -> int:
    """Return the axis of the features of an array with ``ndim`` axes."""
    return number(attributes, "axis", 1) % ndim


def real(attributes: Attributes, name: str, default: float) -> float:
    """Return an attribute that is one number; OpError where it is not."""
    value = attributes.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise OpError(f"{name} is {value!r}, not a number")
    return float(value)


def several(attributes: Attributes, name: str) -> tuple[int, ...]:
    """Return an attribute that is whole numbers; OpError where it is not."""
    value = attributes.get(name)
    if isinstance(value, int):
        return (value,)
    if not whole_numbers(value):
        raise OpError(f"{name} is {value!r}, not whole numbers")
    return value


def along(axis: int, shape: Shape) -> Shape:
    """Return the shape in which a vector lies along one axis of an array of this shape."""
    return tuple(n if i == axis else 1 for i, n in enumerate(shape))


def narrow(d_output: Array, shape: Shape) -> Array:
    """Return the gradient of an array of ``shape`` that was broadcast as NumPy does."""
    extra = d_output.ndim - len(shape)
    spread = tuple(
        i for i, n in enumerate(d_output.shape) if i < extra or (shape[i - extra] == 1 and n != 1)
    )
    return d_output.sum(spread, keepdims=True).reshape(shape) if spread else d_output.reshape(shape)


def nothing(shape: Shape, d_output: Array) -> Array:
    """Return the gradient, zero, of an input that only its shape or its whole numbers count of."""
    zero: Array = np.broadcast_to(np.zeros((), d_output.dtype), shape)
    return zero
